"""`curate add`: new pictures come into the folder."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from curate_cli import options

if TYPE_CHECKING:
    from curate.adding import Added


@click.command("add", short_help="Take new images into DIR, checked and pre-labelled.")
@options.folder
@click.argument("new", nargs=-1, required=True, type=click.Path(path_type=Path, readable=False))
@click.option("--into", default="", metavar="FOLDER", help="Folder of DIR for them, e.g. their class.")
@click.option("--no-prelabel", "suggest", flag_value=False, default=True, help="Suggest no labels.")
@options.store
@options.config
@options.assignments
@options.executor
@options.workers
@options.as_json
def command(
    folder: Path,
    new: tuple[Path, ...],
    into: str,
    suggest: bool,
    store: Path | None,
    config: Path | None,
    assignments: tuple[str, ...],
    executor: str | None,
    workers: int | None,
    as_json: bool,
) -> None:
    """Copy the images NEW (files or folders) into DIR, check them, compare them
    with all that is known, suggest labels, and freeze a version.

    Images in a folder named like a class of DIR keep that class; all others go
    to DIR/_unlabeled. Nothing in DIR is replaced, NEW is only read, and what DIR
    has already is not copied again. Files that are still being written are left
    for the next time. Stopped or killed? Run the same command again.

    \b
    Examples:
      curate add ./images ./from_camera
      curate add ./images new1.jpg new2.jpg --into cats

    Exit code 1: some files are not whole yet, or were gone when it was their turn.
    """
    from curate.adding import add
    from curate_cli.output import bar, print_json, tell_version

    done = add(
        folder, new, into=into, store=store, config=config, changes=options.changes(assignments, {}),
        executor=executor, workers=workers, suggest=suggest, progress=bar,
    )  # fmt: skip
    told = done.told()
    tell_version(done.version, is_new=done.batch is not None)
    if as_json:
        print_json(told)
    else:
        _print(done)
    sys.exit(1 if told["waiting"] or told["lost"] else 0)


def _print(done: Added) -> None:
    from textwrap import fill

    from curate.paths import printable
    from curate_cli.batch_lines import batch_lines
    from curate_cli.output import command_line, name_some, print_frozen

    told = done.told()
    click.echo(batch_lines(told))
    if done.waiting:
        why = next(iter(done.waiting.values()))
        click.echo(f"Left for the next time: {len(done.waiting):,} ({why}): {name_some([*done.waiting], 1)}")
    if done.other:
        click.echo(f"Not images, left out: {len(done.other):,}")
    if done.unsuggested:
        click.echo(fill(f"No label was suggested: {printable(done.unsuggested)}", 80))
    if done.version is None or done.cleaned is None or done.cleaned.version is None:
        return
    print_frozen(done.version, is_new=True)
    click.echo("Next")
    click.echo(f"  look at them        {command_line('review', done.project)}")
    before = done.cleaned.version.number - 1  # the one without them
    if before:
        click.echo(f"  is it still alike?  {command_line('drift', done.project, f'v{before}', done.version.name)}")
