"""`curate pin`: a lock file for a training repository."""

from __future__ import annotations

from pathlib import Path

import click

from curate_cli import options


@click.command("pin", short_help="Write a lock file for a training repository.")
@click.argument("folder", metavar="DIR[@V]")
@click.option("-o", "--output", type=click.Path(path_type=Path), default="curate.lock", show_default=True)
@click.option("--sources", is_flag=True, help="Pin sources and transform, not the bytes of normalized images.")
@options.store
@options.as_json
def command(folder: str, output: Path, sources: bool, store: Path | None, as_json: bool) -> None:
    """Tie a training repository to one version of DIR by a small lock file.

    Commit the file to the repository. There, `curate.load("curate.lock")` and
    `curate verify curate.lock` fail loudly if anything is not as it was. With
    --sources, normalized pictures may be made anew on another machine, where
    other releases of the image libraries may give them other bytes.

    \b
    Examples:
      curate pin ./images -o curate.lock
      curate pin ./images@v3 -o ../training/curate.lock
    """
    from curate.pins import pin
    from curate.storage import is_remote
    from curate_cli.output import home, print_json

    path, version = _split(folder)
    done = pin(path, version, output, sources=sources, store=store)
    if as_json:
        print_json({"file": done.file, **done.lock.model_dump()})
        return
    lock = done.lock
    click.echo(f"{home(done.file)} pins {lock.dataset} {lock.version} ({lock.id[:12]}): {lock.pictures:,} images")
    network = ", network=True" if is_remote(lock.dataset) else ""
    click.echo(f'In Python: curate.load("{done.file.name}"{network})')


def _split(folder: str) -> tuple[str, str | None]:
    """images@v3 -> images, v3; a folder that is really called so is meant itself."""
    name, at, version = folder.rpartition("@")
    return (name, version) if at and name and not Path(folder).is_dir() else (folder, None)
