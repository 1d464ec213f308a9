"""Pictures that are out of focus, shaken or enlarged from something much smaller.

What it measures: how much finer detail there is than coarse detail, where the picture has detail at all. At points
of a grid it takes the second difference of the luma, g(-d) - 2 g(0) + g(+d), at a distance of d = 1 px and of 4 px,
in four directions, and averages the squares over blocks of 32 x 32 px of the working size. Blur leaves the energy
at 4 px almost alone and takes away that at 1 px: the ratio is 1/4 at an ideal step and 1/256 at a smooth slope.
`sharpness` is the ratio that one in ten of the contrasty blocks exceeds, so a sharp subject before a soft
background counts as sharp; of the four directions the softest decides, because shake blurs in one direction only.
Sensor noise, estimated where the picture is flattest, is taken off first: it would make every soft picture sharp.
Why it matters: a blurred picture teaches a model that edges do not matter, and its label is often a guess.
What it flags: pictures softer than a Gaussian blur of about 1.5 px (standard deviation) leaves them.
When it is wrong: fog, silk, water in a long exposure and other subjects without a hard edge; small pictures all over
noise and fine texture, which it can't tell apart; pictures of nothing but parallel lines at a slant (blinds,
corrugated iron), which look like movement along them. It misses blur under a sharp caption, frame or date stamp that
makes a tenth of the contrasty blocks, blur under noise of more than 4 grey levels, up to half of all shake under 10 px,
and blur that the working size hides. A picture with hardly any contrast, or under 40 px, gets no sharpness and no flag.
Source: the idea of comparing a picture with a coarser version of itself is that of the re-blur measure (Crete,
Dolmiere, Ladret, Nicolas, "The blur effect", SPIE 2007), that of asking the sharpest blocks only that of S3 (Vu,
Phan, Chandler, IEEE TIP 2012). Rejected: the variance of the Laplacian, which mostly measures contrast and noise
(benchmarks/quality_blur.py compares them), and ImageFilter.Kernel, which leaves the border unfiltered and clips.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from curate.checks import Action, Check, CheckSettings, Column, FactValue, flag
from curate.imaging import DecodedImage

if TYPE_CHECKING:
    import pandas as pd

# Centres lie every 4 px at phase 2 (6, 10, 14, …), so that a distance of 4 px leads to the next centre and one of
# 1 px never crosses the border of an 8 x 8 (or, decoded at half size, 4 x 4) JPEG block, whose steps look sharp.
GRID_PX = 4
FIRST_CENTRE_PX = 6  # the first of that phase with a neighbour 4 px before it
CENTRES_PER_BLOCK = 8  # per side: 64 average out noise, and 32 px fit 15 times into a picture of 128 x 192 px
# (dy, dx) of a centre's eight neighbours and itself. The first four are the four directions; opposite them lie the last
# four, in reverse order.
AROUND = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
DIRECTIONS = 4

# Energies are mean squares of second differences, in grey levels (0..255). White noise of variance v has 6 v.
# Each was tried at half and at double: the AUROC over all blurs moved by less than 0.01.
MIN_CONTRAST = 30.0  # noise of 2 grey levels, a good sensor's, has 24, and the JPEG steps of a clear sky have less
MIN_CONTRAST_TO_NOISE = 3.0  # pure noise scatters by a quarter from block to block: three times is a picture
EDGE_SHARE = 0.2  # of the strongest block: weaker ones are shading and leftovers of compression and noise
MAX_FAR_TO_NEAR = 512  # no blur exceeds 256: beyond, the sharp edges of a drawing lie between the centres
MIN_BLOCKS = 3  # one or two are a date stamp
NOISE_QUANTILE = 0.2  # nearly every photograph has so much sky, wall or shade that shows noise only
NOISE_MARGIN = 2.0  # times the noise is taken off, to be out of reach of that scatter
MAX_NOISE = 75.0  # noise of 3.5 grey levels, ISO 1600; more is taken for texture (gravel, fur, weave): sharp
SHARP_QUANTILE = 0.9  # a tenth of the edges in focus is a subject in focus


def measure(image: DecodedImage) -> Mapping[str, FactValue]:
    near, far = detail_energies(image.luma)
    return {"sharpness": min(directional_sharpness(near, far), default=None)}


def detail_energies(luma: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Mean squared second difference per block, of distance 1 px and 4 px, in four directions.  # (2, 4, blocks)"""
    down, across = ((side // GRID_PX - 2) // CENTRES_PER_BLOCK * CENTRES_PER_BLOCK for side in luma.shape)
    if min(down, across) < CENTRES_PER_BLOCK:
        return np.empty((2, DIRECTIONS, 0), np.float32)

    near = np.empty((len(AROUND), down, across), np.int16)  # the luma 1 px around every centre
    for place, (dy, dx) in enumerate(AROUND):
        near[place] = luma[FIRST_CENTRE_PX + dy :: GRID_PX, FIRST_CENTRE_PX + dx :: GRID_PX][:down, :across]
    before = FIRST_CENTRE_PX - GRID_PX
    centres = luma[before::GRID_PX, before::GRID_PX][: down + 2, : across + 2].astype(np.int16)
    far = [centres[1 + dy : 1 + dy + down, 1 + dx : 1 + dx + across] for dy, dx in AROUND]

    differences = np.empty((2, DIRECTIONS, down, across), np.int16)
    np.add(near[:DIRECTIONS], near[:DIRECTIONS:-1], out=differences[0])
    for direction in range(DIRECTIONS):
        np.add(far[direction], far[-1 - direction], out=differences[1, direction])
    differences -= 2 * near[DIRECTIONS]  # the centre itself

    n = CENTRES_PER_BLOCK
    stripes = differences.astype(np.float32).reshape(-1, n, across)
    # First down the blocks, then along them: far faster than both at once. float32 has sums below 2^24 exactly.
    columns = np.einsum("iyx,iyx->ix", stripes, stripes)
    blocks: NDArray[np.float32] = np.einsum("ix->i", columns.reshape(-1, n))  # a third of the time of `sum`
    return blocks.reshape(2, DIRECTIONS, -1) / np.float32(n * n)


def directional_sharpness(near: NDArray[np.float32], far: NDArray[np.float32]) -> list[float]:
    """By direction the ratio of fine to coarse detail that a tenth of the contrasty blocks exceeds; less where too few.

    near, far: energy at 1 px and 4 px.  # (4, blocks)
    """
    if not near.size:
        return []
    noise = np.minimum(np.sort(near)[:, int(NOISE_QUANTILE * near.shape[1]), None], MAX_NOISE)  # (4, 1)
    strongest = far.max(axis=1, keepdims=True)  # (4, 1)
    least = np.maximum(np.maximum(EDGE_SHARE * strongest, MIN_CONTRAST_TO_NOISE * noise), MIN_CONTRAST)
    contrasty = (far > least) & (near > far / MAX_FAR_TO_NEAR)
    ratios = np.full_like(far, np.inf)
    np.divide(np.maximum(near - NOISE_MARGIN * noise, 0), far - noise, out=ratios, where=contrasty)
    ratios.sort()  # those without contrast come last
    counts = contrasty.sum(axis=1).tolist()  # Python's integers: arithmetic with numpy's takes ten times as long
    found = [row.item(int(SHARP_QUANTILE * n)) for row, n in zip(ratios, counts, strict=True) if n >= MIN_BLOCKS]
    return [min(ratio, 1.0) for ratio in found]  # 1 is white noise: nothing real is sharper


class Settings(CheckSettings):
    action: Action = "review"
    min_sharpness: float = Field(
        default=0.035,
        ge=0,
        le=1,
        description="Flag when the sharpness is below this. Origin: a Gaussian blur of 1.5 px puts 99 in 100 pictures"
        " below; of 2,233 ordinary photographs it takes 1 in 100, most of them soft to the eye at full size, nearly"
        " all in one folder of snapshots (benchmarks/quality_blur.py). Of five really blurred photographs it finds"
        " two: blur that covers only part of a picture, or is slight, is not flagged.",
        json_schema_extra={"fact": "sharpness"},
    )


def judge(table: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    return flag("blurry", table["sharpness"] < settings.min_sharpness)


CHECK = Check(
    name="blurry",
    summary="out of focus, shaken or enlarged",
    version=1,
    settings=Settings,
    judge=judge,
    because="its sharpness is {sharpness:.3f} (blurry below {settings.min_sharpness})",
    facts=(
        Column(
            "sharpness",
            "float32",
            "energy of detail at 1 px / at 4 px in the sharpest tenth, 0 to 1; low is blurry, NA: no contrast",
            0,
            1,
        ),
    ),
    measure=measure,
)
