"""Off-topic pictures stand out from the rest of their own set."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from curate.lookalikes import nearest
from curate.outliers import MIN_TYPICALITY, typicality

Floats = NDArray[np.float32]


def folder_of(count: int, classes: int = 4, dimensions: int = 24) -> Floats:
    """Vectors of pictures of a few classes."""
    rng = np.random.default_rng(count)
    centres = rng.normal(size=(classes, dimensions)) + 1
    return (centres[np.arange(count) % classes] + 0.3 * rng.normal(size=(count, dimensions))).astype(np.float32)


def strangers(count: int, dimensions: int = 24) -> Floats:
    rng = np.random.default_rng(99)
    return (rng.normal(size=(count, dimensions)) * 2 - 1).astype(np.float32)


def flagged(vectors: Floats, groups: NDArray[np.int64] | None = None) -> list[int]:
    return np.flatnonzero(typicality(nearest(vectors, 5, groups=groups)) < MIN_TYPICALITY).tolist()


def test_pictures_of_something_else_are_found() -> None:
    assert {200, 201, 202} <= set(flagged(np.vstack([folder_of(200), strangers(3)])))


def test_few_pictures_of_a_clean_folder_are_flagged() -> None:
    assert len(flagged(folder_of(1000))) <= 20


def test_at_least_half_of_the_pictures_are_fully_typical() -> None:
    scores = typicality(nearest(folder_of(200), 5))

    assert (scores == 1).mean() >= 0.5
    assert scores.min() >= 0


def test_a_copy_does_not_vouch_for_an_off_topic_picture() -> None:
    vectors = np.vstack([folder_of(200), np.repeat(strangers(1), 7, axis=0)])
    groups = np.minimum(np.arange(207), 200)

    assert set(range(200, 207)) <= set(flagged(vectors, groups))


def test_fewer_than_thirty_pictures_are_not_judged() -> None:
    for count in (0, 1, 5, 20, 29):
        assert np.isnan(typicality(nearest(folder_of(count), 5))).all()


def test_small_folders_are_judged_with_few_alarms() -> None:
    assert len(flagged(folder_of(50))) <= 2
    assert 50 in flagged(np.vstack([folder_of(50), strangers(1)]))


def test_a_folder_of_equal_pictures_has_no_outlier() -> None:
    assert flagged(np.ones((40, 8), np.float32)) == []


def test_the_smallest_change_among_frames_of_a_film_is_no_outlier() -> None:
    frames = np.ones((60, 8), np.float32)
    frames[30, 0] += 0.05  # a cosine distance of 0.0003

    assert flagged(frames) == []


def test_a_picture_without_any_other_is_not_judged() -> None:
    groups = np.zeros(40, np.int64)

    assert np.isnan(typicality(nearest(folder_of(40), 5, groups=groups))).all()
