"""Invent vectors of small classes between those of their pictures.

What it does: each invented vector lies between that of a picture and one of its five nearest of the same class
(imbalanced-learn's SMOTE). No picture belongs to it, so it can only be trained on as a vector.
When it helps: small classes, a simple model on frozen embeddings, and too few pictures for its border.
When it harms: in hundreds of dimensions the way between two pictures leads through places where no picture is, and a
linear model learns little that weights would not teach it. Wrong labels spread. Classes of 1 to 3 pictures are only
repeated.
Source: Chawla et al. 2002, "SMOTE: synthetic minority over-sampling technique"; that it often does not pay in many
dimensions: Blagus and Lusa 2013, "SMOTE for high-dimensional class-imbalanced data".
"""

from __future__ import annotations

from curate.inventing import oversampled
from curate.strategies import Balance, Goal, Invented, InventingStrategy, Training


def invent(training: Training, goal: Goal, before: Balance) -> Invented:
    from imblearn.over_sampling import SMOTE

    return oversampled(
        training,
        goal,
        before,
        lambda wanted, k, _: SMOTE(sampling_strategy=wanted, k_neighbors=k, random_state=goal.seed),
    )


STRATEGY = InventingStrategy("smote", "invent vectors between those of a small class", "up", invent)
