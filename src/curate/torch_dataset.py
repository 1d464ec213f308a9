"""What `Dataset.torch` gives: a map-style dataset of torch. A module of its own, as it can't be made without torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.utils.data import Dataset as MapStyle

from curate.dataset import MeanStd, PictureReader

Transform = Callable[[Image.Image], Any]
SeededTransform = Callable[[Image.Image, int], Any]
ODD = 0x9E3779B97F4A7C15  # 2**64 over the golden ratio: multiples of it lie far apart (Steele et al. 2014)


class TorchImages(MapStyle):  # type: ignore[misc] # torch is not installed everywhere, and then of no type
    """Items (picture as the transform gives it, label); can be sent to workers however they are started."""

    def __init__(
        self,
        reader: PictureReader,
        place: NDArray[np.int64],
        labels: NDArray[np.int64],
        transform: Transform | None,
        seeded: SeededTransform | None,
        seeds: NDArray[np.uint64] | None,
    ) -> None:
        self._reader = reader
        self._place = place
        self._labels = labels
        self._transform = transform
        self._seeded = seeded
        self._seeds = seeds
        # Shared with workers that live longer than an epoch: they see what `set_epoch` writes.
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()

    def set_epoch(self, epoch: int) -> None:
        """Give each item the seed of this epoch, as torch's own samplers do; in epoch 0 they are those of `seeds`.

        Call it before the loop over the loader begins.
        """
        self._epoch.fill_(epoch)

    def __len__(self) -> int:
        return len(self._place)

    def __getitem__(self, item: int) -> tuple[Any, int]:
        image: Any = self._reader.read(int(self._place[item]))
        if self._seeded is not None:
            assert self._seeds is not None
            image = self._seeded(image, (int(self._seeds[item]) + int(self._epoch) * ODD) % 2**64)
        elif self._transform is not None:
            image = self._transform(image)
        return image, int(self._labels[item])


@dataclass(frozen=True)
class standardised:  # noqa: N801  used as the function that it is; a closure could not be sent to a worker
    """image -> tensor (3, height, width) of float32: (bytes / 255 - mean) / std, or bytes / 255 without statistics."""

    mean_std: MeanStd | None

    def __call__(self, image: Image.Image) -> torch.Tensor:
        # Contiguous by channel before the conversion: bytes move four times as fast as floats.
        planes = torch.from_numpy(np.ascontiguousarray(np.asarray(image).transpose(2, 0, 1))).to(torch.float32)
        if self.mean_std is None:
            return planes.div_(255)
        mean, std = (torch.tensor(values).view(3, 1, 1) * 255 for values in self.mean_std)
        return planes.sub_(mean).div_(std)
