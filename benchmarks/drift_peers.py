"""Evidently and alibi-detect on the pairs that drift.py hands over; runs in an environment of its own.

PYTHON benchmarks/drift_peers.py FOLDER        (prints JSON: who -> kind and strength -> alarms)
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

LEVEL = 0.05


def evidently(facts: pd.DataFrame, _: np.ndarray, __: np.ndarray) -> bool:
    """Its preset: a test per column by kind and size of the data; drift where half of the columns drift."""
    from evidently import Report
    from evidently.presets import DataDriftPreset

    is_b = facts.pop("side").to_numpy(bool)
    facts = facts.dropna(axis=1)
    found = Report([DataDriftPreset()]).run(facts[is_b], facts[~is_b]).dict()
    counted = next(one for one in found["metrics"] if "DriftedColumnsCount" in one["metric_name"])
    return bool(counted["value"]["share"] >= 0.5)


def alibi_ks(_: pd.DataFrame, a: np.ndarray, b: np.ndarray) -> bool:
    from alibi_detect.cd import KSDrift

    return bool(KSDrift(a, p_val=LEVEL).predict(b)["data"]["is_drift"])


def alibi_mmd(_: pd.DataFrame, a: np.ndarray, b: np.ndarray) -> bool:
    from alibi_detect.cd import MMDDrift

    return bool(MMDDrift(a, backend="pytorch", p_val=LEVEL, n_permutations=100).predict(b)["data"]["is_drift"])


def main() -> None:
    warnings.simplefilter("ignore")
    asked: dict[str, Callable[[pd.DataFrame, np.ndarray, np.ndarray], bool]] = {
        "Evidently": evidently,
        "alibi KS": alibi_ks,
        "alibi MMD": alibi_mmd,
    }
    found: dict[str, dict[str, list[bool]]] = {}
    for file in sorted(Path(sys.argv[1]).glob("*.npz")):
        with np.load(file) as arrays:
            a, b, key = arrays["a"], arrays["b"], str(arrays["key"])
        for who, ask in list(asked.items()):
            try:
                alarm = ask(pd.read_csv(file.with_suffix(".csv")), a, b)
            except ImportError as error:
                sys.stderr.write(f"{who} left out: {error}\n")
                del asked[who]
                continue
            found.setdefault(who, {}).setdefault(key, []).append(alarm)
    sys.stdout.write("\n" + json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
