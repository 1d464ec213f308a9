"""Draw the sample dataset: photograph-like pictures of road signs, with known faults and a key that names them.

    python sample_datasets/make_road_signs.py

writes `road_signs/<class>/<name>` and, beside that folder, `road_signs.key.csv`, one row per file. Everything is
drawn here, nothing is downloaded; equal seeds give equal bytes with equal versions of numpy and Pillow.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, replace
from io import BytesIO
from pathlib import Path, PurePosixPath
from zlib import crc32

import numpy as np
from PIL import Image
from rendering import faults
from rendering.camera import Exposure, ordinary_exposure, photograph
from rendering.light import defocus_kernel, motion_kernel
from rendering.off_topic import OFF_TOPIC
from rendering.scene import PLAIN_WEATHERS, Scene, choose_scene, light_of
from rendering.weather import WEATHERS

Rng = np.random.Generator
UNLABELLED = "_unlabeled"  # the folder name that `curate` reads as "no label yet"

# Imbalanced as roads are: the most frequent class has eight times as many pictures as the rarest.
ORDINARY = {
    "speed_limit": 110,
    "give_way": 70,
    "stop": 52,
    "priority_road": 42,
    "parking": 32,
    "pedestrian_crossing": 25,
    "no_entry": 19,
    "one_way": 12,
}
UNLABELLED_COUNT = 30
# Fault, how many, and the check that should find it ("" for what should be found in order).
PLANTED = (
    ("underexposed", 8, "underexposed"),
    ("overexposed", 8, "overexposed"),
    ("blurry", 8, "blurry"),
    ("truncated", 4, "unreadable"),
    ("empty", 2, "unreadable"),
    ("wrong_extension", 2, ""),
    ("wrong_label", 16, "label_error"),
)
EXACT_COPIES, LABEL_CONFLICTS = 6, 2
# One near copy each; the names are those of rendering.faults.EDITS.
NEAR_COPIES = (
    *("re-saved",) * 2,
    *("sent by messenger",) * 2,
    *("cropped",) * 3,
    *("flipped",) * 2,
    *("turned by 90 degrees",) * 2,
    "turned, with an EXIF orientation that turns it back",
    *("brightness changed",) * 2,
)
MIRRORED_STILL_TRUE = {"give_way", "priority_road", "no_entry"}  # a mirrored 50 would be another fault
# What a tired person mistakes for what.
CONFUSED = {
    "speed_limit": ("no_entry", "stop", "give_way"),
    "give_way": ("pedestrian_crossing", "priority_road"),
    "stop": ("no_entry", "give_way"),
    "priority_road": ("give_way", "parking"),
    "parking": ("pedestrian_crossing", "no_entry"),
    "pedestrian_crossing": ("parking", "give_way"),
    "no_entry": ("stop", "speed_limit"),
    "one_way": ("parking", "priority_road"),
}


@dataclass(frozen=True)
class Picture:
    """One file of the set and one row of the key.

    path: within the folder. fault: "" for an ordinary picture. detail: the scene, or how the fault was made.
    true_label: what is to be seen, "" for nothing of ours. original: for copies, the path of the picture copied.
    check: the check expected to flag this picture or, for copies, either of the two; "" for none.
    """

    path: str
    fault: str = ""
    detail: str = ""
    true_label: str = ""
    original: str = ""
    check: str = ""


def plan(rng: Rng) -> list[Picture]:
    """Every picture to make, copies last; most get their `detail` when they are made."""
    subjects = [Picture(label, true_label=label) for label, count in ORDINARY.items() for _ in range(count)]
    subjects += [Picture(UNLABELLED, true_label=_any_label(rng)) for _ in range(UNLABELLED_COUNT)]
    subjects += [_faulty(fault, check, rng) for fault, count, check in PLANTED for _ in range(count)]
    subjects += [Picture(_any_label(rng), "off_topic", what, check="outlier") for what in OFF_TOPIC]
    subjects += [Picture(_any_label(rng), "not_an_image", what, check="unreadable") for what in faults.NO_IMAGES]
    names = file_names(rng)
    shuffled = [subjects[k] for k in rng.permutation(len(subjects))]
    pictures = [replace(picture, path=f"{picture.path}/{next(names)}") for picture in shuffled]
    return [*pictures, *_copies(pictures, rng)]


def _any_label(rng: Rng) -> str:
    share = np.array(list(ORDINARY.values())) / sum(ORDINARY.values())
    return str(rng.choice(list(ORDINARY), p=share))


def _faulty(fault: str, check: str, rng: Rng) -> Picture:
    label = _any_label(rng)
    given = str(rng.choice(CONFUSED[label])) if fault == "wrong_label" else label
    return Picture(given, fault, true_label="" if fault == "empty" else label, check=check)


def file_names(rng: Rng) -> Iterator[str]:
    """Names as two phones, a dash camera, a video tool and a web page give them, each counting upwards."""
    number, second = 212, 0
    while True:
        number, second = number + int(rng.integers(1, 12)), second + int(rng.integers(7, 400))
        clock = f"{8 + second // 3600 % 12:02}{second // 60 % 60:02}{second % 60:02}"
        date = f"202603{1 + second // 43200:02}"
        styles = [f"IMG_{number:04}.jpg", f"{date}_{clock}.jpg", f"PXL_{date}_{clock}{number % 1000:03}.jpg"]
        styles += [f"frame_{number * 25:06}.png", f"photo-{number:04}.webp"]
        yield str(rng.choice(styles, p=(0.62, 0.22, 0.11, 0.02, 0.03)))


def _copies(pictures: list[Picture], rng: Rng) -> list[Picture]:
    """Copies of ordinary labelled JPEGs, no picture copied twice."""
    usable = [p for p in pictures if not p.fault and p.path.endswith(".jpg") and not p.path.startswith(UNLABELLED)]
    sources = [usable[k] for k in rng.permutation(len(usable))]
    copies = []
    for k in range(EXACT_COPIES):
        pattern = ("{stem} (1){suffix}", "Kopie von {stem}{suffix}", "{stem} - Copy{suffix}")[k % 3]
        copies.append(_copy(sources.pop(), "exact_copy", pattern, "exact_duplicate"))
    for _ in range(LABEL_CONFLICTS):
        source = sources.pop()
        other = rng.choice(CONFUSED[source.true_label])
        copies.append(_copy(source, "label_conflict", "{stem}{suffix}", "label_conflict", str(other)))
    for k, edit in enumerate(NEAR_COPIES):
        mirrors = edit == "flipped"
        at = next(k for k, p in enumerate(sources) if not mirrors or p.true_label in MIRRORED_STILL_TRUE)
        pattern = f"IMG-20260329-WA{k:04}.jpg" if edit == "sent by messenger" else "{stem}-edited.jpg"
        copies.append(replace(_copy(sources.pop(at), "near_copy", pattern, "near_duplicate"), detail=edit))
    return copies


def _copy(source: Picture, fault: str, pattern: str, check: str, folder: str = "") -> Picture:
    path = PurePosixPath(source.path)
    name = pattern.format(stem=path.stem, suffix=path.suffix)
    return Picture(f"{folder or path.parent}/{name}", fault, "", source.true_label, source.path, check)


def make(picture: Picture, folder: Path, seed: int) -> tuple[bytes, str]:
    """The bytes of one picture, and the detail for its row of the key. Copies read their original from `folder`."""
    rng = np.random.default_rng([seed, crc32(picture.path.encode())])  # the same, whichever others are made
    if picture.original:
        return _edited((folder / picture.original).read_bytes(), picture, rng)
    if picture.fault == "empty":
        return b"", "0 bytes"
    if picture.fault == "not_an_image":
        return faults.NO_IMAGES[picture.detail], picture.detail
    suffix = PurePosixPath(picture.path).suffix
    image, detail = _image(picture, rng)
    if picture.fault == "wrong_extension":
        suffix = ".png" if suffix == ".jpg" else ".jpg"
        detail = f"{suffix[1:]} bytes"
    data = faults.encode(image, suffix, int(rng.integers(72, 92)))
    if picture.fault == "truncated":
        cut = faults.truncated(data, rng)
        return cut, f"{len(cut)} of {len(data)} bytes"
    return data, detail


def _edited(original: bytes, picture: Picture, rng: Rng) -> tuple[bytes, str]:
    if not picture.detail:
        return original, "byte for byte"
    with Image.open(BytesIO(original)) as image:
        return faults.EDITS[picture.detail](image.convert("RGB"), rng), picture.detail


def _image(picture: Picture, rng: Rng) -> tuple[Image.Image, str]:
    if picture.fault == "off_topic":
        return OFF_TOPIC[picture.detail](rng), picture.detail
    weathers = PLAIN_WEATHERS if picture.fault in {"underexposed", "overexposed", "blurry"} else tuple(WEATHERS)
    scene = choose_scene(picture.true_label, rng, weathers)
    exposure, detail = _exposure(picture.fault, scene, rng)
    return photograph(light_of(scene, rng), exposure, rng), detail


def _exposure(fault: str, scene: Scene, rng: Rng) -> tuple[Exposure, str]:
    """How a scene is photographed, well or badly, and how to say so in the key."""
    good = ordinary_exposure(WEATHERS[scene.weather].key, rng)
    pixels = rng.uniform(5, 9) * min(scene.width, scene.height) / 200
    if fault == "underexposed":
        ev = -rng.uniform(3.2, 4.5)
        return replace(good, ev=ev), f"{ev:.1f} EV"
    if fault == "overexposed":
        ev = rng.uniform(3.0, 4.0)
        return replace(good, ev=ev), f"+{ev:.1f} EV"
    if fault == "blurry" and rng.random() < 0.5:
        return replace(good, extra_blur=defocus_kernel(pixels)), f"out of focus, a disc of {pixels:.1f} px"
    if fault == "blurry":
        return replace(good, extra_blur=motion_kernel(pixels, rng.uniform(0, np.pi))), f"shaken by {pixels:.1f} px"
    return good, f"{scene.weather}, {scene.backdrop}"


def write(pictures: list[Picture], folder: Path, seed: int) -> list[Picture]:
    """Make the pictures in `folder`; returns the rows of the key."""
    rows = []
    for picture in pictures:
        data, detail = make(picture, folder, seed)
        target = folder / picture.path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        rows.append(replace(picture, detail=detail))
    return sorted(rows, key=lambda row: row.path)


def write_key(rows: list[Picture], path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        key = csv.DictWriter(file, [field.name for field in fields(Picture)], lineterminator="\n")
        key.writeheader()
        key.writerows(asdict(row) for row in rows)


def remove_previous(folder: Path, key: Path) -> None:
    """Delete what an earlier run made, and only that: the files that its key lists."""
    if not key.exists():
        return
    with key.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            (folder / row["path"]).unlink(missing_ok=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="where to put road_signs/ and its key")
    parser.add_argument("--seed", type=int, default=7, help="another seed, another set")
    arguments = parser.parse_args()
    folder, key = arguments.out / "road_signs", arguments.out / "road_signs.key.csv"
    remove_previous(folder, key)
    rows = write(plan(np.random.default_rng(arguments.seed)), folder, arguments.seed)
    write_key(rows, key)
    size = sum((folder / row.path).stat().st_size for row in rows)
    print(f"{len(rows)} files, {size / 1e6:.1f} MB, in {folder}; the key is {key}")


if __name__ == "__main__":
    main()
