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

# Read by numpy when it is imported. Its many small matrix products lose more by waking threads than they gain; work
# that is worth dividing is divided by curate itself, over processes or threads.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

SECTIONS = {
    "Curate": ("init", "run", "clean", "prelabel", "flag", "report"),
    "Review": ("next", "review", "reviewers", "decide", "apply"),
    "Train": ("normalize", "split", "rebalance", "prove", "export", "pin"),
    "Exchange": ("import", "formats"),
    "Look": ("status", "why", "shortcuts", "table", "checks", "models"),
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
def cli() -> None:
    """Turn a folder of images into a training set that people can trust.

    Start with `curate clean DIR`. Your folder is never changed; everything curate
    knows is kept beside it, in DIR.curate. Nothing uses the network but
    `curate models pull`, and what you give --network.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; every expected error ends in a message and an exit code."""
    from curate.errors import CurateError, StoreError

    if arguments is None:
        _collect_little_garbage()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a file name may hold what this terminal can't show
    try:
        sys.exit(_run(arguments))
    except CurateError as error:
        _say(str(error), error.hint)
        sys.exit(3 if isinstance(error, StoreError) else 2)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        click.echo("Interrupted. What was measured is kept; the same command goes on from there.", err=True)
        sys.exit(130)
    except BrokenPipeError:  # `curate table DIR | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:
        where = f"{str(error.filename)!r}: " if error.filename else ""
        _say(f"{where}{error.strerror or error}.", "Nothing that was measured is lost; run the same command again.")
        sys.exit(3)


def _run(arguments: Sequence[str] | None) -> int:
    """The exit code."""
    try:
        return cli.main(arguments, standalone_mode=False) or 0
    finally:
        sys.stdout.flush()  # if the reader is gone, here is the last place to say so


def _collect_little_garbage() -> None:
    """For a process that runs one command: imports make a great many objects that stay to the end."""
    gc.set_threshold(100_000)  # looking through them again and again costs 10 ms
    atexit.register(gc.freeze)  # and once more before the process ends, 90 ms


def _say(message: str, hint: str) -> None:
    from curate.paths import printable

    click.echo(f"Error: {printable(message)}", err=True)
    if hint:
        click.echo(f"Hint: {printable(hint)}", err=True)
