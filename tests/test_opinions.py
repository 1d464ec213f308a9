"""What models said is kept, and holds as long as the picture and its label are what it was said of."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from curate.opinions import Opinions, keep_opinions, read_opinions, with_opinions

TABLE = pd.DataFrame({"path": ["a.jpg", "b.jpg", "c.jpg"], "sha256": ["1", "2", None], "label": ["cat", None, "cat"]})
TABLE = TABLE.astype({"path": "str", "sha256": "str", "label": "str"})
SAID = Opinions(
    pd.DataFrame(
        {"path": ["a.jpg"], "sha256": ["1"], "about": ["cat"], "label_quality": [0.25], "label_error": [True]}
    ),
    {"estimated_errors": 1},
)


def test_what_was_said_is_read_back_whole(tmp_path: Path) -> None:
    keep_opinions(tmp_path, "flag", SAID)

    found = read_opinions(tmp_path)

    assert list(found) == ["flag"]
    assert found["flag"].summary == {"estimated_errors": 1}
    assert found["flag"].rows.to_dict("records") == SAID.rows.to_dict("records")


def test_a_damaged_file_counts_as_nothing_said(tmp_path: Path) -> None:
    """The cache can be rebuilt: running the command again does."""
    keep_opinions(tmp_path, "flag", SAID)
    (tmp_path / "opinions-flag.parquet").write_bytes(b"no parquet")

    assert read_opinions(tmp_path) == {}


def test_opinions_stand_beside_their_picture_and_nowhere_else() -> None:
    table = with_opinions(TABLE, TABLE["label"], {"flag": SAID})

    assert table["label_quality"].fillna(-1).tolist() == [0.25, -1, -1]
    assert table["label_error"].fillna(False).tolist() == [True, False, False]
    assert "pred_label" not in table


@pytest.mark.parametrize("column", ["sha256", "label"])
def test_an_opinion_falls_away_when_the_picture_or_its_label_changes(column: str) -> None:
    changed = TABLE.assign(**{column: "other"}).astype({column: "str"})

    table = with_opinions(changed, changed["label"], {"flag": SAID})

    assert table["label_quality"].isna().all()


def test_a_pre_label_is_about_a_picture_without_label() -> None:
    rows = pd.DataFrame({"path": ["b.jpg"], "sha256": ["2"], "about": [None], "pred_label": ["dog"]})

    table = with_opinions(TABLE, TABLE["label"], {"prelabel": Opinions(rows)})

    assert table["pred_label"].fillna("").tolist() == ["", "dog", ""]
