"""The same file more than once.

What it measures: nothing of its own; it compares the SHA-256 of the bytes that the scan recorded.
Why it matters: a picture that occurs five times counts five times in training, and a copy in the test split makes
the score of a model that learned it by heart.
What it flags: every copy but one. Kept is a labelled one if there is any, then the one with the shortest path, then
the first by alphabet. Copies that carry two or more different labels are all left to `label_conflict`: which label is
right is for a person to say.
When it is wrong: never about the bytes. A copy may be there on purpose (a class oversampled by hand); `repeat` of the
rebalancing does that without files.
Source: byte identity. CleanVision's MD5 of the pixel buffer, without shape or palette, matches different pictures.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from curate.checks import Action, Check, CheckSettings, Column, flag
from curate.grouping import best_paths, has_conflict, labels_of

if TYPE_CHECKING:
    import pandas as pd


class Settings(CheckSettings):
    action: Action = "drop"


def judge(table: pd.DataFrame, settings: Settings) -> pd.DataFrame:  # noqa: ARG001  there is no threshold
    best = best_paths(table)
    copies = best.notna() & (best != table["path"]) & ~has_conflict(best, labels_of(table))
    return flag("exact_duplicate", copies).assign(exact_copy_of=best.where(copies))


CHECK = Check(
    name="exact_duplicate",
    summary="the same bytes as another picture",
    version=1,
    settings=Settings,
    judge=judge,
    because="its bytes are the same as those of {exact_copy_of}, the copy to keep",
    findings=(Column("exact_copy_of", "string", "path of the copy to keep; NA = not an exact duplicate"),),
)
