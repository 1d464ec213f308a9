"""`curate log`: the history of versions."""

from __future__ import annotations

from pathlib import Path

import click

from curate_cli import options


@click.command("log", short_help="All versions, the newest first.")
@options.folder
@options.store
@options.as_json
def command(folder: Path, store: Path | None, as_json: bool) -> None:
    """List all versions, the newest first.

    \b
    Example:
      curate log ./images
    """
    from curate.history import log, tags
    from curate_cli.output import print_json, print_table

    versions = log(folder, store=store)
    if as_json:
        print_json(versions)
        return
    names: dict[int, list[str]] = {}
    for tag, number in tags(folder, store=store).items():
        names.setdefault(number, []).append(tag)
    rows = [
        (
            one.name,
            one.id[:12],
            one.created_at[:16].replace("T", " "),
            f"{one.counts['kept']:,} kept",
            f"{one.counts['dropped']:,} dropped",
            f"{one.command} by {one.author} {', '.join(names.get(one.number, []))}",
        )
        for one in versions
    ]
    print_table(rows or [("No version yet.",)], indent=0, right=(3, 4))
