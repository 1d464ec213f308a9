"""Damage done to finished files, and the copies that editing, sending and turning pictures leave behind."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO

import numpy as np
from PIL import Image, ImageOps

from rendering.light import to_linear, to_srgb

Rng = np.random.Generator
_ORIENTATION = 0x0112  # the EXIF tag
_TURNED_LEFT = 6  # stored lying on its side: a viewer turns it clockwise by 90 degrees

NO_IMAGES = {
    # What a download script saves when it doesn't look at the status code.
    "a web page saying 404": b"""<!DOCTYPE html>
<html><head><title>404 Not Found</title></head>
<body><h1>Not Found</h1><p>The requested URL was not found on this server.</p></body></html>
""",
    # The beginning of an MP4 file: a video that somebody renamed.
    "a video clip": b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom\x00\x00\x00\x08free" + bytes(range(256)) * 8,
}


def encode(image: Image.Image, suffix: str, quality: int, orientation: int = 1) -> bytes:
    """The bytes of an image file of the kind that the suffix names. quality: of JPEG and WebP."""
    out = BytesIO()
    if suffix == ".png":
        image.save(out, "PNG", optimize=True)
    elif suffix == ".webp":
        image.save(out, "WEBP", quality=quality, method=4)
    else:
        exif = Image.Exif()
        if orientation != 1:
            exif[_ORIENTATION] = orientation
        image.save(out, "JPEG", quality=quality, exif=exif)
    return out.getvalue()


def truncated(data: bytes, rng: Rng) -> bytes:
    """The first part of a file, as a broken transfer leaves it."""
    return data[: int(len(data) * rng.uniform(0.35, 0.85))]


def _resaved(image: Image.Image, rng: Rng) -> bytes:
    return encode(image, ".jpg", int(rng.integers(35, 60)))


def _sent(image: Image.Image, _rng: Rng) -> bytes:
    """What a messenger makes of a picture: smaller and re-saved."""
    size = (image.width * 3 // 4, image.height * 3 // 4)
    return encode(image.resize(size, Image.Resampling.LANCZOS), ".jpg", 70)


def _cropped(image: Image.Image, rng: Rng) -> bytes:
    """2 to 4 % of the width and of the height cut away, on sides chosen by chance."""
    cut_x, cut_y = (max(2, round(side * rng.uniform(0.02, 0.04))) for side in image.size)
    left, top = int(rng.integers(0, cut_x + 1)), int(rng.integers(0, cut_y + 1))
    return encode(image.crop((left, top, left + image.width - cut_x, top + image.height - cut_y)), ".jpg", 90)


def _flipped(image: Image.Image, _rng: Rng) -> bytes:
    return encode(ImageOps.mirror(image), ".jpg", 88)


def _turned(image: Image.Image, rng: Rng) -> bytes:
    quarter = [Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_270][rng.integers(2)]
    return encode(image.transpose(quarter), ".jpg", 90)


def _turned_by_exif(image: Image.Image, _rng: Rng) -> bytes:
    """Looks the same in any viewer, yet its stored pixels lie on their side."""
    return encode(image.transpose(Image.Transpose.ROTATE_90), ".jpg", 90, orientation=_TURNED_LEFT)


def _brightened(image: Image.Image, rng: Rng) -> bytes:
    """A slider in a photo editor: half a stop up or down."""
    factor = np.float32(2 ** (rng.choice([-1, 1]) * rng.uniform(0.4, 0.6)))
    return encode(Image.fromarray(to_srgb(to_linear(image) * factor)), ".jpg", 88)


EDITS: dict[str, Callable[[Image.Image, Rng], bytes]] = {
    "re-saved": _resaved,
    "sent by messenger": _sent,
    "cropped": _cropped,
    "flipped": _flipped,
    "turned by 90 degrees": _turned,
    "turned, with an EXIF orientation that turns it back": _turned_by_exif,
    "brightness changed": _brightened,
}
