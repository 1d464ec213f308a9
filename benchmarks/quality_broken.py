"""`broken/`: every file of four projects' test suites gets a verdict, and it agrees with a strict full decode.

    python benchmarks/quality_broken.py --data ../shared/data

Runs the real command on a folder of 1,477 files, many of them made to break decoders. The oracle is Pillow:
open, load the first frame, and for PNG also the checksums (`verify`). Formats we don't read are left out of the
comparison and counted.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tempfile
import warnings
from collections import Counter
from pathlib import Path

from PIL import Image

from curate.executors import quiet_c_libraries
from processes import print_part

# Each was looked at.
EXPLAINED = {
    "hopper_bad_exif.jpg": "1,214 stray bytes inside the picture data, which decodes to stripes of noise: damaged, "
    "though Pillow's decoder goes on without a word",
}
READ_FORMATS = {"JPEG", "MPO", "PNG", "WEBP", "GIF", "BMP", "TIFF", "JPEG2000", "AVIF"}


def oracle(path: Path) -> str:
    """Pillow's verdict on one file: "good", "bad" or "other format"."""
    data = path.read_bytes()
    try:
        with Image.open(io.BytesIO(data)) as image:
            if image.format not in READ_FORMATS:
                return "other format"
            image.load()
        with Image.open(io.BytesIO(data)) as image:
            image.verify()
    except Exception:  # noqa: BLE001  whatever Pillow raises is its verdict
        return "bad"
    return "good"


def run_clean(folder: Path, store: Path) -> tuple[int, str, list[dict[str, object]]]:
    """Exit code, stderr and table of the real command."""
    curate = str(Path(sys.executable).parent / "curate")
    done = subprocess.run(
        [curate, "clean", str(folder), "--store", str(store)], capture_output=True, text=True, check=False
    )
    columns = "path,read_error,read_detail,format"
    table = subprocess.run(
        [curate, "table", str(folder), "--store", str(store), "--format", "json", "--columns", columns],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    rows: list[dict[str, object]] = json.loads(table.stdout)
    return done.returncode, done.stderr, rows


def measure_quality(data: Path) -> list[str]:
    """Counts, and every disagreement with the oracle."""
    folder = data / "broken"
    files = [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")]
    with tempfile.TemporaryDirectory() as store:
        code, noise, rows = run_clean(folder, Path(store))
    verdicts: Counter[str] = Counter()
    disagreements = []
    with warnings.catch_warnings(), quiet_c_libraries():
        warnings.simplefilter("ignore")
        for row in rows:
            expected = oracle(folder / str(row["path"]))
            ours = "bad" if row["read_error"] else "good"
            verdicts[f"oracle {expected}, curate {ours}"] += 1
            if expected in ("good", "bad") and expected != ours:
                said = f"{row['read_error'] or 'good'} {row['read_detail'] or ''}"
                reason = EXPLAINED.get(Path(str(row["path"])).name, "not explained yet")
                disagreements.append(f"  {row['path']}: oracle {expected}, curate {said}\n    {reason}")
    return [
        f"broken/: {len(files)} files that are not hidden, {len(rows)} rows",
        f"exit code {code}, {len(noise)} characters on stderr",
        *(f"  {name:36}{number:6}" for name, number in sorted(verdicts.items())),
        f"Disagreements: {len(disagreements)}",
        *sorted(disagreements),
    ]


if __name__ == "__main__":
    print_part(__doc__, measure_quality)
