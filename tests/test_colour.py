"""`to_srgb`: colour profiles count, and those that can't are noted."""

from __future__ import annotations

import pytest
from PIL import Image

from curate.colour import to_srgb
from profiles import BRIGHTER, INKS, SRGB, SWAPPED

RED = (255, 0, 0)


def converted(mode: str, colour: object, profile: bytes) -> tuple[object, str]:
    """The first pixel in sRGB, and the note."""
    image, note = to_srgb(Image.new(mode, (4, 3), colour), profile)  # type: ignore[arg-type]  # a number or a tuple
    return image.getpixel((0, 0)), note


def test_an_rgb_profile_counts() -> None:
    """Littlecms rounds; without the profile, the red would stay red."""
    pixel, note = converted("RGB", RED, SWAPPED)

    assert pixel == pytest.approx((0, 255, 0), abs=2)
    assert note == ""


def test_a_grey_profile_counts() -> None:
    """Gamma 1: 128 is half the light, which is 188 in sRGB."""
    assert converted("L", 128, BRIGHTER) == ((188, 188, 188), "")


def test_a_cmyk_profile_counts() -> None:
    """In this profile, all inks are black."""
    pixel, note = converted("CMYK", (255, 0, 0, 0), INKS)

    assert pixel == pytest.approx((0, 0, 0), abs=2)
    assert note == ""
    assert converted("CMYK", (0, 0, 0, 0), INKS)[0] == pytest.approx((255, 255, 255), abs=2)


def test_cmyk_without_a_profile_is_what_pillow_makes_of_it() -> None:
    assert converted("CMYK", (255, 0, 0, 0), b"") == ((0, 255, 255), "")


def test_srgb_changes_not_one_value() -> None:
    """A conversion from sRGB to sRGB would round some values away."""
    ramp = Image.frombytes("RGB", (256, 256), bytes(range(256)) * 768)

    assert to_srgb(ramp, SRGB)[0].tobytes() == ramp.tobytes()


def test_a_grey_picture_may_have_an_rgb_profile() -> None:
    """Editors write that; grey has no red and green to swap."""
    pixel, note = converted("L", 100, SWAPPED)

    assert pixel == pytest.approx((100, 100, 100), abs=1)
    assert note == ""


@pytest.mark.parametrize(("mode", "colour"), [("RGBA", (255, 0, 0, 77)), ("LA", (128, 77))])
def test_transparency_stays_as_it_is(mode: str, colour: tuple[int, ...]) -> None:
    pixel, _ = converted(mode, colour, SWAPPED if mode == "RGBA" else BRIGHTER)

    assert pixel == pytest.approx((0, 255, 0, 77) if mode == "RGBA" else (188, 188, 188, 77), abs=2)


@pytest.mark.parametrize(
    ("mode", "profile", "note"),
    [
        ("RGB", b"no profile", "its colour profile is damaged and was ignored"),
        ("RGB", SRGB[:200], "its colour profile is damaged and was ignored"),
        ("RGB", INKS, "its colour profile is for CMYK and not for RGB, and was ignored"),
        ("RGB", BRIGHTER, "its colour profile is for grey and not for RGB, and was ignored"),
        ("CMYK", SRGB, "its colour profile is for RGB and not for CMYK, and was ignored"),
        ("RGB", SRGB.replace(b"RGB ", b"HSV "), "its colour profile is for the colours HSV and was ignored"),
    ],
)
def test_a_profile_that_cannot_be_used_is_ignored_and_noted(mode: str, profile: bytes, note: str) -> None:
    colour = (10, 20, 30) if mode == "RGB" else (245, 235, 225, 0)

    assert converted(mode, colour, profile) == ((10, 20, 30), note)


def test_nothing_of_the_file_stays_but_its_pixels() -> None:
    """Pillow hands `info` on, and would write the profile in it to the next file."""
    image = Image.new("RGB", (4, 3))
    image.info["icc_profile"] = SRGB

    assert to_srgb(image, SRGB)[0].info == {}
    assert to_srgb(image, SWAPPED)[0].info == {}
    assert to_srgb(image, b"")[0].info == {}
