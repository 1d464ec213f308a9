"""Probabilities of the user's own model: read by path or by order, refused when they can't be meant."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from curate.errors import SourceError
from curate.outside import looks_in_sample, read_pred_probs

PATHS = ["cats/1.jpg", "cats/2.jpg", "dogs/1.jpg"]
CLASSES = ["cats", "dogs"]
ROWS = np.array([[0.75, 0.25], [0.5, 0.5], [0.25, 0.75]])


def table(**changes: list[object]) -> pd.DataFrame:
    columns: dict[str, list[object]] = {"path": [*PATHS], "cats": [*ROWS[:, 0]], "dogs": [*ROWS[:, 1]]}
    return pd.DataFrame(columns | changes)


def refused(file: Path, hint: str = "") -> str:
    with pytest.raises(SourceError) as error:
        read_pred_probs(file, PATHS, CLASSES)
    assert hint in error.value.hint
    return str(error.value)


# ---- Reading


def test_an_array_is_taken_in_the_order_of_paths_and_classes(tmp_path: Path) -> None:
    np.save(tmp_path / "p.npy", ROWS)

    found = read_pred_probs(tmp_path / "p.npy", PATHS, CLASSES)

    assert found.dtype == np.float32
    assert found.tolist() == ROWS.tolist()


def test_an_npz_file_may_hold_other_arrays_beside(tmp_path: Path) -> None:
    np.savez(tmp_path / "p.npz", pred_probs=ROWS, labels=np.arange(3))

    assert read_pred_probs(tmp_path / "p.npz", PATHS, CLASSES).tolist() == ROWS.tolist()


@pytest.mark.parametrize("name", ["p.csv", "p.parquet"])
def test_a_table_is_joined_by_path_and_class_in_any_order(tmp_path: Path, name: str) -> None:
    """Pictures that are not asked for, and columns that are no class, may stand in it."""
    extra = pd.DataFrame({"path": ["gone.jpg"], "cats": [1.0], "dogs": [0.0]})
    frame = pd.concat([extra, table()])[["dogs", "path", "cats"]].iloc[::-1].assign(model="resnet", confidence=0.5)
    frame.to_csv(tmp_path / "p.csv", index=False)
    frame.to_parquet(tmp_path / "p.parquet")

    assert read_pred_probs(tmp_path / name, PATHS, CLASSES).tolist() == ROWS.tolist()


def test_rounded_probabilities_are_scaled_to_sum_to_one(tmp_path: Path) -> None:
    np.save(tmp_path / "p.npy", (ROWS * 1.0005).astype(np.float16))

    assert read_pred_probs(tmp_path / "p.npy", PATHS, CLASSES).sum(axis=1).tolist() == pytest.approx(
        [1, 1, 1], abs=1e-6
    )


# ---- Refusing


@pytest.mark.parametrize("shape", [(4, 2), (3, 3), (6,)])
def test_an_array_of_another_shape_is_refused_with_both_shapes(tmp_path: Path, shape: tuple[int, ...]) -> None:
    np.save(tmp_path / "p.npy", np.full(shape, 0.5))

    message = refused(tmp_path / "p.npy", "a column 'path'")

    assert f"shape {shape}, expected (3, 2): one row per labelled picture that is kept, sorted by path" in message


def test_a_pickle_is_never_opened(tmp_path: Path) -> None:
    """It could run anything."""
    np.save(tmp_path / "p.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    (tmp_path / "q.npy").write_bytes(pickle.dumps(ROWS))

    assert "no NumPy file of numbers" in refused(tmp_path / "p.npy", "np.save")
    assert "no NumPy file of numbers" in refused(tmp_path / "q.npy", "np.save")


def test_a_damaged_array_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "p.npy", ROWS)
    (tmp_path / "q.npy").write_bytes((tmp_path / "p.npy").read_bytes()[:100])
    (tmp_path / "e.npz").write_bytes(b"")

    assert "no NumPy file of numbers" in refused(tmp_path / "q.npy")
    assert "no NumPy file of numbers" in refused(tmp_path / "e.npz")


def test_an_npz_file_of_several_unknown_arrays_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "p.npz", one=ROWS, two=ROWS)

    assert "holds the arrays 'one', 'two', expected one" in refused(tmp_path / "p.npz", "pred_probs")


def test_logits_are_refused_with_the_way_out(tmp_path: Path) -> None:
    np.save(tmp_path / "p.npy", np.array([[0.75, 0.25], [4.0, -2.0], [1.0, 3.0]]))

    message = refused(tmp_path / "p.npy", "softmax")

    assert "the row of 'cats/2.jpg' goes from -2 to 4 and sums to 2" in message
    assert "2 of 3 rows are off" in message


def test_rows_that_do_not_sum_to_one_are_refused(tmp_path: Path) -> None:
    table(cats=[0.75, 0.5, 0.5]).to_csv(tmp_path / "p.csv", index=False)

    assert "row of 'dogs/1.jpg' goes from 0.5 to 0.75 and sums to 1.25" in refused(tmp_path / "p.csv", "its sum")


def test_missing_values_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "p.npy", np.where(ROWS == 0.5, np.nan, ROWS))
    table(cats=[0.75, "", 0.25]).to_csv(tmp_path / "p.csv", index=False)
    table(cats=[0.75, None, 0.25]).to_parquet(tmp_path / "p.parquet")

    assert "missing or infinite value in the row of 'cats/2.jpg'" in refused(tmp_path / "p.npy")
    assert "has '' as probability of 'cats' for 'cats/2.jpg'" in refused(tmp_path / "p.csv")
    assert "as probability of 'cats' for 'cats/2.jpg'" in refused(tmp_path / "p.parquet")


def test_a_class_without_a_column_is_named(tmp_path: Path) -> None:
    table().drop(columns="dogs").to_csv(tmp_path / "p.csv", index=False)

    assert "no column for the class 'dogs' (1 of 2 are missing)" in refused(tmp_path / "p.csv", "'cats', 'dogs'")


def test_a_class_that_is_no_label_is_named(tmp_path: Path) -> None:
    table(cats=[0.75, 0.25, 0.25], cows=[0.0, 0.25, 0.0]).to_csv(tmp_path / "p.csv", index=False)

    assert "'cows', which is the label of no picture" in refused(tmp_path / "p.csv")


def test_pictures_without_a_row_are_counted(tmp_path: Path) -> None:
    table().iloc[1:].to_csv(tmp_path / "p.csv", index=False)

    assert "no row for 1 of the 3 labelled pictures, for example 'cats/1.jpg'" in refused(tmp_path / "p.csv")


def test_two_rows_for_one_picture_are_refused(tmp_path: Path) -> None:
    table(path=["cats/1.jpg", "./cats/1.jpg", "dogs/1.jpg"]).to_csv(tmp_path / "p.csv", index=False)

    assert "more than one row for 'cats/1.jpg'" in refused(tmp_path / "p.csv")


def test_other_files_and_missing_ones_are_refused(tmp_path: Path) -> None:
    assert "expected one of .npy, .npz, .parquet, .csv" in refused(tmp_path / "p.pkl")
    assert "There is no file" in refused(tmp_path / "p.npy")


# ---- In sample or not


def predictions(count: int, wrong: int, sure: float) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Labels of five classes, and probabilities that contradict `wrong` of them."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 5, count)
    said = np.where(np.arange(count) < wrong, (labels + 1) % 5, labels)
    probabilities = np.full((count, 5), (1 - sure) / 4, np.float32)
    probabilities[np.arange(count), said] = sure
    return labels, probabilities


def test_probabilities_that_repeat_every_label_are_suspect() -> None:
    assert "repeats 1,000 of the 1,000 given labels" in looks_in_sample(*predictions(1000, 0, 0.9999))


def test_low_confidence_does_not_hide_that_labels_were_learned_by_heart() -> None:
    """As of a random forest asked about its own training pictures."""
    assert looks_in_sample(*predictions(1000, 0, 0.7)) != ""


def test_honest_probabilities_of_an_easy_task_are_not_suspect() -> None:
    """A network on the test set of MNIST contradicts 87 of 10,000 labels and is nearly always sure."""
    assert looks_in_sample(*predictions(10_000, 87, 0.9999)) == ""


def test_a_few_hundred_pictures_without_contradiction_prove_nothing() -> None:
    assert looks_in_sample(*predictions(500, 0, 0.9999)) == ""


def test_our_own_predictions_show_it_on_few_pictures() -> None:
    """Thirty labels that ours contradict surely are all repeated."""
    labels, theirs = predictions(300, 0, 0.9)
    _, ours = predictions(300, 30, 0.9)

    assert "also 100% of the 30 that look wrong to ours" in looks_in_sample(labels, theirs, ours)


def test_a_model_that_shares_our_doubts_is_not_suspect() -> None:
    labels, theirs = predictions(300, 28, 0.9)
    _, ours = predictions(300, 30, 0.9)

    assert looks_in_sample(labels, theirs, ours) == ""


def test_a_task_that_is_as_easy_for_our_own_models_is_not_suspect() -> None:
    labels, theirs = predictions(5000, 0, 0.999)
    _, ours = predictions(5000, 2, 0.99)

    assert looks_in_sample(labels, theirs, ours) == ""


def test_unlabelled_pictures_do_not_count() -> None:
    labels, theirs = predictions(1000, 0, 0.9999)
    labels[100:] = -1

    assert looks_in_sample(labels, theirs) == ""
    assert looks_in_sample(np.full(10, -1), theirs[:10]) == ""
