"""Datumaro's JSON: what datumaro reads of our exports, and what we read of its."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import curate as library
from conftest import PICTURES, write
from curate.errors import SourceError
from curate.importers.datumaro import recognises
from curate.release import Release
from oracle import ask
from releases import bytes_of, export, hard_release, read, release_of, told, told_by

CAT = {"type": "label", "label_id": 0}
DOG = {"type": "label", "label_id": 1}
DOG_BOX = {"type": "bbox", "label_id": 1, "bbox": [0, 0, 5, 5]}


@pytest.fixture(scope="module")
def hard(tmp_path_factory: pytest.TempPathFactory) -> Release:
    return hard_release(tmp_path_factory.mktemp("hard"))


def asked(folder: Path) -> Counter[tuple[str, str | None, str | None]]:
    """What datumaro reads: (sha256, label, split) of each picture."""
    return Counter((row["sha256"], row["label"], row["split"]) for row in ask("read_datumaro.py", "datumaro", folder))


def datumaro(folder: Path, *annotations: object, **item: object) -> Path:
    """A set of one item, which has these annotations, beside one picture, images/train/1.jpg."""
    write(folder / "images" / "train" / "1.jpg", PICTURES[1])
    labels = [{"name": "cat", "parent": "", "attributes": []}, {"name": "dog", "parent": "", "attributes": []}]
    content = {
        "dm_format_version": "1.0",
        "categories": {"label": {"labels": labels}, "points": {"items": []}},
        "items": [{"id": "one", "annotations": annotations, "image": {"path": "1.jpg"}} | item],
    }
    write(folder / "annotations" / "train.json", json.dumps(content).encode())
    return folder


# ---- What we write


def test_datumaro_reads_every_label_split_and_byte(hard: Release, tmp_path: Path) -> None:
    """Nor does it stumble over the manifest and the other files in the root."""
    library.export(hard.project.directory, tmp_path / "out", format="datumaro")

    assert asked(tmp_path / "out") == told_by(hard)


def test_an_export_comes_back_as_it_was(hard: Release, tmp_path: Path) -> None:
    export(hard, tmp_path / "out", "datumaro")

    assert recognises(tmp_path / "out")
    assert told(read(tmp_path / "out", "datumaro")) == told_by(hard)


def test_a_release_without_splits_comes_back_without(tmp_path: Path) -> None:
    release = release_of(tmp_path, {"1.jpg": ("cat", None), "2.jpg": (None, None)})

    export(release, tmp_path / "out", "datumaro")

    assert sorted(bytes_of(tmp_path / "out")) == [
        "annotations/default.json",
        "images/default/_unlabeled/2.jpg",
        "images/default/cat/1.jpg",
    ]
    assert told(read(tmp_path / "out", "datumaro")) == told_by(release)
    assert asked(tmp_path / "out") == told_by(release)


@pytest.mark.parametrize("split", ["default", "a/b", "..", "annotations", "my split", "a.b", "50%", "Train"])
def test_a_split_may_have_any_name(split: str, tmp_path: Path) -> None:
    release = release_of(tmp_path, {"1.jpg": ("cat", split), "2.jpg": ("dog", "holdout"), "3.jpg": ("dog", None)})

    export(release, tmp_path / "out", "datumaro")

    assert told(read(tmp_path / "out", "datumaro")) == told_by(release)
    assert sum(asked(tmp_path / "out").values()) == 3


def test_pictures_that_differ_only_in_the_extension_stay_two(tmp_path: Path) -> None:
    release = release_of(tmp_path, {"a.jpg": ("cat", "train"), "a.jpeg": ("cat", "train"), "A.JPG": ("cat", "train")})

    export(release, tmp_path / "out", "datumaro")

    assert asked(tmp_path / "out") == told_by(release)


def test_the_same_release_gives_the_same_bytes(hard: Release, tmp_path: Path) -> None:
    export(hard, tmp_path / "one", "datumaro")
    export(hard, tmp_path / "two", "datumaro")

    assert bytes_of(tmp_path / "one") == bytes_of(tmp_path / "two")


# ---- What we read


@pytest.mark.parametrize("kind", ["label", "bbox"])
def test_what_datumaro_writes_is_read(kind: str, tmp_path: Path) -> None:
    for number in range(5):
        write(tmp_path / "pictures" / f"{number}.jpg", PICTURES[number])
    items = {
        "0.jpg": ["train", ["cat"]],
        "1.jpg": ["val", ["dog", "dog"]],
        "2.jpg": ["val", []],
        "3.jpg": [None, ["caf\u00e9 au lait"]],
        "4.jpg": ["train", ["cat", "dog"]],
    }
    ask("write_datumaro.py", "datumaro", tmp_path / "pictures", tmp_path / "set", json.dumps(items), kind)

    found = {item.name: item for item in read(tmp_path / "set", "datumaro")}

    assert recognises(tmp_path / "set")
    assert {name: (one.label, one.split) for name, one in found.items()} == {
        "0.jpg": ("cat", "train"),
        "1.jpg": ("dog", "val"),
        "2.jpg": (None, "val"),
        "3.jpg": ("caf\u00e9 au lait", None),
        "4.jpg": (None, "train"),
    }
    assert found["4.jpg"].problem == "it has 2 different labels ('cat', 'dog'), so it was left without one"
    assert [name for name, one in found.items() if one.problem] == ["4.jpg"]
    assert isinstance(found["0.jpg"].content, Path)
    assert found["0.jpg"].content.read_bytes() == PICTURES[0]


def test_the_label_of_the_picture_counts_more_than_those_of_boxes(tmp_path: Path) -> None:
    (item,) = read(datumaro(tmp_path, CAT, DOG_BOX), "datumaro")

    assert (item.label, item.split, item.problem) == ("cat", "train", "")


def test_a_caption_is_no_label(tmp_path: Path) -> None:
    (item,) = read(datumaro(tmp_path, {"type": "caption", "caption": "a cat"}), "datumaro")

    assert (item.label, item.problem) == (None, "")


def test_an_item_that_is_no_picture_is_reported(tmp_path: Path) -> None:
    (item,) = read(datumaro(tmp_path, CAT, image=None, video={"path": "1.avi"}), "datumaro")

    assert (item.name, item.content, item.problem) == ("one", None, "it is no image, or names none")


def test_a_picture_without_a_path_is_called_after_its_item(tmp_path: Path) -> None:
    (item,) = read(datumaro(tmp_path, CAT, id="1", image={"size": [72, 96]}), "datumaro")

    assert item.content == tmp_path / "images" / "train" / "1.jpg"


def test_pictures_right_in_images_are_found(tmp_path: Path) -> None:
    """Older releases of datumaro had no folder per subset."""
    write(tmp_path / "images" / "old.jpg", PICTURES[2])

    (item,) = read(datumaro(tmp_path, CAT, image={"path": "old.jpg"}), "datumaro")

    assert item.content == tmp_path / "images" / "old.jpg"


def test_a_set_saved_without_its_pictures_names_them_and_none_is_opened(tmp_path: Path) -> None:
    elsewhere = write(tmp_path / "elsewhere" / "1.jpg", PICTURES[0])

    (item,) = read(datumaro(tmp_path / "set", CAT, image={"path": str(elsewhere)}), "datumaro")

    assert (item.name, item.content, item.problem) == (str(elsewhere), None, "it leads out of the data set")


def test_an_absolute_path_into_the_set_is_followed(tmp_path: Path) -> None:
    inside = str(tmp_path / "images" / "train" / "1.jpg")

    (item,) = read(datumaro(tmp_path, CAT, image={"path": inside}), "datumaro")

    assert item.content == Path(inside)


def test_a_single_file_finds_its_pictures(tmp_path: Path) -> None:
    datumaro(tmp_path, DOG)

    (item,) = read(tmp_path / "annotations" / "train.json", "datumaro")

    assert (item.label, item.content) == ("dog", tmp_path / "images" / "train" / "1.jpg")


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ({"annotations": [{"type": "label", "label_id": 2}]}, "gives the item 'one' the label 2, but lists 2 labels"),
        ({"annotations": [{"type": "label", "label_id": -1}]}, "gives the item 'one' the label -1"),
        (
            {"annotations": [{"type": "label", "label_id": "cat"}]},
            r"has 'cat' as items\[0\]\.annotations\[0\]\.label_id",
        ),
        ({"annotations": [{"label_id": 0}]}, r"has no items\[0\]\.annotations\[0\]\.type"),
        ({"annotations": "cat"}, r"has 'cat' as items\[0\]\.annotations"),
        ({"id": None}, r"has None as items\[0\]\.id"),
        ({"image": "1.jpg"}, r"has '1\.jpg' as items\[0\]\.image"),
        ({"image": {"path": ["1.jpg"]}}, r"has \['1\.jpg'\] as items\[0\]\.image\.path"),
    ],
)
def test_a_file_of_another_shape_is_refused_by_its_place(item: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=message):
        read(datumaro(tmp_path, **item), "datumaro")


def test_a_folder_without_annotations_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"There is no file of datumaro's in .*: expected annotations/\*\.json"):
        read(tmp_path, "datumaro")
    assert not recognises(tmp_path)
