"""Ways to pre-label: what each proposes, what it abstains from, and what it says when it can't work."""

from __future__ import annotations

import json
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from pydantic import ValidationError

import networks
from conftest import PICTURES, write
from curate.errors import CurateError, SettingsError, SourceError
from curate.heads import split
from curate.labelers import Floats, Labeler, LabelingTask, all_labelers, find_labeler
from curate.labelers.classifier import Settings as ClassifierSettings
from curate.labelers.classifier import propose as classify
from curate.labelers.copies import Settings as CopiesSettings
from curate.labelers.copies import propose as copy_labels
from curate.labelers.probe import Settings as ProbeSettings
from curate.labelers.probe import propose as probe
from curate.labelers.rules import Settings as RulesSettings
from curate.labelers.rules import declare, read_exif
from curate.labelers.rules import propose as run_rules

HEADINGS = ("What it does:", "When to use:", "When it is wrong:", "Source:")
NO_FOLDER = Path("nowhere")


def no_vectors() -> Floats:
    raise AssertionError("this labeler needs no embedding")


def no_scores(model: Path) -> Floats:
    raise AssertionError("this labeler needs no classifier")


def task_of(
    paths: list[str],
    labels: list[int],
    classes: tuple[str, ...] = ("cat", "dog"),
    *,
    vectors: Floats | None = None,
    scores: Floats | None = None,
    folder: Path = NO_FOLDER,
    **columns: Any,
) -> LabelingTask:
    """A task whose pictures are no copies of each other unless the columns sha256 or duplicate_group say so."""
    table = pd.DataFrame({"path": paths, "sha256": [f"sha of {path}" for path in paths]}).assign(**columns)
    return LabelingTask(
        table=table,
        folder=folder,
        classes=classes,
        labels=np.array(labels, np.int64),
        groups=np.arange(len(paths)),
        vectors=no_vectors if vectors is None else lambda: vectors,
        scores=no_scores if scores is None else lambda _: scores,
    )


def two_clouds(count: int = 40) -> tuple[Floats, list[int]]:
    """Vectors around two directions at a right angle, every other one of the second class."""
    truth = np.arange(count) % 2
    centre = 4 * np.eye(2)[truth].repeat(4, axis=1)  # (count, 8)
    return (np.random.default_rng(1).normal(size=(count, 8)) + centre).astype(np.float32), truth.tolist()


# ---- All of them


@pytest.mark.parametrize("name", sorted(all_labelers()))
def test_module_docstring_is_the_web_page_of_the_labeler(name: str) -> None:
    """Four headings, in this order."""
    page = sys.modules[all_labelers()[name].propose.__module__].__doc__ or ""

    found = [page.find(heading) for heading in HEADINGS]

    assert -1 not in found
    assert found == sorted(found)


@pytest.mark.parametrize("labeler", all_labelers().values(), ids=lambda labeler: labeler.name)
def test_settings_are_frozen_and_reject_misspelt_names(labeler: Labeler) -> None:
    with pytest.raises(ValidationError, match="forbidden"):
        labeler.settings.model_validate({"typo": 1})


@pytest.mark.parametrize("labeler", all_labelers().values(), ids=lambda labeler: labeler.name)
def test_every_labeler_may_be_asked_without_being_set_up(labeler: Labeler) -> None:
    """Without labels, files and copies each of them abstains."""
    proposal = labeler.propose(task_of(["a.jpg", "b.jpg"], [-1, -1]), labeler.settings())

    assert proposal.probabilities == ()
    assert all((votes.choice == -1).all() for votes in proposal.votes)


def test_a_misspelt_labeler_is_answered_with_the_nearest() -> None:
    with pytest.raises(SettingsError, match="no labeler 'prob'") as error:
        find_labeler("prob")

    assert error.value.hint == "Did you mean 'probe'?"


def test_splitting_keeps_copies_together_and_spreads_classes() -> None:
    """Twenty pictures, each twice: ten of either class, so two of each in every one of five folds."""
    labels = np.repeat(np.arange(20) % 2, 2)
    groups = np.repeat(np.arange(20), 2)

    folds = split(labels, groups, 5)

    assert (folds[0::2] == folds[1::2]).all()
    assert [np.bincount(labels[folds == fold]).tolist() for fold in range(5)] == [[4, 4]] * 5


# ---- Copies


def votes_of_copies(labels: list[int], group: list[object]) -> dict[str, list[int]]:
    paths = [f"{number}.jpg" for number in range(len(labels))]
    proposal = copy_labels(task_of(paths, labels, duplicate_group=group), CopiesSettings())
    return {votes.by: votes.choice.tolist() for votes in proposal.votes}


def test_an_unlabelled_copy_gets_the_label_of_its_copies() -> None:
    assert votes_of_copies([1, -1, -1], ["a", "a", None])["near copies"] == [-1, 1, -1]


def test_copies_with_two_labels_leave_an_unlabelled_one_without() -> None:
    assert votes_of_copies([0, 1, -1], ["a", "a", "a"])["near copies"] == [1, 0, -1]


def test_a_labelled_picture_is_judged_by_its_copies_not_by_itself() -> None:
    """0 0 1: the others of either 0 disagree, those of the 1 agree on 0. 1 1: each has the other."""
    assert votes_of_copies([0, 0, 1, 1, 1], ["a", "a", "a", "b", "b"])["near copies"] == [-1, -1, 0, 1, 1]


def test_files_with_the_same_bytes_are_trusted_more_than_near_copies() -> None:
    task = task_of(["a.jpg", "b.jpg", "c.jpg"], [0, -1, -1], sha256=["s", "s", "t"], duplicate_group=["g", "g", "g"])

    exact, near = copy_labels(task, CopiesSettings()).votes

    assert (exact.by, exact.choice.tolist()) == ("exact copies", [-1, 0, -1])
    assert (near.by, near.choice.tolist()) == ("near copies", [-1, 0, 0])
    assert exact.believed == (999, 1)
    assert near.believed == (29, 1)


# ---- Probe


def test_the_probe_learns_from_ten_labels_per_class() -> None:
    vectors, truth = two_clouds()
    labels = [one if row < 20 else -1 for row, one in enumerate(truth)]

    (model,) = probe(
        task_of([f"{row}.jpg" for row in range(40)], labels, vectors=vectors), ProbeSettings()
    ).probabilities

    assert model.by_class[20:].argmax(axis=1).tolist() == truth[20:]
    np.testing.assert_allclose(model.by_class.sum(axis=1), 1, atol=1e-5)


def test_a_labelled_picture_is_predicted_by_a_model_that_has_not_seen_it() -> None:
    """A wrong label in a clear cloud: a model that had seen it would repeat it."""
    vectors, truth = two_clouds()
    labels = [1 - truth[0], *truth[1:30], *[-1] * 10]

    (model,) = probe(
        task_of([f"{row}.jpg" for row in range(40)], labels, vectors=vectors), ProbeSettings()
    ).probabilities

    assert model.by_class[0].argmax() == truth[0]


def test_a_class_without_examples_is_unknown_to_the_probe() -> None:
    vectors, truth = two_clouds()
    task = task_of([f"{row}.jpg" for row in range(40)], [*truth[:20], *[-1] * 20], ("a", "b", "new"), vectors=vectors)

    (model,) = probe(task, ProbeSettings()).probabilities

    assert model.known.tolist() == [True, True, False]
    assert model.by_class[:, 2].max() == 0


def test_a_picture_without_an_embedding_gets_no_prediction() -> None:
    vectors, truth = two_clouds()
    vectors[30] = np.nan
    labels = [*truth[:20], *[-1] * 20]

    (model,) = probe(
        task_of([f"{row}.jpg" for row in range(40)], labels, vectors=vectors), ProbeSettings()
    ).probabilities

    assert model.by_class[30].tolist() == [0, 0]


def test_the_probe_names_classes_with_few_examples() -> None:
    vectors, truth = two_clouds()
    labels = [-1 if one == 1 and row > 5 else one for row, one in enumerate(truth)]

    proposal = probe(task_of([f"{row}.jpg" for row in range(40)], labels, vectors=vectors), ProbeSettings())

    assert proposal.notes == (
        "dog: fewer than 5 examples, so suggestions are less reliable than their confidence says.",
    )


def test_the_probe_needs_two_classes() -> None:
    vectors, _ = two_clouds()

    proposal = probe(
        task_of([f"{row}.jpg" for row in range(40)], [0] * 20 + [-1] * 20, vectors=vectors), ProbeSettings()
    )

    assert proposal.probabilities == ()
    assert proposal.notes == ("All labelled pictures are 'cat': label some of another class too.",)


# ---- Classifier


LOGITS = np.log(np.array([[0.6, 0.3, 0.1], [0.1, 0.2, 0.7]], np.float32))


def classified(tmp_path: Path, labels: str, mapping: dict[str, str] | None, classes: tuple[str, ...]) -> Floats:
    """What comes of two pictures with probabilities .6 .3 .1 and .1 .2 .7 of three labels."""
    model = networks.means(tmp_path / "net.onnx", "logits")
    model.with_suffix(".labels.txt").write_text(labels)
    file = None
    if mapping is not None:
        file = tmp_path / "mapping.json"
        file.write_text(json.dumps(mapping))
    task = task_of(["a.jpg", "b.jpg"], [-1, -1], classes, scores=LOGITS)
    (model_says,) = classify(task, ClassifierSettings(model=model, mapping=file)).probabilities
    return model_says.by_class


def test_probabilities_of_labels_that_mean_one_class_add_up(tmp_path: Path) -> None:
    """0.6 + 0.3 go to cat; nothing is left over."""
    values = classified(
        tmp_path, "tabby\nsiamese\nbeagle", {"tabby": "cat", "siamese": "cat", "beagle": "dog"}, ("cat", "dog")
    )

    np.testing.assert_allclose(values, [[0.9, 0.1], [0.3, 0.7]], atol=1e-6)


def test_a_classifier_abstains_where_it_sees_something_else(tmp_path: Path) -> None:
    """In the second picture 0.7 goes to a label that means no class of ours; of the first, 0.1 is spread."""
    values = classified(tmp_path, "cat\ndog\nspace shuttle", None, ("cat", "dog"))

    np.testing.assert_allclose(values, np.array([[0.65, 0.35], [0.0, 0.0]]), atol=1e-6)


def test_without_a_mapping_names_and_synonyms_are_compared(tmp_path: Path) -> None:
    """Upper case, underscores and the second of two names don't matter."""
    values = classified(tmp_path, "Tabby, wild_cat\nDOG\nrest", None, ("Wild Cat", "dog"))

    assert values[0].argmax() == 0


def test_a_classifier_without_a_common_name_asks_for_a_mapping(tmp_path: Path) -> None:
    with pytest.raises(
        SourceError, match=r"No label of the classifier 'net\.onnx' is called like one of our classes"
    ) as error:
        classified(tmp_path, "cats\nhound\nrest", None, ("cat", "dog"))

    assert "For 'cat': Did you mean 'cats'?" in error.value.hint


def test_a_mapping_of_an_unknown_label_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="names 'tabbi', which is no label of the classifier") as error:
        classified(tmp_path, "tabby\nbeagle\nrest", {"tabbi": "cat"}, ("cat", "dog"))

    assert error.value.hint == "Did you mean 'tabby'?"


def test_a_label_list_of_the_wrong_length_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CurateError, match="gives 3 scores, but its list has 2 labels"):
        classified(tmp_path, "cat\ndog", None, ("cat", "dog"))


# ---- Rules


def ran(tmp_path: Path, name: str, text: str, task: LabelingTask) -> tuple[dict[str, list[int]], tuple[str, ...]]:
    """By rule, its votes; and the notes."""
    file = tmp_path / name
    file.write_text(text)
    proposal = run_rules(task, RulesSettings(files=(file,)))
    return {votes.by: votes.choice.tolist() for votes in proposal.votes}, proposal.notes


def test_python_functions_vote_or_abstain(tmp_path: Path) -> None:
    rules = """
def label_cat(picture):
    return "cat" if picture.folders[-1:] == ("cats",) else None
def label_large(picture):
    return "dog" if picture.width > 1000 and picture.facts["mean_luma"] > 10 else None
def no_rule(picture):
    return "dog"
"""
    task = task_of(["cats/1.jpg", "2.jpg"], [-1, -1], width=[100, 2000], height=[100, 100], mean_luma=[5.0, 80.0])

    votes, notes = ran(tmp_path, "rules.py", rules, task)

    assert votes == {"rules: label_cat": [0, -1], "rules: label_large": [-1, 1]}
    assert notes == ()


def test_a_rule_that_raises_abstains_and_is_told(tmp_path: Path) -> None:
    rules = 'def label_dog(picture):\n    return {"1.jpg": "dog"}[picture.name]\n'

    votes, notes = ran(tmp_path, "rules.py", rules, task_of(["a/1.jpg", "b/2.jpg", "c/3.jpg"], [-1, -1, -1]))

    assert votes == {"rules: label_dog": [1, -1, -1]}
    assert notes == (
        "The rule label_dog failed on 2 of 3 pictures and abstains there, first on 'b/2.jpg': KeyError: '2.jpg'.",
    )


def test_a_rule_with_an_undeclared_class_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CurateError, match=r"The rule label_d \(on 'a.jpg'\) gives the label 'dgo'.*mean 'dog'"):
        ran(tmp_path, "rules.py", 'def label_d(picture):\n    return "dgo"\n', task_of(["a.jpg"], [-1]))


def test_new_classes_are_declared_beside_the_rules(tmp_path: Path) -> None:
    python, toml = tmp_path / "rules.py", tmp_path / "rules.toml"
    python.write_text('CLASSES = ["night"]\ndef label_n(picture):\n    return "night"\n')
    toml.write_text('classes = ["fog"]\n[[rule]]\npath = "*"\nlabel = "fog"\n')

    assert list(declare(RulesSettings(files=(python, toml)))) == ["night", "fog"]


def test_path_patterns_hold_at_the_top_too(tmp_path: Path) -> None:
    rules = '[[rule]]\nname = "by folder"\npath = "*/dogs/*"\nlabel = "dog"\n'

    votes, _ = ran(tmp_path, "rules.toml", rules, task_of(["dogs/1.jpg", "a/dogs/b/2.jpg", "hotdogs/3.jpg"], [-1] * 3))

    assert votes == {"rules: by folder": [1, 1, -1]}


def with_exif(model: str) -> bytes:
    exif = Image.Exif()
    exif[0x0110] = model
    exif.get_ifd(0x8769)[0x9003] = "2026:05:01 10:00:00"
    buffer = BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "JPEG", exif=exif)
    return buffer.getvalue()


def test_exif_rules_compare_tags_by_name(tmp_path: Path) -> None:
    rules = """
[[rule]]
exif = "Model"
equals = "X100"
label = "cat"
[[rule]]
exif = "Model"
matches = "^N"
label = "dog"
"""
    write(tmp_path / "photos" / "a.jpg", with_exif("X100"))
    write(tmp_path / "photos" / "b.jpg", with_exif("NIKON D5"))
    write(tmp_path / "photos" / "c.jpg", PICTURES[0])
    task = task_of(["a.jpg", "b.jpg", "c.jpg"], [-1, -1, -1], folder=tmp_path / "photos")

    votes, _ = ran(tmp_path, "rules.toml", rules, task)

    assert votes == {"rules: Model X100": [0, -1, -1], "rules: Model ^N": [-1, 1, -1]}


def test_exif_holds_dates_of_its_inner_block(tmp_path: Path) -> None:
    file = write(tmp_path / "a.jpg", with_exif("X100"))

    assert read_exif(file)["DateTimeOriginal"] == "2026:05:01 10:00:00"


def test_damaged_exif_is_none(tmp_path: Path) -> None:
    buffer = BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff")

    assert read_exif(write(tmp_path / "a.jpg", buffer.getvalue())) == {}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("rules.py", "def label_a(picture)\n", "can't be run: SyntaxError"),
        ("rules.py", "import nothing_of_that_name\n", "can't be run: ModuleNotFoundError"),
        ("rules.py", "x = 1\n", "has no rule"),
        ("rules.toml", "[[rule]]\n", "does not fit at rule.1.label: Field required"),
        ("rules.toml", '[[rule]]\nlabel = "cat"\n', "it needs a condition"),
        ("rules.toml", '[[rule]]\nlabel = "cat"\nexif = "Model"\n', "goes with equals or matches"),
        ("rules.toml", '[[rule]]\nlabel = "cat"\npth = "*"\n', "does not fit at rule.1.pth"),
        ("rules.toml", "[[rule\n", "is not valid TOML"),
        ("rules.txt", "", "expected .py or .toml"),
    ],
)
def test_a_rules_file_that_is_wrong_says_where(tmp_path: Path, name: str, text: str, message: str) -> None:
    with pytest.raises(SourceError) as error:
        ran(tmp_path, name, text, task_of(["a.jpg"], [-1]))

    assert message in str(error.value)


def test_a_missing_rules_file_is_named() -> None:
    with pytest.raises(SourceError, match=r"There is no rules file 'gone\.py'"):
        declare(RulesSettings(files=(Path("gone.py"),)))
