"""Make the pictures that the lock files pin, and check that they are what was pinned.

    python prepare.py             # about 15 seconds
    python prepare.py --pin       # pin what comes out now: after a change that you meant

The sample set is curated twice. `curate.lock` is what training should use: the reviewer's answers in review.csv hold.
`unreviewed.lock` is what curate makes of it alone: whatever it flags is dropped, and nobody looks.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

import curate
from curate.decisions import append, new_decision, read_log
from curate.pins import verify_lock
from curate.project import Project

HERE = Path(__file__).resolve().parent
SAMPLE = HERE.parents[1] / "sample_datasets" / "road_signs"
PICTURES = HERE / "pictures.csv"
REVIEW = HERE / "review.csv"
CHECKED = {
    "blurry", "label_conflict", "label_error", "low_information", "near_duplicate", "outlier", "overexposed",
    "underexposed",
}  # fmt: skip
SIDE_PX = 128  # what the built-in backbone looks at


@dataclass(frozen=True)
class Recipe:
    """One way to curate the sample. action: of every check in CHECKED. reviewed: whether the answers hold."""

    lock: Path
    store: Path
    action: str
    reviewed: bool


REVIEWED = Recipe(HERE / "curate.lock", HERE / "reviewed.curate", "review", reviewed=True)
UNREVIEWED = Recipe(HERE / "unreviewed.lock", HERE / "unreviewed.curate", "drop", reviewed=False)


def make(recipe: Recipe) -> None:
    """`curate clean`, `curate flag` and `curate normalize`; what is in the store already is not made again."""
    settings = {"scan.labels": str(PICTURES), **{f"checks.{name}.action": recipe.action for name in CHECKED}}
    curate.clean(SAMPLE, store=recipe.store, changes=settings)
    if recipe.reviewed:
        give_answers(Project.at(SAMPLE, recipe.store).review_log)
    curate.flag(SAMPLE, store=recipe.store, changes=settings)
    changes = {"normalize.size": str(SIDE_PX), "normalize.format": "png"}
    curate.normalize(SAMPLE, store=recipe.store, changes=changes)


def give_answers(log: Path) -> None:
    """Enter what the reviewer said, once."""
    known = {(one.path, one.sha256) for one in read_log(log)}
    rows = pd.read_csv(REVIEW, keep_default_na=False).itertuples(index=False)
    append(log, [new_decision(*row[:3], "key", row[3]) for row in rows if row[:2] not in known])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pin", action="store_true", help="write the lock files anew")
    pinning = parser.parse_args().pin
    for recipe in (UNREVIEWED, REVIEWED):
        make(recipe)
        if pinning:
            # Other releases of Pillow write other bytes for the same PNG: pin what goes in, and how it is transformed.
            curate.pin(SAMPLE, output=recipe.lock, store=recipe.store, sources=True)
        found = verify_lock(recipe.lock)
        print(f"{recipe.lock.name}: {found.checked} pictures, {'as pinned' if found.intact else 'NOT as pinned'}")
        for problem in [*found.differences, *found.damaged.values()]:
            print(f"  {problem}")
        if not found.intact:
            sys.exit(1)


if __name__ == "__main__":
    main()
