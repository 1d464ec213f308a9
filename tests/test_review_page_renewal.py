"""In a real browser: flags for later, classes that are new, ranking again, and versions that were made meanwhile."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import curate as library
import test_review_page
from curate.project import Project
from curate.review_log import read_log
from test_review_page import Served, opened, press, serving, settle, shown, wait_until_saved

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = test_review_page.pytestmark
browser, context, page = test_review_page.browser, test_review_page.context, test_review_page.page
flagged, project, served = test_review_page.flagged, test_review_page.project, test_review_page.served

LONG_MS = 60_000  # for a model to learn, on a busy machine


def choose_queue(page: Page, name: str) -> None:
    press(page, "q")
    page.check(f"#queue-{name}")
    press(page, "Enter")
    settle(page)


def notices(page: Page) -> str:
    return page.text_content("#notices") or ""


def test_f_flags_the_picture_and_its_queue_shows_it_with_the_note(page: Page, served: Served) -> None:
    first = shown(page)

    press(page, "n")
    page.keyboard.type("ask the painter")
    press(page, "Enter", "f")
    wait_until_saved(page)
    second = shown(page)
    choose_queue(page, "flagged")

    assert second != first
    assert shown(page) == first
    page.wait_for_selector(".reasons:has-text('ada flagged it: “ask the painter”')")
    assert [(one.answer, one.note) for one in served.decisions] == [("flag", "ask the painter")]


def test_an_answer_in_the_queue_of_flags_ends_the_flag(page: Page, served: Served) -> None:
    press(page, "f")
    choose_queue(page, "flagged")
    press(page, "s")
    wait_until_saved(page)
    page.wait_for_selector("h2:has-text('This queue is empty')")

    assert [one.answer for one in served.decisions] == ["flag", "relabel"]


def test_z_takes_a_flag_back(page: Page, served: Served) -> None:
    first = shown(page)

    press(page, "f", "z")
    wait_until_saved(page)

    assert shown(page) == first
    assert served.said == []
    assert [one.answer for one in served.decisions] == ["flag", "undo"]


def test_a_blind_check_can_not_be_left_for_later(page: Page, served: Served) -> None:
    choose_queue(page, "spot")

    press(page, "f")

    assert "can't be left for later" in (page.text_content(".before") or "")
    assert served.decisions == []


def test_a_class_that_is_new_is_asked_about_once_and_then_in_the_list(page: Page, served: Served) -> None:
    press(page, "d")
    page.keyboard.type("teal")
    press(page, "Enter")
    question = page.text_content("dialog.confirm")
    press(page, "Enter")
    wait_until_saved(page)
    press(page, "d")
    page.keyboard.type("tea")
    press(page, "Enter")
    wait_until_saved(page)

    assert "Make the class teal? No picture has it yet." in (question or "")
    assert [(answer, label) for _, answer, label, _ in served.said] == [("relabel", "teal")] * 2


def test_a_new_class_is_not_made_by_a_slip(page: Page, served: Served) -> None:
    """Esc on the question leaves everything as it was; and no key is moved by a class that is made."""
    press(page, "d")
    page.keyboard.type("teal")
    press(page, "Enter", "Escape", "Escape")
    press(page, "2")
    wait_until_saved(page)

    assert [label for _, answer, label, _ in served.said if answer == "relabel"] in ([], ["green"])
    assert len(served.said) == 1


def test_a_class_that_was_made_in_another_session_is_in_the_list(page: Page, served: Served, browser: Browser) -> None:
    with serving(served.folder) as second, test_review_page.fresh_context(browser) as other:
        elsewhere = opened(other, second.link)
        press(elsewhere, "d")
        elsewhere.keyboard.type("teal")
        press(elsewhere, "Enter", "Enter")
        wait_until_saved(elsewhere)
    press(page, "u")  # with the answer comes the news
    wait_until_saved(page)

    press(page, "d")

    assert "teal" in (page.text_content("#class-list") or "")


def test_ranking_again_tells_what_came_of_it_and_leaves_the_picture_on_the_screen(page: Page, served: Served) -> None:
    press(page, "s", "s", "s")
    wait_until_saved(page)
    before = shown(page)

    press(page, "r")
    page.wait_for_selector(".notice.good:has-text('Ranked again:')", timeout=LONG_MS)

    assert re.search(r"Ranked again: \d+ new suspicions?, \d+ no longer suspicious\.", notices(page))
    assert shown(page) == before
    press(page, "s")
    wait_until_saved(page)
    assert [one.path for one in served.decisions][-1] == before


def test_what_hinders_ranking_is_said(page: Page, served: Served) -> None:
    with Project.at(served.folder).writing("curate clean"):
        press(page, "r")
        page.wait_for_selector(".notice.bad:has-text('is writing to')", timeout=LONG_MS)

    assert "Wait until it ends" in notices(page)


def test_ranking_is_a_button_in_the_window_of_queues(page: Page) -> None:
    press(page, "q")
    page.click("text=Rank again with what was decided")
    page.wait_for_selector(".notice:has-text('Ranking again'), .notice:has-text('Ranked again')", timeout=LONG_MS)


def test_a_version_that_was_made_meanwhile_is_offered_and_loaded(page: Page, served: Served) -> None:
    press(page, "s")
    wait_until_saved(page)
    library.apply(served.folder, workers=1)
    held = shown(page)

    press(page, "s")  # with the answer comes the news
    page.wait_for_selector("button:has-text('Load v3')")
    offer = notices(page)
    page.click("button:has-text('Load v3')")
    page.wait_for_selector(".notice.good:has-text('v3 is shown now')")
    press(page, "a")
    wait_until_saved(page)

    assert "v3 was made while v2 is shown here. Your answers count in any case" in offer
    assert len(read_log(Project.at(served.folder).review_log)) == 3
    assert read_log(Project.at(served.folder).review_log)[1].path == held
    assert read_log(Project.at(served.folder).review_log)[2].context["version"] == "v3"
    assert library.apply(served.folder, workers=1).stale == []


def test_newer_suspicions_of_a_terminal_are_offered(page: Page, served: Served) -> None:
    press(page, "s")
    wait_until_saved(page)
    library.flag(served.folder, workers=1)

    press(page, "s")
    page.wait_for_selector("button:has-text('Load v3')")
    page.click("button:has-text('Load v3')")
    page.wait_for_selector(".notice.good:has-text('v3 is shown now')")
    settle(page)

    assert shown(page) != ""
