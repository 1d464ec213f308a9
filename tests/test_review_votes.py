"""Votes that differ, and what measures who votes: a lead decides with a reason; nobody can tell a test from work."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from conftest import PICTURES, Curate, write
from curate.agreement import agreement_of
from curate.answers import guarded, unguarded
from curate.decisions import Decision, new_decision, standing_decisions
from curate.errors import SourceError
from curate.review_app.leasing import Holder
from curate.review_app.measuring import GAP, read_gold
from curate.review_app.queues import Catalogue
from curate.review_app.session import Session
from curate.review_app.team import changes, team
from curate.review_log import append, read_log
from reviews import KEY, Site, answer, doubt, doubtful, made_up, served

ADA, BOB, CY, LEA = (Holder(f"tab-{name}", name) for name in ("ada", "bob", "cy", "lea"))


def ids(session: Session, holder: Holder, queue: str = "errors", count: int = 48) -> dict[str, str]:
    """Path -> id of what somebody gets next."""
    return {item["path"]: item["id"] for item in session.next(queue, holder, count=count).items}


def vote(session: Session, holder: Holder, said: str = "keep", path: str = "0000.jpg", **more: Any) -> None:
    receipt = session.decide([answer(ids(session, holder, count=1)[path], said, **more)], holder)
    assert receipt.refused == {}


@pytest.fixture
def disputed(tmp_path: Path) -> Iterator[Session]:
    """Two likely errors, for two votes each; of the first there are three answers, all different."""
    rows = doubtful(2)
    rows[1]["suggested_label"] = "wolf"
    with Session(made_up(rows), tmp_path / "review.db", KEY, votes=2) as session:
        vote(session, ADA, "keep", note="the whiskers")
        vote(session, BOB, "relabel", label="dog", note="the tail")
        vote(session, CY, "drop", note="out of scope")
        yield session


def reasoned(session: Session, said: str = "relabel", note: str = "a tail like that", **more: Any) -> dict[str, Any]:
    """A lead's answer on the first picture whose votes differ."""
    item = session.next("adjudication", LEA).items[0]
    return answer(item["id"], said, note=note, **({"label": "dog"} if said == "relabel" else {}), **more)


# ---- Adjudication


def test_three_different_answers_go_to_a_lead(disputed: Session) -> None:
    batch = disputed.next("adjudication", LEA)

    assert [item["path"] for item in batch.items] == ["0000.jpg"]
    assert (batch.left, disputed.progress("lea", lead=True)["by_queue"]["adjudication"]) == (1, 1)
    assert disputed.next("errors", Holder("tab-d", "dee")).left == 1  # the other one


def test_two_that_agree_and_two_that_differ_need_no_lead(tmp_path: Path) -> None:
    """Where two differ a third is asked first."""
    with Session(made_up(doubtful(2)), tmp_path / "review.db", KEY, votes=2) as session:
        for holder, said in ((ADA, "keep"), (BOB, "drop")):
            vote(session, holder, "keep", "0000.jpg")
            vote(session, holder, said, "0001.jpg")

        assert session.next("adjudication", LEA).items == []


def test_a_lead_sees_what_was_said_and_not_by_whom(disputed: Session) -> None:
    item = disputed.next("adjudication", LEA).items[0]

    assert item["votes"] == [
        {"answer": "drop", "label": "", "note": "out of scope"},
        {"answer": "keep", "label": "", "note": "the whiskers"},
        {"answer": "relabel", "label": "dog", "note": "the tail"},
    ]
    assert (item["given"], item["suggested"], item["history"]) == ("cat", "dog", [])
    assert not {"ada", "bob", "cy"} & set(json.dumps(item).split('"'))


def test_only_a_lead_decides_where_votes_differ(disputed: Session) -> None:
    sent = reasoned(disputed)

    receipt = disputed.decide([sent], ADA)

    assert receipt.refused == {sent["id"]: "only a lead decides where votes differ"}
    assert disputed.item(sent["item"], "ada") is None
    assert "adjudication" not in disputed.progress("ada")["by_queue"]
    assert "adjudication" not in [one["name"] for one in disputed.queues("ada")]


@pytest.mark.parametrize("note", ["", "  \n"])
def test_where_votes_differ_a_decision_takes_a_reason(disputed: Session, note: str) -> None:
    sent = reasoned(disputed, note=note)

    receipt = disputed.decide([sent], LEA, lead=True)

    assert list(receipt.refused.values()) == ["where votes differ, a decision takes a reason: write it as the note"]
    assert receipt.saved == []


def test_an_adjudication_stands_over_the_votes_also_those_that_come_later(disputed: Session) -> None:
    """A vote that waited in a browser without network makes two that agree, and changes nothing."""
    receipt = disputed.decide([reasoned(disputed)], LEA, lead=True)
    late = [one for one in read_log(disputed.log) if one.reviewer == "bob"]
    append(disputed.log, [replace(late[0], id="f" * 32, reviewer="dee", answer="drop", label="")])

    (holds,) = standing_decisions(read_log(disputed.log)).values()
    assert (holds.round, holds.answer, holds.label, holds.note) == (
        "adjudication",
        "relabel",
        "dog",
        "a tail like that",
    )
    assert receipt.extra == []
    assert disputed.next("adjudication", LEA).items == []


def test_an_adjudication_can_be_taken_back(disputed: Session) -> None:
    sent = reasoned(disputed)
    disputed.decide([sent], LEA, lead=True)

    disputed.decide([answer(sent["item"], "undo", undoes=sent["id"])], LEA, lead=True)

    assert standing_decisions(read_log(disputed.log)) == {}
    assert [item["id"] for item in disputed.next("adjudication", LEA).items] == [sent["item"]]


def test_a_session_that_was_started_anew_knows_what_is_disputed_and_what_was_adjudicated(disputed: Session) -> None:
    sent = reasoned(disputed)
    with Session(disputed.catalogue, disputed.log, KEY, votes=2) as again:
        before = ids(again, LEA, "adjudication")
        again.decide([sent], LEA, lead=True)
    with Session(disputed.catalogue, disputed.log, KEY, votes=2) as again:
        events, left = again.history("lea", 1), again.next("adjudication", LEA).left
        item = again.item(events[0]["item"], "lea", lead=True)

    assert before == {"0000.jpg": sent["item"]}
    assert (events[0]["item"], left) == (sent["item"], 0)
    assert item is not None
    assert len(item["votes"]) == 3


def test_a_lead_who_voted_may_adjudicate_and_two_leads_never_get_the_same(disputed: Session) -> None:
    assert list(ids(disputed, ADA, "adjudication")) == ["0000.jpg"]
    assert list(ids(disputed, LEA, "adjudication")) == []


def test_a_lead_who_can_not_tell_leaves_it_to_another(disputed: Session) -> None:
    disputed.decide([reasoned(disputed, "unsure")], LEA, lead=True)

    assert disputed.next("adjudication", LEA).items == []
    assert list(ids(disputed, ADA, "adjudication")) == ["0000.jpg"]


def test_imported_votes_without_a_majority_wait_for_a_lead(tmp_path: Path) -> None:
    """Whatever the session's own number of votes is."""
    log, catalogue = tmp_path / "review.db", made_up(doubtful(1))
    path, sha256 = catalogue.paths[0], catalogue.contents[0]
    votes = [
        new_decision(path, sha256, "relabel", "one", "dog"),
        new_decision(path, sha256, "relabel", "two", "dog"),
        new_decision(path, sha256, "drop", "three"),
        new_decision(path, sha256, "drop", "four"),
    ]
    append(log, [replace(one, round="vote", quota=4) for one in votes])

    with Session(catalogue, log, KEY) as session:
        assert list(ids(session, LEA, "adjudication")) == ["0000.jpg"]


# ---- What is unclear


def test_an_unclear_guideline_is_an_issue_until_it_is_written_anew(disputed: Session) -> None:
    disputed.write_guideline("dog", "barks", "lea", "")
    disputed.decide([reasoned(disputed, unclear=["dog"])], LEA, lead=True)

    (issue,) = disputed.issues()
    version = disputed.guideline("dog").version
    disputed.write_guideline("dog", "barks; wolves are wolves", "lea", version)

    assert (issue.label, issue.reason, issue.opened_by) == ("dog", "a tail like that", "lea")
    assert disputed.issues() == []


def test_an_issue_is_closed_once_by_whoever_leads(disputed: Session) -> None:
    sent = reasoned(disputed, unclear=["cat", "dog"])
    disputed.decide([sent], LEA, lead=True)

    closed = [disputed.close_issue(sent["id"], "cat", "lea") for _ in range(2)]

    assert closed == [True, False]
    assert [one.label for one in disputed.issues()] == ["dog"]


def test_an_issue_goes_with_the_decision_it_came_with(disputed: Session) -> None:
    sent = reasoned(disputed, unclear=["dog"])
    disputed.decide([sent], LEA, lead=True)

    disputed.decide([answer(sent["item"], "undo", undoes=sent["id"])], LEA, lead=True)

    assert disputed.issues() == []


def test_nothing_is_unclear_about_a_class_that_is_none(disputed: Session) -> None:
    sent = reasoned(disputed, unclear=["<b>"])

    receipt = disputed.decide([sent], LEA, lead=True)

    assert receipt.refused == {sent["id"]: "there is no class '<b>' in this data set"}


def test_what_the_last_edit_of_a_guideline_changed() -> None:
    assert changes("a\nb\nc", "a\nB\nc") == [
        {"kind": "same", "text": "a"},
        {"kind": "removed", "text": "b"},
        {"kind": "added", "text": "B"},
        {"kind": "same", "text": "c"},
    ]
    assert changes("", "new") == [{"kind": "added", "text": "new"}]


# ---- Gold and repeated pictures


def sure(catalogue: Catalogue, number: int, label: str = "dog") -> dict[tuple[str, str], str]:
    """The last so many pictures as gold."""
    return dict.fromkeys(list(zip(catalogue.paths, catalogue.contents, strict=True))[-number:], label)


@pytest.fixture
def measured(tmp_path: Path) -> Iterator[Session]:
    """150 likely errors, the last 30 of them gold: dogs."""
    catalogue = made_up(doubtful(150))
    with Session(catalogue, tmp_path / "review.db", KEY, votes=2, gold=sure(catalogue, 30)) as session:
        yield session


def work(session: Session, holder: Holder, said: str = "keep", at_once: int = 6) -> list[dict[str, Any]]:
    """Answer everything as it comes, some at once; what was shown."""
    shown: list[dict[str, Any]] = []
    while items := session.next("errors", holder, count=at_once).items:
        more = {"label": "dog"} if said == "relabel" else {}
        session.decide([answer(item["id"], said, **more) for item in items], holder)
        shown += items
    return shown


def test_of_a_hundred_pictures_some_four_are_gold_and_two_to_three_repeated(measured: Session) -> None:
    """4 whole stretches of 25 answers and some of a fifth; 2 of 40 after the first 30."""
    work(measured, ADA)

    rounds = Counter(one.round for one in read_log(measured.log))
    assert rounds["vote"] == 120
    assert rounds["gold"] in (4, 5)
    assert rounds["repeat"] in (2, 3)


def test_what_measures_changes_no_label(measured: Session) -> None:
    work(measured, ADA, "drop")
    work(measured, BOB, "relabel")
    log = read_log(measured.log)

    assert {one.round for one in log if one.path >= "0120.jpg"} == {"gold"}
    assert standing_decisions(log) == {}  # nothing but votes that differ


def test_what_is_repeated_was_answered_at_least_twenty_answers_before(measured: Session) -> None:
    work(measured, ADA)

    own = [one for one in read_log(measured.log) if one.round != "gold"]
    work_done = [one.path for one in own if one.round == "vote"]
    for place, one in enumerate(own):
        if one.round == "repeat":
            answers_before = sum(before.round == "vote" for before in own[:place])
            assert answers_before - work_done.index(one.path) >= GAP
    assert len({one.path for one in own if one.round == "repeat"}) == sum(one.round == "repeat" for one in own)


def test_nobody_can_tell_what_measures_them(measured: Session) -> None:
    """What is sent is alike, each has a name of its own, and each answer takes one off what is left."""
    shown, left = [], [measured.progress("ada")["by_queue"]["errors"]]
    while items := measured.next("errors", ADA, count=6).items:
        for item in items:
            measured.decide([answer(item["id"])], ADA)
            left.append(measured.progress("ada")["by_queue"]["errors"])
        shown += items

    names = {name for item in shown for name in item}
    assert all(set(item) == names for item in shown)
    assert {(item["round"], item["queue"], json.dumps(item["history"])) for item in shown} == {("vote", "errors", "[]")}
    assert len({item["id"] for item in shown}) == len(shown)
    assert left == list(range(len(shown), -1, -1))
    assert {one.round for one in read_log(measured.log)} == {"vote", "gold", "repeat"}


def test_what_measures_comes_at_no_regular_distance(measured: Session) -> None:
    work(measured, ADA)

    places = [place for place, one in enumerate(read_log(measured.log)) if one.round == "gold"]
    assert len({later - before for before, later in pairwise(places)}) > 2


def test_the_same_log_and_key_measure_by_the_same_pictures(tmp_path: Path) -> None:
    catalogue = made_up(doubtful(130))
    runs = []
    for name, holder in (("one", ADA), ("two", ADA), ("three", BOB)):
        with Session(catalogue, tmp_path / f"{name}.db", KEY, gold=sure(catalogue, 30)) as session:
            work(session, holder)
            runs.append([(one.path, one.round) for one in read_log(session.log)])

    assert runs[0] == runs[1] != runs[2]


def test_nobody_answers_for_another_what_measures_that_one(measured: Session) -> None:
    work(measured, ADA)
    gold = next(one for one in read_log(measured.log) if one.round == "gold")
    event = next(one for one in measured.history("ada", 400) if one["id"] == gold.id)

    receipt = measured.decide([answer(event["item"])], BOB)

    assert list(receipt.refused.values()) == ["this version of the data set has no such picture"]
    assert measured.item(event["item"], "bob") is None
    assert measured.item(event["item"], "ada") is not None


def test_an_answer_that_measures_comes_through_a_new_start_of_the_server(measured: Session) -> None:
    """It waited in the browser. And the history names what was shown, so that undo shows the same again."""
    items: list[dict[str, Any]] = []
    while len(items) < 60:
        items += measured.next("errors", ADA, count=6).items
        measured.decide([answer(item["id"]) for item in items[-6:-3]], ADA)
        waiting = items[-3:]
        with Session(measured.catalogue, measured.log, KEY, votes=2, gold=measured.gold) as again:
            assert again.decide([answer(item["id"]) for item in waiting], ADA).refused == {}
            newest = [event["item"] for event in again.history("ada", 3)]
        assert newest == [item["id"] for item in reversed(waiting)]

    assert {one.round for one in read_log(measured.log)} >= {"vote", "gold"}


def test_an_adjudicated_picture_is_gold_for_who_had_no_vote_on_it(tmp_path: Path) -> None:
    with Session(made_up(doubtful(60)), tmp_path / "review.db", KEY, votes=2, measure=True) as session:
        for holder, said in ((ADA, "keep"), (BOB, "drop"), (CY, "both")):
            more: dict[str, Any] = {"labels": ["cat", "dog"]} if said == "both" else {}
            vote(session, holder, said, path="0000.jpg", **more)
        session.decide([reasoned(session)], LEA, lead=True)
        for holder in (ADA, Holder("tab-d", "dee")):
            work(session, holder)

        gold = [one for one in read_log(session.log) if one.round == "gold"]
        assert [(one.reviewer, one.path, one.context["truth"]) for one in gold] == [("dee", "0000.jpg", "dog")]


def test_without_measuring_nothing_is_mixed_in(tmp_path: Path) -> None:
    with Session(made_up(doubtful(120)), tmp_path / "review.db", KEY) as session:
        work(session, ADA)

        assert {one.round for one in read_log(session.log)} == {""}


def test_what_is_filtered_holds_nothing_that_would_not_fit(measured: Session) -> None:
    """A class that is filtered for, or a grid of one pair, would give away what does not belong there."""
    from curate.review_app.queues import Filter

    while items := measured.next("errors", ADA, count=40, wanted=Filter(text="00")).items:
        measured.decide([answer(item["id"]) for item in items], ADA)

    assert {one.round for one in read_log(measured.log)} == {"vote"}


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ("path,label\nnone.jpg,cat\n", r"Row 1 of '.*gold.csv' names the picture 'none.jpg', which v1 does not have"),
        ("path,label\n0000.jpg,cow\n", "names the class 'cow'"),
        ("path,label\nplain.jpg,cat\n", "None of the 1 gold pictures"),
        ("path,label\n../0000.jpg,cat\n", "not a path inside the image folder"),
        ("file,label\n0000.jpg,cat\n", None),
    ],
)
def test_a_table_of_gold_pictures_names_what_can_be_asked_about(tmp_path: Path, rows: str, why: str | None) -> None:
    (tmp_path / "gold.csv").write_text(rows)
    catalogue = made_up([*doubtful(2), {"path": "plain.jpg", "label_error": False}])

    if why is None:
        assert read_gold(tmp_path / "gold.csv", catalogue) == {("0000.jpg", catalogue.contents[0]): "cat"}
        return
    with pytest.raises(SourceError, match=why):
        read_gold(tmp_path / "gold.csv", catalogue)


# ---- How people do


def test_gold_and_repeats_tell_who_is_right_and_who_is_steady(measured: Session) -> None:
    """Ada calls everything a dog, as the gold is; Bob keeps everything, and so do all his repeats."""
    work(measured, ADA, "relabel")
    work(measured, BOB, "keep")

    ada, bob = agreement_of(read_log(measured.log), {}).reviewers

    assert ada.gold.count == ada.gold.total >= 4
    assert (bob.gold.count, bob.gold.total >= 4) == (0, True)
    assert bob.repeats.count == bob.repeats.total >= 2


def timed(name: str, seconds: float, number: int, label: str = "") -> Decision:
    one = new_decision(f"{number}.jpg", "abc", "relabel" if label else "keep", name, label)
    return replace(one, round="vote", quota=2, context={"seconds": seconds, "mode": "single", "given": "cat"})


def test_who_is_much_faster_or_slower_than_the_others_is_named() -> None:
    """Of ten pictures and more: one alone may be easy, or hard."""
    paces = {"ada": 2.0, "bob": 2.2, "eve": 0.4, "sue": 9.0}
    log = [timed(name, s, number) for name, s in paces.items() for number in range(10)]
    log += [timed("new", 9.0, number) for number in range(9)]

    people = agreement_of(log, {}).reviewers

    assert [(one.name, one.pace, one.hasty.count) for one in people] == [
        ("ada", "", 0), ("bob", "", 0), ("eve", "fast", 10), ("new", "", 0), ("sue", "slow", 0),
    ]  # fmt: skip


def test_each_class_has_an_agreement_of_its_own() -> None:
    """On dogs and cats two people differ once in four pictures; nobody differs on cows."""
    said = [("", ""), ("dog", "dog"), ("dog", ""), ("cow", "cow")]
    log = [timed(name, 1, n, labels[i]) for n, labels in enumerate(said) for i, name in enumerate(("ada", "bob"))]

    found = agreement_of(log, {})

    # Of 8 values 3 are dogs and 5 are not; 2 differ from their pair, and 2 * 3 * 5 / 7 would by chance.
    assert [(one.label, one.pictures) for one in found.classes] == [("cat", 2), ("dog", 2)]
    assert found.classes[1].alpha == pytest.approx(1 - 2 / (2 * 3 * 5 / 7))


def test_what_was_kept_is_the_label_that_was_shown() -> None:
    """After a version was made, the source's label may be another."""
    kept = replace(timed("ada", 1, 0), context={"given": "dog", "seconds": 1, "mode": "single"})
    log = [kept, timed("bob", 1, 0, "dog")]

    assert agreement_of(log, {"0.jpg": "cat"}).reviewers[0].agreement.count == 1


def test_a_lead_is_told_how_it_goes(disputed: Session) -> None:
    told = team(disputed)

    assert told["agreement"]["pictures"] == 1
    assert [(one["name"], one["decisions"]) for one in told["people"]] == [("ada", 1), ("bob", 1), ("cy", 1)]
    assert told["disputes"]["total"] == 1
    assert told["disputes"]["first"][0]["votes"][0] == {"answer": "drop", "label": "drop", "note": "out of scope"}
    assert told["work"]["left"] == 2  # two votes on the other picture
    json.dumps(told, allow_nan=False)


# ---- Over HTTP


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Four pictures; on the one that is doubted there are three votes, all different."""
    folder = tmp_path / "photos"
    for number in range(4):
        write(folder / ("cats" if number < 2 else "dogs") / f"{number}.jpg", PICTURES[number])
    with served(doubt(folder, {"cats/0.jpg": "dogs"}), votes=2) as opened:
        said = (("ada", "keep"), ("bob", "drop"), ("cy", "both"))
        for name, what in said:
            person = opened.person(name, "reviewer")
            item = person.get("/api/next?queue=errors&tab=t").json()["items"][0]["id"]
            sent = answer(item, what, labels=["cats", "dogs"], note="=1+1")
            person.post("/api/decisions", json={"tab": "t", "decisions": [sent]})
        yield opened


def decided(browser: Any, sent: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = browser.post("/api/decisions", json={"tab": "t", "decisions": [sent]}).json()
    return found


def test_a_lead_settles_what_is_disputed_over_http(site: Site) -> None:
    lea = site.person("lea")
    (item,) = lea.get("/api/next?queue=adjudication&tab=t").json()["items"]
    sent = answer(item["id"], "relabel", label="dogs", unclear=["dogs"])

    refused = decided(lea, sent)["refused"]
    receipt = decided(lea, sent | {"note": "barks"})
    guideline = lea.get("/api/guideline?label=dogs").json()
    closing = {"decision": sent["id"], "label": "dogs"}
    closed = [lea.post("/api/issue", json=closing) for _ in range(2)]

    assert "takes a reason" in refused[0]["why"]
    assert (receipt["saved"], receipt["extra"]) == ([sent["id"]], [])
    assert receipt["progress"]["by_queue"]["adjudication"] == 0
    assert [one["reason"] for one in guideline["issues"]] == ["barks"]
    assert [one.status_code for one in closed] == [200, 404]
    assert closed[0].json() == {"issues": []}


def test_who_is_no_lead_is_told_nothing_that_is_for_leads(site: Site) -> None:
    """Neither by asking for it, nor by a name that was seen over somebody's shoulder."""
    (item,) = site.person("lea").get("/api/next?queue=adjudication&tab=t").json()["items"]
    bob = site.person("bob", "reviewer")
    gets = ("/api/team", "/api/answers.csv", "/api/next?queue=adjudication&tab=u")

    assert [bob.get(path).status_code for path in gets] == [403, 403, 403]
    assert bob.get(f"/api/item/{item['id']}").status_code == 404
    assert bob.post("/api/issue", json={"decision": "x", "label": "dogs"}).status_code == 403
    assert (
        decided(bob, answer(item["id"], note="mine"))["refused"][0]["why"] == "only a lead decides where votes differ"
    )
    assert "adjudication" not in json.dumps(bob.get("/api/session").json())


def test_the_export_of_answers_holds_no_formula_and_can_be_read_again(site: Site) -> None:
    """And nothing of what measured people."""
    done = site.person("lea").get("/api/answers.csv")
    rows = list(csv.DictReader(done.text.splitlines()))

    assert (done.headers["content-type"], done.headers["content-disposition"]) == (
        "text/csv; charset=utf-8",
        'attachment; filename="answers.csv"',
    )
    assert [(row["annotator"], row["label"], row["note"]) for row in rows] == [
        ("ada", "cats", "'=1+1"), ("bob", "(neither)", "'=1+1"), ("cy", "(both)", "'=1+1"),
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["=HYPERLINK(1)", "+1", "-cat", "@x", "\tx", "plain", "", "'quoted'"])
def test_what_is_guarded_against_spreadsheets_comes_back_as_it_was(text: str) -> None:
    assert unguarded(guarded(text)) == text
    assert guarded(text)[:1] not in ("=", "+", "-", "@", "\t", "\r")


def test_the_page_of_leads_over_http(site: Site) -> None:
    told = site.person("lea").get("/api/team").json()

    assert set(told) == {"agreement", "people", "confusions", "work", "disputes", "issues", "guidelines"}
    assert told["disputes"]["total"] == 1
    assert {"ada", "bob", "cy"} == {one["name"] for one in told["people"]}


# ---- At the terminal


def test_how_people_do_can_be_had_as_data(site: Site, curate: Curate, tmp_path: Path) -> None:
    assert site.session.ledger.seq == 3
    done = curate("review", tmp_path / "photos", "--people", "--json")

    people = done.json["people"]
    assert [(one["name"], one["decisions"], one["gold"]["total"]) for one in people] == [
        ("ada", 1, 0), ("bob", 1, 0), ("cy", 1, 0),
    ]  # fmt: skip
