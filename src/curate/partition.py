"""`split`: the kept pictures of the newest version into training, validation and test pictures that share nothing.

Pictures that belong together (copies, bursts, frames of a film, what the user names) stay on one side. A picture that
has a split keeps it for ever; later runs only deal out what came since. The source's own splits count as dealt.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from curate import versions
from curate.all_cores import as_chosen
from curate.belonging import Groups, belonging_groups, near_pairs
from curate.cache import Cache
from curate.captures import captures_of
from curate.checks import find_check
from curate.embeddings import embed
from curate.errors import SourceError
from curate.executors import executor_for
from curate.leakage import Leakage, audit
from curate.pipeline import freeze_as, in_order
from curate.progress import Progress, silent
from curate.project import Project
from curate.run_record import RunRecord
from curate.settings import Settings, SplitSettings, load_settings, with_executor
from curate.splitting import NO_LABEL, Assignment, assign, valid_fractions
from curate.stages.balance import BALANCE
from curate.stages.labels import PATH_COLUMNS, TEST, TRAIN, VAL, find_column, read_rows
from curate.stages.split import ASSIGNED
from curate.studies import keep_study
from curate.versions import Version

if TYPE_CHECKING:
    import pandas as pd

MOST_KEPT = 100  # pairs for the report: whoever wants all asks `curate split --audit --json`


@dataclass(frozen=True)
class Partition:
    """What `split` did.

    groups: what belongs together. assignment: where each kept picture goes; None after an audit. leakage: what the
    splits other than train share with it now. classes: names of the labels. version: the version that holds it now.
    is_new: whether this run made it.
    """

    project: Project
    groups: Groups
    assignment: Assignment | None
    leakage: Leakage
    classes: list[str]
    version: Version
    is_new: bool


def split(
    folder: str | Path,
    *,
    store: str | Path | None = None,
    config: str | Path | None = None,
    changes: Mapping[str, Any] | None = None,
    groups: str | Path | None = None,
    from_scratch: bool = False,
    audit_only: bool = False,
    executor: str | None = None,
    workers: int | None = None,
    network: bool = False,
    dry_run: bool = False,
    progress: Progress = silent,
) -> Partition:
    """Deal the kept pictures of the newest version out to splits, and freeze that as the next version.

    changes: settings on top, for example {"split.test": 0.2}. groups: a CSV, JSONL or Parquet file with path and
    columns whose equal values keep pictures together. from_scratch: deal all pictures anew, as if none had a split.
    audit_only: deal nothing; see what the splits that are there share, and what a nearest neighbour gains by it.
    Raises CurateError; SettingsError for shares that don't add up to 1.
    """
    project = Project.at(folder, store, config, network)
    project.require_store()
    run = RunRecord("curate split", progress)
    with run.writing(project):
        newest = versions.find_version(project.versions, None)
        table = in_order(versions.read_table(project.versions, newest))
        settings = load_settings(project.config, with_executor(changes, executor, workers))
        kept, chosen = _kept(table, project, settings.split, Path(groups) if groups else None)
        where = executor_for(settings.executor)
        run.executor(settings.executor)
        captures = captures_of(kept, project.folder, project.cache, where, run.progress) if chosen.burst_s else None
        near = _near_copies(kept, project, settings)
        scene = _Scene(project, run, newest, kept, belonging_groups(kept, captures, chosen, near))
        if audit_only:
            return _audited(scene, settings)
        return _dealt(scene, table, chosen, from_scratch, dry_run)


@dataclass(frozen=True)
class _Scene:
    """The kept pictures of the newest version, and what belongs together."""

    project: Project
    run: RunRecord
    newest: Version
    kept: pd.DataFrame
    groups: Groups

    @property
    def classes(self) -> list[str]:
        return sorted(self.kept["final_label"].dropna().unique())

    @property
    def labels(self) -> NDArray[np.int64]:
        """(N,) class index, NO_LABEL = none."""
        index = {name: place for place, name in enumerate(self.classes)}
        return np.array([index.get(name, NO_LABEL) for name in self.kept["final_label"]], np.int64)


def _kept(
    table: pd.DataFrame, project: Project, chosen: SplitSettings, groups: Path | None
) -> tuple[pd.DataFrame, SplitSettings]:
    """The kept rows, with the columns of the file of groups; and the settings, with these columns."""
    kept = table[table["keep"]].reset_index(drop=True)
    if kept.empty:
        raise SourceError(
            f"No picture of {str(project.folder)!r} is kept, so there is nothing to split.",
            f"See why: curate report {project.folder}",
        )
    if groups is None:
        return kept, chosen
    rows = read_rows(groups)
    path = find_column(rows, PATH_COLUMNS, groups)
    columns = [name for name in rows.columns if name != path and name not in kept]
    if not columns:
        raise SourceError(f"{str(groups)!r} has no column beside {path!r}.", "Add one like patient, site or session.")
    named = rows.rename(columns={path: "path"})[["path", *columns]].drop_duplicates("path")
    return kept.merge(named, on="path", how="left"), chosen.model_copy(update={"by": (*chosen.by, *columns)})


def _near_copies(kept: pd.DataFrame, project: Project, settings: Settings) -> list[tuple[int, int]]:
    """Pairs of rows that look alike, as the last `clean` found them; none where its cache was deleted."""
    check = find_check("near_duplicate")
    relations = Cache(project.cache).relations(check.relating)
    if relations is None:
        return []
    return near_pairs(kept, relations, settings.of(check.name).model_dump()["min_similarity"])


def _dealt(scene: _Scene, table: pd.DataFrame, chosen: SplitSettings, from_scratch: bool, dry_run: bool) -> Partition:
    kept = scene.kept
    fractions = valid_fractions({TRAIN: chosen.train, VAL: chosen.val, TEST: chosen.test})
    before = [None] * len(kept) if from_scratch else _before(kept)
    identities = kept["sha256"].tolist()
    assignment = assign(scene.groups.ids, scene.labels, identities, fractions, before, chosen.seed)
    leakage = audit(kept, assignment.splits, scene.groups.ids, None, scene.labels)
    made = None
    if not dry_run:
        assigned = dict(zip(kept["path"], assignment.splits, strict=True))
        earlier = table[ASSIGNED] if ASSIGNED in table and not from_scratch else None
        new = table["path"].map(assigned)
        table = table.drop(columns=[name for name in BALANCE if name in table])  # what comes to train has none yet
        table = table.assign(**{ASSIGNED: (new if earlier is None else new.fillna(earlier)).astype("str")})
        recorded = {name: value for name, value in chosen.model_dump(mode="json").items() if value != ()}
        recipe = replace(scene.newest.recipe, splits=recorded)
        settings = {**scene.newest.settings, "split": recorded}
        made = freeze_as(scene.project, table, scene.run, settings, scene.newest.counts, recipe)
        _keep_leakage(scene.project, made or scene.newest, leakage)
    return Partition(
        scene.project, scene.groups, assignment, leakage, scene.classes, made or scene.newest, made is not None
    )


def _before(kept: pd.DataFrame) -> list[str | None]:
    """The split that each picture has: by an earlier run, else by the source."""
    name = next((one for one in (ASSIGNED, "given_split") if one in kept), None)
    if name is None:
        return [None] * len(kept)
    return [value if isinstance(value, str) else None for value in kept[name]]


def _audited(scene: _Scene, settings: Settings) -> Partition:
    kept, project = scene.kept, scene.project
    if "split" not in kept or kept["split"].isna().all():
        raise SourceError(
            f"{scene.newest.name} of {str(project.folder)!r} has no splits to look through.",
            f"Make some: curate split {project.folder}",
        )
    where = executor_for(settings.executor)
    found = embed(kept, project.folder, settings.models.backbone, project.cache, where, scene.run.progress)
    scene.run.note(model=found.identity)
    vectors = np.zeros((len(kept), found.vectors.shape[1]), np.float32)
    seen = found.has(kept["sha256"].tolist())
    vectors[seen] = found.of(kept["sha256"][seen].tolist())
    splits = [value if isinstance(value, str) else None for value in kept["split"]]
    with as_chosen(settings.executor):
        leakage = audit(kept, splits, scene.groups.ids, vectors, scene.labels)
    _keep_leakage(project, scene.newest, leakage)
    return Partition(project, scene.groups, None, leakage, scene.classes, scene.newest, is_new=False)


def _keep_leakage(project: Project, version: Version, leakage: Leakage) -> None:
    pairs = leakage.pairs.head(MOST_KEPT).to_dict("records")
    splits = [one.as_dict() for one in leakage.splits]
    keep_study(project, "leakage", version, {"splits": splits, "pairs": pairs, "note": leakage.note})
