"""curate: from a folder of images to a versioned training set that people can trust.

    import curate

    result = curate.clean("./images")
    table = curate.table("./images")
    training = curate.load("./images", split="train")

Every verb of the command line is a function here, with the same parameter names (`import` is `import_` and `next` is
`next_`, as Python has these words for itself).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from curate.adding import add
    from curate.balancing import rebalance
    from curate.choosing import next_
    from curate.confounding import shortcuts
    from curate.dataset import load
    from curate.describing import card
    from curate.drifting import drift
    from curate.exporting import export
    from curate.history import diff, log, show, table, tag, undo
    from curate.importing import import_
    from curate.inspection import status, verify, why
    from curate.modelling import flag, prelabel
    from curate.normalization import normalize
    from curate.partition import split
    from curate.pins import pin
    from curate.pipeline import clean
    from curate.proof import prove
    from curate.reporting import report
    from curate.reviewing import apply, review
    from curate.runs import run
    from curate.starting import init
    from curate.watching import watch

__all__ = [
    "add",
    "apply",
    "card",
    "clean",
    "diff",
    "drift",
    "export",
    "flag",
    "import_",
    "init",
    "load",
    "log",
    "next_",
    "normalize",
    "pin",
    "prelabel",
    "prove",
    "rebalance",
    "report",
    "review",
    "run",
    "shortcuts",
    "show",
    "split",
    "status",
    "table",
    "tag",
    "undo",
    "verify",
    "watch",
    "why",
]

# Imported when first used: `import curate` and `curate --help` must not wait for pandas.
_HOMES = {
    "add": "curate.adding",
    "apply": "curate.reviewing",
    "card": "curate.describing",
    "clean": "curate.pipeline",
    "diff": "curate.history",
    "drift": "curate.drifting",
    "export": "curate.exporting",
    "flag": "curate.modelling",
    "import_": "curate.importing",
    "init": "curate.starting",
    "load": "curate.dataset",
    "log": "curate.history",
    "next_": "curate.choosing",
    "normalize": "curate.normalization",
    "pin": "curate.pins",
    "prelabel": "curate.modelling",
    "prove": "curate.proof",
    "rebalance": "curate.balancing",
    "report": "curate.reporting",
    "review": "curate.reviewing",
    "run": "curate.runs",
    "shortcuts": "curate.confounding",
    "show": "curate.history",
    "split": "curate.partition",
    "status": "curate.inspection",
    "table": "curate.history",
    "tag": "curate.history",
    "undo": "curate.history",
    "verify": "curate.inspection",
    "watch": "curate.watching",
    "why": "curate.inspection",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'curate' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return [*__all__]
