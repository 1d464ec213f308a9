"""Traits of pictures that need not have to do with the subject: how they look, how they are stored, whence they come.

A model that is trained on pictures learns whatever parts the classes, and such traits are easier to learn than the
subject. Everything here is known already: facts of checks, thumbnails in the cache, headers that `curate.captures` has
read, and paths. No picture is opened.

Folder, camera and file name can't be seen in pixels. They are here because each source has a look of its own: where
they tell the label, so may colours, noise or backgrounds that nobody has measured.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from curate.spectra import SIDE

if TYPE_CHECKING:
    import pandas as pd

Ints = NDArray[np.int64]
Kind = Literal["look", "file", "source"]

UNKNOWN = "unknown"
# Ten bins: with fewer, an edge in the wrong place hides a difference; with more, they hold too few pictures to compare.
MOST_BINS, PICTURES_PER_BIN = 10, 30
MOST_NAMES = 60  # categories of one trait; rarer names count as one
PICTURES_PER_NAME = 5  # a name of fewer tells of no class
MOST_LEVELS = 3  # of folders


@dataclass(frozen=True)
class Trait:
    """One trait of N pictures. column: (N,) numbers, or names where `low` is ""; NA = unknown.

    what: the unit, or the meaning, in a few words. low, high: what pictures with a low and a high number are called.
    untested: why it can't be tested, "" = it can.
    """

    name: str
    kind: Kind
    what: str
    column: pd.Series[Any]
    low: str = ""
    high: str = ""
    untested: str = ""

    @property
    def is_number(self) -> bool:
        return bool(self.low)

    def bins(self) -> Ints:
        """The bin of each picture, (N,), from 0; all are 0 where the trait is the same in all pictures."""
        return bins_of_numbers(self.column) if self.is_number else bins_of_names(self.column)


def traits_of(
    pictures: pd.DataFrame, captures: pd.DataFrame, thumbnails: pd.Series[Any], labels: pd.Series[str]
) -> list[Trait]:
    """All traits of these pictures.

    pictures: rows of a version's table. captures: by sha256, see `curate.captures`. thumbnails: (N,) bytes as of
    `near_duplicate`, NA = none. labels: (N,) the class of each picture; all four have one index.
    """
    return [*_looks(pictures), *_borders(thumbnails), *_files(pictures), *_sources(pictures, captures, labels)]


def measured_traits(pictures: pd.DataFrame) -> list[Trait]:
    """What was measured of each picture by itself: how it looks, how it is stored, and its camera.

    pictures: rows of a version's table with the column `camera`, NA = unknown.
    """
    camera = Trait("camera", "source", "make, model and serial number, by EXIF", pictures["camera"].astype("str"))
    return [*_looks(pictures), *_files(pictures), camera]


# ---- How pictures look

_Fact = tuple[str, str, str, str, str]
_LOOKS: tuple[_Fact, ...] = (
    ("brightness", "luma_p50", "median luma, 0 black to 255 white", "darker", "brighter"),
    ("contrast", "tonal_range", "levels of luma between the darkest and the lightest percent", "flatter", "stronger"),
    ("white areas", "clipped_highlights", "share of pixels that are pure white", "less white", "whiter"),
    ("black areas", "clipped_shadows", "share of pixels that are black", "less black", "blacker"),
    ("colour", "chroma", "vividness of the strongest colours, 0 grey to 1", "greyer", "more colourful"),
    ("sharpness", "sharpness", "detail of 1 px against 4 px, 0 to 1", "softer", "sharper"),
)


def _looks(pictures: pd.DataFrame) -> Iterator[Trait]:
    for name, fact, what, low, high in _LOOKS:
        if fact in pictures:
            yield Trait(name, "look", what, pictures[fact].astype("Float64"), low, high)


def _borders(thumbnails: pd.Series[Any]) -> Iterator[Trait]:
    """Of the outermost 1/32 of each side: how light it is, and how even, as frames and plain backgrounds are."""
    import pandas as pd

    light, spread = (pd.Series(np.nan, thumbnails.index, dtype="Float64") for _ in range(2))
    known = thumbnails.notna().to_numpy(bool)
    if known.any():
        grey = np.frombuffer(b"".join(thumbnails[known]), np.uint8).reshape(-1, SIDE, SIDE)
        sides = np.stack([grey[:, 0], grey[:, -1], grey[:, :, 0], grey[:, :, -1]], axis=1)  # (N, 4, SIDE)
        light[known] = sides.mean(axis=(1, 2))
        # The mean of the sides, not the largest: letterboxes have two even sides, and captions spoil one.
        spread[known] = sides.std(axis=2).mean(axis=1).round(2)
    yield Trait("border brightness", "look", "mean luma of the outermost 1/32, 0 to 255", light, "darker", "lighter")
    yield Trait("border evenness", "look", "spread of luma along each side, 0 = a frame", spread, "plainer", "livelier")


# ---- How they are stored


def _files(pictures: pd.DataFrame) -> Iterator[Trait]:
    width, height = (pictures[name].astype("Float64") for name in ("width", "height"))
    size = pictures["size_bytes"].astype("Float64")
    per_pixel = size / (width * height)
    yield Trait("size", "file", "megapixels", width * height / 1e6, "smaller", "larger")
    yield Trait("shape", "file", "width / height", (width / height).round(3), "taller", "wider")
    yield Trait("compression", "file", "bytes per pixel", per_pixel, "more compressed", "less compressed")
    for name, fact in (("format", "format"), ("pixel mode", "mode")):
        if fact in pictures:
            yield Trait(name, "file", f"{name} of the file", pictures[fact].astype("str"))


# ---- Whence they come


def _sources(pictures: pd.DataFrame, captures: pd.DataFrame, labels: pd.Series[str]) -> Iterator[Trait]:
    said = captures.reindex(pictures["sha256"]).set_axis(pictures.index)
    yield Trait("camera", "source", "make, model and serial number, by EXIF", said["camera"].astype("str"))
    taken = said["taken_at"]
    hours = (taken.dt.hour + taken.dt.minute / 60).astype("Float64")
    yield Trait("time of day", "source", "hour, by EXIF", hours, "earlier", "later")
    days = ((taken - taken.min()).dt.days).astype("Float64")
    yield Trait("date", "source", "days since the first picture, by EXIF", days, "older", "newer")
    yield from _folders(pictures, labels)
    yield from _names(pictures["path"], labels)


def _folders(pictures: pd.DataFrame, labels: pd.Series[str]) -> Iterator[Trait]:
    """A trait per level of folders, but for those of the class and of the split."""
    import pandas as pd

    own = [{str(name).lower() for name in names} for names in zip(labels, pictures["label"], strict=True)]
    split = pictures["given_split"].notna() if "given_split" in pictures else pd.Series(False, pictures.index)
    levels: list[list[str]] = []
    for path, classes, has_split in zip(pictures["path"], own, split, strict=True):
        parts = path.split("/")[:-1]
        class_at = next((place for place, part in enumerate(parts) if part.lower() in classes), None)
        first_is_split = has_split and len(parts) > 0 and class_at != 0
        levels.append([part for place, part in enumerate(parts) if place != class_at and (place or not first_is_split)])
    for level in range(min(MOST_LEVELS, max(map(len, levels), default=0))):
        values = [parts[level] if level < len(parts) else None for parts in levels]
        name = "folder" if level == 0 else f"folder, level {level + 1}"
        what = "name of the folder beside that of the class"
        yield _named(name, what, pd.Series(values, pictures.index, dtype="str"), labels)


def _names(paths: pd.Series[str], labels: pd.Series[str]) -> Iterator[Trait]:
    names = paths.str.rpartition("/")[2]
    stems = names.str.replace(r"\.[^.]*$", "", regex=True)
    yield Trait("extension", "source", "end of the file name", names.str.extract(r"(\.[^.]*)$")[0].astype("str"))
    patterns = stems.str.replace(r"\d+", "#", regex=True)
    yield _named("file name", "file name, # for any number", patterns, labels)
    # More digits are no count, but a date or an identifier.
    numbers = stems.str.extract(r"(?:^|\D)(\d{1,7})\D*$")[0].astype("Float64")
    untested = "each class is numbered from one on" if _numbered_by_class(numbers, labels) else ""
    yield Trait("file number", "source", "last number of the file name", numbers, "lower", "higher", untested)


def _named(name: str, what: str, values: pd.Series[str], labels: pd.Series[str]) -> Trait:
    """A trait of names, untested where they are names of the classes themselves, or of single pictures."""
    return Trait(name, "source", what, values, untested=_why_names_say_nothing(values, labels))


def _why_names_say_nothing(values: pd.Series[str], labels: pd.Series[str]) -> str:
    known = values.notna()
    values, labels = values[known], labels[known]
    if values.nunique() > len(values) / 2:
        return "nearly each picture has one of its own"
    alike = [_alike(_letters(one), _letters(other)) for one, other in zip(values, labels, strict=True)]
    if len(alike) and np.mean(alike) > 0.5:
        return "it is the name of the class"
    classes_of_each = labels.groupby(values).nunique()
    if len(classes_of_each) > 2 and classes_of_each.max() == 1:  # one of each of two classes may be two sources
        return "none occurs in two classes: kinds of a class, or a source for each; names can't tell which"
    return ""


def _numbered_by_class(numbers: pd.Series[Any], labels: pd.Series[str]) -> bool:
    """Whether most classes count their pictures from 0 or 1 on: the highest number is then the class's size."""
    counts = numbers.dropna().groupby(labels).agg(["min", "max", "size"])
    from_one = (counts["min"] <= 1) & (counts["max"] <= 2 * counts["size"] + 1)  # half of them may be gone
    return bool(len(counts)) and bool(from_one.mean() > 0.5)


def _letters(text: str) -> str:
    return "".join(char for char in text.lower() if char.isalpha())


def _alike(one: str, other: str) -> bool:
    """Whether one of two words holds the other: cat, cats, mycatpictures. Two letters occur in too many words."""
    return min(len(one), len(other)) > 2 and (one in other or other in one)


# ---- Bins


def bins_of_numbers(values: pd.Series[Any]) -> Ints:
    """Bins of about equally many pictures, (N,), from 0; equal numbers share a bin, and what is NA has the last one.

    A number that would fill a bin alone, such as the one width that half of the pictures have, gets one.
    """
    numbers = np.asarray(values.to_numpy(dtype=float, na_value=np.nan))
    known = np.isfinite(numbers)
    total = int(known.sum())
    _, place, counts = np.unique(numbers[known], return_inverse=True, return_counts=True)
    most = int(np.clip(total // PICTURES_PER_BIN, 3, MOST_BINS))
    own = counts * most >= total
    left = np.where(own, 0, counts)
    wanted = max(1, round(most * left.sum() / max(1, total)))
    shared = ((np.cumsum(left) - left / 2) * wanted / max(1, left.sum())).astype(np.int64)  # by the middle of each
    bins = np.full(len(numbers), wanted + len(counts) + 1)
    bins[known] = np.where(own, wanted + np.cumsum(own), shared)[place]
    return np.unique(bins, return_inverse=True)[1].astype(np.int64)


def bins_of_names(values: pd.Series[str]) -> Ints:
    """A bin per name, (N,), from 0, the most frequent first; the last one is for all names of too few pictures."""
    texts = [value if isinstance(value, str) else UNKNOWN for value in values]
    counts = Counter(texts)
    frequent = sorted((-count, name) for name, count in counts.items() if count >= PICTURES_PER_NAME)
    code = {name: place for place, (_, name) in enumerate(frequent[:MOST_NAMES])}
    bins = np.array([code.get(text, len(code)) for text in texts], np.int64)
    return np.unique(bins, return_inverse=True)[1].astype(np.int64)
