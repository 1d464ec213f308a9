"""What can be asked about a folder and its store: `status`, `verify`, `why`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from curate import versions
from curate.cache import DECODED
from curate.checks import Column, all_checks, find_check
from curate.decisions import Answer, Decision, new_decision
from curate.errors import SourceError, StoreError
from curate.objects import digest_of, object_path, source_file
from curate.paths import to_text
from curate.progress import Progress, silent
from curate.project import Project
from curate.review_log import Event, Place, append, first_broken_link, read_events, read_log
from curate.reviewed import TARGET, ReviewStanding, require_target, review_standing
from curate.settings import STAGES, Settings
from curate.sources import Bucket, Source, read_ahead
from curate.stages.labels import require_label
from curate.standing import STUDIES, Standing, State, read_state, same_pictures, stand
from curate.studies import read_study
from curate.versions import Version

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Study:
    """What `prove`, `shortcuts` and the like found last. version: name of the one it is about.

    current: whether the newest version has the same pictures, labels and splits.
    """

    name: str
    version: str
    made_at: str
    current: bool


@dataclass(frozen=True)
class Status:
    """How a folder stands against its newest version.

    new, changed, gone: paths, told by size and time alone; no file is opened. decisions: pictures on which people
    have decided otherwise since. stages: how each one of `curate run` stands, in their order. studies: what is known
    beside versions. review: what people found, and how many labels may still be wrong.
    """

    project: Project
    version: Version
    new: list[str]
    changed: list[str]
    gone: list[str]
    decisions: int
    stages: tuple[Standing, ...]
    studies: tuple[Study, ...]
    review: ReviewStanding

    @property
    def stale(self) -> list[Standing]:
        """The stages that were done, and would come out differently now."""
        return [one for one in self.stages if one.judgement in ("stale", "by hand")]

    @property
    def up_to_date(self) -> bool:
        """Whether whatever was done still stands."""
        return not self.stale


def status(
    folder: str | Path,
    *,
    store: str | Path | None = None,
    config: str | Path | None = None,
    changes: Mapping[str, Any] | None = None,
    target: float = TARGET,
    network: bool = False,
) -> Status:
    """Compare the folder, labels, decisions and settings with what the newest version was made of.

    target: share of wrong labels that a review is to get to, 0..1.
    Raises VersionNotFound, StoreError, SettingsError.
    """
    require_target(target)
    project = Project.at(folder, store, config, network)
    project.require_store()
    versions.find_version(project.versions, None)
    state = read_state(project, changes)
    found = state.differences
    stages = tuple(stand(state, stage) for stage in STAGES)
    return Status(
        project, state.version, found.new, found.changed, found.gone, found.decisions, stages, _studies(state),
        review_standing(project, state.rows, target),
    )  # fmt: skip


def _studies(state: State) -> tuple[Study, ...]:
    known = {name: read_study(state.project, name) for name in STUDIES}
    return tuple(
        Study(name, study.version_name, study.made_at, same_pictures(state, study.version_id))
        for name, study in known.items()
        if study is not None
    )


@dataclass(frozen=True)
class Verification:
    """Whether a version's bytes are still what they were.

    changed, missing: paths of kept pictures whose source has other bytes or is gone; `saved` are those of them
    whose bytes the store still has. damaged: files of the store, normalized pictures among them, that are not what was
    written, with the reason. log: the same of people's decisions.
    """

    version: Version
    checked: int
    changed: list[str]
    missing: list[str]
    saved: list[str]
    damaged: dict[str, str]
    log: LogVerification

    @property
    def intact(self) -> bool:
        """Nothing changed, missing or damaged."""
        return self.log.intact and not (self.changed or self.missing or self.damaged)


@dataclass(frozen=True)
class LogVerification:
    """Whether people's decisions are those that were written, in their order.

    decisions: entries of the log. undigested: those of an older curate, which can't be checked. broken: the first entry
    that is not what was written, or before which something is missing. unread: why the log can't be read, "" = it can.
    """

    decisions: int
    undigested: int
    broken: Event | None
    unread: str = ""

    @property
    def intact(self) -> bool:
        """Whether the log is there and whole."""
        return self.broken is None and not self.unread


def verify_log(log: Place) -> LogVerification:
    """Follow the digests of a decision log from its first entry to its last."""
    try:
        events = read_events(log)
    except StoreError as error:
        return LogVerification(0, 0, None, str(error))
    return LogVerification(len(events), sum(not one.chain for one in events), first_broken_link(events))


def verify(
    folder: str | Path,
    version: str | None = None,
    *,
    store: str | Path | None = None,
    network: bool = False,
    progress: Progress = silent,
) -> Verification:
    """Read and hash every picture that a version kept, every file of the store, and every decision of people.

    Raises VersionNotFound.
    """
    project = Project.at(folder, store, network=network)
    project.require_store()
    damaged = versions.damaged_files(project.versions)
    found = versions.find_version(project.versions, version)
    try:
        kept = versions.read_decisions(project.versions, found).query("keep")
    except StoreError:
        if damaged:
            return Verification(found, 0, [], [], [], damaged, verify_log(project.review_log))
        raise
    changed: list[str] = []
    missing: list[str] = []
    saved: list[str] = []
    rows = list(kept[["path", "sha256", "size_bytes"]].itertuples(index=False))
    files = (_Kept(source_file(project, path), sha256, int(size)) for path, sha256, size in rows)
    with progress("Verifying", len(kept)) as advance:
        for (path, sha256, size_bytes), state in zip(rows, read_ahead(_state_of, files), strict=True):
            {"changed": changed, "missing": missing}.get(state, []).append(path)
            copy = object_path(project, sha256)
            if copy.exists() and _state(copy, sha256) == "changed":
                damaged[str(copy.relative_to(project.store))] = "is not what was written"
            elif state != "same" and copy.exists():
                saved.append(path)
            advance(1, size_bytes=size_bytes, errors=state != "same")
    damaged |= _damaged_outputs(project, kept, progress)
    return Verification(found, len(kept), changed, missing, saved, damaged, verify_log(project.review_log))


def _damaged_outputs(project: Project, kept: pd.DataFrame, progress: Progress) -> dict[str, str]:
    """Normalized pictures that are gone or not what was written: file -> what is wrong with it."""
    if "output_sha256" not in kept:
        return {}
    words = {"changed": "is not what was written; delete it and run `curate normalize`", "missing": "is gone"}
    outputs = kept[["output_sha256", "output_size_bytes"]].dropna().drop_duplicates("output_sha256")
    damaged = {}
    with progress("Verifying normalized pictures", len(outputs)) as advance:
        for sha256, size_bytes in outputs.itertuples(index=False):
            file = object_path(project, sha256)
            if (state := _state(file, sha256)) != "same":
                damaged[str(file.relative_to(project.store))] = words[state]
            advance(1, size_bytes=0 if state == "missing" else int(size_bytes), errors=state != "same")
    return damaged


@dataclass(frozen=True, slots=True)
class _Kept:
    """A file, or URL, and the digest that it had."""

    file: str
    sha256: str
    size_bytes: int


def _state_of(kept: _Kept) -> str:
    return _state(kept.file, kept.sha256)


def _state(file: str | Path, sha256: str) -> str:
    try:
        return "same" if digest_of(file) == sha256 else "changed"
    except OSError:
        return "missing"


@dataclass(frozen=True)
class Story:
    """Everything known about one picture in one version.

    row: its row of the table. because: check -> (action, sentence) for each check that flagged it.
    copies: paths of the other members of its duplicate group. history: (version name, what changed).
    """

    version: Version
    row: Mapping[str, Any]
    because: dict[str, tuple[str, str]]
    copies: list[str]
    history: list[tuple[str, str]]
    decisions: list[Decision]


def why(folder: str | Path, path: str | Path, version: str | None = None, *, store: str | Path | None = None) -> Story:
    """One picture's whole story. path: relative to the image folder, or to the current one.

    Raises SourceError, naming similar paths, when the version has no such picture.
    """
    project = Project.at(folder, store)
    project.require_store()
    found = versions.find_version(project.versions, version)
    table = versions.read_table(project.versions, found)
    name = _path_in(table, project, str(path))
    row = table[table["path"] == name].iloc[0]
    values = {str(key): value for key, value in row[row.notna()].items()}
    return Story(
        found, values, explain(values, found.settings), _copies(table, values), _history(project, found, name),
        [one for one in read_log(project.review_log) if one.path == name],
    )  # fmt: skip


def explain(row: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """For each check in the row's flags: its action then, and the reason in words with this row's numbers."""
    reasons = {}
    for name in filter(None, str(row.get("flags", "")).split(";")):
        check, chosen = all_checks().get(name), settings["checks"].get(name, {})
        try:
            sentence = check.because.format(settings=SimpleNamespace(**chosen), **row) if check else "not installed now"
        except (KeyError, AttributeError):  # an old version, of before the check had that column or setting
            sentence = check.summary if check else ""
        reasons[name] = (chosen.get("action", ""), sentence)
    return reasons


def _path_in(table: pd.DataFrame, project: Project, path: str) -> str:
    from difflib import get_close_matches

    inside = _path_inside(project.folder, path)
    for candidate in (path, to_text(path), inside):
        if (table["path"] == candidate).any():
            return candidate
    close = get_close_matches(path, list(table["path"]), n=3, cutoff=0.5)
    hint = f"Did you mean {' or '.join(map(repr, close))}?" if close else f"curate table {project.folder} lists all."
    raise SourceError(f"This version has no picture {path!r}.", hint)


def _path_inside(source: Source, path: str) -> str:
    """The path below the folder, or the bucket's prefix, of a path or URL; "" where it is not below."""
    if isinstance(source, Bucket):
        return to_text(path.removeprefix(f"{source.url}/")) if path.startswith(f"{source.url}/") else ""
    absolute = Path(path).absolute()
    return to_text(absolute.relative_to(source).as_posix()) if absolute.is_relative_to(source) else ""


def _copies(table: pd.DataFrame, row: Mapping[str, Any]) -> list[str]:
    group = row.get("duplicate_group")
    if group is None:
        return []
    return [path for path in table.loc[table["duplicate_group"] == group, "path"] if path != row["path"]]


def _history(project: Project, until: Version, path: str) -> list[tuple[str, str]]:
    """In which versions this picture's row changed, and how, oldest first."""
    story = []
    last: tuple[str, ...] | None = None
    for version in versions.read_versions(project.versions):
        if version.number > until.number:
            break
        rows = versions.read_decisions(project.versions, version)
        now = _standing(rows[rows["path"] == path])
        if now != last:
            story.append((version.name, " · ".join(filter(None, now)) or "not in the folder"))
        last = now
    return story


def _standing(rows: pd.DataFrame) -> tuple[str, ...]:
    if rows.empty:
        return ()
    row = rows.iloc[0]
    verdict = "kept" if row["keep"] else f"dropped ({row['reasons']})"
    label = f"label {row['final_label']}" if isinstance(row["final_label"], str) else ""
    flags = f"flagged {row['flags']}" if row["flags"] and row["keep"] else ""
    return (verdict, label, flags, f"content {str(row['sha256'])[:12]}")


def columns() -> list[tuple[str, Column]]:
    """Every column of the manifest with the stage or check that writes it."""
    from curate.manifest import COLUMNS

    rows = [*COLUMNS, *(("measure", column) for column in DECODED if column.name != "read_error")]
    for check in all_checks().values():
        rows += [(check.name, column) for column in (*check.facts, *check.findings)]
    return rows


def describe_check(name: str, settings: Settings) -> str:
    """A check's own page, with its action and thresholds as these settings have them. Raises SettingsError."""
    from textwrap import fill

    check = find_check(name)
    chosen = settings.of(name)
    lines = [
        f"{name}: {check.summary}",
        *(f"\n{fill(f'{heading}: {text}'.removeprefix(': '), 80)}" for heading, text in check.about.items()),
        "\nSettings",
    ]
    for key, field in type(chosen).model_fields.items():
        lines.append(f"  checks.{name}.{key} = {getattr(chosen, key)!r}")
        lines.append(fill(field.description or "", 78, initial_indent="      ", subsequent_indent="      "))
    return "\n".join(lines)


def record_decisions(
    folder: str | Path,
    paths: Sequence[str],
    answer: Answer,
    *,
    label: str = "",
    note: str = "",
    by: str | None = None,
    store: str | Path | None = None,
) -> list[Decision]:
    """Add a person's word on some pictures of the newest version to the log.

    Raises SourceError for unknown paths, and for files that could not be read: nobody has seen what is in them.
    """
    project = Project.at(folder, store)
    project.require_store()
    newest = versions.find_version(project.versions, None)
    rows = versions.read_decisions(project.versions, newest)
    content = dict(zip(rows["path"], rows["sha256"], strict=True))
    names = [_path_in(rows, project, path) for path in paths]
    reviewer = by or versions.author()
    _require_text(reviewer, label, note)
    _require_decidable(rows.set_index("path").loc[names, "sha256"], reviewer, answer, label)
    made = [new_decision(name, content[name], answer, reviewer, label, note) for name in names]
    append(project.review_log, made)
    return made


def _require_decidable(content: pd.Series[str], reviewer: str, answer: Answer, label: str) -> None:
    if content.isna().any():
        raise SourceError(
            f"{content.index[content.isna()][0]!r} could not be read, so there is nothing to decide about it.",
            "Make it readable, then run: curate clean",
        )
    if ";" in reviewer or reviewer in all_checks():
        raise SourceError(f"{reviewer!r} can't be the name of a reviewer: it reads like a check in `reasons`.")
    if answer == "relabel":
        require_label(label)


def _require_text(*words: str) -> None:
    for word in words:
        if not word.isascii() and any("\ud800" <= char <= "\udfff" for char in word):
            raise SourceError(f"{word!r} is not valid UTF-8.", "Set your terminal to UTF-8.")
