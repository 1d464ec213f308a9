"""Memory and time of `curate clean` as the folder grows: 1,000, 10,000 and 100,000 distinct small pictures.

    python benchmarks/memory.py                   (writes benchmarks/results/memory.txt; some 20 minutes)

Memory is the highest of the process and its workers together, shared pages counted once. The pictures' bytes
must not show in it: what grows is the table, a row per picture, and the 1 kB thumbnail that copies are found by.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from processes import header, peak_memory_mb, run_timed, write_result

SIZES = (1_000, 10_000, 100_000)


def render(folder: Path, first: int, last: int) -> None:
    """Smooth random pictures of 96 x 72 px, a thousand to a folder, each different."""
    for number in range(first, last):
        target = folder / f"{number // 1000:03d}" / f"{number:06d}.jpg"
        target.parent.mkdir(exist_ok=True)
        coarse = np.random.default_rng(number).integers(0, 256, (9, 12, 3)).astype(np.uint8)
        Image.fromarray(coarse).resize((96, 72), Image.Resampling.BICUBIC).save(target, quality=90)


def main() -> None:
    """Let the folder grow, and measure a first and an unchanged run at each size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    options = parser.parse_args()
    lines = header("curate clean: memory and time as the folder grows", ["curate", "numpy", "pandas", "pyarrow"])
    lines.append(f"{'pictures':>10}{'':12}{'CPU s':>9}{'wall s':>9}{'peak MB':>9}{'kB/picture':>12}")
    curate = str(Path(sys.executable).parent / "curate")
    with tempfile.TemporaryDirectory() as scratch:
        folder, rendered = Path(scratch) / "many", 0
        folder.mkdir()
        for size in options.sizes:
            render(folder, rendered, size)
            rendered = size
            command = [curate, "clean", str(folder), "--labels", "none", "--store"]
            first = run_timed([*command, f"{scratch}/timed {size}"])
            again = run_timed([*command, f"{scratch}/timed {size}"])
            peak = peak_memory_mb([*command, f"{scratch}/memory {size}"])
            row = f"{first.cpu_s:9.1f}{first.wall_s:9.1f}{peak:9.0f}{peak * 1000 / size:12.1f}"
            lines.append(f"{size:10,}{'  first run':12}{row}")
            lines.append(f"{'':10}{'  unchanged':12}{again.cpu_s:9.1f}{again.wall_s:9.1f}")
    write_result("memory.txt", lines)


if __name__ == "__main__":
    main()
