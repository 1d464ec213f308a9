"""Labels that are likely wrong, as `curate flag` found them.

What it measures: nothing by itself. `curate flag` trains small models on the other pictures, asks them about this
one, and keeps what they say as `label_quality`, `suggested_label` and `label_evidence`; until it has run, this check
flags nothing. A picture or label that changed since is not flagged either, until `curate flag` runs again.
Why it matters: about one label in thirty is wrong in famous test sets, enough to make people choose the worse of two
models.
What it flags: pictures whose label the models contradict more clearly than the noise estimated in this data set lets
expect (see `curate.suspicion`), and pictures whose exact copy carries another label.
When it is wrong: often, where labels are good. A flag on a set with few errors is right only as often as `curate flag`
says it expects; rare looks of a class, pictures of two classes at once and classes that overlap are flagged though
their labels are right. Hence review, not drop: look, then keep, relabel or drop. A dropped hard picture makes the
data easier, not better.
Source: confident learning (Northcutt et al. 2021, doi:10.1613/jair.1.12125), with a cut of our own. Precision and
recall on human label noise: `benchmarks/labels.py`, beside cleanlab's default.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from curate.checks import Action, Check, CheckSettings, flag

if TYPE_CHECKING:
    import pandas as pd


class Settings(CheckSettings):
    action: Action = "review"


def judge(table: pd.DataFrame, settings: Settings) -> pd.DataFrame:  # noqa: ARG001  the signature of every judge
    import pandas as pd

    unknown = pd.Series(False, index=table.index)
    return flag("label_error", table.get("label_error", unknown))


CHECK = Check(
    name="label_error",
    summary="models trained on the rest contradict its label",
    version=1,
    settings=Settings,
    judge=judge,
    because="{label_evidence}",
    worst_by="label_quality",
)
