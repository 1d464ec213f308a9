"""How many edited copies `near_duplicate` finds, and how often it takes two photographs for one.

    python benchmarks/quality_duplicates.py --data ../shared/data

Recall: each of 120 photographs is edited in every way below, written to a file's bytes, and looked for among the
120 originals, the 130 other photographs and 400 of the corpus. Found = in the same `duplicate_group` as its original.
Precision: of all pairs of pictures in one group, the share that show the same photograph. Exposure brackets from a
tripod are left out: whether they are copies is a matter of taste.
CleanVision's rule (equal 64-bit perceptual hash) judges the same files in the same run where `imagehash` is
installed, as `pip install curate[bench]` does.
"""

from __future__ import annotations

import hashlib
import importlib.util
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageOps

from curate.checks import near_duplicate
from curate.imaging import open_image
from processes import cpu_seconds, print_part

Picture = Image.Image
Edit = Callable[[Picture], Picture]

ORIGINALS = 120
CORPUS_DISTRACTORS = 400
QUALITY = 92  # of the JPEG that an edited picture is saved as


# ---- The edits


def resaved(picture: Picture, file_format: str, quality: int) -> Picture:
    buffer = BytesIO()
    picture.save(buffer, file_format, quality=quality)
    return Image.open(buffer).convert("RGB")


def scaled(picture: Picture, factor: float) -> Picture:
    width, height = (max(1, round(side * factor)) for side in picture.size)
    return picture.resize((width, height), Image.Resampling.LANCZOS)


def cropped(picture: Picture, left: float, top: float, right: float, bottom: float) -> Picture:
    """Without the given shares of its width and height."""
    width, height = picture.size
    box = width * left, height * top, width * (1 - right), height * (1 - bottom)
    return picture.crop(tuple(round(side) for side in box))  # type: ignore[arg-type]  # four sides


def with_gamma(picture: Picture, gamma: float) -> Picture:
    return picture.point([round(255 * (value / 255) ** gamma) for value in range(256)] * 3)


def with_caption(picture: Picture) -> Picture:
    picture, size = picture.copy(), max(8, picture.height // 12)
    where = picture.width * 0.08, picture.height * 0.85
    ImageDraw.Draw(picture).text(
        where, "(c) www.example.org", "white", font_size=size, stroke_width=2, stroke_fill="black"
    )
    return picture


def with_logo(picture: Picture) -> Picture:
    """A red and white sign on 5 % of the area, near the upper right corner."""
    picture, (width, height) = picture.copy(), picture.size
    left, top, right, bottom = 0.72 * width, 0.05 * height, 0.97 * width, 0.25 * height
    draw = ImageDraw.Draw(picture)
    draw.rectangle((left, top, right, bottom), (230, 30, 40))
    draw.ellipse((left + 0.08 * width, top + 0.04 * height, right - 0.08 * width, bottom - 0.04 * height), "white")
    return picture


def with_border(picture: Picture, share: float) -> Picture:
    return ImageOps.expand(picture, round(max(picture.size) * share), "white")


def squashed(picture: Picture) -> Picture:
    return picture.resize((256, 256), Image.Resampling.LANCZOS)


def middle_square(picture: Picture) -> Picture:
    return ImageOps.fit(picture, (256, 256), Image.Resampling.LANCZOS)


def grey(picture: Picture) -> Picture:
    return picture.convert("L").convert("RGB")


def brighter(picture: Picture, factor: float) -> Picture:
    return ImageEnhance.Brightness(picture).enhance(factor)


def turned(picture: Picture, transpose: Image.Transpose) -> Picture:
    return picture.transpose(transpose)


def in_turn(picture: Picture, *edits: Edit) -> Picture:
    for edit in edits:
        picture = edit(picture)
    return picture


FLIP, TURN = (partial(turned, transpose=t) for t in (Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.ROTATE_90))
CROP_5, CROP_10 = (partial(cropped, left=c, top=c, right=c, bottom=c) for c in (0.05, 0.1))


def turned_by_exif(picture: Picture) -> Picture:
    """Turned, with the tag that makes a viewer turn it back."""
    picture = TURN(picture)
    picture.getexif()[0x0112] = 6
    return picture


EDITS: Mapping[str, Edit] = {
    "re-saved as JPEG q30": partial(resaved, file_format="JPEG", quality=30),
    "re-saved as JPEG q50": partial(resaved, file_format="JPEG", quality=50),
    "re-saved as JPEG q80": partial(resaved, file_format="JPEG", quality=80),
    "re-saved as WebP q70": partial(resaved, file_format="WEBP", quality=70),
    "half the size": partial(scaled, factor=0.5),
    "a quarter of the size": partial(scaled, factor=0.25),
    "1.5 times the size": partial(scaled, factor=1.5),
    "squashed to a square": squashed,
    "mirrored": FLIP,
    "upside-down mirrored": partial(turned, transpose=Image.Transpose.FLIP_TOP_BOTTOM),
    "quarter turn left (EXIF tag lost)": TURN,
    "quarter turn right (EXIF tag lost)": partial(turned, transpose=Image.Transpose.ROTATE_270),
    "quarter turn with EXIF tag": turned_by_exif,
    "half turn": partial(turned, transpose=Image.Transpose.ROTATE_180),
    "transposed": partial(turned, transpose=Image.Transpose.TRANSPOSE),
    "cropped by 2 % each side": partial(cropped, left=0.02, top=0.02, right=0.02, bottom=0.02),
    "cropped by 5 % each side": CROP_5,
    "cropped by 10 % each side": CROP_10,
    "cropped by 5 % on the left": partial(cropped, left=0.05, top=0, right=0, bottom=0),
    "cropped by 10 % on the left": partial(cropped, left=0.1, top=0, right=0, bottom=0),
    "cropped by 10 % at the bottom": partial(cropped, left=0, top=0, right=0, bottom=0.1),
    "cropped by 10 % at a corner": partial(cropped, left=0.1, top=0.1, right=0, bottom=0),
    "square from the middle": middle_square,
    "brighter by 20 %": partial(brighter, factor=1.2),
    "darker by 20 %": partial(brighter, factor=0.8),
    "contrast + 30 %": lambda picture: ImageEnhance.Contrast(picture).enhance(1.3),
    "contrast - 30 %": lambda picture: ImageEnhance.Contrast(picture).enhance(0.7),
    "gamma 0.7": partial(with_gamma, gamma=0.7),
    "gamma 1.4": partial(with_gamma, gamma=1.4),
    "saturation + 60 %": lambda picture: ImageEnhance.Color(picture).enhance(1.6),
    "grey": grey,
    "blurred (sigma 1.5 px)": lambda picture: picture.filter(ImageFilter.GaussianBlur(1.5)),
    "sharpened": lambda picture: ImageEnhance.Sharpness(picture).enhance(3),
    "caption": with_caption,
    "logo on 5 % of the area": with_logo,
    "border of 3 %": partial(with_border, share=0.03),
    "mirrored + cropped by 5 %": lambda picture: in_turn(picture, FLIP, CROP_5),
    "quarter turn + JPEG q30": lambda picture: resaved(TURN(picture), "JPEG", 30),
    "quarter turn + cropped by 10 %": lambda picture: in_turn(picture, TURN, CROP_10),
    "cropped by 5 % + brighter": lambda picture: brighter(CROP_5(picture), 1.2),
    "half the size + logo": lambda picture: with_logo(scaled(picture, 0.5)),
    "border + mirrored": lambda picture: FLIP(with_border(picture, 0.03)),
    "squashed + cropped by 5 %": lambda picture: in_turn(picture, squashed, CROP_5),
    "grey + gamma 1.4": lambda picture: with_gamma(grey(picture), 1.4),
    "caption + cropped by 5 %": lambda picture: in_turn(picture, with_caption, CROP_5),
}


# ---- The measurement


@dataclass
class Stopwatch:
    """CPU seconds spent in `measure`, and for how many pictures."""

    seconds: float = 0
    pictures: int = 0


def row(name: str, data: bytes, watch: Stopwatch) -> dict[str, object]:
    """What the scan and the measurement write into the table for one file, and CleanVision's hash."""
    image = open_image(data)
    _ = image.grey  # shared by many checks
    start = time.process_time()
    facts = near_duplicate.measure(image)
    watch.seconds += time.process_time() - start
    watch.pictures += 1
    size = {"width": image.width, "height": image.height, "size_bytes": len(data)}
    known = {"path": name, "sha256": hashlib.sha256(data).hexdigest(), "read_error": None}
    return {**known, **size, **facts, "phash": perceptual_hash(data)}


def perceptual_hash(data: bytes) -> str | None:
    """What CleanVision 0.3.7 compares; None where `imagehash` is not installed."""
    if not importlib.util.find_spec("imagehash"):
        return None
    import imagehash

    return str(imagehash.phash(Image.open(BytesIO(data))))


def edited_file(path: Path, edit: Edit) -> bytes:
    with Image.open(path) as file:
        picture = edit(ImageOps.exif_transpose(file).convert("RGB"))
    buffer = BytesIO()
    picture.save(buffer, "JPEG", quality=QUALITY, exif=picture.getexif())
    return buffer.getvalue()


def judged(rows: list[dict[str, object]]) -> pd.DataFrame:
    table = pd.DataFrame(rows).convert_dtypes()
    return table.join(near_duplicate.judge(table, near_duplicate.Settings()))


def agreeing(one: pd.Series[str], other: pd.Series[str]) -> int:
    """How many values are equal, place by place, and not NA."""
    here, there = one.astype("string").fillna("").to_numpy(), other.astype("string").fillna("").to_numpy()
    return int(np.sum((here == there) & (here != "")))


def pairs_within(groups: pd.Series[str]) -> int:
    sizes = groups.dropna().value_counts()
    return int((sizes * (sizes - 1) // 2).sum())


def measure_edits(originals: list[Path], others: list[Path], watch: Stopwatch) -> list[str]:
    """One line per kind of edit, and the means."""
    known = [row(path.as_posix(), path.read_bytes(), watch) for path in originals + others]
    found, found_by_hash, false, total, all_copies = {}, {}, 0, 0, []
    for kind, edit in EDITS.items():
        copies = [row(f"{path}#", edited_file(path, edit), watch) for path in originals]
        table = judged(known + copies)
        mine, copy = table.iloc[: len(originals)], table.iloc[len(known) :]
        true = agreeing(mine["duplicate_group"], copy["duplicate_group"])
        found[kind] = true / len(originals)
        found_by_hash[kind] = agreeing(mine["phash"], copy["phash"]) / len(originals)
        pairs = pairs_within(table["duplicate_group"])
        false, total = false + pairs - true, total + pairs
        all_copies += [{**entry, "path": f"{entry['path']}{kind}"} for entry in copies]
    return [*describe(found, found_by_hash, false, total), describe_all(judged(known + all_copies))]


def describe_all(table: pd.DataFrame) -> str:
    """What becomes of all originals and all their edits in one folder."""
    copies = table[table["path"].str.contains("#")]
    group_of = table.set_index("path")["duplicate_group"]
    original = copies["path"].str.replace("#.*", "", regex=True).map(group_of)
    same = agreeing(original, copies["duplicate_group"])
    return f"all {len(copies)} edited files in one folder: {same / len(copies):.3f} in the group of their original"


def describe(found: dict[str, float], found_by_hash: dict[str, float], false: int, total: int) -> list[str]:
    with_hash = importlib.util.find_spec("imagehash") is not None
    lines = [f"{'recall by kind of edit':40} {'curate':>7} {'CleanVision':>12}"]
    found, found_by_hash = (
        {**shares, "MEAN": float(np.mean(list(shares.values())))} for shares in (found, found_by_hash)
    )
    for kind, share in found.items():
        theirs = f"{found_by_hash[kind]:12.3f}" if with_hash else f"{'-':>12}"
        lines.append(f"{kind:40} {share:7.3f} {theirs}")
    if not with_hash:
        lines.append("CleanVision's rule not measured: `imagehash` is not installed (pip install curate[bench])")
    lines.append(f"pairs grouped: {total}, of which of two photographs: {false}; precision {1 - false / total:.4f}")
    return lines


def measure_distinct(title: str, paths: list[Path], watch: Stopwatch) -> list[str]:
    """How many near duplicates are found in a folder, and the most doubtful ones by name, for a person to look at."""
    rows = [row(path.as_posix(), path.read_bytes(), watch) for path in paths]
    start = cpu_seconds()
    table = judged(rows)
    seconds = cpu_seconds() - start
    found = table[table["near_duplicate"]].sort_values("near_similarity")
    lines = [f"{title}: {len(table)} pictures, {len(found)} near duplicates, judged in {seconds:.1f} s of CPU"]
    for entry in found.head(20).itertuples():
        names = ("/".join(Path(str(name)).parts[-2:]) for name in (entry.path, entry.near_copy_of))
        lines.append(f"  {entry.near_similarity:.3f}  " + "  ".join(names))
    return lines


def measure_real_edits(data: Path, watch: Stopwatch) -> list[str]:
    """One photograph in a dozen versions that people made."""
    paths = sorted((data / "duplicates" / "one_photo_edited").iterdir())
    table = judged([row(path.name, path.read_bytes(), watch) for path in paths])
    largest = table["duplicate_group"].value_counts().iloc[0]
    missed = table.loc[table["duplicate_group"].isna(), "path"].tolist()
    return [f"one photograph edited by people: {largest} of {len(table)} versions in one group; missed: {missed}"]


def measure_quality(data: Path) -> list[str]:
    """The report as lines of text. data: the folder described in DATA.md, with `photos/`, `pets/`, `corpus/` …"""
    watch = Stopwatch()
    photos = sorted((data / "photos").iterdir())
    corpus = sorted(path for path in (data / "corpus").rglob("*") if path.is_file())
    names = {path.stem for path in photos}  # the corpus holds small copies of some of them: not distinct
    sample = random.Random(0).sample([path for path in corpus if path.stem not in names], CORPUS_DISTRACTORS)
    pets = sorted(path for path in (data / "pets").rglob("*") if path.is_file())
    lines = measure_edits(photos[:ORIGINALS], photos[ORIGINALS:] + sample, watch)
    lines += measure_real_edits(data, watch)
    lines += measure_distinct("photos, pets and 400 of the corpus", photos + pets + sample, watch)
    lines += measure_distinct("caltech12", sorted((data / "caltech12").glob("*/*")), watch)
    every_13th = corpus[:: max(1, len(corpus) // 1000)]
    lines += measure_distinct("1,000 of the corpus", every_13th[:1000], watch)
    lines += measure_distinct("corpus", corpus, watch)
    lines.append(f"measure: {1000 * watch.seconds / watch.pictures:.3f} ms of CPU per picture")
    return lines


if __name__ == "__main__":
    print_part(__doc__, measure_quality)
