"""Answers that people gave elsewhere, or take elsewhere: votes as CSV, and what was answered in Label Studio.

An answer that comes in is a vote of its author on the picture's content, like one that was given in `curate review`,
and decides as those do: where several people answered, when most of them agree. The same file can be read again.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from curate import versions
from curate.agreement import NEITHER, said_of
from curate.decisions import Decision, not_taken_back
from curate.errors import SourceError
from curate.files import replacing
from curate.project import Project
from curate.review_log import append, read_log
from curate.votes import MIN_VOTES, read_votes, verified_errors

Kept = dict[str, tuple[str, object]]  # path -> sha256 and the source's label, of kept pictures
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
    answers = list(_read(Path(file), set(kept)))
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
        overruled=_overruled(current, kept),
    )


def _read(file: Path, known: set[str]) -> Iterator[_Answer]:
    from curate.importers import labelstudio

    if labelstudio.recognises(file):
        for path, sha256, annotator, when, label in labelstudio.answers(file):
            yield _Answer(path, sha256, annotator, when, label)
        return
    for path, annotator, label in read_votes(file, known).itertuples(index=False):
        yield _Answer(path, "", annotator, "", label)


def _decisions(answers: Sequence[_Answer], kept: Kept, source: str) -> list[Decision]:
    voters = Counter(one.path for one in answers)
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    made = []
    for one in answers:
        sha256, given = kept[one.path]
        # The same answer in the same or a later file counts once.
        key = json.dumps([one.path, sha256, one.annotator, one.when, one.label])
        answer, label = _verdict(one.label, given)
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


def _verdict(label: str, given: object) -> tuple[Any, str]:
    if label == NEITHER:
        return "drop", ""
    return ("keep", "") if label == given else ("relabel", label)


def _overruled(answers: Sequence[_Answer], kept: Kept) -> int:
    """How many pictures most of at least three people would label otherwise, as `curate flag --votes` counts them."""
    import pandas as pd

    votes = pd.DataFrame([(one.path, one.annotator, one.label) for one in answers], columns=list(COLUMNS[:3]))
    if votes.empty or votes.groupby("path").size().max() < MIN_VOTES:
        return 0
    given = {path: label for path, (_, label) in kept.items() if isinstance(label, str)}
    return int(verified_errors(votes, given).sum())


def export_answers(folder: str | Path, out: str | Path, *, store: str | Path | None = None) -> int:
    """Write every standing answer as a row of a CSV file, which `import_answers` reads; the number of rows.

    Several people's votes on one picture are several rows; of one person's, the newest.
    """
    project = Project.at(folder, store)
    project.require_store()
    rows = versions.read_decisions(project.versions, versions.find_version(project.versions, None))
    given = dict(zip(rows["path"], rows["label"], strict=True))
    newest = {(one.path, one.reviewer): one for one in not_taken_back(read_log(project.review_log))}
    said = [one for one in newest.values() if one.answer != "accept" and _label(one, given.get(one.path))]
    with replacing(Path(out)) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(COLUMNS)
        for one in said:
            label = _label(one, given.get(one.path))
            table.writerow((one.path, one.reviewer, label, one.answer, one.note, one.decided_at, one.round, one.sha256))
    return len(said)


def _label(decision: Decision, given: object) -> str:
    """What a decision says the picture shows; "" where it says nothing of it."""
    return "" if decision.answer in ("both", "unsure") else said_of(decision, given)
