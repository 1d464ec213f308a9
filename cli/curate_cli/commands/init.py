"""`curate init`: a first settings file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from curate_cli import options

if TYPE_CHECKING:
    from curate.starting import Start


@click.command("init", short_help="Write settings that suit DIR, with reasons.")
@options.folder
@click.option("--print", "show", is_flag=True, help="Print the settings, write nothing.")
@options.store
@options.network
@options.as_json
def command(folder: Path, show: bool, store: Path | None, network: bool, as_json: bool) -> None:
    """Look at DIR and write DIR.curate/curate.toml: the settings that matter for
    these images, each with the reason. Reads names and some headers, decodes
    nothing, and never overwrites a file.

    \b
    Examples:
      curate init ./images
      curate init ./images --print
    """
    from curate.starting import init
    from curate_cli.output import print_json

    result = init(folder, store=store, network=network, dry_run=show)
    if as_json:
        print_json({**vars(result.seen), "text": result.text, "written": result.written})
    elif show:
        click.echo(result.text, nl=False)
    else:
        _print(result)


def _print(result: Start) -> None:
    from textwrap import fill

    from curate.suggesting import overview
    from curate_cli.output import command_line, home

    assert result.written is not None
    click.echo(fill(f"{home(result.project.folder)}: {overview(result.seen)}", 80, subsequent_indent="  "))
    click.echo(f"\nWritten: {home(result.written)}")
    click.echo(f"Next: {command_line('run', result.project)}")
