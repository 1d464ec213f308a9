"""Several people's labels of the same pictures: what they agree on, how well, and who errs.

Two questions are kept apart. Whether people overrule the given label is plain counting: `verified_errors`. Which
label is best, and how sure that is, depends on who said it: with a model's probabilities it is CROWDLAB (Goh et al.
2022, `cleanlab.multiannotator`), which weighs each person and the model by how often the others agree with them.
Without a model, or where CROWDLAB can't compare anybody (one annotator, one vote per picture), it is the model of
Dawid and Skene (1979) with one reliability per person: their full confusion matrices need more votes than people have.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from curate.errors import SourceError
from curate.paths import to_text
from curate.stages.labels import LABEL_COLUMNS, PATH_COLUMNS, UNLABELED, find_column, read_rows, safe_path

if TYPE_CHECKING:
    import pandas as pd

Doubles = NDArray[np.float64]
Ints = NDArray[np.int64]

ANNOTATOR_COLUMNS = ("annotator", "annotator_id", "worker", "worker_id", "rater", "labeler", "user")
MIN_VOTES = 3  # two people who differ from the label may share a misunderstanding; the study of Northcutt asked five
PRIOR_RIGHT, PRIOR_WRONG = 4.0, 1.0  # votes everybody is credited with: who has cast one vote is neither sage nor fool
ROUNDS = 50  # reliabilities are then within .006 of where 200 rounds take them
RESAMPLES = 200  # the ends of the interval then scatter by a twentieth of its width
MOST_CELLS = 20_000_000  # CROWDLAB fills a table of pictures x annotators


@dataclass(frozen=True)
class VoteJudgement:
    """What the votes say.

    pictures: one row per voted picture, by path: path, votes (how many), vote_label (the label that is most probably
    right; it may be none of the data's classes), vote_quality (how probable that is, 0..1) and vote_agreement (share
    of the votes that chose it).
    annotators: the least reliable first: annotator, quality (0..1; NA = shares no picture with anybody), votes,
    agreement (share of their votes that are vote_label) and worst_class (the vote_label that they missed most often;
    NA = none).
    alpha: Krippendorff's alpha over all votes, 1 = all agree, 0 = as by chance, NaN = no two people labelled the same
    picture or only one label occurs. alpha_interval: of 95 %, by drawing pictures anew.
    method: "crowdlab" or "dawid-skene".
    """

    pictures: pd.DataFrame
    annotators: pd.DataFrame
    alpha: float
    alpha_interval: tuple[float, float]
    method: str


def read_votes(file: Path, known: Set[str] = frozenset()) -> pd.DataFrame:
    """The columns path, annotator and label of a CSV, TSV, JSONL or Parquet file, one row per vote.

    An empty label is no vote. The same vote twice counts once. known: paths as the table spells them.
    Raises SourceError when the file can't be understood, naming the row, or one person gives a picture two labels:
    which one they mean can't be told, as the rows of such files come in any order.
    """
    import pandas as pd

    if not file.is_file():
        raise SourceError(f"There is no file of votes {str(file)!r}.", "Give a file of path, annotator and label.")
    table = read_rows(file)
    names = [find_column(table, columns, file) for columns in (PATH_COLUMNS, ANNOTATOR_COLUMNS, LABEL_COLUMNS)]
    votes = pd.DataFrame({name: table[one].astype("str") for name, one in zip(_NAMES, names, strict=True)})
    paths = [safe_path(text, row, file) for row, text in enumerate(votes["path"].fillna(""), start=1)]
    votes["path"] = [path if path in known else to_text(path) for path in paths]
    votes = votes[~votes["label"].isin(["", UNLABELED]) & votes["label"].notna()]
    nameless = np.flatnonzero(votes["annotator"].fillna("") == "")
    if len(nameless):
        raise SourceError(f"Row {votes.index[nameless[0]] + 1} of {str(file)!r} does not say who the annotator is.")
    if votes.empty:
        raise SourceError(f"{str(file)!r} holds no vote.", "Write one row per vote: path, annotator and label.")
    return _one_each(votes, file)


_NAMES = ("path", "annotator", "label")


def _one_each(votes: pd.DataFrame, file: Path) -> pd.DataFrame:
    votes = votes.drop_duplicates()
    again = votes[votes.duplicated(["path", "annotator"])]
    if len(again):
        path, annotator, label = again.iloc[0]
        same = votes[(votes["path"] == path) & (votes["annotator"] == annotator)]
        raise SourceError(
            f"{str(file)!r} has two labels of {path!r} by {annotator!r}: {same['label'].iloc[0]!r} in row "
            f"{same.index[0] + 1} and {label!r} in row {again.index[0] + 1} ({len(again)} such votes).",
            "Leave one label per picture and annotator.",
        )
    return votes.reset_index(drop=True)


def verified_errors(votes: pd.DataFrame, given: Mapping[str, str]) -> pd.Series[bool]:
    """Whether people overrule the given label of each voted picture; index: path.

    True where at least MIN_VOTES people voted and more than half of them chose another label than `given` (path ->
    label); False where none is given. A plain count, as in the study of Northcutt et al. 2021: no model has a say.
    """
    import pandas as pd

    voted = votes["path"].map(pd.Series(dict(given), dtype="str"))
    other = (votes["label"] != voted) & voted.notna()
    counts = other.groupby(votes["path"]).agg(["sum", "size"])
    return (counts["size"] >= MIN_VOTES) & (2 * counts["sum"] > counts["size"])


def judge_votes(votes: pd.DataFrame, probabilities: pd.DataFrame | None = None) -> VoteJudgement:
    """The most probable label of each voted picture, and how reliable each annotator is.

    votes: as `read_votes` gives them. probabilities: out of sample, index path, one column per class; pictures
    without a row, and labels without a column, are allowed.
    """
    long = _Votes.of(votes, [] if probabilities is None else list(probabilities.columns))
    prior = None if probabilities is None else _prior(probabilities, long)
    if prior is not None and _comparable(long):
        method, (posterior, reliability) = "crowdlab", _crowdlab(long, prior)
    else:
        method, (posterior, reliability) = "dawid-skene", _dawid_skene(long, prior)
    best = posterior.argmax(axis=1)
    alpha, interval = _alpha(long)
    return VoteJudgement(
        _pictures(long, best, posterior), _annotators(long, best, reliability), alpha, interval, method
    )


@dataclass(frozen=True)
class _Votes:
    """Votes by number. paths, annotators, labels: their names; picture, annotator, label: of each vote, (V,)."""

    paths: list[str]
    annotators: list[str]
    labels: list[str]
    picture: Ints
    annotator: Ints
    label: Ints

    @classmethod
    def of(cls, votes: pd.DataFrame, classes: list[str]) -> _Votes:
        paths, picture = np.unique(votes["path"].to_numpy(object), return_inverse=True)
        annotators, annotator = np.unique(votes["annotator"].to_numpy(object), return_inverse=True)
        labels = sorted({*classes, *votes["label"]})
        label = votes["label"].map({name: number for number, name in enumerate(labels)}).to_numpy(np.int64)
        return cls(list(paths), list(annotators), labels, picture, annotator, label)

    def counts(self) -> Doubles:
        """How many people chose each label of each picture, (N, K)."""
        cells = self.picture * len(self.labels) + self.label
        counted = np.bincount(cells, minlength=len(self.paths) * len(self.labels))
        return counted.reshape(len(self.paths), len(self.labels)).astype(np.float64)


def _prior(probabilities: pd.DataFrame, long: _Votes) -> Doubles:
    """What the model says of each voted picture, (N, K); all labels alike where it says nothing."""
    rows: Doubles = probabilities.reindex(index=long.paths, columns=long.labels).to_numpy(np.float64)
    silent = np.isnan(rows).all(axis=1, keepdims=True)
    rows = np.where(silent, 1.0, np.nan_to_num(rows))
    # No two labels are ever equally probable, or cleanlab breaks the tie by chance.
    rows += 1e-9 * np.arange(len(long.labels), 0, -1)
    scaled: Doubles = rows / rows.sum(axis=1, keepdims=True)
    return scaled


def _comparable(long: _Votes) -> bool:
    """Whether CROWDLAB has what it needs: annotators who can be compared, on some picture, about two labels."""
    people = len(long.annotators)
    return (
        1 < people <= MOST_CELLS / len(long.paths)
        and len(long.labels) > 1
        and len(np.unique(long.label)) > 1
        and bool((long.counts().max(axis=1) > 1).any())
    )


def _crowdlab(long: _Votes, prior: Doubles) -> tuple[Doubles, Doubles]:
    """How probable each label is of each picture, (N, K), and the quality of each annotator, (M,)."""
    from cleanlab.multiannotator import get_label_quality_multiannotator

    wide = np.full((len(long.paths), len(long.annotators)), np.nan)
    wide[long.picture, long.annotator] = long.label
    with warnings.catch_warnings():
        # Means over no vote: of an annotator who shares no picture with anybody.
        warnings.filterwarnings("ignore", "Mean of empty slice", RuntimeWarning)
        warnings.filterwarnings("ignore", "invalid value encountered", RuntimeWarning)
        found = get_label_quality_multiannotator(wide, prior, verbose=False, return_detailed_quality=False)
    best = found["label_quality"]
    sure = best["consensus_quality_score"].to_numpy(np.float64)
    posterior = np.zeros(prior.shape)
    posterior[np.arange(len(prior)), best["consensus_label"].to_numpy(np.int64)] = np.clip(sure, 1e-9, 1)
    quality = found["annotator_stats"]["annotator_quality"].sort_index()
    return posterior, quality.to_numpy(np.float64)


def _dawid_skene(long: _Votes, prior: Doubles | None) -> tuple[Doubles, Doubles]:
    """The same by expectation maximization; who errs, errs towards any other label alike."""
    n, k, people = len(long.paths), len(long.labels), len(long.annotators)
    start = np.zeros((n, k)) if prior is None else np.log(prior)
    posterior = long.counts() / long.counts().sum(axis=1, keepdims=True)
    reliability = np.zeros(people)
    cast = np.bincount(long.annotator, minlength=people) + PRIOR_RIGHT + PRIOR_WRONG
    for _ in range(ROUNDS):
        right = np.bincount(long.annotator, posterior[long.picture, long.label], minlength=people)
        reliability = (right + PRIOR_RIGHT) / cast
        weight = np.log(reliability / (1 - reliability) * max(k - 1, 1))[long.annotator]
        score = start.copy()
        np.add.at(score, (long.picture, long.label), weight)
        posterior = np.exp(score - score.max(axis=1, keepdims=True))
        posterior /= posterior.sum(axis=1, keepdims=True)
    return posterior, reliability


def _pictures(long: _Votes, best: Ints, posterior: Doubles) -> pd.DataFrame:
    import pandas as pd

    counts, rows = long.counts(), np.arange(len(best))
    columns: dict[str, Any] = {
        "path": pd.Series(long.paths, dtype="str"),
        "votes": counts.sum(axis=1).astype(np.int64),
        "vote_label": pd.Series([long.labels[number] for number in best], dtype="str"),
        "vote_quality": posterior[rows, best].astype(np.float32),
        "vote_agreement": (counts[rows, best] / counts.sum(axis=1)).astype(np.float32),
    }
    return pd.DataFrame(columns)


def _annotators(long: _Votes, best: Ints, reliability: Doubles) -> pd.DataFrame:
    import pandas as pd

    people = len(long.annotators)
    missed = long.label != best[long.picture]
    votes = np.bincount(long.annotator, minlength=people)
    misses = np.zeros((people, len(long.labels)), np.int64)
    np.add.at(misses, (long.annotator[missed], best[long.picture][missed]), 1)
    worst = [long.labels[row.argmax()] if row.any() else None for row in misses]
    columns: dict[str, Any] = {
        "annotator": pd.Series(long.annotators, dtype="str"),
        "quality": reliability.astype(np.float32),
        "votes": votes,
        "agreement": (1 - misses.sum(axis=1) / votes).astype(np.float32),
        "worst_class": pd.Series(worst, dtype="str"),
    }
    return pd.DataFrame(columns).sort_values(["quality", "annotator"], ignore_index=True)


def alpha_of(votes: pd.DataFrame) -> tuple[float, tuple[float, float]]:
    """Krippendorff's alpha of votes, as `read_votes` gives them, and its interval; see VoteJudgement."""
    return _alpha(_Votes.of(votes, [])) if len(votes) else (np.nan, (np.nan, np.nan))


def _alpha(long: _Votes) -> tuple[float, tuple[float, float]]:
    """Krippendorff's alpha and its interval."""
    counts = long.counts()
    counts = counts[counts.sum(axis=1) > 1]  # (N', K): a single vote agrees with nothing
    rng = np.random.default_rng(0)
    drawn = [
        _alpha_of(counts[rng.integers(0, len(counts), len(counts))]) for _ in range(RESAMPLES if len(counts) else 0)
    ]
    known = [value for value in drawn if not np.isnan(value)]
    low, high = np.percentile(known, [2.5, 97.5]) if known else (np.nan, np.nan)
    return _alpha_of(counts), (float(low), float(high))


def _alpha_of(counts: Doubles) -> float:
    import krippendorff

    used = counts[:, counts.any(axis=0)]
    if used.shape[1] < 2:
        return float("nan")
    return float(krippendorff.alpha(value_counts=used, level_of_measurement="nominal"))
