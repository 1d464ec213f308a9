"""What pycocotools reads: python read_coco.py FOLDER. Each annotations/*.json is a split."""

import contextlib
import hashlib
import json
import sys
from pathlib import Path

from pycocotools.coco import COCO


def rows(file, images):
    with contextlib.redirect_stdout(sys.stderr):  # it prints how long it took
        coco = COCO(str(file))
    subset = file.stem.removeprefix("labels_")
    assert sorted(coco.getImgIds()) == sorted(coco.imgs)
    for image in coco.loadImgs(coco.getImgIds()):
        notes = coco.loadAnns(coco.getAnnIds(imgIds=image["id"], areaRng=[0, 1e10], iscrowd=False))
        assert all(coco.annToMask(one).shape == (image["height"], image["width"]) for one in notes)
        (label,) = [coco.cats[one["category_id"]]["name"] for one in notes] or [None]
        data = (images / subset / image["file_name"]).read_bytes()
        split = None if subset == "default" else subset
        yield {"sha256": hashlib.sha256(data).hexdigest(), "label": label, "split": split}


def main() -> None:
    folder = Path(sys.argv[1])
    files = sorted(folder.glob("annotations/*.json"))
    json.dump([row for file in files for row in rows(file, folder / "images")], sys.stdout)


if __name__ == "__main__":
    main()
