"""What `curate review` does without a session: answers that come and go as files, and how far people agree."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from curate.agreement import Agreement, ClassAgreement, Rate, Reviewer
    from curate.answers import Imported


def exchange(
    folder: Path,
    store: Path | None,
    *,
    people: bool,
    out: Path | None,
    file: Path | None,
    as_json: bool = False,
    network: bool = False,
) -> bool:
    """Do what was asked for, if anything. Returns whether it was."""
    from curate.agreement import agreement, told
    from curate.answers import import_answers
    from curate.project import Project
    from curate_cli.output import command_line, print_json

    if file is not None:
        _print_imported(import_answers(folder, file, store=store))
        click.echo(f"Next: {command_line('apply', Project.at(folder, store))}")
    if out is not None:
        _export(folder, out, store, network)
    if as_json and not people:
        raise click.UsageError("--json goes with --people: a session prints no data.")
    if people and as_json:
        print_json(told(agreement(folder, store=store)))
    elif people:
        _print_people(agreement(folder, store=store))
    return people or out is not None or file is not None


def _export(folder: Path, out: Path, store: Path | None, network: bool) -> None:
    """Write the answers to a CSV file, or the pictures as tasks for Label Studio. out: "labelstudio", "csv", a file."""
    from curate.answers import export_answers
    from curate.exporting import export
    from curate.project import Project
    from curate_cli.output import bar

    name = Project.at(folder, store).folder.name
    if str(out) == "labelstudio":
        beside = f"{name}.labelstudio"
        done = export(folder, beside, format="labelstudio", store=store, network=network, progress=bar)
        click.echo(f"{done.images:,} pictures of {done.version} written to {beside}, as tasks for Label Studio")
        click.echo(f"What people say there comes back by: curate review {folder} --import FILE")
        return
    file = Path(f"{name}.answers.csv") if str(out) == "csv" else out
    click.echo(f"{export_answers(folder, file, store=store):,} answers written to {file}")


def _print_imported(found: Imported) -> None:
    from curate_cli.output import name_some

    click.echo(f"{found.answers:,} new answers on {found.pictures:,} pictures by {found.people:,} people")
    if found.overruled:
        click.echo(f"  {found.overruled:,} labels are overruled by most of at least three people")
    if found.unknown:
        click.echo(f"  {len(found.unknown):,} are no kept pictures: {name_some(found.unknown)}")
    if found.changed:
        click.echo(
            f"  {len(found.changed):,} have other bytes than when they were answered: {name_some(found.changed)}"
        )


def _print_people(found: Agreement) -> None:
    from curate_cli.output import print_table

    if not found.reviewers:
        click.echo("Nobody has decided on a picture yet.")
        return
    low, high = found.alpha_interval
    told = "none can be told" if math.isnan(found.alpha) else f"{found.alpha:.2f} ({low:.2f} to {high:.2f})"
    click.echo(f"Agreement on {found.pictures:,} pictures with two answers or more: alpha {told}\n")
    head = ("who", "answers", "as most", "gold", "repeated", "seconds", "most often taken for another")
    print_table([head, *(_row(one) for one in found.reviewers)], right=(1, 2, 3, 4, 5))
    if found.classes:
        click.echo("\nWhere they differ")
        rows = [(one.label, *_alpha(one), f"{one.pictures:,}") for one in found.classes]
        print_table([("class", "alpha", "95 %", "pictures"), *rows], right=(1, 2, 3))
    click.echo("\n  as most: what most others said; gold: right where the label is certain;")
    click.echo("  repeated: the same answer the second time. alpha: 1 all agree, 0 as by chance.")


def _row(one: Reviewer) -> tuple[str, ...]:
    worst = next((f"{most} as {said} ({number:,})" for (most, said), number in one.confusions.items()), "")
    seconds = "" if one.seconds is None else f"{one.seconds:.1f}"
    seconds += f" {one.pace}" if one.pace else ""
    return (
        one.name,
        f"{one.decisions:,}",
        _share(one.agreement),
        _share(one.gold),
        _share(one.repeats),
        seconds,
        worst,
    )


def _alpha(one: ClassAgreement) -> tuple[str, str]:
    """Alpha and its interval, "" where there is none."""
    low, high = one.alpha_interval
    return ("", "") if math.isnan(one.alpha) else (f"{one.alpha:.2f}", f"{low:.2f} to {high:.2f}")


def _share(rate: Rate) -> str:
    return f"{rate.count:,}/{rate.total:,}" if rate.total else ""
