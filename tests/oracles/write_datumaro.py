"""Write a set by datumaro: python write_datumaro.py FORMAT PICTURES OUT ITEMS KIND.

ITEMS: {"file name below PICTURES": [split, [label, …]], …} as JSON. KIND: label, or bbox for boxes of those labels.
Prints what datumaro then holds, as read_datumaro.py does, with all labels of a picture as a list.
"""

import hashlib
import json
import sys
from pathlib import Path

import datumaro
from datumaro.components.annotation import Bbox, Label
from datumaro.components.media import Image


def main() -> None:
    name, pictures, out, items, kind = sys.argv[1:]
    items = json.loads(items)
    classes = sorted({label for _, labels in items.values() for label in labels})

    def annotation(place, label):
        index = classes.index(label)
        if kind == "label":
            return Label(index, id=place + 1)
        return Bbox(5 + place, 6, 20, 30, label=index, id=place + 1, attributes={"is_crowd": False})

    dataset = datumaro.Dataset.from_iterable(
        [
            datumaro.DatasetItem(
                id=Path(file).stem,
                subset=split or "default",
                media=Image.from_file(path=str(Path(pictures, file))),
                annotations=[annotation(place, label) for place, label in enumerate(labels)],
            )
            for file, (split, labels) in items.items()
        ],
        categories=classes,
    )
    dataset.export(out, name, save_media=True)
    told = [
        {"sha256": hashlib.sha256(Path(pictures, file).read_bytes()).hexdigest(), "label": labels, "split": split}
        for file, (split, labels) in items.items()
    ]
    json.dump(told, sys.stdout)


if __name__ == "__main__":
    main()
