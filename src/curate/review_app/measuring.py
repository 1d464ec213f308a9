"""Pictures that measure who reviews: some whose answer is certain ("gold"), and some of a person's own once more.

They come among the others and look like them, so that nobody takes more care over them. Their answers never change a
label. Of 100 pictures that a person gets some 4 are gold and 2 to 3 repeated, which costs a fifteenth of their time. Of
2,000 answers 80 are gold; who gets 76 of them right is so in 87.7 to 98.6 % of all, with 95 % confidence.

When the next one comes follows from the store's key, the person and how much they have answered: the same log gives the
same pictures in the same places on any server, and nobody can work it out without the key.

    answers of a person   1 ... 25 | 26 ... 50 | ...      one gold picture in each stretch, at a place drawn at random
                          31 ... 70 | 71 ... 110 | ...    one repeated picture in each, answered at least 20 before
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from curate.agreement import said_of
from curate.decisions import MEASURING, Decision
from curate.errors import SourceError
from curate.review_app.leasing import Holder, name_of
from curate.review_app.ledger import Ledger
from curate.review_app.queues import LABEL_QUEUES, Catalogue, Entry
from curate.stages.labels import LABEL_COLUMNS, PATH_COLUMNS, find_column, read_rows, safe_path

if TYPE_CHECKING:
    from curate.spot_checks import Picture

Measure = Literal["gold", "repeat"]
STRETCH: dict[Measure, int] = {"gold": 25, "repeat": 40}  # answers per such picture: 4 % and 2.5 %
FIRST: dict[Measure, int] = {"gold": 0, "repeat": 30}  # before there are some to choose from, nothing is repeated
GAP = 20  # answers between the first and the second time: a picture that was just there is remembered, not judged
MOST_CHOICES = 500  # among which one is drawn: going through all that somebody ever answered would take too long


@dataclass
class _Answered:
    """What a person has said in one queue, one by one. own: in the order of answering. known: of each measure."""

    own: dict[Picture, Decision] = field(default_factory=dict)
    measured: dict[str, dict[Picture, Decision]] = field(default_factory=lambda: {name: {} for name in MEASURING})

    def of(self, round_: str) -> dict[Picture, Decision]:
        """The answers that such a decision belongs to."""
        return self.measured.get(round_, self.own)


class Measuring:
    """Which picture measures whom next. known: pictures of which the answer is certain from the start, see `read_gold`.

    Further ones are those on which a lead has decided: gold for everybody who had no vote on them.
    """

    def __init__(self, catalogue: Catalogue, ledger: Ledger, key: bytes, known: Mapping[Picture, str]) -> None:
        self._catalogue = catalogue
        self._ledger = ledger
        self._key = key
        self._known = known
        self._adjudicated: dict[Picture, str] = {}
        self._places = {
            name: {(entry.path, entry.sha256): entry for entry in catalogue.queues[name]} for name in LABEL_QUEUES
        }
        self._people: dict[str, dict[str, _Answered]] = {}
        self._read: dict[str, int] = {}

    def follow(self, path: str) -> None:
        """Take in what a lead has said of a picture, or taken back."""
        if (place := self._catalogue.place.get(path)) is None:
            return
        picture = path, self._catalogue.contents[place]
        said = [one for one in self._ledger.adjudications(*picture) if one.answer != "unsure"]
        if said:
            self._adjudicated[picture] = said_of(said[-1], self._catalogue.given[place])
        else:
            self._adjudicated.pop(picture, None)

    def truth(self, entry: Entry) -> str | None:
        """What a gold picture certainly shows, as `agreement` names it; None if nobody knows (any more)."""
        picture = entry.path, entry.sha256
        return self._known.get(picture) or self._adjudicated.get(picture)

    def woven(
        self,
        queue: str,
        holder: Holder,
        others: Iterator[Entry],
        count: int,
        held: int,
        taken: Mapping[str, set[Holder]],
    ) -> list[Entry]:
        """The next pictures for a tab, with those among them that measure. others: what it would get anyway.

        held: of those, how many it has already. taken: who has which picture before them.
        """
        if queue not in LABEL_QUEUES:
            return list(islice(others, count))
        answered = self._answered(holder.reviewer, queue)
        mine = {name for name, holders in taken.items() if any(one.reviewer == holder.reviewer for one in holders)}
        chosen: list[Entry] = []
        number = len(answered.own) + held
        while len(chosen) < count:
            picked = self._due(answered, queue, holder.reviewer, number, mine) or next(others, None)
            if picked is None:
                break
            if picked.measures:
                mine.add(name_of(picked.path, picked.sha256))
            number += not picked.measures
            chosen.append(picked)
        return chosen

    def expected(self, queue: str, reviewer: str, left: int) -> int:
        """How many are still to come to this person while they answer the `left` others.

        So that what is left goes down by one with each answer; else it would give them away.
        """
        if queue not in LABEL_QUEUES:
            return 0
        answered, found = self._answered(reviewer, queue), 0
        end = len(answered.own) + left
        for measure in STRETCH:
            due = self._places_up_to(end, measure, queue, reviewer) - len(answered.measured[measure])
            # What is answered from now on can be repeated later.
            later = max(0, left - GAP) if measure == "repeat" else 0
            there = islice(self._pool(measure, answered, queue, reviewer), max(0, due - later))
            found += max(0, min(due, later + sum(1 for _ in there)))
        return found

    def _places_up_to(self, end: int, measure: Measure, queue: str, reviewer: str) -> int:
        """How many pictures of a measure come before a person has answered more than so many."""
        whole = max(0, (end - FIRST[measure]) // STRETCH[measure])
        return whole + (self._place(measure, queue, reviewer, whole) <= end)

    def all_entries(self, reviewer: str) -> Iterator[Entry]:
        """Every picture that may have been given to this person to measure them, so that a late answer finds it."""
        for queue in LABEL_QUEUES:
            answered = self._answered(reviewer, queue)
            for measure in STRETCH:
                done = answered.measured[measure]
                for picture in {**dict.fromkeys(self._pool(measure, answered, queue, reviewer, 0)), **done}:
                    if found := self._entry(queue, picture, measure, reviewer):
                        yield found

    def entry_of(self, decision: Decision) -> Entry | None:
        """The picture as it was shown for a decision that measures; None for another, or if it is gone."""
        queue, round_ = str(decision.context.get("queue", "")), decision.round
        if round_ not in MEASURING or queue not in LABEL_QUEUES:
            return None
        measure: Measure = "gold" if round_ == "gold" else "repeat"
        return self._entry(queue, (decision.path, decision.sha256), measure, decision.reviewer)

    def _entry(self, queue: str, picture: Picture, measure: Measure, reviewer: str) -> Entry | None:
        entry = self._places[queue].get(picture)
        return replace(entry, measures=measure, asked=reviewer) if entry else None

    def _due(self, answered: _Answered, queue: str, reviewer: str, number: int, mine: set[str]) -> Entry | None:
        """What measures this person now, when they have so many of the others behind them."""
        for measure in STRETCH:
            done = len(answered.measured[measure])
            if self._place(measure, queue, reviewer, done) > number:
                continue
            pool = list(islice(self._pool(measure, answered, queue, reviewer), MOST_CHOICES))
            free = [one for one in pool if name_of(*one) not in mine]
            done += len(pool) - len(free)  # before this person already, in this tab or another
            if free and self._place(measure, queue, reviewer, done) <= number:
                chosen = min(free, key=lambda one: self._random(measure, queue, reviewer, *one))
                return self._entry(queue, chosen, measure, reviewer)
        return None

    def _pool(
        self, measure: Measure, answered: _Answered, queue: str, reviewer: str, gap: int = GAP
    ) -> Iterator[Picture]:
        """The pictures that can measure this person now."""
        known, done = self._places[queue], answered.measured[measure]
        if measure == "repeat":
            early = islice(answered.own.items(), max(0, len(answered.own) - gap))
            return (one for one, said in early if one not in done and said.answer != "unsure" and one in known)
        gold = (one for one in {**self._known, **self._adjudicated} if one in known and one not in done)
        return (one for one in gold if not self._has_judged(reviewer, one))

    def _has_judged(self, reviewer: str, picture: Picture) -> bool:
        return any(one.reviewer == reviewer and one.answer != "accept" for one in self._ledger.valid(*picture))

    def _place(self, measure: Measure, queue: str, reviewer: str, number: int) -> int:
        """After how many answers the picture of that number comes at the earliest."""
        start = FIRST[measure] + STRETCH[measure] * number
        return start + int(self._random(measure, queue, reviewer, str(number)) * STRETCH[measure])

    def _random(self, *about: str) -> float:
        """A number from 0 to 1 that follows from the key, evenly distributed."""
        text = "\0".join(about).encode("utf-8", "surrogatepass")
        return int.from_bytes(hmac.digest(self._key, text, hashlib.sha256)[:7], "big") / 2**56

    def _answered(self, reviewer: str, queue: str) -> _Answered:
        """What a person has said in a queue, as far as the ledger knows now."""
        queues = self._people.setdefault(reviewer, {name: _Answered() for name in LABEL_QUEUES})
        decisions = self._ledger.by_reviewer.get(reviewer, [])
        for one in islice(decisions, self._read.get(reviewer, 0), None):
            if one.answer == "undo":
                self._forget(queues, one)
            elif one.context.get("mode") == "single" and (said := queues.get(str(one.context.get("queue", "")))):
                said.of(one.round)[one.path, one.sha256] = one
        self._read[reviewer] = len(decisions)
        return queues[queue]

    def _forget(self, queues: Mapping[str, _Answered], undo: Decision) -> None:
        for said in queues.values():
            for answers in (said.own, *said.measured.values()):
                known = answers.get((undo.path, undo.sha256))
                if known and undo.undoes in ("", known.id):
                    del answers[undo.path, undo.sha256]


def read_gold(file: Path, catalogue: Catalogue) -> dict[Picture, str]:
    """Pictures whose answer is certain, from a table of path and label (CSV, TSV, JSONL or Parquet).

    Only those in a queue of labels can be mixed in: another would be known by lacking a suggestion and a reason.
    Raises SourceError when the file can't be understood, names what the version lacks, or nothing in it is of use.
    """
    if not file.is_file():
        raise SourceError(f"There is no file of gold pictures {str(file)!r}.", "Give a file of path and label.")
    table = read_rows(file)
    paths, labels = (find_column(table, names, file) for names in (PATH_COLUMNS, LABEL_COLUMNS))
    gold: dict[Picture, str] = {}
    for row, (text, label) in enumerate(zip(table[paths].fillna(""), table[labels].fillna(""), strict=True), start=1):
        path = safe_path(str(text), row, file)
        place = catalogue.place.get(path)
        if place is None or str(label) not in catalogue.known_classes:
            what = f"the picture {path!r}" if place is None else f"the class {str(label)!r}"
            raise SourceError(
                f"Row {row} of {str(file)!r} names {what}, which {catalogue.version.name} does not have.",
                "Write paths relative to the image folder, like cats/1.jpg, and classes as they are spelt there.",
            )
        gold[path, catalogue.contents[place]] = str(label)
    asked = {(entry.path, entry.sha256) for name in LABEL_QUEUES for entry in catalogue.queues[name]}
    if not asked & gold.keys():
        raise SourceError(
            f"None of the {len(gold):,} gold pictures in {str(file)!r} is a likely error or has a suggested label, so "
            f"each would be known at once.",
            "Choose some of those: curate table DIR --output table.csv lists them.",
        )
    return {picture: label for picture, label in gold.items() if picture in asked}
