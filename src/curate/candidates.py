"""The pictures that may be labelled or reviewed next, what models say of them, and the ways to choose among them."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from curate import heads, selection
from curate.embedded import NO_LABEL, Embedded
from curate.errors import SourceError
from curate.lookalikes import unit_length
from curate.progress import Progress
from curate.selection import Chosen, Need, Pool
from curate.stages.labels import TEST, TRAIN
from curate.suspicion import judge_labels

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
By = Literal["combined", "uncertainty", "diversity", "class-need", "random"]
Purpose = Literal["label", "review"]
WAYS: tuple[str, ...] = get_args(By)
PURPOSES: tuple[str, ...] = get_args(Purpose)

# With fewer different labels per class the models know too little to say what they don't know, and typical pictures
# teach more. 1.5, 2, 2.5 and 3 were tried on the data sets that docs/next.md names: for a batch, 2.5 and 3 lose five
# points of balanced accuracy where classes are of very different size, 1.5 loses four where there are forty of them.
ENOUGH_PER_CLASS = 2


@dataclass(frozen=True)
class Candidates:
    """The pictures, in an order that their content decides, and what is thought of them.

    names: classes with a label that a model may learn from. labels: (N,) place among them, NO_LABEL = none or only
    accepted unseen. learned: (N,) rows that the model learned from. probabilities: (N, K), out of sample for learned
    rows; None = fewer than two classes. judged: what is thought of the labels of a review, quality (N,) NaN = nothing.
    held_back: unlabelled pictures of val and test. copies: unlabelled copies of labelled pictures.
    """

    embedded: Embedded
    rows: pd.DataFrame
    vectors: Floats
    purpose: str
    names: list[str]
    labels: Ints
    learned: Bools
    probabilities: Floats | None
    quality: Floats
    pool: Pool
    held_back: int
    copies: int

    @property
    def cold(self) -> bool:
        """Whether there is no model to ask."""
        return self.probabilities is None

    @property
    def few_labels(self) -> bool:
        """Whether the model knows too little to be asked what to look at."""
        return len(np.unique(self.pool.groups[self.learned])) < ENOUGH_PER_CLASS * len(self.names)

    @property
    def typical_first(self) -> bool:
        """Whether `combined` takes typical pictures, as there is too little to ask a model."""
        return self.cold or (self.purpose == "label" and self.few_labels)

    @property
    def sizes(self) -> Ints:
        """Different labelled pictures of each class, (K,)."""
        known = self.labels >= 0
        pairs = np.unique(np.stack([self.pool.groups[known], self.labels[known]]), axis=1)[1]
        return np.bincount(pairs, minlength=len(self.names))


def candidates_of(embedded: Embedded, purpose: str, by: str, progress: Progress) -> Candidates:
    order = embedded.rows.sort_values(["sha256", "path"]).index.to_numpy()
    rows, vectors = embedded.rows.iloc[order].reset_index(drop=True), embedded.vectors[order]
    given = _learnable(rows)
    names = sorted(given.dropna().unique())
    places = given.map({name: place for place, name in enumerate(names)})
    labels = places.fillna(NO_LABEL).to_numpy(np.int64)
    groups = rows["group"].to_numpy(np.int64)
    learned = labels >= 0
    if purpose == "label":  # what judges the model must not choose its lessons
        outside = learned & (_split(rows) != TEST).to_numpy()
        learned = outside if len(np.unique(labels[outside])) > 1 else learned
    free, held_back, copies = _free(rows, groups, purpose, by)
    _require_something(embedded, free, held_back, copies, purpose)
    probabilities = _probabilities(vectors, labels, groups, learned, len(names), progress)
    places_ = unit_length(heads.fit_projection(vectors)(vectors))
    return Candidates(
        embedded=embedded,
        rows=rows,
        vectors=vectors,
        purpose=purpose,
        names=names,
        labels=labels,
        learned=learned,
        probabilities=probabilities,
        quality=_quality(rows, labels, probabilities, groups),
        pool=Pool(places_, groups, learned if purpose == "label" else _reviewed(rows), free),
        held_back=held_back,
        copies=copies,
    )


def _learnable(rows: pd.DataFrame) -> pd.Series[str]:
    """The label of each row that a model may learn from; one accepted from a model unseen would only echo it."""
    if "reviewed" not in rows:
        return rows["final_label"]
    unseen = rows["reviewed"].fillna("") == "accept"
    found: pd.Series[str] = rows["final_label"].mask(unseen, rows["label"])
    return found


def _split(rows: pd.DataFrame) -> pd.Series[str]:
    import pandas as pd

    return rows["split"].fillna("") if "split" in rows else pd.Series("", index=rows.index)


def _reviewed(rows: pd.DataFrame) -> Bools:
    """Rows that a person has decided on."""
    if "reviewed" not in rows:
        return np.zeros(len(rows), bool)
    return (rows["reviewed"].notna() & (rows["reviewed"] != "accept")).to_numpy(bool)


def _free(rows: pd.DataFrame, groups: Ints, purpose: str, by: str) -> tuple[Bools, int, int]:
    """Which rows may be chosen, (N,); how many to label are held back in val and test; how many are mere copies."""
    has_label = rows["final_label"].notna().to_numpy(bool)
    if purpose == "review":
        return has_label & ~_reviewed(rows), 0, 0
    copies = ~has_label & np.isin(groups, groups[has_label])
    free = ~has_label & ~copies & ~_reviewed(rows)
    judging = free & (~_split(rows).isin(["", TRAIN])).to_numpy(bool) & (by != "random")
    return free & ~judging, int(judging.sum()), int(copies.sum())


def _require_something(embedded: Embedded, free: Bools, held_back: int, copies: int, purpose: str) -> None:
    if free.any():
        return
    project, version = embedded.project, embedded.version
    if purpose == "review":
        raise SourceError(
            f"No picture of {version.name} has a label that nobody has reviewed yet.",
            f"Pictures without a label: curate next {project.folder} --for label",
        )
    if held_back:
        raise SourceError(
            f"The {held_back:,} unlabelled pictures of {version.name} are all in val or test, which must stay as "
            "the world is.",
            f"Label those at random: curate next {project.folder} --by random",
        )
    if copies:
        raise SourceError(
            f"The {copies:,} unlabelled pictures of {version.name} are all copies of labelled ones.",
            f"Give them the labels of their copies: curate prelabel {project.folder}",
        )
    raise SourceError(
        f"Every kept picture of {version.name} has a label: there is nothing to label.",
        f"To check labels: curate next {project.folder} --for review",
    )


def _probabilities(
    vectors: Floats, labels: Ints, groups: Ints, learned: Bools, classes: int, progress: Progress
) -> Floats | None:
    """(N, K) out of sample for rows that the models learned from; None where they can learn nothing."""
    rows = np.flatnonzero(learned)
    present = np.unique(labels[rows])
    if len(present) < 2:
        return None
    found = np.zeros((len(vectors), classes), np.float32)
    known = np.searchsorted(present, labels[rows])
    with progress("Learning from labels", heads.rounds(len(rows))) as advance, warnings.catch_warnings():
        # scikit-learn takes few pictures of many classes for a regression and says so.
        warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)
        fitted = heads.fit(vectors[rows], known, groups[rows], len(present), advance=advance)
    found[np.ix_(rows, present)] = fitted.out_of_sample.calibrated
    others = np.flatnonzero(~learned)
    if len(others):
        found[np.ix_(others, present)] = fitted.predict(vectors[others])
    return found


def _quality(rows: pd.DataFrame, labels: Ints, probabilities: Floats | None, groups: Ints) -> Floats:
    """(N,) how probable it is that the label is right: by `curate flag` where it has spoken, else by our own models."""
    quality = np.full(len(rows), np.nan, np.float32)
    known = np.flatnonzero(labels >= 0)
    if probabilities is not None:
        quality[known] = judge_labels(labels[known], probabilities[known], groups[known]).quality
    if "label_quality" in rows:
        flagged = rows["label_quality"].to_numpy(np.float32, na_value=np.nan)
        quality = np.where(np.isfinite(flagged), flagged, quality)
    return quality


# ---- Choosing


def choose(scene: Candidates, by: str, count: int) -> Chosen:
    """The next rows. Raises SourceError where the way asked needs a model and there is none."""
    return _choose_for_review(scene, by, count) if scene.purpose == "review" else _choose_to_label(scene, by, count)


def _choose_to_label(scene: Candidates, by: str, count: int) -> Chosen:
    pool, said = scene.pool, scene.probabilities
    if by == "random":
        return selection.by_lot(scene.rows["sha256"].tolist(), pool, count)
    if by == "diversity" or (by == "combined" and scene.typical_first):
        return selection.by_typicality(pool, count)
    if said is None:
        raise SourceError(
            f"--by {by} asks a model, which needs labels of at least two classes; there are {len(scene.names)}.",
            f"Begin with typical pictures: curate next {scene.embedded.project.folder} --by diversity",
        )
    if by == "uncertainty":
        return selection.by_score(selection.uncertainty(said), pool, count)
    need = Need(scene.sizes, 2 - _recall(scene))  # a class never recognised counts twice as much as one always is
    if by == "class-need":
        return selection.by_need(said, pool, count, need)
    return selection.by_gradient(said, pool, count, need)


def _recall(scene: Candidates) -> Floats:
    """(K,) with one right and one wrong added, as of few pictures chance makes all or none right."""
    assert scene.probabilities is not None
    labels = scene.labels[scene.learned]
    right = scene.probabilities[scene.learned].argmax(axis=1) == labels
    sizes = np.bincount(labels, minlength=len(scene.names))
    return ((np.bincount(labels, right, minlength=len(scene.names)) + 1) / (sizes + 2)).astype(np.float32)


def _choose_for_review(scene: Candidates, by: str, count: int) -> Chosen:
    pool, wrong = scene.pool, 1 - np.nan_to_num(scene.quality, nan=1.0)
    if by == "random":
        return selection.by_lot(scene.rows["sha256"].tolist(), pool, count)
    if by == "diversity" or (by == "combined" and not wrong.any()):
        return selection.by_typicality(pool, count)
    if not wrong.any():
        raise SourceError(
            f"--by {by} asks a model, which needs labels of at least two classes; there are {len(scene.names)}.",
            f"Begin with typical pictures: curate next {scene.embedded.project.folder} --for review --by diversity",
        )
    if by == "uncertainty":
        return selection.by_score(wrong, pool, count)
    if by == "class-need":
        need = np.append(1 / np.sqrt(np.maximum(scene.sizes, 1)), 0)  # the last is of rows without a label
        return selection.by_score(wrong * need[scene.labels], pool, count)
    return selection.by_distance(wrong, pool, count)
