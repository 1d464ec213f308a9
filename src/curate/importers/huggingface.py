"""Parquet files with the pictures in them, as Hugging Face `datasets` writes them and the hub stores them.

What it reads: a Parquet file, or a folder of them. The picture is the column that the file calls an Image, else one of
bytes; the label is the column label, class, category or class_name, else the first that the file calls a ClassLabel,
else labels, fine_label or target. Class names come from the file or from the card (`README.md`); -1 is no label.
The split is in the column split, if there is one, else as the card names the files (`configs`), else in their names:
`data/train-00000-of-00002.parquet`, `train/0000.parquet`.

Limits: of a card with several configurations, the one called default is read, or marked so; give the folder of another
one. Of several columns with pictures, the first is read. Pictures that are only named, not included, are looked for in
the folder, never downloaded. For a folder of pictures with `metadata.csv`, see `table`. Scripts are never run.

Source: https://huggingface.co/docs/datasets/image_dataset and https://huggingface.co/docs/hub/datasets-manual-configuration.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate.class_lists import class_name
from curate.errors import SourceError, UnreadableImage
from curate.importers import Importer, Item
from curate.inside import file_inside
from curate.stages.labels import LABEL_COLUMNS, SPLIT_NAMES, UNLABELED

if TYPE_CHECKING:
    import pyarrow as pa

OTHER_LABEL_COLUMNS = ("labels", "fine_label", "target")  # beans, CIFAR-100, scikit-learn's habit
SPLIT_COLUMN = "split"
NOT_DATA = ("manifest.parquet", "metadata.parquet", "data.parquet")  # of our exports, and of image folders
# With a buffer and without `pre_buffer`, pages are read as they are needed, not whole row groups (and kept for ever).
BUFFER_BYTES = 1_000_000
ROWS = 8  # read at once: pictures of some megabytes stay within memory
_MAX_CARD_BYTES = 10_000_000
_CARD = re.compile(r"---\s*\n(.*?)\n---\s*(\n|\Z)", re.DOTALL)
_SHARD = re.compile(r"(.+)-\d{5}-of-\d{5}(-[0-9a-f]+)?")
_EXTENSIONS = {"JPEG": ".jpg", "TIFF": ".tif", "JPEG2000": ".jp2"}


@dataclass(frozen=True)
class Layout:
    """Which columns of a file hold what. classes: of the label, by index; () where labels are names."""

    image: str
    label: str | None
    classes: tuple[str, ...]
    split: str | None


def recognises(source: Path) -> bool:
    """Whether it is a Parquet file with a column of pictures, or a folder that holds one."""
    try:
        files = [source] if source.is_file() else _parquet_files(source)[:3]
        return any(_layout(file, {}) is not None for file in files if file.suffix.lower() == ".parquet")
    except SourceError:
        return False


def read(source: Path) -> Iterator[Item]:
    """Every row of every file, a few in memory at a time."""
    card = _card(source) if source.is_dir() else {}
    files = _files_of_card(source, card) if source.is_dir() else {}
    if not files:
        files = {file: _split_of(file) for file in ([source] if source.is_file() else _parquet_files(source))}
    found = False
    for file, split in files.items():
        layout = _layout(file, card)
        if layout is not None:
            found = True
            yield from _items(file, layout, split, source if source.is_dir() else source.parent)
    if not found:
        raise SourceError(
            f"{str(source)!r} holds no Parquet file with pictures in it.",
            "For a table that names picture files, give --format table.",
        )


def class_names(file: Path, column: str) -> list[str]:
    """The class names that a Parquet file has for a column of indices (a ClassLabel); [] if it has none."""
    names = _features(_schema_of(file)).get(column, {}).get("names")
    return names if isinstance(names, list) and all(isinstance(name, str) for name in names) else []


def _parquet_files(folder: Path) -> list[Path]:
    """Files at most three folders deep: default/train/0000.parquet is the deepest that the hub makes."""
    found = chain.from_iterable(folder.glob(f"{'*/' * depth}*.parquet") for depth in range(4))
    return sorted(file for file in found if file.name not in NOT_DATA and _is_inside(folder, file))


def _is_inside(folder: Path, file: Path) -> bool:
    try:
        return bool(file_inside(folder, file.relative_to(folder).as_posix()))
    except LookupError:
        return False


# ---- Columns


def _schema_of(file: Path) -> pa.Schema:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with file.open("rb") as stream:
            return pq.read_schema(stream)
    except (pa.ArrowException, OSError) as error:
        raise SourceError(f"{str(file)!r} can't be read: {error}.") from error


def _features(schema: pa.Schema) -> dict[str, dict[str, Any]]:
    """What `datasets` has noted of each column: {"label": {"_type": "ClassLabel", "names": […]}}."""
    try:
        noted = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))["info"]["features"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}
    return {name: one for name, one in noted.items() if isinstance(one, dict)} if isinstance(noted, dict) else {}


def _layout(file: Path, card: Mapping[str, Any]) -> Layout | None:
    """None for a file without pictures."""
    schema = _schema_of(file)
    features = _features_of_card(card) | _features(schema)
    images = [name for name in schema.names if _may_be_image(schema.field(name).type, features.get(name, {}))]
    if not images:
        return None
    labels = [name for name in LABEL_COLUMNS if name in schema.names]
    labels += [name for name in schema.names if features.get(name, {}).get("_type") == "ClassLabel"]
    labels += [name for name in OTHER_LABEL_COLUMNS if name in schema.names]
    label = labels[0] if labels else None
    names = features.get(label or "", {}).get("names")
    classes = tuple(map(str, names)) if isinstance(names, list) else ()
    # The first: declared images before others, as both keep the order of the file.
    declared = [name for name in images if features.get(name, {}).get("_type") == "Image"]
    return Layout((declared or images)[0], label, classes, SPLIT_COLUMN if SPLIT_COLUMN in schema.names else None)


def _may_be_image(kind: pa.DataType, feature: Mapping[str, Any]) -> bool:
    import pyarrow.types as types

    if types.is_struct(kind):
        return any(kind.field(place).name == "bytes" for place in range(kind.num_fields))
    return types.is_binary(kind) or types.is_large_binary(kind) or feature.get("_type") == "Image"


# ---- The card


def _card(folder: Path) -> dict[str, Any]:
    """What stands between the lines "---" of README.md; {} if nothing does."""
    import yaml

    try:
        file = file_inside(folder, "README.md")
        with file.open("rb") as stream:
            text = stream.read(_MAX_CARD_BYTES).decode("utf-8-sig", "replace").replace("\r\n", "\n")
        match = _CARD.match(text)
        value = yaml.safe_load(match[1]) if match else {}
    except (LookupError, OSError, yaml.YAMLError, RecursionError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _features_of_card(card: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """`dataset_info.features` in the spelling of the files: only images and class labels."""
    infos = _list(card.get("dataset_info"))
    features = [one for info in infos if isinstance(info, dict) for one in _list(info.get("features"))]
    found: dict[str, dict[str, Any]] = {}
    for one in features:
        kind = one.get("dtype") if isinstance(one, dict) else None
        names = kind.get("class_label", {}).get("names") if isinstance(kind, dict) else None
        if isinstance(names, dict):  # {'0': cat, '1': dog}
            found[str(one.get("name"))] = {"_type": "ClassLabel", "names": [str(name) for name in names.values()]}
        elif kind == "image":
            found[str(one.get("name"))] = {"_type": "Image"}
    return found


def _files_of_card(folder: Path, card: Mapping[str, Any]) -> dict[Path, str | None]:
    """File -> split, as the card's `configs` say; {} where they say nothing of Parquet files."""
    config = _config(card, folder)
    files: dict[Path, str | None] = {}
    for split, pattern in _patterns(config.get("data_files")):
        if pattern.startswith("/") or ".." in pattern.split("/") or "://" in pattern:
            raise SourceError(f"The card {str(folder / 'README.md')!r} names {pattern!r}, which is not in the folder.")
        for file in sorted(folder.glob(pattern)):
            if file.suffix == ".parquet" and _is_inside(folder, file):
                files[file] = split
    return files


def _config(card: Mapping[str, Any], folder: Path) -> Mapping[str, Any]:
    configs = [one for one in _list(card.get("configs")) if isinstance(one, dict)]
    chosen = [one for one in configs if one.get("default") is True or one.get("config_name") == "default"]
    if len(configs) > 1 and not chosen:
        names = ", ".join(str(one.get("config_name")) for one in configs)
        raise SourceError(
            f"{str(folder)!r} holds several configurations: {names}.", "Give the folder, or the files, of one of them."
        )
    return (chosen or configs or [{}])[0]


def _patterns(data_files: Any) -> Iterator[tuple[str | None, str]]:
    """Split and glob pattern of each entry, of all ways to write them."""
    if isinstance(data_files, dict):
        data_files = [{"split": split, "path": path} for split, path in data_files.items()]
    for one in _list(data_files):
        split, paths = (one.get("split"), one.get("path")) if isinstance(one, dict) else (None, one)
        for path in _list(paths):
            if isinstance(path, str) and path:
                yield str(split) if split else None, path


def _list(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _split_of(file: Path) -> str | None:
    """train of data/train-00000-of-00002.parquet, train/0000.parquet and train.parquet."""
    match = _SHARD.fullmatch(file.stem)
    if match:
        return match[1]
    words = (re.split(r"[-._ ]", file.stem)[0], file.parent.name)
    return next((word for word in words if word.lower() in SPLIT_NAMES), None)


# ---- Rows


def _items(file: Path, layout: Layout, split: str | None, root: Path) -> Iterator[Item]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = [name for name in (layout.image, layout.label, layout.split) if name is not None]
    first = 0
    try:
        with file.open("rb") as stream, pq.ParquetFile(stream, buffer_size=BUFFER_BYTES, pre_buffer=False) as table:
            for batch in table.iter_batches(ROWS, columns=columns, use_threads=False):
                yield from _items_of(batch, first, file, layout, split, root)
                first += batch.num_rows
    except (pa.ArrowException, OSError) as error:
        raise SourceError(f"{str(file)!r} is damaged: {error}.") from error


def _items_of(
    batch: pa.RecordBatch, first: int, file: Path, layout: Layout, split: str | None, root: Path
) -> Iterator[Item]:
    images = batch.column(layout.image).to_pylist()
    labels = batch.column(layout.label).to_pylist() if layout.label else [None] * len(images)
    splits = batch.column(layout.split).to_pylist() if layout.split else [split] * len(images)
    for row, (image, label, given) in enumerate(zip(images, labels, splits, strict=True), start=first):
        where = f"{str(file)!r}, row {row},"
        item = _picture(image, f"{file.stem}/{row:08d}", root)
        yield replace(
            item, label=_label(label, layout, where), split=given if isinstance(given, str) and given else None
        )


def _picture(image: Any, stem: str, root: Path) -> Item:
    """The picture of a row, called as the row calls it, else after its place."""
    data, path = (image.get("bytes"), image.get("path")) if isinstance(image, dict) else (image, None)
    named_so = path if isinstance(path, str) and path else None
    if isinstance(data, str):  # a column of paths
        data, named_so = None, data
    if isinstance(data, bytes):
        return Item(named_so or stem + _extension(data), data)
    if named_so is None:
        return Item(stem, None, problem="the row has no picture")
    try:
        return Item(named_so, file_inside(root, named_so))
    except LookupError as problem:
        return Item(named_so, None, problem=str(problem))


def _extension(data: bytes) -> str:
    from curate.imaging import format_of

    try:
        found = format_of(data)
    except UnreadableImage:
        return ""
    return _EXTENSIONS.get(found, f".{found.lower()}")


def _label(value: Any, layout: Layout, where: str) -> str | None:
    """The label of a row as text. Raises SourceError for one that is no text and no whole number."""
    if value is None or value in ("", UNLABELED, -1):
        return None
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise SourceError(f"{where} has the label {str(value)[:80]!r}: expected a text or a whole number.")
    if isinstance(value, int) and layout.classes:
        return class_name(value, layout.classes, where)
    return str(value)


IMPORTER = Importer(
    name="huggingface",
    summary="Parquet with pictures: datasets, the hub",
    recognises=recognises,
    read=read,
    precedence=20,
)
