"""The few largest of very many numbers in each row, without sorting or partitioning all of them.

numpy's partition takes as long as the product of matrices that the numbers come from, its argpartition six times that;
this takes a tenth of it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

PEAKS = 16  # maxima per wanted number: then some 3 % more are found than are wanted, if they lie anywhere
CROWD = 4  # times as many as wanted: so many are found only where hundreds are equal


def largest(values: Floats, k: int) -> Ints:
    """The columns of the k largest values (B, N) of each row, the largest first, (B, k); equal ones by column."""
    rows, columns = at_least(values, k)
    order = np.lexsort((columns, -values[rows, columns], rows))
    first = np.searchsorted(rows, np.arange(len(values)))
    return np.asarray(columns[order][first[:, None] + np.arange(k)])


def at_least(values: Floats, k: int, slack: float = 0.0, floor: float = -np.inf) -> tuple[Ints, Ints]:
    """Rows and columns, row by row, of the k largest values (B, N) of each row, and of few more. 1 <= k <= N.

    All that are no more than `slack` below the k-th largest are among them, but none below the floor, and of hundreds
    that are level with it only the first k.
    """
    level = np.maximum(_below_kth(values, k) - np.float32(slack), np.float32(floor))
    rows, columns = np.divmod(np.flatnonzero(values >= level[:, None]), values.shape[1])
    crowded = np.bincount(rows, minlength=len(values)) > CROWD * k
    if not crowded.any():
        return rows, columns
    usual, among = ~crowded[rows], np.flatnonzero(crowded)
    few, some = _first_of_equal(values[among], k, slack, floor)
    rows, columns = np.concatenate([rows[usual], among[few]]), np.concatenate([columns[usual], some])
    order = np.argsort(rows, kind="stable")
    return rows[order], columns[order]


def _first_of_equal(values: Floats, k: int, slack: float, floor: float) -> tuple[Ints, Ints]:
    """As `at_least`, of crowded rows."""
    kth = _kth_largest(values, k)[:, None]
    near = values >= np.maximum(kth - np.float32(slack), np.float32(floor))
    level = near & (values <= kth + np.float32(slack))
    near &= ~level | (np.cumsum(level, axis=1) <= k)
    rows, columns = np.nonzero(near)
    return rows, columns


def _below_kth(values: Floats, k: int) -> Floats:
    """A number of each row, (B,), that at least k of its values (B, N) reach, and not many more.

    The values are dealt into parts like cards, as pictures next to each other are often alike. k of the parts have a
    maximum of at least the k-th largest maximum.
    """
    parts = PEAKS * k
    if values.shape[1] < 2 * parts:
        return _kth_largest(values, k)
    peaks = values[:, :parts].copy()
    for start in range(parts, values.shape[1], parts):
        some = values[:, start : start + parts]
        into = peaks[:, : some.shape[1]]
        np.maximum(into, some, out=into)
    return _kth_largest(peaks, k)


def _kth_largest(values: Floats, k: int) -> Floats:
    place = values.shape[1] - k
    return np.asarray(np.partition(values, place, axis=1)[:, place])
