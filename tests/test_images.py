"""Reading, decoding and measuring chunks of files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

import pictures
from conftest import picture, write
from curate.cache import tasks_and_columns
from curate.images import Measured, Request, measure_files


def measured(files: Sequence[Path]) -> list[Measured]:
    tasks = tuple(tasks_and_columns())
    return measure_files([Request(file.name, str(file), file.stat().st_size, tasks) for file in files])


def test_a_picture_measures_the_same_alone_and_among_others(tmp_path: Path) -> None:
    """Checks take turns over eight pictures; here are more than that, of all kinds, with unreadable ones between."""
    odd = {**pictures.READABLE, **{name: data for name, (_, data) in pictures.UNREADABLE.items()}}
    distinct = {data: name for name, data in sorted(odd.items())}
    files = [write(tmp_path / name, data) for data, name in distinct.items()]
    assert len(files) > 2 * 8

    together = measured(files)

    assert together == [result for file in files for result in measured([file])]


def test_pictures_beside_a_huge_strip_are_measured(tmp_path: Path) -> None:
    """A strip has 38 MB of pixels at the working size, which are not kept until seven more pictures are decoded."""
    before, after = (write(tmp_path / name, picture(seed)) for seed, name in enumerate(["1.jpg", "3.jpg"]))
    strip = tmp_path / "2.png"
    Image.new("L", (240, 40_000), 200).save(strip)

    results = measured([before, strip, after])

    assert [result.path for result in results] == ["1.jpg", "2.png", "3.jpg"]
    assert [(result.facts["height"], "sharpness" in result.facts) for result in results] == [
        (72, True),
        (40_000, True),
        (72, True),
    ]


def test_of_copies_in_one_chunk_the_first_is_measured(tmp_path: Path) -> None:
    files = [write(tmp_path / name, picture(0)) for name in ("a.jpg", "b.jpg")]

    first, second = measured(files)

    assert first.sha256 == second.sha256
    assert (first.opened, second.opened, second.facts) == (True, False, {})
