"""`add`: new pictures come into the folder, and a version that knows them follows, at the cost of the new ones alone.

new files ── whole? ─▶ known? ─▶ copied into the folder ─▶ clean ─▶ prelabel ─▶ queued for review
             arriving  sha256     batches/0003.json

It is the one command that writes into the folder of images, as that is what it is for. It never replaces a file: each
is copied under a name that nobody has, whole or not at all. New files are only read, and stay where they are.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate import versions
from curate.arriving import PATIENCE_S, Arrived, NewFile, look_for
from curate.batches import Arrival, Batch, read_batches, write_batch
from curate.errors import CurateError, SourceError
from curate.files import explained, sync
from curate.modelling import Modelled, prelabel
from curate.names import folded, safe_path, untaken
from curate.objects import digest_of, place
from curate.paths import to_file_name, to_text
from curate.pipeline import Cleaned, clean_project
from curate.progress import Progress, silent
from curate.project import Project
from curate.run_record import RunRecord
from curate.settings import Settings, load_settings, with_executor
from curate.stages.labels import UNLABELED
from curate.standing import remembered
from curate.versions import Version

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Added:
    """What came, and what became of it.

    batch: None where nothing new came. cleaned: what `clean` made of it; None as well then. suggested: what `prelabel`
    says; None where it could not, and `unsuggested` is why. waiting: path -> why a file is not whole yet. other: files
    that are no pictures.
    """

    project: Project
    batch: Batch | None
    cleaned: Cleaned | None
    suggested: Modelled | None
    unsuggested: str
    waiting: Mapping[str, str] = field(default_factory=dict)
    other: Sequence[str] = ()

    @property
    def version(self) -> Version | None:
        """The one that holds the batch; None without a batch."""
        return self.suggested.version if self.suggested else self.cleaned.version if self.cleaned else None

    @property
    def rows(self) -> pd.DataFrame:
        """The rows of the new pictures, as the last stage left them. There must be a batch."""
        last = self.suggested or self.cleaned
        assert last is not None
        assert self.batch is not None
        found: pd.DataFrame = last.table[last.table["path"].isin(self.batch.paths("new"))]
        return found

    def told(self) -> dict[str, Any]:
        """As plain data: how many came, and what they are."""
        batch = self.batch
        numbers = {name: len(batch.paths(name)) if batch else 0 for name in ("new", "known", "lost")}
        rows = self.rows if batch is not None and self.cleaned is not None else None
        return {
            "batch": batch.number if batch else None,
            "version": batch.version if batch else None,
            **numbers,
            "waiting": dict(self.waiting),
            "other": len(self.other),
            "dropped": int((~rows["keep"]).sum()) if rows is not None else 0,
            "unreadable": int(rows["read_error"].notna().sum()) if rows is not None else 0,
            "near_copies": int(rows["duplicate_group"].notna().sum()) if rows is not None else 0,
            "suggested": int(rows["pred_label"].notna().sum()) if rows is not None and self.suggested else 0,
            "to_review": to_review(rows) if rows is not None else 0,
            "not_suggested_because": self.unsuggested,
        }


def add(
    folder: str | Path,
    new: Sequence[str | Path],
    *,
    into: str = "",
    store: str | Path | None = None,
    config: str | Path | None = None,
    changes: Mapping[str, Any] | None = None,
    executor: str | None = None,
    workers: int | None = None,
    suggest: bool = True,
    patience_s: float = PATIENCE_S,
    progress: Progress = silent,
) -> Added:
    """Copy new pictures into the folder, check them against everything known, and suggest labels for them.

    new: files, and folders with files. into: the folder below DIR for them, for example a class; "" = files of a class
    folder keep it if the class is known, the others go to `_unlabeled`. suggest: pre-label them. patience_s: so long
    a young picture that is cut off is taken for one that is still being written.
    Raises SourceError for sources that can't be added; StoreError when the disk is full: the same command goes on.
    """
    project = Project.at(folder, store, config)
    # What `curate clean` was told on the command line still holds, or the old pictures would lose their labels.
    known = remembered(project, versions.read_versions(project.versions), changes)
    chosen = with_executor(known, executor, workers)
    settings = load_settings(project.config, chosen)
    directory = directory_of(project)
    take_in = partial(_taken_in, project, settings, changes=chosen, suggest=suggest, progress=progress)
    with project.writing("curate add"):
        left = _finish_copying(project, directory, progress)
    before = take_in(left) if left else None
    with project.writing("curate add"):
        arrived = look_for([Path(one) for one in new], directory, project.store, patience_s)
        batch = _planned(project, directory, settings, arrived, [str(one) for one in new], into, progress)
        batch = _copied(project, directory, batch, progress) if batch else None
    done = take_in(batch) if batch else before or Added(project, None, None, None, "")
    return replace(done, waiting=arrived.waiting, other=arrived.other)


def to_review(rows: pd.DataFrame) -> int:
    """How many of these rows the queues of `curate review` hold: a doubt that nobody decided, or a suggested label."""
    doubted = rows["keep"] & (rows["flags"] != "")
    if "pred_label" in rows:
        doubted |= rows["keep"] & rows["final_label"].isna() & rows["pred_label"].notna()
    return int((doubted & rows["reviewed"].isna()).sum())


def directory_of(project: Project) -> Path:
    """The folder to copy to. Raises SourceError for a bucket, and for one that does not exist."""
    if not isinstance(project.folder, Path):
        raise SourceError(
            f"Pictures can't be added to {str(project.folder)!r}: curate only reads there.",
            "Put them there by other means, then run: curate clean",
        )
    if not project.folder.is_dir():
        raise SourceError(f"There is no folder {str(project.folder)!r}.", "Check the spelling, or make it first.")
    return project.folder


# ---- Into the folder


def _planned(
    project: Project, directory: Path, settings: Settings, arrived: Arrived, sources: Sequence[str], into: str,
    progress: Progress,
) -> Batch | None:  # fmt: skip
    """A batch of what is whole and was not in an earlier one, written down; None if that is nothing."""
    batches = read_batches(project.batches)
    fresh = fresh_files(batches, arrived)
    if not fresh:
        return None
    digests = []
    with progress("Looking at new files", len(fresh)) as advance:
        for found in fresh:
            digests.append(_digest(found))
            advance(1, size_bytes=found.size_bytes)
    names = _Names(directory, settings, into)
    known = _known_contents(project, directory, {one for one in digests if one})
    arrivals = [_arrival(found, sha256, known, names) for found, sha256 in zip(fresh, digests, strict=True) if sha256]
    number = batches[-1].number + 1 if batches else 1
    now = datetime.now(UTC).isoformat(timespec="seconds")
    batch = Batch(number, now, versions.author(), tuple(map(to_text, sources)), "planned", tuple(arrivals))
    write_batch(project.batches, batch)
    return batch


def fresh_files(batches: Sequence[Batch], arrived: Arrived) -> list[NewFile]:
    """What is whole and was in none of the batches, told by name, size and time; what was lost then may come again."""
    known = [one for batch in batches for one in batch.arrivals if one.outcome != "lost"]
    taken = {(one.source, one.size_bytes, one.mtime_ns) for one in known}
    return [one for one in arrived.whole if (to_text(one.file), one.size_bytes, one.mtime_ns) not in taken]


def _digest(found: NewFile) -> str | None:
    """Of the file's bytes; None if it is gone."""
    try:
        return digest_of(Path(found.file))
    except OSError:
        return None


def _arrival(found: NewFile, sha256: str, known: dict[str, str], names: _Names) -> Arrival:
    """What is to become of a file. known: sha256 -> path, gets the new ones."""
    said = (sha256, found.size_bytes, found.mtime_ns)
    if sha256 in known:
        return Arrival(to_text(found.file), known[sha256], *said, "known")
    known[sha256] = names.free(found.below)
    return Arrival(to_text(found.file), known[sha256], *said)


def _known_contents(project: Project, directory: Path, wanted: Set[str]) -> dict[str, str]:
    """sha256 -> path of those of the wanted contents that the newest version has and the folder still holds."""
    newest = versions.head(project.versions)
    if newest is None:
        return {}
    rows = versions.read_decisions(project.versions, newest, ["sha256"])
    rows = rows[rows["sha256"].isin(list(wanted))]
    pairs = zip(rows["sha256"], rows["path"], strict=True)
    return {sha256: path for sha256, path in pairs if os.path.lexists(directory / to_file_name(path))}


class _Names:
    """Gives each new file a path in the folder that nobody has."""

    def __init__(self, directory: Path, settings: Settings, into: str) -> None:
        self._directory = directory
        self._into = safe_path(into)
        self._by_folders = settings.scan.labels == "folders"
        self._classes = {one.name for one in os.scandir(directory) if one.is_dir() and not one.name.startswith(".")}
        self._taken: dict[str, set[str]] = {}  # folder -> names in it, as no system tells them apart

    def free(self, below: str) -> str:
        """The path, as text, for a file that was found at this path below what people named."""
        path = "/".join(filter(None, (self._folder(below), safe_path(below))))
        folder, _, name = path.rpartition("/")
        names = untaken(name, "new", self._names_in(folder))
        return f"{folder}/{names}" if folder else names

    def _folder(self, below: str) -> str:
        """What to put before the path."""
        if self._into or not self._by_folders:
            return self._into
        known = "/" in below and below.partition("/")[0] in self._classes | {UNLABELED}
        return "" if known else UNLABELED

    def _names_in(self, folder: str) -> set[str]:
        if folder not in self._taken:
            there = self._directory / to_file_name(folder)
            self._taken[folder] = {folded(to_text(name)) for name in os.listdir(there)} if there.is_dir() else set()
        return self._taken[folder]


def _finish_copying(project: Project, directory: Path, progress: Progress) -> Batch | None:
    """The batch that a killed run left unfinished, now copied; None if there is none."""
    left = [batch for batch in read_batches(project.batches) if batch.state != "done"]
    if not left:
        return None
    return _copied(project, directory, left[0], progress) if left[0].state == "planned" else left[0]


def _copied(project: Project, directory: Path, batch: Batch, progress: Progress) -> Batch:
    """Copy what is not there yet, and write down how that went."""
    arrivals = []
    with progress("Copying", len(batch.arrivals)) as advance:
        for arrival in batch.arrivals:
            arrivals.append(arrival if arrival.outcome != "new" else _copy(arrival, directory))
            advance(1, size_bytes=arrival.size_bytes, errors=arrivals[-1].outcome == "lost")
    done = replace(batch, state="copied", arrivals=tuple(arrivals))
    write_batch(project.batches, done)
    return done


def _copy(arrival: Arrival, directory: Path) -> Arrival:
    """Make the file, whole or not at all. It is there already where an earlier try was killed after it."""
    target = directory / to_file_name(arrival.path)
    source = Path(to_file_name(arrival.source))
    temporary = target.with_name(f".curate-{arrival.sha256[:16]}.tmp")  # hidden, so that no scan sees it
    with explained(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary.unlink(missing_ok=True)
        if target.exists():
            if digest_of(target) == arrival.sha256:
                return arrival
            raise FileExistsError(17, "somebody else has put a file there meanwhile", str(target))
        try:
            place(source, temporary, ("reflink", "copy"))
            if digest_of(temporary) != arrival.sha256:
                return replace(arrival, outcome="lost")
            os.utime(temporary, ns=(arrival.mtime_ns, arrival.mtime_ns))
            sync(temporary)
            os.link(temporary, target)  # unlike a rename, it replaces nothing
        except (FileNotFoundError, PermissionError):
            return replace(arrival, outcome="lost")
        finally:
            with suppress(FileNotFoundError):
                temporary.unlink()
        sync(target.parent)
    return arrival


# ---- Into a version


def _taken_in(
    project: Project, settings: Settings, batch: Batch, *, changes: Mapping[str, Any], suggest: bool, progress: Progress
) -> Added:
    """Check the folder with the batch, suggest labels, and write down which version holds it."""
    run = RunRecord("curate add", progress)
    run.note(batch=batch.number, sources=list(batch.sources), new=len(batch.paths("new")))
    cleaned = clean_project(project, settings, run)
    suggested, why = _suggested(project, changes, progress) if suggest and batch.paths("new") else (None, "")
    found = Added(project, batch, cleaned, suggested, why)
    done = replace(batch, state="done", version=found.version.name if found.version else "")
    with project.writing("curate add"):
        write_batch(project.batches, done)
    return replace(found, batch=done)


def _suggested(project: Project, changes: Mapping[str, Any], progress: Progress) -> tuple[Modelled | None, str]:
    """What `prelabel` says, or why it says nothing: without labels there is nothing to learn from."""
    assert isinstance(project.folder, Path)
    try:
        found = prelabel(project.folder, store=project.store, config=project.config, changes=changes, progress=progress)
    except CurateError as error:
        return None, str(error)
    return found, ""
