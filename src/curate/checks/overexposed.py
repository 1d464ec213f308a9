"""Photographs that got too much light.

What it measures: `overexposure`, 0 to 1, the larger of two signs, each 0.5 at the edge of what is usual.
(1) Washed out: much glare, and even the shadows are grey. Glare is pure white that is no backdrop; shadows are
the darkest twentieth. (2) Burnt out: much of what is left without the backdrop is glare, or light with one colour
channel at its end and the others below, which shifts hues and flattens surfaces.
White is taken for a backdrop, a page or a frame as far as it lines the edge of the picture, or a line a tenth
inside.
Why it matters: where all channels are at their end the picture has nothing left, and no processing brings it back; a
model learns blank areas.
What it flags: pictures about two to three stops above a good exposure.
When it is wrong: on pictures that mix black and white on purpose, on cut-outs whose white is not at the edge, white
sails before a bright sky, and saturated paint such as a yellow wall. It misses pictures whose shadows stay black while
their lights burn out a little, and those that are white all over, edge included: `low_information` finds these. A
class that is bright as a whole is exempted by `exempt_labels` or `compare_within_label`.
Source: our own. A share of white pixels, or percentiles alone, confuse overexposure with white backgrounds;
`benchmarks/quality_exposure.py` has the figures, beside CleanVision's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from curate.checks import Check, Column, FactValue, flag
from curate.checks.underexposed import ExposureSettings, channels_on_grid, on_grid, percentile, stands_out
from curate.imaging import DecodedImage

if TYPE_CHECKING:
    import pandas as pd

WHITE = 245  # the darkest channel of pure white after JPEG
FULL = 250  # a channel at its end after JPEG
LIGHT = 170  # darker luma with a full channel is a saturated colour (pure red has 76, pure green 150), not light

# The edges of the usual. A window in a room or the sky of a street three stops too bright gives glare of 0.13 or more
# and shadows of 54 or more; one ordinary photograph in a hundred has both above 0.125 and 50, or burns out by 0.4.
USUAL_GLARE = 0.125  # share of the picture
USUAL_SHADOWS = 50  # luma
USUAL_BURNT = 0.4  # share of what is left without a white backdrop

INSET = 10  # the second line that a backdrop is looked for on lies 1/10 of the shorter side inside: frames are thinner


class Settings(ExposureSettings):
    max_overexposure: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Flag when the overexposure is above this. Origin: the edge of the usual by construction (see the"
        " constants); the bracketed frames measurably 1.8 stops or more too bright are above it, and one"
        " ordinary photograph in a hundred.",
        json_schema_extra={"fact": "overexposure"},
    )


def measure(image: DecodedImage) -> Mapping[str, FactValue]:
    channels = channels_on_grid(image.rgb)
    white = channels.min(axis=0) >= WHITE
    burnt = (channels.max(axis=0) >= FULL) & ~white & (on_grid(image.luma) >= LIGHT)
    shadows = percentile(image.luma_histogram, 0.05)
    return {
        "overexposure": overexposure(share(white), backdrop(white), share(burnt), shadows),
        "luma_p05": shadows,
        "clipped_highlights": share(white),
        "clipped_colours": share(burnt),
    }


def backdrop(white: NDArray[np.bool_]) -> float:
    """How much of the picture's edge, or of a line a tenth inside it, is white; the larger share."""
    inset = min(white.shape) // INSET
    inner = white[inset : white.shape[0] - inset, inset : white.shape[1] - inset]
    return max(_white_edge(white), _white_edge(inner))


def _white_edge(white: NDArray[np.bool_]) -> float:
    return share(np.concatenate([white[0], white[-1], white[:, 0], white[:, -1]]))


def share(mask: NDArray[np.bool_]) -> float:
    return np.count_nonzero(mask) / mask.size  # a tenth of the time of mask.mean()


def overexposure(white: float, backdrop: float, burnt: float, shadows: int) -> float:
    """The score, from shares of the picture (`white`, `burnt`) and of its edge (`backdrop`), and a luma."""
    glare = white * (1 - backdrop)
    washed_out = min(glare / USUAL_GLARE, shadows / USUAL_SHADOWS)
    left = 1 - white * backdrop
    burnt_out = (glare + burnt) / left / USUAL_BURNT if left else 0.0
    return min(1.0, max(washed_out, burnt_out) / 2)


def judge(table: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    return flag("overexposed", stands_out(table, "overexposure", settings.max_overexposure, settings))


CHECK = Check(
    name="overexposed",
    summary="too bright: light areas have burnt out to white",
    version=1,
    settings=Settings,
    measure=measure,
    judge=judge,
    because=(
        "it is too bright: {clipped_highlights:.0%} of it is pure white, {clipped_colours:.0%} light with burnt-out"
        " colour, and its darkest twentieth reaches up to {luma_p05} on a scale from 0 (black) to 255 (white);"
        " overexposure {overexposure:.2f} (too bright above {settings.max_overexposure:g})"
    ),
    facts=(
        Column("overexposure", "float32", "glare and burnt-out colours, 0 to 1; high is too bright", 0, 1),
        Column("luma_p05", "int64", "luma that 5 % of the pixels do not exceed, 0 black to 255 white", 0, 255),
        Column(
            "clipped_highlights", "float32", "share of pixels that are pure white, backdrops included, 0 to 1", 0, 1
        ),
        Column("clipped_colours", "float32", "share of light pixels with some but not all channels full, 0 to 1", 0, 1),
    ),
)
