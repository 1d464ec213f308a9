"""Balance in the table: what `curate rebalance` has said of each training picture, carried from version to version.

`repeat` is how often an epoch sees the picture, `weight` what its loss counts. Outside of training both are 1: what
judges a model must stay as the world is. A training picture that came or was relabelled since has neither; it counts
once until the next `curate rebalance`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from curate import versions
from curate.project import Project
from curate.stages.labels import TRAIN

if TYPE_CHECKING:
    import pandas as pd

BALANCE = ("repeat", "weight")
_SAME = ["path", "sha256", "final_label"]


def with_balance(table: pd.DataFrame, project: Project, dealt: dict[str, Any]) -> pd.DataFrame:
    """The table with `repeat` and `weight`, once `curate rebalance` has given them.

    table: with splits. dealt: how; {} = it has not, or no longer, and each picture counts once. What the table does not
    say is taken from the newest version: for the same path, content and label, in training then.
    """
    if not dealt or "split" not in table:
        return table.drop(columns=[name for name in BALANCE if name in table])
    if not set(BALANCE).issubset(table.columns):
        table = _as_before(table, project)
    training = is_training(table)
    judging = table["keep"] & ~training
    repeat, weight = (table[name].where(training).mask(judging, 1) for name in BALANCE)
    return table.assign(repeat=repeat.astype("Int64"), weight=weight.astype("float32"))


def is_training(table: pd.DataFrame) -> pd.Series[bool]:
    """Which rows are training pictures: kept, and in train."""
    return table["keep"] & (table["split"].fillna("") == TRAIN)


def unbalanced(table: pd.DataFrame) -> int:
    """How many training pictures came or were relabelled since `curate rebalance`."""
    return int((is_training(table) & table["repeat"].isna()).sum())


def _as_before(table: pd.DataFrame, project: Project) -> pd.DataFrame:
    before = versions.read_decisions(project.versions, versions.find_version(project.versions, None))
    if not set(BALANCE).issubset(before.columns):
        return table.assign(repeat=None, weight=None)
    before = before.loc[is_training(before), [*_SAME, *BALANCE]].drop_duplicates(_SAME)
    now = table[_SAME].astype("str").fillna("")  # unlabelled pictures are the same, too
    found = now.merge(before.assign(**before[_SAME].astype("str").fillna("")), on=_SAME, how="left")
    return table.assign(**{name: found[name].set_axis(table.index) for name in BALANCE})
