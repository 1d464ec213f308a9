"""Why a picture is worth a look, in words: what the model says of it, and what is known of pictures like it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

HESITATES = 0.5  # lead of the best guess over the next below which one may speak of hesitation: .7 to .2, .6 to .3
POSSIBLE = 0.1  # probability from which a class is worth a mention: one such picture in ten is of it
RARE = 20  # different pictures, see `curate.thinness.FEW_SHOTS`; and
RARE_SHARE = 0.5  # of the median class: where all classes are small, none is rare
STRANGE = 0.95  # share of the labelled pictures that lie nearer to another labelled one than a strange picture does


@dataclass(frozen=True)
class Known:
    """What is known of the pictures that may be chosen.

    names: of the classes. sizes: (K,) different labelled pictures of each. probabilities: (N, K); None without a
    model. nearest: (N,) row of the nearest labelled picture, -1 = none; similarity: (N,) cosine to it.
    usual: similarity below which a picture is unlike anything labelled. paths: (N,).
    """

    names: list[str]
    sizes: Ints
    probabilities: Floats | None
    nearest: Ints
    similarity: Floats
    usual: float
    paths: list[str]


def best_two(probabilities: Floats, row: int) -> tuple[int, int]:
    """The most probable class and the next; the same one where there is only one."""
    order = np.argsort(-probabilities[row], kind="stable")
    return int(order[0]), int(order[min(1, len(order) - 1)])


def why_label(known: Known, row: int, kin: int) -> str:
    """Why the unlabelled picture should get a label. kin: how many pictures it is typical of; 0 = not chosen so."""
    parts = [f"typical of {kin:,} pictures like it"] if kin > 1 else []
    parts += _unlike_labelled(known, row)
    if known.probabilities is not None:
        parts += [*_of_model(known, row), *_of_rare_class(known, row)]
    return "; ".join(parts) or "nothing is known of it or of pictures like it"


def _unlike_labelled(known: Known, row: int) -> list[str]:
    if known.nearest[row] < 0 or known.similarity[row] >= known.usual:
        return []
    return [f"nothing like it is labelled yet; the nearest is {known.paths[known.nearest[row]]}"]


def _of_rare_class(known: Known, row: int) -> list[str]:
    """That the picture may be of a rare class, if a probable one is rare; the rarest counts."""
    assert known.probabilities is not None
    possible = [one for one in best_two(known.probabilities, row) if known.probabilities[row, one] >= POSSIBLE]
    few = min(RARE, float(np.median(known.sizes)) * RARE_SHARE)
    rare = sorted({(int(known.sizes[one]), known.names[one]) for one in possible if known.sizes[one] <= few})
    if not rare:
        return []
    size, name = rare[0]
    return [f"{name} has only {size} labelled {'picture' if size == 1 else 'pictures'} and this may be one"]


def _of_model(known: Known, row: int) -> list[str]:
    assert known.probabilities is not None
    first, second = best_two(known.probabilities, row)
    share, other = float(known.probabilities[row, first]), float(known.probabilities[row, second])
    if share - other >= HESITATES or first == second:
        return [f"the model says {known.names[first]} {two_digits(share)}"]
    guesses = f"{known.names[first]} {two_digits(share)} and {known.names[second]} {two_digits(other)}"
    return [f"the model hesitates between {guesses}"]


def why_review(known: Known, row: int, label: int, quality: float, evidence: str) -> str:
    """Why the label of the picture should be checked.

    quality: probability that it is right. evidence: what `curate flag` said, "" = nothing.
    """
    if evidence:
        return evidence
    given = known.names[label]
    if known.probabilities is None:
        return f"labelled {given}; nothing speaks for or against it"
    first, _ = best_two(known.probabilities, row)
    of_given = two_digits(float(known.probabilities[row, label]))
    right = f"labelled {given}, right with probability {two_digits(quality)}"
    if first == label:
        return f"{right}; models that have not seen it agree: {given} {of_given}"
    said = two_digits(float(known.probabilities[row, first]))
    return f"{right}; models that have not seen it say {known.names[first]} {said}, {given} {of_given}"


def two_digits(share: float) -> str:
    """A probability as people read it: .41; 1.00 and .00 only where it is so."""
    return f"{min(max(share, 0.0), 1.0):.2f}".removeprefix("0")
