"""The sample dataset is what its key says, and the score counts as a person would."""

from __future__ import annotations

import csv
import sys
from collections import Counter
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageOps

SAMPLE = Path(__file__).parents[1] / "sample_datasets"
FOLDER = SAMPLE / "road_signs"
KEY = SAMPLE / "road_signs.key.csv"
UNREADABLE = {"truncated", "empty", "not_an_image"}
SEED = 7  # the default of make_road_signs.py


Rows = list[dict[str, str]]


@pytest.fixture(scope="module")
def key() -> Rows:
    with KEY.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Any:
    """make_road_signs.py, imported the way it runs: from its own folder."""
    monkeypatch.syspath_prepend(SAMPLE)
    return import_module("make_road_signs")


@pytest.fixture
def score(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(SAMPLE)
    return import_module("score")


def test_the_key_names_every_file_and_no_other(key: Rows) -> None:
    """So that false alarms can be counted, not only misses."""
    files = {path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*") if path.is_file()}

    assert files == {row["path"] for row in key}
    assert len(files) == len(key) == 472


def test_every_kind_of_fault_is_planted(key: Rows) -> None:
    """The counts that README.md promises."""
    assert Counter(row["fault"] for row in key) == {
        "": 392,
        "underexposed": 8,
        "overexposed": 8,
        "blurry": 8,
        "truncated": 4,
        "empty": 2,
        "not_an_image": 2,
        "wrong_extension": 2,
        "exact_copy": 6,
        "label_conflict": 2,
        "near_copy": 14,
        "wrong_label": 16,
        "off_topic": 8,
    }


def test_the_classes_are_imbalanced(key: Rows) -> None:
    """132 speed limits stand against 15 one-way signs, and 30 pictures have no label."""
    folders = Counter(_folder(row) for row in key)

    assert len(folders) == 8 + 1
    assert folders["speed_limit"] == 132
    assert folders["one_way"] == 15
    assert folders["_unlabeled"] == 30


def test_it_is_small_enough_for_a_repository() -> None:
    assert sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file()) < 8_000_000


def test_exactly_the_spoiled_files_cannot_be_opened(key: Rows) -> None:
    spoiled = {row["path"] for row in key if row["fault"] in UNREADABLE}

    assert {row["path"] for row in key if not _opens(FOLDER / row["path"])} == spoiled


def test_copies_say_what_they_are(key: Rows) -> None:
    """Exact copies and label conflicts have the bytes of their original, near copies have not."""
    for copy in (row for row in key if row["original"]):
        same = (FOLDER / copy["path"]).read_bytes() == (FOLDER / copy["original"]).read_bytes()

        assert same == (copy["fault"] != "near_copy"), copy["path"]


def test_a_label_conflict_lies_in_another_class_folder(key: Rows) -> None:
    for copy in (row for row in key if row["fault"] == "label_conflict"):
        assert copy["path"].split("/")[0] != copy["original"].split("/")[0]


def test_wrong_labels_differ_from_the_true_one(key: Rows) -> None:
    """And no other labelled picture that shows a sign does, apart from the copies put elsewhere on purpose."""
    labelled = [row for row in key if row["true_label"] and _folder(row) != "_unlabeled"]
    elsewhere = Counter(row["fault"] for row in labelled if _folder(row) != row["true_label"])

    assert elsewhere == {"wrong_label": 16, "label_conflict": 2}


def test_the_copy_turned_by_exif_looks_like_its_original(key: Rows) -> None:
    copy = next(row for row in key if "EXIF" in row["detail"])
    with Image.open(FOLDER / copy["path"]) as image:
        stored, upright = image.size, ImageOps.exif_transpose(image).convert("L")
    with Image.open(FOLDER / copy["original"]) as image:
        original = image.convert("L")

    assert stored == original.size[::-1]
    assert upright.size == original.size
    assert _difference(upright, original) < 4  # grey levels; what saving twice costs


@pytest.mark.parametrize("fault", ["underexposed", "overexposed", "blurry"])
def test_a_lazy_threshold_gives_false_alarms(key: Rows, fault: str) -> None:
    """A cut on the mean or on the sharpness that finds all planted faults also takes ordinary pictures."""
    planted = [_badness(FOLDER / row["path"], fault) for row in key if row["fault"] == fault]
    ordinary = [_badness(FOLDER / row["path"], fault) for row in key if not row["fault"]]

    assert sum(badness >= min(planted) for badness in ordinary) >= 3


def test_equal_seeds_give_equal_bytes(script: Any, tmp_path: Path) -> None:
    """One picture of each fault, copies left out, drawn twice."""
    plan = script.plan(np.random.default_rng(SEED))
    some = {picture.fault: picture for picture in plan if not picture.original}.values()

    script.write(some, tmp_path / "first", SEED)
    script.write(some, tmp_path / "second", SEED)

    for picture in some:
        assert (tmp_path / "first" / picture.path).read_bytes() == (tmp_path / "second" / picture.path).read_bytes()


def test_the_committed_set_is_the_one_the_script_plans(script: Any, key: Rows) -> None:
    plan = script.plan(np.random.default_rng(SEED))

    assert {(picture.path, picture.fault) for picture in plan} == {(row["path"], row["fault"]) for row in key}


def test_a_committed_picture_is_the_one_the_script_draws(script: Any) -> None:
    """Compared as pixels: other versions of Pillow may write other bytes for the same picture."""
    picture = next(p for p in script.plan(np.random.default_rng(SEED)) if p.path.endswith(".png") and not p.fault)

    data, _ = script.make(picture, FOLDER, SEED)

    with Image.open(BytesIO(data)) as drawn, Image.open(FOLDER / picture.path) as committed:
        assert _difference(drawn.convert("L"), committed.convert("L")) < 1


# The score, on a key of six pictures.

SMALL_KEY = """path,fault,detail,true_label,original,check
a/1.jpg,,"sunny, city",a,,
a/2.jpg,,"fog, city",a,,
a/3.jpg,underexposed,-3.5 EV,a,,underexposed
a/3-edited.jpg,near_copy,cropped,a,a/2.jpg,near_duplicate
a/4.jpg,wrong_extension,png bytes,a,,
b/5.jpg,wrong_label,"snow, forest",a,,label_error
"""


@pytest.fixture
def small_key(tmp_path: Path) -> Path:
    path = tmp_path / "key.csv"
    path.write_text(SMALL_KEY)
    return path


def table(flags: dict[str, str], dropped: tuple[str, ...] = ()) -> pd.DataFrame:
    """What `curate table` says of the six, where `flags` names the flagged ones."""
    paths = [line.split(",")[0] for line in SMALL_KEY.splitlines()[1:]]
    rows = [{"path": path, "keep": path not in dropped, "flags": flags.get(path, "")} for path in paths]
    return pd.DataFrame(rows)


def found(scores: list[Any]) -> dict[str, int | None]:
    return {line.fault: line.found for line in scores}


def test_a_perfect_table_finds_all_that_was_looked_for(score: Any, small_key: Path) -> None:
    flags = {"a/3.jpg": "low_information;underexposed", "a/3-edited.jpg": "near_duplicate"}

    scores = score.score(small_key, table(flags, dropped=("a/3.jpg",)))

    assert found(scores) == {
        "near_copy": 1,
        "underexposed": 1,
        "wrong_label": None,  # no column label_error: nobody has looked
        "wrong_extension": 1,
        "(ordinary)": 1,  # a/1.jpg; a/2.jpg has a copy, either may go
    }
    assert all(line.false_alarms == line.missed == () for line in scores)


def test_a_copy_is_found_when_its_original_is_flagged(score: Any, small_key: Path) -> None:
    """The better copy is kept, and which one that is the key can't know."""
    scores = score.score(small_key, table({"a/2.jpg": "near_duplicate"}))

    assert found(scores)["near_copy"] == 1


def test_a_copy_is_found_when_both_share_a_duplicate_group(score: Any, small_key: Path) -> None:
    grouped = table({}).assign(duplicate_group=["", "g1", "", "g1", "", ""])

    assert found(score.score(small_key, grouped))["near_copy"] == 1


def test_an_unflagged_fault_is_named_as_missed(score: Any, small_key: Path) -> None:
    scores = score.score(small_key, table({}))

    assert [line.missed for line in scores if line.fault == "underexposed"] == [("a/3.jpg",)]


def test_a_flag_on_an_ordinary_picture_is_a_false_alarm(score: Any, small_key: Path) -> None:
    """Also on one whose only fault is its label; `odd_size` was not planted at all and gets its own line."""
    scores = score.score(small_key, table({"a/1.jpg": "odd_size;underexposed", "b/5.jpg": "underexposed"}))

    assert {line.check: line.false_alarms for line in scores if line.false_alarms} == {
        "underexposed": ("a/1.jpg", "b/5.jpg"),
        "odd_size": ("a/1.jpg",),
    }


def test_label_errors_are_scored_once_flag_has_run(score: Any, small_key: Path) -> None:
    flagged = table({}).assign(label_error=[False, False, False, False, False, True])

    assert found(score.score(small_key, flagged))["wrong_label"] == 1


def test_a_dropped_ordinary_picture_is_reported(score: Any, small_key: Path) -> None:
    scores = score.score(small_key, table({}, dropped=("a/1.jpg",)))

    assert scores[-1].missed == ("a/1.jpg",)
    assert "0 of 1 ordinary pictures kept" in score.format_score(scores)


def test_the_text_fits_80_columns(score: Any, small_key: Path) -> None:
    scores = score.score(small_key, table({"a/1.jpg": "low_information"}))

    text = score.format_score(scores)

    assert max(len(line) for line in text.splitlines()) <= 80
    assert "wrong_label       label_error              1  not looked for yet (curate flag)" in text


def test_a_table_without_flags_is_refused_with_a_hint(score: Any, small_key: Path) -> None:
    with pytest.raises(ValueError, match="no column flags; `curate table DIR` prints one that has"):
        score.score(small_key, table({}).drop(columns="flags"))


def test_score_runs_as_a_script(
    score: Any, small_key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    table({"a/3.jpg": "underexposed"}).to_csv(tmp_path / "table.csv", index=False)
    monkeypatch.setattr(sys, "argv", ["score.py", str(tmp_path / "table.csv"), "--key", str(small_key)])

    score.main()

    assert "underexposed      underexposed             1      1             -" in capsys.readouterr().out


def _opens(path: Path) -> bool:
    try:
        with Image.open(path) as image:
            image.load()
    except OSError:
        return False
    return True


def _difference(one: Image.Image, other: Image.Image) -> float:
    """Mean difference in grey levels, 0..255."""
    return float(np.abs(np.asarray(one, np.int16) - np.asarray(other, np.int16)).mean())


def _badness(path: Path, fault: str) -> float:
    """How dark, bright or smooth a picture is by the simplest formula; higher is more so."""
    with Image.open(path) as image:
        grey = np.asarray(image.convert("L"), np.float32)
    if fault == "blurry":
        laplacian = 4 * grey[1:-1, 1:-1] - grey[:-2, 1:-1] - grey[2:, 1:-1] - grey[1:-1, :-2] - grey[1:-1, 2:]
        return -float(laplacian.var())
    return float(grey.mean()) if fault == "overexposed" else -float(grey.mean())


def _folder(row: dict[str, str]) -> str:
    return row["path"].split("/")[0]
