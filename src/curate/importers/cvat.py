"""CVAT for images 1.1: pictures and their labels from `annotations.xml`.

What it reads: such a file, or the folder that has it. The tag of a picture becomes its label; where it has no tag, the
label of its boxes and other shapes. Pictures are looked for in `images/SUBSET`, `images`, `SUBSET` and beside the file.
The subset is the split; `default` is none. datumaro writes `train.xml`, `val.xml`, … instead of subsets.

Limits: a picture with several labels is taken over without one, and the reason listed. Shapes and attributes are not
taken over. Files of CVAT for video name no pictures, and are refused. A file that declares entities is refused: CVAT
writes none, and they serve to fill the memory or to read other files.

Source: https://docs.cvat.ai/docs/manual/advanced/xml_format/
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

from curate.annotations import NO_SPLIT, find_item, has_words, split_of
from curate.errors import SourceError
from curate.importers import Importer, Item
from curate.stages.labels import SPLIT_NAMES

TAG = "tag"
SHAPES = frozenset(("box", "polygon", "polyline", "points", "ellipse", "cuboid", "mask", "skeleton"))
CHUNK_BYTES = 1_000_000  # read at a time, so that memory does not depend on the file's size


@dataclass(frozen=True)
class Image:
    """One <image>, and the labels of its tags and of its shapes."""

    name: str
    subset: str
    tags: list[str] = field(default_factory=list)
    shapes: list[str] = field(default_factory=list)


def recognises(source: Path) -> bool:
    """Whether there is an XML file with CVAT's annotations of images."""
    return bool(_xml_files(source))


def read(source: Path) -> Iterator[Item]:
    """Every picture, as the files are read."""
    files = [source] if source.is_file() else _xml_files(source)
    found = False
    for file in files:
        for image in _images(file):
            found = True
            yield _item(image, file.parent)
    if not found:
        raise SourceError(
            f"{str(source)!r} has no XML file that names images.", "Export from CVAT as 'CVAT for images 1.1'."
        )


def _xml_files(source: Path) -> list[Path]:
    """The source itself, or the files right in it: CVAT writes annotations.xml, datumaro one per subset."""
    files = [source] if source.is_file() else sorted(source.glob("*.xml"))
    return [one for one in files if has_words(one, [b"<annotations", b"<image "])]


def _item(image: Image, root: Path) -> Item:
    places = (root / "images" / image.subset, root / "images", root / image.subset, root)
    return find_item(image.name, places, root, split_of(image.subset), lambda _: image.tags or image.shapes)


def _images(file: Path) -> Iterator[Image]:
    """The images of a file. Raises SourceError when it is no XML, or lacks what we need, with the line."""
    reading = _Reading(file)
    try:
        with file.open("rb") as stream:
            while chunk := stream.read(CHUNK_BYTES):
                reading.parser.Parse(chunk, False)
                yield from reading.take()
            reading.parser.Parse(b"", True)
    except OSError as error:
        raise SourceError(f"{str(file)!r} can't be read: {error.strerror}.") from error
    except expat.ExpatError as error:
        raise SourceError(f"{str(file)!r} is no XML that can be read: {error}.") from error


class _Reading:
    """What has been read so far: the standard library's trees would hold the whole file."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.parser = expat.ParserCreate()
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.EntityDeclHandler = self._refuse
        self._images: list[Image] = []
        self._open: Image | None = None
        self._subset = file.stem if file.stem.lower() in SPLIT_NAMES else NO_SPLIT

    def take(self) -> list[Image]:
        """The images that have been read since the last call."""
        images, self._images = self._images, []
        return images

    def _start(self, element: str, attributes: dict[str, str]) -> None:
        if element == "image":
            self._open = Image(self._needed(attributes, "name"), attributes.get("subset", self._subset))
        elif self._open and element == TAG:
            self._open.tags.append(self._needed(attributes, "label"))
        elif self._open and element in SHAPES:
            self._open.shapes.append(self._needed(attributes, "label"))

    def _end(self, element: str) -> None:
        if element == "image" and self._open:
            self._images.append(self._open)
            self._open = None

    def _needed(self, attributes: dict[str, str], name: str) -> str:
        if not attributes.get(name):
            raise SourceError(f"Line {self.parser.CurrentLineNumber} of {str(self.file)!r} has no {name}.")
        return attributes[name]

    def _refuse(self, *_: object) -> None:
        raise SourceError(
            f"Line {self.parser.CurrentLineNumber} of {str(self.file)!r} declares an entity.",
            "CVAT never does: remove it.",
        )


IMPORTER = Importer(
    name="cvat", summary="XML 1.1 for images: tags, or shapes of one label", recognises=recognises, read=read
)
