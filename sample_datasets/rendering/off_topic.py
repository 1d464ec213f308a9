"""Pictures that are not of a road sign: what a careless download or a full phone adds to a folder."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from rendering.backdrops import Stage, leaves, shade, vary
from rendering.camera import ordinary_exposure, photograph
from rendering.light import Light, fractal, to_linear
from rendering.signs import ring
from rendering.weather import WEATHERS, illuminate, sky

Rng = np.random.Generator
SIZE = (240, 200)  # of the finished picture, in px; those that are photographed are painted at twice that
_PAINTED = (480, 400)


def _photographed(light: Light, key: float, rng: Rng) -> Image.Image:
    return photograph(light, ordinary_exposure(key, rng), rng)


def leaves_only(rng: Rng) -> Image.Image:
    stage = Stage(*_PAINTED)
    stage.box(0, 0, *_PAINTED, (24, 34, 16), 70)
    for x, y in rng.random((45, 2)) * _PAINTED:
        leaves(stage, rng, x, y, (90, 80), vary(rng, (74, 108, 44), 0.2), 40)
    return _photographed(illuminate(stage, WEATHERS["overcast"], rng), 0.2, rng)


def clouds_only(rng: Rng) -> Image.Image:
    return _photographed(sky(_PAINTED, WEATHERS["sunny"], rng), 0.35, rng)


def cartoon_face(_rng: Rng) -> Image.Image:
    image = Image.new("RGB", SIZE, (250, 236, 200))
    draw = ImageDraw.Draw(image)
    draw.ellipse((50, 20, 190, 185), fill=(238, 186, 140), outline=(60, 40, 30), width=3)
    draw.pieslice((46, 8, 194, 150), 180, 360, fill=(92, 54, 30))
    draw.ellipse((72, 52, 168, 110), fill=(238, 186, 140))
    for x in (92, 148):
        draw.ellipse((x - 13, 85, x + 13, 108), fill="white", outline=(60, 40, 30), width=2)
        draw.ellipse((x - 5, 91, x + 6, 103), fill=(40, 70, 120))
        draw.arc((x - 17, 70, x + 17, 95), 200, 340, fill=(92, 54, 30), width=4)
    draw.arc((108, 100, 132, 132), 20, 160, fill=(160, 100, 70), width=3)
    draw.chord((88, 120, 152, 165), 10, 170, fill=(170, 40, 50), outline=(60, 40, 30))
    return image


def fruit_bowl(rng: Rng) -> Image.Image:
    image = Image.new("RGB", _PAINTED, (150, 128, 104))
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 250, 480, 400), fill=(104, 70, 44))
    for x, y, radius, colour in (
        (150, 200, 62, (196, 30, 28)),
        (250, 175, 68, (238, 140, 24)),
        (335, 210, 58, (150, 180, 40)),
        (205, 225, 52, (214, 60, 40)),
        (290, 235, 48, (240, 190, 40)),
    ):
        for k in range(24):  # a ball: discs that shrink towards the light
            inner, shift = radius * (1 - k / 24), radius * 0.35 * k / 24
            box = (x - inner - shift, y - inner - shift, x + inner - shift, y + inner - shift)
            draw.ellipse(box, fill=shade(colour, 0.5 + 0.75 * k / 24))
    draw.chord((70, 120, 420, 360), 5, 175, fill=(212, 216, 222))
    draw.chord((90, 160, 400, 350), 12, 168, fill=(186, 192, 202))
    texture = 0.75 + 0.5 * fractal(rng, _PAINTED, 40, 5)[:, :, None]
    return _photographed(to_linear(image) * texture, 0.2, rng)


def checkerboard(rng: Rng) -> Image.Image:
    """A calibration target, held at an angle."""
    image = Image.new("RGB", (640, 640), (245, 245, 245))
    draw = ImageDraw.Draw(image)
    for row in range(8):
        for column in range(row % 2, 8, 2):
            draw.rectangle((column * 80, row * 80, column * 80 + 79, row * 80 + 79), fill=(18, 18, 18))
    seen = image.transform(
        _PAINTED, Image.Transform.QUAD, (-60, -40, 20, 660, 690, 600, 600, 30), Image.Resampling.BICUBIC
    )
    return _photographed(to_linear(seen), 0.25, rng)


def text_page(rng: Rng) -> Image.Image:
    image = Image.new("RGB", _PAINTED, (236, 232, 222))
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(22)
    words = "the council decided that signs at every crossing be cleaned before winter and counted twice".split()
    for line in range(12):
        draw.text((34, 24 + 30 * line), " ".join(rng.permutation(words)[:6]), fill=(30, 30, 34), font=font)
    return _photographed(to_linear(image), 0.5, rng)


def bar_chart(rng: Rng) -> Image.Image:
    """A screenshot: no lens, no noise."""
    image = Image.new("RGB", SIZE, "white")
    draw = ImageDraw.Draw(image)
    for k, height in enumerate(rng.integers(25, 140, 8)):
        draw.rectangle((34 + 24 * k, 168 - height, 51 + 24 * k, 168), fill=(52, 112, 180))
    draw.line((26, 20, 26, 168, 228, 168), fill=(90, 90, 90), width=2)
    draw.text((60, 8), "Sales per quarter", fill=(40, 40, 40), font=ImageFont.load_default(14))
    return image


def plate_and_cup(rng: Rng) -> Image.Image:
    """Breakfast from above."""
    image = Image.new("RGB", _PAINTED, vary(rng, (60, 92, 110)))
    draw = ImageDraw.Draw(image)
    for x in range(0, 480, 48):
        draw.rectangle((x, 0, x + 22, 400), fill=(206, 206, 198))
    draw.ellipse((40, 60, 320, 340), fill=(228, 226, 220))
    draw.ellipse((85, 105, 275, 295), fill=(208, 206, 200))
    draw.polygon(ring(7, 78, 0.1, (180, 200)), fill=(196, 142, 78))
    draw.ellipse((150, 165, 215, 228), fill=(244, 196, 60))
    draw.ellipse((345, 40, 465, 160), fill=(232, 232, 228))
    draw.ellipse((360, 55, 450, 145), fill=(52, 32, 22))
    texture = 0.8 + 0.4 * fractal(rng, _PAINTED, 60, 5)[:, :, None]
    return _photographed(to_linear(image) * texture, 0.24, rng)


OFF_TOPIC: dict[str, Callable[[Rng], Image.Image]] = {
    "leaves": leaves_only,
    "clouds": clouds_only,
    "cartoon face": cartoon_face,
    "fruit bowl": fruit_bowl,
    "checkerboard": checkerboard,
    "page of text": text_page,
    "bar chart": bar_chart,
    "breakfast": plate_and_cup,
}
