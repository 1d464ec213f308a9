"""Strategies in a row: which can follow which, what each aims for, and what comes of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from hashlib import blake2b

import numpy as np

from curate.errors import SettingsError
from curate.settings import RebalanceSettings
from curate.strategies import (
    INVENTED,
    RARE,
    AnyStrategy,
    Balance,
    Goal,
    Ints,
    Invented,
    InventingStrategy,
    Strategy,
    Training,
    epoch_sizes,
    find_strategy,
    untouched,
)

ORDER = "first those that leave out pictures, then one that repeats them, then one that weighs them"
_WHAT = {"down": "leave out pictures until classes have the size wanted", "up": "bring small classes up to the size"}


def combination(names: Sequence[str]) -> tuple[AnyStrategy, ...]:
    """The strategies of these names, in this order. Raises SettingsError when one makes no sense after another."""
    chosen = tuple(find_strategy(name) for name in names)
    for place, one in enumerate(chosen):
        for before in chosen[:place]:
            _require_sense(before, one)
    return chosen


def _require_sense(before: AnyStrategy, one: AnyStrategy) -> None:
    if before.name == one.name:
        raise SettingsError(f"The strategy {one.name!r} is named twice.", "Name each once.")
    if before.kind == one.kind == "weight":
        raise SettingsError(
            f"{before.name!r} and {one.name!r} both weigh classes: the second would replace the first.", "Choose one."
        )
    if before.kind == one.kind and one.kind != "clean":
        raise SettingsError(
            f"{before.name!r} and {one.name!r} both {_WHAT[one.kind]}: the second would find nothing to do.",
            "Choose one.",
        )
    if before.invents and one.kind != "weight":
        raise SettingsError(
            f"{one.name!r} can't follow {before.name!r}, whose vectors are of no picture.",
            "Only a weighting strategy can follow it.",
        )
    late, early = before.kind in ("up", "weight"), one.kind in ("clean", "down")
    if (late and early) or (before.kind == "weight" and one.kind == "up"):
        raise SettingsError(f"{one.name!r} can't follow {before.name!r}.", f"The order is: {ORDER}.")


def require_pictures(chosen: Sequence[AnyStrategy]) -> tuple[Strategy, ...]:
    """The strategies, all of which choose among pictures. Raises SettingsError that explains why another can't."""
    for one in chosen:
        if isinstance(one, InventingStrategy):
            raise SettingsError(
                f"{one.name!r} makes vectors that lie between those of pictures. No picture belongs to them, so there "
                "is nothing to show to a network that learns from pictures.",
                "To train a model on the vectors: add --features FILE.parquet. For pictures: random-over or "
                "informative-over with augmentation.",
            )
    return tuple(one for one in chosen if isinstance(one, Strategy))


def balance(training: Training, chosen: Sequence[Strategy], settings: RebalanceSettings) -> Balance:
    """What the strategies make of the training pictures, one after the other."""
    now = untouched(training)
    for place, one in enumerate(chosen):
        now = _step(training, one, chosen[place + 1 :], settings, now)
    return now.noting(*_left_to_say(training, chosen, settings, now))


def _step(
    training: Training, one: Strategy, later: Sequence[AnyStrategy], settings: RebalanceSettings, before: Balance
) -> Balance:
    goal = goal_of(training, before, later, settings)
    if one.kind == "down":
        before = _without_copies(training, goal, before)
    after = one.choose(training, goal, before)
    return _spared(training, goal, one, before, after) if one.kind == "clean" else after


def invent(
    training: Training, chosen: Sequence[AnyStrategy], settings: RebalanceSettings
) -> tuple[Training, Balance, Ints]:
    """The same with a strategy among them that invents vectors; those take the place of pictures.

    Gives the vectors as if they were pictures, their balance, and the picture of each, INVENTED where it is of none.
    """
    place = next((number for number, one in enumerate(chosen) if one.invents), len(chosen))
    first = [one for one in chosen[:place] if isinstance(one, Strategy)]
    now = untouched(training)
    for number, one in enumerate(first):
        now = _step(training, one, chosen[number + 1 :], settings, now)
    made = Invented(training.vectors, training.labels, np.arange(len(training)))
    if place < len(chosen):
        inventing = chosen[place]
        assert isinstance(inventing, InventingStrategy)
        made = inventing.invent(training, goal_of(training, now, chosen[place + 1 :], settings), now)
        training, now = _as_training(training, made), untouched(_as_training(training, made)).noting(*made.notes)
    for weighing in chosen[place + 1 :]:
        assert isinstance(weighing, Strategy)
        now = _step(training, weighing, (), settings, now)
    return training, now, made.source


def _as_training(training: Training, made: Invented) -> Training:
    """Vectors as if they were pictures: invented ones are copies of nothing."""
    real = made.source != INVENTED
    groups = training.groups.max(initial=0) + 1 + np.arange(len(made.source))
    groups[real] = training.groups[made.source[real]]
    return Training(
        vectors=made.vectors,
        labels=made.labels,
        groups=groups,
        chance=np.linspace(0, 1, len(made.source)),
        doubtful=np.zeros(len(made.source), bool),
        classes=training.classes,
    )


def goal_of(training: Training, before: Balance, later: Sequence[AnyStrategy], settings: RebalanceSettings) -> Goal:
    """What the next step aims for. later: the strategies after it.

    Where classes are cut and then repeated, both meet in the middle: the largest is cut by the factor that the smallest
    is raised by. Rare classes set no goal: two pictures of one class must not cost the others all of theirs.
    """
    sizes = epoch_sizes(training, before)
    counted = sizes[(sizes > 0) & ~training.rare]
    smallest, largest = (int(counted.min()), int(sizes.max())) if len(counted) else (RARE + 1, int(sizes.max()))
    most = settings.max_per_class or largest + smallest + settings.min_per_class
    raised_later = any(one.kind == "up" for one in later)
    wanted = math.sqrt(largest * smallest / settings.target) if raised_later else smallest / settings.target
    least = max(RARE + 1, settings.min_per_class)
    return Goal(
        ceiling=min(max(round(wanted), least), most),
        floor=min(max(math.ceil(settings.target * largest - 1e-9), settings.min_per_class), most),
        least=least,
        target=settings.target,
        max_repeat=settings.max_repeat,
        seed=int.from_bytes(blake2b(settings.seed.encode(), digest_size=4).digest(), "little"),
    )


def _without_copies(training: Training, goal: Goal, before: Balance) -> Balance:
    """Of classes that are too large, copies go before different pictures."""
    copies = training.copies(before.used)
    gone = []
    for label, size in enumerate(training.sizes(before.used)):
        rows = np.flatnonzero(copies & (training.labels == label))
        gone.append(rows[np.argsort(training.chance[rows], kind="stable")][: max(int(size) - goal.ceiling, 0)])
    return before.without(np.concatenate(gone))


def _spared(training: Training, goal: Goal, one: Strategy, before: Balance, after: Balance) -> Balance:
    """With the classes left whole of which the strategy would have left too little."""
    was, now = training.sizes(before.used), training.sizes(after.used)
    spared = (now < was) & (now < np.minimum(was, goal.least))
    if not spared.any():
        return after
    back = spared[training.labels]
    repeat = np.where(back, before.repeat, after.repeat)
    return replace(after, repeat=repeat).noting(
        f"{one.name} would have left fewer than {goal.least} pictures of {training.named(spared)}, so all stay."
    )


def _left_to_say(
    training: Training, chosen: Sequence[Strategy], settings: RebalanceSettings, now: Balance
) -> list[str]:
    """Where the result is not what was asked for, and why."""
    kinds = {one.kind for one in chosen}
    sizes = epoch_sizes(training, now)
    notes = []
    if training.rare.any():
        notes.append(f"Classes of 1 to {RARE} different pictures, which say little: {training.named(training.rare)}.")
    if "up" in kinds:
        floor = min(settings.target * sizes.max(), settings.max_per_class or sizes.max())
        full = np.zeros(len(sizes), bool)
        full[np.unique(training.labels[now.repeat >= settings.max_repeat])] = True
        short = full & (sizes < math.floor(max(floor, settings.min_per_class)))
        if short.any():
            rest = "" if "weight" in kinds else " inverse-frequency after it makes up for that."
            notes.append(
                f"At {settings.max_repeat} repeats at most, these stay too small: {training.named(short)}.{rest}"
            )
    if 2 * int(now.used.sum()) < len(training):
        notes.append(
            f"{1 - now.used.mean():.0%} of the training pictures are left out. A lower target (--target) or "
            "--min-per-class keeps more; weights (inverse-frequency) keep all."
        )
    if settings.max_per_class and (sizes > settings.max_per_class).any() and "down" not in kinds:
        over = training.named(sizes > settings.max_per_class)
        notes.append(f"Above {settings.max_per_class:,} pictures, as no strategy here leaves any out: {over}.")
    return notes
