"""`prove`: did it help? A quick model learns from two versions, and both are judged by the same test pictures.

See `curate.contest` for who learns from what and who judges, `curate.comparing` for how differences and their intervals
are computed, `curate.ranking` for what wrong test labels do. Nothing is changed; the result is kept for the report.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from curate import versions
from curate.class_figures import Figures, figures_of
from curate.comparing import Comparison, Difference, compare, without_doubt
from curate.contest import Contest, Learner, asked_again, linear_probe, meet
from curate.embedded import Embedded, open_embedded
from curate.errors import SettingsError, SourceError
from curate.progress import Progress, silent
from curate.project import Project
from curate.ranking import SURELY_WRONG, Doubt, Ranking, doubt_of, rank
from curate.settings import Settings, settings_of_version, with_executor
from curate.studies import keep_study
from curate.versions import Version

if TYPE_CHECKING:
    import pandas as pd

REPEATS = 20  # the spread over 20 repeats is off by 16 % (1 / sqrt(2 x 19)), which Student's t allows for
NETWORK_REPEATS = 5  # of minutes each
FEWEST_REPEATS = 2
FEW_PICTURES = 30  # fewer test pictures of one class: one picture is 3 points of its recall or more
PROBE, NETWORK = "linear probe", "small network"


@dataclass(frozen=True)
class Proof:
    """What `prove` found: a is the version before, b the one after.

    labels_of: the version that the test labels are of. model: what the pictures were seen through. differing: how many
    of the test labels are others in the other version. doubt: what is known of the test labels. figures: of the model
    that learnt from b, class by class. ranking: of several models that learnt from b. notes: what else people should
    know, one sentence each.
    """

    project: Project
    a: Version
    b: Version
    labels_of: Version
    learner: str
    model: str
    repeats: int
    seed: int
    contest: Contest
    comparison: Comparison
    differing: int
    doubt: Doubt
    figures: Figures
    ranking: Ranking
    notes: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """The verdict in words."""
        main = self.comparison.main
        points = f"{100 * abs(main.value):.1f} points of {main.name}"
        if self.contest.is_same:
            return f"{self.a.name} and {self.b.name} teach the same: equal pictures, labels and weights."
        if main.better == "neither":
            return f"No measurable difference between {self.a.name} and {self.b.name}."
        better = self.b if main.better == "b" else self.a
        return f"{better.name} is better by {points}."

    @property
    def is_worse(self) -> bool:
        """Whether b is measurably worse than a."""
        return self.comparison.main.better == "a"

    def plain(self) -> dict[str, Any]:
        """Everything as plain data, for JSON."""
        found = self.comparison
        return {
            "a": self.a.name,
            "b": self.b.name,
            "a_id": self.a.id,
            "b_id": self.b.id,
            "learner": self.learner,
            "model": self.model,
            "repeats": self.repeats,
            "seed": self.seed,
            "learns": {side: int(one.learnt.sum()) for side, one in zip("ab", self.contest.sides, strict=True)},
            "test": self._plain_test(),
            "verdict": "same" if self.contest.is_same else found.main.better,
            "sentence": self.sentence,
            "main": found.main.name,
            "metrics": [_plain(one) for one in found.metrics],
            "recalls": [
                _plain(one) | {"pictures": count} for one, count in zip(found.recalls, found.pictures, strict=True)
            ],
            "figures": self.figures.plain(),
            "ranking": self._plain_ranking(),
            "notes": list(self.notes),
        }

    def _plain_test(self) -> dict[str, Any]:
        contest, doubt = self.contest, self.doubt
        return {
            "part": contest.part or "cross-validation",
            "labels_of": self.labels_of.name,
            "pictures": len(contest.judges),
            "groups": len(np.unique(contest.groups[contest.judges])),
            "reviewed": int(doubt.reviewed.sum()),
            "labels_differ": self.differing,
            "left_out": contest.left_out,
            "judged_by_flag": doubt.judged,
            "likely_wrong": doubt.likely_wrong,
        }

    def _plain_ranking(self) -> dict[str, Any]:
        ranking = self.ranking
        return {
            "changed_by_person": self.doubt.by_person,
            "changed_by_model": self.doubt.by_model,
            "surely_wrong": SURELY_WRONG,
            "models": [asdict(one) for one in ranking.models],
            "by_corrected": list(ranking.by_corrected),
            "flips": ranking.flips,
            "lead": [list(one) for one in ranking.lead],
        }


def _plain(one: Difference) -> dict[str, Any]:
    return asdict(one) | {"difference": one.value, "better": one.better}


def prove(
    folder: str | Path,
    a: str | None = None,
    b: str | None = None,
    *,
    store: str | Path | None = None,
    config: str | Path | None = None,
    changes: Mapping[str, Any] | None = None,
    labels_of: str | None = None,
    reviewed: bool = False,
    train_network: bool = False,
    repeats: int | None = None,
    seed: int = 0,
    executor: str | None = None,
    workers: int | None = None,
    network: bool = False,
    progress: Progress = silent,
) -> Proof:
    """Whether models that learn from version `b` know more of the same test pictures than those that learn from `a`.

    b: None = the newest version. a: None = the last one before it that teaches otherwise: other pictures, labels,
    repeats or weights. labels_of: the version whose labels judge; None = the newer of the two. reviewed: judge only by
    pictures that a person has looked at. train_network: also train the pixels, by a small network, which takes minutes.
    repeats: how often each version is learnt from with random weights, 2 or more; None = 20, or 5 of the network.
    changes: settings on top, for example {"models.backbone": "mobilenetv2.onnx"}.
    Raises CurateError, for one when the versions have no test picture in common.
    """
    project = Project.at(folder, store, config, network)
    project.require_store()
    times = repeats or (NETWORK_REPEATS if train_network else REPEATS)
    if times < FEWEST_REPEATS or seed < 0:
        raise SettingsError(
            f"repeats = {times} and seed = {seed} do not fit.", "Expected 2 repeats or more, and a seed of 0 or more."
        )
    with project.writing("curate prove"):
        after = versions.find_version(project.versions, b)
        before = versions.find_version(project.versions, a) if a else last_different(project, after)
        if before.number == after.number:
            raise SettingsError(f"{before.name} is compared with itself.", f"See: curate log {project.folder}")
        judging = _judging_version(project, before, after, labels_of)
        settings = settings_of_version(after.settings, project.config, with_executor(changes, executor, workers))
        scene = _scene(project, settings, before, after, judging, reviewed, progress)
        found = _compared(scene, train_network, times, seed, progress)
        keep_study(project, "proof", after, found.plain())
        return found


@dataclass(frozen=True)
class _Scene:
    """judge: the kept rows of the version whose labels judge."""

    project: Project
    a: Embedded
    b: Embedded
    judging: Version
    judge: pd.DataFrame
    contest: Contest
    reviewed: bool


def last_different(project: Project, after: Version) -> Version:
    """The newest version before `after` that teaches otherwise. Raises SourceError when there is none."""
    taught = _taught(versions.read_decisions(project.versions, after))
    earlier = [one for one in versions.read_versions(project.versions) if one.number < after.number]
    for one in reversed(earlier):
        if _taught(versions.read_decisions(project.versions, one)) != taught:
            return one
    raise SourceError(
        f"No version before {after.name} has other pictures, labels or weights: there is nothing to compare it with.",
        f"See: curate log {project.folder}",
    )


def _taught(rows: pd.DataFrame) -> set[tuple[object, ...]]:
    """What training may see of a version: contents, labels, repeats and weights; the splits aside."""
    kept = rows[rows["keep"]]
    columns = [kept["sha256"], kept["final_label"].fillna("")]
    columns += [kept[name].fillna(1).astype("float64") for name in ("repeat", "weight") if name in kept]
    ones = [1.0] * len(kept)
    return set(zip(*columns, *[ones] * (4 - len(columns)), strict=True))


def _judging_version(project: Project, before: Version, after: Version, labels_of: str | None) -> Version:
    if labels_of is not None:
        return versions.find_version(project.versions, labels_of)
    return max(before, after, key=lambda one: one.number)


def _scene(
    project: Project,
    settings: Settings,
    before: Version,
    after: Version,
    judging: Version,
    reviewed: bool,
    progress: Progress,
) -> _Scene:
    sides = [open_embedded(project, one.name, settings, progress) for one in (before, after)]
    table = versions.read_table(project.versions, judging)
    judge = table[table["keep"] & table["final_label"].notna()].sort_values("path").drop_duplicates("sha256")
    if reviewed:
        judge = judge[judge["reviewed"].isin(["keep", "relabel"])]
        if judge.empty:
            raise SourceError(
                f"Nobody has reviewed a picture of {judging.name} yet.", f"Run: curate report {project.folder}"
            )
    return _Scene(project, sides[0], sides[1], judging, judge, meet(sides[0], sides[1], judge), reviewed)


def _compared(scene: _Scene, train_network: bool, repeats: int, seed: int, progress: Progress) -> Proof:
    contest = scene.contest
    learner = _network(scene, progress) if train_network else linear_probe(contest)
    with progress("Train and compare", 2 * (repeats + 1)) as advance:
        a, b = (asked_again(contest, side, learner, repeats, seed, advance) for side in contest.sides)
    judges = contest.judges
    comparison = compare(a, b, contest.truth[judges], contest.groups[judges], contest.classes, seed)
    if contest.is_same:
        comparison = without_doubt(comparison)
    shown = scene.judge.set_index("sha256", drop=False).loc[[contest.sha256[row] for row in judges]]
    doubt = doubt_of(shown)
    return Proof(
        project=scene.project,
        a=scene.a.version,
        b=scene.b.version,
        labels_of=scene.judging,
        learner=NETWORK if train_network else PROBE,
        model="" if train_network else scene.b.identity,
        repeats=repeats,
        seed=seed,
        contest=contest,
        comparison=comparison,
        differing=_differing(contest),
        doubt=doubt,
        figures=figures_of(b.said, contest.truth[judges], contest.classes, list(shown["path"])),
        ranking=rank(contest, contest.sides[1], doubt, seed),
        notes=tuple(_notes(scene, comparison, doubt)),
    )


def _differing(contest: Contest) -> int:
    """How many of the pictures that judge have another label in a than in b."""
    a, b = contest.sides
    return int((a.labels != b.labels)[contest.judges].sum())


def _network(scene: _Scene, progress: Progress) -> Learner:
    from curate.convnet import network_learner

    return network_learner(scene.contest, scene.project, (scene.a.version, scene.b.version), progress)


def _notes(scene: _Scene, comparison: Comparison, doubt: Doubt) -> list[str]:
    """What people should know before they believe the figures."""
    contest = scene.contest
    notes = []
    if not contest.part:
        notes.append(
            "Neither version has splits, so the pictures that both keep were judged by models that had not seen them "
            "(cross-validation in 5 folds). There is no test set that nobody touched: curate split makes one."
        )
    if contest.part == "val":
        notes.append(
            "No test pictures are in common, so validation pictures judge. They may have chosen models before."
        )
    for one, other in ((scene.a, scene.b), (scene.b, scene.a)):
        if contest.part and not one.has_splits:
            notes.append(
                f"{one.version.name} has no splits. It learns from all it has but what {other.version.name} holds back."
            )
        if one.failures:
            notes.append(
                f"{len(one.failures):,} pictures of {one.version.name} are gone, changed since or unreadable: "
                "they take no part."
            )
    notes += [f"{count:,} pictures do not judge: {why}." for why, count in contest.left_out.items()]
    return [*notes, *_notes_on_classes(scene, comparison), *_notes_on_labels(scene, doubt)]


def _notes_on_classes(scene: _Scene, comparison: Comparison) -> list[str]:
    contest, notes = scene.contest, []
    few = [
        contest.classes[one]
        for one, count in zip(comparison.classes, comparison.pictures, strict=True)
        if count < FEW_PICTURES
    ]
    if few:
        notes.append(
            f"{len(few):,} of {len(comparison.classes):,} classes have fewer than {FEW_PICTURES} test pictures: their "
            "recalls are rough."
        )
    used = {int(label) for side in contest.sides for label in side.labels[side.learnt]}
    absent = [contest.classes[label] for label in sorted(used) if label not in comparison.classes]
    if absent:
        notes.append(f"{len(absent):,} classes have no test picture and are not judged, like {absent[0]!r}.")
    return notes


def _notes_on_labels(scene: _Scene, doubt: Doubt) -> list[str]:
    pictures = len(scene.contest.judges)
    if not doubt.judged:
        return [f"Nobody knows how many test labels are wrong: curate flag has not run on {scene.judging.name}."]
    if not doubt.likely_wrong:
        return []
    note = (
        f"{doubt.likely_wrong:,} of {pictures:,} test labels are likely wrong by curate flag and not reviewed. A wrong "
        "test label praises models that repeat it: review them, then compare again."
    )
    return [note]
