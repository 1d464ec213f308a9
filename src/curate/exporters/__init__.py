"""What an export format is, and where formats are found.

A format is one file in this folder. Its module docstring is the format's page in the docs (What it writes, How to
load it, Limits, Source). `write` gets the release and an empty folder, writes into it, and says where each picture
went. Choosing the target, an all-or-nothing rename, the manifest, progress and messages are `curate.exporting`'s.
Another package adds a format by an entry point in the group `curate.exporters` that names its EXPORTER object.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

from pydantic import BaseModel, ConfigDict

from curate.errors import SettingsError
from curate.labelers import did_you_mean
from curate.progress import Advance
from curate.release import Release


class ExporterSettings(BaseModel):
    """What a format needs to be told. Subclasses add one documented field per choice."""

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True)
class Written:
    """What an exporter did.

    places: path of each picture -> where it is in the export, in words that the format's users know
        ("train/cats/1.jpg", "train-000000.tar/00001a.jpg"). left_out: path -> why the format has no place for it.
        Every picture of the release is in one of the two. notes: what people should know, one sentence each.
    """

    places: dict[str, str]
    left_out: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Exporter:
    """One format.

    write: release, empty folder, settings, advance (called with 1 per picture) -> Written. The same release must give
        the same bytes in every file it writes.
    """

    name: str
    summary: str
    write: Callable[[Release, Path, Any, Advance], Written]
    settings: type[ExporterSettings] = ExporterSettings


@cache
def all_exporters() -> dict[str, Exporter]:
    """Every format by name: those of this folder and those that installed packages add."""
    built_in = [import_module(f"{__name__}.{module.name}").EXPORTER for module in iter_modules(__path__)]
    added = [point.load() for point in entry_points(group="curate.exporters")]
    return {exporter.name: exporter for exporter in sorted([*built_in, *added], key=lambda exporter: exporter.name)}


def find_exporter(name: str) -> Exporter:
    """The format of that name. Raises SettingsError that names the nearest there is."""
    if name not in all_exporters():
        raise SettingsError(f"There is no export format {name!r}.", did_you_mean(name, list(all_exporters())))
    return all_exporters()[name]
