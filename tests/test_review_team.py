"""A log that a team shares: in PostgreSQL, by a URL that every command finds, and whose password nobody gets to see."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from conftest import Curate
from curate.decisions import new_decision
from curate.errors import SettingsError, SourceError, StoreError
from curate.guidelines import read_versions, write_guideline
from curate.log_copying import copy_log
from curate.log_place import told
from curate.project import Project
from curate.review_log import append, first_broken_link, open_engine, read_events, read_log
from curate.reviewers import add_reviewer, reviewers
from curate.settings import load_settings
from reviews import answer, cats_and_dogs, copied
from test_review_server import Browser, running

SECRET = "s3cret"
NOWHERE = f"postgresql://ada:{SECRET}@127.0.0.1:1/curate"


@pytest.fixture(scope="module")
def curated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds photos/ (six pictures of cats and dogs, two of them doubted) and its store."""
    return cats_and_dogs(tmp_path_factory.mktemp("curated"), {"cats/0.jpg": "dogs", "dogs/3.jpg": "cats"})


@pytest.fixture
def project(curated: Path, tmp_path: Path) -> Project:
    """A copy of it for one test."""
    return copied(curated, tmp_path)


@pytest.fixture
def url(database: str) -> str:
    """An empty database, with a password in its address, which that server does not ask for."""
    return database.replace("curate@", f"curate:{SECRET}@")


# ---- Every command finds it


def test_a_team_reviews_and_applies_by_a_database(
    project: Project, environment: dict[str, str], process: Curate, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(environment, "CURATE_REVIEW_LOG", url)
    cleaned = process("clean", project.folder)
    with running(project.directory, environment) as (server, (link,)):
        browser = Browser(link)
        item = browser.ask("GET", "/api/next?queue=errors&tab=t")[0]["items"][0]
        said = answer(item["id"], "relabel", label="dogs")
        saved = browser.ask("POST", "/api/decisions", {"tab": "t", "decisions": [said]})[0]["saved"]
        server.send_signal(signal.SIGINT)
        assert server.stdout is not None
        ended = server.stdout.read()
    before = process("status", project.folder)
    applied = process("apply", project.folder, "--json")
    why = process("why", project.folder, "cats/0.jpg")
    decided = process("decide", project.folder, "cats/1.jpg", "--drop")
    verified = process("verify", project.folder, "--json")
    exported = process("review", project.folder, "--export", project.store / "answers.csv")
    listed = process("report", project.folder)

    assert saved == [said["id"]]
    assert "1 decision was made" in ended
    assert "1 decisions since" in before.out
    assert '"changed": 1' in applied.out
    assert "dogs" in why.out
    assert decided.out.startswith("1 decisions recorded.")
    assert verified.code == 0
    assert "2 answers written" in exported.out
    assert [(one.path, one.answer) for one in read_log(url)] == [("cats/0.jpg", "relabel"), ("cats/1.jpg", "drop")]
    assert not (project.store / "review.db").exists()
    for done in (cleaned, before, applied, why, decided, verified, exported, listed):
        assert SECRET not in done.out + done.err
    kept = [file for file in project.store.rglob("*") if file.is_file() and SECRET.encode() in file.read_bytes()]
    assert kept == []


def test_the_settings_of_the_store_name_the_database_and_the_variable_goes_before_them(
    project: Project, curate: Curate, url: str, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project.store / "curate.toml").write_text(f'[review]\nlog = "{url}"\n')
    curate("decide", project.folder, "cats/1.jpg", "--drop")
    curate("clean", project.folder)
    monkeypatch.setenv("CURATE_REVIEW_LOG", NOWHERE)
    elsewhere = curate("decide", project.folder, "cats/2.jpg", "--drop")

    assert [one.path for one in read_log(database)] == ["cats/1.jpg"]
    assert elsewhere.code == 3
    written = [file for file in (project.store / "versions").rglob("*") if file.is_file()]
    assert not [file for file in written if b"postgresql" in file.read_bytes()]


def test_a_reviewer_of_the_database_signs_in(project: Project, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CURATE_REVIEW_LOG", url)
    add_reviewer(project.directory, "bob", "a long enough password")

    assert [one.name for one in reviewers(project.directory)] == ["bob"]


COMMANDS = [
    ("clean",), ("apply",), ("status",), ("status", "--json"), ("flag",), ("prelabel",), ("run",),
    ("decide", "cats/0.jpg", "--keep"), ("why", "cats/0.jpg"), ("review", "--no-browser"), ("review", "--people"),
    ("review", "--export", "x.csv"), ("review", "--copy-log"), ("reviewers list",),
]  # fmt: skip


@pytest.mark.parametrize("line", COMMANDS, ids=" ".join)
def test_a_database_that_can_not_be_reached_is_told_without_its_password(
    project: Project, curate: Curate, monkeypatch: pytest.MonkeyPatch, line: tuple[str, ...]
) -> None:
    monkeypatch.setenv("CURATE_REVIEW_LOG", NOWHERE)
    if "--copy-log" in line:
        append(project.store / "review.db", [new_decision("cats/0.jpg", "x", "keep", "ada")])
    verb, *rest = line

    done = curate(*verb.split(), project.folder, *rest)

    assert done.code == 3
    assert "Error: The decisions in 'postgresql://ada:***@127.0.0.1:1/curate' can't be read or written: " in done.err
    assert "Hint: See whether the server runs and who may log in" in done.err
    assert SECRET not in done.out + done.err


def test_without_its_driver_the_line_to_type_is_told(
    project: Project, environment: dict[str, str], process: Curate, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Path(environment["PYTHONPATH"])
    (place / "psycopg.py").write_text('raise ImportError("no pq wrapper available")')
    monkeypatch.setitem(environment, "CURATE_REVIEW_LOG", NOWHERE)
    try:
        done = process("apply", project.folder)
    finally:
        (place / "psycopg.py").unlink()

    assert done.code == 3
    assert done.err.endswith("takes more packages.\nHint: Run: pip install 'curate[team]'\n")
    assert SECRET not in done.err


# ---- What can't be an address


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://ada:pw@db.example/x", "postgresql://ada:***@db.example/x"),
        ("postgresql://ada@db.example/x", "postgresql://ada@db.example/x"),
        ("postgresql://db.example/x?password=pw", "postgresql://db.example/x"),
        ("postgresql://ada:p@w:pw@db.example/x", "postgresql://ada:***@db.example/x"),
        ("postgresql:///x?host=/tmp&password=pw", "postgresql:///x"),
        ("postgresql://ada:p?pw@db.example/x", "postgresql://ada:***@db.example/x"),
    ],
)
def test_an_address_is_shown_without_its_password(url: str, shown: str) -> None:
    assert told(url) == shown


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ada:s3cr@t-pw@127.0.0.1:1/x", "postgresql://127.0.0.1:1/x?password=t-pw",
        "postgresql://ada:t-pw@127.0.0.1:port/x", "mysql://ada:t-pw@127.0.0.1/x", "nothing://ada:t-pw@127.0.0.1/x",
        "postgresql://ada:t-pw@[::1/x",
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused_without_its_password(
    project: Project, curate: Curate, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("CURATE_REVIEW_LOG", url)

    done = curate("decide", project.folder, "cats/0.jpg", "--keep")

    assert done.code == 3
    assert "t-pw" not in done.err


def test_what_is_no_url_at_all_makes_no_file_of_that_name(
    project: Project, curate: Curate, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CURATE_REVIEW_LOG", "db.example/curate")
    before = sorted(tmp_path.iterdir())

    done = curate("decide", project.folder, "cats/0.jpg", "--keep")

    assert (done.code, done.err.splitlines()[0]) == (2, "Error: review.log is no address of a database.")
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("value", [f'["{NOWHERE}"]', "7", f'"{NOWHERE}"\nlogg = "{NOWHERE}"'])
def test_settings_that_are_wrong_are_told_without_a_password(project: Project, curate: Curate, value: str) -> None:
    (project.store / "curate.toml").write_text(f"[review]\nlog = {value}\n")

    done = curate("clean", project.folder)

    assert done.code in (2, 3)
    assert SECRET not in done.err


def test_the_log_is_not_set_where_other_commands_do_not_look(project: Project, curate: Curate, tmp_path: Path) -> None:
    (tmp_path / "other.toml").write_text(f'[review]\nlog = "{NOWHERE}"\n')

    by_file = curate("clean", project.folder, "--config", tmp_path / "other.toml")
    by_option = curate("clean", project.folder, "--set", f"review.log={NOWHERE}")

    assert (by_file.code, by_option.code) == (2, 2)
    assert "sets review.log, which commands without --config would not find" in by_file.err
    assert "review.log can't be set on the command line" in by_option.err
    assert SECRET not in by_file.err + by_option.err


def test_a_version_does_not_record_where_decisions_are(tmp_path: Path) -> None:
    from curate.settings import as_dict

    (tmp_path / "curate.toml").write_text(f'[review]\nlog = "{NOWHERE}"\n')

    assert SECRET not in str(as_dict(load_settings(tmp_path / "curate.toml")))


# ---- From the file to the database


def test_decisions_are_copied_with_their_digests_and_all_that_belongs_to_them(
    project: Project, curate: Curate, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = project.store / "review.db"
    made = [new_decision(f"{number}.jpg", "abc", "keep", "ada") for number in range(1_200)]
    append(file, made)
    with open_engine(file) as engine, engine.begin() as connection:
        write_guideline(connection, "cats", "They purr.", "ada", instead_of="")
    add_reviewer(project.directory, "bob", "a long enough password")
    before = read_events(file)
    monkeypatch.setenv("CURATE_REVIEW_LOG", url)

    done = curate("review", project.folder, "--copy-log")
    append(project.review_log, [new_decision("new.jpg", "abc", "keep", "ada")])

    assert done.out == "1,200 decisions copied; the file is called review.db.copied now.\n"
    after = read_events(url)
    assert after[:-1] == before
    assert (after[-1].seq, first_broken_link(after)) == (1_201, None)
    with open_engine(url) as engine, engine.begin() as connection:
        assert [one.text for one in read_versions(connection, "cats")] == ["They purr."]
        write_guideline(connection, "dogs", "They bark.", "ada", instead_of="")
    assert [one.name for one in reviewers(project.directory)] == ["bob"]
    assert not file.exists()


def test_decisions_in_the_file_are_not_forgotten_for_a_database(
    project: Project, curate: Curate, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(project.store / "review.db", [new_decision("cats/0.jpg", "abc", "keep", "ada")])
    monkeypatch.setenv("CURATE_REVIEW_LOG", url)

    done = curate("apply", project.folder)

    assert done.code == 3
    assert f"Hint: Copy them there: curate review {project.folder} --copy-log" in done.err


def test_decisions_in_a_database_are_not_forgotten_where_nothing_names_it(
    project: Project, curate: Curate, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(project.store / "review.db", [new_decision("cats/0.jpg", "abc", "keep", "ada")])
    with monkeypatch.context() as patch:
        patch.setenv("CURATE_REVIEW_LOG", url)
        copy_log(project.directory)

    done = curate("apply", project.folder)

    assert done.code == 3
    assert "were copied to a database, and the settings don't say to which" in done.err


def test_a_database_is_not_forgotten_by_a_terminal_that_lacks_its_address(
    project: Project, curate: Curate, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A log in the file, beside it, would go on without what the team has decided."""
    with monkeypatch.context() as patch:
        patch.setenv("CURATE_REVIEW_LOG", url)
        assert curate("clean", project.folder).code == 0

    done = curate("clean", project.folder)

    assert done.code == 3
    assert "are in the database 'postgresql" in done.err
    assert "review.elsewhere" in done.err
    assert SECRET not in done.err
    assert not (project.store / "review.db").exists()


def test_nothing_is_copied_over_decisions_nor_from_an_edited_log(
    project: Project, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = project.store / "review.db"
    append(file, [new_decision("cats/0.jpg", "abc", "keep", "ada")])
    append(url, [new_decision("cats/1.jpg", "abc", "keep", "ada")])
    monkeypatch.setenv("CURATE_REVIEW_LOG", url)
    with pytest.raises(StoreError, match="holds decisions already"):
        copy_log(project.directory)
    with open_engine(file) as engine, engine.begin() as connection:
        connection.exec_driver_sql("UPDATE decisions SET answer = 'drop'")
    with pytest.raises(StoreError, match="Decision 1 is not what was written"):
        copy_log(project.directory)

    assert len(read_log(file)) == len(read_log(url)) == 1


def test_there_must_be_something_to_copy_and_where_to(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match="no database to copy decisions to"):
        copy_log(project.directory)
    monkeypatch.setenv("CURATE_REVIEW_LOG", NOWHERE)
    with pytest.raises(SourceError, match="nothing to copy"):
        copy_log(project.directory)
