"""The contenders of normalize.py, each a process of its own that makes one folder of pictures uniform.

    python benchmarks/normalize_peers.py CONTENDER FOLDER TARGET

    curate 1, curate 2    `normalize_pictures` from scratch, with so many workers: also hashes every file, keeps the
                          outputs by content, counts their pixels for mean and deviation, and waits for the disk
    lanczos, bicubic      what a script does: Pillow opens, turns upright, converts to RGB, `ImageOps.fit`s, saves JPEG
    img2dataset           `img2dataset.resizer.Resizer` (OpenCV) as its command line calls it, with a centre crop;
                          run by an interpreter that has it

All write JPEGs of 224 x 224 px at quality 95: the first two with full chroma, OpenCV with its own default, a quarter.
"""

from __future__ import annotations

import sys
import warnings
from io import BytesIO
from pathlib import Path

SIDE_PX = 224
QUALITY = 95


def with_curate(folder: Path, target: Path, workers: int) -> None:
    """Into a store at `target`, and a file of output names beside it."""
    import hashlib

    import pandas as pd

    from curate.executors import executor_for
    from curate.normalizing import normalize_pictures
    from curate.project import Project
    from curate.settings import ExecutorSettings
    from curate.transform import Transform

    files = sorted(folder.iterdir())
    rows = pd.DataFrame(
        {
            "path": [file.name for file in files],
            "sha256": [hashlib.sha256(file.read_bytes()).hexdigest() for file in files],
            "size_bytes": [file.stat().st_size for file in files],
        }
    )
    project = Project.at(folder, target)
    transform = Transform(size=str(SIDE_PX), quality=QUALITY, chroma="444")
    outputs = normalize_pictures(rows, project, transform, executor_for(ExecutorSettings(workers=workers)))
    joined = rows.join(outputs.table["output_sha256"], on="sha256")
    (target / "names.csv").write_text(joined[["path", "output_sha256"]].to_csv(index=False))


def with_pillow(folder: Path, target: Path, filter_name: str) -> None:
    """One file after the other, as most scripts do."""
    from PIL import Image, ImageOps

    target.mkdir(parents=True)
    for file in sorted(folder.iterdir()):
        image = ImageOps.exif_transpose(Image.open(file)).convert("RGB")
        fitted = ImageOps.fit(image, (SIDE_PX, SIDE_PX), Image.Resampling[filter_name.upper()])
        fitted.save(target / f"{file.name}.jpg", quality=QUALITY, subsampling=0)


def with_img2dataset(folder: Path, target: Path) -> None:
    """One file after the other; as in its downloader, without a download."""
    warnings.simplefilter("ignore")
    from img2dataset.resizer import Resizer

    target.mkdir(parents=True)
    resizer = Resizer(SIDE_PX, "center_crop", False, encode_quality=QUALITY)
    for file in sorted(folder.iterdir()):
        data, *_, error = resizer(BytesIO(file.read_bytes()))
        if error:
            raise ValueError(f"{file}: {error}")
        (target / f"{file.name}.jpg").write_bytes(data)


def main() -> None:
    """Run one contender."""
    contender, folder, target = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    if contender.startswith("curate"):
        with_curate(folder, target, int(contender.split()[1]))
    elif contender == "img2dataset":
        with_img2dataset(folder, target)
    else:
        with_pillow(folder, target, contender)


if __name__ == "__main__":
    main()
