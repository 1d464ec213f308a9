"""FiftyOne: what we write is what its importer reads, and what it writes comes back."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import curate as library
from conftest import PICTURES, write
from curate.errors import SourceError
from curate.importers import Item
from curate.importers.fiftyone import recognises
from oracle import ask
from releases import bytes_of, distinct, export, hard_release, read, release_of, told, told_by


def ask_fiftyone(home: Path, *arguments: str | Path) -> Any:
    """What FiftyOne itself makes of it; its importers and exporters need no MongoDB."""
    return ask("read_fiftyone.py", *arguments, home=home)


def dataset(folder: Path, labels: object, classes: object = None, names: tuple[str, ...] = ("a.jpg",)) -> Path:
    """A FiftyOneImageClassificationDataset with these pictures."""
    (folder / "data").mkdir(parents=True)
    for number, name in enumerate(names):
        write(folder / "data" / name, PICTURES[number])
    (folder / "labels.json").write_text(json.dumps({"classes": classes, "labels": labels}))
    return folder


def samples(folder: Path, *documents: dict[str, Any]) -> Path:
    """A FiftyOneDataset, as FiftyOne 1.x lays it out."""
    (folder / "data").mkdir(parents=True)
    for number in range(len(documents)):
        write(folder / "data" / f"{number}.jpg", PICTURES[number])
    (folder / "metadata.json").write_text('{"_id": {"$oid": "66e7ffc64b5f1dc7b5e1a3f2"}, "version": "1.0.0"}')
    full = [
        {"_id": {"$oid": f"{number:024x}"}, "filepath": f"data/{number}.jpg", "tags": [], "_media_type": "image", **one}
        for number, one in enumerate(documents)
    ]
    (folder / "samples.json").write_text(json.dumps({"samples": full}))
    return folder


def classification(label: object) -> dict[str, Any]:
    return {"_id": {"$oid": f"{7:024x}"}, "_cls": "Classification", "tags": [], "label": label}


def labels_of(items: list[Item]) -> dict[str, str | None]:
    return {item.name: item.label for item in items}


# ---- Writing


def test_a_release_without_splits_is_one_dataset(tmp_path: Path) -> None:
    release = release_of(tmp_path, {"1.jpg": ("cat", None), "2.jpg": (None, None)})

    export(release, tmp_path / "out", "fiftyone")

    assert json.loads((tmp_path / "out" / "labels.json").read_text()) == {
        "classes": ["cat"],
        "labels": {"_unlabeled/2": None, "cat/1": "cat"},
    }
    assert (tmp_path / "out" / "data" / "cat" / "1.jpg").read_bytes() == (tmp_path / "photos" / "1.jpg").read_bytes()


def test_each_split_is_a_dataset_with_all_classes(tmp_path: Path) -> None:
    release = release_of(tmp_path, {"1.jpg": ("cat", "train"), "2.jpg": ("dog", "val"), "3.jpg": ("cat", None)})

    written = export(release, tmp_path / "out", "fiftyone")

    assert written.places == {
        "1.jpg": "train/data/cat/1.jpg",
        "2.jpg": "val/data/dog/2.jpg",
        "3.jpg": "_no_split/data/cat/3.jpg",
    }
    for split in ("train", "val", "_no_split"):
        assert json.loads((tmp_path / "out" / split / "labels.json").read_text())["classes"] == ["cat", "dog"]


def test_pictures_that_differ_in_the_extension_alone_keep_apart(tmp_path: Path) -> None:
    """FiftyOne knows a picture by its path without the extension."""
    release = release_of(tmp_path, {"1.jpeg": ("cat", None), "1.jpg": ("cat", None)})

    written = export(release, tmp_path / "out", "fiftyone")

    digest = release.pictures[1].sha256[:12]
    assert written.places == {"1.jpeg": "data/cat/1.jpeg", "1.jpg": f"data/cat/1-{digest}.jpg"}
    assert list(json.loads((tmp_path / "out" / "labels.json").read_text())["labels"]) == ["cat/1", f"cat/1-{digest}"]


def test_every_key_is_a_file_without_its_extension(tmp_path: Path) -> None:
    release = hard_release(tmp_path)

    written = export(release, tmp_path / "out", "fiftyone")

    keys = []
    for file in (tmp_path / "out").glob("*/labels.json"):
        keys += [f"{file.parent.name}/data/{key}" for key in json.loads(file.read_text())["labels"]]
    assert sorted(keys) == sorted(os.path.splitext(place)[0] for place in written.places.values())
    assert set(written.places) == {one.path for one in release.pictures}
    assert distinct(keys)


def test_the_same_release_gives_the_same_bytes(tmp_path: Path) -> None:
    release = hard_release(tmp_path)
    export(release, tmp_path / "one", "fiftyone")
    export(release, tmp_path / "two", "fiftyone")

    assert bytes_of(tmp_path / "one") == bytes_of(tmp_path / "two")


def test_fiftyone_reads_every_picture_with_its_label(tmp_path: Path) -> None:
    release = hard_release(tmp_path)
    library.export(tmp_path / "photos", tmp_path / "out", format="fiftyone")

    rows = ask_fiftyone(tmp_path, tmp_path / "out")

    found = Counter((row["sha256"], row["label"], row["split"].replace("_no_split", "")) for row in rows)
    assert found == Counter((sha256, label, split or "") for sha256, label, split in told_by(release).elements())


# ---- Reading


@pytest.mark.parametrize("splits", [True, False])
def test_an_export_comes_back_as_it_left(splits: bool, tmp_path: Path) -> None:
    release = (
        hard_release(tmp_path) if splits else release_of(tmp_path, {"1.jpg": ("a/b", None), "2.jpg": (None, None)})
    )
    library.export(tmp_path / "photos", tmp_path / "out", format="fiftyone")

    assert told(read(tmp_path / "out", "fiftyone")) == told_by(release)


def test_what_fiftyone_writes_comes_back(tmp_path: Path) -> None:
    for number in range(3):
        write(tmp_path / "pictures" / f"{number}.jpg", PICTURES[number])
    ask_fiftyone(tmp_path, tmp_path / "pictures", tmp_path / "out", '{"0.jpg": "cat", "1.jpg": null, "2.jpg": "a dog"}')

    items = read(tmp_path / "out", "fiftyone")

    assert labels_of(items) == {"0.jpg": "cat", "1.jpg": None, "2.jpg": "a dog"}


@pytest.mark.parametrize(
    ("value", "classes", "label"),
    [
        ("cat", None, "cat"),
        ("dog", ["cat"], "dog"),
        (1, ["cat", "dog"], "dog"),
        (1, None, "1"),
        (None, ["cat"], None),
        ({"label": "cat", "confidence": 0.5, "attributes": {"x": 1}}, None, "cat"),
        ({"label": 0}, ["cat"], "cat"),
        ({"confidence": 0.5}, None, None),
        ([], None, None),
        ([{"label": "cat"}], None, "cat"),
        ([1], ["cat", "dog"], "dog"),
    ],
)
def test_every_way_of_writing_a_label_is_read(
    value: object, classes: object, label: str | None, tmp_path: Path
) -> None:
    [item] = read(dataset(tmp_path, {"a": value}, classes), "fiftyone")

    assert (item.label, item.problem) == (label, "")


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (["cat", "dog"], "it has 2 labels, not one"),
        (True, "True is no label"),
        (1.5, "1.5 is no label"),
        ("", "'' is no label"),
        ("\ud800", "is no label"),
        ("a\0b", "is no label"),
        ({"label": {"label": "cat"}}, "is no label"),
        ([["cat"]], "['cat'] is no label"),
    ],
)
def test_what_is_not_one_label_is_told(value: object, problem: str, tmp_path: Path) -> None:
    [item] = read(dataset(tmp_path, {"a": value}), "fiftyone")

    assert item.content is not None
    assert item.label is None
    assert problem in item.problem


@pytest.mark.parametrize("index", [2, -1, 10**30])
def test_an_unknown_class_index_is_the_users_to_mend(index: int, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=rf"labels.json.*'a' has the class index {index}; there are 2 classes"):
        read(dataset(tmp_path, {"a": index}, ["cat", "dog"]), "fiftyone")


def test_pictures_in_folders_below_data_are_found(tmp_path: Path) -> None:
    source = dataset(tmp_path, {"x/y.z": "cat"}, names=("x/y.z.jpg",))

    [item] = read(source, "fiftyone")

    assert (item.name, item.content, item.label) == ("x/y.z.jpg", tmp_path / "data/x/y.z.jpg", "cat")


def test_pictures_that_nobody_labelled_come_along(tmp_path: Path) -> None:
    source = dataset(tmp_path, {"a": "cat"}, names=("a.jpg", "b.png", "notes.txt"))

    assert labels_of(read(source, "fiftyone")) == {"a.jpg": "cat", "b.png": None}


def test_two_pictures_of_one_name_have_no_label(tmp_path: Path) -> None:
    items = read(dataset(tmp_path, {"a": "cat"}, names=("a.jpg", "a.png")), "fiftyone")

    assert labels_of(items) == {"a.jpg": None, "a.png": None}
    assert all("several pictures have the name 'a'" in item.problem for item in items)


def test_data_json_may_name_the_pictures(tmp_path: Path) -> None:
    write(tmp_path / "elsewhere.jpg", PICTURES[0])
    (tmp_path / "in").mkdir()
    write(tmp_path / "in" / "pictures" / "1.jpg", PICTURES[1])
    (tmp_path / "in" / "labels.json").write_text('{"classes": null, "labels": {"a": "cat", "b": "dog", "c": "dog"}}')
    paths = {"a.jpg": "pictures/1.jpg", "b.jpg": str(tmp_path / "elsewhere.jpg"), "c.jpg": 5}
    (tmp_path / "in" / "data.json").write_text(json.dumps(paths))

    items = read(tmp_path / "in", "fiftyone")

    assert [(item.content, item.label) for item in items] == [
        (tmp_path / "in" / "pictures" / "1.jpg", "cat"),
        (None, "dog"),
        (None, "dog"),
    ]
    assert "is not a path inside the folder" in items[1].problem


@pytest.mark.parametrize("key", ["../secret", "/etc/passwd", "gone", "a\0b", "\ud800", "link", ""])
def test_a_picture_that_is_not_in_the_folder_is_a_problem(key: str, tmp_path: Path) -> None:
    write(tmp_path / "secret.jpg", PICTURES[3])
    dataset(tmp_path / "in", {key: "cat"}, names=())
    os.symlink(tmp_path / "secret.jpg", tmp_path / "in" / "data" / "link.jpg")

    items = read(tmp_path / "in", "fiftyone")

    assert [item.content for item in items] == [None] * len(items)
    assert all(item.problem for item in items)
    assert all(item.name.encode() for item in items)


def test_absolute_keys_of_pictures_in_the_folder_are_read(tmp_path: Path) -> None:
    """As FiftyOne writes them with abs_paths=True."""
    source = dataset(tmp_path, {str(tmp_path / "data" / "a.jpg"): "cat"})

    assert labels_of(read(source, "fiftyone")) == {"a.jpg": "cat"}


def test_the_folders_of_splits_are_the_splits(tmp_path: Path) -> None:
    dataset(tmp_path / "train", {"a": "cat"})
    dataset(tmp_path / "validation", {"a": "dog"}, names=("a.jpg", "b.jpg"))

    items = read(tmp_path, "fiftyone")

    assert [(item.name, item.split) for item in items] == [
        ("train/a.jpg", "train"),
        ("validation/a.jpg", "validation"),
        ("validation/b.jpg", "validation"),
    ]


# ---- FiftyOneDataset


def test_a_fiftyone_dataset_gives_its_ground_truth_and_the_splits_of_its_tags(tmp_path: Path) -> None:
    source = samples(
        tmp_path,
        {"ground_truth": classification("cat"), "model": classification("dog"), "tags": ["sunny", "validation"]},
        {"ground_truth": None, "model": classification("dog"), "tags": ["train", "test"]},
        {"ground_truth": {"_cls": "Classifications", "classifications": [classification("bird")]}},
    )

    items = read(source, "fiftyone")

    assert [(item.name, item.label, item.split) for item in items] == [
        ("0.jpg", "cat", "val"),
        ("1.jpg", None, None),
        ("2.jpg", "bird", None),
    ]
    assert items[1].problem == "it is tagged with several splits: test, train"


def test_the_only_field_with_classifications_has_the_labels(tmp_path: Path) -> None:
    [item] = read(samples(tmp_path, {"animal": classification("cat")}), "fiftyone")

    assert item.label == "cat"


def test_several_such_fields_are_the_users_to_tell_apart(tmp_path: Path) -> None:
    source = samples(tmp_path, {"one": classification("cat"), "two": classification("dog")})

    with pytest.raises(SourceError, match="several fields with classifications: one, two"):
        read(source, "fiftyone")


def test_samples_may_be_files_of_their_own(tmp_path: Path) -> None:
    samples(tmp_path, {"label": classification("cat")})
    [document] = json.loads((tmp_path / "samples.json").read_text())["samples"]
    (tmp_path / "samples.json").unlink()
    (tmp_path / "samples").mkdir()
    (tmp_path / "samples" / "000000-1.json").write_text(json.dumps(document))

    assert labels_of(read(tmp_path, "fiftyone")) == {"0.jpg": "cat"}


@pytest.mark.parametrize("path", ["/etc/passwd", "../x.jpg", 5, None, "data/gone.jpg", "data"])
def test_a_sample_outside_the_folder_is_a_problem(path: object, tmp_path: Path) -> None:
    [item] = read(samples(tmp_path, {"filepath": path, "label": classification("cat")}), "fiftyone")

    assert item.content is None
    assert item.problem


# ---- Files that are not what they say


@pytest.mark.parametrize(
    "content", ["", "[]", '{"labels": []}', '{"labels": {}, "classes": {"0": "cat"}}', "[" * 100_000, "\xff"]
)
def test_a_damaged_labels_file_is_refused_in_words(content: str, tmp_path: Path) -> None:
    source = dataset(tmp_path, {})
    (source / "labels.json").write_text(content, encoding="latin-1")

    with pytest.raises(SourceError, match=r"labels\.json"):
        read(source, "fiftyone")


def test_damaged_samples_are_refused_in_words(tmp_path: Path) -> None:
    (samples(tmp_path) / "samples.json").write_text('{"samples": [1]}')

    with pytest.raises(SourceError, match=r"samples\.json.*no FiftyOneDataset"):
        read(tmp_path, "fiftyone")


def test_a_folder_without_a_dataset_says_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"no labels\.json with data/"):
        read(tmp_path, "fiftyone")


def test_it_is_recognised_by_its_files(tmp_path: Path) -> None:
    dataset(tmp_path / "one" / "train", {"a": "cat"})
    samples(tmp_path / "two")
    (tmp_path / "three").mkdir()
    (tmp_path / "three" / "labels.json").write_text("{}")

    assert recognises(tmp_path / "one")
    assert recognises(tmp_path / "one" / "train")
    assert recognises(tmp_path / "one" / "train" / "labels.json")
    assert recognises(tmp_path / "two")
    assert not recognises(tmp_path / "three")
    assert not recognises(tmp_path / "three" / "labels.json")
    assert not recognises(tmp_path / "gone")
