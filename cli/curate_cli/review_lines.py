"""How far a review is, in words: for `curate status` and the end of `curate review`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from curate.project import Project
    from curate.reviewed import ReviewStanding
    from curate.stopping import Estimate


def print_review(found: ReviewStanding, project: Project) -> None:
    """What people found, what waits, how many labels may still be wrong, and how to learn that."""
    from curate_cli.output import command_line

    print_standing(found)
    if not found.reached and (found.decided or found.flags_left or found.estimate):
        words = "go on with the blind check" if found.estimate else "how many are left? A blind check tells"
        click.echo(f"  {words}: {command_line('review', project, '--spot', *_target(found.target))}")


def print_standing(found: ReviewStanding) -> None:
    """What people found, what waits, and how many labels may still be wrong."""
    flags = "" if found.flags_left is None else f", {counted(found.flags_left, 'flag')} left"
    if found.decided or found.flags_left:
        click.echo(f"  review: {counted(found.errors, 'wrong label')} found{flags}")
    for line in estimate_lines(found.estimate, found.target) if found.estimate else ():
        click.echo(f"  {line}")


def _target(target: float) -> tuple[str, ...]:
    from curate.reviewed import TARGET

    return () if target == TARGET else ("--target", f"{target:g}")


def estimate_lines(found: Estimate, target: float) -> list[str]:
    """What a blind sample tells, in two lines at most of 80 columns."""
    sample = f"of {found.checked:,} labels checked blind ({found.planned:,} planned) {found.wrong:,} were wrong"
    if not found.checked:
        return [f"left: not known yet, as none of {found.planned:,} drawn labels was checked"]
    likely = f"about {100 * found.likely_left:.1f} %, " if found.likely_left > 0 else ""
    verdict = "reached" if found.upper <= target else "not reached"
    most = f"at most {100 * found.upper:.1f} % ({counted(found.most_left, 'label')})"
    return [f"left: {likely}{most} with 95 % confidence; target {target:.3g} {verdict}", sample]


def counted(number: int, word: str) -> str:
    """`1 flag`, `2 flags`."""
    return f"{number:,} {word}" if number == 1 else f"{number:,} {word}s"
