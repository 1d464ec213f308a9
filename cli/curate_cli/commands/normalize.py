"""`curate normalize`: the kept pictures in one size, format and colour space."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from curate_cli import options

if TYPE_CHECKING:
    from curate.normalization import Normalized


@click.command("normalize", short_help="Make the kept images uniform in size and format.")
@options.folder
@click.option("--size", metavar="N|WxH", help="224, or 320x240, in pixels.")
@click.option(
    "--fit",
    type=click.Choice(["crop", "pad", "stretch", "longest"]),
    help="crop (default): fill and cut; pad: add a border; longest: only scale.",
)
@click.option("--crop", type=click.Choice(["centre", "smart"]), help="What --fit crop keeps. Default: the centre.")
@click.option("--background", metavar="#RRGGBB", help="For borders and transparency. Default: white.")
@click.option("--to", "format_", type=click.Choice(["jpeg", "png", "webp"]), help="File format. Default: jpeg.")
@click.option("--quality", type=click.IntRange(1, 100), help="Of JPEG and WebP.")
@click.option("--chroma", type=click.Choice(["444", "422", "420"]), help="Colour resolution of JPEG.")
@click.option("--off", is_flag=True, help="Go back to the original pictures.")
@options.store
@options.config
@options.executor
@options.workers
@options.network
@click.option("--dry-run", is_flag=True, help="Only say how many pictures would be made.")
@options.as_json
def command(
    folder: Path,
    size: str | None,
    fit: str | None,
    crop: str | None,
    background: str | None,
    format_: str | None,
    quality: int | None,
    chroma: str | None,
    off: bool,
    store: Path | None,
    config: Path | None,
    executor: str | None,
    workers: int | None,
    network: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Make the kept images of DIR uniform: size, format, colour space, upright.

    The originals are only read. What is made has no metadata: no GPS, no serial
    numbers, no names. It is kept in the store, once per content, and becomes the
    next version; `curate export` and `curate.load` then use it. Options that you
    leave out are as they were in the last version. docs/normalize.md tells more.

    \b
    Examples:
      curate normalize ./images --size 224
      curate normalize ./images --size 320x240 --fit pad --to png

    Exit code 1: some pictures could not be normalized.
    """
    from curate.normalization import normalize
    from curate_cli.output import bar, print_json, tell_version

    chosen = {
        "size": size,
        "fit": fit,
        "crop": crop,
        "background": background,
        "format": format_,
        "quality": quality,
        "chroma": chroma,
    }
    result = normalize(
        folder,
        store=store,
        config=config,
        changes={f"normalize.{name}": value for name, value in chosen.items() if value is not None},
        off=off,
        executor=executor,
        workers=workers,
        network=network,
        dry_run=dry_run,
        progress=bar,
    )
    tell_version(result.version, is_new=result.is_new)
    if as_json:
        print_json(_plain(result))
    else:
        _print(result, dry_run)
    sys.exit(1 if result.failures else 0)


def _plain(result: Normalized) -> dict[str, object]:
    return {
        "transform": result.transform.as_dict() if result.transform else {},
        "pictures": result.pictures,
        "computed": result.computed,
        "failures": result.failures,
        "notes": result.notes,
        "pixels": result.version.pixels,
        "version": result.version.name,
        "is_new": result.is_new,
    }


def _print(result: Normalized, dry_run: bool) -> None:
    from curate_cli.output import command_line, end_of, home, print_frozen, print_table

    if dry_run:
        click.echo(f"{result.computed:,} pictures would be made, for {result.pictures:,} kept ones. Dry run: none was.")
        return
    if result.transform is None:
        click.echo(f"{home(result.project.folder)}: the pictures are the originals again")
    else:
        click.echo(f"{home(result.project.folder)}: {result.pictures:,} pictures, {_words(result)}")
        click.echo(f"Made now: {result.computed:,}; the others were there.")
        _print_pixels(result)
    for title, lines in (("could not be normalized", result.failures), ("have something to note", result.notes)):
        if lines:
            click.echo(f"\n{len(lines):,} {title}:")
            print_table([(end_of(path), why) for path, why in list(lines.items())[:10]])
    print_frozen(result.version, is_new=result.is_new)
    click.echo("Next")
    for purpose, line in (
        ("hand it to training", command_line("export", result.project, "OUT")),
        ("pin it for a repository", command_line("pin", result.project, "-o", "curate.lock")),
    ):
        click.echo(f"  {purpose:25}{line}")


def _words(result: Normalized) -> str:
    transform = result.transform
    assert transform is not None
    return f"{transform.fit} to {transform.width} x {transform.height} px, {transform.format.upper()}"


def _print_pixels(result: Normalized) -> None:
    pixels = result.version.pixels
    if pixels:
        of = "the training split" if pixels["split"] else "all pictures"
        for name in ("mean", "std"):
            click.echo(f"{name:5}" + " ".join(f"{value:.4f}" for value in pixels[name]) + f"  red, green, blue; {of}")
