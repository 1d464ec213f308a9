"""Exports to and imports from remote storage: s3:// and gs:// through fsspec, https:// by `curate.web`.

Nothing here runs unless a person gives a URL *and* asks for the network. Credentials are those that the storage's own
library finds (environment, ~/.aws, …); curate takes none, keeps none and prints none.

An upload begins with the object `.uploading.json` and ends with `export.json`, so that half an upload is never taken
for an export, and is taken up again by the same command. Nothing that was there before is ever overwritten.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from curate.errors import SourceError, StoreError
from curate.files import explained
from curate.progress import Progress, silent
from curate.storage import WORKERS, Storage, etag_of, explained_storage, is_about_bucket, open_storage, reason_of
from curate.transfer import Landing, in_parallel, local_names, open_landing

MARKER = "export.json"
UPLOADING = ".uploading.json"  # what export.json will be; there until it is
PART_BYTES = 8 << 20  # of a large file; the AWS command line's own default
MAX_PARTS = 1000  # AWS allows 10,000; OpenStack Swift 1,000
PARTS_AT_ONCE = 8


@dataclass(frozen=True)
class Uploaded:
    """What an upload did. files: sent now. skipped: there already with the same bytes. bytes: sent now."""

    files: int
    skipped: int
    bytes: int


@dataclass(frozen=True)
class Downloaded:
    """What a download brought.

    path: the file, where the URL names one, else the folder. files: fetched now. skipped: there from an earlier run.
    failures: name at the source -> why it was not fetched. renamed: name at the source -> name here, where it differs.
    """

    path: Path
    files: int
    skipped: int
    failures: dict[str, str] = field(default_factory=dict)
    renamed: dict[str, str] = field(default_factory=dict)


def existing_export(url: str) -> dict[str, Any] | None:
    """The export.json of the export at that URL; None if there is none."""
    storage = open_storage(url)
    with explained_storage(storage):
        try:
            found = json.loads(storage.files.cat_file(storage.path(MARKER)))
        except FileNotFoundError as error:
            if is_about_bucket(error):
                raise
            return None
        except ValueError:
            return None
    return found if isinstance(found, dict) else None


# ---- Up


def upload(draft: Path, url: str, marker: str = MARKER, progress: Progress = silent) -> Uploaded:
    """Send a whole export, `marker` last. Run again after a kill, it sends what is missing.

    Raises SourceError when anything but half an upload of this very export is there, or the storage refuses;
    StoreError when the connection fails.
    """
    storage = open_storage(url)
    files = _files_below(draft)
    identity = files.pop(marker).read_bytes()
    with explained_storage(storage):
        there = storage.below()
        _require_free(storage, there, {*files, marker}, identity)
        storage.files.pipe_file(storage.path(UPLOADING), identity)
        sent = Counter[str]()
        with progress("Uploading", len(files) + 1) as advance:
            for size_bytes in _sent(storage, files, there):
                sent.update(files=size_bytes is not None, skipped=size_bytes is None, bytes=size_bytes or 0)
                advance(1, size_bytes=size_bytes or 0)
            storage.files.pipe_file(storage.path(marker), identity)
            advance(1, size_bytes=len(identity))
        with suppress(PermissionError):  # some may write but not remove; the export is whole all the same
            storage.files.rm_file(storage.path(UPLOADING))
    return Uploaded(sent["files"] + 1, sent["skipped"], sent["bytes"] + len(identity))


def _files_below(folder: Path) -> dict[str, Path]:
    paths = (Path(parent, name) for parent, _, names in os.walk(folder) for name in names)
    return {path.relative_to(folder).as_posix(): path for path in sorted(paths)}


def _require_free(storage: Storage, there: Mapping[str, Any], ours: set[str], identity: bytes) -> None:
    """Raises SourceError when what is there is not half an upload of this very export."""
    if not there:
        return
    if UPLOADING not in there:
        what = "an export" if MARKER in there else f"other objects ({len(there):,}, for example {min(there)!r})"
        raise SourceError(f"{storage.url!r} holds {what} already.", "Give a new name, or remove it first.")
    if storage.files.cat_file(storage.path(UPLOADING)) != identity:
        raise SourceError(f"{storage.url!r} holds half an upload of another export.", "Remove it, or give a new name.")
    foreign = sorted(set(there) - ours - {UPLOADING})
    if foreign:
        raise SourceError(
            f"{storage.url!r} holds objects that are no part of this export, for example {foreign[0]!r}.",
            "Remove them, or give a new name.",
        )


def _sent(storage: Storage, files: Mapping[str, Path], there: Mapping[str, Any]) -> Iterator[int | None]:
    """For each file, how many bytes were sent; None if it was there."""
    send = partial(_send, storage, files, there)
    large = {name for name, file in files.items() if file.stat().st_size >= 2 * PART_BYTES}
    for name in sorted(large):  # one at a time, as its parts go side by side, and each is in memory
        yield send(name)
    for _, size_bytes in in_parallel(send, (name for name in files if name not in large), WORKERS):
        yield size_bytes


def _send(storage: Storage, files: Mapping[str, Path], there: Mapping[str, Any], name: str) -> int | None:
    file = files[name]
    if name in there and _is_same(file, there[name]):
        return None
    size_bytes = file.stat().st_size
    options = {"chunksize": _part_bytes(size_bytes), "max_concurrency": PARTS_AT_ONCE} if storage.scheme == "s3" else {}
    storage.files.put_file(str(file), storage.path(name), **options)
    return size_bytes


def _part_bytes(size_bytes: int) -> int:
    return max(PART_BYTES, -(-size_bytes // MAX_PARTS))


def _is_same(file: Path, info: Mapping[str, Any]) -> bool:
    """Whether the object surely has the file's bytes. False where the storage does not tell, as with some encryption.

    S3's ETag is the MD5 of the bytes or, of what came in parts, the MD5 of the MD5s of the parts.
    """
    if info["size"] != file.stat().st_size:
        return False
    if "md5Hash" in info:  # Google's
        return base64.b64decode(info["md5Hash"]) == _md5s(file, info["size"] or 1)[0]
    etag = etag_of(info)
    if "-" not in etag:
        return etag == _md5s(file, info["size"] or 1)[0].hex()
    parts = _md5s(file, _part_bytes(info["size"]))
    return etag == f"{hashlib.md5(b''.join(parts), usedforsecurity=False).hexdigest()}-{len(parts)}"


def _md5s(file: Path, part_bytes: int) -> list[bytes]:
    """The MD5 of each part of a file; of an empty file, one."""
    digests: list[bytes] = []
    with file.open("rb") as stream:
        while not digests or stream.tell() < file.stat().st_size:
            digest, left = hashlib.md5(usedforsecurity=False), part_bytes
            while left and (block := stream.read(min(left, 1 << 20))):
                digest.update(block)
                left -= len(block)
            digests.append(digest.digest())
    return digests


# ---- Down


def download(url: str, target: Path, progress: Progress = silent) -> Downloaded:
    """Fetch one object, or all below a prefix, into a folder of curate's own. Run again after a kill, it goes on.

    target: used by nobody else; what another source left in it is removed. Raises SourceError when nothing is there,
    it is half an upload, or the storage refuses; StoreError when the connection fails or the disk is full.
    """
    if url.lower().startswith(("http://", "https://")):
        from curate.web import fetch_file  # http and TLS cost a twentieth of a second, which few commands need

        path, fetched = fetch_file(url, target, progress)
        return Downloaded(path, int(fetched), int(not fetched))
    storage = open_storage(url)
    with explained_storage(storage):
        objects, single = _objects(storage)
    landing = open_landing(target, storage.url)
    names = local_names(objects)
    with explained(target):
        landing.keep_only(names.values())
        missing = [one for one in objects if not landing.has(one, etag_of(objects[one]), objects[one]["size"])]
        landing.require_space(sum(objects[one]["size"] for one in missing))
    failures = _fetch(storage, landing, {one: objects[one] for one in missing}, names, single, progress)
    if len(failures) == len(objects):
        raise SourceError(f"Nothing of {storage.url!r} could be fetched: {next(iter(failures.values()))}.")
    return Downloaded(
        path=landing.files / names[single] if single else landing.files,
        files=len(missing) - len(failures),
        skipped=len(objects) - len(missing),
        failures=failures,
        renamed={key: name for key, name in names.items() if key != name},
    )


def _objects(storage: Storage) -> tuple[dict[str, dict[str, Any]], str]:
    """The objects to fetch by name; and the name, if it is the one that the URL names."""
    below = storage.below()
    if UPLOADING in below and MARKER not in below:
        raise SourceError(
            f"{storage.url!r} is half an upload: it has no {MARKER} yet.",
            "Run the `curate export` that began it once more; it goes on where it stopped.",
        )
    objects = {one: info for one, info in below.items() if one != UPLOADING}
    if objects:
        return objects, ""
    info = storage.files.info(storage.root)
    if info["type"] != "file":
        raise SourceError(f"There is nothing at {storage.url!r}.", "Check the spelling.")
    name = storage.root.rpartition("/")[2]
    return {name: info}, name


def _fetch(
    storage: Storage,
    landing: Landing,
    missing: Mapping[str, dict[str, Any]],
    names: Mapping[str, str],
    single: str,
    progress: Progress,
) -> dict[str, str]:
    """Fetch what is missing; why which of it could not be."""

    def fetch(name: str) -> str:
        part = landing.parts / hashlib.sha256(name.encode()).hexdigest()
        path = storage.root if single else storage.path(name)
        large = storage.scheme == "s3" and missing[name]["size"] >= 2 * PART_BYTES
        options = {"chunksize": PART_BYTES, "max_concurrency": PARTS_AT_ONCE} if large else {}
        try:
            storage.files.get_file(path, str(part), **options)
        except (FileNotFoundError, PermissionError) as error:
            return reason_of(error)
        if part.stat().st_size != missing[name]["size"]:
            raise StoreError(
                f"{name!r} of {storage.url!r} has {missing[name]['size']:,} bytes, and {part.stat().st_size:,} came.",
                "It was changed meanwhile, or the connection was cut. Run the same command again.",
            )
        landing.finish(name, part, names[name], etag_of(missing[name]))
        return ""

    failures = {}
    with explained_storage(storage), progress("Downloading", len(missing)) as advance:
        for name, reason in in_parallel(fetch, missing, WORKERS):
            if reason:
                failures[name] = reason
            advance(1, size_bytes=0 if reason else missing[name]["size"], errors=bool(reason))
    return dict(sorted(failures.items()))
