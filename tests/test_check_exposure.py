"""What the checks `underexposed`, `overexposed`, `low_information` and `grayscale` flag, and what they leave alone."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from curate.checks import Check
from curate.checks.grayscale import CHECK as GRAYSCALE
from curate.checks.low_information import CHECK as LOW_INFORMATION
from curate.checks.overexposed import CHECK as OVEREXPOSED
from curate.checks.overexposed import backdrop, burnt_out, washed_out
from curate.checks.underexposed import CHECK as UNDEREXPOSED
from curate.checks.underexposed import darkness, unused_range
from curate.exposure import percentile
from curate.imaging import open_image

CHECKS = (UNDEREXPOSED, OVEREXPOSED, LOW_INFORMATION, GRAYSCALE)


def facts_of(picture: Image.Image, file_format: str = "PNG") -> dict[str, Any]:
    file = BytesIO()
    picture.save(file, file_format)
    image = open_image(file.getvalue())
    return {name: value for check in CHECKS for name, value in check.measure(image).items()}


def flags(picture: Image.Image, file_format: str = "PNG") -> set[str]:
    """The names of the four checks that flag the picture, by their default settings."""
    table = pd.DataFrame([facts_of(picture, file_format)])
    return {check.name for check in CHECKS if judged(check, table).iloc[0]}


def judged(check: Check, table: pd.DataFrame, **settings: object) -> pd.Series[bool]:
    return check.judge(table, check.settings.model_validate(settings))[check.name]


def daylight(ev: float = 0) -> Image.Image:
    """A coloured, textured scene under a light sky, exposed by `ev` stops more or less than well."""
    rng = np.random.default_rng(3)
    sky = np.linspace(205, 165, 100)[:, None, None] * np.array([0.85, 0.93, 1.0]) * np.ones((100, 360, 1))
    ground = rng.normal(0, 12, (140, 360, 3)) + np.linspace(50, 170, 360)[None, :, None] * np.array([0.9, 1.0, 0.6])
    scene = np.concatenate([sky, ground]).clip(0, 255)
    light = (scene / 255) ** 2.2 * 2.0**ev
    return Image.fromarray((255 * light.clip(0, 1) ** (1 / 2.2)).round().astype(np.uint8))


def flat(grey: int, width: int = 320, height: int = 240) -> Image.Image:
    return Image.new("RGB", (width, height), (grey, grey, grey))


def on_backdrop(grey: int) -> Image.Image:
    """A well-lit object, a ramp of all tones in warm colours, before an even backdrop around it."""
    picture = flat(grey)
    tones = np.linspace(30, 220, 140)[None, :, None] * np.array([1.0, 0.85, 0.7]) * np.ones((120, 1, 1))
    picture.paste(Image.fromarray(tones.astype(np.uint8)), (90, 60))
    return picture


def cumulated(**pixels_by_value: int) -> NDArray[np.float64]:
    """Number of pixels up to each value, as `counts_up_to` gives it."""
    counts = np.zeros(256)
    for value, pixels in pixels_by_value.items():
        counts[int(value.removeprefix("v"))] = pixels
    return counts.cumsum()


# --- the scene and its faults ---------------------------------------------------------------------------------


def test_a_well_exposed_scene_is_not_flagged() -> None:
    assert flags(daylight()) == set()


@pytest.mark.parametrize("ev", [-1, 1])
def test_one_stop_off_is_not_flagged(ev: float) -> None:
    assert flags(daylight(ev)) == set()


@pytest.mark.parametrize("ev", [-3, -4, -5])
def test_three_stops_too_little_light_is_underexposed(ev: float) -> None:
    assert "underexposed" in flags(daylight(ev))


@pytest.mark.parametrize("ev", [3, 4])
def test_three_stops_too_much_light_is_overexposed(ev: float) -> None:
    assert flags(daylight(ev)) == {"overexposed"}


def test_saving_as_jpeg_changes_no_verdict() -> None:
    assert flags(daylight(-3), "JPEG") == {"underexposed"}
    assert flags(daylight(3), "JPEG") == {"overexposed"}


# --- underexposed ---------------------------------------------------------------------------------------------


def test_a_lamp_does_not_hide_that_the_room_is_dark() -> None:
    room = daylight(-4)
    ImageDraw.Draw(room).ellipse((150, 60, 210, 120), fill=(255, 250, 240))  # 3 % of the picture

    assert "underexposed" in flags(room)


def test_a_black_backdrop_is_not_underexposure() -> None:
    assert flags(on_backdrop(0)) == set()


def test_a_deep_colour_is_not_underexposure() -> None:
    """Pure blue of 200 has a luma of 23, yet its channel is well exposed."""
    ramp = np.zeros((240, 320, 3), np.uint8)
    ramp[..., 2] = np.linspace(120, 250, 320).astype(np.uint8)

    assert "underexposed" not in flags(Image.fromarray(ramp))


def test_a_grey_wall_as_cameras_meter_it_is_not_underexposed() -> None:
    """Meters make everything 18 % grey, 118 in sRGB: no fault of the exposure."""
    assert flags(flat(118)) == {"low_information", "grayscale"}


def test_a_headlit_sign_at_night_is_not_underexposure() -> None:
    """The sky is black but for the sensor's noise; the sign covers 7 %, the lit road 33 %."""
    night = np.random.default_rng(7).normal(6, 2, (240, 320, 3)).clip(0, 255).astype(np.uint8)
    night[160:] = np.linspace(60, 150, 80).astype(np.uint8)[:, None, None]
    night[40:120, 120:190] = (40, 90, 210)

    assert "underexposed" not in flags(Image.fromarray(night))


def test_a_dark_room_is_underexposed_in_spite_of_a_bright_window() -> None:
    """Three quarters are at most 60 of 255, which is 4.6 stops below white; the window takes the rest."""
    room = np.random.default_rng(8).normal(35, 8, (240, 320, 3)).clip(15, 60).astype(np.uint8)
    room[40:160, 100:260] = 240  # 25 % of the picture

    assert "underexposed" in flags(Image.fromarray(room))


def test_darkness_counts_tones_up_to_32_whole_and_up_to_96_partly() -> None:
    """Of 100 pixels: 20 black, left out; of the other 80, 40 count whole, 20 at 64 count half, 20 not at all."""
    counts = cumulated(v0=10, v15=10, v32=40, v64=20, v96=20)

    assert darkness(counts) == (40 + 20 / 2) / 80


def test_black_is_up_to_twice_the_darkest_fiftieth_but_from_16_to_32_at_most() -> None:
    """The darkest fiftieth at 12 makes all below 24 black, at 31 all below 32, at 2 all below 16."""
    assert darkness(cumulated(v12=2, v23=50, v96=48)) == 0
    assert darkness(cumulated(v12=2, v24=48, v96=50)) == 48 / 98
    assert darkness(cumulated(v31=50, v96=50)) == 0
    assert darkness(cumulated(v32=50, v96=50)) == 0.5
    assert darkness(cumulated(v2=2, v16=49, v96=49)) == 0.5


def test_a_picture_that_is_black_all_over_is_as_dark_as_can_be() -> None:
    assert darkness(cumulated(v0=99, v255=1)) == 1.0


def test_unused_range_is_measured_in_stops_below_white() -> None:
    """In sRGB a stop down divides by 2^(1/2.2) = 1.37: 255, 186, 136, 99; a stop is 0.22."""
    assert unused_range(cumulated(v255=100)) == 0
    assert unused_range(cumulated(v136=100)) == pytest.approx(0.44, abs=0.01)
    assert unused_range(cumulated(v99=100)) == pytest.approx(0.66, abs=0.01)
    assert unused_range(cumulated(v0=100)) == 1


def test_unused_range_ignores_the_brightest_three_percent() -> None:
    assert unused_range(cumulated(v99=97, v255=3)) == pytest.approx(0.66, abs=0.01)
    assert unused_range(cumulated(v99=96, v255=4)) == 0


def test_a_percentile_is_the_value_that_enough_pixels_do_not_exceed() -> None:
    counts = cumulated(v10=50, v20=49, v30=1)

    assert [percentile(counts, share) for share in (0.01, 0.5, 0.51, 0.99, 1.0)] == [10, 10, 20, 20, 30]


# --- overexposed ----------------------------------------------------------------------------------------------


def test_a_white_backdrop_is_not_overexposure() -> None:
    assert flags(on_backdrop(255)) == set()


def test_a_framed_white_backdrop_is_not_overexposure() -> None:
    framed = on_backdrop(255)
    ImageDraw.Draw(framed).rectangle((0, 0, 319, 239), outline=(0, 0, 0), width=6)

    assert "overexposed" not in flags(framed)


def test_a_backdrop_darkened_towards_the_corners_is_not_overexposure() -> None:
    """White from 255 in the middle to 230 in the corners, as lenses shade it: nearly white, so still a backdrop."""
    shade = np.hypot(*np.meshgrid(np.linspace(-1, 1, 320), np.linspace(-1, 1, 240))) / np.sqrt(2)
    lens = np.asarray(on_backdrop(255)) * (1 - 0.1 * shade[..., None] ** 2)

    assert "overexposed" not in flags(Image.fromarray(lens.round().astype(np.uint8)))


def test_a_street_before_a_white_sky_is_not_overexposure() -> None:
    """A third is pure white and no shadow is below 60, but the middle tones are where they should be."""
    street = np.random.default_rng(9).normal(115, 15, (240, 320, 3)).clip(60, 200).astype(np.uint8)
    street[:80] = 255

    assert "overexposed" not in flags(Image.fromarray(street))


def test_light_in_a_window_is_not_overexposure_while_shadows_are_dark() -> None:
    room = daylight(-1)
    ImageDraw.Draw(room).rectangle((120, 60, 240, 180), fill=(255, 255, 255))  # 17 % of the picture

    assert "overexposed" not in flags(room)


def test_a_backdrop_is_white_along_the_edge_or_a_tenth_inside() -> None:
    framed = np.ones((100, 100), bool)
    framed[:5] = framed[-5:] = framed[:, :5] = framed[:, -5:] = False

    assert backdrop(np.ones((100, 100), bool)) == 1
    assert backdrop(framed) == 1
    assert backdrop(np.zeros((100, 100), bool)) == 0


def test_washed_out_takes_glare_and_light_shadows_and_a_light_median() -> None:
    """0.1 of the picture, luma 55 and luma 165 are the edges of the usual: each is 0.5, and the least counts."""
    assert washed_out(glare=0.1, shadows=55, median=165) == 0.5
    assert washed_out(glare=0.05, shadows=55, median=165) == 0.25
    assert washed_out(glare=0.3, shadows=11, median=255) == pytest.approx(0.1)
    assert washed_out(glare=0.3, shadows=100, median=33) == pytest.approx(0.1)


def test_burnt_out_is_relative_to_what_is_no_backdrop() -> None:
    """Three tenths of it are the edge of the usual. A picture that is backdrop all over has lost nothing."""
    assert burnt_out(lost=0.30, sound=0.70) == pytest.approx(0.5)
    assert burnt_out(lost=0.15, sound=0.35) == pytest.approx(0.5)
    assert burnt_out(lost=0, sound=0) == 0


def test_a_pale_backdrop_is_not_overexposure() -> None:
    """Pale yellow has its red channel at the end, on purpose."""
    picture = on_backdrop(255)
    pale = np.asarray(picture).copy()
    pale[(pale == 255).all(axis=2)] = (255, 250, 200)

    assert "overexposed" not in flags(Image.fromarray(pale))


# --- labels ---------------------------------------------------------------------------------------------------


def test_an_exempt_label_is_never_flagged() -> None:
    table = pd.DataFrame({"underexposure": [0.9, 0.9, 0.9], "label": ["xray", "cat", pd.NA]})

    assert list(judged(UNDEREXPOSED, table, exempt_labels=("xray",))) == [False, True, True]


def test_folders_without_labels_are_judged_by_the_threshold() -> None:
    table = pd.DataFrame({"underexposure": [0.9, 0.5]})

    assert list(judged(UNDEREXPOSED, table, exempt_labels=("xray",), compare_within_label=True)) == [True, False]


def test_unreadable_pictures_are_not_flagged() -> None:
    table = pd.DataFrame({"underexposure": pd.array([pd.NA, 0.9], "Float32"), "label": ["cat", "cat"]})

    assert list(judged(UNDEREXPOSED, table)) == [False, True]


def test_a_class_that_is_dark_as_a_whole_is_kept_when_compared_with_itself() -> None:
    """Median 0.85, median absolute deviation 0.02: up to 0.85 + 3 * 1.4826 * 0.02 = 0.94 is usual."""
    night = [0.80, 0.82, 0.83, 0.84, 0.85, 0.85, 0.86, 0.87, 0.88, 0.89, 0.99]
    day = [0.30, 0.31, 0.32, 0.33, 0.34, 0.35, 0.36, 0.37, 0.38, 0.39, 0.80]
    table = pd.DataFrame({"underexposure": [*night, *day], "label": ["night"] * 11 + ["day"] * 11})

    flagged = judged(UNDEREXPOSED, table, compare_within_label=True)

    assert list(table.index[flagged]) == [10, 21]


def test_small_classes_and_unlabelled_pictures_are_judged_by_the_threshold_alone() -> None:
    table = pd.DataFrame({"underexposure": [0.9] * 12, "label": ["night"] * 9 + [pd.NA] * 3})

    assert judged(UNDEREXPOSED, table, compare_within_label=True).all()


def test_overexposed_follows_the_same_settings() -> None:
    table = pd.DataFrame({"overexposure": [0.9, 0.9], "label": ["drawing", "cat"]})

    assert list(judged(OVEREXPOSED, table, exempt_labels=("drawing",))) == [False, True]


# --- low_information ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("grey", [0, 128, 255])
def test_a_single_colour_has_low_information(grey: int) -> None:
    assert "low_information" in flags(flat(grey))


def test_a_blank_scanned_page_has_low_information_in_spite_of_noise() -> None:
    """Noise of 4 levels: 98 % of a normal distribution lie within 4.7 deviations, 19 levels."""
    page = np.random.default_rng(5).normal(235, 4, (240, 320)).clip(0, 255).astype(np.uint8)

    assert "low_information" in flags(Image.fromarray(page))


def test_a_line_drawing_is_not_low_information() -> None:
    drawing = Image.new("1", (320, 240), 1)
    ImageDraw.Draw(drawing).ellipse((60, 20, 260, 220), outline=0, width=3)  # 2.5 % of the picture

    assert "low_information" not in flags(drawing)


# --- grayscale ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("file_format", ["PNG", "JPEG"])
def test_a_grey_picture_is_grayscale_in_whichever_mode_it_is_stored(mode: str, file_format: str) -> None:
    assert flags(daylight().convert("L").convert(mode), file_format) == {"grayscale"}


def test_sepia_is_not_grayscale() -> None:
    grey = np.asarray(daylight().convert("L"))[..., None]
    sepia = (grey * np.array([1.0, 0.89, 0.71])).astype(np.uint8)

    assert "grayscale" not in flags(Image.fromarray(sepia))


def test_a_small_coloured_object_is_colour() -> None:
    """A hundredth of the picture is the limit: 40 x 40 of 320 x 240 px are 2 %."""
    picture = daylight().convert("L").convert("RGB").resize((320, 240))
    ImageDraw.Draw(picture).rectangle((100, 100, 139, 139), fill=(200, 40, 40))

    assert "grayscale" not in flags(picture)
