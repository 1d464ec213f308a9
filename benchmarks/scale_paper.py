"""Writes the figures of docs/scale.md: what was measured per picture and row, and what that makes at 10^8.

    python benchmarks/scale_paper.py            (after scale.py; needs no data, takes no time)

The unit costs are read from the text that scale.py and clean.py left in benchmarks/results, so that each is in a line
that anybody can look up. All the rest is multiplication, told as such.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from curate.cache import FLUSH_ROWS
from curate.images import CHUNK_ITEMS
from processes import RESULTS

DOCUMENT = Path(__file__).parents[1] / "docs" / "scale.md"
SIZES = (10**6, 10**7, 10**8)
HOUR_S = 3600
CORES = 16
LISTED_PER_REQUEST = 1000  # S3's ListObjectsV2
VECTOR_BYTES = 4 * 512  # of the built-in model: 512 numbers of float32
MACHINE_BYTES = 64e9
PATIENCE_S = 60.0


@dataclass(frozen=True)
class Unit:
    """A measured cost of one more picture or row. line: where it is found."""

    value: float
    unit: str
    line: str


def units() -> dict[str, Unit]:
    """Every unit cost, by what it is of. Raises SystemExit that names what was not measured yet."""
    scale, clean, executors = (RESULTS / name for name in ("scale.txt", "clean.txt", "executors.txt"))
    return {
        "bytes of a photograph": _photo_bytes(clean),
        "first look at a photograph": _photo_cpu(clean),
        "first look at a small picture": _cpu(scale, "clean: first run"),
        "a chunk handed over by Ray": _found(executors, r"ray +[\d.]+ +[\d.]+ +[\d.]+ +\d+ +([\d.]+)", "us", 1000.0),
        "unchanged run": _cpu(scale, "clean: unchanged"),
        "another threshold": _cpu(scale, "clean: other threshold"),
        "memory of another threshold": _memory(scale, "clean: other threshold"),
        "memory of `apply`": _memory(scale, "apply 100 labels"),
        "`apply` of 100 labels": _cpu(scale, "apply 100 labels"),
        "`table`, CSV": _cpu(scale, "table csv"),
        "`export` by links": _cpu(scale, "export imagefolder"),
        "`verify`": _cpu(scale, "verify"),
        "`split`": _cpu(scale, "split"),
        "`normalize` of a small picture": _cpu(scale, "normalize"),
        "a model's first look, in `rebalance`": _cpu(scale, "rebalance"),
        "`prelabel` after it": _cpu(scale, "prelabel"),
        "cache": _stored(scale, "cache after clean: first run"),
        "first version": _stored(scale, "versions after clean: first run"),
        "a version with 100 other labels": _found(
            scale, r"  a version with 100 other labels\s+(\d+) bytes at", "bytes"
        ),
    }


def _found(file: Path, pattern: str, unit: str, factor: float = 1.0) -> Unit:
    lines = file.read_text().splitlines() if file.exists() else []
    for number, line in enumerate(lines, 1):
        found = re.match(pattern, line)
        if found:
            return Unit(float(found[1].replace(",", "")) * factor, unit, f"{file.name}:{number}")
    raise SystemExit(f"{file} has no line like {pattern!r}: run the benchmark first.")


def _cpu(file: Path, step: str) -> Unit:
    return _found(file, rf"  {re.escape(step)} +(-?[\d.]+) us CPU", "us CPU")


def _memory(file: Path, step: str) -> Unit:
    return _found(file, rf"  {re.escape(step)} +-?[\d.]+ us CPU +(-?\d+) bytes of memory", "bytes")


def _stored(file: Path, what: str) -> Unit:
    return _found(file, rf"  {re.escape(what)} +([\d.]+) bytes a row", "bytes")


def _photo_bytes(file: Path) -> Unit:
    size = _found(file, r"photos: \d+ pictures, (\d+) MB", "bytes", 1e6)
    return Unit(size.value / _found(file, r"photos: (\d+) pictures", "").value, "bytes", size.line)


def _photo_cpu(file: Path) -> Unit:
    return _found(file, r"curate clean(?: +[\d.]+){4} +([\d.]+)", "us CPU", 1000.0)


# ---- Multiplied


def arithmetic(known: dict[str, Unit]) -> list[tuple[str, str, list[str]]]:
    """(what, how it is reckoned, the value at each of SIZES)."""
    one = {name: unit.value for name, unit in known.items()}
    hours = {name: value / 1e6 / HOUR_S for name, value in one.items()}
    look, nodes = hours["first look at a photograph"], 50 * CORES
    chunk_s = one["a chunk handed over by Ray"] / 1e6
    each = [
        ("bytes read, once", "N x bytes of a photograph", one["bytes of a photograph"], "B"),
        ("first look, CPU hours", "N x first look", look, "h"),
        (f"  on {CORES} cores", f"/ {CORES}", look / CORES, "h"),
        (f"  on 50 nodes of {CORES} cores", f"/ {nodes}", look / nodes, "h"),
        ("handed over by one driver", f"N / {CHUNK_ITEMS} chunks", chunk_s / CHUNK_ITEMS, "s"),
        ("requests to list a bucket", f"N / {LISTED_PER_REQUEST:,}", 1 / LISTED_PER_REQUEST, ""),
        ("unchanged run, one core", "N x unchanged run", one["unchanged run"] / 1e6, "s"),
        ("another threshold, one core", "N x another threshold", one["another threshold"] / 1e6, "s"),
        ("memory of the coordinator", "N x memory of another threshold", one["memory of another threshold"], "B"),
        ("cache on disk", "N x cache", one["cache"], "B"),
        ("its parts as they are written", f"N / {FLUSH_ROWS:,}", 1 / FLUSH_ROWS, ""),
        ("first version on disk", "N x first version", one["first version"], "B"),
        ("`apply` of 100 labels, one core", "N x `apply`", one["`apply` of 100 labels"] / 1e6, "s"),
        ("`normalize`, CPU hours", "N x `normalize`", hours["`normalize` of a small picture"], "h"),
        ("a model's first look, CPU hours", "N x first look", hours["a model's first look, in `rebalance`"], "h"),
        ("`prelabel` after it, CPU hours", "N x `prelabel`", hours["`prelabel` after it"], "h"),
        ("vectors of a model on disk", f"N x {VECTOR_BYTES:,} bytes", VECTOR_BYTES, "B"),
    ]
    return [(what, how, [readable(n * factor, unit) for n in SIZES]) for what, how, factor, unit in each]


def limits(known: dict[str, Unit]) -> list[tuple[str, str, float]]:
    """(what ends, by which bound, at how many pictures), the first to end first."""
    one = {name: unit.value for name, unit in known.items()}
    found = [
        ("the search for near copies, by places of 29 bits", "2 ** 29", 2.0**29),
        (
            "the table in the coordinator's memory",
            f"{MACHINE_BYTES / 1e9:.0f} GB / {one['memory of another threshold']:,.0f} bytes",
            MACHINE_BYTES / one["memory of another threshold"],
        ),
        (
            "an unchanged run within a minute",
            f"{PATIENCE_S:.0f} s / {one['unchanged run']:.0f} us",
            PATIENCE_S / one["unchanged run"] * 1e6,
        ),
        (
            "`apply` of a hundred labels within a minute",
            f"{PATIENCE_S:.0f} s / {one['`apply` of 100 labels']:.0f} us",
            PATIENCE_S / one["`apply` of 100 labels"] * 1e6,
        ),
        (
            f"the first look over night on {CORES} cores",
            f"12 h x {CORES} / {one['first look at a photograph'] / 1000:.1f} ms",
            12 * HOUR_S * CORES / one["first look at a photograph"] * 1e6,
        ),
    ]
    return sorted(found, key=lambda entry: entry[2])


def readable(value: float, unit: str) -> str:
    """Two or three figures that mean something, with a unit of fitting size."""
    if unit == "B":
        for size, name in ((1e15, "PB"), (1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
            if value >= size:
                return f"{value / size:.3g} {name}"
    if unit == "s" and value >= HOUR_S:
        return f"{value / HOUR_S:.1f} h"
    if unit == "h" and value < 1:
        return f"{value * 60:.1f} min" if value * 60 >= 1 else f"{value * HOUR_S:.0f} s"
    if unit in ("h", "s"):
        return f"{value:,.1f} {unit}" if value < 100 else f"{value:,.0f} {unit}"
    return f"{value:,.0f}"


# ---- The document


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; all columns but the first are numbers."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def with_figures(text: str, name: str, table: str) -> str:
    """The document with this table between its marks."""
    begin, end = f"<!-- {name}: written by benchmarks/scale_paper.py -->", f"<!-- end of {name} -->"
    before, rest = text.split(begin)
    return f"{before}{begin}\n{table}\n{end}{rest.split(end)[1]}"


def main() -> None:
    """Write the three tables."""
    known = units()
    text = DOCUMENT.read_text(encoding="utf-8")
    rows = [[name, f"{_figures(one.value)} {one.unit}", f"`{one.line}`"] for name, one in known.items()]
    text = with_figures(text, "unit costs", markdown(["one more picture, or row", "costs", "measured in"], rows))
    sums = [[what, how, *values] for what, how, values in arithmetic(known)]
    text = with_figures(text, "arithmetic", markdown(["", "reckoned as", *(f"{n:,}" for n in SIZES)], sums))
    ends = [[what, how, f"{readable_count(at)} pictures"] for what, how, at in limits(known)]
    text = with_figures(text, "limits", markdown(["what ends", "bound / unit cost", "at"], ends))
    DOCUMENT.write_text(text, encoding="utf-8")


def _figures(value: float) -> str:
    """At least three figures."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def readable_count(number: float) -> str:
    """12 million, 340 million."""
    return f"{number / 1e6:,.0f} million"


if __name__ == "__main__":
    main()
