"""The tests behind `curate drift` hold their level, see what is planted, and say how large it is."""

from __future__ import annotations

import numpy as np
import pytest

from curate.two_samples import (
    adjust,
    cliffs_delta,
    compare_counts,
    compare_numbers,
    kernel_distance,
    simes,
    tell_apart,
)


def test_cliffs_delta_counts_pairs() -> None:
    """Of the nine pairs, b's number is larger in 6, equal in 1, smaller in 2: (6 - 2) / 9."""
    a, b = np.array([1.0, 2.0, 5.0]), np.array([2.0, 3.0, 6.0])

    delta, low, high = cliffs_delta(a, b)

    assert delta == pytest.approx(4 / 9)
    assert -1 <= low < delta < high <= 1


def test_numbers_that_don_t_overlap_have_a_delta_of_one_and_an_interval_with_width() -> None:
    delta, low, high = cliffs_delta(np.arange(20.0), np.arange(20.0) + 100)

    assert (delta, high) == (1.0, 1.0)
    assert low == pytest.approx((20 - 1.959964**2) / (20 + 1.959964**2))


def test_an_interval_of_delta_holds_the_truth_nineteen_times_in_twenty() -> None:
    """Normal numbers one apart: delta is 2 Phi(1 / sqrt 2) - 1 = .5205. Of 200 intervals 190 +- 3 hold it."""
    random = np.random.default_rng(0)
    held = 0
    for _ in range(200):
        _, low, high = cliffs_delta(random.normal(size=40), random.normal(size=30) + 1)
        held += low <= 0.5205 <= high

    assert 180 <= held <= 199


def test_numbers_of_one_source_alarm_one_time_in_twenty_even_with_many_ties() -> None:
    """Of 300 pairs of a few whole numbers 15 are expected at 5 %; over 27 would be one chance in 1,000."""
    random = np.random.default_rng(1)

    alarms = 0
    for seed in range(300):
        a, b = (random.poisson(0.7, size).astype(float) for size in (60, 25))
        alarms += compare_numbers(a, b, seed).p <= 0.05

    assert 4 <= alarms <= 27


def test_a_change_of_the_spread_alone_is_seen() -> None:
    """Half the pictures too dark and half too bright: the median stays, delta is near 0, the test is not fooled."""
    random = np.random.default_rng(2)

    shift = compare_numbers(random.normal(size=300), 3 * random.normal(size=300))

    assert shift.p < 0.001
    assert abs(shift.delta) < 0.1
    assert shift.distance > 0.2


def test_names_of_one_source_alarm_one_time_in_twenty_also_with_few_of_a_kind() -> None:
    random = np.random.default_rng(3)
    shares = [0.5, 0.3, 0.1, 0.05, 0.03, 0.02]

    alarms = sum(
        compare_counts(random.multinomial(40, shares), random.multinomial(25, shares), seed).p <= 0.05
        for seed in range(200)
    )

    assert 1 <= alarms <= 20  # 10 are expected; over 20 would be one chance in 1,000


def test_the_distance_of_mixes_is_the_share_that_would_need_another_name() -> None:
    """Half and half against a quarter and three quarters: a quarter of the pictures."""
    mix = compare_counts(np.array([200, 200]), np.array([100, 300]))

    assert mix.distance == 0.25
    assert mix.low < 0.25 < mix.high
    assert mix.p < 1e-10


def test_the_same_name_everywhere_is_no_difference() -> None:
    assert compare_counts(np.array([5, 0]), np.array([9, 0])).p == 1


def test_vectors_of_one_source_are_not_told_apart() -> None:
    """Of 100 pairs at 5 % 5 are expected of each test; over 12 would be one chance in 1,000."""
    random = np.random.default_rng(4)
    told = apart = 0
    for seed in range(100):
        a, b = (random.normal(size=(size, 16)).astype(np.float32) for size in (50, 30))
        told += tell_apart(a, b, seed, shuffles=99).p <= 0.05
        apart += kernel_distance(a, b, seed, shuffles=99).p <= 0.05

    assert told <= 12
    assert apart <= 12


def test_vectors_that_are_moved_are_told_apart_by_both() -> None:
    """Moved by one standard deviation in one of 16 directions: the best AUC is Phi(1 / sqrt 2) = .76."""
    random = np.random.default_rng(5)
    a, b = (random.normal(size=(300, 16)).astype(np.float32) for _ in range(2))
    b[:, 3] += 1

    told, apart = tell_apart(a, b), kernel_distance(a, b)

    assert told.p == apart.p == 0.001
    assert 0.7 < told.auc < 0.8
    assert told.low < told.auc < told.high
    assert apart.low > 0
    assert told.scores_b.mean() > told.scores_a.mean()


def test_a_kernel_sees_a_spread_that_no_line_can_part() -> None:
    random = np.random.default_rng(6)
    a, b = (random.normal(size=(300, 4)).astype(np.float32) for _ in range(2))

    assert kernel_distance(a, 2 * b).p == 0.001


def test_the_same_input_gives_the_same_answer() -> None:
    random = np.random.default_rng(7)
    a, b = (random.normal(size=(40, 8)).astype(np.float32) for _ in range(2))

    assert tell_apart(a, b, 3).p == tell_apart(a, b, 3).p
    assert kernel_distance(a, b, 3) == kernel_distance(a, b, 3)


def test_simes_by_hand() -> None:
    """Sorted .01, .02, .9: the smallest of 3 x .01 / 1, 3 x .02 / 2 and 3 x .9 / 3."""
    assert simes([0.9, 0.01, 0.02]) == pytest.approx(0.03)
    assert simes([]) == 1


def test_a_family_of_hundreds_does_not_drown_a_question_of_one_test() -> None:
    """Over all 301 tests at once, p = .01 would be lost; among two questions it is .02."""
    noise = list(np.linspace(0.3, 1, 300))

    found = adjust([noise, [0.01]], 0.05)

    assert found.questions[1] == pytest.approx(0.02)
    assert found.tests[1] == [pytest.approx(0.02)]
    assert min(found.tests[0]) > 0.05


def test_within_a_question_the_level_is_smaller_where_few_questions_were_answered_yes() -> None:
    """One of two questions is: its tests are judged at .025, so that .03 / 2 x 2 = .03 of the second is no alarm."""
    found = adjust([[0.001, 0.03], [0.9]], 0.05)

    assert found.tests[0][0] == pytest.approx(0.004)
    assert found.tests[0][1] == pytest.approx(0.06)
