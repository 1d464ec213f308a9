"""Sending and fetching 1,000 small files, beside what fsspec does when it is asked for one after the other, or for all.

    python benchmarks/remote.py        (writes benchmarks/results/remote.txt)

The server is the one of the tests, OpenStack Swift on this machine, so its own work on the same cores is in every
figure. A server elsewhere answers later: a relay between the two holds back what passes.
Figures are the best of two, alternating.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import s3
from curate.remote import download, upload
from processes import header, write_result

FILES, FILE_BYTES, ROUNDS = 1000, 10_000, 2
DELAYS_MS = (0, 50)  # 50: a region of the same continent


@contextmanager
def later(environment: dict[str, str], delay_ms: int) -> Iterator[str]:
    """The address of a server that answers as much later; a relay of its own process, unless there is no delay."""
    address = environment["AWS_ENDPOINT_URL"]
    if not delay_ms:
        yield address
        return
    command = [sys.executable, __file__, "--relay", address.rpartition(":")[2], "--delay-ms", str(delay_ms)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        process.terminate()


async def relay(port: int, delay_s: float) -> None:
    """Print a port that leads to the other one, with everything held back by `delay_s`, and serve it."""
    loop = asyncio.get_running_loop()

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 16):
            loop.call_later(delay_s, writer.write, data)
        loop.call_later(delay_s, writer.close)

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reader_there, writer_there = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(pump(reader, writer_there), pump(reader_there, writer))

    server = await asyncio.start_server(connect, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def opened() -> Any:
    import s3fs

    return s3fs.S3FileSystem(skip_instance_cache=True, use_listings_cache=False)


def put_each(draft: Path, url: str, _: Path) -> None:
    files = opened()
    for path in draft.rglob("*.jpg"):
        files.put_file(str(path), f"{url[5:]}/{path.name}")


def put_all(draft: Path, url: str, _: Path) -> None:
    opened().put(str(draft), url[5:], recursive=True)


def get_each(_: Path, url: str, target: Path) -> None:
    files = opened()
    for name in files.find(url[5:]):
        files.get_file(name, str(target / name.rpartition("/")[2]))


def get_all(_: Path, url: str, target: Path) -> None:
    opened().get(url[5:], str(target), recursive=True)


UP: dict[str, Callable[[Path, str, Path], object]] = {
    "fsspec, one after the other": put_each,
    "fsspec, put(recursive=True)": put_all,
    "curate": lambda draft, url, _: upload(draft, url),
}
DOWN: dict[str, Callable[[Path, str, Path], object]] = {
    "fsspec, one after the other": get_each,
    "fsspec, get(recursive=True)": get_all,
    "curate": lambda _, url, target: download(url, target),
}


def best_times(ways: dict[str, Callable[[Path, str, Path], object]], draft: Path, source: str) -> dict[str, float]:
    """Seconds of wall time. source: to fetch from; without it, each run has a target of its own."""
    times: dict[str, float] = {}
    for number in range(ROUNDS):
        for name, way in ways.items():
            with tempfile.TemporaryDirectory() as target:
                url = source or f"s3://pets/{hashlib.sha256(target.encode()).hexdigest()[:12]}"
                start = time.perf_counter()
                way(draft, url, Path(target))
                times[name] = min(times.get(name, 1e9), time.perf_counter() - start)
        print(f"round {number + 1}: {times}", file=sys.stderr)
    return times


def measure() -> list[str]:
    title = f"{FILES:,} files of {FILE_BYTES:,} bytes to and from an S3 server on this machine"
    lines = header(title, ["curate", "fsspec", "s3fs", "aiobotocore"])
    with tempfile.TemporaryDirectory() as folder, s3.serving(Path(folder, "server")) as environment:
        draft = Path(folder, "draft")
        draft.mkdir()
        for number in range(FILES):
            (draft / f"{number:04}.jpg").write_bytes(os.urandom(FILE_BYTES))
        (draft / "export.json").write_text("{}")
        os.environ.update(environment)
        opened().mkdir("pets")
        upload(draft, "s3://pets/source")
        for delay_ms in DELAYS_MS:
            with later(environment, delay_ms) as address:
                os.environ["AWS_ENDPOINT_URL"] = address
                for direction, ways, source in (("up", UP, ""), ("down", DOWN, "s3://pets/source")):
                    lines.append(f"{direction}, the server answers {delay_ms} ms later")
                    for name, seconds in best_times(ways, draft, source).items():
                        lines.append(f"  {name:28} {seconds:6.1f} s {FILES / seconds:6.0f} files/s")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--relay", type=int, metavar="PORT", help=argparse.SUPPRESS)
    parser.add_argument("--delay-ms", type=int, default=0, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.relay:
        asyncio.run(relay(arguments.relay, arguments.delay_ms / 2000))
    else:
        write_result("remote.txt", measure())


if __name__ == "__main__":
    main()
