"""One function on all cores, for arithmetic on arrays that this process holds.

The processes are forked, so they see the arrays as they are and only answers travel. Threads would share them as well,
but hundreds of short operations of numpy, each of which takes the interpreter's lock again, gained nothing on two
cores: 31 us for each pair of pictures, in place of 16. Where a process can't be forked safely, threads have to do.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import count
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from curate.errors import CurateError
from curate.executors import Crashed, Processes, available_cores, keep_freed_memory

if TYPE_CHECKING:
    from curate.settings import ExecutorSettings

Part = TypeVar("Part")
Answer = TypeVar("Answer")
Number = TypeVar("Number", bound=np.generic)

FEW_PARTS = 8  # of 2 ms (of `nearest`) to 20 ms: two forks and their answers take 30 ms
TASKS_PER_CORE = 16  # few enough that handing over costs nothing, many enough that no core waits for long at the end

_shared: dict[int, tuple[Callable[[Any], Any], Sequence[Any]]] = {}  # what forked processes find: function, parts
_names = count()
_allowed: ContextVar[int | None] = ContextVar("cores", default=None)  # None = all there are


@contextmanager
def as_chosen(executor: ExecutorSettings) -> Iterator[None]:
    """Inside, no more cores are used than were asked for: `serial` starts no process, `processes` so many as workers.

    A Ray cluster's workers say nothing of this machine, where the arrays are.
    """
    token = _allowed.set(None if executor.kind == "ray" else executor.at_a_time)
    try:
        yield
    finally:
        _allowed.reset(token)


def cores() -> int:
    """How many cores `on_all_cores` uses."""
    return _allowed.get() or available_cores()


def in_parts(values: NDArray[Number], size: int) -> list[NDArray[Number]]:
    """So many rows each, the last one fewer; views, not copies."""
    return [values[start : start + size] for start in range(0, len(values), size)]


def on_all_cores(function: Callable[[Part], Answer], parts: Sequence[Part], few: int = FEW_PARTS) -> Iterator[Answer]:
    """The function of each part, in order. What the function changes may be lost; what it returns has to be picklable.

    few: so many parts are not worth a process. A product of matrices stays on its core: BLAS would share it among
    threads that spin while they wait, which took a third of the CPU.
    """
    if len(parts) <= few:
        yield from map(function, parts)
        return

    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # of scikit-learn, untyped

    keep_freed_memory()
    with threadpool_limits(1, "blas"):
        if cores() == 1:
            yield from map(function, parts)
        elif sys.platform == "linux":
            yield from _forked(function, parts, cores())
        else:
            yield from _threaded(function, parts, cores())


def _threaded(function: Callable[[Part], Answer], parts: Sequence[Part], workers: int) -> Iterator[Answer]:
    with ThreadPoolExecutor(workers) as threads:
        yield from threads.map(function, parts)


def _forked(function: Callable[[Part], Answer], parts: Sequence[Part], workers: int) -> Iterator[Answer]:
    name = next(_names)
    _shared[name] = function, parts
    size = -(-len(parts) // (workers * TASKS_PER_CORE))
    tasks = [[(name, place) for place in range(at, min(at + size, len(parts)))] for at in range(0, len(parts), size)]
    waiting: dict[int, Answer] = {}
    following = 0
    try:
        for done in Processes(workers).map(_answers, tasks):
            if isinstance(done, Crashed):
                raise CurateError(
                    "A process that did a part of the work was killed, most likely because memory ran out.",
                    "Nothing is lost: free some memory and run the command again.",
                )
            waiting.update(done)
            while following in waiting:
                yield waiting.pop(following)
                following += 1
    finally:
        del _shared[name]


def _answers(task: Sequence[tuple[int, int]]) -> list[tuple[int, Any]]:
    """In a forked process: the answers to some parts, by their places."""
    return [(place, _shared[name][0](_shared[name][1][place])) for name, place in task]
