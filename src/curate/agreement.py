"""How far people agree: alpha over all votes, each person's confusions, and what gold and repeated pictures tell.

Agreement is not truth: two people may share a misunderstanding. Gold pictures, whose label is certain, measure truth;
repeated ones, shown to the same person again, how steady they are. Intervals are exact (Clopper and Pearson 1934).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from curate import versions
from curate.decisions import Decision, not_taken_back
from curate.project import Project
from curate.review_log import read_log

if TYPE_CHECKING:
    import pandas as pd

# A natural scene is told from others by a key at the earliest in half a second (Thorpe, Fize and Marlot 1996: a median
# of 0.445 s for yes or no): who answers faster has hardly looked.
HASTY_S = 0.5
# Whose median is under half or over twice the median of all people's works otherwise than the others: a choice of ours.
PACES = (0.5, 2.0)
MIN_TIMED = 10  # before that a median is that of a few pictures, easy or hard
MOST_CLASSES = 12  # of those that people differ on most: each costs two hundred alphas, and nobody reads more
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
    pictures, where the two differ. by_class: what most people said -> how often this one said so too. seconds: median
    time per decision; None = not measured. hasty: of the decisions one by one, those made in under HASTY_S. pace:
    "fast" or "slow" for who takes under half or over twice as long as people do here; "" otherwise, and for who has
    made fewer than MIN_TIMED.
    """

    name: str
    decisions: int
    gold: Rate
    repeats: Rate
    agreement: Rate
    confusions: dict[tuple[str, str], int]
    seconds: float | None
    by_class: dict[str, Rate] = field(default_factory=dict)
    hasty: Rate = field(default_factory=lambda: Rate.of([]))
    pace: Literal["", "fast", "slow"] = ""


@dataclass(frozen=True)
class ClassAgreement:
    """How far people agree whether a picture shows one class. pictures: on which anybody said so."""

    label: str
    pictures: int
    alpha: float
    alpha_interval: tuple[float, float]


@dataclass(frozen=True)
class Agreement:
    """pictures: with two votes or more. alpha: Krippendorff's, with its interval of 95 %; NaN where there is none.

    classes: those on which people differ most, by number of pictures, at most MOST_CLASSES.
    """

    pictures: int
    alpha: float
    alpha_interval: tuple[float, float]
    reviewers: list[Reviewer]
    classes: list[ClassAgreement] = field(default_factory=list)


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

    from curate.votes import alpha_of

    standing = [one for one in not_taken_back(list(log)) if one.answer not in ("accept", "unsure")]
    voted = {(one.path, one.reviewer): one for one in standing if one.round in ("", "vote", "spot")}
    votes = pd.DataFrame(
        [(one.path, one.reviewer, said(one, given)) for one in voted.values()], columns=["path", "annotator", "label"]
    )
    shared = votes[votes.groupby("path")["annotator"].transform("size") > 1] if len(votes) else votes
    most = _most_said(shared)
    alpha, interval = alpha_of(shared)
    names = sorted({one.reviewer for one in standing})
    return Agreement(
        pictures=int(shared["path"].nunique()) if len(shared) else 0,
        alpha=alpha,
        alpha_interval=interval,
        reviewers=_paced([_reviewer(name, standing, shared, most, given) for name in names]),
        classes=_classes(shared),
    )


def told(found: Agreement) -> dict[str, Any]:
    """The same as plain data; what is not known is null."""
    return {
        "pictures": found.pictures,
        "alpha": _number(found.alpha),
        "alpha_interval": [_number(end) for end in found.alpha_interval],
        "classes": [
            {**asdict(one), "alpha": _number(one.alpha), "alpha_interval": [_number(end) for end in one.alpha_interval]}
            for one in found.classes
        ],
        "people": [
            {
                **asdict(one),
                "confusions": [
                    {"most": most, "said": label, "pictures": n} for (most, label), n in one.confusions.items()
                ],
            }
            for one in found.reviewers
        ],
    }


def _number(value: float) -> float | None:
    return round(value, 4) if math.isfinite(value) else None


def _classes(shared: pd.DataFrame) -> list[ClassAgreement]:
    """The classes on which people differ, each against all others (Krippendorff 2004, chapter 11)."""
    from curate.votes import alpha_of

    if not len(shared):
        return []
    votes = shared.groupby("path")["label"].transform("nunique")
    disputed = shared[votes > 1].drop_duplicates(["path", "label"])["label"].value_counts()
    order = sorted(disputed.items(), key=lambda one: (-one[1], str(one[0])))[:MOST_CLASSES]
    found = []
    for label, _ in order:
        says = shared["label"] == label
        alpha, interval = alpha_of(shared.assign(label=says.map({True: "yes", False: "no"}).astype("str")))
        found.append(ClassAgreement(str(label), int(shared.loc[says, "path"].nunique()), alpha, interval))
    return found


def _paced(people: list[Reviewer]) -> list[Reviewer]:
    """The same people, each told whether they are faster or slower than the others."""
    import statistics

    medians = {one.name: one.seconds for one in people if one.seconds and one.hasty.total >= MIN_TIMED}
    if len(medians) < 2:
        return people
    usual = statistics.median(medians.values())
    return [replace(one, pace=_pace(medians.get(one.name, usual) / usual)) for one in people]


def _pace(ratio: float) -> Literal["", "fast", "slow"]:
    return "fast" if ratio < PACES[0] else "slow" if ratio > PACES[1] else ""


def said(decision: Decision, given: Mapping[str, str]) -> str:
    """What a person said that the picture shows. given: path -> the source's label, for who was not shown another."""
    shown = decision.context.get("given")
    return said_of(decision, shown if isinstance(shown, str) else given.get(decision.path))


def said_of(decision: Decision, given: object) -> str:
    """The same for one picture, whose source's label is given; NA and None = none."""
    if decision.answer == "keep":
        return decision.label or (given if isinstance(given, str) else "")
    return {"relabel": decision.label, "both": BOTH}.get(decision.answer, NEITHER)


def _most_said(shared: pd.DataFrame) -> dict[str, str]:
    """path -> the label that more people gave than any other; without the pictures where two are equal."""
    if not len(shared):
        return {}
    counts = shared.groupby(["path", "label"]).size().reset_index(name="people")
    highest = counts.groupby("path")["people"].transform("max")
    first = counts[counts["people"] == highest].drop_duplicates("path", keep=False)
    return dict(zip(first["path"].astype(str), first["label"].astype(str), strict=True))


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
    timed = [one for one in own if isinstance(one.context.get("seconds"), int | float)]
    seconds = [float(one.context["seconds"]) for one in timed]
    by_class: dict[str, list[bool]] = {}
    for other, label in votes:
        by_class.setdefault(other, []).append(other == label)
    return Reviewer(
        name=name,
        decisions=len(own),
        gold=Rate.of([said(one, given) == one.context["truth"] for one in own if "truth" in one.context]),
        repeats=Rate.of(_repeated(own, given)),
        agreement=Rate.of([label == other for label, other in votes]),
        confusions=dict(sorted(confusions.items(), key=lambda item: (-item[1], item[0]))),
        seconds=statistics.median(seconds) if seconds else None,
        by_class={label: Rate.of(outcomes) for label, outcomes in sorted(by_class.items())},
        hasty=Rate.of(
            [one.context["seconds"] < HASTY_S for one in timed if one.context.get("mode", "single") == "single"]
        ),
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
