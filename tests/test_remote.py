"""Remote storage against a real S3 server, and web addresses against a real HTTP server, both on this machine."""

from __future__ import annotations

import csv
import http.server
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import s3
from buckets import Bucket, client_of, new_bucket, only_this_machine
from conftest import PICTURES, Curate
from curate import web
from curate.errors import SourceError, StoreError
from curate.remote import Downloaded, Uploaded, download, existing_export, upload
from curate.storage import is_remote, require_network
from curate.transfer import local_names
from curate.web import fetch_list, is_url_list


@pytest.fixture(autouse=True)
def no_other_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections to this machine, and no other, are let through; nobody's own credentials are found."""
    only_this_machine(tmp_path / "none", monkeypatch)


# ---- An S3 server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with s3.serving(tmp_path_factory.mktemp("s3")) as environment:
        yield environment


@pytest.fixture(scope="module")
def client(server: dict[str, str]) -> Any:
    return client_of(server)


@pytest.fixture
def bucket(server: dict[str, str], client: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Bucket:
    return new_bucket(server, client, monkeypatch, tmp_path)


@pytest.fixture
def draft(tmp_path: Path) -> Path:
    """A small export: two pictures and its marker."""
    return files(
        tmp_path / "draft", {"cats/a b.jpg": b"one", "dogs/é%20.jpg": b"two", "export.json": b'{"format": "x"}'}
    )


def files(folder: Path, contents: dict[str, bytes]) -> Path:
    for name, data in contents.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_an_export_comes_back_as_it_went(bucket: Bucket, draft: Path, tmp_path: Path) -> None:
    """Every file, under its name, with its bytes; a "/" at the URL's end changes nothing."""
    sent = upload(draft, bucket.url("pets/v1/"))

    fetched = download(bucket.url("pets/v1"), tmp_path / "here")

    assert sent == Uploaded(files=3, skipped=0, bytes=21)
    assert bucket.all() == ["pets/v1/cats/a b.jpg", "pets/v1/dogs/é%20.jpg", "pets/v1/export.json"]
    assert fetched == Downloaded(tmp_path / "here" / "files", files=3, skipped=0)
    assert contents(fetched.path) == contents(draft)


def test_the_marker_of_an_export_is_read(bucket: Bucket, draft: Path) -> None:
    """None where there is no export."""
    upload(draft, bucket.url("pets"))

    assert existing_export(bucket.url("pets")) == {"format": "x"}
    assert existing_export(bucket.url("pet")) is None


def test_half_an_upload_is_no_export(bucket: Bucket, draft: Path, tmp_path: Path) -> None:
    """It has no export.json, and an import of it is refused."""
    bucket.put("pets/.uploading.json", b'{"format": "x"}')
    bucket.put("pets/cats/a b.jpg", b"one")

    assert existing_export(bucket.url("pets")) is None
    with pytest.raises(SourceError, match=r"is half an upload: it has no export\.json yet"):
        download(bucket.url("pets"), tmp_path / "here")


def test_an_upload_goes_on_where_it_stopped(bucket: Bucket, draft: Path) -> None:
    """What is there with the same bytes is not sent again; what has others is."""
    bucket.put("pets/.uploading.json", b'{"format": "x"}')
    bucket.put("pets/cats/a b.jpg", b"one")
    bucket.put("pets/dogs/é%20.jpg", b"TWO")

    sent = upload(draft, bucket.url("pets"))

    assert (sent.files, sent.skipped) == (2, 1)
    assert bucket.get("pets/dogs/é%20.jpg") == b"two"
    assert bucket.all() == ["pets/cats/a b.jpg", "pets/dogs/é%20.jpg", "pets/export.json"]


def test_a_large_file_goes_in_parts_and_is_recognised(bucket: Bucket, draft: Path, tmp_path: Path) -> None:
    """Of 17 MB: the ETag of three parts is worked out from the local file."""
    shard = os.urandom(1 << 20) * 17
    (draft / "shard.tar").write_bytes(shard)
    upload(draft, bucket.url("pets"))
    bucket.put("pets/.uploading.json", b'{"format": "x"}')
    bucket.remove("pets/export.json")

    again = upload(draft, bucket.url("pets"))

    assert (again.files, again.skipped) == (1, 3)
    assert bucket.client.head_object(Bucket=bucket.name, Key="pets/shard.tar")["ETag"].endswith('-3"')
    one = download(bucket.url("pets/shard.tar"), tmp_path / "here")
    assert one.path.name == "shard.tar"
    assert one.path.read_bytes() == shard


@pytest.mark.parametrize(
    ("there", "message"),
    [
        ({"pets/export.json": b"{}"}, "holds an export already"),
        ({"pets/mine.jpg": b"x"}, r"holds other objects \(1, for example 'mine.jpg'\) already"),
        ({"pets/cats/a b.jpg": b"x"}, r"holds other objects \(1, for example 'cats/a b.jpg'\) already"),
        ({"pets/.uploading.json": b"{}"}, "holds half an upload of another export"),
        (
            {"pets/.uploading.json": b'{"format": "x"}', "pets/mine.jpg": b"x"},
            "no part of this export, for example 'mi",
        ),
    ],
)
def test_nothing_that_was_there_is_overwritten(
    bucket: Bucket, draft: Path, there: dict[str, bytes], message: str
) -> None:
    """Only half an upload of the very same export is gone on with."""
    for key, data in there.items():
        bucket.put(key, data)

    with pytest.raises(SourceError, match=message):
        upload(draft, bucket.url("pets"))

    assert {key: bucket.get(key) for key in bucket.all()} == there


def test_a_folder_made_in_a_web_console_is_empty(bucket: Bucket, draft: Path) -> None:
    """Consoles make an empty object "pets/" for it; and "pets2" is another folder."""
    bucket.put("pets/", b"")
    bucket.put("pets2/mine.jpg")

    assert upload(draft, bucket.url("pets")).files == 3


def test_any_key_becomes_a_safe_file(bucket: Bucket, tmp_path: Path) -> None:
    """Inside the folder, one file per object, with the object's bytes."""
    keys = [
        "../up.jpg",
        "/lead.jpg",
        "A/1.jpg",
        "a/1.jpg",
        "a//1.jpg",
        "a",
        "ö x/ü.jpg",
        "a/b+c%20?#[*].jpg",
        "l\ni.jpg",
    ]
    for key in keys:
        bucket.put(key, key.encode())
    bucket.put("dir/", b"")

    fetched = download(bucket.url(), tmp_path / "here")

    assert contents(fetched.path) == {
        "%2E%2E/up.jpg": b"../up.jpg",
        "A/1.jpg": b"A/1.jpg",
        "a/1.jpg": b"a/1.jpg",
        "a/1-da2bb6e47277.jpg": b"a//1.jpg",
        "a-ca978112ca1b": b"a",
        "a/b+c%20?#[*].jpg": b"a/b+c%20?#[*].jpg",
        "l%0Ai.jpg": b"l\ni.jpg",
        "lead.jpg": b"/lead.jpg",
        "ö x/ü.jpg": "ö x/ü.jpg".encode(),
    }
    assert fetched.renamed["../up.jpg"] == "%2E%2E/up.jpg"
    assert "a/1.jpg" not in fetched.renamed


def test_a_second_download_fetches_only_what_changed(bucket: Bucket, tmp_path: Path) -> None:
    """Known by size and ETag; what is gone there goes here as well."""
    for name in ("same.jpg", "changed.jpg", "gone.jpg"):
        bucket.put(f"pets/{name}", b"old")
    download(bucket.url("pets"), tmp_path / "here")
    bucket.put("pets/changed.jpg", b"new")
    bucket.remove("pets/gone.jpg")

    fetched = download(bucket.url("pets"), tmp_path / "here")

    assert (fetched.files, fetched.skipped) == (1, 1)
    assert contents(fetched.path) == {"same.jpg": b"old", "changed.jpg": b"new"}


def test_another_source_starts_anew(bucket: Bucket, tmp_path: Path) -> None:
    """No file of the first is taken for one of the second."""
    bucket.put("one/a.jpg")
    bucket.put("two/b.jpg")
    download(bucket.url("one"), tmp_path / "here")

    fetched = download(bucket.url("two"), tmp_path / "here")

    assert list(contents(fetched.path)) == ["b.jpg"]


def test_a_damaged_local_file_is_fetched_again(bucket: Bucket, tmp_path: Path) -> None:
    """As one cut by a full disk would be."""
    bucket.put("pets/a.jpg", b"whole")
    fetched = download(bucket.url("pets"), tmp_path / "here")
    (fetched.path / "a.jpg").write_bytes(b"who")

    download(bucket.url("pets"), tmp_path / "here")

    assert (fetched.path / "a.jpg").read_bytes() == b"whole"


# ---- Kills


def killed(call: str, seen: Callable[[], bool]) -> None:
    """Run a call as a process of its own, and kill it without warning once something is to be seen of it."""
    program = f"from pathlib import Path; from curate.remote import download, upload; {call}"
    with subprocess.Popen([sys.executable, "-c", program]) as process:
        deadline = time.monotonic() + 30
        while not seen():
            assert process.poll() is None, "it ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.kill()
    assert process.returncode == -signal.SIGKILL


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """An export of 150 files, which take a second or two to send."""
    names = {f"cats/{number:03}.jpg": b"%d" % number * 500 for number in range(150)}
    return files(tmp_path / "many", {**names, "export.json": b"{}"})


def test_a_killed_upload_is_no_export_and_is_gone_on_with(bucket: Bucket, many: Path) -> None:
    """Everything is there exactly once in the end, the marker last."""
    killed(f"upload(Path({str(many)!r}), {bucket.url('pets')!r})", lambda: len(bucket.all()) > 20)
    arrived = len(bucket.all()) - 1  # without .uploading.json

    assert arrived < 150
    assert existing_export(bucket.url("pets")) is None
    sent = upload(many, bucket.url("pets"))

    assert sent.skipped >= arrived
    assert sent.files + sent.skipped == 151
    assert bucket.all() == sorted(f"pets/{name}" for name in contents(many))
    assert all(bucket.get(f"pets/{name}") == data for name, data in list(contents(many).items())[::10])


def test_a_killed_download_is_gone_on_with(bucket: Bucket, many: Path, tmp_path: Path) -> None:
    """No file under its name is half there, and those that are there are not fetched again."""
    upload(many, bucket.url("pets"))
    here = tmp_path / "here"
    call = f"download({bucket.url('pets')!r}, Path({str(here)!r}))"
    killed(call, lambda: len(list((here / "files").glob("*/*"))) > 20)
    arrived = contents(here / "files")

    assert 20 < len(arrived) < 151
    assert arrived.items() <= contents(many).items()
    fetched = download(bucket.url("pets"), here)

    assert fetched.files + fetched.skipped == 151
    assert fetched.skipped >= len(arrived) - 16  # that a kill caught between a file's name and its line in the record
    assert contents(fetched.path) == contents(many)
    assert not list((here / "parts").iterdir())


# ---- What goes wrong


def refusal(call: Callable[[], object]) -> str:
    """The message and the hint of a refused call."""
    with pytest.raises((SourceError, StoreError)) as caught:
        call()
    return f"{caught.value} {caught.value.hint}"


def test_a_bucket_that_is_not_there_is_named(bucket: Bucket, draft: Path, tmp_path: Path) -> None:
    """By every function; curate makes no buckets."""
    assert "There is no bucket 'nowhere' (s3://nowhere/x)" in refusal(lambda: upload(draft, "s3://nowhere/x"))
    assert "There is no bucket 'nowhere'" in refusal(lambda: download("s3://nowhere/x", tmp_path / "here"))
    assert "There is no bucket 'nowhere'" in refusal(lambda: existing_export("s3://nowhere/x"))


def test_an_empty_prefix_is_said_to_be_empty(bucket: Bucket, tmp_path: Path) -> None:
    """Rather than imported as a data set of no pictures."""
    bucket.put("pets/a.jpg")

    assert f"There is nothing at 's3://{bucket.name}/pet'" in refusal(
        lambda: download(bucket.url("pet"), tmp_path / "here")
    )


def test_who_may_not_is_told_so(bucket: Bucket, draft: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By what the server says, and without any secret."""
    for name, value in s3.STRANGER.items():
        monkeypatch.setenv(name, value)

    said = [
        refusal(lambda: upload(draft, bucket.url("x"))),
        refusal(lambda: download(bucket.url("x"), tmp_path / "here")),
        refusal(lambda: existing_export(bucket.url("x"))),
    ]

    assert all("was refused: " in one and "whether they may list, read and write there" in one for one in said)
    assert not any(s3.STRANGER["AWS_SECRET_ACCESS_KEY"] in one.replace("looking at", "") for one in said)


def test_a_wrong_key_is_told_so(bucket: Bucket, draft: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server's own words say that the signature does not match."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "guessed")

    said = refusal(lambda: upload(draft, bucket.url("x")))

    assert "signature" in said
    assert "guessed" not in said


def test_without_credentials_the_hint_says_where_they_are_looked_for(
    bucket: Bucket, draft: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And how a public bucket is read without."""
    for name in s3.WRITER:
        monkeypatch.delenv(name)

    said = refusal(lambda: upload(draft, bucket.url("x")))

    assert "No credentials were found" in said
    assert "FSSPEC_S3_ANON=true" in said


def test_a_server_that_is_not_there_is_said_to_be_out_of_reach(
    bucket: Bucket, draft: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the endpoint, as that is what people get wrong."""
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")

    said = refusal(lambda: upload(draft, bucket.url("x")))

    assert "can't be reached" in said
    assert "http://127.0.0.1:9/" in said
    assert "goes on where it stopped" in said


def test_an_endpoint_that_is_no_address_is_named(bucket: Bucket, draft: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A typing mistake in AWS_ENDPOINT_URL."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "nonsense")

    assert "Invalid endpoint: nonsense" in refusal(lambda: upload(draft, bucket.url("x")))


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("ftp://host/x", "'ftp://host/x' is no storage that curate knows: expected s3://bucket/"),
        ("file:///x", "Files on this machine are given by their path"),
        ("https://host/x", "is no storage that curate knows"),
        ("s3://", "'s3://' names no bucket"),
        ("s3://key:secret@bucket/x", "holds a user or a key"),
        ("s3://Not_A_Bucket!/x", "Invalid bucket name"),
        ("gs://", "names no bucket"),
    ],
)
def test_a_url_of_another_kind_is_refused(draft: Path, url: str, message: str) -> None:
    """And what may be a key in it is not shown."""
    said = refusal(lambda: upload(draft, url))

    assert message in said
    assert "secret" not in said.lower().replace("aws_secret_access_key", "")


@pytest.mark.skipif(importlib.util.find_spec("gcsfs") is not None, reason="gcsfs is installed")
def test_a_missing_package_is_named_with_what_installs_it(draft: Path) -> None:
    """gcsfs is wanted by few, and no part of curate[remote]."""
    said = refusal(lambda: upload(draft, "gs://bucket/x"))

    assert "gs:// needs the package gcsfs" in said
    assert "pip install 'curate[remote]' gcsfs" in said


def test_the_network_is_used_only_when_told_to() -> None:
    """The refusal says what to type, and shows no signature of a signed address."""
    with pytest.raises(SourceError) as caught:
        require_network("https://ada:pw@host/list.csv?signature=abc", network=False)

    assert str(caught.value) == "'https://host/list.csv' is on the network, which curate uses only when told to."
    assert caught.value.hint == "Add --network (in Python: network=True)."
    require_network("s3://bucket/x", network=True)
    assert "'urls.csv' lists pictures on the network" in refusal(lambda: require_network("urls.csv", network=False))


def test_urls_are_told_from_paths() -> None:
    """A drive letter is no scheme."""
    assert is_remote("s3://bucket/x")
    assert is_remote("HTTPS://host/x")
    assert not any(map(is_remote, ("photos", "C:/photos", "C://photos", "a/b://c", "/x", "s3:/x")))


def test_nothing_of_fsspec_is_loaded_until_a_url_is_opened(environment: dict[str, str]) -> None:
    """Nor http: importing the module must stay cheap."""
    program = (
        "import sys, curate.remote; print([one for one in ('fsspec', 's3fs', 'http.client') if one in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)

    assert done.stdout == "[]\n", done.stderr


# ---- Names


def test_systems_that_ignore_case_get_names_that_differ() -> None:
    """In each part, so that the pictures of two classes do not meet in one folder."""
    names = local_names(["Cat/1.jpg", "cat/2.jpg", "a:b/50%.jpg", "con/x.jpg"], strict=True)

    assert names == {
        "Cat/1.jpg": "Cat/1.jpg",
        "cat/2.jpg": "%63%61%74/2.jpg",
        "a:b/50%.jpg": "a%3Ab/50%.jpg",
        "con/x.jpg": "%63on/x.jpg",
    }


def test_a_name_too_long_for_a_file_is_cut_and_keeps_its_kind() -> None:
    """And stays apart from others that begin alike."""
    first, second = local_names(["ü" * 200 + "1.jpg", "ü" * 200 + "2.jpg"], strict=False).values()

    assert len(first.encode()) <= 255
    assert first.endswith(".jpg")
    assert first != second


# ---- Web addresses


class WebServer(http.server.ThreadingHTTPServer):
    """asked: the path of each request, in order. agents: their User-Agents. ranges: their Ranges, if any."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), WebHandler)
        self.asked: list[str] = []
        self.agents: set[str] = set()
        self.ranges: list[str] = []

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/{path}"


class WebHandler(http.server.BaseHTTPRequestHandler):
    server: WebServer

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.server.agents.add(self.headers["User-Agent"])
        name, _, detail = self.path.strip("/").partition("/")
        getattr(self, name, self.gone)(detail)

    def answer(self, code: int, data: bytes = b"", **headers: str) -> None:
        self.send_response(code)
        for header, value in {"Content_Length": str(len(data)), **headers}.items():
            self.send_header(header.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def picture(self, detail: str) -> None:
        number = int(re.findall(r"\d+", detail)[0])
        self.answer(200, PICTURES[number], Content_Type="image/jpeg")

    def untyped(self, detail: str) -> None:
        self.answer(200, PICTURES[0])

    def gone(self, detail: str) -> None:
        self.answer(404)

    def page(self, detail: str) -> None:
        self.answer(200, b"<html>please log in</html>", Content_Type="text/html; charset=utf-8")

    def empty(self, detail: str) -> None:
        self.answer(200, b"", Content_Type="image/png")

    def zipped(self, detail: str) -> None:
        self.answer(200, b"x", Content_Encoding="gzip")

    def slow(self, detail: str) -> None:
        time.sleep(1)

    def drip(self, detail: str) -> None:
        self.send_response(200)
        self.end_headers()
        for _ in range(30):
            self.wfile.write(b"x")
            time.sleep(0.1)

    def large(self, detail: str) -> None:
        self.answer(200, Content_Length="600000000")

    def endless(self, detail: str) -> None:
        self.send_response(200)
        self.end_headers()
        for _ in range(30):
            self.wfile.write(b"x" * 1_000_000)

    def cut(self, detail: str) -> None:
        self.answer(200, b"abc", Content_Length="5", ETag='"v1"')

    def busy(self, detail: str) -> None:
        if self.server.asked.count(self.path) < 3:
            self.answer(503, Retry_After="0")
        else:
            self.picture("1")

    def closed(self, detail: str) -> None:
        self.answer(429, Retry_After="3600")

    def to(self, detail: str) -> None:
        self.answer(302, Location=detail)

    def part(self, detail: str) -> None:
        """Ten bytes of which the first asker gets four."""
        wanted = self.headers.get("Range")
        if wanted is None:
            self.answer(200, b"0123", Content_Length="10", ETag='"v1"')
            return
        self.server.ranges.append(wanted)
        if self.headers["If-Range"] == '"v1"' and detail != "changed.csv":
            start = 0 if detail == "wrong.csv" else int(wanted[6:-1])
            self.answer(206, b"0123456789"[start:], Content_Range=f"bytes {start}-9/10", ETag='"v1"')
        else:
            self.answer(200, b"abcdefghij", ETag='"v2"')

    def log_message(self, *_: object) -> None:
        """Nothing on stderr."""


@pytest.fixture
def site() -> Iterator[WebServer]:
    with WebServer() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def listed(tmp_path: Path, *urls: str) -> Path:
    return files(tmp_path, {"urls.txt": "\n".join(urls).encode()}) / "urls.txt"


def table(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_a_list_of_addresses_becomes_files_and_a_table(site: WebServer, tmp_path: Path) -> None:
    """Labels and splits come along; the name is the server's, the address's own, and of the picture's kind."""
    lines = [
        "split,URL,label",
        f"train,{site.url('picture/1.jpg')},cat",
        f'val,{site.url("picture/2.php?size=l")},"a, b"',
        f"test,{site.url('picture/../3 ü.JPG')},",
    ]
    fetched = fetch_list(files(tmp_path, {"urls.csv": "\n".join(lines).encode()}) / "urls.csv", tmp_path / "here")

    rows = table(fetched.table)

    assert [(row["label"], row["split"]) for row in rows] == [("cat", "train"), ("a, b", "val"), ("", "test")]
    assert [Path(row["path"]).name.rpartition("-")[0] for row in rows] == ["1", "2", "3 ü"]
    assert [Path(row["path"]).suffix for row in rows] == [".jpg", ".jpg", ".jpg"]
    assert [(fetched.table.parent / row["path"]).read_bytes() for row in rows] == PICTURES[1:4]
    assert (fetched.files, fetched.skipped, fetched.failures) == (3, 0, {})
    assert site.agents == {"curate"}


@pytest.mark.parametrize("kind", ["tsv", "jsonl", "parquet"])
def test_every_kind_of_table_is_read(site: WebServer, tmp_path: Path, kind: str) -> None:
    """With the column `url`, whatever its case."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    file, url = tmp_path / f"list.{kind}", site.url("picture/5.jpg")
    if kind == "parquet":
        pq.write_table(pa.table({"URL": [url], "label": [7]}), file)
    else:
        file.write_text(f"url\tlabel\n{url}\t7\n" if kind == "tsv" else json.dumps({"url": url, "label": 7}))

    [row] = table(fetch_list(file, tmp_path / "here").table)

    assert is_url_list(file)
    assert row["label"] == "7"


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("a.txt", b"\n https://host/1.jpg\n", True),
        ("a.csv", b"label,URL\ncat,https://host/1.jpg\n", True),
        ("a.jsonl", b'{"image_url": "https://host/1.jpg"}\n', True),
        ("b.txt", b"cat\ndog\n", False),
        ("b.json", b'{"url": "https://host"}', False),
        ("b.csv", b"path,url\n1.jpg,https://host/1.jpg\n", False),  # names files as well: a table of files
        ("c.csv", b"path,label\n1.jpg,cat\n", False),
        ("c.jsonl", b"[1]\n", False),
        ("c.parquet", b"not one", False),
        ("c.jpg", b"\xff\xd8\xff", False),
        ("empty.txt", b"", False),
    ],
)
def test_a_list_of_addresses_is_told_from_other_files(tmp_path: Path, name: str, data: bytes, expected: bool) -> None:
    """By its columns or its first line."""
    assert is_url_list(files(tmp_path, {name: data}) / name) is expected


def test_a_table_without_addresses_is_refused(tmp_path: Path) -> None:
    """With the columns that it has."""
    file = files(tmp_path, {"c.csv": b"path,label\n1,2\n"}) / "c.csv"

    assert "has no column 'url'; its columns are: path, label" in refusal(lambda: fetch_list(file, tmp_path / "here"))


def test_what_can_not_be_fetched_is_told_with_row_and_reason(
    site: WebServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each such row stays in the table and names no file; the others are fetched."""
    monkeypatch.setattr(web, "TRIES", 1)
    monkeypatch.setattr(web, "MAX_PICTURE_BYTES", 5_000_000)
    reasons = {
        site.url("nothing/x.jpg?key=abc"): "404 Not Found",
        site.url("page"): "it is text/html, no picture",
        site.url("empty"): "it is empty",
        site.url("zipped"): "the server compressed it, though it was not asked to",
        site.url("large"): "it has 600,000,000 bytes, more than the limit of 5,000,000",
        site.url("endless"): "it has more than the limit of 5,000,000 bytes",
        site.url("cut"): "the connection was cut 2 bytes before the end",
        site.url("closed"): "429 Too Many Requests",
        site.url("to/file:///etc/passwd"): "it leads elsewhere, and that is not followed (302)",
        site.url("to/http://169.254.169.254/keys"): "it leads to 169.254.169.254",
        site.url("to/http://[/x.jpg"): "the connection failed: ",
        "http://169.254.169.254/keys": "it leads to 169.254.169.254",
        "ftp://127.0.0.1/x.jpg": "it is no web address: expected http://… or https://…",
        "file:///etc/passwd": "it is no web address",
        "http://ada:secret@127.0.0.1/x.jpg": "it holds a user or a password",
        "http://[/x.jpg": "it is no web address",
        "cats/1.jpg": "it is no web address",
        "http://a..b/x\0.jpg": "there can't be such a server",
    }
    file = listed(tmp_path, site.url("picture/1.jpg"), *reasons)

    fetched = fetch_list(file, tmp_path / "here")

    rows = table(fetched.table)
    assert len(rows) == 1 + len(reasons)
    assert [(fetched.table.parent / row["path"]).exists() for row in rows] == [True] + [False] * len(reasons)
    told = [fetched.failures[row["path"]] for row in rows[1:]]
    assert [reason for one, reason in zip(told, reasons.values(), strict=True) if reason not in one] == []
    assert [one.partition(",")[0] for one in told] == [f"row {number}" for number in range(2, 2 + len(reasons))]
    assert not any("abc" in one or "secret" in one for one in told)


@pytest.mark.parametrize(
    ("page", "limit", "reason"),
    [
        ("slow", "TIMEOUT_S", "no answer within 0.3 s"),
        ("drip", "MAX_PICTURE_S", "it took more than 0.3 s"),
    ],
)
def test_a_server_that_takes_too_long_is_given_up(
    site: WebServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page: str, limit: str, reason: str
) -> None:
    monkeypatch.setattr(web, limit, 0.3)
    monkeypatch.setattr(web, "TRIES", 1)

    with pytest.raises(SourceError, match=f"Not one of the 1 addresses .*{reason}"):
        fetch_list(listed(tmp_path, site.url(page)), tmp_path / "here")
    assert not list((tmp_path / "here" / "parts").iterdir())


def test_a_busy_server_is_asked_again_after_the_pause_it_names(site: WebServer, tmp_path: Path) -> None:
    """Up to three times; one that wants an hour is left alone."""
    file = listed(tmp_path, site.url("busy"), site.url("closed"))

    fetched = fetch_list(file, tmp_path / "here")

    assert fetched.files == 1
    assert sorted(site.asked) == ["/busy", "/busy", "/busy", "/closed"]


def test_no_address_is_asked_twice(site: WebServer, tmp_path: Path) -> None:
    """Neither for two rows of a list, nor by a second run, nor for a longer list."""
    file = listed(tmp_path, site.url("picture/1.jpg"), site.url("picture/1.jpg"))
    first = fetch_list(file, tmp_path / "here")
    assert len(table(first.table)) == 2

    file = listed(tmp_path, site.url("picture/1.jpg"), site.url("picture/2.jpg"))
    second = fetch_list(file, tmp_path / "here")

    assert (second.files, second.skipped) == (1, 1)
    assert site.asked == ["/picture/1.jpg", "/picture/2.jpg"]


def test_an_address_with_two_labels_is_refused_before_anything_is_fetched(site: WebServer, tmp_path: Path) -> None:
    """As a label file with two labels for a path is."""
    rows = f"url,label\n{site.url('picture/1.jpg')},cat\n{site.url('picture/1.jpg')},dog\n"

    said = refusal(lambda: fetch_list(files(tmp_path, {"list.csv": rows.encode()}) / "list.csv", tmp_path / "here"))

    assert "Rows 1 and 2 of" in said
    assert site.asked == []


def test_two_addresses_never_share_a_file(site: WebServer, tmp_path: Path) -> None:
    """Not even if they differ in their query alone."""
    file = listed(tmp_path, site.url("picture/1.jpg?v=1"), site.url("picture/1.jpg?v=2"))

    rows = table(fetch_list(file, tmp_path / "here").table)

    assert rows[0]["path"] != rows[1]["path"]


def test_a_redirection_is_followed(site: WebServer, tmp_path: Path) -> None:
    """To another web address, but not for ever."""
    file = listed(tmp_path, site.url(f"to/{site.url('picture/4.jpg')}"), site.url("to/" + "to/" * 9 + "x"))

    fetched = fetch_list(file, tmp_path / "here")

    assert (fetched.table.parent / table(fetched.table)[0]["path"]).read_bytes() == PICTURES[4]
    assert len(fetched.failures) == 1


def test_a_public_server_can_not_lead_to_a_private_one() -> None:
    """A list may name a private server itself."""
    request = web._Request("http://10.0.0.5/x.jpg")
    web._require_allowed(request, "10.0.0.5")

    request.public_only = True
    with pytest.raises(web._NotFetched, match=r"it leads to 10\.0\.0\.5, which only this machine's network can reach"):
        web._require_allowed(request, "10.0.0.5")


def test_a_list_of_which_nothing_comes_is_an_error(site: WebServer, tmp_path: Path) -> None:
    """With the first reason: most likely the network is down, or the list is old."""
    said = refusal(lambda: fetch_list(listed(tmp_path, site.url("nothing/1.jpg")), tmp_path / "here"))

    assert "Not one of the 1 addresses in" in said
    assert "/nothing/1.jpg: 404 Not Found" in said


def test_a_killed_list_is_gone_on_with(site: WebServer, tmp_path: Path) -> None:
    """Each address that had arrived is not asked again."""
    urls = [site.url(f"picture/{number % 12}?{number}") for number in range(300)]
    file, here = listed(tmp_path, *urls), tmp_path / "here"
    call = f"from curate.web import fetch_list; fetch_list(Path({str(file)!r}), Path({str(here)!r}))"
    killed(call, lambda: len(list((here / "files").glob("*/*"))) > 20)

    fetched = fetch_list(file, here)

    assert fetched.files + fetched.skipped == 300
    assert fetched.skipped > 0
    assert len(site.asked) <= 300 + 2 * web.WORKERS
    assert not list((here / "parts").iterdir())
    rows = table(fetched.table)
    assert all((here / "files" / row["path"]).read_bytes() == PICTURES[n % 12] for n, row in enumerate(rows))


def test_one_file_is_fetched_under_its_name(site: WebServer, tmp_path: Path) -> None:
    """Whatever it is: what to make of it is the importer's question."""
    fetched = download(site.url("page/a%20list.csv?x=1").replace("http", "HTTP"), tmp_path / "here")

    assert fetched == Downloaded(tmp_path / "here" / "files" / "a list.csv", files=1, skipped=0)
    assert site.asked == ["/page/a%20list.csv?x=1"]


@pytest.mark.parametrize(("name", "whole"), [("same.csv", b"0123456789"), ("changed.csv", b"abcdefghij")])
def test_a_cut_file_is_gone_on_with_if_it_is_still_the_same(
    site: WebServer, tmp_path: Path, name: str, whole: bytes
) -> None:
    """Else it is fetched anew, so that no file is made of two."""
    fetched = download(site.url(f"part/{name}"), tmp_path / "here")

    assert site.ranges == ["bytes=4-"]
    assert fetched.path.read_bytes() == whole


def test_a_server_that_gives_another_part_than_asked_for_makes_no_file(site: WebServer, tmp_path: Path) -> None:
    """Proxies have been seen to do so."""
    said = refusal(lambda: download(site.url("part/wrong.csv"), tmp_path / "here"))

    assert "the server gave another part of the file than asked for" in said
    assert not (tmp_path / "here" / "files" / "wrong.csv").exists()


def test_a_file_that_is_not_there_is_told_without_its_signature(site: WebServer, tmp_path: Path) -> None:
    """A signed address is a key. And one that is no address is refused in the same way."""
    said = refusal(lambda: download(site.url("nothing.csv?signature=abc"), tmp_path / "here"))

    assert "'http://[/x' can't be fetched: it is no web address" in refusal(lambda: download("http://[/x", tmp_path))
    assert "/nothing.csv' can't be fetched: 404 Not Found." in said
    assert "abc" not in said


# ---- The commands


def test_a_list_of_addresses_is_imported_only_when_the_network_is_allowed(
    site: WebServer, tmp_path: Path, curate: Curate
) -> None:
    lines = [
        "url,label",
        f"{site.url('picture/1.jpg')},cat",
        f"{site.url('picture/2.jpg')},dog",
        f"{site.url('gone')},x",
    ]
    urls = files(tmp_path, {"urls.csv": "\n".join(lines).encode()}) / "urls.csv"

    refused = curate("import", urls, tmp_path / "new")
    asked_before = list(site.asked)
    done = curate("import", urls, tmp_path / "new", "--network")

    assert (refused.code, asked_before) == (2, [])
    assert "Add --network" in refused.err
    assert done.code == 0
    assert "2 images, read as table" in done.out
    assert "Labels: cat 1, dog 1" in done.out
    assert "404" in done.out
    # In the cache is the record of the run alone: nothing that was fetched stays.
    assert sorted(path.name for path in (tmp_path / "new.curate").iterdir()) == [
        "cache",
        "curate.toml",
        "imported.csv",
        "lock",
        "store.json",
    ]
    assert [path.name for path in (tmp_path / "new.curate" / "cache").iterdir()] == ["last_run.json"]


def test_an_export_to_s3_is_found_there_and_imported_from_there(
    bucket: Bucket, photos: Path, tmp_path: Path, curate: Curate
) -> None:
    curate("clean", photos, "--workers", "1")
    url = bucket.url("sets/photos")

    refused = curate("export", photos, url)
    first = curate("export", photos, url, "--network", "--format", "webdataset")
    again = curate("export", photos, url, "--network", "--format", "webdataset")
    other = curate("export", photos, url, "--network")
    back = curate("import", url, tmp_path / "back", "--network", "--json")

    assert (refused.code, first.code, again.code, other.code, back.code) == (2, 0, 0, 2, 0)
    assert f"6 images of v1 in 2 classes: {url}" in first.out
    assert "were there already" in again.out
    assert "holds another export (webdataset of photos@v1)" in other.err
    assert back.json["labels"] == {"cats": 3, "dogs": 3}
    assert not list(photos.with_name("photos.curate").glob(".upload*"))
