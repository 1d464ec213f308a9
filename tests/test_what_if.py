"""The what-if table: its probe learns what the balance says, and its intervals are as wide as they must be."""

from __future__ import annotations

import numpy as np
import pytest

from curate.settings import RebalanceSettings
from curate.strategies import Balance, Training, untouched
from curate.what_if import (
    balanced_accuracy,
    by_folds,
    by_validation,
    effective_size,
    most_telling,
    paired_gain,
    probe,
    what_if,
)


def training_of(sizes: list[int], apart: float = 3.0, seed: int = 0) -> Training:
    """Classes of these sizes, each a cloud of its own."""
    random = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(sizes)), sizes)
    vectors = np.eye(len(sizes), 6)[labels] * apart + random.normal(size=(len(labels), 6))
    return Training(
        vectors=vectors.astype(np.float32),
        labels=labels,
        groups=np.arange(len(labels)),
        chance=random.random(len(labels)),
        doubtful=np.zeros(len(labels), bool),
        classes=tuple(f"c{number}" for number in range(len(sizes))),
    )


def test_effective_size_is_that_of_kish() -> None:
    """Weights 1, 1, 2 and one left out: (1 + 1 + 2)^2 / (1 + 1 + 4) = 8 / 3."""
    chosen = Balance(np.array([1, 1, 2, 0]), np.ones(4))

    assert effective_size(chosen) == pytest.approx(8 / 3)
    assert effective_size(Balance(np.zeros(2, np.int64), np.ones(2))) == 0


def test_repeating_everything_changes_nothing() -> None:
    """Thrice each is once each: the probe is not loosened by a larger sum of weights."""
    training = training_of([40, 8], apart=1.0)
    once = untouched(training)
    thrice = Balance(once.repeat * 3, once.weight)
    asked = training_of([50, 50], apart=1.0, seed=1).vectors

    said = probe(training, training.vectors, once, asked)

    assert said.tolist() == probe(training, training.vectors, thrice, asked).tolist()


def test_a_repeat_and_a_weight_are_the_same_to_the_probe() -> None:
    training = training_of([40, 8], apart=1.0)
    rare = training.labels == 1
    repeated = Balance(np.where(rare, 5, 1), np.ones(48))
    weighed = Balance(np.ones(48, np.int64), np.where(rare, 5.0, 1.0))
    asked = training_of([50, 50], apart=1.0, seed=1).vectors

    said = probe(training, training.vectors, repeated, asked)

    assert said.tolist() == probe(training, training.vectors, weighed, asked).tolist()


def test_of_many_pictures_the_probe_sees_all_of_small_classes() -> None:
    """25,000 and 10 of two classes far apart; a probe on every second row would see five of the ten."""
    training = training_of([25_000, 10])

    rows, mass = most_telling(training, untouched(training))

    assert (training.labels[rows] == 1).sum() == 10
    assert len(rows) == 20_000
    assert mass[training.labels[rows] == 0].sum() == pytest.approx(25_000)


def test_raising_a_small_class_is_seen_to_help_where_it_does() -> None:
    """Two overlapping classes, 300 and 12, judged by 200 of each."""
    training = training_of([300, 12], apart=1.0)
    judges = training_of([200, 200], apart=1.0, seed=1)
    trials = by_validation(training, judges.vectors, judges.labels, judges.groups)

    table = {one.names: one for one in what_if(training, trials, (), RebalanceSettings())}

    assert table[("inverse-frequency",)].verdict == "better"
    assert table[()].verdict == ""


def test_folds_judge_every_picture_of_a_class_with_two() -> None:
    """And none of the class with one, which nobody could know."""
    training = training_of([10, 5, 1])

    trials = by_folds(training)

    assert sorted(np.concatenate([one.labels for one in trials]).tolist()) == [0] * 10 + [1] * 5
    assert all(not set(one.groups) & set(one.training.groups) for one in trials)


def test_classes_that_training_lacks_do_not_judge() -> None:
    training = training_of([10, 5])

    trials = by_validation(training, training.vectors[:3], np.array([0, 1, 7]), np.arange(3))

    assert trials[0].labels.tolist() == [0, 1]


def test_three_of_three_right_is_no_certainty() -> None:
    labels = np.array([0, 0, 0, 1, 1, 1])

    found = balanced_accuracy(np.ones(6, bool), labels, np.arange(6))

    assert found.value == found.high == 1
    assert found.low < 0.9


def test_no_change_is_a_gain_of_nothing_with_some_doubt() -> None:
    right, labels = np.ones(20, bool), np.repeat([0, 1], 10)

    found = paired_gain(right, right, labels, np.arange(20))

    assert found.value == 0
    assert found.low < 0 < found.high


def test_copies_do_not_make_an_interval_narrower() -> None:
    """A hundred copies of one judged picture are one picture."""
    right, labels = np.repeat([True, False, True, False], 50), np.repeat([0, 1], 100)

    alone = balanced_accuracy(right, labels, np.arange(200))
    copies = balanced_accuracy(right, labels, np.repeat(np.arange(4), 50))

    assert copies.high - copies.low > 3 * (alone.high - alone.low)


def test_intervals_hold_the_truth_about_as_often_as_they_claim() -> None:
    """Four classes of 5 to 60 pictures; each answer is right by chance, and improved or spoilt by chance."""
    random = np.random.default_rng(0)
    labels = np.repeat(np.arange(4), [60, 25, 10, 5])
    share, better, worse = np.array([0.9, 0.8, 0.7, 0.6]), np.full(4, 0.06), np.array([0.0, 0.02, 0.04, 0.06])
    held = np.zeros(2)
    for _ in range(200):
        before = random.random(100) < share[labels]
        lot = random.random(100)
        after = np.where(before, lot >= (worse / share)[labels], lot < (better / (1 - share))[labels])
        gain = paired_gain(after, before, labels, np.arange(100))
        score = balanced_accuracy(after, labels, np.arange(100))
        held += [gain.low <= 0.03 <= gain.high, score.low <= 0.78 <= score.high]

    assert (held / 200 >= 0.9).all()
