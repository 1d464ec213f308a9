"""The faces of eight road signs, in the European style, and what weather does to them in ten years.

A face is an RGBA picture, as large as its caller asks; coordinates here are fractions of its side, y down.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import cos, pi, sin

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from rendering.light import Colour, Light, fractal, linear_colour, to_linear, to_srgb

Point = tuple[float, float]
Rng = np.random.Generator

RED, BLUE, YELLOW = (196, 20, 32), (10, 78, 158), (252, 198, 14)
WHITE, BLACK, BACK = (240, 240, 236), (22, 22, 24), (120, 122, 124)


class Face:
    """A square canvas with the origin at its top left and sides of length 1."""

    def __init__(self, side_px: int, rim: Colour) -> None:
        self.side_px = side_px
        # Transparent pixels carry the colour of the rim, else resampling would draw a dark fringe around the sign.
        self.image = Image.new("RGBA", (side_px, side_px), (*rim, 0))
        self.draw = ImageDraw.Draw(self.image)

    def polygon(self, points: Sequence[Point], colour: Colour, corner: float = 0.0) -> None:
        """A filled polygon whose corners are rounded by the radius `corner`."""
        pixels = [(x * self.side_px, y * self.side_px) for x, y in points]
        self.draw.polygon(pixels, fill=colour)
        if corner:
            radius = corner * self.side_px
            self.draw.line([*pixels, pixels[0]], fill=colour, width=round(2 * radius))
            for x, y in pixels:
                self.draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)

    def disc(self, radius: float, colour: Colour, centre: Point = (0.5, 0.5)) -> None:
        (x, y), side = centre, self.side_px
        box = ((x - radius) * side, (y - radius) * side, (x + radius) * side, (y + radius) * side)
        self.draw.ellipse(box, fill=colour)

    def box(self, left: float, top: float, right: float, bottom: float, colour: Colour, corner: float = 0.0) -> None:
        side = self.side_px
        box = (left * side, top * side, right * side, bottom * side)
        self.draw.rounded_rectangle(box, corner * side, fill=colour)

    def stroke(self, points: Sequence[Point], width: float, colour: Colour) -> None:
        """A line with round ends."""
        for start, end in pairwise(points):
            self.polygon([start, end, start], colour, corner=width / 2)

    def text(self, words: str, height: float, colour: Colour, centre: Point = (0.5, 0.5), bold: float = 0.02) -> None:
        """Words in Pillow's own font, stretched to be `height` tall (capital letters)."""
        font = ImageFont.load_default(height * self.side_px / 0.7)  # capitals are 0.7 em tall in this font
        place = (centre[0] * self.side_px, centre[1] * self.side_px)
        width = round(bold * self.side_px)
        left, top, right, bottom = self.draw.textbbox(place, words, font=font, anchor="mm", stroke_width=width)
        place = (2 * place[0] - (left + right) / 2, 2 * place[1] - (top + bottom) / 2)
        self.draw.text(place, words, fill=colour, font=font, anchor="mm", stroke_width=width, stroke_fill=colour)


def ring(corners: int, radius: float, first_angle: float, centre: Point = (0.5, 0.5)) -> list[Point]:
    """The corners of a regular polygon; angles in turns, clockwise from the right."""
    turns = [first_angle + k / corners for k in range(corners)]
    return [(centre[0] + radius * cos(2 * pi * t), centre[1] + radius * sin(2 * pi * t)) for t in turns]


def stop(side_px: int, rng: Rng) -> Image.Image:
    face = Face(side_px, WHITE)
    face.polygon(ring(8, 0.5, 1 / 16), WHITE)
    face.polygon(ring(8, 0.5 - rng.uniform(0.02, 0.035), 1 / 16), RED)
    face.text("STOP", rng.uniform(0.2, 0.24), WHITE)
    return face.image


def give_way(side_px: int, rng: Rng) -> Image.Image:
    face = Face(side_px, RED)
    centre = (0.5, 0.33)
    face.polygon(ring(3, 0.50, 1 / 4, centre), WHITE, corner=0.05)
    face.polygon(ring(3, 0.48, 1 / 4, centre), RED, corner=0.05)
    face.polygon(ring(3, rng.uniform(0.23, 0.29), 1 / 4, centre), WHITE, corner=0.03)
    return face.image


def speed_limit(side_px: int, rng: Rng) -> Image.Image:
    face = Face(side_px, WHITE)
    number = str(rng.choice([20, 30, 30, 40, 50, 50, 60, 70, 80, 100, 120]))
    face.disc(0.5, WHITE)
    face.disc(0.49, RED)
    face.disc(rng.uniform(0.37, 0.405), WHITE)
    face.text(number, 0.34 if len(number) < 3 else 0.25, BLACK, bold=rng.uniform(0.012, 0.025))
    return face.image


def no_entry(side_px: int, rng: Rng) -> Image.Image:
    face = Face(side_px, WHITE)
    half_width, half_height = rng.uniform(0.34, 0.39), rng.uniform(0.07, 0.1)
    face.disc(0.5, WHITE)
    face.disc(0.485, RED)
    face.box(0.5 - half_width, 0.5 - half_height, 0.5 + half_width, 0.5 + half_height, WHITE, corner=0.012)
    return face.image


def priority_road(side_px: int, rng: Rng) -> Image.Image:
    face = Face(side_px, WHITE)
    face.polygon(ring(4, 0.45, 0), BLACK, corner=0.05)
    face.polygon(ring(4, 0.445, 0), WHITE, corner=0.045)
    inner = rng.uniform(0.29, 0.33)
    face.polygon(ring(4, inner, 0), BLACK, corner=0.03)
    face.polygon(ring(4, inner - 0.012, 0), YELLOW, corner=0.027)
    return face.image


def parking(side_px: int, rng: Rng) -> Image.Image:
    face = Face(side_px, WHITE)
    left = rng.uniform(0.0, 0.07)  # some are a little taller than wide
    face.box(left, 0, 1 - left, 0.995, WHITE, corner=0.07)
    face.box(left + 0.025, 0.025, 0.975 - left, 0.97, BLUE, corner=0.05)
    face.text("P", rng.uniform(0.5, 0.62), WHITE, (0.51, 0.5), bold=0.035)
    return face.image


def pedestrian_crossing(side_px: int, _rng: Rng) -> Image.Image:
    face = Face(side_px, WHITE)
    face.box(0, 0, 0.995, 0.995, WHITE, corner=0.06)
    face.box(0.025, 0.025, 0.97, 0.97, BLUE, corner=0.045)
    face.polygon([(0.5, 0.11), (0.9, 0.83), (0.1, 0.83)], WHITE, corner=0.02)
    face.disc(0.042, BLACK, (0.52, 0.33))
    face.stroke([(0.52, 0.42), (0.5, 0.57)], 0.085, BLACK)
    face.stroke([(0.5, 0.57), (0.59, 0.66), (0.6, 0.77)], 0.05, BLACK)
    face.stroke([(0.5, 0.57), (0.44, 0.67), (0.36, 0.75)], 0.05, BLACK)
    face.stroke([(0.55, 0.42), (0.61, 0.5), (0.67, 0.51)], 0.035, BLACK)
    face.stroke([(0.5, 0.42), (0.42, 0.48), (0.4, 0.55)], 0.035, BLACK)
    for stripe in range(5):
        x = 0.2 + 0.14 * stripe
        face.polygon([(x, 0.8), (x + 0.07, 0.8), (x + 0.05, 0.84), (x - 0.03, 0.84)], BLACK)
    return face.image


def one_way(side_px: int, rng: Rng) -> Image.Image:
    face = Face(side_px, WHITE)
    top, bottom = 0.27, 0.73
    face.box(0, top, 0.995, bottom, WHITE, corner=0.04)
    face.box(0.02, top + 0.02, 0.975, bottom - 0.02, BLUE, corner=0.03)
    half = rng.uniform(0.05, 0.065)
    arrow = [(0.09, 0.5 - half), (0.64, 0.5 - half), (0.57, 0.33), (0.7, 0.33), (0.91, 0.5)]
    face.polygon([*arrow, *[(x, 1 - y) for x, y in reversed(arrow[:-1])]], WHITE)
    points_left = rng.random() < 0.5
    return face.image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if points_left else face.image


SIGNS: dict[str, Callable[[int, Rng], Image.Image]] = {
    "speed_limit": speed_limit,
    "give_way": give_way,
    "stop": stop,
    "priority_road": priority_road,
    "parking": parking,
    "pedestrian_crossing": pedestrian_crossing,
    "no_entry": no_entry,
    "one_way": one_way,
}


def extra_plate(side_px: int, rng: Rng) -> Image.Image:
    """The small white plate below many signs, on a square canvas as wide as the sign."""
    face = Face(side_px, BLACK)
    face.box(0.1, 0.02, 0.9, 0.4, BLACK, corner=0.03)
    face.box(0.115, 0.035, 0.885, 0.385, WHITE, corner=0.02)
    words = ["200 m", "8-18 h", "ZONE", "7.5 t", "Mo-Fr", "100 m", "frei", "Bus"]
    face.text(str(rng.choice(words)), 0.17, BLACK, (0.5, 0.21), bold=0.008)
    return face.image


def weathered(face: Image.Image, rng: Rng) -> Image.Image:
    """The face after some years: faded by the sun, dirty, scratched, sometimes with a sticker."""
    side_px, years = face.width, rng.uniform(0, 1) ** 2
    light = to_linear(face.convert("RGB"))
    grey = light.mean(axis=2, keepdims=True)
    light = light + (0.6 * grey + 0.12 - light) * rng.uniform(0, 0.4) * years
    dirt = _dirt(side_px, rng) * years
    light = light + (linear_colour((92, 80, 62)) - light) * np.clip(dirt, 0, 0.75)[:, :, None]
    result = Image.fromarray(to_srgb(light))
    draw = ImageDraw.Draw(result)
    for _ in range(rng.poisson(5 * years)):
        x, y = rng.random(2) * side_px
        to = (x + rng.normal(0, 0.12) * side_px, y + rng.normal(0, 0.12) * side_px)
        draw.line((x, y, *to), fill=(205, 200, 190), width=max(1, side_px // 150))
    if rng.random() < 0.08:
        _add_sticker(draw, side_px, rng)
    result.putalpha(face.getchannel("A"))
    return result


def _dirt(side_px: int, rng: Rng) -> Light:
    """How thick dirt lies, 0 to about 1.5: blotches, and streaks because rain runs down.  # (side_px, side_px)"""
    blotches = fractal(rng, (96, 96), 20, 4)
    streaks = np.asarray(Image.fromarray(fractal(rng, (96, 19), 20, 4)).resize((96, 96)))
    dirt = np.clip(blotches * 0.6 + streaks * 0.6 - 0.55, 0, 1) * 2
    return np.asarray(Image.fromarray(dirt).resize((side_px, side_px)))


def _add_sticker(draw: ImageDraw.ImageDraw, side_px: int, rng: Rng) -> None:
    x, y, radius = *(rng.uniform(0.25, 0.75, 2) * side_px), rng.uniform(0.04, 0.08) * side_px
    colour = tuple(int(c) for c in rng.integers(30, 255, 3))
    draw.polygon(ring(4, radius, rng.random(), (x, y)), fill=colour)
