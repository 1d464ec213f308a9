"""What a check is, and where checks are found.

A check is one file in this folder. It says what it measures (`measure`, once per picture, slow, cached), what
it thinks of the measurements (`judge`, on the whole table, instant, never cached) and which thresholds that
takes (a settings class). Everything else (the settings section, the command line, the docs, the conformance
tests) follows from the `CHECK` object.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from graphlib import TopologicalSorter
from importlib import import_module
from importlib.metadata import entry_points
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from curate.errors import SettingsError
from curate.imaging import DecodedImage
from curate.progress import Advance

if TYPE_CHECKING:
    import pandas as pd  # half a second of start-up that the workers, who only measure, need not pay

    from curate.relations import Binary

_HEADING = re.compile(r"^(What it measures|Why it matters|What it flags|When it is wrong|Source):", re.MULTILINE)

Action = Literal["drop", "review", "note", "ignore"]
FactValue = float | int | bool | str | bytes | None


class CheckSettings(BaseModel):
    """Thresholds of one check. Subclasses add one documented field per threshold, with its origin."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    action: Action = Field(description="What a flag leads to: drop, review, note or ignore.")


@dataclass(frozen=True)
class Column:
    """One column of the table that a check writes: a fact of `measure` or an extra column of `judge`.

    A fact of dtype binary (as many bytes for each picture, or None) is no column of the table: see `Check.relate`.
    """

    name: str
    dtype: Literal["float32", "int64", "boolean", "string", "binary"]
    meaning: str  # one line: what it is, its unit and range, which direction is bad, what NA means
    low: float | None = None  # smallest value possible, for the conformance tests
    high: float | None = None


def always_na(image: DecodedImage) -> Mapping[str, FactValue]:  # noqa: ARG001  the signature of every measure
    """The measurement of a check that only needs the table."""
    return {}


@dataclass(frozen=True)
class Check:
    """One check.

    name: as in settings, flags and columns. version: of `measure`; a new one invalidates cached facts.
    measure: picture -> one value per column of `facts` (None = can't be measured here). Takes no settings.
    judge: table, settings -> DataFrame with the table's index: first a boolean column named like the check
        (True = flagged, never NA), then the columns of `findings`. The table has the scan's columns, every fact
        and the columns of the checks named in `after`. Rows that could not be read have NA facts.
    relate: (contents, before, binary, advance) -> what holds between pictures, one row per relation, with any columns.
        For what is too slow to judge anew each time; without settings. contents: facts of all contents (index
        sha256), but for the binary ones: `binary.read` gives those of the contents that need them. before: its own
        last answer, to build on, or None: the outcome must be the same without it. `judge` then takes a third
        argument, `curate.relations.Relations`; None = compute them, from the binary facts as columns of the table.
    relate_version: of `relate`; a new one has everything related anew.
    worst_by: the column that tells which flagged row is the worst, lowest first; "" = the fact of its threshold.
    because: why a row was flagged, as a format string over the row's columns and `settings`.
    """

    name: str
    summary: str
    version: int
    settings: type[CheckSettings]
    judge: Callable[..., pd.DataFrame]
    because: str
    facts: tuple[Column, ...] = ()
    findings: tuple[Column, ...] = ()
    measure: Callable[[DecodedImage], Mapping[str, FactValue]] = always_na
    relate: Callable[[pd.DataFrame, pd.DataFrame | None, Binary, Advance], pd.DataFrame] | None = None
    relate_version: int = 1
    after: tuple[str, ...] = field(default=())
    worst_by: str = ""

    @property
    def task(self) -> str:
        """The cache key of the measurement."""
        return f"{self.name}@{self.version}"

    @property
    def relating(self) -> str:
        """The cache key of what holds between pictures."""
        return f"{self.task}.{self.relate_version}"

    @property
    def about(self) -> dict[str, str]:
        """The page of the check, its module's docstring: the first sentence under "", then each heading's text."""
        text = sys.modules[self.judge.__module__].__doc__ or self.summary
        first, *parts = _HEADING.split(text.strip())
        told = {heading: " ".join(body.split()) for heading, body in zip(parts[::2], parts[1::2], strict=True)}
        return {"": " ".join(first.split()), **told}


def flag(name: str, flagged: pd.Series[Any]) -> pd.DataFrame:
    """The answer of a `judge` without further columns; NA counts as not flagged."""
    return flagged.astype("boolean").fillna(False).astype(bool).to_frame(name)


@cache
def all_checks() -> dict[str, Check]:
    """Every check by name: those of this folder and those that installed packages add.

    A check comes after those it names in `after`, otherwise in alphabetical order.
    """
    built_in = [import_module(f"{__name__}.{module.name}").CHECK for module in iter_modules(__path__)]
    added = [point.load() for point in entry_points(group="curate.checks")]
    checks = {check.name: check for check in sorted([*built_in, *added], key=lambda check: check.name)}
    order = TopologicalSorter({name: check.after for name, check in checks.items()}).static_order()
    return {name: checks[name] for name in order}


def find_check(name: str) -> Check:
    """The check of that name. Raises SettingsError that names the nearest there is."""
    from difflib import get_close_matches

    if name not in all_checks():
        close = get_close_matches(name, list(all_checks()), n=1)
        hint = f"Did you mean {close[0]!r}?" if close else f"There are: {', '.join(sorted(all_checks()))}."
        raise SettingsError(f"There is no check {name!r}.", hint)
    return all_checks()[name]
