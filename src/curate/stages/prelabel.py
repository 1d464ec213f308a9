"""Prelabel: what labelers suggest for the pictures that nobody has labelled yet.

    labelled pictures ─▶ labelers ─▶ weighed, calibrated ─▶ pred_label, pred_confidence
                                     threshold           ─▶ pred_abstains

The weighing is `curate.prelabelling`; the labelers are one file each in `curate.labelers`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from curate.acceptance import CurvePoint
from curate.embeddings import Embeddings
from curate.labelers import UNLABELLED, LabelingTask, all_labelers
from curate.opinions import Opinions, rounded
from curate.prelabelling import Prelabels, prelabel_rows
from curate.settings import Settings
from curate.sources import Source

if TYPE_CHECKING:
    import pandas as pd

MILESTONES = (0.25, 0.5, 0.75, 0.9, 1.0)  # shares of the pictures for which people are told the accuracy
MOST_POINTS = 60  # of the coverage curve, which every version carries


def prelabel_opinions(
    rows: pd.DataFrame,
    folder: Source,
    embeddings: Embeddings,
    scores: Callable[[Path], Embeddings],
    settings: Settings,
) -> Opinions:
    """Suggestions for the unlabelled rows.

    rows: the kept pictures, index 0..N-1, with about (the label to learn from, NA = none) and group (of copies).
    scores: computes what an ONNX classifier puts out for them, once a labeler asks.
    Raises CurateError when there is nothing to label or to learn from.
    """
    rows = rows[embeddings.has(list(rows["sha256"]))].reset_index(drop=True)
    task = _task(rows, folder, embeddings, scores, settings)
    chosen = {name: getattr(settings.labelers, name) for name in all_labelers()}
    found = prelabel_rows(task, chosen, settings.prelabel.precision)
    return Opinions(_said(rows, task, found, embeddings), _summary(task, found, embeddings, settings))


def _task(
    rows: pd.DataFrame, folder: Source, embeddings: Embeddings, scores: Callable[[Path], Embeddings], settings: Settings
) -> LabelingTask:
    declared = [
        name
        for labeler in all_labelers().values()
        for name in labeler.declare(getattr(settings.labelers, labeler.name))
    ]
    classes = tuple(sorted({*rows["about"].dropna(), *declared}))
    place = {name: number for number, name in enumerate(classes)}
    return LabelingTask(
        table=rows.assign(label=rows["about"]),
        folder=folder,
        classes=classes,
        labels=rows["about"].map(place).fillna(UNLABELLED).to_numpy(np.int64),
        groups=rows["group"].to_numpy(np.int64),
        vectors=lambda: embeddings.of(list(rows["sha256"])),
        scores=lambda model: scores(model).of(list(rows["sha256"])),
    )


def _said(rows: pd.DataFrame, task: LabelingTask, found: Prelabels, embeddings: Embeddings) -> pd.DataFrame:
    """One row per unlabelled picture of which somebody says something."""
    told = np.flatnonzero(found.pred != UNLABELLED)
    names = np.array(task.classes, dtype=object)
    return rows.loc[told, ["path", "sha256", "about"]].assign(
        pred_label=names[found.pred[told]],
        pred_confidence=found.confidence[told],
        pred_abstains=found.abstains[told],
        pred_by=[f"{by} on {embeddings.identity}" if "probe" in by else by for by in found.by[told]],
        pred_because=found.because[told],
    )


def _summary(task: LabelingTask, found: Prelabels, embeddings: Embeddings, settings: Settings) -> dict[str, Any]:
    told = found.pred != UNLABELLED
    sure = told & ~found.abstains
    return {
        "model": embeddings.identity,
        "labelled": int(task.is_labelled.sum()),
        "unlabelled": int((~task.is_labelled).sum()),
        "suggested": int(told.sum()),
        "sure": int(sure.sum()),
        "precision": settings.prelabel.precision,
        "threshold": found.threshold,
        "expected_precision": rounded(found.expected_precision),
        "calibration_error": rounded(found.calibration_error),
        "labels": [
            {"label": name, "sure": int((found.pred[sure] == place).sum()), "all": int((found.pred == place).sum())}
            for place, name in enumerate(task.classes)
            if (found.pred == place).any()
        ],
        "by": found.counts,
        "curve": _curve(found.curve),
        "notes": list(found.notes),
        "unembedded": embeddings.failures,
    }


def _curve(points: Sequence[CurvePoint]) -> list[dict[str, Any]]:
    """Some points of the curve, those nearest to MILESTONES marked."""
    told = [point for point in points if not math.isnan(point.measured)]
    if not told:
        return []
    coverage = np.array([point.coverage for point in told])
    marked = {int(np.abs(coverage - share).argmin()) for share in MILESTONES}
    shown = {*marked, *np.linspace(0, len(told) - 1, min(len(told), MOST_POINTS)).astype(int).tolist()}
    return [
        {
            "coverage": rounded(told[number].coverage),
            "accuracy": rounded(told[number].measured),
            "confidence": rounded(told[number].threshold),
            "milestone": number in marked,
        }
        for number in sorted(shown)
    ]
