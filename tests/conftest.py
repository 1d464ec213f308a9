"""What several test files share: small folders of real pictures, the real command, and no network."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from curate.review_log import Place
from curate_cli.main import main
from postgres import new_database, running_server
from ray_cluster import PASSWORD

os.environ.pop("CURATE_REVIEW_LOG", None)  # tests must not write to a team's log
os.environ.update(PASSWORD)  # before any test imports Ray

LONG_AGO_S = 1_700_000_000  # file times are set to this, so that no file counts as written a moment ago

NO_NETWORK = """
import socket
def _refuse(*_): raise AssertionError("curate must not use the network")
socket.socket.connect = socket.socket.connect_ex = _refuse
"""


def picture(seed: int, width: int = 96, height: int = 72) -> bytes:
    """A JPEG of coarse coloured blocks under sharp fine ones; no two seeds are alike, and no check drops it."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(60, 190, (3, 4, 3)).repeat(height // 3, 0).repeat(width // 4, 1)
    fine = rng.integers(-50, 51, (height // 4, width // 4, 1)).repeat(4, 0).repeat(4, 1)
    pixels = np.pad(coarse, ((0, height - len(coarse)), (0, width - coarse.shape[1]), (0, 0)), "edge")
    pixels[: len(fine), : fine.shape[1]] += fine
    buffer = BytesIO()
    Image.fromarray(pixels.clip(10, 245).astype(np.uint8)).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


PICTURES = [picture(seed) for seed in range(12)]


def write(file: Path, data: bytes, mtime_s: int = LONG_AGO_S) -> Path:
    """Write a file that looks old."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    os.utime(file, (mtime_s, mtime_s))
    return file


@dataclass(frozen=True)
class Done:
    """What a command left: exit code, standard output, standard error."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Curate = Callable[..., Done]


@pytest.fixture(autouse=True, scope="session")
def no_network() -> Iterator[None]:
    """Nothing in this process can connect to anything but to processes of its own."""
    connect = socket.socket.connect

    def refuse(*_: object) -> None:
        raise AssertionError("curate must not use the network")

    def local_only(self: socket.socket, address: Any) -> None:
        # torch's workers hand tensors over by Unix sockets, and `curate review` serves this machine.
        # Machines of a Ray cluster are addresses of this one, 127.0.0.2 and so on.
        if self.family != socket.AF_UNIX and address[0] != "::1" and not address[0].startswith("127."):
            refuse()
        connect(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", local_only)
        patch.setattr(socket.socket, "connect_ex", refuse)
        yield


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Variables for a process of its own that can't connect to anything either."""
    folder = tmp_path_factory.mktemp("no_network")
    (folder / "sitecustomize.py").write_text(NO_NETWORK)
    return {**os.environ, "PYTHONPATH": str(folder), "CURATE_AUTHOR": "ada"}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of six ordinary pictures in two classes: cats/0.jpg … cats/2.jpg, dogs/3.jpg … dogs/5.jpg."""
    for number in range(6):
        write(tmp_path / "photos" / ("cats" if number < 3 else "dogs") / f"{number}.jpg", PICTURES[number])
    return tmp_path / "photos"


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """Twelve pictures of two classes."""
    for number in range(12):
        write(tmp_path / "many" / ("cats" if number % 2 else "dogs") / f"{number}.jpg", picture(5000 + number))
    return tmp_path / "many"


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same after `curate run`; not to be changed."""
    folder = tmp_path_factory.mktemp("finished") / "many"
    for number in range(12):
        write(folder / ("cats" if number % 2 else "dogs") / f"{number}.jpg", picture(5000 + number))
    # It flags none of these, whatever a newly trained one would make of drawn pictures.
    write(folder.parent / "many.curate" / "curate.toml", b'[models]\nbackbone = "classic"\n')
    from curate.runs import run

    run(folder, workers=1)
    return folder


@pytest.fixture
def ran(finished: Path, tmp_path: Path) -> Path:
    """A copy of that, whose pictures are the same files to whoever asks the file system."""
    shutil.copytree(finished, tmp_path / "many", copy_function=os.link)
    shutil.copytree(f"{finished}.curate", tmp_path / "many.curate")
    return tmp_path / "many"


@pytest.fixture
def curate(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Curate:
    """Run a command line in this process, as `curate` does."""
    monkeypatch.setenv("CURATE_AUTHOR", "ada")

    def run(*arguments: str | Path) -> Done:
        capfd.readouterr()
        with pytest.raises(SystemExit) as end:
            main([str(one) for one in arguments])
        out, err = capfd.readouterr()
        return Done(int(end.value.code or 0), out, err)

    return run


def command(*arguments: str | Path) -> list[str]:
    """The command line that starts `curate` as a process of its own."""
    return [sys.executable, "-c", "from curate_cli.main import main; main()", *map(str, arguments)]


def heeds_ctrl_c() -> None:
    """The `preexec_fn` of a process that is to be interrupted: what a shell starts in its background ignores that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.fixture
def process(environment: dict[str, str]) -> Curate:
    """Run a command line as a process of its own; other keywords go to subprocess.run."""

    def run(*arguments: str | Path, **options: Any) -> Done:
        done = subprocess.run(command(*arguments), env=environment, capture_output=True, text=True, **options)
        return Done(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    with running_server() as url:
        yield url


@pytest.fixture
def database(server: str) -> str:
    """An empty database."""
    return new_database(server)


@pytest.fixture(params=["sqlite", "postgresql"])
def log(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """An empty log: a file, or a new database."""
    if request.param == "sqlite":
        return tmp_path / "review.db"
    return new_database(request.getfixturevalue("server"))


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Mount a file system of its own: `disk("name", "size=1m")`; `disk("name", "remount,ro")` changes it."""
    mounted = []

    def mount(name: str, options: str) -> Path:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True)
        if done.returncode:
            pytest.skip("may not mount a disk here")
        mounted.append(folder)
        return folder

    yield mount
    for folder in reversed(mounted):
        subprocess.run(["umount", folder], check=False, capture_output=True)
