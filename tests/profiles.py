"""ICC profiles (ICC.1) that change colours beyond doubt, as bytes; drawn here, nothing is downloaded.

SRGB       sRGB as littlecms writes it
SWAPPED    RGB whose red is sRGB's green, and the other way round
BRIGHTER   grey of gamma 1: mid-grey 128 is sRGB's 188
INKS       CMYK whose every ink is black
"""

from __future__ import annotations

import struct

from PIL import ImageCms

D50 = struct.pack(">3i", 63190, 65536, 54061)  # the illuminant, in 65536ths


def _profile(space: bytes, connection: bytes, tags: dict[bytes, bytes]) -> bytes:
    offset, directory, body = 132 + 12 * len(tags), b"", b""
    for name, tag in tags.items():
        directory += name + struct.pack(">II", offset + len(body), len(tag))
        body += tag
    size = offset + len(body)
    header = struct.pack(">I4sI4s4s4s12x4s", size, b"", 0x02400000, b"prtr", space, connection, b"acsp")
    header += bytes(28) + D50 + bytes(128 - len(header) - 28 - len(D50))
    return header + struct.pack(">I", len(tags)) + directory + body


def _table_of_inks() -> bytes:
    """A tag of type lut8: no ink is white, all else black, in L*a*b*."""
    line = bytes(range(256))
    white, black = bytes([255, 128, 128]), bytes([0, 128, 128])
    matrix = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536)
    return b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + matrix + line * 4 + white + black * 15 + line * 3


SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
SWAPPED = SRGB.replace(b"rXYZ", b"----").replace(b"gXYZ", b"rXYZ").replace(b"----", b"gXYZ")
BRIGHTER = _profile(
    b"GRAY",
    b"XYZ ",
    {b"wtpt": b"XYZ " + bytes(4) + D50, b"kTRC": b"curv" + bytes(4) + struct.pack(">I", 0)},
)
INKS = _profile(b"CMYK", b"Lab ", {b"wtpt": b"XYZ " + bytes(4) + D50, b"A2B0": _table_of_inks()})
