"""`curate show`: one version."""

from __future__ import annotations

from pathlib import Path

import click

from curate_cli import options


@click.command("show", short_help="What one version holds.")
@options.folder
@click.argument("version", required=False)
@options.store
@options.as_json
def command(folder: Path, version: str | None, store: Path | None, as_json: bool) -> None:
    """Show what VERSION holds and how it came about (default: the newest).

    VERSION is v3, a tag, head or the beginning of an id.

    \b
    Example:
      curate show ./images v1
    """
    from curate.history import show
    from curate_cli.output import counted, print_json, print_table

    found = show(folder, version, store=store)
    if as_json:
        print_json(found)
        return
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
