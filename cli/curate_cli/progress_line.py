"""How far a stage is, in one line of 80 columns at most: share, count, rate, what is left, errors, bytes.

    Measuring  45% [#######.........] 450,000/1,000,000, 1,453/s, 6 min 18 s left

Where there is no room for everything, the bar goes first, then the bytes: errors are what somebody has to act upon.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from curate.progress import Tally
from curate_cli.output import WIDTH, shorten

REDRAW_S = 0.1  # more often nobody can read it
DELAY_S = 1.0  # what takes less needs no bar
BAR_CELLS = 16
SETTLED_S = 1.0  # before that, a rate says nothing


@contextmanager
def drawn(tally: Tally, waited_s: float = 0.0) -> Iterator[Callable[[], object]]:
    """Gives what draws the line on stderr, over itself. It does nothing without a terminal, or within a second.

    waited_s: so long somebody has waited already when the stage began.
    """
    if not sys.stderr.isatty():
        yield _nothing
        return
    due_s, cells = tally.begun_s + max(DELAY_S - waited_s, 0), 0

    def draw() -> None:
        nonlocal due_s, cells
        if time.monotonic() >= due_s:
            line = line_of(tally, min(_columns(), WIDTH) - 1)
            _write(f"\r{line.ljust(cells)}")
            due_s, cells = time.monotonic() + REDRAW_S, len(line)

    try:
        draw()
        yield draw
    finally:
        if cells:
            _write(f"\r{' ' * cells}\r")  # spaces, as not every terminal knows how to clear a line


def _columns() -> int:
    """Of the terminal that stderr is: stdout may be a file."""
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or WIDTH  # 0: it does not know
    except OSError:
        return WIDTH


def _nothing() -> None:
    """Nobody looks."""


def line_of(tally: Tally, width: int) -> str:
    """The line of this stage, at most so wide."""
    head = f"{tally.title} {_share(tally):4.0%} " if tally.total else f"{tally.title} "
    parts = _parts(tally)
    bar = _bar(tally)
    if len(head) + len(bar) + len(", ".join(parts)) > width:
        bar = ""
    while len(parts) > 1 and len(head) + len(bar) + len(", ".join(parts)) > width:
        parts.pop()
    return shorten(f"{head}{bar}{', '.join(parts)}".rstrip(), width)


def _parts(tally: Tally) -> list[str]:
    """What can be said, the most important first."""
    in_bytes = 0 < tally.done == tally.size_bytes  # of a download, bytes are the items
    count = size_of if in_bytes else "{:,}".format
    parts = [f"{count(tally.done)}/{count(tally.total)}" if tally.total else count(tally.done)] if tally.done else []
    settled = tally.seconds > SETTLED_S
    if tally.errors:
        parts.append(f"{tally.errors:,} error{'s' if tally.errors > 1 else ''}")
    if settled and tally.eta_s and tally.done < tally.total:
        parts.append(f"{duration(tally.eta_s)} left")
    if settled and tally.done and not in_bytes:
        parts.append(f"{rate(tally.per_second)}/s")
    if settled and tally.size_bytes:
        parts.append(f"{size_of(tally.bytes_per_second)}/s")
    if tally.size_bytes and not in_bytes:
        parts.append(size_of(tally.size_bytes))
    return parts


def _share(tally: Tally) -> float:
    return min(tally.done / tally.total, 1.0)


def _bar(tally: Tally) -> str:
    if not tally.total:
        return ""
    filled = int(_share(tally) * BAR_CELLS)
    return f"[{'#' * filled}{'.' * (BAR_CELLS - filled)}] "


def rate(per_second: float) -> str:
    """1,453 · 4.5 · 0.02, three digits or more."""
    return f"{per_second:,.0f}" if per_second >= 10 else f"{per_second:.2g}"


def size_of(size_bytes: float) -> str:
    """512 B, 3.2 MB, 12 GB: powers of 1000, as disks count."""
    for unit in ("B", "kB", "MB", "GB"):
        if size_bytes < 999.5:
            return f"{size_bytes:.1f} {unit}" if size_bytes < 9.95 and unit != "B" else f"{size_bytes:.0f} {unit}"
        size_bytes /= 1000
    return f"{size_bytes:.1f} TB"


def duration(seconds: float) -> str:
    """3 s, 4 min 10 s, 2 h 5 min."""
    whole = max(round(seconds), 1)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def _write(text: str) -> None:
    sys.stderr.write(text)
    sys.stderr.flush()
