"""`export`: a version in one of many formats, whole or not at all.

The format writes into a draft folder beside the target; the manifest and `export.json`, which says what this is,
follow; then the draft takes the target's name. A kill leaves no half export. For a target in remote storage the draft
is made in the store and uploaded, `export.json` last.
"""

from __future__ import annotations

import glob
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curate.croissant import write_croissant
from curate.describing import add_card
from curate.errors import SourceError
from curate.exporters import Exporter, Written, find_exporter
from curate.files import explained, sync, write_json
from curate.progress import Progress, silent
from curate.project import Project
from curate.records import write_manifest
from curate.release import FREE_METHODS, Release, open_release
from curate.remote import existing_export, upload
from curate.settings import Settings, load_settings
from curate.sources import Bucket, source_of
from curate.storage import is_remote, require_network

if TYPE_CHECKING:
    pass

MARKER = "export.json"  # written last: a folder that has it is whole


@dataclass(frozen=True)
class Exported:
    """What was written.

    out: folder or URL. images: pictures written. left_out: path -> why a kept picture is not in it. method: how most
    files got their bytes: "reflink", "hard link" or "copy". notes: what people should know. already: the very same
    export was there, and nothing was written.
    """

    out: Path | str
    format: str
    version: str
    images: int
    classes: int
    method: str
    left_out: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    already: bool = False


def export(
    folder: str | Path,
    out: str | Path,
    version: str | None = None,
    *,
    format: str = "imagefolder",  # noqa: A002  the word everybody looks for
    copy: bool = False,
    croissant: bool = False,
    card: bool = False,
    network: bool = False,
    store: str | Path | None = None,
    config: str | Path | None = None,
    changes: Mapping[str, Any] | None = None,
    progress: Progress = silent,
) -> Exported:
    """Write the kept pictures of a version to a new folder, in a format of `curate.exporters`.

    out: a folder, or with `network` a URL like s3://bucket/name. copy: make independent files even where links would
    do. croissant: describe the export in croissant.json as well; card: in README.md, see `curate card`. Every file's
    bytes are hashed first.
    Raises SourceError when `out` holds anything but this very export; StoreError when a picture no longer has the
    bytes of the version.
    """
    exporter = find_exporter(format)
    project = Project.at(folder, store, config, network)
    project.require_store()
    settings = load_settings(project.config, dict(changes or {}))
    release = open_release(project, version, allowed=("copy",) if copy else FREE_METHODS)
    marker = _marker(release, exporter, settings, croissant, card)
    if is_remote(str(out)):
        require_network(str(out), network)
        _require_outside(str(out), project)
        return _export_remotely(str(out), release, exporter, settings, marker, progress)
    target = _free_target(Path(out), project, marker)
    if target is None:
        return _already(Path(os.path.abspath(out)), release, marker)
    with draft_of(target) as draft:
        written = _write(release, exporter, settings, marker, draft, progress)
        draft.rename(target)
        sync(target.parent)
    return _exported(target, release, exporter, written)


def _marker(release: Release, exporter: Exporter, settings: Settings, croissant: bool, card: bool) -> dict[str, Any]:
    """What makes two exports the same, and what a reader wants to know first."""
    chosen = getattr(settings.exporters, exporter.name).model_dump(mode="json")
    return {
        "format": exporter.name,
        "dataset": release.name,
        "version": release.version.name,
        "version_id": release.version.id,
        "settings": {**chosen, **({"card": settings.card.model_dump(mode="json")} if croissant or card else {})},
        "croissant": croissant,
        **({"card": True} if card else {}),  # absent without: what an older curate exported is still the same
        "curate": installed_version("curate"),
    }


def _write(
    release: Release, exporter: Exporter, settings: Settings, marker: dict[str, Any], draft: Path, progress: Progress
) -> Written:
    """The whole export in a folder that is not its own yet."""
    with progress(f"Exporting {exporter.name}", len(release.pictures)) as advance:
        written = exporter.write(release, draft, getattr(settings.exporters, exporter.name), advance)
    left_out = {**release.left_out, **written.left_out}
    lost = [one.path for one in release.pictures if one.path not in written.places and one.path not in left_out]
    assert not lost, f"the format {exporter.name} lost {lost[:3]}"
    notes = written.notes
    write_manifest(release, written.places, draft)
    _write_classes(release, draft)
    if marker["croissant"]:
        notes += write_croissant(release, written.places, settings.card, draft)
    if marker.get("card"):
        add_card(release, settings, draft, progress)
    write_json(draft / MARKER, {**marker, "pictures": len(written.places), "left_out": left_out, "notes": notes})
    return replace(written, left_out=left_out, notes=notes)


def _write_classes(release: Release, draft: Path) -> None:
    classes = [
        {"index": index, "name": name, "folder": release.folders[name]} for index, name in enumerate(release.classes)
    ]
    write_json(draft / "classes.json", classes)


def _exported(out: Path | str, release: Release, exporter: Exporter, written: Written) -> Exported:
    return Exported(
        out=out,
        format=exporter.name,
        version=release.version.name,
        images=len(written.places),
        classes=len(release.classes),
        method=release.placed.most_common(1)[0][0] if release.placed else "copy",
        left_out=written.left_out,
        notes=written.notes,
    )


def _export_remotely(
    url: str,
    release: Release,
    exporter: Exporter,
    settings: Settings,
    marker: dict[str, Any],
    progress: Progress,
) -> Exported:
    there = existing_export(url)
    if there is not None:
        if not _is_same(there, marker):
            raise SourceError(
                f"{url!r} holds another export ({_words(there)}).", "Give a new name, or remove it first."
            )
        return replace(_already(url, release, there))
    with draft_of(release.project.store / "upload") as draft:
        written = _write(release, exporter, settings, marker, draft, progress)
        upload(draft, url, MARKER, progress)
    return _exported(url, release, exporter, written)


def _already(out: Path | str, release: Release, there: Mapping[str, Any]) -> Exported:
    return Exported(
        out=out,
        format=there["format"],
        version=release.version.name,
        images=int(there.get("pictures", len(release.pictures))),
        classes=len(release.classes),
        method="",
        left_out=dict(there.get("left_out", {})),
        already=True,
    )


# ---- The target


def _require_outside(out: str | Path, project: Project) -> None:
    source = project.folder
    if isinstance(source, Bucket):
        inside = isinstance(out, str) and f"{source_of(out)}/".startswith(f"{source}/")
    else:
        inside = isinstance(out, Path) and Path(os.path.realpath(out)).is_relative_to(os.path.realpath(source))
    if inside:
        raise SourceError(
            f"{str(out)!r} lies inside the image folder, which curate never changes.", "Export elsewhere."
        )


def _free_target(out: Path, project: Project, marker: Mapping[str, Any]) -> Path | None:
    """Where to write; None if this very export is there already. Raises SourceError when something else is."""
    target = Path(os.path.abspath(out))
    _require_outside(out, project)
    if not os.path.lexists(target) or is_empty_folder(target):
        return target
    there = _read_marker(target)
    if there is None:
        raise SourceError(f"{str(out)!r} exists already.", "Give a new name, or remove it first.")
    if not _is_same(there, marker):
        raise SourceError(
            f"{str(out)!r} holds another export ({_words(there)}).", "Give a new name, or remove it first."
        )
    _require_whole(target)
    return None


def is_empty_folder(path: Path) -> bool:
    """Whether it is a folder, no link to one, with nothing in it."""
    return path.is_dir() and not path.is_symlink() and not any(path.iterdir())


def _read_marker(target: Path) -> dict[str, Any] | None:
    try:
        there = json.loads((target / MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return there if isinstance(there, dict) and "version_id" in there else None


def _is_same(there: Mapping[str, Any], marker: Mapping[str, Any]) -> bool:
    """Versions of equal content are equal, whatever their number, and so are exports by another release of curate."""
    return all(there.get(name) == marker[name] for name in ("format", "version_id", "settings", "croissant"))


def _words(there: Mapping[str, Any]) -> str:
    return f"{there.get('format')} of {there.get('dataset')}@{there.get('version')}"


def _require_whole(target: Path) -> None:
    """Raises SourceError when a file that the manifest names is gone from an export."""
    import pandas as pd

    try:
        places = pd.read_parquet(target / "manifest.parquet", columns=["exported_path"])["exported_path"].dropna()
    except (OSError, ValueError) as error:
        raise SourceError(
            f"{str(target)!r} is a damaged export: its manifest can't be read ({error}).",
            "Remove it, and export again.",
        ) from error
    gone = [place for place in places if not _is_there(target, place)]
    if gone:
        raise SourceError(
            f"{str(target)!r} is this very export, but {len(gone):,} of its files are gone, for example {gone[0]!r}.",
            "Remove it, and export again.",
        )


def _is_there(target: Path, place: str) -> bool:
    """A picture may be a file, or a part of one ("shard.tar/key.jpg")."""
    path = target / place
    return path.exists() or path.parent.is_file()


@contextmanager
def draft_of(target: Path) -> Iterator[Path]:
    """An empty folder beside the target, gone afterwards unless it was renamed."""
    with explained(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        _remove_killed(target)
        draft = target.with_name(f".{target.name}.{os.getpid()}.tmp")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir()
        try:
            yield draft
        finally:
            shutil.rmtree(draft, ignore_errors=True)


def _remove_killed(target: Path) -> None:
    """Remove what earlier exports to the same place left when they were killed."""
    for draft in target.parent.glob(f".{glob.escape(target.name)}.*.tmp"):
        try:
            os.kill(int(draft.suffixes[-2][1:]), 0)  # signal 0 only asks whether the process exists
        except ProcessLookupError:
            shutil.rmtree(draft, ignore_errors=True)
        except (ValueError, IndexError, OverflowError, PermissionError):
            continue  # not ours, or alive
