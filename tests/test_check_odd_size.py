"""odd_size: pictures far smaller or larger than the rest of the folder, and tiny ones."""

from __future__ import annotations

import pandas as pd
import pytest

from curate.checks.odd_size import CHECK, Settings, judge

Size = tuple[int | None, int | None]


def table_of(*sizes: Size) -> pd.DataFrame:
    return pd.DataFrame(sizes, columns=["width", "height"]).astype("Int64")


def flagged(*sizes: Size) -> list[Size]:
    found = judge(table_of(*sizes), Settings())["odd_size"]
    return [size for size, odd in zip(sizes, found, strict=True) if odd]


USUAL: list[Size] = [(500, 375)] * 20


def test_flags_thumbnails_and_giants_among_photographs() -> None:
    """100 x 75 is a fifth of the usual size, 4000 x 3000 eight times."""
    assert flagged(*USUAL, (100, 75), (4000, 3000)) == [(100, 75), (4000, 3000)]


@pytest.mark.parametrize("size", [(510, 375), (375, 500), (130, 100), (1900, 1400)])
def test_a_little_off_is_not_odd(size: Size) -> None:
    """Also in a folder where all others have one size; up to four times under or over it."""
    assert flagged(*USUAL, size) == []


def test_a_folder_of_many_sizes_has_no_odd_one() -> None:
    """Sizes from 100 to 3200 px, doubling: each lies within three interquartile ranges of the median."""
    sides = [100, 200, 400, 800, 1600, 3200] * 3

    assert flagged(*[(side, side) for side in sides]) == []


def test_few_pictures_have_no_usual_size() -> None:
    """Nine readable pictures are too few, ten are enough; unreadable files do not count."""
    nine = [*USUAL[:8], (4000, 3000)]

    assert flagged(*nine, (None, None), (None, None)) == []
    assert flagged(*nine, (500, 375)) == [(4000, 3000)]


def test_tiny_pictures_are_odd_in_any_folder() -> None:
    """A shorter side under 32 px: an icon, a tracking pixel, a strip."""
    assert flagged((500, 375), (500, 375), (1, 1), (500, 31), (32, 32)) == [(1, 1), (500, 31)]


def test_a_set_of_tiny_pictures_is_left_alone() -> None:
    """MNIST is 28 x 28 throughout."""
    assert flagged(*[(28, 28)] * 20, (20, 28)) == []


def test_reports_the_size_relative_to_the_usual_one() -> None:
    """sqrt(50 * 50 / (100 * 100)) = 0.5; nothing for a file that could not be read."""
    ratio = judge(table_of((100, 100), (100, 100), (50, 50), (None, None)), Settings())["size_ratio"]

    assert ratio.tolist()[:3] == [1, 1, pytest.approx(0.5)]
    assert ratio.isna().tolist() == [False, False, False, True]


def test_is_a_note_unless_the_user_says_otherwise() -> None:
    assert Settings().action == "note"


def test_says_how_far_off_the_size_is() -> None:
    sentence = CHECK.because.format(width=100, height=75, size_ratio=0.2, settings=Settings())

    assert sentence == (
        "it is 100 x 75 px, 0.2 times the folder's median size (odd beyond a factor of 4, or under 32 px)"
    )
