"""How long work tells how far it is: a stage asks for a bar, and whoever called decides what that looks like."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

Advance = Callable[[int], object]
Progress = Callable[[str, int], AbstractContextManager[Advance]]


def no_advance(count: int) -> None:
    """Take no notice."""


@contextmanager
def silent(title: str, total: int) -> Iterator[Advance]:  # noqa: ARG001  the signature of every Progress
    """No progress shown: the default of the library."""
    yield no_advance
