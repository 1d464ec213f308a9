"""`curate export`: the kept pictures, as class folders."""

from __future__ import annotations

from pathlib import Path

import click

from curate_cli import options


@click.command("export", short_help="Write the kept images as class folders.")
@options.folder
@click.argument("out", type=click.Path(path_type=Path))
@options.version
@click.option("--copy", is_flag=True, help="Always copy bytes, for who is going to edit the files.")
@options.store
@options.as_json
def command(folder: Path, out: Path, version: str | None, copy: bool, store: Path | None, as_json: bool) -> None:
    """Write the kept images of a version to OUT, one folder per class.

    Files share their bytes with the originals where the file system can
    (reflink, else hard link), so an export takes no space; --copy makes
    independent files. OUT also gets manifest.csv and manifest.parquet.

    \b
    Examples:
      curate export ./images ./train
      curate export ./images ./train --version v1 --copy
    """
    from curate.exporters.imagefolder import export
    from curate_cli.output import bar, home, print_json

    done = export(folder, out, version, copy=copy, store=store, progress=bar)
    if as_json:
        print_json(done)
        return
    click.echo(
        f"{done.images:,} images of {done.version} in {done.classes:,} class folders: {home(out)} ({done.method})"
    )
    if done.method == "hard link":
        click.echo("These files are the originals under a second name. To edit them, export with --copy.")
