"""What `datasets` reads from a folder without being told anything: python read_huggingface.py FOLDER [stream]."""

import hashlib
import json
import sys

import datasets


def main() -> None:
    stream = sys.argv[2:] == ["stream"]
    found = datasets.load_dataset(sys.argv[1], streaming=stream)
    rows = []
    for split, data in found.items():
        for row in data.cast_column("image", datasets.Image(decode=False)):
            label = data.features["label"]
            name = row["label"] if row["label"] is None else label.int2str(row["label"])
            rows.append({"sha256": hashlib.sha256(row["image"]["bytes"]).hexdigest(), "label": name, "split": split})
        for row in data.take(1):
            assert row["image"].size == (row["width"], row["height"])
    json.dump(rows, sys.stdout)


if __name__ == "__main__":
    main()
