"""`curate status`: the folder against its newest version."""

from __future__ import annotations

from pathlib import Path

import click

from curate_cli import options


@click.command("status", short_help="What changed in DIR since the newest version.")
@options.folder
@options.store
@options.as_json
def command(folder: Path, store: Path | None, as_json: bool) -> None:
    """Say what changed in DIR since the newest version; opens no image.

    \b
    Example:
      curate status ./images
    """
    from curate.inspection import status
    from curate_cli.output import WAITING, command_line, home, name_some, print_json

    found = status(folder, store=store)
    if as_json:
        print_json(
            {
                **vars(found),
                "project": found.project.folder,
                "version": found.version.name,
                "up_to_date": found.up_to_date,
            }
        )
        return
    made = found.version.created_at[:16].replace("T", " ")
    click.echo(f"{home(found.project.folder)}: newest version {found.version.name}, made {made} UTC")
    for title, paths in (("new", found.new), ("changed", found.changed), ("gone", found.gone)):
        if paths:
            click.echo(f"  {len(paths):,} {title}: {name_some(paths)}")
    if found.decisions:
        click.echo(f"  {found.decisions:,} decisions since")
    verbs = [] if found.up_to_date else ["clean"]
    for name, what, verb in WAITING:
        if number := found.version.counts.get(name, 0):
            click.echo(f"  {number:,} kept pictures {what} yet")
            verbs.append(verb)
    click.echo(f"Next: {command_line(verbs[0], found.project)}" if verbs else "Up to date.")
