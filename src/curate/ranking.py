"""What wrong test labels do to the choice of a model: the order of several models, by labels as given and as corrected.

Test sets have wrong labels too, 3.4 % on average of ten famous ones, and 6 % can be enough for the lesser model to
look like the better one (Northcutt, Athalye and Mueller 2021, "Pervasive label errors in test sets destabilize machine
learning benchmarks"). A model of much capacity learns the mistakes of its training labels, and is praised for repeating
them in the test.

A label is corrected to what a person said, where one did; else to the label that `curate flag` suggests, where it is
sure that the given one is wrong. The second comes from models like those that are ranked here, so it may favour them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from curate import heads
from curate.comparing import doubts_of_test, interval, of_mean
from curate.contest import Contest, Floats, Ints, Learner, Side, answered, linear_probe
from curate.lookalikes import nearest_among

if TYPE_CHECKING:
    import pandas as pd

Bools = NDArray[np.bool_]

# A label is thought wrong with at least 9 in 10. Northcutt et al. had five people look at each: half a chance more
# or less moves a handful of labels, as most qualities are near 0 or 1.
SURELY_WRONG = 0.1
LINEAR, NEIGHBOURS, NEAREST = "linear", f"{heads.NEIGHBOURS} neighbours", "nearest image"


@dataclass(frozen=True)
class Doubt:
    """What is known of the labels of the pictures that judge.

    given, corrected: (T,) place among `names`. reviewed: (T,) whether a person has looked. judged: how many of the
    labels `curate flag` had an opinion on. likely_wrong: how many of them it flagged. by_person, by_model: how many
    labels the correction changes, by whose word.
    """

    names: list[str]
    given: Ints
    corrected: Ints
    reviewed: Bools
    judged: int
    likely_wrong: int
    by_person: int
    by_model: int


@dataclass(frozen=True)
class Ranked:
    """A model's balanced accuracy by the labels as given and as corrected, 0..1."""

    name: str
    given: float
    corrected: float


@dataclass(frozen=True)
class Ranking:
    """The models, best by the given labels first. by_corrected: their names, best by the corrected ones first.

    lead: of the best by the given labels over the best by the corrected ones, if that is another: by given and by
    corrected labels, each with its 95 % interval over test pictures (value, low, high); () if the first stays first.
    """

    models: tuple[Ranked, ...]
    by_corrected: tuple[str, ...]
    lead: tuple[tuple[float, float, float], ...]

    @property
    def flips(self) -> bool:
        """Whether the order differs."""
        return tuple(one.name for one in self.models) != self.by_corrected


def doubt_of(rows: pd.DataFrame) -> Doubt:
    """What is known of the labels of these rows of a version's table, which all have one."""
    import pandas as pd

    by_person = rows["reviewed"].isin(["keep", "relabel"]) if "reviewed" in rows else pd.Series(False, rows.index)
    given = rows["label"].where(by_person & rows["label"].notna(), rows["final_label"])
    quality = rows["label_quality"].astype("float64") if "label_quality" in rows else pd.Series(np.nan, rows.index)
    flagged = quality.notna() & rows["label_error"].eq(True) if "label_error" in rows else quality.notna()
    suggested = rows.get("suggested_label", given)
    sure = flagged & (quality <= SURELY_WRONG) & suggested.notna() & ~by_person
    corrected = suggested.where(sure, rows["final_label"])
    names = sorted({*given, *corrected, *rows["final_label"]})
    index = {name: place for place, name in enumerate(names)}
    changed = corrected != given
    return Doubt(
        names=names,
        given=given.map(index).to_numpy(np.int64),
        corrected=corrected.map(index).to_numpy(np.int64),
        reviewed=by_person.to_numpy(bool),
        judged=int(quality.notna().sum()),
        likely_wrong=int((flagged & ~by_person).sum()),
        by_person=int((changed & by_person).sum()),
        by_model=int((changed & ~by_person).sum()),
    )


def rank(contest: Contest, side: Side, doubt: Doubt, seed: int) -> Ranking:
    """The order of three models that learn from one side, by the labels as given and as corrected."""
    learners = {LINEAR: linear_probe(contest), NEIGHBOURS: _neighbours(contest), NEAREST: _nearest_picture(contest)}
    names = np.array(contest.classes, object)
    places = {name: place for place, name in enumerate(doubt.names)}
    known = np.array([places.get(name, -1) for name in names])
    said = {
        name: known[answered(contest, side, learner, side.weights, seed).argmax(axis=1)]
        for name, learner in learners.items()
    }
    return order_of(said, doubt, contest.groups[contest.judges])


def order_of(said: dict[str, Ints], doubt: Doubt, groups: Ints) -> Ranking:
    """said: model -> (T,) the class it chose, as a place among `doubt.names`."""
    models = [
        Ranked(
            name, _balanced(chosen == doubt.given, doubt.given), _balanced(chosen == doubt.corrected, doubt.corrected)
        )
        for name, chosen in said.items()
    ]
    # Equal ones stay in the order of the other labels, so that a tie is no flip.
    first = sorted(models, key=lambda one: (-one.given, -one.corrected, one.name))
    second = sorted(models, key=lambda one: (-one.corrected, -one.given, one.name))
    lead: tuple[tuple[float, float, float], ...] = ()
    if first[0] is not second[0]:
        one, other = said[first[0].name], said[second[0].name]
        lead = tuple(_lead(one == labels, other == labels, labels, groups) for labels in (doubt.given, doubt.corrected))
    return Ranking(tuple(first), tuple(one.name for one in second), lead)


def _balanced(right: Bools, labels: Ints) -> float:
    return float(np.mean([right[labels == one].mean() for one in np.unique(labels)]))


def _lead(one: Bools, other: Bools, labels: Ints, groups: Ints) -> tuple[float, float, float]:
    """How far the first is ahead in balanced accuracy, and the interval of that."""
    value = _balanced(one, labels) - _balanced(other, labels)
    _, of_class = doubts_of_test(one.astype(np.float64) - other, labels, groups)
    return value, *interval(value, of_mean(of_class))


def _neighbours(contest: Contest) -> Learner:
    def learn(side: Side, rows: Ints, weights: Floats, asked: Ints, seed: int) -> Floats:  # noqa: ARG001  nothing random
        vectors, labels = contest.vectors, side.labels
        return heads.neighbours(vectors[rows], labels[rows], vectors[asked], len(contest.classes), weights)

    return learn


def _nearest_picture(contest: Contest) -> Learner:
    """The model that learns by heart: the label of the most similar picture."""

    def learn(side: Side, rows: Ints, weights: Floats, asked: Ints, seed: int) -> Floats:  # noqa: ARG001  nothing random
        found = nearest_among(contest.vectors[asked], contest.vectors[rows], 1).indices[:, 0]
        return np.eye(len(contest.classes), dtype=np.float32)[side.labels[rows[found]]]

    return learn
