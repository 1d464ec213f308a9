"""Five people in five browsers empty one queue of 1,000 pictures by keyboard, on SQLite and on PostgreSQL.

    python benchmarks/review_together.py      (writes benchmarks/results/review_together.txt; some 10 minutes)

What tests/test_review_together.py does with few pictures: one person has two tabs, one is without a network for a
while, answers are taken back. Each runs until nobody has anything left; then the log is compared with what every
browser was told and has shown. Needs Chromium, playwright and PostgreSQL (Debian's packages).
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from playwright.sync_api import sync_playwright

from curate.review_log import Place, is_url, read_log
from processes import header, write_result

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from postgres import new_database, running_server
from together import PEOPLE, Worked, check, links_of, many, work


@contextmanager
def empty_log(database: str) -> Iterator[Place | None]:
    """A new database; None for the file beside the pictures."""
    if database == "SQLite":
        yield None
        return
    with running_server() as server:
        yield new_database(server)


def told(database: str, worked: Worked, log: Place) -> str:
    """A line on how it went, after `check` has found nothing."""
    said = [one for one in read_log(log) if one.answer != "undo"]
    seconds = np.median([one.context["seconds"] for one in said])
    paint = np.array(worked.key_to_picture_ms)
    median, p95 = np.percentile(paint, [50, 95])
    return (
        f"{database:12}{len(said):7,}{len(read_log(log)) - len(said):7,}{worked.seconds:9.0f} s"
        f"{seconds:9.2f} s{median:9.0f} ms{p95:7.0f} ms{0:6}{0:6}{0:6}"
    )


def main() -> None:
    """Let them work, check, and write what came out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=1_000)
    options = parser.parse_args()
    lines = header(
        "curate review: five people, one queue", ["curate", "playwright", "sqlalchemy", "psycopg", "uvicorn"]
    )
    lines.append(f"{options.items:,} pictures, {len(PEOPLE)} people in 6 tabs of Chromium, one of them offline for 6 s")
    lines.append(f"load of the machine at the start: {os.getloadavg()[0]:.1f} processes on {os.cpu_count()} cores")
    lines += ["", "             answers  undos     took  decision  key to picture       lost twice extra"]
    with tempfile.TemporaryDirectory() as place, sync_playwright() as playwright:
        chromium = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for database in ("SQLite", "PostgreSQL"):
            project = many(Path(place) / database / "pictures", options.items)
            with empty_log(database) as url:
                environment = {**os.environ, **({"CURATE_REVIEW_LOG": str(url)} if is_url(url or "") else {})}
                with links_of(project.folder, PEOPLE, environment, "--no-measure") as links:
                    worked = work(browser, links)
                log = url or project.review_log
                check(worked, log, options.items)
                lines.append(told(database, worked, log))
        browser.close()
    lines.append(f"load of the machine at the end: {os.getloadavg()[0]:.1f}")
    lines += ["", "decision: median seconds that the page itself records (the machine presses, nobody looks)."]
    lines += ["key to picture: of six tabs on these cores, all at once; review_paint.py tells it of one."]
    lines += [
        "lost: acknowledged answers that the log lacks, and pictures without any. twice: before two tabs at once."
    ]
    lines += ["extra: answers on a picture that had all it needed."]
    write_result("review_together.txt", lines)


if __name__ == "__main__":
    main()
