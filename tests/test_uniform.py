"""`make_uniform`: what is left of a picture, and what is not."""

from __future__ import annotations

import struct
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageOps, PngImagePlugin

from curate.errors import UnreadableImage
from curate.imaging import decode_exactly, open_image
from curate.transform import Transform
from curate.uniform import make_uniform
from pictures import BLUE, GREEN, READABLE, RED, UNREADABLE, WHITE, encoded, png_chunk, scene, turned, with_alpha
from profiles import INKS, SRGB, SWAPPED

Pixels = NDArray[np.float64]


def uniform(data: bytes, size: str = "48x32", **settings: Any) -> Image.Image:
    """The output of these bytes as Pillow opens it; lossless unless another format is asked for."""
    made = make_uniform(data, Transform(**{"size": size, "format": "png", **settings}))
    return Image.open(BytesIO(made.data))


def quarters(image: Image.Image) -> list[tuple[int, ...]]:
    """Mean colour of the four quarters: top left, top right, bottom left, bottom right; edges left out."""
    pixels = np.asarray(image.convert("RGB"), float)
    height, width = pixels.shape[0] // 2, pixels.shape[1] // 2
    parts = [pixels[y:, x:][2 : height - 2, 2 : width - 2] for y in (0, height) for x in (0, width)]
    return [tuple(int(value) for value in part.reshape(-1, 3).mean(axis=0).round()) for part in parts]


def assert_looks_like(image: Image.Image, *expected: tuple[int, int, int]) -> None:
    """Within 8 of 255: more than lossy codecs change a mean, less than any mix-up."""
    found = quarters(image)
    assert np.abs(np.array(found) - np.array(expected)).max() <= 8, found


def psnr(one: Image.Image, other: Image.Image) -> float:
    """How alike two pictures are, in decibels; 40 is hard to tell apart."""
    error = ((np.asarray(one, float) - np.asarray(other, float)) ** 2).mean()
    return float(10 * np.log10(255**2 / max(error, 1e-9)))


# ---- Every kind of file


@pytest.mark.parametrize("name", READABLE)
def test_every_kind_of_picture_looks_as_the_checks_see_it(name: str) -> None:
    """16 bits, CMYK, palettes, transparency, one bit, fractions, animations, all orientations; within 38 dB.

    They see JPEG by libjpeg's faster ways, which is most of the difference.
    """
    seen = open_image(READABLE[name], 10_000).picture

    made = uniform(READABLE[name], fit="stretch")

    assert psnr(made, seen.resize((48, 32), Image.Resampling.LANCZOS)) > 38


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_damaged_picture_is_refused_with_the_reason(name: str) -> None:
    """Never half of one with grey below, however small the part that decodes."""
    with pytest.raises(UnreadableImage) as caught:
        uniform(UNREADABLE[name][1])

    assert caught.value.reason == UNREADABLE[name][0]


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch", "longest"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_upright(orientation: int, fit: str) -> None:
    """The size asked for is that of the upright picture."""
    made = uniform(turned(orientation), fit=fit)

    assert made.size == (48, 32)
    assert_looks_like(made, RED, GREEN, BLUE, WHITE)


def test_large_pictures_are_upright_too() -> None:
    """Decoded at a fraction of their size, 5 to 8 have width and height exchanged."""
    stored = scene(960, 1440).transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6

    made = uniform(encoded(stored, "JPEG", exif=exif), "32x48")

    assert_looks_like(made, RED, GREEN, BLUE, WHITE)


# ---- What does not leave


def test_metadata_does_not_leave() -> None:
    """GPS, serial numbers, names, comments, thumbnails, XMP, IPTC, profiles, and bytes behind the picture."""
    for file_format in ("jpeg", "png", "webp"):
        made = make_uniform(photograph_with_secrets(), Transform(size="32", format=file_format))

        assert [secret for secret in SECRETS if secret in made.data] == []
        assert not {"exif", "icc_profile", "xmp", "comment", "photoshop"} & set(Image.open(BytesIO(made.data)).info)


@pytest.mark.parametrize("file_format", ["jpeg", "png", "webp"])
def test_metadata_of_a_png_does_not_leave(file_format: str) -> None:
    text = PngImagePlugin.PngInfo()
    text.add_text("Author", "SECRET-NAME")
    text.add_itxt("XML:com.adobe.xmp", "SECRET-XMP")
    png = encoded(scene(), "PNG", pnginfo=text, icc_profile=SRGB, dpi=(72, 72))
    png = png[:33] + png_chunk(b"tIME", bytes(7)) + png[33:]

    made = make_uniform(png, Transform(size="32", format=file_format))

    assert b"SECRET" not in made.data
    assert not any(kind in made.data for kind in (b"tEXt", b"iTXt", b"iCCP", b"pHYs", b"tIME", b"ICCP", b"XMP "))


SECRETS = [b"SECRET", b"Exif", b"ICC_PROFILE", b"Photoshop", b"http://ns.adobe.com", b"sRGB", b"JFXX"]


def photograph_with_secrets() -> bytes:
    """Planted in every place that a camera or an editor uses."""
    exif = Image.Exif()
    exif[0x010F] = "SECRET-MAKER"
    exif[0x013B] = "SECRET-ARTIST"
    details = exif.get_ifd(0x8769)
    details[0xA431] = "SECRET-SERIAL-4711"  # of the camera's body
    details[0x927C] = b"SECRET-MAKER-NOTE"
    gps = exif.get_ifd(0x8825)
    gps[1], gps[2] = "N", (48.0, 51.0, 29.6)
    gps[27] = b"SECRET-GPS-METHOD"
    xmp = b"<x:xmpmeta>SECRET-XMP</x:xmpmeta>"
    data = encoded(scene(400, 300), "JPEG", exif=exif, xmp=xmp, comment="SECRET-COMMENT", icc_profile=SRGB)
    iptc = b"Photoshop 3.0\x008BIM\x04\x04\0\0\0\0\0\x0eSECRET-IPTC..."
    segment = b"\xff\xed" + struct.pack(">H", len(iptc) + 2) + iptc
    data = data[:2] + segment + data[2:] + b"SECRET-TRAILER"
    assert data.count(b"SECRET") >= 9
    return data


# ---- Colours


def test_a_profile_is_applied() -> None:
    """In this one, red and green are exchanged; it leaves with the metadata, so the numbers must change."""
    made = uniform(encoded(scene(), "PNG", icc_profile=SWAPPED))

    red, green, *_ = quarters(made)
    assert red[1] > 150
    assert red[0] < 60
    assert green[0] > 120


def test_a_cmyk_profile_is_applied() -> None:
    """Adobe stores inks inverted in JPEG."""
    white, cyan = Image.new("CMYK", (64, 64)), Image.new("CMYK", (64, 64), (255, 0, 0, 0))

    assert np.asarray(uniform(encoded(white, "JPEG", icc_profile=INKS))).min() > 250
    assert np.asarray(uniform(encoded(cyan, "JPEG", icc_profile=INKS))).max() < 5


def test_a_profile_in_several_segments_is_put_together() -> None:
    """A segment holds 64 kB; those of printers are larger."""
    large = SWAPPED + bytes(100_000)
    large = struct.pack(">I", len(large)) + large[4:]

    red, *_ = quarters(uniform(encoded(scene(), "JPEG", icc_profile=large)))

    assert red[1] > 150


def test_a_damaged_profile_is_noted() -> None:
    made = make_uniform(encoded(scene(), "JPEG", icc_profile=b"garbage"), Transform(size="32"))

    assert made.note == "its colour profile is damaged and was ignored"
    assert_looks_like(Image.open(BytesIO(made.data)), RED, GREEN, BLUE, WHITE)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_shows_the_background(mode: str) -> None:
    made = uniform(encoded(with_alpha(mode), "PNG"), background="#102030")

    assert made.mode == "RGB"
    assert quarters(made)[1] == quarters(made)[3] == (16, 32, 48)


def test_hidden_colours_do_not_shine_through() -> None:
    """Where a picture is transparent its colour says nothing; scaling must not mix it in at the edges."""
    pixels = np.zeros((64, 64, 4), np.uint8)
    pixels[:, :32] = (255, 255, 255, 255)  # white; and black behind nothing
    picture = encoded(Image.fromarray(pixels), "PNG")

    assert np.asarray(uniform(picture, "10", background="#ffffff")).min() == 255


# ---- Shapes


@pytest.mark.parametrize(
    ("fit", "size"), [("crop", (40, 40)), ("pad", (40, 40)), ("stretch", (40, 40)), ("longest", (40, 27))]
)
def test_sizes_are_as_asked(fit: str, size: tuple[int, int]) -> None:
    """The scene is 96 x 64: the longest side becomes 40, and 64 * 40 / 96 = 26.7."""
    assert uniform(READABLE["rgb.png"], "40", fit=fit).size == size


def test_small_pictures_are_enlarged() -> None:
    assert uniform(READABLE["rgb.png"], "480x320", fit="longest").size == (480, 320)


def test_padding_has_the_background() -> None:
    """96 x 64 in 40 x 40 is 27 rows high, from row 6 on."""
    rows = np.asarray(uniform(READABLE["rgb.png"], "40", fit="pad", background="#0a0b0c"))

    assert (rows[:6] == (10, 11, 12)).all()
    assert (rows[33:] == (10, 11, 12)).all()
    assert (rows[6] != (10, 11, 12)).any()
    assert (rows[32] != (10, 11, 12)).any()


def test_a_crop_is_pillows_fit() -> None:
    """The same pixels as ImageOps.fit, whose geometry everybody knows, of a picture that is decoded whole."""
    made = uniform(READABLE["rgb.png"], "50x20")

    expected = ImageOps.fit(scene(), (50, 20), Image.Resampling.LANCZOS)
    assert np.abs(np.asarray(made, int) - np.asarray(expected, int)).max() <= 1


@pytest.mark.parametrize("across", [True, False])
def test_a_smart_crop_keeps_the_detail(across: bool) -> None:
    """Grey with a checkered corner: the crop must hold all of it."""
    pixels = np.full((60, 180, 3), 128, np.uint8)
    pixels[:, 140:160] = (np.indices((60, 20)).sum(0) % 2 * 255)[:, :, None]
    picture = Image.fromarray(pixels if across else pixels.swapaxes(0, 1))

    made = np.asarray(uniform(encoded(picture, "PNG"), "60", crop="smart"), int)

    assert (np.abs(made - 128) > 60).any(axis=2).sum() == 60 * 20
    assert (np.asarray(uniform(encoded(picture, "PNG"), "60")) == 128).all()


def test_a_smart_crop_of_nothing_is_the_centre() -> None:
    """An even ramp has the same detail everywhere."""
    ramp = Image.linear_gradient("L").rotate(90).resize((300, 100))

    smart, centre = (uniform(encoded(ramp, "PNG"), "100", crop=crop) for crop in ("smart", "centre"))

    assert psnr(smart, centre) > 35


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch", "longest"])
@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1)])
def test_extreme_shapes_work(fit: str, size: tuple[int, int]) -> None:
    for crop in ("centre", "smart"):
        for file_format in ("PNG", "JPEG"):
            made = uniform(encoded(scene(*size), file_format), "64x8", fit=fit, crop=crop)

            assert made.width <= 64
            assert made.height <= 8


# ---- Quality


def drawing(side: int) -> Image.Image:
    """Thin black lines in all directions on white."""
    image = Image.new("RGB", (side, side), "white")
    pen = ImageDraw.Draw(image)
    for angle in np.arange(0, np.pi, np.pi / 24):
        reach = side / 2 * np.array([np.cos(angle), np.sin(angle)])
        pen.line([tuple(side / 2 - reach), tuple(side / 2 + reach)], "black", 3)
    return image


@pytest.mark.parametrize("side", [700, 1400, 2800])
def test_thin_lines_stay_sharp_where_decoding_is_scaled(side: int) -> None:
    """Beside decoding all and scaling with the same filter; 45 dB cannot be seen. Decoded at 1/1, 1/2 and 1/4."""
    data = encoded(drawing(side), "JPEG", quality=95)

    made = uniform(data, "224")

    assert psnr(made, Image.open(BytesIO(data)).resize((224, 224), Image.Resampling.LANCZOS)) > 45


@pytest.mark.parametrize("file_format", ["PNG", "JPEG"])
def test_nothing_is_aliased(file_format: str) -> None:
    """Stripes too fine for the result become grey, not other stripes."""
    stripes = np.zeros((1200, 1200, 3), np.uint8)
    stripes[:, ::2] = 255

    made = np.asarray(uniform(encoded(Image.fromarray(stripes), file_format), "101"), int)

    assert np.abs(made - 127).max() <= 4


# ---- Files


@pytest.mark.parametrize(("file_format", "name"), [("jpeg", "JPEG"), ("png", "PNG"), ("webp", "WEBP")])
def test_the_file_has_the_format_asked_for(file_format: str, name: str) -> None:
    made = make_uniform(READABLE["grey.png"], Transform(size="32", format=file_format))

    assert made.format == name
    assert Image.open(BytesIO(made.data)).format == name
    assert Image.open(BytesIO(made.data)).mode == "RGB"


@pytest.mark.parametrize("settings", [{"format": "png"}, {"format": "webp", "quality": 100}])
def test_lossless_files_hold_the_very_pixels(settings: dict[str, Any]) -> None:
    png, other = uniform(READABLE["large.png"], "32"), uniform(READABLE["large.png"], "32", **settings)

    assert png.tobytes() == other.convert("RGB").tobytes()


def test_quality_and_chroma_count() -> None:
    def size(**settings: Any) -> int:
        return len(make_uniform(READABLE["large.png"], Transform(size="64", **settings)).data)

    assert size(quality=50) < size() < size(quality=100)
    assert size(chroma="420") < size(chroma="422") < size(chroma="444")
    assert size(format="webp", quality=50) < size(format="webp")


@pytest.mark.parametrize("settings", [{}, {"chroma": "422"}, {"chroma": "420"}, {"format": "png"}, {"format": "webp"}])
def test_what_is_counted_is_what_pillow_decodes(settings: dict[str, Any]) -> None:
    """Training reads the file by Pillow; `decode_exactly` and the statistics must not differ by a single value."""
    made = make_uniform(READABLE["large.jpg"], Transform(size="61x43", **settings))

    pillow = Image.open(BytesIO(made.data)).convert("RGB")
    assert made.picture.tobytes() == pillow.tobytes()
    assert decode_exactly(made.data).tobytes() == pillow.tobytes()


@pytest.mark.parametrize("name", ["ordinary.jpg", "rgb.png", "rgba.png", "cmyk.jpg", "animated.gif"])
def test_the_same_picture_becomes_the_same_bytes(name: str) -> None:
    transform = Transform(size="40", crop="smart")

    assert make_uniform(READABLE[name], transform).data == make_uniform(READABLE[name], transform).data


def test_an_output_made_uniform_again_stays_the_same() -> None:
    """Nothing is scaled, turned or converted twice; PNG, as JPEG always loses a little."""
    transform = Transform(size="40", format="png")
    once = make_uniform(READABLE["ordinary.jpg"], transform).data

    assert make_uniform(once, transform).data == once


# ---- decode_exactly


@pytest.mark.parametrize(
    "name",
    """ordinary.jpg large.jpg progressive.jpg grey.jpg cmyk.jpg nameless_subsampling.jpg appended_bytes.jpg
    one_pixel.jpg one_column.jpg orientation_3.jpg orientation_6.jpg orientation_6.png rgb.png grey.png
    ordinary.webp""".split(),
)
def test_decode_exactly_gives_what_pillow_gives(name: str) -> None:
    """Of opaque 8-bit pictures, upright, and nothing else of the file."""
    with Image.open(BytesIO(READABLE[name])) as image:
        expected = ImageOps.exif_transpose(image).convert("RGB")

    found = decode_exactly(READABLE[name])

    assert (found.mode, found.size) == ("RGB", expected.size)
    assert found.tobytes() == expected.tobytes()
    assert found.info == {}


@pytest.mark.parametrize("name", UNREADABLE)
def test_decode_exactly_refuses_what_is_no_picture(name: str) -> None:
    """A JPEG whose damage Pillow only shrugs off is read as Pillow reads it."""
    try:
        decode_exactly(UNREADABLE[name][1])
    except UnreadableImage:
        return
    assert name == "zeroed.jpg"
