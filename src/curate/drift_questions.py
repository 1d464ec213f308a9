"""What `curate drift` asks of two sets of pictures, and what the answers are in words.

Each question is a family of tests (`curate.two_samples`); what it says is corrected for all tests of all questions. A
difference that is no luck but smaller than what matters is told of, and is no drift.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from curate import heads
from curate.lookalikes import nearest, nearest_among
from curate.traits import MOST_NAMES, UNKNOWN, Trait, measured_traits
from curate.two_samples import (
    CLASSIFIED,
    COMPARED,
    Shift,
    adjust,
    compare_counts,
    compare_numbers,
    kernel_distance,
    tell_apart,
)

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Key = Literal["facts", "classes", "embedding", "labels", "new", "concept"]
Verdict = Literal["drift", "small", "none", "not asked"]
KEYS: tuple[Key, ...] = ("facts", "classes", "embedding", "labels", "new", "concept")
TITLES: dict[Key, str] = {
    "facts": "Do they look otherwise, or come from elsewhere?",
    "classes": "Does a class look otherwise?",
    "embedding": "Can a model tell the two sets apart?",
    "labels": "Is it another mix of classes?",
    "new": "Is there something new?",
    "concept": "Do labels mean the same?",
}

FEWEST = 10  # pictures per side: with fewer, nothing can be significant among so many tests
MOST_EXAMPLES = 6  # per side
BINS = 24  # of a histogram
NOT_MOVED = 0.1  # a delta nearer to 0 names no direction: what changed is then the spread
# Directions of the embedding that are looked at, the widest first: fewer than pictures, where there are a hundred per
# side. Not tuned.
DIRECTIONS = 64
NEIGHBOURS = 5  # as many as `curate.outliers` looks at
MOST_SOUGHT = 20_000  # pictures of A among which neighbours are sought, and of B that are asked about
# A picture is like nothing in A where it is farther from A's pictures than this share of A's own are from the others.
# Of 12 classes of Caltech-101, one of them new at 6 %, .02 found 13 of 16 and .05 found 9. Distances after a
# projection, or in the metric of the classes, found none: both fit what they have seen.
UNUSUAL = 0.02


@dataclass(frozen=True)
class Histogram:
    """Counts of both sides in the same bins. edges: (K + 1,); of names: edges is empty, and names are (K,)."""

    a: tuple[int, ...]
    b: tuple[int, ...]
    edges: tuple[float, ...] = ()
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Test:
    """One test. name: what was compared; label: within that class only, "" = in all.

    p, adjusted_p: before and after the correction for all tests. measure: name of the effect, with its value and 95 %
    interval. size: how large it is, 0..1, comparable over tests. before, after: medians or shares of A and B, None =
    there is none. words: what changed. pictures_a, pictures_b: paths, the most typical of the change first.
    """

    __test__ = False  # pytest takes it for a test of its own

    name: str
    p: float
    measure: str
    effect: float
    low: float
    high: float
    size: float
    words: str
    label: str = ""
    before: float | None = None
    after: float | None = None
    adjusted_p: float = 1.0
    verdict: Verdict = "none"
    pictures_a: tuple[str, ...] = ()
    pictures_b: tuple[str, ...] = ()
    histogram: Histogram | None = None


@dataclass(frozen=True)
class Question:
    """A question with its answer. p: adjusted. why: why it was not asked. words: the answer, a sentence.

    notes: how it was asked, such as sizes of samples.
    """

    key: Key
    tests: tuple[Test, ...] = ()
    why: str = ""
    notes: tuple[str, ...] = ()
    p: float = 1.0
    verdict: Verdict = "not asked"
    words: str = ""

    @property
    def title(self) -> str:
        return TITLES[self.key]

    @property
    def found(self) -> list[Test]:
        """The tests that tell of drift, the largest effect first."""
        return sorted((one for one in self.tests if one.verdict == "drift"), key=lambda one: (-one.size, one.name))


@dataclass(frozen=True)
class Pictures:
    """What one side shows: one picture of each group. rows: N; vectors: (N, D), of any backbone, zeros = none."""

    name: str
    rows: pd.DataFrame
    vectors: Floats = field(default_factory=lambda: np.empty((0, 0), np.float32))

    @property
    def seen(self) -> Pictures:
        """Those that have a vector."""
        has = self.vectors.any(axis=1)
        places = np.flatnonzero(has)
        return Pictures(self.name, self.rows.iloc[places].reset_index(drop=True), self.vectors[places])

    @property
    def labelled(self) -> Bools:
        """(N,) which pictures have a label."""
        return self.rows["final_label"].notna().to_numpy(bool)


def answer(asked: Sequence[Question], alpha: float, min_effect: float) -> list[Question]:
    """The questions with adjusted p-values, verdicts and words. alpha: the level. min_effect: the least that matters.

    If the two sets differ in nothing, the chance that any verdict is drift is at most alpha.
    """
    open_ = [one for one in asked if one.tests]
    adjusted = adjust([[test.p for test in one.tests] for one in open_], alpha)
    answers = {}
    for one, p, ps in zip(open_, adjusted.questions, adjusted.tests, strict=True):
        tests = tuple(
            replace(test, adjusted_p=q, verdict=_verdict(q, test.size, alpha, min_effect))
            for test, q in zip(one.tests, ps, strict=True)
        )
        said = {test.verdict for test in tests}
        verdict: Verdict = "drift" if "drift" in said else "small" if "small" in said else "none"
        answers[one.key] = _in_words(replace(one, tests=tests, p=p, verdict=verdict))
    return [answers.get(one.key, one) for one in asked]


def _verdict(p: float, size: float, alpha: float, min_effect: float) -> Verdict:
    return "none" if p > alpha else "drift" if size >= min_effect else "small"


def _in_words(one: Question) -> Question:
    if one.verdict == "none":
        return replace(one, words="No measurable difference.")
    if one.verdict == "small":
        return replace(one, words="A measurable difference, but too small to matter.")
    found = one.found
    more = f" And {len(found) - 2:,} more." if len(found) > 2 else ""
    return replace(one, words=" ".join(test.words for test in found[:2]) + more)


# ---- Facts


def ask_facts(a: Pictures, b: Pictures, seed: int = 0) -> tuple[Question, Question]:
    """How pictures look, are stored, and which camera took them: over all, and within each class."""
    import pandas as pd

    few = _too_few(a, b)
    if few:
        return Question("facts", why=few), Question("classes", why=few)
    rows = pd.concat([a.rows, b.rows], ignore_index=True)
    is_b = np.arange(len(rows)) >= len(a.rows)
    traits = [one for one in measured_traits(rows) if len(one.column.unique()) > 1]
    paths = rows["path"].to_numpy()
    tests = [found for one in traits if (found := _fact(one, is_b, paths, seed)) is not None]
    labels = rows["final_label"].astype("str")
    classes = [str(name) for name in sorted(labels.dropna().unique()) if _enough(labels == name, is_b)]
    within = [
        replace(found, label=name, words=f"{name}: {found.words}")
        for name in classes
        for one in traits
        if one.is_number and (found := _fact(one, is_b, paths, seed, (labels == name).to_numpy(bool))) is not None
    ]
    why = "" if classes else f"there is no class with {FEWEST} labelled pictures on both sides"
    return Question("facts", tuple(tests)), Question("classes", tuple(within), why=why)


def _too_few(a: Pictures, b: Pictures) -> str:
    small = min((a, b), key=lambda one: len(one.rows))
    return f"{small.name} has {len(small.rows)} pictures, fewer than {FEWEST}" if len(small.rows) < FEWEST else ""


def _enough(has: pd.Series[bool], is_b: Bools) -> bool:
    inside = has.to_numpy(bool)
    return bool(min((inside & is_b).sum(), (inside & ~is_b).sum()) >= FEWEST)


def _fact(trait: Trait, is_b: Bools, paths: NDArray[np.object_], seed: int, among: Bools | None = None) -> Test | None:
    """The test of one trait among some pictures; None where too few are known, or all are equal."""
    among = np.ones(len(is_b), bool) if among is None else among
    if not trait.is_number:
        return _named(trait, is_b[among], trait.column[among], paths[among], seed)
    values = trait.column.to_numpy(np.float64, na_value=np.nan)
    known = among & np.isfinite(values)
    a, b = values[known & ~is_b], values[known & is_b]
    if min(len(a), len(b)) < FEWEST or np.ptp(values[known]) == 0:
        return None
    shift = compare_numbers(a, b, seed)
    medians, histogram = (float(np.median(a)), float(np.median(b))), _histogram(a, b)
    return Test(
        name=trait.name,
        p=shift.p,
        measure="delta",
        effect=shift.delta,
        low=shift.low,
        high=shift.high,
        size=max(abs(shift.delta), shift.distance),
        words=_moved(trait, shift, a, b),
        before=medians[0],
        after=medians[1],
        pictures_a=_typical(a, paths[known & ~is_b], histogram, -1),
        pictures_b=_typical(b, paths[known & is_b], histogram, 1),
        histogram=histogram,
    )


def _moved(trait: Trait, shift: Shift, a: Doubles, b: Doubles) -> str:
    """What changed, such as: Darker: median brightness 132 to 80, delta -0.61."""
    if abs(shift.delta) >= NOT_MOVED:
        how = trait.high if shift.delta > 0 else trait.low
        medians = f"{_number(np.median(a))} to {_number(np.median(b))}"
        return f"{how.capitalize()}: median {trait.name} {medians}, delta {shift.delta:+.2f}."
    middle = [np.subtract(*np.percentile(one, [75, 25])) for one in (a, b)]
    how = "varies more" if middle[1] > middle[0] else "varies less" if middle[1] < middle[0] else "is spread otherwise"
    return (
        f"{trait.name.capitalize()} {how}: middle half over {_number(middle[0])} to {_number(middle[1])}, at most "
        f"{shift.distance:.0%} of the pictures."
    )


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _typical(values: Doubles, paths: NDArray[np.object_], histogram: Histogram, sign: int) -> tuple[str, ...]:
    """Pictures where one side has most more than the other, not its extremes, which the other may have as well.

    values, paths: (N,), of one side. sign: 1 of b, -1 of a.
    """
    smooth = np.full(3, 1 / 3)
    shares = [np.convolve(np.array(one) / max(sum(one), 1), smooth, "same") for one in (histogram.a, histogram.b)]
    edges = np.array(histogram.edges)
    bins = np.clip(np.searchsorted(edges, values, "right") - 1, 0, len(edges) - 2)
    order = np.lexsort((paths.astype(str), -sign * (shares[1] - shares[0])[bins]))
    return tuple(paths[order[:MOST_EXAMPLES]].tolist())


def _histogram(a: Doubles, b: Doubles) -> Histogram:
    # The outermost hundredths would leave the rest in a single bar.
    both = np.concatenate([a, b])
    low, high = np.percentile(both, [0.5, 99.5])
    low, high = (low, high) if high > low else (both.min(), both.max())
    edges = np.linspace(low, high, BINS + 1)
    counts = [np.histogram(np.clip(one, low, high), edges)[0].tolist() for one in (a, b)]
    return Histogram(tuple(counts[0]), tuple(counts[1]), tuple(edges.tolist()))


def _named(trait: Trait, is_b: Bools, column: pd.Series[str], paths: NDArray[np.object_], seed: int) -> Test | None:
    """The test of a trait with names, such as the format or the camera."""
    names = column.fillna(UNKNOWN)
    if names.nunique() < 2 or min(is_b.sum(), (~is_b).sum()) < FEWEST:
        return None
    return _mix(trait.name, names, is_b, paths, seed)


def _mix(name: str, names: pd.Series[str], is_b: Bools, paths: NDArray[np.object_], seed: int) -> Test:
    often = names.value_counts().sort_index(kind="stable").sort_values(ascending=False, kind="stable").index
    kept = names.where(names.isin(often[:MOST_NAMES]), "others")
    shown = sorted(kept.unique())
    place = kept.map({one: number for number, one in enumerate(shown)}).to_numpy(np.int64)
    a, b = (np.bincount(place[side], minlength=len(shown)) for side in (~is_b, is_b))
    mix = compare_counts(a, b, seed)
    shares = b / b.sum() - a / a.sum()
    more, less = int(shares.argmax()), int(shares.argmin())
    return Test(
        name=name,
        p=mix.p,
        measure="distance",
        effect=mix.distance,
        low=mix.low,
        high=mix.high,
        size=max(mix.distance - mix.by_chance, 0.0),
        words=_shares_in_words(name, shown, a, b, mix.by_chance, mix.distance),
        pictures_a=_some(paths, ~is_b & (place == less)),
        pictures_b=_some(paths, is_b & (place == more)),
        histogram=Histogram(tuple(a.tolist()), tuple(b.tolist()), names=tuple(shown)),
    )


def _shares_in_words(name: str, names: list[str], a: Ints, b: Ints, by_chance: float, distance: float) -> str:
    """What came, what went, and what moved most."""
    came = [one for one, before, after in zip(names, a, b, strict=True) if after and not before]
    went = [one for one, before, after in zip(names, a, b, strict=True) if before and not after]
    moved = np.argsort(-np.abs(b / b.sum() - a / a.sum()), kind="stable")[:2]
    parts = [f"{names[one]} {a[one] / a.sum():.0%} to {b[one] / b.sum():.0%}" for one in moved]
    parts += [f"new: {_some_names(came)}"] * bool(came) + [f"gone: {_some_names(went)}"] * bool(went)
    return f"{name.capitalize()}: {', '.join(parts)}; distance {distance:.2f}, {by_chance:.2f} by chance."


def _some_names(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _some(paths: NDArray[np.object_], among: Bools) -> tuple[str, ...]:
    return tuple(sorted(paths[among].tolist())[:MOST_EXAMPLES])


# ---- Embedding


def ask_embedding(a: Pictures, b: Pictures, seed: int = 0) -> Question:
    """Whether a classifier, or a kernel, tells the two sets apart by what the backbone sees."""
    few = _too_few(a, b)
    if few:
        return Question("embedding", why=few)
    random = np.random.default_rng(seed)
    chosen = [_drawn(one.rows, CLASSIFIED, random) for one in (a, b)]
    projection = heads.fit_projection(np.concatenate([a.vectors[chosen[0]], b.vectors[chosen[1]]]))
    seen = [projection(one.vectors[rows])[:, :DIRECTIONS] for one, rows in zip((a, b), chosen, strict=True)]
    told = tell_apart(seen[0], seen[1], seed)
    apart = kernel_distance(seen[0][:COMPARED], seen[1][:COMPARED], seed)
    typical = [
        tuple(one.rows["path"].to_numpy()[rows[np.argsort(sign * scores, kind="stable")[:MOST_EXAMPLES]]].tolist())
        for one, rows, scores, sign in ((a, chosen[0], told.scores_a, 1), (b, chosen[1], told.scores_b, -1))
    ]
    words = f"A classifier tells a picture of {b.name} from one of {a.name} in {told.auc:.0%} of pairs (50% is chance)."
    classifier = Test("classifier", told.p, "AUC", told.auc, told.low, told.high, max(2 * told.auc - 1, 0.0), words)
    far = np.sqrt(max(apart.square, 0.0))
    kernel = Test(
        "kernel",
        apart.p,
        "MMD squared",
        apart.square,
        apart.low,
        apart.high,
        far,
        f"The kernel distance (MMD) is {far:.2f}, more than sets of one source have.",
    )
    tests = [replace(one, pictures_a=typical[0], pictures_b=typical[1]) for one in (classifier, kernel)]
    sizes = f"{len(seen[0]):,} and {len(seen[1]):,} pictures were classified"
    compared = f"{len(seen[0][:COMPARED]):,} and {len(seen[1][:COMPARED]):,} compared by the kernel"
    return Question("embedding", tuple(tests), notes=(f"{sizes}, {compared}; drawn with seed {seed}.",))


def _drawn(rows: pd.DataFrame, most: int, random: np.random.Generator) -> Ints:
    """Random places of at most so many rows. Rows come by content, so that names and the order of files don't count."""
    order = rows["sha256"].argsort(kind="stable").to_numpy(np.int64)
    return np.asarray(order[random.permutation(len(order))[:most]], np.int64)


# ---- Labels


@dataclass(frozen=True)
class Guesses:
    """Classes that a model gives pictures that it has not seen. paths, names: (N,)."""

    paths: NDArray[np.object_]
    names: NDArray[np.object_]


def ask_labels(a: Pictures, b: Pictures, said: Sequence[Guesses] = (), seed: int = 0) -> Question:
    """Whether the classes have other shares. said: of a and of b, asked where b has no labels; () = there is none."""
    import pandas as pd

    labels = [one.rows["final_label"].dropna() for one in (a, b)]
    name, note = "class mix", ""
    paths = np.concatenate([one.rows["path"].to_numpy()[one.labelled] for one in (a, b)])
    if min(map(len, labels)) < FEWEST:
        if min((len(one.names) for one in said), default=0) < FEWEST:
            few = min((a, b), key=lambda one: one.labelled.sum())
            return Question("labels", why=f"{few.name} has {few.labelled.sum()} labels, fewer than {FEWEST}")
        labels = [pd.Series(one.names, dtype="str") for one in said]
        paths = np.concatenate([one.paths for one in said])
        name, note = "predicted classes", "There are too few labels: what a model that learnt from A says was asked."
    names = pd.concat(labels, ignore_index=True)
    is_b = np.arange(len(names)) >= len(labels[0])
    if names.nunique() < 2:
        return Question("labels", why="there is one class only")
    return Question("labels", (_mix(name, names, is_b, paths, seed),), notes=(note,) if note else ())


# ---- What is new


def ask_new(a: Pictures, b: Pictures, seed: int = 0) -> Question:
    """Whether more of b's pictures are like nothing in a than of a's own are like none of the others."""
    from scipy.stats import fisher_exact

    few = _too_few(a, b)
    if few:
        return Question("new", why=few)
    random = np.random.default_rng(seed)
    known, asked = (_drawn(one.rows, MOST_SOUGHT, random) for one in (a, b))
    own = 1 - _mean_similarity(nearest(a.vectors[known], NEIGHBOURS).similarity)
    far = 1 - _mean_similarity(nearest_among(b.vectors[asked], a.vectors[known], NEIGHBOURS).similarity)
    cut = float(np.quantile(own, 1 - UNUSUAL, method="higher"))
    counts = [[int((one > cut).sum()), int((one <= cut).sum())] for one in (own, far)]
    shares = [one[0] / sum(one) for one in counts]
    delta, low, high = share_difference(counts)
    order = np.lexsort((asked, -far))[: min(counts[1][0], MOST_EXAMPLES)]
    nearest_own = np.lexsort((known, np.abs(own - np.median(own))))[:MOST_EXAMPLES]
    test = Test(
        name="like nothing known",
        p=float(fisher_exact([counts[1], counts[0]], alternative="greater").pvalue),
        measure="share",
        effect=delta,
        low=low,
        high=high,
        size=max(delta, 0.0),
        words=f"{counts[1][0]:,} pictures of {b.name} ({shares[1]:.0%}) are like nothing in {a.name}, where "
        f"{shares[0]:.0%} would be usual.",
        before=shares[0],
        after=shares[1],
        pictures_a=tuple(a.rows["path"].to_numpy()[known[nearest_own]].tolist()),
        pictures_b=tuple(b.rows["path"].to_numpy()[asked[order]].tolist()),
        histogram=_histogram(own, far),
    )
    return Question("new", (test,))


def _mean_similarity(similarity: Floats) -> Doubles:
    return np.asarray(np.nanmean(similarity.astype(np.float64), axis=1))


def share_difference(counts: list[list[int]]) -> tuple[float, float, float]:
    """The difference of two shares and its 95 % interval by Newcombe (1998)."""
    from curate.leakage import Share

    (one, other) = (Share(hits, hits + misses) for hits, misses in counts)
    delta = other.value - one.value
    (low_a, high_a), (low_b, high_b) = one.interval, other.interval
    low = delta - np.hypot(other.value - low_b, high_a - one.value)
    high = delta + np.hypot(high_b - other.value, one.value - low_a)
    return delta, float(max(low, -1)), float(min(high, 1))
