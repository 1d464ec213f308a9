"""Normalized pictures in the table: the columns `output_*`, and the statistics of the pixels that training sees."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from curate.project import Project
from curate.stages.labels import TRAIN
from curate.transform import Transform

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("output_sha256", "output_width", "output_height", "output_size_bytes", "output_format")


def with_outputs(table: pd.DataFrame, project: Project, transform: Transform | None) -> pd.DataFrame:
    """The table with the columns `output_*` of every kept picture that this transform was applied to, NA elsewhere.

    transform: None takes the columns away.
    """
    table = table.drop(columns=[name for name in COLUMNS if name in table])
    if transform is None:
        return table
    from curate.normalizing import outputs_of  # 20 ms that folders which are not normalized need not pay

    known = outputs_of(project, transform, table.loc[table["keep"], "sha256"].dropna().unique().tolist())
    found = known[list(COLUMNS)].reindex(table["sha256"].where(table["keep"])).set_axis(table.index)
    return table.assign(**{name: found[name] for name in COLUMNS})


def pixels_of(table: pd.DataFrame, project: Project, transform: Transform | None) -> dict[str, Any]:
    """Mean and deviation per channel over the training split, or over all pictures where there are no splits.

    Keys: mean, std (red, green, blue; 0 to 1), pictures, split ("train" or None); {} where nothing is normalized.
    """
    if transform is None:
        return {}
    rows = table[table["keep"] & table["output_sha256"].notna()]
    split = TRAIN if "split" in rows and rows["split"].notna().any() else None
    seen = rows[rows["split"] == TRAIN] if split else rows
    from curate.normalizing import mean_std

    said = mean_std(seen, project, transform)
    if not said.pictures:
        return {}
    return {"mean": list(said.mean), "std": list(said.std), "pictures": said.pictures, "split": split}


def recorded_transform(recorded: Mapping[str, Any]) -> Transform | None:
    """The transform that a version records; None where it has none."""
    return Transform(**recorded) if recorded else None
