"""Flag: which labels are likely wrong, and which pictures are off-topic.

labels, embeddings ─▶ models that saw neither the picture nor its copies ─▶ probabilities   (`curate.heads`)
probabilities      ─▶ label_quality, label_error, suggested_label                           (`curate.suspicion`)
embeddings         ─▶ look_alikes, typicality                       (`curate.lookalikes`, `curate.outliers`)
annotators' votes  ─▶ vote_label, vote_error                                                (`curate.votes`)
all of these       ─▶ label_evidence, in words
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from curate import heads
from curate.calibration import expected_calibration_error
from curate.embeddings import Embeddings
from curate.errors import SourceError
from curate.lookalikes import Lookalikes, nearest
from curate.opinions import Opinions, rounded
from curate.outliers import NEIGHBOURS, typicality
from curate.outside import looks_in_sample, read_pred_probs
from curate.progress import Progress, silent
from curate.suspicion import FEWEST, Judgement, judge_labels
from curate.votes import judge_votes, read_votes, verified_errors

if TYPE_CHECKING:
    import pandas as pd
    from pandas.core.groupby import DataFrameGroupBy

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

LOOK_ALIKES = NEIGHBOURS  # five: as many as a person takes in at a glance, and one search serves both
# With the hand-made descriptor four of five flags and more are ordinary pictures (benchmarks/outliers.py).
NO_TOPICS = (
    "Off-topic pictures were not looked for: `classic` sees shapes and colours, not things. "
    "Give another one: --model MODEL."
)
# Of 1,675 pictures and more as many flags were wrong labels as promised, within .04, or more; of 300 to 405 fewer: .90
# for .97 and .70 for .89 (benchmarks/labels.py), .86 for .93 and .62 for .81 (the drawn sample); with two models.
FEW_JUDGED = 1000
MOST_CANDIDATES = 5  # classes; a reviewer has a key for each, and the rest is less probable than a slip of the finger
LEAST_SHARE = 0.005  # of a candidate; less is shown as 0.00
MOST_PAIRS = 30  # of classes that are mixed up
MOST_ANNOTATORS = 10
MOST_NOISE_CLASSES = 30  # a larger matrix nobody reads, and every version would carry it


@dataclass(frozen=True)
class Outside:
    """What comes from outside. pred_probs: file of a model's probabilities. votes: file of annotators' labels."""

    pred_probs: Path | None = None
    votes: Path | None = None


@dataclass(frozen=True)
class _Labelled:
    """The rows to judge.

    rows: index 0..N-1. classes: names. labels: (N,) index into classes. probabilities: (N, K), out of sample.
    alike: the nearest labelled pictures of each. notes: what people should know, one sentence each.
    """

    rows: pd.DataFrame
    classes: list[str]
    labels: Ints
    probabilities: Floats
    calibration_error: float
    alike: Lookalikes
    notes: list[str]

    @cached_property
    def contradicting(self) -> DataFrameGroupBy[Any, Any]:
        """The rows of copies whose labels differ, by group."""
        labels_in_group = self.rows.groupby("group")["about"].transform("nunique")
        return self.rows[labels_in_group > 1].groupby("group")


def flag_opinions(
    rows: pd.DataFrame,
    embeddings: Embeddings,
    outside: Outside,
    *,
    knows_things: bool = True,
    progress: Progress = silent,
) -> Opinions:
    """What is thought of each kept picture's label and topic.

    rows: the kept pictures with path, sha256, about (the label, NA = none), group (of copies, integers).
    knows_things: whether likeness in these embeddings says anything of what pictures show.
    Raises SourceError when there is nothing to judge: no labels, or one class only.
    """
    rows = rows.sort_values("path", ignore_index=True)
    seen = rows[embeddings.has(list(rows["sha256"]))].reset_index(drop=True)
    labelled = _labelled(seen, embeddings, outside.pred_probs, progress)
    judgement = judge_labels(
        labelled.labels, labelled.probabilities, _groups(labelled.rows), copies=labelled.rows["sha256"].factorize()[0]
    )
    said = rows[["path", "sha256", "about"]]
    said = said.merge(_label_columns(labelled, judgement), on="path", how="left")
    summary = _summary(labelled, judgement, embeddings)
    if knows_things:
        said = said.merge(_typicality(seen, labelled, embeddings, progress), on="path", how="left")
    else:
        summary["notes"].append(NO_TOPICS)
    if outside.votes is not None:
        said, summary["votes"] = _with_votes(said, outside.votes, labelled)
    summary["flagged"] = int(said["label_error"].fillna(False).sum())
    return Opinions(said, summary)


def _labelled(rows: pd.DataFrame, embeddings: Embeddings, pred_probs: Path | None, progress: Progress) -> _Labelled:
    rows = rows[rows["about"].notna()].reset_index(drop=True)
    classes = sorted(rows["about"].unique())
    _require_judgeable(rows, classes)
    labels = rows["about"].map({name: place for place, name in enumerate(classes)}).to_numpy(np.int64)
    vectors, groups = embeddings.of(list(rows["sha256"])), _groups(rows)
    with progress("Judging labels", heads.rounds(len(rows))) as advance:
        ours = heads.out_of_sample(vectors, labels, groups, len(classes), advance=advance)
    notes = []
    probabilities, error = ours.calibrated, ours.calibration_error
    if pred_probs is not None:
        probabilities = read_pred_probs(pred_probs, list(rows["path"]), classes)
        error = expected_calibration_error(
            probabilities.max(axis=1).astype(np.float64), (probabilities.argmax(axis=1) == labels).astype(np.float64)
        )
        notes += list(filter(None, [looks_in_sample(labels, probabilities, ours.calibrated)]))
    with progress("Finding look-alikes", len(rows)) as advance:
        alike = nearest(vectors, LOOK_ALIKES, groups=groups, advance=advance)
    return _Labelled(rows, classes, labels, probabilities, error, alike, notes + list(filter(None, [alike.note])))


def _groups(rows: pd.DataFrame) -> Ints:
    return rows["group"].to_numpy(np.int64)


def _require_judgeable(rows: pd.DataFrame, classes: list[str]) -> None:
    if not classes:
        raise SourceError(
            "No kept picture has a label, so there is nothing to judge.",
            "Sort the pictures into a folder per class, or give a file: curate clean DIR --labels labels.csv",
        )
    if len(classes) == 1:
        raise SourceError(
            f"All {len(rows):,} labels are {classes[0]!r}: with one class only, no label can be told wrong.",
            "Label some pictures of another class.",
        )
    if len(classes) == len(rows):
        raise SourceError(
            f"All {len(rows):,} labels are different: there is nothing to learn a class from.",
            "Are they names of pictures? Labels come from the first folder, or: curate clean DIR --labels FILE",
        )


def _too_small(classes: list[str], judgement: Judgement) -> list[str]:
    """A note that names the classes too small to be judged, if any."""
    small = [classes[one.label] for one in judgement.classes if not one.judged]
    if not small:
        return []
    named = ", ".join(small[:5]) + (f" and {len(small) - 5} more" if len(small) > 5 else "")
    return [f"Not judged: {named}. A class needs {FEWEST} different pictures before its labels can be doubted."]


def _few(labelled: _Labelled, judgement: Judgement) -> list[str]:
    """A note that the promise is loose where there is little to measure it on."""
    if len(labelled.rows) >= FEW_JUDGED or not judgement.is_error.any():
        return []
    note = (
        f"With fewer than {FEW_JUDGED:,} pictures fewer of the flags are wrong labels than expected here: in four such "
        "cases .62 to .90 of them, where .81 to .97 were expected."
    )
    return [note]


def _typicality(rows: pd.DataFrame, labelled: _Labelled, embeddings: Embeddings, progress: Progress) -> pd.DataFrame:
    """path and typicality of every kept picture, labelled or not."""
    alike = labelled.alike
    if len(rows) > len(labelled.rows):  # else every one has a label, and they have been compared
        with progress("Finding off-topic pictures", len(rows)) as advance:
            alike = nearest(embeddings.of(list(rows["sha256"])), NEIGHBOURS, groups=_groups(rows), advance=advance)
    return rows[["path"]].assign(typicality=typicality(alike))


def _with_votes(said: pd.DataFrame, file: Path, labelled: _Labelled) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The same with what annotators said, and that in numbers. A label that people overrule is flagged."""
    import pandas as pd

    votes = read_votes(file, set(said["path"]))
    known = votes[votes["path"].isin(said["path"])]
    if known.empty:
        raise SourceError(
            f"None of the {votes['path'].nunique():,} pictures in {str(file)!r} is a kept picture of this folder; "
            f"the first one is {votes['path'].iloc[0]!r}.",
            "Write paths relative to the image folder, like cats/1.jpg.",
        )
    ours = pd.DataFrame(labelled.probabilities, index=labelled.rows["path"], columns=labelled.classes)
    found = judge_votes(known, ours)
    given = said.dropna(subset="about")
    overruled = verified_errors(known, dict(zip(given["path"], given["about"], strict=True)))
    said = said.merge(found.pictures.drop(columns="vote_agreement"), on="path", how="left")
    said = said.assign(vote_error=said["path"].map(overruled).astype("boolean"))
    is_error = said["vote_error"].fillna(False).astype(bool)
    words = "most of its " + said["votes"].fillna(0).astype("int64").astype("str") + " annotators chose another label"
    evidence = said["label_evidence"].fillna("")
    return said.assign(
        label_error=said["label_error"].astype("boolean").fillna(False) | is_error,
        suggested_label=said["suggested_label"].mask(is_error, said["path"].map(_most_chosen(known, given))),
        label_evidence=said["label_evidence"].mask(is_error, (words + "; " + evidence).str.removesuffix("; ")),
    ), {
        "votes": len(known),
        "elsewhere": len(votes) - len(known),
        "pictures": len(found.pictures),
        "annotators": len(found.annotators),
        "method": found.method,
        "alpha": rounded(found.alpha),
        "alpha_interval": [rounded(end) for end in found.alpha_interval],
        "errors": int(is_error.sum()),
        "worst_annotators": found.annotators[:MOST_ANNOTATORS].to_dict("records"),
    }


def _most_chosen(votes: pd.DataFrame, given: pd.DataFrame) -> pd.Series[str]:
    """The label, other than the given one, that most annotators chose; index: path. The first in order where equal."""
    about = votes["path"].map(given.set_index("path")["about"])
    others = votes[votes["label"] != about].sort_values("label", kind="stable")
    return others.groupby("path")["label"].agg(lambda labels: labels.value_counts(sort=True).index[0])


# ---- In words, per picture


def _label_columns(labelled: _Labelled, judgement: Judgement) -> pd.DataFrame:
    import pandas as pd

    better = _best_other(labelled.labels, judgement.posterior)
    suggested = pd.Series(np.array(labelled.classes, dtype=object)[better], dtype="str")
    flagged = np.flatnonzero(judgement.is_error)
    evidence = {row: _evidence(labelled, row, better[row]) for row in flagged.tolist()}
    alike = {row: _paths_alike(labelled, row) for row in flagged.tolist()}
    candidates = {row: _candidates(labelled.classes, judgement.posterior[row]) for row in flagged.tolist()}
    return labelled.rows[["path"]].assign(
        label_quality=judgement.quality,
        label_error=judgement.is_error,
        suggested_label=suggested.where(judgement.is_error | (judgement.suggested == better)),
        label_candidates=pd.Series(candidates, dtype="str").reindex(labelled.rows.index),
        label_evidence=pd.Series(evidence, dtype="str").reindex(labelled.rows.index),
        look_alikes=pd.Series(alike, dtype="str").reindex(labelled.rows.index),
    )


def _best_other(labels: Ints, posterior: Floats) -> Ints:
    """The most probable class of each row that is not the given one, (N,)."""
    others = posterior.copy()
    others[np.arange(len(labels)), labels] = -1
    return np.asarray(others.argmax(axis=1))


def _candidates(classes: list[str], posterior: Floats) -> str:
    """The most probable classes of one picture with their probabilities."""
    best = np.argsort(-posterior, kind="stable")[:MOST_CANDIDATES]
    told = [[classes[one], rounded(float(posterior[one]))] for one in best if posterior[one] >= LEAST_SHARE]
    return json.dumps(told, ensure_ascii=False)


def _evidence(labelled: _Labelled, row: int, suggested: int) -> str:
    """What speaks against one label."""
    given, shares, names = int(labelled.labels[row]), labelled.probabilities[row], labelled.classes
    of_models = (
        f"models that have not seen it give {names[given]} {shares[given]:.2f} "
        f"and {names[suggested]} {shares[suggested]:.2f}"
    )
    near = _words_on_look_alikes(labelled, row, given, suggested)
    return "; ".join([of_models, *near, *_words_on_copies(labelled, row)])


def _words_on_look_alikes(labelled: _Labelled, row: int, given: int, suggested: int) -> list[str]:
    near = labelled.alike.indices[row]
    near = near[near >= 0]
    if not len(near):
        return []
    labels = labelled.labels[near]
    told = [f"{(labels == one).sum()} {labelled.classes[one]}" for one in dict.fromkeys((suggested, given))]
    return [f"of its {len(near)} look-alikes {' and '.join(told)}"]


def _words_on_copies(labelled: _Labelled, row: int) -> list[str]:
    this = labelled.rows.iloc[row]
    if this["group"] not in labelled.contradicting.groups:
        return []
    copies = labelled.contradicting.get_group(this["group"])
    copies = copies[copies["about"] != this["about"]]
    return [
        f"its {'exact' if sha256 == this['sha256'] else 'near'} copy {path} is labelled {label}"
        for path, sha256, label in copies[["path", "sha256", "about"]][:2].itertuples(index=False)
    ]


def _paths_alike(labelled: _Labelled, row: int) -> str:
    near = labelled.alike.indices[row]
    return json.dumps([labelled.rows["path"].iloc[other] for other in near if other >= 0], ensure_ascii=False)


# ---- In numbers, for all of them


def _summary(labelled: _Labelled, judgement: Judgement, embeddings: Embeddings) -> dict[str, Any]:
    names = labelled.classes
    flagged = np.bincount(labelled.labels[judgement.is_error], minlength=len(names))
    return {
        "model": embeddings.identity,
        "judged": len(labelled.rows),
        "expected_right": rounded(judgement.stated_precision),
        "estimated_errors": judgement.estimated_errors,
        "estimated_low": judgement.fewest_errors,
        "estimated_high": judgement.most_errors,
        "calibration_error": rounded(labelled.calibration_error),
        "classes": [
            {
                "label": names[one.label],
                "pictures": one.pictures,
                "flagged": int(flagged[one.label]),
                "quality": rounded(1 - one.estimated_errors / max(one.pictures, 1)),
            }
            for one in judgement.classes
        ],
        "pairs": _pairs(labelled, judgement),
        "noise": [[rounded(share) for share in row] for row in judgement.noise]
        if len(names) <= MOST_NOISE_CLASSES
        else None,
        "notes": [*_too_small(names, judgement), *_few(labelled, judgement), *labelled.notes],
        "unembedded": embeddings.failures,
    }


def _pairs(labelled: _Labelled, judgement: Judgement) -> list[dict[str, Any]]:
    """Given and better class of at least half a picture, estimated; the most pictures first."""
    classes = len(labelled.classes)
    labelled_as = np.zeros((classes, classes))
    np.add.at(labelled_as, labelled.labels, judgement.posterior)
    np.fill_diagonal(labelled_as, 0)
    order = np.argsort(-labelled_as, axis=None, kind="stable")[:MOST_PAIRS]
    cells = zip(*np.unravel_index(order, labelled_as.shape), strict=True)
    return [
        {
            "given": labelled.classes[given],
            "suggested": labelled.classes[better],
            "pictures": rounded(labelled_as[given, better]),
        }
        for given, better in cells
        if labelled_as[given, better] >= 0.5
    ]
