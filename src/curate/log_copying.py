"""From the file of a store to the database of a team: every row as it is, so that digests and numbers still fit."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from curate.errors import SettingsError, SourceError, StoreError
from curate.log_place import COPIED, FILE, VARIABLE, log_url, told
from curate.project import Project
from curate.review_log import events_since, explained_log, first_broken_link, open_engine

if TYPE_CHECKING:
    from sqlalchemy import Connection, Table

AT_ONCE = 1_000  # rows of one statement
LEFT_OUT = ("alembic_version", "leases")  # the database has its own; leases end within a minute


def copy_log(folder: str | Path, *, store: str | Path | None = None) -> int:
    """Copy decisions, samples, guidelines and all else that the file holds, and set the file aside.

    Returns the number of decisions. Both databases are locked meanwhile, so that none gets lost.
    Raises SettingsError if there is no database to copy to, SourceError if there is nothing to copy, StoreError if the
    file was edited, or the database holds decisions already.
    """
    project = Project.at(folder, store)
    project.require_store()
    url, file = log_url(project.store, project.config), project.store / FILE
    if not url:
        raise SettingsError("There is no database to copy decisions to.", f"Set {VARIABLE}, or review.log.")
    if not file.exists():
        raise SourceError(f"There is no {str(file)!r}, so nothing to copy.")
    with _locked(file) as source:
        with _locked(url) as target:
            number = _copy(source, target, url)
        _set_aside(file)
    return number


@contextmanager
def _locked(log: str | Path) -> Iterator[Connection]:
    """The log in one transaction; that of SQLite keeps all others from writing."""
    with explained_log(log), open_engine(log) as engine, engine.begin() as connection:
        yield connection


def _copy(source: Connection, target: Connection, url: str) -> int:
    from sqlalchemy import MetaData

    events = events_since(source, 0)
    if broken := first_broken_link(events):
        raise StoreError(f"Decision {broken.seq} is not what was written: somebody has edited the log.")
    if events_since(target, 0):
        raise StoreError(f"{told(url)!r} holds decisions already.", "Copy to an empty database.")
    tables = MetaData()
    tables.reflect(source)
    for table in tables.sorted_tables:
        if table.name not in LEFT_OUT:
            _copy_rows(table, source, target)
    return len(events)


def _copy_rows(table: Table, source: Connection, target: Connection) -> None:
    from sqlalchemy import func, insert, select

    for rows in source.execute(select(table)).mappings().partitions(AT_ONCE):
        target.execute(insert(table), [dict(row) for row in rows])
    if "seq" in table.c and (last := source.scalar(select(func.max(table.c.seq)))):
        # PostgreSQL counts by itself, and has not seen these.
        target.execute(select(func.setval(func.pg_get_serial_sequence(table.name, "seq"), last)))


def _set_aside(file: Path) -> None:
    """SQLite's journal goes with its file."""
    for ending in ("", "-wal", "-shm"):
        if (found := file.with_name(file.name + ending)).exists():
            os.replace(found, file.with_name(COPIED + ending))
