"""Linear light, noise that looks like nature, and blur.

Light adds up linearly, sRGB numbers do not: averaging, blurring or brightening the latter gives dark fringes and
wrong exposures. So pictures are float32 arrays of linear light (1 = white paper in the light the camera is set
for, no upper limit) from the first brush stroke to the sensor.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Light = NDArray[np.floating]  # (h, w, 3) linear RGB, or (h, w) for a single quantity
Colour = tuple[int, int, int]  # sRGB, 0..255

_CODES = np.arange(256) / 255
# IEC 61966-2-1, the definition of sRGB.
_LINEAR = np.where(_CODES <= 0.04045, _CODES / 12.92, ((_CODES + 0.055) / 1.055) ** 2.4).astype(np.float32)
LUMINANCE = np.array([0.2126, 0.7152, 0.0722], dtype=np.float32)  # of linear sRGB primaries, ITU-R BT.709


def to_linear(srgb: Image.Image | NDArray[np.uint8]) -> Light:
    """Linear light, 0..1, of an 8-bit sRGB picture."""
    light: Light = _LINEAR[np.asarray(srgb)]
    return light


def to_srgb(light: Light) -> NDArray[np.uint8]:
    """8-bit sRGB codes of linear light; what exceeds 0..1 is clipped."""
    clipped = np.clip(light, 0, 1)
    coded = np.where(clipped <= 0.0031308, clipped * 12.92, 1.055 * clipped ** (1 / 2.4) - 0.055)
    return (coded * 255 + 0.5).astype(np.uint8)


def linear_colour(colour: Colour) -> Light:
    """One sRGB colour as linear light.  # (3,)"""
    return _LINEAR[list(colour)]


def fractal(rng: np.random.Generator, size: tuple[int, int], cell_px: float, octaves: int = 4) -> Light:
    """Clouds, dirt, bark: noise at `cell_px` and at each half of it, every octave half as strong.

    size: (width, height). Returns (height, width), mean about 0.5, nearly always within 0..1.
    """
    width, height = size
    total = np.zeros((height, width), dtype=np.float32)
    for octave in range(octaves):
        cell = cell_px / 2**octave
        coarse = rng.random((int(height / cell) + 2, int(width / cell) + 2), dtype=np.float32)
        total += 0.5**octave * np.asarray(Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC))
    total /= sum(0.5**octave for octave in range(octaves))
    return (total - 0.5) * 1.6 + 0.5  # averaging octaves narrows the range; this widens it again


def defocus_kernel(diameter_px: float) -> Light:
    """What a lens makes of a point that is out of focus: a disc, with a soft edge of one pixel."""
    radius = diameter_px / 2
    reach = int(np.ceil(radius)) + 1
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    disc = np.clip(radius + 0.5 - np.hypot(x, y), 0, 1)
    return np.asarray(disc / disc.sum(), dtype=np.float32)


def motion_kernel(length_px: float, angle: float) -> Light:
    """What a shaken camera makes of a point: a line. angle in radians."""
    reach = int(np.ceil(length_px / 2)) + 1
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    along = x * np.cos(angle) + y * np.sin(angle)
    across = -x * np.sin(angle) + y * np.cos(angle)
    line = np.clip(length_px / 2 + 0.5 - np.abs(along), 0, 1) * np.clip(1 - np.abs(across), 0, 1)
    return np.asarray(line / line.sum(), dtype=np.float32)


def lens_kernel(sigma_px: float) -> Light:
    """What a lens in focus makes of a point: a small Gaussian."""
    reach = int(np.ceil(3 * sigma_px)) + 1
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    spot = np.exp(-(x**2 + y**2) / (2 * sigma_px**2))
    return np.asarray(spot / spot.sum(), dtype=np.float32)


def blur(light: Light, kernel: Light) -> Light:
    """Every point of `light` (h, w, 3) spread as the kernel says; the border continues outward."""
    reach = kernel.shape[0] // 2
    padded = np.pad(light, ((reach, reach), (reach, reach), (0, 0)), mode="edge")
    spectrum = np.fft.rfft2(padded, axes=(0, 1))
    spectrum *= np.fft.rfft2(kernel, s=padded.shape[:2])[:, :, None]
    blurred = np.fft.irfft2(spectrum, s=padded.shape[:2], axes=(0, 1))
    # The kernel's centre sits at (reach, reach) instead of (0, 0), which shifts the result by twice the padding.
    return np.maximum(blurred[2 * reach :, 2 * reach :], 0).astype(np.float32)


def half_size(light: Light) -> Light:
    """Each 2 x 2 block of pixels averaged: the end of supersampling. Sides must be even."""
    return (light[::2, ::2] + light[1::2, ::2] + light[::2, 1::2] + light[1::2, 1::2]) / 4
