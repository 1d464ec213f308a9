"""`curate export`: the kept pictures, in the format of another tool."""

from __future__ import annotations

from pathlib import Path

import click

from curate_cli import options


@click.command("export", short_help="Write the kept images for another tool.")
@options.folder
@click.argument("out")
@click.option("--format", "format_", default="imagefolder", show_default=True, help="See `curate formats`.")
@options.version
@click.option("--copy", is_flag=True, help="Always copy bytes, for who is going to edit the files.")
@click.option("--croissant", is_flag=True, help="Describe the data set in croissant.json, too.")
@click.option("--card", is_flag=True, help="Describe it for people in README.md, as `curate card` does.")
@options.network
@options.store
@options.config
@options.assignments
@options.as_json
def command(
    folder: Path,
    out: str,
    format_: str,
    version: str | None,
    copy: bool,
    croissant: bool,
    card: bool,
    network: bool,
    store: Path | None,
    config: Path | None,
    assignments: tuple[str, ...],
    as_json: bool,
) -> None:
    """Write the kept images of a version to the new folder OUT.

    Files share their bytes with the originals where the file system can
    (reflink, else hard link), so an export takes no space; --copy makes
    independent files. OUT also gets manifest.csv and manifest.parquet, with
    every row. Run again, it writes nothing that is there already.

    \b
    Examples:
      curate export ./images ./train
      curate export ./images ./hub --format huggingface --croissant --card
      curate export ./images s3://bucket/train --format webdataset --network
    """
    from curate.exporting import export
    from curate_cli.output import bar, name_some, print_json, print_notes

    done = export(
        folder,
        out,
        version,
        format=format_,
        copy=copy,
        croissant=croissant,
        card=card,
        network=network,
        store=store,
        config=config,
        changes=options.changes(assignments, {}),
        progress=bar,
    )
    if as_json:
        print_json(done)
        return
    what = f"{done.images:,} images of {done.version} in {done.classes:,} classes"
    how = "were there already" if done.already else done.method
    click.echo(f"{done.format}: {what}: {_shown(done.out)} ({how})")
    if done.left_out:
        why = next(iter(done.left_out.values()))
        click.echo(f"Left out: {len(done.left_out):,} ({why}): {name_some([*done.left_out])}")
    print_notes(done.notes)
    if done.method == "hard link":
        click.echo("These files are second names of files that curate relies on. To edit them, use --copy.")


def _shown(out: Path | str) -> str:
    from curate_cli.output import home

    return home(out) if isinstance(out, Path) else out
