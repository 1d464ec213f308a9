"""CVAT's XML: what we read of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from conftest import PICTURES, write
from curate.errors import SourceError
from curate.importers.cvat import recognises
from oracle import ask
from releases import read

HEAD = '<?xml version="1.0" encoding="utf-8"?>\n'
TAG = '<tag label="cat" source="manual"><attribute name="a">1</attribute></tag>'
BOX = '<box label="dog" occluded="0" xtl="1" ytl="1" xbr="5" ybr="5"/>'


def cvat(folder: Path, *images: str, head: str = HEAD) -> Path:
    """A file of CVAT with these images, beside one picture, images/1.jpg."""
    write(folder / "images" / "1.jpg", PICTURES[1])
    text = f"{head}<annotations><version>1.1</version>\n<meta/>\n{''.join(images)}</annotations>"
    write(folder / "annotations.xml", text.encode())
    return folder


def image(*inside: str, name: str = "1.jpg", attributes: str = "") -> str:
    return f'<image id="0" name="{name}" {attributes} width="96" height="72">{"".join(inside)}</image>\n'


@pytest.mark.parametrize("kind", ["label", "bbox"])
def test_what_datumaro_writes_is_read(kind: str, tmp_path: Path) -> None:
    for number in range(4):
        write(tmp_path / "pictures" / f"{number}.jpg", PICTURES[number])
    items = {
        "0.jpg": ["train", ["caf\u00e9 <au> lait"]],
        "1.jpg": ["val", ["dog", "dog"]],
        "2.jpg": ["val", []],
        "3.jpg": ["train", ["cat", "dog"]],
    }
    ask("write_datumaro.py", "cvat", tmp_path / "pictures", tmp_path / "set", json.dumps(items), kind)

    found = {item.name: item for item in read(tmp_path / "set", "cvat")}

    assert recognises(tmp_path / "set")
    assert {name: (one.label, one.split) for name, one in found.items()} == {
        "0.jpg": ("caf\u00e9 <au> lait", "train"),
        "1.jpg": ("dog", "val"),
        "2.jpg": (None, "val"),
        "3.jpg": (None, "train"),
    }
    assert [name for name, one in found.items() if one.problem] == ["3.jpg"]
    assert isinstance(found["0.jpg"].content, Path)
    assert found["0.jpg"].content.read_bytes() == PICTURES[0]


def test_a_tag_counts_more_than_boxes(tmp_path: Path) -> None:
    (item,) = read(cvat(tmp_path, image(TAG, BOX)), "cvat")

    assert (item.content, item.label, item.split) == (tmp_path / "images" / "1.jpg", "cat", None)


@pytest.mark.parametrize(("subset", "split"), [("Train", "Train"), ("default", None), ("../..", "../..")])
def test_the_subset_is_the_split(subset: str, split: str | None, tmp_path: Path) -> None:
    (item,) = read(cvat(tmp_path, image(TAG, attributes=f'subset="{subset}"')), "cvat")

    assert (item.label, item.split, item.problem) == ("cat", split, "")


@pytest.mark.parametrize("name", ["gone.jpg", "../1.jpg", "/etc/hostname"])
def test_a_picture_that_is_not_in_the_set_is_reported(name: str, tmp_path: Path) -> None:
    write(tmp_path / "1.jpg", PICTURES[0])

    (item,) = read(cvat(tmp_path / "set", image(TAG, name=name)), "cvat")

    assert item.content is None
    assert item.problem in ("there is no such file", "it leads out of the data set")


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ([image("<tag/>")], r"Line 4 of .*annotations\.xml' has no label"),
        (["<image id='1'/>"], r"Line 4 of .* has no name"),
        (["<image name='1.jpg'>"], "is no XML that can be read: mismatched tag"),
        ([image(), "&bomb;"], "is no XML that can be read: undefined entity"),
    ],
)
def test_a_damaged_file_is_refused_by_its_place(images: list[str], message: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=message):
        read(cvat(tmp_path, *images), "cvat")


@pytest.mark.parametrize("entity", ['<!ENTITY a "aaaa">', '<!ENTITY a SYSTEM "file:///etc/hostname">'])
def test_entities_are_refused(entity: str, tmp_path: Path) -> None:
    """Nested ones fill the memory; external ones read other files."""
    head = f"{HEAD}<!DOCTYPE annotations [{entity}]>\n"

    with pytest.raises(SourceError, match=r"Line 2 of .* declares an entity"):
        read(cvat(tmp_path, image("&a;"), head=head), "cvat")


def test_a_folder_without_such_a_file_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "voc.xml", b"<annotation><filename>1.jpg</filename></annotation>")

    with pytest.raises(SourceError, match="has no XML file that names images"):
        read(tmp_path, "cvat")
    assert not recognises(tmp_path)
