"""Datumaro's own JSON, version 1.0: image files, and per split one file with the labels and the list of items.

What it writes: `images/SPLIT/CLASS/FILE` and `annotations/SPLIT.json`; pictures without a split are those of the split
`default`, which is datumaro's own word for it. Every file has the same list of labels, in alphabetical order, written
exactly as they are. An item's id is its path below `images/SPLIT` without the extension.

How to load it:

    import datumaro
    dataset = datumaro.Dataset.import_from("OUT", "datumaro")
    names = [label.name for label in dataset.categories()[datumaro.AnnotationType.label]]
    labels = {item.id: [names[one.label] for one in item.annotations] for item in dataset.get_subset("train")}

Limits: two pictures of one class whose names differ only in the extension get different names, because their ids would
be the same. How often a picture is repeated, and its weight, stand in manifest.csv alone.

Source: datumaro 1.13, `plugins/data_formats/datumaro` (https://github.com/open-edge-platform/datumaro).
"""

from __future__ import annotations

import posixpath
from pathlib import Path
from typing import Any

from curate.annotations import own_stems, subset_names, write_records
from curate.exporters import Exporter, ExporterSettings, Written
from curate.progress import Advance
from curate.release import Picture, Release

FORMAT_VERSION = "1.0"
IMAGE = 2  # datumaro's MediaType.IMAGE


def write(release: Release, out: Path, settings: ExporterSettings, advance: Advance) -> Written:  # noqa: ARG001
    """Files first, then the list of each split."""
    names = own_stems(release.pictures)
    subsets = subset_names(picture.split for picture in release.pictures)
    places = {one.path: f"images/{subsets[one.split]}/{names[one.path]}" for one in release.pictures}
    for picture in release.pictures:
        release.put(picture, out / places[picture.path])
        advance(1, size_bytes=picture.size_bytes)
    for split, subset in subsets.items():
        items = (_item(one, names[one.path]) for one in release.pictures if one.split == split)
        write_records(out / "annotations" / f"{subset}.json", _head(release), {"items": items})
    return Written(places)


def _head(release: Release) -> dict[str, Any]:
    labels = [{"name": name, "parent": "", "attributes": []} for name in release.classes]
    return {
        "dm_format_version": FORMAT_VERSION,
        "media_type": IMAGE,
        "infos": {"dataset": release.name, "version": release.version.name, "version_id": release.version.id},
        "categories": {"label": {"labels": labels, "label_groups": [], "attributes": []}},
    }


def _item(picture: Picture, name: str) -> dict[str, Any]:
    label = {"id": 0, "type": "label", "attributes": {}, "group": 0, "label_id": picture.label_index}
    return {
        "id": posixpath.splitext(name)[0],
        "annotations": [] if picture.label is None else [label],
        "image": {"path": name, "size": [picture.height, picture.width]},
    }


EXPORTER = Exporter(name="datumaro", summary="Datumaro's own JSON 1.0", write=write)
