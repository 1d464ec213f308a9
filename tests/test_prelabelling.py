"""From proposals to suggestions: weights, confidence, thresholds, and what is said when there is nothing to say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from curate.acceptance import (
    calibration_error,
    choose_threshold,
    confidence,
    coverage_curve,
    learn_reliability,
    pictures_to_check,
)
from curate.errors import CurateError
from curate.labelers import Floats, Ints, LabelerSettings, LabelingTask, Probabilities, Votes, find_labeler
from curate.labelers.rules import Settings as RulesSettings
from curate.pooling import Sources, fit_weights, pooled, sources_of
from curate.prelabelling import Prelabels, prelabel_rows


def scores_of(sureness: float, count: int) -> Floats:
    """Log-probabilities of two classes, the first one as sure as this, in every row."""
    return np.tile(np.log(np.array([sureness, 1 - sureness], np.float32)), (count, 1))


def labels_with(wrong: int, count: int) -> Ints:
    """Class 0, but for the first few rows."""
    return (np.arange(count) < wrong).astype(np.int64)


def once(count: int) -> Floats:
    return np.ones(count, np.float32)


# ---- Confidence


def test_confidence_becomes_the_share_that_was_right() -> None:
    """Scores claim 0.99, but of a thousand checked pictures 200 were wrong."""
    reliability = learn_reliability(scores_of(0.99, 1000), labels_with(200, 1000), once(1000))

    assert confidence(scores_of(0.99, 1), reliability)[0] == pytest.approx(0.8, abs=0.02)


def test_timid_scores_gain_confidence() -> None:
    """Scores claim 0.7, and of a thousand checked pictures 50 were wrong."""
    reliability = learn_reliability(scores_of(0.7, 1000), labels_with(50, 1000), once(1000))

    assert confidence(scores_of(0.7, 1), reliability)[0] == pytest.approx(0.95, abs=0.02)


def test_twenty_pictures_without_a_mistake_do_not_make_certain() -> None:
    reliability = learn_reliability(scores_of(0.999, 20), labels_with(0, 20), once(20))

    assert 0.97 < confidence(scores_of(0.999, 1), reliability)[0] < 0.999


def test_copies_count_once() -> None:
    """A hundred copies of one picture that is right are no more evidence than the picture."""
    alone = learn_reliability(scores_of(0.9, 1), labels_with(0, 1), once(1))

    copies = learn_reliability(scores_of(0.9, 100), labels_with(0, 100), np.full(100, 0.01, np.float32))

    np.testing.assert_allclose(copies.weights, alone.weights, atol=1e-5)
    assert copies.checked == pytest.approx(1)


def test_calibration_error_is_the_mean_gap() -> None:
    """Two bins of ten: told 0.6, right 0.5; told 0.9, right 0.7. (0.1 + 0.2) / 2."""
    told = np.repeat(np.array([0.6, 0.9], np.float32), 10)
    right = np.array([True] * 5 + [False] * 5 + [True] * 7 + [False] * 3)

    assert calibration_error(told, right) == pytest.approx(0.15)


def test_calibration_error_of_nothing_is_not_a_number() -> None:
    assert np.isnan(calibration_error(np.zeros(0, np.float32), np.zeros(0, bool)))


# ---- Threshold


def mixed_scores() -> Floats:
    """Half of the rows as sure as 0.995, half 0.6."""
    return np.concatenate([scores_of(0.995, 200), scores_of(0.6, 200)])


def honest_labels() -> Ints:
    """As many wrong as the scores of `mixed_scores` say: 1 of 200, 80 of 200."""
    return np.concatenate([labels_with(1, 200), labels_with(80, 200)])


def test_the_threshold_separates_the_sure_from_the_unsure() -> None:
    reliability = learn_reliability(mixed_scores(), honest_labels(), once(400))

    point = choose_threshold(coverage_curve(mixed_scores(), reliability), reliability, 0.95)

    assert point is not None
    assert point.coverage == 0.5
    assert point.precision_low >= 0.95
    assert point.precision == pytest.approx(0.99, abs=0.01)


def test_a_lower_precision_accepts_more() -> None:
    reliability = learn_reliability(mixed_scores(), honest_labels(), once(400))
    curve = coverage_curve(mixed_scores(), reliability)

    point = choose_threshold(curve, reliability, 0.75)

    assert point is not None
    assert point.coverage == 1


def test_too_few_checked_pictures_accept_nothing() -> None:
    """Thirteen are one short of fourteen: 0.95 to the power of 13 is above one half."""
    scores = scores_of(0.9999, 13)
    reliability = learn_reliability(scores, labels_with(0, 13), once(13))

    assert pictures_to_check(0.95) == 14
    assert choose_threshold(coverage_curve(scores, reliability), reliability, 0.95) is None


def test_counted_mistakes_win_over_sure_scores() -> None:
    """17 of 239 labels contradict scores of 0.9999: 0.93 right, so a precision of 0.95 is not promised."""
    scores = scores_of(0.9999, 239)
    reliability = learn_reliability(scores, labels_with(17, 239), once(239))

    assert choose_threshold(coverage_curve(scores, reliability), reliability, 0.95) is None


def test_a_threshold_that_labelled_pictures_contradict_is_not_taken() -> None:
    """The scores were reliable before; now 80 of 100 labelled pictures from the threshold on are right, not 95."""
    reliability = learn_reliability(mixed_scores(), honest_labels(), once(400))
    told, right = np.full(100, 0.999, np.float32), np.arange(100) < 80

    curve = coverage_curve(mixed_scores(), reliability, told, right)

    assert choose_threshold(curve, reliability, 0.95) is None


def test_equal_confidences_are_accepted_together() -> None:
    reliability = learn_reliability(mixed_scores(), honest_labels(), once(400))

    curve = coverage_curve(mixed_scores(), reliability)

    assert [point.coverage for point in curve] == [0.5, 1.0]


def test_the_curve_tells_what_was_measured() -> None:
    """Of the labelled pictures, ten lie above the upper threshold, nine of them right."""
    reliability = learn_reliability(mixed_scores(), honest_labels(), once(400))
    told = np.array([0.999] * 10 + [0.55] * 10, np.float32)
    right = np.array([True] * 9 + [False] * 11)

    curve = coverage_curve(mixed_scores(), reliability, told, right)

    assert curve[0].measured == pytest.approx(0.9)


def test_a_stated_precision_is_kept_on_new_pictures() -> None:
    """A model that is too sure by half, fifty labels, forty draws: kept in the mean, and in nine of ten draws.

    The share right among some 200 accepted pictures is known to 0.02.
    """
    random = np.random.default_rng(5)
    achieved = []
    for _ in range(40):
        logits = random.normal(size=(1050, 4)) * 2
        truth = np.array([random.choice(4, p=one) for one in np.exp(logits) / np.exp(logits).sum(1, keepdims=True)])
        scores = (logits * 1.5).astype(np.float32)
        reliability = learn_reliability(scores[:50], truth[:50], once(50))
        point = choose_threshold(coverage_curve(scores[50:], reliability), reliability, 0.9)
        if point is not None:
            accepted = confidence(scores[50:], reliability) >= point.threshold
            achieved.append((scores[50:].argmax(1) == truth[50:])[accepted].mean())

    assert len(achieved) >= 20
    assert np.mean(achieved) >= 0.9
    assert np.mean(np.array(achieved) < 0.88) <= 0.1


# ---- Pooling


def votes(choice: list[int], by: str = "rule") -> Votes:
    return Votes(by, np.array(choice, np.int64), "it says so")


def test_a_voter_that_is_right_on_labelled_pictures_counts_for_more() -> None:
    good, bad = votes([0] * 10 + [0]), votes([1] * 10 + [1])
    labels = np.array([0] * 10 + [-1])

    weights = fit_weights(sources_of([], [good, bad], 2), labels)

    assert weights.voters[0] > 0 > weights.voters[1]


def test_without_labels_voters_that_agree_outweigh_one_that_does_not() -> None:
    truth = np.arange(90) % 3
    random = np.random.default_rng(2)
    guess = random.integers(0, 3, 90)
    almost = [np.where(random.random(90) < 0.1, random.integers(0, 3, 90), truth) for _ in range(3)]
    sources = sources_of([], [*(votes(one.tolist()) for one in almost), votes(guess.tolist())], 3)

    weights = fit_weights(sources, np.full(90, -1))

    assert weights.voters[:3].min() > 1
    assert weights.voters[3] < 0.5
    assert (pooled(sources, weights, np.arange(90)).argmax(1) == truth).mean() > 0.95


def test_a_rule_repeated_three_times_does_not_outvote_a_better_model() -> None:
    """The model is right in 9 of 10, the rule in 6 of 10; counted as three rules, it would win."""
    random = np.random.default_rng(3)
    truth = random.integers(0, 4, 400)
    said = np.where(random.random(400) < 0.9, truth, (truth + 1) % 4)
    rule = np.where(random.random(400) < 0.6, truth, (truth + 2) % 4).tolist()
    model = Probabilities("model", (np.eye(4)[said] * 0.8 + 0.05).astype(np.float32), np.ones(4, bool))
    sources = sources_of([model], [votes(rule), votes(rule), votes(rule)], 4)

    weights = fit_weights(sources, np.where(np.arange(400) < 100, truth, -1))

    assert (pooled(sources, weights, np.arange(100, 400)).argmax(1) == truth[100:]).mean() > 0.88


def test_a_row_that_nobody_speaks_of_scores_zero() -> None:
    sources = Sources((), (votes([0, -1]),), 2)

    assert not pooled(sources, fit_weights(sources, np.array([-1, -1])), np.array([1])).any()


def test_a_model_steps_aside_where_a_vote_is_for_a_class_it_cannot_know() -> None:
    model = Probabilities("model", np.array([[1, 0], [1, 0]], np.float32), np.array([True, False]))

    sources = sources_of([model], [votes([1, -1])], 2)

    assert sources.models[0][0].tolist() == [0, 0]
    assert sources.models[0][1, 0] == 0
    assert sources.models[0][1, 1] < -10


# ---- All together


def task_of(
    labels: list[int], *, classes: tuple[str, ...] = ("cat", "dog"), vectors: Floats | None = None, **columns: Any
) -> LabelingTask:
    paths = [f"{row}.jpg" for row in range(len(labels))]
    given = np.zeros((len(labels), 4), np.float32) if vectors is None else vectors
    return LabelingTask(
        table=pd.DataFrame({"path": paths, "sha256": [f"sha of {path}" for path in paths]}).assign(**columns),
        folder=Path("nowhere"),
        classes=classes,
        labels=np.array(labels, np.int64),
        groups=np.arange(len(labels)),
        vectors=lambda: given,
        scores=lambda _: np.zeros((len(labels), 0), np.float32),
    )


def clouds(labelled: int, count: int = 200) -> tuple[LabelingTask, Ints]:
    """Pictures of two classes that an embedding tells apart, the first few labelled; and the truth."""
    truth = np.arange(count) % 2
    centre = 4 * np.eye(2)[truth].repeat(4, axis=1)  # (count, 8): two directions at a right angle
    vectors = (np.random.default_rng(1).normal(size=(count, 8)) + centre).astype(np.float32)
    labels = np.where(np.arange(count) < labelled, truth, -1)
    return task_of(labels.tolist(), vectors=vectors), truth


def prelabel(task: LabelingTask, *names: str, precision: float = 0.95, **settings: LabelerSettings) -> Prelabels:
    chosen = {name: find_labeler(name).settings() for name in names}
    return prelabel_rows(task, {**chosen, **settings}, precision)


def rules(tmp_path: Path, text: str) -> RulesSettings:
    (tmp_path / "rules.py").write_text(text)
    return RulesSettings(files=(tmp_path / "rules.py",))


def test_unlabelled_pictures_get_suggestions_and_labelled_ones_none() -> None:
    task, truth = clouds(labelled=40)

    found = prelabel(task, "probe")

    assert (found.pred[:40] == -1).all()
    assert (found.pred[40:] == truth[40:]).mean() > 0.98
    assert not found.abstains[:40].any()
    assert found.by[:40].tolist() == [""] * 40
    assert set(found.by[40:]) == {"probe"}


def test_enough_good_labels_let_nearly_all_be_accepted() -> None:
    task, _ = clouds(labelled=60)

    found = prelabel(task, "probe")

    assert found.threshold is not None
    assert (~found.abstains[60:]).mean() > 0.9
    assert found.expected_precision >= 0.95
    assert found.counts["probe"] == (~found.abstains[60:]).sum()
    assert found.checked == 60


def test_few_labels_are_told_to_be_too_few() -> None:
    """Ten can be checked; 0.95 takes 14."""
    task, _ = clouds(labelled=10)

    found = prelabel(task, "probe")

    assert found.abstains[10:].all()
    assert found.threshold is None
    assert found.notes[-1] == (
        "Nothing is accepted: only 10 labelled pictures could be checked, and 0.95 takes 14 at least. "
        "Label more pictures."
    )


def test_labels_that_contradict_sure_predictions_are_doubted() -> None:
    """Every tenth of 100 labels is wrong, of pictures that are easy to tell apart."""
    task, truth = clouds(labelled=100)
    labels = np.where((np.arange(200) < 100) & (np.arange(200) % 10 == 0), 1 - truth, task.labels)

    found = prelabel(task_of(labels.tolist(), vectors=task.vectors()), "probe")

    assert found.abstains[100:].all()
    assert "contradict a prediction that was sure" in found.notes[0]


def test_a_class_with_one_example_cannot_be_checked() -> None:
    task, _ = clouds(labelled=40)
    labels = task.labels.copy()
    labels[0] = 2

    found = prelabel(task_of(labels.tolist(), classes=("a", "b", "c"), vectors=task.vectors()), "probe")

    assert found.checked == 39


def test_the_same_task_gets_the_same_suggestions() -> None:
    task, _ = clouds(labelled=40)

    np.testing.assert_array_equal(prelabel(task, "probe").confidence, prelabel(task, "probe").confidence)


def test_labels_of_copies_come_first() -> None:
    """Row 51 looks like the other class, but its bytes are those of row 0."""
    task, truth = clouds(labelled=40)
    task.table["sha256"] = task.table["sha256"].replace("sha of 51.jpg", "sha of 0.jpg")

    found = prelabel(task, "probe", "copies")

    assert truth[51] == 1
    assert found.pred[51] == 0
    assert found.by[51] == "exact copies"
    assert found.because[51] == "a file with the same bytes has this label"
    assert not found.abstains[51]


def test_near_copies_that_disagree_among_labelled_pictures_lose_trust() -> None:
    """Of ten pairs of labelled copies none agrees: (29 + 0) / (30 + 20) = 0.58, too little for 0.95."""
    group = [f"g{row // 2}" for row in range(22)]
    labels = [0, 1] * 10 + [0, -1]

    found = prelabel(task_of(labels, duplicate_group=group), "copies")

    assert found.pred[21] == 0
    assert found.confidence[21] == pytest.approx(0.58)
    assert found.abstains[21]


def test_rules_without_any_label_suggest_but_are_not_accepted(tmp_path: Path) -> None:
    wise = rules(tmp_path, 'def label_all(picture):\n    return "cat"\n')

    found = prelabel(task_of([-1] * 30), rules=wise)

    assert found.pred.tolist() == [0] * 30
    assert found.abstains.all()
    assert found.by[0] == "rules: label_all"


def test_rules_that_are_right_on_labelled_pictures_are_accepted(tmp_path: Path) -> None:
    """Sixty labelled pictures, all as the rule says."""
    wise = rules(tmp_path, 'def label_even(p):\n    return ("cat", "dog")[int(p.name.split(".")[0]) % 2]\n')
    labels = [row % 2 for row in range(60)] + [-1] * 20

    found = prelabel(task_of(labels), rules=wise)

    assert found.pred[60:].tolist() == [0, 1] * 10
    assert not found.abstains.any()
    assert found.because[60] == "the rule label_even says so (right for 60 of 60 with a label)"


def test_a_rule_may_name_a_class_that_no_picture_has(tmp_path: Path) -> None:
    """The probe, which knows only the old classes, steps aside; the rule is not proven, so it is not accepted."""
    task, _ = clouds(labelled=40)
    wise = rules(tmp_path, 'CLASSES = ["night"]\ndef label_n(p):\n    return "night" if p.name == "50.jpg" else None\n')
    task = task_of(task.labels.tolist(), classes=("cat", "dog", "night"), vectors=task.vectors())

    found = prelabel(task, "probe", rules=wise)

    assert found.pred[50] == 2
    assert found.abstains[50]


def test_both_labelers_are_named_where_they_agree(tmp_path: Path) -> None:
    task, _ = clouds(labelled=40)
    wise = rules(tmp_path, 'def label_50(p):\n    return "cat" if p.name == "50.jpg" else None\n')

    found = prelabel(task, "probe", rules=wise)

    assert found.by[50] == "rules: label_50; probe"


def test_no_labels_at_all_say_what_to_do() -> None:
    with pytest.raises(CurateError, match="No picture has a label, so there is nothing to learn from") as error:
        prelabel(task_of([-1, -1]), "probe", "copies", "rules", "classifier")

    assert "--rules FILE" in error.value.hint


def test_one_class_only_asks_for_another() -> None:
    with pytest.raises(CurateError, match="All labelled pictures are 'cat': label some of another class too"):
        prelabel(task_of([0, 0, 0, -1]), "probe", "copies")


def test_a_fully_labelled_folder_has_nothing_to_pre_label() -> None:
    with pytest.raises(CurateError, match="Every picture has a label already"):
        prelabel(task_of([0, 1]), "probe")


def test_more_classes_than_pictures_is_no_obstacle() -> None:
    task, _ = clouds(labelled=6, count=8)

    found = prelabel(task_of(task.labels.tolist(), classes=tuple("abcdefghijkl"), vectors=task.vectors()), "probe")

    assert (found.pred[6:] >= 0).all()


def test_one_example_per_class_works_and_is_not_accepted() -> None:
    task, truth = clouds(labelled=2)

    found = prelabel(task, "probe")

    assert (found.pred[2:] == truth[2:]).mean() > 0.9
    assert found.abstains[2:].all()
