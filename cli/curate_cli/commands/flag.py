"""`curate flag`: likely label errors and off-topic pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from curate_cli import options

if TYPE_CHECKING:
    from curate.modelling import Modelled

MOST_SHOWN = 10


@click.command("flag", short_help="Find likely label errors and off-topic pictures.")
@options.folder
@options.model
@click.option(
    "--pred-probs",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Your own model's out-of-sample probabilities (.npy, .parquet, .csv).",
)
@click.option(
    "--votes",
    type=click.Path(path_type=Path, dir_okay=False),
    help="What several annotators said: a file with path, annotator, label.",
)
@options.store
@options.config
@options.assignments
@options.executor
@options.workers
@options.network
@click.option("--dry-run", is_flag=True, help="Judge and print, make no version.")
@options.as_json
def command(
    folder: Path,
    model: str | None,
    pred_probs: Path | None,
    votes: Path | None,
    store: Path | None,
    config: Path | None,
    assignments: tuple[str, ...],
    executor: str | None,
    workers: int | None,
    network: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Find likely label errors and off-topic pictures in DIR.

    Each label is judged by small models that saw neither its picture nor a copy
    of it. Run `curate clean DIR` first. Nothing is relabelled or dropped: flags
    are there to be looked at, and on good data many of them are right labels.

    \b
    Examples:
      curate flag ./images
      curate flag ./images --model mobilenetv2.onnx
      curate flag ./images --pred-probs test_results.parquet
      curate flag ./images --votes annotators.csv
    """
    from curate.modelling import flag
    from curate_cli.output import bar, print_json, tell_version

    result = flag(
        folder,
        store=store,
        config=config,
        changes=options.changes(assignments, {"models.backbone": model}),
        pred_probs=pred_probs,
        votes=votes,
        executor=executor,
        workers=workers,
        network=network,
        dry_run=dry_run,
        progress=bar,
    )
    tell_version(result.version, is_new=result.is_new)
    if as_json:
        print_json(
            {**result.summary, "outliers": result.outliers, "version": result.version.name, "is_new": result.is_new}
        )
    else:
        _print(result, dry_run)


def _print(result: Modelled, dry_run: bool) -> None:
    from curate_cli.output import home, print_notes, print_version

    said = result.summary
    click.echo(f"{home(result.project.folder)}: {said['judged']:,} labels of {len(said['classes']):,} classes judged")
    print_notes([f"by {said['model']}"])
    _print_errors(result)
    _print_classes(result)
    _print_votes(result)
    if result.outliers:
        look = "picture looks" if result.outliers == 1 else "pictures look"
        click.echo(f"\n{result.outliers:,} {look} off-topic (outlier); see the report.")
    print_notes(said["notes"], before="\n")
    print_version(result, dry_run)
    _print_what_next(result)


def _print_errors(result: Modelled) -> None:
    from curate_cli.output import end_of, print_table

    said = result.summary
    low, high = said["estimated_low"], said["estimated_high"]
    share = said["estimated_errors"] / said["judged"]
    click.echo(
        f"\nEstimated label errors: {said['estimated_errors']:,} ({low:,} to {high:,}), {share:.1%} of the labels"
    )
    if not said["flagged"]:
        click.echo("No label is flagged.")
        return
    click.echo(f"Flagged: {said['flagged']:,}, of which about {said['expected_right']:.0%} are expected to be wrong")
    rows = result.table[result.table["label_error"]].sort_values(["label_quality", "path"])
    worst = rows[:MOST_SHOWN].fillna({"suggested_label": "?", "final_label": ""})
    columns = [worst[name].tolist() for name in ("label_quality", "path", "final_label", "suggested_label")]
    shown = [
        (f"{quality:.3f}", end_of(path), label, better) for quality, path, label, better in zip(*columns, strict=True)
    ]
    print_table([("quality", "path", "label", "rather"), *shown])
    if len(rows) > MOST_SHOWN:
        click.echo(f"  and {len(rows) - MOST_SHOWN:,} more")


def _print_classes(result: Modelled) -> None:
    from curate_cli.output import print_table

    worst = sorted(result.summary["classes"], key=lambda one: (one["quality"], one["label"]))[:MOST_SHOWN]
    click.echo("\nClasses, the most doubtful first")
    rows = [("right", "flagged", "pictures", "class")] + [
        (f"{one['quality']:.1%}", f"{one['flagged']:,}", f"{one['pictures']:,}", one["label"]) for one in worst
    ]
    print_table(rows, right=(0, 1, 2))
    if pairs := result.summary["pairs"][:5]:
        click.echo("\nMost mixed up (pictures, estimated)")
        print_table(
            [(f"{one['pictures']:.1f}", f"{one['given']}, rather {one['suggested']}") for one in pairs], right=(0,)
        )


def _print_votes(result: Modelled) -> None:
    from curate_cli.output import print_table

    if not (votes := result.summary.get("votes")):
        return
    click.echo(f"\nVotes: {votes['votes']:,} of {votes['annotators']:,} annotators on {votes['pictures']:,} pictures")
    if votes["elsewhere"]:
        click.echo(f"  and {votes['elsewhere']:,} on pictures that are not kept or not here")
    if votes["alpha"] is not None:
        low, high = votes["alpha_interval"]
        click.echo(f"Agreement (Krippendorff's alpha): {votes['alpha']:.2f} ({low:.2f} to {high:.2f})")
    click.echo(f"Labels that most of at least three annotators did not choose: {votes['errors']:,}")
    print_table(
        [("quality", "votes", "annotator")]
        + [(f"{one['quality']:.2f}", f"{one['votes']:,}", one["annotator"]) for one in votes["worst_annotators"]],
        right=(0, 1),
    )


def _print_what_next(result: Modelled) -> None:
    from curate_cli.output import command_line

    click.echo("Next")
    for purpose, line in (
        ("look at them", command_line("report", result.project)),
        ("why one is flagged", command_line("why", result.project, "PATH")),
        ("correct a label", command_line("decide", result.project, "PATH", "--label", "LABEL")),
        ("it was right", command_line("decide", result.project, "PATH", "--keep")),
    ):
        click.echo(f"  {purpose:20}{line}")
