"""Class folders: written so that others number the classes alike, and read whoever made them."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

import curate as library
from conftest import PICTURES, write
from curate.importers import Item
from curate.release import Release
from oracle import ask
from releases import bytes_of, export, hard_release, read, release_of, told, told_by


@pytest.fixture(scope="module")
def hard(tmp_path_factory: pytest.TempPathFactory) -> Release:
    return hard_release(tmp_path_factory.mktemp("hard"))


@pytest.fixture(scope="module")
def hard_export(hard: Release, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As `curate export` writes it, with classes.json."""
    out = tmp_path_factory.mktemp("out") / "folders"
    library.export(hard.project.directory, out)
    return out


def found(folder: Path) -> dict[str, tuple[str | None, str | None]]:
    """name -> (label, split) of what is read from a folder."""
    return {item.name: (item.label, item.split) for item in read(folder, "folders") if item.content}


def problems(folder: Path) -> dict[str, str]:
    return {item.name: item.problem for item in read(folder, "folders") if item.problem}


def tree(folder: Path, *names: str) -> Path:
    """A folder of pictures of these names."""
    for number, name in enumerate(names):
        write(folder / name, PICTURES[number])
    return folder


# ---- Writing


def test_without_splits_the_first_folder_is_the_class(tmp_path: Path) -> None:
    release = release_of(tmp_path, {"may/1.jpg": ("cat", None), "2.jpg": (None, None)})

    written = export(release, tmp_path / "out", "imagefolder")

    assert written.places == {"may/1.jpg": "cat/may/1.jpg", "2.jpg": "_unlabeled/2.jpg"}
    assert sorted(bytes_of(tmp_path / "out")) == ["_unlabeled/2.jpg", "cat/may/1.jpg"]


def test_splits_are_the_first_folder_and_who_has_none_is_in_none_of_them(tmp_path: Path) -> None:
    release = release_of(tmp_path, {"1.jpg": ("cat", "train"), "2.jpg": ("cat", "val"), "3.jpg": ("cat", None)})

    written = export(release, tmp_path / "out", "imagefolder")

    assert list(written.places.values()) == ["train/cat/1.jpg", "val/cat/2.jpg", "_no_split/cat/3.jpg"]


def test_a_class_without_pictures_in_a_split_has_an_empty_folder_there(tmp_path: Path) -> None:
    """Readers number the folders: without it, dog would be class 0 of test and class 1 of train."""
    release = release_of(tmp_path, {"1.jpg": ("cat", "train"), "2.jpg": ("dog", "train"), "3.jpg": ("dog", "test")})

    written = export(release, tmp_path / "out", "imagefolder")

    assert sorted(path.name for path in (tmp_path / "out" / "test").iterdir()) == ["cat", "dog"]
    [note] = written.notes
    assert note.startswith("1 class folders are empty, for example 'test/cat': give torchvision allow_empty=True")


def test_flat_puts_every_picture_directly_into_its_class(tmp_path: Path) -> None:
    release = release_of(tmp_path, {"a/1.jpg": ("cat", None), "a_1.jpg": ("cat", None), "b/c/2.jpg": ("cat", None)})

    written = export(release, tmp_path / "out", "imagefolder", flat=True)

    second = next(one for one in release.pictures if one.path == "a_1.jpg")
    assert written.places == {
        "a/1.jpg": "cat/a_1.jpg",
        "a_1.jpg": f"cat/a_1-{second.source_sha256[:12]}.jpg",
        "b/c/2.jpg": "cat/b_c_2.jpg",
    }
    assert told(read(tmp_path / "out", "folders")) == told_by(release)


def test_two_exports_of_a_version_have_the_same_bytes(hard: Release, tmp_path: Path) -> None:
    for name in ("one", "two"):
        export(hard, tmp_path / name, "imagefolder")

    assert bytes_of(tmp_path / "one") == bytes_of(tmp_path / "two")


# ---- There and back


def test_every_label_comes_back_by_classes_json(hard: Release, hard_export: Path) -> None:
    assert told(read(hard_export, "folders")) == told_by(hard)


@pytest.mark.parametrize("splits", [(None, None, None, None), ("train", "test", "train", "test")])
def test_classes_called_like_splits_come_back(splits: tuple[str | None, ...], tmp_path: Path) -> None:
    labels = dict(
        zip(["1.jpg", "2.jpg", "3.jpg", "4.jpg"], zip(["train", "test"] * 2, splits, strict=True), strict=True)
    )
    release = release_of(tmp_path, labels)

    library.export(release.project.directory, tmp_path / "out")

    assert told(read(tmp_path / "out", "folders")) == told_by(release)


def test_a_split_of_any_name_comes_back(tmp_path: Path) -> None:
    release = release_of(tmp_path, {"1.jpg": ("cat", "fold/1"), "2.jpg": ("cat", "fold 2"), "3.jpg": ("cat", None)})

    library.export(release.project.directory, tmp_path / "out")

    assert told(read(tmp_path / "out", "folders")) == told_by(release)


def test_a_picture_moved_to_another_class_folder_has_its_label(tmp_path: Path) -> None:
    """People sort exports by hand: the folders count, not the manifest."""
    release = release_of(tmp_path, {"1.jpg": ("cat", None), "2.jpg": ("a/b", None)})
    library.export(release.project.directory, tmp_path / "out")

    (tmp_path / "out" / "cat" / "1.jpg").rename(tmp_path / "out" / "a%2Fb" / "1.jpg")

    assert found(tmp_path / "out") == {"a%2Fb/1.jpg": ("a/b", None), "a%2Fb/2.jpg": ("a/b", None)}


# ---- Reading what others made


def test_only_our_own_exports_have_escaped_names(tmp_path: Path) -> None:
    folder = tree(tmp_path / "source", "100%25/1.jpg", "a%2Fb/2.jpg")

    assert found(folder) == {"100%25/1.jpg": ("100%25", None), "a%2Fb/2.jpg": ("a%2Fb", None)}


def test_split_folders_of_other_names_are_known(tmp_path: Path) -> None:
    folder = tree(tmp_path / "source", "training/cat/1.jpg", "Validation/cat/deep/2.jpg", "eval/_unlabeled/3.jpg")

    assert found(folder) == {
        "Validation/cat/deep/2.jpg": ("cat", "Validation"),
        "eval/_unlabeled/3.jpg": (None, "eval"),
        "training/cat/1.jpg": ("cat", "training"),
    }


def test_a_class_called_test_beside_others_is_a_class(tmp_path: Path) -> None:
    folder = tree(tmp_path / "source", "test/1.jpg", "cat/2.jpg", "3.jpg")

    assert found(folder) == {"3.jpg": (None, None), "cat/2.jpg": ("cat", None), "test/1.jpg": ("test", None)}


def test_a_folder_that_holds_no_picture_does_not_hide_the_splits(tmp_path: Path) -> None:
    folder = tree(tmp_path / "source", "train/cat/1.jpg", "val/cat/2.jpg")
    write(folder / "annotations" / "notes.txt", b"two pictures")

    assert set(found(folder).values()) == {("cat", "train"), ("cat", "val")}


def test_hidden_files_and_plain_non_pictures_are_skipped(tmp_path: Path) -> None:
    folder = tree(tmp_path / "source", "cat/1.jpg", "cat/no_extension")
    for name in (".DS_Store", "cat/.1.jpg", ".cache/2.jpg", "labels.csv", "cat/readme.txt"):
        write(folder / name, PICTURES[5])

    assert set(found(folder)) == {"cat/1.jpg", "cat/no_extension"}
    assert problems(folder) == {}


def test_a_link_out_of_the_folder_is_reported_and_not_followed(tmp_path: Path) -> None:
    folder = tree(tmp_path / "source", "cat/1.jpg")
    secret = write(tmp_path / "secret.jpg", PICTURES[5])
    (folder / "cat" / "2.jpg").symlink_to(secret)

    assert set(found(folder)) == {"cat/1.jpg"}
    assert problems(folder) == {"cat/2.jpg": "symbolic link that leaves the folder"}


def test_a_foreign_classes_json_changes_nothing(tmp_path: Path) -> None:
    folder = tree(tmp_path / "source", "a%2Fb/1.jpg")
    (folder / "classes.json").write_text('["cat", "dog"]')

    assert found(folder) == {"a%2Fb/1.jpg": ("a%2Fb", None)}


# ---- Other libraries


def test_torchvision_numbers_the_classes_alike_in_every_split(tmp_path: Path) -> None:
    datasets = pytest.importorskip("torchvision.datasets")
    release = release_of(tmp_path, {"1.jpg": ("cat", "train"), "2.jpg": ("dog", "train"), "3.jpg": ("dog", "test")})
    export(release, tmp_path / "out", "imagefolder")

    test = datasets.ImageFolder(tmp_path / "out" / "test", allow_empty=True)

    assert test.classes == ["cat", "dog"]
    assert test.samples == [(str(tmp_path / "out" / "test" / "dog" / "3.jpg"), 1)]


def test_torchvision_reads_every_label_by_the_folder_names(hard: Release, hard_export: Path) -> None:
    datasets = pytest.importorskip("torchvision.datasets")
    names = {one["folder"]: one["name"] for one in json.loads((hard_export / "classes.json").read_text())}

    seen = []
    for split in (*hard.splits, "_no_split"):
        folder = datasets.ImageFolder(hard_export / split, allow_empty=True)
        labels = [names.get(name) for name in folder.classes]
        seen += [Item("", Path(path), labels[index], split) for path, index in folder.samples]

    assert told(seen) == told_as(hard, none="_no_split")


def test_hugging_face_reads_every_picture_if_told_the_splits(hard_export: Path, hard: Release, tmp_path: Path) -> None:
    rows = ask("read_imagefolder.py", "datasets", hard_export, "train", "val", "test", "_no_split", home=tmp_path)

    names = {one["folder"]: one["name"] for one in json.loads((hard_export / "classes.json").read_text())}
    assert Counter((row["sha256"], names.get(row["label"]), row["split"]) for row in rows) == told_as(hard, "_no_split")


def test_datumaro_reads_class_folders(tmp_path: Path) -> None:
    labels = {
        "1.jpg": ("cat", None),
        "2.jpg": ("caf\u00e9", None),
        "a/3.jpg": ("\u732b", None),
        "4.png": ("test", None),
    }
    release = release_of(tmp_path, labels)
    export(release, tmp_path / "out", "imagefolder", flat=True)

    rows = ask("read_imagefolder.py", "datumaro", tmp_path / "out", home=tmp_path)

    assert Counter((row["sha256"], row["label"], row["split"]) for row in rows) == told_by(release)


def test_datumaro_reads_the_splits(tmp_path: Path) -> None:
    labels = {
        f"{split}{label}.jpg": (label, split) for split in ("train", "val", "test") for label in ("cat", "a.b", "dev")
    }
    release = release_of(tmp_path, labels)
    library.export(release.project.directory, tmp_path / "out")

    rows = ask("read_imagefolder.py", "datumaro", tmp_path / "out", "train", "val", "test", home=tmp_path)

    assert Counter((row["sha256"], row["label"], row["split"]) for row in rows) == told_by(release)


def told_as(release: Release, none: str) -> Counter[tuple[str, str | None, str | None]]:
    """What a reader finds that gives pictures without a split this one."""
    return Counter((one.sha256, one.label, one.split or none) for one in release.pictures)
