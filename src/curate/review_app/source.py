"""Where a session gets its pictures from: the newest version, with what `flag` says since it was made.

Labels are doubted anew while people work, by `curate flag` in a terminal or from the page. That is kept in the cache,
and every session that begins, or loads it, goes by it, though no version holds it yet.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from curate import versions
from curate.decisions import given_labels, with_reviews
from curate.errors import VersionNotFound
from curate.opinions import COLUMNS, opinions_file, read_opinions, with_opinions
from curate.project import Project
from curate.review_app.queues import Catalogue, build_catalogue
from curate.review_log import read_log
from curate.versions import Version

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from curate.decisions import Decision
    from curate.opinions import Opinions


@dataclass(frozen=True)
class Stamp:
    """What a session shows. version: number of it. ranked_ns: when `flag` has spoken since, 0 = it has not."""

    version: int
    ranked_ns: int


@dataclass(frozen=True)
class Source:
    """The store of a project, as a session reads it."""

    project: Project

    def stamp(self) -> Stamp:
        """What there is to be shown now; takes no more than a look at the folder."""
        names = [file.stem for file in self.project.versions.glob("[0-9]*.json")]
        newest = max((int(name) for name in names if name.isdecimal()), default=0)
        return Stamp(newest, self._ranked_ns(newest))

    def load(self) -> tuple[Catalogue, Stamp]:
        """The pictures and queues as they are now. Raises VersionNotFound, StoreError."""
        stamp = self.stamp()
        version = self._version(stamp.version)
        table = versions.read_table(self.project.versions, version)
        said = read_opinions(self.project.cache).get("flag") if stamp.ranked_ns else None
        if said is not None:
            table = ranked(table, said, read_log(self.project.review_log))
        return build_catalogue(table, version), stamp

    def rows_of(self, number: int) -> pd.DataFrame | None:
        """The rows of an older version, without facts; None where it is gone."""
        try:
            return versions.read_decisions(self.project.versions, self._version(number))
        except VersionNotFound:
            return None

    def _version(self, number: int) -> Version:
        return versions.find_version(self.project.versions, f"v{number}" if number else None)

    def _ranked_ns(self, version: int) -> int:
        """When `flag` has kept what it said, if that was after the version was made."""
        try:
            ranked_ns = opinions_file(self.project.cache, "flag").stat().st_mtime_ns
            made_ns = (self.project.versions / f"{version:04d}.json").stat().st_mtime_ns
        except OSError:
            return 0
        return ranked_ns if ranked_ns > made_ns else 0


def ranked(table: pd.DataFrame, said: Opinions, log: Sequence[Decision]) -> pd.DataFrame:
    """The table of a version with what `flag` says by now, of labels that nobody has decided on.

    What somebody has decided on keeps what was said of it: it stays in its queue, and comes back when that is undone.
    """
    fresh = with_opinions(table, given_labels(table, log), {"flag": said})
    decided = with_reviews(table, log)["reviewed"].isin(["keep", "relabel", "both", "drop"])
    names = [column.name for column in COLUMNS["flag"] if column.name in fresh]
    for name in names:
        if name in table:
            fresh[name] = fresh[name].mask(decided, table[name].astype(fresh[name].dtype))
        else:
            fresh[name] = fresh[name].mask(decided)
    doubted = fresh["label_error"].fillna(False).astype(bool)
    flags = [_flags(before, is_error) for before, is_error in zip(fresh["flags"], doubted, strict=True)]
    return fresh.assign(flags=flags)


def _flags(before: str, is_error: bool) -> str:
    """The names of checks that flag a picture, with `label_error` among them or not."""
    names = set(filter(None, before.split(";"))) - {"label_error"}
    return ";".join(sorted({*names, "label_error"} if is_error else names))
