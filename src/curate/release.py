"""A version as it leaves the store: what exporters write and training code loads.

A picture's bytes are those that `curate normalize` made, where the version has them, else those of the source. They
are hashed whenever they are read, so that nobody trains on a file that has changed since.
"""

from __future__ import annotations

import hashlib
import posixpath
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate import versions
from curate.errors import StoreError
from curate.names import safe_names, safe_path, untaken
from curate.objects import Method, digest_of, object_path, place, places_of
from curate.paths import to_file_name
from curate.pipeline import in_order
from curate.project import Project
from curate.sources import AHEAD_BYTES, Bucket, is_url, read_file
from curate.stages.labels import SPLIT_NAMES, UNLABELED
from curate.storage import WORKERS
from curate.versions import Version

if TYPE_CHECKING:
    import pandas as pd

SPLITS = ("train", "val", "test")  # in this order; splits of other names follow
EXTENSIONS = {"JPEG": ".jpg", "PNG": ".png", "WEBP": ".webp"}  # of what `normalize` writes
FREE_METHODS: tuple[Method, ...] = ("reflink", "hard link", "copy")


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture of a release.

    path: that of its row. name: "class folder/file", a safe relative path that no other picture of the release has,
    also where case is ignored; "_unlabeled/file" without a label. sha256, width, height, size_bytes, format: of the
    bytes that leave, upright as a viewer shows it. label_index: place of the label among the release's classes.
    split: "train", "val", "test" or another name; None if there is none. repeat: how often training sees it.
    weight: of its loss. id: the same for the same path in every version, 0 to 2**53 - 1.
    """

    path: str
    name: str
    sha256: str
    source_sha256: str
    label: str | None
    label_index: int | None
    split: str | None
    width: int
    height: int
    size_bytes: int
    format: str
    repeat: int
    weight: float
    id: int

    @property
    def file_name(self) -> str:
        """The name without the class folder."""
        return self.name.partition("/")[2]


@dataclass(frozen=True)
class Release:
    """A version, ready to be written in any format.

    name: of the image folder. table: the whole manifest, dropped rows too. pictures: the kept ones, sorted by path.
    classes: their labels, sorted; index = label_index. folders: label -> safe folder name. splits: those that occur,
    train, val, test first. left_out: path -> why a kept picture is not among the pictures.
    allowed: ways in which `put` may make files. placed: how often it used each.
    """

    project: Project
    name: str
    version: Version
    table: pd.DataFrame
    pictures: Sequence[Picture]
    classes: Sequence[str]
    folders: dict[str, str]
    splits: Sequence[str]
    left_out: dict[str, str]
    allowed: tuple[Method, ...] = FREE_METHODS
    placed: Counter[Method] = field(default_factory=Counter)

    def read(self, picture: Picture) -> bytes:
        """The picture's bytes. Raises StoreError when they are gone or no longer those of the version."""
        data = self._ahead.read(picture) if self._ahead is not None else self._read(picture)
        if data is None:
            raise self._gone(picture)
        return data

    def expect(self, pictures: Sequence[Picture]) -> None:
        """Tell that these are read next, in this order, if it is another one than that of `pictures`."""
        if self._ahead is not None:
            self._ahead.expect(pictures)

    def _read(self, picture: Picture) -> bytes | None:
        for candidate in self._candidates(picture):
            try:
                data, _ = read_file(candidate)
            except OSError:
                continue
            if hashlib.sha256(data).hexdigest() == picture.sha256:
                return data
        return None

    @cached_property
    def _ahead(self) -> _Ahead | None:
        """Where pictures come from a bucket: the next ones, on their way."""
        return _Ahead(self.pictures, self._read) if isinstance(self.project.folder, Bucket) else None

    def put(self, picture: Picture, target: Path) -> None:
        """Make `target` a file with the picture's bytes, and the folders above it. Raises StoreError as `read` does."""
        target.parent.mkdir(parents=True, exist_ok=True)
        found = self.find(picture)
        method: Method | None = "copy"
        if isinstance(found, bytes):
            target.write_bytes(found)
        else:
            method = place(found, target, self.allowed)
        assert method is not None  # copying always works
        self.placed[method] += 1

    def find(self, picture: Picture) -> Path | bytes:
        """A file that has the picture's bytes now; of a bucket the bytes. Raises StoreError as `read` does."""
        for candidate in self._candidates(picture):
            try:
                if is_url(candidate):
                    return self.read(picture)
                if digest_of(candidate) == picture.sha256:
                    return Path(candidate)
            except OSError:
                continue
        raise self._gone(picture)

    def _candidates(self, picture: Picture) -> Iterator[str | Path]:
        if picture.sha256 != picture.source_sha256:  # normalized: the source has other bytes
            yield object_path(self.project, picture.sha256)
        else:
            yield from places_of(self.project, picture.path, picture.sha256)

    def _gone(self, picture: Picture) -> StoreError:
        return StoreError(
            f"{picture.path!r} is gone or has other bytes than in {self.version.name}.",
            f"See: curate verify {self.project.folder}",
        )


class _Ahead:
    """Reads pictures of a bucket, and meanwhile those that come next. What nobody expected is read when asked for."""

    def __init__(self, pictures: Sequence[Picture], read: Callable[[Picture], bytes | None]) -> None:
        self._read = read
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="curate-read")
        self._under_way: dict[str, Future[bytes | None]] = {}
        self._bytes = 0
        self.expect(pictures)

    def expect(self, pictures: Sequence[Picture]) -> None:
        """These are asked for next, in this order."""
        self._following = {before.path: after for before, after in pairwise(pictures)}

    def read(self, picture: Picture) -> bytes | None:
        """The picture's bytes; None where they are gone or others."""
        found = self._under_way.pop(picture.path, None)
        self._bytes -= picture.size_bytes if found is not None else 0
        following = self._following.get(picture.path)
        for _ in range(WORKERS):
            if following is None or self._bytes + following.size_bytes > AHEAD_BYTES:
                break
            self._fetch(following)
            following = self._following.get(following.path)
        return self._read(picture) if found is None else found.result()

    def _fetch(self, picture: Picture) -> None:
        if picture.path not in self._under_way:
            self._under_way[picture.path] = self._pool.submit(self._read, picture)
            self._bytes += picture.size_bytes


def open_release(
    project: Project,
    version: str | None = None,
    *,
    split: str | None = None,
    allowed: tuple[Method, ...] = FREE_METHODS,
) -> Release:
    """The release of a version (None: the newest); split: only its pictures.

    Raises VersionNotFound; StoreError when pictures of a normalized version have not been normalized.
    """
    found = versions.find_version(project.versions, version)
    table = in_order(versions.read_table(project.versions, found))
    kept = table[table["keep"]]
    _require_outputs(project, found, kept)
    used = kept["repeat"].fillna(1).ne(0) if "repeat" in kept else kept["keep"]
    left_out = dict.fromkeys(kept.loc[~used, "path"], "repeat is 0: rebalancing left it out")
    classes = sorted(kept.loc[used, "final_label"].dropna().unique())
    folders = safe_names(classes)
    pictures = pictures_of(kept[used], classes, folders, normalized=bool(found.transform))
    occurring = {one.split for one in pictures if one.split is not None}
    return Release(
        project=project,
        name=project.folder.name or "images",
        version=found,
        table=table,
        pictures=[one for one in pictures if split is None or one.split == split],
        classes=classes,
        folders=folders,
        splits=[*(one for one in SPLITS if one in occurring), *sorted(occurring.difference(SPLITS))],
        left_out=left_out,
        allowed=allowed,
    )


def _require_outputs(project: Project, version: Version, kept: pd.DataFrame) -> None:
    if not version.transform:
        return
    missing = kept.loc[kept["output_sha256"].isna(), "path"] if "output_sha256" in kept else kept["path"]
    if len(missing):
        raise StoreError(
            f"{len(missing):,} kept pictures of {version.name} are not normalized yet, "
            f"for example {missing.iloc[0]!r}.",
            f"Run: curate normalize {project.folder}",
        )


def pictures_of(kept: pd.DataFrame, classes: Sequence[str], folders: dict[str, str], normalized: bool) -> list[Picture]:
    """The pictures of kept rows, in their order, each under a name of its own."""
    index = {label: place for place, label in enumerate(classes)}
    ids: set[int] = set()
    taken: set[str] = set()
    pictures = []
    rows: Iterable[Any] = _facts(kept, normalized).itertuples(index=False)
    for row in rows:
        label = row.final_label if isinstance(row.final_label, str) else None
        folder = UNLABELED if label is None else folders[label]
        below = safe_path(to_file_name(_below_class(row.path, row.label)))
        if normalized:
            below = posixpath.splitext(below)[0] + EXTENSIONS[row.format]
        pictures.append(
            Picture(
                path=row.path,
                name=untaken(f"{folder}/{below}", row.source_sha256[:12], taken),
                sha256=row.sha256,
                source_sha256=row.source_sha256,
                label=label,
                label_index=None if label is None else index[label],
                split=row.split if isinstance(row.split, str) else None,
                width=int(row.width),
                height=int(row.height),
                size_bytes=int(row.size_bytes),
                format=row.format,
                repeat=int(row.repeat),
                weight=float(row.weight),
                id=_stable_id(row.path, ids),
            )
        )
    return pictures


def _facts(kept: pd.DataFrame, normalized: bool) -> pd.DataFrame:
    """One row per picture, with what is true of the bytes that leave."""
    facts = kept[["path", "label", "final_label"]].assign(
        source_sha256=kept["sha256"],
        split=kept.get("split"),
        repeat=kept["repeat"].fillna(1) if "repeat" in kept else 1,
        weight=kept["weight"].fillna(1.0) if "weight" in kept else 1.0,
    )
    prefix = "output_" if normalized else ""
    return facts.assign(**{name: kept[prefix + name] for name in ("sha256", "width", "height", "size_bytes", "format")})


def _below_class(path: str, label: object) -> str:
    """cats/2020/1.jpg -> 2020/1.jpg when the first folder is the label (or a split, and the next one the label)."""
    parts = path.split("/")
    in_split = len(parts) > 2 and parts[0].lower() in SPLIT_NAMES and parts[1] in (label, UNLABELED)
    if in_split:
        return "/".join(parts[2:])
    return "/".join(parts[1:]) if len(parts) > 1 and parts[0] in (label, UNLABELED) else path


def _stable_id(path: str, taken: set[int]) -> int:
    """53 bits of the path's digest: the largest whole numbers that JavaScript and float64 hold exactly."""
    number = int.from_bytes(hashlib.sha256(path.encode("utf-8", "surrogatepass")).digest()[:8], "big") >> 11
    while number in taken:  # one chance in a thousand among four million pictures
        number = (number + 1) % 2**53
    taken.add(number)
    return number
