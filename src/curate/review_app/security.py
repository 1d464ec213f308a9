"""Who may ask the server for what: before any route sees a request.

A page of another origin that the same browser has open is the danger: it can send requests here. So a request must name
this server (DNS rebinding), carry the cookie of somebody who opened the printed link, and, to change anything, come
from our own page. Nobody signs up, nothing is allowed across origins, and no address is ever fetched.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import JSONResponse

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
        "frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
MOST_BODY_BYTES = 1024 * 1024  # 200 answers with the longest notes that people write
MOST_TARGET_BYTES = 16 * 1024  # path and query: 200 ids of pictures to leave out
# A person decides twice a second at most, with some ten requests each: picture, look-alikes, thumbnails. A grid asks
# for fifty thumbnails at once.
REQUESTS_PER_S, BURST = 50.0, 400.0
GUESSES_PER_S, GUESS_BURST = 1.0, 20.0  # of links and cookies, by anybody


class Doorkeeper:
    """Links that sign people in, once each, and the cookies they get for it. Neither is ever written down.

    Digests are compared, not secrets, so that the time it takes tells nothing.
    """

    def __init__(self) -> None:
        self._links: dict[str, str] = {}
        self._used: dict[str, str] = {}
        self._cookies: dict[str, str] = {}
        self._lock = threading.Lock()

    def new_link(self, reviewer: str) -> str:
        """A token that signs this person in, once."""
        token = secrets.token_urlsafe(24)
        with self._lock:
            self._links[_digest(token)] = reviewer
        return token

    def sign_in(self, token: str) -> str | None:
        """The cookie for a token; None if there is no such one or it was used."""
        cookie = secrets.token_urlsafe(32)
        with self._lock:
            reviewer = self._links.pop(_digest(token), None)
            if reviewer is None:
                return None
            self._used[_digest(token)] = reviewer
            self._cookies[_digest(cookie)] = reviewer
        return cookie

    def used_by(self, token: str) -> str | None:
        """Who signed in with that token before."""
        return self._used.get(_digest(token))

    def reviewer(self, cookie: str) -> str | None:
        """Whose cookie it is."""
        return self._cookies.get(_digest(cookie))


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


class Rate:
    """So many requests in a second, and so many at once; of each name by itself."""

    def __init__(self, per_s: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_s = per_s
        self._burst = burst
        self._clock = clock
        self._left: dict[str, tuple[float, float]] = {}
        self._lock = threading.Lock()

    def take(self, name: str) -> bool:
        """Whether one more is all right now."""
        now = self._clock()
        with self._lock:
            left, since = self._left.get(name, (self._burst, now))
            left = min(self._burst, left + (now - since) * self._per_s)
            self._left[name] = (left - 1 if left >= 1 else left, now)
            return left >= 1


class Guard:
    """The outermost layer: refuses what may not be asked, and adds HEADERS to every answer.

    hosts: what the Host header may say, with port. cookie: its name; another for each port, as browsers don't keep
    ports apart. A route finds who asks in `scope["reviewer"]`, "" for nobody.
    """

    def __init__(self, app: ASGIApp, doorkeeper: Doorkeeper, hosts: Iterable[str], cookie: str) -> None:
        self._app = app
        self._doorkeeper = doorkeeper
        self._hosts = frozenset(hosts)
        self._cookie = cookie
        self._requests = Rate(REQUESTS_PER_S, BURST)
        self._guesses = Rate(GUESSES_PER_S, GUESS_BURST)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return  # no websockets, no lifespan
        answer = _with_headers(send)
        headers = Headers(scope=scope)
        scope["reviewer"] = self._reviewer(headers)
        refusal = self._refuse(scope, headers)
        if refusal is not None:
            await refusal(scope, receive, answer)
            return
        body = _Body(receive)
        await self._app(scope, body.receive, answer)

    def _reviewer(self, headers: Headers) -> str:
        for one in headers.getlist("cookie"):
            if value := cookie_parser(one).get(self._cookie):
                return self._doorkeeper.reviewer(value) or ""
        return ""

    def _refuse(self, scope: Scope, headers: Headers) -> JSONResponse | None:
        hosts = headers.getlist("host")
        if len(hosts) != 1 or hosts[0].lower() not in self._hosts:
            return refusal(403, "This address is not served here.", "Open the link that `curate review` printed.")
        if scope["method"] not in ("GET", "HEAD", "POST"):
            return refusal(405, f"{scope['method']} is not answered here.")
        if len(scope.get("raw_path") or b"") + len(scope["query_string"]) > MOST_TARGET_BYTES:
            return refusal(414, "The address is too long.")
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin") and not _is_navigation(scope, headers):
            return refusal(403, "Another page may not ask for this.")
        if not scope["reviewer"]:
            return self._refuse_stranger(scope)
        if not self._requests.take(scope["reviewer"]):
            return refusal(429, "Too many requests.", "Wait a second.", {"Retry-After": "1"})
        return self._refuse_change(scope, headers, hosts[0]) if scope["method"] == "POST" else None

    def _refuse_stranger(self, scope: Scope) -> JSONResponse | None:
        """Without a cookie there is the page that says what to do, and the link that gives one."""
        if not self._guesses.take("") and b"token" in scope["query_string"]:
            return refusal(429, "Too many tries.", "Wait some seconds.", {"Retry-After": "5"})
        if scope["path"] == "/" and scope["method"] in ("GET", "HEAD"):
            return None
        return refusal(401, "You are not signed in.", "Open the link that `curate review` printed last.")

    def _refuse_change(self, scope: Scope, headers: Headers, host: str) -> JSONResponse | None:
        if headers.get("origin", "").lower() != f"{scope['scheme']}://{host.lower()}":
            return refusal(403, "Another page may not change anything here.")
        if headers.get("x-curate") != "1":
            return refusal(403, "The header X-Curate is missing.")
        if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            return refusal(415, "Only JSON is read here.")
        length = headers.get("content-length", "0")
        if not (length.isascii() and length.isdigit()) or int(length) > MOST_BODY_BYTES:
            return refusal(413, f"The request is too large, expected at most {MOST_BODY_BYTES:,} bytes.")
        return None


def _is_navigation(scope: Scope, headers: Headers) -> bool:
    """Somebody followed a link from elsewhere to our page: the cookie is not sent then, and nothing is changed."""
    return scope["method"] == "GET" and scope["path"] == "/" and headers.get("sec-fetch-mode") == "navigate"


class TooLarge(Exception):
    """A body that goes on beyond the limit, whatever its header said."""


class _Body:
    """A request's body, read up to the limit."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._bytes = 0

    async def receive(self) -> Message:
        message = await self._receive()
        self._bytes += len(message.get("body", b""))
        if self._bytes > MOST_BODY_BYTES:
            raise TooLarge
        return message


def _with_headers(send: Send) -> Send:
    async def answer(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers[name] = value
            headers.setdefault("Cache-Control", "no-store")
        await send(message)

    return answer


def refusal(status: int, error: str, hint: str = "", headers: dict[str, str] | None = None) -> JSONResponse:
    """An answer that says what was wrong and what to do."""
    return JSONResponse({"error": error, "hint": hint}, status, headers)


def allowed_hosts(port: int) -> list[str]:
    """What browsers may call this server: names of this machine alone, as nobody else can make them point elsewhere."""
    return [f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]")]
