"""Two models on the same test pictures: how far apart are they, and is that more than chance?

Chance comes in twice, so both are counted. The test pictures are a sample: others would be known better or worse. The
training pictures are one too: were others collected, another model would come out. For the first, the answers of both
models are compared picture by picture, which cancels what is hard for both. For the second, both are trained again and
again with the training pictures weighted at random, each group of copies alike in both (the Bayesian bootstrap: Rubin
1981, "The Bayesian bootstrap"). Unlike drawing with replacement, this never loses a class of one picture.

The variance of a difference is that between the repeats, plus that between groups of test pictures of the mean over
the repeats. Each holds a part of the error that the other leaves out, and nothing is counted twice. The 95 % interval
is that of Student's t with the degrees of freedom of Satterthwaite (1946, "An approximate distribution of estimates of
variance components"), so that few repeats or few test pictures make it wider.

Where few test pictures agree, the variance they show is too small: three of three better would be a certainty. So two
made-up pictures count as well, one better and one worse, as Bonett and Price (2012, "Adjusted Wald confidence interval
for a difference of binomial proportions based on paired data") advise; and a class with few pictures borrows from
all classes. Average precision is no sum over pictures, so its test part is a bootstrap over groups (Efron and
Tibshirani 1993). `tests/test_comparing.py` measures how often the intervals hold the truth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

MAIN = "balanced accuracy"  # rare classes count as much as frequent ones: they are what curation is mostly for
METRICS = (MAIN, "accuracy", "PR-AUC")
CONFIDENCE = 0.95
MADE_UP = 2  # pictures, one better and one worse (Bonett and Price 2012)
DRAWS = 200  # of the bootstrap of average precision; a standard error is then off by 5 % (1 / sqrt(2 x 200))
FEWEST_DRAWS = 50
MOST_CELLS = 200_000_000  # classes x pictures x draws of that bootstrap: some five seconds

Better = Literal["a", "b", "neither"]


@dataclass(frozen=True)
class Answers:
    """What one version's models said of the test pictures.

    said: (T, K) probabilities by the model trained on all. right: (R, T) whether each repeat's model was right.
    precision: (R, K) average precision of each repeat by class, NaN without a test picture of the class.
    """

    said: Floats
    right: Bools
    precision: Doubles


@dataclass(frozen=True)
class Difference:
    """One figure of both, 0..1, the difference b - a, and its 95 % interval. a, b: of the models trained on all."""

    name: str
    a: float
    b: float
    low: float
    high: float

    @property
    def value(self) -> float:
        return self.b - self.a

    @property
    def better(self) -> Better:
        """Who is measurably better: the interval does not hold 0."""
        return "b" if self.low > 0 else "a" if self.high < 0 else "neither"


@dataclass(frozen=True)
class Comparison:
    """metrics: those of METRICS, in that order. recalls: one per class with test pictures, in the order of classes.

    classes: the class index of each recall. pictures: its test pictures.
    """

    metrics: tuple[Difference, ...]
    recalls: tuple[Difference, ...]
    classes: tuple[int, ...]
    pictures: tuple[int, ...]

    @property
    def main(self) -> Difference:
        """The figure that decides."""
        return self.metrics[0]


def compare(a: Answers, b: Answers, labels: Ints, groups: Ints, names: list[str], seed: int = 0) -> Comparison:
    """Differences between two models with their intervals.

    labels: (T,) the true class index of each test picture. groups: (T,) equal on pictures that are not independent,
    like copies. names: of the classes, (K,).
    """
    present = np.unique(labels)
    once = [one.said.argmax(axis=1) == labels for one in (a, b)]
    of_all, of_class = doubts_of_test(b.right.mean(axis=0) - a.right.mean(axis=0), labels, groups)
    recalls_a, recalls_b = (_recalls(right, labels, present) for right in once)
    changes = _recalls(b.right, labels, present) - _recalls(a.right, labels, present)  # (R, P)
    balanced = (float(recalls_a.mean()), float(recalls_b.mean()))
    plain = (float(once[0].mean()), float(once[1].mean()))
    accuracies = b.right.mean(axis=1) - a.right.mean(axis=1)
    metrics = (
        _difference(MAIN, *balanced, changes.mean(axis=1), of_mean(of_class)),
        _difference("accuracy", *plain, accuracies, [of_all]),
        _precision(a, b, labels, groups, seed),
    )
    doubts = [[one] for one in of_class]
    recalls = map(_difference, [names[one] for one in present], recalls_a, recalls_b, changes.T, doubts)
    return Comparison(metrics, tuple(recalls), tuple(present.tolist()), tuple(np.bincount(labels)[present].tolist()))


def without_doubt(comparison: Comparison) -> Comparison:
    """The same of two models that learnt from equal pictures: they don't differ, whatever the test pictures."""
    metrics, recalls = (
        tuple(replace(one, low=one.value, high=one.value) for one in some)
        for some in (comparison.metrics, comparison.recalls)
    )
    return replace(comparison, metrics=metrics, recalls=recalls)


@dataclass(frozen=True)
class Doubt:
    """A part of the variance of a difference. freedom: how many degrees of freedom it was estimated with, 1 or more."""

    variance: float
    freedom: int


def interval(difference: float, doubts: Sequence[Doubt]) -> tuple[float, float]:
    """The 95 % interval of a difference, whose variance is the sum of these parts, estimated independently."""
    from scipy.special import stdtrit

    variance = sum(one.variance for one in doubts)
    if variance <= 0:
        return difference, difference
    freedom = variance**2 / sum(one.variance**2 / one.freedom for one in doubts)
    half = float(stdtrit(freedom, (1 + CONFIDENCE) / 2) * np.sqrt(variance))
    return max(-1.0, difference - half), min(1.0, difference + half)


def doubts_of_test(changes: Doubles, labels: Ints, groups: Ints) -> tuple[Doubt, list[Doubt]]:
    """What the choice of test pictures adds to the doubt of the mean change, and of that of each class present.

    changes: (T,) -1..1, by how much the second answers each picture better.
    """
    count = len(np.unique(groups))
    mean = changes.mean() * count / (count + MADE_UP)  # the made-up pictures cancel out in it
    pooled = float((np.mean(changes**2) * count + MADE_UP) / (count + MADE_UP) - mean**2)
    of_class = [_doubt(changes[labels == one], groups[labels == one], pooled) for one in np.unique(labels)]
    return _doubt(changes, groups, pooled), of_class


def of_mean(of_class: Sequence[Doubt]) -> list[Doubt]:
    """What the classes add to the doubt of the mean over them."""
    return [replace(one, variance=one.variance / len(of_class) ** 2) for one in of_class]


def _doubt(changes: Doubles, groups: Ints, pooled: float) -> Doubt:
    """Of the mean of the changes, groups counting as one each; `pooled`: the variance of a made-up picture."""
    sums, count = _sums_by_group(changes - changes.mean(), groups)
    size = len(changes) / count  # pictures per group
    each = ((sums**2).sum() + MADE_UP * pooled * size**2) / (count + MADE_UP - 1)
    return Doubt(float(each * count / len(changes) ** 2), max(count - 1, 1))


def _sums_by_group(values: Doubles, groups: Ints) -> tuple[Doubles, int]:
    _, member = np.unique(groups, return_inverse=True)
    sums = np.bincount(member, values).astype(np.float64)
    return sums, len(sums)


def _recalls(right: Bools, labels: Ints, present: Ints) -> Doubles:
    """The share of right answers of each class present; right: (T,) or (R, T), gives (P,) or (R, P)."""
    return np.stack([right[..., labels == one].mean(axis=-1) for one in present], axis=-1)


def _difference(name: str, a: float, b: float, repeats: Doubles, test: Sequence[Doubt]) -> Difference:
    """repeats: (R,) the difference in each. test: the doubt that the choice of test pictures adds."""
    train = Doubt(float(np.var(repeats, ddof=1)), len(repeats) - 1)
    return Difference(name, float(a), float(b), *interval(float(b - a), [train, *test]))


# ---- Average precision


def average_precision(said: Floats, labels: Ints, weights: Doubles | None = None) -> Doubles:
    """Average precision of each class against all others, (B, K); NaN where a class has no picture.

    The area under the curve of precision against recall, by steps: the mean of the precision at each picture of the
    class, most probable first; equal probabilities count as one step. said: (T, K). weights: (B, T), how often each
    picture counts, for several sets at once; None = one set, each once.
    """
    weights = np.ones((1, len(labels))) if weights is None else weights
    found = np.full((len(weights), said.shape[1]), np.nan)
    for label in np.unique(labels):
        order = np.argsort(-said[:, label], kind="stable")
        last = np.append(np.flatnonzero(np.diff(said[order, label])), len(order) - 1)  # of equal ones
        drawn = weights[:, order]
        hits = np.cumsum(drawn * (labels[order] == label), axis=1)[:, last]
        seen = np.cumsum(drawn, axis=1)[:, last]
        gained = np.diff(hits, axis=1, prepend=0)
        total = hits[:, -1]
        area = (gained * hits / np.maximum(seen, 1)).sum(axis=1)
        found[:, label] = np.divide(area, total, out=np.full(len(total), np.nan), where=total > 0)
    return found


def _precision(a: Answers, b: Answers, labels: Ints, groups: Ints, seed: int) -> Difference:
    """The mean over the classes of the area under the curve of precision against recall."""
    names, member = np.unique(groups, return_inverse=True)
    draws = int(np.clip(MOST_CELLS // a.said.size, FEWEST_DRAWS, DRAWS))
    random = np.random.default_rng(seed)
    drawn_groups = random.multinomial(len(names), np.full(len(names), 1 / len(names)), draws)
    weights = drawn_groups[:, member].astype(np.float64)  # (draws, T)
    drawn = [_macro(average_precision(one.said, labels, weights)) for one in (a, b)]
    once = [float(_macro(average_precision(one.said, labels))[0]) for one in (a, b)]
    repeats = _macro(b.precision) - _macro(a.precision)
    test = Doubt(float(np.var(drawn[1] - drawn[0], ddof=1)), max(len(names) - 1, 1))
    return _difference("PR-AUC", once[0], once[1], repeats, [test])


def _macro(by_class: Doubles) -> Doubles:
    """The mean over the classes that have pictures, (B,) of (B, K)."""
    known = ~np.isnan(by_class)
    return np.asarray(np.where(known, by_class, 0).sum(axis=1) / np.maximum(known.sum(axis=1), 1))
