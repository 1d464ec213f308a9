"""`curate diff`: what changed between two versions."""

from __future__ import annotations

from pathlib import Path

import click

from curate_cli import options


@click.command("diff", short_help="What changed between two versions, and why.")
@options.folder
@click.argument("a")
@click.argument("b", required=False)
@options.store
@options.as_json
def command(folder: Path, a: str, b: str | None, store: Path | None, as_json: bool) -> None:
    """Say which images came, went, were dropped or relabelled from A to B, and why.

    A and B are v3, a tag, head or the beginning of an id; B defaults to head.

    \b
    Examples:
      curate diff ./images v1 v2
      curate diff ./images v1 --json
    """
    from curate.history import diff
    from curate_cli.output import end_of, print_json, print_table

    found = diff(folder, a, b, store=store)
    if as_json:
        print_json({"before": found.before.name, "after": found.after.name, "changes": found.rows.to_dict("records")})
        return
    counts = found.rows["change"].value_counts()
    click.echo(
        f"{found.before.name} -> {found.after.name}: "
        + (", ".join(f"{number:,} {name}" for name, number in counts.items()) or "the same")
    )
    if found.before.transform != found.after.transform:
        click.echo("The pictures are normalized in another way; see `curate show`.")
    print_table(
        [
            (row["change"], end_of(row["path"]), f"{row['before']} -> {row['after']}  {row['why']}")
            for row in found.rows.to_dict("records")
        ]
    )
