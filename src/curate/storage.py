"""Storage behind a URL, by fsspec: s3:// and gs://. What opens it, and what its errors mean.

Nothing here runs unless a person gives a URL *and* asks for the network. Credentials are those that the storage's own
library finds (environment, ~/.aws, …); curate takes none, keeps none and prints none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curate.errors import CurateError, SourceError, StoreError
from curate.files import explained
from curate.transfer import DISK_ERRORS, shown

MODULES = {"s3": "s3fs", "gs": "gcsfs"}  # scheme -> what fsspec needs for it
INSTALL = {"s3": "pip install 'curate[remote]'", "gs": "pip install 'curate[remote]' gcsfs"}
# Small files at a time, each whole in memory. Of 500 files, with answers 50 ms late, 32 took 6.5 s, 16 7.5 s,
# 8 9.6 s (the server of benchmarks/remote.py).
WORKERS = 16
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")


@dataclass(frozen=True)
class Storage:
    """An opened storage. files: of fsspec. root: "bucket" or "bucket/prefix". url: fit to be shown."""

    files: Any
    scheme: str
    root: str
    url: str

    def path(self, name: str) -> str:
        return f"{self.root}/{name}"

    def below(self) -> dict[str, dict[str, Any]]:
        """Name -> what is known of it, for every object below the root but the empty ones that stand for folders."""
        found = self.files.find(self.root, detail=True)
        start = f"{self.root}/"
        named = {path.removeprefix(start): info for path, info in found.items() if path.startswith(start)}
        return {name: info for name, info in named.items() if info["size"] or not (name == "" or name.endswith("/"))}


def is_remote(text: str) -> bool:
    """Whether this is a URL rather than a path: "s3://bucket/a" is, "C:/a" and "a/b" are not."""
    return bool(_URL.match(text))


def require_network(url: str, network: bool) -> None:
    """Raises SourceError unless the network was asked for. url: or a file that is a list of web addresses."""
    if not network:
        what = f"{shown(url)!r} is on" if is_remote(url) else f"{url!r} lists pictures on"
        raise SourceError(
            f"{what} the network, which curate uses only when told to.",
            "Add --network (in Python: network=True).",
        )


def parsed(url: str) -> tuple[str, str]:
    """Scheme and "bucket/prefix" of a URL. Raises SourceError for one that curate can't use, or that holds a key."""
    scheme, _, rest = url.partition("://")
    scheme = scheme.lower()
    if scheme not in MODULES:
        raise SourceError(
            f"{shown(url)!r} is no storage that curate knows: expected s3://bucket/… or gs://bucket/….",
            "Files on this machine are given by their path." if scheme == "file" else "",
        )
    root = rest.strip("/")
    bucket = root.partition("/")[0]
    if "@" in bucket:
        raise SourceError(
            f"The URL {scheme}://… holds a user or a key, which others could read off the screen.",
            "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, and give the URL without.",
        )
    if not bucket:
        raise SourceError(f"{url!r} names no bucket: expected {scheme}://bucket/name.")
    return scheme, root


def open_storage(url: str) -> Storage:
    """The storage of that URL; connects to nothing yet. Raises SourceError when it can't be."""
    scheme, root = parsed(url)
    try:
        return Storage(_file_system(scheme), scheme, root, f"{scheme}://{root}")
    except ImportError as error:
        raise SourceError(f"{scheme}:// needs the package {MODULES[scheme]} ({error}).", INSTALL[scheme]) from error


def _file_system(scheme: str) -> Any:
    import fsspec

    options: dict[str, Any] = {"skip_instance_cache": True, "use_listings_cache": False}
    if scheme == "s3":
        options["config_kwargs"] = {"max_pool_connections": WORKERS, "connect_timeout": 10, "read_timeout": 60}
    return fsspec.filesystem(scheme, **options)


@contextmanager
def explained_storage(storage: Storage) -> Iterator[None]:
    """Turn what storages and networks do into messages for people."""
    try:
        yield
    except CurateError:
        raise
    except FileNotFoundError as error:
        if is_about_bucket(error):
            bucket = storage.root.partition("/")[0]
            raise SourceError(f"There is no bucket {bucket!r} ({storage.url}).", "curate makes none.") from error
        raise SourceError(f"There is nothing at {storage.url!r}.", "Check the spelling.") from error
    except PermissionError as error:
        raise SourceError(
            f"{storage.url!r} was refused: {reason_of(error)}.",
            "Check whose credentials are used, and whether they may list, read and write there.",
        ) from error
    except errors_of(storage.scheme) as error:
        if isinstance(error, OSError) and error.errno in DISK_ERRORS:
            with explained(Path(error.filename or ".")):
                raise
        raise _connection_error(storage, error) from error


def _connection_error(storage: Storage, error: Exception) -> CurateError:
    if type(error).__name__ in ("NoCredentialsError", "PartialCredentialsError", "DefaultCredentialsError"):
        hint = (
            "Set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; for a public bucket, FSSPEC_S3_ANON=true."
        )
        return SourceError(f"No credentials were found for {storage.url!r}.", hint if storage.scheme == "s3" else "")
    return StoreError(
        f"{storage.url!r} can't be reached: {reason_of(error)}.",
        "Check the network and AWS_ENDPOINT_URL; then run the same command again: it goes on where it stopped.",
    )


def reason_of(error: Exception) -> str:
    """The library's own words, without what a URL in them may hold of keys."""
    words = re.sub(r"//[^/@\s]*@", "//", str(error))
    return re.sub(r"\?[^\s\"']*", "", words).strip().rstrip(".") or type(error).__name__


def is_about_bucket(error: FileNotFoundError) -> bool:
    return "bucket" in str(error).lower()  # "The specified bucket does not exist": AWS, Google, MinIO, Swift


def errors_of(scheme: str) -> tuple[type[Exception], ...]:
    """What the storage's library raises."""
    import aiohttp

    if scheme == "gs":
        from gcsfs.retry import HttpError
        from google.auth.exceptions import GoogleAuthError

        return (OSError, ValueError, aiohttp.ClientError, HttpError, GoogleAuthError)
    from botocore.exceptions import BotoCoreError, ClientError

    return (OSError, ValueError, aiohttp.ClientError, BotoCoreError, ClientError)


def etag_of(info: Mapping[str, Any]) -> str:
    """What the storage calls these very bytes; "" where it does not say."""
    return str(info.get("ETag") or info.get("etag") or "").strip('"')
