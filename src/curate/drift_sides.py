"""The two sets of pictures that `curate drift` compares: a version, a split of one, or any folder of pictures.

A folder is measured as `curate clean` would measure it, and everything learnt of it is kept in the project's cache; the
folder itself gets no store and is never changed. Its checks drop nothing: production pictures that are too dark are
what somebody wants to know of. Of each group of copies, burst or film one picture is compared, as a hundred frames of
one film are one observation.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from curate import versions
from curate.belonging import Belonging, belonging_groups
from curate.captures import captures_of
from curate.embeddings import Embeddings, embed
from curate.errors import CurateError, SourceError, VersionNotFound
from curate.executors import Executor
from curate.grouping import readable
from curate.paths import to_text
from curate.pipeline import conclude, look_at
from curate.progress import Progress
from curate.project import Project
from curate.settings import Settings
from curate.sources import root_of, source_of
from curate.stages.labels import SPLIT_NAMES, canonical_split, read_label_file
from curate.stages.scan import scan_source
from curate.storage import is_remote
from curate.versions import Version

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float32]
Kind = Literal["version", "split", "folder"]


@dataclass(frozen=True)
class Side:
    """One set of pictures.

    name: as people gave it, or the version's. project: where its files lie. version: None of a folder. rows: its
    readable pictures, sorted by path: path, sha256, final_label (NA = none), group (equal on what belongs together),
    taken_at (NaT = unknown), camera (NA = unknown) and all facts. notes: what else people should know, sentences.
    """

    name: str
    kind: Kind
    project: Project
    version: Version | None
    rows: pd.DataFrame
    notes: tuple[str, ...] = ()

    def only(self, rows: pd.DataFrame) -> Side:
        """The same with some of its rows."""
        return replace(self, rows=rows.reset_index(drop=True))

    def independent(self) -> Side:
        """One picture of each group: the first by its content, so that the order of files does not matter."""
        first = self.rows.sort_values(["sha256", "path"]).drop_duplicates("group")
        return self.only(first)


@dataclass(frozen=True)
class Means:
    """What finding and measuring a side takes."""

    project: Project
    settings: Settings
    executor: Executor
    progress: Progress
    network: bool = False


def side_named(name: str | None, means: Means, label_file: Path | None = None) -> Side:
    """The side of that name: v3, a tag, head (None), train (of the newest version), v3:train, or a folder.

    A folder may be the URL of a bucket; its pictures have no labels but for those of `label_file`. What is the name of
    a version is one, even where a folder has the same name; ./v3 is the folder. Raises VersionNotFound, SourceError.
    """
    text = name or "head"
    if os.sep not in text and text not in (".", ".."):
        found = _of_version(text, means)
        if found is not None:
            return found
    if os.path.isdir(text) or is_remote(text):
        return _of_folder(text, means, label_file)
    if os.sep in text:
        raise SourceError(f"There is no folder {text!r}.", "Check the spelling, or give an absolute path.")
    newest = versions.find_version(means.project.versions, None)
    raise VersionNotFound(
        f"{text!r} is no version, tag, split or folder.",
        f"There are v1 to {newest.name}, the splits of a version, such as train or v1:train, and any folder.",
    )


def _of_version(text: str, means: Means) -> Side | None:
    """None where it is no version's name."""
    before, colon, split = text.partition(":")
    try:
        found = versions.find_version(means.project.versions, before)
    except VersionNotFound:
        if colon or text.lower() not in SPLIT_NAMES:
            return None
        found, split = versions.find_version(means.project.versions, None), text
    return side_of_version(found, canonical_split(split), means)


def side_of_version(version: Version, split: str, means: Means) -> Side:
    """The kept pictures of a version, or of one of its splits ("" = all)."""
    table = versions.read_table(means.project.versions, version)
    kept = table[table["keep"] & readable(table)]
    name = f"{version.name}:{split}" if split else version.name
    if split:
        kept = kept[(kept["split"].fillna("") == split).to_numpy(bool)] if "split" in kept else kept[:0]
    if kept.empty:
        hint = f"Deal the pictures out: curate split {means.project.folder}" if split else ""
        raise SourceError(f"No picture of {name} is kept.", hint)
    return Side(name, "split" if split else "version", means.project, version, _completed(kept, means.project, means))


def _of_folder(text: str, means: Means, label_file: Path | None) -> Side:
    folder = source_of(text, means.network)
    if folder == means.project.folder:
        raise SourceError(
            f"{text!r} is the folder of the project itself.", "Its pictures as they are in the newest version: head"
        )
    # A cache of its own: what was seen at some path there must not be taken for the same path of the project.
    place = hashlib.sha256(os.fsencode(root_of(folder))).hexdigest()[:16]
    project = replace(means.project, folder=folder, store=means.project.cache / "outside" / place)
    settings = means.settings.model_copy(update={"scan": means.settings.scan.model_copy(update={"labels": "none"})})
    look = look_at(project, settings, scan_source(folder), means.executor, means.progress)
    table = conclude(look, settings, [], {})
    rows, notes = table[readable(table)], _unread(table, text)
    if rows.empty:
        raise SourceError(f"There is no picture that can be read in {text!r}.", "Give a folder that contains images.")
    dropped = rows[~rows["keep"] & (rows["duplicate_group"].isna() | (rows["duplicate_group"] == rows["path"]))]
    if len(dropped):
        notes.append(f"curate clean would drop {len(dropped):,} pictures of {to_text(text)} that are no copies.")
    labels, more = _labels(rows, label_file)
    rows = rows.assign(final_label=labels)
    return Side(to_text(text), "folder", project, None, _completed(rows, project, means), (*notes, *more))


def _unread(table: pd.DataFrame, name: str) -> list[str]:
    unread = table["read_error"].notna() & (table["read_error"] != "not_an_image")
    return [f"{int(unread.sum()):,} files of {to_text(name)} can't be read, and were not compared."] * bool(
        unread.any()
    )


def _labels(rows: pd.DataFrame, label_file: Path | None) -> tuple[pd.Series[str], list[str]]:
    """The label of each row by the file, and what to tell of it."""
    import pandas as pd

    if label_file is None:
        return pd.Series(pd.NA, index=rows.index, dtype="str"), []
    found = read_label_file(label_file, set(rows["path"])).set_index("path")["label"]
    strange = len(set(found.index) - set(rows["path"]))
    notes = [f"{strange:,} paths of {to_text(str(label_file))} are not in the folder."] if strange else []
    labels: pd.Series[str] = rows["path"].map(found).astype("str")
    return labels, notes


def _completed(rows: pd.DataFrame, project: Project, means: Means) -> pd.DataFrame:
    """With `group`, `taken_at` and `camera`; sorted by path."""
    rows = rows.sort_values("path", ignore_index=True)
    captures = captures_of(rows, project.folder, project.cache, means.executor, means.progress)
    groups = belonging_groups(rows, captures, Belonging()).ids
    said = captures.reindex(rows["sha256"]).set_axis(rows.index)
    return rows.assign(group=groups, taken_at=said["taken_at"], camera=said["camera"].astype("str"))


def embedded(sides: Sequence[Side], means: Means) -> tuple[list[Side], list[Floats], str]:
    """The sides with a note on what the model can't see, the vectors of their rows (zeros = none), and the model.

    Pictures that are gone since, and were never looked at, have no vector. Raises CurateError when no picture has one.
    """
    found = [_embedding(side, means) for side in sides]
    if not any(one.sha256 for one in found):
        path, why = next(iter(found[0].failures.items()))
        raise CurateError(
            f"The model {means.settings.models.backbone!r} could not look at any picture of {sides[0].name} and "
            f"{sides[1].name}; {path!r}: {why}.",
            "See what it expects: curate models describe MODEL",
        )
    numbers = max(one.vectors.shape[1] for one in found if one.sha256)
    vectors = [_aligned(side, one, numbers) for side, one in zip(sides, found, strict=True)]
    noted = [replace(side, notes=_unseen(side, one)) for side, one in zip(sides, found, strict=True)]
    return noted, vectors, found[0].identity


def _embedding(side: Side, means: Means) -> Embeddings:
    spec = means.settings.models.backbone
    return embed(side.rows, side.project.folder, spec, means.project.cache, means.executor, means.progress)


def _aligned(side: Side, found: Embeddings, numbers: int) -> Floats:
    """(N, D) in the order of the side's rows."""
    contents = side.rows["sha256"]
    has = found.has(list(contents))
    vectors = np.zeros((len(contents), numbers), np.float32)
    if has.any():
        vectors[has] = found.of(list(contents[has]))
    return vectors


def _unseen(side: Side, found: Embeddings) -> tuple[str, ...]:
    if not found.failures:
        return ()
    path, why = next(iter(found.failures.items()))
    return (f"The model could not look at {len(found.failures):,} pictures of {side.name}, such as {path!r}: {why}.",)
