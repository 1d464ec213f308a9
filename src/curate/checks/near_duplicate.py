"""The same photograph more than once, in different files.

What it measures: a grey thumbnail of 32 x 32 px. Two pictures are compared by their thumbnails, turned and aligned.
Why it matters: re-saved, resized, cropped, mirrored or turned copies leak from training to test as exact copies do,
and a comparison of bytes doesn't see them.
What it flags: every copy but the best of its group: most pixels, then sharpest, then least compressed, then a labelled
one. Found are re-saves, other sizes and proportions, all mirrorings and quarter turns, crops of up to 10 % per side,
squares from the middle, thin borders, captions and logos, changes of brightness, contrast and colour, and two of these
at once. Each member was compared with the kept picture; groups are never chained. Copies that carry different labels
are not flagged but left to `label_conflict`.
When it is wrong: on studio and catalogue pictures of the same model of a thing, on portraits of one person before one
wall, frames of a film and bracketed exposures from a tripod: nearly equal, though not one photograph. It misses
rotation by two degrees and more, negatives, and crops of more than a third; blank pictures are never compared. A copy
that was enlarged or sharpened by a program passes for the better one and is kept. Hence review, not drop.
Among more than 20,000 pictures each is compared with those of a few cells, not with all: of edited copies .988 are then
found instead of .994 (`benchmarks/near_duplicates.py`).
Source: our own; see `curate.matching`. Kinds of edits and precision are measured by
`benchmarks/quality_duplicates.py`, beside CleanVision's perceptual hash, which finds one in three.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import Field

from curate.checks import Action, Check, CheckSettings, Column, FactValue, flag
from curate.content_keys import content_keys
from curate.grouping import Groups, best_first, best_paths, group_copies, groups_of, has_conflict, labels_of
from curate.imaging import DecodedImage
from curate.neighbours import covers, missing_in, relations_between, with_missing
from curate.progress import Advance
from curate.spectra import SIDE
from curate.verified import Verified

if TYPE_CHECKING:
    import pandas as pd

    from curate.relations import Binary, Relations


class Settings(CheckSettings):
    action: Action = "review"
    min_similarity: float = Field(
        0.82,
        ge=0,
        le=1,
        description="Flag copies at least this similar to the kept picture, 0..1. "
        "Origin: of 5,400 edited copies of 120 photographs (45 kinds of edits) 98 % are above it; of the pairs of two "
        "photographs among 650 none is. Below about 0.82 different models of a motorbike in one studio pass for one.",
        json_schema_extra={"fact": "near_similarity"},
    )


def measure(image: DecodedImage) -> Mapping[str, FactValue]:
    # Squashed to a square on purpose: a copy with other proportions gets the same thumbnail.
    return {"thumbnail": image.grey.resize((SIDE, SIDE), Image.Resampling.BOX).tobytes()}


def relate(contents: pd.DataFrame, before: pd.DataFrame | None, binary: Binary, advance: Advance) -> pd.DataFrame:
    keys = np.sort(content_keys(contents.index))
    if before is not None and covers(before, keys) and not len(binary.read("thumbnail", missing_in(before))[0]):
        return before
    have, values = binary.read("thumbnail", keys)
    found = relations_between(keys[have], values.reshape(-1, SIDE, SIDE), before, advance)
    return with_missing(found, np.delete(keys, have))


def judge(table: pd.DataFrame, settings: Settings, relations: Relations | None = None) -> pd.DataFrame:
    best = best_paths(table)
    first = table[(best == table["path"]).fillna(False)]  # one row per content
    ranked = first.iloc[best_first(first)]
    groups = _groups(ranked, settings.min_similarity, relations)
    path = ranked["path"].astype("string")
    kept_by_path = path.take(groups.kept).set_axis(path)
    kept = best.map(kept_by_path).astype("string").fillna(best)
    group = kept.where(kept.groupby(kept).transform("size").reindex(table.index) > 1)
    copies = _at(ranked, path.take(groups.kept).to_numpy() != path.to_numpy(), table).fillna(False).astype(bool)
    similarity = _at(ranked, groups.similarity, table).astype("Float32")
    return flag("near_duplicate", copies & ~has_conflict(group, labels_of(table))).assign(
        near_copy_of=kept.where(copies),
        near_similarity=similarity.where(copies),
        duplicate_group=group,
    )


def _at(rows: pd.DataFrame, values: NDArray[Any], table: pd.DataFrame) -> pd.Series[Any]:
    """Values of some rows of the table, NA at the others."""
    return rows[[]].assign(value=values)["value"].reindex(table.index)


def _groups(ranked: pd.DataFrame, min_similarity: float, relations: Relations | None) -> Groups:
    """Groups of the rows, best first. Without relations the table must have the column `thumbnail`."""
    if relations is not None:
        keys = content_keys(ranked["sha256"])
        return groups_of(keys, relations.table, min_similarity, Verified(relations, keys, min_similarity).similarity)
    known = np.flatnonzero(ranked["thumbnail"].notna())
    thumbnails = np.frombuffer(b"".join(ranked["thumbnail"].iloc[known]), np.uint8).reshape(-1, SIDE, SIDE)
    found = group_copies(thumbnails, min_similarity)
    groups = Groups(np.arange(len(ranked)), np.ones(len(ranked), np.float32))
    groups.kept[known], groups.similarity[known] = known[found.kept], found.similarity
    return groups


CHECK = Check(
    name="near_duplicate",
    summary="the same photograph as another picture, edited",
    version=1,
    settings=Settings,
    measure=measure,
    judge=judge,
    relate=relate,
    relate_version=2,
    because="it shows the same photograph as {near_copy_of}, the best copy by size, sharpness and compression "
    "(similarity {near_similarity:.2f}, flagged from {settings.min_similarity})",
    facts=(Column("thumbnail", "binary", f"grey picture of {SIDE} x {SIDE} px, one byte each, row by row"),),
    findings=(
        Column(
            "near_copy_of",
            "string",
            "path of the best copy; NA = this is the best, or has no copy",
        ),
        Column("near_similarity", "float32", "similarity with that copy, 1 = the same; NA = no such copy", 0, 1),
        Column(
            "duplicate_group",
            "string",
            "path of the best copy, equal on all copies of a picture; NA = no copies",
        ),
    ),
    after=("exact_duplicate",),
)
