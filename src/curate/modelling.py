"""`prelabel` and `flag`: what models say of the pictures, joined to the table and frozen as a version.

Both take the folder as the newest version sees it, form opinions (`curate.stages.prelabel`, `curate.stages.flag`),
keep them, and conclude anew. What they say is a suggestion: labels change only by a person's word, or by
`--accept`, which is recorded like one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate import versions
from curate.decisions import given_labels, new_decision
from curate.embeddings import Embeddings, embed
from curate.errors import CurateError, SourceError
from curate.executors import executor_for
from curate.grouping import readable
from curate.models import CLASSIC
from curate.opinions import Opinions, keep_opinions, read_opinions
from curate.pipeline import Look, conclude, freeze, look_at, scan_of, summaries
from curate.progress import Progress, silent
from curate.project import Project
from curate.review_log import append, read_log
from curate.run_record import RunRecord
from curate.settings import Settings, settings_of_version, with_executor
from curate.stages.flag import Outside, flag_opinions
from curate.stages.prelabel import prelabel_opinions
from curate.summary import count
from curate.versions import Version

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Modelled:
    """What `prelabel` or `flag` did.

    summary: what models say of the whole data set. table: the whole manifest, with their opinions. accepted: labels
    taken over by `--accept`.
    version: the version that holds it now. is_new: whether this run made it.
    """

    project: Project
    settings: Settings
    table: pd.DataFrame
    summary: dict[str, Any]
    accepted: int
    version: Version
    is_new: bool

    @property
    def unembedded(self) -> dict[str, str]:
        """Path -> why a kept picture could not be shown to the model."""
        failures: dict[str, str] = self.summary["unembedded"]
        return failures

    @property
    def outliers(self) -> int:
        """How many kept pictures look off-topic."""
        return int((self.table["outlier"] & self.table["keep"]).sum())


def prelabel(
    folder: str | Path,
    *,
    store: str | Path | None = None,
    config: str | Path | None = None,
    changes: Mapping[str, Any] | None = None,
    accept: bool = False,
    executor: str | None = None,
    workers: int | None = None,
    network: bool = False,
    dry_run: bool = False,
    progress: Progress = silent,
) -> Modelled:
    """Suggest labels for the unlabelled pictures, with a calibrated confidence.

    changes: settings on top of `curate.toml`, for example {"prelabel.precision": 0.99}. accept: take over, under the
    author's name, those labels that are sure enough for the stated precision; nobody has looked at them then.
    Raises CurateError, for one when there is nothing to learn from.
    """
    project, settings = _opened(Project.at(folder, store, config, network), with_executor(changes, executor, workers))
    run = RunRecord("curate prelabel", progress)
    with run.writing(project, settings.executor):
        scene = _scene(project, settings, run)
        said = prelabel_opinions(scene.kept, project.folder, scene.vectors(), scene.scores, settings)
        accepted = _accept(scene, said) if accept and not dry_run else 0
        return _concluded("prelabel", scene, said, dry_run, accepted)


def flag(
    folder: str | Path,
    *,
    store: str | Path | None = None,
    config: str | Path | None = None,
    changes: Mapping[str, Any] | None = None,
    pred_probs: str | Path | None = None,
    votes: str | Path | None = None,
    executor: str | None = None,
    workers: int | None = None,
    network: bool = False,
    dry_run: bool = False,
    progress: Progress = silent,
) -> Modelled:
    """Find likely label errors and off-topic pictures.

    pred_probs: a file of out-of-sample probabilities of your own model, see `curate.outside`, in place of ours.
    votes: a file of what several annotators said, see `curate.votes`.
    Raises CurateError, for one when there are no labels or only one class.
    """
    project, settings = _opened(Project.at(folder, store, config, network), with_executor(changes, executor, workers))
    run = RunRecord("curate flag", progress)
    with run.writing(project, settings.executor):
        scene = _scene(project, settings, run)
        outside = Outside(as_path(pred_probs), as_path(votes))
        said = _flagged(scene, outside)
        if outside.pred_probs is not None:
            said.summary["pred_probs"] = str(outside.pred_probs)  # `curate run` must not put ours in place of them
        return _concluded("flag", scene, said, dry_run)


def flag_again(
    project: Project, *, executor: str | None = None, workers: int | None = None, progress: Progress = silent
) -> None:
    """Form the opinions of `flag` anew, with what people have decided since, and keep them; no version is made.

    The next version carries them, as those of `flag`.
    Raises CurateError, for one where `flag` was given a file that would be needed again.
    """
    newest = versions.find_version(project.versions, None)
    settings = settings_of_version(newest.settings, project.config, with_executor(None, executor, workers))
    run = RunRecord("curate review", progress)
    with run.writing(project, settings.executor):
        _require_no_file(read_opinions(project.cache).get("flag"), project)
        scene = _scene(project, settings, run)
        keep_opinions(project.cache, "flag", _flagged(scene, Outside()))


def _flagged(scene: _Scene, outside: Outside) -> Opinions:
    knows_things = scene.settings.models.backbone != CLASSIC
    return flag_opinions(scene.kept, scene.vectors(), outside, knows_things=knows_things, progress=scene.run.progress)


def _require_no_file(before: Opinions | None, project: Project) -> None:
    """Without the files that `flag` was given it would forget what they say, or put a weaker model in their place."""
    files = {"pred_probs": "--pred-probs", "votes": "--votes"}
    given = [option for name, option in files.items() if before is not None and before.summary.get(name)]
    if given:
        options = " ".join(f"{option} FILE" for option in given)
        raise SourceError(
            f"`curate flag` was given a file ({', '.join(given)}), without which it would judge otherwise.",
            f"Run it in a terminal, while this session is open: curate flag {project.folder} {options}",
        )


def _opened(project: Project, changes: Mapping[str, Any] | None) -> tuple[Project, Settings]:
    project.require_store()
    newest = versions.find_version(project.versions, None)
    return project, settings_of_version(newest.settings, project.config, dict(changes or {}))


@dataclass(frozen=True)
class _Scene:
    """The folder as models find it.

    opinions: the last ones; table: the manifest with them. given: labels to learn from.
    """

    project: Project
    settings: Settings
    look: Look
    opinions: Mapping[str, Opinions]
    table: pd.DataFrame
    given: pd.Series[str]
    run: RunRecord

    @cached_property
    def kept(self) -> pd.DataFrame:
        """The pictures that are part of the data set, with `about` (the label, NA = none) and `group` (of copies)."""
        table = self.table.assign(about=self.given)
        kept = table[table["keep"] & readable(table)].reset_index(drop=True)
        group = kept["duplicate_group"].astype("str").fillna(kept["sha256"])
        return kept.assign(group=group.factorize()[0])

    def vectors(self) -> Embeddings:
        """The embeddings of those pictures."""
        return self._embedded(self.settings.models.backbone)

    def scores(self, model: Path) -> Embeddings:
        """What an ONNX classifier puts out for those pictures."""
        return self._embedded(f"{model}#logits")

    def _embedded(self, spec: str) -> Embeddings:
        project, executor = self.project, executor_for(self.settings.executor)
        found = embed(self.kept, project.folder, spec, project.cache, executor, self.run.progress)
        self.run.note(model=found.identity)
        if not found.sha256:
            path, why = next(iter(found.failures.items()))
            raise CurateError(
                f"The model {spec!r} could not look at any of the {len(found.failures):,} pictures; {path!r}: {why}.",
                "See what it expects: curate models describe MODEL",
            )
        return found


def _scene(project: Project, settings: Settings, run: RunRecord) -> _Scene:
    scan = scan_of(project, run.progress)
    look = look_at(project, settings, scan, executor_for(settings.executor), run.progress)
    run.note(opened=look.effort.opened)
    log = read_log(project.review_log)
    opinions = read_opinions(project.cache)
    table = conclude(look, settings, log, opinions, run.progress)
    if not (table["keep"] & readable(table)).any():
        raise SourceError(
            f"No picture of {str(project.folder)!r} is kept, so there is nothing to look at.",
            f"See why: curate report {project.folder}",
        )
    return _Scene(project, settings, look, opinions, table, given_labels(table, log), run)


def _accept(scene: _Scene, said: Opinions) -> int:
    """Record the sure pre-labels as accepted, where no person has spoken; the number of them."""
    spoken = scene.table.loc[scene.table["reviewed"].notna(), "path"]
    sure = said.rows[said.rows["pred_label"].notna() & ~said.rows["pred_abstains"].astype(bool)]
    sure = sure[~sure["path"].isin(spoken)]
    author = versions.author()
    decisions = [
        new_decision(path, sha256, "accept", author, label, f"pre-label by {by}, confidence {confidence:.3f}")
        for path, sha256, label, by, confidence in sure[
            ["path", "sha256", "pred_label", "pred_by", "pred_confidence"]
        ].itertuples(index=False)
    ]
    if decisions:
        append(scene.project.review_log, decisions)
    return len(decisions)


def _concluded(command: str, scene: _Scene, said: Opinions, dry_run: bool, accepted: int = 0) -> Modelled:
    """Keep the opinions, judge and decide with them, and make a version if that changed anything."""
    opinions = {**scene.opinions, command: said}
    table = conclude(scene.look, scene.settings, read_log(scene.project.review_log), opinions, scene.run.progress)
    newest = versions.find_version(scene.project.versions, None)
    made = None
    if not dry_run:
        keep_opinions(scene.project.cache, command, said)
        counts = count(table) | summaries(opinions)
        made = freeze(scene.project, table, scene.run, scene.settings, counts)
    return Modelled(
        project=scene.project,
        settings=scene.settings,
        table=table,
        summary=said.summary,
        accepted=accepted,
        version=made or newest,
        is_new=made is not None,
    )


def as_path(file: str | Path | None) -> Path | None:
    """A path, if one was given."""
    return Path(file) if file is not None else None
