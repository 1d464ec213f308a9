"""The descriptor in the wheel: gradients, colours and a small thumbnail, without anything trained.

It needs no file and no network. It sees shapes, textures and colours, but knows no things: on small real sets a probe
on it is right about seven times in ten where one on MobileNetV2 is right nine times.
Source: histograms of oriented gradients (Dalal and Triggs 2005), colour histograms, and a thumbnail in luma.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from curate.imaging import MIN_WORKING_SIDE_PX, DecodedImage

SIDE_PX = 96
CELLS = 6  # gradients are counted in a grid of 6 x 6 cells of 16 px
ORIENTATIONS = 9  # of 20 degrees, as in the paper
COLOUR_CELLS = 3
THUMBNAIL_PX = 8

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Descriptor:
    """A hand-made description of a picture."""

    name: str = "builtin"
    identity: str = "builtin-classic-1"  # a new number when the numbers below or the arithmetic change
    dimensions: int = CELLS * CELLS * ORIENTATIONS + COLOUR_CELLS * COLOUR_CELLS * 24 + THUMBNAIL_PX * THUMBNAIL_PX

    @property
    def min_side_px(self) -> int:
        """How large pictures must be for it."""
        return MIN_WORKING_SIDE_PX

    @property
    def about(self) -> Mapping[str, str]:
        """What there is to say of it."""
        return {
            "file": "none: it is part of curate",
            "input": f"{SIDE_PX} x {SIDE_PX} px, stretched, RGB",
            "output": f"{self.dimensions} numbers: gradients, colours, a small thumbnail; nothing trained",
            "licence": "Apache-2.0",
        }

    def prepare(self, image: DecodedImage) -> NDArray[np.uint8]:
        """The picture, squashed to a square: (SIDE_PX, SIDE_PX, 3)."""
        return np.asarray(image.picture.resize((SIDE_PX, SIDE_PX), Image.Resampling.BILINEAR))

    def embed(self, batch: NDArray[np.uint8]) -> Floats:
        """(B, SIDE_PX, SIDE_PX, 3) -> (B, D); each of the three parts has length 1."""
        return np.stack([_describe(picture) for picture in batch])


def _describe(rgb: NDArray[np.uint8]) -> Floats:
    luma = rgb.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32) / 255
    parts = [_gradients(luma), _colours(rgb), _thumbnail(luma)]
    return np.concatenate([part / max(float(np.linalg.norm(part)), 1e-6) for part in parts])


def _gradients(luma: Floats) -> Floats:
    """Strength of edges by place and direction, each cell against its own strength, square-rooted."""
    dy, dx = np.gradient(luma)
    strength = np.hypot(dx, dy)
    direction = ((np.arctan2(dy, dx) % np.pi) / np.pi * ORIENTATIONS).astype(np.int64) % ORIENTATIONS
    cell = np.arange(SIDE_PX) * CELLS // SIDE_PX
    place = (cell[:, None] * CELLS + cell) * ORIENTATIONS + direction
    counted = np.bincount(place.ravel(), strength.ravel(), CELLS * CELLS * ORIENTATIONS).reshape(-1, ORIENTATIONS)
    return np.sqrt(counted / (counted.sum(axis=1, keepdims=True) + 1)).ravel().astype(np.float32)


def _colours(rgb: NDArray[np.uint8]) -> Floats:
    """How often each of 8 levels of each opponent colour occurs in each cell, square-rooted."""
    red, green, blue = (rgb[..., channel].astype(np.int64) for channel in range(3))
    channels = ((red + green + blue) // 3, (red - green + 255) // 2, ((red + green) // 2 - blue + 255) // 2)
    cell = np.arange(SIDE_PX) * COLOUR_CELLS // SIDE_PX
    place = (cell[:, None] * COLOUR_CELLS + cell) * 8
    total = COLOUR_CELLS * COLOUR_CELLS * 8
    counts = [np.bincount((place + channel // 32).ravel(), minlength=total) for channel in channels]
    return np.sqrt(np.concatenate(counts)).astype(np.float32)


def _thumbnail(luma: Floats) -> Floats:
    size = SIDE_PX // THUMBNAIL_PX
    small = luma.reshape(THUMBNAIL_PX, size, THUMBNAIL_PX, size).mean(axis=(1, 3)).ravel()
    centred: Floats = small - small.mean()
    return centred
