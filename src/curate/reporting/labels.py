"""What models say of the labels, for the page: likely errors, classes that are mixed up, how far pre-labels go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from curate.reporting.plots import Curve, curve
from curate.versions import Version

MOST_PAIRS = 12
MOST_CLASSES = 40


@dataclass(frozen=True)
class ClassQuality:
    """One class as models see it. quality: mean probability that its labels are right, 0..1."""

    label: str
    pictures: int
    flagged: int
    quality: float


@dataclass(frozen=True)
class Confusion:
    """How many pictures labelled `given` are expected to be `suggested`."""

    given: str
    suggested: str
    pictures: float


@dataclass(frozen=True)
class Labels:
    """What `curate flag` said of all labels; see `curate.stages.flag` for the numbers."""

    said: dict[str, Any]
    classes: list[ClassQuality]
    confusions: list[Confusion]


@dataclass(frozen=True)
class Prelabels:
    """What `curate prelabel` said; see `curate.stages.prelabel` for the numbers. curve: None without points."""

    said: dict[str, Any]
    curve: Curve | None


def labels_of(version: Version) -> Labels | None:
    """The outcome of `curate flag` in this version; None if it has not run."""
    said = version.counts.get("opinions", {}).get("flag")
    if said is None:
        return None
    classes = [ClassQuality(**one) for one in said["classes"]]
    return Labels(
        said,
        sorted(classes, key=lambda one: (one.quality, one.label))[:MOST_CLASSES],
        [Confusion(**one) for one in said["pairs"][:MOST_PAIRS]],
    )


def prelabels_of(version: Version) -> Prelabels | None:
    """The outcome of `curate prelabel` in this version; None if it has not run."""
    said = version.counts.get("opinions", {}).get("prelabel")
    if said is None:
        return None
    points = [(one["coverage"], one["accuracy"]) for one in said["curve"]]
    if len(points) == 1:  # all are equally sure: any share of them is right as often
        points = [(0.0, points[0][1]), *points]
    return Prelabels(said, curve(points, said["precision"], said["sure"] / said["unlabelled"]))
