"""What mlcroissant makes of croissant.json: its complaints, and the records with the bytes of their pictures.

read_croissant.py FOLDER
"""

import hashlib
import json
import logging
import sys
from pathlib import Path

import mlcroissant


class Complaints(logging.Handler):
    """Everything that is logged as a warning or worse."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.texts = []

    def emit(self, record):
        self.texts.append(record.getMessage())


def text(value):
    return value.decode() if isinstance(value, bytes) else value


def row(folder, record):
    place = text(record["samples/file_name"])
    file = folder / place if place else None
    image = record.get("samples/image")
    return {
        "place": place,
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest() if file and file.is_file() else None,
        "size": list(image.size) if image is not None else None,
        "label": text(record["samples/label"]),
        "split": text(record.get("samples/split")),
    }


def main(folder):
    complaints = Complaints()
    logging.getLogger("absl").addHandler(complaints)
    dataset = mlcroissant.Dataset(jsonld=folder / "croissant.json")
    issues = dataset.metadata.ctx.issues
    sets = {
        one.id: [{key: text(value) for key, value in record.items()} for record in dataset.records(one.id)]
        for one in dataset.metadata.record_sets
        if one.id != "samples"
    }
    return {
        "errors": sorted(issues.errors),
        "warnings": sorted(issues.warnings),
        "complaints": complaints.texts,
        "sets": sets,
        "samples": [row(folder, record) for record in dataset.records("samples")],
    }


print(json.dumps(main(Path(sys.argv[1])), default=str))
