"""How far each queue is: what is open, for whom, and what to give next. Kept up to date picture by picture."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from curate.review_app.leasing import Holder, name_of
from curate.review_app.ledger import Ledger, Standing
from curate.review_app.queues import EVERYTHING, LABEL_QUEUES, Catalogue, Entry, Filter
from curate.review_app.sampling import SampleProgress
from curate.spot_checks import Picture

MOST_VIEWS = 32  # filters whose outcome is remembered


@dataclass
class Queue:
    """A queue under way. closed: places of entries that are done. passed: per person, of those they are done with.

    first: no entry before it is open.
    """

    entries: Sequence[Entry]
    closed: set[int] = field(default_factory=set)
    passed: dict[str, set[int]] = field(default_factory=dict)
    first: int = 0

    def left(self, reviewer: str) -> int:
        """How many are open for this person."""
        return len(self.entries) - len(self.closed) - len(self.passed.get(reviewer, ()))

    def is_open(self, number: int, reviewer: str) -> bool:
        """Whether the entry at that place is."""
        return number not in self.closed and number not in self.passed.get(reviewer, ())

    def settle(self, number: int, standing: Standing) -> None:
        """Take in how far the entry at that place is now."""
        for passed in self.passed.values():
            passed.discard(number)
        if standing.closed:
            self.closed.add(number)
            return
        self.closed.discard(number)
        self.first = min(self.first, number)
        for reviewer in standing.said:
            self.passed.setdefault(reviewer, set()).add(number)

    def from_first_open(self) -> Iterator[int]:
        """Places from the first on that may be open."""
        while self.first < len(self.entries) and self.first in self.closed:
            self.first += 1
        return iter(range(self.first, len(self.entries)))


class Board:
    """All queues of a session. sample: the blind sample that counts, None = none was drawn.

    known: pictures whose answer is certain already, so that nobody is asked about their label but to be measured.
    """

    def __init__(self, catalogue: Catalogue, ledger: Ledger, known: Collection[Picture] = frozenset()) -> None:
        self.queues: dict[str, Queue] = {}
        self.sample: SampleProgress | None = None
        self._known = known
        self._disputes: list[Entry] = []
        self._disputed: set[str] = set()
        self._later: list[Entry] = []  # marked by somebody to be looked at later
        self._flagged: set[str] = set()  # their paths
        self._catalogue = catalogue
        self._ledger = ledger
        self._views: dict[tuple[str, Filter], tuple[int, ...]] = {}
        self._places: dict[str, list[tuple[str, int]]] = {}  # path -> queue and place there
        for name, entries in catalogue.queues.items():
            self._put(name, entries)
        self.queues["adjudication"] = Queue(self._disputes)
        self.queues["flagged"] = Queue(self._later)
        for path, _ in known:
            self.settle(path)

    def set_sample(self, sample: SampleProgress) -> tuple[Entry, ...]:
        """Let this sample be the queue "spot"; its entries."""
        sample.follow({*sample.population, *sample.drawn}, self._ledger)
        self.sample = sample
        for places in self._places.values():
            places[:] = [place for place in places if place[0] != "spot"]
        entries = self._catalogue.entries_of(sample.sample.items, "spot")
        self._put("spot", entries)
        for entry in entries:
            self.settle(entry.path)
        return entries

    def _put(self, name: str, entries: tuple[Entry, ...]) -> None:
        self.queues[name] = Queue(entries)
        self._views = {key: view for key, view in self._views.items() if key[0] != name}
        for number, entry in enumerate(entries):
            for place in entry.members or (entry.row,):
                self._places.setdefault(self._catalogue.paths[place], []).append((name, number))

    def settle(self, path: str) -> list[Entry]:
        """Work out anew how far the entries of a picture are, of which something was said.

        Returns its new entries: as one whose votes differ, or that somebody has marked for later.
        """
        place = self._catalogue.place.get(path)
        if self.sample and place is not None:
            self.sample.follow([(path, self._catalogue.contents[place])], self._ledger)
        found = [self._new_dispute(path, place), self._new_flagged(path, place)] if place is not None else []
        for name, number in self._places.get(path, ()):
            queue = self.queues[name]
            queue.settle(number, self.standing(queue.entries[number]))
        return [entry for entry in found if entry is not None]

    def _new_flagged(self, path: str, place: int) -> Entry | None:
        """The entry of a picture among those marked for later; of copies, with all of them."""
        picture = path, self._catalogue.contents[place]
        if path in self._flagged or not self._ledger.flags(*picture):
            return None
        groups = (self.queues[name].entries[number] for name, number in self._places.get(path, ()))
        members = next((one.members for one in groups if one.members and one.path == path), ())
        entry = self._catalogue.entry("flagged", place, members)
        self._flagged.add(path)
        for member in members or (place,):
            self._places.setdefault(self._catalogue.paths[member], []).append(("flagged", len(self._later)))
        self._later.append(entry)
        self._views = {key: view for key, view in self._views.items() if key[0] != "flagged"}
        return entry

    def _new_dispute(self, path: str, place: int) -> Entry | None:
        """The entry of a picture among those for a lead, from the first moment on at which it belongs there."""
        picture = path, self._catalogue.contents[place]
        if path in self._disputed or not (self._ledger.is_disputed(*picture) or self._ledger.adjudications(*picture)):
            return None
        entry = self._catalogue.entry("adjudication", place)
        self._disputed.add(path)
        self._places.setdefault(path, []).append(("adjudication", len(self._disputes)))
        self._disputes.append(entry)
        self._views = {key: view for key, view in self._views.items() if key[0] != "adjudication"}
        return entry

    def standing(self, entry: Entry) -> Standing:
        """How far an entry is."""
        if entry.queue == "spot":
            done = self.sample is not None and self.sample.has_answer((entry.path, entry.sha256))
            return Standing(done, frozenset(), int(not done))
        if entry.queue == "adjudication":
            return self._standing_of_dispute(entry)
        flags = self._ledger.flags(entry.path, entry.sha256)
        found = self._standing_of_answers(entry)
        if entry.queue == "flagged":
            return found if flags else Standing(True, found.said, 0)
        # Who has marked it for later gets it there, and not here again.
        return replace(found, said=found.said | {one.reviewer for one in flags}) if flags else found

    def _standing_of_answers(self, entry: Entry) -> Standing:
        if entry.members:
            return self._standing_of_group(entry)
        if entry.queue in LABEL_QUEUES and (entry.path, entry.sha256) in self._known:
            return Standing(True, frozenset(), 0)
        return self._ledger.how_far(entry.path, entry.sha256, single=entry.queue == "duplicates")

    def _standing_of_dispute(self, entry: Entry) -> Standing:
        """A lead who can't tell either is not asked again; whether they have voted does not matter."""
        passed = frozenset(one.reviewer for one in self._ledger.adjudications(entry.path, entry.sha256))
        is_open = self._ledger.is_disputed(entry.path, entry.sha256)
        return Standing(not is_open, passed, int(is_open))

    def _standing_of_group(self, entry: Entry) -> Standing:
        """A group is done when each copy is decided on, or fewer than two of them are still wanted."""
        pictures = [(self._catalogue.paths[place], self._catalogue.contents[place]) for place in entry.members]
        said = [self._ledger.decided(*picture) for picture in pictures]
        wanted = sum(one is None or one.answer != "drop" for one in said)
        closed = wanted < 2 or all(one is not None for one in said)
        waiting = [self._ledger.how_far(*one, single=True) for one, by in zip(pictures, said, strict=True) if not by]
        passed = frozenset.intersection(*(one.said for one in waiting)) if waiting else frozenset[str]()
        return Standing(closed, passed, int(not closed))

    def open_entries(self, name: str, reviewer: str, wanted: Filter) -> Iterator[Entry]:
        """What this person may be asked about, in the order of the queue."""
        queue = self.queues[name]
        places = queue.from_first_open() if wanted == EVERYTHING else iter(self._view(name, wanted))
        return (queue.entries[number] for number in places if queue.is_open(number, reviewer))

    def left(self, name: str, reviewer: str, wanted: Filter = EVERYTHING) -> int:
        """How many that are."""
        queue = self.queues[name]
        if wanted == EVERYTHING:
            return queue.left(reviewer)
        return sum(queue.is_open(number, reviewer) for number in self._view(name, wanted))

    def _view(self, name: str, wanted: Filter) -> tuple[int, ...]:
        key = (name, wanted)
        if key not in self._views:
            if len(self._views) >= MOST_VIEWS:
                self._views.pop(next(iter(self._views)))
            self._views[key] = self._catalogue.matching(self.queues[name].entries, wanted)
        return self._views[key]

    def may_have(self, entry: Entry, holder: Holder, taken: Mapping[str, set[Holder]]) -> bool:
        """Whether this tab may look at a picture: not if enough others do, nor if another tab of that person does.

        What measures a person is theirs, and stands in nobody's way.
        """
        if entry.measures:
            return entry.asked == holder.reviewer
        standing = self.standing(entry)
        if standing.closed or holder.reviewer in standing.said:
            return False
        others = taken.get(name_of(entry.path, entry.sha256), set()) - {holder}
        people = {one.reviewer for one in others} - standing.said
        return holder.reviewer not in people and len(people) < standing.room
