"""`load`: a version as a training run sees it.

    training = curate.load("./images", version="v3", split="train")
    image, label = training[0]  # a PIL image, upright RGB, and a place in training.classes

Every picture's bytes are hashed when they are read and compared with those of the version, so that nobody trains on a
file that has changed since. That costs a hundredth of what decoding does.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from curate.errors import CurateError, SourceError, StoreError, UnreadableImage
from curate.imaging import decode_exactly
from curate.objects import object_path, places_of, source_file
from curate.pins import is_lock, open_lock
from curate.project import Project
from curate.release import Picture, Release, open_release
from curate.sources import Bucket, read_file
from curate.versions import Version

if TYPE_CHECKING:
    import datasets
    import pandas as pd
    import pyarrow as pa
    from PIL import Image

    from curate.torch_dataset import SeededTransform, TorchImages, Transform

UNLABELLED = -1
TORCH = "pip install 'curate[torch]'"
DATASETS = "pip install datasets"


class MeanStd(NamedTuple):
    """Mean and standard deviation of red, green and blue, 0 to 1, over the training pictures of a version."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]


def load(
    source: str | Path,
    version: str | None = None,
    split: str | None = None,
    *,
    unlabelled: bool = False,
    folder: str | Path | None = None,
    store: str | Path | None = None,
    network: bool = False,
) -> Dataset:
    """The pictures of a version, for training and judging models.

    source: an image folder, or a lock file of `curate pin`, which names the version; folder: where the image folder of
    a lock file is on this machine, if not where the lock says. split: "train", "val", "test" or another that the
    version has; None = all. unlabelled: whether pictures without a label are part of it (with label -1); their number
    is in any case in `unlabelled`. network: whether pictures in a bucket may be read.
    Raises VersionNotFound; SourceError for a split that is not there; StoreError when a pinned version differs.
    """
    if is_lock(source):
        if version is not None:
            raise SourceError(
                f"{str(source)!r} is a lock file and names its version; {version!r} was given as well.",
                "Leave the version out, or give the image folder instead of the lock.",
            )
        release = open_lock(Path(source), folder=folder, store=store, network=network)
    else:
        project = Project.at(source, store, network=network)
        project.require_store()
        release = open_release(project, version)
    return _dataset(release, split, unlabelled)


def _dataset(release: Release, split: str | None, unlabelled: bool) -> Dataset:
    if split is not None and split not in release.splits:
        known = f"There are: {', '.join(release.splits)}." if release.splits else "It has no splits at all."
        raise SourceError(
            f"{release.name}@{release.version.name} has no split {split!r}. {known}",
            "Splits come from folders train, val and test, or from a column split of the label file.",
        )
    chosen = [one for one in release.pictures if split is None or one.split == split]
    pictures = [one for one in chosen if unlabelled or one.label is not None]
    repeat = np.array([one.repeat for one in pictures], np.int64)
    place = np.repeat(np.arange(len(pictures)), repeat)
    occurrence = np.arange(len(place)) - np.repeat(np.cumsum(repeat) - repeat, repeat)
    labels = [UNLABELLED if one.label_index is None else one.label_index for one in pictures]
    rows = release.table.set_index("path", drop=False).loc[[one.path for one in pictures]].reset_index(drop=True)
    return Dataset(
        name=release.name,
        version=release.version,
        split=split,
        classes=list(release.classes),
        unlabelled=sum(one.label is None for one in chosen),
        rows=rows,
        place=place,
        occurrence=occurrence,
        row_labels=np.array(labels, np.int64),
        row_weights=np.array([one.weight for one in pictures], np.float64),
        reader=_reader(release, pictures),
    )


@dataclass(frozen=True)
class Dataset:
    """Pictures and labels of one version, or of one split of it.

    classes: names; a label is a place among them. unlabelled: how many pictures of the split have no label.
    rows: the manifest of the pictures, (M rows). place: (N,) which row each item is: one that rebalancing repeats
    occurs several times. occurrence: (N,) the how manieth of its row, from 0. row_labels, row_weights: (M,).
    """

    name: str
    version: Version
    split: str | None
    classes: list[str]
    unlabelled: int
    rows: pd.DataFrame
    place: NDArray[np.int64]
    occurrence: NDArray[np.int64]
    row_labels: NDArray[np.int64]
    row_weights: NDArray[np.float64]
    reader: PictureReader

    def __len__(self) -> int:
        return len(self.place)

    def __getitem__(self, item: int) -> tuple[Image.Image, int]:
        """(upright RGB picture, label). Raises StoreError when the file is gone or has other bytes."""
        row = self.place[item]
        return self.reader.read(int(row)), int(self.row_labels[row])

    def __iter__(self) -> Iterator[tuple[Image.Image, int]]:
        return (self[item] for item in range(len(self)))

    def __repr__(self) -> str:
        split = f" {self.split}" if self.split else ""
        left = f", {self.unlabelled:,} unlabelled" if self.unlabelled else ""
        return (
            f"<{self.name}@{self.version.name}{split}: {len(self):,} pictures of {len(self.classes):,} classes{left}>"
        )

    @property
    def table(self) -> pd.DataFrame:
        """The manifest of the items, (N rows), in their order: every fact, flag, label and decision."""
        return self.rows.iloc[self.place].reset_index(drop=True)

    @property
    def labels(self) -> NDArray[np.int64]:
        """The label of each item, (N,); -1 for one without."""
        return self.row_labels[self.place]

    @property
    def paths(self) -> list[str]:
        """The path of each item below the image folder."""
        return self.rows["path"].iloc[self.place].tolist()

    @property
    def seeds(self) -> NDArray[np.uint64]:
        """A seed for the augmentation of each item, (N,): the same in every run on the same version.

        It depends on the version, the picture and the occurrence, so that repeated pictures are varied differently.
        """
        contents = self.rows["sha256"].iloc[self.place]
        keys = (f"{self.version.id} {one} {number}" for one, number in zip(contents, self.occurrence, strict=True))
        return np.array([int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") for key in keys], np.uint64)

    @property
    def mean_std(self) -> MeanStd:
        """Mean and deviation of the training pictures, to standardise what the model sees.

        Raises StoreError when the version has not been normalized: its pictures have no common size yet.
        """
        if not self.version.pixels:
            raise StoreError(
                f"{self.name}@{self.version.name} has no mean and deviation, as it is not normalized.",
                "Run: curate normalize DIR --size 224",
            )
        return MeanStd(tuple(self.version.pixels["mean"]), tuple(self.version.pixels["std"]))

    def class_weights(self) -> NDArray[np.float64]:
        """Inverse frequency of each class among the items, (K,): N / (K * N_class), as scikit-learn's "balanced".

        The mean over all items is 1. 0 for a class without items. (King and Zeng, 2001.)
        """
        counts = np.bincount(self.labels[self.labels != UNLABELLED], minlength=len(self.classes))
        present = max(int((counts > 0).sum()), 1)
        weights = np.zeros(len(counts))
        np.divide(counts.sum(), present * counts, out=weights, where=counts > 0)
        return weights

    def sample_weights(self) -> NDArray[np.float64]:
        """The weight of each item's loss, (N,), as rebalancing gave it; 1 where it gave none."""
        return self.row_weights[self.place]

    def numpy(self) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """All pictures, (N, height, width, 3), and labels, (N,), in memory.

        Raises SourceError when the pictures have different sizes.
        """
        sizes = self.reader.sizes
        if len(set(sizes)) > 1:
            raise SourceError(
                f"The pictures of {self.name}@{self.version.name} have {len(set(sizes)):,} different sizes, "
                f"{sizes[0][0]} x {sizes[0][1]} px for one.",
                "Run: curate normalize DIR --size 224",
            )
        width, height = sizes[0] if sizes else (0, 0)
        images = np.empty((len(self), height, width, 3), np.uint8)
        for item in range(len(self)):
            images[item] = np.asarray(self[item][0])
        return images, self.labels

    def torch(self, transform: Transform | None = None, *, seeded: SeededTransform | None = None) -> TorchImages:
        """A map-style dataset for torch's DataLoader, with any number of workers.

        Items are (transform(image), label); with `seeded` instead, (seeded(image, seed), label) with the item's seed
        of `seeds`, for augmentation that can be repeated; call `set_epoch(n)` of what is returned for other seeds in
        every epoch. Without either, the image is a tensor (3, height, width) of float32, 0 to 1, standardised by
        `mean_std` where the version has it.
        Raises CurateError when torch is not installed.
        """
        try:
            from curate.torch_dataset import TorchImages, standardised
        except ImportError as error:
            raise CurateError("torch is not installed.", f"Run: {TORCH}") from error
        if transform is None and seeded is None:
            transform = standardised(self.mean_std if self.version.pixels else None)
        seeds = self.seeds if seeded else None
        return TorchImages(self.reader, self.place, self.labels, transform, seeded, seeds)

    def huggingface(self) -> datasets.Dataset:
        """A `datasets.Dataset` with the columns image, label (ClassLabel; None for unlabelled) and path, in memory.

        Raises CurateError when datasets is not installed.
        """
        try:
            import datasets
        except ImportError as error:
            raise CurateError("datasets is not installed.", f"Run: {DATASETS}") from error
        import pyarrow as pa

        features = datasets.Features(
            {
                "image": datasets.Image(),
                "label": datasets.ClassLabel(names=self.classes),
                "path": datasets.Value("string"),
            }
        )
        images = [{"bytes": self.reader.data(int(row)), "path": None} for row in self.place]
        labels = pa.array(self.labels, mask=self.labels == UNLABELLED)
        columns = {"image": pa.array(images), "label": labels, "path": pa.array(self.paths, pa.string())}
        return datasets.Dataset(pa.table(columns)).cast(features)


@dataclass(frozen=True)
class PictureReader:
    """Reads the pictures of a data set, in any process: what it holds is small and is shared by forked workers.

    sources: paths below the image folder. digests: (M, 32) of the bytes that leave. normalized: whether those are the
    store's. Arrow and numpy arrays, because looking at a list of Python objects copies it, page by page, in a fork.
    """

    project: Project
    version: str
    sources: pa.StringArray
    digests: NDArray[np.uint8]
    shapes: NDArray[np.int32]
    normalized: bool

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """(width, height) of each picture in px."""
        return [(int(width), int(height)) for width, height in self.shapes]

    def read(self, row: int) -> Image.Image:
        """The picture, upright RGB. Raises StoreError when the file is gone or has other bytes."""
        data = self.data(row)
        try:
            return decode_exactly(data)
        except UnreadableImage as error:
            raise StoreError(f"{self.sources[row].as_py()!r} can't be decoded any more: {error}.") from error

    def data(self, row: int) -> bytes:
        """The file's bytes, verified. Raises StoreError when it is gone or has other bytes."""
        digest = self.digests[row].tobytes()
        found = False
        for file in self._files(row, digest.hex()):
            try:
                data, _ = read_file(file)
            except OSError:
                continue
            if hashlib.sha256(data).digest() == digest:
                return data
            found = True
        path = self.sources[row].as_py()
        what = "has other bytes than" if found else "is gone since"
        remedy = "normalize" if self.normalized else "verify"
        raise StoreError(
            f"{path!r} {what} {self.version} of {str(self.project.folder)!r} was made; expected sha256 {digest.hex()}.",
            f"Run: curate {remedy} {self.project.folder}",
        )

    def _files(self, row: int, sha256: str) -> Iterator[str | os.PathLike[str]]:
        stored = object_path(self.project, sha256)
        if self.normalized:
            yield stored
        elif isinstance(self.project.folder, Bucket):  # the nearer one first
            yield from places_of(self.project, self.sources[row].as_py(), sha256)
        else:
            yield from (source_file(self.project, self.sources[row].as_py()), stored)


def _reader(release: Release, pictures: list[Picture]) -> PictureReader:
    import pyarrow as pa

    digests = b"".join(bytes.fromhex(one.sha256) for one in pictures)
    return PictureReader(
        project=release.project,
        version=release.version.name,
        sources=pa.array([one.path for one in pictures], pa.string()),
        digests=np.frombuffer(digests, np.uint8).reshape(-1, 32),
        shapes=np.array([(one.width, one.height) for one in pictures], np.int32).reshape(-1, 2),
        normalized=bool(release.version.transform),
    )
