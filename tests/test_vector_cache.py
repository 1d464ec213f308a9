"""Vectors on disk: in few files, in little memory, and never other ones than were kept."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from curate.vector_cache import MOST_SMALL, VectorCache


def filled(folder: Path, parts: int) -> VectorCache:
    """One vector per part: content "…007" has [7, 7, 7, 7]."""
    cache = VectorCache(folder, 4)
    for number in range(parts):
        cache.append([f"{number:064}"], np.full((1, 4), number, np.float32))
    return cache


def test_vectors_come_in_the_order_asked_for(tmp_path: Path) -> None:
    cache = filled(tmp_path, 5)

    vectors = cache.read([f"{number:064}" for number in (4, 0, 3)])

    assert vectors is not None
    assert vectors.tolist() == [[4] * 4, [0] * 4, [3] * 4]


def test_a_vector_that_is_not_there_is_not_made_up(tmp_path: Path) -> None:
    assert filled(tmp_path, 1).read([f"{0:064}", f"{1:064}"]) is None


def test_many_small_parts_become_one_and_keep_every_vector(tmp_path: Path) -> None:
    cache = filled(tmp_path, MOST_SMALL + 1)

    cache.compact()

    assert len(cache.paths()) == 1
    assert len(cache.known()) == MOST_SMALL + 1
    vectors = cache.read([f"{64:064}", f"{7:064}"])
    assert vectors is not None
    assert vectors[:, 0].tolist() == [64, 7]


def test_few_small_parts_are_left_alone(tmp_path: Path) -> None:
    cache = filled(tmp_path, MOST_SMALL)

    cache.compact()

    assert len(cache.paths()) == MOST_SMALL


def test_a_vector_kept_twice_is_one(tmp_path: Path) -> None:
    """A kill while parts are merged leaves some in two of them."""
    filled(tmp_path, 1)
    cache = filled(tmp_path, 1)

    vectors = cache.read(sorted(cache.known()))

    assert vectors is not None
    assert vectors.tolist() == [[0] * 4]


@pytest.mark.parametrize("damage", ["cut", "flipped", "other file", "empty"])
def test_a_damaged_part_is_removed_and_the_others_are_not(tmp_path: Path, damage: str) -> None:
    cache = VectorCache(tmp_path, 1280)
    cache.append(["good"], np.ones((1, 1280), np.float32))
    good = set(cache.paths())
    cache.append(["bad"], np.random.default_rng(0).normal(size=(1, 1280)).astype(np.float32))
    (part,) = set(cache.paths()) - good
    data = part.read_bytes()
    middle = len(data) // 2
    flipped = data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]  # one bit of the vector
    part.write_bytes({"cut": data[:-9], "flipped": flipped, "other file": b"PAR1 or so", "empty": b""}[damage])

    assert cache.read(["good", "bad"]) is None

    assert set(cache.paths()) == good
    assert cache.read(["good"]) is not None


def test_what_a_killed_run_left_half_written_is_removed(tmp_path: Path) -> None:
    cache = filled(tmp_path, 1)
    (tmp_path / ".vectors-1.parquet.0123abcd.tmp").write_bytes(b"half of")

    cache.remove_leftovers()

    assert list(tmp_path.iterdir()) == cache.paths()


MEMORY = """
import resource, sys
from pathlib import Path
from curate.vector_cache import VectorCache
cache = VectorCache(Path(sys.argv[1]), 1280)
known = sorted(cache.known())
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
vectors = cache.read(known)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 / vectors.nbytes)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in kB here")
def test_reading_takes_hardly_more_memory_than_the_vectors(tmp_path: Path) -> None:
    """205 MB of vectors here; 512 MB of them, 100,000, take 2 s of CPU and 1.2 times their memory."""
    cache, rng = VectorCache(tmp_path, 1280), np.random.default_rng(0)
    some = rng.integers(-9, 9, (2000, 1280)).astype(np.float32)
    for number in range(20):
        cache.append([f"{number:032}{row:032}" for row in range(2000)], some)

    done = subprocess.run([sys.executable, "-c", MEMORY, str(tmp_path)], capture_output=True, text=True, check=True)

    assert float(done.stdout) < 1.4
