"""Rows of a version's table, as the page needs them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from curate.checks import all_checks
from curate.reporting.contents import Picture, Verdict
from curate.versions import Version

if TYPE_CHECKING:
    import pandas as pd


def action_of(version: Version, check: str) -> str:
    """What a flag of this check led to in this version; "" if the version does not know the check."""
    return str(version.settings["checks"].get(check, {}).get("action", ""))


def thresholds(version: Version, check: str) -> Iterator[tuple[str, str, float]]:
    """(column, setting, value) of each threshold that a check put on one column in this version."""
    if check not in all_checks():
        return
    chosen = version.settings["checks"].get(check, {})
    for setting, field in all_checks()[check].settings.model_fields.items():
        extra, value = field.json_schema_extra, chosen.get(setting)
        if isinstance(extra, Mapping) and "fact" in extra and isinstance(value, int | float):
            yield str(extra["fact"]), setting, float(value)


def is_flagged(rows: pd.DataFrame, check: str) -> pd.Series[bool]:
    """Which rows the check flagged."""
    return has_name(rows["flags"], check)


def has_name(joined: pd.Series[str], name: str) -> pd.Series[bool]:
    """Where a column of ;-joined names holds this one."""
    return (";" + joined.fillna("") + ";").str.contains(f";{name};", regex=False)


def is_waiting(rows: pd.DataFrame, version: Version) -> pd.Series[bool]:
    """Which kept rows a check wants somebody to look at, and nobody has."""
    unreviewed = rows["keep"].astype(bool) & (rows["reviewed"].isna() | (rows["reviewed"] == "accept"))
    return unreviewed & rows["flags"].map(lambda flags: wants_review(flags, version)).astype(bool)


def wants_review(flags: str, version: Version) -> bool:
    """Whether one of these ;-joined checks has the action review."""
    return any(action_of(version, name) == "review" for name in flags.split(";"))


def numbers(rows: pd.DataFrame, fact: str) -> NDArray[np.float64]:
    """A numeric column; NaN where NA."""
    return np.asarray(rows[fact].astype("Float64").to_numpy(na_value=np.nan), np.float64)


def as_dicts(rows: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Each row as name -> value, without what is NA and without measured bytes."""
    for place in range(len(rows)):
        # Column by column: a row as a Series would turn whole numbers into fractions.
        values = {str(name): rows[name].iloc[place] for name in rows.columns}
        yield {name: value for name, value in values.items() if not isinstance(value, bytes) and not _is_na(value)}


def _is_na(value: object) -> bool:
    import pandas as pd

    return value is None or value is pd.NA or value != value


def picture(row: Mapping[str, Any], version: Version) -> Picture:
    """The picture of a row."""
    waiting = wants_review(row["flags"], version) and row.get("reviewed") in (None, "accept")
    label = str(row.get("final_label", row.get("label", "")))
    verdict: Verdict = "dropped" if not row["keep"] else "review" if waiting else "kept"
    return Picture(row["path"], row.get("sha256", ""), label, verdict)


def pictures(rows: pd.DataFrame, version: Version) -> list[Picture]:
    """The pictures of some rows, in their order."""
    return [picture(row, version) for row in as_dicts(rows)]
