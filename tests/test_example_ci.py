"""The data checks in examples/ci pass on good data, and name what is wrong with bad data."""

from __future__ import annotations

import shutil
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import pytest
import yaml
from PIL import Image, ImageEnhance

import curate as library
from conftest import picture, write

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples" / "ci"


def check(folder: Path, environment: dict[str, str], *options: str) -> subprocess.CompletedProcess[str]:
    """Run check_data.py beside the data, with the `curate` of this environment."""
    path = f"{Path(sys.executable).parent}:{environment['PATH']}"
    words = [sys.executable, str(EXAMPLE / "check_data.py"), folder.name, *options]
    variables = {**environment, "PATH": path, "GITHUB_STEP_SUMMARY": str(folder.parent / "page.md")}
    return subprocess.run(words, cwd=folder.parent, env=variables, capture_output=True, text=True)


def changed(data: bytes, brightness: float) -> bytes:
    """The picture saved again, so much brighter."""
    buffer = BytesIO()
    ImageEnhance.Brightness(Image.open(BytesIO(data))).enhance(brightness).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty pictures of two classes in three splits, tagged and pinned."""
    folder = tmp_path_factory.mktemp("repository") / "images"
    for number in range(60):
        write(folder / ("cats" if number % 2 else "dogs") / f"{number}.jpg", picture(7000 + number))
    write(folder.parent / "images.curate" / "curate.toml", b'[models]\nbackbone = "classic"\n')
    library.clean(folder)
    library.split(folder)
    library.tag(folder, "trained")
    library.pin(folder, output=folder.parent / "curate.lock")
    return folder


@pytest.fixture
def data(good: Path, tmp_path: Path) -> Path:
    """A copy of that, to break."""
    shutil.copytree(good.parent, tmp_path / "repository")
    return tmp_path / "repository" / "images"


def test_good_data_passes(data: Path, environment: dict[str, str]) -> None:
    done = check(data, environment)

    assert done.returncode == 0, done.stdout + done.stderr
    summary = (data.parent / "reports" / "summary.md").read_text(encoding="utf-8")
    assert summary.startswith("## Data in `images`: all 4 checks passed\n")
    assert (data.parent / "page.md").read_text(encoding="utf-8") == summary


def test_a_leak_fails_and_is_named(tmp_path: Path, environment: dict[str, str]) -> None:
    """A picture of test was saved again and put into train."""
    for number in range(24):
        name = f"{'test' if number < 6 else 'train'}/{'cats' if number % 2 else 'dogs'}/{number}.jpg"
        write(tmp_path / "images" / name, picture(7000 + number))
    write(tmp_path / "images" / "train" / "dogs" / "leak.jpg", changed(picture(7000), brightness=1.0))

    done = check(tmp_path / "images", environment)

    assert done.returncode == 1
    assert "| Is no picture of test or validation in train? | **no** |" in done.stdout
    assert "## Data in `images`: 1 of 3 checks failed" in done.stdout


def test_broken_pictures_fail_and_are_named(data: Path, environment: dict[str, str]) -> None:
    for number in range(10):
        write(data / "cats" / f"broken{number}.jpg", picture(8000 + number)[:500])

    done = check(data, environment)

    assert done.returncode == 1
    assert "| Are at most 5% of the pictures faulty or copies? | **no** |" in done.stdout
    assert "10  unreadable" in (data.parent / "reports" / "summary.md").read_text(encoding="utf-8")


def test_changed_bytes_fail(data: Path, environment: dict[str, str]) -> None:
    """And what training would load is not what was pinned."""
    write(data / "dogs" / "0.jpg", picture(1))

    done = check(data, environment)

    assert done.returncode == 1
    assert "| Is the data that training loads what was pinned? | **no** |" in done.stdout


def test_data_of_another_kind_drift(data: Path, environment: dict[str, str]) -> None:
    for number in range(60):
        name = f"{'cats' if number % 2 else 'dogs'}/dark{number}.jpg"
        write(data / name, changed(picture(6000 + number), brightness=0.8))

    done = check(data, environment, "--against", "trained", "--lock", "none")

    assert "| Does the data come from the same source as trained? | **no** |" in done.stdout
    assert (data.parent / "reports" / "drift.xml").exists()


def test_what_can_not_be_asked_counts_as_no(tmp_path: Path, environment: dict[str, str]) -> None:
    done = check(tmp_path / "nowhere", environment)

    assert done.returncode == 1
    assert done.stdout.count("**could not be asked**") == 3


def test_the_workflow_calls_the_script_with_options_it_has() -> None:
    workflow = yaml.safe_load((EXAMPLE / ".github" / "workflows" / "data.yml").read_text(encoding="utf-8"))

    steps = [step["run"] for step in workflow["jobs"]["check"]["steps"] if "run" in step]
    [line] = [step for step in steps if "check_data.py" in step]
    options = [word for word in line.split() if word.startswith("--")]
    text = (EXAMPLE / "check_data.py").read_text(encoding="utf-8")
    assert options == ["--lock", "--against", "--max-dropped"]
    assert all(f'"{option}"' in text for option in options)
