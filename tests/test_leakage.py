"""The audit finds what test and training share, and what a nearest neighbour gains by it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from curate.leakage import Leakage, Share, audit

Floats = NDArray[np.float32]


def table_of(count: int, **columns: Sequence[str | None]) -> pd.DataFrame:
    """Rows 0.jpg, 1.jpg, … of different contents, unless the columns say otherwise."""
    names = [str(number) for number in range(count)]
    return pd.DataFrame({"path": [f"{name}.jpg" for name in names], "sha256": names, **columns}).astype("str")


def counted(splits: Sequence[str | None], groups: Sequence[int], **columns: Sequence[str | None]) -> Leakage:
    count = len(splits)
    table = table_of(count).assign(**{name: pd.Series(list(values), dtype="str") for name, values in columns.items()})
    return audit(table, splits, np.array(groups), None, np.zeros(count, np.int64))


def test_an_exact_copy_in_training_is_found_and_shown() -> None:
    found = counted(["train", "test", "test"], [0, 0, 1], sha256=["a", "a", "b"])

    (test,) = found.splits
    assert (test.split, test.pictures, test.exact, test.near, test.group) == ("test", 2, 1, 0, 0)
    assert found.pairs.to_dict("records") == [
        {"path": "1.jpg", "split": "test", "other": "0.jpg", "relation": "exact copy"}
    ]


def test_a_near_copy_in_training_is_found() -> None:
    found = counted(["train", "test"], [0, 0], duplicate_group=["0.jpg", "0.jpg"])

    assert found.pairs["relation"].tolist() == ["near copy"]


def test_another_shot_of_the_same_burst_in_training_is_found() -> None:
    found = counted(["test", "train"], [5, 5], duplicate_group=[None, None])

    assert found.pairs["relation"].tolist() == ["same group"]


def test_each_picture_counts_once_by_its_nearest_relation() -> None:
    """2.jpg has an exact copy, a near copy and is of one group with both."""
    found = counted(
        ["train", "train", "test"], [0, 0, 0], sha256=["x", "a", "a"], duplicate_group=["0.jpg", "0.jpg", "0.jpg"]
    )

    assert found.leaked == 1
    assert found.pairs[["other", "relation"]].to_numpy().tolist() == [["1.jpg", "exact copy"]]


def test_copies_within_training_or_within_test_leak_nothing() -> None:
    assert counted(["train", "train", "test", "test"], [0, 0, 1, 1]).leaked == 0


def test_copies_in_no_split_leak_nothing() -> None:
    found = counted([None, "train", "test", float("nan")], [0, 1, 0, 1])  # type: ignore[list-item]  # NA of a table

    assert found.leaked == 0
    assert [one.split for one in found.splits] == ["test"]


def test_files_that_could_not_be_read_are_no_copies_of_each_other() -> None:
    found = counted(["train", "test"], [0, 1], sha256=["", ""], duplicate_group=[None, None])

    assert found.leaked == 0


def test_every_split_is_judged_test_first() -> None:
    found = counted(["train", "val", "test", "extra"], [0, 0, 1, 0])

    assert [(one.split, one.leaked) for one in found.splits] == [("test", 0), ("extra", 1), ("val", 1)]


def test_without_training_pictures_it_says_so() -> None:
    found = counted(["val", "test"], [0, 0])

    assert found.note == "No picture is in the split 'train', so nothing can leak from it."
    assert found.leaked == 0


def noise(leaked: int, clean: int) -> Leakage:
    """Vectors that say nothing of the labels, but copies of some test pictures in training: only those are known."""
    random = np.random.default_rng(0)
    train = random.normal(size=(200, 16)).astype(np.float32)
    test = np.concatenate([train[:leaked], random.normal(size=(clean, 16)).astype(np.float32)])
    groups = np.concatenate([np.arange(200), np.arange(leaked), 1000 + np.arange(clean)])
    labels = random.integers(0, 10, 200 + leaked + clean)
    labels[200 : 200 + leaked] = labels[:leaked]
    count = len(labels)
    splits = ["train"] * 200 + ["test"] * (leaked + clean)
    return audit(table_of(count), splits, groups, np.concatenate([train, test]), labels)


def test_what_is_learned_by_heart_is_measured() -> None:
    """50 of 100 are copies and answered rightly; without them one in ten is, by chance."""
    gain = noise(leaked=50, clean=50).splits[0].gain

    assert gain is not None
    assert (gain.leaked.count, gain.leaked.total) == (50, 50)
    assert gain.clean.value < 0.25
    assert gain.leaked_alone.value < 0.25
    assert gain.gain == pytest.approx(0.45, abs=0.06)
    assert gain.interval[0] < gain.gain < gain.interval[1]
    assert gain.interval[0] > 0.35


def test_without_leaks_the_gain_is_zero_for_certain() -> None:
    gain = noise(leaked=0, clean=60).splits[0].gain

    assert gain is not None
    assert (gain.gain, gain.interval) == (0.0, (0.0, 0.0))


def test_a_gain_of_zero_on_a_few_leaked_pictures_is_not_certain() -> None:
    """Two clusters, far apart: copies are answered rightly, with their copy and without."""
    vectors = np.eye(2, dtype=np.float32)[[0, 0, 0, 1, 1, 1]]
    table = table_of(6)
    splits = ["train", "train", "test"] * 2

    gain = audit(table, splits, np.array([0, 1, 0, 2, 3, 2]), vectors, np.array([0, 0, 0, 1, 1, 1])).splits[0].gain

    assert gain is not None
    assert gain.gain == 0
    assert gain.interval[0] < 0 < gain.interval[1]


def test_pictures_of_one_burst_count_as_one_in_the_interval() -> None:
    """Forty leaked pictures of two bursts say less than of forty."""
    random = np.random.default_rng(0)
    vectors = random.normal(size=(80, 8)).astype(np.float32)
    vectors[40:] = vectors[:40]
    labels = np.tile(np.arange(40), 2)
    splits = ["train"] * 40 + ["test"] * 40

    def width(groups: NDArray[np.int64]) -> float:
        gain = audit(table_of(80), splits, groups, vectors, labels).splits[0].gain
        assert gain is not None
        return gain.interval[1] - gain.interval[0]

    assert width(np.arange(80) % 2) > 2 * width(np.arange(80) % 40)


def test_a_group_larger_than_the_search_is_left_out_whole() -> None:
    """Fifty copies in training stand between the test picture and the first stranger, who has its label."""
    vectors = np.concatenate([np.tile([1.0, 0.0], (51, 1)), [[0.9, 0.1]]]).astype(np.float32)
    labels = np.array([0] + [1] * 50 + [0])
    groups = np.array([7] * 51 + [8])

    gain = audit(table_of(52), ["test", *["train"] * 51], groups, vectors, labels).splits[0].gain

    assert gain is not None
    assert (gain.leaked.count, gain.leaked_alone.count) == (0, 1)


def test_unlabelled_pictures_and_those_without_a_vector_are_counted_but_not_asked() -> None:
    vectors = np.array([[1, 0], [1, 0], [1, 0], [0, 0]], np.float32)

    found = audit(
        table_of(4), ["train", "test", "test", "test"], np.zeros(4, np.int64), vectors, np.array([0, 0, -1, 0])
    )

    (test,) = found.splits
    assert test.leaked == 3
    assert test.gain is not None
    assert test.gain.overall.total == 1


def test_an_interval_is_wilsons() -> None:
    """Worked out by hand: 8 of 10."""
    low, high = Share(8, 10).interval

    assert (round(low, 3), round(high, 3)) == (0.490, 0.943)


def test_the_interval_of_nothing_is_everything() -> None:
    assert Share(0, 0).interval == (0.0, 1.0)
