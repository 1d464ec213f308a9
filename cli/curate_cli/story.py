"""How `curate why` tells one picture's story."""

from __future__ import annotations

from numbers import Integral, Real
from textwrap import fill

import click

from curate.inspection import Story
from curate.paths import printable
from curate_cli.output import print_table

ACTIONS = {"drop": "dropped", "review": "kept, to be looked at", "note": "kept, noted", "ignore": "ignored"}


def print_story(story: Story) -> None:
    """Verdict, reasons, copies, decisions, history and measurements of one picture."""
    row = story.row
    click.echo(f"{printable(row['path'])} in {story.version.name}: {_verdict(story)}")
    for check, (action, sentence) in story.because.items():
        text = f"{check} ({ACTIONS.get(action, action)}): {printable(sentence)}"
        click.echo(fill(text, 80, initial_indent="  ", subsequent_indent="      "))
    for title, lines in (
        ("Copies of the same picture", [(path,) for path in story.copies]),
        (
            "Decisions",
            [
                (one.decided_at[:16].replace("T", " "), one.reviewer, f"{one.answer} {one.label} {one.note}")
                for one in story.decisions
            ],
        ),
        ("History", story.history),
        ("Measured", sorted((name, _short(value)) for name, value in row.items() if name not in _TOLD)),
    ):
        if lines:
            click.echo(f"\n{title}")
            print_table(lines)


_TOLD = {"path", "keep", "reasons", "flags", "reviewed", "reviewed_by", "reviewed_label", "decided_by"}
_TOLD |= {"label_evidence", "look_alikes"}


def _verdict(story: Story) -> str:
    row = story.row
    if not row["keep"]:
        return f"dropped by {row['reasons'].replace(';', ', ')}"
    label = f" as {printable(str(row['final_label']))}" if "final_label" in row else ", unlabelled"
    by = f", decided by {row['decided_by']}" if row["decided_by"] else ""
    return f"kept{label}{by}"


def _short(value: object) -> str:
    fractional = isinstance(value, Real) and not isinstance(value, Integral)
    return f"{value:.4g}" if fractional else str(value)
