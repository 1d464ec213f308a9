"""What to do about drift: collect, label, retrain; as words and the command to type."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from curate.drift_questions import Key
    from curate.drifting import Drift


@dataclass(frozen=True)
class Advice:
    """why: a sentence. purpose: a few words. verb, rest: the command, but for the folder; verb "" = there is none."""

    why: str
    purpose: str
    verb: str = ""
    rest: tuple[str, ...] = ()


def advice(found: Drift) -> list[Advice]:
    """What to do, the most urgent first; where nothing was found, what to look at instead."""
    keys = {one.key for one in found.found}
    steps = list(_steps(found, keys))
    if not keys:
        steps = [
            Advice(
                "Nothing to do. A trend over many versions shows only in all of them.",
                "all versions",
                "drift",
                ("--history",),
            )
        ]
    return steps


def _steps(found: Drift, keys: set[Key]) -> Iterator[Advice]:
    is_folder = found.b.kind == "folder" and isinstance(found.b.project.folder, Path)  # nothing is added from a bucket
    if "concept" in keys:
        yield Advice(
            "Labels mean something else, or are wrong: look at them before you learn from them.",
            "find wrong labels",
            "flag",
        )
    if is_folder and keys & {"facts", "classes", "embedding", "new", "labels"}:
        yield Advice(
            f"What was learnt from {found.a.name} has not seen such pictures. Take in those of {found.b.name}, or "
            "some, drawn at random.",
            "take them in",
            "add",
            (found.b.name,),
        )
    if "new" in keys:
        yield Advice(
            "Look at what is new: another class, another place, or not meant to be there.",
            "thin places",
            "next",
            ("--thin",),
        )
    if keys & {"facts", "classes", "embedding", "new"}:
        yield Advice("Label those that teach most.", "choose what to label", "next", ("-n", "100"))
    if "labels" in keys:
        yield Advice(
            "Train for the mix of classes that the model will meet.", "try balances", "rebalance", ("--dry-run",)
        )
    if found.a.version and found.b.version and found.a.version.number != found.b.version.number:
        names = sorted([found.a.version.number, found.b.version.number])
        yield Advice(
            "See every picture that came, went or was relabelled.",
            "what differs",
            "diff",
            (f"v{names[0]}", f"v{names[1]}"),
        )
        if keys:
            yield Advice(
                "Train again, and see whether it helped.", "did it help", "prove", (f"v{names[0]}", f"v{names[1]}")
            )
