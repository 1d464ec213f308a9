"""Opinions: what `prelabel` and `flag` say of pictures, kept from run to run and joined to the table by content.

An opinion is neither a fact, which pixels alone decide, nor a decision, which people take. It depends on all the
labels together and takes a while to form, so each command keeps what it said last, in one file of the cache, and
every table that is built afterwards carries it, until the picture or the label it was about changes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate.cache import PANDAS_TYPES
from curate.checks import Column
from curate.files import read_parquet, write_parquet

if TYPE_CHECKING:
    import pandas as pd

# The command that forms them -> the columns it writes. `about` is the label that the opinion is about.
COLUMNS: dict[str, tuple[Column, ...]] = {
    "prelabel": (
        Column("pred_label", "string", "label a model suggests for an unlabelled picture; NA = labelled, or no idea"),
        Column("pred_confidence", "float32", "how probable it is that pred_label is right; calibrated", 0, 1),
        Column("pred_abstains", "boolean", "whether that is too unsure to be accepted without a look"),
        Column("pred_by", "string", "which labelers said so, and on which model"),
        Column("pred_because", "string", "what speaks for it, in words"),
    ),
    "flag": (
        Column("label_quality", "float32", "how probable it is that the label is right, 0 surely wrong", 0, 1),
        Column("label_error", "boolean", "whether the label is likely wrong"),
        Column(
            "suggested_label", "string", "label that fits better, or next best if flagged; NA where the given one fits"
        ),
        Column(
            "label_candidates",
            "string",
            "JSON list of [class, probability]: what a flagged picture may show, the most probable first",
        ),
        Column("label_evidence", "string", "what speaks against the label, in words; NA where not flagged"),
        Column("look_alikes", "string", "JSON list: paths of the pictures most like a flagged one, nearest first"),
        Column("typicality", "float32", "how much it looks like the rest of the folder, 0 like nothing in it", 0, 1),
        Column("votes", "int64", "how many annotators have labelled it (--votes)", 0),
        Column("vote_label", "string", "label that the annotators agree on most"),
        Column("vote_quality", "float32", "how probable it is that vote_label is right", 0, 1),
        Column("vote_error", "boolean", "whether most of at least three annotators chose another label than the given"),
    ),
}


@dataclass(frozen=True)
class Opinions:
    """What one command said.

    rows: path, sha256, about (the label that stood then, NA = none) and columns of `COLUMNS`, one row per picture.
    summary: what it says of the whole data set, as plain data.
    """

    rows: pd.DataFrame
    summary: dict[str, Any] = field(default_factory=dict)


def keep_opinions(cache: Path, command: str, opinions: Opinions) -> None:
    """Remember what a command said, in place of what it said before."""
    import pyarrow as pa

    table = pa.Table.from_pandas(opinions.rows, preserve_index=False)
    summary = json.dumps(opinions.summary)
    write_parquet(opinions_file(cache, command), table.replace_schema_metadata({"summary": summary}), durable=False)


def read_opinions(cache: Path) -> dict[str, Opinions]:
    """Command -> what it said last. A damaged file counts as none: the command can be run again."""
    import pyarrow as pa

    found = {}
    for command in COLUMNS:
        try:
            table = read_parquet(opinions_file(cache, command))
            summary = json.loads(table.schema.metadata[b"summary"])
        except (OSError, pa.ArrowException, KeyError, TypeError, ValueError):
            continue
        found[command] = Opinions(table.to_pandas(), summary)
    return found


def with_opinions(table: pd.DataFrame, given: pd.Series[str], opinions: Mapping[str, Opinions]) -> pd.DataFrame:
    """The table with the columns of each opinion; NA for pictures that are new or changed, or labelled otherwise now.

    given: the label of each row as models may use it, see `curate.decisions.given_labels`.
    """
    now = table[["path", "sha256"]].assign(about=given)
    for command, one in opinions.items():
        types = {column.name: PANDAS_TYPES[column.dtype] for column in COLUMNS[command] if column.name in one.rows}
        rows = one.rows.astype({"about": "str"})
        # Missing labels are equal here: a pre-label is about a picture that has none.
        joined = _comparable(now).merge(_comparable(rows), on=["path", "sha256", "about"], how="left")
        said = joined[list(types)].astype(types).set_axis(table.index)
        table = table.assign(**{name: said[name] for name in types})
    return table


def rounded(value: float) -> float | None:
    """A number for a summary, as JSON takes it: None for NaN, and no digits that mean nothing."""
    return None if math.isnan(value) else round(float(value), 4)


def _comparable(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(about=rows["about"].fillna(""), sha256=rows["sha256"].fillna(""))


def opinions_file(cache: Path, command: str) -> Path:
    """Where what a command said is kept."""
    return cache / f"opinions-{command}.parquet"
