"""The nearest vectors: exact, deterministic, never a picture's own copies."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from curate import lookalikes
from curate.lookalikes import nearest, nearest_among

Floats = NDArray[np.float32]

# Angles in degrees: cosines follow by hand.
FAN = np.array([[np.cos(angle), np.sin(angle)] for angle in np.radians([0, 10, 30, 60, 90])], np.float32)


def clustered(count: int, dimensions: int = 16, clusters: int = 40) -> Floats:
    rng = np.random.default_rng(7)
    centres = rng.normal(size=(clusters, dimensions))
    noise = rng.normal(size=(count, dimensions)) * 0.2
    return (centres[rng.integers(0, clusters, count)] + noise).astype(np.float32)


def test_the_nearest_come_first_and_never_the_picture_itself() -> None:
    assert nearest(FAN, 2).indices.tolist() == [[1, 2], [0, 2], [1, 0], [2, 4], [3, 2]]


def test_similarity_is_the_cosine() -> None:
    found = nearest(FAN, 2)

    assert found.similarity[0].tolist() == pytest.approx([0.98481, 0.86603], abs=1e-5)  # cos 10°, cos 30°


def test_length_does_not_matter() -> None:
    lengths = np.array([1, 100, 0.01, 5, 1e-6], np.float32)[:, None]

    assert nearest(FAN * lengths, 2).indices.tolist() == nearest(FAN, 2).indices.tolist()


def test_members_of_the_own_group_are_left_out() -> None:
    groups = np.array([7, 7, 1, 2, 2])

    assert nearest(FAN, 2, groups=groups).indices.tolist() == [[2, 3], [2, 3], [1, 0], [2, 1], [2, 1]]


def test_missing_neighbours_are_minus_one() -> None:
    found = nearest(FAN[:3], 4, groups=np.array([0, 0, 1]))

    assert found.indices.tolist() == [[2, -1, -1, -1], [2, -1, -1, -1], [1, 0, -1, -1]]
    assert np.isnan(found.similarity).sum() == 8


@pytest.mark.parametrize("count", [0, 1])
def test_none_or_one_picture_has_no_neighbours(count: int) -> None:
    assert nearest(FAN[:count], 3).indices.tolist() == [[-1, -1, -1]] * count


def test_equally_near_ones_come_by_index() -> None:
    """Also where there are hundreds of them, as of blank pictures, at every place in a block."""
    vectors = np.tile(np.array([[0.3, 0.4, 0.5]], np.float32), (700, 1))

    found = nearest(vectors, 3)

    assert found.indices[0].tolist() == [1, 2, 3]
    assert found.indices[500].tolist() == [0, 1, 2]
    assert set(found.similarity.ravel().tolist()) == {1.0}


def test_the_size_of_blocks_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = clustered(300)
    whole = nearest(vectors, 5)
    monkeypatch.setattr(lookalikes, "BLOCK_BYTES", 300 * 4 * 7)  # seven rows at a time

    blocks = nearest(vectors, 5)

    assert (blocks.indices == whole.indices).all()
    assert (blocks.similarity == whole.similarity).all()


def test_all_pictures_are_counted_as_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookalikes, "BLOCK_BYTES", 5 * 4 * 2)
    done: list[int] = []

    nearest(FAN, 2, advance=lambda count, **_: done.append(count))

    assert done == [2, 2, 1]


def test_a_vector_of_zeros_is_like_nothing() -> None:
    vectors = np.vstack([FAN, np.zeros((1, 2), np.float32)])

    found = nearest(vectors, 1)

    assert found.similarity[5].tolist() == [0.0]
    assert 5 not in found.indices


def test_a_vector_that_is_not_finite_is_refused() -> None:
    vectors = FAN.copy()
    vectors[3, 0] = np.nan

    with pytest.raises(ValueError, match="row 3 is not finite"):
        nearest(vectors, 1)


def test_others_can_be_asked_for_among_a_set() -> None:
    found = nearest_among(FAN[:2], FAN[2:], 2)

    assert found.indices.tolist() == [[0, 1], [0, 1]]
    assert found.similarity[1].tolist() == pytest.approx([0.93969, 0.64279], abs=1e-5)  # cos 20°, cos 50°


def test_a_picture_may_find_itself_among_a_set() -> None:
    assert nearest_among(FAN, FAN, 1).indices.tolist() == [[0], [1], [2], [3], [4]]


def test_an_index_finds_nearly_all_and_says_how_many() -> None:
    pytest.importorskip("faiss")
    vectors = clustered(4000)
    exact = nearest(vectors, 5)

    found = nearest(vectors, 5, exact_pairs=0)

    shared = [len({*one} & {*other}) for one, other in zip(found.indices, exact.indices, strict=True)]
    assert np.sum(shared) >= 0.99 * exact.indices.size
    assert 0.99 <= found.recall <= 1
    assert "as measured on 512 pictures" in found.note


@pytest.mark.parametrize("along", [40, 256])
def test_an_index_looks_at_as_many_numbers_as_it_takes(along: int) -> None:
    """Vectors that differ along a few of 256 directions, and such that differ along all."""
    pytest.importorskip("faiss")
    directions = np.linalg.qr(np.random.default_rng(1).normal(size=(256, 256)))[0][:, :along]
    vectors = (clustered(3000, along) @ directions.T).astype(np.float32)
    exact = nearest(vectors, 5)

    found = nearest(vectors, 5, exact_pairs=0)

    assert (found.similarity >= exact.similarity[:, -1:] - 1e-5).mean() > 0.985
    assert "as measured on 512 pictures" in found.note


def test_an_index_leaves_out_a_whole_group_of_copies() -> None:
    """More copies than an index is asked for must not hide the other neighbours."""
    pytest.importorskip("faiss")
    vectors = clustered(3000)
    vectors[:60] = vectors[0]
    groups = np.arange(3000)
    groups[:60] = 0

    found = nearest(vectors, 5, groups=groups, exact_pairs=0)

    assert found.indices[:60].min() >= 60
    assert (found.indices[:60] == nearest(vectors, 5, groups=groups).indices[:60]).all()


def test_without_an_index_all_pairs_are_compared_and_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookalikes, "find_spec", lambda name: None)

    found = nearest(FAN, 2, exact_pairs=0)

    assert found.indices.tolist() == nearest(FAN, 2).indices.tolist()
    assert "pip install 'curate[index]'" in found.note
