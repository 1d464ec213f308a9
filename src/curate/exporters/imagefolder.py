"""A folder per class, as torchvision, Keras, timm and Ultralytics read it, with a manifest beside the folders.

    OUT/cats/2020/IMG_1.jpg       the path below the source's class folder stays; `_unlabeled` for no label
    OUT/manifest.csv, .parquet    every row of the version, dropped ones too, with `exported_path`

The export is made under a temporary name and renamed when it is whole, so that a kill leaves no half export.
"""

from __future__ import annotations

import glob
import os
import posixpath
import re
import shutil
from collections import Counter
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING

from curate import versions
from curate.errors import SourceError, StoreError
from curate.files import explained, sync, write_parquet
from curate.objects import Method, find_bytes, place
from curate.paths import to_file_name
from curate.pipeline import in_order
from curate.progress import Progress, silent
from curate.project import Project
from curate.stages.labels import UNLABELED

if TYPE_CHECKING:
    import pandas as pd

# Characters that no file name may have on Windows or Linux, and "%" itself, so that the escape is reversible.
_UNSAFE = re.compile(r'[\x00-\x1f<>:"/\\|?*%]|[. ]$|^\.')
_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?")  # device names of Windows


@dataclass(frozen=True)
class Exported:
    """What was written. method: how most files got their bytes: "reflink", "hard link" or "copy"."""

    out: Path
    version: str
    images: int
    classes: int
    method: str


def export(
    folder: str | Path,
    out: str | Path,
    version: str | None = None,
    *,
    copy: bool = False,
    store: str | Path | None = None,
    progress: Progress = silent,
) -> Exported:
    """Write the kept pictures of a version to a new folder.

    copy: make independent files even where links would do. Every file's bytes are hashed first.
    Raises SourceError when `out` exists, or when a picture no longer has the bytes of the version.
    """
    project = Project.at(folder, store)
    project.require_store()
    found = versions.find_version(project.versions, version)
    table = in_order(versions.read_table(project.versions, found))
    table = table.assign(exported_path=exported_paths(table))
    target = _free_target(Path(out), project)
    _remove_killed(target)
    draft = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        with explained(target):
            methods = _write(project, table[table["keep"]], draft, copy, progress)
            _write_manifest(table, draft)
            draft.rename(target)
            sync(target.parent)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    classes = table["exported_path"].dropna().str.split("/").str[0].nunique()
    method = methods.most_common(1)[0][0] if methods else "copy"
    return Exported(target, found.name, sum(methods.values()), classes, method)


def exported_paths(table: pd.DataFrame) -> pd.Series[str]:
    """Where each kept row goes, NA for dropped ones: class folder, then the path below the source's class folder.

    Two rows that would meet (a relabelled picture and one of the same name there; names that differ only in
    case) get distinct names by the beginning of their sha256.
    """
    import pandas as pd

    paths: list[str | None] = []
    taken: set[str] = set()
    for path, label, final, keep, sha256 in zip(
        table["path"], table["label"], table["final_label"], table["keep"], table["sha256"], strict=True
    ):
        if not keep:
            paths.append(None)
            continue
        name = posixpath.join(safe_name(final) if isinstance(final, str) else UNLABELED, _below_class(path, label))
        paths.append(_untaken(name, sha256, taken))
    return pd.Series(paths, index=table.index, dtype="str")


def _untaken(name: str, sha256: str, taken: set[str]) -> str:
    """The name, or a variant that nobody has taken; `taken` gets it."""
    stem, extension = posixpath.splitext(name)
    marks = chain(["", f"-{sha256[:12]}"], (f"-{sha256[:12]}-{number}" for number in count(2)))
    free = next(f"{stem}{mark}{extension}" for mark in marks if f"{stem}{mark}{extension}".casefold() not in taken)
    taken.add(free.casefold())
    return free


def safe_name(label: str) -> str:
    """The label as a folder name on any system; `urllib.parse.unquote` gives the label back."""
    escaped = _UNSAFE.sub(lambda match: "".join(f"%{byte:02X}" for byte in match[0].encode()), label)
    return f"%{ord(escaped[0]):02X}{escaped[1:]}" if _RESERVED.fullmatch(escaped) else escaped


def _below_class(path: str, label: object) -> str:
    """cats/2020/1.jpg -> 2020/1.jpg when the first folder is the label; else the whole path."""
    first, _, rest = path.partition("/")
    return rest if rest and first in (label, UNLABELED) else path


def _free_target(out: Path, project: Project) -> Path:
    target = Path(os.path.abspath(out))
    if Path(os.path.realpath(target)).is_relative_to(os.path.realpath(project.folder)):
        raise SourceError(
            f"{str(out)!r} lies inside the image folder, which curate never changes.", "Export elsewhere."
        )
    if os.path.lexists(target) and not _is_empty_folder(target):
        raise SourceError(f"{str(out)!r} exists already.", "Give a new name, or remove it first.")
    return target


def _is_empty_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink() and not any(path.iterdir())


def _remove_killed(target: Path) -> None:
    """Remove what earlier exports to the same place left when they were killed."""
    for draft in target.parent.glob(f".{glob.escape(target.name)}.*.tmp"):
        try:
            os.kill(int(draft.suffixes[-2][1:]), 0)  # signal 0 only asks whether the process exists
        except ProcessLookupError:
            shutil.rmtree(draft, ignore_errors=True)
        except (ValueError, IndexError, OverflowError, PermissionError):
            continue  # not ours, or alive


def _write(project: Project, kept: pd.DataFrame, draft: Path, copy: bool, progress: Progress) -> Counter[Method]:
    methods: Counter[Method] = Counter()
    allowed: tuple[Method, ...] = ("copy",) if copy else ("reflink", "hard link", "copy")
    draft.mkdir(parents=True)
    with progress("Exporting", len(kept)) as advance:
        for path, sha256, name in zip(kept["path"], kept["sha256"], kept["exported_path"], strict=True):
            source = find_bytes(project, path, sha256)
            if source is None:
                raise StoreError(
                    f"{path!r} is gone or has other bytes than in this version.",
                    f"See: curate verify {project.folder}",
                )
            target = draft / to_file_name(name)
            target.parent.mkdir(parents=True, exist_ok=True)
            method = place(source, target, allowed)
            assert method is not None  # copying always works
            methods[method] += 1
            advance(1)
    return methods


def _write_manifest(table: pd.DataFrame, draft: Path) -> None:
    import pyarrow as pa

    table.to_csv(draft / "manifest.csv", index=False)
    write_parquet(draft / "manifest.parquet", pa.Table.from_pandas(table, preserve_index=False))
