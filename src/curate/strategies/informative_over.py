"""Show pictures of small classes more often, most of all those that a model can't decide on.

What it does: as random-over, but the additional repeats go to the pictures of the class by how undecided a model is
that has not seen them: 1 - |margin|, the margin being the probability of the label less that of the next best. One that
the model takes for another class for sure gets as little as one that it is sure of. A likely label error, as `curate
flag` says, is never repeated.
When it helps: small classes with a few hard views among many easy ones. On photographs and on drawn road signs it was
not measurably better than random-over; what speaks for it is that likely label errors are not repeated.
When it harms: what is undecided may be blurred, hidden or mislabelled: run `curate clean` and `curate flag` first.
Where the model is weak, it is undecided about everything, and this is random-over with more noise.
Source: uncertainty sampling by margin: Scheffer, Decomain and Wrobel 2001, "Active hidden Markov models for information
extraction"; that both ends are left alone: Swayamdipta et al. 2020, "Dataset cartography" (ambiguous examples).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from curate.strategies import Balance, Doubles, Goal, Ints, Strategy, Training

EASY = 0.1  # what a picture that is decided gets, where an undecided one gets 1: so that the common view is not lost


def choose(training: Training, goal: Goal, before: Balance) -> Balance:
    repeat = before.repeat.copy()
    barred = np.zeros(len(training.classes), bool)
    for label in range(len(training.classes)):
        rows = np.flatnonzero(before.used & (training.labels == label))
        if not 0 < len(rows) < goal.floor:
            continue
        undecided = 1 - np.abs(training.margins[rows].astype(np.float64))
        appetite = np.where(training.doubtful[rows], 0, EASY + (1 - EASY) * undecided)
        repeat[rows] += shared_out(goal.floor - len(rows), appetite, goal.max_repeat - 1)
        barred[label] = not appetite.any()
    notes = (
        [f"All labels of {training.named(barred)} are likely wrong: nothing of it was repeated."]
        if barred.any()
        else []
    )
    return replace(before, repeat=repeat).noting(*notes)


def shared_out(total: int, appetite: Doubles, most: int) -> Ints:
    """Whole parts of the total, (N,), in proportion to the appetite, (N,), none above `most`; less if all are full."""
    given = np.zeros(len(appetite), np.int64)
    while (left := total - int(given.sum())) > 0:
        hungry = (appetite > 0) & (given < most)
        if not hungry.any():
            break
        ideal = np.where(hungry, left * appetite / appetite[hungry].sum(), 0)
        step = np.minimum(np.floor(ideal).astype(np.int64), most - given)
        if not step.any():  # less than one each is left: one for each of those nearest to it
            step[np.argsort(-ideal, kind="stable")[: min(left, int(hungry.sum()))]] = 1
        given += step
    return given


STRATEGY = Strategy("informative-over", "show undecided pictures of small classes more often", "up", choose)
