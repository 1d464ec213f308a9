"""`open_image`: what a picture looks like to a check, and why a file is no picture."""

from __future__ import annotations

import pickle
import random
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFile

import pictures
from curate.errors import READ_ERRORS, UnreadableImage
from curate.imaging import DECODERS, MAX_PIXELS, DecodedImage, exif_orientation, open_image, working_scale
from pictures import BLUE, GREEN, JPEG, PNG, READABLE, RED, UNREADABLE, WHITE, encoded, numbers, scene


def reason(data: bytes) -> str:
    """Why the file can't be read, or "readable"."""
    try:
        open_image(data)
    except UnreadableImage as error:
        return error.reason
    return "readable"


def quarters(image: DecodedImage) -> list[tuple[int, int, int]]:
    """Mean colour of the four quarters: top left, top right, bottom left, bottom right."""
    height, width = image.rgb.shape[0] // 2, image.rgb.shape[1] // 2
    parts = [image.rgb[y:, x:][:height, :width] for y in (0, height) for x in (0, width)]
    red_green_blue = [part.reshape(-1, 3).mean(axis=0).round().astype(int) for part in parts]
    return [(int(red), int(green), int(blue)) for red, green, blue in red_green_blue]


def assert_looks_like(found: list[tuple[int, int, int]], *expected: tuple[int, int, int]) -> None:
    """Within 8 of 255: more than lossy codecs and 8-bit L*a*b* change a mean, less than any mix-up."""
    assert np.abs(np.array(found) - np.array(expected)).max() <= 8, found


def left_middle_right(rgb: NDArray[np.uint8]) -> list[int]:
    return [int(rgb[0, column, 0]) for column in (0, rgb.shape[1] // 2, -1)]


@pytest.mark.parametrize("name", READABLE)
def test_every_kind_of_whole_picture_becomes_8_bit_rgb(name: str) -> None:
    """Whatever the file's own mode, checks see (h, w, 3) bytes, in one piece of memory, without a warning."""
    image = open_image(READABLE[name])

    assert image.rgb.dtype == np.uint8
    assert image.rgb.ndim == 3
    assert image.rgb.shape[2] == 3
    assert image.rgb.flags.c_contiguous
    assert image.luma.shape == image.rgb.shape[:2]
    assert image.channels.shape == (3, *image.luma_on_grid.shape)
    assert image.luma_counts[-1] == image.luma_on_grid.size


@pytest.mark.parametrize("name", UNREADABLE)
def test_every_unreadable_file_gets_its_reason(name: str) -> None:
    """Nothing but UnreadableImage leaves open_image, and it says why."""
    expected, data = UNREADABLE[name]

    with pytest.raises(UnreadableImage) as caught:
        open_image(data)

    assert caught.value.reason == expected
    assert caught.value.detail


@pytest.mark.parametrize("name", [name for name in READABLE if name.startswith("orientation_")])
def test_pictures_are_turned_upright(name: str) -> None:
    """All eight EXIF orientations, and those of other formats, look like the scene and have its size."""
    image = open_image(READABLE[name])

    assert (image.width, image.height) == (96, 64)
    assert_looks_like(quarters(image), RED, GREEN, BLUE, WHITE)


IN_COLOUR = (
    "ordinary.jpg large.jpg large.png progressive.jpg cmyk.jpg nameless_subsampling.jpg appended_bytes.jpg "
    "broken_exif.jpg stray_header_bytes.jpg jpeg_inside.png rgb.png palette.png cmyk.tif ycbcr.tif lab.tif lzw.tif "
    "pages.tif animated.gif animated.webp animated.png ordinary.webp ordinary.gif ordinary.bmp ordinary.jp2"
)


@pytest.mark.parametrize("name", IN_COLOUR.split())
def test_colours_are_those_a_person_sees(name: str) -> None:
    """In every colour model, and of the first frame or page."""
    image = open_image(READABLE[name])

    assert_looks_like(quarters(image), RED, GREEN, BLUE, WHITE)


@pytest.mark.parametrize("name", ["rgba.png", "rgba.webp"])
def test_transparent_parts_are_white(name: str) -> None:
    """As on the page a cut-out is made for; the hidden green and white are not measured."""
    image = open_image(READABLE[name])

    assert_looks_like(quarters(image), RED, (255, 255, 255), BLUE, (255, 255, 255))


def test_a_transparent_palette_entry_is_white() -> None:
    """A palette picture has transparency by entry, in PNG and GIF."""
    image = open_image(READABLE["palette_transparent.png"])

    assert_looks_like(quarters(image), RED, (255, 255, 255), RED, (255, 255, 255))


def test_grey_pictures_with_transparency_are_composited_too() -> None:
    """Luma of (200, 30, 30) is .299 * 200 + .587 * 30 + .114 * 30 = 81."""
    image = open_image(READABLE["grey_alpha.png"])

    assert_looks_like(quarters(image)[:2], (81, 81, 81), (255, 255, 255))


@pytest.mark.parametrize(
    "name", ["grey16.png", "grey16_big_endian.tif", "integers32.tif", "heights.tif", "fractions.tif"]
)
def test_ramps_of_16_and_32_bits_span_black_to_white(name: str) -> None:
    """Pillow's own conversion would clip everything above 255 to white."""
    image = open_image(READABLE[name])

    left, middle, right = left_middle_right(image.rgb)
    assert (left, right) == (0, 255)
    assert 127 <= middle <= 130


def test_a_dark_16_bit_picture_stays_dark() -> None:
    """16 bits are scaled by their full range, not stretched: 6553 of 65535 is a tenth of white, 25 of 255."""
    image = open_image(READABLE["dark16.png"])

    assert left_middle_right(image.rgb)[2] == 25


def test_numbers_in_a_usual_range_keep_their_brightness() -> None:
    """A float or 32-bit picture in the range of bytes is taken as bytes, one in that of 16 bits as 16 bits."""
    as_bytes = open_image(encoded(numbers("float32", 0, 100), "TIFF"))
    as_16_bits = open_image(encoded(numbers("int32", 0, 25_700), "TIFF"))

    assert left_middle_right(as_bytes.rgb)[2] == 100
    assert left_middle_right(as_16_bits.rgb)[2] == 100


def test_a_16_bit_tiff_may_count_from_white() -> None:
    """Its photometric tag says so (0 = white is zero); Pillow does not look at it at 16 bits."""
    black_is_zero = encoded(numbers("uint16", 0, 65535), "TIFF")
    tag_262_is_1 = b"\x06\x01\x03\x00\x01\x00\x00\x00\x01\x00"
    assert tag_262_is_1 in black_is_zero
    white_is_zero = black_is_zero.replace(tag_262_is_1, tag_262_is_1[:8] + b"\x00\x00")

    image = open_image(white_is_zero)

    assert left_middle_right(image.rgb)[::2] == [255, 0]


def test_not_a_number_is_black() -> None:
    """Scientific float pictures mark missing values so."""
    image = open_image(READABLE["no_numbers.tif"])

    assert image.rgb.max() == 0


@pytest.mark.parametrize(
    ("size", "scale"),
    [((500, 375), 1), ((479, 700), 1), ((480, 700), 2), ((4000, 3000), 8), ((10_000, 240), 1), ((1, 1), 1)],
)
def test_the_working_size_keeps_240_px_on_the_short_side(size: tuple[int, int], scale: int) -> None:
    """A small photograph keeps the detail that blur needs; a camera's is measured at an eighth."""
    assert working_scale(*size) == scale


@pytest.mark.parametrize("name", ["large.jpg", "large.png"])
def test_large_pictures_are_measured_smaller_and_keep_their_size(name: str) -> None:
    """1100 x 1000 px are measured at a quarter, whatever the format."""
    image = open_image(READABLE[name])

    assert (image.width, image.height) == (1100, 1000)
    assert image.rgb.shape == (250, 275, 3)


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (7, 3), (241, 240), (480, 481), (967, 1923)])
def test_jpeg_of_any_size_is_scaled_by_its_whole_factor(size: tuple[int, int]) -> None:
    """Sides are rounded up, as libjpeg does; a picture of one pixel keeps it."""
    width, height = size
    scale = working_scale(width, height)

    image = open_image(encoded(scene(width, height), "JPEG"))

    assert image.rgb.shape == (-(-height // scale), -(-width // scale), 3)
    assert (image.width, image.height) == size


def test_a_picture_converted_in_bands_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Large pictures are converted band by band; the seams do not show."""
    data = encoded(scene(1000, 970), "PNG")
    at_once = open_image(data)

    monkeypatch.setattr("curate.imaging.BAND_PIXELS", 50_000)
    in_bands = open_image(data)

    assert in_bands.rgb.shape == (243, 250, 3)
    assert np.array_equal(in_bands.rgb, at_once.rgb)


def test_facts_of_the_file_are_told() -> None:
    """Format and mode are the file's own, by its bytes; the name of the file has no say."""
    jpeg, grey, png = open_image(JPEG), open_image(READABLE["grey.jpg"]), open_image(READABLE["palette.png"])

    assert (jpeg.format, jpeg.mode, jpeg.size_bytes) == ("JPEG", "RGB", len(JPEG))
    assert (grey.format, grey.mode) == ("JPEG", "L")
    assert (png.format, png.mode) == ("PNG", "P")


def test_the_decoder_is_recorded_and_its_version_known() -> None:
    """JPEG goes to simplejpeg, strictly; one it refuses without damage, and all else, to Pillow."""
    strict, refused = open_image(JPEG).decoder, open_image(READABLE["nameless_subsampling.jpg"]).decoder

    assert strict.startswith("simplejpeg ")
    assert refused.startswith("pillow ")
    assert f"{strict}, {refused}" == DECODERS


def damaged(data: bytes, seed: int) -> bytes:
    """4 kB of zeros somewhere in the middle half."""
    start = random.Random(seed).randrange(len(data) // 4, len(data) // 2)
    return data[:start] + bytes(4096) + data[start + 4096 :]


def test_damage_that_pillow_shrugs_off_is_found() -> None:
    """Of 100 JPEG files with 4 kB of zeros inside, at least 95 are reported; Pillow reports one or two."""
    noise = np.random.default_rng(1).normal(128, 30, size=(375, 500, 3)).clip(0, 255).astype(np.uint8)
    photo = encoded(Image.fromarray(noise), "JPEG", quality=85)
    assert len(photo) > 50_000

    reasons = [reason(damaged(photo, seed)) for seed in range(100)]

    assert reasons.count("corrupt") >= 95


@pytest.mark.parametrize("name", [name for name in READABLE if name.startswith("ordinary.")])
def test_a_file_cut_anywhere_is_truncated(name: str) -> None:
    """In every format read, from the header on to the last tenth."""
    data = READABLE[name]

    reasons = {reason(data[: len(data) * tenths // 10]) for tenths in range(3, 10)}

    assert reasons == {"truncated"}


def test_a_jpeg_without_its_last_marker_is_truncated() -> None:
    """The decoder has every pixel it needs, but something was cut off."""
    assert reason(JPEG[:-2]) == "truncated"


def test_the_limit_holds_whatever_the_user_set_in_pillow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Notebooks often switch Pillow's own limit off."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)

    assert reason(pictures.bomb(20_000, 10_000)) == "too_large"
    assert MAX_PIXELS == 178_956_970


def test_damage_is_found_whatever_the_user_set_in_pillow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Training code often tells Pillow to load truncated pictures; that setting is theirs, and stays."""
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)

    assert reason(UNREADABLE["truncated.gif"][1]) == "truncated"
    assert ImageFile.LOAD_TRUNCATED_IMAGES is True


def test_a_large_picture_within_the_limit_does_not_warn() -> None:
    """Pillow warns from 89 megapixels on; users must not see it."""
    data = encoded(Image.new("1", (10_000, 9_000)), "PNG")

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        image = open_image(data)

    assert (image.width, image.height) == (10_000, 9_000)


@pytest.mark.parametrize("seed", range(5))
def test_garbage_is_never_an_exception_of_another_kind(seed: int) -> None:
    """Every picture with bytes changed and cut at random is read or refused with a known reason."""
    chance = random.Random(seed)
    for data in READABLE.values():
        changed = bytearray(data)
        for _ in range(8):
            changed[chance.randrange(len(changed))] = chance.randrange(256)

        assert reason(bytes(changed[: chance.randrange(1, len(changed) + 1)])) in {*READ_ERRORS, "readable"}


@pytest.mark.parametrize(
    ("tiff", "orientation"),
    [
        (b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0", 6),
        (b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x08\0\0", 8),
        (b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x04\0\0\0\x01\0\0\0\x03", 3),  # as a 32-bit number
        (b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x09\0\0\0", 1),  # 9 does not exist
        (b"II*\0\x08\0\0\0\x01\0\x00\x01\x03\0\x01\0\0\0\x06\0\0\0", 1),  # another tag
        (b"II*\0\xff\xff\xff\xff", 1),  # leads out of the block
        (b"II*\0\x08\0\0\0\xff\xff\x12", 1),  # ends within the tag
        (b"", 1),
    ],
)
def test_orientation_is_read_from_exif_with_care(tiff: bytes, orientation: int) -> None:
    """Both byte orders; damage means upright, and never an error."""
    assert exif_orientation(tiff) == orientation


def test_files_with_odd_names_are_plain_bytes_to_the_decoder(tmp_path: Path) -> None:
    """open_image takes bytes, so no name can confuse it."""
    paths = pictures.write_odd_names(tmp_path)

    formats = [open_image(path.read_bytes()).format for path in paths]

    assert formats == ["JPEG"] * 10


def test_reasons_cross_process_borders() -> None:
    """Workers send them back whole."""
    with pytest.raises(UnreadableImage) as caught:
        open_image(PNG[:100])

    assert vars(pickle.loads(pickle.dumps(caught.value))) == vars(caught.value)


def test_workers_do_not_pay_for_pandas() -> None:
    """Importing the decoder leaves pandas and scipy alone: half a second of start-up each."""
    code = "import sys, curate.imaging; print(*{'pandas', 'scipy'} & set(sys.modules))"

    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert answer.stdout.strip() == ""
