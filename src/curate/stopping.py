"""When a review may stop: how many wrong labels are left, at most, told from a random blind sample.

The likely errors are looked at first; what they leave behind nobody knows but by looking at pictures drawn at random.
The bound is exact: it is that of drawing without replacement (hypergeometric), without any approximation, and rests
on three assumptions, which docs/review.md says in plain words: the pictures are drawn at random from all that nobody
had looked at when the sample was planned; who looks at them tells right from wrong labels; all that was drawn counts.

People look at the number while they work, and stop when they like it. A bound that is only good for a sample of
fixed size would then be wrong more often than it says. So the 5 % of sessions in which it may be wrong are spent in two
parts: most of them on the planned end of the sample, the rest on the right to look, and stop, at any moment before:

    at the planned end   Clopper and Pearson's bound for the hypergeometric distribution, at 4 %
    before               a confidence sequence by the ratio of prior to posterior, at 1 %
                         (Waudby-Smith and Ramdas 2020, Confidence sequences for sampling without replacement)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

AT_THE_END, BEFORE = 0.04, 0.01  # together 0.05: the bound holds in 95 % of the sessions, whenever they stop
# The prior of the bound before the end: Beta(1, 1 / target). Any prior gives a valid bound; one that expects about as
# many errors as are wanted gives the tightest where it matters (tests/test_stopping.py).
PRIOR_ERRORS = 1.0


@dataclass(frozen=True)
class Estimate:
    """What a blind sample tells of the labels that nobody looked at when it was planned.

    population: pictures it was drawn from. planned: pictures to look at. checked: looked at so far; wrong: of those,
    labels that were wrong, or that nobody could confirm. mended: wrong labels of the population found since by any way,
    those of the sample among them; not those that nobody could confirm, as they are still there. labels: all labelled
    pictures of the data set, to which `upper` and `target` (shares, 0..1) refer. upper: at most so large a share is
    wrong now, in 95 % of the sessions.
    """

    population: int
    planned: int
    checked: int
    wrong: int
    mended: int
    labels: int
    upper: float
    target: float

    @property
    def reached(self) -> bool:
        """Whether the review may stop."""
        return self.upper <= self.target

    @property
    def most_left(self) -> int:
        """At most so many labels are wrong now."""
        return round(self.upper * self.labels)

    @property
    def likely_left(self) -> float:
        """The share of wrong labels that is expected now, of those nobody has looked at: the sample's, extrapolated."""
        if not self.checked:
            return math.nan
        expected = self.wrong / self.checked * self.population - self.mended
        return max(0.0, expected) / max(self.labels, 1)


def estimate(
    *, population: int, planned: int, checked: int, wrong: int, mended: int, labels: int, target: float
) -> Estimate:
    """What is known after so many pictures of the sample.

    Raises ValueError for numbers that can't be.
    """
    if not 0 <= wrong <= checked <= planned <= population <= labels or mended < 0 or not 0 < target < 1:
        raise ValueError(f"{wrong} wrong of {checked} of {planned} of {population} of {labels}, {mended} mended")
    if checked == planned:
        most = most_errors(population, checked, wrong, AT_THE_END)
    else:
        most = most_errors_so_far(population, checked, wrong, BEFORE, target)
    upper = max(0, most - mended) / max(labels, 1)
    return Estimate(population, planned, checked, wrong, mended, labels, upper, target)


def told(found: Estimate) -> dict[str, Any]:
    """An estimate as plain data."""
    likely = found.likely_left
    return {
        "checked": found.checked,
        "planned": found.planned,
        "wrong": found.wrong,
        "upper": round(found.upper, 6),
        "likely_left": None if math.isnan(likely) else round(likely, 6),
        "most_left": found.most_left,
        "target": found.target,
        "reached": found.reached,
    }


def sample_size(population: int, labels: int, target: float) -> int:
    """How many pictures to look at, so that none of them wrong means that the target is reached.

    population: pictures nobody has looked at, of so many labels in all. About 320 for 1 % of a large data set; all of
    a small population, if need be.
    """
    allowed = math.floor(target * labels)
    return _smallest(lambda size: most_errors(population, size, 0, AT_THE_END) <= allowed, 0, population)


def most_errors(population: int, checked: int, wrong: int, risk: float) -> int:
    """The upper end of the exact one-sided interval for the errors in the population, for a sample of fixed size.

    The largest number for which so few wrong ones in the sample have a probability above the risk.
    """
    from scipy.stats import hypergeom

    if checked == 0:
        return population
    most = population - checked + wrong  # the others are known to be right
    return _smallest(lambda errors: hypergeom.cdf(wrong, population, errors, checked) <= risk, wrong + 1, most + 1) - 1


def most_errors_so_far(population: int, checked: int, wrong: int, risk: float, expected: float) -> int:
    """An upper end that holds at every moment of the sampling at once, but for the risk.

    expected: share of errors where the bound is to be tightest, 0..1.
    """
    from scipy.stats import betabinom

    if checked == 0:
        return population
    a, b = PRIOR_ERRORS, PRIOR_ERRORS / expected
    most = population - checked + wrong

    def excluded(errors: int) -> bool:
        before = betabinom.logpmf(errors, population, a, b)
        after = betabinom.logpmf(errors - wrong, population - checked, a + wrong, b + checked - wrong)
        return bool(before - after >= -math.log(risk))

    likeliest = min(most, max(wrong, round(wrong / checked * population)))  # beyond it, doubt only grows
    return _smallest(excluded, likeliest, most + 1) - 1 if not excluded(likeliest) else likeliest


def _smallest(holds: Callable[[int], bool], low: int, high: int) -> int:
    """The smallest number from low to high for which it holds, if it holds for all above it; high if for none below."""
    while low < high:
        middle = (low + high) // 2
        if holds(middle):
            high = middle
        else:
            low = middle + 1
    return low
