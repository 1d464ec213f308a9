"""How the record of a run is printed: what ran, on what, and how long each stage took."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from curate_cli.output import print_table
from curate_cli.progress_line import duration, size_of


def print_run(record: Mapping[str, Any]) -> None:
    """The record of `curate.history.run_record`, in 80 columns; nothing of an empty one."""
    if not record:
        return
    at, executor = record["machine"], record.get("executor")
    memory, opened = record["peak_memory_bytes"], record.get("opened")
    where = f"{executor}, {record['workers']:,} at a time" if record.get("workers") else executor
    took = f"{exact(record['seconds'])}, {exact(record['cpu_seconds'])} of CPU"
    click.echo("\nThe run that made it")
    rows = [
        ("command", record["command_line"] or f"{record['command']}, called from Python"),
        ("took", took + (f", {size_of(memory)} of memory at most" if memory else "")),
        ("opened", "" if opened is None else f"{opened:,} images"),
        ("executor", where),
        ("model", record.get("model")),
        ("machine", f"{at['host']}: {at['cores']:,} cores, {at['system']}, Python {at['python']}"),
    ]
    print_table([row for row in rows if row[1]])
    click.echo()
    _print_stages(record)


def _print_stages(record: Mapping[str, Any]) -> None:
    """A line for each stage, and one for what is between them."""
    rows: list[tuple[str, ...]] = [("stage", "time", "CPU", "items", "bytes", "errors")]
    for one in record["stages"]:
        items, errors = (f"{one[name]:,}" if one[name] else "" for name in ("items", "errors"))
        read = size_of(one["size_bytes"]) if one["size_bytes"] else ""
        rows.append((one["stage"], exact(one["seconds"]), exact(one["cpu_seconds"]), items, read, errors))
    rest = [record[name] - sum(one[name] for one in record["stages"]) for name in ("seconds", "cpu_seconds")]
    rows.append(("between them", *(exact(max(seconds, 0)) for seconds in rest), "", "", ""))
    print_table(rows, right=(1, 2, 3, 4))


def exact(seconds: float) -> str:
    """0.04 s, 5.3 s, 48 s, 4 min 10 s."""
    if seconds >= 10:
        return duration(seconds)
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds:.2f} s"
