"""What a rebalancing strategy is, and where strategies are found.

A strategy is one file in this folder: one way to bring the classes of the training pictures into balance. It gets the
labelled training pictures with their embedding, the sizes to aim for, and what the strategies before it have left, and
says how often an epoch sees each picture and what its loss counts. Some make vectors that no picture has: these are
for training on embeddings only. Everything else (the listing, the docs, the what-if table, the conformance tests)
follows from the `STRATEGY` object. Another package adds one by an entry point in the group `curate.strategies` that
names its STRATEGY object.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, cached_property
from importlib import import_module
from importlib.metadata import entry_points
from pkgutil import iter_modules
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from curate import heads
from curate.errors import SettingsError
from curate.labelers import did_you_mean

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Bools = NDArray[np.bool_]

# What a strategy is for: "clean" leaves out pictures that confuse, whatever the sizes; "down" leaves out pictures of
# large classes; "up" shows those of small ones more often; "weight" makes their loss count more.
Kind = Literal["clean", "down", "up", "weight"]

RARE = 3  # classes with at most so many different pictures: nothing of them is left out, nor do they set the goal
SHOWN = 3  # classes named in a sentence

_HEADING = re.compile(r"^(What it does|When it helps|When it harms|Source):", re.MULTILINE)


@dataclass(frozen=True)
class Training:
    """The labelled training pictures, in an order that their content alone decides.

    vectors: as the backbone gives them. groups: equal on copies of one picture. chance: 0..1, by content and seed, for
    choices at random. doubtful: the label is likely wrong, as far as `curate flag` has said so. classes: names.
    """

    vectors: Floats  # (N, D)
    labels: Ints  # (N,) 0..K-1
    groups: Ints  # (N,)
    chance: Doubles  # (N,)
    doubtful: Bools  # (N,)
    classes: tuple[str, ...]  # (K,)

    def __len__(self) -> int:
        return len(self.labels)

    def only(self, rows: Ints | Bools) -> Training:
        """Some of the pictures."""
        return replace(
            self,
            vectors=self.vectors[rows],
            labels=self.labels[rows],
            groups=self.groups[rows],
            chance=self.chance[rows],
            doubtful=self.doubtful[rows],
        )

    @cached_property
    def projected(self) -> Floats:
        """(N, d) the vectors on their principal axes, in which neighbours are looked for, see `curate.heads`."""
        return heads.fit_projection(self.vectors)(self.vectors)

    @cached_property
    def margins(self) -> Floats:
        """(N,) -1..1: probability of the given label less that of the next best, by a model that did not see the
        picture or a copy of it. Near 0: the model can't decide; near -1: it is sure of another label.
        """
        said = np.zeros((len(self), len(self.classes)), np.float32)
        fold = heads.split(self.labels, self.groups, heads.FOLDS)
        for part in np.unique(fold):
            asked, known = fold == part, fold != part
            if known.any():
                weights = np.ones(int(known.sum()), np.float32)
                said[asked] = heads.linear(
                    self.projected[known], self.labels[known], self.projected[asked], len(self.classes), weights
                )
        rows = np.arange(len(self))
        own = said[rows, self.labels]
        said[rows, self.labels] = -1
        return np.asarray(own - np.maximum(said.max(axis=1), 0), np.float32)

    @cached_property
    def rare(self) -> Bools:
        """(K,) classes with 1 to RARE different pictures."""
        different = self.different(np.ones(len(self), bool))
        return np.asarray((different > 0) & (different <= RARE))

    def different(self, kept: Bools) -> Ints:
        """(K,) different pictures of each class among the kept ones: copies count once."""
        return self.sizes(kept & ~self.copies(kept))

    def sizes(self, kept: Bools) -> Ints:
        """(K,) kept pictures of each class."""
        return np.bincount(self.labels[kept], minlength=len(self.classes)).astype(np.int64)

    def copies(self, kept: Bools) -> Bools:
        """(N,) kept pictures of which another kept copy has the same label; all copies of a picture but one."""
        rows = np.flatnonzero(kept)
        order = rows[np.lexsort((self.chance[rows], self.groups[rows], self.labels[rows]))]
        found = np.zeros(len(self), bool)
        same = (np.diff(self.groups[order]) == 0) & (np.diff(self.labels[order]) == 0)
        found[order[1:][same]] = True
        return found

    def named(self, chosen: Bools) -> str:
        """The classes, a few of them, for a sentence. chosen: (K,)."""
        names = [self.classes[label] for label in np.flatnonzero(chosen)]
        return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else "")


@dataclass(frozen=True)
class Goal:
    """What to aim for, in pictures of a class that an epoch sees.

    ceiling: more of a class is too many. floor: fewer is too few. least: no class is cut below. target: smallest to
    largest class, 0..1. max_repeat: how often one picture may be shown. seed: for algorithms that draw by themselves.
    """

    ceiling: int
    floor: int
    least: int
    target: float
    max_repeat: int
    seed: int


@dataclass(frozen=True)
class Balance:
    """How often an epoch sees each picture, (N,), 0 = left out, and what its loss counts, (N,).

    notes: what people should know of it, one sentence each.
    """

    repeat: Ints  # (N,)
    weight: Doubles  # (N,)
    notes: tuple[str, ...] = ()

    @property
    def used(self) -> Bools:
        """(N,) the pictures that an epoch sees at all."""
        return self.repeat > 0

    def without(self, rows: Ints | Bools, *notes: str) -> Balance:
        """With these pictures left out."""
        repeat = self.repeat.copy()
        repeat[rows] = 0
        return replace(self, repeat=repeat, notes=(*self.notes, *notes))

    def noting(self, *notes: str) -> Balance:
        """With more to say."""
        return replace(self, notes=(*self.notes, *notes))


@dataclass(frozen=True)
class Invented:
    """Vectors to train on in place of the pictures'.

    source: (M,) the picture that a vector is of, INVENTED where it is of none. notes: as of `Balance`.
    """

    vectors: Floats  # (M, D)
    labels: Ints  # (M,)
    source: Ints  # (M,)
    notes: tuple[str, ...] = ()


INVENTED = -1


@dataclass(frozen=True)
class Strategy:
    """One way to balance pictures. choose: training, goal, what was chosen before -> what is chosen now."""

    name: str
    summary: str
    kind: Kind
    choose: Callable[[Training, Goal, Balance], Balance]
    invents = False

    @property
    def about(self) -> dict[str, str]:
        """Its page, see `page`."""
        return page(self.choose.__module__)


@dataclass(frozen=True)
class InventingStrategy:
    """One way to balance classes by vectors that no picture has. invent: as `Strategy.choose`, but gives vectors."""

    name: str
    summary: str
    kind: Kind
    invent: Callable[[Training, Goal, Balance], Invented]
    invents = True

    @property
    def about(self) -> dict[str, str]:
        """Its page, see `page`."""
        return page(self.invent.__module__)


AnyStrategy = Strategy | InventingStrategy


def page(module: str) -> dict[str, str]:
    """The page of a strategy, its module's docstring: the first sentence under "", then each heading's text."""
    first, *parts = _HEADING.split((sys.modules[module].__doc__ or "").strip())
    told = {heading: " ".join(body.split()) for heading, body in zip(parts[::2], parts[1::2], strict=True)}
    return {"": " ".join(first.split()), **told}


@cache
def all_strategies() -> dict[str, AnyStrategy]:
    """Every strategy by name, in the order in which they can be combined: those of this folder and added ones."""
    kinds: dict[Kind, int] = {"clean": 0, "down": 1, "up": 2, "weight": 3}
    built_in = [import_module(f"{__name__}.{module.name}").STRATEGY for module in iter_modules(__path__)]
    added = [point.load() for point in entry_points(group="curate.strategies")]
    ordered = sorted([*built_in, *added], key=lambda one: (kinds[one.kind], one.invents, one.name))
    return {one.name: one for one in ordered}


def find_strategy(name: str) -> AnyStrategy:
    """The strategy of that name. Raises SettingsError that names the nearest there is."""
    if name not in all_strategies():
        raise SettingsError(f"There is no strategy {name!r}.", did_you_mean(name, list(all_strategies())))
    return all_strategies()[name]


def untouched(training: Training) -> Balance:
    """Every picture once."""
    return Balance(np.ones(len(training), np.int64), np.ones(len(training)))


def judgeable(training: Training, before: Balance) -> Ints:
    """The rows that imbalanced-learn is shown: used pictures of classes that are not rare, as it fails on others."""
    return np.flatnonzero(before.used & ~training.rare[training.labels])


def epoch_sizes(training: Training, balance: Balance) -> Ints:
    """(K,) how many pictures of each class an epoch sees, repeats included."""
    sizes = np.bincount(training.labels, balance.repeat, minlength=len(training.classes))
    return np.asarray(sizes.round(), np.int64)


def weighted(training: Training, before: Balance, mass: Doubles) -> Balance:
    """With weights that give each class this share of the loss, (K,); 1 on average over an epoch's pictures."""
    epoch = epoch_sizes(training, before)
    by_class = np.divide(mass, epoch, out=np.zeros(len(epoch)), where=epoch > 0)
    by_class *= epoch.sum() / max(float((by_class * epoch).sum()), 1e-12)
    return replace(before, weight=by_class[training.labels])
