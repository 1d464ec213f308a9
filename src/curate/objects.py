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
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from curate.files import explained, sync
from curate.paths import to_file_name
from curate.project import Project

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


def source_path(project: Project, path: str) -> Path:
    """The file of a row."""
    return project.folder / to_file_name(path)


def keep_objects(project: Project, table: pd.DataFrame, keep_bytes: str) -> None:
    """Give the store its own copy of every kept picture's bytes, as the setting `keep_bytes` wants it."""
    if keep_bytes == "never":
        return
    methods: tuple[Method, ...] = ("reflink",) if keep_bytes == "auto" else ("reflink", "copy")
    kept = table[table["keep"]].drop_duplicates("sha256")
    for path, sha256 in zip(kept["path"], kept["sha256"], strict=True):
        target = object_path(project, sha256)
        if target.exists():
            continue
        if not _store_object(source_path(project, path), target, sha256, methods):
            return  # this file system shares no blocks, so no other file will


def _store_object(source: Path, target: Path, sha256: str, methods: tuple[Method, ...]) -> bool:
    """False if no method works here. A file that is gone or changed since it was measured is left out."""
    temporary = target.with_name(f".{target.name}.tmp")
    with explained(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary.unlink(missing_ok=True)  # left by a run that was killed right here
        try:
            if place(source, temporary, methods) is None:
                return False
            if digest_of(temporary) == sha256:
                sync(temporary)
                temporary.replace(target)
        except (FileNotFoundError, PermissionError):
            return True
        finally:
            temporary.unlink(missing_ok=True)
    return True


def digest_of(file: Path) -> str:
    """sha256 of a file's bytes, 64 hexadecimal digits."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def find_bytes(project: Project, path: str, sha256: str) -> Path | None:
    """A file that has exactly these bytes now: the store's own, else the source; None if neither does."""
    for candidate in (object_path(project, sha256), source_path(project, path)):
        try:
            if digest_of(candidate) == sha256:
                return candidate
        except OSError:
            continue
    return None
