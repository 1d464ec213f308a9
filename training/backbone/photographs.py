"""Fetch the photographs that the backbone of the wheel learns from, beside the corpus.

    python training/backbone/photographs.py --out PHOTOS

They lie in public git repositories: photographs.csv names each with its commit and the licence it states,
pictures.csv.xz the pictures taken of it. This is the one part of training that uses the network. What is gone by now is
named and left out; what is there already is not fetched again.

Each is written as JPEG with a shorter side of at most 288 px: the teacher sees 224.
"""

from __future__ import annotations

import argparse
import csv
import io
import lzma
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

from PIL import Image, ImageOps

HERE = Path(__file__).parent
SHORT_SIDE_PX = 288
QUALITY = 90


def pictures_by_repository() -> dict[str, dict[str, str]]:
    """Repository -> name of the file that is written -> path in the repository."""
    taken: dict[str, dict[str, str]] = defaultdict(dict)
    with lzma.open(HERE / "pictures.csv.xz", "rt", encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            taken[row["repository"]][row["name"]] = row["path"]
    return taken


def fetch(origin: str, repository: str, commit: str, pictures: dict[str, str], out: Path) -> int:
    """Write the pictures of one repository into a folder; returns how many could not be had."""
    missing = {name: path for name, path in pictures.items() if not (out / name).exists()}
    if not missing:
        return 0
    out.mkdir(parents=True, exist_ok=True)
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        git = ["git", "-C", folder]
        subprocess.run([*git, "init", "--quiet", "--bare"], check=True)
        source = [f"{origin.rstrip('/')}/{repository}", commit]
        if subprocess.run([*git, "fetch", "--quiet", "--depth=1", *source], check=False).returncode:
            return len(missing)
        for name, path in missing.items():
            found = subprocess.run([*git, "show", f"FETCH_HEAD:{path}"], capture_output=True, check=False)
            failed += found.returncode != 0 or not write_small(found.stdout, out / name)
    return failed


def write_small(data: bytes, file: Path) -> bool:
    """Write a picture as a small JPEG; False if it can't be read."""
    try:
        with Image.open(io.BytesIO(data)) as opened:
            factor = min(opened.size) / SHORT_SIDE_PX
            opened.draft("RGB", (int(opened.width / max(factor, 1)), int(opened.height / max(factor, 1))))
            image = on_white(ImageOps.exif_transpose(opened))
    except (OSError, ValueError, SyntaxError):  # what Pillow raises for damaged files
        return False
    factor = min(image.size) / SHORT_SIDE_PX
    if factor > 1:
        image = image.resize((round(image.width / factor), round(image.height / factor)), Image.Resampling.BICUBIC)
    draft = file.with_suffix(".draft")
    image.save(draft, "JPEG", quality=QUALITY)
    draft.replace(file)
    return True


def on_white(image: Image.Image) -> Image.Image:
    """RGB; what is transparent becomes white."""
    if image.mode not in ("RGBA", "LA", "P"):
        return image.convert("RGB")
    opaque = Image.new("RGBA", image.size, "white")
    opaque.alpha_composite(image.convert("RGBA"))
    return opaque.convert("RGB")


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--origin", default="https://github.com", help="where OWNER/NAME is; a folder of mirrors serves"
    )
    asked = parser.parse_args()
    taken = pictures_by_repository()
    with (HERE / "photographs.csv").open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            pictures = taken[row["repository"]]
            folder = asked.out / row["repository"].replace("/", "__")
            failed = fetch(asked.origin, row["repository"], row["commit"], pictures, folder)
            sys.stdout.write(f"{row['repository']}: {len(pictures) - failed} of {len(pictures)}\n")


if __name__ == "__main__":
    main()
