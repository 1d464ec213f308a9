"""Label errors that people verified: the votes of the study of Northcutt et al. 2021, recounted from a `--votes` file.

    python benchmarks/votes.py --data ../shared/data        (also a part of benchmarks/labels.py)

The columns after alpha come from the same file by `curate review --import` and `curate apply`: through the log of
decisions, into a version. Its pictures are made up, as votes are about paths.

Five people saw each flagged picture and chose the given label, another, both or neither. Only who chose the given
label alone confirms it. Where the guessed label is the given one, the study counts the same five people twice.
The second table asks how good a consensus is without the given label: five annotators of CIFAR-10N stand in for a
crowd (three real ones and two who guess), truth is the published clean label.
"""

from __future__ import annotations

import csv
import json
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

import curate
from curate.answers import import_answers
from curate.verdicts import Overruled
from curate.votes import judge_votes, read_votes, verified_errors
from processes import data_folder, header, write_result


def write_votes(source: Path, target: Path) -> dict[str, str]:
    """The study's counts as one row per person: path, annotator, label. Returns the given label of each path."""
    given = {}
    with target.open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["path", "annotator", "label"])
        for one in json.loads(source.read_text(encoding="utf-8")):
            path, counts = f"{one['id']:05d}.png", dict(one["mturk"])
            given[path] = one["given_original_label_name"]
            if one["our_guessed_label"] == one["given_original_label"]:
                del counts["guessed"]
            words = {"given": given[path], "guessed": one["our_guessed_label_name"]}
            people = [words.get(choice, choice) for choice, count in counts.items() for _ in range(count)]
            table.writerows([path, f"person {number}", label] for number, label in enumerate(people, 1))
    return given


def rows(data: Path) -> list[str]:
    """Both tables."""
    folder = data / "label_errors"
    through = f"{'by the log':>12}{'relabelled':>12}{'dropped':>9}{'waiting':>9}"
    lines = [
        "Label errors verified by people",
        f"{'':10}{'pictures':>10}{'errors':>8}{'published':>11}{'alpha':>8}" + through,
    ]
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "votes.csv"
        for name, published in (("mnist", 15), ("cifar10", 54)):
            given = write_votes(folder / f"{name}_votes.json", file)
            votes = read_votes(file)
            errors = verified_errors(votes, given)
            alpha = judge_votes(votes).alpha
            found = through_the_log(Path(scratch) / name, file, given)
            became = (found.total, len(found.relabelled), len(found.dropped), len(found.unsettled))
            lines.append(
                f"{name:10}{len(errors):10}{errors.sum():8}{published:11}{alpha:8.2f}"
                + "{:12}{:12}{:9}{:9}".format(*became)
            )
        return [*lines, "", *_consensus(folder, file)]


def through_the_log(folder: Path, votes: Path, given: dict[str, str]) -> Overruled:
    """What becomes of the labels that the votes overrule, in a folder of made-up pictures with these labels."""
    rng = np.random.default_rng(1)
    labels = folder.with_suffix(".csv")
    folder.mkdir()
    for path in given:
        Image.fromarray(rng.integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(folder / path)
    with labels.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([("path", "label"), *given.items()])
    curate.clean(folder, changes={"scan.labels": str(labels)})
    import_answers(folder, votes)
    return curate.apply(folder).overruled


def _consensus(folder: Path, file: Path) -> list[str]:
    """How often the consensus is the clean label, and how sure it said it was."""
    rng = np.random.default_rng(5)
    with (folder / "cifar10n.csv").open(encoding="utf-8", newline="") as stream:
        pictures = list(csv.DictReader(stream))[:2000]
    truth = {row["path"]: row["clean_label"] for row in pictures}
    with file.open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["path", "annotator", "label"])
        for row in pictures:
            real = [(f"real {number}", row[f"random_label{number}"]) for number in (1, 2, 3)]
            guessed = [(f"guesses {number}", str(rng.integers(10))) for number in (1, 2)]
            table.writerows([row["path"], *vote] for vote in [*real, *guessed])
    votes = read_votes(file)
    judged = judge_votes(votes)
    right = judged.pictures["vote_label"].to_numpy() == judged.pictures["path"].map(truth).to_numpy()
    most = votes.groupby("path")["label"].agg(lambda labels: labels.mode()[0])
    majority = (most == most.index.map(truth)).mean()
    said = judged.pictures["vote_quality"].mean()
    lines = ["Consensus of 3 real annotators and 2 who guess, 2,000 pictures of CIFAR-10N, no model"]
    lines.append(f"right {right.mean():.3f}, said to be right {said:.3f}; a plain majority is right {majority:.3f}")
    lines += [f"  {one.annotator:12} quality {one.quality:.2f}" for one in judged.annotators.itertuples()]
    return lines


def main() -> None:
    """Print and keep the tables."""
    data = data_folder(__doc__, "label_errors")
    write_result("votes.txt", [*header("curate: votes", ["curate", "krippendorff"]), *rows(data)])


if __name__ == "__main__":
    main()
