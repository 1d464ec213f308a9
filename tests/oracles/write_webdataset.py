"""Shards as `webdataset` writes them: python write_webdataset.py FOLDER PICTURE…; picture n is of class n % 2."""

import json
import sys
from pathlib import Path

import webdataset


def main() -> None:
    folder, *pictures = map(Path, sys.argv[1:])
    with webdataset.ShardWriter(str(folder / "train-%06d.tar"), maxcount=4, verbose=0) as shards:
        for number, picture in enumerate(pictures):
            shards.write({"__key__": f"sample{number:03d}", "jpg": picture.read_bytes(), "cls": number % 2})
    json.dump("written", sys.stdout)


if __name__ == "__main__":
    main()
