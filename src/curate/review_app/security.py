"""Who may ask the server for what: before any route sees a request.

A page of another origin that the same browser has open is the danger: it can send requests here. So a request must name
this server (DNS rebinding), carry the cookie of somebody who has signed in, and, to change anything, come from our own
page; signing in is such a change, as another page could sign people in under a name of its own. Nobody signs up,
nothing is allowed across origins, and no address is ever fetched.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import JSONResponse

from curate.errors import StoreError
from curate.review_app.address import Address, client_of
from curate.review_app.doorkeeper import Doorkeeper, Rate, Visitor

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
STRANGERS_PER_S, STRANGER_BURST = 5.0, 100.0  # requests of an address from which nobody has signed in
# What somebody gets who is not signed in, where people sign in with passwords.
OPEN_PATHS = {("GET", "/static/sign-in.js"), ("GET", "/static/app.css"), ("POST", "/api/sign-in")}


class Guard:
    """The outermost layer: refuses what may not be asked, and adds HEADERS to every answer.

    A route finds who asks in `scope["reviewer"]` and `scope["role"]`, both "" for nobody, and from where, to count
    tries by, in `scope["from"]`.
    """

    def __init__(self, app: ASGIApp, doorkeeper: Doorkeeper, address: Address) -> None:
        self._app = app
        self._doorkeeper = doorkeeper
        self._address = address
        self._requests = Rate(REQUESTS_PER_S, BURST)
        self._guesses = Rate(GUESSES_PER_S, GUESS_BURST)
        self._strangers = Rate(STRANGERS_PER_S, STRANGER_BURST)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return  # no websockets, no lifespan
        answer, headers = _with_headers(send), Headers(scope=scope)
        refused = self._refuse_address(scope, headers) or await self._know(scope, headers)
        if refused is None:
            refused = self._refuse_reviewer(scope) if scope["reviewer"] else self._refuse_stranger(scope)
        if refused is None and scope["method"] == "POST":
            refused = self._refuse_change(headers)
        if refused is not None:
            await refused(scope, receive, answer)
            return
        body = _Body(receive)
        await self._app(scope, body.receive, answer)

    async def _know(self, scope: Scope, headers: Headers) -> JSONResponse | None:
        """Find out who asks."""
        if not self._doorkeeper.is_fresh:
            try:
                await run_in_threadpool(self._doorkeeper.refresh)
            except StoreError as error:  # who may still come in, nobody can tell
                return refusal(503, str(error), error.hint, {"Retry-After": "5"})
        visitor = self._visitor(headers)
        scope["reviewer"], scope["role"] = (visitor.name, visitor.role) if visitor else ("", "")
        peer = (scope.get("client") or ("", 0))[0]
        scope["from"] = client_of(peer, ",".join(headers.getlist("x-forwarded-for")), self._address)
        return None

    def _visitor(self, headers: Headers) -> Visitor | None:
        for value in cookies_named(self._address.cookie, headers):
            return self._doorkeeper.visitor(value)
        return None

    def _refuse_address(self, scope: Scope, headers: Headers) -> JSONResponse | None:
        hosts, arrived_at = headers.getlist("host"), str((scope.get("server") or ("", 0))[0])
        if len(hosts) != 1 or not self._address.serves(hosts[0], arrived_at):
            return refusal(403, "This address is not served here.", "Open the one that `curate review` printed.")
        if scope["method"] not in ("GET", "HEAD", "POST"):
            return refusal(405, f"{scope['method']} is not answered here.")
        if len(scope.get("raw_path") or b"") + len(scope["query_string"]) > MOST_TARGET_BYTES:
            return refusal(414, "The address is too long.")
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin") and not _is_navigation(scope, headers):
            return refusal(403, "Another page may not ask for this.")
        return None

    def _refuse_reviewer(self, scope: Scope) -> JSONResponse | None:
        if not self._requests.take(scope["reviewer"]):
            return refusal(429, "Too many requests.", "Wait a second.", {"Retry-After": "1"})
        return None

    def _refuse_stranger(self, scope: Scope) -> JSONResponse | None:
        """Without a cookie there is the page to sign in on, or that says what to do, and the link that gives one."""
        if not self._guesses.take("") and b"token" in scope["query_string"]:
            return refusal(429, "Too many tries.", "Wait some seconds.", {"Retry-After": "5"})
        if not self._strangers.take(scope["from"]):
            return refusal(429, "Too many requests.", "Wait a second.", {"Retry-After": "1"})
        if scope["path"] == "/" and scope["method"] in ("GET", "HEAD"):
            return None
        if self._doorkeeper.has_accounts and (scope["method"], scope["path"]) in OPEN_PATHS:
            return None
        if self._doorkeeper.has_accounts:
            return JSONResponse({"error": "You are not signed in.", "hint": "Sign in again.", "password": True}, 401)
        return refusal(401, "You are not signed in.", "Open the link that `curate review` printed last.")

    def _refuse_change(self, headers: Headers) -> JSONResponse | None:
        if not self._address.is_own_page(headers.get("origin", ""), headers["host"]):
            return refusal(403, "Another page may not change anything here.")
        if headers.get("x-curate") != "1":
            return refusal(403, "The header X-Curate is missing.")
        if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            return refusal(415, "Only JSON is read here.")
        length = headers.get("content-length", "0")
        if not (length.isascii() and length.isdigit()) or int(length) > MOST_BODY_BYTES:
            return refusal(413, f"The request is too large, expected at most {MOST_BODY_BYTES:,} bytes.")
        return None


def cookies_named(name: str, headers: Headers) -> list[str]:
    """The values of a cookie, in the order in which they came."""
    found = (cookie_parser(one).get(name) for one in headers.getlist("cookie"))
    return [value for value in found if value]


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
