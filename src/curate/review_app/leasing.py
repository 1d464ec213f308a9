"""Who has which picture before them: leases in the log's database, so that several servers know of each other's."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine, Table

LEASE_S = 60.0  # longer than a hard picture takes, short enough that what a closed tab held comes back soon


@dataclass(frozen=True, slots=True)
class Holder:
    """A tab of a person that has a picture."""

    tab: str
    reviewer: str


def name_of(path: str, sha256: str) -> str:
    """What a picture is called among the leases: the same whatever queue it is in and whatever store asks."""
    text = f"{path}\0{sha256}".encode("utf-8", "surrogatepass")
    return hashlib.blake2b(text, digest_size=16).hexdigest()


@cache  # what SQLAlchemy has compiled for a table it knows again by the table
def leases_table() -> Table:
    """The table of leases, as the newest migration leaves it."""
    from sqlalchemy import Column, Float, MetaData, String, Table, Text

    return Table(
        "leases",
        MetaData(),
        Column("item", String, primary_key=True),
        Column("tab", String, primary_key=True),
        Column("reviewer", Text, nullable=False),
        Column("expires_at", Float, nullable=False),
    )


def live_leases(connection: Connection, now_s: float) -> dict[str, set[Holder]]:
    """Item -> who has it now. Those that have run out are forgotten."""
    from sqlalchemy import delete, select

    table = leases_table()
    connection.execute(delete(table).where(table.c.expires_at <= now_s))
    found: dict[str, set[Holder]] = {}
    for item, tab, reviewer in connection.execute(select(table.c.item, table.c.tab, table.c.reviewer)):
        found.setdefault(item, set()).add(Holder(tab, reviewer))
    return found


def lease(connection: Connection, items: Iterable[str], holder: Holder, now_s: float) -> None:
    """Give these items to a tab, or let it have them longer."""
    from sqlalchemy import delete, insert

    table, names = leases_table(), list(dict.fromkeys(items))
    if names:
        connection.execute(delete(table).where(table.c.tab == holder.tab, table.c.item.in_(names)))
        rows = [
            {"item": name, "tab": holder.tab, "reviewer": holder.reviewer, "expires_at": now_s + LEASE_S}
            for name in names
        ]
        connection.execute(insert(table), rows)


def release(connection: Connection, items: Iterable[str], holder: Holder) -> None:
    """Let others have these items."""
    from sqlalchemy import delete

    table, names = leases_table(), list(dict.fromkeys(items))
    for start in range(0, len(names), 500):  # SQLite takes a limited number of values
        some = names[start : start + 500]
        mine = (table.c.tab == holder.tab) & (table.c.reviewer == holder.reviewer)
        connection.execute(delete(table).where(mine, table.c.item.in_(some)))


def make_relaxed(engine: Engine) -> Engine:
    """The same engine, but a crash of the machine may forget its last transactions: they are leases, and run out."""
    from sqlalchemy import event

    def relax(connection: Any, _: object) -> None:
        connection.execute("PRAGMA synchronous = NORMAL")

    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", relax)
    return engine
