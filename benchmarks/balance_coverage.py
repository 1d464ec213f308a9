"""How often the intervals of `curate prove` hold 0 where they should, and where they should not.

Part of balance.py; alone: python benchmarks/balance_coverage.py   (needs no data; some five minutes of CPU)

Made-up versions: classes are clouds of points, a tenth of the labels or more is wrong by chance. Where both versions
are drawn alike, 95 of 100 intervals of 95 % should hold 0. In the last two lines one of them has more wrong labels.
"""

from __future__ import annotations

import hashlib
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from curate.comparing import Comparison, compare
from curate.contest import Contest, Side, asked_again, linear_probe

TRIALS = 100
DIMENSIONS = 16
RARE = (0.6, 0.2, 0.1, 0.07, 0.03)


@dataclass(frozen=True)
class Setting:
    """Two versions of `learnt` pictures each, `shared` of them in both, judged by `test` others (0 = out of fold).

    noise: share of labels drawn anew, in both. extra: in the first one besides. apart: how far the classes are.
    """

    name: str
    learnt: int = 200
    test: int = 100
    classes: int = 4
    shared: float = 0.0
    noise: float = 0.1
    extra: float = 0.0
    apart: float = 1.0
    repeats: int = 10
    shares: tuple[float, ...] | None = None


USUAL = Setting("usual")
SETTINGS = (
    replace(USUAL, name="no wrong labels", noise=0.0),
    replace(USUAL, name="20 repeats", repeats=20),
    replace(USUAL, name="3 repeats", repeats=3),
    replace(USUAL, name="80 % of the pictures shared", shared=0.8),
    replace(USUAL, name="30 % wrong labels", noise=0.3, learnt=300, test=150),
    replace(USUAL, name="rare classes", classes=5, shared=0.5, test=80, shares=RARE),
    replace(USUAL, name="12 test pictures", classes=3, shared=0.5, test=12),
    replace(USUAL, name="2,000 test pictures", learnt=400, test=2000),
    replace(USUAL, name="hard classes", apart=0.3),
    replace(USUAL, name="20 classes", learnt=400, test=200, classes=20),
    replace(USUAL, name="cross-validated", learnt=150, shared=1.0, test=0, repeats=5),
    replace(USUAL, name="20 % more wrong labels in A", learnt=300, test=150, noise=0.0, extra=0.2, apart=0.5),
    replace(USUAL, name="40 % more wrong labels in A", learnt=300, test=150, noise=0.0, extra=0.4, apart=0.5),
)


def contest(one: Setting, seed: int) -> Contest:
    """Two made-up versions."""
    random = np.random.default_rng(seed)
    both = int(one.learnt * one.shared)
    learnt = 2 * one.learnt - both
    count = learnt + one.test
    truth = random.choice(one.classes, count, p=one.shares)
    means = random.normal(size=(one.classes, DIMENSIONS)) * one.apart
    vectors = (means[truth] + random.normal(size=(count, DIMENSIONS))).astype(np.float32)
    vectors /= np.sqrt((vectors**2).sum(axis=1).mean())
    labels = [
        np.where(random.random(count) < share, random.integers(0, one.classes, count), truth)
        for share in (one.noise + one.extra, one.noise)
    ]
    if one.test:  # of cross-validated versions the labels differ
        labels[0][:both] = labels[1][:both]
    weights = np.zeros((2, count), np.float32)
    weights[0, : one.learnt] = weights[1, :both] = weights[1, one.learnt : learnt] = 1
    sides = (Side("v1", labels[0], weights[0]), Side("v2", labels[1], weights[1]))
    judged = np.where(np.arange(count) >= learnt, truth, -1) if one.test else truth
    contents = [hashlib.sha256(f"{seed} {number}".encode()).hexdigest() for number in range(count)]
    names = [f"class {number:02d}" for number in range(one.classes)]
    return Contest(contents, np.arange(count), vectors, names, sides, judged, "test" if one.test else "", {})


def trial(one: Setting, seed: int) -> Comparison:
    """What `prove` says of one pair."""
    pair = contest(one, seed)
    a, b = (asked_again(pair, side, linear_probe(pair), one.repeats, 0) for side in pair.sides)
    judges = pair.judges
    return compare(a, b, pair.truth[judges], pair.groups[judges], pair.classes)


def line(one: Setting) -> str:
    """How many of the intervals hold 0, by figure; half their width; and 1.96 times the true spread."""
    found = [trial(one, seed) for seed in range(TRIALS)]
    holds = np.mean([[figure.low <= 0 <= figure.high for figure in pair.metrics] for pair in found], axis=0)
    half = np.mean([(pair.main.high - pair.main.low) / 2 for pair in found])
    spread = 1.96 * np.std([pair.main.value for pair in found])
    shares = "".join(f"{100 * share:10.0f}" for share in holds)
    mean = np.mean([pair.main.value for pair in found])
    return f"  {one.name:30}{shares}{100 * mean:+12.1f}{100 * half:9.1f}{100 * spread:9.1f}"


def report(_: Path | None = None) -> str:
    """The table as text."""
    lines = [
        f"Intervals of 95 % that hold 0, of {TRIALS} pairs, in percent; and the balanced accuracy in points:",
        "mean difference, half the width of the interval, and what it would be if the true spread were known",
        f"  {'':30}{'balanced':>10}{'accuracy':>10}{'PR-AUC':>10}{'difference':>12}{'half':>9}{'ideal':>9}",
    ]
    return "\n".join([*lines, *map(line, SETTINGS)])


def main() -> None:
    """Print the report."""
    sys.stdout.write(report() + "\n")


if __name__ == "__main__":
    main()
