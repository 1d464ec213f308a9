"""Two versions side by side: which pictures each one learns from, and which ones judge both.

Pictures are known by their content, so that a renamed one is still the same. Each version learns from its own training
part, its own labels, repeats and weights. Both are judged by the same pictures with the same labels: those that both
keep in the same split, and of which neither has a copy in its training part.

A version without splits that meets one with splits is treated as if it had been split likewise: it learns from all it
has, but for what the other holds back. Where neither has splits, the pictures that both keep are dealt to folds, and
each judges the models that have not seen it nor its copies (cross-validation).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from curate import heads
from curate.all_cores import in_parts
from curate.comparing import Answers, average_precision
from curate.embedded import NO_LABEL, Embedded
from curate.errors import SourceError
from curate.progress import Advance, no_advance
from curate.stages.labels import TEST, TRAIN, VAL

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

FOLDS = 5


@dataclass(frozen=True)
class Side:
    """What one version says of the contents. labels: (U,), NO_LABEL = none or not in it. weights: (U,), 0 = not learnt.

    weights: repeat times weight, the mean over what is learnt is 1, so that only proportions count.
    """

    name: str
    labels: Ints
    weights: Floats

    @property
    def learnt(self) -> Bools:
        """(U,) what it learns from, unless held back for a fold."""
        return np.asarray(self.weights > 0)


@dataclass(frozen=True)
class Contest:
    """The different contents of two versions, sorted by sha256.

    sha256: (U,). groups: (U,) equal on copies, as either version found them, numbered as they first occur. vectors:
    (U, d), projected. classes: names of all labels, sorted. sides: a and b. truth: (U,) label to judge by, NO_LABEL =
    not judged. part: "test", "val", or "" = cross-validation. left_out: why pictures of that part don't judge -> how
    many.
    """

    sha256: list[str]
    groups: Ints
    vectors: Floats
    classes: list[str]
    sides: tuple[Side, Side]
    truth: Ints
    part: str
    left_out: dict[str, int]

    @property
    def judges(self) -> Ints:
        """(T,) rows of the pictures that judge."""
        return np.flatnonzero(self.truth != NO_LABEL)

    @property
    def is_same(self) -> bool:
        """Whether both learn from the same pictures with the same labels and weights."""
        a, b = self.sides
        same_labels = (a.labels == b.labels) | ~a.learnt
        return bool((a.weights == b.weights).all() and same_labels.all())


def meet(a: Embedded, b: Embedded, judge: pd.DataFrame) -> Contest:
    """The contest of two versions. judge: kept rows (sha256, final_label) whose labels are the truth.

    Raises SourceError when they have no test picture in common, no training pictures or no two classes.
    """
    sha256 = sorted({*a.rows["sha256"], *b.rows["sha256"]})
    place = {one: row for row, one in enumerate(sha256)}
    groups = _joined_groups(a, b, place)
    truths = judge.dropna(subset=["final_label"]).drop_duplicates("sha256").set_index("sha256")["final_label"]
    classes = sorted({*a.classes, *b.classes, *truths})
    splits = _splits(a, b, place, groups)
    sides = (_side(a, place, classes, splits[0]), _side(b, place, classes, splits[1]))
    index = {name: number for number, name in enumerate(classes)}
    truth = np.array([index.get(truths.get(one), NO_LABEL) for one in sha256], np.int64)
    part, truth, left_out = _judging(sides, splits, groups, truth)
    found = Contest(sha256, groups, _projected(a, b, place), classes, sides, truth, part, left_out)
    _require_enough(found)
    return found


def _joined_groups(a: Embedded, b: Embedded, place: dict[str, int]) -> Ints:
    """Copies by either version's groups, (U,), numbered as they first occur."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    links: list[tuple[int, int]] = []
    for one in (a, b):
        first: dict[int, int] = {}
        for content, group in zip(one.rows["sha256"], one.groups.tolist(), strict=True):
            links.append((place[content], first.setdefault(group, place[content])))
    ends = np.array(links)
    graph = coo_array((np.ones(len(ends), np.int8), (ends[:, 0], ends[:, 1])), shape=(len(place), len(place)))
    _, found = connected_components(graph.tocsr(), directed=False)
    _, first_row, member = np.unique(found, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first_row))[member].astype(np.int64)


def _splits(a: Embedded, b: Embedded, place: dict[str, int], groups: Ints) -> list[NDArray[np.object_]]:
    """The split of each content in either version, (U,), "" = not in it or none; all TRAIN where neither has any."""
    found = [_own_splits(one, place) for one in (a, b)]
    for mine, (one, other) in enumerate(((a, b), (b, a))):
        if not one.has_splits:
            present = np.zeros(len(place), bool)
            present[[place[content] for content in one.rows["sha256"]]] = True
            borrowed = _lent(found[1 - mine], groups) if other.has_splits else np.full(len(place), TRAIN, object)
            found[mine] = np.where(present, borrowed, "")
    return found


def _own_splits(one: Embedded, place: dict[str, int]) -> NDArray[np.object_]:
    found = np.full(len(place), "", object)
    if one.has_splits:
        for content, split in zip(one.rows["sha256"], one.rows["split"].fillna(""), strict=True):
            found[place[content]] = found[place[content]] or split
    return found


def _lent(splits: NDArray[np.object_], groups: Ints) -> NDArray[np.object_]:
    """The splits of another version for one that has none, (U,): TRAIN but for the groups that the other holds back."""
    held = (splits != "") & (splits != TRAIN)
    of_group = dict(zip(groups[held].tolist(), splits[held].tolist(), strict=True))
    return np.array([of_group.get(group, TRAIN) for group in groups.tolist()], object)


def _side(one: Embedded, place: dict[str, int], classes: list[str], splits: NDArray[np.object_]) -> Side:
    rows = one.rows
    at = np.array([place[content] for content in rows["sha256"]])
    index = np.array([classes.index(name) for name in one.classes] + [NO_LABEL])
    own = index[one.labels]  # NO_LABEL is -1: the last one
    labels = np.full(len(place), NO_LABEL)
    labels[at[::-1]] = own[::-1]  # of exact copies the first one counts
    weights: NDArray[np.float64] = np.zeros(len(place))
    np.add.at(weights, at, _column(rows, "repeat") * _column(rows, "weight") * (own == labels[at]))
    weights[(labels == NO_LABEL) | (splits != TRAIN)] = 0
    learnt = weights > 0
    weights /= weights[learnt].mean() if learnt.any() else 1
    return Side(one.version.name, labels, weights.astype(np.float32))


def _column(rows: pd.DataFrame, name: str) -> NDArray[np.float64]:
    """A column of rebalancing; 1 where there was none."""
    if name not in rows:
        return np.ones(len(rows))
    return np.asarray(rows[name].astype("float64").fillna(1))


def _judging(
    sides: tuple[Side, Side], splits: list[NDArray[np.object_]], groups: Ints, truth: Ints
) -> tuple[str, Ints, dict[str, int]]:
    """The part that judges, the truth of its pictures (the others NO_LABEL), and why some of it don't judge."""
    if not any(((one != "") & (one != TRAIN)).any() for one in splits):
        in_both = (splits[0] == TRAIN) & (splits[1] == TRAIN)
        return "", np.where(in_both, truth, NO_LABEL), {}
    learnt = np.unique(groups[sides[0].learnt | sides[1].learnt])
    for part in (TEST, VAL):
        held = (splits[0] == part) & (splits[1] == part)
        labelled = held & (truth != NO_LABEL)
        judging = labelled & ~np.isin(groups, learnt)
        if judging.any():
            left_out = {
                "only in one version's part": int(((splits[0] == part) ^ (splits[1] == part)).sum()),
                "no label": int((held & ~labelled).sum()),
                "a copy is learnt from": int((labelled & ~judging).sum()),
            }
            return part, np.where(judging, truth, NO_LABEL), {why: count for why, count in left_out.items() if count}
    raise SourceError(
        f"{sides[0].name} and {sides[1].name} have no test picture in common that has a label.",
        "Split once, then compare versions that came after: curate split DIR",
    )


def _require_enough(contest: Contest) -> None:
    for side in contest.sides:
        if not side.learnt.any():
            raise SourceError(
                f"{side.name} has no labelled picture to learn from.",
                "Labels come from folders, a label file (scan.labels) or `curate prelabel --accept`.",
            )
    judged = np.unique(contest.truth[contest.judges])
    if not len(judged):
        raise SourceError(
            "The two versions have no labelled picture in common to judge by.", "Compare versions of the same pictures."
        )
    if len(contest.classes) < 2:
        raise SourceError(
            f"All pictures have the label {contest.classes[0]!r}: there is nothing to tell apart.",
            "Comparing takes two classes or more.",
        )


def _projected(a: Embedded, b: Embedded, place: dict[str, int]) -> Floats:
    """The vectors of all contents by one projection, (U, d). It sees no label, so both sides may share it."""
    fresh = np.array([place[content] for content in b.rows["sha256"]])
    known = np.array([place[content] for content in a.rows["sha256"]])
    source = np.zeros(len(place), np.int64)
    source[fresh] = len(known) + np.arange(len(fresh))
    source[known] = np.arange(len(known))
    vectors = _Stacked(a.vectors, b.vectors)
    sample = source[np.linspace(0, len(source) - 1, min(len(source), heads.TRAINING_ROWS)).astype(np.int64)]
    projection = heads.fit_projection(vectors.rows(sample))
    return np.concatenate([projection(vectors.rows(some)) for some in in_parts(source, heads.PROJECTED_ROWS)])


@dataclass(frozen=True)
class _Stacked:
    """Two arrays of vectors as if they were one above the other, without a copy."""

    above: Floats
    below: Floats

    def rows(self, chosen: Ints) -> Floats:
        first = chosen < len(self.above)
        found = np.empty((len(chosen), self.above.shape[1]), np.float32)
        found[first] = self.above[chosen[first]]
        found[~first] = self.below[chosen[~first] - len(self.above)]
        return found


# ---- Training and asking

# (side, rows learnt, their weights, rows asked, seed) -> probabilities of the rows asked, (M, K)
Learner = Callable[[Side, Ints, Floats, Ints, int], Floats]


def linear_probe(contest: Contest) -> Learner:
    """Logistic regression on the frozen vectors, as in `curate.heads`.

    Of more than `heads.TRAINING_ROWS` pictures a part is learnt from, the same ones of both versions.
    """
    chosen = _same_sample(contest)

    def learn(side: Side, rows: Ints, weights: Floats, asked: Ints, seed: int) -> Floats:  # noqa: ARG001  nothing random
        used = chosen[rows]
        known = contest.vectors[rows[used]]
        return heads.linear(known, side.labels[rows[used]], contest.vectors[asked], len(contest.classes), weights[used])

    return learn


def _same_sample(contest: Contest) -> Bools:
    """(U,) which contents may be learnt from, so that neither side has more than the most it takes to learn well."""
    most = max(int(side.learnt.sum()) for side in contest.sides)
    if most <= heads.TRAINING_ROWS:
        return np.ones(len(contest.sha256), bool)
    # Digits of sha256 are as good as random numbers, and the same for a picture in any pair of versions.
    limit = heads.TRAINING_ROWS / most
    return np.array([int(content[-8:], 16) / 2**32 < limit for content in contest.sha256])


def asked_again(
    contest: Contest, side: Side, learner: Learner, repeats: int, seed: int, advance: Advance = no_advance
) -> Answers:
    """What the models of one side say of the pictures that judge, trained on all, and again with random weights."""
    judges = contest.judges
    truth = contest.truth[judges]
    said = answered(contest, side, learner, side.weights, seed)
    advance(1)
    right, precision = np.empty((repeats, len(judges)), bool), np.empty((repeats, len(contest.classes)))
    for repeat, weights in enumerate(_random_weights(contest, repeats, seed)):
        again = answered(contest, side, learner, side.weights * weights, seed + 1 + repeat)
        right[repeat] = again.argmax(axis=1) == truth
        precision[repeat] = average_precision(again, truth)[0]
        advance(1)
    return Answers(said, right, precision)


def answered(contest: Contest, side: Side, learner: Learner, weights: Floats, seed: int) -> Floats:
    """(T, K) what one training says of the pictures that judge; out of fold where there is no split."""
    judges = contest.judges
    if contest.part:
        rows = np.flatnonzero(side.learnt)
        return learner(side, rows, weights[rows], judges, seed)
    fold = _folds(contest, seed)
    said = np.zeros((len(judges), len(contest.classes)), np.float32)
    for part in range(FOLDS):
        mine = fold[judges] == part
        rows = np.flatnonzero(side.learnt & (fold != part))
        if mine.any() and len(rows):
            said[mine] = learner(side, rows, weights[rows], judges[mine], seed)
    return said


def _folds(contest: Contest, seed: int) -> Ints:
    """(U,) the fold of each content's group; -1 of groups that no judging picture is in."""
    judges = contest.judges
    dealt = heads.split(contest.truth[judges], contest.groups[judges], FOLDS, seed)
    of_group = np.full(int(contest.groups.max()) + 1, -1)
    of_group[contest.groups[judges]] = dealt
    return np.asarray(of_group[contest.groups])


def _random_weights(contest: Contest, repeats: int, seed: int) -> Iterator[Floats]:
    """(U,) for each repeat: one random number per group, exponential with mean 1 (Rubin 1981).

    They depend on the seed and the contents alone, so both sides see the same ones.
    """
    for repeat in range(repeats):
        random = np.random.default_rng((seed, repeat))
        drawn = random.exponential(size=int(contest.groups.max()) + 1)[contest.groups]
        yield drawn.astype(np.float32)
