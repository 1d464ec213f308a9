"""What the tests of `curate review` share: versions to review, real and made up, and answers to give."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from starlette.testclient import TestClient

from conftest import PICTURES, write
from curate import versions
from curate.opinions import Opinions, keep_opinions
from curate.pipeline import clean
from curate.project import Project
from curate.review_app.address import Address
from curate.review_app.doorkeeper import Doorkeeper
from curate.review_app.pictures import Pictures
from curate.review_app.queues import Catalogue, build_catalogue
from curate.review_app.renewal import Renewal
from curate.review_app.security import Guard
from curate.review_app.server import Review, Scenery, make_app
from curate.review_app.session import Session
from curate.review_app.source import Source
from curate.reviewers import Role
from curate.settings import as_dict, load_settings
from curate.versions import Version

KEY = b"k" * 32
COLUMNS: dict[str, Any] = {
    "keep": True,
    "reasons": "",
    "flags": "",
    "label": "cat",
    "final_label": None,
    "read_error": None,
    "reviewed": None,
    "reviewed_label": None,
    "reviewed_by": None,
    "size_bytes": 1_000,
    "width": 640,
    "height": 480,
}
TEXTS = ("label", "final_label", "read_error", "reviewed", "reviewed_label", "reviewed_by")


def made_up_version(number: int = 1) -> Version:
    """A version with today's default settings."""
    return Version(
        number, "0" * 64, "2026-01-01T00:00:00.000+00:00", "ada", "curate flag", "0.1.0",
        as_dict(load_settings(None, {})), {}, "0001.snapshot.parquet", None, {},
    )  # fmt: skip


def made_up(rows: Sequence[Mapping[str, Any]]) -> Catalogue:
    """A catalogue of rows of which only what matters is given. What has a label keeps it, unless it is dropped."""
    return build_catalogue(table_of(rows), made_up_version())


def table_of(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Rows as a version has them."""
    table = pd.DataFrame([{"sha256": f"{number:064x}", **COLUMNS, **row} for number, row in enumerate(rows)])
    table = table.astype(dict.fromkeys(TEXTS, "str"))
    return table.assign(final_label=table["final_label"].fillna(table["label"]).where(table["keep"]))


def doubtful(number: int) -> list[dict[str, Any]]:
    """Rows of so many likely label errors, the most suspicious first: 0000.jpg, given cat, rather dog."""
    return [
        {
            "path": f"{place:04}.jpg",
            "flags": "label_error",
            "label_error": True,
            "label_quality": place / number / 2,
            "suggested_label": "dog",
            "label_evidence": "models give cat 0.03 and dog 0.91; of its 5 look-alikes 4 dog",
            "look_alikes": "[]",
        }
        for place in range(number)
    ]


def cats_and_dogs(place: Path, errors: dict[str, str]) -> Path:
    """A folder that holds photos/, six pictures, and its store. errors: doubted labels, path -> the better one."""
    for number in range(6):
        write(place / "photos" / ("cats" if number < 3 else "dogs") / f"{number}.jpg", PICTURES[number])
    doubt(place / "photos", errors)
    return place


def copied(place: Path, to: Path) -> Project:
    """A copy of photos/ and its store, to change."""
    shutil.copytree(place, to, dirs_exist_ok=True)
    return Project.at(to / "photos")


def doubt(folder: Path, errors: dict[str, str]) -> Project:
    """Curate a folder, and let `curate flag` have said that these labels are wrong: path -> the better one."""
    clean(folder, workers=1)
    project = Project.at(folder)
    newest = versions.find_version(project.versions, None)
    rows = versions.read_table(project.versions, newest)[["path", "sha256", "label"]]
    said = rows.rename(columns={"label": "about"}).assign(
        label_quality=[0.1 if path in errors else 0.9 for path in rows["path"]],
        label_error=rows["path"].isin(list(errors)),
        suggested_label=rows["path"].map(errors).astype("str"),
        label_evidence=rows["path"].map({path: f"it looks like {better}" for path, better in errors.items()}),
        look_alikes="[]",
    )
    keep_opinions(project.cache, "flag", Opinions(said.astype({"label_evidence": "str"}), {"model": "made up"}))
    clean(folder, workers=1)
    return project


def answer(item: str, said: str = "keep", **more: Any) -> dict[str, Any]:
    """An answer as the page sends it."""
    return {"id": uuid.uuid4().hex, "item": item, "answer": said, "mode": "single", "seconds": 2.0, **more}


PORT = 8000
HERE = Address(PORT)
HOST = f"127.0.0.1:{PORT}"
CHANGES = {"Origin": f"http://{HOST}", "X-Curate": "1"}


@dataclass
class Site:
    """A server without a socket. new_links: whom a used link was shown to."""

    app: Guard
    session: Session
    doorkeeper: Doorkeeper
    renewal: Renewal
    new_links: list[str] = field(default_factory=list)

    def stranger(self, address: str = f"http://{HOST}") -> TestClient:
        """A browser that is not signed in."""
        return TestClient(self.app, address, follow_redirects=False)

    def person(self, name: str = "ada", role: Role = "lead") -> TestClient:
        """A browser whose every request carries what the page sends along."""
        browser = self.stranger()
        browser.get("/", params={"token": self.doorkeeper.new_link(name, role)})
        browser.headers |= CHANGES
        return browser


@contextmanager
def served(project: Project, address: Address = HERE, **options: Any) -> Iterator[Site]:
    """The newest version of a project, as `curate review` serves it at that address."""
    source = Source(project)
    catalogue, stamp = source.load()
    scenery = Scenery(project.folder.name, "a" * 16, "photos", "curate apply photos", None)
    with (
        Session(catalogue, project.review_log, KEY, rows_of=source.rows_of, **options) as session,
        closing(Renewal(session, source, stamp)) as renewal,
    ):
        doorkeeper, new_links = Doorkeeper(session.accounts), list[str]()
        pictures = Pictures(project)
        review = Review(session, pictures, doorkeeper, scenery, address, new_links.append, renewal=renewal)
        yield Site(make_app(review), session, doorkeeper, renewal, new_links)
