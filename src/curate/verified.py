"""Similarity of pictures that were not compared as neighbours, remembered from run to run.

A photograph with dozens of copies has more than the few neighbours that are compared of each. Which of the others are
to be compared with the copy that is kept depends on thresholds and on which one that is, so only `judge` knows.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from curate import matching, neighbours
from curate.content_keys import Keys
from curate.relations import Relations
from curate.spectra import SIDE, Bytes, Floats, Ints

if TYPE_CHECKING:
    import pandas as pd


@dataclass
class Verified:
    """keys: of the contents, by place. min_similarity: from which pictures may be in one group."""

    relations: Relations
    keys: Keys
    min_similarity: float
    _told: pd.DataFrame | None = None
    _thumbnails: tuple[Keys, Bytes] | None = field(default=None, repr=False)

    def similarity(self, pairs: Ints) -> Floats:
        """(P, 2) places in `keys` -> (P,). What can't be compared, as a thumbnail is gone, is not similar: 0."""
        low, high = np.sort(self.keys[pairs], axis=1).T
        values = self._remembered(low, high)
        missing = np.isnan(values)
        if missing.any():
            values[missing] = self._compared(low[missing], high[missing])
            rows = _table(low[missing], high[missing]).assign(similarity=values[missing])
            self.relations.remember(rows)
            self._told = rows if self._told is None else _joined(self._told, rows)
        return values

    def _remembered(self, low: Keys, high: Keys) -> Floats:
        """NA where nothing is known."""
        if self._told is None:
            self._told = self.relations.remembered()
        if self._told is None:
            return np.full(len(low), np.nan, np.float32)
        told = self._told.drop_duplicates(["one", "other"])
        return _table(low, high).merge(told, on=["one", "other"], how="left")["similarity"].to_numpy(np.float32).copy()

    def _compared(self, low: Keys, high: Keys) -> Floats:
        keys, thumbnails = self._of_all_with_copies()
        one, other = (neighbours.places_of(keys, ends) for ends in (low, high))
        known = (one >= 0) & (other >= 0)
        values = np.zeros(len(low), np.float32)
        values[known] = matching.similarity(thumbnails, np.stack([one, other], axis=1)[known])
        return values

    def _of_all_with_copies(self) -> tuple[Keys, Bytes]:
        """Keys and thumbnails of all that have a neighbour similar enough: no other picture is ever asked for."""
        if self._thumbnails is None:
            table = self.relations.table
            alike = table[(table["kind"] <= neighbours.EQUAL) & (table["similarity"] >= self.min_similarity)]
            keys = np.unique(alike[["one", "other"]].to_numpy())
            have, values = self.relations.binary.read("thumbnail", keys)
            self._thumbnails = keys[have], values.reshape(-1, SIDE, SIDE)
        return self._thumbnails


def _table(one: Keys, other: Keys) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame({"one": one, "other": other})


def _joined(one: pd.DataFrame, other: pd.DataFrame) -> pd.DataFrame:
    import pandas as pd

    return pd.concat([one, other], ignore_index=True)
