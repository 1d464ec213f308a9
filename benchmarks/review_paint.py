"""How long it takes in the browser from a key to the next picture, and how large the page is.

    python benchmarks/review_paint.py         (writes benchmarks/results/review_paint.txt; a minute)

One person at pictures of 1,600 px in Chromium, without a graphics card: a key every 0.3 to 0.6 s. Told are what the
page itself measures (from the key's time stamp to the moment after the frame), and what the browser says of the same
(Element Timing: when the picture was rendered). `--first` gives this benchmark's processes precedence over whatever
else the machine does, where the system lets it (Linux, root): what a machine with nothing else to do would show.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sys
import tempfile
from bisect import bisect
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image
from playwright.sync_api import sync_playwright

from processes import header, write_result

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from reviews import doubt
from together import links_of

if TYPE_CHECKING:
    from playwright.sync_api import Page

# Every picture tells the browser that it wants to be timed, every key its time.
WATCH = """
window.keys = [], window.rendered = [];
const Plain = window.Image;
window.Image = class extends Plain { constructor() { super(); this.setAttribute("elementtiming", "picture"); } };
addEventListener("keydown", (event) => window.keys.push(event.timeStamp), true);
new PerformanceObserver((list) => {
  for (const one of list.getEntries()) if (one.url.includes("size=screen")) window.rendered.push(one.renderTime);
}).observe({ type: "element", buffered: true });
"""
SIZES = """() => [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
  .map((one) => [new URL(one.name).pathname, one.transferSize, one.decodedBodySize])"""


def make_pictures(folder: Path, number: int) -> None:
    """Pictures with as much detail as photographs have."""
    rng = np.random.default_rng(7)
    for place in range(number):
        small = rng.integers(0, 256, (150, 200, 3), np.uint8)
        large = Image.fromarray(small).resize((1600, 1200), Image.Resampling.BICUBIC)
        file = folder / ("cats" if place % 2 else "dogs") / f"{place:03}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        large.save(file, quality=85)


def go_first() -> None:
    """Let this process and its children, which are sessions of their own, come before all others."""
    children = {os.getpid()}
    for _ in range(6):
        for place in Path("/proc").glob("[0-9]*/stat"):
            if int(place.read_text().rpartition(")")[2].split()[1]) in children:
                children.add(int(place.parent.name))
    for child in children:
        Path(f"/proc/{child}/autogroup").write_text("-15")


def measured(page: Page, keys: int) -> list[str]:
    """Press keys, and tell how it went."""
    rng = random.Random(7)
    for _ in range(keys):
        page.keyboard.press(rng.choice("asu"))
        page.wait_for_timeout(rng.uniform(300, 600))
    own = page.evaluate("() => performance.getEntriesByName('key to picture').map((one) => one.duration)")
    pressed, rendered = page.evaluate("() => window.keys"), sorted(page.evaluate("() => window.rendered"))
    after = [rendered[place] - key for key in pressed if (place := bisect(rendered, key)) < len(rendered)]
    return [line("as the page measures it", own), line("as the browser tells", after)]


def line(title: str, taken: list[Any]) -> str:
    """A row of the result."""
    median, p95 = np.percentile(taken, [50, 95])
    return f"  {title:26}{len(taken):4} times: median {median:5.0f} ms, p95 {p95:5.0f} ms, at most {max(taken):5.0f} ms"


def weight(page: Page) -> str:
    """What came over the wire for the page itself."""
    own = [one for one in page.evaluate(SIZES) if one[0] == "/" or one[0].startswith("/static/")]
    wire, plain = sum(one[1] for one in own) / 1000, sum(one[2] for one in own) / 1000
    return f"  the page itself           {len(own):4} files, {wire:.0f} kB over the wire, {plain:.0f} kB unpacked"


def main() -> None:
    """Measure, and write what came out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keys", type=int, default=100)
    parser.add_argument("--first", action="store_true", help="come before other work of the machine")
    options = parser.parse_args()
    lines = header("curate review: from a key to the next picture", ["curate", "playwright", "starlette", "uvicorn"])
    with tempfile.TemporaryDirectory() as place, sync_playwright() as playwright:
        folder = Path(place) / "pictures"
        make_pictures(folder, options.keys + 10)
        names = [str(file.relative_to(folder)) for file in sorted(folder.rglob("*.jpg"))]
        doubt(folder, {name: "dogs" if name.startswith("cats") else "cats" for name in names})
        chromium = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        lines.append(f"Chromium {browser.version}, 1280 x 800, pictures of 1600 x 1200, no graphics card")
        with links_of(folder, ["ada"], dict(os.environ)) as links:
            page = browser.new_page(viewport={"width": 1280, "height": 800})
            page.add_init_script(WATCH)
            page.goto(links["ada"])
            page.wait_for_selector(".frame img")
            page.wait_for_timeout(1_500)
            if options.first:
                go_first()
            before = os.getloadavg()[0]
            found = measured(page, options.keys)
            lines.append(f"load of the machine: {before:.1f} to {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
            lines += ["this benchmark came before all other work"] * options.first
            lines += ["", *found, weight(page)]
        browser.close()
    write_result("review_paint.txt", lines)


if __name__ == "__main__":
    main()
