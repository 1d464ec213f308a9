"""Work on a real Ray cluster of several machines: the same results, whatever happens to the machines."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from pandas.testing import assert_frame_equal

import curate as library
import networks
from conftest import command, heeds_ctrl_c, picture, write
from curate.embeddings import _opened, embed, embed_files
from curate.errors import CurateError, SourceError
from curate.executors import Crashed, Executor, Result, Serial
from curate.images import Request
from curate.models import open_backbone
from curate.project import Project
from curate.ray_executor import OnRay
from ray_cluster import ENVIRONMENT, Cluster, path_of, running_cluster
from test_executors import die_on_negative, die_once

pytestmark = [
    pytest.mark.skipif(find_spec("ray") is None, reason="curate[ray] is not installed"),
    pytest.mark.slow,
]

ONE, TWO, THREE = "127.0.0.3", "127.0.0.4", "127.0.0.5"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """Two machines with one core each, and this process as a part of it."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        with running_cluster(ONE, TWO) as cluster:
            yield cluster
            import ray

            ray.shutdown()


@pytest.fixture
def on_ray(cluster: Cluster) -> OnRay:
    return OnRay(address=cluster.address)


def changes(cluster: Cluster) -> dict[str, Any]:
    return {"executor.address": cluster.address}


# ---- What runs on the machines


def squares(chunk: Sequence[int]) -> list[int]:
    return [item * item for item in chunk]


def machine_of(chunk: Sequence[int]) -> str:
    import ray

    time.sleep(0.05)
    address: str = ray.util.get_node_ip_address()
    return address


def fail(chunk: Sequence[int]) -> list[int]:
    raise SourceError(f"no {chunk[0]}", "Try another.")


def opened_so_far(spec: str, identity: str, chunk: Sequence[Request]) -> tuple[int, int]:
    """The process, and how often it has opened a model."""
    assert all(one.facts for one in embed_files(spec, identity, chunk))
    return os.getpid(), _opened.cache_info().misses


def finished(
    executor: Executor, work: Callable[[Sequence[Any]], Result], chunks: Iterable[Sequence[Any]]
) -> list[Result]:
    """What came of the chunks, none of which may crash."""
    answers = []
    for answer in executor.map(work, chunks):
        assert not isinstance(answer, Crashed)
        answers.append(answer)
    return answers


# ---- The same as ever


def test_every_chunk_comes_back_once_and_every_machine_takes_part(on_ray: OnRay) -> None:
    answers = finished(on_ray, machine_of, [[number] for number in range(40)])

    assert len(answers) == 40
    assert set(answers) == {ONE, TWO}
    assert sorted(finished(on_ray, squares, ([number] for number in range(50)))) == [
        [number**2] for number in range(50)
    ]


def test_no_chunk_at_all_is_no_work(on_ray: OnRay) -> None:
    assert list(on_ray.map(squares, [])) == []


def test_a_version_is_the_same_to_the_last_bit(cluster: Cluster, photos: Path, tmp_path: Path) -> None:
    write(photos / "cats" / "broken.jpg", picture(77)[:300])
    write(photos / "cats" / "copy.jpg", picture(3))

    here = library.clean(photos, store=tmp_path / "here", executor="serial")
    there = library.clean(photos, store=tmp_path / "there", executor="ray", changes=changes(cluster))

    assert there.version is not None
    assert here.version is not None
    assert there.version.id == here.version.id
    assert there.version.settings == here.version.settings
    assert there.effort.opened == here.effort.opened == 7  # of copies, one
    assert_frame_equal(there.table, here.table)
    assert_frame_equal(library.table(photos, store=tmp_path / "there"), library.table(photos, store=tmp_path / "here"))


def test_pictures_made_uniform_are_the_same_bytes(cluster: Cluster, photos: Path, tmp_path: Path) -> None:
    def objects(store: Path, executor: str) -> dict[str, bytes]:
        library.clean(photos, store=store, executor="serial")
        wanted = changes(cluster) | {"normalize.size": "32"}
        assert library.normalize(photos, store=store, executor=executor, changes=wanted).failures == {}
        root = Project.at(photos, store).objects
        return {file.name: file.read_bytes() for file in root.rglob("*") if file.is_file()}

    there = objects(tmp_path / "there", "ray")

    assert len(there) == 6
    assert there == objects(tmp_path / "here", "serial")


def embedded(folder: Path, spec: str, executor: Executor, cache: Path) -> Any:
    rows = library.clean(folder, executor="serial").table
    return embed(rows, folder, spec, cache, executor)


def test_embeddings_are_the_same_to_the_last_bit(on_ray: OnRay, many: Path, tmp_path: Path) -> None:
    model = str(networks.classifier(tmp_path / "m.onnx"))

    here = embedded(many, model, Serial(), tmp_path / "here")
    there = embedded(many, model, on_ray, tmp_path / "there")

    assert there.computed == 12
    assert there.sha256 == here.sha256
    assert there.vectors.tobytes() == here.vectors.tobytes()


def test_a_model_is_loaded_once_per_actor(on_ray: OnRay, many: Path, tmp_path: Path) -> None:
    model = str(networks.classifier(tmp_path / "m.onnx"))
    requests = [Request(file.name, str(file), 0, ()) for file in sorted(many.rglob("*.jpg"))]
    work = partial(opened_so_far, model, open_backbone(model).identity)

    answers = finished(on_ray, work, [[request] for request in requests * 4])

    assert len(answers) == 48
    assert {times for _, times in answers} == {1}
    # Of two actors one may have done all before the other was up.
    assert len({process for process, _ in answers}) in (1, 2)


# ---- When something dies


def outcome(executor: Executor, chunks: Iterable[list[int]]) -> tuple[list[int], list[int]]:
    """Sorted: the items that came back, and those that crashed."""
    answers = list(executor.map(die_on_negative, chunks))
    crashed = [answer.item for answer in answers if isinstance(answer, Crashed)]
    return sorted(item for answer in answers if isinstance(answer, list) for item in answer), sorted(crashed)


def test_only_the_item_that_kills_its_worker_is_lost(on_ray: OnRay) -> None:
    chunks = [[*range(start, start + 4)] for start in range(0, 40, 4)]
    chunks[4][1] = -17

    done, crashed = outcome(on_ray, chunks)

    assert crashed == [-17]
    assert done == [number for number in range(40) if number != 17]


def test_a_worker_killed_from_outside_costs_nothing(on_ray: OnRay, tmp_path: Path) -> None:
    items = [str(tmp_path / "marker")] * 4

    assert list(on_ray.map(die_once, [items] * 6)) == [items] * 6


def test_a_machine_that_dies_costs_only_time(cluster: Cluster) -> None:
    """Its chunks are done again by the others, and none of its pictures is taken for one that kills."""
    cluster.add(THREE)
    cluster.wait()
    waiting = iter(OnRay(3, cluster.address).map(machine_of, [[number] for number in range(90)]))
    answers: list[Any] = []
    while THREE not in answers:
        answers.append(next(waiting))

    cluster.kill(THREE)
    answers += waiting

    assert len(answers) == 90
    assert {ONE, TWO, THREE} == set(answers)


def test_an_error_of_the_function_reaches_the_caller_and_tells_the_machine(on_ray: OnRay) -> None:
    with pytest.raises(SourceError, match=r"^no 1$") as caught:
        list(on_ray.map(fail, [[1]]))

    assert caught.value.hint in [
        f"Try another. This happened on {host}, a machine of the Ray cluster." for host in (ONE, TWO)
    ]


def test_closing_early_frees_the_cores(on_ray: OnRay) -> None:
    answers = on_ray.map(squares, ([number] for number in range(10_000)))
    next(answers)

    answers.close()  # type: ignore[attr-defined]  # it is a generator

    assert sorted(finished(on_ray, squares, [[2], [3]])) == [[4], [9]]


# ---- Machines that don't fit


@dataclass(frozen=True)
class Filed:
    """An item with a file, as all items that curate hands out."""

    file: str


def test_a_file_that_a_machine_does_not_see_is_told_before_anything_is_read(on_ray: OnRay) -> None:
    """Here it is one that only this process has open; in life, a folder that is not shared."""
    with open(__file__) as stream:
        ours = f"/proc/self/fd/{stream.fileno() + 100}"
        os.dup2(stream.fileno(), stream.fileno() + 100)
        try:
            with pytest.raises(
                CurateError, match=r"^The machine 127\.0\.0\.[34] of the Ray cluster does not see '/proc"
            ):
                finished(on_ray, squares, [[Filed(ours)]])
        finally:
            os.close(stream.fileno() + 100)


@pytest.mark.parametrize("installed", ["another", "none"])
def test_a_machine_with_another_numpy_or_without_curate_is_refused(
    cluster: Cluster, tmp_path: Path, installed: str
) -> None:
    if installed == "another":
        write(tmp_path / "numpy-9.9.dist-info" / "METADATA", b"Metadata-Version: 2.1\nName: numpy\nVersion: 9.9\n")
        said = rf"^The machine {THREE} of the Ray cluster has numpy 9\.9, this one has "
    else:
        write(tmp_path / "sitecustomize.py", b"import sys; sys.modules['curate'] = None\n")
        said = rf"^curate can't be imported on the machine {THREE} of the Ray cluster\.$"
    cluster.add(THREE, {"PYTHONPATH": path_of(tmp_path, Path(__file__).parent)})
    try:
        cluster.wait()
        with pytest.raises(CurateError, match=said):
            list(OnRay(3, cluster.address).map(machine_of, ([number] for number in range(200))))
    finally:
        cluster.kill(THREE)


# ---- The whole command, on a cluster of its own

# Writes down who is connected to outside of this machine, by any Python process of the run.
WATCH = """
import os, socket
connect = socket.socket.connect
def watched(self, address):
    if self.family != socket.AF_UNIX and not str(address[0]).startswith("127.") and address[0] != "::1":
        with open(os.environ["WATCHED"], "a") as file:
            file.write(f"{address}\\n")
    return connect(self, address)
socket.socket.connect = watched
"""


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder for temporary files whose name is short enough for sockets; every process of Ray has it as argument."""
    with TemporaryDirectory(dir="/tmp", prefix="t-") as folder:
        yield Path(folder)


@pytest.fixture
def alone(short: Path, tmp_path: Path) -> dict[str, str]:
    """Variables for a command that starts a cluster of its own."""
    write(tmp_path / "watch" / "sitecustomize.py", WATCH.encode())
    own = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    watched = {"PYTHONPATH": path_of(tmp_path / "watch"), "WATCHED": str(tmp_path / "connected")}
    return own | watched | {"TMPDIR": str(short), "HOME": str(short), "CURATE_AUTHOR": "ada"}


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """Pictures that take some seconds."""
    data = picture(1, 1600, 1200)
    for number in range(400):
        write(tmp_path / "large" / f"{number}.jpg", data + str(number).encode())
    return tmp_path / "large"


def processes_of(folder: Path) -> list[str]:
    """Command lines with this folder; those of zombies are empty."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            found.append(file.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return [line for line in found if f"{folder}/" in line]


def wait_until(condition: Callable[[], object], of: subprocess.Popen[str] | None = None) -> None:
    """of: a process that should be running meanwhile."""
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        assert of is None or of.poll() is None
        time.sleep(0.05)


def something_measured(folder: Path) -> bool:
    return any(Path(f"{folder}.curate").rglob("facts*-*.parquet"))


def test_a_command_leaves_nothing_behind_and_asks_nobody_outside(
    photos: Path, alone: dict[str, str], short: Path, tmp_path: Path
) -> None:
    """No word of Ray on its outputs either."""
    line = command("clean", photos, "--executor", "ray", "--workers", "2", "--json")

    done = subprocess.run(line, env=alone, capture_output=True, text=True)

    assert json.loads(done.stdout)["opened"] == 6, done.stderr
    assert "ray" not in done.stderr.lower()
    assert not (tmp_path / "connected").exists()
    wait_until(lambda: not processes_of(short))
    assert list(short.iterdir()) == []


def test_a_killed_command_takes_its_cluster_with_it_and_the_next_goes_on(
    large: Path, alone: dict[str, str], short: Path
) -> None:
    running = subprocess.Popen(command("clean", large, "--executor", "ray", "--workers", "1"), env=alone, text=True)
    wait_until(lambda: something_measured(large), running)

    running.kill()
    running.wait()
    wait_until(lambda: not processes_of(short))
    again = library.clean(large, executor="serial")

    assert 0 < again.effort.opened < 400
    assert again.counts["images"] == 400
    assert again.counts["read_errors"] == {}


def test_an_interrupted_command_ends_its_cluster(large: Path, alone: dict[str, str], short: Path) -> None:
    running = subprocess.Popen(
        command("clean", large, "--executor", "ray", "--workers", "1"), env=alone, stderr=subprocess.PIPE, text=True,
        preexec_fn=heeds_ctrl_c,
    )  # fmt: skip
    wait_until(lambda: something_measured(large), running)

    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=60)

    assert running.returncode == 130
    assert err.endswith("Interrupted. What was measured is kept; the same command goes on from there.\n")
    wait_until(lambda: not processes_of(short))
    assert list(short.iterdir()) == []


# ---- A cluster that is not there


def test_a_cluster_that_is_gone_is_told_and_the_command_goes_on_without(large: Path, tmp_path: Path) -> None:
    """What was measured is kept."""
    code = """
import sys
import curate.ray_executor
from curate_cli.main import main
curate.ray_executor.GONE_S = 3
main(["clean", sys.argv[1], "--executor", "ray", "--set", "executor.address=" + sys.argv[2]])
"""
    with running_cluster(ONE) as lost:
        running = subprocess.Popen(
            [sys.executable, "-c", code, large, lost.address],
            env={**os.environ, **ENVIRONMENT}, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        wait_until(lambda: something_measured(large), running)
        for host in list(lost.nodes):
            lost.kill(host)
        _, err = running.communicate(timeout=60)

    assert running.returncode == 2, err
    assert f"Error: The Ray cluster is gone: its head, {lost.address}, has not answered for 3 s.\n" in err
    assert "What was done is kept." in err
    assert 0 < library.clean(large, executor="serial").effort.opened < 400


def test_an_address_where_nobody_answers_is_told_at_once(photos: Path) -> None:
    with pytest.raises(CurateError, match=r"^No Ray cluster answers at '127\.0\.0\.9:1'\.$"):
        library.clean(photos, executor="ray", changes={"executor.address": "127.0.0.9:1"})
