"""What the choices inside `curate normalize` cost and bring: scaled decoding, encoders, when colours are converted.

    python benchmarks/normalize_choices.py --data ../shared/data    (writes benchmarks/results/normalize_choices.txt)

CPU time of the step alone, in this process, the best of three. PSNR in dB and SSIM as in normalize.py.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import TypeVar

import numpy as np
import simplejpeg
from PIL import Image, ImageDraw, ImageFont

from curate.colour import to_srgb
from curate.imaging import open_stored
from curate.transform import placement
from normalize import psnr, reference, ssim
from normalize_peers import SIDE_PX
from processes import header, write_result

BOX = (SIDE_PX, SIDE_PX)
LANCZOS = Image.Resampling.LANCZOS
WHOLE = 1e9  # pixels that are left per pixel of the result: more than any picture has

Item = TypeVar("Item")
Made = TypeVar("Made")


def timed(function: Callable[[Item], Made], items: Sequence[Item]) -> tuple[list[Made], float]:
    """The results, and CPU ms per item."""
    costs = []
    for _ in range(3):
        started = time.process_time()
        made = [function(item) for item in items]
        costs.append((time.process_time() - started) / len(items) * 1000)
    return made, min(costs)


# ---- Scaled decoding


def scaled(data: bytes, gap: float) -> Image.Image:
    """As `curate.uniform` does it, with so many pixels left per pixel of the result."""
    stored = open_stored(data, lambda width, height: placement(width, height, BOX, "crop").shrinking / gap)
    place = placement(stored.width, stored.height, BOX, "crop")
    box = (place.x, place.y, place.x + place.width, place.y + place.height)
    left, top, right, bottom = (value / stored.shrink for value in box)
    return stored.pixels.resize(BOX, LANCZOS, box=(left, top, right, bottom))


def drawings() -> list[Image.Image]:
    """Lines of 1, 3 and 6 px and letters on white, in three sizes."""
    found = []
    for side in (1400, 2000, 2800):
        for width in (1, 3, 6):
            rng = np.random.default_rng(width)
            image = Image.new("RGB", (side, side), "white")
            pen = ImageDraw.Draw(image)
            for ends in rng.integers(0, side, (60, 4)).tolist():
                pen.line(ends, tuple(rng.integers(0, 120, 3).tolist()), width)
            for corner in rng.integers(0, side, (30, 2)).tolist():
                pen.text(corner, "Handgloves 123", "black", ImageFont.load_default(side // 40))
            found.append(image)
    return found


def grids() -> list[Image.Image]:
    """Lines every 13 px: the finest of them scaled to 224 px is moiré's favourite."""
    found = []
    for side in (1400, 2000, 2800):
        pixels = np.full((side, side, 3), 255, np.uint8)
        pixels[::13] = pixels[:, ::13] = 0
        found.append(Image.fromarray(pixels))
    return found


def decoding(data: Path) -> list[str]:
    """Beside decoding everything and the same filter."""
    kinds = {
        "photos_large": [file.read_bytes() for file in sorted((data / "photos_large").iterdir())],
        "drawings": [encoded(image, "JPEG", quality=95) for image in drawings()],
        "grids": [encoded(image, "JPEG", quality=95) for image in grids()],
    }
    lines = ["JPEG decoded at 1/2, 1/4 or 1/8 where at least so many pixels per pixel of the result are left"]
    lines += [f"{'':14}{'left':>6}{'CPU ms':>9}{'PSNR':>8}{'lowest':>8}{'SSIM':>9}{'largest error':>15}"]
    for name, files in kinds.items():
        expected, _ = timed(partial(scaled, gap=WHOLE), files)
        for gap in (1.0, 1.5, 2.0, 3.0, 4.0, WHOLE):
            made, cost = timed(partial(scaled, gap=gap), files)
            lines.append(f"{name:14}{'all' if gap == WHOLE else gap:>6}{cost:9.2f}{_alike(made, expected)}")
    return [*lines, ""]


def _alike(made: Sequence[Image.Image], expected: Sequence[Image.Image]) -> str:
    pairs = list(zip(made, expected, strict=True))
    decibels = [psnr(*pair) for pair in pairs]
    similar = statistics.mean(ssim(*pair) for pair in pairs)
    largest = max(np.abs(np.asarray(one, int) - np.asarray(other, int)).max() for one, other in pairs)
    return f"{statistics.mean(decibels):8.1f}{min(decibels):8.1f}{similar:9.4f}{largest:15d}"


# ---- Encoders


def encoded(image: Image.Image, file_format: str, **options: object) -> bytes:
    """By Pillow."""
    stream = BytesIO()
    image.save(stream, file_format, **options)
    return stream.getvalue()


def by_simplejpeg(image: Image.Image, quality: int, chroma: str) -> bytes:
    """The same JPEG by simplejpeg; its `fastdct` is off, which turbojpeg heeds only from quality 96 on."""
    data: bytes = simplejpeg.encode_jpeg(np.asarray(image), quality, "RGB", chroma)
    return data


def encoding(data: Path) -> list[str]:
    """On photographs at 224 px."""
    files = sorted((data / "photos").iterdir())[::5] + sorted((data / "photos_large").iterdir())
    pictures = [reference(file) for file in files]
    encoders: dict[str, Callable[[Image.Image], bytes]] = {}
    for quality in (90, 92, 95, 97):
        for chroma, number in (("444", 0), ("420", 2)):
            by_pillow = partial(encoded, file_format="JPEG", quality=quality, subsampling=number)
            encoders[f"JPEG {quality} {chroma}, Pillow"] = by_pillow
            by_other = partial(by_simplejpeg, quality=quality, chroma=chroma)
            encoders[f"JPEG {quality} {chroma}, simplejpeg"] = by_other
    for level in (1, 3, 6):
        encoders[f"PNG, level {level}"] = partial(encoded, file_format="PNG", compress_level=level)
    for method in (0, 2, 4):
        webp = partial(encoded, file_format="WEBP", method=method)
        encoders[f"WebP 95, method {method}"] = partial(webp, quality=95)
        encoders[f"WebP lossless, method {method}"] = partial(webp, lossless=True)
    lines = [f"Encoding {len(pictures)} photographs of 224 x 224 px"]
    lines += [f"{'':26}{'CPU ms':>8}{'kB':>8}{'PSNR':>8}{'lowest':>8}{'SSIM':>9}{'largest error':>15}"]
    for name, encode in encoders.items():
        made, cost = timed(encode, pictures)
        size = statistics.mean(len(one) for one in made) / 1000
        opened = [Image.open(BytesIO(one)).convert("RGB") for one in made]
        lines.append(f"{name:26}{cost:8.2f}{size:8.1f}{_alike(opened, pictures)}")
    return [*lines, ""]


# ---- Colours


def colours(data: Path) -> list[str]:
    """Photographs with another profile than sRGB: converted after scaling, beside before."""
    before, after, times = [], [], np.zeros(2)
    for file in sorted((data / "photos").iterdir()):
        with Image.open(file) as image:
            profile = image.info.get("icc_profile", b"")
            image.load()
        small = fitted(image)
        if not profile or to_srgb(small, profile)[0].tobytes() == small.convert("RGB").tobytes():
            continue
        (first,), slow = timed(partial(before_scaling, profile=profile), [image])
        (second,), fast = timed(partial(after_scaling, profile=profile), [image])
        before.append(first)
        after.append(second)
        times += slow, fast
    slow, fast = times / len(before)
    errors = [np.abs(np.asarray(a, int) - np.asarray(b, int)).mean() for a, b in zip(before, after, strict=True)]
    return [
        f"Colours converted after scaling instead of before: {len(before)} photographs with such a profile",
        f"{'':14}{'CPU ms':>9}{'PSNR':>8}{'lowest':>8}{'SSIM':>9}{'largest error':>15}{'mean error, up to':>19}",
        f"{'before':14}{slow:9.2f}",
        f"{'after':14}{fast:9.2f}{_alike(after, before)}{max(errors):19.2f}",
    ]


def before_scaling(image: Image.Image, profile: bytes) -> Image.Image:
    """Every pixel is converted."""
    return fitted(to_srgb(image, profile)[0])


def after_scaling(image: Image.Image, profile: bytes) -> Image.Image:
    """As `curate.uniform` does it."""
    return to_srgb(fitted(image), profile)[0]


def fitted(image: Image.Image) -> Image.Image:
    """Scaled and cut to 224 px."""
    place = placement(*image.size, BOX, "crop")
    return image.resize(BOX, LANCZOS, box=(place.x, place.y, place.x + place.width, place.y + place.height))


def main() -> None:
    """Measure all, then write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    data = parser.parse_args().data
    if not (data / "photos_large").is_dir():
        parser.error(f"there is no folder {data / 'photos_large'}: give one with --data")
    lines = header("curate normalize: its choices", ["curate", "pillow", "simplejpeg", "numpy"])
    write_result("normalize_choices.txt", lines + decoding(data) + encoding(data) + colours(data))


if __name__ == "__main__":
    main()
