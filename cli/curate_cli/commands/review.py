"""`curate review`: a local page on which people go through doubtful labels and pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from curate_cli import options

if TYPE_CHECKING:
    from curate.reviewing import Reviewed, Sitting


_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command("review", short_help="Go through doubtful labels and pictures in the browser.")
@options.folder
@click.option("--host", default="127.0.0.1", show_default=True, help="0.0.0.0 lets other machines in.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Default: the one of last time.")
@click.option("--certificate", type=_FILE, help="PEM file, to encrypt; with --key.")
@click.option("--key", type=_FILE, help="PEM file, the certificate's key.")
@click.option("--public-url", default="", metavar="URL", help="The address of a proxy, e.g. https://labels.example.")
@click.option("--browser/--no-browser", default=True, help="Open the page in your browser. Default: yes.")
@click.option("--by", multiple=True, metavar="NAME", help="Who reviews; repeat it for several. Default: you.")
@click.option("--votes", type=click.IntRange(1, 9), default=1, help="Answers per picture, of as many people.")
@click.option("--queue", metavar="QUEUE", help="Begin with errors, prelabels, doubts or duplicates.")
@click.option("--spot", is_flag=True, help="Begin with a blind check of a random sample.")
@options.target
@click.option("--apply", "apply_", is_flag=True, help="At the end, make a version of what was decided.")
@click.option("--measure/--no-measure", default=None, help="Mix in pictures that measure people. Default: if several.")
@click.option("--gold", type=_FILE, help="Table of path and label: pictures to measure people by.")
@click.option("--people", is_flag=True, help="Open nothing: tell how far people agree; with --json as data.")
@click.option("--export", "out", type=_FILE, metavar="FILE", help="Open nothing: write answers (CSV); or labelstudio.")
@click.option("--import", "file", type=_FILE, help="Open nothing: take over votes or Label Studio's export.")
@click.option("--copy-log", is_flag=True, help="Open nothing: copy decisions to the database of review.log.")
@options.as_json
@options.store
@options.config
@options.network
def command(apply_: bool, queue: str | None, spot: bool, folder: Path, **chosen: Any) -> None:
    """Open a page on which you go through what is doubtful in DIR, by keyboard.

    It shows likely label errors, suggested labels, doubtful pictures and copies,
    and tells by a blind sample how many labels are still wrong. Every answer is
    on the disk before the page says so. Ctrl-C ends it; the same command goes on
    from there. It is served to this machine alone, by a link that works once;
    with --host or --public-url to others, who sign in (`curate reviewers`).

    \b
    Examples:
      curate review ./images
      curate review ./images --spot --target 0.02
      curate review ./images --by ada --by bob --votes 2
      curate review ./images --host 0.0.0.0 --certificate me.crt --key me.key
      curate review ./images --import votes.csv
    """
    from curate_cli.answers import exchange

    if chosen.pop("copy_log"):
        _copy_log(folder, chosen["store"])
        return
    asked = {name: chosen.pop(name) for name in ("people", "out", "file", "as_json")}
    if exchange(folder, chosen["store"], network=chosen["network"], **asked):
        return
    from curate.reviewing import apply, review
    from curate_cli.commands.apply import print_applied
    from curate_cli.output import bar

    queue = "spot" if spot else queue
    done = review(folder, queue=queue, opened=_print_sitting, new_link=_print_link, **chosen)
    _print_done(done, apply_)
    if apply_ and done.decisions:
        common = {name: chosen[name] for name in ("store", "config", "network")}
        print_applied(apply(folder, **common, progress=bar), dry_run=False)


def _copy_log(folder: Path, store: Path | None) -> None:
    from curate.log_copying import copy_log
    from curate.log_place import COPIED

    click.echo(f"{copy_log(folder, store=store):,} decisions copied; the file is called {COPIED} now.")


def _print_sitting(sitting: Sitting) -> None:
    from curate.review_app.queues import TITLES
    from curate_cli.output import command_line, home, print_table

    click.echo(f"{home(sitting.project.folder)}, {sitting.version.name}")
    rows = [(f"{number:,}", TITLES[name]) for name, number in sitting.waiting.items() if name != "spot" or number]
    print_table(rows, right=(0,))
    for verb, queue in (("flag", "errors"), ("prelabel", "prelabels")):
        if queue in sitting.missing:
            click.echo(f"To find {TITLES[queue].lower()}, run: {command_line(verb, sitting.project)}")
    for name, link in sitting.links.items():
        _print_link(name, link)
    if sitting.links:
        click.echo("A link works once, on this machine. Ctrl-C here ends the session; nothing is lost.")
    else:
        _print_address(sitting)


def _print_address(sitting: Sitting) -> None:
    from curate_cli.output import print_notes

    click.echo(f"\nPeople sign in with their name and password at\n  {sitting.address}\n")
    if sitting.readable:
        click.echo("Warning: nothing is encrypted.")
        told = "Whoever is on the network between can read passwords, pictures and answers. To encrypt: "
        print_notes([told + "--certificate FILE --key FILE, or a proxy: --public-url https://NAME (docs/review.md)."])
    click.echo("Ctrl-C here ends the session; nothing is lost.")


def _print_link(name: str, link: str) -> None:
    from curate.paths import printable

    click.echo(f"\nFor {printable(name)}:\n  {link}\n")


def _print_done(done: Reviewed, applies: bool) -> None:
    """How it went, and what to do with it."""
    from curate_cli.output import command_line
    from curate_cli.review_lines import counted, print_standing

    were = "was" if done.decisions == 1 else "were"
    click.echo(f"\nThe session has ended; {counted(done.decisions, 'decision')} {were} made.")
    if done.standing is not None:
        print_standing(done.standing)
    if applies and done.decisions:
        return
    click.echo("Next")
    click.echo(f"  {'make a version':20}{command_line('apply', done.project)}")
    click.echo(f"  {'go on':20}{command_line('review', done.project)}")
    if done.standing is not None and not done.standing.reached:
        click.echo(f"  {'how many are left?':20}{command_line('review', done.project, '--spot')}")
