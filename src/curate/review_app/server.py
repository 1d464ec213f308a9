"""The routes of a session: JSON in, JSON out, and the files of the page. Who may ask is `security`'s matter."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from importlib.metadata import version as installed_version
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from curate.answers import answer_lines
from curate.errors import CurateError, SourceError, StoreError
from curate.guidelines import GuidelineConflict
from curate.review_app.address import Address
from curate.review_app.bodies import Body, Wrong, is_text, read_body
from curate.review_app.doorkeeper import Doorkeeper
from curate.review_app.leasing import Holder
from curate.review_app.page_files import page_file
from curate.review_app.pictures import SIZES, NoPicture, Pictures, Size
from curate.review_app.queues import EVERYTHING, LEAD_ONLY, TITLES, Filter
from curate.review_app.renewal import Renewal
from curate.review_app.security import Guard, TooLarge, refusal
from curate.review_app.session import MOST_AT_ONCE, Batch, Session, TooMany
from curate.review_app.signing_in import arrive, hashing, sign_in, sign_out
from curate.review_app.team import issue_told, team
from curate.reviewers import Role

if TYPE_CHECKING:
    from anyio import CapacityLimiter

MOST_ANSWERS = 200  # in one request
MOST_EVENTS = 500  # of the history, in one request
MOST_NAMES = 400  # ids in one request
LONGEST_FILTER = 500  # characters
_TAB = re.compile(r"[\w.-]{1,64}", re.ASCII)
_NAME = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class Scenery:
    """What the page shows around the pictures.

    project: name of the folder. store: opaque, another for each store. folder: as it was typed. apply: the command that
    makes a version. start: the queue to begin with, None = the first that has anything.
    """

    project: str
    store: str
    folder: str
    apply: str
    start: str | None


@dataclass(frozen=True)
class Review:
    """What the routes work with. link_used: called with a person's name when their used link was opened once more.

    renewal: what keeps the session up to date with its store; None = it stays as it is.
    """

    session: Session
    pictures: Pictures
    doorkeeper: Doorkeeper
    scenery: Scenery
    address: Address
    link_used: Callable[[str], None]
    hashing: CapacityLimiter = field(default_factory=hashing)
    renewal: Renewal | None = None


def make_app(review: Review) -> Guard:
    """The whole application, as it answers at its address. A route is for everybody who is signed in, or for leads."""
    routes = [
        Route("/", _page),
        Route("/favicon.ico", _no_icon),
        Route("/static/{name}", _static),
        Route("/api/session", _json(_session)),
        Route("/api/next", _json(_next)),
        Route("/api/grid", _json(_grid)),
        Route("/api/pairs", _json(_pairs)),
        Route("/api/item/{id}", _json(_item)),
        Route("/api/picture/{id}", _picture),
        Route("/api/history", _json(_history)),
        Route("/api/progress", _json(_progress)),
        Route("/api/news", _json(_news)),
        Route("/api/load", _json(_load), methods=["POST"]),
        Route("/api/rank", _json(_rank, role="lead"), methods=["POST"]),
        Route("/api/guideline", _json(_guideline)),
        Route("/api/guideline", _json(_write_guideline, role="lead"), methods=["POST"]),
        Route("/api/decisions", _json(_decide), methods=["POST"]),
        Route("/api/leases", _json(_renew), methods=["POST"]),
        Route("/api/team", _json(_team, role="lead")),
        Route("/api/issue", _json(_close_issue, role="lead"), methods=["POST"]),
        Route("/api/answers.csv", _answers),
        Route("/api/sign-in", sign_in, methods=["POST"]),
        Route("/api/sign-out", sign_out, methods=["POST"]),
    ]
    app = Starlette(routes=routes, exception_handlers=_HANDLERS)
    app.router.redirect_slashes = False  # an address is right or wrong; a redirect would repeat what was asked
    app.state.review = review
    return Guard(app, review.doorkeeper, review.address)


# ---- Reading a request

Answer = Callable[[Review, Request, Body], Any]


def _json(answer: Answer, role: Role = "reviewer") -> Callable[[Request], Awaitable[Response]]:
    """A route that works in a thread, as databases keep one waiting, and answers with plain data.

    role: "lead" = reviewers are refused.
    """

    async def route(request: Request) -> Response:
        if role == "lead" and not _is_lead(request):
            return _leads_only()
        body = await read_body(request) if request.method == "POST" else {}
        return JSONResponse(await run_in_threadpool(answer, request.app.state.review, request, body))

    return route


def _holder(request: Request, tab: object) -> Holder:
    if not isinstance(tab, str) or not _TAB.fullmatch(tab):
        raise Wrong("tab is missing, or not 1 to 64 letters and digits.")
    return Holder(tab, _reviewer(request))


def _reviewer(request: Request) -> str:
    return str(request.scope["reviewer"])


def _role(request: Request) -> str:
    return str(request.scope["role"])


def _is_lead(request: Request) -> bool:
    return _role(request) == "lead"


def _leads_only() -> Response:
    return refusal(403, "Only a lead may do this.", "Ask who leads the review.")


def _count(request: Request, usual: int, most: int) -> int:
    text = request.query_params.get("count", str(usual))
    if not re.fullmatch(r"[0-9]{1,6}", text) or not 1 <= int(text) <= most:
        raise Wrong(f"count is {text[:20]!r}, expected a number from 1 to {most}.")
    return int(text)


def _word(request: Request, name: str) -> str:
    text = request.query_params.get(name, "")
    if len(text) > LONGEST_FILTER:
        raise Wrong(f"{name} has {len(text):,} characters, expected at most {LONGEST_FILTER}.")
    return text


def _queue(request: Request) -> str:
    name = request.query_params.get("queue", "")
    if name not in TITLES:
        raise Wrong(f"There is no queue {name[:40]!r}; there are: {', '.join(TITLES)}.")
    return name


def _names(values: object) -> list[str]:
    if not isinstance(values, list) or len(values) > MOST_NAMES or not all(isinstance(one, str) for one in values):
        raise Wrong(f"expected a list of at most {MOST_NAMES} ids.")
    return [one for one in values if _NAME.fullmatch(one)]


# ---- The page


async def _page(request: Request) -> Response:
    return arrive(request, request.app.state.review) or page_file(request, "index.html")


async def _no_icon(request: Request) -> Response:  # noqa: ARG001  the signature of a route
    return Response(status_code=204)


async def _static(request: Request) -> Response:
    return page_file(request, request.path_params["name"])


# ---- Looking


def _session(review: Review, request: Request, _: Body) -> Any:
    session, catalogue = review.session, review.session.catalogue
    return {
        **asdict(review.scenery),
        "version": catalogue.version.name,
        "reviewer": _reviewer(request),
        "role": _role(request),
        "password": review.doorkeeper.has_account(_reviewer(request)),
        "classes": list(session.classes),
        "queues": session.queues(_reviewer(request), lead=_is_lead(request)),
        "splits": catalogue.splits,
        "checks": catalogue.checks,
        "target": session.target,
        "votes": session.ledger.votes,
        "curate": installed_version("curate"),
    }


def _next(review: Review, request: Request, _: Body) -> Any:
    holder = _holder(request, request.query_params.get("tab"))
    queue, count = _queue(request), _count(request, 4, MOST_AT_ONCE)
    if queue in LEAD_ONLY and not _is_lead(request):
        raise HTTPException(403, "Only a lead decides where votes differ.")
    wanted = Filter(**{name: _word(request, name) for name in ("label", "check", "split", "text")})
    if queue == "spot" and wanted != EVERYTHING:
        raise Wrong("A blind check shows what was drawn; it can't be filtered.")
    held = _names(request.query_params.get("not", "").split(","))
    return _told(review.session.next(queue, holder, count=count, wanted=wanted, held=held))


def _grid(review: Review, request: Request, _: Body) -> Any:
    holder = _holder(request, request.query_params.get("tab"))
    pair = Filter(given=_word(request, "given"), suggested=_word(request, "suggested"))
    if not (pair.given and pair.suggested):
        raise Wrong("given and suggested are missing.")
    held = _names(request.query_params.get("not", "").split(","))
    count = _count(request, MOST_AT_ONCE, MOST_AT_ONCE)
    return _told(review.session.next("errors", holder, count=count, wanted=pair, held=held))


def _told(batch: Batch) -> Any:
    return {"items": batch.items, "left": batch.left, "state": batch.state}


def _pairs(review: Review, request: Request, _: Body) -> Any:
    return {"pairs": review.session.pairs(_reviewer(request))}


def _item(review: Review, request: Request, _: Body) -> Any:
    found = review.session.item(request.path_params["id"], _reviewer(request), lead=_is_lead(request))
    if found is None:
        raise HTTPException(404, "There is no such picture.")
    return found


async def _picture(request: Request) -> Response:
    review: Review = request.app.state.review
    wanted = review.session.picture(request.path_params["id"])
    size = request.query_params.get("size", "screen")
    if wanted is None or size not in SIZES:
        raise HTTPException(404, "There is no such picture.")
    chosen: Size = "thumb" if size == "thumb" else "screen"
    try:
        drawn = await run_in_threadpool(review.pictures.get, wanted, chosen)
    except NoPicture as why:
        return refusal(404, "The picture can't be shown.", str(why))
    headers = {"Cache-Control": "private, max-age=3600", "Content-Disposition": "inline"}
    return Response(drawn, media_type="image/jpeg", headers=headers)


def _history(review: Review, request: Request, _: Body) -> Any:
    return {"events": review.session.history(_reviewer(request), _count(request, 8, MOST_EVENTS))}


def _progress(review: Review, request: Request, _: Body) -> Any:
    return _told_progress(review, request)


def _told_progress(review: Review, request: Request) -> Any:
    return {**review.session.progress(_reviewer(request), lead=_is_lead(request)), "news": _told_news(review)}


# ---- What is new in the store


def _news(review: Review, request: Request, _: Body) -> Any:  # noqa: ARG001  the signature of a route
    return _told_news(review)


def _told_news(review: Review) -> Any:
    news = review.renewal.news() if review.renewal else {}
    return {**news, "classes": review.session.classes.new}


def _load(review: Review, request: Request, _: Body) -> Any:  # noqa: ARG001  the signature of a route
    loaded = _renewal(review).load()
    return {**vars(loaded), "news": _told_news(review)}


def _rank(review: Review, request: Request, _: Body) -> Any:  # noqa: ARG001  the signature of a route
    _renewal(review).rank()
    return _told_news(review)


def _renewal(review: Review) -> Renewal:
    if review.renewal is None:
        raise HTTPException(409, "This session shows one version, and no other.")
    return review.renewal


# ---- Leading


def _team(review: Review, request: Request, _: Body) -> Any:  # noqa: ARG001  the signature of a route
    return team(review.session)


def _close_issue(review: Review, request: Request, body: Body) -> Any:
    decision, label = body.get("decision"), body.get("label")
    if not isinstance(decision, str) or not isinstance(label, str):
        raise Wrong("decision or label is missing, or no text.")
    if not review.session.close_issue(decision, label, _reviewer(request)):
        raise HTTPException(404, "There is no such open issue.")
    return {"issues": [issue_told(one) for one in review.session.issues()]}


async def _answers(request: Request) -> Response:
    """All answers as a file; line by line, so that a long log takes little memory and answers at once."""
    if not _is_lead(request):
        return _leads_only()
    session = request.app.state.review.session
    given = dict(zip(session.catalogue.paths, session.catalogue.given, strict=True))
    lines = answer_lines(await run_in_threadpool(session.log_so_far), given)
    headers = {"Content-Disposition": 'attachment; filename="answers.csv"'}
    return StreamingResponse(lines, media_type="text/csv", headers=headers)


# ---- Saying


def _decide(review: Review, request: Request, body: Body) -> Any:
    reviewer, answers = _reviewer(request), body.get("decisions")
    if body.get("reviewer", reviewer) != reviewer:
        raise HTTPException(409, f"This browser is signed in as {reviewer} now; nothing was saved.")
    if not isinstance(answers, list):
        raise Wrong("decisions is missing, or no list.")
    if len(answers) > MOST_ANSWERS:
        raise HTTPException(413, f"{len(answers):,} answers in one request, expected at most {MOST_ANSWERS}.")
    receipt = review.session.decide(answers, _holder(request, body.get("tab")), lead=_is_lead(request))
    return {
        "saved": receipt.saved,
        "extra": receipt.extra,
        "refused": [{"id": name, "why": why} for name, why in receipt.refused.items()],
        "progress": _told_progress(review, request),
    }


def _renew(review: Review, request: Request, body: Body) -> Any:
    held, lost = review.session.renew(_names(body.get("items")), _holder(request, body.get("tab")))
    return {"held": held, "lost": lost, "news": _told_news(review)}


def _guideline(review: Review, request: Request, _: Body) -> Any:
    return _guide(review, _class_named(review, request.query_params.get("label")))


def _write_guideline(review: Review, request: Request, body: Body) -> Any:
    label, text, version = _class_named(review, body.get("label")), body.get("text"), body.get("version", "")
    if not is_text(text) or not is_text(version) or "\0" in text:
        raise Wrong("text or version is missing, or no text.")
    review.session.write_guideline(label, text, _reviewer(request), version[:64])
    return _guide(review, label)


def _class_named(review: Review, label: object) -> str:
    if not isinstance(label, str) or label not in review.session.classes:
        raise HTTPException(404, "There is no such class.")
    return label


def _guide(review: Review, label: str) -> Any:
    found = review.session.guideline(label)
    issues = [issue_told(one) for one in review.session.issues() if one.label == label]
    return {**asdict(found), "html": found.html, "issues": issues}


# ---- What goes wrong


async def _as_json(request: Request, error: Exception) -> Response:  # noqa: ARG001  the signature of a handler
    match error:
        case HTTPException():
            return refusal(error.status_code, str(error.detail), headers=dict(error.headers or {}))
        case Wrong():
            return refusal(400, str(error))
        case TooLarge():
            return refusal(413, "The request is too large.")
        case TooMany():
            return refusal(429, "You hold many pictures already.", "Decide on some of them.", {"Retry-After": "5"})
        case GuidelineConflict() | SourceError():
            return refusal(409, str(error), error.hint)
        case StoreError():
            return refusal(503, str(error), error.hint, {"Retry-After": "5"})
    assert isinstance(error, CurateError)
    return refusal(400, str(error), error.hint)


_HANDLERS = dict.fromkeys((HTTPException, Wrong, TooLarge, TooMany, CurateError), _as_json)
