"""What is unclear about guidelines: opened with the decision of a lead on votes that differ, so that it is not lost.

An issue is a part of that decision in the log (`context["unclear"]`: class -> the version of its guideline then), and
goes when the decision is taken back. It is closed when somebody has written another version, or says so.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING

from curate.decisions import Decision
from curate.guidelines import read_guideline

if TYPE_CHECKING:
    from sqlalchemy import Connection, Table

Key = tuple[str, str]  # id of the decision, and class


@dataclass(frozen=True)
class Issue:
    """An open issue. decision: the id of the one it came with. reason: its note."""

    decision: str
    label: str
    reason: str
    path: str
    opened_by: str
    opened_at: str


def open_issues(connection: Connection, decisions: Iterable[Decision]) -> list[Issue]:
    """The issues of these decisions, none of which was taken back, that are open; oldest first."""
    said = [one for one in decisions if isinstance(one.context.get("unclear"), dict)]
    closed = _closed(connection) if said else set[Key]()
    labels = {label for one in said for label in one.context["unclear"]}
    versions = {label: read_guideline(connection, label).version for label in labels}
    issues = [
        Issue(one.id, label, one.note, one.path, one.reviewer, one.decided_at)
        for one in said
        for label, version in one.context["unclear"].items()
        if versions[label] == version and (one.id, label) not in closed
    ]
    return sorted(issues, key=lambda one: (one.opened_at, one.decision, one.label))


def close_issue(connection: Connection, decision: str, label: str, author: str) -> None:
    """Close an issue; once is enough."""
    from sqlalchemy import insert

    if (decision, label) not in _closed(connection):
        now = datetime.now(UTC).isoformat(timespec="seconds")
        row = {"decision": decision, "label": label, "closed_by": author, "closed_at": now}
        connection.execute(insert(_table()).values(row))


def _closed(connection: Connection) -> set[Key]:
    from sqlalchemy import inspect, select

    if not inspect(connection).has_table("closed_issues"):
        return set()  # a log of an older curate
    table = _table()
    return {(row.decision, row.label) for row in connection.execute(select(table.c.decision, table.c.label))}


@cache  # what SQLAlchemy has compiled for a table it knows again by the table
def _table() -> Table:
    from sqlalchemy import Column, MetaData, String, Table, Text

    return Table(
        "closed_issues",
        MetaData(),
        Column("decision", String, primary_key=True),
        Column("label", String, primary_key=True),
        Column("closed_by", Text, nullable=False),
        Column("closed_at", Text, nullable=False),
    )
