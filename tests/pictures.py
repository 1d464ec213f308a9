"""One small picture of each odd kind, as bytes, for every test that needs a hostile or unusual folder.

    READABLE     name -> bytes of a whole picture of a kind that decoders get wrong
    UNREADABLE   name -> (reason from curate.errors.READ_ERRORS, bytes)

Everything is drawn here; nothing is downloaded. The scene is the same in all: four quarters, red and green
over blue and white, so that a test can tell which way up a picture is and whether its colours are right.
"""

from __future__ import annotations

import os
import struct
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, features

from curate.errors import ReadError

RED, GREEN, BLUE, WHITE = (200, 30, 30), (30, 160, 40), (30, 40, 190), (240, 240, 240)


def scene(width: int = 96, height: int = 64) -> Image.Image:
    """Red, green over blue, white, with some noise so that it does not compress to nothing."""
    quarters = np.array([[RED, GREEN], [BLUE, WHITE]], dtype=np.int16)
    rows = np.arange(height) * 2 // height
    columns = np.arange(width) * 2 // width
    noise = np.random.default_rng(7).integers(-8, 9, size=(height, width, 1))
    return Image.fromarray((quarters[rows][:, columns] + noise).clip(0, 255).astype(np.uint8))


def encoded(image: Image.Image, file_format: str, **options: object) -> bytes:
    buffer = BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def numbers(dtype: str, low: float, high: float) -> Image.Image:
    """A ramp from `low` at the left to `high` at the right, in 16- or 32-bit numbers."""
    return Image.fromarray(np.linspace(low, high, 96).astype(dtype)[None, :].repeat(64, axis=0))


def with_alpha(mode: str) -> Image.Image:
    """The scene with a transparent right half."""
    alpha = Image.new("L", (96, 64), 0)
    alpha.paste(255, (0, 0, 48, 64))
    image = scene().convert(mode[:-1])
    image.putalpha(alpha)
    return image


def transparent_palette() -> bytes:
    """A palette picture whose white entry is transparent, above red."""
    image = Image.new("P", (96, 64), 0)
    image.putpalette([*RED, *WHITE])
    image.paste(1, (48, 0, 96, 64))
    return encoded(image, "PNG", transparency=bytes([255, 0]))


def turned(orientation: int, file_format: str = "JPEG") -> bytes:
    """The scene stored as a camera would that was held differently; upright, all eight are the scene."""
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = scene().transpose(undo[orientation]) if orientation in undo else scene()
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(stored, file_format, exif=exif)


def frames(file_format: str, **options: object) -> bytes:
    """Three frames or pages; the first is the scene."""
    rest = [scene().rotate(angle) for angle in (90, 180)]
    return encoded(scene(), file_format, save_all=True, append_images=rest, **options)


def nameless_subsampling() -> bytes:
    """A whole JPEG that turbojpeg refuses: three separate scans, each component sampled 2 x 2."""
    planes = [encoded(plane, "JPEG") for plane in scene().convert("YCbCr").split()]
    tables, after = planes[0].index(b"\xff\xdb"), planes[0].index(b"\xff\xc0")
    huffman, scan = planes[0].index(b"\xff\xc4"), planes[0].index(b"\xff\xda")
    size = struct.pack(">BHHB", 8, 64, 96, 3)
    components = b"".join(bytes([number, 0x22, 0]) for number in (1, 2, 3))
    frame = b"\xff\xc0" + struct.pack(">H", 2 + len(size + components)) + size + components
    scans = b"".join(
        b"\xff\xda\x00\x08\x01" + bytes([number, 0, 0, 63, 0]) + plane[plane.index(b"\xff\xda") + 10 : -2]
        for number, plane in enumerate(planes, start=1)
    )
    return b"\xff\xd8" + planes[0][tables:after] + frame + planes[0][huffman:scan] + scans + b"\xff\xd9"


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def bomb(width: int = 60_000, height: int = 60_000) -> bytes:
    """A PNG of a few bytes that claims 3.6 gigapixels."""
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    pixels = png_chunk(b"IDAT", zlib.compress(bytes(1000)))
    return b"\x89PNG\r\n\x1a\n" + header + pixels + png_chunk(b"IEND", b"")


def text_bomb() -> bytes:
    """A whole PNG with a compressed comment of 64 MB."""
    comment = png_chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(64_000_000)))
    png = encoded(scene(), "PNG")
    return png[:33] + comment + png[33:]  # behind the signature and IHDR


def zeroed(data: bytes, size: int) -> bytes:
    """`data` with zeros in its middle."""
    start = len(data) // 2
    return data[:start] + bytes(size) + data[start + size :]


def cut(data: bytes) -> bytes:
    return data[: len(data) * 6 // 10]


def _lab() -> Image.Image:
    srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    converted = ImageCms.profileToProfile(scene(), srgb, lab, outputMode="LAB")
    assert converted is not None
    return converted


JPEG = encoded(scene(), "JPEG", quality=90)
PNG = encoded(scene(), "PNG")

READABLE: dict[str, bytes] = {
    "ordinary.jpg": JPEG,
    "large.jpg": encoded(scene(1100, 1000), "JPEG"),
    "large.png": encoded(scene(1100, 1000), "PNG"),
    "progressive.jpg": encoded(scene(), "JPEG", progressive=True),
    "grey.jpg": encoded(scene().convert("L"), "JPEG"),
    "cmyk.jpg": encoded(scene().convert("CMYK"), "JPEG"),
    "nameless_subsampling.jpg": nameless_subsampling(),
    "appended_bytes.jpg": JPEG + b"more" * 1000,
    "broken_exif.jpg": encoded(scene(), "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff"),
    "stray_header_bytes.jpg": JPEG[:20] + bytes(5) + JPEG[20:],  # behind the JFIF segment
    "jpeg_inside.png": JPEG,
    **{f"orientation_{number}.jpg": turned(number) for number in range(1, 9)},
    "orientation_6.png": turned(6, "PNG"),
    "orientation_6.webp": turned(6, "WEBP"),
    "orientation_6.tif": turned(6, "TIFF"),
    "one_pixel.png": encoded(scene(1, 1), "PNG"),
    "one_pixel.jpg": encoded(scene(1, 1), "JPEG"),
    "one_row.png": encoded(scene(300, 1), "PNG"),
    "one_column.jpg": encoded(scene(1, 300), "JPEG"),
    "rgb.png": PNG,
    "rgba.png": encoded(with_alpha("RGBA"), "PNG"),
    "rgba.webp": encoded(with_alpha("RGBA"), "WEBP", lossless=True),
    "grey.png": encoded(scene().convert("L"), "PNG"),
    "grey_alpha.png": encoded(with_alpha("LA"), "PNG"),
    "palette.png": encoded(scene().quantize(16), "PNG"),
    "palette_transparent.png": transparent_palette(),
    "palette_alpha.tif": encoded(with_alpha("RGBA").convert("PA"), "TIFF"),
    "bilevel.png": encoded(scene().convert("1"), "PNG"),
    "bilevel.tif": encoded(scene().convert("1"), "TIFF", compression="group4"),
    "grey16.png": encoded(numbers("uint16", 0, 65535), "PNG"),
    "dark16.png": encoded(numbers("uint16", 0, 6553), "PNG"),
    "grey16_big_endian.tif": encoded(numbers(">u2", 0, 65535), "TIFF"),
    "integers32.tif": encoded(numbers("int32", -1000, 1_000_000), "TIFF"),
    "fractions.tif": encoded(numbers("float32", 0, 1), "TIFF"),
    "heights.tif": encoded(numbers("float32", -400, 8848), "TIFF"),
    "no_numbers.tif": encoded(numbers("float32", np.nan, np.nan), "TIFF"),
    "cmyk.tif": encoded(scene().convert("CMYK"), "TIFF"),
    "ycbcr.tif": encoded(scene().convert("YCbCr"), "TIFF"),
    "lab.tif": encoded(_lab(), "TIFF"),
    "lzw.tif": encoded(scene(), "TIFF", compression="tiff_lzw"),
    "pages.tif": frames("TIFF"),
    "animated.gif": frames("GIF"),
    "animated.webp": frames("WEBP", lossless=True),
    "animated.png": frames("PNG"),
    "ordinary.webp": encoded(scene(), "WEBP"),
    "ordinary.gif": encoded(scene(), "GIF"),
    "ordinary.bmp": encoded(scene(), "BMP"),
    "ordinary.jp2": encoded(scene(), "JPEG2000"),
    **({"ordinary.avif": encoded(scene(), "AVIF")} if features.check("avif") else {}),
}

UNREADABLE: dict[str, tuple[ReadError, bytes]] = {
    "empty.jpg": ("empty", b""),
    "text.jpg": ("not_an_image", b"BMW and Mini are cars; this is a text.\n" * 10),
    "zeros.png": ("not_an_image", bytes(5000)),
    "web_page.jpg": ("not_an_image", b"<!DOCTYPE html><html><body>404 Not Found</body></html>"),
    "truncated.jpg": ("truncated", cut(JPEG)),
    "truncated_header.jpg": ("truncated", JPEG[:100]),
    "truncated_progressive.jpg": ("truncated", cut(READABLE["progressive.jpg"])),
    "truncated.png": ("truncated", cut(PNG)),
    "truncated_end.png": ("truncated", PNG[:-12]),
    "truncated.gif": ("truncated", cut(READABLE["ordinary.gif"])),
    "truncated.webp": ("truncated", cut(READABLE["ordinary.webp"])),
    "truncated.bmp": ("truncated", cut(READABLE["ordinary.bmp"])),
    "truncated.jp2": ("truncated", cut(READABLE["ordinary.jp2"])),
    "truncated.tif": ("truncated", cut(READABLE["lzw.tif"])),
    "bomb.jpg": ("too_large", JPEG.replace(b"\0\x40\0\x60", b"\xff\xff\xff\xff", 1)),  # 64 x 96 px
    "zeroed.jpg": ("corrupt", zeroed(JPEG, 500)),
    "zeroed.png": ("corrupt", zeroed(PNG, 100)),
    "wrong_checksum.png": ("corrupt", PNG[:-20] + b"\1\2\3\4" + PNG[-16:]),  # the last pixels
    "sent_as_text.png": ("corrupt", PNG.replace(b"\r\n", b"\n", 1)),
    "no_pixels.jpg": ("corrupt", JPEG[:20] + b"\xff\xd9" + bytes(20)),
    "bomb.png": ("too_large", bomb()),
    "text_bomb.png": ("too_large", text_bomb()),
    "icon.ico": ("unsupported", encoded(scene(32, 32), "ICO")),
    "picture.tga": ("unsupported", encoded(scene(), "TGA")),
    "picture.ppm": ("unsupported", encoded(scene(), "PPM")),
    "picture.dds": ("unsupported", encoded(scene(), "DDS")),
    "picture.pcx": ("unsupported", encoded(scene(), "PCX")),
    "picture.sgi": ("unsupported", encoded(scene(), "SGI")),
    "picture.pdf": ("unsupported", encoded(scene(), "PDF")),
    "picture.eps": ("unsupported", encoded(scene(), "EPS")),
    "layers.psd": ("unsupported", b"8BPS\0\1" + bytes(40)),
    "phone.heic": ("unsupported", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(40)),
    "drawing.svg": ("unsupported", b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>'),
    **({"truncated.avif": ("truncated", cut(READABLE["ordinary.avif"]))} if features.check("avif") else {}),
}  # fmt: skip

# File names as bytes: not every name that a file system holds is valid UTF-8.
ODD_NAMES = (
    "写真 1.jpg".encode(),
    "🌻.jpg".encode(),
    "cafe\u0301.jpg".encode(),  # é as two characters, as macOS writes it
    "caf\u00e9.jpg".encode(),  # the same to the eye
    b"caf\xe9.jpg",  # Latin-1
    b"two\nlines.jpg",
    b"tab\tand 'quotes\".jpg",
    b" spaces .jpg",
    b"-rf.jpg",
    b"a;b,c.jpg",
)


def write(folder: Path, name: str) -> Path:
    """Write one picture of READABLE or UNREADABLE."""
    path = folder / name
    path.write_bytes(READABLE[name] if name in READABLE else UNREADABLE[name][1])
    return path


def write_all(folder: Path) -> None:
    """Write every picture of READABLE and UNREADABLE."""
    for name in [*READABLE, *UNREADABLE]:
        write(folder, name)


def write_odd_names(folder: Path) -> list[Path]:
    """The same ordinary picture under each of ODD_NAMES."""
    paths = [folder / os.fsdecode(name) for name in ODD_NAMES]
    for path in paths:
        path.write_bytes(JPEG)
    return paths
