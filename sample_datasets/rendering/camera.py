"""A small camera: from light to an 8-bit picture, the way a sensor and a lens do it.

The order is that of a real camera, so that faults look like faults: blur and exposure act on linear light,
noise comes after them, and the tone curve last. Darkening a finished picture would give an underexposed one
without noise and with empty histogram bins, which any detector finds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from rendering.light import LUMINANCE, Light, blur, half_size, lens_kernel, to_srgb

Rng = np.random.Generator


@dataclass(frozen=True)
class Exposure:
    """How one picture is taken.

    key: mean luminance aimed at, 0..1. ev: error on top of it, in stops.
    lens_px: sharpness of the lens in focus, as sigma in px of the picture. extra_blur: a kernel on top, in px.
    full_well: electrons at white; fewer are noisier. warmth: white balance, in per cent towards red.
    """

    key: float
    ev: float = 0.0
    lens_px: float = 0.5
    extra_blur: Light | None = None
    full_well: float = 4000.0
    warmth: float = 0.0


def ordinary_exposure(key: float, rng: Rng) -> Exposure:
    """A good amateur's: a third of a stop off, a lens that is sharp, any white balance.

    Before snow or a white sky one opens up a little, or the sign becomes a silhouette.
    """
    backlight = 0.35 if key > 0.5 else 0.0
    return Exposure(
        key=key,
        ev=backlight + float(np.clip(rng.normal(0, 0.3), -0.6, 0.6)),
        lens_px=rng.uniform(0.3, 0.6),
        full_well=700.0 if key < 0.08 else float(rng.choice([1500, 4000, 9000])),  # high ISO at night
        warmth=rng.normal(0, 5),
    )


def photograph(light: Light, exposure: Exposure, rng: Rng) -> Image.Image:
    """The picture of that light, half its size (the end of the scene's supersampling)."""
    light = blur(half_size(light), lens_kernel(exposure.lens_px))
    if exposure.extra_blur is not None:
        light = blur(light, exposure.extra_blur)
    light = light * _vignetting(light.shape[0], light.shape[1], rng.uniform(0.05, 0.3))
    tint = np.array([1 + exposure.warmth / 100, 1, 1 - exposure.warmth / 100], dtype=np.float32)
    exposed = light * tint * np.float32(_gain(light, exposure.key) * 2**exposure.ev)
    return Image.fromarray(to_srgb(_tone(_sensor(exposed, exposure.full_well, rng))))


def _gain(light: Light, key: float) -> float:
    """What brings the mean luminance to `key`, as long as the brightest hundredth stays near white.

    A photographer neither lets a sign burn out before a dark hedge nor leaves it grey at night.
    """
    luminance = np.maximum(light @ LUMINANCE, 1e-6)
    brightest = float(np.quantile(luminance, 0.99))
    return float(np.clip(key / float(luminance.mean()), 0.6 / brightest, 1.1 / brightest))


def _vignetting(height: int, width: int, fall_off: float) -> Light:
    """Lenses are darker in the corners.  # (h, w, 1)"""
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    return np.asarray(1 - fall_off * (x**2 + y**2) / 2, dtype=np.float32)[:, :, None]


def _sensor(light: Light, full_well: float, rng: Rng) -> Light:
    """Photon noise (its variance is the number of photons), read noise, and saturation one stop above white."""
    shot = np.sqrt(np.maximum(light, 0) / np.float32(full_well))
    noise = rng.standard_normal(light.shape, dtype=np.float32)
    return np.clip(light + noise * (shot + np.float32(0.06 / np.sqrt(full_well))), 0, 2)


def _tone(light: Light) -> Light:
    """Straight up to 0.7, then a shoulder that reaches white where the sensor saturates, at 2."""
    over = np.maximum(light - 0.7, 0) / 1.3  # 0..1
    return np.where(light < 0.7, light, 0.7 + 0.3 * (1 - (1 - over) ** (1.3 / 0.3))).astype(np.float32)
