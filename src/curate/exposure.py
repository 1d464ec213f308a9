"""What the checks of tones and colours share: percentiles, and what users say about labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from curate.checks import Action, CheckSettings

if TYPE_CHECKING:
    import pandas as pd

NOISE = 0.02  # scores of one class that differ less are equal; keeps the spread of a uniform class above 0
SIGMAS_PER_MAD = 1.4826  # standard deviation / median absolute deviation of a normal distribution


# ---- The pixels of one picture.


def percentile(counts: NDArray[np.float64], share: float) -> int:
    """The smallest value at or below which at least `share` of the pixels lie. counts: of pixels up to each value."""
    return int(counts.searchsorted(share * counts[-1]))


def share(mask: NDArray[np.bool_]) -> float:
    """How much of the mask is true, 0 to 1."""
    return np.count_nonzero(mask) / mask.size  # a tenth of the time of mask.mean()


# ---- The labels of a table.


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
