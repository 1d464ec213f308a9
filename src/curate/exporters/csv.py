"""A folder of pictures and one CSV table: what spreadsheets, R, pandas and scripts of one's own read.

What it writes: `images/`, a folder per class in it (`_unlabeled` for no label), and `data.csv`, one row per picture,
sorted by id: id, path (of the file, relative to the table), source_path, sha256, format, width, height, size_bytes,
split, label, label_index, label_source (source, person or model), given_label, pred_label, pred_confidence,
label_quality, status (reviewed, flagged or ok), flags, repeat, weight, version. UTF-8, LF line ends, texts in quotes
(RFC 4180), missing values empty.

How to load it:

    import pandas as pd

    data = pd.read_csv("OUT/data.csv", dtype={"label": "str"}, keep_default_na=False, na_values="")
    files = "OUT/" + data["path"]

Limits: CSV knows no types, and readers guess: pandas takes a class called "NA" for a missing value and "007" for the
number 7 unless it is told otherwise, as above; the format `parquet` has no such trap. A cell is written as it is, also
one that begins with "=", which a spreadsheet may take for a formula.

Source: RFC 4180, https://www.rfc-editor.org/rfc/rfc4180.
"""

from __future__ import annotations

from pathlib import Path

from curate.exporters import Exporter, ExporterSettings, Written
from curate.progress import Advance
from curate.records import put_images, records
from curate.release import Release


def write(release: Release, out: Path, settings: ExporterSettings, advance: Advance) -> Written:  # noqa: ARG001  the signature of every exporter
    """Pictures as files, facts as CSV."""
    import pyarrow.csv

    places = put_images(release, out, advance)
    # Not by Python's csv, which before 3.13 leaves a lone "\r" unquoted, where readers then see a new line.
    with (out / "data.csv").open("wb") as stream:
        pyarrow.csv.write_csv(records(release, places), stream)
    return Written(places)


EXPORTER = Exporter(name="csv", summary="pictures and one CSV table", write=write)
