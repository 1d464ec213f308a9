"""An unchanged folder is not judged again, and whatever could change the outcome makes `clean` judge."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import curate as library
from conftest import LONG_AGO_S, picture, write
from curate.decisions import new_decision
from curate.errors import CurateError
from curate.objects import digest_of
from curate.opinions import Opinions, keep_opinions
from curate.pipeline import Cleaned
from curate.progress import Advance, silent
from curate.project import Project
from curate.review_log import append


def clean(photos: Path, *, judges: bool, **options: Any) -> Cleaned:
    """Clean, and see whether that judged the pictures or took the newest version for the answer."""
    stages = []

    def note(title: str, total: int) -> AbstractContextManager[Advance]:
        stages.append(title)
        return silent(title, total)

    result = library.clean(photos, workers=1, progress=note, **options)
    assert ("Judging" in stages) is judges, stages
    return result


@pytest.fixture
def cleaned(photos: Path) -> Path:
    """A folder that was cleaned, and whose newest version is known to be the answer."""
    clean(photos, judges=True)
    clean(photos, judges=False)
    return photos


def store_of(photos: Path) -> Path:
    return photos.with_name("photos.curate")


def test_an_unchanged_folder_gives_the_same_answer_without_judging(photos: Path) -> None:
    write(photos / "dogs" / "copy.jpg", (photos / "cats" / "0.jpg").read_bytes())
    write(photos / "notes.txt", b"no picture")
    first = clean(photos, judges=True)

    again = clean(photos, judges=False)

    assert (again.is_new, again.version, again.counts, again.stale) == (False, first.version, first.counts, 0)
    assert again.counts["other_files"] == {".txt": 1}
    pd.testing.assert_frame_equal(again.table, first.table)


def test_a_dry_run_of_an_unchanged_folder_gives_the_same_answer(cleaned: Path) -> None:
    assert clean(cleaned, judges=False, dry_run=True).counts["images"] == 6


def test_a_dry_run_is_not_taken_for_an_answer(photos: Path) -> None:
    clean(photos, judges=True, dry_run=True)
    assert clean(photos, judges=True).version is not None


def touch(photos: Path) -> None:
    os.utime(photos / "cats" / "0.jpg", (LONG_AGO_S + 1, LONG_AGO_S + 1))


def add(photos: Path) -> None:
    write(photos / "cats" / "new.jpg", picture(900))


def rename(photos: Path) -> None:
    (photos / "cats" / "0.jpg").rename(photos / "cats" / "zero.jpg")


def replace(photos: Path) -> None:
    """By another file of the same name, size and time."""
    file = photos / "cats" / "0.jpg"
    data = file.read_bytes()
    file.with_name("draft").write_bytes(data[:-1] + b"\0")
    file.with_name("draft").replace(file)
    os.utime(file, (LONG_AGO_S, LONG_AGO_S))


def remove(photos: Path) -> None:
    (photos / "cats" / "0.jpg").unlink()


def decide(photos: Path) -> None:
    decision = new_decision("cats/0.jpg", digest_of(photos / "cats" / "0.jpg"), "drop", "ada")
    append(Project.at(photos).review_log, [decision])


def form_opinions(photos: Path) -> None:
    rows = pd.DataFrame({"path": ["cats/0.jpg"], "sha256": ["x"], "about": ["cats"], "label_error": [True]})
    keep_opinions(store_of(photos) / "cache", "flag", Opinions(rows))


def forget_facts(photos: Path) -> None:
    for path in (store_of(photos) / "cache").glob("facts-*"):
        path.unlink()


def forget_all(photos: Path) -> None:
    (store_of(photos) / "cache" / "unchanged.json").unlink()


def damage_what_is_remembered(photos: Path) -> None:
    (store_of(photos) / "cache" / "unchanged.json").write_bytes(b'{"inputs": {}, "outcome"')


def set_a_threshold(photos: Path) -> None:
    (store_of(photos) / "curate.toml").write_text("[checks.blurry]\nmin_sharpness = 0.5\n")


@pytest.mark.parametrize(
    "change",
    [
        touch,
        add,
        rename,
        replace,
        remove,
        decide,
        form_opinions,
        forget_facts,
        forget_all,
        damage_what_is_remembered,
        set_a_threshold,
    ],
)
def test_what_could_change_the_outcome_is_judged(cleaned: Path, change: Callable[[Path], None]) -> None:
    change(cleaned)

    clean(cleaned, judges=True)
    clean(cleaned, judges=False)


@pytest.mark.parametrize("changes", [{"checks.blurry.min_sharpness": 0.5}, {"scan.labels": "none"}])
def test_other_settings_are_judged_and_then_those_of_before(cleaned: Path, changes: dict[str, Any]) -> None:
    clean(cleaned, judges=True, changes=changes)
    clean(cleaned, judges=False, changes=changes)
    clean(cleaned, judges=True)


def test_an_edited_file_of_labels_is_judged_whatever_its_size_and_time(photos: Path, tmp_path: Path) -> None:
    labels = write(tmp_path / "labels.csv", b"path,label\ncats/0.jpg,cat\n")
    changes = {"scan.labels": str(labels)}
    clean(photos, judges=True, changes=changes)
    clean(photos, judges=False, changes=changes)

    write(labels, b"path,label\ncats/0.jpg,dog\n")

    table = clean(photos, judges=True, changes=changes).table
    assert table["label"].dropna().tolist() == ["dog"]


def test_an_undo_is_judged(photos: Path) -> None:
    clean(photos, judges=True)
    add(photos)
    second = clean(photos, judges=True)
    library.undo(photos)

    again = clean(photos, judges=True)

    assert second.version is not None
    assert again.version is not None
    assert (again.version.name, again.version.id) == ("v4", second.version.id)


def test_a_damaged_version_is_not_taken_for_the_answer(cleaned: Path) -> None:
    (store_of(cleaned) / "versions" / "0001.snapshot.parquet").write_bytes(b"PAR1")

    with pytest.raises(CurateError, match=r"0001\.snapshot\.parquet' is damaged"):
        clean(cleaned, judges=True)


def test_another_measurement_is_judged(cleaned: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("curate.cache.DECODE", "decode@999")
    clean(cleaned, judges=True)


def test_another_decoder_is_judged(cleaned: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("curate.unchanged.DECODERS", "Pillow 99")
    clean(cleaned, judges=True)


def test_another_release_is_judged(cleaned: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("curate.run_record.installed_version", lambda name: f"99 of {name}")
    clean(cleaned, judges=True)


def test_a_picture_that_was_written_a_moment_ago_is_looked_at_again(photos: Path) -> None:
    """It may be written again within the same time stamp."""
    now = int(time.time()) + 1
    write(photos / "cats" / "0.jpg", picture(901), mtime_s=now)
    clean(photos, judges=True)
    clean(photos, judges=True)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may read everything")
def test_a_picture_that_could_not_be_read_is_tried_again(photos: Path) -> None:
    (photos / "cats" / "0.jpg").chmod(0)
    clean(photos, judges=True)
    clean(photos, judges=True)


def test_a_picture_that_only_a_list_names_is_looked_for_again(photos: Path, tmp_path: Path) -> None:
    labels = write(tmp_path / "labels.csv", b"path,label\ncats/gone.jpg,cat\n")
    for _ in range(2):
        clean(photos, judges=True, changes={"scan.labels": str(labels)})
