"""Grouping near duplicates at scale: truth, time and memory from 10^3 to 10^6 thumbnails.

    python benchmarks/near_duplicates.py --data ../shared/data      (writes benchmarks/results/near_duplicates.txt)
    python benchmarks/near_duplicates.py --sizes 1000 10000         (only these, printed and not written)

Each set holds 40 photographs in the 45 edits of quality_duplicates.py (1,840 thumbnails; in a set of 1,000, 4 of them),
5 % blank pictures, all different, and distinct pictures: tiles of the corpus, none overlapping another, up to 10^5;
beyond, also a half of a tile and a half of another or of a whole picture, each turned at random, with a soft border.
The 40 photographs are others than those by which bounds were chosen.
Further sets of 10^5: in a heap, 2 % more are edits of one photograph, each in another way; `1 % new` is timed for the
pictures that come to 99 % known ones; `one kind` are the 25,000 tiles that are most like one of them, the worst case.
Recall: copies in the group of their original. Precision: pairs within groups that show one photograph; among many
tiles some are alike, as skies are, and the halves are of tiles that are there as well.
Ways: `exact` compares all with all, `cells` is what `curate clean` does beyond 20,000 pictures, `hash` is a 256-bit DCT
hash of the same thumbnails, pairs within 15 bits found by 16 bands of 16 bits, chained. Each runs in a process of its
own, with those that it forks; time is that of the comparing and grouping, memory that of all of them together, with the
thumbnails.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

from curate import matching
from curate.checks import near_duplicate
from curate.grouping import groups_of
from curate.imaging import open_image
from curate.neighbours import relations_between
from curate.spectra import SIDE, invariants, slices, spectra
from processes import cpu_seconds, header, run_watched, write_result
from quality_duplicates import EDITS, edited_file

Bytes = NDArray[np.uint8]
Ints = NDArray[np.int64]

MIN_SIMILARITY = near_duplicate.Settings().min_similarity
PHOTOGRAPHS = 40
TILE = 42  # px; of corpus pictures whose short side is 128: twelve of most
BLANK_SHARE, HEAP_SHARE = 0.05, 0.02
BITS, BAND_BITS, MOST_IN_BUCKET = 15, 16, 200


# ---- The pictures


def thumbnail(data: bytes) -> Bytes:
    found = near_duplicate.measure(open_image(data))["thumbnail"]
    return np.frombuffer(found, np.uint8).reshape(SIDE, SIDE)  # type: ignore[arg-type]  # this check gives bytes


def edited(photographs: list[Path]) -> Bytes:
    """Each photograph and its edits, (P, 1 + E, SIDE, SIDE)."""
    ways = EDITS.values()
    rows = [[thumbnail(p.read_bytes()), *(thumbnail(edited_file(p, edit)) for edit in ways)] for p in photographs]
    return np.array(rows)


def tiles(corpus: list[Path]) -> tuple[Bytes, Bytes]:
    """Parts of pictures that overlap nowhere, and the whole pictures, each in random order, (N, SIDE, SIDE)."""
    found, wholes = [], []
    for path in corpus:
        with Image.open(path) as file:
            grey = file.convert("L")
        wholes.append(np.asarray(grey.resize((SIDE, SIDE), Image.Resampling.BOX)))
        for left in range(0, grey.width - TILE + 1, TILE):
            for top in range(0, grey.height - TILE + 1, TILE):
                box = (left, top, left + TILE, top + TILE)
                found.append(np.asarray(grey.resize((SIDE, SIDE), Image.Resampling.BOX, box)))
    rng = np.random.default_rng(0)
    return rng.permutation(np.array(found)), rng.permutation(np.array(wholes))


def halves(one: Bytes, other: Bytes, count: int, rng: np.random.Generator) -> Bytes:
    """New pictures, half of one and half of another; the border lies anywhere near the middle, at any angle."""
    y, x = np.linspace(-1, 1, SIDE)[:, None], np.linspace(-1, 1, SIDE)
    found = np.empty((count, SIDE, SIDE), np.uint8)
    for start in range(0, count, 4096):
        some = found[start : start + 4096]
        first, second = (turned(pool[rng.integers(0, len(pool), len(some))], rng) for pool in (one, other))
        angle, shift = rng.uniform(0, 2 * np.pi, (len(some), 1, 1)), rng.uniform(-0.3, 0.3, (len(some), 1, 1))
        share = 1 / (1 + np.exp(-6 * (np.cos(angle) * x + np.sin(angle) * y + shift)))
        some[:] = first * share + second * (1 - share)
    return found


def turned(pictures: Bytes, rng: np.random.Generator) -> Bytes:
    """Each in one of eight orientations."""
    turn = rng.integers(0, 8, len(pictures))
    for bit, part in ((1, pictures[:, :, ::-1]), (2, pictures[:, ::-1]), (4, np.swapaxes(pictures, 1, 2))):
        pictures = np.where((turn & bit > 0)[:, None, None], part, pictures)
    return pictures


def most_alike(pictures: Bytes, count: int) -> Bytes:
    """Those nearest to one of them, by what they are looked for by."""
    known = np.concatenate([invariants(spectra(pictures[part], slice(1)))[:, 0] for part in slices(len(pictures))])
    return pictures[np.argsort(-(known @ known[0]), kind="stable")[:count]]


def heap(path: Path, count: int, rng: np.random.Generator) -> Bytes:
    """One photograph cropped by up to 8 % a side, made lighter or darker, mirrored or not, each time differently."""
    with Image.open(path) as file:
        picture = file.convert("L").resize((256, 192))
    found = []
    for _ in range(count):
        left, top, right, bottom = rng.uniform(0, 0.08, 4) * (256, 192, 256, 192)
        part = picture.resize((SIDE, SIDE), Image.Resampling.BOX, (left, top, 256 - right, 192 - bottom))
        part = ImageEnhance.Brightness(part).enhance(rng.uniform(0.7, 1.3))
        found.append(np.asarray(part)[:, :: rng.choice([1, -1])])
    return np.array(found)


def blank(count: int, rng: np.random.Generator) -> Bytes:
    found = rng.integers(0, 254, (count, 1, 1)) + rng.integers(0, 3, (count, SIDE, SIDE))
    return np.asarray(found, np.uint8)


def picture_set(pool: Bytes, wholes: Bytes, copies: Bytes, count: int, photo: Path | None = None) -> tuple[Bytes, Ints]:
    """Thumbnails and which photograph each shows: -1 = a picture of its own, (N,). photo: of the heap, if any.

    Originals come before their edits: the first of a group is the best.
    """
    rng = np.random.default_rng(count)
    copies = copies[:4] if count < 10_000 else copies
    parts = [copies.reshape(-1, SIDE, SIDE), blank(int(count * BLANK_SHARE), rng)]
    shown = [np.repeat(np.arange(len(copies)), copies.shape[1]), np.full(len(parts[1]), -1)]
    if photo is not None:
        parts.append(heap(photo, int(count * HEAP_SHARE), rng))
        shown.append(np.full(len(parts[-1]), PHOTOGRAPHS))
    others = count - sum(map(len, parts))
    parts.append(pool[:others])
    if others > len(pool):
        mixed = np.concatenate([pool[: len(wholes)], wholes])
        parts.append(halves(pool, mixed, others - len(pool), rng))
    shown.append(np.full(others, -1))
    return np.concatenate(parts), np.concatenate(shown)


# ---- The ways


def by_curate(thumbnails: Bytes, way: str) -> tuple[Ints, float, float]:
    """The picture kept of each one's group, (N,), and CPU and wall seconds."""
    keys = np.arange(len(thumbnails), dtype=np.uint64)
    exact = len(keys) if way == "exact" else 0
    before = None
    if way == "1 % new":
        known = keys % 100 > 0
        before = relations_between(keys[known], thumbnails[known], None, exact=exact)
    cpu_s, wall_s = cpu_seconds(), time.perf_counter()
    relations = relations_between(keys, thumbnails, before, exact=exact)
    found = groups_of(keys, relations, MIN_SIMILARITY, lambda pairs: matching.similarity(thumbnails, pairs))
    return found.kept, cpu_seconds() - cpu_s, time.perf_counter() - wall_s


def joined(pairs: Ints, count: int) -> Ints:
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(pairs), bool), pairs.T), (count, count))
    return np.asarray(connected_components(graph, directed=False)[1], np.int64)


def by_hash(thumbnails: Bytes) -> Ints:
    """Pictures whose hashes differ in at most BITS of 256 bits, chained."""
    hashes = hashes_of(thumbnails)
    distinct, place = np.unique(hashes, axis=0, return_inverse=True)
    pairs = [np.empty((0, 2), np.int64)]
    bands = distinct.view(np.uint16)  # (N, 16)
    for band in bands.T:
        order = np.argsort(band, kind="stable")
        for step in range(1, MOST_IN_BUCKET):
            same = np.flatnonzero(band[order[step:]] == band[order[:-step]])
            if not len(same):
                break
            one, other = order[same], order[same + step]
            differ = np.bitwise_count(distinct[one] ^ distinct[other]).sum(axis=1)
            pairs.append(np.stack([one, other], axis=1)[differ <= BITS])
    return joined(np.concatenate(pairs), len(distinct))[place]


def hashes_of(thumbnails: Bytes) -> NDArray[np.uint64]:
    """The 16 x 16 lowest frequencies of a cosine transform, without the mean, above or below the median; (N, 4)."""
    angles = np.pi * np.arange(16)[:, None] * (np.arange(SIDE) + 0.5) / SIDE
    cosines = np.cos(angles).astype(np.float32)
    found = []
    for start in range(0, len(thumbnails), 4096):
        spectra = (cosines @ thumbnails[start : start + 4096].astype(np.float32) @ cosines.T).reshape(-1, 256)
        spectra[:, 0] = np.median(spectra[:, 1:], axis=1)
        above = spectra > np.median(spectra[:, 1:], axis=1, keepdims=True)
        found.append(np.packbits(above, axis=1).view(np.uint64))
    return np.concatenate(found)


# ---- The measurement


def truth(groups: Ints, shown: Ints) -> tuple[float, float]:
    """Recall of the edited copies, and precision over all pairs within groups."""
    photographs, first = np.unique(shown, return_index=True)  # the original comes first of each
    originals = first[np.searchsorted(photographs, shown)]
    edits = (shown >= 0) & (shown < PHOTOGRAPHS) & (np.arange(len(shown)) != originals)  # but not those in the heap
    recall = float((groups == groups[originals])[edits].mean())
    own = np.where(shown < 0, np.arange(len(shown)) + len(shown), shown)
    grouped = pairs_in(groups)
    return recall, pairs_in(groups * (2 * len(shown) + 1) + own) / grouped if grouped else 1.0


def pairs_in(groups: Ints) -> int:
    sizes = np.unique(groups, return_counts=True)[1].astype(np.int64)
    return int((sizes * (sizes - 1) // 2).sum())


def child(way: str, source: Path, target: Path) -> None:
    """One way, once, in a process of its own."""
    thumbnails = np.load(source)
    if way == "hash":
        cpu_s, wall_s = cpu_seconds(), time.perf_counter()
        groups = by_hash(thumbnails)
        cpu_s, wall_s = cpu_seconds() - cpu_s, time.perf_counter() - wall_s
    else:
        groups, cpu_s, wall_s = by_curate(thumbnails, way)
    np.savez(target, groups=groups, cost=(cpu_s, wall_s))


def measured(way: str, source: Path, shown: Ints) -> str:
    """One line of the table."""
    target = source.with_name("groups.npz")
    ended = run_watched([sys.executable, __file__, "--way", way, "--source", str(source), "--target", str(target)])
    if ended.code:
        return f"{way:12}failed: {ended.said}"
    with np.load(target) as found:
        (recall, precision), (cpu_s, wall_s) = truth(found["groups"], shown), found["cost"]
    return f"{way:12}{recall:8.3f}{precision:11.4f}{cpu_s:9.1f}{wall_s:9.1f}{ended.peak_mb:9.0f}"


SETS = (
    (1_000, "", ("exact", "cells", "hash")),
    (10_000, "", ("exact", "cells", "hash")),
    (20_000, "", ("exact", "cells", "hash")),
    (100_000, "", ("cells", "1 % new", "hash")),
    (100_000, ", 2 % of them more edits of one photograph", ("cells", "hash")),
    (25_000, ", all of one kind", ("cells", "hash")),
    (1_000_000, "", ("cells", "hash")),
)


def measure(data: Path, sizes: list[int]) -> list[str]:
    """Make the sets, run every way on them; the table."""
    photographs = sorted((data / "photos").iterdir())
    names = {path.stem for path in photographs}
    corpus = sorted(path for path in (data / "corpus").rglob("*") if path.is_file() and path.stem not in names)
    scored, of_heap = photographs[PHOTOGRAPHS : 2 * PHOTOGRAPHS], photographs[2 * PHOTOGRAPHS]
    copies, (pool, wholes) = edited(scored), tiles(corpus)
    lines = header("Grouping near duplicates", ["curate", "numpy", "scipy"])
    with tempfile.TemporaryDirectory() as scratch:
        for count, kind, ways in [one for one in SETS if one[0] in sizes]:
            source = Path(scratch) / "set.npy"
            chosen = most_alike(pool, count) if "kind" in kind else pool
            thumbnails, shown = picture_set(chosen, wholes, copies, count, of_heap if "edits" in kind else None)
            np.save(source, thumbnails)
            del thumbnails
            lines += [f"{count:,} pictures{kind}", HEAD, *(measured(way, source, shown) for way in ways), ""]
            sys.stderr.write("\n".join(lines[-len(ways) - 3 :]) + "\n")
    return lines


def main() -> None:
    """The command line, of the whole and of the process that is measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    every = sorted({count for count, _, _ in SETS})
    parser.add_argument("--sizes", type=int, nargs="+", choices=every, default=every)
    for name in ("way", "source", "target"):
        parser.add_argument(f"--{name}", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.way:
        child(options.way, Path(options.source), Path(options.target))
    elif options.sizes == every:
        write_result("near_duplicates.txt", measure(options.data, every))
    else:
        sys.stdout.write("\n".join(measure(options.data, options.sizes)) + "\n")


HEAD = f"{'':12}{'recall':>8}{'precision':>11}{'CPU s':>9}{'wall s':>9}{'peak MB':>9}"

if __name__ == "__main__":
    main()
