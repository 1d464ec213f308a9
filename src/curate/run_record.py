"""A run's own record: what ran, how long each stage took, on which machine, with which versions of everything.

    versions/runs/0003.json     of the run that made v3, named in the version's `files`
    cache/last_run.json         of the last run that wrote to the store, whether it made a version, or failed

The first is kept for good, and `curate verify` covers it. It ends when the version is written, as it is part of it.
Neither is part of a version's id: the same pictures and decisions make the same data set however long it took.
"""

from __future__ import annotations

import json
import os
import platform
import shlex
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from curate.all_cores import as_chosen
from curate.cache import tasks_and_columns
from curate.errors import CurateError
from curate.executors import available_cores
from curate.files import explained, write_json
from curate.progress import Advance, Progress, Tally, silent
from curate.project import Project
from curate.transfer import shown

if TYPE_CHECKING:
    from curate.settings import ExecutorSettings

# What may change a result: what decodes, computes, learns and writes.
PACKAGES = (
    "curate",
    "numpy",
    "pandas",
    "pyarrow",
    "pillow",
    "simplejpeg",
    "scipy",
    "scikit-learn",
    "cleanlab",
    "imbalanced-learn",
    "onnxruntime",
    "torch",
    "ray",
    "fsspec",
    "s3fs",
)
LAST_RUN = "last_run.json"


@dataclass(frozen=True, slots=True)
class _Instant:
    """Wall and CPU time, in seconds since whenever; cpu: of this process, and of its children that have ended."""

    wall: float
    cpu: float

    @classmethod
    def now(cls) -> _Instant:
        used = os.times()
        return cls(time.monotonic(), used.user + used.system + used.children_user + used.children_system)


@dataclass
class _Stage:
    """One stage, and how long it has been at work itself, without those inside it. since: None = it isn't now."""

    tally: Tally
    since: _Instant | None = None
    seconds: float = 0.0
    cpu_seconds: float = 0.0

    def pause(self, now: _Instant) -> None:
        if self.since is not None:
            self.seconds += now.wall - self.since.wall
            self.cpu_seconds += now.cpu - self.since.cpu
            self.since = None

    def as_dict(self) -> dict[str, Any]:
        return {
            "stage": self.tally.title,
            "seconds": _milliseconds(self.seconds),
            "cpu_seconds": _milliseconds(self.cpu_seconds),
            "items": self.tally.done,
            "size_bytes": self.tally.size_bytes,
            "errors": self.tally.errors,
        }


class RunRecord:
    """Writes a run down while it goes on. Its `progress` is that of the caller, and times what passes through it."""

    def __init__(self, command: str, progress: Progress = silent) -> None:
        self.command = command
        self.version: str | None = None  # that it has made
        self._shown = progress
        self._begun, self._begun_at = _Instant.now(), _now()
        self._stages: list[_Stage] = []
        self._at_work: list[_Stage] = []  # each inside the one before
        self._facts: dict[str, object] = {}

    @contextmanager
    def writing(self, project: Project, executor: ExecutorSettings | None = None) -> Iterator[None]:
        """Hold the store's write lock, see `Project.writing`; leave the record of the run in the cache.

        executor: inside, no more cores are used than it asks for.
        """
        self.executor(executor)
        with project.writing(self.command), as_chosen(executor) if executor else nullcontext():
            try:
                yield
            except BaseException as error:
                said = str(error) if isinstance(error, CurateError) else f"{type(error).__name__}: {error}"
                self.note(error=said)
                raise
            finally:
                with suppress(OSError, CurateError):  # on a full disk, what the run itself says of that is said
                    _write(project.cache / LAST_RUN, {**self.so_far(), "version": self.version})

    @contextmanager
    def progress(self, title: str, total: int) -> Iterator[Advance]:
        """As the caller's; with its time and its numbers written down."""
        stage = _Stage(Tally(title, total))
        self._stages.append(stage)
        with self._shown(title, total) as advance:
            self._begin(stage)
            try:
                yield _both(advance, stage.tally)
            finally:
                self._end(stage)

    def executor(self, chosen: ExecutorSettings | None) -> None:
        """Note where pictures are worked on."""
        if chosen is not None:
            workers = chosen.at_a_time or (available_cores() if chosen.kind == "processes" else 0)
            self.note(executor=chosen.kind, workers=workers)

    def note(self, **facts: object) -> None:
        """Write something else down, as plain data."""
        self._facts |= facts

    def so_far(self) -> dict[str, Any]:
        """The record up to now, as plain data; docs/progress.md says what is in it."""
        now = _Instant.now()
        for stage in self._at_work[-1:]:
            stage.pause(now)
            stage.since = now
        return {
            "command": self.command,
            "command_line": typed(),
            "begun_at": self._begun_at,
            "ended_at": _now(),
            "seconds": _milliseconds(now.wall - self._begun.wall),
            "cpu_seconds": _milliseconds(now.cpu - self._begun.cpu),
            "peak_memory_bytes": _peak_memory_bytes(),
            **self._facts,
            "stages": [stage.as_dict() for stage in self._stages],
            "machine": machine(),
            "versions": packages(),
            "tasks": sorted(tasks_and_columns()),
        }

    def _begin(self, stage: _Stage) -> None:
        now = _Instant.now()
        for outer in self._at_work[-1:]:
            outer.pause(now)
        stage.since = now
        self._at_work.append(stage)

    def _end(self, stage: _Stage) -> None:
        now = _Instant.now()
        stage.pause(now)
        self._at_work.remove(stage)
        for outer in self._at_work[-1:]:
            outer.since = now


def _both(advance: Advance, tally: Tally) -> Advance:
    def advance_both(count: int, /, *, size_bytes: int = 0, errors: int = 0) -> None:
        tally.advance(count, size_bytes=size_bytes, errors=errors)
        advance(count, size_bytes=size_bytes, errors=errors)

    return advance_both


def write_run(versions: Path, number: int, record: dict[str, Any]) -> str:
    """Keep the record of the run that makes this version; the file's name below `versions`."""
    name = f"runs/{number:04d}.json"
    _write(versions / name, record)
    return name


def read_run(versions: Path, number: int) -> dict[str, Any]:
    """The record of the run that made this version; empty where there is none, as for versions of older curates."""
    try:
        found = json.loads((versions / f"runs/{number:04d}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):  # `curate verify` says which
        return {}
    return found if isinstance(found, dict) else {}


def _write(file: Path, record: dict[str, Any]) -> None:
    with explained(file):
        file.parent.mkdir(parents=True, exist_ok=True)
        write_json(file, record)


# ---- What is written down


def typed() -> str | None:
    """The command line, without secrets; None where a program of its own calls the library, whose line is not ours."""
    script = PurePath(sys.argv[0]) if sys.argv else PurePath()
    if script.stem != "curate" and script.parent.name != "curate_cli":
        return None
    return shlex.join(["curate", *map(without_secrets, sys.argv[1:])])


def without_secrets(word: str) -> str:
    """The word; of a URL in it, what comes before user, password and query, any of which may be a key, and the path."""
    before, colon, _ = word.partition("://")
    if not colon:
        return word
    key, equals, scheme = before.rpartition("=")  # --set review.log=postgresql://…
    return f"{key}{equals}{shown(scheme + word[len(before) :])}"


def machine() -> dict[str, Any]:
    """Where it ran. cores: those that this process may use."""
    return {
        "host": platform.node(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cores": available_cores(),
        "python": platform.python_version(),
    }


def packages() -> dict[str, str]:
    """Versions of PACKAGES, of those that are installed."""
    found = {}
    for name in PACKAGES:
        with suppress(PackageNotFoundError):
            found[name] = installed_version(name)
    return found


def _peak_memory_bytes() -> int | None:
    """The most memory that this process has held, without its workers; None where the system does not say."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used if sys.platform == "darwin" else used * 1024


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _milliseconds(seconds: float) -> float:
    """Cut, not rounded, so that stages add up to the whole at most."""
    return int(seconds * 1000) / 1000
