"""`curate prelabel`: suggested labels for unlabelled pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from curate_cli import options

if TYPE_CHECKING:
    from curate.modelling import Modelled


@click.command("prelabel", short_help="Suggest labels for unlabelled pictures.")
@options.folder
@options.model
@click.option("--precision", type=float, help="Share of accepted labels that must be right. Default: 0.95.")
@click.option("--accept", is_flag=True, help="Take over the labels that are sure enough, unseen.")
@click.option(
    "--rules", type=click.Path(path_type=Path, dir_okay=False), multiple=True, help="Labelling rules, .py or .toml."
)
@click.option("--classifier", metavar="MODEL", help="An ONNX classifier that votes as well.")
@click.option(
    "--class-map",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Which of its labels are which of your classes.",
)
@options.store
@options.config
@options.assignments
@options.executor
@options.workers
@options.network
@click.option("--dry-run", is_flag=True, help="Predict and print, make no version.")
@options.as_json
def command(
    folder: Path,
    model: str | None,
    precision: float | None,
    accept: bool,
    rules: tuple[Path, ...],
    classifier: str | None,
    class_map: Path | None,
    store: Path | None,
    config: Path | None,
    assignments: tuple[str, ...],
    executor: str | None,
    workers: int | None,
    network: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Suggest labels for the unlabelled pictures of DIR.

    Learns from the labelled ones, ten per class go a long way. Run
    `curate clean DIR` first. Suggestions change nothing until a person, or
    --accept, takes them.

    \b
    Examples:
      curate prelabel ./images
      curate prelabel ./images --model mobilenetv2.onnx --precision 0.99
      curate prelabel ./images --accept
    """
    from curate.modelling import prelabel
    from curate_cli.output import bar, print_json, tell_version

    chosen = {
        "models.backbone": model,
        "prelabel.precision": precision,
        "labelers.rules.files": [str(file) for file in rules] or None,
        "labelers.classifier.model": classifier,
        "labelers.classifier.mapping": class_map,
    }
    result = prelabel(
        folder,
        store=store,
        config=config,
        changes=options.changes(assignments, chosen),
        accept=accept,
        executor=executor,
        workers=workers,
        network=network,
        dry_run=dry_run,
        progress=bar,
    )
    tell_version(result.version, is_new=result.is_new)
    if as_json:
        names = {"accepted": result.accepted, "version": result.version.name, "is_new": result.is_new}
        print_json({**result.summary, **names})
    else:
        _print(result, dry_run)


def _print(result: Modelled, dry_run: bool) -> None:
    from curate_cli.output import home, print_notes, print_table, print_version

    said = result.summary
    click.echo(
        f"{home(result.project.folder)}: {said['unlabelled']:,} unlabelled pictures, {said['labelled']:,} to learn from"
    )
    print_notes([f"by {said['model']}"])
    if said["unlabelled"]:
        click.echo(
            f"\n{said['sure']:,} can be accepted at a precision of {said['precision']:.0%}"
            f" ({said['sure'] / said['unlabelled']:.0%}); {said['unlabelled'] - said['sure']:,} are left to people"
        )
        print_table(
            [("sure", "all", "label")]
            + [(f"{one['sure']:,}", f"{one['all']:,}", one["label"]) for one in said["labels"]],
            right=(0, 1),
        )
        _print_curve(result)
    print_notes(said["notes"], before="\n")
    if result.accepted:
        click.echo(f"\n{result.accepted:,} pre-labels accepted, unseen; `curate decide` takes any of them back.")
    print_version(result, dry_run)
    _print_what_next(result)


def _print_curve(result: Modelled) -> None:
    from curate_cli.output import print_table

    said = result.summary
    if not said["curve"]:
        return
    click.echo(
        "\nHow far that goes, measured on labelled pictures the models had not seen"
        f"\n(calibration error {said['calibration_error']:.3f})"
    )
    wanted = [one for one in said["curve"] if one["milestone"]]
    rows = [("of all", "right", "confidence from")] + [
        (f"{one['coverage']:.0%}", f"{one['accuracy']:.1%}", f"{one['confidence']:.2f}") for one in wanted
    ]
    print_table(rows, right=(0, 1, 2))


def _print_what_next(result: Modelled) -> None:
    from curate_cli.output import command_line

    click.echo("Next")
    lines = [
        ("look at the numbers", command_line("report", result.project)),
        ("see all pre-labels", command_line("table", result.project, "--columns", "path,pred_label,pred_confidence")),
        ("find label errors", command_line("flag", result.project)),
    ]
    if result.summary["sure"] > result.accepted:
        lines.insert(2, ("accept the sure ones", command_line("prelabel", result.project, "--accept")))
    for purpose, line in lines:
        click.echo(f"  {purpose:22}{line}")
