"""The class names of a classifier, in the order of its scores."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from curate.errors import CurateError


def known_labels(model: Path, noted: list[str] | str | None, metadata: Mapping[str, str]) -> list[str] | None:
    """From the notes, else MODEL.labels.txt beside the model, else its metadata; None if none of these has them.

    noted: a list, or the name of a file beside the model. Raises CurateError for a file that can't be read.
    """
    if isinstance(noted, list):
        return noted
    if noted is not None:
        return read_labels(model.parent / noted)
    beside = labels_file(model)
    if beside.is_file():
        return read_labels(beside)
    return _in_metadata(metadata.get("labels", ""))


def labels_file(model: Path) -> Path:
    """Where labels are looked for: MODEL.labels.txt beside MODEL.onnx."""
    return model.with_suffix(".labels.txt")


def read_labels(file: Path) -> list[str]:
    """One label per line; empty lines don't count. Raises CurateError."""
    try:
        return [line.strip() for line in file.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise CurateError(
            f"The labels in {str(file)!r} can't be read: {error}.", "Write one label per line."
        ) from error


def _in_metadata(text: str) -> list[str] | None:
    """A JSON list, or one label per line."""
    try:
        found = json.loads(text)
    except ValueError:
        return [line.strip() for line in text.splitlines() if line.strip()] or None
    return [str(label) for label in found] if isinstance(found, list) else None
