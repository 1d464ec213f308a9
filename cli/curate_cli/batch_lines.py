"""What `curate add` and `curate watch` say of a batch of new images, in one or two lines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def batch_lines(told: Mapping[str, Any]) -> str:
    """Batch 3: 12 new images, 2 known already -> v7, and what is to be said of them. told: see `Added.told`."""
    if told["batch"] is None:
        return "Nothing new."
    known = f", {told['known']:,} known already" if told["known"] else ""
    lost = f", {told['lost']:,} gone before they were copied" if told["lost"] else ""
    first = f"Batch {told['batch']}: {_images(told['new'])}{known}{lost} -> {told['version']}"
    said = (
        ("unreadable", "{:,} unreadable"),
        ("dropped", "{:,} dropped"),
        ("near_copies", "{:,} with a near copy"),
        ("suggested", "{:,} labels suggested"),
        ("to_review", "{:,} to review"),
    )
    found = ", ".join(words.format(told[name]) for name, words in said if told[name])
    return f"{first}\n  {found}" if found else first


def _images(number: int) -> str:
    return f"{number:,} new image{'' if number == 1 else 's'}"
