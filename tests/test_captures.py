"""Time and camera come from EXIF, header only, once per content; what is broken or hostile is unknown."""

from __future__ import annotations

import hashlib
import os
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from PIL import Image, features

from curate.captures import captures_of, said_by
from curate.executors import Processes, Serial
from pictures import READABLE, UNREADABLE, png_chunk

MAKE, MODEL, EXIF, ORIGINAL, DIGITIZED, FRACTION, SERIAL = 0x10F, 0x110, 0x8769, 0x9003, 0x9004, 0x9291, 0xA431
TAKEN: dict[int, Any] = {ORIGINAL: "2026:03:01 12:30:45"}
FORMATS = ["JPEG", "PNG", "WEBP", "TIFF", *(["AVIF"] if features.check("avif") else [])]


def exif_of(tags: dict[int, Any], make: str = "Canon", model: str = "EOS 20D") -> Image.Exif:
    exif = Image.Exif()
    exif[MAKE], exif[MODEL] = make, model
    exif.get_ifd(EXIF).update(tags)
    return exif


def photo(tags: dict[int, Any], file_format: str = "JPEG", **names: str) -> bytes:
    buffer = BytesIO()
    exif = exif_of(tags, **names)
    # Pillow writes the inner directory of a TIFF only where it is given as one of its tags.
    options = {"tiffinfo": {**exif, EXIF: tags}} if file_format == "TIFF" else {"exif": exif}
    Image.new("RGB", (40, 30), "green").save(buffer, file_format, **options)
    return buffer.getvalue()


def said(data: bytes) -> tuple[datetime | None, str | None]:
    return said_by(BytesIO(data))[:2]


def rows_of(folder: Path, files: dict[str, bytes]) -> pd.DataFrame:
    """Write the files, and what the scan says of them."""
    for name, data in files.items():
        (folder / name).write_bytes(data)
    digests = [hashlib.sha256(data).hexdigest() for data in files.values()]
    sizes = [len(data) for data in files.values()]
    return pd.DataFrame({"path": list(files), "sha256": digests, "size_bytes": sizes})


def times(found: pd.DataFrame, rows: pd.DataFrame) -> list[str]:
    return [str(moment) for moment in found["taken_at"].reindex(rows["sha256"])]


# ---- What a file says


@pytest.mark.parametrize("file_format", FORMATS)
def test_time_and_camera_are_read(file_format: str) -> None:
    assert said(photo(TAKEN, file_format)) == (datetime(2026, 3, 1, 12, 30, 45), "Canon EOS 20D")


def test_fractions_of_a_second_tell_the_shots_of_a_burst() -> None:
    assert said(photo({**TAKEN, FRACTION: "07"}))[0] == datetime(2026, 3, 1, 12, 30, 45, 70_000)
    assert said(photo({**TAKEN, FRACTION: "123456789"}))[0] == datetime(2026, 3, 1, 12, 30, 45, 123_456)


def test_the_serial_number_tells_two_cameras_of_one_model() -> None:
    assert said(photo({**TAKEN, SERIAL: "0420112233"}))[1] == "Canon EOS 20D 0420112233"


def test_the_time_of_digitizing_stands_in_for_that_of_taking() -> None:
    assert said(photo({DIGITIZED: "2001:02:03 04:05:06"}))[0] == datetime(2001, 2, 3, 4, 5, 6)
    assert said(photo({ORIGINAL: "0000:00:00 00:00:00", DIGITIZED: "2001:02:03 04:05:06"}))[0] == datetime(
        2001, 2, 3, 4, 5, 6
    )


def test_a_scanner_without_time_has_a_name_only() -> None:
    assert said(photo({})) == (None, "Canon EOS 20D")


@pytest.mark.parametrize(
    "written",
    ["0000:00:00 00:00:00", "2026:13:01 00:00:00", "2026:02:30 00:00:00", "    :  :     :  :  ", "yesterday", "", "\0"],
)
def test_a_clock_that_was_never_set_tells_nothing(written: str) -> None:
    assert said(photo({ORIGINAL: written}))[0] is None


@pytest.mark.parametrize("wrong", [17, (1, 2), 3.5, b"\xff\xfe"])
def test_a_tag_of_another_type_tells_nothing(wrong: object) -> None:
    assert said(photo({**TAKEN, FRACTION: wrong}))[0] == datetime(2026, 3, 1, 12, 30, 45)


def test_names_are_trimmed_and_printable() -> None:
    assert said(photo(TAKEN, make="NIKON  \0junk", model="\x1b[31mD50\n"))[1] == "NIKON [31mD50"


def test_exif_behind_the_pixels_of_a_png_is_found() -> None:
    """eXIf may stand before or behind the pixels."""
    png = READABLE["rgb.png"]
    block = exif_of(TAKEN).tobytes().removeprefix(b"Exif\0\0")

    assert said(png[:-12] + png_chunk(b"eXIf", block) + png[-12:])[0] == datetime(2026, 3, 1, 12, 30, 45)


@pytest.mark.parametrize("name", sorted({**READABLE, **UNREADABLE}))
def test_pictures_of_all_kinds_and_broken_ones_are_unknown(name: str) -> None:
    data = READABLE[name] if name in READABLE else UNREADABLE[name][1]

    assert said(data) == (None, None)


@pytest.mark.parametrize("file_format", FORMATS)
def test_a_file_that_is_cut_anywhere_is_no_error(file_format: str) -> None:
    data = photo(TAKEN, file_format)

    for length in range(0, min(len(data), 600), 7):
        assert said(data[:length])[0] in (None, datetime(2026, 3, 1, 12, 30, 45))


@pytest.mark.parametrize("file_format", FORMATS)
def test_a_file_with_wrong_bytes_anywhere_is_no_error(file_format: str) -> None:
    data = photo(TAKEN, file_format)

    for place in range(0, min(len(data), 600), 3):
        said(data[:place] + b"\xff\xff" + data[place + 2 :])


def test_a_png_of_a_million_chunks_is_given_up() -> None:
    chunks = png_chunk(b"tEXt", b"")
    block = exif_of(TAKEN).tobytes().removeprefix(b"Exif\0\0")
    png = READABLE["rgb.png"]

    assert said(png[:33] + chunks * 200_000 + png_chunk(b"eXIf", block) + png[33:]) == (None, None)


def test_a_block_of_megabytes_is_not_read() -> None:
    """EXIF has kilobytes; a length that was damaged must not read a whole file into memory."""
    block = exif_of(TAKEN).tobytes().removeprefix(b"Exif\0\0") + bytes(2_000_000)

    assert said(READABLE["rgb.png"][:33] + png_chunk(b"eXIf", block) + READABLE["rgb.png"][33:]) == (None, None)


# ---- A folder of them


def test_each_content_is_one_row(tmp_path: Path) -> None:
    data = photo(TAKEN)
    rows = rows_of(tmp_path, {"a.jpg": data, "b.jpg": data, "c.png": READABLE["rgb.png"]})

    found = captures_of(rows, tmp_path, tmp_path / "cache", Serial())

    assert found.index.tolist() == sorted({*rows["sha256"]})
    assert times(found, rows) == ["2026-03-01 12:30:45", "2026-03-01 12:30:45", "NaT"]
    assert found["camera"].reindex(rows["sha256"]).fillna("?").tolist() == ["Canon EOS 20D", "Canon EOS 20D", "?"]
    assert str(found["taken_at"].dtype) == "datetime64[us]"


def test_files_are_read_once(tmp_path: Path) -> None:
    rows = rows_of(tmp_path, {"a.jpg": photo(TAKEN), "b.png": READABLE["rgb.png"]})
    first = captures_of(rows, tmp_path, tmp_path / "cache", Serial())
    for name in rows["path"]:
        (tmp_path / name).unlink()

    pd.testing.assert_frame_equal(captures_of(rows, tmp_path, tmp_path / "cache", Serial()), first)


def test_a_file_that_is_gone_is_unknown_and_asked_again(tmp_path: Path) -> None:
    data = photo(TAKEN)
    rows = rows_of(tmp_path, {"a.jpg": data})
    (tmp_path / "a.jpg").unlink()
    assert times(captures_of(rows, tmp_path, tmp_path / "cache", Serial()), rows) == ["NaT"]

    (tmp_path / "a.jpg").write_bytes(data)

    assert times(captures_of(rows, tmp_path, tmp_path / "cache", Serial()), rows) == ["2026-03-01 12:30:45"]


def test_where_one_copy_is_gone_the_other_is_read(tmp_path: Path) -> None:
    data = photo(TAKEN)
    rows = rows_of(tmp_path, {"a.jpg": data, "b.jpg": data})
    (tmp_path / "a.jpg").unlink()

    assert times(captures_of(rows, tmp_path, tmp_path / "cache", Serial()), rows[1:]) == ["2026-03-01 12:30:45"]


def test_a_file_that_has_changed_is_not_taken_for_what_it_was(tmp_path: Path) -> None:
    rows = rows_of(tmp_path, {"a.jpg": READABLE["ordinary.jpg"]})
    (tmp_path / "a.jpg").write_bytes(photo(TAKEN))

    assert times(captures_of(rows, tmp_path, tmp_path / "cache", Serial()), rows) == ["NaT"]


def test_a_damaged_cache_is_read_anew(tmp_path: Path) -> None:
    rows = rows_of(tmp_path, {"a.jpg": photo(TAKEN)})
    captures_of(rows, tmp_path, tmp_path / "cache", Serial())
    (cached,) = (tmp_path / "cache").rglob("*.parquet")
    data = bytearray(cached.read_bytes())
    data[20:40] = bytes(20)
    cached.write_bytes(data)

    assert times(captures_of(rows, tmp_path, tmp_path / "cache", Serial()), rows) == ["2026-03-01 12:30:45"]


def test_files_without_content_are_left_out(tmp_path: Path) -> None:
    rows = rows_of(tmp_path, {"a.jpg": photo(TAKEN)})
    unread = pd.DataFrame({"path": ["gone.jpg"], "sha256": pd.Series([None], dtype="str"), "size_bytes": [0]})

    found = captures_of(pd.concat([rows, unread], ignore_index=True), tmp_path, tmp_path / "cache", Serial())

    assert found.index.tolist() == rows["sha256"].tolist()


def test_no_files_are_no_rows(tmp_path: Path) -> None:
    nothing = pd.DataFrame({"path": [], "sha256": [], "size_bytes": []}).astype({"sha256": "str"})

    assert len(captures_of(nothing, tmp_path, tmp_path / "cache", Serial())) == 0


def test_names_that_are_no_text_are_read(tmp_path: Path) -> None:
    data = photo(TAKEN)
    (tmp_path / os.fsdecode(b"caf\xe9.jpg")).write_bytes(data)
    rows = pd.DataFrame({"path": [r"caf\xe9.jpg"], "sha256": ["x"], "size_bytes": [len(data)]})

    assert times(captures_of(rows, tmp_path, tmp_path / "cache", Serial()), rows) == ["2026-03-01 12:30:45"]


def test_many_files_are_read_by_all_workers_and_counted(tmp_path: Path) -> None:
    """Chunks of 256: three of them, and progress adds up."""
    files = {f"{n}.jpg": photo({ORIGINAL: f"2026:03:01 {n // 60:02}:{n % 60:02}:00"}) for n in range(600)}
    rows = rows_of(tmp_path, files)
    counts: list[int] = []

    found = captures_of(rows, tmp_path, tmp_path / "cache", Processes(2), _counting(counts))

    assert found["taken_at"].nunique() == 600
    assert sum(counts) == 600


class _Counter:
    def __init__(self, counts: list[int]) -> None:
        self._counts = counts

    def __enter__(self) -> Any:
        return lambda count, **_: self._counts.append(count)

    def __exit__(self, *_: object) -> None:
        return None


def _counting(counts: list[int]) -> Any:
    return lambda title, total: _Counter(counts)
