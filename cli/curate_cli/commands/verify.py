"""`curate verify`: are the bytes still what they were?"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from curate_cli import options

if TYPE_CHECKING:
    from curate.inspection import LogVerification
    from curate.project import Project


@click.command("verify", short_help="Whether all bytes are still what they were.")
@click.argument("source", metavar="DIR|LOCK", type=options.FOLDER)
@options.version
@options.store
@options.network
@options.as_json
def command(source: Path, version: str | None, store: Path | None, network: bool, as_json: bool) -> None:
    """Read and hash every kept image and every file of the store again, and
    check that people's decisions are those that were written.

    Given a lock file of `curate pin`, compare the version with what was pinned
    and read every image that training reads.

    \b
    Examples:
      curate verify ./images
      curate verify ./images --version v1 --json
      curate verify curate.lock

    Exit code 1: an image changed or is missing, a file of the store is damaged,
    a decision was edited, or the version is not what was pinned.
    """
    from curate.pins import is_lock

    if is_lock(source):
        if version:
            raise click.UsageError("A lock file names its version: leave --version out.")
        intact = _verify_lock(source, store, network, as_json)
    else:
        intact = _verify_folder(source, version, store, network, as_json)
    sys.exit(0 if intact else 1)


def _verify_folder(folder: Path, version: str | None, store: Path | None, network: bool, as_json: bool) -> bool:
    from curate.inspection import verify
    from curate.project import Project
    from curate_cli.output import bar, print_json, print_table

    found = verify(folder, version, store=store, network=network, progress=bar)
    if as_json:
        print_json(found)
        return found.intact
    problems = [("changed", path) for path in found.changed] + [("missing", path) for path in found.missing]
    problems += [("damaged", f"{name} {reason}") for name, reason in found.damaged.items()]
    verdict = f"{len(problems):,} problems" if problems else "all as they were"
    click.echo(f"{found.version.name}: {found.checked:,} kept images read and hashed, {verdict}.")
    print_table(problems)
    if found.saved:
        click.echo(f"The store still has the bytes of {len(found.saved):,} of them; `curate export` uses those.")
    _print_log(found.log, Project.at(folder, store))
    return found.intact


def _print_log(found: LogVerification, project: Project) -> None:
    """Whether people's decisions are as they were written; if not, what that means and what to do."""
    from curate_cli.output import command_line, print_notes

    if found.unread:
        click.echo("The log of decisions can't be read, so nothing of it could be checked.")
        print_notes([found.unread])
    elif found.broken is None:
        unchecked = f"; {found.undigested:,} of an older curate have no digest" if found.undigested else ""
        if found.decisions:
            click.echo(f"{found.decisions:,} decisions checked, all as they were written{unchecked}.")
    else:
        seq, one = found.broken.seq, found.broken.decision
        click.echo(f"The log of {found.decisions:,} decisions was edited: its digests break at entry {seq}.")
        told = (
            f"Either it is not what was written, or entries before it are missing. What comes before it is whole. "
            f"From it on nothing is proven, and all of it still counts. To be safe, restore the log "
            f"({project.review_log}) from a backup of before; or look through what it holds:"
        )
        print_notes([f"It reads: {one.reviewer} said {one.answer} {one.label} of {one.path}, {one.decided_at[:16]}."])
        print_notes([told])
        click.echo(f"  {command_line('review', project, '--export', 'answers.csv')}")


def _verify_lock(file: Path, store: Path | None, network: bool, as_json: bool) -> bool:
    from curate.paths import printable
    from curate.pins import verify_lock
    from curate_cli.output import bar, print_json, print_table

    found = verify_lock(file, store=store, network=network, progress=bar)
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
