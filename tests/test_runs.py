"""`curate run` and `curate status`: every stage once, nothing twice, and the reason why for each of them."""

from __future__ import annotations

import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

import curate as library
from conftest import PICTURES, Curate, command, picture, write
from curate.errors import CurateError, SettingsError
from curate.runs import run
from curate.settings import STAGES
from curate_cli.commands import run as run_command
from running import commands, configure, endings, lines, reasons
from test_cli import on_a_terminal

# ---- From nothing to a report


def test_a_run_goes_from_a_folder_to_a_report(many: Path) -> None:
    result = run(many, workers=1)

    assert endings(result) == {
        "clean": "done",
        "normalize": "skipped",
        "prelabel": "skipped",
        "flag": "done",
        "split": "done",
        "rebalance": "skipped",
        "report": "done",
    }
    assert commands(many) == ["curate clean", "curate flag", "curate split"]
    assert "v3" in result.project.report.read_text()


def test_a_second_run_does_nothing(ran: Path) -> None:
    result = run(ran, workers=1)

    assert result.changed_nothing
    assert len(commands(ran)) == 3
    assert library.status(ran).up_to_date


def test_stages_called_one_by_one_are_not_run_again(many: Path) -> None:
    library.clean(many, workers=1)
    library.flag(many, workers=1)
    library.split(many, workers=1)
    library.report(many)

    assert run(many, workers=1).changed_nothing


def test_a_run_comes_to_the_same_versions_as_its_stages_alone(finished: Path, many: Path) -> None:
    library.clean(many, workers=1)
    library.flag(many, workers=1)
    library.split(many, workers=1)

    assert [one.id for one in library.log(many)] == [one.id for one in library.log(finished)]


def test_settings_bring_stages_in(many: Path) -> None:
    write(many / "unlabelled.jpg", PICTURES[3])
    configure(many, '[normalize]\nsize = "32"\n')

    result = run(many, last="prelabel", workers=1)

    assert endings(result)["normalize"] == endings(result)["prelabel"] == "done"
    assert result.version is not None
    assert result.version.counts["unnormalized"] == 0


# ---- Data that not every stage can use


def test_pictures_without_labels_are_cleaned_and_told_about(tmp_path: Path) -> None:
    for number in range(3):
        write(tmp_path / "bare" / f"{number}.jpg", PICTURES[number])

    result = run(tmp_path / "bare", workers=1)

    assert [stage for stage, ending in endings(result).items() if ending == "done"] == ["clean", "report"]
    assert reasons(result)["flag"] == "no picture has a label"
    assert reasons(result)["prelabel"] == "no picture has a label to learn from"


def test_one_class_is_split_and_not_flagged(tmp_path: Path) -> None:
    for number in range(6):
        write(tmp_path / "one" / "cats" / f"{number}.jpg", PICTURES[number])

    result = run(tmp_path / "one", last="split", workers=1)

    assert (endings(result)["flag"], endings(result)["split"]) == ("skipped", "done")
    assert reasons(result)["flag"] == "all labels are 'cats', and with one class none can be told wrong"


def test_splits_of_the_source_are_left_alone(tmp_path: Path) -> None:
    for number in range(6):
        write(tmp_path / "given" / ("train" if number < 4 else "test") / "ab"[number % 2] / "x.jpg", PICTURES[number])
        write(tmp_path / "given" / ("train" if number < 4 else "test") / "ab"[number % 2] / f"{number}.jpg",
              picture(900 + number))  # fmt: skip

    result = run(tmp_path / "given", last="split", workers=1)

    assert reasons(result)["split"] == "the source has splits"


def test_labels_that_are_all_different_are_not_flagged(tmp_path: Path) -> None:
    for number in range(3):
        write(tmp_path / "all" / f"class{number}" / "x.jpg", PICTURES[number])

    assert reasons(run(tmp_path / "all", last="split", workers=1))["flag"] == "all labels are different"


def test_a_folder_of_faulty_pictures_only_needs_no_special_care(tmp_path: Path, curate: Curate) -> None:
    write(tmp_path / "bad" / "cats" / "1.jpg", b"")
    write(tmp_path / "bad" / "dogs" / "2.jpg", b"no picture")

    done = curate("run", tmp_path / "bad", "--workers", "1")

    assert done.code == 0
    assert "2 images, 0 kept, 2 dropped" in done.out
    assert "skipped: no picture is kept" in done.out


def test_an_empty_folder_is_an_error(tmp_path: Path, curate: Curate) -> None:
    (tmp_path / "empty").mkdir()

    done = curate("run", tmp_path / "empty")

    assert (done.code, done.err.splitlines()[0]) == (2, f"Error: There is no file in '{tmp_path}/empty'.")


def test_a_handful_of_labels_is_too_few_to_measure_by_and_no_reason_to_fail(many: Path, tmp_path: Path) -> None:
    """The report once stumbled over a calibration error that nobody could measure."""
    labels = write(tmp_path / "labels.csv", b"path,label\ncats/1.jpg,tiger\ndogs/0.jpg,wolf\ndogs/2.jpg,wolf\n")

    result = run(many, changes={"scan.labels": str(labels)}, workers=1)

    assert (endings(result)["prelabel"], endings(result)["report"]) == ("done", "done")


# ---- Which stages


def test_only_the_stages_asked_for_are_run(many: Path) -> None:
    configure(many, '[run]\nstages = ["report", "clean", "split"]\n')

    assert list(endings(run(many, workers=1))) == ["clean", "split", "report"]


def test_stages_before_and_after_can_be_left_out(many: Path) -> None:
    library.clean(many, workers=1)

    assert list(endings(run(many, first="flag", last="split", workers=1))) == ["flag", "split"]


def test_a_choice_without_stages_is_refused(many: Path) -> None:
    with pytest.raises(SettingsError, match=r"No stage is left: .* wanted from split to flag"):
        run(many, first="split", last="flag", workers=1)


def test_the_first_stage_can_not_be_left_out_at_first(many: Path, curate: Curate) -> None:
    done = curate("run", many, "--from", "split")

    assert done.code == 3
    assert f"Hint: Run: curate clean {many}" in done.err


def test_the_command_line_knows_all_stages() -> None:
    assert run_command.STAGES == STAGES


def test_a_dry_run_says_what_would_happen_and_writes_nothing(many: Path, curate: Curate) -> None:
    done = curate("run", many, "--dry-run")

    assert done.out == (
        "  clean      would run: was not done yet\n"
        "  normalize  skipped: curate.toml has no [normalize] size\n"
        "  prelabel   would run: if there are pictures with and without a label\n"
        "  flag       would run: if there are labels of two classes\n"
        "  split      would run: if there are labels\n"
        "  rebalance  skipped: curate.toml has no [rebalance] strategy\n"
        "  report     would run: was not done yet\n"
        f"\nDry run: nothing was done. Do it: curate run {many}\n"
    )
    assert not (many.parent / "many.curate").exists()


# ---- When it stops


def test_what_was_done_before_a_failure_is_kept(many: Path, curate: Curate) -> None:
    done = curate("run", many, "--workers", "1", "--model", "nowhere.onnx")

    assert done.code == 2
    assert lines(done.out)[-1] == "flag failed"
    assert "nowhere.onnx" in done.err
    assert commands(many) == ["curate clean"]


def test_a_failure_is_in_the_json_document(many: Path, curate: Curate) -> None:
    done = curate("run", many, "--workers", "1", "--model", "nowhere.onnx", "--json")

    assert done.code == 2
    assert [(one["stage"], one["ending"]) for one in done.json["stages"]][-1] == ("flag", "failed")


@pytest.mark.parametrize("versions", [1, 2])
def test_a_killed_run_goes_on_where_it_stopped(many: Path, environment: dict[str, str], versions: int) -> None:
    """Killed as soon as there is a first, or a second version."""
    running = subprocess.Popen(
        command("run", many, "--workers", "1"), env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while not (many.parent / "many.curate" / "versions" / f"{versions:04d}.json").exists():
        time.sleep(0.005)
    running.send_signal(signal.SIGKILL)
    running.wait()

    result = run(many, workers=1)

    assert endings(result)["clean"] == "stood"
    assert commands(many) == ["curate clean", "curate flag", "curate split"]
    assert run(many, workers=1).changed_nothing


def test_a_store_in_use_stops_a_run(many: Path, curate: Curate) -> None:
    run(many, last="clean", workers=1)
    from curate.project import Project

    with Project.at(many).writing("curate clean"):
        done = curate("run", many, "--workers", "1")

    assert done.code == 3
    assert "is writing to" in done.err


# ---- What people see


def test_without_a_terminal_each_stage_is_a_line(many: Path, curate: Curate) -> None:
    configure(many, '[models]\nbackbone = "classic"\n')  # which flags none of these

    done = curate("run", many, "--workers", "1")

    assert done.err == ""
    assert "\x1b" not in done.out
    assert [re.sub(r" \d+ s$", "", line) for line in lines(done.out)[:7]] == [
        "clean 12 images, 12 kept, 0 dropped made v1",
        "normalize skipped: curate.toml has no [normalize] size",
        "prelabel skipped: every kept picture has a label",
        "flag 0 of 12 labels look wrong made v2",
        "split train 8, val 2, test 2 made v3",
        "rebalance skipped: curate.toml has no [rebalance] strategy",
        "report report.html, about v3",
    ]


def test_an_unchanged_project_is_told_in_a_line(ran: Path, curate: Curate) -> None:
    done = curate("run", ran)

    assert f"\n{ran}: nothing to do, v3 (" in done.out


def test_on_a_terminal_stages_that_wait_are_shown_and_gone_in_the_end(many: Path, environment: dict[str, str]) -> None:
    printed = on_a_terminal(command("run", many, "--workers", "1"), {**environment, "COLUMNS": "80", "LINES": "24"})

    assert "  report     waiting" in printed
    assert "waiting" not in printed.rpartition("\x1b[J")[2]


def test_json_is_one_document(ran: Path, curate: Curate) -> None:
    library.report(ran, "v1", store=None)

    done = curate("run", ran, "--json")

    assert done.json["version"] == "v3"
    assert [one["stage"] for one in done.json["stages"]] == list(STAGES)
    assert "report.html, about v3" in done.err


def test_leaks_need_attention(tmp_path: Path, curate: Curate) -> None:
    """Of a source whose test pictures are in train as well, and in which one picture has no split yet."""
    rows = ["path,label,split"]
    for number in range(6):
        for name in ("train", "test"):
            write(tmp_path / "leak" / name / f"{number}.jpg", PICTURES[number])
            rows.append(f"{name}/{number}.jpg,{'ab'[number % 2]},{name}")
    write(tmp_path / "leak" / "new.jpg", PICTURES[8])
    labels = write(tmp_path / "labels.csv", "\n".join([*rows, "new.jpg,a,"]).encode())
    changes = ["--set", "checks.exact_duplicate.action=note", "--set", f"scan.labels={labels}"]

    done = curate("run", tmp_path / "leak", "--workers", "1", "--to", "split", *changes)

    assert done.code == 1
    assert "6 test or validation pictures have a copy in train" in done.out
    assert f"curate split {tmp_path / 'leak'} --audit" in done.out


def test_a_run_raises_what_its_stage_raises(many: Path) -> None:
    with pytest.raises(CurateError, match=r"nowhere\.onnx"):
        run(many, changes={"models.backbone": "nowhere.onnx"}, workers=1)
