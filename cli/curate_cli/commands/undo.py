"""`curate undo`: go back, as a new version."""

from __future__ import annotations

from pathlib import Path

import click

from curate_cli import options


@click.command("undo", short_help="Go back to an earlier version, as a new one.")
@options.folder
@click.option("--to", metavar="V", help="Go back to this version. Default: the one before the newest.")
@options.store
@options.as_json
def command(folder: Path, to: str | None, store: Path | None, as_json: bool) -> None:
    """Go back to an earlier version, as a new version; nothing is erased.

    Settings and images stay as they are: the next `curate clean` judges by
    them again.

    \b
    Examples:
      curate undo ./images
      curate undo ./images --to v1
    """
    from curate.history import undo
    from curate_cli.output import print_json, tell_version

    made = undo(folder, to, store=store)
    tell_version(made, is_new=True)
    if as_json:
        print_json(made)
    else:
        click.echo(
            f"{made.name} has the content of v{made.restores} ({made.id[:12]}): {made.counts['kept']:,} images kept."
        )
