"""Names for folders and files that leave the store: safe on every system, distinct on every system, reversible.

What no file name may hold on Windows or Linux is written as `%XX`, as in web addresses: `urllib.parse.unquote` gives
the original back. Two names that some system would take for one (case, Unicode normalization) differ in such
escapes too.
"""

from __future__ import annotations

import posixpath
import re
import unicodedata
from collections.abc import Iterable
from itertools import chain, count

# Characters that no file name may have on Windows or Linux, and "%" itself, so that the escape is reversible.
# Surrogates stand for bytes that are no UTF-8.
_UNSAFE = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*%\ud800-\udfff]|[. ]$|^[. ]')
_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?")  # device names of Windows


def safe_name(label: str) -> str:
    """The label as a folder name on any system; `urllib.parse.unquote` gives the label back."""
    escaped = _UNSAFE.sub(lambda match: _escaped(match[0]), label)
    return _escaped(escaped[0]) + escaped[1:] if _RESERVED.fullmatch(escaped) else escaped


def safe_path(path: str) -> str:
    """The path with every part of it safe; parts that mean a place elsewhere, like "..", become ordinary names."""
    return "/".join(safe_name(part) for part in path.split("/") if part)


def safe_names(labels: Iterable[str]) -> dict[str, str]:
    """A folder name for each label, distinct also where case or Unicode normalization are ignored.

    The first of labels that would meet, in alphabetical order, keeps its plain name; in the others, all that is no
    small ASCII letter or digit is escaped, and where that is not enough, everything.
    """
    names: dict[str, str] = {}
    taken: set[str] = set()
    for label in sorted(set(labels)):
        tries = (safe_name(label), re.sub(r"[^a-z0-9]", lambda match: _escaped(match[0]), label), _escaped(label))
        names[label] = next(name for name in tries if folded(name) not in taken)
        taken.add(folded(names[label]))
    return names


def folded(name: str) -> str:
    """Equal for two names that some file system takes for one."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def untaken(name: str, mark: str, taken: set[str]) -> str:
    """The name, or else one with the mark (and a number) before its extension, that nobody has; `taken` gets it."""
    stem, extension = posixpath.splitext(name)
    marks = chain(["", f"-{mark}"], (f"-{mark}-{number}" for number in count(2)))
    free = next(f"{stem}{one}{extension}" for one in marks if folded(f"{stem}{one}{extension}") not in taken)
    taken.add(folded(free))
    return free


def _escaped(text: str) -> str:
    try:
        data = text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # a half character, as no file name has; a label in a JSON file may
        data = text.encode("utf-8", "surrogatepass")
    return "".join(f"%{byte:02X}" for byte in data)
