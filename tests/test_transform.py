"""`Transform`: what can be asked for, what a version records of it, and where a picture goes."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from curate.transform import Placement, Transform, placement


def words(**values: object) -> str:
    """What pydantic says is wrong."""
    with pytest.raises(ValidationError) as caught:
        Transform(**values)
    return str(caught.value.errors()[0]["msg"])


@pytest.mark.parametrize(
    ("size", "expected"), [("224", (224, 224)), ("320x240", (320, 240)), (" 320X240 ", (320, 240)), (224, (224, 224))]
)
def test_a_size_is_one_number_or_two(size: str, expected: tuple[int, int]) -> None:
    """Also a bare number, as TOML has it."""
    transform = Transform(size=size)

    assert (transform.width, transform.height) == expected


@pytest.mark.parametrize("size", ["0", "0x5", "big", "-3", "224x", "x224", "1x2x3", "99999", "16383x16383", "2.5", ""])
def test_a_size_that_is_none_is_refused_in_words(size: str) -> None:
    assert words(size=size) == (
        "expected a size in px like 224 or 320x240, sides of 1 to 16383 and at most 178956970 px in all"
    )


@pytest.mark.parametrize("size", [True, 2.5, ["224"]])
def test_a_size_of_another_type_is_refused(size: object) -> None:
    assert words(size=size) == "Input should be a valid string"


def test_a_misspelt_setting_is_refused() -> None:
    assert words(siez="224") == "Extra inputs are not permitted"


def test_a_background_is_six_hexadecimal_digits() -> None:
    assert Transform(background="#FF8000").background_rgb == (255, 128, 0)
    assert words(background="red") == "expected a colour as #RRGGBB, like #ffffff for white"


def test_the_record_says_all_that_decides_pixels() -> None:
    assert Transform(size="224").as_dict() == {
        "algorithm": 1,
        "size": "224x224",
        "fit": "crop",
        "crop": "centre",
        "background": "#ffffff",
        "format": "jpeg",
        "quality": 95,
        "chroma": "444",
    }


def test_the_record_leaves_out_what_changes_nothing() -> None:
    """A PNG has no quality, and only a crop is cut somewhere."""
    png = Transform(size="224", fit="pad", format="png", quality=50, chroma="420", crop="smart")

    assert png.as_dict() == {
        "algorithm": 1,
        "size": "224x224",
        "fit": "pad",
        "background": "#ffffff",
        "format": "png",
    }
    assert png.identity == Transform(size="224x224", fit="pad", format="png").identity


def test_a_record_makes_the_same_transform_again() -> None:
    transform = Transform(size="320x240", fit="pad", background="#FF0000", format="webp", quality=80)

    assert Transform(**transform.as_dict()).as_dict() == transform.as_dict()


def test_nothing_is_recorded_without_a_size() -> None:
    assert Transform().as_dict() == {}


def test_the_identity_is_the_same_on_every_machine() -> None:
    """If this fails, pixels changed without a new ALGORITHM, or every project will normalize anew."""
    assert Transform(size="224").identity == "32701fe8c9f0ea0b"


@pytest.mark.parametrize(
    "other",
    [
        {"size": "225"},
        {"fit": "pad"},
        {"crop": "smart"},
        {"background": "#000000"},
        {"format": "png"},
        {"quality": 94},
        {"chroma": "420"},
    ],
)
def test_every_setting_makes_another_identity(other: dict[str, str]) -> None:
    assert Transform(**{"size": "224", **other}).identity != Transform(size="224").identity


@pytest.mark.parametrize(
    ("size", "box", "fit", "expected"),
    [
        ((400, 300), (100, 100), "crop", Placement(50, 0, 300, 300, 100, 100)),
        ((300, 400), (100, 100), "crop", Placement(0, 50, 300, 300, 100, 100)),
        ((400, 300), (200, 100), "crop", Placement(0, 50, 400, 200, 200, 100)),
        ((400, 300), (100, 100), "pad", Placement(0, 0, 400, 300, 100, 75)),
        ((400, 300), (100, 100), "longest", Placement(0, 0, 400, 300, 100, 75)),
        ((40, 30), (100, 100), "longest", Placement(0, 0, 40, 30, 100, 75)),
        ((300, 400), (160, 100), "longest", Placement(0, 0, 300, 400, 75, 100)),
        ((400, 300), (100, 100), "stretch", Placement(0, 0, 400, 300, 100, 100)),
        ((10_000, 1), (100, 100), "longest", Placement(0, 0, 10_000, 1, 100, 1)),
        ((10_000, 1), (1, 100), "crop", Placement(4999.5, 0, 1, 1, 1, 100)),
    ],
)
def test_where_a_picture_goes(size: tuple[int, int], box: tuple[int, int], fit: str, expected: Placement) -> None:
    assert placement(*size, box, fit) == expected


def test_shrinking_counts_the_side_that_has_fewer_pixels() -> None:
    """A stretched picture must not lose detail along one side for the other's sake."""
    assert placement(400, 100, (100, 100), "stretch").shrinking == 1.0
