"""How far the review of a data set is: errors that people found, flags that wait, and what may still be wrong.

What the page of `curate review` counts as people work is worked out here from the log alone, for `curate status` and
the end of a session.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from curate import versions
from curate.decisions import Decision, standing_decisions
from curate.errors import SettingsError, StoreError
from curate.project import Project
from curate.review_log import read_events, reading
from curate.rows import places_of
from curate.spot_checks import Sample, estimate_of, newest_sample
from curate.stopping import Estimate, told

if TYPE_CHECKING:
    import pandas as pd

TARGET = 0.01  # share of wrong labels; what most published test sets exceed threefold (Northcutt et al. 2021: 3.4 %)


def require_target(target: float) -> None:
    """Raises SettingsError for what can't be a share of wrong labels."""
    if not 0 < target < 1:
        raise SettingsError(f"The target is {target}, expected a share between 0 and 1.", "For 1 %: --target 0.01")


@dataclass(frozen=True)
class ReviewStanding:
    """What people found and what is left.

    decided: pictures on which a person's word stands. errors: those of them whose label was wrong. flags_left: likely
    label errors that nobody has decided on; None where `curate flag` was never run. estimate: what the newest blind
    sample tells, None = none was drawn. target: share of wrong labels to get to, 0..1.
    """

    decided: int
    errors: int
    flags_left: int | None
    estimate: Estimate | None
    target: float

    def as_dict(self) -> dict[str, Any]:
        """As plain data; the estimate is None, or holds upper, likely_left and most_left beside what it rests on."""
        return {
            "decided": self.decided,
            "errors_found": self.errors,
            "flags_left": self.flags_left,
            "estimate": told(self.estimate) if self.estimate else None,
            "target": self.target,
            "reached": self.reached,
        }

    @property
    def reached(self) -> bool | None:
        """Whether the target is reached; None where no blind sample can tell."""
        return self.estimate.upper <= self.target if self.estimate else None


def review_standing(project: Project, rows: pd.DataFrame, target: float = TARGET) -> ReviewStanding:
    """How far the review is. rows: of the newest version, facts may be missing. Raises StoreError."""
    import pandas as pd

    events = read_events(project.review_log)
    standing = standing_decisions([event.decision for event in events])
    named = rows[places_of(rows["path"], pd.Series(list(standing), dtype="str")) >= 0]
    content = dict(zip(named["path"], named["sha256"], strict=True))
    said = [one for one in standing.values() if one.answer != "accept" and content.get(one.path) == one.sha256]
    sample = read_sample(project) if events else None
    return ReviewStanding(
        decided=len(said),
        errors=count_errors(said, dict(zip(named["path"], named["label"], strict=True))),
        flags_left=_flags_left(rows, {one.path for one in said}),
        estimate=estimate_of(sample, sampled_rows(project, sample, rows), events) if sample else None,
        target=target,
    )


def count_errors(said: Sequence[Decision], given: Mapping[str, object]) -> int:
    """How many of these words say that a label was wrong. given: path -> the source's label; NA and None = none."""
    return sum(finds_error(one, given.get(one.path)) for one in said)


def finds_error(said: Decision, given: object) -> bool:
    """Whether a person says that the label is wrong: that it is another, several, or none of the classes.

    A picture that is dropped for what it looks like, or as a copy, says nothing of its label.
    """
    if not isinstance(given, str):
        return False
    about_labels = said.context.get("queue") in ("errors", "spot") or "source" in said.context
    return (said.answer == "relabel" and said.label != given) or (
        said.answer == "both" or (said.answer == "drop" and about_labels)
    )


def _flags_left(rows: pd.DataFrame, decided: set[str]) -> int | None:
    if "label_error" not in rows:
        return None
    flagged = rows[rows["keep"] & rows["label_error"].fillna(False).astype(bool) & rows["final_label"].notna()]
    return int((~flagged["path"].isin(decided)).sum())


def read_sample(project: Project) -> Sample | None:
    """The blind sample that counts; None if none was drawn."""
    with reading(project.review_log) as connection:
        return newest_sample(connection)


def sampled_rows(project: Project, sample: Sample, newest: pd.DataFrame) -> pd.DataFrame:
    """The rows of the version that a sample was drawn from; where that is gone, of the newest.

    What was dropped or relabelled since is still among them: it was drawn from, and mended.
    """
    try:
        [version] = [one for one in versions.read_versions(project.versions) if one.number == sample.version]
        return versions.read_decisions(project.versions, version)
    except (StoreError, ValueError):
        return newest
