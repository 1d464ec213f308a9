"""A review under way: who gets what next, what they say of it, and how far it all is. No HTTP here.

Several people, tabs and servers may work on one log. What they must agree on is in its database: decisions, and leases
(who has which picture now). A request first takes in what the log got since the last one; so each server knows of all.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any, Literal

from curate.decisions import Decision
from curate.guideline_issues import Issue, close_issue, open_issues
from curate.guidelines import Guideline, read_all_versions, read_guideline, write_guideline
from curate.review_app.answering import Refused, read_answer
from curate.review_app.board import Board
from curate.review_app.classes import Classes
from curate.review_app.leasing import Holder, lease, leases_table, live_leases, make_relaxed, name_of, release
from curate.review_app.ledger import Ledger
from curate.review_app.measuring import Measuring
from curate.review_app.pictures import Wanted
from curate.review_app.queues import EVERYTHING, LEAD_ONLY, TITLES, Catalogue, Entry, Filter
from curate.review_app.recording import Recorder
from curate.review_app.sampling import SampleProgress
from curate.review_app.showing import Ids, Showing, label_told
from curate.review_app.team import answers_left, dispute_told
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
from curate.reviewed import TARGET
from curate.reviewers import Account, read_accounts
from curate.spot_checks import Picture, keep_sample, newest_sample, plan_sample, unseen_pictures
from curate.stopping import told

if TYPE_CHECKING:
    import pandas as pd
    from sqlalchemy import Connection, Engine

State = Literal["ready", "empty", "goal"]
MOST_AT_ONCE = 48  # items of one request: a screen full of tiles
MOST_HELD = 200  # leases of one tab: four screens; who holds more keeps others from working
PACE_OF = 50  # newest actions, which tell how fast somebody is
QUEUES_OF_ALL = ("errors", "prelabels", "doubts")  # which a picture may leave while somebody has it
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
    target: share of wrong labels to get to, 0..1. measure: mix in pictures that measure who reviews. gold: further ones
    of which the answer is certain, see `measuring`. rows_of: the rows of a version by its number, None = it is gone.
    clock: seconds since 1970.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        log: Place,
        key: bytes,
        *,
        votes: int = 1,
        target: float = TARGET,
        measure: bool = False,
        gold: Mapping[Picture, str] = MappingProxyType({}),
        rows_of: Callable[[int], pd.DataFrame | None] = lambda _: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.log = log
        self.target = target
        self.gold = gold
        self.ledger = Ledger(votes)
        self.made = 0  # decisions that this server has written
        self.since = catalogue.version.created_at  # what is older was said in other sessions
        self._key = key
        self._measures = bool(measure or gold)
        self._rows_of = rows_of
        self._earlier: Recorder | None = None  # of the catalogue before this one, which some answers are still about
        self._show(catalogue, names_of(catalogue, key))
        self._clock = clock
        self._lock = threading.RLock()
        self._decisions, self._leases = decisions_table(), leases_table()
        self._engines = ExitStack()

    def _show(self, catalogue: Catalogue, ids: Ids) -> None:
        """Go by this catalogue from now on."""
        self.catalogue = catalogue
        self.board = Board(catalogue, self.ledger, self.gold)
        self.ids = ids
        self.classes = Classes(catalogue, self.ledger)
        self.showing = Showing(catalogue, self.ledger, ids, blind=self.ledger.votes > 1)
        self.measuring = Measuring(catalogue, self.ledger, self._key, self.gold) if self._measures else None
        self._recorder = Recorder(catalogue, self.ledger, ids, self.showing, self.measuring)
        self._knows_all = False
        self._known_to = set[str]()  # people whose own pictures can be found by their names

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

    def queues(self, reviewer: str, *, lead: bool = False) -> list[dict[str, Any]]:
        """Name, title, total and left of each queue."""
        with self._reads():
            left = self._left(reviewer, lead)
            totals = {name: len(self.board.queues[name].entries) for name in left}
            return [
                {"name": name, "title": TITLES[name], "total": totals[name], "left": number}
                for name, number in left.items()
            ]

    def _left(self, reviewer: str, lead: bool) -> dict[str, int]:
        """Queue -> how many pictures this person is still to be asked about there."""
        return {
            name: one.left(reviewer) + self._expected(name, reviewer, one.left(reviewer))
            for name, one in self.board.queues.items()
            if lead or name not in LEAD_ONLY
        }

    def _expected(self, queue: str, reviewer: str, left: int) -> int:
        return self.measuring.expected(queue, reviewer, left) if self.measuring else 0

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
                chosen = self._woven(queue, holder, free, count, kept, taken, wanted)
                names = [name_of(one.path, one.sha256) for one in [*kept, *chosen]]
                lease(connection, names, holder, self._clock())
            left = self.board.left(queue, holder.reviewer, wanted)
            left += self._expected(queue, holder.reviewer, left) if wanted == EVERYTHING else 0
            return Batch([self.showing.item(entry) for entry in chosen], left, self._state(left))

    def _woven(
        self, queue: str, holder: Holder, free: Iterator[Entry], count: int, kept: Collection[Entry],
        taken: Mapping[str, set[Holder]], wanted: Filter,
    ) -> list[Entry]:  # fmt: skip
        """The next entries for a tab; among those of a whole queue, some that measure the person."""
        if self.measuring is None or wanted != EVERYTHING:
            return list(islice(free, count))
        self._know(holder.reviewer)
        held = sum(not one.measures for one in kept)
        chosen = self.measuring.woven(queue, holder, free, count, held, taken)
        self.ids.learn([entry for entry in chosen if entry.measures])
        return chosen

    def _know(self, reviewer: str) -> None:
        """Be able to find what may have measured a person before this server was started."""
        if self.measuring and reviewer not in self._known_to:
            self._known_to.add(reviewer)
            self.ids.learn(list(self.measuring.all_entries(reviewer)))

    def renew(self, items: Sequence[str], holder: Holder) -> tuple[list[str], list[str]]:
        """Keep leases, or take them again: the items that are held, and those that somebody else has or has decided."""
        with self._lock, explained_log(self.log), self._leasing.begin() as connection:
            hold(connection, self._leases)
            self._catch_up(connection)
            taken = live_leases(connection, self._clock())
            if len(items) > MOST_HELD:
                raise TooMany
            self._know(holder.reviewer)
            entries = {name: self.ids.find(name) for name in items}
            kept = {name: one for name, one in entries.items() if one and self.board.may_have(one, holder, taken)}
            lease(connection, [name_of(one.path, one.sha256) for one in kept.values()], holder, self._clock())
            return list(kept), [name for name in items if name not in kept]

    def item(self, name: str, reviewer: str, *, lead: bool = False) -> dict[str, Any] | None:
        """One item, to look again; None if there is no such one for this person."""
        with self._reads():
            self._know(reviewer)
            entry = self.ids.find(name)
            if entry is None or not entry.queue or (entry.queue in LEAD_ONLY and not lead):
                return None
            return None if entry.measures and entry.asked != reviewer else self.showing.item(entry)

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

    def decide(self, answers: Sequence[Any], holder: Holder, *, lead: bool = False) -> Receipt:
        """Write down what a person says; on return it is on the disk. Sent again, it counts once."""
        receipt = Receipt([], [], {})
        with self._lock, explained_log(self.log):
            with self._writing.begin() as connection:
                hold(connection, self._decisions)
                self._catch_up(connection)
                self._know(holder.reviewer)
                made = self._judge(connection, answers, holder, lead, receipt)
                append_in(connection, made)
                self._pass_on(connection, made, holder)
            self.made += len(made)
            with self._reading.connect() as connection:
                self._catch_up(connection)
        return receipt

    def _pass_on(self, connection: Connection, made: Sequence[Decision], holder: Holder) -> None:
        """Let others have what was decided; what was taken back is on the screen of who did, and stays theirs."""
        newest = {name_of(one.path, one.sha256): one.answer for one in made}
        release(connection, [name for name, said in newest.items() if said != "undo"], holder)
        lease(connection, [name for name, said in newest.items() if said == "undo"], holder, self._clock())

    def _judge(
        self, connection: Connection, answers: Sequence[Any], holder: Holder, lead: bool, receipt: Receipt
    ) -> list[Decision]:
        """The decisions to write; the receipt is filled."""
        made: dict[str, Decision] = {}
        for value in answers:
            try:
                said = read_answer(value)
                decision = self._recorder_of(said.item).decision(said, holder, made, lead)
            except Refused as why:
                name = value.get("id") if isinstance(value, dict) else ""
                receipt.refused[name if isinstance(name, str) else ""] = str(why)
                continue
            receipt.saved.append(said.id)
            if decision is not None:
                made[said.id] = decision
                receipt.extra.extend([said.id] * self._recorder.is_extra(decision))
        return self._with_guidelines(connection, list(made.values()))

    def _recorder_of(self, item: str) -> Recorder:
        """Who knows that item: a picture that has left since the page got it can still be decided on, as it was."""
        if item and self.ids.find(item) is None:
            if self._earlier and self._earlier.ids.find(item):
                return self._earlier
            self._learn_all()
        return self._recorder

    def _learn_all(self) -> None:
        """Be able to find every picture in every queue.

        An answer from the journal of a browser may be about a queue that the picture has left since.
        """
        if not self._knows_all:
            self._knows_all = True
            for queue in QUEUES_OF_ALL:
                self.ids.learn([self.catalogue.entry(queue, place) for place in range(len(self.catalogue.paths))])

    def _with_guidelines(self, connection: Connection, made: list[Decision]) -> list[Decision]:
        """The same, each with the version of the guideline it was made under: that of the class it speaks for."""
        labels = [one.label if one.answer == "relabel" else str(one.context.get("given") or "") for one in made]
        asked = {*labels, *(label for one in made for label in one.context.get("unclear", ()))}
        versions = {label: read_guideline(connection, label).version for label in asked}
        return [
            replace(one, context={**_with_versions(one.context, versions), "guideline": versions[label]})
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
        measured = self.measuring.entry_of(decision) if self.measuring else None
        entry = measured or (self.catalogue.entry(queue, place) if place is not None else None)
        return {
            "id": decision.id,
            "item": self.ids.of(entry) if entry else None,
            "path": decision.path,
            "answer": decision.answer,
            "label": label_told(decision, given if isinstance(given, str) else None),
            "labels": json.loads(decision.label) if decision.answer == "both" else [],
            "note": decision.note,
            "decided_at": decision.decided_at,
            "queue": queue,
            "undone": self.ledger.is_undone(decision),
        }

    def progress(self, reviewer: str, *, lead: bool = False) -> dict[str, Any]:
        """How far this person and the whole review are."""
        with self._reads():
            mine = self._mine(reviewer)
            left = self._left(reviewer, lead)
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
        """What a person has said since the session's first version was made, and not taken back."""
        newer = [one for one in self.ledger.by_reviewer.get(reviewer, []) if one.decided_at > self.since]
        return [one for one in newer if one.answer not in ("undo", "accept", "flag") and not self.ledger.is_undone(one)]

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
        rows = None if sample.version == self.catalogue.version.number else self._rows_of(sample.version)
        # Where the sample's version is gone: what has changed or left since can't be mended, and what came since was
        # not drawn from.
        population = unseen_pictures(self.catalogue.rows if rows is None else rows, before)
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

    # ---- For leads, see `team`

    def log_so_far(self) -> list[Decision]:
        """Every decision, oldest first."""
        with self._reads():
            return [event.decision for event in self.ledger.by_id.values()]

    def paces(self, people: Sequence[str]) -> dict[str, float | None]:
        """How many actions each of them does in a minute."""
        with self._reads():
            return {name: per_minute(self._mine(name)) for name in people}

    def answers_left(self) -> int:
        """How many answers it still takes, if nobody differs."""
        with self._reads():
            return answers_left(self.board, self.ledger.votes)

    def disputes(self, most: int) -> dict[str, Any]:
        """How many pictures wait for a lead, and the first of them."""
        with self._reads():
            queue = self.board.queues["adjudication"]
            entries = [entry for number, entry in enumerate(queue.entries) if number not in queue.closed]
            first = [
                dispute_told(
                    self.ids.of(one), one.path, self.ledger.ballot(one.path, one.sha256), self.showing.given(one)
                )
                for one in entries[:most]
            ]
            return {"total": len(entries), "first": first}

    def guidelines(self) -> list[list[Guideline]]:
        """The versions of each guideline, the one that was changed last first."""
        with self._lock, explained_log(self.log), self._reading.connect() as connection:
            return read_all_versions(connection)

    def issues(self) -> list[Issue]:
        """What is unclear about guidelines, the oldest first."""
        with self._lock, explained_log(self.log), self._reading.connect() as connection:
            self._catch_up(connection)
            return open_issues(connection, self.adjudications())

    def adjudications(self) -> list[Decision]:
        """What leads have said where votes differ, and not taken back."""
        disputes = self.board.queues["adjudication"].entries
        return [one for entry in disputes for one in self.ledger.adjudications(entry.path, entry.sha256)]

    def close_issue(self, decision: str, label: str, author: str) -> bool:
        """Close an issue; False if there is no such open one."""
        with self._lock, explained_log(self.log), self._writing.begin() as connection:
            hold(connection, self._decisions)
            self._catch_up(connection)
            known = any(
                (one.decision, one.label) == (decision, label) for one in open_issues(connection, self.adjudications())
            )
            if known:
                close_issue(connection, decision, label, author)
            return known

    def accounts(self) -> dict[str, Account]:
        """Who signs in with a password, by name."""
        with explained_log(self.log), self._reading.connect() as connection:
            return read_accounts(connection)

    # ---- Another catalogue

    def load(self, catalogue: Catalogue) -> tuple[int, int]:
        """Go by another catalogue: a newer version, or the same ranked anew. Nobody is disturbed who is working.

        What a tab holds can be decided on as before, what is decided stays so, and a blind sample is the same.
        Returns how many undecided pictures are likely errors now and were not, and the other way round.
        """
        ids = names_of(catalogue, self._key)  # takes longest, and keeps nobody waiting
        seen = ids.take_over(self.ids, catalogue)
        with self._lock, explained_log(self.log), self._reading.connect() as connection:
            self._catch_up(connection)
            before = self._undecided_errors()
            ids.take_over(self.ids, catalogue, seen)  # those that came meanwhile
            self._earlier = self._recorder
            self._show(catalogue, ids)
            self._take_in(list(self.ledger.paths))
            self._find_sample(connection)
            now = self._undecided_errors()
        return len(now - before), len(before - now)

    def _undecided_errors(self) -> set[Picture]:
        pictures = {(entry.path, entry.sha256) for entry in self.catalogue.queues["errors"]}
        return {picture for picture in pictures if self.ledger.decided(*picture) is None}

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
            self._take_in(self.ledger.add(events_since(connection, self.ledger.seq)))

    def _take_in(self, paths: Iterable[str]) -> None:
        """Work out anew how far these pictures are, of which something was said."""
        for path in paths:
            self.ids.learn(self.board.settle(path))
            if self.measuring:
                self.measuring.follow(path)


def _with_versions(context: Mapping[str, Any], versions: Mapping[str, str]) -> dict[str, Any]:
    """The same; the classes whose guideline did not help, each with the version that it had."""
    unclear = context.get("unclear")
    return {**context, "unclear": {label: versions[label] for label in unclear}} if unclear else dict(context)


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
