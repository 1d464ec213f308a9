"""Leave out pictures most of whose neighbours are of another class.

What it does: a picture stays if most of its three nearest pictures have its label (imbalanced-learn's
EditedNearestNeighbours, kind "mode"). Pictures of the smallest class all stay.
When it helps: with many wrong labels that nobody will look at: what disagrees with all around it goes.
When it harms: it takes away what is hard, and with a weak model that is half of a class. Classes that look alike lose
their border, varied classes lose their rare looks, and a test that holds such pictures tells: of four sets, balanced
accuracy fell by 5 to 10 points on three. It does not balance by itself.
Source: Wilson 1972, "Asymptotic properties of nearest neighbor rules using edited data".
"""

from __future__ import annotations

import numpy as np

from curate.strategies import Balance, Goal, Strategy, Training, judgeable

NEIGHBOURS = 3  # imbalanced-learn's default, and Wilson's


def choose(training: Training, goal: Goal, before: Balance) -> Balance:  # noqa: ARG001  the signature of every `choose`
    from imblearn.under_sampling import EditedNearestNeighbours

    rows = judgeable(training, before)
    if len(np.unique(training.labels[rows])) < 2:
        return before.noting("edited-neighbours left out nothing: it needs two classes with more than 3 pictures.")
    sampler = EditedNearestNeighbours(n_neighbors=NEIGHBOURS, kind_sel="mode")
    sampler.fit_resample(training.projected[rows], training.labels[rows])
    return before.without(np.delete(rows, sampler.sample_indices_))


STRATEGY = Strategy("edited-neighbours", "leave out what disagrees with its neighbours", "clean", choose)
