"""Throughput of `curate.load(…).torch()` beside torchvision's ImageFolder, on the same files, alternating.

    python benchmarks/loading.py --data ../shared/data        (writes benchmarks/results/loading.txt)

Both read the photographs of cats and dogs through torch's DataLoader with the same transform: `curate` from its store,
hashing every file, ImageFolder from an export whose files are links to those of the store. Once normalized to 224 px,
once the originals, which are scaled and cropped. ImageFolder decodes with Pillow. The workers are started before the
clock, and then read the whole set several times (items/s: median; best: of all rounds, which other work on the machine
disturbs least); CPU is that of all processes, the start of the workers included.
The batches of both are compared first: the same pixels and labels.

Needs torchvision in a build that goes with the installed torch; `make bench` leaves it out, as the one on PyPI can't be
imported beside the CPU build of torch.
"""

from __future__ import annotations

import argparse
import os
import pickle
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import curate
from curate.dataset import Dataset
from processes import Cost, header, write_result

EPOCHS = 4
BATCH = 32
OURS, THEIRS, BARE, PLAIN = "curate", "ImageFolder", "curate, own transform", "curate, no worker"


@dataclass(frozen=True)
class Task:
    """The same pictures as both see them. Reading either gives (tensor, label)."""

    ours: Any
    theirs: Any
    bare: Any


def task(data: Dataset, exported: Path, transform: Any, bare: bool) -> Task:
    """bare: whether our own way to a tensor fits, which makes no picture smaller."""
    from torchvision.datasets import ImageFolder

    return Task(data.torch(transform), ImageFolder(exported, transform), data.torch() if bare else None)


def epochs(pictures: Any, workers: int, count: int) -> Callable[[], Cost]:
    """Read everything so often; wall-clock time without the first time, in which workers start."""
    from torch.utils.data import DataLoader

    def run() -> Cost:
        before = _cpu_s()
        loader = DataLoader(pictures, BATCH, num_workers=workers, persistent_workers=workers > 0)
        _read(loader)
        started = time.perf_counter()
        for _ in range(count):
            _read(loader)
        wall = time.perf_counter() - started
        del loader  # ends the workers, whose time counts from then on
        return Cost(_cpu_s() - before, wall)

    return run


def _read(loader: Any) -> None:
    for _ in loader:
        pass


def _cpu_s() -> float:
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in both)


def require_same(one: Task, data: Dataset) -> None:
    """Stops when the two don't read the same pixels for the same labels: then there is nothing to compare."""
    import torch

    places = {Path(file).name: place for place, (file, _) in enumerate(one.theirs.samples)}
    for item in range(0, len(one.ours), 10):
        image, label = one.ours[item]
        other, other_label = one.theirs[places[Path(data.paths[item]).name]]
        if not torch.equal(image, other) or label != other_label:
            sys.exit(f"{data.paths[item]} differs from what ImageFolder reads.")
    if len(one.ours) != len(one.theirs):
        sys.exit(f"{len(one.ours)} items, ImageFolder has {len(one.theirs)}.")


def reading_alone(one: Task, data: Dataset, rounds: int) -> str:
    """CPU of opening and decoding, without torch: what is left of a picture's time is the same work for both."""
    ways: dict[str, Callable[[int], object]] = {
        OURS: lambda item: data[item],
        THEIRS: lambda item: one.theirs.loader(one.theirs.samples[item][0]),
    }
    cpu: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, read in ways.items():
            before = time.process_time()
            for item in range(len(data)):
                read(item)
            cpu[name].append((time.process_time() - before) / len(data) * 1000)
    ours, theirs = (statistics.median(cpu[name]) for name in ways)
    return f"reading alone, one process: CPU {ours:.2f} ms, {THEIRS} {theirs:.2f} ms, ratio {ours / theirs:.2f}"


def compared(title: str, one: Task, rounds: int) -> list[str]:
    """A table of one task."""
    contenders = {OURS: (one.ours, 2), THEIRS: (one.theirs, 2)}
    contenders |= {BARE: (one.bare, 2)} if one.bare else {}
    contenders |= {PLAIN: (one.ours, 0), f"{THEIRS}, no worker": (one.theirs, 0)}
    costs: dict[str, list[Cost]] = {name: [] for name in contenders}
    for turn in range(rounds):
        for name in list(contenders) if turn % 2 else list(contenders)[::-1]:
            pictures, workers = contenders[name]
            costs[name].append(epochs(pictures, workers, EPOCHS)())
    wall = {name: statistics.median(cost.wall_s for cost in some) for name, some in costs.items()}
    cpu = {name: statistics.median(cost.cpu_s for cost in some) for name, some in costs.items()}
    count = len(one.ours)
    best = {name: min(cost.wall_s for cost in some) for name, some in costs.items()}
    lines = [title, f"{'':28}{'items/s':>10}{'best':>10}{'CPU ms/item':>14}"]
    lines += [
        f"{name:28}{count * EPOCHS / wall[name]:10,.0f}{count * EPOCHS / best[name]:10,.0f}"
        f"{cpu[name] / count / (EPOCHS + 1) * 1000:14.2f}"
        for name in contenders
    ]
    lines.append(
        f"{OURS} / {THEIRS}, 2 workers: throughput {wall[THEIRS] / wall[OURS]:.2f}, "
        f"best {best[THEIRS] / best[OURS]:.2f}, CPU {cpu[OURS] / cpu[THEIRS]:.2f}"
    )
    return [*lines, ""]


def tasks(data: Path, folder: Path) -> dict[str, tuple[Task, Dataset]]:
    """The normalized pictures and the originals."""
    from torchvision import transforms

    pets = folder / "pets"
    pets.symlink_to((data / "pets").resolve())
    tensor = [transforms.ToTensor(), transforms.Normalize((0.5,) * 3, (0.25,) * 3)]
    smaller = [transforms.Resize(256), transforms.CenterCrop(224)]
    curate.clean(pets)
    curate.export(pets, folder / "originals")
    version = curate.normalize(pets, changes={"normalize.size": "224"}).version
    curate.export(pets, folder / "normalized")
    normalized, originals = curate.load(pets), curate.load(pets, version=f"v{version.number - 1}")
    return {
        "normalized to 224 px": (task(normalized, folder / "normalized", transforms.Compose(tensor), True), normalized),
        "originals": (task(originals, folder / "originals", transforms.Compose(smaller + tensor), False), originals),
    }


def main() -> None:
    """Alternate both, then write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    if not (options.data / "pets").is_dir():
        parser.error(f"there is no folder {options.data / 'pets'}: this benchmark needs the real data, see --data")
    lines = header("Loading for training", ["curate", "torch", "torchvision", "pillow", "simplejpeg"])
    lines.append(f"batches of {BATCH}; median of {options.rounds}, each of {EPOCHS} times all pictures")
    lines.append("")
    with tempfile.TemporaryDirectory() as folder:
        for name, (one, data) in tasks(options.data, Path(folder)).items():
            require_same(one, data)
            lines += compared(f"{len(data)} photographs of cats and dogs, {name}", one, options.rounds)
            size = len(pickle.dumps(data.reader)) / len(data)
            lines[-1:] = [
                reading_alone(one, data, options.rounds),
                f"sent to a worker that is spawned: {size:.0f} bytes a picture",
                "",
            ]
    write_result("loading.txt", lines[:-1])


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
