"""Requests made up from a description of the API (tests/review_api.yaml): valid, wrong, and such as break servers.

CURATE_FUZZ=2000 tries so many of each kind instead of a few.
"""

from __future__ import annotations

import json
import math
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
import uvicorn
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from conftest import PICTURES, write
from curate.review_app import security
from curate.review_log import first_broken_link, read_events
from reviews import CHANGES, HOST, Site, answer, doubt, served

schemathesis: Any = pytest.importorskip("schemathesis", reason="schemathesis is not installed")

DESCRIPTION: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("review_api.yaml").read_text(encoding="utf-8"))
ROUTES = [(path, method) for path, ways in DESCRIPTION["paths"].items() for method in ways]
CHANGING = [path for path, method in ROUTES if method == "post"]
TRIES = int(os.environ.get("CURATE_FUZZ", "0"))
QUIET = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much]
STRANGER = {**CHANGES, "Host": HOST}
PHASES = [Phase.explicit, Phase.generate]  # a failing request is small enough as it is


def tries(usual: int) -> settings:
    """The same requests each time, unless more are wanted."""
    return settings(
        max_examples=TRIES or usual, derandomize=not TRIES, deadline=None, database=None, phases=PHASES,
        suppress_health_check=QUIET,
    )  # fmt: skip


@dataclass
class Fuzzed:
    """A session on a socket, in which ada leads."""

    address: str
    site: Site
    description: dict[str, Any]

    def operation(self, path: str, method: str) -> Any:
        """What schemathesis knows of a route."""
        return schemathesis.openapi.from_dict(self.description)[path][method.upper()]

    @property
    def headers(self) -> dict[str, str]:
        """Of somebody who has just signed in: a request may have signed out who was before."""
        ada = self.site.person("ada")
        return STRANGER | {"Cookie": "; ".join(f"{name}={value}" for name, value in ada.cookies.items())}

    def require_sound(self) -> None:
        """It still takes an answer, and the log holds together."""
        item = self.description["components"]["schemas"]["ItemId"]["anyOf"][0]["enum"][0]
        sent = answer(item, "unsure")
        body: Any = {"tab": "t", "decisions": [sent]}
        done = requests.post(f"{self.address}/api/decisions", json=body, headers=self.headers, timeout=30).json()
        assert done["saved"] == [sent["id"]]
        events = read_events(self.site.session.log)
        assert first_broken_link(events) is None
        assert events[-1].decision.id == sent["id"]


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fuzzed]:
    """Six pictures of cats and dogs, three of them doubted; nobody is asked to slow down."""
    place = tmp_path_factory.mktemp("fuzzed")
    for number in range(6):
        write(place / "photos" / ("cats" if number < 3 else "dogs") / f"{number}.jpg", PICTURES[number])
    project = doubt(place / "photos", {"cats/0.jpg": "dogs", "cats/1.jpg": "dogs", "dogs/3.jpg": "cats"})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(security, "BURST", 1e9)
        patch.setattr(security, "GUESS_BURST", 1e9)
        with served(project) as site:
            ada = site.person("ada")
            items = ada.get("/api/next?queue=errors&tab=t&count=3").json()["items"]
            with listening(site.app) as address:
                yield Fuzzed(address, site, described([one["id"] for one in items]))


@contextmanager
def listening(app: Any) -> Iterator[str]:
    """The address of a real server: what a test client would mend, reaches it as it is."""
    # Of TCP by name, or asyncio lets small answers wait.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, http="h11", ws="none", lifespan="off", log_config=None))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(20)


def described(items: list[str]) -> dict[str, Any]:
    """The description, knowing names that the session has, so that requests reach what lies behind."""
    known = deepcopy(DESCRIPTION)
    schemas = known["components"]["schemas"]
    schemas["ItemId"] = {"anyOf": [{"enum": items}, schemas["ItemId"]]}
    schemas["Label"] = {"anyOf": [{"enum": ["cats", "dogs"]}, schemas["Label"]]}
    return known


def routes_of(app: Any) -> set[tuple[str, str]]:
    """Path and method of each route, without HEAD, which each GET has."""
    while not hasattr(app, "routes"):
        app = app._app
    return {(route.path, method.lower()) for route in app.routes for method in route.methods - {"HEAD"}}


def test_the_description_names_exactly_the_routes_there_are(fuzzed: Fuzzed) -> None:
    assert set(ROUTES) == routes_of(fuzzed.site.app)


@pytest.mark.parametrize(("path", "method"), ROUTES)
def test_no_request_by_the_description_or_against_it_makes_the_server_fail(
    fuzzed: Fuzzed, path: str, method: str
) -> None:
    """Every answer has a status, a type and a content that the description promises; none is a 500."""
    operation = fuzzed.operation(path, method)
    modes = schemathesis.GenerationMode
    promised = schemathesis.checks.CHECKS.get_by_names(
        ["not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance"]
    )

    signed_in = fuzzed.headers
    made_up = [operation.as_strategy(generation_mode=mode) for mode in modes]

    @given(st.one_of(*made_up), st.integers(0, 4))
    @tries(10)
    def attempt(case: Any, fifth: int) -> None:
        headers = signed_in if fifth else STRANGER
        told = case.call(base_url=fuzzed.address, headers=headers, allow_redirects=False)
        case.validate_response(told, checks=promised)

    attempt()
    fuzzed.require_sound()


# ---- What a description can't say

NASTY: list[Any] = [
    None, True, 0, -1, 2**70, 10**4_000, 1e308, math.nan, math.inf, "", "\0", "\ud800", "\udfff\ud800", "\U0010ffff",
    "\u202e", "é" * 3_000, "__class__", "' OR 1=1 --", "../..", [], {}, [[]], {"": None}, {"$ne": 1}, [None] * 500,
]  # fmt: skip
TYPES = ["application/json", "application/json; charset=utf-16", "application/JSON;;", "text/plain", "", "\xff/\xfe"]
nasty = st.sampled_from(NASTY) | st.text(st.characters(codec=None), max_size=8) | st.floats() | st.integers()


def deep(levels: int) -> str:
    return '{"tab":' * levels + "[" * levels


@st.composite
def spoilt(draw: st.DrawFn, body: Any) -> bytes:
    """A body with one value replaced, as JSON that may have a key twice, be cut off, or be of other bytes."""
    if draw(st.integers(0, 30)) == 0:
        return deep(draw(st.integers(1, 60_000))).encode()
    replaced = replaced_at(draw, body)
    text = json.dumps(replaced, ensure_ascii=draw(st.booleans()))
    if isinstance(replaced, dict) and draw(st.booleans()):
        key = draw(st.sampled_from(sorted(replaced) or ["tab"]))
        text = f"{text[:-1]}{', ' * bool(replaced)}{json.dumps(key)}: {json.dumps(draw(nasty))}}}"
    data = text.encode("utf-8", "surrogatepass")
    match draw(st.integers(0, 9)):
        case 0:
            return data[: draw(st.integers(0, len(data)))]
        case 1:
            return data + draw(st.binary(max_size=4))
        case 2:
            return text.encode("utf-16", "surrogatepass")
    return data


def replaced_at(draw: st.DrawFn, value: Any) -> Any:
    """The same with another value somewhere."""
    if isinstance(value, dict) and value and draw(st.integers(0, 4)):
        key = draw(st.sampled_from(sorted(value)))
        return {**value, key: replaced_at(draw, value[key])}
    if isinstance(value, list) and value and draw(st.integers(0, 4)):
        place = draw(st.integers(0, len(value) - 1))
        return [*value[:place], replaced_at(draw, value[place]), *value[place + 1 :]]
    return draw(nasty)


@pytest.mark.parametrize("path", CHANGING)
def test_no_body_makes_the_server_fail(fuzzed: Fuzzed, path: str) -> None:
    """NaN, lone surrogates, NUL, huge numbers, a key twice, depth, other types and encodings."""
    operation, signed_in = fuzzed.operation(path, "post"), fuzzed.headers

    @given(st.data())
    @tries(40)
    def attempt(data: st.DataObject) -> None:
        body = data.draw(operation.as_strategy().map(lambda case: case.body).flatmap(spoilt))
        kind = data.draw(st.sampled_from(TYPES[:1] * 6 + TYPES))
        headers = signed_in | {"Content-Type": kind}
        told = requests.post(fuzzed.address + path, body, headers=headers, timeout=30)
        assert told.status_code < 500, (told.text, body[:300])
        assert told.status_code == 200 or set(told.json()) == {"error", "hint"}

    attempt()
    fuzzed.require_sound()


RAW = st.text(st.sampled_from("%&=;+?#/\\.~'\"<>[]{}|^`aé0"), max_size=30) | st.sampled_from(
    ["%00", "%ff%fe", "%ed%a0%80", "%", "%zz", "%252e%252e", "&&&&", "=", "count=%D9%A3", "not=" + "," * 9_000]
)


@pytest.mark.parametrize("path", [path for path, method in ROUTES if method == "get"])
def test_no_address_makes_the_server_fail(fuzzed: Fuzzed, path: str) -> None:
    """Names that are given twice, percent signs that mean nothing, bytes that are no text."""
    names = [one["name"] for one in DESCRIPTION["paths"][path]["get"].get("parameters", []) if "name" in one]
    names += ["tab", "count", "token", "id"]
    good = {"queue": "errors", "tab": "t", "given": "cats", "suggested": "dogs", "label": "cats"}
    signed_in = fuzzed.headers
    pairs = st.lists(st.tuples(st.sampled_from(names), RAW | st.sampled_from(sorted(good.values()))), max_size=5)

    @given(pairs, RAW, st.booleans())
    @tries(15)
    def attempt(query: list[tuple[str, str]], name: str, complete: bool) -> None:
        given_ones = [*(good.items() if complete else ()), *query]
        asked = requests.Request("GET", fuzzed.address, headers=signed_in).prepare()
        target = path.replace("{id}", name).replace("{name}", name)
        words = "&".join(f"{key}={value}" for key, value in given_ones)
        asked.url = fuzzed.address + target.replace("?", "%3f").replace("#", "%23") + "?" + words.replace("#", "%23")
        with requests.Session() as browser:
            told = browser.send(asked, allow_redirects=False, timeout=30)
        assert told.status_code < 500, (told.text, asked.url)

    attempt()
