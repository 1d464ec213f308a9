"""`shortcuts`: does something that need not have to do with the subject predict the label?

If all wolves were photographed on snow, a model learns snow. Each trait of the pictures (`curate.traits`) is asked
what it tells of the labels (`curate.association`), and is told of only where that is both no chance, all traits
considered, and large enough for a model to lean on. Whether it is a flaw or the nature of the thing, only people know.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from curate import versions
from curate.association import SHUFFLES, Association, associate
from curate.belonging import Belonging, belonging_groups, near_pairs
from curate.cache import Cache
from curate.captures import captures_of
from curate.checks import find_check
from curate.errors import SourceError
from curate.executors import executor_for
from curate.grouping import readable
from curate.progress import Progress, silent
from curate.project import Project
from curate.settings import Settings, load_settings, with_executor
from curate.studies import keep_study
from curate.traits import UNKNOWN, Kind, Trait, traits_of
from curate.versions import Version

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Verdict = Literal["shortcut", "weak", "none", "not tested"]

FALSE_DISCOVERIES = 0.05  # expected share of traits told of that tell nothing; of none at all, the chance of an alarm
# What is worth telling: a way of so much from chance to certainty, over all classes; or one class told from the others
# so often. Origin: where all classes were collected alike, natural differences stay below: 0.20 of cats and dogs (fur
# and grass, in bytes per pixel), 0.08 and 0.71 of CIFAR-10 (aeroplanes before the sky), 0.05 and 0.66 of road signs.
MIN_LIFT, MIN_TOLD_APART = 0.25, 0.75
MIN_PICTURES = 5  # of a class: of fewer nothing can be significant among so many traits
MOST_EXAMPLES = 4  # per side
BETWEEN = 0.1  # a mean rank nearer than this to the middle is neither high nor low
MOST_CLASSES = 5  # named per trait
RANK: dict[Verdict, int] = {"shortcut": 0, "weak": 1, "none": 2, "not tested": 3}


@dataclass(frozen=True)
class Carrier:
    """A class that a trait sets apart. how: in words, such as "brighter". told_apart: see `ClassTie`; p: likewise.

    inside, outside: the class's median and that of all others; of names, the share of pictures that have `how`.
    """

    label: str
    how: str
    told_apart: float
    p: float
    inside: float
    outside: float


@dataclass(frozen=True)
class Side:
    """Pictures that show a trait. title: what they are; paths: few, the most telling first."""

    title: str
    paths: tuple[str, ...]


@dataclass(frozen=True)
class Finding:
    """What one trait tells of the labels.

    p: the chance that a trait that tells nothing tells as much; adjusted_p: after the correction for all traits
    (Benjamini and Hochberg). accuracy: balanced, of guessing by this trait alone; interval: 95 %. carriers: classes
    that it sets apart, best first. sentence: all this in words, "" unless it is a shortcut. why: why not tested.
    """

    trait: str
    kind: Kind
    what: str
    verdict: Verdict
    p: float | None = None
    adjusted_p: float | None = None
    accuracy: float | None = None
    interval: tuple[float, float] | None = None
    carriers: tuple[Carrier, ...] = ()
    sides: tuple[Side, ...] = ()
    sentence: str = ""
    why: str = ""


@dataclass(frozen=True)
class Shortcuts:
    """What `shortcuts` found, shortcuts first, the strongest first.

    pictures: labelled ones that were compared; independent: those that are no copies of another. chance: accuracy of
    guessing without any trait. unlabelled: kept pictures without a label; rare: class -> independent pictures, of
    classes with too few to tell anything.
    """

    project: Project
    version: Version
    findings: tuple[Finding, ...]
    classes: list[str]
    pictures: int
    independent: int
    chance: float
    shuffles: int
    unlabelled: int
    rare: dict[str, int]

    @property
    def found(self) -> list[Finding]:
        """The shortcuts."""
        return [one for one in self.findings if one.verdict == "shortcut"]

    def as_dict(self) -> dict[str, Any]:
        """Plain data, as `--json` prints it and the study keeps it."""
        return {
            "version": self.version.name,
            "pictures": self.pictures,
            "independent": self.independent,
            "unlabelled": self.unlabelled,
            "classes": self.classes,
            "rare": self.rare,
            "chance": self.chance,
            "shuffles": self.shuffles,
            "false_discoveries": FALSE_DISCOVERIES,
            "shortcuts": len(self.found),
            "traits": [asdict(one) for one in self.findings],
        }


def shortcuts(
    folder: str | Path,
    *,
    store: str | Path | None = None,
    config: str | Path | None = None,
    version: str | None = None,
    changes: Mapping[str, Any] | None = None,
    shuffles: int = SHUFFLES,
    executor: str | None = None,
    workers: int | None = None,
    network: bool = False,
    progress: Progress = silent,
) -> Shortcuts:
    """Look for traits that predict the label of the kept pictures of a version (None = the newest).

    shuffles: of the labels, against which each trait is tested. The result is kept for the report.
    Raises VersionNotFound; SourceError where fewer than two classes have enough pictures to be compared.
    """
    project = Project.at(folder, store, config, network)
    project.require_store()
    settings = load_settings(project.config, with_executor(changes, executor, workers))
    found = versions.find_version(project.versions, version)
    with project.writing("curate shortcuts"):
        kept = _kept(project, found)
        compared, rare = _compared(kept, project, found, settings)
        captures = captures_of(compared, project.folder, project.cache, executor_for(settings.executor), progress)
        traits = traits_of(compared, captures, compared["thumbnail"], compared["final_label"])
        classes = sorted(compared["final_label"].unique())
        result = Shortcuts(
            project=project,
            version=found,
            findings=look_through(compared, traits, shuffles, progress),
            classes=classes,
            pictures=int(kept["final_label"].isin(classes).sum()),
            independent=len(compared),
            chance=1 / len(classes),
            shuffles=shuffles,
            unlabelled=int(kept["final_label"].isna().sum()),
            rare=rare,
        )
        keep_study(project, "shortcuts", found, result.as_dict())
    return result


def _kept(project: Project, version: Version) -> pd.DataFrame:
    """The kept, readable pictures of a version with their `thumbnail`, NA where the cache was deleted."""
    table = versions.read_table(project.versions, version)
    kept = table[table["keep"] & readable(table)].sort_values("path", ignore_index=True)
    return kept.assign(thumbnail=Cache(project.cache).binary_of("thumbnail", kept["sha256"]))


# ---- What is compared


def _compared(
    kept: pd.DataFrame, project: Project, version: Version, settings: Settings
) -> tuple[pd.DataFrame, dict[str, int]]:
    """One labelled picture for each group of copies, sorted by content; and the classes that have too few of them.

    Copies are one observation: a picture that occurs a hundred times proves nothing a hundred times. Of a group with
    several labels the most frequent one counts.
    """
    labelled = kept[kept["final_label"].notna()].reset_index(drop=True)
    groups = belonging_groups(labelled, None, Belonging(burst_s=0, sequences="off"), _near(labelled, project, settings))
    labelled = labelled.assign(group=groups.ids)
    votes = labelled.groupby(["group", "final_label"]).size().reset_index(name="votes")
    winners = votes.sort_values(["group", "votes", "final_label"], ascending=[True, False, True])
    winners = winners.drop_duplicates("group")[["group", "final_label"]]
    single = labelled.merge(winners, on=["group", "final_label"]).drop_duplicates("group")
    sizes = single["final_label"].value_counts()
    rare = {str(name): int(size) for name, size in sorted(sizes.items()) if size < MIN_PICTURES}
    if len(sizes) - len(rare) < 2:
        raise _nothing_to_compare(version, project, len(sizes), len(rare))
    enough = single[~single["final_label"].isin(list(rare))]
    return enough.sort_values(["sha256", "path"], ignore_index=True), rare


def _nothing_to_compare(version: Version, project: Project, classes: int, rare: int) -> SourceError:
    what = f"{version.name} of {str(project.folder)!r}"
    if not classes:
        return SourceError(
            f"No kept picture of {what} has a label, so nothing can predict it.",
            f"Give labels: curate clean {project.folder} --labels FILE, or a folder per class.",
        )
    if classes == 1:
        return SourceError(f"All kept pictures of {what} are of one class: there is nothing to tell apart.")
    return SourceError(
        f"{rare:,} of the {classes:,} classes of {what} have fewer than {MIN_PICTURES} pictures that are no copies of "
        "each other; at least two classes with more are needed.",
        f"Find pictures for them: curate next {project.folder}",
    )


def _near(rows: pd.DataFrame, project: Project, settings: Settings) -> list[tuple[int, int]]:
    """Pairs of near copies, by the last `clean`; those of one duplicate_group alone where its cache was deleted."""
    check = find_check("near_duplicate")
    relations = Cache(project.cache).relations(check.relating)
    if relations is None:
        return []
    return near_pairs(rows, relations, settings.of(check.name).model_dump()["min_similarity"])


# ---- What is found


def look_through(
    pictures: pd.DataFrame, traits: Sequence[Trait], shuffles: int, progress: Progress = silent
) -> tuple[Finding, ...]:
    """What each trait tells of the labels: shortcuts first, then by the accuracy of guessing by it.

    pictures: path and final_label of pictures that have nothing to do with each other, in an order of their content.
    """
    classes = sorted(pictures["final_label"].unique())
    place = {name: number for number, name in enumerate(classes)}
    labels = pictures["final_label"].map(place).to_numpy(np.int64)
    seen: list[_Seen] = []
    with progress("Looking for shortcuts", len(traits)) as advance:
        for trait in traits:
            seen.append(_see(trait, labels, shuffles))
            advance(1)
    findings = [_finding(pictures, classes, one, adjusted) for one, adjusted in zip(seen, _adjusted(seen), strict=True)]
    return tuple(sorted(findings, key=lambda one: (RANK[one.verdict], -_strength(one), one.trait)))


@dataclass(frozen=True)
class _Seen:
    """A trait and what it tells of the labels; why: why that was not tested."""

    trait: Trait
    why: str
    told: Association | None


def _see(trait: Trait, labels: Ints, shuffles: int) -> _Seen:
    bins = trait.bins()
    why = trait.untested
    if not why and not bins.any():
        why = "it is the same in all pictures" if trait.column.notna().any() else "it is not known of any picture"
    return _Seen(trait, why, None if why else associate(bins, labels, trait.name, shuffles))


def _adjusted(seen: Sequence[_Seen]) -> list[float]:
    """The p-value of each trait after the correction for all of them; 1 of what was not tested."""
    from scipy.stats import false_discovery_control

    values = [one.told.p for one in seen if one.told]
    adjusted = iter(false_discovery_control(values) if values else [])
    return [float(next(adjusted)) if one.told else 1.0 for one in seen]


def _strength(one: Finding) -> float:
    """How much better than chance, for all classes or for the one that it tells apart best."""
    return max([one.accuracy or 0.0, *(carrier.told_apart for carrier in one.carriers)])


def _finding(pictures: pd.DataFrame, classes: list[str], seen: _Seen, adjusted: float) -> Finding:
    trait, one = seen.trait, seen.told
    if one is None:
        return Finding(trait.name, trait.kind, trait.what, "not tested", why=seen.why)
    is_there = adjusted <= FALSE_DISCOVERIES
    carriers = _carriers(pictures["final_label"], classes, trait, one) if is_there else ()
    strong = one.lift >= MIN_LIFT or any(carrier.told_apart >= MIN_TOLD_APART for carrier in carriers)
    verdict: Verdict = "shortcut" if is_there and strong else "weak" if is_there else "none"
    return Finding(
        trait.name,
        trait.kind,
        trait.what,
        verdict,
        p=one.p,
        adjusted_p=adjusted,
        accuracy=one.accuracy,
        interval=one.interval,
        carriers=carriers,
        sides=_sides(pictures, trait, carriers[0]) if carriers and verdict == "shortcut" else (),
        sentence=_sentence(trait, one, carriers) if verdict == "shortcut" else "",
    )


def _carriers(labels: pd.Series[str], classes: list[str], trait: Trait, one: Association) -> tuple[Carrier, ...]:
    """The classes that the trait sets apart, best first."""
    ties = sorted((tie for tie in one.ties if tie.p <= FALSE_DISCOVERIES), key=lambda tie: (-tie.told_apart, tie.label))
    return tuple(
        Carrier(classes[tie.label], how, tie.told_apart, tie.p, inside, outside)
        for tie in ties[:MOST_CLASSES]
        for how, inside, outside in [_how(trait, (labels == classes[tie.label]).to_numpy(bool))]
    )


def _how(trait: Trait, inside: NDArray[np.bool_]) -> tuple[str, float, float]:
    """What sets the class apart: a direction and two medians, or a name and two shares."""
    if trait.is_number:
        medians = [float(trait.column[rows].astype("float64").median()) for rows in (inside, ~inside)]
        above = float(trait.column.rank(pct=True)[inside].mean())  # 0.5: as many are higher as are lower
        if abs(above - 0.5) < BETWEEN or np.isnan(above):
            return f"around {medians[0]:.3g}", medians[0], medians[1]
        return (trait.high if above > 0.5 else trait.low), medians[0], medians[1]
    texts = trait.column.fillna(UNKNOWN)
    own, others = texts[inside].value_counts(normalize=True), texts[~inside].value_counts(normalize=True)
    more = own.sub(others, fill_value=0.0).sort_index()
    # What a class has says more than what it lacks, unless it has a little of everything else.
    name = str(more.idxmax() if more.max() >= -more.min() / 2 else more.idxmin())
    return name, float(own.get(name, 0.0)), float(others.get(name, 0.0))


def _sides(pictures: pd.DataFrame, trait: Trait, carrier: Carrier) -> tuple[Side, ...]:
    """Pictures of the class that show the trait most, and pictures of other classes that show it least."""
    own = (pictures["final_label"] == carrier.label).to_numpy(bool)
    if trait.is_number:
        most, least, words = _extremes(trait, carrier)
    else:
        has = (trait.column.fillna(UNKNOWN) == carrier.how).to_numpy(bool)
        most = np.where(has == (carrier.inside >= carrier.outside), 0.0, np.nan)
        least = np.where(np.isnan(most), 0.0, np.nan)
        words = f"{trait.name} {carrier.how}", f"another {trait.name}"
        words = words if carrier.inside >= carrier.outside else words[::-1]
    titles = f"{carrier.label}, {words[0]}", f"other classes, {words[1]}"
    sides = []
    for title, rows, order in zip(titles, (own, ~own), (most, least), strict=True):
        wanted = pictures.assign(order=order)[rows].dropna(subset=["order"]).sort_values(["order", "path"])
        sides.append(Side(title, tuple(wanted["path"][:MOST_EXAMPLES])))
    return tuple(side for side in sides if side.paths)


def _extremes(trait: Trait, carrier: Carrier) -> tuple[Floats, Floats, tuple[str, str]]:
    """The order of pictures by how much they show what sets the class apart, by how little, and words for both."""
    numbers = trait.column.to_numpy(dtype=float, na_value=np.nan)
    if carrier.how == trait.high:
        return -numbers, numbers, (trait.high, trait.low)
    if carrier.how == trait.low:
        return numbers, -numbers, (trait.low, trait.high)
    off = np.abs(numbers - carrier.inside)
    return off, -off, (carrier.how, "far from that")


def _sentence(trait: Trait, one: Association, carriers: Sequence[Carrier]) -> str:
    words = (
        f"Knowing only the {trait.name}, {one.accuracy:.0%} of labels are guessed right where {one.chance:.0%} is "
        "chance, each class counting the same."
    )
    if not carriers:
        return words
    first = carriers[0]
    return f"{words} Most set apart: {first.label} ({_difference(trait, first)})."


def _difference(trait: Trait, carrier: Carrier) -> str:
    if trait.is_number:
        inside, outside = f"{carrier.inside:.3g}", f"{carrier.outside:.3g}"
        return carrier.how if inside == outside else f"{carrier.how}: {inside} against {outside}"
    return f"{carrier.how}: {carrier.inside:.0%} against {carrier.outside:.0%}"
