"""Photographs that got too little light.

What it measures: `underexposure`, 0 to 1, the larger of two. (1) How much of the picture is dark: of the pixels
that are not black, the share with no colour channel above 64, those from 32 to 96 counting partly. A backdrop,
frame or night sky that is black or nearly so is left out, since it says nothing about the light that fell on the
rest, and the brightest channel decides, since a deep red or blue is dark in grey but well exposed. (2) How much of
the range is unused: by how many stops all but the brightest 3 % stay below white.
Why it matters: what a camera records in its lowest tones is mostly noise, and brightening shows the noise, not the
object; a model learns "dark" where it should learn the thing.
What it flags: pictures about 2.6 stops or more below a good exposure, and rooms that are dark around a bright window
or lamp.
When it is wrong: on subjects in light before a backdrop that is dark but not black, as in concerts, low-key studio
pictures and some night scenes. A class that is dark as a whole, such as X-rays, is exempted by `exempt_labels`, or
compared with itself by `compare_within_label`. It misses pictures too dark by a stop or two, which look like many good
ones, and every other room less than three stops too dark that has a bright window, which looks like a low-key picture.
Source: our own, tried against mean, median and other percentiles of brightness, which find fewer dark pictures at
equal false alarms; `benchmarks/quality_exposure.py` has the figures, beside CleanVision's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from curate.checks import Check, Column, FactValue, flag
from curate.exposure import ExposureSettings, percentile, stands_out
from curate.imaging import DecodedImage, counts_up_to

if TYPE_CHECKING:
    import pandas as pd

# A backdrop is seldom 0: what is no brighter than twice the darkest fiftieth counts as black, at least up to 15 (JPEG
# leaves up to 7, the sensor's noise some more in a night sky) and never above 31, which may be a room.
DARKEST = 0.02
BLACK_TO_DARKEST = 2
LEAST_BLACK, MOST_BLACK = 16, 32  # the brightest channel from which on a pixel is no longer black
LEAST_LIT = 0.02  # if less of the picture is above black, nothing but the black is left to judge

# 64 is 4.4 stops below white (sRGB is near a power of 2.2), the deep shadows of a good exposure. The ramp from 32 to 96
# keeps the score from jumping where a large even area lies near it.
DARKNESS = np.clip((96 - np.arange(256)) / (96 - 32), 0, 1)
GAMMA = 2.2

# A lamp or a headlit sign covers more than the brightest 3 %, sensor noise and small reflections less. The unit puts
# the threshold at 2.6 stops, above a grey wall as cameras meter it, which is 2.45 below white.
BRIGHT_TIP = 0.03
UNUSED_PER_STOP = 0.22


class Settings(ExposureSettings):
    max_underexposure: float = Field(
        0.55,
        ge=0,
        le=1,
        description="Flag when the underexposure is above this. Origin: of bracketed rooms with a"
        " window or lamp those 2.6 to 2.8 stops too dark measure 0.53 to 0.63 and all darker ones 0.62 or more. Of"
        " seven ordinary sets 0.3 to 1.6 % are above it, one in five of them truly dim.",
        json_schema_extra={"fact": "underexposure"},
    )


def measure(image: DecodedImage) -> Mapping[str, FactValue]:
    brightest_channel = counts_up_to(image.brightest_channel)
    luma = image.luma_counts
    return {
        "underexposure": max(darkness(brightest_channel), unused_range(brightest_channel)),
        "luma_p50": percentile(luma, 0.50),
        "luma_p99": percentile(luma, 0.99),
        "clipped_shadows": float(luma[2] / luma[-1]),
    }


def darkness(brightest_channel: NDArray[np.float64]) -> float:
    """The share of dark pixels among those above black; 1 for a picture that is black all over.

    brightest_channel: number of pixels up to each value, (256,).
    """
    darkest = percentile(brightest_channel, DARKEST)
    black = min(max(LEAST_BLACK, BLACK_TO_DARKEST * darkest), MOST_BLACK)
    lit = brightest_channel[black:] - brightest_channel[black - 1 : -1]  # pixels of each value from `black` on
    count = brightest_channel[-1] - brightest_channel[black - 1]
    if count < LEAST_LIT * brightest_channel[-1]:
        return 1.0
    return float(lit @ DARKNESS[black:] / count)


def unused_range(brightest_channel: NDArray[np.float64]) -> float:
    """By how many stops all but the bright tip stays below white, in units of 4.5 stops, at most 1.

    brightest_channel: number of pixels up to each value, (256,).
    """
    stops = GAMMA * math.log2(255 / max(1, percentile(brightest_channel, 1 - BRIGHT_TIP)))
    return min(1.0, UNUSED_PER_STOP * stops)


def judge(table: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    return flag("underexposed", stands_out(table, "underexposure", settings.max_underexposure, settings))


CHECK = Check(
    name="underexposed",
    summary="too dark: too little light reached the camera",
    version=4,
    settings=Settings,
    measure=measure,
    judge=judge,
    because=(
        "it is too dark: half of it is no brighter than {luma_p50} and 99 % no brighter than {luma_p99}, on a scale"
        " from 0 (black) to 255 (white); underexposure {underexposure:.2f} (too dark above"
        " {settings.max_underexposure:g})"
    ),
    facts=(
        Column("underexposure", "float32", "dark tones or unused range, 0 to 1; high is too dark", 0, 1),
        Column("luma_p50", "int64", "median luma, 0 black to 255 white", 0, 255),
        Column("luma_p99", "int64", "luma that 99 % of the pixels do not exceed, 0 black to 255 white", 0, 255),
        Column("clipped_shadows", "float32", "share of pixels that are black (luma 0 to 2), 0 to 1", 0, 1),
    ),
)
