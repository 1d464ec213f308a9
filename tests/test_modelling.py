"""`curate prelabel` and `curate flag` as people use them: real pictures, the real command, the built-in model."""

from __future__ import annotations

import json
import resource
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from conftest import Curate, write

TINTS = {"blue": (60, 90, 170), "green": (70, 150, 70), "red": (170, 70, 60)}
WRONG = {"red/wrong_0.jpg": "blue", "green/wrong_1.jpg": "red"}  # path -> what it really shows


def tinted(colour: str, seed: int) -> bytes:
    """A JPEG of blocks around one colour; no two seeds are alike."""
    rng = np.random.default_rng([seed, *colour.encode()])
    blocks = np.array(TINTS[colour]) + rng.integers(-45, 46, (6, 8, 3))
    pixels = blocks.repeat(16, 0).repeat(16, 1) + rng.integers(-12, 13, (96, 128, 1))
    buffer = BytesIO()
    Image.fromarray(pixels.clip(10, 245).astype(np.uint8)).save(buffer, "JPEG", quality=92)
    return buffer.getvalue()


@pytest.fixture
def colours(tmp_path: Path, curate: Curate) -> Path:
    """Three classes of 16 pictures, 2 of the 48 in the wrong folder, and 9 without a label; cleaned."""
    folder = tmp_path / "colours"
    for colour in TINTS:
        for number in range(16):
            if not (colour == "blue" and number == 0) and not (colour == "red" and number == 1):
                write(folder / colour / f"{number:02}.jpg", tinted(colour, number))
        for number in range(3):
            write(folder / "_unlabeled" / f"{colour}_{number}.jpg", tinted(colour, 100 + number))
    for number, (path, colour) in enumerate(WRONG.items()):
        write(folder / path, tinted(colour, 200 + number))
    assert curate("clean", folder).code == 0
    return folder


def table(curate: Curate, folder: Path, columns: str) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = curate("table", folder, "--columns", columns, "--format", "json").json
    return rows


@pytest.mark.parametrize("name", ["flag", "prelabel", "next"])
def test_no_more_cores_are_used_than_were_asked_for(name: str, curate: Curate, colours: Path) -> None:
    """Models are fitted by other processes, where there may be any."""
    curate(name, colours)  # everything is in the cache now
    before = cpu_of_children_s()

    alone = curate(name, colours, "--workers", "1")
    after_one = cpu_of_children_s()
    together = curate(name, colours, "--workers", "2")

    assert (alone.code, together.code) == (0, 0)
    assert before == after_one < cpu_of_children_s()


def cpu_of_children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_wrong_labels_are_flagged_with_a_better_one_and_the_reason(curate: Curate, colours: Path) -> None:
    done = curate("flag", colours)

    assert (done.code, done.err) == (0, "")
    rows = table(curate, colours, "path,label_error,suggested_label,label_quality,label_evidence,keep")
    flagged = {row["path"]: row for row in rows if row["label_error"]}
    assert {path: row["suggested_label"] for path, row in flagged.items()} == WRONG
    assert all(row["keep"] for row in flagged.values())
    assert "of its 5 look-alikes 5 blue and 0 red" in str(flagged["red/wrong_0.jpg"]["label_evidence"])
    assert max(float(str(row["label_quality"])) for row in flagged.values()) < 0.5


def test_a_flagged_label_comes_with_the_classes_that_it_may_be(curate: Curate, colours: Path) -> None:
    """The most probable first; at the models' word, which is not the given label here."""
    curate("flag", colours)

    rows = {row["path"]: row for row in table(curate, colours, "path,label,suggested_label,label_candidates")}
    found = json.loads(str(rows["red/wrong_0.jpg"]["label_candidates"]))
    assert found[0][0] == rows["red/wrong_0.jpg"]["suggested_label"]
    assert [share for _, share in found] == sorted((share for _, share in found), reverse=True)
    assert rows["red/00.jpg"]["label_candidates"] is None


def test_flags_are_told_by_why_and_counted_as_to_be_looked_at(curate: Curate, colours: Path) -> None:
    curate("flag", colours)

    assert "label_error (kept, to be looked at)" in curate("why", colours, "red/wrong_0.jpg").out
    assert "label_error" in curate("clean", colours).out


def test_a_model_that_knows_no_things_does_not_pretend_to_know_what_is_off_topic(curate: Curate, colours: Path) -> None:
    done = curate("flag", colours, "--model", "classic")

    assert "Off-topic pictures were not looked for" in done.out
    assert "typicality" not in curate("table", colours).out.splitlines()[0]


def test_a_corrected_label_is_flagged_no_more(curate: Curate, colours: Path) -> None:
    """The opinion was about the old label."""
    curate("flag", colours)
    curate("decide", colours, "red/wrong_0.jpg", "--label", "blue")
    curate("clean", colours)

    rows = table(curate, colours, "path,label_error,final_label")

    assert [row["path"] for row in rows if row["label_error"]] == ["green/wrong_1.jpg"]
    assert [row["final_label"] for row in rows if row["path"] == "red/wrong_0.jpg"] == ["blue"]


def test_flagging_changes_no_label_and_so_not_the_id(curate: Curate, colours: Path) -> None:
    before = curate("show", colours, "--json").json["id"]

    curate("flag", colours)

    assert curate("show", colours, "--json").json["id"] == before


def test_flagging_again_changes_nothing(curate: Curate, colours: Path) -> None:
    curate("flag", colours)

    again = curate("flag", colours, "--json").json

    assert (again["version"], again["is_new"]) == ("v2", False)


def test_settings_given_to_clean_hold_when_labels_are_judged(curate: Curate, colours: Path) -> None:
    """`flag` adds to the newest version; it must not undo what `clean --drop` decided."""
    write(colours / "red" / "copy.jpg", (colours / "red" / "02.jpg").read_bytes())
    curate("clean", colours, "--review", "exact_duplicate")
    curate("flag", colours)

    assert curate("diff", colours, "v2", "v3", "--json").json["changes"] == []


def test_unlabelled_pictures_get_labels_that_people_can_accept(curate: Curate, colours: Path) -> None:
    done = curate("prelabel", colours, "--precision", "0.8")

    assert (done.code, done.err) == (0, "")
    rows = [
        row for row in table(curate, colours, "path,label,pred_label,final_label,pred_confidence") if row["pred_label"]
    ]
    assert len(rows) == 9
    assert all(str(row["path"]).split("/")[1].startswith(str(row["pred_label"])) for row in rows)
    assert all(row["final_label"] is None for row in rows)


def test_accepted_pre_labels_have_an_author_and_can_be_taken_back(curate: Curate, colours: Path) -> None:
    accepted = curate("prelabel", colours, "--precision", "0.8", "--accept", "--json").json

    assert accepted["accepted"] == accepted["sure"] == 9
    story = curate("why", colours, "_unlabeled/red_0.jpg").out
    assert "kept as red, decided by ada" in story
    assert "accept red pre-label by probe on builtin-" in story
    curate("decide", colours, "_unlabeled/red_0.jpg", "--undo")
    curate("clean", colours)
    rows = table(curate, colours, "path,final_label")
    assert [row["final_label"] for row in rows if row["path"] == "_unlabeled/red_0.jpg"] == [None]


def test_nothing_is_accepted_without_enough_labels_to_check(curate: Curate, colours: Path) -> None:
    """50 labelled pictures can't show that 99.9 % will be right."""
    said = curate("prelabel", colours, "--precision", "0.999", "--accept", "--json").json

    assert (said["sure"], said["accepted"]) == (0, 0)
    assert "Nothing is accepted" in said["notes"][-1]


def test_the_report_shows_errors_look_alikes_and_the_curve(curate: Curate, colours: Path) -> None:
    curate("flag", colours)
    curate("prelabel", colours)
    curate("report", colours)

    page = (colours.parent / "colours.curate" / "report.html").read_text()

    assert 'better: <span class="label suggested">blue</span>' in page
    assert page.count("Most like it") == 2
    assert 'class="curve"' in page


def test_a_dry_run_makes_no_version(curate: Curate, colours: Path) -> None:
    curate("flag", colours, "--dry-run")
    curate("prelabel", colours, "--dry-run", "--accept")

    assert [version["number"] for version in curate("log", colours, "--json").json] == [1]
    assert "label_quality" not in curate("table", colours).out


def test_before_clean_there_is_nothing_to_flag(curate: Curate, photos: Path) -> None:
    done = curate("flag", photos)

    assert done.code == 3
    assert f"Hint: Run: curate clean {photos}" in done.err


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({}, "No kept picture has a label"),
        (dict.fromkeys(range(6), "cat"), "All 6 labels are 'cat'"),
        ({number: f"name {number}" for number in range(6)}, "All 6 labels are different"),
    ],
)
def test_what_can_not_be_judged_is_said_in_words(
    curate: Curate, photos: Path, tmp_path: Path, labels: dict[int, str], message: str
) -> None:
    lines = [
        json.dumps({"path": f"{'cats' if number < 3 else 'dogs'}/{number}.jpg", "label": label})
        for number, label in labels.items()
    ]
    (tmp_path / "labels.jsonl").write_text("\n".join(lines) or '{"path": "cats/0.jpg", "label": null}')
    curate("clean", photos, "--labels", tmp_path / "labels.jsonl")

    done = curate("flag", photos)

    assert done.code == 2
    assert message in done.err


def test_classes_of_fewer_than_five_pictures_are_named_and_not_judged(curate: Curate, colours: Path) -> None:
    for number in range(3):
        write(colours / "rare" / f"{number}.jpg", tinted("green", 300 + number))
    curate("clean", colours)

    said = curate("flag", colours, "--json").json

    assert any(note.startswith("Not judged: rare.") for note in said["notes"])
    assert [one["flagged"] for one in said["classes"] if one["label"] == "rare"] == [0]


def test_exact_copies_under_two_labels_are_certain_evidence(curate: Curate, colours: Path) -> None:
    write(colours / "blue" / "same.jpg", (colours / "green" / "05.jpg").read_bytes())
    curate("clean", colours)

    curate("flag", colours)

    rows = {row["path"]: row for row in table(curate, colours, "path,label_error,label_evidence")}
    assert rows["blue/same.jpg"]["label_error"]
    assert "its exact copy green/05.jpg is labelled green" in str(rows["blue/same.jpg"]["label_evidence"])
    assert not rows["green/05.jpg"]["label_error"]


def test_several_annotators_overrule_a_label(curate: Curate, colours: Path, tmp_path: Path) -> None:
    votes = ["path,annotator,label"]
    votes += [f"red/0{number}.jpg,{who},red" for number in range(3, 9) for who in ("ada", "bob", "cy")]
    votes += ["blue/02.jpg,ada,green", "blue/02.jpg,bob,green", "blue/02.jpg,cy,blue"]
    (tmp_path / "votes.csv").write_text("\n".join(votes))

    done = curate("flag", colours, "--votes", tmp_path / "votes.csv")

    assert "21 of 3 annotators on 7 pictures" in done.out
    row = next(
        row
        for row in table(curate, colours, "path,label_error,vote_error,vote_label,votes,label_evidence")
        if row["path"] == "blue/02.jpg"
    )
    assert (row["vote_error"], row["label_error"], row["vote_label"], row["votes"]) == (True, True, "green", 3)
    assert "most of its 3 annotators chose another label" in str(row["label_evidence"])


def test_probabilities_from_outside_take_the_place_of_ours(curate: Curate, colours: Path, tmp_path: Path) -> None:
    rows = [row for row in table(curate, colours, "path,label") if row["label"]]
    lines = ["path,blue,green,red"]
    for row in rows:
        truth = "green" if row["path"] == "blue/03.jpg" else WRONG.get(str(row["path"]), row["label"])
        lines.append(",".join([str(row["path"]), *("0.9" if name == truth else "0.05" for name in sorted(TINTS))]))
    (tmp_path / "mine.csv").write_text("\n".join(lines))

    curate("flag", colours, "--pred-probs", tmp_path / "mine.csv")

    flagged = {row["path"] for row in table(curate, colours, "path,label_error") if row["label_error"]}
    assert flagged == {*WRONG, "blue/03.jpg"}
