"""Signing in, by a link or with a password, and out."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

from anyio import CapacityLimiter, to_thread
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from curate.review_app.bodies import Wrong, is_text, read_body
from curate.review_app.doorkeeper import TooManyTries
from curate.review_app.security import cookies_named, refusal

if TYPE_CHECKING:
    from curate.review_app.server import Review

LONGEST_TOKEN = 500  # characters
HASHED_AT_ONCE = 2  # each takes 64 MiB and all of a core

_MESSAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>curate review</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">
<main><h1>{title}</h1><p>{text}</p></main></html>"""
# A link that was followed from elsewhere: the browser sends a strict cookie only when our own page asks.
_GO_ON = '<!doctype html><html lang="en"><meta charset="utf-8"><title>curate review</title>'
_GO_ON += '<meta http-equiv="refresh" content="0;url=/"><p><a href="/">Go on</a></p></html>'


def arrive(request: Request, review: Review) -> Response | None:
    """Sign in who follows a link, or say how; None for who is signed in and wants the page."""
    token, reviewer = request.query_params.get("token"), request.scope["reviewer"]
    if token is None or len(token) > LONGEST_TOKEN:
        return None if reviewer else _stranger(review)
    if request.method == "GET" and (cookie := review.doorkeeper.sign_in(token, _cookie(request, review))):
        from_elsewhere = request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin")
        return with_cookie(HTMLResponse(_GO_ON) if from_elsewhere else RedirectResponse("/", 303), review, cookie)
    if reviewer:
        return RedirectResponse("/", 303)
    return _used_up(review, token) if request.method == "GET" else _stranger(review)


def _stranger(review: Review) -> Response:
    if review.doorkeeper.has_accounts:
        page = files("curate.review_app").joinpath("static", "sign-in.html").read_text(encoding="utf-8")
        return HTMLResponse(page.replace("<!-- link -->", "" if review.address.is_open else _OR_LINK), 401)
    text = "Open the link that <code>curate review</code> printed last; it works once."
    return HTMLResponse(_MESSAGE.format(title="You are not signed in", text=text), 401)


_OR_LINK = "<p class=soft>Or open the link that <code>curate review</code> printed last.</p>"


def _used_up(review: Review, token: str) -> Response:
    reviewer = review.doorkeeper.used_by(token)
    if reviewer is None:
        text = "It belongs to an earlier session. Open the one that <code>curate review</code> printed last."
        return HTMLResponse(_MESSAGE.format(title="This link is not valid", text=text), 403)
    review.link_used(reviewer)
    text = "A link works once. Another one stands now where <code>curate review</code> was started."
    return HTMLResponse(_MESSAGE.format(title="This link was used already", text=text), 403)


async def sign_in(request: Request) -> Response:
    """By name and password. Which of both is wrong is not said, and can't be told by the time it takes."""
    review: Review = request.app.state.review
    body = await read_body(request)
    name, password = body.get("name"), body.get("password")
    if not is_text(name) or not is_text(password):
        raise Wrong("name or password is missing, or no text.")
    name = name.strip()
    try:
        review.doorkeeper.allow_try(name, request.scope["from"])
    except TooManyTries:
        return refusal(429, "Too many tries.", "Wait half a minute, then try again.", {"Retry-After": "30"})
    cookie = await to_thread.run_sync(
        review.doorkeeper.sign_in_by_password, name, password, _cookie(request, review), limiter=review.hashing
    )
    if cookie is None:
        return refusal(401, "That name and that password don't fit.", "Whoever leads the review can set another one.")
    review.doorkeeper.forget_try(name, request.scope["from"])
    return with_cookie(JSONResponse({"reviewer": name}), review, cookie)


async def sign_out(request: Request) -> Response:
    """End the session, and let the browser forget the cookie."""
    review: Review = request.app.state.review
    await run_in_threadpool(review.doorkeeper.sign_out, _cookie(request, review))
    done, secure = JSONResponse({}), review.address.is_secure
    done.delete_cookie(review.address.cookie, httponly=True, samesite="strict", path="/", secure=secure)
    return done


def with_cookie(answer: Response, review: Review, cookie: str) -> Response:
    """The answer, with a cookie that only this server gets, which no script can read, and no other site can send."""
    secure = review.address.is_secure
    answer.set_cookie(review.address.cookie, cookie, httponly=True, samesite="strict", path="/", secure=secure)
    return answer


def _cookie(request: Request, review: Review) -> str:
    return next(iter(cookies_named(review.address.cookie, request.headers)), "")


def hashing() -> CapacityLimiter:
    """Lets few passwords at a time be checked."""
    return CapacityLimiter(HASHED_AT_ONCE)
