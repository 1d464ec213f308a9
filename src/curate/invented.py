"""The resampled training vectors as a file, for models that are trained on embeddings instead of pictures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from curate.errors import SettingsError
from curate.files import replacing, write_parquet
from curate.strategies import INVENTED, Balance, Ints, Training

FORMATS = (".parquet", ".npz")


@dataclass(frozen=True)
class Features:
    """What was written. rows: vectors in the file; invented: those of no picture. sizes: vectors of each class."""

    file: Path
    rows: int
    invented: int
    sizes: dict[str, int]


def require_format(file: Path) -> None:
    """Raises SettingsError for a file name that ends in none of FORMATS."""
    if file.suffix.lower() not in FORMATS:
        raise SettingsError(f"--features {str(file)!r} is of no known format.", "Name it FILE.parquet or FILE.npz.")


def write_features(file: Path, training: Training, chosen: Balance, paths: list[str | None], identity: str) -> Features:
    """Write the vectors, each as often as the balance says, whole or not at all.

    training: vectors as if of pictures. paths: (N,) None = invented. identity: of the model that gave the vectors.
    """
    place = np.repeat(np.arange(len(training)), chosen.repeat)  # (M,)
    shown = [paths[one] for one in place]
    write = _write_npz if file.suffix.lower() == ".npz" else _write_table
    write(file, training, chosen.weight[place].astype(np.float32), place, shown, identity)
    sizes = np.bincount(training.labels[place], minlength=len(training.classes))
    return Features(
        file,
        len(place),
        sum(path is None for path in shown),
        {name: int(size) for name, size in zip(training.classes, sizes, strict=True) if size},
    )


def paths_of(source: Ints, paths: list[str]) -> list[str | None]:
    """The path of each vector; None = of no picture. source: (M,)."""
    return [None if one == INVENTED else paths[one] for one in source.tolist()]


def _write_table(
    file: Path, training: Training, weights: Any, place: Ints, paths: list[str | None], identity: str
) -> None:
    import pyarrow as pa

    vectors = training.vectors[place]
    names = np.array(training.classes, object)[training.labels[place]]
    columns = {
        "vector": pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1]),
        "label": pa.array(names, pa.string()),
        "path": pa.array(paths, pa.string()),
        "weight": pa.array(weights),
    }
    write_parquet(file, pa.table(columns).replace_schema_metadata({"model": identity}))


def _write_npz(
    file: Path, training: Training, weights: Any, place: Ints, paths: list[str | None], identity: str
) -> None:
    names = np.array(training.classes, "U")[training.labels[place]]
    known = np.array([path or "" for path in paths], "U")
    with replacing(file) as temporary, temporary.open("wb") as stream:
        np.savez(stream, vector=training.vectors[place], label=names, path=known, weight=weights, model=identity)
