"""Command lines that readers of a page can copy."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curate.project import Project


@dataclass(frozen=True)
class Commands:
    """Commands on one folder. folder: as the user gave it. options: what each command needs to find the store."""

    folder: str
    options: tuple[str, ...] = ()

    @classmethod
    def of(cls, project: Project, folder: str | Path) -> Commands:
        """The commands of a project."""
        return cls(str(folder), () if project.has_default_store else ("--store", str(project.store)))

    def why(self, path: str) -> str:
        """Tells one picture's whole story."""
        return self._line("why", self.folder, *self.options, *(["--"] if path.startswith("-") else []), path)

    def set(self, key: str, value: Any) -> str:
        """Cleans again with another value."""
        return self._line("clean", self.folder, *self.options, "--set", f"{key}={as_text(value)}")

    def table(self) -> str:
        """Prints every row."""
        return self._line("table", self.folder, *self.options)

    def run(self, verb: str, *options: str) -> str:
        """Runs another command on the same folder."""
        return self._line(verb, self.folder, *self.options, *options)

    def _line(self, *words: str) -> str:
        line = "curate " + " ".join(map(shlex.quote, words))
        return line.encode("utf-8", "backslashreplace").decode()  # a folder's name may be no UTF-8; a page is


def as_text(value: Any) -> str:
    """A setting's value as --set takes it: bare words, otherwise as in TOML."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
