"""The page of `curate drift` in a real browser: no barrier, nothing cut off, nothing fetched."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import curate as library
import test_review_page
from conftest import picture, write
from curate.reporting.drift import drift_page
from test_review_page import AXE, fresh_context, violations

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = [
    *test_review_page.pytestmark,
    pytest.mark.skipif(find_spec(AXE) is None and not os.environ.get("CI"), reason=f"{AXE} is not installed"),
]
browser = test_review_page.browser


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of forty pictures, and forty larger ones of the same kind."""
    folder = tmp_path_factory.mktemp("drift") / "images"
    write(folder.parent / "images.curate" / "curate.toml", b'[models]\nbackbone = "classic"\n')
    for number in range(40):
        write(folder / ("cats" if number % 2 else "dogs") / f"{number}.jpg", picture(9100 + number))
        write(folder.parent / "inbox" / f"{number}.jpg", picture(9200 + number, width=192, height=144))
    library.clean(folder)
    found = library.drift(folder, "head", str(folder.parent / "inbox"))
    assert found.found
    return drift_page(found, folder)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 375])
def test_it_has_no_barrier_and_fits_the_screen(browser: Browser, page: Path, scheme: str, width: int) -> None:
    fetched: list[str] = []
    with fresh_context(browser, color_scheme=scheme, viewport={"width": width, "height": 800}) as context:
        shown = context.new_page()
        shown.on("request", lambda request: fetched.append(request.url))
        shown.goto(page.as_uri())

        assert violations(shown) == []
        assert shown.evaluate("document.documentElement.scrollWidth") == width
    assert [url for url in fetched if not url.startswith(("file:", "data:"))] == []
