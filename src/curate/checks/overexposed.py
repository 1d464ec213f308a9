"""Photographs that got too much light.

What it measures: `overexposure`, 0 to 1, the larger of two signs, each 0.5 at the edge of what is usual.
(1) Washed out: there is glare, and the middle tones are light, and even the shadows are grey. All three must hold: a
well-exposed street before a white sky has middle tones, a room with a bright window has shadows. Glare is pure white
that is no backdrop; shadows are the darkest twentieth. (2) Burnt out: much of what is no backdrop is glare, or light
with one colour channel at its end and the others below, which shifts hues and flattens surfaces.
What is white or nearly so, as white is in the corners of a photograph, is taken for a backdrop, a sky, snow or a page
as far as it lines the edge of the picture, or a line a tenth inside. So is light colour with a channel at its end.
Why it matters: where all channels are at their end the picture has nothing left, and no processing brings it back; a
model learns blank areas.
What it flags: pictures about two to three stops above a good exposure.
When it is wrong: on white sails in a bright sky, and on drawings and screenshots with large light areas inside. It
misses pictures whose shadows stay black while their lights burn out a little, and some that are white all along the
edge, like an object before a white backdrop; where nothing but white is left, `low_information` finds them. A class
that is bright as a whole is exempted by `exempt_labels` or `compare_within_label`.
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
from curate.exposure import ExposureSettings, percentile, share, stands_out
from curate.imaging import DecodedImage

if TYPE_CHECKING:
    import pandas as pd

WHITE = 245  # the darkest channel of pure white after JPEG
NEARLY_WHITE = 225  # of a white that a lens darkens towards the corners, by a third of a stop
FULL = 250  # a channel at its end after JPEG
LIGHT = 170  # darker luma with a full channel is a saturated colour (pure red has 76, pure green 150), not light

# The edges of the usual. Bracketed rooms with a window and a street under the sky, 1.8 to 4.5 stops too bright, have
# glare of 0.11 or more, shadows of 58 or more and a median of 174 or more; streets before a white sky in
# `sample_datasets`, exposed for the ground, have light shadows too, but medians of 90 to 152 (13 of 18, the rest being
# mostly sky). Of photographs brightened by three stops 0.84 are beyond the edges.
USUAL_GLARE = 0.1  # share of the picture
USUAL_SHADOWS = 55  # luma
USUAL_MEDIAN = 165  # luma
USUAL_BURNT = 0.30  # share of what is no backdrop

INSET = 10  # the second line that a backdrop is looked for on lies 1/10 of the shorter side inside: frames are thinner


class Settings(ExposureSettings):
    max_overexposure: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Flag when the overexposure is above this. Origin: the edge of the usual by construction (see the"
        " constants); the bracketed frames measurably 1.8 stops or more too bright are above it, up to 0.5 % of"
        " ordinary photographs and 1.8 % of sets with many cut-outs and drawings.",
        json_schema_extra={"fact": "overexposure"},
    )


def measure(image: DecodedImage) -> Mapping[str, FactValue]:
    darkest = image.darkest_channel
    is_burnt = (image.brightest_channel >= FULL) & (darkest < WHITE) & (image.luma_on_grid >= LIGHT)
    white, burnt = share(darkest >= WHITE), share(is_burnt)
    glare = white * (1 - backdrop(darkest >= NEARLY_WHITE))
    lost = glare + burnt * (1 - backdrop(is_burnt))
    shadows, median = (percentile(image.luma_counts, part) for part in (0.05, 0.50))
    return {
        "overexposure": min(1.0, max(washed_out(glare, shadows, median), burnt_out(lost, 1 - white - burnt))),
        "luma_p05": shadows,
        "clipped_highlights": white,
        "clipped_colours": burnt,
    }


def backdrop(light: NDArray[np.bool_]) -> float:
    """How much of the picture's edge, or of a line a tenth inside it, is light; the larger share."""
    inset = min(light.shape) // INSET
    inner = light[inset : light.shape[0] - inset, inset : light.shape[1] - inset]
    return max(_light_edge(light), _light_edge(inner))


def _light_edge(light: NDArray[np.bool_]) -> float:
    edges = (light[0], light[-1], light[:, 0], light[:, -1])
    return sum(map(np.count_nonzero, edges)) / sum(map(len, edges))


def washed_out(glare: float, shadows: int, median: int) -> float:
    """0.5 where the least of the three is at the edge of the usual. glare: share of the picture; the others luma."""
    return min(glare / USUAL_GLARE, shadows / USUAL_SHADOWS, median / USUAL_MEDIAN) / 2


def burnt_out(lost: float, sound: float) -> float:
    """0.5 where lost : (lost + sound) is at the edge of the usual. Shares of the picture: glare or burnt; neither."""
    return lost / (lost + sound) / USUAL_BURNT / 2 if lost else 0.0


def judge(table: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    return flag("overexposed", stands_out(table, "overexposure", settings.max_overexposure, settings))


CHECK = Check(
    name="overexposed",
    summary="too bright: light areas have burnt out to white",
    version=4,
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
