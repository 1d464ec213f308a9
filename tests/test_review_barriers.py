"""axe-core finds no barrier on the states that other tests don't come to: signing in and out, news, flags, copies."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import curate as library
import test_review_page
from curate.reviewers import add_reviewer
from test_review_page import AXE, fresh_context, opened, press, serving, settle, violations

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [
    *test_review_page.pytestmark,
    pytest.mark.skipif(find_spec(AXE) is None and not os.environ.get("CI"), reason=f"{AXE} is not installed"),
]
browser, flagged, project = test_review_page.browser, test_review_page.flagged, test_review_page.project
PASSWORD = "correct horse battery staple"


def queue(page: Page, name: str) -> None:
    press(page, "q")
    page.check(f"#queue-{name}")
    press(page, "Enter")
    settle(page)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_barrier_at_the_door(browser: Browser, project: Path, scheme: str) -> None:
    """With and without passwords, after a wrong one, signed out, and when a link has been used."""
    found: dict[str, list[str]] = {}
    with fresh_context(browser, color_scheme=scheme) as context:
        with serving(project) as served:
            stranger = context.new_page()
            stranger.goto(served.link.split("?")[0])
            found["no link"] = violations(stranger)
            page = opened(context, served.link)
            press(page, "i")
            page.click(".who")
            found["person"] = violations(page)
            page.click("text=Sign out")
            page.wait_for_selector("h1:has-text('not signed in')")
            found["signed out"] = violations(page)
            stranger.goto(served.link)
            found["used link"] = violations(stranger)
        add_reviewer(project, "bob", PASSWORD, role="lead")
        with serving(project) as served:
            stranger.goto(served.link.split("?")[0])
            found["sign-in"] = violations(stranger)
            stranger.fill("#name", "bob")
            stranger.fill("#password", "wrong")
            stranger.press("#password", "Enter")
            stranger.wait_for_selector("#said:has-text('lead')")
            found["wrong password"] = violations(stranger)
            stranger.fill("#password", PASSWORD)
            stranger.press("#password", "Enter")
            settle(stranger)
            context.clear_cookies()
            press(stranger, "a")
            stranger.wait_for_selector(".notice.bad input[type=password]")
            found["password again"] = violations(stranger)

    assert {where: what for where, what in found.items() if what} == {}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_barrier_on_the_way(browser: Browser, project: Path, scheme: str) -> None:
    """Flags, copies, blind checks, a picture that is gone, classes that are new, and a version made meanwhile."""
    found: dict[str, list[str]] = {}
    with serving(project) as served, fresh_context(browser, color_scheme=scheme) as context:
        page = opened(context, served.link)
        press(page, "f")
        for name in ("flagged", "duplicates", "spot", "doubts"):
            queue(page, name)
            found[name] = violations(page)
        queue(page, "errors")
        press(page, "d")
        page.keyboard.type("teal")
        press(page, "Enter")
        found["new class"] = violations(page)
        press(page, "Escape", "Escape", "Escape")
        library.clean(project, workers=1, changes={"checks.near_duplicate.action": "drop"})
        page.wait_for_selector("#notices .notice", timeout=60_000)
        found["news"] = violations(page)
        page.set_viewport_size({"width": 375, "height": 700})
        found["phone"] = violations(page)
    for file in project.rglob("wrong_*.jpg"):
        file.unlink()
    with serving(project, queue="errors") as served, fresh_context(browser, color_scheme=scheme) as context:
        page = context.new_page()
        page.goto(served.link)
        page.wait_for_selector(".missing")
        found["missing"] = violations(page)

    assert {where: what for where, what in found.items() if what} == {}
