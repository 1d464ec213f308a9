"""What commands found out without making a version (`curate.studies`), for the page.

A study is plain data that another release of curate, or a run on another version, may have left. One that does not say
what this page expects is named as such; one about another version says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from curate.reporting.contents import Picture
from curate.reporting.plots import Interval, Intervals, intervals
from curate.reporting.rows import pictures
from curate.studies import Study
from curate.versions import Version

if TYPE_CHECKING:
    import pandas as pd

MOST_SHORTCUTS = 8  # with pictures, 8 each
MOST_PAIRS = 6  # of leaked pictures, side by side
MOST_PICKS = 12  # of what to label next
MOST_CONFUSIONS = 5  # with pictures, 6 each
FEW_RECALLS = 12  # more classes than these are drawn only where they differ most


@dataclass(frozen=True)
class About:
    """What a study is about. version: its name; differs: it is another data set than the page's."""

    version: str
    made_at: str
    differs: bool


@dataclass(frozen=True)
class LeakedPair:
    """A picture of test or validation and the training picture that gives it away."""

    split: str
    relation: str
    picture: Picture
    other: Picture


@dataclass(frozen=True)
class Leaks:
    """What `curate split --audit` found. splits: as it prints them. gains: None where no model was asked."""

    about: About
    splits: list[dict[str, Any]]
    pairs: list[LeakedPair]
    leaked: int
    gains: Intervals | None


@dataclass(frozen=True)
class Side:
    """Pictures that show a trait, or the lack of it."""

    title: str
    pictures: list[Picture]


@dataclass(frozen=True)
class Shortcut:
    """A trait that predicts the label. said: see `curate.confounding.Finding`."""

    said: dict[str, Any]
    sides: list[Side]


@dataclass(frozen=True)
class Traits:
    """What `curate shortcuts` found. tested: traits in the order of the plot, the shortcuts first.

    shortcuts: the strongest, with pictures; more: how many there are beside these.
    """

    about: About
    said: dict[str, Any]
    tested: list[dict[str, Any]]
    untested: list[dict[str, Any]]
    shortcuts: list[Shortcut]
    more: int
    plot: Intervals | None


@dataclass(frozen=True)
class Mistakes:
    """Test pictures of one class that the model called another. said: see `curate.class_figures.Confusion`."""

    said: dict[str, Any]
    pictures: list[Picture]


@dataclass(frozen=True)
class Proof:
    """What `curate prove` found. said: see `curate.proof.Proof.plain`. recalls: drawn, those that differ most first.

    mistakes: the most frequent ones, with pictures.
    """

    about: About
    said: dict[str, Any]
    metrics: Intervals | None
    recalls: Intervals | None
    mistakes: list[Mistakes]


@dataclass(frozen=True)
class Strategies:
    """What `curate rebalance --dry-run` tried. outcomes: see `curate.what_if.Outcome`, each with largest and smallest:
    how often an epoch sees the largest class, and the smallest one. gains: over each picture once, in points.
    """

    about: About
    said: dict[str, Any]
    outcomes: list[dict[str, Any]]
    gains: Intervals | None


@dataclass(frozen=True)
class Island:
    """A few pictures unlike all others. said: see `curate.thinness.Island`."""

    said: dict[str, Any]
    pictures: list[Picture]


@dataclass(frozen=True)
class Thin:
    """What `curate next` chose, and where it found the data thin. said: as it prints it. picks: the first, with why."""

    about: About
    said: dict[str, Any]
    islands: list[Island]
    picks: list[tuple[Picture, str]]

    @property
    def is_nowhere(self) -> bool:
        thin = self.said["thin"]
        return not (thin["classes"] or thin["confusions"] or self.islands)


@dataclass(frozen=True)
class Drifted:
    """What `curate drift` found last. said: see `curate.drifting.Drift.plain`."""

    about: About
    said: dict[str, Any]


@dataclass(frozen=True)
class Found:
    """All studies that the page shows; None = there is none. unread: commands whose study has another form."""

    leaks: Leaks | None = None
    traits: Traits | None = None
    strategies: Strategies | None = None
    proof: Proof | None = None
    thin: Thin | None = None
    drifted: Drifted | None = None
    unread: tuple[str, ...] = ()

    @property
    def read(self) -> list[str]:
        """Names of the studies that are shown."""
        shown = {
            "leakage": self.leaks,
            "shortcuts": self.traits,
            "strategies": self.strategies,
            "proof": self.proof,
            "next": self.thin,
            "drift": self.drifted,
        }
        return [name for name, one in shown.items() if one is not None]

    def pictures(self) -> list[Picture]:
        """Every picture of a study that has a place on the page."""
        pairs = self.leaks.pairs if self.leaks else []
        shortcuts = self.traits.shortcuts if self.traits else []
        islands = self.thin.islands if self.thin else []
        mistakes = self.proof.mistakes if self.proof else []
        return [
            *(picture for pair in pairs for picture in (pair.picture, pair.other)),
            *(picture for one in shortcuts for side in one.sides for picture in side.pictures),
            *(picture for one in islands for picture in one.pictures),
            *(picture for one in mistakes for picture in one.pictures),
            *(picture for picture, _ in (self.thin.picks if self.thin else [])),
        ]


def found_in(studies: Mapping[str, Study], images: pd.DataFrame, version: Version) -> Found:
    """What the page says of each study. images: rows of the page's version, indexed by path."""
    scene = _Scene(images, version)
    found = Found(
        leaks=_told(studies.get("leakage"), scene, _leaks),
        traits=_told(studies.get("shortcuts"), scene, _traits),
        strategies=_told(studies.get("strategies"), scene, _strategies),
        proof=_told(studies.get("proof"), scene, _proof),
        thin=_told(studies.get("next"), scene, _thin),
        drifted=_told(studies.get("drift"), scene, _drifted),
    )
    return replace(found, unread=tuple(name for name in studies if name not in found.read))


@dataclass(frozen=True)
class _Scene:
    """The page's version, to find pictures in."""

    images: pd.DataFrame
    version: Version

    def pictures(self, paths: Sequence[str]) -> list[Picture]:
        """Pictures of these paths, in their order; one that this version lacks has no content, so no thumbnail."""
        there = [path for path in paths if path in self.images.index]
        known = {one.path: one for one in pictures(self.images.loc[there], self.version)}
        return [known.get(path, Picture(path, "", "", "dropped")) for path in paths]

    def about(self, study: Study) -> About:
        return About(study.version_name, study.made_at, study.version_id != self.version.id)


_T = TypeVar("_T")


def _told(study: Study | None, scene: _Scene, tell: Callable[[Study, _Scene], _T]) -> _T | None:
    """What is told of a study; None without one, or where it has another form than this release writes."""
    try:
        return tell(study, scene) if study else None
    except (KeyError, TypeError, ValueError, AttributeError, IndexError):
        return None


def _leaks(study: Study, scene: _Scene) -> Leaks:
    said = study.result
    pairs = [
        LeakedPair(one["split"], one["relation"], *scene.pictures([one["path"], one["other"]]))
        for one in said["pairs"][:MOST_PAIRS]
    ]
    gains = [_percent(one["split"], one["gain"], one["gain_interval"]) for one in said["splits"] if "gain" in one]
    leaked = sum(one["exact"] + one["near"] + one["group"] for one in said["splits"])
    return Leaks(scene.about(study), said["splits"], pairs, leaked, intervals(gains, 0.0))


def _traits(study: Study, scene: _Scene) -> Traits:
    said = study.result
    tested = [one for one in said["traits"] if one["verdict"] != "not tested"]
    rows = [_percent(one["trait"], one["accuracy"], one["interval"], one["verdict"] == "shortcut") for one in tested]
    found = [one for one in tested if one["verdict"] == "shortcut"]
    shown = [
        Shortcut(one, [Side(side["title"], scene.pictures(side["paths"])) for side in one["sides"]])
        for one in found[:MOST_SHORTCUTS]
    ]
    return Traits(
        about=scene.about(study),
        said=said,
        tested=tested,
        untested=[one for one in said["traits"] if one["verdict"] == "not tested"],
        shortcuts=shown,
        more=len(found) - len(shown),
        plot=intervals(rows, 100 * said["chance"]),
    )


def _strategies(study: Study, scene: _Scene) -> Strategies:
    said = study.result
    outcomes = []
    for one in said["outcomes"]:
        sizes = [int(size) for _, size in one["sizes"]]
        outcomes.append({**one, "name": " + ".join(one["names"]), "largest": max(sizes), "smallest": min(sizes)})
    rows = [
        _percent(
            one["name"],
            one["gain"]["value"],
            (one["gain"]["low"], one["gain"]["high"]),
            one["verdict"] in ("better", "worse"),
        )
        for one in outcomes
        if one["name"] and one["gain"]
    ]
    return Strategies(scene.about(study), said, outcomes, intervals(rows, 0.0))


def _thin(study: Study, scene: _Scene) -> Thin:
    said = study.result
    islands = [Island(one, scene.pictures(one["examples"])) for one in said["thin"]["islands"]]
    picks = said["pictures"][:MOST_PICKS]
    shown = scene.pictures([one["path"] for one in picks])
    return Thin(scene.about(study), said, islands, [(one, pick["why"]) for one, pick in zip(shown, picks, strict=True)])


def _drifted(study: Study, scene: _Scene) -> Drifted:
    known = {"title", "verdict", "p", "words", "why"}
    if not all(known <= set(one) for one in study.result["questions"]):
        raise KeyError("questions")
    return Drifted(scene.about(study), study.result)


def _proof(study: Study, scene: _Scene) -> Proof:
    said = study.result
    metrics = [_difference(one) for one in said["metrics"]]
    recalls = sorted(said["recalls"], key=lambda one: (-abs(one["difference"]), one["name"]))[:FEW_RECALLS]
    return Proof(
        scene.about(study),
        said,
        intervals(metrics, 0.0),
        intervals([_difference(one) for one in recalls], 0.0),
        [Mistakes(one, scene.pictures(one["paths"])) for one in said["figures"]["confusions"][:MOST_CONFUSIONS]],
    )


def _difference(one: Mapping[str, Any]) -> Interval:
    """It stands out where it is measurable."""
    return _percent(one["name"], one["difference"], (one["low"], one["high"]), one["better"] != "neither")


def _percent(name: str, value: float, ends: Sequence[float], stands_out: bool = False) -> Interval:
    """An interval of shares, 0..1, in percent."""
    low, high = ends
    return Interval(name, 100 * value, 100 * low, 100 * high, stands_out)
