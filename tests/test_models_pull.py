"""`curate models pull`, against a server on this machine: the only command that uses the network."""

from __future__ import annotations

import _socket
import hashlib
import http.server
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import networks
from conftest import Curate
from curate.errors import CurateError
from curate.models import open_backbone
from curate.models.pull import pull


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where pulled models go in these tests; and connections to this machine, and no other, are let through."""

    def connect(self: socket.socket, address: Any) -> None:
        assert address[0] == "127.0.0.1", "curate must not use the network"
        _socket.socket.connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect)
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setenv("CURATE_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


@pytest.fixture
def data(tmp_path: Path) -> bytes:
    return networks.means(tmp_path / "served.onnx").read_bytes()


class Server(http.server.ThreadingHTTPServer):
    """Serves `content` to whatever path. asked: the Range of each request. cut_after: drops the first connection."""

    content = b""
    cut_after = 0
    asked: list[str]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        wanted = self.headers.get("Range", "")
        self.server.asked.append(wanted)
        if self.path == "/gone.onnx":
            self.send_error(404)
        elif self.path == "/elsewhere.onnx":
            self.send_response(302)
            self.send_header("Location", "ftp://127.0.0.1/m.onnx")
            self.end_headers()
        elif wanted == f"bytes={len(self.server.content)}-":
            self.send_error(416)
        else:
            self.give(int(wanted.removeprefix("bytes=").removesuffix("-") or 0))

    def give(self, start: int) -> None:
        rest = self.server.content[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        cut, self.server.cut_after = self.server.cut_after, 0
        self.wfile.write(rest[: cut or None])

    def log_message(self, *_: object) -> None:
        """Nothing on stderr."""


@pytest.fixture
def server(data: bytes) -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as running:
        running.asked, running.content = [], data
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_a_pulled_model_is_used_by_its_name(server: Server, data: bytes, curate: Curate) -> None:
    """Named after the file in the URL."""
    done = curate("models", "pull", f"{server.url}/v1/tiny.onnx?x=1", "--sha256", sha256(data))

    assert done.code == 0, done.err
    assert "curate flag DIR --model tiny" in done.out
    assert open_backbone("tiny").dimensions == 3
    assert open_backbone("tiny#embedding").dimensions == 3


def test_the_list_tells_where_a_model_came_from(server: Server, data: bytes, curate: Curate) -> None:
    """Beside those that come with curate, and before anything is pulled, how to."""
    before = curate("models").out
    assert "Nothing was pulled to" in before
    assert "curate models pull URL --sha256 HEX" in before
    pull(f"{server.url}/tiny.onnx", sha256(data), "small")

    rows = curate("models", "--json").json

    assert [row["name"] for row in rows] == ["builtin", "classic", "small"]
    assert rows[2]["from"] == f"{server.url}/tiny.onnx"
    assert rows[2]["sha256"] == sha256(data)


def test_a_file_of_another_digest_is_thrown_away(server: Server, data: bytes, folder: Path) -> None:
    """A model decides which labels are called wrong: nobody gets another one than they asked for."""
    with pytest.raises(CurateError, match="It was thrown away"):
        pull(f"{server.url}/tiny.onnx", sha256(b"something else"))

    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("digest", [None, "", "abc", "g" * 64])
def test_without_a_digest_nothing_is_asked_of_the_network(server: Server, digest: str | None) -> None:
    """Sixty-four hex digits, or no request."""
    with pytest.raises(CurateError, match="64 hex digits"):
        pull(f"{server.url}/tiny.onnx", digest)

    assert server.asked == []


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://127.0.0.1/m.onnx", "tiny", "http:///m.onnx"])
def test_only_http_is_fetched(url: str) -> None:
    """And a name alone is no URL."""
    with pytest.raises(CurateError, match="expected https"):
        pull(url, "0" * 64)


def test_a_redirection_to_another_protocol_is_refused(server: Server) -> None:
    """Only the first URL was typed by a person."""
    with pytest.raises(CurateError, match="unknown url type: ftp"):
        pull(f"{server.url}/elsewhere.onnx", "0" * 64)


def test_a_missing_file_is_told_as_the_server_says_it(server: Server, folder: Path) -> None:
    """404 Not Found, and nothing is left behind."""
    with pytest.raises(CurateError, match="404 Not Found"):
        pull(f"{server.url}/gone.onnx", "0" * 64)

    assert list(folder.iterdir()) == []


def test_a_cut_download_goes_on_where_it_stopped(server: Server, data: bytes) -> None:
    """The second run asks only for the rest."""
    server.cut_after = 100
    with pytest.raises(CurateError, match=f"was cut after 100 of {len(data):,} bytes"):
        pull(f"{server.url}/tiny.onnx", sha256(data))

    target = pull(f"{server.url}/tiny.onnx", sha256(data))

    assert server.asked == ["", "bytes=100-"]
    assert target.read_bytes() == data


def test_a_server_that_is_not_there_is_a_message() -> None:
    """With a hint at the network."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}/tiny.onnx"

    with pytest.raises(CurateError, match=r"can't be reached: .*refused"):
        pull(url, "0" * 64)


def test_what_was_pulled_is_not_fetched_again(server: Server, data: bytes) -> None:
    """Under the same name and digest it is the same file."""
    pull(f"{server.url}/tiny.onnx", sha256(data))

    pull(f"{server.url}/tiny.onnx", sha256(data))

    assert len(server.asked) == 1


def test_another_model_does_not_take_the_place_of_one(server: Server, data: bytes) -> None:
    """Somebody's results rest on the first."""
    pull(f"{server.url}/tiny.onnx", sha256(data))

    with pytest.raises(CurateError, match="another model called 'tiny'"):
        pull(f"{server.url}/tiny.onnx", "0" * 64)


@pytest.mark.parametrize("name", ["builtin", "classic", "../m", "a b", "-x"])
def test_a_name_must_be_one_that_can_be_typed(server: Server, data: bytes, name: str) -> None:
    """And not lead out of the folder of models."""
    with pytest.raises(CurateError, match="can't be called"):
        pull(f"{server.url}/tiny.onnx", sha256(data), name)


def test_a_file_beside_is_preferred_to_a_pulled_name(server: Server, data: bytes, tmp_path: Path) -> None:
    """What a path names is what is meant."""
    pull(f"{server.url}/tiny.onnx", sha256(data), "m.onnx")

    assert open_backbone(networks.means(tmp_path / "m.onnx")).about["file"] == str(tmp_path / "m.onnx")


def test_a_download_that_was_whole_but_not_named_yet_is_not_stuck(server: Server, data: bytes, folder: Path) -> None:
    """Killed in between: the server then answers that no bytes are left to give (416)."""
    folder.mkdir()
    partial = folder / f".tiny.{sha256(data)[:16]}.part"
    partial.write_bytes(data)

    pulled = pull(f"{server.url}/tiny.onnx", sha256(data))

    assert pulled.read_bytes() == data
    assert server.asked == [f"bytes={len(data)}-", ""]
    assert not partial.exists()


def test_keys_in_an_address_are_not_written_down(server: Server, data: bytes, curate: Curate, folder: Path) -> None:
    """Addresses of private files carry them in the query."""
    pull(f"{server.url}/tiny.onnx?token=secret", sha256(data))

    kept = [path.read_text() for path in folder.glob("*.json")]
    assert len(kept) == 1
    assert "secret" not in kept[0] + curate("models").out


def test_a_folder_that_cannot_be_made_is_a_message(server: Server, data: bytes, folder: Path, curate: Curate) -> None:
    folder.write_text("a file where the folder should be")

    done = curate("models", "pull", f"{server.url}/tiny.onnx", "--sha256", sha256(data))

    assert done.code == 3
    assert done.err.startswith("Error: Can't write")
    assert "choose another folder: CURATE_MODELS=PATH" in done.err


def test_the_list_fits_a_terminal_and_shows_what_a_model_gives(server: Server, data: bytes, curate: Curate) -> None:
    pull(f"{server.url}/{'long/' * 20}tiny.onnx", sha256(data))

    lines = curate("models", "list").out.splitlines()

    assert max(map(len, lines[:4])) <= 80
    assert lines[3].split()[:2] == ["tiny", "3"]
    assert sha256(data)[:12] in lines[3]


def test_an_answer_from_https_is_not_followed_to_http() -> None:
    from urllib.request import Request

    from curate.models.pull import _SafeRedirects

    with pytest.raises(CurateError, match="from https to"):
        _SafeRedirects().redirect_request(
            Request("https://models.example/a.onnx"), None, 302, "Found", {}, "http://models.example/a.onnx"
        )
