"""Probabilities from a model of the user's own, in place of ours.

They must be out of sample: predicted by a model that was not trained on the picture, nor on a copy of it. A model
that has seen a picture repeats the label it was given, right or wrong, and hides the very errors we look for.
"""

from __future__ import annotations

import posixpath
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from curate.errors import SourceError
from curate.paths import to_text
from curate.stages.labels import PATH_COLUMNS, find_column, read_rows

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Ints = NDArray[np.int64]

ARRAY_SUFFIXES = (".npy", ".npz")
TABLE_SUFFIXES = (".parquet", ".csv", ".tsv", ".jsonl", ".ndjson")
ARRAY_NAMES = ("pred_probs", "probabilities", "probs")  # in an .npz of several arrays
SUM_TOLERANCE = 1e-3  # float16 probabilities of 1,000 classes are off by less

# A model that surely contradicts fewer labels than this has learned them by heart, or the data is nearly free of
# errors: ten famous test sets have 0.15 % (MNIST) to 10 % wrong labels (Northcutt et al. 2021), and honest models
# contradict more than are wrong: .87 % of MNIST, .4 % of 1,683 pictures of 12 kinds of objects (surely below .8 %).
MEMORIZED = 0.005
CERTAINTY = 0.95
# Of the labels that our own models contradict with this confidence, honest models of six kinds repeated at most a
# third, on five sets with 9 to 40 % wrong labels; random forests, which learn them by heart, all.
CONFIDENT = 0.8
CONFIRMED = 0.95
FEW = (
    0.01  # contradicted labels that make us ask our own models: a good model of yours may well confirm what ours doubt
)
ENOUGH = 10


def read_pred_probs(file: Path, paths: Sequence[str], classes: Sequence[str]) -> Floats:
    """The probability of each class for each picture, (N, K) in the order of `paths` and `classes`; rows sum to 1.

    file: a table (Parquet, CSV, TSV, JSONL) with a column `path` and one per class, in any order; pictures besides
    `paths` are ignored. Or an array (.npy, .npz) of shape (N, K): its rows are `paths`, its columns `classes`.
    paths: the labelled pictures, sorted. classes: sorted.
    Raises SourceError when the file does not fit, or holds what is no probability.
    """
    suffix = file.suffix.lower()
    if suffix not in ARRAY_SUFFIXES + TABLE_SUFFIXES:
        known = ", ".join(ARRAY_SUFFIXES + TABLE_SUFFIXES)
        raise SourceError(f"{str(file)!r} holds no probabilities that curate reads: expected one of {known}.")
    if not file.is_file():
        raise SourceError(f"There is no file {str(file)!r}.", "Give a file of probabilities.")
    is_array = suffix in ARRAY_SUFFIXES
    found = _array(file, len(paths), len(classes)) if is_array else _table(file, paths, classes)
    _require_probabilities(found, file, paths)
    total: Doubles = found.sum(axis=1, keepdims=True)
    return np.divide(found, total).astype(np.float32)


def looks_in_sample(labels: Ints, probabilities: Floats, probe: Floats | None = None) -> str:
    """Why these probabilities look as if the model had been trained on these very labels; "" = they don't.

    labels: (N,), -1 = none. probabilities: (N, K). probe: our own, out of sample, (N, K), if there are any: they tell
    whether labels that look wrong are repeated, also on a small set. Only learning by heart shows, and only on 600
    pictures or more without `probe`; a model that was held back by regularization contradicts some labels even where
    it has seen them, and then hides fewer errors.
    """
    labelled = labels >= 0
    labels, probabilities = labels[labelled], probabilities[labelled]
    contradicted = int((probabilities.argmax(axis=1) != labels).sum())
    said = f"The model repeats {len(labels) - contradicted:,} of the {len(labels):,} given labels"
    advice = "Only predictions on pictures that the model was not trained on can show label errors."
    if probe is not None:
        probe = probe[labelled]
        doubted = (probe.argmax(axis=1) != labels) & (probe.max(axis=1) >= CONFIDENT)
        confirmed = (probabilities.argmax(axis=1) == labels)[doubted].mean() if doubted.any() else 0.0
        if doubted.sum() >= ENOUGH and confirmed >= CONFIRMED and contradicted <= FEW * len(labels):
            return f"{said}, also {confirmed:.0%} of the {doubted.sum()} that look wrong to ours. {advice}"
        if _at_most(int((probe.argmax(axis=1) != labels).sum()), len(labels)) < MEMORIZED:
            return ""  # so easy that honest models contradict nothing either
    if _at_most(contradicted, len(labels)) < MEMORIZED:
        return f"{said}: more than honest predictions do on nearly all real data. {advice}"
    return ""


def _at_most(count: int, total: int) -> float:
    """The share that is at most behind `count` of `total`, with CERTAINTY (Clopper and Pearson 1934)."""
    from scipy.stats import beta

    return float(beta.ppf(CERTAINTY, count + 1, total - count)) if count < total else 1.0


def _array(file: Path, pictures: int, classes: int) -> Doubles:
    array = _load(file)
    if array.shape != (pictures, classes):
        raise SourceError(
            f"{str(file)!r} holds an array of shape {array.shape}, expected ({pictures}, {classes}): one row per "
            f"labelled picture that is kept, sorted by path, and one column per class, sorted by name.",
            "Write a table with a column 'path' and one column per class instead: it needs no order.",
        )
    if not (np.issubdtype(array.dtype, np.floating) or np.issubdtype(array.dtype, np.integer)):
        raise SourceError(f"{str(file)!r} holds values of type {array.dtype}, expected numbers from 0 to 1.")
    return array.astype(np.float64)


def _load(file: Path) -> NDArray[Any]:
    """The array of a file. Never by pickle, which runs what a stranger wrote."""
    try:
        loaded = np.load(file, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return loaded
        with loaded:
            names = [name for name in loaded.files if name in ARRAY_NAMES] or loaded.files
            if len(names) == 1:
                array: NDArray[Any] = loaded[names[0]]
                return array
            said = ", ".join(map(repr, names)) or "none"
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        hint = "Save it as an array of numbers: np.save(file, probabilities.astype('float32'))."
        raise SourceError(f"{str(file)!r} is no NumPy file of numbers: {error}.", hint) from error
    raise SourceError(f"{str(file)!r} holds the arrays {said}, expected one.", f"Name it {ARRAY_NAMES[0]!r}.")


def _table(file: Path, paths: Sequence[str], classes: Sequence[str]) -> Doubles:
    table = read_rows(file).rename(columns=str)
    column = find_column(table, PATH_COLUMNS, file)
    _require_classes(table.drop(columns=column), file, classes)
    wanted = set(paths)
    written = [posixpath.normpath(path) for path in table[column].astype("str").fillna("")]
    table.index = [path if path in wanted else to_text(path) for path in written]
    table = table[table.index.isin(wanted)]
    if table.index.has_duplicates:
        again = table.index[table.index.duplicated()][0]
        raise SourceError(f"{str(file)!r} has more than one row for {again!r}.", "Leave one row per picture.")
    missing = sorted(wanted - set(table.index))
    if missing:
        raise SourceError(
            f"{str(file)!r} has no row for {len(missing)} of the {len(paths)} labelled pictures, "
            f"for example {missing[0]!r}.",
            "Write paths relative to the image folder, like cats/1.jpg, and a row for every labelled picture.",
        )
    found = _numbers(table.loc[list(paths), list(classes)], file)
    _require_no_other_class(table.loc[list(paths)].drop(columns=[column, *classes]), found, file)
    return found


def _require_classes(table: pd.DataFrame, file: Path, classes: Sequence[str]) -> None:
    missing = [name for name in classes if name not in table.columns]
    if missing:
        raise SourceError(
            f"{str(file)!r} has no column for the class {missing[0]!r} ({len(missing)} of {len(classes)} are missing).",
            f"Name a column for each class: {', '.join(map(repr, classes[:10]))}{', …' if len(classes) > 10 else ''}.",
        )


def _require_no_other_class(others: pd.DataFrame, found: Doubles, file: Path) -> None:
    """Columns besides the classes may hold anything, but not what the rows lack to a sum of 1."""
    import pandas as pd

    if (np.abs(found.sum(axis=1) - 1) <= SUM_TOLERANCE).all():
        return
    for name in others.columns:
        numbers = pd.to_numeric(others[name], errors="coerce").fillna(-1)
        if numbers.between(0, 1).all() and numbers.any():
            raise SourceError(
                f"{str(file)!r} has a column of probabilities {name!r}, which is the label of no picture, and rows "
                "that do not sum to 1 without it.",
                "Remove it, and divide each row by its sum.",
            )


def _numbers(table: pd.DataFrame, file: Path) -> Doubles:
    import pandas as pd

    numbers = table.apply(pd.to_numeric, errors="coerce")
    wrong = numbers.isna().to_numpy(bool)
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        value = table.iloc[row, column]
        raise SourceError(
            f"{str(file)!r} has {value!r} as probability of {table.columns[column]!r} for {table.index[row]!r}.",
            "Expected a number from 0 to 1 in every cell.",
        )
    values: Doubles = numbers.to_numpy(np.float64)
    return values


def _require_probabilities(found: Doubles, file: Path, paths: Sequence[str]) -> None:
    bad = ~np.isfinite(found).all(axis=1)
    if bad.any():
        raise SourceError(f"{str(file)!r} has a missing or infinite value in the row of {paths[int(bad.argmax())]!r}.")
    outside = (found < -SUM_TOLERANCE).any(axis=1) | (found > 1 + SUM_TOLERANCE).any(axis=1)
    off = outside | (np.abs(found.sum(axis=1) - 1) > SUM_TOLERANCE)
    if not off.any():
        return
    row = int(off.argmax())
    low, high, total = found[row].min(), found[row].max(), found[row].sum()
    hint = "If these are logits, apply a softmax to each row first." if outside.any() else "Divide each row by its sum."
    raise SourceError(
        f"{str(file)!r} holds no probabilities: the row of {paths[row]!r} goes from {low:.4g} to {high:.4g} and sums "
        f"to {total:.4g}, expected 0 to 1 and a sum of 1 ({int(off.sum())} of {len(found)} rows are off).",
        hint,
    )
