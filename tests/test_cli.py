"""The `curate` command: help, exit codes, JSON, and output that fits the screen."""

from __future__ import annotations

import io
import os
import pty
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import click
import pandas as pd
import pytest

import pictures
from conftest import PICTURES, Curate, command, heeds_ctrl_c, write
from curate_cli.main import cli

CONTEXT = click.Context(cli)
COMMANDS = {name: found for name in cli.list_commands(CONTEXT) if (found := cli.get_command(CONTEXT, name))}
ON_A_FOLDER = {
    "clean": ["--workers", "1"],
    "status": [],
    "why": ["cats/0.jpg"],
    "log": [],
    "show": [],
    "diff": ["v1"],
    "tag": [],
    "verify": [],
    "undo": [],
}


# ---- Help


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself_with_an_example(name: str, curate: Curate) -> None:
    done = curate(name, "--help")

    assert (done.code, done.err) == (0, "")
    assert re.search(rf"Examples?:\n +curate {name}", done.out)
    assert max(map(len, done.out.splitlines())) <= 80


@pytest.mark.parametrize("name", COMMANDS)
def test_examples_of_the_help_are_valid_command_lines(name: str) -> None:
    """Parsed, not run: a renamed option must not live on in an example."""
    found = COMMANDS[name]
    for line in re.findall(r"^ *(curate .*)$", found.help or "", re.MULTILINE):
        words = shlex.split(line)

        assert words[:2] == ["curate", name]
        found.make_context(name, words[2:])


def test_every_command_is_listed_once_under_a_heading(curate: Curate) -> None:
    out = curate("--help").out

    assert re.findall(r"^  ([a-z]+)  ", out, re.MULTILINE) == list(COMMANDS)
    headings = ["Options", "Curate", "Review", "Train", "Exchange", "Look", "Versions"]
    assert re.findall(r"^(\w+):$", out, re.MULTILINE) == headings


def test_the_version_is_told(curate: Curate) -> None:
    assert re.fullmatch(r"curate \d+\.\d+\.\d+\n", curate("--version").out)


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_and_version_wait_for_no_heavy_import(option: str, environment: dict[str, str]) -> None:
    code = (
        "import sys\nfrom curate_cli.main import main\n"
        f"try: main([{option!r}])\n"
        "except SystemExit: print(sorted({'numpy', 'pandas', 'pyarrow', 'PIL', 'pydantic'} & set(sys.modules)))"
    )

    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)

    assert done.stdout.endswith("\n[]\n"), done.stdout + done.stderr


def test_importing_the_library_waits_for_no_heavy_import(environment: dict[str, str]) -> None:
    code = "import sys, curate; print(sorted({'numpy', 'pandas', 'pyarrow', 'PIL'} & set(sys.modules)))"

    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)

    assert done.stdout == "[]\n", done.stderr


# ---- Wrong use


def test_a_misspelt_command_is_answered_with_the_nearest(curate: Curate) -> None:
    done = curate("cleen", "x")

    assert done.code == 2
    assert "Error: No such command 'cleen'. Did you mean 'clean'?" in done.err


def test_a_command_like_no_other_is_answered_plainly(curate: Curate) -> None:
    done = curate("xyzzy")

    assert (done.code, "Did you mean" in done.err) == (2, False)


def test_an_unknown_column_is_answered_with_the_nearest(photos: Path, curate: Curate) -> None:
    curate("clean", photos, "--workers", "1")

    done = curate("table", photos, "--columns", "path,widht")

    assert (done.code, done.err) == (2, "Error: The table has no column 'widht'.\nHint: Did you mean 'width'?\n")


def test_an_unknown_picture_is_answered_with_similar_ones(photos: Path, curate: Curate) -> None:
    curate("clean", photos, "--workers", "1")

    done = curate("why", photos, "cats/O.jpg")

    assert done.code == 2
    assert "Did you mean 'cats/" in done.err


@pytest.mark.parametrize("share", ["5", "-1%", "101%", "many", "%"])
def test_a_share_that_is_none_is_refused(photos: Path, curate: Curate, share: str) -> None:
    done = curate("clean", photos, "--fail-on", share)

    assert done.code == 2
    assert "is no share: expected a percentage like 5% or a number from 0 to 1." in done.err


# ---- Exit codes


def test_too_many_dropped_images_are_exit_code_1(photos: Path, curate: Curate) -> None:
    """Of seven pictures one is dropped: 14 %."""
    write(photos / "cats" / "copy.jpg", PICTURES[0])

    assert curate("clean", photos, "--workers", "1", "--fail-on", "15%").code == 0
    failed = curate("clean", photos, "--workers", "1", "--fail-on", "0.14")

    assert failed.code == 1
    assert failed.err == "\nMore than 0.14 of the images were dropped (--fail-on).\n"


def test_a_failing_check_is_named_and_exit_code_1(
    photos: Path, curate: Curate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bug in a check must not look like a clean folder, and its result must not be remembered."""

    def broken(image: object) -> dict[str, float]:
        raise ZeroDivisionError("division by zero")

    from curate.checks import all_checks

    with monkeypatch.context() as patch:
        patch.setitem(vars(all_checks()["blurry"]), "measure", broken)
        failed = curate("clean", photos, "--workers", "1")
    again = curate("clean", photos, "--workers", "1", "--json")

    assert failed.code == 1
    assert "A check failed on 6 images: blurry: ZeroDivisionError: division by zero" in failed.err
    assert (again.code, again.json["opened"]) == (0, 6)


def test_an_interrupted_run_says_that_nothing_is_lost(tmp_path: Path, environment: dict[str, str]) -> None:
    rest = bytes(100_000)
    for number in range(300):
        write(tmp_path / "many" / f"{number}.jpg", pictures.READABLE["large.jpg"] + rest + str(number).encode())
    running = subprocess.Popen(
        command("clean", tmp_path / "many"), env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        preexec_fn=heeds_ctrl_c,
    )  # fmt: skip
    while not list(tmp_path.glob("many.curate/lock.json")):
        time.sleep(0.01)

    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=60)

    assert (running.returncode, out) == (130, "")
    assert err == "\nInterrupted. What was measured is kept; the same command goes on from there.\n"


# ---- Output


@pytest.mark.parametrize("name", ON_A_FOLDER)
def test_json_is_json_and_text_fits_80_columns(name: str, photos: Path, curate: Curate) -> None:
    long_name = "long" * 40 + ".jpg"
    write(photos / "cats" / long_name, PICTURES[0])
    write(photos / "dogs" / ("also " + long_name), b"")
    write(photos / "notes.txt", b"")
    curate("clean", photos, "--workers", "1")
    for decided in ("cats/1.jpg", "cats/2.jpg"):  # three versions: enough to undo twice
        curate("decide", photos, decided, "--drop")
        curate("clean", photos, "--workers", "1")

    text = curate(name, photos, *ON_A_FOLDER[name])
    parsed = curate(name, photos, *ON_A_FOLDER[name], "--json")

    assert (text.code, text.err) == (0, "")
    assert parsed.json is not None
    own_lines = [line for line in text.out.splitlines() if str(photos) not in line]  # the folder is the user's
    assert max(map(len, own_lines), default=0) <= 80


def test_the_summary_says_what_was_kept_dropped_and_what_to_type_next(
    photos: Path, curate: Curate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(photos.parent)
    write(photos / "cats" / "copy.jpg", PICTURES[0])
    write(photos / "cats" / "empty.jpg", b"")

    done = curate("clean", "photos", "--workers", "1", "--ignore", "near_duplicate", "--ignore", "blurry")

    assert done.out.startswith("photos: 8 images, 6 kept, 2 dropped (25.0%)\n\nDropped\n")
    assert "  1  exact_duplicate  " in done.out
    assert "  1  unreadable       " in done.out
    assert "\nLabels of the kept images\n  cats 3, dogs 3\n" in done.out
    assert re.search(r"\nFrozen as v1 \([0-9a-f]{12}\); 7 images opened\.\nNext\n", done.out)
    assert done.out.endswith("  hand it to training curate export photos OUT\n")


def test_a_dry_run_makes_no_version(photos: Path, curate: Curate) -> None:
    curate("clean", photos, "--workers", "1")
    write(photos / "cats" / "copy.jpg", PICTURES[0])

    done = curate("clean", photos, "--workers", "1", "--dry-run")

    assert done.out.endswith("\nDry run: no version was made; 0 images opened.\n")
    assert "7 images, 6 kept, 1 dropped" in done.out
    assert len(curate("log", photos, "--json").json) == 1


def test_commands_to_copy_are_quoted_and_name_the_store(tmp_path: Path, curate: Curate) -> None:
    write(tmp_path / "my photos" / "1.jpg", PICTURES[0])

    done = curate("clean", tmp_path / "my photos", "--store", tmp_path / "the store", "--workers", "1")

    assert f"  curate report '{tmp_path}/my photos' --store '{tmp_path}/the store'\n".lstrip() in done.out
    assert f"Next: curate clean '{tmp_path}/my photos' --store '{tmp_path}/the store'" not in done.out


def test_the_story_of_a_picture_that_can_not_be_read(photos: Path, curate: Curate) -> None:
    write(photos / "cats" / "broken.jpg", pictures.UNREADABLE["truncated.jpg"][1])
    curate("clean", photos, "--workers", "1")

    done = curate("why", photos, "cats/broken.jpg")

    assert done.out.startswith("cats/broken.jpg in v1: dropped by unreadable\n")
    assert "unreadable (dropped): it can't be read: truncated\n" in done.out


def test_the_story_tells_copies_decisions_and_history(
    photos: Path, curate: Curate, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(photos / "cats" / "copy.jpg", PICTURES[0])
    curate("clean", photos, "--workers", "1")
    curate("decide", photos, "cats/copy.jpg", "--keep", "--note", "on purpose")
    curate("clean", photos, "--workers", "1")

    done = curate("why", photos, "cats/copy.jpg")

    assert done.out.startswith("cats/copy.jpg in v2: kept as cats, decided by ada\n")
    assert "exact_duplicate (dropped): its bytes are the same as those of cats/0.jpg" in done.out
    assert "\nCopies of the same picture\n  cats/0.jpg\n" in done.out
    assert re.search(r"\nDecisions\n  [-0-9]+ [:0-9]+  ada  keep  on purpose\n", done.out)
    assert re.search(r"\nHistory\n  v1  dropped \(exact_duplicate\) .*\n  v2  kept · label cats", done.out)
    monkeypatch.chdir(photos / "cats")
    assert curate("why", photos, "copy.jpg").out == done.out


def test_a_difference_shows_reasons_beside_long_paths(photos: Path, curate: Curate) -> None:
    long_path = "/".join(["a long name for a folder"] * 6) + "/end.jpg"
    write(photos / long_path, PICTURES[8])
    curate("clean", photos, "--workers", "1")
    curate("decide", photos, long_path, "--drop")
    curate("clean", photos, "--workers", "1")

    done = curate("diff", photos, "v1")

    assert done.out == (
        "v1 -> v2: 1 dropped\n"
        "  dropped  …er/a long name for a folder/end.jpg  kept -> dropped  ada\n"
    )  # fmt: skip


def test_the_table_comes_in_three_formats(photos: Path, curate: Curate, tmp_path: Path) -> None:
    curate("clean", photos, "--workers", "1")
    columns = ["--columns", "path,keep,label"]

    from_csv = pd.read_csv(io.StringIO(curate("table", photos, *columns).out))
    from_json = pd.DataFrame(curate("table", photos, *columns, "--format", "json").json)
    curate("table", photos, *columns, "--format", "parquet", "--output", tmp_path / "t.parquet")

    pd.testing.assert_frame_equal(from_csv, from_json)
    pd.testing.assert_frame_equal(from_csv, pd.read_parquet(tmp_path / "t.parquet"))
    assert list(from_csv["path"])[::5] == ["cats/0.jpg", "dogs/5.jpg"]


def test_a_reader_that_leaves_early_is_no_error(photos: Path, environment: dict[str, str]) -> None:
    for number in range(2000):
        write(photos / "texts" / f"{number}.txt", b"")
    line = shlex.join(command("table", photos))
    subprocess.run(command("clean", photos, "--workers", "1"), env=environment, check=True, capture_output=True)

    for reader in ("head -1", "true"):
        done = subprocess.run(f"{line} | {reader}", shell=True, env=environment, capture_output=True, text=True)

        assert done.stderr == "", reader


def test_no_control_character_of_a_file_name_reaches_a_terminal(photos: Path, environment: dict[str, str]) -> None:
    write(photos / "cats" / "\x1b]0;title\x07\x1b[31m.jpg", b"")
    os.rename(photos, photos.with_name("ph\x1bos"))
    folder = photos.with_name("ph\x1bos")

    for arguments in (
        ("clean", folder, "--workers", "1"),
        ("table", folder),
        ("table", folder, "--format", "json"),
        ("status", folder),
        ("why", folder, "cats/0.jpgx"),
        ("log", folder.with_name("no\x1bne")),
    ):
        assert "\x1b" not in on_a_terminal(command(*arguments), environment), arguments


def on_a_terminal(words: list[str], environment: dict[str, str]) -> str:
    """What a command prints when it believes that somebody is watching."""
    ours, its = pty.openpty()
    done = subprocess.Popen(words, stdout=its, stderr=its, env={**environment, "TERM": "dumb"})
    os.close(its)
    printed = b""
    try:
        while data := os.read(ours, 65536):
            printed += data
    except OSError:  # EIO: the other side was closed
        pass
    os.close(ours)
    done.wait()
    # A progress bar moves the cursor by itself: up a line, and to the beginning of one.
    return printed.decode().replace("\x1b[A", "")


def test_a_terminal_that_knows_only_ascii_gets_escapes(photos: Path, environment: dict[str, str]) -> None:
    write(photos / "Käse" / "猫.jpg", PICTURES[7])
    ascii_only = {**environment, "PYTHONIOENCODING": "ascii"}
    subprocess.run(command("clean", photos, "--workers", "1"), env=ascii_only, check=True, capture_output=True)

    done = subprocess.run(command("table", photos, "--columns", "path"), env=ascii_only, capture_output=True, text=True)

    assert "K\\xe4se/\\u732b.jpg\n" in done.stdout
    assert done.stderr == ""


def test_a_folder_name_that_is_no_utf8_can_be_given(tmp_path: Path, curate: Curate) -> None:
    folder = tmp_path / "caf\udce9"
    write(folder / "1.jpg", PICTURES[0])

    done = curate("clean", folder, "--workers", "1")

    assert done.code == 0
    assert "caf\\udce9: 1 images, 1 kept" in done.out
    assert curate("log", folder, "--json").json[0]["number"] == 1
