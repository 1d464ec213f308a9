"""Damaged files: which of them are reported, by us, by Pillow and by CleanVision's way of opening.

    python benchmarks/quality_damage.py --data ../shared/data

Every photograph of photos/ is damaged in five ways (seeded). "reported" is the share of damaged files that
become a row with `read_error`; for the intact ones it is the share of false alarms. CleanVision opens pictures
with Pillow and ends the whole run at the first one that raises, so its column is Pillow's `load()`.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from curate.errors import UnreadableImage
from curate.imaging import open_image
from processes import print_part

SEED = 20261121
Damage = Callable[[bytes, np.random.Generator], bytes]


def truncated(data: bytes, rng: np.random.Generator) -> bytes:
    """Cut somewhere in the last nine tenths."""
    return data[: int(len(data) * rng.uniform(0.1, 0.98))]


def four_kb_zeroed(data: bytes, rng: np.random.Generator) -> bytes:
    """4 kB of zeros somewhere in the picture data, as a bad disk block leaves."""
    start = int(rng.integers(len(data) // 4, max(len(data) - 4096, len(data) // 4 + 1)))
    return data[:start] + bytes(min(4096, len(data) - start)) + data[start + 4096 :]


def sixteen_bytes_changed(data: bytes, rng: np.random.Generator) -> bytes:
    """16 bytes here and there in the picture data get another value."""
    result = bytearray(data)
    for place in rng.integers(len(data) // 4, len(data) - 2, 16):
        result[place] ^= int(rng.integers(1, 256))
    return bytes(result)


def sixteen_in_a_row_changed(data: bytes, rng: np.random.Generator) -> bytes:
    """16 neighbouring bytes get random values: the decoder often finds its way again."""
    start = int(rng.integers(len(data) // 4, len(data) - 20))
    return data[:start] + rng.bytes(16) + data[start + 16 :]


def five_kb_appended(data: bytes, rng: np.random.Generator) -> bytes:
    """5 kB behind the end: not damage, the picture is whole."""
    return data + rng.bytes(5000)


def intact(data: bytes, _: np.random.Generator) -> bytes:
    """As it is."""
    return data


DAMAGES: tuple[Damage, ...] = (
    truncated,
    four_kb_zeroed,
    sixteen_bytes_changed,
    sixteen_in_a_row_changed,
    five_kb_appended,
    intact,
)


def curate_reports(data: bytes) -> bool:
    """Our verdict."""
    try:
        open_image(data)
    except UnreadableImage:
        return True
    return False


def pillow_load_reports(data: bytes) -> bool:
    """What `Image.open(...).load()` says, as CleanVision and most loaders use it."""
    try:
        Image.open(io.BytesIO(data)).load()
    except Exception:  # noqa: BLE001  whatever Pillow raises is its verdict
        return True
    return False


def pillow_verify_reports(data: bytes) -> bool:
    """What `Image.verify()` says, as many scripts use it."""
    try:
        Image.open(io.BytesIO(data)).verify()
    except Exception:  # noqa: BLE001  whatever Pillow raises is its verdict
        return True
    return False


def measure_quality(data: Path) -> list[str]:
    """The table, as lines of text."""
    rng = np.random.default_rng(SEED)
    originals = [path.read_bytes() for path in sorted((data / "photos").iterdir())]
    judges = {"curate": curate_reports, "Pillow load": pillow_load_reports, "Pillow verify": pillow_verify_reports}
    lines = [f"Damage on {len(originals)} photographs: share reported as unreadable"]
    lines.append(f"{'':34}" + "".join(f"{name:>15}" for name in judges))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for damage in DAMAGES:
            files = [damage(original, rng) for original in originals]
            shares = [sum(map(judge, files)) / len(files) for judge in judges.values()]
            lines.append(f"{damage.__name__.replace('_', ' '):34}" + "".join(f"{share:15.3f}" for share in shares))
    return lines


if __name__ == "__main__":
    print_part(__doc__, measure_quality)
