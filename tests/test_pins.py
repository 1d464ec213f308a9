"""Lock files: a training repository gets the version it was tied to, or a loud and clear no."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import curate as library
from conftest import PICTURES, Curate, write
from curate import versions
from curate.errors import SourceError, StoreError
from curate.inspection import record_decisions
from curate.pins import FOLDER_VARIABLE, verify_lock
from curate.project import Project


@pytest.fixture
def pinned(photos: Path, tmp_path: Path) -> Path:
    """The lock, in a repository beside it, of the photos normalized to 32 px."""
    library.clean(photos, workers=1)
    library.normalize(photos, changes={"normalize.size": "32"}, workers=1)
    (tmp_path / "repository").mkdir()
    return library.pin(photos, output=tmp_path / "repository" / "curate.lock").file


def edit(lock: Path, **values: Any) -> None:
    lock.write_text(json.dumps({**json.loads(lock.read_text()), **values}))


def test_a_lock_is_small_and_says_where_the_folder_is_seen_from_itself(pinned: Path) -> None:
    said = json.loads(pinned.read_text())

    assert said["dataset"] == "../photos"
    assert (said["version"], said["pictures"], said["classes"]) == ("v2", 6, ["cats", "dogs"])
    assert len(pinned.read_bytes()) < 2_000


def test_the_same_version_gives_the_same_lock(pinned: Path, photos: Path) -> None:
    before = pinned.read_bytes()

    library.pin(photos, "v2", pinned)

    assert pinned.read_bytes() == before


def test_a_lock_loads_its_version_after_newer_ones_were_made(pinned: Path, photos: Path) -> None:
    record_decisions(photos, ["cats/0.jpg"], "drop")
    library.clean(photos, workers=1)

    assert len(library.load(pinned)) == 6
    assert len(library.load(photos)) == 5


def test_a_lock_follows_its_folder_elsewhere(
    pinned: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved = tmp_path / "elsewhere" / "pictures"
    moved.parent.mkdir()
    photos.rename(moved)
    (tmp_path / "photos.curate").rename(tmp_path / "elsewhere" / "pictures.curate")

    with pytest.raises(StoreError, match="has not been curated yet"):
        library.load(pinned)
    assert len(library.load(pinned, folder=moved)) == 6
    monkeypatch.setenv(FOLDER_VARIABLE, str(moved))
    assert len(library.load(pinned)) == 6


def test_a_store_of_its_own_is_found_from_the_lock(photos: Path, tmp_path: Path) -> None:
    library.clean(photos, store=tmp_path / "store", workers=1)
    lock = library.pin(photos, output=tmp_path / "curate.lock", store=tmp_path / "store").file

    assert len(library.load(lock)) == 6


def test_a_version_beside_a_lock_is_refused(pinned: Path) -> None:
    with pytest.raises(SourceError, match="is a lock file and names its version"):
        library.load(pinned, "v1")


def test_a_missing_lock_is_told_from_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="There is no lock file"):
        library.load(tmp_path / "curate.lock")


def test_something_else_is_not_written_over(photos: Path, tmp_path: Path) -> None:
    library.clean(photos, workers=1)
    (tmp_path / "folder.lock").mkdir()

    with pytest.raises(SourceError, match="is no lock file"):
        library.pin(photos, output=tmp_path / "folder.lock")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda lock: lock.write_text(lock.read_text()[:100]), "can't be read"),
        (lambda lock: lock.write_bytes(b"\xff\xfe"), "can't be read"),
        (lambda lock: lock.write_text("[" * 100_000), "can't be read"),
        (lambda lock: lock.write_text("[]"), "is damaged"),
        (lambda lock: edit(lock, id="abc"), "is damaged: id"),
        (lambda lock: edit(lock, pictures="6"), "is damaged: pictures"),
        (lambda lock: edit(lock, extra=1), "is damaged: extra"),
        (lambda lock: edit(lock, format=2), "has format 2; this curate knows formats up to 1"),
    ],
)
def test_a_damaged_lock_is_named_as_such(pinned: Path, damage: Callable[[Path], object], message: str) -> None:
    damage(pinned)

    with pytest.raises(SourceError, match=message):
        library.load(pinned)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"id": "0" * 64}, "v2 was pinned with the id 000000000000 and has the id"),
        ({"id": "0" * 64, "version": "v7"}, "there is no version with the id 000000000000, and no v7"),
        ({"rows": "0" * 64}, "the normalized pictures have other bytes than were pinned"),
        ({"pictures": 5}, "pictures: pinned 5, found 6"),
        ({"classes": ["cats"]}, "classes: pinned"),
        ({"splits": {"train": 6}}, "splits: pinned"),
        ({"transform": {}}, "transform: pinned"),
        ({"mean": [0.5, 0.5, 0.5]}, "mean: pinned"),
        ({"mean": [float("nan")] * 3}, "mean: pinned"),
    ],
)
def test_a_version_that_is_not_as_pinned_is_not_loaded(pinned: Path, values: dict[str, Any], message: str) -> None:
    edit(pinned, **values)

    with pytest.raises(StoreError, match=message):
        library.load(pinned)


def test_a_newer_version_with_other_weights_is_not_taken_for_it(pinned: Path, photos: Path) -> None:
    """Training sees the weights, so they are a part of the id."""
    store = Project.at(photos).versions
    old = versions.find_version(store, "v2")
    rows = versions.read_table(store, old).assign(weight=0.25)
    new = versions.commit(store, rows, "test", old.settings, old.counts, recipe=old.recipe)

    assert new is not None
    assert new.id != old.id
    assert library.load(pinned).version.name == "v2"


def test_a_version_whose_rows_were_edited_is_not_loaded(pinned: Path, photos: Path) -> None:
    versions = Project.at(photos).versions
    file = next(versions.glob("0002.snapshot.parquet"))
    rows = pq.read_table(file).to_pandas()
    rows.loc[rows["path"] == "cats/0.jpg", "final_label"] = "dogs"
    pq.write_table(pa.Table.from_pandas(rows, preserve_index=False), file)

    with pytest.raises(StoreError, match="the version's rows don't give the id that it has"):
        library.load(pinned)


def test_a_store_made_anew_from_the_same_pictures_is_what_was_pinned(
    pinned: Path, photos: Path, tmp_path: Path
) -> None:
    """Another machine has its own history: the pictures count, not how often somebody ran a command."""
    shutil.rmtree(tmp_path / "photos.curate")
    library.clean(photos, workers=1)
    write(photos / "cats" / "new.jpg", PICTURES[7])
    library.clean(photos, workers=1)
    (photos / "cats" / "new.jpg").unlink()
    library.clean(photos, workers=1)
    library.normalize(photos, changes={"normalize.size": "32"}, workers=1)

    assert library.load(pinned).version.name == "v4"


def test_sources_can_be_pinned_instead_of_encoded_bytes(pinned: Path, photos: Path) -> None:
    exact = json.loads(pinned.read_text())["rows"]

    library.pin(photos, output=pinned, sources=True)

    assert json.loads(pinned.read_text())["rows"] != exact
    assert len(library.load(pinned)) == 6


def test_verify_reads_every_picture(pinned: Path, photos: Path, curate: Curate) -> None:
    assert curate("verify", pinned).code == 0
    file = next(path for path in Project.at(photos).objects.rglob("*") if path.is_file())
    file.write_bytes(b"damaged")

    done = curate("verify", pinned)
    found = verify_lock(pinned)

    assert done.code == 1
    assert "6 images read and hashed, 1 problems" in done.out
    assert (found.checked, len(found.damaged)) == (6, 1)


def test_verify_says_what_differs(pinned: Path, curate: Curate) -> None:
    edit(pinned, pictures=5)

    done = curate("verify", pinned)

    assert done.code == 1
    assert "pictures: pinned 5, found 6" in done.out


def test_the_command_takes_a_version_by_its_name(photos: Path, tmp_path: Path, curate: Curate) -> None:
    curate("clean", photos, "--workers", "1")
    write(photos / "cats" / "new.jpg", PICTURES[7])
    curate("clean", photos, "--workers", "1")
    curate("tag", photos, "paper", "--version", "v1")

    for name in ("v1", "paper"):
        done = curate("pin", f"{photos}@{name}", "-o", tmp_path / "curate.lock", "--json")
        assert (done.json["version"], done.json["pictures"]) == ("v1", 6)
    assert curate("pin", f"{photos}@v9", "-o", tmp_path / "curate.lock").code == 2
