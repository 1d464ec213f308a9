"""`curate why`: one picture's whole story."""

from __future__ import annotations

from pathlib import Path

import click

from curate_cli import options


@click.command("why", short_help="One image's whole story.")
@options.folder
@click.argument("path")
@options.version
@options.store
@options.as_json
def command(folder: Path, path: str, version: str | None, store: Path | None, as_json: bool) -> None:
    """Tell everything known about the image PATH and why it was kept or dropped.

    \b
    Example:
      curate why ./images cats/IMG_0231.jpg
    """
    from curate.inspection import why
    from curate_cli.output import print_json
    from curate_cli.story import print_story

    story = why(folder, path, version, store=store)
    if as_json:
        print_json(story)
    else:
        print_story(story)
