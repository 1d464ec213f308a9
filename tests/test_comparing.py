"""Differences between two models, and intervals that hold the truth as often as they say."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from numpy.typing import NDArray

from curate.comparing import Answers, Comparison, Doubt, average_precision, compare, interval, without_doubt
from curate.contest import Contest, Side, asked_again, linear_probe

NAMES = ["cat", "dog", "owl"]


def answers(labels: list[int], right: list[bool], repeats: int = 5) -> Answers:
    """A model that is sure of itself, always gives the same answers, and takes the next class where it is wrong."""
    said = np.zeros((len(labels), 3), np.float32)
    chosen = [label if known else (label + 1) % 3 for label, known in zip(labels, right, strict=True)]
    said[np.arange(len(labels)), chosen] = 1
    precision = average_precision(said, np.array(labels))
    return Answers(said, np.tile(np.array(right), (repeats, 1)), np.repeat(precision, repeats, axis=0))


def compared(labels: list[int], a: list[bool], b: list[bool], groups: list[int] | None = None) -> Comparison:
    members = np.arange(len(labels)) if groups is None else np.array(groups)
    return compare(answers(labels, a), answers(labels, b), np.array(labels), members, NAMES)


def trial(seed: int, wrong_in_a: float = 0.0, repeats: int = 5) -> Comparison:
    """Two versions with 80 pictures each, of which 40 are in both, a tenth with wrong labels; 60 test pictures."""
    random = np.random.default_rng(seed)
    means = random.normal(size=(3, 8)) * 0.7
    truth = random.integers(0, 3, 180)
    vectors = (means[truth] + random.normal(size=(180, 8))).astype(np.float32)
    labels = [np.where(random.random(180) < 0.1, random.integers(0, 3, 180), truth) for _ in range(2)]
    labels[1][:40] = labels[0][:40]
    labels[0] = np.where(random.random(180) < wrong_in_a, (truth + 1) % 3, labels[0])
    learnt = np.zeros((2, 180), np.float32)
    learnt[0, :80] = learnt[1, :40] = learnt[1, 80:120] = 1
    sides = (Side("v1", labels[0], learnt[0]), Side("v2", labels[1], learnt[1]))
    judged = np.where(np.arange(180) >= 120, truth, -1)
    contest = Contest(names(180), np.arange(180), vectors, NAMES, sides, judged, "test", {})
    a, b = (asked_again(contest, side, linear_probe(contest), repeats, 0) for side in sides)
    return compare(a, b, judged[120:], np.arange(60), NAMES)


def names(count: int) -> list[str]:
    return [hashlib.sha256(str(number).encode()).hexdigest() for number in range(count)]


# ---- The figures


def test_rare_classes_count_as_much_as_frequent_ones_in_the_main_figure() -> None:
    """Six of six cats, one of two dogs: recalls of 1 and 1/2."""
    found = compared([0] * 6 + [1] * 2, [True] * 8, [True] * 7 + [False])

    assert found.main.name == "balanced accuracy"
    assert (found.main.a, found.main.b) == (1.0, 0.75)
    assert [(one.name, one.a, one.b) for one in found.recalls] == [("cat", 1.0, 1.0), ("dog", 1.0, 0.5)]
    assert found.pictures == (6, 2)
    assert found.metrics[1].b == 7 / 8


def test_average_precision_is_the_mean_precision_at_the_pictures_of_the_class() -> None:
    """Of four pictures, most probable first: of it, not, of it, not. Precision 1/1 and 2/3."""
    said = np.array([[0.9], [0.8], [0.7], [0.6]], np.float32)

    found = average_precision(np.hstack([said, 1 - said]), np.array([0, 1, 0, 1]))

    assert found[0, 0] == pytest.approx((1 + 2 / 3) / 2)


@pytest.mark.parametrize("digits", [1, 6])
def test_average_precision_is_that_of_scikit_learn_also_of_equal_probabilities(digits: int) -> None:
    from sklearn.metrics import average_precision_score

    random = np.random.default_rng(0)
    said, labels = random.random((200, 3)).round(digits).astype(np.float32), random.integers(0, 3, 200)

    found = average_precision(said, labels)[0]

    assert found == pytest.approx([average_precision_score(labels == one, said[:, one]) for one in range(3)])


def test_a_picture_that_counts_twice_is_as_good_as_two() -> None:
    random = np.random.default_rng(1)
    said, labels = random.random((50, 2)).astype(np.float32), random.integers(0, 2, 50)
    twice = random.integers(0, 3, 50)

    found = average_precision(said, labels, twice[None].astype(np.float64))

    assert found[0] == pytest.approx(average_precision(said.repeat(twice, 0), labels.repeat(twice))[0])


# ---- The intervals


def test_three_of_three_better_is_no_certainty() -> None:
    assert compared([0, 0, 0], [False] * 3, [True] * 3).main.better == "neither"


def test_thirty_of_thirty_better_is_one() -> None:
    assert compared([0] * 30, [False] * 30, [True] * 30).main.better == "b"


def test_copies_of_three_pictures_are_three_pictures() -> None:
    found = compared([0] * 30, [False] * 30, [True] * 30, groups=[0] * 10 + [1] * 10 + [2] * 10)

    assert found.main.better == "neither"


def test_the_worse_one_is_told_too() -> None:
    assert compared([0] * 15 + [1] * 15, [True] * 30, [False] * 30).main.better == "a"


def test_a_class_of_one_picture_borrows_its_doubt_from_the_others() -> None:
    found = compared([0] * 40 + [1], [True] * 41, [True] * 40 + [False])

    assert found.recalls[1].value == -1
    assert found.main.better == "neither"


def test_fewer_repeats_make_a_wider_interval() -> None:
    """Student's t of 1 and of 19 degrees of freedom: 12.71 and 2.09."""
    assert interval(0.0, [Doubt(0.0001, 1)])[1] == pytest.approx(0.1271, abs=1e-4)
    assert interval(0.0, [Doubt(0.0001, 19)])[1] == pytest.approx(0.0209, abs=1e-4)


def test_equal_pictures_make_no_difference_and_leave_no_doubt() -> None:
    found = without_doubt(compared([0, 1, 2], [True] * 3, [True] * 3))

    assert [(one.low, one.high) for one in (*found.metrics, *found.recalls)] == [(0.0, 0.0)] * 6


def test_two_versions_that_are_equal_but_for_luck_are_seldom_told_apart() -> None:
    """In at most 5 of 100 cases on average: of 40, 5 or more would happen in 5 % of all runs, were it exactly 5."""
    assert sum(trial(seed).main.better != "neither" for seed in range(40)) <= 4


def test_a_version_with_half_of_its_labels_wrong_is_found_out() -> None:
    assert sum(trial(seed, wrong_in_a=0.6).main.better == "b" for seed in range(10)) >= 8


def test_the_same_contest_gives_the_same_figures() -> None:
    assert trial(3) == trial(3)


def test_of_a_hundred_classes_all_are_learnt() -> None:
    """With the tolerance that ten classes need, the training would stop before its first step."""
    from curate.heads import linear

    random = np.random.default_rng(0)
    means: NDArray[np.float64] = random.normal(size=(100, 64)) / 8
    labels = random.integers(0, 100, 4000)
    vectors = (means[labels] + random.normal(size=(4000, 64)) / 40).astype(np.float32)

    said = linear(vectors[:3000], labels[:3000], vectors[3000:], 100, np.ones(3000, np.float32))

    assert (said.argmax(axis=1) == labels[3000:]).mean() > 0.95
