"""What the card of a version tells, as plain values: counted from its table, its settings, the log and the studies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from curate.captures import captures_of
from curate.checks import all_checks
from curate.executors import Executor
from curate.personal import KINDS
from curate.pipeline import UNNORMALIZED, UNSPLIT
from curate.progress import Progress
from curate.project import Project
from curate.records import label_sources
from curate.release import Release
from curate.reviewed import ReviewStanding, review_standing
from curate.studies import Name, read_study
from curate.versions import Version, read_versions

if TYPE_CHECKING:
    import pandas as pd

NO_SPLIT, NO_LABEL = "(no split)", "(no label)"
PEOPLE = "a person"  # whoever dropped it: names of reviewers are nobody's business outside the team
FEW_PICTURES = 30  # of a class: a share of 30 is uncertain by 18 points (binomial, 95 %), were all of them for testing
IMBALANCED = 10  # times: where figures that count all pictures alike begin to hide the rare classes; a usual figure


@dataclass(frozen=True)
class Dropped:
    """What one check, or people, took out. rule: its thresholds in words, "" without any."""

    name: str
    pictures: int
    meaning: str
    rule: str = ""


@dataclass(frozen=True)
class LabelQuality:
    """What is known of the labels.

    sources: who gave the kept labels, "source", "person" or "model" -> pictures. review: what people found; None where
    the version is not the newest, as the log has gone on since. flagged: what `curate flag` said: judged, flagged,
    expected errors with low and high end, model; empty where it was never run.
    """

    sources: Mapping[str, int]
    review: ReviewStanding | None
    flagged: Mapping[str, Any]


@dataclass(frozen=True)
class Personal:
    """Kinds of personal data in the metadata of the source files.

    looked_at: files whose metadata could be read. kinds: kind of `curate.personal` -> files that hold it. leaves:
    whether it goes along when pictures are exported; False for normalized ones, which have no metadata.
    """

    looked_at: int
    kinds: Mapping[str, int]
    leaves: bool


@dataclass(frozen=True)
class Facts:
    """All that a card tells of a version.

    pictures: label -> split -> pictures that leave with it. sizes: width and height in px, as (shortest, median,
    longest). formats: -> pictures. taken: first and last day by EXIF, None = unknown; cameras: how many are named.
    limits: sentences on what to beware of.
    """

    name: str
    version: Version
    first_version: Version
    classes: Sequence[str]
    splits: Sequence[str]
    pictures: Mapping[str, Mapping[str, int]]
    found: int
    dropped: Sequence[Dropped]
    doubted: Sequence[Dropped]
    read_errors: Mapping[str, int]
    formats: Mapping[str, int]
    widths: tuple[int, int, int]
    heights: tuple[int, int, int]
    taken: tuple[str, str] | None
    cameras: int
    labels: LabelQuality
    personal: Personal
    leaks: Mapping[str, Any] | None
    shortcuts: Mapping[str, Any] | None
    limits: Sequence[str]

    @property
    def total(self) -> int:
        """Pictures that leave with the version."""
        return sum(self.by_class.values())

    @property
    def by_class(self) -> dict[str, int]:
        """Label -> pictures, in the order of the classes."""
        return {label: sum(splits.values()) for label, splits in self.pictures.items()}

    @property
    def by_split(self) -> dict[str, int]:
        """Split -> pictures."""
        return {split: sum(row[split] for row in self.pictures.values()) for split in self.splits}


def facts_of(release: Release, executor: Executor, progress: Progress) -> Facts:
    """Count a version. The headers of its pictures are read, once; the caller holds the store's lock."""
    project, version, table = release.project, release.version, release.table
    kept = table[table["keep"]]
    captures = captures_of(kept, project.folder, project.cache, executor, progress)
    history = read_versions(project.versions)
    rows = _by_class_and_split(release)
    leaks, shortcuts = (_current_study(project, name, version) for name in ("leakage", "shortcuts"))
    labels = _label_quality(release, is_newest=version.number == history[-1].number)
    personal = _personal(captures, normalized=bool(version.transform))
    widths, heights = (_spread([getattr(one, side) for one in release.pictures]) for side in ("width", "height"))
    return Facts(
        name=release.name,
        version=version,
        first_version=history[0],
        classes=release.classes,
        splits=sorted({split for row in rows.values() for split in row}, key=_split_order),
        pictures=rows,
        found=version.counts["images"],
        dropped=_dropped(version),
        doubted=_doubted(version),
        read_errors=version.counts["read_errors"],
        formats=dict(Counter(picture.format for picture in release.pictures).most_common()),
        widths=widths,
        heights=heights,
        taken=_taken(captures),
        cameras=int(captures["camera"].nunique()),
        labels=labels,
        personal=personal,
        leaks=leaks,
        shortcuts=shortcuts,
        limits=[
            *_limits_of_labels(labels, version, rows),
            *_limits_of_classes(rows),
            *_limits_of_training(version, leaks, shortcuts),
        ],
    )


def _split_order(split: str) -> tuple[int, str]:
    known = ("train", "val", "test")
    return (known.index(split) if split in known else len(known) + (split == NO_SPLIT), split)


def _by_class_and_split(release: Release) -> dict[str, dict[str, int]]:
    """Label -> split -> pictures, 0 where there is none; pictures without a label last."""
    counts = Counter((one.label or NO_LABEL, one.split or NO_SPLIT) for one in release.pictures)
    splits = sorted({split for _, split in counts}, key=_split_order)
    names = [*release.classes, *([NO_LABEL] if any(one.label is None for one in release.pictures) else [])]
    return {name: {split: counts[name, split] for split in splits} for name in names}


def _spread(values: Sequence[int]) -> tuple[int, int, int]:
    from statistics import median

    return (min(values), int(median(values)), max(values)) if values else (0, 0, 0)


# ---- What was dropped


def _dropped(version: Version) -> list[Dropped]:
    checks = all_checks()
    found = [
        Dropped(name, number, checks[name].summary, _rule(version, name))
        for name, number in version.counts["dropped_by"].items()
        if name in checks
    ]
    by_people = sum(number for name, number in version.counts["dropped_by"].items() if name not in checks)
    return [*found, *([Dropped(PEOPLE, by_people, "somebody looked and took it out")] if by_people else [])]


def _doubted(version: Version) -> list[Dropped]:
    """What is kept although a check asks somebody to look."""
    checks, chosen = all_checks(), version.settings["checks"]
    flagged = version.counts["flagged_by"]
    return [
        Dropped(name, number, checks[name].summary, _rule(version, name))
        for name, number in flagged.items()
        if name in checks and chosen.get(name, {}).get("action") == "review"
    ]


def _rule(version: Version, name: str) -> str:
    chosen = version.settings["checks"].get(name, {})
    return ", ".join(f"{key} = {value}" for key, value in chosen.items() if isinstance(value, float))


# ---- Labels, people, leaks


def _label_quality(release: Release, *, is_newest: bool) -> LabelQuality:
    said = release.version.counts.get("opinions", {}).get("flag", {})
    return LabelQuality(
        sources=label_sources(release),
        review=review_standing(release.project, release.table) if is_newest else None,
        flagged=said if said.get("judged") else {},
    )


def _personal(captures: pd.DataFrame, *, normalized: bool) -> Personal:
    said = captures["personal"].dropna()
    kinds = {kind: int(said.str.split(";").map(lambda found, kind=kind: kind in found).sum()) for kind in KINDS}
    return Personal(len(said), {kind: number for kind, number in kinds.items() if number}, not normalized)


def _taken(captures: pd.DataFrame) -> tuple[str, str] | None:
    days = captures["taken_at"].dropna()
    return (f"{days.min():%Y-%m-%d}", f"{days.max():%Y-%m-%d}") if len(days) else None


def _current_study(project: Project, name: Name, version: Version) -> dict[str, Any] | None:
    study = read_study(project, name)
    return study.result if study is not None and study.version_id == version.id else None


# ---- What to beware of


def _limits_of_labels(labels: LabelQuality, version: Version, rows: Mapping[str, Mapping[str, int]]) -> list[str]:
    limits = []
    measured = labels.review is not None and labels.review.estimate is not None
    if set(rows) - {NO_LABEL} and not measured:
        limits.append("How many labels are wrong was not measured: nobody has looked at a random blind sample.")
    if labels.review is not None and labels.review.flags_left:
        limits.append(f"{labels.review.flags_left:,} labels that models doubt were kept without anybody looking.")
    if labels.sources.get("model"):
        limits.append(f"{labels.sources['model']:,} labels were taken over from a model.")
    flagged = version.counts["flagged_by"]
    if flagged.get("label_conflict"):
        limits.append(f"{flagged['label_conflict']:,} pictures have a copy with another label.")
    if rows.get(NO_LABEL):
        limits.append(f"{sum(rows[NO_LABEL].values()):,} pictures have no label.")
    return limits


def _limits_of_classes(rows: Mapping[str, Mapping[str, int]]) -> list[str]:
    counts = {label: sum(row.values()) for label, row in rows.items() if label != NO_LABEL}
    if not counts:
        return []
    limits = []
    few = {label: number for label, number in sorted(counts.items(), key=lambda one: one[1]) if number < FEW_PICTURES}
    if few:
        named = ", ".join(f"{label} ({number})" for label, number in list(few.items())[:5])
        more = f" and {len(few) - 5} more" if len(few) > 5 else ""
        limits.append(f"Fewer than {FEW_PICTURES} pictures: {named}{more}. How well a model does there can't be told.")
    ratio = max(counts.values()) / max(min(counts.values()), 1)
    if ratio >= IMBALANCED:
        limits.append(
            f"The largest class has {ratio:.0f} times the pictures of the smallest: accuracy over all pictures says "
            "little; report recall per class and balanced accuracy."
        )
    return limits


def _limits_of_training(
    version: Version, leaks: Mapping[str, Any] | None, shortcuts: Mapping[str, Any] | None
) -> list[str]:
    limits = []
    near = version.counts["flagged_by"].get("near_duplicate", 0) - version.counts["dropped_by"].get("near_duplicate", 0)
    if near > 0:
        limits.append(f"{near:,} kept pictures are edited copies of other ones.")
    leaked = sum(one["exact"] + one["near"] + one["group"] for one in leaks["splits"]) if leaks else 0
    if leaked:
        limits.append(f"{leaked:,} pictures of test or validation have a copy, or a picture of their group, in train.")
    found = [one["trait"] for one in (shortcuts or {}).get("traits", []) if one["verdict"] == "shortcut"]
    limits += [f"The label can be guessed from the {trait} alone: models may learn that instead." for trait in found]
    ignored = [name for name, chosen in version.settings["checks"].items() if chosen.get("action") == "ignore"]
    if ignored:
        limits.append(f"Not looked for: {', '.join(ignored)}.")
    for key, words in ((UNSPLIT, "belong to no split yet"), (UNNORMALIZED, "are not normalized yet")):
        if version.counts.get(key):
            limits.append(f"{version.counts[key]:,} pictures {words}.")
    return limits
