"""How far a review is: `curate status` and the end of a session tell it from the log alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import curate as library
from conftest import PICTURES, Curate, write
from curate import versions
from curate.decisions import Answer, Decision, new_decision
from curate.errors import SettingsError
from curate.inspection import record_decisions
from curate.project import Project
from curate.review_log import append, open_engine, read_events
from curate.spot_checks import keep_sample, plan_sample
from reviews import doubt

ERRORS = {"cats/0.jpg": "dogs", "cats/1.jpg": "dogs", "dogs/3.jpg": "cats"}


@pytest.fixture
def doubted(tmp_path: Path) -> Path:
    """Six pictures of cats and dogs, three of them flagged."""
    folder = tmp_path / "photos"
    for number in range(6):
        write(folder / ("cats" if number < 3 else "dogs") / f"{number}.jpg", PICTURES[number])
    doubt(folder, ERRORS)
    return folder


def say(folder: Path, path: str, answer: Answer, label: str = "", queue: str = "errors", round_: str = "") -> None:
    """What the page sends about a picture of the newest version."""
    project = Project.at(folder)
    rows = versions.read_decisions(project.versions, versions.find_version(project.versions, None))
    one = new_decision(path, str(rows.set_index("path")["sha256"][path]), answer, "ada", label)
    append(project.review_log, [Decision(**{**vars(one), "round": round_, "context": {"queue": queue}})])


def draw(folder: Path, target: float = 0.01) -> list[str]:
    """Plan a blind sample; the paths in it. With so few pictures it is all that nobody has decided on."""
    project = Project.at(folder)
    newest = versions.find_version(project.versions, None)
    rows = versions.read_decisions(project.versions, newest)
    sample = plan_sample(rows, newest.number, read_events(project.review_log), target, "ada")
    with open_engine(project.review_log) as engine, engine.begin() as connection:
        keep_sample(connection, sample)
    return [path for path, _ in sample.items]


# ---- Errors and flags


def test_nothing_is_found_before_anybody_has_looked(doubted: Path) -> None:
    found = library.status(doubted).review

    assert (found.decided, found.errors, found.flags_left, found.estimate, found.reached) == (0, 0, 3, None, None)


def test_flags_are_left_until_somebody_has_decided_on_them(doubted: Path) -> None:
    say(doubted, "cats/0.jpg", "relabel", "dogs")
    say(doubted, "cats/1.jpg", "keep")
    say(doubted, "dogs/3.jpg", "unsure")

    found = library.status(doubted).review

    assert (found.decided, found.errors, found.flags_left) == (2, 1, 1)


def test_an_error_is_a_label_that_is_another_several_or_none(doubted: Path) -> None:
    """What is dropped as a copy, or by `curate decide`, says nothing of its label."""
    say(doubted, "cats/0.jpg", "both", '["cats", "dogs"]')
    say(doubted, "cats/1.jpg", "drop", queue="errors")
    say(doubted, "cats/2.jpg", "drop", queue="duplicates")
    say(doubted, "dogs/3.jpg", "relabel", "dogs")
    record_decisions(doubted, ["dogs/4.jpg"], "drop")

    assert library.status(doubted).review.errors == 2


def test_what_was_taken_back_or_is_about_other_bytes_is_no_error(doubted: Path) -> None:
    say(doubted, "cats/0.jpg", "relabel", "dogs")
    say(doubted, "cats/0.jpg", "undo")
    say(doubted, "cats/1.jpg", "relabel", "dogs")
    write(doubted / "cats" / "1.jpg", PICTURES[9])
    library.clean(doubted, workers=1)

    assert library.status(doubted).review.errors == 0


def test_without_flag_nobody_knows_of_flags(photos: Path) -> None:
    library.clean(photos, workers=1)

    assert library.status(photos).review.flags_left is None


# ---- What is left


def test_a_blind_sample_without_error_reaches_the_target(doubted: Path) -> None:
    for path in draw(doubted):
        say(doubted, path, "keep", queue="spot", round_="spot")

    found = library.status(doubted).review

    assert found.estimate is not None
    assert (found.estimate.checked, found.estimate.upper, found.reached) == (6, 0.0, True)


def test_the_target_is_that_of_who_asks(doubted: Path) -> None:
    """Of six labels one was not looked at: it may be wrong, and one of six is .17."""
    for path in draw(doubted)[:-1]:
        say(doubted, path, "keep", queue="spot", round_="spot")

    strict, lax = (library.status(doubted, target=target).review for target in (0.1, 0.2))

    assert (strict.reached, lax.reached) == (False, True)


def test_an_error_of_the_sample_that_was_dropped_and_applied_stays_mended(doubted: Path) -> None:
    """The next version lacks the picture; it was drawn from, all the same."""
    first, *others = draw(doubted)
    say(doubted, first, "drop", queue="spot", round_="spot")
    for path in others:
        say(doubted, path, "keep", queue="spot", round_="spot")
    library.apply(doubted, workers=1)

    found = library.status(doubted).review.estimate

    assert found is not None
    assert (found.wrong, found.mended, found.most_left) == (1, 1, 0)


@pytest.mark.parametrize("target", [0.0, 1.0, -1.0, float("nan")])
def test_a_target_is_a_share(doubted: Path, target: float) -> None:
    with pytest.raises(SettingsError, match="expected a share between 0 and 1"):
        library.status(doubted, target=target)


# ---- On the command line


def test_status_tells_how_to_learn_how_many_are_left(doubted: Path, curate: Curate) -> None:
    say(doubted, "cats/0.jpg", "relabel", "dogs")

    lines = curate("status", doubted).out.splitlines()

    assert "  review: 1 wrong label found, 2 flags left" in lines
    assert any(line.startswith("  how many are left? A blind check tells: curate review ") for line in lines)


def test_status_tells_what_the_blind_sample_says(doubted: Path, curate: Curate) -> None:
    for path in draw(doubted)[:-1]:
        say(doubted, path, "keep", queue="spot", round_="spot")

    out = curate("status", doubted, "--target", "0.2").out

    assert "  left: at most 16.7 % (1 label) with 95 % confidence; target 0.2 reached\n" in out
    assert "  of 5 labels checked blind (6 planned) 0 were wrong\n" in out


def test_status_says_once_how_many_decisions_there_are_since(doubted: Path, curate: Curate) -> None:
    say(doubted, "cats/0.jpg", "relabel", "dogs")

    assert curate("status", doubted).out.count("decisions since") == 1


def test_status_tells_programs_the_same(doubted: Path, curate: Curate) -> None:
    before = json.loads(curate("status", doubted, "--json").out)["review"]
    for path in draw(doubted):
        say(doubted, path, "keep", queue="spot", round_="spot")
    after = json.loads(curate("status", doubted, "--json").out)["review"]

    assert before == {
        "decided": 0, "errors_found": 0, "flags_left": 3, "estimate": None, "target": 0.01, "reached": None,
    }  # fmt: skip
    assert (after["reached"], after["estimate"]["upper"], after["estimate"]["checked"]) == (True, 0.0, 6)
