"""Models that `curate models pull` has fetched: where they are, and what is known of them."""

from __future__ import annotations

import json
import os
import re
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True)
class Origin:
    """Where a pulled model came from. sha256: of the file, as given by the person who pulled it."""

    url: str
    sha256: str
    size_bytes: int
    pulled_at: str


def models_folder() -> Path:
    """Where pulled models are: CURATE_MODELS, or the place this system has for data of programs."""
    chosen = os.environ.get("CURATE_MODELS")
    if chosen:
        return Path(chosen)
    home = Path(os.path.expanduser("~"))  # unlike Path.home(), no error where a user has none
    if sys.platform == "win32":
        data = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif sys.platform == "darwin":
        data = home / "Library" / "Application Support"
    else:
        data = Path(os.environ.get("XDG_DATA_HOME") or home / ".local" / "share")
    return data / "curate" / "models"


def pulled_file(name: str) -> Path | None:
    """The file of a pulled model, or None."""
    file = models_folder() / f"{name}.onnx"
    return file if NAME.fullmatch(name) and file.is_file() else None


def pulled_names() -> list[str]:
    """The names of all pulled models."""
    return sorted(file.stem for file in models_folder().glob("*.onnx") if NAME.fullmatch(file.stem))


def origin_of(name: str) -> Origin | None:
    """Where a pulled model came from; None if nothing readable says so."""
    try:
        return Origin(**json.loads(_origin_file(name).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def keep_origin(name: str, origin: Origin) -> None:
    """Write down where a model came from, beside it."""
    from curate.files import write_json

    write_json(_origin_file(name), asdict(origin))


def _origin_file(name: str) -> Path:
    return models_folder() / f"{name}.origin.json"
