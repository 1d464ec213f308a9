"""Out-of-sample probabilities: `curate.heads` and the calibration it uses."""

from __future__ import annotations

import numpy as np
import pytest

from curate import heads
from curate.all_cores import as_chosen
from curate.calibration import expected_calibration_error, fit_exponent
from curate.heads import Floats, Ints
from curate.settings import ExecutorSettings


def three_kinds(pictures: int = 60, seed: int = 0, apart: float = 4.0) -> tuple[Floats, Ints]:
    """Vectors (N, 8) in three clouds, and the cloud of each, (N,)."""
    random = np.random.default_rng(seed)
    labels = np.arange(pictures) % 3
    centres = np.eye(3, 8) * apart
    return (centres[labels] + random.normal(size=(pictures, 8))).astype(np.float32), labels.astype(np.int64)


def test_pictures_of_known_kinds_get_their_label() -> None:
    """Clearly separate classes are told apart by models that did not see the picture."""
    vectors, labels = three_kinds()

    said = heads.out_of_sample(vectors, labels, np.arange(60), 3)

    assert (said.calibrated.argmax(axis=1) == labels).mean() > 0.95


def test_every_head_gives_probabilities() -> None:
    """Each row of each head sums to 1."""
    vectors, labels = three_kinds()

    said = heads.out_of_sample(vectors, labels, np.arange(60), 3)

    assert list(said.by_head) == ["linear", "prototypes", "neighbours"]
    for probabilities in [*said.by_head.values(), said.averaged, said.calibrated]:
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)


def test_the_order_of_the_pictures_changes_nothing() -> None:
    """Rows are sorted by content, so a renamed file can't change a judgement; nor can other group numbers."""
    vectors, labels = three_kinds()
    groups = np.arange(60) // 2
    mixed = np.random.default_rng(1).permutation(60)

    said = heads.out_of_sample(vectors, labels, groups, 3)
    again = heads.out_of_sample(vectors[mixed], labels[mixed], 100 - groups[mixed], 3)

    np.testing.assert_array_equal(said.calibrated[mixed], again.calibrated)
    assert said.calibration_error == again.calibration_error


def test_copies_do_not_vouch_for_each_other() -> None:
    """Labels drawn by lot can't be predicted, not even where each picture has a copy with the same label."""
    random = np.random.default_rng(0)
    vectors = np.repeat(random.normal(size=(60, 8)), 2, axis=0).astype(np.float32)
    labels = np.repeat(random.integers(0, 2, 60), 2)

    grouped = heads.out_of_sample(vectors, labels, np.arange(120) // 2, 2)
    leaking = heads.out_of_sample(vectors, labels, np.arange(120), 2)

    assert (grouped.by_head["neighbours"].argmax(axis=1) == labels).mean() < 0.65
    assert (leaking.by_head["neighbours"].argmax(axis=1) == labels).mean() > 0.8


@pytest.mark.parametrize("members", [1, 2, 3, 4])
def test_a_class_with_fewer_pictures_than_folds_is_no_obstacle(members: int) -> None:
    """A class of 1 to 4 pictures gets numbers like any other."""
    vectors, labels = three_kinds()
    labels[labels == 2] = 1
    labels[:members] = 2

    said = heads.out_of_sample(vectors, labels, np.arange(60), 3)

    assert np.isfinite(said.calibrated).all()


def test_pictures_that_are_all_copies_of_one_get_no_opinion() -> None:
    """Where nothing is left to learn from, every class is as probable."""
    vectors, labels = np.ones((4, 8), np.float32), np.array([0, 1, 0, 1])

    said = heads.out_of_sample(vectors, labels, np.zeros(4, np.int64), 2)

    np.testing.assert_allclose(said.calibrated, 0.5)


def test_equal_vectors_are_no_obstacle() -> None:
    """A backbone that says the same of every picture leaves the sizes of the classes."""
    vectors, labels = np.ones((20, 8), np.float32), np.array([0] * 15 + [1] * 5)

    said = heads.out_of_sample(vectors, labels, np.arange(20), 2)

    assert (said.calibrated.argmax(axis=1) == 0).all()


def test_progress_is_reported_once_per_fit() -> None:
    """60 pictures are cross-validated five times in five parts."""
    vectors, labels = three_kinds()
    steps: list[int] = []

    heads.out_of_sample(vectors, labels, np.arange(60), 3, advance=lambda count, **_: steps.append(count))

    assert sum(steps) == heads.rounds(60) == 25


def test_new_pictures_are_labelled_after_ten_examples_each() -> None:
    """Fitted on thirty pictures, the heads name the class of others."""
    vectors, labels = three_kinds(30)
    others, truth = three_kinds(60, seed=1)

    fitted = heads.fit(vectors, labels, np.arange(30), 3)

    assert (fitted.predict(others).argmax(axis=1) == truth).mean() > 0.9


def test_confidence_is_about_as_high_as_the_accuracy() -> None:
    """On classes that overlap, the mean confidence on new pictures is near the share that is right."""
    vectors, labels = three_kinds(300, apart=1.5)
    others, truth = three_kinds(600, seed=1, apart=1.5)

    said = heads.fit(vectors, labels, np.arange(300), 3).predict(others)

    assert said.max(axis=1).mean() == pytest.approx((said.argmax(axis=1) == truth).mean(), abs=0.07)


def test_vectors_of_any_length_are_alike() -> None:
    """Only the direction of a vector counts, so a backbone need not be normalised."""
    vectors, labels = three_kinds()

    said = heads.out_of_sample(vectors, labels, np.arange(60), 3)
    longer = heads.out_of_sample(vectors * 1000, labels, np.arange(60), 3)

    np.testing.assert_allclose(said.calibrated, longer.calibrated, atol=0.1)


def test_too_sure_models_are_made_less_sure() -> None:
    """Models that cube their odds get them back: the exponent is a third."""
    random = np.random.default_rng(0)
    first = random.uniform(0.05, 0.95, 4000)
    labels = (random.uniform(size=4000) > first).astype(np.int64)
    honest = np.stack([first, 1 - first], axis=1).astype(np.float32)

    exponent, _ = fit_exponent(honest**3 / (honest**3).sum(axis=1, keepdims=True), labels)

    assert exponent == pytest.approx(1 / 3, abs=0.05)


def test_labels_by_lot_do_not_make_models_timid() -> None:
    """One label in ten is drawn by lot; the calibration tells that from models that are unsure."""
    random = np.random.default_rng(0)
    truth = random.integers(0, 3, 2000)
    right = random.uniform(0.34, 1.0, 2000)
    guess = np.where(random.uniform(size=2000) < right, truth, (truth + random.integers(1, 3, 2000)) % 3)
    said = np.repeat((1 - right)[:, None] / 2, 3, axis=1)
    said[np.arange(2000), guess] = right
    labels = np.where(random.uniform(size=2000) < 0.1, random.integers(0, 3, 2000), truth)

    exponent, chance = fit_exponent(said.astype(np.float32), labels)

    assert exponent == pytest.approx(1, abs=0.15)
    assert chance == pytest.approx(0.1, abs=0.04)


def test_the_calibration_error_is_the_mean_distance_of_promise_and_truth() -> None:
    """Half the pictures promise 0.9 and keep 0.5, the others keep what they promise: 0.4 / 2."""
    promised = np.array([0.9] * 30 + [1.0] * 30)
    kept = np.array([1.0, 0.0] * 15 + [1.0] * 30)

    assert expected_calibration_error(promised, kept) == pytest.approx(0.2)


def test_several_cores_say_the_same_to_the_last_bit() -> None:
    vectors, labels = three_kinds(300, apart=2.0)

    with as_chosen(ExecutorSettings(kind="serial")):
        alone = heads.out_of_sample(vectors, labels, np.arange(300), 3)
    with as_chosen(ExecutorSettings(workers=3)):
        together = heads.out_of_sample(vectors, labels, np.arange(300), 3)

    assert (alone.calibrated == together.calibrated).all()
