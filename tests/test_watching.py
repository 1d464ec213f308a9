"""What arrives in an inbox is taken in batch by batch; stopping and starting loses and repeats nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

import curate as library
from conftest import PICTURES, Curate, command, heeds_ctrl_c, write
from curate.adding import Added
from curate.batches import read_batches
from curate.errors import SourceError, StoreError
from curate.project import Project
from curate.watching import watch
from test_adding import contents_of


@pytest.fixture
def inbox(photos: Path, tmp_path: Path) -> Path:
    library.clean(photos)
    (tmp_path / "inbox").mkdir()
    return tmp_path / "inbox"


class Visitor:
    """Stands for time that passes between two looks: does one thing after the other, then ends the watch."""

    def __init__(self, *deeds: Callable[[], object]) -> None:
        self._deeds: Iterator[Callable[[], object]] = iter(deeds)

    def __call__(self, seconds: float) -> None:
        deed = next(self._deeds, None)
        if deed is None:
            raise KeyboardInterrupt
        deed()


def taken(photos: Path, inbox: Path, *deeds: Callable[[], object], wait_s: float = 0.0, batch: int = 500) -> list[int]:
    """How many new pictures each batch had, while these things happened."""
    batches = watch(photos, inbox, wait_s=wait_s, batch=batch, suggest=False, sleep=Visitor(*deeds))
    return numbers(batches)


def numbers(batches: Iterator[Added]) -> list[int]:
    """How many new pictures each had, until the watch ends."""
    found: list[int] = []
    with suppress(KeyboardInterrupt):
        found.extend(done.told()["new"] for done in batches)
    return found


def test_each_arrival_becomes_a_batch_and_a_version(photos: Path, inbox: Path) -> None:
    batches = taken(
        photos,
        inbox,
        lambda: write(inbox / "7.jpg", PICTURES[7]),
        lambda: None,
        lambda: write(inbox / "8.jpg", PICTURES[8]),
        lambda: None,
    )

    assert batches == [1, 1]
    assert [one.name for one in library.log(photos)] == ["v3", "v2", "v1"]
    assert [one.version for one in read_batches(Project.at(photos).batches)] == ["v2", "v3"]


def test_a_batch_waits_for_quiet(photos: Path, inbox: Path) -> None:
    """As long as files come, none is taken."""
    batches = taken(
        photos,
        inbox,
        lambda: write(inbox / "7.jpg", PICTURES[7]),
        lambda: write(inbox / "8.jpg", PICTURES[8]),
        lambda: None,
        wait_s=1000.0,
    )

    assert batches == []


def test_so_many_do_not_wait_for_quiet(photos: Path, inbox: Path) -> None:
    write(inbox / "7.jpg", PICTURES[7])
    write(inbox / "8.jpg", PICTURES[8])

    assert taken(photos, inbox, wait_s=1000.0, batch=2) == [2]


def test_a_file_that_is_being_written_waits(photos: Path, inbox: Path) -> None:
    half, whole = PICTURES[7][:-500], PICTURES[7]

    batches = taken(
        photos,
        inbox,
        lambda: write(inbox / "7.jpg", half, mtime_s=int(time.time()) - 10),
        lambda: None,
        lambda: write(inbox / "7.jpg", whole, mtime_s=int(time.time()) - 5),
        lambda: None,
    )

    assert batches == [1]
    assert (photos / "_unlabeled" / "7.jpg").read_bytes() == whole


def test_a_watch_that_starts_again_takes_nothing_twice(photos: Path, inbox: Path) -> None:
    write(inbox / "7.jpg", PICTURES[7])

    assert taken(photos, inbox, lambda: None) == [1]
    assert taken(photos, inbox, lambda: None) == []


def test_a_file_that_was_replaced_in_the_inbox_is_taken_again(photos: Path, inbox: Path) -> None:
    write(inbox / "7.jpg", PICTURES[7])
    taken(photos, inbox, lambda: None)
    write(inbox / "7.jpg", PICTURES[8])

    taken(photos, inbox, lambda: None)

    assert sorted(one.name for one in (photos / "_unlabeled").iterdir()) == ["7-new.jpg", "7.jpg"]


def test_once_takes_what_is_there_and_ends(photos: Path, inbox: Path, curate: Curate) -> None:
    write(inbox / "7.jpg", PICTURES[7])

    done = curate("watch", photos, inbox, "--once", "--json", "--no-prelabel")

    assert [json.loads(line)["new"] for line in done.out.splitlines()] == [1]


def test_a_locked_store_is_told_and_tried_again(photos: Path, inbox: Path) -> None:
    """Somebody runs another command meanwhile."""
    write(inbox / "7.jpg", PICTURES[7])
    lock = Project.at(photos).writing("curate clean")
    lock.__enter__()
    troubles: list[StoreError] = []

    unlock = Visitor(lambda: lock.__exit__(None, None, None), lambda: None)

    found = numbers(watch(photos, inbox, wait_s=0, suggest=False, troubled=troubles.append, sleep=unlock))

    assert found == [1]
    assert "is writing to" in str(troubles[0])


def test_an_inbox_must_be_a_folder_elsewhere(photos: Path, inbox: Path) -> None:
    with pytest.raises(SourceError, match="to watch"):
        next(watch(photos, inbox / "nowhere"))
    with pytest.raises(SourceError, match=r"lies in .* already"):
        next(watch(photos, photos / "cats"))


def test_a_kill_of_the_watcher_loses_and_repeats_nothing(
    photos: Path, inbox: Path, environment: dict[str, str]
) -> None:
    """Pictures come one by one; the watcher is killed three times while they do."""
    wanted = contents_of(photos)
    words = command("watch", photos, inbox, "--every", "0.1", "--wait", "0.1", "--no-prelabel", "--workers", "1")
    for number in range(6, 12):
        write(inbox / f"{number}.jpg", PICTURES[number])
        if number % 2 == 0:
            with subprocess.Popen(words, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as one:
                time.sleep(1.0 + number / 20)
                one.send_signal(signal.SIGKILL)

    done = subprocess.run([*words, "--once"], env=environment, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    assert contents_of(photos) == wanted + contents_of(inbox)
    assert {one.state for one in read_batches(Project.at(photos).batches)} == {"done"}
    assert len(library.table(photos)) == 12


def test_ctrl_c_ends_the_watch(photos: Path, inbox: Path, environment: dict[str, str]) -> None:
    words = command("watch", photos, inbox, "--every", "0.1")
    with subprocess.Popen(
        words,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=heeds_ctrl_c,
    ) as one:
        try:
            assert one.stderr is not None
            assert one.stderr.readline() == f"Watching {inbox}. Stop with Ctrl-C.\n"
            os.kill(one.pid, signal.SIGINT)
            assert one.wait(20) == 130
        finally:
            one.kill()
