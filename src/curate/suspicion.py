"""Which labels are likely wrong, from what models that did not see them say.

A picture's label and the models' opinion are two witnesses to its true class. How far to trust the label is learned
from the data set itself: where the models are sure, their disagreements with the labels show how often people write
which class for which other (the noise matrix). Then Bayes' rule gives, for each picture, how probable each class is
given both. Noise and the models' sharpness explain the same disagreements, so they are fitted together, by
expectation maximisation. How many labels are wrong is then settled together with cleanlab's count (Northcutt et al.
2021, doi:10.1613/jair.1.12125), which counts more the surer the models are.

    quality     probability that the given label is right
    flag        the cut that promises the highest F1 under these probabilities, so it adapts to the noise: no
                threshold to choose, and what we promise of the flag follows from it. A flagged label may still be the
                single most probable one, where several others together are about as probable.

Tried and rejected: "the models' best guess differs", with and without a margin (too many flags where the models are
weak), and cleanlab's own flags, whose class-wise thresholds take many a hard picture for a wrong label:
`benchmarks/labels.py` compares them on the same pictures and on the same probabilities. Also training the models again
without the suspects or on corrected labels (0.01 of average precision for twice the time); a share of blunders by the
models beside the noise (ranks worse); noise that grows with a picture's ambiguity (nothing gained); and a correction
learned from data sets with known errors (does not carry over to other kinds of pictures).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from curate.calibration import SMALLEST, softmax

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

FEWEST = 5  # classes with fewer different pictures are not judged: there is nothing to learn them from
LEAST_PROMISE = 0.15  # flags that are right less often than one time in seven cost more trust than they bring

# The constants below were chosen on 230 data sets: classes of Caltech-101 that are not in `caltech12`, other cats and
# dogs, each with 0 to 35 % of wrong labels (random, toward the class most like it, or as a weak model errs), and
# the single annotators of half of the CIFAR-10N pictures; 80 to 3,000 pictures, even and lopsided, with MobileNetV2,
# with it reduced to 32 random directions, and with two hand-made descriptors.
BORROWED = 50.0  # pictures' worth of belief, in each class, that its noise is as usual; 20 and 200 do as well
BLIND = 0.02  # share of that belief that goes to all classes alike, the rest to those that the models mix up
STEPS, TURNS = 30, 4  # of expectation maximisation, and of refitting the exponent in between
FITTED_ROWS = 50_000
# Models that often doubt and have seen few examples are also wrong where they don't doubt, and no label tells their
# mistakes from those of people: with fewer examples per class than this, they are believed by their doubt less. On the
# sets above, what is promised of the flags is then right on average; before, it was up to twice too high.
MANY_EXAMPLES = 60
# The number of errors is a weighted geometric mean of our estimate, too low where people err on what models find hard
# too, and cleanlab's, too high where models are weak: cleanlab's weight is 1 minus this times the models' mean doubt.
TRUSTED_DOUBT = 3.0
FURTHEST = 10.0  # the logarithm of the factor by which odds are changed to that end
# The estimated odds of a label being wrong are off by a factor, whose logarithm spreads by this, and by this times the
# models' mean doubt; and of the doubt, this share may be errors or not. So nine in ten intervals of 90 % contain the
# true number.
SURE_SPREAD, DOUBT_SPREAD, UNSEEN = 0.1, 1.0, 0.1


@dataclass(frozen=True)
class ClassQuality:
    """One class: how many pictures carry its label, and how many of them are thought wrong.

    missing: share of the pictures of the true class that carry another label, 0..1.
    """

    label: int
    pictures: int
    judged: bool
    estimated_errors: float
    missing: float


@dataclass(frozen=True)
class Overlap:
    """Two classes that are taken for each other: the estimated number of pictures of one labelled as the other."""

    first: int
    second: int
    pictures: float


@dataclass(frozen=True)
class Judgement:
    """What is thought of each label, (N,), and of all of them.

    quality: probability that the label is right, 0 surely wrong .. 1 surely right. is_error: flagged.
    suggested: the class that fits best; the given one where none fits better. posterior: (N, K).
    estimated_errors: how many labels are wrong, flagged or not; fewest and most: 90 % interval.
    noise: (K, K) estimated share of each true class (row) that carries each label (column).
    stated_precision: share of the flags that are right, as we promise it; NaN without flags.
    """

    quality: Floats
    is_error: Bools
    suggested: Ints
    posterior: Floats
    estimated_errors: int
    fewest_errors: int
    most_errors: int
    noise: Doubles
    classes: tuple[ClassQuality, ...]
    overlaps: tuple[Overlap, ...]
    stated_precision: float


def judge_labels(labels: Ints, probabilities: Floats, groups: Ints, *, copies: Ints | None = None) -> Judgement:
    """Judge each given label; quality is the probability that it is right.

    labels: (N,) 0..K-1. probabilities: (N, K), from models that saw neither the picture nor its copies.
    groups: (N,) equal on near copies of one picture: they count once. copies: (N,) equal on exact copies of one
    picture, whose true class is one: if their labels differ, at least one is flagged.
    """
    noise, exponent = fit_noise(labels, probabilities, groups)
    opinion = softmax(np.log(np.maximum(probabilities, SMALLEST)) * np.float32(exponent))
    posterior = _posterior(labels, opinion, noise, np.arange(len(labels)) if copies is None else copies)
    right = posterior[np.arange(len(labels)), labels]
    judged = _judged(labels, groups, probabilities.shape[1])
    conflicting = _conflicting(labels, posterior, copies)
    doubt = float(1 - opinion.max(axis=1).mean())
    believed = 1 - doubt * min(1.0, MANY_EXAMPLES * len(np.unique(labels)) / len(labels))
    wrong = believed * np.where(judged[labels] | conflicting, 1 - right, 0).astype(np.float64)
    wrong = _counted(wrong, _confident_count(labels, probabilities), weight=max(0.0, 1 - TRUSTED_DOUBT * doubt))
    is_error = best_cut(wrong) | conflicting
    fewest, most = _interval(float(wrong.sum()), len(labels), doubt)
    return Judgement(
        quality=np.where(wrong > 0, 1 - wrong, 1 - believed * (1 - right)).astype(np.float32),
        is_error=is_error,
        suggested=posterior.argmax(axis=1),
        posterior=posterior,
        estimated_errors=round(float(wrong.sum())),
        fewest_errors=fewest,
        most_errors=most,
        noise=noise,
        classes=_class_qualities(labels, wrong, posterior, judged),
        overlaps=_overlaps(labels, posterior),
        stated_precision=float(wrong[is_error].mean()) if is_error.any() else float("nan"),
    )


def fit_noise(labels: Ints, probabilities: Floats, groups: Ints) -> tuple[Doubles, float]:
    """The noise matrix (K, K), rows true classes, and the exponent that makes the probabilities fit it best."""
    from scipy.optimize import minimize_scalar

    _, one_each = np.unique(np.stack([groups, labels]), axis=1, return_index=True)
    fitted = one_each[:: -(-len(one_each) // FITTED_ROWS)]
    logarithms, given = np.log(np.maximum(probabilities[fitted], SMALLEST)), labels[fitted]

    def opinion(log_exponent: float) -> Floats:
        return softmax(logarithms * np.float32(np.exp(log_exponent)))

    def surprise(log_exponent: float) -> float:
        of_label = (opinion(log_exponent) * noise[:, given].T).sum(axis=1)
        return float(log_exponent**2 / 2 - np.log(np.maximum(of_label, SMALLEST)).sum())

    at = 0.0
    noise = _explain(given, opinion(at))
    for _ in range(TURNS - 1):
        at = float(minimize_scalar(surprise, bounds=(at - 1, at + 1), method="bounded").x)
        noise = _explain(given, opinion(at))
    return noise, float(np.exp(at))


def _explain(labels: Ints, opinion: Floats) -> Doubles:
    """The most likely noise matrix, if the opinion (N, K) is right about the true classes."""
    classes = opinion.shape[1]
    given = np.eye(classes, dtype=np.float32)[labels]  # (N, K)
    usual = _usual_mistakes(opinion)
    noise = _mixture(0.1, usual)
    for _ in range(STEPS):
        posterior = opinion * noise[:, labels].T.astype(np.float32)
        posterior /= np.maximum(posterior.sum(axis=1, keepdims=True), np.float32(SMALLEST))
        counts = (posterior.T @ given).astype(np.float64)  # (true, given)
        wrong = (counts.sum() - np.trace(counts) + 0.5) / (len(labels) + 10)  # never quite 0
        counts += BORROWED * _mixture(wrong, usual)
        noise = counts / counts.sum(axis=1, keepdims=True)
    return noise


def _usual_mistakes(opinion: Floats) -> Doubles:
    """(K, K) what a wrong label of each class (row) is likely to be: a class that looks like it, or any."""
    classes = opinion.shape[1]
    mistakes = (opinion.T @ opinion).astype(np.float64) + BLIND * len(opinion) / classes**2
    np.fill_diagonal(mistakes, 0)
    return np.asarray(mistakes / np.maximum(mistakes.sum(axis=1, keepdims=True), SMALLEST))


def _mixture(wrong: float, mistakes: Doubles) -> Doubles:
    return np.asarray((1 - wrong) * np.eye(len(mistakes)) + wrong * mistakes)


def _confident_count(labels: Ints, probabilities: Floats) -> int:
    """cleanlab's estimate of the number of errors."""
    from cleanlab.count import num_label_issues

    present, given = np.unique(labels, return_inverse=True)  # it wants every class to have pictures
    if len(present) < 2:
        return 0
    said = probabilities[:, present].astype(np.float64) + SMALLEST
    return int(num_label_issues(given, said / said.sum(axis=1, keepdims=True)))


def _counted(wrong: Doubles, count: int, weight: float) -> Doubles:
    """Probabilities `wrong` (N,) with all odds changed by one factor, so that their sum comes nearer to `count`.

    weight: how near, 0 (unchanged) .. 1 (equal).
    """
    from scipy.optimize import brentq
    from scipy.special import expit, logit

    expected = float(wrong.sum())
    possible = (wrong > 0) & (wrong < 1)
    if not count or not weight or expected < SMALLEST or not possible.any():
        return wrong
    wanted = min(count**weight * expected ** (1 - weight), 0.9 * len(wrong))
    scores = logit(wrong[possible])

    def excess(factor: float) -> float:
        return float(expit(scores + factor).sum() + wrong[~possible].sum() - wanted)

    if excess(-FURTHEST) > 0 or excess(FURTHEST) < 0:
        return wrong
    changed = wrong.copy()
    changed[possible] = expit(scores + brentq(excess, -FURTHEST, FURTHEST))
    return changed


def _interval(expected: float, count: int, doubt: float) -> tuple[int, int]:
    """Fewest and most errors: 90 % interval. doubt: mean probability that the models' best guess is wrong."""
    spread = np.hypot(SURE_SPREAD + DOUBT_SPREAD * doubt, 1 / np.sqrt(max(expected, 1)))
    factor = float(np.exp(1.645 * spread))  # of the odds, so that there are never more errors than pictures
    odds = expected / max(count - expected, SMALLEST)
    unseen = UNSEEN * doubt * count
    fewest = count * odds / (odds + factor) - unseen
    most = count * odds * factor / (1 + odds * factor) + unseen
    return max(0, math.floor(fewest)), min(count, math.ceil(most))


def _posterior(labels: Ints, opinion: Floats, noise: Doubles, copies: Ints) -> Floats:
    """(N, K) how probable each class is, given what the models and all different labels of the picture say."""
    _, picture = np.unique(copies, return_inverse=True)
    said = np.unique(np.stack([picture, labels]), axis=1)  # each label counts once: labels of copies are copied too
    with np.errstate(divide="ignore"):
        logarithms = np.log(np.maximum(opinion, SMALLEST)).astype(np.float64)
        witnesses = np.zeros((picture.max(initial=-1) + 1, opinion.shape[1]))
        np.add.at(witnesses, said[0], np.log(np.maximum(noise[:, said[1]].T, SMALLEST)))
    return softmax((logarithms + witnesses[picture]).astype(np.float32))


def _conflicting(labels: Ints, posterior: Floats, copies: Ints | None) -> Bools:
    """(N,) labels that differ from the most probable one of those that the picture's exact copies carry."""
    if copies is None:
        return np.zeros(len(labels), dtype=np.bool_)
    right = posterior[np.arange(len(labels)), labels]
    _, picture = np.unique(copies, return_inverse=True)
    order = np.lexsort((labels, -right, picture))
    first = np.ones(len(order), dtype=np.bool_)
    first[1:] = picture[order][1:] != picture[order][:-1]
    best = labels[order[first]]  # of each picture
    return np.asarray(labels != best[picture])


def _judged(labels: Ints, groups: Ints, classes: int) -> Bools:
    """(K,) classes with enough different pictures."""
    different = np.unique(np.stack([groups, labels]), axis=1)[1]
    return np.asarray(np.bincount(different, minlength=classes) >= FEWEST)


def best_cut(wrong: Doubles) -> Bools:
    """(N,) the flags that promise the highest F1, if `wrong` (N,) is how probable each label is wrong."""
    order = np.argsort(-wrong, kind="stable")
    found = np.cumsum(wrong[order])
    promised = 2 * found / (np.arange(1, len(wrong) + 1) + max(float(wrong.sum()), SMALLEST))
    flagged = np.zeros(len(wrong), dtype=np.bool_)
    flagged[order[: int(promised.argmax()) + 1]] = True
    return flagged & (wrong >= LEAST_PROMISE)


def _class_qualities(labels: Ints, wrong: Doubles, posterior: Floats, judged: Bools) -> tuple[ClassQuality, ...]:
    classes = posterior.shape[1]
    pictures = np.bincount(labels, minlength=classes)
    errors = np.bincount(labels, wrong, minlength=classes)
    truly, kept = posterior.sum(axis=0), np.zeros(classes)
    np.add.at(kept, labels, posterior[np.arange(len(labels)), labels])
    missing = 1 - kept / np.maximum(truly, SMALLEST)
    return tuple(
        ClassQuality(label, int(pictures[label]), bool(judged[label]), float(errors[label]), float(missing[label]))
        for label in range(classes)
    )


def _overlaps(labels: Ints, posterior: Floats) -> tuple[Overlap, ...]:
    """Pairs of classes with at least half a picture of one labelled as the other, most first."""
    classes = posterior.shape[1]
    labelled_as = np.array([posterior[labels == label].sum(axis=0) for label in range(classes)])
    both = np.triu(labelled_as + labelled_as.T, 1)
    first, second = np.nonzero(both >= 0.5)
    found = [Overlap(int(a), int(b), float(both[a, b])) for a, b in zip(first, second, strict=True)]
    return tuple(sorted(found, key=lambda pair: -pair.pictures))
