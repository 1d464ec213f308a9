"""Names and kinds of the made pictures, and of the made rows: what is planted under which number.

Without numpy or curate, because the kernel counts the memory of the process that starts a command as the command's.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Kind = Literal["original", "exact copy", "near copy", "damaged", "blank"]

CLASSES = 10
# Of each twenty files one is blank and one has no class: at these places in turn, so that all classes but the last,
# which holds the copies, get their share.
BLANK_PLACES = (0, 11, 2, 3, 4, 5, 6, 7, 8)
UNLABELLED_PLACES = (10, 12, 13, 14, 15, 16, 17, 18)


@dataclass(frozen=True)
class Planted:
    """How many of the first so many files are of which kind. kept: what `curate clean` keeps of them by default."""

    files: int

    def count(self, kind: Kind) -> int:
        """The number of files of that kind."""
        return sum(kind_of(number) == kind for number in range(self.files))

    @property
    def kept(self) -> int:
        """All but exact copies and damaged files: near copies and blank pictures wait for a person."""
        return self.files - self.count("exact copy") - self.count("damaged")


def kind_of(number: int) -> Kind:
    """What the file of that number is: 1 % exact copies, 1 % near copies, 0.5 % damaged, 5 % blank, else originals."""
    if number % 100 == 99:
        return "exact copy"
    if number % 100 == 49:
        return "near copy"
    if number % 200 == 1:
        return "damaged"
    return "blank" if number % 20 == _in_turn(number, BLANK_PLACES) else "original"


def path_of(number: int) -> str:
    """The path of a file: class, folder of a thousand, number. Every twentieth has no class."""
    unlabelled = number % 20 == _in_turn(number, UNLABELLED_PLACES)
    label = "_unlabeled" if unlabelled else f"class_{number % CLASSES}"
    return f"{label}/{number // 10_000:03d}/{number:07d}.jpg"


def _in_turn(number: int, places: tuple[int, ...]) -> int:
    """Which place of its twenty is meant, each one in its turn."""
    return places[number // 20 % len(places)]


def row_path(number: int) -> str:
    """The path of a file that is no picture, of scale_store.py."""
    return f"class_{number % CLASSES}/{number // (1_000 * CLASSES):04d}/{number:08d}.jpg"


def link_pictures(pool: Path, folder: Path, numbers: Sequence[int]) -> None:
    """The same files in another folder, by hard links: a folder of each size without the bytes of each size."""
    for parent in {os.path.dirname(path_of(number)) for number in numbers}:
        (folder / parent).mkdir(parents=True, exist_ok=True)
    for number in numbers:
        path = path_of(number)
        if not os.path.exists(folder / path):
            os.link(pool / path, folder / path)
