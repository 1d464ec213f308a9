"""What a review asks people about: which pictures, in which order, and what it tells of them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from curate.decisions import new_decision
from curate.review_app.ledger import Ledger
from curate.review_app.queues import Catalogue, Entry, Filter
from curate.review_app.session import names_of
from curate.review_app.showing import Ids, Showing
from curate.review_log import Event
from reviews import KEY, doubtful, made_up


def paths(catalogue: Catalogue, queue: str) -> list[str]:
    return [entry.path for entry in catalogue.queues[queue]]


def showing(catalogue: Catalogue, *, votes: int = 1, said: tuple[Event, ...] = ()) -> Showing:
    ledger = Ledger(votes)
    ledger.add(said)
    return Showing(catalogue, ledger, names_of(catalogue, KEY), blind=votes > 1)


# ---- Which pictures


def test_likely_errors_come_the_most_suspicious_first() -> None:
    rows = doubtful(3)
    rows[0]["label_quality"], rows[1]["label_quality"], rows[2]["label_quality"] = 0.5, 0.1, 0.3

    assert paths(made_up(rows), "errors") == ["0001.jpg", "0002.jpg", "0000.jpg"]


def test_dropped_pictures_are_no_label_errors() -> None:
    rows = doubtful(2)
    rows[0] |= {"keep": False, "reasons": "blurry"}

    assert paths(made_up(rows), "errors") == ["0001.jpg"]


def test_suggested_labels_come_the_least_sure_first() -> None:
    unlabelled = {"label": None, "pred_label": "dog"}
    rows: list[dict[str, Any]] = [
        {"path": "sure.jpg", **unlabelled, "pred_confidence": 0.99},
        {"path": "unsure.jpg", **unlabelled, "pred_confidence": 0.4},
        {"path": "no_idea.jpg", "label": None, "pred_label": None, "pred_confidence": None},
    ]

    assert paths(made_up(rows), "prelabels") == ["unsure.jpg", "sure.jpg"]


def test_doubts_are_drops_first_and_then_what_a_check_wants_looked_at() -> None:
    """By default blurry and outlier are looked at, unexposed ones dropped; exact copies are no matter of opinion."""
    rows: list[dict[str, Any]] = [
        {"path": "a.jpg", "flags": "outlier"},
        {"path": "b.jpg", "flags": "underexposed", "reasons": "underexposed", "keep": False},
        {"path": "c.jpg", "flags": "exact_duplicate", "reasons": "exact_duplicate", "keep": False},
        {"path": "d.jpg", "flags": "grayscale"},
        {"path": "e.jpg", "flags": ""},
        {"path": "f.jpg", "flags": "label_error"},
    ]

    assert paths(made_up(rows), "doubts") == ["b.jpg", "a.jpg"]


def test_doubts_of_a_check_come_the_clearest_first() -> None:
    rows: list[dict[str, Any]] = [
        {"path": "soft.jpg", "flags": "outlier", "typicality": 0.3},
        {"path": "softest.jpg", "flags": "outlier", "typicality": 0.1},
        {"path": "sharp.jpg", "typicality": 0.9},
    ]

    assert paths(made_up(rows), "doubts") == ["softest.jpg", "soft.jpg"]


def test_what_a_person_kept_against_a_check_is_no_drop_to_appeal() -> None:
    rows = [{"path": "a.jpg", "flags": "underexposed", "reasons": "", "keep": True, "reviewed": "keep"}]

    assert paths(made_up(rows), "doubts") == []


def test_copies_are_groups_with_contradicting_labels_first_and_the_best_copy_in_front() -> None:
    rows: list[dict[str, Any]] = [
        {"path": "a/1.jpg", "duplicate_group": "a/2.jpg"},
        {"path": "a/2.jpg", "duplicate_group": "a/2.jpg"},
        {"path": "b/1.jpg", "duplicate_group": "b/1.jpg", "label": "dog"},
        {"path": "b/2.jpg", "duplicate_group": "b/1.jpg", "label": "cat"},
        {"path": "alone.jpg"},
        {"path": "c/1.jpg", "duplicate_group": "c/1.jpg"},
        {"path": "c/2.jpg", "duplicate_group": "c/1.jpg", "keep": False, "reasons": "exact_duplicate"},
    ]
    catalogue = made_up(rows)

    groups = [[catalogue.paths[place] for place in entry.members] for entry in catalogue.queues["duplicates"]]

    assert groups == [["b/1.jpg", "b/2.jpg"], ["a/2.jpg", "a/1.jpg"]]


def test_unreadable_pictures_are_in_no_queue() -> None:
    """There is nothing to look at."""
    rows = [{"path": "a.jpg", "flags": "unreadable", "reasons": "unreadable", "keep": False, "read_error": "truncated"}]

    assert made_up(rows).paths == []


def test_a_version_without_opinions_still_has_doubts() -> None:
    catalogue = made_up([{"path": "a.jpg", "flags": "outlier"}])

    assert {name: len(entries) for name, entries in catalogue.queues.items()} == {
        "errors": 0,
        "prelabels": 0,
        "doubts": 1,
        "duplicates": 0,
        "spot": 0,
    }


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Filter(label="dog"), ["a/Ä.jpg", "b/2.jpg"]),
        (Filter(label="cow"), []),
        (Filter(check="blurry"), ["b/2.jpg"]),
        (Filter(check="blur"), []),
        (Filter(split="train"), ["a/Ä.jpg"]),
        (Filter(text="ä"), ["a/Ä.jpg"]),
        (Filter(text="(.*)+$"), []),
        (Filter(given="cat", suggested="dog"), ["a/Ä.jpg"]),
        (Filter(label="dog", split="train", text="A/"), ["a/Ä.jpg"]),
    ],
)
def test_a_queue_can_be_narrowed(wanted: Filter, expected: list[str]) -> None:
    """By given or suggested class, by a check's exact name, by split, and by a part of the path: text, no pattern."""
    catalogue = made_up(
        [
            {"path": "a/Ä.jpg", "suggested_label": "dog", "split": "train"},
            {"path": "b/2.jpg", "label": "dog", "flags": "blurry;outlier", "suggested_label": None, "split": None},
        ]
    )
    entries = [catalogue.entry("errors", place) for place in range(2)]

    assert [entries[place].path for place in catalogue.matching(entries, wanted)] == expected


# ---- What is told of them


def test_an_item_tells_labels_reasons_and_probabilities() -> None:
    rows = doubtful(1)
    rows[0]["label_candidates"] = json.dumps([["dog", 0.912345], ["cat", 0.05]])
    catalogue = made_up(rows)

    item = showing(catalogue).item(catalogue.queues["errors"][0])

    assert (item["path"], item["given"], item["suggested"], item["probability"]) == ("0000.jpg", "cat", "dog", 0.9123)
    assert item["candidates"] == [{"label": "dog", "probability": 0.9123}, {"label": "cat", "probability": 0.05}]
    assert item["because"] == ["models give cat 0.03 and dog 0.91", "of its 5 look-alikes 4 dog"]
    assert (item["width"], item["height"], item["round"], item["hidden"]) == (640, 480, "", False)


def test_a_probability_that_was_not_worked_out_is_none() -> None:
    catalogue = made_up(doubtful(1))

    item = showing(catalogue).item(catalogue.queues["errors"][0])

    assert item["candidates"] == [{"label": "dog", "probability": None}, {"label": "cat", "probability": None}]
    assert item["probability"] is None


def test_a_blind_item_tells_nothing_but_its_size() -> None:
    """Not even its path, as folders are often classes."""
    rows = doubtful(1)
    rows[0] |= {"path": "cats/1.jpg", "flags": "blurry;label_error", "pred_label": "dog", "pred_confidence": 0.5}
    catalogue = made_up(rows)

    item = showing(catalogue).item(catalogue.entry("spot", 0))

    told = {name: value for name, value in item.items() if value}
    assert told == {
        "id": item["id"],
        "queue": "spot",
        "round": "spot",
        "width": 640,
        "height": 480,
        "hidden": True,
        "alike": {"given": [], "suggested": []},
    }


def alike(item: dict[str, object], catalogue: Catalogue, which: str) -> list[str]:
    names = names_of(catalogue, KEY)
    shown = json.loads(json.dumps(item["alike"]))[which]
    found = [names.find(one["id"]) for one in shown]
    return [entry.path for entry in found if entry]


def test_a_picture_is_compared_with_verified_ones_first_and_never_with_its_copies() -> None:
    doubted = doubtful(1)[0] | {"look_alikes": json.dumps(["near.jpg", "copy.jpg"]), "duplicate_group": "0000.jpg"}
    dog = {"label": "dog", "label_error": False}
    rows: list[dict[str, Any]] = [
        doubted,
        {"path": "copy.jpg", **dog, "label_quality": 0.99, "duplicate_group": "0000.jpg"},
        {"path": "far.jpg", **dog, "label_quality": 0.98},
        {"path": "near.jpg", **dog, "label_quality": 0.5},
        {"path": "verified.jpg", **dog, "label_quality": 0.6},
        {"path": "wrong.jpg", **dog, "label_quality": 0.97},
    ]
    catalogue = made_up(rows)
    content = dict(zip(catalogue.paths, catalogue.contents, strict=True))
    said = (
        Event(1, new_decision("verified.jpg", content["verified.jpg"], "keep", "ada"), ""),
        Event(2, new_decision("wrong.jpg", content["wrong.jpg"], "relabel", "ada", "cat"), ""),
    )

    item = showing(catalogue, said=said).item(catalogue.queues["errors"][0])

    assert alike(item, catalogue, "suggested") == ["near.jpg", "verified.jpg", "far.jpg"]
    assert alike(item, catalogue, "given") == []


def test_votes_of_others_are_hidden_where_several_people_are_asked() -> None:
    catalogue = made_up(doubtful(1))
    entry = catalogue.queues["errors"][0]
    said = (Event(1, new_decision(entry.path, entry.sha256, "unsure", "bob"), ""),)

    open_item, blind_item = (
        showing(catalogue, said=said).item(entry),
        showing(catalogue, votes=2, said=said).item(entry),
    )

    assert [one["reviewer"] for one in open_item["history"]] == ["bob"]
    assert blind_item["history"] == []


def test_flags_are_told_with_their_numbers() -> None:
    catalogue = made_up([{"path": "a.jpg", "flags": "outlier", "typicality": 0.04}])

    item = showing(catalogue).item(catalogue.queues["doubts"][0])

    assert [flag["name"] for flag in item["flags"]] == ["outlier"]
    assert "0.04" in item["because"][0]


# ---- Names of pictures


def test_names_tell_nothing_and_depend_on_the_store() -> None:
    entry = Entry("errors", 0, "cats/1.jpg", "ab" * 32)

    mine, theirs = Ids(KEY).of(entry), Ids(b"x" * 32).of(entry)

    assert len(mine) == 32
    assert mine == Ids(KEY).of(entry)
    assert mine != theirs
    assert mine != Ids(KEY).of(Entry("spot", 0, "cats/1.jpg", "ab" * 32))


def test_each_copy_of_a_group_has_a_name_of_its_own() -> None:
    rows = [{"path": "1.jpg", "duplicate_group": "1.jpg"}, {"path": "2.jpg", "duplicate_group": "1.jpg"}]
    catalogue = made_up(rows)
    names = names_of(catalogue, KEY)

    item = showing(catalogue).item(catalogue.queues["duplicates"][0])

    found = [names.find(copy["id"]) for copy in item["copies"]]
    assert [(entry.path, len(entry.members)) for entry in found if entry] == [("1.jpg", 2), ("2.jpg", 0)]
    assert [(copy["path"], copy["kept"], copy["label"]) for copy in item["copies"]] == [
        ("1.jpg", True, "cat"),
        ("2.jpg", False, "cat"),
    ]
