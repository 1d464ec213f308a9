"""Is the data fit to train on? Runs every check of curate, and tells in Markdown what is wrong.

    python check_data.py DIR [--lock curate.lock] [--against v3] [--max-dropped 5%] [--reports OUT]

Each question is a command that a person can type as well, and its answer is an exit code: 0 yes, 1 no, anything else:
it could not be asked, which counts as no. The summary goes to standard output and, in GitHub Actions, to the page of
the run. Exit code 1: some answer is no.
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

MOST_LINES = 30  # of what a command says; all of it is in the log of the run


@dataclass(frozen=True)
class Question:
    """What is asked, the command that answers, and what to do if the answer is no."""

    asked: str
    command: tuple[str, ...]
    advice: str


def questions(folder: str, lock: Path, against: str, max_dropped: str, reports: Path) -> list[Question]:
    """All that is asked, in the order in which it is worth knowing."""
    found = [
        Question(
            f"Are at most {max_dropped} of the pictures faulty or copies?",
            ("curate", "clean", folder, "--fail-on", max_dropped),
            "Look at what was dropped, and why: curate report.",
        ),
        Question(
            "Are all bytes still those of the version?",
            ("curate", "verify", folder),
            "Somebody changed or removed pictures that a version names.",
        ),
        Question(
            "Is no picture of test or validation in train?",
            ("curate", "split", folder, "--audit"),
            "A copy in train makes every score too good. Deal the splits out again: curate split.",
        ),
    ]
    if lock.exists():
        pinned = Question(
            "Is the data that training loads what was pinned?",
            ("curate", "verify", str(lock)),
            "If the new data is meant: curate pin, and commit the lock file with the data.",
        )
        found.insert(2, pinned)
    if against:
        found.append(
            Question(
                f"Does the data come from the same source as {against}?",
                ("curate", "drift", folder, against, "head", "--junit", str(reports / "drift.xml")),
                "Look at the pictures on both sides on the page that it wrote, then decide: collect, label or retrain.",
            )
        )
    return found


@dataclass(frozen=True)
class Answer:
    """What came of a question. code: 0 yes, 1 no, else it could not be asked."""

    question: Question
    code: int
    said: str

    @property
    def word(self) -> str:
        return {0: "yes", 1: "**no**"}.get(self.code, "**could not be asked**")


def ask(question: Question) -> Answer:
    """Run the command; what it says also goes to the log."""
    print(f"$ {shlex.join(question.command)}", flush=True)
    done = subprocess.run(question.command, capture_output=True, text=True)  # noqa: S603  the commands named above
    print(done.stdout + done.stderr, flush=True)
    return Answer(question, done.returncode, (done.stdout + done.stderr).strip())


def summary(folder: str, answers: list[Answer]) -> str:
    """The answers as Markdown: first the table, then what the commands said that did not answer yes."""
    wrong = [one for one in answers if one.code]
    verdict = f"{len(wrong)} of {len(answers)} checks failed" if wrong else f"all {len(answers)} checks passed"
    lines = [f"## Data in `{folder}`: {verdict}", "", "| question | answer |", "|---|---|"]
    lines += [f"| {one.question.asked} | {one.word} |" for one in answers]
    for one in wrong:
        said = one.said.splitlines()
        shown = said[:MOST_LINES] + (["…"] if len(said) > MOST_LINES else [])
        lines += ["", f"### {one.question.asked}", "", one.question.advice, ""]
        lines += ["```text", f"$ {shlex.join(one.question.command)}", *shown, "```"]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Ask everything, even after a no: whoever mends the data wants to know all of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--lock", type=Path, default=Path("curate.lock"))
    parser.add_argument("--against", default="", help="the version that models were trained on: v3, or a tag")
    parser.add_argument("--max-dropped", default="5%")
    parser.add_argument("--reports", type=Path, default=Path("reports"))
    options = parser.parse_args()
    options.reports.mkdir(parents=True, exist_ok=True)
    asked = questions(options.folder, options.lock, options.against, options.max_dropped, options.reports)
    answers = [ask(one) for one in asked]
    text = summary(options.folder, answers)
    (options.reports / "summary.md").write_text(text, encoding="utf-8")
    print(text)
    if page := os.environ.get("GITHUB_STEP_SUMMARY"):
        with Path(page).open("a", encoding="utf-8") as stream:
            stream.write(text)
    sys.exit(1 if any(one.code for one in answers) else 0)


if __name__ == "__main__":
    main()
