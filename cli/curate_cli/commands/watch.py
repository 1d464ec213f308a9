"""`curate watch`: take in what arrives in an inbox."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from curate_cli import options

if TYPE_CHECKING:
    from curate.errors import StoreError


@click.command("watch", short_help="Take in images as they arrive in a folder.")
@options.folder
@click.argument("inbox", type=click.Path(path_type=Path))
@click.option("--into", default="", metavar="FOLDER", help="Folder of DIR for them, e.g. their class.")
@click.option("--every", "every_s", type=click.FloatRange(0.1), default=5.0, show_default=True, help="Seconds a look.")
@click.option("--wait", "wait_s", type=click.FloatRange(0), default=30.0, show_default=True, help="Seconds of quiet.")
@click.option("--batch", type=click.IntRange(1), default=500, show_default=True, help="So many don't wait for quiet.")
@click.option("--once", is_flag=True, help="Take what is there, and end.")
@click.option("--no-prelabel", "suggest", flag_value=False, default=True, help="Suggest no labels.")
@options.store
@options.config
@options.assignments
@options.executor
@options.workers
@options.as_json
def command(
    folder: Path,
    inbox: Path,
    into: str,
    every_s: float,
    wait_s: float,
    batch: int,
    once: bool,
    suggest: bool,
    store: Path | None,
    config: Path | None,
    assignments: tuple[str, ...],
    executor: str | None,
    workers: int | None,
    as_json: bool,
) -> None:
    """Watch the folder INBOX, and take in the images that arrive there, as `curate
    add` does: one version per batch. A batch is what came before nothing more
    came for --wait seconds. Files that are still being written wait. INBOX is
    only read; what was taken is remembered, so stop it and start it as you like.

    \b
    Examples:
      curate watch ./images ./inbox
      curate watch ./images ./inbox --once

    With --once it can be called from cron. With --json: a line of JSON per batch.
    """
    from curate.watching import watch

    if not once and not as_json:
        click.echo(f"Watching {inbox}. Stop with Ctrl-C.", err=True)
    batches = watch(
        folder, inbox, into=into, every_s=every_s, wait_s=wait_s, batch=batch, once=once, store=store, config=config,
        changes=options.changes(assignments, {}), executor=executor, workers=workers, suggest=suggest, troubled=_say,
    )  # fmt: skip
    for done in batches:
        _print(done.told(), as_json)


def _print(told: dict[str, object], as_json: bool) -> None:
    import json

    from curate_cli.batch_lines import batch_lines

    click.echo(json.dumps(told, ensure_ascii=False) if as_json else f"{datetime.now():%H:%M:%S} {batch_lines(told)}")
    sys.stdout.flush()  # whoever reads a pipe wants to know now


def _say(error: StoreError) -> None:
    from curate.paths import printable

    click.echo(f"{datetime.now():%H:%M:%S} {printable(str(error))} Trying again.", err=True)
