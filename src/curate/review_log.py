"""Where decisions are kept: an append-only log in SQLite, or in PostgreSQL for teams; one code path for both.

A decision is acknowledged when the database has it on its disk. It is known by its id: sent twice, it counts once.
Each carries a digest over itself and the one before it, so that a log which somebody has edited is found out.

The tables are made and changed by the migrations in `curate.migrations`; a log of an older curate is brought up to
date the first time somebody writes to it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate.decisions import Decision
from curate.errors import StoreError
from curate.files import explained
from curate.log_place import told

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine, Table
    from sqlalchemy.engine import URL

HEAD = "0006"  # the newest migration
WAIT_S = 30  # for somebody else's transaction
CONNECT_S = 10  # for a server; without a limit one that is gone keeps people waiting for minutes
POSTGRESQL = "pip install 'curate[team]'"

Place = str | Path  # a file of SQLite, or the URL of a PostgreSQL database


@dataclass(frozen=True)
class Event:
    """A decision in its place in the log. chain: digest over it and all before it."""

    seq: int
    decision: Decision
    chain: str


def append(log: Place, decisions: Sequence[Decision]) -> None:
    """Add decisions to the log; on return they are on the disk. Those that it has already, by id, are left as they are.

    Raises StoreError when it can't be written.
    """
    with explained_log(log), open_engine(log) as engine, engine.begin() as connection:
        append_in(connection, decisions)


def append_in(connection: Connection, decisions: Sequence[Decision]) -> None:
    """As `append`, as a part of the caller's transaction, which holds the log from the first statement on."""
    from sqlalchemy import insert, select

    table = decisions_table()
    hold(connection, table)
    known: set[str] = set()
    for start in range(0, len(decisions), 500):  # SQLite takes a limited number of values
        ids = [one.id for one in decisions[start : start + 500]]
        known |= set(connection.scalars(select(table.c.id).where(table.c.id.in_(ids))))
    chain = connection.scalar(select(table.c.chain).order_by(table.c.seq.desc()).limit(1)) or ""
    rows = []
    for decision in dict.fromkeys(decisions):
        if decision.id not in known:
            chain = linked(chain, decision)
            rows.append({**_as_row(decision), "chain": chain})
    if rows:
        connection.execute(insert(table), rows)


def hold(connection: Connection, table: Table) -> None:
    """Let nobody else write to the table until the transaction ends; SQLite's transactions do so by themselves."""
    from sqlalchemy import text

    if connection.dialect.name == "postgresql":
        connection.execute(text(f"LOCK TABLE {table.name} IN EXCLUSIVE MODE"))


def linked(chain: str, decision: Decision) -> str:
    """The digest of a decision after those with the digest `chain`."""
    payload = json.dumps(asdict(decision), sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(f"{chain}\n{payload}".encode()).hexdigest()


def read_log(log: Place) -> list[Decision]:
    """Every decision ever made, oldest first; [] if there is no log."""
    return [event.decision for event in read_events(log)]


def read_events(log: Place) -> list[Event]:
    """The same with their places in the log. Raises StoreError when it is damaged."""
    if not is_url(log) and not Path(log).exists():
        return []
    with reading(log) as connection:
        return events_since(connection, 0)


@contextmanager
def reading(log: Place) -> Iterator[Connection]:
    """A connection to read a log that is there; it changes nothing, also on a disk that can't be written."""
    with explained_log(log):
        engine = _readable(log)
        try:
            with engine.connect() as connection:
                yield connection
        finally:
            engine.dispose()


def _readable(log: Place) -> Engine:
    from sqlalchemy.exc import OperationalError

    engine = make_engine(log, "mode=ro")
    if is_url(log):
        return engine
    try:
        with engine.connect() as connection:
            connection.exec_driver_sql("SELECT count(*) FROM sqlite_master")  # only now is the file opened
        return engine
    except OperationalError:  # write-ahead logging takes files beside it, which a read-only disk refuses
        engine.dispose()
        return make_engine(log, "immutable=1")


def events_since(connection: Connection, seq: int) -> list[Event]:
    """What came after that place in the log; [] where the file holds no log yet."""
    from sqlalchemy import inspect, select

    inspector = inspect(connection)
    if not inspector.has_table("decisions"):
        return []  # whoever made the file was killed before it held anything
    table = decisions_table()
    there = {column["name"] for column in inspector.get_columns("decisions")}
    columns = [column for column in table.c if column.name in there]  # fewer in a log of an older curate
    rows = connection.execute(select(*columns).where(table.c.seq > seq).order_by(table.c.seq)).mappings()
    return [_as_event(dict(row)) for row in rows]


def first_broken_link(events: Sequence[Event]) -> Event | None:
    """The first event that is not what was written, or does not follow the one before it; None if all are.

    Events of an older curate, with which a log may begin, have no digest and can't be checked. That the newest ones
    were cut off leaves no trace.
    """
    chain = ""
    for event in events:
        if event.chain != linked(chain, event.decision) and (event.chain or chain):
            return event
        chain = event.chain
    return None


# ---- The tables


@cache  # what SQLAlchemy has compiled for a table it knows again by the table
def decisions_table() -> Table:
    """The table of decisions, as the newest migration leaves it."""
    from sqlalchemy import Column, Integer, MetaData, String, Table, Text

    return Table(
        "decisions",
        MetaData(),
        Column("seq", Integer, primary_key=True),
        Column("id", String, unique=True, nullable=False),
        *(Column(name, Text, nullable=False) for name in _TEXTS),
        Column("quota", Integer, nullable=False),
        Column("context", Text, nullable=False),
        Column("chain", Text, nullable=False),
    )


_TEXTS = tuple(
    one.name for one in fields(Decision) if one.name not in ("id", "quota", "context")
)  # in the order in which `Decision` has them


def _as_row(decision: Decision) -> dict[str, Any]:
    return {**asdict(decision), "context": json.dumps(decision.context, ensure_ascii=False, sort_keys=True)}


def _as_event(row: dict[str, Any]) -> Event:
    seq, chain, context = row.pop("seq"), row.pop("chain", ""), row.pop("context", "{}")
    try:
        return Event(seq, Decision(**row, context=dict(json.loads(context))), chain)
    except (ValueError, TypeError) as error:
        raise StoreError(
            f"Entry {seq} of the log of decisions is damaged: {error}.", "Restore the log from a backup."
        ) from error


# ---- The database


def is_url(log: Place) -> bool:
    """Whether the log is in a database server, and not in a file."""
    return isinstance(log, str) and "://" in log


def make_engine(log: Place, access: str = "mode=rwc") -> Engine:
    """The engine of a log. access: of a file, as SQLite's URIs say it. Raises StoreError for what can't be reached."""
    from sqlalchemy import create_engine, event
    from sqlalchemy.engine import URL
    from sqlalchemy.pool import NullPool

    if not is_url(log):
        query = {"uri": "true"} | dict([access.split("=")])
        place = Path(os.path.abspath(log)).as_uri()
        engine = create_engine(
            URL.create("sqlite+pysqlite", database=place, query=query),
            connect_args={"timeout": WAIT_S, "check_same_thread": False},
            poolclass=NullPool,
        )
        event.listen(engine, "connect", _prepare_writing if access == "mode=rwc" else _prepare)
        event.listen(engine, "begin", _begin_writing if access == "mode=rwc" else _begin_reading)
        return engine
    url = _server_named(str(log))
    wait = {} if "connect_timeout" in url.query else {"connect_timeout": CONNECT_S}
    try:
        return create_engine(url.set(drivername="postgresql+psycopg"), pool_pre_ping=True, connect_args=wait)
    except ImportError as error:
        raise StoreError(
            f"To keep decisions in {told(str(log))!r} takes more packages.", f"Run: {POSTGRESQL}"
        ) from error


def _server_named(log: str) -> URL:
    """The parsed URL. Raises StoreError, which never holds the password, for what can't be one of PostgreSQL."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    expected = "Expected something like postgresql://user@host/curate; or none, for a file beside the pictures."
    if log.partition("?")[0].count("@") > 1 or "password=" in log:
        raise StoreError(
            "The address of the log's database holds more than one @, or a password after a ?.",
            "Put the password before the only @, and in it %40 for @; or in the variable PGPASSWORD, or in ~/.pgpass.",
        )
    try:
        url = make_url(log)
    except (ArgumentError, ValueError) as error:
        raise StoreError(f"{told(log)!r} is no address of a database.", expected) from error
    if url.get_backend_name() != "postgresql":
        raise StoreError(f"Decisions can't be kept in {told(log)!r}.", expected)
    return url


def _prepare(connection: Any, _: object) -> None:
    connection.isolation_level = None  # SQLAlchemy begins transactions, not Python's driver


def _prepare_writing(connection: Any, record: object) -> None:
    _prepare(connection, record)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")  # acknowledged means on the disk


def _begin_writing(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _begin_reading(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")


@contextmanager
def open_engine(log: Place) -> Iterator[Engine]:
    """An engine to write with, its tables up to date."""
    if not is_url(log):
        Path(log).parent.mkdir(parents=True, exist_ok=True)
    engine = make_engine(log)
    try:
        _bring_up_to_date(engine)
        yield engine
    finally:
        engine.dispose()


def _bring_up_to_date(engine: Engine) -> None:
    from sqlalchemy import inspect, text

    with engine.connect() as connection:
        known = inspect(connection).has_table("alembic_version")
        if known and connection.scalar(text("SELECT version_num FROM alembic_version")) == HEAD:
            return
    from curate.migrations import upgrade  # slow to import, and rarely needed

    upgrade(engine)


@contextmanager
def explained_log(log: Place) -> Iterator[None]:
    """Turn what the database and the operating system say into a message for people."""
    from sqlalchemy.exc import DatabaseError, OperationalError

    name = told(log) if isinstance(log, str) and is_url(log) else str(log)
    try:
        with explained(Path(name)):
            yield
    except DatabaseError as error:
        said = " ".join(str(error.orig).split())
        if is_url(log):  # a server that is not there, or that lets nobody in
            raise StoreError(
                f"The decisions in {name!r} can't be read or written: {said}.",
                "See whether the server runs and who may log in; then run the same command again.",
            ) from error
        if isinstance(error, OperationalError):  # a full or read-only disk
            raise StoreError(
                f"The decisions in {name!r} can't be read or written: {said}.",
                "Free some space, or see who may write there; then run the same command again.",
            ) from error
        raise StoreError(
            f"The decisions in {name!r} are damaged: {said}.", "Restore that file from a backup."
        ) from error
