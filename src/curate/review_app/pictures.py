"""Pictures for the page: drawn anew from the pixels as JPEG, so that nothing but pixels leaves, and all are upright."""

from __future__ import annotations

import hashlib
import math
import os
import threading
from collections import OrderedDict
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from stat import S_ISREG
from typing import Literal, get_args

from curate.errors import CurateError, UnreadableImage
from curate.imaging import open_image
from curate.objects import places_of
from curate.project import Project
from curate.sources import is_url, read_file

Size = Literal["screen", "thumb"]
SIZES: tuple[str, ...] = get_args(Size)
LONG_SIDE_PX = {"screen": 1600, "thumb": 256}  # a laptop's screen at twice the zoom; a tile on a dense screen
JPEG_QUALITY = {"screen": 88, "thumb": 80}  # above, files grow and nobody sees why
MOST_BYTES = 64 * 1024 * 1024  # some 200 screens: whoever goes back a few pictures does not wait


@dataclass(frozen=True)
class Wanted:
    """A picture as the version knows it. width, height: upright, in px."""

    path: str
    sha256: str
    size_bytes: int
    width: int
    height: int


class NoPicture(Exception):
    """There is nothing to show, and why."""


class Pictures:
    """Encoded pictures of a project, the newest few kept in memory."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._kept: OrderedDict[tuple[str, str], bytes] = OrderedDict()
        self._kept_bytes = 0
        self._lock = threading.Lock()
        # Each decoder may need half a gigabyte for the largest pictures, and has a core for itself.
        self._decoding = threading.BoundedSemaphore(max(1, min(4, os.cpu_count() or 1)))

    def get(self, wanted: Wanted, size: Size) -> bytes:
        """A JPEG of the picture with exactly these bytes. Raises NoPicture when they are gone or can't be read."""
        key = (wanted.sha256, size)
        with self._lock:
            if (known := self._kept.get(key)) is not None:
                self._kept.move_to_end(key)
                return known
        with self._decoding:
            drawn = _drawn(self._read(wanted), wanted, LONG_SIDE_PX[size], JPEG_QUALITY[size])
        self._keep(key, drawn)
        return drawn

    def _read(self, wanted: Wanted) -> bytes:
        """The bytes, from the store's own copy or the source. What else lies there now is neither read nor shown."""
        why = "Its file is gone."
        for file in places_of(self._project, wanted.path, wanted.sha256):
            try:
                if _may_be(file, wanted):
                    data, _ = read_file(file)
                    if hashlib.sha256(data).hexdigest() == wanted.sha256:
                        return data
                why = "Its file has changed since."
            except FileNotFoundError:
                continue
            except OSError as error:
                why = f"Its file can't be read: {error.strerror or error}."
            except CurateError as error:  # the storage can't be reached
                why = str(error)
        raise NoPicture(why)

    def _keep(self, key: tuple[str, str], drawn: bytes) -> None:
        with self._lock:
            self._kept_bytes += len(drawn) - len(self._kept.get(key, b""))
            self._kept[key] = drawn
            while self._kept_bytes > MOST_BYTES:
                _, forgotten = self._kept.popitem(last=False)
                self._kept_bytes -= len(forgotten)


def _may_be(file: str | Path, wanted: Wanted) -> bool:
    """False where the size tells already; and opening a pipe could block for ever."""
    if is_url(file):
        return True
    found = os.stat(file)
    return S_ISREG(found.st_mode) and found.st_size == wanted.size_bytes


def _drawn(data: bytes, wanted: Wanted, long_side_px: int, quality: int) -> bytes:
    from PIL import Image

    shorter, longer = sorted((wanted.width, wanted.height))
    try:
        picture = open_image(data, math.ceil(long_side_px * shorter / max(longer, 1))).picture
    except UnreadableImage as error:
        raise NoPicture(f"It can't be read: {error.reason}.") from error
    picture.thumbnail((long_side_px, long_side_px), Image.Resampling.LANCZOS)
    buffer = BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()
