"""What a page says, as plain values; `page` works them out, page.html shows them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from curate.reporting.commands import Commands
from curate.reporting.labels import Labels, Prelabels
from curate.reporting.plots import Histogram
from curate.versions import Version

if TYPE_CHECKING:
    from curate.reporting.studies import Found  # which shows pictures as this module has them
    from curate.reporting.training import Balance, Splits

Verdict = Literal["kept", "review", "dropped"]  # "review": kept, but nobody has looked at it yet


@dataclass(frozen=True)
class Picture:
    """One picture of the table. label: "" if none."""

    path: str
    sha256: str
    label: str
    verdict: Verdict


@dataclass(frozen=True)
class Card:
    """A picture with the reason why it is shown.

    beside: the picture that it is a copy of. suggestion: the label that would fit better. look_alikes: the pictures
    most like it, nearest first.
    """

    picture: Picture
    because: str
    command: str
    beside: Picture | None = None
    suggestion: str = ""
    look_alikes: tuple[Picture, ...] = ()


@dataclass(frozen=True)
class Unreadable:
    """A file that can't be shown. detail: the decoder's words."""

    path: str
    reason: str
    detail: str


@dataclass(frozen=True)
class Setting:
    """A setting in force. default: "" where it is the value. is_threshold: it cuts a measured fact.

    command: cleans again with a value to put in.
    """

    name: str
    value: str
    default: str
    is_threshold: bool
    description: str
    command: str


@dataclass(frozen=True)
class Finding:
    """What one check flagged.

    flagged: images; dropped: those of them that this check dropped. about: heading -> text of the check's own page.
    cards: the first of `viewable` pictures, ordered by the fact `ordered_by` ("": by path). unreadable: the first
    of those that can't be shown; reasons: word -> number of all of them.
    """

    name: str
    summary: str
    action: str
    flagged: int
    dropped: int
    about: dict[str, str]
    settings: list[Setting]
    cards: list[Card]
    viewable: int
    ordered_by: str
    unreadable: list[Unreadable]
    reasons: dict[str, int]
    in_groups: bool  # all its pictures have copies: they are shown side by side elsewhere too

    @property
    def telling_settings(self) -> list[Setting]:
        """Thresholds and what differs from the default; all of them for a check without either."""
        return [one for one in self.settings if one.is_threshold or one.default] or self.settings


@dataclass(frozen=True)
class Group:
    """Copies of one picture, the best first. size: how many there are, of which `pictures` are the first."""

    pictures: list[Picture]
    size: int
    conflict: bool


@dataclass(frozen=True)
class ClassCount:
    """How many images of one label were kept and dropped. label: "" for those without one."""

    label: str
    kept: int
    dropped: int

    @property
    def images(self) -> int:
        """All of them."""
        return self.kept + self.dropped


@dataclass(frozen=True)
class Distribution:
    """One measured fact and the threshold on it. command: cleans again with a threshold to put in."""

    check: str
    action: str
    fact: str
    meaning: str
    setting: str
    flagged: int
    histogram: Histogram
    command: str


@dataclass(frozen=True)
class Page:
    """All that the page shows. counts: as `curate.summary.count` gives them. people: what persons decided.

    splits: None where no picture is in one. balance: None where each counts once. found: what commands found out.
    """

    folder: str
    version: Version
    commands: Commands
    counts: dict[str, Any]
    to_review: int
    findings: list[Finding]
    classes: list[ClassCount]
    people: list[Card]
    people_said: dict[str, int]
    groups: list[Group]
    distributions: list[Distribution]
    settings: dict[str, list[Setting]]
    labels: Labels | None
    prelabels: Prelabels | None
    splits: Splits | None
    balance: Balance | None
    found: Found

    @property
    def dropped_by_people(self) -> dict[str, int]:
        """Reviewer -> images that they dropped."""
        checks = self.version.settings["checks"]
        return {name: number for name, number in self.counts["dropped_by"].items() if name not in checks}

    @property
    def has_labels(self) -> bool:
        """Whether any image has a label."""
        return any(one.label for one in self.classes)

    @property
    def unlabelled(self) -> int:
        """Images without a label, dropped ones included."""
        return sum(one.images for one in self.classes if not one.label)

    def shown(self) -> Iterator[Picture]:
        """Every picture that has a place on the page; some more than once."""
        for card in [card for finding in self.findings for card in finding.cards] + self.people:
            yield card.picture
            if card.beside:
                yield card.beside
            yield from card.look_alikes
        for group in self.groups:
            yield from group.pictures
        yield from self.found.pictures()
