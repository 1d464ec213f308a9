"""What exports say of each picture, whatever their format, and how they deal pictures out.

Pictures leave in the order of their ids. An id is a digest of the path, so that is a shuffled order, and yet the same
every time: whoever reads only the beginning of a file, as streaming readers and viewers do, meets every class.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate.files import replacing, write_parquet
from curate.progress import Advance
from curate.release import Picture, Release

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

NO_SPLIT = "no_split"  # beside named splits: where pictures without one go; no reader takes that word for a split

# Column -> Arrow type and meaning, in the order of the files. The types never depend on the data.
COLUMNS: dict[str, tuple[str, str]] = {
    "id": ("int64", "the same for the same path in every version, below 2^53"),
    "path": ("string", "the picture's file, relative to this table's folder"),
    "source_path": ("string", "its file in the folder of images"),
    "sha256": ("string", "digest of the file's bytes"),
    "format": ("string", "JPEG, PNG, WEBP, …: what the bytes are"),
    "width": ("int64", "pixels, upright"),
    "height": ("int64", "pixels, upright"),
    "size_bytes": ("int64", "of the file"),
    "split": ("string", "train, val, test or another; empty = none"),
    "label": ("string", "the class; empty = none"),
    "label_index": ("int64", "its place among the sorted classes, as in classes.json"),
    "label_source": ("string", "source: as found, person: a reviewer gave or confirmed it, model: taken from a model"),
    "given_label": ("string", "the label that the source gave"),
    "pred_label": ("string", "the model's guess, if one was asked"),
    "pred_confidence": ("float64", "how sure it is of that guess, 0 to 1"),
    "label_quality": ("float64", "how much the model agrees with the given label, 0 surely wrong to 1 surely right"),
    "status": (
        "string",
        "reviewed: a person has looked at it, flagged: a check has a doubt and nobody has, ok: neither",
    ),
    "flags": ("string", "the checks that flagged it, joined by ;"),
    "repeat": ("int64", "how often training sees it"),
    "weight": ("float64", "of its loss"),
    "version": ("string", "the version it was exported from"),
}


def put_images(release: Release, out: Path, advance: Advance) -> dict[str, str]:
    """Make a file of every picture below `out`/images; path of each -> where it is."""
    places = {}
    for picture in release.pictures:
        places[picture.path] = f"images/{picture.name}"
        release.put(picture, out / places[picture.path])
        advance(1, size_bytes=picture.size_bytes)
    return places


def records(release: Release, places: Mapping[str, str]) -> pa.Table:
    """COLUMNS, one row per picture, sorted by id."""
    import pyarrow as pa

    pictures = sorted(release.pictures, key=lambda picture: picture.id)
    columns = _of_pictures(release, pictures, places) | _of_table(release.table, pictures)
    types = {name: getattr(pa, kind)() for name, (kind, _) in COLUMNS.items()}
    return pa.table([pa.array(columns[name], kind) for name, kind in types.items()], schema=pa.schema(types.items()))


def _of_pictures(release: Release, pictures: Sequence[Picture], places: Mapping[str, str]) -> dict[str, list[Any]]:
    own = "id sha256 format width height size_bytes split label label_index repeat weight".split()
    return {
        **{name: [getattr(picture, name) for picture in pictures] for name in own},
        "path": [places[picture.path] for picture in pictures],
        "source_path": [picture.path for picture in pictures],
        "version": [release.version.name] * len(pictures),
    }


def _of_table(table: pd.DataFrame, pictures: Sequence[Picture]) -> dict[str, list[Any]]:
    """Columns that only the manifest has; those of stages that have not run are empty."""
    rows = table.set_index("path").loc[[picture.path for picture in pictures]]
    wanted = "label reviewed flags pred_label pred_confidence label_quality".split()
    values = {name: _or_none(rows[name]) if name in rows else [None] * len(rows) for name in wanted}
    labels = [picture.label for picture in pictures]
    return {
        "given_label": values.pop("label"),
        "label_source": [_label_source(*one) for one in zip(labels, values["reviewed"], strict=True)],
        "status": [_status(*one) for one in zip(values.pop("reviewed"), values["flags"], strict=True)],
        **values,
    }


def write_manifest(release: Release, places: Mapping[str, str], draft: Path) -> None:
    """manifest.csv and manifest.parquet: the whole table, and where each picture is (`exported_path`)."""
    import pyarrow as pa

    table: pd.DataFrame = release.table.assign(exported_path=release.table["path"].map(places).astype("str"))
    with replacing(draft / "manifest.csv") as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n")
    write_parquet(draft / "manifest.parquet", pa.Table.from_pandas(table, preserve_index=False))


def label_sources(release: Release) -> dict[str, int]:
    """Who gave the labels that leave: "source", "person" (gave or confirmed it) or "model" -> pictures."""
    from collections import Counter

    reviewed = dict(zip(release.table["path"], _or_none(release.table["reviewed"]), strict=True))
    given = Counter(_label_source(picture.label, reviewed[picture.path]) for picture in release.pictures)
    return {source: number for source, number in given.most_common() if source is not None}


def _or_none(column: pd.Series[Any]) -> list[Any]:
    return column.astype("object").where(column.notna(), None).tolist()


def _label_source(label: str | None, reviewed: str | None) -> str | None:
    if label is None:
        return None
    return {"keep": "person", "relabel": "person", "accept": "model"}.get(reviewed or "", "source")


def _status(reviewed: str | None, flags: str | None) -> str:
    if reviewed in ("keep", "relabel"):
        return "reviewed"
    return "flagged" if flags else "ok"


def by_split(release: Release) -> dict[str | None, list[Picture]]:
    """The pictures of each split, sorted by id; train, val, test first, those without a split (None) last."""
    groups: dict[str | None, list[Picture]] = {split: [] for split in [*release.splits, None]}
    for picture in sorted(release.pictures, key=lambda one: one.id):
        groups[picture.split].append(picture)
    return {split: pictures for split, pictures in groups.items() if pictures}


def cut(pictures: Sequence[Picture], max_bytes: int, max_count: int | None = None) -> Iterator[list[Picture]]:
    """Runs of pictures whose files together have no more than so many bytes; a larger picture is a run of its own."""
    run: list[Picture] = []
    size = 0
    for picture in pictures:
        if run and (size + picture.size_bytes > max_bytes or len(run) == max_count):
            yield run
            run, size = [], 0
        run.append(picture)
        size += picture.size_bytes
    if run:
        yield run
