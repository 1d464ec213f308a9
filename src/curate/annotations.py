"""What formats with annotation files share: reading them without trusting them, and naming what they write.

An annotation file comes from anywhere. Its shape is checked against a dataclass before anything looks at it, and a
picture that it names is opened only where it lies inside the data set.
"""

from __future__ import annotations

import json
import os
import posixpath
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import unquote

from curate.errors import SourceError
from curate.importers import Item
from curate.names import safe_name, safe_names, untaken

if TYPE_CHECKING:
    from pydantic import ValidationError

    from curate.release import Picture

T = TypeVar("T")

NO_SPLIT = "default"  # datumaro's subset of pictures without one; its COCO and own format name files after subsets
MOST_LABELS_NAMED = 3  # in a message: enough to see the conflict, few enough for one line


class Unusable(Exception):
    """Why a picture, or what is said of it, can't be taken over; in words."""


# ---- Reading


def read_checked(file: Path, shape: type[T]) -> T:
    """The JSON of a file as that dataclass; keys that it lacks are left out.

    Raises SourceError that names the first place where the file has another shape.
    """
    from pydantic import TypeAdapter, ValidationError

    try:
        checked: T = TypeAdapter(shape).validate_json(file.read_bytes().removeprefix(b"\xef\xbb\xbf"))  # Windows' mark
    except ValidationError as error:
        raise SourceError(f"{str(file)!r} {_first_error(error)}.") from error
    except OSError as error:
        raise SourceError(f"{str(file)!r} can't be read: {error.strerror}.") from error
    return checked


def _first_error(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    if first["type"] == "json_invalid":
        return f"is no JSON that can be read: {first['msg'].removeprefix('Invalid JSON: ')}"
    if first["type"] == "missing":
        return f"has no {_spelled(first['loc'])}"
    found = repr(first["input"])
    return f"has {found[:80]}{'…' * (len(found) > 80)} as {_spelled(first['loc'])}: {first['msg']}"


def _spelled(location: Sequence[int | str]) -> str:
    """("images", 3, "id") -> images[3].id."""
    steps = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in location)
    return steps.removeprefix(".") or "its whole"


def has_words(file: Path, words: Iterable[bytes], size: int = 65_536) -> bool:
    """Whether all words occur in the first or last `size` bytes of a regular file; False if it can't be read.

    Annotation files may have gigabytes; what tells their format stands at an end.
    """
    try:
        if not file.is_file():  # opening a pipe could block for ever
            return False
        with file.open("rb") as stream:
            ends = stream.read(size)
            stream.seek(max(stream.tell(), os.path.getsize(file) - size))
            ends += stream.read(size)
    except (OSError, ValueError):
        return False
    return all(word in ends for word in words)


def find_file(name: str, folders: Iterable[Path], root: Path) -> Path:
    """The file of that name in the first of the folders that has it.

    Names written on Windows are understood. Raises Unusable when there is none, or when it leads out of the root, by
    "..", as an absolute path or through a symbolic link.
    """
    spellings = dict.fromkeys((name, name.replace("\\", "/")))
    for candidate in (folder / spelling for folder in folders for spelling in spellings):
        if os.path.isfile(candidate):  # no pipe or device; False also for names that no file can have
            if not Path(os.path.realpath(candidate)).is_relative_to(os.path.realpath(root)):
                raise Unusable("it leads out of the data set")
            return candidate
    raise Unusable("there is no such file")


def find_item(
    name: str, folders: Iterable[Path], root: Path, split: str | None, labels: Callable[[Path], Iterable[str]]
) -> Item:
    """The picture of that name, as `find_file` finds it, or why there is none.

    labels: the file -> what it may be called; raises Unusable when that can't be told. Several are no label.
    """
    # Bytes of a file name that are no text can't be written to a table: caf\\xe9.jpg.
    called = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    try:
        content = find_file(name, folders, root)
    except Unusable as problem:
        return Item(called, None, split=split, problem=str(problem))
    try:
        return Item(called, content, one_label(labels(content)), split)
    except Unusable as problem:
        return Item(called, content, None, split, problem=str(problem))


def one_label(labels: Iterable[str]) -> str | None:
    """The label that all agree on; None if there is none. Raises Unusable when there are several: no guess."""
    distinct = sorted(set(labels))
    if len(distinct) > 1:
        named = ", ".join(map(repr, distinct[:MOST_LABELS_NAMED])) + ", …" * (len(distinct) > MOST_LABELS_NAMED)
        raise Unusable(f"it has {len(distinct)} different labels ({named}), so it was left without one")
    return distinct[0] if distinct else None


# ---- Names


def subset_names(splits: Iterable[str | None]) -> dict[str | None, str]:
    """split -> a safe name for its file and folder, from which `split_of` gives the split back."""
    occurring = list(dict.fromkeys(splits))
    safe = safe_names(one for one in occurring if one is not None)
    return {split: NO_SPLIT if split is None else _unlike_datumaros(split, safe[split]) for split in occurring}


def _unlike_datumaros(split: str, name: str) -> str:
    """The name, but no word of datumaro's: it cuts paths at "annotations" to find the folder that everything is in."""
    return _percent(split) if name.lower() == NO_SPLIT or "annotations" in name.lower() else name


def split_of(subset: str) -> str | None:
    """The split that datumaro, and `subset_names`, call so."""
    return None if subset == NO_SPLIT else unescaped(subset)


def unescaped(name: str) -> str:
    """The label whose folder `curate.names` calls so; another's name stays, even if it has a "%20" in it."""
    label = unquote(name)
    ours = (safe_name(label), re.sub(r"[^a-z0-9]", lambda match: _percent(match[0]), label), _percent(label))
    return label if name in ours else name


def _percent(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode("utf-8", "surrogatepass"))


def own_stems(pictures: Iterable[Picture]) -> dict[str, str]:
    """path of each picture -> its name, changed where another one differs only by its extension.

    datumaro's items are called after their file without the extension: a.jpg and a.png would be one.
    """
    taken: set[str] = set()
    names = {}
    for picture in pictures:
        stem, extension = posixpath.splitext(picture.name)
        names[picture.path] = untaken(stem, picture.sha256[:12], taken) + extension
    return names


# ---- Writing


def write_records(target: Path, head: Mapping[str, object], lists: Mapping[str, Iterable[object]]) -> None:
    """A JSON object: the keys of `head`, then those of `lists`, one entry per line, so that nothing is held in memory.

    In ASCII: pycocotools opens files in whatever encoding the machine has.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("w", encoding="ascii", newline="\n") as stream:
        stream.write("{\n" + "".join(f"{json.dumps(key)}: {json.dumps(value)},\n" for key, value in head.items()))
        for number, (key, entries) in enumerate(lists.items()):
            stream.write((",\n" if number else "") + f"{json.dumps(key)}: [")
            for place, entry in enumerate(entries):
                stream.write((",\n" if place else "\n") + json.dumps(entry))
            stream.write("\n]")
        stream.write("\n}\n")
