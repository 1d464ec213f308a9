"""Which labels are likely wrong, from what models that did not see them say.

A picture's label and the models' opinion are two witnesses to its true class. How far to trust the label is learned
from the data set itself: where the models are sure, their disagreements with the labels show how often people write
which class for which other (the noise matrix). Then Bayes' rule gives, for each picture, how probable each class is
given both. Noise and the models' sharpness explain the same disagreements, so they are fitted together: for each of
several exponents the noise by expectation maximisation, and the likeliest pair is kept.

How many labels are wrong decides what can be promised: with the true number, nearly every promise is right within 0.1.
Two things make it differ from what the noise matrix alone says. People err where models doubt, which looks as if the
models were merely unsure: so, in counting, noise grows with doubt. And models contradict right labels even where they
are sure, the more the weaker they are and the less they have seen: so a share of the contradictions is theirs.

    quality     probability that the given label is right
    flag        the cut that promises the highest F1 under these probabilities, so it adapts to the noise: no
                threshold to choose, and what we promise of the flag follows from it. A flagged label may still be the
                single most probable one, where several others together are about as probable.

Tried and rejected: "the models' best guess differs", with and without a margin (too many flags where the models are
weak), and cleanlab's own flags, whose class-wise thresholds take many a hard picture for a wrong label:
`benchmarks/labels.py` compares them on the same pictures and on the same probabilities. Also a share of blunders by the
models beside the noise (ranks worse); ranking, and not only counting, by noise that grows with doubt (loses 0.005 of
average precision); averaging over the number of errors as the likelihood has it (too high with weak models); moving the
number toward cleanlab's (nothing gained once noise grows with doubt); and a correction learned from data sets with
known errors (does not carry over to other kinds of pictures).
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
BORROWED = 50.0  # pictures' worth of belief, in each class, that its noise is as usual; 100 and 300 do worse
BLIND = 0.02  # share of that belief that goes to all classes alike, the rest to those that the models mix up
STEPS = 8  # of expectation maximisation, for each exponent
EXPONENTS = np.exp(
    np.linspace(-1.2, 1.5, 13)
)  # 0.3 to 4.5; all are tried: from one to the next, many look like the best
FITTED_ROWS = 20_000
# People err where models doubt. Single annotators of CIFAR-10N have 3.6 times the odds of an error in the tenth that
# MobileNetV2 doubts most (0.65) as in the one where it is sure: that is exp(2 x 0.65). Noise made at random has 1.
TILT = 2.0
# Models contradict right labels even where they don't doubt. Measured with the true labels: 0.2 % of the pictures at a
# mean doubt of 0.2, 2.5 % at 0.3, 3 to 7 % at 0.45, and more with few examples per class: about the cube of the doubt,
# times the root of this many examples per class over those there are.
MANY_EXAMPLES = 60
USUAL_ERRORS = 0.2  # mean share of wrong labels before looking; with 0.1, many errors in few pictures are missed
FURTHEST = 10.0  # the logarithm of the factor by which odds are changed at most
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
    noise, opinion = _fitted(labels, probabilities, groups)
    posterior = _posterior(labels, opinion, noise, np.arange(len(labels)) if copies is None else copies)
    right = posterior[np.arange(len(labels)), labels]
    judged = _judged(labels, groups, probabilities.shape[1])
    conflicting = _conflicting(labels, posterior, copies)
    doubt = float(1 - opinion.max(axis=1).mean())
    contradicted = _contradicted(labels, opinion, noise)
    believed = share_of_labels(
        float(contradicted.mean()), doubt**3 * math.sqrt(MANY_EXAMPLES * len(np.unique(labels)) / len(labels))
    )
    doubted = judged[labels] | conflicting
    wrong = believed * _counted(np.where(doubted, 1 - right, 0).astype(np.float64), float(contradicted[doubted].sum()))
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


def belief(labels: Ints, probabilities: Floats, groups: Ints) -> tuple[Floats, float]:
    """How far each label may be believed, (N,) 0..1, and the models' mean doubt, 0..1, to train models again."""
    noise, opinion = _fitted(labels, probabilities, groups)
    right = _posterior(labels, opinion, noise, np.arange(len(labels)))[np.arange(len(labels)), labels]
    return right, float(1 - opinion.max(axis=1).mean())


def _fitted(labels: Ints, probabilities: Floats, groups: Ints) -> tuple[Doubles, Floats]:
    """The noise matrix (K, K), rows true classes, and the opinion (N, K) on the true classes that fits it best."""
    _, one_each = np.unique(np.stack([groups, labels]), axis=1, return_index=True)
    fitted = one_each[:: -(-len(one_each) // FITTED_ROWS)]
    logarithms = np.log(np.maximum(probabilities, SMALLEST))
    best, surprise = (np.eye(probabilities.shape[1]), 1.0), math.inf
    for exponent in EXPONENTS:
        noise, its_surprise = _explain(labels[fitted], softmax(logarithms[fitted] * np.float32(exponent)))
        its_surprise += math.log(exponent) ** 2 / 2
        if its_surprise < surprise:
            best, surprise = (noise, float(exponent)), its_surprise
    return best[0], softmax(logarithms * np.float32(best[1]))


def _explain(labels: Ints, opinion: Floats) -> tuple[Doubles, float]:
    """The most likely noise matrix, if the opinion (N, K) is right about the true classes, and how unlikely it is.

    Each class has a rate of errors, and shares of them for each class written instead.
    """
    usual = _usual_mistakes(opinion)
    given = np.eye(opinion.shape[1], dtype=np.float32)[labels]  # (N, K)
    usual_rate = 0.1
    rates, mistakes = np.full(len(usual), usual_rate), usual
    for _ in range(STEPS):
        of_label, flipped = _of_label(labels, opinion, _matrix(rates, mistakes))
        posterior = opinion * of_label
        posterior /= np.maximum(posterior.sum(axis=1, keepdims=True), np.float32(SMALLEST))
        wrong = (posterior.T @ given).astype(np.float64)  # (true, given)
        np.fill_diagonal(wrong, 0)
        usual_rate = (wrong.sum() + 0.5) / (len(labels) + 10)  # never quite 0
        expected = (posterior * flipped).sum(axis=0, dtype=np.float64)
        # As the rate is tilted, its odds are moved by how much more is found than it makes expect.
        more = (wrong.sum(axis=1) + BORROWED * usual_rate) / (expected + BORROWED * rates)
        odds = rates / (1 - rates) * more
        rates = np.clip(odds / (1 + odds), 1e-4, 0.9)
        mistakes = wrong + BORROWED * usual_rate * usual
        mistakes /= np.maximum(mistakes.sum(axis=1, keepdims=True), SMALLEST)
    noise = _matrix(rates, mistakes)
    likelihoods = (opinion * _of_label(labels, opinion, noise)[0]).sum(axis=1, dtype=np.float64)
    believed = _matrix(np.full(len(usual), usual_rate), usual)
    prior = BORROWED * float((believed * np.log(np.maximum(noise, 1e-12) / np.maximum(believed, 1e-12))).sum())
    # Where sharp models with much noise and timid ones with little explain the same, little noise is likelier.
    prior -= usual_rate / USUAL_ERRORS
    return noise, -prior - float(np.log(np.maximum(likelihoods, 1e-9)).sum())


def _matrix(rates: Doubles, mistakes: Doubles) -> Doubles:
    return np.asarray(np.diag(1 - rates) + rates[:, None] * mistakes)


def _of_label(labels: Ints, opinion: Floats, noise: Doubles) -> tuple[Floats, Floats]:
    """(N, K) how probable the given label is, and how probable any wrong one, for each true class of the picture."""
    doubt = 1 - opinion.max(axis=1)
    odds = np.exp(np.float32(TILT) * (doubt - doubt.mean()))[:, None]
    rates = (1 - noise.diagonal()).astype(np.float32)
    flipped = rates * odds / (1 - rates + rates * odds)  # (N, K)
    mistakes = (noise / np.maximum(rates, SMALLEST)[:, None]).astype(np.float32)
    of_label = flipped * mistakes[:, labels].T
    rows = np.arange(len(labels))
    of_label[rows, labels] = 1 - flipped[rows, labels]
    return of_label, flipped


def _contradicted(labels: Ints, opinion: Floats, noise: Doubles) -> Doubles:
    """(N,) how probable it is that the label differs from the class, where doubtful pictures have more noise."""
    posterior = opinion * _of_label(labels, opinion, noise)[0]
    right = posterior[np.arange(len(labels)), labels] / np.maximum(posterior.sum(axis=1), np.float32(SMALLEST))
    return np.asarray(1 - right, dtype=np.float64)


def share_of_labels(contradicted: float, blunders: float) -> float:
    """Which share of the contradictions are mistakes of the labels, and not of the models, 0..1.

    Both kinds are thought exponential, with means `USUAL_ERRORS` and `blunders` (shares of the pictures); only their
    sum is seen. So what models like these often get wrong themselves takes much of a small sum, little of a large one.
    """
    excess = (1 / max(blunders, 1e-5) - 1 / USUAL_ERRORS) * contradicted
    if abs(excess) < 1e-4:
        return 0.5
    return float(-1 / math.expm1(-excess) - 1 / excess) if excess > -500 else float(-1 / excess)


def _usual_mistakes(opinion: Floats) -> Doubles:
    """(K, K) what a wrong label of each class (row) is likely to be: a class that looks like it, or any."""
    classes = opinion.shape[1]
    mistakes = (opinion.T @ opinion).astype(np.float64) + BLIND * len(opinion) / classes**2
    np.fill_diagonal(mistakes, 0)
    return np.asarray(mistakes / np.maximum(mistakes.sum(axis=1, keepdims=True), SMALLEST))


def _counted(wrong: Doubles, wanted: float) -> Doubles:
    """Probabilities `wrong` (N,) with all odds changed by one factor, so that their sum is `wanted`."""
    from scipy.optimize import brentq
    from scipy.special import expit, logit

    possible = (wrong > 0) & (wrong < 1)
    if not possible.any():
        return wrong
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
