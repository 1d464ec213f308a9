"""What of a project stands, and why something does not: what `curate run` skips by, and `curate status` tells."""

from __future__ import annotations

import os
from pathlib import Path

import curate as library
from conftest import PICTURES, Curate, picture, write
from curate.balancing import rebalance
from curate.inspection import record_decisions
from curate.runs import run
from running import configure, endings, lines, reasons, standing

# ---- Only what is due


def test_a_new_picture_brings_up_to_date_what_depends_on_it(many: Path) -> None:
    configure(many, '[normalize]\nsize = "32"\n')
    run(many, workers=1)
    write(many / "cats" / "new.jpg", PICTURES[3])

    result = run(many, workers=1)

    assert reasons(result) == {
        "clean": "1 new",
        "normalize": "1 kept pictures are not normalized yet",
        "prelabel": "every kept picture has a label",
        "flag": "1 pictures came, left or were relabelled since v3",
        "split": "1 kept pictures have no split yet",
        "rebalance": "curate.toml has no [rebalance] strategy",
        "report": "it is about another version than v8",
    }
    assert run(many, workers=1).changed_nothing


def test_a_decision_is_taken_up(ran: Path) -> None:
    record_decisions(ran, ["cats/1.jpg"], "drop")

    result = run(ran, workers=1)

    assert reasons(result)["clean"] == "1 decisions since"
    assert endings(result)["split"] == "stood"
    assert result.version is not None
    assert result.version.counts["kept"] == 11


def test_another_label_by_the_source_is_noticed(many: Path, tmp_path: Path) -> None:
    labels = write(tmp_path / "labels.csv", b"path,label\ncats/1.jpg,tiger\ndogs/0.jpg,wolf\ndogs/2.jpg,wolf\n")
    library.clean(many, changes={"scan.labels": str(labels)}, workers=1)
    write(labels, b"path,label\ncats/1.jpg,wolf\ndogs/0.jpg,wolf\ndogs/2.jpg,tiger\n")

    assert standing(many)["clean"].why == "2 labelled otherwise by the source"


def test_a_file_that_only_the_list_of_labels_names_is_noticed_when_it_leaves_the_list(
    many: Path, tmp_path: Path
) -> None:
    labels = write(tmp_path / "labels.csv", b"path,label\ncats/1.jpg,tiger\nnowhere.jpg,wolf\n")
    library.clean(many, changes={"scan.labels": str(labels)}, workers=1)
    assert standing(many)["clean"].judgement == "stands"

    write(labels, b"path,label\ncats/1.jpg,tiger\n")

    assert standing(many)["clean"].why == "1 labelled otherwise by the source"


def test_a_listed_file_that_arrives_is_noticed(many: Path, tmp_path: Path) -> None:
    labels = write(tmp_path / "labels.csv", b"path,label\ncats/1.jpg,tiger\nlate.jpg,wolf\n")
    library.clean(many, changes={"scan.labels": str(labels)}, workers=1)

    write(many / "late.jpg", PICTURES[3])

    assert standing(many)["clean"].why == "1 to be read again"


def test_changed_settings_are_named(ran: Path) -> None:
    configure(ran, '[checks.blurry]\naction = "drop"\n')

    assert standing(ran)["clean"].why == "other settings: checks.blurry.action"


def test_a_setting_that_changes_no_picture_is_judged_once(ran: Path) -> None:
    configure(ran, "[checks.blurry]\nmin_sharpness = 0.001\n")

    first, second = run(ran, workers=1), run(ran, workers=1)

    assert (endings(first)["clean"], first.stages[0].version) == ("done", None)
    assert second.changed_nothing
    assert library.status(ran).up_to_date


def test_another_size_makes_the_pictures_anew(many: Path) -> None:
    configure(many, '[normalize]\nsize = "32"\n')
    run(many, last="normalize", workers=1)
    configure(many, '[normalize]\nsize = "48"\n')

    result = run(many, last="normalize", workers=1)

    assert reasons(result)["normalize"] == "other settings: normalize.size"
    assert set(library.table(many)["output_width"]) == {48}


def test_what_opinions_have_dropped_does_not_call_for_new_opinions(many: Path) -> None:
    """Else dropping label errors and looking for more would go on for ever."""
    for number in range(40):
        name = "cats" if number % 2 else "dogs"
        write(many / name / f"m{number}.jpg", red_or_blue(number, red=(number % 2 == 0) != (number == 7)))
    configure(many, '[checks.label_error]\naction = "drop"\n')

    first = run(many, last="split", workers=1)
    second = run(many, last="split", workers=1)

    assert first.version is not None
    assert first.version.counts["dropped_by"]["label_error"] >= 1
    assert second.changed_nothing


def red_or_blue(seed: int, red: bool) -> bytes:
    """A picture in which one channel is bright: what even the built-in model tells apart."""
    from io import BytesIO

    from PIL import Image

    blank = Image.new("L", (96, 72), 20)
    with Image.open(BytesIO(picture(7000 + seed))) as image:
        bright = image.convert("L")
    buffer = BytesIO()
    Image.merge("RGB", (bright, blank, blank) if red else (blank, blank, bright)).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def test_undoing_a_stage_makes_it_due(many: Path) -> None:
    library.clean(many, workers=1)
    library.flag(many, workers=1)
    library.undo(many)

    assert standing(many)["flag"].judgement == "never"


def test_classes_are_brought_into_balance_where_settings_say_how(ran: Path) -> None:
    for number in (2, 4, 6):
        (ran / "dogs" / f"{number}.jpg").rename(ran / "cats" / f"{number}.jpg")
    configure(ran, '[rebalance]\nstrategy = ["random-over"]\n')

    result = run(ran, last="rebalance", workers=1)

    assert endings(result)["rebalance"] == "done"
    assert result.version is not None
    assert result.version.balance["strategy"] == ["random-over"]
    assert run(ran, last="rebalance", workers=1).changed_nothing


def test_a_training_picture_that_left_calls_for_a_new_balance(ran: Path) -> None:
    configure(ran, '[rebalance]\nstrategy = ["inverse-frequency"]\n')
    run(ran, last="rebalance", workers=1)
    rows = library.table(ran)
    record_decisions(ran, [rows.loc[rows["split"] == "train", "path"].iloc[0]], "drop")
    library.clean(ran, workers=1)

    assert standing(ran)["rebalance"].why == "1 training pictures came, left or have another label since v4"


def test_a_balance_of_an_earlier_command_line_is_kept_up(ran: Path) -> None:
    rebalance(ran, changes={"rebalance.strategy": ["inverse-frequency"]}, workers=1)

    assert standing(ran)["rebalance"].judgement == "stands"


def test_switched_off_balance_stays_off(ran: Path) -> None:
    rebalance(ran, changes={"rebalance.strategy": ["inverse-frequency"]}, workers=1)
    rebalance(ran, off=True, workers=1)

    assert standing(ran)["rebalance"].judgement == "skipped"


def test_other_shares_move_no_picture_and_that_is_said(ran: Path) -> None:
    configure(ran, "[split]\ntrain = 0.5\nval = 0.25\ntest = 0.25\n")

    result = run(ran, workers=1)

    split = next(one for one in result.stages if one.stage == "split")
    assert split.found == "the settings hold for new images; those here keep their split"
    assert run(ran, workers=1).changed_nothing


def test_a_report_about_an_older_version_is_written_anew(ran: Path) -> None:
    library.report(ran, "v1")

    result = run(ran, workers=1)

    assert [stage for stage, ending in endings(result).items() if ending == "done"] == ["report"]


# ---- What was said on a command line


def test_labels_of_an_earlier_command_line_are_not_lost(many: Path, tmp_path: Path) -> None:
    labels = write(tmp_path / "labels.csv", b"path,label\ncats/1.jpg,tiger\ndogs/0.jpg,wolf\ndogs/2.jpg,wolf\n")
    library.clean(many, changes={"scan.labels": str(labels)}, workers=1)

    result = run(many, last="clean", workers=1)

    assert result.changed_nothing
    assert result.version is not None
    assert result.version.counts["labels"] == {"": 9, "wolf": 2, "tiger": 1}


def test_the_settings_file_overrules_earlier_command_lines(many: Path) -> None:
    library.clean(many, changes={"scan.labels": "none"}, workers=1)
    configure(many, '[scan]\nlabels = "folders"\n')

    result = run(many, last="clean", workers=1)

    assert reasons(result)["clean"] == "12 labelled otherwise by the source; other settings: scan.labels"
    assert result.version is not None
    assert result.version.counts["labels"] == {"cats": 6, "dogs": 6}


def test_votes_are_not_forgotten_by_a_run(ran: Path, tmp_path: Path, curate: Curate) -> None:
    """`flag` alone knows nothing of them: a person has to give the file again."""
    votes = write(tmp_path / "votes.csv", b"path,annotator,label\ncats/1.jpg,ann,cats\ncats/1.jpg,bob,dogs\n")
    library.flag(ran, votes=votes, workers=1)
    record_decisions(ran, ["cats/3.jpg"], "relabel", label="dogs")

    done = curate("run", ran, "--workers", "1")

    assert done.code == 1
    assert "but it was given --votes: run it yourself" in " ".join(done.out.split())
    assert "votes" in library.log(ran)[0].counts["opinions"]["flag"]
    assert curate("status", ran).out.endswith(f"Next: curate flag {ran} --votes FILE\n")


def test_groups_of_a_file_are_not_forgotten_by_a_run(many: Path, tmp_path: Path) -> None:
    groups = write(tmp_path / "groups.csv", b"path,patient\ncats/1.jpg,ann\ncats/3.jpg,ann\n")
    library.clean(many, workers=1)
    library.split(many, groups=groups, workers=1)
    assert standing(many)["split"].judgement == "stands"
    write(many / "cats" / "new.jpg", PICTURES[3])

    result = run(many, first="clean", last="split", workers=1)

    assert endings(result)["split"] == "skipped"
    assert "--groups" in reasons(result)["split"]


# ---- status


def test_status_tells_stage_by_stage_what_is_stale_and_why(ran: Path, curate: Curate) -> None:
    write(ran / "cats" / "new.jpg", PICTURES[3])
    library.clean(ran, workers=1)

    assert lines(curate("status", ran).out)[1:] == [
        "flag: 1 pictures came, left or were relabelled since v2",
        "split: 1 kept pictures have no split yet",
        "report: it is about another version than v4",
        "leakage is about v3",
        f"Next: curate run {ran}",
    ]


def test_status_tells_what_was_never_done(many: Path, curate: Curate) -> None:
    library.clean(many, workers=1)

    assert lines(curate("status", many).out)[1:] == ["not done yet: flag, split, report", "Up to date."]


def test_status_tells_studies_of_older_versions(many: Path, curate: Curate) -> None:
    from curate.project import Project
    from curate.studies import keep_study

    first = library.clean(many, workers=1).version
    assert first is not None
    keep_study(Project.at(many), "shortcuts", first, {})
    record_decisions(many, ["cats/1.jpg"], "drop")
    library.clean(many, workers=1)

    assert "\n  shortcuts is about v1\n" in curate("status", many).out


def test_status_opens_no_image(many: Path) -> None:
    """Made unreadable to the last bit, the pictures are still told to be the same by size and time."""
    library.clean(many, workers=1)
    for file in many.rglob("*.jpg"):
        status = file.stat()
        with file.open("r+b") as stream:
            stream.write(bytes(status.st_size))
        os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))

    assert library.status(many).up_to_date
