"""Splits keep groups whole, classes in proportion, and old pictures where they are."""

from __future__ import annotations

import hashlib
import time

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from curate.errors import SettingsError
from curate.splitting import Assignment, assign, valid_fractions

Ints = NDArray[np.int64]
FRACTIONS = {"train": 0.8, "val": 0.1, "test": 0.1}


def names(count: int, start: int = 0) -> list[str]:
    """As many digests as pictures."""
    return [hashlib.sha256(str(number).encode()).hexdigest() for number in range(start, start + count)]


def one_class(pictures: int, fractions: dict[str, float] | None = None, seed: str = "") -> Assignment:
    """A class of so many pictures that have nothing to do with each other."""
    rows = np.arange(pictures)
    return assign(rows, np.zeros_like(rows), names(pictures), fractions or FRACTIONS, [None] * pictures, seed)


def sizes(assignment: Assignment) -> dict[str, int]:
    return {split: sum(count.values()) for split, count in assignment.counts.items()}


def random_data(seed: int, pictures: int = 600) -> tuple[Ints, Ints]:
    """Groups and labels: half of the pictures in groups of 2 to some 8, of 12 classes from very rare to frequent."""
    random = np.random.default_rng(seed)
    groups = np.where(random.random(pictures) < 0.5, random.integers(0, pictures // 8, pictures), 0)
    groups = np.where(groups, groups, 10_000 + np.arange(pictures))
    shares = 2.0 ** -np.arange(12)
    label_of = random.choice(12, 10_000 + pictures, p=shares / shares.sum())
    return groups, label_of[groups]


def largest_group(groups: Ints, labels: Ints, label: int) -> int:
    return int(np.unique(groups[labels == label], return_counts=True)[1].max())


def test_a_hundred_pictures_are_split_exactly() -> None:
    assert sizes(one_class(100)) == {"train": 80, "val": 10, "test": 10}


@pytest.mark.parametrize(
    ("pictures", "train", "val", "test"),
    [(1, 1, 0, 0), (2, 1, 0, 1), (3, 2, 0, 1), (4, 2, 1, 1), (5, 3, 1, 1), (6, 4, 1, 1), (10, 8, 1, 1)],
)
def test_a_rare_class_goes_to_train_then_test_then_val(pictures: int, train: int, val: int, test: int) -> None:
    """Train keeps half of it, test gets one of two, val one of four."""
    assert sizes(one_class(pictures)) == {"train": train, "val": val, "test": test}


def test_classes_that_are_not_in_every_split_are_named() -> None:
    labels = np.array([0] * 10 + [1] * 2 + [2])

    found = assign(np.arange(13), labels, names(13), FRACTIONS, [None] * 13, "")

    assert found.lacking == {1: ["val"], 2: ["val", "test"]}


def test_a_class_whose_pictures_all_belong_together_stays_in_train() -> None:
    found = assign(np.zeros(5, np.int64), np.zeros(5, np.int64), names(5), FRACTIONS, [None] * 5, "")

    assert sizes(found) == {"train": 5, "val": 0, "test": 0}
    assert found.lacking == {0: ["val", "test"]}


def test_a_thousand_classes_of_fourteen_add_up_to_the_shares() -> None:
    """Of 1.4 pictures each class rounds to 1 or 2; the rest of one class goes to the next."""
    labels = np.repeat(np.arange(1000), 14)

    found = assign(np.arange(14_000), labels, names(14_000), FRACTIONS, [None] * 14_000, "")

    assert sizes(found) == {"train": 11_200, "val": 1_400, "test": 1_400}


@pytest.mark.parametrize("seed", range(8))
def test_no_group_straddles_splits(seed: int) -> None:
    groups, labels = random_data(seed)

    found = assign(groups, labels, names(len(groups)), FRACTIONS, [None] * len(groups), "")

    assert len(set(zip(groups.tolist(), found.splits, strict=True))) == len(np.unique(groups))


@pytest.mark.parametrize("seed", range(8))
def test_each_class_is_within_one_group_of_its_shares(seed: int) -> None:
    """Of those that have four groups or more, which is enough to be in every split."""
    groups, labels = random_data(seed)

    found = assign(groups, labels, names(len(groups)), FRACTIONS, [None] * len(groups), "")

    off = [
        abs(found.counts[split].get(label, 0) - share * (labels == label).sum()) <= largest_group(groups, labels, label)
        for label in range(12)
        for split, share in FRACTIONS.items()
        if len(np.unique(groups[labels == label])) >= 4
    ]
    assert all(off)
    assert len(off) >= 15


@pytest.mark.parametrize("seed", range(8))
def test_old_pictures_never_move_when_new_ones_come(seed: int) -> None:
    """30 % new pictures, some of them of old groups and of old and new classes."""
    groups, labels = random_data(seed)
    old = np.random.default_rng(seed).random(len(groups)) > 0.3
    digests = names(len(groups))
    first = assign(
        groups[old], labels[old], [digests[k] for k in np.flatnonzero(old)], FRACTIONS, [None] * int(old.sum()), ""
    )
    before: list[str | None] = [None] * len(groups)
    for row, split in zip(np.flatnonzero(old).tolist(), first.splits, strict=True):
        before[row] = split

    second = assign(groups, labels, digests, FRACTIONS, before, "")

    assert [second.splits[row] for row in np.flatnonzero(old)] == first.splits
    assert len(set(zip(groups.tolist(), second.splits, strict=True))) == len(np.unique(groups))
    assert max(abs(off) for off in second.deviations.values()) < 0.02
    assert second.new == int((~old).sum())


def test_pictures_that_come_one_by_one_are_balanced_too() -> None:
    splits: list[str] = []
    for count in range(1, 101):
        before = [*splits, None]
        rows = np.arange(count)
        splits = assign(rows, np.zeros_like(rows), names(count), FRACTIONS, before, "").splits

    assert {name: splits.count(name) for name in FRACTIONS} == {"train": 80, "val": 10, "test": 10}


def test_the_order_of_the_rows_does_not_matter() -> None:
    groups, labels = random_data(3)
    digests = names(len(groups))
    order = np.random.default_rng(0).permutation(len(groups))

    there = assign(groups, labels, digests, FRACTIONS, [None] * len(groups), "s").splits
    here = assign(groups[order], labels[order], [digests[k] for k in order], FRACTIONS, [None] * len(groups), "s")

    assert here.splits == [there[k] for k in order]


def test_the_numbers_of_the_groups_do_not_matter() -> None:
    groups, labels = random_data(3)
    digests = names(len(groups))

    there = assign(groups, labels, digests, FRACTIONS, [None] * len(groups), "s").splits

    assert assign(99_999 - groups, labels, digests, FRACTIONS, [None] * len(groups), "s").splits == there


def test_the_same_pictures_are_split_alike_on_every_machine() -> None:
    """Worked out once; if this changes, so do the splits of people who repeat their work."""
    assert "".join(split[1] for split in one_class(20, seed="a").splits) == "rrarrrrrrrrrrrrarree"


def test_another_seed_gives_another_split() -> None:
    assert one_class(100, seed="a").splits != one_class(100, seed="b").splits


def test_train_val_and_test_are_alike() -> None:
    """Which pictures come to test is chance: their numbers, which mean nothing, have the mean of all."""
    found = one_class(20_000)

    mean = np.flatnonzero(np.array(found.splits) == "test").mean()
    assert abs(mean - 10_000) < 400  # 3 standard errors of 2,000 of them


def test_a_new_copy_follows_its_original() -> None:
    groups = np.array([*range(50), 7])

    found = assign(groups, np.zeros(51, np.int64), names(51), FRACTIONS, [*one_class(50).splits, None], "")

    assert found.splits[50] == found.splits[7]


def test_new_pictures_of_a_group_that_straddles_go_to_train_and_it_is_told() -> None:
    """Nothing moves, and a test picture more would be one more that training knows."""
    found = assign(np.zeros(3, np.int64), np.zeros(3, np.int64), names(3), FRACTIONS, ["test", "train", None], "")

    assert found.splits == ["test", "train", "train"]
    (conflict,) = found.conflicts
    assert (conflict.group, conflict.splits, conflict.rows, conflict.joined) == (0, ["train", "test"], [0, 1], "train")


def test_a_split_that_is_not_asked_for_keeps_its_pictures() -> None:
    """And takes no part in the shares: the others are split 3 to 1."""
    before = ["holdout"] * 4 + [None] * 8

    found = assign(np.arange(12), np.zeros(12, np.int64), names(12), {"train": 0.75, "test": 0.25}, before, "")

    assert sizes(found) == {"train": 6, "test": 2, "holdout": 4}


def test_a_share_of_zero_gets_nothing() -> None:
    assert sizes(one_class(20, {"train": 0.8, "val": 0.0, "test": 0.2})) == {"train": 16, "val": 0, "test": 4}


def test_everything_may_be_one_split() -> None:
    assert sizes(one_class(5, {"test": 1.0})) == {"test": 5}


def test_splits_of_other_names_are_dealt_alike() -> None:
    assert sizes(one_class(30, {"a": 0.5, "b": 0.3, "c": 0.2})) == {"a": 15, "b": 9, "c": 6}


def test_unlabelled_pictures_are_split_by_the_shares_alone() -> None:
    found = assign(np.arange(2), np.full(2, -1), names(2), FRACTIONS, [None, None], "")

    assert sizes(found) == {"train": 2, "val": 0, "test": 0}
    assert found.lacking == {}


def test_a_group_of_two_classes_counts_for_both() -> None:
    groups = np.repeat(np.arange(20), 2)  # each group one picture of either class
    labels = np.tile([0, 1], 20)

    found = assign(groups, labels, names(40), FRACTIONS, [None] * 40, "")

    assert found.counts == {"train": {0: 16, 1: 16}, "val": {0: 2, 1: 2}, "test": {0: 2, 1: 2}}


@pytest.mark.parametrize("seed", range(20))
def test_a_class_of_one_large_group_and_three_pictures_is_in_every_split(seed: int) -> None:
    """Left to chance, val or test would get all three of them in one of four cases."""
    groups = np.array([0] * 97 + [1, 2, 3])

    found = assign(groups, np.zeros(100, np.int64), names(100), FRACTIONS, [None] * 100, str(seed))

    assert found.lacking == {}


def test_one_burst_does_not_fill_the_test_split() -> None:
    """Ten shots would fit, but a test of one scene says little of others."""
    groups = np.array([0] * 10 + list(range(1, 91)))

    labels, before = np.zeros(100, np.int64), [None] * 100

    found = {assign(groups, labels, names(100), FRACTIONS, before, str(seed)).splits[0] for seed in range(40)}

    assert found == {"train"}


def test_the_missing_values_of_tables_are_no_splits() -> None:
    before = pd.Series(["test", None, ""], dtype="str").tolist()

    found = assign(np.arange(3), np.zeros(3, np.int64), names(3), {"train": 1.0}, before, "")

    assert found.splits == ["test", "train", "train"]


def test_no_pictures_need_no_splits() -> None:
    nothing = np.empty(0, np.int64)

    assert assign(nothing, nothing, [], FRACTIONS, [], "").splits == []


def test_how_far_the_shares_are_off_is_told() -> None:
    found = assign(np.array([0, 0, 0, 1]), np.zeros(4, np.int64), names(4), {"train": 0.5, "test": 0.5}, [None] * 4, "")

    assert found.shares == {"train": 0.75, "test": 0.25}
    assert found.deviations == {"train": 0.25, "test": -0.25}
    assert found.worst_class() == (0, "train", 1.0)


def test_a_hundred_thousand_pictures_are_split_in_seconds() -> None:
    random = np.random.default_rng(0)
    groups = np.where(random.random(100_000) < 0.3, random.integers(0, 10_000, 100_000), 10_000 + np.arange(100_000))
    labels = random.integers(0, 500, 110_000)[groups]
    digests = names(100_000)

    started = time.process_time()
    assign(groups, labels, digests, FRACTIONS, [None] * 100_000, "")

    assert time.process_time() - started < 3


@pytest.mark.parametrize(
    ("fractions", "says"),
    [
        ({"train": 0.8, "val": 0.1}, r"\(train 0.8 \+ val 0.1\) add up to 0.9"),
        ({"train": 80, "test": 20}, "'train' is 80"),
        ({"train": 1.5, "test": -0.5}, "'train' is 1.5"),
        ({"train": float("nan"), "test": 1}, "'train' is nan"),
        ({" ": 1.0}, "' ' can't be the name"),
        ({}, r"\(none\) add up to 0"),
    ],
)
def test_shares_that_do_not_add_up_are_refused(fractions: dict[str, float], says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        valid_fractions(fractions)


def test_thirds_add_up() -> None:
    assert valid_fractions({"train": 0.3333333, "val": 0.3333333, "test": 0.3333334})["val"] == 0.3333333
