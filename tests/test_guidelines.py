"""Guidelines are versioned, nobody overwrites another's, and nothing in them runs in a browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, create_engine

from curate.errors import CurateError
from curate.guidelines import (
    MOST_CHARACTERS,
    Guideline,
    GuidelineConflict,
    read_guideline,
    read_versions,
    write_guideline,
)
from curate.review_log import open_engine


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    with open_engine(tmp_path / "review.db") as engine, engine.begin() as opened:
        yield opened


def test_a_class_without_a_guideline_has_an_empty_one(connection: Connection) -> None:
    assert read_guideline(connection, "cat") == Guideline("cat")


def test_a_file_without_any_log_has_none_either() -> None:
    with create_engine("sqlite://").connect() as nothing:
        assert read_guideline(nothing, "cat").version == ""


def test_every_version_is_kept(connection: Connection) -> None:
    first = write_guideline(connection, "cat", "Whiskers.", "ada", instead_of="")
    second = write_guideline(connection, "cat", "Whiskers, no mane.", "bob", instead_of=first.version)

    assert read_guideline(connection, "cat") == second
    assert read_versions(connection, "cat") == [first, second]
    assert read_guideline(connection, "dog").version == ""


def test_who_has_read_an_older_one_does_not_overwrite_the_newer(connection: Connection) -> None:
    write_guideline(connection, "cat", "Whiskers.", "ada", instead_of="")

    with pytest.raises(GuidelineConflict, match="ada has changed the guideline of 'cat' meanwhile"):
        write_guideline(connection, "cat", "Claws.", "bob", instead_of="")
    assert read_guideline(connection, "cat").text == "Whiskers."


def test_saving_the_same_again_makes_no_version(connection: Connection) -> None:
    first = write_guideline(connection, "cat", "Whiskers.", "ada", instead_of="")

    assert write_guideline(connection, "cat", "Whiskers.", "bob", instead_of=first.version) == first
    assert len(read_versions(connection, "cat")) == 1


def test_a_book_is_refused(connection: Connection) -> None:
    with pytest.raises(CurateError, match="20,001 characters"):
        write_guideline(connection, "cat", "x" * (MOST_CHARACTERS + 1), "ada", instead_of="")


def test_markdown_becomes_html() -> None:
    text = "# Cat\n\n* **whiskers**\n* no [mane](https://example.org/mane)\n\n| yes | no |\n|---|---|\n| a | b |"

    html = Guideline("cat", text).html

    for part in ("<h1>Cat</h1>", "<strong>whiskers</strong>", 'href="https://example.org/mane"', "<td>a</td>"):
        assert part in html


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "[x](javascript:alert(1))",
        "[x](data:text/html;base64,PHNjcmlwdD4=)",
        "![x](https://example.org/spy.png)",
        "<iframe src='https://example.org'></iframe>",
        "<style>*{display:none}</style>",
        '[x](https://a.example/"onmouseover="alert(1))',
        "<svg/onload=alert(1)>",
        "<a href='javascript&colon;alert(1)'>x</a>",
    ],
)
def test_nothing_in_it_runs_or_is_fetched(text: str) -> None:
    html = Guideline("cat", text).html

    for harmful in ("<script", "<img", "<iframe", "<style", "<svg", 'href="javascript', 'href="data', ' onmouseover="'):
        assert harmful not in html
