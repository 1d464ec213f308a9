"""Neighbours kept from run to run are those that comparing all with all finds."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from PIL import Image

from curate import all_cores, matching, neighbours, proposing
from curate.neighbours import ALONE, BLANK, EQUAL, NEAR, covers, relations_between, with_missing
from curate.spectra import SIDE

Thumbnails = NDArray[np.uint8]
Keys = NDArray[np.uint64]
EVERY_WAY = pytest.mark.parametrize("exact", [10_000, 0], ids=["all with all", "in cells"])


def pictures(count: int) -> Thumbnails:
    """Smooth random thumbnails in families of three that resemble each other."""
    rng = np.random.default_rng(5)
    coarse = rng.integers(0, 256, (count // 3 + 1, 6, 6)).astype(np.uint8)
    smooth = [Image.fromarray(one).resize((SIDE, SIDE), Image.Resampling.BICUBIC) for one in coarse]
    noisy = np.repeat([np.asarray(one, np.float32) for one in smooth], 3, axis=0)[:count]
    noisy += rng.normal(0, 4, (count, SIDE, SIDE)).astype(np.float32)
    return noisy.clip(0, 255).astype(np.uint8)


def related(
    thumbnails: Thumbnails, chosen: list[int], before: pd.DataFrame | None = None, exact: int = 10_000
) -> pd.DataFrame:
    """The relations of the chosen pictures, whose keys are their numbers."""
    rows = np.array(chosen, np.int64)
    return relations_between(rows.astype(np.uint64), thumbnails[rows], before, exact=exact)


def same(one: pd.DataFrame, other: pd.DataFrame) -> bool:
    """Equal but for the last bits of floating point, which depend on the shape of a matrix product."""
    certain = ["one", "other", "kind"]
    close = np.allclose(one["nearness"], other["nearness"], atol=1e-5)
    return bool(one[certain].equals(other[certain]) and close)


@EVERY_WAY
def test_family_members_are_neighbours(exact: int) -> None:
    """Three pictures of one family know each other, with a similarity."""
    found = related(pictures(30), list(range(30)), exact=exact)

    alike = found[found["similarity"] > 0.5]
    pairs = set(zip(alike["one"].tolist(), alike["other"].tolist(), strict=True))
    assert {(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)} <= pairs


@EVERY_WAY
@pytest.mark.parametrize("known", [0, 1, 10, 39, 40])
def test_new_pictures_are_added_as_if_all_were_compared(known: int, exact: int) -> None:
    thumbnails, everyone = pictures(40), list(range(40))
    first = related(thumbnails, everyone[:known], exact=exact)

    step_by_step = related(thumbnails, everyone, first, exact)

    assert same(step_by_step, related(thumbnails, everyone, exact=exact))


@EVERY_WAY
def test_neighbours_that_went_leave_no_trace(exact: int) -> None:
    """A picture whose neighbour is gone asks all others again."""
    thumbnails, some = pictures(40), list(range(0, 40, 2))

    fewer = related(thumbnails, some, related(thumbnails, list(range(40)), exact=exact), exact)

    assert same(fewer, related(thumbnails, some, exact=exact))


def test_pictures_that_come_in_between_and_go_leave_no_trace() -> None:
    """In cells everything is whole numbers, so what grew and shrank is equal to the last bit."""
    thumbnails, rng = pictures(200), np.random.default_rng(2)
    relations = None

    for _ in range(5):
        chosen = sorted(rng.choice(200, 150, replace=False).tolist())
        relations = related(thumbnails, chosen, relations, exact=0)

    assert relations is not None
    assert relations.equals(related(thumbnails, chosen, exact=0))


def test_cores_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many pictures ask in blocks, which processes share; the answer is equal to the last bit."""
    thumbnails, everyone, found = pictures(900), list(range(900)), []

    for cores in (1, 2, 5):
        monkeypatch.setattr(all_cores, "available_cores", lambda count=cores: count)
        found.append(related(thumbnails, everyone, exact=0))

    assert (found[0]["similarity"] > 0.8).sum() > 450
    assert found[1].equals(found[0])
    assert found[2].equals(found[0])


@pytest.mark.parametrize("cores", [1, 2, 64, 1000])
@pytest.mark.parametrize("count", [0, 1, 20_000, 10**6, 10**8])
def test_blocks_are_no_larger_than_a_hit_can_name_and_enough_for_all_cores(count: int, cores: int) -> None:
    size = proposing._block_size(count, cores)

    assert 1 <= size <= 2**15
    assert size * cores <= max(proposing.AT_ONCE, proposing.FEWEST_AT_ONCE * cores)
    assert size == 1 or -(-count // size) >= min(cores * proposing.BLOCKS_PER_CORE, count) // 2


def test_of_a_heap_of_copies_the_nearest_few_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a cell is crowded not all hits are listed; listing all gives the same."""
    noise = np.random.default_rng(4).normal(0, 6, (120, SIDE, SIDE))
    heap = (pictures(1)[0] + noise).clip(0, 255).astype(np.uint8)

    found = related(heap, list(range(120)), exact=0)

    monkeypatch.setattr(proposing, "FEW_HITS", 1000)
    assert found.equals(related(heap, list(range(120)), exact=0))
    assert (found["kind"] == NEAR).sum() == 5 * 120


def test_among_many_the_unlike_are_nothing_and_the_others_as_alike_as_ever() -> None:
    """What differs at a glance is not aligned; what is aligned has the same similarity to the last bit."""
    thumbnails = pictures(60)
    pairs = np.argwhere(np.triu(np.ones((60, 60)), 1))

    every, in_crowd = (matching.similarity(thumbnails, pairs, in_crowd=crowd) for crowd in (False, True))

    family = pairs[:, 0] // 3 == pairs[:, 1] // 3
    assert np.array_equal(in_crowd[family], every[family])
    assert np.array_equal(in_crowd[~family], np.where(in_crowd > 0, every, 0)[~family])
    assert (in_crowd == 0).mean() > 0.9


@pytest.mark.parametrize("before", [20, 40])
def test_going_over_to_cells_gives_what_cells_give(before: int) -> None:
    """A folder that outgrows comparing all with all, or shrinks again, has the relations of one that was always so."""
    thumbnails, after = pictures(40), list(range(60 - before))

    changed = related(thumbnails, after, related(thumbnails, list(range(before)), exact=30), exact=30)

    assert same(changed, related(thumbnails, after, exact=30))


def test_an_unchanged_set_is_not_compared_again() -> None:
    thumbnails = pictures(40)
    keys = np.arange(40, dtype=np.uint64)
    first = relations_between(keys, thumbnails, None)
    compared: list[int] = []

    second = relations_between(keys, thumbnails, first, lambda count, **_: compared.append(count))

    assert compared == []
    assert second.equals(first)


def test_every_picture_has_a_row() -> None:
    """Of two equal ones the first speaks; a blank one is not compared; one without a thumbnail is named."""
    thumbnails = pictures(6)
    thumbnails[3:] = [thumbnails[0], np.zeros((SIDE, SIDE)), 255 - pictures(12)[11]]

    found = with_missing(related(thumbnails, list(range(6))), np.array([9], np.uint64))

    kinds = found.drop_duplicates("one")["kind"].tolist()
    assert kinds == [NEAR, NEAR, NEAR, EQUAL, BLANK, ALONE, neighbours.MISSING]
    assert found.loc[found["kind"] == EQUAL, "other"].tolist() == [0]


def test_relations_tell_whose_they_are() -> None:
    """So that an unchanged folder reads no thumbnail, but those that were missing."""
    found = related(pictures(6), list(range(6)))
    keys = np.arange(6, dtype=np.uint64)
    more = with_missing(found, np.array([6], np.uint64))

    assert covers(found, keys)
    assert not covers(found, keys[1:])
    assert not covers(found, np.arange(7, dtype=np.uint64))
    assert covers(more, np.arange(7, dtype=np.uint64))
    assert neighbours.missing_in(more).tolist() == [6]
