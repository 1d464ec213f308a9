"""What each strategy would make of the training pictures, and what a model would be worth that is trained on that.

The model is the cheapest there is: the last layer trained anew on the frozen embedding (`curate.heads`), with each
picture weighing repeat x weight. It is judged by balanced accuracy, the mean of the classes' recalls, on the validation
pictures; without any, by folds of the training pictures, groups of copies kept whole, each strategy applied anew to
what is left. The test pictures are not looked at: choosing a strategy by them would use them up.

A linear layer on a good embedding needs little help against imbalance, and can't learn repeats by heart as a network
can. So the table tells strategies that harm; it may miss what helps a network that is trained as a whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from curate import heads
from curate.combining import balance
from curate.progress import Advance, no_advance
from curate.settings import RebalanceSettings
from curate.strategies import (
    Balance,
    Bools,
    Doubles,
    Floats,
    Ints,
    Strategy,
    Training,
    all_strategies,
    epoch_sizes,
)

ENOUGH = 10_000  # judged pictures: the intervals are below a point then, and more folds would only take longer
DRAWS = 2_000  # of the posterior of a score: the ends of its interval are then good to a tenth of its width
OPINION = 1.0  # pictures that each class borrows from all: three of three right is no certainty (Jeffreys 1946)
# Rare classes are often harder than the usual picture, so a part of what is borrowed is a coin's accuracy. With a
# quarter the interval held the truth in 91 to 99 of 100 simulated trials (2 to 100 pictures per class, recalls .3 to
# .97), with none in 67 to 97, with all of it in 57 to 98. The gain's interval held it in 89 to 97.
COIN = 0.25
# Pictures that came out worse, the same and better, made up for all pictures and borrowed from them by each class:
# three of three better is no certainty (Bonett and Price 2012, "Adjusted Wald confidence interval for a difference").
MADE_UP = np.array([1.0, 0.0, 1.0])


@dataclass(frozen=True)
class Judging:
    """One trial: training pictures, and those that the model trained on them is judged by."""

    training: Training
    vectors: Floats  # (T, D)
    labels: Ints  # (T,)
    groups: Ints  # (T,)

    @cached_property
    def projection(self) -> heads.Projection:
        """Fitted on all training pictures, so that strategies differ by nothing else."""
        return heads.fit_projection(self.training.vectors)

    @cached_property
    def asked(self) -> Floats:
        """(T, d)"""
        return self.projection(self.vectors)

    def right(self, chosen: Balance) -> Bools:
        """(T,) whether the model that is trained with this balance gives a picture its label."""
        said = probe(self.training, self.projection(self.training.vectors), chosen, self.asked)
        return np.asarray(said == self.labels)


@dataclass(frozen=True)
class Estimate:
    """A number 0..1, or a difference, with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Outcome:
    """What strategies make of the training pictures.

    names: the strategies, () = each picture once. epoch: pictures that an epoch sees; used: different ones of them.
    sizes: (class, pictures an epoch) of every class that there is, largest first. effective: as many pictures that
    count alike would vary the loss as little (Kish). score: balanced accuracy; None where nothing can be judged.
    gain: what it is better by than each picture once, compared picture by picture. chosen: whether it was asked for.
    """

    names: tuple[str, ...]
    epoch: int
    used: int
    sizes: tuple[tuple[str, int], ...]
    effective: float
    score: Estimate | None
    gain: Estimate | None
    chosen: bool
    notes: tuple[str, ...]

    @property
    def verdict(self) -> str:
        """In a word, against each picture once."""
        if self.gain is None or not self.names:
            return ""
        return "better" if self.gain.low > 0 else "worse" if self.gain.high < 0 else "no measurable difference"


def options(chosen: Sequence[Strategy]) -> list[tuple[Strategy, ...]]:
    """What to compare: nothing, every strategy alone, and the chosen combination."""
    alone: list[tuple[Strategy, ...]] = [(one,) for one in all_strategies().values() if isinstance(one, Strategy)]
    rest = [tuple(chosen)] if len(chosen) > 1 else []
    return [(), *alone, *rest]


def what_if(
    training: Training,
    trials: Sequence[Judging],
    chosen: Sequence[Strategy],
    settings: RebalanceSettings,
    advance: Advance = no_advance,
) -> list[Outcome]:
    """Every option of `options` tried out. trials: see `by_validation` and `by_folds`; advance: called per option."""
    judged = np.concatenate([one.labels for one in trials]) if trials else np.empty(0, np.int64)
    groups = np.concatenate([one.groups for one in trials]) if trials else judged
    outcomes: list[Outcome] = []
    baseline = np.empty(0, bool)
    for strategies in options(chosen):
        made = balance(training, strategies, settings)
        right = _answers(training, trials, strategies, settings, made)
        baseline = right if not strategies else baseline
        outcomes.append(_outcome(training, strategies, made, tuple(chosen), right, baseline, judged, groups))
        advance(1)
    return outcomes


def _answers(
    training: Training,
    trials: Sequence[Judging],
    strategies: Sequence[Strategy],
    settings: RebalanceSettings,
    made: Balance,
) -> Bools:
    """Whether each judged picture gets its label, trial after trial. made: the balance of all training pictures."""
    answers = [
        one.right(made if one.training is training else balance(one.training, strategies, settings)) for one in trials
    ]
    return np.concatenate(answers) if answers else np.empty(0, bool)


def by_validation(training: Training, vectors: Floats, labels: Ints, groups: Ints) -> list[Judging]:
    """One trial, by validation pictures (V, D) of classes that are in training."""
    known = np.isin(labels, training.labels)
    return [Judging(training, vectors[known], labels[known], groups[known])] if known.any() else []


def by_folds(training: Training) -> list[Judging]:
    """A trial per fold of the training pictures, of classes with two different pictures or more.

    Where there are many pictures, as many folds as judge ENOUGH of them.
    """
    fold = heads.split(training.labels, training.groups, heads.FOLDS)
    lone = training.different(np.ones(len(training), bool)) < 2
    trials = []
    for part in range(heads.FOLDS):
        asked, known = (fold == part) & ~lone[training.labels], fold != part
        if asked.any() and known.any():
            rest = training.only(known)
            trials.append(Judging(rest, training.vectors[asked], training.labels[asked], training.groups[asked]))
        if sum(len(one.labels) for one in trials) >= ENOUGH:
            break
    return trials


def probe(training: Training, known: Floats, chosen: Balance, asked: Floats) -> Ints:
    """The class that a linear model gives each asked vector (T, d), (T,).

    known: (N, d) the vectors of the training pictures, by the same projection. The weights are scaled to 1 on average:
    else repeats, which add to their sum, would also loosen the model.
    """
    rows, mass = most_telling(training, chosen)
    weights = (mass * len(rows) / mass.sum()).astype(np.float32)
    said = heads.linear(known[rows], training.labels[rows], asked, len(training.classes), weights)
    return np.asarray(said.argmax(axis=1), np.int64)


def most_telling(training: Training, chosen: Balance) -> tuple[Ints, Doubles]:
    """The rows that the probe is shown, (R,), and how much each counts, (R,).

    All that are used; beyond what the linear model takes, only the largest classes give some up, by the same lot for
    every strategy, and the others of the class count as much more. Else chance, not the strategy, would make a
    difference to small classes.
    """
    rows = np.flatnonzero(chosen.used)
    mass = (chosen.repeat * chosen.weight)[rows]
    if len(rows) <= heads.TRAINING_ROWS:
        return rows, mass
    labels = training.labels[rows]
    sizes = np.bincount(labels, minlength=len(training.classes))
    cap = _cap(sizes, heads.TRAINING_ROWS)
    order = np.lexsort((training.chance[rows], labels))
    place = np.arange(len(rows)) - np.repeat(np.cumsum(sizes) - sizes, sizes)  # within its class, by lot
    kept = np.sort(order[place < cap])
    whole = np.bincount(labels, mass, minlength=len(sizes))
    part = np.bincount(labels[kept], mass[kept], minlength=len(sizes))
    return rows[kept], mass[kept] * (whole / np.maximum(part, 1e-12))[labels[kept]]


def _cap(sizes: Ints, most: int) -> int:
    """The largest number such that classes cut to it have at most so many pictures together."""
    low, high = 0, int(sizes.max())
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if np.minimum(sizes, middle).sum() <= most else (low, middle - 1)
    return max(low, 1)


def effective_size(chosen: Balance) -> float:
    """How many pictures that count alike vary as little: (sum of w)^2 / sum of w^2, for w = repeat x weight.

    Kish 1965, "Survey sampling".
    """
    mass = chosen.repeat * chosen.weight
    return float(mass.sum() ** 2 / (mass**2).sum()) if mass.any() else 0.0


def _outcome(
    training: Training,
    strategies: Sequence[Strategy],
    made: Balance,
    chosen: tuple[Strategy, ...],
    right: Bools,
    baseline: Bools,
    labels: Ints,
    groups: Ints,
) -> Outcome:
    sizes = epoch_sizes(training, made)
    there = [label for label in np.argsort(-sizes, kind="stable").tolist() if (training.labels == label).any()]
    can_judge = len(np.unique(labels)) > 1
    return Outcome(
        names=tuple(one.name for one in strategies),
        epoch=int(sizes.sum()),
        used=int(made.used.sum()),
        sizes=tuple((training.classes[label], int(sizes[label])) for label in there),
        effective=effective_size(made),
        score=balanced_accuracy(right, labels, groups) if can_judge else None,
        gain=paired_gain(right, baseline, labels, groups) if can_judge else None,
        chosen=bool(chosen) and tuple(strategies) == chosen,
        notes=made.notes,
    )


def balanced_accuracy(right: Bools, labels: Ints, groups: Ints) -> Estimate:
    """The mean of the classes' recalls, and the interval that the number of judged pictures allows.

    Each class's recall is drawn from a beta distribution, copies counting as one picture: its mean is the recall, with
    OPINION pictures of usual accuracy added (a little lower, see COIN), its variance that of a share of so many.
    """
    random = np.random.default_rng(0)
    values, draws = [], np.zeros(DRAWS)
    present = np.unique(labels)
    usual = (1 - COIN) * (right.sum() + 0.5) / (len(right) + 1) + COIN / 2
    for label in present:
        mine = labels == label
        size = len(np.unique(groups[mine]))
        values.append(float(right[mine].mean()))
        mean = (values[-1] * size + OPINION * usual) / (size + OPINION)
        weight = max(size - 1, OPINION)  # the variance is then mean x (1 - mean) / size
        draws += random.beta(mean * weight, (1 - mean) * weight, DRAWS) / len(present)
    return _estimate(float(np.mean(values)), draws)


def paired_gain(right: Bools, baseline: Bools, labels: Ints, groups: Ints) -> Estimate:
    """How much better the balanced accuracy is, and its interval; the same pictures are judged by both.

    From the posterior of how often a picture of each class is judged worse, alike or better. What is known of it before
    is as large a share of changes as over all pictures, to both sides alike (see MADE_UP).
    """
    random = np.random.default_rng(0)
    changes = right.astype(np.int64) - baseline + 1  # 0 worse, 1 the same, 2 better
    worse, same, better = (np.bincount(changes, minlength=3) + MADE_UP) / (len(changes) + MADE_UP.sum())
    usual = MADE_UP.sum() * np.array([(worse + better) / 2, same, (worse + better) / 2])
    values, draws = [], np.zeros(DRAWS)
    present = np.unique(labels)
    for label in present:
        mine = labels == label
        shares = np.bincount(changes[mine], minlength=3) / mine.sum()
        values.append(float(shares[2] - shares[0]))
        drawn = random.dirichlet(shares * len(np.unique(groups[mine])) + usual, DRAWS)
        draws += (drawn[:, 2] - drawn[:, 0]) / len(present)
    return _estimate(float(np.mean(values)), draws)


def _estimate(value: float, draws: Doubles) -> Estimate:
    low, high = np.percentile(draws, [2.5, 97.5])
    return Estimate(value, min(float(low), value), max(float(high), value))
