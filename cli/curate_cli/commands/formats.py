"""`curate formats`: what can be imported and exported."""

from __future__ import annotations

import click

from curate_cli import options


@click.command("formats", short_help="What can be imported and exported.")
@options.as_json
def command(as_json: bool) -> None:
    """List the formats of `curate import` and `curate export`.

    docs/formats.md has a page on each, with its limits.

    \b
    Example:
      curate formats
    """
    from curate.exporters import all_exporters
    from curate.importers import all_importers
    from curate_cli.output import print_json, print_table

    exporters, importers = all_exporters(), all_importers()
    if as_json:
        print_json(
            {
                "export": {name: one.summary for name, one in exporters.items()},
                "import": {name: one.summary for name, one in importers.items()},
            }
        )
        return
    click.echo("Export")
    print_table([(name, one.summary) for name, one in exporters.items()])
    click.echo("\nImport")
    print_table([(name, one.summary) for name, one in importers.items()])
