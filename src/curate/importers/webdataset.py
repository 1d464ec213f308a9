"""Tar shards, as `webdataset` and img2dataset write them.

What it reads: a tar file (also compressed), or a folder of them. Members that follow each other and are called alike up
to the first dot are one sample: a picture (`.jpg`, `.png`, …), and what is known of it. The label is `label`, `class`,
`category` or `class_name` in `.json`, else `.cls`, else a `.txt` of one line. Indices become names where the
folder has a list of classes (`classes.json`, or `classes.txt`, `labels.txt` or `names.txt` with a name per line); -1 is
no label. The split is `split` in `.json`, else the beginning of the shard's name (`train-000000.tar`).

Limits: of several pictures in one sample, the first in alphabetical order is taken, and the others reported. A text of
several lines is a caption, not a label. Links, devices, sparse members and such above 1 GB are reported, never read.
Shards by URL or pipe are not read.

Source: https://github.com/webdataset/webdataset.
"""

from __future__ import annotations

import json
import re
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from lzma import LZMAError
from pathlib import Path
from typing import Any

from curate.class_lists import named, read_classes
from curate.errors import SourceError
from curate.importers import Importer, Item
from curate.stages.labels import LABEL_COLUMNS, SPLIT_NAMES
from curate.stages.scan import looks_like_image_name

SUFFIXES = (".tar", ".tar.gz", ".tgz")
FIELDS = ("cls", "json", "txt")  # what may say the label, besides pictures
MAX_MEMBER_BYTES = 1_000_000_000  # no picture is larger; more would only fill the memory
_KEY = re.compile(r"((?:.*/|)[^.]+)[.]([^/]*)", re.DOTALL)  # what the library `webdataset` takes for key and field

Sample = dict[str, bytes]  # field -> content


def recognises(source: Path) -> bool:
    """Whether it is a tar file, or a folder that holds one."""
    return bool(_shards(source))


def read(source: Path) -> Iterator[Item]:
    """Every sample of every shard, in their order."""
    shards = _shards(source)
    if not shards:
        raise SourceError(f"{str(source)!r} holds no shard: expected files like train-000000.tar.")
    classes = read_classes(source if source.is_dir() else source.parent)
    for shard in shards:
        try:
            # Not as a stream ("r|*"): that would count its way through a member that claims to be huge.
            with tarfile.open(shard, "r:*") as archive:
                yield from _items(archive, shard, classes)
        except (tarfile.TarError, OSError, EOFError, zlib.error, LZMAError) as error:
            raise SourceError(f"{str(shard)!r} is damaged, or no tar file: {error}.") from error


def _shards(source: Path) -> list[Path]:
    files = [source] if source.is_file() else [*source.glob("*"), *source.glob("*/*")] if source.is_dir() else []
    return sorted(file for file in files if file.name.lower().endswith(SUFFIXES) and file.is_file())


def _items(archive: tarfile.TarFile, shard: Path, classes: Sequence[str]) -> Iterator[Item]:
    """The samples of one shard; of a member that is refused, the problem."""
    key, sample = "", Sample()
    for member in archive:
        archive.members = []  # type: ignore[attr-defined]  # where tarfile keeps them all; its stubs don't know
        problem = _why_refused(member)
        match = _KEY.fullmatch(member.name)
        if problem:
            yield Item(f"{shard.name}/{member.name}", None, problem=problem)
        if problem or not match or not member.isreg():
            continue
        if match[1] != key:
            yield from _items_of(key, sample, shard, classes)
            key, sample = match[1], Sample()
        field = match[2]
        if _is_wanted(field):
            content = archive.extractfile(member)
            assert content is not None  # a regular file
            sample[field] = content.read()
    yield from _items_of(key, sample, shard, classes)


def _why_refused(member: tarfile.TarInfo) -> str:
    if member.isdir():
        return ""
    if member.issym() or member.islnk():
        return "a link in an archive is not followed"
    if not member.isreg() or member.issparse():
        return "not a regular file"
    if member.size > MAX_MEMBER_BYTES:
        return f"it has {member.size:,} bytes, more than any picture"
    if member.name.startswith("/") or ".." in member.name.split("/"):
        return "its name leads out of the archive"
    return ""


def _is_wanted(field: str) -> bool:
    return field.lower() in FIELDS or looks_like_image_name(f"x.{field}")


def _items_of(key: str, sample: Sample, shard: Path, classes: Sequence[str]) -> Iterator[Item]:
    """The picture of one sample, if it has one."""
    fields = {field.lower(): content for field, content in sorted(sample.items(), reverse=True)}
    pictures = sorted(field for field in fields if field not in FIELDS)
    if not pictures:
        if sample:
            yield Item(f"{shard.name}/{key}", None, problem="the sample has no picture")
        return
    where = f"{str(shard)!r}, sample {key!r},"
    facts = _facts(fields.get("json"))
    label = _label(facts, fields, classes, where)
    name = facts["name"] if isinstance(facts.get("name"), str) and facts["name"] else f"{key}.{pictures[0]}"
    yield Item(name, fields[pictures[0]], label, _split(facts, shard))
    for field in pictures[1:]:
        yield Item(f"{shard.name}/{key}.{field}", None, problem="its sample has another picture, which was taken")


def _facts(text: bytes | None) -> dict[str, Any]:
    """The sample's .json; {} if there is none that is an object."""
    try:
        value = json.loads(text) if text else {}
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _label(facts: dict[str, Any], fields: Sample, classes: Sequence[str], where: str) -> str | None:
    """A text in .json is a name; all else may be an index."""
    given = next((facts[name] for name in LABEL_COLUMNS if isinstance(facts.get(name), str | int)), None)
    if isinstance(given, str):
        return given or None
    if given is None or isinstance(given, bool):
        text = fields.get("cls") or fields.get("txt") or b""
        lines = text.decode("utf-8", "replace").strip().splitlines()
        given = lines[0] if len(lines) == 1 else ""
    return named([str(given)], classes, where)[0] if str(given) not in ("", "-1") else None


def _split(facts: dict[str, Any], shard: Path) -> str | None:
    if isinstance(facts.get("split"), str):
        return facts["split"] or None
    word = re.split(r"[-_.]", shard.name)[0]
    return word if word.lower() in SPLIT_NAMES else None


IMPORTER = Importer(
    name="webdataset", summary="tar shards for streaming", recognises=recognises, read=read, precedence=20
)
