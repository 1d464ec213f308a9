"""Parquet files with the pictures in them and a dataset card, as `datasets` and the Hugging Face hub read them.

What it writes: `data/train-00000-of-00002.parquet` and so on for each split, with the columns image (bytes and name),
label (a ClassLabel with the true class names; null = none), id, path (in the source), sha256, width, height, split,
repeat and weight, sorted by id; and `README.md`, the card, which names the files of each split. `val` is called
`validation` there, as is usual. Where the version has no splits, all pictures are in `train`; those without a split
beside others are in a split `no_split`. The column split keeps our names.

How to load it:

    from datasets import load_dataset

    data = load_dataset("OUT")  # data["train"].features["label"].names

Limits: A null label is `None` in a row: filter such rows out before training. Characters that the names of splits can't
have there become "_". The card names no licence, as nobody told us any: add one before you publish.

Source: https://huggingface.co/docs/datasets/image_dataset and https://huggingface.co/docs/hub/datasets-cards.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from curate.exporters import Exporter, ExporterSettings, Written
from curate.names import untaken
from curate.progress import Advance
from curate.records import NO_SPLIT, by_split, cut
from curate.release import Picture, Release

if TYPE_CHECKING:
    import pyarrow as pa

SPLITS = {"val": "validation"}  # our name -> theirs, where they differ
# The hub's viewer reads whole row groups. `datasets` wrote groups of 100 pictures before its version 4, and since then
# groups of 100 MB. Ours are smaller where pictures are large, as writer and reader hold each picture several times
# (measured: to write 400 MB of camera pictures took 590 MB of memory in groups of 100 MB, and 210 MB in these).
GROUP_ROWS, GROUP_BYTES = 100, 30_000_000
PAGE_ROWS = 8  # a page ends after so many pictures if it has a megabyte: readers decode pages whole
# Column -> type, after image and label.
FACTS = {
    "id": "int64",
    "path": "string",
    "sha256": "string",
    "width": "int32",
    "height": "int32",
    "split": "string",
    "repeat": "int32",
    "weight": "float64",
}


class Settings(ExporterSettings):
    """How large files are."""

    max_shard_bytes: int = Field(
        500_000_000,
        ge=1,
        description="A new file begins before the pictures of one have more bytes than this. The default is that of "
        "the library `datasets` (MAX_SHARD_SIZE).",
    )


def write(release: Release, out: Path, settings: Settings, advance: Advance) -> Written:
    """Parquet files of each split, and the card."""
    schema = _schema(release.classes)
    names = split_names(release.splits)
    places: dict[str, str] = {}
    splits: dict[str, tuple[int, int]] = {}
    (out / "data").mkdir()
    for split, pictures in by_split(release).items():
        shards = list(cut(pictures, settings.max_shard_bytes))
        size_bytes = 0
        for number, shard in enumerate(shards):
            file = f"data/{names[split]}-{number:05d}-of-{len(shards):05d}.parquet"
            size_bytes += _write_shard(release, shard, out / file, schema, advance)
            places.update({picture.path: f"{file}/{row}" for row, picture in enumerate(shard)})
        splits[names[split]] = (len(pictures), size_bytes)
    (out / "README.md").write_text(_card(release, splits), encoding="utf-8")
    return Written(places)


def split_names(splits: Sequence[str]) -> dict[str | None, str]:
    """Our names of splits -> names that `datasets` allows (letters, digits and "_"), distinct."""
    if not splits:
        return {None: "train"}
    taken: set[str] = set()
    wanted = {split: re.sub(r"\W", "_", SPLITS.get(split, split), flags=re.ASCII) for split in splits}
    names: dict[str | None, str] = {
        split: untaken(name, "2", taken).replace("-", "_") for split, name in wanted.items()
    }
    return {**names, None: untaken(NO_SPLIT, "2", taken).replace("-", "_")}


def _schema(classes: Sequence[str]) -> pa.Schema:
    import pyarrow as pa

    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    columns = [("image", image), ("label", pa.int64()), *((name, getattr(pa, kind)()) for name, kind in FACTS.items())]
    features: dict[str, Any] = {
        "image": {"_type": "Image"},
        "label": {"names": list(classes), "_type": "ClassLabel"} if classes else {"dtype": "int64", "_type": "Value"},
        **{name: {"dtype": kind, "_type": "Value"} for name, kind in FACTS.items()},
    }
    return pa.schema(columns, metadata={"huggingface": json.dumps({"info": {"features": features}})})


def _write_shard(
    release: Release, pictures: Sequence[Picture], target: Path, schema: pa.Schema, advance: Advance
) -> int:
    """One Parquet file, one row group in memory at a time. Returns the bytes of its columns as Arrow counts them."""
    import pyarrow.parquet as pq

    facts = ["label", *FACTS]  # bytes of pictures neither compress nor repeat
    options = {"compression": {"image.bytes": "NONE", "image.path": "ZSTD"} | dict.fromkeys(facts, "ZSTD")}
    size_bytes = 0
    with (
        target.open("wb") as stream,
        pq.ParquetWriter(
            stream, schema, use_dictionary=facts, write_statistics=facts, write_batch_size=PAGE_ROWS, **options
        ) as writer,
    ):
        for group in cut(pictures, GROUP_BYTES, GROUP_ROWS):
            rows = _rows(release, group, schema, advance)
            size_bytes += rows.nbytes
            writer.write_table(rows)
    return size_bytes


def _rows(release: Release, pictures: Sequence[Picture], schema: pa.Schema, advance: Advance) -> pa.Table:
    import pyarrow as pa

    rows: dict[str, list[Any]] = {name: [] for name in schema.names}
    release.expect(pictures)
    for picture in pictures:
        rows["image"].append({"bytes": release.read(picture), "path": picture.name})
        rows["label"].append(picture.label_index)
        for name in FACTS:
            rows[name].append(getattr(picture, name))
        advance(1, size_bytes=picture.size_bytes)
    return pa.table(rows, schema=schema)


# ---- The card


def _card(release: Release, splits: dict[str, tuple[int, int]]) -> str:
    count = sum(examples for examples, _ in splits.values())
    lines = [
        "---",
        "task_categories:",
        "- image-classification",
        f"pretty_name: {_quoted(release.name)}",
        "size_categories:",
        f"- {size_category(count)}",
        "configs:",
        "- config_name: default",
        "  data_files:",
        *(line for split in splits for line in (f"  - split: {split}", f"    path: data/{split}-*.parquet")),
        *_dataset_info(release.classes, splits),
        "---",
        "",
        f"# {release.name}",
        "",
        f"Version {release.version.name} (id {release.version.id}), {count:,} pictures, exported by curate.",
        "",
        "| split | pictures |",
        "|---|---|",
        *(f"| {split} | {examples:,} |" for split, (examples, _) in splits.items()),
        "",
    ]
    return "\n".join(lines)


def _dataset_info(classes: Sequence[str], splits: dict[str, tuple[int, int]]) -> list[str]:
    label = ["    dtype: int64"]
    if classes:
        names = [f"          '{index}': {_quoted(name)}" for index, name in enumerate(classes)]
        label = ["    dtype:", "      class_label:", "        names:", *names]
    return [
        "dataset_info:",
        "  features:",
        "  - name: image",
        "    dtype: image",
        "  - name: label",
        *label,
        *(line for name, kind in FACTS.items() for line in (f"  - name: {name}", f"    dtype: {kind}")),
        "  splits:",
        *(
            line
            for split, (examples, size_bytes) in splits.items()
            for line in (f"  - name: {split}", f"    num_bytes: {size_bytes}", f"    num_examples: {examples}")
        ),
    ]


def _quoted(text: str) -> str:
    """The text as a YAML scalar in double quotes: JSON, with escapes for what YAML lets nobody write as it is."""
    quoted = json.dumps(text, ensure_ascii=False)
    return "".join(char if char.isprintable() else f"\\U{ord(char):08x}" for char in quoted)


def size_category(count: int) -> str:
    """One of the hub's classes of size."""
    limits = {"n<1K": 10**3, "1K<n<10K": 10**4, "10K<n<100K": 10**5, "100K<n<1M": 10**6, "1M<n<10M": 10**7}
    return next((name for name, limit in limits.items() if count < limit), "10M<n<100M")


EXPORTER = Exporter(
    name="huggingface", summary="Parquet with pictures and a card: datasets, the hub", write=write, settings=Settings
)
