"""Versions: what was frozen comes back exactly, for ever, and nothing is lost on the way."""

from __future__ import annotations

import hashlib
import json
import random
from pathlib import Path

import pandas as pd
import pytest

import curate as library
from conftest import LONG_AGO_S, PICTURES, Curate, picture, write
from curate import versions
from curate.checks import all_checks
from curate.errors import CurateError, StoreError, VersionNotFound
from curate.history import COMPARED, compare, tags, untag
from curate.objects import digest_of
from curate.pipeline import in_order


def clean(folder: Path, **changes: object) -> versions.Version:
    result = library.clean(folder, changes={key.replace("__", "."): value for key, value in changes.items()}, workers=1)
    assert result.version
    return result.version


def store_of(photos: Path) -> Path:
    return photos.with_name("photos.curate")


def frozen(table: pd.DataFrame) -> pd.DataFrame:
    """A table of `clean` without what a version does not hold: one column per check, and what is only for machines."""
    gone = [name for name in table.columns if name != "keep" and (table[name].dtype == bool or "hash" in name)]
    return in_order(table.drop(columns=gone))


def assert_same(one: pd.DataFrame, other: pd.DataFrame) -> None:
    """Equal in every value; how text is stored may differ."""
    shared = [name for name in one.columns if name in other.columns]
    assert set(shared) >= {"path", "keep", "reasons", "flags", "label", "final_label", "sha256", "width"}
    pd.testing.assert_frame_equal(
        one[shared].astype("str").fillna(""), other[shared].astype("str").fillna(""), check_dtype=False
    )


@pytest.mark.slow
def test_twenty_versions_read_back_as_they_were_committed(photos: Path) -> None:
    """Over snapshots and deltas: pictures come, go, change and move between classes."""
    chance = random.Random(3)
    committed = []
    for number in range(20):
        files = sorted(photos.rglob("*.jpg"))
        write(photos / chance.choice(["cats", "dogs", "birds"]) / f"new{number}.jpg", picture(300 + number))
        if number % 3 == 0:
            chance.choice(files).unlink()
        if number % 4 == 1:
            write(chance.choice(files), picture(400 + number), mtime_s=LONG_AGO_S + number)
        committed.append(library.clean(photos, workers=1).table)

    names = {path.name for path in (store_of(photos) / "versions").glob("*.parquet")}
    assert {name for name in names if "snapshot" in name} == {f"{n:04d}.snapshot.parquet" for n in (1, 4, 8, 14)}
    for number, table in enumerate(committed, start=1):
        back = library.table(photos, f"v{number}")
        assert set(frozen(table).columns) - set(back.columns) <= _binary_columns()
        assert_same(table, back)


def _binary_columns() -> set[str]:
    return {column.name for check in all_checks().values() for column in check.facts if column.dtype == "binary"}


def test_undo_makes_a_new_version_with_the_old_content(photos: Path) -> None:
    first = clean(photos)
    before = library.table(photos)
    write(photos / "cats" / "new.jpg", picture(500))
    second = clean(photos)

    third = library.undo(photos)

    assert (third.name, third.restores, third.id) == ("v3", 1, first.id)
    assert second.id != first.id
    assert_same(before, library.table(photos))


def test_undo_goes_further_back_each_time(photos: Path) -> None:
    ids = [clean(photos).id]
    for number in (1, 2):
        write(photos / "cats" / f"new{number}.jpg", picture(500 + number))
        ids.append(clean(photos).id)

    assert [library.undo(photos).id for _ in range(2)] == [ids[1], ids[0]]
    with pytest.raises(VersionNotFound, match="There is no version before v1"):
        library.undo(photos)


def test_an_undo_can_be_undone_by_name(photos: Path) -> None:
    clean(photos)
    write(photos / "cats" / "new.jpg", picture(510))
    second = clean(photos)
    library.undo(photos)

    again = library.undo(photos, to="v2")

    assert (again.name, again.restores, again.id) == ("v4", 2, second.id)


def test_undo_to_where_we_are_says_so(photos: Path) -> None:
    clean(photos)

    with pytest.raises(VersionNotFound, match="v1 and the newest version, v1, are the same"):
        library.undo(photos, to="v1")


def test_clean_after_undo_judges_again(photos: Path) -> None:
    clean(photos)
    write(photos / "cats" / "new.jpg", picture(520))
    second = clean(photos)
    library.undo(photos)

    again = clean(photos)

    assert (again.name, again.id) == ("v4", second.id)


# ---- Names


def test_a_version_is_found_by_number_tag_head_and_id(photos: Path) -> None:
    first = clean(photos)
    write(photos / "cats" / "new.jpg", picture(530))
    second = clean(photos)
    library.tag(photos, "paper", "v1")

    for name in ("v1", "1", "paper", first.id, first.id[:6]):
        assert library.show(photos, name) == first
    for name in ("head", "v2", second.id[:12]):
        assert library.show(photos, name) == second
    assert library.show(photos) == second


@pytest.mark.parametrize("name", ["v3", "0", "", "papre", "abcdef", "v-1", "../v1"])
def test_an_unknown_version_is_answered_with_what_there_is(photos: Path, name: str) -> None:
    clean(photos)
    library.tag(photos, "paper")

    with pytest.raises(VersionNotFound, match="There is no version ") as error:
        library.show(photos, name)
    assert error.value.hint == "There are v1 to v1; tags: paper."


@pytest.mark.parametrize("name", ["v3", "3", "head", "", ".hidden", "a/b", "..", "a b", "x" * 101, "-x", "ü"])
def test_a_tag_that_would_be_misread_is_refused(photos: Path, name: str) -> None:
    clean(photos)

    with pytest.raises(CurateError, match="can't be a tag"):
        library.tag(photos, name)


def test_a_tag_never_moves(photos: Path) -> None:
    clean(photos)
    library.tag(photos, "paper-1.0")
    write(photos / "cats" / "new.jpg", picture(540))
    clean(photos)

    with pytest.raises(CurateError, match=r"The tag 'paper-1\.0' already names v1"):
        library.tag(photos, "paper-1.0")
    library.tag(photos, "paper-1.0", "v1")  # what it says already
    assert tags(photos) == {"paper-1.0": 1}


def test_a_tag_can_be_removed(photos: Path) -> None:
    clean(photos)
    library.tag(photos, "paper")

    untag(photos, "paper")

    assert tags(photos) == {}
    with pytest.raises(VersionNotFound, match="There is no tag 'paper'"):
        untag(photos, "paper")


# ---- Differences


def changes(photos: Path, a: str, b: str | None = None) -> dict[str, tuple[str, str, str, str]]:
    rows = library.diff(photos, a, b).rows
    return {row["path"]: (row["change"], row["before"], row["after"], row["why"]) for row in rows.to_dict("records")}


def test_a_difference_says_what_happened_to_each_picture_and_why(photos: Path, curate: Curate) -> None:
    write(photos / "cats" / "copy.jpg", PICTURES[0])
    clean(photos)
    curate("decide", photos, "cats/1.jpg", "--drop")
    curate("decide", photos, "cats/copy.jpg", "--keep")
    curate("decide", photos, "dogs/3.jpg", "--label", "wolves")
    (photos / "cats" / "2.jpg").unlink()
    write(photos / "dogs" / "new.jpg", picture(550))
    write(photos / "dogs" / "bad.jpg", b"")
    old = digest_of(photos / "dogs" / "4.jpg")[:12]
    write(photos / "dogs" / "4.jpg", picture(551), mtime_s=LONG_AGO_S + 1)
    clean(photos)
    new = digest_of(photos / "dogs" / "4.jpg")[:12]

    assert changes(photos, "v1") == {
        "cats/1.jpg": ("dropped", "kept", "dropped", "ada"),
        "cats/2.jpg": ("went", "kept", "", "the file is gone"),
        "cats/copy.jpg": ("back in", "exact_duplicate", "kept", "ada"),
        "dogs/3.jpg": ("relabelled", "dogs", "wolves", "ada"),
        "dogs/4.jpg": ("content", old, new, "the file has other bytes"),
        "dogs/bad.jpg": ("came", "", "dropped", "unreadable"),
        "dogs/new.jpg": ("came", "", "kept", ""),
    }


def test_a_moved_class_is_a_relabelling_by_the_source(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "l.csv").write_text("path,label\ncats/0.jpg,cat\n")
    clean(photos, scan__labels=str(tmp_path / "l.csv"))
    (tmp_path / "l.csv").write_text("path,label\ncats/0.jpg,lynx\n")
    clean(photos, scan__labels=str(tmp_path / "l.csv"))

    assert changes(photos, "v1", "v2") == {"cats/0.jpg": ("relabelled", "cat", "lynx", "the source says so")}


def test_another_reason_for_dropping_is_a_difference(photos: Path, curate: Curate) -> None:
    write(photos / "cats" / "copy.jpg", PICTURES[0])
    clean(photos)
    curate("decide", photos, "cats/copy.jpg", "--drop")
    clean(photos)

    assert changes(photos, "v1") == {
        "cats/copy.jpg": ("reasons", "exact_duplicate", "ada", "dropped for another reason")
    }


def test_a_version_does_not_differ_from_itself(photos: Path) -> None:
    clean(photos)

    assert changes(photos, "v1", "v1") == {}


def test_versions_of_two_empty_data_sets_can_be_compared(photos: Path) -> None:
    """Not one row in either: types of empty columns differ easily."""
    for path in photos.rglob("*.jpg"):
        path.unlink()
    write(photos / "notes.txt", b"x")
    clean(photos)
    write(photos / "more.txt", b"y")
    clean(photos)

    assert changes(photos, "v1") == {"more.txt": ("came", "", "dropped", "unreadable")}


# ---- Verification and damage


def test_verify_finds_what_changed_and_what_is_gone(photos: Path, curate: Curate) -> None:
    clean(photos)
    assert curate("verify", photos).code == 0
    write(photos / "cats" / "0.jpg", PICTURES[7])
    (photos / "dogs" / "5.jpg").unlink()

    found = library.verify(photos)

    assert (found.checked, found.changed, found.missing, found.damaged) == (6, ["cats/0.jpg"], ["dogs/5.jpg"], {})
    assert curate("verify", photos).code == 1


def test_kept_bytes_outlive_the_source(photos: Path, tmp_path: Path) -> None:
    clean(photos, versions__keep_bytes="always")
    write(photos / "cats" / "0.jpg", PICTURES[7])
    (photos / "dogs" / "5.jpg").unlink()

    assert library.verify(photos).saved == ["cats/0.jpg", "dogs/5.jpg"]
    library.export(photos, tmp_path / "out")

    assert (tmp_path / "out" / "cats" / "0.jpg").read_bytes() == PICTURES[0]
    assert (tmp_path / "out" / "dogs" / "5.jpg").read_bytes() == PICTURES[5]


def test_verify_finds_a_damaged_object_of_the_store(photos: Path) -> None:
    clean(photos, versions__keep_bytes="always")
    kept = next(path for path in (store_of(photos) / "objects").rglob("*") if path.is_file())
    kept.write_bytes(b"other")

    assert library.verify(photos).damaged == {str(kept.relative_to(store_of(photos))): "is not what was written"}


@pytest.mark.parametrize("kind", ["snapshot", "facts"])
def test_verify_finds_a_damaged_version_file(photos: Path, curate: Curate, kind: str) -> None:
    clean(photos)
    file = store_of(photos) / "versions" / f"0001.{kind}.parquet"
    file.write_bytes(file.read_bytes()[:-100] + bytes(100))

    done = curate("verify", photos)

    assert done.code == 1
    assert f"damaged  0001.{kind}.parquet is not what was written" in done.out
    table = curate("table", photos)
    assert table.code == 3
    assert f"0001.{kind}.parquet' is damaged or missing" in table.err


def test_verify_finds_a_missing_version_file(photos: Path) -> None:
    clean(photos)
    (store_of(photos) / "versions" / "0001.facts.parquet").unlink()

    assert library.verify(photos).damaged == {"0001.facts.parquet": "can't be read: No such file or directory"}


@pytest.mark.parametrize("text", ["", "{", "[]", '{"number": 1}', "\udcff"])
def test_a_damaged_commit_file_is_named_and_nothing_is_removed(photos: Path, curate: Curate, text: str) -> None:
    clean(photos)
    folder = store_of(photos) / "versions"
    (folder / "0001.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    before = sorted(path.name for path in folder.iterdir())

    for verb in ("clean", "log", "verify", "table"):
        done = curate(verb, photos)

        assert done.code == 3, verb
        assert "versions/0001.json' is damaged" in done.err
        assert "Restore it from a backup" in done.err
    assert sorted(path.name for path in folder.iterdir()) == before


def test_a_hole_in_the_history_is_named(photos: Path) -> None:
    for number in range(3):
        write(photos / "cats" / f"new{number}.jpg", picture(560 + number))
        clean(photos)
    (store_of(photos) / "versions" / "0002.json").unlink()

    with pytest.raises(StoreError, match=r"0002\.json' is damaged or missing"):
        library.table(photos, "v3")


def test_a_damaged_tag_is_named(photos: Path) -> None:
    clean(photos)
    library.tag(photos, "paper")
    (store_of(photos) / "versions" / "tags" / "paper.json").write_text("")

    with pytest.raises(StoreError, match=r"The tag file '.*paper\.json' is damaged"):
        library.show(photos, "paper")


def test_the_ten_thousandth_version_is_the_newest(tmp_path: Path) -> None:
    """Its file name sorts before the one of the version before."""
    table = pd.DataFrame({"path": ["a"], "sha256": ["x"], "keep": [True], "final_label": ["cat"]})
    first = versions.commit(tmp_path, table, "test", {}, {})
    assert first
    text = (tmp_path / "0001.json").read_text()
    for number in (9_999, 10_000):
        (tmp_path / f"{number}.json").write_text(json.dumps({**json.loads(text), "number": number}))

    newest = versions.head(tmp_path)

    assert newest
    assert newest.number == 10_000


def test_a_killed_commit_leaves_nothing_that_counts(photos: Path) -> None:
    """Parquet files without their JSON file, which is written last."""
    clean(photos)
    folder = store_of(photos) / "versions"
    for name in ("0002.delta.parquet", "0002.facts.parquet", "0002.draft", ".0002.json.1234.tmp"):
        (folder / name).write_bytes(b"half")
    assert library.show(photos).name == "v1"
    assert library.verify(photos).intact

    write(photos / "cats" / "new.jpg", picture(570))
    second = clean(photos)

    assert second.name == "v2"
    assert not [path.name for path in folder.iterdir() if path.name.endswith((".draft", ".tmp"))]
    assert len(library.table(photos)) == 7
    assert library.verify(photos).intact


def test_a_version_never_takes_a_number_that_is_taken(tmp_path: Path) -> None:
    """The lock keeps others out; should it fail, as on some network disks, no version is overwritten."""
    table = pd.DataFrame({"path": ["a"], "sha256": ["x"], "keep": [True], "final_label": ["cat"]})
    versions.commit(tmp_path, table, "test", {}, {})
    before = (tmp_path / "0001.json").read_bytes()

    with pytest.raises(StoreError, match=r"0001\.json' exists already: another process committed"):
        versions._publish(tmp_path / "0001.json", {})
    assert (tmp_path / "0001.json").read_bytes() == before


def test_an_id_tells_fields_apart() -> None:
    """Where a digest of mere concatenation would see the same text."""

    def digest(path: str, label: str) -> str:
        row = {"path": [path], "sha256": ["x"], "keep": [True], "final_label": [label]}
        return versions.version_id(pd.DataFrame(row), {})

    assert len({digest("ab", "c"), digest("a", "bc"), digest("abc", "")}) == 3


def test_an_id_is_the_same_on_any_machine() -> None:
    """Worked out by hand: sha256 of '{}' + 'a.jpg\\0x\\0cat\\0\\0\\0'."""
    table = pd.DataFrame(
        {
            "path": ["b.jpg", "a.jpg"],
            "sha256": ["y", "x"],
            "keep": [False, True],
            "final_label": pd.array([None, "cat"], dtype="str"),
        }
    )

    assert versions.version_id(table, {}) == hashlib.sha256(b"{}a.jpg\0x\0cat\0\0\0").hexdigest()


# The id of each table as it was before versions were hashed by whole columns: an id that changes would break every pin.
PLAIN = "cdacdd744da428d913aa28ef2980f8d27de3fe2f9cd6d46de9d8d4da650822c6"


def _five_rows() -> pd.DataFrame:
    """Unsorted, with a picture that was dropped, missing values, and letters of all kinds."""
    return pd.DataFrame(
        {
            "path": ["b/2.jpg", "a/1.jpg", "ü.jpg", "c.jpg", "Z.jpg"],
            "sha256": ["22", "11", None, "33", "44"],
            "keep": [True, True, True, False, True],
            "final_label": ["cat", None, "größe", "dog", "cat"],
            "split": ["train", None, "val", "test", "train"],
        }
    )


def _with_balance() -> pd.DataFrame:
    repeat = pd.Series([2, None, 1, 1, 3], dtype="Int64")
    return _five_rows().assign(repeat=repeat, weight=pd.Series([0.1, None, 1 / 3, 1, 2.5e-7], dtype="float32"))


def test_ids_are_those_of_the_releases_before() -> None:
    table, balanced = _five_rows(), _with_balance()

    assert versions.version_id(table, {}) == PLAIN
    assert versions.version_id(table.iloc[::-1], {}) == PLAIN
    assert versions.version_id(table.astype({"final_label": "category"}), {}) == PLAIN
    assert versions.version_id(table.astype("object").astype({"keep": bool}), {}) == PLAIN
    assert versions.version_id(table, {"size": 32}).startswith("ba35cef66bc020e9")
    assert versions.version_id(balanced, {}).startswith("ae9278875af5b0be")
    assert versions.version_id(balanced.drop(columns="split"), {}).startswith("b4888e570c86cc76")
    assert versions.version_id(table.assign(split=None), {}).startswith("59f200a4c91cf543")
    assert versions.version_id(table[:0], {}) == hashlib.sha256(b"{}").hexdigest()


# ---- Snapshots and deltas


def _table(rows: int) -> pd.DataFrame:
    paths = [f"{number:04d}.jpg" for number in range(rows)]
    digests = [f"{number:064x}" for number in range(rows)]
    decided = {"keep": True, "reasons": "", "final_label": "cat", "decided_by": ""}
    return pd.DataFrame({"path": paths, "sha256": digests, **decided})


def _relabel(table: pd.DataFrame, rows: slice, label: str) -> pd.DataFrame:
    label_column = table["final_label"].copy()
    label_column.iloc[rows] = label
    return table.assign(final_label=label_column)


def _committed(folder: Path, table: pd.DataFrame) -> str:
    """What the next version was written as: snapshot or delta."""
    made = versions.commit(folder, table, "test", {}, {})
    assert made is not None
    assert versions.read_decisions(folder, made)["final_label"].tolist() == table["final_label"].tolist()
    return made.decisions.split(".")[1]


def test_small_changes_never_write_the_whole_table(tmp_path: Path) -> None:
    table = _table(1000)
    kinds = [_committed(tmp_path, table)]
    for number in range(20):
        table = _relabel(table, slice(number, number + 2), f"dog{number}")
        kinds.append(_committed(tmp_path, table))

    assert kinds == ["snapshot"] + ["delta"] * 20


def test_a_snapshot_is_written_when_the_deltas_hold_half_the_rows(tmp_path: Path) -> None:
    """Of 100 rows: 30, then 20 more, are 50 in all; 10 more are too many."""
    table = _table(100)
    kinds = [_committed(tmp_path, table)]
    for number, changed in enumerate((30, 20, 10, 30)):
        table = _relabel(table, slice(changed), f"dog{number}")
        kinds.append(_committed(tmp_path, table))

    assert kinds == ["snapshot", "delta", "delta", "snapshot", "delta"]


def test_a_snapshot_is_written_after_many_deltas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "MOST_DELTAS", 3)
    table = _table(1000)
    kinds = []
    for number in range(6):
        table = _relabel(table, slice(1), f"dog{number}")
        kinds.append(_committed(tmp_path, table))

    assert kinds == ["snapshot", "delta", "delta", "delta", "snapshot", "delta"]


def test_a_store_with_a_snapshot_at_every_eighth_version_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the releases before wrote them, whatever had changed; and it is gone on with."""
    written = []
    table = _table(40)
    for number in range(1, 11):
        monkeypatch.setattr(versions, "SNAPSHOT_SHARE", 0 if number == 8 else 1000)
        table = _relabel(table, slice(number, number + 5), f"dog{number}")[number % 3 :].reset_index(drop=True)
        _committed(tmp_path, table)
        written.append(table)
    monkeypatch.undo()

    assert [one.decisions.split(".")[1] for one in versions.read_versions(tmp_path)] == [
        "snapshot" if number in (1, 8) else "delta" for number in range(1, 11)
    ]
    for version, then in zip(versions.read_versions(tmp_path), written, strict=True):
        assert versions.read_decisions(tmp_path, version).to_dict("list") == then.to_dict("list")


def test_rows_come_go_and_come_back_along_deltas(tmp_path: Path) -> None:
    table = _table(100)
    written = [table, table.drop(index=[3, 50]), _relabel(table.drop(index=[50]), slice(3, 4), "dog"), table]
    for one in written:
        versions.commit(tmp_path, one.reset_index(drop=True), "test", {}, {})

    for version, then in zip(versions.read_versions(tmp_path), written, strict=True):
        assert versions.read_decisions(tmp_path, version).to_dict("list") == then.to_dict("list")


def test_a_version_of_the_same_rows_that_was_made_otherwise_is_read(tmp_path: Path) -> None:
    table = _table(10)
    versions.commit(tmp_path, table, "test", {}, {})

    made = versions.commit(tmp_path, table, "test", {}, {}, recipe=versions.Recipe(splits={"val": 0.1}))

    assert made is not None
    assert made.decisions == "0002.delta.parquet"
    assert versions.read_decisions(tmp_path, made).to_dict("list") == table.to_dict("list")


def test_only_the_columns_that_are_asked_for_are_read(tmp_path: Path) -> None:
    table = _table(10)
    for label in ("cat", "dog"):
        versions.commit(tmp_path, _relabel(table, slice(2), label), "test", {}, {})

    found = versions.read_decisions(tmp_path, versions.find_version(tmp_path, None), ["final_label", "split"])

    assert list(found.columns) == ["path", "final_label"]
    assert found["final_label"].tolist() == ["dog"] * 2 + ["cat"] * 8


@pytest.mark.parametrize(
    ("one", "other", "changes"), [(1, 2, 2), (2, 4, 3), (4, 2, 3), (1, 4, 1), (3, 3, 0), (2, 5, 61), (5, 1, 61)]
)
def test_rows_that_differ_are_found_whether_deltas_lead_there_or_not(
    tmp_path: Path, one: int, other: int, changes: int
) -> None:
    """The fifth version is a snapshot. Against a comparison of the whole tables."""
    table = _table(100)
    tables = [table, _relabel(table, slice(2), "dog"), _relabel(table, slice(1), "elk"), table.drop(index=[7])]
    tables.append(_relabel(tables[-1], slice(60), "fox"))
    for rows in tables:
        versions.commit(tmp_path, rows.reset_index(drop=True), "test", {}, {})
    before, after = (versions.find_version(tmp_path, str(number)) for number in (one, other))

    found = compare(*versions.read_differing(tmp_path, before, after, COMPARED))

    whole = [versions.read_decisions(tmp_path, version) for version in (before, after)]
    assert found.to_dict("list") == compare(*whole).to_dict("list")
    assert len(found) == changes
