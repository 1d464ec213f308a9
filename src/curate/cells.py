"""Cells of the space of descriptors, the same for every data set.

Pictures are looked for in the cells that lie nearest to what is asked for, not among all. The cells' centres come from
random pictures with the spectrum of photographs, not from the data: so whether two pictures meet depends on these two
alone, and a folder that grew picture by picture gets the relations of one that was there at once. Cells trained on a
corpus of photographs met no more copies and were as even (see docs/decisions/0014).

Everything is integers in float32, below 2**24, so that a matrix product is exact: neither its shape nor the machine
decides who is nearest.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from curate.spectra import FREQUENCIES, Floats, Ints, invariants, weighted

Shorts = NDArray[np.int16]

SCALE = 4000  # of a descriptor of length 1; products stay below 2**24, where float32 still counts by one
# Cells of the first level, and of the second in each: 4,096, of 240 pictures each at a million. With few branches fewer
# pairs lie in different ones: of copies .970 meet in the two nearest cells of one of 16 branches, .959 of one of 64.
BRANCHES, LEAVES = 16, 256
CELLS = BRANCHES * LEAVES
_RANDOM_PICTURES = 40_000  # ten for each cell
_STEEPEST, _FLATTEST = 1.8, 0.8  # how fast the amplitude falls with frequency in photographs: 1/f, more or less
_ROUNDS = 8  # of k-means; evenness no longer improves


def quantised(descriptors: Floats) -> Shorts:
    """Descriptors of length 1 as whole numbers, (..., 42)."""
    return np.rint(descriptors * SCALE).astype(np.int16)


@cache
def centres() -> tuple[Floats, Floats]:
    """Centres of the first level (BRANCHES, 42) and, in each, of the second (BRANCHES, LEAVES, 42); whole numbers."""
    rng = np.random.default_rng(8)
    u, v = np.indices((FREQUENCIES, FREQUENCIES))
    fall = rng.uniform(_FLATTEST, _STEEPEST, (_RANDOM_PICTURES, 1, 1))
    drawn = rng.standard_normal((_RANDOM_PICTURES, FREQUENCIES, FREQUENCIES)) / np.maximum(np.hypot(u, v), 1) ** fall
    points = quantised(invariants(weighted(drawn.astype(np.float32)))).astype(np.float32)
    first = _means(points, BRANCHES, rng)
    branch = nearest_centres(points, first, 1)[:, 0]
    second = np.stack([_means(points[branch == number], LEAVES, rng) for number in range(BRANCHES)])
    return first, second


def _means(points: Floats, count: int, rng: np.random.Generator) -> Floats:
    """The centres of some clusters of these points, by k-means."""
    found = points[rng.choice(len(points), count, replace=False)]
    for _ in range(_ROUNDS):
        member_of = nearest_centres(points, found, 1)[:, 0]
        sums = np.stack([points[member_of == number].sum(axis=0, dtype=np.float64) for number in range(count)])
        counts = np.bincount(member_of, minlength=count)[:, None]
        found = np.where(counts > 0, np.rint(sums / np.maximum(counts, 1)), found).astype(np.float32)
    return found


def nearest_centres(points: Floats, centres: Floats, count: int) -> Ints:
    """The places of the nearest few centres of each point, nearest first, (N, count)."""
    scores = _scores(points, centres)
    if count == 1:
        return np.asarray(scores.argmax(axis=1)[:, None])
    best = np.empty((len(points), count), np.int64)
    rows = np.arange(len(points))
    for place in range(count):
        best[:, place] = scores.argmax(axis=1)
        scores[rows, best[:, place]] = -np.inf
    return best


def _scores(points: Floats, centres: Floats) -> Floats:
    """Higher is nearer, (N, C)."""
    return np.asarray(points @ centres.T - np.rint((centres**2).sum(axis=1) / 2))


def nearest_cells(points: Shorts, count: int) -> NDArray[np.uint16]:
    """The nearest few cells of each point, nearest first, of those of the nearest branch, (N, count)."""
    first, second = centres()
    floats = points.astype(np.float32)
    branch = nearest_centres(floats, first, 1)[:, 0].astype(np.uint8)
    order = np.argsort(branch, kind="stable")
    bounds = np.searchsorted(branch[order], np.arange(BRANCHES + 1))
    found = np.empty((len(points), count), np.uint16)
    for number in range(BRANCHES):
        asked = order[bounds[number] : bounds[number + 1]]
        if len(asked):
            found[asked] = number * LEAVES + nearest_centres(floats[asked], second[number], count)
    return found
