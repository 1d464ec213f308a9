"""What each rebalancing strategy is worth, against none and against imbalanced-learn's plain random samplers.

    python benchmarks/balance_strategies.py --data ../shared/data      (some ten minutes of CPU; prints)

Five splits by `curate split`, 60 : 40, of Caltech pictures of 12 classes and of the sample of road signs, through
MobileNetV2 and through `classic`. Where classes are told apart at a glance there is nothing to gain, so the
same again with a long tail: of the training pictures as many stay as make 50, 35, …, 1 of the classes, or all where a
class has fewer; which class is rare is drawn by lot. A probe (the linear head of `curate.heads`) is trained on what
each strategy leaves, and judged on the test pictures, whose labels are, for the sample, those of its key.

The plain samplers see arrays, as imbalanced-learn's users call them; the rows that they choose go to the same probe.
"""

from __future__ import annotations

import csv
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from imblearn.over_sampling import RandomOverSampler
from imblearn.under_sampling import RandomUnderSampler
from numpy.typing import NDArray
from scipy.stats import t as student

import curate
from curate.balancing import training_of
from curate.combining import balance, combination, invent
from curate.embedded import NO_LABEL, Embedded, open_embedded
from curate.heads import Projection, fit_projection
from curate.project import Project
from curate.settings import RebalanceSettings, load_settings
from curate.splitting import assign
from curate.strategies import Balance, Floats, Ints, Strategy, Training, all_strategies, untouched
from curate.what_if import probe
from processes import data_folder

Doubles = NDArray[np.float64]

SEEDS = 5
FRACTIONS = {"train": 0.6, "test": 0.4}
SAMPLE = Path(__file__).parents[1] / "sample_datasets" / "road_signs"
TAIL = (50, 1)  # training pictures of the largest and of the smallest class
COMBINED = (
    ("tomek-links", "random-over"),
    ("edited-neighbours", "random-over"),
    ("redundant-first", "random-over"),
    ("redundant-first", "random-over", "effective-number"),
    ("random-over", "inverse-frequency"),
)

PLAIN = {"plain random under": RandomUnderSampler, "plain random over": RandomOverSampler}
FIGURES = ("balanced accuracy", "worst recall")


@dataclass(frozen=True)
class Trial:
    """Training pictures of one seed, and the test pictures (T, D) with their true labels (T,)."""

    training: Training
    vectors: Floats
    labels: Ints


def embedded_folder(folder: Path, spec: str, store: Path) -> Embedded:
    """A folder, cleaned, flagged and embedded."""
    changes = {"models.backbone": spec}
    curate.clean(folder, store=store)
    curate.flag(folder, store=store, changes=changes)
    project = Project.at(folder, store)
    with project.writing("benchmark"):
        return open_embedded(project, None, load_settings(None, changes))


def true_labels(embedded: Embedded, key: Path | None) -> Ints:
    """(N,) the class of each picture by the key; by its label where there is no key."""
    if key is None:
        return embedded.labels
    with key.open(newline="", encoding="utf-8") as file:
        truth = {row["path"]: row["true_label"] for row in csv.DictReader(file)}
    place = {name: number for number, name in enumerate(embedded.classes)}
    return np.array([place.get(truth[path], NO_LABEL) for path in embedded.rows["path"]], np.int64)


def trials(embedded: Embedded, truth: Ints, has_tail: bool) -> Iterator[Trial]:
    """One per seed."""
    digests = list(embedded.rows["sha256"])
    for seed in range(SEEDS):
        dealt = assign(embedded.groups, embedded.labels, digests, FRACTIONS, [None] * len(digests), str(seed))
        names = np.array(dealt.splits)
        rows = np.flatnonzero((names == "train") & (embedded.labels != NO_LABEL))
        rows = rows[np.argsort(embedded.rows["sha256"].to_numpy(str)[rows], kind="stable")]
        training = training_of(embedded, rows, str(seed))
        asked = (names == "test") & (truth != NO_LABEL)
        yield Trial(with_tail(training, seed) if has_tail else training, embedded.vectors[asked], truth[asked])


def with_tail(training: Training, seed: int) -> Training:
    """As many of each class as a geometric row from 50 to 1 says, of different pictures."""
    random = np.random.default_rng(seed)
    sizes = np.geomspace(*TAIL, len(training.classes)).round().astype(int)
    kept = []
    for label, size in zip(random.permutation(len(sizes)), sizes, strict=True):
        rows = np.flatnonzero((training.labels == label) & ~training.copies(np.ones(len(training), bool)))
        kept.append(rows[np.argsort(training.chance[rows], kind="stable")][:size])
    return training.only(np.sort(np.concatenate(kept)))


def ways() -> dict[str, Callable[[Training], tuple[Training, Balance]]]:
    """Name -> what is trained on, and how it counts."""
    settings = RebalanceSettings()
    found: dict[str, Callable[[Training], tuple[Training, Balance]]] = {"none": lambda one: (one, untouched(one))}
    for name, sampler in PLAIN.items():
        found[name] = lambda one, sampler=sampler: (one, _plain(one, sampler))
    for names in [*((name,) for name in all_strategies()), *COMBINED]:
        found[" + ".join(names)] = lambda one, names=names: _ours(one, names, settings)
    return found


def _plain(training: Training, sampler: type) -> Balance:
    made = sampler(random_state=0)
    made.fit_resample(training.vectors, training.labels)
    repeat = np.bincount(made.sample_indices_, minlength=len(training))
    return Balance(repeat.astype(np.int64), np.ones(len(training)))


def _ours(training: Training, names: Sequence[str], settings: RebalanceSettings) -> tuple[Training, Balance]:
    chosen = combination(names)
    strategies = tuple(one for one in chosen if isinstance(one, Strategy))
    if len(strategies) == len(chosen):
        return training, balance(training, strategies, settings)
    made, how, _ = invent(training, chosen, settings)
    return made, how


def figures(trial: Trial, projection: Projection, made: Training, how: Balance) -> tuple[float, float]:
    """Balanced accuracy and the recall of the worst class, on the test pictures."""
    said = probe(made, projection(made.vectors), how, projection(trial.vectors))
    right = said == trial.labels
    recalls = [float(right[trial.labels == label].mean()) for label in np.unique(trial.labels)]
    return float(np.mean(recalls)), min(recalls)


def corrected(changes: Doubles, ratio: float) -> tuple[float, float]:
    """Mean and half width of the 95 % interval of (S,) differences over splits that share their pictures.

    Nadeau and Bengio 2003, "Inference for the generalization error": the variance grows by the test : train ratio.
    """
    variance = float(changes.var(ddof=1)) * (1 / len(changes) + ratio)
    return float(changes.mean()), float(student.ppf(0.975, len(changes) - 1)) * variance**0.5


def measure(title: str, found: Sequence[Trial]) -> list[str]:
    """The lines of one data set and model."""
    scores: dict[str, list[tuple[float, float]]] = {}
    sizes: dict[str, list[int]] = {}
    for trial in found:
        projection = fit_projection(trial.training.vectors)
        for name, way in ways().items():
            made, how = way(replace(trial.training))
            scores.setdefault(name, []).append(figures(trial, projection, made, how))
            sizes.setdefault(name, []).append(int(how.repeat.sum()))
    train = np.stack([np.bincount(one.training.labels, minlength=len(one.training.classes)) for one in found])
    ratio = FRACTIONS["test"] / FRACTIONS["train"]
    size = train.sum(axis=1).mean()
    head = f"{title}: {size:,.0f} training pictures, {train[train > 0].min()} to {train.max()} per class"
    lines = [f"{head}; {len(found[0].labels):,} test pictures"]
    for name, values in scores.items():
        peer = "plain random over" if raises(name) else "plain random under"
        lines.append(line(name, sizes[name], np.array(values), np.array(scores["none"]), np.array(scores[peer]), ratio))
    return [*lines, ""]


def raises(name: str) -> bool:
    """Whether small classes count more than they are, rather than large ones being cut."""
    kinds = {one.kind for part in name.split(" + ") if (one := all_strategies().get(part)) is not None}
    return bool(kinds & {"up", "weight"})


def line(name: str, sizes: Sequence[int], values: Doubles, none: Doubles, peer: Doubles, ratio: float) -> str:
    """values, none, peer: (S, 2) figures of each seed."""
    cells = []
    for place in range(len(FIGURES)):
        cells.append(f"{100 * values[:, place].mean():9.1f}")
        for other, is_itself in ((none, name == "none"), (peer, name in ("none", *PLAIN))):
            mean, half = corrected(100 * (values[:, place] - other[:, place]), ratio)
            mark = "*" if abs(mean) > half else " "
            cells.append(" " * 16 if is_itself else f"{mean:+7.1f} +-{half:4.1f}{mark} ")
    return f"  {name:50}{np.mean(sizes):7.0f}" + "".join(cells).rstrip()


COLUMNS = ("balanced", "to none", "to plain", "worst", "to none", "to plain")
HEADING = (
    "Balanced accuracy and recall of the worst class on test pictures, in %, mean of five splits. Then the difference",
    "to none, and to imbalanced-learn's random sampler: that which leaves out for what does the same, else that which",
    "repeats.",
    "+- is half the 95 % interval over the splits (Student's t, corrected after Nadeau and Bengio 2003); * marks what",
    "does not hold 0. With some 300 of such intervals a few do so by chance.",
    "",
    f"  {'strategy':50}{'epoch':>7}"
    + "".join(f"{name:>{16 if place % 3 else 9}}" for place, name in enumerate(COLUMNS)),
)


def report(data: Path) -> list[str]:
    """All lines. data: the folder with caltech12 and models."""
    models = {"MobileNetV2": str(data / "models" / "mobilenetv2.onnx"), "classic": "classic"}
    folders = {"caltech12": (data / "caltech12", None), "road signs": (SAMPLE, SAMPLE.with_suffix(".key.csv"))}
    lines = list(HEADING)
    with tempfile.TemporaryDirectory() as stores:
        for name, (folder, key) in folders.items():
            for model, spec in models.items():
                embedded = embedded_folder(folder, spec, Path(stores) / name)
                truth = true_labels(embedded, key)
                for has_tail in (False, True):
                    title = f"{name}{', long tail' if has_tail else ''}, {model}"
                    lines += measure(title, list(trials(embedded, truth, has_tail)))
    return lines


def main() -> None:
    """Print the report."""
    data = data_folder(__doc__, "caltech12")
    sys.stdout.write("\n".join(report(data)) + "\n")


if __name__ == "__main__":
    main()
