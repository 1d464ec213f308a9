"""`curate import`: another tool's data set as a folder of images with labels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from curate_cli import options

if TYPE_CHECKING:
    from curate.importing import Imported


@click.command("import", short_help="Take over another tool's data set.")
@click.argument("source", metavar="SOURCE")
@options.folder
@click.option("--format", "format_", metavar="FORMAT", help="See `curate formats`. Default: look at SOURCE.")
@click.option("--copy", is_flag=True, help="Always copy bytes, for who is going to edit the files.")
@options.network
@options.store
@options.as_json
def command(
    source: str, folder: Path, format_: str | None, copy: bool, network: bool, store: Path | None, as_json: bool
) -> None:
    """Make DIR a new folder of the images in SOURCE, with their labels.

    SOURCE may be class folders, a CSV, JSONL or Parquet file, a data set of
    Hugging Face, COCO, YOLO, Label Studio, FiftyOne or Datumaro. It is only
    read. Class names stay as they are; splits and annotators' votes come too.

    \b
    Examples:
      curate import ./coco_export ./images
      curate import tasks.json ./images --format labelstudio
      curate import s3://bucket/pictures ./images --network
    """
    from curate.importing import import_
    from curate_cli.output import bar, print_json

    result = import_(source, folder, format=format_, copy=copy, network=network, store=store, progress=bar)
    if as_json:
        print_json(result)
    else:
        _print(result)


def _print(result: Imported) -> None:
    from curate_cli.output import command_line, counted, home, print_table

    click.echo(f"{home(result.project.folder)}: {result.images:,} images, read as {result.format}")
    by_size = dict(sorted(result.labels.items(), key=lambda item: (-item[1], item[0])))
    click.echo("Labels: " + counted({name or "(unlabelled)": number for name, number in list(by_size.items())[:10]}))
    if len(by_size) > 10:
        click.echo(f"  and {len(by_size) - 10:,} more classes")
    if result.splits:
        click.echo("Splits: " + counted(result.splits))
    if result.missing:
        click.echo(f"Named but not there: {result.missing:,}; they will be rows with a read error.")
    print_table([(name, why) for name, why in list(result.problems.items())[:10]])
    click.echo("Next")
    steps = [("check every picture", command_line("clean", result.project))]
    if result.voted:
        votes = home(result.project.store / "votes.csv")
        steps.append(("weigh the votes", command_line("flag", result.project, "--votes", votes)))
    for purpose, line in steps:
        click.echo(f"  {purpose:20}{line}")
