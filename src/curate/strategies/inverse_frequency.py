"""Make the loss of a picture count the more, the smaller its class is.

What it does: every class gets the same share of the loss, or, with a target below 1, at least that share of what the
largest gets. What repeats and cuts before it have done is taken into account: weights do the rest.
When it helps: as random-over, without longer epochs, and without leaving out anything; a good first choice.
When it harms: with 1 : 1000, one picture counts as much as a thousand: training becomes jumpy, a wrong label there
does great damage, and large networks that fit every picture anyway take little notice of weights at the end.
Source: King and Zeng 2001, "Logistic regression in rare events data"; that networks forget it: Byrd and Lipton 2019,
"What is the effect of importance weighting in deep learning?"
"""

from __future__ import annotations

import numpy as np

from curate.strategies import Balance, Goal, Strategy, Training, epoch_sizes, weighted


def choose(training: Training, goal: Goal, before: Balance) -> Balance:
    epoch = epoch_sizes(training, before)
    mass = np.where(epoch > 0, np.maximum(epoch, goal.target * epoch.max()), 0.0)
    return weighted(training, before, mass)


STRATEGY = Strategy("inverse-frequency", "weigh the loss by one over the size of the class", "weight", choose)
