"""`init`: a first `curate.toml`, from what can be seen of a folder in a second or two.

Names of files and folders, and of some files the header: no picture is decoded. What is seen goes into `Seen`;
`curate.suggesting` makes settings of it.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from curate.basis import flat
from curate.errors import CurateError, SettingsError, SourceError, UnreadableImage
from curate.files import write_text
from curate.imaging import READERS, format_of
from curate.paths import to_file_name
from curate.project import Project
from curate.settings import as_dict, load_settings
from curate.sources import HEADER_BYTES, Bucket, file_in, open_file, read_ahead, root_of
from curate.stages.labels import IMPORTED, add_labels, read_label_file
from curate.stages.scan import Scan, is_other_file, scan_source

if TYPE_CHECKING:
    import pandas as pd

MOST_HEADERS = 2000  # a second on one core, and shares are good to 2 points
SIGNATURE_BYTES = 4096  # what `format_of` looks at
LABEL_FILES = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")
MOST_LABEL_FILES = 20  # are looked into
MOST_LABEL_BYTES = 50_000_000
FEWEST_NAMED = 0.5  # share of the pictures that a file of labels must name: else it is about something else
FEWEST_PER_CLASS = 2  # pictures, on average: folders with fewer are names of pictures, not of classes


@dataclass(frozen=True)
class Seen:
    """What a glance at a folder shows.

    labels: what `scan.labels` should be, and why in words. images: files that may be pictures; others: the rest.
    classes: class -> images, the largest first. unlabelled: images without one. splits: split -> images. formats: by
    header -> images, of those looked at. sides: shorter side in px of each of them, sorted; equal_sizes: whether all
    have the same width and height. unreadable: how many of those looked at have no header that can be read.
    """

    labels: str
    labels_because: str
    images: int
    others: int
    classes: dict[str, int]
    unlabelled: int
    splits: dict[str, int]
    formats: dict[str, int] = field(default_factory=dict)
    sides: tuple[int, ...] = ()
    equal_sizes: bool = False
    unreadable: int = 0

    @property
    def looked_at(self) -> int:
        """How many headers were read."""
        return sum(self.formats.values()) + self.unreadable


@dataclass(frozen=True)
class Start:
    """What `init` did. text: the settings. written: the file, None if they were only shown."""

    project: Project
    seen: Seen
    text: str
    written: Path | None


def init(folder: str | Path, *, store: str | Path | None = None, network: bool = False, dry_run: bool = False) -> Start:
    """Write a commented `curate.toml` for a folder, from what is in it.

    dry_run: only say what it would be. Raises SourceError for a folder without pictures; SettingsError if there is a
    `curate.toml` already.
    """
    from curate.suggesting import settings_text

    project = Project.at(folder, store, network=network)
    seen = look(project)
    text = settings_text(project, seen)
    target = project.store / "curate.toml"
    if dry_run:
        return Start(project, seen, text, None)
    if target.exists():
        raise _exists_already(target, text, project)
    write_text(target, text)
    return Start(project, seen, text, target)


def _exists_already(target: Path, text: str, project: Project) -> CurateError:
    return SettingsError(
        f"{str(target)!r} exists already, and is left as it is. {_compared(target, text)}",
        f"See all that would be written: curate init {project.folder} --print",
    )


def _compared(target: Path, text: str) -> str:
    """The settings that the file and the suggestion give different values, in words."""
    import tomllib

    ours = flat(as_dict(load_settings(target)))
    other = flat(tomllib.loads(text))
    differ = [f"{key} = {ours[key]!r}, suggested {other[key]!r}" for key in other if ours[key] != other[key]]
    return f"It has: {'; '.join(differ)}." if differ else "It has the settings that would be suggested."


# ---- What is in the folder


def look(project: Project) -> Seen:
    """What a glance shows. Raises SourceError where there is no picture at all."""
    scan = scan_source(project.folder)
    pictures = [row.path for row in scan.rows if not is_other_file(row.path)]
    if not pictures:
        number = len(scan.rows)
        raise SourceError(
            f"There is no picture in {str(project.folder)!r}{f', only {number:,} other files' if number else ''}.",
            "Give a folder that contains images.",
        )
    source, because = _label_source(project, scan, pictures)
    rows = _labelled(scan, source, project).set_index("path").loc[pictures]
    formats, sizes, unreadable = _headers(project, pictures)
    return Seen(
        labels=source,
        labels_because=because,
        images=len(pictures),
        others=len(scan.rows) - len(pictures),
        classes=_counted(rows["label"]),
        unlabelled=int(rows["label"].isna().sum()),
        splits=_counted(rows["given_split"]) if "given_split" in rows else {},
        formats=formats,
        sides=tuple(sorted(min(size) for size in sizes)),
        equal_sizes=len(set(sizes)) == 1,
        unreadable=unreadable,
    )


def _counted(labels: pd.Series[str]) -> dict[str, int]:
    counts = labels.dropna().value_counts()
    return dict(
        sorted(((str(name), int(number)) for name, number in counts.items()), key=lambda one: (-one[1], one[0]))
    )


def _labelled(scan: Scan, source: str, project: Project) -> pd.DataFrame:
    return add_labels(scan.table(), str(project.imported_labels) if source == IMPORTED else source)


def _label_source(project: Project, scan: Scan, pictures: Sequence[str]) -> tuple[str, str]:
    """Where labels come from, as `scan.labels` takes it, and why."""
    if project.imported_labels.exists():
        return IMPORTED, "`curate import` has read the labels."
    labels = _labelled(scan, "folders", project).set_index("path").loc[list(pictures), "label"]
    classes, number = labels.nunique(), int(labels.notna().sum())
    if classes > 1 and number >= FEWEST_PER_CLASS * classes:
        return "folders", "The first folder below the root is the class."
    file = _label_file(project, scan, pictures)
    if file is not None:
        return str(file), f"{file.name} has a label for pictures of this folder."
    if classes == 1:
        return "none", f"All pictures with a folder are in {labels.dropna().iloc[0]!r}, which is no class then."
    if classes:
        return "none", f"{classes:,} folders for {number:,} pictures: names, it seems, not classes."
    return "folders", "No picture is in a folder of its class, so none has a label yet."


def _label_file(project: Project, scan: Scan, pictures: Sequence[str]) -> Path | None:
    """A file of labels that names most of the pictures: in the folder, or beside it with a telling name."""
    folder = project.folder
    if isinstance(folder, Bucket):
        return None  # a file of labels has to be on this machine: nobody could name one yet
    inside = [folder / to_file_name(row.path) for row in scan.rows if row.path.lower().endswith(LABEL_FILES)]
    beside = [
        file
        for file in sorted(folder.parent.glob("*"))
        if file.suffix.lower() in LABEL_FILES and ("label" in file.stem.lower() or file.stem == folder.name)
    ]
    known = set(pictures)
    for file in [*inside, *beside][:MOST_LABEL_FILES]:
        if _names_most(file, known):
            return file
    return None


def _names_most(file: Path, known: set[str]) -> bool:
    try:
        if file.stat().st_size > MOST_LABEL_BYTES:
            return False
        named = read_label_file(file, known).dropna(subset="label")
    except (SourceError, OSError):
        return False
    return len(known.intersection(named["path"])) >= FEWEST_NAMED * len(known)


# ---- Headers


def _headers(project: Project, pictures: Sequence[str]) -> tuple[dict[str, int], list[tuple[int, int]], int]:
    """Format -> pictures, their sizes in px, and how many can't be told; of at most MOST_HEADERS, evenly spread."""
    step = max(1, -(-len(pictures) // MOST_HEADERS))
    root = root_of(project.folder)
    tasks = [_ToLookAt(file_in(root, path)) for path in pictures[::step]]
    formats: dict[str, int] = {}
    sizes, unreadable = [], 0
    for found in read_ahead(_header, tasks):
        if found is None:
            unreadable += 1
            continue
        formats[found[0]] = formats.get(found[0], 0) + 1
        sizes.append(found[1])
    return dict(sorted(formats.items(), key=lambda one: (-one[1], one[0]))), sizes, unreadable


@dataclass(frozen=True, slots=True)
class _ToLookAt:
    """A file, or URL, of which the header is read."""

    file: str
    size_bytes: int = HEADER_BYTES


def _header(picture: _ToLookAt) -> tuple[str, tuple[int, int]] | None:
    """Format, width and height as stored; None where the header does not tell."""
    try:
        with open_file(picture.file) as stream, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's, about odd metadata
            return _header_of(stream)
    except CurateError:  # the storage gives nothing at all
        raise
    except Exception:  # noqa: BLE001  damaged and hostile headers fail in any way; `clean` says which
        return None


def _header_of(stream: BinaryIO) -> tuple[str, tuple[int, int]] | None:
    """Raises whatever Pillow does."""
    try:
        file_format = format_of(stream.read(SIGNATURE_BYTES))
    except UnreadableImage:
        return None
    stream.seek(0)
    module, reader = READERS[file_format]
    width, height = getattr(import_module(f"PIL.{module}"), reader)(stream).size
    return file_format, (width, height)
