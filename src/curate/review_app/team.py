"""What a lead is told of a session: how far people agree, how each does, what is disputed, and what is unclear."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from curate.agreement import MOST_CLASSES, Agreement, Rate, Reviewer, agreement_of
from curate.agreement import told as agreement_told
from curate.decisions import Decision
from curate.guideline_issues import Issue
from curate.guidelines import Guideline
from curate.review_app.queues import LEAD_ONLY
from curate.review_app.recording import SINGLE
from curate.review_app.showing import label_told

if TYPE_CHECKING:
    from curate.review_app.board import Board
    from curate.review_app.session import Session

MOST_DISPUTES = 50  # listed; the queue has all of them
MOST_LINES = 200  # of a difference between two versions of a guideline
AT_WORK = timedelta(minutes=10)  # whoever has answered since then counts for the pace


def team(session: Session) -> dict[str, Any]:
    """Everything on the lead's page, as plain data."""
    log, given = session.log_so_far(), dict(zip(session.catalogue.paths, session.catalogue.given, strict=True))
    found = agreement_of(log, {path: label for path, label in given.items() if label is not None})
    paces = session.paces(now_at_work(log))
    left = session.answers_left()
    together = sum(pace for pace in paces.values() if pace)
    told = agreement_told(found)
    return {
        "agreement": {name: told[name] for name in ("pictures", "alpha", "alpha_interval", "classes")},
        "people": [
            {**one, "by_class": None, "confusions": None, "per_minute": paces.get(one["name"])}
            for one in told["people"]
        ],
        "confusions": confusions(found),
        "work": {
            "left": left,
            "per_minute": round(together, 1) if together else None,
            "minutes": round(left / together, 1) if together else None,
        },
        "disputes": session.disputes(MOST_DISPUTES),
        "issues": [issue_told(one) for one in session.issues()],
        "guidelines": [guideline_told(versions) for versions in session.guidelines()],
    }


def now_at_work(log: Sequence[Decision]) -> list[str]:
    """Who has answered in the last minutes."""
    since = (datetime.now(UTC) - AT_WORK).isoformat(timespec="milliseconds")
    return sorted({one.reviewer for one in log if one.decided_at > since and one.answer != "undo"})


def answers_left(board: Board, votes: int) -> int:
    """How many answers it still takes, if nobody differs; without what measures people, and what a lead decides."""
    left = 0
    for name, queue in board.queues.items():
        if name not in LEAD_ONLY:
            each = 1 if name in SINGLE else votes
            given = sum(len(passed) for passed in queue.passed.values())
            left += max(0, (len(queue.entries) - len(queue.closed)) * each - given)
    return left


def confusions(found: Agreement) -> list[dict[str, Any]]:
    """A row per class on which people erred most: what most said, and of each person how often they said so too."""
    missed: dict[str, int] = {}
    for one in found.reviewers:
        for (most, _), number in one.confusions.items():
            missed[most] = missed.get(most, 0) + number
    order = sorted(missed.items(), key=lambda row: (-row[1], row[0]))[:MOST_CLASSES]
    return [{"label": label, "cells": [_cell(one, label) for one in found.reviewers]} for label, _ in order]


def _cell(one: Reviewer, label: str) -> dict[str, Any]:
    """How a person does on a class, and what they take it for most often."""
    rate = one.by_class.get(label, Rate.of([]))
    taken = {said: number for (most, said), number in one.confusions.items() if most == label}
    said = max(taken, key=lambda name: taken[name], default="")
    return {"reviewer": one.name, "right": rate.count, "total": rate.total, "said": said, "times": taken.get(said, 0)}


def dispute_told(item: str, path: str, votes: Sequence[Decision], given: str | None) -> dict[str, Any]:
    """A picture whose votes differ, without the names of who voted."""
    words = [{"answer": one.answer, "label": label_told(one, given) or one.answer, "note": one.note} for one in votes]
    return {"item": item, "path": path, "given": given, "votes": sorted(words, key=lambda one: tuple(one.values()))}


def issue_told(issue: Issue) -> dict[str, str]:
    """An issue, without the path of its picture's file."""
    return {
        "decision": issue.decision,
        "label": issue.label,
        "reason": issue.reason,
        "opened_by": issue.opened_by,
        "opened_at": issue.opened_at,
    }


def guideline_told(versions: Sequence[Guideline]) -> dict[str, Any]:
    """A class's guideline: how many versions, who wrote the last, and what that changed."""
    before = versions[-2].text if len(versions) > 1 else ""
    last = versions[-1]
    return {
        "label": last.label,
        "versions": len(versions),
        "author": last.author,
        "written_at": last.written_at,
        "changes": changes(before, last.text),
    }


def changes(before: str, after: str) -> list[dict[str, str]]:
    """What was changed, line by line: kind ("added", "removed", "same" or "gap") and text."""
    kinds: Mapping[str, str] = {"+": "added", "-": "removed", " ": "same", "@": "gap"}
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=1)
    told = [{"kind": kinds[line[0]], "text": "" if line[0] == "@" else line[1:]} for line in list(lines)[2:]]
    return told[1 : MOST_LINES + 1]  # without the first gap
