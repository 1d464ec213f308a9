"""What datumaro reads: python read_datumaro.py FORMAT FOLDER. FORMAT: datumaro, coco, coco_labels, …"""

import hashlib
import json
import sys
from pathlib import Path

import datumaro


def row(item, names):
    assert item.media.size is not None  # it can open the picture
    (label,) = [names[one.label] for one in item.annotations] or [None]
    digest = hashlib.sha256(Path(item.media.path).read_bytes()).hexdigest()
    return {"sha256": digest, "label": label, "split": None if item.subset == "default" else item.subset}


def main() -> None:
    name, folder = sys.argv[1:]
    dataset = datumaro.Dataset.import_from(folder, name)
    names = [label.name for label in dataset.categories()[datumaro.AnnotationType.label]]
    json.dump([row(item, names) for item in dataset], sys.stdout)


if __name__ == "__main__":
    main()
