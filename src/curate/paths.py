r"""File names as text, and back.

A file name on Linux is any bytes without "/" and NUL; a table holds Unicode text. Names that are valid UTF-8
stay as they are; a byte that is not becomes `\xff`, and a backslash becomes `\\`, so that the way back is exact.
Two names that differ only in Unicode normalization (NFC, NFD) are two files, as on disk.
"""

from __future__ import annotations

import re

_UNDECODABLE = re.compile("[\udc80-\udcff]")
_ESCAPED = re.compile(r"\\(\\|x[0-9a-f]{2})")


def to_text(name: str) -> str:
    """The table's text for a file name as Python's `os` functions give it."""
    if name.isascii() and "\\" not in name:  # nearly all, of a million
        return name
    doubled = name.replace("\\", "\\\\")
    return _UNDECODABLE.sub(lambda match: f"\\x{ord(match[0]) - 0xDC00:02x}", doubled)


def to_file_name(text: str) -> str:
    """The file name, for Python's `os` functions, that `to_text` turned into this text."""
    return _ESCAPED.sub(lambda match: "\\" if match[1] == "\\" else chr(0xDC00 + int(match[1][1:], 16)), text)


def printable(text: str) -> str:
    """Text that can't move the cursor or recolour a terminal: control characters are shown, not sent."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
