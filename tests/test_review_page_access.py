"""In a real browser: signing in with a password, in place when a session has ended, and out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import test_review_page
from curate.reviewers import add_reviewer
from test_review_page import Served, fresh_context, press, serving, settle, shown, violations, wait_until_saved

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

pytestmark = test_review_page.pytestmark
browser, context = test_review_page.browser, test_review_page.context
flagged, project = test_review_page.flagged, test_review_page.project

PASSWORD = "correct horse battery staple"
LONG_MS = 30_000  # a password takes a core for a moment, which a busy machine may not have


@pytest.fixture
def served(project: Path) -> Iterator[Served]:
    """A session that people may sign in to with a password: ada leads, bob reviews."""
    add_reviewer(project, "ada", PASSWORD, role="lead")
    add_reviewer(project, "bob", PASSWORD)
    with serving(project) as one:
        yield one


def arrived(context: BrowserContext, served: Served) -> Page:
    page = context.new_page()
    page.set_default_timeout(LONG_MS)
    page.goto(served.link.partition("?")[0])
    page.wait_for_selector("#sign-in")
    return page


def signed_in(context: BrowserContext, served: Served, name: str) -> Page:
    """By keyboard alone; the first field has the focus."""
    page = arrived(context, served)
    page.keyboard.type(name)
    press(page, "Tab")
    page.keyboard.type(PASSWORD)
    press(page, "Enter")
    settle(page)
    return page


def test_one_signs_in_by_keyboard_and_is_told_what_does_not_fit(context: BrowserContext, served: Served) -> None:
    page = arrived(context, served)
    page.keyboard.type("bob")
    press(page, "Tab")
    page.keyboard.type("not the password")
    press(page, "Enter")
    page.wait_for_selector('#said:has-text("That name and that password don\'t fit.")')
    address = page.url
    page.fill("#password", PASSWORD)
    press(page, "Enter")
    settle(page)

    assert page.text_content("#header .who bdi") == "bob"
    assert "password" not in address + page.url


def test_when_the_session_has_ended_one_signs_in_in_place_and_nothing_is_lost(
    context: BrowserContext, served: Served
) -> None:
    page = signed_in(context, served, "ada")
    context.clear_cookies()
    first = shown(page)

    press(page, "a")
    page.wait_for_selector(".badge:has-text('Signed out, 1 kept here')")
    page.fill("#notices input[type=password]", PASSWORD)
    press(page, "Enter")
    wait_until_saved(page)

    assert [(one.path, one.reviewer) for one in served.decisions] == [(first, "ada")]
    assert page.locator("#notices input").count() == 0


def test_signing_out_leaves_the_page_for_signing_in(context: BrowserContext, served: Served) -> None:
    page = signed_in(context, served, "bob")

    page.click("#header .who")
    page.click("text=Sign out")
    page.wait_for_selector("#sign-in")

    page.reload()
    assert page.locator("#sign-in").count() == 1


def test_a_reviewer_reads_guidelines_and_a_lead_writes_them(browser: Browser, served: Served) -> None:
    offered = {}
    for name in ("ada", "bob"):
        with fresh_context(browser) as one:
            page = signed_in(one, served, name)
            press(page, "g")
            page.wait_for_selector("dialog .guideline p:has-text('Nobody has written one yet')")
            offered[name] = page.locator("dialog button:has-text('Write it')").count()

    assert offered == {"ada": 1, "bob": 0}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 375])
def test_axe_finds_no_barrier_where_one_signs_in(browser: Browser, served: Served, scheme: str, width: int) -> None:
    pytest.importorskip("axe_playwright_python")
    with fresh_context(browser, color_scheme=scheme, viewport={"width": width, "height": 700}) as context:
        signing_in = violations(arrived(context, served))
        page = signed_in(context, served, "ada")
        page.click("#header .who")
        person = violations(page)
        press(page, "Escape")
        context.clear_cookies()
        press(page, "u")
        page.wait_for_selector("#notices input[type=password]")
        ended = violations(page)
        wide = page.evaluate("() => document.documentElement.scrollWidth")

    assert (signing_in, person, ended) == ([], [], [])
    assert wide <= width
