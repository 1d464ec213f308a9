"""A real Ray cluster on this machine: every node is processes of its own, at a loopback address of its own."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

HEAD_HOST = "127.0.0.2"
START_S = 180.0
# Ray looks for a password once, when it is imported: conftest.py sets these two before that.
PASSWORD = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0" * 64}
# Of nodes and of whoever uses them.
ENVIRONMENT = PASSWORD | {
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".",
    "RAY_USAGE_STATS_ENABLED": "0",
    "OMP_NUM_THREADS": "1",
}


@dataclass
class Cluster:
    """A head without cores, and nodes with one core each. nodes: by address, the `ray start` of each."""

    folder: Path
    port: int
    nodes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    environments: dict[str, Mapping[str, str] | None] = field(default_factory=dict)

    @property
    def address(self) -> str:
        return f"{HEAD_HOST}:{self.port}"

    def add(self, host: str, environment: Mapping[str, str] | None = None) -> None:
        """Begin to start a node; `wait` waits for it."""
        self.environments[host] = environment
        head = ["--head", f"--port={self.port}", "--num-cpus=0", "--include-dashboard=false"]
        place = head if host == HEAD_HOST else [f"--address={self.address}", "--num-cpus=1", "--num-gpus=0"]
        with (self.folder / f"{host}.log").open("wb") as log:
            self.nodes[host] = subprocess.Popen(
                [
                    Path(sys.executable).with_name("ray"), "start", "--block", "--disable-usage-stats", *place,
                    f"--node-ip-address={host}", "--object-store-memory=80000000", f"--temp-dir={self.folder / host}",
                ],
                env={**os.environ, **ENVIRONMENT, "PYTHONPATH": path_of(Path(__file__).parent), **(environment or {})},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )  # fmt: skip

    def wait(self) -> None:
        """Until every node has started."""
        end = time.monotonic() + START_S
        for host in list(self.nodes):
            log = self.folder / f"{host}.log"
            while b"Ray runtime started" not in log.read_bytes():
                assert time.monotonic() < end, log.read_text()
                if self.nodes[host].poll() is not None:
                    # Ray gives its own parts 30 s, which a busy machine may not have; nobody can give it more.
                    assert b"timed out during startup" in log.read_bytes(), log.read_text()
                    self.kill(host)
                    self.add(host, self.environments[host])
                time.sleep(0.1)

    def kill(self, host: str) -> None:
        """Switch the machine off: none of its processes gets to say goodbye."""
        node = self.nodes.pop(host)
        with suppress(ProcessLookupError):
            os.killpg(node.pid, signal.SIGKILL)
        node.wait()


def path_of(*folders: Path) -> str:
    """PYTHONPATH with these folders before those that it has."""
    return os.pathsep.join([*map(str, folders), os.environ.get("PYTHONPATH", "")])


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HEAD_HOST, 0))
        return int(probe.getsockname()[1])


@contextmanager
def running_cluster(*hosts: str) -> Iterator[Cluster]:
    """A cluster with nodes at these addresses, ready for work."""
    folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))  # short, as sockets lie in it
    cluster = Cluster(folder, free_port())
    try:
        cluster.add(HEAD_HOST)
        cluster.wait()
        for host in hosts:
            cluster.add(host)
        cluster.wait()
        yield cluster
    finally:
        for host in list(cluster.nodes):
            cluster.kill(host)
        shutil.rmtree(folder, ignore_errors=True)
