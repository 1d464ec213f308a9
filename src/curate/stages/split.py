"""Splits in the table: what `curate split` has dealt out is carried from version to version.

`given_split` is what the source says, `assigned_split` what `curate split` decided, also of a picture that was dropped
since: should it come back, it goes where it was. `split` is what a training run sees.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from curate import versions
from curate.project import Project

if TYPE_CHECKING:
    import pandas as pd

ASSIGNED = "assigned_split"


def with_splits(table: pd.DataFrame, project: Project, dealt: dict[str, Any]) -> pd.DataFrame:
    """The table with `assigned_split` and `split`, once `curate split` has dealt the pictures out.

    dealt: how; {} = it has not, and `split` stays as the source has it. What the table does not say is taken from the
    newest version: for the same path and content, else for the same content.
    """
    if not dealt:
        return table.drop(columns=[ASSIGNED]) if ASSIGNED in table else table
    if ASSIGNED not in table:
        table = table.assign(**{ASSIGNED: _as_before(table, project)})
    return table.assign(split=table[ASSIGNED].where(table["keep"]))


def _as_before(table: pd.DataFrame, project: Project) -> pd.Series[str]:
    before = versions.read_decisions(project.versions, versions.find_version(project.versions, None))
    before = before.dropna(subset=["sha256", ASSIGNED])
    by_row = before.drop_duplicates(["path", "sha256"]).set_index(["path", "sha256"])[ASSIGNED]
    by_content = before.drop_duplicates("sha256").set_index("sha256")[ASSIGNED]
    rows = table[["path", "sha256"]].astype("str")
    same = rows.merge(by_row.reset_index(), on=["path", "sha256"], how="left")[ASSIGNED]
    found: pd.Series[str] = same.set_axis(table.index).fillna(rows["sha256"].map(by_content)).astype("str")
    return found
