"""What a command tells other programs while it works: one JSON object per line on the descriptor of --progress-fd.

docs/progress.md describes the lines. Work never waits for who reads them: while the reader is behind, events of
progress are left out, and those that come once wait here, in order. A reader that goes away is not missed.
"""

from __future__ import annotations

import json
import os
import select
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from curate.progress import Tally

if TYPE_CHECKING:
    from curate.versions import Version

EVERY_S = 0.1  # so often at most is progress told, within one stage
LAST_WAIT_S = 2.0  # so long a reader that is behind is given at the end
# Characters of a message or a hint. Each takes 6 bytes at most, so that a line stays below Linux's PIPE_BUF, 4,096:
# what a pipe that takes anything takes at once, without blocking.
MAX_TEXT = 300


class Events:
    """The events of one command; without a descriptor they go nowhere."""

    def __init__(self) -> None:
        self.command: str | None = None
        self.run_stage: str | None = None  # of `curate run`
        self._descriptor: int | None = None
        self._waiting: deque[bytes] = deque()
        self._made: dict[str, object] = {}
        self._begun_s = time.monotonic()

    @property
    def seconds(self) -> float:
        """Since the command began."""
        return time.monotonic() - self._begun_s

    def open(self, descriptor: int, command: str | None) -> None:
        """Tell everything there from now on. Raises click.BadParameter when it can't be written to."""
        _require_writable(descriptor)
        if descriptor > 2:  # standard streams are there for whatever is started
            os.set_inheritable(descriptor, False)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._leave)
        self._descriptor, self.command = descriptor, command
        self.tell("begin", stage=None, pid=os.getpid())

    def tell(self, event: str, **fields: object) -> None:
        """Tell something that must not be left out."""
        if self._descriptor is not None:
            self._waiting.append(self._line(event, fields))
            self._flush()

    def tell_if_read(self, event: str, **fields: object) -> None:
        """Tell something that the next event of its kind makes old, unless the reader is behind."""
        if self._descriptor is None:
            return
        self._flush()
        if not self._waiting and self._takes_more(0):
            self._write(self._line(event, fields))

    @contextmanager
    def stage(self, tally: Tally) -> Iterator[Callable[[], object]]:
        """Tell that a stage begins and ends; gives what tells how far it is."""
        told_s = 0.0

        def tell() -> None:
            nonlocal told_s
            if self._descriptor is not None and time.monotonic() - told_s > EVERY_S:
                told_s = time.monotonic()
                self.tell_if_read("progress", **_far(tally))

        self.tell("begin", **_far(tally))
        try:
            yield tell
        finally:
            self.tell("end", **_far(tally), seconds=round(tally.seconds, 3))

    def made(self, version: Version | None, is_new: bool) -> None:
        """Note the version that the command leaves behind, for the result."""
        if version is not None:
            self._made = {"version": version.name, "id": version.id, "is_new": is_new}

    def end(self, exit_code: int) -> None:
        """Tell the result, the last event; wait a little for a reader that is behind."""
        self.tell("result", exit_code=exit_code, **{"version": None, "id": None, "is_new": False, **self._made})
        until = time.monotonic() + LAST_WAIT_S
        while self._waiting and self._takes_more(max(until - time.monotonic(), 0)):
            self._flush()
        self._descriptor = None

    def _line(self, event: str, fields: dict[str, object]) -> bytes:
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        about = {"event": event, "time": now, "command": self.command, "run_stage": self.run_stage, **fields}
        cut = {name: value[:MAX_TEXT] if isinstance(value, str) else value for name, value in about.items()}
        text = json.dumps(cut, ensure_ascii=False)
        return text.encode("utf-8", "backslashreplace") + b"\n"

    def _flush(self) -> None:
        while self._waiting and self._takes_more(0):
            self._write(self._waiting.popleft())

    def _takes_more(self, timeout_s: float) -> bool:
        """Whether a line can be written without waiting. The descriptor's flags stay: others may share them."""
        if self._descriptor is None:
            return False
        if not hasattr(select, "poll"):
            return True  # Windows: there it has to be tried
        poll = select.poll()
        poll.register(self._descriptor, select.POLLOUT)
        return bool(poll.poll(timeout_s * 1000))

    def _write(self, line: bytes) -> None:
        try:
            while line and self._descriptor is not None:
                line = line[os.write(self._descriptor, line) :]
        except OSError:  # the reader has gone, or the disk is full; the work goes on
            self._waiting.clear()
            self._descriptor = None

    def _leave(self) -> None:
        """In a worker that was forked: let go, so that the reader sees the end when the command itself ends."""
        if self._descriptor is not None:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._descriptor)
            os.close(nowhere)
            self._descriptor = None
            self._waiting.clear()


def _far(tally: Tally) -> dict[str, Any]:
    eta_s = tally.eta_s
    return {
        "stage": tally.title,
        "done": tally.done,
        "total": tally.total or None,
        "per_second": round(tally.per_second, 3),
        "eta_s": None if eta_s is None else round(eta_s, 1),
        "size_bytes": tally.size_bytes,
        "errors": tally.errors,
    }


def _require_writable(descriptor: int) -> None:
    try:
        writable = _access(descriptor) != os.O_RDONLY
    except OSError:
        writable = False
    if not writable:
        raise click.BadParameter(
            f"{descriptor} is no descriptor that is open for writing. "
            f"In a shell: curate --progress-fd {descriptor} … {descriptor}>events.jsonl",
            param_hint="--progress-fd",
        )


def _access(descriptor: int) -> int:
    """O_RDONLY, O_WRONLY or O_RDWR. Raises OSError when it is not open."""
    try:
        from fcntl import F_GETFL, fcntl
    except ImportError:  # Windows
        os.fstat(descriptor)
        return os.O_RDWR
    return int(fcntl(descriptor, F_GETFL)) & os.O_ACCMODE


def this_commands_events() -> Events:
    """The events of the command that runs."""
    context = click.get_current_context(silent=True)
    return (context.find_object(Events) if context else None) or Events()


def told(tally: Tally) -> AbstractContextManager[Callable[[], object]]:
    """Tell about a stage of the command that runs, see `Events.stage`."""
    return this_commands_events().stage(tally)
