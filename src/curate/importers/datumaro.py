"""Datumaro's own JSON, version 1.0: pictures and their labels from `annotations/SPLIT.json`.

What it reads: such a file, or the folder that has the folder `annotations`. Pictures are looked for in `images/SPLIT`
and `images`. The label of an item is that of its annotations of type `label`; where it has none of those, that of its
boxes and outlines. Every JSON file is a split; `default.json` has none.

Limits: an item with several labels is taken over without one, and the reason listed; so are items without an image
(videos, point clouds). A set that datumaro saved without its media names files elsewhere, by absolute paths: those are
never opened, but listed. Boxes, outlines, captions and attributes are not taken over, nor are groups of labels. A JSON
file is read as a whole, which takes about six times its size in memory.

Source: datumaro 1.13, `plugins/data_formats/datumaro` (https://github.com/open-edge-platform/datumaro).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from curate.annotations import find_item, has_words, read_checked, split_of
from curate.errors import SourceError
from curate.importers import Importer, Item

LABEL = "label"


@dataclass(frozen=True, slots=True)
class DatumaroLabel:
    """One entry of the list of labels; an annotation's `label_id` is its place in the list."""

    name: str


@dataclass(frozen=True, slots=True)
class DatumaroLabels:
    """The labels of a file."""

    labels: list[DatumaroLabel]


@dataclass(frozen=True, slots=True)
class DatumaroCategories:
    """The categories of a file; it has other kinds (colours, points), which say nothing of a picture's label."""

    label: DatumaroLabels | None = None


@dataclass(frozen=True, slots=True)
class DatumaroAnnotation:
    """One thing that is said of an item; captions have no label."""

    type: str
    label_id: int | None = None


@dataclass(frozen=True, slots=True)
class DatumaroImage:
    """Where an item's picture is."""

    path: str | None = None


@dataclass(frozen=True, slots=True)
class DatumaroItem:
    """One entry of `items`."""

    id: str
    annotations: list[DatumaroAnnotation] | None = None
    image: DatumaroImage | None = None


@dataclass(frozen=True, slots=True)
class DatumaroFile:
    """What we read of a file."""

    categories: DatumaroCategories
    items: list[DatumaroItem]


def recognises(source: Path) -> bool:
    """Whether there is a JSON file that says which version of datumaro's format it has."""
    return any(has_words(file, [b'"dm_format_version"']) for file in _json_files(source))


def read(source: Path) -> Iterator[Item]:
    """Every item of every split."""
    files = _json_files(source)
    if not files:
        raise SourceError(
            f"There is no file of datumaro's in {str(source)!r}: expected annotations/*.json.",
            "Give the folder that holds the folder 'annotations', or the JSON file itself.",
        )
    for file in files:
        content = read_checked(file, DatumaroFile)
        root = source if source.is_dir() else _root(source)
        folders = [one for one in (root / "images" / file.stem, root / "images") if one.is_dir()]
        for item in content.items:
            yield _item(item, _labels(item, content, file), folders or [root], root, split_of(file.stem))


def _json_files(source: Path) -> list[Path]:
    return [source] if source.is_file() else sorted(source.glob("annotations/*.json"))


def _root(file: Path) -> Path:
    """Where the data set begins that a single JSON file belongs to."""
    return file.parent.parent if file.parent.name == "annotations" else file.parent


def _labels(item: DatumaroItem, content: DatumaroFile, file: Path) -> list[str]:
    """Names of the labels of an item; those of the whole picture count more than those of boxes."""
    names: Sequence[DatumaroLabel] = content.categories.label.labels if content.categories.label else ()
    with_label = [one for one in item.annotations or [] if one.label_id is not None]
    of_picture = [one for one in with_label if one.type == LABEL]
    labels = []
    for annotation in of_picture or with_label:
        index = annotation.label_id
        assert index is not None  # filtered above
        if not 0 <= index < len(names):
            raise SourceError(
                f"{str(file)!r} gives the item {item.id!r} the label {index}, but lists {len(names)} labels.",
                "Add the label to `categories`, or remove the annotation.",
            )
        labels.append(names[index].name)
    return labels


def _item(item: DatumaroItem, labels: list[str], folders: list[Path], root: Path, split: str | None) -> Item:
    if item.image is None:
        return Item(item.id, None, split=split, problem="it is no image, or names none")
    name = item.image.path or f"{item.id}.jpg"  # as datumaro itself takes it
    return find_item(name, folders, root, split, lambda _: labels)


IMPORTER = Importer(name="datumaro", summary="Datumaro's own JSON 1.0", recognises=recognises, read=read)
