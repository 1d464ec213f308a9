"""Studies: what a command found out about a version without changing anything, kept for the report.

`prove`, `shortcuts` and the like end in numbers, not in a version. Each keeps its last result in the cache, with the
version that it is about; later versions may have made it out of date, and whoever shows it says so.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from curate.files import write_json
from curate.project import Project
from curate.versions import Version

Name = Literal["drift", "leakage", "next", "proof", "shortcuts", "strategies"]


@dataclass(frozen=True)
class Study:
    """A kept result. version_name, version_id: what it is about. made_at: UTC, ISO 8601. result: plain data."""

    version_name: str
    version_id: str
    made_at: str
    result: dict[str, Any]


def keep_study(project: Project, name: Name, version: Version, result: dict[str, Any]) -> None:
    """Remember what was found, in place of what the same command found before. The caller holds the write lock."""
    made_at = datetime.now(UTC).isoformat(timespec="seconds")
    file = _file(project, name)
    file.parent.mkdir(parents=True, exist_ok=True)
    write_json(file, asdict(Study(version.name, version.id, made_at, result)))


def read_study(project: Project, name: Name) -> Study | None:
    """What the command found last; None if it never ran, or the file is damaged: it can be run again."""
    try:
        study = Study(**json.loads(_file(project, name).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return study if isinstance(study.result, dict) else None


def _file(project: Project, name: Name) -> Path:
    return project.cache / f"study-{name}.json"
