"""How much one trait of pictures, such as their brightness, tells of their labels, and whether that can be chance.

Everything is read from one table: how many pictures of each class fall into each bin of the trait. Two questions are
asked of it, and they are kept apart, since with many pictures the faintest difference is significant:

    is it there?   the information that the bins hold on the classes, against tables with the same margins as shuffled
                   labels would give them. `scipy.stats.random_table` draws these directly, so that a hundred thousand
                   pictures cost no more than a hundred.
    is it large?   how many labels are guessed right by the bin alone, on pictures that the guesser has not seen, each
                   class counting the same.

Rejected: cross-validated accuracy for both. It needs a shuffle of all pictures per permutation, and is blind to a
trait that only one class of a hundred has.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

SHUFFLES = 9_999  # the smallest p-value is then 0.0001, which survives the correction for a hundred traits
FOLDS, REPEATS = 5, 5  # of the guesser; more repeats change the second decimal of a percentage
Z_95 = 1.959964  # two-sided 95 % of the normal distribution
BLOCK_CELLS = 4_000_000  # cells of shuffled tables held at a time: 32 MB


@dataclass(frozen=True)
class ClassTie:
    """How a trait sets one class apart from all others.

    told_apart: how often "is it of this class?" is answered right by the trait alone, on unseen pictures, those of the
    class and the others counting half each: 0.5 is chance, 1 is always. p: corrected for the number of classes.
    """

    label: int
    told_apart: float
    p: float


@dataclass(frozen=True)
class Association:
    """What a trait tells of the labels.

    p: how probable it is that a trait that tells nothing seems to tell as much, of all classes or of any one.
    accuracy: balanced, of guesses by the trait alone on unseen pictures; interval: of it, 95 %. chance: what guessing
    without it gives. ties: one per class, in their order.
    """

    p: float
    accuracy: float
    interval: tuple[float, float]
    chance: float
    ties: tuple[ClassTie, ...]

    @property
    def lift(self) -> float:
        """The accuracy between chance (0) and certainty (1); below 0 where guesses were worse than chance."""
        return (self.accuracy - self.chance) / (1 - self.chance)


def associate(bins: Ints, labels: Ints, name: str, shuffles: int = SHUFFLES) -> Association:
    """What the bins (N,), 0..B-1, tell of the labels (N,), 0..K-1, of N pictures that are no copies of each other.

    Every class needs a picture, and K at least 2. name: of the trait; chance is drawn from it, so that the same trait
    gives the same numbers whatever else is asked. The order of the rows matters to chance: sort them by content.
    """
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")
    counts = _table(bins, labels, int(bins.max()) + 1, int(labels.max()) + 1)  # (B, K)
    counts = counts[counts.any(axis=1)]
    p, by_class = _significance(counts, shuffles, seed)
    recalls, told_apart = _guess(bins, labels, seed)
    accuracy = float(recalls.mean())
    return Association(
        p=min(1.0, 2 * min(p, float(by_class.min()))),  # two chances to be found by luck (Bonferroni)
        accuracy=accuracy,
        interval=_interval(recalls, counts.sum(axis=0)),
        chance=1 / len(recalls),
        ties=tuple(ClassTie(label, float(told_apart[label]), float(by_class[label])) for label in range(len(recalls))),
    )


def _table(bins: Ints, labels: Ints, rows: int, columns: int) -> Ints:
    """How many pictures of each class are in each bin, (B, K)."""
    return np.bincount(bins * columns + labels, minlength=rows * columns).reshape(rows, columns)


# ---- Is it there?


def _significance(counts: Ints, shuffles: int, seed: int) -> tuple[float, Floats]:
    """The p-value of the whole table (B, K), and of each class, (K,), corrected for their number.

    A class's p is the share of shuffles in which *any* class has as much information as this one (Westfall and Young
    1993), so that of a hundred classes none is named by luck.
    """
    if len(counts) < 2:
        return 1.0, np.ones(counts.shape[1])
    seen, seen_by_class = _information(counts[None])
    as_much, as_much_by_class = 1, np.ones(counts.shape[1])
    for shuffled in _shuffled(counts, shuffles, seed):
        total, by_class = _information(shuffled)
        # Rounding must not part tables that are equal.
        as_much += int((total >= seen - 1e-9).sum())
        as_much_by_class += (by_class.max(axis=1)[:, None] >= seen_by_class - 1e-9).sum(axis=0)
    return as_much / (shuffles + 1), as_much_by_class / (shuffles + 1)


def _shuffled(counts: Ints, shuffles: int, seed: int) -> Iterator[Ints]:
    """Tables (S, B, K) that so many shuffles of the labels give, in blocks."""
    from scipy.stats import random_table

    tables, random = random_table(counts.sum(axis=1), counts.sum(axis=0)), np.random.default_rng(seed)
    block = max(1, BLOCK_CELLS // counts.size)
    for start in range(0, shuffles, block):
        yield tables.rvs(min(block, shuffles - start), random_state=random).astype(np.int64)


def _information(tables: Ints) -> tuple[Floats, Floats]:
    """What the bins of each table (S, B, K) say of the classes, in nats times pictures: (S,), and per class (S, K).

    The G statistic of Woolf (1957) halved, and the part of it that each class contributes.
    """
    from scipy.special import xlogy

    bins, classes = tables[0].sum(axis=1), tables[0].sum(axis=0)  # (B,), (K,) the same in all
    expected = bins[:, None] * (classes / classes.sum())  # (B, K)
    by_class = (xlogy(tables, tables) - tables * np.log(expected)).sum(axis=1)  # (S, K)
    return by_class.sum(axis=1), by_class


# ---- Is it large?


def _guess(bins: Ints, labels: Ints, seed: int) -> tuple[Floats, Floats]:
    """Share of each class's pictures that are guessed right, (K,), and how well each is told apart from the rest, (K,).

    A picture is guessed to be of the class that has the largest share of its pictures in the same bin. Shares are
    smoothed by one picture per bin (Laplace), or a class of five would own every bin it happens to be in.
    """
    shape = int(bins.max()) + 1, int(labels.max()) + 1
    counts, random = _table(bins, labels, *shape), np.random.default_rng(seed)
    right, told, total = np.zeros(shape[1]), np.zeros(shape[1]), counts.sum(axis=0)
    for _ in range(REPEATS):
        fold = _folds(labels, random)
        for part in range(FOLDS):
            asked = _table(bins[fold == part], labels[fold == part], *shape)
            known = counts - asked
            right += (_best_class(known) * asked).sum(axis=0)
            told += _told_apart(known, asked, total)
    return right / (REPEATS * total), told / REPEATS


def _folds(labels: Ints, random: np.random.Generator) -> Ints:
    """The fold of each picture, (N,): each class is dealt out evenly, like cards."""
    shuffled = random.permutation(len(labels))
    fold = np.empty(len(labels), np.int64)
    fold[shuffled[np.argsort(labels[shuffled], kind="stable")]] = np.arange(len(labels)) % FOLDS
    return fold


def _best_class(known: Ints) -> Floats:
    """The guess in each bin, (B, K): 1 for the class of the largest share, parts of 1 where several are equal."""
    shares = (known + 1) / (known.sum(axis=0) + len(known))
    best = shares >= shares.max(axis=1, keepdims=True) - 1e-12
    return np.asarray(best / best.sum(axis=1, keepdims=True))


def _told_apart(known: Ints, asked: Ints, total: Ints) -> Floats:
    """What the asked pictures add to how well each class is told from all others, (K,); over all folds it is 0 to 1."""
    rest_known, rest_asked = known.sum(axis=1, keepdims=True) - known, asked.sum(axis=1, keepdims=True) - asked
    own = (known + 1) / (known.sum(axis=0) + len(known))
    rest = (rest_known + 1) / (rest_known.sum(axis=0) + len(known))
    says_own = np.where(np.abs(own - rest) < 1e-12, 0.5, own > rest)  # (B, K)
    recall = (says_own * asked).sum(axis=0) / total
    rejected = ((1 - says_own) * rest_asked).sum(axis=0) / (total.sum() - total)
    return np.asarray((recall + rejected) / 2)


def _interval(recalls: Floats, counts: Ints) -> tuple[float, float]:
    """95 % for the mean of the recalls, each of so many pictures; two right and two wrong ones are added to each class.

    Agresti and Coull (1998): where all or none are right, the plain interval would have no width.
    """
    shares = (recalls * counts + 2) / (counts + 4)
    half = Z_95 * float(np.sqrt((shares * (1 - shares) / (counts + 4)).sum())) / len(recalls)
    middle = float(recalls.mean())
    return max(0.0, middle - half), min(1.0, middle + half)
