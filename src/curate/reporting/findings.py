"""The sections of a page: what each check flagged, the worst first, and why."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from curate.checks import all_checks
from curate.inspection import explain
from curate.reporting.commands import Commands
from curate.reporting.contents import Card, Finding, Picture, Setting, Unreadable
from curate.reporting.plots import flagged_side
from curate.reporting.rows import action_of, as_dicts, has_name, is_flagged, numbers, picture, pictures, thresholds
from curate.versions import Version

if TYPE_CHECKING:
    import pandas as pd

MAX_LOOK_ALIKES = 4  # beside each card
MAX_UNREADABLE = 1000  # lines of text, 100 kB in all
ACTIONS = ("drop", "review", "note")  # in the order of their weight


def in_order_of_weight(flagged_by: dict[str, int], version: Version) -> list[str]:
    """Names of the checks that flagged something: what drops first, then what flagged most."""
    place = {action: number for number, action in enumerate(ACTIONS)}
    return sorted(
        flagged_by, key=lambda name: (place.get(action_of(version, name), len(place)), -flagged_by[name], name)
    )


def find(
    images: pd.DataFrame, version: Version, name: str, settings: Sequence[Setting], commands: Commands, most: int
) -> Finding:
    """What the check of that name flagged. images: indexed by path. most: how many pictures to show."""
    flagged = images[is_flagged(images, name)]
    readable = flagged["read_error"].isna()
    viewable, ordered_by = _worst_first(flagged[readable], images, version, name)
    unreadable = flagged[~readable].sort_values(["read_error", "path"])
    check = all_checks().get(name)
    return Finding(
        name=name,
        summary=check.summary if check else "this check is not installed",
        action=action_of(version, name),
        flagged=len(flagged),
        dropped=int(has_name(flagged["reasons"], name).sum()),
        about=check.about if check else {},
        settings=[one for one in settings if one.name != "action"],
        cards=[_card(row, images, version, name, commands) for row in as_dicts(viewable[:most])],
        viewable=len(viewable),
        ordered_by=ordered_by,
        unreadable=[_unreadable(row) for row in as_dicts(unreadable[:MAX_UNREADABLE])],
        reasons=dict(Counter(unreadable["read_error"]).most_common()),
        in_groups="duplicate_group" in viewable and bool(viewable["duplicate_group"].notna().all()),
    )


def _worst_first(flagged: pd.DataFrame, images: pd.DataFrame, version: Version, name: str) -> tuple[pd.DataFrame, str]:
    """Flagged rows, the farthest beyond the check's threshold first, and that fact's name; by path without one."""
    check = all_checks().get(name)
    if check and check.worst_by in images:
        return flagged.reset_index(drop=True).sort_values([check.worst_by, "path"]), check.worst_by
    for fact, _, threshold in thresholds(version, name):
        if fact in images:
            side = flagged_side(numbers(images, fact), threshold, is_flagged(images, name).to_numpy(bool))
            by_fact = flagged.reset_index(drop=True).sort_values([fact, "path"], ascending=[side == "below", True])
            return by_fact, fact
    return flagged, ""


def _unreadable(row: dict[str, Any]) -> Unreadable:
    return Unreadable(row["path"], row["read_error"], row.get("read_detail", ""))


def _card(row: dict[str, Any], images: pd.DataFrame, version: Version, name: str, commands: Commands) -> Card:
    because, command = _because(row, version, name), commands.why(row["path"])
    card = Card(picture(row, version), because, command, _original(row, images, version, name))
    if name != "label_error":
        return card
    paths = [path for path in json.loads(row.get("look_alikes", "[]")) if path in images.index][:MAX_LOOK_ALIKES]
    look_alikes = tuple(pictures(images.loc[paths], version))
    return replace(card, suggestion=row.get("suggested_label", ""), look_alikes=look_alikes)


def _because(row: dict[str, Any], version: Version, name: str) -> str:
    try:
        return explain({**row, "flags": name}, version.settings)[name][1]
    except (KeyError, AttributeError):  # today's sentence may use a column or setting that older versions lack
        return "the check of that version flagged it"


def _original(row: dict[str, Any], images: pd.DataFrame, version: Version, name: str) -> Picture | None:
    """The picture that this one copies. By convention, a finding named `…_copy_of` holds its path."""
    check = all_checks().get(name)
    for column in check.findings if check else ():
        path = row.get(column.name)
        if column.name.endswith("_copy_of") and path in images.index:
            return picture(next(as_dicts(images.loc[[path]])), version)
    return None
