"""Invent vectors of small classes near the border to others.

What it does: as smote, but starts only from pictures of whose ten nearest at least half, though not all, are of another
class (imbalanced-learn's BorderlineSMOTE).
When it helps: as smote, where small classes overlap with large ones.
When it harms: as smote; and the border is where wrong labels are. Where no picture of a class is near the border, it
invents nothing, and says so.
Source: Han, Wang and Mao 2005, "Borderline-SMOTE".
"""

from __future__ import annotations

from curate.inventing import Sampler, oversampled
from curate.strategies import Balance, Goal, Invented, InventingStrategy, Training

AROUND = 10  # imbalanced-learn's default


def invent(training: Training, goal: Goal, before: Balance) -> Invented:
    from imblearn.over_sampling import BorderlineSMOTE

    def make(wanted: dict[int, int], k: int, pictures: int) -> Sampler:
        around = min(AROUND, pictures - 1)
        return BorderlineSMOTE(sampling_strategy=wanted, k_neighbors=k, m_neighbors=around, random_state=goal.seed)

    return oversampled(training, goal, before, make)


STRATEGY = InventingStrategy("borderline-smote", "invent vectors near the border of a small class", "up", invent)
