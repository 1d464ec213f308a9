"""Unlabelled copies of labelled pictures get their label.

What it does: pictures in one duplicate group, as `curate clean` finds them, show the same photograph. Where all
labelled members of the group carry one label, the others get it; where two labels conflict, it abstains. Files with
the same bytes are trusted almost without condition; near copies as far as copies among the labelled pictures agree.
It is asked before all other labelers.
When to use: always; it costs nothing. It needs a few labels, and helps as much as the folder has copies.
When it is wrong: when the label of the copy is wrong, and where near copies are not: frames of a film, catalogue
pictures of two models of one thing, a crop that left the subject outside.
Source: label propagation in its simplest form, along edges that are certain; see `near_duplicate` for how it knows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from curate.labelers import UNLABELLED, Ints, Labeler, LabelerSettings, LabelingTask, Proposal, Votes

if TYPE_CHECKING:
    import pandas as pd

# Copies can disagree only where a label is wrong. Same bytes: once in a thousand, so that evidence to the contrary
# soon counts. Near copies: one label in thirty is wrong in famous test sets (3.3 %, Northcutt et al. 2021).
EXACT_BELIEVED = (999.0, 1.0)
NEAR_BELIEVED = (29.0, 1.0)


class Settings(LabelerSettings):
    near: bool = Field(True, description="Whether near copies count as well as files with the same bytes.")


def propose(task: LabelingTask, settings: Settings) -> Proposal:
    exact = Votes(
        "exact copies",
        vote_of_copies(task.table["sha256"], task.labels),
        "a file with the same bytes has this label",
        EXACT_BELIEVED,
        overrules=True,
    )
    if not settings.near or "duplicate_group" not in task.table:
        return Proposal((exact,))
    near = Votes(
        "near copies",
        vote_of_copies(task.table["duplicate_group"], task.labels),
        "copies of the same photograph have this label",
        NEAR_BELIEVED,
        overrules=True,
    )
    return Proposal((exact, near))


def vote_of_copies(group: pd.Series[Any], labels: Ints) -> Ints:
    """The one label that the other members of each picture's group carry, (N,); UNLABELLED where none or several.

    A picture's own label does not count, so that the labelled ones tell how far copies can be trusted.
    group: NA = alone. labels: (N,).
    """
    import pandas as pd

    rows = pd.DataFrame({"group": pd.factorize(group)[0], "label": pd.Series(labels).where(labels != UNLABELLED)})
    members = rows.groupby("group")["label"]
    lowest, highest, distinct = (members.transform(how).to_numpy() for how in ("min", "max", "nunique"))
    is_only_one = rows.groupby(["group", "label"])["label"].transform("size").to_numpy() == 1  # False if unlabelled
    own = rows["label"].to_numpy()
    other = np.where(own == lowest, highest, lowest)  # where its own label is the only one of its kind
    left = distinct - is_only_one  # how many labels remain without its own
    votes = np.where(is_only_one, other, lowest)
    return np.where((left == 1) & (rows["group"] >= 0), np.nan_to_num(votes), UNLABELLED).astype(np.int64)


LABELER = Labeler("copies", "labels of copies of the same picture", Settings, propose)
