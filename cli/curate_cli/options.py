"""Arguments and options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


class Folder(click.Path):
    """A folder as a Path; a URL like s3://bucket/pictures as the string that it is: paths have no "//"."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The URL, or what click makes of a path."""
        if isinstance(value, str) and "://" in value:
            from curate.storage import is_remote

            if is_remote(value):
                return value
        return super().convert(value, param, ctx)


FOLDER = Folder(path_type=Path, readable=False)
folder: Decorator = click.argument("folder", metavar="DIR", type=FOLDER)
store: Decorator = click.option(
    "--store",
    type=click.Path(path_type=Path, readable=False),
    help="Where curate keeps its files. Default: DIR.curate.",
)
version: Decorator = click.option(
    "--version",
    "version",
    metavar="V",
    help="v3, a tag, head (the newest, the default) or the start of an id.",
)
model: Decorator = click.option(
    "--model",
    metavar="MODEL",
    help='"builtin" (default), "classic", an ONNX file, a model folder, or a pulled name.',
)
target: Decorator = click.option(
    "--target",
    type=float,
    default=0.01,
    help="Share of wrong labels to get to. Default: 0.01.",
)
config: Decorator = click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Settings file. Default: DIR.curate/curate.toml.",
)
assignments: Decorator = click.option(
    "--set",
    "assignments",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change any setting, e.g. checks.blurry.min_sharpness=0.2.",
)
executor: Decorator = click.option(
    "--executor",
    type=click.Choice(["serial", "processes", "ray"]),
    help="Where pictures are worked on. Default: processes.",
)
workers: Decorator = click.option(
    "--workers", type=click.IntRange(1), help="How many at a time. Default: one per core."
)
network: Decorator = click.option("--network", is_flag=True, help="Allow remote storage and web addresses.")
as_json: Decorator = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def changes(assignments: tuple[str, ...], chosen: dict[str, Any]) -> dict[str, Any]:
    """Settings changes: those of --set, and on top those of options of their own, where given."""
    from curate.settings import parse_assignments

    given = {
        key: str(value) if isinstance(value, Path) else value for key, value in chosen.items() if value is not None
    }
    return parse_assignments(assignments) | given
