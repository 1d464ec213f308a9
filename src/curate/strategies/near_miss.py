"""Leave out pictures of large classes that are far from the smallest class.

What it does: of each class that is too large, those pictures stay whose mean distance to the three nearest pictures of
the smallest class is least (imbalanced-learn's NearMiss, version 1). Copies of a picture that stays go first.
When it helps: where two classes are hard to tell apart and hardly any picture is mislabelled or odd.
When it harms: what stays of a class is its border, not the class: a model learns a distorted picture of it, and every
wrong label and every odd picture near the border is sure to stay. With more than two classes only the smallest
decides what stays. With a weak model it was 4 points worse than choosing by lot.
Source: Mani and Zhang 2003, "kNN approach to unbalanced data distributions".
"""

from __future__ import annotations

import numpy as np

from curate.strategies import Balance, Goal, Strategy, Training, judgeable

NEIGHBOURS = 3  # imbalanced-learn's default


def choose(training: Training, goal: Goal, before: Balance) -> Balance:
    from imblearn.under_sampling import NearMiss

    rows = judgeable(training, before)
    sizes = np.bincount(training.labels[rows], minlength=len(training.classes))
    wanted = {int(label): goal.ceiling for label in np.flatnonzero(sizes > goal.ceiling)}
    if not wanted:
        return before
    if np.count_nonzero(sizes) < 2:
        return before.noting("near-miss left out nothing: it needs two classes with more than 3 pictures.")
    smallest = int(sizes[sizes > 0].min())
    sampler = NearMiss(sampling_strategy=wanted, n_neighbors=min(NEIGHBOURS, smallest))
    sampler.fit_resample(training.projected[rows], training.labels[rows])
    return before.without(np.delete(rows, sampler.sample_indices_))


STRATEGY = Strategy("near-miss", "leave out what is far from the smallest class", "down", choose)
