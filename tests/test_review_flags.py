"""Flagged for later, and classes that nobody has used yet: what people say that is no plain answer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from curate.agreement import agreement_of
from curate.decisions import given_labels, new_decision, standing_decisions
from curate.review_app.leasing import Holder
from curate.review_app.session import Session
from curate.review_log import append, read_log
from reviews import KEY, answer, doubtful, made_up

ADA, BOB = Holder("tab-a", "ada"), Holder("tab-b", "bob")


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    """Three likely errors, for one answer each."""
    with Session(made_up(doubtful(3)), tmp_path / "review.db", KEY) as opened:
        yield opened


def items(session: Session, holder: Holder = ADA, queue: str = "errors", **more: Any) -> list[dict[str, Any]]:
    return session.next(queue, holder, **more).items


def paths(session: Session, holder: Holder = ADA, queue: str = "errors", **more: Any) -> list[str]:
    return [item["path"] for item in items(session, holder, queue, **more)]


def decided(session: Session, path: str, said: str, holder: Holder = ADA, queue: str = "errors", **more: Any) -> str:
    """Say something of a picture; the id of what was said."""
    [item] = [one for one in items(session, holder, queue) if one["path"] == path]
    given = answer(item["id"], said, **more)
    assert session.decide([given], holder).refused == {}
    return str(given["id"])


# ---- Flagged for later


def test_a_flag_decides_nothing_and_puts_the_picture_by(session: Session) -> None:
    decided(session, "0000.jpg", "flag", note="ask the botanist")

    assert paths(session) == ["0001.jpg", "0002.jpg"]
    assert paths(session, queue="flagged") == ["0000.jpg"]
    assert standing_decisions(read_log(session.log)) == {}


def test_what_is_flagged_is_there_for_everybody_with_who_flagged_it_and_why(session: Session) -> None:
    decided(session, "0000.jpg", "flag", note="ask the botanist")

    [item] = items(session, BOB, "flagged")

    assert (item["given"], item["suggested"]) == ("cat", "dog")
    assert [(one["reviewer"], one["answer"], one["note"]) for one in item["history"]] == [
        ("ada", "flag", "ask the botanist")
    ]


def test_others_are_asked_about_it_in_its_queue_as_well(session: Session) -> None:
    decided(session, "0000.jpg", "flag")

    assert "0000.jpg" in paths(session, BOB)


@pytest.mark.parametrize("holder", [ADA, BOB])
def test_an_answer_ends_the_flag(session: Session, holder: Holder) -> None:
    decided(session, "0000.jpg", "flag")
    decided(session, "0000.jpg", "relabel", holder, "flagged", label="dog")

    assert paths(session, queue="flagged") == paths(session, BOB, "flagged") == []
    assert "0000.jpg" not in paths(session)


def test_a_flag_that_is_taken_back_puts_the_picture_where_it_was(session: Session) -> None:
    flagged = decided(session, "0000.jpg", "flag")

    session.decide([answer("", "undo", undoes=flagged)], ADA)

    assert paths(session, queue="flagged") == []
    assert paths(session) == ["0000.jpg", "0001.jpg", "0002.jpg"]


def test_an_answer_that_is_taken_back_leaves_the_flag(session: Session) -> None:
    decided(session, "0000.jpg", "flag")
    said = decided(session, "0000.jpg", "keep", queue="flagged")

    session.decide([answer("", "undo", undoes=said)], ADA)

    assert paths(session, queue="flagged") == ["0000.jpg"]


def test_flags_are_found_again_by_the_next_session(session: Session) -> None:
    decided(session, "0001.jpg", "flag")
    decided(session, "0000.jpg", "flag")

    with Session(session.catalogue, session.log, KEY) as again:
        assert paths(again, BOB, "flagged") == ["0001.jpg", "0000.jpg"]


def test_a_flag_is_no_vote(tmp_path: Path) -> None:
    """Of two answers that a picture is to get, both are still to come; and nobody's agreement is measured by it."""
    with Session(made_up(doubtful(1)), tmp_path / "review.db", KEY, votes=2) as session:
        decided(session, "0000.jpg", "flag")
        decided(session, "0000.jpg", "keep", BOB)
        before = standing_decisions(read_log(session.log))
        decided(session, "0000.jpg", "keep", ADA, "flagged")

        assert before == {}
        assert standing_decisions(read_log(session.log))["0000.jpg"].answer == "keep"
        assert [one.decisions for one in agreement_of(read_log(session.log), {}).reviewers] == [1, 1]


def test_a_flag_counts_as_nothing_done(session: Session) -> None:
    decided(session, "0000.jpg", "flag")

    progress = session.progress("ada")

    assert (progress["decided"], progress["by_queue"]["flagged"], progress["by_queue"]["errors"]) == (0, 1, 2)


def test_copies_are_flagged_together(tmp_path: Path) -> None:
    rows = [{"path": f"{name}.jpg", "duplicate_group": "a.jpg"} for name in "abc"]
    with Session(made_up(rows), tmp_path / "review.db", KEY) as session:
        [group] = items(session, queue="duplicates")
        session.decide([answer(group["id"], "flag")], ADA)

        [later] = items(session, BOB, "flagged")
        session.decide([answer(copy["id"], "keep") for copy in later["copies"]], BOB)

        assert len(later["copies"]) == 3
        assert items(session, queue="duplicates") == items(session, queue="flagged") == []


def test_a_blind_check_can_not_be_put_by(session: Session) -> None:
    """It would come back with its label, and who leaves out the hard ones spoils the sample."""
    [item, *_] = items(session, queue="spot")

    receipt = session.decide([answer(item["id"], "flag")], ADA)

    assert [*receipt.refused.values()] == [
        "this picture can't be left for later: say what it shows, or that you are unsure"
    ]


def test_a_flagged_picture_may_be_drawn_for_a_blind_check(session: Session) -> None:
    decided(session, "0000.jpg", "flag")

    assert len(items(session, queue="spot")) == 3


# ---- A class that nobody has used yet


def test_a_new_class_is_one_that_the_person_means(session: Session) -> None:
    [item, *_] = items(session)

    slip = session.decide([answer(item["id"], "relabel", label="lynx")], ADA)
    meant = session.decide([answer(item["id"], "relabel", label="lynx", new_class=True)], ADA)

    assert [*slip.refused.values()] == ["there is no class 'lynx' in this data set"]
    assert meant.refused == {}
    assert standing_decisions(read_log(session.log))["0000.jpg"].label == "lynx"


def test_a_new_class_is_there_for_everybody_after_those_of_the_version(session: Session) -> None:
    decided(session, "0000.jpg", "relabel", label="lynx", new_class=True)
    decided(session, "0001.jpg", "relabel", label="bear", new_class=True)
    decided(session, "0002.jpg", "relabel", label="lynx")

    with Session(session.catalogue, session.log, KEY) as elsewhere:
        assert list(elsewhere.classes) == ["cat", "dog", "lynx", "bear"]


def test_a_class_that_nobody_uses_any_more_is_none(session: Session) -> None:
    said = decided(session, "0000.jpg", "relabel", label="lynx", new_class=True)

    session.decide([answer("", "undo", undoes=said)], ADA)

    assert list(session.classes) == ["cat", "dog"]


def test_several_classes_may_be_new(session: Session) -> None:
    decided(session, "0000.jpg", "both", labels=["cat", "lynx"], new_class=True)

    assert session.classes.new == ["lynx"]


@pytest.mark.parametrize(
    ("label", "why"),
    [
        ("", "can't be relabelled to nothing"),
        ("  ", "can't be relabelled to nothing"),
        ("_unlabeled", "says that a picture has none"),
        ("(neither)", "says that a picture has none"),
        ("a\nb", "characters that can be seen"),
        (" lynx", "without blanks around them"),
        ("x" * 201, "up to 200 characters"),
        ("CAT", "There is the class 'cat', which differs from 'CAT'"),
    ],
)
def test_a_name_that_can_be_no_class_is_refused(session: Session, label: str, why: str) -> None:
    [item, *_] = items(session)

    receipt = session.decide([answer(item["id"], "relabel", label=label, new_class=True)], ADA)

    assert why in next(iter(receipt.refused.values()))
    assert read_log(session.log) == []


def test_models_learn_from_a_new_class(session: Session) -> None:
    decided(session, "0000.jpg", "relabel", label="lynx", new_class=True)

    labels = given_labels(session.catalogue.rows, read_log(session.log))

    assert labels.tolist() == ["lynx", "cat", "cat"]


def test_undo_of_the_newest_takes_back_a_flag(tmp_path: Path) -> None:
    """As `curate decide --undo` does, which names no decision."""
    log = tmp_path / "review.db"
    flag, undo = (new_decision("0000.jpg", f"{0:064x}", answer, "ada") for answer in ("flag", "undo"))
    append(log, [flag, undo])

    with Session(made_up(doubtful(1)), log, KEY) as session:
        assert paths(session, queue="flagged") == []
