"""Which suggestions are sure enough to be accepted: confidence, coverage, and a threshold for a stated precision.

Scores are corrected by two numbers, both learned from labelled pictures that were predicted out of sample: a
temperature (how much too sure the scores are everywhere) and a lapse rate (how often even the surest score is plainly
wrong; Wichmann and Hill 2001, doi:10.3758/BF03194544). With ten labels per class neither is known well. So the whole
posterior over both is kept, on a grid: a confidence is its mean, and a threshold must hold in nine tenths of it.

Rejected, measured with ten labels per class: the temperature that fits best (with twenty labels that are all predicted
right it grows without bound; of CIFAR-10 pictures accepted for 0.95, 0.94 were right), and bounds that count the
labelled pictures above each threshold (Clopper-Pearson, conformal selection): they either accept nothing, or search
through so many thresholds that one passes by luck. `benchmarks/prelabels.py` measures what this one achieves.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from curate.labelers import Floats, Ints

Doubles = NDArray[np.float64]
Bools = NDArray[np.bool_]

# The grid. Scores are multiplied by a factor: below 1, they were too sure.
_LOG_FACTORS = np.linspace(-1.6, 1.6, 17)  # 0.2 to 5
_LAPSES = np.concatenate([[0.0005], np.geomspace(0.002, 0.5, 14)])
# What is believed before any picture was checked: a factor of 1, give or take 1.6 (one standard deviation), and about
# one lapse in a hundred. A half Cauchy, because its tail lets counted mistakes win: a prior without such a tail,
# Beta(1, 100), held 17 mistakes among 239 pictures (some of their labels were wrong) for bad luck.
_LOG_FACTOR_DEVIATION = 0.5
_LAPSE_BELIEVED = 0.01

RISK = 0.1  # the share of the posterior in which the precision may be lower than stated
MAX_POINTS = 200  # of a coverage curve: steps of half a percent
BINS = 15  # usual for the expected calibration error (Guo et al. 2017)
BIN_PICTURES = 10  # with fewer in a bin, its accuracy is mostly chance


@dataclass(frozen=True)
class Reliability:
    """What labelled pictures tell about scores.

    weights: posterior of each factor and lapse rate, sums to 1, (T, E). checked: how many pictures it rests on;
    copies of one picture count once.
    """

    weights: Doubles  # (T, E)
    checked: float


@dataclass(frozen=True)
class CurvePoint:
    """What accepting every picture from `threshold` on leads to.

    coverage: share of the pictures accepted, 0..1. precision: expected share of right ones among them.
    precision_low: it is lower in one case of ten. measured: share right among the labelled pictures from that
    threshold on, predicted out of sample; NaN if there are none. measured_of: how many those are.
    """

    threshold: float
    coverage: float
    precision: float
    precision_low: float
    measured: float
    measured_of: int


def learn_reliability(scores: Floats, labels: Ints, weights: Floats) -> Reliability:
    """What pictures with a known label tell of the scores.

    scores: log-probabilities up to a constant per row, predicted out of sample, (n, K). labels: (n,).
    weights: how much each counts, (n,): 1 / the number of its copies, as copies are right or wrong together.
    Without rows: what is believed before any was checked.
    """
    rows, guess = np.arange(len(labels)), 1 / scores.shape[1]
    right = np.stack([softmax(scores * factor)[rows, labels] for factor in np.exp(_LOG_FACTORS)])  # (T, n)
    by_lapse = [np.log((1 - lapse) * right + lapse * guess) @ weights for lapse in _LAPSES]  # one by one: (T, n) each
    log = np.stack(by_lapse, axis=1) + _log_prior()
    posterior = np.exp(log - log.max())
    return Reliability(posterior / posterior.sum(), float(weights.sum()))


def confidence(scores: Floats, reliability: Reliability) -> Floats:
    """The probability that the highest score of each row is the right one, (N,)."""
    sure = reliability.weights @ (1 - _LAPSES)  # (T,)
    guess = reliability.weights.sum(axis=0) @ _LAPSES / scores.shape[1]
    return np.asarray(sure @ _tops(scores) + guess, dtype=np.float32)


def coverage_curve(
    scores: Floats, reliability: Reliability, checked: Floats | None = None, correct: Bools | None = None
) -> tuple[CurvePoint, ...]:
    """Coverage against precision for up to MAX_POINTS thresholds, the highest first.

    scores: of the unlabelled pictures, (N, K). checked, correct: confidence of labelled pictures out of sample and
    whether they were right, (n,), for what was measured.
    """
    if not len(scores):
        return ()
    sureness = confidence(scores, reliability)
    order = np.argsort(-sureness, kind="stable")
    descending = sureness[order]
    ends = np.linspace(0, len(order) - 1, min(len(order), MAX_POINTS)).astype(np.int64)
    counts = np.unique(np.searchsorted(-descending, -descending[ends], side="right"))  # equal ones go together
    means = np.cumsum(_tops(scores)[:, order], axis=1, dtype=np.float64)[:, counts - 1] / counts  # (T, points)
    possible = _with_lapses(means, scores.shape[1]).reshape(-1, len(counts))  # (T * E, points)
    lows = _quantiles(possible, reliability.weights.ravel(), RISK)
    thresholds = descending[counts - 1].tolist()
    measured = [_measured_from(threshold, checked, correct) for threshold in thresholds]
    return tuple(
        CurvePoint(
            threshold=thresholds[point],
            coverage=float(count / len(order)),
            precision=float(reliability.weights.ravel() @ possible[:, point]),
            precision_low=float(lows[point]),
            measured=measured[point][0],
            measured_of=measured[point][1],
        )
        for point, count in enumerate(counts.tolist())
    )


def choose_threshold(curve: tuple[CurvePoint, ...], reliability: Reliability, precision: float) -> CurvePoint | None:
    """The point of the curve with the most coverage at which the precision is at least the stated one.

    At least: in nine cases of ten (RISK), and the labelled pictures from there on do not contradict it. None if there
    is no such point, or if fewer labelled pictures were checked than `pictures_to_check`.
    """
    if reliability.checked < pictures_to_check(precision):
        return None
    kept = (point for point in reversed(curve) if point.precision_low >= precision)
    return next((point for point in kept if not _is_contradicted(point, precision)), None)


def pictures_to_check(precision: float) -> int:
    """How many labelled pictures it takes before a stated precision means anything: 14 for 0.95, 69 for 0.99.

    With fewer, a model that errs just too often would show not one mistake half of the time: precision^n = 1/2.
    """
    return int(np.ceil(np.log(0.5) / np.log(precision)))


def calibration_error(confidences: Floats, correct: Bools) -> float:
    """Expected calibration error: mean distance between confidence and accuracy over bins of equally many; 0 is best.

    Up to 15 bins, fewer when there are not ten pictures for each: chance alone would look like an error. NaN without
    pictures.
    """
    if not len(confidences):
        return float("nan")
    bins = int(np.clip(len(confidences) // BIN_PICTURES, 1, BINS))
    parts = np.array_split(np.argsort(confidences, kind="stable"), bins)
    gaps = [abs(float(confidences[part].mean()) - float(correct[part].mean())) * len(part) for part in parts]
    return sum(gaps) / len(confidences)


def softmax(scores: NDArray[np.floating]) -> Doubles:
    """Scores to probabilities, (N, K)."""
    powers = np.exp((scores - scores.max(axis=1, keepdims=True)).astype(np.float64))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def _log_prior() -> Doubles:
    """Of each factor and lapse rate, up to a constant, (T, E)."""
    factor = -0.5 * (_LOG_FACTORS / _LOG_FACTOR_DEVIATION) ** 2
    lapse = -np.log1p((_LAPSES / _LAPSE_BELIEVED) ** 2) + np.log(np.gradient(_LAPSES))  # times the width of its cell
    return np.asarray(factor[:, None] + lapse)


def _tops(scores: Floats) -> Floats:
    """The probability of the highest score at each factor, (T, N)."""
    below = scores - scores.max(axis=1, keepdims=True)  # (N, K), 0 at the top
    return np.stack([1 / np.exp(below * factor).sum(axis=1) for factor in np.exp(_LOG_FACTORS).astype(np.float32)])


def _with_lapses(right: Doubles, classes: int) -> Doubles:
    """Probabilities (T, N) mixed with a blind guess among the classes, for each lapse rate, (T, E, N)."""
    lapses = _LAPSES[None, :, None]
    return np.asarray((1 - lapses) * right[:, None, :] + lapses / classes)


def _quantiles(values: Doubles, weights: Doubles, share: float) -> Doubles:
    """Per column, the value below which that share of the weight lies. values: (G, n). weights: (G,), sum to 1."""
    order = np.argsort(values, axis=0)
    below = np.cumsum(weights[order], axis=0)
    place = np.minimum((below < share).sum(axis=0), len(values) - 1)
    return np.asarray(np.take_along_axis(values, np.take_along_axis(order, place[None], axis=0), axis=0)[0])


def _is_contradicted(point: CurvePoint, precision: float) -> bool:
    """Whether so few right among the labelled pictures would be rarer than RISK, if the precision were kept."""
    from scipy.stats import binom

    if not point.measured_of:
        return False
    return bool(binom.cdf(round(point.measured * point.measured_of), point.measured_of, precision) < RISK)


def _measured_from(threshold: float, confidences: Floats | None, correct: Bools | None) -> tuple[float, int]:
    """Share of right ones among the labelled pictures from a threshold on, NaN without any; and their number."""
    if confidences is None or correct is None or not (confidences >= threshold).any():
        return float("nan"), 0
    above = confidences >= threshold
    return float(correct[above].mean()), int(above.sum())
