"""Croissant: a description of an export for search engines and loaders, `croissant.json` beside the data.

It names the manifest by its sha256, the pictures, the classes, the splits, and one record per picture with its label.
`version` is that of curate as MAJOR.0.0, "3.0.0" for v3: in Croissant MAJOR is due whenever labels were edited or
records removed or moved between splits, which most versions of curate do.

Records are read from manifest.parquet, not from manifest.csv: mlcroissant reads CSV by pandas, which makes numbers and
nothing of labels like "007" and "null". Where pictures are parts of larger files (Parquet, tar), those files are named
with their digests, and records have no image field: Croissant can't tell by which part they would join.

Source: https://docs.mlcommons.org/croissant/docs/croissant-spec-1.1.html; checked with mlcroissant 1.1.
"""

from __future__ import annotations

import glob
import json
import mimetypes
import os
import posixpath
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from curate.objects import digest_of

if TYPE_CHECKING:
    from curate.release import Release

FILE = "croissant.json"
MANIFEST = "manifest.parquet"
PARQUET = "application/x-parquet"  # the only name of it that mlcroissant reads
# Pillow's formats -> media types. mlcroissant takes the first of a set that it knows, and opens all with Pillow.
MEDIA_TYPES = {
    "JPEG": "image/jpeg",
    "MPO": "image/jpeg",
    "PNG": "image/png",
    "WEBP": "image/webp",
    "GIF": "image/gif",
    "BMP": "image/bmp",
    "TIFF": "image/tiff",
    "JPEG2000": "image/jp2",
    "AVIF": "image/avif",
}
CONTAINER_TYPES = {".parquet": PARQUET, ".tar": "application/x-tar", ".arrow": "application/vnd.apache.arrow.file"}
SPLIT_KINDS = {"train": "cr:TrainingSplit", "val": "cr:ValidationSplit", "test": "cr:TestSplit"}
# As Croissant 1.1 gives it, word for word; validators warn about any other.
CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "arrayShape": "cr:arrayShape",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "containedIn": "cr:containedIn",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "description": {"@container": "@language"},
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isArray": "cr:isArray",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "name": {"@container": "@language"},
    "parentField": "cr:parentField",
    "path": "cr:path",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}


class CardSettings(BaseModel):
    """What a description of the data set says of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field("", description="Name of the data set; empty: that of the image folder.")
    description: str = Field("", description="What it shows and what for; empty: how many pictures and classes it has.")
    license: str = Field("", description="Licence of the pictures and labels, best as URL or SPDX name: CC-BY-4.0.")
    creator: str = Field("", description="Who made the data set.")
    creator_is: Literal["person", "organization"] = Field("person", description="What the creator is.")
    url: str = Field("", description="Web page of the data set.")
    cite_as: str = Field("", description="How to cite it, as BibTeX.")


def write_croissant(release: Release, places: Mapping[str, str], card: CardSettings, out: Path) -> tuple[str, ...]:
    """Write croissant.json into an export that has its manifest already; gives what people should know."""
    described = croissant_metadata(release, places, card, out)
    text = json.dumps(described, indent=2, ensure_ascii=False)
    (out / FILE).write_text(text + "\n", encoding="utf-8", newline="\n")
    missing = [name for name in ("license", "creator", "url") if not getattr(card, name)]
    if not missing:
        return ()
    keys = ", ".join(f"card.{name}" for name in missing)
    return (f"{FILE} lacks what Croissant requires and only you know; give the settings {keys}.",)


def croissant_metadata(release: Release, places: Mapping[str, str], card: CardSettings, out: Path) -> dict[str, Any]:
    """The description of an export as JSON-LD.

    places: path of each picture -> where it is in the export. out: the export, with its manifest.
    """
    there = _files_in(out)
    plain = there.intersection(places.values())
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.1",
        **_about(release, card),
        "distribution": [
            _file(out, MANIFEST, "Every picture with its label, split and digest; exported_path is empty if left out."),
            _file(out, "manifest.csv", "The same as text."),
            *(_file(out, name, "Pictures with their labels.") for name in _containers(places, there)),
            *([_pictures(release, plain, there - plain)] if plain else []),
        ],
        "recordSet": [
            *([_classes(release)] if release.classes else []),
            *([_splits(release)] if release.splits else []),
            _samples(release, with_images=bool(plain)),
        ],
    }


def _about(release: Release, card: CardSettings) -> dict[str, Any]:
    known = {"license": card.license, "url": card.url, "citeAs": card.cite_as}
    return {
        "name": card.name or release.name,
        "description": card.description or _summary(release),
        **{name: text for name, text in known.items() if text},
        **({"creator": {"@type": f"sc:{card.creator_is.title()}", "name": card.creator}} if card.creator else {}),
        "datePublished": release.version.created_at[:10],
        "version": f"{release.version.number}.0.0",
        "identifier": release.version.id,
        "keywords": ["image classification"],
    }


def _summary(release: Release) -> str:
    return (
        f"{len(release.pictures):,} pictures in {len(release.classes):,} classes; {release.version.name} of "
        f"{release.name}, curated with curate {release.version.curate}."
    )


# ---- Files


def _file(out: Path, name: str, description: str) -> dict[str, Any]:
    suffix = PurePosixPath(name).suffix
    media_type = CONTAINER_TYPES.get(suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
    return {
        "@type": "cr:FileObject",
        "@id": name,
        "name": name,
        "description": description,
        "contentUrl": name,
        "contentSize": f"{(out / name).stat().st_size} B",
        "encodingFormat": media_type,
        "sha256": digest_of(out / name),
    }


def _files_in(out: Path) -> set[str]:
    """Every file of the export, relative to it."""
    found: set[str] = set()
    for root, _, names in os.walk(out):
        below = os.path.relpath(root, out)
        found.update(names if below == "." else (PurePosixPath(below, name).as_posix() for name in names))
    return found


def _containers(places: Mapping[str, str], there: set[str]) -> list[str]:
    """The files that hold pictures: train-0.tar of train-0.tar/a.jpg."""
    parents = {parent.as_posix() for place in set(places.values()) - there for parent in PurePosixPath(place).parents}
    return sorted(parents & there)


def _pictures(release: Release, plain: set[str], others: set[str]) -> dict[str, Any]:
    found = {MEDIA_TYPES.get(picture.format, "application/octet-stream") for picture in release.pictures}
    return {
        "@type": "cr:FileSet",
        "@id": "images",
        "name": "images",
        "description": "The pictures.",
        "encodingFormat": [one for one in dict.fromkeys([*MEDIA_TYPES.values(), *sorted(found)]) if one in found],
        "includes": _patterns(plain, others),
    }


def _patterns(plain: set[str], others: set[str]) -> list[str]:
    """Globs that match the pictures and no other file: by extension if that is enough, else by name."""
    by_extension = defaultdict(list)
    for place in sorted(plain):
        by_extension[posixpath.splitext(place)[1]].append(place)
    patterns = []
    for extension, names in sorted(by_extension.items()):
        if not extension or any(name.endswith(extension) for name in others):
            patterns += [glob.escape(name) for name in names]
            continue
        ending = f"*{glob.escape(extension)}"
        patterns += [ending] if any("/" not in name for name in names) else []
        patterns += [f"**/{ending}"] if any("/" in name for name in names) else []
    return patterns


# ---- Records


def _classes(release: Release) -> dict[str, Any]:
    return {
        "@type": "cr:RecordSet",
        "@id": "classes",
        "name": "classes",
        "description": "The classes, with the index that trained models give them.",
        "dataType": "sc:Enumeration",
        "key": {"@id": "classes/name"},
        "field": [
            _field("classes/name", "Name of the class.", "sc:Text"),
            _field("classes/index", "Its place among the sorted names, from 0.", "sc:Integer"),
        ],
        "data": [{"classes/name": name, "classes/index": index} for index, name in enumerate(release.classes)],
    }


def _splits(release: Release) -> dict[str, Any]:
    return {
        "@type": "cr:RecordSet",
        "@id": "splits",
        "name": "splits",
        "description": "The splits; others than training, validation and test have an empty url.",
        "dataType": "cr:Split",
        "key": {"@id": "splits/name"},
        "field": [
            _field("splits/name", "Name of the split.", "sc:Text"),
            _field("splits/url", "What it is for.", "sc:URL"),
        ],
        "data": [{"splits/name": name, "splits/url": SPLIT_KINDS.get(name, "")} for name in release.splits],
    }


def _samples(release: Release, *, with_images: bool) -> dict[str, Any]:
    where = "Path of the picture in the export; empty if it is left out."
    key = _field("samples/file_name", where, "sc:Text")
    if with_images:
        # A transform, as mlcroissant joins texts with paths, which are never equal; this makes texts of them.
        key["source"] = {
            "fileSet": {"@id": "images"},
            "extract": {"fileProperty": "fullpath"},
            "transform": {"regex": "^(.+)$"},
        }
        key["references"] = _column("exported_path")
        image = _field("samples/image", "The picture.", "sc:ImageObject")
        image["source"] = {"fileSet": {"@id": "images"}, "extract": {"fileProperty": "content"}}
        fields = [key, image]
    else:
        fields = [key | {"source": _column("exported_path")}]
    return {
        "@type": "cr:RecordSet",
        "@id": "samples",
        "name": "samples",
        "description": "One record per picture.",
        "key": {"@id": "samples/file_name"},
        "field": [*fields, *_columns(release)],
    }


def _columns(release: Release) -> list[dict[str, Any]]:
    """Fields of the manifest."""
    digest = "output_sha256" if release.version.transform else "sha256"
    sha256 = _field("samples/sha256", "Digest of the picture's bytes.", "sc:Text")
    label = _field("samples/label", "Its class; empty if it has none.", ["sc:Text", "cr:Label"])
    split = _field("samples/split", "Its split; empty if it has none.", ["sc:Text", "cr:Split"])
    fields = [sha256 | {"source": _column(digest)}, label | {"source": _column("final_label")}]
    if release.classes:
        fields[1]["references"] = {"field": {"@id": "classes/name"}}
    if release.splits:
        fields.append(split | {"source": _column("split"), "references": {"field": {"@id": "splits/name"}}})
    return fields


def _field(name: str, description: str, data_type: str | list[str]) -> dict[str, Any]:
    return {"@type": "cr:Field", "@id": name, "name": name, "description": description, "dataType": data_type}


def _column(name: str) -> dict[str, Any]:
    return {"fileObject": {"@id": MANIFEST}, "extract": {"column": name}}
