"""How many pictures of test and validation the training pictures give away, and how much a model gains from it.

The model is the simplest that can learn by heart: the label of the nearest training picture. It answers each leaked
picture twice, once with all training pictures and once without those of its group. What it gets right more often the
first time is the gain: the part of the score that is memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from curate.lookalikes import nearest_among
from curate.splitting import is_named
from curate.stages.labels import TEST, TRAIN

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

EXACT, NEAR, GROUP = "exact copy", "near copy", "same group"  # the first that is true
Z_95 = 1.959964  # two-sided 95 % of the normal distribution
UNLABELLED = -1


@dataclass(frozen=True)
class Share:
    """So many of so many, and the interval that holds the true share in 95 of 100 cases.

    By Wilson (1927), which is honest also where none or all are right; (0, 1) of none at all.
    """

    count: int
    total: int

    @property
    def value(self) -> float:
        return self.count / self.total if self.total else float("nan")

    @property
    def interval(self) -> tuple[float, float]:
        if not self.total:
            return 0.0, 1.0
        total, share, square = self.total, self.value, Z_95**2
        middle = (share + square / (2 * total)) / (1 + square / total)
        half = Z_95 / (1 + square / total) * np.sqrt(share * (1 - share) / total + square / (4 * total**2))
        return max(0.0, float(middle - half)), min(1.0, float(middle + half))


@dataclass(frozen=True)
class Gain:
    """Accuracy of the nearest neighbour on the labelled pictures of one split.

    leaked, clean: on those with and without a picture of their group in training. overall: on both. without: on both
    when no picture may be answered by its own group. gain: overall less without; interval: of the gain, 95 %.
    """

    leaked: Share
    clean: Share
    without: Share
    interval: tuple[float, float]

    @property
    def overall(self) -> Share:
        return Share(self.leaked.count + self.clean.count, self.leaked.total + self.clean.total)

    @property
    def leaked_alone(self) -> Share:
        """On the leaked ones, when none may be answered by its own group."""
        return Share(self.without.count - self.clean.count, self.leaked.total)

    @property
    def gain(self) -> float:
        return self.overall.value - self.without.value


@dataclass(frozen=True)
class SplitLeak:
    """What one split has in common with training: so many of its pictures, each counted once, where it is nearest."""

    split: str
    pictures: int
    exact: int
    near: int
    group: int
    gain: Gain | None = None

    @property
    def leaked(self) -> int:
        return self.exact + self.near + self.group

    def as_dict(self) -> dict[str, Any]:
        """The same as plain data: accuracy, without and gain only where a nearest neighbour was asked."""
        plain: dict[str, Any] = {name: getattr(self, name) for name in ("split", "pictures", "exact", "near", "group")}
        if self.gain:
            plain |= {"accuracy": self.gain.overall.value, "without": self.gain.without.value, "gain": self.gain.gain}
            plain["gain_interval"] = list(self.gain.interval)
        return plain


@dataclass(frozen=True)
class Leakage:
    """splits: one each for what is not training. pairs: one row per leaked picture, the worst kinds first.

    Columns of pairs: path, split, other (path of a training picture), relation (EXACT, NEAR or GROUP). note: what could
    not be told, "" = nothing.
    """

    splits: Sequence[SplitLeak]
    pairs: pd.DataFrame
    note: str = field(default="")

    @property
    def leaked(self) -> int:
        return sum(one.leaked for one in self.splits)


def audit(
    table: pd.DataFrame, splits: Sequence[str | None], groups: Ints, vectors: Floats | None, labels: Ints
) -> Leakage:
    """What the other splits share with the one called train, and what a nearest neighbour gains by that.

    table: path, sha256 and, if there is one, duplicate_group. splits, groups, labels: one per row; split None = no
    part in it, label -1 = none; groups as `curate.belonging` finds them, copies in one group. vectors: (N, D)
    embeddings, zeros = none; None = only count.
    """
    split = np.array([name if is_named(name) else "" for name in splits], dtype=object)
    train = split == TRAIN
    judged = ~train & (split != "")
    pairs = _pairs(table, split, train, judged, np.asarray(groups))
    names = sorted(set(split[judged]), key=lambda name: (name != TEST, name))
    usable = None if vectors is None else np.asarray(vectors).any(axis=1) & (np.asarray(labels) != UNLABELLED)
    note = "" if train.any() else f"No picture is in the split {TRAIN!r}, so nothing can leak from it."
    found = []
    for name in names:
        rows = np.flatnonzero(split == name)
        gain = None
        if vectors is not None and usable is not None:
            gain = _gain(rows[usable[rows]], np.flatnonzero(train & usable), np.asarray(groups), vectors, labels)
        kinds = pairs.loc[pairs["split"] == name, "relation"].value_counts()
        exact, near, group = (int(kinds.get(kind, 0)) for kind in (EXACT, NEAR, GROUP))
        found.append(SplitLeak(name, len(rows), exact, near, group, gain))
    return Leakage(found, pairs, note)


# ---- Who shares what


def _pairs(table: pd.DataFrame, split: NDArray[Any], train: Bools, judged: Bools, groups: Ints) -> pd.DataFrame:
    """One training picture for each leaked one, by the strongest relation there is."""
    import pandas as pd

    columns = {EXACT: table["sha256"], GROUP: pd.Series(groups, index=table.index)}
    if "duplicate_group" in table:
        columns = {EXACT: columns[EXACT], NEAR: table["duplicate_group"], GROUP: columns[GROUP]}
    paths = table["path"].to_numpy()
    parts, open_rows = [], judged.copy()
    for relation, column in columns.items():
        values = column.astype("string").reset_index(drop=True)
        known = values[train & (values.fillna("") != "").to_numpy()].sort_index().drop_duplicates()
        source = pd.Series(known.index, index=known.to_numpy())
        other = values[open_rows].map(source).dropna().astype("int64")
        open_rows[other.index] = False
        parts.append(
            pd.DataFrame(
                {
                    "path": paths[other.index],
                    "split": split[other.index],
                    "other": paths[other.to_numpy()],
                    "relation": relation,
                }
            )
        )
    return pd.concat(parts, ignore_index=True).astype("str")


# ---- What it is worth


def _gain(rows: Ints, train: Ints, groups: Ints, vectors: Floats, labels: Ints) -> Gain | None:
    """None without a labelled picture on either side."""
    if not len(rows) or not len(train):
        return None
    found = nearest_among(vectors[rows], vectors[train], 1).indices[:, 0]
    right = labels[train[found]] == labels[rows]
    leaked = np.isin(groups[rows], groups[train])
    alone = right.copy()
    other = _nearest_of_other_groups(rows[leaked], train, groups, vectors)
    alone[leaked] = (other >= 0) & (labels[other] == labels[rows[leaked]])
    return Gain(
        leaked=Share(int(right[leaked].sum()), int(leaked.sum())),
        clean=Share(int(right[~leaked].sum()), int((~leaked).sum())),
        without=Share(int(alone.sum()), len(rows)),
        interval=_interval(right[leaked], alone[leaked], groups[rows[leaked]], len(rows)),
    )


def _nearest_of_other_groups(rows: Ints, train: Ints, groups: Ints, vectors: Floats) -> Ints:
    """For each row the nearest training row that is not of its group, -1 = there is none."""
    answer = np.full(len(rows), -1)
    open_rows, k = np.arange(len(rows)), 4
    while len(open_rows):  # groups are small as a rule: few need more than the nearest four
        found = nearest_among(vectors[rows[open_rows]], vectors[train], min(k, len(train))).indices  # (M, k)
        foreign = groups[train[found]] != groups[rows[open_rows], None]
        has = foreign.any(axis=1)
        answer[open_rows[has]] = train[found[has, foreign[has].argmax(axis=1)]]
        open_rows = open_rows[~has] if k < len(train) else open_rows[:0]
        k *= 8
    return answer


def _interval(with_group: Bools, without_group: Bools, groups: Ints, total: int) -> tuple[float, float]:
    """95 % for the difference of the shares of right answers among `total` pictures, of which these can differ.

    By Bonett and Price (2012) for paired shares: a Wald interval with one answer added to either side. Pictures of one
    group err together and count as one. Without a leaked picture the difference is 0, with no doubt.
    """
    count = len(with_group)
    if not count:
        return 0.0, 0.0
    units = len(np.unique(groups))
    better = (np.sum(with_group & ~without_group) * units / count + 1) / (units + 2)
    worse = (np.sum(~with_group & without_group) * units / count + 1) / (units + 2)
    half = Z_95 * np.sqrt((better + worse - (better - worse) ** 2) / (units + 2))
    low, high = max(-1.0, better - worse - half), min(1.0, better - worse + half)
    return float(low * count / total), float(high * count / total)
