"""What a check knows between pictures: the table that its `relate` made, and what its `judge` may ask for beyond it.

`judge` works from the table alone wherever it can. Where a threshold makes it need something that `relate` could not
foresee, it may read binary facts of a few pictures, and have what it found remembered, so that the next run reads none.
The outcome must be the same whether anything was remembered.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from curate.cache import Cache, Ints
from curate.content_keys import Keys

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Binary:
    """Binary facts by content, read when they are asked for."""

    cache: Cache

    def read(self, name: str, keys: Keys) -> tuple[Ints, NDArray[np.uint8]]:
        """Which of these contents have that fact (M,), ascending, and its bytes (M, length).

        keys: distinct, see `curate.content_keys`.
        """
        return self.cache.read_binary(name, keys)


@dataclass(frozen=True)
class Relations:
    """table: what `relate` of the check found. binary: facts to look up. task: the check's cache key."""

    table: pd.DataFrame
    binary: Binary
    task: str

    def remembered(self) -> pd.DataFrame | None:
        """Everything that `remember` was given in any run, in any order; None = nothing."""
        return self.binary.cache.remembered(self.task)

    def remember(self, rows: pd.DataFrame) -> None:
        """Keep these rows for later runs."""
        self.binary.cache.remember(self.task, rows)
