"""What an image file tells of people beside its picture: where it was taken, by whom, with which very camera.

It stands in EXIF, XMP and IPTC, travels with every copy of the file, and nobody sees it on the screen. Only the kind of
what was found leaves this module, never a name or a place.

Not found: what is written into the picture itself, in makers' private notes, in audio or in thumbnails.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

# Kind -> what it is, in the order in which it is told.
KINDS = {"location": "where it was taken", "name": "who made or owns it", "serial": "a camera's serial number"}

# Tags of Exif 2.32 (CIPA DC-008) and, from XPAuthor on, of Microsoft.
EXIF_DIRECTORY, GPS_DIRECTORY = 0x8769, 0x8825
LATITUDE, LONGITUDE, DESTINATION_LATITUDE, AREA = 0x0002, 0x0004, 0x0014, 0x001C
ARTIST, COPYRIGHT, OWNER, XP_AUTHOR = 0x013B, 0x8298, 0xA430, 0x9C9D
BODY_SERIAL, LENS_SERIAL = 0xA431, 0xA435
# Properties of XMP (ISO 16684) that say the same; a value stands behind each as an attribute or as an element.
XMP = {
    "location": rb"exif:GPSLatitude|exif:GPSLongitude|Iptc4xmpExt:LocationCreated|photoshop:City",
    "name": rb"dc:creator|dc:rights|aux:OwnerName|photoshop:Credit|exifEX:CameraOwnerName",
    "serial": rb"aux:SerialNumber|exifEX:BodySerialNumber|aux:LensSerialNumber",
}
# Data sets of IPTC-IIM 4.2, record 2.
IPTC = {"location": (90, 92, 95), "name": (80, 110, 116)}  # city, place, state; by-line, credit, copyright notice
MOST_XMP_BYTES = 1_000_000  # a packet is some kB; a hostile file may hold anything


def personal_kinds(exif: Image.Exif, xmp: bytes = b"", iptc: Mapping[tuple[int, int], object] | None = None) -> str:
    """The KINDS that these metadata hold, ;-joined in their order; "" = none."""
    found = _in_exif(exif) | _in_xmp(xmp[:MOST_XMP_BYTES]) | _in_iptc(iptc or {})
    return ";".join(kind for kind in KINDS if kind in found)


def _in_exif(exif: Image.Exif) -> set[str]:
    outer, inner, place = exif, exif.get_ifd(EXIF_DIRECTORY), exif.get_ifd(GPS_DIRECTORY)
    said = {
        "location": [place.get(tag) for tag in (LATITUDE, LONGITUDE, DESTINATION_LATITUDE, AREA)],
        "name": [outer.get(ARTIST), outer.get(COPYRIGHT), outer.get(XP_AUTHOR), inner.get(OWNER)],
        "serial": [inner.get(BODY_SERIAL), inner.get(LENS_SERIAL)],
    }
    return {kind for kind, values in said.items() if any(map(_tells, values))}


def _in_xmp(packet: bytes) -> set[str]:
    return {kind for kind, names in XMP.items() if re.search(rb"\b(?:" + names + rb")(?:=[\"'][^\"']|[\s>/])", packet)}


def _in_iptc(sets: Mapping[tuple[int, int], object]) -> set[str]:
    return {kind for kind, numbers in IPTC.items() if any(_tells(sets.get((2, number))) for number in numbers)}


def _tells(value: object) -> bool:
    """Whether a tag says anything: cameras write blanks and zeros where they know nothing."""
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    if isinstance(value, str):
        return bool(value.strip(" \0\t\r\n0"))
    if isinstance(value, (tuple, list)):
        return any(map(_tells, value))
    # A position of 0°, 0' and 0" is that of a receiver without satellites. Pillow's fractions may be 0/0, which is nan.
    return value is not None and value == value and value != 0
