"""Judging labels by probabilities: `curate.suspicion`."""

from __future__ import annotations

import numpy as np
import pytest

from curate.calibration import Floats, Ints
from curate.suspicion import Bools, belief, best_cut, judge_labels, share_of_labels


def opinions(truth: Ints, sure: float, classes: int) -> Floats:
    """Models that give the true class of each picture this probability."""
    said = np.full((len(truth), classes), (1 - sure) / (classes - 1), np.float32)
    said[np.arange(len(truth)), truth] = sure
    return said


def hundred_with_ten_wrong() -> tuple[Ints, Floats, Bools]:
    """Labels of four classes, the first ten wrong; the models are nearly sure of the true ones."""
    truth = np.arange(100) % 4
    labels = truth.copy()
    labels[:10] = (truth[:10] + 1) % 4
    return labels, opinions(truth, 0.97, 4), labels != truth


def test_contradicted_labels_are_flagged_and_others_are_not() -> None:
    """Where the models are sure, the flag is exactly the wrong labels."""
    labels, said, is_wrong = hundred_with_ten_wrong()

    judgement = judge_labels(labels, said, np.arange(100))

    np.testing.assert_array_equal(judgement.is_error, is_wrong)


def test_wrong_labels_have_the_lowest_quality() -> None:
    """Quality is the probability that the label is right."""
    labels, said, is_wrong = hundred_with_ten_wrong()

    quality = judge_labels(labels, said, np.arange(100)).quality

    assert quality[is_wrong].max() < 0.3
    assert quality[~is_wrong].min() > 0.95


def test_the_label_that_fits_best_is_suggested() -> None:
    """For right labels that is the label itself."""
    labels, said, _ = hundred_with_ten_wrong()

    judgement = judge_labels(labels, said, np.arange(100))

    np.testing.assert_array_equal(judgement.suggested, np.arange(100) % 4)


def test_the_number_of_errors_is_estimated() -> None:
    """Ten labels are wrong, and the interval says so."""
    labels, said, _ = hundred_with_ten_wrong()

    judgement = judge_labels(labels, said, np.arange(100))

    assert 8 <= judgement.estimated_errors <= 12
    assert judgement.fewest_errors <= 10 <= judgement.most_errors


def test_the_promise_of_the_flag_is_kept() -> None:
    """All flags are right here, and nearly that is promised."""
    labels, said, _ = hundred_with_ten_wrong()

    assert judge_labels(labels, said, np.arange(100)).stated_precision > 0.85


def test_the_promise_is_lower_where_the_models_doubt() -> None:
    """Of the pictures that models contradict at 0.6, far from all are wrong."""
    random = np.random.default_rng(0)
    truth = random.integers(0, 4, 400)
    guess = np.where(random.uniform(size=400) < 0.6, truth, random.integers(0, 4, 400))

    judgement = judge_labels(truth, opinions(guess, 0.6, 4), np.arange(400))

    assert judgement.is_error.mean() < 0.05 or judgement.stated_precision < 0.65


def test_people_who_err_where_models_doubt_are_counted() -> None:
    """The odds of a wrong label grow from 0.4 to 1.2 as models go from sure to 0.4: all is counted, and promised."""
    random = np.random.default_rng(0)
    truth, sure = np.arange(2000) % 4, random.uniform(0.4, 1, 2000)
    guess = np.where(random.uniform(size=2000) < sure, truth, (truth + random.integers(1, 4, 2000)) % 4)
    said = np.where(np.arange(4) == guess[:, None], sure[:, None], (1 - sure[:, None]) / 3).astype(np.float32)
    odds = 0.4 / 0.6 * np.exp(2 * (0.7 - sure))
    is_wrong = random.uniform(size=2000) < odds / (1 + odds)
    labels = np.where(is_wrong, (truth + random.integers(1, 4, 2000)) % 4, truth)

    judgement = judge_labels(labels, said, np.arange(2000))

    assert judgement.estimated_errors == pytest.approx(is_wrong.sum(), rel=0.1)
    assert judgement.stated_precision == pytest.approx(is_wrong[judgement.is_error].mean(), abs=0.1)


def test_contradictions_are_shared_between_labels_and_models() -> None:
    """Models that are never wrong leave all to the labels; the fewer contradictions, the more are the models'."""
    assert share_of_labels(0.1, blunders=0.0) == pytest.approx(1, abs=1e-3)
    assert share_of_labels(0.02, blunders=0.05) < share_of_labels(0.3, blunders=0.05) < 1


def test_labels_that_models_contradict_weigh_little() -> None:
    """Models fitted again hear the ten wrong labels hardly, the others fully."""
    labels, said, is_wrong = hundred_with_ten_wrong()

    weights, doubt = belief(labels, said, np.arange(100))

    assert weights[is_wrong].max() < 0.3
    assert weights[~is_wrong].min() > 0.9
    assert doubt < 0.05


def test_right_labels_stay_without_flags() -> None:
    """Sure models that agree with every label leave nothing to look at."""
    truth = np.arange(100) % 4

    judgement = judge_labels(truth, opinions(truth, 0.97, 4), np.arange(100))

    assert not judgement.is_error.any()
    assert judgement.estimated_errors == 0
    assert np.isnan(judgement.stated_precision)


def test_the_noise_matrix_says_which_class_is_written_for_which() -> None:
    """A fifth of class 0 is labelled 1: row 0 of the matrix has 0.2 in column 1."""
    truth = np.arange(2000) % 4
    labels = truth.copy()
    labels[np.flatnonzero(truth == 0)[::5]] = 1

    noise = judge_labels(labels, opinions(truth, 0.97, 4), np.arange(2000)).noise

    assert noise[0, 1] == pytest.approx(0.2, abs=0.03)
    np.testing.assert_allclose(noise.sum(axis=1), 1)


def test_classes_that_are_mixed_up_are_named_first() -> None:
    """The pair with most pictures of one labelled as the other comes first."""
    truth = np.arange(400) % 4
    labels = truth.copy()
    labels[np.flatnonzero(truth == 2)[:20]] = 3

    overlap = judge_labels(labels, opinions(truth, 0.97, 4), np.arange(400)).overlaps[0]

    assert (overlap.first, overlap.second) == (2, 3)
    assert overlap.pictures == pytest.approx(20, abs=3)


def test_each_class_is_described() -> None:
    """Class 3 carries 20 wrong labels, which are missing in class 2."""
    truth = np.arange(400) % 4
    labels = truth.copy()
    labels[np.flatnonzero(truth == 2)[:20]] = 3

    classes = judge_labels(labels, opinions(truth, 0.97, 4), np.arange(400)).classes

    assert [one.pictures for one in classes] == [100, 100, 80, 120]
    assert classes[3].estimated_errors == pytest.approx(20, abs=3)
    assert classes[2].missing == pytest.approx(0.2, abs=0.03)


def test_a_class_with_fewer_than_five_pictures_is_not_judged() -> None:
    """Models that hardly know a class contradict it always, which proves nothing."""
    truth = np.arange(100) % 4
    labels = truth.copy()
    labels[:4] = 4

    judgement = judge_labels(labels, opinions(truth, 0.97, 5), np.arange(100))

    assert not judgement.is_error[:4].any()
    assert not judgement.classes[4].judged


def test_copies_do_not_make_a_class_large_enough() -> None:
    """Twenty copies of one picture are one picture."""
    truth = np.arange(100) % 4
    labels, groups = truth.copy(), np.arange(100)
    labels[:20], groups[:20] = 4, 0

    assert not judge_labels(labels, opinions(truth, 0.97, 5), groups).classes[4].judged


def test_of_exact_copies_with_different_labels_one_is_flagged() -> None:
    """At least one of the two is certainly wrong: the one that the models contradict."""
    truth = np.arange(100) % 4
    labels, copies = truth.copy(), np.arange(100)
    copies[4] = 0
    labels[4] = 2

    judgement = judge_labels(labels, opinions(truth, 0.5, 4), copies, copies=copies)

    assert judgement.is_error[4]
    assert not judgement.is_error[0]


def test_a_copy_with_the_same_label_is_no_further_witness() -> None:
    """Labels of copies are copied too: a hundred equal ones don't outvote the models."""
    labels, said, _ = hundred_with_ten_wrong()
    more = np.concatenate([np.arange(100), np.zeros(100, np.int64)])

    judgement = judge_labels(labels[more], said[more], more, copies=more)

    assert judgement.is_error[0]
    assert judgement.is_error[100:].all()


def test_the_cut_promises_the_highest_f1() -> None:
    """Flagging the first two promises 2 x 1.7 / (2 + 2) = 0.85; one or three promise less."""
    flagged = best_cut(np.array([0.9, 0.8, 0.2, 0.1]))

    np.testing.assert_array_equal(flagged, [True, True, False, False])


def test_hopeless_flags_are_not_raised() -> None:
    """If every label is wrong with probability 0.1, looking at any of them wastes time."""
    assert not best_cut(np.full(50, 0.1)).any()


def test_impossible_classes_are_no_obstacle() -> None:
    """Probabilities from outside may be exactly 0 and 1."""
    labels, _, is_wrong = hundred_with_ten_wrong()

    judgement = judge_labels(labels, opinions(np.arange(100) % 4, 1.0, 4), np.arange(100))

    np.testing.assert_array_equal(judgement.is_error, is_wrong)
    assert np.isfinite(judgement.quality).all()


def test_weak_models_are_not_taken_at_their_word() -> None:
    """Of 100 right labels, models that know little contradict half; hardly anything is promised of the flags."""
    random = np.random.default_rng(0)
    truth = np.arange(100) % 4
    said = random.dirichlet(np.ones(4), 100).astype(np.float32)
    said[np.arange(100), truth] += 0.5

    judgement = judge_labels(truth, said / said.sum(axis=1, keepdims=True), np.arange(100))

    assert judgement.fewest_errors == 0
    assert not judgement.is_error.any() or judgement.stated_precision < 0.5
