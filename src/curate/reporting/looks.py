"""What all pages share: the template engine with our filters, and the files beside this one."""

from __future__ import annotations

import re
from importlib.resources import files
from typing import TYPE_CHECKING

from markupsafe import Markup, escape

from curate.paths import printable
from curate.reporting.plots import number

if TYPE_CHECKING:
    from jinja2 import Environment

NAME_CHARACTERS = 46  # of 12 px, on 340 px


def environment() -> Environment:
    """Jinja with escaping on, where what a page expects and does not get is an error."""
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    found = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, loader=FunctionLoader(own)
    )
    found.filters |= {"printable": printable, "breakable": breakable, "shortened": shortened, "number": number}
    return found


def own(name: str) -> str:
    """The text of a file beside this one."""
    return files("curate.reporting").joinpath(name).read_text(encoding="utf-8")


def shortened(text: str) -> str:
    """A name that fits above its line in a plot; the table beside it has it whole."""
    return text if len(text) <= NAME_CHARACTERS else text[: NAME_CHARACTERS - 1] + "…"


def breakable(text: str) -> Markup:
    """A name, escaped, that a narrow column may break after a slash or an underscore."""
    return Markup(re.sub("[/_]", r"\g<0><wbr>", str(escape(printable(text)))))  # noqa: S704  escaped before
