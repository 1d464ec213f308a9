"""A whole review of the sample dataset by keyboard alone, from the first picture to the version that comes of it."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import curate as library
import test_review_page
from by_keyboard import Reviewer, paths_of
from curate import versions
from curate.project import Project
from curate.review_log import read_log
from test_review_page import opened, serving, wait_until_saved

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext

pytestmark = test_review_page.pytestmark
browser, context = test_review_page.browser, test_review_page.context
SAMPLE = Path(__file__).parents[1] / "sample_datasets"


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    """A copy of it, of which models have said what they think."""
    folder = tmp_path / "road_signs"
    shutil.copytree(SAMPLE / "road_signs", folder)
    library.clean(folder, workers=1)
    library.flag(folder, workers=1)
    library.prelabel(folder, workers=1)
    return folder


def truth() -> dict[str, str]:
    """Path -> what it shows, of pictures without any fault but a wrong label."""
    with (SAMPLE / "road_signs.key.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    return {row["path"]: row["true_label"] for row in rows if row["true_label"]}


def test_all_queues_of_the_sample_are_emptied_by_keyboard_and_the_labels_are_right(
    sample: Path, context: BrowserContext
) -> None:
    """With a grid, an undo and a redo, and some seconds without a network on the way."""
    project, known = Project.at(sample), truth()

    with serving(sample, target=0.2) as served:
        page = opened(context, served.link)
        ada = Reviewer(page, known, paths_of(project))
        ada.go_to("errors")
        ada.press("v")
        page.wait_for_selector(".tile img")
        ada.press("Escape")
        ada.settle()
        ada.decide("errors")
        ada.press("z", "Shift+Z")
        context.set_offline(True)
        ada.decide("errors")
        page.wait_for_selector(".badge.bad")
        context.set_offline(False)
        page.wait_for_selector(".badge.good", timeout=30_000)
        done = {queue: ada.empty(queue) for queue in ("errors", "prelabels", "doubts", "duplicates")}
        ada.go_to("spot")
        for _ in range(8):
            ada.decide("spot")
            ada.settle()
        wait_until_saved(page)
        left = page.evaluate("() => fetch('/api/progress').then((answer) => answer.json())")["by_queue"]

    applied = library.apply(sample, workers=1)
    table = versions.read_decisions(project.versions, applied.version)
    labels = dict(zip(table["path"], table["final_label"], strict=True))
    said = {one.path for one in read_log(project.review_log) if one.answer in ("keep", "relabel")}
    assert len(said) > 100
    assert {queue: number for queue, number in left.items() if queue != "spot" and number} == {}
    assert all(done.values())
    assert {path: labels[path] for path in said if labels[path] != known.get(path)} == {}
