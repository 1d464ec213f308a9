"""Answers come from other tools and go to them, each once, under the name of who gave it."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest

import curate as library
from conftest import PICTURES, Curate, write
from curate.answers import export_answers, import_answers
from curate.errors import SourceError
from curate.inspection import record_decisions
from curate.project import Project
from curate.review_log import read_log
from curate.verdicts import Overruled, overruled
from curate.votes import read_votes, verified_errors
from oracle import ask


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


def study(folder: Path) -> Path:
    """Five votes on each of seven pictures in the words of the study of Northcutt et al. 2021.

    Fewer than three chose the given label of cats/0, cats/1, dogs/3, dogs/4: these are verified errors.
    """
    said = {
        "cats/0.jpg": ["dogs"] * 3 + ["cats"] * 2,
        "cats/1.jpg": ["cats"] * 2 + ["dogs"] * 2 + ["both"],
        "cats/2.jpg": ["cats"] * 3 + ["dogs"] * 2,
        "dogs/3.jpg": ["neither"] * 4 + ["dogs"],
        "dogs/4.jpg": ["both"] * 3 + ["dogs", "cats"],
        "dogs/5.jpg": ["dogs"] * 5,
    }
    return votes(folder, *((path, f"p{n}", label) for path, five in said.items() for n, label in enumerate(five)))


def test_votes_of_a_study_give_its_verified_errors_and_what_became_of_each(cleaned: Path) -> None:
    found = import_answers(cleaned, study(cleaned))
    applied = library.apply(cleaned, workers=1)

    assert (found.answers, found.overruled) == (30, 4)
    assert applied.overruled == Overruled(
        relabelled=["cats/0.jpg"], dropped=["dogs/3.jpg", "dogs/4.jpg"], kept=[], unsettled=["cats/1.jpg"]
    )
    assert (applied.overruled.total, applied.changed) == (4, 3)
    rows = library.table(cleaned).set_index("path")
    assert rows["final_label"].dropna().to_dict() == {
        "cats/0.jpg": "dogs", "cats/1.jpg": "cats", "cats/2.jpg": "cats", "dogs/5.jpg": "dogs",
    }  # fmt: skip


def test_flag_finds_the_same_verified_errors(cleaned: Path) -> None:
    """Counted from the file, as `curate flag --votes` does, and counted from the log."""
    file = study(cleaned)
    kept = {str(path): str(label) for path, label in library.table(cleaned).set_index("path")["label"].items()}

    errors = verified_errors(read_votes(file), kept)
    import_answers(cleaned, file)

    assert sorted(errors[errors].index) == overruled(read_log(Project.at(cleaned).review_log), kept)


def test_a_vote_that_was_taken_back_overrules_nothing(cleaned: Path) -> None:
    import_answers(cleaned, study(cleaned))
    record_decisions(cleaned, ["cats/0.jpg"], "undo")  # takes back the newest, which was for the given label
    record_decisions(cleaned, ["cats/0.jpg"], "undo")
    record_decisions(cleaned, ["cats/0.jpg"], "undo")

    assert "cats/0.jpg" not in library.apply(cleaned, workers=1).overruled.relabelled


def test_what_somebody_has_settled_is_told_as_that(cleaned: Path) -> None:
    import_answers(cleaned, study(cleaned))
    record_decisions(cleaned, ["cats/1.jpg"], "keep", by="lead")

    applied = library.apply(cleaned, workers=1)

    assert (applied.overruled.kept, applied.overruled.unsettled) == (["cats/1.jpg"], [])


def test_a_class_may_be_called_neither(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    for number, name in enumerate(["cats/0.jpg", "neither/1.jpg"]):
        write(folder / name, PICTURES[number])
    library.clean(folder, workers=1)

    import_answers(folder, votes(folder, ("cats/0.jpg", "ada", "neither")))

    assert [(one.answer, one.label) for one in read_log(Project.at(folder).review_log)] == [("relabel", "neither")]


def test_apply_tells_what_votes_have_found(cleaned: Path, curate: Curate) -> None:
    import_answers(cleaned, study(cleaned))

    lines = curate("apply", cleaned).out.splitlines()
    told = json.loads(curate("apply", cleaned, "--json").out)["overruled"]

    assert lines[1:5] == [
        "4 labels are overruled by most of at least three people:",
        "  1 have another label",
        "  2 are dropped",
        "  1 wait, as no answer has most of the votes",
    ]
    assert (told["total"], told["unsettled"]) == (4, ["cats/1.jpg"])


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


@pytest.fixture(scope="module")
def answered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two pictures that went to Label Studio, where ada said dogs of each, bob its label, and eve skipped all."""
    place = tmp_path_factory.mktemp("answered")
    for path, number in (("cats/0.jpg", 0), ("dogs/1.jpg", 1)):
        write(place / "photos" / path, PICTURES[number])
    library.clean(place / "photos", workers=1)
    library.export(place / "photos", place / "out", format="labelstudio")
    said = json.dumps({"ada@example.org": "dogs", "bob@example.org": "?", "eve@example.org": ""})
    ask("read_labelstudio.py", place / "out", place / "answers", said)
    return place


@pytest.mark.parametrize("file", ["full.json", "JSON_MIN/result.json", "CSV/result.csv"])
def test_what_label_studios_own_sdk_exports_comes_in_as_votes(answered: Path, tmp_path: Path, file: str) -> None:
    """Its converter writes the file, after its checks have passed the config, the tasks and the completed answers."""
    shutil.copytree(answered, tmp_path, dirs_exist_ok=True)

    found = import_answers(tmp_path / "photos", tmp_path / "answers" / file)

    log = read_log(Project.at(tmp_path / "photos").review_log)
    people = [f"{name}@example.org" for name in ("ada", "bob")]
    assert (found.answers, found.pictures, found.people, found.unknown, found.changed) == (4, 2, 2, [], [])
    assert sorted((one.path, one.reviewer, one.answer, one.label) for one in log) == [
        ("cats/0.jpg", people[0], "relabel", "dogs"),
        ("cats/0.jpg", people[1], "keep", ""),
        ("dogs/1.jpg", people[0], "keep", ""),
        ("dogs/1.jpg", people[1], "keep", ""),
    ]
    assert import_answers(tmp_path / "photos", tmp_path / "answers" / file).answers == 0


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


def test_pictures_go_to_label_studio_by_the_name_of_the_format(
    cleaned: Path, curate: Curate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`csv` and `labelstudio` are written where the command is typed, not into the folder of images."""
    monkeypatch.chdir(tmp_path)

    tasks = curate("review", cleaned, "--export", "labelstudio")
    table = curate("review", cleaned, "--export", "csv")

    assert "as tasks for Label Studio" in tasks.out
    assert f"curate review {cleaned} --import FILE" in tasks.out
    assert list((tmp_path / f"{cleaned.name}.labelstudio").rglob("*.json"))
    assert table.out == f"0 answers written to {cleaned.name}.answers.csv\n"


def test_people_who_have_not_decided_are_none(cleaned: Path, curate: Curate) -> None:
    assert curate("review", cleaned, "--people").out == "Nobody has decided on a picture yet.\n"
