"""Somebody who goes through all queues of a review by keyboard alone, and knows what each picture shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from curate import versions
from curate.project import Project
from curate.review_app.queues import build_catalogue
from curate.review_app.session import names_of
from curate.reviewing import store_key

if TYPE_CHECKING:
    from playwright.sync_api import Page

GUARD_MS = 170  # the page ignores keys for 150 ms after a picture has come
EMPTY = "This queue is empty"
# What is on the screen: the address of the picture, or of the first copy; nothing, where a page stands in its place.
SHOWN = "() => document.querySelector('.single:not([hidden]) .frame img')?.src"


@dataclass
class Reviewer:
    """truth: path -> class, of pictures that are to be kept. paths: name of a picture in the page -> path.

    pressed: how often each key was.
    """

    page: Page
    truth: Mapping[str, str]
    paths: Mapping[str, str]
    pressed: Counter[str] = field(default_factory=Counter)

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)
            self.pressed[key] += 1
            self.page.wait_for_timeout(GUARD_MS)

    def text(self, selector: str) -> str:
        """What stands there; "" if there is no such place."""
        found = self.page.query_selector(selector)
        return (found.text_content() or "").strip() if found else ""

    def settle(self) -> None:
        """Wait for a picture, copies, or the end of the queue."""
        self.page.wait_for_function(
            "() => { const page = document.querySelector('.page'), single = document.querySelector('.single');"
            " return (!single.hidden && document.querySelector('.frame img'))"
            " || (!page.hidden && page.querySelector('h2') && !page.textContent.includes('Loading')); }"
        )
        self.page.wait_for_timeout(GUARD_MS)

    def go_to(self, queue: str) -> None:
        """Choose a queue in its window, with the arrow keys."""
        self.press("q")
        while self.page.evaluate("() => document.activeElement.value") != queue:
            self.press("ArrowDown")
        self.press("Enter")
        self.settle()

    @property
    def is_done(self) -> bool:
        """Whether nothing is left in this queue."""
        return not self.page.evaluate("() => document.querySelector('.page').hidden") and self.text(".page h2") == EMPTY

    def empty(self, queue: str, most: int = 1_000) -> int:
        """Decide on everything in a queue; how many pictures, or groups of them, that took."""
        self.go_to(queue)
        for done in range(most):
            if self.is_done:
                return done
            before = self.page.evaluate(SHOWN)
            self.decide(queue)
            self.page.wait_for_function(f"before => ({SHOWN})() !== before", arg=before)
            self.settle()
        raise AssertionError(f"{queue} has no end")

    def decide(self, queue: str) -> None:
        """Say what is true of the picture on the screen."""
        if queue == "duplicates":
            best = self.page.evaluate(
                "() => [...document.querySelectorAll('.copy')].findIndex((one) => one.querySelector('.mark')) + 1"
            )
            return self.press(str(max(best, 1)))
        source = self.page.get_attribute(".frame img", "src") or ""
        label = self.truth.get(self.paths[source.split("/")[-1].partition("?")[0]])
        if label is None:
            return self.press("x", "1")
        if label == self.text(".answer[data-action=keep] bdi") or (queue == "doubts" and not self.text(".choices bdi")):
            return self.press("a")
        if label == self.text(".answer[data-action=suggestion] bdi"):
            return self.press("s")
        for number in range(1, 10):
            if self.text(f".choice[data-action=class{number}] bdi") == label:
                return self.press(str(number))
        self.press("d")
        self.page.keyboard.type(label)
        return self.press("Enter")


def paths_of(project: Project) -> dict[str, str]:
    """Name of a picture, in whatever queue, -> its path."""
    version = versions.find_version(project.versions, None)
    catalogue = build_catalogue(versions.read_table(project.versions, version), version)
    ids = names_of(catalogue, store_key(project))
    queues = ("", *catalogue.queues)
    return {
        ids.of(entry): entry.path
        for queue in queues
        for entry in (catalogue.entry(queue, place) for place in range(len(catalogue.paths)))
    }
