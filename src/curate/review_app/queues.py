"""The queues of a review: what in a version a person should look at, and in which order.

    errors       labels that `curate flag` doubts, the most suspicious first
    prelabels    labels that `curate prelabel` suggests, the least sure first
    doubts       what checks drop, or want somebody to look at, check by check, the worst first
    duplicates   pictures of one photograph, of which the best is to be chosen
    spot         a random blind sample, see `curate.spot_checks`
    flagged      pictures that somebody has marked for later, in that order; it grows while people work
    adjudication pictures whose votes differ for good, for a lead; it grows while people work, see `board`

What people have decided already is in its queue all the same: they may take it back. `session` leaves it out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from curate.checks import all_checks
from curate.grouping import readable
from curate.reporting.plots import flagged_side
from curate.reporting.rows import action_of, has_name, is_flagged, numbers, thresholds
from curate.versions import Version

if TYPE_CHECKING:
    import pandas as pd

    from curate.spot_checks import Picture

TITLES = {
    "errors": "Likely label errors",
    "prelabels": "Suggested labels to confirm",
    "doubts": "Doubtful pictures",
    "duplicates": "Copies: choose the best",
    "spot": "Blind spot check",
    "flagged": "Flagged for later",
    "adjudication": "Votes that differ",
}
LEAD_ONLY = ("adjudication",)
LABEL_QUEUES = ("errors", "prelabels")  # in which the question is: which class?
# What these checks flag or drop is not a matter of opinion, or has a queue of its own.
NOT_DOUBTS = {"label_error", "exact_duplicate", "unreadable"}


@dataclass(frozen=True, slots=True)
class Entry:
    """A picture in a queue. row: its place in the catalogue. members: places of all copies, for "duplicates".

    measures: the round in which the answer counts, where it only measures the person: `asked`; see `measuring`.
    """

    queue: str
    row: int
    path: str
    sha256: str
    members: tuple[int, ...] = ()
    measures: Literal["", "gold", "repeat"] = ""
    asked: str = ""


@dataclass(frozen=True)
class Filter:
    """What to show of a queue; "" = everything. text: a part of the path, in any case."""

    label: str = ""
    check: str = ""
    split: str = ""
    text: str = ""
    given: str = ""
    suggested: str = ""


EVERYTHING = Filter()


@dataclass(frozen=True)
class Catalogue:
    """The pictures of a version that a person can look at, and the queues they are in.

    rows: the version's readable rows, sorted by path, index 0..N-1. given, suggested: a label per row or None; the
    suggestion is that of `flag`, else of `prelabel`.
    """

    version: Version
    rows: pd.DataFrame
    paths: list[str]
    contents: list[str]
    given: list[str | None]
    suggested: list[str | None]
    queues: Mapping[str, tuple[Entry, ...]] = field(repr=False)

    @cached_property
    def place(self) -> dict[str, int]:
        """Path -> its row."""
        return {path: row for row, path in enumerate(self.paths)}

    @cached_property
    def classes(self) -> list[str]:
        """Every label that is given or suggested, in alphabetical order."""
        named = {*self.given, *self.suggested} - {None}
        return sorted(str(name) for name in named)

    @cached_property
    def known_classes(self) -> frozenset[str]:
        """The same, to look one up."""
        return frozenset(self.classes)

    @cached_property
    def splits(self) -> list[str]:
        """The splits, in alphabetical order."""
        return sorted(self.rows["split"].dropna().unique()) if "split" in self.rows else []

    @cached_property
    def checks(self) -> list[str]:
        """The checks that flagged anything, in alphabetical order."""
        return sorted({name for flags in self.rows["flags"].unique() for name in flags.split(";") if name})

    def row(self, place: int) -> dict[str, Any]:
        """What the version says of one picture, without what is NA."""
        import pandas as pd

        values = ((name, column[place]) for name, column in self._columns.items())
        return {name: value for name, value in values if not (value is None or value is pd.NA or value != value)}

    @cached_property
    def _columns(self) -> dict[str, Any]:
        """Each column as an array, which gives a value many times as fast as the table does."""
        return {str(name): self.rows[name].array for name in self.rows.columns}

    def find(self, picture: Picture) -> int | None:
        """The row of a picture; None if the version has no such one."""
        place = self.place.get(picture[0])
        return place if place is not None and self.contents[place] == picture[1] else None

    def entries_of(self, pictures: Iterable[Picture], queue: str) -> tuple[Entry, ...]:
        """Those of the pictures that the version has, in their order, as entries of a queue."""
        places = [self.find(picture) for picture in pictures]
        return tuple(self.entry(queue, place) for place in places if place is not None)

    def entry(self, queue: str, place: int, members: tuple[int, ...] = ()) -> Entry:
        """A row as an entry of a queue."""
        return Entry(queue, place, self.paths[place], self.contents[place], members)

    def matching(self, entries: Sequence[Entry], wanted: Filter) -> tuple[int, ...]:
        """Places of the entries that the filter lets through; of a group of copies, one is enough."""
        return tuple(
            number
            for number, entry in enumerate(entries)
            if any(self._matches(row, wanted) for row in entry.members or (entry.row,))
        )

    def _matches(self, row: int, wanted: Filter) -> bool:
        given, suggested = self.given[row], self.suggested[row]
        return (
            (not wanted.label or wanted.label in (given, suggested))
            and (not wanted.given or wanted.given == given)
            and (not wanted.suggested or wanted.suggested == suggested)
            and (not wanted.split or wanted.split == self._splits_of_rows[row])
            and (not wanted.check or wanted.check in self._flags[row])
            and (not wanted.text or wanted.text.casefold() in self._folded_paths[row])
        )

    @cached_property
    def _flags(self) -> list[frozenset[str]]:
        known = {flags: frozenset(flags.split(";")) for flags in self.rows["flags"].unique()}
        return [known[flags] for flags in self.rows["flags"]]

    @cached_property
    def _folded_paths(self) -> list[str]:
        return [path.casefold() for path in self.paths]

    @cached_property
    def _splits_of_rows(self) -> list[str]:
        return self.rows["split"].fillna("").tolist() if "split" in self.rows else [""] * len(self.rows)


def build_catalogue(table: pd.DataFrame, version: Version) -> Catalogue:
    """The queues of a version. table: all of it. Opens no picture."""
    rows = table[readable(table)].sort_values("path", ignore_index=True)
    given = rows["final_label"].fillna(rows["label"])
    suggested = _text(rows, "suggested_label").fillna(_text(rows, "pred_label"))
    catalogue = Catalogue(
        version=version,
        rows=rows,
        paths=rows["path"].tolist(),
        contents=rows["sha256"].tolist(),
        given=_with_none(given),
        suggested=_with_none(suggested),
        queues={},
    )
    found = {
        "errors": _errors(rows),
        "prelabels": _prelabels(rows),
        "doubts": _doubts(rows, version),
    }
    queues = {name: tuple(catalogue.entry(name, place) for place in places) for name, places in found.items()}
    groups = tuple(catalogue.entry("duplicates", members[0], members) for members in _duplicates(rows))
    return Catalogue(
        version, rows, catalogue.paths, catalogue.contents, catalogue.given, catalogue.suggested,
        {**queues, "duplicates": groups, "spot": ()},
    )  # fmt: skip


def _text(rows: pd.DataFrame, name: str) -> pd.Series[str]:
    import pandas as pd

    return rows[name] if name in rows else pd.Series(None, index=rows.index, dtype="str")


def _with_none(values: pd.Series[str]) -> list[str | None]:
    return [value if isinstance(value, str) else None for value in values.tolist()]


def _errors(rows: pd.DataFrame) -> list[int]:
    if "label_error" not in rows:
        return []
    flagged = rows[rows["keep"] & rows["label_error"].fillna(False).astype(bool) & rows["final_label"].notna()]
    return flagged.sort_values(["label_quality", "path"]).index.tolist()


def _prelabels(rows: pd.DataFrame) -> list[int]:
    if "pred_label" not in rows:
        return []
    waiting = rows[rows["keep"] & rows["pred_label"].notna()]
    return waiting.sort_values(["pred_confidence", "path"]).index.tolist()


def _doubts(rows: pd.DataFrame, version: Version) -> list[int]:
    """What is dropped first, as it is lost if nobody looks; then check by check."""
    chosen: dict[int, None] = {}
    for action, column in (("drop", "reasons"), ("review", "flags")):
        for name in sorted(set(all_checks()) - NOT_DOUBTS):
            if action_of(version, name) == action:
                chosen |= dict.fromkeys(_worst_first(rows, version, name, column))
    grouped = {place for members in _duplicates(rows) for place in members}
    only_copies = _only(rows, "near_duplicate")
    return [place for place in chosen if not (place in grouped and only_copies[place])]


def _worst_first(rows: pd.DataFrame, version: Version, check: str, column: str) -> list[int]:
    """Places of the rows that a check has dropped or flagged and nobody overruled, the clearest first."""
    dropped = column == "reasons"
    chosen = rows[has_name(rows[column], check) & (rows["keep"] != dropped)]
    worst_by, ascending = all_checks()[check].worst_by, True
    for fact, _, threshold in thresholds(version, check):
        if not worst_by and fact in rows:
            side = flagged_side(numbers(rows, fact), threshold, is_flagged(rows, check).to_numpy(bool))
            worst_by, ascending = fact, side == "below"
    by = [name for name in (worst_by, "path") if name in chosen]
    places: list[int] = chosen.sort_values(by, ascending=[ascending or name == "path" for name in by]).index.tolist()
    return places


def _only(rows: pd.DataFrame, check: str) -> list[bool]:
    """Rows with nothing else against them that somebody should look at."""
    quiet = {check, *NOT_DOUBTS}
    return [set(flags.split(";")) <= quiet for flags in rows["flags"]]


def _duplicates(rows: pd.DataFrame) -> Iterator[tuple[int, ...]]:
    """Groups of at least two kept copies: contradicting labels first, then the largest; in each the best first."""
    if "duplicate_group" not in rows:
        return
    kept = rows[rows["keep"] & rows["duplicate_group"].notna()]
    groups = kept.groupby("duplicate_group")
    kept = kept.assign(
        size=groups["path"].transform("size"),
        conflict=groups["final_label"].transform("nunique") > 1,
        is_copy=kept["path"] != kept["duplicate_group"],
    )
    kept = kept[kept["size"] > 1]
    order = ["conflict", "size", "duplicate_group", "is_copy", "path"]
    kept = kept.sort_values(order, ascending=[False, False, True, True, True])
    for _, members in kept.groupby("duplicate_group", sort=False):
        yield tuple(members.index.tolist())
