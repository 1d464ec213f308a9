"""Parquet with pictures in it: `datasets` reads classes and splits offline, and we read what it writes."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import curate as library
from conftest import PICTURES, write
from curate.errors import SourceError, StoreError
from curate.exporters.huggingface import split_names
from curate.importers import find_importer
from curate.release import Release
from oracle import ask
from releases import bytes_of, export, hard_release, read, release_of, told, told_by

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


@pytest.fixture(scope="module")
def hard(tmp_path_factory: pytest.TempPathFactory) -> Release:
    return hard_release(tmp_path_factory.mktemp("hard"))


def asked(folder: Path, home: Path, *arguments: str) -> Counter[tuple[str, str | None, str | None]]:
    """What `datasets` reads, with our names of splits."""
    rows = ask("read_huggingface.py", folder, *arguments, home=home)
    ours = {"validation": "val", "no_split": None}
    return Counter((row["sha256"], row["label"], ours.get(row["split"], row["split"])) for row in rows)


def parquet(file: Path, columns: dict[str, Any], schema: list[tuple[str, Any]], features: object = None) -> Path:
    """A Parquet file; features: what `datasets` would note of the columns."""
    noted = {"huggingface": json.dumps({"info": {"features": features}})} if features else None
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns, schema=pa.schema(schema, metadata=noted)), file)
    return file


def images(*numbers: int) -> list[dict[str, Any]]:
    return [{"bytes": PICTURES[number], "path": f"{number}.jpg"} for number in numbers]


def found(source: Path) -> list[tuple[str, str | None, str | None]]:
    return [(item.name, item.label, item.split) for item in read(source, "huggingface") if item.content]


# ---- Writing


def test_files_are_called_as_the_hub_expects(tmp_path: Path) -> None:
    release = release_of(tmp_path, {"1.jpg": ("cat", "train"), "2.jpg": ("cat", "val"), "3.jpg": ("cat", None)})

    written = export(release, tmp_path / "out", "huggingface")

    assert written.places == {
        "1.jpg": "data/train-00000-of-00001.parquet/0",
        "2.jpg": "data/validation-00000-of-00001.parquet/0",
        "3.jpg": "data/no_split-00000-of-00001.parquet/0",
    }
    assert sorted(bytes_of(tmp_path / "out")) == [
        "README.md",
        "data/no_split-00000-of-00001.parquet",
        "data/train-00000-of-00001.parquet",
        "data/validation-00000-of-00001.parquet",
    ]


def test_without_splits_all_pictures_are_in_train_and_come_back_without(tmp_path: Path) -> None:
    release = release_of(tmp_path, {"1.jpg": ("cat", None)})

    export(release, tmp_path / "out", "huggingface")

    assert (tmp_path / "out" / "data" / "train-00000-of-00001.parquet").exists()
    assert told(read(tmp_path / "out", "huggingface")) == told_by(release)


def test_the_card_names_files_and_classes(tmp_path: Path) -> None:
    release = release_of(tmp_path, {"1.jpg": ('a "b"\n', "train"), "2.jpg": ("cat", "val"), "3.jpg": (None, "val")})
    export(release, tmp_path / "out", "huggingface")

    card = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")

    assert card.startswith(
        "---\n"
        "task_categories:\n"
        "- image-classification\n"
        'pretty_name: "photos"\n'
        "size_categories:\n"
        "- n<1K\n"
        "configs:\n"
        "- config_name: default\n"
        "  data_files:\n"
        "  - split: train\n"
        "    path: data/train-*.parquet\n"
        "  - split: validation\n"
        "    path: data/validation-*.parquet\n"
        "dataset_info:\n"
        "  features:\n"
        "  - name: image\n"
        "    dtype: image\n"
        "  - name: label\n"
        "    dtype:\n"
        "      class_label:\n"
        "        names:\n"
        '          \'0\': "a \\"b\\"\\n"\n'
        "          '1': \"cat\"\n"
    )
    assert "license" not in card


def test_files_end_before_they_are_too_large(tmp_path: Path) -> None:
    release = release_of(tmp_path, {f"{number}.jpg": ("cat", None) for number in range(5)})
    two = 2 * max(picture.size_bytes for picture in release.pictures)

    export(release, tmp_path / "out", "huggingface", max_shard_bytes=two)

    assert [pq.read_metadata(file).num_rows for file in sorted((tmp_path / "out" / "data").iterdir())] == [2, 2, 1]
    assert told(read(tmp_path / "out", "huggingface")) == told_by(release)


def test_two_exports_of_a_version_have_the_same_bytes(hard: Release, tmp_path: Path) -> None:
    for name in ("one", "two"):
        export(hard, tmp_path / name, "huggingface")

    assert bytes_of(tmp_path / "one") == bytes_of(tmp_path / "two")


def test_a_picture_that_has_changed_stops_the_export(tmp_path: Path) -> None:
    release = release_of(tmp_path, {"1.jpg": ("cat", None)})
    (tmp_path / "photos" / "1.jpg").write_bytes(PICTURES[11])

    with pytest.raises(StoreError, match="has other bytes than in v1"):
        export(release, tmp_path / "out", "huggingface")


def test_names_of_splits_are_made_ones_that_datasets_allows() -> None:
    assert split_names(["train", "val", "fold 1", "fold-1", "no_split"]) == {
        "train": "train",
        "val": "validation",
        "fold 1": "fold_1",
        "fold-1": "fold_1_2",
        "no_split": "no_split",
        None: "no_split_2",
    }


# ---- There and back, and `datasets` itself


def test_everything_comes_back(hard: Release, tmp_path: Path) -> None:
    library.export(hard.project.directory, tmp_path / "out", format="huggingface")

    assert told(read(tmp_path / "out", "huggingface")) == told_by(hard)


@pytest.mark.parametrize("how", [[], ["stream"]])
def test_datasets_reads_every_label_and_split(hard: Release, tmp_path: Path, how: list[str]) -> None:
    library.export(hard.project.directory, tmp_path / "out", format="huggingface")

    assert asked(tmp_path / "out", tmp_path, *how) == told_by(hard)


@pytest.mark.parametrize(
    "labels",
    [
        {"1.jpg": ("cat", None), "2.jpg": ("cat", None)},
        {"1.jpg": (None, None), "2.jpg": (None, None)},
        {"1.jpg": ("test", None), "2.jpg": ("dev", None), "3.jpg": ("train", None)},
    ],
    ids=["one class", "no label", "classes called like splits"],
)
def test_datasets_reads_odd_class_lists(labels: dict[str, tuple[str | None, None]], tmp_path: Path) -> None:
    release = release_of(tmp_path, labels)
    export(release, tmp_path / "out", "huggingface")

    seen = asked(tmp_path / "out", tmp_path)

    assert seen == Counter((one.sha256, one.label, "train") for one in release.pictures)


def test_what_datasets_writes_is_read(tmp_path: Path) -> None:
    files = [write(tmp_path / f"{number}.jpg", PICTURES[number]) for number in range(3)]
    ask("write_huggingface.py", tmp_path / "source", *files, home=tmp_path)

    rows = [(name, label) for name, label in (("0.jpg", "a/b"), ("1.jpg", "dog"), ("2.jpg", "a/b"))]
    assert found(tmp_path / "source") == [(*row, split) for split in ("train", "validation") for row in rows]


# ---- Reading what others made


def test_pictures_may_be_plain_bytes_without_names(tmp_path: Path) -> None:
    file = parquet(
        tmp_path / "test.parquet",
        {"img": [PICTURES[0], PICTURES[1]], "class": ["cat", None]},
        [("img", pa.binary()), ("class", pa.string())],
    )

    assert found(file) == [("test/00000000.jpg", "cat", "test"), ("test/00000001.jpg", None, "test")]


def test_minus_one_is_no_label(tmp_path: Path) -> None:
    features = {"image": {"_type": "Image"}, "label": {"_type": "ClassLabel", "names": ["cat"]}}
    columns = {"image": images(0, 1), "label": [0, -1]}
    file = parquet(tmp_path / "a.parquet", columns, [("image", IMAGE), ("label", pa.int64())], features)

    assert [label for _, label, _ in found(file)] == ["cat", None]


def test_an_unknown_class_index_is_refused_with_its_row(tmp_path: Path) -> None:
    features = {"image": {"_type": "Image"}, "label": {"_type": "ClassLabel", "names": ["cat"]}}
    columns = {"image": images(0, 1), "label": [0, 7]}
    file = parquet(tmp_path / "a.parquet", columns, [("image", IMAGE), ("label", pa.int64())], features)

    with pytest.raises(SourceError, match=r"a\.parquet', row 1, has the class index 7, but there are 1 classes"):
        read(file, "huggingface")


@pytest.mark.parametrize(("value", "kind"), [(0.5, pa.float64()), (["cat"], pa.list_(pa.string())), (True, pa.bool_())])
def test_a_label_of_another_type_is_refused(tmp_path: Path, value: object, kind: pa.DataType) -> None:
    columns = {"image": images(0), "label": [value]}
    file = parquet(tmp_path / "a.parquet", columns, [("image", IMAGE), ("label", kind)])

    with pytest.raises(SourceError, match="expected a text or a whole number"):
        read(file, "huggingface")


def test_class_names_may_stand_in_the_card(tmp_path: Path) -> None:
    columns = {"image": images(0, 1), "label": [1, 0]}
    parquet(tmp_path / "data" / "train-00000-of-00001.parquet", columns, [("image", IMAGE), ("label", pa.int64())])
    (tmp_path / "README.md").write_text(
        "---\ndataset_info:\n  features:\n  - name: label\n    dtype:\n      class_label:\n        names:\n"
        "          '0': cat\n          '1': 'a/b'\n---\n# A data set\n"
    )

    assert [label for _, label, _ in found(tmp_path)] == ["a/b", "cat"]


def test_the_card_says_which_files_are_which_split(tmp_path: Path) -> None:
    for number, name in enumerate(("one", "two", "three")):
        parquet(tmp_path / "files" / f"{name}.parquet", {"image": images(number)}, [("image", IMAGE)])
    (tmp_path / "README.md").write_text(
        "---\nconfigs:\n- config_name: default\n  data_files:\n  - split: train\n    path: files/one.parquet\n"
        "  - split: test\n    path:\n    - files/t*.parquet\n---\n"
    )

    assert found(tmp_path) == [("0.jpg", None, "train"), ("2.jpg", None, "test"), ("1.jpg", None, "test")]


def test_several_configurations_without_a_default_are_refused(tmp_path: Path) -> None:
    parquet(tmp_path / "a.parquet", {"image": images(0)}, [("image", IMAGE)])
    (tmp_path / "README.md").write_text("---\nconfigs:\n- config_name: small\n- config_name: large\n---\n")

    with pytest.raises(SourceError, match="several configurations: small, large"):
        read(tmp_path, "huggingface")


@pytest.mark.parametrize("pattern", ["/etc/*", "../*.parquet", "hf://datasets/x/*.parquet"])
def test_a_card_that_names_files_elsewhere_is_refused(tmp_path: Path, pattern: str) -> None:
    parquet(tmp_path / "source" / "a.parquet", {"image": images(0)}, [("image", IMAGE)])
    (tmp_path / "source" / "README.md").write_text(f"---\nconfigs:\n- data_files: {json.dumps(pattern)}\n---\n")

    with pytest.raises(SourceError, match="which is not in the folder"):
        read(tmp_path / "source", "huggingface")


@pytest.mark.parametrize("card", ["---\n: [\n---\n", "---\n- a\n---\n", "no front matter", "---\nconfigs: 5\n---\n"])
def test_a_card_that_says_nothing_is_passed_over(tmp_path: Path, card: str) -> None:
    parquet(tmp_path / "train" / "0000.parquet", {"image": images(0)}, [("image", IMAGE)])
    (tmp_path / "README.md").write_text(card)

    assert found(tmp_path) == [("0.jpg", None, "train")]


def test_pictures_that_are_only_named_are_looked_for_inside_the_folder(tmp_path: Path) -> None:
    write(tmp_path / "source" / "pictures" / "0.jpg", PICTURES[0])
    write(tmp_path / "secret.jpg", PICTURES[1])
    names = ["pictures/0.jpg", "../secret.jpg", str(tmp_path / "secret.jpg"), None]
    rows = [{"bytes": None, "path": name} for name in names]
    parquet(tmp_path / "source" / "a.parquet", {"image": rows}, [("image", IMAGE)])

    items = read(tmp_path / "source", "huggingface")

    assert [item.content for item in items] == [tmp_path / "source" / "pictures" / "0.jpg", None, None, None]
    assert items[1].problem == "'../secret.jpg' is not a path inside the folder"
    assert items[3].problem == "the row has no picture"


def test_a_damaged_file_is_refused_by_name(tmp_path: Path) -> None:
    file = parquet(tmp_path / "a.parquet", {"image": images(0)}, [("image", IMAGE)])
    file.write_bytes(file.read_bytes()[:-20])

    with pytest.raises(SourceError, match=r"a\.parquet"):
        read(file, "huggingface")


def test_a_folder_without_pictures_in_parquet_is_refused(tmp_path: Path) -> None:
    parquet(tmp_path / "labels.parquet", {"path": ["1.jpg"]}, [("path", pa.string())])

    assert not find_importer("huggingface").recognises(tmp_path)
    with pytest.raises(SourceError, match="no Parquet file with pictures in it"):
        read(tmp_path, "huggingface")
