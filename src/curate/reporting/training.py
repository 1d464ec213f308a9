"""What training sees of a version, for the page: its splits, and its classes before and after rebalancing."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from curate.release import SPLITS
from curate.stages.labels import TRAIN
from curate.versions import Version

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class ClassBalance:
    """One class in training. seen: times that an epoch shows one of its pictures; share: of the loss, 0..1."""

    label: str
    pictures: int
    seen: int
    share: float


@dataclass(frozen=True)
class Balance:
    """The classes of the training pictures before and after rebalancing, the largest first.

    ratio_before: pictures of the largest class per picture of the smallest; ratio_after: of their shares of the loss.
    left_out: training pictures that no epoch shows. waiting: those that came since, and count once. said: how.
    """

    classes: list[ClassBalance]
    ratio_before: float
    ratio_after: float
    left_out: int
    waiting: int
    said: dict[str, Any]

    @property
    def most(self) -> float:
        """The longest bar."""
        return max(max(one.pictures, self.counts_as(one)) for one in self.classes)

    def counts_as(self, one: ClassBalance) -> float:
        """Pictures of a class as the loss counts them, such that all classes together are what an epoch sees."""
        return one.share * self.seen if self.is_weighted else one.seen

    @property
    def pictures(self) -> int:
        return sum(one.pictures for one in self.classes)

    @property
    def seen(self) -> int:
        return sum(one.seen for one in self.classes)

    @property
    def is_weighted(self) -> bool:
        """Whether classes count otherwise than by how often they are seen."""
        return any(abs(one.share - one.seen / max(1, self.seen)) > 5e-4 for one in self.classes)


@dataclass(frozen=True)
class ClassSplits:
    """How many pictures of a class each split has, in the order of the splits."""

    label: str
    pictures: list[int]


@dataclass(frozen=True)
class Splits:
    """Pictures per split, train first; "" = in none. classes: the smallest first."""

    pictures: dict[str, int]
    classes: list[ClassSplits]

    @property
    def total(self) -> int:
        return sum(self.pictures.values())

    @property
    def lacking(self) -> int:
        """Classes that are not in every split."""
        return sum(0 in one.pictures for one in self.classes)


def balance_of(images: pd.DataFrame, version: Version) -> Balance | None:
    """What `curate rebalance` made of the training pictures; None where each counts once."""
    if "repeat" not in images or "weight" not in images or "split" not in images:
        return None
    rows = images[images["keep"] & (images["split"] == TRAIN) & images["final_label"].notna()]
    waiting = int(rows["repeat"].isna().sum())
    repeat, weight = rows["repeat"].fillna(1).astype("int64"), rows["weight"].fillna(1.0).astype("float64")
    if rows.empty or ((repeat == 1) & (weight == 1)).all():
        return None
    by_class = rows.assign(pictures=1, seen=repeat, loss=repeat * weight).groupby("final_label")
    sums = by_class[["pictures", "seen", "loss"]].sum()
    total = float(sums["loss"].sum()) or 1.0
    classes = [
        ClassBalance(str(label), int(one["pictures"]), int(one["seen"]), float(one["loss"]) / total)
        for label, one in sums.iterrows()
    ]
    return Balance(
        classes=sorted(classes, key=lambda one: (-one.pictures, one.label)),
        ratio_before=max(one.pictures for one in classes) / min(one.pictures for one in classes),
        ratio_after=_ratio([one.share for one in classes]),
        left_out=int((repeat == 0).sum()),
        waiting=waiting,
        said=version.recipe.balance,
    )


def _ratio(shares: list[float]) -> float:
    """The largest to the smallest that is not nothing."""
    some = [share for share in shares if share > 0]
    return max(some) / min(some) if some else 1.0


def splits_of(images: pd.DataFrame) -> Splits | None:
    """How the kept pictures are dealt out; None where none is in a split."""
    if "split" not in images:
        return None
    kept = images[images["keep"]]
    if not kept["split"].notna().any():
        return None
    counts = kept["split"].fillna("").value_counts()
    names = [*(one for one in SPLITS if one in counts), *sorted(set(counts.index) - {*SPLITS, ""})]
    pictures = {name: int(counts[name]) for name in [*names, *([""] if "" in counts else [])]}
    cells = Counter(zip(kept["final_label"].fillna(""), kept["split"].fillna(""), strict=True))
    labels = sorted({label for label, _ in cells if label})
    classes = [ClassSplits(label, [cells[label, name] for name in names]) for label in labels]
    return Splits(pictures, sorted(classes, key=lambda one: (sum(one.pictures), one.label)))
