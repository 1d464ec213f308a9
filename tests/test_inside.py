"""Lists from elsewhere may name anything: only files inside their folder are ever found."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from conftest import write
from curate.inside import file_inside, is_label, storable


@pytest.mark.parametrize("named", ["cats/1.jpg", "./cats/1.jpg", "cats//1.jpg", "cats/../cats/1.jpg", "link.jpg"])
def test_a_file_inside_is_found_however_it_is_written(named: str, tmp_path: Path) -> None:
    file = write(tmp_path / "cats" / "1.jpg", b"x")
    os.symlink(file, tmp_path / "link.jpg")

    assert file_inside(tmp_path, named).read_bytes() == b"x"


@pytest.mark.parametrize(
    ("named", "why"),
    [
        ("/etc/passwd", "is not a path inside"),
        ("../secret.jpg", "is not a path inside"),
        ("cats/../../secret.jpg", "is not a path inside"),
        ("..", "is not a path inside"),
        ("", "is not a path inside"),
        ("a\0b", "is not a path inside"),
        ("out.jpg", "is a link that leads out"),
        ("out/secret.jpg", "is a link that leads out"),
        ("round", "there is no file"),
        ("pipe", "there is no file"),
        ("cats", "there is no file"),
        ("gone.jpg", "there is no file"),
        ("x" * 5000, "there is no file"),
        ("\ud800", "there is no file"),
    ],
)
def test_anything_else_is_told_and_not_opened(named: str, why: str, tmp_path: Path) -> None:
    write(tmp_path / "secret.jpg", b"x")
    inside = tmp_path / "inside"
    (inside / "cats").mkdir(parents=True)
    os.symlink(tmp_path / "secret.jpg", inside / "out.jpg")
    os.symlink(tmp_path, inside / "out")
    os.symlink(inside / "round", inside / "round")
    os.mkfifo(inside / "pipe")

    with pytest.raises(LookupError, match=why):
        file_inside(inside, named)


@pytest.mark.parametrize("label", ["cat", " ", "two\nlines", "\u732b", "cafe\u0301", "3"])
def test_any_text_that_a_file_can_hold_is_a_label(label: str) -> None:
    assert is_label(label)
    assert storable(label) == label


@pytest.mark.parametrize("value", ["", "a\0b", "\ud800", None, 3, True, ["cat"], {"label": "cat"}, b"cat"])
def test_what_no_file_can_hold_is_no_label(value: object) -> None:
    assert not is_label(value)


def test_half_a_surrogate_pair_is_spelt_out() -> None:
    assert storable("a\ud800") == "a\\ud800"
