"""Tar files to be read from front to back, for training from network storage with `webdataset`.

What it writes: `train-000000.tar`, `train-000001.tar`, … for each split (all are `train` where the version has no
splits; pictures without a split beside others are in `no_split-000000.tar`). Each sample has a key, 16 digits without
dots, and three members: the picture (`.jpg`, `.png`, `.webp`: what its bytes are), `.cls`, the class index as text (-1
= no label), and `.json` with name, path, sha256, width, height, id, label and split ("" = none), repeat and weight.
Samples are sorted by key, which shuffles them: a key is a digest of the path. Equal versions give equal bytes:
no times, no owners, plain USTAR.

How to load it:

    import webdataset as wds

    data = wds.WebDataset("OUT/train-{000000..000003}.tar", shardshuffle=100)
    data = data.shuffle(1000).decode("pil").to_tuple("jpg;png;webp", "cls")

Limits: WebDataset deals whole shards to the workers of a loader: with fewer shards than workers, some have nothing to
do; make the shards smaller (setting `max_shard_bytes`). Hugging Face `datasets` reads these files too, but wants the
same members in all samples: `curate normalize` a version that mixes JPEG and PNG before you export it. The members have
no NULL, so that no reader has to guess a type: what is missing is "" or -1.

Source: https://github.com/webdataset/webdataset and https://huggingface.co/docs/hub/datasets-webdataset.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

from pydantic import Field

from curate.exporters import Exporter, ExporterSettings, Written
from curate.names import safe_names
from curate.progress import Advance
from curate.records import NO_SPLIT, by_split, cut
from curate.release import Picture, Release

# Where the extension that readers know is not the format's own name.
EXTENSIONS = {"JPEG": "jpg", "TIFF": "tif", "JPEG2000": "jp2"}


class Settings(ExporterSettings):
    """How large shards are."""

    max_shard_bytes: int = Field(
        1_000_000_000,
        ge=1,
        description="A new shard begins before the pictures of one have more bytes than this. A gigabyte is what "
        "the Hugging Face hub's guide to WebDataset calls usual.",
    )


def write(release: Release, out: Path, settings: Settings, advance: Advance) -> Written:
    """Shards of each split."""
    names = shard_names(release)
    places: dict[str, str] = {}
    for split, pictures in by_split(release).items():
        for number, run in enumerate(cut(pictures, settings.max_shard_bytes)):
            shard = f"{names[split]}-{number:06d}.tar"
            _write_shard(release, run, out / shard, advance)
            places.update({picture.path: f"{shard}/{_key(picture)}.{_extension(picture)}" for picture in run})
    return Written(places, notes=_notes(release))


def shard_names(release: Release) -> dict[str | None, str]:
    """Split -> how the names of its shards begin."""
    if not release.splits:
        return {None: "train"}
    names: dict[str | None, str] = dict(safe_names(release.splits).items())
    return names | {None: NO_SPLIT}


def _write_shard(release: Release, pictures: Sequence[Picture], target: Path, advance: Advance) -> None:
    release.expect(pictures)
    with tarfile.open(target, "w", format=tarfile.USTAR_FORMAT) as shard:
        for picture in pictures:
            index = -1 if picture.label_index is None else picture.label_index
            # In alphabetical order; and together, as readers take what is adjacent for one sample.
            _add(shard, f"{_key(picture)}.cls", str(index).encode())
            _add(shard, f"{_key(picture)}.{_extension(picture)}", release.read(picture))
            _add(shard, f"{_key(picture)}.json", _facts(picture))
            advance(1, size_bytes=picture.size_bytes)


def _add(shard: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)  # of time 0, owner 0, mode 644
    member.size = len(data)
    shard.addfile(member, BytesIO(data))


def _key(picture: Picture) -> str:
    return f"{picture.id:016x}"


def _extension(picture: Picture) -> str:
    return EXTENSIONS.get(picture.format, picture.format.lower())


def _facts(picture: Picture) -> bytes:
    """The same fields of the same types for every picture: `datasets` infers them from the first ones."""
    names = "id name path sha256 width height repeat".split()
    facts = {name: getattr(picture, name) for name in names}
    facts |= {"label": picture.label or "", "split": picture.split or "", "weight": float(picture.weight)}
    return json.dumps(facts, ensure_ascii=False, sort_keys=True).encode()


def _notes(release: Release) -> tuple[str, ...]:
    found = sorted({_extension(picture) for picture in release.pictures})
    if len(found) < 2:
        return ()
    found_formats = ", ".join(found)
    note = (
        f"The pictures are of several formats ({found_formats}), which Hugging Face `datasets` does not read in shards."
    )
    return (f"{note} `curate normalize` makes one of them.",)


EXPORTER = Exporter(name="webdataset", summary="tar shards for streaming", write=write, settings=Settings)
