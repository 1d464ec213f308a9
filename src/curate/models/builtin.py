"""`builtin`: the small network in the wheel, trained by training/backbone, which says on what and how good it is.

It needs no network and knows things, though far fewer than a model ten times its size that saw a million pictures.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from curate.models.onnx_file import OnnxModel, open_onnx

FILE = Path(__file__).with_name("builtin.onnx")


def open_builtin() -> OnnxModel:
    """The model in the wheel."""
    model = open_onnx(FILE)
    return replace(model, name="builtin", about={**model.about, "file": "part of curate: builtin.onnx"})
