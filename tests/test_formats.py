"""What holds for every format, found by discovery: nothing is lost, the same bytes twice, and there and back."""

from __future__ import annotations

import hashlib
import inspect
import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

import curate as library
from conftest import picture, write
from curate.errors import SourceError
from curate.exporters import all_exporters
from curate.importers import all_importers

EXPORTERS = sorted(all_exporters())
READ_BY = {"imagefolder": "folders", "csv": "table", "parquet": "table"}  # where the importer has another name
BOTH_WAYS = [name for name in EXPORTERS if READ_BY.get(name, name) in all_importers()]
# These have folders of classes or a fixed set of splits, and say so on their pages.
WITHOUT_UNLABELLED = {"yolo"}

ODD_LABELS = (
    "cat",
    "Cat",
    "big cat",
    "a.b",
    "x/y",
    "back\\slash",
    "caf\u00e9",
    "cafe\u0301",
    "\u732b",
    'quo"te, comma',
    "line\nbreak",
    "CON",
    "..",
    "test",
    "100%",
    "null",
    "0",
)
Seen = Counter[tuple[str, str | None, str | None]]


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of odd classes, two each, in three splits, one of each without a label; and curated."""
    root = tmp_path_factory.mktemp("odd")
    rows = []
    for number, label in enumerate([*ODD_LABELS, ""]):
        for split in ("train", "val", "test"):
            path = f"{split}/{number % 4}/{number}.v1.jpg"
            write(root / "odd" / path, picture(1000 + 10 * number + len(split), 48, 36))
            rows.append((path, label, split))
    pd.DataFrame(rows, columns=["path", "label", "split"]).to_csv(root / "labels.csv", index=False)
    library.clean(root / "odd", workers=1, changes={"scan.labels": str(root / "labels.csv")})
    return root / "odd"


@pytest.fixture(scope="module")
def exports(odd: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The odd pictures in every format."""
    out = tmp_path_factory.mktemp("exports")
    for name in EXPORTERS:
        library.export(odd, out / name, format=name)
    return {name: out / name for name in EXPORTERS}


def kept(folder: Path) -> Seen:
    """(sha256, label, split) of every kept picture, with how often it occurs."""
    rows = library.table(folder)
    rows = rows[rows["keep"]]
    splits = rows["split"] if "split" in rows else [None] * len(rows)
    return Counter(
        (sha256, None if label != label else label, None if split != split else split)
        for sha256, label, split in zip(rows["sha256"], rows["final_label"], splits, strict=True)
    )


def imported(source: Path, name: str) -> Seen:
    found: Seen = Counter()
    for item in all_importers()[READ_BY.get(name, name)].read(source):
        assert item.content is not None, item.problem
        data = item.content if isinstance(item.content, bytes) else item.content.read_bytes()
        found[hashlib.sha256(data).hexdigest(), item.label, item.split] += 1
    return found


def files_of(folder: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield str(path.relative_to(folder)), path.read_bytes()


@pytest.mark.parametrize("name", EXPORTERS)
def test_every_kept_picture_is_placed_or_left_out_with_a_reason(name: str, exports: dict[str, Path]) -> None:
    said = json.loads((exports[name] / "export.json").read_text())
    manifest = pd.read_parquet(exports[name] / "manifest.parquet").set_index("path")

    for path, row in manifest[manifest["keep"]].iterrows():
        assert isinstance(row["exported_path"], str) != bool(said["left_out"].get(path))
    if name not in WITHOUT_UNLABELLED:
        assert said["left_out"] == {}


@pytest.mark.parametrize("name", EXPORTERS)
def test_the_same_version_gives_the_same_bytes(name: str, exports: dict[str, Path], odd: Path, tmp_path: Path) -> None:
    library.export(odd, tmp_path / name, format=name)

    assert dict(files_of(tmp_path / name)) == dict(files_of(exports[name]))


@pytest.mark.parametrize("name", EXPORTERS)
def test_the_same_export_is_not_made_twice_and_another_one_is_refused(
    name: str, exports: dict[str, Path], odd: Path
) -> None:
    before = dict(files_of(exports[name]))

    assert library.export(odd, exports[name], format=name).already
    other = next(one for one in EXPORTERS if one != name)
    with pytest.raises(SourceError, match="holds another export"):
        library.export(odd, exports[name], format=other)
    assert dict(files_of(exports[name])) == before


@pytest.mark.parametrize("name", BOTH_WAYS)
def test_what_is_exported_comes_back(name: str, exports: dict[str, Path], odd: Path) -> None:
    expected = kept(odd)
    if name in WITHOUT_UNLABELLED:
        expected = Counter({one: number for one, number in expected.items() if one[1] is not None})

    assert imported(exports[name], name) == expected


@pytest.mark.parametrize("name", BOTH_WAYS)
def test_an_export_is_recognised_as_what_it_is(name: str, exports: dict[str, Path], tmp_path: Path) -> None:
    result = library.import_(exports[name], tmp_path / "new")

    assert result.format == READ_BY.get(name, name)


@pytest.mark.parametrize("name", BOTH_WAYS)
def test_importing_an_export_and_cleaning_it_gives_the_same_data_set(
    name: str, exports: dict[str, Path], odd: Path, tmp_path: Path
) -> None:
    library.import_(exports[name], tmp_path / "new")
    library.clean(tmp_path / "new", workers=1)

    expected = kept(odd)
    if name in WITHOUT_UNLABELLED:
        expected = Counter({one: number for one, number in expected.items() if one[1] is not None})
    assert kept(tmp_path / "new") == expected


@pytest.mark.parametrize("name", sorted(all_importers()))
def test_no_importer_falls_over_what_is_not_its_format(name: str, tmp_path: Path) -> None:
    write(tmp_path / "folder" / "annotations" / "x.json", b"[1, 2")
    write(tmp_path / "folder" / "labels.json", b"\xff\xfe")
    write(tmp_path / "folder" / "data.yaml", b"{")
    write(tmp_path / "folder" / "data" / "train.parquet", b"PAR1")
    write(tmp_path / "file.json", b"\x00")

    for source in (tmp_path / "folder", tmp_path / "file.json", tmp_path / "nowhere"):
        assert all_importers()[name].recognises(source) in (True, False)


@pytest.mark.parametrize("name", sorted({*all_exporters(), *all_importers()}))
def test_every_format_has_a_page_that_tells_its_limits(name: str) -> None:
    modules = [one.write for one in (all_exporters().get(name),) if one]
    modules += [one.read for one in (all_importers().get(name),) if one]  # type: ignore[misc]

    for function in modules:
        assert "Limits:" in (inspect.getdoc(sys.modules[function.__module__]) or "")
