"""Off-topic pictures: some are planted among pictures of something else; are they found, and is the rest left alone?

    python benchmarks/outliers.py --data ../shared/data     (also a part of benchmarks/labels.py)

Beside cleanlab's score (mean cosine distance to ten) and the cut that its Datalab uses by default, on the same
embeddings. False alarms are counted in the same sets without the planted pictures. The sample's pictures are judged
as they are, blurred and overexposed ones among them. Cut and neighbours were chosen on other pictures, see
`curate.outliers`.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from curate.errors import UnreadableImage
from curate.imaging import open_image
from curate.lookalikes import nearest
from curate.models import Backbone, open_backbone
from curate.outliers import MIN_TYPICALITY, typicality
from processes import data_folder, header, write_result

SAMPLE = Path(__file__).parent.parent / "sample_datasets"
PLANTED_SHARE = 0.03  # as many off-topic pictures as a folder collected from the web easily has


@dataclass(frozen=True)
class Planted:
    """Files, and which of them are off-topic, (N,)."""

    name: str
    files: list[Path]
    off_topic: NDArray[np.bool_]


def planted_sets(data: Path) -> list[Planted]:
    """The sets that are judged."""
    pets = _files(data / "pets")
    objects = _files(data / "caltech12")
    ships = [file for file in objects if file.parent.name == "ketch"]
    others = [file for file in objects if file.parent.name != "ketch"]
    photos, tiny = _files(data / "photos"), _files(data / "label_errors" / "cifar10n_images")
    return [
        _plant("pets + photos", pets, photos),
        _plant("pets + sailing ships", pets, ships),
        _plant("pets + CIFAR", pets, tiny),
        _plant("11 objects + photos", others, photos),
        _plant("11 objects + pets", others, pets),
        _plant("11 objects + sailing ships", others, ships),
        _plant("photos of CIFAR + pets", list(_some(tiny, 1000)), pets),
        _sample(),
    ]


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _some(files: list[Path], count: int) -> list[Path]:
    return [files[number] for number in np.random.default_rng(1).choice(len(files), count, replace=False)]


def _plant(name: str, files: list[Path], strangers: list[Path]) -> Planted:
    planted = _some(strangers, round(len(files) * PLANTED_SHARE))
    return Planted(name, [*files, *planted], np.arange(len(files) + len(planted)) >= len(files))


def _sample() -> Planted:
    with (SAMPLE / "road_signs.key.csv").open(encoding="utf-8", newline="") as stream:
        key = [row for row in csv.DictReader(stream) if "copy" not in row["fault"]]
    files = [SAMPLE / "road_signs" / row["path"] for row in key]
    return Planted("the sample's road signs", files, np.array([row["fault"] == "off_topic" for row in key]))


def embedded(files: list[Path], backbone: Backbone, known: dict[Path, NDArray[np.float32]]) -> NDArray[np.bool_]:
    """Which files can be read, (N,); their vectors are added to `known`."""
    for file in files:
        if file not in known:
            try:
                item = backbone.prepare(open_image(file.read_bytes()))
            except UnreadableImage:
                continue
            known[file] = backbone.embed(item[None])[0]
    return np.array([file in known for file in files])


def rows(data: Path) -> list[str]:
    """The table, a line per set and backbone."""
    lines = ["Off-topic pictures. alarms: share flagged in the same set without the planted ones"]
    lines.append(f"{'':39}{'curate':40}cleanlab's default")
    columns = f"{'AUROC':>7}{'AP':>6}{'prec.':>7}{'recall':>8}{'alarms':>8}"
    lines.append(f"{'':34}{columns}    {columns}")
    for spec in (data / "models" / "mobilenetv2.onnx", "builtin", "classic"):
        backbone, known = open_backbone(spec), dict[Path, NDArray[np.float32]]()
        lines.append(backbone.name)
        for one in planted_sets(data):
            readable = embedded(one.files, backbone, known)
            vectors = np.stack([known[file] for file in one.files if file in known])
            lines.append(f"  {one.name:32}{_row(vectors, one.off_topic[readable])}")
    return lines


def _row(vectors: NDArray[np.float32], off_topic: NDArray[np.bool_]) -> str:
    from sklearn.metrics import average_precision_score, roc_auc_score

    parts = []
    for judge in (_ours, _cleanlab):
        score, flagged = judge(vectors)
        _, alarms = judge(vectors[~off_topic])
        hits = int((flagged & off_topic).sum())
        ranks = f"{roc_auc_score(off_topic, -score):7.3f}{average_precision_score(off_topic, -score):6.2f}"
        precision = f"{hits / flagged.sum():7.2f}" if flagged.any() else f"{'-':>7}"
        parts.append(f"{ranks}{precision}{hits / off_topic.sum():8.2f}{alarms.mean():8.3f}")
    return "    ".join(parts)


def _ours(vectors: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    score = typicality(nearest(vectors, 5))
    return score, score < MIN_TYPICALITY


def _cleanlab(vectors: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """What Datalab does, which itself needs one more large dependency: its cut is 1.7 interquartile ranges."""
    from cleanlab.datalab.internal.issue_manager.outlier import OutlierIssueManager
    from cleanlab.internal.neighbor.knn_graph import features_to_knn
    from cleanlab.outlier import OutOfDistribution

    score = OutOfDistribution().fit_score(features=vectors, verbose=False)
    distances, _ = features_to_knn(vectors, n_neighbors=10).kneighbors()
    mean = distances.mean(axis=1)
    low, high = np.percentile(mean, [25, 75])
    cut = OutlierIssueManager.DEFAULT_THRESHOLDS["features"]
    return score, mean > high + (1 / cut - 1) * (high - low)


def main() -> None:
    """Print and keep the table."""
    data = data_folder(__doc__, "pets")
    head = header("curate: off-topic pictures", ["curate", "cleanlab", "numpy", "onnxruntime"])
    write_result("outliers.txt", [*head, *rows(data)])


if __name__ == "__main__":
    main()
