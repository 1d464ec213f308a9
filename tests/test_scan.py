"""Which files become rows, under which names, and how often each one is read."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest

import curate as library
import pictures
from conftest import LONG_AGO_S, PICTURES, Curate, picture, write
from curate.checks import all_checks
from curate.paths import printable, to_file_name, to_text
from curate.pipeline import Cleaned
from curate.stages.scan import scan_folder


def scanned(folder: Path) -> list[str]:
    return [row.path for row in scan_folder(folder).rows]


def clean(folder: Path, **options: object) -> Cleaned:
    return library.clean(folder, workers=1, **options)  # type: ignore[arg-type]


def row(table: pd.DataFrame, path: str) -> dict[str, Any]:
    return dict(table[table["path"] == path].iloc[0])


# ---- Which files


def test_files_of_all_levels_are_found_in_alphabetical_order(tmp_path: Path) -> None:
    for path in ("b.jpg", "a/z.jpg", "a/b/c/1.jpg", "A.png"):
        write(tmp_path / path, PICTURES[0])

    assert scanned(tmp_path) == ["A.png", "a/b/c/1.jpg", "a/z.jpg", "b.jpg"]


def test_hidden_files_and_folders_are_left_out(tmp_path: Path) -> None:
    for path in (".hidden.jpg", ".git/1.jpg", "a/.DS_Store", "a/._1.jpg", "a/1.jpg"):
        write(tmp_path / path, PICTURES[0])

    assert scanned(tmp_path) == ["a/1.jpg"]


def test_a_link_to_a_file_inside_is_followed(tmp_path: Path) -> None:
    write(tmp_path / "a" / "1.jpg", PICTURES[0])
    (tmp_path / "a" / "2.jpg").symlink_to("1.jpg")

    assert scanned(tmp_path) == ["a/1.jpg", "a/2.jpg"]


def test_links_that_lead_elsewhere_are_named_and_not_followed(tmp_path: Path) -> None:
    write(tmp_path / "outside.jpg", PICTURES[0])
    root = tmp_path / "root"
    write(root / "a" / "1.jpg", PICTURES[0])
    (root / "leaving.jpg").symlink_to(tmp_path / "outside.jpg")
    (root / "leaving").symlink_to(tmp_path)
    (root / "folder").symlink_to("a")
    (root / "parent").symlink_to("..")
    (root / "loop.jpg").symlink_to("loop.jpg")
    (root / "dangling.jpg").symlink_to("nowhere.jpg")

    scan = scan_folder(root)

    assert [row.path for row in scan.rows] == ["a/1.jpg"]
    assert scan.skipped == {
        "leaving.jpg": "symbolic link that leaves the folder",
        "leaving": "symbolic link that leaves the folder",
        "parent": "symbolic link that leaves the folder",
        "folder": "symbolic link to a folder",
        "loop.jpg": "symbolic link to nothing",
        "dangling.jpg": "symbolic link to nothing",
    }


def test_pipes_and_sockets_are_never_opened(tmp_path: Path) -> None:
    """Opening a pipe that nobody writes to blocks for ever."""
    write(tmp_path / "1.jpg", PICTURES[0])
    os.mkfifo(tmp_path / "pipe.jpg")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(os.path.relpath(tmp_path / "socket.jpg"))  # such an address is at most 108 characters long
    listener.close()

    scan = clean(tmp_path).scan

    assert [row.path for row in scan.rows] == ["1.jpg"]
    assert scan.skipped == {"pipe.jpg": "not a regular file", "socket.jpg": "not a regular file"}


def test_a_thousand_nested_folders_are_walked(tmp_path: Path) -> None:
    folders = [tmp_path / ("a/" * depth) for depth in range(1, 1201)]
    for folder in folders:
        folder.mkdir()
    (folders[-1] / "1.jpg").write_bytes(PICTURES[0])

    found = scanned(tmp_path)

    (folders[-1] / "1.jpg").unlink()
    for folder in reversed(folders):  # shutil.rmtree, which cleans up after tests, would end in a RecursionError
        folder.rmdir()
    assert found == ["a/" * 1200 + "1.jpg"]


@pytest.mark.slow
def test_ten_thousand_files_in_one_folder_are_ten_thousand_rows(tmp_path: Path) -> None:
    (tmp_path / "many").mkdir()
    data = PICTURES[0]
    for number in range(10_000):
        # Bytes behind the end of a JPEG are no damage: a hundred contents at the price of one picture.
        (tmp_path / "many" / f"{number}.jpg").write_bytes(data + str(number % 100).encode())

    result = library.clean(tmp_path, workers=2)

    assert len(result.table) == result.counts["images"] == 10_000
    assert result.counts["kept"] == 100
    assert result.counts["dropped_by"] == {"exact_duplicate": 9_900}


# ---- Names


def test_names_in_any_encoding_lead_to_their_files(tmp_path: Path) -> None:
    written = pictures.write_odd_names(tmp_path)
    extra = [b"back\\slash.jpg", b"\\xff.jpg", b"\xff\xfe.jpg", b"\x1b[31mred.jpg", b"-", b"'; rm -rf .jpg", b"x" * 255]
    for name in extra:
        written.append(write(tmp_path / os.fsdecode(name), pictures.JPEG))

    paths = scanned(tmp_path)

    assert len(set(paths)) == len(written) == 17
    assert {to_file_name(path) for path in paths} == {path.name for path in written}
    for path in paths:
        path.encode()  # a table holds only text


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (b"caf\xe9.jpg", r"caf\xe9.jpg"),
        (b"caf\\xe9.jpg", r"caf\\xe9.jpg"),
        (b"\\\xff\\", r"\\\xff\\"),
        ("caf\u00e9.jpg".encode(), "caf\u00e9.jpg"),
        ("cafe\u0301.jpg".encode(), "cafe\u0301.jpg"),
        (b"two\nlines", "two\nlines"),
        (b"\xed\xb3\xbf", r"\xed\xb3\xbf"),  # a surrogate, which UTF-8 forbids
    ],
)
def test_a_file_name_becomes_text_and_comes_back(name: bytes, text: str) -> None:
    assert to_text(os.fsdecode(name)) == text
    assert os.fsencode(to_file_name(text)) == name


def test_odd_names_are_measured_like_any_other(tmp_path: Path) -> None:
    pictures.write_odd_names(tmp_path)

    table = clean(tmp_path).table

    assert len(table) == len(pictures.ODD_NAMES)
    assert table["read_error"].isna().all()


def test_a_terminal_gets_no_control_character_of_a_file_name() -> None:
    assert printable("a\x1b[31m\n\u202e\x9b.jpg") == r"a\x1b[31m\n\u202e\x9b.jpg"


# ---- What is read, and how often


def test_the_same_bytes_under_two_paths_are_opened_once(photos: Path) -> None:
    write(photos / "cats" / "copy.jpg", PICTURES[0])

    result = clean(photos)

    assert result.effort.opened == 6
    assert row(result.table, "cats/copy.jpg")["width"] == row(result.table, "cats/0.jpg")["width"] == 96


def test_an_unchanged_folder_is_not_opened_again_and_makes_no_version(photos: Path) -> None:
    clean(photos)

    again = clean(photos)

    assert (again.effort.opened, again.effort.hashed, again.is_new) == (0, 0, False)
    assert again.version
    assert again.version.name == "v1"


def test_a_changed_threshold_opens_nothing_and_makes_a_version(photos: Path) -> None:
    clean(photos)

    strict = {
        "checks.odd_aspect_ratio.action": "drop",
        "checks.odd_aspect_ratio.min_aspect_ratio": 0.8,
    }  # they have 0.75
    again = clean(photos, changes=strict)

    assert (again.effort.opened, again.effort.hashed, again.is_new) == (0, 0, True)
    assert again.counts["dropped_by"] == {"odd_aspect_ratio": 6}


def test_changing_what_a_check_leads_to_makes_a_version_without_opening(photos: Path) -> None:
    write(photos / "cats" / "copy.jpg", PICTURES[0])
    clean(photos)

    again = clean(photos, changes={"checks.exact_duplicate.action": "review"})

    assert (again.effort.opened, again.is_new) == (0, True)
    assert again.counts["dropped"] == 0


def test_only_new_files_are_opened(photos: Path) -> None:
    clean(photos)
    write(photos / "cats" / "new.jpg", picture(100))

    assert clean(photos).effort.opened == 1


def test_a_moved_file_is_hashed_but_not_opened(photos: Path) -> None:
    clean(photos)
    (photos / "cats" / "0.jpg").rename(photos / "dogs" / "moved.jpg")

    again = clean(photos)

    assert (again.effort.opened, again.effort.hashed) == (0, 1)
    assert row(again.table, "dogs/moved.jpg")["label"] == "dogs"


def test_a_file_of_other_bytes_is_opened_again(photos: Path) -> None:
    first = clean(photos)
    write(photos / "cats" / "0.jpg", picture(101), mtime_s=LONG_AGO_S + 1)

    again = clean(photos)

    assert again.effort.opened == 1
    assert row(again.table, "cats/0.jpg")["sha256"] != row(first.table, "cats/0.jpg")["sha256"]


def test_a_change_within_the_same_second_and_of_the_same_size_is_seen(photos: Path) -> None:
    """A file that was written a moment before it was read can't be told by its time."""
    data = bytearray(pictures.JPEG + b"appended")
    now_s = int(time.time())
    write(photos / "cats" / "0.jpg", bytes(data), mtime_s=now_s)
    first = clean(photos)
    data[-1] += 1
    write(photos / "cats" / "0.jpg", bytes(data), mtime_s=now_s)

    again = clean(photos)

    assert row(again.table, "cats/0.jpg")["sha256"] != row(first.table, "cats/0.jpg")["sha256"]


def test_a_folder_that_was_just_written_is_up_to_date_after_clean(photos: Path) -> None:
    """Files too new for their time to tell a change are hashed again by the next run, but not called changed."""
    write(photos / "cats" / "0.jpg", PICTURES[0], mtime_s=int(time.time()))
    clean(photos)

    assert library.status(photos).up_to_date
    again = clean(photos)
    assert (again.effort.opened, again.effort.hashed) == (0, 1)


def test_status_tells_new_changed_and_gone_files(photos: Path) -> None:
    clean(photos)
    write(photos / "cats" / "new.jpg", picture(103))
    write(photos / "cats" / "1.jpg", PICTURES[1], mtime_s=LONG_AGO_S + 1)
    (photos / "dogs" / "5.jpg").unlink()

    status = library.status(photos)

    assert (status.new, status.changed, status.gone) == (["cats/new.jpg"], ["cats/1.jpg"], ["dogs/5.jpg"])


def test_files_that_are_plainly_no_pictures_are_rows_that_nobody_opens(photos: Path) -> None:
    write(photos / "labels.csv", b"path,label\n")

    result = clean(photos)

    assert result.effort.opened == 6
    assert row(result.table, "labels.csv")["read_error"] == "not_an_image"
    assert result.counts["images"] == 6
    assert result.counts["other_files"] == {".csv": 1}


def test_a_deleted_cache_gives_the_same_version_again(photos: Path) -> None:
    """Delete all but the images, the settings, the decisions and the versions: the table stays the same."""
    first = clean(photos)
    for path in (photos.with_name("photos.curate") / "cache").iterdir():
        path.unlink()

    again = clean(photos)

    assert again.effort.opened == 6
    assert not again.is_new
    pd.testing.assert_frame_equal(again.table, first.table)


@pytest.mark.parametrize("garbage", [b"", b"PAR1", b"\xff" * 1000])
@pytest.mark.parametrize("kind", ["facts", "seen"])
def test_a_damaged_part_of_the_cache_is_measured_again(photos: Path, kind: str, garbage: bytes) -> None:
    clean(photos)
    for path in (photos.with_name("photos.curate") / "cache").glob(f"{kind}-*"):
        path.write_bytes(garbage)

    again = clean(photos)

    assert not again.is_new
    assert again.effort.opened == (6 if kind == "facts" else 0)


def test_a_cut_part_of_the_cache_is_measured_again(photos: Path) -> None:
    clean(photos)
    for path in (photos.with_name("photos.curate") / "cache").glob("*.parquet"):
        path.write_bytes(path.read_bytes()[:-20])

    assert not clean(photos).is_new


def test_a_new_measurement_number_opens_every_picture_again(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clean(photos)
    monkeypatch.setattr("curate.cache.DECODE", "decode@999")

    assert clean(photos).effort.opened == 6


# ---- What can't be read


def test_every_kind_of_file_gets_a_row_and_a_reason(tmp_path: Path) -> None:
    pictures.write_all(tmp_path)

    table = clean(tmp_path).table.set_index("path")["read_error"]

    assert set(table.index) == {*pictures.READABLE, *pictures.UNREADABLE}
    assert {name: table[name] for name in pictures.UNREADABLE} == {
        name: reason if not name.endswith(".pdf") else "not_an_image"  # a document: nobody opens it
        for name, (reason, _) in pictures.UNREADABLE.items()
    }
    assert table[list(pictures.READABLE)].isna().all()


def test_an_empty_file_and_a_bomb_are_rows(photos: Path, curate: Curate) -> None:
    write(photos / "cats" / "empty.jpg", b"")
    write(photos / "cats" / "bomb.png", pictures.bomb(60_000, 60_000))

    done = curate("clean", photos, "--workers", "2", "--json")

    assert done.code == 0
    assert done.json["read_errors"] == {"empty": 1, "too_large": 1}
    assert (done.json["images"], done.json["kept"]) == (8, 6)


def test_a_broken_picture_is_not_opened_twice(photos: Path) -> None:
    write(photos / "cats" / "broken.jpg", pictures.UNREADABLE["truncated.jpg"][1])
    clean(photos)

    assert clean(photos).effort.opened == 0


# ---- Equal input, equal version


def test_equal_pictures_give_the_equal_id_anywhere(photos: Path, tmp_path: Path) -> None:
    """Whatever the folder is called, in whatever order files were written, with any number of workers."""
    first = clean(photos)
    other = tmp_path / "deep" / "er" / "other name"
    for number in reversed(range(6)):
        write(other / ("cats" if number < 3 else "dogs") / f"{number}.jpg", PICTURES[number], mtime_s=LONG_AGO_S + 9)

    second = library.clean(other, store=tmp_path / "store 2", workers=2)

    assert first.version
    assert second.version
    assert second.version.id == first.version.id


def test_an_id_depends_on_bytes_paths_and_labels(photos: Path) -> None:
    ids = [clean(photos).version]
    (photos / "cats" / "0.jpg").rename(photos / "cats" / "9.jpg")
    ids.append(clean(photos).version)
    write(photos / "cats" / "9.jpg", picture(102))
    ids.append(clean(photos).version)
    (photos / "cats").rename(photos / "kittens")
    ids.append(clean(photos).version)

    assert len({one.id for one in ids if one}) == 4


def test_one_worker_and_two_write_the_same_table(photos: Path, tmp_path: Path) -> None:
    one = library.clean(photos, store=tmp_path / "one", workers=1).table
    two = library.clean(photos, store=tmp_path / "two", workers=2).table

    pd.testing.assert_frame_equal(one, two)


def test_every_check_writes_its_facts(photos: Path) -> None:
    """But thumbnails, which lie beside the facts."""
    table = clean(photos).table

    columns = [column for check in all_checks().values() for column in check.facts]
    assert {column.name for column in columns if column.dtype != "binary"} <= set(table.columns)


def test_a_measurement_that_lacks_a_column_of_today_is_made_again(photos: Path) -> None:
    """A check may have got a new column without a new version; its author forgets that once."""
    library.clean(photos)
    cache = photos.parent / "photos.curate" / "cache"
    for part in cache.glob("facts-*.parquet"):
        table = pq.read_table(part)
        pq.write_table(table.drop_columns(["sharpness"]), part)

    again = library.clean(photos)

    assert again.effort.opened == 6
    assert again.table["sharpness"].notna().all()
