"""Compare what `curate` found in the sample dataset with what was planted there.

    curate table sample_datasets/road_signs --format csv > table.csv
    python sample_datasets/score.py table.csv

Copies count as found when either of the two is flagged, since the better one is kept. Other flags on a picture
that is spoiled anyway are no false alarms: who calls a shaken picture poor in information is not wrong.
"""

from __future__ import annotations

import argparse
import csv
import sys
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

KEY = Path(__file__).parent / "road_signs.key.csv"
SPOILED = {"underexposed", "overexposed", "blurry", "truncated", "empty", "not_an_image", "off_topic"}
MISPLACED = {"wrong_label", "off_topic", "label_conflict"}
DUPLICATE_CHECKS = {"exact_duplicate", "near_duplicate", "label_conflict"}
LATER_CHECKS = {"label_error", "outlier"}  # `curate flag` finds them; `curate clean` does not look for them
NOTHING_PLANTED = "(nothing planted)"
ORDINARY = "(ordinary)"


@dataclass(frozen=True)
class Score:
    """One line of the comparison.

    fault: as in the key; NOTHING_PLANTED for a check that has nothing to find here; ORDINARY for all pictures without
    a fault or a copy. check: who should find it; "" where the right verdict is to keep the picture. found: how many
    got the right verdict, None when nobody has looked for it yet.
    missed, false_alarms: paths. A check's false alarms stand in the first line of that check only.
    """

    fault: str
    check: str
    planted: int
    found: int | None
    missed: tuple[str, ...] = ()
    false_alarms: tuple[str, ...] = ()


@dataclass(frozen=True)
class Verdicts:
    """What the table says of each path. group: of duplicates, only where there is one."""

    flags: dict[str, set[str]]
    group: dict[str, str]
    kept: set[str]

    def finds(self, row: dict[str, str]) -> bool:
        """Whether a row of the key got the verdict that it deserves."""
        path, original, check = row["path"], row["original"], row["check"]
        if not check:
            return path in self.kept
        if check in self.flags.get(path, set()) | self.flags.get(original, set()):
            return True
        same_group = path in self.group and self.group.get(path) == self.group.get(original)
        return same_group and check != "label_conflict"  # grouped, but nobody said that the labels disagree


def score(key_csv: Path, table: pd.DataFrame) -> list[Score]:
    """One line per kind of fault, in the key's words, one per check with nothing to find that flagged, and ORDINARY.

    table: as `curate table` prints it; needs path, keep and flags, uses duplicate_group and a column per later check.
    Raises ValueError if one of the needed columns is absent.
    """
    with key_csv.open(newline="", encoding="utf-8") as file:
        key = list(csv.DictReader(file))
    verdicts = _verdicts(table)
    looked_for = {check for flags in verdicts.flags.values() for check in flags} | set(table.columns)
    alarms = _false_alarms(key, verdicts)
    scores = []
    for fault, check in dict.fromkeys((row["fault"], row["check"]) for row in _by_check(key)):
        rows = [row for row in key if row["fault"] == fault]
        if check in LATER_CHECKS - looked_for:
            scores.append(Score(fault, check, len(rows), None))
            continue
        missed = tuple(row["path"] for row in rows if not verdicts.finds(row))
        scores.append(Score(fault, check, len(rows), len(rows) - len(missed), missed, alarms.pop(check, ())))
    scores += [Score(NOTHING_PLANTED, check, 0, 0, (), paths) for check, paths in sorted(alarms.items())]
    return [*scores, _ordinary(key, verdicts)]


def _ordinary(key: list[dict[str, str]], verdicts: Verdicts) -> Score:
    copied = {row["original"] for row in key}  # may be dropped in favour of its copy
    paths = [row["path"] for row in key if not row["fault"] and row["path"] not in copied]
    dropped = tuple(path for path in paths if path not in verdicts.kept)
    return Score(ORDINARY, "", len(paths), len(paths) - len(dropped), dropped)


def _by_check(key: list[dict[str, str]]) -> list[dict[str, str]]:
    """The faults: those `clean` looks for before those of `flag`, those without a check last."""
    faults = [row for row in key if row["fault"]]
    return sorted(faults, key=lambda row: (not row["check"], row["check"] in LATER_CHECKS, row["check"], row["fault"]))


def _verdicts(table: pd.DataFrame) -> Verdicts:
    needed = {"path", "keep", "flags"}
    absent = needed - set(table.columns)
    if absent:
        raise ValueError(f"the table has no column {', '.join(sorted(absent))}; `curate table DIR` prints one that has")
    used = table[[name for name in table.columns if name in {*needed, "duplicate_group", *LATER_CHECKS}]]
    rows = used.astype(object).where(used.notna(), "").astype(str).to_dict("records")
    flags = {row["path"]: set(filter(None, row["flags"].split(";"))) for row in rows}
    for row in rows:
        flags[row["path"]] |= {check for check in LATER_CHECKS if row.get(check, "").lower() == "true"}
    return Verdicts(
        flags=flags,
        group={row["path"]: row["duplicate_group"] for row in rows if row.get("duplicate_group")},
        kept={row["path"] for row in rows if row["keep"].lower() == "true"},
    )


def _false_alarms(key: list[dict[str, str]], verdicts: Verdicts) -> dict[str, tuple[str, ...]]:
    """Paths that a check flagged without reason, by check."""
    copies = {path for row in key if row["original"] for path in (row["path"], row["original"])}
    alarms: dict[str, list[str]] = {}
    for row in key:
        for check in verdicts.flags.get(row["path"], ()):
            if check in DUPLICATE_CHECKS:
                justified = row["path"] in copies
            else:
                justified = row["fault"] in SPOILED or (check in LATER_CHECKS and row["fault"] in MISPLACED)
            if not justified:
                alarms.setdefault(check, []).append(row["path"])
    return {check: tuple(sorted(paths)) for check, paths in alarms.items()}


def format_score(scores: list[Score], examples: int = 3) -> str:
    """The comparison as text of at most 80 columns. examples: how many paths to name for each kind of mistake."""
    lines = [f"{'planted fault':<18}{'check':<18}{'planted':>8}{'found':>7}{'false alarms':>14}"]
    lines += [_format_line(line) for line in scores if line.fault != ORDINARY]
    faults = [line for line in scores if line.found is not None and line.fault != ORDINARY]
    planted, found = sum(line.planted for line in faults), sum(line.found or 0 for line in faults)
    lines.append(f"{'together':<36}{planted:>8}{found:>7}{sum(len(line.false_alarms) for line in faults):>14}")
    lines += [f"{line.found} of {line.planted} ordinary pictures kept" for line in scores if line.fault == ORDINARY]
    for line in faults:
        lines += _examples(f"missed {line.fault}", line.missed, examples)
        lines += _examples(f"false alarm {line.check}", line.false_alarms, examples)
    return "\n".join(lines)


def _format_line(line: Score) -> str:
    start = f"{line.fault:<18}{line.check or '(none: keep it)':<18}{line.planted:>8}"
    if line.found is None:
        return f"{start}  not looked for yet (curate flag)"
    return f"{start}{line.found:>7}{len(line.false_alarms) or '-':>14}"


def _examples(what: str, paths: tuple[str, ...], count: int) -> list[str]:
    more = [f"  ... and {len(paths) - count} more"] if len(paths) > count else []
    return [f"  {what}: {path}"[:80] for path in paths[:count]] + more


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", help="a CSV file written by `curate table`, or - for standard input")
    parser.add_argument("--key", type=Path, default=KEY, help="the answer key")
    arguments = parser.parse_args()
    source = sys.stdin if arguments.table == "-" else arguments.table
    print(format_score(score(arguments.key, pd.read_csv(source, dtype=str))))


if __name__ == "__main__":
    main()
