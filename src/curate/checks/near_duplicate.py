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
Source: our own; see `curate.matching`. Kinds of edits and precision are measured by
`benchmarks/quality_duplicates.py`, beside CleanVision's perceptual hash, which finds one in three.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image
from pydantic import Field

from curate.checks import Action, Check, CheckSettings, Column, FactValue, flag
from curate.grouping import best_first, best_paths, group_copies, has_conflict, labels_of, relate_thumbnails
from curate.imaging import DecodedImage
from curate.matching import SIDE, Bytes
from curate.progress import Advance

if TYPE_CHECKING:
    import pandas as pd


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


def relate(contents: pd.DataFrame, before: pd.DataFrame | None, advance: Advance) -> pd.DataFrame:
    return relate_thumbnails(_thumbnails(contents["thumbnail"].dropna()), before, advance)


def judge(table: pd.DataFrame, settings: Settings, relations: pd.DataFrame | None = None) -> pd.DataFrame:
    best = best_paths(table)
    distinct = table[(best == table["path"]).fillna(False) & table["thumbnail"].notna()]  # one row per content
    found = _near_copies(distinct, settings.min_similarity, relations).reindex(table.index)
    kept_by_path = dict(zip(distinct["path"], found.loc[distinct.index, "kept"], strict=True))
    kept = best.map(kept_by_path).astype("string").fillna(best)
    group = kept.where(kept.groupby(kept).transform("size").reindex(table.index) > 1)
    copies = found["kept"].notna() & (found["kept"] != table["path"])
    return flag("near_duplicate", copies & ~has_conflict(group, labels_of(table))).assign(
        near_copy_of=found["kept"].where(copies),
        near_similarity=found["similarity"].where(copies),
        duplicate_group=group,
    )


def _near_copies(distinct: pd.DataFrame, min_similarity: float, relations: pd.DataFrame | None) -> pd.DataFrame:
    """For each row the path of the kept picture of its group (`kept`) and the `similarity` with it."""
    ranked = distinct[["path", "thumbnail"]].iloc[best_first(distinct)]
    groups = group_copies(_thumbnails(ranked["thumbnail"]), min_similarity, relations)
    columns: dict[str, Any] = {
        "kept": ranked["path"].to_numpy()[groups.kept],
        "similarity": groups.similarity,
    }
    return ranked[[]].assign(**columns).astype({"kept": "string", "similarity": "Float32"})


def _thumbnails(stored: pd.Series[Any]) -> Bytes:
    return np.frombuffer(b"".join(stored), np.uint8).reshape(-1, SIDE, SIDE)


CHECK = Check(
    name="near_duplicate",
    summary="the same photograph as another picture, edited",
    version=1,
    settings=Settings,
    measure=measure,
    judge=judge,
    relate=relate,
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
