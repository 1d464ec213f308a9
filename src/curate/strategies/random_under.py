"""Leave out pictures of large classes at random.

What it does: of each class that is too large, as many pictures stay as are wanted, chosen by lot. Copies of a picture
that stays go first.
When it helps: where training on all takes too long, and as the baseline that any other choice has to beat.
When it harms: almost always where a class is small: cut to its size, all classes lose most of what they had. A model
that never saw a picture can't learn from it; try weights first.
Source: the oldest method; Japkowicz and Stephen 2002, "The class imbalance problem: a systematic study".
"""

from __future__ import annotations

import numpy as np

from curate.strategies import Balance, Goal, Ints, Strategy, Training


def choose(training: Training, goal: Goal, before: Balance) -> Balance:
    gone = [_surplus(training, label, goal.ceiling, before) for label in np.flatnonzero(~training.rare).tolist()]
    return before.without(np.concatenate(gone)) if gone else before


def _surplus(training: Training, label: int, ceiling: int, before: Balance) -> Ints:
    """The rows to leave out of one class."""
    rows = np.flatnonzero(before.used & (training.labels == label))
    return rows[np.argsort(training.chance[rows], kind="stable")][ceiling:]


STRATEGY = Strategy("random-under", "leave out pictures of large classes at random", "down", choose)
