"""Settings from `curate.toml` and from the command line, and what is said of wrong ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from conftest import Curate
from curate.checks import all_checks
from curate.errors import SettingsError
from curate.settings import action_changes, as_dict, load_settings, parse_assignments


def message(text: str, tmp_path: Path) -> str:
    """What is said of a settings file."""
    file = tmp_path / "curate.toml"
    file.write_text(text)
    with pytest.raises(SettingsError) as error:
        load_settings(file)
    return str(error.value)


def test_without_a_file_all_defaults_hold() -> None:
    settings = load_settings(None)

    assert settings.scan.labels == "folders"
    assert settings.versions.keep_bytes == "auto"
    assert settings.of("unreadable").action == "drop"


def test_a_file_changes_what_it_names_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "curate.toml").write_text('[checks.blurry]\naction = "drop"\n')

    changed, default = as_dict(load_settings(tmp_path / "curate.toml")), as_dict(load_settings(None))

    assert changed["checks"]["blurry"].pop("action") == "drop"
    assert default["checks"]["blurry"].pop("action") == "review"
    assert changed == default


def test_the_command_line_wins_over_the_file(tmp_path: Path) -> None:
    (tmp_path / "curate.toml").write_text('[checks.blurry]\naction = "drop"\n')

    settings = load_settings(tmp_path / "curate.toml", {"checks.blurry.action": "ignore"})

    assert settings.of("blurry").action == "ignore"


def test_a_file_written_by_an_editor_of_windows_is_read(tmp_path: Path) -> None:
    (tmp_path / "curate.toml").write_bytes(b'\xef\xbb\xbf[scan]\r\nlabels = "none"\r\n')

    assert load_settings(tmp_path / "curate.toml").scan.labels == "none"


def test_every_check_has_a_section() -> None:
    assert set(as_dict(load_settings(None))["checks"]) == set(all_checks())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[chekcs.blurry]\n", "There is no setting 'chekcs'. Did you mean 'checks'?"),
        ("[checks.blury]\n", "There is no setting 'checks.blury'. Did you mean 'blurry'?"),
        ("[checks.blurry]\nactoin = 1\n", "There is no setting 'checks.blurry.actoin'. Did you mean 'action'?"),
        ("[scan]\nzzz = 1\n", "There is no setting 'scan.zzz'. There are: labels."),
        (
            "[checks.blurry]\naction = 'dorp'\n",
            (
                "The setting checks.blurry.action = 'dorp' does not fit: "
                "Input should be 'drop', 'review', 'note' or 'ignore'."
            ),
        ),
        (
            "[versions]\nkeep_bytes = true\n",
            "The setting versions.keep_bytes = True does not fit: Input should be 'auto', 'always' or 'never'.",
        ),
        (
            "[checks.odd_aspect_ratio]\nmin_aspect_ratio = 'wide'\n",
            (
                "The setting checks.odd_aspect_ratio.min_aspect_ratio = 'wide' does not fit: "
                "Input should be a valid number, unable to parse string as a number."
            ),
        ),
        (
            "[checks.odd_aspect_ratio]\nmin_aspect_ratio = -1\n",
            (
                "The setting checks.odd_aspect_ratio.min_aspect_ratio = -1 does not fit: "
                "Input should be greater than or equal to 0."
            ),
        ),
        (
            "checks = 3\n",
            "The setting checks = 3 does not fit: Input should be a valid dictionary or instance of Checks.",
        ),
    ],
)
def test_a_wrong_setting_is_named_with_what_was_expected(tmp_path: Path, text: str, expected: str) -> None:
    assert message(text, tmp_path) == expected


def test_a_syntax_error_is_located(tmp_path: Path) -> None:
    assert message("[checks.blurry\naction = 1\n", tmp_path).endswith(
        "curate.toml' is not valid TOML: Expected ']' at the end of a table declaration (at line 1, column 15)."
    )


def test_a_settings_file_that_is_not_there_is_no_default(photos: Path, curate: Curate) -> None:
    """A misspelt --config must not silently mean: no settings."""
    done = curate("clean", photos, "--config", "settngs.toml")

    assert done.code == 2
    assert done.err == "Error: The settings file 'settngs.toml' can't be read: No such file or directory.\n"
    assert curate("checks", "--config", "settngs.toml").code == 2


def test_the_file_in_the_store_is_found(photos: Path, curate: Curate) -> None:
    store = photos.with_name("photos.curate")
    store.mkdir()
    (store / "curate.toml").write_text('[scan]\nlabels = "none"\n')

    done = curate("clean", photos, "--workers", "1", "--json")

    assert done.json["labels"] == {"": 6}


@pytest.mark.parametrize(
    ("assignment", "expected"),
    [
        ("checks.blurry.action=drop", {"checks.blurry.action": "drop"}),
        ('checks.blurry.action="drop"', {"checks.blurry.action": "drop"}),
        ("checks.blurry.min_sharpness=0.5", {"checks.blurry.min_sharpness": 0.5}),
        ("a.b = 3", {"a.b": 3}),
        ("a.b=true", {"a.b": True}),
        ("a.b=x=y", {"a.b": "x=y"}),
        ("a.b=", {"a.b": ""}),
    ],
)
def test_an_assignment_is_toml_or_a_bare_word(assignment: str, expected: dict[str, Any]) -> None:
    assert parse_assignments((assignment,)) == expected


@pytest.mark.parametrize("assignment", ["checks.blurry.action", "=drop", ""])
def test_an_assignment_without_key_or_value_is_refused(assignment: str) -> None:
    with pytest.raises(SettingsError, match="sets nothing"):
        parse_assignments((assignment,))


def test_a_section_that_the_file_made_a_value_is_named(tmp_path: Path) -> None:
    (tmp_path / "curate.toml").write_text("checks = 3\n")

    with pytest.raises(SettingsError, match="The setting 'checks' is a value, not a section"):
        load_settings(tmp_path / "curate.toml", {"checks.blurry.action": "drop"})


def test_contradictory_actions_are_refused() -> None:
    with pytest.raises(SettingsError, match="--drop blurry and --review blurry contradict each other"):
        action_changes(drop=("blurry",), review=("blurry",))


def test_the_same_action_twice_is_no_contradiction() -> None:
    assert action_changes(drop=("blurry", "blurry")) == {"checks.blurry.action": "drop"}


def test_a_misspelt_check_is_named_with_the_nearest(photos: Path, curate: Curate) -> None:
    done = curate("clean", photos, "--drop", "blury")

    assert (done.code, done.err) == (2, "Error: There is no check 'blury'.\nHint: Did you mean 'blurry'?\n")


def test_a_wrong_assignment_leads_to_exit_code_2(photos: Path, curate: Curate) -> None:
    done = curate("clean", photos, "--set", "checks.blurry.min_sharpnes=1")

    assert done.code == 2
    assert "There is no setting 'checks.blurry.min_sharpnes'. Did you mean 'min_sharpness'?" in done.err
    assert not photos.with_name("photos.curate").exists()
