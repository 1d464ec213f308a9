"""What metadata tell of people is noticed by kind: a place, a name, a serial number."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest
from PIL import Image, TiffImagePlugin

from curate.captures import said_by
from pictures import png_chunk

EXIF, GPS = 0x8769, 0x8825
ARTIST, COPYRIGHT, OWNER, SERIAL = 0x013B, 0x8298, 0xA430, 0xA431
HERE = {1: "N", 2: (48.0, 8.0, 5.0), 3: "E", 4: (11.0, 34.0, 31.0)}
XMP = b'<x:xmpmeta><rdf:Description exif:GPSLatitude="48,8.1N" aux:SerialNumber="123"/></x:xmpmeta>'


def jpeg(
    outer: dict[int, Any] | None = None, inner: dict[int, Any] | None = None, gps: dict[int, Any] | None = None
) -> bytes:
    exif = Image.Exif()
    exif.update(outer or {})
    exif.get_ifd(EXIF).update(inner or {})
    exif.get_ifd(GPS).update(gps or {})
    buffer = BytesIO()
    Image.new("RGB", (40, 30), "green").save(buffer, "JPEG", exif=exif)
    return buffer.getvalue()


def saved(file_format: str, **options: Any) -> bytes:
    buffer = BytesIO()
    Image.new("RGB", (40, 30), "green").save(buffer, file_format, **options)
    return buffer.getvalue()


def kinds(data: bytes) -> str | None:
    return said_by(BytesIO(data)).personal


def test_a_position_is_a_location() -> None:
    assert kinds(jpeg(gps=HERE)) == "location"


def test_a_receiver_without_satellites_tells_no_location() -> None:
    """It writes that it is there, and zeros."""
    nowhere = {0: b"\2\3\0\0", 1: "N", 2: (0.0, 0.0, 0.0), 4: (0.0, 0.0, 0.0)}

    assert kinds(jpeg(gps=nowhere)) == ""


@pytest.mark.parametrize("tag", [ARTIST, COPYRIGHT])
def test_an_author_is_a_name(tag: int) -> None:
    assert kinds(jpeg(outer={tag: "Ada Lovelace"})) == "name"


def test_an_owner_and_a_serial_number_are_two_kinds() -> None:
    assert kinds(jpeg(inner={OWNER: "Ada", SERIAL: "0420"})) == "name;serial"


def test_blanks_are_no_name() -> None:
    """Cameras fill what they don't know with blanks."""
    assert kinds(jpeg(outer={ARTIST: "      ", COPYRIGHT: " "})) == ""


def test_a_picture_without_metadata_tells_nothing() -> None:
    assert kinds(saved("JPEG")) == ""


def test_xmp_tells_as_exif_does() -> None:
    assert kinds(saved("JPEG", xmp=XMP)) == "location;serial"


def test_xmp_of_webp_is_read() -> None:
    assert kinds(saved("WEBP", xmp=XMP)) == "location;serial"


def test_xmp_of_png_is_read() -> None:
    text = b"XML:com.adobe.xmp\0\0\0\0\0" + XMP
    plain = saved("PNG")

    assert kinds(plain[:33] + png_chunk(b"iTXt", text) + plain[33:]) == "location;serial"


def test_xmp_that_only_names_a_namespace_tells_nothing() -> None:
    assert kinds(saved("JPEG", xmp=b'<rdf:RDF xmlns:dc="http://purl.org/dc/elements/1.1/"></rdf:RDF>')) == ""


def test_a_creator_in_an_element_is_a_name() -> None:
    packet = b"<rdf:RDF><dc:creator><rdf:Seq><rdf:li>Ada</rdf:li></rdf:Seq></dc:creator></rdf:RDF>"

    assert kinds(saved("JPEG", xmp=packet)) == "name"


def test_iptc_of_a_tiff_tells_the_by_line() -> None:
    """Record 2, data set 80: who made it."""
    info = TiffImagePlugin.ImageFileDirectory_v2()
    info[33723] = b"\x1c\x02\x50\x00\x03Ada"
    info.tagtype[33723] = 7

    assert kinds(saved("TIFF", tiffinfo=info)) == "name"


def test_what_is_no_picture_tells_nothing() -> None:
    assert kinds(b"not a picture at all") == ""
