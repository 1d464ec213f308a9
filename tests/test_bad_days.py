"""Kills, full disks, missing rights, vanishing files: a clear message or a row, never a traceback, nothing lost.

All of it is done for real: processes are killed, disks are full, the kernel refuses.
"""

from __future__ import annotations

import os
import platform
import resource
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import curate as library
import curate_cli
from conftest import LONG_AGO_S, PICTURES, Curate, Done, command, picture, write
from curate.cache import Cache, Parts
from curate.errors import CurateError, StoreLocked
from curate.progress import Advance, silent
from curate.project import Project
from curate.versions import Version

MANY = 180


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """So many pictures that it takes seconds to measure them; crops of one noise, as drawing each would take longer."""
    folder = tmp_path_factory.mktemp("bad_days") / "many"
    noise = np.random.default_rng(5).integers(30, 226, (850, 1100, 3), np.uint8)
    for number in range(MANY):
        top, left = divmod(number * 7, 240)
        buffer = BytesIO()
        Image.fromarray(noise[top * 4 : top * 4 + 600, left : left + 800]).save(buffer, "JPEG", quality=60)
        write(folder / f"{number}.jpg", buffer.getvalue())
    return folder


def store_of(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.curate")


def clean(folder: Path, **options: Any) -> Version:
    version = library.clean(folder, **{"workers": 1} | options).version
    assert version
    return version


# ---- Kills


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def remembered(store: Path) -> int:
    """How many contents the cache knows; a part that is damaged would be removed by this, which none may be."""
    parts = Parts(store / "cache", "facts")
    before = parts.paths()
    known = {digest for table in parts.read() for digest in table["sha256"].to_pylist()}
    assert parts.paths() == before
    return len(known)


def wait_until(condition: Callable[[], object], timeout_s: float = 30) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


def kill_after(running: subprocess.Popen[bytes], store: Path, delay_s: float | None) -> None:
    """kill -9 that long after the run has taken the lock, None = when it has kept something; workers must end, too."""
    parts = set(store.glob("cache/facts-*"))

    def has_begun_or_ended() -> bool:
        lock = store / "lock.json"
        return running.poll() is not None or (lock.exists() and f'"pid": {running.pid},' in lock.read_text())

    wait_until(has_begun_or_ended)
    if delay_s is None:  # a busy machine takes longer than any delay
        wait_until(lambda: running.poll() is not None or set(store.glob("cache/facts-*")) - parts)
    else:
        time.sleep(delay_s)
    workers = children(running.pid) if running.poll() is None else []
    running.kill()
    running.communicate()
    wait_until(lambda: not any(Path(f"/proc/{worker}/cmdline").exists() for worker in workers), timeout_s=5)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks for the workers in /proc")
def test_a_run_killed_at_any_moment_goes_on_where_it_was(
    many: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    """Fifteen kills; each run starts right after one, so the dead must not hold the lock, and opens less."""
    undisturbed = clean(many, store=tmp_path / "undisturbed", workers=2)
    store = tmp_path / "store"
    known = 0

    for attempt in range(15):
        words = command("clean", many, "--store", store, "--workers", "2")
        running = subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        kill_after(running, store, delay_s=0.1 * attempt if attempt < 14 else None)

        assert running.returncode in (-signal.SIGKILL, 0)
        now_known = remembered(store)
        assert now_known >= known
        known = now_known
        versions = library.log(many, store=store)
        assert [version.id for version in versions] in ([], [undisturbed.id])

    last = library.clean(many, store=store, workers=2)
    assert last.effort.opened == MANY - known
    assert known > 0
    assert last.version
    assert last.version.id == undisturbed.id


# Kills a child process before its first, second, third … change to a file of the store, each time from the same
# start, and reports what a run after that makes of it.
KILL_AT_EVERY_STEP = """
import os, shutil, signal, sys
import curate
from curate.errors import StoreError
folder, store, start = sys.argv[1:]
WATCHED = {"os.rename", "os.link", "os.remove", "os.mkdir", "os.truncate"}

def is_change(event, arguments):
    if event == "open":
        return arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
    return event in WATCHED

def die_at(step):
    count = 0
    def hook(event, arguments):
        nonlocal count
        if is_change(event, arguments) and str(arguments[0]).startswith(store):
            count += 1
            if count == step:
                os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(hook)

status, step = -1, 0
while status != 0:
    step += 1
    shutil.rmtree(store, ignore_errors=True)
    if os.path.exists(start):
        shutil.copytree(start, store)
    child = os.fork()
    if not child:
        die_at(step)
        curate.clean(folder, store=store, workers=1)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    try:
        seen = [len(curate.table(folder, version.name, store=store)) for version in curate.log(folder, store=store)]
    except StoreError as error:
        seen = [str(error).partition("(")[0]]
    version = curate.clean(folder, store=store, workers=1).version
    intact = curate.verify(folder, store=store).intact
    left = [name for _, _, names in os.walk(store) for name in names if name.endswith((".tmp", ".draft"))]
    print(status, version.name, version.id, seen, intact, left, sep="|")
"""


@pytest.mark.slow
@pytest.mark.parametrize("has_a_version", [False, True])
def test_a_kill_between_any_two_file_operations_loses_nothing(
    photos: Path, tmp_path: Path, environment: dict[str, str], has_a_version: bool
) -> None:
    start, store = tmp_path / "start", tmp_path / "store"
    if has_a_version:
        clean(photos, store=start)
        write(photos / "cats" / "new.jpg", picture(700))
    undisturbed = clean(photos, store=tmp_path / "undisturbed")

    done = subprocess.run(
        [sys.executable, "-c", KILL_AT_EVERY_STEP, photos, store, start],
        env=environment, capture_output=True, text=True,
    )  # fmt: skip

    assert done.stderr == ""
    steps = [line.split("|") for line in done.stdout.splitlines()]
    assert len(steps) > 20
    assert [step[0] for step in steps] == [str(signal.SIGKILL.value)] * (len(steps) - 1) + ["0"]
    assert {step[1] for step in steps} == {"v2" if has_a_version else "v1"}
    assert {step[2] for step in steps} == {undisturbed.id}
    never = f"[\"'{photos}' has not been curated yet \"]"
    assert {step[3] for step in steps} == ({"[6]", "[7, 6]"} if has_a_version else {never, "[]", "[6]"})
    assert {step[4] for step in steps} == {"True"}
    assert {step[5] for step in steps} == {"[]"}


def test_a_merge_of_the_cache_that_was_killed_leaves_rows_twice_and_no_harm(photos: Path) -> None:
    for number in range(18):
        write(photos / "cats" / "new.jpg", picture(710 + number), mtime_s=LONG_AGO_S + number)
        library.clean(photos, workers=1, dry_run=True)
        if number == 14:
            aside = {path: path.read_bytes() for path in (store_of(photos) / "cache").iterdir()}
    cache = Cache(store_of(photos) / "cache")
    assert len(cache.facts.paths()) < 15
    before = library.clean(photos, workers=1, dry_run=True)

    for path, data in list(aside.items())[::2]:  # the merged file is there, half of the small ones still are
        path.write_bytes(data)
    after = library.clean(photos, workers=1, dry_run=True)

    assert (before.effort.opened, after.effort.opened) == (0, 0)
    assert after.table.equals(before.table)


# ---- Two at once

HOLD_THE_LOCK = """
import sys, time
from curate.project import Project
with Project.at(sys.argv[1]).writing("curate clean"):
    print("held", flush=True)
    time.sleep(60)
"""


@contextmanager
def holding_the_lock(folder: Path, environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """Another process that writes to the store of a folder."""
    words = [sys.executable, "-c", HOLD_THE_LOCK, str(folder)]
    with subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        try:
            yield holder
        finally:
            holder.kill()


def test_the_second_of_two_runs_says_who_is_writing(photos: Path, curate: Curate, environment: dict[str, str]) -> None:
    with holding_the_lock(photos, environment) as holder:
        done = curate("clean", photos, "--workers", "1")

    assert done.code == 3
    assert f"Error: `curate clean` (process {holder.pid} on {platform.node()}, since 20" in done.err
    assert done.err.endswith(
        f"is writing to '{photos}.curate'.\nHint: Wait until it ends, then run the same command again.\n"
    )


def test_every_command_that_writes_versions_takes_the_lock(photos: Path, environment: dict[str, str]) -> None:
    clean(photos)
    calls: list[Callable[[], object]] = [
        lambda: library.clean(photos, workers=1),
        lambda: library.undo(photos),
        lambda: library.tag(photos, "paper"),
    ]

    with holding_the_lock(photos, environment):
        for call in calls:
            with pytest.raises(StoreLocked):
                call()


def test_a_store_is_read_while_somebody_writes(photos: Path, curate: Curate, environment: dict[str, str]) -> None:
    clean(photos)

    with holding_the_lock(photos, environment):
        for verb in ("log", "show", "table", "status", "verify"):
            assert curate(verb, photos).code == 0, verb
        assert curate("decide", photos, "cats/0.jpg", "--drop").code == 0


def test_a_lock_dies_with_its_holder(photos: Path, environment: dict[str, str]) -> None:
    with holding_the_lock(photos, environment) as holder:
        holder.kill()
        holder.wait()
        assert (store_of(photos) / "lock.json").exists()

        assert clean(photos).name == "v1"
    assert not (store_of(photos) / "lock.json").exists()


def test_a_lock_file_of_garbage_does_not_matter(photos: Path, environment: dict[str, str]) -> None:
    with holding_the_lock(photos, environment):
        (store_of(photos) / "lock.json").write_text("[1]")
        with pytest.raises(StoreLocked, match="Another process is writing"):
            clean(photos)

    assert clean(photos).name == "v1"


# ---- Disks


@pytest.mark.parametrize("free_kb", [0, 4, 12, 24])
def test_a_full_disk_is_said_and_nothing_is_lost(
    photos: Path, curate: Curate, disk: Callable[..., Path], free_kb: int
) -> None:
    """Wherever in the run the disk is full: at the lock, in the cache, in the version."""
    undisturbed = clean(photos)
    small = disk("small", "size=1m")
    filler = small / "filler"
    filler.write_bytes(bytes(1_048_576 - 4096 - free_kb * 1024))  # a page is for the store's folder

    full = curate("clean", photos, "--store", small / "store", "--workers", "1")

    assert full.code == 3
    assert full.err.startswith("Error: Can't write '")
    assert ": No space left on device.\nHint: Free some space and run the same command again" in full.err
    filler.unlink()
    again = curate("clean", photos, "--store", small / "store", "--workers", "1", "--json")
    assert (again.code, again.json["id"]) == (0, undisturbed.id)


def test_a_disk_that_is_full_later_keeps_all_versions(photos: Path, curate: Curate, disk: Callable[..., Path]) -> None:
    small = disk("small", "size=1m")
    store = ("--store", small / "store")
    curate("clean", photos, *store, "--workers", "1")
    before = curate("table", photos, *store).out
    free = os.statvfs(small)
    (small / "filler").write_bytes(bytes(free.f_bavail * free.f_frsize))

    write(photos / "cats" / "new.jpg", picture(730))
    assert curate("clean", photos, *store, "--workers", "1").code == 3
    decided = curate("decide", photos, "cats/0.jpg", "--drop", *store)

    assert decided.code == 3
    assert "Error: The decisions in" in decided.err or "Error: Can't write" in decided.err
    assert curate("table", photos, *store).out == before
    assert curate("verify", photos, *store).code == 0


def test_a_full_disk_stops_an_export_without_a_trace(photos: Path, curate: Curate, disk: Callable[..., Path]) -> None:
    clean(photos)
    small = disk("small", "size=32k")

    done = curate("export", photos, small / "out")

    assert done.code == 3
    assert "No space left on device" in done.err
    assert list(small.iterdir()) == []


def test_a_limit_on_the_size_of_files_is_said(photos: Path, process: Curate) -> None:
    done = process(
        "clean", photos, "--workers", "1",
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000)),
    )  # fmt: skip

    assert done.code == 3
    assert "Error: Can't write '" in done.err
    assert "File too large.\nHint: A file may not be that large here" in done.err
    assert clean(photos).name == "v1"


def test_a_folder_on_a_read_only_disk_needs_a_store_elsewhere(
    curate: Curate, disk: Callable[..., Path], tmp_path: Path
) -> None:
    source = disk("source", "size=1m")
    write(source / "photos" / "1.jpg", PICTURES[0])
    disk("source", "remount,ro")

    refused = curate("clean", source / "photos", "--workers", "1")
    accepted = curate("clean", source / "photos", "--store", tmp_path / "store", "--workers", "1")

    assert refused.code == 3
    assert refused.err == (
        f"Error: Can't write '{source}/photos.curate': Read-only file system.\n"
        "Hint: Put the store elsewhere: --store PATH.\n"
    )
    assert accepted.code == 0
    assert curate("export", source / "photos", tmp_path / "out", "--store", tmp_path / "store").code == 0


def test_a_store_on_a_read_only_disk_can_be_read(
    photos: Path, curate: Curate, disk: Callable[..., Path], tmp_path: Path
) -> None:
    shared = disk("shared", "size=2m")
    shutil.move(photos, shared / "photos")
    curate("clean", shared / "photos", "--workers", "1")
    curate("decide", shared / "photos", "cats/0.jpg", "--drop")
    curate("clean", shared / "photos", "--workers", "1")
    disk("shared", "remount,ro")

    for line in (
        "log",
        "show",
        "table",
        "status",
        "verify",
        "tag",
        "diff v1",
        "why cats/0.jpg",
        f"export {tmp_path}/o",
    ):
        verb, *rest = line.split()
        done = curate(verb, shared / "photos", *rest)
        assert (done.code, done.err) == (0, ""), line
    for line in ("clean", "undo", "tag paper", "decide cats/1.jpg --drop"):
        verb, *rest = line.split()
        done = curate(verb, shared / "photos", *rest)
        assert done.code == 3, line
        assert done.err.startswith("Error: "), line


# ---- Rights


@pytest.fixture
def as_ordinary_user(environment: dict[str, str]) -> Curate:
    """Run a command line as a user whom the kernel refuses things; it refuses root nothing."""
    # Root's own Python may lie where nobody else may go; the system's, of the same version, takes the same packages.
    pythons = [sys.executable, f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}"]
    ours = [str(Path(package.__file__ or "").parents[1]) for package in (library, curate_cli)]
    options: dict[str, Any] = {"env": {**environment, "PYTHONPATH": os.pathsep.join(ours + sys.path)}, "text": True}
    if os.getuid() == 0:
        options |= {"user": 65534, "group": 65534, "extra_groups": [], "cwd": "/"}

    def run_by(python: str, *arguments: str | Path) -> Done:
        done = subprocess.run([python, *command(*arguments)[1:]], capture_output=True, **options)
        return Done(done.returncode, done.stdout, done.stderr)

    for python in pythons:
        with suppress(OSError):
            if run_by(python, "--version").code == 0:
                return partial(run_by, python)
    pytest.skip("an ordinary user can't run this Python")


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder of ordinary pictures, in another one, that every user may write to."""
    base = Path(tempfile.mkdtemp())
    for number in range(3):
        write(base / "photos" / "cats" / f"{number}.jpg", PICTURES[number])
    for path in (base, base / "photos", base / "photos" / "cats"):
        path.chmod(0o777)
    yield base / "photos"
    for path in base.rglob("*"):
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o777)
    shutil.rmtree(base)


def test_a_parent_folder_that_may_not_be_written_needs_a_store_elsewhere(
    public: Path, as_ordinary_user: Curate, tmp_path: Path
) -> None:
    public.parent.chmod(0o555)

    done = as_ordinary_user("clean", public, "--workers", "1")

    assert done.code == 3
    assert done.err == (
        f"Error: Can't write '{public}.curate': Permission denied.\nHint: Put the store elsewhere: --store PATH.\n"
    )


def test_what_may_not_be_read_is_a_row_or_a_remark(public: Path, as_ordinary_user: Curate) -> None:
    write(public / "closed" / "1.jpg", PICTURES[5])
    (public / "closed").chmod(0o000)
    write(public / "no entry" / "2.jpg", PICTURES[6])
    (public / "no entry").chmod(0o444)  # its names may be read, its files not
    write(public / "cats" / "secret.jpg", PICTURES[7]).chmod(0o000)

    first = as_ordinary_user("clean", public, "--workers", "1", "--json")

    assert first.code == 0, first.err
    assert first.json["skipped"] == {"closed": "folder can't be listed: Permission denied"}
    assert first.json["read_errors"] == {"permission": 2}
    assert first.json["kept"] == 3
    (public / "cats" / "secret.jpg").chmod(0o444)
    again = as_ordinary_user("clean", public, "--workers", "1", "--json")
    assert (again.json["read_errors"], again.json["opened"]) == ({"permission": 1}, 1)


def test_a_folder_that_may_not_be_listed_is_named(public: Path, as_ordinary_user: Curate) -> None:
    public.chmod(0o000)

    done = as_ordinary_user("clean", public)

    assert (done.code, done.err) == (
        2,
        f"Error: The folder '{public}' can't be listed: Permission denied.\nHint: Try: chmod u+rx {public}\n",
    )


def test_a_folder_behind_a_closed_one_is_a_message(public: Path, as_ordinary_user: Curate) -> None:
    public.parent.chmod(0o000)

    for verb in ("clean", "log"):
        done = as_ordinary_user(verb, public)

        assert done.code in (2, 3)
        assert done.err.startswith("Error: ")
        assert "Traceback" not in done.err


def test_a_store_of_somebody_else_can_be_read(public: Path, as_ordinary_user: Curate, curate: Curate) -> None:
    if os.getuid() != 0:
        pytest.skip("takes two users")
    curate("clean", public, "--workers", "1")
    curate("decide", public, "cats/0.jpg", "--drop")
    curate("clean", public, "--workers", "1")

    for words in (("log",), ("table",), ("status",), ("verify",), ("why", "cats/0.jpg")):
        done = as_ordinary_user(words[0], public, *words[1:])
        assert (done.code, done.err) == (0, ""), words
    refused = as_ordinary_user("clean", public, "--workers", "1")
    assert refused.code == 3
    assert "Permission denied" in refused.err
    assert "Traceback" not in refused.err


# ---- Files that change under our hands


def meddling(meddle: Callable[[], object]) -> Callable[[str, int], AbstractContextManager[Advance]]:
    """A progress display that does something when the files have been listed, but none has been opened."""
    once = iter([meddle])

    @contextmanager
    def show(title: str, total: int) -> Iterator[Advance]:
        if title in ("Hashing", "Measuring"):
            for act in once:
                act()
        with silent(title, total) as advance:
            yield advance

    return show


def read_errors(folder: Path, **options: Any) -> dict[str, object]:
    table = library.clean(folder, workers=1, **options).table
    return {path: error if isinstance(error, str) else None for path, error in zip(table["path"], table["read_error"])}  # noqa: B905


def test_a_file_that_vanishes_is_a_row_this_time_and_forgotten_the_next(photos: Path) -> None:
    vanish = meddling(lambda: (photos / "cats" / "0.jpg").unlink())

    errors = read_errors(photos, progress=vanish)

    assert errors.pop("cats/0.jpg") == "missing"
    assert set(errors.values()) == {None}
    assert "cats/0.jpg" not in read_errors(photos)


def test_a_folder_that_vanishes_is_rows(photos: Path) -> None:
    errors = read_errors(photos, progress=meddling(lambda: shutil.rmtree(photos / "cats")))

    assert [path for path, error in errors.items() if error == "missing"] == ["cats/0.jpg", "cats/1.jpg", "cats/2.jpg"]


def test_a_file_that_becomes_a_folder_is_a_row(photos: Path) -> None:
    def replace() -> None:
        (photos / "cats" / "0.jpg").unlink()
        (photos / "cats" / "0.jpg").mkdir()

    assert read_errors(photos, progress=meddling(replace))["cats/0.jpg"] == "io_error"


def test_when_one_of_two_copies_vanishes_the_other_is_measured(photos: Path) -> None:
    """Of several files of the same bytes only one is opened; it may be the one that is gone."""
    write(photos / "cats" / "copy.jpg", PICTURES[0])
    clean(photos)
    for path in (store_of(photos) / "cache").glob("facts-*"):
        path.unlink()

    result = library.clean(photos, workers=1, progress=meddling(lambda: (photos / "cats" / "0.jpg").unlink(True)))

    rows = result.table.set_index("path")
    assert rows.loc["cats/0.jpg", "read_error"] == "missing"
    assert (rows.loc["cats/copy.jpg", "width"], rows.loc["cats/copy.jpg", "keep"]) == (96, True)


def test_a_file_that_changes_is_what_was_read(photos: Path) -> None:
    """The digest, the facts and the next run's verdict are all about the same bytes."""
    clean(photos)
    for path in (store_of(photos) / "cache").glob("facts-*"):
        path.unlink()
    new = picture(740, 120, 96)

    def rewrite() -> None:
        write(photos / "cats" / "0.jpg", new)

    row = library.clean(photos, workers=1, progress=meddling(rewrite)).table.set_index("path").loc["cats/0.jpg"]

    assert row["width"] == 120
    assert library.verify(photos).intact


def test_a_file_that_vanishes_before_its_bytes_are_kept_is_no_error(photos: Path) -> None:
    """A kept byte is an offer, not a condition."""
    clean(photos)
    (photos / "cats" / "0.jpg").chmod(0o000)

    clean(photos, changes={"versions.keep_bytes": "always"})

    objects = [path for path in (store_of(photos) / "objects").rglob("*") if path.is_file()]
    assert len(objects) in (5, 6)  # root may read it all the same


def test_the_store_deleted_while_nobody_looks_is_made_again(photos: Path) -> None:
    first = clean(photos)
    shutil.rmtree(store_of(photos))

    assert clean(photos).id == first.id


def test_no_expected_error_is_a_traceback(photos: Path, curate: Curate) -> None:
    """The last resort: what the system refuses in a place that nobody thought of."""
    done = curate("table", photos, "--output", photos / "cats" / "0.jpg" / "t.csv")

    assert done.code == 3
    assert done.err.startswith("Error: ")


def test_temporary_files_have_the_rights_of_ordinary_ones(photos: Path) -> None:
    clean(photos)

    assert stat.S_IMODE((store_of(photos) / "store.json").stat().st_mode) & 0o400


def test_project_errors_are_all_curate_errors(photos: Path) -> None:
    store_of(photos).mkdir()
    (store_of(photos) / "lock").mkdir()  # a folder where a file should be

    with pytest.raises(CurateError), Project.at(photos).writing("test"):
        pass
