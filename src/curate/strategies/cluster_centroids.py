"""Replace the vectors of large classes by the centres of their clusters.

What it does: k-means puts the vectors of a class that is too large into as many clusters as are wanted; their means
take the place of the pictures (as imbalanced-learn's ClusterCentroids does).
When it helps: large classes that repeat themselves, and a model of vectors that has to be small.
When it harms: a mean of several pictures is smoother than any of them: a class that was cut looks more of one kind than
the others, and than it will in use.
Source: Yen and Lee 2009, "Cluster-based under-sampling approaches for imbalanced data distributions".
"""

from __future__ import annotations

import numpy as np

from curate.inventing import all_rows, joined
from curate.strategies import INVENTED, Balance, Goal, Invented, InventingStrategy, Training, judgeable

BATCH = 4096  # pictures that move the centres at a time; scikit-learn advises at least 256 per core


def invent(training: Training, goal: Goal, before: Balance) -> Invented:
    from sklearn.cluster import MiniBatchKMeans

    rows = judgeable(training, before)
    large = np.flatnonzero(np.bincount(training.labels[rows], minlength=len(training.classes)) > goal.ceiling)
    parts = [all_rows(training, before.without(np.isin(training.labels, large)))]
    for label in large:
        vectors = training.vectors[rows[training.labels[rows] == label]]
        count = goal.ceiling
        means = MiniBatchKMeans(count, batch_size=BATCH, n_init=1, random_state=goal.seed)
        centres = means.fit(vectors).cluster_centers_.astype(np.float32)
        parts.append(Invented(centres, np.full(count, label, np.int64), np.full(count, INVENTED, np.int64)))
    return joined(parts)


STRATEGY = InventingStrategy("cluster-centroids", "replace large classes by means of clusters", "down", invent)
