"""The flow on one screen: from a folder to a version.

folder ── scan ─▶ labels ─▶ measure ─▶ relate ─▶ opinions ─▶ judge ─▶ decide ─▶ commit
adds      path    label     sha256     pairs     pred_*      flags    keep      versions/…
          size              facts                label_*     findings reasons

`look` goes as far as pixels decide, `conclude` does the rest, which is table arithmetic. `clean` is both and a
version; `prelabel` and `flag` (`curate.modelling`) form new opinions in between.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate.all_cores import as_chosen
from curate.cache import Cache
from curate.checks import all_checks
from curate.decisions import Decision, decide, given_labels, stale_decisions
from curate.errors import SourceError
from curate.executors import Executor, executor_for
from curate.objects import keep_objects
from curate.opinions import Opinions, read_opinions, with_opinions
from curate.progress import Progress, silent
from curate.project import Project
from curate.relations import Relations
from curate.review_log import read_log
from curate.run_record import RunRecord
from curate.settings import Settings, as_dict, load_settings, with_executor
from curate.stages.balance import unbalanced, with_balance
from curate.stages.judge import judge
from curate.stages.labels import IMPORTED, add_labels
from curate.stages.measure import Effort, measure
from curate.stages.normalize import pixels_of, recorded_transform, with_outputs
from curate.stages.relate import relate
from curate.stages.scan import Scan, scan_source
from curate.stages.split import with_splits
from curate.summary import count, count_splits
from curate.unchanged import Outcome, inputs_of, recall, remember
from curate.versions import NOTHING_MADE, Recipe, Version, commit, head

if TYPE_CHECKING:
    import pandas as pd


# Among a version's counts: kept pictures that its transform was not applied to yet; that were not dealt to a split yet;
# training pictures that came, or were relabelled, since it was balanced.
UNNORMALIZED, UNSPLIT, UNBALANCED = WAITING = "unnormalized", "unsplit", "unbalanced"


@dataclass(frozen=True)
class Cleaned:
    """What `clean` did.

    make_table: gives the `table`. version: the version that holds it now. is_new: whether it was made by this run
    (False: nothing changed, or a dry run). stale: decisions of people on pictures that are gone or changed.
    """

    project: Project
    settings: Settings
    make_table: Callable[[], pd.DataFrame] = field(repr=False)
    counts: dict[str, Any]
    scan: Scan
    effort: Effort
    stale: int
    version: Version | None
    is_new: bool

    @cached_property
    def table(self) -> pd.DataFrame:
        """The whole manifest. Where nothing had changed it is built when it is first asked for."""
        return self.make_table()


def clean(
    folder: str | Path,
    *,
    store: str | Path | None = None,
    config: str | Path | None = None,
    changes: Mapping[str, Any] | None = None,
    executor: str | None = None,
    workers: int | None = None,
    network: bool = False,
    dry_run: bool = False,
    progress: Progress = silent,
) -> Cleaned:
    """Scan, measure and judge a folder of images, and freeze the outcome as a version.

    changes: settings on top of `curate.toml`, dotted key -> value. workers: processes, None = one per core.
    Raises CurateError; faulty pictures are rows of the table, not errors.
    """
    project = Project.at(folder, store, config, network)
    settings = load_settings(project.config, with_executor(changes, executor, workers))
    return clean_project(project, settings, RunRecord("curate clean", progress), dry_run=dry_run)


def clean_project(project: Project, settings: Settings, run: RunRecord, *, dry_run: bool = False) -> Cleaned:
    """As `clean`, for whichever command this run is."""
    scan = scan_of(project, run.progress)
    _require_files(scan, project)
    with run.writing(project, settings.executor):
        log = read_log(project.review_log)
        inputs = inputs_of(project, settings, scan, log)
        known = recall(project, inputs)
        if known is not None:
            return _unchanged(project, settings, run, scan, log, known)
        look = look_at(project, settings, scan, executor_for(settings.executor), run.progress)
        run.note(opened=look.effort.opened)
        opinions = read_opinions(project.cache)
        table = conclude(look, settings, log, opinions, run.progress)
        outcome = Outcome(count(table) | summaries(opinions), len(stale_decisions(table, log)))
        made = None if dry_run else freeze(project, table, run, settings, outcome.counts)
        if look.effort.settled and not dry_run:
            remember(project, inputs, outcome)
        return Cleaned(
            project=project,
            settings=settings,
            make_table=lambda: table,
            **vars(outcome),
            scan=scan,
            effort=look.effort,
            version=made or head(project.versions),
            is_new=made is not None,
        )


def _unchanged(
    project: Project, settings: Settings, run: RunRecord, scan: Scan, log: Sequence[Decision], known: Outcome
) -> Cleaned:
    """What `clean` says when everything is as it was when the newest version was frozen."""

    def make_table() -> pd.DataFrame:
        look = look_at(project, settings, scan, executor_for(settings.executor), silent)
        return conclude(look, settings, log, read_opinions(project.cache))

    run.note(opened=0)
    return Cleaned(
        project=project,
        settings=settings,
        make_table=make_table,
        **vars(known),
        scan=scan,
        effort=Effort(settled=True),
        version=head(project.versions),
        is_new=False,
    )


@dataclass(frozen=True)
class Look:
    """What the pixels say. measured: one row per file with its facts. relations: by check, see `relate`."""

    measured: pd.DataFrame
    relations: Mapping[str, Relations]
    effort: Effort


def scan_of(project: Project, progress: Progress = silent) -> Scan:
    """Every file of the project's folder."""
    with progress("Scanning", 0) as advance:
        scan = scan_source(project.folder)
        advance(len(scan.rows), errors=len(scan.skipped))
    return scan


def look_at(project: Project, settings: Settings, scan: Scan, executor: Executor, progress: Progress) -> Look:
    """Facts of every file and relations between pictures, from the cache where it has them."""
    cache = Cache(project.cache)
    imported = settings.scan.labels == IMPORTED
    with progress("Reading labels", 0):
        files = add_labels(scan.table(), str(project.imported_labels) if imported else settings.scan.labels)
    measured, effort = measure(files, project.folder, cache, executor, progress)
    with as_chosen(settings.executor):
        return Look(measured, relate(measured, cache, progress), effort)


def conclude(
    look: Look,
    settings: Settings,
    log: Sequence[Decision],
    opinions: Mapping[str, Opinions],
    progress: Progress = silent,
) -> pd.DataFrame:
    """The whole manifest: what checks, models and people make of the facts."""
    table = look.measured
    with progress("Judging", 0):
        if opinions:
            table = with_opinions(table, given_labels(table, log), opinions)
        with as_chosen(settings.executor):
            table = judge(table, settings, look.relations)
    with progress("Deciding", 0):
        return in_order(decide(table, settings, log))


def summaries(opinions: Mapping[str, Opinions]) -> dict[str, Any]:
    """What the opinions say of the whole data set, as an entry of a version's counts; empty without opinions."""
    return {"opinions": {command: one.summary for command, one in opinions.items()}} if opinions else {}


def freeze(
    project: Project, table: pd.DataFrame, run: RunRecord, settings: Settings, counts: dict[str, Any]
) -> Version | None:
    """The table as the next version; None if it is that of the newest one.

    Pictures stay normalized, split and balanced as they are in the newest one; those that came since have to be so
    as well.
    """
    with run.progress("Keeping originals", 0):
        keep_objects(project, table, settings.versions.keep_bytes)
    newest = head(project.versions)
    recipe = newest.recipe if newest else NOTHING_MADE
    return freeze_as(project, without_verdicts(table), run, as_dict(settings), counts, recipe)


def freeze_as(
    project: Project,
    table: pd.DataFrame,
    run: RunRecord,
    settings: dict[str, Any],
    counts: dict[str, Any],
    recipe: Recipe,
) -> Version | None:
    """As `freeze`, with the splits, balance and normalized pictures of this recipe; `pixels` are computed anew."""
    transform = recorded_transform(recipe.transform)
    with run.progress("Splits and pixels", 0):
        table = with_balance(with_splits(table, project, recipe.splits), project, recipe.balance)
        table = with_outputs(table, project, transform)
        recipe = replace(recipe, pixels=pixels_of(table, project, transform))
    counts = {name: value for name, value in counts.items() if name not in (*WAITING, "splits")}
    if "split" in table:
        counts["splits"] = count_splits(table)
    if transform is not None:
        counts[UNNORMALIZED] = int((table["keep"] & table["output_sha256"].isna()).sum())
    if recipe.splits:
        counts[UNSPLIT] = int((table["keep"] & table["split"].isna()).sum())
    if "repeat" in table:
        counts[UNBALANCED] = unbalanced(table)
    return commit_run(project, table, run, settings, counts, recipe=recipe)


def commit_run(
    project: Project,
    table: pd.DataFrame,
    run: RunRecord,
    settings: dict[str, Any],
    counts: dict[str, Any],
    restores: int | None = None,
    recipe: Recipe = NOTHING_MADE,
) -> Version | None:
    """As `commit`, with the record of the run that makes the version."""
    with run.progress("Committing", 0):
        made = commit(project.versions, table, run.command, settings, counts, restores, recipe, run.so_far)
    run.version = made.name if made else None
    return made


def without_verdicts(table: pd.DataFrame) -> pd.DataFrame:
    """Without the boolean column of each check, as `flags` says the same; `label_error` stays once it was judged."""
    judged = {"label_error"} if "label_quality" in table else set[str]()
    return table.drop(columns=[name for name in all_checks() if name in table and name not in judged])


def _require_files(scan: Scan, project: Project) -> None:
    if not scan.rows:
        first = next((f" {path!r} was skipped: {why}." for path, why in scan.skipped.items()), "")
        raise SourceError(f"There is no file in {str(project.folder)!r}.{first}", "Give a folder that contains images.")


# The columns people look at first; the rest follows in the order in which it was written.
FIRST_COLUMNS = (
    "path",
    "keep",
    "reasons",
    "flags",
    "label",
    "final_label",
    "pred_label",
    "pred_confidence",
    "label_quality",
    "label_error",
    "suggested_label",
    "split",
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
