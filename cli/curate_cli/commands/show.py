"""`curate show`: one version."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from curate_cli import options

if TYPE_CHECKING:
    from curate.versions import Version


@click.command("show", short_help="What one version holds.")
@options.folder
@click.argument("version", required=False)
@options.store
@options.as_json
def command(folder: Path, version: str | None, store: Path | None, as_json: bool) -> None:
    """Show what VERSION holds and how it came about (default: the newest).

    VERSION is v3, a tag, head or the beginning of an id. Of the run that made
    it you see how long each stage took; --json tells the versions of
    everything, too.

    \b
    Example:
      curate show ./images v1
    """
    from curate.history import run_record, show
    from curate_cli.output import print_json
    from curate_cli.run_lines import print_run

    found = show(folder, version, store=store)
    record = run_record(folder, found.name, store=store)
    if as_json:
        print_json({**vars(found), "run": record})
        return
    _print(found)
    print_run(record)


def _print(found: Version) -> None:
    from curate_cli.output import counted, print_table

    rows = [
        ("version", found.name),
        ("id", found.id),
        ("made", f"{found.created_at} by {found.author}, {found.command}, curate {found.curate}"),
        ("restores", f"v{found.restores}" if found.restores else ""),
        (
            "images",
            f"{found.counts['images']:,}: {found.counts['kept']:,} kept, {found.counts['dropped']:,} dropped",
        ),
        ("dropped by", counted(found.counts["dropped_by"])),
        ("flagged by", counted(found.counts["flagged_by"])),
        ("labels", counted(found.counts["labels"])),
        ("splits", counted(found.counts.get("splits", {}))),
        ("normalized", ", ".join(str(found.transform[name]) for name in ("fit", "size", "format") if found.transform)),
        *((name, _channels(found.pixels[name])) for name in ("mean", "std") if found.pixels),
    ]
    print_table([row for row in rows if row[1]], indent=0)


def _channels(values: list[float]) -> str:
    return " ".join(f"{value:.4f}" for value in values) + " (red, green, blue)"
