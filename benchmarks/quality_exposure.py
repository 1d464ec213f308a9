"""How well underexposed and overexposed photographs are found, beside CleanVision and a cut on the mean.

    python benchmarks/quality_exposure.py --data ../shared/data

Truth comes from brackets (`exposure.csv`: one scene, several shutter times) and from photographs that we brighten or
darken by a known number of stops. Ordinary pictures must not be flagged.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import redirect_stderr
from dataclasses import dataclass
from io import StringIO
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from curate.checks import Check
from curate.checks.grayscale import CHECK as GRAYSCALE
from curate.checks.low_information import CHECK as LOW_INFORMATION
from curate.checks.overexposed import CHECK as OVEREXPOSED
from curate.checks.underexposed import CHECK as UNDEREXPOSED
from curate.imaging import DecodedImage, open_image
from processes import print_part

CHECKS: tuple[Check, ...] = (UNDEREXPOSED, OVEREXPOSED, LOW_INFORMATION, GRAYSCALE)
SHIFTS_EV = (-4, -3, -2, 2, 3, 4)
GAMMA = 2.2  # sRGB's, near enough
MEAN_CUT = 85  # of 255: a plain cut at a third, which alarms on one ordinary photograph in eight
CORPUS_SAMPLE = 1000  # pictures at most of each of the corpus' four sources, for rates of 1 % to mean something


@dataclass(frozen=True)
class Tool:
    """One judge of exposure. Table: by path, boolean `under` and `over`, scores `darkness` and `brightness`."""

    name: str
    table: pd.DataFrame


def measure_quality(data: Path) -> list[str]:
    """The whole section as lines of text. Reads `exposure.csv`, `photos/`, `pets/`, `caltech12/` and `corpus/`."""
    with TemporaryDirectory() as folder:
        pictures = pd.concat([brackets(data), ordinary(data), shifted(data / "photos", Path(folder))])
        pictures = pictures.reset_index(drop=True)
        facts, cpu_ms = measure_all(pictures["path"])
        peers, note = cleanvision_tool(pictures)
        photos = facts.loc[pictures[pictures["group"] == "photos"]["path"], "mean_luma"]
        tools = [
            curate_tool(facts),
            mean_tool("mean", facts, MEAN_CUT, 255 - MEAN_CUT),
            mean_tool("mean at 2 %", facts, photos.quantile(0.02), photos.quantile(0.98)),  # the alarms we allow
            *peers,
        ]
        return [
            *ranking_lines(pictures, tools),
            *recall_lines(pictures, tools),
            *alarm_lines(pictures, tools),
            *other_checks_lines(pictures, facts),
            "",
            "CPU per picture of about 500 x 375, ms, beyond decoding and luma: "
            + ", ".join(f"{name} {ms:.2f}" for name, ms in cpu_ms.items()),
            *note,
        ]


# --- pictures -------------------------------------------------------------------------------------------------


def brackets(data: Path) -> pd.DataFrame:
    """The rows of exposure.csv with columns path, group, scene, ev, pixel_ev, label."""
    table = pd.read_csv(data / "exposure.csv")
    table["path"] = [str(data / path) for path in table["path"]]
    table["group"] = np.where(table["ev"].isna(), "low-light sets", "brackets")
    frames = table[table["group"] == "brackets"].sort_values("ev")
    measured = [pixel_ev(scene) for _, scene in frames.groupby("scene")]
    return table.assign(pixel_ev=pd.concat(measured).reindex(table.index))


def pixel_ev(frames: pd.DataFrame) -> pd.Series:
    """How many stops each frame of one scene, sorted by ev, lies from the frame with ev 0, told from its pixels.

    The list of shutter times and the pictures disagree: several frames "one stop apart" are equal. Between neighbours
    it is the median ratio, in linear light, of pixels that are neither black nor white in both.
    """
    small = [np.asarray(Image.open(path).convert("L").resize((120, 80)), float) for path in frames["path"]]
    steps = [0.0]
    for darker, brighter in pairwise(small):
        usable = (np.minimum(darker, brighter) > 12) & (np.maximum(darker, brighter) < 235)
        steps.append(float(np.median(GAMMA * np.log2(brighter[usable] / darker[usable]))))
    measured = np.cumsum(steps)
    return pd.Series(measured - measured[list(frames["ev"]).index(0)], frames.index)


def ordinary(data: Path) -> pd.DataFrame:
    """Photographs and pictures that nobody called badly exposed; columns path and group."""
    groups = {name: files(data / name) for name in ("photos", "pets", "caltech12")}
    rng = np.random.default_rng(0)
    for source in sorted((data / "corpus").iterdir()):
        found = files(source)
        chosen = sorted(rng.permutation(len(found))[:CORPUS_SAMPLE])
        groups[f"corpus/{source.name}"] = [found[index] for index in chosen]
    rows = [(str(path), group) for group, paths in groups.items() for path in paths]
    return pd.DataFrame(rows, columns=["path", "group"])


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in {".jpg", ".jpeg"})


def shifted(photos: Path, folder: Path) -> pd.DataFrame:
    """Each photograph as if exposed by some stops less or more, saved in `folder`; columns path, group, ev."""
    rows = []
    for source in files(photos):
        with Image.open(source) as image:
            rgb = image.convert("RGB")
        for ev in SHIFTS_EV:
            path = folder / f"{source.stem}{ev:+d}.jpg"
            rgb.point([*exposed_by(ev)] * 3).save(path, quality=95)
            rows.append((str(path), "shifted photos", ev))
    return pd.DataFrame(rows, columns=["path", "group", "ev"])


def exposed_by(ev: float) -> NDArray[np.uint8]:
    """For each of the 256 values, the one that `ev` stops more light gives: to linear light, times 2^ev, back."""
    light = (np.arange(256) / 255) ** GAMMA * 2.0**ev
    return np.asarray(np.clip(255 * light ** (1 / GAMMA) + 0.5, 0, 255), dtype=np.uint8)


# --- tools ----------------------------------------------------------------------------------------------------


def measure_all(paths: Iterable[str]) -> tuple[pd.DataFrame, dict[str, float]]:
    """Facts and mean luma by path; CPU ms of each check, the median over pictures of about 500 x 375."""
    rows, cpu_ms = {}, []
    for path in paths:
        image = open_image(Path(path).read_bytes())
        # All checks share the luma, so that its time is not that of the first.
        row: dict[str, object] = {"mean_luma": float(image.luma.mean())}
        spent = {check.name: measure_into(row, check, image) for check in CHECKS}
        if 150_000 < image.luma.size < 200_000:
            cpu_ms.append(spent)
        rows[path] = row
    return pd.DataFrame.from_dict(rows, orient="index"), dict(pd.DataFrame(cpu_ms).median())


def measure_into(row: dict[str, object], check: Check, image: DecodedImage) -> float:
    """Add the facts to `row`; the CPU ms that took."""
    start = time.process_time()
    row.update(check.measure(image))
    return 1000 * (time.process_time() - start)


def flagged(check: Check, facts: pd.DataFrame) -> pd.Series:
    return check.judge(facts, check.settings.model_validate({}))[check.name]


def curate_tool(facts: pd.DataFrame) -> Tool:
    return Tool(
        "curate",
        pd.DataFrame(
            {
                "under": flagged(UNDEREXPOSED, facts),
                "over": flagged(OVEREXPOSED, facts),
                "darkness": facts["underexposure"],
                "brightness": facts["overexposure"],
            }
        ),
    )


def mean_tool(name: str, facts: pd.DataFrame, lowest: float, highest: float) -> Tool:
    """Cuts on mean luma."""
    mean = facts["mean_luma"]
    table = {"under": mean < lowest, "over": mean > highest, "darkness": -mean, "brightness": mean}
    return Tool(name, pd.DataFrame(table))


def cleanvision_tool(pictures: pd.DataFrame) -> tuple[list[Tool], list[str]]:
    """CleanVision on the same files, if it is installed; else a line that says how to get it."""
    try:
        from cleanvision import Imagelab
    except ImportError:
        return [], ["CleanVision is not installed, so its column is missing: pip install 'curate[bench]'"]
    lab = Imagelab(filepaths=list(pictures["path"]), verbose=False)
    with redirect_stderr(StringIO()):  # its progress bar, which `verbose` does not silence
        lab.find_issues({"dark": {}, "light": {}}, n_jobs=1, verbose=False)
    found = lab.issues
    table = {
        "under": found["is_dark_issue"],
        "over": found["is_light_issue"],
        "darkness": -found["dark_score"],
        "brightness": -found["light_score"],
    }
    return [Tool("CleanVision", pd.DataFrame(table))], []


# --- results --------------------------------------------------------------------------------------------------


def auroc(positive: NDArray[np.float64], negative: NDArray[np.float64]) -> float:
    """The chance that a positive scores above a negative, ties counting half (Mann and Whitney 1947)."""
    ranks = pd.Series(np.concatenate([positive, negative])).rank().to_numpy()
    n = len(positive)
    return float((ranks[:n].sum() - n * (n + 1) / 2) / (n * len(negative)))


def ranking_lines(pictures: pd.DataFrame, tools: list[Tool]) -> list[str]:
    usual = pictures[(pictures["group"] == "photos") | (pictures["label"] == "normal")]["path"]
    cases = [
        ("dark brackets", "darkness", pictures[pictures["label"] == "under"]["path"]),
        ("low-light sets", "darkness", pictures[pictures["group"] == "low-light sets"]["path"]),
        ("bright brackets", "brightness", pictures[pictures["label"] == "over"]["path"]),
    ]
    lines = [f"AUROC of the scores against {len(usual)} ordinary and normally exposed photographs", head(tools)]
    for name, score, paths in cases:
        values = [
            auroc(tool.table.loc[paths, score].to_numpy(), tool.table.loc[usual, score].to_numpy()) for tool in tools
        ]
        lines.append(line(name, len(paths), values))
    return lines


def recall_lines(pictures: pd.DataFrame, tools: list[Tool]) -> list[str]:
    ev, by_pixels = pictures["ev"], pictures["pixel_ev"]
    is_bracket, is_shifted = pictures["group"] == "brackets", pictures["group"] == "shifted photos"
    cases = [
        ("brackets, <= -3 EV as listed", "under", is_bracket & (ev <= -3)),
        ("brackets, >= +3 EV as listed", "over", is_bracket & (ev >= 3)),
        ("brackets, <= -2.5 EV by pixels", "under", is_bracket & (by_pixels <= -2.5)),
        ("brackets, >= +1.8 EV by pixels", "over", is_bracket & (by_pixels >= 1.8)),
        *[(f"photos shifted by {s:+d} EV", "under" if s < 0 else "over", is_shifted & (ev == s)) for s in SHIFTS_EV],
    ]
    lines = ["", "Recall: share flagged of pictures that should be", head(tools)]
    for name, flag_name, rows in cases:
        paths = pictures.loc[rows, "path"]
        lines.append(line(name, len(paths), [tool.table.loc[paths, flag_name].mean() for tool in tools]))
    return lines


def alarm_lines(pictures: pd.DataFrame, tools: list[Tool]) -> list[str]:
    lines = ["", "False alarms: share flagged of pictures that should not be", head(tools)]
    usual = pictures[pictures["ev"].isna() & pictures["label"].isna()]
    for group, rows in usual.groupby("group", sort=False):
        for flag_name, check_name in {"under": "underexposed", "over": "overexposed"}.items():
            values = [tool.table.loc[rows["path"], flag_name].mean() for tool in tools]
            lines.append(line(f"{group}, {check_name}", len(rows), values))
    return lines


def other_checks_lines(pictures: pd.DataFrame, facts: pd.DataFrame) -> list[str]:
    usual = pictures[pictures["ev"].isna() & pictures["label"].isna()]
    lines = ["", f"{'Share flagged by':34}{'n':>6}{'low_information':>17}{'grayscale':>13}"]
    for group, rows in usual.groupby("group", sort=False):
        table = facts.loc[rows["path"]]
        shares = [flagged(check, table).mean() for check in (LOW_INFORMATION, GRAYSCALE)]
        lines.append(f"{group:34}{len(rows):6}{shares[0]:17.3f}{shares[1]:13.3f}")
    return lines


def head(tools: list[Tool]) -> str:
    return " " * 34 + "     n" + "".join(f"{tool.name:>13}" for tool in tools)


def line(name: str, count: int, values: list[float]) -> str:
    return f"{name:34}{count:6}" + "".join(f"{value:13.3f}" for value in values)


if __name__ == "__main__":
    print_part(__doc__, measure_quality)
