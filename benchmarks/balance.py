"""Does curation help? Rebalancing, mending wrong labels, and choosing what to label next, on real data.

    python benchmarks/balance.py --data ../shared/data      (writes benchmarks/results/balance_*.txt)

Each part is a file of its own that also runs alone, and a result of its own: balance_strategies.py, balance_noise.py,
balance_next.py and balance_coverage.py. To run only one of them: python benchmarks/balance.py noise
"""

from __future__ import annotations

import argparse
import sys
from importlib import import_module
from pathlib import Path

from processes import header, write_result

PARTS = ("strategies", "noise", "next", "coverage")
PACKAGES = ["curate", "imbalanced-learn", "cleanlab", "scikit-learn", "numpy"]


def main() -> None:
    """Run all parts, or those named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="default: all")
    options = parser.parse_args()
    if not (options.data / "caltech12").is_dir():
        sys.exit(f"There is no folder {options.data / 'caltech12'}: give one with --data.")
    for part in options.parts or PARTS:
        said = import_module(f"balance_{part}").report(options.data)
        lines = said.splitlines() if isinstance(said, str) else said
        write_result(f"balance_{part}.txt", [*header(f"curate: balance, {part}", PACKAGES), *lines])


if __name__ == "__main__":
    main()
