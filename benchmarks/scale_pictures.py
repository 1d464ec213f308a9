"""Small pictures as many as wanted, each different, that a program takes for photographs.

    python benchmarks/scale_pictures.py FOLDER 100000          (a minute; what is there stays)

Each is composed: light that falls off across the picture, two crops of 1/f texture (the spectrum of photographs) with
an edge between them, and a few shapes with texture of their own. So it has contours, noise, shadows and colours, is
7 kB as JPEG, and costs what a photograph of its size costs, as smooth noise would not. What is in front has a colour of
the picture's class, so that labels can be learned.

What is planted, by the file's number, is what the tests count on: see `scale_planted.kind_of`.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from functools import cache
from io import BytesIO
from pathlib import Path

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from scale_planted import CLASSES, kind_of, path_of

Bytes = NDArray[np.uint8]

SIDES = ((128, 96), (96, 128), (128, 128), (144, 108))  # px
TEXTURES = 24  # of TEXTURE_PX, made once per process
TEXTURE_PX = 384
WRITTEN_S = 1_700_000_000  # so long ago that size and time settle whether a file has changed
QUALITY = 88
# Ten hues around the colour circle, (10, 3).
CLASS_COLOURS = 125 + 65 * np.cos(2 * np.pi * (np.arange(CLASSES)[:, None] / CLASSES - np.array((0, 1 / 3, 2 / 3))))


def content_of(number: int) -> bytes:
    """The file of that number, the same every time."""
    kind = kind_of(number)
    if kind == "exact copy":
        return content_of(number - CLASSES)  # of the same class, so that labels agree
    if kind == "near copy":
        saved = BytesIO()
        Image.open(BytesIO(content_of(number - CLASSES))).save(saved, "JPEG", quality=60)
        return saved.getvalue()
    if kind == "damaged":
        return _jpeg(_picture(number))[:1500]  # cut off, within the header or the first rows
    return _blank(number) if kind == "blank" else _jpeg(_picture(number))


def write_pictures(pool: Path, numbers: Sequence[int]) -> None:
    """Write the files of these numbers below a folder, those that are not there yet."""
    for parent in {os.path.dirname(path_of(number)) for number in numbers}:
        (pool / parent).mkdir(parents=True, exist_ok=True)
    for number in numbers:
        file = pool / path_of(number)
        if not file.exists():
            draft = file.with_suffix(".tmp")
            draft.write_bytes(content_of(number))
            os.utime(draft, (WRITTEN_S, WRITTEN_S))
            draft.rename(file)


def _picture(number: int) -> Bytes:
    """One composed picture, (H, W, 3)."""
    rng = np.random.default_rng((7, number))
    width, height = SIDES[number % len(SIDES)]
    behind = _crop(rng, width, height, rng.uniform(60, 190, 3))
    before = _crop(rng, width, height, CLASS_COLOURS[number % CLASSES] + rng.normal(0, 15, 3))
    mask = Image.new("L", (width, height), 0)
    draw = ImageDraw.Draw(mask)
    draw.polygon([(0, height), *_corners(rng, width, height, 4), (width, height)], fill=255)
    for _ in range(rng.integers(1, 4)):
        left, top, right, bottom = _box(rng, width, height)
        shape = draw.ellipse if rng.random() < 0.5 else draw.rectangle
        shape((left, top, right, bottom), fill=int(rng.integers(0, 2)) * 255)
    share = np.asarray(mask, np.float32)[..., None] / 255
    mixed = behind * (1 - share) + before * share
    return np.asarray((mixed * _light(rng, width, height)).clip(0, 255).astype(np.uint8))


def _corners(rng: np.random.Generator, width: int, height: int, count: int) -> list[tuple[float, float]]:
    """A ragged line from left to right, as of a horizon or a table."""
    across = np.sort(rng.random(count)) * width
    return [(float(x), float(y)) for x, y in zip(across, rng.uniform(0.25, 0.8, count) * height, strict=True)]


def _box(rng: np.random.Generator, width: int, height: int) -> tuple[float, float, float, float]:
    left, top = rng.uniform(0, 0.7, 2) * (width, height)
    right, bottom = (left, top) + rng.uniform(0.15, 0.5, 2) * (width, height)
    return float(left), float(top), float(right), float(bottom)


def _crop(rng: np.random.Generator, width: int, height: int, colour: NDArray[np.float64]) -> NDArray[np.float32]:
    """A part of a texture in this colour, with a contrast of its own, (H, W, 3)."""
    texture = _textures()[rng.integers(TEXTURES)]
    top, left = rng.integers(0, TEXTURE_PX - height), rng.integers(0, TEXTURE_PX - width)
    part = texture[top : top + height, left : left + width][:: rng.choice((-1, 1)), :: rng.choice((-1, 1))]
    return np.asarray(colour.astype(np.float32) + part[..., rng.permutation(3)] * np.float32(rng.uniform(18, 40)))


def _light(rng: np.random.Generator, width: int, height: int) -> NDArray[np.float32]:
    """Light that falls off across the picture, (H, W, 1), about 1."""
    x, y = np.linspace(-1, 1, width, dtype=np.float32), np.linspace(-1, 1, height, dtype=np.float32)
    slope_x, slope_y, bend = rng.uniform(-0.25, 0.25, 3).astype(np.float32)
    return np.asarray((1 + slope_x * x + slope_y * y[:, None] + bend * x * x)[..., None])


@cache
def _textures() -> NDArray[np.float32]:
    """Noise whose amplitude falls as 1/f, mean 0 and deviation 1 per channel, (TEXTURES, PX, PX, 3)."""
    rng = np.random.default_rng(7)
    frequency = np.hypot(np.fft.fftfreq(TEXTURE_PX)[:, None], np.fft.rfftfreq(TEXTURE_PX)) + 1 / TEXTURE_PX
    made = np.empty((TEXTURES, TEXTURE_PX, TEXTURE_PX, 3), np.float32)
    for one in made:
        noise = np.fft.rfft2(rng.standard_normal((4, TEXTURE_PX, TEXTURE_PX))) / frequency
        grey, *colours = np.fft.irfft2(noise)
        for channel in range(3):  # mostly the same in all channels, as light is
            mixed = grey + 0.4 * colours[channel]
            one[..., channel] = (mixed - mixed.mean()) / mixed.std()
    return made


def _jpeg(pixels: Bytes) -> bytes:
    return bytes(simplejpeg.encode_jpeg(np.ascontiguousarray(pixels), QUALITY, colorsubsampling="420"))


def _blank(number: int) -> bytes:
    """One tone all over, of bytes that no other file has: a comment in the file says its number."""
    width, height = SIDES[number % len(SIDES)]
    colour = np.random.default_rng((8, number)).integers(115, 200, 3).astype(np.uint8)
    data = _jpeg(np.broadcast_to(colour, (height, width, 3)))
    comment = b"blank %08d" % number
    return data[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment + data[2:]


def main() -> None:
    """Write the first so many."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("files", type=int)
    options = parser.parse_args()
    write_pictures(options.folder, range(options.files))


if __name__ == "__main__":
    main()
