"""YOLO classification: a folder per split and class, as Ultralytics trains on it.

What it writes: `train/CLASS/FILE`, `val/CLASS/FILE` and `test/CLASS/FILE`; everything in `train` where the version has
no splits. Folders of classes are made safe for every system; `classes.json` beside them gives the label of each.
Folders below a class become part of the file name (`2020/1.jpg` -> `2020_1.jpg`), since Ultralytics counts every folder
as a class. Every split has a folder of every class, an empty one where it has no such picture: Ultralytics numbers the
classes of each split by the folders it finds, so that a missing one would shift the numbers behind it.

How to load it:

    from torchvision.datasets import ImageFolder
    dataset = ImageFolder("OUT/train", allow_empty=True)

    from ultralytics import YOLO
    YOLO("yolo11n-cls.pt").train(data="OUT")

Limits: left out, each with its reason, are unlabelled pictures, pictures whose split is none of train, val and test,
pictures without a split where others have one, and formats that Ultralytics can't open (GIF, JPEG 2000, AVIF):
`curate normalize` turns those into JPEGs. Ultralytics skips pictures of under 10 pixels a side. Object storage and git
keep no empty folders. datumaro reads the folders with `imagenet_with_subset_dirs`, but refuses empty ones. Numbers of
classes follow the names of the folders, which are in another order than those of classes.json where a name had to be
escaped; a note says so.

Source: https://docs.ultralytics.com/datasets/classify/; `torchvision.datasets.ImageFolder`, which Ultralytics loads
the folders with.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from pathlib import Path

from curate.exporters import Exporter, ExporterSettings, Written
from curate.names import untaken
from curate.progress import Advance
from curate.release import SPLITS, Picture, Release

# What ImageFolder takes for a picture, by its name alone: torchvision.datasets.folder.IMG_EXTENSIONS.
EXTENSIONS = frozenset((".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp"))
# What Ultralytics then opens, by its content, and the extension for files whose own is none of those above.
FORMATS = {"JPEG": ".jpg", "PNG": ".png", "WEBP": ".webp", "BMP": ".bmp", "TIFF": ".tif"}


def write(release: Release, out: Path, settings: ExporterSettings, advance: Advance) -> Written:  # noqa: ARG001
    """Each picture into its class folder, or among those left out."""
    places: dict[str, str] = {}
    left_out: dict[str, str] = {}
    taken: set[str] = set()
    for picture in release.pictures:
        reason = _why_not(picture, has_splits=bool(release.splits))
        if reason:
            left_out[picture.path] = reason
        else:
            places[picture.path] = _place(picture, taken)
            release.put(picture, out / places[picture.path])
        advance(1, size_bytes=picture.size_bytes)
    notes = _number_classes(release, out, places.values())
    return Written(places, left_out, notes)


def _why_not(picture: Picture, has_splits: bool) -> str:
    """Why the format has no place for it; "" if it has."""
    if picture.label is None:
        return "it has no label, and YOLO's folders are classes"
    if picture.split is None and has_splits:
        return "it has no split, though others have one"
    if picture.split is not None and picture.split not in SPLITS:
        return f"its split {picture.split!r} is none of {', '.join(SPLITS)}"
    if picture.format not in FORMATS:
        return f"Ultralytics can't open {picture.format}; `curate normalize` makes a JPEG of it"
    return ""


def _place(picture: Picture, taken: set[str]) -> str:
    """train/cat/2020_1.jpg for cat/2020/1.jpe: one level of folders, and an extension that ImageFolder knows."""
    folder, _, below = picture.name.partition("/")
    stem, extension = posixpath.splitext(below.replace("/", "_"))
    if extension.lower() not in EXTENSIONS:
        extension = FORMATS[picture.format]
    # Without the extension, as datumaro calls its items.
    return untaken(f"{picture.split or SPLITS[0]}/{folder}/{stem}", picture.sha256[:12], taken) + extension


def _number_classes(release: Release, out: Path, places: Iterable[str]) -> tuple[str, ...]:
    """Give every split the same folders; returns what people should know of the classes' numbers."""
    notes = []
    filled = {posixpath.dirname(place) for place in places}
    wanted = [f"{split}/{name}" for split in SPLITS for name in release.folders.values() if (out / split).is_dir()]
    if empty := [name for name in wanted if name not in filled]:
        for name in empty:
            (out / name).mkdir()
        notes.append(f"Classes that a split lacks have empty folders there ({len(empty)}, such as {empty[0]!r}).")
    in_order = [release.folders[name] for name in release.classes]
    if in_order != sorted(in_order):
        notes.append("Ultralytics numbers the classes by folder name, in another order than classes.json does.")
    return tuple(notes)


EXPORTER = Exporter(name="yolo", summary="a folder per split and class, for Ultralytics", write=write)
