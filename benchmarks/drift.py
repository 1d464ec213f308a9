"""False alarms of `curate drift` on random halves, and what it finds of planted changes; beside other tests.

    python benchmarks/drift.py                 (writes benchmarks/results/drift.txt; some 15 minutes)

Each set is divided at random: if both halves come from one source, an alarm is false. Then one half is changed, in
three strengths, and an alarm is right. Facts and vectors of a changed picture are computed once; every trial draws
halves from them. The others get the very same numbers in the same run:

    plain      Kolmogorov-Smirnov per fact (chi-squared per name), Bonferroni: what most monitors do; and the same per
               direction of the embedding
    Evidently  its default tests of columns (facts), and the share of them that must drift for a data set to
    alibi      alibi-detect: MMD drift on the embedding, and KS drift on its directions with Bonferroni

The thresholds of ours were chosen on the sample and caltech12; pets was looked at last.
"""

from __future__ import annotations

import argparse
import io
import json
import resource
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageFilter

import curate
from curate import heads
from curate.drift_questions import DIRECTIONS, KEYS, Pictures, answer
from curate.drift_sides import Means, embedded, side_of_version
from curate.drifting import ALPHA, MIN_EFFECT, ask_all
from curate.executors import Serial
from curate.leakage import Share
from curate.progress import silent
from curate.project import Project
from curate.settings import settings_of_version
from curate.traits import measured_traits
from curate.versions import find_version
from processes import header, write_result

SAMPLE = Path(__file__).parents[1] / "sample_datasets" / "road_signs"
HALVES = 200
TRIALS = 6
PEER_HALVES, PEER_TRIALS = 40, 2  # the others take three times as long
SIDE = 400  # px of the longer one: an experiment of 13 states must end
MOST = 400  # pictures of a set: halves of 200, as many as come in a week somewhere
PLAIN, PLAIN_VECTORS = "KS facts", "KS embedding"
OURS = "curate"


@dataclass(frozen=True)
class Plant:
    """A change of pixels. strengths: growing, as `make` takes them."""

    name: str
    strengths: tuple[float, float, float]
    make: Callable[[Image.Image, float, np.random.Generator], Image.Image]
    quality: int = 0  # of JPEG; 0 = that of the strength


def noisy(image: Image.Image, strength: float, random: np.random.Generator) -> Image.Image:
    pixels = np.asarray(image, np.float32)
    return Image.fromarray((pixels + random.normal(0, strength, pixels.shape)).clip(0, 255).astype(np.uint8))


def brighter(image: Image.Image, strength: float, _: np.random.Generator) -> Image.Image:
    return ImageEnhance.Brightness(image).enhance(strength)


def blurred(image: Image.Image, strength: float, _: np.random.Generator) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur(strength * max(image.size) / 500))


def same(image: Image.Image, _: float, __: np.random.Generator) -> Image.Image:
    return image


PLANTS = (
    Plant("darker, times", (0.95, 0.9, 0.8), brighter, 90),
    Plant("blur, px of 500", (0.4, 0.7, 1.2), blurred, 90),
    Plant("JPEG quality", (80, 60, 35), same),
    Plant("noise, levels", (2, 4, 8), noisy, 90),
)
MIXES = (0.15, 0.3, 0.6)  # of the pictures of half the classes are left out
NEWCOMERS = (0.03, 0.06, 0.12)  # share of pictures of a class that A does not have
WRONG = (0.05, 0.1, 0.2)  # share of labels


@dataclass(frozen=True)
class Data:
    """A set in every state. rows: by path, labels as they are. states: name -> (rows, vectors) in the same order."""

    name: str
    states: dict[str, Pictures]


def load(name: str, folder: Path, work: Path) -> Data:
    """Save every picture as JPEG, so that all states differ in the planted change alone; measure and embed each."""
    chosen = _chosen(folder)
    states = {"": _state(work / name / "plain", chosen, Plant("", (0, 0, 0), same, 90), 0)}
    for plant in PLANTS:
        for strength in plant.strengths:
            place = work / name / f"{plant.name.split(',')[0]}-{strength}"
            states[f"{plant.name} {strength:g}"] = _state(place, chosen, plant, strength)
    common = set.intersection(*(set(one.rows["path"]) for one in states.values()))
    return Data(name, {key: _ordered(one, common) for key, one in states.items()})


def _chosen(folder: Path) -> list[Path]:
    files = [one for one in sorted(folder.rglob("*.*")) if one.suffix.lower() in (".jpg", ".jpeg", ".png", ".webp")]
    files = [one for one in files if "unlabeled" not in one.parent.name]
    return [files[i] for i in np.sort(np.random.default_rng(0).permutation(len(files))[:MOST])]


def _state(place: Path, files: Sequence[Path], plant: Plant, strength: float) -> Pictures:
    random = np.random.default_rng(1)
    for file in files:
        try:
            with Image.open(file) as opened:
                image = opened.convert("RGB")
                image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
        except (OSError, SyntaxError):
            continue
        target = place / file.parent.name / f"{file.stem}{file.suffix[1:]}.jpg"
        target.parent.mkdir(parents=True, exist_ok=True)
        plant.make(image, strength, random).save(target, quality=plant.quality or int(strength))
    if not (place.parent / f"{place.name}.curate").exists():
        curate.clean(place, workers=1, changes={"checks.near_duplicate.action": "note"})
    return _measured(place)


def _measured(place: Path) -> Pictures:
    project = Project.at(place)
    version = find_version(project.versions, None)
    settings = settings_of_version(version.settings, None)
    means = Means(project, settings, Serial(), silent)
    side, vectors, _ = embedded([side_of_version(version, "", means)], means)
    first = side[0].rows.sort_values(["sha256", "path"]).drop_duplicates("group").index.to_numpy()
    return Pictures(place.name, side[0].rows.iloc[first].reset_index(drop=True), vectors[0][first])


def _ordered(one: Pictures, paths: set[str]) -> Pictures:
    rows = one.rows[one.rows["path"].isin(paths)].sort_values("path")
    return Pictures(one.name, rows.reset_index(drop=True), one.vectors[rows.index.to_numpy()])


def some(pictures: Pictures, places: NDArray[np.int64], name: str) -> Pictures:
    return Pictures(name, pictures.rows.iloc[places].reset_index(drop=True), pictures.vectors[places])


# ---- Trials


@dataclass(frozen=True)
class Pair:
    """Two sides to compare. kind: what was planted, "" = nothing; strength: 0, 1 or 2."""

    kind: str
    strength: int
    a: Pictures
    b: Pictures


def pairs(data: Data, halves: int, trials: int) -> Iterator[Pair]:
    plain = data.states[""]
    count = len(plain.rows)
    for trial in range(halves):
        order = np.random.default_rng((7, trial)).permutation(count)
        yield Pair("", 0, some(plain, order[: count // 2], "a"), some(plain, order[count // 2 :], "b"))
    for trial in range(trials):
        order = np.random.default_rng((8, trial)).permutation(count)
        first, second = order[: count // 2], order[count // 2 :]
        a = some(plain, first, "a")
        for plant in PLANTS:
            for number, strength in enumerate(plant.strengths):
                yield Pair(plant.name, number, a, some(data.states[f"{plant.name} {strength:g}"], second, "b"))
        for number in range(3):
            yield Pair("class mix", number, a, some(plain, _mixed(plain, second, MIXES[number], trial), "b"))
            yield Pair("a new class", number, *_with_new(plain, first, second, NEWCOMERS[number], trial))
            yield Pair("wrong labels", number, a, _with_wrong(some(plain, second, "b"), WRONG[number], trial))


def _mixed(plain: Pictures, places: NDArray[np.int64], share: float, trial: int) -> NDArray[np.int64]:
    random = np.random.default_rng((9, trial))
    labels = plain.rows["final_label"].to_numpy()[places]
    names = sorted(set(labels))
    rare = set(random.permutation(names)[: max(len(names) // 2, 1)])
    kept = np.array([label not in rare or random.random() > share for label in labels])
    return np.asarray(places[kept], np.int64)


def _with_new(
    plain: Pictures, first: NDArray[np.int64], second: NDArray[np.int64], share: float, trial: int
) -> tuple[Pictures, Pictures]:
    """A lacks one class wholly; of b, so many are of it, without a label that says so, as nobody has given it one."""
    labels = plain.rows["final_label"].to_numpy()
    names = sorted(set(labels), key=lambda one: (-(labels == one).sum(), one))
    new = names[trial % min(len(names), 6)]
    old = second[labels[second] != new]
    come = np.flatnonzero(labels == new)
    wanted = min(max(round(share * len(old)), 1), len(come))
    drawn = np.random.default_rng((10, trial)).permutation(come)[:wanted]
    b = some(plain, np.concatenate([old, drawn]), "b")
    rows = b.rows.assign(final_label=pd.Series(pd.NA, index=b.rows.index, dtype="str"))
    return some(plain, first[labels[first] != new], "a"), replace(b, rows=rows)


def _with_wrong(b: Pictures, share: float, trial: int) -> Pictures:
    random = np.random.default_rng((11, trial))
    labels = b.rows["final_label"].to_numpy(object).copy()
    names = sorted(set(labels))
    for place in random.permutation(len(labels))[: round(share * len(labels))]:
        labels[place] = random.choice([one for one in names if one != labels[place]])
    return replace(b, rows=b.rows.assign(final_label=pd.Series(labels, index=b.rows.index, dtype="str")))


# ---- Who is asked


def ours(pair: Pair, seed: int) -> dict[str, bool]:
    """By question, and in all."""
    asked, _ = ask_all(pair.a, pair.b, seed)
    found = {one.key: one.verdict == "drift" for one in answer(asked, ALPHA, MIN_EFFECT)}
    return {OURS: any(found.values())} | {f"{OURS} {key}": found[key] for key in KEYS}


def facts_of(pair: Pair) -> pd.DataFrame:
    """Every measured fact of both sides as people's tables have them; label included, as column `side` tells b."""
    rows = pd.concat([pair.a.rows, pair.b.rows], ignore_index=True)
    columns: dict[str, Any] = {
        one.name: one.column.to_numpy(np.float64, na_value=np.nan) if one.is_number else one.column.fillna("unknown")
        for one in measured_traits(rows)
    }
    table = pd.DataFrame(columns).assign(side=np.arange(len(rows)) >= len(pair.a.rows))
    if pair.b.rows["final_label"].notna().all():
        table["label"] = rows["final_label"].to_numpy()
    return table


def directions_of(pair: Pair) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    projection = heads.fit_projection(np.concatenate([pair.a.vectors, pair.b.vectors]))
    return projection(pair.a.vectors)[:, :DIRECTIONS], projection(pair.b.vectors)[:, :DIRECTIONS]


def plain_tests(pair: Pair, directions: tuple[NDArray[np.float32], NDArray[np.float32]]) -> dict[str, bool]:
    from scipy.stats import chi2_contingency, ks_2samp

    table, ps = facts_of(pair), []
    is_b = table.pop("side").to_numpy(bool)
    for name in table:
        column = table[name]
        if column.nunique() < 2:
            continue
        if column.dtype.kind == "f":
            ps.append(ks_2samp(column[~is_b], column[is_b], method="asymp").pvalue)
        else:
            counts = pd.crosstab(is_b, column)
            ps.append(chi2_contingency(counts).pvalue)
    sides = zip(directions[0].T, directions[1].T, strict=True)
    vectors = [ks_2samp(a, b, method="asymp").pvalue for a, b in sides]
    return {
        PLAIN: min(ps) <= ALPHA / max(len(ps), 1),
        PLAIN_VECTORS: min(vectors) <= ALPHA / len(vectors),
    }


def hand_over(data: Data, halves: int, trials: int, handed: Path) -> None:
    """Write the facts and directions of some pairs for other libraries."""
    handed.mkdir(exist_ok=True)
    for number, pair in enumerate(pairs(data, min(halves, PEER_HALVES), min(trials, PEER_TRIALS))):
        a, b = directions_of(pair)
        facts_of(pair).to_csv(handed / f"{number:05d}.csv", index=False)
        np.savez(handed / f"{number:05d}.npz", a=a, b=b, key=np.array(f"{pair.kind} {pair.strength}".strip()))


def start_peers(python: Path, handed: Path) -> subprocess.Popen[str]:
    """Ask them in an environment of their own, while ours are asked here."""
    script = Path(__file__).parent / "drift_peers.py"
    return subprocess.Popen([str(python), str(script), str(handed)], stdout=subprocess.PIPE, text=True)


def answers_of_peers(process: subprocess.Popen[str]) -> dict[str, dict[str, list[bool]]]:
    """What they said; {} where they failed."""
    said, _ = process.communicate()
    if process.returncode:
        return {}
    found: dict[str, dict[str, list[bool]]] = json.loads(said.splitlines()[-1])
    return found


# ---- What is written


def run(data: Data, halves: int, trials: int, peers: Path | None, work: Path) -> dict[str, dict[str, list[bool]]]:
    """Who -> "kind strength" -> whether there was an alarm, each trial."""
    found: dict[str, dict[str, list[bool]]] = {}
    asked = None
    if peers is not None:
        hand_over(data, halves, trials, work / f"{data.name}.pairs")
        asked = start_peers(peers, work / f"{data.name}.pairs")
    for number, pair in enumerate(pairs(data, halves, trials)):
        key = f"{pair.kind} {pair.strength}".strip()
        for who, alarm in {**ours(pair, number), **plain_tests(pair, directions_of(pair))}.items():
            found.setdefault(who, {}).setdefault(key, []).append(bool(alarm))
    return found | (answers_of_peers(asked) if asked is not None else {})


def write(out: io.StringIO, data: Data, found: Mapping[str, Mapping[str, Sequence[bool]]]) -> None:
    plain = data.states[""]
    names = plain.rows["final_label"].value_counts()
    out.write(f"\n{data.name}: {len(plain.rows)} pictures without copies, {len(names)} classes of {names.min()} to ")
    out.write(f"{names.max()}; halves of {len(plain.rows) // 2}\n\n")
    whole = [one for one in found if " " not in one or not one.startswith(OURS)]
    out.write("  false alarms of halves that nothing was planted in, and the 95 % interval (Wilson)\n")
    for who in [OURS, *(one for one in found if one != OURS)]:
        alarms = found[who]["0"]
        share = Share(sum(alarms), len(alarms))
        low, high = share.interval
        out.write(f"    {who:22} {share.count:4} of {share.total}  {share.value:6.1%}  {low:.1%} to {high:.1%}\n")
    kinds = list(dict.fromkeys(key.rpartition(" ")[0] for key in found[OURS] if key != "0"))
    out.write("\n  found of planted changes, %, weak / medium / strong\n")
    out.write(f"    {'':18}" + "".join(f"{one:>18}" for one in whole) + "\n")
    for kind in kinds:
        cells = []
        for who in whole:
            shares = [np.mean(found[who][f"{kind} {number}"]) for number in range(3)]
            cells.append(" / ".join(f"{100 * one:.0f}" for one in shares))
        out.write(f"    {kind:18}" + "".join(f"{one:>18}" for one in cells) + "\n")
    out.write("\n  which question of ours found it, %, medium strength\n")
    out.write(f"    {'':18}" + "".join(f"{key:>11}" for key in KEYS) + "\n")
    for kind in kinds:
        shares = [100 * np.mean(found[f"{OURS} {key}"][f"{kind} 1"]) for key in KEYS]
        out.write(f"    {kind:18}" + "".join(f"{one:11.0f}" for one in shares) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--sets", nargs="+", default=["sample", "caltech12", "pets"])
    parser.add_argument("--halves", type=int, default=HALVES)
    parser.add_argument("--trials", type=int, default=TRIALS)
    parser.add_argument("--work", type=Path, help="Keep states here; a second run then starts at the trials.")
    parser.add_argument("--peers", type=Path, help="A python that has evidently and alibi-detect.")
    parser.add_argument("--output", default="drift.txt")
    chosen = parser.parse_args()
    out = io.StringIO()
    out.write("\n".join(header("Drift: false alarms and planted changes", ["numpy", "scipy", "scikit-learn"])) + "\n")
    out.write((__doc__ or "").split("\n\n", 2)[2].rstrip() + "\n")
    out.write(f"\nStrengths: {_strengths()}\n{chosen.halves} halves, {chosen.trials} trials of each plant; ")
    out.write(f"of the others {PEER_HALVES} and {PEER_TRIALS}.\n")
    with tempfile.TemporaryDirectory() as temporary:
        work = chosen.work or Path(temporary)
        ask = partial(_ask_set, work=work, chosen=chosen)
        with ProcessPoolExecutor(len(chosen.sets)) as pool:
            for text in pool.map(ask, chosen.sets):
                out.write(text)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    out.write(f"\nCPU: {used.ru_utime + used.ru_stime:.0f} s\n")
    write_result(chosen.output, out.getvalue().splitlines())


def _ask_set(name: str, work: Path, chosen: argparse.Namespace) -> str:
    """What is written of one set."""
    folder, out = SAMPLE if name == "sample" else chosen.data / name, io.StringIO()
    if not folder.exists():
        return f"\n{name}: not here, left out\n"
    data = load(name, folder, work)
    write(out, data, run(data, chosen.halves, chosen.trials, chosen.peers, work))
    (work / f"{name}.txt").write_text(out.getvalue(), encoding="utf-8")  # what is done stays, if the rest is killed
    return out.getvalue()


def _strengths() -> str:
    parts = [f"{one.name} {' '.join(f'{strength:g}' for strength in one.strengths)}" for one in PLANTS]
    mixes = [f"class mix {MIXES} of half the classes left out", f"new class {NEWCOMERS}", f"wrong labels {WRONG}"]
    return "; ".join(parts + mixes)


if __name__ == "__main__":
    main()
