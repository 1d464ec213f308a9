"""The bound on the errors that are left holds in 95 % of the sessions, whenever they stop."""

from __future__ import annotations

import math

import numpy as np
import pytest

from curate.stopping import AT_THE_END, BEFORE, Estimate, estimate, most_errors, most_errors_so_far, sample_size

SESSIONS = 2000


def after(checked: int, wrong: int = 0, population: int = 10_000, planned: int = 320, target: float = 0.01) -> Estimate:
    return estimate(
        population=population,
        planned=planned,
        checked=checked,
        wrong=wrong,
        mended=wrong,
        labels=population,
        target=target,
    )


def test_none_wrong_of_three_hundred_is_at_most_one_per_cent() -> None:
    """At a risk of 5 %, of a very large population: the rule of three."""
    assert most_errors(1_000_000, 299, 0, 0.05) / 1_000_000 == pytest.approx(0.01, abs=1e-4)


def test_the_bound_is_that_of_the_hypergeometric_distribution() -> None:
    """Of 10 with 3 wrong, 4 draws miss all of them with 35 / 210 = 1 / 6; with 4 wrong, 15 / 210 = 1 / 14."""
    assert most_errors(10, 4, 0, 1 / 6 - 0.001) == 3
    assert most_errors(10, 4, 0, 1 / 14 - 0.001) == 4


def test_who_has_seen_all_knows_all() -> None:
    assert most_errors(50, 50, 3, AT_THE_END) == 3
    assert most_errors_so_far(50, 50, 3, BEFORE, 0.01) == 3


def test_who_has_seen_nothing_knows_nothing() -> None:
    assert after(0).upper == 1
    assert math.isnan(after(0).likely_left)


def test_a_sample_of_the_planned_size_without_errors_reaches_the_target() -> None:
    size = sample_size(10_000, 10_000, 0.01)

    assert size == 313
    assert after(size, planned=size).reached
    assert not after(size, 1, planned=size).reached
    assert sample_size(40, 40, 0.01) == 39  # the one that is left is the wrong one with 1 in 40


def test_looking_early_costs_a_wider_bound() -> None:
    assert after(319).upper > after(320).upper


def test_errors_that_were_found_are_no_longer_left() -> None:
    """Of a likely 5 % only what nobody has corrected counts."""
    said = estimate(population=1000, planned=200, checked=200, wrong=10, mended=45, labels=2000, target=0.02)

    assert said.likely_left == pytest.approx((50 - 45) / 2000)
    assert said.most_left == most_errors(1000, 200, 10, AT_THE_END) - 45


def test_a_label_that_nobody_could_confirm_is_not_mended() -> None:
    """ "Unsure" counts among the wrong of the sample, and is still in the data set: nothing is taken off for it."""
    unsure, mended = (
        estimate(population=1000, planned=200, checked=200, wrong=1, mended=one, labels=1000, target=0.01)
        for one in (0, 1)
    )

    assert unsure.most_left == mended.most_left + 1


@pytest.mark.parametrize(
    "numbers",
    [
        {"checked": 5, "wrong": 6},
        {"checked": 30, "planned": 20},
        {"planned": 200},
        {"mended": -1},
        {"labels": 50},
        {"target": 0.0},
    ],
)
def test_numbers_that_can_not_be_are_refused(numbers: dict[str, float]) -> None:
    possible = {"population": 100, "planned": 20, "checked": 0, "wrong": 0, "mended": 0, "labels": 100, "target": 0.01}

    with pytest.raises(ValueError, match="wrong of"):
        estimate(**(possible | numbers))  # type: ignore[arg-type]


@pytest.mark.parametrize("errors", [5, 20, 60])
def test_the_bound_holds_in_95_per_cent_of_sessions_that_stop_as_soon_as_they_may(errors: int) -> None:
    """2,000 sessions on 2,000 labels; each looks at the number after every tenth picture, and stops once it may.

    The worst for a bound: it is only asked when it is low.
    """
    population, target = 2000, 0.01
    planned = sample_size(population, population, target)
    bounds = {
        (checked, wrong): after(checked, wrong, population, planned, target).most_left
        for checked in [*range(10, planned, 10), planned]
        for wrong in range(min(errors, checked) + 1)
        if wrong <= 25
    }
    random = np.random.default_rng(errors)
    held = 0
    for _ in range(SESSIONS):
        drawn = random.permutation(population)[:planned] < errors
        for checked in [*range(10, planned, 10), planned]:
            wrong = int(drawn[:checked].sum())
            most = bounds[checked, wrong]
            if most <= target * population or checked == planned:
                break
        held += errors - wrong <= most
    assert held >= 0.95 * SESSIONS


def test_the_bound_before_the_end_holds_at_every_moment_at_once() -> None:
    """At no moment of 99 % of the samplings does it lie below the truth."""
    population, errors, checks = 500, 15, range(5, 300, 5)
    bounds = {
        (checked, wrong): most_errors_so_far(population, checked, wrong, BEFORE, 0.01)
        for checked in checks
        for wrong in range(errors + 1)
        if wrong <= checked
    }
    random = np.random.default_rng(0)
    held = sum(
        all(bounds[checked, int(drawn[:checked].sum())] >= errors for checked in checks)
        for drawn in (random.permutation(population) < errors for _ in range(SESSIONS))
    )
    assert held >= (1 - BEFORE) * SESSIONS
