"""Small pictures for a page, as data URIs.

They are drawn anew from the pixels, so no EXIF data (places, serial numbers) leaves with them and all are upright.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from io import BytesIO

from PIL import Image

from curate.errors import UnreadableImage
from curate.executors import quiet_c_libraries
from curate.imaging import open_image
from curate.objects import find_bytes
from curate.progress import Progress, silent
from curate.project import Project
from curate.sources import USUAL_BYTES, read_ahead

LONG_SIDE_PX = 192  # shown at about 160 px, a little more for dense screens
WEBP_QUALITY = 72  # 3.6 kB each; JPEG needs 5.8 kB at this size to look the same


@dataclass(frozen=True)
class Thumbnail:
    """A picture in a page. width, height: in px."""

    uri: str
    width: int
    height: int


def make_thumbnails(
    project: Project, wanted: Iterable[tuple[str, str]], progress: Progress = silent
) -> dict[str, Thumbnail]:
    """sha256 -> thumbnail of each wanted (path, sha256) whose bytes can still be found and read."""
    paths: dict[str, set[str]] = {}
    for path, sha256 in wanted:
        paths.setdefault(sha256, set()).add(path)
    thumbnails = {}
    contents = [_Content(str(project.folder), sha256, tuple(sorted(copies))) for sha256, copies in paths.items()]
    with progress("Thumbnails", len(paths)) as advance:
        for sha256, data in zip(paths, read_ahead(partial(_bytes_of, project), contents), strict=True):
            thumbnail = _thumbnail(data) if data is not None else None
            if thumbnail:
                thumbnails[sha256] = thumbnail
            advance(1, errors=thumbnail is None)
    return thumbnails


@dataclass(frozen=True, slots=True)
class _Content:
    """Bytes to find. file: of the folder or bucket that holds the copies."""

    file: str
    sha256: str
    copies: tuple[str, ...]
    size_bytes: int = USUAL_BYTES


def _bytes_of(project: Project, content: _Content) -> bytes | None:
    # Any copy will do: where one is gone, another has the same bytes.
    found = (find_bytes(project, path, content.sha256) for path in content.copies)
    return next((data for data in found if data is not None), None)


def _thumbnail(data: bytes) -> Thumbnail | None:
    try:
        with quiet_c_libraries():
            picture = open_image(data).picture
    except UnreadableImage:  # another Pillow can't read it any more
        return None
    picture.thumbnail((LONG_SIDE_PX, LONG_SIDE_PX), Image.Resampling.LANCZOS)
    buffer = BytesIO()
    picture.save(buffer, "WEBP", quality=WEBP_QUALITY)
    return Thumbnail(f"data:image/webp;base64,{b64encode(buffer.getvalue()).decode()}", *picture.size)
