"""Batches of new pictures: which file came from where, when and by whom. One JSON file each, never lost.

    batches/0001.json

A batch is written before its first file is copied, with where each will go, and again when all are there, and when a
version holds them. So a kill at any moment leaves a record of what is still to be done.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from curate.errors import StoreError
from curate.files import write_json

# planned: the new files are known, some may be copied. copied: all are in the folder. done: a version has them.
State = Literal["planned", "copied", "done"]
Outcome = Literal["new", "known", "lost"]


@dataclass(frozen=True)
class Arrival:
    """A file that came.

    source: its absolute path. size_bytes, mtime_ns: of it then. outcome: "new": it was copied to `path`; "known": the
    folder has these bytes already, at `path`; "lost": it was gone, or had other bytes, when it was to be copied.
    """

    source: str
    path: str
    sha256: str
    size_bytes: int
    mtime_ns: int
    outcome: Outcome = "new"


@dataclass(frozen=True)
class Batch:
    """Files that came together. sources: what people named. version: the one that holds them, "" = none yet."""

    number: int
    begun_at: str
    author: str
    sources: tuple[str, ...]
    state: State
    arrivals: tuple[Arrival, ...]
    version: str = ""

    @property
    def name(self) -> str:
        """How people call it: batch 3."""
        return f"batch {self.number}"

    def paths(self, outcome: Outcome) -> list[str]:
        """Of the arrivals with that outcome."""
        return [one.path for one in self.arrivals if one.outcome == outcome]


def write_batch(folder: Path, batch: Batch) -> None:
    """Keep a batch, in place of what was known of it before; durable."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / f"{batch.number:04d}.json", asdict(batch))


def read_batches(folder: Path) -> list[Batch]:
    """All batches, oldest first. Raises StoreError for a damaged one: it may hold what is still to be done."""
    return sorted((_read(file) for file in folder.glob("[0-9]*.json")), key=lambda one: one.number)


def _read(file: Path) -> Batch:
    try:
        said: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        arrivals = tuple(Arrival(**one) for one in said.pop("arrivals"))
        return Batch(**{**said, "sources": tuple(said["sources"]), "arrivals": arrivals})
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise StoreError(
            f"The batch file {str(file)!r} is damaged: {error}.",
            "Restore it from a backup; or move it away: pictures that are in the folder stay there.",
        ) from error
