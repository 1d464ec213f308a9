"""A review under way: who gets what next, what they say of it, and how far it all is. No HTTP here.

Several people, tabs and servers may work on one log. What they must agree on is in its database: decisions, and leases
(who has which picture now). A request first takes in what the log got since the last one; so each server knows of all.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

from curate.decisions import Decision
from curate.guidelines import Guideline, read_guideline, write_guideline
from curate.review_app.answering import Refused, read_answer
from curate.review_app.board import Board
from curate.review_app.leasing import Holder, lease, leases_table, live_leases, make_relaxed, name_of, release
from curate.review_app.ledger import Ledger
from curate.review_app.pictures import Wanted
from curate.review_app.queues import EVERYTHING, TITLES, Catalogue, Filter
from curate.review_app.recording import Recorder
from curate.review_app.sampling import SampleProgress, told
from curate.review_app.showing import Ids, Showing, label_told
from curate.review_log import (
    Place,
    append_in,
    decisions_table,
    events_since,
    explained_log,
    hold,
    is_url,
    make_engine,
    open_engine,
)
from curate.spot_checks import keep_sample, newest_sample, plan_sample, unseen_pictures

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

State = Literal["ready", "empty", "goal"]
MOST_AT_ONCE = 48  # items of one request: a screen full of tiles
MOST_HELD = 200  # leases of one tab: four screens; who holds more keeps others from working
PACE_OF = 50  # newest actions, which tell how fast somebody is
LONGEST_S = 120.0  # per action: who takes longer was away


class TooMany(Exception):
    """A tab wants more pictures than one person can look at."""


@dataclass(frozen=True)
class Batch:
    """What comes next. left: undecided in this queue for this person, those that others have before them included."""

    items: list[dict[str, Any]]
    left: int
    state: State


@dataclass(frozen=True)
class Receipt:
    """saved: ids that are on the disk. extra: those of them whose picture had all its answers. refused: id -> why."""

    saved: list[str]
    extra: list[str]
    refused: dict[str, str]


class Session:
    """One server's part of a review. Use it as a context manager; all methods may be called from several threads.

    log: see `curate.review_log`. key: secret of the store, for names of pictures. votes: answers per picture.
    target: share of wrong labels to get to, 0..1. clock: seconds since 1970.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        log: Place,
        key: bytes,
        *,
        votes: int = 1,
        target: float = 0.01,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.catalogue = catalogue
        self.log = log
        self.target = target
        self.ledger = Ledger(votes)
        self.board = Board(catalogue, self.ledger)
        self.ids = names_of(catalogue, key)
        self.showing = Showing(catalogue, self.ledger, self.ids, blind=votes > 1)
        self.made = 0  # decisions that this server has written
        self._recorder = Recorder(catalogue, self.ledger, self.ids, self.showing)
        self._clock = clock
        self._lock = threading.RLock()
        self._decisions, self._leases = decisions_table(), leases_table()
        self._engines = ExitStack()

    def __enter__(self) -> Session:
        with explained_log(self.log), ExitStack() as stack:
            self._writing = stack.enter_context(open_engine(self.log))
            self._leasing = self._reading = self._writing
            if not is_url(self.log):
                self._leasing, self._reading = make_relaxed(make_engine(self.log)), make_engine(self.log, "mode=ro")
                stack.callback(self._leasing.dispose)
                stack.callback(self._reading.dispose)
                stack.enter_context(_kept_open(self._reading))
            with self._reading.connect() as connection:
                self._catch_up(connection)
                self._find_sample(connection)
            self._engines = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._engines.close()

    # ---- What there is

    def queues(self, reviewer: str) -> list[dict[str, Any]]:
        """Name, title, total and left of each queue."""
        with self._reads():
            return [
                {"name": name, "title": TITLES[name], "total": len(one.entries), "left": one.left(reviewer)}
                for name, one in self.board.queues.items()
            ]

    def next(
        self, queue: str, holder: Holder, *, count: int = 4, wanted: Filter = EVERYTHING, held: Sequence[str] = ()
    ) -> Batch:
        """The next items for a tab, which has them for a minute. held: items it has already, and keeps.

        Raises TooMany when it holds more than MOST_HELD.
        """
        with self._lock, explained_log(self.log):
            if queue == "spot" and self.board.sample is None:
                self.plan_sample(holder.reviewer)
            with self._leasing.begin() as connection:
                hold(connection, self._leases)
                self._catch_up(connection)
                taken = live_leases(connection, self._clock())
                if sum(holder in holders for holders in taken.values()) + count > MOST_HELD:
                    raise TooMany
                kept = {one for one in map(self.ids.find, held) if one and self.board.may_have(one, holder, taken)}
                known = {self.ids.find(name) for name in held}
                open_ones = self.board.open_entries(queue, holder.reviewer, wanted)
                free = (one for one in open_ones if one not in known and self.board.may_have(one, holder, taken))
                chosen = list(islice(free, count))
                names = [name_of(one.path, one.sha256) for one in [*kept, *chosen]]
                lease(connection, names, holder, self._clock())
            left = self.board.left(queue, holder.reviewer, wanted)
            return Batch([self.showing.item(entry) for entry in chosen], left, self._state(left))

    def renew(self, items: Sequence[str], holder: Holder) -> tuple[list[str], list[str]]:
        """Keep leases, or take them again: the items that are held, and those that somebody else has or has decided."""
        with self._lock, explained_log(self.log), self._leasing.begin() as connection:
            hold(connection, self._leases)
            self._catch_up(connection)
            taken = live_leases(connection, self._clock())
            if len(items) > MOST_HELD:
                raise TooMany
            entries = {name: self.ids.find(name) for name in items}
            kept = {name: one for name, one in entries.items() if one and self.board.may_have(one, holder, taken)}
            lease(connection, [name_of(one.path, one.sha256) for one in kept.values()], holder, self._clock())
            return list(kept), [name for name in items if name not in kept]

    def item(self, name: str) -> dict[str, Any] | None:
        """One item, to look again; None if there is no such one."""
        with self._reads():
            entry = self.ids.find(name)
            return self.showing.item(entry) if entry and entry.queue else None

    def picture(self, name: str) -> Wanted | None:
        """What to draw for a picture's name; None if there is no such one."""
        if (entry := self.ids.find(name)) is None:
            return None
        facts = self.catalogue.rows.loc[[entry.row], ["size_bytes", "width", "height"]].astype("Int64").fillna(0)
        size_bytes, width, height = facts.to_numpy(int)[0].tolist()
        return Wanted(entry.path, entry.sha256, size_bytes, width, height)

    def pairs(self, reviewer: str) -> list[dict[str, Any]]:
        """Given and suggested label of the likely errors with the number of them that are left, most first."""
        with self._reads():
            left: dict[tuple[str, str], int] = {}
            for entry in self.board.open_entries("errors", reviewer, EVERYTHING):
                pair = (self.showing.given(entry) or "", self.showing.suggested(entry) or "")
                if all(pair):
                    left[pair] = left.get(pair, 0) + 1
            ordered = sorted(left.items(), key=lambda one: (-one[1], one[0]))
            return [{"given": given, "suggested": better, "left": number} for (given, better), number in ordered]

    # ---- What is said

    def decide(self, answers: Sequence[Any], holder: Holder) -> Receipt:
        """Write down what a person says; on return it is on the disk. Sent again, it counts once."""
        receipt = Receipt([], [], {})
        with self._lock, explained_log(self.log):
            with self._writing.begin() as connection:
                hold(connection, self._decisions)
                self._catch_up(connection)
                made = self._judge(connection, answers, holder, receipt)
                append_in(connection, made)
                release(connection, [name_of(one.path, one.sha256) for one in made], holder)
            self.made += len(made)
            with self._reading.connect() as connection:
                self._catch_up(connection)
        return receipt

    def _judge(
        self, connection: Connection, answers: Sequence[Any], holder: Holder, receipt: Receipt
    ) -> list[Decision]:
        """The decisions to write; the receipt is filled."""
        made: dict[str, Decision] = {}
        for value in answers:
            try:
                said = read_answer(value)
                decision = self._recorder.decision(said, holder, made)
            except Refused as why:
                name = value.get("id") if isinstance(value, dict) else ""
                receipt.refused[name if isinstance(name, str) else ""] = str(why)
                continue
            receipt.saved.append(said.id)
            if decision is not None:
                made[said.id] = decision
                receipt.extra.extend([said.id] * self._recorder.is_extra(decision))
        return self._with_guidelines(connection, list(made.values()))

    def _with_guidelines(self, connection: Connection, made: list[Decision]) -> list[Decision]:
        """The same, each with the version of the guideline it was made under: that of the class it speaks for."""
        labels = [one.label if one.answer == "relabel" else str(one.context.get("given") or "") for one in made]
        versions = {label: read_guideline(connection, label).version for label in set(labels)}
        return [
            replace(one, context={**one.context, "guideline": versions[label]})
            for one, label in zip(made, labels, strict=True)
        ]

    def history(self, reviewer: str, count: int) -> list[dict[str, Any]]:
        """What a person has said, the newest first, without what took something back."""
        with self._reads():
            newest = (one for one in reversed(self.ledger.by_reviewer.get(reviewer, [])) if one.answer != "undo")
            return [self._event(one) for one in islice(newest, count)]

    def _event(self, decision: Decision) -> dict[str, Any]:
        place = self.catalogue.find((decision.path, decision.sha256))
        queue, given = str(decision.context.get("queue", "")), decision.context.get("given")
        return {
            "id": decision.id,
            "item": self.ids.of(self.catalogue.entry(queue, place)) if place is not None else None,
            "path": decision.path,
            "answer": decision.answer,
            "label": label_told(decision, given if isinstance(given, str) else None),
            "labels": json.loads(decision.label) if decision.answer == "both" else [],
            "note": decision.note,
            "decided_at": decision.decided_at,
            "queue": queue,
            "undone": self.ledger.is_undone(decision),
        }

    def progress(self, reviewer: str) -> dict[str, Any]:
        """How far this person and the whole review are."""
        with self._reads():
            mine = self._mine(reviewer)
            left = {name: one.left(reviewer) for name, one in self.board.queues.items()}
            pace, sample = per_minute(mine), self.board.sample
            return {
                "decided": len({(one.path, one.sha256) for one in mine}),
                "left": sum(left.values()),
                "per_minute": pace,
                "minutes_left": round(sum(left.values()) / pace, 1) if pace else None,
                "found": sum(one.answer in ("relabel", "both", "drop") for one in mine),
                "confirmed": sum(one.answer == "keep" for one in mine),
                "by_queue": left,
                "estimate": told(sample.estimate) if sample else None,
            }

    def _mine(self, reviewer: str) -> list[Decision]:
        """What a person has said since the version was made, and not taken back."""
        since = self.catalogue.version.created_at
        newer = [one for one in self.ledger.by_reviewer.get(reviewer, []) if one.decided_at > since]
        return [one for one in newer if one.answer not in ("undo", "accept") and not self.ledger.is_undone(one)]

    # ---- The blind sample, and guidelines

    def plan_sample(self, author: str) -> None:
        """Draw a new blind sample, and let it be the one that counts; or take that of another server that was faster.

        Raises SourceError when nothing is left to draw from.
        """
        with self._lock, explained_log(self.log):
            with self._writing.begin() as connection:
                hold(connection, self._decisions)
                number, rows = self.catalogue.version.number, self.catalogue.rows
                if newest_sample(connection) == (self.board.sample and self.board.sample.sample):
                    keep_sample(connection, plan_sample(rows, number, events_since(connection, 0), self.target, author))
            with self._reading.connect() as connection:
                self._catch_up(connection)
                self._find_sample(connection)

    def has_open_sample(self) -> bool:
        """Whether there is a sample for this target with pictures that nobody has looked at."""
        sample, queue = self.board.sample, self.board.queues["spot"]
        return sample is not None and sample.sample.target == self.target and len(queue.closed) < len(queue.entries)

    def _find_sample(self, connection: Connection) -> None:
        if (sample := newest_sample(connection)) is None:
            return
        before = [event for event in events_since(connection, 0) if event.seq <= sample.after_event]
        # Of a version that is not the sample's: what has changed or gone since can't be mended, and what came since was
        # not drawn from.
        population = unseen_pictures(self.catalogue.rows, before)
        self.ids.learn(self.board.set_sample(SampleProgress(sample, population)))

    def _state(self, left: int) -> State:
        if self.board.sample and self.board.sample.estimate.reached:
            return "goal"
        return "ready" if left else "empty"

    def guideline(self, label: str) -> Guideline:
        """The newest guideline of a class."""
        with self._lock, explained_log(self.log), self._reading.connect() as connection:
            return read_guideline(connection, label)

    def write_guideline(self, label: str, text: str, author: str, instead_of: str) -> Guideline:
        """Write a new one. Raises GuidelineConflict when it was changed meanwhile."""
        with self._lock, explained_log(self.log), self._writing.begin() as connection:
            return write_guideline(connection, label, text, author, instead_of=instead_of)

    # ---- Following the log

    @contextmanager
    def _reads(self) -> Iterator[None]:
        """A block that sees the log as it is now."""
        with self._lock:
            with explained_log(self.log), self._reading.connect() as connection:
                self._catch_up(connection)
            yield

    def _catch_up(self, connection: Connection) -> None:
        from sqlalchemy import func, select

        newest = connection.scalar(select(func.max(self._decisions.c.seq))) or 0
        if newest > self.ledger.seq:
            for path in self.ledger.add(events_since(connection, self.ledger.seq)):
                self.board.settle(path)


@contextmanager
def _kept_open(engine: Engine) -> Iterator[None]:
    """A connection that does nothing: when the last one is closed, SQLite writes its journal back, which takes long."""
    with engine.connect() as connection:
        connection.exec_driver_sql("SELECT count(*) FROM sqlite_master")  # only now is the file opened
        connection.rollback()
        yield


def names_of(catalogue: Catalogue, key: bytes) -> Ids:
    """The names of all pictures, and of all entries of the queues."""
    ids = Ids(key)
    ids.learn([catalogue.entry("", place) for place in range(len(catalogue.paths))])
    groups = catalogue.queues["duplicates"]
    ids.learn([catalogue.entry("duplicates", place) for group in groups for place in group.members])
    for entries in catalogue.queues.values():  # last: the name of a group's best copy is that of the group
        ids.learn(entries)
    return ids


def per_minute(decisions: Sequence[Decision]) -> float | None:
    """How many actions a person does in a minute, by the newest ones; None before there are three."""
    seconds: dict[str, float] = {}
    for one in decisions[-PACE_OF:]:
        took = one.context.get("seconds")
        if isinstance(took, int | float):
            # Answers on a group of copies are one action, whose ids share the first 12 digits, and each has its whole
            # time; the tiles of a grid share theirs out.
            action = one.id if one.context.get("mode") == "grid" else one.id[:12]
            seconds[action] = max(seconds.get(action, 0.0), min(float(took), LONGEST_S))
    total = sum(seconds.values())
    return round(60 * len(seconds) / total, 1) if len(seconds) >= 3 and total > 0 else None
