"""How well wrong labels are found, beside cleanlab and Datalab on the same embeddings, and how good pre-labels are.

    python benchmarks/labels.py --data ../shared/data      (writes benchmarks/results/labels.txt)

Wrong labels: a tenth of `pets` and `caltech12`, made wrong at random or toward the class each is most confused with,
mean of several seeds; and what people wrote in CIFAR-10N, by majority and the worst of three. The constants of
`curate.heads` and `curate.suspicion` were chosen on other data, named there; CIFAR-10N's single annotators are among
them, on half of the pictures.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from curate.calibration import expected_calibration_error
from curate.suspicion import judge_labels
from labels_data import FOLDERS, HUMAN, Bools, Floats, Ints, Pictures, load_cifar, load_folder, most_confused, published
from labels_data import seeded as with_errors
from labels_peers import Verdict, all_verdicts
from processes import header, write_result

SEEDS = 3
EXAMPLES = 10  # labelled pictures per class, for pre-labels
PRECISION = 0.95
COLUMNS = ("AP", "F1", "P@50", "P@100", "stated", "true", "found", "estimate", "interval", "errors", "ECE", "CPU s")


def measure_flags(pictures: dict[str, Pictures]) -> list[str]:
    """One line per data set and tool."""
    lines = [f"{'':24}{'':16}" + "".join(f"{name:>{_width(name)}}" for name in COLUMNS)]
    for name, one, label_sets in _label_sets(pictures):
        runs = [(labels, all_verdicts(one.vectors, labels, one.copies)) for labels in label_sets]
        for tool in runs[0][1]:
            figures = [_figures(verdicts[tool], labels != one.truth, one.truth) for labels, verdicts in runs]
            lines.append(f"{name:24}{tool:16}" + _cells(figures))
    return lines


def _label_sets(pictures: dict[str, Pictures]) -> Iterator[tuple[str, Pictures, list[Ints]]]:
    for name in FOLDERS:
        one = pictures[name]
        toward = most_confused(one.vectors, one.truth)
        yield f"{name}, random", one, [with_errors(one.truth, seed) for seed in range(SEEDS)]
        yield f"{name}, confused", one, [with_errors(one.truth, seed, toward) for seed in range(SEEDS)]
    for name in HUMAN:
        yield f"cifar10n, {name}", pictures["cifar10n"], [pictures["cifar10n"].labels[name]]


def _figures(verdict: Verdict, wrong: Bools, truth: Ints) -> dict[str, float]:
    order = np.argsort(verdict.quality, kind="stable")
    right = int((verdict.flags & wrong).sum())
    estimate, low, high = verdict.errors or (np.nan, np.nan, np.nan)
    kept = verdict.probabilities.argmax(axis=1) == truth
    promised = verdict.probabilities.max(axis=1).astype(np.float64)
    return {
        "AP": average_precision(verdict.quality, wrong),
        "F1": 2 * right / max(int(verdict.flags.sum() + wrong.sum()), 1),
        "P@50": float(wrong[order[:50]].mean()),
        "P@100": float(wrong[order[:100]].mean()),
        "stated": np.nan if verdict.stated is None else verdict.stated,
        "true": right / verdict.flags.sum() if verdict.flags.any() else np.nan,
        "found": right / max(int(wrong.sum()), 1),
        "estimate": estimate,
        "low": low,
        "high": high,
        "errors": float(wrong.sum()),
        "ECE": expected_calibration_error(promised, kept.astype(np.float64)),
        "CPU s": verdict.cpu_s,
    }


def average_precision(quality: Floats, wrong: Bools) -> float:
    """Of the list of pictures by quality, lowest first."""
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(wrong, -quality))


def _cells(figures: list[dict[str, float]]) -> str:
    mean = pd.DataFrame(figures).mean()
    cells = ""
    for name in COLUMNS:
        if name == "interval":
            text = (
                "" if mean["low"] == mean["high"] or np.isnan(mean["low"]) else f"{mean['low']:.0f}-{mean['high']:.0f}"
            )
        elif np.isnan(mean[name]):
            text = ""
        else:
            text = f"{mean[name]:.0f}" if name in ("estimate", "errors") else f"{mean[name]:.3f}"
        cells += f"{text:>{_width(name)}}"
    return cells


def _width(column: str) -> int:
    return 11 if column == "interval" else 9


def measure_published(data: Path) -> list[str]:
    """Judgement alone, on probabilities of other people's models; truth: fewer than 3 of 5 people chose the label."""
    from cleanlab.rank import get_label_quality_scores

    lines = [
        "Published probabilities: average precision among the pictures that five people looked at",
        f"{'':24}{'wrong':>14}{'curate':>9}{'cleanlab':>9}{'flagged':>9}{'estimate':>10}{'interval':>11}",
    ]
    for name, labels, said, voted, wrong in published(data):
        found = judge_labels(labels, said, np.arange(len(labels)))
        peer = average_precision(get_label_quality_scores(labels, said)[voted], wrong)
        interval = f"{found.fewest_errors}-{found.most_errors}"
        lines.append(
            f"{name:24}{f'{wrong.sum()} of {len(wrong)}':>14}{average_precision(found.quality[voted], wrong):9.3f}"
            f"{peer:9.3f}{found.is_error.sum():9}{found.estimated_errors:10}{interval:>11}"
        )
    return lines


def measure_prelabels(pictures: dict[str, Pictures]) -> list[str]:
    """Accuracy, calibration, and what is accepted for a stated precision, from a few examples per class."""
    lines = [
        f"Pre-labels from {EXAMPLES} examples per class, mean of 5 draws; accepted for a precision of {PRECISION}",
        f"{'':24}{'accuracy':>10}{'ECE':>8}{'accepted':>10}{'right':>8}{'LR':>14}{'ECE':>8}",
    ]
    for name, one in pictures.items():
        figures = pd.DataFrame([_prelabel(one, seed) for seed in range(5)]).mean()
        lines.append(
            f"{name:24}{figures['accuracy']:10.3f}{figures['ece']:8.3f}{figures['accepted']:10.3f}"
            f"{figures['right']:8.3f}{figures['peer']:14.3f}{figures['peer_ece']:8.3f}"
        )
    return lines


def _prelabel(one: Pictures, seed: int) -> dict[str, float]:
    from sklearn.linear_model import LogisticRegression

    from curate.labelers import UNLABELLED, LabelingTask
    from curate.labelers.probe import Settings
    from curate.prelabelling import prelabel_rows

    random = np.random.default_rng(seed)
    classes = range(int(one.truth.max()) + 1)
    few = np.concatenate([random.permutation(np.flatnonzero(one.truth == label))[:EXAMPLES] for label in classes])
    labels = np.full(len(one.truth), UNLABELLED)
    labels[few] = one.truth[few]
    names = tuple(f"class {label:02d}" for label in classes)
    table = pd.DataFrame({"path": [str(row) for row in range(len(labels))], "sha256": [str(row) for row in one.copies]})
    task = LabelingTask(table, Path(), names, labels, one.copies, lambda: one.vectors, lambda _: one.vectors)
    found = prelabel_rows(task, {"probe": Settings()}, PRECISION)
    free = labels == UNLABELLED
    kept = (found.pred == one.truth)[free]
    accepted = ~found.abstains[free]
    peer = LogisticRegression(max_iter=1000).fit(one.vectors[few], one.truth[few]).predict_proba(one.vectors[free])
    peer_kept = peer.argmax(axis=1) == one.truth[free]
    return {
        "accuracy": kept.mean(),
        "ece": expected_calibration_error(found.confidence[free].astype(np.float64), kept.astype(np.float64)),
        "accepted": accepted.mean(),
        "right": kept[accepted].mean() if accepted.any() else np.nan,
        "peer": peer_kept.mean(),
        "peer_ece": expected_calibration_error(peer.max(axis=1), peer_kept.astype(np.float64)),
    }


def main() -> None:
    """Run everything with each backbone, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--cache", type=Path, help="folder to keep embeddings in; default: a temporary one")
    options = parser.parse_args()
    if not (options.data / "pets").is_dir():
        sys.exit(f"There is no folder {options.data / 'pets'}: give one with --data.")
    lines = header(
        "curate: wrong labels and pre-labels", ["curate", "cleanlab", "scikit-learn", "onnxruntime", "numpy"]
    )
    with tempfile.TemporaryDirectory() as scratch:
        cache = options.cache or Path(scratch)
        for spec in (str(options.data / "models" / "mobilenetv2.onnx"), "builtin"):
            pictures = {name: load_folder(options.data / name, spec, cache) for name in FOLDERS}
            pictures["cifar10n"] = load_cifar(options.data, spec, cache)
            lines += [f"Backbone: {Path(spec).stem}", *measure_flags(pictures), "", *measure_prelabels(pictures), ""]
    write_result("labels.txt", [*lines, *measure_published(options.data)])


if __name__ == "__main__":
    main()
