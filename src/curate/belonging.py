"""Which pictures belong together, so that a split must not part them.

A test picture that was taken a second after a training picture, or is a copy of one, tests memory. Four rules find
such pictures: copies, bursts, frames of films, and columns that the user names (patient, site, plant). What belongs
together by any of them is one group, over as many steps as it takes: unlike copies that are dropped, where chains do
harm (see `curate.grouping`), pictures that are only kept on one side may be chained. The longest chain of near copies
among the 9,144 pictures of Caltech-101 has 16; without chains, one in fourteen pairs of near copies would be parted.

Consecutive numbers alone (IMG_0001, IMG_0002) are no rule: every camera counts, whatever it looks at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from curate.content_keys import content_keys
from curate.errors import SettingsError
from curate.neighbours import places_of
from curate.stages.labels import canonical_split

if TYPE_CHECKING:
    import pandas as pd

Ints = NDArray[np.int64]
Pairs = list[tuple[int, int]]  # rows that belong together

COPIES, BURST, FILM = "copies", "burst", "film"
NOUNS = {COPIES: ("group of copies", "groups of copies"), BURST: ("burst", "bursts"), FILM: ("film", "films")}
WORDS = {COPIES: "copies of one picture", BURST: "taken in one burst", FILM: "frames of one film"}

# No camera takes more pictures in a second (120: Sony a9 III, Nikon Z9): a clock that stands still, or a default.
MOST_PER_SECOND = 120
# Frames of a film without a name are of one shot when their numbers are this near: ten seconds at 30 per second.
NEAR_FRAMES = 300


class Belonging(BaseModel):
    """Which pictures belong together and must stay on one side of a split."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    burst_s: float = Field(
        10.0,
        ge=0,
        le=3600,
        description="Shots of one camera at most so many seconds apart are one burst; 0 = bursts may be parted. "
        "Origin: our choice. Of animals before camera traps, up to 20 seconds between two shots nearly always mean "
        "that the same one is still there (Alberta Biodiversity Monitoring Institute); people move on faster.",
    )
    longest_burst_s: float = Field(
        900.0,
        gt=0,
        description="A burst is cut after so many seconds, so that a time-lapse does not become a single group. "
        "Origin: the 15 minutes after which TrapTagger, a tool for camera traps, does the same.",
    )
    sequences: Literal["frames", "off"] = Field(
        "frames",
        description='Pictures of one film, by their names: "frames" (clip_frame_0001.jpg, clip.mp4_0001.jpg, '
        'IMG_BURST001.jpg, in one folder), or "off". Numbers alone, as every camera gives them, never count.',
    )
    by: tuple[str, ...] = Field(
        (),
        description="Columns whose equal values keep pictures together, such as patient or site; empty values don't.",
    )


@dataclass(frozen=True)
class Rule:
    """What one rule found. name: COPIES, BURST, FILM or `by COLUMN`; pictures: those in groups of two or more."""

    name: str
    pictures: int
    groups: int

    def __str__(self) -> str:
        one, many = NOUNS.get(self.name, (f"group {self.name}", f"groups {self.name}"))
        return f"{self.pictures:,} pictures in {self.groups:,} {one if self.groups == 1 else many}"


@dataclass(frozen=True)
class Groups:
    """ids: the group of each row, (N,), numbered as they first occur. rules: what each rule found, in its order.

    reasons: group of two or more pictures -> why they belong together. notes: what else a user should know.
    """

    ids: Ints
    rules: Sequence[Rule]
    reasons: dict[int, str]
    notes: Sequence[str]

    def __str__(self) -> str:
        found = [str(rule) for rule in self.rules if rule.groups]
        return ", ".join(found) if found else "no pictures that belong together"


def belonging_groups(
    table: pd.DataFrame, captures: pd.DataFrame | None, settings: Belonging, near: Pairs | None = None
) -> Groups:
    """The groups of pictures that a split must not part.

    table: path and sha256; where there are such columns, also duplicate_group, exact_copy_of, near_copy_of, label,
    given_split and those of `settings.by`. captures: as `curate.captures` gives them, None = no bursts. near: rows
    that are near copies beside those of one duplicate_group, see `near_pairs`.
    Raises SettingsError for a column that is not there.
    """
    rules: dict[str, Ints] = {COPIES: _together(len(table), [*_copies(table), *(near or [])])}
    notes: list[str] = []
    if captures is not None and settings.burst_s:
        pairs, notes = _bursts(table, captures, settings)
        rules[BURST] = _together(len(table), pairs)
    if settings.sequences == "frames":
        rules[FILM] = _together(len(table), _films(table))
    for column in settings.by:
        rules[f"by {column}"] = _together(len(table), _equal(_values(table, column)))
    ids = _together(len(table), [pair for found in rules.values() for pair in _equal(found.tolist())])
    found = [Rule(name, *_pictures_and_groups(group)) for name, group in rules.items()]
    return Groups(ids, found, _reasons(ids, rules), notes)


def _together(count: int, pairs: Pairs) -> Ints:
    """The group of each of so many rows that these pairs join, (N,), numbered as they first occur."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    ends = np.array(pairs, np.int64).reshape(-1, 2)
    links = coo_array((np.ones(len(ends), np.int8), (ends[:, 0], ends[:, 1])), shape=(count, count))
    _, found = connected_components(links.tocsr(), directed=False)
    _, first, member = np.unique(found, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[member].astype(np.int64)


def _equal(values: Sequence[Any]) -> Pairs:
    """Each row and the first one with the same value; None is equal to nothing."""
    first: dict[Any, int] = {}
    return [(row, first.setdefault(value, row)) for row, value in enumerate(values) if value is not None]


def _pictures_and_groups(ids: Ints) -> tuple[int, int]:
    sizes = np.bincount(ids)
    return int(sizes[sizes > 1].sum()), int((sizes > 1).sum())


def _reasons(ids: Ints, rules: dict[str, Ints]) -> dict[int, str]:
    """Group -> the rules that join any of its pictures, in words."""
    why: dict[int, list[str]] = {group: [] for group in np.flatnonzero(np.bincount(ids) > 1).tolist()}
    for name, found in rules.items():
        joined = np.bincount(found)[found] > 1
        for group in np.unique(ids[joined]).tolist():
            why[group].append(WORDS.get(name, f"together {name}"))
    return {group: ", ".join(reasons) for group, reasons in why.items()}


def _values(table: pd.DataFrame, column: str) -> list[str | None]:
    """A column as text, None where it is empty or not there."""
    if column not in table:
        raise SettingsError(
            f"There is no column {column!r} to keep pictures together by.",
            f"Name one of: {', '.join(map(str, table.columns))}.",
        )
    texts = table[column].astype("string").str.strip()
    return [text if isinstance(text, str) and text else None for text in texts]


# ---- Copies


def _copies(table: pd.DataFrame) -> Pairs:
    """Equal bytes, and what the checks for duplicates have found."""
    pairs = _equal(_values(table, "sha256"))
    if "duplicate_group" in table:
        pairs += _equal(_values(table, "duplicate_group"))
    place = {path: row for row, path in enumerate(table["path"])}
    for column in ("exact_copy_of", "near_copy_of"):
        originals = _values(table, column) if column in table else []
        pairs += [(row, place[path]) for row, path in enumerate(originals) if path in place]
    return pairs


def near_pairs(table: pd.DataFrame, relations: pd.DataFrame, min_similarity: float) -> Pairs:
    """Rows whose thumbnails are at least so similar, by the relations of the check `near_duplicate`.

    A duplicate_group holds what resembles its best picture. Two of its members' other look-alikes are in no group with
    them, but must not be parted from them either.
    """
    rows = np.flatnonzero(table["sha256"].fillna("") != "")
    keys, first = np.unique(content_keys(table["sha256"].iloc[rows]), return_index=True)
    alike = relations[relations["similarity"] >= min_similarity]
    one, other = (places_of(keys, alike[column].to_numpy()) for column in ("one", "other"))
    here = (one >= 0) & (other >= 0)
    return list(zip(rows[first[one[here]]].tolist(), rows[first[other[here]]].tolist(), strict=True))


# ---- Bursts


def _bursts(table: pd.DataFrame, captures: pd.DataFrame, settings: Belonging) -> tuple[Pairs, list[str]]:
    """Shots that follow each other, and what to tell of them."""
    shots = _shots(table, captures)
    standing = shots.groupby(["camera", shots["taken_at"].dt.floor("s")])["sha256"].transform("nunique")
    stopped = standing > MOST_PER_SECOND
    shots = shots[~stopped].sort_values(["camera", "taken_at", "path"])
    gap_s = shots.groupby("camera")["taken_at"].diff().dt.total_seconds()
    starts = ~(gap_s <= settings.burst_s)  # the first of a camera has no gap
    began = shots["taken_at"].where(starts).ffill()
    # Cut at whole multiples of the longest duration since the first shot.
    part = (shots["taken_at"] - began).dt.total_seconds() // settings.longest_burst_s
    burst = list(zip(starts.cumsum().tolist(), part.tolist(), strict=True))
    rows = shots["row"].tolist()
    pairs = [(rows[one], rows[other]) for one, other in _equal(burst)]
    cut = len({number for number, piece in burst if piece > 0})
    return pairs, _notes(int(stopped.sum()), cut, settings)


def _shots(table: pd.DataFrame, captures: pd.DataFrame) -> pd.DataFrame:
    """The pictures whose time is known: row, path, sha256, taken_at, camera.

    Where the camera is unknown the folder stands for it: better kept together without need than parted.
    """
    known = table[["path", "sha256"]].assign(row=np.arange(len(table)))
    shots = known.join(captures[["taken_at", "camera"]], on="sha256")
    shots = shots[shots["taken_at"].notna()]
    folder = shots["path"].map(lambda path: f"folder {path.rpartition('/')[0]}").astype("str")
    return shots.assign(camera=shots["camera"].fillna(folder))


def _notes(stopped: int, cut: int, settings: Belonging) -> list[str]:
    notes = []
    if stopped:
        notes.append(
            f"{stopped:,} pictures bear the same second as over {MOST_PER_SECOND} others of their camera: its clock "
            "stood still, and their times were not used."
        )
    if cut:
        notes.append(
            f"{cut:,} {NOUNS[BURST][cut != 1]} of over {settings.longest_burst_s:g} seconds had to be cut; pictures on "
            "both sides of a cut may come to different splits."
        )
    return notes


# ---- Films

_NUMBER = r"[-_ .]?(?P<number>\d{1,9})"
_FRAME_NAMES = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        # clip12_frame_0001, frame-17, video.frames.3, clip_frm0001
        rf"(?P<film>(?:.*[^a-z])?(?:frames?|frm)){_NUMBER}",
        # clip12.mp4_0001, clip12.mov-frame17
        rf"(?P<film>.*\.(?:mp4|m4v|mov|avi|mkv|webm|mts|mpe?g|wmv|3gp))[-_ .]?[a-z]*{_NUMBER}",
        # bursts as phones name them: IMG_20240501_120000_BURST001, 00012IMG_00012_BURST20240501120000123_COVER
        r"(?P<film>.*[^a-z]burst)[-_ ]?(?P<number>\d{1,4})",
        r"(?:.*[^a-z])?(?P<film>burst\d{14,17})(?P<number>)(?:[-_ ].*)?",
    )
)


def _films(table: pd.DataFrame) -> Pairs:
    """Frames of one film: the same name before the number, in one folder."""
    labels = _values(table, "label") if "label" in table else [None] * len(table)
    films: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for row, ((folder, name), label) in enumerate(zip(_folders_and_names(table), labels, strict=True)):
        match = next((found for found in (pattern.fullmatch(name) for pattern in _FRAME_NAMES) if found), None)
        # Of a class "picture frame", picture_frame_0001.jpg is a picture, and no frame of a film.
        if match and _letters(match["film"]) not in (_letters(folder.rpartition("/")[2]), _letters(label or "")):
            films.setdefault((folder, match["film"].lower()), []).append((int(match["number"] or 0), row))
    return [pair for (_, film), frames in films.items() for pair in _in_one_shot(film, sorted(frames))]


def _letters(text: str) -> str:
    return "".join(char for char in text.lower() if char.isalpha())


def _folders_and_names(table: pd.DataFrame) -> Iterator[tuple[str, str]]:
    """Folder and name without extension; a first folder that is the split the source gave does not count."""
    given = _values(table, "given_split") if "given_split" in table else [None] * len(table)
    for path, split in zip(table["path"], given, strict=True):
        first, _, rest = path.partition("/")
        folder, _, name = (rest if split and rest and canonical_split(first) == split else path).rpartition("/")
        yield folder, name.rpartition(".")[0] or name


def _in_one_shot(film: str, frames: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Pairs of rows of frames that follow each other: all of a film with a name, near ones of one without.

    "frame_0001" may be of any film, and a folder of such names hold hundreds.
    """
    nameless = film in ("frame", "frames", "frm")
    for (number, row), (next_number, next_row) in pairwise(frames):
        if not nameless or next_number - number <= NEAR_FRAMES:
            yield row, next_row
