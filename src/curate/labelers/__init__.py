"""What a labeler is, and where labelers are found.

A labeler is one file in this folder: one way to guess labels. It gets the task (all readable pictures, the labels
there are) and its settings, and makes proposals: a vote per picture, or a probability per class. It never sees what
other labelers say; `curate.prelabelling` weighs them against each other. Everything else (the listing, the docs, the
conformance tests) follows from the `LABELER` object. Another package adds one by an entry point in the group
`curate.labelers` that names its LABELER object.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from curate.errors import CurateError, SettingsError
from curate.sources import Source

if TYPE_CHECKING:
    import pandas as pd

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]
Matrix = Callable[[], Floats]  # computed when first called: rules need no embedding
Scores = Callable[[Path], Floats]

UNLABELLED = -1  # in arrays of class indices: no label, or no vote

_HEADING = re.compile(r"^(What it does|When to use|When it is wrong|Source):", re.MULTILINE)


class LabelerSettings(BaseModel):
    """What a labeler needs to be told. Subclasses add one documented field per choice."""

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True)
class LabelingTask:
    """All that labelers may look at.

    table: the readable rows, index 0..N-1, with path, sha256 and label (NA = unlabelled); duplicate_group and facts
        where they were measured. folder: the image folder that the paths are relative to.
    classes: names, sorted; those of the labels and those that labelers declare.
    labels: (N,) class index, UNLABELLED where there is none. groups: (N,) equal for copies of one picture.
    vectors: gives the embedding of every row, (N, D). scores: gives the raw output (logits) of an ONNX classifier for
        every row, (N, C).
    """

    table: pd.DataFrame
    folder: Source
    classes: tuple[str, ...]
    labels: Ints  # (N,)
    groups: Ints  # (N,)
    vectors: Matrix
    scores: Scores

    @property
    def is_labelled(self) -> NDArray[np.bool_]:
        """True where a picture has a label, (N,)."""
        return np.asarray(self.labels != UNLABELLED)


@dataclass(frozen=True)
class Votes:
    """One class per picture, or none, from one voter.

    by: who votes, as people will read it ("rules: label_night"). choice: (N,) class index, UNLABELLED = abstains.
    why: in words, for a picture that it votes on.
    believed: right and wrong votes that it is believed to have cast before any was checked; its votes on labelled
        pictures are counted on top.
    overrules: whether it is asked first, and others only where it abstains.
    """

    by: str
    choice: Ints  # (N,)
    why: str
    believed: tuple[float, float] = (2.0, 1.0)
    overrules: bool = False


@dataclass(frozen=True)
class Probabilities:
    """A probability per class and picture, from one model.

    by_class: (N, K), rows sum to 1; a row of zeros abstains. Rows with a label must be out of sample: predicted by a
        model that saw neither the picture nor a copy of it.
    known: (K,) False for classes that the model can't know, because nobody showed it an example.
    """

    by: str
    by_class: Floats  # (N, K)
    known: NDArray[np.bool_]  # (K,)


@dataclass(frozen=True)
class Proposal:
    """What one labeler says. notes: what people should know of it, one sentence each."""

    votes: tuple[Votes, ...] = ()
    probabilities: tuple[Probabilities, ...] = ()
    notes: tuple[str, ...] = field(default=())


def declares_nothing(settings: Any) -> Sequence[str]:  # noqa: ARG001  the signature of every `declare`
    """No class beyond those of the labels."""
    return ()


@dataclass(frozen=True)
class Labeler:
    """One way to pre-label.

    propose: task, settings -> Proposal. declare: settings -> classes that it may vote for although no picture has
        them yet. Both raise CurateError for what the user can mend.
    """

    name: str
    summary: str
    settings: type[LabelerSettings]
    propose: Callable[[LabelingTask, Any], Proposal]
    declare: Callable[[Any], Sequence[str]] = declares_nothing

    @property
    def about(self) -> dict[str, str]:
        """The page of the labeler, its module's docstring: the first sentence under "", then each heading's text."""
        text = sys.modules[self.propose.__module__].__doc__ or self.summary
        first, *parts = _HEADING.split(text.strip())
        told = {heading: " ".join(body.split()) for heading, body in zip(parts[::2], parts[1::2], strict=True)}
        return {"": " ".join(first.split()), **told}


@cache
def all_labelers() -> dict[str, Labeler]:
    """Every labeler by name: those of this folder and those that installed packages add."""
    built_in = [import_module(f"{__name__}.{module.name}").LABELER for module in iter_modules(__path__)]
    added = [point.load() for point in entry_points(group="curate.labelers")]
    return {labeler.name: labeler for labeler in sorted([*built_in, *added], key=lambda labeler: labeler.name)}


def find_labeler(name: str) -> Labeler:
    """The labeler of that name. Raises SettingsError that names the nearest there is."""
    if name not in all_labelers():
        raise SettingsError(f"There is no labeler {name!r}.", did_you_mean(name, list(all_labelers())))
    return all_labelers()[name]


def class_index(name: str, classes: Sequence[str], who: str) -> int:
    """The index of a class. Raises CurateError for one that neither a label nor a declaration names."""
    if name not in classes:
        raise CurateError(
            f"{who} gives the label {name!r}, which is no class of this folder. {did_you_mean(name, classes)}",
            "If it is a new class, declare it where the rules or the mapping stand, or label a picture with it.",
        )
    return classes.index(name)


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """A hint that names the nearest known word, or a few of all, if none is near."""
    from difflib import get_close_matches

    by_lower = {name.lower(): name for name in reversed(known)}
    close = get_close_matches(word.lower(), list(by_lower), n=1)
    if close:
        return f"Did you mean {by_lower[close[0]]!r}?"
    more = ", …" if len(known) > 10 else ""
    return f"There are: {', '.join(known[:10])}{more}." if known else "There are none yet."
