"""blurry: pictures that are out of focus, shaken or enlarged."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from curate.checks.blurry import CHECK, Settings, judge, measure
from curate.imaging import open_image

THRESHOLD = 0.035
SIZE = 240, 320


def png(picture: Image.Image) -> bytes:
    buffer = BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def jpeg(picture: Image.Image, quality: int = 75) -> bytes:
    buffer = BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def sharpness(data: bytes) -> float:
    value = measure(open_image(data))["sharpness"]
    assert isinstance(value, float)
    return value


def scene(contrast: float = 1.0) -> Image.Image:
    """A smooth sky over a ground of sixty slanted tiles of all greys, drawn at four times the size."""
    rng = np.random.default_rng(5)
    height, width = SIZE
    y, x = np.mgrid[0 : 4 * height, 0 : 4 * width] / 4
    slanted = ((y + 0.3 * x) // 23 * 12 + (x - 0.4 * y) // 29).astype(int)
    tiles = rng.integers(0, 256, 400)[slanted % 400]
    pixels = np.where(y < height / 3, 200 - y / 4, tiles)
    picture = Image.fromarray((128 + (pixels - 128) * contrast).astype(np.uint8))
    return picture.resize((width, height), Image.Resampling.BOX)


def with_noise(picture: Image.Image, grey_levels: float) -> Image.Image:
    noise = np.random.default_rng(1).normal(0, grey_levels, SIZE)
    return Image.fromarray((np.asarray(picture) + noise).clip(0, 255).astype(np.uint8))


def shaken(picture: Image.Image, dy: int, dx: int) -> Image.Image:
    """The mean of the picture and fourteen copies, each moved by (dy, dx) px more."""
    pixels = np.asarray(picture).astype(np.float32)
    copies = [np.roll(pixels, (step * dy, step * dx), axis=(0, 1)) for step in range(15)]
    return Image.fromarray(np.mean(copies, axis=0).astype(np.uint8))


def test_a_sharp_scene_is_not_flagged() -> None:
    assert sharpness(png(scene())) > 0.1


@pytest.mark.parametrize("sigma", [2, 3, 4])
def test_gaussian_blur_is_flagged(sigma: int) -> None:
    """From a standard deviation of 2 px at the working size."""
    assert sharpness(png(scene().filter(ImageFilter.GaussianBlur(sigma)))) < THRESHOLD


@pytest.mark.parametrize("direction", [(0, 1), (1, 0), (1, 1), (1, -1)])
def test_shake_is_flagged_in_any_direction(direction: tuple[int, int]) -> None:
    """Edges along the movement stay sharp; the softest direction decides."""
    assert sharpness(png(shaken(scene(), *direction))) < THRESHOLD


def test_an_enlarged_thumbnail_is_flagged() -> None:
    """80 x 60 px blown up to four times that."""
    enlarged = scene().resize((80, 60), Image.Resampling.BOX).resize((320, 240), Image.Resampling.BICUBIC)

    assert sharpness(png(enlarged)) < THRESHOLD


@pytest.mark.parametrize("grey_levels", [1, 2, 3])
def test_noise_does_not_make_a_blurred_picture_sharp(grey_levels: float) -> None:
    """Noise is as fine as detail gets; what the flattest part shows is taken off."""
    blurred = scene().filter(ImageFilter.GaussianBlur(3))

    assert sharpness(png(with_noise(blurred, grey_levels))) < THRESHOLD


def test_the_blocks_of_a_jpeg_do_not_make_a_blurred_picture_sharp() -> None:
    """Every eighth pixel begins a new block, often with a step."""
    assert sharpness(jpeg(scene().filter(ImageFilter.GaussianBlur(3)), quality=40)) < THRESHOLD


@pytest.mark.parametrize("contrast", [0.1, 0.3])
def test_fog_and_dusk_are_not_blur(contrast: float) -> None:
    """A tenth of the contrast leaves the ratio of fine to coarse detail as it was."""
    assert sharpness(png(scene(contrast))) > 0.1


def test_a_sharp_subject_before_a_soft_background_is_not_flagged() -> None:
    """A quarter of the picture in focus."""
    picture = scene().filter(ImageFilter.GaussianBlur(4))
    subject = (100, 100, 260, 220)
    picture.paste(scene().crop(subject), subject)

    assert sharpness(png(picture)) > 0.1


def test_small_pictures_are_measured_too() -> None:
    """128 px, as training sets have them."""
    small = scene().resize((171, 128), Image.Resampling.BOX)

    assert sharpness(png(small)) > 0.1
    assert sharpness(png(small.filter(ImageFilter.GaussianBlur(2)))) < THRESHOLD


@pytest.mark.parametrize("tile_px", [4, 8, 10])
def test_drawings_on_a_grid_are_not_called_blurred(tile_px: int) -> None:
    """Where all edges fall between the points that are looked at there is nothing to judge by."""
    colours = np.random.default_rng(2).integers(0, 256, (240 // tile_px, 320 // tile_px)).astype(np.uint8)
    drawing = Image.fromarray(colours.repeat(tile_px, axis=0).repeat(tile_px, axis=1))

    found = measure(open_image(png(drawing)))["sharpness"]

    assert found is None or (isinstance(found, float) and found > 0.1)


def flat(height: int, width: int, grey: int) -> NDArray[np.uint8]:
    return np.full((height, width), grey, np.uint8)


@pytest.mark.parametrize("pixels", [flat(240, 320, 128), flat(240, 320, 0), flat(39, 300, 9), flat(1, 1, 7)])
def test_pictures_without_contrast_have_no_sharpness(pixels: NDArray[np.uint8]) -> None:
    """Flat grey, black, and pictures under 40 px, which have no room for a block."""
    assert measure(open_image(png(Image.fromarray(pixels)))) == {"sharpness": None}


def test_noise_alone_is_not_called_blurred() -> None:
    """A wall in bad light: noise of 4 grey levels on flat grey shows nothing to judge by."""
    wall = with_noise(Image.fromarray(flat(*SIZE, 100)), 4)

    assert measure(open_image(png(wall))) == {"sharpness": None}


def test_flags_what_lies_below_the_threshold() -> None:
    """Pictures without a sharpness, like unreadable ones, are never flagged."""
    table = pd.DataFrame({"sharpness": [0.02, 0.035, 0.4, None]}, dtype="float64")

    assert judge(table, Settings())["blurry"].tolist() == [True, False, False, False]
    assert judge(table, Settings(min_sharpness=0.5))["blurry"].tolist() == [True, True, True, False]


def test_asks_for_review_unless_the_user_says_otherwise() -> None:
    assert Settings().action == "review"


def test_says_how_soft_the_picture_is() -> None:
    sentence = CHECK.because.format(sharpness=0.0123, settings=Settings())

    assert sentence == "its sharpness is 0.012 (blurry below 0.035)"
