"""Pictures much longer than wide, or wider than long.

What it measures: `aspect_ratio`, the shorter side divided by the longer one, of the upright picture at full size.
Why it matters: resizing to a square squashes a panorama or a banner past recognition, and cropping cuts the
object away.
What it flags: pictures more than three times as long as wide, or as wide as long.
When it is wrong: on panoramas made on purpose, and on cut-outs of long things (pens, skyscrapers, words, snakes);
hence a note, not a drop.
Source: CleanVision, with nearly the same threshold (0.35), which also takes in screenshots of some long phones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from curate.checks import Action, Check, CheckSettings, Column, flag

if TYPE_CHECKING:
    import pandas as pd


class Settings(CheckSettings):
    action: Action = "note"
    min_aspect_ratio: float = Field(
        default=0.33,
        ge=0,
        le=1,
        description="Flag when shorter / longer side is below this. Origin: 1:3, beyond every common film and "
        "screen format (32:9 screens apart).",
        json_schema_extra={"fact": "aspect_ratio"},
    )


def judge(table: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    sides = table[["width", "height"]]
    ratio = (sides.min(axis=1) / sides.max(axis=1)).astype("Float32")
    result = flag("odd_aspect_ratio", ratio < settings.min_aspect_ratio)
    return result.assign(aspect_ratio=ratio)


CHECK = Check(
    name="odd_aspect_ratio",
    summary="much longer than wide, or the reverse",
    version=1,
    settings=Settings,
    judge=judge,
    because=(
        "its sides are {width} x {height} px, a ratio of {aspect_ratio:.2f} (odd below {settings.min_aspect_ratio})"
    ),
    findings=(Column("aspect_ratio", "float32", "shorter side / longer side, 0 to 1; low is odd", 0, 1),),
)
