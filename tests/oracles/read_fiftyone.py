"""What FiftyOne's own importer and exporter make of image classification datasets, without its database.

    read_fiftyone.py FOLDER                  pictures and labels, as fo.Dataset.add_dir would take them from each split
    read_fiftyone.py PICTURES OUT LABELS     write OUT by FiftyOne's exporter; LABELS: {"file name": label, …} as JSON

Needs the package fiftyone, but no MongoDB: importers and exporters read and write files alone.
"""

import hashlib
import json
import sys
from pathlib import Path

import fiftyone as fo
from fiftyone.utils.data.exporters import FiftyOneImageClassificationDatasetExporter as Exporter
from fiftyone.utils.data.importers import FiftyOneImageClassificationDatasetImporter as Importer


def rows(folder, split):
    importer = Importer(dataset_dir=str(folder), include_all_data=True)
    with importer:
        for path, _, label in importer:
            yield {
                "sha256": hashlib.sha256(Path(path).read_bytes()).hexdigest(),
                "label": None if label is None else label.label,
                "split": split,
            }


def read(folder):
    if (folder / "labels.json").exists():
        return list(rows(folder, None))
    return [row for file in sorted(folder.glob("*/labels.json")) for row in rows(file.parent, file.parent.name)]


def write(pictures, out, labels):
    classes = sorted({label for label in labels.values() if label is not None})
    with Exporter(export_dir=str(out), classes=classes, include_confidence=None) as exporter:
        for name, label in labels.items():
            classification = None if label is None else fo.Classification(label=label, confidence=0.5)
            exporter.export_sample(str(pictures / name), classification)
    return sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file())


folder, *rest = sys.argv[1:]
print(json.dumps(write(Path(folder), Path(rest[0]), json.loads(rest[1])) if rest else read(Path(folder))))
