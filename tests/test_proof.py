"""`curate prove`: who learns from what, who judges, and what people are told."""

from __future__ import annotations

import hashlib
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import curate as library
from conftest import Curate, picture, write
from curate.contest import Contest, meet
from curate.embedded import NO_LABEL, Embedded
from curate.errors import CurateError, SettingsError, SourceError, VersionNotFound
from curate.project import Project
from curate.proof import prove
from curate.ranking import Doubt, doubt_of, order_of
from curate.studies import read_study
from curate.versions import Version

# ---- Versions as tables


def version(name: str, rows: list[dict[str, Any]]) -> Embedded:
    """A version of these pictures: each has a name, and a label, group, split, repeat or weight if need be."""
    table = pd.DataFrame(rows)
    table = table.assign(path=table["name"] + ".jpg", sha256=table["name"].map(digest), keep=True)
    for column in ("final_label", "split", "group"):
        table[column] = table.get(column)
    groups = table["group"].fillna(table["name"]).astype("str").factorize()[0]
    classes = sorted(table["final_label"].dropna().unique())
    labels = [classes.index(one) if isinstance(one, str) else NO_LABEL for one in table["final_label"]]
    vectors = np.random.default_rng(0).normal(size=(len(table), 4)).astype(np.float32)
    number = int(name.removeprefix("v"))
    frozen = Version(number, "0" * 64, "", "ada", "curate clean", "0", {}, {}, "", None, {})
    project = Project(Path("photos"), Path("photos.curate"), None)
    return Embedded(project, frozen, table.assign(group=groups), vectors, "builtin", classes, np.array(labels), {})


def digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def pictures(names: str, **columns: Any) -> list[dict[str, Any]]:
    """One picture per letter, labelled cat, dog, cat, …"""
    return [{"name": name, "final_label": ("cat", "dog")[place % 2], **columns} for place, name in enumerate(names)]


def learnt(contest: Contest, side: int) -> str:
    """The letters that a side learns from."""
    letters = {digest(letter): letter for letter in "abcdefghijklmnopqrstuvwxyz"}
    return "".join(sorted(letters[contest.sha256[row]] for row in np.flatnonzero(contest.sides[side].learnt)))


def judging(contest: Contest) -> str:
    letters = {digest(letter): letter for letter in "abcdefghijklmnopqrstuvwxyz"}
    return "".join(sorted(letters[contest.sha256[row]] for row in contest.judges))


def test_each_version_learns_from_its_training_part_and_the_common_test_part_judges() -> None:
    a = version("v1", pictures("abcd", split="train") + pictures("wxy", split="test"))
    b = version("v2", pictures("cdef", split="train") + pictures("xyz", split="test"))

    found = meet(a, b, b.rows)

    assert (learnt(found, 0), learnt(found, 1), judging(found), found.part) == ("abcd", "cdef", "xy", "test")
    assert found.left_out == {"only in one version's part": 2}


def test_the_labels_of_the_judging_version_hold_for_both() -> None:
    a = version("v1", [*pictures("abcd", split="train"), {"name": "x", "final_label": "cat", "split": "test"}])
    b = version("v2", [*pictures("abcd", split="train"), {"name": "x", "final_label": "owl", "split": "test"}])

    assert [meet(a, b, one.rows).classes[meet(a, b, one.rows).truth.max()] for one in (a, b)] == ["cat", "owl"]


def test_a_test_picture_with_a_copy_in_either_training_part_does_not_judge() -> None:
    tests = pictures("xy", split="test")
    a = version("v1", [*pictures("abcd", split="train"), {**tests[0], "group": "a"}, tests[1]])
    a.rows.loc[a.rows["name"] == "a", "group"] = int(a.rows.loc[a.rows["name"] == "x", "group"].iloc[0])
    b = version("v2", pictures("abcd", split="train") + tests)

    found = meet(a, b, b.rows)

    assert judging(found) == "y"
    assert found.left_out == {"a copy is learnt from": 1}


def test_validation_pictures_judge_where_there_is_no_test_part() -> None:
    both = pictures("abcd", split="train") + pictures("xy", split="val")

    found = meet(version("v1", both), version("v2", both), version("v2", both).rows)

    assert (judging(found), found.part) == ("xy", "val")


def test_a_version_without_splits_learns_from_all_that_the_other_does_not_hold_back() -> None:
    """Also from what the other has dropped, a and b: that is what is compared."""
    a = version("v1", pictures("abcdxyv"))
    b = version("v2", pictures("cd", split="train") + pictures("xy", split="test") + pictures("v", split="val"))

    found = meet(a, b, b.rows)

    assert (learnt(found, 0), learnt(found, 1), judging(found)) == ("abcd", "cd", "xy")


def test_without_any_splits_the_pictures_that_both_keep_judge_out_of_fold() -> None:
    a, b = version("v1", pictures("abcdef")), version("v2", pictures("cdefgh"))

    found = meet(a, b, b.rows)

    assert (learnt(found, 0), judging(found), found.part) == ("abcdef", "cdef", "")


def test_repeats_and_weights_of_rebalancing_count_and_the_mean_stays_one() -> None:
    """3 x 1, 1 x 0.5 and 1 x 1 have a mean of 1.5; a picture that is left out counts nothing."""
    rows = [
        {"name": "a", "final_label": "cat", "repeat": 3, "weight": 1.0, "split": "train"},
        {"name": "b", "final_label": "dog", "repeat": 1, "weight": 0.5, "split": "train"},
        {"name": "c", "final_label": "dog", "repeat": 1, "weight": 1.0, "split": "train"},
        {"name": "d", "final_label": "dog", "repeat": 0, "weight": 1.0, "split": "train"},
        {"name": "x", "final_label": "dog", "repeat": 1, "weight": 1.0, "split": "test"},
    ]

    found = meet(version("v1", rows), version("v2", rows), version("v2", rows).rows)

    weights = dict(zip(found.sha256, found.sides[0].weights.tolist(), strict=True))
    assert [weights[digest(name)] for name in "abcdx"] == pytest.approx([2, 1 / 3, 2 / 3, 0, 0])


def test_pictures_are_known_by_their_content_not_by_their_names() -> None:
    b = version("v2", pictures("abcd", split="train") + pictures("xy", split="test"))
    a = version("v1", pictures("abcd", split="train") + pictures("xy", split="test"))
    a.rows["path"] = "old/" + a.rows["path"]

    found = meet(a, b, b.rows)

    assert (judging(found), found.is_same) == ("xy", True)


def test_an_unlabelled_picture_neither_teaches_nor_judges() -> None:
    both = [*pictures("abcd", split="train"), *pictures("xy", split="test")]
    both += [{"name": "e", "split": "train"}, {"name": "z", "split": "test"}]

    found = meet(version("v1", both), version("v2", both), version("v2", both).rows)

    assert (learnt(found, 0), judging(found), found.left_out) == ("abcd", "xy", {"no label": 1})


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (pictures("ab", split="train") + pictures("x", split="holdout"), "no test picture in common"),
        (pictures("ab", split="test"), "no labelled picture to learn from"),
        ([{"name": "a"}, {"name": "b"}], "no labelled picture to learn from"),
        (pictures("a", split="train") + pictures("x", split="test"), "All pictures have the label 'cat'"),
    ],
)
def test_versions_that_can_not_be_compared_are_refused_in_words(rows: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(SourceError, match=message):
        meet(version("v1", rows), version("v2", rows), version("v2", rows).rows)


# ---- Doubtful test labels


def doubtful(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame({"final_label": ["cat", "cat", "dog"], "label": ["cat", "cat", "dog"], **columns})


def test_a_person_corrects_before_a_model_does() -> None:
    """The first was relabelled from dog, the second is suggested to be a dog, the third is flagged but not surely."""
    rows = doubtful(
        reviewed=["relabel", None, None],
        label_quality=[None, 0.05, 0.3],
        label_error=[False, True, True],
        suggested_label=[None, "dog", "cat"],
    ).assign(label=["dog", "cat", "dog"])

    found = doubt_of(rows)

    assert [found.names[one] for one in found.given] == ["dog", "cat", "dog"]
    assert [found.names[one] for one in found.corrected] == ["cat", "dog", "dog"]
    assert (found.by_person, found.by_model, found.likely_wrong, found.judged) == (1, 1, 2, 2)


def test_where_flag_has_not_run_no_label_is_judged() -> None:
    found = doubt_of(doubtful())

    assert (found.judged, found.likely_wrong, found.by_model) == (0, 0, 0)


def test_a_model_that_repeats_wrong_test_labels_loses_its_lead_when_they_are_corrected() -> None:
    """Six labels, of which two are wrong: the parrot knows them, the other knows better."""
    given, corrected = np.array([0, 0, 0, 1, 1, 1]), np.array([0, 0, 1, 1, 1, 0])
    doubt = Doubt(["cat", "dog"], given, corrected, np.zeros(6, bool), 6, 2, 0, 2)

    found = order_of({"parrot": given, "linear": corrected}, doubt, np.arange(6))

    assert found.flips
    assert [(one.name, one.given) for one in found.models] == [("parrot", 1.0), ("linear", pytest.approx(2 / 3))]
    assert found.by_corrected == ("linear", "parrot")
    assert [value for value, _, _ in found.lead] == pytest.approx([1 / 3, -1 / 3])


def test_models_that_are_equal_by_corrected_labels_have_not_changed_places() -> None:
    given, corrected = np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1])
    doubt = Doubt(["cat", "dog"], given, corrected, np.zeros(4, bool), 4, 1, 0, 1)

    found = order_of({"one": np.array([0, 0, 1, 1]), "other": np.array([0, 0, 1, 0])}, doubt, np.arange(4))

    assert not found.flips


# ---- The whole command


@pytest.fixture(scope="module")
def signs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Red and blue pictures, split. v3: a third of the labels wrong; v4: as their folders say."""
    folder = tmp_path_factory.mktemp("proof") / "signs"
    lines = ["path,label"]
    for number in range(120):
        name = ("red", "blue")[number % 2]
        write(folder / name / f"{number}.jpg", coloured(number, (170, 60, 60) if name == "red" else (60, 60, 170)))
        wrong = number % 6 in (1, 2)
        lines.append(f"{name}/{number}.jpg,{('blue' if name == 'red' else 'red') if wrong else name}")
    noisy = folder.parent / "noisy.csv"
    noisy.write_text("\n".join(lines))
    # Its numbers come from colours alone; what a trained one makes of drawn pictures differs with every training.
    write(folder.parent / "signs.curate" / "curate.toml", b'[models]\nbackbone = "classic"\n')
    library.clean(folder, workers=1)
    library.split(folder, changes={"split.train": 0.6, "split.val": 0.0, "split.test": 0.4}, workers=1)
    library.clean(folder, changes={"scan.labels": str(noisy)}, workers=1)
    library.clean(folder, workers=1)
    return folder


def coloured(seed: int, colour: tuple[int, int, int]) -> bytes:
    """A picture like those of `conftest.picture`, tinted so that a model can tell the classes apart."""
    image = np.asarray(Image.open(BytesIO(picture(3000 + seed)))).astype(np.float64)
    buffer = BytesIO()
    Image.fromarray((image * 0.75 + np.array(colour) * 0.25).astype(np.uint8)).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def test_right_labels_teach_more_than_wrong_ones(signs: Path) -> None:
    found = prove(signs, "v3", "v4", workers=1)

    assert found.comparison.main.better == "b"
    assert found.sentence.startswith("v4 is better by ")
    assert found.contest.part == "test"


def test_test_labels_that_differ_between_the_versions_are_counted(signs: Path) -> None:
    """A third of the labels is wrong, whichever pictures are in the test part."""
    before, after = (library.table(signs, version=name).set_index("path") for name in ("v3", "v4"))
    test = after["split"] == "test"

    found = prove(signs, "v3", "v4", repeats=2, workers=1)

    assert found.differing == (before["final_label"] != after["final_label"])[test].sum()
    assert 5 < found.differing < 28


def test_versions_that_training_can_not_tell_apart_teach_the_same(signs: Path) -> None:
    found = prove(signs, "v2", "v4", workers=1)

    assert found.sentence == "v2 and v4 teach the same: equal pictures, labels and weights."
    assert (found.comparison.main.low, found.comparison.main.high) == (0.0, 0.0)


def test_without_names_the_newest_is_compared_with_the_last_that_teaches_otherwise(signs: Path) -> None:
    found = prove(signs, workers=1, repeats=2)

    assert (found.a.name, found.b.name) == ("v3", "v4")


def test_the_same_seed_gives_the_same_figures_and_another_one_others(signs: Path) -> None:
    first, second, third = (prove(signs, repeats=3, seed=seed, workers=1).plain() for seed in (1, 1, 2))

    assert first == second
    assert first["metrics"] != third["metrics"]


def test_what_was_found_is_kept_for_the_report(signs: Path) -> None:
    found = prove(signs, "v3", "v4", repeats=2, workers=1)

    study = read_study(Project.at(signs), "proof")

    assert study is not None
    assert (study.version_name, study.result) == ("v4", found.plain())


def test_people_are_told_what_a_comparison_of_few_pictures_is_worth(signs: Path, curate: Curate) -> None:
    done = curate("prove", signs, "v3", "v4", "--workers", "1")

    assert (done.code, done.err) == (0, "")
    assert "v4 is better by " in done.out
    assert "2 of 2 classes have fewer than 30 test pictures" in done.out
    assert "curate flag has not run on v4" in " ".join(done.out.split())
    assert max(map(len, done.out.splitlines())) <= 80 + len(str(signs))
    assert f"curate flag {signs}" in done.out


def test_a_step_back_ends_with_exit_code_1_where_that_is_asked_for(signs: Path, curate: Curate) -> None:
    assert curate("prove", signs, "v4", "v3", "--labels-of", "v4", "--workers", "1", "--fail-if-worse").code == 1
    assert curate("prove", signs, "v4", "v3", "--labels-of", "v4", "--workers", "1").code == 0
    assert curate("prove", signs, "v3", "v4", "--workers", "1", "--fail-if-worse").code == 0


def test_json_has_what_a_plot_needs(signs: Path, curate: Curate) -> None:
    found = curate("prove", signs, "--workers", "1", "--repeats", "2", "--json").json

    assert [one["name"] for one in found["metrics"]] == ["balanced accuracy", "accuracy", "PR-AUC"]
    assert {"name", "a", "b", "difference", "low", "high", "better", "pictures"} == set(found["recalls"][0])
    assert sum(one["pictures"] for one in found["figures"]["classes"]) == found["test"]["pictures"]
    assert found["figures"]["balanced_accuracy"] == pytest.approx(found["metrics"][0]["b"])
    assert found["figures"]["pr_auc"] == pytest.approx(found["metrics"][2]["b"])


def test_mistakes_are_named_with_pictures(signs: Path, curate: Curate) -> None:
    found = curate("prove", signs, "--workers", "1", "--repeats", "2", "--json").json["figures"]

    mistakes = found["confusions"]
    kept = set(library.table(signs).query("keep")["path"])
    assert all(one["label"] != one["said"] and set(one["paths"]) <= kept for one in mistakes)
    assert sum(one["pictures"] for one in mistakes) == sum(
        round((1 - one["recall"]) * one["pictures"]) for one in found["classes"]
    )


def test_only_reviewed_pictures_judge_if_asked_for_and_there_are_none_yet(signs: Path) -> None:
    with pytest.raises(SourceError, match="Nobody has reviewed a picture of v4 yet"):
        prove(signs, reviewed=True, workers=1)


@pytest.mark.parametrize(
    ("a", "b", "error", "message"),
    [
        ("v2", "v2", SettingsError, "v2 is compared with itself"),
        ("v9", None, VersionNotFound, "no version 'v9'"),
        (None, "v1", SourceError, "No version before v1 has other pictures"),
    ],
)
def test_versions_that_make_no_pair_are_refused(
    signs: Path, a: str | None, b: str | None, error: type[CurateError], message: str
) -> None:
    with pytest.raises(error, match=message):
        prove(signs, a, b, workers=1)


def test_one_repeat_says_nothing_of_luck(signs: Path) -> None:
    with pytest.raises(SettingsError, match="repeats = 1"):
        prove(signs, repeats=1, workers=1)


def test_versions_without_splits_are_cross_validated_and_that_is_said(tmp_path: Path) -> None:
    for number in range(24):
        name = ("red", "blue")[number % 2]
        write(
            tmp_path / "signs" / name / f"{number}.jpg",
            coloured(number, (170, 60, 60) if number % 2 else (60, 60, 170)),
        )
    library.clean(tmp_path / "signs", workers=1)
    (tmp_path / "signs" / "red" / "0.jpg").unlink()
    library.clean(tmp_path / "signs", workers=1)

    found = prove(tmp_path / "signs", workers=1, repeats=2)

    assert found.contest.part == ""
    assert len(found.contest.judges) == 23
    assert found.notes[0].startswith("Neither version has splits")


@pytest.mark.skipif(find_spec("torch") is not None, reason="says what happens where torch is not installed")
def test_a_network_without_torch_is_answered_with_the_line_that_installs_it(signs: Path) -> None:
    with pytest.raises(CurateError, match="needs torch") as raised:
        prove(signs, train_network=True, workers=1)

    assert raised.value.hint == "Run: pip install 'curate[torch]'"


@pytest.mark.skipif(find_spec("torch") is None, reason="needs torch")
def test_a_small_network_learns_from_the_pixels() -> None:
    from curate.convnet import trained

    random = np.random.default_rng(0)
    labels = np.arange(40) % 2
    images = (random.integers(0, 100, (40, 48, 48, 3)) + 100 * labels[:, None, None, None]).astype(np.uint8)

    said = trained(images[:30], labels[:30], np.ones(30, np.float32), images[30:], 2, seed=0, steps=60)

    assert (said.argmax(axis=1) == labels[30:]).all()
