"""Where per-image work runs: one method, `map(function, chunks)`.

`Serial` runs in this process, `Processes` on all cores. Both yield one result per chunk, in the order in which
chunks finish, and both need `function` to live at module level: a closure can't be sent to another process.

A decoder that kills its process (a segmentation fault, the out-of-memory killer) costs only the item that did
it: the chunks that were running are run again alone, halved until the culprit is found, and that item comes
back as `Crashed`.
"""

from __future__ import annotations

import ctypes
import gc
import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from curate.settings import ExecutorSettings

Item = TypeVar("Item")
Result = TypeVar("Result")

# Enough to keep every worker busy while the parent writes, few enough to bound what waits in memory.
CHUNKS_IN_FLIGHT_PER_WORKER = 3


@dataclass(frozen=True)
class Crashed(Generic[Item]):
    """Stands for the result of an item whose processing killed the worker."""

    item: Item


class Executor(Protocol):
    """Runs a function over chunks."""

    @property
    def workers(self) -> int:
        """How many chunks run at the same time."""
        ...

    def map(
        self, function: Callable[[Sequence[Item]], Result], chunks: Iterable[Sequence[Item]]
    ) -> Iterator[Result | Crashed[Item]]:
        """Yield `function(chunk)` for every chunk, in the order in which they finish."""
        ...


@dataclass(frozen=True)
class Serial:
    """Everything in this process, one chunk after the other."""

    workers: int = 1

    def map(
        self, function: Callable[[Sequence[Item]], Result], chunks: Iterable[Sequence[Item]]
    ) -> Iterator[Result | Crashed[Item]]:
        """Yield `function(chunk)` for every chunk, in order."""
        for chunk in chunks:
            with quiet_c_libraries():
                result = function(chunk)
            yield result


@dataclass(frozen=True)
class Processes:
    """One worker process per core."""

    workers: int

    def map(
        self, function: Callable[[Sequence[Item]], Result], chunks: Iterable[Sequence[Item]]
    ) -> Iterator[Result | Crashed[Item]]:
        """Yield `function(chunk)` for every chunk, in the order in which they finish."""
        waiting = iter(chunks)
        while True:
            interrupted = yield from self._run_until_a_worker_dies(function, waiting)
            if not interrupted:
                return
            for chunk in interrupted:
                yield from self._run_alone(function, chunk)

    def _run_until_a_worker_dies(
        self, function: Callable[[Sequence[Item]], Result], waiting: Iterator[Sequence[Item]]
    ) -> Generator[Result, None, list[Sequence[Item]]]:
        """Yield results; return the chunks that were running when a worker died, or []."""
        running: dict[Future[Result], Sequence[Item]] = {}
        refused: list[Sequence[Item]] = []
        pool = _new_pool(self.workers)
        try:
            while True:
                for chunk in _take(waiting, self.workers * CHUNKS_IN_FLIGHT_PER_WORKER - len(running)):
                    refused = [chunk]  # until the pool has it: one that is already broken does not take it
                    running[pool.submit(function, chunk)] = chunk
                    refused = []
                if not running:
                    return []
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    result = future.result()  # raises BrokenProcessPool, with its chunk still in `running`
                    del running[future]
                    yield result
        except BrokenProcessPool:
            return [*running.values(), *refused]
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _run_alone(
        self, function: Callable[[Sequence[Item]], Result], chunk: Sequence[Item]
    ) -> Iterator[Result | Crashed[Item]]:
        suspects = deque([chunk])
        while suspects:
            part = suspects.popleft()
            try:
                with _new_pool(1) as pool:
                    result = pool.submit(function, part).result()
            except BrokenProcessPool:
                if len(part) == 1:
                    yield Crashed(part[0])
                else:
                    middle = len(part) // 2
                    suspects.extend((part[:middle], part[middle:]))
            else:
                yield result


def executor_for(chosen: ExecutorSettings) -> Executor:
    """The executor that the settings ask for."""
    if chosen.kind == "ray":
        from curate.ray_executor import OnRay

        return OnRay(chosen.workers, chosen.address)
    count = chosen.at_a_time or available_cores()
    return Serial() if count == 1 else Processes(count)


def available_cores() -> int:
    """Cores this process may use, which in a container is fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _take(iterator: Iterator[Item], count: int) -> Iterator[Item]:
    for _ in range(count):
        try:
            yield next(iterator)
        except StopIteration:
            return


def _new_pool(workers: int) -> ProcessPoolExecutor:
    # Linux forks: it costs no start-up and works from notebooks and from scripts without a __main__ guard. The
    # children only decode and do small array arithmetic, so locks of the parent's threads can't hurt them.
    method = "fork" if sys.platform == "linux" else "spawn"
    context = multiprocessing.get_context(method)
    return ProcessPoolExecutor(workers, mp_context=context, initializer=_prepare_worker)


def _prepare_worker() -> None:
    keep_freed_memory()
    gc.freeze()  # what was forked with us is not ours to collect, and looking at it would copy its pages
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # libtiff and libpng print to C stderr
    threading.Thread(target=_exit_with_parent, daemon=True).start()


# In bytes. A picture at the working size takes less than the first, unless it is a long panorama.
KEPT_BLOCK, KEPT_IN_ALL = 16 << 20, 64 << 20
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # from glibc's malloc.h


def keep_freed_memory() -> None:
    """Let one picture's memory serve for the next.

    glibc gives large blocks back to the system when they are freed, which then clears every page that we get anew:
    0.1 ms per photograph. Other C libraries have no such setting.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, KEPT_BLOCK)
        mallopt(_M_TRIM_THRESHOLD, KEPT_IN_ALL)


def _exit_with_parent() -> None:
    """A parent that is killed can't tell its workers to stop; they would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


@contextmanager
def quiet_c_libraries() -> Iterator[None]:
    """Send file descriptor 2 to nowhere for a while: libtiff and libpng print there, past `sys.stderr`."""
    sys.stderr.flush()
    saved = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
