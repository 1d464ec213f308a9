"""What a person is told of a picture: labels, reasons in words, and pictures to compare it with."""

from __future__ import annotations

import hashlib
import hmac
import json
import math
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from numbers import Real
from typing import TYPE_CHECKING, Any

from curate.decisions import Decision, Round
from curate.inspection import explain
from curate.review_app.ledger import Ledger
from curate.review_app.queues import LABEL_QUEUES, Catalogue, Entry

if TYPE_CHECKING:
    import pandas as pd

MOST_CANDIDATES = 5
MOST_ALIKE = 3
MOST_COPIES = 24  # more nobody compares at once; the others come when these are decided
EXAMPLES = 24  # of each class, among which those to compare with are chosen


class Ids:
    """Names of pictures that tell nothing of them, the same in every session of a store: a keyed digest.

    A name is that of a picture in one queue; the queue "" stands for the picture as such. One that measures a person
    has another name for each, and looks like any.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._known: dict[str, Entry] = {}

    def learn(self, entries: Sequence[Entry]) -> None:
        """Be able to find these."""
        self._known |= {self.of(entry): entry for entry in entries}

    def take_over(self, others: Ids, catalogue: Catalogue, start: int = 0) -> int:
        """Be able to find what others have learned from that place on, as far as this catalogue has the pictures.

        Returns how many they have learned.
        """
        known = list(others._known.items())
        for name, entry in known[start:]:
            if name in self._known:
                continue
            if (place := catalogue.find((entry.path, entry.sha256))) is not None:
                self._known[name] = replace(entry, row=place, members=())
        return len(known)

    def of(self, entry: Entry) -> str:
        """32 hexadecimal digits."""
        parts = [entry.queue, entry.path, entry.sha256, *([entry.measures, entry.asked] if entry.measures else [])]
        text = "\0".join(parts).encode("utf-8", "surrogatepass")
        return hmac.digest(self._key, text, hashlib.sha256).hex()[:32]

    def find(self, name: str) -> Entry | None:
        """What was learned under that name."""
        return self._known.get(name)


class Showing:
    """What is told of the pictures of a catalogue, given what people have said."""

    def __init__(self, catalogue: Catalogue, ledger: Ledger, ids: Ids, *, blind: bool) -> None:
        self.catalogue = catalogue
        self.ledger = ledger
        self.ids = ids
        self.blind = blind  # of several votes, nobody sees those of others
        self._examples: dict[str, list[int]] = {}

    def item(self, entry: Entry) -> dict[str, Any]:
        """A picture as the page gets it, as plain data."""
        row = self.catalogue.row(entry.row)
        told = {
            "id": self.ids.of(entry),
            "queue": entry.queue,
            "round": round_of(entry.queue, self.ledger.votes),
            "width": _whole(row.get("width")),
            "height": _whole(row.get("height")),
            "hidden": entry.queue == "spot",
        }
        if entry.queue == "adjudication":
            return told | self._open(entry, row) | self._disputed(entry, row)
        return told | (_NOTHING if entry.queue == "spot" else self._open(entry, row))

    def given(self, entry: Entry) -> str | None:
        """The label that stands."""
        return self.catalogue.given[entry.row]

    def suggested(self, entry: Entry) -> str | None:
        """The label that is proposed in this queue; in a dispute, else what somebody voted for."""
        if entry.queue == "adjudication":
            voted = (one for one in self.labels_voted(entry) if one != self.given(entry))
            return self.catalogue.suggested[entry.row] or next(voted, None)
        return self.catalogue.suggested[entry.row] if self._kind(entry) in LABEL_QUEUES else None

    def _kind(self, entry: Entry) -> str:
        """What is asked about it: the queue, and of what is flagged for later the one that it is from."""
        if entry.queue != "flagged":
            return entry.queue
        if entry.members:
            return "duplicates"
        if self.catalogue.suggested[entry.row] is None:
            return "doubts"
        return "prelabels" if self.catalogue.given[entry.row] is None else "errors"

    def labels_voted(self, entry: Entry) -> list[str]:
        """The labels that the votes on a picture name, in alphabetical order."""
        return sorted({label for vote in self.ledger.ballot(entry.path, entry.sha256) for label in labels_of(vote)})

    def probability(self, entry: Entry, row: dict[str, Any]) -> float | None:
        """How probable the suggestion is, as far as that was worked out."""
        if self._kind(entry) == "prelabels":
            return _number(row.get("pred_confidence"))
        known = {one["label"]: one["probability"] for one in candidates(row)} if self._kind(entry) == "errors" else {}
        return known.get(self.suggested(entry) or "")

    def _open(self, entry: Entry, row: dict[str, Any]) -> dict[str, Any]:
        given, suggested = self.given(entry), self.suggested(entry)
        return {
            "path": entry.path,
            "given": given,
            "suggested": suggested,
            "probability": self.probability(entry, row),
            "candidates": candidates(row) if self._kind(entry) in LABEL_QUEUES else [],
            "because": self._because(entry, row),
            "alike": {"given": self._alike(given, entry, row), "suggested": self._alike(suggested, entry, row)},
            "flags": self._flags(row),
            "copies": self._copies(entry),
            "history": [] if self.blind or entry.measures else self._history(entry),
        }

    def _disputed(self, entry: Entry, row: dict[str, Any]) -> dict[str, Any]:
        """The votes without their names, in an order that tells nothing, and what is known of each class they name."""
        votes = [
            {"answer": one.answer, "label": one.label, "note": one.note}
            for one in self.ledger.ballot(entry.path, entry.sha256)
        ]
        given, voted = self.given(entry), self.labels_voted(entry)
        chances = {one["label"]: one["probability"] for one in candidates(row)}
        named = list(dict.fromkeys([*([given] if given else []), *voted, *chances]))
        shown = {given, self.suggested(entry)}
        return {
            "votes": sorted(votes, key=lambda one: (one["answer"], one["label"], one["note"])),
            "candidates": [{"label": label, "probability": chances.get(label)} for label in named],
            "alike_voted": [one for label in voted if label not in shown for one in self._alike(label, entry, row)],
            "history": [],
        }

    def _because(self, entry: Entry, row: dict[str, Any]) -> list[str]:
        match self._kind(entry):
            case "errors" | "adjudication":
                return _sentences(row.get("label_evidence"))
            case "prelabels":
                return _sentences(row.get("pred_because"))
            case "duplicates":
                labels = sorted({label for label in map(self.catalogue.given.__getitem__, entry.members) if label})
                words = [f"these {len(entry.members)} pictures show the same photograph"]
                return words + ([f"their labels contradict each other: {', '.join(labels)}"] if len(labels) > 1 else [])
            case _:
                return [flag["why"] for flag in self._flags(row)]

    def _flags(self, row: dict[str, Any]) -> list[dict[str, str]]:
        told = explain(row, self.catalogue.version.settings)
        return [{"name": name, "why": why} for name, (_, why) in told.items() if name != "label_error"]

    def _alike(self, label: str | None, entry: Entry, row: dict[str, Any]) -> list[dict[str, str]]:
        """Pictures of a class to compare with: those that look like this one first, verified before unverified."""
        if label is None or self._kind(entry) == "duplicates":
            return []
        places = [self.catalogue.place.get(path) for path in _paths(row.get("look_alikes"))]
        near = [place for place in places if place is not None and self.catalogue.given[place] == label]
        copies = set(self._group(entry.row))
        chosen = dict.fromkeys([*self._verified_first(near), *self._verified_first(self._examples_of(label))])
        shown = [place for place in chosen if place not in copies and not self._was_refused(place, label)]
        return [{"id": self._picture(place), "label": label} for place in shown[:MOST_ALIKE]]

    def _verified_first(self, places: list[int]) -> list[int]:
        return sorted(places, key=lambda place: not self._is_verified(place))

    def _is_verified(self, place: int) -> bool:
        said = self.ledger.decided(self.catalogue.paths[place], self.catalogue.contents[place])
        return said is not None and said.answer == "keep"

    def _was_refused(self, place: int, label: str) -> bool:
        """Whether somebody has said since that it is none of that class."""
        said = self.ledger.decided(self.catalogue.paths[place], self.catalogue.contents[place])
        return said is not None and said.answer != "keep" and said.label != label

    def _examples_of(self, label: str) -> list[int]:
        """Kept pictures of a class, the surest first."""
        if label not in self._examples:
            chosen = self._by_class.get(label)
            places = [] if chosen is None else self._surest(self.catalogue.rows.loc[chosen])
            self._examples[label] = places
        return self._examples[label]

    @cached_property
    def _by_class(self) -> dict[str, Any]:
        rows = self.catalogue.rows
        kept = rows[rows["keep"]]
        return {str(label): places for label, places in kept.groupby("final_label").groups.items()}

    def _surest(self, rows: pd.DataFrame) -> list[int]:
        if "label_quality" in rows:
            rows = rows[~rows["label_error"].fillna(False).astype(bool)]
            rows = rows.sort_values(["label_quality", "path"], ascending=[False, True])
        return rows.index[:EXAMPLES].tolist()

    def _group(self, row: int) -> list[int]:
        """A picture and its copies."""
        return self._groups.get(self._group_names[row], [row])

    @cached_property
    def _group_names(self) -> list[Any]:
        rows = self.catalogue.rows
        return rows["duplicate_group"].fillna("").tolist() if "duplicate_group" in rows else [""] * len(rows)

    @cached_property
    def _groups(self) -> dict[str, list[int]]:
        groups: dict[str, list[int]] = {}
        for place, name in enumerate(self._group_names):
            if name:
                groups.setdefault(name, []).append(place)
        return groups

    def _copies(self, entry: Entry) -> list[dict[str, Any]]:
        if not entry.members:
            return []
        catalogue = self.catalogue
        told = []
        for place in entry.members:
            said = self.ledger.decided(catalogue.paths[place], catalogue.contents[place])
            if said is None or said.answer != "drop":
                told.append((said is not None, place))
        # Those that are decided on first: the others are to be compared with them.
        places = [place for _, place in sorted(told, key=lambda one: not one[0])][:MOST_COPIES]
        sizes = catalogue.rows.loc[places, ["width", "height"]].astype("Int64")
        return [
            {
                "id": self.ids.of(catalogue.entry("duplicates", place)),
                "path": catalogue.paths[place],
                "kept": place == entry.row,
                "label": catalogue.given[place],
                "width": _whole(width),
                "height": _whole(height),
            }
            for place, width, height in zip(places, sizes["width"], sizes["height"], strict=True)
        ]

    def _history(self, entry: Entry) -> list[dict[str, str]]:
        said = [*self.ledger.valid(entry.path, entry.sha256), *self.ledger.flags(entry.path, entry.sha256)]
        return [
            {
                "reviewer": one.reviewer,
                "answer": one.answer,
                "label": one.label,
                "note": one.note,
                "decided_at": one.decided_at,
            }
            for one in said
        ]

    def _picture(self, place: int) -> str:
        return self.ids.of(self.catalogue.entry("", place))


# What is told of a picture that is to be judged without being led.
_NOTHING: dict[str, Any] = {
    "path": "",  # it holds the class, where folders are classes
    "given": None,
    "suggested": None,
    "probability": None,
    "candidates": [],
    "because": [],
    "alike": {"given": [], "suggested": []},
    "flags": [],
    "copies": [],
    "history": [],
}


def round_of(queue: str, votes: int) -> Round:
    """The round of the log in which answers of that queue count."""
    if queue in ("spot", "adjudication"):
        return "spot" if queue == "spot" else "adjudication"
    return "vote" if votes > 1 and queue != "duplicates" else ""


def labels_of(decision: Decision) -> list[str]:
    """The classes that somebody names instead of the given one."""
    if decision.answer == "both":
        return [str(label) for label in json.loads(decision.label)]
    return [decision.label] if decision.answer == "relabel" else []


def candidates(row: dict[str, Any]) -> list[dict[str, Any]]:
    """The classes that it may be, the most probable first. probability: None where it was not worked out."""
    if (known := row.get("label_candidates")) is not None:
        pairs = json.loads(known)
    elif row.get("pred_label") is not None:
        pairs = [[row["pred_label"], row.get("pred_confidence")]]
    else:
        pairs = [[row[name], None] for name in ("suggested_label", "final_label") if name in row]
    return [{"label": label, "probability": _number(share)} for label, share in pairs[:MOST_CANDIDATES]]


def label_told(decision: Decision, given: str | None) -> str:
    """The label that a decision leaves, in words; of "both", all of them."""
    if decision.answer == "both":
        return " and ".join(json.loads(decision.label))
    return (decision.label or given or "") if decision.answer in ("keep", "relabel") else ""


def _sentences(text: object) -> list[str]:
    return [one for one in text.split("; ") if one] if isinstance(text, str) else []


def _paths(text: object) -> list[str]:
    return [str(path) for path in json.loads(text)] if isinstance(text, str) else []


def _number(value: Any) -> float | None:
    """A number as JSON takes it."""
    return round(float(value), 4) if isinstance(value, Real) and math.isfinite(value) else None


def _whole(value: Any) -> int | None:
    return int(value) if value == value and value is not None else None
