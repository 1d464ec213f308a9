"""`curate clean` beside CleanVision, fastdup and imagededup: the same files, in the same run.

    python benchmarks/peers.py --data ../shared/data --scratch /tmp/peers      (writes benchmarks/results/peers.txt)

Each peer has an environment of its own in --scratch, made from PyPI on first use; where that fails the result says so.
Each run is a whole process with the peer's defaults, on all cores, without network, ended after LIMIT_S. They do not
do the same work: CleanVision looks for nine issues, fastdup for copies and outliers by vectors of a network, imagededup
for copies by a perceptual hash (its networks want weights from the internet); curate runs all checks.

Told beside the cost: which copies are found. Planted are edited photographs (all kinds of quality_duplicates.py, and
byte copies) and the copies among the made pictures of scale_pictures.py. A copy is found when it is in one group, or
paired, with a picture of the same photograph; a false alarm is a picture that is grouped with one of another
photograph. Blank pictures are told apart: whether they are copies of each other is a matter of taste. On broken/ the
oracle is Pillow, as in quality_broken.py.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from processes import Watched, header, run_watched, write_result
from quality_broken import oracle
from quality_duplicates import EDITS, edited_file
from scale_pictures import write_pictures
from scale_planted import CLASSES, kind_of, link_pictures, path_of

LIMIT_S = 300.0
EDITED = 20  # photographs, each in every kind of edit
MADE = (1_000, 10_000)
INSTALL_S = 900.0

# Each runs in the peer's environment: argv = folder, work folder, answer file. The answer: {"groups": [[path, …], …],
# "unreadable": [path, …]}, paths relative to the folder.
CLEANVISION = """
import json, os, sys
from cleanvision import Imagelab
if __name__ == "__main__":
    folder, work, answer = sys.argv[1:]
    lab = Imagelab(data_path=folder)
    lab.find_issues(verbose=False)
    groups = [one for kind in ("exact_duplicates", "near_duplicates") for one in lab.info[kind]["sets"]]
    groups = [[os.path.relpath(path, folder) for path in one] for one in groups]
    json.dump({"groups": groups, "unreadable": []}, open(answer, "w"))
"""
FASTDUP = """
import json, os, sys
folder, work, answer = sys.argv[1:]
os.environ |= {"SENTRY_OPT_OUT": "1", "HOME": work}  # it would leave a token and a cache in the user's home
import fastdup
if __name__ == "__main__":
    lab = fastdup.create(work_dir=work, input_dir=folder)
    lab.run(overwrite=True)
    found = lab.connected_components()[0]
    groups = {}
    for row in found.to_dict("records") if found is not None else ():
        path = row.get("filename") or row.get("img_filename") or row.get("filename_x")
        groups.setdefault(row["component_id"], []).append(os.path.relpath(os.path.abspath(path), folder))
    bad = [os.path.relpath(os.path.abspath(path), folder) for path in lab.invalid_instances()["filename"]]
    groups = [one for one in groups.values() if len(one) > 1]
    json.dump({"groups": groups, "unreadable": bad}, open(answer, "w"))
"""
IMAGEDEDUP = """
import json, os, sys
from unittest.mock import MagicMock
try:
    import torchvision
except (ImportError, RuntimeError):  # built for another torch; only the networks of imagededup use it, not the hash
    for name in ("", ".models", ".models.vision_transformer", ".transforms"):
        sys.modules["torchvision" + name] = MagicMock()
from imagededup.methods import PHash
if __name__ == "__main__":
    folder, work, answer = sys.argv[1:]
    method = PHash(verbose=False)
    hashes = method.encode_images(image_dir=folder, recursive=True)
    found = method.find_duplicates(encoding_map=hashes)
    files = [os.path.relpath(os.path.join(at, name), folder) for at, _, names in os.walk(folder) for name in names]
    groups = [[path, other] for path, others in found.items() for other in others]
    json.dump({"groups": groups, "unreadable": sorted(set(files) - set(hashes))}, open(answer, "w"))
"""


@dataclass(frozen=True)
class Peer:
    """A program to compare with. packages: what is installed for it."""

    name: str
    packages: tuple[str, ...]
    script: str


PEERS = (
    Peer("CleanVision 0.3.7", ("cleanvision==0.3.7",), CLEANVISION),
    Peer("fastdup 2.54", ("fastdup==2.54",), FASTDUP),
    Peer("imagededup 0.3.3", ("imagededup==0.3.3.post2", "torch==2.13.0", "torchvision==0.28.0"), IMAGEDEDUP),
)
OURS = "curate clean"


@dataclass(frozen=True)
class Answer:
    """What a program found. groups: of pictures that it takes for one photograph. unreadable: paths."""

    groups: list[list[str]]
    unreadable: set[str]

    def partners(self) -> dict[str, set[str]]:
        """Path -> the paths that share a group with it."""
        found: dict[str, set[str]] = {}
        for group in self.groups:
            for path in group:
                found.setdefault(path, set()).update(group)
        return {path: others - {path} for path, others in found.items()}


@dataclass(frozen=True)
class Ran:
    """One program on one folder. answer: None if it came to none."""

    name: str
    watched: Watched
    answer: Answer | None


@dataclass(frozen=True)
class Truth:
    """photograph: path -> which photograph it shows. copies: paths that are copies. blank, damaged: paths."""

    photograph: dict[str, str]
    copies: set[str]
    blank: set[str]
    damaged: set[str]


# ---- Running


def installed(peer: Peer, scratch: Path) -> tuple[Path | None, str]:
    """The Python of the peer's own environment, made if missing; None and the error where that fails."""
    home = scratch / "environments" / peer.name.replace(" ", "-")
    python, ready = home / "bin" / "python", home / "ready"
    if ready.exists():
        return python, ""
    try:
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(home)], check=True, capture_output=True)
        line = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *peer.packages]
        subprocess.run(line, check=True, capture_output=True, text=True, timeout=INSTALL_S)
    except (subprocess.SubprocessError, OSError) as error:
        said = str(getattr(error, "stderr", "") or error).strip()
        return None, said.splitlines()[-1][-200:] if said else repr(error)
    ready.touch()
    return python, ""


def without_network() -> list[str]:
    """What a command line begins with so that the program has no network. Exits where the system can't do that.

    fastdup asks for its newest version and calls its makers' server for crash reports even with SENTRY_OPT_OUT=1, as
    strace shows (2.54); pictures that somebody lent us are not to be analysed with an open line.
    """
    line = ["unshare", "--map-root-user", "--net"]
    try:
        subprocess.run([*line, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        sys.exit(
            "The peers are only run without a network, by `unshare --map-root-user --net` (Linux), which fails here."
        )
    return line


def run_peer(peer: Peer, python: Path, folder: Path, work: Path) -> Ran:
    """Run to its end or for LIMIT_S."""
    script, answer = work / "peer.py", work / "answer.json"
    script.write_text(peer.script)
    line = [str(python), str(script), str(folder), str(work / "work"), str(answer)]
    watched = run_watched([*without_network(), *line], LIMIT_S)
    if watched.code != 0 or not answer.exists():
        return Ran(peer.name, watched, None)
    said = json.loads(answer.read_text())
    return Ran(peer.name, watched, Answer(said["groups"], set(said["unreadable"])))


def run_curate(folder: Path, work: Path) -> Ran:
    """`curate clean`, all checks on; its table is read afterwards."""
    curate, store = str(Path(sys.executable).parent / "curate"), str(work / "store")
    watched = run_watched([*without_network(), curate, "clean", str(folder), "--store", store], LIMIT_S)
    columns = "path,duplicate_group,read_error"
    table = [curate, "table", str(folder), "--store", store, "--format", "json", "--columns", columns]
    done = subprocess.run(table, capture_output=True, text=True, check=False)
    if done.returncode:
        return Ran(OURS, watched, None)
    groups: dict[str, list[str]] = {}
    rows = json.loads(done.stdout)
    for row in rows:
        if row["duplicate_group"]:
            groups.setdefault(row["duplicate_group"], []).append(row["path"])
    return Ran(OURS, watched, Answer(list(groups.values()), {row["path"] for row in rows if row["read_error"]}))


def run_all(folder: Path, pythons: dict[str, Path], scratch: Path) -> list[Ran]:
    """Every program on one folder, one after the other."""
    ran = []
    for name in (OURS, *pythons):
        with tempfile.TemporaryDirectory(dir=scratch) as work:
            peers = [peer for peer in PEERS if peer.name == name]
            one = run_peer(peers[0], pythons[name], folder, Path(work)) if peers else run_curate(folder, Path(work))
        print(f"{folder.name:12}{name:20}{one.watched.cpu_s:8.1f} CPU s  {failure(one)}", file=sys.stderr)
        ran.append(one)
    return ran


# ---- What is planted


def made_pictures(count: int, scratch: Path) -> tuple[Path, Truth]:
    """So many pictures of scale_pictures.py."""
    folder = scratch / f"{count} made"
    write_pictures(scratch / "pool", range(count))
    link_pictures(scratch / "pool", folder, range(count))
    kinds = {number: kind_of(number) for number in range(count)}
    copies = {number for number, kind in kinds.items() if kind.endswith("copy")}
    shown = {path_of(number): str(number - CLASSES if number in copies else number) for number in kinds}
    return folder, Truth(
        shown,
        {path_of(number) for number in copies},
        {path_of(number) for number, kind in kinds.items() if kind == "blank"},
        {path_of(number) for number, kind in kinds.items() if kind == "damaged"},
    )


def edited_photos(data: Path, scratch: Path) -> tuple[Path, Truth]:
    """All of photos/, and the first few of them again: as they are, and in every kind of edit."""
    folder = scratch / "edited"
    folder.mkdir(exist_ok=True)
    photos = sorted((data / "photos").iterdir())
    shown, copies = {}, set()
    for photo in photos:
        shown[photo.name] = photo.stem
        shutil.copyfile(photo, folder / photo.name)
    for photo in photos[:EDITED]:
        for number, edit in enumerate([None, *EDITS.values()]):
            name = f"{photo.stem} edit {number:02d}.jpg"
            shown[name] = photo.stem
            copies.add(name)
            if not (folder / name).exists():
                (folder / name).write_bytes(edited_file(photo, edit) if edit else photo.read_bytes())
    return folder, Truth(shown, copies, set(), set())


def broken_files(data: Path) -> tuple[Path, Truth]:
    """broken/, with Pillow's verdicts; formats that Pillow does not read, or we do not, are left out of them."""
    folder = data / "broken"
    files = [file for file in folder.rglob("*") if file.is_file() and not file.name.startswith(".")]
    verdicts = {file.relative_to(folder).as_posix(): oracle(file) for file in files}
    bad = {path for path, verdict in verdicts.items() if verdict == "bad"}
    return folder, Truth({path: path for path, verdict in verdicts.items() if verdict == "good"}, set(), set(), bad)


# ---- Telling


def failure(one: Ran) -> str:
    """How it failed, in a line, or ""."""
    if one.watched.code is None:
        return f"ended after {LIMIT_S:.0f} s"
    if one.answer is not None:
        return ""
    last = one.watched.said.splitlines()[-1] if one.watched.said else ""
    return f"exit code {one.watched.code}: {last[:80]}"


def costs(title: str, files: int, ran: Sequence[Ran], quality: Callable[[Answer], str], columns: str) -> list[str]:
    """The table of one folder."""
    lines = [f"{title}: {files:,} files", f"{'':20}{'CPU s':>8}{'wall s':>8}{'peak MB':>9}{columns}"]
    for one in ran:
        spent = f"{one.watched.cpu_s:8.1f}{one.watched.wall_s:8.1f}{one.watched.peak_mb:9.0f}"
        told = quality(one.answer) if one.answer and not failure(one) else f"  {failure(one)}"
        lines.append(f"{one.name:20}{spent}{told}")
    return [*lines, ""]


def copies_found(truth: Truth) -> Callable[[Answer], str]:
    """Copies found, false alarms, blank pictures called copies, damaged files found."""

    def told(answer: Answer) -> str:
        partners, shown = answer.partners(), truth.photograph
        found = [path for path in truth.copies if any(shown.get(o) == shown[path] for o in partners.get(path, ()))]
        false = [
            path
            for path, others in partners.items()
            if path in shown and path not in truth.blank
            if any(shown.get(other) != shown[path] for other in others)
        ]
        blank = sum(1 for path in truth.blank if partners.get(path))
        return (
            f"{f'{len(found):,} of {len(truth.copies):,}':>16}{len(false):>14,}{f'{blank} of {len(truth.blank)}':>14}"
            f"{f'{len(truth.damaged & answer.unreadable)} of {len(truth.damaged)}':>12}"
        )

    return told


def verdicts(truth: Truth) -> Callable[[Answer], str]:
    """Damaged files found, good files called damaged."""

    def told(answer: Answer) -> str:
        found = f"{len(truth.damaged & answer.unreadable)} of {len(truth.damaged)}"
        return f"{found:>16}{len(answer.unreadable & set(truth.photograph)):>20}"

    return told


def in_groups(answer: Answer) -> str:
    """How many pictures have a partner."""
    return f"{len(answer.partners()):>20,}"


def main() -> None:
    """Install the peers, run everything, write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--scratch", type=Path, default=Path(tempfile.gettempdir()) / "curate-peers")
    parser.add_argument("--made", type=int, nargs="*", default=MADE, help="how many made pictures")
    options = parser.parse_args()
    if not (options.data / "photos").is_dir():
        sys.exit(f"There is no folder {options.data / 'photos'}: give one with --data.")
    data, scratch = options.data.resolve(), options.scratch.resolve()
    scratch.mkdir(parents=True, exist_ok=True)
    lines = header("curate clean beside its peers", ["curate", "pillow", "simplejpeg", "numpy", "pandas"])
    lines[-1:] = [
        "No program has a network. photos, pets and caltech12 have no truth: what is in groups may be right.",
        "",
    ]
    pythons = {}
    for peer in PEERS:
        python, error = installed(peer, scratch)
        if python:
            pythons[peer.name] = python
        else:
            lines.append(f"{peer.name} could not be installed: {error}")
    write_result("peers.txt", [*lines, *compared(data, scratch, pythons, options.made)])


def compared(data: Path, scratch: Path, pythons: dict[str, Path], made: Sequence[int]) -> list[str]:
    """One table per folder."""
    lines = []
    for name in ("photos", "pets", "caltech12"):
        files = sum(1 for file in (data / name).rglob("*") if file.is_file())
        lines += costs(name, files, run_all(data / name, pythons, scratch), in_groups, f"{'pictures in groups':>20}")
    planted = f"{'copies found':>16}{'false alarms':>14}{'blank':>14}{'damaged':>12}"
    folder, truth = edited_photos(data, scratch)
    title = f"photos/ and {EDITED} of them in {len(EDITS)} kinds of edits and as byte copies"
    lines += costs(title, len(truth.photograph), run_all(folder, pythons, scratch), copies_found(truth), planted)
    for count in made:
        folder, truth = made_pictures(count, scratch)
        lines += costs("made pictures", count, run_all(folder, pythons, scratch), copies_found(truth), planted)
    folder, truth = broken_files(data)
    files = len(truth.photograph) + len(truth.damaged)
    title, columns = "broken/, with verdicts of Pillow", f"{'damaged found':>16}{'good called damaged':>20}"
    return lines + costs(title, files, run_all(folder, pythons, scratch), verdicts(truth), columns)


if __name__ == "__main__":
    main()
