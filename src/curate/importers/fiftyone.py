"""FiftyOne: exported datasets of the types FiftyOneImageClassificationDataset and FiftyOneDataset.

What it reads: a folder with `labels.json` and `data/` (or `data.json`, which maps names to files); a folder of such
folders, whose names are then the splits, as `curate export --format fiftyone` writes them; and a FiftyOneDataset, that
is a folder with `metadata.json` and `samples.json` (or `samples/`). A label may be a name, an index into the classes,
null, an object with a label, or a list of those with one entry; of a list with several, none is taken, and the
problem says so. Pictures in `data/` that labels.json does not name come along without a label. In a FiftyOneDataset
the label is the field `ground_truth` or `label`, or the only field that holds classifications; the split is the tag
train, val, validation or test of a sample.

Limits: files outside the folder are never opened, so exports with links to the pictures (export_media="symlink" or
False) give a problem per picture: export with export_media=True. Confidences and other attributes are left out.
Class folders (ImageClassificationDirectoryTree) are the format `folders`.

Source: fiftyone.utils.data.importers of FiftyOne 1.x; https://docs.voxel51.com/user_guide/export_datasets.html
"""

from __future__ import annotations

import json
import mimetypes
import os
import posixpath
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from curate.errors import SourceError
from curate.exporters.fiftyone import DATA, LABELS, NO_SPLIT
from curate.importers import Importer, Item
from curate.inside import file_inside, is_label, storable
from curate.stages.labels import SPLITS

FIELDS = ("ground_truth", "label")  # FiftyOne's own default name first
CLASSIFICATIONS = ("Classification", "Classifications")


def recognises(source: Path) -> bool:
    """A folder with labels.json and data beside it, one with only such folders, or a FiftyOneDataset."""
    folder = _folder(source)
    return _is_dataset(folder) or _is_samples(folder) or bool(_split_folders(folder))


def read(source: Path) -> Iterator[Item]:
    """One item per sample. Raises SourceError when a file can't be understood, or a class index is unknown."""
    folder = _folder(source)
    if _is_dataset(folder):
        yield from _read_dataset(folder, None)
    elif _is_samples(folder):
        yield from _read_samples(folder)
    elif splits := _split_folders(folder):
        for name in splits:
            yield from _read_dataset(folder / name, None if name == NO_SPLIT else unquote(name))
    else:
        raise SourceError(
            f"{str(source)!r} holds no dataset of FiftyOne: there is no {LABELS} with {DATA}/ beside it, and no "
            "samples.json with metadata.json.",
            "Name the folder that FiftyOne exported to.",
        )


def _folder(source: Path) -> Path:
    """The dataset's folder, which may be named by one of its files."""
    return source.parent if source.name in (LABELS, "samples.json", "metadata.json") else source


def _is_dataset(folder: Path) -> bool:
    return (folder / LABELS).is_file() and ((folder / DATA).is_dir() or (folder / "data.json").is_file())


def _is_samples(folder: Path) -> bool:
    there = (folder / "samples.json").is_file() or (folder / "samples").is_dir()
    return there and (folder / "metadata.json").is_file()


def _split_folders(folder: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in os.scandir(folder) if entry.is_dir() and _is_dataset(Path(entry.path)))
    except (OSError, ValueError):
        return []


# ---- labels.json and data/


def _read_dataset(folder: Path, split: str | None) -> Iterator[Item]:
    file = folder / LABELS
    content = _load(file)
    labels, classes = content.get("labels"), content.get("classes")
    if not isinstance(labels, dict) or not (classes is None or isinstance(classes, list)):
        raise SourceError(
            f'{str(file)!r} is no labels file of FiftyOne: expected {{"classes": list or null, "labels": {{…}}}}.',
            "Export it again as FiftyOneImageClassificationDataset.",
        )
    files = _files(folder)
    for key, value in labels.items():
        label, problem = _label(value, classes, f"{str(file)!r}, {key!r:.200}")
        name = _relative(key, folder)
        yield from _items(folder, name, files.pop(posixpath.normpath(name), []), label, split, problem)
    for key in sorted(files):
        for path in files[key]:
            if (mimetypes.guess_type(path)[0] or "").startswith("image/"):
                yield from _items(folder, key, [path], None, split, "")


def _relative(key: str, folder: Path) -> str:
    """A key as a path in data/; keys may be absolute, with extension (abs_paths=True)."""
    if not os.path.isabs(key):
        return key
    below = os.path.relpath(key, folder / DATA)
    return key if below.startswith("..") else _without_extension(below)


def _items(
    folder: Path, key: str, paths: list[str], label: str | None, split: str | None, problem: str
) -> Iterator[Item]:
    name = posixpath.join(storable(split or ""), storable(key)) or "picture"
    if not paths:
        yield Item(name, None, label, split, problem=f"there is no picture {key!r:.200} in {DATA}/")
        return
    if len(paths) > 1:
        label, problem = None, f"several pictures have the name {key!r:.200}, so whose label it is is anybody's guess"
    for path in paths:
        name = posixpath.join(storable(split or ""), storable(path.removeprefix(f"{DATA}/")))
        try:
            yield Item(name, file_inside(folder, path), label, split, problem=problem)
        except LookupError as error:
            yield Item(name, None, label, split, problem=str(error))


def _files(folder: Path) -> dict[str, list[str]]:
    """The pictures in data/, or those that data.json names: key -> paths relative to the folder.

    FiftyOne's key is the path in data/ without its extension.
    """
    files = defaultdict(list)
    if not (folder / DATA).is_dir():
        for key, path in _load(folder / "data.json").items():
            files[_without_extension(key)].append(_inside_or_as_is(path, folder))
        return files
    for root, folders, names in os.walk(folder / DATA):
        folders.sort()
        below = Path(root).relative_to(folder).as_posix()
        for path in (f"{below}/{name}" for name in sorted(names)):
            files[_without_extension(path.removeprefix(f"{DATA}/"))].append(path)
    return files


def _without_extension(path: str) -> str:
    return posixpath.normpath(posixpath.splitext(path)[0])


def _inside_or_as_is(path: object, folder: Path) -> str:
    """A path relative to the folder, also if it was written as absolute; else as it is, for a problem to show."""
    text = path if isinstance(path, str) else repr(path)
    return posixpath.relpath(text, folder) if os.path.isabs(text) and Path(text).is_relative_to(folder) else text


def _label(value: object, classes: list[Any] | None, where: str) -> tuple[str | None, str]:
    """A label and a problem. Raises SourceError for an index that no class has."""
    if isinstance(value, list) and len(value) > 1:
        return None, f"it has {len(value)} labels, not one: {value!r:.200}"
    if isinstance(value, list):
        value = value[0] if value else None
    if isinstance(value, dict):
        value = value.get("label")
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value) if classes is None else _class(value, classes, where)
    if value is None or is_label(value):
        return (None if value is None else str(value)), ""
    return None, f"{value!r:.200} is no label and was left out"


def _class(index: int, classes: list[Any], where: str) -> object:
    if 0 <= index < len(classes):
        return classes[index]
    raise SourceError(
        f"{where} has the class index {index}; there are {len(classes)} classes, 0 to {len(classes) - 1}.",
        "Correct the index or the list of classes.",
    )


# ---- FiftyOneDataset


def _read_samples(folder: Path) -> Iterator[Item]:
    samples = _samples(folder)
    chosen = _field(samples, folder)
    for sample in samples:
        path = sample.get("filepath")
        path = _inside_or_as_is(path, folder) if isinstance(path, str) else ""
        label, problem = _label_in(sample.get(chosen) if chosen else None)
        split, doubt = _split_in(sample.get("tags"))
        problem = "; ".join(one for one in (problem, doubt) if one)
        name = storable(path.removeprefix(f"{DATA}/")) or "picture"
        try:
            yield Item(name, file_inside(folder, path), label, split, problem=problem)
        except LookupError as error:
            yield Item(name, None, label, split, problem=str(error))


def _samples(folder: Path) -> list[dict[str, Any]]:
    single = folder / "samples.json"
    if single.is_file():
        samples = _load(single).get("samples")
    else:
        samples = [_load(file) for file in sorted((folder / "samples").glob("*.json"))]
    if not isinstance(samples, list) or not all(isinstance(sample, dict) for sample in samples):
        raise SourceError(f'{str(single)!r} is no FiftyOneDataset: expected {{"samples": [{{…}}, …]}}.')
    return samples


def _field(samples: list[dict[str, Any]], folder: Path) -> str | None:
    """The field that holds the labels. Raises SourceError when several could."""
    found = Counter(
        name
        for sample in samples
        for name, value in sample.items()
        if isinstance(value, dict) and value.get("_cls") in CLASSIFICATIONS
    )
    known = next((name for name in FIELDS if name in found), None)
    if known is None and len(found) > 1:
        raise SourceError(
            f"{str(folder)!r} has several fields with classifications: {', '.join(sorted(found))}.",
            f"Give the one with the labels the name {FIELDS[0]!r} and export again: "
            f'dataset.rename_sample_field("{min(found)}", "{FIELDS[0]}").',
        )
    return known or next(iter(found), None)


def _label_in(value: object) -> tuple[str | None, str]:
    """The label of a Classification, or of Classifications with one entry."""
    if not isinstance(value, dict):
        return None, ""
    many = value.get("classifications")
    return _label(many if value.get("_cls") == "Classifications" and isinstance(many, list) else value, None, "")


def _split_in(tags: object) -> tuple[str | None, str]:
    """The one tag that is a split's name, and a problem where several are."""
    names = [tag for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else []
    splits = {SPLITS[name.lower()] for name in names if name.lower() in SPLITS}
    if len(splits) > 1:
        return None, f"it is tagged with several splits: {', '.join(sorted(splits))}"
    return next(iter(splits), None), ""


# ---- Reading


def _load(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise SourceError(f"{str(file)!r} can't be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{str(file)!r} is not valid JSON: {error}.", "Export it from FiftyOne again.") from error
    if not isinstance(content, dict):
        raise SourceError(f"{str(file)!r} should hold a JSON object.", "Export it from FiftyOne again.")
    return content


IMPORTER = Importer(
    name="fiftyone",
    summary="classification sets and FiftyOneDatasets",
    recognises=recognises,
    read=read,
    precedence=20,
)
