"""Make the loss of small classes count more, but less so than by their size.

What it does: weighs each class by one over its effective number, (1 - b^n) / (1 - b) for n different pictures: each new
picture adds a little less than the one before, as it overlaps with what is there. b = (N - 1) / N, where N, the number
at which a class starts to repeat itself, is taken from the counts: the mean size of a class. So classes below the mean
are weighed almost by their size, those above it ever less by it. The target has no effect.
When it helps: as inverse-frequency, where the smallest classes are so small that their full weight would be too much.
When it harms: where large classes don't repeat themselves, small ones stay at a disadvantage. The N is a guess:
pictures of one scene repeat themselves after ten, those of the whole world not after a thousand.
Source: Cui et al. 2019, "Class-balanced loss based on effective number of samples"; they choose b by trial among .9 to
.9999, that is, N of 10 to 10,000.
"""

from __future__ import annotations

import numpy as np

from curate.strategies import Balance, Goal, Strategy, Training, weighted


def choose(training: Training, goal: Goal, before: Balance) -> Balance:  # noqa: ARG001  the signature of every `choose`
    different = training.different(before.used).astype(np.float64)
    present = different > 0
    b = 1 - 1 / different[present].mean()
    mass = np.zeros(len(different))
    mass[present] = different[present] * (1 - b) / (1 - b ** different[present])
    return weighted(training, before, mass)


STRATEGY = Strategy("effective-number", "weigh the loss by one over the class's effective number", "weight", choose)
