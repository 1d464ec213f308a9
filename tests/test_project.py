"""Where things lie, what a folder may be, and what is said when it can't be used."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import curate as library
from conftest import PICTURES, Curate, write
from curate.errors import SourceError, StoreError
from curate.project import Project


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Every file with its bytes and time."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def test_the_store_lies_beside_the_folder(photos: Path) -> None:
    library.clean(photos, workers=1)

    assert sorted(path.name for path in photos.parent.iterdir()) == ["photos", "photos.curate"]
    assert (photos.parent / "photos.curate" / "versions" / "0001.json").is_file()


def test_no_command_changes_the_image_folder(photos: Path, curate: Curate, tmp_path: Path) -> None:
    """Not even a hidden file: torchvision's ImageFolder takes every folder for a class."""
    before = contents(photos)

    curate("clean", photos, "--workers", "1")
    curate("decide", photos, "cats/1.jpg", "--drop")
    curate("clean", photos, "--workers", "1")
    curate("undo", photos)
    curate("verify", photos)
    curate("export", photos, tmp_path / "out", "--copy")

    assert contents(photos) == before


def test_a_store_elsewhere_holds_everything(photos: Path, tmp_path: Path) -> None:
    """`--store` is for sources that can't be written beside."""
    library.clean(photos, store=tmp_path / "elsewhere", workers=1)

    assert not (tmp_path / "photos.curate").exists()
    assert len(library.table(photos, store=tmp_path / "elsewhere")) == 6


def test_a_missing_folder_is_named(curate: Curate, tmp_path: Path) -> None:
    done = curate("clean", tmp_path / "phtos")

    assert done.code == 2
    assert done.err == (
        f"Error: There is no folder '{tmp_path}/phtos'.\nHint: Check the spelling, or give an absolute path.\n"
    )


def test_a_file_instead_of_a_folder_leads_to_its_folder(curate: Curate, photos: Path) -> None:
    done = curate("clean", photos / "cats" / "0.jpg")

    assert done.code == 2
    assert "is a file; expected a folder of images" in done.err
    assert f"Try: curate clean {photos}/cats" in done.err


def test_an_empty_folder_makes_no_store(curate: Curate, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()

    done = curate("clean", tmp_path / "empty")

    assert done.code == 2
    assert "There is no file in" in done.err
    assert not (tmp_path / "empty.curate").exists()


def test_a_folder_with_only_skipped_entries_says_why_they_were(curate: Curate, tmp_path: Path) -> None:
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "a.jpg").symlink_to(tmp_path / "nowhere.jpg")

    done = curate("clean", tmp_path / "links")

    assert done.code == 2
    assert "'a.jpg' was skipped: symbolic link that leaves the folder." in done.err


def test_a_folder_without_any_picture_is_counted_and_named(curate: Curate, tmp_path: Path) -> None:
    write(tmp_path / "texts" / "notes.txt", b"hello")
    write(tmp_path / "texts" / "labels.csv", b"path,label\n")

    done = curate("clean", tmp_path / "texts")

    assert done.code == 0
    assert "texts: 0 images, 0 kept, 0 dropped\n" in done.out
    assert "2 other files are no images: .csv 1, .txt 1" in done.out


def test_a_store_given_as_folder_leads_to_the_folder(curate: Curate, photos: Path) -> None:
    curate("clean", photos, "--workers", "1")

    done = curate("clean", f"{photos}.curate")

    assert done.code == 2
    assert "is a store of curate, not a folder of images" in done.err
    assert f"Try: {photos}\n" in done.err


def test_a_store_inside_the_image_folder_is_refused(photos: Path) -> None:
    with pytest.raises(SourceError, match="lies inside the image folder"):
        Project.at(photos, photos / "store")


def test_a_store_inside_the_image_folder_by_a_link_is_refused(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "shortcut").symlink_to(photos)

    with pytest.raises(SourceError, match="lies inside the image folder"):
        Project.at(photos, tmp_path / "shortcut" / "store")


def test_a_file_in_the_place_of_the_store_is_named(curate: Curate, photos: Path) -> None:
    write(photos.with_name("photos.curate"), b"mine")

    done = curate("clean", photos)

    assert done.code == 3
    assert done.err == f"Error: Can't write '{photos}.curate': File exists.\n"


def test_commands_on_a_folder_that_was_never_curated_say_so(curate: Curate, photos: Path) -> None:
    for verb in ("log", "table", "status", "verify", "undo", "tag", "show"):
        done = curate(verb, photos)

        assert done.code == 3, verb
        assert "has not been curated yet" in done.err
        assert f"Hint: Run: curate clean {photos}" in done.err


def test_a_store_of_a_newer_format_is_left_alone(photos: Path) -> None:
    library.clean(photos, workers=1)
    (photos.with_name("photos.curate") / "store.json").write_text('{"format": 2}')

    with pytest.raises(StoreError, match="has format 2; this curate knows formats up to 1"):
        library.clean(photos, workers=1)
    with pytest.raises(StoreError, match="has format 2; this curate knows formats up to 1"):
        library.table(photos)


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"format": "x"}', "\x00\x01"])
def test_a_damaged_store_file_is_named(photos: Path, text: str) -> None:
    library.clean(photos, workers=1)
    (photos.with_name("photos.curate") / "store.json").write_text(text)

    with pytest.raises(StoreError, match=r"store\.json' is damaged"):
        library.log(photos)


def test_a_path_that_no_file_system_takes_is_a_message(curate: Curate, tmp_path: Path) -> None:
    done = curate("clean", tmp_path / ("x" * 300))

    assert (done.code, done.err.count("There is no folder")) == (2, 1)


def test_files_of_the_store_can_be_read_by_other_users(photos: Path) -> None:
    """With the rights of any new file: temporary files are often made for their owner alone."""
    library.clean(photos, workers=1)
    ordinary = write(photos.parent / "ordinary", b"").stat().st_mode

    store = photos.with_name("photos.curate")
    modes = {path.stat().st_mode for kind in ("json", "parquet") for path in store.rglob(f"*.{kind}")}

    assert modes == {ordinary}


def test_temporary_files_of_killed_runs_are_removed(photos: Path) -> None:
    library.clean(photos, workers=1)
    store = photos.with_name("photos.curate")
    left = [store / "cache" / ".facts-1.parquet.0a.tmp", store / "versions" / ".0002.draft.0a.tmp"]
    for path in left:
        write(path, b"half")

    library.clean(photos, workers=1)

    assert not any(path.exists() for path in left)


def test_a_folder_through_a_link_is_the_same_data_set(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "shortcut").symlink_to(photos)

    direct = library.clean(photos, workers=1)
    through_link = library.clean(tmp_path / "shortcut", workers=1)

    assert direct.version
    assert through_link.version
    assert direct.version.id == through_link.version.id
    assert through_link.project.store == tmp_path / "shortcut.curate"


def test_the_store_says_which_folder_it_belongs_to(photos: Path) -> None:
    library.clean(photos, workers=1)

    written = json.loads((photos.with_name("photos.curate") / "store.json").read_text())

    assert written == {"format": 1, "folder": "photos"}


def test_pictures_of_the_fixture_are_all_kept(photos: Path) -> None:
    """What the other tests build on."""
    for number, data in enumerate(PICTURES[6:]):
        write(photos / "birds" / f"{number}.jpg", data)

    result = library.clean(photos, workers=1)

    assert result.counts["dropped"] == 0
    assert result.counts["labels"] == {"birds": 6, "cats": 3, "dogs": 3}
