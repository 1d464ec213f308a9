"""When, and with which camera, each picture was taken, by its EXIF: what tells the shots of one burst.

Beside it, what kinds of personal data its metadata hold, for the card of a data set; see `curate.personal`.

Only the header of a file is read, never its pixels, and once per content: small Parquet files in the cache keep what
was found, one per flush, so that a killed run goes on where it stopped. Every page carries a checksum; a damaged file
is removed, and what was in it is read again.

The times of files are never asked: copying, unpacking and checking out change them. Nor are time zones: shots of one
camera are compared with each other.
"""

from __future__ import annotations

import os
import re
import time
import uuid
import warnings
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from curate.cache import FLUSH_ROWS, FLUSH_SECONDS
from curate.errors import UnreadableImage
from curate.executors import Crashed, Executor
from curate.files import read_or_remove, remove_temporary, replacing
from curate.images import Request
from curate.imaging import READERS, format_of
from curate.personal import EXIF_DIRECTORY, personal_kinds
from curate.progress import Progress, silent
from curate.sources import Source, file_in, open_file, read_ahead, root_of

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    from PIL import Image, ImageFile

READER = 2  # of what is read from EXIF; a new number reads every file again
CHUNK_ITEMS = 256  # a header takes 0.2 ms
SIGNATURE_BYTES = 4096  # what `format_of` looks at
MOST_EXIF_BYTES = 1_000_000  # in JPEG it is at most 64 kB; a damaged length must not read a whole file
MOST_CHUNKS = 100_000  # in a PNG of the size that we read; a hostile one may have millions
MOST_SMALL = 64  # more files than this are merged
MOST_CHARACTERS = 200  # of a camera's name

# Tags of Exif 2.32 (CIPA DC-008).
MAKE, MODEL, SERIAL = 0x010F, 0x0110, 0xA431
# When it was taken, and its fraction of a second; failing that, when it was digitized.
TIMES = ((0x9003, 0x9291), (0x9004, 0x9292))
_MOMENT = re.compile(r"(\d{4})[:/-](\d\d)[:/-](\d\d)[ T](\d\d):(\d\d):(\d\d)")


@dataclass(frozen=True)
class Capture:
    """What the metadata of one content say; None = unknown. personal: kinds, ;-joined; "" = none was found."""

    sha256: str
    taken_at: datetime | None
    camera: str | None
    personal: str | None


def captures_of(
    rows: pd.DataFrame, source: Source, cache_folder: Path, executor: Executor, progress: Progress = silent
) -> pd.DataFrame:
    """Columns `taken_at` (to the microsecond, NaT = unknown), `camera` (make, model, serial number), `personal`.

    rows: path, sha256 and size_bytes of files below `source`; without sha256 they are left out. One row per content,
    indexed by sha256, sorted. A file that can't be read, or has another size than it had, is unknown and asked again
    by the next call; broken EXIF is unknown for good. Raises StoreError when the cache can't be written.
    """
    cache = _CaptureCache(cache_folder / "captures" / str(READER))
    cache.remove_leftovers()
    named = rows[rows["sha256"].fillna("") != ""]
    known = set(cache.read(named["sha256"]).index)
    left = named[~named["sha256"].isin(known)]
    while len(left):  # where one of several copies is gone or has changed, the next one is tried
        first = left.drop_duplicates("sha256")
        known = known | _read_all(first, source, cache, executor, progress)
        left = left[left["sha256"].duplicated() & ~left["sha256"].isin(known)]
    return cache.read(named["sha256"]).reindex(sorted(set(named["sha256"])))


def _read_all(
    rows: pd.DataFrame, source: Source, cache: _CaptureCache, executor: Executor, progress: Progress
) -> set[str]:
    """Read the headers of these files and keep what they say; the contents that are known now."""
    root = root_of(source)
    sizes = dict(zip(rows["path"], rows["size_bytes"].astype("int64"), strict=True))
    wanted = dict(zip(rows["path"], rows["sha256"], strict=True))
    requests = [Request(path, file_in(root, path), size, ()) for path, size in sizes.items()]
    chunks = [requests[start : start + CHUNK_ITEMS] for start in range(0, len(requests), CHUNK_ITEMS)]
    known: set[str] = set()
    with progress("Reading camera data", len(requests)) as advance, _Pending(cache) as pending:
        for answer in executor.map(read_headers, chunks):
            # A header that kills a worker says nothing, this time and every other.
            found = {answer.item.path: NOTHING_SAID} if isinstance(answer, Crashed) else answer
            captures = [Capture(wanted[path], *said) for path, said in found.items() if said is not None]
            pending.add(captures)
            known.update(capture.sha256 for capture in captures)
            advance(len(found), errors=sum(said is None for said in found.values()))
    return known


# ---- What a file says


class Said(NamedTuple):
    """As the columns of `Capture`."""

    taken_at: datetime | None
    camera: str | None
    personal: str | None


NOTHING_SAID = Said(None, None, None)


def read_headers(chunk: Sequence[Request]) -> dict[str, Said | None]:
    """Path -> time and camera, each None if unknown; None for a file that can't be read or has changed."""
    return {request.path: said for request, said in zip(chunk, read_ahead(_read_header, chunk), strict=True)}


def _read_header(request: Request) -> Said | None:
    try:
        with open_file(request.file) as stream:
            if stream.seek(0, os.SEEK_END) != request.size_bytes:
                return None
            stream.seek(0)
            return said_by(stream)
    except OSError:
        return None


def said_by(stream: BinaryIO) -> Said:
    """What the metadata of an image file say, None where they don't, or not in a way that can be read."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's, about damaged EXIF
            exif, xmp, iptc = _metadata_of(stream)
            return Said(_moment(exif.get_ifd(EXIF_DIRECTORY)), _camera(exif), personal_kinds(exif, xmp, iptc))
    except Exception:  # noqa: BLE001  damaged and hostile EXIF fails in any way; it is unknown, nothing more
        return NOTHING_SAID


def _metadata_of(stream: BinaryIO) -> tuple[Image.Exif, bytes, dict[tuple[int, int], object]]:
    """EXIF, XMP and IPTC. Raises whatever Pillow does.

    Pillow is asked only where it opens a file without making room for its pixels.
    """
    from PIL import Image

    exif = Image.Exif()
    try:
        file_format = format_of(stream.read(SIGNATURE_BYTES))
    except UnreadableImage:
        return exif, b"", {}
    stream.seek(0)
    if file_format == "PNG":
        exif.load(_chunk(stream, start=8, kind=b"eXIf", big_endian=True))
        return exif, _chunk(stream, start=8, kind=b"iTXt", big_endian=True), {}
    if file_format == "WEBP":
        exif.load(_chunk(stream, start=12, kind=b"EXIF", big_endian=False))
        return exif, _chunk(stream, start=12, kind=b"XMP ", big_endian=False), {}
    if file_format in ("JPEG", "TIFF", "AVIF"):
        module, reader = READERS[file_format]
        image: ImageFile.ImageFile = getattr(import_module(f"PIL.{module}"), reader)(stream)
        return image.getexif(), _bytes(image.info.get("xmp")), _iptc(image)
    return exif, b"", {}


def _iptc(image: ImageFile.ImageFile) -> dict[tuple[int, int], object]:
    from PIL import IptcImagePlugin

    return dict(IptcImagePlugin.getiptcinfo(image) or {})


def _bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else b""


def _chunk(stream: BinaryIO, start: int, kind: bytes, *, big_endian: bool) -> bytes:
    """The content of the first chunk of a kind in a PNG (name behind length) or RIFF file (before); b"" = none."""
    position = start
    for _ in range(MOST_CHUNKS):
        stream.seek(position)
        head = stream.read(8)
        if len(head) < 8:
            break
        name, size = (head[4:], head[:4]) if big_endian else (head[:4], head[4:])
        length = int.from_bytes(size, "big" if big_endian else "little")
        if name == kind:
            return stream.read(length) if length <= MOST_EXIF_BYTES else b""
        position += 12 + length if big_endian else 8 + length + length % 2
    return b""


def _moment(tags: Mapping[int, object]) -> datetime | None:
    for moment, fraction in TIMES:
        match = _MOMENT.match(_text(tags.get(moment)))
        if not match:
            continue
        # Clocks that were never set say 0000:00:00, which is no date.
        with suppress(ValueError):
            digits = re.match(r"\d{0,6}", _text(tags.get(fraction)))
            micros = int(digits[0].ljust(6, "0")) if digits else 0
            return datetime(*(int(part) for part in match.groups()), micros)  # type: ignore[arg-type,call-arg]  # six
    return None


def _camera(exif: Image.Exif) -> str | None:
    make, model = _text(exif.get(MAKE)), _text(exif.get(MODEL))
    if not make and not model:
        return None
    serial = _text(exif.get_ifd(EXIF_DIRECTORY).get(SERIAL))
    return " ".join(part for part in (make, model, serial) if part)[:MOST_CHARACTERS]


def _text(value: object) -> str:
    """A tag as text that can be printed; "" for what is no text."""
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    text = value.partition("\0")[0] if isinstance(value, str) else ""
    return "".join(char for char in text if char.isprintable()).strip()


# ---- What is known already


@dataclass(frozen=True)
class _CaptureCache:
    """Captures by content, in files of one folder."""

    folder: Path

    def append(self, captures: Sequence[Capture]) -> None:
        """Add captures, atomically; not durable. Raises StoreError when they can't be written."""
        import pyarrow as pa

        rows = [vars(capture) for capture in captures]
        self._write(pa.Table.from_pylist(rows, schema=_schema()))

    def read(self, sha256: Collection[str] | pd.Series[str]) -> pd.DataFrame:
        """What is known of these contents, one row each, indexed by sha256."""
        import pyarrow as pa
        import pyarrow.compute as pc

        wanted = pa.array(sorted(set(sha256)), pa.string())
        parts = [part.filter(pc.is_in(part.column("sha256"), wanted)) for part in self._parts(self._paths())]
        rows: pd.DataFrame = pa.concat_tables([_schema().empty_table(), *parts]).to_pandas()
        types = {"sha256": "str", "taken_at": "datetime64[us]", "camera": "str", "personal": "str"}
        return rows.astype(types).drop_duplicates("sha256", keep="last").set_index("sha256")

    def compact(self) -> None:
        """Merge the files when there are many. A kill in between leaves rows twice, which does no harm."""
        import pyarrow as pa

        paths = self._paths()
        if len(paths) <= MOST_SMALL:
            return
        self._write(pa.concat_tables([_schema().empty_table(), *self._parts(paths)]))
        for path in paths:
            path.unlink(missing_ok=True)

    def remove_leftovers(self) -> None:
        """Remove what killed runs left half written. The caller knows that nobody writes there now."""
        remove_temporary(self.folder)

    def _paths(self) -> list[Path]:
        return sorted(self.folder.glob("captures-*.parquet"))

    def _parts(self, paths: Iterable[Path]) -> Iterator[pa.Table]:
        return (part for part in (read_or_remove(path, _schema()) for path in paths) if part is not None)

    def _write(self, table: pa.Table) -> None:
        import pyarrow.parquet as pq

        target = self.folder / f"captures-{time.time_ns():020d}-{uuid.uuid4().hex[:8]}.parquet"
        with replacing(target, durable=False) as temporary, temporary.open("wb") as stream:
            pq.write_table(table, stream, compression="zstd", write_page_checksum=True)


def _schema() -> pa.Schema:
    import pyarrow as pa

    columns = {
        "sha256": pa.string(),
        "taken_at": pa.timestamp("us"),
        "camera": pa.string(),
        "personal": pa.string(),
    }
    return pa.schema([pa.field(name, kind) for name, kind in columns.items()])


class _Pending:
    """Captures on their way to the cache, written about once a second and at the end, even of an interrupted run."""

    def __init__(self, cache: _CaptureCache) -> None:
        self._cache = cache
        self._captures: list[Capture] = []
        self._last_flush = time.monotonic()

    def add(self, captures: Sequence[Capture]) -> None:
        self._captures.extend(captures)
        if len(self._captures) >= FLUSH_ROWS or time.monotonic() - self._last_flush > FLUSH_SECONDS:
            self._flush()

    def _flush(self) -> None:
        if self._captures:
            self._cache.append(self._captures)
            self._cache.compact()
        self._captures.clear()
        self._last_flush = time.monotonic()

    def __enter__(self) -> _Pending:
        return self

    def __exit__(self, *_: object) -> None:
        self._flush()
