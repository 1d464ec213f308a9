"""What the page sends as an answer, and whether it can be one."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from curate.decisions import Answer, Decision
from curate.errors import SourceError
from curate.review_app.classes import Classes
from curate.review_app.queues import Entry

_ID = re.compile(r"[0-9a-f]{32}")
_ANSWERS: tuple[Answer, ...] = ("keep", "relabel", "both", "drop", "unsure", "flag", "undo")
LONGEST_NOTE = 2_000  # characters; a page of text is no note
MOST_LABELS = 20  # of one picture
A_DAY_S = 86_400.0


class Refused(Exception):
    """An answer that can't be taken, with the reason in words for the person."""


@dataclass(frozen=True)
class Said:
    """An answer, checked in itself: not yet whether this person may give it. labels: for "both", at least two.

    unclear: classes whose guideline did not help, for an adjudication. new_class: a label that no picture has had yet
    is meant as a class, and no slip.
    """

    id: str
    item: str
    answer: Answer
    label: str
    labels: tuple[str, ...]
    note: str
    undoes: str
    timing: Mapping[str, Any]
    unclear: tuple[str, ...] = ()
    new_class: bool = False


def read_answer(value: Any) -> Said:
    """What was sent. Raises Refused, naming what is wrong with it."""
    if not isinstance(value, dict):
        raise Refused("an answer is an object")
    answer = value.get("answer")
    if answer not in _ANSWERS:
        raise Refused(f"the answer is {answer!r}, expected one of {', '.join(_ANSWERS)}")
    name, undoes = _text(value, "id"), _text(value, "undoes")
    if not _ID.fullmatch(name) or (undoes and len(undoes) > 64):
        raise Refused("the id of an answer has 32 hexadecimal digits")
    labels, unclear = _labels(value, "labels"), _labels(value, "unclear")
    mode = value.get("mode", "single")
    timing = {
        "mode": mode if mode in ("single", "grid") else "single",
        "shown_at": _time(value, "shown_at"),
        "client_at": _time(value, "client_at"),
        "seconds": _seconds(value.get("seconds")),
    }
    item, label, note = _text(value, "item"), _text(value, "label"), _text(value, "note", LONGEST_NOTE)
    new_class = value.get("new_class") is True
    return Said(name, item, answer, label, labels, note, undoes, timing, unclear, new_class)


def _labels(value: Mapping[str, Any], name: str) -> tuple[str, ...]:
    labels = value.get(name) or []
    if not isinstance(labels, list) or len(labels) > MOST_LABELS or not all(isinstance(one, str) for one in labels):
        raise Refused(f"{name} is a list of at most {MOST_LABELS} classes")
    return tuple(sorted(set(labels)))


def label_of(said: Said, entry: Entry, given: str | None, classes: Classes) -> tuple[Answer, str]:
    """The answer and label to record. Raises Refused when this can't be said of this picture.

    Whoever relabels a picture to the label it has keeps it; in a blind check nobody can know.
    """
    if said.answer == "relabel":
        _require_class(said, said.label, classes)
        return ("keep", "") if said.label == given else ("relabel", said.label)
    if said.answer == "both":
        if len(said.labels) < 2:
            raise Refused("both takes at least two classes")
        for label in said.labels:
            _require_class(said, label, classes)
        return "both", json.dumps(said.labels, ensure_ascii=False)
    if said.answer == "keep" and (entry.queue == "spot" or (entry.queue in ("prelabels", "flagged") and given is None)):
        raise Refused("there is no label to keep: choose a class")
    if said.answer == "flag":
        return _flag(entry)
    return said.answer, ""


def _flag(entry: Entry) -> tuple[Answer, str]:
    """A mark for later. What measures a person is asked once, so that whoever can't tell at once is unsure."""
    if entry.queue in ("spot", "adjudication"):
        raise Refused("this picture can't be left for later: say what it shows, or that you are unsure")
    return "unsure" if entry.measures else "flag", ""


def same_answer(said: Said, known: Decision, entry: Entry | None) -> bool:
    """Whether a decision of the log is what is sent again. entry: what it is about, None for an undo of anything."""
    if said.answer == "undo":
        return known.answer == "undo" and (not said.undoes or known.undoes == said.undoes)
    return entry is not None and (known.path, known.sha256) == (entry.path, entry.sha256)


def _require_class(said: Said, label: str, classes: Classes) -> None:
    if label in classes:
        return
    if not said.new_class:
        raise Refused(f"there is no class {label[:80]!r} in this data set")
    try:
        classes.require_possible(label)
    except SourceError as why:
        raise Refused(f"{why} {why.hint}") from why


def _text(value: Mapping[str, Any], name: str, longest: int = 1_000) -> str:
    """A text that a database can hold."""
    text = value.get(name) or ""
    if not isinstance(text, str):
        raise Refused(f"{name} is not a text")
    if len(text) > longest:
        raise Refused(f"{name} has {len(text):,} characters, expected at most {longest:,}")
    if "\0" in text or any("\ud800" <= char <= "\udfff" for char in text):
        raise Refused(f"{name} holds characters that are no text")
    return text


def _time(value: Mapping[str, Any], name: str) -> str:
    """A time in ISO 8601, "" if it is none: the browser's clock is nice to know, and nothing depends on it."""
    try:
        return datetime.fromisoformat(value.get(name, "")).isoformat()
    except (TypeError, ValueError):
        return ""


def _seconds(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return round(min(max(float(value), 0.0), A_DAY_S), 3)
