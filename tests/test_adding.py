"""New pictures are taken in once, whole, checked against everything known, whatever happens in between."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

import curate as library
from conftest import PICTURES, Curate, command, picture, write
from curate.adding import add
from curate.batches import read_batches, write_batch
from curate.errors import SourceError, StoreError
from curate.history import run_record
from curate.objects import digest_of
from curate.project import Project

NOW_S = int(time.time())


@pytest.fixture
def cleaned(photos: Path) -> Path:
    library.clean(photos)
    return photos


@pytest.fixture
def card(tmp_path: Path) -> Path:
    """A camera's card: two new pictures, and one that the folder has."""
    write(tmp_path / "card" / "7.jpg", PICTURES[7])
    write(tmp_path / "card" / "8.jpg", PICTURES[8])
    write(tmp_path / "card" / "old.jpg", PICTURES[0])
    return tmp_path / "card"


def files_of(folder: Path) -> list[str]:
    """Every file below it, hidden ones too."""
    return sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())


def contents_of(folder: Path) -> Counter[str]:
    """How often each content is in it."""
    return Counter(digest_of(file) for file in folder.rglob("*") if file.is_file())


# ---- What becomes of them


def test_new_pictures_are_copied_and_a_version_knows_them(cleaned: Path, card: Path) -> None:
    done = add(cleaned, [card], suggest=False)

    assert files_of(cleaned)[:2] == ["_unlabeled/7.jpg", "_unlabeled/8.jpg"]
    assert library.table(cleaned).query("keep")["path"].tolist()[:2] == ["_unlabeled/7.jpg", "_unlabeled/8.jpg"]
    assert (done.told()["new"], done.told()["known"], done.told()["version"]) == (2, 1, "v2")
    assert files_of(card) == ["7.jpg", "8.jpg", "old.jpg"]


def test_only_the_new_ones_are_opened(cleaned: Path, card: Path) -> None:
    done = add(cleaned, [card], suggest=False)

    assert done.cleaned is not None
    assert done.cleaned.effort.opened == 2


def test_the_version_says_where_they_came_from(cleaned: Path, card: Path) -> None:
    add(cleaned, [card], suggest=False)

    made, run = library.show(cleaned), run_record(cleaned)
    assert (made.command, run["batch"], run["sources"]) == ("curate add", 1, [str(card)])
    batch = read_batches(Project.at(cleaned).batches)[0]
    assert [(Path(one.source).name, one.path, one.outcome) for one in batch.arrivals] == [
        ("7.jpg", "_unlabeled/7.jpg", "new"),
        ("8.jpg", "_unlabeled/8.jpg", "new"),
        ("old.jpg", "cats/0.jpg", "known"),
    ]


def test_a_folder_of_a_known_class_is_that_class(cleaned: Path, tmp_path: Path) -> None:
    write(tmp_path / "card" / "dogs" / "7.jpg", PICTURES[7])
    write(tmp_path / "card" / "lynxes" / "8.jpg", PICTURES[8])

    add(cleaned, [tmp_path / "card"], suggest=False)

    labels = library.table(cleaned).set_index("path")["label"]
    assert labels["dogs/7.jpg"] == "dogs"
    assert labels.isna()["_unlabeled/lynxes/8.jpg"]


def test_into_names_the_folder(cleaned: Path, card: Path) -> None:
    add(cleaned, [card / "7.jpg"], into="cats", suggest=False)

    assert "cats/7.jpg" in files_of(cleaned)


def test_no_file_is_replaced(cleaned: Path, card: Path) -> None:
    """cats/0.jpg is there with other bytes, and so is 0.JPG for systems that ignore case."""
    before = contents_of(cleaned)
    write(card / "0.jpg", PICTURES[9])
    write(card / "1.JPG", PICTURES[10])

    add(cleaned, [card / "0.jpg", card / "1.JPG"], into="cats", suggest=False)

    assert [name for name in files_of(cleaned) if "-new" in name] == ["cats/0-new.jpg", "cats/1-new.JPG"]
    assert before < contents_of(cleaned)


def test_the_same_new_picture_twice_is_taken_once(cleaned: Path, tmp_path: Path) -> None:
    write(tmp_path / "card" / "a.jpg", PICTURES[7])
    write(tmp_path / "card" / "b.jpg", PICTURES[7])

    told = add(cleaned, [tmp_path / "card"], suggest=False).told()

    assert (told["new"], told["known"]) == (1, 1)


def test_a_near_copy_of_an_old_picture_is_found(cleaned: Path, tmp_path: Path) -> None:
    from io import BytesIO

    from PIL import Image

    buffer = BytesIO()
    Image.open(BytesIO(PICTURES[0])).save(buffer, "JPEG", quality=60)
    write(tmp_path / "card" / "again.jpg", buffer.getvalue())

    assert add(cleaned, [tmp_path / "card"], suggest=False).told()["near_copies"] == 1


def test_labels_are_suggested_on_arrival_and_wait_for_review(many: Path, card: Path) -> None:
    library.clean(many)

    done = add(many, [card])

    assert done.suggested is not None
    assert sorted(done.rows["pred_label"]) == sorted(done.rows["pred_label"].dropna())
    assert (done.told()["suggested"], done.told()["to_review"]) == (3, 3)


def test_without_labels_nothing_is_suggested_and_that_is_said(tmp_path: Path, card: Path) -> None:
    write(tmp_path / "plain" / "1.jpg", PICTURES[1])
    library.clean(tmp_path / "plain")

    done = add(tmp_path / "plain", [card])

    assert done.suggested is None
    assert "label" in done.unsuggested
    assert done.told()["new"] == 3


def test_labels_from_a_list_are_remembered(tmp_path: Path, card: Path) -> None:
    """New pictures must not cost the old ones the labels that `clean --labels FILE` gave them."""
    write(tmp_path / "plain" / "1.jpg", PICTURES[1])
    (tmp_path / "labels.csv").write_text("path,label\n1.jpg,cat\n")
    library.clean(tmp_path / "plain", changes={"scan.labels": str(tmp_path / "labels.csv")})

    add(tmp_path / "plain", [card / "7.jpg"], suggest=False)

    labels = library.table(tmp_path / "plain").set_index("path")["label"]
    assert labels["1.jpg"] == "cat"
    assert labels.isna()["7.jpg"]


def test_status_has_nothing_to_say_afterwards(cleaned: Path, card: Path) -> None:
    add(cleaned, [card], suggest=False)

    found = {one.stage: one.judgement for one in library.status(cleaned).stages}
    assert found["clean"] == "stands"


# ---- What is not whole


def test_a_file_that_changed_a_moment_ago_waits(cleaned: Path, card: Path) -> None:
    write(card / "7.jpg", PICTURES[7], mtime_s=int(time.time()))

    done = add(cleaned, [card], suggest=False)

    assert done.waiting == {str(card / "7.jpg"): "it changed a moment ago"}
    assert done.told()["new"] == 1


def test_half_a_picture_waits_until_it_is_whole(cleaned: Path, card: Path) -> None:
    write(card / "7.jpg", PICTURES[7][:-500], mtime_s=int(time.time()) - 10)
    first = add(cleaned, [card], suggest=False)
    write(card / "7.jpg", PICTURES[7], mtime_s=int(time.time()) - 5)

    second = add(cleaned, [card], suggest=False)

    assert first.waiting == {str(card / "7.jpg"): "it ends too early for a picture"}
    assert second.waiting == {}
    assert digest_of(cleaned / "_unlabeled" / "7.jpg") == digest_of(card / "7.jpg")


def test_half_a_picture_that_gets_no_better_is_a_damaged_one(cleaned: Path, tmp_path: Path) -> None:
    """It is a row with a reason, not a file that nobody ever hears of."""
    write(tmp_path / "card" / "7.jpg", PICTURES[7][:-500])

    done = add(cleaned, [tmp_path / "card"], suggest=False)

    assert done.told()["unreadable"] == 1
    assert library.table(cleaned).set_index("path")["read_error"]["_unlabeled/7.jpg"] == "truncated"


def test_names_of_unfinished_downloads_wait(cleaned: Path, tmp_path: Path) -> None:
    write(tmp_path / "card" / "7.jpg.part", PICTURES[7])

    done = add(cleaned, [tmp_path / "card"], suggest=False)

    assert list(done.waiting.values()) == ["it has the name of an unfinished file"]
    assert done.batch is None


def test_what_is_no_picture_is_left_out_and_counted(cleaned: Path, card: Path) -> None:
    write(card / "notes.txt", b"hello")

    assert add(cleaned, [card], suggest=False).other == [str(card / "notes.txt")]


# ---- Wrong use


def test_a_folder_is_not_added_to_itself(cleaned: Path) -> None:
    with pytest.raises(SourceError, match=r"lies in .* already"):
        add(cleaned, [cleaned / "cats"])
    with pytest.raises(SourceError, match="would be added to itself"):
        add(cleaned, [cleaned.parent])


def test_a_missing_source_is_said(cleaned: Path, curate: Curate) -> None:
    done = curate("add", cleaned, "nowhere")

    assert done.code == 2
    assert done.err == "Error: There is no file or folder 'nowhere'.\nHint: Check the spelling.\n"


def test_the_command_says_what_came(cleaned: Path, card: Path, curate: Curate) -> None:
    done = curate("add", cleaned, card, "--no-prelabel")

    assert done.code == 0
    assert done.out.startswith("Batch 1: 2 new images, 1 known already -> v2\n")
    assert done.out.endswith(f"curate drift {cleaned} v1 v2\n")
    assert curate("add", cleaned, card, "--no-prelabel").out == "Nothing new.\n"


# ---- Kills and full disks


def test_a_batch_that_was_planned_only_is_finished_by_the_next_command(cleaned: Path, card: Path) -> None:
    """As if killed after the first of two files."""
    undisturbed = shutil.copytree(cleaned, cleaned.parent / "other" / "photos")
    shutil.copytree(f"{cleaned}.curate", f"{undisturbed}.curate")
    add(undisturbed, [card], suggest=False)
    [batch] = read_batches(Project.at(undisturbed).batches)
    folder = Project.at(cleaned).batches
    write_batch(folder, type(batch)(**{**vars(batch), "state": "planned", "version": ""}))
    write(cleaned / "_unlabeled" / "7.jpg", PICTURES[7])

    done = add(cleaned, [card], suggest=False)

    assert done.told()["batch"] == 1
    assert [one.state for one in read_batches(folder)] == ["done"]
    assert contents_of(cleaned) == contents_of(undisturbed)
    assert library.show(cleaned).id == library.show(undisturbed).id


@pytest.mark.parametrize("moment_s", [0.0, 0.03, 0.3])
def test_a_kill_loses_and_repeats_nothing(
    photos: Path, tmp_path: Path, environment: dict[str, str], moment_s: float
) -> None:
    """SIGKILL some moments after the batch was planned: while files are copied, or while they are checked."""
    library.clean(photos)
    for number in range(60):
        write(tmp_path / "card" / f"{number}.jpg", picture(9000 + number))
    wanted = contents_of(photos) + contents_of(tmp_path / "card")
    words = command("add", photos, tmp_path / "card", "--no-prelabel", "--workers", "1")
    with subprocess.Popen(words, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as killed:
        batches = Project.at(photos).batches
        while not list(batches.glob("0*.json")) and killed.poll() is None:
            time.sleep(0.002)
        time.sleep(moment_s)
        killed.send_signal(signal.SIGKILL)

    again = subprocess.run(words, env=environment, capture_output=True, text=True)

    assert again.returncode == 0, again.stderr
    assert contents_of(photos) == wanted
    assert [(one.number, one.state) for one in read_batches(batches)] == [(1, "done")]
    assert len(library.table(photos)) == 66


def test_a_full_disk_is_said_and_the_same_command_goes_on(
    tmp_path: Path, card: Path, disk: Callable[..., Path], curate: Curate
) -> None:
    small = disk("small", "size=200k")
    write(small / "photos" / "cats" / "0.jpg", PICTURES[0])
    store = ("--store", tmp_path / "store", "--workers", "1")
    curate("clean", small / "photos", *store)
    free = os.statvfs(small)
    (small / "filler").write_bytes(bytes(free.f_bavail * free.f_frsize - 4096))

    full = curate("add", small / "photos", card, "--no-prelabel", *store)

    assert full.code == 3
    assert "No space left on device" in full.err
    assert files_of(small / "photos") == ["_unlabeled/7.jpg", "cats/0.jpg"]
    (small / "filler").unlink()
    again = curate("add", small / "photos", card, "--no-prelabel", *store)
    assert again.out.startswith("Batch 1: 2 new images, 1 known already -> v2")
    assert files_of(small / "photos") == ["_unlabeled/7.jpg", "_unlabeled/8.jpg", "cats/0.jpg"]


def test_a_file_that_somebody_put_in_the_way_is_not_replaced(cleaned: Path, card: Path) -> None:
    """Between planning and copying, which only a kill makes long enough."""
    add(cleaned, [card], suggest=False)
    folder = Project.at(cleaned).batches
    [batch] = read_batches(folder)
    write_batch(folder, type(batch)(**{**vars(batch), "state": "planned", "version": ""}))
    write(cleaned / "_unlabeled" / "7.jpg", b"mine")

    with pytest.raises(StoreError, match="File exists"):
        add(cleaned, [card], suggest=False)

    assert (cleaned / "_unlabeled" / "7.jpg").read_bytes() == b"mine"


def test_a_damaged_batch_file_is_said(cleaned: Path, card: Path) -> None:
    add(cleaned, [card], suggest=False)
    (Project.at(cleaned).batches / "0001.json").write_text("{")

    with pytest.raises(StoreError, match=r"The batch file .*0001.json' is damaged"):
        add(cleaned, [card], suggest=False)
