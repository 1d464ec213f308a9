"""The formats' own libraries, asked in a Python of their own: they want other versions of what we use."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

TESTS = Path(__file__).parent
PYTHON = Path(os.environ.get("CURATE_ORACLES", TESTS.parent / ".oracles" / "bin" / "python"))
OFFLINE = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "FIFTYONE_DO_NOT_TRACK": "1"}


def ask(script: str, *arguments: str | Path, home: Path | None = None) -> Any:
    """What a script of tests/oracles prints, which is JSON. home: where the library may keep its caches.

    Skips the test where the libraries are not installed (`make .oracles` does it), but never in CI.
    """
    if not PYTHON.exists():
        if os.environ.get("CI"):
            pytest.fail(f"there is no {PYTHON}: run `make .oracles/ready`")
        pytest.skip("the formats' own libraries are not installed: make .oracles/ready")
    environment = {**os.environ, **OFFLINE} | ({"HOME": str(home), "HF_HOME": str(home)} if home else {})
    environment.pop("PYTHONPATH", None)
    done = subprocess.run(
        [PYTHON, TESTS / "oracles" / script, *map(str, arguments)], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)
