"""The pictures that look most alike, by the cosine of their embeddings.

Up to some 50,000 pictures all pairs are compared, in blocks of rows, never as one N x N matrix. Above, an index
(faiss, `pip install 'curate[index]'`) looks only where it is worth while, by as few principal axes as will do; what it
finds is compared in full, and how many neighbours it misses is measured on some pictures of the very set. Without faiss
all pairs are compared all the same, which takes longer.
An HNSW graph was rejected: built by several threads it can come out different each time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curate.all_cores import cores, in_parts, on_all_cores
from curate.heads import fit_projection
from curate.largest import at_least
from curate.progress import Advance, no_advance

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

EXACT_PAIRS = 50_000**2  # 41 s of CPU at 512 dimensions; an index is not worth its errors before
BLOCK_BYTES = 64_000_000  # of similarities at a time; 16 and 256 MB were no faster
PAIRS = 2**9  # of vectors compared in full at a time: they stay in the cache of a core
SAME = 1e-5  # float32 sums of 1,000 products in another order differ by less: closer values are compared anew
NO_COSINE = -2  # below all; who is left out has even less
MIN_RECALL = 0.99  # share of the true neighbours that an index must find
SAMPLED = 512  # pictures on which that is measured: .99 of 10 neighbours each is then known to +-.003
ENOUGH, ENOUGH_IN_FEW = 0.993, 0.997  # shares to go for: with the cells looked into, and before, with few numbers
# Principal axes that an index may see. The 5 nearest of 98,500 made pictures come with 64 of 512 (94.6 % of the
# variance) and in a fifth of the time, of 18,144 photographs in MobileNetV2's eyes with 256 of 1,280 and in a third.
FEW_NUMBERS = (64, 128, 256)
ASKED = 4  # times k: with 64 axes 2.5 times k gave .992, 5 times .999, 10 times .999
FASTER = "pip install 'curate[index]' makes that faster"
SPARE = 8  # copies in the index's answer that may be left out before a row is searched exactly


@dataclass(frozen=True)
class Lookalikes:
    """The nearest k of each picture, nearest first.

    indices: (N, k), row of the neighbour, -1 = there are fewer. similarity: (N, k), cosine -1..1, NaN = fewer.
    recall: share of the true neighbours that were found, 1 = all were compared; below, as measured on a sample.
    note: what a user should know of how they were found, "" = nothing.
    """

    indices: Ints
    similarity: Floats
    recall: float = 1.0
    note: str = ""


def nearest(
    vectors: Floats,
    k: int,
    *,
    groups: Ints | None = None,
    advance: Advance = no_advance,
    exact_pairs: int = EXACT_PAIRS,
) -> Lookalikes:
    """The k most alike of each picture, without itself and without its own group: copies prove nothing.

    vectors: (N, D), any length; a vector of zeros is like nothing (similarity 0). groups: (N,), equal = copies.
    Equally near ones come by index. advance: called with the number of pictures that are done.
    exact_pairs: up to so many pairs all are compared, above an index is asked if there is one.
    Raises ValueError when a vector is not finite.
    """
    unit = unit_length(vectors)
    own = np.arange(len(unit)) if groups is None else np.asarray(groups, np.int64)
    if len(unit) ** 2 <= exact_pairs:
        return _compare_all(unit, unit, k, (own, own), advance)
    if find_spec("faiss") is None:
        found = _compare_all(unit, unit, k, (own, own), advance)
        return replace(found, note=f"All {len(unit):,} pictures were compared with each other; {FASTER}.")
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # of scikit-learn, untyped

    with threadpool_limits(cores(), "openmp"):  # faiss would take all there are
        return _by_index(unit, k, own, advance)


def nearest_among(queries: Floats, vectors: Floats, k: int, *, advance: Advance = no_advance) -> Lookalikes:
    """The k of `vectors` (N, D) that are most like each of `queries` (Q, D); indices are rows of `vectors`."""
    groups = (np.full(len(queries), -1, np.int64), np.arange(len(vectors)))
    return _compare_all(unit_length(queries), unit_length(vectors), k, groups, advance)


def unit_length(vectors: Floats) -> Floats:
    """The vectors at length 1, zeros as they are. Raises ValueError when one is not finite."""
    vectors = np.asarray(vectors, np.float32)
    length = np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64))  # (N,)
    if not np.isfinite(length).all():
        raise ValueError(f"The vector of row {int(np.argmin(np.isfinite(length)))} is not finite.")
    return vectors / np.where(length > 0, length, 1).astype(np.float32)[:, None]


def _compare_all(queries: Floats, vectors: Floats, k: int, groups: tuple[Ints, Ints], advance: Advance) -> Lookalikes:
    """groups: of the queries and of the vectors; pairs of one group are left out."""
    indices = np.full((len(queries), k), -1, np.int64)
    similarity = np.full((len(queries), k), np.nan, np.float32)
    step = max(1, BLOCK_BYTES // (4 * max(1, len(vectors))))

    def compared(rows: Ints) -> tuple[Ints, Floats]:
        some = queries[rows]
        return _ranked(some, vectors, k, *_candidates(some, vectors, k, (groups[0][rows], groups[1])))

    blocks = in_parts(np.arange(len(queries) if len(vectors) and k else 0), step)
    for rows, found in zip(blocks, on_all_cores(compared, blocks, few=1), strict=True):
        indices[rows], similarity[rows] = found
        advance(len(rows))
    return Lookalikes(indices, similarity)


def _candidates(queries: Floats, vectors: Floats, k: int, groups: tuple[Ints, Ints]) -> tuple[Ints, Ints]:
    """Pairs (row, column) that hold the k nearest of each row and what BLAS can't tell from the last of them."""
    similarity = queries @ vectors.T  # (B, N)
    np.putmask(similarity, groups[0][:, None] == groups[1], -np.inf)
    return at_least(similarity, min(k, len(vectors)), SAME, NO_COSINE)


def _ranked(queries: Floats, vectors: Floats, k: int, rows: Ints, columns: Ints) -> tuple[Ints, Floats]:
    """The k best of the pairs of each row, (B, k) each; ties by column."""
    # BLAS sums in another order at the edge of a block; equal vectors must come out equal.
    exact = np.empty(len(rows), np.float32)
    for one, other, into in zip(*(in_parts(values, PAIRS) for values in (rows, columns, exact)), strict=True):
        into[:] = np.einsum("ij,ij->i", queries[one], vectors[other], dtype=np.float64)
    order = np.lexsort((columns, -exact, rows))
    rows, columns, exact = rows[order], columns[order], exact[order]
    rank = np.arange(len(rows)) - np.searchsorted(rows, rows)
    kept = rank < k
    indices = np.full((len(queries), k), -1, np.int64)
    similarity = np.full((len(queries), k), np.nan, np.float32)
    indices[rows[kept], rank[kept]] = columns[kept]
    similarity[rows[kept], rank[kept]] = np.clip(exact[kept], -1, 1)
    return indices, similarity


# ---- By an index


@dataclass(frozen=True)
class _Search:
    """What is looked for in an index: the k nearest of each of `unit` (N, D), of another group (N,)."""

    unit: Floats
    k: int
    groups: Ints

    @property
    def wanted(self) -> int:
        """How many an index is asked for, of which the nearest are taken: it may see them in fewer numbers."""
        return min(len(self.unit), ASKED * self.k + 1 + SPARE)

    def everywhere(self, rows: Ints) -> Lookalikes:
        """Without an index. rows: (B,)."""
        return _compare_all(self.unit[rows], self.unit, self.k, (self.groups[rows], self.groups), no_advance)

    def among(self, rows: Ints, found: Ints) -> Lookalikes:
        """The best of what an index found of each row, (B, W), -1 = nothing; left with too few it looks everywhere."""
        one, place = np.nonzero((found >= 0) & (self.groups[rows][:, None] != self.groups[found]))
        indices, similarity = _ranked(self.unit[rows], self.unit, self.k, one, found[one, place].astype(np.int64))
        short = np.flatnonzero(indices[:, -1] < 0)
        if len(short):
            exact = self.everywhere(rows[short])
            indices[short], similarity[short] = exact.indices, exact.similarity
        return Lookalikes(indices, similarity)


def _by_index(unit: Floats, k: int, groups: Ints, advance: Advance) -> Lookalikes:
    search = _Search(unit, k, groups)
    sample = np.random.default_rng(0).choice(len(unit), min(SAMPLED, len(unit)), replace=False)
    kth = search.everywhere(sample).similarity[:, -1:]

    def recall_of(found: Ints) -> float:
        # By similarity, as another of two equally near ones is no miss.
        return float(np.mean(search.among(sample, found).similarity >= kth - SAME))

    places = _in_few_numbers(search, sample, recall_of)
    index = _index(places)
    recall = _widen(index, unit.shape[1], places[sample], search.wanted, recall_of)
    if recall < MIN_RECALL:  # no clusters to make use of: looking everywhere is as quick without an index
        return _compare_all(unit, unit, k, (groups, groups), advance)
    indices, similarity = np.empty((len(unit), k), np.int64), np.empty((len(unit), k), np.float32)
    for rows in in_parts(np.arange(len(unit)), 4096):
        found = search.among(rows, index.search(places[rows], search.wanted)[1])
        indices[rows], similarity[rows] = found.indices, found.similarity
        advance(len(rows))
    note = f"Neighbours come from an index that finds {recall:.1%} of them, as measured on {SAMPLED} pictures."
    return Lookalikes(indices, similarity, recall, note)


def _in_few_numbers(search: _Search, sample: Ints, recall_of: Callable[[Ints], float]) -> Floats:
    """The vectors on as few of their principal axes as tell neighbours from others, or as they are; (N, d)."""
    import faiss

    projected = fit_projection(search.unit)(search.unit)
    for numbers in FEW_NUMBERS:
        if numbers <= projected.shape[1] and numbers < search.unit.shape[1]:
            places = np.ascontiguousarray(projected[:, :numbers])
            if recall_of(faiss.knn(places[sample], places, search.wanted)[1]) >= ENOUGH_IN_FEW:
                return places
    return search.unit


def _index(places: Floats) -> Any:
    """faiss' cells of places (N, d) that lie together."""
    import faiss

    cells = int(4 * np.sqrt(len(places)))  # faiss' own advice for up to a million vectors
    index = faiss.IndexIVFFlat(faiss.IndexFlatL2(places.shape[1]), places.shape[1], cells, faiss.METRIC_L2)
    index.cp.niter, index.cp.max_points_per_centroid = 10, 64  # 25 and 256 gained no recall
    index.train(places)
    index.add(places)
    return index


def _widen(index: Any, dimensions: int, asked: Floats, wanted: int, recall_of: Callable[[Ints], float]) -> float:
    """Let the index look into more cells until it finds enough; to a quarter of comparing all in full. The recall.

    dimensions: of the vectors in full. asked: places of the sample.
    """
    most = min(index.nlist, index.nlist * dimensions // (4 * index.d))
    index.nprobe = 8
    while (recall := recall_of(index.search(asked, wanted)[1])) < ENOUGH and index.nprobe < most:
        index.nprobe = min(most, index.nprobe * 3 // 2)
    return recall
