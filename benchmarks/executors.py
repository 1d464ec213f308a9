"""The same pictures cleaned on each executor: time, memory, what handing a chunk over costs; and the same version.

    python benchmarks/executors.py --data ../shared/data     (writes benchmarks/results/executors.txt; some 2 minutes)

CPU is that of all processes of the run, Ray's own included, as `/proc` shows it every 50 ms; what a process does after
it was last looked at is not in it. The driver is the process of the command.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from curate.executors import executor_for
from curate.settings import ExecutorSettings
from processes import header, write_result

KINDS = ("serial", "processes", "ray")
PICTURES = 3000
CHUNKS = 2000
CLEAN = "from curate_cli.main import main; main()"


@dataclass(frozen=True)
class Run:
    """What one run took. cpu_s: of all its processes; driver_s, driver_mb: of that of the command. id: the version."""

    wall_s: float
    cpu_s: float
    driver_s: float
    driver_mb: float
    id: str


def run(command: Sequence[str]) -> Run:
    started = time.perf_counter()
    process = psutil.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    cpu_s: dict[tuple[int, float], float] = {}
    peak_kb = 0
    while process.poll() is None:
        try:
            for one in [process, *process.children(recursive=True)]:
                used = one.cpu_times()
                cpu_s[one.pid, one.create_time()] = used.user + used.system
            status = Path(f"/proc/{process.pid}/status").read_text()
            peak_kb = int(found[1]) if (found := re.search(r"VmHWM:\s+(\d+)", status)) else peak_kb
        except (psutil.Error, OSError):
            pass  # it has ended meanwhile
        time.sleep(0.05)
    wall_s = time.perf_counter() - started
    driver_s = next(seconds for (pid, _), seconds in cpu_s.items() if pid == process.pid)
    made = json.loads(process.stdout.read())["id"]
    return Run(wall_s, sum(cpu_s.values()), driver_s, peak_kb / 1000, made)


def nothing(chunk: Sequence[int]) -> int:
    return len(chunk)


def hand_over_ms(kind: str, workers: int) -> float:
    """Wall milliseconds per chunk where there is nothing to do, on workers that have started."""
    answers = executor_for(ExecutorSettings(kind=kind, workers=workers)).map(nothing, [[0]] * CHUNKS)  # type: ignore[arg-type]
    next(iter(answers))
    started = time.perf_counter()
    for _ in answers:
        pass
    return 1000 * (time.perf_counter() - started) / CHUNKS


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--data", type=Path, default=Path("../shared/data"))
    options.add_argument("--workers", type=int, default=2)
    chosen = options.parse_args()
    lines = header(f"{PICTURES:,} small pictures cleaned, {chosen.workers} workers", ["curate", "ray"])
    lines.append("           wall s  CPU s  of the driver  driver MB  ms per chunk  same version")
    with tempfile.TemporaryDirectory() as folder:
        pictures = Path(folder) / "pictures"
        pictures.mkdir()
        files = sorted(file for file in (chosen.data / "corpus").rglob("*") if file.suffix.lower() == ".jpg")
        for number, file in enumerate(files[:PICTURES]):
            shutil.copyfile(file, pictures / f"{number}.jpg")
        found = {}
        for kind in KINDS:
            where = ["--store", f"{folder}/{kind}", "--executor", kind, "--workers", str(chosen.workers), "--json"]
            found[kind] = one = run([sys.executable, "-c", CLEAN, "clean", str(pictures), *where])
            same = "yes" if one.id == found["serial"].id else "no"
            ms = hand_over_ms(kind, chosen.workers)
            lines.append(
                f"{kind:<10}{one.wall_s:>7.1f}{one.cpu_s:>7.1f}{one.driver_s:>15.1f}{one.driver_mb:>11.0f}"
                f"{ms:>14.2f}{same:>14}"
            )
    write_result("executors.txt", lines)


if __name__ == "__main__":
    main()
