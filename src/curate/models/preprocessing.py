"""From a decoded picture to what a model was trained to see: size, order of channels, range of numbers.

A wrong range does not fail, it makes embeddings quietly worse; so nothing here has a default that was guessed.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, sqrt
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from curate.imaging import DecodedImage

Channels = Literal["RGB", "BGR"]
Fit = Literal["stretch", "crop"]
Interpolation = Literal["bilinear", "bicubic"]
Layout = Literal["NCHW", "NHWC"]
Triple = tuple[float, float, float]

NONE: Triple = (0.0, 0.0, 0.0)
ONE: Triple = (1.0, 1.0, 1.0)
BYTES = "uint8"  # a model that takes bytes scales them itself
DTYPES = ("float32", "float16", BYTES)


@dataclass(frozen=True)
class Preprocessing:
    """How pictures are made to fit a model.

    The model gets (byte * scale - mean) / std, the mean and std in the order of `channels`; bytes as they are where
    dtype is uint8. height, width: in px. fit: "stretch" to that size, so that nothing is lost at the borders, or
    "crop": keep the proportions and cut the middle out. crop_share: how much of each side is seen, of the shorter one
    with "crop"; scaling to 256 and cutting 224 is 224 / 256.
    """

    height: int
    width: int
    scale: float = 1.0
    mean: Triple = NONE
    std: Triple = ONE
    layout: Layout = "NCHW"
    dtype: str = "float32"
    channels: Channels = "RGB"
    fit: Fit = "stretch"
    crop_share: float = 1.0
    interpolation: Interpolation = "bilinear"

    @property
    def min_side_px(self) -> int:
        """How small pictures may be decoded: of 1/1, 1/2, 1/4 and 1/8, the one nearest to the model's size is taken.

        Nearest as a ratio: what the model sees is enlarged 1.4 times at most. With MobileNetV2 (224 px) a probe is
        right as often on halves of 500 x 375 px as on the whole (5 labels per class: .963 and .962 of 300 cats and
        dogs, .983 and .983 of 842 objects), and decoding and resizing take half as long.
        """
        return ceil(max(self.height, self.width) / self.crop_share / sqrt(2))

    def prepare(self, image: DecodedImage) -> NDArray[np.uint8]:
        """The picture at the model's size, (height, width, 3) RGB: bytes, as they wait in batches.

        What has to be enlarged is so by cubics, whatever is told for shrinking: with MobileNetV2, wrong labels of
        CIFAR-10N (32 px) are then found with an average precision of .78 instead of .75.
        """
        box = self._box(*image.picture.size)
        enlarged = image.width < self.width or image.height < self.height  # not only because it was decoded small
        cubic = enlarged or self.interpolation == "bicubic"
        how = Image.Resampling.BICUBIC if cubic else Image.Resampling.BILINEAR
        return np.asarray(image.picture.resize((self.width, self.height), how, box=box))

    def batch(self, pictures: NDArray[np.uint8]) -> NDArray[Any]:
        """The model's input: (B, height, width, 3) -> the same numbers in its layout, range and type."""
        ordered = pictures[..., ::-1] if self.channels == "BGR" else pictures
        planes = ordered.transpose(0, 3, 1, 2)  # (B, 3, height, width)
        if self.dtype != BYTES:
            planes = self._scaled(planes).astype(self.dtype, copy=False)
        return np.ascontiguousarray(planes if self.layout == "NCHW" else planes.transpose(0, 2, 3, 1))

    def _scaled(self, planes: NDArray[np.uint8]) -> NDArray[Any]:
        """In the model's range. One channel at a time: numpy takes five times as long for all three at once."""
        scaled = np.empty(planes.shape, np.float32)
        for channel, (factor, offset) in enumerate(zip(*self._line(), strict=True)):
            np.multiply(planes[:, channel], factor, out=scaled[:, channel])
            scaled[:, channel] += offset
        return scaled

    def describe(self) -> str:
        """In words."""
        seen = [f"{self.crop_share:.0%} of the middle"] if self.fit == "crop" or self.crop_share < 1 else []
        fit = ", ".join([*seen, *(["stretched"] if self.fit == "stretch" else [])])
        return f"{self.width} x {self.height} px, {fit}, {self.channels}, {self.layout}, {self.dtype}"

    def describe_scaling(self) -> str:
        """In words."""
        if self.dtype == BYTES:
            return "bytes as they are"
        text = f"x {self.scale:.5g}"
        if self.mean != NONE:
            text += f" - {_short(self.mean)}"
        return text + (f", / {_short(self.std)}" if self.std != ONE else "")

    def _line(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Scaling as one multiplication and one addition per channel, (3,) each."""
        mean, std = np.array(self.mean), np.array(self.std)
        return (self.scale / std).astype(np.float32), (-mean / std).astype(np.float32)

    def _box(self, width: int, height: int) -> tuple[float, float, float, float]:
        """The part of a picture that the model sees: left, top, right, bottom in px."""
        if self.fit == "stretch":
            left, top = width * (1 - self.crop_share) / 2, height * (1 - self.crop_share) / 2
            return (left, top, width - left, height - top)
        # One step, and the same pixels as scaling the shorter side and then cutting.
        zoom = min(width / self.width, height / self.height) * self.crop_share
        left, top = (width - self.width * zoom) / 2, (height - self.height * zoom) / 2
        return (left, top, left + self.width * zoom, top + self.height * zoom)


def _short(numbers: Triple) -> str:
    shown = [f"{number:.4g}" for number in numbers]
    return shown[0] if len(set(shown)) == 1 else f"({', '.join(shown)})"
