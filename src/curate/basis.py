"""What each stage has worked on last: the version that came out, and the settings that decided it.

Versions tell, by the command that made them. Where a stage changed nothing, and so made none, a note in the cache
does, which `curate run` leaves; without the note the stage only runs once more.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curate.files import write_json
from curate.project import Project
from curate.settings import Settings, StageName, as_dict
from curate.versions import Version

# A stage that another command does as well.
ALSO_DONE_BY: dict[StageName, str] = {"clean": "curate add"}
MOST_KEYS = 2  # settings that differ and are named


@dataclass(frozen=True)
class Basis:
    """What a stage has worked on last: the version that held its result, and its settings then."""

    version: Version
    settings: dict[str, Any]


def keep_basis(project: Project, stage: StageName, version: Version, settings: Settings) -> None:
    """Note that a stage has come out as this version, whether or not it has changed anything."""
    write_json(
        _basis_file(project, stage),
        {"version": version.number, "made": version.created_at, "settings": settings_of(stage, as_dict(settings))},
    )


def _basis_file(project: Project, stage: StageName) -> Path:
    return project.cache / f"basis-{stage}.json"


def find_basis(project: Project, history: Sequence[Version], stage: StageName) -> Basis | None:
    """What the stage has worked on last; None if it never ran. history: all versions, oldest first."""
    commands = (f"curate {stage}", ALSO_DONE_BY.get(stage))
    made = [one for one in history if one.command in commands]
    found = Basis(made[-1], settings_of(stage, made[-1].settings)) if made else None
    noted = noted_basis(project, history, stage)
    return noted if noted and (found is None or noted.version.number >= found.version.number) else found


def noted_basis(project: Project, history: Sequence[Version], stage: StageName) -> Basis | None:
    """By the note of `curate run`; None where there is none that can be understood."""
    try:
        note = json.loads(_basis_file(project, stage).read_text(encoding="utf-8"))
        known = {(one.number, one.created_at): one for one in history}
        return Basis(known[note["version"], note["made"]], dict(note["settings"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


# Stage -> the sections of the settings that decide what it gives.
SECTIONS: dict[StageName, tuple[str, ...]] = {
    "clean": ("scan", "versions", "checks"),
    "normalize": ("normalize",),
    "prelabel": ("models", "prelabel", "labelers"),
    "flag": ("models",),
    "split": ("split",),
    "rebalance": ("rebalance", "models"),
    "report": (),
}


def settings_of(stage: StageName, recorded: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted key -> value of the settings that decide what a stage gives. recorded: as `as_dict` gives them."""
    return flat({name: recorded[name] for name in SECTIONS[stage] if name in recorded})


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings as dotted key -> value."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return found


def differing(before: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[str, ...]:
    """Which settings differ, in words; empty if none does."""
    keys = sorted(key for key in {*before, *now} if before.get(key) != now.get(key))
    if not keys:
        return ()
    more = f" and {len(keys) - MOST_KEYS} more" if len(keys) > MOST_KEYS else ""
    return (f"other settings: {', '.join(keys[:MOST_KEYS])}{more}",)
