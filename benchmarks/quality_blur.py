"""How well `sharpness` tells blurred pictures from ordinary ones, beside CleanVision's score and the Laplacian.

    python benchmarks/quality_blur.py --data ../shared/data

Ordinary pictures: photos/, pets/ and caltech12/ as they are, soft ones included. Blurred ones: some of these and of
corpus/bsds (128 px), blurred at the working size by known kernels; as they come out, saved as JPEG of quality 75,
and with sensor noise of 3 grey levels. Thresholds are chosen on the even pictures, such that one in a hundred
ordinary ones lies below; all figures are of the odd pictures, and "default" is the threshold a user gets.
"""

from __future__ import annotations

import importlib.util
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from curate.checks import blurry
from curate.errors import UnreadableImage
from curate.imaging import DecodedImage, open_image
from processes import print_part

Luma = NDArray[np.uint8]  # (h, w)
Floats = NDArray[np.float64]
Measure = Callable[[Luma], float]  # low is blurry; NaN, "can't tell", is never flagged
Blur = Callable[[Luma], Floats]

ORDINARY = ("photos", "pets", "caltech12")
SMALL = "corpus/bsds"
MAX_ALARMS = 0.01
BLURRED_PER_FOLDER = 30
DEFAULTS = {"curate": blurry.Settings().min_sharpness, "CleanVision": 0.29}  # its 0.3.7


def measure_quality(data: Path) -> list[str]:
    """The report, line by line."""
    pictures = {folder: lumas(data / folder) for folder in (*ORDINARY, SMALL)}
    missing = [f"{data / folder} is missing or empty" for folder, found in pictures.items() if not found]
    if missing:
        return [f"blurry: not measured, {', '.join(missing)}"]
    measures = available_measures()
    scores = {name: score_all(measure, pictures) for name, measure in measures.items()}
    thresholds = {name: one_percent(scores[name]) for name in measures}
    blurred = {name: score_blurred(measure, pictures) for name, measure in measures.items()}
    lines = ["blurry: ordinary photographs below the threshold, in %"]
    for name in measures:
        lines += alarms(name, scores[name], {"1 % of the other half": thresholds[name]} | default(name))
    for name in measures:
        lines += ["", *recalls(name, scores[name], blurred[name], {"1 %": thresholds[name]} | default(name))]
    absent = [] if "CleanVision" in measures else ["CleanVision: missing (pip install curate[bench])"]
    return [*lines, "", *absent, *real_ones(data / "blur", measures)]


def lumas(folder: Path) -> list[Luma]:
    """The luma of every readable picture at the working size, in order of path."""
    return [luma for path in sorted(folder.rglob("*")) if path.is_file() for luma in luma_of(path)]


def luma_of(path: Path) -> Iterator[Luma]:
    try:
        yield open_image(path.read_bytes()).luma
    except UnreadableImage:
        return


# ---- The measures


def sharpness(luma: Luma) -> float:
    height, width = luma.shape
    rgbx = np.repeat(luma[:, :, None], 4, axis=2)
    value = blurry.measure(DecodedImage(rgbx, width, height, "PNG", "L", 0, ""))["sharpness"]
    return float(value) if isinstance(value, float) else float("nan")


def laplacian_variance(luma: Luma) -> float:
    """Of the four-neighbour Laplacian at the working size: what most blog posts recommend."""
    grey = luma.astype(np.float32)
    inner = 4 * grey[1:-1, 1:-1] - grey[:-2, 1:-1] - grey[2:, 1:-1] - grey[1:-1, :-2] - grey[1:-1, 2:]
    return float(inner.var())


def cleanvision_score(luma: Luma) -> float:
    """With the parameters of its default run."""
    import pandas as pd
    from cleanvision.issue_managers.image_property import BlurrinessProperty

    check = BlurrinessProperty()
    raw = pd.DataFrame([check.calculate(Image.fromarray(luma))])
    return float(check.get_scores(raw, "blurry", normalizing_factor=0.01, color_threshold=0.18).to_numpy()[0, 0])


def available_measures() -> dict[str, Measure]:
    measures: dict[str, Measure] = {"curate": sharpness, "Laplacian": laplacian_variance}
    if importlib.util.find_spec("cleanvision"):
        measures["CleanVision"] = cleanvision_score
    return measures


# ---- The blurs


def gaussian(sigma: float) -> Floats:
    x = np.arange(-16, 17)
    bell = np.exp(-(x**2) / (2 * sigma**2))
    return np.outer(bell, bell)


def disk(radius: float) -> Floats:
    """A lens out of focus."""
    y, x = np.mgrid[-16:17, -16:17]
    return np.asarray(np.clip(radius + 0.5 - np.hypot(x, y), 0, 1))


def line(length: float, degrees: float) -> Floats:
    """A camera that moves while the shutter is open."""
    y, x = np.mgrid[-16:17, -16:17]
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    along, across = np.abs(x * cos - y * sin), np.abs(x * sin + y * cos)
    return np.asarray(np.clip(length / 2 + 0.5 - along, 0, 1) * np.clip(1 - across, 0, 1))


def convolved(kernel: Floats, luma: Luma) -> Floats:
    padded = np.pad(luma.astype(np.float64), 16, mode="reflect")
    spectrum = np.fft.rfft2(padded) * np.fft.rfft2(kernel / kernel.sum(), padded.shape)
    return np.fft.irfft2(spectrum, padded.shape)[32:, 32:]


def enlarged(factor: int, luma: Luma) -> Floats:
    """Reduced, then brought back to its size."""
    picture = Image.fromarray(luma)
    small = picture.resize((picture.width // factor, picture.height // factor), Image.Resampling.BOX)
    return np.asarray(small.resize(picture.size, Image.Resampling.BICUBIC), np.float64)


BLURS: dict[str, Blur] = {
    **{f"gaussian {sigma}": partial(convolved, gaussian(sigma)) for sigma in (1, 1.5, 2, 3, 4)},
    **{f"disk {radius}": partial(convolved, disk(radius)) for radius in (2, 3, 5)},
    **{f"line {px} at {a}": partial(convolved, line(px, a)) for px in (5, 9, 15) for a in (0, 30, 45, 90)},
    **{f"enlarged {factor}": partial(enlarged, factor) for factor in (2, 3, 4)},
}


def variants(blurred: Floats) -> dict[str, Luma]:
    noise = np.random.default_rng(0).normal(0, 3, blurred.shape)
    plain, noisy = (pixels.round().clip(0, 255).astype(np.uint8) for pixels in (blurred, blurred + noise))
    buffer = BytesIO()
    Image.fromarray(plain).save(buffer, "JPEG", quality=75)
    return {"plain": plain, "JPEG": np.asarray(Image.open(buffer)), "noise": noisy}


# ---- The figures


def score_all(measure: Measure, pictures: dict[str, list[Luma]]) -> dict[str, Floats]:
    return {folder: np.array([measure(luma) for luma in found]) for folder, found in pictures.items()}


def score_blurred(measure: Measure, pictures: dict[str, list[Luma]]) -> dict[tuple[str, str, str], Floats]:
    """Scores by (large or small, blur, variant), of odd pictures only."""
    scores = defaultdict(list)
    for folder, found in pictures.items():
        size = "small" if folder == SMALL else "large"
        for luma in found[1 :: max(2, len(found) // BLURRED_PER_FOLDER // 2 * 2)]:
            for name, blur in BLURS.items():
                for variant, pixels in variants(blur(luma)).items():
                    scores[size, name, variant].append(measure(pixels))
    return {key: np.array(values) for key, values in scores.items()}


def one_percent(scores: dict[str, Floats]) -> float:
    """The threshold below which one in a hundred of the even ordinary pictures lies."""
    return float(np.nanquantile(np.concatenate([scores[folder][::2] for folder in ORDINARY]), MAX_ALARMS))


def default(name: str) -> dict[str, float]:
    return {"default": DEFAULTS[name]} if name in DEFAULTS else {}


def alarms(name: str, scores: dict[str, Floats], thresholds: dict[str, float]) -> list[str]:
    lines = []
    for origin, threshold in thresholds.items():
        odd = {folder: found[1::2] for folder, found in scores.items()}
        odd["all three"] = np.concatenate([odd[folder] for folder in ORDINARY])
        shares = [f"{folder} {np.mean(found < threshold):.1%}" for folder, found in odd.items()]
        lines.append(f"  {name:<11} below {threshold:<7.3g} ({origin}): {', '.join(shares)}")
    return lines


def recalls(
    name: str, scores: dict[str, Floats], blurred: dict[tuple[str, str, str], Floats], thresholds: dict[str, float]
) -> list[str]:
    """One line per blur: AUROC and recall at each threshold, for plain / JPEG / noise."""
    ordinary = np.concatenate([scores[folder][1::2] for folder in ORDINARY])
    lines = [f"  {name}: AUROC and recall, plain / JPEG 75 / noise 3"]
    for size, blur in dict.fromkeys((size, blur) for size, blur, _ in blurred):
        found = [blurred[size, blur, variant] for variant in ("plain", "JPEG", "noise")]
        parts = ["AUROC " + " ".join(f"{area(ordinary, one):.3f}" for one in found)]
        for origin, threshold in thresholds.items():
            parts.append(f"{origin} " + " ".join(f"{np.mean(one < threshold):4.2f}" for one in found))
        lines.append(f"    {size} {blur:<13} {'   '.join(parts)}")
    return lines


def area(ordinary: Floats, blurred: Floats) -> float:
    """AUROC: how often a blurred picture scores below an ordinary one; "can't tell" counts as sharp."""
    order = np.sort(np.nan_to_num(ordinary, nan=np.inf))
    values = np.nan_to_num(blurred, nan=np.inf)
    ties = np.searchsorted(order, values, "left"), np.searchsorted(order, values, "right")
    return float(1 - (ties[0] + ties[1]).mean() / 2 / len(order))


def real_ones(folder: Path, measures: dict[str, Measure]) -> list[str]:
    lines = [f"  really blurred and sharp photographs ({folder.name}/, nine: a sanity check)"]
    for name, measure in measures.items():
        scores = {kind: sorted(map(measure, lumas(folder / kind))) for kind in ("blurry", "sharp")}
        texts = [f"{kind} {' '.join(f'{score:.3g}' for score in found)}" for kind, found in scores.items()]
        lines.append(f"    {name:<11} {'; '.join(texts)}")
    return lines


if __name__ == "__main__":
    print_part(__doc__, measure_quality)
