"""Write the reference pages of docs/ from the code; with --check, only say whether they are up to date.

A page that people edit by hand and a program by its code drift apart; these can't: `make lint` runs the check.
"""

from __future__ import annotations

import inspect
import json
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from textwrap import dedent

import click
from pydantic import BaseModel

from curate.checks import Check, all_checks
from curate.errors import READ_ERRORS
from curate.exporters import all_exporters
from curate.importers import all_importers
from curate.inspection import columns
from curate.labelers import all_labelers
from curate.settings import load_settings, settings_model
from curate.strategies import all_strategies
from curate_cli.main import cli

DOCS = Path(__file__).parent
NOTICE = "<!-- Written by docs/generate.py from the code: change that, then run `make docs`. -->\n\n"


def commands_page() -> str:
    """Every command with its help text."""
    context = click.Context(cli, info_name="curate", max_content_width=80, terminal_width=80)
    parts = ["# Commands\n", _code(cli.get_help(context))]
    parts.append(
        "Exit codes: " + inspect.cleandoc(sys.modules["curate_cli.main"].__doc__ or "").split("Exit codes: ")[1]
    )
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        assert command is not None
        inner = click.Context(command, info_name=name, parent=context, max_content_width=80, terminal_width=80)
        parts += [f"\n## curate {name}\n", _code(command.get_help(inner))]
        for part, sub in sorted(getattr(command, "commands", {}).items()):
            under = click.Context(sub, info_name=part, parent=inner, max_content_width=80, terminal_width=80)
            parts += [f"\n### curate {name} {part}\n", _code(sub.get_help(under))]
    return "\n".join(parts)


def checks_page() -> str:
    """Every check: its module's docstring, facts and settings."""
    defaults = load_settings(None)
    rows = [
        (f"[{name}](#{name})", defaults.of(name).action, check.summary) for name, check in sorted(all_checks().items())
    ]
    parts = ["# Checks\n", "What `curate clean` looks for. Each check is one file in `src/curate/checks/`.\n"]
    parts.append(_table(("check", "default action", "what it finds"), rows))
    parts.append(f"\nReasons in `read_error`: {', '.join(f'`{reason}`' for reason in READ_ERRORS)}.\n")
    for name, check in sorted(all_checks().items()):
        parts += [f"\n## {name}\n", _about(check.about), _check_details(check)]
    return "\n".join(parts)


def _about(about: Mapping[str, str]) -> str:
    return "\n\n".join(f"**{heading}:** {text}" if heading else text for heading, text in about.items())


def _check_details(check: Check) -> str:
    parts = []
    written = [*check.facts, *check.findings]
    if written:
        parts.append(
            "\nColumns: " + ", ".join(f"`{column.name}`" for column in written) + " (see [columns](columns.md)).\n"
        )
    parts.append(_settings_table(f"checks.{check.name}", check.settings))
    return "\n".join(parts)


def labelers_page() -> str:
    """Every labeler: its module's docstring and settings."""
    parts = [
        "# Labelers\n",
        "Ways to guess labels, which `curate prelabel` asks and weighs. Each is one file in `src/curate/labelers/`;",
        "what their words and numbers mean is told in [labels](labels.md).\n",
        _table(
            ("labeler", "what it asks"), [(f"[{name}](#{name})", one.summary) for name, one in all_labelers().items()]
        ),
    ]
    for name, labeler in all_labelers().items():
        parts += [f"\n## {name}\n", _with_code(inspect.getdoc(sys.modules[labeler.propose.__module__]) or "")]
        if labeler.settings.model_fields:
            parts.append("\n" + _settings_table(f"labelers.{name}", labeler.settings))
    return "\n".join(parts)


def strategies_page() -> str:
    """Every way to bring classes into balance: its module's docstring."""
    rows = [(f"[{name}](#{name})", one.summary) for name, one in all_strategies().items()]
    parts = [
        "# Strategies\n",
        "What `curate rebalance --strategy` can do. Each is one file in `src/curate/strategies/`; how to choose and to",
        "combine them is told in [balance](balance.md).\n",
        _table(("strategy", "what it does"), rows),
    ]
    for name, one in all_strategies().items():
        parts += [f"\n## {name}\n", _about(one.about)]
    return "\n".join(parts)


def settings_page() -> str:
    """Every setting with default, range and origin."""
    parts = [
        "# Settings\n",
        "In `DIR.curate/curate.toml`, or in any file given by `--config`; on the command line as `--set KEY=VALUE`.",
        "The actions of checks also by `--drop`, `--review`, `--note` and `--ignore NAME`. Unknown keys are refused.\n",
        '```toml\n[scan]\nlabels = "labels.csv"\n\n[checks.blurry]\naction = "drop"\n```\n',
    ]
    for name, field in settings_model().model_fields.items():
        if name not in ("checks", "labelers", "exporters"):
            assert isinstance(field.annotation, type)
            parts += [f"## {name}\n", _settings_table(name, field.annotation)]
    parts.append("## labelers\n")
    parts += [
        _settings_table(f"labelers.{name}", one.settings)
        for name, one in all_labelers().items()
        if one.settings.model_fields
    ]
    parts.append("## exporters\n")
    parts += [
        _settings_table(f"exporters.{name}", one.settings)
        for name, one in all_exporters().items()
        if one.settings.model_fields
    ]
    parts.append("## checks\n")
    parts += [_settings_table(f"checks.{name}", check.settings) for name, check in sorted(all_checks().items())]
    return "\n".join(parts)


def _settings_table(prefix: str, model: type[BaseModel]) -> str:
    rows = []
    for name, field in model.model_fields.items():
        default = field.get_default(call_default_factory=True)
        shown = json.dumps(list(default) if isinstance(default, tuple) else default)
        rows.append(
            (
                f"`{prefix}.{name}`",
                f"`{shown}`",
                field.description or "What a flag leads to: drop, review, note or ignore.",
            )
        )
    return _table(("setting", "default", "meaning"), rows)


def columns_page() -> str:
    """Every column of the table."""
    rows = [(f"`{column.name}`", column.dtype, stage, column.meaning) for stage, column in columns()]
    return "\n".join(
        [
            "# Columns\n",
            "The table has one row per file. `curate table DIR` prints it; `curate export` writes it as `manifest.csv`",
            "and `manifest.parquet`. Beside these there is, while `clean` runs, one boolean column per check.\n",
            _table(("column", "type", "written by", "meaning"), rows),
        ]
    )


def _with_code(docstring: str) -> str:
    """A docstring as Markdown: headings bold, each in a paragraph of its own, indented blocks as code."""
    text = re.sub(
        r"\n(What it does|When to use|When it is wrong|What it writes|What it reads|How to load it|"
        r"Limits|Source):",
        r"\n\n**\1:**",
        docstring,
    )
    blocks = re.split(r"\n\n(?=    )|\n\n(?! )", text)
    told: list[str] = []
    for block in blocks:
        if not block.startswith("    "):
            told.append(block)
        elif told[-1].startswith("```"):  # blank lines within code
            told[-1] = told[-1].removesuffix("\n```") + "\n\n" + dedent(block) + "\n```"
        else:
            told.append("```\n" + dedent(block) + "\n```")
    return "\n\n".join(told)


def _code(text: str) -> str:
    return f"```text\n{text}\n```\n"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return (
        "\n".join(
            "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in line) + " |" for line in lines
        )
        + "\n"
    )


def formats_page() -> str:
    """Every format with a line on what it is, and a link to its page."""
    rows = [
        (
            f"[{name}](formats/{name}.md)",
            "yes" if name in all_importers() else "",
            "yes" if name in all_exporters() else "",
            (all_exporters().get(name) or all_importers()[name]).summary,
        )
        for name in format_names()
    ]
    return "\n".join(
        [
            "# Formats\n",
            "What `curate import SOURCE DIR` reads and `curate export DIR OUT --format NAME` writes. Each is one file",
            "in `src/curate/importers/` and one in `src/curate/exporters/`. Every export also holds `manifest.csv` and",
            "`manifest.parquet` (all rows, with `exported_path`), `classes.json` (index, name and folder of each",
            "class) and `export.json` (what this is; written last). `--croissant` adds `croissant.json`.\n",
            _table(("format", "import", "export", "what it is"), rows),
        ]
    )


def format_names() -> list[str]:
    """Formats that are read or written."""
    return sorted({*all_exporters(), *all_importers()})


def format_page(name: str) -> str:
    """What the modules of one format say."""
    parts = [f"# {name}\n"]
    if exporter := all_exporters().get(name):
        parts += [f"## Export\n\n`curate export DIR OUT --format {name}`\n", _docstring(exporter.write)]
        if exporter.settings.model_fields:
            parts.append("\n" + _settings_table(f"exporters.{name}", exporter.settings))
    if importer := all_importers().get(name):
        parts += [f"\n## Import\n\n`curate import SOURCE DIR --format {name}`\n", _docstring(importer.read)]
    return "\n".join(parts)


def _docstring(function: Callable[..., object]) -> str:
    return _with_code(inspect.getdoc(sys.modules[function.__module__]) or "")


PAGES: dict[str, Callable[[], str]] = {
    "commands.md": commands_page,
    "checks.md": checks_page,
    "labelers.md": labelers_page,
    "settings.md": settings_page,
    "strategies.md": strategies_page,
    "columns.md": columns_page,
    "formats.md": formats_page,
    **{f"formats/{name}.md": partial(format_page, name) for name in format_names()},
}


def main() -> None:
    """Write the pages, or with --check exit with 1 if one differs."""
    outdated = []
    for name, page in PAGES.items():
        text = NOTICE + page().rstrip() + "\n"
        path = DOCS / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            outdated.append(name)
            if "--check" not in sys.argv:
                path.parent.mkdir(exist_ok=True)
                path.write_text(text, encoding="utf-8")
    if "--check" in sys.argv and outdated:
        sys.exit(f"Out of date: {', '.join(outdated)}. Run: make docs")
    sys.stdout.write(f"{'Up to date' if not outdated else 'Written: ' + ', '.join(outdated)}\n")


if __name__ == "__main__":
    main()
