"""COCO: image files, and per split one JSON file with the list of images, of categories and of labels.

What it writes: `images/SPLIT/CLASS/FILE` and `annotations/labels_SPLIT.json`; pictures without a split are those of
the split `default`, also where no picture has one. `file_name` is relative to `images/SPLIT`. A label is an annotation
whose box and outline are the whole image, as COCO knows none without: pycocotools filters by `area` and `iscrowd` and
draws `segmentation`, and other readers fail without `bbox`. An unlabelled picture is an image without annotation. All
splits have the same categories, with ids from 1 in alphabetical order of the classes, written exactly as they are. The
ids of an image and of its annotation are one number, which stays the same in every version as long as the picture's
path does.

How to load it:

    from pycocotools.coco import COCO
    coco = COCO("OUT/annotations/labels_train.json")
    image = coco.loadImgs(coco.getImgIds()[0])[0]
    labels = [coco.cats[one["category_id"]]["name"] for one in coco.imgToAnns[image["id"]]]

    import datumaro
    dataset = datumaro.Dataset.import_from("OUT", "coco")

Limits: who trains a detector on it learns boxes of whole images. A class that is added moves the category ids of those
behind it in the alphabet. Ids have up to 53 bits: too many for readers that keep them in 32. Two pictures of one class
whose names differ only in the extension get different names, because datumaro leaves the extension out. datumaro needs
to be told the format, as above: when it guesses, manifest.csv makes it hesitate. How often a picture is repeated, and
its weight, stand in manifest.csv alone.

Source: the data format at https://cocodataset.org/#format-data; the file names `labels_SPLIT.json` are datumaro's
extension of it for image labels (datumaro 1.13, `plugins/data_formats/coco`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from curate.annotations import own_stems, subset_names, write_records
from curate.exporters import Exporter, ExporterSettings, Written
from curate.progress import Advance
from curate.release import Picture, Release


def write(release: Release, out: Path, settings: ExporterSettings, advance: Advance) -> Written:  # noqa: ARG001
    """Files first, then the list of each split."""
    names = own_stems(release.pictures)
    subsets = subset_names(picture.split for picture in release.pictures)
    places = {one.path: f"images/{subsets[one.split]}/{names[one.path]}" for one in release.pictures}
    for picture in release.pictures:
        release.put(picture, out / places[picture.path])
        advance(1, size_bytes=picture.size_bytes)
    for split, subset in subsets.items():
        pictures = [one for one in release.pictures if one.split == split]
        lists = {
            "images": (_image(one, names[one.path]) for one in pictures),
            "annotations": (_annotation(one) for one in pictures if one.label is not None),
        }
        write_records(out / "annotations" / f"labels_{subset}.json", _head(release), lists)
    return Written(places)


def _head(release: Release) -> dict[str, Any]:
    return {
        "info": {"description": f"{release.name} {release.version.name}", "version": release.version.id},
        "licenses": [],
        "categories": _categories(release.classes),
    }


def _categories(classes: Sequence[str]) -> list[dict[str, Any]]:
    # From 1: readers take 0 for the background.
    return [{"id": number, "name": name, "supercategory": ""} for number, name in enumerate(classes, start=1)]


def _image(picture: Picture, name: str) -> dict[str, Any]:
    return {"id": picture.id, "file_name": name, "width": picture.width, "height": picture.height}


def _annotation(picture: Picture) -> dict[str, Any]:
    assert picture.label_index is not None  # it has a label
    width, height = picture.width, picture.height
    return {
        "id": picture.id,
        "image_id": picture.id,
        "category_id": picture.label_index + 1,
        "bbox": [0, 0, width, height],
        "area": width * height,
        "iscrowd": 0,
        "segmentation": [[0, 0, width, 0, width, height, 0, height]],
    }


EXPORTER = Exporter(name="coco", summary="COCO JSON with image labels, for pycocotools and datumaro", write=write)
