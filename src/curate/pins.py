"""`pin`: a small lock file that ties a training repository to one version, and what keeps it to its word.

The lock says where the image folder is (seen from the lock), which version was meant, and two digests: the version's
id, equal for equal data sets on any machine, and one over the rows and bytes that training reads. Loading compares
both; `verify` reads every picture as well.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from curate import versions
from curate.errors import SourceError, StoreError
from curate.files import write_json
from curate.progress import Progress, silent
from curate.project import Project
from curate.release import Picture, Release, open_release
from curate.sources import Bucket, Source
from curate.storage import is_remote

LOCK_FORMAT = 1
FOLDER_VARIABLE = "CURATE_FOLDER"  # where the image folder of a lock file is on this machine


class Lock(BaseModel):
    """What a lock file says. dataset, store: paths seen from the lock file's folder; store: None = beside the folder.

    bytes: "exact": the digest covers the bytes that training reads; "sources": those of the source pictures, so that
    normalized pictures may be made anew by other releases of the image libraries.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    format: int
    dataset: str
    store: str | None
    version: str = Field(pattern=r"v[1-9]\d{0,8}")
    id: str = Field(pattern=r"[0-9a-f]{64}")
    bytes: str = Field(pattern=r"exact|sources")
    rows: str = Field(pattern=r"[0-9a-f]{64}")
    pictures: int
    classes: list[str]
    splits: dict[str, int]
    transform: dict[str, Any]
    mean: list[float]
    std: list[float]
    curate: str


@dataclass(frozen=True)
class Pinned:
    """What was pinned. file: the lock."""

    file: Path
    lock: Lock


def pin(
    folder: str | Path,
    version: str | None = None,
    output: str | Path = "curate.lock",
    *,
    sources: bool = False,
    store: str | Path | None = None,
) -> Pinned:
    """Write a lock file for a version (None: the newest) of an image folder.

    sources: pin the source pictures and how they are transformed, not the very bytes of normalized pictures, for who
    makes them anew on another machine. An existing lock file is replaced. Raises VersionNotFound, StoreError.
    """
    project = Project.at(folder, store)
    project.require_store()
    release = open_release(project, version)
    file = Path(os.path.abspath(output))
    if os.path.lexists(file) and not is_lock(file):
        raise SourceError(f"{str(output)!r} exists and is no lock file.", "Give another name: -o curate.lock")
    lock = _lock_of(release, file.parent, "sources" if sources else "exact")
    write_json(file, lock.model_dump())
    return Pinned(file, lock)


def _lock_of(release: Release, seen_from: Path, covers: str) -> Lock:
    project, found = release.project, release.version
    splits = Counter(one.split or "" for one in release.pictures)
    return Lock(
        format=LOCK_FORMAT,
        dataset=_relative(project.folder, seen_from),
        store=None if project.has_default_store else _relative(project.store, seen_from),
        version=found.name,
        id=found.id,
        bytes=covers,
        rows=rows_digest(release.pictures, covers),
        pictures=len(release.pictures),
        classes=list(release.classes),
        splits={name: splits[name] for name in (*release.splits, "") if splits[name]},
        transform=found.transform,
        mean=found.pixels.get("mean", []),
        std=found.pixels.get("std", []),
        curate=installed_version("curate"),
    )


def _relative(path: Source, seen_from: Path) -> str:
    """A path that stays right when both are moved; a URL as it is."""
    if isinstance(path, Bucket):
        return path.url
    return Path(os.path.relpath(path, seen_from)).as_posix()


def rows_digest(pictures: Sequence[Picture], covers: str) -> str:
    """sha256 over (path, digest of the bytes, label, split, repeat, weight) of every picture, sorted by path."""
    digest = hashlib.sha256()
    for one in sorted(pictures, key=lambda picture: picture.path):
        content = one.sha256 if covers == "exact" else one.source_sha256
        row = [one.path, content, one.label, one.split, one.repeat, one.weight]
        digest.update(json.dumps(row, ensure_ascii=True).encode() + b"\n")
    return digest.hexdigest()


def is_lock(source: str | Path) -> bool:
    """Whether a path is meant as a lock file: a file, or a name that ends in .lock where there is no folder."""
    path = Path(source)
    return path.is_file() or (path.suffix == ".lock" and not path.is_dir())


def read_lock(file: Path) -> Lock:
    """What a lock file says. Raises SourceError when it is missing, damaged or of a newer format."""
    remedy = "Take it from the repository's history again, or write it anew: curate pin DIR -o curate.lock"
    try:
        said = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise SourceError(
            f"There is no lock file {str(file)!r}.", "Write one: curate pin DIR -o curate.lock"
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise SourceError(f"The lock file {str(file)!r} can't be read: {error}.", remedy) from error
    if isinstance(said, dict) and isinstance(said.get("format"), int) and said["format"] > LOCK_FORMAT:
        raise SourceError(
            f"The lock file {str(file)!r} has format {said['format']}; this curate knows formats up to {LOCK_FORMAT}.",
            "Update it: pip install --upgrade curate",
        )
    try:
        return Lock.model_validate(said)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        where = ".".join(map(str, problem["loc"])) or "the whole"
        raise SourceError(f"The lock file {str(file)!r} is damaged: {where}: {problem['msg']}.", remedy) from error


def open_lock(
    file: Path, *, folder: str | Path | None = None, store: str | Path | None = None, network: bool = False
) -> Release:
    """The release that a lock file pins; every row is compared, no picture is read.

    folder: the image folder on this machine; None takes the environment variable CURATE_FOLDER, else what the lock
    says. Raises StoreError, saying what differs, when the version is not what was pinned.
    """
    lock = read_lock(file)
    project = _project_of(lock, file, folder, store, network)
    project.require_store()
    same = [one for one in versions.read_versions(project.versions) if one.id == lock.id]
    if not same:
        raise _differs(file, project, _other_version(lock, project))
    # Weights and the encoding of pictures are no part of the id: several versions may have it, the pinned one first.
    same.sort(key=lambda one: (one.name != lock.version, -one.number))
    problems = []
    for one in same:
        release = open_release(project, one.name)
        differences = _differences(lock, release)
        if not differences:
            return release
        problems.append(differences[0])
    raise _differs(file, project, problems[0])


def _project_of(lock: Lock, file: Path, folder: str | Path | None, store: str | Path | None, network: bool) -> Project:
    base = Path(os.path.abspath(file)).parent
    elsewhere = folder or os.environ.get(FOLDER_VARIABLE)
    pinned_store = base / lock.store if lock.store and not elsewhere else None
    pinned = lock.dataset if is_remote(lock.dataset) else base / lock.dataset
    return Project.at(elsewhere or pinned, store or pinned_store, network=network)


def _other_version(lock: Lock, project: Project) -> str:
    there = [one for one in versions.read_versions(project.versions) if one.name == lock.version]
    if not there:
        return f"there is no version with the id {lock.id[:12]}, and no {lock.version}"
    return f"{lock.version} was pinned with the id {lock.id[:12]} and has the id {there[0].id[:12]} here"


def _differences(lock: Lock, release: Release) -> list[str]:
    """What of a release is not as it was pinned, in words."""
    now = _lock_of(release, Path(), lock.bytes)
    words = []
    for name in ("pictures", "classes", "splits", "transform"):
        pinned, found = getattr(lock, name), getattr(now, name)
        if pinned != found:
            words.append(f"{name}: pinned {_short(pinned)}, found {_short(found)}")
    if versions.version_id(release.table, release.version.transform) != lock.id:
        words.append("the version's rows don't give the id that it has: its files were changed")
    if now.rows != lock.rows:
        made_anew = lock.bytes == "exact" and bool(lock.transform) and not words
        words.append(
            "the normalized pictures have other bytes than were pinned, though sources and transform are the same: "
            "other releases of the image libraries made them (see `curate pin --sources`)"
            if made_anew
            else "the rows have other labels, splits, weights or bytes than were pinned"
        )
    # Means are sums of the same pixels; other decoders may differ in the last bits of some.
    for name in ("mean", "std"):
        pinned, found = getattr(lock, name), getattr(now, name)
        tolerance = 1e-9 if lock.bytes == "exact" else 1e-3
        if len(pinned) != len(found) or not all(abs(a - b) <= tolerance for a, b in zip(pinned, found, strict=True)):
            words.append(f"{name}: pinned {_short(pinned)}, found {_short(found)}")
    return words


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else f"{text[:79]}…"


def _differs(file: Path, project: Project, what: str) -> StoreError:
    return StoreError(
        f"{str(project.folder)!r} is not what {str(file)!r} pins: {what}.",
        f"Bring that version back, or pin another: curate pin {project.folder} -o {file}",
    )


@dataclass(frozen=True)
class LockVerification:
    """Whether a pinned version is still what it was, to the byte.

    differences: what is not as pinned, in words. damaged: path -> what is wrong with its bytes. checked: pictures read.
    """

    lock: Lock
    folder: Source
    checked: int
    differences: list[str] = field(default_factory=list)
    damaged: dict[str, str] = field(default_factory=dict)

    @property
    def intact(self) -> bool:
        """Nothing differs."""
        return not (self.differences or self.damaged)

    def as_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {**asdict(self), "lock": self.lock.model_dump(), "folder": str(self.folder), "intact": self.intact}


def verify_lock(
    file: str | Path,
    *,
    folder: str | Path | None = None,
    store: str | Path | None = None,
    network: bool = False,
    progress: Progress = silent,
) -> LockVerification:
    """Compare a version with its lock file, and read and hash every picture of it.

    Raises SourceError when the lock file can't be used; what differs is in the result.
    """
    lock = read_lock(Path(file))
    project = _project_of(lock, Path(file), folder, store, network)
    try:
        release = open_lock(Path(file), folder=folder, store=store, network=network)
    except StoreError as error:
        return LockVerification(lock, project.folder, 0, [str(error)])
    damaged = {}
    with progress("Verifying", len(release.pictures)) as advance:
        for picture in release.pictures:
            try:
                release.find(picture)
            except StoreError as error:
                damaged[picture.path] = str(error)
            advance(1, size_bytes=picture.size_bytes, errors=picture.path in damaged)
    return LockVerification(lock, project.folder, len(release.pictures), [], damaged)
