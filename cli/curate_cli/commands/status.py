"""`curate status`: what was done for a folder, and what of it still stands."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from curate_cli import options

if TYPE_CHECKING:
    from curate.inspection import Status


@click.command("status", short_help="What is out of date in DIR, and why.")
@options.folder
@options.store
@options.config
@options.target
@options.network
@options.as_json
def command(folder: Path, store: Path | None, config: Path | None, target: float, network: bool, as_json: bool) -> None:
    """Say what changed in DIR since the newest version, which stages of
    `curate run` are out of date by it, how many wrong labels people found, and
    how many may be left; opens no image.

    \b
    Examples:
      curate status ./images
      curate status ./images --target 0.02
    """
    from curate.inspection import status
    from curate_cli.output import print_json

    found = status(folder, store=store, config=config, target=target, network=network)
    if as_json:
        print_json(
            {
                **vars(found),
                "project": found.project.folder,
                "version": found.version.name,
                "up_to_date": found.up_to_date,
                "review": found.review.as_dict(),
            }
        )
    else:
        _print(found)


def _print(found: Status) -> None:
    from curate_cli.output import home, name_some, print_notes
    from curate_cli.review_lines import print_review

    made = found.version.created_at[:16].replace("T", " ")
    click.echo(f"{home(found.project.folder)}: newest version {found.version.name}, made {made} UTC")
    for title, paths in (("new", found.new), ("changed", found.changed), ("gone", found.gone)):
        if paths:
            click.echo(f"  {len(paths):,} {title}: {name_some(paths)}")
    for one in found.stale:
        print_notes([f"{one.stage}: {one.why}"])
    for study in found.studies:
        if not study.current:
            click.echo(f"  {study.name} is about {study.version}")
    never = [one.stage for one in found.stages if one.judgement == "never"]
    if never:
        click.echo(f"  not done yet: {', '.join(never)}")
    print_review(found.review, found.project)
    _print_next(found)


def _print_next(found: Status) -> None:
    from curate_cli.output import command_line

    if not found.stale:
        click.echo("Up to date.")
        return
    first = found.stale[0]
    verb, options = (first.stage, first.options) if len(found.stale) == 1 else ("run", ())
    click.echo(f"Next: {command_line(verb, found.project, *options)}")
