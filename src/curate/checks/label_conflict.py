"""Copies of one picture that carry different labels.

What it measures: nothing of its own; it compares the labels within each duplicate group.
Why it matters: at least one of the labels is wrong, and a model is taught both. This is the cheapest label error to
find, and the surest.
What it flags: every member of a group of copies, exact or near, in which two or more different labels occur. None of
these is dropped as a duplicate, because dropping one would settle the question by accident. Only a byte-identical copy
with the same label may go: what it says, the kept one says too.
When it is wrong: when two labels are both true (a picture of a cat and a dog), or a near duplicate is a crop that
shows only one of two objects; and where `near_duplicate` is wrong.
Source: the label sets of duplicates as in Northcutt et al. 2021; no peer reports them apart from plain duplicates.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from curate.checks import Action, Check, CheckSettings, Column, flag
from curate.grouping import has_conflict, labels_of

if TYPE_CHECKING:
    import pandas as pd


class Settings(CheckSettings):
    action: Action = "review"


def judge(table: pd.DataFrame, settings: Settings) -> pd.DataFrame:  # noqa: ARG001  there is no threshold
    labels = labels_of(table)
    conflict = has_conflict(table["duplicate_group"], labels)
    members = table.loc[conflict, ["duplicate_group"]].assign(label=labels[conflict]).dropna().drop_duplicates()
    names: dict[str, list[str]] = {}
    for group, label in members.sort_values(["duplicate_group", "label"]).itertuples(index=False):
        names.setdefault(group, []).append(label)
    joined = {group: "; ".join(found) for group, found in names.items()}
    conflicting = table["duplicate_group"].where(conflict).map(joined).astype("string")
    return flag("label_conflict", conflict).assign(conflicting_labels=conflicting)


CHECK = Check(
    name="label_conflict",
    summary="a copy of the same picture carries another label",
    version=1,
    settings=Settings,
    judge=judge,
    because="copies of this picture carry the labels {conflicting_labels}",
    findings=(Column("conflicting_labels", "string", "all labels within the group; NA = no conflict"),),
    after=("exact_duplicate", "near_duplicate"),
)
