"""Measure: the content and the facts of every file, from the cache where it has them.

Which files must be read is decided here, by comparing what the file system says now with what was read before;
the reading and decoding itself is `map_images`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from curate.cache import Cache, tasks_and_columns
from curate.executors import Executor
from curate.images import TRANSIENT, Measured, Request, hash_files, map_images, measure_files
from curate.paths import to_file_name
from curate.progress import Progress, silent
from curate.stages.scan import is_other_file

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

STAT_COLUMNS = ["size_bytes", "mtime_ns", "inode"]


@dataclass
class Effort:
    """What measuring took.

    opened: pictures decoded. hashed: files read only to see whether their content is known.
    failures: "check: error" -> paths. unread: path -> reason, for files the system would not give us this time.
    """

    opened: int = 0
    hashed: int = 0
    failures: dict[str, list[str]] = field(default_factory=dict)
    unread: dict[str, str] = field(default_factory=dict)


def measure(
    files: pd.DataFrame, folder: Path, cache: Cache, executor: Executor, progress: Progress = silent
) -> tuple[pd.DataFrame, Effort]:
    """The scanned table with sha256, read_error and every fact, and what that took."""
    other = [path for path in files["path"] if is_other_file(path)]
    work = _Work(os.path.realpath(folder), other, cache, executor, progress)
    work.effort.unread = dict.fromkeys(files.loc[files["size_bytes"].isna(), "path"], "missing")
    files = files.assign(sha256=_known_digests(files, cache))
    facts = cache.known_facts()
    files = work.hash_where_content_may_be_known(files, facts)
    files = work.measure_what_is_missing(files, facts)
    if work.effort.opened:
        cache.compact()
        facts = cache.known_facts()
    return _with_facts(files, facts, other, work.effort.unread), work.effort


def _known_digests(files: pd.DataFrame, cache: Cache) -> pd.Series[str]:
    """The digest of each file that has not changed since it was read, else NA."""
    seen = cache.known_files()
    key = ["path", *STAT_COLUMNS]
    seen = seen.astype({name: files[name].dtype for name in key})
    return files[key].merge(seen, on=key, how="left")["sha256"].set_axis(files.index)


@dataclass
class _Work:
    """The two passes over files, sharing where they run and what they count. other: paths that are not opened."""

    root: str
    other: list[str]
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
        known, tried = set(facts.index[facts["complete"]]), set[str]()
        while True:  # a second time only if the file that stood for several of the same content has vanished
            todo = files[self._readable(files) & ~files["sha256"].isin(known) & ~files["path"].isin(tried)]
            todo = todo[todo["sha256"].isna() | ~todo["sha256"].duplicated()]
            if todo.empty:
                return files.assign(sha256=files["sha256"].mask(files["path"].isin(list(self.effort.unread))))
            digests = self._run(measure_files, "Measuring", [self._request(row, wanted) for row in _rows(todo)])
            known |= set(digests.values())
            tried |= set(todo["path"])
            # What was read just now counts, even where size and time had promised something else.
            files = files.assign(sha256=_mapped(files["path"], digests).fillna(files["sha256"]))

    def _readable(self, files: pd.DataFrame) -> pd.Series[bool]:
        return ~files["path"].isin([*self.other, *self.effort.unread])

    def _request(self, row: tuple[str, int], tasks: tuple[str, ...]) -> Request:
        path, size_bytes = row
        return Request(path, os.path.join(self.root, to_file_name(path)), size_bytes, tasks)

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
                    advance(len(results))
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


def _with_facts(files: pd.DataFrame, facts: pd.DataFrame, other: list[str], unread: dict[str, str]) -> pd.DataFrame:
    """Join the facts by content; files that were not read get the reason in `read_error`."""
    names = [column.name for columns in tasks_and_columns().values() for column in columns]
    table = files.drop(columns=["mtime_ns", "inode"]).merge(
        facts[names], left_on="sha256", right_index=True, how="left"
    )
    unopened = table["sha256"].isna() & table["path"].isin(other)
    reasons = _mapped(table["path"], unread).mask(unopened, "not_an_image")
    return table.assign(read_error=table["read_error"].fillna(reasons))
