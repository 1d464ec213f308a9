"""`curate clean` of pictures that stay in a bucket, beside fetching them first and cleaning the folder.

    python benchmarks/remote_source.py        (writes benchmarks/results/remote_source.txt)

The server is the one of the tests, OpenStack Swift on this machine, so its own work on the same cores is in the wall
time but not in the CPU time. A server elsewhere answers later: the relay of benchmarks/remote.py holds back what
passes. "One at a time" reads nothing ahead. Figures are the best of two, alternating.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import numpy as np
from PIL import Image

import s3
from processes import Cost, header, run_timed, write_result
from remote import DELAYS_MS, later, opened

FILES, ROUNDS = 1000, 2
SIDE_PX = (256, 192)  # some 17 kB
CURATE = [sys.executable, "-c", "from curate_cli.main import main; main()"]
ALONE = [sys.executable, "-c", "import curate.sources as s; s.WORKERS = 1; from curate_cli.main import main; main()"]
URL = "s3://pets/pictures"


def picture(seed: int) -> bytes:
    """A JPEG of coloured blocks with fine noise, unlike any other."""
    rng = np.random.default_rng(seed)
    width, height = SIDE_PX
    blocks = rng.integers(40, 200, (height // 32, width // 32, 3)).repeat(32, 0).repeat(32, 1)
    pixels = blocks + rng.integers(-25, 26, (height, width, 1))
    buffer = BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=75)
    return buffer.getvalue()


def in_place(curate: list[str], folder: Path, workers: int) -> Cost:
    options = ["--store", str(folder / "store"), "--network", "--workers", str(workers)]
    return run_timed([*curate, "clean", URL, *options])


def fetched_first(folder: Path, workers: int) -> Cost:
    here = str(folder / "pictures")
    fetching = run_timed([*CURATE, "import", URL, here, "--network"])
    cleaning = run_timed([*CURATE, "clean", here, "--workers", str(workers)])
    return Cost(fetching.cpu_s + cleaning.cpu_s, fetching.wall_s + cleaning.wall_s)


def again(folder: Path, workers: int) -> Cost:
    in_place(CURATE, folder, workers)
    return in_place(CURATE, folder, workers)


WAYS: dict[str, Callable[[Path], Cost]] = {
    "clean in place, 2 workers": lambda folder: in_place(CURATE, folder, 2),
    "clean in place, 8 workers": lambda folder: in_place(CURATE, folder, 8),
    "one at a time, 2 workers": lambda folder: in_place(ALONE, folder, 2),
    "import, then clean, 2 workers": lambda folder: fetched_first(folder, 2),
    "unchanged, 2 workers": lambda folder: again(folder, 2),
}


def best_of(ways: dict[str, Callable[[Path], Cost]], rounds: int) -> dict[str, Cost]:
    found: dict[str, Cost] = {}
    for number in range(rounds):
        for name, way in ways.items():
            with tempfile.TemporaryDirectory() as folder:
                found[name] = min(way(Path(folder)), found.get(name, Cost(1e9, 1e9)), key=lambda cost: cost.wall_s)
        print(f"round {number + 1}: {found}", file=sys.stderr)
    return found


def measure(count: int, rounds: int) -> list[str]:
    title = f"{count:,} JPEG files of some {len(picture(0)):,} bytes in an S3 server on this machine"
    lines = header(title, ["curate", "fsspec", "s3fs", "aiobotocore"])
    with tempfile.TemporaryDirectory() as folder, s3.serving(Path(folder, "server")) as environment:
        os.environ.update(environment, AWS_EC2_METADATA_DISABLED="true")
        files = opened()
        files.mkdir("pets")
        names = (f"{'cats' if seed % 2 else 'dogs'}/{seed:04}.jpg" for seed in range(count))
        files.pipe({f"pets/pictures/{name}": picture(seed) for seed, name in enumerate(names)})
        for delay_ms in DELAYS_MS:
            with later(environment, delay_ms) as address:
                os.environ["AWS_ENDPOINT_URL"] = address
                lines.append(f"the server answers {delay_ms} ms later")
                for name, cost in best_of(WAYS, rounds).items():
                    rate = count / cost.wall_s
                    lines.append(f"  {name:30} {cost.wall_s:6.1f} s {rate:6.0f} pictures/s {cost.cpu_s:6.1f} s CPU")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--files", type=int, default=FILES, help="Fewer: measure once, print, write nothing.")
    arguments = parser.parse_args()
    if arguments.files == FILES:
        write_result("remote_source.txt", measure(FILES, ROUNDS))
    else:
        print("\n".join(measure(arguments.files, 1)))


if __name__ == "__main__":
    main()
