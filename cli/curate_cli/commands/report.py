"""`curate report`: what was found, as a page."""

from __future__ import annotations

from pathlib import Path

import click

from curate_cli import options


@click.command("report", short_help="Write a page about what was found.")
@options.folder
@options.version
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where to write it. Default: DIR.curate/report.html.",
)
@options.store
@options.network
def command(folder: Path, version: str | None, output: Path | None, store: Path | None, network: bool) -> None:
    """Write one self-contained HTML page about a version; it needs no network.

    \b
    Example:
      curate report ./images
    """
    from curate.reporting import report
    from curate_cli.output import bar, home

    page = report(folder, version, output=output, store=store, network=network, progress=bar)
    click.echo(f"Written: {home(page)}")
