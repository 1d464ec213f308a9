"""Train on pictures as found, curated, and curated and reviewed; judge all by the same trusted test pictures.

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
HEAD_STEPS, HEAD_DECAY = 200, 1e-3  # enough to converge; a usual value, not tuned
# The network is the fastest of eight that were tried. They were compared on the test pictures, with all ways of
# curating in view, so its accuracies are a little too good; the gains were not what it was chosen by.
NETWORK_SIDE_PX, BATCH = 48, 32
SHIFT_PX = 4
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


def train_head(data: Pictures, embed: Callable[[NDArray[np.uint8]], Tensor]) -> Predict:
    """Multinomial logistic regression on the vectors of a frozen backbone: a convex problem with a single answer."""
    vectors = embed(data.images)
    mean, std = vectors.mean(0), vectors.std(0) + 1e-6
    inputs, labels = (vectors - mean) / std, torch.from_numpy(data.labels)
    head = nn.Linear(vectors.shape[1], len(data.weights))
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    loss_of = nn.CrossEntropyLoss(torch.from_numpy(data.weights).float())
    optimiser = torch.optim.LBFGS(head.parameters(), max_iter=HEAD_STEPS, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        value = loss_of(head(inputs), labels) + HEAD_DECAY * head.weight.square().sum()
        value.backward()
        return value

    optimiser.step(loss)
    return lambda images: predicted(head, (embed(images) - mean) / std)


def train_network(data: Pictures, epochs: int, seed: int) -> Predict:
    """Three convolutions on smaller pictures that are moved about a little."""
    torch.manual_seed(seed)
    network = nn.Sequential(
        *convolution(3, 16, stride=2),
        *convolution(16, 32),
        nn.MaxPool2d(2),
        *convolution(32, 64),
        nn.MaxPool2d(2),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.2),
        nn.Linear(64 * 4, len(data.weights)),
    )
    fit(network, standardised(data.images, data), data, epochs)
    return lambda images: predicted(network, standardised(images, data))


def convolution(come: int, go: int, stride: int = 1) -> tuple[nn.Module, ...]:
    """One layer, normalized and rectified."""
    return nn.Conv2d(come, go, 3, stride, padding=1, bias=False), nn.BatchNorm2d(go), nn.ReLU()


def standardised(images: NDArray[np.uint8], data: Pictures) -> Tensor:
    """(N, 3, NETWORK_SIDE_PX, NETWORK_SIDE_PX) by the mean and deviation of the training pictures."""
    planes = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    mean, std = (torch.tensor(values, dtype=torch.float32).view(1, 3, 1, 1) for values in (data.mean, data.std))
    return nn.functional.interpolate((planes - mean) / std, size=NETWORK_SIDE_PX, mode="area")


def moved(batch: Tensor) -> Tensor:
    """Every picture shifted by up to SHIFT_PX; not mirrored, as signs that point left and right differ."""
    side = batch.shape[-1]
    padded = nn.functional.pad(batch, (SHIFT_PX,) * 4, mode="replicate")
    corners = torch.randint(0, 2 * SHIFT_PX + 1, (len(batch), 2)).tolist()
    return torch.stack([one[:, y : y + side, x : x + side] for one, (y, x) in zip(padded, corners, strict=True)])


def fit(network: nn.Module, inputs: Tensor, data: Pictures, epochs: int) -> None:
    """Minimise the weighted cross-entropy; the learning rate falls to nothing along half a cosine."""
    labels = torch.from_numpy(data.labels)
    loss_of = nn.CrossEntropyLoss(torch.from_numpy(data.weights).float())
    optimiser = torch.optim.AdamW(network.parameters(), lr=4e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, epochs)
    network.train()
    for _ in range(epochs):
        for chosen in torch.randperm(len(labels)).split(BATCH):
            loss = loss_of(network(moved(inputs[chosen])), labels[chosen])
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
    """How a way of curating did. pictures: learnt from. right: (S, N), which test pictures each seed's model knew."""

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


def judge(models: list[Predict], data: Pictures, test: Dataset) -> Judged:
    """Show the test pictures to the models, one per seed, that learnt from `data`."""
    images, labels = test.numpy()
    return Judged(len(data), np.stack([model(images) == labels for model in models]))


def told(name: str, judged: dict[str, Judged], labels: NDArray[np.int64]) -> list[str]:
    """The result of one model as lines of text."""
    lines = [f"{name:42}{'learns from':>12}{'accuracy':>11}{'balanced':>11}"]
    for way, one in judged.items():
        plain, balanced = accuracy(one.right, labels)
        lines.append(f"  {way:40}{one.pictures:12}{plain:9.1f} %{balanced:9.1f} %")
    lines.append("Points gained over as found, and their 95 % interval")
    for way in (UNREVIEWED, REVIEWED):
        (plain, *ends), (balanced, *balanced_ends) = gain(judged[AS_FOUND], judged[way], labels)
        lines.append(f"  {way:24}{plain:+13.1f} {interval(ends):16}{balanced:+9.1f} {interval(balanced_ends)}")
    return [*lines, ""]


def interval(ends: list[float]) -> str:
    """(-1.2 to +3.4)."""
    return f"({ends[0]:+.1f} to {ends[1]:+.1f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3, help="of the network: how often it is trained")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--model", default="builtin", help="the frozen backbone: builtin, or an ONNX file")
    options = parser.parse_args()

    # What is pinned is there to the byte, or this stops here.
    test = curate.load(HERE / "curate.lock", split="test")
    reviewed = curate.load(HERE / "curate.lock", split="train")
    unreviewed = curate.load(SAMPLE, split="train", store=HERE / "unreviewed.curate")
    found, unreadable = as_found(test)
    ways = {AS_FOUND: found, UNREVIEWED: curated(unreviewed), REVIEWED: curated(reviewed)}
    print(f"{len(test)} test pictures of {len(test.classes)} classes; {unreadable} files can't be read as found\n")
    embed = embedder(options.model)
    trainings: dict[str, Callable[[Pictures], list[Predict]]] = {
        HEAD: lambda data: [train_head(data, embed)],
        NETWORK: lambda data: [train_network(data, options.epochs, seed) for seed in range(options.seeds)],
    }
    for name, train in trainings.items():
        judged = {way: judge(train(data), data, test) for way, data in ways.items()}
        print("\n".join(told(name, judged, test.labels)), flush=True)


if __name__ == "__main__":
    main()
