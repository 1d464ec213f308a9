"""`curate tag`: names for versions."""

from __future__ import annotations

from pathlib import Path

import click

from curate_cli import options


@click.command("tag", short_help="Give a version a name.")
@options.folder
@click.argument("name", required=False)
@options.version
@click.option("--delete", is_flag=True, help="Remove the name; the version stays.")
@options.store
@options.as_json
def command(
    folder: Path, name: str | None, version: str | None, delete: bool, store: Path | None, as_json: bool
) -> None:
    """Give a version a NAME; without NAME, list all names.

    \b
    Examples:
      curate tag ./images paper --version v3
      curate tag ./images
      curate tag ./images paper --delete
    """
    from curate.history import tag, tags, untag
    from curate_cli.output import print_json, print_table

    if name and delete:
        untag(folder, name, store=store)
    elif name:
        found = tag(folder, name, version, store=store)
        if not as_json:
            click.echo(f"{name} is {found.name} ({found.id[:12]}).")
            return
    elif delete:
        raise click.UsageError("--delete needs the NAME to remove.")
    known = tags(folder, store=store)
    if as_json:
        print_json(known)
    else:
        print_table([(tag_name, f"v{number}") for tag_name, number in known.items()] or [("No tags.",)], indent=0)
