"""One road sign in one place in one weather, as linear light."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, radians, sin

import numpy as np
from PIL import Image

from rendering.backdrops import BACKDROPS, paint_backdrop
from rendering.light import Light, blur, defocus_kernel, fractal, half_size, linear_colour, to_linear, to_srgb
from rendering.signs import SIGNS, extra_plate, weathered
from rendering.weather import WEATHERS, Weather, air, illuminate, precipitate

Rng = np.random.Generator
Corners = list[tuple[float, float]]

SUPERSAMPLING = 2  # of the whole scene, against jagged edges; the sign itself is drawn at twice that
# Width and height in px: how phones, dash cameras and cropping people make them. About 200, none exceptional.
SIZES = (
    (200, 200),
    (240, 180),
    (180, 240),
    (260, 194),
    (224, 224),
    (256, 192),
    (192, 256),
    (208, 208),
    (250, 188),
)
_BACKDROP_WEIGHTS = (0.20, 0.18, 0.14, 0.11, 0.11, 0.08, 0.06, 0.05, 0.07)
_WEATHER_WEIGHTS = (0.24, 0.20, 0.08, 0.10, 0.07, 0.09, 0.07, 0.08, 0.07)
PLAIN_WEATHERS = ("sunny", "overcast", "golden")


@dataclass(frozen=True)
class Scene:
    """What is where. Lengths are fractions of the picture's shorter side; angles in degrees.

    defocus: diameter of the blur of the backdrop, in px of the picture.
    """

    sign: str
    backdrop: str
    weather: str
    width: int
    height: int
    sign_size: float
    centre: tuple[float, float]
    yaw: float
    pitch: float
    roll: float
    defocus: float
    extra_plate: bool


def choose_scene(sign: str, rng: Rng, weathers: tuple[str, ...] = tuple(WEATHERS)) -> Scene:
    """A scene with that sign; everything else by chance."""
    weights = np.array([_WEATHER_WEIGHTS[list(WEATHERS).index(name)] for name in weathers])
    width, height = SIZES[rng.integers(len(SIZES))]
    size = rng.uniform(0.16, 0.28) if rng.random() < 0.15 else rng.uniform(0.3, 0.72)
    short, margin = min(width, height), size * 0.56
    free_x, free_y = max(0.0, width / short - 2 * margin), max(0.0, height / short - 2 * margin)
    return Scene(
        sign=sign,
        backdrop=str(rng.choice(list(BACKDROPS), p=_BACKDROP_WEIGHTS)),
        weather=str(rng.choice(weathers, p=weights / weights.sum())),
        width=width,
        height=height,
        sign_size=size,
        centre=(margin + free_x * rng.beta(2, 2), margin + free_y * rng.beta(1.5, 2.5)),
        yaw=rng.normal(0, 20),
        pitch=rng.normal(-6, 6),
        roll=rng.normal(0, 3.5),
        defocus=float(rng.choice([0.0, rng.uniform(1, 2.5), rng.uniform(3, 8)], p=[0.45, 0.35, 0.2])),
        extra_plate=rng.random() < 0.18,
    )


def light_of(scene: Scene, rng: Rng) -> Light:
    """The light of the scene at SUPERSAMPLING times its size.  # (h, w, 3)"""
    weather = WEATHERS[scene.weather]
    width, height = scene.width * SUPERSAMPLING, scene.height * SUPERSAMPLING
    light = illuminate(paint_backdrop(scene.backdrop, width, height, rng), weather, rng)
    if scene.defocus:
        light = blur(light, defocus_kernel(scene.defocus * SUPERSAMPLING))
    falling = _light_on_sign(weather, rng)
    thin_air = np.exp(-weather.fog * rng.uniform(0.02, 0.2))
    _add_pole(light, scene, falling * 0.5 if weather.headlight else falling)
    for face, corners in _faces(scene, rng):
        _paste(
            light,
            _shadowed(weathered(face, rng), weather, rng),
            corners,
            falling,
            (air(weather), float(thin_air)),
        )
    return precipitate(light, weather, rng)


def _light_on_sign(weather: Weather, rng: Rng) -> Light:
    """What falls on the sign: sky, sun at some angle, our headlights.  # (3,)"""
    facing = rng.uniform(0.05, 1.0)
    headlight = weather.headlight * rng.uniform(0.6, 1.3) * np.array([1.0, 0.95, 0.86])
    return (np.array(weather.ambient) * rng.uniform(0.75, 1.1) + np.array(weather.sun) * facing + headlight).astype(
        np.float32
    )


def _faces(scene: Scene, rng: Rng) -> list[tuple[Image.Image, Corners]]:
    """Each plate on the pole with the four points of the supersampled picture that its corners fall on."""
    side_px = int(scene.sign_size * min(scene.width, scene.height) * SUPERSAMPLING * 2)
    faces = [(SIGNS[scene.sign](side_px, rng), _project(scene, 0.0, 1.0))]
    if scene.extra_plate:
        faces.append((extra_plate(side_px, rng), _project(scene, 0.99, 0.8)))
    return faces


def _project(scene: Scene, below: float, size: float) -> Corners:
    """Where the corners of a square plate fall, seen from five sign sizes away.

    below: its centre's distance under the sign's, in sign sizes; size: its side in sign sizes.
    """
    yaw, pitch, roll = radians(scene.yaw), radians(scene.pitch), radians(scene.roll)
    short = min(scene.width, scene.height) * SUPERSAMPLING
    corners = []
    for u, v in ((-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5)):
        x, y = u * size, v * size + below
        x, y = x * cos(roll) - y * sin(roll), x * sin(roll) + y * cos(roll)
        x, depth = x * cos(yaw), x * sin(yaw)
        y, depth = y * cos(pitch) - depth * sin(pitch), y * sin(pitch) + depth * cos(pitch)
        zoom = 5 / (5 + depth) * scene.sign_size
        corners.append(((scene.centre[0] + x * zoom) * short, (scene.centre[1] + y * zoom) * short))
    return corners


def _shadowed(face: Image.Image, weather: Weather, rng: Rng) -> Image.Image:
    """The face with the shadow of leaves or of a roof's edge across it, where there is a sun to cast one."""
    if max(weather.sun) < 0.5 or rng.random() < 0.55:
        return face
    size = face.size
    if rng.random() < 0.6:
        lit = np.clip(fractal(rng, size, size[0] / 3, 3) * 7 - 3, 0, 1)
    else:
        angle, offset = rng.uniform(0, 2 * np.pi), rng.uniform(-0.2, 0.25)
        y, x = np.mgrid[: size[1], : size[0]] / size[0] - 0.5
        lit = np.clip((x * np.cos(angle) + y * np.sin(angle) + offset) * 25, 0, 1)
    shade = 0.3 + 0.7 * lit[:, :, None]  # the sky still lights what the sun does not
    shadowed = Image.fromarray(to_srgb(to_linear(face.convert("RGB")) * shade))
    shadowed.putalpha(face.getchannel("A"))
    return shadowed


def _add_pole(light: Light, scene: Scene, falling: Light) -> None:
    """A grey tube from behind the sign down out of the picture, lighter in its middle."""
    short = min(scene.width, scene.height) * SUPERSAMPLING
    x, y = scene.centre[0] * short, scene.centre[1] * short
    rows = np.arange(int(y), light.shape[0])
    half = max(2.0, scene.sign_size * short * 0.033)
    middle = x - (rows - y) * np.tan(radians(scene.roll))
    across = (np.arange(light.shape[1]) - middle[:, None]) / half  # -1 left edge .. 1 right edge
    cover = np.clip((1 - np.abs(across)) * half + 0.5, 0, 1)[:, :, None]
    tube = linear_colour((150, 152, 154)) * falling * (1.05 - 0.65 * np.abs(across + 0.25))[:, :, None]
    light[rows] += cover * (np.maximum(tube, 0) - light[rows])


def _paste(light: Light, face: Image.Image, corners: Corners, falling: Light, haze: tuple[Light, float]) -> None:
    """Put a face onto the light, in place. haze: colour of the air before it, and how much it lets through."""
    xs, ys = zip(*corners, strict=True)
    left, top = max(0, int(min(xs)) - 1), max(0, int(min(ys)) - 1)
    right, bottom = min(light.shape[1], int(max(xs)) + 2), min(light.shape[0], int(max(ys)) + 2)
    if right <= left or bottom <= top:
        return  # an extra plate below the lower edge of the picture
    local = [((x - left) * 2, (y - top) * 2) for x, y in corners]
    size = ((right - left) * 2, (bottom - top) * 2)
    mapping = _homography(local, face.size)
    warped = face.transform(size, Image.Transform.PERSPECTIVE, mapping, Image.Resampling.BILINEAR)
    cover = np.asarray(warped.getchannel("A"), dtype=np.float32)[:, :, None] / 255
    colour, clear = to_linear(warped.convert("RGB")) * falling, haze[1]
    seen = (colour * clear + haze[0] * (1 - clear)) * cover
    region = light[top:bottom, left:right]
    region[:] = region * (1 - half_size(cover)) + half_size(seen)


def _homography(seen: Corners, size: tuple[int, int]) -> list[float]:
    """Pillow's eight numbers that lead from the points `seen` back to the corners of a picture of that size."""
    width, height = size
    rows, targets = [], []
    for (x, y), (u, v) in zip(seen, ((0, 0), (width, 0), (width, height), (0, height)), strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        targets += [u, v]
    return [float(number) for number in np.linalg.solve(np.array(rows), np.array(targets))]
