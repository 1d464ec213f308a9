"""A folder per class, with or without a folder per split above.

What it reads: `cats/1.jpg`, `train/cats/1.jpg`, and any depth below the class folder. First folders are splits when all
of them are called train, training, val, valid, validation, dev, test, testing, eval, evaluation (or `_no_split`) and
hold folders. `_unlabeled` is no class, and pictures in no folder have none. In one of our own exports, `classes.json`
gives each folder its true class name, and tells splits of other names from classes.

Limits: a folder `photos/cats` in the source makes all pictures `photos`: give the folder that holds the class folders.
Hidden files and folders are skipped, and files that are plainly no pictures (`notes.txt`, `labels.csv`); a list of
labels is the format `table`'s. Links that lead out of the folder are reported, not followed. Classes without pictures
vanish.

Source: https://docs.pytorch.org/vision/stable/generated/torchvision.datasets.ImageFolder.html.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import unquote

from curate.class_lists import folder_labels
from curate.importers import Importer, Item
from curate.paths import to_file_name
from curate.records import NO_SPLIT
from curate.stages.labels import SPLIT_NAMES, UNLABELED
from curate.stages.scan import is_other_file, scan_folder

WITHOUT_SPLIT = f"_{NO_SPLIT}"

Reading = Callable[[Sequence[str]], tuple[str | None, str | None]]  # folders of a picture -> split, label


def recognises(source: Path) -> bool:
    """Any folder: this is what a source is that is nothing else."""
    return source.is_dir()


def read(source: Path) -> Iterator[Item]:
    """Every picture below the folder."""
    scan = scan_folder(source)
    paths = [row.path for row in scan.rows if not is_other_file(row.path)]
    reading = _reading([path.split("/")[:-1] for path in paths], folder_labels(source))
    for path in paths:
        split, label = reading(path.split("/")[:-1])
        yield Item(path, source / to_file_name(path), label, split)
    for path, why in scan.skipped.items():
        yield Item(path, None, problem=why)


def _reading(folders: Sequence[Sequence[str]], labels: Mapping[str, str]) -> Reading:
    """How to read this source's folders. labels: those of classes.json, by folder; {} where there is none."""

    def label_of(folder: str) -> str | None:
        # Only an export of ours escapes names: elsewhere, "100%25" is what somebody has called the class.
        return labels.get(folder, unquote(folder) if labels else folder) if folder != UNLABELED else None

    def split_of(folder: str) -> str | None:
        return None if folder == WITHOUT_SPLIT else unquote(folder) if labels else folder

    if _in_splits(folders, labels):
        return lambda parts: (split_of(parts[0]) if parts else None, label_of(parts[1]) if len(parts) > 1 else None)
    return lambda parts: (None, label_of(parts[0]) if parts else None)


def _in_splits(folders: Sequence[Sequence[str]], labels: Mapping[str, str]) -> bool:
    first = {parts[0] for parts in folders if parts}
    deep = [parts for parts in folders if len(parts) > 1]
    if not labels:
        return bool(deep) and {name.lower() for name in first} <= {*SPLIT_NAMES, WITHOUT_SPLIT}
    known = {*labels, UNLABELED}
    # Classes may be called "train" and "test" too: then every picture lies in a class folder below.
    all_below_splits = len(deep) == len(folders) and all(parts[1] in known for parts in deep)
    return bool(deep) and (all_below_splits or not first <= known)


IMPORTER = Importer(name="folders", summary="a folder per class", recognises=recognises, read=read, precedence=-100)
