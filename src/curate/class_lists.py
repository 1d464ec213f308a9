"""Class names that stand beside a data set, and labels that are places in such a list."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from curate.errors import SourceError
from curate.inside import file_inside

# Ours first; then what Label Studio, darknet and many scripts write, one name per line.
FILES = ("classes.json", "classes.txt", "labels.txt", "names.txt")
_MAX_BYTES = 50_000_000  # a million classes; a list of them is never longer
_INTEGER = re.compile(r"[+-]?\d{1,18}")


def read_classes(folder: Path) -> list[str]:
    """The class names of a data set by index; [] where no list says them.

    Raises SourceError for a list that can't be understood.
    """
    for name in FILES:
        try:
            file = file_inside(folder, name)
        except LookupError:
            continue
        text = _text_of(file)
        return _from_json(text, file) if name.endswith(".json") else [line for line in text.splitlines() if line]
    return []


def folder_labels(folder: Path) -> dict[str, str]:
    """Folder name -> label, as the classes.json of one of our exports says it; {} where there is none.

    Raises SourceError when that file can't be understood.
    """
    try:
        file = file_inside(folder, "classes.json")
    except LookupError:
        return {}
    entries = _parsed(_text_of(file), file)
    if not _is_ours(entries):
        return {}
    return {entry["folder"]: entry["name"] for entry in entries if isinstance(entry.get("folder"), str)}


def named(labels: Sequence[str | None], classes: Sequence[str], where: str) -> list[str | None]:
    """Labels that are indices become names; others stay. -1 is no label, as Hugging Face has it.

    They are indices when there is a list of classes, all are whole numbers, and not all of them are names in the list
    themselves. where: the file, for messages. Raises SourceError for an index that the list does not have.
    """
    given = {label for label in labels if label is not None}
    if not classes or given <= set(classes) or not all(map(_INTEGER.fullmatch, given)):
        return list(labels)
    return [None if label is None else class_name(int(label), classes, where) for label in labels]


def class_name(index: int, classes: Sequence[str], where: str) -> str | None:
    """The name of a class; None for -1. Raises SourceError for an index that the list does not have."""
    if index == -1:
        return None
    if not 0 <= index < len(classes):
        raise SourceError(
            f"{where} has the class index {index}, but there are {len(classes):,} classes (0 to {len(classes) - 1})."
        )
    return classes[index]


def _text_of(file: Path) -> str:
    try:
        if file.stat().st_size > _MAX_BYTES:
            raise SourceError(f"{str(file)!r} is no list of classes: it has more than {_MAX_BYTES:,} bytes.")
        return file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"The list of classes {str(file)!r} can't be read: {error}.") from error


def _from_json(text: str, file: Path) -> list[str]:
    value = _parsed(text, file)
    if _is_ours(value):
        value = {str(entry.get("index")): entry["name"] for entry in value}
    if isinstance(value, dict):
        value = _in_order(value)
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise SourceError(f"{str(file)!r} is no list of classes: expected names, or indices with names.")
    return value


def _parsed(text: str, file: Path) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SourceError(f"The list of classes {str(file)!r} can't be read: {error}.") from error


def _is_ours(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, dict) and isinstance(one.get("name"), str) for one in value)


def _in_order(value: dict[str, Any]) -> list[Any] | None:
    """Names by index, from {"0": "cat"} or {"cat": 0}; None when the indices are not 0, 1, 2, …"""
    pairs: Iterable[tuple[Any, Any]] = value.items()
    if all(isinstance(index, int) for index in value.values()):
        pairs = [(index, name) for name, index in value.items()]
    names = {str(index): name for index, name in pairs}
    if set(names) != {str(index) for index in range(len(names))}:
        return None
    return [names[str(index)] for index in range(len(names))]
