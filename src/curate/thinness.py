"""Where the data is thin: rare classes, islands of few pictures far from everything else, classes that are confused.

A single odd picture is no gap in the data: `curate flag` finds it. An island is several pictures that are like each
other and like little else: of a kind that the data set hardly shows. Islands are found as clusters by single linkage
(the pictures within any distance of each other, step by step), which HDBSCAN prunes for its clusters, too; here, small
clusters that stay alone for long are what is looked for. k-means was rejected: it joins a few odd pictures to whatever
large cluster is nearest.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curate.lookalikes import Lookalikes, nearest_among

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Ints = NDArray[np.int64]

FEW_SHOTS = 20  # long-tailed recognition calls classes of at most 20 training pictures few-shot (Liu et al. 2019)
NEIGHBOURS = 5  # links of each picture to others, as many as `curate flag` compares
FEWEST = 3  # different pictures of an island; two may be of one scene
LARGEST_SHARE = 0.02  # of all pictures; what is larger is a kind of its own, not thin
LARGEST = 30  # pictures; more than that teach a model a kind
MOST_ISLANDS = 10
EXAMPLES = 3
# An island lies farther from the rest than the median + CUT x (upper quartile - median) of distances to the nearest.
# Among 3,000 cats and dogs with ten pictures each of three classes of Caltech-101 planted (MobileNetV2), 2.5 finds all
# of them and one more island per set; 2.0 as many and seven more, 3.5 two of the three and no more.
CUT = 2.5
LEAST_CONFUSED = 2  # pictures; one may be a wrong label
MOST_CONFUSED = 10


@dataclass(frozen=True)
class RareClass:
    """A class of few pictures. different: without copies. expected: how many more there may be among the unlabelled."""

    label: str
    pictures: int
    different: int
    expected: float


@dataclass(frozen=True)
class Island:
    """Pictures like each other and unlike the rest.

    pictures, different (without copies), labelled: how many. labels: label -> pictures. remoteness: distance to the
    rest, in multiples of the usual distance between neighbours. examples: paths, the most typical first.
    """

    pictures: int
    different: int
    labelled: int
    labels: dict[str, int]
    remoteness: float
    examples: list[str]


@dataclass(frozen=True)
class Confusion:
    """Two classes, and how many of their pictures a model that has not seen them takes for the other one."""

    first: str
    second: str
    confused: int
    pictures: int


@dataclass(frozen=True)
class Thinness:
    """Where the data is thin, the thinnest first."""

    classes: list[RareClass]
    islands: list[Island]
    confusions: list[Confusion]

    def as_dict(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


def rare_classes(names: list[str], labels: Ints, groups: Ints, expected: Doubles) -> list[RareClass]:
    """Classes of at most FEW_SHOTS different pictures, the rarest first.

    labels: (N,) place in `names`, -1 = none. groups: (N,) equal on copies. expected: (K,) see `RareClass`.
    """
    pairs = np.unique(np.stack([groups, labels]), axis=1)[1]
    pictures = np.bincount(labels[labels >= 0], minlength=len(names))
    different = np.bincount(pairs[pairs >= 0], minlength=len(names))
    found = [
        RareClass(name, int(pictures[place]), int(different[place]), round(float(expected[place]), 1))
        for place, name in enumerate(names)
        if different[place] <= FEW_SHOTS
    ]
    return sorted(found, key=lambda one: (one.different, one.pictures, one.label))


def confusions(names: list[str], labels: Ints, probabilities: Floats) -> list[Confusion]:
    """Pairs of classes that are taken for each other, the most often confused first.

    labels: (M,). probabilities: (M, K), from models that had not seen the picture.
    """
    counts = np.zeros((len(names), len(names)), np.int64)
    np.add.at(counts, (labels, probabilities.argmax(axis=1)), 1)
    sizes, both = np.bincount(labels, minlength=len(names)), counts + counts.T
    found = [
        Confusion(names[one], names[other], int(both[one, other]), int(sizes[one] + sizes[other]))
        for one, other in zip(*np.nonzero(np.triu(both, 1) >= LEAST_CONFUSED), strict=True)
    ]
    return sorted(found, key=lambda one: (-one.confused / one.pictures, one.first, one.second))[:MOST_CONFUSED]


def islands(
    vectors: Floats, alike: Lookalikes, groups: Ints, paths: list[str], labels: list[str | None]
) -> list[Island]:
    """Small groups of pictures far from all others, the farthest first.

    vectors: (N, D). alike: the nearest NEIGHBOURS of each, (N, k), without copies. groups, paths, labels (None = none)
    of each, (N,).
    """
    first = np.unique(groups, return_index=True)[1]  # copies add nothing
    usual, cut = _usual_and_cut(alike, first)
    largest = min(LARGEST, max(FEWEST, int(LARGEST_SHARE * len(first))))
    found = []
    for members, distance in _lonely(vectors, alike, groups, largest):
        if distance > cut:
            rows = np.flatnonzero(np.isin(groups, groups[members]))
            found.append(_island(alike, members, rows, distance / usual, paths, labels))
    return sorted(found, key=lambda one: (-one.remoteness, one.examples))[:MOST_ISLANDS]


def _usual_and_cut(alike: Lookalikes, first: Ints) -> tuple[float, float]:
    """The median distance to the nearest, and the distance from which pictures are far from it."""
    nearest = 1 - alike.similarity[first, 0].astype(np.float64)
    nearest = nearest[np.isfinite(nearest)]
    if not len(nearest):
        return 1.0, np.inf
    usual, high = np.percentile(nearest, [50, 75])
    return max(float(usual), 1e-6), float(usual + CUT * (high - usual))


def _lonely(vectors: Floats, alike: Lookalikes, groups: Ints, largest: int) -> list[tuple[Ints, float]]:
    """Clusters of FEWEST to `largest` pictures, and how far each is from what it would join.

    Links come shortest first; whatever they connect is a cluster.
    """
    _, first, place = np.unique(groups, return_index=True, return_inverse=True)
    one, other, distance = _links(alike, first, first[place])
    parent = np.arange(len(groups))
    members = {int(row): [int(row)] for row in first}
    found = []
    for start, end, length in zip(one.tolist(), other.tolist(), distance.tolist(), strict=True):
        small, large = sorted((_root(parent, start), _root(parent, end)), key=lambda root: (len(members[root]), root))
        if small == large:
            continue
        if len(members[small]) + len(members[large]) > largest:
            both = (members[small], members[large])
            found += [(np.array(rows), length) for rows in both if FEWEST <= len(rows) <= largest]
        parent[small] = large
        members[large] += members.pop(small)
    alone = [np.array(rows) for rows in members.values() if FEWEST <= len(rows) <= largest]
    return found + [(rows, _distance_to_rest(vectors, groups, rows)) for rows in alone if len(rows) < len(first)]


def _distance_to_rest(vectors: Floats, groups: Ints, members: Ints) -> float:
    """Cosine distance of the nearest other picture, where none of the members' neighbours is another."""
    rest = ~np.isin(groups, groups[members])
    return float(1 - nearest_among(vectors[members], vectors[rest], 1).similarity.max())


def _links(alike: Lookalikes, first: Ints, same: Ints) -> tuple[Ints, Ints, Doubles]:
    """Pairs of different pictures and their distance, the nearest first. same: (N,) the row that stands for each."""
    k = alike.indices.shape[1]
    one, other = np.repeat(first, k), alike.indices[first].ravel()
    distance = 1 - alike.similarity[first].ravel().astype(np.float64)
    present = other >= 0
    one, other, distance = one[present], same[other[present]], distance[present]
    order = np.lexsort((other, one, distance))
    return one[order], other[order], distance[order]


def _root(parent: Ints, row: int) -> int:
    while parent[row] != row:
        parent[row] = parent[parent[row]]
        row = int(parent[row])
    return row


def _island(
    alike: Lookalikes, members: Ints, rows: Ints, remoteness: float, paths: list[str], labels: list[str | None]
) -> Island:
    typical = sorted(members.tolist(), key=lambda row: (-float(np.nanmean(alike.similarity[row, :2])), paths[row]))
    named = [labels[row] for row in rows.tolist()]
    known = [name for name in named if name is not None]
    return Island(
        pictures=len(rows),
        different=len(members),
        labelled=len(known),
        labels={name: known.count(name) for name in sorted(set(known))},
        remoteness=round(remoteness, 2),
        examples=[paths[row] for row in typical[:EXAMPLES]],
    )
