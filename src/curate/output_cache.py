"""What `curate normalize` has made, by content of the source and by transform; disposable.

One folder per transform holds small Parquet files, one per flush, so that a killed run keeps what it had; they are
merged as they become many. The pictures themselves are objects of the store. A row whose object is gone or has another
size does not count. Every page carries a checksum: a damaged file is removed, and what was in it is made again.
"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from curate.files import read_or_remove, remove_temporary, replacing

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

MOST_SMALL = 64  # more small files than this are merged: at one flush per second, once a minute
SMALL_BYTES = 8_000_000  # some 80,000 rows

# Sums of the values 0 to 255 of all pixels, and of their squares, per channel: exact.
SUMS = ("sum_red", "sum_green", "sum_blue")
SQUARES = ("squares_red", "squares_green", "squares_blue")
TYPES = {
    "sha256": "str",
    "output_sha256": "str",
    "output_width": "int64",
    "output_height": "int64",
    "output_size_bytes": "int64",
    "output_format": "str",
    **dict.fromkeys((*SUMS, *SQUARES), "int64"),
    "note": "str",
}


@dataclass(frozen=True)
class OutputCache:
    """The outputs of one transform, in files of one folder. objects: where the store keeps bytes by content."""

    folder: Path
    objects: Path

    def append(self, rows: Sequence[dict[str, Any]]) -> None:
        """Add rows with the columns TYPES, atomically; not durable. Raises StoreError when they can't be written."""
        import pyarrow as pa

        self._write(pa.Table.from_pylist(list(rows), schema=_schema()))

    def read(self, sha256: Collection[str]) -> pd.DataFrame:
        """The rows of these contents whose object is there, one per content, indexed by sha256."""
        rows = self._rows("sha256", sha256)
        sizes = zip(rows["output_sha256"], rows["output_size_bytes"], strict=True)
        there = [_has_size(self.objects / one[:2] / one[2:], size) for one, size in sizes]
        return rows[np.array(there, bool)].set_index("sha256")

    def read_outputs(self, output_sha256: Collection[str]) -> pd.DataFrame:
        """What is known of these outputs, one row each, indexed by output_sha256; whether they are there or not."""
        return self._rows("output_sha256", output_sha256).set_index("output_sha256")

    def _rows(self, column: str, values: Collection[str]) -> pd.DataFrame:
        """The rows with these values in a column, the newest one for each."""
        import pyarrow as pa
        import pyarrow.compute as pc

        wanted = pa.array(sorted(values), pa.string())
        parts = [part for part in (read_or_remove(path, _schema()) for path in self.paths()) if part is not None]
        parts = [part.filter(pc.is_in(part.column(column), wanted)) for part in parts]
        rows: pd.DataFrame = pa.concat_tables([_schema().empty_table(), *parts]).to_pandas()
        return rows.astype(TYPES).drop_duplicates(column, keep="last")

    def compact(self) -> None:
        """Merge the small files when there are many. A kill in between leaves rows twice, which does no harm."""
        import pyarrow as pa

        small = [path for path in self.paths() if path.stat().st_size < SMALL_BYTES]
        if len(small) <= MOST_SMALL:
            return
        parts = [part for part in (read_or_remove(path, _schema()) for path in small) if part is not None]
        if parts:
            self._write(pa.concat_tables(parts))
        for path in small:
            path.unlink(missing_ok=True)

    def paths(self) -> list[Path]:
        """The files, oldest first."""
        return sorted(self.folder.glob("outputs-*.parquet"))

    def remove_leftovers(self) -> None:
        """Remove what killed runs left half written. The caller knows that nobody writes there now."""
        remove_temporary(self.folder)

    def _write(self, table: pa.Table) -> None:
        import pyarrow.parquet as pq

        target = self.folder / f"outputs-{time.time_ns():020d}-{uuid.uuid4().hex[:8]}.parquet"
        with replacing(target, durable=False) as temporary, temporary.open("wb") as stream:
            pq.write_table(table, stream, compression="zstd", write_page_checksum=True)


def _schema() -> pa.Schema:
    import pyarrow as pa

    types = {"str": pa.string(), "int64": pa.int64()}
    return pa.schema([pa.field(name, types[kind]) for name, kind in TYPES.items()])


def _has_size(file: Path, size_bytes: int) -> bool:
    try:
        return os.stat(file).st_size == size_bytes
    except OSError:
        return False
