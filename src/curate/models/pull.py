"""Fetching a model: the only use of the network in all of curate, and only when a person types `curate models pull`.

A model decides which labels are called wrong, so nobody should get another one than they asked for: without the
sha256 of the file nothing is fetched, and a file of another sha256 is thrown away. A cut download goes on where it
stopped.
"""

from __future__ import annotations

import hashlib
import http.client
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from curate.errors import CurateError, StoreError
from curate.files import explained, sync
from curate.models import IN_WHEEL
from curate.models.pulled import NAME, Origin, keep_origin, models_folder, pulled_file
from curate.progress import Advance, Progress, silent

TIMEOUT_S = 30  # without a byte
BLOCK_BYTES = 1 << 20
MAX_BYTES = 8_000_000_000  # the largest image encoders in use have two billion numbers of four bytes


def pull(url: str, sha256: str | None, name: str | None = None, progress: Progress = silent) -> Path:
    """Fetch an ONNX file into the folder of models; its path.

    url: http or https. sha256: of the file, 64 hex digits. name: to use it by; default: the file's name in the URL.
    Raises CurateError when an argument is wrong, the server does not give the file, or gives another one.
    """
    digest = _checked_digest(sha256)
    name = _checked_name(url, name)
    target = models_folder() / f"{name}.onnx"
    if pulled_file(name) is not None:
        if _sha256(target) == digest:
            return target
        raise CurateError(
            f"There is another model called {name!r} already: {str(target)!r}.",
            "Choose another name with --name, or remove that file.",
        )
    partial = target.with_name(f".{name}.{digest[:16]}.part")
    with _written(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        _download(url, partial, progress)
        found = _sha256(partial)
        if found != digest:
            partial.unlink()
            raise CurateError(
                f"{url} gave a file with the sha256 {found}; expected {digest}. It was thrown away.",
                "Compare with what the publisher states: it is another version, or not what it claims to be.",
            )
        sync(partial)
        size = partial.stat().st_size
        partial.replace(target)
    keep_origin(name, Origin(_without_secrets(url), digest, size, datetime.now(UTC).isoformat(timespec="seconds")))
    return target


def _without_secrets(url: str) -> str:
    """The URL without user, password and query, any of which may be a key."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


@contextmanager
def _written(target: Path) -> Iterator[None]:
    """Turn what the system says of a failed write into a message that fits models."""
    try:
        with explained(target):
            yield
    except StoreError as error:
        hint = "Make room, or choose another folder: CURATE_MODELS=PATH. Then run the same command again."
        raise StoreError(str(error), hint) from error


def _checked_digest(sha256: str | None) -> str:
    digest = (sha256 or "").strip().lower().removeprefix("sha256:")
    if not re.fullmatch("[0-9a-f]{64}", digest):
        what = f"{sha256!r} is no sha256" if sha256 else "Without its sha256 no model is fetched"
        raise CurateError(
            f"{what}: expected 64 hex digits.", "Publishers state it beside the file. Give it with --sha256 HEX."
        )
    return digest


def _checked_name(url: str, name: str | None) -> str:
    """The name to use. Raises CurateError for a URL of another kind, or a name that can't be a file's."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise CurateError(
            f"{url!r} is nothing to fetch a model from: expected https://… or http://…",
            "curate carries no list of models: give the URL of an ONNX file and its sha256.",
        )
    file = PurePosixPath(unquote(parts.path))
    chosen = name or file.stem
    if not name and file.suffix.lower() != ".onnx":
        raise CurateError(
            f"{url!r} does not end in .onnx, and only ONNX files are fetched.", "If it is one, name it: --name NAME."
        )
    if not NAME.fullmatch(chosen) or chosen in IN_WHEEL:
        raise CurateError(f"A model can't be called {chosen!r}.", "Choose --name of letters, digits, '.', '_' and '-'.")
    return chosen


def _download(url: str, partial: Path, progress: Progress) -> None:
    """Fetch all that the partial file lacks."""
    start = partial.stat().st_size if partial.exists() else 0
    with _refused(url), _opened(url, start) as answer:
        if answer.status != http.HTTPStatus.PARTIAL_CONTENT:
            start = 0  # the server begins anew, so do we
        total = start + int(answer.headers.get("Content-Length") or 0)
        if total > MAX_BYTES:
            raise _too_large(url)
        with progress("Fetching", max(total, 1)) as advance:
            advance(start, size_bytes=start)
            written = _write(answer, partial, start, advance)
    if written > MAX_BYTES:
        partial.unlink()
        raise _too_large(url)
    if written < total:
        raise CurateError(
            f"The connection to {url} was cut after {written:,} of {total:,} bytes.",
            "Run the same command again: it goes on where it stopped.",
        )


def _write(answer: Any, partial: Path, start: int, advance: Advance) -> int:
    """Write what comes behind the first `start` bytes; the file's size."""
    with partial.open("r+b" if start else "wb") as stream:
        stream.seek(start)
        while stream.tell() <= MAX_BYTES and (block := answer.read(BLOCK_BYTES)):
            stream.write(block)
            advance(len(block), size_bytes=len(block))
        return stream.tell()


@contextmanager
def _opened(url: str, start: int) -> Iterator[Any]:
    """The server's answer to a request for all bytes from `start` on."""
    # urllib's own opener would also follow a redirection to ftp://.
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        _SafeRedirects(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    headers = {"User-Agent": "curate", "Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
    try:
        answer = opener.open(urllib.request.Request(url, headers=headers), timeout=TIMEOUT_S)  # noqa: S310  http only
    except urllib.error.HTTPError as error:
        if not start or error.code != http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise
        error.close()  # what we have is as long as the file, or longer: begin anew
        del headers["Range"]
        answer = opener.open(urllib.request.Request(url, headers=headers), timeout=TIMEOUT_S)  # noqa: S310
    assert answer is not None
    with answer:
        yield answer


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Does not go from https to http, where anybody in between could look and meddle."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        if req.type == "https" and urlsplit(newurl).scheme == "http":
            raise CurateError(f"{req.full_url} leads from https to {newurl!r}, which is not followed.")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


@contextmanager
def _refused(url: str) -> Iterator[None]:
    """Turn what networks do into messages for people."""
    try:
        yield
    except urllib.error.HTTPError as error:
        with error:
            raise CurateError(
                f"{url} was refused: {error.code} {error.reason}.", "Open it in a browser to see if it is still there."
            ) from error
    except urllib.error.URLError as error:
        raise CurateError(
            f"{url} can't be reached: {error.reason}.", "Check the network; behind a proxy, set HTTPS_PROXY."
        ) from error
    except (http.client.HTTPException, ConnectionError, TimeoutError) as error:
        raise CurateError(
            f"The connection to {url} was cut: {error or type(error).__name__}.",
            "Run the same command again: it goes on where it stopped.",
        ) from error


def _too_large(url: str) -> CurateError:
    return CurateError(f"{url} gives more than {MAX_BYTES / 1e9:.0f} GB, which no model in use has.")


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
