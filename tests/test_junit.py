"""What `--junit` writes is well-formed and counts right, whatever names files have."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from curate.junit import Case, write_junit


def test_cases_are_counted_by_their_outcome(tmp_path: Path) -> None:
    cases = [
        Case("facts", "failed", "Darker.", "Darker.\nMostly stop."),
        Case("labels", "passed"),
        Case("new", "skipped", "Not asked."),
    ]

    write_junit(tmp_path / "drift.xml", "curate drift v1 v2", cases)

    suite = ElementTree.parse(tmp_path / "drift.xml").getroot()[0]
    assert suite.attrib == {"name": "curate drift v1 v2", "tests": "3", "failures": "1", "errors": "0", "skipped": "1"}
    assert [one.attrib["name"] for one in suite] == ["facts", "labels", "new"]
    assert suite[0][0].attrib["message"] == "Darker."
    assert suite[0][0].text == "Darker.\nMostly stop."


def test_names_with_markup_and_control_characters_leave_it_well_formed(tmp_path: Path) -> None:
    write_junit(tmp_path / "x.xml", 'a"b<c>', [Case("\x1b[31m&]]>", "failed", "\x00\ud800 ü")])

    suite = ElementTree.parse(tmp_path / "x.xml").getroot()[0]
    assert suite.attrib["name"] == 'a"b<c>'
    assert suite[0].attrib["name"] == "\N{REPLACEMENT CHARACTER}[31m&]]>"
    assert suite[0][0].attrib["message"] == "\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER} ü"
