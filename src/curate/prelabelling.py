"""Labels for unlabelled pictures: what the labelers say, pooled, calibrated, and cut at a stated precision.

Labels of copies come first. Everything else is pooled (`curate.pooling`) and calibrated (`curate.acceptance`) on the
labelled pictures, each predicted as if it had no label: neither models nor weights nor calibration have seen it.

Nothing is promised that was not measured: without labelled pictures there are suggestions, but none is sure enough to
be accepted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from curate.acceptance import (
    RISK,
    CurvePoint,
    Reliability,
    calibration_error,
    choose_threshold,
    confidence,
    coverage_curve,
    learn_reliability,
    pictures_to_check,
    softmax,
)
from curate.errors import CurateError
from curate.heads import split
from curate.labelers import (
    UNLABELLED,
    Floats,
    Ints,
    LabelerSettings,
    LabelingTask,
    Proposal,
    Votes,
    find_labeler,
)
from curate.pooling import Sources, fit_weights, pooled, sources_of

Texts = NDArray[np.object_]
Bools = NDArray[np.bool_]

SURE = 0.99  # a model that says so is not torn between classes, whatever else
DOUBTFUL = 0.02  # share of wrong labels; famous test sets have 3.3 % (Northcutt et al. 2021), careful ones under one
FOLDS = 5  # for weights and calibration, which are a handful of numbers


@dataclass(frozen=True)
class Prelabels:
    """One suggestion per unlabelled picture. Arrays have the rows of the task; labelled rows: -1, 0, False, "".

    pred: class index, -1 where no labeler said anything. confidence: probability that it is right, 0..1.
    abstains: True where it is not sure enough for the stated precision, or there is no suggestion.
    by: the labelers that said so, ;-joined. because: what speaks for it, in words.
    threshold: the confidence accepted from; None if there is none. Copies are accepted where copies have proved
        reliable enough, whatever it is. curve: coverage against precision, without copies.
    calibration_error: of the confidence, on labelled pictures out of sample, 0..1; NaN without any.
    expected_precision: of what is accepted, 0..1; NaN if nothing is. counts: labeler -> accepted suggestions that it
    made or agreed with. checked: how many labelled pictures all this rests on, copies counted once.
    notes: what else people should know, one sentence each.
    """

    pred: Ints  # (N,)
    confidence: Floats  # (N,)
    abstains: Bools  # (N,)
    by: Texts  # (N,)
    because: Texts  # (N,)
    threshold: float | None
    curve: tuple[CurvePoint, ...]
    calibration_error: float
    expected_precision: float
    counts: dict[str, int]
    checked: float
    notes: tuple[str, ...] = ()


def prelabel_rows(task: LabelingTask, labelers: Mapping[str, LabelerSettings], precision: float = 0.95) -> Prelabels:
    """Suggest a label for every unlabelled picture.

    labelers: name -> its settings. precision: of the suggestions that do not abstain, at least this share is to be
    right, above 0.5, below 1. Raises CurateError when there is nothing to label, or nothing to learn from.
    """
    if task.is_labelled.all():
        raise CurateError("Every picture has a label already: there is nothing to pre-label.")
    asked = [find_labeler(name).propose(task, settings) for name, settings in sorted(labelers.items())]
    said = Proposal(
        votes=tuple(votes for one in asked for votes in one.votes),
        probabilities=tuple(model for one in asked for model in one.probabilities),
        notes=tuple(note for one in asked for note in one.notes),
    )
    _require_something(task, said)
    first = [votes for votes in said.votes if votes.overrules]
    voters = [votes for votes in said.votes if not votes.overrules]
    by_copy = np.any([votes.choice != UNLABELLED for votes in first], axis=0) if first else task.labels < UNLABELLED
    sources = sources_of(said.probabilities, voters, len(task.classes))
    found = _from_pool(task, sources, np.flatnonzero(~task.is_labelled & ~by_copy), precision)
    for votes in reversed(first):  # the first has the last word
        found = _overruled(task, found, votes, precision)
    return _told(task, found, said, precision)


def _require_something(task: LabelingTask, said: Proposal) -> None:
    """Raise CurateError when no labeler says anything of any unlabelled picture."""
    free = ~task.is_labelled
    if any((votes.choice[free] != UNLABELLED).any() for votes in said.votes):
        return
    if any(model.by_class[free].any() for model in said.probabilities):
        return
    if not task.is_labelled.any():
        raise CurateError(
            "No picture has a label, so there is nothing to learn from.",
            "Put about ten pictures of each class into a folder named for it, or give rules (--rules FILE) or a "
            "classifier (--classifier FILE.onnx).",
        )
    raise CurateError(" ".join(["No labeler says anything of the unlabelled pictures.", *said.notes]))


# ---- What models and voters say together


@dataclass(frozen=True)
class _Checked:
    """Labelled pictures, predicted as if they had no label. weights: 1 / number of labelled copies. All (n, ...)."""

    scores: Floats  # (n, K)
    labels: Ints
    weights: Floats
    folds: Ints

    def reliability(self, rows: Bools) -> Reliability:
        return learn_reliability(self.scores[rows], self.labels[rows], self.weights[rows])

    @property
    def correct(self) -> Bools:
        return np.asarray(self.scores.argmax(axis=1) == self.labels)


def _from_pool(task: LabelingTask, sources: Sources, rows: Ints, precision: float) -> Prelabels:
    """The suggestions of models and voters for some unlabelled rows; nothing for all others."""
    checked = _check(task, sources)
    reliability = checked.reliability(np.ones(len(checked.labels), bool))
    sureness = _cross_fitted(checked)
    scores = pooled(sources, fit_weights(sources, task.labels), rows)
    spoken = scores.any(axis=1)
    rows, scores = rows[spoken], scores[spoken]
    found = _nothing(task)
    found.pred[rows] = scores.argmax(axis=1)
    found.confidence[rows] = softmax(scores).max(axis=1)
    # How often a class without a labelled picture is right was never measured: as told, and not accepted.
    proven = np.isin(found.pred[rows], task.labels[task.is_labelled])
    rows, scores = rows[proven], scores[proven]
    curve = coverage_curve(scores, reliability, sureness, checked.correct)
    point = choose_threshold(curve, reliability, precision)
    found.confidence[rows] = confidence(scores, reliability)
    found.abstains[rows] = found.confidence[rows] < (point.threshold if point else np.inf)
    return replace(
        found,
        threshold=point.threshold if point else None,
        curve=curve,
        calibration_error=calibration_error(sureness, checked.correct),
        checked=reliability.checked,
        notes=_doubt_of_labels(checked),
    )


def _check(task: LabelingTask, sources: Sources) -> _Checked:
    """Predict the labelled pictures that can be predicted: of a class with a second example, and somebody has a say."""
    rows = _checkable(task)
    folds = split(task.labels[rows], task.groups[rows], FOLDS)
    scores = np.zeros((len(rows), sources.classes), np.float32)
    for fold in np.unique(folds):
        held = rows[folds == fold]
        seen = task.labels.copy()
        seen[held] = UNLABELLED
        scores[folds == fold] = pooled(sources, fit_weights(sources, seen), held)
    spoken = scores.any(axis=1)
    rows, folds, scores = rows[spoken], folds[spoken], scores[spoken]
    _, place, sizes = np.unique(task.groups[rows], return_inverse=True, return_counts=True)
    return _Checked(scores, task.labels[rows], (1 / sizes[place]).astype(np.float32), folds)


def _cross_fitted(checked: _Checked) -> Floats:
    """The confidence of each checked picture by a calibration that has not seen it, (n,)."""
    found = np.zeros(len(checked.labels), np.float32)
    for fold in np.unique(checked.folds):
        held = checked.folds == fold
        found[held] = confidence(checked.scores[held], checked.reliability(~held))
    return found


def _checkable(task: LabelingTask) -> Ints:
    """Labelled rows whose class another labelled picture has that is no copy: else nobody could know the class."""
    rows = np.flatnonzero(task.is_labelled)
    pairs = np.unique(np.stack([task.labels[rows], task.groups[rows]], axis=1), axis=0)
    classes, groups = np.unique(pairs[:, 0], return_counts=True)
    return rows[np.isin(task.labels[rows], classes[groups > 1])]


# ---- Copies, which are asked first


def _overruled(task: LabelingTask, found: Prelabels, votes: Votes, precision: float) -> Prelabels:
    """The suggestions with those of one voter in place of what stood there."""
    rows = np.flatnonzero(~task.is_labelled & (votes.choice != UNLABELLED))
    right, counted = _record(task, votes)
    believed = sum(votes.believed)
    share = (right + votes.believed[0]) / (counted + believed)
    pred, sureness, abstains = found.pred.copy(), found.confidence.copy(), found.abstains.copy()
    pred[rows], sureness[rows], abstains[rows] = votes.choice[rows], share, share < precision
    return replace(found, pred=pred, confidence=sureness, abstains=abstains)


def _record(task: LabelingTask, votes: Votes) -> tuple[float, float]:
    """How many of its votes on labelled pictures were right, and how many there were; copies count once."""
    rows = np.flatnonzero(task.is_labelled & (votes.choice != UNLABELLED))
    _, place, sizes = np.unique(task.groups[rows], return_inverse=True, return_counts=True)
    weights = 1 / sizes[place]
    return float(weights @ (votes.choice[rows] == task.labels[rows])), float(weights.sum())


# ---- In words


def _told(task: LabelingTask, found: Prelabels, said: Proposal, precision: float) -> Prelabels:
    """The suggestions with who made them and why, and what follows for the whole."""
    by, because = _empty_texts(task), _empty_texts(task)
    counts: dict[str, int] = {}
    for name, agrees, why in _supporters(task, found, said):
        by[agrees] = _joined(by[agrees], np.full(len(agrees), name, object))
        because[agrees] = _joined(because[agrees], why)
        counts[name] = int((~found.abstains[agrees]).sum())
    accepted = (found.pred != UNLABELLED) & ~found.abstains
    expected = float(found.confidence[accepted].mean()) if accepted.any() else float("nan")
    notes = (*said.notes, *found.notes, *_verdict(found, accepted, precision))
    return replace(found, by=by, because=because, counts=counts, expected_precision=expected, notes=notes)


def _supporters(task: LabelingTask, found: Prelabels, said: Proposal) -> list[tuple[str, Ints, Texts]]:
    """Each labeler with the unlabelled rows whose suggestion it shares, and what it says of each."""
    free = (found.pred != UNLABELLED) & ~task.is_labelled
    told = []
    for votes in said.votes:
        rows = np.flatnonzero(free & (votes.choice == found.pred))
        told.append((votes.by, rows, np.full(len(rows), _reason(task, votes), object)))
    for model in said.probabilities:
        rows = np.flatnonzero(free & model.by_class.any(axis=1) & (model.by_class.argmax(axis=1) == found.pred))
        shares = model.by_class[rows, found.pred[rows]]
        told.append((model.by, rows, np.array([f"{model.by} gives it {share:.2f}" for share in shares], object)))
    return told


def _reason(task: LabelingTask, votes: Votes) -> str:
    rows = task.is_labelled & (votes.choice != UNLABELLED)
    right, counted = int((votes.choice[rows] == task.labels[rows]).sum()), int(rows.sum())
    return f"{votes.why} (right for {right} of {counted} with a label)" if counted else votes.why


def _joined(texts: Texts, more: Texts) -> Texts:
    return np.array([f"{one}; {other}" if one else other for one, other in zip(texts, more, strict=True)], object)


def _doubt_of_labels(checked: _Checked) -> tuple[str, ...]:
    """A note when more labels than usual contradict predictions that were sure, by chance in one of ten cases only."""
    from scipy.stats import beta

    sure = softmax(checked.scores).max(axis=1) >= SURE
    wrong, right = int((sure & ~checked.correct).sum()), int((sure & checked.correct).sum())
    if not wrong or beta.ppf(RISK, wrong, right + 1) < DOUBTFUL:
        return ()
    note = (
        f"{wrong} of {wrong + right} labels contradict a prediction that was sure, so some of them may be wrong and "
        "hide how good the suggestions are. Look at them first: curate flag."
    )
    return (note,)


def _verdict(found: Prelabels, accepted: Bools, precision: float) -> list[str]:
    """Why nothing can be accepted, if so."""
    if accepted.any():
        return []
    needed = pictures_to_check(precision)
    if found.checked < needed:
        why = f"only {found.checked:.0f} labelled pictures could be checked, and {precision:g} takes {needed} at least"
    else:
        why = f"no suggestion is sure enough for a precision of {precision:g}"
    return [f"Nothing is accepted: {why}. Label more pictures."]


def _nothing(task: LabelingTask) -> Prelabels:
    count = len(task.labels)
    return Prelabels(
        pred=np.full(count, UNLABELLED, np.int64),
        confidence=np.zeros(count, np.float32),
        abstains=~task.is_labelled,
        by=_empty_texts(task),
        because=_empty_texts(task),
        threshold=None,
        curve=(),
        calibration_error=float("nan"),
        expected_precision=float("nan"),
        counts={},
        checked=0.0,
    )


def _empty_texts(task: LabelingTask) -> Texts:
    return np.full(len(task.labels), "", object)
