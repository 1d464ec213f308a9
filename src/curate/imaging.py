"""`open_image`: the only place where image bytes become pixels.

Every check sees the same picture, as a person would see it on a screen: upright, in 8-bit RGB, on white where
it is transparent. Each file is decoded once and strictly: a picture that only opens because a decoder shrugs
off damage is reported as damaged.

JPEG, most of all photographs, goes to simplejpeg, which is as fast as decoding gets and reports what libjpeg
only warns of: it finds nine in ten damaged files where Pillow finds one in ten. All else goes to Pillow.

What is not looked at: frames and pages after the first, which training would not see either (a damaged one goes
unnoticed unless checksums tell, as in PNG); colour profiles (a picture is measured by its numbers as if they were
sRGB); bytes after the end of the picture.
"""

from __future__ import annotations

import re
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import import_module
from io import BytesIO
from typing import Literal, TypeVar

import numpy as np
import PIL
import simplejpeg
from numpy.typing import NDArray
from PIL import Image, ImageFile

from curate.errors import ReadError, UnreadableImage

SIMPLEJPEG = f"simplejpeg {simplejpeg.__version__}"
PILLOW = f"pillow {PIL.__version__}"
DECODERS = f"{SIMPLEJPEG}, {PILLOW}"  # part of the cache key of unreadable files: an update may read them

# Small enough to be fast, large enough for blur and hashes, which need details that a 1/8 picture of a small
# photograph has lost. A 500 x 375 photograph stays at full size, one of 12 megapixels is measured at 1/8.
MIN_WORKING_SIDE_PX = 240

# Some 5,000 pixels on a grid give the shares and percentiles of the whole picture to within a percent, at a tenth of
# the cost.
GRID = 64

# Pillow's own limit for an error: 512 MiB of RGB. Above the largest cameras (151 megapixels).
MAX_PIXELS = 178_956_970

# Large pictures are converted in bands of so many pixels: memory peaks at one copy of the picture, not three.
BAND_PIXELS = 4_000_000


@dataclass(frozen=True)
class DecodedImage:
    """One decoded picture, upright, as every check sees it.

    rgbx: (h, w, 4) uint8 sRGB and an unused byte, at the working size (see `open_image`), which may be smaller than the
        file's. Pillow keeps pixels in this way, and so can use them without a copy.
    width, height: of the upright picture at full size, in px.
    format: Pillow's name ("JPEG", "PNG", …); mode: Pillow's name of the file's own mode ("RGB", "L", "P", …).
    decoder: which library decoded it, with version, e.g. "simplejpeg 1.9.0".
    """

    rgbx: NDArray[np.uint8]  # (h, w, 4)
    width: int
    height: int
    format: str
    mode: str
    size_bytes: int
    decoder: str

    @cached_property
    def rgb(self) -> NDArray[np.uint8]:
        """The same without the unused byte, (h, w, 3), contiguous. A copy that only needs time if somebody asks."""
        return np.ascontiguousarray(self.rgbx[:, :, :3])

    @cached_property
    def picture(self) -> Image.Image:
        """The same as a Pillow image of mode "RGB", for Pillow's fast operations."""
        return self._pixels.convert("RGB")

    @cached_property
    def grey(self) -> Image.Image:
        """Luma (Rec. 601) as a Pillow image of mode "L"."""
        return self._pixels.convert("L")

    @property
    def _pixels(self) -> Image.Image:
        return Image.frombuffer("RGBX", self.rgbx.shape[1::-1], self.rgbx, "raw", "RGBX", 0, 1)

    @cached_property
    def luma(self) -> NDArray[np.uint8]:
        """The same luma as an array, (h, w), 0 black to 255 white."""
        return np.asarray(self.grey)

    # What follows is of the pixels `on_grid` only, for tones and colours.

    @cached_property
    def channels(self) -> NDArray[np.uint8]:
        """Red, green and blue, (3, rows, columns)."""
        # Channel by channel is five times as fast.
        return np.ascontiguousarray(on_grid(self.rgbx)[:, :, :3].transpose(2, 0, 1))

    @cached_property
    def brightest_channel(self) -> NDArray[np.uint8]:
        """The largest of red, green and blue, (rows, columns)."""
        return np.asarray(np.maximum.reduce(self.channels))

    @cached_property
    def darkest_channel(self) -> NDArray[np.uint8]:
        """The smallest of red, green and blue, (rows, columns)."""
        return np.asarray(np.minimum.reduce(self.channels))

    @cached_property
    def luma_on_grid(self) -> NDArray[np.uint8]:
        """Luma, (rows, columns)."""
        return np.ascontiguousarray(on_grid(self.luma))

    @cached_property
    def luma_counts(self) -> NDArray[np.float64]:
        """Number of pixels that have at most each luma, (256,)."""
        return counts_up_to(self.luma_on_grid)


def on_grid(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Every so many pixels of every so many rows, so that the shorter side has 64 to 127 if it had as many."""
    step = max(1, min(pixels.shape[:2]) // GRID)
    return pixels[::step, ::step]


def counts_up_to(values: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Number of pixels that have at most each value, (256,): percentiles are looked up in it.

    Whole numbers, kept as floats: a share of the pixels is one, and looking it up among integers converts them all.
    """
    return np.bincount(values.ravel(), minlength=256).cumsum().astype(np.float64)  # half the time of a sum of floats


def open_image(data: bytes, min_side_px: int = MIN_WORKING_SIDE_PX) -> DecodedImage:
    """Decode the bytes of one image file, strictly, at the working size.

    The working size is 1/1, 1/2, 1/4 or 1/8 of the picture's: the smallest whose shorter side has at least
    `min_side_px`. Checks all see the same one; a model may want another.
    Raises UnreadableImage with a reason from READ_ERRORS; nothing else.
    """
    file_format = format_of(data)
    try:
        if file_format == "JPEG":
            return _open_jpeg(data, min_side_px)
        return _open_with_pillow(data, file_format, min_side_px)
    except UnreadableImage:
        raise
    except Exception as error:  # decoders raise anything, from SyntaxError to ZeroDivisionError
        raise UnreadableImage(_reason(error, data, file_format), _words(error)) from error


def decode_exactly(data: bytes) -> Image.Image:
    """The whole picture, upright, as a Pillow image of mode "RGB": what training sees of a file.

    Of what `curate normalize` writes, exactly the pixels that Pillow's own decoder gives; a JPEG takes a quarter less
    time. Of other files, the picture that `open_image` describes. Raises UnreadableImage, nothing else.
    """
    file_format = format_of(data)
    try:
        image = _decode_jpeg_as_pillow(data) if file_format == "JPEG" else None
        return image or _decode_with_pillow(data, file_format)
    except UnreadableImage:
        raise
    except Exception as error:  # as in `open_image`
        raise UnreadableImage(_reason(error, data, file_format), _words(error)) from error


@dataclass(frozen=True)
class StoredPicture:
    """A picture in its own colours and as it lies in the file, for who makes another picture of it.

    pixels: of mode "L", "LA", "RGB", "RGBA" or "CMYK", 1/shrink of the file's size, rounded up: the picture ends at
        width / shrink, within the last pixel. width, height: as stored, in px.
    orientation: of EXIF, 1 (upright) to 8. profile: ICC bytes, b"" if it has none.
    """

    pixels: Image.Image
    width: int
    height: int
    shrink: int
    orientation: int
    profile: bytes


def open_stored(data: bytes, most_shrink: Callable[[int, int], float]) -> StoredPicture:
    """Decode the bytes of one image file, strictly, at 1/1 or a smaller size: JPEG at 1/2, 1/4 or 1/8, others at 1/n.

    most_shrink: width and height of the upright picture -> by how much it may be smaller.
    Raises UnreadableImage as `open_image` does.
    """
    file_format = format_of(data)
    try:
        return (_store_jpeg if file_format == "JPEG" else _store_with_pillow)(data, most_shrink)
    except UnreadableImage:
        raise
    except Exception as error:  # as in `open_image`
        raise UnreadableImage(_reason(error, data, file_format), _words(error)) from error


def working_scale(width: int, height: int, min_side_px: int = MIN_WORKING_SIDE_PX) -> int:
    """By how much a picture of this size is scaled down to be measured: 1, 2, 4 or 8."""
    return next(n for n in (8, 4, 2, 1) if n == 1 or min(width, height) / n >= min_side_px)


# ---- Which format: the first bytes tell, never the file's name.

# Format by Pillow's name -> the class that reads it. Calling the class, not Image.open, keeps the reason of a
# failure (Image.open only says "cannot identify") and imports one plugin instead of all forty.
READERS = {
    "JPEG": ("JpegImagePlugin", "JpegImageFile"),
    "PNG": ("PngImagePlugin", "PngImageFile"),
    "WEBP": ("WebPImagePlugin", "WebPImageFile"),
    "GIF": ("GifImagePlugin", "GifImageFile"),
    "BMP": ("BmpImagePlugin", "BmpImageFile"),
    "TIFF": ("TiffImagePlugin", "TiffImageFile"),
    "JPEG2000": ("Jpeg2KImagePlugin", "Jpeg2KImageFile"),
    "AVIF": ("AvifImagePlugin", "AvifImageFile"),
}

# The first match counts. Formats without an entry in READERS are recognised only to be called by their name.
SIGNATURES = {
    "JPEG": rb"\xff\xd8\xff",
    # Also with a signature that a transfer as text has damaged: IHDR stands in the same place.
    "PNG": rb"\x89PNG\r\n\x1a\n|.{10,14}IHDR",
    "WEBP": rb"RIFF....WEBP",
    "GIF": rb"GIF8[79]a",
    "BMP": rb"BM(.{12}.[\0-\x03]\0\0|.{0,15}\Z)",  # "BM" may begin a text: a header's size must follow
    "TIFF": rb"II[*+]\0|MM\0[*+]|MM\*\0|II\0\*",  # the last two are wrong but exist
    "JPEG2000": rb"\xff\x4f\xff\x51|\0\0\0\x0cjP  \r\n\x87\n",
    "AVIF": rb".{4}ftyp(avi[fs]|(mif1|msf1).{4}(.{4}){0,15}avi[fs])",
    "HEIF": rb".{4}ftyp(hei[cfmsx]|hev[cmsx]|mif1|msf1)",
    "JPEG XL": rb"\xff\x0a|\0\0\0\x0cJXL ",
    "JPEG XR": rb"II\xbc\x01",
    "camera raw": rb".{4}ftypcrx|FUJIFILMCCD-RAW|IIU\0|IIR[OS]|MMOR",
    "SVG": rb"(\xef\xbb\xbf)?\s*<(svg[\s>]|(\?xml|!--|!DOCTYPE svg).{0,1000}?<svg[\s>])",
    "PDF": rb"%PDF",
    "EPS": rb"%!PS|\xc5\xd0\xd3\xc6",
    "PSD": rb"8BPS",
    "XCF": rb"gimp xcf",
    "DDS": rb"DDS ",
    "EXR": rb"v/1\x01",
    "Radiance HDR": rb"#\?RADIANCE",
    "PNM": rb"P[1-7Ff]\s",
    "SGI": rb"\x01\xda[\0\x01]",
    "ICNS": rb"icns",
    "FITS": rb"SIMPLE  =",
    "QOI": rb"qoif",
    "BLP": rb"BLP[12]",
    "XPM": rb"/\* XPM \*/",
    "XBM": rb"\s*#define \w+_width ",
    "MSP": rb"DanM|LinS",
    "IM": rb"Image type:",
    "GIMP brush": rb".{20}GIMP",
    "FTEX": rb"FTEX",
    "PIXAR": rb"\x80\xe8\0\0",
    "Sun raster": rb"\x59\xa6\x6a\x95",
    "WMF": rb"\xd7\xcd\xc6\x9a",
    "EMF": rb"\x01\0\0\0.{36} EMF",
    "MNG": rb"\x8aMNG",
    "DjVu": rb"AT&TFORM",
    "DICOM": rb".{128}DICM",
    "FLI": rb".{4}[\x11\x12]\xaf",
    "PCX": rb"\x0a[\0\x02\x03\x05]\x01[\x01\x02\x04\x08]|\xb1\x68\xde\x3a",
    "ICO": rb"\0\0\x01\0[^\0]\0",
    "CUR": rb"\0\0\x02\0[^\0]\0",
    "TGA": rb".[\0\x01][\x01-\x03\x09-\x0b].{13}[\x08\x0f\x10\x18\x20]",  # no signature: a plausible header
}


@cache
def _signature(name: str) -> re.Pattern[bytes]:
    """Compiled when first needed: all together take 10 ms, and most folders hold one or two formats."""
    return re.compile(SIGNATURES[name], re.DOTALL)


def format_of(data: bytes) -> str:
    """Which of the READERS reads this file.

    Raises UnreadableImage: `empty`, `not_an_image`, or `unsupported` for an image of another format.
    """
    if not data:
        raise UnreadableImage("empty", "the file has no bytes")
    name = next((name for name in SIGNATURES if _signature(name).match(data)), None)
    if name is None:
        raise UnreadableImage("not_an_image", f"it begins with {data[:8]!r}, as no image format does")
    if name not in READERS:
        raise UnreadableImage("unsupported", f"{name} is not among the formats read: {', '.join(READERS)}")
    return name


# ---- JPEG

Decoded = TypeVar("Decoded")
JPEG_MODES = {1: "L", 3: "RGB", 4: "CMYK"}  # by number of colour components


@dataclass(frozen=True)
class _JpegHeader:
    """What stands before the pixels of a JPEG.

    needed: where the bytes are that decoding needs: all but metadata and stray bytes between segments.
    """

    width: int
    height: int
    components: int
    orientation: int
    needed: tuple[slice, ...]


def _open_jpeg(data: bytes, min_side_px: int) -> DecodedImage:
    header = _checked_jpeg_header(data)
    try:
        rgbx = _decode_jpeg(data, header, min_side_px)
    except ValueError as complaint:
        if _is_nameless_subsampling(complaint):
            return _open_with_pillow(data, "JPEG", min_side_px)
        rgbx = _without_metadata(data, header, complaint, lambda needed: _decode_jpeg(needed, header, min_side_px))
    width, height = _upright_size(header.width, header.height, header.orientation)
    mode = JPEG_MODES[header.components]
    return DecodedImage(_upright(rgbx, header.orientation), width, height, "JPEG", mode, len(data), SIMPLEJPEG)


def _checked_jpeg_header(data: bytes) -> _JpegHeader:
    header = _read_jpeg_header(data)
    _refuse_bomb(header.width, header.height)
    if header.components not in JPEG_MODES:
        raise UnreadableImage("unsupported", f"a JPEG of {header.components} colour components")
    return header


def _is_nameless_subsampling(complaint: ValueError) -> bool:
    """Not damage: turbojpeg has no name for the chroma subsampling, and then refuses to decode."""
    return "Could not determine" in str(complaint)


def _decode_jpeg(data: bytes, header: _JpegHeader, min_side_px: int) -> NDArray[np.uint8]:
    """The pixels at the working scale, (h, w, 4). Raises ValueError with libjpeg's first complaint."""
    sides = _jpeg_sides(header, working_scale(header.width, header.height, min_side_px))
    pixels: NDArray[np.uint8] = simplejpeg.decode_jpeg(
        data,
        "CMYK" if header.components == 4 else "RGBX",
        fastdct=True,
        fastupsample=True,
        min_height=sides[0],
        min_width=sides[1],
        strict=True,
    )
    if header.components != 4:
        return pixels
    inks = 255 - pixels  # stored inverted by Adobe's programs, and so by all; Pillow assumes it as well
    return np.asarray(Image.frombytes("CMYK", inks.shape[1::-1], inks.tobytes()).convert("RGB").convert("RGBX"))


def _jpeg_sides(header: _JpegHeader, scale: int) -> tuple[int, int]:
    """Height and width to ask simplejpeg for. It takes the smallest of libjpeg's sixteen scales that gives as much.

    Full size is told by zeros, not by the sides: a picture of 1 x 1 px is 1 x 1 at 1/8 as well.
    """
    return (-(-header.height // scale), -(-header.width // scale)) if scale > 1 else (0, 0)


def _without_metadata(
    data: bytes, header: _JpegHeader, complaint: ValueError, decode: Callable[[bytes], Decoded]
) -> Decoded:
    """The pixels, if it was only metadata that made libjpeg complain: a wrong length, a cut colour profile.

    libjpeg tells only its first complaint, so the rest has to pass by itself to count as intact.
    """
    try:
        needed = b"\xff\xd8" + b"".join(data[part] for part in header.needed)
        return decode(needed)
    except ValueError:
        raise complaint from None


def _store_jpeg(data: bytes, most_shrink: Callable[[int, int], float]) -> StoredPicture:
    header = _checked_jpeg_header(data)
    most = most_shrink(*_upright_size(header.width, header.height, header.orientation))
    shrink = next(n for n in (8, 4, 2, 1) if n <= most or n == 1)
    try:
        pixels = _decode_jpeg_colours(data, header, shrink)
    except ValueError as complaint:
        if _is_nameless_subsampling(complaint):
            return _store_with_pillow(data, most_shrink)
        pixels = _without_metadata(data, header, complaint, lambda needed: _decode_jpeg_colours(needed, header, shrink))
    return StoredPicture(pixels, header.width, header.height, shrink, header.orientation, _jpeg_profile(data))


def _decode_jpeg_colours(data: bytes, header: _JpegHeader, shrink: int) -> Image.Image:
    """As accurate as libjpeg can: its faster ways leave 44 dB of photographs of 500 x 375 px scaled to 224.

    Raises ValueError with libjpeg's first complaint.
    """
    height, width = _jpeg_sides(header, shrink)
    colours = {1: "GRAY", 3: "RGBX", 4: "CMYK"}[header.components]
    pixels: NDArray[np.uint8] = simplejpeg.decode_jpeg(data, colours, min_height=height, min_width=width)
    match header.components:
        case 1:
            return Image.frombytes("L", pixels.shape[1::-1], pixels)
        case 3:
            return picture_of(pixels)
    return Image.frombytes("CMYK", pixels.shape[1::-1], 255 - pixels)  # stored inverted, as in `_decode_jpeg`


def _jpeg_profile(data: bytes) -> bytes:
    """The ICC profile, which may be cut into several segments (ICC.1, annex B); what there is of it if one is lost."""
    parts = {}
    for marker, start, end in _jpeg_segments(data):
        if marker == _APP2 and data.startswith(b"ICC_PROFILE\0", start + 4):
            parts[data[start + 16]] = data[start + 18 : end]
    return b"".join(parts[number] for number in sorted(parts))


def _decode_jpeg_as_pillow(data: bytes) -> Image.Image | None:
    """The whole picture as Pillow decodes it, in RGB; None if only Pillow itself can tell."""
    header = _read_jpeg_header(data)
    _refuse_bomb(header.width, header.height)
    if header.components not in (1, 3) or not decodes_as_pillow():
        return None
    try:
        rgbx: NDArray[np.uint8] = simplejpeg.decode_jpeg(data, "RGBX")  # to RGB and a copy of that is slower
    except ValueError:  # Pillow may only shrug
        return None
    return picture_of(rgbx if header.orientation == 1 else _upright(rgbx, header.orientation))


def picture_of(rgbx: NDArray[np.uint8]) -> Image.Image:
    """Pixels, (h, w, 4), as a Pillow image of mode "RGB"."""
    return Image.frombytes("RGB", rgbx.shape[1::-1], rgbx, "raw", "RGBX")


@cache
def decodes_as_pillow() -> bool:
    """Whether simplejpeg gives the very pixels that Pillow does, by trying.

    Both bring libjpeg-turbo with them, and all its versions of the last years agree; a Pillow that was built with
    another libjpeg need not.
    """
    noise = np.random.default_rng(0).integers(0, 256, (9, 11, 3), np.uint8).repeat(3, 0).repeat(3, 1)
    for chroma in ("444", "422", "420"):
        data = simplejpeg.encode_jpeg(noise, 90, colorsubsampling=chroma)
        if simplejpeg.decode_jpeg(data).tobytes() != Image.open(BytesIO(data)).tobytes():
            return False
    return True


# Markers (ITU T.81, table B.1): FF, one of these, then the segment's length unless the marker stands alone.
_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_START_OF_SCAN = 0xDA
_END_OF_IMAGE = 0xD9
_APP1 = 0xE1  # EXIF
_APP2 = 0xE2  # colour profile
_APP14 = 0xEE  # Adobe: tells how the colours are coded
_METADATA = frozenset([*range(0xE0, 0xF0), 0xFE]) - {_APP14}
_ALONE = frozenset([0x01, *range(0xD0, 0xD9)])
_NOT_A_MARKER = frozenset([0x00, 0xFF])  # a stuffed FF, a fill byte


def _read_jpeg_header(data: bytes) -> _JpegHeader:
    frame, orientation, needed = b"", 1, []
    for marker, start, end in _jpeg_segments(data):
        if marker == _APP1 and orientation == 1 and data.startswith(b"Exif\0\0", start + 4):
            orientation = exif_orientation(data[start + 10 : end])
        elif marker in _START_OF_FRAME and not frame:
            frame = data[start + 4 : end]
        if marker not in _METADATA:
            needed.append(slice(start, None if marker == _START_OF_SCAN else end))
    if len(frame) < 6:
        raise UnreadableImage("corrupt", "the JPEG header does not tell the size of the picture")
    height, width, components = struct.unpack_from(">HHB", frame, 1)
    return _JpegHeader(width, height, components, orientation, tuple(needed))


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """(marker, start, end) of each segment up to the first scan; stray bytes between them are skipped."""
    position, marker = 2, 0
    while marker != _START_OF_SCAN:
        position = data.find(b"\xff", position)
        if position < 0 or position + 4 > len(data):
            reason: ReadError = "corrupt" if data.endswith(_END_OF_CODESTREAM) else "truncated"
            raise UnreadableImage(reason, "no pixels follow the JPEG header")
        marker = data[position + 1]
        if marker in _NOT_A_MARKER:
            position += 1
        elif marker in _ALONE:
            position += 2
        elif marker == _END_OF_IMAGE:
            raise UnreadableImage("corrupt", "the JPEG ends before its pixels begin")
        else:
            end = position + 2 + int.from_bytes(data[position + 2 : position + 4], "big")
            yield marker, position, end
            position = end


def exif_orientation(tiff: bytes) -> int:
    """The orientation tag of an EXIF block, 1 (upright) to 8; 1 if it has none or is damaged."""
    order: Literal["little", "big"] = "little" if tiff[:2] == b"II" else "big"
    letter = "<" if order == "little" else ">"
    try:
        (directory,) = struct.unpack_from(letter + "I", tiff, 4)
        (entries,) = struct.unpack_from(letter + "H", tiff, directory)
        for entry in range(entries):
            tag, kind, _, value = struct.unpack_from(letter + "HHI4s", tiff, directory + 2 + 12 * entry)
            if tag == 0x0112:
                orientation = int.from_bytes(value[: {1: 1, 3: 2}.get(kind, 4)], order)
                return orientation if 1 <= orientation <= 8 else 1
    except struct.error:  # an offset leads out of the block: no reason to refuse the picture
        pass
    return 1


# ---- Everything else


def _open_with_pillow(data: bytes, file_format: str, min_side_px: int) -> DecodedImage:
    if file_format == "PNG":
        _check_png(data)
    module, reader = READERS[file_format]
    with _strict_and_silent():
        image: Image.Image = getattr(import_module(f"PIL.{module}"), reader)(BytesIO(data))
        mode = image.mode
        _refuse_bomb(*image.size)
        image.load()
        orientation = _orientation(image)
        rgbx = _upright(_to_rgbx(image, min_side_px), orientation)
    width, height = _upright_size(*image.size, orientation)
    return DecodedImage(rgbx, width, height, file_format, mode, len(data), PILLOW)


def _store_with_pillow(data: bytes, most_shrink: Callable[[int, int], float]) -> StoredPicture:
    with _strict_and_silent():
        image = _loaded(data)
        profile = b"" if image.mode == "LAB" else image.info.get("icc_profile") or b""  # Pillow has made sRGB of L*a*b*
        orientation = _orientation(image)
        shrink = max(1, int(most_shrink(*_upright_size(*image.size, orientation))))
        pixels = _in_bands(image, shrink, lambda band: _in_own_colours(band).reduce(shrink))
    return StoredPicture(pixels, *image.size, shrink, orientation, profile)


def _loaded(data: bytes) -> Image.Image:
    """The first frame as Pillow reads it."""
    file_format = format_of(data)
    if file_format == "PNG":
        _check_png(data)
    module, reader = READERS[file_format]
    image: Image.Image = getattr(import_module(f"PIL.{module}"), reader)(BytesIO(data))
    _refuse_bomb(*image.size)
    image.load()
    return image


@contextmanager
def _strict_and_silent() -> Iterator[None]:
    """Pillow as it is by default, whatever a notebook has set, and without warnings.

    It warns of odd metadata and of large pictures; we judge both ourselves.
    """
    lenient = ImageFile.LOAD_TRUNCATED_IMAGES
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = lenient


def _decode_with_pillow(data: bytes, file_format: str) -> Image.Image:
    """The whole picture, upright, in RGB."""
    with _strict_and_silent():
        image = _loaded(data)
        if image.mode == "RGB" and not image.has_transparency_data and _orientation(image) == 1:
            plain = image.convert("RGB")
            plain.info = {}  # metadata of the file
            return plain
    return _open_with_pillow(data, file_format, MAX_PIXELS).picture  # MAX_PIXELS: no side has more


def _check_png(data: bytes) -> None:
    """Refuse a PNG that is cut or has a wrong checksum; Pillow does not check those of the pixels."""
    if not data.startswith(b"\x89PNG\r\n\x1a\n"):
        raise UnreadableImage("corrupt", f"a PNG whose signature was changed to {data[:8]!r}")
    view, position, kind = memoryview(data), 8, b""
    while kind != b"IEND":
        kind = data[position + 4 : position + 8]
        end = position + 12 + int.from_bytes(data[position : position + 4], "big")
        if end > len(data):
            raise UnreadableImage("truncated", f"the PNG ends within chunk {kind!r}")
        if zlib.crc32(view[position + 4 : end - 4]) != int.from_bytes(data[end - 4 : end], "big"):
            raise UnreadableImage("corrupt", f"wrong checksum in PNG chunk {kind!r}")
        position = end


def _orientation(image: Image.Image) -> int:
    """As `exif_orientation`, of a picture that Pillow has loaded; it has turned TIFF pictures itself."""
    try:
        orientation = image.getexif().get(0x0112, 1)
    except Exception:  # noqa: BLE001  damaged EXIF fails in many ways, and is no reason to refuse the picture
        return 1
    return orientation if orientation in range(1, 9) else 1


# ---- Pixels to upright 8-bit RGB


def _to_rgbx(image: Image.Image, min_side_px: int) -> NDArray[np.uint8]:
    """The picture in RGB at the working scale, (h, w, 4)."""
    scale = working_scale(*image.size, min_side_px)
    rows = max(BAND_PIXELS // image.width // scale, 1) * scale
    value_range = _value_range(image) if image.mode[0] in "IF" else (0.0, 255.0)
    bands = []
    for top in range(0, image.height, rows):
        band = image.crop((0, top, image.width, min(top + rows, image.height)))
        if image.mode[0] in "IF":
            band = _to_bytes(band, value_range)
        bands.append(np.asarray(_on_white(band).reduce(scale).convert("RGBX")))
    return np.concatenate(bands)


def _in_bands(image: Image.Image, rows_in_step: int, make: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """The picture put together of what `make` makes of its bands, whose heights divide by `rows_in_step`."""
    rows = max(BAND_PIXELS // image.width // rows_in_step, 1) * rows_in_step
    value_range = _value_range(image) if image.mode[0] in "IF" else (0.0, 255.0)
    whole: Image.Image | None = None
    for top in range(0, image.height, rows):
        band = image.crop((0, top, image.width, min(top + rows, image.height)))
        made = make(_to_bytes(band, value_range) if image.mode[0] in "IF" else band)
        whole = whole or Image.new(made.mode, (made.width, -(-image.height // rows_in_step)))
        whole.paste(made, (0, top // rows_in_step))
    assert whole is not None
    return whole


def _in_own_colours(band: Image.Image) -> Image.Image:
    """In the simplest of the modes "L", "LA", "RGB", "RGBA" and "CMYK" that keeps colours and transparency."""
    if band.has_transparency_data:
        return band.convert({"La": "LA", "LA": "LA"}.get(band.mode, "RGBA"))
    if band.mode == "1":
        return band.convert("L")
    return band if band.mode in ("L", "RGB", "CMYK") else band.convert("RGB")


def _value_range(image: Image.Image) -> tuple[float, float]:
    """The values that stand for black and white in a picture of 16- or 32-bit numbers.

    16 bits: the full range (of the bits used, where a TIFF says so), so that a dark picture stays dark.
    32 bits have no agreed white: 1 (fractions only), 255 or 65535, the first that holds every value; if none
    does, the darkest and the lightest value of the picture.
    """
    if image.mode.startswith("I;16"):
        tags = getattr(image, "tag_v2", {})
        white = 2.0 ** tags.get(_BITS_PER_SAMPLE, (16,))[0] - 1
        return (white, 0.0) if tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO else (0.0, white)
    pixels = np.asarray(image)
    finite = pixels[np.isfinite(pixels)] if image.mode == "F" else pixels
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    usual = [255.0, 65535.0] if image.mode == "I" else [1.0, 255.0, 65535.0]
    fitting = [white for white in usual if low >= 0 and high <= white]
    return (0.0, fitting[0]) if fitting else (low, high)


_BITS_PER_SAMPLE, _PHOTOMETRIC, _WHITE_IS_ZERO = 258, 262, 0  # of TIFF; Pillow ignores them at 16 bits


def _to_bytes(band: Image.Image, value_range: tuple[float, float]) -> Image.Image:
    """Numbers of 16 or 32 bits as 8-bit grey; not a number becomes black."""
    black, white = value_range
    shares = (np.asarray(band, dtype=np.float32) - black) / (white - black or 1.0)
    levels = np.nan_to_num(shares * 255.0, nan=0.0).clip(0, 255)
    return Image.fromarray((levels + 0.5).astype(np.uint8))


def _on_white(band: Image.Image) -> Image.Image:
    """In RGB; transparent parts white, as on the page that most cut-outs, logos and drawings are made for.

    Dropping the transparency instead would show what an editor left behind it: often black.
    """
    if not band.has_transparency_data:
        return band.convert("RGB")
    band = band.convert({"La": "LA", "RGBa": "RGBA"}.get(band.mode, band.mode)).convert("RGBA")
    page = Image.new("RGB", band.size, (255, 255, 255))
    page.paste(band, mask=band)
    return page


def _upright(rgbx: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Undo an EXIF orientation (CIPA DC-008, tag 0x0112): 5 to 8 lie on their side."""
    if orientation >= 5:
        rgbx = rgbx.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        rgbx = rgbx[:, ::-1]
    if orientation in (3, 4, 7, 8):
        rgbx = rgbx[::-1]
    return np.ascontiguousarray(rgbx)


_UNDO = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def upright(image: Image.Image, orientation: int) -> Image.Image:
    """The same of a Pillow image."""
    return image.transpose(_UNDO[orientation]) if orientation in _UNDO else image


def _upright_size(width: int, height: int, orientation: int) -> tuple[int, int]:
    return (height, width) if orientation >= 5 else (width, height)


# ---- Why not


def _refuse_bomb(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise UnreadableImage("too_large", f"{width} x {height} px, more than the limit of {MAX_PIXELS:,} px")


def _reason(error: Exception, data: bytes, file_format: str) -> ReadError:
    """The decoders tell only in words what is wrong, and some not even that."""
    words = str(error).lower()
    if isinstance(error, MemoryError | Image.DecompressionBombError) or "too large" in words:
        return "too_large"
    if any(kind in words for kind in _UNKNOWN):
        return "unsupported"
    if file_format == "JPEG" and data.endswith(_END_OF_CODESTREAM):  # not cut, whatever damage made of it
        return "corrupt"
    if isinstance(error, EOFError) or any(cut in words for cut in _CUT) or _ends_early(data, file_format):
        return "truncated"
    return "corrupt"


_CUT = ("truncated", "premature end of jpeg", "premature end of input", "unexpected end")
_UNKNOWN = (
    "unsupported jpeg",  # a process or precision; an "unsupported marker" is damage
    "unsupported color",
    "unsupported bmp",
    "not supported",
    "not installed",
    "unknown pixel mode",
    "unknown compression",
)
_END_OF_CODESTREAM = b"\xff\xd9"  # of JPEG and JPEG 2000


def _ends_early(data: bytes, file_format: str) -> bool:
    """Whether the file is shorter than it says itself, where decoders do not tell."""
    match file_format:
        case "WEBP":
            return len(data) < 8 + int.from_bytes(data[4:8], "little")
        case "TIFF":  # most programs write the directory last
            return len(data) < int.from_bytes(data[4:8], "little" if data[:2] == b"II" else "big")
        case "JPEG2000":
            return not data.endswith(_END_OF_CODESTREAM)
        case "AVIF":
            return _last_box_end(data) > len(data)
    return False


def _last_box_end(data: bytes) -> int:
    """Where the boxes of an ISO base media file (ISO/IEC 14496-12) should end."""
    position = 0
    while position + 8 <= len(data):
        size = int.from_bytes(data[position : position + 4], "big")
        position += max(size, 8) if size else len(data)  # 0: to the end of the file
    return position


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__
