"""The pictures of a version as a model sees them: rows, vectors, labels and groups of copies, side by side.

What looks at a whole data set through its embeddings (`rebalance`, `prove`, `next`) starts here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from curate import versions
from curate.embeddings import embed
from curate.errors import CurateError, SourceError
from curate.executors import executor_for
from curate.grouping import readable
from curate.progress import Progress, silent
from curate.project import Project
from curate.settings import Settings
from curate.versions import Version

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
NO_LABEL = -1


@dataclass(frozen=True)
class Embedded:
    """The kept pictures of a version that have a vector, sorted by path.

    rows: (N rows) the version's table with `group` (int; copies of one picture share it), index 0..N-1. vectors:
    (N, D). identity: of the backbone. classes: names, sorted. labels: (N,) place among them, NO_LABEL = none.
    failures: path -> why a kept picture has no vector.
    """

    project: Project
    version: Version
    rows: pd.DataFrame
    vectors: Floats
    identity: str
    classes: list[str]
    labels: Ints
    failures: dict[str, str] = field(default_factory=dict)

    @property
    def groups(self) -> Ints:
        """(N,) equal on copies of one picture."""
        return self.rows["group"].to_numpy(np.int64)

    @property
    def has_splits(self) -> bool:
        """Whether any picture is in a split."""
        return "split" in self.rows and bool(self.rows["split"].notna().any())

    def in_split(self, name: str) -> NDArray[np.bool_]:
        """(N,) which pictures are in that split; none of them where there are no splits."""
        if "split" not in self.rows:
            return np.zeros(len(self.rows), bool)
        return (self.rows["split"].fillna("") == name).to_numpy(bool)


def open_embedded(
    project: Project,
    version: str | None,
    settings: Settings,
    progress: Progress = silent,
) -> Embedded:
    """The kept pictures of that version (None = the newest) with vectors of `settings.models.backbone`.

    Vectors are computed where the cache lacks them, so nobody else may write to the store meanwhile. Raises
    VersionNotFound; SourceError when nothing is kept; CurateError when the model sees none of the pictures.
    """
    found = versions.find_version(project.versions, version)
    table = versions.read_table(project.versions, found)
    kept = table[table["keep"] & readable(table)].sort_values("path", ignore_index=True)
    if kept.empty:
        raise SourceError(
            f"No picture of {found.name} of {str(project.folder)!r} is kept, so there is nothing to look at.",
            f"See why: curate report {project.folder}",
        )
    spec = settings.models.backbone
    embeddings = embed(kept, project.folder, spec, project.cache, executor_for(settings.executor), progress)
    if not embeddings.sha256:
        path, why = next(iter(embeddings.failures.items()))
        raise CurateError(
            f"The model {spec!r} could not look at any of the {len(embeddings.failures):,} pictures; {path!r}: {why}.",
            "See what it expects: curate models describe MODEL",
        )
    rows = kept[embeddings.has(list(kept["sha256"]))].reset_index(drop=True)
    classes = sorted(rows["final_label"].dropna().unique())
    places = rows["final_label"].map({name: place for place, name in enumerate(classes)})
    return Embedded(
        project=project,
        version=found,
        rows=rows.assign(group=_groups(rows)),
        vectors=embeddings.of(list(rows["sha256"])),
        identity=embeddings.identity,
        classes=classes,
        labels=places.fillna(NO_LABEL).to_numpy(np.int64),
        failures=embeddings.failures,
    )


def _groups(rows: pd.DataFrame) -> Ints:
    """Copies of one picture, numbered as they first occur."""
    content = rows["sha256"].astype("str")
    group = rows["duplicate_group"].astype("str").fillna(content) if "duplicate_group" in rows else content
    return group.factorize()[0]
