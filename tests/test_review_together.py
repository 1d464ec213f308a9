"""Five people, six tabs, one queue, by keyboard: until it is empty, on both databases.

`benchmarks/review_together.py` does the same with 1,000 pictures.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import test_review_page
from curate.review_log import Place, is_url
from together import PEOPLE, check, links_of, many, work

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = test_review_page.pytestmark
browser = test_review_page.browser
ITEMS = 60


def test_five_people_empty_a_queue_and_nothing_is_lost_or_asked_twice(
    browser: Browser, tmp_path: Path, log: Place, environment: dict[str, str]
) -> None:
    """One of them has two tabs, one is without a network for a while; some take answers back."""
    project = many(tmp_path / "pictures", ITEMS)
    where = {"CURATE_REVIEW_LOG": str(log)} if is_url(log) else {}

    with links_of(project.directory, PEOPLE, environment | where, "--no-measure") as links:
        worked = work(browser, links)

    check(worked, log if is_url(log) else project.review_log, ITEMS)
