"""Which pictures to choose from many: each way is one function, and the same pictures give the same answer.

Every way gives pictures one after the other, the most useful first. A picture that shows the same as one chosen
before (a copy, or all but identical for the model) is passed over, as looking at it would teach nothing; so there may
be fewer than asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from curate.lookalikes import nearest_among

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

# Cosine of centred vectors from which two pictures show the same. Among 3,000 pictures of Caltech-101, 4 % have such a
# neighbour for `classic` and 1 % for MobileNetV2, 93 to 98 % of these with the same label; among 3,000 cats
# and dogs only the copies have one.
SAME_SCENE = 0.95
MOST_CLUSTERS = 500  # as TypiClust has it; more are small, and what is typical of a few pictures is chance
SMALL_CLUSTER = 5  # pictures; smaller clusters are outliers more often than kinds, and come last (TypiClust)
TYPICAL_OF = 20  # a picture is typical if it is near to so many of its cluster (TypiClust)
CLUSTERED_ROWS = 20_000  # the centres of more rows than this move no more
COMPARED_ROWS = 2_000  # of a cluster; the mean over more comes out the same
CLUSTER_STEPS = 30


@dataclass(frozen=True)
class Pool:
    """What there is to choose from, in an order that the pictures' content decides.

    places: (N, d) projected vectors, at length 1. groups: (N,) equal on copies. learned: (N,) whether its label is
    known. free: (N,) whether it may be chosen.
    """

    places: Floats
    groups: Ints
    learned: Bools
    free: Bools


@dataclass(frozen=True)
class Chosen:
    """rows: in order, the most useful first. kin: of how many pictures each is the typical one; 0 = not chosen so."""

    rows: Ints
    kin: Ints


def by_lot(identities: Sequence[str], pool: Pool, count: int) -> Chosen:
    """At random, by a hash of the content: the baseline of everything else."""
    lots = [blake2b(f"next\0{one}".encode()).digest() for one in identities]
    order = np.array(sorted(np.flatnonzero(pool.free).tolist(), key=lots.__getitem__), np.int64)
    first = np.sort(np.unique(pool.groups[order], return_index=True)[1])  # alike pictures stay in: a draw has all kinds
    rows = order[first][:count]
    return Chosen(rows, np.zeros(len(rows), np.int64))


def by_score(scores: NDArray[np.floating], pool: Pool, count: int) -> Chosen:
    """The highest scores (N,)."""
    return _one_by_one(pool, count, lambda row: scores)  # noqa: ARG005  nothing changes as pictures are chosen


def by_distance(scores: NDArray[np.floating], pool: Pool, count: int) -> Chosen:
    """Greedily the highest score x distance to what is labelled or chosen (k-center, where all scores are equal).

    scores: (N,) at least 0.
    """
    distance = distance_to_learned(pool)

    def worth(row: int | None) -> NDArray[np.floating]:
        if row is not None:
            np.minimum(distance, 1 - pool.places @ pool.places[row], out=distance)
        return np.asarray(scores * np.maximum(distance, 0))

    return _one_by_one(pool, count, worth)


@dataclass(frozen=True)
class Need:
    """What classes lack. sizes: (K,) different labelled pictures of each. weight: (K,) how much more counts there."""

    sizes: NDArray[np.number]
    weight: NDArray[np.number]

    def of(self, probabilities: Floats) -> Floats:
        """How much each picture is needed, (N,): as much as the classes that it may be of, 1 / size each."""
        return np.asarray(probabilities @ (self.weight / np.maximum(self.sizes, 1)).astype(np.float32))

    def after(self, probabilities: Floats) -> Need:
        """What they lack when a picture (K,) is to get its label, too."""
        return Need(self.sizes + probabilities, self.weight)


def by_need(probabilities: Floats, pool: Pool, count: int, need: Need) -> Chosen:
    """Pictures of the classes that need some, each counted for the classes that it may be of. probabilities: (N, K).

    Without the counting a batch is all of one class, and worse than random choice.
    """

    def worth(row: int | None) -> NDArray[np.floating]:
        nonlocal need
        if row is not None:
            need = need.after(probabilities[row])
        return need.of(probabilities)

    return _one_by_one(pool, count, worth)


def by_gradient(probabilities: Floats, pool: Pool, count: int, need: Need) -> Chosen:
    """Pictures that would each move the model far, and each in another direction (BADGE, Ash et al. 2020).

    probabilities: (N, K). need: multiplies squared lengths, and is counted down as in `by_need`.
    The gradient of the last layer, if the best guess were the label, is the outer product of (probabilities - guess)
    and the picture's vector: large where the model is unsure, pointing elsewhere where it hesitates between other
    classes or looks at other pictures. It is never written out: the product of two gradients is the product of their
    two products. Where BADGE draws by lot (k-means++), the farthest is taken here.
    """
    errors = probabilities.copy()
    best = errors.argmax(axis=1)
    errors[np.arange(len(errors)), best] = 0
    errors[np.arange(len(errors)), best] = -errors.sum(axis=1)  # (N, K); probability - 1 would round to 0 if it is sure
    size = np.einsum("ij,ij->i", errors, errors, dtype=np.float64)  # places have length 1
    distance = np.full(len(errors), np.inf)

    def worth(row: int | None) -> NDArray[np.floating]:
        nonlocal need
        if row is None:
            return np.asarray(size * need.of(probabilities))
        need = need.after(probabilities[row])
        away = size + size[row] - 2 * (errors @ errors[row]) * (pool.places @ pool.places[row])
        np.minimum(distance, away, out=distance)
        return np.asarray(distance * need.of(probabilities))

    return _one_by_one(pool, count, worth)


def by_typicality(pool: Pool, count: int) -> Chosen:
    """The most typical picture of each large cluster that has no label yet (TypiClust, Hacohen et al. 2022).

    The best there is before a model knows anything: odd pictures teach little when ordinary ones are unknown.
    """
    different = len(np.unique(pool.groups[pool.learned]))
    cluster = _clusters(pool.places, min(different + count, MOST_CLUSTERS))
    sizes = np.bincount(cluster)
    covered = np.bincount(cluster[pool.learned], minlength=len(sizes))
    typical = np.concatenate([_typicality(pool.places, np.flatnonzero(cluster == one)) for one in range(len(sizes))])
    score = np.empty(len(cluster), np.float32)
    score[np.argsort(cluster, kind="stable")] = typical
    left, rows = pool.free.copy(), list[int]()
    while len(rows) < count and left.any():
        open_ = np.bincount(cluster[left], minlength=len(sizes)) > 0
        turn = np.lexsort((-sizes, sizes < SMALL_CLUSTER, covered, ~open_))[0]
        row = int(np.where(left & (cluster == turn), score, -np.inf).argmax())
        rows.append(row)
        covered[turn] += 1
        left &= ~_same_scene(pool, row)
    chosen = np.array(rows, np.int64)
    return Chosen(chosen, sizes[cluster[chosen]])


def uncertainty(probabilities: Floats) -> Floats:
    """How near the two most probable classes are, (N,): 1 = equally probable, 0 = the first is certain.

    Entropy, the other usual measure, was tried: as good with few classes, worse with forty.
    """
    ordered = np.sort(probabilities, axis=1)
    # 1 - (first - second), without rounding to 0 where the model is sure: models are sure of much, to various degrees.
    return np.asarray(ordered[:, :-1].sum(axis=1) + ordered[:, -2:-1].sum(axis=1), np.float32)


def distance_to_learned(pool: Pool) -> Floats:
    """Cosine distance of each row to the nearest labelled one, (N,) 0..2; 2 where there is none."""
    if not pool.learned.any():
        return np.full(len(pool.places), 2, np.float32)
    found = nearest_among(pool.places, pool.places[pool.learned], 1)
    return 1 - found.similarity[:, 0]


def _one_by_one(pool: Pool, count: int, worth: Callable[[int | None], NDArray[np.floating]]) -> Chosen:
    """worth: given the row chosen last (None at first), what each row is worth now, (N,)."""
    left, rows = pool.free.copy(), list[int]()
    while len(rows) < count and left.any():
        rows.append(int(np.where(left, worth(rows[-1] if rows else None), -np.inf).argmax()))
        left &= ~_same_scene(pool, rows[-1])
    return Chosen(np.array(rows, np.int64), np.zeros(len(rows), np.int64))


def _same_scene(pool: Pool, row: int) -> Bools:
    """Which rows show the same as this one, (N,); itself among them."""
    same = (pool.groups == pool.groups[row]) | (pool.places @ pool.places[row] >= SAME_SCENE)
    same[row] = True
    return np.asarray(same)


def _clusters(places: Floats, count: int) -> Ints:
    """k-means on at most CLUSTERED_ROWS of the rows; the cluster of each row, (N,) 0..count-1, none of them empty."""
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # comes with scikit-learn, untyped

    sample = places[np.linspace(0, len(places) - 1, min(len(places), CLUSTERED_ROWS)).astype(np.int64)]
    count = min(count, len(np.unique(sample, axis=0)))
    with threadpool_limits(1):  # several threads add up in any order, and the clusters come out different
        model = KMeans(count, n_init=1, max_iter=CLUSTER_STEPS, random_state=0).fit(sample)
        found = model.predict(places)
    return np.unique(found, return_inverse=True)[1]


def _typicality(places: Floats, members: Ints) -> Floats:
    """How near each member is to its nearest few of the cluster: mean cosine, (M,)."""
    compared = members[np.linspace(0, len(members) - 1, min(len(members), COMPARED_ROWS)).astype(np.int64)]
    found = nearest_among(places[members], places[compared], min(TYPICAL_OF + 1, len(compared)))  # itself is first
    return np.asarray(found.similarity.mean(axis=1), np.float32)
