"""Which pictures show the same photograph, judged by 32 x 32 grey thumbnails.

The idea: (1) *propose*: describe each thumbnail by its low frequencies in a way that mirroring and quarter turns
leave unchanged, and take the nearest few pictures of each; a crop is met because every picture also asks with
windows of itself. (2) *verify*: turn and align the two thumbnails of each proposed pair, then compare them block by
block, so that a pasted logo spoils only its own blocks, and brightness, contrast and gamma spoil none.

Rejected: bit hashes (DCT hash, pHash) lose crops of 5 % and more, borders and logos; thumbnails of 48 px verify no
better and weigh 2.3 times as much; a global correlation cannot tell two motorbikes in a studio from one.

Everything here is numpy on arrays (N, 32, 32) of uint8; memory does not grow faster than N, time of `nearest`
grows with N squared (exact search by matrix products: fine up to about 50,000 pictures).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import reduce
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from curate.executors import available_cores
from curate.progress import Advance, no_advance

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]
Ints = NDArray[np.int64]
Part = TypeVar("Part")
Answer = TypeVar("Answer")

SIDE = 32  # px; at 48 px recall was one point lower at equal precision: details that re-saving changes
FREQUENCIES = 8  # per axis; with u + v <= 8: 42 without the mean. 6 find fewer captions and logos, 10 no more
NEIGHBOURS = (
    5  # proposals per picture; of edited copies .998 have their original among the nearest 5, .979 nearest of all
)
MIN_PROPOSAL = 0.85  # cosine of invariant descriptors; 99.5 % of edited copies are above 0.90
MIN_COARSE = 0.80  # cosine of the oriented low frequencies, before alignment; 99.9 % of edited copies are above
STEPS = 8  # of the alignment; 5 left one border in ten unaligned, 14 gave no more
BLOCK = 4  # px
MIN_CONTRAST = 2.0  # standard deviation in grey levels; below it a thumbnail is rounding noise, not a picture
ROUNDING = 16 / 12  # sum of squares that rounding to whole grey levels leaves in one block of 4 x 4
# With contrast in fewer blocks (effective number, of 64) similarity counts for less, because any two digits or tools on
# white can be aligned: of 600 drawn figures "1" 86 % found a copy at 8, 7 % at 20; 99 % of 13,644 photographs have 20.
FULL_EVIDENCE_BLOCKS = 20.0

FEW_PARTS = 4  # of 2 ms (of `nearest`) to 20 ms: threads would save no time worth their own memory, a third more CPU

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
SMALLEST_PART, LARGEST_PART = 0.6, 1.15  # bounds of the alignment: the smallest window, and a border of 7 %


def has_content(thumbnails: Bytes) -> NDArray[np.bool_]:
    """False for blank pictures, which resemble each other without being copies, (N,)."""
    blocks = (thumbnails[rows].std(axis=(1, 2), dtype=np.float32) for rows in _blocks(len(thumbnails)))
    return np.concatenate([np.empty(0, np.float32), *blocks]) >= MIN_CONTRAST


# ---------------------------------------------------------------------------------------------- propose


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


def _spectra(thumbnails: Bytes, windows: slice = slice(None)) -> Floats:
    """Weighted low frequencies of the windows of each thumbnail, each of length 1, (N, W, F, F)."""
    rows = _ROWS[windows].reshape(-1, SIDE) @ thumbnails.astype(np.float32)
    found = rows.reshape(len(thumbnails), len(_ROWS[windows]), FREQUENCIES, SIDE) @ _COLUMNS[windows] * _WEIGHTS
    return np.asarray(found / (np.linalg.norm(found, axis=(2, 3), keepdims=True) + 1e-3))


def _invariants(spectra: Floats) -> Floats:
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


def nearest(thumbnails: Bytes, asking: Ints, among: Ints, advance: Advance = no_advance) -> tuple[Ints, Floats]:
    """The pictures that may show the same photograph: for each asking one its nearest few among some.

    asking, among: row numbers. advance: called with the number of rows done.
    Returns (P, 2) row numbers (asking, other) and their nearness (P,), from MIN_PROPOSAL to 1.
    """
    if not len(asking) or not len(among):
        return np.empty((0, 2), np.int64), np.empty(0, np.float32)
    parts = (among[block] for block in _blocks(len(among)))
    whole = np.concatenate([_invariants(_spectra(thumbnails[part], slice(1)))[:, 0] for part in parts])  # (M, 42)
    pairs, nearness = [], []
    blocks = list(_blocks(len(asking), len(among)))
    answers = _on_all_cores(lambda block: _nearest(thumbnails, asking[block], among, whole), blocks)
    for block, (found, values) in zip(blocks, answers, strict=True):
        pairs.append(found)
        nearness.append(values)
        advance(block.stop - block.start)
    return np.concatenate(pairs), np.concatenate(nearness)


def _on_all_cores(function: Callable[[Part], Answer], parts: Sequence[Part]) -> Iterator[Answer]:
    """The function of each part, in order. Numpy lets go of the interpreter in large operations."""
    if len(parts) <= FEW_PARTS:
        yield from map(function, parts)
        return
    with ThreadPoolExecutor(available_cores()) as threads:
        yield from threads.map(function, parts)


def _blocks(count: int, width: int = 1) -> Iterator[slice]:
    """Slices of 0..count such that (block, width) float32 stays below 32 MB."""
    # 64 thumbnails with all their windows take 2 MB: with more, most of the time goes into getting memory.
    size = max(1, min(64, 2**23 // max(width, 1)))
    return (slice(start, min(start + size, count)) for start in range(0, count, size))


def _nearest(thumbnails: Bytes, rows: Ints, among: Ints, whole: Floats) -> tuple[Ints, Floats]:
    """The nearest neighbours of some rows, by any window of the row; pairs (P, 2) and nearness (P,)."""
    asked = _invariants(_spectra(thumbnails[rows]))  # (B, W, 42)
    nearness = asked[:, 0] @ whole.T  # (B, M)
    for window in range(1, len(WINDOWS)):
        np.maximum(nearness, asked[:, window] @ whole.T, out=nearness)
    nearness[rows[:, None] == among] = -1  # not itself
    row, column = np.nonzero(nearness >= MIN_PROPOSAL)  # few: sorting these is faster than partitioning all
    values = nearness[row, column]
    order = np.lexsort((column, -values, row))
    row, column, values = row[order], column[order], values[order]
    place = np.arange(len(row)) - np.searchsorted(row, row)  # 0 for the nearest of each row
    few = place < NEIGHBOURS
    return np.stack([rows[row[few]], among[column[few]]], axis=1), values[few]


# ----------------------------------------------------------------------------------------------- verify


def similarity(thumbnails: Bytes, pairs: Ints) -> Floats:
    """How surely each pair shows the same photograph: 0 (no) to 1 (equal up to brightness and contrast).

    thumbnails: (N, SIDE, SIDE). pairs: (P, 2) row numbers. Symmetric: the order within a pair does not matter.
    """
    ordered = np.sort(pairs, axis=1)
    # 512 pairs keep the alignment's arrays below 20 MB.
    chunks = [ordered[start : start + 512] for start in range(0, len(pairs), 512)]
    found = _on_all_cores(lambda chunk: _similarity(thumbnails, chunk), chunks)
    return np.concatenate([np.empty(0, np.float32), *found])


def _similarity(thumbnails: Bytes, pairs: Ints) -> Floats:
    window, turn, coarse, swapped = _best_start(thumbnails, pairs)
    first, second = thumbnails[pairs[:, 0]], thumbnails[pairs[:, 1]]
    found = np.zeros(len(pairs), np.float32)
    worth = np.flatnonzero(coarse >= MIN_COARSE)
    if len(worth) == 0:
        return found
    exchanged = swapped[worth, None, None]
    outer = np.where(exchanged, second[worth], first[worth]).astype(np.float32)
    inner = _turned(np.where(exchanged, first[worth], second[worth]).astype(np.float32), turn[worth])
    aligned = _align(outer, inner, WINDOWS[window[worth]])
    whole = np.zeros((len(worth), 2)), np.ones((len(worth), 2))
    # Most copies are not cropped, and a large logo can lead the alignment astray: the better of the two counts.
    found[worth] = np.maximum(_likeness(outer, inner, *aligned), _likeness(outer, inner, *whole))
    return found.clip(0, 1)


def _likeness(outer: Floats, inner: Floats, low: NDArray[np.float64], high: NDArray[np.float64]) -> Floats:
    """How well the box low..high of `outer` agrees with `inner`, in light and shade and in detail, (P,), -1..1."""
    part, inside = _part(outer, low, high)
    both = _agreement(part, inner, inside), _agreement(_detail(part), _detail(inner), inside)
    return np.asarray((both[0] + both[1]) / 2, dtype=np.float32)


def _best_start(thumbnails: Bytes, pairs: Ints) -> tuple[Ints, Ints, Floats, NDArray[np.bool_]]:
    """The window of one and the turn of the other that agree best: (window, turn, cosine, exchanged), each (P,).

    exchanged: the window lies in the second of the pair, and the first is to be turned.
    """
    used, places = np.unique(pairs, return_inverse=True)  # most pictures are in several pairs
    of_used, places = _spectra(thumbnails[used]), places.reshape(-1, 2)
    parts = [_best_start_of(*(of_used[place] for place in places[block].T)) for block in _blocks(len(pairs))]
    window, turn, coarse, exchanged = (np.concatenate(part) for part in zip(*parts, strict=True))
    return window, turn, coarse, exchanged


def _best_start_of(first: Floats, second: Floats) -> tuple[Ints, Ints, Floats, NDArray[np.bool_]]:
    """As `_best_start`, of the spectra of both, (P, W, F, F) each."""
    best = []
    for windows, other in ((first, second), (second, first)):
        turned = np.stack([_turned_spectrum(other[:, 0], turn) for turn in range(8)], axis=-1)  # (P, F, F, 8)
        cosines = windows.reshape(*windows.shape[:2], -1) @ turned.reshape(len(turned), -1, 8)  # (P, W, 8)
        best.append(cosines.reshape(len(turned), -1))
    exchanged = best[1].max(axis=1) > best[0].max(axis=1)
    cosines = np.where(exchanged[:, None], best[1], best[0])
    choice = cosines.argmax(axis=1)
    return choice // 8, choice % 8, cosines.max(axis=1), exchanged


def _turned_spectrum(spectra: Floats, turn: int) -> Floats:
    """The spectrum of a picture turned like `_turned` does, (P, F, F)."""
    signs = (-1.0) ** (_V * (turn & 1) + _U * (turn >> 1 & 1))
    found = spectra * signs.astype(np.float32)
    return np.swapaxes(found, 1, 2) if turn & 4 else found


def _turned(pictures: Floats, turns: Ints) -> Floats:
    """Each picture in one of eight orientations. Bits of turn: 1 mirror, 2 upside down, 4 then transpose."""
    found = pictures.copy()
    found[turns & 1 > 0] = found[turns & 1 > 0][:, :, ::-1]
    found[turns & 2 > 0] = found[turns & 2 > 0][:, ::-1]
    found[turns & 4 > 0] = np.swapaxes(found[turns & 4 > 0], 1, 2)
    return found


def _part(pictures: Floats, low: NDArray[np.float64], high: NDArray[np.float64]) -> tuple[Floats, NDArray[np.bool_]]:
    """The box low..high of each picture, resampled to SIDE x SIDE, and which of its pixels lie in the picture.

    low, high: (P, 2) as (y, x) in 0..1, or beyond, where the edge is repeated.
    """
    steps = (np.arange(SIDE) + 0.5) / SIDE
    points = (low[:, :, None] + (high - low)[:, :, None] * steps) * SIDE - 0.5  # (P, 2, SIDE)
    inside = (points > -0.5) & (points < SIDE - 0.5)  # (P, 2, SIDE)
    inside[:, :, [0, -1]] = False  # a border, or what was cropped, mixes into the outermost pixels
    nearness = 1 - np.abs(points.clip(0, SIDE - 1)[..., None] - np.arange(SIDE))
    weights = np.maximum(nearness, 0).astype(np.float32)  # (P, 2, SIDE, SIDE)
    found = weights[:, 0] @ pictures @ np.swapaxes(weights[:, 1], 1, 2)
    return found, inside[:, 0, :, None] & inside[:, 1, None, :]


def _align(
    outer: Floats, inner: Floats, windows: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The box of `outer` that shows what `inner` shows, as (low, high), starting from `windows` (P, 4).

    Lucas-Kanade: Gauss-Newton on shift and scale per axis, with gain and offset of brightness solved along.
    """
    low, high = windows[:, ::2], windows[:, 1::2]
    for step in range(STEPS):
        part, inside = _part(outer, low, high)
        weights = inside * _trust(part, inner, inside) if step else inside.astype(np.float32)
        shift, growth = _step(part, inner, weights)
        size = high - low
        centre = ((low + high) / 2 + size * shift).clip(0.3, 0.7)
        size = (size * (1 + growth)).clip(SMALLEST_PART, LARGEST_PART)
        low, high = centre - size / 2, centre + size / 2
    return low, high


def _step(part: Floats, inner: Floats, weights: Floats) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Shift and growth per axis, in units of the box, that bring `part` nearest to `inner`, (P, 2) each."""
    down, across = np.gradient(part * SIDE, axis=(1, 2))
    u = ((np.arange(SIDE) + 0.5) / SIDE - 0.5).astype(np.float32)
    terms = np.stack([down, across, down * u[:, None], across * u, part, np.ones_like(part)], axis=1)
    terms = terms.reshape(len(part), 6, -1)  # (P, 6, SIDE * SIDE)
    weighted = terms * weights.reshape(len(part), 1, -1)
    normal = (weighted @ np.swapaxes(terms, 1, 2)).astype(np.float64) + 1e-3 * np.eye(6)
    solved = np.linalg.solve(normal, (weighted @ inner.reshape(len(part), -1, 1)).astype(np.float64))[..., 0]
    gain = np.maximum(solved[:, 4:5], 0.2)  # a flat or contrary part must not send the box far away
    moves = (solved[:, :4] / gain).clip(-0.06, 0.06)  # linear only within about two pixels
    return moves[:, :2], moves[:, 2:]


def _trust(part: Floats, inner: Floats, inside: NDArray[np.bool_]) -> Floats:
    """1 where the two agree, less where they differ far more than usual (a logo, a caption): Huber's weights."""
    count = inside.sum(axis=(1, 2), keepdims=True) + 1e-6
    one, other = (np.where(inside, x - (x * inside).sum(axis=(1, 2), keepdims=True) / count, 0) for x in (part, inner))
    gain = (one * other).sum(axis=(1, 2), keepdims=True) / ((one * one).sum(axis=(1, 2), keepdims=True) + 1)
    residual = np.abs(other - gain * one)
    usual = 3 * np.median(residual, axis=(1, 2), keepdims=True) + 1
    return np.asarray(np.minimum(1, usual / np.maximum(residual, 1e-3)), dtype=np.float32)


def _detail(pictures: Floats) -> Floats:
    """What a blur of about 5 px takes away: edges and texture."""
    blurred = pictures
    for _ in range(2):
        padded = np.pad(blurred, ((0, 0), (1, 1), (1, 1)), mode="edge")
        rows = padded[:, :-2] + padded[:, 1:-1] + padded[:, 2:]
        blurred = (rows[:, :, :-2] + rows[:, :, 1:-1] + rows[:, :, 2:]) / 9
    return pictures - blurred


def _agreement(part: Floats, inner: Floats, inside: NDArray[np.bool_]) -> Floats:
    """Mean correlation within blocks of 4 x 4 px, blocks weighted by the root of their contrast, (P,), -1..1.

    Smaller where few blocks have contrast to tell. Correlating block by block is deaf to uneven light and gamma.
    """
    blocks = len(part), SIDE // BLOCK, BLOCK, SIDE // BLOCK, BLOCK
    seen = inside.reshape(blocks).astype(np.float32)
    count = _block_sums(seen) + 1e-6
    one, other = (x.reshape(blocks) for x in (part, inner))
    one = (one - _block_sums(one * seen) / count) * seen
    other = (other - _block_sums(other * seen) / count) * seen
    energy = np.sqrt(_block_sums(one * one) * _block_sums(other * other))[:, :, 0, :, 0]  # (P, 8, 8)
    correlation = _block_sums(one * other)[:, :, 0, :, 0] / (energy + ROUNDING)
    weights = np.sqrt(energy) * (count[:, :, 0, :, 0] > BLOCK * BLOCK / 2)
    total = weights.sum(axis=(1, 2)) + 1e-6
    textured = total**2 / ((weights**2).sum(axis=(1, 2)) + 1e-6)  # effective number of blocks
    evidence = np.sqrt(np.minimum(1, textured / FULL_EVIDENCE_BLOCKS))
    return np.asarray(evidence * (correlation * weights).sum(axis=(1, 2)) / total, dtype=np.float32)


def _block_sums(values: Floats) -> Floats:
    """Sums over each block, (P, 8, BLOCK, 8, BLOCK) -> (P, 8, 1, 8, 1). Faster than `sum`, and as exact."""
    across: Floats = reduce(np.add, (values[..., column] for column in range(BLOCK)))
    total: Floats = reduce(np.add, (across[:, :, row] for row in range(BLOCK)))
    return total[:, :, None, :, None]
