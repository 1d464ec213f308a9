"""Arguments and options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

folder: Decorator = click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, readable=False))
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
as_json: Decorator = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
