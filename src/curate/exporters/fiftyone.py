"""FiftyOne: image classification datasets that the FiftyOne App opens.

What it writes: a FiftyOneImageClassificationDataset, that is `data/` with the pictures and `labels.json` with the
classes and a label per picture (null without one). That format has no splits; a version with splits becomes one such
folder per split, `train/data/`, `train/labels.json`, …, and pictures without a split go to `_no_split/`.

How to load it:

    import fiftyone as fo

    dataset = fo.Dataset.from_dir(dataset_dir="OUT", dataset_type=fo.types.FiftyOneImageClassificationDataset)

and with splits, as tags of the samples:

    dataset = fo.Dataset()
    for split in ("train", "val", "test"):
        dataset.add_dir(
            dataset_dir=f"OUT/{split}", dataset_type=fo.types.FiftyOneImageClassificationDataset, tags=split
        )

Limits: repeat and weight are only in manifest.csv. FiftyOne knows a picture by its path without the extension, so of
two pictures that differ in the extension alone, like 1.jpg and 1.png, one gets another name.

Source: https://docs.voxel51.com/user_guide/import_datasets.html; read back with FiftyOne's own importer.
"""

from __future__ import annotations

import json
import posixpath
from collections.abc import Sequence
from pathlib import Path

from curate.exporters import Exporter, ExporterSettings, Written
from curate.names import safe_names, untaken
from curate.progress import Advance
from curate.release import Picture, Release

DATA, LABELS = "data", "labels.json"
NO_SPLIT = "_no_split"


def write(release: Release, out: Path, settings: ExporterSettings, advance: Advance) -> Written:  # noqa: ARG001
    """One dataset, or one per split."""
    places: dict[str, str] = {}
    for folder, pictures in _parts(release).items():
        keys = _keys(pictures)
        (out / folder / DATA).mkdir(parents=True)
        with (out / folder / LABELS).open("w", encoding="utf-8", newline="\n") as stream:
            stream.write(f'{{"classes": {_json(release.classes)}, "labels": {{')
            separator = "\n"
            for picture, key in zip(pictures, keys, strict=True):
                place = posixpath.join(folder, DATA, key + posixpath.splitext(picture.name)[1])
                release.put(picture, out / place)
                places[picture.path] = place
                stream.write(f"{separator}{_json(key)}: {_json(picture.label)}")
                separator = ",\n"
                advance(1, size_bytes=picture.size_bytes)
            stream.write("\n}}\n")
    return Written(places)


def _parts(release: Release) -> dict[str, list[Picture]]:
    """Folder -> its pictures; "" is the export itself, where the release has no splits."""
    if not release.splits:
        return {"": list(release.pictures)}
    folders = safe_names(release.splits)
    parts: dict[str, list[Picture]] = {folders[split]: [] for split in release.splits}
    for picture in release.pictures:
        folder = NO_SPLIT if picture.split is None else folders[picture.split]
        parts.setdefault(folder, []).append(picture)
    return parts


def _keys(pictures: Sequence[Picture]) -> list[str]:
    """Each picture's name without its extension; no other's, whatever the file system."""
    taken: set[str] = set()
    return [untaken(posixpath.splitext(one.name)[0], one.source_sha256[:12], taken) for one in pictures]


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


EXPORTER = Exporter(
    name="fiftyone",
    summary="pictures and labels.json, one set per split",
    write=write,
)
