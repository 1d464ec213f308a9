"""Light and air: from a painted stage to the light that a lens would see, by day and by night."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from rendering.backdrops import SKY, Stage
from rendering.light import Colour, Light, fractal, linear_colour, to_linear

Rng = np.random.Generator
Triple = tuple[float, float, float]


@dataclass(frozen=True)
class Weather:
    """One kind of light and air.

    sky_top, sky_low: sRGB colours overhead and at the horizon; sky_level: how bright they are against white paper.
    ambient, sun: linear RGB falling on surfaces from the whole sky and from the sun.
    clouds: 0 none .. 1 much structure. fog: share of light lost (as an exponent) over the whole distance.
    lamps: brightness of lit windows and lamps. headlight: light on the sign from our own car.
    key: mean luminance that an experienced photographer would expose this for.
    """

    sky_top: Colour
    sky_low: Colour
    sky_level: float
    ambient: Triple
    sun: Triple
    key: float
    clouds: float = 0.3
    fog: float = 0.12
    lamps: float = 0.0
    headlight: float = 0.0
    rain: bool = False
    snow: bool = False


WEATHERS: dict[str, Weather] = {
    "sunny": Weather((70, 124, 196), (178, 206, 230), 0.9, (0.30, 0.34, 0.40), (0.95, 0.90, 0.78), 0.28, 0.6),
    "overcast": Weather((176, 186, 198), (226, 228, 230), 1.05, (0.70, 0.72, 0.74), (0.12, 0.12, 0.11), 0.33, 0.8),
    "white_sky": Weather((238, 240, 242), (250, 250, 250), 1.3, (0.66, 0.67, 0.68), (0.05, 0.05, 0.05), 0.80, 0.1),
    "golden": Weather((112, 140, 184), (250, 208, 156), 0.85, (0.24, 0.24, 0.28), (1.0, 0.66, 0.36), 0.23, 0.7),
    "dusk": Weather((40, 54, 104), (226, 138, 104), 0.5, (0.15, 0.16, 0.24), (0.08, 0.04, 0.03), 0.12, 0.8, lamps=0.7),
    "night": Weather((8, 10, 20), (30, 28, 34), 0.5, (0.012, 0.013, 0.02), (0, 0, 0), 0.045, 0.3, 0.2, 1.6, 0.75),
    "fog": Weather((196, 200, 204), (206, 208, 210), 0.8, (0.5, 0.51, 0.53), (0, 0, 0), 0.44, 0.1, fog=3.0),
    "rain": Weather(
        (120, 126, 134), (164, 168, 172), 0.7, (0.40, 0.42, 0.45), (0, 0, 0), 0.23, 0.7, 0.7, 0.2, rain=True
    ),
    "snow": Weather((206, 210, 216), (228, 230, 234), 0.95, (0.62, 0.64, 0.68), (0, 0, 0), 0.52, 0.2, 0.8, snow=True),
}


def illuminate(stage: Stage, weather: Weather, rng: Rng) -> Light:
    """The stage in that weather as linear light.  # (h, w, 3)"""
    size = (stage.width, stage.height)
    distance = np.asarray(stage.distances)
    colours = to_linear(_snowed(stage.colours, rng) if weather.snow else stage.colours)
    colours = colours * (0.78 + 0.44 * fractal(rng, size, 5, 2))[:, :, None]
    sunlit = np.clip(fractal(rng, size, size[0] / 3) * 6 - 2, 0.12, 1)[
        :, :, None
    ]  # trees and houses behind us cast shadows
    light = colours * (np.array(weather.ambient, np.float32) + np.array(weather.sun, np.float32) * sunlit)
    if weather.headlight:
        light += colours * _headlight_beam(size, distance)
    if (distance == SKY).any():
        light = np.where((distance == SKY)[:, :, None], sky(size, weather, rng), light)
    light += weather.lamps * 4 * to_linear(stage.lamps)
    clear = np.exp(-weather.fog * rng.uniform(0.7, 1.4) * distance / SKY)[:, :, None]
    return np.asarray(light * clear + air(weather) * (1 - clear), dtype=np.float32)


def air(weather: Weather) -> Light:
    """The colour of thick air: the sky's at the horizon.  # (3,)"""
    return linear_colour(weather.sky_low) * np.float32(weather.sky_level)


def sky(size: tuple[int, int], weather: Weather, rng: Rng) -> Light:
    """A gradient with clouds.  # (h, w, 3)"""
    down = np.linspace(0, 1, size[1], dtype=np.float32)[:, None, None] ** rng.uniform(0.6, 1.4)
    gradient = linear_colour(weather.sky_top) * (1 - down) + linear_colour(weather.sky_low) * down
    cover = np.clip(fractal(rng, size, size[0] / rng.uniform(1.5, 4), 6) * 2.6 - rng.uniform(0.7, 1.5), 0, 1)[
        :, :, None
    ]
    cloud = (0.75 + 0.5 * fractal(rng, size, size[0] / 6, 5)[:, :, None]) * linear_colour(weather.sky_low)
    gradient = gradient + weather.clouds * cover * (cloud - gradient)
    return np.asarray(gradient * weather.sky_level * rng.uniform(0.85, 1.15), dtype=np.float32)


def _headlight_beam(size: tuple[int, int], distance: np.ndarray) -> Light:
    """What our headlights show of the road and the verge: near things, low in the picture."""
    x, y = np.linspace(-1, 1, size[0]), np.linspace(0, 1, size[1])[:, None]
    beam = np.exp(-(x**2) / 0.5) * np.clip(y - 0.35, 0, 1) * np.exp(-distance / 60)
    return np.asarray(0.35 * beam[:, :, None] * np.array([1.0, 0.92, 0.78]), dtype=np.float32)


def _snowed(colours: Image.Image, rng: Rng) -> Image.Image:
    """Colours with snow settled on them, most where a fractal says so and low in the picture."""
    lie = fractal(rng, colours.size, colours.width / 8, 5) + np.linspace(-0.45, 0.75, colours.height)[:, None]
    return Image.composite(Image.new("RGB", colours.size, (238, 241, 246)), colours, _mask(lie * 3 - 1))


def _mask(share: np.ndarray) -> Image.Image:
    return Image.fromarray((np.clip(share, 0, 1) * 255).astype(np.uint8))


def precipitate(light: Light, weather: Weather, rng: Rng) -> Light:
    """The same light with raindrops or snowflakes between it and the lens."""
    if not (weather.rain or weather.snow):
        return light
    height, width = light.shape[:2]
    veil = Image.new("L", (width, height))
    draw = ImageDraw.Draw(veil)
    if weather.rain:
        _draw_streaks(draw, width, height, rng)
    else:
        _draw_flakes(draw, width, height, rng)
    cover = np.asarray(veil.filter(ImageFilter.GaussianBlur(1.2)), dtype=np.float32)[:, :, None] / 255
    drop = air(weather) * np.float32(1.1 if weather.rain else 1.25)
    return light + cover * (drop - light)


def _draw_streaks(draw: ImageDraw.ImageDraw, width: int, height: int, rng: Rng) -> None:
    slant = rng.normal(0, 0.2)
    for _ in range(rng.integers(60, 180)):
        x, y, length = rng.uniform(0, width), rng.uniform(0, height), rng.uniform(0.04, 0.13) * height
        draw.line(
            (x, y, x + slant * length, y + length),
            fill=int(rng.uniform(50, 130)),
            width=int(rng.integers(1, 3)),
        )


def _draw_flakes(draw: ImageDraw.ImageDraw, width: int, height: int, rng: Rng) -> None:
    for _ in range(rng.integers(40, 220)):
        x, y, radius = rng.uniform(0, width), rng.uniform(0, height), rng.gamma(2, 0.0035) * width
        draw.ellipse((x - radius, y - radius, x + radius, y + radius * 1.2), fill=int(rng.uniform(110, 235)))
