"""One picture, made uniform: from the bytes of a file to the bytes of another, as a `Transform` says.

What is left of the file are its pixels: upright, in sRGB, on a background, in one size. Nothing else is copied, so no
place, serial number, comment, thumbnail or profile can leave with them.

The order matters for speed: only the part that stays is scaled, and the picture is turned after that. Colours too are
converted after scaling, on few pixels: 21 photographs with Adobe RGB and other profiles were then within 46 to 56 dB of
those converted before, less than what JPEG changes (benchmarks/normalize_choices.py). CMYK and transparent pictures are
made what a viewer shows before scaling: scaled inks and alpha channels give other edges.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from curate.colour import to_srgb
from curate.imaging import StoredPicture, decode_exactly, open_stored, upright
from curate.transform import SHRINK_GAP, Placement, Transform, placement

# Lanczos (a = 3) keeps the most detail of the filters that Pillow has; its support grows as it shrinks, so that
# nothing is aliased. It may overshoot at hard edges by some percent, which the others trade for blur.
FILTER = Image.Resampling.LANCZOS

# PNG at zlib's first level is 6 % larger than at Pillow's sixth and takes a third of the time; lossless WebP has the
# same choice, and WebP is smaller and faster than PNG. Origin: benchmarks/normalize_choices.py.
PNG_LEVEL = 1
WEBP_EFFORT, WEBP_LOSSLESS_EFFORT = 4, 0

# The smart crop looks at differences between pixels of a picture whose shorter side has about so many.
DETAIL_SIDE_PX = 64
# Among places that hold so much of the detail of the best, the one nearest to the centre.
DETAIL_TIE = 0.99


@dataclass(frozen=True)
class Uniform:
    """What came of one picture.

    format: "JPEG", "PNG" or "WEBP". picture: of mode "RGB", as whoever reads the file sees it.
    note: what was wrong with the source and could be ignored; "" if nothing was.
    """

    data: bytes
    format: str
    picture: Image.Image
    note: str


def make_uniform(data: bytes, transform: Transform) -> Uniform:
    """The picture of these bytes as `transform` wants it. Raises UnreadableImage as `open_image` does."""
    stored = open_stored(data, lambda width, height: _place(width, height, transform).shrinking / SHRINK_GAP)
    note = ""
    if stored.pixels.mode in ("CMYK", "LA", "RGBA"):
        opaque, note = to_srgb(stored.pixels, stored.profile)
        stored = replace(stored, pixels=_on_page(opaque, transform.background_rgb, opaque.size), profile=b"")
    scaled = upright(_scaled(stored, transform), stored.orientation)
    coloured, more = to_srgb(scaled, stored.profile)
    padded = (transform.width, transform.height) if transform.fit == "pad" else scaled.size
    page = _on_page(coloured, transform.background_rgb, padded)
    encoded = _encode(page, transform)
    seen = page if transform.lossless else decode_exactly(encoded)
    return Uniform(encoded, transform.format.upper(), seen, note or more)


def _place(width: int, height: int, transform: Transform) -> Placement:
    return placement(width, height, (transform.width, transform.height), transform.fit)


def _scaled(stored: StoredPicture, transform: Transform) -> Image.Image:
    """The part that stays, in its size, still lying as it is stored."""
    box = (transform.width, transform.height)
    lying = stored.orientation >= 5
    place = placement(stored.width, stored.height, box[::-1] if lying else box, transform.fit)
    x, y = place.x, place.y
    if transform.fit == "crop" and transform.crop == "smart":
        x, y = _most_detailed(stored, place)
    right, bottom = min(x + place.width, stored.width), min(y + place.height, stored.height)
    part = (x / stored.shrink, y / stored.shrink, right / stored.shrink, bottom / stored.shrink)
    return stored.pixels.resize((place.to_width, place.to_height), FILTER, box=part)


def _most_detailed(stored: StoredPicture, place: Placement) -> tuple[float, float]:
    """Where a part of that size has the most detail: x and y of its corner, in px of the stored picture."""
    step = max(1, min(stored.pixels.size) // DETAIL_SIDE_PX)
    luma = np.asarray(stored.pixels.convert("L").reduce(step), np.int32)
    across = place.width < stored.width  # else the part moves up and down
    detail = _detail(luma).sum(axis=0 if across else 1)
    length, whole = (place.width, stored.width) if across else (place.height, stored.height)
    window = min(len(detail), max(1, round(length / stored.shrink / step)))
    sums = np.convolve(detail, np.ones(window, np.int64), "valid")
    good = np.flatnonzero(sums >= DETAIL_TIE * sums.max())
    best = good[np.abs(good - (len(sums) - 1) / 2).argmin()]
    start = (whole - length) * (best / (len(sums) - 1) if len(sums) > 1 else 0.5)
    return (start, place.y) if across else (place.x, start)


def _detail(luma: NDArray[np.int32]) -> NDArray[np.int64]:
    """How much each pixel differs from its left and upper neighbour, (h, w)."""
    across = np.abs(np.diff(luma, axis=1, prepend=luma[:, :1]))
    down = np.abs(np.diff(luma, axis=0, prepend=luma[:1]))
    return np.asarray(across + down, np.int64)


def _on_page(image: Image.Image, colour: tuple[int, int, int], size: tuple[int, int]) -> Image.Image:
    """In the middle of a page of that colour, which shows through where the picture is transparent; in RGB."""
    if image.mode == "RGB" and image.size == size:
        return image
    page = Image.new("RGB", size, colour)
    corner = ((size[0] - image.width) // 2, (size[1] - image.height) // 2)
    page.paste(image, corner, mask=image if image.mode == "RGBA" else None)
    return page


def _encode(page: Image.Image, transform: Transform) -> bytes:
    """The file. Pillow's JPEG is 0.5 dB better than simplejpeg's of the same size, in the same time."""
    stream = BytesIO()
    if transform.format == "jpeg":
        page.save(stream, "JPEG", quality=transform.quality, subsampling=_SUBSAMPLING[transform.chroma])
    elif transform.format == "png":
        page.save(stream, "PNG", compress_level=PNG_LEVEL)
    elif transform.lossless:
        page.save(stream, "WEBP", lossless=True, method=WEBP_LOSSLESS_EFFORT)
    else:
        page.save(stream, "WEBP", quality=transform.quality, method=WEBP_EFFORT)
    return stream.getvalue()


_SUBSAMPLING = {"444": 0, "422": 1, "420": 2}  # Pillow's numbers
