"""Files by web address: one file, or every picture of a list of addresses.

A list comes from strangers as often as not. So only http and https are followed, never from https to http, never
from a public place to one that only this machine or its network can reach, and no picture is fetched without limits
of size and time. Servers are asked politely: few questions at once, no address twice, and a pause as long as they ask.
"""

from __future__ import annotations

import csv
import hashlib
import http.client
import ipaddress
import json
import posixpath
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from curate.errors import SourceError, StoreError
from curate.files import explained, replacing
from curate.names import safe_name
from curate.progress import Advance, Progress, silent
from curate.stages.labels import LABEL_COLUMNS, PATH_COLUMNS, SPLIT_COLUMNS, read_rows
from curate.stages.scan import looks_like_image_name
from curate.transfer import DISK_ERRORS, Landing, in_parallel, open_landing, shown

if TYPE_CHECKING:
    import pandas as pd

WORKERS = 8  # at once; browsers open six connections to one server
TIMEOUT_S = 20  # without a byte
MAX_PICTURE_S = 300  # for one picture, however slowly its bytes come
MAX_PICTURE_BYTES = 540_000_000  # 179 million pixels, the most that curate decodes, of three bytes, uncompressed
TRIES = 3
MAX_PAUSE_S = 60  # a server that wants a longer one is left alone until the next run
BLOCK_BYTES = 1 << 16
MAX_STEM = 60  # characters of a file's name at its server that its name here keeps
HEAD_CHARACTERS = 1 << 16  # the first line of a list is shorter
URL_COLUMNS = ("url", "image_url")
TABLES = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")
EXTENSIONS = {
    "image/jpeg": ".jpg",
    "image/png": ".png",
    "image/webp": ".webp",
    "image/gif": ".gif",
    "image/bmp": ".bmp",
    "image/tiff": ".tif",
    "image/avif": ".avif",
    "image/heic": ".heic",
    "image/jxl": ".jxl",
}
_BUSY = {408, 429, 500, 502, 503, 504}  # worth another try
_IN_PATH = "/%:@!$&'()*+,;=~"  # stay as they are: reserved by RFC 3986, or escaped already


@dataclass(frozen=True)
class FetchedList:
    """What a list of web addresses gave.

    table: a CSV file with the columns path, label and split, one row for each of the list; paths are relative to its
    folder, and that of a picture that could not be fetched names no file. files: fetched now. skipped: there from an
    earlier run. failures: path -> row, address and reason.
    """

    table: Path
    files: int
    skipped: int
    failures: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Row:
    """A row of a list. number: from 1, without the header."""

    number: int
    url: str
    label: str
    split: str


class _NotFetched(Exception):
    """again: whether another try may help. pause_s: how long the server wants to be left alone first, if it says so."""

    def __init__(self, reason: str, *, again: bool = False, pause_s: float | None = None) -> None:
        super().__init__(reason)
        self.again = again
        self.pause_s = pause_s


# ---- One file


def fetch_file(url: str, target: Path, progress: Progress = silent) -> tuple[Path, bool]:
    """Fetch one file of any size; where it is, and False if an earlier run had brought it.

    What a killed run got of it is kept, if the server can give the rest. Raises SourceError when it is refused or not
    there, StoreError when the connection fails.
    """
    landing = open_landing(target, url)
    parts = _split(url)
    path = unquote(parts.path).rstrip("/") if parts else ""
    name = safe_name(posixpath.basename(path)[-MAX_STEM:]) or "file"  # its end tells what kind of file it is
    if landing.has(_key(url), ""):
        return landing.files / name, False
    part = landing.parts / "file"
    with explained(target), progress("Downloading", 1) as advance:
        try:
            _patiently(partial(_fetch_rest, url, part))
        except _NotFetched as error:
            message = f"{shown(url)!r} can't be fetched: {error}."
            if error.again:
                hint = "Run the same command again: it goes on where it stopped."
                raise StoreError(message, hint) from error
            raise SourceError(message, "Open it in a browser to see if it is still there.") from error
        landing.finish(_key(url), part, name, "")
        advance(1, size_bytes=landing.finished[_key(url)][1])
    return landing.files / name, True


def _fetch_rest(url: str, part: Path) -> None:
    """Fetch what the part lacks of the file; all of it where the file has changed or the server can't."""
    mark = part.with_name("file.etag")  # of the file that the part is a part of
    start = part.stat().st_size if part.exists() and mark.exists() else 0
    headers = {"Range": f"bytes={start}-", "If-Range": mark.read_text(encoding="ascii")} if start else {}
    with _asked(url, headers) as answer:
        goes_on = answer.status == HTTPStatus.PARTIAL_CONTENT
        if goes_on and not answer.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
            raise _NotFetched("the server gave another part of the file than asked for")
        with part.open("ab" if goes_on else "wb") as stream:
            if not goes_on:
                mark.unlink(missing_ok=True)
                etag = answer.headers.get("ETag", "")
                if etag.startswith('"') and etag.isascii():  # a weak one does not vouch for every byte
                    mark.write_text(etag, encoding="ascii")
            for block in _blocks(answer):
                stream.write(block)


# ---- A list


def is_url_list(file: Path) -> bool:
    """Whether a file is a list of web addresses: a table with a column of them and none of paths, or a text of them.

    Reads no more than the beginning; never raises.
    """
    try:
        names = _column_names(file)
    except (OSError, ValueError, TypeError, csv.Error):
        return False
    if file.suffix.lower() not in TABLES:
        return any(names) and names[0].startswith(("http://", "https://"))
    return any(name in URL_COLUMNS for name in names) and not any(name in PATH_COLUMNS for name in names)


def _column_names(file: Path) -> list[str]:
    """In small letters; of what is no table, its first line. Raises errors of every reader."""
    if file.suffix.lower() == ".parquet":
        import pyarrow.parquet as pq

        with file.open("rb") as stream:
            return [name.lower() for name in pq.read_schema(stream).names]
    with file.open(encoding="utf-8-sig", newline="") as stream:
        start = stream.read(HEAD_CHARACTERS)
    line = next((line for line in start.splitlines() if line.strip()), "").strip().lower()
    if file.suffix.lower() in (".jsonl", ".ndjson"):
        return list(dict(json.loads(line)))
    if file.suffix.lower() in TABLES:
        return next(csv.reader([line], delimiter="\t" if file.suffix.lower() == ".tsv" else ","), [])
    return [line]


def fetch_list(file: Path, target: Path, progress: Progress = silent) -> FetchedList:
    """Fetch every picture that a list names into a folder of curate's own. Run again after a kill, it goes on.

    file: CSV, TSV, JSONL or Parquet with a column "url" and, if there are, "label" and "split"; or a text with one
    address per line. Raises SourceError when it is none, when it gives an address two labels, or when not one picture
    could be fetched.
    """
    rows = _rows(file)
    _require_one_label(rows, file)
    landing = open_landing(target, "a list of web addresses")  # addresses keep their files when the list grows
    urls = dict.fromkeys(row.url for row in rows)
    missing = [url for url in urls if not landing.has(_key(url), "")]
    with explained(target), progress("Downloading", len(missing)) as advance:
        reasons = _fetch_pictures(missing, landing, advance)
        if len(reasons) == len(urls):
            row = rows[0]
            raise SourceError(
                f"Not one of the {len(urls):,} addresses in {str(file)!r} could be fetched. "
                f"Row {row.number}, {shown(row.url)}: {reasons[row.url]}."
            )
        names = {url: landing.finished.get(_key(url), (_name(url, ""), 0, ""))[0] for url in urls}
        table = _write_table(rows, names, landing)
    failures = {
        names[row.url]: f"row {row.number}, {shown(row.url) or 'no address'}: {reasons[row.url]}"
        for row in reversed(rows)
        if row.url in reasons
    }
    return FetchedList(table, len(missing) - len(reasons), len(urls) - len(missing), dict(reversed(failures.items())))


def _rows(file: Path) -> list[_Row]:
    if file.suffix.lower() not in TABLES:
        return _lines(file)
    table = read_rows(file)
    columns = {str(name).lower(): table[name] for name in reversed(table.columns)}
    url = next((columns[name] for name in URL_COLUMNS if name in columns), None)
    if url is None:
        found = ", ".join(map(str, table.columns)) or "none"
        raise SourceError(
            f"{str(file)!r} has no column 'url'; its columns are: {found}.", "Rename the one with web addresses to url."
        )
    if table.empty:
        raise SourceError(f"{str(file)!r} is a list without rows.")
    chosen = [_texts(columns, names, len(table)) for names in (URL_COLUMNS, LABEL_COLUMNS, SPLIT_COLUMNS)]
    return [_Row(number, *texts) for number, texts in enumerate(zip(*chosen, strict=True), start=1)]


def _texts(columns: dict[str, pd.Series[Any]], names: Sequence[str], length: int) -> list[str]:
    """The first of these columns as texts; empty ones where it is empty, or not there."""
    column = next((columns[name] for name in names if name in columns), None)
    return [""] * length if column is None else [str(value) for value in column.astype("object").fillna("")]


def _lines(file: Path) -> list[_Row]:
    """One address per line. Raises SourceError where the first is none: a file of something else."""
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        raise SourceError(f"{str(file)!r} can't be read: {error}.") from error
    rows = [_Row(number, line.strip(), "", "") for number, line in enumerate(lines, start=1) if line.strip()]
    if not rows or not rows[0].url.lower().startswith(("http://", "https://")):
        raise SourceError(
            f"{str(file)!r} is no list of web addresses: expected one per line, or a table with a column 'url'."
        )
    return rows


def _require_one_label(rows: Sequence[_Row], file: Path) -> None:
    """Raises SourceError when rows of one address differ: better now than when everything has been fetched."""
    first: dict[str, _Row] = {}
    for row in rows:
        known = first.setdefault(row.url, row)
        if (known.label, known.split) != (row.label, row.split):
            raise SourceError(
                f"Rows {known.number} and {row.number} of {str(file)!r} give {shown(row.url) or 'no address'} two "
                "different labels or splits.",
                "Leave one label and one split per address.",
            )


def _fetch_pictures(urls: Sequence[str], landing: Landing, advance: Advance) -> dict[str, str]:
    """Fetch each; address -> why not, for those that could not be."""

    def fetch(url: str) -> str:
        part = landing.parts / _key(url)
        try:
            kind = _patiently(partial(_fetch_picture, url, part))
        except _NotFetched as error:
            part.unlink(missing_ok=True)
            return str(error)
        landing.finish(_key(url), part, _name(url, kind), "")
        return ""

    reasons = {}
    for url, reason in in_parallel(fetch, urls, WORKERS):
        if reason:
            reasons[url] = reason
        advance(1, size_bytes=0 if reason else landing.finished[_key(url)][1], errors=bool(reason))
    return reasons


def _fetch_picture(url: str, part: Path) -> str:
    """Fetch one picture; the type that the server says it has."""
    deadline = time.monotonic() + MAX_PICTURE_S
    with _asked(url, {}) as answer:
        kind = str(answer.headers.get_content_type()) if "Content-Type" in answer.headers else ""
        if kind.startswith("text/") or kind in ("application/json", "application/xhtml+xml"):
            raise _NotFetched(f"it is {kind}, no picture")
        if (answer.length or 0) > MAX_PICTURE_BYTES:
            raise _NotFetched(f"it has {answer.length:,} bytes, more than the limit of {MAX_PICTURE_BYTES:,}")
        with part.open("wb") as stream:
            for block in _blocks(answer):
                stream.write(block)
                if stream.tell() > MAX_PICTURE_BYTES:
                    raise _NotFetched(f"it has more than the limit of {MAX_PICTURE_BYTES:,} bytes")
                if time.monotonic() > deadline:
                    raise _NotFetched(f"it took more than {MAX_PICTURE_S} s")
            if not stream.tell():
                raise _NotFetched("it is empty")
    return kind


def _name(url: str, kind: str) -> str:
    """The same safe name for the same address and type, and another for any other address."""
    parts = _split(url)
    stem, extension = posixpath.splitext(posixpath.basename(unquote(parts.path)) if parts else "")
    if not looks_like_image_name(f"x{extension}"):
        extension = EXTENSIONS.get(kind, "")
    file = safe_name(stem[:MAX_STEM].strip() or "picture")
    return f"{safe_name((parts and parts.hostname) or 'nowhere')[:MAX_STEM]}/{file}-{_key(url)[:12]}{extension.lower()}"


def _key(url: str) -> str:
    return hashlib.sha256(url.encode("utf-8", "surrogatepass")).hexdigest()


def _write_table(rows: Sequence[_Row], names: dict[str, str], landing: Landing) -> Path:
    table = landing.files / "list.csv"
    with replacing(table) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("path", "label", "split"))
        writer.writerows((names[row.url], row.label, row.split) for row in rows)
    return table


# ---- Asking a server


def _patiently(fetch: Callable[[], Any]) -> Any:
    """Try again where that may help, after a pause that grows or is as long as the server asks."""
    for number in range(1, TRIES):
        try:
            return fetch()
        except _NotFetched as error:
            pause_s = error.pause_s if error.pause_s is not None else 0.5 * 2**number
            if not error.again or pause_s > MAX_PAUSE_S:
                raise
        time.sleep(pause_s)
    return fetch()


def _blocks(answer: Any) -> Iterator[bytes]:
    """The answer's bytes. Raises _NotFetched when they end early."""
    while block := answer.read1(BLOCK_BYTES):
        yield block
    if answer.length:  # what was promised and did not come
        raise _NotFetched(f"the connection was cut {answer.length:,} bytes before the end", again=True)


@contextmanager
def _asked(url: str, headers: dict[str, str]) -> Iterator[Any]:
    """The server's answer. Raises _NotFetched for everything that servers and networks do instead of answering."""
    request = _Request(_wire_form(url), headers={"User-Agent": "curate", "Accept-Encoding": "identity", **headers})
    try:
        with _opener().open(request, timeout=TIMEOUT_S) as answer:
            if answer.headers.get("Content-Encoding", "identity") != "identity":
                raise _NotFetched("the server compressed it, though it was not asked to")
            yield answer
    except urllib.error.HTTPError as error:
        with error:
            raise _refused(error) from error
    except urllib.error.URLError as error:
        raise _unreachable(error.reason) from error
    except (http.client.HTTPException, OSError, ValueError) as error:  # ValueError: led to what is no address
        if isinstance(error, OSError) and error.errno in DISK_ERRORS:
            raise
        raise _unreachable(error) from error


def _refused(error: urllib.error.HTTPError) -> _NotFetched:
    if error.code in range(300, 400):
        return _NotFetched(f"it leads elsewhere, and that is not followed ({error.code})")
    after = error.headers.get("Retry-After", "") if error.headers else ""
    pause_s = float(after) if after.isascii() and after.isdigit() else None
    return _NotFetched(f"{error.code} {error.reason}".strip(), again=error.code in _BUSY, pause_s=pause_s)


def _unreachable(error: object) -> _NotFetched:
    if isinstance(error, TimeoutError):
        return _NotFetched(f"no answer within {TIMEOUT_S} s", again=True)
    if isinstance(error, socket.gaierror) and error.errno == socket.EAI_NONAME:
        return _NotFetched("there is no such server")
    return _NotFetched(f"the connection failed: {str(error) or type(error).__name__}", again=True)


def _split(url: str) -> Any:
    """The URL's parts; None if it has none."""
    try:
        parts = urlsplit(url)
        return parts if parts.hostname and parts.port != 0 else None
    except ValueError:
        return None


def _wire_form(url: str) -> str:
    """The URL in ASCII, as it is sent. Raises _NotFetched for what is no web address."""
    parts = _split(url)
    if parts is None or parts.scheme not in ("http", "https"):
        raise _NotFetched("it is no web address: expected http://… or https://…")
    if parts.username or parts.password:
        raise _NotFetched("it holds a user or a password, which curate does not send")
    try:
        host = parts.hostname if ":" in parts.hostname else parts.hostname.encode("idna").decode("ascii")
        path, query = (quote(text, safe=_IN_PATH + "?[]|") for text in (parts.path, parts.query))
    except ValueError as error:
        raise _NotFetched("it is no web address: there can't be such a server") from error
    host = f"[{host}]" if ":" in host else host
    return str(urlunsplit((parts.scheme, f"{host}:{parts.port}" if parts.port else host, path, query, "")))


class _Request(urllib.request.Request):
    """public_only: comes from a redirection of a public server, which must not lead to a private one."""

    public_only = False
    private = False  # whether the server turned out to be a private one


def _opener() -> urllib.request.OpenerDirector:
    """Follows http and https only; urllib's own would also open ftp:// and file://."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        _Http(),
        _Https(),
        _Redirects(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    return opener


class _Http(urllib.request.HTTPHandler):
    def http_open(self, req: Any) -> Any:
        return self.do_open(partial(_Connection, req), req)


class _Https(urllib.request.HTTPSHandler):
    def https_open(self, req: Any) -> Any:
        return self.do_open(partial(_SafeConnection, req), req)


class _Connection(http.client.HTTPConnection):
    """Says nothing to a server that the request must not reach."""

    def __init__(self, request: _Request, host: str, timeout: float) -> None:
        super().__init__(host, timeout=timeout)
        self._request = request

    def connect(self) -> None:
        _require_allowed(self._request, self.host)
        super().connect()
        _require_allowed(self._request, self.sock.getpeername()[0])


class _SafeConnection(http.client.HTTPSConnection):
    """The same over TLS."""

    def __init__(self, request: _Request, host: str, timeout: float) -> None:
        super().__init__(host, timeout=timeout)
        self._request = request

    def connect(self) -> None:
        _require_allowed(self._request, self.host)
        super().connect()
        _require_allowed(self._request, self.sock.getpeername()[0])


def _require_allowed(request: _Request, host: str) -> None:
    """Raises _NotFetched for an address that must not be asked; a name passes, as its address is seen later.

    Link-local addresses (169.254.169.254) give cloud machines their keys; no picture lives there.
    """
    if request.host != urlsplit(request.full_url).netloc:
        return  # a proxy is asked, which the user has chosen
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return
    address = getattr(address, "ipv4_mapped", None) or address
    request.private = not address.is_global
    if address.is_link_local or (request.public_only and request.private):
        raise _NotFetched(f"it leads to {address}, which only this machine's network can reach")


class _Redirects(urllib.request.HTTPRedirectHandler):
    max_redirections = 5

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        if urlsplit(newurl).scheme not in ("http", "https"):
            raise _NotFetched(f"it leads to {shown(newurl)!r}, which is no web address")
        if req.type == "https" and urlsplit(newurl).scheme == "http":
            raise _NotFetched("it leads from https to http, where others can look and meddle")
        following = super().redirect_request(req, fp, code, msg, headers, newurl)
        if following is None:
            return None
        request = _Request(_wire_form(following.full_url), headers=following.headers)
        request.public_only = req.public_only or not req.private
        return request
