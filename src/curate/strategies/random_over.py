"""Show pictures of small classes more often, each as often as the others of its class.

What it does: each picture of a class that is too small is repeated, all equally often or once more, which is decided by
lot. Every repeat gets an augmentation seed of its own, so that training can vary it.
When it helps: small classes that a model ignores, with augmentation that makes repeats differ; it needs no support
for weights in the training code.
When it harms: a class of three pictures is three pictures, however often they are shown: a network learns them by
heart. An epoch gets longer. Wrong labels of small classes are repeated, too: run `curate flag` first.
Source: the oldest method; for why it seldom loses: Buda, Maki and Mazurowski 2018, "A systematic study of the class
imbalance problem in convolutional neural networks".
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from curate.strategies import Balance, Goal, Strategy, Training


def choose(training: Training, goal: Goal, before: Balance) -> Balance:
    repeat, copies = before.repeat.copy(), training.copies(before.used)
    for label in range(len(training.classes)):
        rows = np.flatnonzero(before.used & (training.labels == label))
        if 0 < len(rows) < goal.floor:
            wanted = min(goal.floor, len(rows) * goal.max_repeat)
            by_lot = rows[np.lexsort((training.chance[rows], copies[rows]))]
            repeat[rows] = wanted // len(rows)
            repeat[by_lot[: wanted % len(rows)]] += 1
    return replace(before, repeat=repeat)


STRATEGY = Strategy("random-over", "show pictures of small classes more often", "up", choose)
