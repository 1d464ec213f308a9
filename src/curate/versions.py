"""Versions: frozen copies of the table, each one file of commit data and a little Parquet.

    versions/
        0001.json               what, when, who, why; the settings; the names and digests of its files
        0001.facts.parquet      facts of the contents that are new in this version, by sha256
        0001.snapshot.parquet   all rows of decisions, or
        0002.delta.parquet      the rows that differ from the version before: the provenance record
        tags/<name>.json

Nothing in here is ever rewritten. A version exists from the moment its JSON file does, which is created last
and only if no other process took the number: a kill leaves at most files that no JSON names, which the next
commit removes. A version's `id` is a digest of what a training run sees of it, so equal data sets have equal
ids on any machine; its number is only its place in this store's history.
"""

from __future__ import annotations

import getpass
import hashlib
import json
import os
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate.cache import tasks_and_columns
from curate.errors import CurateError, StoreError, VersionNotFound
from curate.files import explained, read_parquet, sync, write_json, write_parquet

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

SNAPSHOT_EVERY = 8  # 20 versions of a million rows then take 110 MB instead of 2,078 (measured)
ID_COLUMNS = ("path", "sha256", "final_label", "split", "repeat")
_TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True)
class Recipe:
    """How the pictures and splits of a version were made, beyond checks and decisions; later versions carry it on.

    transform: how `curate normalize` made the pictures, see `curate.transform`; {} = they are the source's.
    pixels: mean and std per channel of the training pictures, see `curate.normalizing`; {} without a transform.
    splits: how `curate split` dealt the pictures out; {} = as the source says, if it does.
    balance: how `curate rebalance` balanced the training pictures; {} = each counts once.
    """

    transform: dict[str, Any] = field(default_factory=dict)
    pixels: dict[str, Any] = field(default_factory=dict)
    splits: dict[str, Any] = field(default_factory=dict)
    balance: dict[str, Any] = field(default_factory=dict)


NOTHING_MADE = Recipe()


@dataclass(frozen=True)
class Version:
    """What the JSON file of a version says.

    id: digest of the data set, 64 hexadecimal digits. restores: the number `undo` went back to, or None.
    counts: see `curate.summary.count`. files: name -> sha256 of each Parquet file written with it.
    transform, pixels, splits, balance: see `Recipe`.
    """

    number: int
    id: str
    created_at: str
    author: str
    command: str
    curate: str
    settings: dict[str, Any]
    counts: dict[str, Any]
    decisions: str
    facts: str | None
    files: dict[str, str]
    restores: int | None = None
    transform: dict[str, Any] = field(default_factory=dict)
    pixels: dict[str, Any] = field(default_factory=dict)
    splits: dict[str, Any] = field(default_factory=dict)
    balance: dict[str, Any] = field(default_factory=dict)

    @property
    def recipe(self) -> Recipe:
        """How its pictures, splits and balance were made."""
        return Recipe(self.transform, self.pixels, self.splits, self.balance)

    @property
    def name(self) -> str:
        """How people call it: v1, v2, …"""
        return f"v{self.number}"


def read_versions(folder: Path) -> list[Version]:
    """All versions, oldest first. Raises StoreError when a commit file is damaged."""
    versions = []
    for path in folder.glob("[0-9]*.json"):
        try:
            versions.append(Version(**json.loads(path.read_text(encoding="utf-8"))))
        except (OSError, ValueError, TypeError) as error:
            raise _damaged(path, error) from error
    return sorted(versions, key=lambda one: one.number)


def _damaged(path: Path, error: Exception) -> StoreError:
    return StoreError(
        f"The version file {str(path)!r} is damaged or missing: {error}.",
        f"Restore it from a backup; or move {path.parent} away, and the next `curate clean` starts a new history.",
    )


def head(folder: Path) -> Version | None:
    """The newest version, or None."""
    versions = read_versions(folder)
    return versions[-1] if versions else None


def find_version(folder: Path, name: str | None) -> Version:
    """The version of that name: "v3", "3", a tag, "head" or None (the newest), or the beginning of an id.

    Raises VersionNotFound, naming what there is.
    """
    versions = read_versions(folder)
    if not versions:
        raise VersionNotFound("There is no version yet.", "Run: curate clean DIR")
    if name is None or name == "head":
        return versions[-1]
    number = read_tags(folder).get(name) or (int(name.lstrip("v")) if re.fullmatch(r"v?\d{1,9}", name) else None)
    matches = [one for one in versions if one.number == number]
    if not matches and re.fullmatch(r"[0-9a-f]{6,64}", name):
        matches = [one for one in versions if one.id.startswith(name)][-1:]
    if not matches:
        tags = ", ".join(read_tags(folder)) or "none"
        raise VersionNotFound(
            f"There is no version {name!r}.", f"There are v1 to v{versions[-1].number}; tags: {tags}."
        )
    return matches[0]


def read_decisions(folder: Path, version: Version) -> pd.DataFrame:
    """Every row of a version without its facts, sorted by path."""
    import pandas as pd

    versions = {one.number: one for one in read_versions(folder)}
    chain = []
    number = version.number
    while not (step := _version_of(versions, number, folder)).decisions.endswith("snapshot.parquet"):
        chain.append(step)
        number -= 1
    rows = _read_parquet(folder / step.decisions)
    for step in reversed(chain):
        delta = _read_parquet(folder / step.decisions)
        kept = rows[~rows["path"].isin(delta["path"])]
        rows = pd.concat([kept, delta[~delta["removed"]].drop(columns="removed")])
    return rows.sort_values("path", ignore_index=True)


def _version_of(versions: dict[int, Version], number: int, folder: Path) -> Version:
    if number not in versions:
        raise _damaged(folder / f"{number:04d}.json", FileNotFoundError("no such file"))
    return versions[number]


def read_facts(folder: Path, version: Version) -> pd.DataFrame:
    """Facts of every content up to this version, by sha256 (the index)."""
    import pandas as pd

    names = [one.facts for one in read_versions(folder) if one.facts and one.number <= version.number]
    if not names:
        return pd.DataFrame(index=pd.Index([], dtype="str", name="sha256"))
    facts = pd.concat([_read_parquet(folder / name) for name in names])
    return facts.drop_duplicates("sha256", keep="last").set_index("sha256")


def read_table(folder: Path, version: Version) -> pd.DataFrame:
    """The manifest of a version: decisions and facts, one row per file, sorted by path."""
    decisions = read_decisions(folder, version)
    return decisions.merge(read_facts(folder, version), left_on="sha256", right_index=True, how="left")


def version_id(table: pd.DataFrame, transform: dict[str, Any]) -> str:
    """Digest of the kept rows (ID_COLUMNS, sorted by path) and of how pictures are transformed.

    The same on any machine and for any order of rows. Absent columns count as empty, but for weights: what has none
    keeps the id that it had before there were any.
    """
    kept = table[table["keep"]].sort_values("path")
    digest = hashlib.sha256(json.dumps(transform, sort_keys=True).encode())
    names = [*ID_COLUMNS, *(["weight"] if "weight" in kept else [])]
    columns = [kept[name].astype("str").fillna("") if name in kept else [""] * len(kept) for name in names]
    for row in zip(*columns, strict=True):
        # No field can contain NUL, so as many terminated fields in each row can't be read in two ways.
        digest.update("\0".join([*row, ""]).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def commit(
    folder: Path,
    table: pd.DataFrame,
    command: str,
    settings: dict[str, Any],
    counts: dict[str, Any],
    restores: int | None = None,
    recipe: Recipe = NOTHING_MADE,
) -> Version | None:
    """Freeze a table as the next version; None if neither a row nor the recipe differs from the newest one.

    The caller holds the store's write lock.
    """
    folder.mkdir(parents=True, exist_ok=True)
    newest = head(folder)
    _remove_unfinished(folder)
    number = newest.number + 1 if newest else 1
    rows = table[_decision_columns(table)].sort_values("path", ignore_index=True)
    stem, decisions = _snapshot_or_delta(folder, newest, number, rows)
    if len(decisions) == 0 and newest is not None and newest.recipe == recipe:
        return None
    files = {f"{number:04d}.{stem}.parquet": decisions}
    facts = _new_facts(folder, newest, table)
    if len(facts):
        files[f"{number:04d}.facts.parquet"] = facts
    version = Version(
        number=number,
        id=version_id(table, recipe.transform),
        created_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        author=author(),
        command=command,
        curate=installed_version("curate"),
        settings=settings,
        counts=counts,
        decisions=f"{number:04d}.{stem}.parquet",
        facts=f"{number:04d}.facts.parquet" if len(facts) else None,
        files={name: _write_table(folder / name, frame) for name, frame in files.items()},
        restores=restores,
        **asdict(recipe),
    )
    _publish(folder / f"{number:04d}.json", asdict(version))
    return version


def author() -> str:
    """Who makes versions and decisions: CURATE_AUTHOR, else the account's name."""
    try:
        return os.environ.get("CURATE_AUTHOR") or getpass.getuser()
    except (OSError, KeyError):  # a container user without an account
        return f"uid {os.getuid()}" if hasattr(os, "getuid") else "unknown"


def read_tags(folder: Path) -> dict[str, int]:
    """Tag -> version number, in alphabetical order. Raises StoreError when one is damaged."""
    tags = {}
    for path in sorted((folder / "tags").glob("*.json")):
        try:
            tags[path.stem] = int(json.loads(path.read_text(encoding="utf-8"))["version"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StoreError(
                f"The tag file {str(path)!r} is damaged: {error}.", "Delete it, and tag the version again."
            ) from error
    return tags


def set_tag(folder: Path, name: str, version: Version) -> None:
    """Give a version a name. Raises CurateError when the name can't be one or is taken by another version."""
    if not _TAG.fullmatch(name) or re.fullmatch(r"v?\d+|head", name):
        raise CurateError(
            f"{name!r} can't be a tag: expected letters, digits, '.', '_' and '-', and nothing like v3 or head."
        )
    taken = read_tags(folder).get(name)
    if taken not in (None, version.number):
        raise CurateError(
            f"The tag {name!r} already names v{taken}.", f"Remove it first: curate tag DIR {name} --delete"
        )
    write_json(folder / "tags" / f"{name}.json", {"version": version.number, "id": version.id})


def delete_tag(folder: Path, name: str) -> None:
    """Remove a name; the version stays. Raises VersionNotFound."""
    if name not in read_tags(folder):
        raise VersionNotFound(f"There is no tag {name!r}.", f"There are: {', '.join(read_tags(folder)) or 'none'}.")
    (folder / "tags" / f"{name}.json").unlink()


def damaged_files(folder: Path) -> dict[str, str]:
    """Files of versions that are missing or not what was written: name -> what is wrong with it."""
    problems = {}
    for version in read_versions(folder):
        for name, digest in version.files.items():
            try:
                found = hashlib.sha256((folder / name).read_bytes()).hexdigest()
            except OSError as error:
                problems[name] = f"can't be read: {error.strerror}"
            else:
                if found != digest:
                    problems[name] = "is not what was written"
    return problems


def _decision_columns(table: pd.DataFrame) -> list[str]:
    """Everything but facts: those depend on the content alone and are stored once per content."""
    facts = {column.name for columns in tasks_and_columns().values() for column in columns} - {"read_error"}
    return [name for name in table.columns if name not in facts]


def _snapshot_or_delta(
    folder: Path, newest: Version | None, number: int, rows: pd.DataFrame
) -> tuple[str, pd.DataFrame]:
    import pandas as pd

    if newest is None:
        return "snapshot", rows
    before = read_decisions(folder, newest)
    if set(before.columns) != set(rows.columns):
        return "snapshot", rows
    changed = changed_rows(before, rows)
    gone = before[~before["path"].isin(rows["path"])]
    delta = pd.concat([changed.assign(removed=False), gone.assign(removed=True)])
    return ("snapshot", rows) if number % SNAPSHOT_EVERY == 0 and len(delta) else ("delta", delta)


def changed_rows(before: pd.DataFrame, after: pd.DataFrame) -> pd.DataFrame:
    """The rows of `after` that are new or differ in any column from the row of the same path in `before`."""
    import pandas as pd

    place = pd.Index(before["path"]).get_indexer(pd.Index(after["path"]))  # -1 where the path is new
    if not len(before):
        return after
    same = (place >= 0) & (_row_hashes(before[list(after.columns)])[place] == _row_hashes(after))
    changed: pd.DataFrame = after[~same]
    return changed


def _row_hashes(frame: pd.DataFrame) -> NDArray[np.integer[Any]]:
    """One hash per row, equal for equal values whatever the column types; 64 bits, so chance never hides a change."""
    import pandas as pd

    return pd.util.hash_pandas_object(frame.astype("str").fillna(""), index=False).to_numpy()


def _new_facts(folder: Path, newest: Version | None, table: pd.DataFrame) -> pd.DataFrame:
    """Facts of contents that no earlier version has, or has with other values. Binary facts stay in the cache."""
    columns = [column for columns in tasks_and_columns().values() for column in columns]
    names = [one.name for one in columns if one.dtype != "binary" and one.name != "read_error" and one.name in table]
    facts = table.loc[table["sha256"].notna(), ["sha256", *names]].drop_duplicates("sha256")
    if newest is None:
        return facts
    stored = read_facts(folder, newest)
    if set(stored.columns) != set(names):
        return facts
    known = changed_rows(
        stored.reset_index().rename(columns={"sha256": "path"}), facts.rename(columns={"sha256": "path"})
    )
    return known.rename(columns={"path": "sha256"})


def _read_parquet(path: Path) -> pd.DataFrame:
    import pyarrow as pa

    try:
        rows: pd.DataFrame = read_parquet(path).to_pandas()
    except (OSError, pa.ArrowException) as error:
        raise _damaged(path, error) from error
    return rows


def _write_table(path: Path, frame: pd.DataFrame) -> str:
    """Write and return the file's sha256."""
    import pyarrow as pa

    write_parquet(path, pa.Table.from_pandas(frame, preserve_index=False))
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _publish(path: Path, value: dict[str, Any]) -> None:
    """Create the version's JSON, whole, and only if nobody else took the number."""
    draft = path.with_suffix(".draft")
    write_json(draft, value)
    with explained(path):
        try:
            os.link(draft, path)  # unlike a rename, fails if the name exists
        except FileExistsError as error:
            raise StoreError(
                f"{str(path)!r} exists already: another process committed.", "Run the command again."
            ) from error
        except OSError:  # a file system without hard links; the lock still holds others off
            draft.rename(path)
        draft.unlink(missing_ok=True)
        sync(path.parent)


def _remove_unfinished(folder: Path) -> None:
    """Files that a killed commit left and no version names."""
    named: set[str] = {name for version in read_versions(folder) for name in version.files}
    for path in _data_files(folder):
        if path.name not in named:
            path.unlink()


def _data_files(folder: Path) -> Iterable[Path]:
    return [*folder.glob("*.parquet"), *folder.glob("*.draft"), *folder.glob(".*.tmp")]
