r"""Rules that people write: functions in Python, or patterns of paths and EXIF tags in TOML.

What it does: each rule looks at one picture's path, EXIF tags, size and facts, and votes for a class or abstains. How
far a rule can be trusted is counted where it votes on labelled pictures, and against what models say elsewhere. In
Python, every function whose name begins with `label_` is a rule; it gets a `Picture` and returns a class name or None:

    def label_night(picture):
        if "night" in picture.folders or picture.facts["luma_p50"] < 40:
            return "night"

In TOML, every table `[[rule]]` is one; all its conditions must hold:

    [[rule]]
    path = "*/night/*"
    label = "night"

    [[rule]]
    exif = "Model"
    matches = "^NIKON"
    label = "street"

Classes that no picture has yet are declared: `CLASSES = ["night"]` in Python, `classes = ["night"]` above the rules in
TOML.
When to use: when paths, cameras or dates tell something; before there is any label, several rules that overlap.
When it is wrong: where a rule raises, it abstains, which is counted and told. Rules that are wrong together are
believed together unless labelled pictures tell otherwise. A Python file is run as it is, with all your rights: only
give one that you trust.
Source: data programming (Ratner et al. 2016), with votes weighed by `curate.pooling`.
"""

from __future__ import annotations

import re
import runpy
import tomllib
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from curate.errors import SourceError
from curate.labelers import UNLABELLED, Ints, Labeler, LabelerSettings, LabelingTask, Proposal, Votes, class_index
from curate.paths import to_file_name
from curate.sources import file_in, open_file, root_of

ExifValue = str | int | float | tuple[float, ...]

_EXIF_BLOCKS = (0x8769, 0x8825)  # Exif (exposure, lens, dates) and GPS; the first block holds camera and author


class Settings(LabelerSettings):
    files: tuple[Path, ...] = Field((), description="Rules in Python (.py, run as it is) or TOML (.toml).")


@dataclass(frozen=True)
class Picture:
    """What a rule may look at.

    path: below the image folder, with /. folders: its parts without the file name. name: the file name.
    width, height: in px, 0 if not measured. facts: every column of the table that is not NA for it, by name.
    file: the picture itself; of a bucket, its URL.
    """

    path: str
    folders: tuple[str, ...]
    name: str
    width: int
    height: int
    facts: Mapping[str, Any]
    file: Path | str

    @cached_property
    def exif(self) -> dict[str, ExifValue]:
        """EXIF tags by their usual names ("Model", "DateTimeOriginal"); empty if it has none, or damaged ones."""
        return read_exif(self.file)


@dataclass(frozen=True)
class Rule:
    """One rule. name: as people will read it. label: Picture -> class name, or None to abstain."""

    name: str
    label: Callable[[Picture], object]


@dataclass(frozen=True)
class RuleFile:
    """The rules of one file, and the classes it declares."""

    rules: tuple[Rule, ...]
    classes: tuple[str, ...]


def propose(task: LabelingTask, settings: Settings) -> Proposal:
    rules = [rule for file in settings.files for rule in read_rules(file).rules]
    if not rules:
        return Proposal()
    pictures = _pictures(task)
    votes, notes = [], []
    for rule in rules:
        choice, note = _run(rule, pictures, task)
        votes.append(Votes(f"rules: {rule.name}", choice, f"the rule {rule.name} says so"))
        notes += note
    return Proposal(tuple(votes), notes=tuple(notes))


def declare(settings: Settings) -> Sequence[str]:
    return [name for file in settings.files for name in read_rules(file).classes]


def read_rules(file: Path) -> RuleFile:
    """The rules of a Python or TOML file. Raises SourceError that says what is wrong with it."""
    if not file.is_file():
        raise SourceError(f"There is no rules file {str(file)!r}.", "Give a .py or .toml file; see docs/labelers.md.")
    if file.suffix == ".py":
        found = _read_python(file)
    elif file.suffix == ".toml":
        found = _read_toml(file)
    else:
        raise SourceError(f"{str(file)!r} is no rules file that curate reads: expected .py or .toml.")
    if not found.rules:
        raise SourceError(
            f"The rules file {str(file)!r} has no rule.",
            "A rule is a Python function whose name begins with label_, or a table [[rule]] in TOML.",
        )
    return found


def read_exif(file: Path | str) -> dict[str, ExifValue]:
    """EXIF tags of a picture by name, texts without trailing zeros, fractions as floats; empty without or damaged."""
    from PIL import ExifTags, Image

    tags: dict[str, ExifValue] = {}
    try:
        with warnings.catch_warnings(), open_file(file) as stream, Image.open(stream) as image:
            warnings.simplefilter("ignore")  # of damaged EXIF, which is no news here
            exif = image.getexif()
            blocks = [(ExifTags.TAGS, dict(exif)), *((_names(tag), exif.get_ifd(tag)) for tag in _EXIF_BLOCKS)]
            for names, block in blocks:
                values = {names[tag]: _plain(value) for tag, value in block.items() if tag in names}
                tags |= {name: value for name, value in values.items() if value is not None}
    except Exception:  # noqa: BLE001  damaged EXIF fails in many ways, and only means that there is none to go by
        return {}
    return tags


def _run(rule: Rule, pictures: Sequence[Picture], task: LabelingTask) -> tuple[Ints, list[str]]:
    """The votes of a rule, (N,), and a note on pictures that it failed on, if any."""
    choice = np.full(len(pictures), UNLABELLED, np.int64)
    failures: list[str] = []
    for row, picture in enumerate(pictures):
        try:
            label = rule.label(picture)
        except Exception as error:  # noqa: BLE001  people's own code may raise anything; it is counted and shown
            failures.append(f"{picture.path!r}: {type(error).__name__}: {error}")
            continue
        if label is not None:
            choice[row] = class_index(str(label), task.classes, f"The rule {rule.name} (on {picture.path!r})")
    if not failures:
        return choice, []
    note = f"The rule {rule.name} failed on {len(failures)} of {len(pictures)} pictures and abstains there, first on "
    return choice, [f"{note}{failures[0]}."]


def _pictures(task: LabelingTask) -> list[Picture]:
    return [_picture({str(name): value for name, value in row.items()}, task) for row in task.table.to_dict("records")]


def _picture(row: Mapping[str, Any], task: LabelingTask) -> Picture:
    import pandas as pd

    facts = {name: value for name, value in row.items() if pd.notna(value)}
    path = str(row["path"])
    *folders, name = path.split("/")
    return Picture(
        path=path,
        folders=tuple(folders),
        name=name,
        width=int(facts.get("width", 0)),
        height=int(facts.get("height", 0)),
        facts=facts,
        file=task.folder / to_file_name(path) if isinstance(task.folder, Path) else file_in(root_of(task.folder), path),
    )


# ---- Python


def _read_python(file: Path) -> RuleFile:
    try:
        names = runpy.run_path(str(file))
    except Exception as error:
        raise SourceError(f"The rules file {str(file)!r} can't be run: {type(error).__name__}: {error}.") from error
    rules = [Rule(name, value) for name, value in names.items() if name.startswith("label_") and callable(value)]
    return RuleFile(tuple(rules), tuple(map(str, names.get("CLASSES", ()))))


# ---- TOML


class Pattern(BaseModel):
    """One table [[rule]]."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    label: str
    name: str = ""
    path: str = ""
    exif: str = ""
    equals: str | int | float | None = None
    matches: re.Pattern[str] | None = None

    @model_validator(mode="after")
    def _has_conditions(self) -> Pattern:
        if not self.path and not self.exif:
            raise ValueError('it needs a condition: path = "…", or exif = "…" with equals or matches')
        if bool(self.exif) == (self.equals is None and self.matches is None):
            raise ValueError("exif, the name of a tag, goes with equals or matches, its value")
        return self

    @property
    def title(self) -> str:
        """Its name, or its conditions."""
        value = self.matches.pattern if self.matches else self.equals
        conditions = [self.path, f"{self.exif} {value}" if self.exif else ""]
        return self.name or " and ".join(one for one in conditions if one)

    def vote(self, picture: Picture) -> str | None:
        """The label where all conditions hold. "*/night/*" also holds for a folder `night` at the top."""
        if self.path and not any(fnmatchcase(path, self.path) for path in (picture.path, f"/{picture.path}")):
            return None
        return self.label if not self.exif or self._has_tag(picture.exif.get(self.exif)) else None

    def _has_tag(self, value: ExifValue | None) -> bool:
        if value is None:
            return False
        if self.matches and not self.matches.search(str(value)):
            return False
        return self.equals is None or str(value) == str(self.equals) or value == self.equals


class PatternFile(BaseModel):
    """A TOML file of rules."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    classes: tuple[str, ...] = ()
    rule: tuple[Pattern, ...] = ()


def _read_toml(file: Path) -> RuleFile:
    try:
        parsed = PatternFile.model_validate(tomllib.loads(file.read_text(encoding="utf-8-sig")))
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(str(part + 1 if isinstance(part, int) else part) for part in problem["loc"])
        raise SourceError(
            f"The rules file {str(file)!r} does not fit at {place}: {problem['msg'].removeprefix('Value error, ')}.",
            'Expected [[rule]] with label and path = "*/night/*", or exif = "Model" and equals or matches.',
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SourceError(f"The rules file {str(file)!r} is not valid TOML: {error}.") from error
    return RuleFile(tuple(Rule(one.title, one.vote) for one in parsed.rule), parsed.classes)


# ---- EXIF


def _names(block: int) -> Mapping[int, str]:
    from PIL import ExifTags

    return ExifTags.GPSTAGS if block == 0x8825 else ExifTags.TAGS


def _plain(value: object) -> ExifValue | None:
    """Text, number or numbers; None for what is neither, like a maker's own bytes."""
    from PIL.TiffImagePlugin import IFDRational

    if isinstance(value, str):
        return value.rstrip("\0 ")
    if isinstance(value, IFDRational):
        return float(value)
    if isinstance(value, int | float):
        return value
    if isinstance(value, tuple):
        return tuple(float(part) for part in value)
    return None


LABELER = Labeler("rules", "rules on paths, EXIF tags and facts that you write", Settings, propose, declare)
