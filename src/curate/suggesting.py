"""The settings that `curate init` suggests, as a commented TOML file.

Only what the folder gives a reason to think about. A value that is the default stands behind a #, so that a later
default holds; so does what changes pictures or their number, as that is for people to decide.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from textwrap import wrap

from curate.paths import printable
from curate.project import Project
from curate.settings import STAGES
from curate.starting import Seen

WIDTH = 80
MOST_CLASSES = 6  # are named
# Sides that models are trained with: CIFAR, small ImageNets, and those of torchvision and timm.
SIDES_PX = (32, 64, 96, 128, 160, 192, 224)
ENLARGED = 0.1  # share of the pictures that may be smaller than the suggested side, and so be enlarged
# With fewer test pictures a score of 90 % is off by 6 points and more, either way, in one of twenty cases.
FEWEST_TEST = 100
IMBALANCED = 3.0  # largest class over smallest; our choice: below, a line on it would be noise to most people


@dataclass(frozen=True)
class Section:
    """One section of the file. comment: why. settings: key, value, and whether it is in force or stands behind #."""

    name: str
    comment: str
    settings: tuple[tuple[str, object, bool], ...]


HOW_TO = "What stands behind # is not in force: take the # away. There are more settings, see docs/settings.md."
CHECKS = Section(
    "checks.near_duplicate",
    "Every check has an action: drop, review (keep, but ask somebody to look), note or ignore. `curate checks` lists "
    "them.",
    (("action", "drop", False),),
)
RUN = Section(
    "run",
    "What `curate run` goes through. Stages that the images or these settings give no reason for are skipped.",
    (("stages", list(STAGES), False),),
)


def settings_text(project: Project, seen: Seen) -> str:
    """The file, valid for `load_settings`, also with each # before a setting taken away."""
    name = printable(project.folder.name)
    head = _comment(f"Settings of curate for {name}, suggested by `curate init` from what it saw: {overview(seen)}.")
    sections = [_scan(seen), _prelabel(seen), _split(seen), _rebalance(seen), _normalize(seen), CHECKS, RUN]
    return "\n\n".join([f"{head}\n{_comment(HOW_TO)}", *(_rendered(one) for one in sections if one)]) + "\n"


def _rendered(section: Section) -> str:
    lines = [_comment(section.comment), f"[{section.name}]"]
    lines += [f"{'' if holds else '# '}{key} = {_value(value)}" for key, value, holds in section.settings]
    return "\n".join(lines)


def _comment(text: str) -> str:
    return "\n".join(f"# {line}" for line in wrap(printable(text), WIDTH - 2, break_long_words=False))


def _value(value: object) -> str:
    """As TOML: of texts, numbers and lists of texts JSON is the same."""
    return json.dumps(value, ensure_ascii=False)


def overview(seen: Seen) -> str:
    """What was seen, as one sentence without its full stop."""
    kinds = ", ".join(f"{name} {share(number, seen.looked_at)}" for name, number in seen.formats.items())
    parts = [f"{seen.images:,} images ({kinds or 'of no known format'})"]
    if seen.classes:
        parts.append(f"{len(seen.classes):,} classes ({_named(seen.classes)})")
    if seen.unlabelled:
        parts.append(f"{seen.unlabelled:,} without a label")
    if seen.splits:
        parts.append(f"splits ({_named(seen.splits)})")
    if seen.sides:
        low, high = seen.sides[0], seen.sides[-1]
        parts.append(f"shorter side {low:,} to {high:,} px" if low < high else f"shorter side {low:,} px")
    return ", ".join(parts)


def share(number: int, total: int) -> str:
    """In percent; more than none is never 0 %, and not all never 100 %."""
    if number == total:
        return "100 %"
    percent = 100 * number / total
    return "<1 %" if percent < 1 else ">99 %" if percent > 99 else f"{percent:.0f} %"


def _named(counts: dict[str, int]) -> str:
    shown = ", ".join(f"{printable(name)} {number:,}" for name, number in list(counts.items())[:MOST_CLASSES])
    return shown + (f" and {len(counts) - MOST_CLASSES:,} more" if len(counts) > MOST_CLASSES else "")


# ---- Section by section; None where the folder gives no reason for it


def _scan(seen: Seen) -> Section:
    others = 'Others: "none", "folders", or a CSV, JSONL or Parquet file with the columns path and label.'
    return Section("scan", f"{seen.labels_because} {others}", (("labels", seen.labels, seen.labels != "folders"),))


def _prelabel(seen: Seen) -> Section | None:
    if not seen.unlabelled or not seen.classes:
        return None
    return Section(
        "prelabel",
        f"{seen.unlabelled:,} images have no label, {seen.images - seen.unlabelled:,} have one to learn from. Labels "
        "that `curate run` suggests can be accepted unseen where at least this share of them should be right.",
        (("precision", 0.95, False),),
    )


def _split(seen: Seen) -> Section | None:
    if seen.splits:
        return Section(
            "split",
            "The source has splits, which are kept. With a setting in this section, images that came without one are "
            "dealt out as well.",
            (("train", 0.8, False), ("val", 0.1, False), ("test", 0.1, False)),
        )
    if not seen.classes:
        return None
    together = "Copies, bursts and frames of one film stay on one side anyway; `by` names columns that do as well."
    tenth, fifth = round(seen.images * 0.1), round(seen.images * 0.2)
    if tenth >= FEWEST_TEST:
        return Section("split", f"A tenth are {tenth:,} test images. {together}", _shares(0.8, 0.1, holds=False))
    return Section(
        "split",
        f"A tenth would be {tenth:,} test images: a score of 90 % could be off by {_off(tenth)} points. With a fifth, "
        f"{fifth:,}, by {_off(fifth)}. {together}",
        _shares(0.6, 0.2, holds=True),
    )


def _shares(train: float, rest: float, holds: bool) -> tuple[tuple[str, object, bool], ...]:
    return (("train", train, holds), ("val", rest, holds), ("test", rest, holds))


def _off(pictures: int) -> str:
    """Half the interval of 95 % around a share of 90 %, in points (normal approximation)."""
    return f"{100 * 1.96 * math.sqrt(0.9 * 0.1 / max(pictures, 1)):.0f}"


def _rebalance(seen: Seen) -> Section | None:
    if len(seen.classes) < 2:
        return None
    (large, most), *_, (small, fewest) = seen.classes.items()
    if most < IMBALANCED * fewest:
        return None
    return Section(
        "rebalance",
        f"{printable(large)} has {most:,} images, {printable(small)} {fewest:,}. Training could see rare classes more "
        "often, or weigh them more. What that does here: curate rebalance DIR --dry-run",
        (("strategy", ["inverse-frequency"], False),),
    )


def _normalize(seen: Seen) -> Section | None:
    if not seen.sides:
        return None
    if seen.equal_sizes:
        why = "All images have the same size already. Another one:"
    else:
        low, middle, high = (seen.sides[round(part * (len(seen.sides) - 1))] for part in (0.1, 0.5, 0.9))
        most = f"{low:,} to {high:,} px in eight of ten, with a median of {middle:,}" if low < high else f"{low:,} px"
        why = f"The shorter side has {most}. In one size, images load faster. The sources are not touched."
    return Section("normalize", why, (("size", str(_side(seen.sides)), False), ("fit", "crop", False)))


def _side(sides: tuple[int, ...]) -> int:
    """The largest side of SIDES_PX that few pictures must be enlarged for."""
    low = sides[int(ENLARGED * len(sides))]
    return max((side for side in SIDES_PX if side <= low), default=SIDES_PX[0])
