"""What of a project still stands, stage by stage: what `curate status` tells and `curate run` skips by.

A stage stands while its result would be the same if it ran again. That is decided by what versions record: the
settings of its section, the labels, the pictures and the counts of what was left over; never by a mere file that is
there. What a stage has worked on last is the newest version that its command has made, or, where it changed nothing and
so made none, a note in the cache that `curate run` leaves. No image is opened.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from importlib.metadata import version as installed_version
from typing import TYPE_CHECKING, Any, Literal

from curate import versions
from curate.basis import differing, find_basis, flat, noted_basis, settings_of
from curate.decisions import Decision
from curate.differences import Differences, differences
from curate.errors import SettingsError
from curate.grouping import readable
from curate.pipeline import UNBALANCED, UNNORMALIZED, UNSPLIT
from curate.project import Project
from curate.review_log import read_log
from curate.settings import OPINION_CHECKS, STAGES, RebalanceSettings, Settings, StageName, as_dict, load_settings
from curate.stages.balance import is_training
from curate.stages.scan import Scan, scan_source
from curate.studies import Name, read_study
from curate.transform import Transform
from curate.versions import Version

if TYPE_CHECKING:
    import pandas as pd

Judgement = Literal["stands", "stale", "by hand", "never", "skipped"]
STUDIES: tuple[Name, ...] = ("leakage", "next", "proof", "shortcuts", "strategies")
REPORT_END_BYTES = 4096  # of the page; its last words are the id of the version


@dataclass(frozen=True)
class Standing:
    """How one stage stands.

    judgement: "stands": it would change nothing; "stale": it was done, and would come out differently now; "by hand":
    that, but it needs a file that was given on the command line; "never": it was not done yet; "skipped": data or
    settings give no reason for it. reasons: why, in words; of "stands" none. options: what to give it by hand.
    """

    stage: StageName
    judgement: Judgement
    reasons: tuple[str, ...] = ()
    options: tuple[str, ...] = ()

    @property
    def is_due(self) -> bool:
        """Whether it is to be run."""
        return self.judgement in ("stale", "never")

    @property
    def why(self) -> str:
        """The reasons as one line."""
        return "; ".join(self.reasons)


@dataclass(frozen=True)
class State:
    """A project at one moment.

    changes: settings on top of `curate.toml`, see `remembered`. settings: with these. history: all versions, oldest
    first.
    """

    project: Project
    changes: dict[str, Any]
    settings: Settings
    scan: Scan
    log: list[Decision]
    history: list[Version]

    @property
    def newest(self) -> Version | None:
        """The newest version, if there is any."""
        return self.history[-1] if self.history else None

    @property
    def version(self) -> Version:
        """The newest version, where one is known to be there."""
        return self.history[-1]

    @cached_property
    def rows(self) -> pd.DataFrame:
        """The newest version's table, without facts."""
        return versions.read_decisions(self.project.versions, self.version)

    @cached_property
    def differences(self) -> Differences:
        """The folder against the newest version."""
        return differences(self.project, self.rows, self.scan, self.settings.scan.labels, self.log)

    @cached_property
    def given(self) -> pd.Series[str]:
        """The label that models may learn from, of each kept picture that can be read; NA = none."""
        return _given(self.rows)


def read_state(project: Project, changes: Mapping[str, Any] | None = None, scan: Scan | None = None) -> State:
    """The project as it is. changes: settings on top of `curate.toml`. scan: of the folder, if that was done already.

    Raises SettingsError, SourceError, StoreError.
    """
    history = versions.read_versions(project.versions)
    known = remembered(project, history, changes)
    settings = load_settings(project.config, known)
    return State(project, known, settings, scan or scan_source(project.folder), read_log(project.review_log), history)


# What people give on the command line once and don't write into `curate.toml`, and the commands they give it to. A run
# without it would lose the labels of `curate clean --labels FILE`, or put a weaker model in place of theirs.
REMEMBERED: dict[str, tuple[str, ...]] = {
    "scan.labels": ("clean", "add", "prelabel", "flag"),
    "models.backbone": ("prelabel", "flag"),
    "prelabel.precision": ("prelabel",),
    "labelers.rules.files": ("prelabel",),
    "labelers.classifier.model": ("prelabel",),
    "labelers.classifier.mapping": ("prelabel",),
}


def remembered(project: Project, history: list[Version], changes: Mapping[str, Any] | None) -> dict[str, Any]:
    """The changes, and below them what of REMEMBERED neither they nor `curate.toml` say, as it was the last time."""
    settings = load_settings(project.config, dict(changes or {}))
    known: dict[str, Any] = {}
    for key, stages in REMEMBERED.items():
        made = [one for one in history if one.command.removeprefix("curate ") in stages]
        if made and not _is_said(settings, key) and (before := flat(made[-1].settings).get(key)):
            known[key] = before
    if history and not _is_said(settings, "rebalance.strategy"):
        balance = history[-1].balance
        known |= {f"rebalance.{name}": balance[name] for name in RebalanceSettings.model_fields if name in balance}
    return {**known, **(changes or {})}


def _is_said(settings: Settings, key: str) -> bool:
    """Whether the file or a change gives this setting a value, be it the default."""
    *sections, name = key.split(".")
    section: Any = settings
    for one in sections:
        section = getattr(section, one)
    return name in section.model_fields_set


def _given(rows: pd.DataFrame) -> pd.Series[str]:
    """By path, see `State.given`; as `curate.decisions.given_labels` has it."""
    kept = rows[rows["keep"] & readable(rows)].set_index("path")
    return kept["reviewed_label"].where(kept["reviewed"] == "relabel").fillna(kept["label"])


# ---- Stage by stage


def chosen_stages(settings: Settings, first: StageName | None = None, last: StageName | None = None) -> list[StageName]:
    """The stages of `[run] stages` from the first to the last, in their order. Raises SettingsError if that is none."""
    start, end = STAGES.index(first or STAGES[0]), STAGES.index(last or STAGES[-1])
    chosen = [stage for stage in STAGES[start : end + 1] if stage in settings.run.stages]
    if not chosen:
        raise SettingsError(
            f"No stage is left: [run] stages are {', '.join(settings.run.stages) or 'none'}, wanted from "
            f"{STAGES[start]} to {STAGES[end]}.",
            f"They come in this order: {', '.join(STAGES)}.",
        )
    return chosen


# What a stage needs, as long as nobody has looked.
IF_FOUND: dict[StageName, tuple[str, ...]] = {
    "prelabel": ("if there are pictures with and without a label",),
    "flag": ("if there are labels of two classes",),
    "split": ("if there are labels",),
    "rebalance": ("if there are labels",),
}


def stand(state: State, stage: StageName) -> Standing:
    """How a stage stands. Before the first version, all but `clean` wait for it."""
    if stage == "clean":
        return _clean(state)
    reason = _REASONS_AGAINST[stage](state)
    if reason:
        return Standing(stage, "skipped", (reason,))
    if state.newest is None:
        return Standing(stage, "never", IF_FOUND.get(stage, ()))
    return _STANDINGS[stage](state)


def _clean(state: State) -> Standing:
    if state.newest is None:
        return Standing("clean", "never")
    reasons = (*state.differences.reasons, *_judged_otherwise(state))
    return Standing("clean", "stale", reasons) if reasons else Standing("clean", "stands")


def _judged_otherwise(state: State) -> tuple[str, ...]:
    """The newest version's settings against today's, unless a run has found that today's change nothing."""
    before, now = _clean_settings(state.version), settings_of("clean", as_dict(state.settings))
    noted = noted_basis(state.project, state.history, "clean")
    if noted and noted.settings == now and _clean_settings(noted.version) == before:
        return ()
    made_by, installed = state.version.curate, installed_version("curate")
    updated = (f"made by curate {made_by}, this is {installed}",) if made_by != installed and not noted else ()
    return (*differing(before, now), *updated)


def _clean_settings(version: Version) -> dict[str, Any]:
    return settings_of("clean", version.settings)


def _normalize(state: State) -> Standing:
    transform, before = transform_of(state).as_dict(), state.version.transform
    if not before:
        return Standing("normalize", "never")
    reasons = differing(
        {f"normalize.{k}": v for k, v in before.items()}, {f"normalize.{k}": v for k, v in transform.items()}
    )
    if number := state.version.counts.get(UNNORMALIZED, 0):
        reasons += (f"{number:,} kept pictures are not normalized yet",)
    return Standing("normalize", "stale" if reasons else "stands", reasons)


def transform_of(state: State) -> Transform:
    """As `curate normalize` takes it: settings over the newest version's."""
    before = {key: value for key, value in state.version.transform.items() if key in Transform.model_fields}
    chosen = state.settings.normalize
    return Transform(**{**before, **{name: getattr(chosen, name) for name in chosen.model_fields_set}})


def _opinion(state: State, stage: StageName) -> Standing:
    """Of prelabel or flag: stale once pictures, labels, the model or its settings have changed."""
    basis = find_basis(state.project, state.history, stage)
    if basis is None or stage not in state.version.counts.get("opinions", {}):
        return Standing(stage, "never")
    reasons = differing(basis.settings, settings_of(stage, as_dict(state.settings)))
    if number := _changed_since(state, basis.version):
        reasons += (f"{number:,} pictures came, left or were relabelled since {basis.version.name}",)
    options = _files_given(state.version, stage)
    if reasons and options:
        return Standing(stage, "by hand", reasons, options)
    return Standing(stage, "stale" if reasons else "stands", reasons)


def _files_given(version: Version, stage: StageName) -> tuple[str, ...]:
    """Options of the files that a person has given to the stage: without them it would forget what they say."""
    said = version.counts["opinions"][stage]
    given = (("votes", "--votes"), ("pred_probs", "--pred-probs"))
    return tuple(word for key, option in given if said.get(key) for word in (option, "FILE"))


def _changed_since(state: State, version: Version) -> int:
    """How many pictures models saw then and don't now, or with another label, or the other way round.

    What models' own opinions have dropped does not count: else `flag` would chase its own tail.
    """
    if version.number == state.version.number:
        return 0
    before = versions.read_decisions(state.project.versions, version)
    then, now = (_seen_by_models(rows) for rows in (before, state.rows))
    return len({path for path, *_ in then ^ now})


def _seen_by_models(rows: pd.DataFrame) -> set[tuple[str, str, str]]:
    """path, content and label of what is kept, or dropped by models alone."""
    by_models = rows["reasons"].isin([*OPINION_CHECKS, ";".join(OPINION_CHECKS), ";".join(reversed(OPINION_CHECKS))])
    given = _given(rows.assign(keep=rows["keep"] | by_models)).fillna("")
    content = rows.set_index("path")["sha256"].reindex(given.index)
    return set(zip(given.index, content, given, strict=True))


def _split(state: State) -> Standing:
    dealt = state.version.splits
    if not dealt:
        return Standing("split", "never")
    now = flat({"split": _without_empty(state.settings.split.model_dump(mode="json"))})
    before = flat({"split": _without_empty(dealt)})
    from_file = set(before.pop("split.by", [])) - set(
        now.pop("split.by", [])
    )  # columns of `curate split --groups FILE`
    reasons: tuple[str, ...] = ()
    if before != now:
        reasons = tuple(
            f"{one}, which moves no image (that: curate split --from-scratch)" for one in differing(before, now)
        )
    if number := state.version.counts.get(UNSPLIT, 0):
        reasons += (f"{number:,} kept pictures have no split yet",)
        if from_file:
            return Standing("split", "by hand", reasons, ("--groups", "FILE"))
    return Standing("split", "stale" if reasons else "stands", reasons)


def _without_empty(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value not in ((), [])}


def _rebalance(state: State) -> Standing:
    basis = find_basis(state.project, state.history, "rebalance")
    if not state.version.balance or basis is None:
        return Standing("rebalance", "never")
    reasons = differing(basis.settings, settings_of("rebalance", as_dict(state.settings)))
    if number := state.version.counts.get(UNBALANCED, 0):
        reasons += (f"{number:,} training pictures are not rebalanced yet",)
    elif number := _training_changed(state, basis.version):
        reasons += (f"{number:,} training pictures came, left or have another label since {basis.version.name}",)
    return Standing("rebalance", "stale" if reasons else "stands", reasons)


def _training_changed(state: State, version: Version) -> int:
    if version.number == state.version.number:
        return 0
    before = versions.read_decisions(state.project.versions, version)
    return len({path for path, *_ in _training(before) ^ _training(state.rows)})


def _training(rows: pd.DataFrame) -> set[tuple[str, str, str, bool]]:
    """path, content, label and whether that is doubted, of what is in train: all that strategies look at."""
    if "split" not in rows:
        return set()
    seen = rows[is_training(rows)]
    doubted = seen["label_error"].fillna(False).astype(bool) if "label_error" in seen else [False] * len(seen)
    return set(zip(seen["path"], seen["sha256"], seen["final_label"].fillna(""), doubted, strict=True))


def same_pictures(state: State, version_id: str) -> bool:
    """Whether the newest version has the pictures, labels and splits of the one with this id."""
    named = [one for one in state.history if one.id == version_id]
    if not named or version_id == state.version.id:
        return bool(named)
    before = versions.read_decisions(state.project.versions, named[-1])
    return _pictures(before) == _pictures(state.rows)


def _pictures(rows: pd.DataFrame) -> set[tuple[str, ...]]:
    kept = rows[rows["keep"]].reindex(columns=["path", "sha256", "final_label", "split"]).astype("str").fillna("")
    return set(kept.itertuples(index=False, name=None))


def _report(state: State) -> Standing:
    told = report_version(state.project)
    if told is None:
        return Standing("report", "never")
    if told != state.version.id:
        return Standing("report", "stale", (f"it is about another version than {state.version.name}",))
    written = state.project.report.stat().st_mtime
    later = [name for name in STUDIES if (made := _studied(state.project, name)) and made > written + 1]
    reasons = (f"older than what {' and '.join(later)} found",) if later else ()
    return Standing("report", "stale" if reasons else "stands", reasons)


def _studied(project: Project, name: Name) -> float | None:
    study = read_study(project, name)
    return datetime.fromisoformat(study.made_at).timestamp() if study else None


def report_version(project: Project) -> str | None:
    """The id of the version that the report is about; None where there is no report."""
    try:
        with project.report.open("rb") as page:
            page.seek(max(0, project.report.stat().st_size - REPORT_END_BYTES))
            found = re.findall(rb"<code>([0-9a-f]{64})</code>", page.read())
    except OSError:
        return None
    return found[-1].decode() if found else None


_STANDINGS: dict[StageName, Callable[[State], Standing]] = {
    "normalize": _normalize,
    "prelabel": lambda state: _opinion(state, "prelabel"),
    "flag": lambda state: _opinion(state, "flag"),
    "split": _split,
    "rebalance": _rebalance,
    "report": _report,
}


# ---- What speaks against running a stage at all


def _no_size(state: State) -> str:
    asked = state.settings.normalize.size or (state.newest and state.newest.transform)
    return "" if asked else "curate.toml has no [normalize] size"


def _nothing_to_prelabel(state: State) -> str:
    if state.newest is None:
        return ""
    labelled = int(state.given.notna().sum())
    labelers = state.settings.labelers
    if labelled == len(state.given):
        return "every kept picture has a label" if labelled else "no picture is kept"
    if not labelled and not labelers.rules.files and not labelers.classifier.model:
        return "no picture has a label to learn from"
    return ""


def _nothing_to_flag(state: State) -> str:
    if state.newest is None:
        return ""
    labels = state.given.dropna()
    classes = labels.nunique()
    if not classes:
        return "no picture has a label"
    if classes == 1:
        return f"all labels are {labels.iloc[0]!r}, and with one class none can be told wrong"
    return "all labels are different" if classes == len(labels) else ""


def _nothing_to_split(state: State) -> str:
    if state.newest is None or state.settings.split.model_fields_set or state.version.splits:
        return ""
    kept = state.rows[state.rows["keep"]]
    if "given_split" in kept and len(kept) and kept["given_split"].notna().all():
        return "the source has splits"
    return "" if kept["final_label"].notna().any() else "no labels; a section [split] in curate.toml would ask for it"


def _nothing_to_rebalance(state: State) -> str:
    if not state.settings.rebalance.strategy:
        balanced = state.newest is not None and state.newest.balance
        stays = f"; {state.version.name} stays rebalanced, unless: curate rebalance --off" if balanced else ""
        return f"curate.toml has no [rebalance] strategy{stays}"
    if state.newest is None:
        return ""
    training = _training(state.rows)
    if not training:
        return "no picture is in train"
    return "" if len({label for _, _, label, _ in training} - {""}) > 1 else "the pictures in train are of one class"


_REASONS_AGAINST: dict[StageName, Callable[[State], str]] = {
    "normalize": _no_size,
    "prelabel": _nothing_to_prelabel,
    "flag": _nothing_to_flag,
    "split": _nothing_to_split,
    "rebalance": _nothing_to_rebalance,
    "report": lambda _: "",
}
