"""Write pictures.csv and review.csv: what people would have written, taken from the sample set's answer key instead.

    python from_key.py            # only after the sample set or the checks of curate have changed

`pictures.csv` gives every picture the label of its folder, right or wrong, and says which ones judge: of each class,
40 % of the ordinary pictures, none of which was copied or looks like any other. `review.csv` holds what a reviewer
answers who looks at what curate flagged, and at nothing else.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from prepare import CHECKED, PICTURES, REVIEW, SAMPLE

import curate

KEY = SAMPLE.with_name("road_signs.key.csv")
TEST_SHARE = 0.4
FEWEST = 5  # test pictures of a class; the rarest class has ten ordinary ones
SEED = 7


def choose(key: pd.DataFrame, alone: set[str]) -> pd.DataFrame:
    """path, label and split of every picture. alone: paths of pictures that look like no other."""
    folder = key["path"].str.split("/").str[0]
    label = folder.mask(folder == "_unlabeled", "")
    copied = key["path"].isin(key["original"])
    trusted = (key["fault"] == "") & (label != "") & ~copied & key["path"].isin(alone)
    rng = np.random.default_rng(SEED)
    test: set[str] = set()
    for _, paths in key.loc[trusted, "path"].groupby(label[trusted]):
        test.update(rng.permutation(paths.to_numpy())[: max(FEWEST, round(TEST_SHARE * len(paths)))])
    return pd.DataFrame(
        {"path": key["path"], "label": label, "split": np.where(key["path"].isin(test), "test", "train")}
    )


def answer(row: pd.Series) -> tuple[str, str]:
    """What a reviewer says of a flagged picture: (answer, label)."""
    if row["fault"] in ("wrong_label", "label_conflict"):
        return "relabel", row["true_label"]
    if row["fault"] in ("off_topic", "underexposed", "overexposed", "blurry", "near_copy"):
        return "drop", ""
    return "keep", ""


def main() -> None:
    """Curate the sample twice: without splits to see what looks alike, then with them to see what is flagged."""
    key = pd.read_csv(KEY, keep_default_na=False)
    with tempfile.TemporaryDirectory() as store:
        alike = curate.clean(SAMPLE, store=Path(store) / "alike").table
        alone = set(alike.loc[alike["duplicate_group"].isna(), "path"])
        choose(key, alone).to_csv(PICTURES, index=False, lineterminator="\n")
        curate.clean(SAMPLE, store=Path(store) / "flagged", changes={"scan.labels": str(PICTURES)})
        table = curate.flag(SAMPLE, store=Path(store) / "flagged").table
    flags = table["flags"].fillna("").str.split(";")
    asked = table[flags.map(lambda names: bool(CHECKED.intersection(names))) & table["keep"]]
    rows = asked[["path", "sha256", "flags"]].merge(key, on="path")
    answers = [answer(row) for _, row in rows.iterrows()]
    review = rows[["path", "sha256"]].assign(answer=[one for one, _ in answers], label=[one for _, one in answers])
    review.to_csv(REVIEW, index=False, lineterminator="\n")


if __name__ == "__main__":
    main()
