"""Leave out pictures that form a pair with one of another class.

What it does: two pictures of different classes that are each other's nearest form a link (imbalanced-learn's
TomekLinks). Those of the links that are not of the smallest class are left out, whatever the sizes of the classes.
When it helps: it takes away little, mostly wrong labels and pictures that show both classes; before a strategy that
repeats pictures it keeps these from being repeated.
When it harms: hard pictures, which teach the border between two classes, go as well. It does not balance by itself,
and wrong labels are better looked at (`curate flag`) than left out.
Source: Tomek 1976, "Two modifications of CNN".
"""

from __future__ import annotations

import numpy as np

from curate.strategies import Balance, Goal, Strategy, Training, judgeable


def choose(training: Training, goal: Goal, before: Balance) -> Balance:  # noqa: ARG001  the signature of every `choose`
    from imblearn.under_sampling import TomekLinks

    rows = judgeable(training, before)
    if len(np.unique(training.labels[rows])) < 2:
        return before.noting("tomek-links left out nothing: it needs two classes with more than 3 pictures.")
    sampler = TomekLinks()
    sampler.fit_resample(training.projected[rows], training.labels[rows])
    return before.without(np.delete(rows, sampler.sample_indices_))


STRATEGY = Strategy("tomek-links", "leave out pairs of nearest pictures of two classes", "clean", choose)
