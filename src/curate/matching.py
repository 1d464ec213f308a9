"""Whether two pictures show the same photograph, judged by 32 x 32 grey thumbnails.

Turn and align the two thumbnails of each pair that `curate.proposing` proposed, then compare them block by block, so
that a pasted logo spoils only its own blocks, and brightness, contrast and gamma spoil none. Among many
pictures, where most pairs differ at a glance, these are not aligned to the end.

Rejected: bit hashes (DCT hash, pHash) lose crops of 5 % and more, borders and logos; thumbnails of 48 px verify no
better and weigh 2.3 times as much; a global correlation cannot tell two motorbikes in a studio from one.
"""

from __future__ import annotations

from functools import reduce

import numpy as np
from numpy.typing import NDArray

from curate.all_cores import in_parts, on_all_cores
from curate.spectra import SIDE, WINDOWS, Bytes, Floats, Ints, slices, spectra, turned_spectrum

MIN_COARSE = 0.80  # cosine of the oriented low frequencies, before alignment; 99.9 % of edited copies are above
# Among many pictures most proposals are strangers, and aligning them costs more than all else: what fails one of three
# looks is not aligned to the end. Compared are low frequencies; 16 x 16 px, after one step of the alignment; and
# 32 x 32 px, after two. They lose 10 of 7,560 edited copies of 168 photographs; of the proposed strangers 6 % are left.
MIN_COARSE_IN_CROWD, MIN_FROM_AFAR, MIN_GLANCE = 0.90, 0.70, 0.60
FIRST_STEPS = 2  # of the alignment, at 16 x 16 px: from afar it sees farther
STEPS = 6  # after them, at most; most pairs stay where they are after two or three
STILL = 0.0005  # of the side, 1/60 px: a box that moves by less has arrived
BLOCK = 4  # px
MIN_CONTRAST = 2.0  # standard deviation in grey levels; below it a thumbnail is rounding noise, not a picture
ROUNDING = 16 / 12  # sum of squares that rounding to whole grey levels leaves in one block of 4 x 4
# With contrast in fewer blocks (effective number, of 64) similarity counts for less, because any two digits or tools on
# white can be aligned: of 600 drawn figures "1" 86 % found a copy at 8, 7 % at 20; 99 % of 13,644 photographs have 20.
FULL_EVIDENCE_BLOCKS = 20.0

_Box = tuple[NDArray[np.float64], NDArray[np.float64]]  # low and high corner of each, (P, 2) as (y, x)
SMALLEST_PART, LARGEST_PART = 0.6, 1.15  # bounds of the alignment: the smallest window, and a border of 7 %


def has_content(thumbnails: Bytes) -> NDArray[np.bool_]:
    """False for blank pictures, which resemble each other without being copies, (N,)."""

    def contrast(some: Bytes) -> Floats:
        return np.concatenate([some[rows].std(axis=(1, 2), dtype=np.float32) for rows in slices(len(some))])

    parts = on_all_cores(contrast, in_parts(thumbnails, 8192))
    return np.concatenate([np.empty(0, np.float32), *parts]) >= MIN_CONTRAST


def similarity(thumbnails: Bytes, pairs: Ints, in_crowd: bool = False) -> Floats:
    """How surely each pair shows the same photograph: 0 (no) to 1 (equal up to brightness and contrast).

    thumbnails: (N, SIDE, SIDE). pairs: (P, 2) row numbers. Symmetric: the order within a pair does not matter.
    in_crowd: the pairs are mostly strangers; those that differ at a glance are 0 and not aligned.
    """
    found = np.zeros(len(pairs), np.float32)
    todo = np.sort(pairs, axis=1)
    rows = np.arange(len(pairs))
    if in_crowd:  # parts whose arrays stay in the cache of a core
        promising = on_all_cores(lambda chunk: _promising(thumbnails, chunk), in_parts(todo, 512))
        rows = np.flatnonzero(np.concatenate([np.empty(0, np.bool_), *promising]))
    values = on_all_cores(lambda chunk: _similarity(thumbnails, chunk), in_parts(todo[rows], 256))
    found[rows] = np.concatenate([np.empty(0, np.float32), *values])
    return found


def _similarity(thumbnails: Bytes, pairs: Ints) -> Floats:
    found = np.zeros(len(pairs), np.float32)
    worth, outer, inner, box = _started(thumbnails, pairs, MIN_COARSE)
    if len(worth):
        found[worth] = _best_likeness(outer, inner, _aligned(outer, inner, box))
    return found.clip(0, 1)


def _promising(thumbnails: Bytes, pairs: Ints) -> NDArray[np.bool_]:
    """Which pairs are worth aligning to the end."""
    found = np.zeros(len(pairs), np.bool_)
    worth, outer, inner, box = _started(thumbnails, pairs, MIN_COARSE_IN_CROWD)
    if len(worth):
        small = _halved(outer), _halved(inner)
        box = _moved(*small, box, trusting=False)
        close = _best_likeness(*small, box) >= MIN_FROM_AFAR
        worth, outer, inner, box = worth[close], outer[close], inner[close], (box[0][close], box[1][close])
    if len(worth):
        box = _moved(_halved(outer), _halved(inner), box, trusting=False)
        worth = worth[_best_likeness(outer, inner, box) >= MIN_GLANCE]
    found[worth] = True
    return found


def _started(thumbnails: Bytes, pairs: Ints, min_coarse: float) -> tuple[Ints, Floats, Floats, _Box]:
    """Pairs whose low frequencies agree: numbers (Q,), the outer and the turned inner picture, the box at first."""
    window, turn, coarse, swapped = _best_start(thumbnails, pairs)
    worth = np.flatnonzero(coarse >= min_coarse)
    first, second = thumbnails[pairs[worth, 0]], thumbnails[pairs[worth, 1]]
    exchanged = swapped[worth, None, None]
    outer = np.where(exchanged, second, first).astype(np.float32)
    inner = _turned(np.where(exchanged, first, second).astype(np.float32), turn[worth])
    start = WINDOWS[window[worth]]
    return worth, outer, inner, (start[:, ::2], start[:, 1::2])


def _halved(pictures: Floats) -> Floats:
    rows = pictures[:, ::2] + pictures[:, 1::2]
    return np.asarray((rows[:, :, ::2] + rows[:, :, 1::2]) / 4)


def _best_likeness(outer: Floats, inner: Floats, box: _Box) -> Floats:
    """How well the box of `outer`, or all of it, agrees with `inner`, in light and shade and in detail, (P,), -1..1.

    Most copies are not cropped, and a large logo can lead the alignment astray: the better of the two counts.
    """
    detail = _detail(inner)
    whole = outer, _not_outermost(outer.shape[1])
    likeness = [
        (_agreement(part, inner, inside) + _agreement(_detail(part), detail, inside)) / 2
        for part, inside in (_part(outer, *box), whole)
    ]
    return np.maximum(*likeness)


def _best_start(thumbnails: Bytes, pairs: Ints) -> tuple[Ints, Ints, Floats, NDArray[np.bool_]]:
    """The window of one and the turn of the other that agree best: (window, turn, cosine, exchanged), each (P,).

    exchanged: the window lies in the second of the pair, and the first is to be turned.
    """
    used, places = np.unique(pairs, return_inverse=True)  # most pictures are in several pairs
    of_used, places = spectra(thumbnails[used]), places.reshape(-1, 2)
    parts = [_best_start_of(*(of_used[place] for place in places[block].T)) for block in slices(len(pairs))]
    window, turn, coarse, exchanged = (np.concatenate(part) for part in zip(*parts, strict=True))
    return window, turn, coarse, exchanged


def _best_start_of(first: Floats, second: Floats) -> tuple[Ints, Ints, Floats, NDArray[np.bool_]]:
    """As `_best_start`, of the spectra of both, (P, W, F, F) each."""
    best = []
    for windows, other in ((first, second), (second, first)):
        turned = np.stack([turned_spectrum(other[:, 0], turn) for turn in range(8)], axis=-1)  # (P, F, F, 8)
        cosines = windows.reshape(*windows.shape[:2], -1) @ turned.reshape(len(turned), -1, 8)  # (P, W, 8)
        best.append(cosines.reshape(len(turned), -1))
    exchanged = best[1].max(axis=1) > best[0].max(axis=1)
    cosines = np.where(exchanged[:, None], best[1], best[0])
    choice = cosines.argmax(axis=1)
    return choice // 8, choice % 8, cosines.max(axis=1), exchanged


def _turned(pictures: Floats, turns: Ints) -> Floats:
    """Each picture in one of eight orientations. Bits of turn: 1 mirror, 2 upside down, 4 then transpose."""
    found = pictures.copy()
    found[turns & 1 > 0] = found[turns & 1 > 0][:, :, ::-1]
    found[turns & 2 > 0] = found[turns & 2 > 0][:, ::-1]
    found[turns & 4 > 0] = np.swapaxes(found[turns & 4 > 0], 1, 2)
    return found


def _part(pictures: Floats, low: NDArray[np.float64], high: NDArray[np.float64]) -> tuple[Floats, NDArray[np.bool_]]:
    """The box low..high of each picture, resampled to its own size, and which of its pixels lie in the picture.

    low, high: (P, 2) as (y, x) in 0..1, or beyond, where the edge is repeated.
    """
    side = pictures.shape[1]
    steps = (np.arange(side) + 0.5) / side
    points = (low[:, :, None] + (high - low)[:, :, None] * steps) * side - 0.5  # (P, 2, side)
    inside = (points > -0.5) & (points < side - 0.5)  # (P, 2, side)
    nearness = 1 - np.abs(points.clip(0, side - 1).astype(np.float32)[..., None] - np.arange(side, dtype=np.float32))
    weights = np.maximum(nearness, 0, out=nearness)  # (P, 2, side, side)
    found = weights[:, 0] @ pictures @ np.swapaxes(weights[:, 1], 1, 2)
    return found, inside[:, 0, :, None] & inside[:, 1, None, :] & _not_outermost(side)


def _not_outermost(side: int) -> NDArray[np.bool_]:
    """Where a part is compared, (1, side, side): a border, or what was cropped, mixes into the outermost pixels."""
    return np.pad(np.ones((1, side - 2, side - 2), np.bool_), ((0, 0), (1, 1), (1, 1)))


def _aligned(outer: Floats, inner: Floats, box: _Box) -> _Box:
    """The box of each `outer` that shows what `inner` shows; each is moved until it stays where it is."""
    small = _halved(outer), _halved(inner)
    for _ in range(FIRST_STEPS):
        box = _moved(*small, box, trusting=False)
    low, high = box
    moving = np.arange(len(outer))
    for _ in range(STEPS):
        before = low[moving], high[moving]
        low[moving], high[moving] = _moved(outer[moving], inner[moving], before, trusting=True)
        by = np.maximum(np.abs(low[moving] - before[0]), np.abs(high[moving] - before[1])).max(axis=1)
        moving = moving[by > STILL]
        if not len(moving):
            break
    return low, high


def _moved(outer: Floats, inner: Floats, box: _Box, trusting: bool) -> _Box:
    """The box of `outer` one step nearer to what `inner` shows. trusting: leave out where the two differ a lot.

    Lucas-Kanade: Gauss-Newton on shift and scale per axis, with gain and offset of brightness solved along.
    """
    part, inside = _part(outer, *box)
    shift, growth = _step(part, inner, inside * _trust(part, inner, inside) if trusting else inside.astype(np.float32))
    low, high = box
    size = high - low
    centre = ((low + high) / 2 + size * shift).clip(0.3, 0.7)
    size = (size * (1 + growth)).clip(SMALLEST_PART, LARGEST_PART)
    return centre - size / 2, centre + size / 2


def _step(part: Floats, inner: Floats, weights: Floats) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Shift and growth per axis, in units of the box, that bring `part` nearest to `inner`, (P, 2) each."""
    count, side, _ = part.shape
    u = ((np.arange(side) + 0.5) / side - 0.5).astype(np.float32)
    terms = np.empty((count, 7, side, side), np.float32)
    _slope(part, out=terms[:, 0])
    _slope(np.swapaxes(part, 1, 2), out=np.swapaxes(terms[:, 1], 1, 2))
    np.multiply(terms[:, 0], u[:, None], out=terms[:, 2])
    np.multiply(terms[:, 1], u, out=terms[:, 3])
    terms[:, 4], terms[:, 5], terms[:, 6] = part, 1, inner  # gain, offset, and what they are to give
    weighted = (terms[:, :6] * weights[:, None]).reshape(count, 6, -1)
    products = (weighted @ np.swapaxes(terms.reshape(count, 7, -1), 1, 2)).astype(np.float64)  # (P, 6, 7)
    solved = np.linalg.solve(products[:, :, :6] + 1e-3 * np.eye(6), products[:, :, 6:])[..., 0]
    gain = np.maximum(solved[:, 4:5], 0.2)  # a flat or contrary part must not send the box far away
    moves = (solved[:, :4] / gain).clip(-0.06, 0.06)  # linear only within about two pixels
    return moves[:, :2], moves[:, 2:]


def _slope(pictures: Floats, out: Floats) -> None:
    """How fast brightness changes from top to bottom, in grey levels per side."""
    side = pictures.shape[1]
    np.subtract(pictures[:, 2:], pictures[:, :-2], out=out[:, 1:-1])
    out[:, 1:-1] *= side / 2
    for row, after, before in ((0, 1, 0), (-1, -1, -2)):
        out[:, row] = (pictures[:, after] - pictures[:, before]) * side


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
    side = part.shape[1] // BLOCK
    blocks = -1, side, BLOCK, side, BLOCK
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
    evidence = np.sqrt(np.minimum(1, textured / (FULL_EVIDENCE_BLOCKS * (side * BLOCK / SIDE) ** 2)))
    return np.asarray(evidence * (correlation * weights).sum(axis=(1, 2)) / total, dtype=np.float32)


def _block_sums(values: Floats) -> Floats:
    """Sums over each block, (P, 8, BLOCK, 8, BLOCK) -> (P, 8, 1, 8, 1). Faster than `sum`, and as exact."""
    across: Floats = reduce(np.add, (values[..., column] for column in range(BLOCK)))
    total: Floats = reduce(np.add, (across[:, :, row] for row in range(BLOCK)))
    return total[:, :, None, :, None]
