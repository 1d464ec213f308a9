"""Photographs that got too little light.

What it measures: `underexposure`, 0 to 1, the larger of two. (1) How much of the picture is dark: of the
pixels that are not plain black, the share with no colour channel above 64, those up to 128 counting partly. A
black backdrop, frame or letterbox bar is left out, since it says nothing about the light that fell on the rest, and
the brightest channel decides, since a deep red or blue is dark in grey but well exposed. (2) How much of the
sensor's range is unused: by how many stops the brightest hundredth stays below white; three stops are 0.8.
Why it matters: what a camera records in its lowest tones is mostly noise, and brightening shows the noise, not the
object; a model learns "dark" where it should learn the thing.
What it flags: pictures about 2.7 stops or more below a good exposure, also when a lamp or a window in them is bright.
When it is wrong: on night scenes, concerts and low-key studio pictures, dark on purpose. A class that is dark as a
whole, such as X-rays, is exempted by `exempt_labels`, or compared with itself by `compare_within_label`. It misses
pictures too dark by a stop or two, which look like many good ones.
Source: our own, tried against mean, median and other percentiles of brightness, which find fewer dark pictures at
equal false alarms; `benchmarks/quality_exposure.py` has the figures, beside CleanVision's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from curate.checks import Action, Check, CheckSettings, Column, FactValue, flag
from curate.imaging import DecodedImage

if TYPE_CHECKING:
    import pandas as pd

# Some 5,000 pixels on a grid give the shares and percentiles of the whole picture to within a percent, at a tenth of
# the cost.
GRID = 64

BACKDROP = 8  # black as printed, faded or compressed: JPEG leaves up to 7 in a black backdrop
LEAST_LIT = 0.02  # if less of the picture is above black, nothing but the black is left to judge

# 64 is four stops below white and 128 two (sRGB is near a power of 2.2): where a good exposure has its shadows and
# its middle tones. The ramp between keeps the score from jumping where a large even area lies near one of them.
DARKNESS = np.clip((128 - np.arange(256)) / (128 - 64), 0, 1)
GAMMA = 2.2

# Three stops below white measure 0.8, so that a grey wall as cameras meter it, which is 2.4 below white, measures 0.65.
UNUSED_PER_STOP = 0.8 / 3

NOISE = 0.02  # scores of one class that differ less are equal; keeps the spread of a uniform class above 0
SIGMAS_PER_MAD = 1.4826  # standard deviation / median absolute deviation of a normal distribution


class ExposureSettings(CheckSettings):
    """What both exposure checks let the user say about labels."""

    action: Action = "drop"
    exempt_labels: tuple[str, ...] = Field(
        (),
        description="Labels that are never flagged. Origin: the user's knowledge of classes that are dark or bright"
        " by nature, such as night scenes, X-rays or drawings.",
    )
    compare_within_label: bool = Field(
        False,
        description="Flag only pictures that also stand out within their own label. Origin: off, because in most"
        " folders one bad camera spoils a whole class.",
    )
    min_spreads: float = Field(
        3.0,
        ge=0,
        description="With `compare_within_label`: standing out means so many robust standard deviations above the"
        " label's median. Origin: the three-sigma rule, with the median absolute deviation (Leys et al. 2013).",
    )
    min_label_size: int = Field(
        10,
        ge=2,
        description="With `compare_within_label`: smaller classes, and pictures without a label, are judged by the"
        " threshold alone. Origin: half of nine pictures or fewer can be spoilt by chance.",
    )


class Settings(ExposureSettings):
    max_underexposure: float = Field(
        0.76,
        ge=0,
        le=1,
        description="Flag when the underexposure is above this. Origin: bracketed frames 2.6 to 2.8 stops too dark"
        " measure 0.73 to 0.79; of ordinary photographs 0.4 to 3 % are above it, most of them truly dim.",
        json_schema_extra={"fact": "underexposure"},
    )


def measure(image: DecodedImage) -> Mapping[str, FactValue]:
    brightest_channel = np.bincount(channels_on_grid(image.rgb).max(axis=0).ravel(), minlength=256)
    luma = image.luma_histogram
    return {
        "underexposure": max(darkness(brightest_channel), unused_range(brightest_channel)),
        "luma_p50": percentile(luma, 0.50),
        "luma_p99": percentile(luma, 0.99),
        "clipped_shadows": float(luma[:3].sum() / luma.sum()),
    }


def on_grid(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Every so many pixels of every so many rows, so that the shorter side has 64 to 127 if it had as many."""
    step = max(1, min(pixels.shape[:2]) // GRID)
    return pixels[::step, ::step]


def channels_on_grid(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The pixels of `on_grid`, shape (3, rows, columns): red, green, blue."""
    return np.ascontiguousarray(np.moveaxis(on_grid(rgb), 2, 0))  # channel by channel is five times as fast


def percentile(histogram: NDArray[np.int64], share: float) -> int:
    """The smallest value at or below which at least `share` of the pixels lie."""
    counts = histogram.cumsum()
    return int(counts.searchsorted(share * counts[-1]))


def darkness(brightest_channel: NDArray[np.int64]) -> float:
    """The share of dark pixels among those above black; 1 for a picture that is black all over."""
    lit = brightest_channel[BACKDROP:]
    if lit.sum() < LEAST_LIT * brightest_channel.sum():
        return 1.0
    return float(lit @ DARKNESS[BACKDROP:] / lit.sum())


def unused_range(brightest_channel: NDArray[np.int64]) -> float:
    """By how many stops the brightest hundredth stays below white, in units of 3.75 stops, at most 1."""
    stops = GAMMA * np.log2(255 / max(1, percentile(brightest_channel, 0.99)))
    return float(min(1.0, UNUSED_PER_STOP * stops))


def judge(table: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    return flag("underexposed", stands_out(table, "underexposure", settings.max_underexposure, settings))


def stands_out(table: pd.DataFrame, column: str, threshold: float, settings: ExposureSettings) -> pd.Series[Any]:
    """Which rows are above the threshold, after what the settings say about labels."""
    score = table[column].astype("Float64").astype("float64")  # NaN where unreadable, which is above nothing
    flagged = score > threshold
    if "label" not in table:
        return flagged
    if settings.compare_within_label:
        flagged &= score > _usual_within_label(score, table["label"], settings)
    return flagged & ~table["label"].isin(settings.exempt_labels)


def _usual_within_label(score: pd.Series[Any], label: pd.Series[Any], settings: ExposureSettings) -> pd.Series[Any]:
    """For each row the highest score usual in its label; 0 where there is no label or it has too few pictures."""
    median = score.groupby(label).transform("median")
    deviation = (score - median).abs().groupby(label).transform("median").clip(lower=NOISE)
    usual = median + settings.min_spreads * SIGMAS_PER_MAD * deviation
    enough = score.groupby(label).transform("count") >= settings.min_label_size
    return usual.where(enough, 0.0)


CHECK = Check(
    name="underexposed",
    summary="too dark: too little light reached the camera",
    version=1,
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
