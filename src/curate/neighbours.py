"""The nearest few pictures of each picture, kept from run to run.

A table with one row per pair (thumbnail, other, nearness, similarity), thumbnails named by digest; a picture
without any near one has a row with `other` empty, so that it is known to have been compared. `update` gives what
comparing all with all would give, but compares only what the last table can't tell: new pictures with everything,
old ones with the new, and those whose neighbours went with everything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np

from curate import matching
from curate.matching import Bytes, Floats, Ints
from curate.progress import Advance, no_advance

if TYPE_CHECKING:
    import pandas as pd


def thumbnail_name(thumbnail: bytes) -> str:
    """Digest of a thumbnail, 32 hexadecimal digits: equal thumbnails are compared once."""
    return blake2b(thumbnail, digest_size=16).hexdigest()


def update(
    names: Sequence[str], thumbnails: Bytes, before: pd.DataFrame | None, advance: Advance = no_advance
) -> pd.DataFrame:
    """The neighbours of each thumbnail, by name and then nearest first.

    names: distinct, in the order of thumbnails (N, SIDE, SIDE). before: the answer for some other set, or None.
    advance: called with the number of pictures that have been compared.
    """
    known = _coded(names, before)
    is_new = np.ones(len(names), bool)
    is_new[known.one] = False
    bereft = known.one[known.other == GONE]
    again = is_new.copy()
    again[bereft] = True
    everyone = np.arange(len(names))
    fresh = matching.nearest(thumbnails, np.flatnonzero(again), everyone, advance)
    met = matching.nearest(thumbnails, np.flatnonzero(~again), np.flatnonzero(is_new), advance)
    stands = (known.other >= 0) & ~again[known.one]
    pairs = np.concatenate([fresh[0], met[0], known.pairs[stands]])
    nearness = np.concatenate([fresh[1], met[1], known.nearness[stands]])
    chosen = _nearest_of_each(names, pairs, nearness)
    pairs, nearness = pairs[chosen], nearness[chosen]
    return _table(names, pairs, nearness, _similarity(thumbnails, pairs, known))


def links(relations: pd.DataFrame, names: Sequence[str], min_similarity: float) -> list[dict[int, float]]:
    """For each name the places of those with at least that similarity, and the similarity; both ways."""
    found: list[dict[int, float]] = [{} for _ in names]
    same = relations[relations["similarity"] >= min_similarity]
    place = {name: number for number, name in enumerate(names)}
    for one, other, value in zip(same["thumbnail"], same["other"], same["similarity"].tolist(), strict=True):
        if one in place and other in place:
            here, there = place[one], place[other]
            found[here][there] = found[there][here] = value
    return found


@dataclass(frozen=True)
class _Known:
    """The last table, of pictures that are still here, by their numbers.

    one, other: (R,); other is GONE where that picture is not here any more, NONE where there was no near one.
    nearness, similarity: (R,).
    """

    one: Ints
    other: Ints
    nearness: Floats
    similarity: Floats

    @property
    def pairs(self) -> Ints:
        """(R, 2)"""
        return np.stack([self.one, self.other], axis=1)


NONE, GONE = -1, -2


def _coded(names: Sequence[str], before: pd.DataFrame | None) -> _Known:
    if before is None:
        return _Known(*np.empty((2, 0), np.int64), *np.empty((2, 0), np.float32))
    place = {name: number for number, name in enumerate(names)} | {"": NONE}
    one, other = (
        np.array([place.get(name, GONE) for name in before[column].tolist()], np.int64)
        for column in ("thumbnail", "other")
    )
    nearness, similarity = (before[column].to_numpy(np.float32) for column in ("nearness", "similarity"))
    here = one >= 0
    return _Known(one[here], other[here], nearness[here], similarity[here])


def _nearest_of_each(names: Sequence[str], pairs: Ints, nearness: Floats) -> Ints:
    """Which pairs to keep, in the order of the table: the nearest few of each, none twice."""
    order = np.lexsort((_ranks(names)[pairs[:, 1]], -nearness, _ranks(names)[pairs[:, 0]]))
    _, first = np.unique(pairs[order] @ [len(names), 1], return_index=True)
    order = order[np.sort(first)]
    one = pairs[order, 0]
    starts = np.flatnonzero(np.diff(one, prepend=NONE))
    place = np.arange(len(one)) - np.repeat(starts, np.diff(starts, append=len(one)))  # 0 for the nearest of each
    return order[place < matching.NEIGHBOURS]


def _ranks(names: Sequence[str]) -> Ints:
    """The place of each name in alphabetical order."""
    ranks = np.empty(len(names), np.int64)
    ranks[sorted(range(len(names)), key=names.__getitem__)] = np.arange(len(names))
    return ranks


def _similarity(thumbnails: Bytes, pairs: Ints, known: _Known) -> Floats:
    """Of each pair, from the last table where it has it."""
    count = len(thumbnails)
    codes, known_codes = pairs @ [count, 1], known.pairs @ [count, 1]
    sure = (known.other >= 0) & ~np.isnan(known.similarity)
    told = dict(zip(known_codes[sure].tolist(), known.similarity[sure].tolist(), strict=True))
    values = np.array([told.get(code, np.nan) for code in codes.tolist()], np.float32)
    todo = np.flatnonzero(np.isnan(values))
    both = np.sort(pairs[todo], axis=1)
    _, first, where = np.unique(both @ [count, 1], return_index=True, return_inverse=True)
    values[todo] = matching.similarity(thumbnails, both[first])[where]
    return values


def _table(names: Sequence[str], pairs: Ints, nearness: Floats, similarity: Floats) -> pd.DataFrame:
    """By name, then nearest first; whoever has no near one gets a row as well."""
    import pandas as pd

    alone = np.setdiff1d(np.arange(len(names)), pairs[:, 0])
    one = np.concatenate([pairs[:, 0], alone])
    order = np.argsort(_ranks(names)[one], kind="stable")
    array = np.array([*names, ""], dtype=object)  # NONE, -1, is the last
    other = np.concatenate([pairs[:, 1], np.full(len(alone), NONE)])
    columns = {
        "thumbnail": pd.Series(array[one[order]], dtype="str"),
        "other": pd.Series(array[other[order]], dtype="str"),
        "nearness": np.concatenate([nearness, np.zeros(len(alone), np.float32)])[order],
        "similarity": np.concatenate([similarity, np.full(len(alone), np.nan, np.float32)])[order],
    }
    return pd.DataFrame(columns)
