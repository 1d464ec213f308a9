"""How fast a review session answers on a large queue, and what it takes to start.

    python benchmarks/review.py                    (writes benchmarks/results/review.txt; a minute)

A version of so many pictures, all of them likely label errors, is made up; no picture is opened. Five people then work
on it at once through the real server: each asks for the next six, and decides on them one by one. What is told is the
time from sending a request to having read its answer, on the same machine.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from pathlib import Path

import numpy as np
import pandas as pd

from curate import versions
from curate.project import Project
from curate.settings import as_dict, load_settings
from curate.summary import count
from processes import header, write_result

PEOPLE = ("ada", "bob", "cy", "dee", "eve")
AHEAD = 6  # what the page asks for
PAUSE_S = (0.3, 0.7)  # between two decisions of one person: nobody looks at a picture faster
CLASSES = [f"class {number:02}" for number in range(50)]


def make_version(project: Project, items: int) -> None:
    """Commit a version whose every row is a likely label error."""
    rng = np.random.default_rng(7)
    given = rng.integers(0, len(CLASSES), items)
    better = (given + rng.integers(1, len(CLASSES), items)) % len(CLASSES)
    names = np.array(CLASSES, object)
    label, suggested = pd.Series(names[given], dtype="str"), pd.Series(names[better], dtype="str")
    nothing = pd.Series(None, index=range(items), dtype="str")
    quality = rng.random(items).astype(np.float32)
    table = pd.DataFrame(
        {
            "path": [f"{name}/{number:06}.jpg" for number, name in enumerate(label)],
            "sha256": [f"{number:064x}" for number in range(items)],
            "keep": True, "reasons": "", "flags": "label_error", "label": label, "final_label": label,
            "suggested_label": suggested, "label_error": True, "label_quality": quality,
            "label_evidence": "models that have not seen it give " + label + " 0.04 and " + suggested + " 0.91",
            "look_alikes": "[]", "read_error": nothing, "reviewed": nothing, "reviewed_label": nothing,
            "reviewed_by": nothing, "decided_by": "", "duplicate_group": nothing, "size_bytes": 100_000, "width": 640,
            "height": 480,
        }
    )  # fmt: skip
    with project.writing("benchmark"):
        versions.commit(project.versions, table, "benchmark", as_dict(load_settings(None, {})), count(table))


class Person:
    """Somebody at the page. seconds: kind of request -> how long each took."""

    def __init__(self, link: str) -> None:
        address, token = re.fullmatch(r"http://([^/]+)/\?token=(.+)", link).groups()  # type: ignore[union-attr]
        self.connection = http.client.HTTPConnection(address)
        self.connection.request("GET", f"/?token={token}")
        answer = self.connection.getresponse()
        answer.read()
        cookie = str(answer.getheader("set-cookie")).split(";")[0]
        self.headers = {"Cookie": cookie, "Origin": f"http://{address}", "X-Curate": "1"}
        self.headers["Content-Type"] = "application/json"
        self.tab = uuid.uuid4().hex
        self.rng = np.random.default_rng()
        self.seconds: dict[str, list[float]] = {"next": [], "filtered": [], "decide": []}

    def ask(self, kind: str, path: str, body: object = None) -> dict[str, object]:
        start = time.perf_counter()
        payload = None if body is None else json.dumps(body)
        self.connection.request("GET" if body is None else "POST", path, payload, self.headers)
        answer = self.connection.getresponse()
        text = answer.read()
        self.seconds[kind].append(time.perf_counter() - start)
        assert answer.status == 200, text
        return dict(json.loads(text))

    def work(self, rounds: int) -> None:
        for number in range(rounds):
            some = "&label=class%2007" if number % 5 == 4 else ""
            kind = "filtered" if some else "next"
            items = self.ask(kind, f"/api/next?queue=errors&tab={self.tab}&count={AHEAD}{some}")["items"]
            for item in items[:2]:  # type: ignore[index]
                answer = {"id": uuid.uuid4().hex, "item": item["id"], "answer": "keep", "seconds": 2.0}
                self.ask("decide", "/api/decisions", {"tab": self.tab, "decisions": [answer]})
                time.sleep(self.rng.uniform(*PAUSE_S))


def started(folder: Path) -> tuple[subprocess.Popen[str], list[str]]:
    """The server as people start it, and one link per person."""
    by = [word for name in PEOPLE for word in ("--by", name)]
    line = [
        sys.executable,
        "-c",
        "from curate_cli.main import main; main()",
        "review",
        str(folder),
        "--no-browser",
        *by,
    ]
    server = subprocess.Popen(line, stdout=subprocess.PIPE, text=True)
    links: list[str] = []
    for text in server.stdout or ():
        links += re.findall(r"http://\S+token=\S+", text)
        if len(links) == len(PEOPLE):
            break
    return server, links


def cpu_of(process: int) -> float:
    """Seconds of processor time that a process has used."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def measured(folder: Path, rounds: int) -> list[str]:
    """Lines that tell how the session on that folder went."""
    server, links = started(folder)
    lines = [f"  start-up        {cpu_of(server.pid):6.2f} s of processor time until the links are printed"]
    people = [Person(link) for link in links]
    begun = cpu_of(server.pid)
    threads = [threading.Thread(target=person.work, args=(rounds,)) for person in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    requests = sum(len(taken) for person in people for taken in person.seconds.values())
    each = (cpu_of(server.pid) - begun) / requests * 1000
    server.send_signal(signal.SIGINT)
    server.wait()
    for kind, words in (("next", "the next six"), ("filtered", "six of a class"), ("decide", "one decision")):
        taken = np.array([second for person in people for second in person.seconds[kind]]) * 1000
        p50, p95, p99 = np.percentile(taken, [50, 95, 99])
        lines.append(f"  {words:16}{len(taken):6,} times: median {p50:5.1f} ms, p95 {p95:5.1f} ms, p99 {p99:5.1f} ms")
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    lines.append(f"  processor time  {each:6.1f} ms per request")
    return [*lines, f"  memory          {used.ru_maxrss / 1024:6.0f} MB at most"]


def main() -> None:
    """Make the version, measure, and write what came out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=60, help="requests for more, per person")
    options = parser.parse_args()
    lines = header("curate review: a session on a large queue", ["curate", "sqlalchemy", "starlette", "uvicorn"])
    lines.append(f"{options.items:,} pictures in the queue, {len(PEOPLE)} people at once, SQLite")
    lines.append(f"load of the machine: {os.getloadavg()[0]:.1f} processes on {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "pictures"
        folder.mkdir()
        make_version(Project.at(folder), options.items)
        lines += measured(folder, options.rounds)
    write_result("review.txt", lines)


if __name__ == "__main__":
    main()
