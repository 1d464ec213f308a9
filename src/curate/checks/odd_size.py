"""Pictures far smaller or larger than the rest of the folder, and tiny ones.

What it measures: `size_ratio`, the square root of the picture's area divided by its median over the folder.
Why it matters: a thumbnail among photographs is blown up by training's resize until it shows its pixels; a giant
is often a scan, a collage or a screenshot of another kind; and an icon or a tracking pixel is no picture at all.
What it flags: pictures both at least four times off the median side and outside the folder's own spread (three
interquartile ranges of log size), in folders of ten pictures or more; in folders of any size pictures whose shorter
side is under 32 px, unless the folder is made of such pictures.
When it is wrong: in folders with two kinds of pictures on purpose, such as photographs and crops from them, of
which one kind is rare; hence a note, not a drop.
Source: CleanVision flags sizes outside three interquartile ranges of the square root of the area. Where most
pictures are of one size that range is 0, so it flags a 510 x 375 among 500 x 375; hence the factor beside it, and
the logarithm, for half the size is as far off as twice the size.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from curate.checks import Action, Check, CheckSettings, Column, flag

if TYPE_CHECKING:
    import pandas as pd


class Settings(CheckSettings):
    action: Action = "note"
    max_factor: float = Field(
        default=4.0,
        gt=1,
        description="Flag when the size is more than this many times under or over the median. Origin: beyond 4 a"
        " picture resized to the usual size shows blocks, or loses 15 of 16 pixels.",
    )
    max_spreads: float = Field(
        default=3.0,
        ge=0,
        description="... and more than this many interquartile ranges of log size away from it. Origin: Tukey's"
        ' "far out" fence (1977), as in CleanVision, here around the median.',
    )
    min_images: int = Field(
        default=10,
        ge=1,
        description="Compare sizes only in folders of at least so many readable pictures. Origin: quartiles of fewer"
        " are two or three pictures' sizes.",
    )
    min_side_px: int = Field(
        default=32,
        ge=0,
        description="Flag when the shorter side is under this. Origin: 32 px is the smallest size that common"
        " photograph sets use (CIFAR, Tiny Images); a folder whose median is smaller is left alone.",
    )


def judge(table: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    sides = table[["width", "height"]].astype("Float64").astype("float64")  # NaN where unreadable
    log_size = (sides["width"] * sides["height"]).transform(np.log) / 2
    off = log_size - log_size.median()

    spread = log_size.quantile(0.75) - log_size.quantile(0.25)
    far_off = off.abs() > max(np.log(settings.max_factor), settings.max_spreads * spread)
    enough = log_size.count() >= settings.min_images

    shorter = sides.min(axis=1)
    tiny = (shorter < settings.min_side_px) & (shorter.median() >= settings.min_side_px)

    result = flag("odd_size", (far_off & enough) | tiny)
    return result.assign(size_ratio=off.transform(np.exp).astype("Float32"))


CHECK = Check(
    name="odd_size",
    summary="far smaller or larger than the rest, or tiny",
    version=1,
    settings=Settings,
    judge=judge,
    because=(
        "it is {width} x {height} px, {size_ratio:.3g} times the folder's median size (odd beyond a factor of"
        " {settings.max_factor:g}, or under {settings.min_side_px} px)"
    ),
    findings=(
        Column(
            "size_ratio",
            "float32",
            "square root of the area / its median over the folder; far from 1 is odd",
            0,
        ),
    ),
)
