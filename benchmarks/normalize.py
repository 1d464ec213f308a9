"""Speed and quality of `curate normalize` beside Pillow's usual way and img2dataset, on the same files, alternating.

    python benchmarks/normalize.py --data ../shared/data --img2dataset VENV/bin/python
    (writes benchmarks/results/normalize.txt)

All crop to 224 x 224 px at the centre and write JPEG; normalize_peers.py says what each does besides. All figures are
whole processes; the start-up alone is measured on a folder with one picture, and `further` is what each more one takes.
The third folder holds the large photographs as PNG, made on the fly, which no decoder can shrink.

Quality is likeness to the picture that is decoded whole and scaled by Pillow's Lanczos filter, without any encoding:
the mean and the lowest PSNR (dB; higher is better) and the mean SSIM (Wang et al. 2004, luma, 1 is the same) over the
pictures that are stored upright and in sRGB, which all contenders treat alike. img2dataset scales first, to whole
pixels, and then cuts, which shifts pictures by up to half a pixel; it is compared with a reference that does so too.
normalize_choices.py tells what our own choices cost.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

from normalize_peers import SIDE_PX
from processes import Cost, header, peak_memory_mb, run_timed, write_result

PEERS = Path(__file__).with_name("normalize_peers.py")
OURS = ("curate 1", "curate 2")
COLUMNS = {
    "CPU s": 8,
    "wall s": 8,
    "further ms": 12,
    "peak MB": 9,
    "kB each": 9,
    "PSNR": 9,
    "lowest": 9,
    "SSIM": 9,
}


@dataclass(frozen=True)
class Likeness:
    """To the reference."""

    psnr: float
    ssim: float


def psnr(one: Image.Image, other: Image.Image) -> float:
    """In dB; 99 for the same pixels."""
    error = float(((np.asarray(one, float) - np.asarray(other, float)) ** 2).mean())
    return min(99.0, 10 * np.log10(255**2 / error)) if error else 99.0


def ssim(one: Image.Image, other: Image.Image) -> float:
    """Structural similarity of luma: a Gaussian window of sigma 1.5, constants (0.01 * 255)^2 and (0.03 * 255)^2."""
    a, b = (np.asarray(image.convert("L"), float) for image in (one, other))

    def smooth(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(gaussian_filter(values, 1.5, truncate=3.5))

    mean_a, mean_b = smooth(a), smooth(b)
    var_a, var_b = smooth(a * a) - mean_a**2, smooth(b * b) - mean_b**2
    both = smooth(a * b) - mean_a * mean_b
    c1, c2 = 2.55**2, 7.65**2
    similar = (2 * mean_a * mean_b + c1) * (2 * both + c2)
    return float((similar / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))).mean())


def reference(file: Path, whole_pixels: bool = False) -> Image.Image:
    """Decoded whole, scaled by Lanczos, cut at the centre. whole_pixels: scaled before it is cut."""
    image = Image.open(file).convert("RGB")
    side = min(image.size)
    left, top = (image.width - side) / 2, (image.height - side) / 2
    if not whole_pixels:
        box = (left, top, left + side, top + side)
        return image.resize((SIDE_PX, SIDE_PX), Image.Resampling.LANCZOS, box=box)
    width, height = (round(full * SIDE_PX / side) for full in image.size)
    image = image.resize((width, height), Image.Resampling.LANCZOS)
    left, top = (width - SIDE_PX) // 2, (height - SIDE_PX) // 2
    return image.crop((left, top, left + SIDE_PX, top + SIDE_PX))


def is_ordinary(file: Path) -> bool:
    """Upright, and without a profile that changes colours."""
    from curate.colour import to_srgb

    with Image.open(file) as image:
        profile, orientation = image.info.get("icc_profile", b""), image.getexif().get(0x0112, 1)
    ramp = Image.linear_gradient("L").convert("RGB")
    return orientation == 1 and to_srgb(ramp, profile)[0].tobytes() == ramp.tobytes()


def made_by(contender: str, target: Path) -> dict[str, Path]:
    """Name of the source -> file that was made of it."""
    if contender in OURS:
        with (target / "names.csv").open() as stream:
            pairs = [(row["path"], row["output_sha256"]) for row in csv.DictReader(stream)]
        return {name: target / "objects" / sha256[:2] / sha256[2:] for name, sha256 in pairs}
    return {file.name.removesuffix(".jpg"): file for file in target.iterdir()}


def likeness(contender: str, folder: Path, target: Path) -> list[Likeness]:
    """Of every ordinary picture."""
    found = []
    made = made_by(contender, target)
    for file in filter(is_ordinary, sorted(folder.iterdir())):
        expected = reference(file, whole_pixels=contender == "img2dataset")
        output = Image.open(made[file.name]).convert("RGB")
        found.append(Likeness(psnr(output, expected), ssim(output, expected)))
    return found


def command(contender: str, folder: Path, target: Path, img2dataset: str | None) -> list[str]:
    """The command line of one contender."""
    python = img2dataset if contender == "img2dataset" else sys.executable
    return [str(python), str(PEERS), contender, str(folder), str(target)]


def compare(folder: Path, rounds: int, img2dataset: str | None, scratch: Path) -> list[str]:
    """One table: every contender on one folder."""
    contenders = [*OURS, "lanczos", "bicubic", *(["img2dataset"] if img2dataset else [])]
    one = scratch / f"one of {folder.name}"
    one.mkdir()
    files = sorted(folder.iterdir())
    (one / files[0].name).write_bytes(files[0].read_bytes())
    full: dict[str, list[Cost]] = {name: [] for name in contenders}
    start: dict[str, list[Cost]] = {name: [] for name in contenders}
    for turn in range(rounds):
        for name in contenders:
            for which, costs in ((folder, full), (one, start)):
                costs[name].append(
                    run_timed(command(name, which, scratch / f"{which.name} {name} {turn}", img2dataset))
                )
    rows = []
    for name in contenders:
        target = scratch / f"{folder.name} {name} 0"
        memory = peak_memory_mb(command(name, folder, scratch / f"{folder.name} {name} memory", img2dataset))
        alike = likeness(name, folder, target)
        size = statistics.mean(file.stat().st_size for file in made_by(name, target).values())
        rows.append(
            f"{name:14}{_cpu(full[name]):8.2f}{_wall(full[name]):8.2f}{_further(name, full, start, len(files)):12.2f}"
            f"{memory:9.0f}{size / 1000:9.1f}{statistics.mean(one.psnr for one in alike):9.1f}"
            f"{min(one.psnr for one in alike):9.1f}{statistics.mean(one.ssim for one in alike):9.4f}"
        )
    size_mb = sum(file.stat().st_size for file in files) / 1e6
    ordinary = len(likeness(OURS[0], folder, scratch / f"{folder.name} {OURS[0]} 0"))
    return [
        f"{folder.name}: {len(files)} pictures, {size_mb:.0f} MB, quality of {ordinary}; median of {rounds}",
        f"{'':14}" + "".join(f"{name:>{width}}" for name, width in COLUMNS.items()),
        *rows,
        *(
            f"{name}'s CPU / ours: {_cpu(full[name]) / _cpu(full[OURS[0]]):.1f} for the whole process, "
            f"{_further(name, full, start, len(files)) / _further(OURS[0], full, start, len(files)):.1f} per further "
            "picture"
            for name in contenders[2:]
        ),
        "",
    ]


def _cpu(costs: list[Cost]) -> float:
    return statistics.median(cost.cpu_s for cost in costs)


def _wall(costs: list[Cost]) -> float:
    return statistics.median(cost.wall_s for cost in costs)


def _further(name: str, full: dict[str, list[Cost]], start: dict[str, list[Cost]], pictures: int) -> float:
    """CPU of each picture after the first, in ms."""
    return (_cpu(full[name]) - _cpu(start[name])) / (pictures - 1) * 1000


def as_png(folder: Path, target: Path) -> Path:
    """The same pictures, upright, as PNG at a quarter of their pixels."""
    target.mkdir()
    for file in sorted(folder.iterdir()):
        image = Image.open(file).convert("RGB")
        image.reduce(2).save(target / f"{file.stem}.png", compress_level=1, icc_profile=None)
    return target


def version_of(python: str) -> str:
    """What the other interpreter has."""
    script = "from importlib.metadata import version as v; n = 'opencv-python-headless'; "
    script += "print(f\"img2dataset {v('img2dataset')} with {n} {v(n)}\")"
    return subprocess.run([python, "-c", script], capture_output=True, text=True, check=True).stdout.strip()


def main() -> None:
    """Compare on three folders, then write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--img2dataset", metavar="PYTHON", help="an interpreter that has img2dataset; else without it")
    options = parser.parse_args()
    if not (options.data / "photos_large").is_dir():
        parser.error(f"there is no folder {options.data / 'photos_large'}: give one with --data")
    lines = header("curate normalize: speed and quality", ["curate", "pillow", "simplejpeg", "numpy", "pyarrow"])
    lines.insert(3, version_of(options.img2dataset) if options.img2dataset else "without img2dataset")
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        png = as_png(options.data / "photos_large", scratch / "photos_png")
        for folder in (options.data / "photos_large", options.data / "photos", png):
            lines += compare(folder, options.rounds, options.img2dataset, scratch)
    write_result("normalize.txt", lines)


if __name__ == "__main__":
    main()
