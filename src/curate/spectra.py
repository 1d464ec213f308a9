"""What 32 x 32 grey thumbnails look like from afar: low frequencies of a picture and of parts of it.

Two forms: `spectra` are oriented; of `invariants`, mirroring and quarter turns leave every number as it is. Both are
worked out for each picture by itself, so that they are the same to the last bit whatever pictures come with it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]
Ints = NDArray[np.int64]

SIDE = 32  # px; at 48 px recall was one point lower at equal precision: details that re-saving changes
FREQUENCIES = 8  # per axis; with u + v <= 8: 42 without the mean. 6 find fewer captions and logos, 10 no more

# Parts of a picture by which it asks for others, as (top, bottom, left, right) in 0..1: itself, crops of all
# sides by 5 and 10 %, of one side, of two, and the square out of the middle of a 4:3 or 3:2 picture.
# Alignment covers what lies between.
WINDOWS = np.array(
    [
        (0, 1, 0, 1),
        *((c, 1 - c, c, 1 - c) for c in (0.05, 0.1)),
        *((0.1, 1, 0, 1), (0, 0.9, 0, 1), (0, 1, 0.1, 1), (0, 1, 0, 0.9)),
        *((0.1, 1, 0.1, 1), (0.1, 1, 0, 0.9), (0, 0.9, 0.1, 1), (0, 0.9, 0, 0.9)),
        *((0, 1, c, 1 - c) for c in (0.1, 1 / 8, 1 / 6)),
        *((c, 1 - c, 0, 1) for c in (0.1, 1 / 8, 1 / 6)),
    ]
)  # (W, 4)


def _resampling(low: float, high: float) -> NDArray[np.float64]:
    """Matrix that samples low..high of an axis at SIDE points, bilinearly, (SIDE, SIDE)."""
    points = (low + (high - low) * (np.arange(SIDE) + 0.5) / SIDE) * SIDE - 0.5
    return np.asarray(np.maximum(0, 1 - np.abs(points.clip(0, SIDE - 1)[:, None] - np.arange(SIDE))))


def _cosines() -> NDArray[np.float64]:
    """The first rows of the orthonormal DCT-II, (FREQUENCIES, SIDE)."""
    angles = np.pi * np.arange(FREQUENCIES)[:, None] * (np.arange(SIDE) + 0.5) / SIDE
    return np.asarray(np.cos(angles) * np.sqrt(np.where(np.arange(FREQUENCIES) == 0, 1, 2) / SIDE)[:, None])


_U, _V = np.indices((FREQUENCIES, FREQUENCIES))
_ROWS = np.stack([_cosines() @ _resampling(w[0], w[1]) for w in WINDOWS]).astype(np.float32)  # (W, F, SIDE)
_COLUMNS = np.stack([(_cosines() @ _resampling(w[2], w[3])).T for w in WINDOWS]).astype(np.float32)  # (W, SIDE, F)
# Photographs have about 1/f amplitude: the square root keeps the lowest frequencies from deciding alone.
_WEIGHTS = np.where(_U + _V <= FREQUENCIES, np.sqrt(_U + _V), 0).astype(np.float32)  # 0 at the mean: brightness is free

# Which of four groups a frequency is in: none of u, v odd, only u, only v, both; (F * F, 4)
_PARITY = (_U.ravel() % 2 + 2 * (_V.ravel() % 2) == np.arange(4)[:, None]).T.astype(np.float32)


def spectra(thumbnails: Bytes, windows: slice = slice(None)) -> Floats:
    """Weighted low frequencies of the windows of each thumbnail, each of length 1, (N, W, F, F)."""
    rows = _ROWS[windows].reshape(-1, SIDE) @ thumbnails.astype(np.float32)
    return weighted(rows.reshape(len(thumbnails), len(_ROWS[windows]), FREQUENCIES, SIDE) @ _COLUMNS[windows])


def weighted(cosines: Floats) -> Floats:
    """Weighted coefficients of a cosine transform, each picture of length 1, (..., F, F)."""
    found = cosines * _WEIGHTS
    return np.asarray(found / (np.linalg.norm(found, axis=(-2, -1), keepdims=True) + 1e-3))


def invariants(spectra: Floats) -> Floats:
    """What mirroring and quarter turns leave unchanged, of length 1, (..., F, F) -> (..., 42).

    A mirror flips the sign of the odd rows or columns, a quarter turn exchanges rows and columns.
    """
    signs_stay = (_U % 2 == 0) & (_V % 2 == 0)
    unsigned = np.where(signs_stay, spectra, np.abs(spectra))
    below = (_U > _V) & (_U + _V <= FREQUENCIES)
    diagonal = (_U == _V) & (_U > 0) & (_U + _V <= FREQUENCIES)
    one, other = unsigned[..., below], np.swapaxes(unsigned, -1, -2)[..., below]
    parts = [(one + other) / np.sqrt(2), np.abs(one - other) / np.sqrt(2), unsigned[..., diagonal]]
    found = np.concatenate(parts, axis=-1)
    return np.asarray(found / (np.linalg.norm(found, axis=-1, keepdims=True) + 1e-6), dtype=np.float32)


def turned_spectrum(spectra: Floats, turn: int) -> Floats:
    """The spectrum of a picture turned like `curate.matching` turns it, (P, F, F)."""
    signs = (-1.0) ** (_V * (turn & 1) + _U * (turn >> 1 & 1))
    found = spectra * signs.astype(np.float32)
    return np.swapaxes(found, 1, 2) if turn & 4 else found


def best_turn(one: Floats, other: Floats) -> Floats:
    """The best cosine of two spectra, the other in any of eight orientations; (P, F * F), (P, F, F) -> (P,).

    A turn changes only the signs of four groups of frequencies (and transposes), so four sums are enough for all.
    """
    found = []
    for turned in (other, np.swapaxes(other, 1, 2)):
        even, rows, columns, both = np.moveaxis((one * turned.reshape(one.shape)) @ _PARITY, 1, 0)  # (P,) each
        # Signs s of rows, t of columns, s * t of both: the best of four.
        same, different = np.abs(rows + columns) + both, np.abs(rows - columns) - both
        found.append(even + np.maximum(same, different))
    return np.asarray(np.maximum(*found), dtype=np.float32)


def slices(count: int, width: int = 1) -> Iterator[slice]:
    """Slices of 0..count such that (block, width) float32 stays below 32 MB."""
    # 64 thumbnails with all their windows take 2 MB: with more, most of the time goes into getting memory.
    size = max(1, min(64, 2**23 // max(width, 1)))
    return (slice(start, min(start + size, count)) for start in range(0, count, size))
