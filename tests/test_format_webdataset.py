"""Tar shards: the same bytes for the same version, read by the libraries they are for, and read with suspicion."""

from __future__ import annotations

import io
import json
import tarfile
from collections import Counter
from pathlib import Path

import pytest

import curate as library
from conftest import PICTURES, write
from curate.errors import SourceError
from curate.importers import find_importer
from curate.release import Release
from oracle import ask
from pictures import PNG
from releases import bytes_of, export, hard_release, read, release_of, told, told_by


@pytest.fixture(scope="module")
def hard(tmp_path_factory: pytest.TempPathFactory) -> Release:
    return hard_release(tmp_path_factory.mktemp("hard"))


def shard(file: Path, members: dict[str, bytes], mode: str = "w") -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(file, mode) as archive:  # type: ignore[call-overload]
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return file


def found(source: Path) -> list[tuple[str, str | None, str | None]]:
    return [(item.name, item.label, item.split) for item in read(source, "webdataset") if item.content]


def problems(source: Path) -> dict[str, str]:
    return {item.name: item.problem for item in read(source, "webdataset") if item.problem}


# ---- Writing


def test_a_sample_is_a_class_a_picture_and_what_is_known_of_it(tmp_path: Path) -> None:
    release = release_of(tmp_path, {"may/1.jpg": ("a/b", "val")})
    written = export(release, tmp_path / "out", "webdataset")

    with tarfile.open(tmp_path / "out" / "val-000000.tar") as archive:
        members = [(one.name, one.mtime, one.uid, one.gid, one.uname, one.mode) for one in archive]
        contents = [archive.extractfile(one).read() for one in archive]  # type: ignore[union-attr]

    [picture] = release.pictures
    key = f"{picture.id:016x}"
    assert members == [(f"{key}.{field}", 0, 0, 0, "", 0o644) for field in ("cls", "jpg", "json")]
    assert contents[:2] == [b"0", (tmp_path / "photos" / "may" / "1.jpg").read_bytes()]
    assert json.loads(contents[2]) == {
        "height": 72,
        "id": picture.id,
        "label": "a/b",
        "name": "a%2Fb/may/1.jpg",
        "path": "may/1.jpg",
        "repeat": 1,
        "sha256": picture.sha256,
        "split": "val",
        "weight": 1.0,
        "width": 96,
    }
    assert written.places == {"may/1.jpg": f"val-000000.tar/{key}.jpg"}


def test_a_picture_without_label_has_the_class_minus_one(tmp_path: Path) -> None:
    """Libraries want the same members in every sample."""
    export(release_of(tmp_path, {"1.jpg": (None, None)}), tmp_path / "out", "webdataset")

    with tarfile.open(tmp_path / "out" / "train-000000.tar") as archive:
        name = next(one for one in archive.getnames() if one.endswith(".cls"))
        assert archive.extractfile(name).read() == b"-1"  # type: ignore[union-attr]


def test_two_exports_of_a_version_have_the_same_bytes(hard: Release, tmp_path: Path) -> None:
    for name in ("one", "two"):
        export(hard, tmp_path / name, "webdataset")

    assert bytes_of(tmp_path / "one") == bytes_of(tmp_path / "two")


def test_shards_end_before_they_are_too_large(tmp_path: Path) -> None:
    release = release_of(tmp_path, {f"{number}.jpg": ("cat", None) for number in range(5)})
    two = 2 * max(picture.size_bytes for picture in release.pictures)

    export(release, tmp_path / "out", "webdataset", max_shard_bytes=two)

    assert sorted(bytes_of(tmp_path / "out")) == [f"train-{number:06d}.tar" for number in range(3)]
    assert told(read(tmp_path / "out", "webdataset")) == told_by(release)


def test_the_extension_is_that_of_the_bytes(tmp_path: Path) -> None:
    write(tmp_path / "photos" / "really_png.jpg", PNG)
    release = release_of(tmp_path, {"1.jpg": ("cat", None)})

    written = export(release, tmp_path / "out", "webdataset")

    assert {path: place[-4:] for path, place in written.places.items()} == {"1.jpg": ".jpg", "really_png.jpg": ".png"}
    [note] = written.notes
    assert note.startswith(
        "The pictures are of several formats (jpg, png), which Hugging Face `datasets` does not read"
    )


# ---- There and back, and the libraries themselves


def test_everything_comes_back(hard: Release, tmp_path: Path) -> None:
    library.export(hard.project.directory, tmp_path / "out", format="webdataset")

    assert told(read(tmp_path / "out", "webdataset")) == told_by(hard)


@pytest.mark.parametrize("name", ["webdataset", "datasets"])
def test_libraries_read_every_label_and_split(hard: Release, tmp_path: Path, name: str) -> None:
    library.export(hard.project.directory, tmp_path / "out", format="webdataset")

    rows = ask("read_webdataset.py", name, tmp_path / "out", home=tmp_path)

    seen = Counter((row["sha256"], row["label"], row["split"]) for row in rows)
    assert seen == Counter((one.sha256, one.label, one.split or "no_split") for one in hard.pictures)


def test_what_webdataset_writes_is_read(tmp_path: Path) -> None:
    files = [write(tmp_path / f"{number}.jpg", PICTURES[number]) for number in range(5)]
    (tmp_path / "source").mkdir()
    ask("write_webdataset.py", tmp_path / "source", *files, home=tmp_path)

    items = read(tmp_path / "source", "webdataset")

    assert [item.content for item in items] == PICTURES[:5]
    assert [(item.name, item.label, item.split) for item in items] == [
        (f"sample{number:03d}.jpg", str(number % 2), "train") for number in range(5)
    ]


# ---- Reading what others made


def test_class_indices_become_names_where_a_list_is(tmp_path: Path) -> None:
    shard(tmp_path / "a-000000.tar", {"x.jpg": PICTURES[0], "x.cls": b"1\n", "y.jpg": PICTURES[1], "y.cls": b"-1"})
    (tmp_path / "classes.txt").write_text("cat\na/b\n")

    assert found(tmp_path) == [("x.jpg", "a/b", None), ("y.jpg", None, None)]


def test_an_unknown_class_index_is_refused_with_its_sample(tmp_path: Path) -> None:
    shard(tmp_path / "a.tar", {"x.jpg": PICTURES[0], "x.cls": b"2"})
    (tmp_path / "classes.txt").write_text("cat\n")

    with pytest.raises(SourceError, match=r"a\.tar', sample 'x', has the class index 2"):
        read(tmp_path, "webdataset")


@pytest.mark.parametrize(
    ("members", "label"),
    [
        ({"x.json": b'{"label": "cat"}', "x.cls": b"7"}, "cat"),
        ({"x.json": b'{"class_name": "cat"}'}, "cat"),
        ({"x.json": b'{"label": 7}'}, "7"),
        ({"x.json": b'{"label": -1}', "x.cls": b"3"}, None),
        ({"x.json": b'{"label": ""}', "x.cls": b"-1"}, None),
        ({"x.json": b'{"label": true}', "x.cls": b"3"}, "3"),
        ({"x.json": b'{"label": ["cat"]}', "x.txt": b"dog"}, "dog"),
        ({"x.json": b"[" * 100_000, "x.cls": b"3"}, "3"),
        ({"x.txt": b"a cat\non a mat"}, None),
        ({"x.cls": b"\xff"}, "\ufffd"),
        ({}, None),
    ],
)
def test_the_label_is_looked_for_in_this_order(tmp_path: Path, members: dict[str, bytes], label: str | None) -> None:
    shard(tmp_path / "a.tar", {"x.jpg": PICTURES[0], **members})

    assert found(tmp_path) == [("x.jpg", label, None)]


def test_keys_end_at_the_first_dot_of_the_name(tmp_path: Path) -> None:
    shard(
        tmp_path / "valid-0.tar.gz", {"a.b/x.seg.png": PNG, "a.b/x.jpg": PICTURES[0], "a.b/y.JPG": PICTURES[1]}, "w:gz"
    )

    assert found(tmp_path) == [("a.b/x.jpg", None, "valid"), ("a.b/y.jpg", None, "valid")]
    assert problems(tmp_path) == {"valid-0.tar.gz/a.b/x.seg.png": "its sample has another picture, which was taken"}


def test_members_that_are_no_plain_files_inside_are_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for name, kind in (
            ("link.jpg", tarfile.SYMTYPE),
            ("hard.jpg", tarfile.LNKTYPE),
            ("device.jpg", tarfile.CHRTYPE),
        ):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "/etc/passwd"
            archive.addfile(member)
        for name in ("/absolute.jpg", "../above.jpg", "fine.jpg"):
            member = tarfile.TarInfo(name)
            member.size = len(PICTURES[0])
            archive.addfile(member, io.BytesIO(PICTURES[0]))

    assert found(tmp_path) == [("fine.jpg", None, None)]
    assert problems(tmp_path) == {
        "a.tar/link.jpg": "a link in an archive is not followed",
        "a.tar/hard.jpg": "a link in an archive is not followed",
        "a.tar/device.jpg": "not a regular file",
        "a.tar//absolute.jpg": "its name leads out of the archive",
        "a.tar/../above.jpg": "its name leads out of the archive",
    }


def test_a_member_that_claims_to_be_huge_is_not_read(tmp_path: Path) -> None:
    member = tarfile.TarInfo("x.jpg")
    member.size = 50_000_000_000
    (tmp_path / "a.tar").write_bytes(member.tobuf(tarfile.GNU_FORMAT) + bytes(1024))

    with pytest.raises(SourceError, match=r"a\.tar' is damaged"):
        read(tmp_path, "webdataset")


def test_a_sample_without_picture_is_reported(tmp_path: Path) -> None:
    shard(tmp_path / "a.tar", {"x.cls": b"1", "y.jpg": PICTURES[0]})

    assert problems(tmp_path) == {"a.tar/x": "the sample has no picture"}


@pytest.mark.parametrize("size", [0, 700, 2000])
def test_a_cut_shard_is_refused_by_name(tmp_path: Path, size: int) -> None:
    file = shard(tmp_path / "a.tar", {"x.jpg": PICTURES[0]})
    file.write_bytes(file.read_bytes()[:size])

    with pytest.raises(SourceError, match=r"a\.tar' is damaged"):
        read(tmp_path, "webdataset")


def test_a_folder_without_shards_is_not_taken_for_one(tmp_path: Path) -> None:
    write(tmp_path / "cat" / "1.jpg", PICTURES[0])

    assert not find_importer("webdataset").recognises(tmp_path)
    with pytest.raises(SourceError, match=r"holds no shard"):
        read(tmp_path, "webdataset")
