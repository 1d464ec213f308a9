"""Binary facts lie beside the table, and only new pictures read them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from numpy.typing import NDArray

import curate as library
from conftest import picture, write
from curate.cache import Cache, Ints, Parts
from curate.checks import near_duplicate
from curate.content_keys import Keys, content_keys
from curate.files import read_parquet, write_parquet


def cache_of(photos: Path) -> Cache:
    return Cache(photos.with_name("photos.curate") / "cache")


def thumbnails_of(photos: Path, table: pd.DataFrame) -> list[object]:
    return cache_of(photos).binary_of("thumbnail", table["sha256"]).tolist()


def test_the_table_holds_no_thumbnails_and_the_cache_gives_them(photos: Path) -> None:
    table = library.clean(photos, workers=1).table

    assert "thumbnail" not in table
    assert "thumbnail" not in cache_of(photos).known_facts()
    assert [len(one) for one in thumbnails_of(photos, table) if isinstance(one, bytes)] == [1024] * len(table)


@pytest.mark.parametrize("changes", [{}, {"checks.near_duplicate.min_similarity": 0.9}], ids=["same", "threshold"])
def test_without_new_pictures_no_thumbnail_is_read(
    photos: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, float]
) -> None:
    """Neither an unchanged run nor a new threshold: the relations are kept."""
    library.clean(photos, workers=1)
    asked: list[int] = []
    read = Cache.read_binary

    def noted(cache: Cache, name: str, keys: Keys) -> tuple[Ints, NDArray[np.uint8]]:
        asked.append(len(keys))
        return read(cache, name, keys)

    monkeypatch.setattr(Cache, "read_binary", noted)

    library.clean(photos, workers=1, changes=changes)

    assert sum(asked) == 0


def test_a_cache_of_before_is_used_and_no_picture_opened_again(photos: Path) -> None:
    """Thumbnails used to be a column of the facts."""
    before = library.clean(photos, workers=1)
    cache = cache_of(photos)
    for path in cache.facts.paths():
        facts = read_parquet(path)
        rows = cache.binary_of("thumbnail", pd.Series(facts["sha256"].to_pylist())).tolist()
        write_parquet(path, facts.append_column("thumbnail", pa.array(rows, pa.binary())))
    for path in [*cache.pixels.paths(), cache.folder / f"{near_duplicate.CHECK.relating}.parquet"]:
        path.unlink()
    write(photos / "cats" / "new.jpg", picture(77))

    after = library.clean(photos, workers=1)

    assert after.effort.opened == 1
    assert len(thumbnails_of(photos, after.table)) == len(before.table) + 1
    assert all(isinstance(one, bytes) for one in thumbnails_of(photos, after.table))


def test_pictures_whose_thumbnails_were_damaged_are_measured_again(photos: Path) -> None:
    before = library.clean(photos, workers=1)
    for path in cache_of(photos).pixels.paths():
        path.write_bytes(b"not a table")
    write(photos / "cats" / "new.jpg", picture(77))

    after = library.clean(photos, workers=1)

    assert after.effort.opened == len(before.table) + 1
    assert all(isinstance(one, bytes) for one in thumbnails_of(photos, after.table))


KILLED_BEFORE_ITS_FACTS_ARE_WRITTEN = """
import os, signal, sys
import curate

def die(event, arguments):
    if event == "os.rename" and "/facts-" in str(arguments[1]):
        os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(die)
curate.clean(sys.argv[1], workers=1)
"""


def test_a_kill_between_pixels_and_facts_leaves_rows_twice_and_no_harm(
    photos: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    """Thumbnails come first, so that what has facts has thumbnails; those without facts are measured again."""
    undisturbed = library.clean(photos, store=tmp_path / "undisturbed", workers=1)

    killed = subprocess.run([sys.executable, "-c", KILLED_BEFORE_ITS_FACTS_ARE_WRITTEN, photos], env=environment)
    parts = len(cache_of(photos).pixels.paths()), len(cache_of(photos).facts.paths())
    after = library.clean(photos, workers=1)

    assert killed.returncode == -9
    assert parts == (1, 0)
    assert after.effort.opened == len(undisturbed.table)
    assert after.table.equals(undisturbed.table)
    assert all(isinstance(one, bytes) for one in thumbnails_of(photos, after.table))


def test_reads_those_that_are_there_from_many_parts(tmp_path: Path) -> None:
    """In the order in which they were asked for; what two parts hold, a killed merge, counts once."""
    keys = np.array([5, 3, 9], np.uint64)
    for part in ([5, 7], [7, 3], [5]):
        values = pa.array([bytes([one] * 4) for one in part], pa.binary())
        Parts(tmp_path, "pixels").append(pa.table({"key": pa.array(part, pa.uint64()), "colour": values}))

    have, values = Cache(tmp_path).read_binary("colour", keys)

    assert have.tolist() == [0, 1]
    assert values.tolist() == [[5] * 4, [3] * 4]
    assert Cache(tmp_path).read_binary("unknown", keys)[0].tolist() == []


def test_contents_are_named_by_the_beginning_of_their_digest() -> None:
    assert content_keys(["00000000000000ff" + "a" * 48, "0000000000000100" + "b" * 48]).tolist() == [255, 256]
