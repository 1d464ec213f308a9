"""`curate card`: what the data set is, for people who did not make it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from curate_cli import options

if TYPE_CHECKING:
    from curate.describing import Card


@click.command("card", short_help="Describe a version for people who did not make it.")
@options.folder
@click.argument("version", required=False)
@click.option("--output", "out", type=click.Path(path_type=Path), help="Folder for it. Default: DIR.curate/card.")
@click.option("--print", "dry_run", is_flag=True, help="Print the card, write nothing.")
@options.store
@options.config
@options.assignments
@options.executor
@options.workers
@options.network
@options.as_json
def command(
    folder: Path,
    version: str | None,
    out: Path | None,
    dry_run: bool,
    store: Path | None,
    config: Path | None,
    assignments: tuple[str, ...],
    executor: str | None,
    workers: int | None,
    network: bool,
    as_json: bool,
) -> None:
    """Write a dataset card of VERSION (default: the newest) from what it holds:
    README.md as the Hugging Face hub reads it, croissant.json, and the list of
    pictures.

    It says where the pictures come from, what was dropped and why, how good the
    labels are and how that was measured, and whether files tell where or by
    whom they were taken. What only you know goes into the settings card.*.

    \b
    Examples:
      curate card ./images
      curate card ./images v3 --set card.license=CC-BY-4.0 --set card.creator=Ada
      curate card ./images --print
    """
    from curate.describing import card
    from curate_cli.output import bar, print_json

    made = card(
        folder, version, out=out, store=store, config=config, changes=options.changes(assignments, {}),
        executor=executor, workers=workers, network=network, dry_run=dry_run, progress=bar,
    )  # fmt: skip
    if as_json:
        print_json({"out": made.out, "version": made.facts.version.name, "missing": made.missing, "card": made.text})
    elif dry_run:
        click.echo(made.text, nl=False)
    else:
        _print(made)


def _print(made: Card) -> None:
    from textwrap import fill

    from curate.personal import KINDS
    from curate_cli.output import command_line, home, print_notes

    facts = made.facts
    assert made.out is not None
    click.echo(
        f"{home(made.out)}: card of {facts.version.name}, {facts.total:,} pictures in {len(facts.classes)} classes"
    )
    for kind, number in facts.personal.kinds.items():
        click.echo(f"{number:,} files say {KINDS[kind]}; {_leaves(facts.personal.leaves)}")
    if facts.limits:
        click.echo("\nKnown limits, as the card tells them")
        print_notes(facts.limits)
    if made.missing:
        click.echo("\n" + fill(f"The card lacks what only you know: {', '.join(made.missing)}", 80))
    click.echo("\nNext")
    lines = [
        ("say what only you know", command_line("card", made.project, "--set", f"{name}=…"))
        for name in made.missing[:1]
    ]
    lines += [("hand out the data", command_line("export", made.project, "OUT", "--format", "huggingface"))]
    for purpose, line in lines:
        click.echo(f"  {purpose:24}{line}")


def _leaves(leaves: bool) -> str:
    return "an export hands that on (see: curate normalize)" if leaves else "normalized pictures do not"
