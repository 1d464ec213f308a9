"""Labels and splits: what the source says of each picture, by folder names or in a file.

`label` and `given_split` are the source's word and never change; what models suggest and people decide stands in
other columns.
"""

from __future__ import annotations

import json
import posixpath
import warnings
from collections.abc import Callable, Set
from pathlib import Path
from typing import TYPE_CHECKING

from curate.errors import SourceError
from curate.paths import to_text
from curate.rows import as_arrow

if TYPE_CHECKING:
    import pandas as pd

UNLABELED = "_unlabeled"  # FiftyOne's name for the class folder of pictures without a class
NO_CLASSES = ("(neither)", "(both)")  # what people say where it is none of the classes, or several; see `agreement`
LONGEST_LABEL = 200  # characters, as many as a folder of that name may have on every system
IMPORTED = "imported"  # the value of `scan.labels` that `curate import` writes: labels are in the store
TRAIN, VAL, TEST = "train", "val", "test"
# Names of splits in the wild -> ours. Origin: torchvision, Keras, Ultralytics, Hugging Face datasets.
SPLITS = {
    **dict.fromkeys(("train", "training"), TRAIN),
    **dict.fromkeys(("val", "valid", "validation", "dev"), VAL),
    **dict.fromkeys(("test", "testing", "eval", "evaluation"), TEST),
}
SPLIT_NAMES = frozenset(SPLITS)
PATH_COLUMNS = ("path", "file_name", "filename", "file", "image")
LABEL_COLUMNS = ("label", "class", "category", "class_name")
SPLIT_COLUMNS = ("split", "subset")


def add_labels(files: pd.DataFrame, source: str) -> pd.DataFrame:
    """The scanned table with a column `label` (NA = none) and, where the source has splits, `given_split`.

    A path that a label file lists, but that the scan did not find, gets a row without size: it is never opened, so
    that a list can't lead out of the folder by a symbolic link.
    source: "folders", "none" or the path of a CSV, JSONL or Parquet file, relative to the current folder.
    Raises SourceError when the label file can't be understood.
    """
    import pandas as pd

    if source == "none":
        return files.assign(label=pd.Series(pd.NA, index=files.index, dtype="str"))
    if source == "folders":
        named = files.assign(label=labels_from_folders(files["path"]))
        folders = Folders(files["path"])
        return named.assign(given_split=folders.each(_first_folder_split)) if folders.are_splits else named
    return _join(files, read_label_file(Path(source), set(files["path"])))


def require_label(label: str) -> None:
    """Raises SourceError for what a person can't label a picture with."""
    if not label.strip():
        raise SourceError("A picture can't be relabelled to nothing.", "Give the right label, or drop the picture.")
    if label in (UNLABELED, *NO_CLASSES):
        raise SourceError(f"{label!r} can't be a class: it says that a picture has none.", "Give another name.")
    if not label.isprintable() or label != label.strip() or len(label) > LONGEST_LABEL:
        raise SourceError(
            f"{label[:80]!r} can't be the name of a class: expected up to {LONGEST_LABEL} characters that can be seen, "
            "without blanks around them.",
            "Give another name.",
        )


def canonical_split(name: str) -> str:
    """Our name of a split: train, val or test for what others call training, validation, dev, …; else the name."""
    return SPLITS.get(name.lower(), name)


def labels_from_folders(paths: pd.Series[str]) -> pd.Series[str]:
    """The first folder of each path; the second where all first folders are split names (train/cat/1.jpg).

    Pictures directly in the root, and those in `_unlabeled`, have none.
    """
    folders = Folders(paths)
    place = 1 if folders.are_splits else 0
    labels = folders.each(lambda names: names[place] if len(names) > place else None)
    return labels.mask(labels == UNLABELED)


class Folders:
    """The folders of paths, each looked at once: a million pictures are in some hundred."""

    def __init__(self, paths: pd.Series[str]) -> None:
        import pandas as pd
        import pyarrow.compute as pc

        self.index = paths.index
        folders = pc.replace_substring_regex(as_arrow(paths), r"(?s)(^|/)[^/]*$", "")
        self.codes, distinct = pd.factorize(pd.Series(folders.to_pandas(), dtype="str"))
        self.distinct = [tuple(folder.split("/")) if folder else () for folder in distinct]

    @property
    def are_splits(self) -> bool:
        """Whether all first folders are names of splits, with folders below."""
        named = {names[0].lower() for names in self.distinct if names}
        return bool(named) and named <= SPLIT_NAMES and any(len(names) > 1 for names in self.distinct)

    def each(self, say: Callable[[tuple[str, ...]], str | None]) -> pd.Series[str]:
        """What is said of each path's folders, outermost first; NA for None."""
        import pandas as pd

        said = pd.Series([say(names) for names in self.distinct], dtype="str")
        return said.take(self.codes).set_axis(self.index)


def _first_folder_split(folders: tuple[str, ...]) -> str | None:
    return canonical_split(folders[0]) if folders else None


def read_label_file(file: Path, known: Set[str]) -> pd.DataFrame:
    """The columns path and label of a label file, and given_split if it has splits; NA where empty.

    Paths come out as the table spells them. They may be written as on the disk or, where `known` has that spelling,
    as in the table: other bytes than UTF-8 can't be written otherwise.
    """
    import pandas as pd

    table = read_rows(file)
    path = find_column(table, PATH_COLUMNS, file)
    label = find_column(table, LABEL_COLUMNS, file)
    result = pd.DataFrame({"path": table[path].astype("str"), "label": table[label].astype("str")})
    paths = [safe_path(text, row, file) for row, text in enumerate(result["path"].fillna(""), start=1)]
    result["path"] = [path if path in known else to_text(path) for path in paths]
    result["label"] = result["label"].mask(result["label"].isin(["", UNLABELED]))
    split = next((name for name in SPLIT_COLUMNS if name in table.columns), None)
    if split is not None:
        given = table[split].astype("str")
        result["given_split"] = given.mask(given == "").map(canonical_split, na_action="ignore").astype("str")
    return _without_repeats(result, file)


def read_rows(file: Path) -> pd.DataFrame:
    """The rows of a CSV, TSV, JSONL or Parquet file, texts as they are. Raises SourceError when it can't be read."""
    import pandas as pd

    suffix = file.suffix.lower()
    try:
        if suffix in (".csv", ".tsv"):
            # "NA" and "None" are class names here, not missing values.
            return _read_csv(file, separator="\t" if suffix == ".tsv" else ",")
        if suffix in (".jsonl", ".ndjson"):
            return _read_json_lines(file)
        if suffix == ".parquet":
            with file.open("rb") as stream:
                return pd.read_parquet(stream, dtype_backend="numpy_nullable")  # class 1 stays "1"
    except FileNotFoundError as error:
        raise SourceError(f"There is no label file {str(file)!r}.", 'Give a path, or "folders" or "none".') from error
    except (ValueError, TypeError, Warning, OSError, NotImplementedError) as error:
        raise SourceError(f"{str(file)!r} can't be read: {error}.") from error
    raise SourceError(f"{str(file)!r} is no file of labels that curate reads: expected .csv, .tsv, .jsonl or .parquet.")


def _read_csv(file: Path, separator: str) -> pd.DataFrame:
    import pandas as pd

    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)  # a line with more fields than the header
        # "NA" and "None" are class names here, not missing values.
        return pd.read_csv(file, dtype="str", keep_default_na=False, sep=separator, index_col=False)


def _read_json_lines(file: Path) -> pd.DataFrame:
    """Not by pandas, which makes 1.0 of the class 1 where another line has none."""
    import pandas as pd

    with file.open(encoding="utf-8-sig") as lines:
        return pd.DataFrame([dict(json.loads(line)) for line in lines if line.strip()], dtype="object")


def find_column(table: pd.DataFrame, names: tuple[str, ...], file: Path) -> str:
    """The first of these names that is a column. Raises SourceError that lists the columns there are."""
    for name in names:
        if name in table.columns:
            return name
    found = ", ".join(map(str, table.columns)) or "none"
    raise SourceError(
        f"{str(file)!r} has no column {names[0]!r}; its columns are: {found}.",
        f"Rename one to {names[0]!r} (also read: {', '.join(names[1:])}).",
    )


def safe_path(text: str, row: int, file: Path) -> str:
    """The path without detours. Raises SourceError for one that leads out of the folder, or nowhere."""
    path = posixpath.normpath(text)
    if path.startswith(("/", "../")) or path in ("..", ".") or "://" in text:
        raise SourceError(
            f"Row {row} of {str(file)!r} names {text!r}, which is not a path inside the image folder.",
            "Write paths relative to the image folder, like cats/1.jpg.",
        )
    return path


def _without_repeats(labels: pd.DataFrame, file: Path) -> pd.DataFrame:
    labels = labels.drop_duplicates()
    repeated = labels.loc[labels["path"].duplicated(), "path"]
    if len(repeated):
        raise SourceError(
            f"{str(file)!r} gives {repeated.iloc[0]!r} two different labels or splits ({len(repeated)} such paths).",
            "Leave one label and one split per path.",
        )
    return labels


def _join(files: pd.DataFrame, labels: pd.DataFrame) -> pd.DataFrame:
    joined = files.merge(labels, on="path", how="outer").sort_values("path", ignore_index=True)
    filled = joined.fillna({"mtime_ns": 0, "inode": 0})
    return filled.astype({name: files[name].dtype for name in files.columns})
