"""The benchmark of growth does what it says on its smallest folder, and counts as a person would.

`benchmarks/scale.py` measures up to a million rows; its end of 1,000 pictures runs here, through its own functions.
"""

from __future__ import annotations

import math
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from curate.history import diff, show, table
from curate.inspection import verify
from curate.pipeline import clean

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
# What looks at pictures with a model, and 20 versions: five seconds each, and tested elsewhere.
LEFT_OUT = ("normalize", "prelabel", "flag", "next", "shortcuts", "rebalance", "21 versions")


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Imports a benchmark the way it runs: from its own folder."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    return import_module


def test_of_a_thousand_made_pictures_the_planted_ones_are_counted(module: Any) -> None:
    """1 % exact copies, 1 % near copies, 0.5 % damaged, 5 % blank; two kinds are dropped."""
    planted = module("scale_planted").Planted(1000)

    counts = {kind: planted.count(kind) for kind in ("exact copy", "near copy", "damaged", "blank", "original")}

    assert counts == {"exact copy": 10, "near copy": 10, "damaged": 5, "blank": 50, "original": 925}
    assert planted.kept == 985


def test_a_made_picture_has_the_same_bytes_every_time_and_no_other_has_them(module: Any) -> None:
    pictures = module("scale_pictures")

    contents = [pictures.content_of(number) for number in range(100)]

    assert contents == [pictures.content_of(number) for number in range(100)]
    assert len(set(contents)) == 99  # the hundredth is the exact copy of the ninetieth


@pytest.mark.slow
def test_a_thousand_pictures_are_measured_by_every_command_and_found_to_be_what_was_planted(
    module: Any, tmp_path: Path
) -> None:
    scale = module("scale")
    place = scale.Place(tmp_path, 1000)
    steps = [step for step in scale.STEPS if not step.name.startswith(LEFT_OUT)]
    record = scale.Record(tmp_path / "results.jsonl")

    scale.measure(place, steps, record)

    results = {one.step: one for one in record.results()}
    assert list(results) == [step.name for step in steps]
    assert [one.failed for one in results.values() if one.failed] == []
    assert all(one.watched.cpu_s > 0 and one.watched.peak_mb > 20 for one in results.values())
    assert min(results["review: ten times six"].inside.values()) > 0
    first = show(place.folder, "v1", store=place.store).counts
    assert (first["images"], first["kept"]) == (1000, 985)
    assert first["dropped_by"] == {"exact_duplicate": 10, "unreadable": 5}
    assert first["flagged_by"]["near_duplicate"] == 10
    assert first["flagged_by"]["low_information"] == 50
    assert show(place.folder, "v2", store=place.store).counts["images"] == 1010  # 1 % came
    relabelled = diff(place.folder, "v3", "v4", store=place.store).rows
    assert list(relabelled["change"].unique()) == ["relabelled"]
    assert len(relabelled) == 100
    text = scale.told(list(results.values()))
    for step in steps:
        assert any(line.startswith(f"{step.name:25}") for line in text), step.name


def test_what_was_measured_is_not_measured_again(module: Any, tmp_path: Path) -> None:
    """An interrupted benchmark goes on where it was."""
    scale = module("scale")
    place, record = scale.Place(tmp_path, 40), scale.Record(tmp_path / "results.jsonl")
    steps = scale.chosen(["clean: first"])
    scale.measure(place, steps, record)
    before = record.file.read_text()

    scale.measure(place, steps, record)

    assert record.file.read_text() == before


def test_a_size_that_was_interrupted_while_it_wrote_begins_anew(module: Any, tmp_path: Path) -> None:
    """The store is then neither as before the step nor as after it."""
    scale = module("scale")
    record = scale.Record(tmp_path / "results.jsonl")
    for size in (1000, 10_000):
        record.append(result(size, "clean: first run", 1.0))
    record.append({"begun": "clean: 1 % new", "size": 1000})

    known = record.results()

    assert [(one.size, one.step) for one in known] == [(10_000, "clean: first run")]


def result(size: int, step: str, cpu_s: float, peak_mb: float = 100.0) -> dict[str, Any]:
    """A line of the record."""
    watched = {"cpu_s": cpu_s, "wall_s": cpu_s, "peak_mb": peak_mb, "code": 0, "said": ""}
    return {"size": size, "step": step, "watched": watched, "stored": {}, "inside": {}}


@pytest.mark.parametrize(("power", "flagged"), [(1.0, False), (2.0, True)])
def test_the_exponent_is_that_of_the_cost_without_start_up(
    module: Any, tmp_path: Path, power: float, flagged: bool
) -> None:
    """CPU = 0.5 s + 0.001 s * pictures ** power."""
    scale = module("scale")
    record = scale.Record(tmp_path / "results.jsonl")
    record.append(result(40, "clean: first run", 0.5))
    for size in (1000, 10_000, 100_000):
        record.append(result(size, "clean: first run", 0.5 + 0.001 * size**power))

    (growth,) = scale.growths(record.results(), scale.STEPS)

    assert math.isclose(growth.exponent, power, rel_tol=1e-9)
    assert any("over 1.1" in line for line in scale.told(record.results())) == flagged


def test_a_missed_target_is_said(module: Any, tmp_path: Path) -> None:
    """3.5 of 200 seconds: under 3 % of the first run, but more than three seconds."""
    scale = module("scale")
    record = scale.Record(tmp_path / "results.jsonl")
    record.append(result(100_000, "clean: first run", 200.0))
    record.append(result(100_000, "clean: unchanged", 3.5))

    lines = scale.targets(record.results())

    assert lines[1].endswith("3.50   target 3.0: missed")
    assert lines[2].endswith("1.75   target 3.0: met")


def test_a_failed_step_is_told_and_counts_for_nothing(module: Any, tmp_path: Path) -> None:
    scale = module("scale")
    record = scale.Record(tmp_path / "results.jsonl")
    failed = result(1000, "log", 0.3)
    failed["watched"] |= {"code": 2, "said": "Error: no store"}
    record.append(failed)

    text = scale.told(record.results())

    assert "failed at 1,000: log: exit code 2: Error: no store" in text
    assert f"{'log':25}{'failed':>12}" in "\n".join(text)


def test_a_store_of_made_rows_is_one_that_clean_finds_unchanged(module: Any, tmp_path: Path) -> None:
    """So that a million rows can be measured without a million pictures."""
    store = module("scale_store")

    made = store.make_store(tmp_path / "rows", 1000)

    again = clean(tmp_path / "rows")
    assert (made.version.number, again.is_new, again.effort.opened, again.effort.hashed) == (1, False, 0, 0)
    assert (again.counts["images"], again.counts["dropped_by"]["exact_duplicate"]) == (1000, 10)
    assert again.counts["read_errors"] == {"corrupt": 5}
    assert again.counts["flagged_by"]["low_information"] == 50
    assert len(table(tmp_path / "rows")) == 1000
    assert verify(tmp_path / "rows").checked == 985


def test_rows_with_thumbnails_are_no_copies_of_each_other(module: Any, tmp_path: Path) -> None:
    store = module("scale_store")

    made = store.make_store(tmp_path / "rows", 1000, thumbnails=True)

    assert made.counts["flagged_by"].get("near_duplicate", 0) == 0


def test_a_peer_is_told_which_copies_it_found_and_which_pictures_it_took_for_copies(module: Any) -> None:
    """One of two copies found; b is grouped with a stranger; blank pictures are told apart."""
    peers = module("peers")
    truth = peers.Truth(
        photograph={"a": "1", "a2": "1", "b": "2", "b2": "2", "c": "3", "blank": "4", "other blank": "5", "cut": "6"},
        copies={"a2", "b2"},
        blank={"blank", "other blank"},
        damaged={"cut"},
    )
    answer = peers.Answer([["a", "a2"], ["b", "c"], ["blank", "other blank"]], {"cut"})

    told = peers.copies_found(truth)(answer)

    assert told.split("  ")[-1].strip() == "1 of 1"
    assert [cell.strip() for cell in (told[:16], told[16:30], told[30:44])] == ["1 of 2", "2", "2 of 2"]
