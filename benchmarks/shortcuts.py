"""Planted shortcuts: how strong they must be to be found, and how often noise passes for one; beside cleanlab.

    python benchmarks/shortcuts.py                 (writes benchmarks/results/shortcuts.txt; some 10 minutes)

Pets get labels at random, so that nothing predicts them; then the pictures of one label are made brighter, saved at
another JPEG quality, framed, given another camera or another folder. cleanlab's Datalab has "spurious correlations":
its code is run as Datalab runs it, on CleanVision's scores of the same files.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import resource
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

import curate
from curate.cache import Cache
from curate.captures import captures_of
from curate.confounding import Finding, look_through, shortcuts
from curate.executors import Serial
from curate.traits import Trait, traits_of
from processes import header, write_result

SAMPLE = Path(__file__).parents[1] / "sample_datasets" / "road_signs"
SEEDS = 5
PER_LABEL = 100
NOISE_SETS = 300
SHUFFLES = 1_999  # of noise: the rate of false alarms does not depend on it
QUALITY = 90


@dataclass(frozen=True)
class Plant:
    """A shortcut to plant. trait: that must be found. strengths: growing. unit: of them.

    make: (picture, strength, affected, random) -> file bytes and folder.
    """

    trait: str
    strengths: tuple[float, ...]
    unit: str
    make: Callable[[Image.Image, float, bool, np.random.Generator], tuple[bytes, str]]


def jpeg(picture: Image.Image, quality: int = QUALITY, model: str = "") -> bytes:
    buffer, exif = BytesIO(), Image.Exif()
    if model:
        exif[0x010F], exif[0x0110] = "Acme", model
    picture.save(buffer, "JPEG", quality=quality, exif=exif)
    return buffer.getvalue()


def brighter(picture: Image.Image, strength: float, affected: bool, _: np.random.Generator) -> tuple[bytes, str]:
    added = int(strength) if affected else 0
    return jpeg(picture.point(lambda level: level + added)), ""


def resaved(picture: Image.Image, strength: float, affected: bool, _: np.random.Generator) -> tuple[bytes, str]:
    return jpeg(picture, QUALITY - int(strength) if affected else QUALITY), ""


def framed(picture: Image.Image, strength: float, affected: bool, random: np.random.Generator) -> tuple[bytes, str]:
    if affected and random.random() < strength:
        side = max(picture.size) // 20
        inner = picture.resize((picture.width - 2 * side, picture.height - 2 * side))
        picture = Image.new("RGB", picture.size, (128, 128, 128))
        picture.paste(inner, (side, side))
    return jpeg(picture), ""


def photographed(
    picture: Image.Image, strength: float, affected: bool, random: np.random.Generator
) -> tuple[bytes, str]:
    return jpeg(picture, model="Two" if affected and random.random() < strength else "One"), ""


def collected(picture: Image.Image, strength: float, affected: bool, random: np.random.Generator) -> tuple[bytes, str]:
    return jpeg(picture), "site2" if affected and random.random() < strength else "site1"


SHARES = (0.1, 0.2, 0.4, 0.8)
PLANTS = (
    Plant("brightness", (8, 16, 32, 64), "levels brighter, of 255", brighter),
    Plant("compression", (2, 5, 10, 30), f"below JPEG quality {QUALITY}", resaved),
    Plant("border evenness", SHARES, "share of the label in a frame", framed),
    Plant("camera", SHARES, "share of the label by another camera", photographed),
    Plant("folder", SHARES, "share of the label in another folder", collected),
)


def plant(pictures: list[Path], folder: Path, one: Plant, strength: float, seed: int) -> Path:
    """A folder of as many pictures of the labels `odd` and `even`, those of `odd` with the shortcut."""
    random = np.random.default_rng(seed)
    chosen = random.permutation(len(pictures))[: 2 * PER_LABEL]
    for number, place in enumerate(chosen):
        with Image.open(pictures[place]) as image:
            data, below = one.make(image.convert("RGB"), strength, number % 2 == 1, random)
        file = folder / ("even", "odd")[number % 2] / below / f"{hashlib.sha256(data).hexdigest()[:12]}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    return folder


def planted_lines(pictures: list[Path]) -> Iterator[str]:
    """One line per shortcut and strength."""
    yield f"Planted on {2 * PER_LABEL} pets whose labels are random, {SEEDS} seeds each"
    yield f"  {'trait':17}{'strength':>9}  {'':38}{'right':>6}{'seen':>6}{'alarm':>6}{'others':>7}{'cleanlab':>9}"
    for one in PLANTS:
        for strength in one.strengths:
            found = [planted(pictures, one, strength, seed) for seed in range(SEEDS)]
            right, seen, alarm, others, peer = (float(np.mean(column)) for column in zip(*found, strict=True))
            shares = f"{right:6.0%}{seen:6.0%}{alarm:6.0%}{others:7.1f}{peer:9.0%}"
            yield f"  {one.trait:17}{strength:9g}  {one.unit:38}{shares}"


def planted(pictures: list[Path], one: Plant, strength: float, seed: int) -> tuple[float, bool, bool, int, bool]:
    """Accuracy by the trait; was it seen, called a shortcut; how many other traits were; did cleanlab see anything."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = plant(pictures, Path(scratch) / "images", one, strength, seed)
        curate.clean(folder, workers=1, changes={"checks.near_duplicate.action": "ignore"})
        result = shortcuts(folder, workers=1)
        found = next((finding for finding in result.findings if finding.trait == one.trait), None)
        others = sum(finding.trait != one.trait for finding in result.found)
        labels = labels_by_folder(folder)
        peer = bool(by_cleanlab(cleanvision_scores(folder, labels), labels))
    if found is None or found.accuracy is None:  # the same in all pictures
        return 0.5, False, False, others, peer
    return found.accuracy, found.verdict != "none", found.verdict == "shortcut", others, peer


# ---- cleanlab


def cleanvision_scores(folder: Path, paths: Iterable[str]) -> pd.DataFrame:
    """The scores that Datalab tests, one row per picture, by path; of its default checks.

    paths: of readable pictures, as it stops at a truncated one.
    """
    from cleanlab.datalab.internal.adapter.constants import DEFAULT_CLEANVISION_ISSUES
    from cleanvision import Imagelab

    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        lab = Imagelab(filepaths=[str(folder / path) for path in paths])
        lab.find_issues(issue_types=DEFAULT_CLEANVISION_ISSUES, n_jobs=1, verbose=False)
    scores = lab.issues[[name for name in lab.issues if name.endswith("_score")]]
    return scores.rename(index=lambda path: str(Path(path).relative_to(folder))).sort_index()


def labels_by_folder(folder: Path) -> dict[str, str]:
    return {str(file.relative_to(folder)): file.relative_to(folder).parts[0] for file in folder.rglob("*.*")}


def by_cleanlab(scores: pd.DataFrame, labels: dict[str, str]) -> list[str]:
    """The scores that it calls spuriously correlated, by its own threshold."""
    from cleanlab.datalab.internal.adapter.constants import SPURIOUS_CORRELATION_ISSUE
    from cleanlab.datalab.internal.spurious_correlation import SpuriousCorrelations

    rows = scores[scores.index.isin(list(labels))]
    codes = pd.Series([labels[path] for path in rows.index]).astype("category").cat.codes.to_numpy()
    told = SpuriousCorrelations(rows, codes).calculate_correlations()
    threshold = SPURIOUS_CORRELATION_ISSUE["spurious_correlations"]["threshold"]
    return sorted(told.loc[told["score"] < threshold, "property"].str.removesuffix("_score"))


# ---- Noise, and sets as they are


@dataclass(frozen=True)
class DataSet:
    """A cleaned data set. rows: labelled, readable, one per group of copies, in an order of their content."""

    name: str
    folder: Path
    rows: pd.DataFrame
    traits: list[Trait]


def open_set(name: str, folder: Path, store: Path, labels: str = "folders") -> DataSet:
    table = curate.clean(folder, store=store, workers=1, changes={"scan.labels": labels}).table
    table = table[table["keep"] & table["read_error"].isna() & table["label"].notna()]
    group = table["duplicate_group"].fillna(table["path"])
    rows = table[~group.duplicated()].sort_values("sha256").reset_index(drop=True)
    captures = captures_of(rows, folder, store / "cache", Serial())
    thumbnails = Cache(store / "cache").binary_of("thumbnail", rows["sha256"])
    return DataSet(name, folder, rows, traits_of(rows, captures, thumbnails, rows["final_label"]))


def cifar(data: Path, stores: Path) -> DataSet:
    """6,000 pictures of CIFAR-10 with their true labels: all classes were collected alike."""
    names = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
    rows = pd.read_csv(data / "label_errors" / "cifar10n.csv")
    rows = pd.DataFrame({"path": rows["path"].str.rpartition("/")[2], "label": [names[i] for i in rows["clean_label"]]})
    rows.to_csv(stores / "cifar.csv", index=False)
    folder = data / "label_errors" / "cifar10n_images"
    return open_set("CIFAR-10", folder, stores / "cifar", str(stores / "cifar.csv"))


def noise_line(data: DataSet, scores: pd.DataFrame) -> str:
    """Share of shuffled labels for which any trait is told of."""
    told, alarms, peer = [], [], []
    random = np.random.default_rng(0)
    for _ in range(NOISE_SETS):
        shuffled = data.rows.assign(final_label=random.permutation(data.rows["final_label"].to_numpy(object)))
        findings = look_through(shuffled.astype({"final_label": "str"}), data.traits, SHUFFLES)
        told.append(any(one.verdict in ("weak", "shortcut") for one in findings))
        alarms.append(any(one.verdict == "shortcut" for one in findings))
        if len(peer) < NOISE_SETS // 10:  # ten times slower
            labels = dict(zip(shuffled["path"], shuffled["final_label"], strict=True))
            peer.append(bool(by_cleanlab(scores, labels)))
    return f"  {data.name:12}{len(data.rows):8,}{np.mean(told):10.1%}{np.mean(alarms):10.1%}{np.mean(peer):10.1%}"


def real_lines(data: DataSet, scores: pd.DataFrame) -> Iterator[str]:
    """What is told of a set as it is."""
    started = time.process_time()
    findings = look_through(data.rows, data.traits, 9_999)
    cost_s = time.process_time() - started
    labels = dict(zip(data.rows["path"], data.rows["final_label"], strict=True))
    started = time.process_time()
    peer = ", ".join(by_cleanlab(scores, labels)) or "none"
    peer_s = time.process_time() - started
    classes = data.rows["final_label"].nunique()
    yield f"  {data.name}: {classes} classes, chance {1 / classes:.1%}, {cost_s:.1f} s of CPU; cleanlab {peer_s:.1f} s"
    for verdict in ("shortcut", "weak"):
        ones = [one for one in findings if one.verdict == verdict]
        yield f"    {verdict}: {'; '.join(map(in_short, ones)) or 'none'}"
    yield f"    cleanlab: {peer}"


def in_short(one: Finding) -> str:
    best = max(one.carriers, key=lambda carrier: carrier.told_apart, default=None)
    told = f", {best.label} {best.told_apart:.0%} {best.how}" if best else ""
    return f"{one.trait} {one.accuracy:.1%}{told}"


def at_scale(count: int = 100_000, classes: int = 200) -> Iterator[str]:
    """CPU and memory for so many pictures, of which nothing predicts the label."""
    random = np.random.default_rng(0)
    labels = pd.Series([f"class{one:03}" for one in random.integers(0, classes, count)], dtype="str")
    rows = pd.DataFrame({"path": [f"{row}.jpg" for row in range(count)], "final_label": labels})
    numbers = [Trait(f"number {i}", "look", "", pd.Series(random.random(count)), "low", "high") for i in range(12)]
    texts = [pd.Series(random.choice([f"site {i}" for i in range(40)], count)).astype("str") for _ in range(4)]
    names = [Trait(f"name {i}", "source", "", one) for i, one in enumerate(texts)]
    started = time.process_time()
    findings = look_through(rows, [*numbers, *names], 9_999)
    cost_s = time.process_time() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    alarms = sum(one.verdict in ("weak", "shortcut") for one in findings)
    yield f"{count:,} pictures of {classes} classes, {len(findings)} traits of noise: {alarms} told of,"
    yield f"  {cost_s:.0f} s of CPU, {peak:.1f} GB at most in this process, all else included"


def main() -> None:
    """Measure all and keep the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    data = parser.parse_args().data.resolve()
    if not (data / "caltech12").is_dir():
        parser.error(f"there is no folder {data / 'caltech12'}: this benchmark needs the real data, see --data")
    lines = header("Shortcuts: what predicts the label without being the subject", ["curate", "scipy", "cleanlab"])
    lines += ["right: labels guessed by the trait alone, 50 % is chance. seen: significant. alarm: called a shortcut."]
    lines += ["others: further traits called shortcuts, as brighter pictures have brighter borders.", ""]
    with tempfile.TemporaryDirectory() as stores:
        folders = {"pets": data / "pets", "caltech12": data / "caltech12", "road signs": SAMPLE}
        sets = [open_set(name, folder, Path(stores) / name) for name, folder in folders.items()]
        lines += [*planted_lines([sets[0].folder / path for path in sorted(sets[0].rows["path"])]), ""]
        scores = [cleanvision_scores(one.folder, one.rows["path"]) for one in sets]
        lines += [f"Labels shuffled, {NOISE_SETS} times: share in which any trait is told of"]
        lines += [f"  {'':12}{'pictures':>8}{'seen':>10}{'alarm':>10}{'cleanlab':>10}"]
        lines += [noise_line(one, score) for one, score in zip(sets, scores, strict=True)]
        lines += ["", "Data sets as they are"]
        sets.append(cifar(data, Path(stores)))
        scores.append(cleanvision_scores(sets[-1].folder, sets[-1].rows["path"]))
        lines += [line for one, score in zip(sets, scores, strict=True) for line in real_lines(one, score)]
    write_result("shortcuts.txt", [*lines, "", *at_scale()])


if __name__ == "__main__":
    main()
