"""`curate split`: training, validation and test pictures that share nothing."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from curate_cli import options

if TYPE_CHECKING:
    from curate.leakage import Gain
    from curate.partition import Partition
    from curate.splitting import Assignment

MOST_SHOWN = 10


@click.command("split", short_help="Deal images out to train, val and test.")
@options.folder
@click.option("--train", type=click.FloatRange(0, 1), help="Share of training images. Default: .8.")
@click.option("--val", type=click.FloatRange(0, 1), help="Share of validation images. Default: .1.")
@click.option("--test", type=click.FloatRange(0, 1), help="Share of test images. Default: .1.")
@click.option("--by", multiple=True, metavar="COLUMN", help="Keep equal values together. Repeatable.")
@click.option(
    "--groups",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A file with path and columns, like patient, to keep together.",
)
@click.option("--seed", help="Any text; another one deals otherwise.")
@click.option("--from-scratch", is_flag=True, help="Deal all images anew, as if none had a split.")
@click.option("--audit", "audit_only", is_flag=True, help="Deal nothing: look for leaks in the splits there are.")
@options.store
@options.config
@options.assignments
@options.executor
@options.workers
@options.network
@click.option("--dry-run", is_flag=True, help="Deal and print, make no version.")
@options.as_json
def command(
    folder: Path,
    train: float | None,
    val: float | None,
    test: float | None,
    by: tuple[str, ...],
    groups: Path | None,
    seed: str | None,
    from_scratch: bool,
    audit_only: bool,
    store: Path | None,
    config: Path | None,
    assignments: tuple[str, ...],
    executor: str | None,
    workers: int | None,
    network: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Deal the kept images of DIR out to train, val and test.

    Copies, bursts of one camera, frames of one film and what --by and --groups
    name stay on one side. Classes keep their shares. An image that has a split
    keeps it: run again, only new images are dealt out. Splits that the source
    has (folders train, val, test) are kept, and looked through for leaks.

    \b
    Examples:
      curate split ./images
      curate split ./images --train .7 --val .15 --test .15
      curate split ./images --groups patients.csv
      curate split ./images --audit

    Exit code 1: some test or validation images have a copy in train.
    """
    from curate.partition import split
    from curate_cli.output import bar, print_json, tell_version

    chosen = {"train": train, "val": val, "test": test, "seed": seed, "by": list(by) or None}
    result = split(
        folder,
        store=store,
        config=config,
        changes=options.changes(assignments, {f"split.{name}": value for name, value in chosen.items()}),
        groups=groups,
        from_scratch=from_scratch,
        audit_only=audit_only,
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
    sys.exit(1 if result.leakage.leaked else 0)


def _plain(result: Partition) -> dict[str, object]:
    assignment = result.assignment
    return {
        "groups": {rule.name: {"pictures": rule.pictures, "groups": rule.groups} for rule in result.groups.rules},
        "splits": {name: sum(count.values()) for name, count in assignment.counts.items()} if assignment else {},
        "new": assignment.new if assignment else 0,
        "lacking": {result.classes[label]: list(names) for label, names in assignment.lacking.items()}
        if assignment
        else {},
        "leaks": [one.as_dict() for one in result.leakage.splits],
        "pairs": result.leakage.pairs.to_dict("records"),
        "version": result.version.name,
        "is_new": result.is_new,
    }


def _print(result: Partition, dry_run: bool) -> None:
    from curate_cli.output import home, print_frozen, print_notes

    click.echo(f"{home(result.project.folder)}: {len(result.groups.ids):,} kept images")
    click.echo(f"Belonging together: {result.groups}")
    print_notes(list(result.groups.notes))
    if result.assignment is not None:
        _print_assignment(result.assignment, result.classes)
    _print_leaks(result)
    if result.assignment is not None:
        print_frozen(result.version, is_new=result.is_new, dry_run=dry_run)
    _print_what_next(result)


def _print_what_next(result: Partition) -> None:
    from curate_cli.output import command_line

    steps = [("hand it to training", command_line("export", result.project, "OUT"))]
    if result.leakage.leaked:
        steps.insert(0, ("deal all anew, without leaks", command_line("split", result.project, "--from-scratch")))
    if result.assignment is not None:
        steps.insert(0, ("what leaks are worth", command_line("split", result.project, "--audit")))
    click.echo("Next")
    for purpose, line in steps:
        click.echo(f"  {purpose:30}{line}")


def _print_assignment(assignment: Assignment, classes: list[str]) -> None:
    from curate_cli.output import name_some, print_table

    click.echo(f"Dealt out now: {assignment.new:,}; the others have kept their split.\n")
    total = len(assignment.splits)
    sizes = {name: sum(count.values()) for name, count in assignment.counts.items()}
    rows = [
        (name, f"{size:,}", f"{size / total:.1%}", f"{assignment.fractions.get(name, 0):.1%}")
        for name, size in sizes.items()
    ]
    print_table([("split", "images", "share", "asked"), *rows], right=(1, 2))
    if assignment.lacking:
        few = [f"{classes[label]} ({', '.join(names)})" for label, names in assignment.lacking.items()]
        click.echo(f"\nToo few to be in every split, and where they lack: {name_some(few, 5)}")
    if assignment.conflicts:
        click.echo(f"\n{len(assignment.conflicts):,} groups were in several splits before, and keep straddling them.")


def _print_gain(gain: Gain, leaked: bool) -> None:
    right = f"  A nearest neighbour is right on {gain.overall.value:.1%}"
    if not leaked:
        click.echo(f"{right}.")
        return
    low, high = gain.interval
    click.echo(
        f"{right}; when it may not look at\n  pictures of their group, on {gain.without.value:.1%}: "
        f"{gain.gain:+.1%} ({low:+.1%} to {high:+.1%}) is memory."
    )


def _print_leaks(result: Partition) -> None:
    from curate_cli.output import end_of, print_table

    leakage = result.leakage
    if leakage.note:
        click.echo(f"\n{leakage.note}")
    for one in leakage.splits:
        if one.leaked:
            click.echo(
                f"\n{one.split}: {one.leaked:,} of {one.pictures:,} have in train an exact copy ({one.exact:,}), "
                f"a near copy ({one.near:,})\n  or a picture of their group ({one.group:,})"
            )
        else:
            click.echo(f"\n{one.split}: none of {one.pictures:,} has a copy or a picture of its group in train")
        if one.gain is not None:
            _print_gain(one.gain, leaked=bool(one.leaked))
    rows = leakage.pairs.head(MOST_SHOWN)[["relation", "split", "path", "other"]].to_numpy().tolist()
    print_table([(relation, name, end_of(path, 26), end_of(other, 26)) for relation, name, path, other in rows])
    if len(leakage.pairs) > MOST_SHOWN:
        click.echo(f"  and {len(leakage.pairs) - MOST_SHOWN:,} more")
