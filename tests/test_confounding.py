"""`shortcuts` tells what predicts the label without being the subject, and is silent about noise."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import curate as library
from conftest import Curate, write
from curate.association import associate
from curate.confounding import Finding, Shortcuts, look_through, shortcuts
from curate.errors import SourceError, VersionNotFound
from curate.project import Project
from curate.studies import read_study
from curate.traits import Trait, bins_of_names, bins_of_numbers

PER_CLASS = 30


def pixels(seed: int, brightness: int = 0) -> Image.Image:
    """A scene of coarse and fine blocks, 64 x 48 px; no two seeds are alike."""
    random = np.random.default_rng([1, seed])
    coarse = random.integers(60, 180, (3, 4, 3)).repeat(16, 0).repeat(16, 1)
    fine = random.integers(-40, 41, (12, 16, 1)).repeat(4, 0).repeat(4, 1)
    return Image.fromarray((coarse + fine + brightness).clip(0, 255).astype(np.uint8))


def encoded(image: Image.Image, file_format: str = "JPEG", **options: Any) -> bytes:
    buffer = BytesIO()
    image.save(buffer, file_format, **({"quality": 90} if file_format == "JPEG" else {}), **options)
    return buffer.getvalue()


def two_classes(
    folder: Path,
    cat: Callable[[int], bytes] = lambda seed: encoded(pixels(seed)),
    dog: Callable[[int], bytes] = lambda seed: encoded(pixels(seed)),
    cat_name: str = "cats/{0}.jpg",
    dog_name: str = "dogs/{0}.jpg",
) -> Path:
    """A folder of 30 cats and 30 dogs, cleaned; by default both are the same kind of noise."""
    for seed in range(PER_CLASS):
        write(folder / cat_name.format(2 * seed), cat(2 * seed))
        write(folder / dog_name.format(2 * seed + 1), dog(2 * seed + 1))
    library.clean(folder, changes={"checks.near_duplicate.action": "ignore"}, workers=1)
    return folder


def finding(result: Shortcuts, trait: str) -> Finding:
    return next(one for one in result.findings if one.trait == trait)


def names(result: Shortcuts) -> set[str]:
    return {one.trait for one in result.found}


def noise(seed: int, pictures: int, classes: int, traits: int) -> tuple[pd.DataFrame, list[Trait]]:
    """Pictures whose traits have nothing to do with their labels."""
    random = np.random.default_rng(seed)
    labels = random.choice(classes, pictures, p=random.dirichlet(np.full(classes, 3.0)))
    rows = pd.DataFrame({"path": [f"{row}.jpg" for row in range(pictures)], "final_label": labels.astype(str)})
    values = [pd.Series(random.normal(size=pictures)) for _ in range(traits)]
    return rows, [Trait(f"trait {i}", "look", "", one, "low", "high") for i, one in enumerate(values)]


# ---- Statistics


def test_noise_raises_an_alarm_no_more_often_than_one_time_in_twenty() -> None:
    """60 data sets of pure noise, 6 traits each: at 5 % 3 alarms are expected; over 7 would be one chance in 100."""
    alarms = 0
    for seed in range(60):
        found = look_through(*noise(seed, pictures=120, classes=3, traits=6), shuffles=999)
        alarms += any(one.verdict in ("shortcut", "weak") for one in found)

    assert alarms <= 7


def test_a_trait_that_is_the_label_is_always_right() -> None:
    """No shuffle of 999 comes near, so each of the two p-values is 1 / 1000, and together they are 2 / 1000."""
    labels = np.arange(100) % 2

    found = associate(labels, labels, "x", shuffles=999)

    assert (found.p, found.accuracy, found.chance, found.lift) == (0.002, 1.0, 0.5, 1.0)
    assert [tie.told_apart for tie in found.ties] == pytest.approx([1.0, 1.0])
    assert found.interval[0] > 0.95


def test_a_trait_of_one_class_among_twenty_is_found() -> None:
    """Guessing by it is right on 10 % instead of 5 %; but that class is told apart without fail."""
    labels = np.arange(600) % 20

    found = associate((labels == 7).astype(np.int64), labels, "x", shuffles=999)

    assert found.p == 0.002
    assert round(found.accuracy, 3) == pytest.approx(0.1, abs=0.02)
    assert [tie.label for tie in found.ties if tie.p <= 0.05 and tie.told_apart > 0.75] == [7]


def test_a_class_of_few_pictures_is_not_named_by_luck() -> None:
    """Two of five classes have 6 pictures; the p-value of a class is that of the best of all classes."""
    random = np.random.default_rng(1)
    labels = np.repeat(np.arange(5), [100, 100, 100, 6, 6])
    smallest = [
        min(tie.p for tie in associate(random.integers(0, 10, 312), labels, "x", shuffles=199).ties) for _ in range(100)
    ]

    assert np.mean(np.array(smallest) <= 0.05) <= 0.11  # of 100 at 5 %; over 11 would be one chance in 200


def test_the_same_pictures_give_the_same_numbers() -> None:
    rows, traits = noise(3, pictures=100, classes=2, traits=2)

    assert look_through(rows, traits, shuffles=99) == look_through(rows, traits, shuffles=99)


def test_equal_numbers_share_a_bin_and_frequent_ones_have_their_own() -> None:
    """Of 12 numbers in 3 bins, 6 are a 5, more than a third; the six others share the two bins that are left."""
    bins = bins_of_numbers(pd.Series([1, 2, 3, 5, 5, 5, 5, 5, 5, 7, 8, 9], dtype="Float64"))

    assert bins.tolist() == [0, 0, 0, 2, 2, 2, 2, 2, 2, 1, 1, 1]


def test_what_is_unknown_is_a_bin_of_its_own() -> None:
    numbers = pd.Series([1, 2, 3, 4, 5, 6, None, None], dtype="Float64")

    assert bins_of_numbers(numbers).tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert len(set(bins_of_names(pd.Series(["a"] * 5 + [None] * 5, dtype="str")).tolist())) == 2


def test_names_of_few_pictures_count_as_one() -> None:
    texts = pd.Series(["a"] * 6 + ["b"] * 5 + ["c", "d", "e"], dtype="str")

    assert bins_of_names(texts).tolist() == [0] * 6 + [1] * 5 + [2] * 3


# ---- Pictures


def test_ordinary_pictures_of_two_classes_have_no_shortcut(tmp_path: Path) -> None:
    result = shortcuts(two_classes(tmp_path / "images"))

    assert names(result) == set()
    assert (result.pictures, result.independent, result.chance) == (60, 60, 0.5)


def test_a_brighter_class_is_a_shortcut_told_in_words_and_pictures(tmp_path: Path) -> None:
    folder = two_classes(tmp_path / "images", cat=lambda seed: encoded(pixels(seed, brightness=60)))

    found = finding(shortcuts(folder), "brightness")

    assert found.verdict == "shortcut"
    assert "of labels are guessed right where 50% is chance" in found.sentence
    assert {(one.label, one.how) for one in found.carriers} == {("cats", "brighter"), ("dogs", "darker")}
    assert all(path.startswith(found.carriers[0].label) for path in found.sides[0].paths)
    assert len(found.sides[0].paths) == len(found.sides[1].paths) == 4


def test_a_class_in_another_format_is_a_shortcut(tmp_path: Path) -> None:
    folder = two_classes(tmp_path / "images", cat=lambda seed: encoded(pixels(seed), "PNG"))

    found = finding(shortcuts(folder), "format")

    assert (found.verdict, found.accuracy) == ("shortcut", 1.0)
    assert found.carriers[0].how in ("PNG", "JPEG")


def test_a_class_saved_at_another_quality_is_a_shortcut(tmp_path: Path) -> None:
    def low(seed: int) -> bytes:
        buffer = BytesIO()
        pixels(seed).save(buffer, "JPEG", quality=40)
        return buffer.getvalue()

    assert "compression" in names(shortcuts(two_classes(tmp_path / "images", cat=low)))


def test_a_class_of_another_camera_is_a_shortcut(tmp_path: Path) -> None:
    def taken_with(model: str) -> Callable[[int], bytes]:
        exif = Image.Exif()
        exif[0x010F], exif[0x0110] = "Acme", model
        return lambda seed: encoded(pixels(seed), exif=exif)

    folder = two_classes(tmp_path / "images", taken_with("One"), taken_with("Two"))

    found = finding(shortcuts(folder), "camera")

    assert found.verdict == "shortcut"
    assert {one.how for one in found.carriers} <= {"Acme One", "Acme Two"}


def test_a_class_in_frames_is_a_shortcut(tmp_path: Path) -> None:
    def framed(seed: int) -> bytes:
        image = Image.new("RGB", (64, 48), (90, 90, 90))
        image.paste(pixels(seed).resize((52, 36)), (6, 6))
        return encoded(image)

    assert "border evenness" in names(shortcuts(two_classes(tmp_path / "images", cat=framed)))


def test_a_folder_of_one_class_among_folders_of_both_is_a_shortcut(tmp_path: Path) -> None:
    """The farm has cats only; the town has cats and dogs."""
    images = tmp_path / "images"
    for seed in range(60):
        place = "cats/farm" if seed < 20 else "cats/town" if seed < 30 else "dogs/town"
        write(images / f"{place}/{seed}.jpg", encoded(pixels(seed)))
    library.clean(images, workers=1)

    found = finding(shortcuts(images), "folder")

    assert found.verdict == "shortcut"
    assert {(one.label, one.how) for one in found.carriers} == {("cats", "farm"), ("dogs", "town")}


def test_folders_that_are_kinds_of_a_class_are_not_tested(tmp_path: Path) -> None:
    images = tmp_path / "images"
    for seed in range(40):
        kind = ("cats/persian", "cats/siamese", "dogs/poodle", "dogs/husky")[seed % 4]
        write(images / f"{kind}/{seed}.jpg", encoded(pixels(seed)))
    library.clean(images, workers=1)

    found = finding(shortcuts(images), "folder")

    assert found.verdict == "not tested"
    assert found.why.startswith("none occurs in two classes")


def test_file_names_that_name_the_class_are_not_tested(tmp_path: Path) -> None:
    folder = two_classes(tmp_path / "images", cat_name="cats/cat.{0}.jpg", dog_name="dogs/dog.{0}.jpg")

    result = shortcuts(folder)

    assert finding(result, "file name").why == "it is the name of the class"
    assert names(result) == set()


def test_numbers_that_count_each_class_are_not_tested(tmp_path: Path) -> None:
    """Otherwise a high number would tell of a large class."""
    images = tmp_path / "images"
    for name, pictures in (("cats", 40), ("dogs", 10)):
        for number in range(1, pictures + 1):
            write(images / f"{name}/image_{number:04}.jpg", encoded(pixels(1000 * pictures + number)))
    library.clean(images, workers=1)

    assert finding(shortcuts(images), "file number").why == "each class is numbered from one on"


def test_a_picture_that_occurs_forty_times_counts_once(tmp_path: Path) -> None:
    """The copies are bright and all are cats; a test that counted each would be sure of a shortcut."""
    images = tmp_path / "images"
    for seed in range(20):
        write(images / f"{('cats', 'dogs')[seed % 2]}/{seed}.jpg", encoded(pixels(seed)))
    for number in range(40):
        write(images / f"cats/copy {number}.jpg", encoded(pixels(99, brightness=60)))
    library.clean(images, changes={"checks.exact_duplicate.action": "note"}, workers=1)

    result = shortcuts(images)

    assert (result.pictures, result.independent) == (60, 21)
    assert names(result) == set()


def test_what_no_file_tells_is_not_tested(tmp_path: Path) -> None:
    result = shortcuts(two_classes(tmp_path / "images"))

    for trait in ("camera", "date", "time of day"):
        assert finding(result, trait).why == "it is not known of any picture"


# ---- What is asked of whom


def test_pictures_without_a_label_and_rare_classes_are_left_out_and_counted(tmp_path: Path) -> None:
    images = tmp_path / "images"
    for seed in range(3):
        write(images / f"_unlabeled/{seed}.jpg", encoded(pixels(500 + seed)))
    for seed in range(2):
        write(images / f"owls/{seed}.jpg", encoded(pixels(600 + seed)))

    result = shortcuts(two_classes(images))

    assert (result.unlabelled, result.rare, result.classes) == (3, {"owls": 2}, ["cats", "dogs"])
    assert result.pictures == 60


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        (["a.jpg", "b.jpg"], "No kept picture of v1 of .* has a label"),
        (["cats/a.jpg", "cats/b.jpg"], "are of one class"),
        (["cats/a.jpg", "dogs/b.jpg"], "2 of the 2 classes of v1 of .* have fewer than 5 pictures"),
    ],
)
def test_what_is_missing_for_a_comparison_is_told(tmp_path: Path, paths: list[str], message: str) -> None:
    for seed, path in enumerate(paths):
        write(tmp_path / "images" / path, encoded(pixels(seed)))
    library.clean(tmp_path / "images", workers=1)

    with pytest.raises(SourceError, match=message):
        shortcuts(tmp_path / "images")


def test_an_older_version_can_be_asked_and_the_study_says_which(tmp_path: Path) -> None:
    folder = two_classes(tmp_path / "images")
    for seed in range(10):
        write(folder / f"dogs/new {seed}.jpg", encoded(pixels(700 + seed)))
    library.clean(folder, workers=1)

    result = shortcuts(folder, version="v1")
    study = read_study(Project.at(folder), "shortcuts")

    assert (result.version.name, result.pictures) == ("v1", 60)
    assert study is not None
    assert (study.version_name, study.result["pictures"]) == ("v1", 60)
    with pytest.raises(VersionNotFound):
        shortcuts(folder, version="v9")


def test_no_picture_is_opened(tmp_path: Path) -> None:
    """All facts are known since `clean`; a folder whose files are gone gives the same answer."""
    folder = two_classes(tmp_path / "images", cat=lambda seed: encoded(pixels(seed), "PNG"))
    before = shortcuts(folder)

    for file in folder.rglob("*.jpg"):
        file.unlink()

    assert shortcuts(folder).findings == before.findings


# ---- The command


def test_the_command_ends_with_1_when_there_is_a_shortcut(tmp_path: Path, curate: Curate) -> None:
    folder = two_classes(tmp_path / "images", cat=lambda seed: encoded(pixels(seed), "PNG"))

    done = curate("shortcuts", folder)

    assert (done.code, done.err) == (1, "")
    assert "! format (format of the file)" in done.out
    assert "Knowing only the format, 100% of labels are guessed right where 50% is" in done.out
    assert max(map(len, done.out.splitlines()[1:-1])) <= 80


def test_the_command_ends_with_0_when_there_is_none(tmp_path: Path, curate: Curate) -> None:
    done = curate("shortcuts", two_classes(tmp_path / "images"))

    assert done.code == 0
    assert "No trait tells enough of the label to matter." in done.out


def test_json_is_what_the_study_keeps(tmp_path: Path, curate: Curate) -> None:
    folder = two_classes(tmp_path / "images")

    done = curate("shortcuts", folder, "--json")
    study = read_study(Project.at(folder), "shortcuts")

    assert study is not None
    assert done.json == study.result
    assert done.json["traits"][0].keys() >= {"trait", "verdict", "accuracy", "interval", "adjusted_p", "sides"}
