"""Which thumbnails are taken for the same photograph, and how groups are formed of them."""

from __future__ import annotations

import time

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageEnhance, ImageOps

from curate.grouping import group_copies
from curate.matching import has_content, similarity
from curate.proposing import nearest
from curate.spectra import SIDE, Bytes

ENOUGH = 0.82  # the check's default
TURNS = list(Image.Transpose)


def photo(seed: int, width: int = 360, height: int = 240) -> Image.Image:
    """Soft blobs of all sizes, as in a landscape: amplitude falls with frequency, different for each seed."""
    noise = np.random.default_rng(seed).normal(size=(height, width))
    frequency = np.hypot(np.fft.fftfreq(height)[:, None] * height, np.fft.rfftfreq(width) * width)
    pixels = np.fft.irfft2(np.fft.rfft2(noise) / np.maximum(frequency, 1), (height, width))
    return Image.fromarray((128 + 40 * (pixels - pixels.mean()) / pixels.std()).clip(0, 255).astype(np.uint8))


def thumbnails(*pictures: Image.Image) -> Bytes:
    return np.stack([np.asarray(picture.resize((SIDE, SIDE), Image.Resampling.BOX)) for picture in pictures])


def alike(one: Image.Image, other: Image.Image) -> float:
    return float(similarity(thumbnails(one, other), np.array([[0, 1]]))[0])


def cropped(picture: Image.Image, left: float, top: float, right: float, bottom: float) -> Image.Image:
    width, height = picture.size
    return picture.crop((int(left * width), int(top * height), int(right * width), int(bottom * height)))


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("seed", range(3))
def test_mirrored_and_turned_copies_are_alike(turn: Image.Transpose, seed: int) -> None:
    """All eight orientations are one photograph."""
    assert alike(photo(seed), photo(seed).transpose(turn)) > 0.98


@pytest.mark.parametrize(
    "box", [(0.1, 0.1, 0.9, 0.9), (0.1, 0, 1, 1), (0, 0, 1, 0.9), (0, 0.1, 0.9, 1), (1 / 6, 0, 5 / 6, 1)]
)
def test_crops_are_alike(box: tuple[float, float, float, float]) -> None:
    """Up to a tenth on each side, and the square out of the middle."""
    assert alike(photo(1), cropped(photo(1), *box)) > ENOUGH


def test_a_turned_crop_is_alike() -> None:
    """Two edits at once."""
    assert alike(photo(2), cropped(photo(2), 0.05, 0.05, 0.95, 0.95).transpose(Image.Transpose.ROTATE_90)) > ENOUGH


def test_light_and_proportions_do_not_count() -> None:
    """Brightness, contrast, gamma and squashing leave a photograph the same."""
    original = photo(3)

    edited = {
        "brighter": ImageEnhance.Brightness(original).enhance(1.2),
        "flatter": ImageEnhance.Contrast(original).enhance(0.6),
        "gamma": original.point([round(255 * (value / 255) ** 1.4) for value in range(256)]),
        "squashed": original.resize((150, 300)),
    }

    assert [name for name, picture in edited.items() if alike(original, picture) < 0.95] == []


def test_a_logo_or_a_border_spoils_only_its_own_place() -> None:
    """A sign on 5 % of the area, or a white border of 3 %."""
    marked = photo(4)
    ImageDraw.Draw(marked).rectangle((270, 10, 350, 60), 220)

    assert alike(photo(4), marked) > ENOUGH
    assert alike(photo(4), ImageOps.expand(photo(4), 11, 255)) > ENOUGH


def test_different_photographs_are_not_alike() -> None:
    """Of the 780 pairs among 40 photographs none comes near the threshold."""
    pairs = np.stack(np.triu_indices(40, 1), axis=1)

    found = similarity(thumbnails(*(photo(seed) for seed in range(40))), pairs)

    assert found.max() < 0.6


def test_order_within_a_pair_does_not_matter() -> None:
    """Whichever of the two is the crop."""
    both = thumbnails(photo(5), cropped(photo(5), 0.08, 0, 1, 0.95))

    assert similarity(both, np.array([[0, 1]])) == similarity(both, np.array([[1, 0]]))


def test_two_strokes_on_white_are_not_alike() -> None:
    """Any two thin strokes can be aligned: a "1" is not a copy of another "1"."""
    strokes = [Image.new("L", (360, 240), 255) for _ in range(2)]
    ImageDraw.Draw(strokes[0]).line((180, 40, 180, 200), 0, 20)
    ImageDraw.Draw(strokes[1]).line((150, 30, 160, 210), 0, 24)

    assert alike(*strokes) < 0.7


def test_a_small_thing_before_an_empty_sky_can_be_compared() -> None:
    """Little content is enough when it agrees in every detail."""
    sign = Image.new("L", (360, 240), 250)
    sign.paste(photo(9, 90, 90), (150, 20))
    ImageDraw.Draw(sign).line((195, 110, 195, 240), 90, 8)

    assert alike(sign, ImageEnhance.Brightness(sign).enhance(0.9)) > ENOUGH


def test_blank_pictures_have_no_content() -> None:
    """Nearly uniform pictures resemble each other only by rounding."""
    faint = Image.fromarray((np.indices((240, 360)).sum(axis=0) % 2 + 100).astype(np.uint8))

    assert has_content(thumbnails(Image.new("L", (9, 9)), faint, photo(6))).tolist() == [False, False, True]


def test_proposes_the_copy_among_many() -> None:
    """A mirrored crop has its original, among 300 other photographs, as one of its neighbours."""
    copy = ImageOps.mirror(cropped(photo(7), 0.1, 0.1, 1, 1))
    pictures = thumbnails(*(photo(seed) for seed in range(300)), copy)

    pairs, nearness = nearest(pictures, np.array([300]), np.arange(301))

    assert 7 in pairs[:, 1].tolist()
    assert set(pairs[:, 0].tolist()) == {300}
    assert nearness.min() >= 0.85


@pytest.mark.parametrize("count", [0, 1, 2])
def test_proposes_nothing_where_there_is_nothing(count: int) -> None:
    """Fewer pictures than neighbours asked for."""
    pairs, _ = nearest(thumbnails(photo(1), photo(2))[:count], np.arange(count), np.arange(count))

    assert pairs.tolist() == []


def test_groups_are_never_chained() -> None:
    """b overlaps both a and c, which share too little: only b joins a, and c stays alone."""
    wide = photo(8, 600, 240)
    a, b, c = (wide.crop((left, 0, left + 360, 240)) for left in (0, 45, 90))
    links = [alike(a, b) > ENOUGH, alike(b, c) > ENOUGH, alike(a, c) > ENOUGH]

    groups = group_copies(thumbnails(a, b, c), ENOUGH)

    assert links == [True, True, False]
    assert groups.kept.tolist() == [0, 0, 2]


def test_many_copies_make_one_group() -> None:
    """A group may be far larger than the number of neighbours that are looked at."""
    copies = [ImageEnhance.Brightness(photo(10)).enhance(0.7 + step / 100) for step in range(40)]

    groups = group_copies(thumbnails(*copies, photo(11)), ENOUGH)

    assert groups.kept.tolist() == [0] * 40 + [40]


def test_thousands_of_equal_pictures_take_no_time() -> None:
    """Equal thumbnails are compared once, blank ones never: no step is quadratic in their number."""
    equal = np.repeat(thumbnails(photo(12), Image.new("L", (9, 9), 255)), 20_000, axis=0)
    start = time.process_time()

    groups = group_copies(equal, ENOUGH)

    assert time.process_time() - start < 3
    assert groups.kept.tolist() == [0] * 20_000 + list(range(20_000, 40_000))
