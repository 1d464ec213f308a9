"""Parquet files as `datasets` writes them for the hub: python write_huggingface.py FOLDER PICTURE…

Picture n is of class n % 2, in the columns of the data set "beans". The splits train and validation have all pictures.
"""

import json
import sys
from pathlib import Path

import datasets


def main() -> None:
    folder, *pictures = map(Path, sys.argv[1:])
    features = datasets.Features({"image": datasets.Image(), "labels": datasets.ClassLabel(names=["a/b", "dog"])})
    rows = {
        "image": [{"bytes": picture.read_bytes(), "path": picture.name} for picture in pictures],
        "labels": [number % 2 for number in range(len(pictures))],
    }
    (folder / "data").mkdir(parents=True)
    for split in ("train", "validation"):
        data = datasets.Dataset.from_dict(rows, features=features)
        data.to_parquet(str(folder / "data" / f"{split}-00000-of-00001.parquet"))
    json.dump("written", sys.stdout)


if __name__ == "__main__":
    main()
