"""The few largest of many: what sorting all would give, and nothing missed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from curate.largest import CROWD, PEAKS, at_least, largest

WIDE = 40 * PEAKS  # columns enough that maxima of parts are used, for a few


@pytest.mark.parametrize("columns", [7, 2 * PEAKS * 3 - 1, WIDE, WIDE + 1, 10 * WIDE + 17])
@pytest.mark.parametrize("k", [1, 3, 7])
def test_the_largest_are_those_that_sorting_puts_first(columns: int, k: int) -> None:
    values = np.random.default_rng(columns).normal(size=(9, columns)).astype(np.float32)

    assert largest(values, k).tolist() == np.argsort(-values, axis=1, kind="stable")[:, :k].tolist()


@settings(max_examples=60, deadline=None)
@given(some.integers(0, 2**32 - 1), some.integers(1, 5), some.integers(1, 4))
def test_equal_ones_come_by_column(seed: int, k: int, kinds: int) -> None:
    """Few different values: most are equal, in every part."""
    values = np.random.default_rng(seed).integers(0, kinds, (5, WIDE)).astype(np.float32)

    assert largest(values, k).tolist() == np.argsort(-values, axis=1, kind="stable")[:, :k].tolist()


def test_neighbours_in_a_row_hide_nothing() -> None:
    """Pictures come by class, so that the nearest of one lie next to each other."""
    values = np.zeros((2, WIDE), np.float32)
    values[0, 100:140] = np.arange(1, 41)
    values[1, -40:] = np.arange(1, 41)

    assert largest(values, 5).tolist() == [[139, 138, 137, 136, 135], [WIDE - 1 - place for place in range(5)]]


def test_those_within_the_slack_are_found_and_those_below_the_floor_are_not() -> None:
    values = np.full((1, WIDE), -np.inf, np.float32)
    values[0, [3, 50, 600]] = 0.9, 0.7, 0.65

    assert at_least(values, 2, slack=0.1)[1].tolist() == [3, 50, 600]
    assert at_least(values, 2, slack=0.01)[1].tolist() == [3, 50]
    assert at_least(values, 5, floor=-2)[1].tolist() == [3, 50, 600]


def test_of_hundreds_of_equal_ones_the_first_do_and_other_rows_stay_in_order() -> None:
    values = np.random.default_rng(0).normal(size=(3, WIDE)).astype(np.float32)
    values[1] = 0.5

    rows, columns = at_least(values, 4)

    assert rows.tolist() == sorted(rows.tolist())
    assert columns[rows == 1].tolist() == [0, 1, 2, 3]
    assert np.bincount(rows).max() <= CROWD * 4
