"""Strategies: what every one of them keeps to, and what each does, on vectors and sizes worked out by hand."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from curate.combining import balance, combination, invent, require_pictures
from curate.errors import SettingsError
from curate.settings import RebalanceSettings
from curate.strategies import (
    INVENTED,
    Balance,
    Floats,
    InventingStrategy,
    Strategy,
    Training,
    all_strategies,
    epoch_sizes,
    find_strategy,
    untouched,
)
from curate.strategies.informative_over import shared_out
from curate.strategies.redundant_first import redundant

HEADINGS = ("What it does", "When it helps", "When it harms", "Source")
PICTURES = [one.name for one in all_strategies().values() if isinstance(one, Strategy)]
VECTORS = [one.name for one in all_strategies().values() if isinstance(one, InventingStrategy)]


def training_of(sizes: list[int], *, apart: float = 6.0, seed: int = 0, groups: list[int] | None = None) -> Training:
    """Classes of these sizes, each a cloud of its own, in the order of a digest of their number."""
    random = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(sizes)), sizes)
    vectors = np.eye(len(sizes), 8)[labels] * apart + random.normal(size=(len(labels), 8))
    return Training(
        vectors=vectors.astype(np.float32),
        labels=labels,
        groups=np.array(groups if groups is not None else np.arange(len(labels))),
        chance=np.array([_lot(number) for number in range(len(labels))]),
        doubtful=np.zeros(len(labels), bool),
        classes=tuple(f"c{number}" for number in range(len(sizes))),
    )


def _lot(number: int) -> float:
    return int.from_bytes(hashlib.sha256(str(number).encode()).digest()[:6], "little") / 2**48


def on_a_line(places: list[float], labels: list[int]) -> Training:
    """Pictures at these places of a line that is far away, so that angles are much like distances."""
    vectors = np.stack([np.full(len(places), 100.0), np.array(places)], axis=1)
    made = training_of([labels.count(label) for label in range(max(labels) + 1)])
    return replace(made, vectors=vectors.astype(np.float32), labels=np.array(labels))


def balanced(training: Training, *names: str, **changes: Any) -> Balance:
    return balance(training, require_pictures(combination(names)), RebalanceSettings(**changes))


def sizes(training: Training, *names: str, **changes: Any) -> list[int]:
    """Pictures of each class that an epoch sees."""
    return [int(size) for size in epoch_sizes(training, balanced(training, *names, **changes))]


# ---- What every strategy keeps to


def test_all_strategies_are_found_in_the_order_in_which_they_combine() -> None:
    assert list(all_strategies()) == [
        "edited-neighbours",
        "tomek-links",
        "near-miss",
        "random-under",
        "redundant-first",
        "cluster-centroids",
        "informative-over",
        "random-over",
        "adasyn",
        "borderline-smote",
        "smote",
        "effective-number",
        "inverse-frequency",
    ]


@pytest.mark.parametrize("name", all_strategies())
def test_every_strategy_has_a_page_and_the_name_of_its_file(name: str) -> None:
    """What it does, when it helps, when it harms and where it is from."""
    strategy = find_strategy(name)
    function = strategy.choose if isinstance(strategy, Strategy) else strategy.invent

    assert sys.modules[function.__module__].__name__ == f"curate.strategies.{name.replace('-', '_')}"
    assert list(strategy.about) == ["", *HEADINGS]
    assert all(strategy.about.values())
    assert len(strategy.summary) <= 60


@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.parametrize("counts", [[40, 12, 1], [40, 12, 2, 3], [1, 1], [3, 2, 1], [5, 40], [4, 4], [60, 1]])
def test_every_strategy_copes_with_classes_of_one_to_three_pictures(name: str, counts: list[int]) -> None:
    """Nothing of them is left out, none is repeated beyond the limit, and they are named."""
    training = training_of(counts)

    made = balanced(training, name)

    rare = training.rare[training.labels]
    assert made.repeat.shape == made.weight.shape == (len(training),)
    assert (made.repeat[rare] >= 1).all()
    assert made.repeat.min() >= 0
    assert made.repeat.max() <= 10
    assert np.isfinite(made.weight).all()
    assert (made.weight > 0).all()
    assert not rare.any() or any("1 to 3" in note for note in made.notes)


@pytest.mark.parametrize("name", PICTURES)
def test_no_strategy_empties_a_class(name: str) -> None:
    """Not even where the vectors tell nothing of the classes."""
    training = training_of([60, 30, 12, 6], apart=0.0)

    made = balanced(training, name)

    assert min(epoch_sizes(training, made)) >= 4


@pytest.mark.parametrize("name", PICTURES)
def test_a_strategy_that_is_asked_again_says_the_same(name: str) -> None:
    """Chance comes from the content."""
    training = training_of([40, 12, 5], apart=2.0)

    first, again = balanced(training, name), balanced(replace(training), name)

    assert first.repeat.tolist() == again.repeat.tolist()
    assert first.weight.tolist() == again.weight.tolist()


@pytest.mark.parametrize("name", PICTURES)
def test_equal_vectors_are_no_obstacle(name: str) -> None:
    training = training_of([30, 6])
    training = replace(training, vectors=np.ones_like(training.vectors))

    assert balanced(training, name).used.any()


@pytest.mark.parametrize("name", VECTORS)
@pytest.mark.parametrize("counts", [[40, 12, 1], [40, 12, 2, 3], [1, 1], [3, 2, 1], [5, 40], [4, 4], [60, 1]])
def test_inventing_strategies_cope_with_classes_of_one_to_three_pictures(name: str, counts: list[int]) -> None:
    """Their pictures stay; every vector is finite and of a class."""
    training = training_of(counts, apart=1.0)

    vectors, made, source = invent(training, combination([name]), RebalanceSettings())

    rare = np.flatnonzero(training.rare[training.labels])
    assert np.isin(rare, source).all()
    assert np.isfinite(vectors.vectors).all()
    assert len(vectors) == len(source) == len(made.repeat)
    assert (vectors.labels[source != INVENTED] == training.labels[source[source != INVENTED]]).all()


# ---- What can be combined


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["random-over", "random-over"], "named twice"),
        (["random-over", "informative-over"], "both bring small classes up"),
        (["random-under", "near-miss"], "both leave out pictures"),
        (["inverse-frequency", "effective-number"], "both weigh classes"),
        (["random-over", "random-under"], "'random-under' can't follow 'random-over'"),
        (["effective-number", "random-over"], "'random-over' can't follow 'effective-number'"),
        (["random-over", "tomek-links"], "'tomek-links' can't follow 'random-over'"),
        (["cluster-centroids", "random-over"], "vectors are of no picture"),
        (["randomover"], "There is no strategy 'randomover'"),
        ([""], "There is no strategy ''"),
    ],
)
def test_combinations_that_make_no_sense_are_refused_with_the_reason(names: list[str], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        combination(names)


@pytest.mark.parametrize(
    "names",
    [
        ["tomek-links", "edited-neighbours", "redundant-first", "random-over", "effective-number"],
        ["random-under", "tomek-links"],
        ["edited-neighbours", "smote", "inverse-frequency"],
        [],
    ],
)
def test_cleaning_cutting_repeating_and_weighing_can_follow_each_other(names: list[str]) -> None:
    assert [one.name for one in combination(names)] == names


@pytest.mark.parametrize("name", VECTORS)
def test_vectors_of_no_picture_are_refused_for_pictures(name: str) -> None:
    """The message says why, and what to do instead."""
    with pytest.raises(SettingsError, match="No picture belongs to them") as refused:
        require_pictures(combination([name]))

    assert "--features" in refused.value.hint
    assert "random-over" in refused.value.hint


# ---- Sizes: target, limits, repeats


def test_cutting_goes_down_to_the_smallest_class_that_is_not_very_rare() -> None:
    assert sizes(training_of([40, 12, 6, 2]), "random-under") == [6, 6, 6, 2]


def test_a_target_of_a_half_leaves_the_largest_twice_the_smallest() -> None:
    assert sizes(training_of([40, 12, 6]), "random-under", target=0.5) == [12, 12, 6]
    assert sizes(training_of([40, 12, 6]), "random-over", target=0.5) == [40, 20, 20]


def test_no_class_is_cut_below_the_minimum_nor_kept_above_the_maximum() -> None:
    assert sizes(training_of([40, 12, 6]), "random-under", min_per_class=10) == [10, 10, 6]
    assert sizes(training_of([40, 12, 6]), "random-under", target=0.2, max_per_class=20) == [20, 12, 6]


def test_no_class_is_raised_above_the_maximum() -> None:
    assert sizes(training_of([40, 12, 6]), "random-over", max_per_class=30) == [40, 30, 30]


def test_repeats_are_spread_evenly_over_a_class() -> None:
    """40 of 12 pictures: four of them four times, eight three times."""
    made = balanced(training_of([40, 12]), "random-over")

    assert sorted(made.repeat[40:].tolist()) == [3] * 8 + [4] * 4


def test_no_picture_is_repeated_beyond_the_limit_and_the_class_is_named() -> None:
    training = training_of([100, 5, 60])

    made = balanced(training, "random-over")

    assert epoch_sizes(training, made).tolist() == [100, 50, 100]
    assert made.notes == (
        "At 10 repeats at most, these stay too small: c1. inverse-frequency after it makes up for that.",
    )


def test_cutting_and_repeating_meet_in_the_middle() -> None:
    """The largest is cut by the factor that the smallest is raised by: 40 / 20 = 20 / 10."""
    assert sizes(training_of([40, 10]), "random-under", "random-over") == [20, 20]


def test_copies_are_left_out_before_different_pictures() -> None:
    """Of ten pictures five are copies of one; six of ten may stay: all but four of the copies."""
    training = training_of([10, 6], groups=[0, 0, 0, 0, 0, 1, 2, 3, 4, 5, *range(10, 16)])

    for name in ("random-under", "redundant-first", "near-miss"):
        made = balanced(training, name)
        assert len(set(training.groups[:10][made.used[:10]])) == 6


def test_a_strategy_that_leaves_most_out_says_so() -> None:
    notes = balanced(training_of([100, 5]), "random-under").notes

    assert any(note.startswith("90% of the training pictures are left out") for note in notes)


# ---- Each strategy


def test_another_seed_chooses_other_pictures() -> None:
    training = training_of([40, 12])
    other = replace(training, chance=training.chance[::-1].copy())

    assert balanced(training, "random-under").repeat.tolist() != balanced(other, "random-under").repeat.tolist()


def test_near_miss_keeps_what_is_nearest_to_the_smallest_class() -> None:
    training = on_a_line([0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12, 13], [0] * 8 + [1] * 4)

    assert balanced(training, "near-miss").used.tolist() == [False] * 4 + [True] * 8


def test_tomek_links_leave_out_the_larger_class_s_half_of_a_pair() -> None:
    """The picture at 9.9 is of the large class, and it and that at 10 are each other's nearest."""
    training = on_a_line([0, 1, 2, 3, 4, 5, 9.9, 10, 11, 12.5, 14], [0] * 7 + [1] * 4)

    assert np.flatnonzero(~balanced(training, "tomek-links").used).tolist() == [6]


def test_edited_neighbours_leave_out_what_stands_among_strangers() -> None:
    training = on_a_line([0, 1, 2, 3, 4, 5, 12, 10, 11, 13, 14], [0] * 7 + [1] * 4)

    assert np.flatnonzero(~balanced(training, "edited-neighbours").used).tolist() == [6]


def test_a_class_that_would_be_left_with_almost_nothing_stays_whole() -> None:
    """Pictures of the second class each stand among two of the first."""
    places = [0, 1, 2, 10, 11, 12, 20, 21, 22, 30, 31, 32, 40, 41, 42, 0.5, 10.5, 20.5, 30.5, 40.5, 50, 51, 52, 53]
    training = on_a_line(places, [0] * 15 + [1] * 5 + [2] * 4)

    made = balanced(training, "edited-neighbours")

    assert made.used[15:20].all()
    assert "edited-neighbours would have left fewer than 4 pictures of c1, so all stay." in made.notes


def test_redundant_pictures_go_before_lone_ones() -> None:
    """Of 0, 0.1, 0.2, 5, 9, 9.1, 20: one of each close pair goes, and the lone ones stay."""
    vectors = np.array([[0], [0.1], [0.25], [5], [9], [9.12], [20]], np.float32)
    rank = np.arange(7)

    gone = redundant(vectors, rank, 3).tolist()

    assert gone == [0, 4, 1]


def test_thinning_goes_on_beyond_the_neighbours_it_knows() -> None:
    """In one crowd of 100 and a lone picture, 95 of the crowd can go before the lone one does."""
    vectors = np.concatenate([np.random.default_rng(0).normal(size=(100, 3)), [[50.0, 0, 0]]]).astype(np.float32)

    gone = redundant(vectors, np.arange(101), 95).tolist()

    assert len(set(gone)) == 95
    assert 100 not in gone


def test_thinning_is_that_of_comparing_all_pairs_each_time() -> None:
    vectors = np.random.default_rng(3).normal(size=(60, 4)).astype(np.float32)
    rank = np.random.default_rng(4).permutation(60)

    assert redundant(vectors, rank, 50).tolist() == _by_all_pairs(vectors, rank.tolist(), 50)


def _by_all_pairs(vectors: Floats, rank: list[int], count: int) -> list[int]:
    distance = np.linalg.norm(vectors[:, None] - vectors[None], axis=2)
    np.fill_diagonal(distance, np.inf)
    gone: list[int] = []
    for _ in range(count):
        one, other = divmod(int(distance.argmin()), len(vectors))
        gone.append(one if rank[one] < rank[other] else other)
        distance[gone[-1]] = distance[:, gone[-1]] = np.inf
    return gone


def test_likely_label_errors_are_left_out_before_redundant_pictures() -> None:
    training = training_of([20, 6])
    doubtful = np.zeros(26, bool)
    doubtful[[3, 8]] = True

    made = balanced(replace(training, doubtful=doubtful), "redundant-first")

    assert made.repeat[[3, 8]].tolist() == [0, 0]
    assert made.used[:20].sum() == 6


def test_undecided_pictures_are_repeated_more() -> None:
    """Of ten pictures of the small class, one lies half way to the large one."""
    training = training_of([60, 10])
    vectors = training.vectors.copy()
    vectors[60] = [3, 3, 0, 0, 0, 0, 0, 0]

    made = balanced(replace(training, vectors=vectors), "informative-over")

    assert made.repeat[60] == made.repeat.max() > np.median(made.repeat[61:])
    assert made.repeat[60:].sum() == 60


def test_likely_label_errors_are_never_repeated() -> None:
    training = training_of([60, 10])
    doubtful = np.zeros(70, bool)
    doubtful[62] = True

    made = balanced(replace(training, doubtful=doubtful), "informative-over")

    assert made.repeat[62] == 1
    assert made.repeat[60:].sum() == 60


def test_a_class_of_nothing_but_likely_errors_is_not_repeated_and_named() -> None:
    training = training_of([20, 5])

    made = balanced(replace(training, doubtful=training.labels == 1), "informative-over")

    assert made.repeat[20:].tolist() == [1] * 5
    assert "All labels of c1 are likely wrong: nothing of it was repeated." in made.notes


def test_repeats_are_shared_out_in_proportion_and_up_to_the_limit() -> None:
    assert shared_out(10, np.array([1.0, 1.0, 3.0]), 9).tolist() == [2, 2, 6]
    assert shared_out(10, np.array([1.0, 1.0, 3.0]), 4).tolist() == [3, 3, 4]
    assert shared_out(2, np.array([1.0, 1.0, 1.0]), 4).tolist() == [1, 1, 0]
    assert shared_out(99, np.array([1.0, 0.0, 3.0]), 4).tolist() == [4, 0, 4]


def test_inverse_frequency_gives_each_class_the_same_share_of_the_loss() -> None:
    """Of 30 and 10 pictures: 2/3 and 2, which are 1 on average."""
    made = balanced(training_of([30, 10]), "inverse-frequency")

    np.testing.assert_allclose(made.weight[[0, 39]], [2 / 3, 2])


def test_inverse_frequency_with_a_target_only_raises_small_classes() -> None:
    """30, 20 and 5 with a target of a half: the last counts as 15, so thrice as much; then 1 on average."""
    made = balanced(training_of([30, 20, 5]), "inverse-frequency", target=0.5)

    np.testing.assert_allclose(made.weight[[0, 30, 50]] / made.weight[0], [1, 1, 3])
    assert made.weight.mean() == pytest.approx(1)


def test_effective_number_is_that_of_the_paper() -> None:
    """30 and 10 pictures, so N = 20, b = 0.95: (1 - .95^30) / .05 = 15.707, (1 - .95^10) / .05 = 8.025."""
    made = balanced(training_of([30, 10]), "effective-number")

    assert made.weight[39] / made.weight[0] == pytest.approx(15.707 / 8.025, rel=1e-3)
    assert made.weight.mean() == pytest.approx(1)


def test_weights_do_what_repeats_have_left_undone() -> None:
    """5 pictures x 10 of 100 wanted: each repeat counts twice as much as a picture of the large class."""
    made = balanced(training_of([100, 5]), "random-over", "inverse-frequency")

    assert made.weight[104] / made.weight[0] == pytest.approx(2)
    assert (made.repeat * made.weight)[:100].sum() == pytest.approx((made.repeat * made.weight)[100:].sum())


def test_smote_invents_between_pictures_of_a_class() -> None:
    training = training_of([40, 10])

    vectors, _, source = invent(training, combination(["smote"]), RebalanceSettings())

    made = vectors.vectors[source == INVENTED]
    own = training.vectors[40:]
    assert len(made) == 30
    assert (made <= own.max(axis=0)).all()
    assert (made >= own.min(axis=0)).all()


def test_adasyn_says_where_no_other_class_is_near() -> None:
    vectors, made, _ = invent(training_of([40, 10], apart=50), combination(["adasyn"]), RebalanceSettings())

    assert len(vectors) == 50
    assert made.notes == ("No vector could be invented for c1: no other class is near.",)


def test_cluster_centroids_replace_only_classes_that_are_too_large() -> None:
    training = training_of([40, 10])

    vectors, _, source = invent(training, combination(["cluster-centroids"]), RebalanceSettings())

    assert vectors.sizes(untouched(vectors).used).tolist() == [10, 10]
    assert sorted(source[source != INVENTED].tolist()) == list(range(40, 50))


def test_vectors_can_be_weighed_after_they_were_invented() -> None:
    """smote brings 10 to 20 of 40; the weights make up for the rest."""
    training = training_of([40, 10])

    vectors, made, _ = invent(
        training, combination(["smote", "inverse-frequency"]), RebalanceSettings(target=1.0, max_per_class=20)
    )

    assert vectors.sizes(made.used).tolist() == [40, 20]
    assert made.weight[-1] / made.weight[0] == pytest.approx(2)
