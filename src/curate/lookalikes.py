"""The pictures that look most alike, by the cosine of their embeddings.

Up to some 50,000 pictures all pairs are compared, in blocks of rows, never as one N x N matrix. Above, an index
(faiss, `pip install 'curate[index]'`) looks only where it is worth while, and how many neighbours it misses is
measured on some pictures of the very set; without faiss all pairs are compared all the same, which takes longer.
An HNSW graph was rejected: built by several threads it can come out different each time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curate.progress import Advance, no_advance

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

EXACT_PAIRS = 50_000**2  # a minute on one core at 512 dimensions; an index is not worth its errors before
BLOCK_BYTES = 64_000_000  # of similarities at a time; 16 and 256 MB were no faster
SAME = 1e-5  # float32 sums of 1,000 products in another order differ by less: closer values are compared anew
MIN_RECALL = 0.99  # share of the true neighbours that an index must find
SAMPLED = 512  # pictures on which that is measured: .99 of 10 neighbours each is then known to +-.003
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
    return _by_index(unit, unit, k, (own, own), advance)


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
    for start in range(0, len(queries), step) if len(vectors) and k else ():
        block = slice(start, start + step)
        rows, columns = _candidates(queries[block], vectors, k, (groups[0][block], groups[1]))
        indices[block], similarity[block] = _ranked(queries[block], vectors, k, rows, columns)
        advance(len(queries[block]))
    return Lookalikes(indices, similarity)


def _candidates(queries: Floats, vectors: Floats, k: int, groups: tuple[Ints, Ints]) -> tuple[Ints, Ints]:
    """Pairs (row, column) that hold the k nearest of each row and what BLAS can't tell from the last of them."""
    similarity = queries @ vectors.T  # (B, N)
    np.putmask(similarity, groups[0][:, None] == groups[1], -np.inf)
    last = max(0, len(vectors) - k)
    kth = np.partition(similarity, last, axis=1)[:, last, None]  # (B, 1)
    near = similarity >= np.maximum(kth - SAME, -2)  # a cosine is at least -1, who is left out has -inf
    crowded = near.sum(axis=1) > 4 * k
    if crowded.any():  # of hundreds of equal pictures the first k will do
        level = near[crowded] & (similarity[crowded] <= kth[crowded] + SAME)
        near[crowded] &= ~level | (np.cumsum(level, axis=1) <= k)
    rows, columns = np.nonzero(near)
    return rows, columns


def _ranked(queries: Floats, vectors: Floats, k: int, rows: Ints, columns: Ints) -> tuple[Ints, Floats]:
    """The k best of the pairs of each row, (B, k) each; ties by column."""
    # BLAS sums in another order at the edge of a block; equal vectors must come out equal.
    exact = np.einsum("ij,ij->i", queries[rows], vectors[columns], dtype=np.float64).astype(np.float32)
    order = np.lexsort((columns, -exact, rows))
    rows, columns, exact = rows[order], columns[order], exact[order]
    rank = np.arange(len(rows)) - np.searchsorted(rows, rows)
    kept = rank < k
    indices = np.full((len(queries), k), -1, np.int64)
    similarity = np.full((len(queries), k), np.nan, np.float32)
    indices[rows[kept], rank[kept]] = columns[kept]
    similarity[rows[kept], rank[kept]] = np.clip(exact[kept], -1, 1)
    return indices, similarity


def _by_index(queries: Floats, vectors: Floats, k: int, groups: tuple[Ints, Ints], advance: Advance) -> Lookalikes:
    import faiss

    cells = int(4 * np.sqrt(len(vectors)))  # faiss' own advice for up to a million vectors
    index = faiss.IndexIVFFlat(faiss.IndexFlatIP(vectors.shape[1]), vectors.shape[1], cells, faiss.METRIC_INNER_PRODUCT)
    index.cp.niter, index.cp.max_points_per_centroid = 10, 64  # 25 and 256 gained no recall
    index.train(vectors)
    index.add(vectors)
    recall = _widen(index, cells, queries, vectors, k, groups)
    if recall < MIN_RECALL:  # no clusters to make use of: looking everywhere is as quick without an index
        return _compare_all(queries, vectors, k, groups, advance)
    indices = np.empty((len(queries), k), np.int64)
    similarity = np.empty((len(queries), k), np.float32)
    for start in range(0, len(queries), 4096):
        block = slice(start, start + 4096)
        found = _ask(index, queries[block], vectors, k, (groups[0][block], groups[1]))
        indices[block], similarity[block] = found.indices, found.similarity
        advance(len(queries[block]))
    note = f"Neighbours come from an index that finds {recall:.1%} of them, as measured on {SAMPLED} pictures."
    return Lookalikes(indices, similarity, recall, note)


def _widen(index: Any, cells: int, queries: Floats, vectors: Floats, k: int, groups: tuple[Ints, Ints]) -> float:
    """Let the index look into more cells until it finds enough on a sample; up to a quarter of all. The recall."""
    sample = np.random.default_rng(0).choice(len(queries), min(SAMPLED, len(queries)), replace=False)
    some = (groups[0][sample], groups[1])
    truth = _compare_all(queries[sample], vectors, k, some, no_advance)
    recall, index.nprobe = 0.0, 8
    while recall < MIN_RECALL + 0.003 and index.nprobe <= cells // 4:
        index.nprobe *= 2
        found = _ask(index, queries[sample], vectors, k, some)
        # By similarity, as another of two equally near ones is no miss.
        recall = float(np.mean(found.similarity >= truth.similarity[:, -1:] - SAME))
    return recall


def _ask(index: Any, queries: Floats, vectors: Floats, k: int, groups: tuple[Ints, Ints]) -> Lookalikes:
    """What the index finds; a row whose answer is mostly its own copies is compared with everything."""
    wanted = min(len(vectors), k + 1 + SPARE)
    _, found = index.search(queries, wanted)  # (B, wanted), -1 = no more
    allowed = (found >= 0) & (groups[0][:, None] != groups[1][found])
    rows, places = np.nonzero(allowed)
    indices, similarity = _ranked(queries, vectors, k, rows, found[rows, places].astype(np.int64))
    short = np.flatnonzero(indices[:, -1] < 0)
    if len(short):
        exact = _compare_all(queries[short], vectors, k, (groups[0][short], groups[1]), no_advance)
        indices[short], similarity[short] = exact.indices, exact.similarity
    return Lookalikes(indices, similarity)
