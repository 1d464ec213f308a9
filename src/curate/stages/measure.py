"""Measure: the content and the facts of every file, from the cache where it has them.

Which files must be read is decided here, by comparing what the file system says now with what was read before;
the reading and decoding itself is `map_images`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from curate.cache import Cache, tasks_and_columns
from curate.executors import Executor
from curate.images import TRANSIENT, Measured, Request, bytes_of, errors_of, hash_files, map_images, measure_files
from curate.progress import Progress, silent
from curate.rows import joined, places_of
from curate.sources import Source, file_in, root_of
from curate.stages.scan import other_files

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

STAT_COLUMNS = ["size_bytes", "mtime_ns", "inode"]


@dataclass
class Effort:
    """What measuring took.

    opened: pictures decoded. hashed: files read only to see whether their content is known.
    failures: "check: error" -> paths. unread: path -> reason, for files the system would not give us this time.
    settled: whether nothing is left to do, and size and time will tell of every file if it changes after this.
    """

    opened: int = 0
    hashed: int = 0
    failures: dict[str, list[str]] = field(default_factory=dict)
    unread: dict[str, str] = field(default_factory=dict)
    settled: bool = False


def measure(
    files: pd.DataFrame, source: Source, cache: Cache, executor: Executor, progress: Progress = silent
) -> tuple[pd.DataFrame, Effort]:
    """The scanned table with sha256, read_error and every fact, and what that took."""
    other = other_files(files["path"])
    work = _Work(root_of(source), other, cache, executor, progress)
    work.effort.unread = dict.fromkeys(files.loc[files["size_bytes"].isna(), "path"], "missing")
    known = digests_seen(files, cache.known_files())
    cache.split_older_parts()
    facts = cache.known_facts()
    files = work.hash_where_content_may_be_known(files.assign(sha256=known), facts)
    files = work.measure_what_is_missing(files, facts)
    if work.effort.opened:
        cache.compact()
        facts = cache.known_facts()
    if work.effort.opened or work.effort.hashed:
        known = digests_seen(files, cache.known_files())
    work.effort.settled = bool((known.notna() | other).all()) and not (work.effort.unread or work.effort.failures)
    return _with_facts(files, facts, other, work.effort.unread), work.effort


def digests_seen(files: pd.DataFrame, seen: pd.DataFrame) -> pd.Series[str]:
    """The digest of each file that is as it was when it was read, else NA. seen: see `Cache.last_read`."""
    place = places_of(files["path"], seen["path"])
    same = place >= 0
    if not same.any():
        return _mapped(files["path"], {})
    then = seen.iloc[place.clip(0)]
    for name in STAT_COLUMNS:
        same &= files[name].fillna(-1).to_numpy() == then[name].to_numpy()
    return then["sha256"].set_axis(files.index).where(same)


@dataclass
class _Work:
    """The two passes over files, sharing where they run and what they count. other: which rows are not opened."""

    root: str
    other: NDArray[np.bool_]
    cache: Cache
    executor: Executor
    progress: Progress
    effort: Effort = field(default_factory=Effort)

    def hash_where_content_may_be_known(self, files: pd.DataFrame, facts: pd.DataFrame) -> pd.DataFrame:
        """Digests for new files that are as large as something known: moved or copied, they need no decoding."""
        unknown = files[files["sha256"].isna() & self._readable(files)]
        candidates = unknown[unknown["size_bytes"].isin(facts["size_bytes"])]
        digests = self._run(hash_files, "Hashing", [self._request(row, ()) for row in _rows(candidates)])
        self.effort.hashed = len(digests)
        return files.assign(sha256=files["sha256"].fillna(_mapped(files["path"], digests)))

    def measure_what_is_missing(self, files: pd.DataFrame, facts: pd.DataFrame) -> pd.DataFrame:
        """Measure each content that lacks facts, once; files of unknown content are hashed on the way."""
        wanted = tuple(tasks_and_columns())
        complete = facts.index[facts["complete"]].to_series()
        lacking = files[self._readable(files) & (places_of(files["sha256"], complete) < 0)]
        measured, tried = dict[str, str](), set[str]()
        while True:  # a second time only if the file that stood for several of the same content has vanished
            done = lacking["sha256"].isin(list(measured.values())) | lacking["path"].isin(list(tried))
            todo = lacking[~done & ~lacking["path"].isin(list(self.effort.unread))]
            todo = todo[todo["sha256"].isna() | ~todo["sha256"].duplicated()]
            if todo.empty:
                break
            digests = self._run(measure_files, "Measuring", [self._request(row, wanted) for row in _rows(todo)])
            measured |= digests
            tried |= set(todo["path"])
            # What was read just now counts, even where size and time had promised something else.
            lacking = lacking.assign(sha256=_mapped(lacking["path"], digests).fillna(lacking["sha256"]))
        contents = files["sha256"].copy()
        contents[lacking.index] = lacking["sha256"]
        return files.assign(sha256=contents.mask(files["path"].isin(list(self.effort.unread))))

    def _readable(self, files: pd.DataFrame) -> NDArray[np.bool_]:
        unread: NDArray[np.bool_] = files["path"].isin(list(self.effort.unread)).to_numpy(bool)
        return ~(self.other | unread)

    def _request(self, row: tuple[str, int], tasks: tuple[str, ...]) -> Request:
        path, size_bytes = row
        return Request(path, file_in(self.root, path), size_bytes, tasks)

    def _run(
        self, work: Callable[[Sequence[Request]], list[Measured]], title: str, requests: list[Request]
    ) -> dict[str, str]:
        """Do the work, count and cache its results; path -> digest."""
        digests: dict[str, str] = {}
        if not requests:
            return digests
        try:
            with self.progress(title, len(requests)) as advance:
                for results in map_images(work, requests, self.executor):
                    self.cache.add(results)
                    self._count(results)
                    digests |= {result.path: result.sha256 for result in results if result.sha256}
                    advance(len(results), size_bytes=bytes_of(results), errors=errors_of(results))
        finally:
            self.cache.flush()
        return digests

    def _count(self, results: list[Measured]) -> None:
        for result in results:
            self.effort.opened += result.opened
            if result.read_error in TRANSIENT:
                self.effort.unread[result.path] = str(result.read_error)
            for task, error in result.failures.items():
                self.effort.failures.setdefault(f"{task.split('@')[0]}: {error}", []).append(result.path)


def _mapped(paths: pd.Series[str], values: dict[str, str]) -> pd.Series[str]:
    return paths.map(values).astype("str")  # of an empty dict, `map` makes numbers


def _rows(files: pd.DataFrame) -> Iterable[tuple[str, int]]:
    return zip(files["path"], files["size_bytes"], strict=True)


def _with_facts(
    files: pd.DataFrame, facts: pd.DataFrame, other: NDArray[np.bool_], unread: dict[str, str]
) -> pd.DataFrame:
    """Join the facts by content; files that were not read get the reason in `read_error`."""
    names = [one.name for columns in tasks_and_columns().values() for one in columns if one.dtype != "binary"]
    table = joined(files.drop(columns=["mtime_ns", "inode"]), facts[names].reset_index(), "sha256")
    reasons = _mapped(table["path"], unread).mask(table["sha256"].isna() & other, "not_an_image")
    return table.assign(read_error=table["read_error"].fillna(reasons))
