"""Relate: what holds between pictures, such as which are near copies; kept from run to run.

Comparing every picture with every other is the one step whose cost grows faster than the folder. The relations
of the last run are kept in the cache, so that an unchanged folder compares nothing and new pictures are compared
with the old ones but the old ones not again with each other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from curate.cache import Cache
from curate.checks import all_checks
from curate.progress import Progress, silent
from curate.relations import Binary, Relations

if TYPE_CHECKING:
    import pandas as pd


def relate(table: pd.DataFrame, cache: Cache, progress: Progress = silent) -> dict[str, Relations]:
    """The relations of every check that has some, by check."""
    readable = table[table["sha256"].notna() & table["read_error"].isna()]
    contents = readable.drop_duplicates("sha256").set_index("sha256").sort_index()
    found = {}
    for check in all_checks().values():
        if check.relate is not None:
            before = cache.relations(check.relating)
            with progress("Comparing", len(contents)) as advance:
                relations = check.relate(contents, before, Binary(cache), advance)
            if relations is not before:
                cache.keep_relations(check.relating, relations)
            found[check.name] = Relations(relations, Binary(cache), check.relating)
    return found
