"""Nearest neighbours at scale: 100,000 vectors of 512 numbers, all pairs and by an index; time, memory, recall.

    python benchmarks/neighbours.py               (writes benchmarks/results/neighbours.txt; some 3 minutes)

The vectors are made as embeddings are: clusters of very different size, each spread along a few directions of its
own, and some vectors that belong to none. One in ten pictures is a copy and may not vouch for its original. Each way
runs as a process of its own, so that its memory is its own; making the vectors is in both.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from curate.lookalikes import EXACT_PAIRS, nearest
from processes import cpu_seconds, header, peak_memory_mb, write_result

K = 10


def vectors(count: int, dimensions: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Clustered vectors (count, dimensions) and the group of each, (count,)."""
    rng = np.random.default_rng(3)
    clusters = 400
    centres = rng.normal(size=(clusters, dimensions)).astype(np.float32)
    spread = rng.normal(size=(clusters, 24, dimensions)).astype(np.float32) / np.sqrt(24)
    sizes = rng.dirichlet(np.full(clusters, 0.5))
    cluster = rng.choice(clusters, count, p=sizes)
    made = rng.normal(size=(count, dimensions)).astype(np.float32) * 0.3
    for number in range(clusters):
        members = np.flatnonzero(cluster == number)
        made[members] += centres[number] + rng.normal(size=(len(members), 24)).astype(np.float32) @ spread[number]
    groups = np.arange(count)
    copies = rng.choice(count, count // 10, replace=False)
    groups[copies] = rng.permutation(copies)
    made[copies] = made[groups[copies]] + rng.normal(size=(len(copies), dimensions)).astype(np.float32) * 0.02
    return made, groups


def measure(way: str, count: int, dimensions: int, target: Path) -> None:
    """One way, once: keeps what it found and the CPU seconds of the search."""
    data, groups = vectors(count, dimensions)
    started = cpu_seconds()
    found = nearest(data, K, groups=groups, exact_pairs=count**2 if way == "exact" else min(EXACT_PAIRS, count))
    np.savez(target, indices=found.indices, cpu_s=cpu_seconds() - started, recall=found.recall)


def main() -> None:
    """Run both ways and compare what they found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--dimensions", type=int, default=512)
    parser.add_argument("--way", choices=["exact", "index"], help=argparse.SUPPRESS)
    parser.add_argument("--target", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.way:
        measure(options.way, options.count, options.dimensions, options.target)
        return
    size = f"{options.count:,} x {options.dimensions}"
    lines = header(f"The {K} nearest of {size}", ["curate", "numpy", "faiss-cpu"])
    lines.append(f"{'':8}{'CPU s':>8}{'peak MB':>9}{'recall':>8}{'recall as said':>16}")
    with tempfile.TemporaryDirectory() as scratch:
        found = {}
        for way in ("exact", "index"):
            target = Path(scratch) / f"{way}.npz"
            own = ["--count", str(options.count), "--dimensions", str(options.dimensions), "--way", way]
            peak = peak_memory_mb([sys.executable, __file__, *own, "--target", str(target)])
            found[way] = np.load(target)
            recall = share_found(found[way]["indices"], found["exact"]["indices"])
            row = f"{found[way]['cpu_s']:8.0f}{peak:9.0f}{recall:8.3f}{found[way]['recall']:16.3f}"
            lines.append(f"{way:8}{row}")
    write_result("neighbours.txt", lines)


def share_found(found: NDArray[np.int64], truth: NDArray[np.int64]) -> float:
    """Which share of the true neighbours is among those found, 0..1."""
    return float(np.mean([np.isin(one, other).mean() for one, other in zip(truth, found, strict=True)]))


if __name__ == "__main__":
    main()
