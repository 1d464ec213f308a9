"""`review` and `apply`: a session in which people look at pictures, and the version that comes of it.

newest version ─▶ review ─▶ decisions in the log ─▶ apply ─▶ the next version
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shlex
import signal
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from curate import versions
from curate.decisions import Decision, stale_decisions, with_reviews
from curate.errors import SettingsError, SourceError, StoreError
from curate.executors import executor_for
from curate.files import explained, write_json
from curate.opinions import read_opinions
from curate.pipeline import conclude, freeze, look_at, scan_of, summaries
from curate.progress import Progress, silent
from curate.project import Project
from curate.review_log import read_log
from curate.reviewed import TARGET, ReviewStanding, require_target, review_standing
from curate.reviewers import require_name
from curate.run_record import RunRecord
from curate.settings import settings_of_version, with_executor
from curate.sources import root_of
from curate.summary import count
from curate.verdicts import Overruled, what_became
from curate.versions import Version

if TYPE_CHECKING:
    import pandas as pd
    import uvicorn

    from curate.review_app.address import Address
    from curate.review_app.doorkeeper import Doorkeeper
    from curate.review_app.renewal import Renewal
    from curate.review_app.session import Session
    from curate.reviewers import Role

KEY_BYTES = 32
GRACE_S = 3  # for requests under way when the session is stopped


# ---- Apply


@dataclass(frozen=True)
class Applied:
    """What `apply` did.

    decided: pictures on which a decision of a person holds now. changed: those of them that are labelled, kept or
    dropped otherwise than in `before`, the newest version until now. stale: decisions that no longer count, as their
    picture is gone or has another content now. overruled: labels that most of at least three voters refuse. version:
    the one that holds it all; is_new: whether this run made it.
    """

    project: Project
    decided: int
    changed: int
    stale: list[Decision]
    overruled: Overruled
    before: Version
    version: Version
    is_new: bool


def apply(
    folder: str | Path,
    *,
    store: str | Path | None = None,
    config: str | Path | None = None,
    executor: str | None = None,
    workers: int | None = None,
    network: bool = False,
    dry_run: bool = False,
    progress: Progress = silent,
) -> Applied:
    """Make a version with what people decided, by the newest version's settings, so that nothing else changes.

    Raises VersionNotFound, StoreError, SettingsError.
    """
    project = Project.at(folder, store, config, network)
    project.require_store()
    newest = versions.find_version(project.versions, None)
    settings = settings_of_version(newest.settings, project.config, with_executor(None, executor, workers))
    run = RunRecord("curate apply", progress)
    with run.writing(project, settings.executor):
        scan = scan_of(project, run.progress)
        look = look_at(project, settings, scan, executor_for(settings.executor), run.progress)
        run.note(opened=look.effort.opened)
        log, opinions = read_log(project.review_log), read_opinions(project.cache)
        table = conclude(look, settings, log, opinions, run.progress)
        before = versions.read_decisions(project.versions, newest)
        counts = count(table) | summaries(opinions)
        made = None if dry_run else freeze(project, table, run, settings, counts)
    decided = table[with_reviews(table, log)["reviewed"].notna()]
    return Applied(
        project=project,
        decided=len(decided),
        changed=_changed(decided, before),
        stale=stale_decisions(table, log),
        overruled=what_became(table, log),
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

    address: where people sign in with their passwords; links are for this machine alone. readable: whether others on
    the network can read along, as nothing encrypts what is sent.
    waiting: queue -> pictures in it. missing: queues that another command has to fill first.
    """

    project: Project
    version: Version
    links: Mapping[str, str]
    address: str
    readable: bool
    waiting: Mapping[str, int]
    missing: tuple[str, ...]


@dataclass(frozen=True)
class Reviewed:
    """What came of a session. decisions: how many this server wrote down. version: the one it showed last.

    standing: how far the review of the data set is now; None where the log can't be read any more.
    """

    project: Project
    version: Version
    decisions: int
    standing: ReviewStanding | None


def _ignore(_: object) -> None:
    """Tell nobody."""


def review(
    folder: str | Path,
    *,
    store: str | Path | None = None,
    config: str | Path | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
    public_url: str = "",
    certificate: str | Path | None = None,
    key: str | Path | None = None,
    browser: bool = True,
    by: str | Sequence[str] = (),
    votes: int = 1,
    queue: str | None = None,
    target: float = TARGET,
    measure: bool | None = None,
    gold: str | Path | None = None,
    network: bool = False,
    opened: Callable[[Sitting], object] = _ignore,
    new_link: Callable[[str, str], object] | None = None,
) -> Reviewed:
    """Serve a review of the newest version until Ctrl-C, or the signal SIGTERM.

    host: where to listen; other machines can reach all but 127.0.0.1, so that people sign in with passwords there.
    port: 0 = the one of last time, as the browser keeps what is unsaved under it. public_url: the address of a proxy
    that hands requests on. certificate, key: PEM files to encrypt with.
    browser: open it. by: names of who reviews on this machine, each gets a link; none = the author. queue: the one to
    begin with; "spot" draws a new blind sample where the last one is done. target: share of wrong labels, 0..1.
    measure: mix in some pictures that measure who reviews (None: when there are several people); gold: a table of path
    and label, further pictures whose answer is certain, to measure by.
    opened: called when the server listens. new_link: called with a name and an address when somebody needs another.
    Raises SettingsError for a host, port or name that can't be; VersionNotFound, StoreError.
    """
    from curate.review_app.address import Address, origin_of

    project = Project.at(folder, store, config, network)
    project.require_store()
    root_of(project.folder)  # now, and not at the first picture
    reviewers = require_names(by)
    _require_possible(votes, target, queue)
    pair = _require_certificate(certificate, key)
    if not host:
        raise SettingsError("--host is empty.", "For every address of this machine: --host 0.0.0.0")
    public = origin_of(public_url) if public_url else ""
    several = votes > 1 or len(reviewers) > 1 or Address(port, host, public).is_open
    measured = several or bool(gold) if measure is None else measure
    with _session(project, votes, target, measured, gold) as renewal:
        session = renewal.session
        version = session.catalogue.version
        address = Address(port, host, public, encrypted=pair is not None)
        if address.is_open:
            _require_accounts(session, address, project, bool(by))
        if queue == "spot" and not session.has_open_sample():
            session.plan_sample(reviewers[0])
        with _listening(host, port, project) as listener:
            address = replace(address, port=listener.getsockname()[1])
            site = _Site(project, renewal, str(folder), queue, address, lead_of(reviewers), pair, new_link)
            _serve(site.server(), listener, lambda: _tell(opened, site.sitting(version, reviewers), browser))
        made, shown = session.made, session.catalogue.version
    return Reviewed(project, shown, made, _standing_now(project, target))


def _standing_now(project: Project, target: float) -> ReviewStanding | None:
    try:
        newest = versions.find_version(project.versions, None)
        return review_standing(project, versions.read_decisions(project.versions, newest), target)
    except StoreError:
        return None


def _missing(version: Version) -> tuple[str, ...]:
    """Queues that are empty only because nobody has asked the models."""
    formed, labels = version.counts.get("opinions", {}), version.counts.get("labels", {})
    needed = {"errors": ("flag", set(labels) - {""}), "prelabels": ("prelabel", labels.get("", 0))}
    return tuple(queue for queue, (command, pictures) in needed.items() if pictures and command not in formed)


def require_names(by: str | Sequence[str]) -> list[str]:
    """Who reviews, each once. Raises SettingsError for what can't be a name."""
    names = [by] if isinstance(by, str) else list(by)
    for name in names or [versions.author()]:
        require_name(name)
    return list(dict.fromkeys(names or [versions.author()]))


def lead_of(reviewers: Sequence[str]) -> str:
    """Who leads among those that have no account: the author, as everything here is theirs, else who is named first."""
    return versions.author() if versions.author() in reviewers else reviewers[0]


def _require_accounts(session: Session, address: Address, project: Project, linked: bool) -> None:
    """Raises SettingsError where others could reach a review that nobody can sign in to, or without a password."""
    where = f"--public-url {address.public_url}" if address.public_url else f"--host {address.host}"
    if not session.accounts():
        raise SettingsError(
            f"With {where} other machines can reach the review, so everybody signs in with a password; nobody has one.",
            f"Run: curate reviewers add {shlex.quote(str(project.folder))} NAME --role lead",
        )
    if linked:
        raise SettingsError(
            f"--by gives links, which are for this machine alone; with {where} everybody signs in with a password.",
            "Leave --by out; see who may sign in: curate reviewers list DIR",
        )


def _require_certificate(certificate: str | Path | None, key: str | Path | None) -> tuple[Path, Path] | None:
    """Both files, if they fit. Raises SettingsError if they don't."""
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise SettingsError("To encrypt takes both: --certificate FILE and --key FILE.")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, _no_passphrase)
    except (OSError, ValueError) as error:  # an ssl.SSLError is an OSError
        raise SettingsError(
            f"{str(certificate)!r} and {str(key)!r} can't be used to encrypt: {error}.",
            "Expected a certificate and its key, both PEM, the key without a passphrase.",
        ) from error
    return Path(certificate), Path(key)


def _no_passphrase() -> str:
    """Instead of OpenSSL's own question on the terminal."""
    raise ValueError("the key has a passphrase")


def _require_possible(votes: int, target: float, queue: str | None) -> None:
    from curate.review_app.queues import TITLES

    if not 1 <= votes <= 9:
        raise SettingsError(f"{votes} answers per picture: expected 1 to 9.")
    require_target(target)
    if queue is not None and queue not in TITLES:
        raise SettingsError(f"There is no queue {queue!r}.", f"There are: {', '.join(TITLES)}.")


@contextmanager
def _session(project: Project, votes: int, target: float, measure: bool, gold: str | Path | None) -> Iterator[Renewal]:
    from curate.review_app.measuring import read_gold
    from curate.review_app.renewal import Renewal
    from curate.review_app.session import Session
    from curate.review_app.source import Source

    source = Source(project)
    catalogue, stamp = source.load()
    if not catalogue.paths:
        raise SourceError(
            f"{catalogue.version.name} of {str(project.folder)!r} has no picture that can be shown.",
            f"See why: curate report {project.folder}",
        )
    certain = read_gold(Path(gold), catalogue) if gold else {}
    with Session(
        catalogue, project.review_log, store_key(project), votes=votes, target=target, measure=measure, gold=certain,
        rows_of=source.rows_of,
    ) as session, closing(Renewal(session, source, stamp)) as renewal:  # fmt: skip
        yield renewal


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
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
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
                    f"The port {wanted} of {host} can't be used: {error}.", "Give another one: --port N, --host ADDRESS"
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
    """A session at its address. lead: of those without an account. pair: certificate and key.

    new_link: told of a new address for a person.
    """

    project: Project
    renewal: Renewal
    folder: str
    queue: str | None
    address: Address
    lead: str
    pair: tuple[Path, Path] | None
    new_link: Callable[[str, str], object] | None

    @property
    def session(self) -> Session:
        return self.renewal.session

    @cached_property
    def doorkeeper(self) -> Doorkeeper:
        """Knows those who have an account from the start."""
        from curate.review_app.doorkeeper import Doorkeeper

        made = Doorkeeper(self.session.accounts)
        made.refresh()
        return made

    def link(self, reviewer: str) -> str:
        """An address that signs a person in, once."""
        role: Role = "lead" if reviewer == self.lead else "reviewer"
        return f"{self.address.url}/?token={self.doorkeeper.new_link(reviewer, role)}"

    def sitting(self, version: Version, reviewers: Sequence[str]) -> Sitting:
        """What to tell of it."""
        return Sitting(
            project=self.project,
            version=version,
            links={} if self.address.is_open else {name: self.link(name) for name in reviewers},
            address=self.address.url,
            readable=self.address.is_open and not self.address.is_secure,
            waiting={str(one["name"]): int(one["left"]) for one in self.session.queues(reviewers[0])},
            missing=_missing(version),
        )

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
            address=self.address,
            link_used=self._link_used,
            renewal=self.renewal,
        )
        certificate, key = self.pair or (None, None)
        config = uvicorn.Config(
            make_app(review), http="h11", ws="none", lifespan="off", log_config=None, access_log=False,
            proxy_headers=False, server_header=False, timeout_graceful_shutdown=GRACE_S,
            ssl_certfile=certificate, ssl_keyfile=key,
        )  # fmt: skip
        return uvicorn.Server(config)

    def _link_used(self, reviewer: str) -> None:
        if self.new_link:
            self.new_link(reviewer, self.link(reviewer))


def _tell(opened: Callable[[Sitting], object], sitting: Sitting, browser: bool) -> None:
    opened(sitting)
    if browser:
        import webbrowser

        webbrowser.open(next(iter(sitting.links.values()), sitting.address))


def _serve(server: uvicorn.Server, listener: socket.socket, ready: Callable[[], object]) -> None:
    """Serve until Ctrl-C or SIGTERM. ready: called when the socket listens, so that a browser finds it."""
    listener.listen(128)  # what comes before the server runs waits there
    with suppress(KeyboardInterrupt), _ended_by_signals():
        ready()
        server.run(sockets=[listener])  # it ends its requests when a signal comes, and then passes the signal on


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Within it, what ends services and containers does as Ctrl-C does, which a shell script in the background ignores.

    Only a main thread gets signals.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {one: signal.signal(one, signal.default_int_handler) for one in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
