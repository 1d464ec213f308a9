"""Invent vectors of small classes, most where other classes are near.

What it does: as smote, but a picture gets the more invented vectors the more of its neighbours are of other classes
(imbalanced-learn's ADASYN). The numbers come out only nearly as wanted.
When it helps: as smote, where small classes overlap with large ones.
When it harms: as smote; a mislabelled picture, which is among strangers, gets most. Where a class has no stranger near,
it invents nothing, and says so.
Source: He et al. 2008, "ADASYN: adaptive synthetic sampling approach for imbalanced learning".
"""

from __future__ import annotations

from curate.inventing import oversampled
from curate.strategies import Balance, Goal, Invented, InventingStrategy, Training


def invent(training: Training, goal: Goal, before: Balance) -> Invented:
    from imblearn.over_sampling import ADASYN

    return oversampled(
        training,
        goal,
        before,
        lambda wanted, k, _: ADASYN(sampling_strategy=wanted, n_neighbors=k, random_state=goal.seed),
    )


STRATEGY = InventingStrategy("adasyn", "invent vectors of a small class where others are near", "up", invent)
