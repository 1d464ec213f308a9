"""What labels.py judges: pictures with wrong labels of which the true ones are known."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from curate.embeddings import embed
from curate.executors import Serial

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

FOLDERS = ("pets", "caltech12")
NOISE = 0.1
HUMAN = ("aggre", "worse")  # the majority of three annotators, the worst of three


@dataclass(frozen=True)
class Pictures:
    """vectors: (N, D). copies: (N,), equal for equal bytes. truth: (N,), class index. labels: people's, (N,)."""

    vectors: Floats
    copies: Ints
    truth: Ints
    labels: dict[str, Ints]


def load_folder(folder: Path, spec: str, cache: Path) -> Pictures:
    """Pictures in one folder per class."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    names = sorted({file.parent.name for file in files})
    truth = np.array([names.index(file.parent.name) for file in files])
    return Pictures(*_embedded(files, folder, spec, cache), truth=truth, labels={})


def load_cifar(data: Path, spec: str, cache: Path) -> Pictures:
    """CIFAR-10N: what people wrote, and the true class."""
    folder = data / "label_errors"
    with (folder / "cifar10n.csv").open(encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    labels = {name: np.array([int(row[f"{name}_label"]) for row in rows]) for name in (*HUMAN, "clean")}
    embedded = _embedded([folder / row["path"] for row in rows], folder, spec, cache)
    return Pictures(*embedded, truth=labels["clean"], labels=labels)


def _embedded(files: list[Path], folder: Path, spec: str, cache: Path) -> tuple[Floats, Ints]:
    digests = [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]
    rows = pd.DataFrame(
        {
            "path": [file.relative_to(folder).as_posix() for file in files],
            "sha256": digests,
            "size_bytes": [file.stat().st_size for file in files],
        }
    )
    vectors = embed(rows, folder, spec, cache, Serial()).of(digests)
    return vectors, np.unique(digests, return_inverse=True)[1]


def seeded(truth: Ints, seed: int, toward: Ints | None = None) -> Ints:
    """Labels of which a tenth is wrong: any other class, or for each class that of `toward` (K,)."""
    random = np.random.default_rng(seed)
    labels, classes = truth.copy(), int(truth.max()) + 1
    wrong = random.choice(len(truth), round(NOISE * len(truth)), replace=False)
    other = (truth[wrong] + random.integers(1, classes, len(wrong))) % classes
    labels[wrong] = other if toward is None else toward[truth[wrong]]
    return labels


def most_confused(vectors: Floats, truth: Ints) -> Ints:
    """For each class, (K,), the class that a logistic regression takes it for most."""
    from labels_peers import cross_validated

    said = cross_validated(vectors, truth)
    mean = np.array([said[truth == label].mean(axis=0) for label in range(said.shape[1])])
    np.fill_diagonal(mean, 0)
    return np.asarray(mean.argmax(axis=1))


def published(data: Path) -> Iterator[tuple[str, Ints, Floats, Ints, Bools]]:
    """Test sets with published probabilities: name, labels, probabilities, rows that five people voted on, wrong."""
    for name in ("mnist", "cifar10"):
        stem = data / "label_errors" / name
        labels = np.load(f"{stem}_labels.npy").astype(np.int64)
        probabilities = np.load(f"{stem}_pred_probs.npy").astype(np.float32)
        votes = json.loads(Path(f"{stem}_votes.json").read_text(encoding="utf-8"))
        voted = np.array([one["id"] for one in votes])
        yield name, labels, probabilities, voted, np.array([one["mturk"]["given"] < 3 for one in votes])
