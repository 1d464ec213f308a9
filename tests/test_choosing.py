"""`curate next`: which pictures to label or review next and why, and where the data is thin."""

from __future__ import annotations

import json
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import curate as library
from conftest import Curate, write
from curate import selection, thinness
from curate.candidates import WAYS
from curate.choosing import next_
from curate.errors import SettingsError, SourceError
from curate.grounds import Known, why_label
from curate.inspection import record_decisions
from curate.lookalikes import nearest
from curate.project import Project
from curate.selection import Need, Pool
from curate.studies import read_study

TINTS = {"blue": (60, 90, 170), "green": (70, 150, 70), "red": (170, 70, 60)}


def tinted(colour: Sequence[int], seed: int, quality: int = 92) -> bytes:
    """A JPEG of blocks around one colour; no two seeds are alike."""
    rng = np.random.default_rng([seed, *colour])
    blocks = np.array(colour) + rng.integers(-45, 46, (6, 8, 3))
    pixels = blocks.repeat(16, 0).repeat(16, 1) + rng.integers(-12, 13, (96, 128, 1))
    buffer = BytesIO()
    Image.fromarray(pixels.clip(10, 245).astype(np.uint8)).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


@pytest.fixture
def colours(tmp_path: Path) -> Path:
    """Blue 12, red 12 and green 2 pictures with a label, and 8 of each colour without; one of these is a copy."""
    folder = tmp_path / "colours"
    for colour, labelled in {"blue": 12, "green": 2, "red": 12}.items():
        for number in range(labelled):
            write(folder / colour / f"{number:02}.jpg", tinted(TINTS[colour], number))
        for number in range(8):
            write(folder / "_unlabeled" / f"{colour}_{number}.jpg", tinted(TINTS[colour], 100 + number))
    write(folder / "_unlabeled" / "again.jpg", tinted(TINTS["red"], 0, quality=60))
    library.clean(folder, changes={"checks.near_duplicate.action": "review"}, workers=1)
    return folder


@pytest.fixture
def unlabelled(tmp_path: Path) -> Path:
    """Ten blue and five red pictures, none with a label."""
    for number in range(15):
        colour = TINTS["blue" if number < 10 else "red"]
        write(tmp_path / "unlabelled" / f"{number:02}.jpg", tinted(colour, number))
    library.clean(tmp_path / "unlabelled", workers=1)
    return tmp_path / "unlabelled"


def paths(folder: Path, by: str, count: int = 6, purpose: str = "label") -> list[str]:
    return [one.path for one in next_(folder, by=by, count=count, purpose=purpose, workers=1).picks]


def test_only_pictures_without_a_label_are_to_be_labelled_and_each_once(colours: Path) -> None:
    for by in WAYS:
        found = paths(colours, by, count=100)

        assert len(found) == len(set(found)) > 6
        assert all(path.startswith("_unlabeled/") for path in found)


def test_a_random_choice_leaves_out_nothing_but_copies(colours: Path) -> None:
    assert len(paths(colours, "random", count=100)) == 24


def test_the_same_pictures_are_chosen_whatever_they_are_called(colours: Path) -> None:
    before = {by: [(colours / path).read_bytes() for path in paths(colours, by)] for by in WAYS}
    for number, file in enumerate(sorted((colours / "_unlabeled").iterdir(), reverse=True)):
        file.rename(file.with_name(f"renamed_{number:02}.jpg"))
    library.clean(colours, changes={"checks.near_duplicate.action": "review"}, workers=1)

    assert {by: [(colours / path).read_bytes() for path in paths(colours, by)] for by in WAYS} == before


def test_a_copy_of_a_labelled_picture_is_left_to_prelabel(colours: Path) -> None:
    found = next_(colours, workers=1)

    assert "_unlabeled/again.jpg" not in {one.path for one in found.picks}
    assert "1 copies of labelled pictures are left out; `curate prelabel` labels them." in found.notes


def test_a_picture_that_may_be_of_a_rare_class_comes_first_by_class_need(colours: Path) -> None:
    found = next_(colours, by="class-need", count=3, workers=1).picks

    assert {one.path.split("/")[1].split("_")[0] for one in found} == {"green"}
    assert "green has only 2 labelled pictures and this may be one" in found[0].why


def test_what_is_unlike_both_classes_is_less_sure_however_sure_the_model_is(tmp_path: Path) -> None:
    """One half of the picture is blue, the other red; the models are sure beyond .999 of each of the three."""
    for colour in ("blue", "red"):
        for number in range(12):
            write(tmp_path / "p" / colour / f"{number:02}.jpg", tinted(TINTS[colour], number))
        write(tmp_path / "p" / "_unlabeled" / f"{colour}.jpg", tinted(TINTS[colour], 100))
    both = Image.open(BytesIO(tinted(TINTS["blue"], 7)))
    both.paste(Image.open(BytesIO(tinted(TINTS["red"], 7))).crop((0, 0, 64, 96)), (0, 0))
    both.save(buffer := BytesIO(), "JPEG", quality=92)
    write(tmp_path / "p" / "_unlabeled" / "between.jpg", buffer.getvalue())
    library.clean(tmp_path / "p", workers=1)

    first = next_(tmp_path / "p", by="uncertainty", count=1, workers=1).picks[0]

    assert first.path == "_unlabeled/between.jpg"
    assert first.why.startswith("nothing like it is labelled yet; the nearest is ")


def test_the_reason_tells_between_which_classes_the_model_hesitates() -> None:
    """The picture is usual, and no class is rare."""
    said = np.array([[0.41, 0.39, 0.2]], np.float32)
    known = Known(
        ["cat", "dog", "rabbit"], np.array([9, 8, 7]), said, np.array([0]), np.array([0.9], np.float32), 0.5, ["a.jpg"]
    )

    assert why_label(known, 0, kin=0) == "the model hesitates between cat .41 and dog .39"


def test_without_any_label_typical_pictures_come_first_and_it_says_so(unlabelled: Path) -> None:
    found = next_(unlabelled, count=2, workers=1)

    assert {"blue" if int(one.path[:2]) < 10 else "red" for one in found.picks} == {"blue", "red"}
    assert [one.why for one in found.picks] == ["typical of 10 pictures like it", "typical of 5 pictures like it"]
    assert found.learned_from == 0
    assert found.notes[0].startswith("There are labels of no class, so no model can be asked yet")


@pytest.mark.parametrize("by", ["uncertainty", "class-need"])
def test_what_needs_a_model_is_refused_without_labels_of_two_classes(unlabelled: Path, by: str) -> None:
    with pytest.raises(SourceError, match="needs labels of at least two classes; there are 0") as refused:
        next_(unlabelled, by=by, workers=1)

    assert refused.value.hint == f"Begin with typical pictures: curate next {unlabelled} --by diversity"


def test_one_class_is_no_more_than_none(unlabelled: Path) -> None:
    record_decisions(unlabelled, ["00.jpg", "01.jpg"], "relabel", label="blue")
    library.clean(unlabelled, workers=1)

    found = next_(unlabelled, count=3, workers=1)

    assert found.learned_from == 0
    assert "There are labels of only the class 'blue'" in found.notes[0]
    assert "00.jpg" not in {one.path for one in found.picks}


def test_classes_of_one_picture_each_are_enough_to_begin(unlabelled: Path) -> None:
    record_decisions(unlabelled, ["00.jpg"], "relabel", label="blue")
    record_decisions(unlabelled, ["14.jpg"], "relabel", label="red")
    library.clean(unlabelled, workers=1)

    for by in WAYS:
        assert len(paths(unlabelled, by, count=4)) == 4


def test_a_label_accepted_from_a_model_unseen_teaches_nothing(colours: Path) -> None:
    before = next_(colours, workers=1).learned_from
    library.prelabel(colours, accept=True, changes={"prelabel.precision": 0.6}, workers=1)

    found = next_(colours, count=3, purpose="review", workers=1)

    assert found.learned_from == before == 26


def test_pictures_of_test_are_not_chosen_for_being_hard(colours: Path) -> None:
    """A test of hard pictures is no test of the world; a random choice stays one."""
    library.split(colours, workers=1)
    rows = library.table(colours)
    held = set(rows.loc[rows["label"].isna() & rows["split"].isin(["val", "test"]), "path"])

    found = next_(colours, count=100, workers=1)
    at_random = paths(colours, "random", count=100)

    assert held
    assert held.isdisjoint(one.path for one in found.picks)
    assert held <= set(at_random)
    assert any("unlabelled pictures of val and test are left out" in note for note in found.notes)


def test_a_wrong_label_is_the_first_to_review_and_no_more_once_reviewed(tmp_path: Path) -> None:
    for colour in ("blue", "red"):
        for number in range(12):
            write(tmp_path / "p" / colour / f"{number:02}.jpg", tinted(TINTS[colour], number))
    write(tmp_path / "p" / "red" / "wrong.jpg", tinted(TINTS["blue"], 50))
    library.clean(tmp_path / "p", workers=1)

    first = next_(tmp_path / "p", purpose="review", count=1, workers=1).picks[0]
    record_decisions(tmp_path / "p", ["red/wrong.jpg"], "relabel", label="blue")
    library.clean(tmp_path / "p", workers=1)

    assert (first.path, first.label, first.pred_label) == ("red/wrong.jpg", "red", "blue")
    assert "models that have not seen it say blue" in first.why
    assert "red/wrong.jpg" not in paths(tmp_path / "p", "combined", 100, "review")


def test_the_reason_for_a_review_is_what_flag_has_said(tmp_path: Path) -> None:
    for colour in ("blue", "red"):
        for number in range(12):
            write(tmp_path / "p" / colour / f"{number:02}.jpg", tinted(TINTS[colour], number))
    write(tmp_path / "p" / "red" / "wrong.jpg", tinted(TINTS["blue"], 50))
    library.clean(tmp_path / "p", workers=1)
    library.flag(tmp_path / "p", workers=1)

    first = next_(tmp_path / "p", purpose="review", count=1, workers=1).picks[0]

    assert first.path == "red/wrong.jpg"
    assert "of its 5 look-alikes 5 blue and 0 red" in first.why


@pytest.mark.parametrize(("purpose", "message"), [("label", "there is nothing to label"), ("review", "has a label")])
def test_nothing_to_choose_from_is_said(tmp_path: Path, purpose: str, message: str) -> None:
    for number in range(4):
        place = "red" if purpose == "label" else "_unlabeled"
        write(tmp_path / "p" / place / f"{number}.jpg", tinted(TINTS["red"], number))
    library.clean(tmp_path / "p", workers=1)

    with pytest.raises(SourceError, match=message):
        next_(tmp_path / "p", purpose=purpose, workers=1)


def test_an_unknown_way_is_refused_by_name(colours: Path) -> None:
    with pytest.raises(SettingsError, match="by can't be 'luck'"):
        next_(colours, by="luck")


def test_what_was_found_is_kept_for_the_report(colours: Path) -> None:
    found = next_(colours, count=2, workers=1)

    study = read_study(Project.at(colours), "next")
    assert study is not None
    assert (study.version_id, study.result) == (found.version.id, json.loads(json.dumps(found.as_dict())))


def test_a_list_for_a_labelling_tool_has_a_column_to_fill_in(colours: Path, tmp_path: Path, curate: Curate) -> None:
    done = curate("next", colours, "-n", "4", "--output", tmp_path / "todo.csv", "--workers", "1")

    rows = pd.read_csv(tmp_path / "todo.csv")
    assert done.code == 0
    assert list(rows.columns)[:3] == ["path", "label", "pred_label"]
    assert len(rows) == 4
    assert rows["label"].isna().all()
    assert rows["why"].notna().all()


def test_a_text_file_holds_the_paths_alone(colours: Path, tmp_path: Path, curate: Curate) -> None:
    curate("next", colours, "-n", "3", "--output", tmp_path / "todo.txt", "--workers", "1")

    assert (tmp_path / "todo.txt").read_text().splitlines() == paths(colours, "combined", 3)


def test_a_file_of_another_kind_is_refused_before_any_work(colours: Path, curate: Curate) -> None:
    done = curate("next", colours, "--output", "todo.xml")

    assert done.code == 2
    assert "expected .csv or .txt" in done.err


@pytest.mark.parametrize("purpose", ["label", "review"])
def test_the_screen_shows_reasons_thin_places_and_what_to_do_within_80_columns(
    colours: Path, curate: Curate, monkeypatch: pytest.MonkeyPatch, purpose: str
) -> None:
    monkeypatch.chdir(colours.parent)

    done = curate("next", "colours", "--for", purpose, "--workers", "1")

    assert (done.code, done.err) == (0, "")
    assert max(map(len, done.out.splitlines())) <= 80
    assert "Where the data is thin" in done.out
    assert "green" in done.out
    assert "curate decide colours" in done.out


def test_json_holds_the_same_as_the_library(colours: Path, curate: Curate) -> None:
    done = curate("next", colours, "-n", "2", "--by", "random", "--json", "--workers", "1")

    assert done.json == json.loads(json.dumps(next_(colours, count=2, by="random", workers=1).as_dict()))
    assert [one["why"] for one in done.json["pictures"]] == ["drawn at random", "drawn at random"]


# ---- The ways to choose, on numbers worked out by hand


def pool(angles: Sequence[float], learned: Sequence[int] = (), groups: Sequence[int] | None = None) -> Pool:
    """Points of the unit circle, by degrees; those not learned are free."""
    radians = np.radians(angles)
    known = np.isin(np.arange(len(angles)), learned)
    own = np.arange(len(angles)) if groups is None else np.array(groups)
    return Pool(np.stack([np.cos(radians), np.sin(radians)], axis=1).astype(np.float32), own, known, ~known)


def test_the_farthest_from_what_is_labelled_comes_first() -> None:
    """From 0 degrees, 180 is farthest; then 90, which is as far from both."""
    found = selection.by_distance(np.ones(4), pool([0, 40, 90, 180], learned=[0]), 2)

    assert found.rows.tolist() == [3, 2]


def test_of_copies_only_one_is_chosen() -> None:
    found = selection.by_score(np.array([3.0, 2.0, 1.0]), pool([0, 90, 180], groups=[0, 0, 1]), 3)

    assert found.rows.tolist() == [0, 2]


def test_of_pictures_that_show_the_same_only_one_is_chosen() -> None:
    """The cosine of 10 degrees is .985, that of 30 degrees .87."""
    found = selection.by_score(np.array([3.0, 2.0, 1.0]), pool([0, 10, 30]), 3)

    assert found.rows.tolist() == [0, 2]


def test_what_is_unsure_in_another_way_comes_before_what_is_unsure_in_the_same() -> None:
    """The second hesitates most but for the first, which it is like; the third lies elsewhere."""
    said = np.array([[0.5, 0.5], [0.52, 0.48], [0.6, 0.4]], np.float32)

    found = selection.by_gradient(said, pool([0, 25, 90]), 2, Need(np.ones(2), np.ones(2)))

    assert found.rows.tolist() == [0, 2]


def test_uncertainty_is_how_near_the_best_two_are() -> None:
    said = np.array([[0.5, 0.5, 0.0], [0.6, 0.3, 0.1], [1.0, 0.0, 0.0]], np.float32)

    assert selection.uncertainty(said).tolist() == pytest.approx([1.0, 0.7, 0.0])


def test_a_rare_class_and_an_ill_known_one_need_pictures_most() -> None:
    """1 / size x weight: 1/10, 2/10 for the ill-known one, 1/4 for the rare one."""
    need = Need(np.array([10, 10, 4]), np.array([1.0, 2.0, 1.0]))

    assert need.of(np.eye(3, dtype=np.float32)).tolist() == pytest.approx([0.1, 0.2, 0.25])


def test_a_class_that_gets_a_picture_needs_the_next_one_less() -> None:
    """Of classes of 2 and 3: first one of the first, 1/2; then both need 1/3, and the first in order comes."""
    said = np.eye(2, dtype=np.float32)[[0, 0, 0, 1, 1]]

    found = selection.by_need(said, pool([0, 60, 120, 180, 240]), 4, Need(np.array([2, 3]), np.ones(2)))

    assert found.rows.tolist() == [0, 1, 3, 2]


# ---- Where the data is thin


def test_a_rare_class_is_counted_with_and_without_copies() -> None:
    labels = np.array([0] * 30 + [1, 1, 1])
    groups = np.array([*range(30), 30, 30, 31])

    found = thinness.rare_classes(["cat", "rabbit"], labels, groups, np.array([5.0, 2.25]))

    assert found == [thinness.RareClass("rabbit", 3, 2, 2.2)]


def test_an_island_is_several_pictures_far_from_all_others_and_no_single_one() -> None:
    """Four pictures along the second axis, one along the third, two hundred around the first."""
    random = np.random.default_rng(0)
    centres = np.eye(3, 32)[[0] * 200 + [1] * 4 + [2]]
    vectors = (centres + random.normal(0, 0.05, centres.shape)).astype(np.float32)
    names = [f"{number:03}.jpg" for number in range(205)]
    alike = nearest(vectors, thinness.NEIGHBOURS)

    found = thinness.islands(vectors, alike, np.arange(205), names, [*["cat"] * 201, *[None] * 4])

    assert len(found) == 1
    assert (found[0].pictures, found[0].labelled, found[0].labels) == (4, 1, {"cat": 1})
    assert set(found[0].examples) < {"200.jpg", "201.jpg", "202.jpg", "203.jpg"}


def test_copies_alone_are_no_island() -> None:
    random = np.random.default_rng(0)
    vectors = random.normal(0, 0.05, (204, 32)).astype(np.float32)
    vectors[:200, 0] += 1
    vectors[200:, 1] += 1
    groups = np.array([*range(200), 200, 200, 200, 200])
    alike = nearest(vectors, thinness.NEIGHBOURS, groups=groups)

    assert thinness.islands(vectors, alike, groups, [str(row) for row in range(204)], [None] * 204) == []


def test_classes_taken_for_each_other_are_named_with_the_share() -> None:
    """Of three cats one is taken for a dog, of two dogs one for a cat; one bird for a cat is no pattern."""
    labels = np.array([0, 0, 0, 1, 1, 2])
    said = np.eye(3, dtype=np.float32)[[0, 0, 1, 1, 0, 0]]

    assert thinness.confusions(["cat", "dog", "bird"], labels, said) == [thinness.Confusion("cat", "dog", 2, 5)]
