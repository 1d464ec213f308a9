"""`classic`: gradients, textures and colours, without anything trained.

It sees shapes, textures and colours, but knows no things: a model that was trained on many pictures, as `builtin` was,
is far better wherever the classes are things.

Three blocks, each scaled to its own length, so that none drowns the others:

    gradients  how strong edges are, by direction, in a grid (Dalal and Triggs 2005)
    textures   which neighbours of a pixel are brighter than it, counted (Ojala et al. 2002, uniform patterns)
    colours    mean and spread of brightness and of two opponent colours, in a coarse grid

A picture and its mirror image are made more alike than they are: to each block a share of that of the mirror image is
added. Most things look left as often as right; a sign that points left can still be told from one that points right.
Grids, weights and that share were chosen by cross-validated logistic regression on classes of Caltech-101, cats and
dogs, and CIFAR-10, and stand on a plateau: neighbouring values are within .01 of each other. Tried and left out, as
they add less than .01: colour histograms, a thumbnail, a second scale, pairs of directions, scattering (Bruna and
Mallat 2013).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from curate.imaging import DecodedImage

VERSION = 2  # part of the identity: a new number whenever the numbers below or the arithmetic change

SIDE_PX = 128
GRADIENT_CELLS = 6  # per side
DIRECTIONS = 8
TEXTURE_CELLS = 2
COLOUR_CELLS = 3
GRADIENTS, TEXTURES, COLOURS = 1.0, 0.8, 0.4  # lengths of the blocks
MIRRORED = 0.3  # 0: a picture and its mirror image are strangers; 1: they are the same

FAINT = 0.5  # a cell's sum of edges, in luma 0..1, below which it counts as empty rather than being scaled up
VISIBLE = 0.01  # difference in luma 0..1 that counts as brighter: two and a half grey levels, above noise of JPEG
LUMA = np.array([0.299, 0.587, 0.114], np.float32)

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]

# Clockwise, from the upper left: place in rows, place in columns.
NEIGHBOURS = ((-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1))
PATTERNS = 59  # 58 in which at most one run of neighbours is brighter, and one for all others


@dataclass(frozen=True)
class Descriptor:
    """A hand-made description of a picture."""

    name: str = "classic"
    identity: str = f"classic-{hashlib.sha256(f'classic {VERSION}'.encode()).hexdigest()[:16]}"
    dimensions: int = GRADIENT_CELLS**2 * DIRECTIONS + TEXTURE_CELLS**2 * PATTERNS + COLOUR_CELLS**2 * 6
    min_side_px: int = SIDE_PX

    @property
    def about(self) -> Mapping[str, str]:
        """What there is to say of it."""
        return {
            "file": "none: it is part of curate",
            "input": f"{SIDE_PX} x {SIDE_PX} px, stretched, RGB",
            "output": f"{self.dimensions} numbers: gradients, textures and colours; nothing trained",
            "licence": "Apache-2.0",
        }

    def prepare(self, image: DecodedImage) -> Bytes:
        """The picture, squashed to a square: (SIDE_PX, SIDE_PX, 3)."""
        return np.asarray(image.picture.resize((SIDE_PX, SIDE_PX), Image.Resampling.BILINEAR))

    def embed(self, batch: Bytes) -> Floats:
        """(B, SIDE_PX, SIDE_PX, 3) -> (B, D)."""
        return np.stack([_describe(picture) for picture in batch])


def _describe(rgb: Bytes) -> Floats:
    luma = np.asarray(rgb @ LUMA / 255, np.float32)
    turned = -np.arange(DIRECTIONS) % DIRECTIONS  # mirrored, a direction leans the other way
    return np.concatenate(
        [
            GRADIENTS * _block(gradients := _gradients(luma), gradients[:, ::-1, turned]),
            TEXTURES * _block(textures := _textures(luma), textures[:, ::-1, _patterns()[1]]),
            COLOURS * _block(colours := _colours(rgb), colours[:, ::-1]),
        ]
    )


def _block(values: Floats, mirrored: Floats) -> Floats:
    """Both together as one row of length 1; of length 0 where there is nothing."""
    both = (values + MIRRORED * mirrored).ravel()
    return np.asarray(both / max(float(np.linalg.norm(both)), 1e-6), np.float32)


def _gradients(luma: Floats) -> Floats:
    """Edges by cell and direction, (cells, cells, DIRECTIONS); cells and directions shade into each other."""
    dy, dx = np.gradient(luma)
    strength = np.hypot(dx, dy)
    place = np.arctan2(dy, dx) % np.pi * (DIRECTIONS / np.pi)
    below = place.astype(np.int64)
    share = place - below  # of the next direction
    planes = np.zeros((DIRECTIONS, luma.size), np.float32)
    pixel = np.arange(luma.size)
    planes[below.ravel() % DIRECTIONS, pixel] = (strength * (1 - share)).ravel()
    planes[(below.ravel() + 1) % DIRECTIONS, pixel] = (strength * share).ravel()
    weights = _shading(GRADIENT_CELLS)
    counted = (weights @ planes.reshape(DIRECTIONS, SIDE_PX, SIDE_PX) @ weights.T).transpose(1, 2, 0)
    # Half-way between equal weight for each cell, which makes much of noise, and weight by strength.
    return np.asarray(np.sqrt(counted) / (counted.sum(axis=2, keepdims=True) + FAINT) ** 0.25, np.float32)


def _textures(luma: Floats) -> Floats:
    """How often each pattern occurs in each cell, square-rooted, (cells, cells, PATTERNS)."""
    inner = SIDE_PX - 2
    threshold = luma[1:-1, 1:-1] + VISIBLE
    code = np.zeros((inner, inner), np.uint8)
    for bit, (down, right) in enumerate(NEIGHBOURS):
        shifted = luma[1 + down : 1 + down + inner, 1 + right : 1 + right + inner]
        code |= (shifted > threshold).astype(np.uint8) << np.uint8(bit)
    cell = np.arange(inner) * TEXTURE_CELLS // inner
    place = (cell[:, None] * TEXTURE_CELLS + cell) * PATTERNS + _patterns()[0][code]
    counted = np.bincount(place.ravel(), minlength=TEXTURE_CELLS**2 * PATTERNS)
    return np.sqrt(counted, dtype=np.float32).reshape(TEXTURE_CELLS, TEXTURE_CELLS, PATTERNS)


def _colours(rgb: Bytes) -> Floats:
    """Mean and spread of three channels by cell, (cells, cells, 6); overall brightness is taken out."""
    red, green, blue = np.moveaxis(rgb.astype(np.float32) / 255, 2, 0)
    channels = np.stack([(red + green + blue) / 3, red - green, (red + green) / 2 - blue])  # (3, SIDE_PX, SIDE_PX)
    weights = _shading(COLOUR_CELLS)
    weights = weights / weights.sum(axis=1, keepdims=True)
    mean = weights @ channels @ weights.T  # (3, cells, cells)
    spread = np.sqrt(np.maximum(weights @ channels**2 @ weights.T - mean**2, 0))
    mean[0] -= mean[0].mean()
    return np.asarray(np.concatenate([mean, spread]).transpose(1, 2, 0), np.float32)


@cache
def _shading(cells: int) -> Floats:
    """How much each row of pixels counts for each row of cells, (cells, SIDE_PX): all, at the cell's centre."""
    centre = (np.arange(SIDE_PX) + 0.5) * cells / SIDE_PX - 0.5
    return np.asarray(np.maximum(0, 1 - np.abs(centre - np.arange(cells)[:, None])), np.float32)


@cache
def _patterns() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The pattern of each code of eight bits, (256,); and which pattern each becomes in a mirror, (PATTERNS,)."""
    bits = np.arange(256)[:, None] >> np.arange(8) & 1  # (256, 8)
    uniform = (bits != np.roll(bits, -1, axis=1)).sum(axis=1) <= 2
    pattern = np.where(uniform, np.cumsum(uniform) - 1, PATTERNS - 1)
    opposite = (2 - np.arange(8)) % 8  # of NEIGHBOURS, left and right exchanged
    mirror = np.arange(PATTERNS)
    mirror[pattern] = pattern[(bits[:, opposite] << np.arange(8)).sum(axis=1)]
    return pattern, mirror
