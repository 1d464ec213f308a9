"""Do two sets of pictures come from the same source? The tests that `curate drift` asks, each with an effect.

A p-value says whether a difference is more than luck, and of many pictures everything is. So each test comes with an
effect, how large the difference is, and its 95 % interval.

    compare_numbers   one measured number: Cramér-von Mises, which sees any change; effect: Cliff's delta
    compare_counts    one name per picture, such as the class: G-test; effect: total variation distance
    tell_apart        vectors: can a linear classifier tell which set a picture is of (Lopez-Paz and Oquab 2017)?
    kernel_distance   vectors: maximum mean discrepancy with a Gaussian kernel (Gretton et al. 2012)

All four take pictures that have nothing to do with each other: whoever calls counts copies and bursts once.

Kolmogorov-Smirnov looks at one point of the distributions, Cramér-von Mises at all; `benchmarks/drift.py` has the first
beside ours. Logistic regression was rejected as the classifier: least squares finds the same direction (Fisher 1936),
and gives the answers for a thousand random divisions by one product of matrices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Ints = NDArray[np.int64]

Z_95 = 1.959964  # two-sided 95 % of the normal distribution
SHUFFLES = 999  # the smallest p is then .001, a fifth of the .05 / 10 that the tenth of ten questions needs
COUNT_SHUFFLES = 9_999
ENOUGH_EXPECTED = 5  # Cochran (1954): with fewer expected in a cell, the distribution of chi-squared is not the truth
DRAWS = 999  # of the bootstrap
FOLDS = 5
RIDGE = 0.1  # of the mean variance, so that rare directions don't decide; not tuned
CLASSIFIED = 4_000  # pictures per side; more find nothing that matters, and cost time
COMPARED = 1_000  # per side: the kernel of 2,000 pictures takes 16 MB


@dataclass(frozen=True)
class Shift:
    """How a number differs between two sets, b against a.

    delta: the chance that b's is larger, less that it is smaller, -1..1 (Cliff 1993); low, high: its 95 % interval.
    distance: the largest difference of the shares below any value, 0..1, which also sees a change of the spread.
    """

    p: float
    delta: float
    low: float
    high: float
    distance: float


def compare_numbers(a: Doubles, b: Doubles, seed: int = 0) -> Shift:
    """Whether the numbers a (N,) and b (M,), all finite, come from one distribution.

    Equal numbers are put in a random order, as the test knows no ties: it then holds its level exactly.
    """
    from scipy.stats import cramervonmises_2samp

    values = np.concatenate([a, b])
    order = np.lexsort((np.random.default_rng(seed).random(len(values)), values))
    ranks = np.empty(len(values))
    ranks[order] = np.arange(len(values))
    # The exact distribution takes a quarter of a second for 2 x 20 numbers. The limit errs to the safe side: of ten
    # against ten where .0004 is exact it says .0007, and at .05 the same.
    p = float(cramervonmises_2samp(ranks[: len(a)], ranks[len(a) :], method="asymptotic").pvalue)
    points = np.unique(values)
    below_a, below_b = (np.searchsorted(np.sort(one), points, "right") / len(one) for one in (a, b))
    delta, low, high = cliffs_delta(a, b)
    return Shift(p, delta, low, high, float(np.abs(below_a - below_b).max()))


def cliffs_delta(a: Doubles, b: Doubles) -> tuple[float, float, float]:
    """Cliff's delta of b (M,) over a (N,), and its 95 % interval by Feng and Cliff (2004), which is not symmetric."""
    wins_b, wins_a = _wins(b, a), _wins(a, b)
    delta, square = float(wins_b.mean()), Z_95**2
    if abs(delta) == 1:
        fewer = min(len(a), len(b))
        inner = (fewer - square) / (fewer + square)
        return (delta, inner, 1.0) if delta > 0 else (delta, -1.0, -inner)
    variance = _variance(wins_a) + _variance(wins_b)
    root = np.sqrt(variance * ((1 - delta**2) ** 2 + square * variance))
    ends = (delta - delta**3 + np.array([-Z_95, Z_95]) * root) / (1 - delta**2 + square * variance)
    return delta, float(ends[0]), float(ends[1])


def _wins(one: Doubles, others: Doubles) -> Doubles:
    """Of each number, the share of others that are smaller less that of those that are larger."""
    ordered = np.sort(others)
    below, upto = np.searchsorted(ordered, one, "left"), np.searchsorted(ordered, one, "right")
    return np.asarray((below - (len(ordered) - upto)) / len(ordered), np.float64)


def _variance(wins: Doubles) -> float:
    """Of the mean."""
    return float(wins.var(ddof=1) / len(wins)) if len(wins) > 1 else 1.0


# ---- Names


@dataclass(frozen=True)
class Mix:
    """How the shares of names differ between two sets.

    distance: total variation, the share of pictures that would need another name, 0..1; low, high: its 95 % interval;
    by_chance: what it is on average between sets of these sizes that don't differ.
    """

    p: float
    distance: float
    low: float
    high: float
    by_chance: float


def compare_counts(a: Ints, b: Ints, seed: int = 0) -> Mix:
    """Whether the counts a and b, (K,) each, of the same names come from one source."""
    from scipy.stats import chi2_contingency, random_table

    table = np.stack([a, b])[:, (a + b) > 0]
    random = np.random.default_rng(seed)
    if table.shape[1] < 2:
        return Mix(1.0, 0.0, 0.0, 0.0, 0.0)
    draws = random_table(table.sum(axis=1), table.sum(axis=0)).rvs(COUNT_SHUFFLES, random_state=random)  # (S, 2, K)
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0) / table.sum()
    if expected.min() >= ENOUGH_EXPECTED:
        p = float(chi2_contingency(table, lambda_="log-likelihood").pvalue)
    else:
        drawn = _surprise(draws)
        p = float((1 + (drawn >= _surprise(table[None])[0] - 1e-9).sum()) / (1 + len(drawn)))
    return Mix(p, *_distance_interval(table, random), float(_distances(draws).mean()))


def _surprise(tables: NDArray[np.number]) -> Doubles:
    """Sum of n log n over the cells of each table, (S,): the G statistic but for what margins decide."""
    cells = tables.astype(np.float64)
    return np.asarray((cells * np.log(np.maximum(cells, 1))).sum(axis=(1, 2)))


def _distances(tables: NDArray[np.number]) -> Doubles:
    shares = tables / np.maximum(tables.sum(axis=2, keepdims=True), 1)
    return np.asarray(np.abs(shares[:, 0] - shares[:, 1]).sum(axis=1) / 2)


def _distance_interval(table: Ints, random: np.random.Generator) -> tuple[float, float, float]:
    """The distance and its interval by the bootstrap; what drawing again adds to it is taken off."""
    sides = [random.multinomial(side.sum(), side / side.sum(), DRAWS) for side in table]
    drawn = _distances(np.stack(sides, axis=1))
    found = float(_distances(table[None])[0])
    low, high = np.percentile(drawn, [2.5, 97.5]) - (drawn.mean() - found)
    return found, float(np.clip(low, 0, 1)), float(np.clip(high, 0, 1))


# ---- Vectors


@dataclass(frozen=True)
class Told:
    """How well a classifier tells pictures of two sets apart that it has not seen.

    auc: chance that a picture of b looks more like b than one of a does, .5 = it can't tell; low, high: 95 %.
    scores_a, scores_b: how much each picture looks like b, comparable within a set and between both.
    """

    p: float
    auc: float
    low: float
    high: float
    scores_a: Doubles
    scores_b: Doubles


def tell_apart(a: Floats, b: Floats, seed: int = 0, shuffles: int = SHUFFLES) -> Told:
    """Whether a linear classifier tells the vectors a (N, D) and b (M, D); p by dividing them at random."""
    rows = np.concatenate([a, b]).astype(np.float64)
    random = np.random.default_rng(seed)
    fold = random.permutation(len(rows)) % FOLDS  # it must not know the sides, or shuffling would not be fair
    is_b = np.zeros((len(rows), shuffles + 1), np.float32)  # the first column is the truth
    is_b[len(a) :, 0] = 1
    for column in range(1, shuffles + 1):
        is_b[random.permutation(len(rows))[: len(b)], column] = 1
    said = np.empty((len(rows), shuffles + 1), np.float32)
    wins = np.zeros(shuffles + 1)
    for part in range(FOLDS):
        asked = fold == part
        said[asked] = _least_squares(rows[~asked], is_b[~asked], rows[asked])
        wins += _pairs_won(said[asked], is_b[asked])
    scores = _comparable(said[:, 0], fold).astype(np.float64)
    delta, low, high = cliffs_delta(scores[: len(a)], scores[len(a) :])
    p = (1 + (wins[1:] >= wins[0] - 1e-9).sum()) / (1 + shuffles)
    return Told(float(p), (1 + delta) / 2, (1 + low) / 2, (1 + high) / 2, scores[: len(a)], scores[len(a) :])


def _least_squares(known: Doubles, targets: Floats, asked: Doubles) -> Floats:
    """Scores of the asked rows (M, d) for each column of targets (N, C) of the known rows (N, d), ridge regression."""
    centre = known.mean(axis=0)
    centred = known - centre
    square = centred.T @ centred
    square[np.diag_indices(len(square))] += RIDGE * max(float(np.trace(square)) / len(square), 1e-12)
    weights = np.linalg.solve(square, centred.T).astype(np.float32) @ (targets - targets.mean(axis=0))
    return np.asarray((asked - centre).astype(np.float32) @ weights)


def _pairs_won(said: Floats, is_b: Floats) -> Doubles:
    """For each column, the pairs in which b's score is above a's, less half of all, over the expected spread."""
    ranks = np.empty_like(said)
    np.put_along_axis(ranks, said.argsort(axis=0), np.arange(1, len(said) + 1, dtype=np.float32)[:, None], axis=0)
    count_b = is_b.sum(axis=0, dtype=np.float64)
    return np.asarray((ranks.astype(np.float64) * is_b).sum(axis=0) - count_b * (len(said) + 1) / 2)


def _comparable(scores: Floats, fold: Ints) -> Floats:
    """The scores with the median of each fold at 0: each fold's model puts it elsewhere."""
    found = scores.copy()
    for part in np.unique(fold):
        found[fold == part] -= np.median(scores[fold == part])
    return found


@dataclass(frozen=True)
class Apart:
    """Maximum mean discrepancy, squared and unbiased: 0 on average for sets of one source; low, high: 95 %."""

    p: float
    square: float
    low: float
    high: float


def kernel_distance(a: Floats, b: Floats, seed: int = 0, shuffles: int = SHUFFLES) -> Apart:
    """The distance of the vectors a (N, D) and b (M, D), 2 or more each; p by dividing them at random.

    The width of the kernel is the median distance of all pairs.
    """
    kernel = _kernel(np.concatenate([a, b]).astype(np.float32))
    random = np.random.default_rng(seed)
    is_b = np.zeros((len(kernel), shuffles + 1), np.float32)
    is_b[len(a) :, 0] = 1
    for column in range(1, shuffles + 1):
        is_b[random.permutation(len(kernel))[: len(b)], column] = 1
    rows = kernel.sum(axis=1, dtype=np.float64)
    within_b = np.einsum("ij,ij->j", is_b, kernel @ is_b, dtype=np.float64)
    from_b = rows @ is_b
    n, m = len(a), len(b)
    within_a = rows.sum() - 2 * from_b + within_b
    squares = within_a / (n * (n - 1)) + within_b / (m * (m - 1)) - 2 * (from_b - within_b) / (n * m)
    p = (1 + (squares[1:] >= squares[0] - 1e-12).sum()) / (1 + shuffles)
    half = Z_95 * _spread(kernel, n)
    return Apart(float(p), float(squares[0]), float(squares[0] - half), float(squares[0] + half))


def _kernel(rows: Floats) -> Floats:
    """exp(-d^2 / 2 s^2) of all pairs, s the median distance, (N, N); 0 of each row with itself."""
    lengths = np.einsum("ij,ij->i", rows, rows)
    squares = np.maximum(lengths[:, None] + lengths - 2 * rows @ rows.T, 0)
    above = squares[np.triu_indices(len(rows), 1)]
    kernel: Floats = np.exp(-squares / np.float32(2 * max(float(np.median(above)), 1e-12)))
    np.fill_diagonal(kernel, 0)
    return kernel


def _spread(kernel: Floats, n: int) -> float:
    """Standard error of the discrepancy between sets that differ: that of the mean of what each picture adds."""
    m = len(kernel) - n
    a = kernel[:n, :n].sum(axis=1) / (n - 1) - kernel[:n, n:].mean(axis=1)
    b = kernel[n:, n:].sum(axis=1) / (m - 1) - kernel[n:, :n].mean(axis=1)
    return float(2 * np.sqrt(a.var(ddof=1, dtype=np.float64) / n + b.var(ddof=1, dtype=np.float64) / m))


# ---- Many tests


def simes(values: Sequence[float]) -> float:
    """One p-value for many: that nothing at all is there (Simes 1986); 1 of none."""
    ordered = np.sort(np.asarray(values, np.float64))
    return float(min(1.0, (ordered * len(ordered) / np.arange(1, len(ordered) + 1)).min())) if len(ordered) else 1.0


@dataclass(frozen=True)
class Adjusted:
    """questions: p of each family after the correction for all of them. tests: likewise of each test in it.

    A test is told of where its adjusted p is at most the level.
    """

    questions: list[float]
    tests: list[list[float]]


def adjust(families: Sequence[Sequence[float]], level: float) -> Adjusted:
    """Hold the false discoveries at `level`: over the questions, and among the tests of those that are answered yes.

    Benjamini and Hochberg (1995) over the families' Simes p-values; then, within those found, over the tests at the
    level times the share of families found (Benjamini and Bogomolov 2014). If nothing differs at all, the chance that
    anything is told of is at most the level. A question that many tests ask, such as each fact in each class, so does
    not drown one that a single test asks.
    """
    from scipy.stats import false_discovery_control

    if not families:
        return Adjusted([], [])
    questions = false_discovery_control([simes(one) for one in families]).tolist()
    share = max(sum(one <= level for one in questions), 1) / len(families)
    tests = []
    for question, family in zip(questions, families, strict=True):
        own = false_discovery_control(family) if len(family) else np.empty(0)
        tests.append(np.minimum(1, np.maximum(own / share, question)).tolist())
    return Adjusted(questions, tests)
