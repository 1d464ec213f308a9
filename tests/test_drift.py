"""`drift` is silent where nothing changed, and says what changed, where and how much where something did."""

from __future__ import annotations

import json
import shutil
from io import BytesIO
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

import curate as library
from conftest import Curate, Done, write
from curate.drift_questions import Question, Test
from curate.drifting import Drift, drift
from curate.errors import SettingsError, SourceError, VersionNotFound
from curate.inspection import record_decisions
from curate.project import Project
from curate.studies import read_study

CATS, DOGS = (200, 120, 60), (60, 120, 200)  # so that a model can tell them apart


def scene(seed: int, colour: tuple[int, int, int], light: float = 1.0) -> Image.Image:
    """Blocks of a colour with its own grain, 64 x 48 px; no two seeds are alike."""
    random = np.random.default_rng([3, seed])
    coarse = random.integers(-50, 51, (3, 4, 3)).repeat(16, 0).repeat(16, 1) + np.array(colour)
    fine = random.integers(-40, 41, (12, 16, 1)).repeat(4, 0).repeat(4, 1)
    return Image.fromarray(((coarse + fine) * light).clip(0, 255).astype(np.uint8))


def jpeg(image: Image.Image, taken_at: str = "") -> bytes:
    buffer, exif = BytesIO(), Image.Exif()
    if taken_at:
        exif.get_ifd(0x8769)[0x9003] = taken_at
    image.save(buffer, "JPEG", quality=90, exif=exif)
    return buffer.getvalue()


def fill(folder: Path, numbers: range, light: float = 1.0, *, by_class: bool = True) -> Path:
    """Cats have even numbers, dogs odd ones."""
    for number in numbers:
        label, colour = ("dogs", DOGS) if number % 2 else ("cats", CATS)
        write(folder / (label if by_class else "") / f"{number:03d}.jpg", jpeg(scene(number, colour, light)))
    return folder


def clean(folder: Path) -> None:
    toml = folder.with_name(f"{folder.name}.curate") / "curate.toml"
    toml.parent.mkdir(exist_ok=True)
    toml.write_text('[models]\nbackbone = "classic"\n')
    library.clean(folder, changes={"checks.near_duplicate.action": "ignore"}, workers=1)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """v1: 60 pictures; v2: 60 more of the same kind; v3: 40 more, much darker. Not to be changed."""
    folder = tmp_path_factory.mktemp("drift") / "photos"
    for numbers, light in ((range(60), 1.0), (range(60, 120), 1.0), (range(120, 160), 0.6)):
        clean(fill(folder, numbers, light))
    fill(folder.parent / "same", range(200, 260), by_class=False)
    fill(folder.parent / "dark", range(260, 310), 0.5, by_class=False)
    return folder


@pytest.fixture
def photos(made: Path, tmp_path: Path) -> Path:
    """A copy of it, with the folders of production pictures `same` and `dark` beside it."""
    shutil.copytree(made.parent, tmp_path / "there")
    return tmp_path / "there" / "photos"


def question(found: Drift, key: str) -> Question:
    return next(one for one in found.questions if one.key == key)


def asked(found: Drift, key: str, name: str) -> Test:
    """The test of that name, over all classes."""
    return next(one for one in question(found, key).tests if (one.name, one.label) == (name, ""))


# ---- Versions and splits


def test_more_of_the_same_is_no_drift(photos: Path) -> None:
    found = drift(photos, "v1", "v2", workers=1)

    assert found.compared == "what came"
    assert found.independent == (60, 60)
    assert [one.key for one in found.found] == []
    assert found.sentence == "No drift from v1 to v2 since v1 at the level 0.05."


def test_darker_pictures_are_told_in_words_with_pictures_of_both_sides(photos: Path) -> None:
    """Only the 40 that came are compared: among 160 they would be a quarter of the effect."""
    found = drift(photos, "v2", "v3", workers=1)

    brightness = asked(found, "facts", "brightness")
    assert brightness.verdict == "drift"
    assert brightness.words.startswith("Darker: median brightness 12")
    assert brightness.effect < -0.9
    assert len(brightness.pictures_a) == len(brightness.pictures_b) == 6
    assert all(120 <= int(path[5:8]) < 160 for path in brightness.pictures_b)
    assert all(int(path[5:8]) < 120 for path in brightness.pictures_a)
    assert {one.key for one in found.found} >= {"facts", "classes", "embedding"}
    assert question(found, "labels").verdict == "none"
    assert found.notes == ("v3 has 120 pictures of v2; compared is what came since, 40 pictures. All of it: --whole.",)


def test_without_names_the_newest_version_meets_the_last_one_with_other_pictures(photos: Path) -> None:
    library.split(photos)  # v4, with the pictures of v3

    found = drift(photos, workers=1)

    assert (found.a.name, found.b.name) == ("v2", "v4 since v2")


def test_splits_are_sides(photos: Path) -> None:
    library.split(photos)

    found = drift(photos, "train", "v4:test", workers=1)

    assert (found.a.name, found.b.name) == ("v4:train", "v4:test")
    assert found.compared == "both"
    assert len(found.a.rows) > len(found.b.rows) > 10
    assert not found.found


def test_what_was_dropped_is_compared_with_what_is_left(photos: Path) -> None:
    for number in range(120, 160):
        (photos / ("dogs" if number % 2 else "cats") / f"{number}.jpg").unlink()
    library.clean(photos, changes={"checks.near_duplicate.action": "ignore"}, workers=1)

    found = drift(photos, "v3", "v4", workers=1)

    assert found.compared == "what went"
    assert (found.a.name, len(found.a.rows)) == ("v4", 120)
    assert len(found.b.rows) == 40
    assert asked(found, "facts", "brightness").verdict == "drift"
    assert question(found, "embedding").why == "v3 without v4 has 0 pictures, fewer than 10"
    assert found.notes[-1].startswith(
        "The model could not look at 40 pictures of v3 without v4, such as 'cats/120.jpg'"
    )


def test_of_the_same_pictures_only_labels_are_asked(photos: Path) -> None:
    rows = [f"cats/{number:03d}.jpg" for number in range(0, 80, 2)]
    record_decisions(photos, rows, "relabel", label="dogs")
    library.apply(photos, workers=1)

    found = drift(photos, "v3", "v4", workers=1)

    assert (found.compared, found.relabelled) == ("labels", 40)
    assert question(found, "facts").why == "the pictures are the same"
    assert question(found, "labels").verdict == "drift"
    assert asked(found, "labels", "class mix").words.startswith("Class mix: cats 50% to 25%, dogs 50% to 75%;")


# ---- Folders


def test_production_like_the_training_set_is_no_drift(photos: Path) -> None:
    found = drift(photos, "v2", str(photos.parent / "same"), workers=1)

    assert (found.b.kind, found.independent) == ("folder", (120, 60))
    assert not found.found
    assert asked(found, "labels", "predicted classes").verdict == "none"
    assert question(found, "concept").why == "the labels of 0 pictures are known, fewer than 10"


def test_a_darker_production_folder_drifts_and_is_left_as_it_is(photos: Path) -> None:
    dark = photos.parent / "dark"
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in dark.rglob("*")}

    found = drift(photos, "v2", str(dark), workers=1)

    assert asked(found, "facts", "brightness").verdict == "drift"
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in dark.rglob("*")} == before
    assert sorted(path.name for path in photos.parent.iterdir()) == ["dark", "photos", "photos.curate", "same"]


def test_a_picture_that_occurs_a_hundred_times_is_one_observation(photos: Path) -> None:
    same = photos.parent / "same"
    for number in range(100):
        shutil.copy(photos.parent / "dark" / "260.jpg", same / f"copy{number}.jpg")

    found = drift(photos, "v2", str(same), workers=1)

    assert (len(found.b.rows), found.independent[1]) == (160, 61)
    assert not found.found


def test_a_kind_that_a_does_not_have_is_new(photos: Path) -> None:
    """Ten of seventy production pictures are of neither class: stripes, bright and green."""
    for number in range(10):
        stripes = np.random.default_rng(number).integers(0, 2, (1, 64, 1)).repeat(48, 0) * np.array([40, 200, 40])
        write(photos.parent / "same" / f"stripes{number}.jpg", jpeg(Image.fromarray(stripes.astype(np.uint8))))

    found = drift(photos, "v2", str(photos.parent / "same"), workers=1)

    new = asked(found, "new", "like nothing known")
    assert new.verdict == "drift"
    assert new.after is not None
    assert new.after > 0.1
    assert all(path.startswith("stripes") for path in new.pictures_b)


def test_a_version_s_name_wins_over_a_folder_and_a_path_is_the_folder(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(photos.parent)
    (photos.parent / "same").rename(photos.parent / "v1")

    assert drift(photos, "v2", "v1", workers=1).b.kind == "version"
    assert drift(photos, "v2", "./v1", workers=1).b.kind == "folder"


def test_a_file_that_can_t_be_read_is_counted(photos: Path) -> None:
    write(photos.parent / "same" / "broken.jpg", b"\xff\xd8\xff\xe0 no more")

    found = drift(photos, "v2", str(photos.parent / "same"), workers=1)

    assert any(note.startswith("1 files of ") and "can't be read" in note for note in found.notes)


# ---- Concept


def _labels(file: Path, folder: Path, wrong: int = 0) -> Path:
    """Labels of a production folder: right ones, but for the first so many, which are the other class."""
    lines = []
    for place, path in enumerate(sorted(folder.glob("*.jpg"))):
        is_dog = (int(path.stem) % 2 == 1) != (place < wrong)
        lines.append(f"{path.name},{'dogs' if is_dog else 'cats'}\n")
    file.write_text("path,label\n" + "".join(lines))
    return file


def test_right_labels_that_come_later_are_no_drift(photos: Path) -> None:
    same = photos.parent / "same"

    found = drift(photos, "v2", str(same), labels=_labels(photos.parent / "later.csv", same), workers=1)

    assert not found.found
    assert found.fixed_model is not None
    assert found.fixed_model.after.pictures == 60
    assert found.fixed_model.after.balanced > 0.95


def test_labels_that_mean_something_else_are_concept_drift(photos: Path) -> None:
    same = photos.parent / "same"

    found = drift(photos, "v2", str(same), labels=_labels(photos.parent / "later.csv", same, wrong=20), workers=1)

    assert [one.key for one in found.found] == ["concept"]
    accuracy = asked(found, "concept", "accuracy")
    assert accuracy.after == pytest.approx(2 / 3, abs=0.05)
    assert all(int(path[:3]) < 220 for path in accuracy.pictures_b)


def test_predictions_of_one_s_own_show_when_it_changed(photos: Path) -> None:
    """A model that is right until 30 April 12:00 and then says cats to everything."""
    same = photos.parent / "same"
    lines = []
    for place, path in enumerate(sorted(same.glob("*.jpg"))):
        said = "dogs" if int(path.stem) % 2 and place < 30 else "cats"
        day = f"04-{place + 1:02d}" if place < 30 else f"05-{place - 29:02d}"
        lines.append(f"{path.name},{said},2026-{day}T12:00\n")
    (photos.parent / "said.csv").write_text("path,label,time\n" + "".join(lines))

    found = drift(
        photos,
        "v2",
        str(same),
        labels=_labels(photos.parent / "later.csv", same),
        predictions=photos.parent / "said.csv",
        workers=1,
    )

    change = asked(found, "concept", "change in time")
    assert change.verdict == "drift"
    assert change.before == 1.0
    assert change.after == pytest.approx(0.5, abs=0.05)
    assert found.fixed_model is not None
    assert found.fixed_model.changed_at[:7] == "2026-05"
    assert [one.pictures for one in found.fixed_model.periods] == [20, 20, 20]
    assert found.fixed_model.after.ece is None


# ---- Errors


def test_what_is_nothing_is_named(photos: Path) -> None:
    with pytest.raises(VersionNotFound, match="'nothing' is no version, tag, split or folder"):
        drift(photos, "v1", "nothing")
    with pytest.raises(SourceError, match=r"There is no folder '\./nothing'"):
        drift(photos, "v1", "./nothing")
    with pytest.raises(SettingsError, match="v1 is compared with itself"):
        drift(photos, "v1", "v1")
    with pytest.raises(SourceError, match="is the folder of the project itself"):
        drift(photos, "v1", str(photos))
    with pytest.raises(SourceError, match="No picture of v1:test is kept"):
        drift(photos, "v2", "v1:test")
    with pytest.raises(SettingsError, match="alpha = 0 does not fit"):
        drift(photos, "v1", "v2", alpha=0)


def test_too_few_pictures_are_not_asked(tmp_path: Path) -> None:
    clean(fill(tmp_path / "few", range(6)))
    clean(fill(tmp_path / "few", range(6, 12)))

    found = drift(tmp_path / "few", workers=1)

    assert {one.verdict for one in found.questions} == {"not asked"}
    assert question(found, "facts").why == "v1 has 6 pictures, fewer than 10"


# ---- The command


def test_the_exit_code_junit_and_the_study_tell_of_drift(
    photos: Path, curate: Curate, monkeypatch: pytest.MonkeyPatch
) -> None:
    xml = photos.parent / "drift.xml"

    monkeypatch.chdir(photos.parent)

    done = curate("drift", "photos", "v2", "v3", "--junit", xml, "--workers", "1")

    suite = ElementTree.parse(xml).getroot()[0]
    assert done.code == 1
    assert "Darker: median brightness" in done.out
    assert max(map(len, done.out.splitlines())) <= 80
    assert suite.attrib["tests"] == "6"
    assert suite[0].attrib["name"] == "facts: Do they look otherwise, or come from elsewhere?"
    assert suite[0].find("failure") is not None
    study = read_study(Project.at(photos), "drift")
    assert study is not None
    assert study.result["drift"] is True


def test_fail_on_leaves_the_rest_without_consequence(photos: Path, curate: Curate) -> None:
    xml = photos.parent / "drift.xml"

    done = curate("drift", photos, "v2", "v3", "--fail-on", "labels", "--junit", xml, "--workers", "1")

    assert done.code == 0
    assert ElementTree.parse(xml).getroot()[0].attrib["failures"] == "0"


def test_no_drift_is_exit_code_0(photos: Path, curate: Curate) -> None:
    done = curate("drift", photos, "v1", "v2", "--workers", "1")

    assert done.code == 0
    assert "No drift from v1 to v2 since v1 at the level 0.05." in done.out


def test_json_is_plain_and_the_same_each_time(photos: Path, curate: Curate) -> None:
    runs: list[Done] = [curate("drift", photos, "v2", "v3", "--json", "--workers", "1") for _ in range(2)]

    assert runs[0].out == runs[1].out
    said = json.loads(runs[0].out)
    assert [one["key"] for one in said["questions"]] == ["facts", "classes", "embedding", "labels", "new", "concept"]
    assert said["a"]["pictures"] == 120
    assert said["b"]["independent"] == 40


def test_the_page_shows_both_sides_and_needs_nothing_else(photos: Path, curate: Curate) -> None:
    curate("drift", photos, "v2", photos.parent / "dark", "--workers", "1")

    page = (photos.parent / "photos.curate" / "drift.html").read_text(encoding="utf-8")

    assert page.count("data:image/webp;base64,") >= 24
    assert 'alt="A: ' in page
    assert 'alt="B: ' in page
    assert "Darker: median brightness" in page
    assert "<script" not in page
    assert "http" not in page.replace("http-equiv", "")
    assert "The file is gone" not in page


def test_names_from_files_can_t_become_markup(photos: Path, curate: Curate) -> None:
    dark = photos.parent / "dark"
    dark.rename(photos.parent / "<b>dark")
    for path in sorted((photos.parent / "<b>dark").glob("*.jpg")):
        path.rename(path.with_name(f"<i>{path.name}"))

    curate("drift", photos, "v2", photos.parent / "<b>dark", "--workers", "1")

    page = (photos.parent / "photos.curate" / "drift.html").read_text(encoding="utf-8")
    assert "<i>" not in page
    assert "<b>" not in page
    assert "&lt;i&gt;" in page


def test_history_tells_each_version_from_the_first_and_the_one_before(
    photos: Path, curate: Curate, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = curate("drift", photos, "--history", "--json", "--workers", "1")
    monkeypatch.chdir(photos.parent)
    text = curate("drift", "photos", "--history", "--workers", "1")

    steps = said.json["versions"]
    assert said.code == text.code == 1
    assert [(one["version"], one["pictures"], one["came"]) for one in steps] == [
        ("v1", 60, 0),
        ("v2", 120, 60),
        ("v3", 160, 40),
    ]
    assert steps[1]["drift"] == []
    assert "facts" in steps[2]["drift"]
    assert steps[2]["auc"] > 0.6
    assert steps[2]["medians"]["brightness"] < steps[0]["medians"]["brightness"]
    assert max(map(len, text.out.splitlines())) <= 80
    page = (photos.parent / "photos.curate" / "drift.html").read_text(encoding="utf-8")
    assert "<polyline" in page
