"""Figures per class say what accuracy over all pictures hides."""

from __future__ import annotations

import numpy as np
import pytest

from curate.class_figures import figures_of

NAMES = ["cat", "dog", "lynx"]
LABELS = np.array([0, 0, 0, 0, 1, 1, 2, 2])
# Right are three cats, both dogs and one lynx; a cat is called a dog, a lynx a cat.
SAID = np.array(
    [
        [0.8, 0.1, 0.1],
        [0.7, 0.2, 0.1],
        [0.6, 0.3, 0.1],
        [0.2, 0.7, 0.1],
        [0.1, 0.8, 0.1],
        [0.3, 0.6, 0.1],
        [0.1, 0.1, 0.8],
        [0.5, 0.1, 0.4],
    ],
    np.float32,
)
PATHS = [f"{number}.jpg" for number in range(8)]


def test_recall_precision_and_balanced_accuracy() -> None:
    found = figures_of(SAID, LABELS, NAMES, PATHS)

    told = {one.name: (one.pictures, one.said, one.recall, one.precision) for one in found.classes}
    assert told == {"cat": (4, 4, 0.75, 0.75), "dog": (2, 3, 1.0, 2 / 3), "lynx": (2, 1, 0.5, 1.0)}
    assert found.accuracy == 6 / 8
    assert found.balanced_accuracy == 0.75


def test_pr_auc_is_sklearns_average_precision() -> None:
    from sklearn.metrics import average_precision_score

    found = figures_of(SAID, LABELS, NAMES, PATHS)

    expected = [average_precision_score(one == LABELS, SAID[:, one]) for one in range(3)]
    assert [one.pr_auc for one in found.classes] == pytest.approx(expected)
    assert found.pr_auc == pytest.approx(np.mean(expected))


def test_a_rare_class_full_of_false_alarms_looks_good_by_roc_alone() -> None:
    """2 of 1,000 are lynxes; both are found, among 18 other alarms: nine of ten alarms are wrong."""
    labels = np.zeros(1000, int)
    labels[:2] = 1
    said = np.full((1000, 2), [0.9, 0.1], np.float32)
    said[:20] = [0.1, 0.9]

    lynx = figures_of(said, labels, ["none", "lynx"], [""] * 1000).classes[1]

    assert lynx.roc_auc == pytest.approx(0.991, abs=0.001)
    assert lynx.precision == 0.1
    assert lynx.pr_auc == pytest.approx(0.1)


def test_confusions_name_the_surest_mistakes_first() -> None:
    labels = np.array([0, 0, 0, 1])
    said = np.array([[0.4, 0.6], [0.1, 0.9], [0.9, 0.1], [0.6, 0.4]], np.float32)

    found = figures_of(said, labels, ["cat", "dog"], ["a.jpg", "b.jpg", "c.jpg", "d.jpg"]).confusions

    assert [(one.label, one.said, one.pictures, one.paths) for one in found] == [
        ("cat", "dog", 2, ("b.jpg", "a.jpg")),
        ("dog", "cat", 1, ("d.jpg",)),
    ]
    assert found[0].share == 2 / 3


def test_recall_has_the_exact_interval() -> None:
    """Of two pictures both right: the true share may be as low as .158 (.025 ** (1 / 2))."""
    dog = figures_of(SAID, LABELS, NAMES, PATHS).classes[1]

    assert dog.recall_interval == pytest.approx((0.1581, 1.0), abs=1e-4)


def test_a_class_that_is_never_said_has_no_precision() -> None:
    said = np.array([[0.9, 0.1], [0.8, 0.2]], np.float32)

    assert figures_of(said, np.array([0, 1]), ["cat", "dog"], ["", ""]).classes[1].precision is None


def test_a_single_class_has_no_roc() -> None:
    found = figures_of(np.array([[1.0]], np.float32), np.array([0]), ["cat"], [""])

    assert found.roc_auc is None
    assert found.balanced_accuracy == 1.0


def test_without_pictures_there_is_nothing_to_tell() -> None:
    with pytest.raises(ValueError, match="no picture"):
        figures_of(np.zeros((0, 2), np.float32), np.array([], int), ["cat", "dog"], [])
