"""How true the verdicts are, beside the strongest peer, on real data and on the sample's answer key.

    python benchmarks/quality.py --data ../shared/data      (writes benchmarks/results/quality.txt)

Each part is a file of its own that also runs alone: quality_exposure.py, quality_damage.py and so on.
"""

from __future__ import annotations

import argparse
import sys
from importlib import import_module
from pathlib import Path

from processes import header, write_result

PARTS = ("exposure", "blur", "duplicates", "damage", "broken", "sample")


def main() -> None:
    """Run all parts, or those named, and write the result when all ran."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="default: all")
    options = parser.parse_args()
    if not (options.data / "photos").is_dir():
        sys.exit(f"There is no folder {options.data / 'photos'}: give one with --data.")
    lines = header("curate: truth", ["curate", "cleanvision", "pillow", "simplejpeg", "numpy"])
    for part in options.parts or PARTS:
        lines += [*import_module(f"quality_{part}").measure_quality(options.data), ""]
    if options.parts:
        sys.stdout.write("\n".join(lines) + "\n")
    else:
        write_result("quality.txt", lines)


if __name__ == "__main__":
    main()
