"""What `curate rebalance` says of training pictures is carried from version to version, and never touches others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import curate as library
from conftest import PICTURES, picture, write
from curate import versions
from curate.inspection import record_decisions
from curate.pipeline import freeze_as
from curate.project import Project
from curate.run_record import RunRecord

PLACES = ("train/cats/0", "train/cats/1", "train/dogs/2", "test/cats/3", "test/dogs/4")


@pytest.fixture
def balanced(tmp_path: Path) -> Path:
    """Three training pictures, one of them left out and one shown twice, and two test pictures."""
    for number, place in enumerate(PLACES):
        write(tmp_path / "photos" / f"{place}.jpg", PICTURES[number])
    library.clean(tmp_path / "photos", workers=1)
    balance(tmp_path / "photos", repeat=[7, 7, 0, 2, 1], weight=[9, 9, 1, 1, 0.5])
    return tmp_path / "photos"


def balance(folder: Path, **columns: Any) -> None:
    """As `curate rebalance` does; the rows are sorted by path: test before train."""
    project = Project.at(folder)
    newest = versions.find_version(project.versions, None)
    table = versions.read_table(project.versions, newest).assign(**columns)
    recipe = replace(newest.recipe, balance={"strategy": ["by hand"]})
    freeze_as(project, table, RunRecord("curate rebalance"), newest.settings, newest.counts, recipe)


def shares(folder: Path, version: str | None = None) -> dict[str, tuple[Any, Any]]:
    """path -> (repeat, weight), None = NA."""
    rows = library.table(folder, version=version)
    columns = rows[["path", "repeat", "weight"]].astype(object).where(lambda cells: cells.notna(), None)
    return {path: (repeat, weight) for path, repeat, weight in columns.itertuples(index=False)}


def test_only_training_pictures_are_repeated_or_weighted(balanced: Path) -> None:
    assert shares(balanced) == {
        "test/cats/3.jpg": (1, 1),
        "test/dogs/4.jpg": (1, 1),
        "train/cats/0.jpg": (0, 1),
        "train/cats/1.jpg": (2, 1),
        "train/dogs/2.jpg": (1, 0.5),
    }


def test_training_sees_what_the_balance_says(balanced: Path) -> None:
    training = library.load(balanced, split="train")

    assert training.paths == ["train/cats/1.jpg"] * 2 + ["train/dogs/2.jpg"]
    assert training.sample_weights().tolist() == [1, 1, 0.5]


def test_later_versions_carry_the_balance_on(balanced: Path) -> None:
    before = shares(balanced)
    write(balanced / "test" / "cats" / "new.jpg", picture(77))

    newest = library.clean(balanced, workers=1).version

    assert newest
    assert newest.balance == {"strategy": ["by hand"]}
    assert shares(balanced) == {**before, "test/cats/new.jpg": (1, 1)}
    assert newest.counts["unbalanced"] == 0


def test_a_new_training_picture_counts_once_and_is_named_as_not_balanced(balanced: Path) -> None:
    write(balanced / "train" / "dogs" / "new.jpg", picture(77))

    newest = library.clean(balanced, workers=1).version

    assert newest
    assert newest.counts["unbalanced"] == 1
    assert shares(balanced)["train/dogs/new.jpg"] == (None, None)
    assert library.load(balanced, split="train").paths.count("train/dogs/new.jpg") == 1


def test_a_relabelled_training_picture_loses_its_place_in_the_balance(balanced: Path) -> None:
    record_decisions(balanced, ["train/dogs/2.jpg"], "relabel", label="cats")

    newest = library.clean(balanced, workers=1).version

    assert newest
    assert newest.counts["unbalanced"] == 1
    assert shares(balanced)["train/dogs/2.jpg"] == (None, None)


def test_a_dropped_picture_is_in_no_balance(balanced: Path) -> None:
    record_decisions(balanced, ["train/cats/1.jpg"], "drop")

    library.clean(balanced, workers=1)

    assert shares(balanced)["train/cats/1.jpg"] == (None, None)


def test_what_comes_to_train_by_dealing_anew_has_no_place_in_the_balance_yet(balanced: Path) -> None:
    before = {path for path, (repeat, _) in shares(balanced).items() if path.startswith("train")}
    library.split(balanced, changes={"split.train": 1.0, "split.val": 0.0, "split.test": 0.0}, from_scratch=True)

    after = shares(balanced)
    assert {path for path, (repeat, _) in after.items() if repeat is not None} == before
    assert library.log(balanced)[0].counts["unbalanced"] == 2


def test_other_repeats_or_weights_are_another_data_set(balanced: Path) -> None:
    ids = {library.log(balanced)[0].id}
    for columns in ({"repeat": [1, 1, 0, 3, 1]}, {"weight": [1, 1, 1, 1, 0.25]}, {"repeat": [1, 1, 1, 1, 1]}):
        balance(balanced, **columns)
        ids.add(library.log(balanced)[0].id)

    assert len(ids) == 4


def test_undo_brings_the_balance_back(balanced: Path) -> None:
    before = shares(balanced)
    balance(balanced, repeat=[1, 1, 5, 5, 5])
    library.undo(balanced)

    assert shares(balanced) == before
    assert library.log(balanced)[0].balance == {"strategy": ["by hand"]}
