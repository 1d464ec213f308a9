"""A list of pictures with their labels: CSV, TSV, JSONL or Parquet.

What it reads: a file, or a folder with `data.csv` or `data.parquet` (as the formats `csv` and `parquet` write them), or
with `metadata.csv`, `.jsonl` or `.parquet` in it or in its folders (Hugging Face's image folders). Columns: the path
(path, file_name, filename, file or image), relative to the list's folder; the label (label, class, category or
class_name); if you like, the split (split or subset). Labels that are numbers become names where the Parquet file has
them (ClassLabel) or a list does (`classes.json`, or `classes.txt`, `labels.txt` or `names.txt` with a name per line);
else "3" is the class.

Limits: pictures that a folder holds but its list does not name are not taken over; they are reported, and so are paths
that lead out of the list's folder. A list without labels is refused, except `metadata.*`, which may have captions only,
and one with two labels for a path. Columns of a Hugging Face image folder for a second picture (`mask_file_name`) are
not read.

Source: https://huggingface.co/docs/datasets/image_dataset#imagefolder for metadata files.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from curate.class_lists import class_name, named, read_classes
from curate.errors import SourceError
from curate.importers import Importer, Item
from curate.importers.huggingface import class_names
from curate.inside import file_inside
from curate.paths import to_text
from curate.stages.labels import (
    LABEL_COLUMNS,
    PATH_COLUMNS,
    SPLIT_COLUMNS,
    SPLIT_NAMES,
    UNLABELED,
    find_column,
    read_rows,
)
from curate.stages.scan import looks_like_image_name, scan_folder

if TYPE_CHECKING:
    import pandas as pd

SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")
DATA = ("data.parquet", "data.csv")
METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")


def recognises(source: Path) -> bool:
    """Whether it is such a file, or a folder with one of the names that lists have."""
    return source.suffix.lower() in SUFFIXES if source.is_file() else bool(_lists_in(source))


def read(source: Path) -> Iterator[Item]:
    """Every picture that the list names, or the lists of a folder."""
    if not source.is_dir():
        yield from _items(source, source.parent)
        return
    lists = _lists_in(source)
    if not lists:
        raise SourceError(
            f"{str(source)!r} has no list of labels: expected {', '.join(DATA + METADATA)}.",
            "Give the file itself, whatever its name.",
        )
    named_paths = set()
    for file in lists:
        for item in _items(file, source):
            named_paths.add(item.name)
            yield item
    yield from _unnamed(source, named_paths)


def _lists_in(folder: Path) -> list[Path]:
    """data.* in the folder, else every metadata.* in it or at most two folders below."""
    data = [folder / name for name in DATA if (folder / name).is_file()]
    if data or not folder.is_dir():
        return data[:1]
    found = chain.from_iterable(folder.glob(pattern + name) for pattern in ("", "*/", "*/*/") for name in METADATA)
    return sorted(file for file in found if file.is_file())


def _items(file: Path, root: Path) -> Iterator[Item]:
    """The rows of one list. root: the folder of the whole data set, which names are relative to."""
    rows = read_rows(file)
    paths = _texts(rows, find_column(rows, PATH_COLUMNS, file), file)
    told: dict[str, tuple[str | None, str | None]] = {}
    for path, label, split in zip(paths, _labels(rows, file), _splits(rows, file, root), strict=True):
        item = _item(file.parent, path or "", root, None if label == UNLABELED else label, split)
        if item.name not in told:
            told[item.name] = (item.label, item.split)
            yield item
        elif told[item.name] != (item.label, item.split):
            raise SourceError(
                f"{str(file)!r} gives {item.name!r} two different labels or splits: {_words(*told[item.name])} and "
                f"{_words(item.label, item.split)}.",
                "Leave one label and one split per path.",
            )


def _words(label: str | None, split: str | None) -> str:
    return f"{label!r} in {split!r}" if split else repr(label)


def _item(folder: Path, named_path: str, root: Path, label: str | None, split: str | None) -> Item:
    """The picture of a row; paths written on Windows are understood."""
    try:
        return _item_at(folder, named_path, root, label, split)
    except LookupError as problem:
        if "\\" in named_path:
            with suppress(LookupError):
                return _item_at(folder, named_path.replace("\\", "/"), root, label, split)
        return Item(named_path, None, label, split, problem=str(problem))


def _item_at(folder: Path, path: str, root: Path, label: str | None, split: str | None) -> Item:
    file = file_inside(folder, path)
    return Item(to_text(file.relative_to(root).as_posix()), file, label, split)


def _labels(rows: pd.DataFrame, file: Path) -> list[str | None]:
    """The label of each row; indices as names, where a list of classes says them."""
    if file.name in METADATA and not set(LABEL_COLUMNS) & set(rows.columns):
        return [None] * len(rows)
    column = find_column(rows, LABEL_COLUMNS, file)
    labels = _texts(rows, column, file)
    declared = class_names(file, column) if file.suffix.lower() == ".parquet" else []
    if declared:  # the numbers are indices for certain, whatever the names look like
        return [None if label is None else class_name(int(label), declared, repr(str(file))) for label in labels]
    return named(labels, read_classes(file.parent), repr(str(file)))


def _splits(rows: pd.DataFrame, file: Path, root: Path) -> list[str | None]:
    """The split column; in folders like train/metadata.csv, the folder's name where it is one of a split."""
    column = next((name for name in SPLIT_COLUMNS if name in rows.columns), None)
    if column is not None:
        return _texts(rows, column, file)
    above = file.parent.relative_to(root).parts[:1]
    return [above[0] if above and above[0].lower() in SPLIT_NAMES else None] * len(rows)


def _texts(rows: pd.DataFrame, column: str, file: Path) -> list[str | None]:
    """The values of a column as texts; None where there is none. Raises SourceError for lists and objects."""
    import pandas as pd

    values: list[str | None] = []
    for number, value in enumerate(rows[column].tolist(), start=1):
        if not pd.api.types.is_scalar(value):
            raise SourceError(f"Row {number} of {str(file)!r} has {str(value)[:80]} as {column}: expected one value.")
        values.append(None if pd.isna(value) or value == "" else str(value))
    return values


def _unnamed(folder: Path, known: set[str]) -> Iterator[Item]:
    scan = scan_folder(folder)
    for row in scan.rows:
        if row.path not in known and looks_like_image_name(row.path):
            yield Item(row.path, None, problem="it is in the folder, but no row names it")


IMPORTER = Importer(
    name="table", summary="pictures listed in CSV, JSONL or Parquet", recognises=recognises, read=read, precedence=-50
)
