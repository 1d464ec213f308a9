"""What stands behind a road sign: a painted stage, from the far hills to the kerb.

A stage holds three pictures of equal size: the colour of surfaces, how far away they are, and what shines by
itself. Weather turns them into light afterwards, so one street serves for a sunny noon and a foggy night.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import cos, pi, sin

import numpy as np
from PIL import Image, ImageDraw

from rendering.light import Colour

Rng = np.random.Generator
Points = Sequence[tuple[float, float]]

SKY = 255  # the distance of what has none
LAMP: Colour = (255, 214, 150)


class Stage:
    """A painting in progress. Distances run from 0 (at the lens) to 254, and SKY.

    The distance travels in the alpha channel of the colours, so that one stroke paints both.
    """

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self._surface = Image.new("RGBA", (width, height), (0, 0, 0, SKY))
        self.lamps = Image.new("RGB", (width, height))
        self._brush, self._light_brush = ImageDraw.Draw(self._surface), ImageDraw.Draw(self.lamps)

    @property
    def colours(self) -> Image.Image:
        return Image.merge("RGB", self._surface.split()[:3])

    @property
    def distances(self) -> Image.Image:
        return self._surface.getchannel("A")

    def leaf(self, points: Points, colour: Colour, distance: int) -> None:
        """A polygon too small to hide a lamp."""
        self._brush.polygon(points, fill=(*colour, distance))

    def polygon(self, points: Points, colour: Colour, distance: int, lamp: Colour = (0, 0, 0)) -> None:
        self._brush.polygon(points, fill=(*colour, distance))
        self._light_brush.polygon(points, fill=lamp)

    def box(self, left: float, top: float, right: float, bottom: float, colour: Colour, distance: int) -> None:
        self.polygon([(left, top), (right, top), (right, bottom), (left, bottom)], colour, distance)

    def disc(self, x: float, y: float, radius: float, colour: Colour, distance: int, flat: float = 1.0) -> None:
        box = (x - radius, y - radius * flat, x + radius, y + radius * flat)
        self._brush.ellipse(box, fill=(*colour, distance))
        self._light_brush.ellipse(box, fill=(0, 0, 0))

    def lamp(self, x: float, y: float, radius: float, lamp: Colour = LAMP) -> None:
        """Something that shines, over whatever is painted there."""
        self._light_brush.ellipse((x - radius, y - radius, x + radius, y + radius), fill=lamp)


def shade(colour: Colour, factor: float) -> Colour:
    red, green, blue = (min(255, max(0, int(c * factor))) for c in colour)
    return red, green, blue


def vary(rng: Rng, colour: Colour, spread: float = 0.12) -> Colour:
    """A neighbour of a colour: no two houses have the same paint. Lightness varies more than hue does."""
    factors = rng.normal(1, spread) * rng.normal(1, spread / 4, 3)
    red, green, blue = (min(255, max(0, int(c * f))) for c, f in zip(colour, factors, strict=True))
    return red, green, blue


def hills(stage: Stage, rng: Rng, horizon: float) -> None:
    for ridge in range(rng.integers(1, 4)):
        steps = np.linspace(0, 1, 40)
        height = (0.22 - 0.06 * ridge) * rng.uniform(0.4, 1.2) * stage.height
        phases, waves = (
            rng.uniform(0, 2 * pi, 3),
            (rng.uniform(2, 5), rng.uniform(6, 11), rng.uniform(15, 30)),
        )
        profile = sum(
            np.sin(w * steps + p) / (k + 1) ** 1.5 for k, (w, p) in enumerate(zip(waves, phases, strict=True))
        )
        tops = horizon - height * (0.55 + 0.4 * profile)
        points = [(x * stage.width, y) for x, y in zip(steps, tops, strict=True)]
        colour = vary(rng, ((96, 116, 128), (84, 110, 92), (86, 104, 62))[ridge])
        stage.polygon([*points, (stage.width, stage.height), (0, stage.height)], colour, 225 - 25 * ridge)


def leaves(stage: Stage, rng: Rng, x: float, y: float, reach: tuple[float, float], base: Colour, distance: int) -> None:
    """A cloud of leaves around a point, darker inside and below, with light from above."""
    leaf = max(1.2, stage.height * rng.uniform(0.004, 0.009) * (1.6 - distance / 200))
    count = int(min(1100, reach[0] * reach[1] * 1.4 / leaf**2))
    angle, radius = rng.uniform(0, 2 * pi, count), np.sqrt(rng.uniform(0, 1, count))
    dx, dy = np.cos(angle) * radius, np.sin(angle) * radius
    brightness = np.clip(0.75 - 0.35 * dy + rng.normal(0, 0.22, count), 0.25, 1.7)
    sizes, tilts = leaf * rng.uniform(0.6, 1.5, count), rng.uniform(0, pi, count)
    for k in np.argsort(brightness):
        px, py, size, tilt = x + dx[k] * reach[0], y + dy[k] * reach[1], sizes[k], tilts[k]
        along, across = (cos(tilt) * size, sin(tilt) * size), (-sin(tilt) * size / 2, cos(tilt) * size / 2)
        points = [(px + along[0], py + along[1]), (px + across[0], py + across[1])]
        points += [(px - along[0], py - along[1]), (px - across[0], py - across[1])]
        stage.leaf(points, shade(base, brightness[k]), distance)


def tree(stage: Stage, rng: Rng, x: float, ground: float, height: float, distance: int) -> None:
    green = vary(
        rng,
        [(70, 100, 40), (88, 110, 44), (52, 84, 44), (140, 108, 40)][rng.choice(4, p=[0.4, 0.3, 0.2, 0.1])],
    )
    bark, half = vary(rng, (78, 62, 48)), height * 0.028
    stage.polygon(
        [
            (x - half, ground),
            (x + half, ground),
            (x + half / 2, ground - height * 0.6),
            (x - half / 2, ground - height * 0.6),
        ],
        bark,
        distance,
    )
    for _ in range(rng.integers(4, 7)):
        dx, dy = rng.normal(0, 0.13), rng.uniform(0.4, 0.85)
        reach = height * rng.uniform(0.16, 0.25)
        leaves(stage, rng, x + dx * height, ground - dy * height, (reach, reach * 0.95), green, distance)


def forest(stage: Stage, rng: Rng, horizon: float) -> None:
    for _ in range(rng.integers(7, 12)):
        height = stage.height * rng.uniform(0.25, 0.6)
        tree(
            stage,
            rng,
            rng.uniform(-0.05, 1.05) * stage.width,
            horizon + 3,
            height,
            int(rng.uniform(110, 190)),
        )


def conifers(stage: Stage, rng: Rng, horizon: float) -> None:
    for _ in range(rng.integers(8, 18)):
        x, height = rng.uniform(0, 1) * stage.width, stage.height * rng.uniform(0.2, 0.55)
        green, distance = vary(rng, (44, 66, 46), 0.2), int(rng.uniform(120, 200))
        for tier in range(9):
            top, half = horizon + 4 - height * (1 - tier / 9.5), height * 0.025 * (tier + 1.4)
            drop, jag = height * 0.17, rng.normal(0, half * 0.15, 2)
            stage.polygon(
                [(x, top), (x + half + jag[0], top + drop), (x - half + jag[1], top + drop)],
                shade(green, rng.uniform(0.75, 1.2)),
                distance,
            )


def windows(stage: Stage, rng: Rng, box: tuple[float, float, float, float], cell: float, distance: int) -> None:
    """Rows of windows on a facade; some are lit, which shows at night."""
    left, top, right, bottom = box
    glass, lit = vary(rng, (66, 78, 92)), rng.uniform(0.15, 0.5)
    across, down = max(1, int((right - left) / cell)), max(1, int((bottom - top) / (cell * 1.3)))
    width, height = (right - left) / across, (bottom - top) / down
    for row in range(down):
        for column in range(across):
            x, y = left + (column + 0.25) * width, top + (row + 0.25) * height
            corners = [(x, y), (x + width / 2, y), (x + width / 2, y + height * 0.55), (x, y + height * 0.55)]
            lamp = shade(LAMP, rng.uniform(0.25, 0.8)) if rng.random() < lit else (0, 0, 0)
            stage.polygon(corners, shade(glass, rng.uniform(0.6, 1.5)), distance, lamp)


def house(stage: Stage, rng: Rng, left: float, ground: float, width: float, distance: int) -> None:
    height = width * rng.uniform(0.5, 0.9)
    plaster = vary(
        rng,
        [(214, 202, 178), (196, 168, 132), (226, 224, 216), (178, 96, 74), (170, 178, 180)][rng.integers(5)],
        0.06,
    )
    stage.box(left, ground - height, left + width, ground, plaster, distance)
    roof, overhang = vary(rng, [(128, 62, 48), (84, 78, 78), (110, 84, 66)][rng.integers(3)]), width * 0.06
    peak = ground - height - width * rng.uniform(0.25, 0.45)
    stage.polygon(
        [
            (left - overhang, ground - height),
            (left + width * 0.5, peak),
            (left + width + overhang, ground - height),
        ],
        roof,
        distance,
    )
    windows(
        stage,
        rng,
        (left, ground - height, left + width, ground - height * 0.15),
        width / rng.integers(3, 5),
        distance,
    )
    door = left + width * rng.uniform(0.2, 0.7)
    stage.box(door, ground - height * 0.42, door + width * 0.13, ground, shade(plaster, 0.4), distance)


def suburb(stage: Stage, rng: Rng, horizon: float) -> None:
    x = -rng.uniform(0, 0.2) * stage.width
    while x < stage.width:
        width = rng.uniform(0.22, 0.5) * stage.width
        if rng.random() < 0.75:
            house(stage, rng, x, horizon + 6, width, int(rng.uniform(110, 160)))
        else:
            tree(stage, rng, x + width / 2, horizon + 6, stage.height * rng.uniform(0.3, 0.5), 120)
        x += width * rng.uniform(1.05, 1.4)


def city(stage: Stage, rng: Rng, horizon: float) -> None:
    for distance in (200, 150):
        x = -rng.uniform(0, 0.15) * stage.width
        while x < stage.width:
            width, top = (
                rng.uniform(0.14, 0.34) * stage.width,
                horizon - stage.height * rng.uniform(0.2, 0.75),
            )
            facade = vary(
                rng,
                [(172, 164, 152), (140, 132, 128), (188, 150, 120), (128, 140, 150), (206, 200, 190)][rng.integers(5)],
            )
            stage.box(x, top, x + width, horizon + 5, facade, distance)
            windows(
                stage,
                rng,
                (x + width * 0.06, top + 4, x + width * 0.94, horizon - 10),
                stage.width * rng.uniform(0.035, 0.08),
                distance,
            )
            x += width * rng.uniform(0.95, 1.35)


def hedge(stage: Stage, rng: Rng, horizon: float) -> None:
    """Leaves from edge to edge, close behind the sign."""
    green, top = vary(rng, (64, 92, 38)), horizon - stage.height * rng.uniform(0.3, 1.0)
    stage.box(0, top + stage.height * 0.05, stage.width, stage.height, shade(green, 0.35), 70)
    step = stage.width / 5
    for y in np.arange(top + step / 2, horizon + step, step * 0.8):
        for x in np.arange(0, stage.width + step, step):
            leaves(
                stage,
                rng,
                x + rng.normal(0, step / 5),
                y + rng.normal(0, step / 6),
                (step * 0.75, step * 0.6),
                vary(rng, green, 0.06),
                70,
            )


def bricks(stage: Stage, rng: Rng, _horizon: float) -> None:
    """A brick wall that fills the picture."""
    brick, mortar = (
        vary(rng, [(150, 78, 58), (172, 128, 98), (196, 186, 172)][rng.integers(3)]),
        vary(rng, (170, 164, 154), 0.05),
    )
    stage.box(0, 0, stage.width, stage.height, mortar, 60)
    height = stage.height * rng.uniform(0.03, 0.06)
    width, slope = height * rng.uniform(2.2, 3), rng.normal(0, 0.05)
    for row in range(-4, int(stage.height / height) + 5):
        for column in range(-1, int(stage.width / width) + 2):
            left, top = (column + row % 2 / 2) * width, row * height + slope * column * width
            right, bottom = left + width * 0.93, top + height * 0.86
            tilt = slope * width
            corners = [(left, top), (right, top + tilt), (right, bottom + tilt), (left, bottom)]
            stage.polygon(corners, shade(brick, rng.normal(1, 0.12)), 60)


def concrete(stage: Stage, rng: Rng, _horizon: float) -> None:
    """A smooth wall with joints, the dullest backdrop of all."""
    grey = vary(rng, (172, 170, 164), 0.08)
    stage.box(0, 0, stage.width, stage.height, grey, 60)
    panel, offset = stage.width * rng.uniform(0.4, 0.9), rng.uniform(0, 0.4) * stage.width
    for k in range(-1, 4):
        x = offset + k * panel
        stage.box(x, 0, x + 3, stage.height, shade(grey, 0.6), 60)
    y = rng.uniform(0.1, 0.9) * stage.height
    stage.box(0, y, stage.width, y + 3, shade(grey, 0.6), 60)


def open_sky(stage: Stage, rng: Rng, _horizon: float) -> None:
    """Looking up: nothing but sky, perhaps a wire or a twig."""
    for _ in range(rng.integers(0, 4)):
        y, slope = rng.uniform(0, 0.7) * stage.height, rng.normal(0, 0.15) * stage.height
        stage.polygon([(0, y), (stage.width, y + slope), (stage.width, y + slope + 2), (0, y + 2)], (40, 40, 42), 120)
    if rng.random() < 0.4:
        corner, reach = rng.choice([0, 1]) * stage.width, stage.width * rng.uniform(0.15, 0.3)
        leaves(
            stage,
            rng,
            corner,
            rng.uniform(0, 0.6) * stage.height,
            (reach, reach),
            vary(rng, (70, 100, 40)),
            60,
        )


def ground(stage: Stage, rng: Rng, horizon: float) -> None:
    """Grass or pavement from the horizon to our feet, nearer row by row."""
    soil = vary(rng, [(96, 112, 54), (84, 104, 56), (150, 146, 138), (138, 118, 82)][rng.integers(4)])
    for y in range(int(horizon), stage.height):
        nearness = (y - horizon) / (stage.height - horizon + 1)
        stage.box(0, y, stage.width, y + 1, shade(soil, 0.85 + 0.25 * nearness), int(190 * (1 - nearness) ** 2 + 12))
    for _ in range(260):
        depth = rng.random() ** 0.6
        x, y = rng.random() * stage.width, horizon + depth * (stage.height - horizon)
        blade = 1 + depth * 5
        stage.polygon(
            [(x, y), (x + 2, y), (x + rng.normal(0, 2), y - blade)],
            shade(soil, rng.uniform(0.6, 1.3)),
            int(190 * (1 - depth) ** 2 + 12),
        )


def road(stage: Stage, rng: Rng, horizon: float) -> None:
    vanishing, bottom = rng.uniform(-0.1, 1.1) * stage.width, stage.height
    left, right = (
        vanishing - rng.uniform(0.5, 1.5) * stage.width,
        vanishing + rng.uniform(0.5, 1.5) * stage.width,
    )
    asphalt = vary(rng, (92, 92, 96), 0.06)

    def across(share: float, nearness: float) -> tuple[float, float]:
        """The point at a share of the road's width (0 left, 1 right) and a nearness (0 horizon, 1 our feet)."""
        edge = left + share * (right - left)
        return vanishing + (edge - vanishing) * nearness, horizon + (bottom - horizon) * nearness

    stage.polygon([across(0, 0), across(1, 1), across(0, 1)], asphalt, 60)
    stage.polygon([across(-0.06, 1), across(0, 0), across(0, 1)], (168, 166, 160), 60)
    stage.polygon([across(1, 1), across(0, 0), across(1.06, 1)], (168, 166, 160), 60)
    for dash in range(9):
        near, far = 0.75**dash, 0.75 ** (dash + 0.45)
        stage.polygon(
            [across(0.49, near), across(0.51, near), across(0.51, far), across(0.49, far)],
            (214, 212, 204),
            60,
        )


def car(stage: Stage, rng: Rng, horizon: float) -> None:
    """A parked car, far enough to be simple."""
    length, x = stage.width * rng.uniform(0.12, 0.3), rng.uniform(-0.05, 0.9) * stage.width
    base = horizon + length * rng.uniform(0.3, 0.6)
    paint = [(168, 30, 34), (40, 58, 110), (224, 224, 222), (40, 42, 46), (150, 154, 158), (36, 88, 70)][
        rng.integers(6)
    ]
    body, roof = base - length * 0.22, base - length * 0.4
    cabin = [
        (x + length * 0.18, body),
        (x + length * 0.32, roof),
        (x + length * 0.7, roof),
        (x + length * 0.86, body),
    ]
    stage.polygon(cabin, shade(paint, 0.9), 100)
    glass = [
        (x + length * 0.24, body),
        (x + length * 0.34, roof + 2),
        (x + length * 0.68, roof + 2),
        (x + length * 0.8, body),
    ]
    stage.polygon(glass, (58, 68, 76), 100)
    stage.box(x, body, x + length, base - length * 0.05, paint, 100)
    for wheel in (0.2, 0.8):
        stage.disc(x + wheel * length, base - length * 0.05, length * 0.085, (26, 26, 28), 100)
        stage.disc(x + wheel * length, base - length * 0.05, length * 0.045, (140, 140, 144), 100)
    stage.lamp(x + length * 0.02, body + length * 0.06, length * 0.02, (255, 60, 40))


def street_lamp(stage: Stage, rng: Rng, horizon: float) -> None:
    x, top = rng.random() * stage.width, horizon - stage.height * rng.uniform(0.25, 0.6)
    arm = rng.choice([-1, 1]) * stage.width * 0.05
    stage.box(x - 1.5, top, x + 1.5, horizon + 12, (84, 86, 88), 110)
    stage.box(min(x, x + arm), top, max(x, x + arm), top + 3, (84, 86, 88), 110)
    stage.lamp(x + arm, top + 4, 4)


def fence(stage: Stage, rng: Rng, horizon: float) -> None:
    wood, top = vary(rng, (128, 104, 78)), horizon - stage.height * rng.uniform(0.0, 0.06)
    height, step = stage.height * rng.uniform(0.1, 0.16), stage.width * rng.uniform(0.03, 0.07)
    for rail in (0.25, 0.7):
        stage.box(0, top + rail * height, stage.width, top + rail * height + 4, shade(wood, 0.9), 90)
    for x in np.arange(rng.uniform(0, step), stage.width, step):
        stage.box(x, top, x + step * 0.3, top + height, shade(wood, rng.uniform(0.8, 1.2)), 90)


Painter = Callable[[Stage, Rng, float], None]
# Each: the painters of the background, and whether ground and a road lie in front of it.
BACKDROPS: dict[str, tuple[tuple[Painter, ...], bool]] = {
    "suburb": ((hills, suburb), True),
    "city": ((city,), True),
    "forest": ((hills, forest), True),
    "mountains": ((hills, conifers), True),
    "country": ((hills,), True),
    "hedge": ((hedge,), False),
    "bricks": ((bricks,), False),
    "concrete": ((concrete,), False),
    "open_sky": ((open_sky,), False),
}
_PROPS: tuple[Painter, ...] = (car, street_lamp, fence)


def paint_backdrop(name: str, width: int, height: int, rng: Rng) -> Stage:
    """A stage of that kind, no two alike. Sides in px."""
    stage = Stage(width, height)
    painters, has_ground = BACKDROPS[name]
    horizon = rng.uniform(0.5, 0.8) * height
    for painter in painters:
        painter(stage, rng, horizon)
    if has_ground:
        ground(stage, rng, horizon)
        if rng.random() < 0.75:
            road(stage, rng, horizon)
        for prop in _PROPS:
            if rng.random() < 0.4:
                prop(stage, rng, horizon)
    return stage
