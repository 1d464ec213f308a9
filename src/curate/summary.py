"""Counts of a decided table: what `clean` prints, what a version records, what CI compares."""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from curate.stages.scan import looks_like_image_name

if TYPE_CHECKING:
    import pandas as pd


def is_other(table: pd.DataFrame) -> pd.Series[bool]:
    """True for files that are no pictures and don't pretend to be: listed, but not counted among the images."""
    other = (table["read_error"] == "not_an_image").fillna(False).astype(bool)
    faulty = [path for path in table.loc[other, "path"] if looks_like_image_name(path)]
    return other & ~table["path"].isin(faulty)


def count(table: pd.DataFrame) -> dict[str, Any]:
    """The numbers of a decided table, as plain data.

    images = kept + dropped. dropped_by, flagged_by: check -> rows (a row may count under several checks).
    read_errors: reason -> images. unreviewed: kept rows that a check asks somebody to look at.
    other_files: extension -> files that are no pictures. labels: label -> kept rows ("" = unlabelled). splits: split ->
    kept rows ("" = in none); absent where the source has no splits.
    """
    other = is_other(table)
    images = table[~other]
    kept = images[images["keep"]]
    return {
        "images": len(images),
        "kept": len(kept),
        "dropped": len(images) - len(kept),
        "dropped_by": _count_names(images["reasons"]),
        "flagged_by": _count_names(images["flags"]),
        "read_errors": _count_values(images["read_error"].dropna()),
        "duplicate_groups": int(images["duplicate_group"].nunique()) if "duplicate_group" in images else 0,
        "labels": _count_values(kept["final_label"].fillna("")),
        **({"splits": count_splits(table)} if "split" in table else {}),
        "other_files": _count_values(table.loc[other, "path"].map(lambda path: posixpath.splitext(path)[1].lower())),
    }


def count_splits(table: pd.DataFrame) -> dict[str, int]:
    """split -> kept rows ("" = in none)."""
    return _count_values(table.loc[table["keep"], "split"].fillna(""))


def _count_names(joined: pd.Series[str]) -> dict[str, int]:
    counts = Counter[str]()
    for names, number in joined[joined != ""].value_counts().items():
        counts.update(dict.fromkeys(str(names).split(";"), int(number)))
    return _most_first(counts)


def _count_values(values: pd.Series[str]) -> dict[str, int]:
    return _most_first({str(value): int(number) for value, number in values.value_counts().items()})


def _most_first(counts: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
