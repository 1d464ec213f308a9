"""Random blind samples of a review: planned once, kept in the log's database, and what they tell so far.

    version, log ─▶ plan_sample ─▶ kept ─▶ people look ─▶ estimate_of ─▶ may the review stop?

The population is every labelled kept picture of a version on which nobody had decided. The sample is drawn before
anybody looks, by a random number of the system, so that neither people nor data can have prepared for it.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from curate.decisions import MEASURING, not_taken_back
from curate.errors import SourceError
from curate.review_log import Event, hold
from curate.stopping import Estimate, estimate, sample_size

if TYPE_CHECKING:
    import pandas as pd
    from sqlalchemy import Connection, Table

Picture = tuple[str, str]  # path and sha256
MENDED = ("relabel", "both", "drop")  # answers after which a wrong label is none any more
WRONG = (*MENDED, "unsure")  # of an answer in a spot check: who can't tell has not confirmed it


@dataclass(frozen=True)
class Sample:
    """A planned sample. version: its number. after_event: the last event of the log that was seen.

    population: pictures it was drawn from; labels: all labelled kept pictures. target: share of wrong labels, 0..1.
    items: what to look at, in this order.
    """

    planned_at: str
    author: str
    version: int
    after_event: int
    population: int
    labels: int
    target: float
    items: tuple[Picture, ...]


def plan_sample(rows: pd.DataFrame, version: int, events: Sequence[Event], target: float, author: str) -> Sample:
    """Draw the pictures to look at. rows: of that version. Raises SourceError when nobody could look at any."""
    labelled, population = labelled_pictures(rows), unseen_pictures(rows, events)
    if not population:
        raise SourceError(
            "Somebody has decided on every labelled picture already, so there is nothing to draw a sample from.",
            "Freeze what was decided: curate apply DIR",
        )
    size = sample_size(len(population), len(labelled), target)
    drawn = secrets.SystemRandom().sample(sorted(population), size)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    last = events[-1].seq if events else 0
    return Sample(now, author, version, last, len(population), len(labelled), target, tuple(drawn))


def labelled_pictures(rows: pd.DataFrame) -> set[Picture]:
    """Path and sha256 of the kept rows with a label."""
    chosen = rows[rows["keep"] & rows["final_label"].notna() & rows["sha256"].notna()]
    return set(zip(chosen["path"], chosen["sha256"], strict=True))


def unseen_pictures(rows: pd.DataFrame, events: Sequence[Event]) -> set[Picture]:
    """Those of them on which nobody has decided, in these events."""
    decided = not_taken_back([event.decision for event in events])
    looked_at = (one for one in decided if one.answer != "accept" and one.round not in MEASURING)
    return labelled_pictures(rows) - {(one.path, one.sha256) for one in looked_at}


def estimate_of(sample: Sample, rows: pd.DataFrame, events: Sequence[Event]) -> Estimate:
    """What the answers since tell. rows: of the version that the sample was drawn from. events: the whole log.

    A picture of the sample that somebody decided on in another queue counts as looked at.
    """
    population = unseen_pictures(rows, [event for event in events if event.seq <= sample.after_event])
    since = [event.decision for event in events if event.seq > sample.after_event]
    answers: dict[Picture, str] = {}
    for one in not_taken_back(since):
        if one.answer != "accept" and one.round not in MEASURING:
            answers[one.path, one.sha256] = one.answer
    drawn = set(sample.items)
    checked = [answer for picture, answer in answers.items() if picture in drawn]
    return estimate(
        population=sample.population,
        planned=len(sample.items),
        checked=len(checked),
        wrong=sum(answer in WRONG for answer in checked),
        mended=sum(answer in MENDED for one, answer in answers.items() if one in population or one in drawn),
        labels=sample.labels,
        target=sample.target,
    )


# ---- In the log's database


def keep_sample(connection: Connection, sample: Sample) -> None:
    """Add a sample; the newest one counts."""
    from sqlalchemy import insert

    table = _table()
    hold(connection, table)
    connection.execute(insert(table).values({**asdict(sample), "items": json.dumps(sample.items)}))


def newest_sample(connection: Connection) -> Sample | None:
    """The sample that counts; None if none was planned."""
    from sqlalchemy import inspect, select

    if not inspect(connection).has_table("samples"):
        return None  # a log of an older curate, or none yet
    table = _table()
    row = connection.execute(select(table).order_by(table.c.seq.desc()).limit(1)).mappings().first()
    if row is None:
        return None
    values: dict[str, Any] = {name: value for name, value in row.items() if name not in ("seq", "items")}
    return Sample(**values, items=tuple((path, sha256) for path, sha256 in json.loads(row["items"])))


def _table() -> Table:
    from sqlalchemy import Column, Float, Integer, MetaData, Table, Text

    return Table(
        "samples",
        MetaData(),
        Column("seq", Integer, primary_key=True),
        *(Column(name, Text, nullable=False) for name in ("planned_at", "author", "items")),
        *(Column(name, Integer, nullable=False) for name in ("version", "after_event", "population", "labels")),
        Column("target", Float, nullable=False),
    )
