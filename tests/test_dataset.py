"""What training code gets from `curate.load`: the pictures of one version, and nothing else."""

from __future__ import annotations

import importlib.util
import pickle
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import curate as library
from conftest import PICTURES, picture, write
from curate import versions
from curate.dataset import Dataset
from curate.errors import CurateError, SourceError, StoreError, VersionNotFound
from curate.project import Project

needs_torch = pytest.mark.skipif(not importlib.util.find_spec("torch"), reason="torch is not installed")


@pytest.fixture
def split_photos(tmp_path: Path) -> Path:
    """Five pictures of two classes in two splits, and one without a label."""
    places = ("train/cats/0", "train/cats/1", "train/dogs/2", "test/cats/3", "test/dogs/4", "train/_unlabeled/5")
    for number, place in enumerate(places):
        write(tmp_path / "photos" / f"{place}.jpg", PICTURES[number])
    library.clean(tmp_path / "photos", workers=1)
    return tmp_path / "photos"


@pytest.fixture
def uniform(split_photos: Path) -> Path:
    """The same, normalized to 32 px."""
    library.normalize(split_photos, changes={"normalize.size": "32", "normalize.format": "png"}, workers=1)
    return split_photos


def recommit(folder: Path, **columns: Any) -> None:
    """Add columns, as rebalancing will, to the newest version."""
    store = Project.at(folder).versions
    newest = versions.find_version(store, None)
    table = versions.read_table(store, newest)
    versions.commit(
        store,
        table.assign(**columns),
        "test",
        newest.settings,
        newest.counts,
        recipe=newest.recipe,
    )


def test_an_item_is_an_upright_rgb_picture_and_a_place_among_the_classes(split_photos: Path) -> None:
    training = library.load(split_photos, split="train")

    image, label = training[2]

    assert (image.mode, image.size) == ("RGB", (96, 72))
    assert training.paths[2] == "train/dogs/2.jpg"
    assert training.classes[label] == "dogs"


def test_an_original_has_the_pixels_that_every_other_reader_sees(split_photos: Path) -> None:
    """Bit for bit those of Pillow, which torchvision and datasets decode with."""
    training = library.load(split_photos, split="train")

    assert training[0][0].tobytes() == Image.open(split_photos / training.paths[0]).convert("RGB").tobytes()


def test_a_split_holds_its_own_labelled_pictures(split_photos: Path) -> None:
    assert library.load(split_photos, split="train").paths == [
        "train/cats/0.jpg",
        "train/cats/1.jpg",
        "train/dogs/2.jpg",
    ]
    assert library.load(split_photos, split="test").paths == ["test/cats/3.jpg", "test/dogs/4.jpg"]
    assert len(library.load(split_photos)) == 5


def test_classes_have_the_same_numbers_in_every_split(split_photos: Path) -> None:
    write(split_photos / "train" / "apes" / "6.jpg", PICTURES[6])
    library.clean(split_photos, workers=1)

    test = library.load(split_photos, split="test")

    assert test.classes == ["apes", "cats", "dogs"]
    assert list(test.labels) == [1, 2]


def test_pictures_without_a_label_are_counted_and_come_when_asked_for(split_photos: Path) -> None:
    training = library.load(split_photos, split="train")
    everything = library.load(split_photos, split="train", unlabelled=True)

    assert training.unlabelled == 1
    assert repr(training) == "<photos@v1 train: 3 pictures of 2 classes, 1 unlabelled>"
    assert sorted(everything.labels) == [-1, 0, 0, 1]


def test_an_unknown_split_is_answered_with_those_there_are(split_photos: Path) -> None:
    with pytest.raises(SourceError, match=r"has no split 'dev'\. There are: train, test\."):
        library.load(split_photos, split="dev")


def test_a_version_without_splits_says_so(photos: Path) -> None:
    library.clean(photos, workers=1)

    with pytest.raises(SourceError, match="has no splits at all"):
        library.load(photos, split="train")


def test_an_older_version_is_loaded_by_name(split_photos: Path) -> None:
    write(split_photos / "train" / "cats" / "6.jpg", PICTURES[6])
    library.clean(split_photos, workers=1)

    assert len(library.load(split_photos)) == 6
    assert len(library.load(split_photos, "v1")) == 5
    with pytest.raises(VersionNotFound):
        library.load(split_photos, "v9")


def test_a_file_that_changed_since_is_never_trained_on(split_photos: Path) -> None:
    training = library.load(split_photos, split="train")
    write(split_photos / "train" / "cats" / "1.jpg", PICTURES[9])

    training[0]
    with pytest.raises(StoreError, match=r"'train/cats/1\.jpg' has other bytes than v1"):
        training[1]


def test_a_file_that_is_gone_is_named(split_photos: Path) -> None:
    training = library.load(split_photos, split="train")
    (split_photos / "train" / "cats" / "1.jpg").unlink()

    with pytest.raises(StoreError, match=r"'train/cats/1\.jpg' is gone since v1"):
        training[1]


def test_a_normalized_version_gives_the_normalized_pictures(uniform: Path) -> None:
    image, _ = library.load(uniform)[0]

    assert image.size == (32, 32)


def test_a_damaged_normalized_picture_is_never_trained_on(uniform: Path) -> None:
    for file in Project.at(uniform).objects.rglob("*"):
        if file.is_file():
            file.write_bytes(b"damaged")

    with pytest.raises(StoreError, match="has other bytes than v2"):
        library.load(uniform)[0]


def test_a_version_that_is_only_partly_normalized_is_not_loaded(uniform: Path) -> None:
    write(uniform / "train" / "cats" / "6.jpg", PICTURES[6])
    library.clean(uniform, workers=1)

    with pytest.raises(
        StoreError, match=r"1 kept pictures of v3 are not normalized yet, for example 'train/cats/6\.jpg'"
    ):
        library.load(uniform)


def test_the_statistics_are_those_of_the_training_pictures(uniform: Path) -> None:
    """The very pixels that training sees, standardised, have mean 0 and deviation 1."""
    training = library.load(uniform, split="train", unlabelled=True)
    images, _ = training.numpy()

    mean, std = training.mean_std
    standardised = (images.reshape(-1, 3) / 255 - mean) / std

    assert np.abs(standardised.mean(0)).max() < 1e-9
    assert np.abs(standardised.std(0) - 1).max() < 1e-9


def test_without_normalization_there_are_no_statistics(split_photos: Path) -> None:
    with pytest.raises(StoreError, match="has no mean and deviation, as it is not normalized"):
        library.load(split_photos).mean_std  # noqa: B018  a property that raises


def test_pictures_of_different_sizes_make_no_array(split_photos: Path) -> None:
    write(split_photos / "train" / "cats" / "6.jpg", picture(6, 48, 48))
    library.clean(split_photos, workers=1)

    with pytest.raises(SourceError, match="have 2 different sizes"):
        library.load(split_photos).numpy()


def test_class_weights_are_inverse_frequencies(split_photos: Path) -> None:
    """Two cats and one dog: 3 / (2 * 2) and 3 / (2 * 1)."""
    assert library.load(split_photos, split="train").class_weights().tolist() == [0.75, 1.5]


def test_a_class_that_a_split_lacks_has_no_weight(split_photos: Path) -> None:
    write(split_photos / "train" / "apes" / "6.jpg", PICTURES[6])
    library.clean(split_photos, workers=1)

    assert library.load(split_photos, split="test").class_weights().tolist() == [0, 1, 1]


def test_a_repeated_picture_occurs_so_often_with_a_seed_of_its_own(split_photos: Path) -> None:
    newest = library.table(split_photos)
    recommit(
        split_photos, repeat=newest["path"].map({"train/cats/0.jpg": 3, "train/cats/1.jpg": 0}).fillna(1).astype(int)
    )

    training = library.load(split_photos, split="train")

    assert training.paths == ["train/cats/0.jpg"] * 3 + ["train/dogs/2.jpg"]
    assert len(set(training.seeds.tolist())) == 4
    assert training.class_weights().tolist() == [4 / 6, 2.0]
    assert len(training.table) == 4


def test_seeds_are_the_same_in_every_run(split_photos: Path) -> None:
    first, second = (library.load(split_photos, split="train").seeds.tolist() for _ in range(2))

    assert first == second


def test_weights_are_those_of_the_version_and_1_without_any(split_photos: Path) -> None:
    assert library.load(split_photos, split="train").sample_weights().tolist() == [1, 1, 1]
    rows = library.table(split_photos)
    recommit(split_photos, weight=rows["path"].map({"train/cats/0.jpg": 0.25}))

    assert library.load(split_photos, split="train").sample_weights().tolist() == [0.25, 1, 1]


def test_the_table_has_what_curate_knows_of_each_item(split_photos: Path) -> None:
    rows = library.load(split_photos, split="test").table

    assert rows["final_label"].tolist() == ["cats", "dogs"]
    assert {"sharpness", "flags", "sha256", "split"} <= set(rows.columns)


def test_a_grey_palette_or_transparent_source_is_rgb_as_well(tmp_path: Path) -> None:
    for mode in ("L", "P", "RGBA"):
        buffer = BytesIO()
        Image.open(BytesIO(PICTURES[0])).convert(mode).save(buffer, "PNG")
        write(tmp_path / "photos" / "a" / f"{mode}.png", buffer.getvalue())
    library.clean(tmp_path / "photos", workers=1, changes={"checks.near_duplicate.action": "note"})

    assert [image.mode for image, _ in library.load(tmp_path / "photos")] == ["RGB"] * 3


@needs_torch
def test_torch_workers_get_the_same_items_however_they_are_started(uniform: Path) -> None:
    import torch
    from torch.utils.data import DataLoader

    training = library.load(uniform, split="train")
    expected = torch.stack([image for image, _ in training.torch()])

    for workers, context in ((0, None), (2, "fork"), (1, "spawn")):
        loader = DataLoader(training.torch(), batch_size=2, num_workers=workers, multiprocessing_context=context)
        batches = list(loader)
        assert torch.equal(torch.cat([images for images, _ in batches]), expected)
        assert torch.cat([labels for _, labels in batches]).tolist() == training.labels.tolist()


@needs_torch
def test_without_a_transform_torch_gets_standardised_tensors(uniform: Path) -> None:
    import torch

    images = torch.stack([image for image, _ in library.load(uniform, split="train", unlabelled=True).torch()])

    assert images.shape == (4, 3, 32, 32)
    assert images.dtype == torch.float32
    assert images.mean((0, 2, 3)).abs().max() < 1e-5


def lightness_and_seed(image: Image.Image, seed: int) -> tuple[int, int]:
    return image.size[0], seed


@needs_torch
def test_a_seeded_transform_gets_the_seed_of_its_item(uniform: Path) -> None:
    training = library.load(uniform, split="train")

    items = [training.torch(seeded=lightness_and_seed)[item][0] for item in range(len(training))]

    assert items == [(32, seed) for seed in training.seeds.tolist()]


def its_seed(image: Image.Image, seed: int) -> str:
    return str(seed)


@needs_torch
def test_every_epoch_has_other_seeds_and_the_same_in_every_run(uniform: Path) -> None:
    """Also in workers that live longer than an epoch, however they were started."""
    from torch.utils.data import DataLoader

    training = library.load(uniform, split="train")
    data = training.torch(seeded=its_seed)
    for workers, context in ((0, None), (2, "fork"), (1, "spawn")):
        loader = DataLoader(
            data, batch_size=None, num_workers=workers, multiprocessing_context=context, persistent_workers=workers > 0
        )
        seeds = []
        for epoch in (0, 1, 0):
            data.set_epoch(epoch)
            seeds.append([int(seed) for seed, _ in loader])
        assert seeds[0] == seeds[2] == training.seeds.tolist()
        assert not set(seeds[0]) & set(seeds[1])


def test_what_workers_get_is_small(split_photos: Path) -> None:
    assert len(pickle.dumps(library.load(split_photos).reader)) < 3_000


def test_without_torch_the_line_to_type_is_said(split_photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "curate.torch_dataset", None)

    with pytest.raises(CurateError) as error:
        library.load(split_photos).torch()
    assert error.value.hint == "Run: pip install 'curate[torch]'"


def test_hugging_face_gets_pictures_and_class_names(split_photos: Path) -> None:
    pytest.importorskip("datasets")

    data = library.load(split_photos, split="train", unlabelled=True).huggingface()

    assert data.features["label"].names == ["cats", "dogs"]
    assert data["label"] == [None, 0, 0, 1]
    assert data[1]["image"].size == (96, 72)


def test_an_empty_split_of_labelled_pictures_is_no_error(tmp_path: Path) -> None:
    write(tmp_path / "photos" / "train" / "cats" / "0.jpg", PICTURES[0])
    write(tmp_path / "photos" / "test" / "_unlabeled" / "1.jpg", PICTURES[1])
    library.clean(tmp_path / "photos", workers=1)

    test = library.load(tmp_path / "photos", split="test")

    assert isinstance(test, Dataset)
    assert (len(test), test.unlabelled, test.class_weights().tolist()) == (0, 1, [0])
