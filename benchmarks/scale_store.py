"""A store of as many rows as wanted, made without decoding a picture: what tables, versions and indexes cost.

    python benchmarks/scale_store.py FOLDER 1000000        (a folder of files, and FOLDER.curate beside it)

The files are real, of a few bytes and of distinct content, but no pictures: the cache says that they were measured
already, with facts as photographs have them. So `curate clean` on the folder is an unchanged run, `curate verify` and
`curate export` find what they expect, and only what opens pictures (`normalize`, `prelabel`) would not.

What is planted, by the file's number: COPIES have the bytes of another file, DAMAGED could not be decoded, BLANK are
blank. With `thumbnails` every picture has one of its own, so that near copies are looked for as among real pictures.
"""

from __future__ import annotations

import argparse
import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curate.cache import Cache, tasks_and_columns
from curate.checks import Column, FactValue
from curate.images import Measured
from curate.imaging import DECODERS
from curate.pipeline import Cleaned, clean
from curate.project import Project
from scale_planted import CLASSES, row_path

COPY_EVERY = 100  # 1 % have the bytes of the file before them
DAMAGED_EVERY = 200  # 0.5 %
BLANK_EVERY = 20  # 5 %
WRITTEN_NS = 1_700_000_000_000_000_000  # so long ago that size and time settle whether a file has changed
BATCH_ROWS = 50_000  # one part of the cache each: what a run of that size has after it was compacted
THUMBNAIL_PX = 32

# Facts as photographs have them (middle half of 250 of them), by column: the two parameters of a beta distribution,
# scaled to the column's range. A fact that is not named here is uniform.
SHAPES = {
    "sharpness": (4.0, 6.0),
    "chroma": (4.0, 3.0),
    "tonal_range": (12.0, 2.0),
    "overexposure": (1.0, 40.0),
    "underexposure": (1.0, 40.0),
    "luma_p05": (2.0, 12.0),
    "luma_p50": (5.0, 5.0),
    "luma_p99": (14.0, 1.5),
    "clipped_highlights": (0.3, 30.0),
    "clipped_colours": (0.3, 30.0),
    "clipped_shadows": (0.3, 30.0),
}


@dataclass(frozen=True)
class Files:
    """What was written: one entry per file, in the order of their numbers."""

    paths: list[str]
    digests: list[str]
    sizes: list[int]
    inodes: list[int]


def make_store(folder: Path, rows: int, *, store: Path | None = None, thumbnails: bool = False) -> Cleaned:
    """A folder of so many files, and a store with their first version."""
    add_rows(folder, rows, store=store, thumbnails=thumbnails)
    return clean(folder, store=store)


def add_rows(folder: Path, rows: int, *, store: Path | None = None, thumbnails: bool = False, first: int = 0) -> None:
    """Write so many files, and say in the cache that they were measured.

    thumbnails: give each picture one of its own (1 kB a row; near copies are then looked for among all).
    first: the number of the first file, to add to a folder that has files already.
    """
    cache = Cache(Project.at(folder, store).cache)
    for start in range(first, first + rows, BATCH_ROWS):
        numbers = range(start, min(start + BATCH_ROWS, first + rows))
        cache.add(measured(numbers, write_files(folder, numbers), thumbnails=thumbnails))
        cache.flush()


def content_of(number: int) -> bytes:
    """A few bytes, no two files the same but the copies."""
    original = number - CLASSES if is_copy(number) else number  # of the same class, so that labels agree
    return f"picture {original:08d}\n".encode()


def is_copy(number: int) -> bool:
    """Whether a file has the bytes of another one."""
    return number % COPY_EVERY == COPY_EVERY - 1


def is_damaged(number: int) -> bool:
    """Whether a file could not be decoded."""
    return number % DAMAGED_EVERY == 1


def is_blank(number: int) -> bool:
    """Whether a picture is blank."""
    return number % BLANK_EVERY == 5


def write_files(folder: Path, numbers: Sequence[int]) -> Files:
    """The files of these numbers, old enough to be trusted by their time stamps."""
    written = Files([], [], [], [])
    for parent in {os.path.dirname(row_path(number)) for number in numbers}:
        (folder / parent).mkdir(parents=True, exist_ok=True)
    for number in numbers:
        path, content = row_path(number), content_of(number)
        file = os.path.join(folder, path)
        with open(file, "wb", buffering=0) as stream:
            stream.write(content)
            inode = os.fstat(stream.fileno()).st_ino
        os.utime(file, ns=(WRITTEN_NS, WRITTEN_NS))
        written.paths.append(path)
        written.digests.append(hashlib.sha256(content).hexdigest())
        written.sizes.append(len(content))
        written.inodes.append(inode)
    return written


def measured(numbers: Sequence[int], files: Files, *, thumbnails: bool) -> list[Measured]:
    """What reading these files would have told, were they photographs of about 500 x 375 px."""
    tasks = tuple(tasks_and_columns())
    return [
        Measured(
            path,
            tasks,
            digest,
            size,
            WRITTEN_NS,
            inode,
            settled=True,
            read_error=facts["read_error"],  # type: ignore[arg-type]  # "corrupt" or None
            opened=True,
            facts=facts,
        )
        for path, digest, size, inode, facts in zip(
            files.paths, files.digests, files.sizes, files.inodes, facts_of(numbers, thumbnails), strict=True
        )
    ]


def facts_of(numbers: Sequence[int], thumbnails: bool) -> Iterator[dict[str, FactValue]]:
    """One row of facts per number, the same every time."""
    rng = np.random.default_rng(numbers[0])
    columns = [column for columns in tasks_and_columns().values() for column in columns]
    values = {column.name: _values(column, rng, len(numbers)) for column in columns if column.dtype != "binary"}
    pictures = _thumbnails(rng, len(numbers)) if thumbnails else None
    for place, number in enumerate(numbers):
        row = {name: column[place] for name, column in values.items()}
        row["thumbnail"] = None if pictures is None else pictures[place].tobytes()
        yield _as_planted(number, row)


def _as_planted(number: int, row: dict[str, Any]) -> dict[str, FactValue]:
    if is_damaged(number):
        return {"decoder": DECODERS, "read_error": "corrupt", "read_detail": "planted"}
    if is_blank(number):
        return row | {"tonal_range": 0, "chroma": 0.0, "sharpness": None, "thumbnail": row["thumbnail"] and bytes(1024)}
    return row


def _values(column: Column, rng: np.random.Generator, count: int) -> list[FactValue]:
    fixed: dict[str, FactValue] = {
        "format": "JPEG",
        "mode": "RGB",
        "decoder": DECODERS,
        "read_error": None,
        "read_detail": None,
    }
    if column.name in fixed or column.dtype == "string":
        return [fixed.get(column.name)] * count
    drawn: NDArray[Any]
    if column.name in ("width", "height"):
        side = 500 if column.name == "width" else 375
        drawn = rng.integers(side * 9 // 10, side * 11 // 10, count)
    else:
        low, high = column.low or 0.0, column.high if column.high is not None else 1.0
        drawn = low + (high - low) * rng.beta(*SHAPES.get(column.name, (1.0, 1.0)), count)
    types = {"boolean": drawn < (drawn.max() + drawn.min()) / 2, "int64": drawn.round().astype(int)}
    values: list[FactValue] = types.get(column.dtype, drawn).tolist()
    return values


def _thumbnails(rng: np.random.Generator, count: int) -> NDArray[np.uint8]:
    """Smooth random pictures, (N, 32, 32), no two of which pass for one: 8 x 8 values, brought to full size."""
    points = np.linspace(0, 7, THUMBNAIL_PX)
    enlarge = np.maximum(0, 1 - np.abs(points[:, None] - np.arange(8))).astype(np.float32)  # (32, 8)
    coarse = rng.integers(0, 256, (count, 8, 8)).astype(np.float32)
    return np.asarray((enlarge @ coarse @ enlarge.T).round().astype(np.uint8))


def main() -> None:
    """Make one store, and say what it holds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("rows", type=int)
    parser.add_argument("--store", type=Path)
    parser.add_argument("--thumbnails", action="store_true", help="give each picture a thumbnail of its own")
    parser.add_argument("--first", type=int, help="only add files, from this number on, and their facts; no version")
    options = parser.parse_args()
    shown = {"store": options.store, "thumbnails": options.thumbnails}
    if options.first is not None:
        add_rows(options.folder, options.rows, first=options.first, **shown)
        return
    made = make_store(options.folder, options.rows, **shown)
    print(f"{made.project.store}: {len(made.table):,} rows, {made.version.name if made.version else 'no version'}")


if __name__ == "__main__":
    main()
