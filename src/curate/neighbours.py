"""The nearest few pictures of each picture, kept from run to run.

A table with one row per relation (one, other, nearness, similarity, kind); pictures are named by the first 64 bits of
their content's digest, in this order. `update` gives what comparing all with all would give, but compares only what
the last table can't tell: new pictures with everything, old ones with the new, and those whose neighbours went with
everything.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from curate import matching, proposing
from curate.content_keys import Keys
from curate.progress import Advance, no_advance
from curate.spectra import SIDE, Bytes, Floats, Ints, slices

if TYPE_CHECKING:
    import pandas as pd

# Kinds of rows. NEAR: `other` is among the nearest few of `one`. ALONE: compared, nothing is near. EQUAL: `other` has
# the same thumbnail and speaks for both. BLANK: never compared. MISSING: there was no thumbnail. Else `other` is `one`.
NEAR, ALONE, EQUAL, BLANK, MISSING = range(5)
COLUMNS = {"one": "uint64", "other": "uint64", "nearness": "float32", "similarity": "float32", "kind": "int8"}
_NONE, _GONE = -1, -2


def relations_between(
    keys: Keys,
    thumbnails: Bytes,
    before: pd.DataFrame | None,
    advance: Advance = no_advance,
    exact: int = proposing.EXACT,
) -> pd.DataFrame:
    """The relations of some pictures, in the order of their keys.

    keys: (N,) distinct, ascending, in the order of thumbnails (N, SIDE, SIDE). before: the answer for some other set,
    or None. advance: called with the number of pictures that have been compared. exact: see `update`.
    """
    content = matching.has_content(thumbnails)
    rows = np.flatnonzero(content)
    _, first, member_of = np.unique(_hashes(thumbnails, rows), return_index=True, return_inverse=True)
    nodes = rows[np.sort(first)]
    speaker = rows[first[member_of]]  # the first row with the same thumbnail
    near = update(keys, thumbnails, nodes, before, advance, exact)
    equal = rows[speaker != rows]
    blank = np.flatnonzero(~content)
    same = _rows(keys[equal], keys[speaker[speaker != rows]], EQUAL, 1.0, 1.0)
    return _sorted([near, same, _rows(keys[blank], keys[blank], BLANK)])


def with_missing(relations: pd.DataFrame, keys: Keys) -> pd.DataFrame:
    """The relations, and one row for each of these contents, which have no thumbnail."""
    return _sorted([relations, _rows(keys, keys, MISSING)])


def covers(relations: pd.DataFrame, keys: Keys) -> bool:
    """Whether the relations are those of exactly these contents, keys ascending."""
    one = relations["one"].to_numpy()
    return np.array_equal(one[np.flatnonzero(np.diff(one, prepend=one[:1] + np.uint64(1)))], keys)


def missing_in(relations: pd.DataFrame) -> Keys:
    """Contents that had no thumbnail then, and may have one now."""
    return relations.loc[relations["kind"] == MISSING, "one"].to_numpy()


def update(
    keys: Keys,
    thumbnails: Bytes,
    nodes: Ints,
    before: pd.DataFrame | None,
    advance: Advance = no_advance,
    exact: int = proposing.EXACT,
) -> pd.DataFrame:
    """The rows of kind NEAR and ALONE among `nodes` (row numbers, ascending), by `one` and then nearest first.

    exact: with more nodes, candidates come from cells. If that was otherwise the last time, its table does not count.
    """
    known = _known(keys, nodes, before)
    if (known.count > exact) != (len(nodes) > exact):
        known = _known(keys, nodes, None)
    again = np.ones(len(nodes), bool)
    again[np.searchsorted(nodes, known.one)] = False
    again[np.searchsorted(nodes, known.one[known.other == _GONE])] = True
    asking, rest = nodes[again], nodes[~again]
    new = np.setdiff1d(nodes, known.one, assume_unique=False)
    found = _propose(thumbnails, asking, nodes, len(nodes) > exact, advance)
    if len(rest):
        met = _propose(thumbnails, rest, new, len(nodes) > exact, advance)
        stands = (known.other >= 0) & np.isin(known.one, rest)
        old = proposing.Proposals(known.pairs[stands], known.nearness[stands], np.ones(stands.sum(), bool))
        found = _nearest_of_each(len(keys), [found, met, old])
    return _table(keys, nodes, found, _similarity(thumbnails, found, known, in_crowd=len(nodes) > exact))


@dataclass(frozen=True)
class _Known:
    """The last table's rows of kind NEAR and ALONE, of pictures that are still here, by their row numbers.

    one, other: (R,); other is _GONE where that picture is not here any more, _NONE where there was no near one.
    nearness, similarity: (R,). count: how many pictures the last table compared.
    """

    one: Ints
    other: Ints
    nearness: Floats
    similarity: Floats
    count: int

    @property
    def pairs(self) -> Ints:
        """(R, 2)"""
        return np.stack([self.one, self.other], axis=1)


def _known(keys: Keys, nodes: Ints, before: pd.DataFrame | None) -> _Known:
    if before is None or not len(nodes):
        rows, values = np.empty(0, np.int64), np.empty(0, np.float32)
        return _Known(rows, rows, values, values, 0)
    before = before[before["kind"] <= ALONE]
    # To the place among the nodes -1 the row _GONE belongs.
    rows = np.append(nodes, _GONE)
    one, other = (rows[places_of(keys[nodes], before[column].to_numpy())] for column in ("one", "other"))
    other = np.where(before["kind"] == ALONE, _NONE, other)
    nearness, similarity = (before[column].to_numpy(np.float32) for column in ("nearness", "similarity"))
    here = one >= 0
    return _Known(one[here], other[here], nearness[here], similarity[here], int(before["one"].nunique()))


def places_of(keys: Keys, wanted: Keys) -> Ints:
    """The place of each wanted key in `keys`, which are distinct; -1 where it is not there."""
    if not len(keys):
        return np.full(len(wanted), -1)
    order = np.argsort(keys)
    place = order[np.minimum(np.searchsorted(keys, wanted, sorter=order), len(keys) - 1)]
    return np.where(keys[place] == wanted, place, -1)


def _propose(thumbnails: Bytes, asking: Ints, among: Ints, in_cells: bool, advance: Advance) -> proposing.Proposals:
    if in_cells:
        return proposing.nearest_in_cells(thumbnails, asking, among, advance)
    pairs, nearness = proposing.nearest(thumbnails, asking, among, advance)
    return proposing.Proposals(pairs, nearness, np.ones(len(pairs), bool))


def _nearest_of_each(count: int, parts: list[proposing.Proposals]) -> proposing.Proposals:
    """The nearest few of each over all parts, none twice."""
    pairs = np.concatenate([one.pairs for one in parts]).astype(np.int64)
    nearness = np.concatenate([one.nearness for one in parts])
    plausible = np.concatenate([one.plausible for one in parts])
    _, first = np.unique(pairs @ [count, 1], return_index=True)
    order = first[np.lexsort((pairs[first, 1], -nearness[first], pairs[first, 0]))]
    one = pairs[order, 0]
    starts = np.flatnonzero(np.diff(one, prepend=_NONE))
    place = np.arange(len(one)) - np.repeat(starts, np.diff(starts, append=len(one)))  # 0 for the nearest of each
    few = order[place < proposing.NEIGHBOURS]
    return proposing.Proposals(pairs[few], nearness[few], plausible[few])


def _similarity(thumbnails: Bytes, found: proposing.Proposals, known: _Known, in_crowd: bool) -> Floats:
    """Of each pair: from the last table where it has it, 0 where it is not plausible."""
    count = len(thumbnails)
    values = np.full(len(found.pairs), np.nan, np.float32)
    values[~found.plausible] = 0
    sure = (known.other >= 0) & ~np.isnan(known.similarity)
    if sure.any():
        codes = known.one[sure] * count + known.other[sure]
        order = np.argsort(codes)
        wanted = found.pairs.astype(np.int64) @ [count, 1]
        place = np.minimum(np.searchsorted(codes, wanted, sorter=order), len(codes) - 1)
        told = codes[order[place]] == wanted
        values[told] = known.similarity[sure][order[place[told]]]
    todo = np.flatnonzero(np.isnan(values))
    low, high = np.sort(found.pairs[todo], axis=1).T.astype(np.int64)
    both, where = np.unique(low * count + high, return_inverse=True)
    values[todo] = matching.similarity(thumbnails, np.stack(np.divmod(both, count), axis=1), in_crowd)[where]
    return values


def _table(keys: Keys, nodes: Ints, found: proposing.Proposals, similarity: Floats) -> pd.DataFrame:
    """By key, then nearest first; whoever has no near one gets a row as well."""
    alone = np.ones(len(keys), bool)
    alone[found.pairs[:, 0]] = False
    lonely = nodes[alone[nodes]]
    near = _rows(keys[found.pairs[:, 0]], keys[found.pairs[:, 1]], NEAR, found.nearness, similarity)
    return _sorted([near, _rows(keys[lonely], keys[lonely], ALONE)])


def _rows(
    one: Keys, other: Keys, kind: int, nearness: Floats | float = 0.0, similarity: Floats | float = np.nan
) -> pd.DataFrame:
    import pandas as pd

    columns = {"one": one, "other": other, "nearness": nearness, "similarity": similarity, "kind": kind}
    return pd.DataFrame(columns).astype(COLUMNS)


def _sorted(parts: list[pd.DataFrame]) -> pd.DataFrame:
    """By `one`; what belongs to one stays in its order."""
    import pandas as pd

    parts = [part for part in parts if len(part)] or parts[:1]
    joined = parts[0] if len(parts) == 1 else pd.concat(parts, ignore_index=True)
    one = joined["one"].to_numpy()
    if (one[1:] >= one[:-1]).all():
        return joined
    return joined.iloc[np.argsort(one, kind="stable")].reset_index(drop=True)


def _hashes(thumbnails: Bytes, rows: Ints) -> NDArray[np.uint64]:
    """64 bits of each of these thumbnails: of a million, two unlike ones share them once in 30 million times."""
    salts = np.random.default_rng(1).integers(0, 2**64 - 1, SIDE * SIDE // 8, np.uint64)
    found = np.empty(len(rows), np.uint64)
    for block in slices(len(rows)):
        mixed = thumbnails[rows[block]].reshape(block.stop - block.start, -1).view(np.uint64) ^ salts
        for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):  # the finalizer of MurmurHash3
            mixed ^= mixed >> np.uint64(33)
            mixed *= np.uint64(factor)
        found[block] = (mixed ^ (mixed >> np.uint64(33))).sum(axis=1, dtype=np.uint64)
    return found
