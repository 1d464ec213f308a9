"""What `exact_duplicate`, `near_duplicate` and `label_conflict` say of a folder of files."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageEnhance

from curate.checks import exact_duplicate, label_conflict, near_duplicate
from curate.errors import UnreadableImage
from curate.imaging import open_image

CHECKS = (exact_duplicate.CHECK, near_duplicate.CHECK, label_conflict.CHECK)


def photo(seed: int, width: int = 360, height: int = 240) -> Image.Image:
    """Coloured patches of all sizes, different for each seed."""
    noise = np.random.default_rng(seed).normal(size=(3, height, width))
    frequency = np.hypot(np.fft.fftfreq(height)[:, None] * height, np.fft.rfftfreq(width) * width)
    pixels = np.fft.irfft2(np.fft.rfft2(noise) / np.maximum(frequency, 1), (height, width))
    pixels = 128 + 45 * (pixels - pixels.mean()) / pixels.std()
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8).transpose(1, 2, 0))


def row_of(root: Path, path: Path) -> dict[str, Any]:
    """What scan and measurement write of one file."""
    data = path.read_bytes()
    label = None if path.parent == root else path.parent.name
    row: dict[str, Any] = {
        "path": path.relative_to(root).as_posix(),
        "sha256": sha256(data).hexdigest(),
        "label": label,
    }
    try:
        image = open_image(data)
    except UnreadableImage as error:
        return row | {"size_bytes": len(data), "read_error": error.reason}
    size = {"width": image.width, "height": image.height, "size_bytes": len(data), "read_error": None}
    return row | size | dict(near_duplicate.measure(image))


def judged(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """The table after the three checks with default settings, by path."""
    table = pd.DataFrame(rows).astype({"path": "string", "sha256": "string", "read_error": "string"})
    if "label" in table:
        table = table.astype({"label": "string"})
    for check in CHECKS:
        found = check.judge(table, check.settings.model_validate({}))
        table = table.assign(**{str(name): found[name] for name in found})
    return table.set_index("path", drop=False)


def judged_folder(root: Path) -> pd.DataFrame:
    return judged([row_of(root, path) for path in sorted(root.rglob("*.*"))])


def save(root: Path, pictures: Mapping[str, Image.Image]) -> None:
    for path, picture in pictures.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        picture.save(root / path, quality=90)


def flagged(table: pd.DataFrame, check: str) -> list[str]:
    return sorted(table.loc[table[check], "path"])


def test_drops_all_exact_copies_but_the_one_with_the_shortest_path(tmp_path: Path) -> None:
    """Copies are named after their original: the shortest path is the original's."""
    save(tmp_path, {"cat/photo.png": photo(1), "cat/photo (1).png": photo(1), "cat/a copy of photo.png": photo(1)})

    table = judged_folder(tmp_path)

    assert flagged(table, "exact_duplicate") == ["cat/a copy of photo.png", "cat/photo (1).png"]
    assert table["exact_copy_of"].fillna("").tolist() == ["cat/photo.png", "cat/photo.png", ""]
    assert table["duplicate_group"].tolist() == ["cat/photo.png"] * 3


def test_keeps_a_labelled_copy_before_an_unlabelled_one(tmp_path: Path) -> None:
    """A label is worth more than a short path."""
    save(tmp_path, {"a.png": photo(1), "cat/longer name.png": photo(1)})

    assert flagged(judged_folder(tmp_path), "exact_duplicate") == ["a.png"]


def test_exact_copies_with_different_labels_are_a_conflict_not_duplicates(tmp_path: Path) -> None:
    """Which of the two labels is right is for a person to say."""
    save(tmp_path, {"cat/a.png": photo(1), "dog/a.png": photo(1), "cat/b.png": photo(1), "cat/c.png": photo(2)})

    table = judged_folder(tmp_path)

    assert flagged(table, "exact_duplicate") == []
    assert flagged(table, "label_conflict") == ["cat/a.png", "cat/b.png", "dog/a.png"]
    assert table.loc["dog/a.png", "conflicting_labels"] == "cat; dog"


def test_an_unlabelled_copy_is_no_conflict(tmp_path: Path) -> None:
    """No label contradicts nothing."""
    save(tmp_path, {"a.png": photo(1), "cat/a.png": photo(1)})

    assert flagged(judged_folder(tmp_path), "label_conflict") == []


def test_unreadable_files_are_no_duplicates(tmp_path: Path) -> None:
    """Two empty files have equal bytes, but `unreadable` is what is wrong with them."""
    save(tmp_path, {"a.png": photo(1)})
    for name in ("b.png", "c.png"):
        (tmp_path / name).write_bytes(b"")

    table = judged_folder(tmp_path)

    assert [flagged(table, check.name) for check in CHECKS] == [[], [], []]
    assert table["duplicate_group"].isna().all()


def test_finds_edited_copies_and_keeps_the_best(tmp_path: Path) -> None:
    """Re-saved, halved, mirrored, turned, cropped, darkened, and turned by an EXIF tag."""
    original = photo(1)
    edited = {
        "half.jpg": original.reduce(2),
        "mirrored.jpg": original.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        "turned.jpg": original.transpose(Image.Transpose.ROTATE_90),
        "cropped.jpg": original.crop((18, 12, 342, 228)),
        "darker.webp": ImageEnhance.Brightness(original).enhance(0.8),
    }
    save(tmp_path, {"original.png": original, "other.png": photo(2), **edited})
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned by a quarter
    original.save(tmp_path / "exif.jpg", exif=exif)

    table = judged_folder(tmp_path)

    assert flagged(table, "near_duplicate") == sorted([*edited, "exif.jpg"])
    assert set(table.loc[table["near_duplicate"], "near_copy_of"]) == {"original.png"}
    assert table["near_similarity"].min() > 0.82
    assert set(table.loc[table["duplicate_group"].notna(), "path"]) == {*edited, "exif.jpg", "original.png"}


@pytest.mark.parametrize(
    ("better", "worse", "column"),
    [
        ({"width": 400}, {"width": 200}, "more pixels"),
        ({"sharpness": 9.0}, {"sharpness": 3.0}, "sharper"),
        ({"size_bytes": 9000}, {"size_bytes": 3000}, "less compressed"),
        ({"label": "cat"}, {"label": None}, "labelled"),
        ({"path": "a.jpg"}, {"path": "c.jpg"}, "first by alphabet"),
    ],
)
def test_keeps_the_better_copy(better: dict[str, object], worse: dict[str, object], column: str) -> None:
    """Each rule decides when those before it leave it open."""
    thumbnail = np.asarray(photo(1).convert("L").resize((32, 32))).tobytes()
    same = {"path": "b.jpg", "width": 300, "height": 200, "size_bytes": 5000, "sharpness": 5.0, "label": "cat"}
    rows = [same | {"sha256": digit, "read_error": None, "thumbnail": thumbnail} for digit in "12"]

    table = judged([rows[0] | {"path": "b.jpg"} | worse, rows[1] | {"path": "bb.jpg"} | better])

    assert table["near_duplicate"].tolist() == [True, False]


def test_a_near_copy_of_an_exact_copy_joins_its_group(tmp_path: Path) -> None:
    """Exact and near copies of one picture share one group, named after the one that is kept."""
    save(tmp_path, {"a.png": photo(1), "copy of a.png": photo(1), "small.png": photo(1).reduce(2), "x.png": photo(2)})

    table = judged_folder(tmp_path)

    assert flagged(table, "exact_duplicate") == ["copy of a.png"]
    assert flagged(table, "near_duplicate") == ["small.png"]
    assert table["duplicate_group"].fillna("").tolist() == ["a.png", "a.png", "a.png", ""]


def test_a_copy_that_carries_another_label_is_never_dropped(tmp_path: Path) -> None:
    """Neither by default nor when near duplicates are set to be dropped; only its exact double may go."""
    save(
        tmp_path,
        {
            "cat/a.png": photo(1),
            "cat/a (1).png": photo(1),
            "dog/small.png": photo(1).reduce(2),
            "cat/b.png": photo(2),
            "dog/b.png": photo(2),
            "cat/c.png": photo(3),
            "cat/c small.png": photo(3).reduce(2),
        },
    )

    table = judged_folder(tmp_path)

    assert flagged(table, "exact_duplicate") == ["cat/a (1).png"]  # cat/a.png says the same, and stays
    assert flagged(table, "near_duplicate") == ["cat/c small.png"]
    assert flagged(table, "label_conflict") == ["cat/a (1).png", "cat/a.png", "cat/b.png", "dog/b.png", "dog/small.png"]


def test_blank_pictures_are_not_near_duplicates(tmp_path: Path) -> None:
    """A white and a black picture, and another white one of another size, are not one photograph."""
    save(tmp_path, {f"{size}-{grey}.png": Image.new("L", (size, size), grey) for size in (50, 60) for grey in (0, 255)})

    assert flagged(judged_folder(tmp_path), "near_duplicate") == []


def test_works_without_labels(tmp_path: Path) -> None:
    """A folder without classes has no label column yet."""
    save(tmp_path, {"a.png": photo(1), "b.png": photo(1), "c.jpg": photo(1)})
    rows = [row_of(tmp_path, path) for path in sorted(tmp_path.iterdir())]

    table = judged([{name: value for name, value in row.items() if name != "label"} for row in rows])

    assert [flagged(table, check.name) for check in CHECKS] == [["b.png"], ["c.jpg"], []]


def test_the_order_of_files_does_not_matter(tmp_path: Path) -> None:
    """The same folder gives the same groups, whatever order the disk lists it in."""
    save(tmp_path, {f"{seed}-{side}.jpg": photo(seed).resize((side, side)) for seed in range(12) for side in (90, 140)})
    rows = [row_of(tmp_path, path) for path in sorted(tmp_path.iterdir())]

    tables = [judged([rows[place] for place in np.random.default_rng(seed).permutation(24)]) for seed in range(3)]

    expected = {f"{seed}-{side}.jpg": f"{seed}-140.jpg" for seed in range(12) for side in (90, 140)}
    assert [table["duplicate_group"].to_dict() for table in tables] == [expected] * 3
