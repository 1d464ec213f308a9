"""CSV and Parquet tables of pictures: exact values, the same bytes each time, and lists of others read with care."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import curate as library
from conftest import PICTURES, write
from curate.errors import SourceError
from curate.importers import find_importer
from curate.inspection import record_decisions
from curate.records import COLUMNS, records
from curate.release import Release, open_release
from releases import bytes_of, export, hard_release, read, release_of, told, told_by


@pytest.fixture(scope="module")
def hard(tmp_path_factory: pytest.TempPathFactory) -> Release:
    return hard_release(tmp_path_factory.mktemp("hard"))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A folder of three pictures, in no class folder."""
    for number in range(3):
        write(tmp_path / "source" / "pictures" / f"{number}.jpg", PICTURES[number])
    return tmp_path / "source"


def found(source: Path) -> dict[str, tuple[str | None, str | None]]:
    """name -> (label, split) of the pictures that are there."""
    return {item.name: (item.label, item.split) for item in read(source, "table") if item.content}


def problems(source: Path) -> dict[str, str]:
    return {item.name: item.problem for item in read(source, "table") if item.problem}


# ---- Writing


def test_a_row_says_what_is_known_of_a_picture(tmp_path: Path) -> None:
    release = release_of(tmp_path, {"may/1.jpg": ("a/b", "train")})
    export(release, tmp_path / "out", "csv")

    with (tmp_path / "out" / "data.csv").open(newline="", encoding="utf-8") as stream:
        [row] = csv.DictReader(stream)

    [picture] = release.pictures
    assert list(row) == list(COLUMNS)
    assert row == {
        "id": str(picture.id),
        "path": "images/a%2Fb/may/1.jpg",
        "source_path": "may/1.jpg",
        "sha256": picture.sha256,
        "format": "JPEG",
        "width": "96",
        "height": "72",
        "size_bytes": str(picture.size_bytes),
        "split": "train",
        "label": "a/b",
        "label_index": "0",
        "label_source": "source",
        "given_label": "a/b",
        "pred_label": "",
        "pred_confidence": "",
        "label_quality": "",
        "status": "flagged",  # the test's pictures have few edges
        "flags": "blurry",
        "repeat": "1",
        "weight": "1",
        "version": "v1",
    }


def test_a_table_tells_whose_word_the_label_is(tmp_path: Path) -> None:
    release = release_of(tmp_path, {f"{number}.jpg": ("cat", None) for number in range(3)})
    record_decisions(release.project.directory, ["0.jpg"], "relabel", label="dog")
    record_decisions(release.project.directory, ["1.jpg"], "keep")
    library.clean(release.project.directory, changes={"scan.labels": str(tmp_path / "labels.csv")}, workers=1)

    table = records(open_release(release.project), {f"{number}.jpg": "" for number in range(3)}).to_pandas()

    seen = table.set_index("source_path")[["label", "given_label", "label_source", "status"]].sort_index()
    assert seen.to_numpy().tolist() == [
        ["dog", "cat", "person", "reviewed"],
        ["cat", "cat", "person", "reviewed"],
        ["cat", "cat", "source", "flagged"],
    ]


def test_parquet_has_the_same_types_whatever_is_missing(tmp_path: Path) -> None:
    release = release_of(tmp_path, {"1.jpg": (None, None)})
    export(release, tmp_path / "out", "parquet")

    table = pq.read_table(tmp_path / "out" / "data.parquet")

    assert [(field.name, str(field.type)) for field in table.schema] == [
        (name, {"float64": "double"}.get(kind, kind)) for name, (kind, _) in COLUMNS.items()
    ]
    assert table.schema.metadata is None  # no index of pandas
    assert table["label"].to_pylist() == [None]


def test_rows_are_sorted_by_id(hard: Release, tmp_path: Path) -> None:
    export(hard, tmp_path / "out", "parquet")

    ids = pq.read_table(tmp_path / "out" / "data.parquet")["id"].to_pylist()

    assert ids == sorted(picture.id for picture in hard.pictures)


def test_pandas_reads_every_label_from_csv_as_the_page_says(hard: Release, tmp_path: Path) -> None:
    export(hard, tmp_path / "out", "csv")

    data = pd.read_csv(tmp_path / "out" / "data.csv", dtype={"label": "str"}, keep_default_na=False, na_values="")

    labels = [None if label != label else label for label in data["label"]]
    assert dict(zip(data["sha256"], labels, strict=True)) == {one.sha256: one.label for one in hard.pictures}


def test_a_lone_carriage_return_in_a_label_is_no_new_line(tmp_path: Path) -> None:
    release = release_of(tmp_path, {"1.jpg": ("two\rlines", None), "2.jpg": ("cat", None)})

    export(release, tmp_path / "out", "csv")

    assert told(read(tmp_path / "out", "table")) == told_by(release)


@pytest.mark.parametrize("name", ["csv", "parquet"])
def test_two_exports_of_a_version_have_the_same_bytes(hard: Release, tmp_path: Path, name: str) -> None:
    for out in ("one", "two"):
        export(hard, tmp_path / out, name)

    assert bytes_of(tmp_path / "one") == bytes_of(tmp_path / "two")


def test_the_page_of_csv_names_every_column() -> None:
    from curate.exporters import csv as module

    assert [name for name in COLUMNS if name not in (module.__doc__ or "")] == []


@pytest.mark.parametrize("name", ["csv", "parquet"])
def test_what_is_exported_comes_back(hard: Release, tmp_path: Path, name: str) -> None:
    library.export(hard.project.directory, tmp_path / "out", format=name)

    assert told(read(tmp_path / "out", "table")) == told_by(hard)


# ---- Reading what others made


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("labels.csv", "path,label,split\npictures/0.jpg,NA,train\npictures/1.jpg,,\npictures/2.jpg,_unlabeled,\n"),
        ("labels.tsv", "path\tlabel\tsplit\npictures/0.jpg\tNA\ttrain\npictures/1.jpg\t\t\n./pictures/2.jpg\t\t\n"),
        (
            "labels.jsonl",
            """{"file_name": "pictures/0.jpg", "label": "NA", "subset": "train"}
            {"file_name": "pictures/1.jpg", "label": null}\n{"file_name": "pictures/2.jpg"}""",
        ),
    ],
)
def test_lists_are_read_in_many_spellings(source: Path, name: str, text: str) -> None:
    (source / name).write_text(text)

    assert found(source / name) == {
        "pictures/0.jpg": ("NA", "train"),
        "pictures/1.jpg": (None, None),
        "pictures/2.jpg": (None, None),
    }


def test_a_row_whose_file_is_missing_is_a_problem(source: Path) -> None:
    (source / "labels.csv").write_text("path,label\npictures/0.jpg,cat\npictures/9.jpg,dog\n")

    assert found(source / "labels.csv") == {"pictures/0.jpg": ("cat", None)}
    assert problems(source / "labels.csv") == {"pictures/9.jpg": "there is no file 'pictures/9.jpg'"}


@pytest.mark.parametrize("path", ["/etc/passwd", "../secret.jpg", "a/../../secret.jpg", "..\\secret.jpg", ""])
def test_a_path_that_leads_out_of_the_folder_is_a_problem(source: Path, path: str) -> None:
    write(source.parent / "secret.jpg", PICTURES[5])
    (source / "labels.csv").write_text(f"path,label\npictures/0.jpg,cat\n{path},dog\n")

    assert list(found(source / "labels.csv")) == ["pictures/0.jpg"]
    assert list(problems(source / "labels.csv")) == [path]


def test_paths_written_on_windows_are_understood(source: Path) -> None:
    (source / "labels.csv").write_text("path,label\npictures\\0.jpg,cat\n")

    assert found(source / "labels.csv") == {"pictures/0.jpg": ("cat", None)}


def test_a_path_given_twice_is_one_picture(source: Path) -> None:
    (source / "labels.csv").write_text("path,label\npictures/0.jpg,cat\n./pictures/0.jpg,cat\n")

    assert [item.name for item in read(source / "labels.csv", "table")] == ["pictures/0.jpg"]


def test_two_labels_for_a_path_are_refused(source: Path) -> None:
    (source / "labels.csv").write_text("path,label\npictures/0.jpg,cat\npictures/0.jpg,dog\n")

    with pytest.raises(SourceError, match=r"gives 'pictures/0\.jpg' two different labels or splits: 'cat' and 'dog'"):
        read(source / "labels.csv", "table")


def test_a_label_that_is_a_list_is_refused_with_its_row(source: Path) -> None:
    (source / "labels.jsonl").write_text(json.dumps({"path": "pictures/0.jpg", "label": ["cat", "dog"]}) + "\n")

    with pytest.raises(
        SourceError, match=r"Row 1 of .*labels\.jsonl' has \['cat', 'dog'\] as label: expected one value"
    ):
        read(source / "labels.jsonl", "table")


def test_a_link_out_of_the_folder_is_a_problem(source: Path) -> None:
    (source / "pictures" / "3.jpg").symlink_to(write(source.parent / "secret.jpg", PICTURES[5]))
    (source / "labels.csv").write_text("path,label\npictures/3.jpg,cat\n")

    assert problems(source / "labels.csv") == {
        "pictures/3.jpg": "'pictures/3.jpg' is a link that leads out of the folder"
    }


def test_a_nul_in_a_path_is_a_problem(source: Path) -> None:
    (source / "labels.jsonl").write_text(json.dumps({"path": "pictures/0.jpg\0", "label": "cat"}) + "\n")

    [item] = read(source / "labels.jsonl", "table")

    assert item.content is None
    assert "is not a path inside the folder" in item.problem


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("classes.json", '[{"index": 0, "name": "cat"}, {"index": 1, "name": "a/b"}]'),
        ("classes.json", '["cat", "a/b"]'),
        ("classes.json", '{"a/b": 1, "cat": 0}'),
        ("classes.json", '{"1": "a/b", "0": "cat"}'),
        ("classes.txt", "cat\na/b\n"),
        ("names.txt", "cat\r\na/b"),
    ],
)
def test_numbers_become_names_where_a_list_of_classes_is(source: Path, name: str, text: str) -> None:
    (source / "labels.csv").write_text("path,label\npictures/0.jpg,1\npictures/1.jpg,0\npictures/2.jpg,-1\n")
    (source / name).write_text(text)

    assert [label for label, _ in found(source / "labels.csv").values()] == ["a/b", "cat", None]


def test_numbers_without_a_list_of_classes_are_the_classes(source: Path) -> None:
    (source / "labels.csv").write_text("path,label\npictures/0.jpg,1\npictures/1.jpg,007\n")

    assert found(source / "labels.csv") == {"pictures/0.jpg": ("1", None), "pictures/1.jpg": ("007", None)}


def test_names_that_are_numbers_are_no_places_in_the_list(source: Path) -> None:
    """MNIST: sorted as texts, the class "10" is not number 10."""
    (source / "labels.csv").write_text("path,label\npictures/0.jpg,1\npictures/1.jpg,10\n")
    (source / "classes.json").write_text('["0", "1", "10", "2"]')

    assert [label for label, _ in found(source / "labels.csv").values()] == ["1", "10"]


def test_a_number_beyond_the_list_is_refused(source: Path) -> None:
    (source / "labels.csv").write_text("path,label\npictures/0.jpg,0\npictures/1.jpg,2\n")
    (source / "classes.json").write_text('["cat", "dog"]')

    with pytest.raises(SourceError, match=r"has the class index 2, but there are 2 classes \(0 to 1\)"):
        read(source / "labels.csv", "table")


@pytest.mark.parametrize("text", ["{", "[1, 2]", '{"cat": 5}', '"cat"', "[" * 100_000])
def test_a_list_of_classes_that_is_none_is_refused_by_name(source: Path, text: str) -> None:
    (source / "labels.csv").write_text("path,label\npictures/0.jpg,0\n")
    (source / "classes.json").write_text(text)

    with pytest.raises(SourceError, match=r"classes\.json"):
        read(source / "labels.csv", "table")


def test_a_table_without_labels_is_refused_with_its_columns(source: Path) -> None:
    (source / "labels.csv").write_text("path,name\npictures/0.jpg,cat\n")

    with pytest.raises(SourceError, match=r"has no column 'label'; its columns are: path, name\."):
        read(source / "labels.csv", "table")


@pytest.mark.parametrize("data", [b"", b"\xff\xfe\x00p", b"path,label\n1,2,3,4\n", b"\x00\x00"])
def test_a_file_that_is_no_table_is_refused(source: Path, data: bytes) -> None:
    (source / "labels.csv").write_bytes(data)

    with pytest.raises(SourceError, match=r"labels\.csv"):
        read(source / "labels.csv", "table")


# ---- Hugging Face's image folders


def test_metadata_in_split_folders_is_read(source: Path) -> None:
    for split, number in (("train", 0), ("test", 1)):
        write(source / split / f"{number}.jpg", PICTURES[number])
        (source / split / "metadata.jsonl").write_text(
            json.dumps({"file_name": f"{number}.jpg", "label": "cat"}) + "\n"
        )

    assert found(source) == {"test/1.jpg": ("cat", "test"), "train/0.jpg": ("cat", "train")}


def test_pictures_that_no_row_names_are_reported(source: Path) -> None:
    (source / "metadata.csv").write_text("file_name,label\npictures/0.jpg,cat\n")

    assert found(source) == {"pictures/0.jpg": ("cat", None)}
    assert problems(source) == {
        f"pictures/{number}.jpg": "it is in the folder, but no row names it" for number in (1, 2)
    }


def test_metadata_may_have_captions_only(source: Path) -> None:
    rows = "".join(f"pictures/{number}.jpg,a cat\n" for number in range(3))
    (source / "metadata.csv").write_text("file_name,text\n" + rows)

    assert set(found(source).values()) == {(None, None)}


def test_class_names_in_metadata_parquet_are_used(source: Path) -> None:
    label: dict[str, Any] = {"names": ["10", "a/b"], "_type": "ClassLabel"}
    noted = json.dumps({"info": {"features": {"label": label}}})
    schema = pa.schema([("file_name", pa.string()), ("label", pa.int64())], metadata={"huggingface": noted})
    names = [f"pictures/{number}.jpg" for number in range(3)]
    pq.write_table(pa.table([names, [1, 0, None]], schema=schema), source / "metadata.parquet")

    assert list(found(source).values()) == [("a/b", None), ("10", None), (None, None)]


def test_lists_are_recognised_and_folders_without_one_are_not(source: Path) -> None:
    recognises = find_importer("table").recognises

    assert not recognises(source)
    assert not recognises(source / "pictures" / "0.jpg")
    assert not recognises(source / "nowhere")
    (source / "metadata.csv").write_text("file_name,label\n")
    assert recognises(source)
    assert recognises(source / "metadata.csv")
