"""What a library reads from shards: python read_webdataset.py webdataset|datasets FOLDER.

The label is that of .json; .cls must be its place in classes.json, or -1.
"""

import hashlib
import json
import sys
from pathlib import Path


def with_webdataset(shards):
    import webdataset

    for sample in webdataset.WebDataset([str(shard) for shard in shards], shardshuffle=False):
        image = next(sample[name] for name in ("jpg", "png", "webp") if name in sample)
        yield image, json.loads(sample["json"]), int(sample["cls"])


def with_datasets(shards):
    import datasets

    found = datasets.load_dataset("webdataset", data_files={"any": [str(shard) for shard in shards]}, split="any")
    for row in found.cast_column("jpg", datasets.Image(decode=False)):
        yield row["jpg"]["bytes"], row["json"], row["cls"]


def main() -> None:
    read = {"webdataset": with_webdataset, "datasets": with_datasets}[sys.argv[1]]
    folder = Path(sys.argv[2])
    classes = [one["name"] for one in json.loads((folder / "classes.json").read_text())]
    rows = []
    for shard in sorted(folder.glob("*.tar")):
        for image, facts, index in read([shard]):
            assert (classes[index] if index >= 0 else "") == facts["label"]
            split = shard.name.rpartition("-")[0]
            rows.append({"sha256": hashlib.sha256(image).hexdigest(), "label": facts["label"] or None, "split": split})
    json.dump(rows, sys.stdout)


if __name__ == "__main__":
    main()
