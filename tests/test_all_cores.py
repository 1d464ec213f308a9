"""One function on all cores: every answer, in order, whatever happens to the processes."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_info  # type: ignore[import-untyped]  # of scikit-learn, untyped

from curate import all_cores, matching
from curate.all_cores import FEW_PARTS, as_chosen, cores, on_all_cores
from curate.errors import CurateError
from curate.settings import ExecutorSettings
from curate.spectra import SIDE

MANY = 10 * FEW_PARTS


@pytest.fixture(autouse=True)
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(all_cores, "available_cores", lambda: 2)


@pytest.mark.parametrize("count", [0, 1, FEW_PARTS, FEW_PARTS + 1, MANY, 1000])
def test_every_part_has_its_answer_in_order(count: int) -> None:
    held = np.arange(count) ** 2  # a closure sees what this process holds

    answers = list(on_all_cores(lambda part: int(held[part]), range(count)))

    assert answers == [number**2 for number in range(count)]


def test_many_parts_are_worked_on_by_other_processes_and_few_are_not() -> None:
    few, many = (set(on_all_cores(lambda _: os.getpid(), range(count))) for count in (FEW_PARTS, MANY))

    assert few == {os.getpid()}
    assert os.getpid() not in many
    assert 1 <= len(many) <= 2


@pytest.mark.parametrize(
    ("chosen", "allowed"),
    [
        (ExecutorSettings(kind="serial"), 1),
        (ExecutorSettings(kind="processes", workers=1), 1),
        (ExecutorSettings(kind="processes", workers=3), 3),
        (ExecutorSettings(kind="processes"), 2),
        (ExecutorSettings(kind="ray", workers=64), 2),
    ],
)
def test_no_more_cores_are_used_than_were_asked_for(chosen: ExecutorSettings, allowed: int) -> None:
    with as_chosen(chosen):
        assert cores() == allowed
        used = set(on_all_cores(lambda _: os.getpid(), range(MANY)))
        assert (used == {os.getpid()}) == (allowed == 1)

    assert cores() == 2


def test_a_product_of_matrices_stays_in_its_process() -> None:
    """BLAS has one thread there, and afterwards as many as before."""
    before = blas_threads()

    assert set(on_all_cores(lambda _: max(blas_threads()), range(MANY))) == {1}
    assert blas_threads() == before


def blas_threads() -> list[int]:
    return [one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"]


def test_what_goes_wrong_in_a_part_is_raised() -> None:
    def fail(part: int) -> int:
        if part == MANY - 1:
            raise ValueError(f"no {part}")
        return part

    with pytest.raises(ValueError, match=f"no {MANY - 1}"):
        list(on_all_cores(fail, range(MANY)))


def test_a_process_that_is_killed_once_costs_nothing(tmp_path: Path) -> None:
    def die_once(part: int) -> int:
        marker = tmp_path / "died"
        if part == 17 and not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return part

    assert list(on_all_cores(die_once, range(MANY))) == list(range(MANY))
    assert (tmp_path / "died").exists()


def test_a_process_that_is_always_killed_ends_with_advice() -> None:
    def die(part: int) -> int:
        if part == 17:
            os.kill(os.getpid(), signal.SIGKILL)
        return part

    with pytest.raises(CurateError, match="memory ran out"):
        list(on_all_cores(die, range(MANY)))


def test_two_at_a_time_do_not_mix() -> None:
    """One may be asked for while another is still being read."""
    squares, cubes = on_all_cores(lambda part: part**2, range(MANY)), on_all_cores(lambda part: part**3, range(MANY))

    assert list(zip(squares, cubes, strict=True)) == [(n**2, n**3) for n in range(MANY)]
    assert not all_cores._shared


def test_who_stops_reading_leaves_nothing_behind() -> None:
    answers = on_all_cores(lambda part: part, range(MANY))

    assert next(answers) == 0
    answers.close()  # type: ignore[attr-defined]  # a generator

    assert not all_cores._shared


def test_threads_give_the_same_where_processes_cannot_be_forked(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on macOS and Windows; similarities are equal to the last bit, in this process as well."""
    thumbnails = np.random.default_rng(1).integers(0, 255, (60, SIDE, SIDE), np.uint8)
    thumbnails[30:] = thumbnails[:30, ::-1] // 2
    pairs = np.argwhere(np.triu(np.ones((60, 60)), 1)).repeat(2, axis=0)
    forked = matching.similarity(thumbnails, pairs)
    monkeypatch.setattr(sys, "platform", "darwin")
    used = set(on_all_cores(lambda _: (os.getpid(), threading.get_ident()), range(MANY)))

    assert {process for process, _ in used} == {os.getpid()}
    assert threading.get_ident() not in {thread for _, thread in used}
    assert np.array_equal(matching.similarity(thumbnails, pairs), forked)
    monkeypatch.setattr(all_cores, "available_cores", lambda: 1)
    assert np.array_equal(matching.similarity(thumbnails, pairs), forked)
    assert (forked > 0.9).any()
