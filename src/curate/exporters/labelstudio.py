"""Label Studio: tasks with the present labels as predictions, to be reviewed by people and read back.

What it writes: `images/` with the pictures, `tasks.json` with one task per picture, `config.xml` with the labeling
interface (one choice per class), and `README.txt`, which says how to get these into Label Studio. A task's `data` has
the picture's address, its path, sha256, split, the label it has and the one its source gave. A label that a person
has confirmed or given in curate is an annotation, so that Label Studio counts the task as done; every other label is
a prediction, with `label_quality` as its score where `curate flag` has told it; a label for an unlabelled picture that
`curate prelabel` suggests is one too, with `pred_confidence`. Their `model_version` is the data set's name and
version, "pets v3". Another label that `curate flag` suggests is a second prediction, "pets v3 suggestion".
Sort tasks by prediction score to see the doubtful ones first.

How to load it:

    export LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED=true
    export LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT=$PWD/OUT
    label-studio start

then as OUT/README.txt says: paste config.xml as labeling interface, add OUT/images as a source storage of the type
"Local files" without synchronizing it, and import tasks.json. Afterwards, put Label Studio's export (JSON) into OUT,
and `curate import OUT ./reviewed` gives the same pictures with the labels people gave.

Limits: annotations carry no `completed_by`, as Label Studio refuses a whole file that names a person it does not know:
whoever imports the tasks counts as annotator, and `data.reviewed_by` says who it was. A class name with a character
that XML can't hold is written as its folder name in classes.json. A repeated or weighted picture is one task.

Source: https://labelstud.io/guide/tasks and https://labelstud.io/tags/choices; checked with label-studio-sdk 2.1.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pydantic import Field

from curate.exporters import Exporter, ExporterSettings, Written
from curate.progress import Advance
from curate.release import Picture, Release

IMAGES = "images"
TASKS = "tasks.json"
LABEL = "label"  # the name of the control that people answer, and of the column in Label Studio's own exports
PRESENT = "curate_label"  # in a task's data; not "label", which that column would overwrite
COLUMNS = ("path label suggested_label reviewed reviewed_by label_quality pred_label pred_confidence").split()
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_LINE_BREAKS = {"\n": "&#10;", "\r": "&#13;", "\t": "&#9;"}  # a bare one in an attribute is read as a space

README = """\
How to review these pictures in Label Studio
============================================

1. Start Label Studio so that it may serve this folder (OUT is its absolute path):

       export LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED=true
       export LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT=OUT
       label-studio start

2. Create a project. Settings > Labeling Interface > Code: paste config.xml.
3. Settings > Cloud Storage > Add Source Storage > Local files: OUT/images (Label Studio refuses OUT itself). Save it,
   and do not synchronize: the tasks come next.
4. Import tasks.json. Each task shows the label that its picture has now as a prediction.
5. Review; sorting by prediction score shows the doubtful ones first.
6. Export as JSON, put the file into this folder, and read it back:

       curate import OUT NEW_FOLDER

If pictures do not show: the addresses in tasks.json begin with {image_url} and go on with the path below this folder;
the setting exporters.labelstudio.image_url of curate changes that.
"""


class Settings(ExporterSettings):
    """Where Label Studio finds the pictures."""

    image_url: str = Field(
        "/data/local-files/?d=",
        min_length=1,
        description="What stands before the path of each picture, already quoted as in web addresses. The default is "
        "for a Label Studio whose document root is the export itself; with a document root above it, add the way "
        "down: /data/local-files/?d=exports/pets/. For pictures that you upload elsewhere: https://example.org/pets/.",
    )


def write(release: Release, out: Path, settings: Settings, advance: Advance) -> Written:
    """Pictures, tasks, labeling interface and a note how to import them."""
    columns = [name for name in COLUMNS if name in release.table]
    rows = release.table[columns].set_index("path").to_dict("index")
    places = {}
    with (out / TASKS).open("w", encoding="utf-8", newline="\n") as stream:
        separator = "[\n"
        for picture in release.pictures:
            place = places[picture.path] = f"{IMAGES}/{picture.name}"
            release.put(picture, out / place)
            url = settings.image_url + quote(place, safe="/")
            stream.write(separator + json.dumps(_task(release, picture, rows[picture.path], url), ensure_ascii=False))
            separator = ",\n"
            advance(1, size_bytes=picture.size_bytes)
        stream.write("\n]\n" if places else "[]\n")
    (out / "config.xml").write_text(labeling_interface(release.folders), encoding="utf-8", newline="\n")
    (out / "README.txt").write_text(README.format(image_url=settings.image_url), encoding="utf-8", newline="\n")
    return Written(places, notes=_notes(release))


def choice_of(label: str, folder: str) -> str:
    """The label as an answer in Label Studio: itself, or its folder name where XML can't hold it."""
    return folder if _NOT_XML.search(label) else label


def labeling_interface(folders: Mapping[str, str]) -> str:
    """The XML that shows a picture and asks for one of the classes. folders: label -> safe folder name."""
    choices = "".join(f"    {_choice(choice_of(label, folder))}\n" for label, folder in sorted(folders.items()))
    return (
        "<View>\n"
        '  <Image name="image" value="$image"/>\n'
        f'  <Choices name="{LABEL}" toName="image" choice="single" showInLine="true">\n{choices}  </Choices>\n'
        "</View>\n"
    )


def _choice(answer: str) -> str:
    # Label Studio replaces "$word" in a shown value by what the task's data say; an alias it leaves alone.
    alias = f" alias={_attribute(answer)}" if "$" in answer else ""
    return f"<Choice value={_attribute(answer.replace('$', '%24'))}{alias}/>"


def _attribute(text: str) -> str:
    from xml.sax.saxutils import quoteattr  # it brings all that speaks HTTP

    return quoteattr(text, _LINE_BREAKS)


def _task(release: Release, picture: Picture, row: Mapping[Hashable, Any], url: str) -> dict[str, Any]:
    known = {
        PRESENT: picture.label,
        "given_label": _text(row.get("label")),
        "suggested_label": _text(row.get("suggested_label")),
        "split": picture.split,
        "reviewed_by": _text(row.get("reviewed_by")),
    }
    data = {"image": url, "curate_id": picture.id, "path": picture.path, "sha256": picture.sha256}
    data |= {name: value for name, value in known.items() if value is not None}
    if picture.label is not None and row.get("reviewed") in ("keep", "relabel"):  # "accept" is a look at no picture
        return {"data": data, "annotations": [{"result": _result(release, picture.label), "was_cancelled": False}]}
    return {"data": data, "predictions": _predictions(release, picture, row)}


def _predictions(release: Release, picture: Picture, row: Mapping[Hashable, Any]) -> list[dict[str, Any]]:
    """The suggestion, then the label: a project shows the model version that the last prediction of a file has."""
    version = f"{release.name} {release.version.name}"
    predicted, suggested = _text(row.get("pred_label")), _text(row.get("suggested_label"))
    label = predicted if picture.label is None else picture.label
    said = [(f"{version} suggestion", suggested, None)] if suggested != label else []
    if label == row.get("label"):
        said.append((version, label, row.get("label_quality")))
    else:
        said.append((version, label, row.get("pred_confidence") if label == predicted else None))
    return [
        {"model_version": model, **_scored(score), "result": _result(release, label)}
        for model, label, score in said
        if label is not None and label in release.folders  # Label Studio refuses a choice that is no class
    ]


def _scored(score: object) -> dict[str, float]:
    """Label Studio wants a score from 0 to 1, or none."""
    if not isinstance(score, float) or not math.isfinite(score):
        return {}
    return {"score": round(min(max(score, 0.0), 1.0), 6)}


def _result(release: Release, label: str) -> list[dict[str, Any]]:
    answer = choice_of(label, release.folders[label])
    return [{"id": LABEL, "type": "choices", "from_name": LABEL, "to_name": "image", "value": {"choices": [answer]}}]


def _text(value: object) -> str | None:
    """A cell's text; None where it is empty."""
    return value if isinstance(value, str) and value else None


def _notes(release: Release) -> tuple[str, ...]:
    how = "OUT/README.txt says how to import tasks.json into Label Studio"
    if release.classes:
        return (f"{how}.",)
    return (f"{how}; no picture has a label, so config.xml has no <Choice> yet: add one per class.",)


EXPORTER = Exporter(
    name="labelstudio",
    summary="tasks to review in Label Studio, and to read back",
    write=write,
    settings=Settings,
)
