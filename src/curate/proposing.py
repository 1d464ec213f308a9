"""Which pictures may show the same photograph: for each its nearest few, by descriptors that ignore how it is turned.

A crop is met because every picture also asks with windows of itself. Up to EXACT pictures all are compared with all
(`nearest`). Beyond, that would cost more than decoding them: then each window is compared with the pictures of the
cells nearest to it (`nearest_in_cells`, see `curate.cells`). Both give each picture's answer by itself, the nearest few
of those that it met, so that answers for parts of a folder can be put together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curate import all_cores
from curate.all_cores import in_parts, on_all_cores
from curate.cells import CELLS, SCALE, Shorts, nearest_cells, quantised
from curate.progress import Advance, no_advance
from curate.spectra import (
    FREQUENCIES,
    WINDOWS,
    Bytes,
    Floats,
    Ints,
    best_turn,
    invariants,
    slices,
    spectra,
)

# Pictures. Here all with all takes 19 s of CPU and finds .994 of edited copies, cells 5 s and .988.
EXACT = 20_000
# Proposals per picture. Of edited copies .998 have their original among the nearest 5, .979 nearest of all.
NEIGHBOURS = 5
MIN_PROPOSAL = 0.85  # cosine of invariant descriptors; 99.5 % of edited copies are above 0.90
# In cells: 98.8 % of edited copies are above. Of a million pictures, scaled from 12,000 of a corpus of photographs,
# half have no stranger above it, one in ten has more than 250, and the mean is 340.
MIN_PROPOSAL_IN_CELLS = 0.94
MIN_COARSE = 0.90  # cosine of the oriented low frequencies, see `curate.matching`
SAME_WINDOW = 0.97  # cosine of descriptors; of 17 windows 11 ask, and .0005 of the copies are lost
PROBES = 2  # cells that each window looks into; .970 of edited copies are met so, .953 in 1, .976 in 3, .988 in all
AT_ONCE = 49_152  # pictures asking at once, over all cores: 180 MB of descriptors, on two 130 questions for each cell
FEWEST_AT_ONCE = 2_048  # of each core
BLOCKS_PER_CORE = 8  # at least, so that all have work until the end
QUESTIONS_AT_ONCE = 8_192  # whose distances to the centres, 8 MB, stay in the cache
FEW_HITS = 8  # per question; with more, as in a heap of copies, only the nearest are listed
MOST_PRODUCTS = 2**17  # 512 kB: they stay in the cache of a core

# One number per hit: row 15 bits, place of the other 29, distance 20 (above MIN_PROPOSAL_IN_CELLS it is below 2**20).
MOST_ROWS = 2**15
_Keys = NDArray[np.uint64]
_Places = NDArray[np.integer[Any]]


def nearest(thumbnails: Bytes, asking: Ints, among: Ints, advance: Advance = no_advance) -> tuple[Ints, Floats]:
    """For each asking picture its nearest few among some, by comparing with all of them.

    asking, among: row numbers. advance: called with the number of rows done.
    Returns (P, 2) row numbers (asking, other) and their nearness (P,), from MIN_PROPOSAL to 1.
    """
    if not len(asking) or not len(among):
        return np.empty((0, 2), np.int64), np.empty(0, np.float32)
    parts = (among[block] for block in slices(len(among)))
    whole = np.concatenate([invariants(spectra(thumbnails[part], slice(1)))[:, 0] for part in parts])  # (M, 42)
    pairs, nearness = [], []
    blocks = list(slices(len(asking), len(among)))
    answers = on_all_cores(lambda block: _nearest(thumbnails, asking[block], among, whole), blocks)
    for block, (found, values) in zip(blocks, answers, strict=True):
        pairs.append(found)
        nearness.append(values)
        advance(block.stop - block.start)
    return np.concatenate(pairs), np.concatenate(nearness)


def _nearest(thumbnails: Bytes, rows: Ints, among: Ints, whole: Floats) -> tuple[Ints, Floats]:
    """The nearest neighbours of some rows, by any window of the row; pairs (P, 2) and nearness (P,)."""
    asked = invariants(spectra(thumbnails[rows]))  # (B, W, 42)
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


# ---- In cells


@dataclass(frozen=True)
class Proposals:
    """pairs: (P, 2) row numbers (asking, other), each asking one's nearest first. nearness: (P,), 0..1.

    plausible: False where already the low frequencies of the best window contradict, (P,).
    """

    pairs: NDArray[np.integer[Any]]
    nearness: Floats
    plausible: NDArray[np.bool_]


def nearest_in_cells(thumbnails: Bytes, asking: Ints, among: Ints, advance: Advance = no_advance) -> Proposals:
    """For each asking picture its nearest few among those in the cells that it looks into.

    asking, among: row numbers, ascending; fewer than 2**29 in `among`. Of equally near ones the earlier row wins.
    """
    stored = _stored(thumbnails, among)
    found = [Proposals(np.empty((0, 2), np.int32), np.empty(0, np.float32), np.empty(0, np.bool_))]
    blocks = in_parts(asking if len(among) else asking[:0], _block_size(len(asking), all_cores.cores()))
    for rows, answer in zip(blocks, on_all_cores(lambda rows: _ask(thumbnails, rows, stored), blocks), strict=True):
        found.append(answer)
        advance(len(rows))
    return Proposals(
        np.concatenate([one.pairs for one in found]),
        np.concatenate([one.nearness for one in found]),
        np.concatenate([one.plausible for one in found]),
    )


def _block_size(count: int, cores: int) -> int:
    """How many pictures one process asks for at once."""
    most = min(max(AT_ONCE // cores, FEWEST_AT_ONCE), MOST_ROWS)
    return max(1, min(-(-count // (cores * BLOCKS_PER_CORE)), most))


@dataclass(frozen=True)
class _Stored:
    """Pictures by cell. points: (M, 42) whole numbers. places: (M,) in `among`, ascending within a cell.

    bounds: (CELLS + 1,) where each cell begins. among: (M,) row numbers, ascending.
    """

    points: Floats
    places: NDArray[np.int32]
    bounds: Ints
    among: Ints


def _stored(thumbnails: Bytes, among: Ints) -> _Stored:
    def described(rows: Ints) -> Shorts:
        parts = [invariants(spectra(thumbnails[rows[part]], slice(1)))[:, 0] for part in slices(len(rows))]
        return quantised(np.concatenate(parts))

    parts = list(on_all_cores(described, in_parts(among, 4096)))
    points = np.concatenate([np.empty((0, 42), np.int16), *parts])  # (M, 42)
    homes = on_all_cores(lambda part: nearest_cells(part, 1)[:, 0], parts)
    cell = np.concatenate([np.empty(0, np.uint16), *homes])
    places = np.argsort(cell, kind="stable").astype(np.int32)
    bounds = np.searchsorted(cell[places], np.arange(CELLS + 1))
    return _Stored(points[places].astype(np.float32), places, bounds, among)


def _ask(thumbnails: Bytes, rows: Ints, stored: _Stored) -> Proposals:
    """The answer for one block of rows."""
    oriented = np.empty((len(rows), len(WINDOWS), FREQUENCIES**2), np.int16)
    points = np.empty((len(rows), len(WINDOWS), 42), np.int16)
    for block in slices(len(rows)):
        oriented[block], points[block] = _described(thumbnails[rows[block]])
    asked = _telling(points)
    questions, row_of = points[asked], np.nonzero(asked)[0]
    cell = np.concatenate([nearest_cells(part, PROBES) for part in in_parts(questions, QUESTIONS_AT_ONCE)]).ravel()
    order = np.argsort(cell, kind="stable").astype(np.int32)  # by cell, then row, then window
    bounds = np.searchsorted(cell[order], np.arange(CELLS + 1))
    busy = np.flatnonzero((np.diff(bounds) > 0) & (np.diff(stored.bounds) > 0))
    row, other, distance = _decoded(_nearest_windows(_hits_in(busy, questions, row_of, order, bounds, rows, stored)))
    there = stored.among[other]
    plausible = [
        _plausible(thumbnails[others], points, oriented, asking)
        for others, asking in zip(in_parts(there, 256), in_parts(row, 256), strict=True)
    ]
    nearness = (1 - distance / SCALE**2).astype(np.float32)
    return Proposals(
        np.stack([rows[row], there], axis=1).astype(np.int32),
        nearness,
        np.concatenate([np.empty(0, np.bool_), *plausible]),
    )


def _described(thumbnails: Bytes) -> tuple[Shorts, Shorts]:
    """Oriented low frequencies (N, W, F * F) and invariants (N, W, 42) of all windows."""
    found = spectra(thumbnails)
    return quantised(found.reshape(*found.shape[:2], -1)), quantised(invariants(found))


def _telling(points: Shorts) -> NDArray[np.bool_]:
    """Windows unlike all earlier ones of the same picture, (N, W): the others would meet the same pictures."""
    found = np.zeros(points.shape[:2], np.bool_)
    for block in slices(len(points)):
        some = points[block].astype(np.float32)
        alike = some @ np.swapaxes(some, 1, 2) >= SAME_WINDOW * SCALE**2  # (B, W, W)
        for window in range(len(WINDOWS)):
            found[block, window] = ~(found[block] & alike[:, window]).any(axis=1)
    return found


def _hits_in(
    cells: Ints, points: Shorts, row_of: Ints, order: _Places, bounds: Ints, rows: Ints, stored: _Stored
) -> _Keys:
    """Hits of the questions that fall into some cells. row_of: of each question, in the block."""
    met = [(np.empty(0, np.int64), np.empty(0, np.int32), np.empty(0, np.float32))]  # row, place, product
    for cell in cells.tolist():
        asked = order[bounds[cell] : bounds[cell + 1]] // PROBES
        inside = slice(stored.bounds[cell], stored.bounds[cell + 1])
        members, places = stored.points[inside].T, stored.places[inside]  # (42, m), (m,)
        questions, row = points[asked].astype(np.float32), row_of[asked]
        step = max(1, MOST_PRODUCTS // len(places))
        for start in range(0, len(asked), step):
            products = questions[start : start + step] @ members  # (questions, m)
            flat = np.flatnonzero(_near(products))
            at, column = np.divmod(flat, len(places))
            met.append((row[start + at], places[column], products.ravel()[flat]))
    row, place, product = (np.concatenate(part) for part in zip(*met, strict=True))
    others = stored.among[place] != rows[row]  # not itself
    distance = np.maximum(SCALE**2 - product[others], 0).astype(np.uint64)
    found = row[others].astype(np.uint64) << np.uint64(49) | place[others].astype(np.uint64) << np.uint64(20) | distance
    return np.asarray(found)


def _near(products: Floats) -> NDArray[np.bool_]:
    """The near ones of each question, or about the nearest few where there are many."""
    near = products >= MIN_PROPOSAL_IN_CELLS * SCALE**2
    if products.shape[1] > NEIGHBOURS + 1 and np.count_nonzero(near) > FEW_HITS * len(products):
        near &= products >= _bound(products)[:, None]
    return np.asarray(near)


def _bound(products: Floats) -> Floats:
    """A number that the nearest few of each row reach, and few others, (rows,)."""
    few = NEIGHBOURS + 1  # one more than are wanted, because the picture itself may be among them
    width = products.shape[1] // 8
    if width > few:  # the best of eight each: as many are at least that high; five times as fast
        products = products[:, : 8 * width].reshape(len(products), 8, width).max(axis=1)
    return np.asarray(np.partition(products, -few, axis=1)[:, -few])


def _nearest_windows(keys: _Keys) -> _Keys:
    """Of each pair the nearest window's, and of each row the nearest few of these."""
    keys = np.sort(keys)
    keys = keys[np.diff(keys >> np.uint64(20), prepend=np.uint64(2**45)) != 0]
    row, distance = keys >> np.uint64(49), keys & np.uint64((1 << 20) - 1)
    order = np.lexsort((distance, row))  # of equal ones the earlier place stays first
    row = row[order]
    starts = np.flatnonzero(np.diff(row, prepend=np.uint64(2**16)))
    place = np.arange(len(keys)) - np.repeat(starts, np.diff(starts, append=len(keys)))
    return keys[order[place < NEIGHBOURS]]


def _decoded(keys: _Keys) -> tuple[Ints, Ints, Ints]:
    """Row within the block, place of the other, and distance of descriptors, SCALE**2 = nothing in common."""
    place, distance = keys >> np.uint64(20) & np.uint64((1 << 29) - 1), keys & np.uint64((1 << 20) - 1)
    return (keys >> np.uint64(49)).astype(np.int64), place.astype(np.int64), distance.astype(np.int64)


def _plausible(others: Bytes, points: Shorts, oriented: Shorts, row: Ints) -> NDArray[np.bool_]:
    """Whether the best window of each row agrees with the other picture in one of eight orientations."""
    spectrum = spectra(others, slice(1))  # (P, 1, F, F)
    descriptor = quantised(invariants(spectrum)[:, 0]).astype(np.float32)
    window = (points[row].astype(np.float32) @ descriptor[:, :, None])[..., 0].argmax(axis=1)
    asked = oriented[row, window].astype(np.float32) / SCALE
    cosines = best_turn(asked, spectrum[:, 0])
    return np.asarray(cosines >= MIN_COARSE)
