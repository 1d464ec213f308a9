"""What label-studio-sdk makes of an export: its checks of config and tasks, and its exports once people have answered.

read_labelstudio.py FOLDER               pictures, labels and splits, as Label Studio would show them
read_labelstudio.py FOLDER OUT ANSWERS   answer every task, then write OUT/{full.json,JSON_MIN/…,CSV/…}; ANSWERS:
                                         {"ada@example.org": "cat", …}, where "" skips the task and "?" takes its
                                         label, or "cat" if it has none
"""

import hashlib
import json
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from label_studio_sdk.converter import Converter
from label_studio_sdk.label_interface import LabelInterface
from label_studio_sdk.types import ImportApiRequest


def main(folder, out=None, answers=None):
    config = (folder / "config.xml").read_text(encoding="utf-8")
    interface = LabelInterface(config)
    interface.validate()
    tasks = json.loads((folder / "tasks.json").read_text(encoding="utf-8"))
    for task in tasks:
        for prediction in task.get("predictions", []):
            errors = interface.validate_prediction(prediction, return_errors=True)
            assert not errors, errors
        for annotation in task.get("annotations", []):
            assert interface.validate_annotation(annotation)
        assert interface.validate_task({"data": task["data"]})
        # Its model asks of each prediction which task it is for; a task that is yet to be imported has no number.
        predictions = [{**one, "task": 0} for one in task.get("predictions", [])]
        ImportApiRequest.model_validate({**task, "predictions": predictions})
    if out is None:
        return [row(folder, task) for task in tasks]
    out.mkdir(parents=True)
    answered = [annotated(number, task, json.loads(answers)) for number, task in enumerate(tasks, start=1)]
    for annotation in (one for task in answered for one in task["annotations"] if one["result"]):
        assert interface.validate_annotation(annotation), annotation
    (out / "full.json").write_text(json.dumps(answered))
    for kind in ("JSON_MIN", "CSV"):
        Converter(config, project_dir=str(out)).convert(str(out / "full.json"), str(out / kind), kind, is_dir=False)
    return sorted(str(path.relative_to(out)) for path in out.rglob("*.*"))


def row(folder, task):
    # As Label Studio's view of /data/local-files/ does it: decoded once, below the document root.
    file = folder / parse_qs(urlsplit(task["data"]["image"]).query)["d"][-1]
    said = [*task.get("annotations", []), *task.get("predictions", [])]
    label = said[-1]["result"][0]["value"]["choices"][0] if said else None
    return {
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        "label": label,
        "split": task["data"].get("split"),
    }


def annotated(number, task, answers):
    """The task as Label Studio exports it, after these people have answered."""
    said = task.get("annotations", []) + task.get("predictions", [])
    present = said[-1]["result"][0]["value"]["choices"][0] if said else "cat"
    annotations = []
    for place, (person, answer) in enumerate(answers.items()):
        choice = present if answer == "?" else answer
        result = [
            {"id": "x", "type": "choices", "from_name": "label", "to_name": "image", "value": {"choices": [choice]}}
        ]
        annotations.append(
            {
                "id": 100 * number + place,
                "completed_by": {"id": place + 1, "email": person, "first_name": "", "last_name": ""},
                "result": result if answer else [],
                "was_cancelled": not answer,
                "ground_truth": False,
                "created_at": f"2026-01-01T00:00:{place:02d}.000000Z",
                "updated_at": f"2026-01-01T00:00:{place:02d}.000000Z",
                "lead_time": 1.5,
            }
        )
    return {"id": number, "data": task["data"], "annotations": annotations, "predictions": [], "meta": {}, "project": 1}


folder, *rest = sys.argv[1:]
print(json.dumps(main(Path(folder), *([Path(rest[0]), rest[1]] if rest else []))))
