"""What tests of `curate run` and `curate status` ask of a project."""

from __future__ import annotations

from pathlib import Path

import curate as library
from conftest import write
from curate.runs import Run
from curate.standing import Standing


def endings(result: Run) -> dict[str, str]:
    """Stage -> what became of it."""
    return {one.stage: one.ending for one in result.stages}


def reasons(result: Run) -> dict[str, str]:
    """Stage -> why it ran, would run or was skipped."""
    return {one.stage: one.why for one in result.stages if one.why}


def standing(folder: Path) -> dict[str, Standing]:
    return {one.stage: one for one in library.status(folder).stages}


def commands(folder: Path) -> list[str]:
    """By which each version was made, oldest first."""
    return [version.command for version in reversed(library.log(folder))]


def configure(folder: Path, text: str) -> None:
    write(folder.parent / f"{folder.name}.curate" / "curate.toml", text.encode())


def lines(text: str) -> list[str]:
    """With single spaces."""
    return [" ".join(line.split()) for line in text.strip().splitlines()]
