"""What has been said so far: the log, folded event by event as it grows, so that no request reads all of it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from curate.decisions import MEASURING, Decision, not_taken_back, standing_decisions, standing_flags
from curate.review_log import Event


@dataclass(frozen=True, slots=True)
class Standing:
    """How far one picture is.

    closed: nobody is to be asked about it any more. said: who has answered already, and is not asked again. room: how
    many more people are to be asked.
    """

    closed: bool
    said: frozenset[str]
    room: int


class Ledger:
    """The events of the log by picture, person and id. votes: how many people are to answer for each picture."""

    def __init__(self, votes: int = 1) -> None:
        self.votes = votes
        self.seq = 0
        self.by_id: dict[str, Event] = {}
        self.by_reviewer: dict[str, list[Decision]] = {}
        self.standing: dict[str, Decision] = {}
        self.labels: dict[str, int] = {}  # class -> in how many standing words of people it occurs
        self._by_path: dict[str, list[Decision]] = {}
        self._valid: dict[str, list[Decision]] = {}
        self._flags: dict[str, list[Decision]] = {}

    def add(self, events: Iterable[Event]) -> list[str]:
        """Take in what came since; the paths it is about, in the order of the log."""
        touched: dict[str, None] = {}
        for event in events:
            self.seq = event.seq
            self.by_id[event.decision.id] = event
            self.by_reviewer.setdefault(event.decision.reviewer, []).append(event.decision)
            self._by_path.setdefault(event.decision.path, []).append(event.decision)
            touched[event.decision.path] = None
        for path in touched:
            before = labels_named(self._valid.get(path, []))
            valid = self._valid[path] = not_taken_back(self._by_path[path])
            self._count_labels(before, labels_named(valid))
            self._flags[path] = standing_flags(self._by_path[path])
            if (holds := standing_decisions(valid).get(path)) is None:
                self.standing.pop(path, None)
            else:
                self.standing[path] = holds
        return list(touched)

    def _count_labels(self, before: list[str], after: list[str]) -> None:
        for label in after:
            self.labels[label] = self.labels.get(label, 0) + 1
        for label in before:
            self.labels[label] -= 1
            if not self.labels[label]:
                del self.labels[label]

    @property
    def paths(self) -> Iterable[str]:
        """Of all pictures of which anything was ever said, in the order of the log."""
        return self._by_path

    def valid(self, path: str, sha256: str) -> list[Decision]:
        """What was said of these bytes and not taken back, oldest first."""
        return [one for one in self._valid.get(path, []) if one.sha256 == sha256]

    def is_undone(self, decision: Decision) -> bool:
        """Whether it was taken back."""
        standing = self._flags if decision.answer == "flag" else self._valid
        return all(one.id != decision.id for one in standing.get(decision.path, []))

    def flags(self, path: str, sha256: str) -> list[Decision]:
        """Who has marked these bytes for later, oldest first."""
        return [one for one in self._flags.get(path, []) if one.sha256 == sha256]

    def decided(self, path: str, sha256: str) -> Decision | None:
        """What holds for these bytes; a label that was accepted without a look is no decision."""
        holds = self.standing.get(path)
        return holds if holds and holds.sha256 == sha256 and holds.answer != "accept" else None

    def how_far(self, path: str, sha256: str, single: bool = False) -> Standing:
        """How far a picture is. single: one answer is enough whatever `votes` says."""
        valid = [one for one in self.valid(path, sha256) if one.answer != "accept" and one.round not in MEASURING]
        said = frozenset(one.reviewer for one in valid)
        if self.decided(path, sha256):
            return Standing(True, said, 0)
        if single or self.votes == 1:
            return Standing(False, said, 1)
        # Where the planned votes differ, one more person is asked; what is open then is a matter for the lead.
        needed = self.votes + (len(said) >= self.votes)
        return Standing(len(said) >= needed, said, max(0, needed - len(said)))

    def ballot(self, path: str, sha256: str) -> list[Decision]:
        """The newest vote of each person on these bytes, of those of which a picture gets several; oldest first."""
        votes = [one for one in self.valid(path, sha256) if one.round == "vote" and one.quota > 1]
        newest = {one.reviewer: one for one in votes}
        return [one for one in votes if newest[one.reviewer] is one]

    def is_disputed(self, path: str, sha256: str) -> bool:
        """Whether all votes are in and none holds: a matter for the lead.

        Where one answer is enough now, votes of earlier days are all in when there are as many as were planned then.
        """
        ballot = self.ballot(path, sha256)
        if len(ballot) < 2 or self.decided(path, sha256):
            return False
        if self.votes > 1:
            return self.how_far(path, sha256).closed
        return len(ballot) >= max(one.quota for one in ballot)

    def adjudications(self, path: str, sha256: str) -> list[Decision]:
        """What leads said of these bytes in a dispute, oldest first."""
        return [one for one in self.valid(path, sha256) if one.round == "adjudication"]

    def looked_at(self, path: str, sha256: str, after: int) -> Decision | None:
        """The newest word on these bytes that came after that event, be it that nobody can tell."""
        for one in reversed(self.valid(path, sha256)):
            if one.answer != "accept" and one.round not in MEASURING and self.by_id[one.id].seq > after:
                return one
        return None


def labels_named(said: Iterable[Decision]) -> list[str]:
    """The classes that these decisions name, each as often as they do."""
    named: list[str] = []
    for one in said:
        if one.answer == "relabel":
            named.append(one.label)
        elif one.answer == "both":
            named += [str(label) for label in json.loads(one.label)]
    return named


def now() -> str:
    """The time as the log writes it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
