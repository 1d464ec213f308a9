"""JUnit XML, which every system of continuous integration shows as passed, failed and skipped tests.

Only what all of them read is written: one test suite; per case a name, and what failed, or why it was skipped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree

from curate.files import write_text

Outcome = Literal["passed", "failed", "skipped"]


@dataclass(frozen=True)
class Case:
    """One test. message: a line; text: all there is to say."""

    name: str
    outcome: Outcome
    message: str = ""
    text: str = ""


def junit_xml(suite: str, cases: Sequence[Case]) -> str:
    """The cases as a document."""
    counts = {
        "tests": len(cases),
        "failures": sum(one.outcome == "failed" for one in cases),
        "errors": 0,
        "skipped": sum(one.outcome == "skipped" for one in cases),
    }
    told = {name: str(number) for name, number in counts.items()}
    root = ElementTree.Element("testsuites", told)
    inside = ElementTree.SubElement(root, "testsuite", {"name": _clean(suite), **told})
    for one in cases:
        case = ElementTree.SubElement(inside, "testcase", {"classname": _clean(suite), "name": _clean(one.name)})
        if one.outcome == "failed":
            failure = ElementTree.SubElement(case, "failure", {"message": _clean(one.message)})
            failure.text = _clean(one.text or one.message)
        elif one.outcome == "skipped":
            ElementTree.SubElement(case, "skipped", {"message": _clean(one.message)})
        elif one.text:
            ElementTree.SubElement(case, "system-out").text = _clean(one.text)
    ElementTree.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(root, encoding="unicode")}\n'


def write_junit(file: Path, suite: str, cases: Sequence[Case]) -> None:
    """Write the document, whole or not at all."""
    write_text(file, junit_xml(suite, cases), durable=False)


def _clean(text: str) -> str:
    """Without what XML 1.0 can't hold, such as control characters in a file's name."""
    return "".join(one if one in "\t\n" or one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text)
