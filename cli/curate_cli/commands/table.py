"""`curate table`: the manifest."""

from __future__ import annotations

from pathlib import Path

import click

from curate_cli import options


@click.command("table", short_help="Print the table: one row per file.")
@options.folder
@options.version
@click.option("--columns", metavar="A,B", help="Only these columns, in this order.")
@click.option("--format", "format_", type=click.Choice(["csv", "json", "parquet"]), default="csv", show_default=True)
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="Write here instead of printing.")
@options.store
def command(
    folder: Path,
    version: str | None,
    columns: str | None,
    format_: str,
    output: Path | None,
    store: Path | None,
) -> None:
    """Print the table of a version: one row per file, every fact and decision.

    docs/columns.md explains each column.

    \b
    Examples:
      curate table ./images --columns path,keep,reasons
      curate table ./images --format parquet --output table.parquet
    """
    from curate.history import select_columns, table
    from curate_cli.output import write_table

    rows = select_columns(table(folder, version, store=store), columns.split(",") if columns else None)
    write_table(rows, format_, output)
