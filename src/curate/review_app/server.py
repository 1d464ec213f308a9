"""The routes of a session: JSON in, JSON out, and the files of the page. Who may ask is `security`'s matter."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version as installed_version
from importlib.resources import files
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from curate.errors import CurateError, SourceError, StoreError
from curate.guidelines import GuidelineConflict
from curate.review_app.leasing import Holder
from curate.review_app.pictures import SIZES, NoPicture, Pictures, Size
from curate.review_app.queues import EVERYTHING, TITLES, Filter
from curate.review_app.security import Doorkeeper, Guard, TooLarge, allowed_hosts, refusal
from curate.review_app.session import MOST_AT_ONCE, Batch, Session, TooMany

MOST_ANSWERS = 200  # in one request
MOST_EVENTS = 500  # of the history, in one request
MOST_NAMES = 400  # ids in one request
LONGEST_FILTER = 500  # characters
# What the page consists of: its own files and no others, each with its type.
TYPES = {".js": "text/javascript", ".css": "text/css", ".html": "text/html", ".svg": "image/svg+xml"}
_TAB = re.compile(r"[\w.-]{1,64}", re.ASCII)
_NAME = re.compile(r"[0-9a-f]{32}")

_SIGN_IN = """<!doctype html><html lang="en"><meta charset="utf-8"><title>curate review</title>
<h1>{title}</h1><p>{text}</p></html>"""
# A link that was followed from elsewhere: the browser sends a strict cookie only when our own page asks.
_GO_ON = '<!doctype html><html lang="en"><meta charset="utf-8"><title>curate review</title>'
_GO_ON += '<meta http-equiv="refresh" content="0;url=/"><p><a href="/">Go on</a></p></html>'


class Wrong(Exception):
    """A request that makes no sense; the message says why."""


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
    """What the routes work with. link_used: called with a person's name when their used link was opened once more."""

    session: Session
    pictures: Pictures
    doorkeeper: Doorkeeper
    scenery: Scenery
    cookie: str
    link_used: Callable[[str], None]


def make_app(review: Review, port: int) -> Guard:
    """The whole application, as it answers on that port."""
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
        Route("/api/guideline", _json(_guideline)),
        Route("/api/guideline", _json(_write_guideline), methods=["POST"]),
        Route("/api/decisions", _json(_decide), methods=["POST"]),
        Route("/api/leases", _json(_renew), methods=["POST"]),
    ]
    app = Starlette(routes=routes, exception_handlers=_HANDLERS)
    app.router.redirect_slashes = False  # an address is right or wrong; a redirect would repeat what was asked
    app.state.review = review
    return Guard(app, review.doorkeeper, allowed_hosts(port), review.cookie)


# ---- Reading a request

Body = dict[str, Any]
Answer = Callable[[Review, Request, Body], Any]


def _json(answer: Answer) -> Callable[[Request], Awaitable[Response]]:
    """A route that works in a thread, as databases keep one waiting, and answers with plain data."""

    async def route(request: Request) -> Response:
        body = await _body(request) if request.method == "POST" else {}
        return JSONResponse(await run_in_threadpool(answer, request.app.state.review, request, body))

    return route


async def _body(request: Request) -> Body:
    try:
        body = json.loads(await request.body())
    except (ValueError, RecursionError) as error:
        raise Wrong("The request is no JSON.") from error
    if not isinstance(body, dict):
        raise Wrong("The request is no JSON object.")
    return body


def _holder(request: Request, tab: object) -> Holder:
    if not isinstance(tab, str) or not _TAB.fullmatch(tab):
        raise Wrong("tab is missing, or not 1 to 64 letters and digits.")
    return Holder(tab, _reviewer(request))


def _reviewer(request: Request) -> str:
    return str(request.scope["reviewer"])


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
    review: Review = request.app.state.review
    token = request.query_params.get("token")
    if token is not None and request.method == "GET" and len(token) <= LONGEST_FILTER:
        if cookie := review.doorkeeper.sign_in(token):
            return _signed_in(request, review, cookie)
        if not _reviewer(request):
            return _used_up(review, token)
    if token is not None and _reviewer(request):
        return RedirectResponse("/", 303)
    if not _reviewer(request):
        text = "Open the link that <code>curate review</code> printed last; it works once."
        return HTMLResponse(_SIGN_IN.format(title="You are not signed in", text=text), 401)
    return _file("index.html")


def _signed_in(request: Request, review: Review, cookie: str) -> Response:
    from_elsewhere = request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin")
    answer = HTMLResponse(_GO_ON) if from_elsewhere else RedirectResponse("/", 303)
    answer.set_cookie(review.cookie, cookie, httponly=True, samesite="strict", path="/")
    return answer


def _used_up(review: Review, token: str) -> Response:
    reviewer = review.doorkeeper.used_by(token)
    if reviewer is None:
        text = "It belongs to an earlier session. Open the one that <code>curate review</code> printed last."
        return HTMLResponse(_SIGN_IN.format(title="This link is not valid", text=text), 403)
    review.link_used(reviewer)
    text = "A link works once. Another one stands now where <code>curate review</code> was started."
    return HTMLResponse(_SIGN_IN.format(title="This link was used already", text=text), 403)


async def _no_icon(request: Request) -> Response:  # noqa: ARG001  the signature of a route
    return Response(status_code=204)


async def _static(request: Request) -> Response:
    return _file(request.path_params["name"])


def _file(name: str) -> Response:
    """A file of the page, by its exact name among those that there are."""
    known = {one.name: one for one in files("curate.review_app").joinpath("static").iterdir() if one.is_file()}
    kind = TYPES.get(name[name.rfind(".") :])
    if name not in known or kind is None:
        raise HTTPException(404)
    headers = {"Cache-Control": "no-cache"}  # the next session may be of another curate
    return Response(known[name].read_bytes(), media_type=kind, headers=headers)


# ---- Looking


def _session(review: Review, request: Request, _: Body) -> Any:
    session, catalogue = review.session, review.session.catalogue
    return {
        **asdict(review.scenery),
        "version": catalogue.version.name,
        "reviewer": _reviewer(request),
        "classes": catalogue.classes,
        "queues": session.queues(_reviewer(request)),
        "splits": catalogue.splits,
        "checks": catalogue.checks,
        "target": session.target,
        "votes": session.ledger.votes,
        "curate": installed_version("curate"),
    }


def _next(review: Review, request: Request, _: Body) -> Any:
    holder = _holder(request, request.query_params.get("tab"))
    queue, count = _queue(request), _count(request, 4, MOST_AT_ONCE)
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
    found = review.session.item(request.path_params["id"])
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
    return review.session.progress(_reviewer(request))


# ---- Saying


def _decide(review: Review, request: Request, body: Body) -> Any:
    reviewer, answers = _reviewer(request), body.get("decisions")
    if body.get("reviewer", reviewer) != reviewer:
        raise HTTPException(409, f"This browser is signed in as {reviewer} now; nothing was saved.")
    if not isinstance(answers, list):
        raise Wrong("decisions is missing, or no list.")
    if len(answers) > MOST_ANSWERS:
        raise HTTPException(413, f"{len(answers):,} answers in one request, expected at most {MOST_ANSWERS}.")
    receipt = review.session.decide(answers, _holder(request, body.get("tab")))
    return {
        "saved": receipt.saved,
        "extra": receipt.extra,
        "refused": [{"id": name, "why": why} for name, why in receipt.refused.items()],
        "progress": review.session.progress(reviewer),
    }


def _renew(review: Review, request: Request, body: Body) -> Any:
    held, lost = review.session.renew(_names(body.get("items")), _holder(request, body.get("tab")))
    return {"held": held, "lost": lost}


def _guideline(review: Review, request: Request, _: Body) -> Any:
    return _guide(review, _class_named(review, request.query_params.get("label")))


def _write_guideline(review: Review, request: Request, body: Body) -> Any:
    label, text, version = _class_named(review, body.get("label")), body.get("text"), body.get("version", "")
    if not isinstance(text, str) or not isinstance(version, str) or "\0" in text or _is_no_text(text):
        raise Wrong("text or version is missing, or no text.")
    review.session.write_guideline(label, text, _reviewer(request), version[:64])
    return _guide(review, label)


def _class_named(review: Review, label: object) -> str:
    if not isinstance(label, str) or label not in review.session.catalogue.classes:
        raise HTTPException(404, "There is no such class.")
    return label


def _guide(review: Review, label: str) -> Any:
    found = review.session.guideline(label)
    return {**asdict(found), "html": found.html}


def _is_no_text(text: str) -> bool:
    return any("\ud800" <= char <= "\udfff" for char in text)


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
