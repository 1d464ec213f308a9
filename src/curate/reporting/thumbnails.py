"""Small pictures for a page, as data URIs.

They are drawn anew from the pixels, so no EXIF data (places, serial numbers) leaves with them and all are upright.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from PIL import Image

from curate.errors import UnreadableImage
from curate.executors import quiet_c_libraries
from curate.imaging import open_image
from curate.objects import find_bytes
from curate.progress import Progress, silent
from curate.project import Project

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
    with progress("Thumbnails", len(paths)) as advance:
        for sha256, copies in paths.items():
            # Any copy will do: where one is gone, another has the same bytes.
            file = next(filter(None, (find_bytes(project, path, sha256) for path in sorted(copies))), None)
            thumbnail = _thumbnail(file) if file else None
            if thumbnail:
                thumbnails[sha256] = thumbnail
            advance(1)
    return thumbnails


def _thumbnail(file: Path) -> Thumbnail | None:
    try:
        with quiet_c_libraries():
            picture = open_image(file.read_bytes()).picture
    except (OSError, UnreadableImage):  # it vanished just now, or another Pillow can't read it any more
        return None
    picture.thumbnail((LONG_SIDE_PX, LONG_SIDE_PX), Image.Resampling.LANCZOS)
    buffer = BytesIO()
    picture.save(buffer, "WEBP", quality=WEBP_QUALITY)
    return Thumbnail(f"data:image/webp;base64,{b64encode(buffer.getvalue()).decode()}", *picture.size)
