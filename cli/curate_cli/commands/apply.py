"""`curate apply`: a version with what people decided."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from curate_cli import options

if TYPE_CHECKING:
    from curate.reviewing import Applied
    from curate.verdicts import Overruled

MOST_SHOWN = 10


@click.command("apply", short_help="Make a version with what people decided.")
@options.folder
@options.store
@options.config
@options.executor
@options.workers
@options.network
@click.option("--dry-run", is_flag=True, help="Say what would change, make no version.")
@options.as_json
def command(
    folder: Path,
    store: Path | None,
    config: Path | None,
    executor: str | None,
    workers: int | None,
    network: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Make a version of DIR with what people decided since the last one.

    By the settings of the newest version, so that nothing else changes. A
    decision on a picture whose content is another now is named, and not applied.

    \b
    Examples:
      curate apply ./images
      curate apply ./images --dry-run
    """
    from curate.reviewing import apply
    from curate_cli.output import bar, print_json, tell_version

    result = apply(
        folder,
        store=store,
        config=config,
        executor=executor,
        workers=workers,
        network=network,
        dry_run=dry_run,
        progress=bar,
    )
    tell_version(result.version, is_new=result.is_new)
    if as_json:
        print_json(
            {
                "version": result.version.name,
                "is_new": result.is_new,
                "decided": result.decided,
                "changed": result.changed,
                "overruled": {**vars(result.overruled), "total": result.overruled.total},
                "stale": [{"path": one.path, "reviewer": one.reviewer, "answer": one.answer} for one in result.stale],
            }
        )
    else:
        print_applied(result, dry_run)


def _print_overruled(found: Overruled) -> None:
    """The labels that most voters refuse, and what became of them."""
    parts = (
        (found.relabelled, "have another label"),
        (found.dropped, "are dropped"),
        (found.kept, "stay, as somebody settled it"),
        (found.unsettled, "wait, as no answer has most of the votes"),
    )
    labels = "1 label is" if found.total == 1 else f"{found.total:,} labels are"
    click.echo(f"{labels} overruled by most of at least three people:")
    for paths, words in parts:
        if paths:
            click.echo(f"  {len(paths):,} {words}")


def print_applied(result: Applied, dry_run: bool) -> None:
    """Say what was applied, what was not, and what to do next."""
    from curate_cli.output import command_line, end_of, home, print_frozen, print_table

    pictures = "picture" if result.decided == 1 else "pictures"
    click.echo(
        f"{home(result.project.folder)}: {result.decided:,} decided {pictures}, "
        f"{result.changed:,} changed since {result.before.name}"
    )
    if result.overruled.total:
        _print_overruled(result.overruled)
    if result.stale:
        click.echo(f"\nNot applied, as the picture is gone or has changed since: {len(result.stale):,}")
        print_table(
            [(end_of(one.path), one.answer, one.label or "-", one.reviewer) for one in result.stale[:MOST_SHOWN]]
        )
        if len(result.stale) > MOST_SHOWN:
            click.echo(f"  and {len(result.stale) - MOST_SHOWN:,} more")
    print_frozen(result.version, is_new=result.is_new, dry_run=dry_run)
    if dry_run:
        return
    click.echo("Next")
    if result.overruled.unsettled:
        settle = command_line("review", result.project, "--queue", "adjudication")
        click.echo(f"  {'settle the votes':20}{settle}")
    for purpose, line in (
        ("find what is left", command_line("flag", result.project)),
        ("hand it to training", command_line("export", result.project, "OUT")),
    ):
        click.echo(f"  {purpose:20}{line}")
