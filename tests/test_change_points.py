"""A change is found where it is, and a series that does not change has none."""

from __future__ import annotations

import numpy as np

from curate.change_points import change_point


def test_a_drop_is_found_where_it_is() -> None:
    values = np.array([1.0] * 60 + [0.0] * 40)

    found = change_point(values)

    assert found is not None
    assert (found.at, found.before, found.after, found.p) == (60, 1.0, 0.0, 0.001)


def test_answers_that_only_scatter_alarm_one_time_in_twenty() -> None:
    """Of 100 series at 5 % 5 are expected; over 12 would be one chance in 1,000."""
    random = np.random.default_rng(0)

    series = [(random.random(80) < 0.8).astype(float) for _ in range(100)]
    found = [change_point(one, seed, shuffles=99) for seed, one in enumerate(series)]

    assert sum(one is not None and one.p <= 0.05 for one in found) <= 12


def test_too_few_or_equal_values_have_no_change() -> None:
    assert change_point(np.arange(19.0)) is None
    assert change_point(np.ones(100)) is None
