"""Embeddings: what a backbone makes of each picture, computed once per content and kept in the cache.

Every worker decodes and runs the model by itself, one thread each: decoding one picture and looking at another
overlap without any hand-over, and two workers with one thread each are faster than one with two. Finished chunks go
to small Parquet files as they come in, so that a killed run goes on where it stopped.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from curate.cache import FLUSH_ROWS, FLUSH_SECONDS
from curate.errors import CurateError, StoreError
from curate.executors import Executor
from curate.images import Measured, Request, bytes_of, errors_of, map_images, open_files
from curate.models import Backbone, open_backbone
from curate.progress import Progress, silent
from curate.sources import Source, file_in, root_of
from curate.vector_cache import VectorCache

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float32]

# Pictures per call of the model. With one thread larger batches are slower, as what passes between the layers does not
# stay in the processor (MobileNetV2: 7.7 ms per picture in batches of 4, 8.1 of 8, 8.3 of 16), and need more memory.
BATCH = 4
CHUNK = 8  # pictures per chunk of work: handing one over costs 1 ms, and a kill, or waiting at the end, this much work
ATTEMPTS = 2  # a damaged file of the cache may show only when its vectors are read; it is gone then
VECTOR = "vector"  # the name of an embedding among the facts of `Measured`
CHANGED = "it has other bytes now than when it was measured"
NOT_FINITE = "the model gave numbers that are not finite"
KILLED = "the process that read it, or ran the model on it, was killed"


@dataclass(frozen=True)
class Embeddings:
    """The vectors of some pictures.

    identity: of the backbone. sha256: distinct contents, sorted. vectors: one row for each, (M, D). failures: path ->
    why there is none. computed: how many were computed now and not found in the cache.
    """

    identity: str
    sha256: list[str]
    vectors: Floats
    failures: dict[str, str] = field(default_factory=dict)
    computed: int = 0

    def has(self, sha256: Sequence[str]) -> NDArray[np.bool_]:
        """Which of these contents have a vector, (N,)."""
        known = set(self.sha256)
        return np.array([one in known for one in sha256], bool)

    def of(self, sha256: Sequence[str]) -> Floats:
        """The vectors of these contents, (N, D). Raises KeyError for one that has none."""
        place = {one: row for row, one in enumerate(self.sha256)}
        return self.vectors[[place[one] for one in sha256]]


def embed(
    rows: pd.DataFrame, source: Source, spec: str, cache_folder: Path, executor: Executor, progress: Progress = silent
) -> Embeddings:
    """The embedding of every picture of `rows` (columns path, sha256, size_bytes), below `source`.

    spec: see `curate.models`. Pictures that can't be read any more, or on which the model fails, are in `failures`;
    the next call tries them again. Nobody else may write to the cache meanwhile.
    Raises CurateError when the model can't be opened, and StoreError when the cache can't be written.
    """
    _opened.cache_clear()  # the file may be another one since
    try:
        backbone = _opened(spec)
        cache = VectorCache(cache_folder / "embeddings" / backbone.identity, backbone.dimensions)
        cache.remove_leftovers()
        work = partial(embed_files, spec, backbone.identity)
        return _complete(
            rows, cache, backbone.identity, lambda todo: _compute(work, todo, source, cache, executor, progress)
        )
    finally:
        _opened.cache_clear()  # models are large


def _complete(
    rows: pd.DataFrame, cache: VectorCache, identity: str, compute: Callable[[pd.DataFrame], dict[str, str]]
) -> Embeddings:
    """Compute what the cache lacks, and read all. compute: rows -> by content, why there is no vector."""
    reasons: dict[str, str] = {}
    computed: set[str] = set()
    for _ in range(ATTEMPTS):
        known = cache.known()
        left = rows[~rows["sha256"].isin(known)]
        while len(left):  # where one of several copies is gone or has changed, the next one is tried
            first = left.drop_duplicates("sha256")
            reasons |= compute(first)
            known = cache.known()
            computed |= known.intersection(first["sha256"])
            left = left[left["sha256"].duplicated() & ~left["sha256"].isin(known)]
        names = sorted(known.intersection(rows["sha256"]))
        vectors = cache.read(names)
        if vectors is not None:
            paths = zip(rows["path"], rows["sha256"], strict=True)
            failures = {path: reasons.get(sha256, CHANGED) for path, sha256 in paths if sha256 not in known}
            return Embeddings(identity, names, vectors, failures, len(computed))
    raise StoreError(
        f"The cache in {str(cache.folder)!r} does not keep what is written to it.",
        "The disk may be failing. Put the store elsewhere: --store PATH.",
    )


def embed_files(spec: str, identity: str, chunk: Sequence[Request]) -> list[Measured]:
    """Read, decode and embed; runs in a worker. The vector is the fact VECTOR of each result, as bytes."""
    backbone = _same_model(spec, identity)
    results: list[Measured] = []
    waiting: list[tuple[Measured, NDArray[Any]]] = []
    for result, image in open_files(chunk, backbone.min_side_px):
        results.append(result)
        if image is not None:
            try:
                waiting.append((result, backbone.prepare(image)))
            except Exception as error:  # noqa: BLE001  as below
                result.failures[VECTOR] = _words(error)
        if len(waiting) == BATCH:
            _embed_batch(backbone, waiting)
            waiting = []
    if waiting:
        _embed_batch(backbone, waiting)
    return results


def _embed_batch(backbone: Backbone, waiting: Sequence[tuple[Measured, NDArray[Any]]]) -> None:
    try:
        vectors = np.asarray(backbone.embed(np.stack([item for _, item in waiting])), np.float32)
        if vectors.shape != (len(waiting), backbone.dimensions):
            raise ValueError(f"the model gave numbers of shape {vectors.shape} for {len(waiting)} pictures")
    except Exception as error:  # noqa: BLE001  a model may raise anything; it is counted and shown
        if len(waiting) == 1:
            waiting[0][0].failures[VECTOR] = _words(error)
            return
        for one in waiting:  # one picture must not cost the others
            _embed_batch(backbone, [one])
        return
    for (result, _), vector in zip(waiting, vectors, strict=True):
        if np.isfinite(vector).all():
            result.facts[VECTOR] = vector.tobytes()
        else:
            result.failures[VECTOR] = NOT_FINITE


def _same_model(spec: str, identity: str) -> Backbone:
    if _opened(spec).identity != identity:
        _opened.cache_clear()  # a process that lives long has an older one
    backbone = _opened(spec)
    if backbone.identity != identity:
        raise CurateError(
            f"The model {spec!r} was changed while it ran.", "Run the same command again; nothing wrong was kept."
        )
    return backbone


@lru_cache(maxsize=1)
def _opened(spec: str) -> Backbone:
    """One model per process. A forked worker has its parent's: sessions have no threads that a fork would lose."""
    return open_backbone(spec)


def _compute(
    work: Callable[[Sequence[Request]], list[Measured]],
    todo: pd.DataFrame,
    source: Source,
    cache: VectorCache,
    executor: Executor,
    progress: Progress,
) -> dict[str, str]:
    """Embed these pictures and keep the vectors; by content, why there is none."""
    root = root_of(source)
    requests = [
        Request(path, file_in(root, path), int(size), ())
        for path, size in zip(todo["path"], todo["size_bytes"], strict=True)
    ]
    wanted = dict(zip(todo["path"], todo["sha256"], strict=True))
    reasons: dict[str, str] = {}
    with progress("Embedding", len(requests)) as advance, _Pending(cache) as pending:
        for results in map_images(work, requests, executor, CHUNK):
            pending.add([one for one in results if VECTOR in one.facts])
            reasons |= {wanted[one.path]: _why_not(one) for one in results if VECTOR not in one.facts}
            advance(len(results), size_bytes=bytes_of(results), errors=errors_of(results))
    return reasons


def _why_not(result: Measured) -> str:
    if result.read_error == "decoder_crashed":
        return KILLED
    return result.failures.get(VECTOR) or str(result.read_error)


def _words(error: Exception) -> str:
    lines = str(error).splitlines() or [""]
    return f"{type(error).__name__}: {lines[0][:300]}"


class _Pending:
    """Vectors on their way to the cache, written about once a second and at the end, even of an interrupted run."""

    def __init__(self, cache: VectorCache) -> None:
        self._cache = cache
        self._results: list[Measured] = []
        self._last_flush = time.monotonic()

    def add(self, results: Sequence[Measured]) -> None:
        self._results.extend(results)
        if len(self._results) >= FLUSH_ROWS or time.monotonic() - self._last_flush > FLUSH_SECONDS:
            self._flush()

    def _flush(self) -> None:
        if self._results:
            vectors = [np.frombuffer(_vector(one), np.float32) for one in self._results]
            self._cache.append([str(one.sha256) for one in self._results], np.stack(vectors))
            self._cache.compact()
        self._results.clear()
        self._last_flush = time.monotonic()

    def __enter__(self) -> _Pending:
        return self

    def __exit__(self, *_: object) -> None:
        self._flush()


def _vector(result: Measured) -> bytes:
    vector = result.facts[VECTOR]
    assert isinstance(vector, bytes)
    return vector
