"""COCO: what pycocotools and datumaro read of our exports, and what we read of anybody's."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import curate as library
from conftest import PICTURES, write
from curate.errors import SourceError
from curate.importers.coco import recognises
from curate.release import Release
from oracle import ask
from releases import HARD_LABELS, bytes_of, export, hard_release, read, release_of, told, told_by

CATEGORIES = [{"id": 1, "name": "cat"}, {"id": 7, "name": "dog"}]


@pytest.fixture(scope="module")
def hard(tmp_path_factory: pytest.TempPathFactory) -> Release:
    return hard_release(tmp_path_factory.mktemp("hard"))


def asked(script: str, *arguments: str | Path) -> Counter[tuple[str, str | None, str | None]]:
    """What a library reads: (sha256, label, split) of each picture."""
    return Counter((row["sha256"], row["label"], row["split"]) for row in ask(script, *arguments))


def coco(folder: Path, content: object, name: str = "annotations/labels_train.json") -> Path:
    """A COCO file as somebody else might have written it, beside one picture, images/1.jpg."""
    write(folder / "images" / "1.jpg", PICTURES[1])
    write(folder / name, content if isinstance(content, bytes) else json.dumps(content).encode())
    return folder


def one_image(*categories: object, **image: object) -> dict[str, Any]:
    """A COCO file with one image, and annotations of it of these categories."""
    notes = [{"id": number, "image_id": 5, "category_id": one} for number, one in enumerate(categories)]
    return {"images": [{"id": 5, "file_name": "1.jpg"} | image], "annotations": notes, "categories": [*CATEGORIES]}


# ---- What we write


def test_pycocotools_reads_every_label_split_and_byte(hard: Release, tmp_path: Path) -> None:
    library.export(hard.project.directory, tmp_path / "out", format="coco")

    assert asked("read_coco.py", tmp_path / "out") == told_by(hard)


@pytest.mark.parametrize("name", ["coco", "coco_labels"])
def test_datumaro_reads_every_label_split_and_byte(name: str, hard: Release, tmp_path: Path) -> None:
    """Nor does it stumble over the manifest and the other files in the root."""
    library.export(hard.project.directory, tmp_path / "out", format="coco")

    assert asked("read_datumaro.py", name, tmp_path / "out") == told_by(hard)


def test_an_export_comes_back_as_it_was(hard: Release, tmp_path: Path) -> None:
    export(hard, tmp_path / "out", "coco")

    assert recognises(tmp_path / "out")
    assert told(read(tmp_path / "out", "coco")) == told_by(hard)


def test_a_release_without_splits_comes_back_without(tmp_path: Path) -> None:
    release = release_of(tmp_path, {"1.jpg": ("cat", None), "2.jpg": ("dog", None)})

    export(release, tmp_path / "out", "coco")

    assert sorted(bytes_of(tmp_path / "out")) == [
        "annotations/labels_default.json",
        "images/default/cat/1.jpg",
        "images/default/dog/2.jpg",
    ]
    assert told(read(tmp_path / "out", "coco")) == told_by(release)
    assert asked("read_datumaro.py", "coco", tmp_path / "out") == told_by(release)


@pytest.mark.parametrize("split", ["default", "DEFAULT", "a/b", "..", "annotations", "train2017", "my split", "50%"])
def test_a_split_may_have_any_name(split: str, tmp_path: Path) -> None:
    release = release_of(tmp_path, {"1.jpg": ("cat", split), "2.jpg": ("dog", "train"), "3.jpg": ("dog", None)})

    export(release, tmp_path / "out", "coco")

    assert told(read(tmp_path / "out", "coco")) == told_by(release)
    assert sum(asked("read_datumaro.py", "coco", tmp_path / "out").values()) == 3


def test_all_splits_have_the_same_categories_numbered_from_1(tmp_path: Path) -> None:
    release = release_of(tmp_path, {"1.jpg": ("b", "train"), "2.jpg": ("a", "val"), "3.jpg": ("c", "test")})

    export(release, tmp_path / "out", "coco")

    for name in ("train", "val", "test"):
        content = json.loads((tmp_path / "out" / "annotations" / f"labels_{name}.json").read_text())
        assert [(one["id"], one["name"]) for one in content["categories"]] == [(1, "a"), (2, "b"), (3, "c")]


def test_ids_stay_when_other_pictures_come_and_go(tmp_path: Path) -> None:
    first = release_of(tmp_path / "1", {"2.jpg": ("cat", None), "1.jpg": ("cat", None)})
    second = release_of(tmp_path / "2", {"2.jpg": ("cat", None), "0.jpg": ("cat", None)})

    contents = []
    for number, release in enumerate((first, second)):
        export(release, tmp_path / f"out{number}", "coco")
        contents.append(json.loads((tmp_path / f"out{number}" / "annotations" / "labels_default.json").read_text()))

    ids = [{one["file_name"]: one["id"] for one in content["images"]} for content in contents]
    assert ids[0]["cat/2.jpg"] == ids[1]["cat/2.jpg"]
    assert [one["image_id"] for one in contents[0]["annotations"]] == [one["id"] for one in contents[0]["annotations"]]


def test_a_label_is_an_annotation_of_the_whole_image(tmp_path: Path) -> None:
    release = release_of(tmp_path, {"1.jpg": ("cat", "train"), "2.jpg": (None, "train")})

    export(release, tmp_path / "out", "coco")

    content = json.loads((tmp_path / "out" / "annotations" / "labels_train.json").read_text())
    picture = release.pictures[0]
    assert [(one["width"], one["height"]) for one in content["images"]] == [(96, 72), (96, 72)]
    assert content["annotations"] == [
        {
            "id": picture.id,
            "image_id": picture.id,
            "category_id": 1,
            "bbox": [0, 0, 96, 72],
            "area": 6912,
            "iscrowd": 0,
            "segmentation": [[0, 0, 96, 0, 96, 72, 0, 72]],
        }
    ]


def test_pictures_that_differ_only_in_the_extension_stay_two(tmp_path: Path) -> None:
    release = release_of(tmp_path, {"a.jpg": ("cat", "train"), "a.jpeg": ("cat", "train"), "A.JPG": ("cat", "train")})

    export(release, tmp_path / "out", "coco")

    assert asked("read_datumaro.py", "coco", tmp_path / "out") == told_by(release)


def test_the_file_is_plain_ascii_and_the_same_every_time(hard: Release, tmp_path: Path) -> None:
    """pycocotools opens it in the encoding of the machine, which is no UTF-8 on Windows."""
    export(hard, tmp_path / "one", "coco")
    export(hard, tmp_path / "two", "coco")

    assert bytes_of(tmp_path / "one") == bytes_of(tmp_path / "two")
    assert (tmp_path / "one" / "annotations" / "labels_train.json").read_bytes().isascii()
    assert len(hard.classes) == len(HARD_LABELS)


# ---- What we read


@pytest.mark.parametrize(
    ("name", "kind"),
    [("coco", "label"), ("coco_labels", "label"), ("coco", "bbox"), ("coco_instances", "bbox")],
)
def test_what_datumaro_writes_is_read(name: str, kind: str, tmp_path: Path) -> None:
    for number in range(5):
        write(tmp_path / "pictures" / f"{number}.jpg", PICTURES[number])
    items = {
        "0.jpg": ["train", ["cat"]],
        "1.jpg": ["val", ["dog", "dog"]],
        "2.jpg": ["val", []],
        "3.jpg": [None, ["cat"]],
        "4.jpg": ["train", ["cat", "dog"]],
    }
    ask("write_datumaro.py", name, tmp_path / "pictures", tmp_path / "set", json.dumps(items), kind)

    found = {item.name: item for item in read(tmp_path / "set", "coco")}

    assert recognises(tmp_path / "set")
    assert {name: (one.label, one.split) for name, one in found.items()} == {
        "0.jpg": ("cat", "train"),
        "1.jpg": ("dog", "val"),
        "2.jpg": (None, "val"),
        "3.jpg": ("cat", None),
        "4.jpg": (None, "train"),
    }
    assert found["4.jpg"].problem == "it has 2 different labels ('cat', 'dog'), so it was left without one"
    assert [name for name, one in found.items() if one.problem] == ["4.jpg"]
    assert isinstance(found["0.jpg"].content, Path)
    assert found["0.jpg"].content.read_bytes() == PICTURES[0]


@pytest.mark.parametrize(
    ("json_file", "picture", "split"),
    [
        ("annotations/instances_train2017.json", "train2017/1.jpg", "train"),  # COCO itself
        ("annotations/instances_val2017.json", "images/val2017/1.jpg", "val"),
        ("annotations/instances_default.json", "images/1.jpg", None),  # CVAT
        ("annotations/labels_holdout.json", "images/holdout/1.jpg", "holdout"),
        ("annotations/train.json", "train/1.jpg", "train"),  # MMDetection
        ("valid/_annotations.coco.json", "valid/1.jpg", "valid"),  # Roboflow
        ("result.json", "images/1.jpg", None),  # Label Studio
        ("annotations.json", "1.jpg", None),
    ],
)
def test_pictures_and_splits_are_found_where_tools_put_them(
    json_file: str, picture: str, split: str | None, tmp_path: Path
) -> None:
    write(tmp_path / picture, PICTURES[0])
    write(tmp_path / json_file, json.dumps(one_image(1)).encode())

    (item,) = read(tmp_path, "coco")

    assert recognises(tmp_path)
    assert (item.content, item.label, item.split, item.problem) == (tmp_path / picture, "cat", split, "")
    assert [one.content for one in read(tmp_path / json_file, "coco")] == [tmp_path / picture]


def test_the_file_with_most_to_say_of_a_split_is_read(tmp_path: Path) -> None:
    coco(tmp_path, one_image(7), "annotations/instances_val2017.json")
    coco(tmp_path, one_image(1), "annotations/person_keypoints_val2017.json")
    captions = {"images": [{"id": 5, "file_name": "1.jpg"}], "annotations": [{"image_id": 5, "caption": "a cat"}]}
    coco(tmp_path, captions, "annotations/captions_val2017.json")
    coco(tmp_path, captions, "annotations/captions_train2017.json")

    found = [(item.label, item.split) for item in read(tmp_path, "coco")]

    assert found == [("dog", "val"), (None, "train")]


def test_file_names_written_on_windows_are_understood(tmp_path: Path) -> None:
    write(tmp_path / "images" / "a" / "1.jpg", PICTURES[0])

    (item,) = read(coco(tmp_path, one_image(1, file_name="a\\1.jpg")), "coco")

    assert item.content == tmp_path / "images" / "a" / "1.jpg"


@pytest.mark.parametrize("name", ["../out.jpg", "ABSOLUTE", "link.jpg", "folder/out.jpg", "a/../../../out.jpg"])
def test_a_picture_outside_of_the_set_is_reported_and_not_taken(name: str, tmp_path: Path) -> None:
    source = coco(tmp_path / "set", one_image(1, file_name=name.replace("ABSOLUTE", str(tmp_path / "out.jpg"))))
    write(tmp_path / "out.jpg", PICTURES[0])
    write(tmp_path / "set" / "out.jpg", PICTURES[0])
    (source / "out.jpg").unlink()
    (source / "images" / "link.jpg").symlink_to(tmp_path / "out.jpg")
    (source / "images" / "folder").symlink_to(tmp_path)

    (item,) = read(source, "coco")

    assert item.content is None
    assert item.problem in ("it leads out of the data set", "there is no such file")


@pytest.mark.parametrize("name", ["gone.jpg", "", ".", "1.jpg\0", "a" * 5000, "https://example.org/1.jpg", "pipe"])
def test_a_picture_that_is_not_there_is_reported(name: str, tmp_path: Path) -> None:
    source = coco(tmp_path, one_image(1, file_name=name))
    os.mkfifo(source / "images" / "pipe")

    (item,) = read(source, "coco")

    assert (item.name, item.content, item.problem) == (name, None, "there is no such file")


def test_annotations_of_an_image_that_is_not_listed_are_reported(tmp_path: Path) -> None:
    content = one_image(1)
    content["annotations"].append({"id": 9, "image_id": 6, "category_id": 1})

    found = read(coco(tmp_path, content), "coco")

    assert [(item.name, item.problem) for item in found if item.content is None] == [
        ("image 6", "labels_train.json has annotations of this image, but does not list it")
    ]


Change = Callable[[dict[str, Any]], object]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda one: one["annotations"].append({"image_id": 5, "category_id": 3}),
            "gives image 5 the category 3, which",
        ),
        (lambda one: one["images"].append(one["images"][0]), "gives two images the id 5"),
        (lambda one: one["categories"].append({"id": 1, "name": "eel"}), "calls the category 1 'cat' and 'eel'"),
        (lambda one: one["images"][0].pop("file_name"), r"has no images\[0\]\.file_name"),
        (lambda one: one["images"][0].update(file_name=3), r"has 3 as images\[0\]\.file_name: Input should be a valid"),
        (lambda one: one["images"][0].update(id=None), r"has None as images\[0\]\.id"),
        (lambda one: one.update(images="all"), "has 'all' as images"),
        (lambda one: one.update(annotations={"x": [1] * 99}), r"has \{'x': \[1, 1.*… as annotations"),
        (lambda one: one.pop("images"), "has no images"),
    ],
)
def test_a_file_that_contradicts_itself_is_refused_by_its_place(change: Change, message: str, tmp_path: Path) -> None:
    content = one_image(1)
    change(content)

    with pytest.raises(SourceError, match=message):
        read(coco(tmp_path, content), "coco")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"null",
        b'{"images": [',
        b'{"images": []} more',
        b'{"images": ' + b"[" * 100_000,
        b'{"images": [{"id": 1, "file_name": "\xff"}]}',
        b'{"images": [{"id": 1, "file_name": "\\ud800"}]}',
        b'{"images": [{"id": ' + b"9" * 5000 + b', "file_name": "1.jpg"}]}',
        '{"images": []}'.encode("utf-16"),
    ],
)
def test_what_is_no_coco_file_is_refused_with_its_name(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"labels_train\.json' (is no JSON that can be read|has)"):
        read(coco(tmp_path, content), "coco")


def test_a_mark_of_windows_at_the_beginning_is_no_error(tmp_path: Path) -> None:
    (item,) = read(coco(tmp_path, b"\xef\xbb\xbf" + json.dumps(one_image(7)).encode()), "coco")

    assert item.label == "dog"


def test_a_folder_without_a_coco_file_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "settings.json", b'{"images": true}')

    with pytest.raises(SourceError, match=r"There is no COCO file in .*: expected annotations/\*\.json"):
        read(tmp_path, "coco")
    assert not recognises(tmp_path)
    assert not recognises(tmp_path / "nowhere")
