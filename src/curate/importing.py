"""`import_`: a data set of another tool as a folder of images with labels, ready for `curate clean`.

The pictures get names that are safe on every system; labels, splits and several annotators' votes go to the new
store (`imported.csv`, `votes.csv`), as class names need not be folder names. The source is only read. The folder
appears when it is whole: a kill leaves nothing half imported.
"""

from __future__ import annotations

import csv
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from curate.errors import SourceError
from curate.exporting import draft_of, is_empty_folder
from curate.files import replacing, sync, write_text
from curate.importers import Importer, Item, all_importers, find_importer
from curate.log_place import FILE
from curate.names import safe_path, untaken
from curate.objects import Method, place
from curate.progress import Progress, silent
from curate.project import Project
from curate.remote import download
from curate.run_record import RunRecord
from curate.stages.labels import IMPORTED, canonical_split
from curate.storage import is_remote, require_network
from curate.transfer import shown
from curate.web import fetch_list, is_url_list

MOST_PROBLEMS = 1000  # that are kept with their reason; all are counted
SETTINGS = f'[scan]\nlabels = "{IMPORTED}"  # what `curate import` has read: imported.csv, beside this file\n'


@dataclass
class Imported:
    """What was taken over.

    images: pictures in the new folder. labels, splits: name -> pictures. votes: how many pictures have votes.
    missing: pictures that the source names but does not hold; they become rows with a read error. problems: name ->
    why, for the first of them and for labels that were left out.
    """

    project: Project
    format: str
    images: int = 0
    missing: int = 0
    voted: int = 0
    labels: dict[str, int] = field(default_factory=dict)
    splits: dict[str, int] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)


def import_(
    source: str | Path,
    folder: str | Path,
    *,
    format: str | None = None,  # noqa: A002  the word everybody looks for
    copy: bool = False,
    network: bool = False,
    store: str | Path | None = None,
    progress: Progress = silent,
) -> Imported:
    """Take over the pictures, labels and splits of another tool's data set as a new folder of images.

    format: one of `curate.importers`; None looks at the source. copy: make independent files even where links would
    do. network: allow a source in remote storage (s3://…) or a list of web addresses.
    Raises SourceError when the folder exists, or when the source can't be understood.
    """
    project, target = _new_project(folder, store)
    chosen = find_importer(format) if format else None
    _require_source(str(source), network)
    run = RunRecord("curate import", progress)
    with run.writing(project):
        local, missing = _fetched(str(source), project, network, run.progress)
        importer = chosen or _recognised(local)
        allowed: tuple[Method, ...] = ("copy",) if copy else ("reflink", "hard link", "copy")
        result = Imported(project, importer.name, problems=missing)
        with draft_of(target) as draft, ExitStack() as open_files:
            rows, votes = (
                _table(open_files, project.store / name, columns)
                for name, columns in (("imported.csv", "path label split"), ("votes.csv", "path annotator label"))
            )
            with run.progress(f"Importing {importer.name}", 0) as advance:
                for item, path in _named(importer.read(local)):
                    _take(item, path, draft, allowed, result)
                    rows([path, item.label or "", canonical_split(item.split or "")])
                    for annotator, label in item.votes:
                        votes([path, annotator, label])
                    advance(1)
            _require_images(result, source)
            open_files.close()  # labels first: a folder without them would be another data set
            write_text(project.store / "curate.toml", SETTINGS)
            draft.rename(target)
            sync(target.parent)
        shutil.rmtree(project.downloads, ignore_errors=True)
    if not result.voted:
        (project.store / "votes.csv").unlink()
    return result


def _new_project(folder: str | Path, store: str | Path | None) -> tuple[Project, Path]:
    """The project of a folder that is to be made, and that folder."""
    if is_remote(str(folder)):
        raise SourceError(
            f"{shown(str(folder))!r} is a URL, and `curate import` makes a folder on this machine.",
            "Give a folder's name. Pictures in a bucket can be curated where they are: see docs/remote.md.",
        )
    project, target = Project.at(folder, store), Path(os.path.abspath(folder))
    if os.path.lexists(target) and not is_empty_folder(target):
        raise SourceError(f"{str(folder)!r} exists already.", "Give the name of a folder that does not exist yet.")
    if os.path.lexists(project.versions) or os.path.lexists(project.store / FILE):
        raise SourceError(
            f"The store {str(project.store)!r} holds another folder's versions or decisions.",
            "Give another folder, or another store: --store PATH.",
        )
    return project, target


def _require_source(source: str, network: bool) -> None:
    """Raises SourceError for a source that is not there, or that needs a network nobody has asked for."""
    if is_remote(source):
        require_network(source, network)
    elif not os.path.lexists(source):
        raise SourceError(f"There is no file or folder {source!r}.", "Check the spelling.")
    elif _is_list_of_addresses(Path(source)):
        require_network(source, network)


def _fetched(source: str, project: Project, network: bool, progress: Progress) -> tuple[Path, dict[str, str]]:
    """The source as a local file or folder, and why parts of it could not be fetched."""
    path, failures = Path(source), dict[str, str]()
    if is_remote(source):
        down = download(source, project.downloads / "source", progress)
        path, failures = down.path, dict(down.failures)
        failures |= {
            key: f"is called {name!r} here, as this system can't have its name" for key, name in down.renamed.items()
        }
    if _is_list_of_addresses(path):
        require_network(source, network)
        listed = fetch_list(path, project.downloads / "pictures", progress)
        path, failures = listed.table, failures | listed.failures
    return path, failures


def _is_list_of_addresses(path: Path) -> bool:
    return path.is_file() and is_url_list(path)


def _first_importer(source: Path) -> Importer | None:
    ordered = sorted(all_importers().values(), key=lambda one: -one.precedence)
    return next((importer for importer in ordered if importer.recognises(source)), None)


def _recognised(source: Path) -> Importer:
    """The first format that the source looks like. Raises SourceError when it looks like none."""
    if importer := _first_importer(source):
        return importer
    raise SourceError(
        f"{str(source)!r} looks like none of the formats that curate imports.",
        f"Name it with --format: {', '.join(all_importers())}.",
    )


def _named(items: Iterator[Item]) -> Iterator[tuple[Item, str]]:
    """Each item with its path in the new folder: safe, and no other's."""
    taken: set[str] = set()
    for number, item in enumerate(items):
        yield item, untaken(safe_path(item.name) or f"{number}", "copy", taken)


def _take(item: Item, path: str, draft: Path, allowed: tuple[Method, ...], result: Imported) -> None:
    """Put one picture into the draft, and count it."""
    if item.problem and len(result.problems) < MOST_PROBLEMS:
        result.problems.setdefault(item.name, item.problem)  # why it was not fetched says more than that it is missing
    if item.content is None:
        result.missing += 1
        return
    target = draft / path
    target.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(item.content, bytes):
        target.write_bytes(item.content)
    else:
        assert place(item.content, target, allowed) is not None  # copying always works
    result.images += 1
    result.voted += bool(item.votes)
    _count(result.labels, item.label or "")
    if item.split:
        _count(result.splits, canonical_split(item.split))


def _count(numbers: dict[str, int], name: str) -> None:
    numbers[name] = numbers.get(name, 0) + 1


def _require_images(result: Imported, source: str | Path) -> None:
    if not result.images:
        why = next((f" {name!r}: {problem}." for name, problem in result.problems.items()), "")
        raise SourceError(
            f"{str(source)!r}, read as {result.format}, holds no picture.{why}", "Is it another format? See --format."
        )


def _table(files: ExitStack, target: Path, columns: str) -> Callable[[list[str]], object]:
    """A CSV file that appears when `files` is closed without an error; gives what writes a row."""
    temporary = files.enter_context(replacing(target))
    stream: TextIO = files.enter_context(temporary.open("w", encoding="utf-8", newline=""))
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns.split())
    return writer.writerow
