"""`curate reviewers`: who may sign in to a review with a password."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from curate_cli import options

if TYPE_CHECKING:
    from curate.reviewers import Role

_ROLE = click.Choice(("reviewer", "lead"))


@click.group("reviewers", short_help="People who sign in to `curate review` with a password.")
def command() -> None:
    """Say who may sign in to `curate review` with a password.

    They are kept in the log of DIR's decisions, each with a role. A lead may all
    that a reviewer may, and writes guidelines, settles what is disputed, sees
    how far people agree, and exports.

    \b
    Examples:
      curate reviewers add ./images ada --role lead
      curate reviewers list ./images
    """


@command.command("add", short_help="Let somebody sign in.")
@options.folder
@click.argument("name")
@click.option("--role", type=_ROLE, default="reviewer", show_default=True, help="What they may do.")
@options.store
def add(folder: Path, name: str, role: Role, store: Path | None) -> None:
    """Let NAME sign in; the password is asked for, twice.

    \b
    Examples:
      curate reviewers add ./images ada --role lead
      curate reviewers add ./images bob
    """
    from curate.paths import printable
    from curate.reviewers import add_reviewer, require_name

    require_name(name)
    add_reviewer(folder, name, _password(name), role=role, store=store)
    click.echo(f"{printable(name)} may sign in, as a {role}.")


@command.command("password", short_help="Give somebody another password.")
@options.folder
@click.argument("name")
@options.store
def password(folder: Path, name: str, store: Path | None) -> None:
    """Give NAME another password, asked for twice; where they are signed in, that ends.

    \b
    Example:
      curate reviewers password ./images bob
    """
    from curate.paths import printable
    from curate.reviewers import change_password

    change_password(folder, name, _password(name), store=store)
    click.echo(f"{printable(name)} signs in with the new password from now on.")


@command.command("remove", short_help="Let somebody sign in no more.")
@options.folder
@click.argument("name")
@options.store
def remove(folder: Path, name: str, store: Path | None) -> None:
    """Let NAME sign in no more; where they are signed in, that ends. What they said stays.

    \b
    Example:
      curate reviewers remove ./images bob
    """
    from curate.paths import printable
    from curate.reviewers import remove_reviewer

    remove_reviewer(folder, name, store=store)
    click.echo(f"{printable(name)} may sign in no more.")


@command.command("list", short_help="Who may sign in.")
@options.folder
@options.store
@options.as_json
def list_(folder: Path, store: Path | None, as_json: bool) -> None:
    """List who may sign in, as what, and since when.

    \b
    Examples:
      curate reviewers list ./images
      curate reviewers list ./images --json
    """
    from curate.reviewers import reviewers
    from curate_cli.output import print_json, print_table

    found = reviewers(folder, store=store)
    if as_json:
        print_json([{"name": one.name, "role": one.role, "added_at": one.added_at} for one in found])
    elif found:
        print_table([(one.name, one.role, one.added_at[:10]) for one in found])
    else:
        click.echo("Nobody yet. Add somebody: curate reviewers add DIR NAME")


def _password(name: str) -> str:
    from curate.paths import printable

    asked: str = click.prompt(f"Password of {printable(name)}", hide_input=True, confirmation_prompt="Once more")
    return asked
