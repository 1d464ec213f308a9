"""YOLO: pictures in folders of splits and classes, or with boxes of one class each.

What it reads: a classification set, `train/CLASS/FILE` and so on, where the folder below the split is the label and
every folder beside `train` is a split (in an export of ours, `classes.json` gives the true names of classes); or a
detection, segmentation, pose or OBB set, whose `data.yaml` names the classes (`names`) and the pictures of each split
(`train`, `val`, `test`: folders, or .txt files with one path per line). There, a picture whose label file has one class
gets that as its label; one without a label file, or with an empty one, is background and stays unlabelled.

Limits: a picture with boxes of several classes has no one label: it is taken over without, and the reason listed.
Boxes are not taken over. Only files with a picture's extension are. Classification folders look like any folder of
splits and classes, so that they are read as such unless you say `--format yolo`. `train` is taken for a split, also if
an export had no splits to begin with. Links to folders are not followed. `path` in data.yaml counts only where it leads
into the data set, else the place of data.yaml itself. Darknet's sets (`obj.data`) are not read.

Source: https://docs.ultralytics.com/datasets/classify/ and https://docs.ultralytics.com/datasets/detect/
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from curate.annotations import Unusable, find_item, has_words
from curate.class_lists import folder_labels
from curate.errors import SourceError
from curate.importers import Importer, Item
from curate.paths import to_text
from curate.stages.labels import SPLIT_NAMES, UNLABELED
from curate.stages.scan import looks_like_image_name

SPLIT_KEYS = ("train", "val", "valid", "validation", "test")  # in data.yaml
YAML_NAMES = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")
MOST_YAML_BYTES = 2_000_000  # names of the 21,843 classes of ImageNet-21k take 0.6 MB
FEWEST_FIELDS = 5  # of a line in a label file: class, then a box of four numbers, or more for outlines


@dataclass(frozen=True)
class DataFile:
    """What data.yaml says. folders: split -> folders and lists, as written. base: what those are relative to."""

    file: Path
    base: Path
    names: Mapping[int, str]
    folders: Mapping[str, Sequence[str]]


def recognises(source: Path) -> bool:
    """Whether there is a data.yaml, or an export of ours; class folders alone look like those of any other tool."""
    return _yaml_file(source) is not None or has_words(source / "export.json", [b'"format": "yolo"'])


def read(source: Path) -> Iterator[Item]:
    """Every picture; with its label file where there is a data.yaml."""
    yaml = _yaml_file(source)
    if yaml is None:
        yield from _from_folders(source)
        return
    data = _read_data_file(yaml)
    for split, entries in data.folders.items():
        for entry in entries:
            yield from _from_entry(entry, split, data)


def _yaml_file(source: Path) -> Path | None:
    """The source itself, or the YAML file that Ultralytics' examples would call so."""
    if source.is_file():
        return source if source.suffix.lower() in (".yaml", ".yml") else None
    return next((source / name for name in YAML_NAMES if (source / name).is_file()), None)


# ---- Folders of classes


def _from_folders(root: Path) -> Iterator[Item]:
    splits = sorted(one for one in _listed(root) if one.is_dir() and not one.is_symlink())
    if not any(one.name.lower() in SPLIT_NAMES for one in splits):
        raise SourceError(
            f"{str(root)!r} is no YOLO set: it has neither a data.yaml nor a folder train, val or test.",
            "A folder per class without splits is --format folders.",
        )
    labels = folder_labels(root)
    for split in splits:
        for file in _pictures_below(split):
            name = os.path.relpath(file, root)
            yield find_item(name, [root], root, to_text(split.name), partial(_class_folder, labels, split))


def _class_folder(labels: Mapping[str, str], split: Path, file: Path) -> Sequence[str]:
    """The label by the first folder; none for files that are in no folder. labels: those that classes.json gives."""
    folders = file.relative_to(split).parts[:-1]
    if not folders or folders[0] == UNLABELED:
        return []
    return [labels.get(folders[0]) or to_text(folders[0])]


def _pictures_below(folder: Path) -> Iterator[Path]:
    """Files with a picture's name, in alphabetical order; hidden ones left out."""
    for directory, folders, names in os.walk(folder):
        folders[:] = sorted(one for one in folders if not one.startswith("."))
        for name in sorted(names):
            if looks_like_image_name(name) and not name.startswith("."):
                yield Path(directory, name)


def _listed(root: Path) -> list[Path]:
    try:
        return [one for one in root.iterdir() if not one.name.startswith(".")]
    except OSError as error:
        raise SourceError(f"{str(root)!r} can't be listed: {error.strerror}.") from error


# ---- data.yaml


def _read_data_file(file: Path) -> DataFile:
    """What it says. Raises SourceError for what it lacks, with its place."""
    content = _read_yaml(file)
    names = _class_names(content.get("names"), file)
    folders = {key: _texts(content[key]) for key in SPLIT_KEYS if content.get(key)}
    if not any(folders.values()):
        raise SourceError(f"{str(file)!r} names no pictures.", "Expected train, val or test: a folder, or a .txt file.")
    base = file.parent / _one_text(content.get("path"))
    return DataFile(file, base if _is_within(base, file.parent) else file.parent, names, folders)


def _read_yaml(file: Path) -> dict[str, Any]:
    """Its keys, all scalars as texts: "no" and "1" are class names here. Raises SourceError if it can't be read."""
    import yaml

    try:
        if file.stat().st_size > MOST_YAML_BYTES:
            raise SourceError(f"{str(file)!r} is no data.yaml: it is larger than {MOST_YAML_BYTES // 10**6} MB.")
        content = yaml.load(file.read_text(encoding="utf-8-sig"), Loader=yaml.BaseLoader)  # noqa: S506  makes texts only
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise SourceError(f"{str(file)!r} can't be read: {' '.join(str(error).split())}.") from error
    if not isinstance(content, dict):
        raise SourceError(f"{str(file)!r} is no data.yaml: expected keys like names and train.")
    return content


def _class_names(names: object, file: Path) -> dict[int, str]:
    """index -> name, from a list or from a mapping of numbers."""
    named = dict(enumerate(names)) if isinstance(names, list) else names
    if (
        not isinstance(named, dict)
        or not named
        or not all(re.fullmatch(r"\d{1,9}", str(key)) and isinstance(name, str) and name for key, name in named.items())
    ):
        raise SourceError(
            f"{str(file)!r} does not say how the classes are called.",
            "Expected names: a list of texts, or of lines like 0: cat.",
        )
    return {int(key): name for key, name in named.items()}


def _texts(value: object) -> list[str]:
    return [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, str) and one]


def _one_text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _is_within(path: Path, root: Path) -> bool:
    """Whether there is such a file or folder, and inside the root."""
    return os.path.exists(path) and Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root))


# ---- Pictures with label files


def _from_entry(entry: str, split: str, data: DataFile) -> Iterator[Item]:
    """The pictures of one folder, or of one list of paths."""
    root = data.file.parent
    # Ultralytics too takes "../train/images" for "train/images" where there is no such folder: Roboflow writes that.
    places = (data.base / entry, root / entry, root / entry.removeprefix("../"))
    place = next((one for one in places if _is_within(one, root)), None)
    labels = partial(_boxed_classes, data)
    if place is None:
        raise SourceError(
            f"{str(data.file)!r} says {split}: {entry}, and there is no such folder or list in {str(root)!r}.",
            "Write it relative to data.yaml, or remove the line.",
        )
    if place.is_dir():
        stems = set()
        for file in _pictures_below(place):
            stems.add(_label_file(file, root).with_suffix(""))
            yield find_item(os.path.relpath(file, root), [root], root, split, labels)
        yield from _without_picture(place, root, split, stems)
    else:
        for name in _listed_names(place):
            yield find_item(name, [place.parent, data.base, root], root, split, labels)


def _listed_names(file: Path) -> list[str]:
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        raise SourceError(f"{str(file)!r} can't be read: {error}.", "Expected a text file, a path per line.") from error
    return [os.path.normpath(line.strip()) for line in lines if line.strip()]


def _label_file(picture: Path, root: Path) -> Path:
    """images/train/1.jpg -> labels/train/1.txt, by the last folder of that name; without one, beside the picture."""
    parts = list(Path(os.path.relpath(picture, root)).with_suffix(".txt").parts)
    if "images" in parts[:-1]:
        parts[len(parts) - 2 - parts[-2::-1].index("images")] = "labels"
    return root.joinpath(*parts)


def _boxed_classes(data: DataFile, picture: Path) -> Iterator[str]:
    """The class of each line. Raises Unusable for a line that is no box; SourceError for an unknown class."""
    file = _label_file(picture, data.file.parent)
    if not os.path.lexists(file):
        return
    if not _is_within(file, data.file.parent) or not file.is_file():
        raise Unusable("its label file is no file in the data set")
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        raise Unusable(f"its label file can't be read: {error}") from error
    for number, line in enumerate(lines, start=1):
        if line.strip():
            index = _class_of(line)
            if index is None:
                raise Unusable(f"line {number} of its label file is no box: {line[:80]!r}")
            if index not in data.names:
                raise SourceError(
                    f"Line {number} of {str(file)!r} has the class {index}, which {data.file.name} gives no name.",
                    f"It names {len(data.names)} classes, from {min(data.names)} to {max(data.names)}.",
                )
            yield data.names[index]


def _class_of(line: str) -> int | None:
    """The class of a box or an outline; None if it is neither."""
    try:
        numbers = [float(field) for field in line.split()]
    except ValueError:
        return None
    if len(numbers) < FEWEST_FIELDS or not all(map(math.isfinite, numbers)) or not numbers[0].is_integer():
        return None
    return int(numbers[0])


def _without_picture(place: Path, root: Path, split: str, stems: set[Path]) -> Iterator[Item]:
    """A missing picture for each label file that belongs to none."""
    labels = _label_file(place / "any", root).parent
    if labels == place:  # notes of any kind may lie among pictures
        return
    for directory, folders, names in os.walk(labels):
        folders.sort()
        for name in sorted(names):
            file = Path(directory, name)
            if file.suffix == ".txt" and name != "classes.txt" and file.with_suffix("") not in stems:
                missing = os.path.relpath(place / file.relative_to(labels).with_suffix(""), root)
                yield Item(to_text(missing), None, split=split, problem="there is a label file, but no such picture")


IMPORTER = Importer(
    name="yolo", summary="folders of splits and classes, or boxes of a class", recognises=recognises, read=read
)
