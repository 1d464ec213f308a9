"""How many labels `curate next` saves against choosing at random, and how many wrong labels its reviews find.

    python benchmarks/balance_next.py --data ../shared/data      (some forty minutes of CPU; prints)

Simulated labelling: of half of the pictures some get their label, batch by batch, as each way asks for them; a
classifier of its own (logistic regression on the vectors) learns from these labels and is judged on the other half.
`combined` was chosen on other pictures: classes of Caltech-101 that are not in caltech12, and other cats and dogs.
scikit-activeml's selectors see the same vectors, labels and batches; they are left out where it is not installed.
"""

from __future__ import annotations

import sys
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from curate.candidates import WAYS, candidates_of, choose
from curate.embedded import Embedded
from curate.heads import fit_projection, split
from curate.lookalikes import unit_length
from curate.progress import silent
from labels_data import Pictures, load_cifar, load_folder, seeded
from processes import data_folder

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Doubles = NDArray[np.float64]
Way = Callable[["Pool", Ints, int, int], Ints]  # pool, labelled rows, how many, seed -> rows

SEEDS = 5
STRENGTH = 3.0  # of the judging logistic regression, scikit-learn's C on vectors of mean square 1
TARGET = 2 / 3  # of the budget: what random choice has reached by then is to be reached; leaves room to be worse
DRAWS = 2_000  # of seeds, for the interval
MOST = 4_000  # pictures of CIFAR-10, for time's sake
REVIEWED = 100  # pictures that one sitting looks at


@dataclass(frozen=True)
class Plan:
    """batch: labels asked for at a time; rounds: how often, the first time among unlabelled pictures only."""

    name: str
    batch: int
    rounds: int


@dataclass(frozen=True)
class Pool:
    """Pictures that may get labels. embedded: with all labels. places: (N, d) projected. truth: (N,)."""

    embedded: Embedded
    places: Floats
    truth: Ints


@dataclass(frozen=True)
class Curves:
    """accuracy, balanced: (seeds, rounds)."""

    accuracy: Doubles
    balanced: Doubles


def embedded_of(vectors: Floats, groups: Ints, labels: Ints, classes: int) -> Embedded:
    """A version that never was on disk. labels: (N,), -1 = none."""
    names = [f"{one:03}" for one in range(classes)]
    given = pd.Series([names[one] if one >= 0 else None for one in labels], dtype="str")
    digests = [blake2b(vector.tobytes()).hexdigest() for vector in vectors]
    rows = pd.DataFrame({"path": [f"{one:06}" for one in range(len(labels))], "sha256": digests, "group": groups})
    rows = rows.assign(label=given, final_label=given)
    nowhere = cast(Any, SimpleNamespace(name="v1", folder="simulated"))
    return Embedded(nowhere, nowhere, rows, vectors, "simulated", names, labels)


def ours(way: str) -> Way:
    """A way of `curate next`, for `simulate`."""

    def ask(pool: Pool, labelled: Ints, count: int, seed: int) -> Ints:  # noqa: ARG001  ours draws no lots
        known = np.full(len(pool.truth), -1)
        known[labelled] = pool.truth[labelled]
        one = pool.embedded
        seen = embedded_of(one.vectors, one.groups, known, len(one.classes))
        scene = candidates_of(seen, "label", way, silent)
        needs_model = scene.cold and way in ("uncertainty", "class-need")
        chosen = choose(scene, "diversity" if needs_model else way, count)
        return scene.rows["path"].to_numpy()[chosen.rows].astype(np.int64)

    return ask


def at_random(pool: Pool, labelled: Ints, count: int, seed: int) -> Ints:
    """Another draw with each seed; one hash of the content is all that `--by random` has."""
    order = np.random.default_rng(seed).permutation(len(pool.truth))
    return order[~np.isin(order, labelled)][:count]


def peers() -> dict[str, Way]:
    """scikit-activeml's selectors of batches; none where it is not installed."""
    if find_spec("skactiveml") is None:
        return {}
    selectors, classifier = import_module("skactiveml.pool"), import_module("skactiveml.classifier")

    def way(name: str, options: dict[str, str], needs_model: bool) -> Way:
        def ask(pool: Pool, labelled: Ints, count: int, seed: int) -> Ints:
            known = np.full(len(pool.truth), np.nan)
            known[labelled] = pool.truth[labelled]
            if needs_model and len(np.unique(pool.truth[labelled])) < 2:
                return at_random(pool, labelled, count, seed)
            strategy = getattr(selectors, name)(random_state=seed, **options)
            classes = list(range(len(pool.embedded.classes)))
            model = classifier.SklearnClassifier(
                LogisticRegression(C=STRENGTH, max_iter=100), classes=classes, random_state=0
            )
            more = {"clf": model} if needs_model else {}
            return np.asarray(strategy.query(pool.places, known, batch_size=count, **more), np.int64)

        return ask

    return {
        "scikit-activeml margin": way("UncertaintySampling", {"method": "margin_sampling"}, needs_model=True),
        "scikit-activeml BADGE": way("Badge", {}, needs_model=True),
        "scikit-activeml DropQuery": way("DropQuery", {}, needs_model=True),
        "scikit-activeml TypiClust": way("TypiClust", {}, needs_model=False),
        "scikit-activeml CoreSet": way("CoreSet", {}, needs_model=False),
    }


def simulate(
    pictures: Pictures, way: Way, plan: Plan, seed: int, random_start: bool
) -> tuple[list[float], list[float]]:
    """Accuracy and balanced accuracy on the other half after each batch."""
    half = split(pictures.truth, pictures.copies, 2, seed + 1)
    mine, others = np.flatnonzero(half == 0), np.flatnonzero(half == 1)
    projection = fit_projection(pictures.vectors[mine])
    vectors, groups, truth = pictures.vectors[mine], pictures.copies[mine], pictures.truth[mine]
    classes = int(pictures.truth.max()) + 1
    pool = Pool(embedded_of(vectors, groups, truth, classes), unit_length(projection(vectors)), truth)
    asked, labelled = (projection(pictures.vectors[others]), pictures.truth[others]), np.empty(0, np.int64)
    figures = []
    for number in range(plan.rounds):
        ask = at_random if random_start and number == 0 else way
        labelled = np.concatenate([labelled, ask(pool, labelled, plan.batch, seed)])
        figures.append(judged(projection(vectors[labelled]), truth[labelled], *asked))
    return [one for one, _ in figures], [one for _, one in figures]


def judged(vectors: Floats, labels: Ints, asked: Floats, truth: Ints) -> tuple[float, float]:
    """Accuracy and balanced accuracy of a classifier that no way of choosing knows."""
    said = np.full(len(truth), labels[0])
    if len(np.unique(labels)) > 1:
        said = LogisticRegression(C=STRENGTH, max_iter=100, tol=1e-3).fit(vectors, labels).predict(asked)
    right = said == truth
    return float(right.mean()), float(np.mean([right[truth == one].mean() for one in np.unique(truth)]))


def needed(curve: Doubles, target: float) -> float:
    """Batches after which the curve first reaches the target, between two linearly; its length where it never does."""
    reached = np.flatnonzero(curve >= target)
    if not len(reached):
        return float(len(curve))
    place = int(reached[0])
    if place == 0:
        return 1.0
    low, high = curve[place - 1], curve[place]
    return place + float((target - low) / (high - low))


def saving(curves: Doubles, random: Doubles, plan: Plan) -> str:
    """Labels needed, as a share of what random choice needs, with an interval of 95 % over draws of the seeds."""
    target_at = round(TARGET * plan.rounds) - 1

    def ratio(seeds: Ints) -> float:
        target = float(random[seeds].mean(axis=0)[target_at])
        return needed(curves[seeds].mean(axis=0), target) / needed(random[seeds].mean(axis=0), target)

    draws = np.random.default_rng(0).integers(0, len(random), (DRAWS, len(random)))
    low, high = np.percentile([ratio(seeds) for seeds in draws], [2.5, 97.5])
    value = ratio(np.arange(len(random)))
    most = plan.rounds / (target_at + 1)
    return f"{'>' if value >= most - 1e-9 else ' '}{value:4.2f} ({low:.2f} to {high:.2f})"


def labelling(name: str, pictures: Pictures, plan: Plan, random_start: bool) -> list[str]:
    """The lines of one data set, model and start."""
    ways: dict[str, Way] = {"random": at_random}
    ways |= {f"curate {one}": ours(one) for one in WAYS if one != "random"} | peers()
    found: dict[str, Curves] = {}
    for title, way in ways.items():
        runs = np.array([simulate(pictures, way, plan, seed, random_start) for seed in range(SEEDS)])
        found[title] = Curves(runs[:, 0], runs[:, 1])
    start = "a random batch" if random_start else "nothing"
    milestones = [one for one in (1, 2, 4, 6, 8, 10) if one <= plan.rounds]
    counts = "".join(f"{one * plan.batch:>7}" for one in milestones)
    random, target_at = found["random"], round(TARGET * plan.rounds) - 1
    reached = [f"{one.mean(axis=0)[target_at]:.1%}" for one in (random.accuracy, random.balanced)]
    lines = [
        f"{name}, from {start}; targets: {reached[0]} accuracy, {reached[1]} balanced",
        f"  {'balanced accuracy, % at labels':30}{counts}   labels: accuracy        balanced accuracy",
    ]
    for title, one in found.items():
        cells = "".join(f"{100 * one.balanced.mean(axis=0)[place - 1]:7.1f}" for place in milestones)
        ratios = f"  {saving(one.accuracy, random.accuracy, plan)}  {saving(one.balanced, random.balanced, plan)}"
        lines.append(f"  {title:30}{cells}{ratios if title != 'random' else ''}".rstrip())
    return [*lines, ""]


def reviewing(name: str, pictures: Pictures, labels: Ints) -> list[str]:
    """How many of the first REVIEWED pictures have a wrong label, by way; how many kinds of mistake are among them."""
    seen = embedded_of(pictures.vectors, pictures.copies, labels, int(pictures.truth.max()) + 1)
    scene = candidates_of(seen, "review", "combined", silent)
    lines = [f"  {name} ({np.mean(labels != pictures.truth):.1%} of {len(labels):,} wrong)"]
    for way in WAYS:
        rows = scene.rows["path"].to_numpy()[choose(scene, way, REVIEWED).rows].astype(np.int64)
        wrong = rows[labels[rows] != pictures.truth[rows]]
        kinds = len(set(zip(labels[wrong].tolist(), pictures.truth[wrong].tolist(), strict=True)))
        lines.append(f"    {way:14}{len(wrong):4} wrong of {len(rows)}, {kinds:3} pairs of classes")
    return lines


def some(pictures: Pictures, count: int) -> Pictures:
    """The first so many."""
    labels = {name: one[:count] for name, one in pictures.labels.items()}
    return Pictures(pictures.vectors[:count], pictures.copies[:count], pictures.truth[:count], labels)


def report(data: Path) -> list[str]:
    """All lines."""
    lines = [
        f"Simulated labelling, {SEEDS} seeds. labels: needed to reach what random choice reaches with two thirds of",
        "the budget, as a share of what it needs (below 1 = labels saved; > = not reached), with an interval of 95 %",
        "over draws of the seeds.",
        *([] if find_spec("skactiveml") else ["scikit-activeml is not installed: its selectors are left out."]),
        "",
    ]
    mobile = str(data / "models" / "mobilenetv2.onnx")
    with tempfile.TemporaryDirectory() as cache, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn's and scikit-activeml's on few pictures of many classes
        for spec, model in ((mobile, "MobileNetV2"), ("classic", "classic")):
            twelve = load_folder(data / "caltech12", spec, Path(cache))
            pets = load_folder(data / "pets", spec, Path(cache))
            cifar = load_cifar(data, spec, Path(cache))
            lines += labelling(f"caltech12, {model}", twelve, Plan("caltech12", 20, 10), random_start=False)
            lines += labelling(f"caltech12, {model}", twelve, Plan("caltech12", 20, 10), random_start=True)
            lines += labelling(f"pets, {model}", pets, Plan("pets", 8, 10), random_start=False)
            lines += labelling(f"CIFAR-10, {model}", some(cifar, MOST), Plan("cifar", 40, 10), random_start=False)
            lines += [f"Wrong labels among the first {REVIEWED} pictures of `curate next --for review`, {model}"]
            lines += reviewing("CIFAR-10N, majority of three", cifar, cifar.labels["aggre"])
            lines += reviewing("CIFAR-10N, worst of three", cifar, cifar.labels["worse"])
            lines += reviewing("caltech12, made wrong at random", twelve, seeded(twelve.truth, 0))
            lines += [""]
    return lines


def main() -> None:
    """Print the report."""
    data = data_folder(__doc__, "caltech12")
    sys.stdout.write("\n".join(report(data)) + "\n")


if __name__ == "__main__":
    main()
