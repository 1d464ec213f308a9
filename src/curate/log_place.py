"""Where people's decisions are kept: in a file of the store, or in a database that a team shares.

Every command must find the same log, so the address comes from two places that all of them look at: the environment,
and the store's own `curate.toml`. A file given by --config is not one, as not every command takes it.
"""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path

from curate.errors import SettingsError, StoreError
from curate.files import write_text
from curate.sources import Source

VARIABLE = "CURATE_REVIEW_LOG"
FILE = "review.db"
COPIED = "review.db.copied"  # what the file is called when its decisions are in a database
ELSEWHERE = "review.elsewhere"  # in the store: which database, for the day on which nothing says so


def log_place(folder: Source, store: Path, config: Path | None) -> str | Path:
    """The URL of the database, or the file. config: the settings in use, in which another log would be a mistake.

    Raises SettingsError for what is no URL, StoreError where decisions are elsewhere than the settings say.
    """
    url = log_url(store, config)
    if url and (store / FILE).exists():
        raise StoreError(
            f"The decisions on {str(folder)!r} are in {str(store / FILE)!r}, and the settings say: in {told(url)!r}.",
            f"Copy them there: curate review {folder} --copy-log (or delete the file, if they don't matter)",
        )
    if not url and (store / COPIED).exists():
        raise StoreError(
            f"The decisions on {str(folder)!r} were copied to a database, and the settings don't say to which.",
            f"Set {VARIABLE}, or review.log in {str(store / 'curate.toml')!r} (or rename {COPIED} to {FILE}).",
        )
    if not url and (known := _read(store / ELSEWHERE)):
        raise StoreError(
            f"The decisions on {str(folder)!r} are in the database {known!r}, and the settings don't say so now.",
            f"Set {VARIABLE}, or review.log in {str(store / 'curate.toml')!r}. "
            f"To go on without those decisions, delete {str(store / ELSEWHERE)!r}.",
        )
    return url or store / FILE


def remember_place(store: Path, place: str | Path) -> None:
    """Note in the store which database has the decisions, so that no command goes on without them."""
    if isinstance(place, str) and _read(store / ELSEWHERE) != told(place):
        write_text(store / ELSEWHERE, told(place))


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""


def log_url(store: Path, config: Path | None) -> str:
    """The URL of the database; "" = there is none. Raises SettingsError for what is no URL."""
    usual = store / "curate.toml"
    url = os.environ.get(VARIABLE, "").strip() or _set_in(usual)
    if config is not None and config != usual and (other := _set_in(config)) and other != url:
        raise SettingsError(
            f"{str(config)!r} sets review.log, which commands without --config would not find.",
            f"Set it in {str(usual)!r}, or in the variable {VARIABLE}.",
        )
    if url and "://" not in url:
        raise SettingsError(
            "review.log is no address of a database.", f"Like this: {VARIABLE}=postgresql://user@host/curate"
        )
    return url


def _set_in(file: Path) -> str:
    try:
        section = tomllib.loads(file.read_text(encoding="utf-8-sig")).get("review", {})
    except FileNotFoundError:
        return ""
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{str(file)!r} is not valid TOML: {error}.", "Correct that line.") from error
    except OSError as error:
        raise SettingsError(f"The settings file {str(file)!r} can't be read: {error.strerror}.") from error
    log = section.get("log", "") if isinstance(section, dict) else ""
    if not isinstance(log, str):
        raise SettingsError(f"review.log in {str(file)!r} is no text.", 'Like this: log = "postgresql://user@host/db"')
    return log.strip()


def told(url: str) -> str:
    """The URL without its password, and without what follows a "?", which may hold one: for people to read."""
    scheme, _, rest = url.partition("://")
    user, at, host = rest.rpartition("@")
    name, colon, _ = user.partition(":")
    return f"{scheme}://{name}{':***' if colon else ''}{at}{re.split('[?#]', host)[0]}"
