"""Plots, as the arithmetic of where each bar, line and letter goes; the page draws them as inline SVG.

Three kinds: histograms with a threshold drawn in, one curve, and intervals below each other against a reference.

Bins are counted from the threshold outwards, so that no bar straddles it and the coloured ones are those beyond.
Rejected: matplotlib; docs/decisions/0002-report-plots.md says why.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Side = Literal["below", "above"]

# The drawing in units of the SVG's view box: at 360 units one unit is about one px of a phone, so that texts
# keep their size there; wider screens show several plots side by side.
WIDTH, HEIGHT = 360, 190
LEFT, RIGHT, TOP, BOTTOM = 38, 352, 24, 164  # the area of the bars
BINS = 40  # bars of about 8 px; the number of values matters less than that they can be told apart

# Bars of less than about 1.5 px can't be seen: beyond this ratio of the highest to the lowest, counts are drawn
# by their logarithm.
MAX_LINEAR_RATIO = 90


@dataclass(frozen=True)
class Bar:
    """One bar: how many values lie from `low` to below `high`, and its rectangle. beyond: past the threshold."""

    low: float
    high: float
    count: int
    beyond: bool
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Tick:
    """A mark on an axis: its text and its place along it."""

    text: str
    at: float


@dataclass(frozen=True)
class Histogram:
    """A histogram ready to draw.

    side: where values are flagged. beyond: how many values lie there, of `total`. logarithmic: the count axis.
    """

    threshold: float
    side: Side
    beyond: int
    total: int
    bars: tuple[Bar, ...]
    threshold_at: float
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    logarithmic: bool


def flagged_side(values: NDArray[np.float64], threshold: float, flagged: NDArray[np.bool_]) -> Side:
    """On which side of its threshold a check flags, told by what it flagged.

    The name does not tell: a chroma under `max_chroma` is flagged, a similarity under `min_similarity` is not.
    Where nothing is flagged, it is the side with fewer values.
    """
    below, above = values < threshold, values > threshold
    shares = [float(flagged[there].mean()) if there.any() else 0.0 for there in (below, above)]
    if shares[0] == shares[1]:
        return "below" if below.sum() <= above.sum() else "above"
    return "below" if shares[0] > shares[1] else "above"


def histogram(
    values: NDArray[np.float64], threshold: float, flagged: NDArray[np.bool_], whole_numbers: bool = False
) -> Histogram | None:
    """The distribution of a fact around its threshold; None without values.

    values: NA left out.  # (N,)  flagged: by the check of that threshold.  # (N,)
    """
    finite = np.isfinite(values)
    values, flagged = values[finite], flagged[finite]
    if not values.size:
        return None
    side = flagged_side(values, threshold, flagged)
    # A value on the threshold is beyond it for some checks and not for others; the flags know.
    beyond = (values < threshold if side == "below" else values > threshold) | (flagged & (values == threshold))
    edges = bin_edges(float(values.min()), float(values.max()), threshold, whole_numbers)
    counts = np.histogram(values, edges)[0]
    logarithmic = int(counts.max()) > MAX_LINEAR_RATIO * int(counts[counts > 0].min())
    return Histogram(
        threshold,
        side,
        int(beyond.sum()),
        values.size,
        _bars(edges, counts, threshold, side, logarithmic),
        _x(threshold, edges),
        tuple(Tick(number(value), _x(value, edges)) for value in round_values(edges[0], edges[-1])),
        _count_ticks(int(counts.max()), logarithmic),
        logarithmic,
    )


def bin_edges(low: float, high: float, threshold: float, whole_numbers: bool) -> NDArray[np.float64]:
    """Equal bins of a round width that cover low to high, one edge on the threshold and a bin on either side of it."""
    width = _round_step((max(high, threshold) - min(low, threshold)) / BINS)
    if whole_numbers:
        width = max(1.0, width)
    first = min(-1, math.floor((low - threshold) / width))
    last = max(1, math.floor((high - threshold) / width) + 1)
    return np.asarray(threshold + width * np.arange(first, last + 1), np.float64)


@dataclass(frozen=True)
class Curve:
    """A falling line ready to draw: the share of right answers against the share of pictures answered.

    points: as SVG's polyline takes them. level: the height of the wanted share. reached: the place on the x axis.
    """

    points: str
    level: float
    level_at: float
    reached: float
    reached_at: float
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]


def curve(points: list[tuple[float, float]], level: float, reached: float) -> Curve | None:
    """The line through (coverage, accuracy), both 0..1; None with fewer than two points."""
    if len(points) < 2:
        return None
    # The y axis begins under the lowest point, at a tenth: accuracies between .9 and 1 should fill the plot.
    floor = min(0.9, math.floor(10 * min([level, *(accuracy for _, accuracy in points)])) / 10)

    def x(share: float) -> float:
        return round(LEFT + (RIGHT - LEFT) * share, 2)

    def y(share: float) -> float:
        return round(BOTTOM - (BOTTOM - TOP) * (share - floor) / (1 - floor), 2)

    step = 0.02 if floor >= 0.9 else 0.1 if floor >= 0.5 else 0.2
    heights = [round(floor + step * i, 2) for i in range(int((1 - floor) / step + 1e-9) + 1)]
    return Curve(
        " ".join(f"{x(coverage)},{y(accuracy)}" for coverage, accuracy in points),
        level,
        y(level),
        reached,
        x(reached),
        tuple(Tick(f"{share:.0%}", x(share)) for share in (0.0, 0.25, 0.5, 0.75, 1.0)),
        tuple(Tick(f"{share:.0%}", y(share)) for share in heights),
    )


@dataclass(frozen=True)
class Interval:
    """A value between two ends, all in the unit of the axis. stands_out: drawn in colour."""

    name: str
    value: float
    low: float
    high: float
    stands_out: bool = False


@dataclass(frozen=True)
class DrawnInterval:
    """An interval ready to draw. text_y: of its name; y: of its line; x, low_x, high_x: along the axis."""

    interval: Interval
    text_y: float
    y: float
    x: float
    low_x: float
    high_x: float


@dataclass(frozen=True)
class Intervals:
    """Intervals below each other, ready to draw. reference: the value that means nothing, such as chance.

    height: of the view box; bottom: of the area; names stand above their lines, so that a phone has room for both.
    """

    rows: tuple[DrawnInterval, ...]
    reference: float
    reference_x: float
    x_ticks: tuple[Tick, ...]
    bottom: float
    height: float


INTERVAL_LEFT, INTERVAL_RIGHT = 10, 350  # no axis of numbers at the left
ROW_HEIGHT = 34  # a line of text and the line below it


def intervals(rows: Sequence[Interval], reference: float) -> Intervals | None:
    """The intervals in the order given, on an axis that holds all ends and the reference; None without any."""
    ends = [reference, *(end for row in rows for end in (row.low, row.value, row.high))]
    if not rows or not all(map(math.isfinite, ends)):
        return None
    low, high = min(ends), max(ends)
    space = 0.04 * (high - low) or 1.0
    low, high = low - space, high + space

    def x(value: float) -> float:
        return round(INTERVAL_LEFT + (INTERVAL_RIGHT - INTERVAL_LEFT) * (value - low) / (high - low), 2)

    drawn = tuple(
        DrawnInterval(row, 16 + ROW_HEIGHT * place, 27 + ROW_HEIGHT * place, x(row.value), x(row.low), x(row.high))
        for place, row in enumerate(rows)
    )
    bottom = 4.0 + ROW_HEIGHT * len(rows)
    ticks = tuple(Tick(number(value), x(value)) for value in round_values(low, high))
    return Intervals(drawn, reference, x(reference), ticks, bottom, bottom + 24)


def number(value: float) -> str:
    """A number as people write it, without the noise of floating point: 0.03, 12, 1,500."""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{round(value, 9):.3g}"


def _round_step(step: float) -> float:
    """The smallest of 1, 2, 2.5 and 5 times a power of ten that is not under `step`; 1 for nothing."""
    if step <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(step))
    return next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= step * (1 - 1e-9))


def round_values(low: float, high: float) -> list[float]:
    """About five round numbers from low to high."""
    step = _round_step((high - low) / 5)
    return [step * i for i in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def _x(value: float, edges: NDArray[np.float64]) -> float:
    return round(LEFT + (RIGHT - LEFT) * float((value - edges[0]) / (edges[-1] - edges[0])), 2)


def _y(count: int, highest: int, logarithmic: bool) -> float:
    share = math.log1p(count) / math.log1p(highest) if logarithmic else count / highest
    return round(BOTTOM - (BOTTOM - TOP) * share, 2)


def _bars(
    edges: NDArray[np.float64], counts: NDArray[np.int64], threshold: float, side: Side, logarithmic: bool
) -> tuple[Bar, ...]:
    highest = int(counts.max())
    bars = []
    for low, high, count in zip(edges[:-1].tolist(), edges[1:].tolist(), counts.tolist(), strict=True):
        if not count:
            continue
        x, y = _x(low, edges), _y(count, highest, logarithmic)
        beyond = (low + high) / 2 < threshold if side == "below" else (low + high) / 2 > threshold
        # Half a unit of air between two bars.
        bars.append(Bar(low, high, count, beyond, x, y, round(_x(high, edges) - x - 0.5, 2), round(BOTTOM - y, 2)))
    return tuple(bars)


def _count_ticks(highest: int, logarithmic: bool) -> tuple[Tick, ...]:
    if logarithmic:
        counts = [0, *(10**power for power in range(len(str(highest))))]
    else:
        step = max(1, int(_round_step(highest / 3)))
        counts = list(range(0, highest + 1, step))
    return tuple(Tick(f"{count:,}", _y(count, highest, logarithmic)) for count in counts)
