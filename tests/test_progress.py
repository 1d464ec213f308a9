"""What is shown and told while something runs."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import suppress
from fcntl import F_SETPIPE_SZ, fcntl, ioctl
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from conftest import PICTURES, Curate, command, write
from curate import clean
from curate.progress import Tally, telling
from curate_cli.events import Events
from curate_cli.progress_line import line_of, rate, size_of

STAGES_OF_CLEAN = [
    "Scanning",
    "Reading labels",
    "Measuring",
    "Comparing",
    "Judging",
    "Deciding",
    "Keeping originals",
    "Splits and pixels",
    "Committing",
]


def events_of(*arguments: str | Path, environment: dict[str, str]) -> tuple[int, list[dict[str, Any]]]:
    """Exit code and events of a command."""
    reading, writing = os.pipe()
    words = command("--progress-fd", str(writing), *arguments)
    process = subprocess.Popen(
        words, env=environment, pass_fds=[writing], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    os.close(writing)
    with open(reading, encoding="utf-8") as lines:
        events = [json.loads(line) for line in lines]
    return process.wait(), events


# ---- In a terminal


def hours_ago(title: str, total: int, done: int, **counts: int) -> Tally:
    """A stage that began 100,000 s ago."""
    tally = Tally(title, total, begun_s=time.monotonic() - 100_000)
    tally.advance(done, **counts)
    return tally


def test_a_line_says_what_is_done_errors_what_is_left_rates_and_bytes() -> None:
    """450,000 in 100,000 s are 4.5 a second; the other 550,000 take 122,222 s."""
    tally = hours_ago("Measuring", 1_000_000, 450_000, size_bytes=2_500_000_000_000, errors=3)

    assert line_of(tally, 120) == (
        "Measuring  45% [#######.........] 450,000/1,000,000, 3 errors, 33 h 57 min left, 4.5/s, 25 MB/s, 2.5 TB"
    )


def test_where_there_is_no_room_the_bar_goes_first_then_the_bytes() -> None:
    tally = hours_ago("Measuring", 1_000_000, 450_000, size_bytes=2_500_000_000_000, errors=3)

    assert line_of(tally, 79) == "Measuring  45% 450,000/1,000,000, 3 errors, 33 h 57 min left, 4.5/s, 25 MB/s"
    assert line_of(tally, 45) == "Measuring  45% 450,000/1,000,000, 3 errors"
    assert line_of(tally, 20) == "Measuring  45% 450,…"


def test_a_stage_of_unknown_length_says_what_is_done() -> None:
    assert line_of(Tally("Scanning", 0), 79) == "Scanning"
    assert line_of(hours_ago("Importing coco", 0, 100_000), 79) == "Importing coco 100,000, 1/s"


def test_a_download_is_counted_in_bytes() -> None:
    tally = hours_ago("Fetching", 400_000_000_000, 100_000_000_000, size_bytes=100_000_000_000)

    assert line_of(tally, 79) == "Fetching  25% [####............] 100 GB/400 GB, 83 h 20 min left, 1.0 MB/s"


@pytest.mark.parametrize(
    ("size_bytes", "said"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (9_949, "9.9 kB"), (9_951, "10 kB"), (999_600, "1.0 MB")],
)
def test_sizes_have_two_digits_or_more(size_bytes: int, said: str) -> None:
    assert size_of(size_bytes) == said


@pytest.mark.parametrize(("per_second", "said"), [(1453.4, "1,453"), (45.2, "45"), (4.52, "4.5"), (0.021, "0.021")])
def test_rates_have_two_digits_or_more(per_second: float, said: str) -> None:
    assert rate(per_second) == said


def test_what_remains_is_told_by_the_rate_of_the_last_half_minute() -> None:
    """A stage that was fast in its first hour, and has done nothing for half a minute since, is not nearly done."""
    tally = Tally("Measuring", 2000, begun_s=time.monotonic() - 3600)
    tally.advance(1000)
    for ago_s in range(40, 0, -1):
        tally._marks.append(type(tally._marks[0])(time.monotonic() - ago_s, 1000, 0))

    tally.advance(1)

    assert 0 < tally.per_second < 1


SLOW_STAGE = """
import time
from curate_cli.output import bar
with bar("Measuring", 1000) as advance:
    for _ in range(3):
        time.sleep(0.6)
        advance(250, size_bytes=30_000_000, errors=1)
"""


def in_terminal(*words: str, columns: int) -> str:
    """What a program writes on a terminal of so many columns."""
    ours, its = pty.openpty()
    ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen(words, stdout=its, stderr=its)
    os.close(its)
    written = b""
    try:
        while data := os.read(ours, 65536):
            written += data
    except OSError:  # EIO: the other side was closed
        pass
    os.close(ours)
    process.wait()
    return written.decode()


def test_a_line_of_a_terminal_is_drawn_over_and_cleared_at_the_end() -> None:
    written = in_terminal(sys.executable, "-c", SLOW_STAGE, columns=80)

    lines = written.split("\r")
    half = re.compile(r"Measuring  50% 500/1,000, 2 errors, \d+ s left, \d+/s, [\d.]+ MB/s, 60 MB *")
    assert any(map(half.fullmatch, lines))
    assert all(len(line) <= 79 for line in lines)
    assert lines[-2].strip() == lines[-1] == ""


def test_a_narrow_terminal_gets_a_line_that_does_not_wrap() -> None:
    lines = in_terminal(sys.executable, "-c", SLOW_STAGE, columns=30).split("\r")

    assert any(line.startswith("Measuring  50% 500/1,000") for line in lines)
    assert all(len(line) <= 29 for line in lines)


def test_nothing_is_drawn_where_stderr_is_no_terminal(photos: Path, process: Curate) -> None:
    assert process("clean", photos, "--workers", "1").err == ""


# ---- From another program


def test_every_stage_is_told_from_begin_to_end_and_the_result_last(photos: Path, environment: dict[str, str]) -> None:
    code, events = events_of("clean", photos, "--workers", "1", environment=environment)

    assert code == 0
    assert [one["stage"] for one in events if one["event"] == "begin"] == [None, *STAGES_OF_CLEAN]
    assert [one["stage"] for one in events if one["event"] == "end"] == STAGES_OF_CLEAN
    assert {one["command"] for one in events} == {"clean"}
    assert events[-1]["event"] == "result"
    assert {name: events[-1][name] for name in ("exit_code", "version", "is_new")} == {
        "exit_code": 0,
        "version": "v1",
        "is_new": True,
    }


def test_a_stage_says_what_it_has_read_and_what_failed(photos: Path, environment: dict[str, str]) -> None:
    """A copy of a damaged picture is not opened, and is an error all the same."""
    for name in ("one.jpg", "two.jpg"):
        write(photos / "cats" / name, b"\xff\xd8 cut")

    _, events = events_of("clean", photos, "--workers", "1", environment=environment)

    end = next(one for one in events if one["event"] == "end" and one["stage"] == "Measuring")
    assert (end["done"], end["total"], end["errors"]) == (8, 8, 2)
    assert end["size_bytes"] == sum(len(data) for data in PICTURES[:6]) + 2 * len(b"\xff\xd8 cut")
    assert end["eta_s"] == 0


def test_the_variable_is_as_good_as_the_option(photos: Path, environment: dict[str, str], tmp_path: Path) -> None:
    with (tmp_path / "events.jsonl").open("wb") as file:
        told = {**environment, "CURATE_PROGRESS_FD": str(file.fileno())}
        subprocess.run(command("init", photos), env=told, pass_fds=[file.fileno()], check=True, capture_output=True)

    events = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert [events[0]["event"], events[-1]["event"]] == ["begin", "result"]
    assert events[-1]["version"] is None


def test_a_failure_is_told_as_people_see_it(tmp_path: Path, environment: dict[str, str]) -> None:
    code, events = events_of("clean", tmp_path / "nowhere", environment=environment)

    assert [one["event"] for one in events] == ["begin", "begin", "end", "error", "result"]
    assert events[-2]["message"] == f"There is no folder {str(tmp_path / 'nowhere')!r}."
    assert events[-2]["hint"] == "Check the spelling, or give an absolute path."
    assert code == events[-1]["exit_code"] == 2


def test_wrong_use_of_a_command_is_told_too(photos: Path, environment: dict[str, str]) -> None:
    code, events = events_of("clean", photos, "--fail-on", "many", environment=environment)

    assert events[-2]["message"].startswith("Invalid value for --fail-on: 'many' is no share")
    assert code == events[-1]["exit_code"] == 2


def test_a_run_says_which_of_its_stages_is_at_work(photos: Path, environment: dict[str, str]) -> None:
    _, events = events_of("run", photos, "--to", "normalize", "--workers", "1", environment=environment)

    measuring = [one for one in events if one.get("stage") == "Measuring"]
    assert {one["run_stage"] for one in measuring} == {"clean"}
    assert (events[-1]["run_stage"], events[-1]["version"]) == (None, "v1")


def test_a_command_that_changes_nothing_names_the_version_that_stands(
    photos: Path, environment: dict[str, str]
) -> None:
    clean(photos, workers=1)

    _, events = events_of("clean", photos, "--workers", "1", environment=environment)

    assert (events[-1]["version"], events[-1]["is_new"]) == ("v1", False)


@pytest.mark.parametrize("mode", [None, os.O_RDONLY], ids=["closed", "read only"])
def test_a_number_that_can_not_be_written_to_is_refused_before_any_work(
    photos: Path, environment: dict[str, str], mode: int | None
) -> None:
    descriptor = os.open(photos / "cats" / "0.jpg", os.O_RDONLY)
    passed = [] if mode is None else [descriptor]
    words = command("--progress-fd", str(descriptor), "clean", photos)

    done = subprocess.run(words, env=environment, pass_fds=passed, capture_output=True, text=True)

    os.close(descriptor)
    assert done.returncode == 2
    assert f"{descriptor} is no descriptor that is open for writing." in done.stderr
    assert not Path(f"{photos}.curate").exists()


def test_the_option_behind_the_command_is_told_its_place(photos: Path, curate: Curate) -> None:
    done = curate("clean", photos, "--progress-fd", "3")

    assert done.code == 2
    assert "It goes before the command: curate --progress-fd N …" in done.err


def test_a_reader_that_goes_away_is_not_missed(photos: Path, environment: dict[str, str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    words = command("--progress-fd", str(writing), "clean", photos, "--workers", "1")

    done = subprocess.run(words, env=environment, pass_fds=[writing], capture_output=True, text=True)

    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Frozen as v1" in done.stdout


def test_a_full_disk_does_not_disturb_the_work(photos: Path, environment: dict[str, str]) -> None:
    with open("/dev/full", "wb") as full:
        words = command("--progress-fd", str(full.fileno()), "clean", photos, "--workers", "1")
        done = subprocess.run(words, env=environment, pass_fds=[full.fileno()], capture_output=True, text=True)

    assert (done.returncode, done.stderr) == (0, "")


@pytest.fixture
def small_pipe() -> Iterator[tuple[int, int]]:
    """A pipe that holds 4,096 bytes, some fifteen events."""
    reading, writing = os.pipe()
    fcntl(writing, F_SETPIPE_SZ, 4096)
    yield reading, writing
    for descriptor in (reading, writing):
        os.close(descriptor)


def test_a_reader_that_does_not_read_holds_nothing_up(
    photos: Path, environment: dict[str, str], small_pipe: tuple[int, int]
) -> None:
    """`clean` tells some twenty events, more than the pipe takes."""
    _, writing = small_pipe
    words = command("--progress-fd", str(writing), "clean", photos, "--workers", "1")

    done = subprocess.run(words, env=environment, pass_fds=[writing], capture_output=True, text=True)

    assert (done.returncode, done.stderr) == (0, "")
    assert "Frozen as v1" in done.stdout


def told_by(events: Events, stages: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some stages, with progress told at every step."""
    monkeypatch.setattr("curate_cli.events.EVERY_S", 0.0)
    for number in range(stages):
        tally = Tally(f"stage {number}", 10)
        with events.stage(tally) as tell:
            advance = telling(tally, tell)
            for _ in range(10):
                advance(1)


def test_a_reader_that_is_behind_misses_progress_only_and_gets_the_rest_in_order(
    small_pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, writing = small_pipe
    events, read = Events(), b""
    events.open(writing, "clean")

    told_by(events, 20, monkeypatch)  # nobody reads
    os.set_blocking(reading, False)
    for _ in range(50):
        with suppress(BlockingIOError):
            read += os.read(reading, 65536)
        events.tell_if_read("progress")
    read += os.read(reading, 65536)
    events.end(0)
    read += os.read(reading, 65536)

    lines = [json.loads(line) for line in read.splitlines()]
    once = [(one["event"], one.get("stage")) for one in lines if one["event"] != "progress"]
    pairs = [(event, f"stage {number}") for number in range(20) for event in ("begin", "end")]
    assert once == [("begin", None), *pairs, ("result", None)]
    assert sum(one["event"] == "progress" for one in lines) < 200


def test_every_line_fits_into_what_a_pipe_takes_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whatever a message holds: a control character takes six bytes in JSON, an emoji four, a lone surrogate six."""
    with (tmp_path / "events").open("wb") as file:
        events = Events()
        events.open(file.fileno(), "clean")
        for letter in ("\x01", "🙂", "\udce9"):
            events.tell("error", message=letter * 5000, hint=letter * 5000)
        events.end(1)

    lines = (tmp_path / "events").read_bytes().splitlines()
    assert all(len(line) < 4096 for line in lines)
    assert [json.loads(line)["message"][:1] for line in lines[1:-1]] == ["\x01", "🙂", "\udce9"]


FORKS_AND_DIES = """
import os, signal, subprocess, sys, time
from curate_cli.events import Events
events = Events()
events.open(int(sys.argv[1]), "clean")
started = subprocess.Popen(["sleep", "60"], close_fds=False, stdout=subprocess.DEVNULL)
forked = os.fork()
if not forked:
    time.sleep(60)
    os._exit(0)
print(started.pid, forked, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_end_is_seen_when_the_command_is_killed_though_its_workers_live_on() -> None:
    reading, writing = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-c", FORKS_AND_DIES, str(writing)], pass_fds=[writing], stdout=subprocess.PIPE, text=True
    )
    os.close(writing)
    assert process.stdout is not None
    children = [int(pid) for pid in process.stdout.readline().split()]

    with open(reading, encoding="utf-8") as lines:
        events = [json.loads(line) for line in lines]  # ends, though the children sleep

    for child in children:
        os.kill(child, signal.SIGKILL)  # raises where it has ended
    process.wait()
    process.stdout.close()
    assert len(children) == 2
    assert [one["event"] for one in events] == ["begin"]


def test_the_example_of_the_docs_runs(photos: Path, environment: dict[str, str], tmp_path: Path) -> None:
    page = (Path(__file__).parent.parent / "docs" / "progress.md").read_text(encoding="utf-8")
    example = re.findall(r"```python\n(.*?)```", page, re.DOTALL)[0].replace('"./images"', repr(str(photos)))
    started = dedent("""\
        #!/bin/sh
        exec {} -c 'from curate_cli.main import main; main()' "$@"
        """)
    write(tmp_path / "bin" / "curate", started.format(sys.executable).encode()).chmod(0o755)
    path = {**environment, "PATH": f"{tmp_path / 'bin'}:{environment['PATH']}"}

    done = subprocess.run([sys.executable, "-c", example], env=path, capture_output=True, text=True)

    assert done.stderr == ""
    assert "Measuring 6 of 6 0 errors\n" in done.stdout
    assert done.stdout.endswith("result 0 v1\n")


def test_the_docs_name_every_field(photos: Path, environment: dict[str, str]) -> None:
    page = (Path(__file__).parent.parent / "docs" / "progress.md").read_text(encoding="utf-8")

    _, events = events_of("clean", photos, "--workers", "1", environment=environment)

    assert [name for event in events for name in event if f"`{name}`" not in page] == []
