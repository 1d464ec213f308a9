"""What every check must keep to, whoever wrote it: tried on each one that discovery finds."""

from __future__ import annotations

import math
import pickle
import subprocess
import sys
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydantic import ValidationError

from curate.cache import DECODED, PANDAS_TYPES
from curate.checks import Action, Check, Column, FactValue, all_checks
from curate.errors import UnreadableImage
from curate.imaging import DecodedImage, open_image
from curate.opinions import COLUMNS as OPINION_COLUMNS
from pictures import READABLE, encoded

SCAN = (Column("path", "string", ""), Column("size_bytes", "int64", ""), Column("label", "string", ""))
OPINIONS = tuple(column for columns in OPINION_COLUMNS.values() for column in columns)
COLUMNS = (*SCAN, Column("sha256", "string", ""), *DECODED, *OPINIONS)
PYTHON_TYPES = {
    "float32": (float, int),
    "int64": (int,),
    "boolean": (bool,),
    "string": (str,),
    "binary": (bytes,),
}
STAND_INS = {"float32": 0.5, "int64": 1, "boolean": True, "string": "some words", "binary": b""}
HEADINGS = ("What it measures:", "Why it matters:", "What it flags:", "When it is wrong:", "Source:")


def photo(seed: int) -> NDArray[np.uint8]:
    """A soft sky over a noisy ground with a sharp bright square, 90 x 120."""
    rng = np.random.default_rng(seed)
    pixels = np.linspace(220, 90, 90)[:, None, None] * np.array([0.8, 0.9, 1.0]) * np.ones((90, 120, 1))
    pixels[55:] = rng.normal((90, 120, 60), 25, (35, 120, 3))
    top, left = rng.integers(10, 50, 2)
    pixels[top : top + 25, left : left + 30] = rng.integers(0, 255, 3)
    return np.asarray(pixels.clip(0, 255), np.uint8)


def odd_pictures() -> dict[str, bytes]:
    """Name -> bytes of pictures at the edge of what a measure expects, beside those of tests/pictures.py."""
    noise = np.random.default_rng(1).integers(0, 256, (90, 120, 3)).astype(np.uint8)
    chequers = (np.indices((90, 120)).sum(axis=0) % 2 * 255).astype(np.uint8)
    arrays = {
        "one_pixel": np.full((1, 1, 3), 128, np.uint8),
        "one_row": noise.reshape(-1, 3)[None, :500],
        "one_column": noise.reshape(-1, 3)[:500, None],
        "three_by_three": noise[:3, :3],
        "black": np.zeros((90, 120, 3), np.uint8),
        "white": np.full((90, 120, 3), 255, np.uint8),
        "flat_grey": np.full((90, 120, 3), 127, np.uint8),
        "noise": noise,
        "chequers": chequers,
        "two_halves": (np.indices((90, 120))[1] // 60 * 255).astype(np.uint8),
        "ramp": np.tile(np.linspace(0, 255, 120).astype(np.uint8), (90, 1)),
        "photo": photo(0),
    }
    return READABLE | {f"{name}.png": encoded(Image.fromarray(a), "PNG") for name, a in arrays.items()}


ODD = {name: open_image(data) for name, data in odd_pictures().items()}


def row_of(path: str, label: str | None, data: bytes) -> dict[str, Any]:
    """What scan and measurement write of one file; only the reason if it can't be read."""
    row: dict[str, Any] = {"path": path, "size_bytes": len(data), "label": label}
    row["sha256"] = sha256(data).hexdigest()
    try:
        image = open_image(data)
    except UnreadableImage as error:
        return row | {"read_error": error.reason}
    decoded = {name: getattr(image, name) for name in ("width", "height", "format", "mode", "decoder")}
    facts = [check.measure(image) for check in all_checks().values()]
    return row | decoded | {name: value for each in facts for name, value in each.items()}


def table_of(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """The table as a check's `judge` gets it in a run, with the findings of the checks before it."""
    columns = (*COLUMNS, *(fact for check in all_checks().values() for fact in check.facts))
    frame = pd.DataFrame(rows, columns=[column.name for column in columns])
    frame = frame.astype({column.name: PANDAS_TYPES[column.dtype] for column in columns})
    for check in all_checks().values():
        found = check.judge(frame, check.settings.model_validate({}))
        frame = frame.assign(**{str(name): found[name] for name in found})
    return frame


def mixed_folder() -> list[dict[str, Any]]:
    """Twenty ordinary pictures in two classes, one of them thrice and once mislabelled, and every odd one."""
    ordinary = {f"{'ab'[i % 2]}/{i}.png": encoded(Image.fromarray(photo(i)), "PNG") for i in range(20)}
    copies = {"a/copy.png": ordinary["a/0.png"], "b/copy.png": ordinary["a/0.png"]}
    odd = {f"a/{name}": data for name, data in odd_pictures().items()}
    broken = {"a/empty.png": b"", "b/text.png": b"not an image"}
    return [row_of(path, path[0], data) for path, data in (ordinary | copies | odd | broken).items()]


@pytest.fixture(scope="module")
def tables() -> Mapping[str, pd.DataFrame]:
    mixed = table_of(mixed_folder())
    unreadable = [row_of(f"{i}.png", None, b"not an image" * i) for i in range(3)]
    return {"empty": table_of([]), "unreadable": table_of(unreadable), "mixed": mixed}


@pytest.fixture(params=sorted(all_checks()))
def check(request: pytest.FixtureRequest) -> Check:
    return all_checks()[request.param]


def out_of_range(column: Column, value: object) -> bool:
    """Whether a value that is not NA contradicts what the column declares."""
    if not isinstance(value, PYTHON_TYPES[column.dtype]):
        return True
    if not isinstance(value, float | int):
        return False
    low = -math.inf if column.low is None else column.low
    high = math.inf if column.high is None else column.high
    return not (math.isfinite(value) and low <= value <= high)


def wrong_facts(check: Check, measured: Mapping[str, FactValue]) -> list[str]:
    """Names of facts that are missing, not declared, or contradict their declaration."""
    declared = {column.name: column for column in check.facts}
    odd = set(measured) ^ set(declared)
    values = {name: value for name, value in measured.items() if name in declared and value is not None}
    return sorted(odd | {name for name, value in values.items() if out_of_range(declared[name], value)})


def test_measures_exactly_the_declared_facts(check: Check) -> None:
    """Every fact is there for every picture, however odd: of the declared type and range, or None."""
    wrong = {name: wrong_facts(check, check.measure(image)) for name, image in ODD.items()}

    assert {name: facts for name, facts in wrong.items() if facts} == {}


def test_measuring_leaves_the_picture_as_it_was(check: Check) -> None:
    """All checks share one decoded picture."""
    image = open_image(odd_pictures()["photo.png"])
    before = image.rgb.copy()

    check.measure(image)

    assert np.array_equal(image.rgb, before)


def test_measure_crosses_process_borders(check: Check) -> None:
    """Workers get the function by pickle and send the facts back the same way."""
    measure = pickle.loads(pickle.dumps(check.measure))

    facts: Mapping[str, FactValue] = pickle.loads(pickle.dumps(measure(ODD["photo.png"])))

    assert facts == check.measure(ODD["photo.png"])


@pytest.mark.parametrize("name", ["empty", "unreadable", "mixed"])
def test_judges_every_row_of_any_table(check: Check, tables: Mapping[str, pd.DataFrame], name: str) -> None:
    """First a boolean column named like the check, never NA, then the declared findings within their range."""
    table = tables[name]

    judged = check.judge(table, check.settings.model_validate({}))

    assert list(judged.columns) == [check.name, *(column.name for column in check.findings)]
    assert judged.index.equals(table.index)
    assert judged[check.name].dtype == bool
    for column in check.findings:
        present = judged[column.name].dropna().tolist()
        assert [value for value in present if out_of_range(column, value)] == []


@pytest.mark.parametrize("name", ["empty", "unreadable", "mixed"])
def test_judging_leaves_the_table_as_it_was(check: Check, tables: Mapping[str, pd.DataFrame], name: str) -> None:
    """No stage changes a column that another stage wrote."""
    table = tables[name].copy(deep=True)

    check.judge(table, check.settings.model_validate({}))

    pd.testing.assert_frame_equal(table, tables[name])


def test_judgement_does_not_depend_on_the_order_of_rows(check: Check, tables: Mapping[str, pd.DataFrame]) -> None:
    """Equal folders give equal versions, in whatever order the files were found."""
    table = tables["mixed"]

    shuffled = check.judge(table.sample(frac=1, random_state=3), check.settings.model_validate({}))

    pd.testing.assert_frame_equal(shuffled.loc[table.index], check.judge(table, check.settings.model_validate({})))


def test_says_why_a_row_is_flagged(check: Check, tables: Mapping[str, pd.DataFrame]) -> None:
    """`because` fills in for every flagged row; for a check that flags none here, for made-up values."""
    table = tables["mixed"]
    flagged = [{str(k): v for k, v in row.dropna().items()} for _, row in table[table[check.name]].iterrows()]
    columns = (*COLUMNS, *check.facts, *check.findings)
    made_up = {column.name: STAND_INS[column.dtype] for column in columns}

    sentences = [
        check.because.format(settings=check.settings.model_validate({}), **row) for row in flagged or [made_up]
    ]

    assert all(sentence and "nan" not in sentence.split() for sentence in sentences)


def test_settings_are_frozen_and_reject_misspelt_thresholds(check: Check) -> None:
    settings = check.settings.model_validate({})

    with pytest.raises(ValidationError, match="frozen"):
        settings.action = "drop"  # type: ignore[misc]  # the point of the test
    with pytest.raises(ValidationError, match="forbidden"):
        check.settings.model_validate({"min_typo": 1})


def test_default_action_is_one_that_exists(check: Check) -> None:
    assert check.settings.model_validate({}).action in get_args(Action)


def test_every_threshold_says_where_it_comes_from(check: Check) -> None:
    fields = {name: field for name, field in check.settings.model_fields.items() if name != "action"}

    unexplained = [name for name, field in fields.items() if "Origin" not in (field.description or "")]

    assert unexplained == []


def test_thresholds_name_columns_of_the_check_or_of_opinions(check: Check) -> None:
    """The report draws a threshold into the distribution of the column it applies to."""
    extras = [field.json_schema_extra for field in check.settings.model_fields.values()]
    drawn = {extra["fact"] for extra in extras if isinstance(extra, dict) and "fact" in extra}

    assert drawn <= {column.name for column in (*check.facts, *check.findings, *OPINIONS)}


def test_module_docstring_is_the_web_page_of_the_check(check: Check) -> None:
    """Five headings, in this order."""
    page = sys.modules[check.judge.__module__].__doc__ or ""

    found = [page.find(heading) for heading in HEADINGS]

    assert -1 not in found
    assert found == sorted(found)


def test_checks_named_in_after_exist(check: Check) -> None:
    assert set(check.after) <= set(all_checks())


def test_no_two_checks_write_the_same_column() -> None:
    """Nor one that the scan, the decoding or a model writes; only `label_error` repeats what `curate flag` says."""
    written = [column.name for column in COLUMNS if column.name != "label_error"]
    for check in all_checks().values():
        written += [check.name, *(column.name for column in (*check.facts, *check.findings))]

    assert len(written) == len(set(written))


def test_workers_need_not_import_pandas_or_scipy() -> None:
    """They cost half a second of CPU each, per worker; a check imports pandas only for type checking."""
    script = (
        "import sys; from curate.checks import all_checks; all_checks();print(*{'pandas', 'scipy'} & set(sys.modules))"
    )

    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert result.stdout.strip() == ""


def test_pictures_of_this_test_are_decoded() -> None:
    """A guard for the tests above: the odd pictures reach the checks as pixels."""
    assert all(isinstance(image, DecodedImage) for image in ODD.values())
    assert len(ODD) > 30
