"""Writing files so that a kill at any moment leaves the old one or the new one, never half of one."""

from __future__ import annotations

import errno
import json
import os
import uuid
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate.errors import StoreError

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.compute as pc


@contextmanager
def replacing(target: Path, durable: bool = True) -> Iterator[Path]:
    """A temporary path beside the target; when the block ends well, it takes the target's place.

    durable: wait until the disk has it (for what can't be rebuilt). Raises StoreError when the disk is full or
    the folder can't be written.
    """
    with explained(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.tmp")
        try:
            temporary.touch(exist_ok=False)  # with the rights of any new file; mkstemp would lock out other readers
            yield temporary
            if durable:
                sync(temporary)
            temporary.replace(target)
            if durable:
                sync(target.parent)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def explained(target: Path) -> Iterator[None]:
    """Turn what the operating system says of a failed write into a message for people."""
    try:
        yield
    except OSError as error:
        hints = {
            errno.ENOSPC: "Free some space and run the same command again: it goes on where it stopped.",
            errno.EDQUOT: "Your disk quota is used up; free some space and run the same command again.",
            errno.EFBIG: "A file may not be that large here (see: ulimit -f). Put the store elsewhere: --store PATH.",
            errno.EROFS: "Put the store elsewhere: --store PATH.",
            errno.EACCES: "Put the store elsewhere: --store PATH.",
        }
        # pyarrow puts its own words around those of the system.
        reason = os.strerror(error.errno) if error.errno else str(error)
        message = f"Can't write {str(target)!r}: {reason}."
        raise StoreError(message, hints.get(error.errno or 0, "")) from error


def sync(path: Path) -> None:
    """Wait until the disk has a file, or a folder's list of names."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_text(target: Path, text: str, durable: bool = True) -> None:
    """Write a small text file, whole or not at all."""
    with replacing(target, durable) as temporary:
        # A path given on the command line may hold bytes that are no text; in JSON, "\udcff" is a valid way to say so.
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def write_json(target: Path, value: Any) -> None:
    """Write a JSON file, whole or not at all."""
    write_text(target, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def write_parquet(target: Path, table: pa.Table, durable: bool = True) -> None:
    """Write a Parquet file, whole or not at all."""
    import pyarrow.parquet as pq

    # Opened here, as pyarrow takes no path that is no valid UTF-8.
    with replacing(target, durable) as temporary, temporary.open("wb") as stream:
        pq.write_table(table, stream, compression="zstd")


def read_parquet(file: Path, columns: Collection[str] | None = None, rows: pc.Expression | None = None) -> pa.Table:
    """The table; of it only these columns, as far as it has them, and these rows. None = all.

    Raises OSError or pyarrow.ArrowException for a missing or damaged file.
    """
    import pyarrow.parquet as pq

    with file.open("rb") as stream:
        names = None if columns is None else [one for one in pq.read_schema(stream).names if one in columns]
        return pq.read_table(stream, columns=names, filters=rows)


def read_or_remove(file: Path, schema: pa.Schema) -> pa.Table | None:
    """The whole table of a rebuildable file; None, and the file is gone, where it is damaged or has another schema."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with file.open("rb") as stream:
            table = pq.read_table(stream, page_checksum_verification=True)
        if table.schema.equals(schema):
            return table
    except (pa.ArrowException, OSError):
        pass
    with suppress(OSError):  # a reader who may not write leaves that to the next run
        file.unlink(missing_ok=True)
    return None


def remove_temporary(folder: Path, pattern: str = ".*.tmp") -> None:
    """Remove what killed runs left under temporary names. The caller knows that nobody writes there now."""
    for path in folder.glob(pattern):
        path.unlink(missing_ok=True)
