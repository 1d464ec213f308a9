"""A blind sample is drawn from what nobody has seen, and every answer since counts."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from curate.decisions import Answer, Decision, Round, new_decision
from curate.errors import SourceError
from curate.review_log import append, open_engine, read_events
from curate.spot_checks import Sample, estimate_of, keep_sample, newest_sample, plan_sample


def labelled(count: int) -> pd.DataFrame:
    """So many kept pictures with a label, one without, and one that was dropped."""
    rows: list[tuple[str, str, str | None, bool]] = [
        (f"{number}.jpg", f"s{number}", "cat", True) for number in range(count)
    ]
    rows += [("none.jpg", "n", None, True), ("dropped.jpg", "d", "cat", False)]
    return pd.DataFrame(rows, columns=["path", "sha256", "final_label", "keep"])


def says(number: int, answer: Answer, round_: Round = "", sha256: str = "") -> Decision:
    one = new_decision(f"{number}.jpg", sha256 or f"s{number}", answer, "ada", "dog" if answer == "relabel" else "")
    return Decision(**{**vars(one), "round": round_})


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "review.db"


def test_the_sample_is_drawn_from_labelled_kept_pictures_that_nobody_has_seen(log: Path) -> None:
    append(log, [says(number, "keep") for number in range(5)])

    sample = plan_sample(labelled(20), 3, read_events(log), 0.01, "ada")

    assert (sample.population, sample.labels, sample.version, sample.after_event) == (15, 20, 3, 5)
    assert sorted(sample.items) == sorted((f"{number}.jpg", f"s{number}") for number in range(5, 20))


def test_a_large_set_is_sampled_and_every_plan_draws_others() -> None:
    first, second = (plan_sample(labelled(5000), 1, [], 0.01, "ada") for _ in range(2))

    assert len(first.items) == len(set(first.items)) == 305
    assert first.items != second.items


def test_what_everybody_has_decided_on_needs_no_sample(log: Path) -> None:
    append(log, [says(0, "keep")])

    with pytest.raises(SourceError, match="nothing to draw a sample from"):
        plan_sample(labelled(1), 1, read_events(log), 0.01, "ada")


def test_a_label_that_was_accepted_unseen_may_be_drawn(log: Path) -> None:
    append(log, [says(0, "accept")])

    assert plan_sample(labelled(1), 1, read_events(log), 0.01, "ada").items == (("0.jpg", "s0"),)


def sample_of(count: int, drawn: int, after_event: int = 0) -> Sample:
    items = tuple((f"{number}.jpg", f"s{number}") for number in range(drawn))
    return Sample("2026-11-21T12:00:00+00:00", "ada", 1, after_event, count - after_event, count, 0.01, items)


def test_every_answer_on_a_picture_of_the_sample_counts_and_the_newest_holds(log: Path) -> None:
    append(log, [says(0, "keep", "spot"), says(1, "relabel", "spot"), says(2, "relabel"), says(2, "keep")])

    found = estimate_of(sample_of(100, 50), labelled(100), read_events(log))

    assert (found.checked, found.wrong, found.mended) == (3, 1, 1)


def test_who_can_not_tell_has_not_confirmed_a_label(log: Path) -> None:
    append(log, [says(0, "unsure", "spot"), says(1, "drop", "spot")])

    assert estimate_of(sample_of(100, 50), labelled(100), read_events(log)).wrong == 2


def test_errors_mended_outside_of_the_sample_are_not_left(log: Path) -> None:
    append(log, [says(90, "relabel"), says(0, "keep", "spot")])

    found = estimate_of(sample_of(100, 50), labelled(100), read_events(log))

    assert (found.checked, found.wrong, found.mended) == (1, 0, 1)


@pytest.mark.parametrize(
    "decision",
    [says(0, "relabel", "gold"), says(0, "relabel", "repeat"), says(0, "accept"), says(0, "relabel", sha256="other")],
)
def test_what_decides_nothing_on_these_bytes_does_not_count(log: Path, decision: Decision) -> None:
    append(log, [decision])

    found = estimate_of(sample_of(100, 50), labelled(100), read_events(log))

    assert (found.checked, found.mended) == (0, 0)


def test_an_answer_that_was_taken_back_does_not_count(log: Path) -> None:
    append(log, [says(0, "relabel", "spot"), says(0, "undo")])

    assert estimate_of(sample_of(100, 50), labelled(100), read_events(log)).checked == 0


def test_what_was_decided_before_the_sample_was_planned_is_no_part_of_it(log: Path) -> None:
    append(log, [says(99, "relabel"), says(0, "keep", "spot")])

    found = estimate_of(sample_of(100, 50, after_event=1), labelled(100), read_events(log))

    assert (found.population, found.mended) == (99, 0)


def test_the_newest_sample_counts_and_is_kept_as_it_was_planned(log: Path) -> None:
    first, second = (plan_sample(labelled(30), 1, [], 0.01, "ada") for _ in range(2))
    with open_engine(log) as engine:
        with engine.begin() as connection:
            assert newest_sample(connection) is None
            keep_sample(connection, first)
            keep_sample(connection, second)
        with engine.begin() as connection:
            assert newest_sample(connection) == second
