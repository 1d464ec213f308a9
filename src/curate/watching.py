"""`watch`: take in what arrives in an inbox, batch by batch, until somebody stops it.

The inbox is looked at every few seconds rather than by the system's notices of changes: those don't exist on network
file systems, get lost when there are many, and tell that a file was touched, not that it is whole. What was taken is
known from the batches (`curate.batches`), so a watcher that is stopped or killed goes on where it was.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from curate.adding import Added, add, directory_of, fresh_files
from curate.arriving import PATIENCE_S, Arrived, look_for
from curate.batches import Batch, read_batches
from curate.errors import SourceError, StoreError
from curate.progress import Progress, silent
from curate.project import Project

EVERY_S = 5.0  # a look at 10,000 files takes 0.1 s
WAIT_S = 30.0  # a batch is a version: so that a camera's card of pictures makes one, not fifty
BATCH = 500  # and so that a stream that never stops makes some

Sleep = Callable[[float], object]


def watch(
    folder: str | Path,
    inbox: str | Path,
    *,
    into: str = "",
    every_s: float = EVERY_S,
    wait_s: float = WAIT_S,
    batch: int = BATCH,
    once: bool = False,
    store: str | Path | None = None,
    config: str | Path | None = None,
    changes: Mapping[str, Any] | None = None,
    executor: str | None = None,
    workers: int | None = None,
    suggest: bool = True,
    patience_s: float = PATIENCE_S,
    progress: Progress = silent,
    troubled: Callable[[StoreError], object] | None = None,
    sleep: Sleep = time.sleep,
) -> Iterator[Added]:
    """Take in what arrives in a folder; yields each batch when a version holds it.

    every_s: seconds between two looks. wait_s: nothing new for so long, or `batch` new files, make a batch. once: take
    what is whole and end, without waiting. troubled: is told of a disk that is full or a store that is locked, and the
    watch goes on; None = it ends with that error. Other parameters: see `curate.add`.
    Raises SourceError for an inbox that is no folder, or lies in the folder of images.
    """
    project = Project.at(folder, store, config)
    place = Path(inbox)
    if not place.is_dir():
        raise SourceError(f"There is no folder {str(inbox)!r} to watch.", "Check the spelling, or make it first.")
    directory = directory_of(project)
    quiet = _Quiet(wait_s, batch)
    while True:
        try:
            arrived = look_for([place], directory, project.store, patience_s)
            batches = read_batches(project.batches)
            left = any(one.state != "done" for one in batches)  # whoever took it in was killed
            if once or left or quiet.is_over(batches, arrived):
                done = add(
                    folder, [place], into=into, store=store, config=config, changes=changes, executor=executor,
                    workers=workers, suggest=suggest, patience_s=patience_s, progress=progress,
                )  # fmt: skip
                if done.batch is not None or once:
                    yield done
                    quiet = _Quiet(wait_s, batch)
        except StoreError as error:
            if troubled is None or once:
                raise
            troubled(error)
        if once:
            return
        sleep(every_s)


class _Quiet:
    """Whether nothing more comes for now, so that what is there makes a batch."""

    def __init__(self, wait_s: float, batch: int) -> None:
        self._wait_s = wait_s
        self._batch = batch
        self._before: set[str] = set()
        self._since = time.monotonic()

    def is_over(self, batches: Sequence[Batch], arrived: Arrived) -> bool:
        """Ask with every look at the inbox."""
        fresh = {one.file for one in fresh_files(batches, arrived)}
        if fresh != self._before or (arrived.waiting and len(fresh) < self._batch):
            self._before, self._since = fresh, time.monotonic()
        return bool(fresh) and (len(fresh) >= self._batch or time.monotonic() - self._since >= self._wait_s)
