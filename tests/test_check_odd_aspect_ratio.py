"""odd_aspect_ratio: pictures much longer than wide, or the reverse."""

from __future__ import annotations

import pandas as pd
import pytest

from curate.checks.odd_aspect_ratio import CHECK, Settings, judge


def table_of(*sizes: tuple[int | None, int | None]) -> pd.DataFrame:
    return pd.DataFrame(sizes, columns=["width", "height"]).astype("Int64")


@pytest.mark.parametrize("size", [(1000, 300), (300, 1000), (1, 500)])
def test_flags_pictures_beyond_one_to_three(size: tuple[int, int]) -> None:
    """Lying or standing; a line of pixels is the extreme."""
    assert judge(table_of(size), Settings())["odd_aspect_ratio"].tolist() == [True]


@pytest.mark.parametrize("size", [(500, 375), (1, 1), (1920, 800), (1080, 2640), (900, 300)])
def test_leaves_photographs_and_screens_alone(size: tuple[int, int]) -> None:
    """4:3, a square, cinema, a long phone, and 3:1 itself."""
    assert judge(table_of(size), Settings())["odd_aspect_ratio"].tolist() == [False]


def test_reports_shorter_over_longer_side() -> None:
    """300 / 1000 either way round, and nothing for a file that could not be read."""
    ratio = judge(table_of((1000, 300), (300, 1000), (None, None)), Settings())["aspect_ratio"]

    assert ratio.round(6).tolist()[:2] == [pytest.approx(0.3), pytest.approx(0.3)]
    assert ratio.isna().tolist() == [False, False, True]


def test_threshold_can_be_changed() -> None:
    """16:9 is 0.5625."""
    settings = Settings(min_aspect_ratio=0.6)

    assert judge(table_of((1920, 1080), (1600, 1200)), settings)["odd_aspect_ratio"].tolist() == [True, False]


def test_is_a_note_unless_the_user_says_otherwise() -> None:
    assert Settings().action == "note"


def test_says_which_sides_are_odd() -> None:
    sentence = CHECK.because.format(width=1000, height=300, aspect_ratio=0.3, settings=Settings())

    assert sentence == "its sides are 1000 x 300 px, a ratio of 0.30 (odd below 0.33)"
