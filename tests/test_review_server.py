"""The server of `curate review`: what it tells to whom, what it refuses, and that nothing it acknowledged is lost.

The faults tried here are those that tools of this kind had, see docs/review.md.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import re
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from conftest import PICTURES, Curate, command, write
from curate.pipeline import clean
from curate.project import Project
from curate.review_app import security
from curate.review_app.doorkeeper import Rate
from curate.review_app.security import HEADERS, MOST_BODY_BYTES
from curate.review_log import first_broken_link, read_events, read_log
from curate.reviewing import _listening, store_key
from pictures import encoded, scene
from reviews import CHANGES, HOST, PORT, Site, answer, cats_and_dogs, copied, doubt, served

ERRORS = {"cats/0.jpg": "dogs", "cats/1.jpg": "dogs", "dogs/3.jpg": "cats"}
GETS = (
    "/api/session", "/api/next?queue=errors&tab=t", "/api/grid?given=cats&suggested=dogs&tab=t", "/api/pairs",
    "/api/history", "/api/progress", "/api/guideline?label=cats", "/api/team", "/api/answers.csv",
)  # fmt: skip
POSTS = ("/api/decisions", "/api/leases", "/api/guideline", "/api/issue")


@pytest.fixture(scope="module")
def curated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds photos/ (six pictures of cats and dogs, three of them doubted) and its store."""
    return cats_and_dogs(tmp_path_factory.mktemp("curated"), ERRORS)


@pytest.fixture
def project(curated: Path, tmp_path: Path) -> Project:
    """A copy of it for one test."""
    return copied(curated, tmp_path)


@pytest.fixture
def site(project: Project) -> Iterator[Site]:
    with served(project) as opened:
        yield opened


def first_item(browser: Any, count: int = 1) -> dict[str, Any]:
    items: list[dict[str, Any]] = browser.get(f"/api/next?queue=errors&tab=t&count={count}").json()["items"]
    return items[0]


@pytest.fixture(scope="module")
def still(curated: Path) -> Iterator[Site]:
    """A site for tests that change nothing, and ask as often as they like."""
    with ExitStack() as stack:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(security, "BURST", 1e9)
            patch.setattr(security, "GUESS_BURST", 1e9)
            patch.setattr(security, "STRANGER_BURST", 1e9)
            opened = stack.enter_context(served(Project.at(curated / "photos")))
        yield opened


# ---- What it tells


def test_the_session_tells_what_there_is_to_do(still: Site) -> None:
    told = still.person().get("/api/session").json()

    assert {name: told[name] for name in ("project", "version", "reviewer", "classes", "splits", "votes", "apply")} == {
        "project": "photos", "version": "v2", "reviewer": "ada", "classes": ["cats", "dogs"], "splits": [], "votes": 1,
        "apply": "curate apply photos",
    }  # fmt: skip
    assert told["queues"][0] == {"name": "errors", "title": "Likely label errors", "total": 3, "left": 3}


def test_a_whole_session_over_http(site: Site) -> None:
    ada = site.person()
    pair = ada.get("/api/pairs").json()["pairs"][0]
    tiles = ada.get("/api/grid", params={"given": "cats", "suggested": "dogs", "tab": "t"}).json()
    item = tiles["items"][0]
    sent = answer(item["id"], "relabel", label="dogs")
    receipt = ada.post("/api/decisions", json={"tab": "t", "decisions": [sent]}).json()
    undo = answer(item["id"], "undo", undoes=sent["id"])
    ada.post("/api/decisions", json={"tab": "t", "decisions": [undo]})

    assert pair == {"given": "cats", "suggested": "dogs", "left": 2}
    assert (len(tiles["items"]), tiles["left"], tiles["state"]) == (2, 2, "ready")
    assert (receipt["saved"], receipt["extra"], receipt["refused"]) == ([sent["id"]], [], [])
    assert (receipt["progress"]["found"], receipt["progress"]["by_queue"]["errors"]) == (1, 2)
    assert ada.get("/api/history").json()["events"][0]["undone"] is True
    assert ada.get(f"/api/item/{item['id']}").json()["path"] == item["path"]
    renewed = ada.post("/api/leases", json={"tab": "t", "items": [item["id"]]}).json()
    assert (renewed["held"], renewed["lost"]) == ([item["id"]], [])
    assert ada.get("/api/progress").json()["by_queue"]["errors"] == 3


def test_a_guideline_is_written_once_and_shown_safely(site: Site) -> None:
    ada, bob = site.person("ada"), site.person("bob")
    text = "# Cats\n<script>alert(1)</script> [x](javascript:alert(1)) ![](http://evil.example/x.png)"

    written = ada.post("/api/guideline", json={"label": "cats", "text": text, "version": ""})
    overwritten = bob.post("/api/guideline", json={"label": "cats", "text": "mine", "version": ""})
    shown = bob.get("/api/guideline?label=cats").json()

    assert (written.status_code, overwritten.status_code) == (200, 409)
    assert overwritten.json()["error"] == "ada has changed the guideline of 'cats' meanwhile."
    assert shown["author"] == "ada"
    assert "<h1>Cats</h1>" in shown["html"]
    # What is left of it is text.
    assert not re.search(r"<script|<img|href=\"javascript", shown["html"])
    assert bob.get("/api/guideline?label=cows").status_code == 404


# ---- Who may ask


def test_a_link_signs_in_once(site: Site) -> None:
    token = site.doorkeeper.new_link("ada")
    mine, theirs = site.stranger(), site.stranger()

    first = mine.get("/", params={"token": token})
    second = theirs.get("/", params={"token": token})

    assert (first.status_code, first.headers["location"]) == (303, "/")
    assert mine.get("/api/session").json()["reviewer"] == "ada"
    assert (second.status_code, "set-cookie" in second.headers) == (403, False)
    assert "This link was used already" in second.text
    assert site.new_links == ["ada"]


def test_opening_a_used_link_again_in_the_same_browser_opens_the_page(site: Site) -> None:
    token = site.doorkeeper.new_link("ada")
    browser = site.stranger()
    browser.get("/", params={"token": token})

    again = browser.get("/", params={"token": token})

    assert (again.status_code, again.headers["location"], site.new_links) == (303, "/", [])


def test_the_cookie_is_for_this_server_alone(site: Site) -> None:
    """Scripts can't read it, other sites can't send it; and browsers don't tell ports apart, so its name does."""
    done = site.stranger().get("/", params={"token": site.doorkeeper.new_link("ada")})

    assert re.fullmatch(rf"curate-{PORT}=[\w-]{{43}}; HttpOnly; Path=/; SameSite=strict", done.headers["set-cookie"])


def test_looking_at_a_links_head_does_not_use_it_up(site: Site) -> None:
    """Mail programs and chats do that."""
    token = site.doorkeeper.new_link("ada")
    site.stranger().head("/", params={"token": token})

    assert site.stranger().get("/", params={"token": token}).status_code == 303


def test_a_link_that_is_followed_from_elsewhere_works(site: Site) -> None:
    """Browsers send a strict cookie along a redirect only where our own page began it; so our own page goes on."""
    elsewhere = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}

    done = site.stranger().get("/", params={"token": site.doorkeeper.new_link("ada")}, headers=elsewhere)

    assert done.status_code == 200
    assert '<meta http-equiv="refresh" content="0;url=/">' in done.text
    assert "set-cookie" in done.headers


@pytest.mark.parametrize("token", ["", "x", "x" * 5_000, "\x00", "é", "%00", "../", "' OR 1=1 --"])
def test_a_made_up_link_opens_nothing(still: Site, token: str) -> None:
    done = still.stranger().get("/", params={"token": token})

    assert done.status_code in (401, 403)
    assert "set-cookie" not in done.headers
    assert token not in done.text or not token


@pytest.mark.parametrize("path", [*GETS, "/static/app.js", "/api/item/x", "/api/picture/x", "/nothing", "/favicon.ico"])
@pytest.mark.parametrize("cookie", ["", f"curate-{PORT}=made-up", f"curate-{PORT + 1}=x", "%00=;;=,"])
def test_nobody_is_told_anything_without_the_cookie(still: Site, path: str, cookie: str) -> None:
    done = still.stranger().get(path, headers={"Cookie": cookie})

    assert done.status_code == 401
    assert done.json() == {
        "error": "You are not signed in.",
        "hint": "Open the link that `curate review` printed last.",
    }


def test_the_page_tells_who_is_not_signed_in_what_to_do(still: Site) -> None:
    done = still.stranger().get("/")

    assert done.status_code == 401
    assert "Open the link that <code>curate review</code> printed last" in done.text


@pytest.mark.parametrize("path", POSTS)
def test_nobody_changes_anything_without_the_cookie(still: Site, path: str) -> None:
    assert still.stranger().post(path, json={}, headers=CHANGES).status_code == 401


OTHER_HOSTS = (
    "evil.example", f"evil.example:{PORT}", f"127.0.0.1.evil.example:{PORT}", "127.0.0.1", "localhost", "",
    "127.0.0.1:1", f"0.0.0.0:{PORT}", f"evil@127.0.0.1:{PORT}", f"127.0.0.1:{PORT}.evil.example", f"[::]:{PORT}",
    f"2130706433:{PORT}",
)  # fmt: skip


@pytest.mark.parametrize("host", OTHER_HOSTS)
def test_a_name_that_others_can_point_here_is_not_served(still: Site, host: str) -> None:
    """DNS rebinding: to the browser, the page of evil.example and this server are then one and the same."""
    browser = still.person()

    for path in ("/", "/api/session", f"/?token={still.doorkeeper.new_link('ada')}"):
        assert browser.get(path, headers={"Host": host}).status_code == 403


@pytest.mark.parametrize("host", [f"localhost:{PORT}", f"LOCALHOST:{PORT}", f"[::1]:{PORT}", HOST])
def test_the_names_of_this_machine_are_served(still: Site, host: str) -> None:
    assert still.person().get("/api/session", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": ""}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": f"https://{HOST}"}, 403),
        ({"Origin": "http://127.0.0.1:9999"}, 403),
        ({"Origin": f"http://localhost:{PORT}"}, 403),
        ({"Origin": f"http://{HOST}.evil.example"}, 403),
        ({"X-Curate": ""}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ({"Content-Type": "multipart/form-data; boundary=x"}, 415),
    ],
)
def test_another_page_changes_nothing(still: Site, path: str, headers: dict[str, str], status: int) -> None:
    """Cross-still request forgery: the browser would send the cookie along, and a form needs nobody's leave."""
    ada = still.person()
    body = json.dumps({"tab": "t", "decisions": [answer(first_item(ada)["id"])]})

    done = ada.post(path, content=body, headers={"Content-Type": "application/json"} | headers)

    assert done.status_code == status
    assert read_log(still.session.log) == []


@pytest.mark.parametrize("where", ["cross-site", "same-site"])
@pytest.mark.parametrize("path", [*GETS, "/static/app.js"])
def test_another_page_embeds_nothing(still: Site, path: str, where: str) -> None:
    """To a browser, a server on another port of this machine is the same still."""
    headers = {"Sec-Fetch-Site": where, "Sec-Fetch-Mode": "no-cors"}

    assert still.person().get(path, headers=headers).status_code == 403


def test_no_other_origin_is_allowed_anything(still: Site) -> None:
    ada = still.person()
    asked = {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}

    preflight = ada.options("/api/decisions", headers=asked)
    plain = ada.get("/api/session", headers={"Origin": "http://evil.example"})

    assert preflight.status_code == 405
    for done in (preflight, plain):
        assert not [name for name in done.headers if name.startswith("access-control")]


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "X"])
def test_other_methods_are_refused(still: Site, method: str) -> None:
    assert still.person().request(method, "/api/session").status_code == 405


def test_every_answer_carries_the_headers_that_keep_browsers_strict(still: Site) -> None:
    ada = still.person()
    answers = [
        ada.get("/"), ada.get("/api/session"), ada.get("/static/nothing.js"), ada.get("/api/next"),
        still.stranger().get("/"), still.stranger().get("/", headers={"Host": "evil.example"}), ada.get("/favicon.ico"),
        ada.get(f"/api/picture/{first_item(ada)['id']}"),
    ]  # fmt: skip

    assert [done.status_code for done in answers] == [200, 200, 404, 400, 401, 403, 204, 200]
    for done in answers:
        assert (
            HEADERS.items() <= dict(done.headers.items()).items()
            or {name: done.headers.get(name) for name in HEADERS} == HEADERS
        )
        assert "server" not in done.headers
    assert "unsafe" not in HEADERS["Content-Security-Policy"]
    assert HEADERS["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self'; style-src 'self'")


# ---- Who may do what


def test_an_answer_is_of_who_is_signed_in_whatever_it_says(site: Site) -> None:
    ada = site.person("ada")
    sent = answer(first_item(ada)["id"]) | {"reviewer": "bob", "round": "adjudication", "quota": 9, "sha256": "0" * 64}

    ada.post("/api/decisions", json={"tab": "t", "decisions": [sent]})

    (decision,) = read_log(site.session.log)
    assert (decision.reviewer, decision.round, decision.quota) == ("ada", "", 1)
    assert decision.sha256 != "0" * 64


def test_a_page_of_somebody_who_signed_in_before_saves_nothing_under_the_new_name(site: Site) -> None:
    """Two people at one browser: its cookie is the second one's."""
    bob = site.person("bob")

    done = bob.post("/api/decisions", json={"tab": "t", "reviewer": "ada", "decisions": [answer("a" * 32)]})

    assert (done.status_code, done.json()["error"]) == (
        409,
        "This browser is signed in as bob now; nothing was saved.",
    )


def test_nobody_reads_what_others_have_said(site: Site) -> None:
    ada, bob = site.person("ada"), site.person("bob")
    ada.post("/api/decisions", json={"tab": "t", "decisions": [answer(first_item(ada)["id"], note="secret")]})

    assert bob.get("/api/history?count=500").json() == {"events": []}
    assert bob.get("/api/history?count=500&reviewer=ada").json() == {"events": []}


def test_a_blind_vote_is_not_read_before_ones_own(project: Project) -> None:
    with served(project, votes=2) as site:
        ada, bob = site.person("ada"), site.person("bob")
        item = first_item(ada)["id"]
        ada.post("/api/decisions", json={"tab": "t", "decisions": [answer(item, "drop", note="secret")]})

        told = bob.get("/api/next?queue=errors&tab=u").text + bob.get(f"/api/item/{item}").text

        assert item in told
        assert "secret" not in told
        assert '"ada"' not in told


def test_a_blind_check_gives_nothing_away(project: Project) -> None:
    """Neither itself nor by its filters."""
    with served(project, target=0.5) as site:
        ada = site.person()
        told = ada.get("/api/next?queue=spot&tab=t&count=6").text

        assert not re.search("cats|dogs|jpg", told)
        for query in ("label=cats", "text=cats", "split=train", "check=blurry"):
            assert ada.get(f"/api/next?queue=spot&tab=t&{query}").status_code == 400


# ---- Pictures and files


def test_a_picture_is_drawn_anew_without_what_the_camera_wrote(photos: Path) -> None:
    """Upright, and without place, serial numbers, comments or what somebody has hidden behind its end."""
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010F] = "SECRET CAMERA"
    exif.get_ifd(0x8825)[1] = "N"
    hostile = encoded(scene(), "JPEG", exif=exif, comment=b"<script>alert(1)</script>") + b"<script>alert(2)</script>"
    write(photos / "cats" / "0.jpg", hostile)
    with served(doubt(photos, {"cats/0.jpg": "dogs"})) as site:
        ada = site.person()
        item = first_item(ada)
        done = ada.get(f"/api/picture/{item['id']}")

    drawn = Image.open(BytesIO(done.content))
    assert (done.headers["content-type"], done.headers["cache-control"]) == ("image/jpeg", "private, max-age=3600")
    assert (drawn.format, drawn.size, (item["width"], item["height"])) == ("JPEG", (64, 96), (64, 96))
    assert not drawn.getexif()
    assert not re.search(rb"SECRET|script|comment", done.content)


@pytest.mark.parametrize(("size", "longest"), [("screen", 1600), ("thumb", 256)])
def test_a_large_picture_is_made_smaller(photos: Path, size: str, longest: int) -> None:
    write(photos / "cats" / "0.jpg", encoded(scene(1_800, 600), "JPEG"))
    with served(doubt(photos, {"cats/0.jpg": "dogs"})) as site:
        ada = site.person()
        done = ada.get(f"/api/picture/{first_item(ada)['id']}?size={size}")

    assert Image.open(BytesIO(done.content)).size == (longest, round(longest / 3))


def gone(file: Path) -> None:
    file.unlink()


def changed(file: Path) -> None:
    file.write_bytes(PICTURES[9])


def changed_in_one_bit(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def a_terabyte(file: Path) -> None:
    os.truncate(file, 1 << 40)


def a_link_to_a_secret(file: Path) -> None:
    file.unlink()
    file.symlink_to("/etc/passwd")


def a_link_to_an_endless_file(file: Path) -> None:
    file.unlink()
    file.symlink_to("/dev/zero")


def a_hard_link(file: Path) -> None:
    file.unlink()
    os.link(file.parents[1] / "dogs" / "5.jpg", file)


def a_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def a_pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


@pytest.mark.parametrize(
    "change",
    [
        gone,
        changed,
        changed_in_one_bit,
        a_terabyte,
        a_link_to_a_secret,
        a_link_to_an_endless_file,
        a_hard_link,
        a_folder,
        a_pipe,
    ],
)
def test_nothing_but_the_very_picture_is_shown(site: Site, project: Project, change: Callable[[Path], None]) -> None:
    """Whatever lies under its name now: another file must neither be shown nor fill the memory."""
    ada = site.person()
    item = first_item(ada)
    file = project.folder / item["path"]
    for kept in project.objects.rglob("*"):
        kept.unlink() if kept.is_file() else None
    change(file)

    done = ada.get(f"/api/picture/{item['id']}")

    why = "Its file is gone." if change is gone else "Its file has changed since."
    assert (done.status_code, done.json()) == (404, {"error": "The picture can't be shown.", "hint": why})


def test_a_drawing_that_can_hold_scripts_is_never_shown(photos: Path) -> None:
    """SVG is no picture to curate: it is in no queue, and no name leads to it."""
    write(photos / "cats" / "evil.svg", b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>')
    write(photos / "cats" / "evil.jpg", b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>')
    with served(doubt(photos, ERRORS)) as site:
        assert not [path for path in site.session.catalogue.paths if "evil" in path]


WAYS_OUT = (
    "../server.py", "..%2fserver.py", "..%2f..%2f..%2f..%2fetc%2fpasswd", "%2e%2e%2fserver.py", "..%5cserver.py",
    "%2fetc%2fpasswd", "app.js%00.css", "app.js/", "APP.JS", "....//server.py", "file:%2f%2f%2fetc%2fpasswd",
    "%5c%5chost%5cshare", "~root", "", "%c0%ae%c0%ae%c0%af", "index.html%0d%0aX-Evil:1",
)  # fmt: skip


@pytest.mark.parametrize("name", WAYS_OUT)
@pytest.mark.parametrize("place", ["/static/", "/api/picture/", "/api/item/"])
def test_no_name_leads_out(still: Site, place: str, name: str) -> None:
    """Path traversal: files of the page are found by exact name, pictures by a name that is no path."""
    done = still.person().get(place + name)

    assert done.status_code == 404
    assert "X-Evil" not in done.headers
    assert b"root:" not in done.content


def test_a_picture_is_not_found_by_its_path(site: Site, project: Project) -> None:
    """Nor by what a query says beside a good name."""
    ada = site.person()
    item = first_item(ada)

    for name in (item["path"], str(project.folder / item["path"]), item["id"].upper(), item["id"] + "0"):
        assert ada.get(f"/api/picture/{name}").status_code == 404
    good = ada.get(f"/api/picture/{item['id']}?path=/etc/passwd&filepath=/etc/passwd")
    assert good.content == ada.get(f"/api/picture/{item['id']}").content
    assert ada.get(f"/api/picture/{item['id']}?size=huge").status_code == 404


def test_files_of_the_page_have_their_type_and_are_asked_for_anew(still: Site) -> None:
    ada = still.person()

    page, script = ada.get("/"), ada.get("/static/app.js")

    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert script.headers["content-type"] == "text/javascript; charset=utf-8"
    assert (page.headers["cache-control"], script.headers["cache-control"]) == ("no-cache", "no-cache")
    assert not re.search(r"<script(?![^>]* src=)|<style| style=| on\w+=|https?://", page.text)


def test_files_of_the_page_are_packed_and_sent_once(still: Site) -> None:
    """Answers to questions are never packed: with secrets in them, their size would tell something."""
    ada = still.person()
    plain = ada.get("/static/app.css", headers={"Accept-Encoding": "identity"})
    packed = ada.get("/static/app.css", headers={"Accept-Encoding": "gzip"})
    again = ada.get("/static/app.css", headers={"If-None-Match": packed.headers["etag"]})

    assert "content-encoding" not in plain.headers
    assert (packed.headers["content-encoding"], packed.text) == ("gzip", plain.text)
    assert int(packed.headers["content-length"]) < int(plain.headers["content-length"]) / 2
    assert (again.status_code, again.content) == (304, b"")
    assert "content-encoding" not in ada.get("/api/session", headers={"Accept-Encoding": "gzip"}).headers


def test_names_of_classes_and_files_are_data_and_nothing_else(tmp_path: Path) -> None:
    """What users wrote travels as JSON, never as a part of a page."""
    name = '<img src=x onerror="alert(1)">'
    for number in range(4):
        write(tmp_path / "photos" / (name if number < 2 else "dogs") / f"{number}.jpg", PICTURES[number])
    with served(doubt(tmp_path / "photos", {f"{name}/0.jpg": "dogs"})) as site:
        ada = site.person()
        for path in ("/api/session", "/api/next?queue=errors&tab=t", f"/api/next?queue={name}", f"/api/item/{name}"):
            done = ada.get(path)
            assert done.headers["content-type"] == "application/json"
            assert done.headers["x-content-type-options"] == "nosniff"
        assert name not in ada.get("/").text
        assert name not in site.stranger().get(f"/?token={name}").text
        assert ada.get("/api/session").json()["classes"] == [name, "dogs"]


# ---- Too much, and nonsense


def test_a_request_that_is_too_large_is_not_read(site: Site) -> None:
    body = b'{"tab": "t", "decisions": ["' + b"x" * MOST_BODY_BYTES + b'"]}'
    headers = {"Content-Type": "application/json"}
    ada = site.person()

    said_so = ada.post("/api/decisions", content=body, headers=headers)
    said_nothing = ada.post("/api/decisions", content=iter([body[:1000], body[1000:]]), headers=headers)
    lied = ada.post("/api/decisions", content=iter([body]), headers=headers | {"Content-Length": "-1"})

    assert [done.status_code for done in (said_so, said_nothing, lied)] == [413, 413, 413]


def test_too_many_answers_at_once_are_refused_whole(site: Site) -> None:
    ada = site.person()
    item = first_item(ada)["id"]

    done = ada.post("/api/decisions", json={"tab": "t", "decisions": [answer(item) for _ in range(201)]})

    assert done.status_code == 413
    assert read_log(site.session.log) == []


@pytest.mark.parametrize("count", ["0", "-1", "49", "1e1", "٣", "x", "", "9" * 400, "4;--", "0x4", " 4"])
def test_a_page_has_its_limits(still: Site, count: str) -> None:
    done = still.person().get("/api/next", params={"queue": "errors", "tab": "t", "count": count})

    assert (done.status_code, "expected a number from 1 to 48" in done.json()["error"]) == (400, True)


def test_too_many_requests_of_one_person_are_put_off_and_those_of_others_are_not(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(security, "REQUESTS_PER_S", 0.001)
    monkeypatch.setattr(security, "BURST", 3.0)
    with served(project) as site:
        ada, bob = site.person("ada"), site.person("bob")

        statuses = [ada.get("/api/session").status_code for _ in range(4)]
        refused = ada.get("/api/session")

        assert (statuses, refused.headers["retry-after"]) == ([200, 200, 200, 429], "1")
        assert bob.get("/api/session").status_code == 200


def test_nobody_guesses_links(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(security, "GUESSES_PER_S", 0.001)
    with served(project) as site:
        statuses = [site.stranger().get(f"/?token={number}").status_code for number in range(25)]

        assert statuses == [403] * 20 + [429] * 5


def test_a_rate_lets_so_many_through_at_once_and_so_many_in_a_second() -> None:
    now = [0.0]
    rate = Rate(2.0, 3.0, lambda: now[0])

    at_once = [rate.take("ada") for _ in range(4)]
    now[0] = 1.0
    later = [rate.take("ada") for _ in range(3)]

    assert at_once == [True, True, True, False]
    assert later == [True, True, False]


BODIES = (
    b"", b"{", b"[]", b"null", b"7", b'"x"', b"\xff\xfe", b"[" * 100_000, b'{"a":' * 20_000, b'{"tab": "t"}',
    b'{"tab": "t", "decisions": {}}', b'{"tab": 7, "decisions": []}', b'{"tab": "../..", "decisions": []}',
    b'{"tab": "t", "items": [7]}', b'{"tab": "t", "items": "x"}', b'{"label": 7}', b'{"label": "cats", "text": 7}',
    b'{"label": "cats", "text": "\\ud800", "version": ""}', b'{"label": "cats", "text": "\\u0000", "version": ""}',
    b'{"label": "cats", "text": "x", "version": {}}', b'{"label": ["cats"], "text": "x"}', b'{"reviewer": []}',
)  # fmt: skip


@pytest.mark.parametrize("path", POSTS)
def test_a_body_that_makes_no_sense_is_refused(still: Site, path: str) -> None:
    ada = still.person()

    for body in BODIES:
        done = ada.post(path, content=body, headers={"Content-Type": "application/json"})
        assert done.status_code in (400, 404, 409), body[:60]
        assert set(done.json()) == {"error", "hint"}


@pytest.mark.parametrize("seed", range(3))
def test_no_request_makes_the_server_fail(site: Site, seed: int) -> None:
    """Random requests out of what breaks servers; an exception would end this test."""
    rng, ada = random.Random(seed), site.person()
    item = first_item(ada, 3)["id"]
    words = ["", "t", "errors", "spot", "duplicates", item, "0" * 32, "\x00", "\ud7ff", "é" * 300, "-1", "NaN", "[]",
             "{}", "' OR 1=1 --", "../..", "%00", "__class__", "1" * 30, "null", "true", "cats"]  # fmt: skip
    values: list[Any] = [*words, None, 0, -1, 1e308, True, [], {}, [[]], {"$ne": 1}, ["cats", "dogs"], 2**70]
    names = ["queue", "tab", "count", "label", "check", "split", "text", "not", "given", "suggested", "size"]
    for _ in range(150):
        if rng.random() < 0.5:
            path = rng.choice([*(one.partition("?")[0] for one in GETS), f"/api/item/{item}", f"/api/picture/{item}"])
            done = ada.get(path, params={name: rng.choice(words) for name in rng.sample(names, 4)})
        else:
            said: dict[str, Any] = answer(item) | {
                name: rng.choice(values)
                for name in rng.sample(["id", "item", "answer", "label", "labels", "note", "undoes", "seconds"], 2)
            }
            body = {"tab": "t", "decisions": [said, rng.choice(values)], "items": [item], "label": "cats", "text": "x"}
            body |= {name: rng.choice(values) for name in rng.sample(sorted(body), rng.randrange(3))}
            done = ada.post(rng.choice(POSTS), json=body)
        assert done.status_code < 500


# ---- As a process


@contextmanager
def running(
    folder: Path, environment: dict[str, str], *options: str, before: Sequence[str] = ()
) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """`curate review` as people start it, and the links it prints."""
    people = max(1, options.count("--by"))
    line = [*before, *command("review", folder, "--no-browser", *options)]
    with subprocess.Popen(line, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as server:
        try:
            links: list[str] = []
            printed = ""
            while len(links) < people:
                assert server.stdout is not None
                text = server.stdout.readline()
                assert text, printed
                printed += text
                links += re.findall(r"http://\S+token=\S+", text)
            yield server, links
        finally:
            server.kill()


class Browser:
    """A browser on a real connection."""

    def __init__(self, link: str) -> None:
        found = re.fullmatch(r"http://(\[?[^/]+):(\d+)/(\?token=.+)", link)
        assert found is not None
        self.host, self.port = found[1].strip("[]"), int(found[2])
        self.headers = {"Origin": f"http://{found[1]}:{found[2]}", "X-Curate": "1", "Content-Type": "application/json"}
        _, headers = self.ask("GET", "/" + found[3])
        self.headers["Cookie"] = headers["set-cookie"].partition(";")[0]

    def ask(self, method: str, path: str, body: object = None) -> tuple[Any, Any]:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=30)
        try:
            connection.request(method, path, json.dumps(body) if body is not None else None, self.headers)
            response = connection.getresponse()
            text = response.read()
            return (json.loads(text) if text.startswith(b"{") else text), response.headers
        finally:
            connection.close()


def answer_until_killed(browser: Browser, tab: str, sent: list[dict[str, Any]], acknowledged: set[str]) -> None:
    try:
        while items := browser.ask("GET", f"/api/next?queue=errors&tab={tab}&count=6")[0]["items"]:
            for item in items:
                sent.append(answer(item["id"]))
                receipt, _ = browser.ask("POST", "/api/decisions", {"tab": tab, "decisions": sent[-1:]})
                acknowledged |= set(receipt["saved"])
    except (OSError, http.client.HTTPException, KeyError, ValueError):
        return


@pytest.mark.slow
def test_a_kill_at_any_moment_loses_no_acknowledged_answer(tmp_path: Path, environment: dict[str, str]) -> None:
    """Three people answer, the server is killed with kill -9 and started again, five times over.

    What the page has in its journal it sends again, acknowledged or not; every answer is in the log, once.
    """
    names = [f"cats/{number:03}.jpg" for number in range(120)]
    for number, name in enumerate([*names, "dogs/1.jpg", "dogs/2.jpg"]):
        write(tmp_path / "photos" / name, encoded(Image.effect_noise((48, 48), 40 + number / 2), "PNG"))
    project = doubt(tmp_path / "photos", dict.fromkeys(names, "dogs"))
    sent: dict[str, list[dict[str, Any]]] = {"ada": [], "bob": [], "cy": []}
    acknowledged: set[str] = set()
    by = [word for name in sent for word in ("--by", name)]
    rng = random.Random(7)
    ports = set()
    for life in range(6):
        with running(project.directory, environment, *by) as (server, links):
            browsers = [Browser(link) for link in links]
            ports |= {browser.port for browser in browsers}
            for (name, journal), browser in zip(sent.items(), browsers, strict=True):
                for start in range(0, len(journal), 100):
                    body = {"tab": name, "decisions": journal[start : start + 100]}
                    acknowledged |= set(browser.ask("POST", "/api/decisions", body)[0]["saved"])
            people = [
                threading.Thread(target=answer_until_killed, args=(browser, f"{name}{life}", journal, acknowledged))
                for (name, journal), browser in zip(sent.items(), browsers, strict=True)
            ]
            for person in people[: 3 * (life < 5)]:
                person.start()
            time.sleep(rng.uniform(0.05, 0.8))
            server.send_signal(signal.SIGKILL)
            for person in people[: 3 * (life < 5)]:
                person.join()

    events = read_events(project.review_log)
    written = [event.decision.id for event in events]
    assert len(written) == len(set(written))
    assert acknowledged
    assert acknowledged <= set(written)
    assert set(written) == {one["id"] for journal in sent.values() for one in journal}
    assert first_broken_link(events) is None
    assert len(ports) == 1  # the journal of a browser belongs to an address


def test_a_full_disk_is_said_and_nothing_acknowledged_is_lost(project: Project, environment: dict[str, str]) -> None:
    """No file may grow beyond 512 kB, and each request has notes of 200 kB."""
    acknowledged: set[str] = set()
    limited = ["sh", "-c", 'ulimit -f 1000; exec "$@"', "sh"]
    with running(project.directory, environment, before=limited) as (_, (link,)):
        browser = Browser(link)
        item = browser.ask("GET", "/api/next?queue=errors&tab=t")[0]["items"][0]["id"]
        for _ in range(10):
            said = [answer(item, note="x" * 2_000) for _ in range(100)]
            told, headers = browser.ask("POST", "/api/decisions", {"tab": "t", "decisions": said})
            if "error" in told:
                break
            acknowledged |= set(told["saved"])
        session = browser.ask("GET", "/api/session")[0]

    assert "can't be read or written" in told["error"]
    assert "Free some space" in told["hint"]
    assert headers["retry-after"] == "5"
    assert session["reviewer"] == "ada"
    assert acknowledged
    assert acknowledged == {one.id for one in read_log(project.review_log)}


def test_the_end_tells_how_many_decisions_were_made_and_how_to_apply_them(
    project: Project, environment: dict[str, str]
) -> None:
    with running(project.directory, environment) as (server, (link,)):
        browser = Browser(link)
        item = browser.ask("GET", "/api/next?queue=errors&tab=t")[0]["items"][0]
        browser.ask("POST", "/api/decisions", {"tab": "t", "decisions": [answer(item["id"], "relabel", label="dogs")]})
        server.send_signal(signal.SIGINT)
        assert server.stdout is not None
        said = server.stdout.read()

        assert server.wait(20) == 0
    assert "The session has ended; 1 decision was made." in said
    assert "  review: 1 wrong label found, 2 flags left\n" in said
    assert re.search(r"make a version +curate apply ", said)
    assert re.search(r"how many are left\? +curate review .* --spot", said)


def test_at_the_end_the_decisions_can_be_applied(project: Project, environment: dict[str, str], curate: Curate) -> None:
    with running(project.directory, environment, "--apply") as (server, (link,)):
        browser = Browser(link)
        item = browser.ask("GET", "/api/next?queue=errors&tab=t")[0]["items"][0]
        browser.ask("POST", "/api/decisions", {"tab": "t", "decisions": [answer(item["id"], "relabel", label="dogs")]})
        server.send_signal(signal.SIGINT)
        assert server.stdout is not None
        said = server.stdout.read()

    assert "Frozen as v3" in said
    table = curate("table", project.folder, "--format", "json").json
    assert [row["final_label"] for row in table if row["path"] == item["path"]] == ["dogs"]


def test_a_used_link_that_is_opened_again_makes_another_one(project: Project, environment: dict[str, str]) -> None:
    """Who opened it first was another program, or the other browser."""
    with running(project.directory, environment, "--by", "ada", "--by", "bob") as (server, links):
        for _ in range(2):
            connection = http.client.HTTPConnection("127.0.0.1", int(links[1].split(":")[2].split("/")[0]))
            connection.request("GET", links[1][links[1].index("/?") :])
            connection.getresponse().read()
            connection.close()
        assert server.stdout is not None
        while "token=" not in (line := server.stdout.readline()):
            pass

        assert Browser(line.strip()).ask("GET", "/api/session")[0]["reviewer"] == "bob"


def test_a_session_comes_back_at_the_same_address_unless_it_is_taken(
    project: Project, environment: dict[str, str]
) -> None:
    folder = project.directory
    with running(folder, environment) as (_, (first,)), running(folder, environment) as (_, (other,)):
        pass
    with running(project.directory, environment, "--port", "0") as (_, (again,)):
        pass

    ports = [link.split("/?")[0] for link in (first, other, again)]
    assert ports[0] != ports[1]
    assert ports[2] == ports[1]


def test_the_page_is_opened_in_the_browser(project: Project, environment: dict[str, str], tmp_path: Path) -> None:
    opened = tmp_path / "opened.txt"
    program = tmp_path / "browser"
    program.write_text(f'#!/bin/sh\nprintf %s "$1" > {opened}.new && mv {opened}.new {opened}\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    line = command("review", project.directory)
    with subprocess.Popen(
        line, env=environment | {"BROWSER": str(program)}, stdout=subprocess.PIPE, text=True
    ) as server:
        while not opened.exists():
            assert server.poll() is None
            time.sleep(0.05)
        server.send_signal(signal.SIGINT)
        said, _ = server.communicate()

    assert opened.read_text() in said


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a machine has no second address of its own")
def test_only_this_machine_is_served(project: Project, environment: dict[str, str]) -> None:
    with running(project.directory, environment) as (_, (link,)):
        port = int(link.split(":")[2].split("/")[0])
        with socket.socket() as other:
            other.bind(("127.0.0.2", port))  # taken, if the server listened on every address


def test_addresses_that_no_browser_sends_lead_nowhere(project: Project, environment: dict[str, str]) -> None:
    """Over a real connection, as browsers and test clients tidy up such paths."""
    with running(project.directory, environment) as (_, (link,)):
        browser = Browser(link)
        for path in ("/static/../server.py", "/static/../../../../../etc/passwd", "//etc/passwd", "/../etc/passwd"):
            assert browser.ask("GET", path)[0] in (
                {"error": "Not Found", "hint": ""},
                b"Invalid HTTP request received.",
            )


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.com", "127.0.0.1.evil.example"])
def test_other_machines_are_not_served_without_passwords(project: Project, curate: Curate, host: str) -> None:
    done = curate("review", project.folder, "--no-browser", "--host", host)

    assert done.code == 2
    assert done.err == (
        f"Error: With --host {host} other machines can reach the review, so everybody signs in with a password; "
        f"nobody has one.\nHint: Run: curate reviewers add {project.folder} NAME --role lead\n"
    )


@pytest.mark.parametrize("name", ["", " ", "a;b", "a\nb", "\x1b[31mred", "blurry", "x" * 101])
def test_what_can_not_be_a_name_is_refused(project: Project, curate: Curate, name: str) -> None:
    """A line break forges entries of lists, an escape sequence rules the terminal, a check's name misleads."""
    done = curate("review", project.folder, "--no-browser", "--by", name)

    assert (done.code, "can't be the name of a reviewer" in done.err) == (2, True)
    assert "\x1b" not in done.err


def test_small_answers_are_sent_at_once(project: Project) -> None:
    """asyncio lets a connection wait for more to send, 40 ms each time, unless its socket is of TCP by name."""
    with _listening("127.0.0.1", 0, project) as listener:
        assert listener.proto == socket.IPPROTO_TCP


def test_a_port_that_is_taken_is_named(project: Project, curate: Curate) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        done = curate("review", project.folder, "--no-browser", "--port", str(port))

    assert (done.code, f"The port {port} of 127.0.0.1 can't be used" in done.err) == (2, True)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--target", "1"], "The target is 1.0, expected a share between 0 and 1."),
        (["--target", "nan"], "The target is nan, expected a share between 0 and 1."),
        (["--queue", "all"], "There is no queue 'all'."),
    ],
)
def test_options_that_make_no_sense_are_refused(
    project: Project, curate: Curate, options: list[str], said: str
) -> None:
    done = curate("review", project.folder, "--no-browser", *options)

    assert (done.code, said in done.err) == (2, True)


def test_a_folder_that_was_not_curated_says_what_to_run(photos: Path, curate: Curate) -> None:
    done = curate("review", photos, "--no-browser")

    assert (done.code, "curate clean" in done.err) == (3, True)


def test_without_opinions_it_says_what_to_run_and_serves_the_rest(photos: Path, environment: dict[str, str]) -> None:
    clean(photos, workers=1)
    line = command("review", photos, "--no-browser")
    with subprocess.Popen(line, env=environment, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        said = ""
        while "token=" not in said:
            said += server.stdout.readline()
        browser = Browser(re.findall(r"http://\S+", said)[0])
        queues = browser.ask("GET", "/api/session")[0]["queues"]
        spot = browser.ask("GET", "/api/next?queue=spot&tab=t")[0]
        server.kill()

    assert re.search(r"To find likely label errors, run: curate flag ", said)
    names = ["errors", "prelabels", "doubts", "duplicates", "spot", "adjudication", "flagged"]
    assert [queue["name"] for queue in queues] == names
    assert len(spot["items"]) == 4


def test_no_picture_is_opened_before_it_is_shown(project: Project) -> None:
    """A session starts at once however many there are, and also while the disk with the pictures is away."""
    for file in [*project.directory.rglob("*.jpg"), *(one for one in project.objects.rglob("*") if one.is_file())]:
        file.unlink()

    with served(project) as site:
        assert first_item(site.person())["path"] == "cats/0.jpg"


def test_names_of_pictures_are_secret_and_the_same_in_every_session(project: Project) -> None:
    key = store_key(project)

    assert (len(key), key) == (32, store_key(project))
    assert stat.S_IMODE((project.store / "review.key").stat().st_mode) == 0o600


# ---- Apply


def decided(project: Project, curate: Curate, *arguments: str) -> None:
    assert curate("decide", project.folder, *arguments).code == 0


def test_apply_makes_a_version_with_what_was_decided_and_nothing_else(project: Project, curate: Curate) -> None:
    decided(project, curate, "cats/0.jpg", "--label", "dogs")
    decided(project, curate, "cats/1.jpg", "--keep")

    done = curate("apply", project.folder, "--json")

    nothing = {"relabelled": [], "dropped": [], "kept": [], "unsettled": [], "total": 0}
    told = {"version": "v3", "is_new": True, "decided": 2, "changed": 1, "overruled": nothing, "stale": []}
    assert (done.code, done.json) == (0, told)
    changes = curate("diff", project.folder, "v2", "v3", "--json").json["changes"]
    assert [(one["path"], one["change"], one["before"], one["after"]) for one in changes] == [
        ("cats/0.jpg", "relabelled", "cats", "dogs")
    ]


def test_apply_goes_by_the_settings_of_the_version(photos: Path, curate: Curate) -> None:
    """Who cleaned with a setting of their own must not lose it."""
    curate("clean", photos, "--set", "checks.odd_size.action=drop", "--workers", "1")
    before = curate("show", photos, "--json").json["settings"]
    curate("decide", photos, "cats/0.jpg", "--drop")

    curate("apply", photos)

    assert curate("show", photos, "--json").json["settings"] == before


def test_apply_names_decisions_whose_picture_has_changed(project: Project, curate: Curate) -> None:
    decided(project, curate, "cats/0.jpg", "--label", "dogs")
    write(project.directory / "cats" / "0.jpg", PICTURES[9])

    done = curate("apply", project.folder)

    assert "Not applied, as the picture is gone or has changed since: 1" in done.out
    assert re.search(r"cats/0.jpg +relabel +dogs +ada", done.out)


def test_apply_without_decisions_changes_nothing(project: Project, curate: Curate) -> None:
    assert "Nothing changed since v2" in curate("apply", project.folder).out


def test_a_dry_run_of_apply_makes_no_version(project: Project, curate: Curate) -> None:
    decided(project, curate, "cats/0.jpg", "--label", "dogs")

    done = curate("apply", project.folder, "--dry-run")

    assert "1 decided picture, 1 changed since v2" in done.out
    assert curate("apply", project.folder, "--json").json["version"] == "v3"


def test_no_error_is_remembered(project: Project, curate: Curate) -> None:
    """What a person has kept is not asked about again, whatever models say of it later."""
    decided(project, curate, "cats/0.jpg", "--keep")
    curate("apply", project.folder)

    with served(project) as site:
        ada = site.person()
        items = ada.get("/api/next?queue=errors&tab=t&count=10").json()["items"]

    assert sorted(item["path"] for item in items) == ["cats/1.jpg", "dogs/3.jpg"]


def test_ids_of_the_page_are_ids_of_the_log(site: Site) -> None:
    ada = site.person()
    sent = answer(first_item(ada)["id"], id=uuid.uuid4().hex)

    ada.post("/api/decisions", json={"tab": "t", "decisions": [sent]})

    assert [one.id for one in read_log(site.session.log)] == [sent["id"]]
