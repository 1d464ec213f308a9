"""Data sets of other tools: a new folder with the same pictures, labels, splits and votes, or nothing at all."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

import curate as library
from conftest import PICTURES, Curate, command, write
from curate.errors import SettingsError, SourceError


def table(folder: Path) -> dict[str, tuple[object, object]]:
    """path -> (label, split) of the kept pictures after `clean`."""
    rows = library.clean(folder, workers=1).table
    rows = rows[rows["keep"]]
    splits = rows["split"] if "split" in rows else [None] * len(rows)
    return {
        path: (None if label != label else label, None if split != split else split)
        for path, label, split in zip(rows["path"], rows["final_label"], splits, strict=True)
    }


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    """A folder of three pictures and a label file beside them, with class names that no folder could have."""
    for number in range(3):
        write(tmp_path / "source" / "pictures" / f"{number}.jpg", PICTURES[number])
    (tmp_path / "source" / "labels.csv").write_text(
        'path,label,split\npictures/0.jpg,a/b,training\npictures/1.jpg,"x, ""y""",valid\npictures/2.jpg,,\n'
    )
    return tmp_path / "source" / "labels.csv"


def test_labels_and_splits_come_along_whatever_their_names(listed: Path, tmp_path: Path) -> None:
    library.import_(listed, tmp_path / "new")

    assert table(tmp_path / "new") == {
        "pictures/0.jpg": ("a/b", "train"),
        "pictures/1.jpg": ('x, "y"', "val"),
        "pictures/2.jpg": (None, None),
    }


def test_the_source_is_not_changed(listed: Path, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in listed.parent.rglob("*") if path.is_file()}

    library.import_(listed, tmp_path / "new")

    assert {path: path.read_bytes() for path in listed.parent.rglob("*") if path.is_file()} == before


def test_the_command_says_what_came_and_what_next(listed: Path, tmp_path: Path, curate: Curate) -> None:
    listed.write_text(listed.read_text() + "pictures/gone.jpg,cat,\n")

    done = curate("import", listed, tmp_path / "new")

    assert done.code == 0
    assert "3 images, read as table" in done.out
    assert "Named but not there: 1" in done.out
    assert "pictures/gone.jpg" in done.out
    assert f"curate clean {tmp_path / 'new'}" in done.out


def test_a_picture_that_is_named_but_missing_becomes_a_row(listed: Path, tmp_path: Path) -> None:
    listed.write_text(listed.read_text() + "pictures/gone.jpg,cat,\n")

    library.import_(listed, tmp_path / "new")
    rows = library.clean(tmp_path / "new", workers=1).table.set_index("path")

    assert rows.loc["pictures/gone.jpg", "read_error"] == "missing"


def test_a_folder_that_exists_is_not_imported_into(listed: Path, tmp_path: Path) -> None:
    write(tmp_path / "new" / "mine.txt", b"mine")

    with pytest.raises(SourceError, match="exists already"):
        library.import_(listed, tmp_path / "new")


def test_a_store_with_a_history_is_not_taken_over(listed: Path, tmp_path: Path, photos: Path) -> None:
    library.clean(photos, workers=1)

    with pytest.raises(SourceError, match="holds another folder's versions or decisions"):
        library.import_(listed, tmp_path / "new", store=tmp_path / "photos.curate")


def test_a_source_that_is_not_there_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="There is no file or folder"):
        library.import_(tmp_path / "nowhere", tmp_path / "new")

    assert list(tmp_path.iterdir()) == []


def test_an_unknown_format_is_answered_with_the_nearest(listed: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"There is no import format 'coko'"):
        library.import_(listed, tmp_path / "new", format="coko")


def test_an_import_without_a_picture_is_an_error_and_leaves_no_folder(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("path,label\ngone.jpg,cat\n")

    with pytest.raises(SourceError, match="holds no picture"):
        library.import_(tmp_path / "labels.csv", tmp_path / "new")

    assert not (tmp_path / "new").exists()


def test_a_copy_can_be_edited_without_touching_the_source(listed: Path, tmp_path: Path) -> None:
    library.import_(listed, tmp_path / "new", copy=True)

    (tmp_path / "new" / "pictures" / "0.jpg").write_bytes(b"edited")

    assert (listed.parent / "pictures" / "0.jpg").read_bytes() == PICTURES[0]


@pytest.mark.slow
def test_a_killed_import_leaves_no_half_folder_and_can_be_repeated(tmp_path: Path, environment: dict[str, str]) -> None:
    for number in range(300):
        write(tmp_path / "many" / "cats" / f"{number}.jpg", PICTURES[0] + str(number).encode())
    new = tmp_path / "new"

    for delay_ms in (0, 10, 30):
        running = subprocess.Popen(command("import", tmp_path / "many", new, "--copy"), env=environment)
        while not list(tmp_path.glob(f".new.{running.pid}.tmp")) and running.poll() is None:
            time.sleep(0.001)
        time.sleep(delay_ms / 1000)
        running.send_signal(signal.SIGKILL)
        running.wait()
        assert not new.exists() or len(os.listdir(new / "cats")) == 300
        if new.exists():
            return

    library.import_(tmp_path / "many", new)
    with (tmp_path / "new.curate" / "imported.csv").open(newline="") as stream:
        assert len(list(csv.DictReader(stream))) == 300
    assert sorted(path.name for path in tmp_path.iterdir()) == ["many", "new", "new.curate"]
