"""Vectors by content, on disk; disposable.

One folder per backbone holds small Parquet files, one per flush, so that a killed run keeps what it had. They are
merged as they become many. What is kept of a vector are its bytes, which read three times as fast as lists of
numbers do. Every page carries a checksum: a damaged file is removed, and what was in it is computed again.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from curate.files import remove_temporary, replacing

if TYPE_CHECKING:
    import pyarrow as pa

Floats = NDArray[np.float32]

MOST_SMALL = 64  # more small files than this are merged: at one flush per second, once a minute
SMALL_BYTES = 8_000_000  # bounds the memory of reading and merging; 100,000 vectors of 1280 numbers make some 50 files


@dataclass(frozen=True)
class VectorCache:
    """The vectors of one backbone, each of so many dimensions, in files of one folder."""

    folder: Path
    dimensions: int

    def append(self, sha256: Sequence[str], vectors: Floats) -> None:
        """Add vectors, (N, D), atomically; not durable: after a power cut they may be computed again.

        Raises StoreError when they can't be written.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        data = pa.py_buffer(np.ascontiguousarray(vectors, np.float32))
        column = pa.FixedSizeBinaryArray.from_buffers(self._schema.field("vector").type, len(sha256), [None, data])
        table = pa.Table.from_arrays([pa.array(sha256, pa.string()), column], schema=self._schema)
        target = self.folder / f"vectors-{time.time_ns():020d}-{uuid.uuid4().hex[:8]}.parquet"
        with replacing(target, durable=False) as temporary, temporary.open("wb") as stream:
            pq.write_table(table, stream, compression="zstd", use_dictionary=False, write_page_checksum=True)

    def known(self) -> set[str]:
        """The contents that have a vector; reads only their names."""
        return {name for path in self.paths() for name in self._column(path, "sha256").to_pylist()}

    def read(self, sha256: Sequence[str]) -> Floats | None:
        """The vectors of these contents, (N, D), in their order; None if one of them is not, or no longer, there.

        Needs the memory of the result and of one file.
        """
        vectors = np.empty((len(sha256), self.dimensions), np.float32)
        place = {name: row for row, name in enumerate(sha256)}
        missing = np.ones(len(sha256), bool)
        for path in self.paths():
            for names, some in self._batches(path):
                rows = np.array([place.get(name, -1) for name in names], np.int64)
                vectors[rows[rows >= 0]] = some[rows >= 0]
                missing[rows[rows >= 0]] = False
        return None if missing.any() else vectors

    def compact(self) -> None:
        """Merge the small files when there are many. A kill in between leaves vectors twice, which does no harm."""
        small = [path for path in self.paths() if path.stat().st_size < SMALL_BYTES]
        if len(small) <= MOST_SMALL:
            return
        while small:
            some = [small.pop()]
            while small and sum(path.stat().st_size for path in some) < SMALL_BYTES:
                some.append(small.pop())
            batches = [batch for path in some for batch in self._batches(path)]
            if batches:
                self.append([name for names, _ in batches for name in names], np.concatenate([v for _, v in batches]))
            for path in some:
                path.unlink(missing_ok=True)

    def paths(self) -> list[Path]:
        """The files, oldest first."""
        return sorted(self.folder.glob("vectors-*.parquet"))

    def remove_leftovers(self) -> None:
        """Remove what killed runs left half written. The caller knows that nobody writes there now."""
        remove_temporary(self.folder)

    @property
    def _schema(self) -> pa.Schema:
        import pyarrow as pa

        vector = pa.field("vector", pa.binary(4 * self.dimensions), nullable=False)
        return pa.schema([pa.field("sha256", pa.string(), nullable=False), vector])

    def _batches(self, path: Path) -> Iterator[tuple[list[str], Floats]]:
        """Names and vectors of one file; nothing if it is damaged."""
        names = self._column(path, "sha256").to_pylist()
        start = 0
        for chunk in self._column(path, "vector").chunks:
            count, offset = len(chunk) * self.dimensions, chunk.offset * self.dimensions * 4
            numbers = np.frombuffer(chunk.buffers()[1], np.float32, count, offset)
            yield names[start : start + len(chunk)], numbers.reshape(len(chunk), self.dimensions)
            start += len(chunk)

    def _column(self, path: Path, name: str) -> pa.ChunkedArray:
        """One column of a file. A damaged file is removed, and its column is empty."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        field = self._schema.field(name)
        try:
            with path.open("rb") as stream:
                table = pq.read_table(stream, columns=[name], page_checksum_verification=True)
            column = table.column(name)
            if column.type == field.type:
                return column
        except (pa.ArrowException, OSError, KeyError):
            pass
        with suppress(OSError):  # a reader who may not write leaves that to the next run
            path.unlink(missing_ok=True)
        return pa.chunked_array([], field.type)
