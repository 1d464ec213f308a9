"""Label Studio: what we write passes its own checks, and what people say there comes back with the same pictures."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

import curate as library
from conftest import PICTURES, write
from curate.errors import SourceError
from curate.importers import Item
from curate.importers.labelstudio import recognises
from curate.inspection import record_decisions
from curate.project import Project
from curate.release import Release, open_release
from oracle import ask
from releases import HARD_LABELS, bytes_of, distinct, export, hard_release, read, release_of, told, told_by

ADA, BOB, EVE = "ada@example.org", "bob@example.org", "eve@example.org"


@pytest.fixture
def release(tmp_path: Path) -> Release:
    """Two cats in training and a dog in testing, and a picture without label and split."""
    return release_of(
        tmp_path,
        {
            "a.jpg": ("cat", "train"),
            "b.jpg": ("cat", "train"),
            "c.jpg": ("dog", "test"),
            "d.jpg": (None, None),
        },
    )


def tasks_of(out: Path) -> list[dict[str, Any]]:
    tasks: list[dict[str, Any]] = json.loads((out / "tasks.json").read_text(encoding="utf-8"))
    return tasks


def answered(out: Path, *people: Mapping[str, str | None], file: str = "project-1.json") -> Path:
    """Label Studio's export of our tasks: per person, path -> answer, None for a skip; others are not exported."""
    full: list[dict[str, Any]] = []
    for task in tasks_of(out):
        path = task["data"]["path"]
        said = [(place, person[path]) for place, person in enumerate(people, start=1) if path in person]
        if said:
            annotations = [annotation(place, answer) for place, answer in said]
            full.append({"id": len(full) + 1, "data": task["data"], "annotations": annotations, "predictions": []})
    (out / file).write_text(json.dumps(full))
    return out / file


def annotation(person: object, answer: str | None, when: str = "2026-01-01T00:00:00Z") -> dict[str, Any]:
    result = [] if answer is None else [{"type": "choices", "from_name": "label", "value": {"choices": [answer]}}]
    return {"completed_by": person, "result": result, "was_cancelled": answer is None, "created_at": when}


def with_opinions(release: Release, **columns: Mapping[str, object]) -> Release:
    """The release after `curate flag` or `prelabel` have said these; column -> path -> value."""
    table = release.table.assign(**{name: release.table["path"].map(dict(said)) for name, said in columns.items()})
    return replace(release, table=table)


def by_name(items: list[Item]) -> dict[str, Item]:
    return {Path(item.name).name: item for item in items}


# ---- Writing


def test_labels_that_nobody_looked_at_are_predictions(release: Release, tmp_path: Path) -> None:
    """So Label Studio shows them and still asks."""
    export(release, tmp_path / "out", "labelstudio")

    first = tasks_of(tmp_path / "out")[0]
    assert first["data"]["image"] == "/data/local-files/?d=images/cat/a.jpg"
    assert "annotations" not in first
    assert [(one["model_version"], one["result"][0]["value"]) for one in first["predictions"]] == [
        ("photos v1", {"choices": ["cat"]})
    ]


def test_a_label_that_a_person_gave_is_an_annotation_that_names_nobody(release: Release, tmp_path: Path) -> None:
    """Label Studio refuses the whole file for a `completed_by` that it does not know."""
    record_decisions(tmp_path / "photos", ["a.jpg"], "relabel", label="dog", by="ada")
    changes = {"scan.labels": str(tmp_path / "labels.csv")}
    library.clean(tmp_path / "photos", changes=changes, workers=1)
    reviewed = open_release(Project.at(tmp_path / "photos"))

    export(reviewed, tmp_path / "out", "labelstudio")

    first = tasks_of(tmp_path / "out")[0]
    assert "predictions" not in first
    assert first["annotations"][0]["result"][0]["value"] == {"choices": ["dog"]}
    assert "completed_by" not in first["annotations"][0]
    assert (first["data"]["given_label"], first["data"]["curate_label"]) == ("cat", "dog")
    assert first["data"]["reviewed_by"] == "ada"


def test_predictions_carry_the_label_quality_and_the_other_suggestion(release: Release, tmp_path: Path) -> None:
    release = with_opinions(release, label_quality={"a.jpg": 0.125}, suggested_label={"a.jpg": "dog"})

    export(release, tmp_path / "out", "labelstudio")

    first = tasks_of(tmp_path / "out")[0]
    said = [(one["model_version"], one.get("score"), one["result"][0]["value"]) for one in first["predictions"]]
    assert said == [
        ("photos v1 suggestion", None, {"choices": ["dog"]}),
        ("photos v1", 0.125, {"choices": ["cat"]}),
    ]


def test_an_unlabelled_picture_has_the_pre_label_as_prediction_or_none(release: Release, tmp_path: Path) -> None:
    export(release, tmp_path / "none", "labelstudio")
    release = with_opinions(release, pred_label={"d.jpg": "dog"}, pred_confidence={"d.jpg": 0.75})

    export(release, tmp_path / "some", "labelstudio")

    assert tasks_of(tmp_path / "none")[3]["predictions"] == []
    [prediction] = tasks_of(tmp_path / "some")[3]["predictions"]
    assert (prediction["score"], prediction["result"][0]["value"]) == (0.75, {"choices": ["dog"]})


def test_the_address_of_the_pictures_can_be_chosen(release: Release, tmp_path: Path) -> None:
    export(release, tmp_path / "out", "labelstudio", image_url="https://example.org/pets/")

    assert tasks_of(tmp_path / "out")[0]["data"]["image"] == "https://example.org/pets/images/cat/a.jpg"


def test_the_labeling_interface_holds_every_class_whatever_its_name(tmp_path: Path) -> None:
    release = hard_release(tmp_path)

    export(release, tmp_path / "out", "labelstudio")

    choices = ElementTree.parse(tmp_path / "out" / "config.xml").getroot().iter("Choice")
    answers = {choice.get("alias") or choice.get("value") for choice in choices}
    assert answers == {"%01" if label == "\x01" else label for label in HARD_LABELS}


def test_no_shown_choice_is_taken_for_a_variable(tmp_path: Path) -> None:
    """Label Studio replaces "$image" in a choice's value by the task's data."""
    release = release_of(tmp_path, {"a.jpg": ("$image", None)})

    export(release, tmp_path / "out", "labelstudio")

    assert '<Choice value="%24image" alias="$image"/>' in (tmp_path / "out" / "config.xml").read_text()


def test_the_same_release_gives_the_same_bytes(release: Release, tmp_path: Path) -> None:
    export(release, tmp_path / "one", "labelstudio")
    export(release, tmp_path / "two", "labelstudio")

    assert bytes_of(tmp_path / "one") == bytes_of(tmp_path / "two")


def test_every_picture_has_a_place_of_its_own(tmp_path: Path) -> None:
    release = hard_release(tmp_path)

    written = export(release, tmp_path / "out", "labelstudio")

    assert set(written.places) == {one.path for one in release.pictures}
    assert distinct(written.places.values())
    assert all((tmp_path / "out" / place).is_file() for place in written.places.values())


def test_a_release_without_classes_says_what_to_add(tmp_path: Path) -> None:
    release = release_of(tmp_path, {"a.jpg": (None, None)})

    written = export(release, tmp_path / "out", "labelstudio")

    assert "add one per class" in written.notes[0]


def test_label_studio_accepts_every_prediction_and_finds_every_picture(tmp_path: Path) -> None:
    release = hard_release(tmp_path)
    export(release, tmp_path / "out", "labelstudio")

    rows = ask("read_labelstudio.py", tmp_path / "out")

    found = {(row["sha256"], row["label"], row["split"]) for row in rows}
    expected = {(sha256, "%01" if label == "\x01" else label, split) for sha256, label, split in told_by(release)}
    assert found == expected


# ---- Reading back


def test_an_untouched_export_comes_back_as_it_left(tmp_path: Path) -> None:
    release = hard_release(tmp_path)
    library.export(tmp_path / "photos", tmp_path / "out", format="labelstudio")

    assert told(read(tmp_path / "out", "labelstudio")) == told_by(release)


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Exports by Label Studio's own converter: two people confirmed each label, or said "cat", and one skipped all."""
    folder = tmp_path_factory.mktemp("converted")
    hard_release(folder)
    library.export(folder / "photos", folder / "out", format="labelstudio")
    ask("read_labelstudio.py", folder / "out", folder / "answers", json.dumps({ADA: "?", BOB: "?", EVE: ""}))
    return folder


@pytest.mark.parametrize("file", ["full.json", "JSON_MIN/result.json", "CSV/result.csv"])
def test_what_label_studio_exports_comes_back(file: str, converted: Path, tmp_path: Path) -> None:
    release = open_release(Project.at(converted / "photos"))
    shutil.copytree(converted / "out", tmp_path / "out")
    shutil.copy(converted / "answers" / file, tmp_path / "out" / f"project-1{Path(file).suffix}")

    items = read(tmp_path / "out", "labelstudio")

    assert told(items) == Counter((one.sha256, one.label or "cat", one.split) for one in release.pictures)
    assert all(item.votes == ((ADA, item.label), (BOB, item.label)) for item in items)


def test_the_label_is_what_most_annotators_say(release: Release, tmp_path: Path) -> None:
    export(release, tmp_path / "out", "labelstudio")
    answered(tmp_path / "out", {"a.jpg": "cat"}, {"a.jpg": "dog"}, {"a.jpg": "dog"})

    item = by_name(read(tmp_path / "out", "labelstudio"))["a.jpg"]

    assert item.label == "dog"
    assert item.votes == (("annotator 1", "cat"), ("annotator 2", "dog"), ("annotator 3", "dog"))


def test_a_tie_leaves_the_picture_without_a_label_and_says_who_said_what(release: Release, tmp_path: Path) -> None:
    export(release, tmp_path / "out", "labelstudio")
    answered(tmp_path / "out", {"a.jpg": "cat"}, {"a.jpg": "dog"})

    item = by_name(read(tmp_path / "out", "labelstudio"))["a.jpg"]

    assert item.label is None
    assert "annotator 1 'cat', annotator 2 'dog'" in item.problem


def test_a_skip_is_no_vote_and_leaves_the_label_as_it_was(release: Release, tmp_path: Path) -> None:
    export(release, tmp_path / "out", "labelstudio")
    answered(tmp_path / "out", {"a.jpg": None})

    item = by_name(read(tmp_path / "out", "labelstudio"))["a.jpg"]

    assert (item.label, item.votes) == ("cat", ())
    assert item.problem == "somebody skipped it, and nobody gave a label"


def test_the_newest_answer_of_a_person_holds(release: Release, tmp_path: Path) -> None:
    export(release, tmp_path / "out", "labelstudio")
    task = tasks_of(tmp_path / "out")[0]
    task["annotations"] = [annotation(ADA, "dog", "2026-02-01"), annotation(ADA, "cat", "2026-01-01")]
    (tmp_path / "out" / "export.json").write_text("{}")
    (tmp_path / "out" / "project.json").write_text(json.dumps([task]))

    item = by_name(read(tmp_path / "out", "labelstudio"))["a.jpg"]

    assert item.votes == ((ADA, "dog"),)


def test_pictures_that_nobody_answered_come_along(release: Release, tmp_path: Path) -> None:
    """The community edition of Label Studio leaves them out of its export."""
    export(release, tmp_path / "out", "labelstudio")
    answered(tmp_path / "out", {"d.jpg": "dog"})

    items = by_name(read(tmp_path / "out", "labelstudio"))

    assert {name: item.label for name, item in items.items()} == {
        "a.jpg": "cat",
        "b.jpg": "cat",
        "c.jpg": "dog",
        "d.jpg": "dog",
    }


def test_tasks_imported_twice_are_one_picture(release: Release, tmp_path: Path) -> None:
    export(release, tmp_path / "out", "labelstudio")
    file = answered(tmp_path / "out", {"a.jpg": "dog"})
    file.write_text(json.dumps(json.loads(file.read_text()) * 2))

    assert len(read(tmp_path / "out", "labelstudio")) == 4


def test_answers_about_a_picture_that_has_changed_are_left_out(release: Release, tmp_path: Path) -> None:
    export(release, tmp_path / "out", "labelstudio")
    file = answered(tmp_path / "out", {"a.jpg": "dog"})
    (tmp_path / "out" / "images" / "cat" / "a.jpg").unlink()
    write(tmp_path / "out" / "images" / "cat" / "a.jpg", PICTURES[11])

    item = by_name(read(file, "labelstudio"))["a.jpg"]

    assert (item.label, item.votes) == (None, ())
    assert "no longer the picture" in item.problem


# ---- Other people's projects


def foreign(folder: Path, task: dict[str, Any]) -> Item:
    """The item of a full JSON export with one task, beside a picture."""
    write(folder / "upload" / "3" / "ab12-x y.jpg", PICTURES[0])
    (folder / "project.json").write_text(json.dumps([{"id": 1, "annotations": [], **task}]))
    [item] = read(folder / "project.json", "labelstudio")
    return item


def test_an_uploaded_picture_is_found_beside_the_export(tmp_path: Path) -> None:
    data = {"image": "/data/upload/3/ab12-x%20y.jpg"}

    item = foreign(tmp_path, {"data": data, "annotations": [annotation(7, "cat")]})

    assert item == Item("3/ab12-x y.jpg", tmp_path / "upload/3/ab12-x y.jpg", "cat", None, (("annotator 7", "cat"),))


def test_a_picture_under_another_document_root_is_found_by_the_end_of_its_path(tmp_path: Path) -> None:
    item = foreign(tmp_path, {"data": {"photo": "/data/local-files/?d=srv/pets/upload/3/ab12-x%20y.jpg"}})

    assert item.content == tmp_path / "upload/3/ab12-x y.jpg"


def test_predictions_are_not_labels(tmp_path: Path) -> None:
    prediction = {"result": annotation(1, "cat")["result"], "score": 0.9}

    item = foreign(tmp_path, {"data": {"image": "/data/upload/3/ab12-x%20y.jpg"}, "predictions": [prediction]})

    assert (item.label, item.votes) == (None, ())


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ("https://example.org/upload/3/ab12-x%20y.jpg", "curate fetches nothing"),
        ("s3://bucket/upload/3/ab12-x y.jpg", "curate fetches nothing"),
        ("/data/local-files/?d=../../etc/passwd", "names no file inside the folder"),
        ("/data/local-files/?d=", "names no file inside the folder"),
        ("/etc/passwd", "there is no file 'etc/passwd'"),
        ("outside.jpg", "leads out of the folder"),
        ("upload", "there is no file 'upload'"),
        ("a\0b.jpg", "not a path"),
        ("a/" * 4000, "names no file inside the folder"),
        ("\ud800.jpg", "there is no file"),
        ("http://[", "is no address"),
        (None, "names no file"),
        (["upload/3/ab12-x y.jpg"], "names no file"),
    ],
)
def test_a_picture_that_is_not_in_the_folder_is_a_problem(address: object, problem: str, tmp_path: Path) -> None:
    write(tmp_path / "outside.jpg", PICTURES[1])
    (tmp_path / "in").mkdir()
    os.symlink(tmp_path / "outside.jpg", tmp_path / "in" / "outside.jpg")

    item = foreign(tmp_path / "in", {"data": {"image": address}, "annotations": [annotation(7, "cat")]})

    assert item.content is None
    assert problem in item.problem
    item.name.encode()  # it goes into files


@pytest.mark.parametrize(
    ("result", "problem"),
    [
        ({"type": "rectanglelabels", "from_name": "box", "value": {}}, "'rectanglelabels' is no label of a whole"),
        ({"type": "choices", "from_name": "label", "value": {"choices": ["cat", "dog"]}}, "which is not one label"),
        ({"type": "choices", "from_name": "label", "value": {"choices": [3]}}, "which is not one label"),
        ({"type": "choices", "from_name": "label", "value": {"choices": ["\ud800"]}}, "which is not one label"),
        ({"type": "choices", "from_name": "label", "value": 5}, "which is not one label"),
    ],
)
def test_what_is_not_one_label_is_told(result: dict[str, Any], problem: str, tmp_path: Path) -> None:
    task = {"data": {"image": "upload/3/ab12-x y.jpg"}, "annotations": [{"completed_by": 1, "result": [result]}]}

    item = foreign(tmp_path, task)

    assert item.label is None
    assert problem in item.problem


def test_of_several_questions_the_one_named_label_counts(tmp_path: Path) -> None:
    results = [
        {"type": "choices", "from_name": "quality", "value": {"choices": ["good"]}},
        {"type": "choices", "from_name": "label", "value": {"choices": ["cat"]}},
    ]

    item = foreign(
        tmp_path,
        {"data": {"image": "upload/3/ab12-x y.jpg"}, "annotations": [{"completed_by": 1, "result": results}]},
    )

    assert item.label == "cat"


def test_several_questions_without_such_a_name_are_the_users_to_tell_apart(tmp_path: Path) -> None:
    results = [{"type": "choices", "from_name": name, "value": {"choices": ["x"]}} for name in ("who", "where")]

    with pytest.raises(SourceError, match="answers to several questions: where, who"):
        foreign(tmp_path, {"data": {"image": "x.jpg"}, "annotations": [{"result": results}]})


def test_a_table_with_several_choices_in_a_cell_is_told(tmp_path: Path) -> None:
    write(tmp_path / "x.jpg", PICTURES[0])
    (tmp_path / "p.csv").write_text(
        'annotation_id,annotator,choice,id,image\n1,1,"{""choices"":[""cat"",""dog""]}",1,/data/local-files/?d=x.jpg\n'
    )

    [item] = read(tmp_path / "p.csv", "labelstudio")

    assert item.label is None
    assert "['cat', 'dog']" in item.problem


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("p.json", b""),
        ("p.json", b"[" * 100_000),
        ("p.json", b"{}"),
        ("p.json", b"[1, 2]"),
        ("p.json", b'[{"image": "a.jpg", "annotation_id": 1}]'),
        ("p.json", b"\xff\xfe\x00"),
        ("p.json", b'[{"id": ' + b"9" * 10_000 + b"}]"),
        ("p.csv", b"annotation_id,annotator,image\n1,1,a.jpg\n"),
        ("p.csv", b"annotation_id,annotator,label\n1,1,cat,dog,bird\n"),
        ("p.csv", b"annotation_id,annotator,label\n1,1,\xff\n"),
        ("p.csv", b"annotation_id,annotator,label\n1,1," + b"x" * 200_000 + b"\n"),
        ("gone.json", None),
    ],
)
def test_a_file_that_is_no_export_is_refused_in_words(name: str, content: bytes | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)

    with pytest.raises(SourceError, match=name):
        read(tmp_path / name, "labelstudio")


def test_a_folder_with_two_exports_asks_which(release: Release, tmp_path: Path) -> None:
    export(release, tmp_path / "out", "labelstudio")
    answered(tmp_path / "out", {"a.jpg": "dog"}, file="one.json")
    answered(tmp_path / "out", {"a.jpg": "cat"}, file="two.json")

    with pytest.raises(SourceError, match=r"'one.json', 'two.json'"):
        read(tmp_path / "out", "labelstudio")


def test_it_is_recognised_by_its_files(release: Release, tmp_path: Path) -> None:
    export(release, tmp_path / "out", "labelstudio")
    (tmp_path / "coco.json").write_text('{"images": [], "annotations": []}')

    assert recognises(tmp_path / "out")
    assert recognises(tmp_path / "out" / "tasks.json")
    assert not recognises(tmp_path / "photos")
    assert not recognises(tmp_path / "coco.json")
    assert not recognises(tmp_path / "labels.csv")
    assert not recognises(tmp_path / "gone")


@pytest.mark.parametrize(
    ("completed_by", "annotator"),
    [
        (3, "annotator 3"),
        ({"id": 3, "email": "ada@example.org"}, "ada@example.org"),
        ({"id": 3}, "annotator 3"),
        (None, "annotator"),
        ("a\0b", "annotator"),
        (["ada"], "annotator"),
    ],
)
def test_annotators_have_the_names_that_the_export_gives(completed_by: object, annotator: str, tmp_path: Path) -> None:
    said = annotation(completed_by, "cat")

    item = foreign(tmp_path, {"data": {"image": "upload/3/ab12-x y.jpg"}, "annotations": [said]})

    assert item.votes == ((annotator, "cat"),)


def test_a_folder_with_a_file_per_picture_is_not_looked_through(tmp_path: Path) -> None:
    for number in range(101):
        (tmp_path / f"{number}.json").write_text('[{"annotation_id": 1}]')

    assert not recognises(tmp_path)


def test_the_whole_way_through_label_studio(release: Release, tmp_path: Path) -> None:
    library.export(tmp_path / "photos", tmp_path / "out", format="labelstudio")
    answered(tmp_path / "out", {"a.jpg": "dog"}, {"a.jpg": "dog"})

    imported = library.import_(tmp_path / "out", tmp_path / "reviewed")
    library.clean(tmp_path / "reviewed", workers=1)

    assert (imported.format, imported.images, imported.labels) == ("labelstudio", 4, {"cat": 1, "dog": 2, "": 1})
    first = library.table(tmp_path / "reviewed").set_index("path").loc["cat/a.jpg"]
    assert (first["sha256"], first["final_label"], first["split"]) == (release.pictures[0].sha256, "dog", "train")
