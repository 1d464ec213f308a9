"""Where the pictures are: a folder of this machine, or a prefix of a bucket.

A `Bucket` stands where otherwise the `Path` of a folder does. Only strings travel to the workers: `file_in` names a
picture by its path or URL, and whoever gets that opens it with `read_file` or `open_file`, with the credentials that
the storage's library finds there. Each process has one connection of its own, opened when it is first needed, as
one can't be shared over a fork.

A bucket answers late but many at a time, so `read_ahead` asks for the next pictures while one is decoded.
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cache, partial
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, Protocol, TypeVar

from curate.errors import CurateError
from curate.paths import to_file_name
from curate.storage import (
    WORKERS,
    Storage,
    errors_of,
    etag_of,
    explained_storage,
    is_about_bucket,
    is_remote,
    open_storage,
    parsed,
    reason_of,
    require_network,
)

AHEAD_BYTES = 64_000_000  # of one worker: 16 photographs of 4 MB; one larger than that is fetched alone
USUAL_BYTES = AHEAD_BYTES // WORKERS  # where nobody has told how large an object is
PAGE_OBJECTS = 1000  # of one listing: the most that S3 gives
# A header's first read: the EXIF of a JPEG is at most 64 kB and stands before the pixels.
HEADER_BYTES = 1 << 16
# What a storage's library looks at for credentials and addresses: other ones need another connection.
VARIABLES = ("AWS_", "BOTO", "FSSPEC_", "GCE_", "GCSFS_", "GOOGLE_", "STORAGE_")


@dataclass(frozen=True)
class Bucket:
    """A prefix of a bucket with pictures. network: whether somebody said that it may be asked.

    url: like "s3://bucket/pictures", without user, key, query and "/" at its end.
    """

    url: str
    network: bool = False

    def __str__(self) -> str:
        return self.url

    @property
    def name(self) -> str:
        """The last part of the prefix, or else the bucket's name."""
        return self.url.rpartition("/")[2]

    def require_network(self) -> None:
        """Raises SourceError unless the network was asked for."""
        require_network(self.url, self.network)


Source = Path | Bucket


def source_of(folder: str | Path | Bucket, network: bool = False) -> Source:
    """The source that a person named. Raises SourceError for a URL of no known storage, or with a key in it."""
    if isinstance(folder, Bucket):
        return folder
    if isinstance(folder, str) and is_remote(folder):
        scheme, root = parsed(folder)
        return Bucket(f"{scheme}://{root}", network)
    return Path(os.path.abspath(folder))


# ---- Files of a source


def root_of(source: Source) -> str:
    """What `file_in` puts before a path. Raises SourceError for a bucket that may not be asked."""
    if isinstance(source, Bucket):
        source.require_network()
        return source.url
    return os.path.realpath(source)


def file_in(root: str, path: str) -> str:
    """The file, or the URL, of a row's path below `root_of(source)`."""
    # Not os.path.join: the key "pictures//etc/x" of a bucket would name a file of this machine.
    return f"{root}/{to_file_name(path)}"


@dataclass(frozen=True, slots=True)
class Status:
    """What tells whether a file has changed. inode: of an object, 64 bits of a digest of its ETag."""

    size_bytes: int
    mtime_ns: int
    inode: int


def read_file(file: str | os.PathLike[str]) -> tuple[bytes, Status]:
    """The whole file or object, and the status of exactly what was read.

    Raises FileNotFoundError, PermissionError or another OSError where this one can't be read; CurateError where the
    storage gives nothing at all.
    """
    if is_url(file):
        return _read_object(str(file))
    with open(file, "rb", buffering=0) as stream:  # a buffer copies the whole file once more: 25 us of a photograph
        data, status = stream.read(), os.fstat(stream.fileno())
    return data, Status(status.st_size, status.st_mtime_ns, status.st_ino)


def may_be_read(file: str) -> bool:
    """Whether the system, or the storage, would let us read this file."""
    if not is_url(file):
        return os.access(file, os.R_OK)
    storage, path = _of(file)
    try:
        with _told(storage, path):
            return bool(storage.files.info(path))
    except OSError:
        return False


@contextmanager
def open_file(file: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A stream over a file or object, of which only the parts that are asked for are fetched. Raises as `read_file`."""
    if not is_url(file):
        with open(file, "rb") as local:
            yield local
        return
    storage, path = _of(str(file))
    with _told(storage, path):  # not what the caller makes of it, which has other reasons to fail
        stream = _Stream(partial(_part_of, storage, path)) if storage.scheme == "s3" else storage.files.open(path, "rb")
    with stream:
        yield io.BufferedReader(stream) if isinstance(stream, io.RawIOBase) else stream


def is_url(file: str | os.PathLike[str]) -> bool:
    """Whether it is an object of a bucket: a path of this machine is absolute, or not a string."""
    return isinstance(file, str) and is_remote(file)


class Readable(Protocol):
    """Something to be done with one file."""

    @property
    def file(self) -> str:
        """Its path or URL."""
        ...

    @property
    def size_bytes(self) -> int:
        """How large it was when it was listed."""
        ...


Task = TypeVar("Task", bound=Readable)
Result = TypeVar("Result")


def read_ahead(work: Callable[[Task], Result], tasks: Iterable[Task]) -> Iterator[Result]:
    """`work(task)` for each task, in order. With objects of a bucket, some of the next ones are on their way.

    work: reads, and does little else; it runs in threads. All tasks are on this machine, or none is.
    """
    waiting = iter(tasks)
    following = next(waiting, None)
    if following is None or not is_url(following.file):
        yield from map(work, waiting if following is None else chain([following], waiting))
        return
    pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="curate-read")
    under_way: deque[tuple[Future[Result], int]] = deque()
    try:
        while following is not None or under_way:
            while following is not None and _has_room(under_way, following.size_bytes):
                under_way.append((pool.submit(work, following), following.size_bytes))
                following = next(waiting, None)
            yield under_way.popleft()[0].result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _has_room(under_way: Sequence[tuple[object, int]], size_bytes: int) -> bool:
    if len(under_way) >= WORKERS:
        return False
    return not under_way or sum(size for _, size in under_way) + size_bytes <= AHEAD_BYTES


# ---- Objects


@dataclass(frozen=True, slots=True)
class FoundObject:
    """An object of a bucket. name: its key below the prefix."""

    name: str
    status: Status


def objects_in(bucket: Bucket) -> Iterator[FoundObject]:
    """Every object below the prefix, but the empty ones that stand for folders, in the order of the storage.

    Raises SourceError when the storage refuses or the bucket is not there; StoreError when the connection fails.
    """
    bucket.require_network()
    storage, root = _of(bucket.url)
    storage = Storage(storage.files, storage.scheme, root, bucket.url)
    with explained_storage(storage):
        for path, info in _listed(storage):
            size_bytes = int(info.get("Size") or info.get("size") or 0)
            name = path.removeprefix(f"{root}/")
            if size_bytes or not (name == "" or name.endswith("/")):
                yield FoundObject(name, _status(info, size_bytes))


def _listed(storage: Storage) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Path with the bucket's name, and what is known of it; of S3 page by page, so that a million fit anywhere."""
    if storage.scheme != "s3":
        yield from storage.files.find(storage.root, detail=True).items()
        return
    bucket, _, prefix = storage.root.partition("/")
    options: dict[str, Any] = {"Bucket": bucket, "Prefix": f"{prefix}/" if prefix else "", "MaxKeys": PAGE_OBJECTS}
    while True:
        page = storage.files.call_s3("list_objects_v2", **options)
        for info in page.get("Contents", []):
            yield f"{bucket}/{info['Key']}", info
        if not page.get("IsTruncated"):
            return
        options["ContinuationToken"] = page["NextContinuationToken"]


def _read_object(url: str) -> tuple[bytes, Status]:
    storage, path = _of(url)
    with _told(storage, path):
        if storage.scheme == "s3":
            from fsspec.asyn import sync

            found: tuple[bytes, Status] = sync(storage.files.loop, _got, storage.files, *path.split("/", 1))
            return found
        info = storage.files.info(path)
        data: bytes = storage.files.cat_file(path)
        return data, _status(info, len(data))


TRIES = 4  # of an answer that was cut; before that, botocore asks five times for one


async def _got(files: Any, bucket: str, key: str) -> tuple[bytes, Status]:
    """One request, where `cat_file` makes two and does not tell which bytes it has read."""
    data, answer = await _answered(files, bucket, key, {})
    return data, _status(answer, len(data))


async def _answered(files: Any, bucket: str, key: str, options: Mapping[str, str]) -> tuple[bytes, Mapping[str, Any]]:
    """What the storage gives, and what it says of it."""
    import asyncio

    import aiohttp

    for number in range(TRIES):
        answer = await files._call_s3("get_object", Bucket=bucket, Key=key, **options)
        try:
            data = await answer["Body"].read()
            if len(data) == answer["ContentLength"]:
                return data, answer
        except (aiohttp.ClientError, TimeoutError):
            if number == TRIES - 1:
                raise
        finally:
            answer["Body"].close()
        await asyncio.sleep(0.2 * 2**number)
    raise OSError(errno.EIO, "the answer was cut each time")


class _Stream(io.RawIOBase):
    """An object as a file. fetch: (start, end, ETag or "") -> the bytes between, the size of all, and the ETag."""

    def __init__(self, fetch: Callable[[int, int, str], tuple[bytes, int, str]]) -> None:
        self._fetch = fetch
        self._at = self._start = 0
        self._block, self._size, self._etag = fetch(0, HEADER_BYTES, "")

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: Any) -> int:
        if self._at >= self._size:
            return 0
        if not self._start <= self._at < self._start + len(self._block):
            end = min(self._size, self._at + max(len(buffer), HEADER_BYTES))
            self._block, _, _ = self._fetch(self._at, end, self._etag)
            self._start = self._at
        begin = self._at - self._start
        part = self._block[begin : begin + len(buffer)]
        buffer[: len(part)] = part
        self._at += len(part)
        return len(part)


def _part_of(storage: Storage, path: str, start: int, end: int, etag: str) -> tuple[bytes, int, str]:
    from fsspec.asyn import sync

    options = {"Range": f"bytes={start}-{end - 1}", **({"IfMatch": etag} if etag else {})}
    with _told(storage, path):
        found: tuple[bytes, Mapping[str, Any]] = sync(
            storage.files.loop, _answered, storage.files, *path.split("/", 1), options
        )
    data, answer = found
    return data, int(answer["ContentRange"].rpartition("/")[2]), answer["ETag"]


def _status(info: Mapping[str, Any], size_bytes: int) -> Status:
    changed = info.get("LastModified") or info.get("mtime") or info.get("updated")
    if isinstance(changed, str):
        changed = datetime.fromisoformat(changed)
    # Whole seconds, as some servers tell the fraction when they list objects but not when they give one.
    seconds = int(changed.timestamp()) if isinstance(changed, datetime) else 0
    etag = etag_of(info) or str(seconds)
    return Status(size_bytes, seconds * 10**9, int.from_bytes(hashlib.sha256(etag.encode()).digest()[:8], "big"))


# ---- The connection


def _of(url: str) -> tuple[Storage, str]:
    """This process's own connection, and the path behind the scheme."""
    scheme, _, path = url.partition("://")
    known = tuple(sorted(one for one in os.environ.items() if one[0].startswith(VARIABLES)))
    return _opened(f"{scheme}://{path.partition('/')[0]}", os.getpid(), known), path


@cache  # for good: a fork that closed its parent's connection would take it out of the parent's event loop
def _opened(url: str, *_: object) -> Storage:
    """One per process, as a fork must not use its parent's, and environment, as credentials may be set meanwhile."""
    return open_storage(url)


@contextmanager
def _told(storage: Storage, path: str) -> Iterator[None]:
    """Make what a storage's library raises an OSError where it is about this object; a CurateError where about all."""
    try:
        yield
    except CurateError:
        raise
    except FileNotFoundError as error:
        if is_about_bucket(error):
            _require_answers(storage, path)
        raise
    except PermissionError:
        _require_answers(storage, path)
        raise
    except errors_of(storage.scheme) as error:
        _require_answers(storage, path)
        raise OSError(errno.EIO, reason_of(error)) from error


def _require_answers(storage: Storage, path: str) -> None:
    """Raises CurateError where the storage does not even list: then no picture can be read, and no row is to blame."""
    bucket, _, key = path.partition("/")
    with explained_storage(storage):
        if storage.scheme == "s3":
            storage.files.call_s3("list_objects_v2", Bucket=bucket, Prefix=key, MaxKeys=1)
        else:
            storage.files.info(bucket)
