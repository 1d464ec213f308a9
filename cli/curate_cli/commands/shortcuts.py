"""`curate shortcuts`: what predicts the label without being the subject."""

from __future__ import annotations

import sys
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import click

from curate_cli import options

if TYPE_CHECKING:
    from curate.confounding import Finding, Shortcuts

MOST_SHOWN, MOST_PATHS = 4, 2  # shortcuts in full, and pictures per side: a screen and a half
MARKS = {"shortcut": "!", "weak": "~", "none": ""}
WHAT_TO_DO = {
    "look": "It may be natural, as snow is bright. If it is not, vary it in training\n"
    "(augmentation), or add images of the class without it.",
    "file": "Files of a class were made otherwise. `curate normalize` makes them alike;\n"
    "what was lost before, such as detail, stays lost.",
    "source": "Sources leave traces in colours, noise and backgrounds. Collect each class\n"
    "from each source, or keep a source together: curate split --groups FILE.",
}


@click.command("shortcuts", short_help="Find what predicts the label but is not the subject.")
@options.folder
@options.version
@options.store
@options.config
@options.executor
@options.workers
@options.network
@options.as_json
def command(
    folder: Path,
    version: str | None,
    store: Path | None,
    config: Path | None,
    executor: str | None,
    workers: int | None,
    network: bool,
    as_json: bool,
) -> None:
    """Find traits of the images in DIR that predict the label.

    Brightness, sharpness, size, format, camera, folder, border and more: what
    parts the classes, a model learns, whether it is the subject or not. Each
    trait is tested against shuffled labels, copies counting once, and is told
    of only where that is no chance and large enough to matter.

    \b
    Examples:
      curate shortcuts ./images
      curate shortcuts ./images --version v3 --json

    Exit code 1: a trait predicts the label.
    """
    from curate.confounding import shortcuts
    from curate_cli.output import bar, print_json

    result = shortcuts(
        folder,
        store=store,
        config=config,
        version=version,
        executor=executor,
        workers=workers,
        network=network,
        progress=bar,
    )
    if as_json:
        print_json(result.as_dict())
    else:
        _print(result)
    sys.exit(1 if result.found else 0)


def _print(result: Shortcuts) -> None:
    from curate_cli.output import command_line, counted, home

    click.echo(
        f"{home(result.project.folder)}: {result.version.name}, {result.pictures:,} labelled images of "
        f"{len(result.classes):,} classes"
    )
    click.echo(f"Compared: {result.independent:,}, one of each group of copies.")
    if result.unlabelled:
        click.echo(f"Left out: {result.unlabelled:,} without a label.")
    if result.rare:
        click.echo(f"Left out: classes with fewer than 5 images: {counted(result.rare)}.")
    _print_traits(result)
    for one in result.found[:MOST_SHOWN]:
        _print_shortcut(one)
    if len(result.found) > MOST_SHOWN:
        click.echo(f"\nAnd {len(result.found) - MOST_SHOWN} more, marked above; the report shows them all.")
    if not result.found:
        click.echo("\nNo trait tells enough of the label to matter.")
    for kind in dict.fromkeys(one.kind for one in result.found):
        click.echo(f"\n{WHAT_TO_DO[kind]}")
    click.echo("\nNext")
    click.echo(f"  {'see the images':30}{command_line('report', result.project)}")


def _print_traits(result: Shortcuts) -> None:
    """One line per trait that was tested, and what was not."""
    from curate_cli.output import name_some, print_table

    rows = [
        (
            MARKS[one.verdict],
            one.trait,
            f"{one.accuracy:.1%}",
            f"{one.interval[0]:.1%} to {one.interval[1]:.1%}",
            f"{one.adjusted_p:.4f}",
        )
        for one in result.findings
        if one.accuracy is not None and one.interval is not None
    ]
    click.echo(f"\nLabels guessed right by one trait alone; by chance: {result.chance:.1%}\n")
    print_table([("", "trait", "right", "95 %", "adjusted p"), *rows], right=(2, 3, 4))
    untested = [one for one in result.findings if one.verdict == "not tested"]
    click.echo("\n  ! a shortcut   ~ there, but too small to matter")
    for why, ones in groupby(sorted(untested, key=lambda one: (one.why, one.trait)), key=lambda one: one.why):
        _print_wrapped(f"Not tested: {name_some([one.trait for one in ones], 9)}: {why}.")


def _print_wrapped(text: str) -> None:
    from textwrap import fill

    from curate.paths import printable

    click.echo(fill(printable(text), 80, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False))


def _print_shortcut(one: Finding) -> None:
    """One shortcut in words, the classes that it sets apart, and pictures to look at."""
    from curate_cli.output import end_of

    click.echo(f"\n! {one.trait} ({one.what})")
    _print_wrapped(one.sentence)
    others = [f"{carrier.label} {carrier.told_apart:.0%} ({carrier.how})" for carrier in one.carriers[:3]]
    if others:
        _print_wrapped(f"Told from all others, where 50% is chance: {', '.join(others)}.")
    for side in one.sides:
        click.echo(f"  {end_of(side.title, 76)}:")
        for path in side.paths[:MOST_PATHS]:
            click.echo(f"    {end_of(path, 76)}")
