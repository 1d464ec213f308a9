"""Leave out of large classes what others show as well.

What it does: of the two pictures of a class that are most alike, the one that a model finds easier goes, then of the
next two, until the class has the wanted size. So copies go first, then frames of one scene, then the common view;
pictures like no other and hard ones stay. Those whose label is likely wrong, as `curate flag` says, go before all.
When it helps: where large classes are large by repetition: video, bursts, one catalogue, one popular view. Where they
are not, it was not measurably better than choosing by lot; with random-over after it, an epoch no longer than before
gained nearly all that longer ones did.
When it harms: where the common view is what counts: it makes classes more varied than the world is, so that ordinary
pictures become rare in training. Before `curate flag`, wrong labels stay, as they look like nothing else in the class.
Source: our own; the order is that of the truncation in SPEA2 (Zitzler, Laumanns and Thiele 2001). Its relatives are
core-sets: Sener and Savarese 2018, "Active learning for convolutional neural networks: a core-set approach".
"""

from __future__ import annotations

import heapq

import numpy as np

from curate.strategies import Balance, Floats, Goal, Ints, Strategy, Training

NEIGHBOURS = 8  # known of each picture per round; more cost memory, fewer cost rounds: the outcome is the same


def choose(training: Training, goal: Goal, before: Balance) -> Balance:
    gone = []
    for label in np.flatnonzero(~training.rare):
        rows = np.flatnonzero(before.used & (training.labels == label))
        if len(rows) > goal.ceiling:
            gone.append(_surplus(training, rows, len(rows) - goal.ceiling))
    return before.without(np.concatenate(gone)) if gone else before


def _surplus(training: Training, rows: Ints, count: int) -> Ints:
    """The rows of one class to leave out, (count,): doubtful ones, then redundant ones."""
    doubtful = rows[training.doubtful[rows]]
    doubtful = doubtful[np.argsort(training.margins[doubtful], kind="stable")][:count]  # the least believed first
    rest = np.setdiff1d(rows, doubtful)
    easier_first = np.empty(len(rest), np.int64)
    easier_first[np.argsort(-training.margins[rest], kind="stable")] = np.arange(len(rest))
    return np.concatenate([doubtful, rest[redundant(training.projected[rest], easier_first, count - len(doubtful))]])


def redundant(vectors: Floats, rank: Ints, count: int) -> Ints:
    """The places of so many of the vectors (N, d), each time one of the two nearest that are left, (count,).

    rank: (N,) of the two, the one with the lower rank goes.
    """
    left = np.arange(len(vectors))
    gone: list[int] = []
    while len(gone) < count:
        found = _one_round(vectors[left], rank[left], count - len(gone))
        gone += left[found].tolist()
        left = np.delete(left, found)
    return np.array(gone, np.int64)


def _one_round(vectors: Floats, rank: Ints, count: int) -> list[int]:
    """As `redundant`, until the nearest few of a picture are all gone, so that they have to be looked for anew."""
    near, distance = _nearest(vectors)
    present = np.ones(len(vectors), bool)
    queue = [(float(distance[one, 0]), one, 0) for one in range(len(vectors))]  # (distance, picture, which neighbour)
    heapq.heapify(queue)
    gone: list[int] = []
    while len(gone) < count and queue:
        _, one, place = heapq.heappop(queue)
        if not present[one]:
            continue
        other = int(near[one, place])
        if present[other]:
            gone.append(one if rank[one] < rank[other] else other)
            present[gone[-1]] = False
        if present[one]:  # its neighbour is gone, now or before
            if place + 1 == near.shape[1]:
                break  # what is nearest to it now is not known
            heapq.heappush(queue, (float(distance[one, place + 1]), one, place + 1))
    return gone


def _nearest(vectors: Floats) -> tuple[Ints, Floats]:
    """The nearest few of each vector, nearest first, (N, k), and their distances, (N, k)."""
    from sklearn.neighbors import NearestNeighbors

    index = NearestNeighbors(n_neighbors=min(NEIGHBOURS, len(vectors) - 1), algorithm="brute").fit(vectors)
    distance, near = index.kneighbors()
    return near, distance


STRATEGY = Strategy("redundant-first", "leave out of large classes what others show as well", "down", choose)
