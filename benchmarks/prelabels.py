"""How good pre-labels are with few labels: accuracy, calibration, and whether a stated precision is kept.

    python benchmarks/prelabels.py --data ../shared/data [--cache FOLDER]

Ten (or fifty) pictures per class keep their label, up to 1,500 others are pre-labelled and compared with the truth,
for many random draws. A second part adds rules that are right as often as they are in practice, which is not always,
and compares with other ways to combine them. Vectors are those of `models/mobilenetv2.onnx`; --cache keeps them.
"""

from __future__ import annotations

import argparse
import hashlib
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from curate.acceptance import calibration_error, softmax
from curate.embeddings import embed
from curate.executors import executor_for
from curate.labelers import Floats, Ints, LabelingTask, Votes, find_labeler
from curate.pooling import Sources, fit_weights, pooled, sources_of
from curate.prelabelling import prelabel_rows
from curate.settings import ExecutorSettings
from processes import header, write_result

PRECISIONS = (0.9, 0.95, 0.99)
DRAWS = 20
UNLABELLED_MOST = 1500  # enough to know a precision to half a percent; more only takes longer
NEARLY = 0.02  # a draw that misses the stated precision by no more is counted apart

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Pictures:
    """vectors: (N, D). truth: (N,) class index."""

    name: str
    vectors: Floats
    truth: Ints


def rows(data: Path, cache: Path, draws: int = DRAWS) -> list[str]:
    """The whole section as lines of text. Reads pets/, caltech12/, label_errors/ and models/mobilenetv2.onnx."""
    sets = [embedded(data, name, cache) for name in ("pets", "caltech12", "cifar10n_images")]
    lines = [
        f"Pre-labels of the probe, {draws} draws. told: the calibration error that curate states, from the labelled",
        f"pictures alone. kept: draws with at least the stated precision (in brackets: {NEARLY} below it at most) of",
        "those in which anything was accepted. covered: share of the unlabelled pictures accepted, 0 where none was.",
        f"{'':32}accuracy  calibration error, told   mean confidence",
    ]
    for pictures in sets:
        for per_class in (10, 50) if len(pictures.truth) > 5000 else (10,):
            lines += probe_lines(pictures, per_class, draws)
    return [*lines, "", *combination_lines(sets, max(3, draws // 4))]


def embedded(data: Path, name: str, cache: Path) -> Pictures:
    """Vectors by the ONNX model; the truth by folder, or from cifar10n.csv."""
    is_cifar = name.startswith("cifar")
    folder = data / "label_errors" if is_cifar else data
    files = sorted((folder / name).rglob("*.*"))
    table = pd.DataFrame({"path": [file.relative_to(folder).as_posix() for file in files]})
    contents = [file.read_bytes() for file in files]
    table["sha256"] = [hashlib.sha256(content).hexdigest() for content in contents]
    table["size_bytes"] = [len(content) for content in contents]
    found = embed(table, folder, str(data / "models" / "mobilenetv2.onnx"), cache, executor_for(ExecutorSettings()))
    if is_cifar:
        labels = pd.read_csv(folder / "cifar10n.csv").set_index("path")["clean_label"]
        truth = table["path"].map(labels).to_numpy(np.int64)
    else:
        truth = table["path"].str.split("/").str[1].factorize(sort=True)[0].astype(np.int64)
    return Pictures(name, found.of(table["sha256"].tolist()), truth)


# ---- The probe alone


def drawn(pictures: Pictures, per_class: int, seed: int) -> tuple[LabelingTask, Ints]:
    """A task with that many labels per class, and the truth of its rows."""
    random = np.random.default_rng(seed)
    classes = int(pictures.truth.max()) + 1
    of_class = [random.permutation(np.flatnonzero(pictures.truth == one)) for one in range(classes)]
    labelled = np.concatenate([one[:per_class] for one in of_class])
    others = random.permutation(np.concatenate([one[per_class:] for one in of_class]))[:UNLABELLED_MOST]
    chosen = np.sort(np.concatenate([labelled, others]))
    truth, vectors = pictures.truth[chosen], pictures.vectors[chosen]
    names = pd.Series(chosen.astype(str))
    task = LabelingTask(
        table=pd.DataFrame({"path": names, "sha256": names}),
        folder=Path(),
        classes=tuple(str(one) for one in range(classes)),
        labels=np.where(np.isin(chosen, labelled), truth, -1),
        groups=np.arange(len(chosen)),
        vectors=lambda: vectors,
        scores=lambda _: vectors,
    )
    return task, truth


def probe_lines(pictures: Pictures, per_class: int, draws: int) -> list[str]:
    general, kept = [], {precision: [] for precision in PRECISIONS}
    settings = find_labeler("probe").settings()
    for seed in range(draws):
        task, truth = drawn(pictures, per_class, seed)
        free = ~task.is_labelled
        for precision in PRECISIONS:
            found = prelabel_rows(task, {"probe": settings}, precision)
            right, accepted = found.pred == truth, free & ~found.abstains
            achieved = right[accepted].mean() if accepted.any() else np.nan
            kept[precision].append((achieved, accepted.sum() / free.sum()))
        error = calibration_error(found.confidence[free], right[free])
        general.append((right[free].mean(), error, found.calibration_error, found.confidence[free].mean()))
    accuracy, error, told, sureness = np.mean(general, axis=0)
    title = f"{pictures.name}, {per_class} labels per class"
    return [
        f"{title:<32}{accuracy:8.3f}  {error:17.3f}, {told:.3f}  {sureness:16.3f}",
        *(precision_line(precision, np.array(kept[precision])) for precision in PRECISIONS),
    ]


def precision_line(precision: float, draws: Doubles) -> str:
    """draws: (D, 2) achieved precision (NaN where nothing was accepted) and coverage."""
    achieved, coverage = draws[~np.isnan(draws[:, 0]), 0], draws[:, 1].mean()
    if not len(achieved):
        return f"    stated {precision:<5} nothing accepted"
    return (
        f"    stated {precision:<5} achieved {achieved.mean():.3f} (lowest {achieved.min():.3f})  kept "
        f"{(achieved >= precision).mean():.2f} ({(achieved >= precision - NEARLY).mean():.2f})  "
        f"covered {coverage:.2f}  accepted anything in {len(achieved)} of {len(draws)}"
    )


# ---- Rules beside the probe

# Share of pictures that a rule votes on, and share of its votes that are right; "=" repeats the rule before it, wrong
# on the very same pictures.
RULES: dict[str, tuple[tuple[float, float] | str, ...]] = {
    "two good rules": ((0.5, 0.8), (0.3, 0.9)),
    "a bad and a middling one": ((0.6, 0.3), (0.6, 0.5)),
    "one middling, written thrice": ((0.6, 0.55), "=", "="),
    "one": ((0.1, 0.9),),
}


def simulated(truth: Ints, classes: int, kinds: Sequence[tuple[float, float] | str], seed: int) -> list[Votes]:
    random = np.random.default_rng(seed)
    made: list[Votes] = []
    for number, kind in enumerate(kinds):
        if isinstance(kind, str):
            made.append(Votes(f"rule {number}", made[-1].choice, ""))
            continue
        coverage, precision = kind
        wrong = (truth + random.integers(1, classes, len(truth))) % classes
        choice = np.where(random.random(len(truth)) < precision, truth, wrong)
        made.append(Votes(f"rule {number}", np.where(random.random(len(truth)) < coverage, choice, -1), ""))
    return made


def combination_lines(sets: Sequence[Pictures], draws: int) -> list[str]:
    ways: dict[str, Callable[[Sources, Ints], Doubles]] = {
        "probe alone": lambda sources, _: softmax(sources.models[0]),
        "curate": lambda sources, labels: softmax(
            pooled(sources, fit_weights(sources, labels), np.arange(len(labels)))
        ),
        "CROWDLAB": lambda sources, _: crowdlab(sources),
        "majority": lambda sources, _: majority(sources),
    }
    lines = [
        f"Simulated rules beside the probe, ten labels per class, {draws} draws: accuracy / calibration error",
        f"{'':48}" + "".join(f"{way:>16}" for way in ways),
    ]
    for pictures in sets:
        for name, kinds in RULES.items():
            figures = [combined(pictures, kinds, way, draws) for way in ways.values()]
            lines.append(f"{pictures.name + ', ' + name:<48}" + "".join(f"{one:>16}" for one in figures))
    return lines


def combined(
    pictures: Pictures,
    kinds: Sequence[tuple[float, float] | str],
    way: Callable[[Sources, Ints], Doubles],
    draws: int,
) -> str:
    figures = []
    for seed in range(draws):
        task, truth = drawn(pictures, 10, seed)
        probe = find_labeler("probe")
        said = probe.propose(task, probe.settings()).probabilities
        sources = sources_of(said, simulated(truth, len(task.classes), kinds, seed), len(task.classes))
        beliefs = way(sources, task.labels)[~task.is_labelled]
        right = beliefs.argmax(axis=1) == truth[~task.is_labelled]
        figures.append((right.mean(), calibration_error(beliefs.max(axis=1).astype(np.float32), right)))
    accuracy, error = np.mean(figures, axis=0)
    return f"{accuracy:.3f} / {error:.3f}"


def majority(sources: Sources) -> Doubles:
    """Most votes win, the probe decides where they are equal or there are none; sure by the share of votes."""
    votes = counted(sources)
    beliefs = softmax(sources.models[0])
    return np.where(
        votes.any(axis=1, keepdims=True), (votes + 0.1 * beliefs) / (votes.sum(1, keepdims=True) + 0.1), beliefs
    )


def crowdlab(sources: Sources) -> Doubles:
    """cleanlab's consensus of rules and probe where a rule votes; the probe elsewhere. It takes two annotators."""
    from cleanlab.multiannotator import get_label_quality_multiannotator

    beliefs = softmax(sources.models[0])
    choices = np.stack([voter.choice for voter in sources.voters], axis=1).astype(float)
    choices[choices < 0] = np.nan
    voted = np.flatnonzero(~np.isnan(choices).all(axis=1))
    if len(sources.voters) < 2:
        return beliefs
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about annotators that never overlap
        told = get_label_quality_multiannotator(
            choices[voted], beliefs[voted], verbose=False, return_annotator_stats=False, return_detailed_quality=False
        )["label_quality"]
    label = told["consensus_label"].to_numpy(np.int64)
    quality = told["consensus_quality_score"].to_numpy()
    beliefs[voted] = ((1 - quality) / (sources.classes - 1))[:, None]
    beliefs[voted, label] = quality
    return beliefs


def counted(sources: Sources) -> Doubles:
    """How many voters chose each class, (N, K)."""
    names = np.arange(sources.classes)
    return np.sum([voter.choice[:, None] == names for voter in sources.voters], axis=0).astype(np.float64)


def main() -> None:
    """Write results/prelabels.txt."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--cache", type=Path, help="folder for vectors; default: one that is deleted in the end")
    parser.add_argument("--draws", type=int, default=DRAWS)
    arguments = parser.parse_args()
    if not (arguments.data / "models").is_dir():
        parser.error(f"there is no folder {arguments.data / 'models'}: this benchmark needs the real data, see --data")
    with TemporaryDirectory() as folder:
        lines = rows(arguments.data, arguments.cache or Path(folder), arguments.draws)
    packages = ("curate", "cleanlab", "scikit-learn", "onnxruntime", "numpy")
    write_result("prelabels.txt", [*header("curate: pre-labels", packages), *lines])


if __name__ == "__main__":
    main()
