"""Which split each picture goes to: groups stay whole, classes keep their shares, and nothing ever moves.

A picture that has a split keeps it, and what belongs to it follows. The other groups are dealt one after the other,
the largest first, each by a hash of its name in proportion to what the splits still lack of its classes. So the same
pictures come to the same splits on every machine, in any order, and the balance is that of all pictures although only
new ones are moved about.

A class with few groups can't be in every split. Other splits than train get their first group, test before val, as
long as train keeps half of the class: of one group all are in train, of two one is in test, of three two in train and
one in test; from four on the class is everywhere. Those that are not are named.

Rejected: the hash alone, without correction. A split of 10 % of 30 pictures then has none of them in one of 24 cases.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import TypeGuard

import numpy as np
from numpy.typing import NDArray

from curate.errors import SettingsError
from curate.stages.labels import TEST, TRAIN, VAL

Ints = NDArray[np.int64]

SUM_TOLERANCE = 1e-6
KEPT_BY_TRAIN = 0.5  # of the groups of a small class, or train's share where that is less
# Of a split's part of a class, other than train's, a group that fits may be so much: a test of one burst tests little.
LARGEST_PART = 0.5
NO_LABEL = -1


@dataclass(frozen=True)
class Conflict:
    """A group whose pictures were in different splits before: it keeps straddling them.

    rows: those that have a split. joined: where its new pictures go.
    """

    group: int
    splits: Sequence[str]
    rows: Sequence[int]
    joined: str


@dataclass(frozen=True)
class Assignment:
    """splits: one per row. new: how many rows had none before. fractions: what was asked for.

    counts: split -> label -> pictures (label -1 = none). lacking: label -> the splits without a picture of it.
    """

    splits: list[str]
    new: int
    fractions: dict[str, float]
    counts: dict[str, dict[int, int]]
    lacking: dict[int, Sequence[str]]
    conflicts: Sequence[Conflict]

    @property
    def shares(self) -> dict[str, float]:
        """Split -> its share of all pictures, 0..1."""
        return {name: sum(count.values()) / max(1, len(self.splits)) for name, count in self.counts.items()}

    @property
    def deviations(self) -> dict[str, float]:
        """Split -> its share less the one asked for."""
        return {name: share - self.fractions.get(name, 0.0) for name, share in self.shares.items()}

    def worst_class(self) -> tuple[int, str, float]:
        """Label, split and pictures too many (or, below 0, too few) where a class is furthest from the shares asked."""
        totals: dict[int, int] = {}
        for count in self.counts.values():
            for label, pictures in count.items():
                totals[label] = totals.get(label, 0) + pictures
        off = [
            (label, name, count.get(label, 0) - self.fractions.get(name, 0.0) * total)
            for label, total in totals.items()
            for name, count in self.counts.items()
        ]
        return max(off, key=lambda one: abs(one[2]), default=(NO_LABEL, "", 0.0))


def valid_fractions(fractions: Mapping[str, float]) -> dict[str, float]:
    """The shares of the splits, which may have any names. Raises SettingsError unless all are 0..1 with the sum 1."""
    for name, share in fractions.items():
        if not name.strip() or not name.isprintable():
            raise SettingsError(f"{name!r} can't be the name of a split.", "Name them like train, val and test.")
        if not (isinstance(share, int | float) and 0 <= share <= 1):
            raise SettingsError(
                f"The share of the split {name!r} is {share!r}, expected a number from 0 to 1.",
                "Give shares that add up to 1, like --train .8 --val .1 --test .1",
            )
    total = math.fsum(fractions.values())
    if abs(total - 1) > SUM_TOLERANCE:
        said = " + ".join(f"{name} {share:g}" for name, share in fractions.items()) or "none"
        raise SettingsError(
            f"The shares of the splits ({said}) add up to {total:g}, expected 1.",
            "Give shares that add up to 1, like --train .8 --val .1 --test .1",
        )
    return {name: float(share) for name, share in fractions.items()}


def is_named(split: object) -> TypeGuard[str]:
    """Whether it names a split; None, NA and empty text do not."""
    return isinstance(split, str) and split != ""


def assign(
    groups: Ints,
    labels: Ints,
    identities: Sequence[str],
    fractions: Mapping[str, float],
    before: Sequence[str | None],
    seed: str,
) -> Assignment:
    """The split of every row, see above.

    groups: (N,), equal = never parted. labels: (N,), class, -1 = none. identities: (N,), what a picture is, by
    content (sha256); equal ones are of one group. before: (N,), the split each has, None or empty = new; also
    splits that `fractions` doesn't name, or gives nothing, keep their pictures. Raises SettingsError as
    `valid_fractions`.
    """
    shares = valid_fractions(fractions)
    names = [*shares, *sorted({name for name in before if is_named(name)} - shares.keys())]
    code_of = {name: code for code, name in enumerate(names)}
    codes = np.array([code_of[name] if is_named(name) else -1 for name in before], np.int64)
    _, member = np.unique(groups, return_inverse=True)
    joined, conflicts = _joined(member, codes, names, np.asarray(groups))
    split = np.where(codes >= 0, codes, joined[member])
    classes, kind = np.unique(labels, return_inverse=True)
    if (split < 0).any():
        dealt = _deal(member, kind, identities, split, list(shares.values()), (names, classes), seed)
        split = np.where(split >= 0, split, dealt[member])
    counts = _counts(split, kind, names, classes)
    lacking: dict[int, Sequence[str]] = {
        label: missing
        for label in classes[classes != NO_LABEL].tolist()
        if (missing := [name for name, share in shares.items() if share and label not in counts[name]])
    }
    assigned = [names[code] for code in split.tolist()]
    return Assignment(assigned, int((codes < 0).sum()), shares, counts, lacking, conflicts)


def _counts(split: Ints, kind: Ints, names: Sequence[str], classes: Ints) -> dict[str, dict[int, int]]:
    table = np.zeros((len(names), len(classes)), np.int64)
    np.add.at(table, (split, kind), 1)
    return {
        name: {label: count for label, count in zip(classes.tolist(), row, strict=True) if count}
        for name, row in zip(names, table.tolist(), strict=True)
    }


def _joined(member: Ints, codes: Ints, names: Sequence[str], groups: Ints) -> tuple[Ints, list[Conflict]]:
    """The split that new pictures of each group go to, (G,), -1 = none of it has one; and the groups that straddle.

    They join train if they can: one more copy there changes no test.
    """
    ranked = sorted(range(len(names)), key=lambda code: (names[code] != TRAIN, code))
    rank = np.empty(len(names), np.int64)
    rank[ranked] = np.arange(len(names))
    fixed = np.flatnonzero(codes >= 0)
    best = np.full(member.max(initial=-1) + 1, len(names))
    worst = np.full(len(best), -1)
    np.minimum.at(best, member[fixed], rank[codes[fixed]])
    np.maximum.at(worst, member[fixed], rank[codes[fixed]])
    joined = np.array([*ranked, -1], np.int64)[best]
    rows_of: dict[int, list[int]] = {}
    for row in fixed[(best < worst)[member[fixed]]].tolist():
        rows_of.setdefault(int(member[row]), []).append(row)
    conflicts = [
        Conflict(
            int(groups[rows[0]]),
            [names[code] for code in ranked if code in set(codes[rows].tolist())],
            rows,
            names[joined[group]],
        )
        for group, rows in rows_of.items()
    ]
    return joined, conflicts


# ---- How many pictures of each class a split should have


def _targets(sizes: Ints, group_counts: Ints, shares: Sequence[float], names: Sequence[str], classes: Ints) -> Ints:
    """Pictures of each class for each split, (C, S), whole numbers within 1 of the shares where the class allows.

    What rounding gives a split too much of one class it gets less of the next ones, so that many small classes do not
    add up to another split.
    """
    order = _order_of_service(shares, names)
    targets = np.zeros((len(sizes), len(shares)), np.int64)
    owed = np.zeros(len(shares))
    for row, (size, groups, label) in enumerate(zip(sizes.tolist(), group_counts.tolist(), classes, strict=True)):
        few = int(groups) if label != NO_LABEL else len(shares) * 2  # no class to be represented: nothing is too few
        targets[row] = _target(size, _open(few, order, shares), order[0], shares, owed, label != NO_LABEL)
        owed += size * np.asarray(shares) - targets[row]
    return targets


def _order_of_service(shares: Sequence[float], names: Sequence[str]) -> list[int]:
    """Splits that want pictures: train, or else the largest, then test, val and the others."""
    wanting = [code for code, share in enumerate(shares) if share > 0]
    lead = next((code for code in wanting if names[code] == TRAIN), max(wanting, key=lambda code: shares[code]))
    ranks = {TEST: 0, VAL: 1}
    others = [code for code in wanting if code != lead]
    return [lead, *sorted(others, key=lambda code: (ranks.get(names[code], 2), code))]


def _open(groups: int, order: Sequence[int], shares: Sequence[float]) -> list[int]:
    """The splits that a class with so many groups is in."""
    kept = max(1, math.floor(groups * min(KEPT_BY_TRAIN, shares[order[0]]) + 0.5))
    return list(order[: 1 + max(0, groups - kept)])


def _target(
    size: int, opened: Sequence[int], lead: int, shares: Sequence[float], owed: NDArray[np.float64], present: bool
) -> Ints:
    """Pictures of one class for each split, (S,), their sum `size`. present: at least one in each open split."""
    exact = np.zeros(len(shares))
    exact[opened] = np.asarray(shares)[opened] * size
    exact[lead] += size - exact.sum()  # what is closed to the class goes to train
    target = np.floor(exact + SUM_TOLERANCE).astype(np.int64)
    if present:
        target[opened] = np.maximum(target[opened], 1)
    while target.sum() > size:
        target[np.argmax(np.where(target > 1, target - exact, -np.inf))] -= 1
    want = exact - target + owed
    while target.sum() < size:
        code = max(opened, key=lambda one: (round(float(want[one]), 9), -one))
        target[code] += 1
        want[code] -= 1
    return target


# ---- Dealing


@dataclass(frozen=True)
class _Piece:
    """A group without a split: its number, its pictures by class, and its place between 0 and 1 by hash."""

    group: int
    pictures: Sequence[tuple[int, int]]
    chance: float
    identity: str

    @property
    def order(self) -> tuple[int, int, float, str]:
        """What is hard to place comes first: several classes, then many pictures."""
        return -len(self.pictures), -sum(count for _, count in self.pictures), self.chance, self.identity


def _deal(
    member: Ints,
    kind: Ints,
    identities: Sequence[str],
    split: Ints,
    shares: Sequence[float],
    named: tuple[Sequence[str], Ints],
    seed: str,
) -> Ints:
    """The split of each group that has none yet, (G,). split: of each row, -1 = none. named: splits and classes."""
    names, classes = named
    # Pictures in splits that get no share are no part of what is shared out.
    shared = split < 0
    shared[~shared] = np.array([*shares, *([0.0] * (len(names) - len(shares)))])[split[~shared]] > 0
    sizes = np.bincount(kind[shared], minlength=len(classes))
    pairs = np.unique(np.stack([kind[shared], member[shared]]), axis=1)
    group_counts = np.bincount(pairs[0], minlength=len(classes))
    targets = _targets(sizes, group_counts, shares, names, classes)
    present = np.zeros((len(classes), len(names)), np.int64)
    np.add.at(present, (kind[split >= 0], split[split >= 0]), 1)
    table = _Table(targets, present[:, : len(shares)], classes, _order_of_service(shares, names)[0])
    dealt = np.full(member.max() + 1, -1)
    pieces = sorted(_pieces(member, kind, identities, split < 0, seed), key=lambda piece: piece.order)
    for piece in pieces:
        for label, _ in piece.pictures:
            table.left[label] += 1
    for piece in pieces:
        dealt[piece.group] = table.place(piece)
    return dealt


def _pieces(member: Ints, kind: Ints, identities: Sequence[str], new: NDArray[np.bool_], seed: str) -> list[_Piece]:
    names: dict[int, str] = {}
    for row in np.flatnonzero(new).tolist():
        group, identity = int(member[row]), identities[row]
        names[group] = min(names.get(group, identity), identity)
    pairs, counts = np.unique(np.stack([member[new], kind[new]]), axis=1, return_counts=True)
    pictures: dict[int, list[tuple[int, int]]] = {}
    for group, label, count in zip(*pairs.tolist(), counts.tolist(), strict=True):
        pictures.setdefault(group, []).append((label, count))
    return [_Piece(group, pictures[group], _chance(seed, name), name) for group, name in names.items()]


def _chance(seed: str, identity: str) -> float:
    digest = blake2b(f"{seed}\0{identity}".encode("utf-8", "backslashreplace"), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


class _Table:
    """What the splits still lack of each class while groups are dealt.

    lacks: (C, S), pictures, below 0 where a split has too many. left: (C,), groups that are not dealt yet.
    """

    def __init__(self, targets: Ints, present: Ints, classes: Ints, lead: int) -> None:
        self.lacks: list[list[int]] = (targets - present).tolist()
        self.left = [0] * len(targets)
        self._largest = np.maximum(1, targets * LARGEST_PART).tolist()
        self._empty = [
            {code for code, count in enumerate(row) if target[code] and not count and label != NO_LABEL}
            for row, target, label in zip(present.tolist(), targets.tolist(), classes, strict=True)
        ]
        self._all = [code for code in range(targets.shape[1]) if targets[:, code].any()]
        self._lead = lead

    def place(self, piece: _Piece) -> int:
        """Choose a split for the group, and count it there."""
        pictures = piece.pictures
        allowed = self._allowed(pictures)
        fitting = [code for code in allowed if all(self.lacks[label][code] >= count for label, count in pictures)]
        modest = [
            code
            for code in fitting
            if code == self._lead or all(count <= self._largest[label][code] for label, count in pictures)
        ]
        if fitting:
            chosen = self._by_chance(pictures, modest or fitting, piece.chance)
        else:  # where it leaves the sum of squares of what lacks, or is too many, smallest
            chosen = max(allowed, key=lambda code: sum(count * self.lacks[label][code] for label, count in pictures))
        for label, count in pictures:
            self.lacks[label][chosen] -= count
            self.left[label] -= 1
            self._empty[label].discard(chosen)
        return chosen

    def _allowed(self, pictures: Sequence[tuple[int, int]]) -> list[int]:
        """All splits; only those without a picture of a class while it has just as many groups left."""
        allowed = self._all
        for label, _ in pictures:
            if self._empty[label] and self.left[label] <= len(self._empty[label]):
                allowed = [code for code in allowed if code in self._empty[label]] or allowed
        return allowed

    def _by_chance(self, pictures: Sequence[tuple[int, int]], codes: Sequence[int], chance: float) -> int:
        weights = [sum(self.lacks[label][code] for label, _ in pictures) for code in codes]
        reached, wanted = 0.0, chance * sum(weights)
        for code, weight in zip(codes, weights, strict=True):
            reached += weight
            if wanted < reached:
                return code
        return codes[-1]
