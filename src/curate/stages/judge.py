"""Judge: what every check thinks of the facts, and what follows from it. Table arithmetic only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from curate.checks import Check, all_checks
from curate.relations import Relations
from curate.settings import Settings

if TYPE_CHECKING:
    import pandas as pd


def judge(table: pd.DataFrame, settings: Settings, relations: Mapping[str, Relations] | None = None) -> pd.DataFrame:
    """The table with one boolean column per check, the checks' own findings, and `flags`.

    relations: what `relate` found, by check; what is missing is computed.
    flags: names of all checks that flagged the row and are not ignored, ;-joined, in alphabetical order.
    """
    for check in all_checks().values():
        table = table.assign(**_findings_of(check, table, settings, relations or {}))
    return table.assign(
        flags=names_where(table, [name for name in all_checks() if _action(settings, name) != "ignore"])
    )


def checks_with_action(settings: Settings, action: str) -> list[str]:
    """Names of the checks whose flag leads to this action, in alphabetical order."""
    return sorted(name for name in all_checks() if _action(settings, name) == action)


def names_where(table: pd.DataFrame, columns: list[str]) -> pd.Series[str]:
    """For each row the names of those boolean columns that are true, ;-joined, sorted; "" if none."""
    import pandas as pd

    joined = pd.Series("", index=table.index, dtype="str")
    for name in sorted(columns):
        joined = joined.mask(table[name], joined + f";{name}")
    return joined.str.removeprefix(";")


def _findings_of(
    check: Check, table: pd.DataFrame, settings: Settings, relations: Mapping[str, Relations]
) -> dict[str, pd.Series]:
    related = (relations.get(check.name),) if check.relate else ()
    result = check.judge(table, settings.of(check.name), *related)
    expected = [check.name, *(column.name for column in check.findings)]
    if list(result.columns) != expected:
        raise TypeError(
            f"judge of the check {check.name!r} gave the columns {list(result.columns)}, expected {expected}"
        )
    return {name: result[name] for name in expected}


def _action(settings: Settings, name: str) -> str:
    return settings.of(name).action
