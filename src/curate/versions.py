"""Versions: frozen copies of the table, each one file of commit data and a little Parquet.

    versions/
        0001.json               what, when, who, why; the settings; the names and digests of its files
        0001.facts.parquet      facts of the contents that are new in this version, by sha256
        0001.snapshot.parquet   all rows of decisions, or
        0002.delta.parquet      the rows that differ from the version before: the provenance record
        runs/0003.json          the run that made it: how long it took, on which machine, see `curate.run_record`
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
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate.cache import tasks_and_columns
from curate.errors import CurateError, StoreError, VersionNotFound
from curate.files import explained, read_parquet, sync, write_json, write_parquet
from curate.rows import as_arrow, changed_rows, differing, joined, places_of, replaced, sorted_by, update_digest
from curate.run_record import write_run

if TYPE_CHECKING:
    import pandas as pd

# A snapshot is due when the deltas since the last one hold more than this share of its rows, so that a version takes
# at most 1.5 times the reading of its table, and a changed row at most three times its bytes; or when there are many.
SNAPSHOT_SHARE = 0.5
MOST_DELTAS = 64  # to read so many takes 0.15 s of CPU
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
    counts: see `curate.summary.count`. files: name -> sha256 of each file written with it.
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


def read_decisions(folder: Path, version: Version, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Every row of a version without its facts, sorted by path.

    columns: only these, and path; those that the version does not have are left out. None = all.
    """
    snapshot, deltas = _chain(folder, version)
    rows = sorted_by(_read_parquet(folder / snapshot, columns), "path")
    if not deltas:
        return rows
    newer = _newest_rows(folder, deltas, columns)
    return replaced(rows, newer.drop(columns="removed"), newer["removed"].to_numpy(bool), "path")


def read_differing(
    folder: Path, before: Version, after: Version, columns: Sequence[str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Of two versions the rows that may differ, each sorted by path; only these columns, and path.

    Where deltas lead from one to the other, only the rows that these name are read.
    """
    (snapshot, deltas), (other, more) = (_chain(folder, one) for one in (before, after))
    if snapshot != other:
        rows = read_decisions(folder, before, columns), read_decisions(folder, after, columns)
        return differing(*rows, "path")
    between = [name for name in [*deltas, *more] if (name in deltas) != (name in more)]
    if not between:
        named = _read_parquet(folder / snapshot, ["path"]).iloc[:0]["path"]
    else:
        named = _newest_rows(folder, between, [])["path"]
    return _rows_at(folder, snapshot, deltas, named, columns), _rows_at(folder, other, more, named, columns)


def _rows_at(
    folder: Path, snapshot: str, deltas: Sequence[str], paths: pd.Series[str], columns: Sequence[str]
) -> pd.DataFrame:
    """The rows of these paths in the version that this chain leads to, sorted by path."""
    rows = sorted_by(_read_parquet(folder / snapshot, columns, paths), "path")
    if not deltas:
        return rows
    newer = _newest_rows(folder, deltas, columns)
    newer = newer[newer["path"].isin(paths)]
    return replaced(rows, newer.drop(columns="removed"), newer["removed"].to_numpy(bool), "path")


def _chain(folder: Path, version: Version) -> tuple[str, list[str]]:
    """What a version is made of: the file of the last snapshot, and those of the deltas since, oldest first."""
    versions = {one.number: one for one in read_versions(folder)}
    deltas: list[str] = []
    step = _version_of(versions, version.number, folder)
    while not step.decisions.endswith("snapshot.parquet"):
        deltas.append(step.decisions)
        step = _version_of(versions, step.number - 1, folder)
    return step.decisions, deltas[::-1]


def _newest_rows(folder: Path, deltas: Sequence[str], columns: Sequence[str] | None) -> pd.DataFrame:
    """The last row of each path in some deltas, oldest first, with `removed`: whether the path was gone then."""
    import pandas as pd

    names = None if columns is None else [*columns, "removed"]
    rows = pd.concat([_read_parquet(folder / name, names) for name in deltas])
    return rows.drop_duplicates("path", keep="last", ignore_index=True)


def _version_of(versions: dict[int, Version], number: int, folder: Path) -> Version:
    if number not in versions:
        raise _damaged(folder / f"{number:04d}.json", FileNotFoundError("no such file"))
    return versions[number]


def _facts_until(folder: Path, version: Version) -> pd.DataFrame:
    """Facts of every content up to this version; the newest, where a later version has others."""
    import pandas as pd

    names = [one.facts for one in read_versions(folder) if one.facts and one.number <= version.number]
    if not names:
        return pd.DataFrame({"sha256": pd.Series(dtype="str")})
    facts = [_read_parquet(folder / name) for name in names]
    if len(facts) == 1:  # what one version adds, it adds once
        return facts[0]
    return pd.concat(facts).drop_duplicates("sha256", keep="last", ignore_index=True)


def read_table(folder: Path, version: Version) -> pd.DataFrame:
    """The manifest of a version: decisions and facts, one row per file, sorted by path."""
    return joined(read_decisions(folder, version), _facts_until(folder, version), "sha256")


def version_id(table: pd.DataFrame, transform: dict[str, Any]) -> str:
    """Digest of the kept rows (ID_COLUMNS, sorted by path) and of how pictures are transformed.

    The same on any machine and for any order of rows. Absent columns count as empty, but for weights: what has none
    keeps the id that it had before there were any.
    """
    names = [*ID_COLUMNS, *(["weight"] if "weight" in table else [])]
    kept = sorted_by(table.loc[table["keep"], [name for name in names if name in table]], "path")
    digest = hashlib.sha256(json.dumps(transform, sort_keys=True).encode())
    update_digest(digest, [kept.get(name) for name in names], len(kept))
    return digest.hexdigest()


def commit(
    folder: Path,
    table: pd.DataFrame,
    command: str,
    settings: dict[str, Any],
    counts: dict[str, Any],
    restores: int | None = None,
    recipe: Recipe = NOTHING_MADE,
    record: Callable[[], dict[str, Any]] | None = None,
) -> Version | None:
    """Freeze a table as the next version; None if neither a row nor the recipe differs from the newest one.

    record: gives the record of the run, see `curate.run_record`. The caller holds the store's write lock.
    """
    folder.mkdir(parents=True, exist_ok=True)
    newest = head(folder)
    _remove_unfinished(folder)
    number = newest.number + 1 if newest else 1
    rows = sorted_by(table[_decision_columns(table)], "path")
    stem, decisions = _snapshot_or_delta(folder, newest, rows)
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
        files={name: _write_table(folder / name, frame) for name, frame in files.items()}
        | _run(folder, number, record),
        restores=restores,
        **asdict(recipe),
    )
    _publish(folder / f"{number:04d}.json", asdict(version))
    return version


def _run(folder: Path, number: int, record: Callable[[], dict[str, Any]] | None) -> dict[str, str]:
    """Write the record of the run, which ends here; its name and digest."""
    if record is None:
        return {}
    name = write_run(folder, number, record())
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest()}


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


def _snapshot_or_delta(folder: Path, newest: Version | None, rows: pd.DataFrame) -> tuple[str, pd.DataFrame]:
    """What the next version is written as, and its rows; an empty delta where nothing has changed."""
    import pandas as pd

    if newest is None:
        return "snapshot", rows
    before = read_decisions(folder, newest)
    if set(before.columns) != set(rows.columns):
        return "snapshot", rows
    changed = changed_rows(before, rows, "path")
    gone = before[places_of(before["path"], rows["path"]) < 0]
    delta = pd.concat([changed.assign(removed=False), gone.assign(removed=True)])
    _, deltas = _chain(folder, newest)
    since = sum(_number_of_rows(folder / name) for name in deltas) + len(delta)
    due = since > SNAPSHOT_SHARE * len(rows) or len(deltas) >= MOST_DELTAS
    return ("snapshot", rows) if due and len(delta) else ("delta", delta)


def _number_of_rows(path: Path) -> int:
    import pyarrow.parquet as pq

    with path.open("rb") as stream:
        return int(pq.ParquetFile(stream).metadata.num_rows)


def _new_facts(folder: Path, newest: Version | None, table: pd.DataFrame) -> pd.DataFrame:
    """Facts of contents that no earlier version has, or has with other values. Binary facts stay in the cache."""
    columns = [column for columns in tasks_and_columns().values() for column in columns]
    names = [one.name for one in columns if one.dtype != "binary" and one.name != "read_error" and one.name in table]
    first = table["sha256"].notna() & ~table["sha256"].duplicated()
    facts = table.loc[first, ["sha256", *names]]
    if newest is None:
        return facts
    stored = _facts_until(folder, newest)
    return facts if set(stored.columns) != {"sha256", *names} else changed_rows(stored, facts, "sha256")


def _read_parquet(
    path: Path, columns: Sequence[str] | None = None, paths: pd.Series[str] | None = None
) -> pd.DataFrame:
    """The rows of a version's file. columns: only these, as far as it has them, and path. paths: only their rows."""
    import pyarrow as pa
    import pyarrow.compute as pc

    names = None if columns is None else {"path", *columns}
    wanted = None if paths is None else pc.field("path").isin(as_arrow(paths))
    try:
        rows: pd.DataFrame = read_parquet(path, names, wanted).to_pandas()
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
