"""Pictures that belong together are found by copies, bursts, films and the user's columns."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

import curate
from curate.belonging import Belonging, Groups, belonging_groups, near_pairs
from curate.content_keys import content_keys
from curate.errors import SettingsError
from curate.neighbours import COLUMNS

NOON = datetime(2026, 3, 1, 12)
NO_RULES = Belonging(burst_s=0, sequences="off")


def table_of(paths: Sequence[str], **columns: Sequence[Any]) -> pd.DataFrame:
    """Rows of different contents, unless the columns say otherwise."""
    return pd.DataFrame({"path": list(paths), "sha256": [f"content {path}" for path in paths], **columns})


def shots(seconds: Sequence[float | None], cameras: Sequence[str | None]) -> Groups:
    """Pictures taken so many seconds after noon, None = unknown."""
    table = table_of([f"{number}.jpg" for number in range(len(seconds))])
    taken = [None if second is None else NOON + timedelta(seconds=second) for second in seconds]
    columns = {
        "taken_at": pd.Series(taken, table["sha256"], "datetime64[us]"),
        "camera": pd.Series(list(cameras), table["sha256"], "str"),
    }
    return belonging_groups(table, pd.DataFrame(columns), Belonging())


def films(*paths: str, **columns: Sequence[Any]) -> list[int]:
    return list(belonging_groups(table_of(paths, **columns), None, Belonging()).ids)


# ---- Copies


def test_the_same_bytes_belong_together() -> None:
    table = table_of(["a", "b", "c"])
    table["sha256"] = ["1", "2", "1"]

    assert belonging_groups(table, None, NO_RULES).ids.tolist() == [0, 1, 0]


def test_pictures_without_content_belong_to_nothing() -> None:
    """A file that could not be read has no sha256; two of them are not copies."""
    table = table_of(["a", "b"])
    table["sha256"] = pd.Series(["", None], dtype="str")

    assert belonging_groups(table, None, NO_RULES).ids.tolist() == [0, 1]


def test_a_group_of_duplicates_belongs_together() -> None:
    table = table_of(["a", "b", "c", "d"], duplicate_group=["a", None, "a", None])

    assert belonging_groups(table, None, NO_RULES).ids.tolist() == [0, 1, 0, 2]


def test_a_copy_belongs_to_its_original() -> None:
    table = table_of(["a", "b", "c"], exact_copy_of=[None, "a", None], near_copy_of=[None, None, "gone"])

    assert belonging_groups(table, None, NO_RULES).ids.tolist() == [0, 0, 1]


def test_look_alikes_of_two_groups_are_one_group() -> None:
    """a is like b and c like d; b and c, which are no copies of the best, are alike."""
    table = table_of(["a", "b", "c", "d"], duplicate_group=["a", "a", "d", "d"])

    assert belonging_groups(table, None, NO_RULES, [(1, 2)]).ids.tolist() == [0, 0, 0, 0]


def test_near_pairs_are_those_of_the_relations_that_are_alike_enough() -> None:
    digests = [f"{digit}" * 64 for digit in "1234"]
    table = table_of(["a", "b", "c", "d"], sha256=[*digests[:3], None])
    one, two, three, gone = content_keys(digests)
    pairs = {"one": [one, one, two, three], "other": [two, three, gone, three], "similarity": [0.9, 0.5, 0.9, np.nan]}
    relations = pd.DataFrame({**pairs, "nearness": 0.9, "kind": 0})[list(COLUMNS)].astype(COLUMNS)

    assert near_pairs(table, relations, 0.82) == [(0, 1)]


def test_the_duplicates_that_clean_finds_belong_together(photos: Any) -> None:
    """On the table of a real run."""
    (photos / "dogs" / "again.jpg").write_bytes((photos / "cats" / "0.jpg").read_bytes())
    table = curate.clean(photos).table

    groups = belonging_groups(table, None, NO_RULES)

    together = table["path"][groups.ids == groups.ids[table["path"].tolist().index("cats/0.jpg")]]
    assert sorted(together) == ["cats/0.jpg", "dogs/again.jpg"]


# ---- Bursts


def test_shots_of_one_camera_seconds_apart_are_a_burst() -> None:
    assert shots([0, 3.5, 100, 103], ["x"] * 4).ids.tolist() == [0, 0, 1, 1]


def test_ten_seconds_are_a_burst_and_eleven_are_not() -> None:
    assert shots([0, 10, 21], ["x"] * 3).ids.tolist() == [0, 0, 1]


def test_a_burst_goes_on_from_shot_to_shot() -> None:
    assert shots([0, 8, 16, 24], ["x"] * 4).ids.tolist() == [0, 0, 0, 0]


def test_two_cameras_at_once_are_two_bursts() -> None:
    assert shots([0, 1, 2, 3], ["x", "y", "x", "y"]).ids.tolist() == [0, 1, 0, 1]


def test_pictures_of_unknown_time_are_in_no_burst() -> None:
    assert shots([0, None, None, 1], ["x"] * 4).ids.tolist() == [0, 1, 2, 0]


def test_where_the_camera_is_unknown_the_folder_stands_for_it() -> None:
    table = table_of(["a/1.jpg", "b/2.jpg", "a/3.jpg"])
    cameras = pd.Series([None] * 3, table["sha256"], "str")
    captures = pd.DataFrame({"taken_at": [NOON] * 3, "camera": cameras}, index=table["sha256"])

    assert belonging_groups(table, captures, Belonging()).ids.tolist() == [0, 1, 0]


def test_a_time_lapse_is_cut_every_quarter_of_an_hour_and_it_is_told() -> None:
    """One shot each 5 seconds for an hour: 720 in 4 groups."""
    groups = shots(list(range(0, 3600, 5)), ["x"] * 720)

    assert np.bincount(groups.ids).tolist() == [180, 180, 180, 180]
    (note,) = groups.notes
    assert note.startswith("1 burst of over 900 seconds had to be cut")


def test_times_of_a_clock_that_stands_still_are_not_used() -> None:
    """Hundreds of pictures of the same second were not taken in it."""
    groups = shots([0] * 121 + [1000, 1001], ["x"] * 123)

    assert len(set(groups.ids.tolist())) == 122
    assert groups.notes[0].startswith("121 pictures bear the same second")


def test_copies_of_one_shot_do_not_stop_the_clock() -> None:
    """200 files of one content are one picture."""
    table = table_of([f"{number}.jpg" for number in range(201)])
    table["sha256"] = ["same"] * 200 + ["next"]
    captures = pd.DataFrame({"taken_at": [NOON, NOON], "camera": ["x", "x"]}, index=["same", "next"])

    assert set(belonging_groups(table, captures, Belonging()).ids.tolist()) == {0}


def test_bursts_may_be_parted() -> None:
    table = table_of(["1.jpg", "2.jpg"])
    captures = pd.DataFrame({"taken_at": [NOON, NOON], "camera": ["x", "x"]}, index=table["sha256"])

    assert belonging_groups(table, captures, Belonging(burst_s=0)).ids.tolist() == [0, 1]


# ---- Films


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("clip12_frame_0001.jpg", "clip12_frame_9000.jpg"),
        ("clip12-frame1.png", "clip12-frame2.png"),
        ("Clip12.Frames.1.jpg", "clip12.frames.2.jpg"),
        ("frame_000025.png", "frame_000050.png"),
        ("garden.mp4_000001.jpg", "garden.mp4_000900.jpg"),
        ("garden.MOV-frame17.jpg", "garden.MOV-frame99.jpg"),
        ("IMG_20240501_120000_BURST001.jpg", "IMG_20240501_120000_BURST014.jpg"),
        ("00000IMG_00000_BURST20240501120000123_COVER.jpg", "00001IMG_00001_BURST20240501120000123.jpg"),
    ],
)
def test_frames_of_a_film_belong_together(one: str, other: str) -> None:
    assert films(f"day/{one}", f"day/{other}") == [0, 0]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("IMG_0001.jpg", "IMG_0002.jpg"),
        ("20260301_103946.jpg", "20260301_103947.jpg"),
        ("image_0001.jpg", "image_0002.jpg"),
        ("cat.122.jpg", "cat.123.jpg"),
        ("DSC00001.JPG", "DSC00002.JPG"),
        ("frame_000025.png", "frame_014775.png"),
        ("clip1_frame_1.jpg", "clip2_frame_2.jpg"),
        ("doorframe_1.jpg", "doorframe_2.jpg"),
        ("frame_.jpg", "frame.jpg"),
        ("sunburst1.jpg", "sunburst2.jpg"),
    ],
)
def test_other_names_are_of_no_film(one: str, other: str) -> None:
    """Cameras and collections number their pictures whatever they show."""
    assert films(f"day/{one}", f"day/{other}") == [0, 1]


def test_films_of_two_folders_are_two_films() -> None:
    assert films("monday/clip_frame_1.jpg", "tuesday/clip_frame_2.jpg") == [0, 1]


def test_a_film_that_the_source_has_split_is_one_film() -> None:
    """train/cat and val/cat are one folder, cut by somebody."""
    paths = ("train/cat/clip_frame_1.jpg", "validation/cat/clip_frame_2.jpg")

    assert films(*paths, given_split=["train", "val"]) == [0, 0]


def test_a_class_of_picture_frames_is_no_film() -> None:
    assert films("picture frame/picture_frame_1.jpg", "picture frame/picture_frame_2.jpg") == [0, 1]
    assert films("picture_frame_1.jpg", "picture_frame_2.jpg", label=["Picture frame"] * 2) == [0, 1]


def test_films_may_be_parted() -> None:
    table = table_of(["clip_frame_1.jpg", "clip_frame_2.jpg"])

    assert belonging_groups(table, None, Belonging(sequences="off")).ids.tolist() == [0, 1]


# ---- Columns


def test_equal_values_of_a_column_belong_together_and_empty_ones_do_not() -> None:
    table = table_of(["a", "b", "c", "d", "e"], patient=["7", " ", "7 ", None, ""])

    assert belonging_groups(table, None, Belonging(by=("patient",))).ids.tolist() == [0, 1, 0, 2, 3]


def test_numbers_do_as_well() -> None:
    table = table_of(["a", "b", "c"], site=[1, 2, 1])

    assert belonging_groups(table, None, Belonging(by=("site",))).ids.tolist() == [0, 1, 0]


def test_a_column_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(SettingsError, match="There is no column 'patient'") as error:
        belonging_groups(table_of(["a"]), None, Belonging(by=("patient",)))

    assert error.value.hint == "Name one of: path, sha256."


# ---- Together


def test_rules_add_up() -> None:
    """a is a copy of b, which is of the patient of c."""
    table = table_of(["a", "b", "c", "d"], exact_copy_of=["b", None, None, None], patient=[None, "7", "7", "8"])

    groups = belonging_groups(table, None, Belonging(by=("patient",)))

    assert groups.ids.tolist() == [0, 0, 0, 1]
    assert groups.reasons == {0: "copies of one picture, together by patient"}
    assert str(groups) == "2 pictures in 1 group of copies, 2 pictures in 1 group by patient"


def test_groups_are_numbered_as_they_come() -> None:
    table = table_of(["z", "a", "y", "b"], patient=["2", "1", "2", "1"])

    assert belonging_groups(table, None, Belonging(by=("patient",))).ids.tolist() == [0, 1, 0, 1]


def test_no_pictures_have_no_groups() -> None:
    assert belonging_groups(table_of([]).astype("str"), None, Belonging()).ids.tolist() == []


def test_pictures_alone_are_said_to_be_alone() -> None:
    assert str(belonging_groups(table_of(["a", "b"]), None, Belonging())) == "no pictures that belong together"
