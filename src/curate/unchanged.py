"""Whether `clean` would come to the newest version again, told without judging anything.

A version follows from what the scan found, the settings, the source's labels, the opinions of models, the decisions of
people and the code that judges. When a version is frozen, a digest of each is kept in the cache, with the state of the
store. If all are the same the next time, the newest version is the answer: for 100,000 files that takes a tenth of
judging them again.

Nothing is kept of a run after which a file could change unseen (see `images.RACY_NS`), or could not be read or measured
this time. When in doubt, `clean` judges: a digest that differs for no reason costs time, never truth.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from curate.cache import tasks_and_columns
from curate.checks import all_checks
from curate.decisions import Decision
from curate.files import write_json
from curate.imaging import DECODERS
from curate.opinions import COLUMNS, opinions_file
from curate.project import Project
from curate.run_record import packages
from curate.settings import Settings, as_dict
from curate.stages.labels import IMPORTED
from curate.stages.scan import Scan

FILE = "unchanged.json"
PARTS = ("facts", "seen", "pixels")  # what a run reads of the cache, see `curate.cache.Parts`
_NO_FILE = ("folders", "none")  # values of `scan.labels` that name no file


@dataclass(frozen=True)
class Outcome:
    """What a run came to: `counts` and `stale` of `curate.pipeline.Cleaned`."""

    counts: dict[str, Any]
    stale: int


def inputs_of(project: Project, settings: Settings, scan: Scan, log: Sequence[Decision]) -> dict[str, str]:
    """A digest of each thing that a version follows from. To be taken before the things themselves are read."""
    return {
        "folder": _digest([str(project.folder).encode("utf-8", "surrogatepass")]),
        "scan": _digest(_scanned(scan)),
        "settings": _digest([json.dumps(as_dict(settings), sort_keys=True).encode()]),
        "labels": _contents(_label_files(project, settings)),
        "opinions": _contents(opinions_file(project.cache, command) for command in COLUMNS),
        "decisions": _digest(repr(one).encode("utf-8", "surrogatepass") for one in log),
        "code": _digest(_code()),
    }


def remember(project: Project, inputs: Mapping[str, str], outcome: Outcome) -> None:
    """Keep what this run came to, once the newest version holds it."""
    kept = {"inputs": {**inputs, "store": _store(project)}, "outcome": asdict(outcome)}
    write_json(project.cache / FILE, kept)


def recall(project: Project, inputs: Mapping[str, str]) -> Outcome | None:
    """What the last run came to, if the newest version holds it and it had the same inputs; None if in doubt."""
    try:
        kept = json.loads((project.cache / FILE).read_text(encoding="utf-8"))
        same = kept["inputs"] == {**inputs, "store": _store(project)}
        return Outcome(**kept["outcome"]) if same else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _digest(parts: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "little") + part)
    return digest.hexdigest()


def _scanned(scan: Scan) -> Iterator[bytes]:
    import numpy as np

    paths, *numbers = zip(*scan.rows, strict=True)
    yield "\0".join(paths).encode("utf-8", "surrogatepass")
    for column in numbers:
        yield np.array(column).tobytes()


def _label_files(project: Project, settings: Settings) -> list[Path]:
    source = settings.scan.labels
    if source == IMPORTED:
        return [project.imported_labels]
    return [] if source in _NO_FILE else [Path(source)]


def _contents(files: Iterable[Path]) -> str:
    """A digest of the files' bytes; of one that is not there, of that."""

    def parts() -> Iterator[bytes]:
        for file in files:
            try:
                yield file.read_bytes()
            except OSError as error:
                yield type(error).__name__.encode()

    return _digest(parts())


def _code() -> Iterator[bytes]:
    """Versions of all packages that matter, the checks, and for who works on those the state of their source files."""
    checks = {
        name: [check.task, check.relating, repr(check.facts), repr(check.findings)]
        for name, check in all_checks().items()
    }
    yield json.dumps([packages(), DECODERS, sorted(tasks_and_columns()), checks], sort_keys=True).encode()
    roots = {check.judge.__module__.partition(".")[0] for check in all_checks().values()}
    for name in sorted(roots):
        module = sys.modules.get(name)
        folders = [Path(folder) for folder in getattr(module, "__path__", [])]
        alone = getattr(module, "__file__", None)
        yield from _states([Path(alone)] if alone and not folders else _below(folders, "**/*.py"))


def _store(project: Project) -> str:
    """That versions, the cache and the bytes that the store keeps are as they were left."""

    def parts() -> Iterator[bytes]:
        yield from _states(_below([project.versions], "*.json", "*.parquet", "runs/*.json"))
        yield from _states(_below([project.cache], *(f"{kind}-*.parquet" for kind in PARTS), "outputs/*/*.parquet"))
        yield from _states(
            [project.objects, *_below([project.objects], "*")]
        )  # a folder's time tells what came or went

    return _digest(parts())


def _below(folders: Iterable[Path], *patterns: str) -> list[Path]:
    return sorted({path for folder in folders for pattern in patterns for path in folder.glob(pattern)})


def _states(paths: Iterable[Path]) -> Iterator[bytes]:
    """Name, size and time of each file or folder that is there."""
    for path in paths:
        with suppress(FileNotFoundError):
            status = os.stat(path)
            yield f"{path.name} {status.st_size} {status.st_mtime_ns}".encode("utf-8", "surrogateescape")
