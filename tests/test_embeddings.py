"""Embeddings: computed once per content, kept as they come, the same whoever computes them."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from onnx import helper
from PIL import Image

import networks
from conftest import PICTURES, picture, write
from curate.embeddings import Embeddings, embed, embed_files
from curate.errors import CurateError
from curate.executors import Executor, Processes, Serial
from curate.images import Request
from curate.imaging import open_image
from curate.models import open_backbone
from networks import SCALED
from pictures import encoded

SERIAL = Serial()


def rows_of(folder: Path) -> pd.DataFrame:
    """The table of a folder, as far as `embed` looks at it."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return pd.DataFrame(
        {
            "path": [file.relative_to(folder).as_posix() for file in files],
            "sha256": [hashlib.sha256(file.read_bytes()).hexdigest() for file in files],
            "size_bytes": [file.stat().st_size for file in files],
        }
    )


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    """Twelve pictures, the first under a second name as well."""
    for number, data in enumerate(PICTURES):
        write(tmp_path / "pets" / f"{number:02}.jpg", data)
    write(tmp_path / "pets" / "copy of 00.jpg", PICTURES[0])
    return tmp_path / "pets"


@pytest.fixture
def model(tmp_path: Path) -> str:
    return str(networks.classifier(tmp_path / "m.onnx"))


def run(folder: Path, spec: str, executor: Executor = SERIAL, rows: pd.DataFrame | None = None) -> Embeddings:
    return embed(rows_of(folder) if rows is None else rows, folder, spec, folder.parent / "cache", executor)


def parts(folder: Path) -> list[Path]:
    return sorted((folder.parent / "cache" / "embeddings").rglob("*.parquet"))


def test_every_content_has_one_vector(pets: Path, model: str) -> None:
    """A copy is not computed again, and has the vector of its original."""
    found = run(pets, model)

    assert found.computed == 12
    assert found.vectors.shape == (12, 3)
    assert found.failures == {}
    original, copy = rows_of(pets).set_index("path")["sha256"][["00.jpg", "copy of 00.jpg"]]
    assert_allclose(found.of([copy]), found.of([original]))


def test_vectors_are_aligned_by_content(pets: Path, model: str) -> None:
    """Not by the order of rows."""
    rows = rows_of(pets)
    straight, reversed_ = run(pets, model, rows=rows), run(pets, model, rows=rows[::-1])

    assert straight.sha256 == reversed_.sha256 == sorted(set(rows["sha256"]))
    assert_allclose(straight.vectors, reversed_.vectors)


def test_a_second_run_computes_nothing(pets: Path, model: str) -> None:
    """What is known by content is not looked at again."""
    first = run(pets, model)
    for file in pets.iterdir():
        file.unlink()

    rows = rows_of_sha256(first.sha256)

    assert run(pets, model, rows=rows).computed == 0
    assert_allclose(run(pets, model, rows=rows).vectors, first.vectors)


def rows_of_sha256(sha256: Sequence[str]) -> pd.DataFrame:
    return pd.DataFrame({"path": [f"{one}.jpg" for one in sha256], "sha256": list(sha256), "size_bytes": 1})


@pytest.mark.parametrize("spec", ["builtin", "an ONNX file"])
def test_worker_processes_give_the_same_vectors(pets: Path, model: str, spec: str) -> None:
    """They work with the model that their parent has opened: its session survives the fork."""
    spec = model if spec != "builtin" else spec
    backbone = open_backbone(spec)
    backbone.embed(
        np.zeros((2, *backbone.prepare(open_image(PICTURES[0])).shape), np.uint8)
    )  # the parent has run one, too

    one = run(pets, spec)
    for part in parts(pets):
        part.unlink()
    two = run(pets, spec, Processes(2))

    assert two.computed == 12
    assert_allclose(one.vectors, two.vectors, atol=1e-4)


def test_another_model_has_a_cache_of_its_own(pets: Path, model: str) -> None:
    """The identity keys the cache."""
    run(pets, model)

    assert run(pets, f"{model}#logits").computed == 12
    assert run(pets, model).computed == 0


def test_a_model_file_that_was_replaced_is_opened_anew(pets: Path, tmp_path: Path) -> None:
    """Within one process, for example a notebook."""
    path = networks.means(tmp_path / "m.onnx")
    before = run(pets, str(path))
    networks.means(path, metadata={**SCALED, "input_scale": "1"})

    after = run(pets, str(path))

    assert after.identity != before.identity
    assert_allclose(after.vectors, before.vectors * 255, rtol=1e-4)


def test_a_worker_refuses_a_model_that_changed_meanwhile(pets: Path, model: str) -> None:
    """Its vectors would be kept under the name of the other."""
    request = Request("00.jpg", str(pets / "00.jpg"), 1, ())

    with pytest.raises(CurateError, match="was changed while it ran"):
        embed_files(model, "m-0000000000000000", [request])


def test_a_picture_that_cannot_be_read_is_a_failure_with_its_reason(pets: Path, model: str) -> None:
    """The others have their vectors; both names of a missing content are told."""
    rows = rows_of(pets)
    (pets / "03.jpg").write_bytes(b"")
    (pets / "04.jpg").write_bytes(PICTURES[4][: len(PICTURES[4]) // 2])
    (pets / "05.jpg").unlink()
    (pets / "06.jpg").write_bytes(picture(99))
    (pets / "00.jpg").unlink()
    (pets / "copy of 00.jpg").unlink()

    found = run(pets, model, rows=rows)

    assert found.failures == {
        "00.jpg": "missing",
        "copy of 00.jpg": "missing",
        "03.jpg": "empty",
        "04.jpg": "truncated",
        "05.jpg": "missing",
        "06.jpg": "it has other bytes now than when it was measured",
    }
    assert len(found.sha256) == found.computed == 7
    assert not found.has([rows.set_index("path")["sha256"]["03.jpg"]])[0]


def test_a_failure_is_tried_again_by_the_next_run(pets: Path, model: str) -> None:
    """What was missing may be back."""
    rows = rows_of(pets)
    (pets / "05.jpg").rename(pets / "away")
    assert set(run(pets, model, rows=rows).failures) == {"05.jpg"}
    (pets / "away").rename(pets / "05.jpg")

    found = run(pets, model, rows=rows)

    assert (found.computed, found.failures) == (1, {})


def test_a_picture_on_which_the_model_fails_does_not_cost_the_others(pets: Path, tmp_path: Path) -> None:
    """A table of 150 rows, asked for the row of the mean brightness: the bright picture has no row."""
    write(pets / "bright.png", _plain(250))
    nodes = [
        helper.make_node("ReduceMean", ["picture"], ["mean"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Cast", ["mean"], ["row"], to=7),
        helper.make_node("Gather", ["table", "row"], ["embedding"], axis=0),
    ]
    table = {"table": np.ones((200, 4), np.float32)}
    metadata = {"input_scale": "1"}
    spec = networks.save(tmp_path / "g.onnx", nodes, {"embedding": ("N", 4)}, table, metadata=metadata)

    found = run(pets, str(spec))

    assert list(found.failures) == ["bright.png"]
    assert "out of" in found.failures["bright.png"]
    assert found.computed == 12


def test_numbers_that_are_not_finite_are_a_failure(pets: Path, tmp_path: Path) -> None:
    """The logarithm of black is minus infinity; a vector like that would spoil all that is computed from it."""
    write(pets / "black.png", _plain(0))
    nodes = [
        helper.make_node("ReduceMean", ["picture"], ["mean"], axes=[2, 3], keepdims=0),
        helper.make_node("Log", ["mean"], ["embedding"]),
    ]
    spec = networks.save(tmp_path / "l.onnx", nodes, {"embedding": ("N", 3)}, metadata=SCALED)

    found = run(pets, str(spec))

    assert found.failures == {"black.png": "the model gave numbers that are not finite"}


def _plain(grey: int) -> bytes:
    return encoded(Image.new("RGB", (16, 16), (grey, grey, grey)), "PNG")


def test_a_damaged_part_of_the_cache_is_rebuilt(pets: Path, model: str) -> None:
    """It is disposable: whatever happens to it costs time, nothing else."""
    first = run(pets, model)
    (part,) = parts(pets)
    data = bytearray(part.read_bytes())
    data[len(data) // 3] ^= 0xFF
    part.write_bytes(data)

    again = run(pets, model)

    assert again.computed == 12
    assert_allclose(again.vectors, first.vectors)


def test_a_killed_run_goes_on_where_it_stopped(pets: Path, model: str, environment: dict[str, str]) -> None:
    """kill -9, no goodbye: what was finished before is not computed again."""
    for number in range(300):
        write(pets / f"more {number}.jpg", picture(1000 + number))
    rows = rows_of(pets)
    rows.to_json(pets.parent / "rows.json")
    child = subprocess.Popen(
        [sys.executable, "-c", SLOW, str(pets), model], env=environment, stdout=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 30
    while not parts(pets) and time.monotonic() < deadline:
        time.sleep(0.02)

    os.kill(child.pid, signal.SIGKILL)
    child.communicate()
    found = run(pets, model, Processes(2), rows)

    assert 0 < found.computed < 312
    assert len(found.sha256) == 312
    assert found.failures == {}


# Embeds a folder, and takes a rest after each chunk.
SLOW = """
import sys, time
from pathlib import Path
import pandas as pd
from curate.embeddings import embed
from curate.executors import Serial

class Slow(Serial):
    def map(self, function, chunks):
        for answer in super().map(function, chunks):
            yield answer
            time.sleep(0.2)

folder, spec = Path(sys.argv[1]), sys.argv[2]
embed(pd.read_json(folder.parent / "rows.json", dtype=False), folder, spec, folder.parent / "cache", Slow())
"""


@dataclass(frozen=True)
class Deadly(Processes):
    """A worker that is given 07.jpg dies."""

    def map(self, function: Any, chunks: Any) -> Any:
        yield from super().map(partial(die_of_one, function), chunks)


def die_of_one(function: Any, chunk: Sequence[Request]) -> Any:
    if any(request.path == "07.jpg" for request in chunk):
        os.kill(os.getpid(), signal.SIGKILL)
    return function(chunk)


def test_a_killed_worker_costs_only_its_picture(pets: Path, model: str) -> None:
    """A library may crash on one picture, or the system may kill it for its memory."""
    found = run(pets, model, Deadly(2))

    assert found.failures == {"07.jpg": "the process that read it, or ran the model on it, was killed"}
    assert found.computed == 11


def test_when_one_of_two_copies_is_gone_the_other_is_looked_at(pets: Path, model: str) -> None:
    """The same bytes are read once, from the first path that still has them."""
    copied = (pets / "07.jpg").read_bytes()
    write(pets / "copy of 07.jpg", copied)
    rows = rows_of(pets)
    (pets / "07.jpg").unlink()

    found = run(pets, model, rows=rows)

    assert (found.failures, len(found.sha256)) == ({}, 12)


def test_a_file_that_changed_is_a_failure_and_nothing_is_kept_under_its_old_digest(pets: Path, model: str) -> None:
    """Its new content has a vector of its own, under its own digest."""
    rows = rows_of(pets)
    write(pets / "07.jpg", picture(4711))

    found = run(pets, model, rows=rows)

    assert found.failures == {"07.jpg": "it has other bytes now than when it was measured"}
    assert found.has(list(rows["sha256"])).tolist() == [path != "07.jpg" for path in rows["path"]]
    assert run(pets, model).computed == 0


def test_vectors_do_not_depend_on_what_else_is_in_the_batch(pets: Path, model: str, tmp_path: Path) -> None:
    """Batches are whatever chunks of files make of them."""
    rows = rows_of(pets)
    together = run(pets, model, rows=rows).of(list(rows["sha256"]))

    alone = [embed(rows[row : row + 1], pets, model, tmp_path / f"{row}", Serial()).vectors[0] for row in range(12)]

    assert_allclose(together[:12], alone, atol=1e-4)
