"""The nearest few pictures of each picture, kept from run to run.

A table with one row per pair (thumbnail, other, nearness, similarity), thumbnails named by digest; a picture
without any near one has a row with `other` empty, so that it is known to have been compared. `update` gives what
comparing all with all would give, but compares only what the last table can't tell: new pictures with everything,
old ones with the new, and those whose neighbours went with everything.
"""

from __future__ import annotations

from collections.abc import Sequence
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
    before = _nothing() if before is None else before
    here = set(names)
    known = set(before["thumbnail"])
    lost = (before["other"] != "") & ~before["other"].isin(here)
    bereft = set(before.loc[lost, "thumbnail"])
    is_new = np.array([name not in known for name in names], bool)
    again = is_new | np.array([name in bereft for name in names], bool)
    fresh = _neighbours(names, thumbnails, np.flatnonzero(again), np.arange(len(names)), advance)
    met = _neighbours(names, thumbnails, np.flatnonzero(~again), np.flatnonzero(is_new), advance)
    standing = before[before["thumbnail"].isin(here - bereft)]
    found = _nearest_of_each([fresh, met, standing])
    return _with_similarity(found, before, names, thumbnails)


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


def _nothing() -> pd.DataFrame:
    return _table([], [], np.empty(0, np.float32)).assign(similarity=np.empty(0, np.float32))


def _table(one: Sequence[str], other: Sequence[str], nearness: Floats) -> pd.DataFrame:
    import pandas as pd

    columns = {"thumbnail": pd.Series(one, dtype="str"), "other": pd.Series(other, dtype="str"), "nearness": nearness}
    return pd.DataFrame(columns)


def _neighbours(names: Sequence[str], thumbnails: Bytes, asking: Ints, among: Ints, advance: Advance) -> pd.DataFrame:
    """The nearest few of each asking picture among some; one with an empty `other` where there is none."""
    pairs, nearness = matching.nearest(thumbnails, asking, among, advance)
    array = np.asarray(names, dtype=object)
    alone = array[np.setdiff1d(asking, pairs[:, 0])]
    one = [*array[pairs[:, 0]], *alone]
    other = [*array[pairs[:, 1]], *([""] * len(alone))]
    return _table(one, other, np.concatenate([nearness, np.zeros(len(alone), np.float32)]))


def _nearest_of_each(parts: list[pd.DataFrame]) -> pd.DataFrame:
    """All parts together: the nearest few of each; an empty `other` only where there is nothing else."""
    import pandas as pd

    together = pd.concat([part[["thumbnail", "other", "nearness"]] for part in parts], ignore_index=True)
    ordered = together.sort_values(["thumbnail", "nearness", "other"], ascending=[True, False, True])
    nearest = ordered.drop_duplicates(["thumbnail", "other"]).groupby("thumbnail").head(matching.NEIGHBOURS)
    has_some = nearest["thumbnail"].isin(nearest.loc[nearest["other"] != "", "thumbnail"])
    return nearest[(nearest["other"] != "") | ~has_some].reset_index(drop=True)


def _with_similarity(
    found: pd.DataFrame, before: pd.DataFrame, names: Sequence[str], thumbnails: Bytes
) -> pd.DataFrame:
    """The pairs with their similarity, from the last table where it has them; NA where `other` is empty."""
    found = found.merge(before[["thumbnail", "other", "similarity"]], on=["thumbnail", "other"], how="left")
    todo = np.flatnonzero(found["similarity"].isna() & (found["other"] != ""))
    place = {name: number for number, name in enumerate(names)}
    rows = [(place[one], place[other]) for one, other in found[["thumbnail", "other"]].iloc[todo].to_numpy()]
    both = np.sort(np.array(rows, np.int64).reshape(-1, 2), axis=1)
    pairs, where = np.unique(both, axis=0, return_inverse=True)
    values = found["similarity"].to_numpy(np.float32, copy=True)
    values[todo] = matching.similarity(thumbnails, pairs)[where.reshape(-1)]
    return found.assign(similarity=values)
