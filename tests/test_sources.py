"""Pictures that stay in a bucket, on a real S3 server of this machine."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import s3
from buckets import Bucket, client_of, new_bucket, only_this_machine
from conftest import PICTURES, Curate, command, picture, write
from curate import sources
from curate.dataset import load
from curate.errors import SourceError, StoreError
from curate.exporting import export
from curate.inspection import verify, why
from curate.normalization import normalize
from curate.pipeline import Cleaned, clean
from curate.project import Project
from curate.review_app.pictures import NoPicture, Pictures, Wanted
from curate.sources import Bucket as Source
from curate.sources import file_in, open_file, read_ahead, read_file, source_of
from curate.stages.scan import scan_source
from curate.versions import head
from curate_cli.output import READ_PICTURES
from ray_cluster import ENVIRONMENT, running_cluster
from relay import Relay, relayed


@pytest.fixture(autouse=True)
def no_other_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections to this machine, and no other, are let through; nobody's own credentials are found."""
    only_this_machine(tmp_path / "none", monkeypatch)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def swift(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with s3.serving(tmp_path_factory.mktemp("s3")) as environment:
        yield environment


@pytest.fixture(scope="module")
def client(swift: dict[str, str]) -> Any:
    return client_of(swift)


@pytest.fixture
def relay(swift: dict[str, str]) -> Iterator[tuple[Relay, dict[str, str]]]:
    with relayed(swift) as found:
        yield found


@pytest.fixture
def asked(relay: tuple[Relay, dict[str, str]]) -> list[str]:
    """The objects that were read so far."""
    return relay[0].asked


@pytest.fixture
def bucket(relay: tuple[Relay, dict[str, str]], client: Any, monkeypatch: pytest.MonkeyPatch, photos: Path) -> Bucket:
    """A bucket with the pictures of `photos` below "pictures/"; reading it is counted."""
    made = new_bucket(relay[1], client, monkeypatch, photos)
    for path in photos.rglob("*.jpg"):
        made.put(f"pictures/{path.relative_to(photos).as_posix()}", path.read_bytes())
    return made


@pytest.fixture
def url(bucket: Bucket) -> str:
    return bucket.url("pictures")


def cleaned(url: str, tmp_path: Path, **options: Any) -> Cleaned:
    return clean(url, store=tmp_path / "store", network=True, **{"workers": 1, **options})


# ---- Cleaning


@pytest.mark.parametrize("workers", [1, 2])
def test_a_bucket_gives_the_version_that_a_folder_of_the_same_files_gives(
    url: str, photos: Path, tmp_path: Path, workers: int
) -> None:
    """To the last bit of its id, by one process and by several."""
    here = clean(photos, workers=1)
    there = cleaned(url, tmp_path, workers=workers)

    assert here.version is not None
    assert there.version is not None
    assert there.version.id == here.version.id
    assert (there.effort.opened, there.counts["labels"]) == (6, {"cats": 3, "dogs": 3})


def test_an_unchanged_bucket_is_listed_and_not_read(url: str, tmp_path: Path, asked: list[str]) -> None:
    """Sizes, times and ETags tell."""
    cleaned(url, tmp_path)
    first = len(asked)

    again = cleaned(url, tmp_path)

    assert (first, len(asked)) == (6, 6)
    assert (again.effort.opened, again.effort.hashed, again.is_new) == (0, 0, False)


def test_only_what_changed_in_a_bucket_is_read_again(
    bucket: Bucket, url: str, tmp_path: Path, asked: list[str]
) -> None:
    """Even where the new content has the size of the old and came within the same second."""
    bucket.put("pictures/cats/x.jpg", b"first")
    cleaned(url, tmp_path)
    asked.clear()
    bucket.put("pictures/cats/x.jpg", b"other")
    bucket.put("pictures/dogs/6.jpg", PICTURES[6])
    bucket.remove("pictures/cats/0.jpg")

    again = cleaned(url, tmp_path)

    assert sorted(set(asked)) == [f"/{bucket.name}/pictures/cats/x.jpg", f"/{bucket.name}/pictures/dogs/6.jpg"]
    rows = again.table.set_index("path")
    assert "cats/0.jpg" not in rows.index
    assert rows.loc["cats/x.jpg", "sha256"] == "d9298a10d1b0735837dc4bd85dac641b0f3cef27a47e5d53a54f2f3f5b2fcffa"


def test_hidden_objects_and_folder_marks_have_no_row(bucket: Bucket, url: str, tmp_path: Path) -> None:
    """As hidden files of a folder have none; any other key is a path, whatever it looks like."""
    for key in (".git/x.jpg", "cats/.x.jpg", "dogs/"):
        bucket.put(f"pictures/{key}", b"" if key.endswith("/") else PICTURES[7])
    for key in ("a//b.jpg", "a/../b.jpg", "/etc/passwd", "é \\ %20.jpg", "labels.csv"):
        bucket.put(f"pictures/{key}", PICTURES[8])
    bucket.put("pictures2/x.jpg", PICTURES[9])

    done = cleaned(url, tmp_path)

    table = done.table
    found = set(table["path"]) - {f"{'cats' if number < 3 else 'dogs'}/{number}.jpg" for number in range(6)}
    assert found == {"/etc/passwd", "a//b.jpg", "labels.csv", "é \\\\ %20.jpg"}
    assert list(done.scan.skipped) == ["a/../b.jpg"]
    rows = table.set_index("path")
    assert rows["sha256"][["/etc/passwd", "a//b.jpg"]].nunique() == 1
    assert rows.loc["labels.csv", "read_error"] == "not_an_image"


def test_a_bucket_is_listed_page_by_page(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as there are."""
    monkeypatch.setattr(sources, "PAGE_OBJECTS", 4)

    assert len(scan_source(Source(url, network=True)).rows) == 6


def test_a_whole_bucket_is_a_source_too(bucket: Bucket, tmp_path: Path) -> None:
    """Its classes are its first folders."""
    bucket.put("birds/7.jpg", PICTURES[7])

    table = cleaned(bucket.url(), tmp_path).table

    assert list(table["label"]) == ["birds"] + 6 * ["pictures"]


@pytest.mark.slow
@pytest.mark.skipif(find_spec("ray") is None, reason="curate[ray] is not installed")
def test_the_machines_of_a_ray_cluster_read_the_bucket_themselves(
    url: str, photos: Path, tmp_path: Path, asked: list[str]
) -> None:
    """With the credentials of each machine's own environment; the version is the same."""
    here = clean(photos, workers=1)

    with running_cluster("127.0.0.3") as cluster:
        # A process of its own, as Ray reads its variables when it is imported.
        line = command("clean", url, "--network", "--store", tmp_path / "store", "--executor", "ray", "--json")
        line += ["--set", f"executor.address={cluster.address}"]
        done = [
            subprocess.run(line, env={**os.environ, **ENVIRONMENT}, capture_output=True, text=True) for _ in range(2)
        ]

    assert [one.returncode for one in done] == [0, 0], done[0].stderr
    assert here.version is not None
    assert head(tmp_path / "store" / "versions").id == here.version.id  # type: ignore[union-attr]  # there is one
    assert len(asked) == 6


# ---- What is refused


def test_no_command_asks_a_bucket_without_network(url: str, tmp_path: Path, curate: Curate, asked: list[str]) -> None:
    """Nor lists it; and each says what to add."""
    cleaned(url, tmp_path)
    asked.clear()
    store = ("--store", tmp_path / "store")
    commands: list[list[str | Path]] = [
        ["clean"],
        ["status"],
        ["verify"],
        ["report"],
        ["normalize", "--size", "32"],
        ["init"],
    ]
    commands += [["export", tmp_path / "out"], ["flag"], ["split"], ["next"], ["review", "--no-browser"], ["run"]]
    commands += [["apply"]]

    done = {str(verb): curate(verb, url, *rest, *store) for verb, *rest in commands}

    assert {verb: one.code for verb, one in done.items()} == dict.fromkeys(done, 2)
    assert [verb for verb, one in done.items() if "Add --network" not in one.err] == []
    assert asked == []
    for verb in ("log", "table", "show"):
        assert curate(verb, url, *store).code == 0, verb


def test_every_command_that_reads_pictures_has_network(curate: Curate) -> None:
    """Those that `Next` lines give it to."""
    assert [verb for verb in sorted(READ_PICTURES) if "--network" not in curate(verb, "--help").out] == []


def test_a_store_for_a_url_is_named_once(url: str, curate: Curate, tmp_path: Path) -> None:
    """In the current folder, under the URL's last name, it is found again: it says which URL it was made for."""
    unnamed = curate("clean", url, "--network")
    named = curate("clean", url, "--network", "--store", "pictures.curate", "--workers", "1")
    again = curate("log", url)
    other = curate("log", f"{url}2")
    itself = curate("log", "pictures.curate")

    assert (unnamed.code, named.code, again.code, other.code, itself.code) == (2, 0, 0, 2, 2)
    assert "Add --store pictures.curate" in unnamed.err
    assert json.loads((tmp_path / "pictures.curate" / "store.json").read_text())["url"] == url
    assert f"{url} --store {tmp_path}/pictures.curate" in itself.err
    assert f"curate report {url} --store pictures.curate --network" in named.out


def test_a_url_with_a_key_is_refused_and_not_shown(tmp_path: Path, curate: Curate) -> None:
    """Whoever looks at the screen would see it."""
    done = curate("clean", "s3://me:secret@bucket/pictures", "--network", "--store", tmp_path / "store")

    assert done.code == 2
    assert "secret" not in done.err
    assert "holds a user or a key" in done.err


@pytest.mark.parametrize("folder", ["https://host/pictures", "ftp://host/a", "file:///tmp/a"])
def test_only_storage_can_be_a_source(folder: str, tmp_path: Path) -> None:
    """A web server lists nothing."""
    with pytest.raises(SourceError, match="is no storage that curate knows"):
        clean(folder, store=tmp_path / "store", network=True)


def test_an_import_makes_no_bucket(url: str, photos: Path, curate: Curate) -> None:
    """And nothing is exported into the pictures themselves."""
    into = curate("import", photos, url, "--network")
    curate("clean", url, "--network", "--store", "pictures.curate", "--workers", "1")
    inside = curate("export", url, f"{url}/copy", "--network")

    assert (into.code, inside.code) == (2, 2)
    assert "makes a folder on this machine" in into.err
    assert "lies inside the image folder" in inside.err


# ---- Failures


def test_a_bucket_that_is_not_there_is_an_error(bucket: Bucket, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="There is no bucket 'nowhere'"):
        cleaned("s3://nowhere/pictures", tmp_path)
    with pytest.raises(SourceError, match=f"There is no file in 's3://{bucket.name}/nothing'"):
        cleaned(bucket.url("nothing"), tmp_path)


def test_a_refused_bucket_is_an_error(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And no version says that all pictures are unreadable."""
    cleaned(url, tmp_path)
    for name, value in s3.STRANGER.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(SourceError, match="was refused"):
        cleaned(url, tmp_path)
    with pytest.raises(SourceError, match="was refused"):
        read_file(f"{url}/cats/0.jpg")


def test_an_object_that_is_gone_is_missing(bucket: Bucket, url: str, tmp_path: Path) -> None:
    """As a file is that vanishes after it was listed; the next run asks again."""
    project = Project.at(url, tmp_path / "store", network=True)
    scan = scan_source(project.folder)
    kept = bucket.get("pictures/cats/0.jpg")
    bucket.remove("pictures/cats/0.jpg")

    with pytest.raises(FileNotFoundError):
        read_file(f"{url}/cats/0.jpg")
    assert len(scan.rows) == 6

    bucket.put("pictures/cats/0.jpg", kept)
    assert read_file(f"{url}/cats/0.jpg")[0] == kept


def test_what_was_listed_is_what_was_read(url: str) -> None:
    """Size, time and digest of the ETag are the same from both, or nothing would ever be unchanged."""
    rows = {row.path: row for row in scan_source(Source(url, network=True)).rows}

    for path, row in rows.items():
        _, status = read_file(f"{url}/{path}")
        assert (row.size_bytes, row.mtime_ns, row.inode) == (status.size_bytes, status.mtime_ns, status.inode)


def test_a_lost_connection_stops_the_run_and_the_next_goes_on(
    relay: tuple[Relay, dict[str, str]],
    swift: dict[str, str],
    bucket: Bucket,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No version is made, no picture is blamed, and what was measured is not read again."""
    for number in range(160):
        bucket.put(f"many/{number}.jpg", picture(300 + number, 48, 36))
    relay[0].breaks_after = 150
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")

    with pytest.raises(StoreError, match=f"'s3://{bucket.name}' can't be reached"):
        cleaned(bucket.url("many"), tmp_path, workers=2)
    monkeypatch.setenv("AWS_ENDPOINT_URL", swift["AWS_ENDPOINT_URL"])
    again = cleaned(bucket.url("many"), tmp_path, workers=2)

    assert again.version is not None
    assert again.version.number == 1
    assert again.counts["read_errors"] == {}
    assert 10 <= again.effort.opened <= 160 - 64


def test_no_credentials_are_named_as_the_reason(bucket: Bucket, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in s3.WRITER:
        monkeypatch.delenv(name)

    with pytest.raises(SourceError, match="No credentials were found"):
        read_file(f"{url}/cats/0.jpg")


# ---- Every other command


def test_all_of_a_version_works_from_a_bucket(url: str, bucket: Bucket, photos: Path, tmp_path: Path) -> None:
    """Verify, why, load, and what a review shows."""
    cleaned(url, tmp_path)
    store = tmp_path / "store"

    checked = verify(url, store=store, network=True)
    story = why(url, f"{url}/cats/1.jpg", store=store)
    data = load(url, store=store, network=True)
    shown = Pictures(Project.at(url, store, network=True)).get(_wanted(story.row), "thumb")

    assert (checked.checked, checked.intact) == (6, True)
    assert story.row["path"] == "cats/1.jpg"
    assert data.reader.data(1) == (photos / "cats" / "1.jpg").read_bytes()
    assert shown.startswith(b"\xff\xd8")

    bucket.put("pictures/cats/1.jpg", PICTURES[9])
    bucket.remove("pictures/dogs/4.jpg")
    checked = verify(url, store=store, network=True)
    assert (checked.changed, checked.missing) == (["cats/1.jpg"], ["dogs/4.jpg"])
    with pytest.raises(StoreError, match="has other bytes"):
        data.reader.data(1)
    with pytest.raises(NoPicture, match="changed since"):
        Pictures(Project.at(url, store, network=True)).get(_wanted(story.row), "screen")
    with pytest.raises(SourceError, match="only when told to"):
        load(url, store=store).reader.data(0)


def _wanted(row: Any) -> Wanted:
    return Wanted(*(row[name] for name in ("path", "sha256", "size_bytes", "width", "height")))


def test_normalized_pictures_are_the_same_from_a_bucket(url: str, photos: Path, tmp_path: Path) -> None:
    """And training reads them from the store, without the bucket."""
    clean(photos, workers=1)
    here = normalize(photos, changes={"normalize.size": "32x32"}, workers=1)
    cleaned(url, tmp_path)

    there = normalize(
        url,
        store=tmp_path / "store",
        network=True,
        changes={"normalize.size": "32x32"},
        workers=2,
    )

    assert there.version.id == here.version.id
    assert len(load(url, store=tmp_path / "store").reader.data(0)) > 100


def test_a_run_from_a_bucket_ends_in_a_report(url: str, bucket: Bucket, tmp_path: Path, curate: Curate) -> None:
    """With thumbnails; afterwards all is up to date, and the pictures can be exported."""
    for number in range(6, 12):
        bucket.put(f"pictures/{'cats' if number < 9 else 'dogs'}/{number}.jpg", PICTURES[number])
    store = ("--store", tmp_path / "store", "--network")
    write(tmp_path / "store" / "curate.toml", b'[models]\nbackbone = "classic"\n')

    ran = curate("run", url, *store, "--workers", "1")
    status = curate("status", url, *store)
    exported = curate("export", url, tmp_path / "out", *store, "--json")
    captures = curate("shortcuts", url, *store, "--workers", "1")

    assert (ran.code, status.code, exported.code, captures.code) == (0, 0, 0, 0), ran.err + captures.err
    assert "Up to date." in status.out
    page = (tmp_path / "store" / "report.html").read_text()
    assert page.count("data:image/webp") >= 6
    assert len(list((tmp_path / "out").rglob("*.jpg"))) == exported.json["images"]


def test_a_store_can_keep_the_bytes_of_a_bucket(url: str, bucket: Bucket, tmp_path: Path) -> None:
    """Only if it is told to, as that costs what the bucket has."""
    cleaned(url, tmp_path)
    assert not list((tmp_path / "store").glob("objects/??/*"))

    cleaned(url, tmp_path, changes={"versions.keep_bytes": "always", "checks.blurry.min_sharpness": 0.001})

    assert len(list((tmp_path / "store").glob("objects/??/*"))) >= 5
    bucket.remove("pictures/cats/1.jpg")
    data = load(url, store=tmp_path / "store")
    assert len(data.reader.data(0)) == len(PICTURES[0])


@pytest.mark.parametrize("format_", ["imagefolder", "webdataset", "huggingface"])
def test_an_export_reads_every_picture_of_a_bucket_once(
    url: str, bucket: Bucket, tmp_path: Path, asked: list[str], format_: str
) -> None:
    """The next ones while one is written; one that has changed stops it."""
    for number in range(6, 12):
        bucket.put(f"pictures/{'val' if number % 2 else 'train'}/cats/{number}.jpg", PICTURES[number])
    table = cleaned(url, tmp_path).table
    asked.clear()

    done = export(url, tmp_path / "out", format=format_, store=tmp_path / "store", network=True)

    assert done.images == int(table["keep"].sum())
    assert len(asked) == len(set(asked)) == done.images
    bucket.put("pictures/dogs/5.jpg", PICTURES[11])
    with pytest.raises(StoreError, match="is gone or has other bytes"):
        export(url, tmp_path / "other", format=format_, store=tmp_path / "store", network=True)


def test_init_looks_at_headers_only(url: str, tmp_path: Path, curate: Curate) -> None:
    done = curate("init", url, "--network", "--store", tmp_path / "store", "--json")

    assert done.json["formats"] == {"JPEG": 6}
    assert done.json["classes"] == {"cats": 3, "dogs": 3}


# ---- Reading


def test_a_stream_over_an_object_seeks_and_tells_its_size(url: str, photos: Path) -> None:
    """As a file does: metadata stand at the end of some formats."""
    whole = (photos / "cats" / "0.jpg").read_bytes()

    with open_file(f"{url}/cats/0.jpg") as stream:
        assert stream.seek(0, os.SEEK_END) == len(whole)
        stream.seek(-10, os.SEEK_END)
        assert stream.read() == whole[-10:]
        stream.seek(2)
        assert stream.read(5) == whole[2:7]


def test_of_a_large_object_only_what_is_asked_for_is_fetched(bucket: Bucket, url: str, asked: list[str]) -> None:
    """One request brings the header, with which most have said what is wanted."""
    whole = bytes(number % 251 for number in range(1_000_000))
    bucket.put("pictures/large.jpg", whole)

    with open_file(f"{url}/large.jpg") as stream:
        assert stream.read(4096) == whole[:4096]
        assert stream.seek(0, os.SEEK_END) == 1_000_000
        stream.seek(0)
        assert stream.read(100) == whole[:100]
        assert len(asked) == 1
        stream.seek(500_000)
        assert stream.read() == whole[500_000:]
        bucket.put("pictures/large.jpg", whole[::-1])
        stream.seek(200_000)
        with pytest.raises(OSError, match="condition"):
            stream.read(10)


class Task:
    def __init__(self, number: int, size_bytes: int, file: str = "s3://b/x") -> None:
        self.number, self.size_bytes, self.file = number, size_bytes, file


def test_answers_come_in_order_however_they_arrive() -> None:
    """Sixteen at a time, and no more bytes at a time than fit."""
    under_way, most = [0], [0]
    lock = threading.Lock()

    def work(task: Task) -> int:
        with lock:
            under_way[0] += 1
            most[0] = max(most[0], under_way[0])
        threading.Event().wait(0.001 * (task.number % 3))
        with lock:
            under_way[0] -= 1
        return task.number

    assert list(read_ahead(work, [Task(number, 1000) for number in range(50)])) == list(range(50))
    assert 1 < most[0] <= 16
    most[0] = 0
    assert list(read_ahead(work, [Task(number, 40_000_000) for number in range(5)])) == list(range(5))
    assert most[0] == 1


def test_files_of_this_machine_are_read_one_after_the_other_when_asked_for() -> None:
    """Nothing is gained by threads there."""
    begun: list[int] = []
    results = read_ahead(lambda task: begun.append(task.number), (Task(number, 1, "/x") for number in range(9)))

    next(results)

    assert begun == [0]


def test_a_failed_read_ends_the_others() -> None:
    def work(task: Task) -> int:
        raise StoreError(f"no {task.number}")

    with pytest.raises(StoreError, match="no 0"):
        list(read_ahead(work, [Task(number, 1) for number in range(99)]))


def test_a_key_that_looks_like_a_path_stays_in_its_bucket() -> None:
    """os.path.join would make a file of this machine of it."""
    assert file_in("s3://b/p", "/etc/passwd") == "s3://b/p//etc/passwd"
    assert file_in("/photos", "a/b.jpg") == "/photos/a/b.jpg"


def test_a_url_has_one_spelling() -> None:
    """So that a store made for it is found again."""
    assert source_of("S3://bucket/a/b/") == Source("s3://bucket/a/b")
    assert source_of("s3://bucket/").name == "bucket"
    assert source_of("photos") == Path.cwd() / "photos"
