"""`normalize`: the kept pictures of the newest version in one size, format and colour space, as the next version.

A picture is transformed once per content and transform; what is there already is not touched again. The source is
only read. Later commands keep the transform: pictures that come later are named until they are normalized as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate import versions
from curate.errors import SettingsError, SourceError
from curate.executors import executor_for
from curate.normalizing import Outputs, normalize_pictures, outputs_of
from curate.pipeline import freeze_as, in_order
from curate.progress import Progress, silent
from curate.project import Project
from curate.run_record import RunRecord
from curate.settings import ExecutorSettings, load_settings, with_executor
from curate.transform import Transform
from curate.versions import Version

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Normalized:
    """What `normalize` did.

    transform: None where the version refers to the source pictures again. pictures: kept pictures that have an output.
    computed: how many of their contents were transformed now (in a dry run: would be). failures: path -> why there is
    no output. notes: path -> what was left as it is, like a broken colour profile; for those made now. version: the
    version that holds it now. is_new: whether this run made it.
    """

    project: Project
    transform: Transform | None
    pictures: int
    computed: int
    failures: dict[str, str]
    notes: dict[str, str]
    version: Version
    is_new: bool


def normalize(
    folder: str | Path,
    *,
    store: str | Path | None = None,
    config: str | Path | None = None,
    changes: Mapping[str, Any] | None = None,
    off: bool = False,
    executor: str | None = None,
    workers: int | None = None,
    network: bool = False,
    dry_run: bool = False,
    progress: Progress = silent,
) -> Normalized:
    """Make the kept pictures of the newest version uniform, and freeze that as the next version.

    changes: settings on top, for example {"normalize.size": "224"}; what neither they nor `curate.toml` say is as in
    the newest version. off: let the version refer to the source pictures again. Raises CurateError, for one when no
    size was ever given; pictures that can't be transformed are in `failures`.
    """
    project = Project.at(folder, store, config, network)
    project.require_store()
    run = RunRecord("curate normalize", progress)
    with run.writing(project):
        newest = versions.find_version(project.versions, None)
        transform = None if off else _chosen(project, newest, changes)
        where = load_settings(project.config, with_executor(changes, executor, workers)).executor
        table = in_order(versions.read_table(project.versions, newest))
        kept = _kept(table, project)
        if dry_run:
            return _would(project, newest, kept, transform)
        run.executor(where)
        outputs = _made(kept, project, transform, where, run.progress)
        settings = {**newest.settings, "normalize": transform.model_dump(mode="json") if transform else {}}
        recipe = replace(newest.recipe, transform=transform.as_dict() if transform else {})
        made = freeze_as(project, table, run, settings, newest.counts, recipe)
    have = int(kept["sha256"].isin(outputs.table.index).sum()) if outputs else 0
    return Normalized(
        project=project,
        transform=transform,
        pictures=have,
        computed=outputs.computed if outputs else 0,
        failures=outputs.failures if outputs else {},
        notes=outputs.notes if outputs else {},
        version=made or newest,
        is_new=made is not None,
    )


def _chosen(project: Project, newest: Version, changes: Mapping[str, Any] | None) -> Transform:
    """Options over curate.toml over the newest version's transform. Raises SettingsError when nobody gives a size."""
    before = {f"normalize.{name}": value for name, value in newest.transform.items() if name in Transform.model_fields}
    in_file = load_settings(project.config).normalize
    written = {f"normalize.{name}": getattr(in_file, name) for name in in_file.model_fields_set}
    transform: Transform = load_settings(project.config, {**before, **written, **(changes or {})}).normalize
    if not transform.size:
        raise SettingsError(
            "Nobody has said which size the pictures should have.",
            f"For example: curate normalize {project.folder} --size 224",
        )
    return transform


def _kept(table: pd.DataFrame, project: Project) -> pd.DataFrame:
    kept = table[table["keep"]]
    if kept.empty:
        raise SourceError(
            f"No picture of {str(project.folder)!r} is kept, so there is nothing to normalize.",
            f"See why: curate report {project.folder}",
        )
    return kept


def _would(project: Project, newest: Version, kept: pd.DataFrame, transform: Transform | None) -> Normalized:
    contents = kept["sha256"].unique().tolist()
    have = outputs_of(project, transform, contents).index if transform else contents
    return Normalized(project, transform, len(kept), len(contents) - len(have), {}, {}, newest, is_new=False)


def _made(
    kept: pd.DataFrame, project: Project, transform: Transform | None, where: ExecutorSettings, progress: Progress
) -> Outputs | None:
    if transform is None:
        return None
    rows = kept[["path", "sha256", "size_bytes"]]
    return normalize_pictures(rows, project, transform, executor_for(where), progress)
