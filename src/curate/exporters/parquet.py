"""A folder of pictures and one Parquet table: like `csv`, with types that no reader has to guess.

What it writes: `images/`, a folder per class in it (`_unlabeled` for no label), and `data.parquet`, one row per
picture, sorted by id, with the columns of the format `csv`. The types are the same in every export, also of a column
that is empty.

How to load it:

    import pandas as pd

    data = pd.read_parquet("OUT/data.parquet")
    files = "OUT/" + data["path"]

Limits: The pictures are files beside the table, not in it; for those in the table, see `huggingface`.

Source: https://parquet.apache.org/docs/file-format/.
"""

from __future__ import annotations

from pathlib import Path

from curate.exporters import Exporter, ExporterSettings, Written
from curate.files import write_parquet
from curate.progress import Advance
from curate.records import put_images, records
from curate.release import Release


def write(release: Release, out: Path, settings: ExporterSettings, advance: Advance) -> Written:  # noqa: ARG001  the signature of every exporter
    """Pictures as files, facts as Parquet."""
    places = put_images(release, out, advance)
    write_parquet(out / "data.parquet", records(release, places))
    return Written(places)


EXPORTER = Exporter(name="parquet", summary="pictures and one Parquet table, with types", write=write)
