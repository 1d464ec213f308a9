"""Which new files there are, and which of them are whole.

A file that somebody is still writing must wait. No system tells for certain when a file is finished, so three signs are
asked: it has a name of a finished file, it has not changed for a while, and, if it is a young picture, it ends where
its own bytes say that it ends. What stays cut off for longer than PATIENCE_S is taken as it is: it is damaged.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from curate.errors import SourceError, UnreadableImage
from curate.imaging import open_image
from curate.paths import to_text
from curate.stages.scan import is_other_file

SETTLED_S = 2.0  # without a change; the time stamps of FAT are two seconds apart
PATIENCE_S = 60.0  # then a picture that is cut off counts as damaged; TCP gives up on a silent sender later than that
# What browsers, rsync, curl, Dropbox and friends call a file that they have not finished.
UNFINISHED = (".part", ".partial", ".tmp", ".temp", ".crdownload", ".download", ".filepart", ".swp", ".opdownload")


@dataclass(frozen=True)
class NewFile:
    """A file that came. below: its path relative to what people named, as text; its name if they named the file."""

    file: str
    below: str
    size_bytes: int
    mtime_ns: int


@dataclass(frozen=True)
class Arrived:
    """What there is. whole: files to take, by path. waiting: path -> why it is not whole yet. other: no pictures."""

    whole: Sequence[NewFile]
    waiting: dict[str, str]
    other: Sequence[str]


def look_for(sources: Sequence[Path], folder: Path, store: Path, patience_s: float = PATIENCE_S) -> Arrived:
    """Every file of these files and folders, hidden ones left out.

    folder: of images, which they are to be added to. Raises SourceError for a source that is missing, or that lies in
    the folder of images or in the store.
    """
    whole: list[NewFile] = []
    waiting: dict[str, str] = {}
    other: list[str] = []
    for source in sources:
        _require_outside(source, folder, store)
        for found in _files(source):
            if is_other_file(found.below):
                other.append(found.file)
            elif why := why_not_whole(found, patience_s):
                waiting[found.file] = why
            else:
                whole.append(found)
    return Arrived(sorted(whole, key=lambda one: one.file), waiting, sorted(other))


def why_not_whole(found: NewFile, patience_s: float = PATIENCE_S) -> str:
    """Why a file is not to be taken yet; "" = it is whole, or will not get any better."""
    if found.below.lower().endswith(UNFINISHED):
        return "it has the name of an unfinished file"
    age_s = time.time() - found.mtime_ns / 1e9
    if 0 <= age_s < SETTLED_S:
        return "it changed a moment ago"
    if 0 <= age_s < patience_s and _is_cut_off(found.file):
        return "it ends too early for a picture"
    return ""


def _is_cut_off(file: str) -> bool:
    try:
        data = Path(file).read_bytes()
        open_image(data)
    except UnreadableImage as error:
        return error.reason in ("truncated", "empty")
    except OSError:
        return False  # gone, or not to be read: copying it will say which
    return False


def _require_outside(source: Path, folder: Path, store: Path) -> None:
    if not os.path.lexists(source):
        raise SourceError(f"There is no file or folder {str(source)!r}.", "Check the spelling.")
    real = Path(os.path.realpath(source))
    for inside in (folder, store):
        if real.is_relative_to(os.path.realpath(inside)):
            raise SourceError(f"{str(source)!r} lies in {str(inside)!r} already.", f"Run: curate clean {folder}")
        if Path(os.path.realpath(inside)).is_relative_to(real):
            raise SourceError(
                f"{str(inside)!r} lies in {str(source)!r}, which would be added to itself.", "Name the new files alone."
            )


def _files(source: Path) -> Iterator[NewFile]:
    root = os.path.abspath(source)
    if not os.path.isdir(root):
        yield from _new_file(root, os.path.basename(root))
        return
    for folder, below, names in os.walk(root):
        below[:] = sorted(name for name in below if not name.startswith("."))
        for name in sorted(names):
            file = os.path.join(folder, name)
            if not name.startswith("."):
                yield from _new_file(file, os.path.relpath(file, root))


def _new_file(file: str, below: str) -> Iterator[NewFile]:
    try:
        status = os.stat(file)
    except OSError:
        return  # gone since it was listed, or a link to nothing
    if os.path.isfile(file):
        yield NewFile(file, to_text(below.replace(os.sep, "/")), status.st_size, status.st_mtime_ns)
