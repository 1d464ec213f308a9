"""What has been said so far: the log, folded event by event as it grows, so that no request reads all of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from curate.decisions import Decision, not_taken_back, standing_decisions
from curate.review_log import Event

MEASURING = ("gold", "repeat")  # rounds that decide nothing


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
        self._by_path: dict[str, list[Decision]] = {}
        self._valid: dict[str, list[Decision]] = {}

    def add(self, events: Iterable[Event]) -> set[str]:
        """Take in what came since; the paths it is about."""
        touched = set()
        for event in events:
            self.seq = event.seq
            self.by_id[event.decision.id] = event
            self.by_reviewer.setdefault(event.decision.reviewer, []).append(event.decision)
            self._by_path.setdefault(event.decision.path, []).append(event.decision)
            touched.add(event.decision.path)
        for path in touched:
            valid = self._valid[path] = not_taken_back(self._by_path[path])
            if (holds := standing_decisions(valid).get(path)) is None:
                self.standing.pop(path, None)
            else:
                self.standing[path] = holds
        return touched

    def valid(self, path: str, sha256: str) -> list[Decision]:
        """What was said of these bytes and not taken back, oldest first."""
        return [one for one in self._valid.get(path, []) if one.sha256 == sha256]

    def is_undone(self, decision: Decision) -> bool:
        """Whether it was taken back."""
        return all(one.id != decision.id for one in self._valid.get(decision.path, []))

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

    def looked_at(self, path: str, sha256: str, after: int) -> Decision | None:
        """The newest word on these bytes that came after that event, be it that nobody can tell."""
        for one in reversed(self.valid(path, sha256)):
            if one.answer != "accept" and one.round not in MEASURING and self.by_id[one.id].seq > after:
                return one
        return None


def now() -> str:
    """The time as the log writes it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
