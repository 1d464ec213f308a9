"""Off-topic pictures, which resemble nothing else in the folder.

What it measures: nothing by itself. `curate flag` looks at how far each picture is from the five most like it, in the
numbers that the model makes of pictures, and keeps it as `typicality`; until it has run, this check flags nothing, nor
with `classic`, which sees shapes and colours but no things.
Why it matters: a screenshot, a scanned page or a photograph of something else teaches a model nothing about your
classes, and nobody sees it among thousands.
What it flags: pictures whose distance from their five nearest lies far above what is usual in this very folder.
When it is wrong: for the few pictures of a rare class or a rare look, which resemble nothing either. A dozen off-topic
pictures of one kind resemble each other and are not found. Hence review, not drop.
Source: mean distance to the nearest neighbours (Kuan and Mueller 2022), with a cut of our own, see `curate.outliers`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from curate.checks import Action, Check, CheckSettings, flag
from curate.outliers import MIN_TYPICALITY

if TYPE_CHECKING:
    import pandas as pd


class Settings(CheckSettings):
    action: Action = "review"
    min_typicality: float = Field(
        MIN_TYPICALITY,
        ge=0,
        le=1,
        description="Flag pictures less typical than this, 0..1. Origin: in 114 sets of other photographs, 2 to 5 % "
        "of them planted, 0.5 flagged 0.9 % of the ordinary pictures and found 0.48 of the planted ones.",
        json_schema_extra={"fact": "typicality"},
    )


def judge(table: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    import pandas as pd

    unknown = pd.Series(float("nan"), index=table.index, dtype="float32")
    return flag("outlier", table.get("typicality", unknown) < settings.min_typicality)


CHECK = Check(
    name="outlier",
    summary="off-topic: like nothing else in the folder",
    version=1,
    settings=Settings,
    judge=judge,
    because="it looks like nothing else in the folder (typicality {typicality:.2f}, flagged below "
    "{settings.min_typicality})",
    worst_by="typicality",
)
