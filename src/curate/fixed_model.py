"""Does what was learnt from A still hold? A model that stays as it is, asked about pictures whose labels are known.

The model is `curate.heads`, which learns from A: of A's own pictures it says what it would of pictures it has not seen
(out of sample), so both sides are treated alike. Or it is the user's own, whose predictions come in a file.

Whether it is right less often is asked within each class, as another mix of classes alone changes the accuracy: the
wrong answers of a class are dealt to both sides at random. Where times are known, the answers are also put in order,
and the one moment is looked for at which the accuracy changed (`curate.change_points`).
"""

from __future__ import annotations

import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from curate import heads
from curate.calibration import expected_calibration_error
from curate.change_points import ChangePoint, change_point
from curate.comparing import average_precision
from curate.drift_questions import FEWEST, MOST_EXAMPLES, Guesses, Pictures, Question, Test, share_difference
from curate.errors import SourceError
from curate.leakage import Share
from curate.paths import to_text
from curate.stages.labels import LABEL_COLUMNS, PATH_COLUMNS, find_column, read_rows

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

MOST_LEARNT = 10_000  # pictures per side; of more the heads learn little, and neighbours take time
FEWEST_OF_CLASS = 2  # independent pictures, so that one of them is judged by a model that has seen the other
SHUFFLES = 9_999
PERIODS = 8  # shown
PICTURES_PER_PERIOD = 20  # an accuracy of fewer is known to +-20 points only
TIME_COLUMNS = ("time", "taken_at", "timestamp", "date")
NOT_KNOWN = -1


@dataclass(frozen=True)
class Answers:
    """What a fixed model said of labelled pictures. labels: (N,) class index, NOT_KNOWN = the model has no such class.

    said: (N, K) probabilities, or 0 and 1 where the model gave only names. times: (N,), NaT = unknown.
    """

    paths: NDArray[np.object_]
    labels: Ints
    said: Floats
    times: NDArray[np.datetime64]

    @property
    def right(self) -> Bools:
        return np.asarray(self.said.argmax(axis=1) == self.labels)

    def some(self, rows: Ints | Bools) -> Answers:
        return Answers(self.paths[rows], self.labels[rows], self.said[rows], self.times[rows])


@dataclass(frozen=True)
class Figures:
    """How good the model is on some pictures. accuracy with its 95 % interval; balanced: the mean recall of classes.

    pr_auc: mean average precision of the classes. ece: expected calibration error; both None without probabilities.
    since, until: of the pictures' times, ISO 8601, "" = unknown.
    """

    pictures: int
    accuracy: float
    low: float
    high: float
    balanced: float
    pr_auc: float | None
    ece: float | None
    since: str = ""
    until: str = ""


@dataclass(frozen=True)
class FixedModel:
    """before: on A. after: on B. periods: in time, where times are known. change: the likeliest moment, None = none.

    changed_at: its time. model: whose it is.
    """

    model: str
    before: Figures | None
    after: Figures
    periods: tuple[Figures, ...]
    change: ChangePoint | None
    changed_at: str

    def plain(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Learnt:
    """A model that learnt from A. names: its classes. a: out of sample, of A's pictures; b: of B's, (N, K)."""

    names: list[str]
    a: Floats
    b: Floats
    rows_a: Ints
    rows_b: Ints

    def guesses(self, a: Pictures, b: Pictures) -> tuple[Guesses, Guesses]:
        """The class that the model gives each picture."""
        names = np.array(self.names, object)
        paths = [side.rows["path"].to_numpy(object)[rows] for side, rows in ((a, self.rows_a), (b, self.rows_b))]
        return Guesses(paths[0], names[self.a.argmax(axis=1)]), Guesses(paths[1], names[self.b.argmax(axis=1)])


def learn(a: Pictures, b: Pictures) -> Learnt | None:
    """What a model that learns from A's labels says of A, out of sample, and of B; None without two classes."""
    sizes = a.rows["final_label"].value_counts()
    names = sorted(str(name) for name, size in sizes.items() if size >= FEWEST_OF_CLASS)
    if len(names) < 2:
        return None
    place = a.rows["final_label"].map({name: number for number, name in enumerate(names)}).fillna(NOT_KNOWN)
    known = _spread(np.flatnonzero(place != NOT_KNOWN), a.rows)
    fresh = _spread(np.flatnonzero(~b.rows["sha256"].isin(a.rows["sha256"].iloc[known])), b.rows)
    if not len(fresh):
        return None
    labels = np.asarray(place.to_numpy(np.int64)[known], np.int64)
    with warnings.catch_warnings():
        # scikit-learn takes few pictures of many classes for a regression and says so.
        warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)
        fitted = heads.fit(a.vectors[known], labels, np.arange(len(known)), len(names), repeats=1)
    return Learnt(names, fitted.out_of_sample.calibrated, fitted.predict(b.vectors[fresh]), known, fresh)


def _spread(rows: Ints, table: pd.DataFrame) -> Ints:
    """At most MOST_LEARNT of the rows, chosen by content: digits of sha256 are as good as random numbers."""
    order = table["sha256"].iloc[rows].argsort(kind="stable").to_numpy(np.int64)
    return np.sort(rows[order][:MOST_LEARNT])


def answers_of(learnt: Learnt, a: Pictures, b: Pictures) -> tuple[Answers, Answers]:
    """What it said of the labelled pictures of both sides."""
    sides = []
    for side, rows, said in ((a, learnt.rows_a, learnt.a), (b, learnt.rows_b, learnt.b)):
        labelled = side.labelled[rows]
        sides.append(_answers(side.rows.iloc[rows[labelled]], said[labelled], learnt.names))
    return sides[0], sides[1]


def _answers(rows: pd.DataFrame, said: Floats, names: list[str]) -> Answers:
    place = rows["final_label"].map({name: number for number, name in enumerate(names)}).fillna(NOT_KNOWN)
    times = rows["taken_at"].to_numpy("datetime64[us]")
    return Answers(rows["path"].to_numpy(object), np.asarray(place, np.int64), said, times)


# ---- The user's own model


def predicted(file: Path, a: Pictures, b: Pictures) -> tuple[Answers, Answers]:
    """What the user's model said of the labelled pictures of both sides that the file names.

    file: columns path, and one per class with its probability, or `label` with the class it says; `time` if wanted.
    Raises SourceError for a file that names none of b's labelled pictures.
    """
    table = read_rows(file).rename(columns=str)
    column = find_column(table, PATH_COLUMNS, file)
    table = table.drop_duplicates(column).set_index(column)
    known = sorted({str(one) for side in (a, b) for one in side.rows["final_label"].dropna().unique()})
    names = [name for name in known if name in table]
    if len(names) < 2:
        label = find_column(table, LABEL_COLUMNS, file)
        names = sorted({*known, *table[label].astype("str")})
    sides = [_from_file(table, file, side, names) for side in (a, b)]
    if not len(sides[1].labels):
        raise SourceError(
            f"{to_text(str(file))!r} says nothing of the labelled pictures of {b.name}.",
            "Write paths relative to that folder, and give their labels: --labels FILE.",
        )
    return sides[0], sides[1]


def _from_file(table: pd.DataFrame, file: Path, side: Pictures, names: list[str]) -> Answers:
    import pandas as pd

    rows = side.rows[side.labelled & side.rows["path"].isin(table.index).to_numpy(bool)]
    found = table.loc[rows["path"]]
    if set(names) <= set(table):
        said = found[names].apply(pd.to_numeric, errors="coerce").to_numpy(np.float32)
        if not np.isfinite(said).all() or (said < 0).any():
            path = rows["path"].iloc[int(np.argmin((np.isfinite(said) & (said >= 0)).all(axis=1)))]
            raise SourceError(
                f"{to_text(str(file))!r} has no probabilities for {path!r}, expected numbers from 0 to 1."
            )
    else:
        guess = found[find_column(table, LABEL_COLUMNS, file)].astype("str").to_numpy(object)
        said = (guess[:, None] == np.array(names, object)).astype(np.float32)
    moment = next((name for name in TIME_COLUMNS if name in table), None)
    if moment:
        times = pd.to_datetime(found[moment].astype("str"), errors="coerce", utc=True, format="ISO8601")
        rows = rows.assign(taken_at=times.dt.tz_localize(None).to_numpy())
    return _answers(rows, said, names)


# ---- What is asked


def ask_concept(a: Answers, b: Answers, model: str, seed: int = 0) -> tuple[Question, FixedModel | None]:
    """Whether the model is wrong more often on b than on a, class by class, and when that changed."""
    if len(b.labels) < FEWEST:
        return Question("concept", why=f"the labels of {len(b.labels)} pictures are known, fewer than {FEWEST}"), None
    change, moment = _change(a, b, seed)
    has_both = len(a.labels) >= FEWEST
    tests = [_accuracy_test(a, b, seed)] if has_both else []
    if change is not None:
        tests.append(_change_test(change, moment, b))
    if not tests:
        return Question("concept", why="neither what it said of A nor the times of the pictures are known"), None
    found = FixedModel(
        model=model,
        before=figures(a) if has_both else None,
        after=figures(b),
        periods=_periods(a, b),
        change=change,
        changed_at=moment,
    )
    return Question("concept", tuple(tests), notes=(f"The fixed model: {model}.",)), found


def _accuracy_test(a: Answers, b: Answers, seed: int) -> Test:
    shared = np.intersect1d(a.labels[a.labels >= 0], b.labels[b.labels >= 0])
    known_a, known_b = (one.some(np.isin(one.labels, shared)) for one in (a, b))
    counts = [[int((~one.right).sum()), int(one.right.sum())] for one in (known_a, known_b)]
    shares = [right / max(wrong + right, 1) for wrong, right in counts]
    delta, low, high = share_difference(counts)
    return Test(
        name="accuracy",
        p=_wrong_more_often(known_a, known_b, seed) if min(map(sum, counts)) else 1.0,
        measure="difference",
        effect=-delta,
        low=-high,
        high=-low,
        size=max(delta, 0.0),
        words=f"A model that knows A is right on {shares[1]:.0%} of B's labels, {shares[0]:.0%} of A's.",
        before=shares[0],
        after=shares[1],
        pictures_a=_wrong(known_a),
        pictures_b=_wrong(known_b),
    )


def _wrong_more_often(a: Answers, b: Answers, seed: int) -> float:
    """The chance that b has as many wrong answers, if those of each class fell to both sides by lot."""
    random = np.random.default_rng(seed)
    drawn = np.zeros(SHUFFLES)
    for label in np.unique(b.labels):
        mine, other = ~b.right[b.labels == label], ~a.right[a.labels == label]
        wrong, right = int(mine.sum() + other.sum()), int((~mine).sum() + (~other).sum())
        drawn += random.hypergeometric(wrong, right, len(mine), SHUFFLES) if wrong else 0
    return float((1 + (drawn >= (~b.right).sum()).sum()) / (1 + SHUFFLES))


def _wrong(one: Answers) -> tuple[str, ...]:
    """The pictures whose label the model contradicts most."""
    rows = np.flatnonzero(~one.right)
    given = one.said[rows, np.maximum(one.labels[rows], 0)]
    return tuple(one.paths[rows[np.lexsort((one.paths[rows].astype(str), given))][:MOST_EXAMPLES]].tolist())


def _change(a: Answers, b: Answers, seed: int) -> tuple[ChangePoint | None, str]:
    """The likeliest change of the accuracy in time, and its moment; (None, "") where too few times are known."""
    series = _in_time(a, b)
    change = change_point(series.right.astype(np.float64), seed)
    return change, str(series.times[change.at])[:16] if change else ""


def _in_time(*sides: Answers) -> Answers:
    """The pictures whose time is known and whose class the model knows, in order of time."""
    both = Answers(
        np.concatenate([one.paths for one in sides]),
        np.concatenate([one.labels for one in sides]),
        np.concatenate([one.said for one in sides]),
        np.concatenate([one.times for one in sides]),
    )
    known = both.some(~np.isnat(both.times) & (both.labels != NOT_KNOWN))
    return known.some(np.lexsort((known.paths.astype(str), known.times)))


def _change_test(change: ChangePoint, moment: str, b: Answers) -> Test:
    fall = change.before - change.after
    return Test(
        name="change in time",
        p=change.p,
        measure="difference",
        effect=-fall,
        low=-fall,
        high=-fall,
        size=max(fall, 0.0),
        words=f"Its accuracy changed from {change.before:.0%} to {change.after:.0%} at {moment}.",
        before=change.before,
        after=change.after,
        pictures_b=_wrong(b),
    )


def _periods(a: Answers, b: Answers) -> tuple[Figures, ...]:
    series = _in_time(a, b)
    count = min(PERIODS, len(series.labels) // PICTURES_PER_PERIOD)
    parts = np.array_split(np.arange(len(series.labels)), count) if count > 1 else []
    return tuple(figures(series.some(part)) for part in parts)


def figures(one: Answers) -> Figures:
    """How good the model is on these pictures; one of a class that it does not know is a wrong answer."""
    share = Share(int(one.right.sum()), len(one.labels))
    known = one.some(one.labels != NOT_KNOWN)
    recalls = [float(known.right[known.labels == label].mean()) for label in np.unique(known.labels)]
    has_probabilities = bool(((one.said > 0) & (one.said < 1)).any())
    precision = average_precision(known.said, known.labels)[0] if has_probabilities and len(known.labels) else None
    times = np.sort(one.times[~np.isnat(one.times)])
    return Figures(
        pictures=len(one.labels),
        accuracy=share.value,
        low=share.interval[0],
        high=share.interval[1],
        balanced=float(np.mean(recalls)) if recalls else 0.0,
        pr_auc=None if precision is None else float(np.nanmean(precision)),
        ece=_calibration_error(one) if has_probabilities else None,
        since=str(times[0])[:16] if len(times) else "",
        until=str(times[-1])[:16] if len(times) else "",
    )


def _calibration_error(one: Answers) -> float:
    return expected_calibration_error(one.said.max(axis=1).astype(np.float64), one.right.astype(np.float64))
