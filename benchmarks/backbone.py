"""How good the vectors of backbones are, on pictures that ours was not trained on.

    python benchmarks/backbone.py --data ../shared/data [FILE.onnx ...]   (writes benchmarks/results/backbone.txt)

Compared are `builtin`, `classic`, MobileNetV2, which taught `builtin`, and the files given.

Sets: Caltech-101 classes that training/backbone/sources.py leaves out (drawn there by a fixed seed), a sample of
CIFAR-10 with its true labels, and cats and dogs. The last are other pictures than the student saw, but of a kind that
it saw: 3,000 cats and dogs are in its corpus.

Of each: accuracy of a logistic regression and of nearest neighbours, both cross-validated, and the average precision
of finding a tenth of wrong labels by `curate.suspicion`, mean of five seeds.

Copies: 40 pictures of the held-out classes, edited in the ways of quality_duplicates.py. Found is an edited copy whose
nearest of 250 such pictures is the one it was made of.
"""

from __future__ import annotations

import argparse
import csv
import importlib.util
import sys
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from curate.heads import out_of_sample
from curate.imaging import open_image
from curate.lookalikes import unit_length
from curate.models import Backbone, open_backbone
from curate.suspicion import judge_labels
from labels_data import seeded
from processes import header, write_result
from quality_duplicates import EDITS, edited_file

SEEDS = 5
NEIGHBOURS = 10
CIFAR = 1500  # pictures; more change no figure by .01
MOST_PER_CLASS = 100
SOURCES = Path(__file__).parent.parent / "training/backbone/sources.py"
COPIED, AMONG = 40, 250  # pictures

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Pictures = tuple[list[Path], Ints]


def held_out(data: Path) -> Pictures:
    """Caltech-101 classes that only judge."""
    specification = importlib.util.spec_from_file_location("sources", SOURCES)
    assert specification is not None
    assert specification.loader is not None
    sources = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(sources)
    corpus = data / "corpus"
    return in_folders([corpus / "caltech101" / name for name in sources.heldout_classes(corpus)])


def in_folders(folders: list[Path]) -> Pictures:
    """Pictures in one folder per class, the first of each."""
    files, labels = [], []
    for label, folder in enumerate(folders):
        found = sorted(path for path in folder.iterdir() if path.is_file())[:MOST_PER_CLASS]
        files += found
        labels += [label] * len(found)
    return files, np.array(labels)


def cifar(data: Path) -> Pictures:
    """The first pictures of CIFAR-10's training set, 32 px."""
    folder = data / "label_errors"
    with (folder / "cifar10n.csv").open(encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))[:CIFAR]
    return [folder / row["path"] for row in rows], np.array([int(row["clean_label"]) for row in rows])


def vectors_of(backbone: Backbone, contents: list[bytes]) -> tuple[Floats, float]:
    """(N, D), and how many pictures a second the model itself takes on one thread, decoding left out."""
    prepared = [backbone.prepare(open_image(one, backbone.min_side_px)) for one in contents]
    started = time.process_time()
    parts = [backbone.embed(np.stack(prepared[at : at + 32])) for at in range(0, len(prepared), 32)]
    return np.concatenate(parts), len(contents) / (time.process_time() - started)


def probe_accuracy(vectors: Floats, labels: Ints) -> float:
    """Share of right answers of a logistic regression, out of sample, as `curate prelabel` fits it."""
    rows, classes = np.arange(len(labels)), int(labels.max()) + 1
    said = out_of_sample(vectors, labels, rows, classes, repeats=1).by_head["linear"]
    return float((said.argmax(axis=1) == labels).mean())


def neighbour_accuracy(vectors: Floats, labels: Ints) -> float:
    """Share of right answers by the most similar pictures, five folds."""
    from sklearn.model_selection import StratifiedKFold, cross_val_score
    from sklearn.neighbors import KNeighborsClassifier

    model = KNeighborsClassifier(NEIGHBOURS, weights="distance", metric="cosine")
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    return float(cross_val_score(model, vectors, labels, cv=folds).mean())


def wrong_label_precision(vectors: Floats, truth: Ints) -> float:
    """Average precision of finding a tenth of wrong labels, as `curate flag` ranks them."""
    from sklearn.metrics import average_precision_score

    rows, classes, found = np.arange(len(truth)), int(truth.max()) + 1, []
    for seed in range(SEEDS):
        labels = seeded(truth, seed)
        said = out_of_sample(vectors, labels, rows, classes)
        verdict = judge_labels(labels, said.calibrated, rows)
        found.append(average_precision_score(labels != truth, -verdict.quality))
    return float(np.mean(found))


def copies_found(backbone: Backbone, photos: list[bytes], edited: list[list[bytes]]) -> float:
    """Share of the edited copies whose nearest picture is their own. edited: of the first photos."""
    known = unit_length(vectors_of(backbone, photos)[0])
    nearest = [(unit_length(vectors_of(backbone, copies)[0]) @ known.T).argmax(axis=1) for copies in edited]
    return float(np.mean([found == number for number, found in enumerate(nearest)]))


def edited_copies(data: Path) -> tuple[list[bytes], list[list[bytes]]]:
    """Pictures that no training saw, and of each of the first of them its edited copies."""
    files = held_out(data)[0]
    photos = [files[row] for row in np.random.default_rng(0).choice(len(files), AMONG, replace=False)]
    edited = [[edited_file(path, edit) for edit in EDITS.values()] for path in photos[:COPIED]]
    return [path.read_bytes() for path in photos], edited


def main() -> None:
    """Print and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("models", nargs="*", help="further models: names or ONNX files")
    asked = parser.parse_args()
    if not (asked.data / "corpus").is_dir():
        sys.exit(f"No pictures in {str(asked.data)!r}: this benchmark needs the corpus, which is not ours to share.")
    sets = {
        "caltech, held out": held_out(asked.data),
        "cifar10": cifar(asked.data),
        "pets (kind was seen)": in_folders([asked.data / "pets" / name for name in ("cats", "dogs")]),
    }
    specs = ["builtin", "classic", str(asked.data / "models/mobilenetv2.onnx"), *asked.models]
    lines = [f"{'':24}{'':14}{'images':>8}{'probe':>8}{'kNN':>8}{'AP':>8}{'images/s':>10}"]
    for name, (files, labels) in sets.items():
        for spec in specs:
            vectors, speed = vectors_of(open_backbone(spec), [file.read_bytes() for file in files])
            figures = [measure(vectors, labels) for measure in (probe_accuracy, neighbour_accuracy)]
            figures.append(wrong_label_precision(vectors, labels))
            cells = "".join(f"{figure:8.3f}" for figure in figures)
            lines.append(f"{name:24}{Path(spec).stem:14}{len(files):8}{cells}{speed:10.0f}")
            sys.stderr.write(lines[-1] + "\n")
    photos, edited = edited_copies(asked.data)
    lines += ["", f"{'':24}{'':14}{'copies':>8}{'found':>8}"]
    for spec in specs:
        found = copies_found(open_backbone(spec), photos, edited)
        lines.append(f"{'edited pictures':24}{Path(spec).stem:14}{sum(map(len, edited)):8}{found:8.3f}")
        sys.stderr.write(lines[-1] + "\n")
    title = "Backbones on pictures that ours was not trained on, see benchmarks/backbone.py"
    write_result("backbone.txt", [*header(title, ["numpy", "scikit-learn", "onnxruntime"]), *lines])


if __name__ == "__main__":
    main()
