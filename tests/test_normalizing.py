"""`normalize_pictures`: once per content, kept as it comes, the same whoever does it; and exact statistics."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from PIL import Image

from conftest import PICTURES, picture, write
from curate.errors import StoreError
from curate.executors import Executor, Processes, Serial
from curate.normalizing import Outputs, Source, exact_dot, mean_std, normalize_pictures, outputs_of
from curate.objects import object_path
from curate.project import Project
from curate.transform import Transform
from pictures import JPEG, UNREADABLE, encoded

SERIAL = Serial()
SMALL = Transform(size="32")


def rows_of(folder: Path) -> pd.DataFrame:
    """The table of a folder, as far as normalizing looks at it."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return pd.DataFrame(
        {
            "path": [file.relative_to(folder).as_posix() for file in files],
            "sha256": [hashlib.sha256(file.read_bytes()).hexdigest() for file in files],
            "size_bytes": [file.stat().st_size for file in files],
        }
    )


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    """Twelve pictures, the first under a second name as well."""
    for number, data in enumerate(PICTURES):
        write(tmp_path / "pets" / f"{number:02}.jpg", data)
    write(tmp_path / "pets" / "copy of 00.jpg", PICTURES[0])
    return tmp_path / "pets"


def run(
    folder: Path, transform: Transform = SMALL, executor: Executor = SERIAL, rows: pd.DataFrame | None = None
) -> Outputs:
    return normalize_pictures(rows_of(folder) if rows is None else rows, Project.at(folder), transform, executor)


def objects(folder: Path) -> dict[str, bytes]:
    """digest -> bytes of every object in the store."""
    root = Project.at(folder).objects
    return {file.parent.name + file.name: file.read_bytes() for file in root.rglob("*") if file.is_file()}


def parts(folder: Path) -> list[Path]:
    return sorted((Project.at(folder).cache / "outputs").rglob("*.parquet"))


# ---- Outputs


def test_every_content_has_one_output(pets: Path) -> None:
    """A copy is not transformed again."""
    found = run(pets)

    assert found.computed == 12
    assert found.failures == found.notes == {}
    assert sorted(found.table.index) == sorted(set(rows_of(pets)["sha256"]))
    assert set(found.table["output_format"]) == {"JPEG"}
    assert set(found.table["output_width"]) == set(found.table["output_height"]) == {32}


def test_an_object_has_the_name_of_its_content(pets: Path) -> None:
    table = run(pets).table

    kept = objects(pets)
    assert sorted(kept) == sorted(table["output_sha256"])
    assert all(hashlib.sha256(data).hexdigest() == name for name, data in kept.items())
    assert {name: len(data) for name, data in kept.items()} == dict(
        zip(table["output_sha256"], table["output_size_bytes"], strict=True)
    )


def test_the_source_is_only_read(pets: Path) -> None:
    before = {file: (file.read_bytes(), file.stat().st_mtime_ns) for file in pets.iterdir()}

    run(pets)

    assert {file: (file.read_bytes(), file.stat().st_mtime_ns) for file in pets.iterdir()} == before


def test_equal_outputs_are_one_object(tmp_path: Path) -> None:
    """The same pixels, compressed in two ways."""
    image = Image.new("RGB", (50, 50), "teal")
    write(tmp_path / "pets" / "a.png", encoded(image, "PNG", compress_level=1))
    write(tmp_path / "pets" / "b.png", encoded(image, "PNG", compress_level=9, optimize=True))

    found = run(tmp_path / "pets")

    assert len(found.table) == 2
    assert len(objects(tmp_path / "pets")) == 1


def test_one_process_and_two_make_the_same(pets: Path, tmp_path: Path) -> None:
    shutil.copytree(pets, tmp_path / "again")

    one, two = run(pets), run(tmp_path / "again", executor=Processes(2))

    pd.testing.assert_frame_equal(one.table.sort_index(), two.table.sort_index())
    assert objects(pets) == objects(tmp_path / "again")


def test_outputs_of_gives_what_is_there_and_makes_nothing(pets: Path) -> None:
    sha256 = rows_of(pets)["sha256"].unique().tolist()
    project = Project.at(pets)

    assert len(outputs_of(project, SMALL, sha256)) == 0
    table = run(pets).table
    pd.testing.assert_frame_equal(outputs_of(project, SMALL, sha256), table)
    assert len(outputs_of(project, SMALL, sha256[:2])) == 2
    assert len(outputs_of(project, Transform(size="33"), sha256)) == 0


# ---- Once


def test_a_second_run_makes_nothing(pets: Path) -> None:
    run(pets)

    assert run(pets).computed == 0


def test_another_transform_makes_all_anew_and_keeps_the_others(pets: Path) -> None:
    run(pets)

    assert run(pets, Transform(size="16")).computed == 12
    assert run(pets).computed == 0
    assert len(objects(pets)) == 24


@pytest.mark.parametrize("damage", ["delete", "cut"])
def test_an_output_whose_object_is_gone_is_made_again(pets: Path, damage: str) -> None:
    table = run(pets).table
    file = object_path(Project.at(pets), table["output_sha256"].iloc[3])
    file.unlink() if damage == "delete" else os.truncate(file, 10)

    found = run(pets)

    assert found.computed == 1
    assert len(found.table) == 12
    assert hashlib.sha256(file.read_bytes()).hexdigest() == table["output_sha256"].iloc[3]


@pytest.mark.parametrize("damage", [b"", b"garbage", None])
def test_a_damaged_cache_is_made_again(pets: Path, damage: bytes | None) -> None:
    """None: one bit of the data is flipped, which only a checksum can tell."""
    run(pets)
    (part,) = parts(pets)
    data = bytearray(part.read_bytes())
    data[200] ^= 1
    part.write_bytes(bytes(data) if damage is None else damage)

    found = run(pets)

    assert found.computed == 12
    assert len(found.table) == 12


def test_the_cache_stays_few_files(pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Written once a second, it would have thousands after an hour."""
    monkeypatch.setattr("curate.normalizing.FLUSH_SECONDS", -1.0)
    monkeypatch.setattr("curate.normalizing.CHUNK_ITEMS", 1)
    monkeypatch.setattr("curate.output_cache.MOST_SMALL", 3)

    run(pets)

    assert len(parts(pets)) <= 4
    assert run(pets).computed == 0


def test_a_killed_run_goes_on_where_it_stopped(pets: Path, environment: dict[str, str]) -> None:
    """kill -9, no goodbye: what was finished before is not made again, and nothing half written is taken for whole."""
    for number in range(300):
        write(pets / f"more {number}.jpg", picture(1000 + number))
    rows = rows_of(pets)
    rows.to_json(pets.parent / "rows.json")
    child = subprocess.Popen([sys.executable, "-c", SLOW, str(pets)], env=environment, stdout=subprocess.PIPE)
    deadline = time.monotonic() + 30
    while not parts(pets) and time.monotonic() < deadline:
        time.sleep(0.02)

    os.kill(child.pid, signal.SIGKILL)
    child.communicate()
    (Project.at(pets).objects / ".incoming" / ".left.tmp").write_bytes(b"half")
    found = run(pets, executor=Processes(2), rows=rows)

    assert 0 < found.computed < 312
    assert len(found.table) == 312
    assert sorted(objects(pets)) == sorted(set(found.table["output_sha256"]))


# Normalizes a folder, and takes a rest after each chunk.
SLOW = """
import sys, time
from pathlib import Path
import pandas as pd
from curate.executors import Serial
from curate.normalizing import normalize_pictures
from curate.project import Project
from curate.transform import Transform

class Slow(Serial):
    def map(self, function, chunks):
        for answer in super().map(function, chunks):
            yield answer
            time.sleep(0.2)

folder = Path(sys.argv[1])
rows = pd.read_json(folder.parent / "rows.json", dtype=False)
normalize_pictures(rows, Project.at(folder), Transform(size="32"), Slow())
"""


# ---- What fails


def test_a_file_that_changed_is_a_failure(pets: Path) -> None:
    rows = rows_of(pets)
    write(pets / "05.jpg", JPEG)

    found = run(pets, rows=rows)

    assert found.failures == {"05.jpg": "it has other bytes now than when it was scanned"}
    assert len(found.table) == 11


def test_a_file_that_is_gone_is_a_failure_until_it_is_back(pets: Path) -> None:
    rows = rows_of(pets)
    (pets / "05.jpg").unlink()

    assert run(pets, rows=rows).failures == {"05.jpg": "it is not there any more"}
    write(pets / "05.jpg", PICTURES[5])
    assert run(pets, rows=rows).failures == {}


def test_where_the_source_is_gone_the_stores_copy_serves(pets: Path) -> None:
    rows = rows_of(pets)
    copy = object_path(Project.at(pets), rows.set_index("path")["sha256"]["05.jpg"])
    write(copy, PICTURES[5])
    (pets / "05.jpg").unlink()

    assert run(pets, rows=rows).failures == {}


def test_when_one_of_two_copies_is_gone_the_other_serves(pets: Path) -> None:
    rows = rows_of(pets)
    (pets / "00.jpg").unlink()

    for order in (rows, rows[::-1]):
        found = run(pets, rows=order)

        assert found.failures == {}
        assert len(found.table) == 12


def test_a_damaged_picture_is_a_failure_with_the_reason(pets: Path) -> None:
    write(pets / "bad.jpg", UNREADABLE["truncated.jpg"][1])

    found = run(pets)

    assert list(found.failures) == ["bad.jpg"]
    assert found.failures["bad.jpg"].startswith("it can't be read: truncated: ")
    assert len(found.table) == 12


def test_a_damaged_profile_is_noted_again_and_again(pets: Path) -> None:
    """Also when the output comes from the cache."""
    write(pets / "odd.jpg", encoded(Image.new("RGB", (40, 40)), "JPEG", icc_profile=b"garbage"))

    for _ in range(2):
        found = run(pets)

        assert found.failures == {}
        assert found.notes == {"odd.jpg": "its colour profile is damaged and was ignored"}


@dataclass(frozen=True)
class Deadly(Processes):
    """A worker that is given 07.jpg dies."""

    def map(self, function: Any, chunks: Any) -> Any:
        yield from super().map(partial(die_of_one, function), chunks)


def die_of_one(function: Any, chunk: Sequence[Source]) -> Any:
    if any(source.path == "07.jpg" for source in chunk):
        os.kill(os.getpid(), signal.SIGKILL)
    return function(chunk)


def test_a_killed_worker_costs_only_its_picture(pets: Path) -> None:
    """A decoder may crash on one picture, or the system may kill it for its memory."""
    found = run(pets, executor=Deadly(2))

    assert found.failures == {"07.jpg": "the process that made it uniform was killed"}
    assert found.computed == 11


@pytest.mark.skipif(sys.platform == "win32", reason="no such limit there")
@pytest.mark.parametrize("workers", [1, 2])
def test_a_full_disk_is_said_in_words(pets: Path, environment: dict[str, str], workers: int) -> None:
    """Here the limit of a file's size, which fails in the same place."""
    rows_of(pets).to_json(pets.parent / "rows.json")

    done = subprocess.run(
        [sys.executable, "-c", FULL, str(pets), str(workers)], env=environment, capture_output=True, text=True
    )

    assert "StoreError: Can't write " in done.stdout
    assert "hint: A file may not be that large here" in done.stdout
    assert objects(pets) == {}


FULL = """
import resource, signal, sys
from pathlib import Path
import pandas as pd
from curate.errors import StoreError
from curate.executors import executor_for
from curate.settings import ExecutorSettings
from curate.normalizing import normalize_pictures
from curate.project import Project
from curate.transform import Transform

folder = Path(sys.argv[1])
rows = pd.read_json(folder.parent / "rows.json", dtype=False)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (500, 500))
chosen = ExecutorSettings(workers=int(sys.argv[2]))
try:
    normalize_pictures(rows, Project.at(folder), Transform(size="32"), executor_for(chosen))
except StoreError as error:
    print(f"StoreError: {error} hint: {error.hint}")
"""


# ---- Statistics


def pixels_of(project: Project, output_sha256: Sequence[str]) -> NDArray[np.float64]:
    """All pixels of these outputs as Pillow decodes them, (N, 3), 0 to 1."""
    opened = [np.asarray(Image.open(object_path(project, one)).convert("RGB")) for one in output_sha256]
    return np.concatenate([one.reshape(-1, 3) for one in opened]) / 255.0


@pytest.mark.parametrize("settings", [{}, {"chroma": "420", "quality": 60}, {"format": "png"}, {"format": "webp"}])
def test_what_training_reads_has_mean_0_and_deviation_1(pets: Path, settings: dict[str, Any]) -> None:
    """Read back from the files by Pillow, pictures as often as they are repeated; of shapes that differ."""
    transform = Transform(**{"size": "40", "fit": "longest", **settings})
    write(pets / "tall.jpg", picture(77, 60, 120))
    rows = rows_of(pets)
    rows = rows.join(run(pets, transform).table, on="sha256").assign(repeat=range(len(rows)))

    found = mean_std(rows, Project.at(pets), transform)

    seen = pixels_of(Project.at(pets), rows.loc[rows.index.repeat(rows["repeat"].tolist()), "output_sha256"].tolist())
    scaled = (seen - found.mean) / found.std
    assert np.abs(scaled.mean(axis=0)).max() < 1e-9
    assert np.abs(scaled.std(axis=0) - 1).max() < 1e-9
    assert found.pictures == sum(range(14))
    assert found.pixels == len(seen)


def test_a_picture_of_one_colour_has_no_deviation(tmp_path: Path) -> None:
    """51 of 255 is 0.2. The exact sums leave no dust that would make it 1e-9."""
    write(tmp_path / "pets" / "a.png", encoded(Image.new("RGB", (9, 9), (51, 102, 255)), "PNG"))
    transform = Transform(size="7", format="png")
    rows = rows_of(tmp_path / "pets").join(run(tmp_path / "pets", transform).table, on="sha256")

    found = mean_std(rows, Project.at(tmp_path / "pets"), transform)

    assert found.mean == (0.2, 0.4, 1.0)
    assert found.std == (0.0, 0.0, 0.0)
    assert (found.pictures, found.pixels) == (1, 49)


def test_the_order_of_rows_changes_no_digit(pets: Path) -> None:
    rows = rows_of(pets).join(run(pets).table, on="sha256")

    assert mean_std(rows, Project.at(pets), SMALL) == mean_std(rows.sample(frac=1), Project.at(pets), SMALL)


def test_rows_without_an_output_do_not_count(pets: Path) -> None:
    rows = rows_of(pets).join(run(pets).table, on="sha256").assign(repeat=pd.array([1] * 13, "Int64"))
    rows.loc[rows["path"] == "03.jpg", "output_sha256"] = None
    rows.loc[rows["path"] == "04.jpg", "repeat"] = 0
    rows.loc[rows["path"] == "05.jpg", "repeat"] = pd.NA

    assert mean_std(rows, Project.at(pets), SMALL).pictures == 11


def test_without_a_picture_there_is_no_number(pets: Path) -> None:
    rows = rows_of(pets).join(run(pets).table, on="sha256")

    found = mean_std(rows[:0], Project.at(pets), SMALL)

    assert (found.pictures, found.pixels) == (0, 0)
    assert np.isnan([*found.mean, *found.std]).all()


def test_statistics_do_not_need_the_cache(pets: Path) -> None:
    """It is disposable; the objects are looked at again."""
    rows = rows_of(pets).join(run(pets).table, on="sha256")
    before = mean_std(rows, Project.at(pets), SMALL)
    parts(pets)[0].unlink()

    assert mean_std(rows, Project.at(pets), SMALL) == before


@pytest.mark.parametrize("damage", ["delete", "change"])
def test_statistics_of_an_object_that_is_gone_are_an_error(pets: Path, damage: str) -> None:
    rows = rows_of(pets).join(run(pets).table, on="sha256")
    parts(pets)[0].unlink()
    file = object_path(Project.at(pets), rows["output_sha256"][2])
    file.unlink() if damage == "delete" else file.write_bytes(JPEG)

    with pytest.raises(StoreError, match=f"normalized picture {rows['output_sha256'][2]} is gone") as caught:
        mean_std(rows, Project.at(pets), SMALL)

    assert caught.value.hint == f"Make it again: curate normalize {pets}"


def test_sums_are_exact_beyond_64_bits() -> None:
    """Ten million pictures of 170 megapixels, all white: the squares add up to 1.1e20."""
    squares = np.array([11_000_000_000_000] * 3)
    often = np.array([2**62, 10**7, 1])

    assert exact_dot(squares, often) == 11_000_000_000_000 * (2**62 + 10**7 + 1)
    assert exact_dot(squares, np.array([1, 2, 3])) == 66_000_000_000_000
    assert exact_dot(squares[:0], often[:0]) == 0
