"""What cleaning wrong labels is worth: accuracy of a probe on clean labels, and how much of the loss comes back.

Part of balance.py; alone: python benchmarks/balance_noise.py [--data ../shared/data]

CIFAR-10N: 6,000 pictures with the labels of people, `worse` (40 % wrong) and `aggre` (9 % wrong). A probe learns from
seven tenths of them and is judged on the others, with their true labels. The share of the loss that a way of cleaning
recovers is (cleaned - raw) / (clean - raw). Nothing is told about the true labels of the training pictures.

To be read with care: the seeds deal the same 6,000 pictures anew, so the intervals say how far the result hangs on the
dealing, not how it would be with other pictures. Some constants of `curate.suspicion` were chosen on single annotators
of half of these pictures. "flagged dropped" is what was meant from the start; the best of nine ways, picked by this
very table, looks a little better than it is. Where little is lost, the share of it that comes back means nothing: look
at the points gained.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.special import stdtrit

from curate import heads
from curate.heads import linear
from curate.suspicion import Judgement, judge_labels
from labels_data import HUMAN, Bools, Floats, Ints, Pictures, load_cifar
from labels_peers import cross_validated
from processes import data_folder

SEEDS = 5
TEST_FOLDS = 10  # of which three are held out
RAW, CLEAN, DROPPED, PEER = "raw labels", "clean labels", "flagged dropped", "cleanlab, dropped"
SUREST = 0.1  # as curate.ranking: labels that are wrong with nine in ten


@dataclass(frozen=True)
class Training:
    """Pictures to learn from. rows: (M,) of the training pictures, which may occur several times; weights: (M,)."""

    rows: Ints
    labels: Ints
    weights: Floats


@dataclass(frozen=True)
class Part:
    """The training part of one seed: labels as people gave them, and what is thought of them."""

    vectors: Floats
    labels: Ints
    truth: Ints
    found: Judgement
    peer: Bools  # flagged by cleanlab


def plain(labels: Ints, keep: Bools | None = None, weights: Floats | None = None) -> Training:
    """These labels, of the pictures to keep."""
    rows = np.arange(len(labels)) if keep is None else np.flatnonzero(keep)
    chosen = np.ones(len(rows), np.float32) if weights is None else weights[rows]
    return Training(rows, labels[rows], chosen)


def corrected(part: Part, where: Bools) -> Ints:
    """The labels, there replaced by the most probable other class."""
    others = part.found.posterior.copy()
    others[np.arange(len(others)), part.labels] = -1
    return np.where(where, others.argmax(axis=1), part.labels)


def soft(part: Part) -> Training:
    """Each picture once per class, weighing as much as it may be of that class."""
    count, classes = part.found.posterior.shape
    rows, labels = np.repeat(np.arange(count), classes), np.tile(np.arange(classes), count)
    weights = part.found.posterior.ravel()
    kept = weights > 1e-3
    return Training(rows[kept], labels[kept], weights[kept])


def sure(part: Part) -> Bools:
    """Flagged, and the suggested class is right with nine in ten."""
    others = corrected(part, np.ones(len(part.labels), bool))
    said = part.found.posterior[np.arange(len(others)), others]
    return np.asarray(part.found.is_error & (said >= 1 - SUREST))


WAYS: dict[str, Callable[[Part], Training]] = {
    RAW: lambda part: plain(part.labels),
    DROPPED: lambda part: plain(part.labels, ~part.found.is_error),
    "flagged corrected": lambda part: plain(corrected(part, part.found.is_error)),
    "surest dropped": lambda part: plain(part.labels, part.found.quality >= SUREST),
    "surest corrected": lambda part: plain(corrected(part, sure(part))),
    "surest corrected, rest of flagged dropped": lambda part: plain(
        corrected(part, sure(part)), ~part.found.is_error | sure(part)
    ),
    "weighted by label_quality": lambda part: plain(part.labels, None, part.found.quality),
    "weighted, flagged dropped": lambda part: plain(part.labels, ~part.found.is_error, part.found.quality),
    "shared among probable classes": soft,
    PEER: lambda part: plain(part.labels, ~part.peer),
    CLEAN: lambda part: plain(part.truth),
}


def accuracies(one: Pictures, labels: Ints, seed: int) -> dict[str, float]:
    """Of each way, on the true labels of the held-out pictures."""
    from cleanlab.filter import find_label_issues

    held = heads.split(one.truth, one.copies, TEST_FOLDS, seed) < 3
    vectors, copies, classes = one.vectors[~held], one.copies[~held], int(one.truth.max()) + 1
    given = labels[~held]
    said = heads.out_of_sample(vectors, given, copies, classes, seed=seed)
    found = judge_labels(given, said.calibrated, copies, copies=copies)
    peer = find_label_issues(given, cross_validated(vectors, given), n_jobs=1)
    projection = heads.fit_projection(vectors)
    known, asked = projection(vectors), projection(one.vectors[held])
    part = Part(known, given, one.truth[~held], found, peer)
    scores = {}
    for name, way in WAYS.items():
        training = way(part)
        weights = training.weights / training.weights.mean()
        answer = linear(known[training.rows], training.labels, asked, classes, weights).argmax(axis=1)
        scores[name] = float((answer == one.truth[held]).mean())
    return scores


def interval(values: list[float]) -> tuple[float, float, float]:
    """The mean of the seeds, and its 95 % interval by Student's t."""
    half = float(stdtrit(len(values) - 1, 0.975) * np.std(values, ddof=1) / np.sqrt(len(values)))
    mean = float(np.mean(values))
    return mean, mean - half, mean + half


def lines_of(one: Pictures, labels: Ints) -> list[str]:
    """One line per way: accuracy, points gained over raw labels, and the share of the loss that it recovers."""
    runs = [accuracies(one, labels, seed) for seed in range(SEEDS)]
    lines = []
    for name in WAYS:
        text = f"  {name:42}" + _cells([run[name] for run in runs], "{:7.1f}  ({:.1f} to {:.1f})", 24)
        if name != RAW:
            text += _cells([run[name] - run[RAW] for run in runs], "{:+7.1f}  ({:+.1f} to {:+.1f})", 24)
        if name not in (RAW, CLEAN):
            text += _cells(
                [(run[name] - run[RAW]) / (run[CLEAN] - run[RAW]) for run in runs], "{:7.0f}  ({:.0f} to {:.0f})"
            )
        lines.append(text)
    over_peer = [run[DROPPED] - run[PEER] for run in runs]
    return [*lines, f"  {DROPPED} over {PEER}:" + _cells(over_peer, " {:+.1f} points ({:+.1f} to {:+.1f})")]


def _cells(values: list[float], pattern: str, width: int = 0) -> str:
    """Mean and interval in percent."""
    return pattern.format(*(100 * value for value in interval(values))).ljust(width)


def report(data: Path) -> str:
    """The table of both backbones and both kinds of labels, as text."""
    lines = [
        "Wrong labels: accuracy on true labels, in percent, and the share of the lost accuracy that is recovered",
        f"CIFAR-10N, {SEEDS} seeds, 70 % to learn from, 30 % to judge; 95 % intervals over the seeds (Student's t)",
        f"  {'':42}{'right':>7}{'':17}{'gained':>7}{'':17}{'of the loss':>7}",
    ]
    with tempfile.TemporaryDirectory() as cache:
        for spec in (str(data / "models" / "mobilenetv2.onnx"), "builtin", "classic"):
            one = load_cifar(data, spec, Path(cache))
            for name in reversed(HUMAN):
                wrong = float((one.labels[name] != one.truth).mean())
                lines.append(f"{Path(spec).stem}, labels `{name}` ({wrong:.0%} wrong)")
                lines += lines_of(one, one.labels[name])
    return "\n".join(lines)


def main() -> None:
    """Print the report."""
    data = data_folder(__doc__, "label_errors")
    sys.stdout.write(report(data) + "\n")


if __name__ == "__main__":
    main()
