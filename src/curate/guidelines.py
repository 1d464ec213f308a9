"""Guidelines: what each class is and is not, in Markdown, written by the team while it reviews.

Half of all quarrels about labels are about words. Every version is kept, and each decision names the one it was made
under, so that what was decided by an older understanding can be found and looked at again.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING

from curate.errors import CurateError
from curate.review_log import hold

if TYPE_CHECKING:
    from sqlalchemy import Connection, Table

MOST_CHARACTERS = 20_000  # about ten printed pages; longer ones nobody reads while deciding
# What Markdown makes, and no more: no picture from elsewhere, no frame, no form, no script.
TAGS = {
    "a", "blockquote", "br", "code", "del", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "li", "ol", "p", "pre",
    "strong", "table", "tbody", "td", "th", "thead", "tr", "ul",
}  # fmt: skip


class GuidelineConflict(CurateError):
    """Somebody else has changed the guideline since it was read."""


@dataclass(frozen=True)
class Guideline:
    """The guideline of one class. version: 16 hexadecimal digits of its text's digest, "" = nothing was written yet."""

    label: str
    text: str = ""
    version: str = ""
    author: str = ""
    written_at: str = ""

    @property
    def html(self) -> str:
        """The text as HTML that is safe to show, whoever wrote it."""
        import nh3
        from markdown_it import MarkdownIt

        rendered = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"]).render(self.text)
        return nh3.clean(rendered, tags=TAGS, attributes={"a": {"href"}}, url_schemes={"http", "https", "mailto"})


def read_guideline(connection: Connection, label: str) -> Guideline:
    """The newest guideline of a class; an empty one if there is none."""
    from sqlalchemy import inspect, select

    if not inspect(connection).has_table("guidelines"):
        return Guideline(label)  # a log of an older curate, or none yet
    table = _table()
    newest = select(table).where(table.c.label == label).order_by(table.c.seq.desc()).limit(1)
    row = connection.execute(newest).mappings().first()
    return Guideline(**{name: value for name, value in row.items() if name != "seq"}) if row else Guideline(label)


def read_versions(connection: Connection, label: str) -> list[Guideline]:
    """Every guideline that the class has had, the oldest first."""
    from sqlalchemy import select

    table = _table()
    rows = connection.execute(select(table).where(table.c.label == label).order_by(table.c.seq)).mappings()
    return [Guideline(**{name: value for name, value in row.items() if name != "seq"}) for row in rows]


def read_all_versions(connection: Connection) -> list[list[Guideline]]:
    """Every guideline of each class that has one, the oldest first; the class that was changed last comes first."""
    from sqlalchemy import inspect, select

    if not inspect(connection).has_table("guidelines"):
        return []  # a log of an older curate, or none yet
    table = _table()
    found: dict[str, list[Guideline]] = {}
    for row in connection.execute(select(table).order_by(table.c.seq)).mappings():
        one = Guideline(**{name: value for name, value in row.items() if name != "seq"})
        found[one.label] = [*found.pop(one.label, []), one]
    return list(reversed(found.values()))


def write_guideline(connection: Connection, label: str, text: str, author: str, *, instead_of: str) -> Guideline:
    """Write a new version. instead_of: the version that its author has read, "" = none.

    Raises GuidelineConflict when that is no longer the newest, and CurateError when the text is too long.
    """
    from sqlalchemy import insert

    if len(text) > MOST_CHARACTERS:
        raise CurateError(
            f"The guideline has {len(text):,} characters, expected at most {MOST_CHARACTERS:,}.",
            "Keep what helps to decide; put the rest behind a link.",
        )
    table = _table()
    hold(connection, table)
    before = read_guideline(connection, label)
    if before.version != instead_of:
        raise GuidelineConflict(
            f"{before.author} has changed the guideline of {label!r} meanwhile.", "Read theirs, then save yours again."
        )
    version = hashlib.sha256(f"{label}\0{text}".encode("utf-8", "surrogatepass")).hexdigest()[:16]
    if version == before.version:
        return before
    written = Guideline(label, text, version, author, datetime.now(UTC).isoformat(timespec="seconds"))
    connection.execute(insert(table).values(asdict(written)))
    return written


@cache  # what SQLAlchemy has compiled for a table it knows again by the table
def _table() -> Table:
    from sqlalchemy import Column, Integer, MetaData, Table, Text

    texts = ("label", "text", "version", "author", "written_at")
    return Table(
        "guidelines",
        MetaData(),
        Column("seq", Integer, primary_key=True),
        *(Column(name, Text, nullable=False) for name in texts),
    )
