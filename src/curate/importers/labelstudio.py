"""Label Studio: what people said in Label Studio, from its export or from our own.

What it reads: Label Studio's exports JSON, JSON_MIN and CSV (or TSV), as one file, or the folder that has one; and the
folder that `curate export --format labelstudio` wrote, alone or with Label Studio's export put into it. Each answer of
an annotator is a vote, the newest one where somebody answered twice; the label is the one with most votes. On a tie the
picture has no label, and the problem says who said what. A skipped task is no vote. Predictions are never labels. A
task that nobody answered keeps the label it was exported with, if curate wrote it; other tasks have none.
Where several <Choices> were asked, the answers of the one named label, choice, class or category count.

Pictures are looked for below the folder of the file: for /data/local-files/?d=a/b/c.jpg that is a/b/c.jpg, b/c.jpg and
c.jpg; for /data/upload/1/c.jpg likewise; and the same in images/. Where curate wrote the task, the bytes must still be
those that it exported: else the answers are left out, as they may be about another picture.

Limits: nothing is fetched. A picture at http://, s3:// or the like is a problem, unless curate wrote the task and the
picture is here. Boxes, polygons and other marks are left out, with a problem. JSON is read as a whole: about 3 KB of
memory per task.

Source: https://labelstud.io/guide/export; checked with the converter of label-studio-sdk 2.1.
"""

from __future__ import annotations

import csv
import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from curate.errors import SourceError
from curate.exporters.labelstudio import IMAGES, PRESENT, TASKS, choice_of
from curate.importers import Importer, Item
from curate.inside import file_inside, is_label, storable
from curate.objects import digest_of

CONTROLS = ("label", "choice", "class", "category")  # the first that was asked; Label Studio's template has "choice"
OWN_COLUMNS = {"id", "annotator", "annotation_id", "created_at", "updated_at", "lead_time", "agreement"}
SUFFIXES = (".json", ".csv", ".tsv")
MOST_FILES = 100  # of these in a folder; more are somebody's file per picture
HEAD_BYTES = 65536  # of a file, to see what it is
LONGEST_PATH = 4096  # bytes, of Linux; what is longer can't be there
_PICTURE = re.compile(r"(?i)\.(jpe?g|png|webp|gif|bmp|tiff?|jp2|avif)$")
_SHA256 = re.compile("[0-9a-f]{64}")


@dataclass
class _Task:
    """A task in the same shape whatever file it came from.

    answers: annotator -> (when, choice). problems: what can't be taken over.
    """

    data: dict[str, Any]
    answers: dict[str, tuple[str, str]] = field(default_factory=dict)
    skipped: bool = False
    problems: list[str] = field(default_factory=list)

    def answer(self, annotator: str, when: str, choice: str) -> None:
        """Take an annotator's word; the newest holds."""
        if annotator not in self.answers or self.answers[annotator][0] <= when:
            self.answers[annotator] = (when, choice)

    def add(self, other: _Task) -> None:
        """Take what was said of the same picture in another task."""
        for annotator, (when, choice) in other.answers.items():
            self.answer(annotator, when, choice)
        self.skipped |= other.skipped
        self.problems += other.problems


def recognises(source: Path) -> bool:
    """A file that looks like an export of Label Studio, or a folder with one."""
    return bool(_exports(source)) if source.is_dir() else _looks_right(source)


def read(source: Path) -> Iterator[Item]:
    """One item per task. Raises SourceError when the file can't be understood."""
    file = _chosen(source) if source.is_dir() else source
    folder = file.parent
    names = _class_names(folder)
    tasks = _tasks(file)
    ours = folder / TASKS
    if file.name != TASKS and ours.is_file() and any("curate_id" in task.data for task in tasks):
        # The community edition exports only what somebody answered.
        answered = {_identity(task) for task in tasks}
        tasks += [task for task in _tasks(ours) if _identity(task) not in answered]
    for task in _merged(tasks):
        yield _item(task, folder, names)


def answers(file: Path) -> Iterator[tuple[str, str, str, str, str]]:
    """Every answer to a task that curate wrote: path and sha256 of the picture, annotator, when, label.

    Raises SourceError when the file can't be understood, or curate wrote none of its tasks.
    """
    tasks = _merged(_tasks(file))
    ours = [task for task in tasks if is_label(task.data.get("path")) and is_label(task.data.get("sha256"))]
    if not ours:
        raise SourceError(
            f"No task of {str(file)!r} says which picture of a folder it is about.",
            "Give the export of a project whose tasks come from: curate export DIR OUT --format labelstudio",
        )
    names = _class_names(file.parent)
    for task in ours:
        for annotator, (when, choice) in sorted(task.answers.items()):
            yield task.data["path"], task.data["sha256"], annotator, when, names.get(choice, choice)


# ---- Which file


def _exports(folder: Path) -> list[Path]:
    """The exports in a folder; our own tasks only where there is no other."""
    try:
        names = sorted(entry.name for entry in os.scandir(folder) if entry.name.lower().endswith(SUFFIXES))
    except OSError:
        return []
    found = [folder / name for name in names if _looks_right(folder / name)] if len(names) <= MOST_FILES else []
    return [file for file in found if file.name != TASKS] or found


def _looks_right(file: Path) -> bool:
    try:
        if not file.name.lower().endswith(SUFFIXES) or not file.is_file():
            return False
        with file.open("rb") as stream:
            head = stream.read(HEAD_BYTES).decode("utf-8-sig", "replace")
    except (OSError, ValueError):
        return False
    if file.suffix.lower() != ".json":
        return "annotation_id" in head.partition("\n")[0] and "annotator" in head.partition("\n")[0]
    is_full = '"data"' in head and ('"annotations"' in head or '"predictions"' in head)
    return head.lstrip().startswith("[") and (is_full or '"annotation_id"' in head)


def _chosen(folder: Path) -> Path:
    found = _exports(folder)
    if len(found) == 1:
        return found[0]
    there = ", ".join(repr(file.name) for file in found) or "none"
    raise SourceError(
        f"{str(folder)!r} should have one export of Label Studio; it has: {there}.",
        "Name the file instead of the folder, or move the others away.",
    )


# ---- Tasks


def _tasks(file: Path) -> list[_Task]:
    if file.suffix.lower() in (".csv", ".tsv"):
        return _from_rows(_read_csv(file), file)
    entries = _read_json(file)
    if not all(isinstance(entry, dict) for entry in entries):
        raise SourceError(f"{str(file)!r} is no export of Label Studio: it should be a list of objects.")
    if any("annotations" in entry or "predictions" in entry for entry in entries):
        return _from_tasks(entries, file)
    return _from_rows(entries, file)


def _read_json(file: Path) -> list[dict[str, Any]]:
    try:
        entries = json.loads(file.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise SourceError(f"{str(file)!r} can't be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{str(file)!r} is not valid JSON: {error}.", "Export it from Label Studio again.") from error
    if not isinstance(entries, list):
        raise SourceError(f"{str(file)!r} is no export of Label Studio: it should be a list.")
    return entries


def _read_csv(file: Path) -> list[dict[str, Any]]:
    separator = "\t" if file.suffix.lower() == ".tsv" else ","
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            rows = list(csv.DictReader(stream, delimiter=separator, restval=""))
    except OSError as error:
        raise SourceError(f"{str(file)!r} can't be read: {error.strerror}.") from error
    except (ValueError, csv.Error) as error:
        raise SourceError(f"{str(file)!r} is not valid CSV: {error}.", "Export it from Label Studio again.") from error
    if any(None in row for row in rows):
        raise SourceError(f"{str(file)!r} has rows with more cells than columns.", "Export it from Label Studio again.")
    return rows


def _from_tasks(entries: Iterable[dict[str, Any]], file: Path) -> list[_Task]:
    """Tasks of the full JSON."""
    asked = {result.get("from_name") for entry in entries for result in _results(entry) if _is_choices(result)}
    control = _control(asked, file) if asked else None
    return [_task(entry, control) for entry in entries]


def _results(entry: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for annotation in _dicts(entry.get("annotations")):
        yield from _dicts(annotation.get("result"))


def _dicts(value: object) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _is_choices(result: Mapping[str, Any]) -> bool:
    return result.get("type") == "choices" and isinstance(result.get("from_name"), str)


def _control(asked: Iterable[Any], file: Path) -> str:
    """Which question's answers are the labels. Raises SourceError when that is anybody's guess."""
    names = sorted(str(name) for name in asked)
    known = next((name for name in CONTROLS if name in names), None)
    if known is None and len(names) > 1:
        raise SourceError(
            f"{str(file)!r} has answers to several questions: {', '.join(names)}.",
            f"Rename the one that gives labels to {CONTROLS[0]!r} in the labeling interface, and export again.",
        )
    return known or names[0]


def _task(entry: dict[str, Any], control: str | None) -> _Task:
    data = entry.get("data")
    task = _Task(data if isinstance(data, dict) else {})
    for annotation in _dicts(entry.get("annotations")):
        if annotation.get("was_cancelled") or annotation.get("skipped"):
            task.skipped = True
            continue
        _answer(task, annotation, control)
    return task


def _answer(task: _Task, annotation: Mapping[str, Any], control: str | None) -> None:
    """What one annotation says."""
    chosen: list[object] = []
    for result in _dicts(annotation.get("result")):
        if not _is_choices(result):
            task.problems.append(f"{result.get('type')!r} is no label of a whole picture and was left out")
        elif result["from_name"] == control:
            chosen += _choices(result.get("value"))
    when = str(annotation.get("updated_at") or annotation.get("created_at") or "")
    person = annotation.get("completed_by", task.data.get("reviewed_by"))  # we do not write completed_by
    _vote(task, _annotator(person), when, chosen)


def _vote(task: _Task, annotator: str, when: str, chosen: list[object]) -> None:
    if len(chosen) == 1 and is_label(chosen[0]):
        task.answer(annotator, when, str(chosen[0]))
    elif chosen:
        task.problems.append(f"{annotator} gave {chosen!r:.200}, which is not one label")


def _annotator(value: object) -> str:
    """An e-mail address, or "annotator 3" for a bare number."""
    if isinstance(value, dict):
        value = value.get("email") or value.get("id")
    text = str(value) if isinstance(value, (int, str)) else ""
    if not is_label(text):
        return "annotator"
    return f"annotator {text}" if text.isdigit() else text


def _from_rows(rows: list[dict[str, Any]], file: Path) -> list[_Task]:
    """Tasks of JSON_MIN or CSV, which have one row per annotation."""
    if not rows:
        return []
    columns = {name for row in rows for name in row} - OWN_COLUMNS
    control = next((name for name in CONTROLS if name in columns), None)
    if control is None:
        raise SourceError(
            f"{str(file)!r} has no column for the label; its columns are: {', '.join(sorted(columns))}.",
            f"Rename the one that gives labels to {CONTROLS[0]!r}.",
        )
    tasks = []
    for row in rows:
        task = _Task({name: value for name, value in row.items() if name not in OWN_COLUMNS and name != control})
        when = str(row.get("updated_at") or row.get("created_at") or "")
        _vote(task, _annotator(row.get("annotator")), when, _cell(row.get(control)))
        tasks.append(task)
    return tasks


def _cell(value: object) -> list[object]:
    """The choices in a cell: "cat", {"choices": ["cat", "dog"]}, a list of these, any of them as JSON text, or none."""
    if isinstance(value, str) and value.startswith(('{"choices"', '[{"choices"', '["')):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return [value]
    several = value if isinstance(value, list) else [value]
    return [choice for one in several if one not in (None, "") for choice in _choices(one)]


def _choices(value: object) -> list[object]:
    choices = value.get("choices") if isinstance(value, dict) else value
    return choices if isinstance(choices, list) else [choices]


# ---- Pictures


def _merged(tasks: Iterable[_Task]) -> list[_Task]:
    """One task per picture, however often it was imported into Label Studio or answered there."""
    merged: dict[str, _Task] = {}
    for number, task in enumerate(tasks):
        identity = _identity(task) or f"\0{number}"
        if identity in merged:
            merged[identity].add(task)
        else:
            merged[identity] = task
    return list(merged.values())


def _identity(task: _Task) -> str:
    """Equal for tasks about one picture; "" for a task without any."""
    return str(task.data.get("curate_id") or _address(task.data))


def _address(data: Mapping[str, Any]) -> str:
    """Where the picture is: in `image`, or in the first value that looks like a picture's address; "" if nowhere."""
    first = data.get("image")
    if isinstance(first, str) and first:
        return first
    texts = [value for value in data.values() if isinstance(value, str)]
    return next((text for text in texts if _PICTURE.search(text) or text.startswith("/data/")), "")


def _path_in(address: str) -> str:
    """The path in an address: the value of `d`, as Label Studio takes it, or the address's own path."""
    parts = urlsplit(address)
    if parts.path.rstrip("/").endswith("/data/local-files"):
        return (parse_qs(parts.query, keep_blank_values=True).get("d") or [""])[-1]
    return unquote(parts.path) if parts.scheme or parts.path.startswith("/") else address


def _find(folder: Path, task: _Task) -> Path:
    """The file of a task's picture. Raises LookupError, in words."""
    address = _address(task.data)
    try:
        path = _path_in(address)
        scheme = urlsplit(address).scheme
    except ValueError as error:
        raise LookupError(f"{address!r:.200} is no address: {error}") from error
    if scheme and "curate_id" not in task.data:
        raise LookupError(f"the picture is at {address!r:.200}; curate fetches nothing")
    parts = path.lstrip("/").split("/")
    if ".." in parts or len(path) > LONGEST_PATH or not parts[-1]:
        raise LookupError(f"{address!r:.200} names no file inside the folder")
    tails = ["/".join(parts[start:]) for start in range(len(parts))]
    reasons = []
    for tail in [*tails, *(f"{IMAGES}/{tail}" for tail in tails)]:
        try:
            return file_inside(folder, tail)
        except LookupError as error:
            reasons.append(str(error))
    raise LookupError(reasons[0])


def _item(task: _Task, folder: Path, names: Mapping[str, str]) -> Item:
    name = _name(task)
    try:
        file = _find(folder, task)
        changed = _has_changed(file, task.data.get("sha256"))
    except (LookupError, OSError) as error:
        return Item(name, None, problem=str(error))
    split = task.data.get("split")
    split = split if is_label(split) else None
    if changed:
        return Item(name, file, split=split, problem="it is no longer the picture that was exported: answers left out")
    votes = tuple((annotator, names.get(choice, choice)) for annotator, (_, choice) in sorted(task.answers.items()))
    label = _label(task, votes)
    return Item(name, file, label, split, votes, "; ".join(dict.fromkeys(task.problems)))


def _has_changed(file: Path, sha256: object) -> bool:
    return isinstance(sha256, str) and bool(_SHA256.fullmatch(sha256)) and digest_of(file) != sha256


def _label(task: _Task, votes: Iterable[tuple[str, str]]) -> str | None:
    """The label with most votes; without any, the one that the picture was exported with."""
    counts = Counter(label for _, label in votes).most_common()
    if not counts:
        present = task.data.get(PRESENT)
        if task.skipped:
            task.problems.append("somebody skipped it, and nobody gave a label")
        return present if is_label(present) else None
    if len(counts) > 1 and counts[0][1] == counts[1][1]:
        said = ", ".join(f"{annotator} {label!r}" for annotator, label in votes)
        task.problems.append(f"as many people say one label as another, so it has none: {said}")
        return None
    return counts[0][0]


def _name(task: _Task) -> str:
    """The path of our own export; else the address without what Label Studio puts before it."""
    try:
        path = _path_in(_address(task.data)).lstrip("/")
    except ValueError:
        path = _address(task.data)
    for before in (f"{IMAGES}/", "data/upload/"):
        path = path.removeprefix(before)
    return storable(path) or "picture"


def _class_names(folder: Path) -> dict[str, str]:
    """Answer -> class, for classes whose names XML can't hold."""
    try:
        classes = json.loads((folder / "classes.json").read_text(encoding="utf-8"))
        return {choice_of(one["name"], one["folder"]): one["name"] for one in classes}
    except (OSError, ValueError, TypeError, KeyError):
        return {}


IMPORTER = Importer(
    name="labelstudio",
    summary="what people said: JSON, JSON_MIN or CSV export",
    recognises=recognises,
    read=read,
    precedence=20,
)
