"""`curate verify`: are the bytes still what they were?"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from curate_cli import options


@click.command("verify", short_help="Whether all bytes are still what they were.")
@options.folder
@options.version
@options.store
@options.as_json
def command(folder: Path, version: str | None, store: Path | None, as_json: bool) -> None:
    """Read and hash every kept image and every file of the store again.

    \b
    Examples:
      curate verify ./images
      curate verify ./images --version v1 --json

    Exit code 1: an image changed or is missing, or a file of the store is damaged.
    """
    from curate.inspection import verify
    from curate_cli.output import bar, print_json, print_table

    found = verify(folder, version, store=store, progress=bar)
    if as_json:
        print_json(found)
        sys.exit(0 if found.intact else 1)
    problems = [("changed", path) for path in found.changed] + [("missing", path) for path in found.missing]
    problems += [("damaged", f"{name} {reason}") for name, reason in found.damaged.items()]
    verdict = "all as they were" if found.intact else f"{len(problems):,} problems"
    click.echo(f"{found.version.name}: {found.checked:,} kept images read and hashed, {verdict}.")
    print_table(problems)
    if found.saved:
        click.echo(f"The store still has the bytes of {len(found.saved):,} of them; `curate export` uses those.")
    sys.exit(0 if found.intact else 1)
