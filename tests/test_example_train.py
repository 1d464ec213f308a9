"""The training repository in examples/train works from a fresh clone, and stops when anything is not as pinned."""

from __future__ import annotations

import csv
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples" / "train"
SAMPLE = ROOT / "sample_datasets"
needs_torch = pytest.mark.skipif(not importlib.util.find_spec("torch"), reason="torch is not installed")


def clone(to: Path) -> Path:
    """The files of the repository that the example needs, as git has them: without what is made of them."""
    made = shutil.ignore_patterns("*.curate", "__pycache__")
    shutil.copytree(EXAMPLE, to / "examples" / "train", ignore=made)
    shutil.copytree(SAMPLE, to / "sample_datasets", ignore=made)
    return to / "examples" / "train"


def run(example: Path, environment: dict[str, str], script: str, *options: str) -> subprocess.CompletedProcess[str]:
    variables = {**environment, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, script, *options], cwd=example, env=variables, capture_output=True, text=True
    )


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> Path:
    """A clone in which prepare.py has run."""
    example = clone(tmp_path_factory.mktemp("clone"))
    done = run(example, environment, "prepare.py")
    assert done.returncode == 0, done.stdout + done.stderr
    return example


@pytest.fixture
def copied(prepared: Path, tmp_path: Path) -> Path:
    """The same, to break."""
    shutil.copytree(prepared.parents[1], tmp_path / "clone")
    return tmp_path / "clone" / "examples" / "train"


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_test_pictures_are_ordinary_and_never_copied() -> None:
    """Nothing that a model learns from is a copy of what it is judged by."""
    key = {row["path"]: row for row in rows(SAMPLE / "road_signs.key.csv")}
    originals = {row["original"] for row in key.values()}
    test = [row for row in rows(EXAMPLE / "pictures.csv") if row["split"] == "test"]

    assert len(test) == 136
    assert [row["path"] for row in test if key[row["path"]]["fault"] or row["path"] in originals] == []
    assert all(row["label"] == key[row["path"]]["true_label"] for row in test)


def test_training_labels_are_those_of_the_folders_right_or_wrong() -> None:
    for row in rows(EXAMPLE / "pictures.csv"):
        assert row["label"] == row["path"].split("/")[0].replace("_unlabeled", "")


def test_the_reviewer_only_says_what_the_key_says() -> None:
    truth = {row["path"]: row["true_label"] for row in rows(SAMPLE / "road_signs.key.csv")}

    relabelled = {row["path"]: row["label"] for row in rows(EXAMPLE / "review.csv") if row["answer"] == "relabel"}

    assert len(relabelled) == 11
    assert relabelled == {path: truth[path] for path in relabelled}


@pytest.mark.slow
def test_a_fresh_clone_makes_what_the_lock_pins_again_and_again(prepared: Path, environment: dict[str, str]) -> None:
    pinned = json.loads((prepared / "curate.lock").read_text())["id"][:12]

    again = run(prepared, environment, "prepare.py")

    assert re.findall(r"v\d+ (\w+) is what curate.lock pins", again.stdout) == [pinned]


@pytest.mark.slow
@needs_torch
def test_training_tells_the_accuracies_before_and_after_curation(prepared: Path, environment: dict[str, str]) -> None:
    """Those of the head are what README.md says, give or take two of 136 pictures; the network learns for longer.

    How many pictures curate drops where nobody looks depends a little on the machine, and is not asserted.
    """
    done = run(prepared, environment, "train.py", "--seeds", "2", "--epochs", "1")

    results = re.findall(r"^  (\w.*?) +(\d+) +(\d+\.\d) % +\d+\.\d %$", done.stdout, re.MULTILINE)
    head, network = results[:3], results[3:]
    assert [way for way, *_ in head] == ["as found", "curated, nobody looked", "curated and reviewed"]
    assert [one[:2] for one in head] == [one[:2] for one in network]
    assert [int(head[way][1]) for way in (0, 2)] == [298, 268]
    assert [float(head[way][2]) for way in (0, 2)] == pytest.approx([83.1, 84.6], abs=1.5)
    gains = re.findall(r"curated and reviewed +[+-][\d.]+ \([+-][\d.]+ to [+-][\d.]+\)", done.stdout)
    assert len(gains) == 2


@pytest.mark.slow
@needs_torch
def test_training_on_a_picture_that_changed_is_refused(copied: Path, environment: dict[str, str]) -> None:
    damaged = next(file for file in (copied / "reviewed.curate" / "objects").rglob("*") if file.is_file())
    damaged.write_bytes(damaged.read_bytes() + b"\0")

    done = run(copied, environment, "train.py", "--seeds", "1", "--epochs", "1")

    assert done.returncode == 1
    assert "has other bytes than" in done.stderr


@pytest.mark.slow
def test_another_source_picture_is_not_what_was_pinned(copied: Path, environment: dict[str, str]) -> None:
    changed = copied.parents[1] / "sample_datasets" / "road_signs" / "stop"
    first, second = sorted(changed.iterdir())[:2]
    os.replace(first, second)

    done = run(copied, environment, "prepare.py")

    assert done.returncode == 1
    assert "is NOT what curate.lock pins" in done.stdout


@pytest.mark.slow
def test_another_label_is_not_what_was_pinned(copied: Path, environment: dict[str, str]) -> None:
    lines = (copied / "pictures.csv").read_text().replace(",stop,test", ",parking,test", 1)
    (copied / "pictures.csv").write_text(lines)

    done = run(copied, environment, "prepare.py")

    assert done.returncode == 1
    assert "is NOT what curate.lock pins" in done.stdout


@pytest.mark.slow
@needs_torch
def test_a_lock_file_that_was_edited_stops_the_training(copied: Path, environment: dict[str, str]) -> None:
    lock = json.loads((copied / "curate.lock").read_text())
    (copied / "curate.lock").write_text(json.dumps({**lock, "splits": {"train": 299, "test": 135}}))

    done = run(copied, environment, "train.py", "--seeds", "1", "--epochs", "1")

    assert done.returncode == 1
    assert 'splits: pinned {"train": 299, "test": 135}, found {"train": 298, "test": 136}' in done.stderr
