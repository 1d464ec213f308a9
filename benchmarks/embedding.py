"""Throughput of embeddings from files beside onnxruntime's own on pictures that are decoded already, alternating.

    python benchmarks/embedding.py --data ../shared/data        (writes benchmarks/results/embedding.txt)

`curate` reads, hashes, decodes and prepares every file of pets and photos, runs MobileNetV2 and keeps the vectors. The
others only run the model, on as many pictures that wait in memory in its own layout: with onnxruntime's default
threads, with one thread per core, and with one process of one thread per core. Loading the model and running it for
the first time is in ours and not in theirs; so the start-up is measured by itself, on one chunk per worker, and
`further` is what each more picture takes. The best of theirs counts. Wall-clock time depends on what else the machine
does; of CPU time that is less so.
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from curate.embeddings import CHUNK, embed
from curate.executors import available_cores, executor_for
from curate.imaging import open_image
from curate.models import open_backbone
from curate.settings import ExecutorSettings
from processes import Cost, header, write_result

CORES = available_cores()
START = CORES * CHUNK  # pictures until every worker has run the model


def listed(root: Path) -> pd.DataFrame:
    """The pictures of pets and photos, as the table has them."""
    files = [file for folder in ("pets", "photos") for file in sorted((root / folder).rglob("*.*"))]
    data = {file.relative_to(root).as_posix(): file.read_bytes() for file in files}
    rows = pd.DataFrame(
        [(path, hashlib.sha256(one).hexdigest(), len(one)) for path, one in data.items()],
        columns=["path", "sha256", "size_bytes"],
    )
    return rows.drop_duplicates("sha256")


def decoded(rows: pd.DataFrame, root: Path, model: Path) -> NDArray[np.float32]:
    """Some of the pictures as the model's input, (B, 3, 224, 224); the same few serve again and again."""
    some = [(root / path).read_bytes() for path in rows["path"][:: max(1, len(rows) // 64)][:64]]
    backbone = open_backbone(model)
    pictures = np.stack([backbone.prepare(open_image(data, backbone.min_side_px)) for data in some])
    return np.ascontiguousarray(((pictures.astype(np.float32) - 127.5) / 127.5).transpose(0, 3, 1, 2))


def bare(inputs: NDArray[np.float32], count: int, model: Path, threads: int, batch: int) -> Callable[[], object]:
    """A function that runs the model on `count` pictures, its session open. threads: 0 = onnxruntime's default."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(str(model), options)
    name = session.get_inputs()[0].name
    session.run(["embedding"], {name: inputs[:batch]})

    def run() -> None:
        for start in range(0, count, batch):
            at = start % len(inputs)
            session.run(["embedding"], {name: inputs[at : at + min(batch, count - start)]})

    return run


def timed(function: Callable[[], object]) -> Cost:
    """CPU of this process and of those it starts meanwhile, and wall-clock time."""
    started, before = time.perf_counter(), _cpu_s()
    function()
    return Cost(_cpu_s() - before, time.perf_counter() - started)


def _cpu_s() -> float:
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in both)


def ours(rows: pd.DataFrame, root: Path, model: Path) -> Cost:
    """`embed` with an empty cache."""
    with tempfile.TemporaryDirectory() as cache:
        return timed(lambda: embed(rows, root, str(model), Path(cache), executor_for(ExecutorSettings())))


def in_processes(inputs: NDArray[np.float32], count: int, model: Path, batch: int) -> Cost:
    """One process per core, one thread each, which begin together."""
    context: Any = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    barrier, answers = context.Barrier(CORES), context.Queue()
    share = -(-count // CORES)
    started = [
        context.Process(target=_one_process, args=(inputs, share, model, batch, barrier, answers)) for _ in range(CORES)
    ]
    for process in started:
        process.start()
    costs = [answers.get() for _ in started]
    for process in started:
        process.join()
    return Cost(sum(cost.cpu_s for cost in costs), max(cost.wall_s for cost in costs))


def _one_process(
    inputs: NDArray[np.float32], count: int, model: Path, batch: int, barrier: Barrier, answers: Any
) -> None:
    run = bare(inputs, count, model, 1, batch)
    barrier.wait()
    answers.put(timed(run))


def main() -> None:
    """Alternate all contenders, then write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    model = options.data / "models" / "mobilenetv2.onnx"
    if not model.is_file():
        sys.exit(f"There is no file {model}: this benchmark needs the real data, see --data.")
    rows = listed(options.data)
    inputs, count = decoded(rows, options.data, model), len(rows)
    contenders: dict[str, Callable[[], Cost]] = {
        "curate, from files": lambda: ours(rows, options.data, model),
        "curate, start-up": lambda: ours(rows[:: count // START][:START], options.data, model),
        "default threads, batches of 32": lambda: timed(bare(inputs, count, model, 0, 32)),
        f"{CORES} threads, batches of 32": lambda: timed(bare(inputs, count, model, CORES, 32)),
        f"{CORES} processes, batches of 32": lambda: in_processes(inputs, count, model, 32),
        f"{CORES} processes, batches of 8": lambda: in_processes(inputs, count, model, 8),
        f"{CORES} processes, batches of 4": lambda: in_processes(inputs, count, model, 4),
    }
    costs: dict[str, list[Cost]] = {name: [] for name in contenders}
    for _ in range(options.rounds):
        for name, run in contenders.items():
            costs[name].append(run())
    lines = header("Embedding: throughput", ["curate", "onnxruntime", "numpy", "pillow", "simplejpeg", "pyarrow"])
    lines.append(f"{count} pictures of pets and photos, MobileNetV2 at 224 px; median of {options.rounds}")
    write_result("embedding.txt", lines + table(costs, count))


def table(costs: dict[str, list[Cost]], count: int) -> list[str]:
    """One line per contender, and the shares."""
    wall = {name: statistics.median(cost.wall_s for cost in some) for name, some in costs.items()}
    cpu = {name: statistics.median(cost.cpu_s for cost in some) for name, some in costs.items()}
    mine, start, *others = costs
    rows = [f"{name:34}{count / wall[name]:10.1f}{cpu[name] / count * 1000:14.2f}" for name in (mine, *others)]
    further = {"wall": wall[mine] - wall[start], "cpu": cpu[mine] - cpu[start]}
    further = {kind: spent / (count - START) * count for kind, spent in further.items()}
    best = {"wall": min(wall[name] for name in others), "cpu": min(cpu[name] for name in others)}
    return [
        f"{'':34}{'images/s':>10}{'CPU ms/image':>14}",
        *rows,
        f"{'curate, further':34}{count / further['wall']:10.1f}{further['cpu'] / count * 1000:14.2f}",
        f"start-up with {START} pictures: {wall[start]:.2f} s, of CPU {cpu[start]:.2f} s",
        "",
        f"{'curate beside the best bare one':34}{'all':>10}{'further':>14}",
        f"{'throughput':34}{best['wall'] / wall[mine]:10.0%}{best['wall'] / further['wall']:14.0%}",
        f"{'CPU':34}{best['cpu'] / cpu[mine]:10.0%}{best['cpu'] / further['cpu']:14.0%}",
    ]


if __name__ == "__main__":
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    main()
