"""Off-topic pictures: those that resemble nothing else in the set.

How far a picture is from the others is its mean cosine distance to the five most alike, as cleanlab measures it; a
picture is an outlier where that is far above what is usual in this very set. Rejected, each measured on planted
pictures: distances relative to the neighbours' own (LOF), which ranked much worse, as the pictures around an odd one
are odd themselves; distances after subtracting the mean or whitening, which ranked worse, or half the
mean, which ranked .03 better in average precision but made no better flags; cleanlab's cut, which finds half as many.
Labels are not used: a wrong label is no off-topic picture.

When it is wrong: the only few pictures of a rare class, or of a rare look, resemble nothing either; of a class of
five, one picture in ten is flagged. A dozen off-topic pictures of one kind resemble each other and are not found, nor
is one that is much like what the set shows. Hence for review, never to be dropped unseen.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from curate.lookalikes import Lookalikes

NEIGHBOURS = 5  # 3, 5, 10, 15 tried: average precision .82, .81, .79, .77; with ten, a class of ten looks odd
MIN_PICTURES = 30  # with 20, half of the flags were false: what is usual can't be told from so few

# A cut at the median distance + CUT * (upper quartile - median). In 102 sets made of other photographs than those that
# benchmarks/outliers.py reports (2 to 40 classes, 20 to 965 pictures, 2 to 5 % planted), 3.0 flagged 2.0 % of the
# ordinary pictures, 3.5 0.9 %, 4.0 0.5 %, and found .59, .44, .30 of the planted ones; cleanlab's cut 0.3 % and .20.
# Chosen so that about one ordinary picture in a hundred is flagged.
CUT = 3.5
MIN_TYPICALITY = 0.5  # what lies at that cut; doubling the distance from the median squares the typicality
MIN_SPREAD = 0.002  # of cosine distance: among frames of one film the smallest change must not count as off-topic


def typicality(lookalikes: Lookalikes) -> NDArray[np.float32]:
    """How much each picture looks like the rest of the set, (N,): 1 = as much as the middle one, 0 = like nothing.

    Below MIN_TYPICALITY it is likely off-topic. NaN = can't be told: there is no other picture, or fewer than
    MIN_PICTURES in all.
    lookalikes: of each picture among the others, at least NEIGHBOURS of them, without copies: a copy of an off-topic
    picture must not vouch for it.
    """
    distance = _mean_distance(lookalikes)
    known = np.isfinite(distance)
    if known.sum() < MIN_PICTURES:
        return np.full(len(distance), np.nan, np.float32)
    usual, high = np.percentile(distance[known], [50, 75])
    excess = (distance - usual) / max(high - usual, MIN_SPREAD)
    halvings = np.maximum(excess, 0) / CUT
    return np.asarray(np.exp2(-halvings), np.float32)


def _mean_distance(lookalikes: Lookalikes) -> NDArray[np.float64]:
    """Mean cosine distance to the nearest few, (N,); NaN where there is no other."""
    similarity = lookalikes.similarity[:, :NEIGHBOURS].astype(np.float64)
    present = lookalikes.indices[:, :NEIGHBOURS] >= 0
    count = present.sum(axis=1)
    total = np.where(present, 1 - similarity, 0).sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
