"""Rows of large tables: sorted, found, compared, replaced and hashed by whole columns."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pandas as pd
import pytest

from curate import rows


def text(*values: str | None) -> pd.Series[str]:
    return pd.Series(values, dtype="str")


def test_rows_are_sorted_as_python_sorts_text() -> None:
    """By code point: capitals before small letters, and umlauts after them."""
    table = pd.DataFrame({"path": text("ü", "b/1", "Z", "b", "a"), "n": [1, 2, 3, 4, 5]})

    found = rows.sorted_by(table, "path")

    assert found["path"].tolist() == ["Z", "a", "b", "b/1", "ü"]
    assert (found["n"].tolist(), found.index.tolist()) == ([3, 5, 4, 2, 1], [0, 1, 2, 3, 4])


@pytest.mark.parametrize("others", [0, 100])
def test_places_are_those_among_the_known(others: int) -> None:
    """Few are looked up among many the other way round."""
    known = text(*(f"x{number}" for number in range(others)), "a", "b", "c")

    found = rows.places_of(text("c", "no", None, "a", "c"), known)

    assert (found - others * (found >= 0)).tolist() == [2, -1, -1, 0, 2]


def test_nothing_is_found_among_nothing() -> None:
    assert rows.places_of(text("a"), text()).tolist() == [-1]
    assert rows.places_of(text(), text("a")).tolist() == []


def test_missing_values_are_the_same_whatever_they_are_called() -> None:
    before = pd.DataFrame({"path": text("a", "b"), "x": [None, None], "y": [np.nan, 1.0], "z": text("", None)})
    after = pd.DataFrame(
        {
            "path": text("a", "b"),
            "x": text(None, ""),
            "y": pd.array([None, 1], dtype="Int64"),
            "z": pd.Series([pd.NA, np.nan], dtype="object"),
        }
    )

    assert len(rows.changed_rows(before, after, "path")) == 0


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (text("x"), text("y")),
        (text("x"), text(None)),
        (text(None), text("x")),
        (pd.Series([True]), pd.Series([False])),
        (pd.Series([None], dtype="boolean"), pd.Series([False], dtype="boolean")),
        (pd.Series([1.0], dtype="float32"), pd.Series([1.0000001], dtype="float32")),
        (pd.Series([1], dtype="Int64"), pd.Series([None], dtype="Int64")),
        (pd.Series([2**62]), pd.Series([2**62 + 1])),
    ],
)
def test_a_change_in_one_column_is_seen(before: pd.Series[Any], after: pd.Series[Any]) -> None:
    one = pd.DataFrame({"path": text("a", "b"), "value": [before.iloc[0]] * 2}).astype({"value": before.dtype})
    other = pd.DataFrame({"path": text("a", "b"), "value": [before.iloc[0], after.iloc[0]]})
    other = other.astype({"value": after.dtype}) if before.dtype == after.dtype else other

    assert rows.changed_rows(one, other, "path")["path"].tolist() == ["b"]


def test_a_categorical_column_is_compared_by_its_values() -> None:
    plain = pd.DataFrame({"path": text("a", "b"), "value": text("x", None)})

    assert len(rows.changed_rows(plain, plain.astype({"value": "category"}), "path")) == 0


def test_new_rows_and_rows_in_another_order_are_told_apart() -> None:
    before = pd.DataFrame({"path": text("a", "b", "c"), "n": [1, 2, 3]})
    after = pd.DataFrame({"path": text("c", "d", "a"), "n": [3, 4, 9]})

    assert rows.changed_rows(before, after, "path")["path"].tolist() == ["d", "a"]
    one, other = rows.differing(before, after, "path")
    assert (one["path"].tolist(), other["path"].tolist()) == (["a", "b"], ["d", "a"])


def test_newer_rows_take_the_place_of_others() -> None:
    """b is changed, c goes, bb comes; d is gone already and stays so."""
    table = pd.DataFrame({"path": text("a", "b", "c"), "label": text("x", "x", "x"), "n": [1, 2, 3]})
    newer = pd.DataFrame({"path": text("b", "bb", "c", "d"), "label": text("y", "z", "x", "x"), "n": [2, 5, 3, 4]})

    found = rows.replaced(table, newer, np.array([False, False, True, True]), "path")

    assert found.to_dict("list") == {"path": ["a", "b", "bb"], "label": ["x", "y", "z"], "n": [1, 2, 5]}
    same_places = rows.replaced(table, newer[:1], np.array([False]), "path")
    assert same_places.to_dict("list") == {"path": ["a", "b", "c"], "label": ["x", "y", "x"], "n": [1, 2, 3]}


def test_a_join_keeps_every_row_and_its_order() -> None:
    table = pd.DataFrame({"sha256": text("2", None, "1", "2"), "n": [1, 2, 3, 4]})
    known = pd.DataFrame({"sha256": text("1", "2"), "width": pd.array([10, 20], dtype="Int64"), "n": [0, 0]})

    found = rows.joined(table, known, "sha256")

    assert found["n"].tolist() == [1, 2, 3, 4]
    assert found["width"].astype("str").fillna("").tolist() == ["20", "", "10", "20"]


@pytest.mark.parametrize("block", [1, 2, 100])
def test_fields_are_hashed_one_after_the_other(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "BLOCK_ROWS", block)
    digest = hashlib.sha256()

    rows.update_digest(digest, [text("a", "ü", None), None, pd.Series([1, 2, 3])], 3)

    assert digest.hexdigest() == hashlib.sha256("a\0\0001\0ü\0\0002\0\0\0003\0".encode()).hexdigest()
