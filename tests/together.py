"""Several people at one review, each in a browser of their own, by keyboard alone; and whether all that went well."""

from __future__ import annotations

import random
import re
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from conftest import command, write
from curate.decisions import Decision, not_taken_back
from curate.project import Project
from curate.review_log import Place, first_broken_link, read_events
from reviews import doubt

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Response

PEOPLE = ("ada", "bob", "cy", "dee", "eve")
# What people press for one picture; some go back, and answer anew.
HABITS: dict[tuple[str, ...], int] = {
    ("a",): 45, ("s",): 30, ("1",): 8, ("x", "1"): 4, ("d", "o", "g", "Enter"): 4, ("z",): 5, ("ArrowRight",): 4,
}  # fmt: skip
KEPT_OFFLINE_S = 6.0
LONGEST_S = 1_800.0
# Notes in the page when each picture came and went. A picture counts as shown from when its path is in the page.
WATCH = """
(() => {
  window.views = [];
  const now = () => performance.timeOrigin + performance.now();
  const look = () => {
    const screen = document.querySelector(".single");
    const path = screen && !screen.hidden ? document.querySelector(".stage .path").textContent.trim() : "";
    const last = window.views.at(-1);
    if (last && last.path === path) return;
    if (last) last.until = now();
    window.views.push({ path, since: now(), until: null });
  };
  document.addEventListener("DOMContentLoaded", () => {
    new MutationObserver(look).observe(document.body, { subtree: true, childList: true, attributeFilter: ["hidden"] });
  });
})();
"""


def many(folder: Path, items: int) -> Project:
    """A project of so many small pictures, all of them doubted: half of them given cats, half dogs."""
    rng = np.random.default_rng(7)
    names = [f"{'cats' if number % 2 else 'dogs'}/{number:04}.png" for number in range(items)]
    for name in names:
        pixels = np.kron(rng.integers(0, 256, (6, 6, 3), np.uint8), np.ones((8, 8, 1), np.uint8))
        buffer = BytesIO()
        Image.fromarray(pixels).save(buffer, "PNG")
        write(folder / name, buffer.getvalue())
    return doubt(folder, {name: "dogs" if name.startswith("cats") else "cats" for name in names})


@contextmanager
def links_of(
    folder: Path, people: Sequence[str], environment: dict[str, str], *options: str
) -> Iterator[dict[str, str]]:
    """A session that runs as a process of its own: person -> link."""
    by = [word for name in people for word in ("--by", name)]
    line = command("review", folder, "--no-browser", *by, *options)
    variables = {**environment, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(line, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as server:
        try:
            links: list[str] = []
            printed = ""
            while len(links) < len(people):
                assert server.stdout is not None
                text = server.stdout.readline()
                assert text, printed
                printed += text
                links += re.findall(r"http://\S+token=\S+", text)
            yield dict(zip(people, links, strict=True))
        finally:
            server.terminate()


@dataclass
class Seat:
    """A tab that somebody sits at. saved, extra, refused: what the server said of its answers, by id."""

    name: str
    page: Page
    saved: set[str] = field(default_factory=set)
    extra: list[str] = field(default_factory=list)
    refused: list[Any] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)

    def hear(self, response: Response) -> None:
        """Take note of what the server answers."""
        self.statuses[response.status] += 1
        if response.status == 200 and response.url.endswith("/api/decisions"):
            receipt = response.json()
            self.saved |= set(receipt["saved"])
            self.extra += receipt["extra"]
            self.refused += receipt["refused"]

    @property
    def is_done(self) -> bool:
        """Whether there is nothing left to do for it."""
        return "This queue is empty" in str(self.page.evaluate("() => document.querySelector('.page')?.textContent"))

    @property
    def is_shown(self) -> bool:
        """Whether a picture is there."""
        return bool(self.page.evaluate("() => !document.querySelector('.single')?.hidden"))


@dataclass(frozen=True)
class Worked:
    """What came of it. views: tab -> what it showed, from when until when (ms since 1970)."""

    seconds: float
    seats: list[Seat]
    views: list[list[dict[str, Any]]]
    key_to_picture_ms: list[float]

    def shown_twice_at_once(self) -> list[tuple[str, float]]:
        """Paths that two tabs showed at the same time, and for how long, in ms."""
        spans = sorted((one["since"], one["until"], one["path"]) for tab in self.views for one in tab if one["path"])
        newest: dict[str, float] = {}
        found = []
        for since, until, path in spans:
            if since < newest.get(path, 0.0):
                found.append((path, newest[path] - since))
            newest[path] = max(newest.get(path, 0.0), until)
        return found


def work(
    browser: Browser, links: dict[str, str], *, seed: int = 7, offline: str = "bob", two_tabs: str = "ada"
) -> Worked:
    """Let everybody decide until the queue is empty.

    offline: who is without a network for some seconds. two_tabs: who has two tabs open.
    """
    rng, begun = random.Random(seed), time.monotonic()
    with ExitStack() as stack:
        seats = []
        for name, link in links.items():
            context = browser.new_context(viewport={"width": 1000, "height": 700}, reduced_motion="reduce")
            stack.callback(context.close)
            context.set_default_timeout(60_000)
            context.add_init_script(WATCH)
            for address in [link, link.split("?")[0]][: 1 + (name == two_tabs)]:
                seat = Seat(name, context.new_page())
                seat.page.on("response", seat.hear)
                seat.page.goto(address)
                seats.append(seat)
        _decide_all(seats, rng, begun, offline)
        for seat in seats:
            seat.page.wait_for_selector(".badge.good")
        now = "() => { const end = performance.timeOrigin + performance.now();"
        told = now + " return window.views.map((one) => ({ ...one, until: one.until ?? end })); }"
        measured = "() => performance.getEntriesByName('key to picture').map((one) => one.duration)"
        views = [seat.page.evaluate(told) for seat in seats]
        paints = [one for seat in seats for one in seat.page.evaluate(measured)]
    return Worked(time.monotonic() - begun, seats, views, paints)


def _decide_all(seats: Sequence[Seat], rng: random.Random, begun: float, offline: str) -> None:
    """Each in turn presses what comes to mind, until nobody has anything left."""
    away = next(seat for seat in seats if seat.name == offline)
    gone_at, back, rounds = 0.0, False, 0
    done: set[int] = set()
    while len(done) < len(seats) or not back:
        assert time.monotonic() - begun < LONGEST_S, [seat.page.inner_text("body")[:300] for seat in seats]
        rounds += 1
        if rounds == 8:
            away.page.context.set_offline(True)
            gone_at = time.monotonic()
        if gone_at and not back and time.monotonic() - gone_at > KEPT_OFFLINE_S:
            away.page.context.set_offline(False)
            back = True
        done = set()
        for number, seat in enumerate(seats):
            if seat.is_shown:
                for key in rng.choices(list(HABITS), list(HABITS.values()))[0]:
                    seat.page.keyboard.press(key)
            elif seat.is_done:
                done.add(number)


def check(worked: Worked, log: Place, items: int, votes: int = 1) -> None:
    """No picture over quota, none lost, none before two people at once; every acknowledged answer in the log, once."""
    events = read_events(log)
    ids = [event.decision.id for event in events]
    standing = not_taken_back([event.decision for event in events])
    by_path: dict[str, dict[str, Decision]] = {}
    for one in standing:
        by_path.setdefault(one.path, {})[one.reviewer] = one
    assert first_broken_link(events) is None
    assert len(ids) == len(set(ids))
    assert {name for seat in worked.seats for name in seat.saved} == set(ids)
    assert [seat.refused for seat in worked.seats if seat.refused] == []
    assert [seat.extra for seat in worked.seats if seat.extra] == []
    assert len(by_path) == items
    assert {path: sorted(said) for path, said in by_path.items() if len(said) > votes} == {}
    if votes == 1:
        assert worked.shown_twice_at_once() == []
    assert {seat.name for seat in worked.seats} == {one.reviewer for one in standing}
    assert len({(one.reviewer, one.context["tab"]) for one in standing}) == len(worked.seats)
    assert not any(status >= 400 for seat in worked.seats for status in seat.statuses)
