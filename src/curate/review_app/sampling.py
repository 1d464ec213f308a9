"""The blind sample of a session, and what its answers tell so far; without going through the whole log each time."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from curate.review_app.ledger import Ledger
from curate.spot_checks import MENDED, WRONG, Picture, Sample
from curate.stopping import Estimate, estimate

if TYPE_CHECKING:
    from collections.abc import Iterable


class SampleProgress:
    """The answers on a sample, and on the pictures it was drawn from. population: of the sample, as pictures."""

    def __init__(self, sample: Sample, population: set[Picture]) -> None:
        self.sample = sample
        self.population = population
        self.drawn = set(sample.items)
        self._answers: dict[Picture, str] = {}

    def follow(self, pictures: Iterable[Picture], ledger: Ledger) -> None:
        """Take in what was said of these pictures since."""
        for picture in pictures:
            if (newest := ledger.looked_at(*picture, self.sample.after_event)) is None:
                self._answers.pop(picture, None)
            elif picture in self.population or picture in self.drawn:
                self._answers[picture] = newest.answer

    def has_answer(self, picture: Picture) -> bool:
        """Whether somebody has looked at it since the sample was drawn."""
        return picture in self._answers

    @property
    def estimate(self) -> Estimate:
        """What is known now."""
        checked = [answer for picture, answer in self._answers.items() if picture in self.drawn]
        wrong = sum(answer in WRONG for answer in checked)
        mended = sum(answer in MENDED for answer in self._answers.values())
        return _estimated(self.sample, len(checked), wrong, mended)


@lru_cache(maxsize=8)  # the bound takes some milliseconds, and most answers don't move it
def _estimated(sample: Sample, checked: int, wrong: int, mended: int) -> Estimate:
    return estimate(
        population=sample.population,
        planned=len(sample.items),
        checked=checked,
        wrong=wrong,
        mended=mended,
        labels=sample.labels,
        target=sample.target,
    )
