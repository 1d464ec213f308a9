"""COCO: pictures and their labels from `annotations/*.json`.

What it reads: a COCO file, or a folder with such files in it, in its folder `annotations`, or one per folder of a
split (as Roboflow writes them). The category of a picture's annotations becomes its label; pictures without annotation
have none. Files are looked for in `images/SPLIT`, `images`, `SPLIT`, the data set's folder and beside the JSON file.
The split is in the JSON's name: `instances_train2017.json` -> train, `labels_val.json` -> val; `labels_default.json`
has none. Where one split has several files, that with image labels (`labels_`) is read, else `instances_`, else one
without such a beginning, else `person_keypoints_`, `stuff_`, `panoptic_`, `captions_`, `image_info_`.

Limits: a picture with annotations of several categories has no one label: it is taken over without, and the reason
listed. Boxes and outlines are not taken over, nor are captions. Pictures are never downloaded (`coco_url`). Annotations
of an image that the file does not list are reported under that image's id. A JSON file
is read as a whole, which takes about six times its size in memory.

Source: https://cocodataset.org/#format-data
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from curate.annotations import find_item, has_words, read_checked, split_of
from curate.errors import SourceError
from curate.importers import Importer, Item
from curate.stages.labels import SPLIT_NAMES

# Beginnings of file names, the one with the most to say about a picture's label first; "" = any other name.
TASKS = ("labels", "instances", "", "person_keypoints", "stuff", "panoptic", "captions", "image_info")
Id = int | str


@dataclass(frozen=True, slots=True)
class CocoImage:
    """One entry of `images`."""

    id: Id
    file_name: str


@dataclass(frozen=True, slots=True)
class CocoAnnotation:
    """One entry of `annotations`; a caption has no category."""

    image_id: Id
    category_id: Id | None = None


@dataclass(frozen=True, slots=True)
class CocoCategory:
    """One entry of `categories`."""

    id: Id
    name: str


@dataclass(frozen=True, slots=True)
class CocoFile:
    """What we read of a COCO file."""

    images: list[CocoImage]
    annotations: list[CocoAnnotation] | None = None
    categories: list[CocoCategory] | None = None


@dataclass(frozen=True)
class Named:
    """What the name of a JSON file says. subset: how its folder is called. task: one of TASKS."""

    file: Path
    task: str
    subset: str
    split: str | None


def recognises(source: Path) -> bool:
    """Whether there is a JSON file with images, or annotations of images."""
    return any(map(_looks_right, _json_files(source)))


def read(source: Path) -> Iterator[Item]:
    """Every picture of the JSON file that says most of each split."""
    chosen: dict[str | None, list[Named]] = defaultdict(list)
    for one in sorted(map(_named, _json_files(source)), key=lambda one: TASKS.index(one.task)):
        if not chosen[one.split] or chosen[one.split][0].task == one.task:
            chosen[one.split].append(one)
    if not chosen:
        raise SourceError(
            f"There is no COCO file in {str(source)!r}: expected annotations/*.json, or *.json in it.",
            "Give the folder that holds the folder 'annotations', or the JSON file itself.",
        )
    for one in (one for files in chosen.values() for one in files):
        yield from _items(one, source if source.is_dir() else _root(source))


def _json_files(source: Path) -> list[Path]:
    """The source itself, or what lies where COCO files usually do."""
    if source.is_file():
        return [source]
    beside = sorted(filter(_looks_right, source.glob("*.json")))
    by_split = (one for one in source.glob("*/*.json") if one.parent.name.lower() in SPLIT_NAMES)
    return sorted(source.glob("annotations/*.json")) or beside or sorted(filter(_looks_right, by_split))


def _looks_right(file: Path) -> bool:
    return has_words(file, [b'"images"', b'"file_name"']) or has_words(file, [b'"image_id"', b'"category_id"'])


def _root(file: Path) -> Path:
    """Where the data set begins that a single JSON file belongs to."""
    return file.parent.parent if file.parent.name == "annotations" else file.parent


def _named(file: Path) -> Named:
    task = next((one for one in TASKS if one and file.stem.startswith(f"{one}_")), "")
    subset = file.stem.removeprefix(f"{task}_")
    if task == "labels":
        return Named(file, task, subset, split_of(subset))
    without_year = re.sub(r"_?(19|20)\d\d$", "", subset)  # train2017
    if without_year.lower() in SPLIT_NAMES:
        return Named(file, task, subset, without_year)
    if task:
        return Named(file, task, subset, split_of(subset))
    folder = file.parent.name  # train/_annotations.coco.json
    return Named(file, task, folder, folder if folder.lower() in SPLIT_NAMES else None)


def _items(named: Named, root: Path) -> Iterator[Item]:
    """The pictures of one JSON file. Raises SourceError when it contradicts itself."""
    content = read_checked(named.file, CocoFile)
    labels = _labels(content, named.file)
    images = root / "images"
    folders = [
        one for one in (images / named.subset, images, root / named.subset, root, named.file.parent) if one.is_dir()
    ]
    seen: set[Id] = set()
    for image in content.images:
        if image.id in seen:
            raise SourceError(f"{str(named.file)!r} gives two images the id {image.id!r}.", "Give each its own.")
        seen.add(image.id)
        yield _item(image, labels.get(image.id, set()), folders, root, named.split)
    for number in labels:
        if number not in seen:
            problem = f"{named.file.name} has annotations of this image, but does not list it"
            yield Item(f"image {number}", None, split=named.split, problem=problem)


def _labels(content: CocoFile, file: Path) -> dict[Id, set[str]]:
    """The names of the categories of each image's annotations, by the image's id."""
    names = _category_names(content, file)
    labels: dict[Id, set[str]] = defaultdict(set)
    for annotation in content.annotations or []:
        of_image = labels[annotation.image_id]
        if annotation.category_id is None:
            continue
        if annotation.category_id not in names:
            raise SourceError(
                f"{str(file)!r} gives image {annotation.image_id!r} the category {annotation.category_id!r}, "
                "which is not among its categories.",
                "Add the category, or remove the annotation.",
            )
        of_image.add(names[annotation.category_id])
    return labels


def _category_names(content: CocoFile, file: Path) -> Mapping[Id, str]:
    names: dict[Id, str] = {}
    for category in content.categories or []:
        if names.setdefault(category.id, category.name) != category.name:
            both = f"{names[category.id]!r} and {category.name!r}"
            raise SourceError(f"{str(file)!r} calls the category {category.id!r} {both}.", "Give each id one name.")
    return names


def _item(image: CocoImage, labels: set[str], folders: list[Path], root: Path, split: str | None) -> Item:
    return find_item(image.file_name, folders, root, split, lambda _: labels)


IMPORTER = Importer(name="coco", summary="image labels, or boxes of one category", recognises=recognises, read=read)
