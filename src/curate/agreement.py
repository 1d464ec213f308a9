"""How far people agree: alpha over all votes, each person's confusions, and what gold and repeated pictures tell.

Agreement is not truth: two people may share a misunderstanding. Gold pictures, whose label is certain, measure truth;
repeated ones, shown to the same person again, how steady they are. Intervals are exact (Clopper and Pearson 1934).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from curate import versions
from curate.decisions import Decision, not_taken_back
from curate.project import Project
from curate.review_log import read_log

if TYPE_CHECKING:
    import pandas as pd

NEITHER, BOTH = "(neither)", "(both)"  # what a person said, where it is none of the classes, or several
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Rate:
    """So many of a total, with the exact interval of 95 % for the share, 0..1; (0, 1) of a total of 0."""

    count: int
    total: int
    low: float
    high: float

    @classmethod
    def of(cls, outcomes: Sequence[bool]) -> Rate:
        """The share of true ones."""
        from scipy.stats import binomtest

        count, total = sum(outcomes), len(outcomes)
        if not total:
            return cls(0, 0, 0.0, 1.0)
        interval = binomtest(count, total).proportion_ci(CONFIDENCE, method="exact")
        return cls(count, total, float(interval.low), float(interval.high))


@dataclass(frozen=True)
class Reviewer:
    """How one person does. gold: right on pictures whose label is certain. repeats: same answer the second time.

    agreement: share of their votes that are what most people said. confusions: (what most said, what they said) ->
    pictures, where the two differ. seconds: median time per decision; None = not measured.
    """

    name: str
    decisions: int
    gold: Rate
    repeats: Rate
    agreement: Rate
    confusions: dict[tuple[str, str], int]
    seconds: float | None


@dataclass(frozen=True)
class Agreement:
    """pictures: with two votes or more. alpha: Krippendorff's, with its interval of 95 %; NaN where there is none."""

    pictures: int
    alpha: float
    alpha_interval: tuple[float, float]
    reviewers: list[Reviewer]


def agreement(folder: str | Path, *, store: str | Path | None = None) -> Agreement:
    """How far the people agree who have decided on the pictures of a folder. Raises StoreError, VersionNotFound."""
    project = Project.at(folder, store)
    project.require_store()
    rows = versions.read_decisions(project.versions, versions.find_version(project.versions, None))
    labelled = rows.dropna(subset="label")
    return agreement_of(read_log(project.review_log), dict(zip(labelled["path"], labelled["label"], strict=True)))


def agreement_of(log: Iterable[Decision], given: Mapping[str, str]) -> Agreement:
    """What the decisions tell of those who made them. given: path -> the source's label."""
    import pandas as pd

    from curate.votes import judge_votes

    standing = [one for one in not_taken_back(list(log)) if one.answer not in ("accept", "unsure")]
    voted = {(one.path, one.reviewer): one for one in standing if one.round in ("", "vote", "spot")}
    votes = pd.DataFrame(
        [(one.path, one.reviewer, said(one, given)) for one in voted.values()], columns=["path", "annotator", "label"]
    )
    shared = votes[votes.groupby("path")["annotator"].transform("size") > 1] if len(votes) else votes
    most = _most_said(shared)
    alpha, interval = float("nan"), (float("nan"), float("nan"))
    if len(shared):
        judged = judge_votes(shared)
        alpha, interval = judged.alpha, judged.alpha_interval
    names = sorted({one.reviewer for one in standing})
    return Agreement(
        pictures=int(shared["path"].nunique()) if len(shared) else 0,
        alpha=alpha,
        alpha_interval=interval,
        reviewers=[_reviewer(name, standing, shared, most, given) for name in names],
    )


def said(decision: Decision, given: Mapping[str, str]) -> str:
    """What a person said that the picture shows. given: path -> the source's label."""
    return said_of(decision, given.get(decision.path))


def said_of(decision: Decision, given: object) -> str:
    """The same for one picture, whose source's label is given; NA and None = none."""
    if decision.answer == "keep":
        return decision.label or (given if isinstance(given, str) else "")
    return {"relabel": decision.label, "both": BOTH}.get(decision.answer, NEITHER)


def _most_said(shared: pd.DataFrame) -> dict[str, str]:
    """path -> the label that more people gave than any other; without the pictures where two are equal."""
    most = {}
    for path, labels in shared.groupby("path")["label"]:
        counts = labels.value_counts()
        if len(counts) == 1 or counts.iloc[0] > counts.iloc[1]:
            most[str(path)] = str(counts.index[0])
    return most


def _reviewer(
    name: str, standing: Sequence[Decision], shared: pd.DataFrame, most: Mapping[str, str], given: Mapping[str, str]
) -> Reviewer:
    import statistics

    own = [one for one in standing if one.reviewer == name]
    votes = [
        (most[path], label)
        for path, label in shared.loc[shared["annotator"] == name, ["path", "label"]].itertuples(index=False)
        if path in most
    ]
    confusions: dict[tuple[str, str], int] = {}
    for pair in votes:
        if pair[0] != pair[1]:
            confusions[pair] = confusions.get(pair, 0) + 1
    seconds = [float(one.context["seconds"]) for one in own if isinstance(one.context.get("seconds"), int | float)]
    return Reviewer(
        name=name,
        decisions=len(own),
        gold=Rate.of([said(one, given) == one.context.get("truth") for one in own if one.round == "gold"]),
        repeats=Rate.of(_repeated(own, given)),
        agreement=Rate.of([label == other for label, other in votes]),
        confusions=dict(sorted(confusions.items(), key=lambda item: (-item[1], item[0]))),
        seconds=statistics.median(seconds) if seconds else None,
    )


def _repeated(own: Sequence[Decision], given: Mapping[str, str]) -> list[bool]:
    """For each picture that was shown again, whether the answer was the same as the one before."""
    first: dict[str, str] = {}
    same = []
    for one in own:
        label = said(one, given)
        if one.round == "repeat" and one.path in first:
            same.append(first[one.path] == label)
        first[one.path] = label
    return same
