"""The table's contract: the columns that every stage and every reader relies on, beside those of the checks."""

from __future__ import annotations

from curate.checks import Column
from curate.opinions import COLUMNS as OPINION_COLUMNS

# (the stage that writes it, the column)
COLUMNS: tuple[tuple[str, Column], ...] = (
    (
        "scan",
        Column(
            "path",
            "string",
            "path below the image folder, with /; bytes that are no UTF-8 as \\xff, a backslash as \\\\",
        ),
    ),
    ("scan", Column("size_bytes", "int64", "file size", 0)),
    ("labels", Column("label", "string", "what the source says it shows; NA = unlabelled; never changed")),
    ("labels", Column("given_split", "string", "what split the source says: train, val, test or another; NA = none")),
    (
        "measure",
        Column("sha256", "string", "digest of the file's bytes; NA if it could not be read from disk"),
    ),
    ("measure", Column("read_error", "string", "why the picture can't be read, one word; NA if it can")),
    *((command, column) for command, columns in OPINION_COLUMNS.items() for column in columns),
    ("judge", Column("flags", "string", "names of all checks that flagged it, ;-joined; empty if none")),
    (
        "decide",
        Column("reasons", "string", "names of the checks or persons that dropped it, ;-joined; empty if kept"),
    ),
    ("decide", Column("keep", "boolean", "whether it is part of the data set")),
    ("decide", Column("final_label", "string", "the label a training run sees; NA if unlabelled or dropped")),
    ("split", Column("assigned_split", "string", "the split that `curate split` chose; NA = none yet")),
    ("decide", Column("split", "string", "the split a training run sees it in; NA if dropped or in none")),
    ("decide", Column("decided_by", "string", "the reviewer, `check`, or empty if nobody had to decide")),
    ("decide", Column("reviewed", "string", "what a person said: keep, relabel, drop or accept; NA if nobody did")),
    ("decide", Column("reviewed_label", "string", "the label a person gave; NA if none")),
    ("decide", Column("reviewed_by", "string", "who said so")),
    (
        "rebalance",
        Column("repeat", "int64", "how often training sees it, 0 = left out; NA if dropped, or new since: once", 0),
    ),
    ("rebalance", Column("weight", "float32", "what its loss counts in training; NA if dropped, or new since: 1", 0)),
    ("normalize", Column("output_sha256", "string", "digest of the normalized picture's bytes; NA if there is none")),
    ("normalize", Column("output_width", "int64", "its width in px")),
    ("normalize", Column("output_height", "int64", "its height in px")),
    ("normalize", Column("output_size_bytes", "int64", "its file size")),
    ("normalize", Column("output_format", "string", "its format: JPEG, PNG or WEBP")),
)
