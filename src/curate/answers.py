"""Answers that people gave elsewhere, or take elsewhere: votes as CSV, and what was answered in Label Studio.

An answer that comes in is a vote of its author on the picture's content, like one that was given in `curate review`,
and decides as those do: where several people answered, when most of them agree. The same file can be read again.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from curate import versions
from curate.agreement import BOTH, NEITHER, said_of
from curate.decisions import MEASURING, Decision, not_taken_back
from curate.errors import SourceError
from curate.files import replacing
from curate.project import Project
from curate.review_log import append, read_log
from curate.verdicts import overruled
from curate.votes import read_votes

Kept = dict[str, tuple[str, object]]  # path -> sha256 and the source's label, of kept pictures
# How votes elsewhere call what is no class; only where no class has that name.
WORDS = {"neither": NEITHER, "both": BOTH}
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
COLUMNS = ("path", "annotator", "label", "answer", "note", "decided_at", "round", "sha256")


@dataclass(frozen=True)
class Imported:
    """What came in. answers: new ones. pictures, people: that they are of. unknown: paths that are no kept picture.

    changed: paths whose picture has other bytes than when it was answered about. overruled: pictures on which most
    of at least three people chose another label than the given.
    """

    answers: int
    pictures: int
    people: int
    unknown: list[str]
    changed: list[str]
    overruled: int


@dataclass(frozen=True)
class _Answer:
    """sha256, when: "" where the file does not say."""

    path: str
    sha256: str
    annotator: str
    when: str
    label: str


def import_answers(folder: str | Path, file: str | Path, *, store: str | Path | None = None) -> Imported:
    """Add votes (CSV, TSV, JSONL or Parquet: path, annotator, label), or Label Studio's export, to the log.

    Raises SourceError when the file can't be understood, or none of its answers is about a kept picture.
    """
    project = Project.at(folder, store)
    project.require_store()
    rows = versions.read_decisions(project.versions, versions.find_version(project.versions, None))
    rows = rows[rows["keep"] & rows["sha256"].notna()]
    kept: Kept = {
        path: (sha256, label) for path, sha256, label in zip(rows["path"], rows["sha256"], rows["label"], strict=True)
    }
    answers = _in_our_words(list(_read(Path(file), set(kept))), kept)
    known = [one for one in answers if one.path in kept]
    if not known:
        first = f"; the first is {answers[0].path!r}" if answers else ""
        raise SourceError(
            f"None of the {len(answers):,} answers in {str(file)!r} is about a kept picture of this folder{first}.",
            "Write paths relative to the image folder, like cats/1.jpg.",
        )
    changed = {one.path for one in known if one.sha256 not in ("", kept[one.path][0])}
    current = [one for one in known if one.path not in changed]
    decisions = _decisions(current, kept, Path(file).name)
    before = {one.id for one in read_log(project.review_log)}
    append(project.review_log, decisions)
    return Imported(
        answers=len({one.id for one in decisions} - before),
        pictures=len({one.path for one in decisions}),
        people=len({one.reviewer for one in decisions}),
        unknown=sorted({one.path for one in answers if one.path not in kept}),
        changed=sorted(changed),
        overruled=len(overruled(decisions, {path: label for path, (_, label) in kept.items()})),
    )


def _read(file: Path, known: set[str]) -> Iterator[_Answer]:
    from curate.importers import labelstudio

    if labelstudio.recognises(file):
        for path, sha256, annotator, when, label in labelstudio.answers(file):
            yield _Answer(path, sha256, annotator, when, label)
        return
    for path, annotator, label in read_votes(file, known).itertuples(index=False):
        yield _Answer(path if path in known else unguarded(path), "", unguarded(annotator), "", unguarded(label))


def guarded(text: str) -> str:
    """A cell that no spreadsheet takes for a formula, wherever the file is opened.

    Source: OWASP, CSV injection. `unguarded` takes back what this does.
    """
    return f"'{text}" if text.startswith(_FORMULA) else text


def unguarded(text: str) -> str:
    """The text that was guarded; any other is left as it is."""
    return text[1:] if text[:1] == "'" and text[1:].startswith(_FORMULA) else text


def _in_our_words(answers: Sequence[_Answer], kept: Kept) -> list[_Answer]:
    classes = {label for _, label in kept.values()}
    words = {theirs: ours for theirs, ours in WORDS.items() if theirs not in classes}
    return [replace(one, label=words.get(one.label.casefold(), one.label)) for one in answers]


def _decisions(answers: Sequence[_Answer], kept: Kept, source: str) -> list[Decision]:
    voters = Counter(one.path for one in answers)
    named = _named(answers, kept)
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    made = []
    for one in answers:
        sha256, given = kept[one.path]
        # The same answer in the same or a later file counts once.
        key = json.dumps([one.path, sha256, one.annotator, one.when, one.label])
        answer, label = _verdict(one.label, given, named[one.path])
        made.append(
            Decision(
                id=hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:32],
                decided_at=one.when or now,
                reviewer=one.annotator,
                path=one.path,
                sha256=sha256,
                answer=answer,
                label=label,
                note="",
                round="vote",
                quota=voters[one.path],
                context={"source": source, **({"given": given} if isinstance(given, str) else {})},
            )
        )
    return made


def _named(answers: Sequence[_Answer], kept: Kept) -> dict[str, list[str]]:
    """Path -> the classes that the picture may be of, by its label and its voters: what "both" speaks of."""
    named = {one.path: {label} if isinstance(label := kept[one.path][1], str) else set[str]() for one in answers}
    for one in answers:
        if one.label not in (NEITHER, BOTH):
            named[one.path].add(one.label)
    return {path: sorted(classes) for path, classes in named.items()}


def _verdict(label: str, given: object, named: Sequence[str]) -> tuple[Any, str]:
    """The answer and label to record. named: the classes of which "both" speaks."""
    if label == NEITHER:
        return "drop", ""
    if label == BOTH:
        return "both", json.dumps(named, ensure_ascii=False)
    return ("keep", "") if label == given else ("relabel", label)


def export_answers(folder: str | Path, out: str | Path, *, store: str | Path | None = None) -> int:
    """Write every standing answer as a row of a CSV file, which `import_answers` reads; the number of rows.

    Several people's votes on one picture are several rows; of one person's, the newest.
    """
    project = Project.at(folder, store)
    project.require_store()
    rows = versions.read_decisions(project.versions, versions.find_version(project.versions, None))
    given = dict(zip(rows["path"], rows["label"], strict=True))
    lines = -1  # the first has the names of the columns
    with replacing(Path(out)) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        for line in answer_lines(read_log(project.review_log), given):
            stream.write(line)
            lines += 1
    return lines


def answer_lines(log: Sequence[Decision], given: Mapping[str, object]) -> Iterator[str]:
    """The standing answers as lines of a CSV file, the names of the columns first. given: path -> the source's label.

    What measured people is none of them.
    """
    newest = {(one.path, one.reviewer): one for one in not_taken_back(log) if one.round not in MEASURING}
    yield _line(COLUMNS)
    for one in newest.values():
        if one.answer != "accept" and (label := _label(one, given.get(one.path))):
            yield _line((one.path, one.reviewer, label, one.answer, one.note, one.decided_at, one.round, one.sha256))


def _line(cells: Sequence[str]) -> str:
    line = io.StringIO()
    csv.writer(line).writerow([guarded(cell) for cell in cells])
    return line.getvalue()


def _label(decision: Decision, given: object) -> str:
    """What a decision says the picture shows; "" where it says nothing of it."""
    shown = decision.context.get("given")  # another where it was relabelled before
    return "" if decision.answer == "unsure" else said_of(decision, shown if isinstance(shown, str) else given)
