"""Croissant: the description beside an export is valid, and a loader finds every picture and label by it."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import curate as library
from conftest import Curate, write
from curate.croissant import CardSettings, croissant_metadata
from curate.objects import digest_of
from curate.release import Release
from oracle import ask
from pictures import READABLE
from releases import bytes_of, hard_release, release_of, told_by

CARD = {
    "card.name": "Cats & \u732b: a/b",
    "card.description": "All sorts of cats.",
    "card.license": "CC-BY-4.0",
    "card.creator": "Ada Lovelace",
    "card.url": "https://example.org/cats",
    "card.cite_as": "@misc{cats}",
}


def exported(folder: Path, **changes: str) -> dict[str, Any]:
    """croissant.json of an export of folder/photos to folder/out."""
    library.export(folder / "photos", folder / "out", format="labelstudio", croissant=True, changes=changes)
    described: dict[str, Any] = json.loads((folder / "out" / "croissant.json").read_text(encoding="utf-8"))
    return described


def part(described: dict[str, Any], name: str) -> dict[str, Any]:
    """The file, file set or record set of that name."""
    [found] = [one for one in described["distribution"] + described["recordSet"] if one["@id"] == name]
    result: dict[str, Any] = found
    return result


@pytest.fixture
def release(tmp_path: Path) -> Release:
    return release_of(tmp_path, {"a.jpg": ("cat", "train"), "b.jpg": ("dog", "test"), "c.jpg": (None, None)})


def test_mlcroissant_finds_nothing_wrong_and_reads_every_picture_and_label(tmp_path: Path) -> None:
    """Labels like "3", "null" and "two\\nlines" come out as they are."""
    release = hard_release(tmp_path)
    exported(tmp_path, **CARD)

    read = ask("read_croissant.py", tmp_path / "out")

    assert (read["errors"], read["warnings"], read["complaints"]) == ([], [], [])
    assert Counter((one["sha256"], one["label"], one["split"]) for one in read["samples"]) == told_by(release)
    assert all(one["size"] == [96, 72] for one in read["samples"])
    assert [one["classes/name"] for one in read["sets"]["classes"]] == release.classes
    assert [one["splits/name"] for one in read["sets"]["splits"]] == ["train", "val", "test"]


def test_without_settings_it_is_valid_and_says_what_only_people_know(release: Release, tmp_path: Path) -> None:
    done = library.export(tmp_path / "photos", tmp_path / "out", format="labelstudio", croissant=True)

    read = ask("read_croissant.py", tmp_path / "out")

    assert done.notes[-1] == (
        "croissant.json lacks what Croissant requires and only you know; "
        "give the settings card.license, card.creator, card.url."
    )
    assert read["errors"] == []
    assert [warning.split("Property ")[1] for warning in read["warnings"]] == [
        '"http://mlcommons.org/croissant/citeAs" is recommended, but does not exist.',
        '"https://schema.org/license" is recommended, but does not exist.',
    ]


def test_a_release_without_classes_and_splits_is_valid(tmp_path: Path) -> None:
    release_of(tmp_path, {"a.jpg": (None, None)})
    exported(tmp_path, **CARD)

    read = ask("read_croissant.py", tmp_path / "out")

    assert (read["errors"], read["warnings"], read["sets"]) == ([], [], {})
    assert [(one["label"], one["split"]) for one in read["samples"]] == [(None, None)]


def test_splits_of_other_names_are_valid(tmp_path: Path) -> None:
    release_of(tmp_path, {"a.jpg": ("cat", "fold 1"), "b.jpg": ("cat", "train")})
    exported(tmp_path, **CARD)

    read = ask("read_croissant.py", tmp_path / "out")

    assert (read["errors"], read["warnings"]) == ([], [])
    assert sorted(one["split"] for one in read["samples"]) == ["fold 1", "train"]


def test_pictures_of_several_formats_are_read(tmp_path: Path) -> None:
    """As long as a JPEG or PNG is among them: mlcroissant knows no other name."""
    for name in ("ordinary.jpg", "rgb.png", "ordinary.webp", "lzw.tif"):
        write(tmp_path / "photos" / "cat" / name, READABLE[name])
    names = ("exact_duplicate", "near_duplicate", "odd_size")
    library.clean(tmp_path / "photos", changes={f"checks.{name}.action": "note" for name in names}, workers=1)
    exported(tmp_path, **CARD)

    read = ask("read_croissant.py", tmp_path / "out")

    assert sorted(Path(one["place"]).name for one in read["samples"]) == [
        "lzw.tif",
        "ordinary.jpg",
        "ordinary.webp",
        "rgb.png",
    ]
    assert all(one["size"] == [96, 64] for one in read["samples"])


def test_pictures_in_larger_files_are_described_by_those_files(release: Release, tmp_path: Path) -> None:
    exported(tmp_path, **CARD)
    (tmp_path / "out" / "train-0.tar").write_bytes(b"not looked into")
    places = {one.path: f"train-0.tar/{one.id}.jpg" for one in release.pictures}

    described = croissant_metadata(release, places, CardSettings(), tmp_path / "out")

    assert part(described, "train-0.tar")["sha256"] == digest_of(tmp_path / "out" / "train-0.tar")
    assert [one["@id"] for one in described["distribution"]] == ["manifest.parquet", "manifest.csv", "train-0.tar"]
    (tmp_path / "out" / "croissant.json").write_text(json.dumps(described))
    read = ask("read_croissant.py", tmp_path / "out")
    assert read["errors"] == []
    assert [one["label"] for one in read["samples"]] == ["cat", "dog", None]


def test_what_people_say_of_the_data_set_is_in_it(release: Release, tmp_path: Path) -> None:
    described = exported(tmp_path, **CARD, **{"card.creator_is": "organization"})

    assert described["name"] == "Cats & \u732b: a/b"
    assert described["description"] == "All sorts of cats."
    assert described["license"] == "CC-BY-4.0"
    assert described["url"] == "https://example.org/cats"
    assert described["citeAs"] == "@misc{cats}"
    assert described["creator"] == {"@type": "sc:Organization", "name": "Ada Lovelace"}


def test_version_and_date_are_those_of_the_version(release: Release, tmp_path: Path) -> None:
    described = exported(tmp_path)

    assert described["version"] == "1.0.0"
    assert described["datePublished"] == release.version.created_at[:10]
    assert described["identifier"] == release.version.id


def test_the_manifest_is_pinned_by_its_digest(release: Release, tmp_path: Path) -> None:
    described = exported(tmp_path)

    for name in ("manifest.csv", "manifest.parquet"):
        assert part(described, name)["sha256"] == digest_of(tmp_path / "out" / name)


def test_the_pictures_pattern_matches_no_other_file(release: Release, tmp_path: Path) -> None:
    exported(tmp_path)
    out = tmp_path / "out"
    write(out / "preview.jpg", b"no picture of the set")
    places = {one.path: f"images/{one.name}" for one in release.pictures}

    described = croissant_metadata(release, places, CardSettings(), out)

    assert part(described, "images")["includes"] == ["images/_unlabeled/c.jpg", "images/cat/a.jpg", "images/dog/b.jpg"]


def test_pictures_without_extension_are_named_one_by_one(release: Release, tmp_path: Path) -> None:
    exported(tmp_path)
    out = tmp_path / "out"
    write(out / "images" / "[x]", b"a picture")
    places = {"a.jpg": "images/[x]", "b.jpg": "images/dog/b.jpg", "c.jpg": "images/_unlabeled/c.jpg"}
    (out / "images" / "cat" / "a.jpg").unlink()

    described = croissant_metadata(release, places, CardSettings(), out)

    assert part(described, "images")["includes"] == ["images/[[]x]", "**/*.jpg"]


def test_a_normalized_version_tells_the_digests_of_what_it_wrote(release: Release, tmp_path: Path) -> None:
    exported(tmp_path)
    normalized = replace(release, version=replace(release.version, transform={"width": 224}))

    described = croissant_metadata(normalized, {}, CardSettings(), tmp_path / "out")

    fields = {field["@id"]: field for field in part(described, "samples")["field"]}
    assert fields["samples/sha256"]["source"]["extract"] == {"column": "output_sha256"}


def test_the_same_export_is_described_by_the_same_bytes(release: Release, tmp_path: Path) -> None:
    library.export(tmp_path / "photos", tmp_path / "one", format="labelstudio", croissant=True)
    library.export(tmp_path / "photos", tmp_path / "two", format="labelstudio", croissant=True)

    assert bytes_of(tmp_path / "one")["croissant.json"] == bytes_of(tmp_path / "two")["croissant.json"]


def test_the_command_describes_on_request(release: Release, tmp_path: Path, curate: Curate) -> None:
    done = curate("export", tmp_path / "photos", tmp_path / "out", "--format", "labelstudio", "--croissant")

    assert done.code == 0
    assert "croissant.json lacks" in done.out
    assert (tmp_path / "out" / "croissant.json").is_file()
