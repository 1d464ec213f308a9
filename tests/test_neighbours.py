"""Neighbours kept from run to run are those that comparing all with all finds."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from PIL import Image

from curate.matching import SIDE
from curate.neighbours import links, thumbnail_name, update

Thumbnails = NDArray[np.uint8]


def pictures(count: int) -> Thumbnails:
    """Smooth random thumbnails in families of three that resemble each other."""
    rng = np.random.default_rng(5)
    coarse = rng.integers(0, 256, (count // 3 + 1, 6, 6)).astype(np.uint8)
    smooth = [Image.fromarray(one).resize((SIDE, SIDE), Image.Resampling.BICUBIC) for one in coarse]
    noisy = np.repeat([np.asarray(one, np.float32) for one in smooth], 3, axis=0)[:count]
    noisy += rng.normal(0, 4, (count, SIDE, SIDE)).astype(np.float32)
    return noisy.clip(0, 255).astype(np.uint8)


def names_of(thumbnails: Thumbnails) -> list[str]:
    return [thumbnail_name(one.tobytes()) for one in thumbnails]


def updated(thumbnails: Thumbnails, before: pd.DataFrame | None = None) -> pd.DataFrame:
    return update(names_of(thumbnails), thumbnails, before)


def same(one: pd.DataFrame, other: pd.DataFrame) -> bool:
    """Equal but for the last bits of floating point, which depend on the shape of a matrix product."""
    exact = ["thumbnail", "other"]
    close = np.allclose(one["nearness"], other["nearness"], atol=1e-5)
    return bool(one[exact].equals(other[exact]) and close)


def test_family_members_are_neighbours() -> None:
    """Three pictures of one family know each other, with a similarity."""
    thumbnails = pictures(30)

    found = links(updated(thumbnails), names_of(thumbnails), 0.5)

    assert set(found[0]) >= {1, 2}
    assert set(found[1]) >= {0, 2}


@pytest.mark.parametrize("known", [0, 1, 10, 39, 40])
def test_new_pictures_are_added_as_if_all_were_compared(known: int) -> None:
    thumbnails = pictures(40)

    step_by_step = updated(thumbnails, updated(thumbnails[:known]))

    assert same(step_by_step, updated(thumbnails))


def test_neighbours_that_went_leave_no_trace() -> None:
    """A picture whose neighbour is gone asks all others again."""
    thumbnails = pictures(40)

    fewer = updated(thumbnails[::2], updated(thumbnails))

    assert same(fewer, updated(thumbnails[::2]))


def test_an_unchanged_set_is_not_compared_again() -> None:
    thumbnails = pictures(40)
    first = updated(thumbnails)
    compared: list[int] = []

    second = update(names_of(thumbnails), thumbnails, first, compared.append)

    assert compared == []
    assert second.equals(first)
