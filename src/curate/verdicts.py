"""What several people's votes have found: labels that most of them overrule, and what became of each.

A label is overruled where at least three people voted and more than half of them did not choose it, as in the study of
Northcutt et al. 2021 (`curate.votes.verified_errors`). That most people refuse a label does not say that most agree on
another one: where no answer has most of the votes, the label stays until somebody adjudicates.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from curate.agreement import said_of
from curate.decisions import Decision, not_taken_back, with_reviews
from curate.votes import verified_errors

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Overruled:
    """Labels that most voters overrule, as paths.

    relabelled: have another label now. dropped: are of no class, or of several. kept: stand all the same, as a person
    has settled it. unsettled: wait for somebody to settle them, as no answer has most of the votes.
    """

    relabelled: list[str]
    dropped: list[str]
    kept: list[str]
    unsettled: list[str]

    @property
    def total(self) -> int:
        """How many they are: the verified errors."""
        return len(self.relabelled) + len(self.dropped) + len(self.kept) + len(self.unsettled)


def overruled(decisions: Iterable[Decision], given: Mapping[str, object]) -> list[str]:
    """Paths whose label is overruled, sorted. given: path -> the source's label; NA and None = none."""
    import pandas as pd

    newest = {(one.path, one.reviewer): one for one in decisions if one.round == "vote" and one.answer not in NO_VOTES}
    rows = [(path, reviewer, said_of(one, given.get(path))) for (path, reviewer), one in newest.items()]
    if not rows:
        return []
    votes = pd.DataFrame(rows, columns=["path", "annotator", "label"])
    labels = {path: label for path, label in given.items() if isinstance(label, str)}
    return sorted(map(str, verified_errors(votes, labels).loc[lambda found: found].index))


NO_VOTES = ("accept", "unsure")


def what_became(table: pd.DataFrame, log: list[Decision]) -> Overruled:
    """The overruled labels of a table, by what holds of them now. log: all of it."""
    content = dict(zip(table["path"], table["sha256"], strict=True))
    current = [one for one in not_taken_back(log) if content.get(one.path) == one.sha256]
    found = overruled(current, dict(zip(table["path"], table["label"], strict=True)))
    reviewed = with_reviews(table, log).set_index("path")["reviewed"].reindex(found)
    became = {path: answer if isinstance(answer, str) else "" for path, answer in reviewed.items()}
    return Overruled(
        relabelled=[path for path in found if became[path] == "relabel"],
        dropped=[path for path in found if became[path] in ("drop", "both")],
        kept=[path for path in found if became[path] in ("keep", "accept")],
        unsettled=[path for path in found if not became[path]],
    )
