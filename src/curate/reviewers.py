"""People who sign in to a review with a password, and what each of them may do.

They are kept beside the log, in its database, so that every server of a team knows the same ones. A password is kept
as an argon2id hash (RFC 9106), which costs a guesser 64 MiB and some hundredths of a second per try. Nobody signs up.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from curate.checks import all_checks
from curate.errors import SettingsError
from curate.project import Project
from curate.review_log import explained_log, open_engine

if TYPE_CHECKING:
    from argon2 import PasswordHasher
    from sqlalchemy import Connection, Table

# A lead may all that a reviewer may, and: write guidelines, settle what is disputed, see how far people agree, export.
Role = Literal["reviewer", "lead"]
# NIST SP 800-63B (2025) asks for 15 where a password is all there is, and 8 beside a second factor. Guesses here are
# limited to some thousand a day, and the pictures are of a data set: 12 is between.
SHORTEST, LONGEST = 12, 1_000
LONGEST_NAME = 100


@dataclass(frozen=True)
class Account:
    """Somebody who may sign in. password: its hash, which tells whether it is still the one of the sign-in."""

    name: str
    role: Role
    password: str = field(repr=False)
    added_at: str


def reviewers(folder: str | Path, *, store: str | Path | None = None) -> list[Account]:
    """Everybody who may sign in, by name."""
    with _log_of(folder, store) as connection:
        return sorted(read_accounts(connection).values(), key=lambda one: one.name)


def add_reviewer(
    folder: str | Path, name: str, password: str, *, role: Role = "reviewer", store: str | Path | None = None
) -> Account:
    """Let somebody sign in. Raises SettingsError for a name that is taken or can't be, and for a poor password."""
    from sqlalchemy import insert

    require_name(name)
    account = Account(name, role, hashed(name, password), datetime.now(UTC).isoformat(timespec="seconds"))
    with _log_of(folder, store) as connection:
        if name in read_accounts(connection):
            raise SettingsError(f"There is a reviewer {name!r} already.", "Give another name, or change the password.")
        connection.execute(insert(_table()).values(asdict(account)))
    return account


def remove_reviewer(folder: str | Path, name: str, *, store: str | Path | None = None) -> None:
    """Let somebody sign in no more, and end their sessions; what they have said stays.

    Raises SettingsError if there is no such one.
    """
    from sqlalchemy import delete

    with _log_of(folder, store) as connection:
        _require_account(connection, name)
        connection.execute(delete(_table()).where(_table().c.name == name))


def change_password(folder: str | Path, name: str, password: str, *, store: str | Path | None = None) -> None:
    """Give somebody another password, and end their sessions.

    Raises SettingsError if there is no such one, and for a poor password.
    """
    from sqlalchemy import update

    secret = hashed(name, password)
    with _log_of(folder, store) as connection:
        _require_account(connection, name)
        connection.execute(update(_table()).where(_table().c.name == name).values(password=secret))


def require_name(name: str) -> None:
    """Raises SettingsError for what can't be the name of a reviewer."""
    if not name.strip() or not name.isprintable() or ";" in name or name in all_checks() or len(name) > LONGEST_NAME:
        raise SettingsError(
            f"{name!r} can't be the name of a reviewer: expected up to {LONGEST_NAME} characters, no ';', no check's "
            "name.",
            "Give another one.",
        )


def _require_account(connection: Connection, name: str) -> None:
    if name not in (known := read_accounts(connection)):
        there = f"There are: {', '.join(sorted(known))}." if known else "There is none yet."
        raise SettingsError(f"There is no reviewer {name!r}.", there)


@contextmanager
def _log_of(folder: str | Path, store: str | Path | None) -> Iterator[Connection]:
    """The log's database, in one transaction."""
    project = Project.at(folder, store)
    project.require_store()
    log = project.review_log
    with explained_log(log), open_engine(log) as engine, engine.begin() as connection:
        yield connection


# ---- Passwords


def hashed(name: str, password: str) -> str:
    """What is kept of a password. Raises SettingsError for one that is soon guessed."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise SettingsError(
            f"The password has {len(password):,} characters, expected {SHORTEST} to {LONGEST:,}.",
            "Four words of a dictionary, chosen by dice, are easy to remember and hard to guess.",
        )
    if len(set(password)) < 5 or password.casefold().strip() == name.casefold().strip():
        raise SettingsError("The password is soon guessed: your name, or hardly another character.")
    return _hasher().hash(_normal(password))


def may_sign_in(account: Account | None, password: str) -> bool:
    """Whether it is their password. It takes as long for nobody, so that time does not tell who has an account."""
    from argon2.exceptions import InvalidHashError, VerificationError

    try:
        _hasher().verify(account.password if account else _of_nobody(), _normal(password))
    except (VerificationError, InvalidHashError):
        return False
    return account is not None


def _normal(password: str) -> str:
    """The same characters, whichever way a keyboard composes them."""
    return unicodedata.normalize("NFKC", password)


@cache
def _hasher() -> PasswordHasher:
    from argon2 import PasswordHasher

    return PasswordHasher()  # RFC 9106's second choice: 64 MiB, 3 passes, 4 lanes


@cache
def _of_nobody() -> str:
    return _hasher().hash("the password of nobody")


# ---- In the log's database


def read_accounts(connection: Connection) -> dict[str, Account]:
    """Everybody who may sign in, by name; {} in a log of an older curate."""
    from sqlalchemy import inspect, select

    if not inspect(connection).has_table("reviewers"):
        return {}
    rows = connection.execute(select(_table())).mappings()
    return {row["name"]: Account(**row) for row in rows}


@cache  # what SQLAlchemy has compiled for a table it knows again by the table
def _table() -> Table:
    from sqlalchemy import Column, MetaData, String, Table, Text

    texts = ("role", "password", "added_at")
    return Table(
        "reviewers",
        MetaData(),
        Column("name", String, primary_key=True),
        *(Column(name, Text, nullable=False) for name in texts),
    )
