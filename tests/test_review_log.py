"""The log of decisions: acknowledged means kept, sent twice counts once, and nobody edits it unseen."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest

from curate.decisions import Decision, new_decision
from curate.errors import StoreError
from curate.inspection import LogVerification, verify_log
from curate.review_log import Event, Place, append, first_broken_link, make_engine, read_events, read_log

ADA = new_decision("a.jpg", "abc", "keep", "ada")
BOB = Decision(
    "1", "2026-11-21T12:00:00+00:00", "bob", "ü/b.jpg", "def", "both", '["cat", "dog"]', "a note", "vote", "", 2,
    {"given": "cat", "probability": 0.25},
)  # fmt: skip


def test_everything_a_decision_records_is_read_back(log: Place) -> None:
    append(log, [ADA])
    append(log, [BOB])

    assert read_log(log) == [ADA, BOB]
    assert read_log(log)[1].context == {"given": "cat", "probability": 0.25}


def test_an_empty_log_holds_nothing(log: Place) -> None:
    assert read_log(log) == []


def test_a_decision_that_is_sent_again_counts_once(log: Place) -> None:
    append(log, [ADA, ADA])
    append(log, [BOB, ADA])

    assert read_log(log) == [ADA, BOB]


def test_many_at_once_lose_nothing_and_keep_the_chain(log: Place) -> None:
    """Eight writers of ten decisions each."""
    append(log, [ADA])
    made = [[new_decision(f"{writer}-{one}.jpg", "abc", "keep", "ada") for one in range(10)] for writer in range(8)]

    def write(decisions: list[Decision]) -> None:
        for decision in decisions:
            append(log, [decision])

    writers = [threading.Thread(target=write, args=(decisions,)) for decisions in made]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()

    events = read_events(log)
    assert {event.decision.id for event in events} == {ADA.id, *(one.id for decisions in made for one in decisions)}
    assert first_broken_link(events) is None


@pytest.mark.parametrize(
    ("statement", "broken"),
    [
        ("UPDATE decisions SET answer = 'drop' WHERE seq = 2", 2),
        ("UPDATE decisions SET reviewer = 'eve' WHERE seq = 1", 1),
        ("DELETE FROM decisions WHERE seq = 2", 3),
        ("DELETE FROM decisions WHERE seq = 1", 2),
        ("UPDATE decisions SET chain = '', answer = 'drop' WHERE seq = 2", 2),
    ],
)
def test_an_edited_log_is_found_out(tmp_path: Path, statement: str, broken: int) -> None:
    append(tmp_path / "review.db", [ADA, BOB, new_decision("c.jpg", "abc", "drop", "ada")])
    assert first_broken_link(read_events(tmp_path / "review.db")) is None

    with sqlite3.connect(tmp_path / "review.db") as connection:
        connection.execute(statement)
    connection.close()

    found = first_broken_link(read_events(tmp_path / "review.db"))
    assert isinstance(found, Event)
    assert found.seq == broken


def edit(log: Place, statement: str) -> None:
    """What somebody does who can reach the database, and goes round curate."""
    engine = make_engine(log)
    with engine.begin() as connection:
        connection.exec_driver_sql(statement)
    engine.dispose()


def test_a_row_that_was_changed_from_outside_is_found_in_either_database(log: Place) -> None:
    append(log, [ADA, BOB, new_decision("c.jpg", "abc", "drop", "ada")])
    before = verify_log(log)

    edit(log, "UPDATE decisions SET answer = 'drop' WHERE seq = 2")
    after = verify_log(log)

    assert before == LogVerification(3, 0, None)
    assert before.intact
    assert (after.intact, after.broken and after.broken.seq) == (False, 2)


def test_a_row_that_can_not_be_read_is_named(log: Place) -> None:
    append(log, [ADA, BOB])

    edit(log, "UPDATE decisions SET context = 'no json' WHERE seq = 2")

    found = verify_log(log)
    assert not found.intact
    assert found.unread.startswith("Entry 2 of the log of decisions is damaged: ")


def test_no_log_is_whole(tmp_path: Path) -> None:
    assert verify_log(tmp_path / "review.db") == LogVerification(0, 0, None)


def old_log(file: Path) -> None:
    """A log as curate wrote it before there were sessions."""
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(
            "CREATE TABLE decisions (seq INTEGER PRIMARY KEY, id TEXT UNIQUE NOT NULL, decided_at TEXT NOT NULL,"
            " reviewer TEXT NOT NULL, path TEXT NOT NULL, sha256 TEXT NOT NULL, answer TEXT NOT NULL,"
            " label TEXT NOT NULL, note TEXT NOT NULL)"
        )
        row = [getattr(ADA, name) for name in "id decided_at reviewer path sha256 answer label note".split()]
        connection.execute("INSERT INTO decisions VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?)", row)
    connection.close()


def test_a_log_of_an_older_curate_is_read_as_it_is(tmp_path: Path) -> None:
    old_log(tmp_path / "review.db")
    before = (tmp_path / "review.db").read_bytes()

    assert read_log(tmp_path / "review.db") == [ADA]
    assert (tmp_path / "review.db").read_bytes() == before


def test_entries_of_an_older_curate_are_counted_as_without_digest(tmp_path: Path) -> None:
    old_log(tmp_path / "review.db")
    append(tmp_path / "review.db", [BOB])

    assert verify_log(tmp_path / "review.db") == LogVerification(2, 1, None)


def test_a_log_of_an_older_curate_is_brought_up_to_date_by_the_next_decision(tmp_path: Path) -> None:
    old_log(tmp_path / "review.db")

    append(tmp_path / "review.db", [BOB])

    assert read_log(tmp_path / "review.db") == [ADA, BOB]
    assert first_broken_link(read_events(tmp_path / "review.db")) is None


def test_a_server_that_is_not_there_is_named_without_the_password() -> None:
    with pytest.raises(
        StoreError, match=r"'postgresql://ada:\*\*\*@127\.0\.0\.1:1/x' can't be read or written"
    ) as told:
        read_log("postgresql://ada:secret@127.0.0.1:1/x")

    assert "secret" not in str(told.value)


@pytest.mark.parametrize("url", ["mysql://localhost/curate", "sqlite:///log.db", "http://localhost/"])
def test_another_kind_of_database_is_refused(url: str) -> None:
    with pytest.raises(StoreError, match="can't be kept"):
        read_log(url)
