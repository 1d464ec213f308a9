"""`curate rebalance`: the classes of the training pictures into balance."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from curate_cli import options

if TYPE_CHECKING:
    from curate.balancing import Rebalanced
    from curate.what_if import Outcome

MOST_SHOWN = 12  # classes


@click.command("rebalance", short_help="Bring the classes of train into balance.")
@options.folder
@click.option("--strategy", metavar="NAME[,NAME…]", help="What to do, in this order.")
@click.option("--target", type=click.FloatRange(0, 1, min_open=True), help="Smallest : largest class. Default: 1.")
@click.option("--min-per-class", type=click.IntRange(0), help="Cut no class below this; raise each to it.")
@click.option("--max-per-class", type=click.IntRange(0), help="Images of a class an epoch may see; 0: any.")
@click.option("--max-repeat", type=click.IntRange(1), help="How often to show one image. Default: 10.")
@click.option("--seed", help="Any text; another one chooses others by lot.")
@click.option("--features", type=click.Path(path_type=Path, dir_okay=False), help="Write vectors: .parquet or .npz.")
@click.option("--off", is_flag=True, help="Count each image once again.")
@options.model
@options.store
@options.config
@options.assignments
@options.executor
@options.workers
@options.network
@click.option("--dry-run", is_flag=True, help="Compare all strategies, make no version.")
@options.as_json
def command(
    folder: Path,
    strategy: str | None,
    target: float | None,
    min_per_class: int | None,
    max_per_class: int | None,
    max_repeat: int | None,
    seed: str | None,
    features: Path | None,
    off: bool,
    model: str | None,
    store: Path | None,
    config: Path | None,
    assignments: tuple[str, ...],
    executor: str | None,
    workers: int | None,
    network: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Say how often training sees each image of train, and what its loss counts.

    Images of train only: validation and test stay as the world is. No file is
    copied; the version says `repeat` (0: left out) and `weight` of each image,
    which `curate export` and the training loaders honour. With --dry-run, all
    strategies are compared by a quick probe on the validation images.

    \b
    Leave out:  random-under, near-miss, redundant-first,
                tomek-links, edited-neighbours
    Show more:  random-over, informative-over
    Weigh:      inverse-frequency, effective-number
    With --features also:  smote, borderline-smote, adasyn, cluster-centroids

    \b
    Examples:
      curate rebalance ./images --dry-run
      curate rebalance ./images --strategy random-over --target .5
      curate rebalance ./images --strategy redundant-first,random-over
      curate rebalance ./images --strategy smote --features vectors.parquet
    """
    from curate.balancing import rebalance
    from curate_cli.output import bar, print_json, tell_version

    chosen = {
        "strategy": [name.strip() for name in strategy.split(",")] if strategy is not None else None,
        "target": target,
        "min_per_class": min_per_class,
        "max_per_class": max_per_class,
        "max_repeat": max_repeat,
        "seed": seed,
    }
    own = {f"rebalance.{name}": value for name, value in chosen.items()} | {"models.backbone": model}
    result = rebalance(
        folder,
        store=store,
        config=config,
        changes=options.changes(assignments, own),
        features=features,
        off=off,
        executor=executor,
        workers=workers,
        network=network,
        dry_run=dry_run,
        progress=bar,
    )
    tell_version(result.version, is_new=result.is_new)
    if as_json:
        print_json(_plain(result))
    else:
        _print(result, dry_run)


def _plain(result: Rebalanced) -> dict[str, object]:
    from curate.balancing import as_study

    study = as_study(result) if result.outcomes else {}
    names = ("names", "before", "after", "used", "effective", "rare", "unlabelled", "unseen", "notes", "features")
    plain = {name: getattr(result, name) for name in names}
    return {**plain, **study, "version": result.version.name, "is_new": result.is_new}


def _print(result: Rebalanced, dry_run: bool) -> None:
    from curate_cli.output import home, name_some, print_notes

    click.echo(f"{home(result.project.folder)}: {sum(result.before.values()):,} labelled images in train")
    if result.unlabelled:
        click.echo(f"{result.unlabelled:,} images of train have no label: they count once.")
    if result.unseen:
        click.echo(f"{len(result.unseen):,} the model can't see: they count once: {name_some([*result.unseen])}")
    if result.rare:
        few = [f"{name} ({count})" for name, count in result.rare.items()]
        click.echo(f"Classes of 1 to 3 different images: {name_some(few, 5)}")
    if result.outcomes:
        _print_outcomes(result)
    elif result.names:
        _print_sizes(result)
    else:
        click.echo("Each image of train counts once.")
    print_notes([note for note in result.notes if not note.startswith("Classes of")], before="\n")
    _print_version(result, dry_run)
    _print_what_next(result, dry_run)


def _print_outcomes(result: Rebalanced) -> None:
    from curate_cli.output import name_some, print_notes, print_table

    head = ("", "epoch", "classes", "counts as", "accuracy", "gain")
    click.echo()
    print_table([head, *map(_row, result.outcomes)], indent=0, right=(1, 2, 3))
    combined = next((one for one in result.outcomes if one.chosen and len(one.names) > 1), None)
    if combined is not None:
        click.echo(f"* {', '.join(combined.names)}")
    click.echo()
    judged = {"val": "the validation images", "folds": "folds of train, as val has too few labelled ones"}
    if result.judged_by:
        by = judged[result.judged_by]
        how = (
            "classes: images of the smallest and of the largest in an epoch; counts as: images of equal weight (Kish). "
            f"Balanced accuracy of a linear probe on the embedding, judged by {by}, in %; its gain over none in points."
            " Intervals of 95 %."
        )
        told = [how]
        if any(one.gain is not None and not one.gain.low <= 0 <= one.gain.high for one in result.outcomes):
            told.append("A gain whose interval holds 0 is no measurable difference.")
        else:
            told.append("No strategy differs measurably from none.")
        print_notes(told)
    else:
        print_notes(["No class has two different images, so nothing can be judged."])
    if result.unjudged:
        click.echo(f"  Not judged, as there is no other image: {name_some(list(result.unjudged), 5)}")


def _row(one: Outcome) -> tuple[str, ...]:
    name = "none" if not one.names else one.names[0] if len(one.names) == 1 else "together"
    (_, most), (_, fewest) = one.sizes[0], one.sizes[-1]
    score, gain = one.score, one.gain
    return (
        name + (" *" if one.chosen else ""),
        f"{one.epoch:,}",
        f"{fewest:,}-{most:,}",
        f"{one.effective:,.0f}",
        "" if score is None else f"{100 * score.value:.1f} ({100 * score.low:.0f}-{100 * score.high:.0f})",
        "" if gain is None or not one.names else f"{_points(gain.value)} ({_points(gain.low)} {_points(gain.high)})",
    )


def _points(share: float) -> str:
    return f"{100 * share:+.1f}"


def _print_sizes(result: Rebalanced) -> None:
    from curate_cli.output import print_table

    click.echo()
    ordered = sorted(result.before, key=lambda name: (-result.before[name], name))
    shown = ordered if len(ordered) <= MOST_SHOWN else [*ordered[: MOST_SHOWN // 2], *ordered[-MOST_SHOWN // 2 :]]
    rows = [(name, f"{result.before[name]:,}", f"{result.after[name]:,}") for name in shown]
    total = ("all", f"{sum(result.before.values()):,}", f"{sum(result.after.values()):,}")
    print_table([("class", "images", "in an epoch"), *rows, total], right=(1, 2))
    if len(ordered) > MOST_SHOWN:
        click.echo(f"  {len(ordered) - MOST_SHOWN:,} classes between them are not shown: see --json")
    click.echo(f"\n{result.used:,} different images, worth {result.effective:,.0f} that count alike (Kish).")


def _print_version(result: Rebalanced, dry_run: bool) -> None:
    from curate_cli.output import home, print_frozen

    if result.features is not None:
        made = result.features
        click.echo(f"\nWrote {made.rows:,} vectors, {made.invented:,} of them of no image, to {home(made.file)}.")
    else:
        print_frozen(result.version, is_new=result.is_new, dry_run=dry_run)


def _print_what_next(result: Rebalanced, dry_run: bool) -> None:
    from curate_cli.output import command_line

    steps = [("hand it to training", command_line("export", result.project, "OUT"))]
    if dry_run:
        names = ",".join(result.names) or "NAME"
        steps = [("choose one", command_line("rebalance", result.project, "--strategy", names))]
    elif result.is_new and result.names:
        steps.append(("count each image once again", command_line("rebalance", result.project, "--off")))
    click.echo("Next")
    for purpose, line in steps:
        click.echo(f"  {purpose:29}{line}")
