"""`next`: the pictures most worth labelling or reviewing next, each with its reason, and where the data is thin.

    labels, embeddings ─▶ small models ─▶ probabilities          (`curate.heads`)
    probabilities, embeddings ─▶ the next pictures               (`curate.selection`)
    all of these ─▶ the reason of each, in words                 (`curate.grounds`)
                 ─▶ rare classes, islands, confused classes      (`curate.thinness`)

Without labels of two classes no model can say anything; then the most typical pictures come first.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from curate import selection, thinness
from curate.all_cores import as_chosen
from curate.candidates import ENOUGH_PER_CLASS, PURPOSES, WAYS, Candidates, candidates_of, choose
from curate.embedded import open_embedded
from curate.errors import SettingsError
from curate.grounds import STRANGE, Known, best_two, why_label, why_review
from curate.lookalikes import nearest, nearest_among
from curate.models import CLASSIC
from curate.progress import Progress, silent
from curate.project import Project
from curate.selection import Chosen
from curate.settings import load_settings, with_executor
from curate.studies import keep_study
from curate.thinness import Thinness
from curate.versions import Version

if TYPE_CHECKING:
    import pandas as pd

Ints = NDArray[np.int64]
Floats = NDArray[np.float32]

MOST_KEPT = 200  # pictures in the study: whoever wants more asks `curate next --json`

RULES: dict[tuple[str, str], str] = {
    ("label", "combined"): "that would each change the model much, and each in another way",
    ("label", "uncertainty"): "on which the model is least sure between two classes",
    ("label", "diversity"): "that are typical of many others, none of them labelled yet",
    ("label", "class-need"): "that may be of classes with few pictures, or that the model knows least",
    ("review", "combined"): "whose labels are likely wrong, no two of them alike",
    ("review", "uncertainty"): "whose labels are most likely wrong",
    ("review", "diversity"): "that are typical of many others that nobody has reviewed",
    ("review", "class-need"): "whose labels are likely wrong, those of small classes first",
    ("label", "random"): "drawn at random",
    ("review", "random"): "drawn at random",
}


@dataclass(frozen=True)
class Pick:
    """One picture to look at.

    label: what it has now, None = nothing. pred_label, pred_confidence: what the model thinks; None without one.
    other_label, other_confidence: its next guess. nearest_labelled: path of the labelled picture most like it.
    """

    path: str
    why: str
    label: str | None
    pred_label: str | None
    pred_confidence: float | None
    other_label: str | None
    other_confidence: float | None
    nearest_labelled: str | None


@dataclass(frozen=True)
class NextPictures:
    """What `next_` found.

    picks: the most useful first. candidates: how many pictures there were to choose from. learned_from: labelled
    pictures that the model learned from; 0 = there is no model. rule: which pictures these are, in words.
    notes: what people should know, one sentence each.
    """

    project: Project
    version: Version
    purpose: str
    by: str
    rule: str
    picks: list[Pick]
    candidates: int
    learned_from: int
    thin: Thinness
    notes: list[str]

    def as_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "version": self.version.name,
            "for": self.purpose,
            "by": self.by,
            "rule": self.rule,
            "candidates": self.candidates,
            "learned_from": self.learned_from,
            "pictures": [asdict(one) for one in self.picks],
            "thin": self.thin.as_dict(),
            "notes": self.notes,
        }

    def as_table(self) -> pd.DataFrame:
        """One row per picture, for a labelling tool; `label` stands first after the path, to be filled in."""
        import pandas as pd

        names = ["path", "label", "pred_label", "pred_confidence", "other_label", "other_confidence"]
        return pd.DataFrame([asdict(one) for one in self.picks], columns=[*names, "nearest_labelled", "why"])


def next_(
    folder: str | Path,
    *,
    store: str | Path | None = None,
    config: str | Path | None = None,
    changes: Mapping[str, Any] | None = None,
    count: int = 100,
    purpose: str = "label",
    by: str = "combined",
    executor: str | None = None,
    workers: int | None = None,
    network: bool = False,
    progress: Progress = silent,
) -> NextPictures:
    """Choose the pictures of the newest version that are most worth a person's time.

    count: how many, at least 1. purpose: one of PURPOSES; by: one of WAYS. What is found is kept for the report.
    Raises CurateError; SourceError where there is nothing to label or to review, or too few labels for the way asked.
    """
    _require_known(count, purpose, by)
    project = Project.at(folder, store, config, network)
    project.require_store()
    settings = load_settings(project.config, with_executor(changes, executor, workers))
    with project.writing("curate next"), as_chosen(settings.executor):
        embedded = open_embedded(project, None, settings, progress)
        scene = candidates_of(embedded, purpose, by, progress)
        chosen = choose(scene, by, count)
        found = _told(scene, chosen, by, settings.models.backbone, progress)
        kept = {**found.as_dict(), "pictures": [asdict(one) for one in found.picks[:MOST_KEPT]]}
        keep_study(project, "next", embedded.version, kept)
        return found


def _require_known(count: int, purpose: str, by: str) -> None:
    for name, value, known in (("purpose", purpose, PURPOSES), ("by", by, WAYS)):
        if value not in known:
            raise SettingsError(f"{name} can't be {value!r}.", f"Choose one of: {', '.join(known)}.")
    if count < 1:
        raise SettingsError(f"count can't be {count}: expected at least 1.")


def _told(scene: Candidates, chosen: Chosen, by: str, backbone: str, progress: Progress) -> NextPictures:
    return NextPictures(
        project=scene.embedded.project,
        version=scene.embedded.version,
        purpose=scene.purpose,
        by=by,
        rule=RULES[scene.purpose, "diversity" if scene.typical_first and by == "combined" else by],
        picks=_picks(scene, chosen, by),
        candidates=int(scene.pool.free.sum()),
        learned_from=0 if scene.cold else int(scene.learned.sum()),
        thin=_thinness(scene, progress),
        notes=_notes(scene, by, backbone),
    )


def _picks(scene: Candidates, chosen: Chosen, by: str) -> list[Pick]:
    known = _known(scene, chosen.rows)
    evidence = scene.rows["label_evidence"].fillna("") if "label_evidence" in scene.rows else None
    picks = []
    for row, kin in zip(chosen.rows.tolist(), chosen.kin.tolist(), strict=True):
        if by == "random":
            why = "drawn at random"
        elif scene.purpose == "review" and scene.labels[row] >= 0:
            said = evidence.iloc[row] if evidence is not None else ""
            why = why_review(known, row, int(scene.labels[row]), float(scene.quality[row]), said)
        else:
            why = why_label(known, row, kin)
        picks.append(_pick(scene, known, row, why))
    return picks


def _pick(scene: Candidates, known: Known, row: int, why: str) -> Pick:
    label, near = scene.rows["final_label"].iloc[row], int(known.nearest[row])
    guesses: list[tuple[str | None, float | None]] = [(None, None), (None, None)]
    if (said := known.probabilities) is not None:
        guesses = [(known.names[one], round(float(said[row, one]), 4)) for one in best_two(said, row)]
    return Pick(
        path=known.paths[row],
        why=why,
        label=label if isinstance(label, str) else None,
        pred_label=guesses[0][0],
        pred_confidence=guesses[0][1],
        other_label=guesses[1][0],
        other_confidence=guesses[1][1],
        nearest_labelled=known.paths[near] if near >= 0 else None,
    )


def _known(scene: Candidates, chosen: Ints) -> Known:
    """What is known, with the nearest labelled pictures of the chosen rows only."""
    places, labelled = scene.pool.places, np.flatnonzero(scene.labels >= 0)
    nearest_row, similarity = np.full(len(places), -1, np.int64), np.full(len(places), np.nan, np.float32)
    usual = -math.inf
    if len(labelled):
        found = nearest_among(places[chosen], places[labelled], 2)
        own = found.indices[:, 0] == np.searchsorted(labelled, chosen)  # a labelled picture is nearest to itself
        place = np.where(own, found.indices[:, 1], found.indices[:, 0])
        similarity[chosen] = np.where(own, found.similarity[:, 1], found.similarity[:, 0])
        nearest_row[chosen] = np.where(place >= 0, labelled[place], -1)
        usual = _unlike(places[labelled])
    return Known(
        names=scene.names,
        sizes=scene.sizes,
        probabilities=scene.probabilities,
        nearest=nearest_row,
        similarity=np.nan_to_num(similarity, nan=math.inf),
        usual=usual,
        paths=scene.rows["path"].tolist(),
    )


def _unlike(places: Floats) -> float:
    """The similarity to the nearest labelled picture that all but a few labelled ones have; of a sample of them."""
    if len(places) < thinness.FEW_SHOTS:
        return -math.inf  # of so few nobody can tell what is usual
    sample = np.linspace(0, len(places) - 1, min(len(places), selection.COMPARED_ROWS)).astype(np.int64)
    found = nearest_among(places[sample], places, 2).similarity[:, 1]
    return float(np.quantile(found, 1 - STRANGE))


def _thinness(scene: Candidates, progress: Progress) -> Thinness:
    groups, learned, said = scene.pool.groups, scene.labels >= 0, scene.probabilities
    expected, confused = np.zeros(len(scene.names)), []
    if said is not None:
        one_each = np.unique(groups, return_index=True)[1]
        alone = one_each[~np.isin(groups[one_each], groups[learned])]
        expected = said[alone].sum(axis=0, dtype=np.float64)
        asked = np.flatnonzero(scene.learned)
        confused = thinness.confusions(scene.names, scene.labels[asked], said[asked])
    with progress("Looking for thin places", len(groups)) as advance:
        alike = nearest(scene.vectors, thinness.NEIGHBOURS, groups=groups, advance=advance)
    given = [name if isinstance(name, str) else None for name in scene.rows["final_label"]]
    return Thinness(
        classes=thinness.rare_classes(scene.names, scene.labels, groups, expected),
        islands=thinness.islands(scene.vectors, alike, groups, scene.rows["path"].tolist(), given),
        confusions=confused,
    )


def _notes(scene: Candidates, by: str, backbone: str) -> list[str]:
    notes = []
    if scene.cold and by != "random":
        few = f"only the class {scene.names[0]!r}" if scene.names else "no class"
        notes.append(
            f"There are labels of {few}, so no model can be asked yet: these are typical pictures of groups that look "
            "alike. Label some, then ask again."
        )
    elif scene.purpose == "label" and by == "combined" and scene.few_labels:
        notes.append(
            f"With fewer than {ENOUGH_PER_CLASS} labelled pictures per class a model does not know what it does not "
            "know: these are typical pictures of groups without a label."
        )
    if scene.held_back:
        notes.append(
            f"{scene.held_back:,} unlabelled pictures of val and test are left out: chosen for being hard, they would "
            "no longer stand for the world. Label those at random (--by random)."
        )
    if scene.copies:
        notes.append(f"{scene.copies:,} copies of labelled pictures are left out; `curate prelabel` labels them.")
    if scene.embedded.failures:
        notes.append(f"{len(scene.embedded.failures):,} pictures could not be shown to the model and are left out.")
    if backbone == CLASSIC and by != "random":
        notes.append("`classic` sees shapes and colours, not things; another model chooses better: --model MODEL.")
    return notes
