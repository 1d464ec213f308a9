"""A folder per class, as torchvision, Keras, timm, Ultralytics and FastAI read it.

What it writes: `OUT/class/file`, or `OUT/split/class/file` where the version has splits; the path below the source's
class folder stays. Names that some system can't have are escaped as in web addresses (`a/b` is the folder `a%2Fb`);
`classes.json` has the true name of each folder. Pictures without a label are in `_unlabeled`, those without a split,
where others have one, in `_no_split`. In each of train, val and test every class has a folder, empty ones too, so that
readers that number the folders give a class the same number in each.

How to load it:

    import json
    from torchvision.datasets import ImageFolder

    train = ImageFolder("OUT/train", allow_empty=True)  # or "OUT" where there are no splits
    names = {one["folder"]: one["name"] for one in json.load(open("OUT/classes.json"))}
    classes = [names.get(folder) for folder in train.classes]

Limits: torchvision, Keras and timm take `_unlabeled` for a class: remove that folder before you train. They number the
sorted folders, which differs from `classes.json` where names were escaped. timm gives no number to an empty folder.
Hugging Face `datasets` and Datumaro want every picture directly in its class folder (setting `flat`). `datasets` takes
a class called "test" for a split unless it is told the files (`load_dataset("imagefolder", data_files={"train":
"OUT/**"})`). Datumaro (`imagenet`, `imagenet_with_subset_dirs`) wants no other file beside the class folders, and no
empty one. How often training should see a picture, and its weight, are only in the manifest.

Source: https://docs.pytorch.org/vision/stable/generated/torchvision.datasets.ImageFolder.html.
"""

from __future__ import annotations

import posixpath
from pathlib import Path

from pydantic import Field

from curate.exporters import Exporter, ExporterSettings, Written
from curate.names import safe_names, untaken
from curate.progress import Advance
from curate.records import NO_SPLIT
from curate.release import SPLITS, Release
from curate.stages.labels import UNLABELED


class Settings(ExporterSettings):
    """How the folders look."""

    flat: bool = Field(
        False,
        description="Put every picture directly into its class folder: cats/2020/1.jpg becomes cats/2020_1.jpg. For "
        "readers that take the innermost folder for the class, like Hugging Face datasets and Datumaro.",
    )


def write(release: Release, out: Path, settings: Settings, advance: Advance) -> Written:
    """Class folders, below split folders where there are splits."""
    folders = split_folders(release)
    taken: set[str] = set()
    places = {}
    for picture in release.pictures:
        name = picture.name
        if settings.flat:
            flat = f"{name.partition('/')[0]}/{picture.file_name.replace('/', '_')}"
            name = untaken(flat, picture.source_sha256[:12], taken)
        places[picture.path] = posixpath.join(folders[picture.split], name)
        release.put(picture, out / places[picture.path])
        advance(1, size_bytes=picture.size_bytes)
    return Written(places, notes=tuple(_notes(release, _add_empty(release, out, folders))))


def split_folders(release: Release) -> dict[str | None, str]:
    """Split -> its folder; "" for all where the release has no splits."""
    if not release.splits:
        return {None: ""}
    folders: dict[str | None, str] = dict(safe_names(release.splits).items())
    return folders | {None: f"_{NO_SPLIT}"}


def _add_empty(release: Release, out: Path, folders: dict[str | None, str]) -> list[str]:
    """Make the class folders that a split lacks; gives them."""
    missing = [
        f"{folders[split]}/{folder}"
        for split in SPLITS
        if split in release.splits
        for folder in release.folders.values()
        if not (out / folders[split] / folder).is_dir()
    ]
    for folder in missing:
        (out / folder).mkdir(parents=True)
    return missing


def _notes(release: Release, empty: list[str]) -> list[str]:
    notes = []
    if empty:
        notes.append(
            f"{len(empty):,} class folders are empty, for example {empty[0]!r}: give torchvision allow_empty=True, so "
            "that its class numbers are the same in every split."
        )
    unlabelled = sum(picture.label is None for picture in release.pictures)
    if unlabelled:
        notes.append(f"{unlabelled:,} pictures have no label: torchvision and Keras take {UNLABELED!r} for a class.")
    return notes


EXPORTER = Exporter(
    name="imagefolder", summary="a folder per class: torchvision, Keras, timm", write=write, settings=Settings
)
