"""What a split at random leaks, and what ours does: copies of test pictures in training, and what they are worth.

    python benchmarks/leakage.py                  (writes benchmarks/results/leakage.txt; some 2 minutes)

Twenty splits of each kind, 80 : 10 : 10, on Caltech pictures of 12 classes, on pets and on the sample of road signs.
The nearest neighbour looks through `classic` and through MobileNetV2. Then the time for 100,000 pictures, and
what happens when 30 % of them are new.
"""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

import curate
from curate.belonging import Belonging, belonging_groups, near_pairs
from curate.cache import Cache
from curate.captures import captures_of
from curate.checks.near_duplicate import CHECK
from curate.checks.near_duplicate import Settings as NearDuplicates
from curate.embeddings import embed
from curate.executors import Serial
from curate.leakage import SplitLeak, audit
from curate.splitting import assign
from processes import data_folder, header, write_result

Ints = NDArray[np.int64]

SEEDS = 20
FRACTIONS = {"train": 0.8, "val": 0.1, "test": 0.1}
SAMPLE = Path(__file__).parents[1] / "sample_datasets" / "road_signs"


def at_random(count: int, seed: int) -> list[str]:
    """As scripts do it: shuffled and cut, class or copy regardless."""
    order = np.random.default_rng(seed).permutation(count)
    names = np.array(["train"] * count, object)
    names[order[: count // 10]], names[order[count // 10 : count // 5]] = "test", "val"
    return list(names)


def measure(name: str, folder: Path, models: Sequence[str], store: Path) -> list[str]:
    """The lines of one data set."""
    table = curate.clean(folder, store=store).table
    table = table[(table["sha256"].fillna("") != "") & table["read_error"].isna()]
    table = table.drop_duplicates("path").reset_index(drop=True)
    labels = np.asarray(table["label"].astype("category").cat.codes, np.int64)
    relations = Cache(store / "cache").relations(CHECK.task)
    assert relations is not None  # `clean` has just kept them
    near = near_pairs(table, relations, NearDuplicates().min_similarity)
    captures = captures_of(table, folder, store / "cache", Serial())
    groups = belonging_groups(table, captures, Belonging(), near)
    digests = list(table["sha256"])
    ways: dict[str, Callable[[int], list[str]]] = {
        "random": lambda seed: at_random(len(table), seed),
        "curate": lambda seed: assign(groups.ids, labels, digests, FRACTIONS, [None] * len(table), str(seed)).splits,
    }
    lines = [f"{name}: {len(table):,} pictures, {groups}"]
    for model in models:
        found = embed(table, folder, model, store / "cache", Serial())
        vectors = np.zeros((len(table), found.vectors.shape[1]), np.float32)
        has = found.has(digests)
        vectors[has] = found.of(list(table["sha256"][has]))
        for way, split in ways.items():
            tests = [audit(table, split(seed), groups.ids, vectors, labels).splits[0] for seed in range(SEEDS)]
            lines.append(line(Path(model).stem, way, tests))
    return [*lines, ""]


def line(model: str, way: str, tests: Sequence[SplitLeak]) -> str:
    """Totals over the test splits of all seeds, in percent."""
    gains = [test.gain for test in tests if test.gain is not None]
    leaked = 100 * sum(test.leaked for test in tests) / sum(test.pictures for test in tests)

    def percent(right: int, total: int) -> str:
        return f"{100 * right / total:7.1f}" if total else "      -"

    columns = [
        percent(sum(gain.leaked.count for gain in gains), sum(gain.leaked.total for gain in gains)),
        percent(sum(gain.leaked_alone.count for gain in gains), sum(gain.leaked.total for gain in gains)),
        percent(sum(gain.clean.count for gain in gains), sum(gain.clean.total for gain in gains)),
        f"{100 * float(np.mean([gain.gain for gain in gains])):+7.2f}",
        f"{100 * max(gain.gain for gain in gains):+7.2f}",
    ]
    return f"  {model:12} {way:7}{leaked:8.1f}" + "".join(f"{column:>9}" for column in columns)


def at_scale(count: int) -> list[str]:
    """CPU seconds for so many pictures of 500 classes, and what 30 % new ones do to the old."""
    random = np.random.default_rng(0)
    in_groups = random.random(count) < 0.3
    groups = np.where(in_groups, random.integers(0, count // 10, count), count + np.arange(count))
    labels = random.choice(500, 2 * count, p=random.dirichlet(np.full(500, 0.3)))[groups]
    digests = [hashlib.sha256(str(number).encode()).hexdigest() for number in range(count)]
    old = random.random(count) > 0.3
    started = time.process_time()
    first = assign(groups[old], labels[old], list(np.array(digests)[old]), FRACTIONS, [None] * int(old.sum()), "")
    first_s = time.process_time() - started
    before = pd.Series([None] * count, dtype=object)
    before[old] = first.splits
    started = time.process_time()
    second = assign(groups, labels, digests, FRACTIONS, before.where(before.notna(), None).tolist(), "")
    second_s = time.process_time() - started
    moved = sum(one != other for one, other in zip(first.splits, np.array(second.splits)[old], strict=True))
    parted = len(set(zip(groups.tolist(), second.splits, strict=True))) - len(np.unique(groups))
    shares = ", ".join(f"{name} {100 * share:.2f} %" for name, share in second.shares.items())
    label, split, off = second.worst_class()
    return [
        f"{count:,} pictures of 500 classes, {int(in_groups.sum()):,} of them in groups:",
        f"  {int(old.sum()):,} split in {first_s:.1f} s of CPU; {second.new:,} more in {second_s:.1f} s",
        f"  moved: {moved}; groups parted: {parted}; {shares}",
        f"  the class furthest off has {off:+.1f} pictures in {split} (class {label})",
    ]


def main() -> None:
    """Measure all and keep the result."""
    data = data_folder(__doc__, "caltech12")
    models = ["classic", str(data / "models" / "mobilenetv2.onnx")]
    lines = header("What a split leaks from test to training", ["curate", "numpy", "onnxruntime"])
    lines += [f"Test splits of {SEEDS} seeds, in percent. leaked: with a picture of its group in training."]
    lines += ["Right by the nearest training picture: of the leaked, of the same without their group, of the others."]
    lines += ["gain: accuracy on all, less that without any answer by the own group: mean, and worst of the seeds.", ""]
    head = "".join(f"{word:>9}" for word in ("leaked", "without", "others", "gain", "worst"))
    lines += [f"  {'model':12} {'split':7}{'leaked':>8}{head}"]
    with tempfile.TemporaryDirectory() as stores:
        for name, folder in (("road signs", SAMPLE), ("caltech12", data / "caltech12"), ("pets", data / "pets")):
            lines += measure(name, folder, models, Path(stores) / name)
    write_result("leakage.txt", [*lines, *at_scale(100_000)])


if __name__ == "__main__":
    main()
