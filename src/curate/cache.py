"""What was measured, by content; disposable.

`Parts` is a table that grows by small Parquet files, one per flush, so that a killed run keeps what it had. Three
of them make the cache: `facts` (one row per content and set of tasks), `pixels` (their binary facts, a thousand bytes
each, which only new pictures need) and `seen` (one row per file: which content it had when it was last read).
Everything in here can be deleted; the next run measures again.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from curate.checks import Column, all_checks
from curate.content_keys import Keys, content_keys
from curate.files import read_parquet, write_parquet
from curate.images import DECODE, Measured
from curate.imaging import DECODERS

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

Ints = NDArray[np.int64]

FLUSH_ROWS = 2048
FLUSH_SECONDS = 1.0  # what a kill can cost
COMPACT_PARTS = 16  # more small files than this are merged at the end of a run
SMALL_PART_BYTES = 32_000_000

DECODED: tuple[Column, ...] = (
    Column("format", "string", "file format as found in the bytes (JPEG, PNG, …); NA if unreadable"),
    Column("width", "int64", "width in px, after EXIF rotation; NA if unreadable", 1),
    Column("height", "int64", "height in px, after EXIF rotation; NA if unreadable", 1),
    Column("mode", "string", "pixel mode of the file in Pillow's words (RGB, L, P, CMYK, I;16, …)"),
    Column("decoder", "string", "library and version that decoded the picture"),
    Column("read_error", "string", "why the file can't be read, one word; NA if it can"),
    Column("read_detail", "string", "what the decoder said of it"),
)
_KEY = Column("sha256", "string", "digest of the content")
_FAILURES = Column("failures", "string", "tasks that raised an error, ;-joined")


def binary_columns() -> list[Column]:
    """The facts that are kept beside the table."""
    return [column for columns in tasks_and_columns().values() for column in columns if column.dtype == "binary"]


def tasks_and_columns() -> dict[str, tuple[Column, ...]]:
    """Every measurement by its cache key, with the columns it writes; the decoding itself comes first."""
    return {DECODE: DECODED} | {check.task: check.facts for check in all_checks().values() if check.facts}


@dataclass
class Parts:
    """A table in many small files of one folder. kind: the file names' prefix."""

    folder: Path
    kind: str

    def append(self, table: pa.Table) -> None:
        """Add rows, atomically. Not durable: after a power cut the rows may be measured again."""
        write_parquet(
            self.folder / f"{self.kind}-{time.time_ns():020d}-{uuid.uuid4().hex[:8]}.parquet",
            table,
            durable=False,
        )

    def paths(self) -> list[Path]:
        """The files, oldest first."""
        return sorted(self.folder.glob(f"{self.kind}-*.parquet"))

    def read(self) -> list[pa.Table]:
        """All rows, oldest first, as one table per schema. A damaged part is removed: it can be rebuilt."""
        return self._read_paths(self.paths())

    def _read_paths(self, paths: list[Path]) -> list[pa.Table]:
        import pyarrow as pa

        by_schema: dict[bytes, list[pa.Table]] = {}
        for path in paths:
            table = _read_or_remove(path)
            if table is not None:
                by_schema.setdefault(table.schema.serialize().to_pybytes(), []).append(table)
        return [pa.concat_tables(tables) for tables in by_schema.values()]

    def compact(self) -> None:
        """Merge the small files when there are many. A kill in between leaves rows twice, which readers allow."""
        small = [path for path in self.paths() if path.stat().st_size < SMALL_PART_BYTES]
        if len(small) <= COMPACT_PARTS:
            return
        for group in _up_to(small, SMALL_PART_BYTES):  # so that a gigabyte is not in memory at once
            for table in self._read_paths(group):
                self.append(table)
            for path in group:
                path.unlink()


def _up_to(paths: Sequence[Path], size_bytes: int) -> Iterator[list[Path]]:
    """The files in groups of at least that size, but for the last."""
    group: list[Path] = []
    total = 0
    for path in paths:
        group.append(path)
        total += path.stat().st_size
        if total >= size_bytes:
            yield group
            group, total = [], 0
    if group:
        yield group


def _read_or_remove(path: Path, columns: Collection[str] | None = None) -> pa.Table | None:
    import pyarrow as pa

    try:
        return read_parquet(path, columns)
    except (pa.ArrowException, OSError):
        with suppress(OSError):  # a reader who may not write leaves that to the next run
            path.unlink(missing_ok=True)
        return None


@dataclass
class Cache:
    """Facts by content, and which content each file had."""

    folder: Path
    _pending: list[Measured] = field(default_factory=list)
    _last_flush: float = field(default_factory=time.monotonic)

    @property
    def facts(self) -> Parts:
        return Parts(self.folder, "facts")

    @property
    def pixels(self) -> Parts:
        return Parts(self.folder, "pixels")

    @property
    def seen(self) -> Parts:
        return Parts(self.folder, "seen")

    def add(self, results: Sequence[Measured]) -> None:
        """Remember results; a later call writes them once FLUSH_ROWS wait or FLUSH_SECONDS have passed."""
        self._pending.extend(results)
        if len(self._pending) >= FLUSH_ROWS or time.monotonic() - self._last_flush > FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write what is pending."""
        by_tasks: dict[tuple[str, ...], list[Measured]] = {}
        for result in self._pending:
            if result.opened:
                by_tasks.setdefault(result.tasks, []).append(result)
        for tasks, results in by_tasks.items():
            if pixels := _pixels_table(tasks, results):  # first: what has facts is taken to have these as well
                self.pixels.append(pixels)
            self.facts.append(_facts_table(tasks, results))
        hashed = [result for result in self._pending if result.sha256]
        if hashed:
            self.seen.append(_seen_table(hashed))
        self._pending.clear()
        self._last_flush = time.monotonic()

    def read_binary(self, name: str, keys: Keys) -> tuple[Ints, NDArray[np.uint8]]:
        """A binary fact of some contents: which of them have it (M,), ascending, and its bytes (M, length).

        keys: see `content_keys`; distinct. Read part by part: at no time is more in memory than what is asked for.
        """
        order = np.argsort(keys)
        found, values = np.zeros(len(keys), bool), np.empty((len(keys), 0), np.uint8)
        for path in self.pixels.paths() if len(keys) else []:
            table = _read_or_remove(path, ["key", name])
            if table is None or name not in table.column_names:
                continue
            stored = table["key"].to_numpy()
            rows = order[np.minimum(np.searchsorted(keys, stored, sorter=order), len(keys) - 1)]
            wanted = (keys[rows] == stored) & table[name].is_valid().to_numpy()
            if not wanted.any():
                continue
            data = _bytes_of(table[name].filter(wanted))
            if not values.size:
                values = np.empty((len(keys), data.shape[1]), np.uint8)
            values[rows[wanted]], found[rows[wanted]] = data, True
        have = np.flatnonzero(found)
        for start in range(0, len(have), FLUSH_ROWS) if len(have) < len(keys) else []:  # in place: it may be a gigabyte
            part = have[start : start + FLUSH_ROWS]
            values[start : start + len(part)] = values[part]
        return have, values[: len(have)]

    def binary_of(self, name: str, digests: pd.Series[str]) -> pd.Series[Any]:
        """A binary fact of each row by its sha256, as bytes; NA where there is none."""
        import pandas as pd

        distinct = digests.dropna().unique()
        have, values = self.read_binary(name, content_keys(distinct))
        by_content = dict(zip(distinct[have].tolist(), map(bytes, values), strict=True))
        return digests.map(by_content).astype("object").where(digests.isin(list(by_content)), pd.NA)

    def split_older_parts(self) -> None:
        """Take the binary facts out of parts that hold them among the others, as they did at first.

        A kill in between leaves rows twice, which readers allow.
        """
        names = [column.name for column in binary_columns()]
        for path in self.facts.paths():
            held = [name for name in names if name in _names_in(path)]
            table = _read_or_remove(path) if held else None
            if table is None:
                continue
            keys = content_keys(table["sha256"].to_pylist())
            self.pixels.append(_pixels(keys, {name: table[name] for name in held}))
            write_parquet(path, table.drop_columns(held), durable=False)

    def remembered(self, task: str) -> pd.DataFrame | None:
        """What `judge` of a check had to work out beyond its relations, in any order; None = nothing."""
        tables = self._worked_out(task).read()
        found: pd.DataFrame | None = tables[-1].to_pandas() if tables else None
        return found

    def remember(self, task: str, rows: pd.DataFrame) -> None:
        """Add to what `remembered` gives."""
        import pyarrow as pa

        self._worked_out(task).append(pa.Table.from_pandas(rows, preserve_index=False))
        self._worked_out(task).compact()

    def _worked_out(self, task: str) -> Parts:
        return Parts(self.folder, f"worked-out-{task}")

    def relations(self, task: str) -> pd.DataFrame | None:
        """What `relate` of a check found last, or None."""
        table = _read_or_remove(self.folder / f"{task}.parquet")
        found: pd.DataFrame | None = None if table is None else table.to_pandas()
        return found

    def keep_relations(self, task: str, relations: pd.DataFrame) -> None:
        """Remember what `relate` of a check found, in place of what it found before."""
        import pyarrow as pa

        write_parquet(
            self.folder / f"{task}.parquet", pa.Table.from_pandas(relations, preserve_index=False), durable=False
        )

    def compact(self) -> None:
        """Merge small files, at the end of a run."""
        self.facts.compact()
        self.pixels.compact()
        self.seen.compact()

    def known_files(self) -> pd.DataFrame:
        """The rows of `last_read` that are sure to tell a change."""
        seen = self.last_read()
        return seen[seen["settled"]].drop(columns="settled")

    def last_read(self) -> pd.DataFrame:
        """One row per file: path, size_bytes, mtime_ns, inode and sha256 when it was last read, and `settled`.

        settled: False where the file was so new that it may have changed since within the same time stamp.
        """
        import pandas as pd

        columns = ["path", "size_bytes", "mtime_ns", "inode", "sha256"]
        tables = self.seen.read()
        if not tables:
            types = {"path": "str", "sha256": "str", "settled": "bool"}
            return pd.DataFrame(
                {column: pd.Series(dtype=types.get(column, "int64")) for column in [*columns, "settled"]}
            )
        frames: list[pd.DataFrame] = [table.to_pandas() for table in tables]
        return pd.concat(frames).drop_duplicates("path", keep="last")[[*columns, "settled"]]

    def known_facts(self) -> pd.DataFrame:
        """One row per content (index sha256): every fact, and `complete`: no measurement is missing or out of date.

        Parts that lack one of today's measurements are left out: the pictures are opened again, once, for all.
        """
        import pandas as pd

        wanted = tasks_and_columns()
        columns = [column for columns in wanted.values() for column in columns if column.dtype != "binary"]
        frames = [_frame(table, columns) for table in self.facts.read() if _is_complete(table, wanted, columns)]
        if not frames:
            return _no_facts(columns)
        facts = pd.concat(frames)
        facts = facts[~facts.index.duplicated(keep="last")]
        return facts.assign(complete=facts["complete"] & (self._has_binary(facts) | facts["read_error"].notna()))

    def _has_binary(self, facts: pd.DataFrame) -> NDArray[np.bool_]:
        """Whether the binary facts of each row are there: a damaged part is removed on its own."""
        if not binary_columns():
            return np.ones(len(facts), bool)
        tables = [_read_or_remove(path, ["key"]) for path in self.pixels.paths()]
        keys = [table["key"].to_numpy() for table in tables if table is not None]
        return np.isin(content_keys(facts.index), np.concatenate([np.empty(0, np.uint64), *keys]))


def _facts_table(tasks: tuple[str, ...], results: list[Measured]) -> pa.Table:
    import pyarrow as pa

    columns = tasks_and_columns()
    measured = [column for task in tasks for column in columns[task] if column.dtype != "binary"]
    written = [_KEY, _FAILURES, *measured]
    sizes = pa.array([result.size_bytes for result in results], pa.int64())
    values: dict[str, list[Any]] = {
        column.name: [result.facts.get(column.name) for result in results] for column in written
    }
    values["sha256"] = [result.sha256 for result in results]
    values["failures"] = [";".join(result.failures) for result in results]
    arrays = [pa.array(values[column.name], _arrow_type(column)) for column in written]
    schema = pa.schema(
        [
            *(pa.field(column.name, _arrow_type(column)) for column in written),
            pa.field("size_bytes", pa.int64()),
        ],
        metadata={"tasks": json.dumps(tasks)},
    )
    return pa.Table.from_arrays([*arrays, sizes], schema=schema)


def _pixels_table(tasks: tuple[str, ...], results: list[Measured]) -> pa.Table | None:
    """The binary facts of readable pictures; None if there are none."""
    import pyarrow as pa

    columns = tasks_and_columns()
    names = [column.name for task in tasks for column in columns[task] if column.dtype == "binary"]
    readable = [result for result in results if result.sha256 and result.facts.get("read_error") is None]
    if not names or not readable:
        return None
    keys = content_keys([str(result.sha256) for result in readable])
    return _pixels(keys, {name: pa.array([one.facts.get(name) for one in readable], pa.binary()) for name in names})


def _pixels(keys: Keys, values: Mapping[str, pa.Array]) -> pa.Table:
    import pyarrow as pa

    return pa.table({"key": pa.array(keys, pa.uint64()), **values})


def _bytes_of(values: pa.ChunkedArray) -> NDArray[np.uint8]:
    """Binary values of one length, none of them null, (N, length)."""
    import pyarrow as pa

    joined = pa.concat_arrays(values.chunks) if values.num_chunks else pa.array([], pa.binary())
    offsets = np.frombuffer(joined.buffers()[1], np.int32)[joined.offset : joined.offset + len(joined) + 1]
    if not len(joined):
        return np.empty((0, 0), np.uint8)
    data = np.frombuffer(joined.buffers()[2], np.uint8)[offsets[0] : offsets[-1]]
    return data.reshape(len(joined), -1)


def _names_in(path: Path) -> list[str]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with path.open("rb") as stream:
            return list(pq.read_schema(stream).names)
    except (pa.ArrowException, OSError):
        return []


def _seen_table(results: list[Measured]) -> pa.Table:
    import pyarrow as pa

    return pa.table(
        {
            "path": pa.array([result.path for result in results], pa.string()),
            "size_bytes": pa.array([result.size_bytes for result in results], pa.int64()),
            "mtime_ns": pa.array([result.mtime_ns for result in results], pa.int64()),
            "inode": pa.array([result.inode for result in results], pa.uint64()),
            "sha256": pa.array([result.sha256 for result in results], pa.string()),
            "settled": pa.array([result.settled for result in results], pa.bool_()),
        }
    )


def _arrow_type(column: Column) -> pa.DataType:
    import pyarrow as pa

    types = {
        "float32": pa.float32(),
        "int64": pa.int64(),
        "boolean": pa.bool_(),
        "string": pa.string(),
        "binary": pa.binary(),
    }
    return types[column.dtype]


PANDAS_TYPES = {
    "float32": "float32",
    "int64": "Int64",
    "boolean": "boolean",
    "string": "str",
    "binary": "object",
}


def _tasks_of(table: pa.Table) -> set[str]:
    return set(json.loads((table.schema.metadata or {}).get(b"tasks", b"[]")))


def _is_complete(table: pa.Table, wanted: Collection[str], columns: list[Column]) -> bool:
    """Whether a part has every measurement and column. A check may have got a column without a new version."""
    return set(wanted) <= _tasks_of(table) and {column.name for column in columns} <= set(table.column_names)


def _frame(table: pa.Table, columns: list[Column]) -> pd.DataFrame:
    names = ["sha256", "size_bytes", "failures", *(column.name for column in columns)]
    frame: pd.DataFrame = table.select(names).to_pandas().set_index("sha256")
    frame = frame.astype({column.name: PANDAS_TYPES[column.dtype] for column in columns})
    # Newer decoders may read what older ones could not.
    outdated = frame["read_error"].notna() & (frame["decoder"] != DECODERS)
    return frame.assign(complete=(frame["failures"] == "") & ~outdated).drop(columns="failures")


def _no_facts(columns: list[Column]) -> pd.DataFrame:
    import pandas as pd

    data = {column.name: pd.Series(dtype=PANDAS_TYPES[column.dtype]) for column in columns}
    data |= {"size_bytes": pd.Series(dtype="int64"), "complete": pd.Series(dtype="bool")}
    return pd.DataFrame(data, index=pd.Index([], dtype="str", name="sha256"))
