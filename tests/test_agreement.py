"""Who agrees with whom, and who is right: from the decisions in the log alone."""

from __future__ import annotations

import math
from typing import Any

import pytest

from curate.agreement import Rate, agreement_of
from curate.decisions import Answer, Decision, Round

GIVEN = {f"{number}.jpg": "cat" for number in range(10)}


def vote(
    number: int, reviewer: str, answer: Answer = "keep", label: str = "", round_: Round = "vote", **context: Any
) -> Decision:
    key = f"{number} {reviewer} {answer} {label} {round_}"
    return Decision(key, "", reviewer, f"{number}.jpg", "abc", answer, label, "", round_, quota=2, context=context)


def test_people_who_always_agree_have_an_alpha_of_one() -> None:
    """On two labels, as one alone can't be told from chance."""
    log = [vote(0, name) for name in ("ada", "bob")] + [vote(1, name, "relabel", "dog") for name in ("ada", "bob")]

    found = agreement_of(log, GIVEN)

    assert (found.pictures, found.alpha) == (2, 1.0)
    assert [(one.name, one.agreement.count, one.agreement.total) for one in found.reviewers] == [
        ("ada", 2, 2),
        ("bob", 2, 2),
    ]


def test_the_one_who_differs_has_a_confusion() -> None:
    log = [vote(0, "ada"), vote(0, "bob"), vote(0, "eve", "relabel", "dog")]

    eve = agreement_of(log, GIVEN).reviewers[2]

    assert eve.confusions == {("cat", "dog"): 1}
    assert (eve.agreement.count, eve.agreement.total) == (0, 1)


def test_where_two_differ_nobody_is_wrong() -> None:
    log = [vote(0, "ada"), vote(0, "bob", "relabel", "dog")]

    assert [one.agreement.total for one in agreement_of(log, GIVEN).reviewers] == [0, 0]


def test_a_picture_with_one_vote_says_nothing_of_agreement() -> None:
    found = agreement_of([vote(0, "ada"), vote(1, "bob")], GIVEN)

    assert found.pictures == 0
    assert math.isnan(found.alpha)


def test_neither_and_both_are_answers_of_their_own() -> None:
    log = [vote(0, "ada", "drop"), vote(0, "bob", "drop"), vote(0, "eve", "both", '["cat", "dog"]')]

    assert agreement_of(log, GIVEN).reviewers[2].confusions == {("(neither)", "(both)"): 1}


def test_unsure_and_accepted_unseen_are_no_votes() -> None:
    assert agreement_of([vote(0, "ada", "unsure"), vote(0, "bob", "accept", "dog")], GIVEN).reviewers == []


def test_gold_tells_who_is_right() -> None:
    log = [
        vote(0, "ada", "keep", "", "gold", truth="cat"),
        vote(1, "ada", "keep", "", "gold", truth="dog"),
        vote(2, "ada", "relabel", "dog", "gold", truth="dog"),
    ]

    gold = agreement_of(log, GIVEN).reviewers[0].gold

    assert (gold.count, gold.total) == (2, 3)


def test_a_repeated_picture_tells_who_is_steady() -> None:
    log = [vote(0, "ada"), vote(1, "ada"), vote(0, "ada", round_="repeat"), vote(1, "ada", "drop", "", "repeat")]

    repeats = agreement_of(log, GIVEN).reviewers[0].repeats

    assert (repeats.count, repeats.total) == (1, 2)


def test_the_time_per_decision_is_a_median() -> None:
    log = [vote(0, "ada", seconds=1.0), vote(1, "ada", seconds=3.0), vote(2, "ada", seconds=600.0), vote(3, "ada")]

    assert agreement_of(log, GIVEN).reviewers[0].seconds == 3.0


@pytest.mark.parametrize(
    ("outcomes", "low", "high"),
    [([True] * 10, 0.6915, 1.0), ([False] * 10, 0.0, 0.3085), ([True] * 5 + [False] * 5, 0.1871, 0.8129), ([], 0, 1)],
)
def test_intervals_are_clopper_and_pearsons(outcomes: list[bool], low: float, high: float) -> None:
    rate = Rate.of(outcomes)

    assert [rate.low, rate.high] == pytest.approx([low, high], abs=1e-4)
