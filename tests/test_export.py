"""Exported class folders: the right bytes under the right names, or nothing at all."""

from __future__ import annotations

import csv
import errno
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from urllib.parse import unquote

import pandas as pd
import pytest

import curate as library
from conftest import PICTURES, Curate, command, picture, write
from curate import objects
from curate.errors import SourceError, StoreError
from curate.inspection import record_decisions
from curate.names import safe_name, safe_names
from curate.objects import place
from curate.release import pictures_of


def files(folder: Path) -> dict[str, bytes]:
    """Every picture of an export."""
    written = ("manifest.csv", "manifest.parquet", "classes.json", "export.json")
    pictures = [path for path in folder.rglob("*") if path.is_file() and path.name not in written]
    return {str(path.relative_to(folder)): path.read_bytes() for path in pictures}


def kept(*rows: tuple[str, str | None, str | None]) -> pd.DataFrame:
    """Kept rows of (path, label, final label); each has the sha256 of its place."""
    table = pd.DataFrame(rows, columns=["path", "label", "final_label"], dtype="str")
    sha256 = [f"{place:064x}" for place in range(len(rows))]
    return table.assign(keep=True, sha256=sha256, width=1, height=1, size_bytes=1, format="JPEG")


def names(*rows: tuple[str, str | None, str | None]) -> list[str]:
    table = kept(*rows)
    classes = sorted(table["final_label"].dropna().unique())
    return [one.name for one in pictures_of(table, classes, safe_names(classes), normalized=False)]


# ---- Names


def test_the_path_below_the_class_folder_stays() -> None:
    assert names(("cats/2020/1.jpg", "cats", "cats"), ("dogs/1.jpg", "dogs", "dogs")) == [
        "cats/2020/1.jpg",
        "dogs/1.jpg",
    ]


def test_pictures_without_a_label_go_to_unlabeled() -> None:
    assert names(("1.jpg", None, None), ("_unlabeled/2.jpg", None, None)) == ["_unlabeled/1.jpg", "_unlabeled/2.jpg"]


def test_a_label_from_a_file_makes_the_class_folder() -> None:
    assert names(("2020/may/1.jpg", "cat", "cat")) == ["cat/2020/may/1.jpg"]


def test_a_relabelled_picture_moves_and_takes_no_other_ones_name() -> None:
    assert names(("cats/1.jpg", "cats", "cats"), ("dogs/1.jpg", "dogs", "cats")) == [
        "cats/1.jpg",
        "cats/1-000000000000.jpg",
    ]


def test_three_copies_that_meet_get_three_names() -> None:
    """Equal bytes have equal digests: the digest alone does not tell them apart."""
    rows = kept(("a/1.jpg", "a", "c"), ("b/1.jpg", "b", "c"), ("c/1.jpg", "c", "c")).assign(sha256="f" * 64)

    found = [one.name for one in pictures_of(rows, ["c"], {"c": "c"}, normalized=False)]

    assert found == ["c/1.jpg", "c/1-ffffffffffff.jpg", "c/1-ffffffffffff-2.jpg"]


def test_names_that_differ_only_in_case_do_not_meet_on_any_system() -> None:
    assert names(("c/A.JPG", "c", "c"), ("c/a.jpg", "c", "c"), ("C/a.jpg", "C", "C")) == [
        "%63/A.JPG",
        "%63/a-000000000000.jpg",
        "C/a.jpg",
    ]


@pytest.mark.parametrize(
    ("label", "folder"),
    [
        ("cat", "cat"),
        ("big cat", "big cat"),
        ("Katze ü 猫", "Katze ü 猫"),
        ("a/b", "a%2Fb"),
        ("a\\b", "a%5Cb"),
        ("..", "%2E%2E"),
        (".hidden", "%2Ehidden"),
        ("dot.", "dot%2E"),
        ("space ", "space%20"),
        ("100%", "100%25"),
        ("a%2Fb", "a%252Fb"),
        ("why?*", "why%3F%2A"),
        ("line\nbreak", "line%0Abreak"),
        ("CON", "%43ON"),
        ("aux.txt", "%61ux.txt"),
        ("console", "console"),
    ],
)
def test_a_label_becomes_a_folder_name_and_comes_back(label: str, folder: str) -> None:
    assert safe_name(label) == folder
    assert unquote(folder) == label


# ---- Files


def test_an_export_holds_the_kept_pictures_by_class(photos: Path, tmp_path: Path) -> None:
    write(photos / "cats" / "copy.jpg", PICTURES[0])
    write(photos / "cats" / "empty.jpg", b"")
    write(photos / "notes.txt", b"x")
    library.clean(photos, workers=1)
    record_decisions(photos, ["cats/1.jpg"], "relabel", label="big/dogs")
    record_decisions(photos, ["cats/2.jpg"], "drop")
    library.clean(photos, workers=1)

    done = library.export(photos, tmp_path / "out")

    assert files(tmp_path / "out") == {
        "cats/0.jpg": PICTURES[0],
        "big%2Fdogs/1.jpg": PICTURES[1],
        "dogs/3.jpg": PICTURES[3],
        "dogs/4.jpg": PICTURES[4],
        "dogs/5.jpg": PICTURES[5],
    }
    assert (done.version, done.images, done.classes) == ("v2", 5, 3)


def test_the_manifest_names_every_row_of_the_version(photos: Path, tmp_path: Path) -> None:
    write(photos / "cats" / "copy.jpg", PICTURES[0])
    library.clean(photos, workers=1)

    library.export(photos, tmp_path / "out")

    parquet = pd.read_parquet(tmp_path / "out" / "manifest.parquet")
    with (tmp_path / "out" / "manifest.csv").open(newline="") as stream:
        lines = list(csv.DictReader(stream))
    assert list(parquet["path"]) == [line["path"] for line in lines]
    assert len(lines) == 7
    assert {line["exported_path"] for line in lines if line["keep"] == "True"} == set(files(tmp_path / "out"))
    assert [line["exported_path"] for line in lines if line["path"] == "cats/copy.jpg"] == [""]


def test_an_older_version_is_exported_from_what_is_still_there(photos: Path, tmp_path: Path) -> None:
    library.clean(photos, workers=1)
    write(photos / "cats" / "new.jpg", picture(600))
    library.clean(photos, workers=1)

    library.export(photos, tmp_path / "out", "v1")

    assert len(files(tmp_path / "out")) == 6


def test_odd_names_are_made_safe_for_every_system(photos: Path, tmp_path: Path) -> None:
    for number, name in enumerate([b"caf\xe9.jpg", b"two\nlines.jpg", b"back\\slash.jpg", b"-rf.jpg"]):
        write(photos / "cats" / os.fsdecode(name), PICTURES[6 + number])
    library.clean(photos, workers=1)

    library.export(photos, tmp_path / "out")

    found = set(files(tmp_path / "out"))
    assert found >= {"cats/caf%E9.jpg", "cats/two%0Alines.jpg", "cats/back%5Cslash.jpg", "cats/-rf.jpg"}


def test_a_link_is_exported_as_a_file(photos: Path, tmp_path: Path) -> None:
    """A second name of a symbolic link would lead nowhere from its new place."""
    write(tmp_path / "photos" / "zebras" / "1.jpg", PICTURES[8])
    (photos / "cats" / "link.jpg").symlink_to("../zebras/1.jpg")
    library.clean(photos, workers=1, changes={"scan.labels": "none", "checks.exact_duplicate.action": "note"})

    library.export(photos, tmp_path / "out")

    exported = tmp_path / "out" / "_unlabeled" / "cats" / "link.jpg"
    assert not exported.is_symlink()
    assert exported.read_bytes() == PICTURES[8]


def test_a_copy_can_be_edited_without_touching_the_source(photos: Path, tmp_path: Path) -> None:
    library.clean(photos, workers=1)
    assert library.export(photos, tmp_path / "out", copy=True).method == "copy"

    (tmp_path / "out" / "cats" / "0.jpg").write_bytes(b"edited")

    assert (photos / "cats" / "0.jpg").read_bytes() == PICTURES[0]


def test_the_danger_of_hard_links_is_said(photos: Path, tmp_path: Path, curate: Curate) -> None:
    curate("clean", photos, "--workers", "1")

    done = curate("export", photos, tmp_path / "out")

    linked = os.path.samefile(photos / "cats" / "0.jpg", tmp_path / "out" / "cats" / "0.jpg")
    warning = "These files are second names of files that curate relies on. To edit them, use --copy."
    assert (warning in done.out) == linked == ("(hard link)" in done.out)


def test_a_method_that_does_not_work_here_is_followed_by_the_next(tmp_path: Path) -> None:
    write(tmp_path / "a", b"bytes")
    other_disk = Path("/dev/shm")  # hard links do not reach there
    if not other_disk.is_dir() or other_disk.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second file system here")
    target = other_disk / f"curate-test-{os.getpid()}"

    try:
        assert place(tmp_path / "a", target, ["hard link", "copy"]) == "copy"
        assert target.read_bytes() == b"bytes"
    finally:
        target.unlink(missing_ok=True)


def test_a_method_fails_only_for_what_is_no_matter_of_method(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        place(tmp_path / "missing", tmp_path / "target", ["hard link", "copy"])

    assert errno.ENOSPC not in objects._CANNOT
    assert not (tmp_path / "target").exists()


# ---- Where to, and what if not


def test_nothing_is_written_over(photos: Path, tmp_path: Path) -> None:
    library.clean(photos, workers=1)
    write(tmp_path / "out" / "mine.txt", b"mine")
    write(tmp_path / "file", b"mine")
    (tmp_path / "link").symlink_to("nowhere")

    for name in ("out", "file", "link"):
        with pytest.raises(SourceError, match="exists already"):
            library.export(photos, tmp_path / name)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]


def test_an_empty_folder_may_be_filled(photos: Path, tmp_path: Path) -> None:
    library.clean(photos, workers=1)
    (tmp_path / "out").mkdir()

    library.export(photos, tmp_path / "out")

    assert len(files(tmp_path / "out")) == 6


def test_folders_above_are_made(photos: Path, tmp_path: Path) -> None:
    library.clean(photos, workers=1)

    library.export(photos, tmp_path / "a" / "b" / "out")

    assert len(files(tmp_path / "a" / "b" / "out")) == 6


def test_the_image_folder_is_never_exported_into(photos: Path, tmp_path: Path) -> None:
    library.clean(photos, workers=1)
    (tmp_path / "shortcut").symlink_to(photos)

    for out in (photos, photos / "out", tmp_path / "shortcut" / "out"):
        with pytest.raises(SourceError, match="lies inside the image folder"):
            library.export(photos, out)


def test_a_picture_that_changed_since_stops_the_export_without_a_trace(photos: Path, tmp_path: Path) -> None:
    library.clean(photos, workers=1)
    write(photos / "dogs" / "5.jpg", PICTURES[9])

    with pytest.raises(StoreError, match=r"'dogs/5\.jpg' is gone or has other bytes than in v1"):
        library.export(photos, tmp_path / "out")

    assert sorted(path.name for path in tmp_path.iterdir()) == ["photos", "photos.curate"]


@pytest.mark.slow
def test_a_killed_export_leaves_no_half_folder(tmp_path: Path, environment: dict[str, str]) -> None:
    for number in range(300):
        write(tmp_path / "many" / "cats" / f"{number}.jpg", PICTURES[0] + str(number).encode())
    library.clean(tmp_path / "many", workers=1)
    out = tmp_path / "out"

    for delay_ms in (0, 5, 20):
        running = subprocess.Popen(command("export", tmp_path / "many", out, "--copy"), env=environment)
        while not list(tmp_path.glob(f".out.{running.pid}.tmp")) and running.poll() is None:
            time.sleep(0.001)
        time.sleep(delay_ms / 1000)
        running.send_signal(signal.SIGKILL)
        running.wait()
        assert not out.exists() or len(files(out)) == 300
        shutil.rmtree(out, ignore_errors=True)

    library.export(tmp_path / "many", out)
    assert len(files(out)) == 300
    assert sorted(path.name for path in tmp_path.iterdir()) == ["many", "many.curate", "out"]
