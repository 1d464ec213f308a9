"""Pictures without colour, in whichever mode they are stored.

What it measures: `chroma`, the difference between the strongest and the weakest colour channel of a pixel that 99 % of
the pixels do not exceed, as a share of full scale: 0 is grey all over.
Why it matters: a few grey pictures among coloured ones, or one class of them, teach a model that grey means that class.
What it flags: a chroma of at most 0.015, about 4 of 255 levels.
When it is wrong: on a grey picture with a coloured stamp or date smaller than a hundredth of it, which is flagged
although it has colour; and sets of scans or X-rays are grey by nature; hence a note. Sepia and tinted pictures have
colour.
Source: our own. CleanVision goes by the file's mode and misses grey pictures stored as RGB, as most are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pydantic import Field

from curate.checks import Action, Check, CheckSettings, Column, FactValue, flag
from curate.exposure import percentile
from curate.imaging import DecodedImage, counts_up_to

if TYPE_CHECKING:
    import pandas as pd


class Settings(CheckSettings):
    action: Action = "note"
    max_chroma: float = Field(
        0.015,
        ge=0,
        le=1,
        description="Flag when the chroma is not above this. Origin: of 6,700 ordinary pictures 255 measure 0, one"
        " 0.012 and all others 0.019 or more; four levels leave room for the rounding of colour conversions.",
        json_schema_extra={"fact": "chroma"},
    )


def measure(image: DecodedImage) -> Mapping[str, FactValue]:
    spread = image.brightest_channel - image.darkest_channel
    return {"chroma": percentile(counts_up_to(spread), 0.99) / 255}


def judge(table: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    return flag("grayscale", table["chroma"] <= settings.max_chroma)


CHECK = Check(
    name="grayscale",
    summary="has no colour",
    version=1,
    settings=Settings,
    measure=measure,
    judge=judge,
    because=(
        "it has no colour: the colour channels of 99 % of its pixels differ by at most {chroma:.1%} of full scale (grey"
        " up to {settings.max_chroma:.1%})"
    ),
    facts=(
        Column("chroma", "float32", "99th percentile of max - min channel, 0 grey to 1 vivid; 0 has no colour", 0, 1),
    ),
)
