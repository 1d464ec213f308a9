"""`curate rebalance`: only training pictures are resampled, versions carry it on, and nothing else changes."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

import curate as library
from conftest import Curate, picture, write
from curate.balancing import Rebalanced, rebalance
from curate.errors import CurateError, SettingsError, SourceError
from curate.inspection import record_decisions
from curate.project import Project
from curate.run_record import RunRecord
from curate.studies import read_study

# split -> class -> pictures; every 3rd of the class "dogs" is alike, and "owls" are very rare.
FOLDER = {"train": {"cats": 12, "dogs": 6, "owls": 2}, "val": {"cats": 3, "dogs": 3}, "test": {"cats": 3, "dogs": 2}}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with splits, cleaned and embedded: 20 training pictures in three classes, and one without a label."""
    folder, number = tmp_path_factory.mktemp("made") / "animals", 3000
    for split, classes in FOLDER.items():
        for name, count in classes.items():
            for place in range(count):
                number += 1
                write(folder / split / name / f"{place}.jpg", picture(number))
    write(folder / "train" / "_unlabeled" / "0.jpg", picture(3999))
    library.clean(folder, workers=1)
    rebalance(folder, dry_run=True, workers=1)
    return folder


@pytest.fixture
def animals(made: Path, tmp_path: Path) -> Path:
    """A copy of that folder and its store, to change."""
    for suffix in ("", ".curate"):
        shutil.copytree(f"{made}{suffix}", tmp_path / f"animals{suffix}")
    return tmp_path / "animals"


def balanced(folder: Path, *names: str, **options: Any) -> Rebalanced:
    changes = {"rebalance.strategy": list(names), **options.pop("changes", {})}
    return rebalance(folder, changes=changes, workers=1, **options)


def repeats(folder: Path) -> dict[str, int]:
    """path -> repeat of each kept picture."""
    rows = library.table(folder)
    rows = rows[rows["keep"]]
    return {path: int(repeat) for path, repeat in zip(rows["path"], rows["repeat"], strict=True)}


def total(folder: Path, prefix: str) -> int:
    """How many pictures below this place an epoch sees."""
    return sum(repeat for path, repeat in repeats(folder).items() if path.startswith(prefix))


def test_small_classes_are_repeated_up_to_the_largest(animals: Path) -> None:
    """12 cats; 6 dogs twice; 2 owls six times."""
    result = balanced(animals, "random-over")

    assert result.before == {"cats": 12, "dogs": 6, "owls": 2}
    assert result.after == {"cats": 12, "dogs": 12, "owls": 12}
    assert {path: repeat for path, repeat in repeats(animals).items() if path.startswith("train/")} == {
        **{f"train/cats/{place}.jpg": 1 for place in range(12)},
        **{f"train/dogs/{place}.jpg": 2 for place in range(6)},
        **{f"train/owls/{place}.jpg": 6 for place in range(2)},
        "train/_unlabeled/0.jpg": 1,
    }


@pytest.mark.parametrize("name", ["random-under", "random-over", "inverse-frequency"])
def test_validation_and_test_pictures_are_never_resampled(animals: Path, name: str) -> None:
    balanced(animals, name)

    rows = library.table(animals).set_index("path")
    judging = rows[rows["split"].isin(["val", "test"])]
    assert len(judging) == 11
    assert judging["repeat"].tolist() == [1] * 11
    assert judging["weight"].tolist() == [1.0] * 11


def test_pictures_left_out_stay_in_the_version_but_training_does_not_see_them(animals: Path) -> None:
    """Cats are cut to the six of the dogs; owls are too rare to be cut, or to set the goal."""
    result = balanced(animals, "redundant-first")

    assert result.after == {"cats": 6, "dogs": 6, "owls": 2}
    assert total(animals, "train/cats") == 6
    assert len([path for path in repeats(animals) if path.startswith("train/cats")]) == 12
    assert len(library.load(animals, split="train")) == 14


def test_training_gets_the_weights(animals: Path) -> None:
    """Of 20 pictures a third of the loss for each class: 20 / 3 / 12, / 6 and / 2."""
    balanced(animals, "inverse-frequency")

    training = library.load(animals, split="train")
    weights = dict(zip(training.paths, training.sample_weights().tolist(), strict=True))

    assert weights["train/cats/0.jpg"] == pytest.approx(20 / 36)
    assert weights["train/dogs/0.jpg"] == pytest.approx(20 / 18)
    assert weights["train/owls/0.jpg"] == pytest.approx(20 / 6)


def test_the_version_says_how_it_was_balanced(animals: Path) -> None:
    version = balanced(animals, "redundant-first", "random-over", changes={"rebalance.target": 0.5}).version

    said = version.recipe.balance
    assert said.pop("model").startswith("builtin-")
    assert said == {
        "strategy": ["redundant-first", "random-over"],
        "target": 0.5,
        "min_per_class": 0,
        "max_per_class": 0,
        "max_repeat": 10,
        "seed": "curate",
        "before": {"cats": 12, "dogs": 6, "owls": 2},
        "after": {"cats": 12, "dogs": 6, "owls": 6},
    }
    assert version.command == "curate rebalance"


def test_the_same_again_makes_no_version(animals: Path) -> None:
    first = balanced(animals, "random-over")
    again = balanced(animals, "random-over")

    assert first.is_new
    assert not again.is_new
    assert again.version.name == first.version.name


def test_another_seed_leaves_out_others(animals: Path) -> None:
    balanced(animals, "random-under")
    first = repeats(animals)
    balanced(animals, "random-under", changes={"rebalance.seed": "another"})

    assert repeats(animals) != first


def test_renaming_a_file_changes_no_other_picture_s_lot(animals: Path) -> None:
    """Chance comes from the content and the path of each picture alone."""
    balanced(animals, "random-under")
    before = repeats(animals)
    (animals / "train" / "dogs" / "0.jpg").rename(animals / "train" / "dogs" / "z.jpg")
    library.clean(animals, workers=1)
    balanced(animals, "random-under")

    cats = {path: repeat for path, repeat in repeats(animals).items() if "/cats/" in path}
    assert cats == {path: repeat for path, repeat in before.items() if "/cats/" in path}


def test_off_counts_each_picture_once_again(animals: Path) -> None:
    before = library.table(animals)
    first = library.log(animals)[-1]
    balanced(animals, "random-over")

    off = rebalance(animals, off=True)

    assert off.is_new
    assert off.version.recipe.balance == {}
    assert off.version.id == first.id
    assert off.after == {"cats": 12, "dogs": 6, "owls": 2}
    assert set(library.table(animals).columns) == set(before.columns)


def test_off_makes_no_version_where_nothing_was_balanced(animals: Path) -> None:
    assert not rebalance(animals, off=True).is_new


def test_a_dropped_picture_is_never_resurrected(animals: Path) -> None:
    record_decisions(animals, ["train/owls/0.jpg"], "drop")
    library.clean(animals, workers=1)

    result = balanced(animals, "random-over")

    rows = library.table(animals).set_index("path")
    assert result.after == {"cats": 12, "dogs": 12, "owls": 10}
    assert not rows.loc["train/owls/0.jpg", "keep"]
    assert np.isnan(float(rows["repeat"].astype("float64")["train/owls/0.jpg"]))


def test_pictures_that_the_model_cannot_see_count_once_and_are_named(animals: Path) -> None:
    """The file went after `clean` had read it, and no vector of it is known."""
    write(animals / "train" / "dogs" / "new.jpg", picture(3555))
    library.clean(animals, workers=1)
    (animals / "train" / "dogs" / "new.jpg").unlink()

    result = balanced(animals, "random-over")

    assert list(result.unseen) == ["train/dogs/new.jpg"]
    assert repeats(animals)["train/dogs/new.jpg"] == 1
    assert result.after == {"cats": 12, "dogs": 12, "owls": 12}


def test_likely_label_errors_are_not_repeated(animals: Path) -> None:
    """`curate flag` has said so; here its opinion is written by hand."""
    from curate import versions
    from curate.pipeline import freeze_as

    project = Project.at(animals)
    newest = versions.find_version(project.versions, None)
    table = versions.read_table(project.versions, newest)
    table = table.assign(label_error=table["path"] == "train/dogs/0.jpg")
    freeze_as(project, table, RunRecord("curate flag"), newest.settings, newest.counts, newest.recipe)

    balanced(animals, "informative-over")

    assert repeats(animals)["train/dogs/0.jpg"] == 1
    assert total(animals, "train/dogs") == 12


# ---- What can't be done, and why


def test_a_version_without_splits_is_refused(photos: Path) -> None:
    library.clean(photos, workers=1)

    with pytest.raises(SourceError, match="has no splits") as refused:
        balanced(photos, "random-over")

    assert f"curate split {photos}" in refused.value.hint


def test_one_class_is_nothing_to_balance(tmp_path: Path) -> None:
    for number in range(3):
        write(tmp_path / "photos" / "train" / "cats" / f"{number}.jpg", picture(3100 + number))
    library.clean(tmp_path / "photos", workers=1)

    with pytest.raises(SourceError, match="training pictures of v1 are cats"):
        balanced(tmp_path / "photos", "random-over")


def test_an_empty_training_split_is_refused(tmp_path: Path) -> None:
    for number in range(3):
        write(tmp_path / "photos" / "test" / "cats" / f"{number}.jpg", picture(3100 + number))
    write(tmp_path / "photos" / "val" / "dogs" / "9.jpg", picture(3109))
    library.clean(tmp_path / "photos", workers=1)

    with pytest.raises(SourceError, match="is in train"):
        balanced(tmp_path / "photos", "random-over")


def test_no_strategy_is_no_answer(animals: Path) -> None:
    with pytest.raises(SettingsError, match="No strategy is named") as refused:
        rebalance(animals)

    assert "--dry-run" in refused.value.hint


def test_a_minimum_above_the_maximum_is_refused(animals: Path) -> None:
    with pytest.raises(SettingsError, match="at least 9 and at most 5"):
        balanced(animals, "random-over", changes={"rebalance.min_per_class": 9, "rebalance.max_per_class": 5})


def test_strategies_that_invent_vectors_are_refused_without_a_file(animals: Path) -> None:
    with pytest.raises(SettingsError, match="'smote' makes vectors that lie between"):
        balanced(animals, "smote")


def test_a_folder_that_was_never_cleaned_is_refused(photos: Path) -> None:
    with pytest.raises(CurateError, match="has not been curated yet"):
        balanced(photos, "random-over")


# ---- Vectors


def test_invented_vectors_are_written_with_real_ones(animals: Path, tmp_path: Path) -> None:
    """12 cats, 6 dogs and 6 invented, 2 owls six times: too rare. No version is made."""
    result = balanced(animals, "smote", features=tmp_path / "vectors.parquet")

    rows = pq.read_table(tmp_path / "vectors.parquet").to_pandas()
    assert rows["label"].value_counts().to_dict() == {"cats": 12, "dogs": 12, "owls": 12}
    assert rows["path"].isna().sum() == 6
    assert rows.loc[rows["path"].isna(), "label"].unique().tolist() == ["dogs"]
    assert len(rows["vector"][0]) == 512
    assert not result.is_new
    assert result.version.name == "v1"
    assert result.features is not None
    assert result.features.invented == 6


def test_vectors_can_be_written_for_numpy(animals: Path, tmp_path: Path) -> None:
    balanced(animals, "random-under", "effective-number", features=tmp_path / "vectors.npz")

    with np.load(tmp_path / "vectors.npz") as found:
        assert found["vector"].shape == (14, 512)
        assert sorted(set(found["label"].tolist())) == ["cats", "dogs", "owls"]
        assert all(path.startswith("train/") for path in found["path"].tolist())
        assert found["weight"].sum() == pytest.approx(14)


def test_a_file_of_no_known_format_is_refused(animals: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no known format"):
        balanced(animals, "smote", features=tmp_path / "vectors.csv")


# ---- What if


def test_a_dry_run_compares_all_strategies_and_makes_no_version(animals: Path) -> None:
    result = balanced(animals, "redundant-first", "random-over", dry_run=True)

    assert [one.names for one in result.outcomes] == [
        (),
        ("edited-neighbours",),
        ("tomek-links",),
        ("near-miss",),
        ("random-under",),
        ("redundant-first",),
        ("informative-over",),
        ("random-over",),
        ("effective-number",),
        ("inverse-frequency",),
        ("redundant-first", "random-over"),
    ]
    assert [one.names for one in result.outcomes if one.chosen] == [("redundant-first", "random-over")]
    assert not result.is_new
    assert result.version.name == "v1"
    assert "repeat" not in library.table(animals)


def test_the_table_says_sizes_and_what_they_are_worth(animals: Path) -> None:
    """12 pictures count 1, 6 count 2, 2 count 6: 36^2 / (12 + 24 + 72) = 12."""
    outcomes = {one.names: one for one in rebalance(animals, dry_run=True, workers=1).outcomes}

    over = outcomes[("random-over",)]
    assert over.epoch == 36
    assert over.used == 20
    assert over.sizes == (("cats", 12), ("dogs", 12), ("owls", 12))
    assert over.effective == pytest.approx(12)
    assert outcomes[()].effective == 20


def test_strategies_are_judged_by_validation_pictures(animals: Path) -> None:
    """Classes that it does not show can't be judged, and are named."""
    result = rebalance(animals, dry_run=True, workers=1)

    assert result.judged_by == "val"
    assert result.unjudged == ("owls",)
    for one in result.outcomes:
        assert one.score is not None
        assert one.gain is not None
        assert 0 <= one.score.low <= one.score.value <= one.score.high <= 1
        assert one.gain.low <= one.gain.value <= one.gain.high


def test_the_test_pictures_have_no_say(animals: Path) -> None:
    """With all test pictures gone, the table is the same."""
    before = rebalance(animals, dry_run=True, workers=1).outcomes
    shutil.rmtree(animals / "test")
    library.clean(animals, workers=1)

    assert rebalance(animals, dry_run=True, workers=1).outcomes == before


def test_without_validation_pictures_folds_of_train_judge(animals: Path) -> None:
    shutil.rmtree(animals / "val")
    library.clean(animals, workers=1)

    result = rebalance(animals, dry_run=True, workers=1)

    assert result.judged_by == "folds"
    assert result.unjudged == ()
    assert all(one.score is not None for one in result.outcomes)


def test_the_table_is_kept_as_a_study(animals: Path) -> None:
    rebalance(animals, dry_run=True, workers=1)

    study = read_study(Project.at(animals), "strategies")

    assert study is not None
    assert study.version_name == "v1"
    assert study.result["judged_by"] == "val"
    assert study.result["outcomes"][0]["names"] == []
    assert study.result["outcomes"][0]["sizes"] == [["cats", 12], ["dogs", 6], ["owls", 2]]


# ---- The command


def test_the_command_shows_classes_before_and_after(animals: Path, curate: Curate) -> None:
    done = curate("rebalance", animals, "--strategy", "random-over", "--target", ".5", "--workers", "1")

    assert done.code == 0
    assert "20 labelled images in train" in done.out
    assert "1 images of train have no label: they count once." in done.out
    assert "Classes of 1 to 3 different images: owls (2)" in done.out
    assert "  owls        2  6" in done.out
    assert "Frozen as v2" in done.out
    assert f"curate rebalance {animals} --off" in done.out
    assert max(map(len, done.out.replace(str(animals), "").splitlines())) <= 80


def test_the_command_prints_the_table_within_80_columns(animals: Path, curate: Curate) -> None:
    done = curate("rebalance", animals, "--dry-run", "--strategy", "tomek-links,random-over", "--workers", "1")

    assert done.code == 0
    assert "together *" in done.out
    assert "* tomek-links, random-over" in done.out
    assert "Dry run: no version was made." in done.out
    assert max(map(len, done.out.replace(str(animals), "").split("Next")[0].splitlines())) <= 80


def test_the_command_prints_json(animals: Path, curate: Curate) -> None:
    done = curate("rebalance", animals, "--strategy", "random-over", "--json", "--workers", "1")

    assert done.json["names"] == ["random-over"]
    assert done.json["after"] == {"cats": 12, "dogs": 12, "owls": 12}
    assert done.json["rare"] == {"owls": 2}
    assert done.json["unlabelled"] == 1
    assert done.json["is_new"] is True


def test_the_command_explains_a_strategy_it_does_not_know(animals: Path, curate: Curate) -> None:
    done = curate("rebalance", animals, "--strategy", "random-ovr")

    assert done.code == 2
    assert "There is no strategy 'random-ovr'." in done.err
    assert "Did you mean 'random-over'?" in done.err
