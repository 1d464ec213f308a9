"""A real S3 server for tests: OpenStack Swift with its S3 interface, all four of its services in one process.

Swift is a storage that people run in production; it checks signatures, keeps keys as they are (with "//", ".." and
case), gives MD5 ETags and takes uploads in parts. It is installed among the oracles (`make .oracles/ready`), as it
brings eventlet. `python tests/s3.py FOLDER` serves until its standard input ends, so that no server outlives tests.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

WRITER = {"AWS_ACCESS_KEY_ID": "test:writer", "AWS_SECRET_ACCESS_KEY": "writing"}
STRANGER = {"AWS_ACCESS_KEY_ID": "test:stranger", "AWS_SECRET_ACCESS_KEY": "looking"}  # may do nothing
SERVICES = ("account", "container", "object")
DEFAULTS = """\
[DEFAULT]
swift_dir = {folder}
devices = {folder}/disks
mount_check = false
fallocate_reserve = 0
disable_fallocate = true
log_level = CRITICAL
log_address = {folder}/nowhere
"""
PROXY = """
[pipeline:main]
pipeline = catch_errors cache listing_formats s3api tempauth slo dlo proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:9
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:s3api]
use = egg:swift#s3api
[filter:tempauth]
use = egg:swift#tempauth
user_test_writer = writing .admin
user_test_stranger = looking
[filter:slo]
use = egg:swift#slo
[filter:dlo]
use = egg:swift#dlo
"""


@contextmanager
def serving(folder: Path) -> Iterator[dict[str, str]]:
    """The environment variables with which AWS clients find the server and may write to it.

    Skips the test where Swift is not installed, but never in CI.
    """
    import pytest  # not above, as Swift's Python has none

    from oracle import PYTHON

    folder.mkdir(parents=True, exist_ok=True)
    if not PYTHON.exists() or subprocess.run([PYTHON, "-c", "import swift"], capture_output=True).returncode:
        if os.environ.get("CI"):
            pytest.fail(f"{PYTHON} has no OpenStack Swift: run `make .oracles/ready`")
        pytest.skip("the S3 server for tests is not installed: make .oracles/ready")
    command = [str(PYTHON), "-W", "ignore", __file__, str(folder)]
    with (
        (folder / "log.txt").open("w") as log,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True) as server,
    ):
        assert server.stdout is not None
        assert server.stdin is not None
        port = server.stdout.readline().strip()
        assert port, (folder / "log.txt").read_text()
        try:
            yield {**WRITER, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}", "AWS_DEFAULT_REGION": "us-east-1"}
        finally:
            server.stdin.close()
            server.wait(10)


def serve(folder: Path) -> None:
    """Print the port, and serve until standard input ends."""
    import logging

    import eventlet
    import eventlet.wsgi

    eventlet.monkey_patch()
    from swift.common import utils
    from swift.common import wsgi as swift_wsgi

    sockets = {name: eventlet.listen(("127.0.0.1", 0)) for name in (*SERVICES, "proxy")}
    _write_settings(folder, {name: sockets[name].getsockname()[1] for name in SERVICES})
    utils.set_swift_dir(str(folder))
    for name, listening in sockets.items():
        app = swift_wsgi.loadapp(str(folder / f"{name}.conf"), global_conf={"log_name": name})
        options = {"protocol": swift_wsgi.SwiftHttpProtocol, "log": logging.getLogger("quiet"), "log_output": False}
        eventlet.spawn(eventlet.wsgi.server, listening, app, **options)
    print(sockets["proxy"].getsockname()[1], flush=True)  # noqa: T201  the caller reads it
    eventlet.tpool.execute(sys.stdin.read)


def _write_settings(folder: Path, ports: dict[str, int]) -> None:
    from swift.common.ring import RingBuilder

    (folder / "disks" / "d1").mkdir(parents=True)
    hashing = "[swift-hash]\nswift_hash_path_suffix = tests\n[storage-policy:0]\nname = only\ndefault = yes\n"
    (folder / "swift.conf").write_text(hashing)
    defaults = DEFAULTS.format(folder=folder)
    (folder / "proxy.conf").write_text(defaults + PROXY)
    for name, port in ports.items():
        (folder / f"{name}.conf").write_text(f"{defaults}[app:main]\nuse = egg:swift#{name}\n")
        ring = RingBuilder(1, 1, 0)  # two partitions, one copy of each, free to move
        ring.add_dev({"id": 0, "region": 1, "zone": 1, "weight": 1.0, "ip": "127.0.0.1", "port": port, "device": "d1"})
        ring.rebalance()
        ring.get_ring().save(str(folder / f"{name}.ring.gz"))


if __name__ == "__main__":
    serve(Path(sys.argv[1]).resolve())
