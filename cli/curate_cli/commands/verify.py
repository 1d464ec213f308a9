"""`curate verify`: are the bytes still what they were?"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from curate_cli import options


@click.command("verify", short_help="Whether all bytes are still what they were.")
@click.argument("source", metavar="DIR|LOCK", type=click.Path(path_type=Path, readable=False))
@options.version
@options.store
@options.as_json
def command(source: Path, version: str | None, store: Path | None, as_json: bool) -> None:
    """Read and hash every kept image and every file of the store again.

    Given a lock file of `curate pin`, compare the version with what was pinned
    and read every image that training reads.

    \b
    Examples:
      curate verify ./images
      curate verify ./images --version v1 --json
      curate verify curate.lock

    Exit code 1: an image changed or is missing, a file of the store is damaged,
    or the version is not what was pinned.
    """
    from curate.pins import is_lock

    if is_lock(source):
        if version:
            raise click.UsageError("A lock file names its version: leave --version out.")
        intact = _verify_lock(source, store, as_json)
    else:
        intact = _verify_folder(source, version, store, as_json)
    sys.exit(0 if intact else 1)


def _verify_folder(folder: Path, version: str | None, store: Path | None, as_json: bool) -> bool:
    from curate.inspection import verify
    from curate_cli.output import bar, print_json, print_table

    found = verify(folder, version, store=store, progress=bar)
    if as_json:
        print_json(found)
        return found.intact
    problems = [("changed", path) for path in found.changed] + [("missing", path) for path in found.missing]
    problems += [("damaged", f"{name} {reason}") for name, reason in found.damaged.items()]
    verdict = "all as they were" if found.intact else f"{len(problems):,} problems"
    click.echo(f"{found.version.name}: {found.checked:,} kept images read and hashed, {verdict}.")
    print_table(problems)
    if found.saved:
        click.echo(f"The store still has the bytes of {len(found.saved):,} of them; `curate export` uses those.")
    return found.intact


def _verify_lock(file: Path, store: Path | None, as_json: bool) -> bool:
    from curate.paths import printable
    from curate.pins import verify_lock
    from curate_cli.output import bar, print_json, print_table

    found = verify_lock(file, store=store, progress=bar)
    if as_json:
        print_json(found.as_dict())
        return found.intact
    for difference in found.differences:
        click.echo(printable(difference))
    if not found.differences:
        verdict = "all as pinned" if found.intact else f"{len(found.damaged):,} problems"
        click.echo(f"{found.lock.version} ({found.lock.id[:12]}): {found.checked:,} images read and hashed, {verdict}.")
    print_table(list(found.damaged.items()))
    return found.intact
