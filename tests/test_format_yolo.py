"""YOLO: class folders as Ultralytics takes them, and labels from its label files."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

import pytest

import curate as library
from conftest import PICTURES, write
from curate.errors import SourceError
from curate.importers.yolo import recognises
from curate.project import Project
from curate.release import Release, open_release
from oracle import ask
from pictures import READABLE
from releases import HARD_LABELS, bytes_of, export, read, release_of, told, told_by

BOX = "0 0.5 0.5 0.2 0.2"
NAMES = "names: [cat, dog]\n"


@pytest.fixture(scope="module")
def hard(tmp_path_factory: pytest.TempPathFactory) -> Release:
    """A picture of each hard label in train and in val."""
    labels = {
        f"{split}{number}.jpg": (label, split) for split in ("train", "val") for number, label in enumerate(HARD_LABELS)
    }
    return release_of(tmp_path_factory.mktemp("hard"), labels)


def yolo(folder: Path, yaml: str = NAMES + "train: images/train\n", **labels: str) -> Path:
    """A detection set with a picture for each label file: images/train/NAME.jpg, labels/train/NAME.txt."""
    (folder / "images" / "train").mkdir(parents=True, exist_ok=True)
    for number, (name, text) in enumerate(labels.items()):
        write(folder / "images" / "train" / f"{name}.jpg", PICTURES[number])
        write(folder / "labels" / "train" / f"{name}.txt", text.encode())
    write(folder / "data.yaml", yaml.encode())
    return folder


# ---- What we write


def test_datumaro_reads_every_label_split_and_byte(hard: Release, tmp_path: Path) -> None:
    labels = {folder: label for label, folder in hard.folders.items()}

    library.export(hard.project.directory, tmp_path / "out", format="yolo")

    rows = ask("read_datumaro.py", "imagenet_with_subset_dirs", tmp_path / "out")
    assert Counter((row["sha256"], labels[row["label"]], row["split"]) for row in rows) == told_by(hard)


@pytest.mark.slow
def test_torchvision_numbers_the_classes_of_every_split_alike(tmp_path: Path) -> None:
    """Ultralytics loads each split by ImageFolder, on its own."""
    folder = pytest.importorskip("torchvision.datasets").ImageFolder
    release = release_of(tmp_path, {"1.jpg": ("ant", "train"), "2.jpg": ("bee", "train"), "3.jpg": ("bee", "val")})

    export(release, tmp_path / "out", "yolo")

    found = {split: folder(tmp_path / "out" / split, allow_empty=True) for split in ("train", "val")}
    assert found["train"].class_to_idx == found["val"].class_to_idx == {"ant": 0, "bee": 1}
    assert [index for _, index in found["val"].samples] == [1]


def test_an_export_comes_back_as_it_was(hard: Release, tmp_path: Path) -> None:
    library.export(hard.project.directory, tmp_path / "out", format="yolo")

    assert recognises(tmp_path / "out")
    assert told(read(tmp_path / "out", "yolo")) == told_by(hard)


def test_without_splits_everything_is_for_training(tmp_path: Path) -> None:
    release = release_of(tmp_path, {"1.jpg": ("cat", None), "2.jpg": ("dog", None)})

    written = export(release, tmp_path / "out", "yolo")

    assert written.places == {"1.jpg": "train/cat/1.jpg", "2.jpg": "train/dog/2.jpg"}
    assert sorted(bytes_of(tmp_path / "out")) == ["train/cat/1.jpg", "train/dog/2.jpg"]


def test_what_has_no_place_is_left_out_with_its_reason(tmp_path: Path) -> None:
    labels = {
        "1.jpg": ("cat", "train"),
        "2.jpg": (None, "train"),
        "3.jpg": ("cat", None),
        "4.jpg": ("cat", "holdout"),
    }
    release = release_of(tmp_path, labels)

    written = export(release, tmp_path / "out", "yolo")

    assert written.places == {"1.jpg": "train/cat/1.jpg"}
    assert written.left_out == {
        "2.jpg": "it has no label, and YOLO's folders are classes",
        "3.jpg": "it has no split, though others have one",
        "4.jpg": "its split 'holdout' is none of train, val, test",
    }


def test_folders_below_a_class_become_part_of_the_name(tmp_path: Path) -> None:
    """Ultralytics counts every folder as a class."""
    release = release_of(tmp_path, {"cat/2020/1.jpg": ("cat", None), "cat/2020_1.jpg": ("cat", None)})

    written = export(release, tmp_path / "out", "yolo")

    digest = next(one.sha256 for one in release.pictures if one.path == "cat/2020_1.jpg")
    assert written.places == {
        "cat/2020/1.jpg": "train/cat/2020_1.jpg",
        "cat/2020_1.jpg": f"train/cat/2020_1-{digest[:12]}.jpg",
    }


def test_every_split_has_every_class_so_that_all_number_them_alike(tmp_path: Path) -> None:
    release = release_of(tmp_path, {"1.jpg": ("ant", "train"), "2.jpg": ("bee", "train"), "3.jpg": ("bee", "val")})

    written = export(release, tmp_path / "out", "yolo")

    assert sorted(os.listdir(tmp_path / "out")) == ["train", "val"]
    assert sorted(os.listdir(tmp_path / "out" / "val")) == ["ant", "bee"]
    assert written.notes == ("Classes that a split lacks have empty folders there (1, such as 'val/ant').",)


def test_folders_in_another_order_than_the_classes_are_said(tmp_path: Path) -> None:
    release = release_of(tmp_path, {"1.jpg": (".a", None), "2.jpg": ("#b", None)})

    written = export(release, tmp_path / "out", "yolo")

    assert release.classes == ["#b", ".a"]
    assert sorted(os.listdir(tmp_path / "out" / "train")) == ["#b", "%2Ea"]
    assert written.notes == ()
    second = release_of(tmp_path / "2", {"1.jpg": (".a", None), "2.jpg": ("*b", None), "3.jpg": ("+c", None)})
    assert export(second, tmp_path / "out2", "yolo").notes == (
        "Ultralytics numbers the classes by folder name, in another order than classes.json does.",
    )


def test_what_ultralytics_would_not_open_is_renamed_or_left_out(tmp_path: Path) -> None:
    """It goes by the extension first, and opens no GIF at all."""
    contents = {
        "1.jpe": PICTURES[0],
        "2": PICTURES[1],
        "3.gif": READABLE["ordinary.gif"],
        "4.TIFF": READABLE["lzw.tif"],
    }
    for name, data in contents.items():
        write(tmp_path / "photos" / "cat" / name, data)
    library.clean(tmp_path / "photos", workers=1, changes={"checks.near_duplicate.action": "note"})

    written = export(open_release(Project.at(tmp_path / "photos")), tmp_path / "out", "yolo")

    assert written.places == {
        "cat/1.jpe": "train/cat/1.jpg",
        "cat/2": "train/cat/2.jpg",
        "cat/4.TIFF": "train/cat/4.TIFF",
    }
    assert written.left_out == {"cat/3.gif": "Ultralytics can't open GIF; `curate normalize` makes a JPEG of it"}


# ---- Class folders that others wrote


def test_class_folders_that_datumaro_writes_are_read(tmp_path: Path) -> None:
    for number in range(3):
        write(tmp_path / "pictures" / f"{number}.jpg", PICTURES[number])
    items = {"0.jpg": ["train", ["cat"]], "1.jpg": ["train", ["a dog"]], "2.jpg": ["val", ["cat"]]}
    name = "imagenet_with_subset_dirs"
    rows = ask("write_datumaro.py", name, tmp_path / "pictures", tmp_path / "set", json.dumps(items), "label")

    found = told(read(tmp_path / "set", "yolo"))

    assert found == Counter((row["sha256"], row["label"][0], row["split"]) for row in rows)


def test_every_folder_beside_train_is_a_split(tmp_path: Path) -> None:
    for name in ("train/cat/1.jpg", "train/cat/more/2.jpg", "holdout/dog/3.jpg", "val/4.jpg", "val/_unlabeled/5.jpg"):
        write(tmp_path / name, PICTURES[0])
    write(tmp_path / "train" / "cat" / "notes.txt", b"notes")
    write(tmp_path / "train" / ".hidden" / "6.jpg", PICTURES[0])

    found = {item.name: (item.label, item.split) for item in read(tmp_path, "yolo")}

    assert found == {
        "train/cat/1.jpg": ("cat", "train"),
        "train/cat/more/2.jpg": ("cat", "train"),
        "holdout/dog/3.jpg": ("dog", "holdout"),
        "val/4.jpg": (None, "val"),
        "val/_unlabeled/5.jpg": (None, "val"),
    }


def test_a_percent_sign_in_the_name_of_anybodys_folder_stays(tmp_path: Path) -> None:
    write(tmp_path / "train" / "a%20b" / "1.jpg", PICTURES[0])

    assert [item.label for item in read(tmp_path, "yolo")] == ["a%20b"]


def test_a_link_that_leads_out_is_reported(tmp_path: Path) -> None:
    write(tmp_path / "set" / "train" / "cat" / "1.jpg", PICTURES[0])
    write(tmp_path / "out.jpg", PICTURES[1])
    (tmp_path / "set" / "train" / "cat" / "2.jpg").symlink_to(tmp_path / "out.jpg")

    found = {item.name: (item.content, item.problem) for item in read(tmp_path / "set", "yolo")}

    assert found["train/cat/2.jpg"] == (None, "it leads out of the data set")


def test_a_name_that_is_no_text_can_be_written_down(tmp_path: Path) -> None:
    write(tmp_path / "train" / "cat" / os.fsdecode(b"caf\xe9.jpg"), PICTURES[0])

    (item,) = read(tmp_path, "yolo")

    assert item.name == "train/cat/caf\\xe9.jpg"
    assert isinstance(item.content, Path)
    assert item.content.read_bytes() == PICTURES[0]


def test_a_folder_without_train_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "cat" / "1.jpg", PICTURES[0])

    with pytest.raises(SourceError, match=r"neither a data\.yaml nor a folder train, val or test") as error:
        read(tmp_path, "yolo")
    assert error.value.hint == "A folder per class without splits is --format folders."
    assert not recognises(tmp_path)


# ---- Label files


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("", None),
        ("\n\n", None),
        (BOX, "cat"),
        (f"{BOX}\r\n{BOX}\r\n", "cat"),
        ("1.0 0.5 0.5 0.2 0.2 0.9", "dog"),  # with a confidence
        ("1 0.1 0.1 0.9 0.1 0.9 0.9 0.1 0.9", "dog"),  # an outline
        (f"\ufeff{BOX}", "cat"),
    ],
)
def test_the_class_of_the_boxes_becomes_the_label(text: str, label: str | None, tmp_path: Path) -> None:
    (item,) = read(yolo(tmp_path, a=text), "yolo")

    assert recognises(tmp_path)
    assert (item.name, item.label, item.split, item.problem) == ("images/train/a.jpg", label, "train", "")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (f"{BOX}\n1 0.5 0.5 0.2 0.2", "it has 2 different labels ('cat', 'dog'), so it was left without one"),
        (f"{BOX}\n0 0.5 0.5", "line 2 of its label file is no box: '0 0.5 0.5'"),
        ("cat 0.5 0.5 0.2 0.2", "line 1 of its label file is no box: 'cat 0.5 0.5 0.2 0.2'"),
        ("0.5 0.5 0.5 0.2 0.2", "line 1 of its label file is no box: '0.5 0.5 0.5 0.2 0.2'"),
        ("0 nan 0.5 0.2 0.2", "line 1 of its label file is no box: '0 nan 0.5 0.2 0.2'"),
        ("0 1e999 0.5 0.2 0.2", "line 1 of its label file is no box: '0 1e999 0.5 0.2 0.2'"),
    ],
)
def test_a_picture_whose_class_is_not_clear_is_taken_without_a_label(text: str, problem: str, tmp_path: Path) -> None:
    (item,) = read(yolo(tmp_path, a=text), "yolo")

    assert (item.content, item.label, item.problem) == (tmp_path / "images/train/a.jpg", None, problem)


def test_a_picture_without_a_label_file_is_background(tmp_path: Path) -> None:
    source = yolo(tmp_path, a=BOX)
    (source / "labels" / "train" / "a.txt").unlink()

    (item,) = read(source, "yolo")

    assert (item.label, item.problem) == (None, "")


def test_a_label_file_without_a_picture_is_reported(tmp_path: Path) -> None:
    source = yolo(tmp_path, a=BOX)
    write(source / "labels" / "train" / "gone.txt", BOX.encode())
    write(source / "labels" / "train" / "classes.txt", b"cat\ndog\n")

    found = {item.name: item.problem for item in read(source, "yolo") if item.content is None}

    assert found == {"images/train/gone": "there is a label file, but no such picture"}


def test_a_label_file_that_is_no_file_of_the_set_is_not_read(tmp_path: Path) -> None:
    source = yolo(tmp_path / "set", a="", b="", c="")
    write(tmp_path / "secret.txt", BOX.encode())
    for name in "abc":
        (source / "labels" / "train" / f"{name}.txt").unlink()
    (source / "labels" / "train" / "a.txt").symlink_to(tmp_path / "secret.txt")
    os.mkfifo(source / "labels" / "train" / "b.txt")
    write(source / "labels" / "train" / "c.txt", b"0 \xff")

    found = [(item.label, item.problem) for item in read(source, "yolo")]

    assert found[:2] == [(None, "its label file is no file in the data set")] * 2
    assert found[2][1].startswith("its label file can't be read: 'utf-8' codec")


@pytest.mark.parametrize("index", ["2", "-1", "99999999999999999999"])
def test_an_unknown_class_is_refused_with_its_line(index: str, tmp_path: Path) -> None:
    source = yolo(tmp_path, a=f"{BOX}\n{index} 0.5 0.5 0.2 0.2")

    with pytest.raises(SourceError, match=r"Line 2 of .*labels/train/a\.txt' has the class .*data\.yaml gives no name"):
        read(source, "yolo")


# ---- data.yaml


@pytest.mark.parametrize(
    "names",
    [
        "names: [cat, dog]",
        "names:\n- cat\n- dog",
        "names:\n  0: cat\n  1: dog",
        "names: {1: dog, 0: cat}",
        "# a comment\nnames: ['cat', \"dog\"]  # two\nnc: 2",
    ],
)
def test_class_names_are_a_list_or_numbered(names: str, tmp_path: Path) -> None:
    source = yolo(tmp_path, f"{names}\ntrain: images/train\n", a=BOX, b="1 0 0 1 1")

    assert [item.label for item in read(source, "yolo")] == ["cat", "dog"]


def test_class_names_are_texts_whatever_yaml_would_make_of_them(tmp_path: Path) -> None:
    yaml = "names: [no, 1.0, null, 2020-01-01]\ntrain: images/train\n"
    source = yolo(tmp_path, yaml, **{name: f"{name[1:]} 0 0 1 1" for name in ("a0", "a1", "a2", "a3")})

    assert [item.label for item in read(source, "yolo")] == ["no", "1.0", "null", "2020-01-01"]


@pytest.mark.parametrize(
    "yaml",
    [
        "train: images/train\nval: \ntest: # none",
        "path: .\ntrain: images/train",
        "path: images\ntrain: train",
        "path: /content/datasets/elsewhere\ntrain: images/train",
        "train: ../images/train",  # as Roboflow writes it
        "train: [images/train]",
        "train: images/",
        "train: list.txt",
    ],
)
def test_pictures_are_found_however_their_place_is_written(yaml: str, tmp_path: Path) -> None:
    source = yolo(tmp_path, NAMES + yaml, a=BOX)
    write(source / "list.txt", b"./images/train/a.jpg\n\n")

    (item,) = read(source, "yolo")

    assert (item.content, item.label, item.split) == (source / "images" / "train" / "a.jpg", "cat", "train")


def test_roboflows_folders_are_understood(tmp_path: Path) -> None:
    for split, number in (("train", 0), ("valid", 1)):
        write(tmp_path / split / "images" / "a.jpg", PICTURES[number])
        write(tmp_path / split / "labels" / "a.txt", f"{number} 0 0 1 1".encode())
    write(tmp_path / "data.yaml", f"{NAMES}train: ../train/images\nval: ../valid/images\n".encode())

    assert [(item.label, item.split) for item in read(tmp_path, "yolo")] == [("cat", "train"), ("dog", "val")]


def test_what_datumaro_writes_is_read(tmp_path: Path) -> None:
    for number in range(4):
        write(tmp_path / "pictures" / f"{number}.jpg", PICTURES[number])
    items = {
        "0.jpg": ["train", ["cat"]],
        "1.jpg": ["val", ["dog", "dog"]],
        "2.jpg": ["val", []],
        "3.jpg": ["train", ["cat", "dog"]],
    }
    ask("write_datumaro.py", "yolo_ultralytics", tmp_path / "pictures", tmp_path / "set", json.dumps(items), "bbox")

    found = {item.name: (item.label, item.split, bool(item.problem)) for item in read(tmp_path / "set", "yolo")}

    assert found == {
        "images/train/0.jpg": ("cat", "train", False),
        "images/val/1.jpg": ("dog", "val", False),
        "images/val/2.jpg": (None, "val", False),
        "images/train/3.jpg": (None, "train", True),
    }


@pytest.mark.parametrize(
    ("yaml", "message"),
    [
        ("", "is no data.yaml: expected keys"),
        ("[1, 2]", "is no data.yaml: expected keys"),
        ("names: [", "can't be read: while parsing"),
        ("[" * 20_000, "can't be read"),
        ("a: &a [*a]", "can't be read: found unconstructable recursive node"),
        ("\0", "can't be read: unacceptable character"),
        ("? [a]\n: b", "is no data.yaml|can't be read"),
        ("train: images/train", "does not say how the classes are called"),
        ("names: []\ntrain: images/train", "does not say how the classes are called"),
        ("names: cat\ntrain: images/train", "does not say how the classes are called"),
        ("names: [cat, [dog]]\ntrain: images/train", "does not say how the classes are called"),
        ("names: {cat: 0}\ntrain: images/train", "does not say how the classes are called"),
        (NAMES, "names no pictures"),
        (NAMES + "train: {a: b}", "names no pictures"),
        (NAMES + "train: images/gone", "says train: images/gone, and there is no such folder or list"),
        (NAMES + "train: /etc", "says train: /etc, and there is no such folder or list"),
        (NAMES + "train: ../../..", r"says train: \.\./\.\./\.\., and there is no such folder or list"),
        ("x: " + "y" * 2_000_000, "is larger than 2 MB"),
    ],
)
def test_a_data_file_that_can_not_be_understood_is_refused(yaml: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=message):
        read(yolo(tmp_path, yaml, a=BOX), "yolo")


def test_the_data_file_itself_may_be_given(tmp_path: Path) -> None:
    source = yolo(tmp_path, a=BOX)
    (source / "data.yaml").rename(source / "coins.yaml")

    assert recognises(source / "coins.yaml")
    assert [item.label for item in read(source / "coins.yaml", "yolo")] == ["cat"]
