"""Pictures that are nearly one tone: a wall, a blank page, a lens cap, a single colour.

What it measures: `tonal_range`, the levels of luma between the darkest hundredth and the brightest hundredth, 0 to 255.
Why it matters: such pictures show nothing to learn from, yet they carry a label; and all of them look alike to a
search for duplicates.
What it flags: ranges under 40 levels.
When it is wrong: on faint pencil or blueprint drawings, on an object smaller than a hundredth of the picture (a bird in
the sky), on objects that differ from the background in hue alone, and on frames so dark or so bright that nothing is
left, which is as it should be; hence a review, not a drop.
Source: our own. CleanVision takes the entropy of the grey values, which is high for a noisy blank scan and low for a
clean line drawing or an object on a plain background, so that no threshold separates the two.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pydantic import Field

from curate.checks import Action, Check, CheckSettings, Column, FactValue, flag
from curate.exposure import percentile
from curate.imaging import DecodedImage

if TYPE_CHECKING:
    import pandas as pd


class Settings(CheckSettings):
    action: Action = "review"
    min_tonal_range: int = Field(
        40,
        ge=0,
        le=255,
        description="Flag when the tonal range is below this. Origin: ordinary pictures start at 66 (an animal on"
        " a meadow); of 6,700 only a faint drawing on white was below, with 15.",
        json_schema_extra={"fact": "tonal_range"},
    )


def measure(image: DecodedImage) -> Mapping[str, FactValue]:
    luma = image.luma_counts
    return {"tonal_range": percentile(luma, 0.99) - percentile(luma, 0.01)}


def judge(table: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    return flag("low_information", table["tonal_range"] < settings.min_tonal_range)


CHECK = Check(
    name="low_information",
    summary="nearly one tone all over: shows next to nothing",
    version=2,
    settings=Settings,
    measure=measure,
    judge=judge,
    because=(
        "it is nearly one tone all over: its tones span {tonal_range} of 255 levels, without the darkest and the"
        " brightest hundredth (too few below {settings.min_tonal_range})"
    ),
    facts=(Column("tonal_range", "int64", "levels of luma from the 1st to the 99th percentile; low is blank", 0, 255),),
)
