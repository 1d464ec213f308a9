"""Answers as decisions of the log: whether this person may give them here, and all that is recorded with each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version as installed_version
from typing import Any

from curate.decisions import MEASURING, Decision
from curate.review_app.answering import Refused, Said, label_of, same_answer
from curate.review_app.classes import Classes
from curate.review_app.leasing import Holder
from curate.review_app.ledger import Ledger, now
from curate.review_app.measuring import Measuring
from curate.review_app.queues import Catalogue, Entry
from curate.review_app.showing import Ids, Showing, round_of

SINGLE = ("spot", "duplicates", "adjudication")  # queues in which one answer is enough, however many votes others take


@dataclass(frozen=True)
class Recorder:
    """What is known when an answer comes."""

    catalogue: Catalogue
    ledger: Ledger
    ids: Ids
    showing: Showing
    measuring: Measuring | None = None
    curate: str = field(default_factory=lambda: installed_version("curate"))

    @property
    def classes(self) -> Classes:
        """What a picture can be given."""
        return Classes(self.catalogue, self.ledger)

    def decision(self, said: Said, holder: Holder, made: Mapping[str, Decision], lead: bool = False) -> Decision | None:
        """What to write; None if the log has it already. made: decisions of the same request, by id.

        Raises Refused: a picture that is not there, a label that is none, somebody else's id or decision, and who is
        no lead has no say on what is disputed.
        """
        known = self.ledger.by_id.get(said.id)
        before = known.decision if known else made.get(said.id)
        entry = self.ids.find(said.item)
        if before is not None:
            if before.reviewer != holder.reviewer or not same_answer(said, before, entry):
                raise Refused("another answer has that id")
            return None
        if said.answer == "undo":
            return self._undo(said, holder, made)
        if entry is None or not entry.queue or (entry.measures and entry.asked != holder.reviewer):
            raise Refused("this version of the data set has no such picture")
        if entry.queue == "adjudication":
            self._require_adjudication(said, entry, lead)
        return self._answer(said, entry, holder)

    def _require_adjudication(self, said: Said, entry: Entry, lead: bool) -> None:
        if not lead:
            raise Refused("only a lead decides where votes differ")
        kept = any(one.answer == "keep" for one in self.ledger.ballot(entry.path, entry.sha256))
        if said.answer == "keep" and self.showing.given(entry) is None and not kept:
            raise Refused("there is no label to keep: choose a class")
        if not said.note.strip():
            raise Refused("where votes differ, a decision takes a reason: write it as the note")
        for label in said.unclear:
            if label not in self.classes:
                raise Refused(f"there is no class {label[:80]!r} in this data set")

    def _answer(self, said: Said, entry: Entry, holder: Holder) -> Decision:
        answer, label = label_of(said, entry, self.showing.given(entry), self.classes)
        return Decision(
            id=said.id,
            decided_at=now(),
            reviewer=holder.reviewer,
            path=entry.path,
            sha256=entry.sha256,
            answer=answer,
            label=label,
            note=said.note,
            round=entry.measures or round_of(entry.queue, self.ledger.votes),
            quota=1 if entry.queue in SINGLE else self.ledger.votes,
            context=self._context(said, entry, holder),
        )

    def _undo(self, said: Said, holder: Holder, made: Mapping[str, Decision]) -> Decision:
        known = self.ledger.by_id.get(said.undoes)
        target = known.decision if known else made.get(said.undoes)
        if target is None or target.answer == "undo" or target.reviewer != holder.reviewer:
            raise Refused("there is no decision of yours with that id to take back")
        if (known and self.ledger.is_undone(target)) or any(one.undoes == target.id for one in made.values()):
            raise Refused("that decision was taken back already")
        return Decision(
            id=said.id,
            decided_at=now(),
            reviewer=holder.reviewer,
            path=target.path,
            sha256=target.sha256,
            answer="undo",
            label="",
            note=said.note,
            undoes=target.id,
            context={**said.timing, "tab": holder.tab, "curate": self.curate},
        )

    def _context(self, said: Said, entry: Entry, holder: Holder) -> dict[str, Any]:
        hidden = entry.queue == "spot"
        row = self.catalogue.row(entry.row)
        model = self.catalogue.version.counts.get("opinions", {}).get("flag", {}).get("model", "")
        return {
            "queue": entry.queue,
            **said.timing,
            "given": self.showing.given(entry),
            "suggested": None if hidden else self.showing.suggested(entry),
            "probability": None if hidden else self.showing.probability(entry, row),
            "model": row.get("pred_by", "") if entry.queue == "prelabels" else model,
            "version": self.catalogue.version.name,
            "tab": holder.tab,
            "curate": self.curate,
            **({"unclear": list(said.unclear)} if said.unclear and entry.queue == "adjudication" else {}),
            **self._truth(entry),
        }

    def _truth(self, entry: Entry) -> dict[str, str]:
        """What a gold picture certainly shows."""
        truth = self.measuring.truth(entry) if self.measuring and entry.measures == "gold" else None
        return {} if truth is None else {"truth": truth}

    def is_extra(self, decision: Decision) -> bool:
        """Whether the picture had all its answers, from others, when this one came."""
        if decision.answer in ("undo", "flag") or decision.round in ("adjudication", *MEASURING):
            return False
        said = [one for one in self.ledger.valid(decision.path, decision.sha256) if one.answer != "accept"]
        said = [one for one in said if one.round not in MEASURING]
        earlier = [one for one in said if one.id != decision.id]
        if any(one.reviewer == decision.reviewer for one in earlier):
            return False  # second thoughts
        others = {one.reviewer for one in earlier if one.answer != "unsure" or decision.quota > 1}
        return len(others) >= decision.quota + (decision.quota > 1)
