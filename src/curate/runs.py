"""`run`: every stage from the folder to the report, each as if it had been called by itself, those that stand left out.

There is no state of the run itself: what is done is told by the versions and the caches that the stages leave
(`curate.standing`). So a run can be killed anywhere, and the next one goes on where it stopped, whoever called what in
between.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from curate.basis import keep_basis
from curate.errors import CurateError
from curate.progress import Progress, silent
from curate.project import Project
from curate.settings import StageName
from curate.standing import Standing, State, chosen_stages, read_state, stand
from curate.versions import Version

Ending = Literal["done", "stood", "skipped", "failed", "planned"]


@dataclass(frozen=True)
class StageRun:
    """What became of one stage.

    ending: "done": it ran now; "stood": its result stands from before; "skipped": nothing asks for it, or the data do
    not allow it; "failed"; "planned": it would run (a dry run). why: reasons to run it, or not to. found: what came
    of it, in words. version: the one it has made, None if nothing changed. seconds: it took. attention: what a person
    should look at.
    """

    stage: StageName
    ending: Ending
    why: str = ""
    found: str = ""
    version: Version | None = None
    seconds: float = 0.0
    attention: str = ""


@dataclass(frozen=True)
class Run:
    """What `run` did, stage by stage. version: the newest one now; None only in a dry run before the first."""

    project: Project
    stages: tuple[StageRun, ...]
    version: Version | None

    @property
    def changed_nothing(self) -> bool:
        """Whether every stage stood, or was skipped."""
        return all(one.ending in ("stood", "skipped") for one in self.stages)

    @property
    def attention(self) -> list[str]:
        """What people should look at."""
        return [one.attention for one in self.stages if one.attention]


# Is told of a stage, and which ones wait, when it begins (None) and when it has ended.
Watch = Callable[[StageName, Sequence[StageName], StageRun | None], object]


def nobody(stage: StageName, waiting: Sequence[StageName], ended: StageRun | None) -> None:
    """Nobody watches: the default of the library."""


def run(
    folder: str | Path,
    *,
    store: str | Path | None = None,
    config: str | Path | None = None,
    changes: Mapping[str, Any] | None = None,
    first: StageName | None = None,
    last: StageName | None = None,
    executor: str | None = None,
    workers: int | None = None,
    network: bool = False,
    dry_run: bool = False,
    progress: Progress = silent,
    watch: Watch = nobody,
) -> Run:
    """Bring a folder up to date, from `clean` to `report`; what stands already is not done again.

    changes: settings on top of `curate.toml`, for every stage. first, last: leave out the stages before and after.
    watch: is told when a stage begins and ends. Raises CurateError as the stage that failed does; what the stages
    before it have made stays.
    """
    project = Project.at(folder, store, config, network)
    state = read_state(project, changes)
    chosen = chosen_stages(state.settings, first, last)
    if dry_run:
        return Run(project, tuple(planned(state, chosen)), state.newest)
    call = _Call(project, dict(changes or {}), executor, workers, progress)
    ended = []
    for place, stage in enumerate(chosen, start=1):
        tell = partial(watch, stage, chosen[place:])
        tell(None)
        one, state = _went_through(call, state, stage, tell)
        ended.append(one)
        tell(one)
    return Run(project, tuple(ended), state.newest)


def planned(state: State, chosen: list[StageName]) -> list[StageRun]:
    """What a run would do now, as far as can be told: a stage may find something that makes a later one due."""
    plan: list[StageRun] = []
    before: StageName | None = None  # the first stage that would run
    for stage in chosen:
        standing = stand(state, stage)
        if standing.is_due or (before and standing.judgement == "stands"):
            why = standing.why or ("was not done yet" if standing.is_due else f"if {before} changes what it saw")
            plan.append(StageRun(stage, "planned", why))
        else:
            plan.append(_left_out(standing))
        if standing.is_due and stage != "report":
            before = before or stage
    return plan


def _left_out(standing: Standing) -> StageRun:
    if standing.judgement == "by hand":
        why = f"{standing.why}, but it was given {standing.options[0]}: run it yourself, with that file"
        return StageRun(standing.stage, "skipped", why, attention=f"{standing.stage}: {why}.")
    return StageRun(standing.stage, "skipped" if standing.judgement == "skipped" else "stood", standing.why)


@dataclass(frozen=True)
class _Call:
    """What every stage is called with. changes: as the caller gave them."""

    project: Project
    changes: dict[str, Any]
    executor: str | None
    workers: int | None
    progress: Progress


def _went_through(
    call: _Call, state: State, stage: StageName, tell: Callable[[StageRun], object]
) -> tuple[StageRun, State]:
    """One stage, run if it is due, and the project afterwards."""
    standing = stand(state, stage)
    if not standing.is_due:
        return _left_out(standing), state
    why, begun = standing.why or "was not done yet", time.monotonic()
    try:
        found, attention = STEPS[stage](call, state)
    except CurateError as error:
        tell(StageRun(stage, "failed", why, str(error), None, time.monotonic() - begun))
        raise
    after = read_state(call.project, call.changes, state.scan)
    made = after.version if state.newest is None or after.version.number != state.version.number else None
    keep_basis(call.project, stage, after.version, state.settings)
    return StageRun(stage, "done", why, found, made, time.monotonic() - begun, attention), after


# ---- The stages: each calls its verb and says what came of it, and what needs attention


def _arguments(call: _Call, state: State) -> dict[str, Any]:
    """What all verbs share."""
    return {
        "store": call.project.store,
        "config": call.project.config,
        "changes": state.changes,
        "executor": call.executor,
        "workers": call.workers,
        "network": call.project.network,
        "progress": call.progress,
    }


def _clean(call: _Call, state: State) -> tuple[str, str]:
    from curate.pipeline import clean

    result = clean(str(call.project.folder), **_arguments(call, state))
    counts, failures = result.counts, result.effort.failures
    failed = (
        f"a check failed on {sum(map(len, failures.values())):,} images: {next(iter(failures))}" if failures else ""
    )
    return f"{counts['images']:,} images, {counts['kept']:,} kept, {counts['dropped']:,} dropped", failed


def _normalize(call: _Call, state: State) -> tuple[str, str]:
    from curate.normalization import normalize

    result = normalize(str(call.project.folder), **_arguments(call, state))
    assert result.transform is not None
    found = f"{result.pictures:,} pictures at {result.transform.width} x {result.transform.height} px"
    path, why = next(iter(result.failures.items()), ("", ""))
    return found, f"{len(result.failures):,} could not be normalized, {path} for one: {why}" if path else ""


def _prelabel(call: _Call, state: State) -> tuple[str, str]:
    from curate.modelling import prelabel

    said = prelabel(str(call.project.folder), **_arguments(call, state)).summary
    return f"{said['sure']:,} of {said['unlabelled']:,} suggested labels are sure", ""


def _flag(call: _Call, state: State) -> tuple[str, str]:
    from curate.modelling import flag

    result = flag(str(call.project.folder), **_arguments(call, state))
    labels = f"{result.summary['flagged']:,} of {result.summary['judged']:,} labels look wrong"
    return labels + (f", {result.outliers:,} off-topic" if result.outliers else ""), ""


def _split(call: _Call, state: State) -> tuple[str, str]:
    from curate.partition import split

    result = split(str(call.project.folder), **_arguments(call, state))
    assert result.assignment is not None
    sizes = ", ".join(f"{name} {sum(each.values()):,}" for name, each in result.assignment.counts.items())
    if state.version.splits and not result.assignment.new:
        sizes = "the settings hold for new images; those here keep their split"
    leaked = result.leakage.leaked
    return sizes, f"{leaked:,} test or validation pictures have a copy in train" if leaked else ""


def _rebalance(call: _Call, state: State) -> tuple[str, str]:
    from curate.balancing import rebalance

    result = rebalance(str(call.project.folder), **_arguments(call, state))
    low, high = min(result.after.values()), max(result.after.values())
    sizes = f"{low:,} to {high:,}" if low < high else f"{low:,}"
    return f"{' + '.join(result.names)}, {sizes} a class", ""


def _report(call: _Call, state: State) -> tuple[str, str]:
    from curate.reporting import report

    page = report(
        str(call.project.folder), store=call.project.store, network=call.project.network, progress=call.progress
    )
    return f"{page.name}, about {state.version.name}", ""


STEPS: dict[StageName, Callable[[_Call, State], tuple[str, str]]] = {
    "clean": _clean,
    "normalize": _normalize,
    "prelabel": _prelabel,
    "flag": _flag,
    "split": _split,
    "rebalance": _rebalance,
    "report": _report,
}
