"""`curate prove`: did it help?"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from curate_cli import options

if TYPE_CHECKING:
    from curate.comparing import Difference
    from curate.proof import Proof

MOST_CLASSES = 8  # shown; --json has all
MOST_CONFUSIONS = 5


@click.command("prove", short_help="Did it help? Compare two versions by a quick model.")
@options.folder
@click.argument("a", required=False)
@click.argument("b", required=False)
@click.option("--labels-of", metavar="V", help="Judge by this version's labels. Default: the newer.")
@click.option("--reviewed", is_flag=True, help="Judge only by images that a person has looked at.")
@click.option("--train-network", is_flag=True, help="Train a small network on the pixels. Takes minutes.")
@click.option("--repeats", type=click.IntRange(2), help="Trainings of each version. Default: 20; network: 5.")
@click.option("--seed", type=click.IntRange(0), default=0, help="Another one draws otherwise. Default: 0.")
@click.option("--fail-if-worse", is_flag=True, help="Exit code 1 if B is measurably worse than A.")
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
    a: str | None,
    b: str | None,
    labels_of: str | None,
    reviewed: bool,
    train_network: bool,
    repeats: int | None,
    seed: int,
    fail_if_worse: bool,
    model: str | None,
    store: Path | None,
    config: Path | None,
    assignments: tuple[str, ...],
    executor: str | None,
    workers: int | None,
    network: bool,
    as_json: bool,
) -> None:
    """Tell whether version B of DIR teaches more than version A.

    A quick model learns from the training images of each. Both are judged by
    the same test images, with the same labels. Each training is repeated with
    random weights, so that luck is told from gain. B is the newest version
    unless given, A the last one before it that teaches otherwise.

    \b
    Examples:
      curate prove ./images
      curate prove ./images v1
      curate prove ./images v2 v5 --model mobilenetv2
      curate prove ./images before after --fail-if-worse

    Exit code 1: with --fail-if-worse, B is measurably worse.
    """
    from curate.proof import prove
    from curate_cli.output import bar, print_json

    result = prove(
        folder,
        a,
        b,
        store=store,
        config=config,
        changes=options.changes(assignments, {"models.backbone": model}),
        labels_of=labels_of,
        reviewed=reviewed,
        train_network=train_network,
        repeats=repeats,
        seed=seed,
        executor=executor,
        workers=workers,
        network=network,
        progress=bar,
    )
    if as_json:
        print_json(result.plain())
    else:
        _print(result)
    sys.exit(1 if fail_if_worse and result.is_worse else 0)


def _print(result: Proof) -> None:
    from curate_cli.output import home, print_notes, print_table

    a, b = result.a.name, result.b.name
    click.echo(f"{home(result.project.folder)}: what {a} and {b} teach")
    print_notes([_setting(result)])
    head = ("", a, b, "difference", "95 % interval")
    click.echo()
    print_table([head, *map(_row, result.comparison.metrics)], right=(1, 2, 3))
    click.echo(f"\n{result.sentence}")
    print_notes([_meaning(result)])
    _print_recalls(result)
    _print_classes(result)
    _print_ranking(result)
    print_notes(list(result.notes), before="\n")
    _print_what_next(result)


def _setting(result: Proof) -> str:
    """Who learns from what, and who judges."""
    contest = result.contest
    counts = " and ".join(f"{side.learnt.sum():,}" for side in contest.sides)
    part = "test" if contest.part == "test" else "validation" if contest.part else "kept"
    seen = f"A {result.learner} on {result.model or 'pixels'}"
    judges = f"the same {len(contest.judges):,} {part} images with the labels of {result.labels_of.name}"
    differ = f"{result.differing:,} of them have another label in {result.a.name} than in {result.b.name}"
    return f"{seen} learns from {counts} images, and is judged by {judges}; {differ}."


def _row(one: Difference) -> tuple[str, ...]:
    return (one.name, f"{one.a:.1%}", f"{one.b:.1%}", f"{100 * one.value:+.1f}", _interval(one.low, one.high))


def _interval(low: float, high: float) -> str:
    return f"{100 * low:+.1f} to {100 * high:+.1f}"


def _meaning(result: Proof) -> str:
    """What the verdict rests on."""
    main = result.comparison.main
    if result.contest.is_same:
        return "Nothing that training sees has changed between them."
    if main.better != "neither":
        return f"The whole interval of the {main.name} is on one side of 0."
    reach = 100 * (main.high - main.low) / 2
    return (
        f"The interval of the {main.name} holds 0. With these test images, differences of less than some "
        f"{reach:.1f} points can't be told from luck."
    )


def _print_recalls(result: Proof) -> None:
    from curate_cli.output import print_table

    found = zip(result.comparison.recalls, result.comparison.pictures, strict=True)
    ordered = sorted(found, key=lambda pair: (-abs(pair[0].value), pair[0].name))
    head = ("class", "images", result.a.name, result.b.name, "difference", "95 % interval")
    click.echo("\nRecall of each class, the largest differences first")
    rows = [(_short(one.name), f"{count:,}", *_row(one)[1:]) for one, count in ordered[:MOST_CLASSES]]
    print_table([head, *rows], right=(1, 2, 3, 4))
    if len(ordered) > MOST_CLASSES:
        click.echo(f"  and {len(ordered) - MOST_CLASSES:,} more")


def _print_classes(result: Proof) -> None:
    """What the newer model knows of each class, the least known first, and what it takes for what."""
    from curate_cli.output import print_notes, print_table

    ordered = sorted(result.figures.classes, key=lambda one: (one.pr_auc, one.name))
    head = ("class", "images", "recall", "precision", "PR-AUC", "ROC-AUC")
    rows = [
        (_short(one.name), f"{one.pictures:,}", *map(_share, (one.recall, one.precision, one.pr_auc, one.roc_auc)))
        for one in ordered[:MOST_CLASSES]
    ]
    click.echo(f"\nWhat {result.b.name} teaches of each class, the least known first")
    print_table([head, *rows], right=(1, 2, 3, 4))
    if len(ordered) > MOST_CLASSES:
        click.echo(f"  and {len(ordered) - MOST_CLASSES:,} more")
    print_notes(["Of rare classes read PR-AUC: ROC-AUC is high there whatever the false alarms."])
    pairs = result.figures.confusions[:MOST_CONFUSIONS]
    if pairs:
        click.echo("\nTaken for another class most often")
        print_table(
            [(f"{one.pictures:,}", f"{_short(one.label)} for {_short(one.said)}", one.paths[0]) for one in pairs]
        )


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"


def _short(name: str) -> str:
    from curate_cli.output import shorten

    return shorten(name, 24)


def _print_ranking(result: Proof) -> None:
    from curate_cli.output import print_notes, print_table

    doubt, ranking = result.doubt, result.ranking
    changed = doubt.by_person + doubt.by_model
    if not changed:
        return
    click.echo(f"\nModels that learn from {result.b.name}, by test labels as given and as corrected")
    rows = [(one.name, f"{one.given:.1%}", f"{one.corrected:.1%}") for one in ranking.models]
    print_table([("balanced accuracy", "given", "corrected"), *rows], right=(1,))
    print_notes([f"{changed:,} labels are corrected: {_by_whom(doubt.by_person, doubt.by_model)}. {_order(result)}"])


def _by_whom(person: int, model: int) -> str:
    parts = [f"{person:,} by a person"] * bool(person)
    parts += [f"{model:,} by what curate flag is sure of, which nobody has checked"] * bool(model)
    return ", ".join(parts)


def _order(result: Proof) -> str:
    ranking = result.ranking
    if not ranking.flips:
        return "The order of the models stays."
    if not ranking.lead:
        return f"The order changes below the first: {_names(ranking.by_corrected)}."
    given, corrected = (_interval(low, high) for _, low, high in ranking.lead)
    return (
        f"The order flips: {_names(ranking.by_corrected)}. {ranking.models[0].name} leads {ranking.by_corrected[0]} by "
        f"{given} points by the given labels, and by {corrected} by the corrected ones (95 % intervals)."
    )


def _names(names: Sequence[str]) -> str:
    return ", ".join(names)


def _print_what_next(result: Proof) -> None:
    from curate_cli.output import command_line

    project = result.project
    steps = [("what differs between them", command_line("diff", project, result.a.name, result.b.name))]
    if result.doubt.judged:
        steps.insert(0, ("look at doubtful labels", command_line("report", project)))
    else:
        steps.insert(0, ("find wrong labels", command_line("flag", project)))
    if not result.contest.part:
        steps.insert(0, ("make a test part", command_line("split", project)))
    click.echo("\nNext")
    for purpose, line in steps:
        click.echo(f"  {purpose:30}{line}")
