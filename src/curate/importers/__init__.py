"""What an import format is, and where formats are found.

A format is one file in this folder. `recognises` tells whether a source looks like it; `read` yields one `Item` per
picture that the source holds or names. Safe and distinct names, copying, the label file, and telling people what was
missing are `curate.importing`'s. Another package adds a format by an entry point in the group `curate.importers`
that names its IMPORTER object.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from pkgutil import iter_modules

from curate.errors import SettingsError
from curate.labelers import did_you_mean


@dataclass(frozen=True, slots=True)
class Item:
    """One picture that a source holds or names.

    name: its path in the new folder, as the source calls it; made safe later. content: the file that has it, its
        bytes, or None with a `problem` in words where the source names a picture that is not there.
    label: None = unlabelled. split: in the source's word ("training", "validation", …); None = none.
    votes: (annotator, label) of each annotator, where the source keeps several; a skipped task is no vote.
    """

    name: str
    content: Path | bytes | None
    label: str | None = None
    split: str | None = None
    votes: tuple[tuple[str, str], ...] = ()
    problem: str = ""


@dataclass(frozen=True)
class Importer:
    """One format.

    recognises: whether a file or folder looks like this format; quick, never raises. read: every picture; raises
        SourceError for what the user must mend (a missing file, an unknown class index), with place and value.
        Files are only read. Paths in the source that lead out of it are a `problem`, never opened.
    precedence: higher is asked first; a folder of class folders looks like many things, and is asked last.
    """

    name: str
    summary: str
    recognises: Callable[[Path], bool]
    read: Callable[[Path], Iterator[Item]]
    precedence: int = 0


@cache
def all_importers() -> dict[str, Importer]:
    """Every format by name: those of this folder and those that installed packages add."""
    built_in = [import_module(f"{__name__}.{module.name}").IMPORTER for module in iter_modules(__path__)]
    added = [point.load() for point in entry_points(group="curate.importers")]
    return {importer.name: importer for importer in sorted([*built_in, *added], key=lambda importer: importer.name)}


def find_importer(name: str) -> Importer:
    """The format of that name. Raises SettingsError that names the nearest there is."""
    if name not in all_importers():
        raise SettingsError(f"There is no import format {name!r}.", did_you_mean(name, list(all_importers())))
    return all_importers()[name]
