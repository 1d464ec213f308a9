"""Labels from folder names and from files."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

import curate as library
from conftest import PICTURES, Curate, write
from curate.errors import SourceError
from curate.stages.labels import labels_from_folders


def from_folders(*paths: str) -> list[object]:
    return [None if label != label else label for label in labels_from_folders(pd.Series(paths, dtype="str"))]


def labels(folder: Path, source: str | Path) -> dict[str, object]:
    """path -> label, None where there is none."""
    table = library.clean(folder, changes={"scan.labels": str(source)}, workers=1).table
    return {path: label if isinstance(label, str) else None for path, label in zip(table["path"], table["label"])}  # noqa: B905


# ---- From folders


def test_the_first_folder_is_the_class() -> None:
    assert from_folders("cats/1.jpg", "dogs/2020/may/2.jpg") == ["cats", "dogs"]


def test_pictures_of_a_flat_folder_have_no_label() -> None:
    assert from_folders("1.jpg", "2.jpg") == [None, None]


def test_pictures_beside_class_folders_have_no_label() -> None:
    assert from_folders("1.jpg", "cats/2.jpg") == [None, "cats"]


def test_the_folder_unlabeled_means_no_label() -> None:
    assert from_folders("_unlabeled/1.jpg", "cats/2.jpg") == [None, "cats"]


def test_below_split_folders_the_second_folder_is_the_class() -> None:
    assert from_folders("train/cats/1.jpg", "Val/cats/2.jpg", "test/_unlabeled/3.jpg", "test/4.jpg", "5.jpg") == [
        "cats",
        "cats",
        None,
        None,
        None,
    ]


def test_one_folder_that_is_no_split_makes_all_of_them_classes() -> None:
    assert from_folders("train/cats/1.jpg", "bus/cats/2.jpg") == ["train", "bus"]


def test_split_names_without_folders_below_are_classes() -> None:
    assert from_folders("train/1.jpg", "test/2.jpg") == ["train", "test"]


def test_a_class_may_be_called_nan() -> None:
    assert from_folders("nan/1.jpg", "NA/2.jpg", "None/3.jpg") == ["nan", "NA", "None"]


def test_labels_none_ignores_the_folders(photos: Path) -> None:
    assert set(labels(photos, "none").values()) == {None}


# ---- From files

EXPECTED = {
    "cats/0.jpg": "NA",
    "cats/1.jpg": "01",
    "cats/2.jpg": None,  # listed with an empty label
    "dogs/3.jpg": None,  # not listed
    "dogs/4.jpg": "big dog, brown",
    "dogs/5.jpg": None,  # listed as _unlabeled
}
CSV = 'path,label\ncats/0.jpg,NA\ncats/1.jpg,01\ncats/2.jpg,\ndogs/4.jpg,"big dog, brown"\ndogs/5.jpg,_unlabeled\n'
TSV = "image\tnote\tclass\ncats/0.jpg\t\tNA\ncats/1.jpg\tx\t01\ndogs/4.jpg\t\tbig dog, brown\n"
JSONL = """{"file_name": "cats/0.jpg", "label": "NA"}
{"file_name": "./cats/1.jpg", "label": "01", "more": {"a": 1}}

{"file_name": "cats/2.jpg", "label": null}
{"file_name": "cats/2.jpg"}
{"file_name": "dogs/../dogs/4.jpg", "label": "big dog, brown"}
"""


@pytest.mark.parametrize(
    ("name", "text"),
    [("l.csv", CSV), ("l.CSV", "\ufeff" + CSV.replace("\n", "\r\n")), ("l.tsv", TSV), ("l.jsonl", JSONL)],
)
def test_labels_come_from_a_file(photos: Path, tmp_path: Path, name: str, text: str) -> None:
    """ "NA" is a class name, 01 keeps its zero, and who is not listed has no label."""
    (tmp_path / name).write_bytes(text.encode())

    assert labels(photos, tmp_path / name) == EXPECTED


def test_labels_come_from_parquet(photos: Path, tmp_path: Path) -> None:
    rows = {"cats/0.jpg": "NA", "cats/1.jpg": "01", "dogs/4.jpg": "big dog, brown"}
    frame = pd.DataFrame({"path": list(rows), "label": pd.Categorical(list(rows.values()))})
    frame.to_parquet(tmp_path / "l.parquet")

    assert labels(photos, tmp_path / "l.parquet") == EXPECTED


def test_numbers_as_labels_stay_as_they_were_written(photos: Path, tmp_path: Path) -> None:
    """A missing label among them must not make 1.0 of 1."""
    (tmp_path / "l.jsonl").write_text('{"path": "cats/0.jpg", "label": 1}\n{"path": "cats/1.jpg", "label": null}\n')
    frame = pd.DataFrame({"path": ["cats/0.jpg", "cats/1.jpg"], "label": pd.array([1, None], dtype="Int64")})
    frame.to_parquet(tmp_path / "l.parquet")

    assert labels(photos, tmp_path / "l.jsonl")["cats/0.jpg"] == "1"
    assert labels(photos, tmp_path / "l.parquet")["cats/0.jpg"] == "1"


def test_a_listed_file_that_is_not_there_is_an_error_row(photos: Path, tmp_path: Path, curate: Curate) -> None:
    (tmp_path / "l.csv").write_text("path,label\ncats/0.jpg,cat\ncats/gone.jpg,cat\n")

    done = curate("clean", photos, "--labels", tmp_path / "l.csv", "--workers", "1", "--json")

    assert done.json["read_errors"] == {"missing": 1}
    rows = library.table(photos).set_index("path")
    assert rows.loc["cats/gone.jpg", "read_error"] == "missing"
    assert rows.loc["cats/gone.jpg", "reasons"] == "unreadable"
    assert rows.loc["cats/gone.jpg", "label"] == "cat"


def test_a_listed_path_through_a_link_out_of_the_folder_is_not_opened(photos: Path, tmp_path: Path) -> None:
    write(tmp_path / "private" / "1.jpg", PICTURES[9])
    (photos / "out").symlink_to(tmp_path / "private")
    (tmp_path / "l.csv").write_text("path,label\nout/1.jpg,cat\n")

    table = library.clean(photos, changes={"scan.labels": str(tmp_path / "l.csv")}, workers=1).table

    row = table.set_index("path").loc["out/1.jpg"]
    assert row["read_error"] == "missing"
    assert row[["sha256", "width"]].isna().all()


@pytest.mark.parametrize("path", ["../secret.jpg", "/etc/passwd", "cats/../../x.jpg", "..", ".", "", "s3://b/1.jpg"])
def test_a_path_out_of_the_folder_is_refused_with_its_row(photos: Path, tmp_path: Path, path: str) -> None:
    (tmp_path / "l.csv").write_text(f"path,label\ncats/0.jpg,cat\n{path},cat\n")

    with pytest.raises(SourceError, match=r"^Row 2 of '.*l\.csv' names .* not a path inside the image folder"):
        labels(photos, tmp_path / "l.csv")


def test_two_labels_for_one_path_are_refused(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "l.csv").write_text("path,label\ncats/0.jpg,cat\n./cats/0.jpg,dog\n")

    with pytest.raises(SourceError, match=r"gives 'cats/0\.jpg' two different labels or splits \(1 such paths\)"):
        labels(photos, tmp_path / "l.csv")


def test_the_same_line_twice_is_no_contradiction(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "l.csv").write_text("path,label\ncats/0.jpg,cat\ncats/0.jpg,cat\n")

    assert labels(photos, tmp_path / "l.csv")["cats/0.jpg"] == "cat"


def test_names_that_are_no_utf8_are_listed_as_the_table_spells_them(photos: Path, tmp_path: Path) -> None:
    write(photos / "caf\udce9.jpg", PICTURES[8])
    write(photos / "back\\slash.jpg", PICTURES[9])
    (tmp_path / "l.csv").write_text("path,label\ncaf\\xe9.jpg,cat\nback\\slash.jpg,dog\n")

    found = labels(photos, tmp_path / "l.csv")

    assert (found["caf\\xe9.jpg"], found["back\\\\slash.jpg"]) == ("cat", "dog")
    assert len(found) == 8


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("l.csv", "picture,label\n", r"has no column 'path'; its columns are: picture, label\."),
        ("l.csv", "path,kind\n", r"has no column 'label'; its columns are: path, kind\."),
        ("l.csv", "path,label\ncats/0.jpg,cat, small\n", r"can't be read: Length of header"),
        ("l.csv", "", r"can't be read: No columns to parse"),
        ("l.csv", "path,label\ncaf\udce9.jpg,cat\n", r"can't be read: 'utf-8' codec"),
        ("l.jsonl", '{"path": "a.jpg", "label": ', r"can't be read: Expecting value"),
        ("l.jsonl", "3\n", r"can't be read: 'int' object is not iterable"),
        ("l.jsonl", "", r"has no column 'path'; its columns are: none\."),
        ("l.parquet", "PAR1", r"can't be read: "),
        ("l.txt", "", r"is no file of labels that curate reads: expected \.csv, \.tsv, \.jsonl or \.parquet\."),
    ],
)
def test_a_label_file_that_does_not_fit_is_explained(
    photos: Path, tmp_path: Path, name: str, text: str, complaint: str
) -> None:
    (tmp_path / name).write_bytes(text.encode("utf-8", "surrogateescape"))

    with pytest.raises(SourceError, match=complaint):
        labels(photos, tmp_path / name)


def test_a_missing_label_file_is_named(photos: Path, curate: Curate) -> None:
    done = curate("clean", photos, "--labels", "labls.csv")

    assert done.code == 2
    assert done.err == 'Error: There is no label file \'labls.csv\'.\nHint: Give a path, or "folders" or "none".\n'


def test_a_folder_as_label_file_is_refused(photos: Path, curate: Curate) -> None:
    done = curate("clean", photos, "--labels", f"{photos}/cats.csv")

    assert done.code == 2
    assert "There is no label file" in done.err


# ---- Splits


def given_splits(folder: Path, source: Path | str = "folders") -> dict[str, object]:
    rows = library.clean(folder, changes={"scan.labels": str(source)}, workers=1).table
    return {
        path: None if split != split else split for path, split in zip(rows["path"], rows["given_split"], strict=True)
    }


def test_split_folders_are_the_splits_whatever_their_names(tmp_path: Path) -> None:
    for number, split in enumerate(("training", "Validation", "dev", "testing")):
        write(tmp_path / "photos" / split / "cats" / f"{number}.jpg", PICTURES[number])

    assert given_splits(tmp_path / "photos") == {
        "training/cats/0.jpg": "train",
        "Validation/cats/1.jpg": "val",
        "dev/cats/2.jpg": "val",
        "testing/cats/3.jpg": "test",
    }


def test_a_label_file_may_name_splits_its_own_too(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "l.csv").write_text("path,label,split\ncats/0.jpg,cat,valid\ncats/1.jpg,cat,fold 3\ncats/2.jpg,cat,\n")

    found = given_splits(photos, tmp_path / "l.csv")

    assert [found[f"cats/{number}.jpg"] for number in range(3)] == ["val", "fold 3", None]
    assert found["dogs/3.jpg"] is None


def test_class_folders_are_no_splits(photos: Path) -> None:
    assert "given_split" not in library.clean(photos, workers=1).table


def test_a_dropped_picture_is_in_no_split(tmp_path: Path) -> None:
    write(tmp_path / "photos" / "train" / "cats" / "0.jpg", PICTURES[0])
    write(tmp_path / "photos" / "test" / "cats" / "1.jpg", b"broken")

    rows = library.clean(tmp_path / "photos", workers=1).table.set_index("path")

    assert rows.loc["test/cats/1.jpg", "given_split"] == "test"
    assert rows["split"].isna().to_dict() == {"test/cats/1.jpg": True, "train/cats/0.jpg": False}
