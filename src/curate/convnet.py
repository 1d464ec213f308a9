"""A small convolutional network that learns from pixels, for `prove --train-network`. Needs torch.

A linear probe only tells what a frozen model makes of the labels. A network that starts from nothing also suffers from
what the pixels have wrong, and learns wrong labels by heart if it is given time. It is the network of examples/train:
three convolutions on pictures of 48 px. Source of its size: the fastest of eight tried there.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from curate.contest import Contest, Floats, Ints, Learner, Side
from curate.dataset import TORCH, load
from curate.embedded import NO_LABEL
from curate.errors import CurateError
from curate.progress import Progress
from curate.project import Project
from curate.versions import Version

if TYPE_CHECKING:
    import torch

Images = NDArray[np.uint8]  # (N, SIDE_PX, SIDE_PX, 3)

SIDE_PX, BATCH, SHIFT_PX = 48, 32, 4
STEPS = 900  # as many as 60 epochs over 480 pictures, which was enough for the sample of road signs
ASKED = 1_000  # pictures at a time
LEARNING_RATE, WEIGHT_DECAY, DROPOUT = 4e-3, 1e-2, 0.2  # of examples/train


def network_learner(contest: Contest, project: Project, pair: tuple[Version, Version], progress: Progress) -> Learner:
    """A learner that trains the network on the pictures as each version delivers them.

    Raises CurateError when torch is not installed; StoreError when a picture is gone or has changed.
    """
    _require_torch()
    a, b = pair
    pixels = {a.name: _pixels(project, a, contest, progress)}
    pixels[b.name] = pixels[a.name] if a.transform == b.transform else _pixels(project, b, contest, progress)

    def learn(side: Side, rows: Ints, weights: Floats, asked: Ints, seed: int) -> Floats:
        images = pixels[side.name]
        return trained(images[rows], side.labels[rows], weights, images[asked], len(contest.classes), seed)

    return learn


def _require_torch() -> None:
    if find_spec("torch") is None:
        raise CurateError("A network needs torch, which is not installed.", f"Run: {TORCH}")


def _pixels(project: Project, version: Version, contest: Contest, progress: Progress) -> Images:
    """(U, SIDE_PX, SIDE_PX, 3): the pictures of a version that are learnt from or judge; black where it has none."""
    wanted = contest.truth != NO_LABEL
    for side in contest.sides:
        wanted = wanted | side.learnt
    place = {contest.sha256[row]: int(row) for row in np.flatnonzero(wanted)}
    data = load(str(project.folder), version.name, unlabelled=True, store=project.store, network=project.network)
    found = np.zeros((len(wanted), SIDE_PX, SIDE_PX, 3), np.uint8)
    rows = [row for row, content in enumerate(data.rows["sha256"]) if content in place]
    with progress(f"Read {version.name}", len(rows)) as advance:
        for row in rows:
            image = ImageOps.fit(data.reader.read(row), (SIDE_PX, SIDE_PX), Image.Resampling.BOX)
            found[place[data.rows["sha256"].iloc[row]]] = np.asarray(image)
            advance(1)
    return found


def trained(
    images: Images, labels: Ints, weights: Floats, asked: Images, classes: int, seed: int, steps: int = STEPS
) -> Floats:
    """Probabilities (M, classes) for the asked images, by a network that learnt from the others, (N, ...).

    weights: (N,) of the loss. steps: batches of BATCH pictures. Equal input and seed give equal answers on one machine.
    """
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = _network(classes)
        _fit(network, images, torch.from_numpy(labels), torch.from_numpy(weights), steps)
    network.eval()
    with torch.inference_mode():
        parts = [asked[start : start + ASKED] for start in range(0, len(asked), ASKED)]
        said = [network(_standardised(part)).softmax(1).numpy() for part in parts]
    return np.concatenate(said)


def _network(classes: int) -> torch.nn.Sequential:
    from torch import nn

    def convolution(come: int, go: int, stride: int = 1) -> tuple[nn.Module, ...]:
        return nn.Conv2d(come, go, 3, stride, padding=1, bias=False), nn.BatchNorm2d(go), nn.ReLU()

    return nn.Sequential(
        *convolution(3, 16, stride=2),
        *convolution(16, 32),
        nn.MaxPool2d(2),
        *convolution(32, 64),
        nn.MaxPool2d(2),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Dropout(DROPOUT),
        nn.Linear(64 * 4, classes),
    )


def _fit(network: torch.nn.Sequential, images: Images, labels: torch.Tensor, weights: torch.Tensor, steps: int) -> None:
    """Minimise the weighted cross-entropy; the learning rate falls to nothing along half a cosine.

    Pictures are shifted a little, not mirrored: signs that point left and right differ.
    """
    import torch

    optimiser = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    network.train()
    order = torch.empty(0, dtype=torch.int64)
    for _ in range(steps):
        if len(order) < 2:  # one picture alone has too little for the batch normalization
            order = torch.randperm(len(labels))
        chosen, order = order[:BATCH], order[BATCH:]
        losses = torch.nn.functional.cross_entropy(
            network(_moved(_standardised(images[chosen.numpy()]))), labels[chosen], reduction="none"
        )
        loss = (losses * weights[chosen]).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()


def _standardised(images: Images) -> torch.Tensor:
    """(N, 3, SIDE_PX, SIDE_PX), about -2 to 2."""
    import torch

    return (torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.25


def _moved(batch: torch.Tensor) -> torch.Tensor:
    """Every picture shifted by up to SHIFT_PX."""
    import torch

    padded = torch.nn.functional.pad(batch, (SHIFT_PX,) * 4, mode="replicate")
    corners = torch.randint(0, 2 * SHIFT_PX + 1, (len(batch), 2)).tolist()
    return torch.stack([one[:, y : y + SIDE_PX, x : x + SIDE_PX] for one, (y, x) in zip(padded, corners, strict=True)])
