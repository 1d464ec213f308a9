"""A review of several people: nobody's answer is lost, nobody is asked in vain, and everything can be taken back."""

from __future__ import annotations

import sqlite3
import threading
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from curate.decisions import Decision, new_decision, standing_decisions
from curate.errors import SourceError
from curate.guidelines import GuidelineConflict
from curate.review_app.leasing import LEASE_S, Holder
from curate.review_app.queues import Catalogue, Filter
from curate.review_app.session import MOST_HELD, Session, TooMany, per_minute
from curate.review_log import Place, append, first_broken_link, read_events, read_log
from curate.spot_checks import estimate_of, newest_sample
from reviews import KEY, answer, doubtful, made_up

ADA, BOB, CY = Holder("tab-a", "ada"), Holder("tab-b", "bob"), Holder("tab-c", "cy")


class Clock:
    """A clock that goes on when told so."""

    def __init__(self) -> None:
        self.s = 1_000.0

    def __call__(self) -> float:
        return self.s


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    """Five likely errors, for one answer each."""
    with Session(made_up(doubtful(5)), tmp_path / "review.db", KEY, clock=Clock()) as opened:
        yield opened


def ids(session: Session, holder: Holder = ADA, count: int = 4, **more: Any) -> list[str]:
    return [item["id"] for item in session.next("errors", holder, count=count, **more).items]


def shown(session: Session, holder: Holder = ADA, count: int = 4, queue: str = "errors", **more: Any) -> list[str]:
    return [item["path"] for item in session.next(queue, holder, count=count, **more).items]


# ---- Who gets what


def test_two_people_never_get_the_same_picture(session: Session) -> None:
    assert shown(session, ADA, 2) == ["0000.jpg", "0001.jpg"]
    assert shown(session, BOB, 2) == ["0002.jpg", "0003.jpg"]


def test_two_tabs_of_one_person_get_different_pictures(session: Session) -> None:
    assert shown(session, ADA, 2) == ["0000.jpg", "0001.jpg"]
    assert shown(session, Holder("tab-2", "ada"), 2) == ["0002.jpg", "0003.jpg"]


def test_a_tab_that_asks_again_gets_what_it_has(session: Session) -> None:
    """A reload must not skip pictures."""
    assert shown(session, ADA, 2) == shown(session, ADA, 2)


def test_a_tab_that_names_what_it_has_gets_what_follows(session: Session) -> None:
    held = ids(session, ADA, 2)

    assert shown(session, ADA, 2, held=held) == ["0002.jpg", "0003.jpg"]


def test_a_picture_comes_back_when_its_lease_has_run_out(session: Session) -> None:
    clock = session._clock
    assert isinstance(clock, Clock)
    shown(session, ADA, 2)

    clock.s += LEASE_S - 1
    before = shown(session, BOB, 1)
    clock.s += 2
    after = shown(session, CY, 1)

    assert (before, after) == (["0002.jpg"], ["0000.jpg"])


def test_a_lease_is_kept_by_renewing_it(session: Session) -> None:
    clock = session._clock
    assert isinstance(clock, Clock)
    mine = ids(session, ADA, 1)

    clock.s += LEASE_S - 1
    kept = session.renew(mine, ADA)
    clock.s += LEASE_S - 1

    assert kept == (mine, [])
    assert shown(session, BOB, 1) == ["0001.jpg"]


def test_a_lease_that_somebody_else_has_now_is_lost(session: Session) -> None:
    clock = session._clock
    assert isinstance(clock, Clock)
    mine = ids(session, ADA, 1)
    clock.s += LEASE_S + 1
    ids(session, BOB, 1)

    assert session.renew(mine, ADA) == ([], mine)


def test_what_is_taken_back_stays_with_who_took_it_back(session: Session) -> None:
    """It is on that screen again; until it is decided anew, or its lease runs out, nobody else gets it."""
    clock = session._clock
    assert isinstance(clock, Clock)
    [item] = ids(session, ADA, 1)
    said = answer(item)
    session.decide([said], ADA)

    session.decide([answer(item, "undo", undoes=said["id"])], ADA)

    assert shown(session, BOB, 1) == ["0001.jpg"]
    assert shown(session, Holder("tab-2", "ada"), 1) == ["0002.jpg"]
    clock.s += LEASE_S + 1
    assert shown(session, CY, 1) == ["0000.jpg"]


def test_nobody_takes_over_a_lease_by_naming_it(session: Session) -> None:
    """Neither by renewing it nor as something they have already."""
    mine = ids(session, ADA, 1)

    assert session.renew(mine, BOB) == ([], mine)
    ids(session, BOB, 1, held=mine)

    assert session.renew(mine, ADA) == (mine, [])


def test_nobody_takes_over_a_lease_by_using_the_name_of_its_tab(session: Session) -> None:
    mine = ids(session, ADA, 1)

    assert session.renew(mine, Holder(ADA.tab, "bob")) == ([], mine)


def test_nobody_holds_more_than_they_can_look_at(tmp_path: Path) -> None:
    with Session(made_up(doubtful(400)), tmp_path / "review.db", KEY) as session:
        held: list[str] = []
        for _ in range(MOST_HELD // 48):
            held += ids(session, ADA, 48, held=held)

        with pytest.raises(TooMany):
            ids(session, ADA, 48, held=held)


def test_what_is_left_counts_what_others_have_before_them(session: Session) -> None:
    ids(session, ADA, 3)

    batch = session.next("errors", BOB, count=4)

    assert (len(batch.items), batch.left, batch.state) == (2, 5, "ready")


def test_a_queue_that_is_done_is_empty(session: Session) -> None:
    session.decide([answer(name) for name in ids(session, ADA, 5)], ADA)

    batch = session.next("errors", ADA)

    assert (batch.items, batch.left, batch.state) == ([], 0, "empty")


def test_a_filter_narrows_what_comes_and_what_is_left(tmp_path: Path) -> None:
    rows = doubtful(4)
    rows[2]["suggested_label"] = "cow"
    with Session(made_up(rows), tmp_path / "review.db", KEY) as session:
        batch = session.next("errors", ADA, wanted=Filter(label="cow"))

        assert ([item["path"] for item in batch.items], batch.left) == (["0002.jpg"], 1)


def test_pairs_count_what_is_left_of_each_given_and_suggested_class(tmp_path: Path) -> None:
    rows = doubtful(4)
    rows[2]["suggested_label"] = "cow"
    with Session(made_up(rows), tmp_path / "review.db", KEY) as session:
        session.decide([answer(ids(session, count=1)[0])], ADA)

        assert session.pairs("ada") == [
            {"given": "cat", "suggested": "dog", "left": 2},
            {"given": "cat", "suggested": "cow", "left": 1},
        ]


# ---- What is said


def test_an_answer_is_in_the_log_with_all_that_was_shown(session: Session) -> None:
    sent = answer(
        ids(session)[0], "relabel", label="dog", note="a tail", shown_at="2026-11-21T12:00:00.000Z", seconds=1.25
    )

    receipt = session.decide([sent], ADA)

    (decision,) = read_log(session.log)
    assert (receipt.saved, receipt.extra, receipt.refused) == ([sent["id"]], [], {})
    assert (decision.id, decision.reviewer, decision.path) == (sent["id"], "ada", "0000.jpg")
    assert (decision.answer, decision.label, decision.note) == ("relabel", "dog", "a tail")
    assert decision.sha256 == session.catalogue.contents[0]
    told = {
        name: decision.context[name] for name in ("queue", "mode", "given", "suggested", "version", "seconds", "tab")
    }
    assert told == {
        "queue": "errors", "mode": "single", "given": "cat", "suggested": "dog", "version": "v1", "seconds": 1.25,
        "tab": "tab-a",
    }  # fmt: skip


def test_an_answer_that_is_sent_again_counts_once(session: Session) -> None:
    sent = answer(ids(session)[0])

    first, again = session.decide([sent], ADA), session.decide([sent, sent], ADA)

    assert (first.saved, again.saved) == ([sent["id"]], [sent["id"], sent["id"]])
    assert len(read_log(session.log)) == 1


def test_an_answer_that_is_sent_again_after_a_restart_counts_once(tmp_path: Path) -> None:
    """The browser did not hear that it was saved, and the server has another life."""
    catalogue = made_up(doubtful(2))
    with Session(catalogue, tmp_path / "review.db", KEY) as session:
        sent = answer(ids(session)[0])
        session.decide([sent], ADA)
    with Session(catalogue, tmp_path / "review.db", KEY) as session:
        receipt = session.decide([sent], ADA)

    assert (receipt.saved, receipt.refused) == ([sent["id"]], {})
    assert len(read_log(tmp_path / "review.db")) == 1


def test_nobody_speaks_for_another_by_sending_their_answer_again(session: Session) -> None:
    sent = answer(ids(session)[0])
    session.decide([sent], ADA)

    receipt = session.decide([sent], BOB)

    assert receipt.refused == {sent["id"]: "another answer has that id"}
    assert [one.reviewer for one in read_log(session.log)] == ["ada"]


def test_an_id_is_good_for_one_picture(session: Session) -> None:
    first, second = ids(session, count=2)
    sent = answer(first)
    session.decide([sent], ADA)

    assert session.decide([sent | {"item": second}], ADA).refused == {sent["id"]: "another answer has that id"}


def test_relabelling_to_the_label_it_has_is_keeping_it(session: Session) -> None:
    session.decide([answer(ids(session)[0], "relabel", label="cat")], ADA)

    assert [(one.answer, one.label) for one in read_log(session.log)] == [("keep", "")]


def test_both_classes_are_kept_as_a_list(session: Session) -> None:
    session.decide([answer(ids(session)[0], "both", labels=["dog", "cat", "dog"])], ADA)

    assert [(one.answer, one.label) for one in read_log(session.log)] == [("both", '["cat", "dog"]')]


NOBODY = "f" * 32


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"answer": "accept"}, "the answer is 'accept'"),
        ({"answer": ["keep"]}, "the answer is ['keep']"),
        ({"answer": None}, "the answer is None"),
        ({"item": NOBODY}, "no such picture"),
        ({"item": "../../etc/passwd"}, "no such picture"),
        ({"item": 7}, "item is not a text"),
        ({"id": "7"}, "32 hexadecimal digits"),
        ({"id": "G" * 32}, "32 hexadecimal digits"),
        ({"answer": "relabel"}, "there is no class ''"),
        ({"answer": "relabel", "label": "<script>"}, "there is no class '<script>'"),
        ({"answer": "both", "labels": ["cat"]}, "at least two classes"),
        ({"answer": "both", "labels": ["cat", "cow"]}, "there is no class 'cow'"),
        ({"answer": "both", "labels": "cat"}, "labels is a list"),
        ({"answer": "both", "labels": [["cat"]]}, "labels is a list"),
        ({"note": "x" * 2_001}, "note has 2,001 characters, expected at most 2,000"),
        ({"note": "a\0b"}, "characters that are no text"),
        ({"note": "\ud800"}, "characters that are no text"),
        ({"note": {"$gt": ""}}, "note is not a text"),
        ({"answer": "undo"}, "no decision of yours"),
        ({"answer": "undo", "undoes": NOBODY}, "no decision of yours"),
    ],
)
def test_an_answer_that_makes_no_sense_is_refused_and_the_others_are_saved(
    session: Session, change: dict[str, Any], why: str
) -> None:
    first, second = ids(session, count=2)
    wrong, right = answer(first) | change, answer(second)

    receipt = session.decide([wrong, right], ADA)

    assert receipt.saved == [right["id"]]
    assert [why in reason for reason in receipt.refused.values()] == [True]
    assert len(read_log(session.log)) == 1


@pytest.mark.parametrize("nonsense", [None, 7, "keep", [], [[]]])
def test_what_is_no_answer_at_all_is_refused(session: Session, nonsense: Any) -> None:
    assert session.decide([nonsense], ADA).saved == []
    assert read_log(session.log) == []


@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), -1.0, "2", True, None, 1e300])
def test_a_strange_duration_is_no_reason_to_lose_an_answer(session: Session, seconds: Any) -> None:
    sent = answer(ids(session)[0], seconds=seconds, shown_at="yesterday", client_at=7)

    session.decide([sent], ADA)

    (decision,) = read_log(session.log)
    assert decision.context["seconds"] in (None, 0.0, 86_400.0)
    assert (decision.context["shown_at"], decision.context["client_at"]) == ("", "")


def test_unsure_is_not_asked_again_but_others_are(session: Session) -> None:
    session.decide([answer(ids(session, count=1)[0], "unsure")], ADA)

    assert shown(session, ADA, 1) == ["0001.jpg"]
    assert shown(session, BOB, 1) == ["0000.jpg"]
    assert (session.progress("ada")["left"], session.progress("bob")["left"]) == (4, 5)


def test_second_thoughts_count(session: Session) -> None:
    """The newest answer holds, and is not called one too many."""
    item = ids(session)[0]
    session.decide([answer(item, "keep")], ADA)

    receipt = session.decide([answer(item, "drop", note="corrupt")], ADA)

    assert receipt.extra == []
    assert standing_decisions(read_log(session.log))["0000.jpg"].answer == "drop"


def test_an_answer_that_came_too_late_is_kept_and_said_to_be_one_too_many(session: Session) -> None:
    """Ada was offline; her lease ran out and Bob has answered."""
    item = ids(session, ADA, 1)[0]
    session.decide([answer(item)], BOB)
    late = answer(item, "drop")

    receipt = session.decide([late], ADA)

    assert (receipt.saved, receipt.extra) == ([late["id"]], [late["id"]])
    assert len(read_log(session.log)) == 2


def test_an_answer_on_a_picture_that_changed_meanwhile_is_about_what_was_seen(session: Session) -> None:
    """It records the bytes, so `curate apply` can tell; see test_review_server.py."""
    session.decide([answer(ids(session)[0])], ADA)

    assert read_log(session.log)[0].sha256 == "0" * 64


# ---- Taking back


def test_every_answer_can_be_taken_back_and_the_picture_is_asked_about_again(session: Session) -> None:
    sent = [answer(name) for name in ids(session, count=5)]
    session.decide(sent, ADA)

    session.decide([answer(one["item"], "undo", undoes=one["id"]) for one in reversed(sent)], ADA)

    assert standing_decisions(read_log(session.log)) == {}
    assert session.next("errors", ADA).left == 5
    assert [event["undone"] for event in session.history("ada", 10)] == [True] * 5


def test_an_answer_and_its_undo_may_come_together(session: Session) -> None:
    """Both were given offline."""
    sent = answer(ids(session)[0])

    receipt = session.decide([sent, answer(sent["item"], "undo", undoes=sent["id"])], ADA)

    assert len(receipt.saved) == 2
    assert standing_decisions(read_log(session.log)) == {}


def test_nobody_takes_back_what_another_has_said(session: Session) -> None:
    sent = answer(ids(session)[0])
    session.decide([sent], ADA)
    undo = answer(sent["item"], "undo", undoes=sent["id"])

    assert session.decide([undo], BOB).refused == {
        undo["id"]: "there is no decision of yours with that id to take back"
    }


def test_what_was_taken_back_can_not_be_taken_back_again(session: Session) -> None:
    sent = answer(ids(session)[0])
    undo = answer(sent["item"], "undo", undoes=sent["id"])
    session.decide([sent, undo], ADA)

    receipt = session.decide([answer(sent["item"], "undo", undoes=sent["id"]), undo], ADA)

    assert list(receipt.refused.values()) == ["that decision was taken back already"]
    assert receipt.saved == [undo["id"]]


def test_history_is_one_persons_newest_first_with_names_to_look_again(session: Session) -> None:
    first, second = ids(session, count=2)
    session.decide([answer(first, "relabel", label="dog"), answer(second, "both", labels=["cat", "dog"])], ADA)
    session.decide([answer(ids(session, BOB, 1)[0])], BOB)

    told = session.history("ada", 10)

    assert [(one["item"], one["answer"], one["label"], one["labels"]) for one in told] == [
        (second, "both", "cat and dog", ["cat", "dog"]),
        (first, "relabel", "dog", []),
    ]
    assert len(session.history("ada", 1)) == 1
    again = session.item(first, "ada")
    assert again is not None
    assert again["path"] == "0000.jpg"


# ---- Several answers per picture


def test_a_second_opinion_is_asked_of_somebody_else(tmp_path: Path) -> None:
    with Session(made_up(doubtful(1)), tmp_path / "review.db", KEY, votes=2) as session:
        item = ids(session, ADA)[0]
        session.decide([answer(item)], ADA)

        assert shown(session, ADA) == []
        assert shown(session, BOB) == ["0000.jpg"]
        assert shown(session, CY) == []  # Bob has it before him


def test_two_people_may_look_at_once_and_no_third(tmp_path: Path) -> None:
    with Session(made_up(doubtful(1)), tmp_path / "review.db", KEY, votes=2) as session:
        assert [shown(session, holder) for holder in (ADA, BOB, CY)] == [["0000.jpg"], ["0000.jpg"], []]


def test_a_third_is_asked_where_two_differ_and_then_nobody(tmp_path: Path) -> None:
    with Session(made_up(doubtful(2)), tmp_path / "review.db", KEY, votes=2) as session:
        agreed, disputed = ids(session, ADA)
        session.decide([answer(agreed, "drop"), answer(disputed, "keep")], ADA)
        session.decide([answer(agreed, "drop"), answer(disputed, "relabel", label="dog")], BOB)

        asked = shown(session, CY)
        receipt = session.decide([answer(disputed, "drop")], CY)

        assert (asked, receipt.extra) == (["0001.jpg"], [])
        assert session.next("errors", Holder("tab-d", "dee")).left == 0
        assert set(standing_decisions(read_log(session.log))) == {"0000.jpg"}


# ---- Groups of copies


def group_of_three() -> Catalogue:
    return made_up([{"path": f"{number}.jpg", "duplicate_group": "0.jpg"} for number in range(3)])


def test_a_group_is_done_when_each_copy_is_decided_on(tmp_path: Path) -> None:
    with Session(group_of_three(), tmp_path / "review.db", KEY) as session:
        copies = [copy["id"] for copy in session.next("duplicates", ADA).items[0]["copies"]]
        session.decide([answer(copies[0], "keep"), answer(copies[1], "drop", note="duplicate")], ADA)
        half_done = session.next("duplicates", ADA)
        session.decide([answer(copies[2], "keep")], ADA)

        assert [copy["path"] for copy in half_done.items[0]["copies"]] == ["0.jpg", "2.jpg"]
        assert session.next("duplicates", ADA).left == 0


def test_a_group_of_which_one_is_left_is_done(tmp_path: Path) -> None:
    with Session(group_of_three(), tmp_path / "review.db", KEY) as session:
        copies = [copy["id"] for copy in session.next("duplicates", ADA).items[0]["copies"]]
        session.decide([answer(name, "drop", note="duplicate") for name in copies[1:]], ADA)

        assert session.next("duplicates", ADA).left == 0


# ---- How far it is


def test_progress_counts_what_was_found_and_confirmed(session: Session) -> None:
    first, second, third = ids(session, count=3)
    session.decide([answer(first, "relabel", label="dog"), answer(second), answer(third, "unsure")], ADA)

    told = session.progress("ada")

    assert {name: told[name] for name in ("decided", "left", "found", "confirmed", "by_queue", "estimate")} == {
        "decided": 3, "left": 2, "found": 1, "confirmed": 1,
        "by_queue": {"errors": 2, "prelabels": 0, "doubts": 0, "duplicates": 0, "spot": 0, "flagged": 0},
        "estimate": None,
    }  # fmt: skip


def action(name: str, seconds: float, mode: str = "single") -> Decision:
    made = new_decision("a.jpg", "0", "keep", "ada")
    context = {"seconds": seconds, "mode": mode}
    return Decision(name, made.decided_at, "ada", "a.jpg", "0", "keep", "", "", context=context)


def test_pace_is_pictures_per_minute_of_the_newest_actions() -> None:
    """Three pictures in six seconds; a group of copies is one action, and a break counts two minutes."""
    ids = [uuid.UUID(int=number << 80).hex for number in range(3)]

    assert per_minute([action(name, 2.0) for name in ids]) == 30.0
    assert per_minute([action(ids[0][:12] + f"{number:020}", 2.0) for number in range(3)]) is None
    assert per_minute([action(ids[0][:12] + f"{number:020}", 2.0, "grid") for number in range(3)]) == 30.0
    assert per_minute([action(name, 3_600.0) for name in ids]) == 0.5
    assert per_minute([action(name, 2.0) for name in ids[:2]]) is None


def test_what_was_decided_before_is_not_asked_again(tmp_path: Path) -> None:
    catalogue = made_up(doubtful(2))
    append(tmp_path / "review.db", [new_decision("0000.jpg", catalogue.contents[0], "keep", "bob")])

    with Session(catalogue, tmp_path / "review.db", KEY) as session:
        assert shown(session) == ["0001.jpg"]


def test_a_decision_on_other_bytes_does_not_count(tmp_path: Path) -> None:
    append(tmp_path / "review.db", [new_decision("0000.jpg", "e" * 64, "keep", "bob")])

    with Session(made_up(doubtful(2)), tmp_path / "review.db", KEY) as session:
        assert shown(session) == ["0000.jpg", "0001.jpg"]


def test_a_label_that_was_accepted_without_a_look_is_still_asked_about(tmp_path: Path) -> None:
    catalogue = made_up(doubtful(1))
    append(tmp_path / "review.db", [new_decision("0000.jpg", catalogue.contents[0], "accept", "bob", "cat")])

    with Session(catalogue, tmp_path / "review.db", KEY) as session:
        assert shown(session) == ["0000.jpg"]


def test_what_others_write_to_the_log_is_taken_in_at_once(session: Session) -> None:
    """`curate decide`, or another server."""
    append(session.log, [new_decision("0000.jpg", session.catalogue.contents[0], "drop", "bob")])

    assert shown(session, count=1) == ["0001.jpg"]
    assert session.progress("ada")["left"] == 4


# ---- The blind sample


def test_opening_the_blind_check_draws_a_sample_once(tmp_path: Path) -> None:
    rows = [{"path": f"{number:03}.jpg"} for number in range(40)]
    with Session(made_up(rows), tmp_path / "review.db", KEY, target=0.1) as session:
        first = session.next("spot", ADA, count=4)
        held = [item["id"] for item in first.items]
        second = session.next("spot", ADA, count=4, held=held)

        assert len({*held, *(item["id"] for item in second.items)}) == 8
        told = session.progress("ada")["estimate"]
        assert (told["checked"], told["wrong"], told["upper"], told["reached"]) == (0, 0, 1.0, False)
        with session._reading.connect() as connection:
            sample = newest_sample(connection)
        assert sample is not None
        assert told["planned"] == len(sample.items)


def test_a_blind_check_without_errors_reaches_its_target(tmp_path: Path) -> None:
    """The picture's label is named without being seen, so it is kept."""
    rows = [{"path": f"{number:03}.jpg", "label": "cat" if number % 2 else "dog"} for number in range(40)]
    with Session(made_up(rows), tmp_path / "review.db", KEY, target=0.1) as session:
        while (batch := session.next("spot", ADA, count=8)).items:
            known = [session.ids.find(item["id"]) for item in batch.items]
            given = [session.catalogue.given[one.row] for one in known if one]
            said = [answer(item["id"], "relabel", label=label) for item, label in zip(batch.items, given, strict=True)]
            session.decide(said, ADA)

        told = session.progress("ada")["estimate"]
        log = read_events(session.log)
        with session._reading.connect() as connection:
            sample = newest_sample(connection)

    assert batch.state == "goal"
    assert told["checked"] == told["planned"]
    assert told["upper"] <= 0.1
    assert {(one.decision.answer, one.decision.round) for one in log} == {("keep", "spot")}
    assert sample is not None
    estimate = estimate_of(sample, session.catalogue.rows, log)
    assert (estimate.upper, estimate.checked, estimate.wrong) == (told["upper"], told["checked"], told["wrong"])


def test_the_estimate_of_a_session_is_that_of_the_library(tmp_path: Path) -> None:
    """With right, wrong and unsure answers, some in other queues, some taken back."""
    rows = doubtful(60)
    with Session(made_up(rows), tmp_path / "review.db", KEY, target=0.1) as session:
        sent = [
            answer(item["id"], *said)
            for item, said in zip(
                session.next("spot", ADA, count=6).items, [("drop",), ("unsure",), ("drop",)] * 2, strict=True
            )
        ]
        session.decide(sent, ADA)
        session.decide([answer(sent[0]["item"], "undo", undoes=sent[0]["id"])], ADA)
        session.decide([answer(name, "drop") for name in ids(session, BOB, 30)], BOB)
        told = session.progress("ada")["estimate"]
        with session._reading.connect() as connection:
            sample = newest_sample(connection)
        assert sample is not None
        estimate = estimate_of(sample, session.catalogue.rows, read_events(session.log))

    assert (told["checked"], told["wrong"], told["most_left"]) == (estimate.checked, estimate.wrong, estimate.most_left)
    assert told["upper"] == round(estimate.upper, 6)


def test_in_a_blind_check_nobody_can_just_keep(tmp_path: Path) -> None:
    with Session(made_up(doubtful(20)), tmp_path / "review.db", KEY, target=0.1) as session:
        sent = answer(session.next("spot", ADA).items[0]["id"], "keep")

        assert session.decide([sent], ADA).refused == {sent["id"]: "there is no label to keep: choose a class"}


def test_a_sample_can_not_be_drawn_when_everything_was_looked_at(tmp_path: Path) -> None:
    with Session(made_up(doubtful(2)), tmp_path / "review.db", KEY) as session:
        session.decide([answer(name) for name in ids(session)], ADA)

        with pytest.raises(SourceError, match="Somebody has decided on every labelled picture already"):
            session.next("spot", ADA)


# ---- Guidelines


def test_a_decision_names_the_guideline_it_was_made_under(session: Session) -> None:
    written = session.write_guideline("dog", "It barks.", "ada", "")

    session.decide([answer(ids(session)[0], "relabel", label="dog"), answer(ids(session)[1])], ADA)

    assert [one.context["guideline"] for one in read_log(session.log)] == [written.version, ""]


def test_a_guideline_that_was_changed_meanwhile_is_not_overwritten(session: Session) -> None:
    session.write_guideline("dog", "It barks.", "ada", "")

    with pytest.raises(GuidelineConflict, match="ada has changed the guideline of 'dog' meanwhile"):
        session.write_guideline("dog", "It wags.", "bob", "")


# ---- Many at once


def work(session: Session, holder: Holder, at_once: int, saved: list[str], extra: list[str]) -> None:
    """Go through the queue to its end, as the page does."""
    while batch := session.next("errors", holder, count=at_once).items:
        receipt = session.decide([answer(item["id"]) for item in batch], holder)
        saved += receipt.saved
        extra += receipt.extra
    if session.next("errors", holder).left:  # others have the rest before them
        work(session, holder, at_once, saved, extra)


@pytest.mark.slow
@pytest.mark.parametrize("votes", [1, 2])
def test_five_people_with_two_tabs_each_on_two_servers_lose_nothing_and_exceed_nothing(log: Place, votes: int) -> None:
    """1,000 pictures: as many answers to each as were planned, each by another person, and every one in the log."""
    catalogue = made_up(doubtful(1_000))
    saved: list[str] = []
    extra: list[str] = []
    with Session(catalogue, log, KEY, votes=votes) as one, Session(catalogue, log, KEY, votes=votes) as other:
        holders = [Holder(f"{name}-{tab}", name) for name in ("ada", "bob", "cy", "dee", "eve") for tab in (1, 2)]
        people = [
            threading.Thread(target=work, args=((one, other)[number % 2], holder, 10, saved, extra))
            for number, holder in enumerate(holders)
        ]
        for person in people:
            person.start()
        for person in people:
            person.join()

    events = read_events(log)
    answers = Counter(event.decision.path for event in events)
    assert set(answers.values()) == {votes}
    assert len(answers) == 1_000
    assert len({(event.decision.path, event.decision.reviewer) for event in events}) == 1_000 * votes
    assert {event.decision.id for event in events} == set(saved)
    assert extra == []
    assert first_broken_link(events) is None


def test_a_session_resumes_exactly_where_it_was(log: Place) -> None:
    catalogue = made_up(doubtful(6))
    with Session(catalogue, log, KEY) as session:
        first = ids(session, ADA, 3)
        session.decide([answer(first[0]), answer(first[1], "unsure")], ADA)
    with Session(catalogue, log, KEY) as session:
        again = shown(session, ADA, 4)

        assert again == ["0002.jpg", "0003.jpg", "0004.jpg", "0005.jpg"]
        assert [event["answer"] for event in session.history("ada", 5)] == ["unsure", "keep"]


def test_an_answer_is_synced_to_the_disk_before_it_is_acknowledged(session: Session) -> None:
    """SQLite's own words: 2 is FULL."""
    with session._writing.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"


def test_an_acknowledged_answer_can_be_read_by_another_program(session: Session) -> None:
    sent = answer(ids(session)[0])
    session.decide([sent], ADA)

    with sqlite3.connect(str(session.log)) as connection:
        assert connection.execute("SELECT id FROM decisions").fetchall() == [(sent["id"],)]
    connection.close()
