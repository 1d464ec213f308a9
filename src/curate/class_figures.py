"""How well a model knows each class: the figures that tell the truth where classes are of different sizes.

Accuracy over all pictures hides rare classes, and so does the ROC curve: its false alarms are a share of all other
pictures, so of 10,000 pictures without a rare sign, 100 false alarms are one percent, though nine of ten alarms may be
wrong. Precision and the area under the curve of precision against recall (PR-AUC) say so (Saito and Rehmsmeier 2015,
"The precision-recall plot is more informative than the ROC plot when evaluating binary classifiers on imbalanced
datasets"). ROC-AUC stands beside them, as people ask for it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curate.comparing import average_precision

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

MOST_PAIRS = 12  # confusions that are named
MOST_EXAMPLES = 6  # pictures of each


@dataclass(frozen=True)
class ClassFigures:
    """What a model knows of one class, each 0..1, higher is better; None where it can't be told.

    pictures: test pictures of the class. said: how often the model said it. recall: share of its pictures that were
    recognized, with the exact interval of 95 % (Clopper and Pearson 1934). precision: share of what it called so that
    is so; None if it never did. pr_auc: by chance it is the share of the class. roc_auc: by chance .5.
    """

    name: str
    pictures: int
    said: int
    recall: float
    recall_interval: tuple[float, float]
    precision: float | None
    pr_auc: float
    roc_auc: float | None


@dataclass(frozen=True)
class Confusion:
    """Pictures of one class that the model called another. paths: of the surest few, the surest first."""

    label: str
    said: str
    pictures: int
    share: float
    paths: tuple[str, ...]


@dataclass(frozen=True)
class Figures:
    """All of them. classes: those with test pictures, in the order of their names. confusions: the most frequent."""

    balanced_accuracy: float
    accuracy: float
    pr_auc: float
    roc_auc: float | None
    classes: tuple[ClassFigures, ...]
    confusions: tuple[Confusion, ...]

    def plain(self) -> dict[str, Any]:
        """As plain data: lists in place of tuples, as JSON has it."""
        found: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return found


def figures_of(said: Floats, labels: Ints, names: Sequence[str], paths: Sequence[str]) -> Figures:
    """The figures of one model. said: (T, K) probabilities. labels: (T,) true class indices. paths: of the pictures.

    Raises ValueError without a picture.
    """
    if not len(labels):
        raise ValueError("no picture to judge by")
    answers = said.argmax(axis=1)
    precisions = average_precision(said, labels)[0]
    classes = tuple(
        _of_class(one, said[:, one], answers, labels, names[one], float(precisions[one])) for one in np.unique(labels)
    )
    known = [one.roc_auc for one in classes if one.roc_auc is not None]
    return Figures(
        balanced_accuracy=float(np.mean([one.recall for one in classes])),
        accuracy=float((answers == labels).mean()),
        pr_auc=float(np.mean([one.pr_auc for one in classes])),
        roc_auc=float(np.mean(known)) if known else None,
        classes=classes,
        confusions=_confusions(said, answers, labels, names, paths),
    )


def _of_class(one: int, scores: Floats, answers: Ints, labels: Ints, name: str, pr_auc: float) -> ClassFigures:
    from scipy.stats import binomtest

    its, called = labels == one, answers == one
    right = int((its & called).sum())
    interval = binomtest(right, int(its.sum())).proportion_ci(0.95, method="exact")
    return ClassFigures(
        name=name,
        pictures=int(its.sum()),
        said=int(called.sum()),
        recall=right / int(its.sum()),
        recall_interval=(float(interval.low), float(interval.high)),
        precision=right / int(called.sum()) if called.any() else None,
        pr_auc=pr_auc,
        roc_auc=_roc_auc(scores, its),
    )


def _roc_auc(scores: Floats, its: NDArray[np.bool_]) -> float | None:
    """None where all pictures are of the class: there is nothing to tell it from."""
    from sklearn.metrics import roc_auc_score

    return None if its.all() else float(roc_auc_score(its, scores))


def _confusions(
    said: Floats, answers: Ints, labels: Ints, names: Sequence[str], paths: Sequence[str]
) -> tuple[Confusion, ...]:
    """Which classes are taken for which, the most frequent first, then by name."""
    wrong = np.flatnonzero(answers != labels)
    pairs: dict[tuple[int, int], list[int]] = {}
    for row in wrong[np.argsort(-said[wrong, answers[wrong]], kind="stable")].tolist():  # the surest mistakes first
        pairs.setdefault((int(labels[row]), int(answers[row])), []).append(row)
    sizes = np.bincount(labels, minlength=len(names))
    ordered = sorted(pairs.items(), key=lambda pair: (-len(pair[1]), pair[0]))[:MOST_PAIRS]
    return tuple(
        Confusion(
            names[label],
            names[answer],
            len(rows),
            len(rows) / int(sizes[label]),
            tuple(paths[row] for row in rows[:MOST_EXAMPLES]),
        )
        for (label, answer), rows in ordered
    )
