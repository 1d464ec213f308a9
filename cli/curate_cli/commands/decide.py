"""`curate decide`: a person's word on some pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from curate_cli import options

if TYPE_CHECKING:
    from curate.decisions import Answer


@click.command("decide", short_help="Say keep, drop or another label for some images.")
@options.folder
@click.argument("paths", nargs=-1, required=True)
@click.option("--keep", "answer", flag_value="keep", help="Keep it, whatever the checks say.")
@click.option("--drop", "answer", flag_value="drop", help="Drop it.")
@click.option("--undo", "answer", flag_value="undo", help="Take back the last decision on it.")
@click.option("--label", help="Keep it under this label.")
@click.option("--note", default="", help="Why, for whoever reads it later.")
@click.option("--by", metavar="NAME", help="Who decides. Default: CURATE_AUTHOR or your account.")
@options.store
def command(
    folder: Path,
    paths: tuple[str, ...],
    answer: Answer | None,
    label: str | None,
    note: str,
    by: str | None,
    store: Path | None,
) -> None:
    """Say that PATHS are to be kept, dropped or relabelled, against any check.

    Decisions are remembered for good, with name and date, and hold as long as
    the image's bytes stay the same. The next `curate clean` applies them.

    \b
    Examples:
      curate decide ./images night/IMG_7.jpg --keep --note "meant to be dark"
      curate decide ./images cats/IMG_9.jpg --label dogs
    """
    from curate.inspection import record_decisions
    from curate.project import Project
    from curate_cli.output import command_line

    if (answer is None) == (label is None):
        raise click.UsageError("Give exactly one of --keep, --drop, --undo and --label.")
    made = record_decisions(folder, paths, answer or "relabel", label=label or "", note=note, by=by, store=store)
    again = command_line("clean", Project.at(folder, store))
    click.echo(f"{len(made):,} decisions recorded. They take effect with: {again}")
