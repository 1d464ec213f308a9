"""`card`: what a data set is, for people who did not make it, worked out from the version itself.

    card/
        README.md          for people and the Hugging Face hub: where the pictures come from, what was dropped and why,
                           how good the labels are and how that was measured, what to beware of
        croissant.json     the same for search engines and loaders
        manifest.parquet   every picture with its label, split and digest (manifest.csv: as text)

Nothing here is typed in but what only people know (the settings `card.*`): licence, creator, what the data are for.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curate.croissant import CardSettings, croissant_metadata
from curate.describing.facts import Facts, facts_of
from curate.describing.text import card_body, card_text, licence_head
from curate.errors import SourceError
from curate.executors import executor_for
from curate.files import write_json, write_text
from curate.progress import Progress, silent
from curate.project import Project
from curate.records import write_manifest
from curate.release import Release, open_release
from curate.settings import Settings, load_settings, with_executor

README, CROISSANT = "README.md", "croissant.json"
WHAT_ONLY_PEOPLE_KNOW = ("license", "creator", "url", "description")
_SEAL = re.compile(r"<!-- Written by curate card; digest ([0-9a-f]{64}) -->\n\Z")


@dataclass(frozen=True)
class Card:
    """A described version.

    out: the folder with the card; None = it was not written. text: of README.md. croissant: of croissant.json, None if
    not written. missing: settings that only people can give and that are empty.
    """

    project: Project
    facts: Facts
    out: Path | None
    text: str
    croissant: dict[str, Any] | None
    missing: tuple[str, ...]


def card(
    folder: str | Path,
    version: str | None = None,
    *,
    out: str | Path | None = None,
    store: str | Path | None = None,
    config: str | Path | None = None,
    changes: Mapping[str, Any] | None = None,
    executor: str | None = None,
    workers: int | None = None,
    network: bool = False,
    dry_run: bool = False,
    progress: Progress = silent,
) -> Card:
    """Describe a version in a folder of its own: a dataset card, Croissant metadata and the manifest.

    out: None = `card` in the store. The headers of the pictures are read, once, for where and by whom they were taken.
    dry_run: write nothing. Raises VersionNotFound, SettingsError; SourceError when `out` has a README.md that is not
    curate's, or that somebody has edited since.
    """
    project = Project.at(folder, store, config, network)
    project.require_store()
    settings = load_settings(project.config, with_executor(changes, executor, workers))
    release = open_release(project, version)
    with project.writing("curate card"):
        facts = facts_of(release, executor_for(settings.executor), progress)
    about = settings.card
    text = card_text(facts, about, own_files=True)
    missing = tuple(f"card.{name}" for name in WHAT_ONLY_PEOPLE_KNOW if not getattr(about, name))
    if dry_run:
        return Card(project, facts, None, text, None, missing)
    target = Path(os.path.abspath(out)) if out else project.store / "card"
    _require_ours(target / README)
    described = _write(target, release, about, text)
    return Card(project, facts, target, text, described, missing)


def add_card(release: Release, settings: Settings, out: Path, progress: Progress) -> None:
    """Describe an export in its README.md; where the format wrote one, that keeps its head, which names the files."""
    import yaml

    with release.project.writing("curate export"):
        facts = facts_of(release, executor_for(settings.executor), progress)
    file = out / README
    if not file.exists():
        write_text(file, card_text(facts, settings.card, own_files=False))
        return
    _, head, _ = file.read_text(encoding="utf-8").split("---\n", 2)
    licence = yaml.safe_dump(licence_head(settings.card.license), allow_unicode=True) if settings.card.license else ""
    write_text(file, f"---\n{licence}{head}---\n\n{card_body(facts, settings.card)}")


def _write(target: Path, release: Release, about: CardSettings, text: str) -> dict[str, Any]:
    """All files of the card, README.md last; the content of croissant.json."""
    places = {picture.path: picture.path for picture in release.pictures}
    target.mkdir(parents=True, exist_ok=True)
    write_manifest(release, places, target)
    described = croissant_metadata(release, places, about, target)
    write_json(target / CROISSANT, described)
    write_text(target / README, _sealed(text))
    return described


def _sealed(text: str) -> str:
    """The text with a last line that tells whether it is still what was written."""
    return f"{text}\n<!-- Written by curate card; digest {_digest(text)} -->\n"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()


def _require_ours(file: Path) -> None:
    """Raises SourceError for a README.md that would be lost: somebody else's, or edited."""
    try:
        found = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"{str(file)!r} can't be read: {error}.", "Give another folder: --output FOLDER.") from error
    seal = _SEAL.search(found)
    if seal is None or seal[1] != _digest(found[: seal.start() - 1]):
        what = "was edited since `curate card` wrote it" if seal else "was not written by `curate card`"
        raise SourceError(
            f"{str(file)!r} {what}; it would be lost.",
            "Give another folder (--output FOLDER), or move that file away. What should stand in every card goes into "
            "the settings card.*",
        )
