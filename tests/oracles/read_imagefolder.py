"""What a library reads from class folders: python read_imagefolder.py datasets|datumaro FOLDER [SPLIT…].

FOLDER/SPLIT is read for each split given, FOLDER itself where none is.
"""

import hashlib
import json
import sys
from pathlib import Path


def with_datasets(folder, splits):
    import datasets

    files = {split: str(Path(folder, split, "**")) for split in splits} or {"train": str(Path(folder, "**"))}
    found = datasets.load_dataset("imagefolder", data_files=files)
    for split, data in found.items():
        for row in data.cast_column("image", datasets.Image(decode=False)):
            label = data.features["label"].int2str(row["label"])
            yield Path(row["image"]["path"]).read_bytes(), label, split if splits else None


def with_datumaro(folder, splits):
    import datumaro

    found = datumaro.Dataset.import_from(folder, "imagenet_with_subset_dirs" if splits else "imagenet")
    names = found.categories()[datumaro.AnnotationType.label]
    for item in found:
        [label] = item.annotations
        yield Path(item.media.path).read_bytes(), names[label.label].name, item.subset if splits else None


def main() -> None:
    library, folder, *splits = sys.argv[1:]
    read = {"datasets": with_datasets, "datumaro": with_datumaro}[library]
    rows = [
        {"sha256": hashlib.sha256(data).hexdigest(), "label": label, "split": split}
        for data, label, split in read(folder, splits)
    ]
    json.dump(rows, sys.stdout)


if __name__ == "__main__":
    main()
