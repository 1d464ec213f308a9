"""Speed of `curate clean` beside CleanVision and the floor, on the same files in the same run, alternating.

    python benchmarks/clean.py --data ../shared/data        (writes benchmarks/results/clean.txt)

The floor reads every file and decodes it once, strictly, to 1/8 size in grey, on as many threads as there are
cores: no tool that looks at every picture can be faster. All figures are whole processes, start-up included;
the start-up alone is measured on a folder with one picture, and `per image` is what each further one costs.
All run with compiled bytecode, as pip installs packages, even where the shell's settings or a checkout leave it out.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from processes import Cost, header, peak_memory_mb, run_timed, write_result

FLOOR = """
import os, sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
import simplejpeg
def decode(path):
    data = path.read_bytes()
    simplejpeg.decode_jpeg(data, "GRAY", strict=True, min_height=1, min_width=1, min_factor=8)
with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
    list(pool.map(decode, sorted(Path(sys.argv[1]).iterdir())))
"""
CLEANVISION = """
import sys
from cleanvision import Imagelab
if __name__ == "__main__":
    Imagelab(data_path=sys.argv[1]).find_issues(verbose=False)
"""
Command = Callable[[Path, Path], list[str]]  # folder, scratch folder -> command line


def commands(scratch: Path) -> dict[str, Command]:
    """The three contenders, as command lines."""
    (scratch / "floor.py").write_text(FLOOR)
    (scratch / "cleanvision_run.py").write_text(CLEANVISION)
    return {
        "CleanVision 0.3.7": lambda folder, _: [sys.executable, str(scratch / "cleanvision_run.py"), str(folder)],
        "curate clean": lambda folder, store: curate(folder, store),
        "floor": lambda folder, _: [sys.executable, str(scratch / "floor.py"), str(folder)],
    }


def curate(folder: Path, store: Path, *more: str) -> list[str]:
    """The command line of `curate clean`, all checks on."""
    return [str(Path(sys.executable).parent / "curate"), "clean", str(folder), "--store", str(store), *more]


def compare(folder: Path, rounds: int, scratch: Path) -> list[str]:
    """One table: every contender on one folder."""
    contenders = commands(scratch)
    one = scratch / f"one of {folder.name}"
    one.mkdir(exist_ok=True)
    first, *_ = files = sorted(folder.iterdir())
    (one / first.name).write_bytes(first.read_bytes())
    for name, command in contenders.items():
        run_timed(command(one, scratch / f"compile {folder.name} {name}"))
    full: dict[str, list[Cost]] = {name: [] for name in contenders}
    start: dict[str, list[Cost]] = {name: [] for name in contenders}
    for turn in range(rounds):
        for name, command in contenders.items():
            full[name].append(run_timed(command(folder, scratch / f"{folder.name} {name} {turn}")))
            start[name].append(run_timed(command(one, scratch / f"one {folder.name} {name} {turn}")))
    memory = {
        name: peak_memory_mb(command(folder, scratch / f"{folder.name} memory {name}"))
        for name, command in contenders.items()
    }
    size_mb = sum(file.stat().st_size for file in files) / 1e6
    return [
        f"{folder.name}: {len(files)} pictures, {size_mb:.0f} MB; median of {rounds}",
        f"{'':20}{'CPU s':>8}{'wall s':>8}{'start-up CPU s':>16}{'CPU ms/image':>14}{'ms, further':>13}{'peak MB':>9}",
        *(_row(name, full[name], start[name], len(files), memory[name]) for name in contenders),
        *_ratios(full, start),
        "",
    ]


def _row(name: str, full: list[Cost], start: list[Cost], images: int, memory: float) -> str:
    cpu, cpu_start = _cpu(full), _cpu(start)
    wall = statistics.median(cost.wall_s for cost in full)
    further = (cpu - cpu_start) / (images - 1)
    return (
        f"{name:20}{cpu:8.2f}{wall:8.2f}{cpu_start:16.2f}{cpu / images * 1000:14.2f}{further * 1000:13.2f}{memory:9.0f}"
    )


def _ratios(full: dict[str, list[Cost]], start: dict[str, list[Cost]]) -> list[str]:
    peer, ours, floor = "CleanVision 0.3.7", "curate clean", "floor"
    further = {name: _cpu(full[name]) - _cpu(start[name]) for name in full}
    return [
        f"CleanVision's CPU / ours: {_cpu(full[peer]) / _cpu(full[ours]):.1f} for the whole process",
        f"CleanVision's CPU / ours: {further[peer] / further[ours]:.1f} per further image",
        f"floor's CPU / ours: {further[floor] / further[ours]:.2f} per further image",
    ]


def _cpu(costs: list[Cost]) -> float:
    return statistics.median(cost.cpu_s for cost in costs)


def repeated_runs(folder: Path, scratch: Path) -> list[str]:
    """What later runs cost: unchanged, another threshold, 1 % new files."""
    import shutil

    copy, store = scratch / "growing", scratch / "growing store"
    shutil.copytree(folder, copy)
    files = sorted(copy.iterdir())
    held_back = files[:: max(1, len(files) // max(1, round(len(files) / 100)))][: max(1, round(len(files) / 100))]
    aside = scratch / "aside"
    aside.mkdir()
    for file in held_back:
        file.rename(aside / file.name)
    rows = [("first run", run_timed(curate(copy, store)))]
    rows.append(("unchanged", run_timed(curate(copy, store))))
    rows.append(("other threshold", run_timed(curate(copy, store, "--set", "checks.blurry.min_sharpness=0.05"))))
    for file in aside.iterdir():
        file.rename(copy / file.name)
    rows.append((f"{len(held_back)} new files", run_timed(curate(copy, store))))
    return [
        "Later runs on " + folder.name,
        *(f"{name:20}{cost.cpu_s:8.2f} CPU s{cost.wall_s:8.2f} wall s" for name, cost in rows),
        "",
    ]


def main() -> None:
    """Compare on photos and photos_large, then write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    if not (options.data / "photos").is_dir():
        sys.exit(f"There is no folder {options.data / 'photos'}: give one with --data.")
    lines = header(
        "curate clean: speed and memory",
        ["curate", "cleanvision", "pillow", "simplejpeg", "numpy", "pandas", "pyarrow"],
    )
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    with tempfile.TemporaryDirectory() as scratch:
        for name in ("photos", "photos_large"):
            lines += compare(options.data / name, options.rounds, Path(scratch))
        lines += repeated_runs(options.data / "photos", Path(scratch))
    write_result("clean.txt", lines)


if __name__ == "__main__":
    main()
