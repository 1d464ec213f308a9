"""`curate split`: what belongs together stays together, what has a split keeps it, and versions carry it on."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

import curate as library
from conftest import PICTURES, Curate, picture, write
from curate.errors import SettingsError, SourceError
from curate.inspection import record_decisions


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """Thirty pictures of two classes, and a re-saved copy of one."""
    for number in range(30):
        write(tmp_path / "many" / ("cats" if number % 3 else "dogs") / f"{number}.jpg", picture(2000 + number))
    buffer = BytesIO()
    Image.open(BytesIO(picture(2001))).save(buffer, "JPEG", quality=60)
    write(tmp_path / "many" / "cats" / "again.jpg", buffer.getvalue())
    library.clean(tmp_path / "many", workers=1)
    return tmp_path / "many"


def splits(folder: Path) -> dict[str, str | None]:
    """path -> split of each kept picture; None = none."""
    rows = library.table(folder)
    rows = rows[rows["keep"]]
    return {path: None if split != split else split for path, split in zip(rows["path"], rows["split"], strict=True)}


def test_every_kept_picture_gets_a_split_and_classes_keep_their_shares(many: Path) -> None:
    """Of 21 and 10 pictures: 2 and 1 in each of val and test."""
    result = library.split(many, workers=1)

    assert result.version.name == "v2"
    assert result.version.counts["splits"] == {"train": 25, "test": 3, "val": 3}
    for name in ("val", "test"):
        assert sorted(path.split("/")[0] for path, split in splits(many).items() if split == name) == [
            "cats",
            "cats",
            "dogs",
        ]


def test_copies_are_never_parted(many: Path) -> None:
    for seed in "abcdef":
        result = library.split(many, changes={"split.seed": seed}, from_scratch=True, workers=1)
        dealt = splits(many)

        assert dealt["cats/1.jpg"] == dealt["cats/again.jpg"]
        assert result.leakage.leaked == 0


def test_the_same_pictures_are_dealt_out_alike_everywhere(many: Path, tmp_path: Path) -> None:
    library.split(many, workers=1)
    library.import_(many, tmp_path / "elsewhere")
    library.clean(tmp_path / "elsewhere", workers=1)
    library.split(tmp_path / "elsewhere", workers=1)

    assert splits(tmp_path / "elsewhere") == splits(many)


def test_what_has_a_split_keeps_it_when_pictures_come(many: Path) -> None:
    library.split(many, workers=1)
    before = splits(many)
    for number in range(40, 60):
        write(many / "cats" / f"{number}.jpg", picture(2000 + number))

    library.clean(many, workers=1)
    between = splits(many)
    result = library.split(many, workers=1)
    after = splits(many)

    assert {path: between[path] for path in before} == before
    assert {between[f"cats/{number}.jpg"] for number in range(40, 60)} == {None}
    assert {path: after[path] for path in before} == before
    assert result.assignment is not None
    assert result.assignment.new == 20
    assert None not in after.values()


def test_a_picture_that_is_renamed_or_comes_back_goes_where_it_was(many: Path) -> None:
    library.split(many, workers=1)
    before = splits(many)
    (many / "dogs" / "0.jpg").rename(many / "dogs" / "new name.jpg")
    record_decisions(many, ["dogs/3.jpg"], "drop")
    library.clean(many, workers=1)
    record_decisions(many, ["dogs/3.jpg"], "undo")
    library.clean(many, workers=1)

    assert splits(many)["dogs/new name.jpg"] == before["dogs/0.jpg"]
    assert splits(many)["dogs/3.jpg"] == before["dogs/3.jpg"]


def test_status_and_clean_name_pictures_without_a_split(many: Path, curate: Curate) -> None:
    library.split(many, workers=1)
    write(many / "cats" / "40.jpg", picture(2040))

    cleaned = curate("clean", many, "--workers", "1")
    status = curate("status", many)

    assert "1 kept pictures have no split yet" in cleaned.out
    assert f"curate split {many}" in cleaned.out
    assert "1 kept pictures have no split yet" in status.out
    assert f"Next: curate split {many}" in status.out


def test_the_sources_own_splits_are_kept_and_their_leaks_told(tmp_path: Path, curate: Curate) -> None:
    for number in range(8):
        split = "test" if number > 5 else "train"
        write(tmp_path / "photos" / split / "cats" / f"{number}.jpg", picture(2100 + number))
    buffer = BytesIO()
    Image.open(BytesIO(picture(2100))).save(buffer, "JPEG", quality=60)
    write(tmp_path / "photos" / "test" / "cats" / "leak.jpg", buffer.getvalue())
    write(tmp_path / "photos" / "train" / "cats" / "leak_not.jpg", picture(2120))
    curate("clean", tmp_path / "photos", "--workers", "1")

    done = curate("split", tmp_path / "photos", "--workers", "1")

    assert done.code == 1
    assert "Dealt out now: 0" in done.out
    assert "test: 1 of 3 have in train" in done.out
    assert "train/cats/0.jpg" in done.out
    assert "--from-scratch" in done.out


def test_an_audit_makes_no_version_and_tells_what_copies_are_worth(many: Path, curate: Curate) -> None:
    library.split(many, workers=1)

    done = curate("split", many, "--audit", "--workers", "1")

    assert done.code == 0
    assert "A nearest neighbour is right on" in done.out
    assert len(library.log(many)) == 2


def test_without_splits_there_is_nothing_to_audit(many: Path) -> None:
    with pytest.raises(SourceError, match="has no splits to look through"):
        library.split(many, audit_only=True, workers=1)


def test_a_dry_run_makes_no_version(many: Path, curate: Curate) -> None:
    done = curate("split", many, "--dry-run", "--workers", "1")

    assert "Dry run: no version was made." in done.out
    assert len(library.log(many)) == 1


def test_a_file_of_groups_keeps_patients_together(many: Path, tmp_path: Path) -> None:
    lines = [
        "path,patient",
        *(f"{'cats' if number % 3 else 'dogs'}/{number}.jpg,p{number // 10}" for number in range(30)),
    ]
    (tmp_path / "patients.csv").write_text("\n".join(lines))

    result = library.split(many, groups=tmp_path / "patients.csv", workers=1)
    dealt = splits(many)

    assert [rule.groups for rule in result.groups.rules if rule.name == "by patient"] == [3]
    for patient in range(3):
        members = {
            dealt[f"{'cats' if number % 3 else 'dogs'}/{number}.jpg"]
            for number in range(10 * patient, 10 * patient + 10)
        }
        assert len(members) == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"split.test": 0.3}, "add up to 1.2, expected 1"),
        ({"split.by": ["patient"]}, "patient"),
    ],
)
def test_what_can_not_be_is_refused(many: Path, changes: dict[str, object], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        library.split(many, changes=changes, workers=1)


def test_normalizing_uses_the_training_split_and_keeps_splits(many: Path) -> None:
    library.split(many, workers=1)
    before = splits(many)

    result = library.normalize(many, changes={"normalize.size": "32"}, workers=1)

    assert splits(many) == before
    assert result.version.pixels["split"] == "train"
    assert result.version.pixels["pictures"] == 25
    assert len(library.load(many, split="train")) == 25


def test_going_back_brings_the_older_splits_back(many: Path) -> None:
    library.split(many, workers=1)
    first = splits(many)
    library.split(many, changes={"split.seed": "other"}, from_scratch=True, workers=1)
    assert splits(many) != first

    library.undo(many)
    write(many / "cats" / "40.jpg", PICTURES[0])
    library.clean(many, workers=1)

    assert {path: splits(many)[path] for path in first} == first
