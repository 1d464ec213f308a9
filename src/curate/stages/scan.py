"""Scan: one row per file of the folder, with what the file system says of it.

Hidden files and folders are skipped; symbolic links are followed when they lead to a file inside the folder and
reported when they don't. Files that are plainly no pictures (`labels.csv`, `notes.txt`) get a row too, so that
every file is accounted for, but nobody opens them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from curate.errors import SourceError
from curate.paths import to_text
from curate.sources import Bucket, Source, objects_in

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

# Pictures, of kinds we read and kinds we don't: a file of this name that is no picture counts as a faulty
# picture, any other file that is none as one of the "other files".
IMAGE_EXTENSIONS = frozenset(
    """jpg jpeg jpe jfif jif png apng webp gif bmp dib tif tiff jp2 j2k jpf jpx jpm jpc j2c avif avifs
    heic heif jxl tga psd dds ico icns ppm pgm pbm pnm pfm sgi rgb bw pcx svg eps exr hdr xbm xpm fits qoi
    raw cr2 cr3 nef nrw arw orf rw2 dng raf""".split()
)
# Companions of pictures in data sets: never opened.
OTHER_EXTENSIONS = frozenset(
    """txt md rst csv tsv json jsonl ndjson xml yaml yml toml ini cfg html htm css js py ipynb sh log
    parquet feather arrow npy npz pkl h5 hdf5 mat db sqlite tar gz tgz zip 7z rar bz2 xz
    mp4 mov avi mkv webm mp3 wav doc docx xls xlsx ppt pptx pdf""".split()
)


@dataclass
class Scan:
    """What is in the folder.

    rows: one per file, in alphabetical order of path. skipped: path -> why it has no row.
    """

    rows: list[FoundFile] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)

    def table(self) -> pd.DataFrame:
        """The first columns of the manifest: path, size_bytes, and what tells whether a file has changed."""
        import pandas as pd
        import pyarrow as pa

        paths, *numbers = zip(*self.rows, strict=True) if self.rows else [()] * 4
        table = pd.DataFrame({"path": pd.Series(pa.array(paths, pa.large_string()), dtype="str")})
        types = {"size_bytes": "Int64", "mtime_ns": "int64", "inode": "uint64"}
        values = {name: pd.Series(one, dtype=types[name]) for name, one in zip(types, numbers, strict=True)}
        return table.assign(**values)


class FoundFile(NamedTuple):  # which takes a third of the time that a dataclass does
    """One file: its path as in the table, and what `stat` says."""

    path: str
    size_bytes: int
    mtime_ns: int
    inode: int


def scan_source(source: Source) -> Scan:
    """Every picture of a folder or a bucket, as `scan_folder`. Raises SourceError, StoreError."""
    return _scan_bucket(source) if isinstance(source, Bucket) else scan_folder(source)


def _scan_bucket(bucket: Bucket) -> Scan:
    """Every object below the prefix, hidden ones left out. What else a storage knows of an object is forgotten."""
    result = Scan()
    for one in objects_in(bucket):
        parts, path = set(one.name.split("/")), to_text(one.name)
        if parts.intersection((".", "..")):
            result.skipped[path] = 'a key with ".", which can\'t be the path of a file'
        elif not any(part.startswith(".") for part in parts):
            result.rows.append(FoundFile(path, *astuple(one.status)))
    result.rows.sort()
    return result


def scan_folder(folder: Path) -> Scan:
    """Every file below the folder, hidden ones left out.

    Raises SourceError when the folder is missing, is no folder, or can't be listed.
    """
    _require_folder(folder)
    result = Scan()
    root = os.path.realpath(folder)
    for entry, relative in _entries(root, result.skipped):
        found = _found_file(entry, relative, root, result.skipped)
        if found is not None:
            result.rows.append(found)
    result.rows.sort()
    return result


def is_other_file(path: str) -> bool:
    """Whether the name says that nobody would expect a picture here."""
    return _extension(path) in OTHER_EXTENSIONS


def other_files(paths: pd.Series[str]) -> NDArray[np.bool_]:
    """`is_other_file` of each path, (N,)."""
    import numpy as np
    import pyarrow.compute as pc

    from curate.rows import as_arrow

    # As `os.path.splitext`: dots that a name begins with begin no extension.
    pattern = rf"(^|/)\.*[^/.][^/]*\.({'|'.join(sorted(OTHER_EXTENSIONS))})$"
    return np.asarray(pc.match_substring_regex(as_arrow(paths), pattern, ignore_case=True))


def looks_like_image_name(path: str) -> bool:
    """Whether the name promises a picture, readable or not."""
    return _extension(path) in IMAGE_EXTENSIONS


def _extension(path: str) -> str:
    return os.path.splitext(path)[1][1:].lower()


def _require_folder(folder: Path) -> None:
    if not os.path.exists(folder):
        raise SourceError(f"There is no folder {str(folder)!r}.", "Check the spelling, or give an absolute path.")
    if not os.path.isdir(folder):
        raise SourceError(
            f"{str(folder)!r} is a file; expected a folder of images.", f"Try: curate clean {folder.parent}"
        )
    try:
        os.scandir(folder).close()
    except OSError as error:
        hint = f"Try: chmod u+rx {folder}" if isinstance(error, PermissionError) else ""
        raise SourceError(f"The folder {str(folder)!r} can't be listed: {error.strerror}.", hint) from error


def _entries(root: str, skipped: dict[str, str]) -> Iterator[tuple[os.DirEntry[str], str]]:
    """Every non-hidden file below a directory with its relative path; folders that can't be read are noted."""
    folders = [(root, "")]  # a list, as recursion ends at a thousand levels
    while folders:
        directory, prefix = folders.pop()
        try:
            with os.scandir(directory) as listing:
                entries = [entry for entry in listing if not entry.name.startswith(".")]
        except OSError as error:
            skipped[to_text(prefix.rstrip("/"))] = f"folder can't be listed: {error.strerror}"
            continue
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                folders.append((entry.path, f"{prefix}{entry.name}/"))
            else:
                yield entry, prefix + entry.name


def _found_file(entry: os.DirEntry[str], relative: str, root: str, skipped: dict[str, str]) -> FoundFile | None:
    path = to_text(relative)
    try:
        if entry.is_symlink():
            reason = _why_not_followed(entry.path, root)
            if reason:
                skipped[path] = reason
                return None
        elif not entry.is_file():
            skipped[path] = "not a regular file"  # a socket, a pipe: opening it could block for ever
            return None
        status = entry.stat()
    except OSError:
        return FoundFile(path, 0, 0, 0)  # gone or refused since it was listed: reading it will say which
    return FoundFile(path, status.st_size, status.st_mtime_ns, status.st_ino)


def _why_not_followed(link: str, root: str) -> str:
    target = os.path.realpath(link)
    if os.path.commonpath([target, root]) != root:
        return "symbolic link that leaves the folder"
    if os.path.isdir(target):
        return "symbolic link to a folder"  # its files are scanned where they are
    if not os.path.exists(target):
        return "symbolic link to nothing"
    return "" if os.path.isfile(target) else "not a regular file"
