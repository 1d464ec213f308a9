"""Versions and suspicions that are newer than those a session shows are taken in without disturbing anybody."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import curate as library
from conftest import write
from curate import versions
from curate.modelling import flag_again
from curate.opinions import Opinions, keep_opinions, read_opinions
from curate.project import Project
from curate.review_app import renewal
from curate.review_app.source import Source, ranked
from curate.review_log import read_log
from reviews import Site, answer, doubtful, made_up, served, table_of
from test_modelling import tinted

COLOURS = ("blue", "green", "red")
WRONG = {f"{given}/wrong_{n}.jpg": shown for given, shown in (("red", "blue"), ("green", "red")) for n in range(5)}


@pytest.fixture(scope="module")
def flagged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes of 18 pictures, and 10 more in the wrong folder; flagged by the model that tells colours."""
    place = tmp_path_factory.mktemp("flagged")
    write(place / "colours.curate" / "curate.toml", b'[models]\nbackbone = "classic"\n')
    for colour in COLOURS:
        for number in range(18):
            write(place / "colours" / colour / f"{number:02}.jpg", tinted(colour, number))
    for number, (path, colour) in enumerate(WRONG.items()):
        write(place / "colours" / path, tinted(colour, 40 + number))
    library.clean(place / "colours", workers=1)
    library.flag(place / "colours", workers=1)
    return place


@pytest.fixture
def project(flagged: Path, tmp_path: Path) -> Project:
    """A copy of it for one test."""
    shutil.copytree(flagged, tmp_path, dirs_exist_ok=True)
    return Project.at(tmp_path / "colours")


@pytest.fixture
def site(project: Project, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setattr(renewal, "LOOK_EVERY_S", -1.0)  # at once
    with served(project) as opened:
        yield opened


def suspect(project: Project, quality: dict[str, float]) -> None:
    """Let `flag` have said by now that these labels, and no others, are likely wrong; version or not."""
    before = read_opinions(project.cache)["flag"]
    rows = before.rows.assign(
        label_error=before.rows["path"].isin(list(quality)),
        label_quality=before.rows["path"].map(quality).fillna(0.9).astype("float32"),
        suggested_label="blue",
    )
    keep_opinions(project.cache, "flag", Opinions(rows, before.summary))


def asked(browser: Any, count: int = 48, tab: str = "t", queue: str = "errors") -> list[str]:
    items = browser.get(f"/api/next?queue={queue}&tab={tab}&count={count}").json()["items"]
    return [item["path"] for item in items]


def items(browser: Any, count: int = 48, tab: str = "t") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = browser.get(f"/api/next?queue=errors&tab={tab}&count={count}").json()["items"]
    return found


def say(browser: Any, *answers: dict[str, Any], tab: str = "t") -> dict[str, Any]:
    receipt: dict[str, Any] = browser.post("/api/decisions", json={"tab": tab, "decisions": list(answers)}).json()
    return receipt


def news(browser: Any) -> dict[str, Any]:
    told: dict[str, Any] = browser.get("/api/news").json()
    return told


def finished(browser: Any) -> dict[str, Any]:
    """The outcome of ranking, when it is done."""
    for _ in range(600):
        ranking: dict[str, Any] = news(browser)["ranking"]
        if ranking["state"] in ("done", "failed"):
            return ranking
        time.sleep(0.1)
    raise AssertionError(ranking)


# ---- Newer suspicions


def test_there_is_no_news_as_long_as_nothing_happens(site: Site) -> None:
    told = news(site.person())

    assert (told["version"], told["suspicions"], told["loads"], told["ranking"]["state"]) == (None, False, 0, "idle")


def test_newer_suspicions_are_offered_and_loaded_when_asked_for(site: Site, project: Project) -> None:
    browser = site.person()
    before = asked(browser)

    suspect(project, {"blue/00.jpg": 0.2, "red/wrong_0.jpg": 0.1})
    offered = news(browser)
    untouched = asked(browser)
    loaded = browser.post("/api/load", json={}).json()

    assert sorted(before) == sorted(untouched) == sorted(WRONG)
    assert offered["suspicions"] is True
    assert (loaded["came"], loaded["left"], loaded["is_newer"], loaded["version"]) == (1, 9, False, "v2")
    assert asked(browser, tab="t") == ["red/wrong_0.jpg", "blue/00.jpg"]
    assert (news(browser)["suspicions"], news(browser)["loads"]) == (False, 1)


def test_flag_in_a_terminal_is_a_newer_version(site: Site, project: Project) -> None:
    browser = site.person()
    say(browser, answer(items(browser, 1)[0]["id"], "relabel", label="blue"))

    library.flag(project.directory, workers=1)

    assert news(browser)["version"] == "v3"
    assert browser.post("/api/load", json={}).json()["version"] == "v3"
    assert browser.get("/api/session").json()["version"] == "v3"


def test_what_is_decided_does_not_come_back(site: Site, project: Project) -> None:
    browser = site.person()
    first, *_ = items(browser)
    say(browser, answer(first["id"], "keep"))

    suspect(project, {first["path"]: 0.01, "blue/00.jpg": 0.2})
    loaded = browser.post("/api/load", json={}).json()

    assert asked(browser) == ["blue/00.jpg"]
    assert (loaded["came"], loaded["left"]) == (1, 9)


def test_what_was_decided_comes_back_when_that_is_taken_back(site: Site, project: Project) -> None:
    """Though its label is not doubted any more: of the label that it had, nobody has asked again."""
    browser = site.person()
    first, *_ = items(browser)
    said = answer(first["id"], "relabel", label="blue")
    say(browser, said)

    suspect(project, {"blue/00.jpg": 0.2})
    browser.post("/api/load", json={})
    say(browser, answer("", "undo", undoes=said["id"]))

    assert sorted(asked(browser)) == sorted(["blue/00.jpg", first["path"]])


def test_what_a_tab_holds_stays_with_it(site: Site, project: Project) -> None:
    """Though it is not doubted any more: it can be decided on, and nobody else gets it."""
    ada, bob = site.person("ada"), site.person("bob")
    mine = items(ada, 2, "a")

    suspect(project, {"blue/00.jpg": 0.2, mine[0]["path"]: 0.3})
    bob.post("/api/load", json={})
    renewed = ada.post("/api/leases", json={"tab": "a", "items": [one["id"] for one in mine]}).json()

    assert (sorted(renewed["held"]), renewed["lost"]) == (sorted(one["id"] for one in mine), [])
    assert asked(bob, tab="b") == ["blue/00.jpg"]
    receipt = say(ada, *(answer(one["id"], "relabel", label="blue") for one in mine), tab="a")
    assert (len(receipt["saved"]), receipt["refused"]) == (2, [])
    assert [one.path for one in read_log(project.review_log)] == [one["path"] for one in mine]


def test_a_blind_sample_stays_as_it_was_drawn(site: Site, project: Project) -> None:
    browser = site.person()
    drawn = browser.get("/api/next?queue=spot&tab=t&count=3").json()["items"]
    say(browser, answer(drawn[0]["id"], "relabel", label="blue"), answer(drawn[1]["id"], "drop"))
    before = browser.get("/api/progress").json()["estimate"]

    library.apply(project.directory, workers=1)
    suspect(project, {"blue/00.jpg": 0.2})
    browser.post("/api/load", json={})
    after = browser.get("/api/progress").json()

    assert before == after["estimate"]
    assert after["by_queue"]["spot"] == before["planned"] - 2


def test_another_server_offers_what_one_has_ranked_and_a_later_one_begins_with_it(site: Site, project: Project) -> None:
    with served(project) as other:
        suspect(project, {"blue/00.jpg": 0.2})
        site.person().post("/api/load", json={})

        assert news(other.person())["suspicions"] is True
        assert sorted(asked(other.person("bob"))) == sorted(WRONG)
    with served(project) as later:
        assert asked(later.person("cy")) == ["blue/00.jpg"]
        assert news(later.person("cy"))["suspicions"] is False


def test_the_next_version_holds_the_newer_suspicions(site: Site, project: Project) -> None:
    suspect(project, {"blue/00.jpg": 0.2})

    made = library.apply(project.directory, workers=1)

    rows = library.table(project.directory)
    assert made.is_new
    assert rows.loc[rows["label_error"].fillna(False).astype(bool), "path"].tolist() == ["blue/00.jpg"]


def test_only_what_nobody_has_decided_on_is_ranked_anew() -> None:
    table = table_of([*doubtful(2), {"path": "0002.jpg", "label_error": False, "label_quality": 0.8}])
    said = table[["path", "sha256"]].assign(
        about="cat", label_error=[False, False, True], label_quality=[0.9, 0.9, 0.1], suggested_label="dog"
    )
    log = [library_decision("0000.jpg", table)]

    found = ranked(table, Opinions(said), log)

    assert found["label_error"].tolist() == [True, False, True]
    assert found["flags"].tolist() == ["label_error", "", "label_error"]


def library_decision(path: str, table: Any) -> Any:
    from curate.decisions import new_decision

    return new_decision(path, table.set_index("path")["sha256"][path], "relabel", "ada", "dog")


# ---- A newer version


def test_a_decision_counts_after_apply_has_run_in_between(site: Site, project: Project) -> None:
    browser = site.person()
    first, second, *_ = items(browser)
    say(browser, answer(first["id"], "relabel", label="blue"))
    library.apply(project.directory, workers=1)

    receipt = say(browser, answer(second["id"], "relabel", label="blue"))
    applied = library.apply(project.directory, workers=1)

    assert receipt["progress"]["news"]["version"] == "v3"
    assert (applied.decided, applied.changed, applied.stale) == (2, 1, [])


def test_a_picture_that_left_since_can_still_be_decided_on_and_is_told_as_stale(site: Site, project: Project) -> None:
    browser = site.person()
    first, second, *_ = items(browser)
    write(project.folder / first["path"], tinted("green", 99))
    (project.folder / second["path"]).unlink()
    library.clean(project.directory, workers=1)
    browser.post("/api/load", json={})

    receipt = say(browser, answer(first["id"], "keep"), answer(second["id"], "keep"))

    assert (len(receipt["saved"]), receipt["refused"]) == (2, [])
    assert [one.path for one in library.apply(project.directory, workers=1).stale] == [first["path"], second["path"]]


def test_what_a_browser_kept_is_taken_by_a_new_session_that_does_not_doubt_the_label(
    site: Site, project: Project
) -> None:
    """Offline, the server ended, `curate flag` ran: what was answered meanwhile is in the journal of the browser."""
    first, *_ = items(site.person())
    suspect(project, {"blue/00.jpg": 0.2})

    with served(project) as later:
        receipt = say(later.person(), answer(first["id"], "keep"))

    assert (len(receipt["saved"]), receipt["refused"]) == (1, [])


def test_the_page_is_told_of_a_new_version_while_it_only_looks(site: Site, project: Project) -> None:
    browser = site.person()
    held = [one["id"] for one in items(browser, 2)]
    say(browser, answer(items(browser, 3)[2]["id"], "relabel", label="green"))
    library.apply(project.directory, workers=1)

    told = browser.post("/api/leases", json={"tab": "t", "items": held}).json()["news"]

    assert told["version"] == "v3"


def test_a_store_that_can_not_be_read_leaves_the_session_as_it_is(site: Site, project: Project) -> None:
    browser = site.person()
    before = asked(browser)
    suspect(project, {"blue/00.jpg": 0.2})
    for file in project.versions.glob("*.parquet"):
        file.unlink()

    refused = browser.post("/api/load", json={})

    assert refused.status_code == 503
    assert "damaged or missing" in refused.json()["error"] or "can't be read" in refused.json()["error"]
    assert asked(browser) == before


# ---- Ranking again


def test_ranking_again_learns_from_what_was_decided(site: Site, project: Project) -> None:
    """What is corrected teaches the models; what `curate flag` would say is kept, and no version is made."""
    browser = site.person()
    for one in items(browser, 6):
        say(browser, answer(one["id"], "relabel", label=one["suggested"]))
    left = set(WRONG) - {one.path for one in read_log(project.review_log)}

    started = browser.post("/api/rank", json={}).json()["ranking"]["state"]
    outcome = finished(browser)

    assert started == "running"
    assert (outcome["state"], outcome["error"]) == ("done", "")
    assert outcome["outcome"]["version"] == "v2"
    assert versions.find_version(project.versions, None).number == 2
    shown = asked(browser)
    assert set(shown) >= left
    assert not set(shown) & {one.path for one in read_log(project.review_log)}
    about = read_opinions(project.cache)["flag"].rows.set_index("path")["about"]
    assert {path: about[path] for path in WRONG if path not in left} == {
        path: shown for path, shown in WRONG.items() if path not in left
    }


def test_ranking_again_says_what_flag_says(project: Project) -> None:
    flag_again(project, workers=1)
    ours = read_opinions(project.cache)["flag"]
    library.flag(project.directory, workers=1)
    theirs = read_opinions(project.cache)["flag"]

    assert ours.rows.equals(theirs.rows)
    assert ours.summary == theirs.summary


def test_people_go_on_while_it_ranks_and_asking_twice_ranks_once(site: Site) -> None:
    browser = site.person()
    browser.post("/api/rank", json={})
    browser.post("/api/rank", json={})

    answered = 0
    while news(browser)["ranking"]["state"] == "running" and answered < 5:
        [one, *_] = items(browser, 1)
        answered += len(say(browser, answer(one["id"], "keep"))["saved"])

    assert answered == 5
    assert finished(browser)["state"] == "done"
    assert news(browser)["loads"] == 1


def test_who_holds_the_store_is_named(site: Site, project: Project) -> None:
    with project.writing("curate clean"):
        site.person().post("/api/rank", json={})
        ranking = finished(site.person("bob"))

    assert ranking["state"] == "failed"
    assert ranking["error"].startswith("`curate clean` (process ")
    assert "Wait until it ends" in ranking["hint"]


def test_what_flag_was_given_by_hand_is_not_replaced(site: Site, project: Project) -> None:
    before = read_opinions(project.cache)["flag"]
    keep_opinions(project.cache, "flag", Opinions(before.rows, {**before.summary, "votes": {"errors": 1}}))

    site.person().post("/api/rank", json={})
    ranking = finished(site.person("bob"))

    assert ranking["error"] == "`curate flag` was given a file (--votes), without which it would judge otherwise."
    assert "--votes FILE" in ranking["hint"]


def test_a_process_that_dies_changes_nothing(site: Site, project: Project, kill_ranking: Callable[[], None]) -> None:
    browser = site.person()
    before = asked(browser)
    browser.post("/api/rank", json={})

    kill_ranking()
    ranking = finished(browser)

    assert (ranking["state"], ranking["error"]) == ("failed", "Ranking again ended early; nothing was changed.")
    assert asked(browser) == before


@pytest.fixture
def kill_ranking(site: Site) -> Callable[[], None]:
    """Ends the process as the kernel would that has run out of memory."""

    def kill() -> None:
        for _ in range(200):
            process = site.renewal._process
            if process is not None:
                process.kill()
                return
            time.sleep(0.02)
        raise AssertionError("it did not begin")

    return kill


def test_only_a_lead_ranks_again(site: Site) -> None:
    assert site.person("bob", "reviewer").post("/api/rank", json={}).status_code == 403


def test_a_session_that_ends_ends_its_ranking(project: Project) -> None:
    with served(project) as opened:
        opened.person().post("/api/rank", json={})
        while opened.renewal._process is None:
            time.sleep(0.02)
        process = opened.renewal._process

    assert process.poll() is not None


def test_a_source_is_told_apart_by_what_flag_has_said_since(project: Project) -> None:
    source = Source(project)
    before = source.stamp()
    suspect(project, {"blue/00.jpg": 0.2})

    assert (before.version, before.ranked_ns) == (2, 0)
    assert source.stamp().ranked_ns > 0


def test_a_catalogue_that_is_taken_in_keeps_what_was_said(tmp_path: Path) -> None:
    from curate.review_app.leasing import Holder
    from curate.review_app.session import Session
    from reviews import KEY

    with Session(made_up(doubtful(3)), tmp_path / "review.db", KEY) as session:
        ada = Holder("t", "ada")
        [first, *_] = session.next("errors", ada, count=1).items
        session.decide([answer(first["id"], "keep")], ada)

        came, left = session.load(made_up(doubtful(5)))

        assert (came, left) == (2, 0)
        assert session.progress("ada")["by_queue"]["errors"] == 4
        assert session.progress("ada")["decided"] == 1
