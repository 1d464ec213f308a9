"""`curate normalize` at work: every content once per transform, into the store's objects; and what training will see.

Every worker reads, checks, transforms, encodes and stores one picture after the other. What is finished is noted in
the cache about once a second, so that a killed run goes on where it stopped. Before anybody hears of the outputs, the
disk has them.

Mean and standard deviation come from exact sums of whole numbers over the pixels of the encoded files, as Pillow
decodes them: no order of adding and no number of workers changes their last digit.
"""

from __future__ import annotations

import ctypes
import hashlib
import math
import os
import sys
import time
import uuid
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from curate.cache import FLUSH_SECONDS
from curate.errors import StoreError, UnreadableImage
from curate.executors import Crashed, Executor
from curate.files import explained, remove_temporary, sync
from curate.images import CHUNKS_PER_WORKER
from curate.imaging import decode_exactly
from curate.objects import object_path, source_file
from curate.output_cache import SQUARES, SUMS, OutputCache
from curate.progress import Progress, silent
from curate.project import Project
from curate.sources import read_ahead, read_file
from curate.transform import Transform
from curate.uniform import make_uniform

if TYPE_CHECKING:
    import pandas as pd
    from PIL import Image

CHUNK_ITEMS = 16  # a photograph takes some 5 ms, so a chunk a tenth of a second: little is lost by a kill
CHUNK_BYTES = 4_000_000  # the same of large ones

CHANGED = "it has other bytes now than when it was scanned"
GONE = "it is not there any more"
KILLED = "the process that made it uniform was killed"
NOT_KEPT = "the store does not keep what is written to it"


@dataclass(frozen=True)
class Outputs:
    """What became of some pictures.

    table: one row per content that has an output, index: sha256 of the source; columns as in `curate.output_cache`.
    failures: path -> why there is no output. computed: how many contents were transformed now.
    notes: path -> what was wrong with a picture that has one, like a damaged colour profile.
    """

    table: pd.DataFrame
    failures: dict[str, str] = field(default_factory=dict)
    computed: int = 0
    notes: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Source:
    """One content to transform: the file, or URL, of a row, and where the store would have the same bytes."""

    path: str
    file: str
    stored: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Made:
    """What came of one source: a row for the cache, or the reason why there is none."""

    sha256: str
    row: dict[str, Any] | None
    reason: str = ""


def normalize_pictures(
    rows: pd.DataFrame, project: Project, transform: Transform, executor: Executor, progress: Progress = silent
) -> Outputs:
    """The output of every picture of `rows` (columns path, sha256, size_bytes), in the store when this returns.

    Each content is transformed once, ever. Pictures that can't be read any more, or that have changed, are in
    `failures`; the next call tries them again. Nobody else may write to the store meanwhile.
    Raises StoreError when the store can't be written.
    """
    cache = _cache(project, transform)
    cache.remove_leftovers()
    remove_temporary(_incoming(project))
    before = set(cache.read(rows["sha256"].unique()).index)
    known, reasons = set(before), dict[str, str]()
    left = rows[~rows["sha256"].isin(known)]
    while len(left):  # where one of several copies is gone or has changed, the next one is tried
        made = _make(left.drop_duplicates("sha256"), project, transform, executor, progress, cache)
        reasons |= {one.sha256: one.reason for one in made}
        known |= {one.sha256 for one in made if one.row is not None}
        left = left[left["sha256"].duplicated() & ~left["sha256"].isin(known)]
    table = cache.read(known)
    _wait_for_disk(project, table["output_sha256"])  # also for those that a killed run has left
    reasons = {sha256: reason or NOT_KEPT for sha256, reason in reasons.items() if sha256 not in table.index}
    computed = int((~table.index.isin(before)).sum())
    return Outputs(table, _by_path(rows, reasons), computed, _by_path(rows, _notes(table)))


def outputs_of(project: Project, transform: Transform, sha256s: Iterable[str]) -> pd.DataFrame:
    """The outputs there are of these contents, as the table of `Outputs`; nothing is computed."""
    return _cache(project, transform).read(set(sha256s))


def _cache(project: Project, transform: Transform) -> OutputCache:
    return OutputCache(project.cache / "outputs" / transform.identity, project.objects)


def _incoming(project: Project) -> Path:
    """Where objects are written before they get their name: one folder, so that leftovers are found at once."""
    return project.objects / ".incoming"


def _by_path(rows: pd.DataFrame, said: dict[str, str]) -> dict[str, str]:
    pairs = zip(rows["path"], rows["sha256"], strict=True)
    return {path: said[sha256] for path, sha256 in pairs if sha256 in said}


def _notes(table: pd.DataFrame) -> dict[str, str]:
    noted = table.loc[table["note"] != "", "note"]
    return {str(sha256): str(note) for sha256, note in noted.items()}


def _make(
    todo: pd.DataFrame,
    project: Project,
    transform: Transform,
    executor: Executor,
    progress: Progress,
    cache: OutputCache,
) -> list[Made]:
    """Transform these pictures, and note the results in the cache as they come."""
    sources = [
        Source(path, source_file(project, path), os.fspath(object_path(project, sha256)), sha256, int(size))
        for path, sha256, size in zip(todo["path"], todo["sha256"], todo["size_bytes"], strict=True)
    ]
    work = partial(make_outputs, transform, project.objects, _incoming(project))
    with explained(project.objects):
        _incoming(project).mkdir(parents=True, exist_ok=True)
    sizes = {source.sha256: source.size_bytes for source in sources}
    found: list[Made] = []
    with progress("Normalizing", len(sources)) as advance, _Pending(cache) as pending:
        for answer in executor.map(work, _chunked(sources, executor.workers)):
            made = [Made(answer.item.sha256, None, KILLED)] if isinstance(answer, Crashed) else answer
            pending.add([one.row for one in made if one.row is not None])
            found += made
            advance(len(made), size_bytes=sum(sizes[one.sha256] for one in made), errors=_failed(made))
    return found


def _failed(made: Sequence[Made]) -> int:
    return sum(one.row is None for one in made)


def _chunked(sources: Sequence[Source], workers: int) -> list[list[Source]]:
    """Chunks of similar cost, the largest files first so that nobody waits for one at the end."""
    budget = min(CHUNK_BYTES, sum(source.size_bytes for source in sources) // (workers * CHUNKS_PER_WORKER))
    chunks: list[list[Source]] = []
    filled = 0
    for source in sorted(sources, key=lambda source: (-source.size_bytes, source.path)):
        if not chunks or len(chunks[-1]) == CHUNK_ITEMS or filled + source.size_bytes > budget:
            chunks.append([])
            filled = 0
        chunks[-1].append(source)
        filled += source.size_bytes
    return chunks


def make_outputs(transform: Transform, objects: Path, incoming: Path, chunk: Sequence[Source]) -> list[Made]:
    """Read, check, transform and store each source; runs in a worker. Raises StoreError when the disk is full."""
    found = zip(chunk, read_ahead(_bytes_of, chunk), strict=True)
    return [_make_one(transform, objects, incoming, source, *said) for source, said in found]


def _make_one(
    transform: Transform, objects: Path, incoming: Path, source: Source, data: bytes | None, reason: str
) -> Made:
    if data is None:
        return Made(source.sha256, None, reason)
    try:
        made = make_uniform(data, transform)
    except UnreadableImage as error:
        return Made(source.sha256, None, f"it can't be read: {error}")
    except Exception as error:  # noqa: BLE001  one odd picture must not end a run over a million
        return Made(source.sha256, None, f"it could not be made uniform: {type(error).__name__}: {error}")
    output_sha256 = hashlib.sha256(made.data).hexdigest()
    _store(made.data, objects / output_sha256[:2] / output_sha256[2:], incoming)
    row = {
        "sha256": source.sha256,
        "output_sha256": output_sha256,
        "output_width": made.picture.width,
        "output_height": made.picture.height,
        "output_size_bytes": len(made.data),
        "output_format": made.format,
        **_sums(made.picture),
        "note": made.note,
    }
    return Made(source.sha256, row)


def _bytes_of(source: Source) -> tuple[bytes | None, str]:
    """The bytes with the digest that is wanted: of the file, else of the store; or why there are none."""
    reason = GONE
    for file in (source.file, source.stored):
        try:
            data, _ = read_file(file)
        except FileNotFoundError:
            continue
        except OSError as error:
            reason = f"it can't be read: {error.strerror or error}"
            continue
        if hashlib.sha256(data).hexdigest() == source.sha256:
            return data, ""
        reason = CHANGED if file == source.file else reason
    return None, reason


def _store(data: bytes, target: Path, incoming: Path) -> None:
    """Give the store these bytes under their digest, whole or not at all; nothing to do where it has them."""
    with suppress(OSError):
        if target.stat().st_size == len(data):
            return
    temporary = incoming / f".{uuid.uuid4().hex}.tmp"
    with explained(target):
        try:
            temporary.write_bytes(data)
            target.parent.mkdir(exist_ok=True)
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)


def _wait_for_disk(project: Project, output_sha256: Iterable[str]) -> None:
    """Wait until the disk has these objects.

    Linux does it for the whole file system at once: 0.03 s for 2,000 new files, where one after the other takes 0.35 s.
    """
    files = [object_path(project, one) for one in output_sha256]
    if not files or _sync_file_system(project.objects):
        return
    for path in [*files, *{file.parent for file in files}]:
        sync(path)


def _sync_file_system(folder: Path) -> bool:
    """False where the system has no way to, or it failed."""
    syncfs = getattr(ctypes.CDLL(None), "syncfs", None) if sys.platform == "linux" else None
    if syncfs is None:
        return False
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        return bool(syncfs(descriptor) == 0)
    finally:
        os.close(descriptor)


class _Pending:
    """Rows on their way to the cache, written about once a second and at the end, even of an interrupted run."""

    def __init__(self, cache: OutputCache) -> None:
        self._cache = cache
        self._rows: list[dict[str, Any]] = []
        self._last_flush = time.monotonic()

    def add(self, rows: Sequence[dict[str, Any]]) -> None:
        self._rows.extend(rows)
        if time.monotonic() - self._last_flush > FLUSH_SECONDS:
            self._flush()

    def _flush(self) -> None:
        if self._rows:
            self._cache.append(self._rows)
            self._cache.compact()
        self._rows.clear()
        self._last_flush = time.monotonic()

    def __enter__(self) -> _Pending:
        return self

    def __exit__(self, *_: object) -> None:
        self._flush()


# ---- Statistics of pixels

COUNTED = [*SUMS, *SQUARES, "output_width", "output_height"]


@dataclass(frozen=True)
class PixelStatistics:
    """Mean and population standard deviation per channel (red, green, blue), in 0 to 1.

    Of every pixel of every picture, a picture counted as often as it is repeated. pictures, pixels: how many that are.
    Without any, mean and std are not a number.
    """

    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    pictures: int
    pixels: int


def mean_std(rows: pd.DataFrame, project: Project, transform: Transform) -> PixelStatistics:
    """What training sees of these rows: column output_sha256 and, where pictures repeat, `repeat` (missing is once).

    Raises StoreError for an output that is neither in the cache nor in the store.
    """
    import pandas as pd

    repeat = rows["repeat"].fillna(1) if "repeat" in rows else pd.Series(1, rows.index)
    times = repeat.astype("int64").groupby(rows["output_sha256"]).sum()  # without the rows that have no output
    times = times[times > 0]
    known = _cache(project, transform).read_outputs(set(times.index))[COUNTED]
    missing = [str(one) for one in times.index.difference(known.index)]  # the cache may have been deleted
    counted = pd.DataFrame([_counted_again(project, one) for one in missing], missing, COUNTED, dtype="int64")
    known = pd.concat([known, counted]).loc[times.index]
    known["pixels"] = known.pop("output_width") * known.pop("output_height")
    weights = np.asarray(times, np.int64)
    totals = {str(name): exact_dot(np.asarray(known[name], np.int64), weights) for name in known}
    return _statistics(totals, int(weights.sum()))


def _counted_again(project: Project, output_sha256: str) -> dict[str, int]:
    """The columns COUNTED of an object. Raises StoreError where it is gone or damaged."""
    try:
        data = object_path(project, output_sha256).read_bytes()
        if hashlib.sha256(data).hexdigest() != output_sha256:
            raise UnreadableImage("corrupt", "its bytes have changed")
        picture = decode_exactly(data)
    except (OSError, UnreadableImage) as error:
        raise StoreError(
            f"The normalized picture {output_sha256} is gone from the store, or damaged: {error}.",
            f"Make it again: curate normalize {project.folder}",
        ) from error
    return {**_sums(picture), "output_width": picture.width, "output_height": picture.height}


def _statistics(totals: dict[str, int], pictures: int) -> PixelStatistics:
    """Of whole numbers, so that only the last step rounds."""
    pixels = totals["pixels"]
    mean, std = [], []
    for one, squared in zip(SUMS, SQUARES, strict=True):
        total = totals[one]
        mean.append(total / (255 * pixels) if pixels else math.nan)
        spread = pixels * totals[squared] - total * total
        std.append(math.sqrt(spread / (255 * pixels) ** 2) if pixels else math.nan)
    return PixelStatistics((mean[0], mean[1], mean[2]), (std[0], std[1], std[2]), pictures, pixels)


def exact_dot(values: NDArray[np.int64], weights: NDArray[np.int64]) -> int:
    """The sum of products of two columns of numbers from 0 on, exact however large it is."""
    if not len(values):
        return 0
    largest = max(1, int(values.max()) * int(weights.max()))
    step = (2**63 - 1) // largest
    if step == 0:
        return sum(int(value) * int(weight) for value, weight in zip(values, weights, strict=True))
    return sum(int(values[at : at + step] @ weights[at : at + step]) for at in range(0, len(values), step))


def _sums(picture: Image.Image) -> dict[str, int]:
    """The columns SUMS and SQUARES of a picture of mode "RGB"."""
    counts = np.array(picture.histogram(), np.int64).reshape(3, 256)
    levels = np.arange(256)
    found = dict(zip(SUMS, (counts @ levels).tolist(), strict=True))
    return found | dict(zip(SQUARES, (counts @ levels**2).tolist(), strict=True))
