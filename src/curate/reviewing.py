"""`review` and `apply`: a session in which people look at pictures, and the version that comes of it.

newest version ─▶ review ─▶ decisions in the log ─▶ apply ─▶ the next version
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from curate import versions
from curate.checks import all_checks
from curate.decisions import Decision, stale_decisions, with_reviews
from curate.errors import SettingsError, SourceError, StoreError
from curate.executors import executor_for
from curate.files import explained, write_json
from curate.opinions import read_opinions
from curate.pipeline import conclude, freeze, look_at, summaries
from curate.progress import Progress, silent
from curate.project import Project
from curate.review_log import read_log
from curate.settings import settings_of_version
from curate.stages.scan import scan_folder
from curate.summary import count
from curate.versions import Version

if TYPE_CHECKING:
    import pandas as pd
    import uvicorn

    from curate.review_app.security import Doorkeeper
    from curate.review_app.session import Session

LOOPBACK = ("127.0.0.1", "localhost", "::1")
KEY_BYTES = 32
GRACE_S = 3  # for requests under way when the session is stopped


# ---- Apply


@dataclass(frozen=True)
class Applied:
    """What `apply` did.

    decided: pictures on which a decision of a person holds now. changed: those of them that are labelled, kept or
    dropped otherwise than in `before`, the newest version until now. stale: decisions that no longer count, as their
    picture is gone or has another content now. version: the one that holds it all; is_new: whether this run made it.
    """

    project: Project
    decided: int
    changed: int
    stale: list[Decision]
    before: Version
    version: Version
    is_new: bool


def apply(
    folder: str | Path,
    *,
    store: str | Path | None = None,
    config: str | Path | None = None,
    workers: int | None = None,
    dry_run: bool = False,
    progress: Progress = silent,
) -> Applied:
    """Make a version with what people decided, by the newest version's settings, so that nothing else changes.

    Raises VersionNotFound, StoreError, SettingsError.
    """
    project = Project.at(folder, store, config)
    project.require_store()
    newest = versions.find_version(project.versions, None)
    settings = settings_of_version(newest.settings, project.config)
    with project.writing("curate apply"):
        look = look_at(project, settings, scan_folder(project.folder), executor_for(workers), progress)
        log, opinions = read_log(project.review_log), read_opinions(project.cache)
        table = conclude(look, settings, log, opinions)
        before = versions.read_decisions(project.versions, newest)
        counts = count(table) | summaries(opinions)
        made = None if dry_run else freeze(project, table, "curate apply", settings, counts)
    decided = table[with_reviews(table, log)["reviewed"].notna()]
    return Applied(
        project=project,
        decided=len(decided),
        changed=_changed(decided, before),
        stale=stale_decisions(table, log),
        before=newest,
        version=made or newest,
        is_new=made is not None,
    )


def _changed(rows: pd.DataFrame, before: pd.DataFrame) -> int:
    """How many of these rows have another label now, or are kept or dropped otherwise."""
    names = ["path", "keep", "final_label"]
    merged = rows[names].merge(before[names], on="path", how="left", suffixes=("", "_before"))
    labels = merged["final_label"].fillna("") != merged["final_label_before"].fillna("")
    return int((labels | (merged["keep"] != merged["keep_before"])).sum())


# ---- Review


@dataclass(frozen=True)
class Sitting:
    """A session that is open: what to tell people. links: person -> the address that signs them in, once.

    waiting: queue -> pictures in it. missing: queues that another command has to fill first.
    """

    project: Project
    version: Version
    links: Mapping[str, str]
    waiting: Mapping[str, int]
    missing: tuple[str, ...]


@dataclass(frozen=True)
class Reviewed:
    """What came of a session. decisions: how many this server wrote down."""

    project: Project
    version: Version
    decisions: int


def _ignore(_: object) -> None:
    """Tell nobody."""


def review(
    folder: str | Path,
    *,
    store: str | Path | None = None,
    config: str | Path | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
    browser: bool = True,
    by: str | Sequence[str] = (),
    votes: int = 1,
    queue: str | None = None,
    target: float = 0.01,
    opened: Callable[[Sitting], object] = _ignore,
    new_link: Callable[[str, str], object] | None = None,
) -> Reviewed:
    """Serve a review of the newest version until Ctrl-C.

    host: of this machine alone. port: 0 = the one of last time, as the browser keeps what is unsaved under it.
    browser: open it. by: names of who reviews, each gets a link; none = the author. queue: the one to begin with;
    "spot" draws a new blind sample where the last one is done. target: share of wrong labels to get to, 0..1.
    opened: called when the server listens. new_link: called with a name and an address when somebody needs another.
    Raises SettingsError for a host, port or name that can't be; VersionNotFound, StoreError.
    """
    project = Project.at(folder, store, config)
    project.require_store()
    reviewers = require_names(by)
    _require_loopback(host)
    _require_possible(votes, target, queue)
    version = versions.find_version(project.versions, None)
    with _session(project, version, votes, target) as session, _listening(host, port, project) as listener:
        if queue == "spot" and not session.has_open_sample():
            session.plan_sample(reviewers[0])
        site = _Site(project, session, str(folder), queue, host, listener.getsockname()[1], new_link)
        links = {name: site.link(name) for name in reviewers}
        waiting = {str(one["name"]): int(one["left"]) for one in session.queues(reviewers[0])}
        _serve(
            site.server(),
            listener,
            lambda: _tell(opened, Sitting(project, version, links, waiting, _missing(version)), browser),
        )
        return Reviewed(project, version, session.made)


def _missing(version: Version) -> tuple[str, ...]:
    """Queues that are empty only because nobody has asked the models."""
    formed, labels = version.counts.get("opinions", {}), version.counts.get("labels", {})
    needed = {"errors": ("flag", set(labels) - {""}), "prelabels": ("prelabel", labels.get("", 0))}
    return tuple(queue for queue, (command, pictures) in needed.items() if pictures and command not in formed)


def require_names(by: str | Sequence[str]) -> list[str]:
    """Who reviews, each once. Raises SettingsError for what can't be a name."""
    names = [by] if isinstance(by, str) else list(by)
    for name in names or [versions.author()]:
        if not name.strip() or not name.isprintable() or ";" in name or name in all_checks() or len(name) > 100:
            raise SettingsError(
                f"{name!r} can't be the name of a reviewer: expected up to 100 characters, no ';', no check's name.",
                "Give another one: --by NAME",
            )
    return list(dict.fromkeys(names or [versions.author()]))


def _require_loopback(host: str) -> None:
    if host not in LOOPBACK:
        raise SettingsError(
            f"A review can't be served on {host!r} yet: other machines could reach it, and it knows no passwords.",
            f"Leave --host out, and reach it through: ssh -L PORT:127.0.0.1:PORT {socket.gethostname()}",
        )


def _require_possible(votes: int, target: float, queue: str | None) -> None:
    from curate.review_app.queues import TITLES

    if not 1 <= votes <= 9:
        raise SettingsError(f"{votes} answers per picture: expected 1 to 9.")
    if not 0 < target < 1:
        raise SettingsError(f"The target is {target}, expected a share between 0 and 1.", "For 1 %: --target 0.01")
    if queue is not None and queue not in TITLES:
        raise SettingsError(f"There is no queue {queue!r}.", f"There are: {', '.join(TITLES)}.")


@contextmanager
def _session(project: Project, version: Version, votes: int, target: float) -> Iterator[Session]:
    from curate.review_app.queues import build_catalogue
    from curate.review_app.session import Session

    catalogue = build_catalogue(versions.read_table(project.versions, version), version)
    if not catalogue.paths:
        raise SourceError(
            f"{version.name} of {str(project.folder)!r} has no picture that can be shown.",
            f"See why: curate report {project.folder}",
        )
    with Session(catalogue, project.review_log, store_key(project), votes=votes, target=target) as session:
        yield session


def store_key(project: Project) -> bytes:
    """The secret under which pictures are named: made once, the same in every session of the store."""
    file = project.store / "review.key"
    with explained(file):
        if not file.exists():
            draft = file.with_name(f".review.key.{secrets.token_hex(4)}.tmp")
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
                stream.write(secrets.token_bytes(KEY_BYTES))
            _publish(draft, file)
        key = file.read_bytes()
    if len(key) != KEY_BYTES:
        raise StoreError(f"{str(file)!r} is damaged.", "Delete that file; the next session makes another one.")
    return key


def _publish(draft: Path, file: Path) -> None:
    """Let the draft be the file, unless another server was first: unlike a rename, a link leaves its file alone."""
    try:
        os.link(draft, file)
    except FileExistsError:
        pass
    except OSError:  # a file system without hard links
        draft.rename(file)
    draft.unlink(missing_ok=True)


@contextmanager
def _listening(host: str, port: int, project: Project) -> Iterator[socket.socket]:
    """A socket that listens. Raises SettingsError when that port is taken."""
    family = socket.AF_INET6 if host == "::1" else socket.AF_INET
    last = _last_port(project)
    for wanted in [port] if port else [last, 0]:
        # By its name, not by default: asyncio sends small answers at once (TCP_NODELAY) only where it reads TCP here.
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            if os.name == "posix":  # a port whose server has just ended is free; elsewhere this would share it
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((host, wanted))
            break
        except (OSError, OverflowError) as error:
            listener.close()
            if wanted in (port, 0):
                raise SettingsError(
                    f"The port {wanted} of {host} can't be used: {error}.", "Give another one: --port N"
                ) from error
    try:
        if listener.getsockname()[1] != last and not port:
            write_json(_port_file(project), {"port": listener.getsockname()[1]})
        yield listener
    finally:
        listener.close()


def _last_port(project: Project) -> int:
    """The port of the last session; before there was one, a port that follows from where the store is."""
    try:
        return int(json.loads(_port_file(project).read_text(encoding="utf-8"))["port"])
    except (OSError, ValueError, KeyError, TypeError):
        digest = hashlib.sha256(str(project.store).encode("utf-8", "surrogateescape")).digest()
        return 20_000 + int.from_bytes(digest[:4], "big") % 10_000  # below what systems hand out by themselves


def _port_file(project: Project) -> Path:
    return project.store / "review.json"


@dataclass(frozen=True)
class _Site:
    """A session at its address. new_link: told of a new address for a person."""

    project: Project
    session: Session
    folder: str
    queue: str | None
    host: str
    port: int
    new_link: Callable[[str, str], object] | None
    doorkeeper: Doorkeeper = field(default_factory=lambda: _doorkeeper())

    def link(self, reviewer: str) -> str:
        """An address that signs a person in, once."""
        name = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{name}:{self.port}/?token={self.doorkeeper.new_link(reviewer)}"

    def server(self) -> uvicorn.Server:
        """The server, not running yet."""
        import uvicorn

        from curate.review_app.pictures import Pictures
        from curate.review_app.server import Review, Scenery, make_app

        scenery = Scenery(
            project=self.project.folder.name,
            store=hashlib.sha256(store_key(self.project)).hexdigest()[:16],
            folder=self.folder,
            apply=f"curate apply {self.folder}",
            start=self.queue,
        )
        review = Review(
            session=self.session,
            pictures=Pictures(self.project),
            doorkeeper=self.doorkeeper,
            scenery=scenery,
            cookie=f"curate-{self.port}",
            link_used=self._link_used,
        )
        config = uvicorn.Config(
            make_app(review, self.port), http="h11", ws="none", lifespan="off", log_config=None, access_log=False,
            proxy_headers=False, server_header=False, timeout_graceful_shutdown=GRACE_S,
        )  # fmt: skip
        return uvicorn.Server(config)

    def _link_used(self, reviewer: str) -> None:
        if self.new_link:
            self.new_link(reviewer, self.link(reviewer))


def _doorkeeper() -> Doorkeeper:
    from curate.review_app.security import Doorkeeper

    return Doorkeeper()


def _tell(opened: Callable[[Sitting], object], sitting: Sitting, browser: bool) -> None:
    opened(sitting)
    if browser:
        import webbrowser

        webbrowser.open(next(iter(sitting.links.values())))


def _serve(server: uvicorn.Server, listener: socket.socket, ready: Callable[[], object]) -> None:
    """Serve until Ctrl-C. ready: called when the socket listens, so that a browser finds it."""
    listener.listen(128)  # what comes before the server runs waits there
    ready()
    with suppress(KeyboardInterrupt):  # the server has ended its requests, and passes on what ended it
        server.run(sockets=[listener])
