"""Several annotators per picture: reading their votes, overruling labels, consensus and reliability."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from curate.errors import SourceError
from curate.votes import judge_votes, read_votes, verified_errors


def votes(*rows: str) -> pd.DataFrame:
    """Votes written as "path annotator label"."""
    return pd.DataFrame([row.split() for row in rows], columns=["path", "annotator", "label"], dtype="str")


def crowd(pictures: int, accuracies: list[float], classes: int = 4) -> tuple[pd.DataFrame, list[str]]:
    """Votes of annotators who are right with these probabilities, and the true label of each picture."""
    rng = np.random.default_rng(11)
    truth = [f"class {number}" for number in rng.integers(0, classes, pictures)]
    rows = []
    for number, label in enumerate(truth):
        for annotator, accuracy in enumerate(accuracies):
            others = [f"class {other}" for other in range(classes) if f"class {other}" != label]
            said = label if rng.random() < accuracy else others[rng.integers(len(others))]
            rows.append((f"{number:04d}.jpg", f"person {annotator}", said))
    return pd.DataFrame(rows, columns=["path", "annotator", "label"], dtype="str"), truth


def model(truth: list[str], sure: float, classes: int = 4) -> pd.DataFrame:
    """Probabilities that favour the true label."""
    names = [f"class {number}" for number in range(classes)]
    rows = [[sure if name == label else (1 - sure) / (classes - 1) for name in names] for label in truth]
    return pd.DataFrame(rows, index=[f"{number:04d}.jpg" for number in range(len(truth))], columns=names)


# ---- Reading

CSV = "path,annotator,label\na.jpg,ann,01\na.jpg,bob,NA\nsub/../b.jpg,ann,cat\n"
TSV = "image\tworker\tclass\na.jpg\tann\t01\na.jpg\tbob\tNA\nb.jpg\tann\tcat\n"
JSONL = """{"file_name": "a.jpg", "annotator": "ann", "label": "01", "seconds": 3}
{"file_name": "a.jpg", "annotator": "bob", "label": "NA"}
{"file_name": "b.jpg", "annotator": "ann", "label": "cat"}
"""
READ = [["a.jpg", "ann", "01"], ["a.jpg", "bob", "NA"], ["b.jpg", "ann", "cat"]]


@pytest.mark.parametrize(("name", "text"), [("v.csv", CSV), ("v.tsv", TSV), ("v.jsonl", JSONL)])
def test_votes_are_read_in_long_form(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)

    assert read_votes(tmp_path / name).to_numpy().tolist() == READ


def test_votes_are_read_from_parquet(tmp_path: Path) -> None:
    pd.DataFrame(READ, columns=["path", "annotator", "label"]).to_parquet(tmp_path / "v.parquet")

    assert read_votes(tmp_path / "v.parquet").to_numpy().tolist() == READ


def test_numbered_annotators_and_labels_stay_as_written(tmp_path: Path) -> None:
    (tmp_path / "v.jsonl").write_text('{"path": "a.jpg", "annotator": 7, "label": 3}\n')

    assert read_votes(tmp_path / "v.jsonl").to_numpy().tolist() == [["a.jpg", "7", "3"]]


def test_an_empty_label_is_no_vote(tmp_path: Path) -> None:
    (tmp_path / "v.csv").write_text("path,annotator,label\na.jpg,ann,cat\na.jpg,bob,\nb.jpg,bob,_unlabeled\n")

    assert read_votes(tmp_path / "v.csv").to_numpy().tolist() == [["a.jpg", "ann", "cat"]]


def test_the_same_vote_twice_counts_once(tmp_path: Path) -> None:
    (tmp_path / "v.csv").write_text("path,annotator,label\na.jpg,ann,cat\n./a.jpg,ann,cat\n")

    assert len(read_votes(tmp_path / "v.csv")) == 1


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            "a.jpg,ann,cat\na.jpg,bob,cat\na.jpg,ann,dog\n",
            r"two labels of 'a.jpg' by 'ann': 'cat' in row 1 and 'dog' in",
        ),
        ("a.jpg,ann,cat\nb.jpg,,cat\n", "Row 2 .* does not say who the annotator is"),
        ("a.jpg,ann,cat\n../b.jpg,ann,cat\n", r"Row 2 .* names '\.\./b.jpg'"),
        ("a.jpg,ann,\n", "holds no vote"),
        ("", "holds no vote"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_by_row(tmp_path: Path, rows: str, message: str) -> None:
    (tmp_path / "v.csv").write_text("path,annotator,label\n" + rows)

    with pytest.raises(SourceError, match=message):
        read_votes(tmp_path / "v.csv")


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    (tmp_path / "v.csv").write_text("path,label\na.jpg,cat\n")

    with pytest.raises(SourceError, match="no column 'annotator'; its columns are: path, label"):
        read_votes(tmp_path / "v.csv")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="There is no file of votes"):
        read_votes(tmp_path / "v.csv")


# ---- Overruling the given label


def test_a_label_is_an_error_when_most_of_at_least_three_chose_another() -> None:
    said = votes(
        *("a p1 cat", "a p2 dog", "a p3 cow"),  # two of three differ, even if not on one label
        *("b p1 cat", "b p2 cat", "b p3 dog"),
        *("c p1 dog", "c p2 dog"),  # too few people
        *("d p1 cat", "d p2 cat", "d p3 dog", "d p4 dog"),  # half is not most
        *("e p1 dog", "e p2 dog", "e p3 dog"),  # no label was given
    )

    errors = verified_errors(said, {"a": "cat", "b": "cat", "c": "cat", "d": "cat", "unvoted": "cat"})

    assert errors.to_dict() == {"a": True, "b": False, "c": False, "d": False, "e": False}


# ---- Consensus


def test_consensus_is_right_more_often_than_a_plain_majority() -> None:
    """Two good annotators outvote three who guess."""
    said, truth = crowd(300, [0.95, 0.9, 0.3, 0.25, 0.25])

    judged = judge_votes(said)

    majority = said.groupby("path")["label"].agg(lambda labels: labels.mode()[0]).tolist()
    plain = np.mean([one == true for one, true in zip(majority, truth, strict=True)])
    ours = np.mean([one == true for one, true in zip(judged.pictures["vote_label"], truth, strict=True)])
    assert ours >= 0.9
    assert ours > plain + 0.05


@pytest.mark.parametrize("with_model", [True, False])
def test_the_unreliable_annotator_comes_first(with_model: bool) -> None:
    said, truth = crowd(120, [0.95, 0.9, 0.4])

    judged = judge_votes(said, model(truth, 0.8) if with_model else None)

    assert judged.method == ("crowdlab" if with_model else "dawid-skene")
    assert judged.annotators["annotator"][0] == "person 2"
    assert judged.annotators["votes"].tolist() == [120, 120, 120]


def test_stated_quality_is_about_the_share_that_is_right() -> None:
    said, truth = crowd(600, [0.8, 0.7, 0.6])

    judged = judge_votes(said)

    right = np.mean(judged.pictures["vote_label"] == truth)
    assert judged.pictures["vote_quality"].mean() == pytest.approx(right, abs=0.05)


def test_the_model_breaks_a_tie() -> None:
    said = votes("a p1 cat", "a p2 dog", "b p1 cat", "b p2 cat", "c p1 dog", "c p2 dog")
    probabilities = pd.DataFrame([[0.1, 0.9], [0.9, 0.1], [0.1, 0.9]], index=["a", "b", "c"], columns=["cat", "dog"])

    assert judge_votes(said, probabilities).pictures["vote_label"].tolist() == ["dog", "cat", "dog"]


def test_a_tie_without_a_model_is_half_sure_and_always_the_same() -> None:
    judged = judge_votes(votes("a p1 dog", "a p2 cat"))

    assert judged.pictures["vote_label"].tolist() == ["cat"]
    assert judged.pictures["vote_quality"].tolist() == [0.5]


def test_the_table_of_pictures_is_right() -> None:
    judged = judge_votes(votes("b p1 cat", "b p2 cat", "b p3 dog", "a p1 dog"))

    columns = ["path", "votes", "vote_label", "vote_agreement"]
    assert judged.pictures[columns].to_numpy().tolist() == [["a", 1, "dog", 1.0], ["b", 3, "cat", pytest.approx(2 / 3)]]


def test_the_worst_class_of_an_annotator_is_the_one_they_miss_most() -> None:
    said = votes(*(f"{path} {who} cat" for path in "abc" for who in ("p1", "p2")), "a p3 dog", "b p3 dog", "c p3 cat")

    table = judge_votes(said).annotators.set_index("annotator")

    assert table.loc["p3", "worst_class"] == "cat"
    assert table.loc["p3", "agreement"] == pytest.approx(1 / 3)
    assert table["worst_class"].isna().to_dict() == {"p1": True, "p2": True, "p3": False}


@pytest.mark.parametrize("with_model", [True, False])
@pytest.mark.parametrize(
    "rows",
    [
        ["a p1 cat"],
        ["a p1 cat", "b p1 dog"],  # one annotator
        ["a p1 cat", "b p2 dog"],  # one vote per picture
        ["a p1 cat", "a p2 cat", "b p1 cat", "b p2 cat"],  # all agree, on one class
        ["a p1 cat", "a p2 cat", "b p1 dog", "b p2 dog"],  # all agree
        ["a p1 cat", "a p2 dog", "b p1 dog", "b p2 cat"],  # nobody agrees
        ["a p1 cat", "a p2 cat", "b p1 dog", "b p2 dog", "c p3 cat"],  # p3 shares no picture
        ["a p1 cow", "a p2 cow", "b p1 cow", "b p2 dog"],  # a label that the model does not know
    ],
)
def test_scarce_and_odd_votes_are_judged(rows: list[str], with_model: bool) -> None:
    probabilities = pd.DataFrame([[0.7, 0.3]], index=["a"], columns=["cat", "dog"])

    judged = judge_votes(votes(*rows), probabilities if with_model else None)

    assert judged.pictures["vote_quality"].between(0, 1).all()
    assert judged.annotators["quality"].dropna().between(0, 1).all()
    assert judged.pictures["vote_label"].isin(["cat", "dog", "cow"]).all()


def test_the_quality_of_who_shares_no_picture_is_unknown() -> None:
    said = votes("a p1 cat", "a p2 cat", "b p1 dog", "b p2 dog", "c p3 cat")
    probabilities = pd.DataFrame([[0.7, 0.3]], index=["a"], columns=["cat", "dog"])

    assert judge_votes(said, probabilities).annotators.set_index("annotator")["quality"].isna()["p3"]


def test_one_vote_is_less_sure_than_three_that_agree() -> None:
    quality = judge_votes(votes("a p1 cat", "b p1 cat", "b p2 cat", "b p3 cat", "c p2 dog")).pictures["vote_quality"]

    assert quality[0] < quality[1]


# ---- Agreement


def test_agreement_is_krippendorffs_alpha() -> None:
    """By hand: of 8 votes in pairs, 5 cat and 3 dog, 2 disagree: 1 - (2/8) / (2*5*3 / (8*7)) = 0.5333."""
    said = votes("a p cat", "a q cat", "b p cat", "b q cat", "c p dog", "c q dog", "d p cat", "d q dog", "e p cow")

    assert judge_votes(said).alpha == pytest.approx(0.53333, abs=1e-4)


def test_full_agreement_is_one_and_its_interval_has_no_width() -> None:
    judged = judge_votes(votes(*(f"{n} {who} {'cat' if n % 2 else 'dog'}" for n in range(20) for who in "pq")))

    assert judged.alpha == 1
    assert judged.alpha_interval == (1, 1)


def test_the_interval_of_agreement_holds_the_value_and_narrows_with_more_pictures() -> None:
    few, many = (judge_votes(crowd(count, [0.9, 0.8, 0.7])[0]) for count in (30, 300))

    assert few.alpha_interval[0] < few.alpha < few.alpha_interval[1]
    assert many.alpha_interval[1] - many.alpha_interval[0] < few.alpha_interval[1] - few.alpha_interval[0]


def test_agreement_is_unknown_when_nobody_shares_a_picture() -> None:
    judged = judge_votes(votes("a p cat", "b q dog"))

    assert np.isnan([judged.alpha, *judged.alpha_interval]).all()
