"""`curate models`: what there is to look at pictures with, and `pull`, the only command that uses the network."""

from __future__ import annotations

from typing import Any

import click

from curate_cli import options


@click.group("models", invoke_without_command=True, short_help="Models to look at pictures with.")
@options.as_json
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> None:
    """List, describe and fetch models, for `--model` of prelabel and flag.

    A model is "builtin", "classic", an ONNX file, the folder of a Hugging Face
    or timm model, or the name of one that was pulled. docs/models.md tells what
    a file must say of itself.

    \b
    Examples:
      curate models
      curate models describe mobilenetv2.onnx
      curate models pull https://example.org/vit.onnx --sha256 0123…
    """
    if ctx.invoked_subcommand is None:
        _list(as_json)


@command.command("list", short_help="The models of the wheel, and those that were pulled.")
@options.as_json
def list_(as_json: bool) -> None:
    """List the models that come with curate, and those that were pulled.

    \b
    Examples:
      curate models list
      curate models list --json
    """
    _list(as_json)


@command.command("describe", short_help="What a model takes and gives.")
@click.argument("model")
@options.as_json
def describe(model: str, as_json: bool) -> None:
    """Open MODEL, and tell what it takes, what it gives and where that is known from.

    \b
    Examples:
      curate models describe builtin
      curate models describe mobilenetv2.onnx
    """
    from textwrap import fill

    from curate import models
    from curate.paths import printable
    from curate_cli.output import WIDTH, print_json

    said = models.describe(model)
    if as_json:
        print_json(said)
        return
    indent = max(map(len, said)) + 2
    for topic, text in said.items():
        shown = fill(printable(str(text)), WIDTH, initial_indent=topic.ljust(indent), subsequent_indent=" " * indent)
        click.echo(shown)


@command.command("pull", short_help="Fetch an ONNX file from the network.")
@click.argument("url")
@click.option("--sha256", metavar="HEX", help="The file's sha256, 64 hex digits. Required.")
@click.option("--name", metavar="NAME", help="What to call it. Default: the file's name in the URL.")
@options.as_json
def pull(url: str, sha256: str | None, name: str | None, as_json: bool) -> None:
    """Fetch the ONNX file at URL, to be used as --model NAME.

    The only command of curate that uses the network. The file is kept only if
    it has the sha256 you give. A cut download goes on where it stopped.

    \b
    Examples:
      curate models pull https://example.org/vit.onnx --sha256 0123…
      curate models pull https://example.org/v1/blob --sha256 0123… --name vit
    """
    from curate.models.pull import pull as fetch
    from curate_cli.output import bar, home, print_json

    file = fetch(url, sha256, name, bar)
    if as_json:
        print_json({"name": file.stem, "file": str(file), "size_bytes": file.stat().st_size})
        return
    click.echo(f"{file.stem}: {file.stat().st_size:,} bytes in {home(file)}")
    click.echo(f"Next\n  see what it takes     curate models describe {file.stem}")
    click.echo(f"  use it                curate flag DIR --model {file.stem}")


def _list(as_json: bool) -> None:
    from curate.models import IN_WHEEL
    from curate.models.pulled import models_folder
    from curate_cli.output import home, print_json, print_table

    rows = _models()
    if as_json:
        print_json(rows)
        return
    shown = [(row["name"], row["dimensions"] or "?", row["size"], row["sha256"][:12], row["from"]) for row in rows]
    print_table([("NAME", "NUMBERS", "SIZE", "SHA-256", "FROM"), *shown], indent=0, right=(1, 2))
    if len(rows) == len(IN_WHEEL):
        click.echo(f"\nNothing was pulled to {home(models_folder())} so far. To add an ONNX file:")
    else:
        click.echo(f"\nPulled models are in {home(models_folder())}. To add another:")
    click.echo("  curate models pull URL --sha256 HEX")


def _models() -> list[dict[str, Any]]:
    from curate.models import IN_WHEEL, open_backbone
    from curate.models.pulled import origin_of, pulled_file, pulled_names

    rows: list[dict[str, Any]] = [
        {"name": name, "dimensions": open_backbone(name).dimensions, "size": "", "sha256": "", "from": "part of curate"}
        for name in IN_WHEEL
    ]
    for name in pulled_names():
        file, origin = pulled_file(name), origin_of(name)
        assert file is not None
        rows.append(
            {
                "name": name,
                "dimensions": _dimensions(name),
                "size": f"{file.stat().st_size / 1e6:,.1f} MB",
                "sha256": origin.sha256 if origin else "",
                "from": origin.url if origin else str(file),
                "file": str(file),
            }
        )
    return rows


def _dimensions(name: str) -> int | None:
    """Numbers per vector; None for a model that does not open: `describe` tells why."""
    from curate.errors import CurateError
    from curate.models import open_backbone

    try:
        return open_backbone(name).dimensions
    except CurateError:
        return None
