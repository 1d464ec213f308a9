"""The sample's answer key: found versus planted, by the real commands.

python benchmarks/quality_sample.py
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

SAMPLES = Path(__file__).parent.parent / "sample_datasets"


def measure_quality(data: Path) -> list[str]:  # noqa: ARG001  every part has this signature
    """The score as lines of text."""
    curate = str(Path(sys.executable).parent / "curate")
    folder = SAMPLES / "road_signs"
    with tempfile.TemporaryDirectory() as scratch:
        store, table = f"{scratch}/store", f"{scratch}/table.csv"
        subprocess.run([curate, "clean", folder, "--store", store], check=True, capture_output=True)
        subprocess.run([curate, "table", folder, "--store", store, "--output", table], check=True)
        done = subprocess.run([sys.executable, SAMPLES / "score.py", table], check=True, capture_output=True, text=True)
    return done.stdout.splitlines()


def main() -> None:
    """Print the score."""
    sys.stdout.write("\n".join(measure_quality(Path())) + "\n")


if __name__ == "__main__":
    main()
