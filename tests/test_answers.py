"""Answers come from other tools and go to them, each once, under the name of who gave it."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

import curate as library
from conftest import Curate, write
from curate.answers import export_answers, import_answers
from curate.errors import SourceError
from curate.inspection import record_decisions
from curate.project import Project
from curate.review_log import read_log


@pytest.fixture
def cleaned(photos: Path) -> Path:
    """Two cats and a dog among others, in version 1."""
    library.clean(photos, workers=1)
    return photos


def votes(folder: Path, *rows: tuple[str, str, str]) -> Path:
    file = folder.parent / "votes.csv"
    with file.open("w", newline="") as stream:
        csv.writer(stream).writerows([("path", "annotator", "label"), *rows])
    return file


def final_labels(folder: Path) -> dict[str, str]:
    library.clean(folder, workers=1)
    rows = library.table(folder).query("keep")
    return dict(zip(rows["path"], rows["final_label"], strict=True))


def test_a_single_answer_stands(cleaned: Path) -> None:
    found = import_answers(cleaned, votes(cleaned, ("cats/0.jpg", "ada", "dogs"), ("cats/1.jpg", "ada", "cats")))

    assert (found.answers, found.pictures, found.people, found.overruled) == (2, 2, 1, 0)
    assert [(one.answer, one.label, one.reviewer) for one in read_log(Project.at(cleaned).review_log)] == [
        ("relabel", "dogs", "ada"),
        ("keep", "", "ada"),
    ]
    assert final_labels(cleaned)["cats/0.jpg"] == "dogs"


def test_of_five_answers_most_decide(cleaned: Path) -> None:
    """Three of five relabel the first. Of the second, two say dog and two wolf: overruled, but nothing is agreed."""
    first = [("cats/0.jpg", f"p{number}", "dogs" if number < 3 else "cats") for number in range(5)]
    said = ("dogs", "dogs", "wolves", "wolves", "cats")
    second = [("cats/1.jpg", f"p{number}", label) for number, label in enumerate(said)]

    found = import_answers(cleaned, votes(cleaned, *first, *second))

    assert found.overruled == 2
    labels = final_labels(cleaned)
    assert (labels["cats/0.jpg"], labels["cats/1.jpg"]) == ("dogs", "cats")
    row = library.table(cleaned).set_index("path").loc["cats/0.jpg"]
    assert row["reviewed_by"] == "p0, p1, p2"


def test_the_same_file_again_adds_nothing(cleaned: Path) -> None:
    file = votes(cleaned, ("cats/0.jpg", "ada", "dogs"))
    import_answers(cleaned, file)

    assert import_answers(cleaned, file).answers == 0
    assert len(read_log(Project.at(cleaned).review_log)) == 1


def test_answers_about_unknown_pictures_are_named(cleaned: Path) -> None:
    found = import_answers(cleaned, votes(cleaned, ("cats/0.jpg", "ada", "dogs"), ("gone.jpg", "ada", "dogs")))

    assert (found.answers, found.unknown) == (1, ["gone.jpg"])
    with pytest.raises(SourceError, match=r"None of the 1 answers .* the first is 'gone\.jpg'"):
        import_answers(cleaned, votes(cleaned, ("gone.jpg", "ada", "dogs")))


def test_neither_drops_the_picture(cleaned: Path) -> None:
    import_answers(cleaned, votes(cleaned, ("cats/0.jpg", "ada", "(neither)")))

    assert "cats/0.jpg" not in final_labels(cleaned)


def test_what_goes_out_comes_back_the_same(cleaned: Path, tmp_path: Path) -> None:
    import_answers(cleaned, votes(cleaned, ("cats/0.jpg", "ada", "dogs"), ("cats/0.jpg", "bob", "cats")))
    record_decisions(cleaned, ["cats/1.jpg"], "drop", by="eve", note="blurred, and\nnot a cat")

    assert export_answers(cleaned, tmp_path / "out.csv") == 3

    with (tmp_path / "out.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["path"], row["annotator"], row["label"], row["note"]) for row in rows] == [
        ("cats/0.jpg", "ada", "dogs", ""),
        ("cats/0.jpg", "bob", "cats", ""),
        ("cats/1.jpg", "eve", "(neither)", "blurred, and\nnot a cat"),
    ]
    library.import_(cleaned, tmp_path / "other")
    library.clean(tmp_path / "other", workers=1)
    assert import_answers(tmp_path / "other", tmp_path / "out.csv").answers == 3


def label_studio(folder: Path, answers: dict[str, list[tuple[str, str]]]) -> Path:
    """An export of Label Studio of tasks that curate wrote: path -> (annotator, label)."""
    rows = library.table(folder).set_index("path")
    tasks = [
        {
            "id": number,
            "data": {"image": f"/data/local-files/?d={path}", "path": path, "sha256": rows.loc[path, "sha256"]},
            "annotations": [
                {
                    "completed_by": {"email": person},
                    "updated_at": "2026-11-21T10:00:00Z",
                    "result": [{"type": "choices", "from_name": "label", "value": {"choices": [label]}}],
                }
                for person, label in said
            ],
        }
        for number, (path, said) in enumerate(answers.items())
    ]
    return write(folder.parent / "export.json", json.dumps(tasks).encode())


def test_what_people_answered_in_label_studio_counts_as_their_votes(cleaned: Path) -> None:
    file = label_studio(
        cleaned, {"cats/0.jpg": [("ada@x", "dogs"), ("bob@x", "dogs")], "cats/1.jpg": [("ada@x", "cats")]}
    )

    found = import_answers(cleaned, file)

    assert (found.answers, found.people) == (3, 2)
    assert final_labels(cleaned)["cats/0.jpg"] == "dogs"
    assert read_log(Project.at(cleaned).review_log)[0].decided_at == "2026-11-21T10:00:00Z"


def test_an_answer_about_other_bytes_does_not_count(cleaned: Path) -> None:
    file = label_studio(cleaned, {"cats/0.jpg": [("ada@x", "dogs")], "cats/1.jpg": [("ada@x", "dogs")]})
    digest = library.table(cleaned).set_index("path")["sha256"]["cats/0.jpg"]
    file.write_text(file.read_text().replace(digest, "0" * 64))

    found = import_answers(cleaned, file)

    assert (found.changed, found.answers) == (["cats/0.jpg"], 1)


def test_tasks_that_curate_did_not_write_are_refused(cleaned: Path) -> None:
    file = write(cleaned.parent / "x.json", b'[{"data": {"image": "a.jpg"}, "annotations": []}]')

    with pytest.raises(SourceError, match="says which picture of a folder it is about"):
        import_answers(cleaned, file)


def test_answers_are_exchanged_on_the_command_line(cleaned: Path, curate: Curate, tmp_path: Path) -> None:
    said = [("cats/0.jpg", "ada", "dogs"), ("cats/0.jpg", "bob", "dogs"), ("cats/1.jpg", "ada", "cats")]
    taken = curate("review", cleaned, "--import", votes(cleaned, *said))
    written = curate("review", cleaned, "--export", tmp_path / "out.csv")
    people = curate("review", cleaned, "--people")

    assert taken.out.splitlines()[0] == "3 new answers on 2 pictures by 2 people"
    assert written.out == f"3 answers written to {tmp_path / 'out.csv'}\n"
    assert "Agreement on 1 pictures with two answers or more: alpha none can be told" in people.out
    assert [line.split()[:3] for line in people.out.splitlines()[3:5]] == [["ada", "2", "1/1"], ["bob", "1", "1/1"]]


def test_people_who_have_not_decided_are_none(cleaned: Path, curate: Curate) -> None:
    assert curate("review", cleaned, "--people").out == "Nobody has decided on a picture yet.\n"
