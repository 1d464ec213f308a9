"""Moving many files at once so that a kill at any moment costs no file that had arrived.

A folder of fetched files has three parts: `files`, the finished ones; `parts`, what is on its way; `record.jsonl`,
one line per finished file, written after the file has taken its name. A line that a kill has cut is no line, and its
file is fetched again.
"""

from __future__ import annotations

import errno
import json
import os
import posixpath
import re
import shutil
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from curate.errors import StoreError
from curate.files import explained
from curate.names import folded, safe_names

MAX_NAME_BYTES = 255  # of one part of a path: ext4, XFS, APFS and NTFS (there: characters)
DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS}  # what only this machine's own disk says
SPARE_BYTES = 100_000_000  # left free on the disk, so that the system and other programs can go on


Task = TypeVar("Task")
Result = TypeVar("Result")


def in_parallel(work: Callable[[Task], Result], tasks: Iterable[Task], workers: int) -> Iterator[tuple[Task, Result]]:
    """Each task with its result, in the order in which they end. The first error ends it: no further task begins."""
    waiting = iter(tasks)
    pool = ThreadPoolExecutor(workers, thread_name_prefix="curate-transfer")
    try:
        running = {pool.submit(work, task): task for task in islice(waiting, 2 * workers)}
        while running:
            ended, _ = wait(running, return_when=FIRST_COMPLETED)
            for done in ended:
                yield running.pop(done), done.result()
            running |= {pool.submit(work, task): task for task in islice(waiting, len(ended))}
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@dataclass
class Landing:
    """A folder in which fetched files arrive.

    finished: key -> (name below `files`, size in bytes, what the server said of the content: an ETag or nothing).
    """

    folder: Path
    finished: dict[str, tuple[str, int, str]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def files(self) -> Path:
        return self.folder / "files"

    @property
    def parts(self) -> Path:
        return self.folder / "parts"

    @property
    def record(self) -> Path:
        return self.folder / "record.jsonl"

    def has(self, key: str, etag: str, size: int | None = None) -> bool:
        """Whether that very content is here. size: as the server says it, if it does."""
        name, known_size, known_etag = self.finished.get(key, ("", -1, ""))
        if known_etag != etag or size not in (None, known_size):
            return False
        try:
            return (self.files / name).stat().st_size == known_size
        except OSError:
            return False

    def finish(self, key: str, part: Path, name: str, etag: str) -> None:
        """Give a whole file its name, and write down that it is here."""
        size = part.stat().st_size
        target = self.files / name
        target.parent.mkdir(parents=True, exist_ok=True)
        part.replace(target)
        line = json.dumps({"key": key, "name": name, "size": size, "etag": etag})
        with self._lock, self.record.open("a", encoding="utf-8") as record:
            record.write(line + "\n")
            self.finished[key] = (name, size, etag)

    def keep_only(self, names: Iterable[str]) -> None:
        """Remove files that the source no longer has, and folders that are empty then."""
        wanted = set(names)
        for folder, folders, files in os.walk(self.files, topdown=False):
            for file in files:
                path = Path(folder, file)
                if path.relative_to(self.files).as_posix() not in wanted:
                    path.unlink()
            for path in (Path(folder, name) for name in folders):
                if not any(path.iterdir()):
                    path.rmdir()

    def require_space(self, size_bytes: int) -> None:
        """Raises StoreError when the disk is too small for what is still to come."""
        free = shutil.disk_usage(self.folder).free
        if size_bytes > free - SPARE_BYTES:
            raise StoreError(
                f"The files take {size_bytes / 1e9:,.1f} GB, and {str(self.folder)!r} has {free / 1e9:,.1f} GB free.",
                "Free some space, or put the store elsewhere: --store PATH. Then run the same command again.",
            )


def open_landing(folder: Path, source: str) -> Landing:
    """The folder for files of that source, with what an earlier run has brought; emptied if that was another source.

    The caller knows that nobody else writes there now.
    """
    landing = Landing(folder)
    mark = sha256(source.encode("utf-8", "surrogatepass")).hexdigest()  # not the source itself: URLs may hold keys
    with explained(folder):
        lines = _lines(landing.record)
        if not lines or lines[0].get("source") != mark:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True, exist_ok=True)
            landing.record.write_text(json.dumps({"source": mark}) + "\n", encoding="utf-8")
        elif not landing.record.read_bytes().endswith(b"\n"):
            with landing.record.open("ab") as record:
                record.write(b"\n")  # ends the line that a kill has cut
        for line in lines[1:]:
            if isinstance(line.get("key"), str):
                landing.finished[line["key"]] = (line["name"], line["size"], line["etag"])
        landing.files.mkdir(exist_ok=True)
        landing.parts.mkdir(exist_ok=True)
    return landing


def _lines(record: Path) -> list[dict[str, Any]]:
    try:
        text = record.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return []
    return [value for value in map(_parsed, text.splitlines()) if isinstance(value, dict)]


def _parsed(line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None


# ---- Names


def shown(url: str) -> str:
    """The URL without user, password and query, any of which may be a key."""
    return re.sub(r"//[^/?#]*@", "//", re.sub(r"[?#].*", "", url, flags=re.DOTALL))


def local_names(keys: Iterable[str], *, strict: bool = sys.platform in ("win32", "darwin")) -> dict[str, str]:
    """A relative path for each key of a storage, inside the folder, and no other's.

    Keys that can be a path stay as they are, as other files of the data set may name them. Empty parts ("a//b")
    vanish; "..", control characters and parts that are too long are escaped or cut; what would meet another then
    gets a mark. strict: this system takes "Cat" for "cat" and forbids characters like ":", so these are escaped too.
    """
    keys = sorted(set(keys))
    plain = {part: _local_part(part) for key in keys for part in key.split("/") if part}
    if strict:  # "%" is allowed everywhere, and stays
        safe = safe_names(part.replace("%", "\0") for part in plain.values())
        plain = {key: safe[part.replace("%", "\0")].replace("%00", "%") for key, part in plain.items()}
    paths = {key: "/".join(plain[part] for part in key.split("/") if part) or "%" for key in keys}
    same = folded if strict else str
    folders = {same(parent) for path in paths.values() for parent in _parents(path)}
    taken: set[str] = set()
    names = {}
    for key in sorted(keys, key=lambda key: paths[key] != key):  # those that stay as they are choose first
        name = paths[key]
        if same(name) in taken or same(name) in folders:  # a storage may hold both "a" and "a/b"
            stem, extension = posixpath.splitext(name)
            name = f"{stem}-{sha256(_bytes(key)).hexdigest()[:12]}{extension}"
        taken.add(same(name))
        names[key] = name
    return names


def _parents(path: str) -> Iterator[str]:
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path


def _local_part(part: str) -> str:
    """One part of a path that any system with free choice of characters can hold."""
    unsafe = r"[.]" if part in (".", "..") else r"[\x00-\x1f\x7f]"
    part = re.sub(unsafe, lambda match: f"%{ord(match[0]):02X}", part)
    if len(_bytes(part)) > MAX_NAME_BYTES:
        stem, extension = posixpath.splitext(part)
        mark = f"-{sha256(_bytes(part)).hexdigest()[:12]}{extension[:20]}"
        part = _bytes(stem)[: MAX_NAME_BYTES - len(_bytes(mark))].decode("utf-8", "ignore") + mark
    return part


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
