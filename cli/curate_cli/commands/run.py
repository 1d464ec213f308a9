"""`curate run`: the whole pipeline."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from curate_cli import options

if TYPE_CHECKING:
    from curate.runs import Run, StageRun

# Those of `curate.settings.STAGES`, which a `--help` must not wait for; a test keeps them equal.
STAGES = ("clean", "normalize", "prelabel", "flag", "split", "rebalance", "report")


@click.command("run", short_help="Bring everything up to date, from clean to report.")
@options.folder
@click.option("--from", "first", type=click.Choice(STAGES), help="Leave out the stages before this one.")
@click.option("--to", "last", type=click.Choice(STAGES), help="Leave out the stages after this one.")
@options.model
@options.store
@options.config
@options.assignments
@options.executor
@options.workers
@options.network
@click.option("--dry-run", is_flag=True, help="Only say what would run, and why.")
@options.as_json
def command(
    folder: Path,
    first: str | None,
    last: str | None,
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
    """Go through all stages for DIR: clean, normalize, prelabel, flag, split,
    rebalance, report.

    A stage whose result would be the same is not run again, and one that the
    data or the settings give no reason for is skipped. Stopped or killed, the
    same command goes on where it was. Settings come from DIR.curate/curate.toml;
    `curate init DIR` writes one. docs/run.md tells more.

    \b
    Examples:
      curate run ./images
      curate run ./images --dry-run
      curate run ./images --to flag --set checks.blurry.action=drop

    Exit code 1: all is done, and something needs attention.
    """
    from curate.errors import CurateError
    from curate.runs import run
    from curate_cli.output import print_json, tell_version
    from curate_cli.screen import Screen

    screen = Screen(quiet=as_json)
    try:
        result = run(
            folder,
            store=store,
            config=config,
            changes=options.changes(assignments, {"models.backbone": model}),
            first=first,  # type: ignore[arg-type]  # click has checked that it is a stage
            last=last,  # type: ignore[arg-type]
            executor=executor,
            workers=workers,
            network=network,
            dry_run=dry_run,
            progress=screen.bar,
            watch=screen.watch,
        )
    except CurateError:
        if as_json:
            print_json({"stages": [_plain(one) for one in screen.ended]})
        raise
    finally:
        screen.close()
    tell_version(result.version, is_new=any(one.version for one in result.stages))
    if as_json:
        print_json(_plain_run(result))
    else:
        _print(result, dry_run)
    sys.exit(1 if result.attention else 0)


def _plain(one: StageRun) -> dict[str, object]:
    return {**vars(one), "version": one.version.name if one.version else None, "seconds": round(one.seconds, 1)}


def _plain_run(result: Run) -> dict[str, object]:
    version = result.version
    return {
        "folder": result.project.folder,
        "store": result.project.store,
        "stages": [_plain(one) for one in result.stages],
        "version": version.name if version else None,
        "id": version.id if version else None,
        "attention": result.attention,
    }


def _print(result: Run, dry_run: bool) -> None:
    from curate_cli.output import command_line, home, print_notes
    from curate_cli.screen import lines_of

    folder = home(result.project.folder)
    if dry_run:
        for one in result.stages:
            click.echo(lines_of(one))
        if result.changed_nothing:
            click.echo(f"\nNothing to do for {folder}.")
        else:
            click.echo(f"\nDry run: nothing was done. Do it: {command_line('run', result.project)}")
        return
    assert result.version is not None
    state = f"{result.version.name} ({result.version.id[:12]})"
    click.echo(
        f"\n{folder}: nothing to do, {state} is up to date." if result.changed_nothing else f"\n{folder}: {state}"
    )
    if result.attention:
        click.echo("\nNeeds attention")
        print_notes(result.attention)
    _print_next(result)


def _print_next(result: Run) -> None:
    from curate_cli.output import command_line, home

    steps = [("what was found", home(result.project.report))] if result.project.report.exists() else []
    steps += [("one image's story", command_line("why", result.project, "PATH"))]
    if any(one.stage == "split" and one.attention for one in result.stages):
        steps.append(("which copies those are", command_line("split", result.project, "--audit")))
    steps.append(("hand it to training", command_line("export", result.project, "OUT")))
    click.echo("Next")
    for purpose, line in steps:
        click.echo(f"  {purpose:24}{line}")
