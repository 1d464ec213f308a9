"""The screen of `curate run`: a line for each stage that is through, and below, live, the one at work and the rest.

What is through is printed for good. The rest is drawn on stderr if that is a terminal, and drawn over again; without
one, only the lines of the stages appear, each when its stage is through.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from textwrap import fill
from typing import TYPE_CHECKING

import click

from curate.paths import printable
from curate.progress import Advance, Tally, telling
from curate_cli.events import this_commands_events, told
from curate_cli.output import WIDTH, shorten
from curate_cli.progress_line import REDRAW_S, duration, line_of

if TYPE_CHECKING:
    from curate.runs import StageRun

CLEAR_LINE, CLEAR_BELOW = "\x1b[K", "\x1b[J"  # ECMA-48, which every terminal of today knows
NAME_CELLS = 11  # "normalize" and "rebalance", and some room


class Screen:
    """Draws a run. quiet: what is printed for good goes to stderr, as stdout is for JSON."""

    def __init__(self, quiet: bool = False) -> None:
        self.ended: list[StageRun] = []
        self._waiting: Sequence[str] = ()
        self._at_work: str | None = None
        self._doing = ""
        self._live = sys.stderr.isatty()
        self._quiet = quiet
        self._drawn = 0  # lines on the terminal that are to be drawn over
        self._last_draw = 0.0

    def watch(self, stage: str, waiting: Sequence[str], ended: StageRun | None) -> None:
        """Take note that a stage begins or has ended, and of those that wait."""
        self._waiting = waiting
        this_commands_events().run_stage = stage if ended is None else None
        if ended is None:
            self._at_work, self._doing = stage, ""
        else:
            self.ended.append(ended)
            self._at_work = None
            self._erase()
            click.echo(lines_of(ended), err=self._quiet)
        self._draw()

    @contextmanager
    def bar(self, title: str, total: int) -> Iterator[Advance]:
        """Progress of the stage at work: how far it is, how fast, and how long it still takes."""
        tally = Tally(title, total)

        def draw() -> None:
            if time.monotonic() - self._last_draw > REDRAW_S:
                self._doing = line_of(tally, WIDTH - NAME_CELLS - 3)
                self._draw()

        self._doing = line_of(tally, WIDTH - NAME_CELLS - 3)
        self._draw()
        try:
            with told(tally) as tell:
                yield telling(tally, draw, tell)
        finally:
            self._doing = ""
            self._draw()

    def close(self) -> None:
        """Leave nothing on the terminal but what was printed for good."""
        self._at_work, self._waiting = None, ()
        self._erase()

    def _draw(self) -> None:
        if not self._live:
            return
        lines = [f"  {self._at_work:{NAME_CELLS}}{self._doing or 'at work'}"] if self._at_work else []
        lines += [f"  {stage:{NAME_CELLS}}waiting" for stage in self._waiting]
        columns, rows = shutil.get_terminal_size()
        # A line that wraps could not be drawn over; nor could one that has scrolled away.
        shown = [shorten(line, max(columns - 1, 10)) for line in lines][: max(rows - 1, 1)]
        # One write, each line cleared to its end and what is left of a longer list below: nothing flickers.
        self._write(self._back() + "".join(f"{line}{CLEAR_LINE}\n" for line in shown) + CLEAR_BELOW)
        self._drawn = len(shown)
        self._last_draw = time.monotonic()

    def _erase(self) -> None:
        if self._drawn:
            self._write(self._back() + CLEAR_BELOW)
            self._drawn = 0

    def _back(self) -> str:
        """To the first line that was drawn."""
        return f"\x1b[{self._drawn}F" if self._drawn else ""

    def _write(self, text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()


def lines_of(one: StageRun) -> str:
    """What became of a stage, in 80 columns: its name, what was found, which version it made, how long it took."""
    head = f"  {one.stage:{NAME_CELLS}}"
    if one.ending != "done":
        return fill(printable(_words(one)), WIDTH, initial_indent=head, subsequent_indent=" " * len(head))
    made = f"made {one.version.name}" if one.version else "" if one.stage == "report" else "no change"
    end = f"  {made:9}{duration(one.seconds) if one.seconds >= 1 else '':>11}"
    room = WIDTH - len(head) - len(end)
    return f"{head}{shorten(printable(one.found), room).ljust(room)}{end}".rstrip()


def _words(one: StageRun) -> str:
    """What became of a stage that has not run, or not to its end."""
    words = {"stood": "done before", "skipped": f"skipped: {one.why}", "failed": "failed"}
    return words.get(one.ending) or f"would run: {one.why}"
