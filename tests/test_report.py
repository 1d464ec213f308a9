"""The page of `curate report`: what it says is what the table says, and it needs and runs nothing else."""

from __future__ import annotations

import os
import re
from base64 import b64decode
from dataclasses import dataclass, field
from html.parser import HTMLParser
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import curate
from curate.checks import all_checks
from curate.errors import SourceError
from curate.inspection import record_decisions
from curate.project import Project
from curate.reporting.commands import Commands
from curate.reporting.plots import Interval, bin_edges, flagged_side, histogram, intervals
from curate.reporting.training import balance_of
from curate.studies import Name, keep_study
from curate.versions import find_version
from pictures import ODD_NAMES, READABLE, UNREADABLE, turned, write_odd_names

VOID = {"meta", "img", "line", "rect", "circle", "link", "br", "hr", "wbr", "input"}
BLOCKS = {"dt", "dd", "p", "li", "th", "td", "summary", "h1", "h2", "h3"}  # a line of its own: words end there


@dataclass
class Element:
    tag: str
    attributes: dict[str, str]
    text: str = ""


@dataclass
class Parsed(HTMLParser):
    """A page's elements, each with all the text inside it."""

    elements: list[Element] = field(default_factory=list)
    open_elements: list[Element] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.elements.append(element)
        if tag not in VOID:
            self.open_elements.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(Element(tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open_elements.pop().tag == tag, f"</{tag}> closes something else"
        if tag in BLOCKS:
            self.handle_data(" ")

    def handle_data(self, data: str) -> None:
        for element in self.open_elements:
            element.text += data

    def all(self, tag: str, **attributes: str) -> list[Element]:
        wanted = {name.rstrip("_"): value for name, value in attributes.items()}
        return [one for one in self.elements if one.tag == tag and wanted.items() <= one.attributes.items()]

    @property
    def text(self) -> str:
        return " ".join(self.all("body")[0].text.split())


def read(page: Path) -> Parsed:
    parsed = Parsed()
    parsed.feed(page.read_text(encoding="utf-8"))
    parsed.close()
    assert not parsed.open_elements, "an element is never closed"
    return parsed


def only(*names: str, **settings: Any) -> dict[str, Any]:
    """Settings under which no other check flags anything, and no bytes are kept."""
    ignored = {f"checks.{name}.action": "ignore" for name in all_checks() if name not in names}
    return ignored | {"versions.keep_bytes": "never"} | settings


def save(path: Path, width: int = 120, height: int = 90, seed: int = 0) -> Path:
    """A picture of noise, different for each seed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (height // 6 + 1, width // 6 + 1, 3), np.uint8)
    Image.fromarray(pixels).resize((width, height), Image.Resampling.NEAREST).save(path, quality=90)
    return path


def made(folder: Path, changes: dict[str, Any]) -> Parsed:
    """The page about a folder, after `clean`."""
    curate.clean(folder, changes=changes, workers=1)
    return read(curate.report(folder))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six pictures of two classes and none, an exact copy, a long one, a broken one, and a text file."""
    images = tmp_path / "images"
    for number in range(3):
        save(images / f"cats/{number}.jpg", seed=number)
    for number in range(2):
        save(images / f"dogs/{number}.jpg", seed=10 + number)
    save(images / "loose.jpg", seed=20)
    (images / "cats/copy of 0.jpg").write_bytes((images / "cats/0.jpg").read_bytes())
    save(images / "dogs/long.jpg", width=400, height=40, seed=30)
    (images / "dogs/broken.jpg").write_bytes(UNREADABLE["truncated.jpg"][1])
    (images / "notes.txt").write_text("no picture")
    return images


CHECKS = ("unreadable", "exact_duplicate", "odd_aspect_ratio")


def test_the_big_numbers_are_those_of_the_table(folder: Path) -> None:
    """3 cats + a copy, 2 dogs + a long and a broken one, 1 loose = 9 images; the copy and the broken one go."""
    page = made(folder, only(*CHECKS))

    tiles = [one.text.split() for one in page.all("div", class_="tile")]
    numbers = {words[0]: words[-1] for words in tiles}
    assert numbers["images"] == "9"
    assert numbers["kept"] == "7"
    assert numbers["dropped"] == "2"
    assert numbers["duplicate"] == "1"  # groups
    assert numbers["unlabelled"] == "1"
    assert numbers["other"] == "1"  # files


def test_every_check_that_flagged_something_has_a_line_and_a_section(folder: Path) -> None:
    page = made(folder, only(*CHECKS))

    assert {one.attributes["href"] for one in page.all("a") if one.text in all_checks()} == {
        "#check-exact_duplicate",
        "#check-odd_aspect_ratio",
        "#check-unreadable",
    }
    assert {one.attributes["aria-labelledby"] for one in page.all("section", class_="finding")} == {
        "check-exact_duplicate",
        "check-odd_aspect_ratio",
        "check-unreadable",
    }


def test_every_link_leads_to_a_place_on_the_page(folder: Path) -> None:
    page = made(folder, only(*CHECKS))

    ids = [one.attributes["id"] for one in page.elements if "id" in one.attributes]
    assert len(ids) == len(set(ids))
    assert {one.attributes["href"].removeprefix("#") for one in page.all("a")} <= set(ids)
    labels = [one.attributes.get("aria-labelledby", "") for one in page.elements]
    assert set(" ".join(labels).split()) <= set(ids)


def test_classes_are_counted_kept_and_dropped(folder: Path) -> None:
    page = made(folder, only(*CHECKS))

    rows = [one.text.split() for one in page.all("tr") if one.text.split()[:1] in (["cats"], ["dogs"])]
    assert rows == [["cats", "3", "1"], ["dogs", "3", "1"]]


def test_a_thumbnail_comes_with_its_reason_and_the_command_that_tells_more(folder: Path) -> None:
    page = made(folder, only(*CHECKS))

    section = page.all("section", **{"aria-labelledby": "check-odd_aspect_ratio"})
    assert "Its sides are 400 x 40 px, a ratio of 0.10 (odd below 0.33)." in " ".join(section[0].text.split())
    assert f"curate why {folder} dogs/long.jpg" in section[0].text


def test_an_unreadable_file_stands_in_a_table_with_the_decoders_words(folder: Path) -> None:
    page = made(folder, only(*CHECKS))

    row = next(one for one in page.all("tr") if "dogs/broken.jpg" in one.text)
    assert "truncated" in row.text
    detail = curate.table(folder).set_index("path").loc["dogs/broken.jpg", "read_detail"]
    assert str(detail) in row.text


def test_a_copy_stands_beside_the_picture_that_is_kept(folder: Path) -> None:
    page = made(folder, only(*CHECKS))

    pair = page.all("li", class_="card pair")[0].text.split()
    assert pair.index("dropped") < pair.index("best") < pair.index("kept")


def test_duplicate_groups_show_the_best_copy_first_and_mark_contradicting_labels(tmp_path: Path) -> None:
    """cats/a.jpg has the shortest path of the three, so it is the one kept."""
    first = save(tmp_path / "images/cats/a.jpg")
    save(tmp_path / "images/dogs/other.jpg", seed=9)
    for name in ("cats/copy.jpg", "dogs/copy.jpg"):
        (tmp_path / "images" / name).write_bytes(first.read_bytes())

    page = made(tmp_path / "images", only("exact_duplicate", "near_duplicate", "label_conflict"))

    group = page.all("section", class_="group conflict")[0]
    assert "3 copies" in group.text
    assert "labels contradict each other" in group.text
    paths = re.findall(r"(?:cats|dogs)/\w+\.jpg", group.text)
    assert paths == ["cats/a.jpg", "dogs/copy.jpg", "cats/copy.jpg"]  # the other label before the same one


def test_the_farthest_beyond_the_threshold_comes_first_and_no_more_than_24_are_shown(tmp_path: Path) -> None:
    """30 strips of 300 px, 1 to 30 px high; the ratio of 1:300 is the farthest from 1:3."""
    for height in range(1, 31):
        save(tmp_path / f"images/{height:02}.png", width=300, height=height)

    page = made(tmp_path / "images", only("odd_aspect_ratio"))

    section = page.all("section", class_="finding")[0].text
    assert "24 of 30 shown" in section
    shown = re.findall(r"^(\d+\.png) $", section, re.MULTILINE)
    assert shown == [f"{height:02}.png" for height in range(1, 25)]


def test_names_and_labels_are_shown_not_run(tmp_path: Path) -> None:
    images = tmp_path / "a<b>&"
    name, label = "<img src=x onerror=alert(1)>.jpg", '"><script>'
    save(images / label / name, width=400, height=40)
    (images / label / "<b>broken.jpg").write_bytes(UNREADABLE["truncated.jpg"][1])

    page = made(images, only("odd_aspect_ratio", "unreadable"))

    assert page.all("script") == []
    assert page.all("b", src="x") == []
    assert all(one.attributes["src"].startswith("data:image/webp;base64,") for one in page.all("img"))
    assert not any(key.startswith("on") for one in page.elements for key in one.attributes)
    assert f"{label}/{name}" in page.text
    assert f"{label}/<b>broken.jpg" in page.text
    assert page.all("h1")[0].text.split() == ["a<b>&", "v1"]


def test_the_page_loads_nothing(folder: Path) -> None:
    curate.clean(folder, changes=only(*CHECKS), workers=1)

    html = curate.report(folder).read_text()

    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    assert f'<meta http-equiv="Content-Security-Policy" content="{policy}">' in html
    assert not re.search(r"https?://|url\(|@import|<script|<link|<iframe|srcset", html)
    assert html.count("<img ") == html.count('src="data:image/webp;base64,') > 0


def test_thumbnails_are_upright_small_and_without_metadata(tmp_path: Path) -> None:
    """orientation_6.jpg stores the 96 x 64 scene as 64 x 96 with an EXIF mark."""
    images = tmp_path / "images"
    images.mkdir()
    for name in ("a.jpg", "b.jpg"):
        (images / name).write_bytes(turned(6))
    save(images / "large.jpg", width=900, height=300)
    (images / "large copy.jpg").write_bytes((images / "large.jpg").read_bytes())

    page = made(images, only("exact_duplicate"))

    sizes = set()
    for one in page.all("img"):
        with Image.open(BytesIO(b64decode(one.attributes["src"].partition(",")[2]))) as thumbnail:
            assert not thumbnail.getexif()
            assert not {"exif", "xmp", "icc_profile"} & thumbnail.info.keys()
            sizes.add(thumbnail.size)
    assert sizes == {(96, 64), (192, 64)}


def test_a_picture_that_is_gone_or_changed_is_named_without_a_thumbnail(folder: Path) -> None:
    curate.clean(folder, changes=only(*CHECKS), workers=1)
    (folder / "dogs/long.jpg").unlink()
    save(folder / "cats/0.jpg", seed=77)
    (folder / "cats/copy of 0.jpg").write_bytes(b"")

    page = read(curate.report(folder))

    assert page.all("img") == []
    assert len(page.all("p", class_="gone")) == 5  # the long one; copy and original, in the pair and in the group
    assert "dogs/long.jpg" in page.text


def test_the_same_version_gives_the_same_page_until_settings_change_it(folder: Path) -> None:
    curate.clean(folder, changes=only(*CHECKS), workers=1)
    first = curate.report(folder).read_bytes()
    curate.clean(folder, changes=only("unreadable"), workers=1)

    again = curate.report(folder, "v1").read_bytes()
    newest = curate.report(folder).read_text()

    assert again == first
    assert 'id="check-exact_duplicate"' not in newest


def test_what_people_decided_is_told(folder: Path) -> None:
    curate.clean(folder, changes=only(*CHECKS), workers=1)
    record_decisions(folder, ["cats/1.jpg"], "drop", by="alice <a@b.c>")
    record_decisions(folder, ["dogs/0.jpg"], "relabel", label="cats", by="bob")

    page = made(folder, only(*CHECKS))

    assert "Decided by alice <a@b.c>: drop." in page.text
    assert "Decided by bob: relabel as cats." in page.text
    assert "1 alice <a@b.c> drop dropped by this person" in page.text


def test_one_faultless_picture_without_a_label_makes_a_page(tmp_path: Path) -> None:
    save(tmp_path / "images/a.jpg")

    page = made(tmp_path / "images", only("odd_aspect_ratio"))

    assert "Nothing was flagged: no check found fault with the image." in page.text
    assert "There are no labels." in page.text
    assert "No picture occurs more than once." in page.text
    assert "0 of 1 below min_aspect_ratio = 0.33" in page.text


def test_a_folder_of_broken_files_makes_a_page(tmp_path: Path) -> None:
    images = tmp_path / "images"
    images.mkdir()
    for name, (_, data) in UNREADABLE.items():
        (images / name).write_bytes(data)

    page = made(images, {})

    assert page.all("img") == []
    assert "No fact with a threshold was measured." in page.text


def test_odd_file_names_appear_as_text(tmp_path: Path) -> None:
    images = tmp_path / "images"
    images.mkdir()
    write_odd_names(images)

    page = made(images, only("exact_duplicate"))

    assert f"{len(ODD_NAMES) - 1} of {len(ODD_NAMES) - 1} shown" in page.text
    assert "two\\nlines.jpg" in page.text
    assert f"curate why {images} -- -rf.jpg" in page.text


def test_commands_on_a_folder_whose_name_is_no_utf_8_can_be_written() -> None:
    line = Commands(os.fsdecode(b"caf\xe9")).table()

    assert line.encode() == b"curate table 'caf\\udce9'"


def test_every_kind_of_picture_has_a_thumbnail(tmp_path: Path) -> None:
    images = tmp_path / "images"
    (images / "copies").mkdir(parents=True)
    for name, data in READABLE.items():
        (images / name).write_bytes(data)
        (images / "copies" / name).write_bytes(data)

    page = made(images, only("exact_duplicate"))

    assert page.all("p", class_="gone") == []


def test_the_page_may_not_lie_in_the_image_folder(folder: Path) -> None:
    curate.clean(folder, changes=only(), workers=1)

    with pytest.raises(SourceError, match="which curate never changes"):
        curate.report(folder, output=folder / "report.html")


def test_the_page_is_written_where_it_is_wanted(folder: Path, tmp_path: Path) -> None:
    curate.clean(folder, changes=only(), workers=1)

    assert curate.report(folder) == tmp_path / "images.curate/report.html"
    assert curate.report(folder, output=tmp_path / "new/page.html") == tmp_path / "new/page.html"
    assert (tmp_path / "new/page.html").read_text().startswith("<!doctype html>")


def test_headings_never_skip_a_level(folder: Path) -> None:
    page = made(folder, only(*CHECKS))

    levels = [int(one.tag[1]) for one in page.elements if re.fullmatch("h[1-6]", one.tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_changed_settings_are_marked_with_their_default(folder: Path) -> None:
    page = made(folder, only(*CHECKS, **{"checks.odd_aspect_ratio.min_aspect_ratio": 0.25}))

    assert "min_aspect_ratio = 0.25 (default: 0.33)" in page.text
    assert f"curate clean {folder} --set checks.odd_aspect_ratio.min_aspect_ratio=0.25" in page.text
    assert "curate clean DIR --set checks.NAME.FIELD=VALUE" in page.text


def test_bars_beyond_the_threshold_count_what_lies_there() -> None:
    """0.0, 0.1, … 0.9 with the threshold 0.25: three lie below."""
    values = np.arange(10) / 10

    drawn = histogram(values, 0.25, values < 0.25)

    assert drawn is not None
    assert (drawn.side, drawn.beyond, drawn.total) == ("below", 3, 10)
    assert sum(bar.count for bar in drawn.bars if bar.beyond) == 3
    assert sum(bar.count for bar in drawn.bars) == 10


def test_no_bar_straddles_the_threshold() -> None:
    """0.1 to 0.9 and the threshold 0.33 in at most 40 bins of a round width: 0.02."""
    edges = bin_edges(0.1, 0.9, 0.33, whole_numbers=False)

    assert np.allclose(np.diff(edges), 0.02)
    assert np.isclose(edges, 0.33).any()
    assert edges[0] <= 0.1
    assert edges[-1] > 0.9


def test_whole_numbers_are_not_split() -> None:
    assert bin_edges(3, 5, 4, whole_numbers=True).tolist() == [3, 4, 5, 6]


@pytest.mark.parametrize(
    ("flagged", "side"),
    [
        ([True, True, False, False, False], "below"),
        ([False, False, False, True, True], "above"),
        ([False, False, False, False, False], "below"),  # nothing flagged: fewer values lie below 2.5
    ],
)
def test_the_side_of_a_threshold_is_told_by_what_is_flagged(flagged: list[bool], side: str) -> None:
    assert flagged_side(np.array([1.0, 2.0, 3.0, 4.0, 5.0]), 2.5, np.array(flagged)) == side


def test_a_single_value_far_from_the_rest_stays_visible() -> None:
    """1,000 to 1 would be a bar of a seventh of a px: the axis turns logarithmic."""
    values = np.concatenate([np.full(1000, 0.9), [0.1]])

    drawn = histogram(values, 0.5, values < 0.5)

    assert drawn is not None
    assert drawn.logarithmic
    assert min(bar.height for bar in drawn.bars) > 5


def test_values_that_are_missing_are_not_drawn() -> None:
    assert histogram(np.array([np.nan, np.nan]), 0.5, np.array([False, False])) is None


# ---- What training sees, and what studies found


def dealt(folder: Path) -> Path:
    """A folder of 8 cats and 4 dogs, each class half in train and half in test."""
    for number in range(12):
        label, split = ("cats", "dogs")[number % 3 == 0], ("train", "test")[number % 2]
        save(folder / split / label / f"{number}.jpg", seed=100 + number)
    curate.clean(folder, changes=only(), workers=1)
    return folder


def keep(folder: Path, name: Name, result: dict[str, Any], version: str = "v1") -> None:
    project = Project.at(folder)
    keep_study(project, name, find_version(project.versions, version), result)


def rows_of(page: Parsed, section: str) -> list[str]:
    """The text of each row of the tables of a section, by the id of its heading."""
    html = page.all("section", **{"aria-labelledby": section})[0].text
    return [" ".join(one.text.split()) for one in page.all("tr") if one.text in html]


TRAIT = {
    "trait": "brightness",
    "kind": "look",
    "what": "median luma",
    "verdict": "shortcut",
    "p": 0.0002,
    "adjusted_p": 0.0004,
    "accuracy": 0.9,
    "interval": [0.8, 0.96],
    "carriers": [
        {"label": "cats", "how": "brighter", "told_apart": 0.9, "p": 0.0002, "inside": 180.0, "outside": 90.0},
    ],
    "sides": [
        {"title": "cats, brighter", "paths": ["train/cats/2.jpg", "gone.jpg"]},
        {"title": "other classes, darker", "paths": ["train/dogs/0.jpg"]},
    ],
    "sentence": "Knowing only the brightness, 90% of labels are guessed right where 50% is chance.",
    "why": "",
}
SHORTCUTS = {
    "independent": 12,
    "unlabelled": 0,
    "classes": ["cats", "dogs"],
    "rare": {},
    "chance": 0.5,
    "shuffles": 9999,
    "traits": [TRAIT, TRAIT | {"trait": "format", "verdict": "not tested", "why": "it is the same in all pictures"}],
}
METRIC = {
    "name": "balanced accuracy",
    "a": 0.8,
    "b": 0.85,
    "low": 0.01,
    "high": 0.09,
    "difference": 0.05,
    "better": "b",
}
RECALL = {"name": "cats", "a": 0.7, "b": 0.6, "low": -0.3, "high": 0.1, "difference": -0.1, "better": "neither"}
FIGURES = {
    "classes": [
        {
            "name": "cats",
            "pictures": 20,
            "recall": 0.6,
            "recall_interval": [0.36, 0.81],
            "precision": None,
            "pr_auc": 0.55,
            "roc_auc": 0.9,
        }
    ],
    "confusions": [{"label": "cats", "said": "dogs", "pictures": 8, "share": 0.4, "paths": ["cats/1.jpg"]}],
}
PROOF = {
    "a": "v1",
    "b": "v2",
    "learner": "linear probe",
    "repeats": 20,
    "learns": {"a": 60, "b": 50},
    "test": {"part": "test", "labels_of": "v2", "pictures": 40},
    "verdict": "b",
    "sentence": "v2 is better by 5.0 points of balanced accuracy.",
    "metrics": [METRIC],
    "recalls": [RECALL | {"pictures": 20}],
    "figures": FIGURES,
    "notes": ["Recalls are rough."],
}
LEAKS = {
    "splits": [
        {"split": "test", "pictures": 6, "exact": 1, "near": 2, "group": 0, "gain": 0.1, "gain_interval": [0.02, 0.2]},
    ],
    "pairs": [
        {"path": "test/cats/1.jpg", "split": "test", "other": "train/cats/2.jpg", "relation": "near copy"},
    ],
    "note": "",
}
OUTCOME = {"names": [], "epoch": 60, "used": 60, "sizes": [["cats", 40], ["dogs", 20]], "effective": 60.0}
GAIN = {"value": 0.05, "low": 0.01, "high": 0.09}
STRATEGIES = {
    "judged_by": "val",
    "unjudged": [],
    "outcomes": [
        OUTCOME | {"score": {"value": 0.8, "low": 0.7, "high": 0.9}, "gain": None, "chosen": False, "verdict": ""},
        OUTCOME | {"names": ["random-over"], "score": GAIN, "gain": GAIN, "chosen": True, "verdict": "better"},
    ],
}
NEXT = {
    "for": "label",
    "by": "combined",
    "pictures": [{"path": "train/cats/2.jpg", "why": "the model hesitates"}],
    "thin": {
        "classes": [{"label": "owls", "pictures": 3, "different": 2, "expected": 0.0}],
        "islands": [{"pictures": 4, "labels": {"cats": 3}, "examples": ["train/cats/4.jpg"]}],
        "confusions": [{"first": "cats", "second": "dogs", "confused": 5, "pictures": 60}],
    },
}
STUDIES: dict[Name, dict[str, Any]] = {
    "leakage": LEAKS,
    "shortcuts": SHORTCUTS,
    "strategies": STRATEGIES,
    "proof": PROOF,
    "next": NEXT,
}
SECTION_OF = {"leakage": "splits", "shortcuts": "shortcuts", "strategies": "balance", "proof": "proof", "next": "thin"}


def test_a_page_without_splits_and_studies_has_no_section_on_them(folder: Path) -> None:
    page = made(folder, only(*CHECKS))

    for name in {*SECTION_OF.values()}:
        assert page.all("section", **{"aria-labelledby": name}) == []


def test_shares_of_the_splits_are_told(tmp_path: Path) -> None:
    page = read(curate.report(dealt(tmp_path / "images")))

    assert "train 6 50.0 %" in rows_of(page, "splits")
    assert "dogs 2 2" in rows_of(page, "splits")
    assert "Every class is in every split." in page.text


def test_every_study_has_its_section_and_its_link(tmp_path: Path) -> None:
    folder = dealt(tmp_path / "images")
    for name, result in STUDIES.items():
        keep(folder, name, result)

    page = read(curate.report(folder))

    linked = {one.attributes["href"] for one in page.all("a")}
    for section in SECTION_OF.values():
        assert len(page.all("section", **{"aria-labelledby": section})) == 1
        assert f"#{section}" in linked
    levels = [int(one.tag[1]) for one in page.elements if re.fullmatch("h[1-6]", one.tag)]
    assert all(after <= before + 1 for before, after in pairwise(levels))
    names = [one.attributes["id"] for one in page.elements if "id" in one.attributes]
    assert len(names) == len(set(names))


def test_a_shortcut_is_told_with_its_pictures_and_what_is_gone_is_named(tmp_path: Path) -> None:
    folder = dealt(tmp_path / "images")
    keep(folder, "shortcuts", SHORTCUTS)

    page = read(curate.report(folder))

    assert "brightness shortcut 90.0 % (80 % to 96 %) 0.0004 cats, brighter: 90 %" in rows_of(page, "shortcuts")
    assert "Not tested: format (it is the same in all pictures)." in page.text
    strips = page.all("ul", class_="strip")
    assert re.findall(r"[\w/]+\.jpg", strips[0].text) == ["train/cats/2.jpg", "gone.jpg"]
    assert len(page.all("img", alt="Thumbnail of train/cats/2.jpg")) == 1
    assert len(page.all("p", class_="gone")) == 1


def test_a_proof_tells_the_verdict_and_the_interval_of_each_figure(tmp_path: Path) -> None:
    folder = dealt(tmp_path / "images")
    keep(folder, "proof", PROOF)

    page = read(curate.report(folder))

    assert page.all("p", class_="verdict good")[0].text.strip() == PROOF["sentence"]
    assert "balanced accuracy better 80.0 % 85.0 % +5.0 (+1.0 to +9.0)" in rows_of(page, "proof")
    assert "cats 70.0 % 60.0 % -10.0 (-30.0 to +10.0) 20" in rows_of(page, "proof")


def test_a_proof_tells_what_is_known_of_each_class_and_shows_mistakes(tmp_path: Path) -> None:
    folder = dealt(tmp_path / "images")
    keep(folder, "proof", PROOF)

    page = read(curate.report(folder))

    assert "cats 20 60.0 % (36 % to 81 %) never said 55.0 % 90.0 %" in rows_of(page, "proof")
    assert "cats taken for dogs: 8 pictures, 40.0\xa0% of the class" in [one.text.strip() for one in page.all("h4")]


def test_leaks_stand_beside_what_gives_them_away(tmp_path: Path) -> None:
    folder = dealt(tmp_path / "images")
    keep(folder, "leakage", LEAKS)

    page = read(curate.report(folder))

    assert "test 6 1 2 0 +10.0 (+2.0 to +20.0)" in rows_of(page, "splits")
    pair = page.all("li", class_="card pair")[0].text.split()
    assert pair.index("test/cats/1.jpg") < pair.index("train/cats/2.jpg")


def test_strategies_are_compared_with_none(tmp_path: Path) -> None:
    folder = dealt(tmp_path / "images")
    keep(folder, "strategies", STRATEGIES)

    page = read(curate.report(folder))

    assert "no rebalancing 60 60 60 40 20 80.0 %" in rows_of(page, "balance")
    assert "random-over chosen better 60 60 60 40 20 5.0 % +5.0 (+1.0 to +9.0)" in rows_of(page, "balance")


def test_thin_places_are_told(tmp_path: Path) -> None:
    folder = dealt(tmp_path / "images")
    keep(folder, "next", NEXT)

    page = read(curate.report(folder))

    assert "owls 3 2 0" in rows_of(page, "thin")
    assert "cats dogs 5 60" in rows_of(page, "thin")
    assert "4 pictures cats 3" in " ".join(page.all("h4", id="island-1")[0].text.split())


def test_a_study_of_another_version_says_so(tmp_path: Path) -> None:
    folder = dealt(tmp_path / "images")
    keep(folder, "shortcuts", SHORTCUTS)
    save(folder / "train/cats/new.jpg", seed=300)
    curate.clean(folder, changes=only(), workers=1)

    assert "This was found of v1, and may no longer be so in v2." in read(curate.report(folder)).text
    assert "This was found of" not in read(curate.report(folder, "v1")).text


@pytest.mark.parametrize(
    "result",
    [{}, {"traits": 3}, SHORTCUTS | {"chance": None}, {name: one for name, one in SHORTCUTS.items() if name != "rare"}],
)
def test_a_study_of_another_form_is_named_and_harms_nothing(tmp_path: Path, result: dict[str, Any]) -> None:
    folder = dealt(tmp_path / "images")
    keep(folder, "shortcuts", result)

    page = read(curate.report(folder))

    assert page.all("section", **{"aria-labelledby": "shortcuts"}) == []
    assert "Not shown, as another release of curate found it: shortcuts." in page.text


def test_names_in_studies_are_shown_not_run(tmp_path: Path) -> None:
    folder = dealt(tmp_path / "images")
    nasty = "<script>alert(1)</script>"
    keep(folder, "shortcuts", SHORTCUTS | {"traits": [TRAIT | {"trait": nasty, "sentence": nasty}]})
    keep(folder, "proof", PROOF | {"notes": [nasty], "recalls": [RECALL | {"name": nasty, "pictures": 1}]})

    assert read(curate.report(folder)).all("script") == []


def test_balance_before_and_after_is_told_where_training_is_rebalanced(tmp_path: Path) -> None:
    """Cats: 40 pictures seen once. Dogs: 20 pictures, of which 5 are left out and 15 seen twice."""
    rows = pd.DataFrame({"keep": True, "split": "train", "final_label": ["cats"] * 40 + ["dogs"] * 20})
    rows = rows.assign(repeat=[1] * 40 + [0] * 5 + [2] * 15, weight=1.0)
    version = find_version(Project.at(dealt(tmp_path / "images")).versions, None)

    found = balance_of(rows, version)

    assert found is not None
    assert [(one.label, one.pictures, one.seen) for one in found.classes] == [("cats", 40, 40), ("dogs", 20, 30)]
    assert (found.ratio_before, round(found.ratio_after, 3), found.left_out) == (2.0, 1.333, 5)
    assert balance_of(rows.assign(repeat=1), version) is None


def test_intervals_are_drawn_between_their_ends_and_the_reference() -> None:
    """The axis holds -1 to 3 and some space; names stand above their lines, 34 units apart."""
    drawn = intervals([Interval("a", 2.0, 1.0, 3.0), Interval("b", -0.5, -1.0, 0.5, True)], 0.0)

    assert drawn is not None
    first, second = drawn.rows
    assert first.low_x < first.x < first.high_x
    assert second.low_x < drawn.reference_x < second.high_x < first.low_x
    assert (second.y - first.y, first.text_y < first.y) == (34, True)


def test_intervals_that_are_no_numbers_are_not_drawn() -> None:
    assert intervals([Interval("a", float("nan"), 0.0, 1.0)], 0.0) is None
    assert intervals([], 0.0) is None
