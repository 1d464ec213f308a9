"""`drift`: has the data changed? Two versions, splits or folders, compared in what matters for a model.

See `curate.drift_sides` for what is compared, `curate.drift_questions` for what is asked, `curate.two_samples` for the
tests, `curate.fixed_model` for what becomes of a model that stays as it is. Nothing is changed; the result is kept for
the report.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from curate import versions
from curate.all_cores import as_chosen
from curate.drift_questions import (
    KEYS,
    TITLES,
    Pictures,
    Question,
    answer,
    ask_embedding,
    ask_facts,
    ask_labels,
    ask_new,
)
from curate.drift_sides import Floats, Means, Side, embedded, side_named, side_of_version
from curate.errors import SettingsError, SourceError
from curate.executors import executor_for
from curate.fixed_model import FixedModel, answers_of, ask_concept, learn, predicted
from curate.progress import Progress, silent
from curate.project import Project
from curate.settings import settings_of_version, with_executor
from curate.studies import keep_study
from curate.versions import Version

ALPHA = 0.05
# The least effect that counts as drift, of 1: of 10,000 pictures a delta of .03 is no luck, and harms no model.
MIN_EFFECT = 0.05
Compared = Literal["both", "what came", "what went", "labels"]


@dataclass(frozen=True)
class Drift:
    """What `drift` found. a, b: the sides as they were compared, with the rows that were.

    compared: "both" sides whole; "what came" to B with A; "what went" from A with the rest; "labels" alone, as the
    pictures are the same. common: pictures that both have; relabelled: those of them with another label.
    """

    project: Project
    a: Side
    b: Side
    independent: tuple[int, int]
    compared: Compared
    common: int
    relabelled: int
    model: str
    questions: tuple[Question, ...]
    fixed_model: FixedModel | None
    alpha: float
    min_effect: float
    seed: int
    notes: tuple[str, ...]

    @property
    def found(self) -> list[Question]:
        """The questions that tell of drift."""
        return [one for one in self.questions if one.verdict == "drift"]

    @property
    def sentence(self) -> str:
        """The verdict in words."""
        if not self.found:
            return f"No drift from {self.a.name} to {self.b.name} at the level {self.alpha:g}."
        words = {"facts": "looks", "classes": "looks of classes", "embedding": "content", "labels": "mix of classes"}
        words |= {"new": "new kinds", "concept": "meaning of labels"}
        return f"Drift from {self.a.name} to {self.b.name}: {', '.join(words[one.key] for one in self.found)}."

    def plain(self) -> dict[str, Any]:
        """Everything as plain data, for JSON."""
        return {
            "a": _plain_side(self.a, self.independent[0]),
            "b": _plain_side(self.b, self.independent[1]),
            "compared": self.compared,
            "common": self.common,
            "relabelled": self.relabelled,
            "model": self.model,
            "alpha": self.alpha,
            "min_effect": self.min_effect,
            "seed": self.seed,
            "drift": bool(self.found),
            "sentence": self.sentence,
            "questions": [{"title": one.title, **asdict(one)} for one in self.questions],
            "fixed_model": self.fixed_model.plain() if self.fixed_model else None,
            "notes": list(self.notes),
        }


def _plain_side(side: Side, independent: int) -> dict[str, Any]:
    version = side.version
    return {
        "name": side.name,
        "kind": side.kind,
        "version": version.name if version else "",
        "version_id": version.id if version else "",
        "folder": str(side.project.folder),
        "pictures": len(side.rows),
        "independent": independent,
        "labelled": int(side.rows["final_label"].notna().sum()),
    }


def drift(
    folder: str | Path,
    a: str | None = None,
    b: str | None = None,
    *,
    store: str | Path | None = None,
    config: str | Path | None = None,
    changes: Mapping[str, Any] | None = None,
    labels: str | Path | None = None,
    predictions: str | Path | None = None,
    whole: bool = False,
    alpha: float = ALPHA,
    min_effect: float = MIN_EFFECT,
    seed: int = 0,
    executor: str | None = None,
    workers: int | None = None,
    network: bool = False,
    progress: Progress = silent,
) -> Drift:
    """Whether the pictures of `b` come from the same source as those of `a`, and whether labels still mean the same.

    a, b: versions (v3, a tag, head), splits (train, v3:train) or folders of pictures; b: None = the newest version;
    a: None = the last one before it with other pictures. labels: a file with labels of a folder `b` that became known
    later. predictions: a file of what a fixed model of your own says, see `curate.fixed_model`. whole: compare all of
    b, also where it holds a; else what came since. alpha: the chance of an alarm if nothing has changed.
    min_effect: the least effect that counts as drift, 0..1. Raises CurateError.
    """
    require_shares(alpha=alpha, min_effect=min_effect)
    project = Project.at(folder, store, config, network)
    project.require_store()
    newest = versions.find_version(project.versions, None)
    settings = settings_of_version(newest.settings, project.config, with_executor(changes, executor, workers))
    with project.writing("curate drift"), as_chosen(settings.executor):
        means = Means(project, settings, executor_for(settings.executor), progress, network)
        side_b = side_named(b, means, Path(labels) if labels else None)
        side_a = side_named(a, means) if a else _side_before(side_b, means)
        if side_a.name == side_b.name:
            raise SettingsError(f"{side_a.name} is compared with itself.", f"See: curate log {project.folder}")
        meeting = meet(side_a, side_b, whole=whole)
        found = compare(meeting, means, alpha, min_effect, seed, Path(predictions) if predictions else None)
        keep_study(project, "drift", side_b.version or newest, found.plain())
        return found


def require_shares(**values: float) -> None:
    """Raises SettingsError for what is no share."""
    for name, value in values.items():
        if not 0 <= value < 1 or (name == "alpha" and value == 0):
            raise SettingsError(f"{name} = {value:g} does not fit.", "Expected a number above 0 and below 1.")


def _side_before(side: Side, means: Means) -> Side:
    """The last version with other pictures than those of `side`. Raises SourceError when there is none."""
    last = side.version.number if side.version else None
    project = means.project
    contents = set(side.rows["sha256"])
    for one in reversed(versions.read_versions(project.versions)):
        if last is None:
            return side_of_version(one, "", means)
        if one.number < last and _kept_contents(project, one) != contents:
            return side_of_version(one, "", means)
    raise SourceError(
        f"No version before {side.name} has other pictures: there is nothing to compare it with.",
        f"See: curate log {project.folder}",
    )


def _kept_contents(project: Project, version: Version) -> set[str]:
    rows = versions.read_decisions(project.versions, version)
    return set(rows.loc[rows["keep"], "sha256"].dropna())


# ---- What is compared with what


@dataclass(frozen=True)
class Meeting:
    """Two sides as they are compared; see `Drift`."""

    a: Side
    b: Side
    compared: Compared
    common: int
    relabelled: int
    notes: tuple[str, ...]


def meet(a: Side, b: Side, *, whole: bool = False) -> Meeting:
    """What of two sides is compared. Where they have pictures in common, only what differs tells anything."""
    in_both = set(a.rows["sha256"]) & set(b.rows["sha256"])
    relabelled = _relabelled(a, b, in_both)
    notes = [*a.notes, *b.notes]
    if relabelled:
        notes.append(f"{relabelled:,} of the {len(in_both):,} pictures that both have were relabelled.")
    came = b.rows[~b.rows["sha256"].isin(in_both)]
    went = a.rows[~a.rows["sha256"].isin(in_both)]
    if whole or not in_both or a.kind == "folder":
        return Meeting(a, b, "both", len(in_both), relabelled, tuple(notes))
    if len(came):
        notes.append(
            f"{b.name} has {len(in_both):,} pictures of {a.name}; compared is what came since, {len(came):,} pictures. "
            "All of it: --whole."
        )
        new = replace(b.only(came), name=f"{b.name} since {a.name}")
        return Meeting(a, new, "what came", len(in_both), relabelled, tuple(notes))
    if len(went):
        notes.append(f"Nothing came to {b.name}; compared is what it lacks, {len(went):,} pictures, with what it has.")
        gone = replace(a.only(went), name=f"{a.name} without {b.name}")
        return Meeting(b, gone, "what went", len(in_both), relabelled, tuple(notes))
    notes.append(f"{a.name} and {b.name} have the same pictures; only labels can differ.")
    return Meeting(a, b, "labels", len(in_both), relabelled, tuple(notes))


def _relabelled(a: Side, b: Side, in_both: set[str]) -> int:
    labels = [
        side.rows[side.rows["sha256"].isin(in_both)].drop_duplicates("sha256").set_index("sha256")["final_label"]
        for side in (a, b)
    ]
    if b.kind == "folder" or a.kind == "folder":
        return 0
    before, after = (one.fillna("") for one in labels)
    return int((before != after.reindex(before.index)).sum())


# ---- Comparing


def compare(
    meeting: Meeting, means: Means, alpha: float, min_effect: float, seed: int, predictions: Path | None = None
) -> Drift:
    """Ask everything that can be asked of the two sides."""
    sides, vectors, identity = embedded([meeting.a, meeting.b], means)
    a, b = map(_pictures, sides, vectors)
    with means.progress("Comparing", len(KEYS)) as advance:
        asked, fixed = ask_all(a, b, seed, same_pictures=meeting.compared == "labels", predictions=predictions)
        advance(len(KEYS))
    return Drift(
        project=means.project,
        a=sides[0],
        b=sides[1],
        independent=(len(a.rows), len(b.rows)),
        compared=meeting.compared,
        common=meeting.common,
        relabelled=meeting.relabelled,
        model=identity,
        questions=tuple(_with_hints(answer(asked, alpha, min_effect))),
        fixed_model=fixed,
        alpha=alpha,
        min_effect=min_effect,
        seed=seed,
        notes=(*meeting.notes, *(note for side in sides for note in side.notes)),
    )


def pictures_of(meeting: Meeting, means: Means) -> tuple[Pictures, Pictures]:
    """What both sides show, for questions."""
    sides, vectors, _ = embedded([meeting.a, meeting.b], means)
    a, b = map(_pictures, sides, vectors)
    return a, b


def _pictures(side: Side, vectors: Floats) -> Pictures:
    """One picture of each group, the first by content."""
    first = side.rows.sort_values(["sha256", "path"]).drop_duplicates("group").index.to_numpy()
    return Pictures(side.name, side.rows.iloc[first].reset_index(drop=True), vectors[first])


def ask_all(
    a: Pictures, b: Pictures, seed: int = 0, *, same_pictures: bool = False, predictions: Path | None = None
) -> tuple[list[Question], FixedModel | None]:
    """Every question, in the order of KEYS, not yet corrected for one another; and what became of a fixed model."""
    if same_pictures:
        why = "the pictures are the same"
        asked = {key: Question(key, why=why) for key in KEYS}
        return [*(asked | {"labels": ask_labels(a, b, seed=seed)}).values()], None
    facts, classes = ask_facts(a, b, seed)
    seen_a, seen_b = a.seen, b.seen
    learnt = learn(seen_a, seen_b)
    concept, fixed = Question("concept", why="A has fewer than two classes to learn from"), None
    if predictions is not None:
        concept, fixed = ask_concept(*predicted(predictions, a, b), predictions.name, seed)
    elif learnt is not None:
        concept, fixed = ask_concept(
            *answers_of(learnt, seen_a, seen_b), f"learnt from {a.name}, and not changed since", seed
        )
    labels = ask_labels(a, b, learnt.guesses(seen_a, seen_b) if learnt else (), seed)
    embedding, new = ask_embedding(seen_a, seen_b, seed), ask_new(seen_a, seen_b, seed)
    return [facts, classes, embedding, labels, new, concept], fixed


def _with_hints(questions: Sequence[Question]) -> list[Question]:
    """What one answer means in the light of another."""
    by_key = {one.key: one for one in questions}
    facts, classes, labels = (by_key[key] for key in ("facts", "classes", "labels"))
    if facts.verdict == "drift" and classes.verdict == "drift":
        names = list(dict.fromkeys(one.label for one in classes.found))
        facts = replace(facts, words=f"{facts.words} Mostly {_few(names)}.")
    elif facts.verdict == "drift" and labels.verdict == "drift":
        facts = replace(facts, words=f"{facts.words} It may follow from the mix of classes.")
    return [facts if one.key == "facts" else one for one in questions]


def _few(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} other classes" if len(names) > 3 else "")


def titles() -> dict[str, str]:
    """Question -> its title."""
    return {key: TITLES[key] for key in KEYS}
