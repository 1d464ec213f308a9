"""`clean`: from a folder to a version, the flow on one screen.

folder ── scan ─▶ labels ─▶ measure ─▶ relate ─▶ judge ─▶ decide ─▶ commit
adds      path    label     sha256     pairs      flags    keep      versions/…
          size              facts                 findings reasons
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate.cache import Cache
from curate.decisions import decide, read_log, stale_decisions
from curate.errors import SourceError
from curate.executors import executor_for
from curate.objects import keep_objects
from curate.progress import Progress, silent
from curate.project import Project
from curate.settings import Settings, as_dict, load_settings
from curate.stages.judge import judge
from curate.stages.labels import add_labels
from curate.stages.measure import Effort, measure
from curate.stages.relate import relate
from curate.stages.scan import Scan, scan_folder
from curate.summary import count
from curate.versions import Version, commit, head

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Cleaned:
    """What `clean` did.

    table: the whole manifest. version: the version that holds it now. is_new: whether it was made by this run
    (False: nothing changed, or a dry run). stale: decisions of people on pictures that are gone or changed.
    """

    project: Project
    settings: Settings
    table: pd.DataFrame
    counts: dict[str, Any]
    scan: Scan
    effort: Effort
    stale: int
    version: Version | None
    is_new: bool


def clean(
    folder: str | Path,
    *,
    store: str | Path | None = None,
    config: str | Path | None = None,
    changes: Mapping[str, Any] | None = None,
    workers: int | None = None,
    dry_run: bool = False,
    progress: Progress = silent,
) -> Cleaned:
    """Scan, measure and judge a folder of images, and freeze the outcome as a version.

    changes: settings on top of `curate.toml`, dotted key -> value. workers: processes, None = one per core.
    Raises CurateError; faulty pictures are rows of the table, not errors.
    """
    project = Project.at(folder, store, config)
    settings = load_settings(project.config, dict(changes or {}))
    scan = scan_folder(project.folder)
    _require_files(scan, project)
    with project.writing("curate clean"):
        cache = Cache(project.cache)
        files = add_labels(scan.table(), settings.scan.labels)
        table, effort = measure(files, project.folder, cache, executor_for(workers), progress)
        table = judge(table, settings, relate(table, cache, progress))
        log = read_log(project.review_log)
        table = in_order(decide(table, settings, log))
        counts = count(table)
        made = None if dry_run else _freeze(project, table, settings, counts)
        version = made or head(project.versions)
        return Cleaned(
            project,
            settings,
            table,
            counts,
            scan,
            effort,
            len(stale_decisions(table, log)),
            version,
            made is not None,
        )


def _require_files(scan: Scan, project: Project) -> None:
    if not scan.rows:
        first = next((f" {path!r} was skipped: {why}." for path, why in scan.skipped.items()), "")
        raise SourceError(f"There is no file in {str(project.folder)!r}.{first}", "Give a folder that contains images.")


def _freeze(project: Project, table: pd.DataFrame, settings: Settings, counts: dict[str, Any]) -> Version | None:
    keep_objects(project, table, settings.versions.keep_bytes)
    frozen = table.drop(columns=[name for name in table.columns if table[name].dtype == bool and name != "keep"])
    return commit(project.versions, frozen, "curate clean", as_dict(settings), counts)


# The columns people look at first; the rest follows in the order in which it was written.
FIRST_COLUMNS = (
    "path",
    "keep",
    "reasons",
    "flags",
    "label",
    "final_label",
    "format",
    "width",
    "height",
    "size_bytes",
    "read_error",
)


def in_order(table: pd.DataFrame) -> pd.DataFrame:
    """The same table, sorted by path, the most telling columns first."""
    first = [name for name in FIRST_COLUMNS if name in table.columns]
    rest = [name for name in table.columns if name not in first]
    return table[first + rest].sort_values("path", ignore_index=True)
