"""`curate init`: settings that suit a folder, from a glance at it."""

from __future__ import annotations

import re
import tomllib
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

import pictures
from conftest import PICTURES, Curate, write
from curate.errors import SettingsError, SourceError
from curate.settings import load_settings
from curate.starting import Seen, Start, init


def plain(width: int, height: int, name: str = "PNG") -> bytes:
    """A grey picture of this size."""
    buffer = BytesIO()
    Image.new("L", (width, height), 128).save(buffer, name)
    return buffer.getvalue()


def in_force(start: Start) -> dict[str, dict[str, object]]:
    """The settings that the file sets, by section."""
    return {name: section for name, section in tomllib.loads(start.text).items() if section}


def all_taken(text: str) -> str:
    """The file with each # before a setting taken away."""
    return re.sub(r"^# (\w+ = )", r"\1", text, flags=re.MULTILINE)


def suggested(start: Start) -> dict[str, dict[str, object]]:
    """What the file sets or offers."""
    return tomllib.loads(all_taken(start.text))


@pytest.fixture
def uneven(tmp_path: Path) -> Path:
    """Twelve pictures of three classes, 9, 2 and 1, of 40 to 62 px, and one without a label."""
    for number in range(12):
        name = "many" if number < 9 else "some" if number < 11 else "rare"
        write(tmp_path / "uneven" / name / f"{number}.png", plain(80, 40 + 2 * number))
    write(tmp_path / "uneven" / "loose.png", plain(80, 70))
    return tmp_path / "uneven"


# ---- The file


def test_the_file_is_valid_and_so_it_is_with_every_setting_taken(uneven: Path, tmp_path: Path) -> None:
    start = init(uneven)

    assert start.written == tmp_path / "uneven.curate" / "curate.toml"
    load_settings(start.written)
    load_settings(write(tmp_path / "all.toml", all_taken(start.text).encode()))
    assert list(suggested(start)) == ["scan", "prelabel", "split", "rebalance", "normalize", "checks", "run"]


def test_what_is_the_default_stands_behind_a_hash(photos: Path) -> None:
    assert list(in_force(init(photos))) == ["split", "checks"]  # checks: only the name of a section


def test_every_section_says_why(uneven: Path) -> None:
    text = init(uneven).text

    for section in re.findall(r"^\[.*\]$", text, re.MULTILINE):
        assert re.search(rf"^# .*\n{re.escape(section)}$", text, re.MULTILINE), section


def test_the_file_fits_80_columns(uneven: Path) -> None:
    lines = [line for line in init(uneven).text.splitlines() if not line.startswith("# stages")]

    assert max(map(len, lines)) <= 80


def test_the_same_folder_gives_the_same_file(uneven: Path) -> None:
    assert init(uneven, dry_run=True).text == init(uneven).text


def test_it_works_at_once_with_a_run(photos: Path, curate: Curate) -> None:
    assert curate("init", photos).code == 0

    assert curate("run", photos, "--workers", "1", "--to", "split").code == 0


# ---- What it sees


def test_it_sees_classes_formats_sizes_and_what_has_no_label(uneven: Path) -> None:
    assert init(uneven).seen == Seen(
        labels="folders",
        labels_because="The first folder below the root is the class.",
        images=13,
        others=0,
        classes={"many": 9, "some": 2, "rare": 1},
        unlabelled=1,
        splits={},
        formats={"PNG": 13},
        sides=(40, 42, 44, 46, 48, 50, 52, 54, 56, 58, 60, 62, 70),
        equal_sizes=False,
        unreadable=0,
    )


def test_classes_of_very_different_size_bring_a_word_on_balance(uneven: Path) -> None:
    assert "# many has 9 images, rare 1." in init(uneven).text


def test_classes_of_one_size_bring_none(photos: Path) -> None:
    assert "[rebalance]" not in init(photos).text


def test_the_suggested_size_enlarges_few_pictures(tmp_path: Path) -> None:
    """Of twenty pictures two are below 128 px: one in ten may be."""
    for number in range(20):
        write(tmp_path / "sized" / f"{number}.png", plain(300, (90, 100)[number] if number < 2 else 150))

    assert suggested(init(tmp_path / "sized"))["normalize"]["size"] == "128"


def test_pictures_of_one_size_are_told(tmp_path: Path) -> None:
    for number in range(3):
        write(tmp_path / "same" / f"{number}.png", plain(32, 32))

    assert "All images have the same size already." in init(tmp_path / "same").text


def test_few_pictures_get_a_larger_share_for_the_test(photos: Path) -> None:
    assert in_force(init(photos))["split"] == {"train": 0.6, "val": 0.2, "test": 0.2}


def test_many_pictures_keep_the_default_shares(tmp_path: Path) -> None:
    data = plain(8, 8)
    for number in range(1000):
        write(tmp_path / "large" / "ab"[number % 2] / f"{number}.png", data)

    assert "split" not in in_force(init(tmp_path / "large"))


def test_splits_of_the_source_are_seen(tmp_path: Path) -> None:
    for number in range(8):
        write(tmp_path / "given" / ("train" if number < 6 else "test") / "ab"[number % 2] / f"{number}.jpg",
              PICTURES[number])  # fmt: skip

    start = init(tmp_path / "given")

    assert (start.seen.classes, start.seen.splits) == ({"a": 4, "b": 4}, {"train": 6, "test": 2})
    assert "# The source has splits, which are kept." in start.text


def test_damaged_and_odd_files_are_counted(tmp_path: Path) -> None:
    (tmp_path / "odd").mkdir()
    pictures.write_all(tmp_path / "odd")

    seen = init(tmp_path / "odd").seen

    assert seen.others == 1  # a text, by its name
    assert seen.looked_at == seen.images == len(pictures.READABLE) + len(pictures.UNREADABLE) - 1
    assert seen.unreadable > 0


# ---- Where labels come from


def test_a_file_of_labels_beside_the_folder_is_found(tmp_path: Path) -> None:
    for number in range(4):
        write(tmp_path / "bare" / f"{number}.jpg", PICTURES[number])
    labels = write(tmp_path / "labels.csv", b"path,label\n0.jpg,a\n1.jpg,b\n2.jpg,a\n3.jpg,b\n")

    start = init(tmp_path / "bare")

    assert in_force(start)["scan"] == {"labels": str(labels)}
    assert start.seen.classes == {"a": 2, "b": 2}


def test_a_file_about_other_pictures_is_no_file_of_labels(tmp_path: Path) -> None:
    for number in range(4):
        write(tmp_path / "bare" / f"{number}.jpg", PICTURES[number])
    write(tmp_path / "bare" / "labels.csv", b"path,label\n0.jpg,a\nelsewhere.jpg,b\n")
    write(tmp_path / "bare" / "broken.csv", b"\xff\xfe\x00")

    assert "scan" not in in_force(init(tmp_path / "bare"))


def test_a_single_folder_is_no_class(tmp_path: Path) -> None:
    for number in range(4):
        write(tmp_path / "one" / "images" / f"{number}.jpg", PICTURES[number])

    start = init(tmp_path / "one")

    assert in_force(start)["scan"] == {"labels": "none"}
    assert "are in 'images', which is no class then." in " ".join(start.text.replace("\n#", "").split())


def test_a_folder_for_each_picture_is_no_class(tmp_path: Path) -> None:
    for number in range(4):
        write(tmp_path / "each" / f"shot{number}" / "x.jpg", PICTURES[number])

    assert in_force(init(tmp_path / "each"))["scan"] == {"labels": "none"}


def test_imported_labels_are_used(photos: Path, tmp_path: Path, curate: Curate) -> None:
    curate("import", photos, tmp_path / "new")
    (tmp_path / "new.curate" / "curate.toml").unlink()

    assert in_force(init(tmp_path / "new"))["scan"] == {"labels": "imported"}


# ---- What it refuses


def test_an_existing_file_is_never_overwritten(photos: Path, curate: Curate) -> None:
    file = write(photos.parent / "photos.curate" / "curate.toml", b"[split]\ntest = 0.1\n")

    done = curate("init", photos)

    assert done.code == 2
    assert file.read_text() == "[split]\ntest = 0.1\n"
    assert "exists already, and is left as it is. It has: split.train = 0.8, suggested 0.6;" in done.err
    assert f"Hint: See all that would be written: curate init {photos} --print" in done.err


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "texts" / "notes.txt", b"")

    with pytest.raises(SourceError, match=r"There is no picture in '.*texts', only 1 other files"):
        init(tmp_path / "texts")
    assert not (tmp_path / "texts.curate").exists()


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="There is no folder"):
        init(tmp_path / "nowhere")


def test_a_damaged_settings_file_is_named(photos: Path) -> None:
    write(photos.parent / "photos.curate" / "curate.toml", b"[split\n")

    with pytest.raises(SettingsError, match="is not valid TOML"):
        init(photos)


# ---- The command


def test_print_shows_the_file_and_writes_nothing(photos: Path, curate: Curate) -> None:
    done = curate("init", photos, "--print")

    assert done.out == init(photos, dry_run=True).text
    assert not (photos.parent / "photos.curate").exists()


def test_it_says_what_it_saw_and_what_to_type_next(
    photos: Path, curate: Curate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(photos.parent)

    assert curate("init", "photos").out == (
        "photos: 6 images (JPEG 100 %), 2 classes (cats 3, dogs 3), shorter side 72 px\n"
        "\nWritten: photos.curate/curate.toml\n"
        "Next: curate run photos\n"
    )


def test_names_that_terminals_would_obey_are_shown_as_text(tmp_path: Path) -> None:
    for number in range(4):
        write(tmp_path / "bad" / "ab\x1b[31m"[: 1 + 5 * (number % 2)] / f"{number}.jpg", PICTURES[number])

    assert "\x1b" not in init(tmp_path / "bad", dry_run=True).text
