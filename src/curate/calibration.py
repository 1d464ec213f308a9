"""Several models' probabilities made one, that means what it says: of the predictions with 0.8, eight in ten are right.

Some models are too sure, others too timid. One exponent puts each right (temperature scaling, Guo et al. 2017,
arXiv:1706.04599); then they are averaged as logarithms, where one model that is certain isn't outvoted by two that
don't know, and a last exponent puts the average right. Fitted naively on labels of which some are wrong, exponents
would make the models as unsure as the labels are bad. So a share of labels chosen by chance is fitted along and then
left out: a calibrated probability is about the true label, not about the given one.

Tried and rejected: fitting the exponents of all models together (learns systematic mistakes of the labels, and then
repeats them); averaging the probabilities themselves; one exponent for the plain average.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

BINS = 15  # as is usual for the expected calibration error, here with equally many pictures in each
SMALLEST = 1e-30  # stands for zero, which has no logarithm
FITTED_ROWS = 20_000  # two numbers don't become more precise with more
LOG_EXPONENTS = (-3.0, 3.0)  # 1/20 to 20
CHANCES = (0.0, 0.95)
PRECISION = {"xatol": 0.01, "fatol": 0.01}


@dataclass(frozen=True)
class Calibration:
    """exponents: of each model's probabilities. chance: share of labels that look as if drawn by lot, 0..1."""

    exponents: Mapping[str, float]
    chance: float

    def apply(self, by_head: Mapping[str, Floats]) -> Floats:
        """Name of the model -> (N, K), to one (N, K) about the true label."""
        total = np.zeros(next(iter(by_head.values())).shape, np.float32)
        for name, exponent in self.exponents.items():
            total += np.float32(exponent) * np.log(np.maximum(by_head[name], SMALLEST))
        return softmax(total)


def fit_calibration(by_head: Mapping[str, Floats], labels: Ints) -> Calibration:
    """The most likely calibration. by_head: name -> (N, K), out of sample. labels: (N,), some may be wrong."""
    alone = {name: fit_exponent(one, labels)[0] / len(by_head) for name, one in by_head.items()}
    together, chance = fit_exponent(Calibration(alone, 0).apply(by_head), labels)
    return Calibration({name: together * exponent for name, exponent in alone.items()}, chance)


def fit_exponent(probabilities: Floats, labels: Ints) -> tuple[float, float]:
    """The exponent (0.05 to 20), and the share of labels by chance (0..1), under which the labels surprise least."""
    from scipy.optimize import minimize

    step = -(-len(labels) // FITTED_ROWS)
    logarithms = np.log(np.maximum(probabilities[::step], SMALLEST))
    given, classes = labels[::step], probabilities.shape[1]

    def surprise(parameters: NDArray[np.float64]) -> float:
        log_exponent, chance = parameters
        of_label = softmax(logarithms * np.float32(np.exp(log_exponent)))[np.arange(len(given)), given]
        # As much as one more picture would, this says that exponents are near 1 and most labels right: it decides
        # where there are very few pictures.
        prior = log_exponent**2 / 2 + 5 * chance
        return float(prior - np.log((1 - chance) * of_label.astype(np.float64) + chance / classes + SMALLEST).sum())

    # A simplex: the surprise jumps where single precision ends, which misleads methods that follow slopes.
    found = minimize(
        surprise, np.array([0.0, 0.05]), method="Nelder-Mead", bounds=[LOG_EXPONENTS, CHANCES], options=PRECISION
    )
    return float(np.exp(found.x[0])), float(found.x[1])


def calibration_error(by_head: Mapping[str, Floats], labels: Ints, half: Ints) -> float:
    """Expected calibration error of the best guesses, 0..1, each half calibrated on the other. half: (N,) 0 or 1.

    Measured on the given labels: how often those are wrong, and right by chance, is allowed for.
    """
    promised, kept = np.zeros(len(labels)), np.zeros(len(labels))
    for part in (0, 1):
        mine = half == part
        if mine.all() or not mine.any():
            continue
        calibration = fit_calibration({name: one[~mine] for name, one in by_head.items()}, labels[~mine])
        said = calibration.apply({name: one[mine] for name, one in by_head.items()})
        promised[mine] = (1 - calibration.chance) * said.max(axis=1) + calibration.chance / said.shape[1]
        kept[mine] = said.argmax(axis=1) == labels[mine]
    return expected_calibration_error(promised, kept)


def expected_calibration_error(promised: NDArray[np.float64], kept: NDArray[np.float64]) -> float:
    """Mean distance of promised (N,) and kept (N,) shares over `BINS` bins of equally many pictures."""
    order = np.argsort(promised, kind="stable")
    bins = np.array_split(order, min(BINS, len(order)))
    return float(sum(len(rows) * abs(promised[rows].mean() - kept[rows].mean()) for rows in bins) / len(order))


def softmax(scores: Floats) -> Floats:
    """Scores (N, K) to probabilities, each row's sum 1."""
    raised = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True), dtype=np.float32)
