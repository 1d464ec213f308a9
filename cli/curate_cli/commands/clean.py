"""`curate clean`: the main job."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from curate_cli import options

if TYPE_CHECKING:
    from curate.pipeline import Cleaned


@click.command("clean", short_help="Check every image and freeze the outcome as a version.")
@options.folder
@options.store
@options.config
@click.option("--labels", metavar="SOURCE", help='"folders" (default), "none", or a CSV, JSONL or Parquet file.')
@click.option("--drop", multiple=True, metavar="CHECK", help="Drop what this check flags. Repeatable.")
@click.option("--review", multiple=True, metavar="CHECK", help="Keep it, but ask somebody to look.")
@click.option("--note", multiple=True, metavar="CHECK", help="Keep it, only note the flag.")
@click.option("--ignore", multiple=True, metavar="CHECK", help="Take no notice of this check.")
@options.assignments
@options.executor
@options.workers
@options.network
@click.option("--dry-run", is_flag=True, help="Measure and print, make no version.")
@click.option("--fail-on", metavar="SHARE", help="Exit with 1 if more than this share of images is dropped, e.g. 5%.")
@options.as_json
def command(
    folder: Path,
    store: Path | None,
    config: Path | None,
    labels: str | None,
    assignments: tuple[str, ...],
    executor: str | None,
    workers: int | None,
    network: bool,
    dry_run: bool,
    fail_on: str | None,
    as_json: bool,
    **actions: tuple[str, ...],
) -> None:
    """Check every image of DIR and freeze the outcome as a version.

    Finds unreadable, under- and overexposed, blurry and duplicate images and
    says of each dropped one why. Nothing in DIR is changed. Run again, it
    opens only new and changed files.

    \b
    Examples:
      curate clean ./images
      curate clean ./images --drop blurry --ignore grayscale
      curate clean ./images --labels labels.csv --fail-on 5%

    Exit code 1: --fail-on was exceeded, or a check failed on some image.
    """
    from curate.executors import keep_freed_memory
    from curate.pipeline import clean
    from curate_cli.output import bar, tell_version

    limit = _share(fail_on)
    keep_freed_memory()
    result = clean(
        folder,
        store=store,
        config=config,
        changes=_changes(labels, assignments, actions),
        executor=executor,
        workers=workers,
        network=network,
        dry_run=dry_run,
        progress=bar,
    )
    tell_version(result.version, is_new=result.is_new)
    if as_json:
        _print_json(result)
    else:
        _print(result, dry_run)
    exceeded = limit is not None and result.counts["dropped"] > limit * result.counts["images"]
    if exceeded and not as_json:
        click.echo(f"\nMore than {fail_on} of the images were dropped (--fail-on).", err=True)
    sys.exit(1 if exceeded or result.effort.failures else 0)


def _changes(labels: str | None, assignments: tuple[str, ...], actions: dict[str, tuple[str, ...]]) -> dict[str, Any]:
    from curate.settings import action_changes, parse_assignments

    changes = parse_assignments(assignments) | action_changes(**actions)
    return changes | ({"scan.labels": labels} if labels else {})


def _share(text: str | None) -> float | None:
    """0.05 for "5%" and for "0.05"."""
    if text is None:
        return None
    try:
        share = float(text.rstrip("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise click.BadParameter(
            f"{text!r} is no share: expected a percentage like 5% or a number from 0 to 1.",
            param_hint="--fail-on",
        )
    return share


def _print_json(result: Cleaned) -> None:
    from curate_cli.output import print_json

    print_json(
        {
            "folder": result.project.folder,
            "store": result.project.store,
            "version": result.version.name if result.version else None,
            "id": result.version.id if result.version else None,
            "is_new": result.is_new,
            **result.counts,
            "opened": result.effort.opened,
            "skipped": result.scan.skipped,
            "stale_decisions": result.stale,
            "failures": result.effort.failures,
        }
    )


def _print(result: Cleaned, dry_run: bool) -> None:
    from curate_cli.output import counted, home, name_some

    counts = result.counts
    share = f" ({counts['dropped'] / counts['images']:.1%})" if counts["images"] else ""
    click.echo(
        f"{home(result.project.folder)}: {counts['images']:,} images, "
        f"{counts['kept']:,} kept, {counts['dropped']:,} dropped{share}"
    )
    _print_checks(result)
    _print_labels(counts["labels"])
    if "splits" in counts:
        click.echo("Splits: " + counted({name or "(none)": number for name, number in counts["splits"].items()}))
    for line in _remarks(result):
        click.echo("\n" + line)
    for error, paths in result.effort.failures.items():
        click.echo(f"\nA check failed on {len(paths):,} images: {error}\n  {name_some(paths)}", err=True)
    _print_what_next(result, dry_run)


def _print_checks(result: Cleaned) -> None:
    """One line per check that flagged something: how many, which, and what that means."""
    from curate.checks import all_checks
    from curate_cli.output import print_table

    titles = {"drop": "Dropped", "review": "Kept, to be looked at", "note": "Kept, noted"}
    for action, title in titles.items():
        # What a person kept is flagged, but not dropped.
        numbers = result.counts["dropped_by" if action == "drop" else "flagged_by"]
        rows = []
        for name, number in numbers.items():
            check = all_checks().get(name)
            if check is None:
                rows.append((f"{number:,}", name, "dropped by this person"))
            elif result.settings.of(name).action == action:
                rows.append((f"{number:,}", name, check.summary))
        if rows:
            click.echo(f"\n{title}")
            print_table(rows, right=(0,))


def _print_labels(labels: dict[str, int]) -> None:
    from textwrap import fill

    from curate_cli.output import counted

    if set(labels) - {""}:
        named = {name or "(unlabelled)": number for name, number in labels.items()}
        click.echo("\nLabels of the kept images")
        click.echo(fill(counted(named), 80, initial_indent="  ", subsequent_indent="  "))


def _remarks(result: Cleaned) -> list[str]:
    """What else a person should know, one paragraph each."""
    from curate_cli.output import counted, name_some

    remarks = []
    if result.counts["other_files"]:
        number = sum(result.counts["other_files"].values())
        by_type = {name or "no extension": count for name, count in list(result.counts["other_files"].items())[:6]}
        remarks.append(f"{number:,} other files are no images: {counted(by_type)}")
    by_reason: dict[str, list[str]] = {}
    for path, reason in result.scan.skipped.items():
        by_reason.setdefault(reason, []).append(path)
    remarks += [f"Skipped {len(paths):,}, {reason}: {name_some(paths)}" for reason, paths in by_reason.items()]
    if result.stale:
        remarks.append(f"{result.stale:,} decisions are about pictures that are gone or changed; they no longer count.")
    return remarks


def _print_what_next(result: Cleaned, dry_run: bool) -> None:
    from curate_cli.output import WAITING, command_line

    if dry_run or result.version is None:
        click.echo(f"\nDry run: no version was made; {result.effort.opened:,} images opened.")
        return
    opened = f"{result.effort.opened:,} images opened"
    state = f"{result.version.name} ({result.version.id[:12]})"
    click.echo(f"\nFrozen as {state}; {opened}." if result.is_new else f"\nNothing changed since {state}; {opened}.")
    waiting = [(result.version.counts.get(name, 0), what, verb) for name, what, verb in WAITING]
    for number, what, _ in waiting:
        if number:
            click.echo(f"{number:,} kept pictures {what} yet.")
    click.echo("Next")
    for purpose, line in (
        ("see what was found", command_line("report", result.project)),
        ("one image's story", command_line("why", result.project, "PATH")),
        *[(f"{verb} the rest", command_line(verb, result.project)) for number, _, verb in waiting if number],
        ("hand it to training", command_line("export", result.project, "OUT")),
    ):
        click.echo(f"  {purpose:20}{line}")
