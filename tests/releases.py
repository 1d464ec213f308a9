"""Small releases for tests of formats, and what is compared when one is written and read back."""

from __future__ import annotations

import csv
import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from importlib import import_module
from pathlib import Path

import curate as library
from conftest import picture, write
from curate.exporters import Exporter, Written
from curate.importers import Importer, Item
from curate.names import folded
from curate.progress import no_advance
from curate.project import Project
from curate.release import Release, open_release

# Class names that some system, format or parser gets wrong.
HARD_LABELS = (
    "cat",
    "Cat",
    "a cat",
    "a/b",
    "a.b.jpg",
    "100%",
    "%41",
    "$image and US$ 5",
    'say "hi", it\'s <b>&amp;</b>',
    "two\nlines\tand a tab",
    "caf\u00e9",
    "cafe\u0301",
    "\u732b",
    "\U0001f431",
    "CON",
    "..",
    "test",
    "_unlabeled ",
    "3",
    "null",
    "\x01",
)

Told = tuple[str, str | None, str | None]  # sha256, label, split


def release_of(folder: Path, labels: Mapping[str, tuple[str | None, str | None]]) -> Release:
    """A release whose pictures have these labels and splits; path -> (label, split). Each picture differs."""
    for number, path in enumerate(labels):
        write(folder / "photos" / path, picture(number))
    with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream)
        table.writerow(["path", "label", "split"])
        table.writerows([path, label or "", split or ""] for path, (label, split) in labels.items())
    changes = {"scan.labels": str(folder / "labels.csv"), "checks.near_duplicate.action": "note"}
    library.clean(folder / "photos", changes=changes, workers=1)
    return open_release(Project.at(folder / "photos"))


def hard_release(folder: Path) -> Release:
    """One picture of each hard label, in all splits and none, and one without a label."""
    splits = ("train", "val", "test", None)
    labels = {f"{number}.jpg": (label, splits[number % 4]) for number, label in enumerate(HARD_LABELS)}
    return release_of(folder, {**labels, "none.jpg": (None, "train")})


def export(release: Release, out: Path, name: str, **settings: object) -> Written:
    """Write a release in a format, as `curate export` does."""
    out.mkdir()
    exporter: Exporter = import_module(f"curate.exporters.{name}").EXPORTER
    return exporter.write(release, out, exporter.settings(**settings), no_advance)


def told_by(release: Release) -> Counter[Told]:
    """What any reader of the release should find."""
    return Counter((one.sha256, one.label, one.split) for one in release.pictures)


def read(source: Path, name: str) -> list[Item]:
    """What the importer yields."""
    importer: Importer = import_module(f"curate.importers.{name}").IMPORTER
    return list(importer.read(source))


def told(items: Iterable[Item]) -> Counter[Told]:
    """The same of what an importer yields; pictures that are not there are errors."""
    return Counter((_digest(item.content), item.label, item.split) for item in items)


def _digest(content: Path | bytes | None) -> str:
    assert content is not None
    return hashlib.sha256(content if isinstance(content, bytes) else content.read_bytes()).hexdigest()


def bytes_of(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def distinct(names: Iterable[str]) -> bool:
    """Whether no two names meet on any file system."""
    names = list(names)
    return len({folded(name) for name in names}) == len(names)
