"""How the command line prints: text within 80 columns, JSON, progress."""

from __future__ import annotations

import dataclasses
import json
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from curate.paths import printable
from curate.progress import Advance, Tally, telling
from curate_cli.events import this_commands_events, told

if TYPE_CHECKING:
    import pandas as pd

    from curate.modelling import Modelled
    from curate.project import Project
    from curate.sources import Source
    from curate.versions import Version

WIDTH = 80
# What a version may still lack: the name among its counts, in words, and the command that makes up for it.
WAITING = (
    ("unsplit", "have no split", "split"),
    ("unnormalized", "are not normalized", "normalize"),
    ("unbalanced", "are not rebalanced", "rebalance"),
)


@contextmanager
def bar(title: str, total: int) -> Iterator[Advance]:
    """Progress of one stage: a line on stderr if that is a terminal, and events for --progress-fd."""
    from curate_cli.progress_line import drawn

    tally, waited_s = Tally(title, total), this_commands_events().seconds
    with drawn(tally, waited_s) as draw, told(tally) as tell:
        yield telling(tally, draw, tell)


def tell_version(version: Version | None, *, is_new: bool) -> None:
    """Put the version that a command leaves behind into the last event. is_new: whether it was made now."""
    this_commands_events().made(version, is_new)


def print_json(value: Any) -> None:
    """Print plain data, dataclasses and paths as JSON."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, default=_plain))


def _plain(value: Any) -> Any:
    from curate.sources import Bucket

    if dataclasses.is_dataclass(value) and not isinstance(value, (type, Bucket)):
        return {one.name: getattr(value, one.name) for one in dataclasses.fields(value)}
    return value.item() if hasattr(value, "item") else str(value)


def print_table(rows: Sequence[Sequence[object]], indent: int = 2, right: Sequence[int] = ()) -> None:
    """Print rows in aligned columns; the last column is cut at 80. right: columns to align to the right."""
    texts = [[printable(str(cell)) for cell in row] for row in rows]
    if not texts:
        return
    widths = [max(len(row[place]) for row in texts) for place in range(len(texts[0]) - 1)]
    for row in texts:
        cells = [
            cell.rjust(width) if place in right else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=False))
        ]
        click.echo(shorten(" " * indent + "  ".join([*cells, row[-1]]).rstrip()))


def shorten(line: str, width: int = WIDTH) -> str:
    """The line, its end cut with "…" where it is longer than the width."""
    return line if len(line) <= width else line[: width - 1] + "…"


def end_of(path: str, width: int = 36) -> str:
    """The path, its beginning cut where it is longer than the width: what tells files apart is at the end."""
    return path if len(path) <= width else "…" + path[1 - width :]


def name_some(paths: Sequence[str], most: int = 3) -> str:
    """The first few paths, and how many more there are."""
    shown = ", ".join(map(printable, paths[:most]))
    return shown + (f" and {len(paths) - most:,} more" if len(paths) > most else "")


def home(path: Source) -> str:
    """A path as people know it, seen from here."""
    return printable(_from_here(path))


# Of pictures in a bucket, these commands need --network.
READ_PICTURES = frozenset(
    """apply card clean drift export flag init next normalize prelabel prove rebalance report review run shortcuts split
    status verify""".split()
)


def command_line(verb: str, project: Project, *rest: str) -> str:
    """A command to copy: quoted for the shell, never cut, and with --store where the default would not find it."""
    folder = _from_here(project.folder)
    words = ["curate", verb, f"./{folder}" if folder.startswith("-") else folder, *rest]
    if not project.has_default_store:
        words += ["--store", _from_here(project.store)]
    if not isinstance(project.folder, Path) and verb in READ_PICTURES:
        words.append("--network")
    return printable(shlex.join(words))


def _from_here(path: Source) -> str:
    if not isinstance(path, Path):
        return str(path)
    try:
        return str(path.relative_to(Path.cwd()))
    except (ValueError, OSError):  # elsewhere; or the current folder is gone
        return str(path)


def counted(counts: Mapping[str, int]) -> str:
    """`cat 150, dog 120, …` within a line."""
    return ", ".join(f"{printable(name) or '(none)'} {number:,}" for name, number in counts.items())


def write_table(rows: pd.DataFrame, format_: str, output: Path | None) -> None:
    """Print a table as CSV or JSON, or write it to a file. Parquet is bytes: it needs a file or a pipe."""
    from curate.files import replacing

    if output is None and format_ == "parquet" and sys.stdout.isatty():
        raise click.UsageError("Parquet is not readable on a terminal: add --output FILE.")
    writers: dict[str, Callable[[Any], object]] = {
        "csv": lambda target: rows.to_csv(target, index=False),
        "json": lambda target: rows.to_json(target, orient="records", indent=2, force_ascii=False),
        "parquet": lambda target: rows.to_parquet(target, index=False),
    }
    if output is None:
        if sys.stdout.isatty():
            # A file name may hold control characters, which a terminal obeys; a pipe or a file gets them as they are.
            rows = rows.map(lambda cell: printable(cell) if isinstance(cell, str) else cell)
        writers[format_](sys.stdout.buffer if format_ == "parquet" else sys.stdout)
        return
    with replacing(output) as temporary, temporary.open("wb") as stream:
        writers[format_](stream)


def print_notes(notes: Sequence[str], before: str = "") -> None:
    """Sentences, wrapped, each with a blank line before it if wanted."""
    from textwrap import fill

    for note in notes:
        click.echo(before + fill(printable(note), WIDTH, initial_indent="  ", subsequent_indent="  "))


def print_version(result: Modelled, dry_run: bool) -> None:
    """Which version holds what models said, and what they could not see."""
    if result.unembedded:
        click.echo(
            f"\n{len(result.unembedded):,} pictures could not be shown to the model: {name_some([*result.unembedded])}"
        )
    print_frozen(result.version, is_new=result.is_new, dry_run=dry_run)


def print_frozen(version: Version, *, is_new: bool, dry_run: bool = False) -> None:
    """Which version holds the outcome. is_new: whether it was made now."""
    state = f"{version.name} ({version.id[:12]})"
    if dry_run:
        click.echo("\nDry run: no version was made.")
    else:
        click.echo(f"\nFrozen as {state}." if is_new else f"\nNothing changed since {state}.")
