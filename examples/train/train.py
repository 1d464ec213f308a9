"""Train on the pictures as they were found and on two pinned versions; judge all by the same trusted test pictures.

    python train.py                         # about two minutes on two cores; after python prepare.py
    python train.py --seeds 1 --epochs 2    # a quick look
    python train.py --model BACKBONE.onnx   # another frozen backbone than the built-in one

Two models: a linear head on a frozen backbone, and a small convolutional network from scratch. They differ in nothing
but the pictures and labels they learn from; both weigh the loss so that rare classes count as much as frequent ones.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor, nn

import curate
from curate.dataset import Dataset
from curate.imaging import DecodedImage
from curate.models import open_backbone

HERE = Path(__file__).resolve().parent
SAMPLE = HERE.parents[1] / "sample_datasets" / "road_signs"
AS_FOUND, UNREVIEWED, REVIEWED = "as found", "curated, nobody looked", "curated and reviewed"
HEAD, NETWORK = "linear head on a frozen backbone", "small convolutional network"
BATCH = 32
RESAMPLES = 2000  # of the bootstrap

Predict = Callable[[NDArray[np.uint8]], NDArray[np.int64]]


@dataclass(frozen=True)
class Pictures:
    """What a model learns from. images: (N, side, side, 3). weights: (K,) of the classes. mean, std: of the pixels."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    weights: NDArray[np.float64]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __len__(self) -> int:
        return len(self.labels)


def pinned(lock: str, split: str) -> Dataset:
    """One split of a version that a lock file pins."""
    return curate.load(HERE / lock, split=split)


def curated(data: Dataset) -> Pictures:
    """A split that is small enough to be held in memory; a larger one goes through DataLoader(data.torch())."""
    images, labels = data.numpy()
    return Pictures(images, labels, data.class_weights(), *data.mean_std)


def as_found(test: Dataset) -> tuple[Pictures, int]:
    """What the folder holds besides the test pictures, labelled by its folders; and how many files are no pictures."""
    rows = pd.read_csv(HERE / "pictures.csv", keep_default_na=False)
    rows = rows[(rows["label"] != "") & ~rows["path"].isin(test.paths)]
    side_px = test[0][0].width
    found: list[tuple[NDArray[np.uint8], int]] = []
    for path, label in zip(rows["path"], rows["label"], strict=True):
        try:
            image = ImageOps.exif_transpose(Image.open(SAMPLE / path)).convert("RGB")
        except OSError:
            continue
        small = ImageOps.fit(image, (side_px, side_px), Image.Resampling.LANCZOS)
        found.append((np.asarray(small), test.classes.index(label)))
    images, labels = np.stack([image for image, _ in found]), np.array([label for _, label in found])
    weights = len(labels) / (len(test.classes) * np.bincount(labels, minlength=len(test.classes)))
    pixels = images.reshape(-1, 3) / 255
    return Pictures(images, labels, weights, tuple(pixels.mean(0)), tuple(pixels.std(0))), len(rows) - len(found)


# ---- Two models


def train_head(data: Pictures, embed: Callable[[NDArray[np.uint8]], Tensor], epochs: int, seed: int) -> Predict:
    """Multinomial logistic regression on the vectors of a frozen backbone."""
    torch.manual_seed(seed)
    vectors = embed(data.images)
    mean, std = vectors.mean(0), vectors.std(0) + 1e-6
    head = nn.Linear(vectors.shape[1], len(data.weights))
    fit(head, (vectors - mean) / std, data, epochs, rate=1e-3, decay=1e-2)
    return lambda images: predicted(head, (embed(images) - mean) / std)


def train_network(data: Pictures, epochs: int, seed: int) -> Predict:
    """Three convolutions and a mean, on pictures at half size that are moved about a little."""
    torch.manual_seed(seed)
    layers: list[nn.Module] = []
    for come, go in ((3, 16), (16, 32), (32, 64)):
        layers += [nn.Conv2d(come, go, 3, padding=1, bias=False), nn.BatchNorm2d(go), nn.ReLU(), nn.MaxPool2d(2)]
    network = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(64 * 4, len(data.weights)))
    fit(network, standardised(data.images, data), data, epochs, rate=2e-3, decay=1e-2, augment=moved)
    return lambda images: predicted(network, standardised(images, data))


def standardised(images: NDArray[np.uint8], data: Pictures) -> Tensor:
    """(N, 3, side / 2, side / 2) with the mean and deviation that the training pictures have."""
    planes = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    mean, std = (torch.tensor(values, dtype=torch.float32).view(1, 3, 1, 1) for values in (data.mean, data.std))
    return nn.functional.avg_pool2d((planes - mean) / std, 2)


def moved(batch: Tensor) -> Tensor:
    """Every picture shifted by up to 6 px; not mirrored, as signs that point left and right differ."""
    padded = nn.functional.pad(batch, (6, 6, 6, 6), mode="replicate")
    side = batch.shape[-1]
    corners = torch.randint(0, 13, (len(batch), 2)).tolist()
    return torch.stack([one[:, y : y + side, x : x + side] for one, (y, x) in zip(padded, corners, strict=True)])


def fit(
    model: nn.Module,
    inputs: Tensor,
    data: Pictures,
    epochs: int,
    rate: float,
    decay: float,
    augment: Callable[[Tensor], Tensor] | None = None,
) -> None:
    """Minimise the weighted cross-entropy; the learning rate falls to nothing along half a cosine."""
    labels = torch.from_numpy(data.labels)
    loss_of = nn.CrossEntropyLoss(torch.from_numpy(data.weights).float())
    optimiser = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs)
    model.train()
    for _ in range(epochs):
        for chosen in torch.randperm(len(labels)).split(BATCH):
            batch = inputs[chosen]
            loss = loss_of(model(augment(batch) if augment else batch), labels[chosen])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        schedule.step()


@torch.inference_mode()
def predicted(model: nn.Module, inputs: Tensor) -> NDArray[np.int64]:
    """The most probable class of each, (N,)."""
    model.eval()
    return model(inputs).argmax(1).numpy()


def embedder(spec: str) -> Callable[[NDArray[np.uint8]], Tensor]:
    """The backbone that `curate` itself uses, on pictures in memory; each picture is embedded once."""
    backbone = open_backbone(spec)
    known: dict[bytes, NDArray[np.float32]] = {}

    def embed(images: NDArray[np.uint8]) -> Tensor:
        for image in images:
            if image.tobytes() not in known:
                prepared = backbone.prepare(decoded(image))
                known[image.tobytes()] = backbone.embed(prepared[None])[0]
        return torch.from_numpy(np.stack([known[image.tobytes()] for image in images]))

    return embed


def decoded(image: NDArray[np.uint8]) -> DecodedImage:
    """A picture in memory as backbones take it."""
    height, width, _ = image.shape
    rgbx = np.dstack([image, np.zeros((height, width), np.uint8)])
    return DecodedImage(rgbx, width, height, "PNG", "RGB", image.nbytes, "in memory")


# ---- Judging


@dataclass(frozen=True)
class Judged:
    """How one way of curating did. right: (S, N), of each seed's model, whether it named each test picture rightly."""

    pictures: int
    right: NDArray[np.bool_]


def accuracy(right: NDArray[np.bool_], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """(accuracy, balanced accuracy) in percent, over all seeds; balanced: the mean over the classes."""
    by_class = [right[:, labels == one].mean() for one in np.unique(labels)]
    return np.array([right.mean(), np.mean(by_class)]) * 100


def gain(before: Judged, after: Judged, labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Gain in both accuracies, in points, (2, 3): as measured, and the ends of its 95 % interval.

    The interval is that of a bootstrap over seeds and, within each class, over test pictures; both ways of curating
    are judged on the same ones each time. (Efron and Tibshirani, 1993.)
    """
    rng = np.random.default_rng(0)
    groups = [np.flatnonzero(labels == one) for one in np.unique(labels)]
    drawn = []
    for _ in range(RESAMPLES):
        seeds = rng.integers(0, len(before.right), (2, len(before.right)))
        some = np.concatenate([rng.choice(group, len(group)) for group in groups])
        pair = [one.right[chosen][:, some] for one, chosen in zip((before, after), seeds, strict=True)]
        drawn.append(accuracy(pair[1], labels[some]) - accuracy(pair[0], labels[some]))
    measured = accuracy(after.right, labels) - accuracy(before.right, labels)
    return np.column_stack([measured, *np.percentile(drawn, [2.5, 97.5], axis=0)])


def judge(train: Callable[[Pictures, int], Predict], data: Pictures, test: Dataset, seeds: int) -> Judged:
    """Train once per seed, and look at the test pictures."""
    images, labels = test.numpy()
    return Judged(len(data), np.stack([train(data, seed)(images) == labels for seed in range(seeds)]))


def told(name: str, judged: dict[str, Judged], labels: NDArray[np.int64]) -> list[str]:
    """The result of one model as lines of text."""
    lines = [f"{name:42}{'learns from':>12}{'accuracy':>11}{'balanced':>11}"]
    for way, one in judged.items():
        plain, balanced = accuracy(one.right, labels)
        lines.append(f"  {way:40}{one.pictures:12}{plain:9.1f} %{balanced:9.1f} %")
    for way in (UNREVIEWED, REVIEWED):
        for what, (points, low, high) in zip(
            ("accuracy", "balanced"), gain(judged[AS_FOUND], judged[way], labels), strict=True
        ):
            lines.append(f"  {way}: {what} {points:+.1f} points, 95 % interval {low:+.1f} to {high:+.1f}")
    return [*lines, ""]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--model", default="builtin", help="the frozen backbone: builtin, or an ONNX file")
    options = parser.parse_args()

    test = pinned("curate.lock", "test")
    found, unreadable = as_found(test)
    ways = {
        AS_FOUND: found,
        UNREVIEWED: curated(pinned("unreviewed.lock", "train")),
        REVIEWED: curated(pinned("curate.lock", "train")),
    }
    print(f"{len(test)} test pictures of {len(test.classes)} classes; {options.seeds} seeds, {options.epochs} epochs")
    print(f"as found: {unreadable} files that Pillow can't read are left out\n")
    embed = embedder(options.model)
    models: dict[str, Callable[[Pictures, int], Predict]] = {
        HEAD: lambda data, seed: train_head(data, embed, options.epochs, seed),
        NETWORK: lambda data, seed: train_network(data, options.epochs, seed),
    }
    for name, train in models.items():
        judged = {way: judge(train, data, test, options.seeds) for way, data in ways.items()}
        print("\n".join(told(name, judged, test.labels)), flush=True)


if __name__ == "__main__":
    main()
