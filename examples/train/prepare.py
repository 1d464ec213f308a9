"""Make the pictures that curate.lock pins from the sample set, and check that they are what was pinned.

    python prepare.py             # about 20 seconds
    python prepare.py --pin       # pin what comes out now: after a change that you meant

The sample set is curated twice, each time with a store of its own. What is pinned is the version in which the
reviewer's answers in review.csv hold. The other is what curate makes of it alone: whatever it flags is dropped, and
nobody looks. That one is not pinned: what models flag may differ a little from machine to machine.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pandas as pd

import curate
from curate.decisions import new_decision
from curate.pins import read_lock, verify_lock
from curate.project import Project
from curate.review_log import append, read_log
from curate.versions import Version

HERE = Path(__file__).resolve().parent
SAMPLE = HERE.parents[1] / "sample_datasets" / "road_signs"
PICTURES = HERE / "pictures.csv"
REVIEW = HERE / "review.csv"
CHECKED = {
    "blurry", "label_conflict", "label_error", "low_information", "near_duplicate", "outlier", "overexposed",
    "underexposed",
}  # fmt: skip
SIDE_PX = 128  # what the built-in backbone looks at


LOCK = HERE / "curate.lock"
REVIEWED, UNREVIEWED = HERE / "reviewed.curate", HERE / "unreviewed.curate"  # stores


def make(store: Path) -> Version:
    """`curate clean`, `curate flag`, the answers, and `curate normalize`; a second run makes the same of the same."""
    labels = {"scan.labels": str(PICTURES)}
    curate.clean(SAMPLE, store=store, changes=labels)
    # Before anything is dropped: what is compared with fewer pictures is flagged for other reasons.
    curate.flag(SAMPLE, store=store, changes=labels)
    if store == REVIEWED:
        give_answers(Project.at(SAMPLE, store).review_log)
    action = "review" if store == REVIEWED else "drop"
    curate.clean(SAMPLE, store=store, changes=labels | {f"checks.{name}.action": action for name in CHECKED})
    size = {"normalize.size": str(SIDE_PX), "normalize.format": "png"}
    return curate.normalize(SAMPLE, store=store, changes=size).version


def give_answers(log: Path) -> None:
    """Enter what the reviewer said, once."""
    known = {(one.path, one.sha256) for one in read_log(log)}
    rows = pd.read_csv(REVIEW, keep_default_na=False).itertuples(index=False)
    append(log, [new_decision(*row[:3], "key", row[3]) for row in rows if row[:2] not in known])


def differences(version: Version) -> list[str]:
    """What is not as it was pinned, in words; an older version of the store that is does not count."""
    pinned = read_lock(LOCK)
    if version.id != pinned.id:
        return [f"{pinned.id[:12]} was pinned: a picture, label, split or answer has changed, or what curate drops"]
    found = verify_lock(LOCK)
    return [*found.differences, *found.damaged.values()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pin", action="store_true", help="write the lock file anew")
    pinning = parser.parse_args().pin
    make(UNREVIEWED)
    version = make(REVIEWED)
    if pinning:
        # Other releases of Pillow write other bytes for the same PNG: pin what goes in, and how it is transformed.
        curate.pin(SAMPLE, output=LOCK, store=REVIEWED, sources=True)
    problems = differences(version)
    print(f"{version.name} {version.id[:12]} is {'NOT ' * bool(problems)}what {LOCK.name} pins")
    print(*(f"  {problem}\n" for problem in problems), sep="", end="")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
