"""What people said (an append-only log), and `decide()`: people and rules together give keep or drop.

    person says   a rule flagged it     keep   final_label   decided_by
    keep          any                   yes    label         reviewer
    relabel x     any                   yes    x             reviewer
    accept x      yes, action drop      no                   check
    accept x      otherwise             yes    x             reviewer
    drop          any                   no                   reviewer
    both x and y  any                   no                   reviewer
    nothing       yes, action drop      no                   check
    nothing       yes, action review    yes    label         "" (counted as unreviewed)
    nothing       no                    yes    label         ""

A picture of both classes has no single label, and would teach the wrong one; the log keeps what was said.
"unsure" and "flag" decide nothing; a flag only marks the picture for later, and says nothing of it. "accept" takes a
model's label without a look at the picture (`curate prelabel --accept`): it speaks for the label alone, so a check
still drops the picture. Keep, after an accept, keeps that label.
A picture that can't be read is dropped whatever anybody says: there are no pixels to keep.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from curate.rows import places_of
from curate.settings import Settings
from curate.stages.judge import checks_with_action, names_where

if TYPE_CHECKING:
    import pandas as pd

Answer = Literal["keep", "relabel", "both", "drop", "unsure", "flag", "accept", "undo"]
Round = Literal["", "vote", "adjudication", "spot", "gold", "repeat"]
MEASURING = ("gold", "repeat")  # rounds that tell how well somebody reviews, and decide nothing


@dataclass(frozen=True)
class Decision:
    """One event of the log: a person's word on one picture. sha256 ties it to the content they saw.

    label: for "relabel" and "accept"; for "both" a JSON list of labels. round: "" outside of a session; "gold" and
    "repeat" measure the reviewer and decide nothing. undoes: for "undo", the id of what is taken back; "" = the newest
    standing decision on that picture. quota: how many votes the picture was to get when this one was given.
    context: what the session showed and measured, as plain data: queue, given, suggested, probability, model, version,
    mode (single or grid), guideline, seconds and the like.
    """

    id: str
    decided_at: str
    reviewer: str
    path: str
    sha256: str
    answer: Answer
    label: str
    note: str
    round: Round = ""
    undoes: str = ""
    quota: int = 1
    context: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def verdict(self) -> tuple[str, str]:
        """What is said, whoever says it: two votes agree when these are equal."""
        return self.answer, self.label if self.answer in ("relabel", "both") else ""


def new_decision(path: str, sha256: str, answer: Answer, reviewer: str, label: str = "", note: str = "") -> Decision:
    """A decision made now."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    return Decision(uuid.uuid4().hex, now, reviewer, path, sha256, answer, label, note)


def standing_decisions(log: Sequence[Decision]) -> dict[str, Decision]:
    """path -> the decision that holds now: the newest one that was not taken back.

    Of votes of which a picture gets several, one holds when two people agree; until then, what held before does. An
    adjudication stands over all votes, also those that come later.
    """
    history: dict[str, list[Decision]] = {}
    for decision in not_taken_back(log):
        history.setdefault(decision.path, []).append(decision)
    found = {path: _standing(events) for path, events in history.items()}
    return {path: one for path, one in found.items() if one is not None}


def not_taken_back(log: Sequence[Decision]) -> list[Decision]:
    """The decisions that were not undone, oldest first; without those that undo, and flags, which say nothing."""
    return [one for one in _left_standing(log) if one.answer != "flag"]


def standing_flags(log: Sequence[Decision]) -> list[Decision]:
    """The flags that were not undone, oldest first: what people want looked at later, or by somebody else."""
    return [one for one in _left_standing(log) if one.answer == "flag"]


def _left_standing(log: Sequence[Decision]) -> list[Decision]:
    standing: dict[str, Decision] = {}
    by_path: dict[str, list[str]] = {}
    for decision in log:
        if decision.answer != "undo":
            standing[decision.id] = decision
            by_path.setdefault(decision.path, []).append(decision.id)
            continue
        ids = by_path.get(decision.path, [])
        taken_back = decision.undoes or (ids[-1] if ids else "")
        if standing.pop(taken_back, None) is not None:
            ids.remove(taken_back)
    return list(standing.values())


def _standing(events: Sequence[Decision]) -> Decision | None:
    """The decision that holds of those on one picture, none of them undone, oldest first."""
    holds: Decision | None = None
    ballot: list[Decision] = []
    adjudicated = False
    for event in events:
        if event.round in MEASURING or (event.answer == "unsure" and event.quota == 1):
            continue
        adjudicated = adjudicated or event.round == "adjudication"
        if event.round == "vote" and event.quota > 1:
            ballot = [one for one in ballot if one.reviewer != event.reviewer] + [event]
            holds = holds if adjudicated else agreed(ballot) or holds  # a vote that comes late changes nothing
        elif event.answer == "keep" and holds and holds.answer == "accept":
            holds = replace(event, label=holds.label)
        elif event.answer != "unsure":
            holds = event
    return holds


def agreed(ballot: Sequence[Decision]) -> Decision | None:
    """What most people said, under all their names; None while fewer than half of the quota, or than two, agree.

    ballot: one vote per person. Of a quota of two that differ, a third vote decides.
    """
    voters: dict[tuple[str, str], list[Decision]] = {}
    for vote in ballot:
        if vote.answer != "unsure":
            voters.setdefault(vote.verdict, []).append(vote)
    most = max(voters.values(), key=len, default=[])
    needed = max(2, max((one.quota for one in ballot), default=1) // 2 + 1)
    return replace(most[-1], reviewer=", ".join(one.reviewer for one in most)) if len(most) >= needed else None


def decide(table: pd.DataFrame, settings: Settings, log: Sequence[Decision] = ()) -> pd.DataFrame:
    """The judged table with reviewed, reviewed_label, reasons, keep, decided_by, final_label and, if given, split.

    reviewed: what a person said ("keep", "relabel", "both", "drop", "accept"; NA if nobody did). Decisions on a
    content that the file no longer has are stale and don't count.
    """
    table = with_reviews(table, log)
    dropping = checks_with_action(settings, "drop")
    reasons = names_where(table, dropping)
    reviewer = table["reviewed_by"].where(table["reviewed"].notna())
    readable = table["read_error"].isna()
    overruled = readable & table["reviewed"].isin(["keep", "relabel"])
    reasons = reasons.mask(overruled, "").mask(readable & table["reviewed"].isin(["drop", "both"]), reviewer)
    keep = reasons == ""
    final_label = table["reviewed_label"].fillna(table["label"]).where(keep)
    by_person = readable & ~(table["reviewed"].eq("accept") & ~keep)
    decided_by = reviewer.where(by_person).fillna((~keep).map({True: "check", False: ""}).astype("str"))
    table = table.assign(reasons=reasons, keep=keep, final_label=final_label, decided_by=decided_by)
    return table.assign(split=table["given_split"].where(keep)) if "given_split" in table else table


def stale_decisions(table: pd.DataFrame, log: Sequence[Decision]) -> list[Decision]:
    """Standing decisions whose picture is gone or has another content now."""
    standing = list(standing_decisions(log).values())
    return [one for one, place in zip(standing, _places(table, standing), strict=True) if place < 0]


def given_labels(table: pd.DataFrame, log: Sequence[Decision]) -> pd.Series[str]:
    """The label of each row that a model may learn from: a person's, else the source's; NA = none.

    A label that was accepted from a model is not among them: it would learn from itself.
    """
    reviews = with_reviews(table, log)
    by_person = reviews["reviewed_label"].where(reviews["reviewed"] == "relabel")
    return by_person.fillna(table["label"])


def with_reviews(table: pd.DataFrame, log: Sequence[Decision]) -> pd.DataFrame:
    """The table with reviewed, reviewed_label and reviewed_by: the standing decisions on the very bytes of each row."""
    import pandas as pd

    standing = list(standing_decisions(log).values())
    place = _places(table, standing)
    values: dict[str, list[str | None]] = {
        "reviewed": [one.answer for one in standing],
        "reviewed_label": [one.label or None for one in standing],
        "reviewed_by": [one.reviewer for one in standing],
    }
    columns = {name: pd.Series(pd.NA, index=table.index, dtype="str") for name in values}
    for name, said in values.items():
        columns[name].iloc[place[place >= 0]] = pd.Series(said, dtype="str")[place >= 0].array
    return table.assign(**columns)


def _places(table: pd.DataFrame, decisions: Sequence[Decision]) -> NDArray[np.int64]:
    """In which row each decision finds the very bytes that it is about, -1 = nowhere."""
    import pandas as pd

    about = pd.DataFrame([(one.path, one.sha256) for one in decisions], columns=["path", "sha256"], dtype="str")
    place = places_of(about["path"], table["path"])
    there = place >= 0
    there[there] = table["sha256"].iloc[place[there]].to_numpy() == about.loc[there, "sha256"].to_numpy()
    return np.where(there, place, -1)
