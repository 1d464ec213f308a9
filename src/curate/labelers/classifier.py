"""A classifier in an ONNX file, with its own list of labels, that somebody has trained already.

What it does: runs the classifier, and adds up the probabilities of those of its labels that mean one of our classes.
Which do is said by a mapping file: CSV with the columns model_label and class, or TOML or JSON with
`"model label" = "class"`; several labels may go to one class. Without one, names are compared: upper and lower case,
`_` and spaces are the same, and of "tabby, tabby cat" each part is a name. Where more than half of the probability
goes to labels that mean none of our classes, it abstains.
When to use: when a model of the same domain exists; also without any label of our own, though nothing can be accepted
before some pictures show how often it is right here.
When it is wrong: when its pictures looked different from ours, when its label means more or less than our class, and
when it is sure of everything, as networks are. Its weight beside other labelers is fitted to the labelled pictures.
Source: the classifier's own. Its labels come from a list that you give, or as docs/models.md tells.
"""

from __future__ import annotations

import csv
import json
import tomllib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydantic import Field

from curate.errors import SourceError
from curate.labelers import (
    Floats,
    Ints,
    Labeler,
    LabelerSettings,
    LabelingTask,
    Probabilities,
    Proposal,
    class_index,
    did_you_mean,
)

UNMAPPED = -1


class Settings(LabelerSettings):
    model: Path | None = Field(None, description="The classifier, an ONNX file that puts out one score per label.")
    labels: Path | None = Field(
        None, description="Its labels, one per line in the order of its scores; default: what the model tells itself."
    )
    mapping: Path | None = Field(
        None, description="Which label means which class: CSV with model_label and class, or TOML or JSON."
    )


def propose(task: LabelingTask, settings: Settings) -> Proposal:
    if settings.model is None:
        return Proposal()
    from curate.models import open_classifier  # 20 ms that the settings, read by every command, need not pay
    from curate.models.classifier import as_probabilities

    names = open_classifier(settings.model, settings.labels).classes
    place = _places(names, task.classes, settings)
    values = to_classes(as_probabilities(task.scores(settings.model)), place, len(task.classes))
    known = np.isin(np.arange(len(task.classes)), place)
    return Proposal(probabilities=(Probabilities(settings.model.stem, values, known),))


def declare(settings: Settings) -> Sequence[str]:
    return sorted(set(read_mapping(settings.mapping).values())) if settings.model and settings.mapping else ()


def to_classes(probabilities: Floats, place: Ints, classes: int) -> Floats:
    """Probabilities of our classes, (N, K); a row of zeros where more than half is of labels that mean none of them.

    probabilities: of the model's labels, (N, C). place: our class of each label, UNMAPPED for none, (C,).
    What is left of the probability of unmapped labels goes to all classes alike: it speaks for none.
    """
    summed = np.zeros((len(probabilities), classes), np.float32)
    for label in np.flatnonzero(place != UNMAPPED):
        summed[:, place[label]] += probabilities[:, label]
    mass = summed.sum(axis=1, keepdims=True)  # (N, 1)
    spread = summed + np.maximum(0, 1 - mass) / classes
    return np.where(mass > 0.5, spread / spread.sum(axis=1, keepdims=True), 0).astype(np.float32)


def read_mapping(file: Path) -> dict[str, str]:
    """Model label -> class. Raises SourceError that says what is wrong with the file."""
    try:
        text = file.read_text(encoding="utf-8-sig")
        if file.suffix == ".csv":
            return {row["model_label"]: row["class"] for row in csv.DictReader(text.splitlines()) if row["class"]}
        found = tomllib.loads(text) if file.suffix == ".toml" else json.loads(text)
    except KeyError as error:
        raise SourceError(
            f"The mapping {str(file)!r} has no column {error}; expected model_label and class."
        ) from error
    except (OSError, ValueError) as error:
        raise SourceError(f"The mapping {str(file)!r} can't be read: {error}.") from error
    if not isinstance(found, dict) or not all(isinstance(name, str) for name in found.values()):
        raise SourceError(
            f"The mapping {str(file)!r} is more than pairs of names.", 'Expected lines like "tabby, tabby cat" = "cat".'
        )
    return found


def _places(names: Sequence[str], classes: Sequence[str], settings: Settings) -> Ints:
    """Our class of each of the model's labels, (C,). Raises SourceError when none has one."""
    mapping = read_mapping(settings.mapping) if settings.mapping else None
    place = np.full(len(names), UNMAPPED, np.int64)
    if mapping is not None:
        for label, name in mapping.items():
            place[_labels_called(label, names, settings)] = class_index(name, classes, f"{str(settings.mapping)!r}")
        return place
    by_name = {_spoken(name): index for index, name in enumerate(classes)}
    for row, label in enumerate(names):
        place[row] = next((by_name[part] for part in _parts(label) if part in by_name), UNMAPPED)
    if (place == UNMAPPED).all():
        raise _no_match(names, classes, settings)
    return place


def _labels_called(label: str, names: Sequence[str], settings: Settings) -> list[int]:
    """Rows of the model's labels of that name: the whole line, else one of its parts."""
    whole = [row for row, name in enumerate(names) if _spoken(name) == _spoken(label)]
    found = whole or [row for row, name in enumerate(names) if _spoken(label) in _parts(name)]
    if not found:
        raise SourceError(
            f"The mapping {str(settings.mapping)!r} names {label!r}, which is no label of the classifier.",
            did_you_mean(label, names),
        )
    return found


def _no_match(names: Sequence[str], classes: Sequence[str], settings: Settings) -> SourceError:
    assert settings.model is not None
    nearest = did_you_mean(classes[0], [part for name in names for part in _parts(name)]) if classes else ""
    return SourceError(
        f"No label of the classifier {settings.model.name!r} is called like one of our classes "
        f"({', '.join(classes[:10]) or 'there are none yet'}).",
        f"Say which label means which class in a mapping file (--class-map FILE.csv). For {classes[0]!r}: {nearest}"
        if classes
        else "Say which label means which class in a mapping file (--class-map FILE.csv).",
    )


def _parts(label: str) -> list[str]:
    """Of "tabby, tabby cat" both names, and the whole."""
    return [_spoken(label), *map(_spoken, label.split(","))]


def _spoken(name: str) -> str:
    return " ".join(name.replace("_", " ").lower().split())


LABELER = Labeler(
    "classifier", "a classifier in an ONNX file, with a mapping of its labels", Settings, propose, declare
)
