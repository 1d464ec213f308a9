"""Which copies belong together, and which one of them to keep.

Groups are stars, never chains: every member was compared with the picture that is kept. If a looks like b and b
like c, but a not like c, then c starts a group of its own. Pictures come best first, so the best is kept.

Rejected: connected components. They put unlike images into one group (fastdup issue 302) and grow without bound.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from curate import matching, neighbours
from curate.content_keys import Keys
from curate.spectra import Bytes, Floats, Ints

if TYPE_CHECKING:
    import pandas as pd

Compare = Callable[[Ints], Floats]  # similarity of pairs (P, 2) of places


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


def group_copies(thumbnails: Bytes, min_similarity: float) -> Groups:
    """Groups of pictures that show the same photograph, each around its first (best) member.

    thumbnails: (N, SIDE, SIDE), best picture first. Equal thumbnails are compared once, however many there are;
    blank ones are never grouped.
    """
    keys = np.arange(len(thumbnails), dtype=np.uint64)
    relations = neighbours.relations_between(keys, thumbnails, None)
    return groups_of(keys, relations, min_similarity, lambda pairs: matching.similarity(thumbnails, pairs))


def groups_of(keys: Keys, relations: pd.DataFrame, min_similarity: float, compare: Compare) -> Groups:
    """As `group_copies`, of pictures whose relations are known.

    keys: (N,) distinct, best picture first. relations: see `curate.neighbours`. compare: the similarity of pairs of
    places in `keys`, asked for where the relations don't tell.
    """
    kept, similarity = np.arange(len(keys)), np.ones(len(keys), np.float32)
    rows, speakers = _speakers(keys, relations)
    _, first, member_of = np.unique(speakers, return_index=True, return_inverse=True)
    order = np.argsort(first)  # distinct thumbnails, best first
    first, member_of = rows[first[order]], np.argsort(order)[member_of]
    place = np.full(len(keys), -1)
    place[rows] = member_of  # each picture's distinct thumbnail
    stars = Groups(np.arange(len(first)), np.ones(len(first), np.float32))
    pairs, values = _links(keys, relations, min_similarity)
    _stars(place[pairs], values, stars, min_similarity, lambda asked: compare(first[asked]))
    kept[rows] = first[stars.kept[member_of]]
    similarity[rows] = stars.similarity[member_of]
    return Groups(kept, similarity)


def _speakers(keys: Keys, relations: pd.DataFrame) -> tuple[Ints, Keys]:
    """Places of pictures that can be compared, and the key of the one that speaks for each."""
    kinds = relations["kind"].to_numpy()
    one = relations["one"].to_numpy()
    first = np.flatnonzero(np.diff(one, prepend=one[:1] + np.uint64(1)) != 0)  # one row for each picture
    first = first[kinds[first] <= neighbours.EQUAL]
    other = np.where(kinds[first] == neighbours.EQUAL, relations["other"].to_numpy()[first], one[first])
    place = np.minimum(np.searchsorted(one[first], keys), max(len(first) - 1, 0))
    rows = np.flatnonzero(one[first][place] == keys) if len(first) else np.empty(0, np.int64)
    return rows, other[place[rows]] if len(first) else np.empty(0, np.uint64)


def _links(keys: Keys, relations: pd.DataFrame, min_similarity: float) -> tuple[Ints, Floats]:
    """Pairs of places of near pictures that are similar enough and both here (L, 2), and their similarity (L,)."""
    alike = relations[(relations["kind"] == neighbours.NEAR) & (relations["similarity"] >= min_similarity)]
    one, other = (neighbours.places_of(keys, alike[column].to_numpy()) for column in ("one", "other"))
    here = (one >= 0) & (other >= 0)
    return np.stack([one, other], axis=1)[here], alike["similarity"].to_numpy(np.float32)[here]


# ---- Stars: the best picture without a group gathers those without a group that were verified against it


def _stars(pairs: Ints, values: Floats, groups: Groups, min_similarity: float, compare: Compare) -> None:
    """Fill in `groups`. pairs: (L, 2) numbers of distinct thumbnails that are linked, best first; values: (L,).

    Most groups are whole as they are: the best one is linked to all others that can be reached.
    """
    if not len(pairs):
        return  # without scipy, whose import takes 0.2 s of CPU

    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    count = len(groups.kept)
    _, first = np.unique(np.sort(pairs, axis=1) @ [count, 1], return_index=True)
    pairs, values = np.sort(pairs[first], axis=1), values[first]
    linked = np.unique(pairs)
    graph = coo_array((np.ones(len(pairs), bool), np.searchsorted(linked, pairs).T), (len(linked), len(linked)))
    _, component = connected_components(graph, directed=False)
    _, best, size = np.unique(component, return_index=True, return_counts=True)  # `linked` ascends: the first is best
    of_pair = component[np.searchsorted(linked, pairs[:, 0])]
    from_best = pairs[:, 0] == linked[best[of_pair]]
    whole = np.bincount(of_pair, from_best, minlength=len(size)) == size - 1
    simple = from_best & whole[of_pair]
    groups.kept[pairs[simple, 1]] = pairs[simple, 0]
    groups.similarity[pairs[simple, 1]] = values[simple]
    others = ~whole[of_pair]
    _work_out(_links_of(pairs[others], values[others], of_pair[others]), groups, min_similarity, compare)


_Near = dict[int, dict[int, float]]  # row -> row -> similarity
_Star = Generator[list[tuple[int, int]], list[float], None]


def _links_of(pairs: Ints, values: Floats, component: Ints) -> list[_Near]:
    """The links of each component, both ways."""
    found: dict[int, _Near] = {}
    for (one, other), value, number in zip(pairs.tolist(), values.tolist(), component.tolist(), strict=True):
        near = found.setdefault(number, {})
        near.setdefault(one, {})[other] = value
        near.setdefault(other, {})[one] = value
    return list(found.values())


def _work_out(components: Sequence[_Near], groups: Groups, min_similarity: float, compare: Compare) -> None:
    """Gather the stars of all these components side by side, so that pairs are compared many at once."""
    waiting = [
        (star, asked)
        for star in (_gather(near, groups, min_similarity) for near in components)
        if (asked := next(star, None))
    ]
    while waiting:
        values = compare(np.array([pair for _, asked in waiting for pair in asked], np.int64)).tolist()
        still, start = [], 0
        for star, asked in waiting:
            answer = values[start : start + len(asked)]
            start += len(asked)
            with suppress(StopIteration):
                still.append((star, star.send(answer)))
        waiting = still


def _gather(links: _Near, groups: Groups, min_similarity: float) -> _Star:
    """Fill in the groups of one component; yields pairs (best, row) whose similarity it wants to be sent.

    Only the nearest few pictures of each were compared. Of a photograph with dozens of copies the others are linked to
    those, so the search goes on from each that was verified, and only from those: a film in which every frame
    resembles the next is not walked from end to end.
    """
    free = set(links)
    for best in sorted(links):
        if best not in free:
            continue
        free.remove(best)
        tried, newest = {best}, [best]
        while newest:
            beyond = {row for near in newest for row in links[near] if row in free} - tried
            verified = {row: value for row, value in links[best].items() if row in beyond}
            if unknown := sorted(beyond - verified.keys()):
                values = yield [(best, row) for row in unknown]
                told = zip(unknown, values, strict=True)
                verified |= {row: value for row, value in told if value >= min_similarity}
            tried |= beyond
            newest = list(verified)
            free -= verified.keys()
            for row, value in verified.items():
                groups.kept[row], groups.similarity[row] = best, value
