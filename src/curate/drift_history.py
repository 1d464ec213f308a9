"""`drift --history`: every version of a project against the first one, and against the one before.

Against the first, effects are told, as sums of many small steps show only there. Against the one before, it is asked as
`curate drift` asks: what came since, with all corrections. Each step has its own level: of twenty steps without any
change, one has an alarm at 5 %.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from curate import versions
from curate.drift_questions import Key, ask_embedding, ask_facts, ask_labels
from curate.drift_sides import Means, Side, side_of_version
from curate.drifting import ALPHA, MIN_EFFECT, Meeting, compare, meet, pictures_of, require_shares
from curate.errors import SourceError
from curate.executors import executor_for
from curate.progress import Progress, silent
from curate.project import Project
from curate.settings import settings_of_version, with_executor
from curate.traits import measured_traits
from curate.versions import Version


@dataclass(frozen=True)
class Step:
    """One version. came, went, relabelled: since the one before. medians: fact -> median of its pictures.

    Against the first version, None for itself or where there is nothing to compare: mix: distance of the classes; auc:
    how well what came since, or went, is told from it; fact: what moved most, by delta.
    drift: questions that found drift since the one before; words: what they say.
    """

    version: str
    created_at: str
    command: str
    pictures: int
    came: int
    went: int
    relabelled: int
    medians: dict[str, float]
    mix: float | None = None
    auc: float | None = None
    fact: str = ""
    delta: float | None = None
    drift: tuple[Key, ...] = ()
    words: tuple[str, ...] = ()


@dataclass(frozen=True)
class History:
    """What became of a project, oldest version first. units: fact -> its unit."""

    project: Project
    steps: tuple[Step, ...]
    units: dict[str, str]
    alpha: float

    @property
    def found(self) -> list[Step]:
        """The versions that drifted from the one before."""
        return [one for one in self.steps if one.drift]

    def plain(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        return {"alpha": self.alpha, "units": self.units, "versions": [asdict(one) for one in self.steps]}


def drift_history(
    folder: str | Path,
    *,
    store: str | Path | None = None,
    config: str | Path | None = None,
    changes: Mapping[str, Any] | None = None,
    alpha: float = ALPHA,
    min_effect: float = MIN_EFFECT,
    seed: int = 0,
    executor: str | None = None,
    workers: int | None = None,
    network: bool = False,
    progress: Progress = silent,
) -> History:
    """How each version differs from the first one and from the one before. Versions that keep no picture are left out.

    Parameters as of `curate.drifting.drift`. Raises SourceError where no version keeps a picture.
    """
    require_shares(alpha=alpha, min_effect=min_effect)
    project = Project.at(folder, store, config, network)
    project.require_store()
    newest = versions.find_version(project.versions, None)
    settings = settings_of_version(newest.settings, project.config, with_executor(changes, executor, workers))
    with project.writing("curate drift"):
        means = Means(project, settings, executor_for(settings.executor), progress, network)
        found = [one for one in versions.read_versions(project.versions) if one.counts.get("kept", 1)]
        if not found:
            raise SourceError("No version keeps a picture: there is nothing to compare.", f"See: curate log {folder}")
        steps: list[Step] = []
        first = before = side_of_version(found[0], "", means)
        for one in found:
            side = first if one is found[0] else side_of_version(one, "", means)
            steps.append(_step(one, first, before, side, means, (alpha, min_effect, seed)))
            before = side
        units = {trait.name: trait.what for trait in measured_traits(first.rows) if trait.is_number}
        return History(project, tuple(steps), units, alpha)


def _step(
    version: Version, first: Side, before: Side, side: Side, means: Means, chosen: tuple[float, float, int]
) -> Step:
    """chosen: level, least effect and seed."""
    contents = [set(one.rows["sha256"]) for one in (before, side)]
    meeting = meet(before, side)
    is_same = side is before or (meeting.compared == "labels" and not meeting.relabelled)
    found = [] if is_same else compare(meeting, means, *chosen).found
    step = Step(
        version=version.name,
        created_at=version.created_at,
        command=version.command,
        pictures=len(side.rows),
        came=len(contents[1] - contents[0]),
        went=len(contents[0] - contents[1]),
        relabelled=meeting.relabelled,
        medians=_medians(side),
        drift=tuple(one.key for one in found),
        words=tuple(one.words for one in found),
    )
    return step if side is first else _since_first(step, first, side, means, chosen[2])


def _medians(side: Side) -> dict[str, float]:
    found = {}
    for trait in measured_traits(side.rows):
        values = trait.column.to_numpy(np.float64, na_value=np.nan) if trait.is_number else np.empty(0)
        if np.isfinite(values).any():
            found[trait.name] = float(np.nanmedian(values))
    return found


def _since_first(step: Step, first: Side, side: Side, means: Means, seed: int) -> Step:
    """With how far it is from the first version. What both have would only blur what a classifier sees."""
    a, b = pictures_of(Meeting(first, side, "both", 0, 0, ()), means)
    facts, _ = ask_facts(a, b, seed)
    mix = ask_labels(a, b, seed=seed)
    meeting = meet(first, side)
    apart = ask_embedding(*pictures_of(meeting, means), seed) if meeting.compared != "labels" else None
    moved = max((one for one in facts.tests if one.measure == "delta"), key=lambda one: abs(one.effect), default=None)
    return replace(
        step,
        mix=mix.tests[0].effect if mix.tests else None,
        auc=apart.tests[0].effect if apart and apart.tests else None,
        fact=moved.name if moved else "",
        delta=moved.effect if moved else None,
    )
