"""Two parts of scale.py that are no command line of curate; each is run, and measured, as a process of its own.

    python benchmarks/scale_parts.py review FOLDER STORE ANSWER.json
    python benchmarks/scale_parts.py versions FOLDER STORE ANSWER.json

`review`: start a review as people do, open the page, ask for the next six pictures ten times, end it.
`versions`: freeze the newest table in a fresh place, then 20 times with another 100 pictures relabelled; and compare
three of them with the one before. Both write what they timed inside.
"""

from __future__ import annotations

import argparse
import http.client
import json
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from curate.project import Project

REQUESTS = 10
AHEAD = 6  # what the page asks for
VERSIONS = 20
RELABELLED = 100


def review(folder: Path, store: Path) -> dict[str, Any]:
    """Seconds until the link is printed, until the first six pictures are there, and of later requests (median)."""
    curate = str(Path(sys.executable).parent / "curate")
    started = time.perf_counter()
    line = [curate, "review", str(folder), "--store", str(store), "--no-browser", "--queue", "doubts", "--port", "0"]
    server = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        address, token = _link(server)
        ready = time.perf_counter() - started
        taken = _next_six(address, token)
    finally:
        server.send_signal(signal.SIGINT)
        server.communicate()
    return {"link_s": ready, "first_s": ready + taken[0], "next_s": statistics.median(taken[1:])}


def _link(server: subprocess.Popen[str]) -> tuple[str, str]:
    for text in server.stdout or ():
        found = re.search(r"http://([^/]+)/\?token=(\S+)", text)
        if found:
            return found[1], found[2]
    sys.exit(f"review did not start: {server.stderr.read() if server.stderr else ''}")


def _next_six(address: str, token: str) -> list[float]:
    """Seconds that each request for more took."""
    connection = http.client.HTTPConnection(address)
    connection.request("GET", f"/?token={token}")
    answer = connection.getresponse()
    answer.read()
    cookie = str(answer.getheader("set-cookie")).split(";")[0]
    headers = {"Cookie": cookie, "Origin": f"http://{address}", "X-Curate": "1"}
    tab = uuid.uuid4().hex
    taken = []
    for _ in range(REQUESTS):
        begun = time.perf_counter()
        connection.request("GET", f"/api/next?queue=doubts&tab={tab}&count={AHEAD}", headers=headers)
        answer = connection.getresponse()
        text = answer.read()
        taken.append(time.perf_counter() - begun)
        if answer.status != http.HTTPStatus.OK:
            sys.exit(f"review answered {answer.status}: {text[:200]!r}")
    return taken


def versions(folder: Path, store: Path) -> dict[str, Any]:
    """CPU seconds of the slowest commit and comparison, and bytes of the first version and of all."""
    from curate.project import Project

    with tempfile.TemporaryDirectory(dir=store.parent) as place:
        project = Project.at(folder, Path(place) / "store")
        spent, sizes = _commits(Project.at(folder, store), project)
        compared = _comparisons(folder, project.store)
    return {
        "first_s": spent[0],
        "commit_s": max(spent[1:]),
        "diff_s": max(compared[1:]),  # the first pays for imports
        "first_bytes": sizes[0],
        "bytes": sizes[-1],
    }


def _commits(source: Project, project: Project) -> tuple[list[float], list[int]]:
    """Freeze the newest table of one project in another, then relabelled again and again: CPU seconds, and bytes."""
    from curate.versions import commit, find_version, read_table

    newest = find_version(source.versions, None)
    table = read_table(source.versions, newest)
    spent, sizes = [], []
    with project.writing("benchmark"):
        for turn in range(VERSIONS + 1):
            table = relabelled(table, turn) if turn else table
            begun = time.process_time()
            commit(project.versions, table, "benchmark", newest.settings, newest.counts)
            spent.append(time.process_time() - begun)
            sizes.append(bytes_below(project.versions))
    return spent, sizes


def _comparisons(folder: Path, store: Path) -> list[float]:
    """CPU seconds of some comparisons of neighbours; each must find what was relabelled."""
    from curate.history import diff

    spent = []
    for number in (1, 1, VERSIONS // 2, VERSIONS):
        begun = time.process_time()
        found = diff(folder, f"v{number}", f"v{number + 1}", store=store)
        spent.append(time.process_time() - begun)
        if len(found.rows) != min(RELABELLED, found.after.counts["kept"]):
            sys.exit(f"{len(found.rows)} pictures differ where {RELABELLED} were relabelled")
    return spent


def relabelled(table: Any, turn: int) -> Any:
    """The table with RELABELLED kept pictures under another label, as `curate apply` writes it."""
    kept = table.index[table["keep"].to_numpy(bool)]
    step = max(1, len(kept) // RELABELLED)
    rows = [kept[(turn + place * step) % len(kept)] for place in range(min(RELABELLED, len(kept)))]
    changed = table.copy()
    for name in ("reviewed", "reviewed_label", "reviewed_by", "decided_by", "final_label"):
        value = {"reviewed": "relabel", "reviewed_by": "ada", "decided_by": "ada"}.get(name, f"label {turn}")
        changed[name] = changed[name].astype("str")
        changed.loc[rows, name] = value
    return changed


def bytes_below(folder: Path) -> int:
    """The bytes of all files below a folder."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def main() -> None:
    """Do one part, and write what it timed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("review", "versions"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("store", type=Path)
    parser.add_argument("answer", type=Path)
    options = parser.parse_args()
    part = review if options.part == "review" else versions
    options.answer.write_text(json.dumps(part(options.folder, options.store)))


if __name__ == "__main__":
    main()
