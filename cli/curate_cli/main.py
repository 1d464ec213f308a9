"""The `curate` command: a group of one-file commands, and the one place where errors become messages.

Exit codes: 0 done; 1 done, and something needs attention (see each command); 2 wrong use, settings or source;
3 the store can't be used (locked, damaged, disk full); 130 interrupted.
"""

from __future__ import annotations

import atexit
import gc
import io
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from keyword import iskeyword
from pkgutil import iter_modules

import click

from curate_cli import commands
from curate_cli.events import Events

# Read by numpy when it is imported. Its many small matrix products lose more by waking threads than they gain; work
# that is worth dividing is divided by curate itself, over processes or threads.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

SECTIONS = {
    "Curate": ("init", "run", "clean", "add", "watch", "prelabel", "flag", "report"),
    "Review": ("next", "review", "reviewers", "decide", "apply"),
    "Train": ("normalize", "split", "rebalance", "prove", "card", "export", "pin"),
    "Exchange": ("import", "formats"),
    "Look": ("status", "why", "shortcuts", "drift", "table", "checks", "models"),
    "Versions": ("log", "show", "diff", "tag", "undo", "verify"),
}


class Commands(click.Group):
    """Finds one command per module of `curate_cli.commands`, and lists them by what people want to do."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click's signature
        """Every command, in the order of the sections."""
        found = {module.name.removesuffix("_") for module in iter_modules(commands.__path__)}
        ordered = [name for names in SECTIONS.values() for name in names if name in found]
        return ordered + sorted(found - set(ordered))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command's module; None if there is none."""
        if cmd_name not in self.list_commands(ctx):
            return None
        module = f"{cmd_name}_" if iskeyword(cmd_name) else cmd_name
        command = import_module(f"curate_cli.commands.{module}").command
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Add "did you mean" to click's error for an unknown command."""
        from difflib import get_close_matches

        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            close = get_close_matches(args[0], self.list_commands(ctx), n=1)
            if not close or args[0].startswith("-"):
                raise
            raise click.UsageError(f"{error.message} Did you mean {close[0]!r}?", ctx) from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """One list per section."""
        for title, names in SECTIONS.items():
            with formatter.section(title):
                rows = [(name, self.get_command(ctx, name)) for name in names]
                formatter.write_dl([(name, one.get_short_help_str(60)) for name, one in rows if one])


def _version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        click.echo(f"curate {version('curate')}")
        ctx.exit()


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80})
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version.")
@click.option(
    "--progress-fd",
    type=click.IntRange(0),
    metavar="N",
    envvar="CURATE_PROGRESS_FD",
    help="Tell progress in lines of JSON on file descriptor N (docs/progress.md). It goes before the command.",
)
@click.pass_context
def cli(ctx: click.Context, progress_fd: int | None) -> None:
    """Turn a folder of images into a training set that people can trust.

    Start with `curate clean DIR`. Your folder is only read; `add` and `watch`
    alone put new images into it. Everything curate knows is kept beside it, in
    DIR.curate. Nothing uses the network but `curate models pull`, and what you
    give --network.
    """
    if progress_fd is not None:
        ctx.ensure_object(Events).open(progress_fd, ctx.invoked_subcommand)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; every expected error ends in a message and an exit code."""
    if arguments is None:
        _collect_little_garbage()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a file name may hold what this terminal can't show
    events, code = Events(), 1  # 1: of a traceback, and of what else Python ends with
    try:
        code = _run(arguments, events)
    except Exception as error:
        events.tell("error", message=f"{type(error).__name__}: {error}", hint="")
        raise
    finally:
        events.end(code)
    sys.exit(code)


def _run(arguments: Sequence[str] | None, events: Events) -> int:
    """The exit code, with every expected error told."""
    from curate.errors import CurateError, StoreError

    try:
        return _result(arguments, events)
    except CurateError as error:
        _say(str(error), error.hint, events)
        return 3 if isinstance(error, StoreError) else 2
    except click.ClickException as error:
        told = _with_place(error)
        told.show()
        events.tell("error", message=told.format_message(), hint="")
        return told.exit_code
    except (KeyboardInterrupt, click.Abort):
        message = "Interrupted. What was measured is kept; the same command goes on from there."
        click.echo(message, err=True)
        events.tell("error", message=message, hint="")
        return 130
    except BrokenPipeError:  # `curate table DIR | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        where = f"{str(error.filename)!r}: " if error.filename else ""
        again = "Nothing that was measured is lost; run the same command again."
        _say(f"{where}{error.strerror or error}.", again, events)
        return 3


def _with_place(error: click.ClickException) -> click.ClickException:
    """The error; of the option that only the group has, it says where that goes."""
    if not isinstance(error, click.NoSuchOption) or error.option_name != "--progress-fd":
        return error
    place = "It goes before the command: curate --progress-fd N …"
    return click.UsageError(f"{error.format_message()} {place}", error.ctx)


def _result(arguments: Sequence[str] | None, events: Events) -> int:
    """The exit code of the command."""
    try:
        return cli.main(arguments, standalone_mode=False, obj=events) or 0
    except SystemExit as end:  # how commands give theirs
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    finally:
        sys.stdout.flush()  # if the reader is gone, here is the last place to say so


def _collect_little_garbage() -> None:
    """For a process that runs one command: imports make a great many objects that stay to the end."""
    gc.set_threshold(100_000)  # looking through them again and again costs 10 ms
    atexit.register(gc.freeze)  # and once more before the process ends, 90 ms


def _say(message: str, hint: str, events: Events) -> None:
    from curate.paths import printable

    click.echo(f"Error: {printable(message)}", err=True)
    if hint:
        click.echo(f"Hint: {printable(hint)}", err=True)
    events.tell("error", message=message, hint=hint)
