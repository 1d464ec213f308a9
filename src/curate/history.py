"""What can be done with versions: `log`, `show`, `diff`, `tag`, `undo`, `table`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from curate import versions
from curate.errors import SourceError, VersionNotFound
from curate.pipeline import in_order
from curate.project import Project
from curate.versions import Version

if TYPE_CHECKING:
    import pandas as pd


def log(folder: str | Path, *, store: str | Path | None = None) -> list[Version]:
    """All versions, newest first. Raises StoreError when there is no store."""
    return versions.read_versions(_project(folder, store).versions)[::-1]


def show(folder: str | Path, version: str | None = None, *, store: str | Path | None = None) -> Version:
    """One version: v3, a tag, head (the default) or the beginning of an id. Raises VersionNotFound."""
    return versions.find_version(_project(folder, store).versions, version)


def table(folder: str | Path, version: str | None = None, *, store: str | Path | None = None) -> pd.DataFrame:
    """The manifest of a version, one row per file, sorted by path. Raises VersionNotFound."""
    project = _project(folder, store)
    found = versions.find_version(project.versions, version)
    return in_order(versions.read_table(project.versions, found))


@dataclass(frozen=True)
class Difference:
    """What changed from version `before` to version `after`.

    rows: one per picture and change, with the columns path, change ("came", "went", "content", "dropped",
    "back in", "relabelled", "moved split", "reasons"), before, after (the values that differ) and why.
    """

    before: Version
    after: Version
    rows: pd.DataFrame


def diff(folder: str | Path, a: str, b: str | None = None, *, store: str | Path | None = None) -> Difference:
    """Which pictures came, went, were dropped, taken back, relabelled or moved between two versions, and why.

    b: None means the newest. Raises VersionNotFound.
    """
    project = _project(folder, store)
    before, after = (versions.find_version(project.versions, name) for name in (a, b))
    rows = compare(versions.read_decisions(project.versions, before), versions.read_decisions(project.versions, after))
    return Difference(before, after, rows)


def compare(before: pd.DataFrame, after: pd.DataFrame) -> pd.DataFrame:
    """The rows of a `Difference`, sorted by path."""
    import pandas as pd

    both = before.merge(after, on="path", how="outer", suffixes=("_before", "_after"), indicator=True)
    both = both.assign(keep_before=both["keep_before"] == True, keep_after=both["keep_after"] == True)  # noqa: E712  NA is no
    there = both["_merge"] == "both"
    kept = there & both["keep_before"] & both["keep_after"]
    why = both["reasons_after"].fillna("").replace("", "no rule or person objects")
    parts = [
        _changes(
            both,
            both["_merge"] == "right_only",
            "came",
            "",
            both["keep_after"].map({True: "kept", False: "dropped"}),
            both["reasons_after"],
        ),
        _changes(
            both,
            both["_merge"] == "left_only",
            "went",
            both["keep_before"].map({True: "kept", False: "dropped"}),
            "",
            "the file is gone",
        ),
        _changes(
            both,
            there & _differ(both, "sha256"),
            "content",
            both["sha256_before"].str[:12],
            both["sha256_after"].str[:12],
            "the file has other bytes",
        ),
        _changes(both, there & both["keep_before"] & ~both["keep_after"], "dropped", "kept", "dropped", why),
        _changes(
            both,
            there & ~both["keep_before"] & both["keep_after"],
            "back in",
            both["reasons_before"],
            "kept",
            why,
        ),
        _changes(
            both,
            kept & _differ(both, "final_label"),
            "relabelled",
            both["final_label_before"],
            both["final_label_after"],
            _decider(both),
        ),
        _changes(
            both,
            there & ~both["keep_before"] & ~both["keep_after"] & _differ(both, "reasons"),
            "reasons",
            both["reasons_before"],
            both["reasons_after"],
            "dropped for another reason",
        ),
    ]
    if "split_before" in both:
        parts.append(
            _changes(
                both,
                kept & _differ(both, "split"),
                "moved split",
                both["split_before"],
                both["split_after"],
                "",
            )
        )
    return pd.concat(parts).sort_values(["path", "change"], ignore_index=True)


def _differ(both: pd.DataFrame, name: str) -> pd.Series[bool]:
    return both[f"{name}_before"].fillna("") != both[f"{name}_after"].fillna("")


def _decider(both: pd.DataFrame) -> pd.Series[str]:
    return both["decided_by_after"].fillna("").replace("", "the source says so")


def _changes(
    both: pd.DataFrame,
    where: pd.Series[bool],
    change: str,
    before: pd.Series[str] | str,
    after: pd.Series[str] | str,
    why: pd.Series[str] | str,
) -> pd.DataFrame:
    rows = both[["path"]].assign(change=change, before=before, after=after, why=why)
    return rows[where].fillna("").astype("str")


def tag(folder: str | Path, name: str, version: str | None = None, *, store: str | Path | None = None) -> Version:
    """Give a version (default: the newest) a name. Raises CurateError when the name can't be used or is taken."""
    project = _project(folder, store)
    with project.writing("curate tag"):
        found = versions.find_version(project.versions, version)
        versions.set_tag(project.versions, name, found)
    return found


def tags(folder: str | Path, *, store: str | Path | None = None) -> dict[str, int]:
    """Tag -> version number."""
    return versions.read_tags(_project(folder, store).versions)


def untag(folder: str | Path, name: str, *, store: str | Path | None = None) -> None:
    """Remove a name; the version stays. Raises VersionNotFound."""
    project = _project(folder, store)
    with project.writing("curate tag"):
        versions.delete_tag(project.versions, name)


def undo(folder: str | Path, to: str | None = None, *, store: str | Path | None = None) -> Version:
    """Go back to an earlier version by making a new one with its table; nothing is erased.

    to: default the version before the newest; after an undo, the one before that. Settings and the folder are
    not touched: the next `clean` judges again by them. Raises VersionNotFound when there is nothing to go back to.
    """
    project = _project(folder, store)
    with project.writing("curate undo"):
        newest = versions.find_version(project.versions, None)
        target = versions.find_version(project.versions, to or _number_before(newest))
        rows = versions.read_table(project.versions, target)
        made = versions.commit(
            project.versions, rows, "curate undo", target.settings, target.counts, restores=target.number
        )
    if made is None:
        raise VersionNotFound(f"{target.name} and the newest version, {newest.name}, are the same.", "Nothing to undo.")
    return made


def _number_before(newest: Version) -> str:
    number = (newest.restores or newest.number) - 1
    if number < 1:
        raise VersionNotFound(f"There is no version before v{number + 1}.", "Nothing to undo.")
    return f"v{number}"


def _project(folder: str | Path, store: str | Path | None) -> Project:
    project = Project.at(folder, store)
    project.require_store()
    return project


def select_columns(rows: pd.DataFrame, names: list[str] | None) -> pd.DataFrame:
    """The columns of these names, in this order; all for None. Raises SourceError for a name that isn't there."""
    from difflib import get_close_matches

    for name in names or []:
        if name not in rows.columns:
            close = get_close_matches(name, list(rows.columns), n=1)
            hint = f"Did you mean {close[0]!r}?" if close else f"There are: {', '.join(rows.columns)}."
            raise SourceError(f"The table has no column {name!r}.", hint)
    return rows[names] if names else rows
