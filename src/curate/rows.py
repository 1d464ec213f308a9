"""Rows of large tables by a key, such as the path: sorted, found, compared and hashed column by column.

Everything here works on whole Arrow columns, with no Python object per value: a million rows take tenths of a second.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

Places = NDArray[np.int64]

BLOCK_ROWS = 65_536  # rows that are joined to bytes at once: some 10 MB


FEW = 8  # times fewer rows than the others: then it is cheaper to look up the others


def sorted_by(table: pd.DataFrame, key: str) -> pd.DataFrame:
    """The rows in order of a text column, numbered from 0; a table that is so already is not copied."""
    import pandas as pd
    import pyarrow.compute as pc

    values = as_arrow(table[key])
    if len(values) > 1 and not pc.all(pc.less_equal(values[:-1], values[1:])).as_py():
        table = table.take(pc.sort_indices(values).to_numpy())
    return table.set_axis(pd.RangeIndex(len(table)), axis=0)


def places_of(wanted: pd.Series[Any], known: pd.Series[Any]) -> Places:
    """Where each wanted text stands among the known ones, which are distinct; -1 = nowhere, as where it is missing."""
    import pyarrow.compute as pc

    # Both may be millions, and mostly they are the same: to compare is ten times faster than to look up.
    one, other = _as_text(wanted), _as_text(known)
    if not one.null_count and one.equals(other):
        return np.arange(len(one))
    if len(one) > len(other) / FEW:
        return _looked_up(one, other)
    distinct = pc.unique(one)
    found = _looked_up(other, distinct)
    place = np.full(len(distinct) + 1, -1)
    place[found] = np.arange(len(found))
    place[-1] = -1  # where those stand that are not wanted
    return place[_looked_up(one, distinct)]


def _looked_up(wanted: pa.Array, known: pa.Array) -> Places:
    import pyarrow as pa
    import pyarrow.compute as pc

    found = pc.index_in(wanted, value_set=known, skip_nulls=True)
    return np.asarray(pc.fill_null(found.cast(pa.int64()), -1))


def changed_rows(before: pd.DataFrame, after: pd.DataFrame, key: str) -> pd.DataFrame:
    """The rows of `after` that are new or differ in any column from the row of the same key in `before`.

    Values are compared, not types: what Parquet gives back in another type has not changed. NA, NaN, None and the empty
    text are all the same. `before` has all columns of `after`.
    """
    place = places_of(after[key], before[key])
    same = place >= 0
    if not same.any():
        return after
    aligned = len(before) == len(after) and bool((place == np.arange(len(place))).all())
    for name in after.columns:
        if name != key:
            same &= _equal(as_arrow(before[name]), as_arrow(after[name]), None if aligned else place.clip(0))
    changed: pd.DataFrame = after[~same]
    return changed


def differing(before: pd.DataFrame, after: pd.DataFrame, key: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Of both tables the rows whose key only one of them has, or that differ in a column of the second."""
    shared = [name for name in after.columns if name in before]
    changed = changed_rows(before[shared], after[shared], key)[key]
    there, here = places_of(before[key], after[key]), places_of(after[key], changed)
    return before[(there < 0) | (places_of(before[key], changed) >= 0)], after[here >= 0]


def replaced(rows: pd.DataFrame, newer: pd.DataFrame, gone: NDArray[np.bool_], key: str) -> pd.DataFrame:
    """Rows sorted by a key, with newer ones in place of those of the same key or between them; and without those gone.

    newer: one row per key. gone: (len(newer),) which of its keys are to be taken out.
    """
    import pandas as pd

    place = places_of(newer[key], rows[key])
    there = place >= 0
    order, left = np.arange(len(rows)), np.ones(len(rows), bool)
    order[place[there]] = len(rows) + np.flatnonzero(there)
    left[place[there & gone]] = False
    added = len(rows) + np.flatnonzero(~there & ~gone)
    order = np.concatenate([order[left], added])
    moved = len(added) or not left.all()
    # A relabelling changes few columns, and to copy the others is most of the work.
    touched = [name for name in rows.columns if moved or not _is_same(rows[name].take(place), newer[name])]
    values = pd.concat([rows[touched], newer[touched]], ignore_index=True).take(order)
    return sorted_by(values, key) if moved else rows.assign(**{name: values[name].array for name in touched})


def joined(rows: pd.DataFrame, known: pd.DataFrame, key: str) -> pd.DataFrame:
    """The rows, numbered from 0, with the other columns of the known row of the same key; missing where none is known.

    known: one row per key.
    """
    import pandas as pd

    rows, known = (one.set_axis(pd.RangeIndex(len(one)), axis=0) for one in (rows, known))
    columns = known[[name for name in known.columns if name not in rows]]
    found = columns.reindex(places_of(rows[key], known[key]))  # -1 is in no index, so those rows are empty
    return pd.concat([rows, found.set_axis(rows.index, axis=0)], axis=1)


def update_digest(digest: Any, columns: Iterable[pd.Series[Any] | None], length: int) -> None:
    """Hash rows of text, field by field, each ended by NUL; missing values and columns (None) are empty texts.

    digest: of `hashlib`. No field can contain NUL, so as many fields in each row can't be read in two ways.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    empty, nul = pa.scalar("", pa.large_string()), pa.scalar("\0", pa.large_string())
    texts = [None if column is None else pc.fill_null(_as_text(column), empty) for column in columns]
    for start in range(0, length, BLOCK_ROWS):
        fields = [empty if text is None else text[start : start + BLOCK_ROWS] for text in texts]
        joined = pc.binary_join_element_wise(*fields, empty, nul)
        for chunk in joined.chunks if isinstance(joined, pa.ChunkedArray) else [joined]:
            digest.update(_bytes_of(chunk))


def as_arrow(column: pd.Series[Any]) -> pa.Array:
    """The values as one Arrow array, NaN and None as null; shares memory with text and most numbers."""
    import pyarrow as pa

    values = pa.array(column, from_pandas=True)
    if isinstance(values, pa.ChunkedArray):
        return values.combine_chunks()
    return values.dictionary_decode() if pa.types.is_dictionary(values.type) else values


def _as_text(column: pd.Series[Any]) -> pa.Array:
    """The values as pandas writes them, null where missing."""
    import pandas as pd
    import pyarrow as pa

    values = as_arrow(column)
    if _is_text(values.type):
        return values.cast(pa.large_string())
    codes, distinct = pd.factorize(column)  # numbers repeat
    texts = pa.array(pd.Series(distinct).astype("str"), pa.large_string(), from_pandas=True)
    return texts.take(pa.array(codes, pa.int64(), mask=codes < 0))


def _is_text(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_null(kind))


def _is_same(before: pd.Series[Any], after: pd.Series[Any]) -> bool:
    """Whether two columns have the same values, of the same type."""
    return before.dtype == after.dtype and as_arrow(before).equals(as_arrow(after))


def _equal(before: pa.Array, after: pa.Array, place: Places | None) -> NDArray[np.bool_]:
    """Whether each value is that at its place before; None = in the same order."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if place is not None:
        before = before.take(pa.array(place))
    if _is_text(before.type) or _is_text(after.type) or _is_bool(before) != _is_bool(after):
        texts = [pc.fill_null(one.cast(pa.large_string()), "") for one in (before, after)]
        return np.asarray(pc.equal(*texts))
    same = pc.fill_null(pc.equal(before, after), False)
    missing = pc.and_(*[pc.is_null(one, nan_is_null=True) for one in (before, after)])
    return np.asarray(pc.or_(same, missing))


def _is_bool(values: pa.Array) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_boolean(values.type))


def _bytes_of(texts: pa.Array) -> memoryview:
    """The texts one after the other, as they lie in memory."""
    _, ends, data = texts.buffers()
    offsets = np.frombuffer(ends, np.int64)[texts.offset : texts.offset + len(texts) + 1]
    return memoryview(data)[offsets[0] : offsets[-1]] if data else memoryview(b"")
