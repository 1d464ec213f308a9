"""What lists from elsewhere say of paths and labels, which may be anything at all."""

from __future__ import annotations

import os
import posixpath
from pathlib import Path


def file_inside(folder: Path, named: str) -> Path:
    """The regular file of that relative path, with "/" between its parts.

    Raises LookupError, in words for people, when there is none or when the path or a symbolic link on it leads out of
    the folder: a list from elsewhere must not make anybody read other files.
    """
    path = posixpath.normpath(named)
    if "\0" in named or path.startswith(("/", "../")) or path in ("..", "."):
        raise LookupError(f"{named!r} is not a path inside the folder")
    file = folder / path
    if not os.path.lexists(file):
        raise LookupError(f"there is no file {named!r}")
    try:
        real = Path(os.path.realpath(file))
        if not real.is_relative_to(os.path.realpath(folder)):
            raise LookupError(f"{named!r} is a link that leads out of the folder")
        if not real.is_file():
            raise LookupError(f"there is no file {named!r}")
    except OSError as error:  # a loop of links
        raise LookupError(f"{named!r} can't be read: {error.strerror}") from error
    return file


def is_label(value: object) -> bool:
    """Whether it is text that a table and a file can hold."""
    return isinstance(value, str) and value != "" and "\0" not in value and value == storable(value)


def storable(text: str) -> str:
    """The text with halves of surrogate pairs spelt out: JSON can hold them, and no file can."""
    return text.encode("utf-8", "backslashreplace").decode()
