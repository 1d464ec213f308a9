"""The classes that a picture can be given: those of the version, and those that people have made since."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from curate.errors import SourceError
from curate.names import folded
from curate.review_app.ledger import Ledger
from curate.review_app.queues import Catalogue
from curate.stages.labels import require_label


@dataclass(frozen=True)
class Classes:
    """Those of a catalogue in alphabetical order, then those of a log in the order in which they were made."""

    catalogue: Catalogue
    ledger: Ledger

    def __contains__(self, label: object) -> bool:
        return label in self.catalogue.known_classes or label in self.ledger.labels

    def __iter__(self) -> Iterator[str]:
        yield from self.catalogue.classes
        yield from self.new

    @property
    def new(self) -> list[str]:
        """Those that only people's decisions name, in the order in which they were made."""
        return [label for label in self.ledger.labels if label not in self.catalogue.known_classes]

    def require_possible(self, label: str) -> None:
        """Raises SourceError for what can't be the name of another class."""
        require_label(label)
        same = next((one for one in self if one != label and folded(one) == folded(label)), None)
        if same is not None:
            raise SourceError(
                f"There is the class {same!r}, which differs from {label!r} in capital letters or accents alone.",
                "Take that one, or another name.",
            )
