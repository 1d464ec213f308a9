"""People and rules together: what is kept, under which label, and who said so."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pandas as pd
import pytest

import curate as library
from conftest import LONG_AGO_S, PICTURES, Curate, picture, write
from curate.decisions import Answer, Decision, decide, given_labels, new_decision, stale_decisions
from curate.errors import SourceError, StoreError
from curate.inspection import record_decisions
from curate.review_log import append, read_log
from curate.settings import load_settings

SETTINGS = load_settings(None, {"checks.blurry.action": "review", "checks.exact_duplicate.action": "drop"})


def judged(blurry: bool = False, copy: bool = False, unreadable: bool = False) -> pd.DataFrame:
    """One row as `judge` leaves it."""
    row: dict[str, object] = {"path": "a.jpg", "sha256": "abc", "label": "cat"}
    row["read_error"] = "truncated" if unreadable else None
    flags = dict.fromkeys(SETTINGS.checks.model_dump(), False)
    flags |= {"blurry": blurry, "exact_duplicate": copy, "unreadable": unreadable}
    strings = {"path": "str", "sha256": "str", "label": "str", "read_error": "str"}
    return pd.DataFrame([row | flags]).astype(strings)


def says(answer: Answer, label: str = "", sha256: str = "abc") -> Decision:
    return new_decision("a.jpg", sha256, answer, "ada", label)


NOBODY: list[Decision] = []
KEEP, RELABEL, DROP, UNDO = says("keep"), says("relabel", "dog"), says("drop"), says("undo")
ACCEPT = says("accept", "bird")


@pytest.mark.parametrize(
    ("log", "flags", "keep", "reasons", "final_label", "decided_by"),
    [
        # nobody said anything
        (NOBODY, {}, True, "", "cat", ""),
        (NOBODY, {"blurry": True}, True, "", "cat", ""),  # action review
        (NOBODY, {"copy": True}, False, "exact_duplicate", None, "check"),
        (NOBODY, {"copy": True, "blurry": True}, False, "exact_duplicate", None, "check"),
        (NOBODY, {"unreadable": True}, False, "unreadable", None, "check"),
        # a person says keep, whatever the checks say
        ([KEEP], {}, True, "", "cat", "ada"),
        ([KEEP], {"copy": True}, True, "", "cat", "ada"),
        # relabel
        ([RELABEL], {}, True, "", "dog", "ada"),
        ([RELABEL], {"copy": True, "blurry": True}, True, "", "dog", "ada"),
        # drop
        ([DROP], {}, False, "ada", None, "ada"),
        ([DROP], {"copy": True}, False, "ada", None, "ada"),
        # no pixels, nothing to keep
        ([KEEP], {"unreadable": True}, False, "unreadable", None, "check"),
        ([RELABEL], {"unreadable": True}, False, "unreadable", None, "check"),
        ([DROP], {"unreadable": True}, False, "unreadable", None, "check"),
        # the newest word holds, and can be taken back
        ([DROP, KEEP], {}, True, "", "cat", "ada"),
        ([KEEP, DROP, UNDO], {}, True, "", "cat", "ada"),
        ([DROP, UNDO], {}, True, "", "cat", ""),
        ([DROP, UNDO, UNDO], {"copy": True}, False, "exact_duplicate", None, "check"),
        ([RELABEL, DROP, UNDO, UNDO, KEEP], {}, True, "", "cat", "ada"),
        # a model's label, accepted unseen: speaks for the label, not for the picture
        ([ACCEPT], {}, True, "", "bird", "ada"),
        ([ACCEPT], {"copy": True}, False, "exact_duplicate", None, "check"),
        ([ACCEPT, KEEP], {"copy": True}, True, "", "bird", "ada"),
        ([ACCEPT, RELABEL], {}, True, "", "dog", "ada"),
        ([ACCEPT, DROP], {}, False, "ada", None, "ada"),
        ([ACCEPT, UNDO], {}, True, "", "cat", ""),
        # about other bytes: does not count
        ([says("drop", sha256="old")], {}, True, "", "cat", ""),
    ],
)
def test_the_truth_table(
    log: list[Decision],
    flags: dict[str, bool],
    keep: bool,
    reasons: str,
    final_label: str | None,
    decided_by: str,
) -> None:
    row = decide(judged(**flags), SETTINGS, log).iloc[0]

    assert (row["keep"], row["reasons"], row["decided_by"]) == (keep, reasons, decided_by)
    assert (row["final_label"] if isinstance(row["final_label"], str) else None) == final_label


def test_models_learn_from_people_and_the_source_but_not_from_what_was_accepted_from_a_model() -> None:
    labels = [given_labels(judged(), log).iloc[0] for log in ([], [RELABEL], [ACCEPT], [ACCEPT, KEEP], [KEEP])]

    assert labels == ["cat", "dog", "cat", "cat", "cat"]


def test_a_decision_on_other_bytes_or_a_missing_picture_is_stale() -> None:
    old, elsewhere = says("drop", sha256="old"), new_decision("gone.jpg", "abc", "keep", "ada")

    assert stale_decisions(judged(), [KEEP]) == []
    assert stale_decisions(judged(), [old]) == [old]
    assert stale_decisions(judged(), [elsewhere]) == [elsewhere]


def test_what_was_appended_is_read_back_in_order(tmp_path: Path) -> None:
    log = tmp_path / "store" / "review.db"
    append(log, [KEEP])
    append(log, [RELABEL, DROP])

    assert read_log(log) == [KEEP, RELABEL, DROP]


def test_without_a_log_nobody_has_decided(tmp_path: Path) -> None:
    assert read_log(tmp_path / "review.db") == []
    assert not (tmp_path / "review.db").exists()


def test_a_log_that_a_kill_left_empty_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "review.db").touch()

    assert read_log(tmp_path / "review.db") == []


def test_a_damaged_log_is_named(tmp_path: Path) -> None:
    (tmp_path / "review.db").write_bytes(b"this is no database" * 1000)

    with pytest.raises(StoreError, match=r"The decisions in '.*review\.db' are damaged: file is not a database"):
        read_log(tmp_path / "review.db")
    with pytest.raises(StoreError, match="are damaged"):
        append(tmp_path / "review.db", [KEEP])


def test_a_log_is_read_while_somebody_writes(tmp_path: Path) -> None:
    append(tmp_path / "review.db", [KEEP])
    writer = sqlite3.connect(tmp_path / "review.db", isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("DELETE FROM decisions")

    assert read_log(tmp_path / "review.db") == [KEEP]

    writer.close()


def test_decisions_take_effect_with_the_next_clean(photos: Path, curate: Curate) -> None:
    curate("clean", photos, "--workers", "1")
    done = curate("decide", photos, "cats/0.jpg", "cats/1.jpg", "--drop", "--note", "not a cat")
    curate("decide", photos, "dogs/3.jpg", "--label", "wolves", "--by", "bob")
    assert done.out == f"2 decisions recorded. They take effect with: curate clean {photos}\n"

    again = curate("clean", photos, "--workers", "1", "--json")

    assert again.json["dropped_by"] == {"ada": 2}
    assert again.json["labels"] == {"dogs": 2, "cats": 1, "wolves": 1}
    assert again.json["opened"] == 0


def test_status_counts_decisions_that_no_version_has_yet(photos: Path, curate: Curate) -> None:
    """Even one that was made within the second in which the version was."""
    curate("clean", photos, "--workers", "1")
    curate("decide", photos, "cats/0.jpg", "--drop")
    assert curate("status", photos, "--json").json["decisions"] == 1

    curate("clean", photos, "--workers", "1")

    assert curate("status", photos, "--json").json["decisions"] == 0
    assert curate("status", photos).out.endswith("Up to date.\n")


def test_a_decision_does_not_outlive_the_bytes_it_was_about(photos: Path, curate: Curate) -> None:
    curate("clean", photos, "--workers", "1")
    curate("decide", photos, "cats/0.jpg", "--drop")
    write(photos / "cats" / "0.jpg", picture(200), mtime_s=LONG_AGO_S + 1)

    done = curate("clean", photos, "--workers", "1", "--json")

    assert (done.json["dropped"], done.json["stale_decisions"]) == (0, 1)


def test_a_decision_is_taken_back(photos: Path, curate: Curate) -> None:
    curate("clean", photos, "--workers", "1")
    curate("decide", photos, "cats/0.jpg", "--drop")
    curate("decide", photos, "cats/0.jpg", "--undo")

    assert curate("clean", photos, "--workers", "1", "--json").json["dropped"] == 0


def test_a_copy_that_a_person_keeps_is_kept(photos: Path, curate: Curate) -> None:
    write(photos / "cats" / "copy.jpg", PICTURES[0])
    curate("clean", photos, "--workers", "1")
    curate("decide", photos, "cats/copy.jpg", "--keep")

    assert curate("clean", photos, "--workers", "1", "--json").json["kept"] == 7


def test_unknown_pictures_can_not_be_decided_about(photos: Path, curate: Curate) -> None:
    curate("clean", photos, "--workers", "1")

    done = curate("decide", photos, "cats/O.jpg", "--drop")

    assert done.code == 2
    assert "Error: This version has no picture 'cats/O.jpg'." in done.err
    assert "'cats/0.jpg'" in done.err.partition("Hint: Did you mean ")[2]


def test_exactly_one_answer_is_needed(photos: Path, curate: Curate) -> None:
    curate("clean", photos, "--workers", "1")

    assert curate("decide", photos, "cats/0.jpg").code == 2
    assert curate("decide", photos, "cats/0.jpg", "--keep", "--label", "dogs").code == 2


@pytest.mark.parametrize(
    ("by", "label", "complaint"),
    [
        ("blurry", "dog", "'blurry' can't be the name of a reviewer"),
        ("a;b", "dog", "'a;b' can't be the name of a reviewer"),
        ("ada", " ", "can't be relabelled to nothing"),
    ],
)
def test_names_and_labels_that_would_be_misread_are_refused(photos: Path, by: str, label: str, complaint: str) -> None:
    library.clean(photos, workers=1)

    with pytest.raises(SourceError, match=complaint):
        record_decisions(photos, ["cats/0.jpg"], "relabel", label=label, by=by)


def test_nobody_decides_about_a_file_that_could_not_be_read(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "l.csv").write_text("path,label\ncats/gone.jpg,cat\n")
    library.clean(photos, changes={"scan.labels": str(tmp_path / "l.csv")}, workers=1)

    with pytest.raises(SourceError, match=r"'cats/gone\.jpg' could not be read"):
        record_decisions(photos, ["cats/gone.jpg"], "keep")


def test_what_a_person_kept_is_not_printed_as_dropped(photos: Path, curate: Curate) -> None:
    """The flag stays, but the summary counts what was dropped."""
    write(photos / "cats" / "copy.jpg", PICTURES[0])
    assert "  1  exact_duplicate" in curate("clean", photos, "--workers", "1").out
    curate("decide", photos, "cats/copy.jpg", "--keep")

    done = curate("clean", photos, "--workers", "1")

    assert "exact_duplicate" not in done.out
