"""What the page about a version says, worked out from its table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from curate.checks import all_checks
from curate.grouping import has_conflict
from curate.opinions import COLUMNS as OPINION_COLUMNS
from curate.reporting.commands import Commands, as_text
from curate.reporting.contents import Card, ClassCount, Distribution, Group, Page, Setting
from curate.reporting.findings import find, in_order_of_weight
from curate.reporting.labels import labels_of, prelabels_of
from curate.reporting.plots import histogram
from curate.reporting.rows import action_of, as_dicts, is_flagged, is_waiting, numbers, picture, pictures, thresholds
from curate.reporting.studies import found_in
from curate.reporting.training import balance_of, splits_of
from curate.studies import Study
from curate.summary import count, is_other
from curate.versions import Version

if TYPE_CHECKING:
    import pandas as pd

# A thumbnail takes 5 kB of the page: these limits keep it under 3 MB, which a phone opens at once.
MAX_CARDS = 24  # per section
MAX_CARDS_IN_ALL = 240
MIN_CARDS = 6  # per section, however many sections there are
MAX_GROUPS = 12
MAX_MEMBERS = 6  # per group


def build_page(
    table: pd.DataFrame, version: Version, folder: str, commands: Commands, studies: Mapping[str, Study]
) -> Page:
    """The page about a version. table: all of it. folder: its name, for the title. studies: those that were kept."""
    images = table[~is_other(table)].set_index("path", drop=False).rename_axis(None)
    counts = count(table)
    settings = _settings(version, commands)
    names = in_order_of_weight(counts["flagged_by"], version)
    most = max(MIN_CARDS, min(MAX_CARDS, MAX_CARDS_IN_ALL // max(1, len(names))))
    reviewed = images[images["reviewed"].notna()]
    return Page(
        folder=folder,
        version=version,
        commands=commands,
        counts=counts,
        to_review=int(is_waiting(images, version).sum()),
        findings=[find(images, version, name, settings.get(name, []), commands, most) for name in names],
        classes=_classes(images),
        people=[_reviewed(row, version, commands) for row in as_dicts(reviewed[:MAX_CARDS])],
        people_said=dict(Counter(reviewed["reviewed"]).most_common()),
        groups=_groups(images, version),
        distributions=_distributions(images, version, commands),
        settings=settings,
        labels=labels_of(version),
        prelabels=prelabels_of(version),
        splits=splits_of(images),
        balance=balance_of(images, version),
        found=found_in(studies, images, version),
    )


def _reviewed(row: dict[str, Any], version: Version, commands: Commands) -> Card:
    said = f"{row['reviewed']} as {row['reviewed_label']}" if "reviewed_label" in row else row["reviewed"]
    return Card(picture(row, version), f"decided by {row['reviewed_by']}: {said}", commands.why(row["path"]))


def _classes(images: pd.DataFrame) -> list[ClassCount]:
    """Largest class first, images without a label last. Kept ones count under the label that training sees."""
    kept = Counter(images.loc[images["keep"], "final_label"].fillna(""))
    dropped = Counter(images.loc[~images["keep"], "label"].fillna(""))
    classes = [ClassCount(label, kept[label], dropped[label]) for label in {*kept, *dropped}]
    return sorted(classes, key=lambda one: (not one.label, -one.images, one.label))


def _groups(images: pd.DataFrame, version: Version) -> list[Group]:
    """Groups with contradicting labels first, then the largest.

    In each one the best picture comes first, then those that carry another label than it.
    """
    if "duplicate_group" not in images:
        return []
    rows = images[images["duplicate_group"].notna()]
    best_labels = dict(zip(rows["path"], rows["label"], strict=True))
    rows = rows.assign(
        size=rows.groupby("duplicate_group")["path"].transform("size"),
        conflict=has_conflict(rows["duplicate_group"], rows["label"]),
        is_copy=rows["path"] != rows["duplicate_group"],
        agrees=rows["label"] == rows["duplicate_group"].map(best_labels),
    )
    order = ["conflict", "size", "duplicate_group", "is_copy", "agrees", "path"]
    rows = rows.sort_values(order, ascending=[False, False, True, True, True, True])
    shown = rows["duplicate_group"].drop_duplicates()[:MAX_GROUPS]
    return [
        Group(pictures(members[:MAX_MEMBERS], version), len(members), bool(members["conflict"].any()))
        for members in (rows[rows["duplicate_group"] == name] for name in shown)
    ]


def _distributions(images: pd.DataFrame, version: Version, commands: Commands) -> list[Distribution]:
    """One per threshold on a fact that was measured, in the order of the checks' names."""
    drawn = []
    for name in sorted(all_checks()):
        check, flagged = all_checks()[name], is_flagged(images, name).to_numpy(bool)
        columns = {column.name: column for column in (*check.facts, *check.findings, *OPINION_COLUMNS["flag"])}
        for fact, setting, threshold in thresholds(version, name):
            if fact not in images or fact not in columns:
                continue
            bars = histogram(numbers(images, fact), threshold, flagged, columns[fact].dtype == "int64")
            if bars is not None:
                command = commands.set(f"checks.{name}.{setting}", version.settings["checks"][name][setting])
                action, meaning = action_of(version, name), columns[fact].meaning
                drawn.append(Distribution(name, action, fact, meaning, setting, int(flagged.sum()), bars, command))
    return drawn


def _settings(version: Version, commands: Commands) -> dict[str, list[Setting]]:
    """Section -> its settings: each check by its name, then what else is set."""
    sections = {}
    for name, chosen in sorted(version.settings["checks"].items()):
        fields = all_checks()[name].settings.model_fields if name in all_checks() else {}
        sections[name] = [_setting(f"checks.{name}.{key}", chosen[key], fields.get(key), commands) for key in chosen]
    for name in sorted(set(version.settings) - {"checks"}):
        chosen = version.settings[name]
        sections[name] = [_setting(f"{name}.{key}", chosen[key], None, commands) for key in chosen]
    return sections


def _setting(key: str, value: Any, field: Any, commands: Commands) -> Setting:
    default = as_text(field.get_default()) if field else as_text(value)
    return Setting(
        name=key.rpartition(".")[2],
        value=as_text(value),
        default="" if default == as_text(value) else default,
        is_threshold=bool(field and field.json_schema_extra and "fact" in field.json_schema_extra),
        description=(field.description or "") if field else "",
        command=commands.set(key, value),
    )
