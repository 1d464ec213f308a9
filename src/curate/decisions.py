"""What people said (an append-only log), and `decide()`: people and rules together give keep or drop.

    person says   a rule flagged it     keep   final_label   decided_by
    keep          any                   yes    label         reviewer
    relabel x     any                   yes    x             reviewer
    accept x      yes, action drop      no                   check
    accept x      otherwise             yes    x             reviewer
    drop          any                   no                   reviewer
    nothing       yes, action drop      no                   check
    nothing       yes, action review    yes    label         "" (counted as unreviewed)
    nothing       no                    yes    label         ""

"accept" takes a model's label without a look at the picture (`curate prelabel --accept`): it speaks for the label
alone, so a check still drops the picture. Keep, after an accept, keeps that label.
A picture that can't be read is dropped whatever anybody says: there are no pixels to keep.
"""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import astuple, dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from curate.errors import StoreError
from curate.files import explained
from curate.settings import Settings
from curate.stages.judge import checks_with_action, names_where

if TYPE_CHECKING:
    import pandas as pd

Answer = Literal["keep", "relabel", "drop", "accept", "undo"]


@dataclass(frozen=True)
class Decision:
    """One event of the log: a person's word on one picture. sha256 ties it to the content they saw.

    answer "undo" takes back the newest standing decision on that picture. label: for "relabel" and "accept".
    """

    id: str
    decided_at: str
    reviewer: str
    path: str
    sha256: str
    answer: Answer
    label: str
    note: str


def new_decision(path: str, sha256: str, answer: Answer, reviewer: str, label: str = "", note: str = "") -> Decision:
    """A decision made now."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    return Decision(uuid.uuid4().hex, now, reviewer, path, sha256, answer, label, note)


def append(log: Path, decisions: Sequence[Decision]) -> None:
    """Add decisions to the log; on return they are on the disk."""
    names = [column.name for column in fields(Decision)]
    with _explained(log), _open(log) as connection:
        connection.executemany(
            f"INSERT INTO decisions ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})",  # noqa: S608  our own names
            [astuple(decision) for decision in decisions],
        )


def read_log(log: Path) -> list[Decision]:
    """Every decision ever made, oldest first; [] if there is no log."""
    if not log.exists():
        return []
    with _explained(log):
        try:
            return _read_log(log, "mode=ro")
        except sqlite3.OperationalError:  # write-ahead logging takes files beside it, which a read-only disk refuses
            return _read_log(log, "immutable=1")


def _read_log(log: Path, access: str) -> list[Decision]:
    names = ", ".join(column.name for column in fields(Decision))
    with closing(sqlite3.connect(f"{log.absolute().as_uri()}?{access}", uri=True, timeout=30)) as connection:
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'decisions'").fetchone():
            return []  # whoever made the file was killed before it held anything
        return [Decision(*row) for row in connection.execute(f"SELECT {names} FROM decisions ORDER BY seq")]  # noqa: S608


@contextmanager
def _explained(log: Path) -> Iterator[None]:
    """Turn what SQLite and the operating system say into a message for people."""
    try:
        with explained(log):
            yield
    except sqlite3.OperationalError as error:  # a full or read-only disk
        raise StoreError(
            f"The decisions in {str(log)!r} can't be read or written: {error}.",
            "Free some space, or see who may write there; then run the same command again.",
        ) from error
    except sqlite3.DatabaseError as error:
        raise StoreError(
            f"The decisions in {str(log)!r} are damaged: {error}.", "Restore that file from a backup."
        ) from error


@contextmanager
def _open(log: Path) -> Iterator[sqlite3.Connection]:
    log.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(log, timeout=30)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")  # acknowledged means on the disk
        connection.execute(
            "CREATE TABLE IF NOT EXISTS decisions (seq INTEGER PRIMARY KEY, id TEXT UNIQUE NOT NULL,"
            " decided_at TEXT NOT NULL, reviewer TEXT NOT NULL, path TEXT NOT NULL, sha256 TEXT NOT NULL,"
            " answer TEXT NOT NULL, label TEXT NOT NULL, note TEXT NOT NULL)"
        )
        with connection:
            yield connection


def standing_decisions(log: Sequence[Decision]) -> dict[str, Decision]:
    """path -> the decision that holds now: the newest one that was not taken back."""
    history: dict[str, list[Decision]] = {}
    for decision in log:
        stack = history.setdefault(decision.path, [])
        if decision.answer == "undo":
            del stack[-1:]
        elif decision.answer == "keep" and stack and stack[-1].answer == "accept":
            stack.append(replace(decision, label=stack[-1].label))
        else:
            stack.append(decision)
    return {path: stack[-1] for path, stack in history.items() if stack}


def decide(table: pd.DataFrame, settings: Settings, log: Sequence[Decision] = ()) -> pd.DataFrame:
    """The judged table with reviewed, reviewed_label, reasons, keep, decided_by, final_label and, if given, split.

    reviewed: what a person said ("keep", "relabel", "drop", "accept"; NA if nobody did). Decisions on a content that
    the file no longer has are stale and don't count.
    """
    table = with_reviews(table, log)
    dropping = checks_with_action(settings, "drop")
    reasons = names_where(table, dropping)
    reviewer = table["reviewed_by"].where(table["reviewed"].notna())
    readable = table["read_error"].isna()
    overruled = readable & table["reviewed"].isin(["keep", "relabel"])
    reasons = reasons.mask(overruled, "").mask(readable & (table["reviewed"] == "drop"), reviewer)
    keep = reasons == ""
    final_label = table["reviewed_label"].fillna(table["label"]).where(keep)
    by_person = readable & ~(table["reviewed"].eq("accept") & ~keep)
    decided_by = reviewer.where(by_person).fillna((~keep).map({True: "check", False: ""}).astype("str"))
    table = table.assign(reasons=reasons, keep=keep, final_label=final_label, decided_by=decided_by)
    return table.assign(split=table["given_split"].where(keep)) if "given_split" in table else table


def stale_decisions(table: pd.DataFrame, log: Sequence[Decision]) -> list[Decision]:
    """Standing decisions whose picture is gone or has another content now."""
    content = dict(zip(table["path"], table["sha256"], strict=True))
    return [one for one in standing_decisions(log).values() if content.get(one.path) != one.sha256]


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

    standing = standing_decisions(log)
    rows = [
        (one.answer, one.label or None, one.reviewer) if one and one.sha256 == sha256 else (None, None, None)
        for path, sha256 in zip(table["path"], table["sha256"], strict=True)
        for one in [standing.get(path)]
    ]
    columns = ["reviewed", "reviewed_label", "reviewed_by"]
    reviews = pd.DataFrame(rows, columns=columns, index=table.index, dtype="str")
    return table.assign(**{name: reviews[name] for name in columns})
