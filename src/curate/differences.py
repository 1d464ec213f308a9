"""A folder against a version of it: what came, changed and left, told by names, sizes and times; no image is opened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from curate.cache import Cache
from curate.decisions import Decision, with_reviews
from curate.images import TRANSIENT
from curate.objects import source_file
from curate.project import Project
from curate.rows import changed_rows, joined, places_of
from curate.sources import may_be_read
from curate.stages.labels import IMPORTED, add_labels
from curate.stages.measure import digests_seen
from curate.stages.scan import Scan

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Differences:
    """The folder against a version, by name, size and time alone.

    new, changed, gone: paths. unread: paths whose file could not be read then, but perhaps can be now. labels: pictures
    that the source labels, or splits, otherwise now. decisions: those on which people have decided otherwise since.
    """

    new: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    labels: int = 0
    decisions: int = 0

    @property
    def reasons(self) -> tuple[str, ...]:
        """In words."""
        counts = {"new": len(self.new), "changed": len(self.changed), "gone": len(self.gone)}
        told = [f"{number:,} {word}" for word, number in counts.items() if number]
        told += [f"{len(self.unread):,} to be read again"] if self.unread else []
        told += [f"{self.labels:,} labelled otherwise by the source"] if self.labels else []
        told += [f"{self.decisions:,} decisions since"] if self.decisions else []
        return tuple(told)


def differences(project: Project, rows: pd.DataFrame, scan: Scan, labels: str, log: Sequence[Decision]) -> Differences:
    """What changed in the folder, in the labels and in people's decisions since a version.

    rows: its table. scan: of the folder now. labels: where the source's labels come from, see `scan.labels`.
    """
    found = scan.table()
    now = found.assign(seen=digests_seen(found, Cache(project.cache).last_read()))
    now = joined(now, rows[["path", "sha256", "read_error"]], "path")
    known = places_of(now["path"], rows["path"]) >= 0
    differs = known & now["sha256"].notna() & (now["seen"].fillna("") != now["sha256"])
    missed = known & now["sha256"].isna() & now["read_error"].isin(TRANSIENT)
    gone = rows.loc[(places_of(rows["path"], found["path"]) < 0) & rows["sha256"].notna(), "path"]
    return Differences(
        new=list(now.loc[~known, "path"]),
        changed=list(now.loc[differs, "path"]),
        gone=list(gone),
        unread=[path for path in now.loc[missed, "path"] if _may_be_read(project, path)],
        labels=_labelled_otherwise(project, rows, found, labels),
        decisions=_undecided(rows, log),
    )


def _may_be_read(project: Project, path: str) -> bool:
    return may_be_read(source_file(project, path))


def _labelled_otherwise(project: Project, rows: pd.DataFrame, found: pd.DataFrame, source: str) -> int:
    """How many pictures of the version the source labels or splits otherwise now, or lists without having them."""
    now = add_labels(found, str(project.imported_labels) if source == IMPORTED else source)
    names = ["label", "given_split"]
    before, now = (one.reindex(columns=["path", *names]).astype("str") for one in (rows, now))
    place = places_of(now["path"], before["path"])
    differ = changed_rows(before, now[place >= 0], "path")
    # What is new or gone in the folder counts as that; here is left what only a list names, or named.
    listed = now.loc[(place < 0) & (places_of(now["path"], found["path"]) < 0), "path"]
    unread = rows.loc[rows["sha256"].isna(), "path"]
    named = unread[(places_of(unread, now["path"]) < 0) & (places_of(unread, found["path"]) < 0)]
    return len(differ) + len(listed) + len(named)


def _undecided(rows: pd.DataFrame, log: Sequence[Decision]) -> int:
    """How many rows have other decisions in the log than in the version."""
    before = rows[["path", "sha256", "reviewed", "reviewed_label", "reviewed_by"]]
    return len(changed_rows(before, with_reviews(before, log), "path"))
