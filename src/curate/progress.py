"""How long work tells how far it is: a stage asks for a bar, and whoever called decides what that looks like."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Protocol

# The rate is that of the last half minute: what files come next is seldom like what came first.
MARK_EVERY_S, MARKS = 1.0, 30


class Advance(Protocol):
    """Takes note of what is done since the last time.

    count: items. size_bytes: what was read, or sent, for them. errors: how many of them failed, such as pictures that
    can't be read.
    """

    def __call__(self, count: int, /, *, size_bytes: int = 0, errors: int = 0) -> object: ...


# Called with a title and the number of items, 0 where nobody knows it.
Progress = Callable[[str, int], AbstractContextManager[Advance]]


def no_advance(count: int, /, *, size_bytes: int = 0, errors: int = 0) -> None:
    """Take no notice."""


@contextmanager
def silent(title: str, total: int) -> Iterator[Advance]:  # noqa: ARG001  the signature of every Progress
    """No progress shown: the default of the library."""
    yield no_advance


@dataclass(frozen=True, slots=True)
class _Mark:
    """How far it was at some time of `time.monotonic`."""

    at_s: float
    done: int
    size_bytes: int


@dataclass
class Tally:
    """How far a stage is: its items, the bytes read for them, and those that failed.

    total: 0 = nobody knows. begun_s: time of `time.monotonic`.
    """

    title: str
    total: int
    done: int = 0
    size_bytes: int = 0
    errors: int = 0
    begun_s: float = field(default_factory=time.monotonic)
    _marks: deque[_Mark] = field(default_factory=lambda: deque(maxlen=MARKS))

    def advance(self, count: int, /, *, size_bytes: int = 0, errors: int = 0) -> None:
        """See `Advance`."""
        now = time.monotonic()
        if not self._marks:
            self._marks.append(_Mark(self.begun_s, 0, 0))
        elif now - self._marks[-1].at_s > MARK_EVERY_S:
            self._marks.append(_Mark(now, self.done, self.size_bytes))
        self.done += count
        self.size_bytes += size_bytes
        self.errors += errors

    @property
    def seconds(self) -> float:
        """Since it began."""
        return time.monotonic() - self.begun_s

    @property
    def per_second(self) -> float:
        """Items a second, lately."""
        return (self.done - self._marks[0].done) / self._lately_s if self._marks else 0.0

    @property
    def bytes_per_second(self) -> float:
        """Bytes a second, lately."""
        return (self.size_bytes - self._marks[0].size_bytes) / self._lately_s if self._marks else 0.0

    @property
    def eta_s(self) -> float | None:
        """How long the rest takes at this rate; None where nobody knows."""
        if not self.total or not self.per_second:
            return None
        return max(self.total - self.done, 0) / self.per_second

    @property
    def _lately_s(self) -> float:
        return max(time.monotonic() - self._marks[0].at_s, 1e-3)  # so soon after the beginning there is no rate yet


def telling(tally: Tally, *watchers: Callable[[], object]) -> Advance:
    """Count into the tally, then tell each watcher that it has changed."""

    def advance(count: int, /, *, size_bytes: int = 0, errors: int = 0) -> None:
        tally.advance(count, size_bytes=size_bytes, errors=errors)
        for watcher in watchers:
            watcher()

    return advance
