"""Where each file of a project lives, and the lock on its store. Nothing but paths, loading and saving."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from curate.errors import SourceError, StoreError, StoreLocked
from curate.files import explained, remove_temporary, write_json
from curate.log_place import log_place, remember_place
from curate.paths import to_text
from curate.sources import Bucket, Source, source_of

STORE_FORMAT = 1
STORE_SUFFIX = ".curate"
# The workers of a run that was killed hold its lock until they notice, some hundredths of a second.
LOCK_WAIT_S = 2.0


@dataclass(frozen=True)
class Project:
    """A folder of images, and the store beside it that holds everything `curate` knows of it.

    folder: or a prefix of a bucket, see `curate.sources`; its store is on this machine all the same.
    config: the settings file; None where there is none, so that all defaults hold.
    """

    folder: Source
    store: Path
    config: Path | None

    @classmethod
    def at(
        cls,
        folder: str | Path,
        store: str | Path | None = None,
        config: str | Path | None = None,
        network: bool = False,
    ) -> Project:
        """The project of a folder. The store is `FOLDER.curate` beside it unless given.

        network: whether a folder in remote storage may be read. Raises SourceError when the folder is itself a store
        or has the store inside, or is a URL without one; settings are read later.
        """
        source = source_of(folder, network)
        if isinstance(source, Bucket):
            chosen = Path(os.path.abspath(store)) if store else _store_here(source)
            return cls(source, chosen, _config(chosen, config))
        beside = source.parent / f"{source.name or 'root'}{STORE_SUFFIX}"
        chosen = Path(os.path.abspath(store)) if store else beside
        if _is_store(source):
            raise SourceError(f"{str(folder)!r} is a store of curate, not a folder of images.", _made_for(source))
        if Path(os.path.realpath(chosen)).is_relative_to(os.path.realpath(source)):
            raise SourceError(
                f"The store {str(chosen)!r} lies inside the image folder, which curate never changes.",
                "Give another place: --store PATH.",
            )
        return cls(source, chosen, _config(chosen, config))

    @property
    def directory(self) -> Path:
        """The folder, where it is one of this machine. Raises SourceError for a bucket."""
        if isinstance(self.folder, Bucket):
            raise SourceError(f"{str(self.folder)!r} is no folder of this machine.", "Give one that is.")
        return self.folder

    @property
    def has_default_store(self) -> bool:
        """Whether commands find the store without --store, from whatever folder they are typed in."""
        if isinstance(self.folder, Bucket):
            return False
        return self.store == self.folder.parent / f"{self.folder.name or 'root'}{STORE_SUFFIX}"

    @property
    def network(self) -> bool:
        """Whether pictures in remote storage may be read; False of a folder, which needs none."""
        return isinstance(self.folder, Bucket) and self.folder.network

    @property
    def cache(self) -> Path:
        return self.store / "cache"

    @property
    def objects(self) -> Path:
        return self.store / "objects"

    @property
    def versions(self) -> Path:
        return self.store / "versions"

    @property
    def batches(self) -> Path:
        return self.store / "batches"

    @property
    def imported_labels(self) -> Path:
        return self.store / "imported.csv"

    @property
    def downloads(self) -> Path:
        return self.store / "downloads"

    @property
    def review_log(self) -> str | Path:
        """The URL of a team's database, or a file, see `curate.log_place`. Raises SettingsError, StoreError."""
        return log_place(self.folder, self.store, self.config)

    @property
    def report(self) -> Path:
        return self.store / "report.html"

    @contextmanager
    def writing(self, command: str) -> Iterator[None]:
        """Hold the store's write lock; create the store if there is none.

        Raises StoreLocked, naming who holds it; StoreError when the store can't be written or is of a newer format.
        """
        from filelock import FileLock, Timeout

        with explained(self.store):
            self.store.mkdir(parents=True, exist_ok=True)
        self._check_format()
        holder = self.store / "lock.json"
        lock = FileLock(self.store / "lock", timeout=LOCK_WAIT_S)
        with explained(self.store):
            try:
                lock.acquire()
            except Timeout as error:  # an OSError, which `explained` must not see
                raise StoreLocked(_who_holds(holder), "Wait until it ends, then run the same command again.") from error
        try:
            self._write_format()
            remember_place(self.store, self.review_log)
            started = datetime.now(UTC).isoformat(timespec="seconds")
            write_json(holder, {"pid": os.getpid(), "host": platform.node(), "command": command, "since": started})
            self._remove_temporary_files()
            yield
        finally:
            with suppress(OSError):  # it only says who holds the lock
                holder.unlink(missing_ok=True)
            lock.release()

    def _remove_temporary_files(self) -> None:
        """What killed runs left; not those of `curate report`, which takes no lock."""
        for folder in (self.cache, self.versions, self.versions / "tags", self.versions / "runs"):
            remove_temporary(folder)
        for name in ("lock.json", "store.json"):
            remove_temporary(self.store, f".{name}.*.tmp")

    def require_store(self) -> None:
        """Raises StoreError when nothing has been curated here yet."""
        if not os.path.exists(self.store / "store.json"):
            raise StoreError(
                f"{str(self.folder)!r} has not been curated yet (no store at {str(self.store)!r}).",
                f"Run: curate clean {self.folder}"
                + (f" --store {self.store} --network" if isinstance(self.folder, Bucket) else ""),
            )
        self._check_format()

    def _check_format(self) -> None:
        file = self.store / "store.json"
        try:
            written = int(json.loads(file.read_text(encoding="utf-8"))["format"])
        except FileNotFoundError:
            return
        except OSError as error:
            raise StoreError(
                f"The store {str(self.store)!r} can't be read: {error.strerror}.", "Put it elsewhere: --store PATH."
            ) from error
        except (ValueError, KeyError, TypeError) as error:
            raise StoreError(
                f"{str(file)!r} is damaged: {error}.", "Delete that file; the next `curate clean` writes it anew."
            ) from error
        if written > STORE_FORMAT:
            raise StoreError(
                f"The store {str(self.store)!r} has format {written}; this curate knows formats up to {STORE_FORMAT}.",
                f"Update it: {sys.executable} -m pip install --upgrade curate",
            )

    def _write_format(self) -> None:
        if not (self.store / "store.json").exists():
            known: dict[str, object] = {"format": STORE_FORMAT, "folder": to_text(self.folder.name)}
            if isinstance(self.folder, Bucket):
                known["url"] = self.folder.url
            write_json(self.store / "store.json", known)


def _config(store: Path, config: str | Path | None) -> Path | None:
    usual = store / "curate.toml"
    return Path(config) if config else usual if os.path.exists(usual) else None


def _made_for(store: Path) -> str:
    """What to give instead of a store."""
    if url := _recorded(store).get("url"):
        return f"Give what it was made for: {url} --store {store}"
    original = store.with_name(store.name.removesuffix(STORE_SUFFIX))
    return f"Try: {original}" if original != store else "Give the folder that it was made for."


def _store_here(bucket: Bucket) -> Path:
    """The store that was made for this URL in the current folder. Raises SourceError where there is none."""
    usual = Path(os.path.abspath(f"{bucket.name}{STORE_SUFFIX}"))
    if _recorded(usual).get("url") == bucket.url:
        return usual
    raise SourceError(
        f"curate keeps what it knows of {bucket.url!r} on this machine, and nobody said where.",
        f"Add --store {usual.name} (in Python: store={usual.name!r}).",
    )


def _is_store(folder: Path) -> bool:
    return "format" in _recorded(folder)


def _recorded(store: Path) -> dict[str, Any]:
    """What a store says of itself; nothing where it is none."""
    try:
        found = json.loads((store / "store.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _who_holds(holder: Path) -> str:
    try:
        known = json.loads(holder.read_text(encoding="utf-8"))
        return (
            f"`{known['command']}` (process {known['pid']} on {known['host']}, since {known['since']}) "
            f"is writing to {str(holder.parent)!r}."
        )
    except (OSError, ValueError, KeyError, TypeError):
        return f"Another process is writing to {str(holder.parent)!r}."
