"""What strategies that invent vectors share: calling imbalanced-learn class by class, and putting parts together."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from curate.strategies import INVENTED, Balance, Bools, Floats, Goal, Ints, Invented, Training, judgeable

NEIGHBOURS = 5  # imbalanced-learn's default for all of SMOTE's kind; fewer where a class has fewer

Sampler = Any  # of imbalanced-learn, which has no types
# The class index and how many of it are wanted, neighbours in the class, pictures in all -> a sampler.
Maker = Callable[[dict[int, int], int, int], Sampler]


def oversampled(training: Training, goal: Goal, before: Balance, make: Maker) -> Invented:
    """The pictures, and vectors invented for each class that has fewer than the floor.

    Each class is asked for alone: imbalanced-learn gives up on all where it fails on one. Rare classes are repeated
    instead: what lies between one to three pictures tells nothing of a class.
    """
    rows = judgeable(training, before)
    vectors, labels = training.vectors[rows], training.labels[rows]
    sizes = np.bincount(labels, minlength=len(training.classes))
    small = (sizes > 0) & (sizes < goal.floor)
    parts = [all_rows(training, before), *_repeated(training, goal, before)]
    failed = np.zeros(len(sizes), bool)
    for label in np.flatnonzero(small):
        sampler = make({int(label): goal.floor}, min(NEIGHBOURS, int(sizes[label]) - 1), len(rows))
        made = _made(sampler, vectors, labels)
        failed[label] = not len(made)
        parts.append(Invented(made, np.full(len(made), label, np.int64), np.full(len(made), INVENTED, np.int64)))
    return joined(parts, *_notes(training, before, goal, failed))


def _repeated(training: Training, goal: Goal, before: Balance) -> list[Invented]:
    """More of the vectors of rare classes, none of them more often than allowed."""
    parts = []
    for label in np.flatnonzero(training.rare):
        rows = np.flatnonzero(before.used & (training.labels == label))
        more = min(goal.floor, len(rows) * goal.max_repeat) - len(rows)
        again = np.resize(rows, max(more, 0)).astype(np.int64)
        parts.append(Invented(training.vectors[again], training.labels[again], again))
    return parts


def _made(sampler: Sampler, vectors: Floats, labels: Ints) -> Floats:
    """The invented vectors alone, (M, D); none where imbalanced-learn finds no place for them."""
    with warnings.catch_warnings():
        # More than the largest class has: that is what --min-per-class asked for.
        warnings.filterwarnings("ignore", "After over-sampling", UserWarning)
        try:
            together, _ = sampler.fit_resample(vectors, labels)
        except (
            ValueError,
            RuntimeError,
        ):  # ADASYN's way to say that no stranger is near; SMOTE's that all is one class
            return vectors[:0]
    return np.array(together[len(vectors) :], np.float32)  # a copy: a view would keep all of it in memory


def _notes(training: Training, before: Balance, goal: Goal, failed: Bools) -> list[str]:
    sizes = training.sizes(before.used)
    rare = training.rare & (sizes > 0) & (sizes < goal.floor)
    notes = []
    if rare.any():
        notes.append(f"Too rare to invent vectors between their pictures, which are repeated: {training.named(rare)}.")
    if failed.any():
        notes.append(f"No vector could be invented for {training.named(failed)}: no other class is near.")
    return notes


def all_rows(training: Training, before: Balance) -> Invented:
    """The vectors of the pictures that are used, one each."""
    rows = np.flatnonzero(before.used)
    return Invented(training.vectors[rows], training.labels[rows], rows.astype(np.int64), before.notes)


def joined(parts: Sequence[Invented], *notes: str) -> Invented:
    """All parts together."""
    return Invented(
        np.concatenate([part.vectors for part in parts]),
        np.concatenate([part.labels for part in parts]),
        np.concatenate([part.source for part in parts]),
        tuple(note for part in parts for note in part.notes) + notes,
    )
