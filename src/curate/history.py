"""What can be done with versions: `log`, `show`, `diff`, `tag`, `undo`, `table`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate import versions
from curate.errors import SourceError, VersionNotFound
from curate.pipeline import commit_run, in_order
from curate.project import Project
from curate.run_record import RunRecord, read_run
from curate.versions import Version

if TYPE_CHECKING:
    import pandas as pd

    _Text = pd.Series[str] | str


def log(folder: str | Path, *, store: str | Path | None = None) -> list[Version]:
    """All versions, newest first. Raises StoreError when there is no store."""
    return versions.read_versions(_project(folder, store).versions)[::-1]


def show(folder: str | Path, version: str | None = None, *, store: str | Path | None = None) -> Version:
    """One version: v3, a tag, head (the default) or the beginning of an id. Raises VersionNotFound."""
    return versions.find_version(_project(folder, store).versions, version)


def run_record(folder: str | Path, version: str | None = None, *, store: str | Path | None = None) -> dict[str, Any]:
    """What is known of the run that made a version, see docs/progress.md; empty for versions of an older curate.

    Raises VersionNotFound.
    """
    project = _project(folder, store)
    return read_run(project.versions, versions.find_version(project.versions, version).number)


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


COMPARED = ("keep", "sha256", "final_label", "split", "reasons", "decided_by")


def diff(folder: str | Path, a: str, b: str | None = None, *, store: str | Path | None = None) -> Difference:
    """Which pictures came, went, were dropped, taken back, relabelled or moved between two versions, and why.

    b: None means the newest. Raises VersionNotFound.
    """
    project = _project(folder, store)
    before, after = (versions.find_version(project.versions, name) for name in (a, b))
    return Difference(before, after, compare(*versions.read_differing(project.versions, before, after, COMPARED)))


def compare(before: pd.DataFrame, after: pd.DataFrame) -> pd.DataFrame:
    """The rows of a `Difference`, sorted by path."""
    import pandas as pd

    both = before.merge(after, on="path", how="outer", suffixes=("_before", "_after"), indicator="side")
    for end in ("before", "after"):
        both[f"keep_{end}"] = both[f"keep_{end}"].astype("boolean").fillna(False).astype(bool)
        both[f"verdict_{end}"] = both[f"keep_{end}"].map({True: "kept", False: "dropped"})
    parts = [_changes(both, *change) for change in _kinds_of_change(both)]
    return pd.concat(parts).sort_values(["path", "change"], ignore_index=True)


def _kinds_of_change(both: pd.DataFrame) -> list[tuple[pd.Series[bool], str, _Text, _Text, _Text]]:
    """(which rows, change, before, after, why) for each way in which a picture's row can differ."""
    there = both["side"] == "both"
    was, now = both["keep_before"], both["keep_after"]
    reasons_before, reasons_after = both["reasons_before"], both["reasons_after"]
    digests = both["sha256_before"].str[:12], both["sha256_after"].str[:12]
    labels = both["final_label_before"], both["final_label_after"]
    person = both["decided_by_after"].fillna("").replace("check", "")
    kinds: list[tuple[pd.Series[bool], str, _Text, _Text, _Text]] = [
        (both["side"] == "right_only", "came", "", both["verdict_after"], reasons_after),
        (both["side"] == "left_only", "went", both["verdict_before"], "", "the file is gone"),
        (there & _differ(both, "sha256"), "content", *digests, "the file has other bytes"),
        (there & was & ~now, "dropped", "kept", "dropped", reasons_after),
        (there & ~was & now, "back in", reasons_before, "kept", person.replace("", "no rule or person objects")),
        (
            there & was & now & _differ(both, "final_label"),
            "relabelled",
            *labels,
            person.replace("", "the source says so"),
        ),
        (
            there & ~was & ~now & _differ(both, "reasons"),
            "reasons",
            reasons_before,
            reasons_after,
            "dropped for another reason",
        ),
    ]
    if "split_before" in both:
        splits = both["split_before"], both["split_after"]
        kinds.append((there & was & now & _differ(both, "split"), "moved split", *splits, ""))
    return kinds


def _differ(both: pd.DataFrame, name: str) -> pd.Series[bool]:
    return both[f"{name}_before"].fillna("") != both[f"{name}_after"].fillna("")


def _changes(
    both: pd.DataFrame, where: pd.Series[bool], change: str, before: _Text, after: _Text, why: _Text
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
    run = RunRecord("curate undo")
    with run.writing(project):
        newest = versions.find_version(project.versions, None)
        target = versions.find_version(project.versions, to or _number_before(newest))
        rows = versions.read_table(project.versions, target)
        made = commit_run(
            project, rows, run, target.settings, target.counts, restores=target.number, recipe=target.recipe
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
