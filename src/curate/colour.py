"""Colour profiles: the numbers of a picture as sRGB, which is what training and screens take them for.

A file may say by an ICC profile what its numbers mean: cameras write Adobe RGB, phones Display P3, printers' files
CMYK. Taken for sRGB, such a picture looks dull, or worse. A damaged profile, or one for other colours than the picture
has, is ignored, as viewers do, and noted.
"""

from __future__ import annotations

from functools import lru_cache
from io import BytesIO

import numpy as np
from PIL import Image, ImageCms

# A conversion that moves no colour of a grid by more is that of sRGB itself, which comes in many spellings. Origin: of
# 22 profiles in real files, nine are sRGB by name and move at most 1 of 255, by rounding; the others move 9 to 135.
SAME = 1

# CMYK profiles take a megabyte each, and folders hold few different ones.
REMEMBERED = 16

_MODES = {"GRAY": "L", "RGB": "RGB", "CMYK": "CMYK"}  # colour space of a profile -> mode of its pictures
_WORDS = {"L": "grey"}


def to_srgb(image: Image.Image, profile: bytes) -> tuple[Image.Image, str]:
    """The picture in sRGB, of mode "RGB" or, if it has transparency, "RGBA"; and what was wrong, "" if nothing was.

    image: of mode "L", "LA", "RGB", "RGBA" or "CMYK". profile: ICC bytes, b"" if it has none; CMYK without one is
    turned into RGB by the simplest formula, as Pillow does.
    """
    if not profile:
        return _plain(image), ""
    space, conversion = _conversion(profile)
    mode = _MODES.get(space)
    if mode is None:
        return _plain(image), f"its colour profile {space} and was ignored"
    colours = image.convert({"LA": "L", "RGBA": "RGB"}.get(image.mode, image.mode))
    if mode == "RGB" and colours.mode == "L":
        colours = colours.convert("RGB")
    if colours.mode != mode:
        fits, has = _WORDS.get(mode, mode), _WORDS.get(colours.mode, colours.mode)
        return _plain(image), f"its colour profile is for {fits} and not for {has}, and was ignored"
    if conversion is None:
        return _plain(image), ""
    converted = ImageCms.applyTransform(colours, conversion)
    assert converted is not None  # it is None only where it works in place
    if image.mode in ("LA", "RGBA"):
        converted.putalpha(image.getchannel("A"))
    return _plain(converted), ""


def _plain(image: Image.Image) -> Image.Image:
    """In RGB or RGBA by the simplest formula, with nothing else of the file."""
    plain = image.convert("RGBA" if image.mode in ("LA", "RGBA") else "RGB")
    plain.info = {}
    return plain


@lru_cache(maxsize=REMEMBERED)
def _conversion(profile: bytes) -> tuple[str, ImageCms.ImageCmsTransform | None]:
    """The colour space that a profile is for, and the way from there to sRGB, None if it is sRGB already.

    Of a profile that can't be used, what is wrong with it in place of the space.
    """
    try:
        opened = ImageCms.ImageCmsProfile(BytesIO(profile))
        space = opened.profile.xcolor_space.strip()
        if space not in _MODES:
            return f"is for the colours {space}", None
        conversion = ImageCms.buildTransform(opened, ImageCms.createProfile("sRGB"), _MODES[space], "RGB")
        return space, None if _changes_nothing(conversion, _MODES[space]) else conversion
    except Exception:  # noqa: BLE001  Pillow raises OSError, PyCMSError and more for what is only damage
        return "is damaged", None


def _changes_nothing(conversion: ImageCms.ImageCmsTransform, mode: str) -> bool:
    if mode == "CMYK":
        return False
    if mode == "L":
        grid = Image.fromarray(np.arange(256).astype(np.uint8)[None])
    else:
        levels = np.arange(0, 256, 15).astype(np.uint8)
        grid = Image.fromarray(np.stack(np.meshgrid(levels, levels, levels), -1).reshape(1, -1, 3))
    converted = ImageCms.applyTransform(grid, conversion)
    assert converted is not None
    before, after = np.asarray(grid.convert("RGB"), np.int16), np.asarray(converted, np.int16)
    return int(np.abs(after - before).max()) <= SAME
