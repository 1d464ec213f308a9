"""Files that can't be decoded.

What it measures: nothing of its own; decoding is strict, and its failure is the column `read_error`: `empty`,
`not_an_image`, `truncated`, `corrupt`, `unsupported`, `too_large`, `permission`, `missing`, `io_error`,
`decoder_crashed`.
Why it matters: one truncated file can end a training run hours in, and most viewers show a damaged JPEG as if
it were whole, with grey or shifted blocks that a model then learns from.
What it flags: every file with a `read_error`.
When it is wrong: about one JPEG in ten with a few bytes changed decodes without contradiction, as any bytes
would. A format that our decoders don't read (`unsupported`) may be a fine picture elsewhere.
Source: strict decoding finds 97 % of JPEGs with 4 kB zeroed where `PIL.Image.verify()` finds none
(benchmarks/quality.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from curate.checks import Action, Check, CheckSettings, flag

if TYPE_CHECKING:
    import pandas as pd


class Settings(CheckSettings):
    action: Action = "drop"


def judge(table: pd.DataFrame, settings: Settings) -> pd.DataFrame:  # noqa: ARG001  the signature of every judge
    return flag("unreadable", table["read_error"].notna())


CHECK = Check(
    name="unreadable",
    summary="can't be decoded: damaged, empty, or no image at all",
    version=1,
    settings=Settings,
    judge=judge,
    because="it can't be read: {read_error}",
)
