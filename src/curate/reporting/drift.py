"""The page of `curate drift`: answers, distributions and pictures of both sides, in one file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from curate.drift_advice import Advice, advice
from curate.files import write_text
from curate.paths import to_text
from curate.progress import Progress, silent
from curate.reporting.commands import Commands
from curate.reporting.looks import environment, own
from curate.reporting.plots import BOTTOM, LEFT, RIGHT, TOP, Tick, number, round_values
from curate.reporting.thumbnails import Thumbnail, make_thumbnails

if TYPE_CHECKING:
    from curate.drift_history import History
    from curate.drift_questions import Histogram, Question, Test
    from curate.drift_sides import Side
    from curate.drifting import Drift
    from curate.project import Project

MOST_SHOWN = 4  # tests of a question with plots and pictures; the table has all
MOST_ROWS = 60  # of the table of one question: each fact in each class can be hundreds
MOST_NAMES = 12  # bars of names; those that differ most


@dataclass(frozen=True)
class TwoSided:
    """Two histograms in one plot. bars: x, y, width, height of A; line: B as SVG's polyline takes it."""

    bars: tuple[tuple[float, float, float, float], ...]
    line: str
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]


@dataclass(frozen=True)
class NamedShare:
    """A name's share of both sides, 0..1."""

    name: str
    a: float
    b: float


@dataclass(frozen=True)
class Shown:
    """A test with what is drawn of it. Pictures are those of the sides, as (path, thumbnail or None)."""

    test: Test
    plot: TwoSided | None
    shares: tuple[NamedShare, ...]
    a: tuple[tuple[str, Thumbnail | None], ...]
    b: tuple[tuple[str, Thumbnail | None], ...]


@dataclass(frozen=True)
class Section:
    """A question with the tests that are drawn, and those in its table."""

    question: Question
    shown: tuple[Shown, ...]
    rows: tuple[Test, ...]
    more: int


def drift_page(found: Drift, folder: str | Path, progress: Progress = silent) -> Path:
    """Write the page about a comparison and return where it is: drift.html in the store."""
    commands = Commands.of(found.project, folder)
    thumbnails = [_thumbnails(found, place, progress) for place in (0, 1)]
    sections = [_section(one, thumbnails) for one in found.questions]
    steps = [(one, _line(one, commands)) for one in advice(found)]
    return _written(found.project, {"drift": found, "sections": sections, "steps": steps, "history": None})


def _written(project: Project, shown: dict[str, Any]) -> Path:
    """The page, with these values in its template."""
    target = project.store / "drift.html"
    style = Markup(own("style.css"))  # noqa: S704  our own file
    template = environment().get_template("drift.html")
    write_text(target, template.render(folder=to_text(project.folder.name), style=style, **shown), durable=False)
    return target


def _line(one: Advice, commands: Commands) -> str:
    return commands.run(one.verb, *one.rest) if one.verb else ""


def _drawn(question: Question) -> list[Test]:
    """The tests that are shown with plots and pictures: what was found, or else the one that came nearest to it."""
    if question.found:
        return question.found[:MOST_SHOWN]
    return sorted(question.tests, key=lambda one: (one.p, one.name))[:1]


def _thumbnails(found: Drift, place: int, progress: Progress) -> dict[str, Thumbnail]:
    """By path, of one side's pictures."""
    side: Side = (found.a, found.b)[place]
    paths = {
        path for one in found.questions for test in _drawn(one) for path in (test.pictures_a, test.pictures_b)[place]
    }
    rows = side.rows[side.rows["path"].isin(paths)]
    contents = dict(zip(rows["path"], rows["sha256"], strict=True))
    made = make_thumbnails(side.project, contents.items(), progress)
    return {path: made[sha256] for path, sha256 in contents.items() if sha256 in made}


def _section(question: Question, thumbnails: Sequence[Mapping[str, Thumbnail]]) -> Section:
    rows = sorted(question.tests, key=lambda one: (one.adjusted_p, -one.size, one.label, one.name))
    shown = tuple(
        Shown(
            test=test,
            plot=two_sided(test.histogram) if test.histogram and test.histogram.edges else None,
            shares=named_shares(test.histogram) if test.histogram and test.histogram.names else (),
            a=tuple((path, thumbnails[0].get(path)) for path in test.pictures_a),
            b=tuple((path, thumbnails[1].get(path)) for path in test.pictures_b),
        )
        for test in _drawn(question)
    )
    return Section(question, shown, tuple(rows[:MOST_ROWS]), max(len(rows) - MOST_ROWS, 0))


def named_shares(histogram: Histogram) -> tuple[NamedShare, ...]:
    """The names whose shares differ most, in their order."""
    totals = [max(sum(one), 1) for one in (histogram.a, histogram.b)]
    shares = [
        NamedShare(name, a / totals[0], b / totals[1])
        for name, a, b in zip(histogram.names, histogram.a, histogram.b, strict=True)
    ]
    most = sorted(shares, key=lambda one: (-abs(one.b - one.a), one.name))[:MOST_NAMES]
    return tuple(one for one in shares if one in most)


def two_sided(histogram: Histogram) -> TwoSided:
    """Shares of both sides over the same bins."""
    totals = [max(sum(one), 1) for one in (histogram.a, histogram.b)]
    shares = [[count / total for count in one] for one, total in zip((histogram.a, histogram.b), totals, strict=True)]
    highest = max(max(one) for one in shares) or 1.0
    edges = histogram.edges

    def x(value: float) -> float:
        return round(LEFT + (RIGHT - LEFT) * (value - edges[0]) / ((edges[-1] - edges[0]) or 1.0), 2)

    def y(share: float) -> float:
        return round(BOTTOM - (BOTTOM - TOP) * share / highest, 2)

    bars = tuple(
        (x(low), y(share), round(x(high) - x(low) - 0.5, 2), round(BOTTOM - y(share), 2))
        for low, high, share in zip(edges[:-1], edges[1:], shares[0], strict=True)
        if share
    )
    steps = [f"{x(edge)},{y(share)}" for at, share in enumerate(shares[1]) for edge in (edges[at], edges[at + 1])]
    line = " ".join([f"{x(edges[0])},{BOTTOM}", *steps, f"{x(edges[-1])},{BOTTOM}"])
    heights = [0.0, highest / 2, highest]
    x_ticks = tuple(Tick(number(value), x(value)) for value in round_values(edges[0], edges[-1]))
    return TwoSided(bars, line, x_ticks, tuple(Tick(f"{share:.0%}", y(share)) for share in heights))


# ---- History


@dataclass(frozen=True)
class Trend:
    """One number over the versions. line: as SVG's polyline takes it; dots: x, y, version, value."""

    name: str
    what: str
    line: str
    dots: tuple[tuple[float, float, str, str], ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]


def history_page(found: History) -> Path:
    """Write the page about all versions and return where it is: drift.html in the store."""
    shown = {"drift": None, "sections": [], "steps": [], "history": found, "trends": trends(found)}
    return _written(found.project, shown)


def trends(found: History) -> list[Trend]:
    """What is drawn: distance from the first version by classes and content, then each fact."""
    steps = found.steps
    series: list[tuple[str, str, list[float | None]]] = [
        ("classes", "distance of the class mix from the first version, 0 to 1", [one.mix for one in steps]),
        (
            "content",
            "how well a classifier tells it from the first version, .5 = not at all",
            [one.auc for one in steps],
        ),
    ]
    names = list(dict.fromkeys(name for one in steps for name in one.medians))
    series += [
        (name, f"median {name}: {found.units.get(name, '')}", [one.medians.get(name) for one in steps])
        for name in names
    ]
    versions = [one.version for one in steps]
    drawn = (trend(name, what, versions, values) for name, what, values in series)
    return [one for one in drawn if one is not None]


def trend(name: str, what: str, versions: Sequence[str], values: Sequence[float | None]) -> Trend | None:
    """The line through the values that are known; None of fewer than two."""
    known = [(place, value) for place, value in enumerate(values) if value is not None]
    if len(known) < 2:
        return None
    low, high = min(value for _, value in known), max(value for _, value in known)
    # A line that hardly moves must look so: the axis spans a fifth of the value at least.
    space = max(0.1 * abs(high), (high - low) * 0.1, 1e-9)
    low, high = low - space, high + space

    def x(place: int) -> float:
        return round(LEFT + 8 + (RIGHT - LEFT - 16) * place / max(len(versions) - 1, 1), 2)

    def y(value: float) -> float:
        return round(BOTTOM - (BOTTOM - TOP) * (value - low) / (high - low), 2)

    every = max(1, -(-len(versions) // 8))
    return Trend(
        name,
        what,
        " ".join(f"{x(place)},{y(value)}" for place, value in known),
        tuple((x(place), y(value), versions[place], f"{value:.3g}") for place, value in known),
        tuple(Tick(versions[place], x(place)) for place in range(0, len(versions), every)),
        tuple(Tick(f"{value:.3g}", y(value)) for value in (low, (low + high) / 2, high)),
    )
