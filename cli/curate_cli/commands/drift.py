"""`curate drift`: has the data changed?"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from curate_cli import options

if TYPE_CHECKING:
    from curate.drift_history import Step
    from curate.drift_questions import Question, Test
    from curate.drifting import Drift
    from curate.fixed_model import Figures

MOST_TESTS, MOST_PATHS = 5, 3  # shown per question; --json and the page have all
MARKS = {"drift": "!", "small": "~", "none": "", "not asked": ""}
SAID = {"drift": "drift", "small": "too small to matter", "none": "no difference", "not asked": "not asked"}
QUESTIONS = ("facts", "classes", "embedding", "labels", "new", "concept")


@click.command("drift", short_help="Has the data changed? Compare versions, splits, folders.")
@options.folder
@click.argument("a", required=False)
@click.argument("b", required=False)
@click.option(
    "--labels",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Labels of a folder B that became known later: CSV, JSONL or Parquet.",
)
@click.option(
    "--predictions",
    type=click.Path(path_type=Path, dir_okay=False),
    help="What a fixed model of yours says of the images, with times if known.",
)
@click.option("--whole", is_flag=True, help="Compare all of B, also where it holds A.")
@click.option("--history", is_flag=True, help="Every version against the first and the one before.")
@click.option(
    "--alpha",
    type=click.FloatRange(0, 1, True, True),
    default=0.05,
    help="Chance of an alarm if nothing changed. Default: 0.05.",
)
@click.option(
    "--min-effect", type=click.FloatRange(0, 1), default=0.05, help="Least effect that counts, 0 to 1. Default: 0.05."
)
@click.option(
    "--fail-on",
    multiple=True,
    type=click.Choice(QUESTIONS),
    help="Exit code 1 for drift of this kind only. May be repeated.",
)
@click.option("--junit", type=click.Path(path_type=Path, dir_okay=False), help="Write the answers as JUnit XML.")
@click.option("--seed", type=click.IntRange(0), default=0, help="Another one draws otherwise. Default: 0.")
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
    labels: Path | None,
    predictions: Path | None,
    whole: bool,
    history: bool,
    alpha: float,
    min_effect: float,
    fail_on: tuple[str, ...],
    junit: Path | None,
    seed: int,
    model: str | None,
    store: Path | None,
    config: Path | None,
    assignments: tuple[str, ...],
    executor: str | None,
    workers: int | None,
    network: bool,
    as_json: bool,
) -> None:
    """Tell whether B comes from the same source as A, and what changed.

    A and B are versions (v3, a tag, head), splits (train, v3:train) or folders
    of images, such as those of production. B is the newest version unless
    given, A the last one before it with other images. If B holds A, what came
    since is compared. Looks, content, classes, new kinds and, where labels are
    known, the meaning of labels are asked; copies count once, and all p-values
    are corrected for the number of tests. A page shows images of both sides.

    \b
    Examples:
      curate drift ./images v1 v2
      curate drift ./images train test
      curate drift ./images head ./inbox --junit drift.xml
      curate drift ./images head ./inbox --labels later.csv --fail-on concept
      curate drift ./images --history

    Exit code 1: there is drift.
    """
    from curate.drifting import drift
    from curate.reporting.drift import drift_page
    from curate_cli.output import bar, print_json

    changes = options.changes(assignments, {"models.backbone": model})
    chosen = _Chosen(store, config, changes, seed, executor, workers, network)
    if history:
        _history(folder, a, chosen, alpha, min_effect, as_json)
        return
    found = drift(
        folder,
        a,
        b,
        labels=labels,
        predictions=predictions,
        whole=whole,
        alpha=alpha,
        min_effect=min_effect,
        progress=bar,
        **chosen.as_dict(),
    )
    _write_junit(found, junit, fail_on)
    page = drift_page(found, folder, bar)
    if as_json:
        print_json(found.plain() | {"page": page})
    else:
        _print(found, page)
    sys.exit(1 if _failing(found, fail_on) else 0)


@dataclass(frozen=True)
class _Chosen:
    """Options that comparing two sides and all versions share."""

    store: Path | None
    config: Path | None
    changes: dict[str, Any]
    seed: int
    executor: str | None
    workers: int | None
    network: bool

    def as_dict(self) -> dict[str, Any]:
        return vars(self)


def _failing(found: Drift, fail_on: tuple[str, ...]) -> list[Question]:
    """The questions whose drift ends in exit code 1."""
    return [one for one in found.found if one.key in (fail_on or QUESTIONS)]


def _write_junit(found: Drift, file: Path | None, fail_on: tuple[str, ...]) -> None:
    """One test case per question; what drifted but is not asked to fail has passed, and says so."""
    from curate.junit import Case, write_junit

    if file is None:
        return
    failing = _failing(found, fail_on)
    cases = []
    for one in found.questions:
        name = f"{one.key}: {one.title}"
        if one.verdict == "not asked":
            cases.append(Case(name, "skipped", f"Not asked: {one.why}."))
        else:
            text = "\n".join([one.words, *(f"{test.words} (adjusted p {_p(test.adjusted_p)})" for test in one.found)])
            cases.append(Case(name, "failed" if one in failing else "passed", one.words, text))
    write_junit(file, f"curate drift {found.a.name} {found.b.name}", cases)


def _print(found: Drift, page: Path) -> None:
    from curate.drift_advice import advice
    from curate_cli.output import command_line, home, print_notes, print_table

    click.echo(f"{home(found.project.folder)}: {found.a.name} and {found.b.name}")
    for side, count in zip((found.a, found.b), found.independent, strict=True):
        click.echo(f"  {side.name}: {len(side.rows):,} images, {count:,} without copies, bursts and films")
    print_notes(list(found.notes))
    click.echo()
    rows = [
        (MARKS[one.verdict], one.title, SAID[one.verdict], "" if one.verdict == "not asked" else _p(one.p))
        for one in found.questions
    ]
    print_table([("", "question", "answer", "adjusted p"), *rows])
    for why in dict.fromkeys(one.why for one in found.questions if one.why):
        print_notes([f"Not asked: {why}."])
    for one in found.found:
        _print_question(one)
    _print_model(found)
    click.echo(f"\n{found.sentence}")
    click.echo(f"  images of both sides: {home(page)}")
    click.echo("\nNext")
    for step in advice(found):
        print_notes([step.why])
        if step.verb:
            click.echo(f"    {step.purpose:26}{command_line(step.verb, found.project, *step.rest)}")


def _p(value: float) -> str:
    """A p-value; permutations and approximations tell no more than four digits."""
    return f"{value:.4f}" if value >= 0.0001 else "<0.0001"


def _print_question(one: Question) -> None:
    """What a question found, and pictures that show it."""
    from curate_cli.output import end_of, print_notes

    click.echo(f"\n! {one.title}")
    for test in one.found[:MOST_TESTS]:
        print_notes([f"{test.words} ({test.measure} {_interval(test)})"])
    if len(one.found) > MOST_TESTS:
        click.echo(f"  And {len(one.found) - MOST_TESTS} more; the page shows them.")
    first = one.found[0]
    for letter, paths in (("A", first.pictures_a), ("B", first.pictures_b)):
        for path in paths[:MOST_PATHS]:
            click.echo(f"    {letter}  {end_of(path, 72)}")


def _interval(test: Test) -> str:
    digits = 4 if test.measure == "MMD squared" else 2
    return f"{test.low:.{digits}f} to {test.high:.{digits}f}"


def _print_model(found: Drift) -> None:
    """A fixed model on both sides and over time."""
    from curate_cli.output import print_table

    fixed = found.fixed_model
    if fixed is None:
        return
    head = ("", "images", "balanced", "accuracy", "95 %", "PR-AUC", "ECE")
    rows = [(name, *_figures(one)) for name, one in (("A", fixed.before), ("B", fixed.after)) if one]
    rows += [(one.since, *_figures(one)) for one in fixed.periods]
    click.echo("\nA model that stays as it is, on labels that are known")
    print_table([head, *rows], right=(1, 2, 3, 5, 6))


def _figures(one: Figures) -> tuple[str, ...]:
    precision, error = ("" if value is None else f"{value:.2f}" for value in (one.pr_auc, one.ece))
    interval = f"{one.low:.1%} to {one.high:.1%}"
    return (f"{one.pictures:,}", f"{one.balanced:.1%}", f"{one.accuracy:.1%}", interval, precision, error)


def _history(folder: Path, a: str | None, chosen: _Chosen, alpha: float, min_effect: float, as_json: bool) -> None:
    """Every version, as a table and a page."""
    from curate.drift_history import drift_history
    from curate.reporting.drift import history_page
    from curate_cli.output import bar, home, print_json, print_table

    if a is not None:
        raise click.UsageError("--history looks at all versions: leave out A and B.")
    found = drift_history(folder, alpha=alpha, min_effect=min_effect, progress=bar, **chosen.as_dict())
    if as_json:
        print_json(found.plain())
    else:
        click.echo(f"{home(found.project.folder)}: {len(found.steps)} versions")
        head = ("version", "images", "came", "went", "relabelled", "classes", "content", "drift")
        print_table([head, *map(_step, found.steps)], right=(1, 2, 3, 4, 5, 6))
        click.echo("\n  classes: distance of the mix from the first version, 0 to 1")
        click.echo("  content: how well what came is told from the first version, 0.5 = not at all")
        click.echo("  drift: from the version before; each version has the level of its own")
        click.echo(f"\nPlots: {home(history_page(found))}")
    sys.exit(1 if found.found else 0)


def _step(one: Step) -> tuple[str, ...]:
    mix, auc = ("" if value is None else f"{value:.2f}" for value in (one.mix, one.auc))
    counts = (f"{one.pictures:,}", f"{one.came:,}", f"{one.went:,}", f"{one.relabelled:,}")
    return (one.version, *counts, mix, auc, ", ".join(one.drift))
