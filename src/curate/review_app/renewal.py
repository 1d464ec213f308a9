"""What is new in the store while a session is open, and how the session takes it in.

    `curate apply`, `clean` or `flag` in a terminal ─▶ a newer version, or newer suspicions ─▶ the page offers to load
    "Rank again" in the page                        ─▶ `flag` in a process of its own       ─▶ loaded when it is done

Who is working is not disturbed: what a tab holds stays with it, what is decided does not come back, and a blind sample
stays as it was drawn. Other servers on the same store go on as they are, and offer to load it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from curate.errors import CurateError
from curate.review_app.session import Session
from curate.review_app.source import Source, Stamp

LOOK_EVERY_S = 1.0  # at what is new in the store; a look takes a fraction of a millisecond
_GAVE_UP = "Ranking again ended early; nothing was changed."


@dataclass(frozen=True)
class Loaded:
    """What came of loading. came, left: pictures nobody has decided on that are doubted now, or no longer.

    version: the name of the one that is shown now; is_newer: whether it was another before.
    """

    came: int
    left: int
    version: str
    is_newer: bool


@dataclass(frozen=True)
class Ranking:
    """How far ranking again is. title, done, total: of the step under way. outcome: of the last one that ended well."""

    state: Literal["idle", "running", "failed", "done"] = "idle"
    title: str = ""
    done: int = 0
    total: int = 0
    error: str = ""
    hint: str = ""
    outcome: Loaded | None = None


@dataclass
class Renewal:
    """Keeps a session up to date with its store. All methods may be called from several threads."""

    session: Session
    source: Source
    shown: Stamp
    ranking: Ranking = field(default_factory=Ranking)
    loads: int = 0  # how often another catalogue was taken in; a page that knows less asks for the session again
    _process: subprocess.Popen[str] | None = None
    _looked_at_s: float = 0.0
    _there: Stamp | None = None
    _loading: threading.Lock = field(default_factory=threading.Lock)
    _changing: threading.Lock = field(default_factory=threading.Lock)

    def news(self) -> dict[str, Any]:
        """What the page is told with every answer: whether there is something to load, and how far ranking is."""
        there, ranking = self._look(), self.ranking
        ranked = there.version == self.shown.version and there.ranked_ns > self.shown.ranked_ns
        return {
            "loads": self.loads,
            "version": f"v{there.version}" if there.version > self.shown.version else None,
            "suspicions": ranked and ranking.state != "running",  # what ranks here is loaded when it is done
            "ranking": {**vars(ranking), "outcome": vars(ranking.outcome) if ranking.outcome else None},
        }

    def _look(self) -> Stamp:
        now_s = time.monotonic()
        if self._there is None or now_s - self._looked_at_s > LOOK_EVERY_S:
            self._there, self._looked_at_s = self.source.stamp(), now_s
        return self._there

    def load(self) -> Loaded:
        """Show what is in the store now. Raises CurateError, and then goes on as before."""
        with self._loading:
            before = self.session.catalogue.version.name
            catalogue, stamp = self.source.load()
            came, left = self.session.load(catalogue)
            self.shown, self._there = stamp, None
            self.loads += 1
            return Loaded(came, left, catalogue.version.name, catalogue.version.name != before)

    def rank(self) -> None:
        """Begin to rank again, unless that is under way already."""
        with self._changing:
            if self.ranking.state == "running":
                return
            self.ranking = Ranking("running", "Starting")
        threading.Thread(target=self._rank, name="ranking", daemon=True).start()

    def _rank(self) -> None:
        try:
            self._follow(self._start())
            if self.ranking.state == "running":
                self._change(title="Loading")
                self._change(state="done", outcome=self.load())
        except CurateError as error:
            self._change(state="failed", error=str(error), hint=error.hint)
        except (OSError, ValueError) as error:
            self._change(state="failed", error=f"{_GAVE_UP} {error}")
        finally:
            if self.ranking.state == "running":
                self._change(state="failed", error=_GAVE_UP)

    def _start(self) -> subprocess.Popen[str]:
        project = self.source.project
        network = "network" if project.network else ""
        words = [str(project.folder), str(project.store), str(project.config or ""), network]
        line = [sys.executable, "-m", "curate.review_app.flagging", *words]
        self._process = subprocess.Popen(  # noqa: S603  our own module, and paths as arguments
            line, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        return self._process

    def _follow(self, process: subprocess.Popen[str]) -> None:
        """Take in what the process tells, until it ends."""
        with process:
            for line in process.stdout or ():
                told = json.loads(line)
                if "error" in told:
                    self._change(state="failed", error=told["error"], hint=told["hint"])
                else:
                    self._change(title=told["title"], done=told["done"], total=told["total"])
        if process.returncode and self.ranking.state == "running":
            self._change(state="failed", error=_GAVE_UP)

    def _change(self, **changes: Any) -> None:
        with self._changing:
            self.ranking = replace(self.ranking, **changes)

    def close(self) -> None:
        """End the process, if there is one."""
        if self._process is not None and self._process.poll() is None:
            with suppress(OSError):
                self._process.terminate()
                self._process.wait(timeout=5)
