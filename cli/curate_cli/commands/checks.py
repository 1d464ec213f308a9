"""`curate checks`: what is looked for, and by which thresholds."""

from __future__ import annotations

from pathlib import Path

import click

from curate_cli import options


@click.command("checks", short_help="What is looked for, and by which thresholds.")
@click.argument("name", required=False)
@click.option(
    "--config", type=click.Path(path_type=Path, dir_okay=False), help="Settings file to read thresholds from."
)
@options.as_json
def command(name: str | None, config: Path | None, as_json: bool) -> None:
    """List all checks, or explain the check NAME with its thresholds.

    \b
    Examples:
      curate checks
      curate checks blurry
    """
    from curate.checks import all_checks
    from curate.inspection import describe_check
    from curate.settings import load_settings
    from curate_cli.output import print_json, print_table

    settings = load_settings(config)
    if name:
        click.echo(describe_check(name, settings))
    elif as_json:
        print_json({one: settings.of(one).model_dump(mode="json") for one in all_checks()})
    else:
        print_table(
            [(one, settings.of(one).action, check.summary) for one, check in sorted(all_checks().items())],
            indent=0,
        )
