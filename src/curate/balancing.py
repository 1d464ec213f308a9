"""`rebalance`: the classes of the training pictures into balance, without touching what judges a model.

Each strategy (`curate.strategies`) says how often an epoch sees a training picture and what its loss counts. Validation
and test pictures, pictures without a label and dropped ones are never resampled.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from curate import versions
from curate.combining import balance, combination, invent, require_pictures
from curate.embedded import NO_LABEL, Embedded, open_embedded
from curate.errors import SettingsError, SourceError
from curate.invented import Features, paths_of, require_format, write_features
from curate.pipeline import freeze_as, in_order
from curate.progress import Progress, silent
from curate.project import Project
from curate.run_record import RunRecord
from curate.settings import RebalanceSettings, Settings, load_settings, with_executor
from curate.stages.balance import BALANCE, is_training
from curate.stages.labels import TRAIN, VAL
from curate.strategies import AnyStrategy, Balance, Bools, Ints, Training, all_strategies, epoch_sizes
from curate.studies import keep_study
from curate.versions import Version
from curate.what_if import Judging, Outcome, by_folds, by_validation, effective_size, options, what_if

if TYPE_CHECKING:
    import pandas as pd

UNLIKELY = 0.5  # label_quality below this: the label is more likely wrong than right


@dataclass(frozen=True)
class Rebalanced:
    """What `rebalance` did.

    names: the strategies. before, after: pictures that an epoch sees of each class. used: different pictures of them.
    effective: see `curate.what_if.Outcome`. rare: classes of 1 to 3 different pictures. unlabelled, unseen: training
    pictures that count once, as they have no label, or the model could not look at them. unjudged: classes that the
    table of outcomes can't judge. judged_by: "val", or "folds" of train. outcomes: the what-if table of a dry run.
    features: what was written to a file. notes: what to know, one sentence each. version: the one that holds it now.
    """

    project: Project
    names: tuple[str, ...]
    before: dict[str, int]
    after: dict[str, int]
    used: int
    effective: float
    rare: dict[str, int]
    unlabelled: int
    unseen: dict[str, str]
    notes: tuple[str, ...]
    version: Version
    is_new: bool
    unjudged: tuple[str, ...] = ()
    judged_by: str = ""
    outcomes: tuple[Outcome, ...] = field(default=())
    features: Features | None = None


def rebalance(
    folder: str | Path,
    *,
    store: str | Path | None = None,
    config: str | Path | None = None,
    changes: Mapping[str, Any] | None = None,
    features: str | Path | None = None,
    off: bool = False,
    executor: str | None = None,
    workers: int | None = None,
    network: bool = False,
    dry_run: bool = False,
    progress: Progress = silent,
) -> Rebalanced:
    """Say how often training sees each picture of the newest version, and freeze that as the next version.

    changes: settings on top, for example {"rebalance.strategy": ["random-over"]}. features: write the vectors to this
    file (.parquet or .npz) and make no version; only there may strategies invent vectors. off: each picture counts once
    again. dry_run: try all strategies out, and make no version.
    Raises CurateError; SettingsError for strategies that make no sense together; SourceError without training pictures.
    """
    project = Project.at(folder, store, config, network)
    project.require_store()
    settings = load_settings(project.config, with_executor(changes, executor, workers))
    chosen = _chosen(settings.rebalance, features, off, dry_run)
    run = RunRecord("curate rebalance", progress)
    with run.writing(project, settings.executor):
        newest = versions.find_version(project.versions, None)
        if off:
            return _switched_off(project, newest, run)
        scene = _scene(project, newest, settings, run.progress)
        run.note(model=scene.embedded.identity)
        if features is not None:
            return _written(scene, chosen, Path(features))
        if dry_run:
            return _tried(scene, chosen, run.progress)
        return _balanced(scene, chosen, run)


def _chosen(
    settings: RebalanceSettings, features: str | Path | None, off: bool, dry_run: bool
) -> tuple[AnyStrategy, ...]:
    chosen = combination(settings.strategy)
    if features is not None:
        require_format(Path(features))
    else:
        require_pictures(chosen)
    if 0 < settings.max_per_class < settings.min_per_class:
        raise SettingsError(
            f"No class can have at least {settings.min_per_class:,} and at most {settings.max_per_class:,} pictures."
        )
    if not (chosen or off or dry_run):
        raise SettingsError(
            "No strategy is named.",
            f"Compare them: curate rebalance DIR --dry-run; then name one: {', '.join(all_strategies())}.",
        )
    return chosen


@dataclass(frozen=True)
class _Scene:
    """The training pictures of the newest version.

    table: all of it. embedded: what the model sees of it. rows: (N,) their places in `embedded`, in the order of
    `training`. unlabelled: training pictures without a label.
    """

    project: Project
    newest: Version
    settings: Settings
    table: pd.DataFrame
    embedded: Embedded
    rows: Ints
    training: Training
    unlabelled: int

    @property
    def sizes(self) -> dict[str, int]:
        """Training pictures of each class that has some."""
        return self.named(self.training.sizes(np.ones(len(self.training), bool)))

    def named(self, sizes: Ints) -> dict[str, int]:
        """By class, of those that are in training. sizes: (K,)."""
        there = np.bincount(self.training.labels, minlength=len(sizes)) > 0
        return {
            name: int(size)
            for name, size, is_there in zip(self.training.classes, sizes, there, strict=True)
            if is_there
        }

    @property
    def paths(self) -> list[str]:
        """(N,) of the training pictures."""
        return list(self.embedded.rows["path"].iloc[self.rows])


def _scene(project: Project, newest: Version, settings: Settings, progress: Progress) -> _Scene:
    table = in_order(versions.read_table(project.versions, newest))
    _require_training(table, project, newest)
    embedded = open_embedded(project, newest.name, settings, progress)
    in_train = embedded.in_split(TRAIN)
    rows = np.flatnonzero(in_train & (embedded.labels != NO_LABEL))
    if len(np.unique(embedded.labels[rows])) < 2:
        names = ", ".join(embedded.classes[label] for label in np.unique(embedded.labels[rows])) or "none"
        raise SourceError(
            f"There is nothing to balance: the classes of the training pictures of {newest.name} are {names}.",
            "It takes two. Give labels (docs/labels.md), or look at the splits: curate status " + str(project.folder),
        )
    content = embedded.rows.loc[rows, ["sha256", "path"]].sort_values(["sha256", "path"])
    rows = content.index.to_numpy(np.int64)
    training = training_of(embedded, rows, settings.rebalance.seed)
    unlabelled = int((is_training(table) & table["final_label"].isna()).sum())
    return _Scene(project, newest, settings, table, embedded, rows, training, unlabelled)


def _require_training(table: pd.DataFrame, project: Project, newest: Version) -> None:
    if "split" not in table or not table["split"].notna().any():
        raise SourceError(
            f"{newest.name} of {str(project.folder)!r} has no splits, and only training pictures may be rebalanced: "
            "what judges a model must stay as the world is.",
            f"Make some: curate split {project.folder}",
        )
    if not is_training(table).any():
        raise SourceError(
            f"No kept picture of {newest.name} of {str(project.folder)!r} is in train.",
            f"Deal them out anew: curate split {project.folder} --from-scratch",
        )


def training_of(embedded: Embedded, rows: Ints, seed: str) -> Training:
    """Some of the pictures, all of them labelled, as strategies see them. rows: (N,), best sorted by content."""
    table = embedded.rows.iloc[rows]
    return Training(
        vectors=embedded.vectors[rows],
        labels=embedded.labels[rows],
        groups=embedded.groups[rows],
        chance=np.array([_chance(seed, *names) for names in zip(table["sha256"], table["path"], strict=True)]),
        doubtful=_doubtful(table),
        classes=tuple(embedded.classes),
    )


def _chance(*words: str) -> float:
    """A number 0..1 that only these words decide."""
    digest = blake2b("\0".join(words).encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little") / 2**64


def _doubtful(table: pd.DataFrame) -> Bools:
    """(N,) whose label `curate flag` takes for wrong; none where it has not run."""
    found = np.zeros(len(table), bool)
    if "label_error" in table:
        found |= table["label_error"].fillna(False).to_numpy(bool)
    if "label_quality" in table:
        found |= (table["label_quality"].astype("float64").fillna(1) < UNLIKELY).to_numpy(bool)
    return found


def _balanced(scene: _Scene, chosen: tuple[AnyStrategy, ...], run: RunRecord) -> Rebalanced:
    made = balance(scene.training, require_pictures(chosen), scene.settings.rebalance)
    after = scene.named(epoch_sizes(scene.training, made))
    recorded = {
        **scene.settings.rebalance.model_dump(mode="json"),
        "model": scene.embedded.identity,
        "before": scene.sizes,
        "after": after,
    }
    settings = {**scene.newest.settings, "rebalance": scene.settings.rebalance.model_dump(mode="json")}
    table = _with_balance(scene, made)
    recipe = replace(scene.newest.recipe, balance=recorded)
    frozen = freeze_as(scene.project, table, run, settings, scene.newest.counts, recipe)
    return replace(_result(scene, chosen, made), version=frozen or scene.newest, is_new=frozen is not None)


def _with_balance(scene: _Scene, made: Balance) -> pd.DataFrame:
    """The whole table; what has no label or no vector counts once."""
    paths = scene.paths
    repeat = dict(zip(paths, made.repeat.tolist(), strict=True))
    weight = dict(zip(paths, made.weight.tolist(), strict=True))
    every = scene.table["path"]
    return scene.table.assign(repeat=every.map(repeat).fillna(1), weight=every.map(weight).fillna(1.0))


def _switched_off(project: Project, newest: Version, run: RunRecord) -> Rebalanced:
    table = in_order(versions.read_table(project.versions, newest))
    labels: list[str] = list(table.loc[is_training(table), "final_label"].dropna()) if "split" in table else []
    sizes = dict(sorted(Counter(labels).items()))
    table = table.drop(columns=[name for name in BALANCE if name in table])
    settings = {**newest.settings, "rebalance": RebalanceSettings().model_dump(mode="json")}
    recipe = replace(newest.recipe, balance={})
    made = freeze_as(project, table, run, settings, newest.counts, recipe) if newest.balance else None
    return Rebalanced(
        project=project,
        names=(),
        before=sizes,
        after=sizes,
        used=len(labels),
        effective=float(len(labels)),
        rare={},
        unlabelled=0,
        unseen={},
        notes=(),
        version=made or newest,
        is_new=made is not None,
    )


def _written(scene: _Scene, chosen: tuple[AnyStrategy, ...], file: Path) -> Rebalanced:
    vectors, made, source = invent(scene.training, chosen, scene.settings.rebalance)
    paths = paths_of(source, scene.paths)
    features = write_features(file, vectors, made, paths, scene.embedded.identity)
    return replace(_result(scene, chosen, made, vectors), features=features)


def _tried(scene: _Scene, chosen: tuple[AnyStrategy, ...], progress: Progress) -> Rebalanced:
    strategies = require_pictures(chosen)
    trials, judged_by = _trials(scene)
    with progress("Strategies", len(options(strategies))) as advance:
        outcomes = what_if(scene.training, trials, strategies, scene.settings.rebalance, advance)
    made = balance(scene.training, strategies, scene.settings.rebalance)
    judged = np.concatenate([one.labels for one in trials]) if trials else np.empty(0, np.int64)
    there = np.unique(scene.training.labels)
    unjudged = tuple(scene.training.classes[label] for label in there if label not in judged)
    result = replace(
        _result(scene, chosen, made),
        unjudged=unjudged,
        judged_by=judged_by if trials else "",
        outcomes=tuple(outcomes),
    )
    keep_study(scene.project, "strategies", scene.newest, as_study(result))
    return result


def _trials(scene: _Scene) -> tuple[list[Judging], str]:
    """What to judge strategies by: the validation pictures, else folds of the training pictures."""
    embedded = scene.embedded
    judges = np.flatnonzero(embedded.in_split(VAL) & (embedded.labels != NO_LABEL))
    trials = by_validation(scene.training, embedded.vectors[judges], embedded.labels[judges], embedded.groups[judges])
    if trials and len(np.unique(trials[0].labels)) > 1:
        return trials, "val"
    return by_folds(scene.training), "folds"


def _result(scene: _Scene, chosen: tuple[AnyStrategy, ...], made: Balance, of: Training | None = None) -> Rebalanced:
    """of: what was balanced, where it is not the training pictures."""
    training = of or scene.training
    different = scene.training.different(np.ones(len(scene.training), bool))
    train_rows = is_training(scene.table)
    unseen = {
        path: why for path, why in scene.embedded.failures.items() if path in set(scene.table.loc[train_rows, "path"])
    }
    return Rebalanced(
        project=scene.project,
        names=tuple(one.name for one in chosen),
        before=scene.sizes,
        after=scene.named(epoch_sizes(training, made)),
        used=int(made.used.sum()),
        effective=effective_size(made),
        rare={scene.training.classes[one]: int(different[one]) for one in np.flatnonzero(scene.training.rare)},
        unlabelled=scene.unlabelled,
        unseen=unseen,
        notes=made.notes,
        version=scene.newest,
        is_new=False,
    )


def as_study(result: Rebalanced) -> dict[str, Any]:
    """The what-if table as plain data, for the report."""
    return {
        "judged_by": result.judged_by,
        "unjudged": list(result.unjudged),
        "rare": result.rare,
        "outcomes": [asdict(one) | {"verdict": one.verdict} for one in result.outcomes],
    }
