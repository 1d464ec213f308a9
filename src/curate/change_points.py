"""When did it change? The one moment at which a series parts best into a before and an after, and whether that is luck.

The statistic is the largest standardized difference between the means before and after any moment (CUSUM: Page 1954);
its p-value is that of the same statistic over the series in random order, so nothing is assumed of what is measured.
The library `ruptures` finds several changes and is well kept, but gives no p-value: with it, every series has a change.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]

SHUFFLES = 999
FEWEST = 10  # on either side: a mean of fewer is mostly luck


@dataclass(frozen=True)
class ChangePoint:
    """at: the first place after the change. before, after: the means. p: the chance of such a change by luck."""

    at: int
    before: float
    after: float
    p: float


def change_point(values: Doubles, seed: int = 0, shuffles: int = SHUFFLES, fewest: int = FEWEST) -> ChangePoint | None:
    """The likeliest change of the mean of values (N,) in their order; None of too few, or where all are equal."""
    if len(values) < 2 * fewest or np.ptp(values) == 0:
        return None
    centred = values - values.mean()
    found = _strengths(centred[None], fewest)[0]
    random = np.random.default_rng(seed)
    drawn = np.array([_strengths(random.permutation(centred)[None], fewest).max() for _ in range(shuffles)])
    at = fewest + int(found.argmax())
    p = (1 + (drawn >= found.max() - 1e-9).sum()) / (1 + shuffles)
    return ChangePoint(at, float(values[:at].mean()), float(values[at:].mean()), float(p))


def _strengths(centred: Doubles, fewest: int) -> Doubles:
    """(S, N) to the standardized sum before each place that leaves enough on both sides."""
    count = centred.shape[1]
    before = np.arange(fewest, count - fewest + 1)
    sums = np.cumsum(centred, axis=1)[:, before - 1]
    return np.asarray(np.abs(sums) / np.sqrt(before * (count - before) / count))
