"""What every command costs as a folder grows: 1,000 to 100,000 pictures, and a table of a million rows.

    python benchmarks/scale.py --scratch /tmp/scale       (writes benchmarks/results/scale.txt; about an hour)
    python benchmarks/scale.py --scratch /tmp/scale --sizes 1000 10000 --only clean diff

Pictures are made by scale_pictures.py, once: a second run finds them in --scratch. The million rows are made by
scale_store.py, each with a thumbnail, and open no picture. Each step is one process, as a user starts it, in the order
in which a user would. What was measured is kept line by line in results.jsonl of --scratch: an interrupted run goes on
where it was, and the text is made from all that is there. --again forgets the measurements, not the pictures.

The exponent says how cost grows: CPU without start-up ~ pictures ** exponent, by least squares of the logarithms of
both over all sizes. Start-up is the same command on START_UP_FILES pictures. Sizes that cost less than LEAST_CPU_S
beyond it are left out, because they would measure the start-up's noise.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from processes import Watched, header, run_watched, write_result
from scale_parts import bytes_below
from scale_planted import kind_of, link_pictures, path_of, row_path

HERE = Path(__file__).parent
START_UP_FILES = 40
SIZES = (1_000, 10_000, 100_000, 1_000_000)
MOST_PICTURES = 100_000  # above this, rows
MOST_EMBEDDED = 100_000  # what looks at pictures with a model takes 2 to 3 ms for each
LEAST_CPU_S = 0.5  # start-up varies by a tenth of a second
MOST_EXPONENT = 1.1
DECIDED = 100
LIMIT_S = 3600.0


@dataclass(frozen=True)
class Place:
    """Where one size is measured."""

    scratch: Path
    size: int

    @property
    def has_pictures(self) -> bool:
        """Whether the files are pictures; otherwise the cache only says so."""
        return self.size <= MOST_PICTURES

    @property
    def folder(self) -> Path:
        return self.scratch / f"{self.size}"

    @property
    def store(self) -> Path:
        return self.scratch / f"{self.size}.curate"

    @property
    def new(self) -> int:
        """How many files are 1 % of them."""
        return max(1, self.size // 100)

    def out(self, name: str) -> Path:
        """Where a step may write; emptied when a size begins anew."""
        return self.scratch / f"{self.size}.out" / name

    def curate(self, name: str, *more: str) -> list[str]:
        """A command line of curate on this folder and store."""
        program = str(Path(sys.executable).parent / "curate")
        return [program, name, str(self.folder), *more, "--store", str(self.store)]


def nothing(place: Place) -> None:
    """The preparation of a step that needs none."""


@dataclass(frozen=True)
class Step:
    """One line of the result.

    writes: whether it leaves another store; if such a step is interrupted, its size is measured anew.
    decodes: whether it opens pictures, so that rows alone do not do. most: the largest size that it is tried at.
    finds: whether it ends with 1 where it found something.
    """

    name: str
    command: Callable[[Place], list[str]]
    prepare: Callable[[Place], None] = nothing
    writes: bool = False
    decodes: bool = False
    most: int = SIZES[-1]
    finds: bool = False

    def applies(self, place: Place) -> bool:
        """Whether it is measured there."""
        return place.size <= self.most and (place.has_pictures or not self.decodes)


# ---- The steps, in the order of a user's day


def some_paths(place: Place) -> list[str]:
    """The first pictures that are neither copies nor damaged nor blank."""
    path = path_of if place.has_pictures else row_path
    usual = [number for number in range(place.size) if kind_of(number) == "original"]
    return [path(number) for number in usual[: min(DECIDED, place.size // 5)]]


def add_new(place: Place) -> None:
    """1 % more files."""
    numbers = range(place.size, place.size + place.new)
    if place.has_pictures:
        make_pictures(place.scratch, numbers.stop)
        link_pictures(place.scratch / "pool", place.folder, numbers)
    else:
        make_rows(place, place.new, "--first", place.size)


def part(place: Place, name: str) -> list[str]:
    """The command line of one part of scale_parts.py."""
    answer = place.out(f"{name}.json")
    answer.parent.mkdir(exist_ok=True)
    return [sys.executable, str(HERE / "scale_parts.py"), name, str(place.folder), str(place.store), str(answer)]


def clean(*more: str) -> Callable[[Place], list[str]]:
    return lambda place: place.curate("clean", *more)


def to(name: str, *more: str) -> Callable[[Place], list[str]]:
    """A command that writes to a place of its own."""
    return lambda place: [*place.curate("export", str(place.out(name)), *more)]


def table(file_format: str) -> Callable[[Place], list[str]]:
    return lambda place: place.curate(
        "table", "--format", file_format, "--output", str(place.out(f"table.{file_format}"))
    )


def plain(name: str, *more: str) -> Callable[[Place], list[str]]:
    return lambda place: place.curate(name, *more)


STEPS = (
    Step("clean: first run", clean(), writes=True, decodes=True),
    Step("clean: unchanged", clean()),
    Step("clean: 1 % new", clean(), add_new, writes=True),
    Step("clean: other threshold", clean("--set", "checks.low_information.min_tonal_range=0"), writes=True),
    Step("decide 100 labels", lambda at: at.curate("decide", *some_paths(at), "--label", "other"), writes=True),
    Step("apply 100 labels", plain("apply"), writes=True),
    Step("log", plain("log")),
    Step("show", plain("show")),
    Step("status", plain("status")),
    Step("why", lambda at: at.curate("why", some_paths(at)[0])),
    Step("diff: apply", lambda at: at.curate("diff", "v3", "v4")),
    Step("table csv", table("csv")),
    Step("table parquet", table("parquet")),
    Step("verify", plain("verify")),
    Step("report", lambda at: at.curate("report", "--output", str(at.out("report.html")))),
    Step("review: ten times six", lambda at: part(at, "review")),
    Step("run --dry-run", plain("run", "--dry-run")),
    Step("split", plain("split"), writes=True),
    Step(
        "rebalance",
        plain("rebalance", "--strategy", "random-over"),
        writes=True,
        decodes=True,
        most=MOST_EMBEDDED,
    ),
    Step("export csv", to("csv", "--format", "csv")),
    Step("export parquet", to("parquet", "--format", "parquet")),
    Step("export imagefolder", to("imagefolder"), lambda at: shutil.rmtree(at.out("imagefolder"), ignore_errors=True)),
    Step("pin", lambda at: at.curate("pin", "--output", str(at.out("curate.lock")))),
    Step("undo", plain("undo"), writes=True),
    Step("21 versions, 4 diffs", lambda at: part(at, "versions")),
    Step("normalize", plain("normalize", "--size", "64"), writes=True, decodes=True, most=MOST_EMBEDDED),
    Step("prelabel", plain("prelabel"), writes=True, decodes=True, most=MOST_EMBEDDED),
    Step("flag", plain("flag"), writes=True, decodes=True, most=MOST_EMBEDDED),
    Step("next", plain("next"), decodes=True, most=MOST_EMBEDDED),
    Step("shortcuts", plain("shortcuts"), decodes=True, most=MOST_EMBEDDED, finds=True),
    Step("rebalance --dry-run", plain("rebalance", "--dry-run"), decodes=True, most=MOST_EMBEDDED),
)


# ---- Measuring


@dataclass(frozen=True)
class Result:
    """One step at one size.

    stored: folder of the store -> bytes and number of files in it afterwards. inside: what a part timed itself.
    """

    size: int
    step: str
    watched: Watched
    stored: dict[str, tuple[int, int]]
    inside: dict[str, Any] = field(default_factory=dict)

    @property
    def failed(self) -> str:
        """Why it does not count, or ""."""
        if self.watched.code is None:
            return f"ended after {self.watched.wall_s:.0f} s"
        return f"exit code {self.watched.code}: {self.watched.said[-100:]}" if self.watched.code else ""


@dataclass(frozen=True)
class Record:
    """What was measured, as lines of JSON: {"begun": …} before a step that writes, the result after each."""

    file: Path

    def results(self) -> list[Result]:
        """All there are; of a size that was interrupted while it wrote, none."""
        found: dict[tuple[int, str], Result] = {}
        begun: dict[int, str] = {}
        for line in self.file.read_text().splitlines() if self.file.exists() else ():
            said = json.loads(line)
            if "begun" in said:
                begun[said["size"]] = said["begun"]
                continue
            begun.pop(said["size"], None)
            result = Result(**(said | {"watched": Watched(**said["watched"])}))
            found[result.size, result.step] = result
        return [one for one in found.values() if one.size not in begun]

    def append(self, said: dict[str, Any]) -> None:
        """Add one line."""
        with self.file.open("a") as stream:
            stream.write(json.dumps(said) + "\n")

    def forget(self, size: int) -> None:
        """Drop what is known of a size."""
        kept = [asdict(one) for one in self.results() if one.size != size]
        self.file.write_text("".join(json.dumps(one) + "\n" for one in kept))


def child(script: Path, *words: object) -> None:
    """Run a script to its end; a process of its own, as the kernel counts the parent's memory for its children's."""
    import subprocess

    subprocess.run([sys.executable, str(script), *map(str, words)], check=True, stdout=subprocess.DEVNULL)


def make_pictures(scratch: Path, files: int) -> None:
    """The first so many pictures, in the pool; those that are there stay."""
    ready = scratch / "pool" / "files.txt"
    there = int(ready.read_text()) if ready.exists() else 0
    if there < files:
        child(HERE / "scale_pictures.py", scratch / "pool", files)
        ready.write_text(str(files))


def make_rows(place: Place, rows: int, *more: object) -> None:
    """So many files that are no pictures, and their facts in the store."""
    child(HERE / "scale_store.py", place.folder, rows, "--thumbnails", "--store", place.store, *more)


def begin(place: Place) -> None:
    """The folder of a size as before the first step."""
    for old in (place.store, place.out("")):
        shutil.rmtree(old, ignore_errors=True)
    if place.has_pictures:
        shutil.rmtree(place.folder, ignore_errors=True)
        make_pictures(place.scratch, place.size + place.new)
        link_pictures(place.scratch / "pool", place.folder, range(place.size))
    else:
        for number in range(place.size, place.size + place.new):  # of an earlier time
            (place.folder / row_path(number)).unlink(missing_ok=True)
        make_rows(place, place.size)
    place.out("").mkdir(parents=True, exist_ok=True)


def measure(place: Place, steps: Sequence[Step], record: Record, limit_s: float = LIMIT_S) -> None:
    """Do the steps that have no result yet, or failed."""
    done = {one.step for one in record.results() if one.size == place.size and not one.failed}
    if not done:
        record.forget(place.size)
        begin(place)
    for step in steps:
        if step.name in done or not step.applies(place):
            continue
        if step.writes:
            record.append({"begun": step.name, "size": place.size})
        one = run_step(place, step, limit_s)
        record.append(asdict(one))
        spent = f"{one.watched.cpu_s:8.2f} CPU s{one.watched.peak_mb:8.0f} MB"
        print(f"{place.size:>9,} {step.name:26}{spent} {one.failed}", flush=True)


def run_step(place: Place, step: Step, limit_s: float) -> Result:
    """Prepare and run one step."""
    step.prepare(place)
    line = step.command(place)
    watched = run_watched(line, limit_s)
    if step.finds and watched.code == 1 and not watched.said:
        watched = replace(watched, code=0)
    answer = Path(line[-1])
    inside = json.loads(answer.read_text()) if answer.suffix == ".json" and answer.exists() else {}
    return Result(place.size, step.name, watched, stored(place.store), inside)


def stored(store: Path) -> dict[str, tuple[int, int]]:
    """Bytes and files of each folder of a store."""
    folders = [one for one in sorted(store.iterdir()) if one.is_dir()]
    return {one.name: (bytes_below(one), sum(1 for file in one.rglob("*") if file.is_file())) for one in folders}


# ---- Telling


@dataclass(frozen=True)
class Growth:
    """The results of one step. start_up_s: CPU on START_UP_FILES pictures."""

    step: str
    by_size: dict[int, Result]
    start_up_s: float

    def further_s(self, size: int) -> float:
        """CPU beyond start-up."""
        return self.by_size[size].watched.cpu_s - self.start_up_s

    @property
    def exponent(self) -> float | None:
        """CPU beyond start-up grows with this power of the size; None where fewer than two sizes tell."""
        usable = [
            size
            for size, one in self.by_size.items()
            if not one.failed and self.further_s(size) >= LEAST_CPU_S and not (self.step == "verify" and rows(size))
        ]
        if len(usable) < 2:
            return None
        x = [math.log(size) for size in usable]
        y = [math.log(self.further_s(size)) for size in usable]
        mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
        slope = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True))
        return slope / sum((a - mean_x) ** 2 for a in x)


def rows(size: int) -> bool:
    """Whether that size has no pictures, only rows."""
    return size > MOST_PICTURES


def growths(results: Sequence[Result], steps: Sequence[Step]) -> list[Growth]:
    """One per step that has results, in the order of the steps."""
    by_step: dict[str, dict[int, Result]] = {}
    for one in sorted(results, key=lambda one: one.size):
        by_step.setdefault(one.step, {})[one.size] = one
    starts = {name: sizes[START_UP_FILES] for name, sizes in by_step.items() if START_UP_FILES in sizes}
    usual = starts["show"].watched.cpu_s if "show" in starts else 0.0
    return [
        Growth(
            step.name,
            {size: one for size, one in by_step[step.name].items() if size != START_UP_FILES},
            starts[step.name].watched.cpu_s if step.name in starts and not starts[step.name].failed else usual,
        )
        for step in steps
        if by_step.get(step.name, {}).keys() - {START_UP_FILES}
    ]


METRICS: dict[str, tuple[str, Callable[[Result], float]]] = {
    "CPU s": ("8.2f", lambda one: one.watched.cpu_s),
    "wall s": ("8.2f", lambda one: one.watched.wall_s),
    "peak memory, MB": ("8.0f", lambda one: one.watched.peak_mb),
    "store afterwards, MB": ("8.2f", lambda one: sum(size for size, _ in one.stored.values()) / 1e6),
}


def tables(found: Sequence[Growth], sizes: Sequence[int]) -> list[str]:
    """One table per metric: a row per step, a column per size."""
    head = "".join(f"{f'{size:,}' + '*' * rows(size):>12}" for size in sizes)
    lines = []
    for name, (form, value) in METRICS.items():
        is_cpu = name == "CPU s"
        lines.append(f"{name:25}{head}{'start-up' if is_cpu else '':>10}{'exponent' if is_cpu else '':>10}".rstrip())
        for one in found:
            cells = "".join(f"{_cell(one.by_size.get(size), form, value):>12}" for size in sizes)
            lines.append(f"{one.step:25}{cells}{_growth(one) if is_cpu else ''}".rstrip())
        lines.append("")
    return [*lines, *(["* rows of a table; no picture was opened", ""] if any(map(rows, sizes)) else [])]


def _cell(one: Result | None, form: str, value: Callable[[Result], float]) -> str:
    if one is None:
        return "-"
    return "failed" if one.failed else f"{value(one):{form}}"


def _growth(one: Growth) -> str:
    told = f"{one.start_up_s:10.2f}"
    if one.exponent is None:
        return told + f"{'-':>10}"
    return told + f"{one.exponent:10.2f}" + (f"  over {MOST_EXPONENT}" if one.exponent > MOST_EXPONENT else "")


def failures(results: Sequence[Result]) -> list[str]:
    """What did not end well."""
    return [f"failed at {one.size:,}: {one.step}: {one.failed}" for one in results if one.failed]


def targets(results: Sequence[Result]) -> list[str]:
    """The promises that can be checked by what there is, met or missed."""
    known = {(one.size, one.step): one for one in results if not one.failed}
    lines = ["Targets"]
    first, again = known.get((100_000, "clean: first run")), known.get((100_000, "clean: unchanged"))
    if first and again:
        lines.append(target("unchanged run of 100,000 pictures, CPU s", again.watched.cpu_s, 3.0))
        share = again.watched.cpu_s / first.watched.cpu_s * 100
        lines.append(target("  in % of the first run", share, 3.0))
    parts = known.get((1_000_000, "21 versions, 4 diffs"))
    if parts:
        inside = parts.inside
        lines.append(target("bytes of 21 versions / of the first", inside["bytes"] / inside["first_bytes"], 1.3))
        lines.append(target("slowest commit of 100 labels in 1,000,000, CPU s", inside["commit_s"], 2.0))
        lines.append(target("slowest diff of neighbours, CPU s", inside["diff_s"], 1.0))
    compared = known.get((1_000_000, "diff: apply"))
    if compared:
        lines.append(target("  as a command, start-up included, CPU s", compared.watched.cpu_s, 1.0))
    large = [one for one in known.values() if one.size == 1_000_000]
    if large:
        worst = max(large, key=lambda one: one.watched.peak_mb)
        lines.append(target(f"most memory at 1,000,000 rows ({worst.step}), GB", worst.watched.peak_mb / 1000, 4.0))
    return [*lines, ""] if len(lines) > 1 else []


def target(what: str, value: float, most: float) -> str:
    """One line: what was promised, what came of it."""
    return f"{what:58}{value:8.2f}   target {most}: {'met' if value <= most else 'missed'}"


def unit_costs(found: Sequence[Growth]) -> list[str]:
    """What one picture or row more costs, which docs/scale.md multiplies; from the two largest sizes of each step."""
    lines = ["Unit costs: what one more costs, between the two largest sizes that were measured"]
    for one in found:
        ended = sorted(size for size, result in one.by_size.items() if not result.failed)
        ended = [size for size in ended if not rows(size)] if one.step == "verify" else ended
        if len(ended) < 2:
            continue
        small, large = (one.by_size[size] for size in ended[-2:])
        more = large.size - small.size
        cpu_us = (large.watched.cpu_s - small.watched.cpu_s) / more * 1e6
        memory = (large.watched.peak_mb - small.watched.peak_mb) / more * 1e6
        lines.append(
            f"  {one.step:25}{cpu_us:10.1f} us CPU{memory:10.0f} bytes of memory"
            f"   {small.size:,} to {large.size:,}{'*' * rows(large.size)}"
        )
    return [*lines, *_stored_units(found)]


def _stored_units(found: Sequence[Growth]) -> list[str]:
    """Bytes and files of the store per row, after the first run and after the last version."""
    lines = []
    for name in ("clean: first run", "clean: unchanged"):
        for growth in (one for one in found if one.step == name):
            size, one = max(growth.by_size.items())
            for folder, (size_bytes, files) in one.stored.items():
                lines.append(
                    f"  {folder + ' after ' + name:41}{size_bytes / size:8.1f} bytes a row, {files:,} files at {size:,}"
                )
    parts = [one for growth in found for one in growth.by_size.values() if "first_bytes" in one.inside]
    for one in parts[-1:]:
        each = (one.inside["bytes"] - one.inside["first_bytes"]) / 20
        lines.append(f"  {'a version with 100 other labels':41}{each:8.0f} bytes at {one.size:,}")
    return lines


def main() -> None:
    """Measure what is not known yet, and write what is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scratch", type=Path, default=Path(tempfile.gettempdir()) / "curate-scale")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--only", nargs="+", default=[""], metavar="STEP", help="beginnings of the steps' names")
    parser.add_argument("--again", action="store_true", help="forget what was measured at these sizes")
    parser.add_argument("--limit", type=float, default=LIMIT_S, metavar="SECONDS", help="end a step that takes longer")
    parser.add_argument("--result", default="scale.txt", help="name of the text in benchmarks/results")
    options = parser.parse_args()
    options.scratch.mkdir(parents=True, exist_ok=True)
    record = Record(options.scratch / "results.jsonl")
    steps = chosen(options.only)
    for size in (START_UP_FILES, *sorted(options.sizes)):
        if options.again:
            record.forget(size)
        measure(Place(options.scratch, size), steps, record, options.limit)
    write_result(options.result, told(record.results()))


def chosen(beginnings: Sequence[str]) -> list[Step]:
    """The steps of these names, and those before them that they build on."""
    last = max(place for place, step in enumerate(STEPS) if step.name.startswith(tuple(beginnings)))
    return [
        step
        for place, step in enumerate(STEPS)
        if step.name.startswith(tuple(beginnings)) or (step.writes and place < last)
    ]


def told(results: Sequence[Result]) -> list[str]:
    """The whole text."""
    found = growths(results, STEPS)
    sizes = sorted({one.size for one in results} - {START_UP_FILES})
    return [
        *header("curate: what each command costs as a folder grows", ["curate", "numpy", "pandas", "pyarrow"]),
        *failures([one for one in results if one.size != START_UP_FILES]),
        *targets(results),
        *tables(found, sizes),
        *unit_costs(found),
    ]


if __name__ == "__main__":
    main()
