"""`curate report`: what was found in a folder, as one HTML file that needs nothing else.

No network, no script: the file can be mailed, archived and opened in ten years. `contents` lists what is on the
page, `page`, `findings`, `training` and `studies` work it out, `thumbnails` and `plots` make its pictures, page.html,
training.html and style.css its looks.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import get_args

from markupsafe import Markup

from curate import versions
from curate.errors import SourceError
from curate.files import write_text
from curate.paths import to_text
from curate.pipeline import in_order
from curate.progress import Progress, silent
from curate.project import Project
from curate.reporting.commands import Commands
from curate.reporting.contents import Page
from curate.reporting.looks import environment, own
from curate.reporting.page import build_page
from curate.reporting.studies import Found
from curate.reporting.thumbnails import Thumbnail, make_thumbnails
from curate.studies import Name, read_study

__all__ = ["report"]


def report(
    folder: str | Path,
    version: str | None = None,
    *,
    output: str | Path | None = None,
    store: str | Path | None = None,
    network: bool = False,
    progress: Progress = silent,
) -> Path:
    """Write a page about a version and return where it is: `output`, or report.html in the store.

    What `prove`, `shortcuts` and the like found last is on it, with the version that it is about. The same version of
    the same folder gives the same page until one of them runs again. Pictures that are gone or changed since are named,
    without a thumbnail. Raises VersionNotFound, StoreError, SourceError for an output inside the image folder.
    """
    project = Project.at(folder, store, network=network)
    project.require_store()
    target = Path(os.path.abspath(output)) if output else project.report
    if project.folder in target.parents:
        raise SourceError(
            f"{str(output)!r} lies inside the image folder, which curate never changes.", "Give another --output."
        )
    found = versions.find_version(project.versions, version)
    table = in_order(versions.read_table(project.versions, found))
    studies = {name: study for name in get_args(Name) if (study := read_study(project, name))}
    page = build_page(table, found, to_text(project.folder.name), Commands.of(project, folder), studies)
    wanted = [(picture.path, picture.sha256) for picture in page.shown()]
    write_text(target, render(page, make_thumbnails(project, wanted, progress)), durable=False)
    return target


def render(page: Page, thumbnails: dict[str, Thumbnail]) -> str:
    """The page as HTML. thumbnails: by sha256; a picture without one gets a note in its place.

    Studies are what other releases may have left: where one lacks something, the page is shown without them.
    """
    from jinja2 import UndefinedError

    style = Markup(own("style.css"))  # noqa: S704  our own file
    template = environment().get_template("page.html")
    try:
        return template.render(page=page, thumbnails=thumbnails, style=style)
    except (UndefinedError, TypeError, ValueError):
        if not page.found.read:
            raise
        bare = replace(page, found=Found(unread=(*page.found.unread, *page.found.read)))
        return template.render(page=bare, thumbnails=thumbnails, style=style)
