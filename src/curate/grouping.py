"""Which copies belong together, and which one of them to keep.

Groups are stars, never chains: every member was compared with the picture that is kept. If a looks like b and b
like c, but a not like c, then c starts a group of its own. Pictures come best first, so the best is kept.

Rejected: connected components. They put unlike images into one group (fastdup issue 302) and grow without bound.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from curate import matching, neighbours
from curate.matching import Bytes, Floats, Ints
from curate.progress import Advance

if TYPE_CHECKING:
    import pandas as pd


def readable(table: pd.DataFrame) -> pd.Series[bool]:
    """Rows with a picture to compare: it could be read, and its bytes are known."""
    return table["read_error"].isna() & (table["sha256"].fillna("") != "")


def labels_of(table: pd.DataFrame) -> pd.Series[Any]:
    """The labels, all NA when the data has none yet."""
    import pandas as pd

    if "label" in table:
        return table["label"].astype("string")
    return pd.Series(pd.NA, index=table.index, dtype="string")


def best_paths(table: pd.DataFrame) -> pd.Series[Any]:
    """For each row the path of the copy to keep among the readable rows with the same bytes; NA if unreadable.

    Labelled before unlabelled, then the shortest path ("a.jpg" before "backup/a (1).jpg"), then alphabetical.
    """
    rows = table.loc[readable(table), ["path", "sha256"]]
    rows = rows.assign(unlabelled=labels_of(table).isna(), length=rows["path"].str.len())
    rows = rows.sort_values(["unlabelled", "length", "path"])
    return rows.groupby("sha256")["path"].transform("first").astype("string").reindex(table.index)


def has_conflict(group: pd.Series[Any], labels: pd.Series[Any]) -> pd.Series[bool]:
    """True on every row of a group in which two or more different labels occur; rows without group: False."""
    return labels.groupby(group).transform("nunique").reindex(group.index).fillna(0) > 1


def best_first(table: pd.DataFrame) -> NDArray[np.int64]:
    """Row positions, best picture first, the same for any order of the rows.

    More pixels, then sharper, then less compressed (more bytes per pixel), then labelled, then by path.
    """
    pixels = table["width"].astype("float64") * table["height"].astype("float64")
    ranks = {
        "pixels": -pixels,
        "sharpness": -table["sharpness"].astype("float64") if "sharpness" in table else 0.0,
        "bytes_per_pixel": -table["size_bytes"].astype("float64") / pixels,
        "unlabelled": labels_of(table).isna(),
        "path": table["path"],
        "position": np.arange(len(table)),
    }
    return table[[]].assign(**ranks).sort_values(list(ranks))["position"].to_numpy(np.int64)


@dataclass(frozen=True)
class Groups:
    """kept: for each picture the row of the one kept in its group, its own row if alone or kept, (N,).

    similarity: of each picture and the kept one; 1 for itself, (N,).
    """

    kept: Ints
    similarity: Floats


def group_copies(thumbnails: Bytes, min_similarity: float, relations: pd.DataFrame | None = None) -> Groups:
    """Groups of pictures that show the same photograph, each around its first (best) member.

    thumbnails: (N, SIDE, SIDE), best picture first. Equal thumbnails are compared once, however many there are;
    blank ones are never grouped. relations: their neighbours as `relate_thumbnails` finds them, None = find them.
    """
    kept, similarity = np.arange(len(thumbnails)), np.ones(len(thumbnails), np.float32)
    rows, first, names, member_of = _distinct(thumbnails)
    if relations is None:
        relations = neighbours.update(names, thumbnails[first], None)
    stars = _stars(thumbnails[first], neighbours.links(relations, names, min_similarity), min_similarity)
    kept[rows] = first[stars.kept[member_of]]
    similarity[rows] = stars.similarity[member_of]
    return Groups(kept, similarity)


def relate_thumbnails(thumbnails: Bytes, before: pd.DataFrame | None, advance: Advance) -> pd.DataFrame:
    """The neighbours of each distinct thumbnail that is not blank; see `curate.neighbours`."""
    _, first, names, _ = _distinct(thumbnails)
    return neighbours.update(names, thumbnails[first], before, advance)


def _distinct(thumbnails: Bytes) -> tuple[Ints, Ints, list[str], Ints]:
    """Rows that are not blank; the first row and the name of each distinct thumbnail; the place of each row there."""
    rows = np.flatnonzero(matching.has_content(thumbnails))
    seen: dict[str, int] = {}
    names = [neighbours.thumbnail_name(thumbnails[row].tobytes()) for row in rows]
    member_of = np.array([seen.setdefault(name, len(seen)) for name in names], np.int64)
    return rows, rows[np.unique(member_of, return_index=True)[1]], list(seen), member_of


def _stars(thumbnails: Bytes, links: Sequence[Mapping[int, float]], min_similarity: float) -> Groups:
    """Greedy: the best picture without a group gathers those without a group that were verified against it."""
    kept, similarity = np.full(len(thumbnails), -1), np.ones(len(thumbnails), np.float32)
    for best in range(len(thumbnails)):
        if kept[best] >= 0:
            continue
        kept[best] = best
        for row, value in _gathered(thumbnails, best, links, kept, min_similarity).items():
            kept[row], similarity[row] = best, value
    return Groups(kept, similarity)


def _gathered(
    thumbnails: Bytes, best: int, links: Sequence[Mapping[int, float]], kept: Ints, min_similarity: float
) -> dict[int, float]:
    """Rows without a group that show the same photograph as `best`, with their similarity.

    Only the nearest few pictures of each were compared. Of a photograph with dozens of copies the others are linked to
    those, so the search goes on from each that was verified, and only from those: a film in which every frame
    resembles the next is not walked from end to end.
    """
    found: dict[int, float] = {}
    tried, newest = {best}, [best]
    while newest:
        beyond = {row for near in newest for row in links[near] if kept[row] < 0} - tried
        verified = {row: value for row, value in links[best].items() if row in beyond}
        verified |= _verified(thumbnails, best, sorted(beyond - verified.keys()), min_similarity)
        tried |= beyond
        newest = list(verified)
        found |= verified
    return found


def _verified(thumbnails: Bytes, best: int, rows: Sequence[int], min_similarity: float) -> dict[int, float]:
    """Those of `rows` that show the same photograph as `best`, with their similarity."""
    if not rows:
        return {}
    pairs = np.array([(best, row) for row in rows], np.int64)
    values = matching.similarity(thumbnails, pairs).tolist()
    return {row: value for row, value in zip(rows, values, strict=True) if value >= min_similarity}
