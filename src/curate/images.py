"""`map_images`: every computation on pixels goes through here, the only place that knows of cache and workers.

A file is read once, hashed, and decoded at most once, for all measurements it still lacks. What is already known
by content (a moved file, a copy, an unchanged folder) is never decoded again. Finished chunks go to the cache
as they come in, so that a killed run resumes at the last one.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from curate.checks import FactValue, all_checks
from curate.errors import ReadError, UnreadableImage
from curate.executors import Crashed, Executor
from curate.imaging import DECODERS, MIN_WORKING_SIDE_PX, DecodedImage, open_image
from curate.sources import Status, is_url, read_ahead, read_file

DECODE = "decode@1"  # the task that writes the columns `curate.cache.DECODED`; a new number re-reads every picture
# The store must not remember what may be different the next time.
TRANSIENT: frozenset[str] = frozenset({"permission", "missing", "io_error"})

# A file written less than this long before it was read may be written again within the same time stamp: those of
# FAT are two seconds apart.
RACY_NS = 2_000_000_000

CHUNK_ITEMS = 64  # small enough that a kill loses under a second of work, large enough to hide the hand-over
CHUNKS_PER_WORKER = 8  # so that the last chunks end together
MIN_CHUNK_BYTES = 1_000_000

# Several pictures are decoded, then each check measures them all: 5 to 10 % less time for a photograph, most likely
# because decoding one drives the code and the tables of the checks out of the processor's caches.
TOGETHER_ITEMS = 8  # 4 gain two thirds of that, 16 a tenth more for twice the memory
TOGETHER_BYTES = 32_000_000  # of pixels at the working size; a photograph has 0.8 MB, a strip of film can have 700


@dataclass(frozen=True, slots=True)
class Request:
    """One file to read, and the measurements wanted of it. file: its path, or its URL in a bucket."""

    path: str
    file: str
    size_bytes: int
    tasks: tuple[str, ...]


@dataclass(slots=True)
class Measured:
    """What came of one request.

    tasks: the measurements that were wanted. opened: whether it was decoded, or tried to.
    settled: whether size and time will tell if the file changes after this.
    facts: one value per column of the tasks done, if opened; a column without one is NA.
    failures: task -> error, for measurements that raised; they are neither cached nor hidden.
    """

    path: str
    tasks: tuple[str, ...] = ()
    sha256: str | None = None
    size_bytes: int = 0
    mtime_ns: int = 0
    inode: int = 0
    settled: bool = False
    read_error: ReadError | None = None
    opened: bool = False
    facts: dict[str, FactValue] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)


def map_images(
    work: Callable[[Sequence[Request]], list[Measured]],
    requests: Sequence[Request],
    executor: Executor,
    chunk_items: int = CHUNK_ITEMS,
) -> Iterator[list[Measured]]:
    """Run `work` (hash_files, for example) over all requests; yield the results of each finished chunk."""
    for answer in executor.map(work, chunked(requests, executor.workers, chunk_items)):
        yield [_crashed(answer.item)] if isinstance(answer, Crashed) else answer


def bytes_of(results: Sequence[Measured]) -> int:
    """How much was read for these."""
    return sum(result.size_bytes for result in results)


def errors_of(results: Sequence[Measured]) -> int:
    """How many could not be read, or failed in some measurement; copies of such a one too, which are not opened."""
    failed = [result for result in results if result.read_error or result.failures]
    contents = {result.sha256 for result in failed if result.sha256}
    return sum(result.sha256 in contents for result in results) + sum(result.sha256 is None for result in failed)


def hash_files(chunk: Sequence[Request]) -> list[Measured]:
    """Read and hash, decode nothing."""
    return [result for result, _ in read_ahead(_read_and_hash, chunk)]


def measure_files(chunk: Sequence[Request]) -> list[Measured]:
    """Read, hash, decode once and measure. The second file with the same bytes in a chunk is not decoded."""
    results = []
    decoded: list[tuple[Measured, DecodedImage]] = []
    seen: set[str | None] = set()
    for result, data in read_ahead(_read_and_hash, chunk):
        if not result.read_error and result.sha256 not in seen:
            decoded += _decode(data, result)
        seen.add(result.sha256)
        results.append(result)
        if len(decoded) == TOGETHER_ITEMS or sum(image.rgbx.nbytes for _, image in decoded) > TOGETHER_BYTES:
            _measure(decoded)
            decoded = []
    _measure(decoded)
    return results


def open_files(
    chunk: Sequence[Request], min_side_px: int = MIN_WORKING_SIDE_PX
) -> Iterator[tuple[Measured, DecodedImage | None]]:
    """Read, hash and decode each file; None in place of the picture where that fails, with the reason in the result."""
    for result, data in read_ahead(_read_and_hash, chunk):
        image = None
        if not result.read_error:
            try:
                image = open_image(data, min_side_px)
            except UnreadableImage as error:
                result.read_error = error.reason
        yield result, image


def chunked(requests: Sequence[Request], workers: int, most: int = CHUNK_ITEMS) -> list[list[Request]]:
    """Chunks of similar cost, the largest files first so that nobody waits for one at the end.

    Files of equal size share a chunk where they fit: copies then meet, and are decoded once.
    """
    ordered = sorted(requests, key=lambda request: (-request.size_bytes, request.path))
    total = sum(request.size_bytes for request in ordered)
    budget = max(MIN_CHUNK_BYTES, total // (workers * CHUNKS_PER_WORKER))
    chunks: list[list[Request]] = []
    filled = 0
    for request in ordered:
        twin = bool(chunks) and chunks[-1][-1].size_bytes == request.size_bytes and len(chunks[-1]) < 4 * most
        full = not chunks or len(chunks[-1]) >= most or filled + request.size_bytes > budget
        if full and not twin:
            chunks.append([])
            filled = 0
        chunks[-1].append(request)
        filled += request.size_bytes
    return chunks


def _decode(data: bytes, result: Measured) -> list[tuple[Measured, DecodedImage]]:
    """The result and the picture, if it can be decoded; what decoding tells goes into the result."""
    result.opened = True
    result.facts = {"decoder": DECODERS}
    try:
        image = open_image(data)
    except UnreadableImage as error:
        result.read_error = error.reason
        result.facts.update(read_error=error.reason, read_detail=error.detail)
        return []
    result.facts.update(
        format=image.format, width=image.width, height=image.height, mode=image.mode, decoder=image.decoder
    )
    return [(result, image)]


def _measure(decoded: Sequence[tuple[Measured, DecodedImage]]) -> None:
    """Run the measurements of each result's tasks, and add what they give to its facts."""
    for check in all_checks().values():
        if check.facts:
            task = check.task
            for result, image in decoded:
                if task in result.tasks:
                    _run_check(task, check.measure, image, result)


def _run_check(task: str, measure: Callable[[DecodedImage], object], image: DecodedImage, result: Measured) -> None:
    try:
        result.facts.update(measure(image))  # type: ignore[call-overload]  # Mapping[str, FactValue] by contract
    except Exception as error:  # noqa: BLE001  third-party checks may raise anything; it is counted and shown
        result.failures[task] = f"{type(error).__name__}: {error}"


def _read_and_hash(request: Request) -> tuple[Measured, bytes]:
    result = Measured(request.path, request.tasks)
    begun_ns = time.time_ns()
    try:
        data, status = _read(request.file)
    except UnreadableImage as error:
        result.read_error = error.reason
        return result, b""
    result.sha256 = hashlib.sha256(data).hexdigest()
    result.size_bytes = len(data)
    result.mtime_ns = status.mtime_ns
    result.inode = status.inode
    # Of an object, the inode is a digest of its ETag, which no two contents share.
    result.settled = is_url(request.file) or status.mtime_ns < begun_ns - RACY_NS
    return result, data


def _read(file: str) -> tuple[bytes, Status]:
    """The whole file, and the status of exactly what was read. Raises UnreadableImage."""
    try:
        return read_file(file)
    except FileNotFoundError as error:
        raise UnreadableImage("missing", _words(error)) from error
    except PermissionError as error:
        raise UnreadableImage("permission", _words(error)) from error
    except OSError as error:
        raise UnreadableImage("io_error", _words(error)) from error


def _words(error: OSError) -> str:
    return error.strerror or str(error)


def _crashed(request: Request) -> Measured:
    """The row of a file whose decoding killed the worker: hashed here, in the parent, and not decoded."""
    result, _ = _read_and_hash(request)
    if not result.read_error:
        result.read_error = "decoder_crashed"
        result.opened = True
        result.facts = {"decoder": DECODERS, "read_error": "decoder_crashed"}
    return result
