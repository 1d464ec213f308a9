"""The record that every run leaves: what ran, on what, and how long each stage took."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

import numpy
import pytest

from conftest import PICTURES, Curate, command, write
from curate import clean
from curate.errors import SourceError
from curate.history import log, run_record, undo
from curate.modelling import flag
from curate.project import Project
from curate.reviewing import apply
from curate.run_record import RunRecord, without_secrets
from curate.versions import commit, head
from curate_cli.run_lines import exact
from test_progress import STAGES_OF_CLEAN


def store_of(folder: Path) -> Path:
    return Path(f"{folder}.curate")


def last_run(folder: Path) -> Any:
    return json.loads((store_of(folder) / "cache" / "last_run.json").read_text())


def titles(record: Any) -> list[str]:
    return [stage["stage"] for stage in record["stages"]]


def test_a_version_keeps_the_record_of_the_run_that_made_it(photos: Path) -> None:
    clean(photos, workers=1)

    record = run_record(photos, "v1")
    assert record["command"] == "curate clean"
    assert titles(record) == STAGES_OF_CLEAN
    assert (record["executor"], record["workers"], record["opened"]) == ("processes", 1, 6)
    assert record["begun_at"] < record["ended_at"]


def test_a_stage_says_what_it_did(photos: Path) -> None:
    write(photos / "cats" / "bad.jpg", b"\xff\xd8 cut")

    clean(photos, workers=2)

    measuring = run_record(photos)["stages"][STAGES_OF_CLEAN.index("Measuring")]
    assert (measuring["items"], measuring["errors"]) == (7, 1)
    assert measuring["size_bytes"] == sum(len(data) for data in PICTURES[:6]) + len(b"\xff\xd8 cut")


def test_stages_add_up_to_the_whole_at_most(photos: Path) -> None:
    clean(photos, workers=1)

    record = run_record(photos)
    for name in ("seconds", "cpu_seconds"):
        assert all(stage[name] >= 0 for stage in record["stages"])
        assert sum(stage[name] for stage in record["stages"]) <= record[name]
    assert record["peak_memory_bytes"] > 10_000_000


def test_a_stage_inside_another_counts_for_itself_only() -> None:
    run = RunRecord("test")

    with run.progress("outer", 2) as advance:
        advance(1)
        with run.progress("inner", 1):
            sum(range(300_000))
        advance(1)

    record = run.so_far()
    outer, inner = record["stages"]
    assert (outer["items"], inner["items"]) == (2, 0)
    assert outer["seconds"] + inner["seconds"] <= record["seconds"]


def test_the_record_says_what_it_was_made_with(photos: Path) -> None:
    clean(photos, workers=1)

    record = run_record(photos)
    assert record["versions"]["curate"] == installed("curate")
    assert record["versions"]["numpy"] == numpy.__version__
    assert {"cleanlab", "onnxruntime", "pandas", "pillow", "pyarrow", "scikit-learn", "simplejpeg"} < {
        *record["versions"]
    }
    assert record["machine"]["python"] == ".".join(map(str, sys.version_info[:3]))
    assert {"decode@1", "near_duplicate@1"} < {*record["tasks"]}


def test_the_id_does_not_know_of_the_run(photos: Path, tmp_path: Path) -> None:
    one = clean(photos, store=tmp_path / "one", workers=1).version
    two = clean(photos, store=tmp_path / "two", workers=2).version

    assert one is not None
    assert two is not None
    assert one.id == two.id
    assert one.files["runs/0001.json"] != two.files["runs/0001.json"]


def test_every_stage_of_a_run_leaves_its_own_record(ran: Path) -> None:
    versions = log(ran)

    records = {one.command: run_record(ran, one.name) for one in versions}
    assert {"curate clean", "curate flag", "curate split"} <= {*records}
    assert all(record["command"] == command and record["stages"] for command, record in records.items())
    assert "Embedding" in titles(records["curate flag"])
    assert records["curate flag"]["model"].startswith("classic")


def test_undo_and_apply_leave_a_record_too(photos: Path, curate: Curate) -> None:
    clean(photos, workers=1)
    assert curate("decide", photos, "cats/0.jpg", "--drop").code == 0
    apply(photos, workers=1)
    undo(photos)

    assert [run_record(photos, name)["command"] for name in ("v1", "v2", "v3")] == [
        "curate clean",
        "curate apply",
        "curate undo",
    ]
    assert titles(run_record(photos, "v3")) == ["Committing"]


def test_a_run_that_changes_nothing_leaves_its_record_in_the_cache(photos: Path) -> None:
    clean(photos, workers=1)
    assert last_run(photos)["version"] == "v1"

    clean(photos, workers=1)

    assert last_run(photos)["version"] is None
    assert last_run(photos)["opened"] == 0
    assert [one.name for one in log(photos)] == ["v1"]


def test_a_run_that_fails_says_so_in_its_record(tmp_path: Path) -> None:
    write(tmp_path / "plain" / "0.jpg", PICTURES[0])
    clean(tmp_path / "plain", workers=1)

    with pytest.raises(SourceError) as failure:
        flag(tmp_path / "plain", workers=1)

    record = last_run(tmp_path / "plain")
    assert (record["command"], record["version"]) == ("curate flag", None)
    assert record["error"] == str(failure.value)


def test_an_import_leaves_its_record_in_the_cache(photos: Path, tmp_path: Path, curate: Curate) -> None:
    assert curate("import", photos, tmp_path / "new", "--format", "folders").code == 0

    record = last_run(tmp_path / "new")
    assert record["command"] == "curate import"
    assert [(stage["stage"], stage["items"]) for stage in record["stages"]] == [("Importing folders", 6)]


def test_verify_covers_the_record(photos: Path, curate: Curate) -> None:
    clean(photos, workers=1)
    file = store_of(photos) / "versions" / "runs" / "0001.json"
    file.write_text(file.read_text().replace('"opened": 6', '"opened": 7'))

    done = curate("verify", photos)

    assert done.code != 0
    assert "runs/0001.json" in done.out + done.err


def test_versions_without_a_record_stay_readable(photos: Path, curate: Curate) -> None:
    """As those of an older curate are."""
    table = clean(photos, workers=1).table
    folder = Project.at(photos).versions
    first = head(folder)
    assert first is not None
    commit(folder, table.assign(final_label="cats"), "curate clean", first.settings, first.counts)

    assert run_record(photos, "v2") == {}
    assert "The run that made it" not in curate("show", photos).out
    assert curate("show", photos, "--json").json["run"] == {}


def test_show_prints_the_run_within_80_columns(photos: Path, curate: Curate) -> None:
    clean(photos, workers=1)

    lines = curate("show", photos).out.splitlines()

    assert max(map(len, lines)) <= 80
    begun = lines.index("The run that made it")
    assert lines[begun + 1] == "  command   curate clean, called from Python"
    stages = [line.split("  ")[1] for line in lines[begun:] if line.startswith("  ") and " s" in line[20:32]]
    assert [name for name in stages if name in STAGES_OF_CLEAN] == STAGES_OF_CLEAN
    assert stages[-1] == "between them"


def test_json_has_all_of_the_run(photos: Path, curate: Curate) -> None:
    clean(photos, workers=1)

    assert curate("show", photos, "--json").json["run"] == run_record(photos)


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.0, "0.00 s"), (0.042, "0.04 s"), (5.34, "5.3 s"), (48.0, "48 s"), (250.0, "4 min 10 s")]
)
def test_times_of_stages_are_exact_to_two_digits(seconds: float, said: str) -> None:
    assert exact(seconds) == said


@pytest.mark.parametrize(
    ("word", "written"),
    [
        ("./images", "./images"),
        ("scan.labels=none", "scan.labels=none"),
        ("s3://bucket/pictures", "s3://bucket/pictures"),
        ("https://ada:secret@example.org/list.csv?token=secret#secret", "https://example.org/list.csv"),
        ("review.log=postgresql://ada:secret@host/reviews", "review.log=postgresql://host/reviews"),
        ("--set=review.log=postgresql://ada:secret@host/x?password=secret", "--set=review.log=postgresql://host/x"),
    ],
)
def test_of_a_url_nothing_is_written_that_may_be_a_key(word: str, written: str) -> None:
    assert without_secrets(word) == written


def test_the_command_line_is_written_as_typed_without_secrets(
    photos: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    script = write(tmp_path / "bin" / "curate", b"from curate_cli.main import main\nmain()\n")
    words = [sys.executable, str(script), *command("clean", photos, "--set", "review.log=file://ada:key@here")[3:]]

    subprocess.run(words, env=environment, capture_output=True)
    subprocess.run([*words[:-2], "--workers", "1"], env=environment, check=True, capture_output=True)

    assert run_record(photos)["command_line"] == f"curate clean {photos} --workers 1"
    written = [file.read_bytes() for file in store_of(photos).rglob("*.json")]
    assert not [data for data in written if b"ada:key" in data]


def test_what_another_program_was_given_is_not_written(photos: Path) -> None:
    """Its arguments are its own, and may be secrets."""
    clean(photos, workers=1)

    assert run_record(photos)["command_line"] is None
