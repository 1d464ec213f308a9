"""Work on several processes: every item exactly once, whatever happens to the workers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pytest

import curate as library
from conftest import Curate, write
from curate.errors import SettingsError
from curate.executors import Crashed, Executor, Processes, Serial, executor_for
from curate.settings import ExecutorSettings

WITH_PICTURES = "apply clean flag next normalize prelabel prove rebalance run shortcuts split".split()
EXECUTORS = [Serial(), Processes(1), Processes(2)]


def squares(chunk: Sequence[int]) -> list[int]:
    return [item * item for item in chunk]


def die_on_negative(chunk: Sequence[int]) -> list[int]:
    """As a decoder does that is killed by a segmentation fault or for want of memory."""
    for item in chunk:
        if item < 0:
            os.kill(os.getpid(), signal.SIGKILL)
    return list(chunk)


def die_once(chunk: Sequence[str]) -> list[str]:
    """The first call anywhere dies."""
    for item in chunk:
        marker = Path(item)
        if not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
    return list(chunk)


def fail(chunk: Sequence[int]) -> list[int]:
    raise ValueError(f"no {chunk[0]}")


def complain(chunk: Sequence[int]) -> list[int]:
    os.write(2, b"libtiff: warning\n")
    return list(chunk)


def outcome(executor: Executor, chunks: Iterable[list[int]]) -> tuple[list[int], list[int]]:
    """Sorted: the items that came back, and those that crashed."""
    answers = list(executor.map(die_on_negative, chunks))
    crashed = [answer.item for answer in answers if isinstance(answer, Crashed)]
    return sorted(item for answer in answers if isinstance(answer, list) for item in answer), sorted(crashed)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_every_chunk_comes_back_once(executor: Executor) -> None:
    answers = list(executor.map(squares, [[number] for number in range(50)]))

    assert len(answers) == 50
    assert all([number * number] in answers for number in range(50))


@pytest.mark.parametrize("executor", EXECUTORS)
def test_no_chunk_at_all_is_no_work(executor: Executor) -> None:
    assert list(executor.map(squares, [])) == []


@pytest.mark.parametrize("executor", EXECUTORS)
def test_an_error_of_the_function_reaches_the_caller(executor: Executor) -> None:
    with pytest.raises(ValueError, match="no 1"):
        list(executor.map(fail, [[1]]))


def test_only_the_item_that_kills_its_worker_is_lost() -> None:
    chunks = [[*range(start, start + 10)] for start in range(0, 100, 10)]
    chunks[4][5] = -45

    done, crashed = outcome(Processes(2), chunks)

    assert crashed == [-45]
    assert done == [number for number in range(100) if number != 45]


def test_many_killers_are_all_found() -> None:
    done, crashed = outcome(Processes(2), [[1, -2, 3, -4], [-5], [6], [-7, 8]])

    assert crashed == [-7, -5, -4, -2]
    assert done == [1, 3, 6, 8]


def test_a_worker_killed_from_outside_costs_nothing(tmp_path: Path) -> None:
    """As by the out-of-memory killer, which may take a worker that did nothing wrong."""
    items = [str(tmp_path / "marker")] * 4

    answers = list(Processes(2).map(die_once, [items, items]))

    assert answers == [items, items]


def test_workers_that_die_while_chunks_are_handed_out_lose_none() -> None:
    """A pool that broke refuses the chunk that it is just being given."""

    def chunks() -> Iterator[list[int]]:
        yield [-1]
        time.sleep(0.3)  # the first is dead by now
        yield [2]
        yield [3]

    assert outcome(Processes(2), chunks()) == ([2, 3], [-1])


@pytest.mark.parametrize("executor", EXECUTORS)
def test_what_c_libraries_print_is_not_seen(executor: Executor, capfd: pytest.CaptureFixture[str]) -> None:
    list(executor.map(complain, [[1], [2]]))

    assert capfd.readouterr().err == ""


def test_errors_are_heard_again_after_serial_work(capfd: pytest.CaptureFixture[str]) -> None:
    list(Serial().map(complain, [[1]]))

    os.write(2, b"heard\n")

    assert capfd.readouterr().err == "heard\n"


def test_closing_early_ends_the_workers() -> None:
    answers = Processes(2).map(squares, ([number] for number in range(10_000)))

    next(answers)
    answers.close()  # type: ignore[attr-defined]  # it is a generator

    assert list(answers) == []


def test_one_worker_means_no_other_process() -> None:
    assert executor_for(ExecutorSettings(workers=1)) == Serial()
    assert executor_for(ExecutorSettings(workers=3)) == Processes(3)
    assert executor_for(ExecutorSettings()).workers >= 1


def test_serial_is_one_process_whatever_the_workers() -> None:
    assert executor_for(ExecutorSettings(kind="serial", workers=3)) == Serial()


def test_a_picture_that_kills_its_decoder_is_a_row(photos: Path, environment: dict[str, str]) -> None:
    """The rest of the folder is measured as ever, and the next run does not try again."""
    code = f"""
import os, signal
import curate, curate.images
decode = curate.images.open_image
def fragile(data):
    if data == open({str(photos / "cats" / "1.jpg")!r}, "rb").read():
        os.kill(os.getpid(), signal.SIGKILL)
    return decode(data)
curate.images.open_image = fragile
for _ in range(2):
    result = curate.clean({str(photos)!r}, workers=2)
    print(result.counts["read_errors"], result.counts["kept"], result.effort.opened)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)

    assert done.stdout == "{'decoder_crashed': 1} 5 6\n{'decoder_crashed': 1} 5 0\n", done.stderr


def test_the_settings_choose_the_executor_and_the_command_line_goes_before_them(photos: Path, curate: Curate) -> None:
    """Without Ray's address being anywhere, it would not even be looked for."""
    write(Path(f"{photos}.curate") / "curate.toml", b'[executor]\nkind = "ray"\naddress = "127.0.0.9:1"\n')

    by_settings = curate("clean", photos)
    by_option = curate("clean", photos, "--executor", "serial", "--json")

    assert by_settings.code == 2
    assert (by_option.code, by_option.json["opened"]) == (0, 6)


def test_a_version_does_not_depend_on_the_executor(photos: Path) -> None:
    """Nor does it record which one it was, as it may have been none: everything may come from the cache."""
    first = library.clean(photos, executor="serial")
    second = library.clean(photos, executor="processes", workers=2, changes={"executor.address": "x:1"})

    assert first.version is not None
    assert "executor" not in first.version.settings
    assert (second.is_new, second.version) == (False, first.version)


def test_an_executor_that_there_is_not_is_refused_by_name(photos: Path) -> None:
    with pytest.raises(SettingsError, match=r"^The setting executor\.kind = 'dask' does not fit"):
        library.clean(photos, executor="dask")


def test_without_ray_one_is_told_what_to_install(photos: Path, environment: dict[str, str]) -> None:
    code = f"""
import sys
sys.modules["ray"] = None
from curate_cli.main import main
main(["clean", {str(photos)!r}, "--executor", "ray"])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)

    assert done.returncode == 2
    assert done.stderr == "Error: Ray is not installed.\nHint: Run: pip install 'curate[ray]'\n"


@pytest.mark.parametrize("name", WITH_PICTURES)
def test_every_command_that_works_on_pictures_takes_an_executor(name: str, curate: Curate) -> None:
    said = curate(name, "--help").out

    assert "--executor [serial|processes|ray]" in said
    assert "--workers" in said
