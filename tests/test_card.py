"""A card tells what a version holds, from the version itself, and the hub's and Croissant's own libraries read it."""

from __future__ import annotations

import json
from collections import Counter
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

import curate as library
from conftest import PICTURES, Curate, picture, write
from curate import versions
from curate.decisions import Decision, new_decision
from curate.describing.text import as_cell, licence_head
from curate.errors import SourceError
from curate.exporters.huggingface import size_category
from curate.inspection import record_decisions
from curate.project import Project
from curate.review_log import append, open_engine, read_events
from curate.spot_checks import keep_sample, plan_sample
from oracle import ask

ARTIST, GPS = 0x013B, 0x8825
HERE = {1: "N", 2: (48.0, 8.0, 5.0), 3: "E", 4: (11.0, 34.0, 31.0)}


def head_of(text: str) -> dict[str, Any]:
    """The YAML at the beginning of a card."""
    found: dict[str, Any] = yaml.safe_load(text.split("---\n")[1])
    return found


def section(text: str, title: str) -> str:
    """What stands below a heading."""
    return text.split(f"## {title}\n\n")[1].split("\n\n## ")[0]


def from_phone(data: bytes) -> bytes:
    """The picture with a place and an author in its metadata."""
    exif = Image.Exif()
    exif[ARTIST] = "Ada Lovelace"
    exif.get_ifd(GPS).update(HERE)
    buffer = BytesIO()
    Image.open(BytesIO(data)).save(buffer, "JPEG", quality=90, exif=exif)
    return buffer.getvalue()


@pytest.fixture
def split(many: Path) -> Path:
    """Twelve pictures of two classes in three splits, and a damaged one."""
    write(many / "cats" / "broken.jpg", picture(77)[:500])
    library.clean(many)
    library.split(many, changes={"split.train": 0.5, "split.val": 0.25, "split.test": 0.25})
    return many


# ---- What it tells


def test_it_counts_classes_and_splits(split: Path) -> None:
    made = library.card(split)

    rows = section(made.text, "What is in it").split("\n\n")[0].splitlines()
    kept = library.table(split).query("keep")
    counts = Counter(zip(kept["final_label"], kept["split"], strict=True))
    assert rows[0] == "| class | train | val | test | all |"
    assert rows[2:4] == [
        "| {} | {} | {} | {} | 6 |".format(label, *(counts[label, part] for part in ("train", "val", "test")))
        for label in ("cats", "dogs")
    ]
    assert rows[4].endswith("| 12 |")


def test_it_says_what_was_dropped_and_why(split: Path) -> None:
    text = section(library.card(split).text, "What was left out, and why")

    assert "| 1 | unreadable | can't be decoded: damaged, empty, or no image at all |  |" in text
    assert "Unreadable: truncated 1." in text


def test_a_person_who_dropped_something_is_not_named(photos: Path) -> None:
    library.clean(photos)
    record_decisions(photos, ["cats/0.jpg"], "drop", by="ada.lovelace")
    library.apply(photos)

    text = library.card(photos).text

    assert "| 1 | a person | somebody looked and took it out |  |" in text
    assert "lovelace" not in text


def test_without_a_blind_sample_the_share_of_wrong_labels_is_unknown(photos: Path) -> None:
    library.clean(photos)

    text = library.card(photos).text

    assert "The share of wrong labels was not measured." in section(text, "How good the labels are")
    assert "- How many labels are wrong was not measured" in section(text, "Known limits")


def test_a_blind_sample_tells_the_share_of_wrong_labels(photos: Path) -> None:
    """All six were looked at, all were right: so at most none of them is wrong."""
    library.clean(photos)
    project = Project.at(photos)
    newest = versions.find_version(project.versions, None)
    rows = versions.read_decisions(project.versions, newest)
    sample = plan_sample(rows, newest.number, read_events(project.review_log), 0.01, "ada")
    with open_engine(project.review_log) as engine, engine.begin() as connection:
        keep_sample(connection, sample)
    for path, sha256 in sample.items:
        said = new_decision(path, sha256, "keep", "ada", "")
        append(project.review_log, [Decision(**{**vars(said), "round": "spot", "context": {"queue": "spot"}})])
    library.apply(photos)

    text = section(library.card(photos).text, "How good the labels are")

    assert "**At most 0.0% of the labels are wrong** (with 95 % confidence)" in text
    assert "6 of 6 planned pictures were looked at without any hint, 0 labels were wrong." in text
    assert "Given by: people who looked 6." in text


def test_an_older_version_is_described_as_it_was(photos: Path) -> None:
    library.clean(photos)
    record_decisions(photos, ["cats/0.jpg"], "relabel", label="lynx")
    library.apply(photos)

    assert "lynx" in library.card(photos).text
    assert "lynx" not in library.card(photos, "v1").text


def test_a_rare_class_and_imbalance_are_limits(tmp_path: Path) -> None:
    for number in range(11):
        write(tmp_path / "photos" / ("cats" if number else "dogs") / f"{number}.jpg", PICTURES[number])
    library.clean(tmp_path / "photos")

    limits = library.card(tmp_path / "photos").facts.limits

    assert "Fewer than 30 pictures: dogs (1), cats (10). How well a model does there can't be told." in limits
    assert [one for one in limits if one.startswith("The largest class has 10 times the pictures of the smallest")]


# ---- People


def test_places_and_names_in_metadata_are_counted_and_not_told(photos: Path) -> None:
    write(photos / "cats" / "phone.jpg", from_phone(PICTURES[7]))
    library.clean(photos)

    made = library.card(photos)

    told = section(made.text, "Personal data")
    assert "- 1 say where it was taken\n- 1 say who made or owns it" in told
    assert "**These go along with the files.**" in told
    assert "Lovelace" not in made.text + json.dumps(made.croissant)


def test_normalized_pictures_leave_without_metadata(photos: Path) -> None:
    write(photos / "cats" / "phone.jpg", from_phone(PICTURES[7]))
    library.clean(photos)
    library.normalize(photos, changes={"normalize.size": 48})

    text = section(library.card(photos).text, "Personal data")

    assert "The pictures that leave with this version have none of it" in text


# ---- What others read


def test_the_hub_reads_the_head(photos: Path) -> None:
    from huggingface_hub import DatasetCard

    library.clean(photos)
    made = library.card(photos, changes={"card.license": "CC-BY-4.0", "card.name": "Cats & dogs: a/b"})

    assert made.out is not None
    data = DatasetCard.load(made.out / "README.md").data.to_dict()
    assert data["license"] == "cc-by-4.0"
    assert data["pretty_name"] == "Cats & dogs: a/b"
    assert data["task_categories"] == ["image-classification"]
    assert data["size_categories"] == ["n<1K"]


@pytest.mark.filterwarnings("ignore")  # of `datasets`, about its own use of other libraries
def test_datasets_reads_the_list_of_pictures(photos: Path, tmp_path: Path) -> None:
    import datasets

    library.clean(photos)
    made = library.card(photos)

    read = datasets.load_dataset(str(made.out), cache_dir=str(tmp_path / "cache"))["train"]

    assert read["exported_path"] == [f"cats/{n}.jpg" for n in range(3)] + [f"dogs/{n}.jpg" for n in range(3, 6)]


def test_mlcroissant_finds_nothing_wrong(split: Path) -> None:
    made = library.card(
        split,
        changes={
            "card.license": "CC-BY-4.0",
            "card.creator": "Ada Lovelace",
            "card.url": "https://example.org",
            "card.cite_as": "@misc{cats}",
        },
    )

    assert made.out is not None
    read = ask("read_croissant.py", made.out)
    assert (read["errors"], read["warnings"], read["complaints"]) == ([], [], [])
    assert Counter(one["label"] for one in read["samples"]) == {"cats": 6, "dogs": 6, None: 1}


def test_an_export_takes_the_card_along(photos: Path, tmp_path: Path) -> None:
    """The head that names the Parquet files stays; the rest is the card."""
    library.clean(photos)

    library.export(
        photos, tmp_path / "hub", format="huggingface", card=True, changes={"card.license": "https://example.org/terms"}
    )

    text = (tmp_path / "hub" / "README.md").read_text(encoding="utf-8")
    head = head_of(text)
    assert head["configs"][0]["data_files"] == [{"split": "train", "path": "data/train-*.parquet"}]
    assert (head["license"], head["license_link"]) == ("other", "https://example.org/terms")
    assert "## Known limits" in text


def test_an_export_of_folders_gets_a_card_too(photos: Path, tmp_path: Path) -> None:
    library.clean(photos)

    library.export(photos, tmp_path / "out", card=True)

    text = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert "configs" not in head_of(text)
    assert library.export(photos, tmp_path / "out", card=True).already


# ---- Nothing is lost


def test_an_edited_card_is_not_overwritten(photos: Path) -> None:
    library.clean(photos)
    file = Path(str(library.card(photos).out)) / "README.md"
    file.write_text(file.read_text(encoding="utf-8").replace("Not stated.", "Ask Ada."), encoding="utf-8")

    with pytest.raises(SourceError, match=r"was edited since `curate card` wrote it; it would be lost"):
        library.card(photos)

    assert "Ask Ada." in file.read_text(encoding="utf-8")


def test_somebody_elses_readme_is_not_overwritten(photos: Path, tmp_path: Path) -> None:
    library.clean(photos)
    write(tmp_path / "repository" / "README.md", b"# Ours\n")

    with pytest.raises(SourceError, match="was not written by `curate card`"):
        library.card(photos, out=tmp_path / "repository")

    assert [one.name for one in (tmp_path / "repository").iterdir()] == ["README.md"]


def test_a_card_is_written_anew_over_its_own(photos: Path) -> None:
    library.clean(photos)
    first = library.card(photos)

    again = library.card(photos, changes={"card.license": "CC0-1.0"})

    assert again.out == first.out
    assert "license: cc0-1.0" in (Path(str(again.out)) / "README.md").read_text(encoding="utf-8")


def test_printing_writes_nothing(photos: Path, curate: Curate) -> None:
    library.clean(photos)

    done = curate("card", photos, "--print")

    assert done.code == 0
    assert done.out.startswith("---\npretty_name: photos\n")
    assert not (photos.parent / "photos.curate" / "card").exists()


def test_the_command_says_what_is_missing(photos: Path, curate: Curate) -> None:
    library.clean(photos)

    done = curate("card", photos)

    assert "photos.curate/card: card of v1, 6 pictures in 2 classes" in done.out
    assert "The card lacks what only you know: card.license, card.creator, card.url,\ncard.description" in done.out
    assert all(len(line) <= 80 for line in done.out.splitlines() if "photos" not in line)


# ---- Words


def test_a_label_can_not_break_out_of_its_cell() -> None:
    assert as_cell("a|b\n<script>`x`") == "a\\|b \\<script\\>\\`x\\`"


@pytest.mark.parametrize(
    ("licence", "head"),
    [
        ("", {}),
        ("MIT", {"license": "mit"}),
        ("https://example.org/terms", {"license": "other", "license_link": "https://example.org/terms"}),
        ("Ours", {"license": "other", "license_name": "Ours"}),
    ],
)
def test_a_licence_the_hub_does_not_know_is_other(licence: str, head: dict[str, str]) -> None:
    assert licence_head(licence) == head


@pytest.mark.parametrize(("count", "name"), [(0, "n<1K"), (1000, "1K<n<10K"), (10**8, "10M<n<100M")])
def test_sizes_are_those_of_the_hub(count: int, name: str) -> None:
    assert size_category(count) == name
