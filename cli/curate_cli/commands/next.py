"""`curate next`: the pictures most worth labelling or reviewing next, and where the data is thin."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from curate_cli import options

if TYPE_CHECKING:
    from curate.choosing import NextPictures
    from curate.thinness import Thinness

MOST_SHOWN = 10
MOST_THIN = 5
WAYS = ("combined", "uncertainty", "diversity", "class-need", "random")
PATH_WIDTH, WHY_WIDTH = 28, 48


@click.command("next", short_help="Choose the images most worth labelling or reviewing.")
@options.folder
@click.option("-n", "--count", type=click.IntRange(1), default=100, show_default=True, help="How many images.")
@click.option(
    "--for",
    "purpose",
    type=click.Choice(["label", "review"]),
    default="label",
    show_default=True,
    help="Images without a label, or labels to check.",
)
@click.option("--by", type=click.Choice(WAYS), default="combined", show_default=True, help="How to choose.")
@click.option("--thin", is_flag=True, help="Show only where the data is thin.")
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the list to FILE.csv, or the paths alone to FILE.txt.",
)
@options.model
@options.store
@options.config
@options.assignments
@options.executor
@options.workers
@options.network
@options.as_json
def command(
    folder: Path,
    count: int,
    purpose: str,
    by: str,
    thin: bool,
    output: Path | None,
    model: str | None,
    store: Path | None,
    config: Path | None,
    assignments: tuple[str, ...],
    executor: str | None,
    workers: int | None,
    network: bool,
    as_json: bool,
) -> None:
    """Choose the images of DIR most worth a person's time, and say why.

    combined: what the model is unsure of, no two alike, rare classes first; with
    few labels or none, typical images of groups that look alike. random is the
    baseline: what others gain over it is measured in docs/next.md.

    \b
    Examples:
      curate next ./images -n 50
      curate next ./images --for review
      curate next ./images --output todo.csv
      curate next ./images --thin
    """
    from curate.choosing import next_
    from curate_cli.output import bar, print_json

    _require_format(output)
    changes = options.changes(assignments, {"models.backbone": model})
    result = next_(
        folder,
        store=store,
        config=config,
        changes=changes,
        count=count,
        purpose=purpose,
        by=by,
        executor=executor,
        workers=workers,
        network=network,
        progress=bar,
    )
    if output is not None:
        _write(result, output)
    if as_json:
        print_json(result.as_dict())
    else:
        _print(result, thin, output)


def _require_format(output: Path | None) -> None:
    if output is not None and output.suffix.lower() not in (".csv", ".txt"):
        raise click.UsageError(f"--output {output} has no known ending: expected .csv or .txt.")


def _write(result: NextPictures, output: Path) -> None:
    from curate.files import write_text
    from curate_cli.output import write_table

    if output.suffix.lower() == ".txt":
        write_text(output, "".join(f"{one.path}\n" for one in result.picks))
    else:
        write_table(result.as_table(), "csv", output)


def _print(result: NextPictures, thin: bool, output: Path | None) -> None:
    from curate_cli.output import home, print_notes

    kind = "labelled" if result.purpose == "review" else "unlabelled"
    click.echo(f"{home(result.project.folder)}: {result.version.name}, {result.candidates:,} {kind} images to choose")
    click.echo(
        f"from, {result.learned_from:,} labels to learn from" if result.learned_from else "from, without a model"
    )
    if not thin:
        _print_picks(result)
    _print_thin(result.thin)
    print_notes(result.notes, before="\n")
    if output is not None:
        click.echo(f"\nWritten: {len(result.picks):,} to {home(output)}")
    _print_what_next(result, output)


def _print_picks(result: NextPictures) -> None:
    from textwrap import fill, wrap

    from curate.paths import printable
    from curate_cli.output import end_of

    click.echo(fill(f"The next {len(result.picks):,}: images {result.rule}.", 80) + "\n")
    for one in result.picks[:MOST_SHOWN]:
        lines = wrap(printable(one.why), WHY_WIDTH)
        click.echo(f"  {end_of(printable(one.path), PATH_WIDTH):{PATH_WIDTH}}  {lines[0]}")
        for line in lines[1:]:
            click.echo(f"  {'':{PATH_WIDTH}}  {line}")
    if len(result.picks) > MOST_SHOWN:
        click.echo(f"  and {len(result.picks) - MOST_SHOWN:,} more: --output FILE.csv")


def _print_thin(thin: Thinness) -> None:
    from curate_cli.output import name_some, print_table

    click.echo("\nWhere the data is thin")
    if not (thin.classes or thin.islands or thin.confusions):
        click.echo("  Nowhere: no rare class, no island, no two classes confused.")
    if thin.classes:
        click.echo(f"\n{len(thin.classes):,} rare classes (at most 20 different images)")
        rows = [
            (f"{one.pictures:,}", f"{one.different:,}", f"{one.expected:.1f}", one.label)
            for one in thin.classes[:MOST_THIN]
        ]
        print_table([("images", "without copies", "more, unlabelled", "class"), *rows], right=(0, 1, 2))
    if thin.islands:
        click.echo("\nImages like each other and far from all others")
        rows = [
            (f"{one.pictures:,}", f"{one.labelled:,}", f"{one.remoteness:.1f} x", name_some(one.examples))
            for one in thin.islands[:MOST_THIN]
        ]
        print_table([("images", "labelled", "usual distance", "such as"), *rows], right=(0, 1, 2))
    if thin.confusions:
        click.echo("\nClasses taken for each other by models that have not seen the image")
        pairs = [
            (f"{one.confused:,}", f"{one.pictures:,}", f"{one.first}, {one.second}")
            for one in thin.confusions[:MOST_THIN]
        ]
        print_table([("confused", "of", "classes"), *pairs], right=(0, 1))


def _print_what_next(result: NextPictures, output: Path | None) -> None:
    from curate_cli.output import command_line

    first = result.picks[0].path
    lines = [("give a label", command_line("decide", result.project, first, "--label", "LABEL"))]
    if result.purpose == "review":
        lines.append(("it is right", command_line("decide", result.project, first, "--keep")))
    elif result.learned_from:
        lines.append(("see suggestions", command_line("prelabel", result.project)))
    if output is None:
        wanted = ["--for", "review"] if result.purpose == "review" else []
        wanted += ["--by", result.by] if result.by != WAYS[0] else []
        lines.insert(0, ("list them all", command_line("next", result.project, *wanted, "--output", "next.csv")))
    lines += [("then take it over", command_line("clean", result.project))]
    click.echo("\nNext")
    for purpose, line in lines:
        click.echo(f"  {purpose:20}{line}")
