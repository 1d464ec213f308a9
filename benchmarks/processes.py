"""Whole processes, timed: CPU and wall seconds, peak memory; and the head line of every result file."""

from __future__ import annotations

import argparse
import os
import platform
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psutil

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Cost:
    """What one run of a command took; CPU of the process and all its children."""

    cpu_s: float
    wall_s: float


def run_timed(command: Sequence[str]) -> Cost:
    """Run to the end; raises CalledProcessError when it fails."""
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return Cost(usage.ru_utime + usage.ru_stime, wall)


def cpu_seconds() -> float:
    """CPU that this process has taken so far, and those of its children that have ended."""
    return sum(os.times()[:4])


def peak_memory_mb(command: Sequence[str]) -> float:
    """Highest memory of the process and its children together, shared pages counted once (PSS), in MB.

    Sampled every 20 ms, in a run of its own because that costs time.
    """
    import psutil

    process = psutil.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    peak = 0.0
    while process.poll() is None:
        peak = max(peak, _memory_mb(process))
        time.sleep(0.02)
    return peak


@dataclass(frozen=True)
class Watched:
    """What one run took, and how it ended. memory: the highest of all its processes together, in MB.

    code: its exit code; None if it was ended because it ran past its time. said: the end of its error output.
    """

    cpu_s: float
    wall_s: float
    peak_mb: float
    code: int | None
    said: str


def run_watched(command: Sequence[str], limit_s: float = 3600.0) -> Watched:
    """Run to the end, or to the limit; time and memory of the same run.

    Memory is sampled (PSS of the process and its children, shared pages once) at most a tenth of the time, so that it
    costs the command next to nothing; a peak of one process between two samples is known from the kernel.
    """
    started = time.perf_counter()
    with tempfile.TemporaryFile() as errors:
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors, start_new_session=True)
        peaks, over = [0.0], threading.Event()
        sampler = threading.Thread(target=_sample_memory, args=(child.pid, over, peaks))
        limit = threading.Timer(limit_s, os.killpg, (child.pid, signal.SIGKILL))
        sampler.start()
        limit.start()
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.perf_counter() - started
        limit.cancel()
        over.set()
        sampler.join()
        child.returncode = os.waitstatus_to_exitcode(status)
        errors.seek(0)
        said = errors.read().decode(errors="replace").strip()[-300:]
    # A child begins as a copy of this process, and the kernel counts its peak from there.
    known = usage.ru_maxrss > resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    peak = max(*peaks, usage.ru_maxrss * 1024 / 1e6 if known else 0.0)
    code = None if wall >= limit_s else child.returncode
    return Watched(usage.ru_utime + usage.ru_stime, wall, peak, code, said)


def _sample_memory(pid: int, over: threading.Event, peaks: list[float]) -> None:
    """Keep the highest sum in `peaks`, until it is over."""
    import psutil

    process = psutil.Process(pid)
    pause = 0.0
    while not over.wait(pause):
        begun = time.perf_counter()
        peaks[0] = max(peaks[0], _memory_mb(process))
        pause = max(0.02, 10 * (time.perf_counter() - begun))


def _memory_mb(process: psutil.Process) -> float:
    import psutil

    total = 0.0
    for one in [process, *_children(process)]:
        try:
            total += one.memory_full_info().pss
        except psutil.Error:
            continue
    return total / 1e6


def _children(process: psutil.Process) -> list[psutil.Process]:
    import psutil

    try:
        return process.children(recursive=True)
    except psutil.Error:
        return []


def header(title: str, packages: Sequence[str]) -> list[str]:
    """Title, date, machine and versions."""
    versions = []
    for name in packages:
        try:
            versions.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            versions.append(f"{name} missing")
    machine = f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}"
    return [
        title,
        f"{datetime.now(UTC):%Y-%m-%d}, {machine}",
        ", ".join(versions),
        "",
    ]


def write_result(name: str, lines: Sequence[str]) -> None:
    """Print, and keep as text beside the benchmark."""
    text = "\n".join(lines) + "\n"
    sys.stdout.write(text)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / name).write_text(text, encoding="utf-8")


def print_part(description: str | None, measure_quality: Callable[[Path], list[str]]) -> None:
    """The command line of one part of quality.py: `--data FOLDER`; prints its lines."""
    sys.stdout.write("\n".join(measure_quality(data_folder(description, "photos"))) + "\n")


def data_folder(description: str | None, needed: str) -> Path:
    """The command line of a benchmark on real data: `--data FOLDER`, which must have a folder of that name."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    data: Path = parser.parse_args().data
    if not (data / needed).is_dir():
        parser.error(f"there is no folder {data / needed}: this benchmark needs the real data, see --data")
    return data
