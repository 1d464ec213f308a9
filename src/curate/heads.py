"""Labels from vectors: three cheap models on a frozen embedding, averaged and calibrated.

A backbone has already done the work; what is left is so small that it can be fitted many times over. So every
picture is judged by models that saw neither it nor its copies ("out of sample"): models that saw a wrong label
repeat it. The three err differently, and their average errs less than any of them:

    linear      logistic regression, the last layer trained anew
    prototypes  distance to the mean of each class, in the metric of the spread within classes (shrunken LDA)
    neighbours  labels of the most similar pictures, nearer ones counting more

Labels that the models contradict are heard less when they are fitted a second time: wrong labels make them timid, at
40 % of human noise so much that half of what better embeddings could find is lost.

All see the vectors through one projection (unit length, centred, principal components), which never sees a label and
may therefore be shared by all folds. The same pictures give the same answer in whatever order they come.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from curate.all_cores import in_parts, on_all_cores
from curate.calibration import Calibration, calibration_error, fit_calibration, softmax
from curate.largest import largest
from curate.progress import Advance, no_advance
from curate.suspicion import belief

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

FOLDS = 5
HEAD_NAMES = ("linear", "prototypes", "neighbours")
DIMENSIONS = 256  # principal components kept
TRAINING_ROWS = 20_000  # more pictures than this teach a linear model on 256 numbers little, but cost time
PROJECTED_ROWS = 8_192  # at a time: all at once would need two more copies of the vectors
BLOCK_ROWS = 1_000  # rows compared with the training rows at a time, so that memory stays below 80 MB
# These were chosen by average precision of finding wrong labels, on the data sets named in `curate.suspicion`.
SHRINKAGE = 0.6  # 0.3 loses on few pictures, 0.8 on many
LINEAR_STRENGTH = 3.0  # scikit-learn's C for vectors of mean square 1; 1 and 10 are worse
# Labels at random, or thousands of pictures, may need more. What a hundred have found is used: ending early is one more
# way of regularizing, and the probabilities are calibrated afterwards.
LINEAR_STEPS = 100
# A gradient is divided among the classes, and so is this. With the same tolerance for any number of them, a hundred
# classes look solved before the first step (measured: 1 % right of 20,000 pictures where 88 % are possible).
LINEAR_TOLERANCE = 1e-3
NEIGHBOURS = 40  # wrong labels need outvoting: 20 is worse at every level of noise
NEIGHBOUR_REACH = 0.1  # a neighbour whose cosine is lower by this counts 1/e
# Weighing labels by belief and fitting again raises average precision by 0.01 to 0.03 where the models know the
# classes. Where they doubt more than this, on average, they are no better teachers than the labels: it gains nothing.
SURE_ENOUGH = 1 / 3
AGAIN = 2  # repeats of the second fit: more gain nothing
LEAST_WEIGHT = 0.01  # so that no class is lost


@dataclass(frozen=True)
class OutOfSample:
    """What models say of pictures that they were not fitted on. Every array has the rows of the given vectors.

    by_head: name of the head -> probabilities (N, K). averaged: their mean, (N, K). calibrated: (N, K), such that of
    the predictions with 0.8 eight in ten are right. calibration_error: how far that is from true, 0..1, measured on
    the given labels, the share of wrong ones allowed for, see `curate.calibration`.
    """

    by_head: dict[str, Floats]
    averaged: Floats
    calibrated: Floats
    calibration: Calibration
    calibration_error: float


@dataclass(frozen=True)
class Projection:
    """Vectors of any backbone to few numbers: unit length, centred, on the principal axes, mean square 1 per row."""

    centre: Floats  # (D,)
    axes: Floats  # (D, d)

    def __call__(self, vectors: Floats) -> Floats:
        projected = np.empty((len(vectors), self.axes.shape[1]), np.float32)  # (N, d)
        for some, into in zip(in_parts(vectors, PROJECTED_ROWS), in_parts(projected, PROJECTED_ROWS), strict=True):
            into[:] = (_unit(some) - self.centre) @ self.axes
        return projected


@dataclass(frozen=True)
class Heads:
    """Fitted models for new pictures, and what they said out of sample of the pictures they were fitted on."""

    projection: Projection
    vectors: Floats  # (N, d), projected
    labels: Ints  # (N,)
    classes: int
    out_of_sample: OutOfSample

    def predict(self, vectors: Floats) -> Floats:
        """Calibrated probabilities (M, K) of the vectors (M, D) of pictures that are not among the fitted ones."""
        said = _ask(
            self.vectors, self.labels, self.projection(vectors), self.classes, np.ones(len(self.labels), np.float32)
        )
        return self.out_of_sample.calibration.apply(said)


def repeats_for(count: int) -> int:
    """How often to cross-validate: few pictures cost little and are split by luck more than many."""
    return max(1, min(5, 3000 // max(count, 1)))


def rounds(count: int, folds: int = FOLDS, repeats: int | None = None) -> int:
    """How often `out_of_sample` and `fit` report progress for that many pictures."""
    return folds * (repeats or repeats_for(count))


def out_of_sample(
    vectors: Floats,
    labels: Ints,
    groups: Ints,
    classes: int,
    *,
    folds: int = FOLDS,
    repeats: int | None = None,
    seed: int = 0,
    advance: Advance = no_advance,
) -> OutOfSample:
    """Probabilities of each picture from models that saw neither it nor a picture of its group.

    vectors: (N, D) of any scale. labels: (N,) 0..classes-1. groups: (N,) equal on copies of one picture.
    A class with one group of pictures is unknown to the models that judge it, which give it a probability near 0;
    `curate.suspicion` does not judge such classes.
    Where the models know the classes, they are fitted a second time, each label weighing as much as it may be
    believed: what is said of a picture then rests less on the wrong labels of others.
    advance: called with the number of fits done, `rounds` in all.
    """
    first = fit(vectors, labels, groups, classes, folds=folds, repeats=repeats, seed=seed, advance=advance)
    once = first.out_of_sample
    order, groups = _canonical(vectors, labels, groups)
    groups = groups[order]
    weights, doubt = belief(first.labels, once.calibrated[order], groups)
    if doubt > SURE_ENOUGH:
        return once
    weights, times = np.maximum(weights, LEAST_WEIGHT), min(AGAIN, repeats or repeats_for(len(labels)))
    said = _cross_validate(first.vectors, first.labels, groups, classes, folds, times, seed, no_advance, weights)
    return _calibrated(said, first.labels, groups, np.argsort(order), seed)


def fit(
    vectors: Floats,
    labels: Ints,
    groups: Ints,
    classes: int,
    *,
    folds: int = FOLDS,
    repeats: int | None = None,
    seed: int = 0,
    advance: Advance = no_advance,
) -> Heads:
    """Models for new pictures, with what they say out of sample; arguments as of `out_of_sample`."""
    order, groups = _canonical(vectors, labels, groups)
    back = np.argsort(order)
    projection, known = _projected(vectors[order])
    labels, groups = labels[order], groups[order]
    said = _cross_validate(known, labels, groups, classes, folds, repeats, seed, advance)
    seen = _calibrated(said, labels, groups, back, seed)
    return Heads(projection, known, labels, classes, seen)


def _calibrated(said: dict[str, Floats], labels: Ints, groups: Ints, back: Ints, seed: int) -> OutOfSample:
    """back: (N,) brings rows into the order of the given vectors."""
    calibration = fit_calibration(said, labels)
    return OutOfSample(
        by_head={name: probabilities[back] for name, probabilities in said.items()},
        averaged=np.stack(list(said.values())).mean(axis=0)[back],
        calibrated=calibration.apply(said)[back],
        calibration=calibration,
        calibration_error=calibration_error(said, labels, split(labels, groups, 2, seed)),
    )


def fit_projection(vectors: Floats) -> Projection:
    """Principal axes of the vectors (N, D); at most `DIMENSIONS`, fewer if there are fewer pictures or numbers."""
    sample = _unit(vectors[_sample(len(vectors))])
    centre = sample.mean(axis=0)
    centred = sample - centre
    if len(centred) > centred.shape[1]:
        variances, axes = np.linalg.eigh(centred.T @ centred)
    else:  # the same axes from the smaller matrix of products between rows
        variances, rows = np.linalg.eigh(centred @ centred.T)
        axes = centred.T @ (rows / np.sqrt(np.maximum(variances, 1e-12)))
    kept = np.flatnonzero(variances >= 1e-6 * variances[-1])[::-1][:DIMENSIONS]  # the last is the largest
    scale = np.sqrt(max(float(variances.sum()) / len(sample), 1e-12))
    return Projection(centre, (axes[:, kept] / scale).astype(np.float32))


def _projected(vectors: Floats) -> tuple[Projection, Floats]:
    """A function of its own, so that a copy of the vectors that was made for it is let go afterwards."""
    projection = fit_projection(vectors)
    return projection, projection(vectors)


def _cross_validate(
    vectors: Floats,
    labels: Ints,
    groups: Ints,
    classes: int,
    folds: int,
    repeats: int | None,
    seed: int,
    advance: Advance,
    weights: Floats | None = None,
) -> dict[str, Floats]:
    """By head, the mean over repeats of what was said of each row while its fold was left out. weights: (N,)."""
    weights = np.ones(len(labels), np.float32) if weights is None else weights
    times = repeats or repeats_for(len(labels))
    dealt = [split(labels, groups, folds, seed + repeat) for repeat in range(times)]
    parts = [fold == part for fold in dealt for part in range(folds)]  # (N,) each

    import sklearn.linear_model  # noqa: F401  here, so that not every process imports it

    def judged(asked: NDArray[np.bool_]) -> dict[str, Floats]:
        if not asked.any():
            return {}
        return _ask(vectors[~asked], labels[~asked], vectors[asked], classes, weights[~asked])

    said = {name: np.zeros((len(labels), classes), np.float32) for name in HEAD_NAMES}
    for asked, answer in zip(parts, on_all_cores(judged, parts, few=1), strict=True):
        for name, probabilities in answer.items():
            said[name][asked] += probabilities / times
        advance(1)
    return said


def split(labels: Ints, groups: Ints, folds: int, seed: int = 0) -> Ints:
    """The fold of each row, 0..folds-1: groups stay whole, and each class is dealt out evenly, like cards.

    scikit-learn's StratifiedGroupKFold warns and leaves folds empty where classes have fewer pictures than folds.
    """
    _, first, member = np.unique(groups, return_index=True, return_inverse=True)
    random = np.random.default_rng(seed)
    shuffled = random.permutation(len(first))
    dealt = shuffled[np.argsort(labels[first][shuffled], kind="stable")]  # class by class
    fold = np.empty(len(first), np.int64)
    fold[dealt] = np.arange(len(first)) % folds
    return fold[member]


def _canonical(vectors: Floats, labels: Ints, groups: Ints) -> tuple[Ints, Ints]:
    """An order of the rows that depends on their content only, and the groups numbered likewise."""
    keys = [
        blake2b(row.tobytes() + int(label).to_bytes(8, "little"), digest_size=16).digest()
        for row, label in zip(np.ascontiguousarray(vectors), labels, strict=True)
    ]
    order = np.array(sorted(range(len(keys)), key=keys.__getitem__), dtype=np.int64)
    first_seen: dict[int, int] = {}
    for row in order:
        first_seen.setdefault(int(groups[row]), len(first_seen))
    return order, np.array([first_seen[int(group)] for group in groups], dtype=np.int64)


def _ask(known: Floats, labels: Ints, asked: Floats, classes: int, weights: Floats) -> dict[str, Floats]:
    """What each head says, (N, K), of the asked vectors (N, d), fitted on the known ones (M, d), weighing (M,)."""
    if not len(known):  # all pictures are copies of one
        return {name: np.full((len(asked), classes), 1 / classes, np.float32) for name in HEAD_NAMES}
    metric = _metric(known, labels, classes, weights)
    near_known, near_asked = known @ metric, asked @ metric
    return {
        "linear": linear(known, labels, asked, classes, weights),
        "prototypes": prototypes(near_known, labels, near_asked, classes, weights),
        "neighbours": neighbours(near_known, labels, near_asked, classes, weights),
    }


def linear(known: Floats, labels: Ints, asked: Floats, classes: int, weights: Floats) -> Floats:
    """Logistic regression."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    sample = _sample(len(known))
    rows, targets = known[sample], labels[sample]
    present = np.unique(targets)
    probabilities = np.zeros((len(asked), classes), np.float32)
    if len(present) == 1:
        probabilities[:, present] = 1
        return probabilities
    model = LogisticRegression(C=LINEAR_STRENGTH, max_iter=LINEAR_STEPS, tol=LINEAR_TOLERANCE / len(present))
    # Products of small float32 arrays in OpenBLAS now and then set the processor's "invalid" flag although every input
    # and every result is finite (numpy issues 13173 and 24067), and numpy then warns: seen once in about 30,000 tests.
    with warnings.catch_warnings(), np.errstate(invalid="ignore"):
        warnings.simplefilter("ignore", ConvergenceWarning)  # see LINEAR_STEPS
        model.fit(rows, targets, sample_weight=weights[sample])
        probabilities[:, present] = model.predict_proba(asked)
    return probabilities


def prototypes(known: Floats, labels: Ints, asked: Floats, classes: int, weights: Floats) -> Floats:
    """Distance to the class means: linear discriminant analysis, as the vectors are in the metric that it needs."""
    counts = np.bincount(labels, weights, minlength=classes)
    means = _class_means(known, labels, classes, weights)  # (K, d)
    scores = asked @ means.T - (means**2).sum(axis=1) / 2
    with np.errstate(divide="ignore"):  # a class without pictures gets probability 0
        scores = scores + np.log(counts / counts.sum()).astype(np.float32)
    return softmax(scores)


def neighbours(known: Floats, labels: Ints, asked: Floats, classes: int, weights: Floats) -> Floats:
    """The labels of the most similar pictures, and one more vote that goes to the classes by their size."""
    sample = _sample(len(known))
    known, labels, weights = known[sample], labels[sample], weights[sample]
    sizes = np.bincount(labels, weights, minlength=classes) / weights.sum()
    count = min(NEIGHBOURS, len(known))
    directions = _unit(known).T
    votes = np.empty((len(asked), classes))
    for some, into in zip(in_parts(asked, BLOCK_ROWS), in_parts(votes, BLOCK_ROWS), strict=True):
        similar = _unit(some) @ directions  # (B, M)
        nearest = largest(similar, count)
        similar = np.take_along_axis(similar, nearest, axis=1)
        shares = np.exp((similar - similar.max(axis=1, keepdims=True)) / NEIGHBOUR_REACH)
        shares *= count / shares.sum(axis=1, keepdims=True)
        shares *= weights[nearest]
        cells = np.arange(len(similar))[:, None] * classes + labels[nearest]
        counted = np.bincount(cells.ravel(), shares.ravel(), minlength=len(similar) * classes)
        into[:] = counted.reshape(-1, classes)
    return np.asarray((votes + sizes) / (votes.sum(axis=1, keepdims=True) + 1), dtype=np.float32)


def _metric(vectors: Floats, labels: Ints, classes: int, weights: Floats) -> Floats:
    """Directions (d, d) that make the spread within the classes equal to all sides, but for the shrinkage."""
    within = vectors - _class_means(vectors, labels, classes, weights)[labels]
    spread = within.T @ (within * weights[:, None]) / weights.sum()
    size = max(float(np.trace(spread)) / len(spread), 1e-6)
    shrunken = (1 - SHRINKAGE) * spread + SHRINKAGE * size * np.eye(len(spread), dtype=np.float32)
    return np.asarray(np.linalg.inv(np.linalg.cholesky(shrunken)).T, dtype=np.float32)


def _class_means(vectors: Floats, labels: Ints, classes: int, weights: Floats) -> Floats:
    members = np.zeros((classes, len(vectors)), np.float32)
    members[labels, np.arange(len(vectors))] = weights
    return np.asarray(members @ vectors / np.maximum(members.sum(axis=1), 1e-6)[:, None], dtype=np.float32)  # (K, d)


def _sample(count: int) -> Ints:
    """At most `TRAINING_ROWS` of so many rows, evenly spaced: random ones, as hashing has put them in order."""
    return np.linspace(0, count - 1, min(count, TRAINING_ROWS)).astype(np.int64)


def _unit(vectors: Floats) -> Floats:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12), dtype=np.float32)
