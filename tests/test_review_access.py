"""Who can reach a review: people with passwords, their roles, other machines, proxies. Each fault is tried."""

from __future__ import annotations

import json
import re
import signal
import ssl
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import argon2
import pytest
from starlette.testclient import TestClient

from conftest import Curate, command
from curate.errors import SettingsError
from curate.project import Project
from curate.review_app import doorkeeper
from curate.review_app.address import Address, client_of, origin_of
from curate.review_app.doorkeeper import IDLE_S, Doorkeeper, TooManyTries
from curate.review_log import read_log
from curate.reviewers import add_reviewer, change_password, remove_reviewer, reviewers
from curate.reviewing import lead_of
from reviews import CHANGES, HOST, PORT, Site, answer, cats_and_dogs, copied, served

PASSWORD = "correct horse battery staple"
OPEN = Address(PORT, "0.0.0.0")
BEHIND_PROXY = Address(PORT, public_url="https://labels.example")
ERRORS = {"cats/0.jpg": "dogs", "cats/1.jpg": "dogs", "dogs/3.jpg": "cats"}


@pytest.fixture(scope="module")
def curated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds photos/ and its store; ada leads, bob reviews."""
    place = cats_and_dogs(tmp_path_factory.mktemp("curated"), ERRORS)
    add_reviewer(place / "photos", "ada", PASSWORD, role="lead")
    add_reviewer(place / "photos", "bob", PASSWORD)
    return place


@pytest.fixture
def project(curated: Path, tmp_path: Path) -> Project:
    """A copy of it for one test."""
    return copied(curated, tmp_path)


@pytest.fixture
def site(project: Project) -> Iterator[Site]:
    """Served to other machines."""
    with served(project, OPEN) as opened:
        yield opened


def signed_in(site: Site, name: str, password: str = PASSWORD) -> TestClient:
    """A browser whose every request carries what the page sends along."""
    browser = site.stranger()
    browser.headers |= CHANGES
    assert sign_in(browser, name, password).status_code == 200
    return browser


def sign_in(browser: TestClient, name: object = "ada", password: object = PASSWORD, **headers: str) -> Any:
    return browser.post("/api/sign-in", json={"name": name, "password": password}, headers={**CHANGES, **headers})


# ---- Accounts


def test_a_password_is_kept_as_an_argon2_hash_alone(project: Project) -> None:
    kept = {account.name: account for account in reviewers(project.directory)}

    assert kept["ada"].password.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert kept["ada"].password != kept["bob"].password
    assert "argon2" not in repr(kept["ada"])
    assert not [file for file in project.store.rglob("*") if file.is_file() and PASSWORD.encode() in file.read_bytes()]


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("elevenchars", "has 11 characters, expected 12 to 1,000"),
        ("x" * 1_001, "has 1,001 characters"),
        ("aaaaaaaaaaaaaaaa", "soon guessed"),
        ("Christopher Wren", "soon guessed"),
    ],
)
def test_a_password_that_is_soon_guessed_is_refused(project: Project, password: str, why: str) -> None:
    with pytest.raises(SettingsError, match=why) as told:
        add_reviewer(project.directory, "christopher wren", password)

    assert password not in str(told.value)


def test_a_name_is_given_once(project: Project) -> None:
    with pytest.raises(SettingsError, match="There is a reviewer 'ada' already"):
        add_reviewer(project.directory, "ada", "another password, long")


@pytest.mark.parametrize("change", [lambda folder: remove_reviewer(folder, "eve"),
                                    lambda folder: change_password(folder, "eve", PASSWORD)])  # fmt: skip
def test_who_is_not_there_is_told_with_those_who_are(project: Project, change: Any) -> None:
    with pytest.raises(SettingsError, match="There is no reviewer 'eve'") as told:
        change(project.folder)

    assert told.value.hint == "There are: ada, bob."


@pytest.mark.parametrize("name", ["", " ", "a;b", "a\nb", "\x1b[31mred", "blurry", "x" * 101])
def test_what_can_not_be_a_name_is_refused(project: Project, curate: Curate, name: str) -> None:
    done = curate("reviewers", "add", project.folder, name)

    assert (done.code, "can't be the name of a reviewer" in done.err) == (2, True)


def test_the_command_asks_twice_for_a_password_and_never_shows_it(project: Project, process: Curate) -> None:
    added = process("reviewers", "add", project.folder, "cy", "--role", "lead", input=f"{PASSWORD}\n{PASSWORD}\n")
    differing = process("reviewers", "password", project.folder, "cy", input=f"{PASSWORD}\nsomething else at all\n")
    listed = process("reviewers", "list", project.folder)
    removed = process("reviewers", "remove", project.folder, "cy")

    assert (added.code, added.out.splitlines()[-1]) == (0, "cy may sign in, as a lead.")
    assert differing.code != 0
    assert re.findall(r"\w+ +(?:lead|reviewer)", listed.out) == ["ada  lead", "bob  reviewer", "cy   lead"]
    assert removed.out == "cy may sign in no more.\n"
    for done in (added, differing, listed, removed):
        assert PASSWORD not in done.out + done.err


# ---- Signing in


def test_a_name_and_its_password_sign_in(site: Site) -> None:
    told = signed_in(site, "bob").get("/api/session").json()

    assert (told["reviewer"], told["role"], told["password"]) == ("bob", "reviewer", True)


def test_the_page_for_signing_in_is_all_that_a_stranger_gets(site: Site) -> None:
    stranger = site.stranger()
    page = stranger.get("/")

    assert (page.status_code, '<form id="sign-in" method="post"' in page.text) == (401, True)
    assert "link" not in page.text.partition("<body>")[2]  # other machines get none
    assert "photos" not in page.text
    assert stranger.get("/static/sign-in.js").status_code == 200
    for path in ("/static/app.js", "/static/index.html", "/api/session", "/api/picture/x", "/static/sign-in.html"):
        refused = stranger.get(path)
        assert (refused.status_code, refused.json()["hint"]) == (401, "Sign in again.")


@pytest.mark.parametrize(
    ("name", "password"),
    [("bob", "not the password"), ("eve", PASSWORD), ("BOB", PASSWORD), ("", PASSWORD), ("bob", ""), ("x" * 5_000, "y"),
     ("bob\x00", PASSWORD), ("bob'--", PASSWORD), ("bob", PASSWORD + " "), ("bob", "x" * 100_000)],
)  # fmt: skip
def test_what_does_not_fit_is_refused_without_saying_which(site: Site, name: str, password: str) -> None:
    done = sign_in(site.stranger(), name, password)

    assert done.status_code == 401
    assert "set-cookie" not in done.headers
    assert done.json() == {
        "error": "That name and that password don't fit.",
        "hint": "Whoever leads the review can set another one.",
    }


def test_a_name_that_nobody_has_costs_as_much_work(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or the time would tell who has an account: each is a whole verification of a hash of the same cost."""
    costs: list[str] = []
    real = argon2.PasswordHasher.verify

    def verify(self: argon2.PasswordHasher, hashed: str, password: str) -> Any:
        costs.append(hashed[: hashed.index("p=4$")])
        return real(self, hashed, password)

    monkeypatch.setattr(argon2.PasswordHasher, "verify", verify)
    for name in ("bob", "eve"):
        sign_in(site.stranger(), name, "not the password")

    assert costs == ["$argon2id$v=19$m=65536,t=3,"] * 2


@pytest.mark.parametrize(
    "body",
    [
        [],
        {},
        {"name": "bob"},
        {"name": 1, "password": PASSWORD},
        {"name": "bob", "password": [PASSWORD]},
        {"name": "bob", "password": "\ud800"},  # half a character, which JSON can hold and UTF-8 can't
        {"name": "\udfff", "password": PASSWORD},
    ],
)
def test_what_is_no_name_and_password_is_refused(site: Site, body: object) -> None:
    headers = {**CHANGES, "Content-Type": "application/json"}

    assert site.stranger().post("/api/sign-in", content=json.dumps(body), headers=headers).status_code == 400


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": ""}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"X-Curate": ""}, 403),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ({"Content-Length": "9999999"}, 413),
    ],
)
def test_another_page_signs_nobody_in(site: Site, headers: dict[str, str], status: int) -> None:
    """It could let people answer under a name of its own."""
    done = sign_in(site.stranger(), "bob", **headers)

    assert (done.status_code, "set-cookie" in done.headers) == (status, False)


def test_the_cookie_is_for_this_server_alone(site: Site) -> None:
    done = sign_in(site.stranger(), "bob")

    assert re.fullmatch(rf"curate-{PORT}=[\w-]{{43}}; HttpOnly; Path=/; SameSite=strict", done.headers["set-cookie"])


def test_a_cookie_that_somebody_planted_is_worth_nothing(site: Site) -> None:
    """Session fixation: whoever plants it would be signed in as who signs in with it."""
    browser = site.stranger()
    browser.cookies.set(f"curate-{PORT}", "planted")
    mine = sign_in(browser, "bob").headers["set-cookie"]
    thief = site.stranger()
    thief.cookies.set(f"curate-{PORT}", "planted")

    assert "planted" not in mine
    assert thief.get("/api/session").status_code == 401


def test_signing_in_ends_what_the_browser_was_signed_in_to(site: Site) -> None:
    browser = signed_in(site, "bob")
    before = browser.cookies[f"curate-{PORT}"]
    sign_in(browser, "ada")
    thief = site.stranger()
    thief.cookies.set(f"curate-{PORT}", before)

    assert browser.get("/api/session").json()["reviewer"] == "ada"
    assert thief.get("/api/session").status_code == 401


def test_signing_out_ends_the_session_on_the_server(site: Site) -> None:
    browser = signed_in(site, "bob")
    cookie = browser.cookies[f"curate-{PORT}"]
    done = browser.post("/api/sign-out", json={})
    thief = site.stranger()
    thief.cookies.set(f"curate-{PORT}", cookie)

    assert (done.status_code, "Max-Age=0" in done.headers["set-cookie"]) == (200, True)
    assert thief.get("/api/session").status_code == 401


def test_another_page_signs_nobody_out(site: Site) -> None:
    browser = signed_in(site, "bob")

    assert browser.post("/api/sign-out", json={}, headers={"Origin": "http://evil.example"}).status_code == 403
    assert browser.get("/api/session").status_code == 200


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: remove_reviewer(folder, "bob"),
        lambda folder: change_password(folder, "bob", "quite another password"),
    ],
)
def test_without_the_account_or_with_another_password_sessions_end(
    project: Project, monkeypatch: pytest.MonkeyPatch, change: Any
) -> None:
    monkeypatch.setattr(doorkeeper, "FRESH_S", 0.0)
    with served(project, OPEN) as site:
        bob, ada = signed_in(site, "bob"), signed_in(site, "ada")
        link = site.stranger()
        link.get("/", params={"token": site.doorkeeper.new_link("bob")})
        late = site.doorkeeper.new_link("bob")
        assert link.get("/api/session").status_code == 200

        change(project.folder)

        assert [one.get("/api/session").status_code for one in (bob, link, ada)] == [401, 401, 200]
        stranger = site.stranger()
        stranger.get("/", params={"token": late})
        assert stranger.get("/api/session").status_code == 401
        assert sign_in(site.stranger(), "bob").status_code == 401


def test_who_was_away_for_a_night_signs_in_again() -> None:
    now = [0.0]
    keeper = Doorkeeper(clock=lambda: now[0])
    cookie = keeper.sign_in(keeper.new_link("ada"))
    assert cookie is not None

    now[0] = IDLE_S - 1
    assert keeper.visitor(cookie)
    now[0] = 2 * IDLE_S - 2
    assert keeper.visitor(cookie)
    now[0] = 3 * IDLE_S - 2
    assert keeper.visitor(cookie) is None


# ---- Guessing


def test_a_name_is_tried_ten_times_then_once_in_ten_seconds_from_wherever() -> None:
    now = [0.0]
    keeper = Doorkeeper(clock=lambda: now[0])
    for number in range(10):
        keeper.allow_try("bob", f"10.0.0.{number}")

    with pytest.raises(TooManyTries):
        keeper.allow_try("bob", "10.0.0.99")
    keeper.allow_try("ada", "10.0.0.99")
    now[0] = 10.0
    keeper.allow_try("bob", "10.0.0.99")


def test_an_address_is_limited_whatever_names_it_tries() -> None:
    now = [0.0]
    keeper = Doorkeeper(clock=lambda: now[0])
    for number in range(10):
        keeper.allow_try(f"name {number}", "10.0.0.1")

    with pytest.raises(TooManyTries):
        keeper.allow_try("another", "10.0.0.1")
    now[0] = 2.0
    keeper.allow_try("another", "10.0.0.1")


def test_guessing_is_stopped_and_right_passwords_are_not_counted(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An office of thirty people may come in at nine, all from one address. Here no time passes that allows more."""
    monkeypatch.setattr(doorkeeper, "NAME_TRIES_PER_S", 0.0)
    monkeypatch.setattr(doorkeeper, "ADDRESS_TRIES_PER_S", 0.0)
    with served(project, OPEN) as site:
        right = [sign_in(site.stranger(), "ada").status_code for _ in range(12)]
        answers = [sign_in(site.stranger(), "bob", f"guess number {number}") for number in range(11)]

    assert right == [200] * 12
    assert [one.status_code for one in answers] == [401] * 10 + [429]
    assert answers[-1].headers["retry-after"] == "30"


def test_so_many_names_as_one_likes_fill_no_memory() -> None:
    now = [0.0]
    rate = doorkeeper.Rate(1.0, 1.0, clock=lambda: now[0])
    for number in range(3 * doorkeeper.MOST_NAMES):
        rate.take(str(number))

    assert len(rate._left) <= doorkeeper.MOST_NAMES


# ---- Roles

GUIDELINE = {"label": "cats", "text": "mine", "version": ""}
LEADS_ONLY = [
    ("POST", "/api/guideline", GUIDELINE),
    ("GET", "/api/team", {}),
    ("POST", "/api/rank", {}),
    ("POST", "/api/issue", {}),
]


@pytest.mark.parametrize(("method", "path", "body"), LEADS_ONLY)
def test_what_leads_may_do_a_reviewer_may_not(site: Site, method: str, path: str, body: dict[str, Any]) -> None:
    """Whatever the request says of who asks."""
    claims = {"role": "lead", "reviewer": "ada"}

    refused = signed_in(site, "bob").request(method, path, json=body | claims, headers={"X-Role": "lead"})

    assert (refused.status_code, refused.json()["error"]) == (403, "Only a lead may do this.")


def test_a_lead_may(site: Site) -> None:
    ada = signed_in(site, "ada")

    assert ada.post("/api/guideline", json=GUIDELINE).status_code == 200
    assert ada.get("/api/team").status_code == 200


def test_a_reviewer_may_do_the_rest(site: Site) -> None:
    bob = signed_in(site, "bob")
    item = bob.get("/api/next?queue=errors&tab=t").json()["items"][0]
    receipt = bob.post("/api/decisions", json={"tab": "t", "decisions": [answer(item["id"])]}).json()

    assert len(receipt["saved"]) == 1
    assert [one.reviewer for one in read_log(site.session.log)] == ["bob"]
    assert bob.get("/api/guideline?label=cats").status_code == 200


def test_nobody_answers_under_the_name_of_another(site: Site) -> None:
    bob = signed_in(site, "bob")
    item = bob.get("/api/next?queue=errors&tab=t").json()["items"][0]["id"]
    lied = bob.post("/api/decisions", json={"tab": "t", "reviewer": "ada", "decisions": [answer(item)]})
    bob.post("/api/decisions", json={"tab": "t", "decisions": [answer(item) | {"reviewer": "ada", "role": "lead"}]})

    assert lied.status_code == 409
    assert [one.reviewer for one in read_log(site.session.log)] == ["bob"]


def test_nobody_takes_back_or_learns_the_answers_of_another(site: Site) -> None:
    ada, bob = signed_in(site, "ada"), signed_in(site, "bob")
    sent = answer(ada.get("/api/next?queue=errors&tab=t").json()["items"][0]["id"], note="between us")
    ada.post("/api/decisions", json={"tab": "t", "decisions": [sent]})
    undo = answer(sent["item"], "undo", undoes=sent["id"])
    receipt = bob.post("/api/decisions", json={"tab": "t", "decisions": [undo]}).json()

    assert [one["id"] for one in receipt["refused"]] == [undo["id"]]
    assert bob.get("/api/history").json()["events"] == []


def test_on_this_machine_the_author_leads_or_who_is_named_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CURATE_AUTHOR", "ada")

    assert [lead_of(names) for names in (["ada"], ["bob", "ada"], ["bob", "cy"])] == ["ada", "ada", "bob"]


def test_a_link_signs_in_with_the_role_of_the_account(project: Project) -> None:
    with served(project) as site:
        told = site.person("bob", "lead").get("/api/session").json()

    assert (told["reviewer"], told["role"], told["password"]) == ("bob", "reviewer", True)


# ---- Addresses


def test_on_every_address_of_the_machine_the_one_that_was_asked_is_served(site: Site) -> None:
    mine = "192.168.7.5"
    browser = site.stranger(f"http://{mine}:{PORT}")
    done = sign_in(browser, "bob", Origin=f"http://{mine}:{PORT}")

    assert done.status_code == 200
    assert browser.get("/api/session").json()["reviewer"] == "bob"


@pytest.mark.parametrize(
    "host", ["evil.example", f"evil.example:{PORT}", f"192.168.7.6:{PORT}", "192.168.7.5", f"0.0.0.0:{PORT}", ""]
)
def test_a_name_that_others_can_point_here_is_not_served(site: Site, host: str) -> None:
    browser = site.stranger(f"http://192.168.7.5:{PORT}")

    assert browser.get("/", headers={"Host": host}).status_code == 403


@pytest.mark.parametrize(
    ("host", "origin", "status"),
    [
        ("labels.example", "https://labels.example", 200),
        (HOST, "https://labels.example", 200),  # many proxies put the name they ask under in the place of the given one
        ("LABELS.example", "https://LABELS.example", 200),
        ("labels.example", "http://labels.example", 403),
        ("labels.example", "https://evil.example", 403),
        ("labels.example", "https://labels.example.evil.example", 403),
        ("labels.example", "https://labels.example:8443", 403),
        ("labels.example", "null", 403),
        ("labels.example", "", 403),
        ("evil.example", "https://evil.example", 403),
        ("labels.example:8443", "https://labels.example:8443", 403),
    ],
)
def test_behind_a_proxy_its_own_name_is_served(project: Project, host: str, origin: str, status: int) -> None:
    with served(project, BEHIND_PROXY) as site:
        done = sign_in(site.stranger(), "bob", Host=host, Origin=origin)

    assert done.status_code == status


def test_behind_a_proxy_that_encrypts_the_cookie_is_never_sent_in_the_clear(project: Project) -> None:
    with served(project, BEHIND_PROXY) as site:
        done = sign_in(site.stranger(), "bob", Host="labels.example", Origin="https://labels.example")

    assert re.fullmatch(
        rf"__Host-curate-{PORT}=[\w-]{{43}}; HttpOnly; Path=/; SameSite=strict; Secure", done.headers["set-cookie"]
    )


@pytest.mark.parametrize(
    ("url", "origin"),
    [("https://labels.example", "https://labels.example"), ("https://LABELS.example/", "https://labels.example"),
     ("http://labels:80", "http://labels"), ("https://labels:8443", "https://labels:8443"),
     ("http://[fd00::1]:8000", "http://[fd00::1]:8000")],
)  # fmt: skip
def test_a_public_address_is_read_as_browsers_do(url: str, origin: str) -> None:
    assert origin_of(url) == origin


@pytest.mark.parametrize(
    "url", ["labels.example", "ftp://x", "https://", "https://x/review", "https://x?y", "https://u:p@x", "https://x:y"]
)
def test_what_is_no_public_address_is_refused(url: str) -> None:
    with pytest.raises(SettingsError, match="can't be the public address"):
        origin_of(url)


@pytest.mark.parametrize(
    ("peer", "forwarded", "address", "counted"),
    [
        ("10.0.0.9", "1.1.1.1", OPEN, "10.0.0.9"),  # anybody can say so
        ("127.0.0.1", "9.9.9.9, 1.1.1.1", BEHIND_PROXY, "1.1.1.1"),  # the proxy added the last
        ("10.0.0.9", "1.1.1.1", BEHIND_PROXY, "10.0.0.9"),  # not through a proxy on this machine
        ("127.0.0.1", "", BEHIND_PROXY, "127.0.0.1"),
        ("2001:db8:1:2:3:4:5:6", "", OPEN, "2001:db8:1:2::/64"),
        ("::ffff:10.0.0.9", "", OPEN, "10.0.0.9"),
        ("127.0.0.1", "x" * 5_000, BEHIND_PROXY, "x" * 64),
    ],
)
def test_tries_are_counted_by_the_address_they_come_from(
    peer: str, forwarded: str, address: Address, counted: str
) -> None:
    assert client_of(peer, forwarded, address) == counted


# ---- The command


@contextmanager
def running(folder: Path, environment: dict[str, str], *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`curate review` as people start it, and what it printed until it served."""
    line = command("review", folder, "--no-browser", *options)
    with subprocess.Popen(line, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as server:
        try:
            assert server.stdout is not None
            printed = ""
            while "Ctrl-C here ends the session" not in printed:
                text = server.stdout.readline()
                assert text, printed
                printed += text
            yield server, printed
        finally:
            server.kill()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate of 127.0.0.1 and its key."""
    folder = tmp_path_factory.mktemp("certificate")
    subprocess.run(
        [*"openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=curate".split(),
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", folder / "key.pem", "-out", folder / "crt.pem"],
        check=True, capture_output=True,
    )  # fmt: skip
    return folder / "crt.pem", folder / "key.pem"


def test_with_a_certificate_it_encrypts(
    project: Project, environment: dict[str, str], certificate: tuple[Path, Path]
) -> None:
    crt, key = map(str, certificate)
    options = ("--host", "0.0.0.0", "--certificate", crt, "--key", key)
    with running(project.directory, environment, *options) as (_, printed):
        port = re.findall(r"https://\S+:(\d+)", printed)[0]
        url = f"https://127.0.0.1:{port}"
        body = f'{{"name": "bob", "password": "{PASSWORD}"}}'.encode()
        headers = {**CHANGES, "Origin": url, "Content-Type": "application/json"}
        trusted = ssl.create_default_context(cafile=crt)
        request = urllib.request.Request(f"{url}/api/sign-in", body, headers)
        with urllib.request.urlopen(request, context=trusted, timeout=20) as done:
            cookie = done.headers["set-cookie"]

    assert "Warning" not in printed
    assert cookie.startswith(f"__Host-curate-{port}=")
    assert cookie.endswith("; Secure")


def test_without_one_it_warns_that_others_can_read_along(project: Project, environment: dict[str, str]) -> None:
    with running(project.directory, environment, "--host", "0.0.0.0") as (_, printed):
        pass

    assert "Warning: nothing is encrypted." in printed
    assert "token=" not in printed
    assert re.search(r"People sign in with their name and password at\n  http://\S+:\d+\n", printed)


@pytest.mark.parametrize("files", [("crt", "crt"), ("key", "crt"), ("crt", "missing")])
def test_files_that_can_not_encrypt_are_named(
    project: Project, curate: Curate, certificate: tuple[Path, Path], files: tuple[str, str]
) -> None:
    crt, key = (certificate[0].with_name(f"{name}.pem") for name in files)

    done = curate("review", project.folder, "--no-browser", "--certificate", crt, "--key", key)

    assert done.code == 2
    assert f"{str(crt)!r} and {str(key)!r} can't be used to encrypt" in done.err


def test_a_certificate_needs_its_key(project: Project, curate: Curate, certificate: tuple[Path, Path]) -> None:
    done = curate("review", project.folder, "--no-browser", "--certificate", certificate[0])

    assert (done.code, done.err) == (2, "Error: To encrypt takes both: --certificate FILE and --key FILE.\n")


@pytest.mark.parametrize("options", [("--host", "0.0.0.0"), ("--public-url", "https://labels.example")])
def test_links_are_not_given_to_other_machines(project: Project, curate: Curate, options: tuple[str, str]) -> None:
    done = curate("review", project.folder, "--no-browser", "--by", "ada", *options)

    assert done.code == 2
    assert done.err.startswith(f"Error: --by gives links, which are for this machine alone; with {' '.join(options)} ")


def test_behind_a_proxy_nobody_comes_in_without_an_account(project: Project, curate: Curate) -> None:
    for name in ("ada", "bob"):
        remove_reviewer(project.directory, name)

    done = curate("review", project.folder, "--no-browser", "--public-url", "https://labels.example")

    assert done.code == 2
    assert f"Hint: Run: curate reviewers add {project.folder} NAME --role lead\n" in done.err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_ends_services_ends_it_as_ctrl_c_does(
    project: Project, environment: dict[str, str], number: signal.Signals
) -> None:
    with running(project.directory, environment) as (server, _):
        server.send_signal(number)
        assert server.stdout is not None
        said = server.stdout.read()

        assert server.wait(20) == 0
    assert "The session has ended; 0 decisions were made." in said
    assert re.search(r"make a version +curate apply ", said)
