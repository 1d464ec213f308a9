"""Image bytes by content, and the cheapest safe way to make a second file of the same bytes.

`place` tries, in this order: reflink (the two files share blocks until one is changed: free and safe), hard link
if allowed (free, but whoever edits one edits both), copy.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from curate.files import explained, sync
from curate.project import Project
from curate.sources import USUAL_BYTES, Bucket, file_in, is_url, read_ahead, read_file, root_of

if TYPE_CHECKING:
    import pandas as pd

Method = Literal["reflink", "hard link", "copy"]
_FICLONE = 0x40049409  # from linux/fs.h: share all blocks of another file
# What a file system says that can't do it, as opposed to a disk that is full.
_CANNOT = {errno.EOPNOTSUPP, errno.EXDEV, errno.EINVAL, errno.ENOTTY, errno.ENOSYS, errno.EPERM, errno.EMLINK}


def place(source: Path, target: Path, methods: Sequence[Method]) -> Method | None:
    """Make `target` a file with the bytes of `source` by the first method that works here; None if none does.

    Raises OSError for what is no matter of method: a missing source, a full disk.
    """
    source = source.resolve()  # a hard link to a symbolic link would be one more symbolic link
    ways: dict[Method, Callable[[Path, Path], object]] = {
        "reflink": _reflink,
        "hard link": os.link,
        "copy": shutil.copyfile,
    }
    for method in methods:
        try:
            ways[method](source, target)
        except OSError as error:
            target.unlink(missing_ok=True)
            if error.errno not in _CANNOT:
                raise
        else:
            return method
    return None


def _reflink(source: Path, target: Path) -> None:
    if sys.platform != "linux":
        raise OSError(errno.EOPNOTSUPP, "reflinks are only made on Linux")
    import fcntl

    with source.open("rb") as original, target.open("xb") as clone:
        fcntl.ioctl(clone.fileno(), _FICLONE, original.fileno())


def object_path(project: Project, sha256: str) -> Path:
    """Where the bytes of that digest are kept, if they are."""
    return project.objects / sha256[:2] / sha256[2:]


def source_file(project: Project, path: str) -> str:
    """The file of a row, or its URL. Raises SourceError for a bucket that may not be asked."""
    return file_in(os.fspath(project.folder) if isinstance(project.folder, Path) else root_of(project.folder), path)


def keep_objects(project: Project, table: pd.DataFrame, keep_bytes: str) -> None:
    """Give the store its own copy of every kept picture's bytes, as the setting `keep_bytes` wants it."""
    if keep_bytes == "never":
        return
    methods: tuple[Method, ...] = ("reflink",) if keep_bytes == "auto" else ("reflink", "copy")
    if isinstance(project.folder, Bucket) and keep_bytes == "auto":
        return  # it would cost as much disk as the bucket has
    kept = table[table["keep"]].drop_duplicates("sha256")
    missing = (
        _ToKeep(source_file(project, path), object_path(project, sha256), sha256, methods)
        for path, sha256 in zip(kept["path"], kept["sha256"], strict=True)
        if not object_path(project, sha256).exists()
    )
    # Once it did not work it is left: a file system that shares no blocks of one file does not of any.
    all(read_ahead(_store_object, missing))


@dataclass(frozen=True, slots=True)
class _ToKeep:
    """A file, or URL, whose bytes the store shall have under their digest."""

    file: str
    target: Path
    sha256: str
    methods: tuple[Method, ...]
    size_bytes: int = USUAL_BYTES


def _store_object(one: _ToKeep) -> bool:
    """False if no method works here. A file that is gone or changed since it was measured is left out."""
    target = one.target
    temporary = target.with_name(f".{target.name}.tmp")
    with explained(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary.unlink(missing_ok=True)  # left by a run that was killed right here
        try:
            if not _fetched_or_placed(one, temporary):
                return False
            if digest_of(temporary) == one.sha256:
                sync(temporary)
                temporary.replace(target)
        except (FileNotFoundError, PermissionError):
            return True
        finally:
            temporary.unlink(missing_ok=True)
    return True


def _fetched_or_placed(one: _ToKeep, target: Path) -> bool:
    if not is_url(one.file):
        return place(Path(one.file), target, one.methods) is not None
    try:
        data, _ = read_file(one.file)
    except OSError as error:
        raise FileNotFoundError(one.file) from error  # left out, as it was neither a full disk nor the storage
    target.write_bytes(data)
    return True


def digest_of(file: str | os.PathLike[str]) -> str:
    """sha256 of the bytes of a file, or of the object at a URL: 64 hexadecimal digits."""
    if is_url(file):
        return hashlib.sha256(read_file(file)[0]).hexdigest()
    with open(file, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def places_of(project: Project, path: str, sha256: str) -> Iterator[str | Path]:
    """Where these bytes may be: the store's own file, then the source, which is not asked for before it is wanted."""
    yield object_path(project, sha256)
    yield source_file(project, path)


def find_bytes(project: Project, path: str, sha256: str) -> bytes | None:
    """The bytes of that digest: the store's own, else the source's; None if neither has them now."""
    for candidate in places_of(project, path, sha256):
        with suppress(OSError):
            data, _ = read_file(candidate)
            if hashlib.sha256(data).hexdigest() == sha256:
                return data
    return None
