"""Small ONNX files, whose answers can be worked out by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

DTYPES = {
    "float64": TensorProto.DOUBLE,
    "float32": TensorProto.FLOAT,
    "float16": TensorProto.FLOAT16,
    "uint8": TensorProto.UINT8,
}
BYTE = 1 / 255
SCALED = {"input_scale": str(BYTE), "input_zero_point": "0"}  # bytes to 0..1


def save(
    path: Path,
    nodes: Sequence[onnx.NodeProto],
    outputs: Mapping[str, Sequence[int | str]],
    weights: Mapping[str, NDArray[np.float32]] | None = None,
    *,
    shape: Sequence[int | str] = ("N", 3, 8, 8),
    dtype: str = "float32",
    metadata: Mapping[str, str] | None = None,
    external: str = "",
) -> Path:
    """Write a graph that begins with the tensor "picture". external: the file to keep weights in."""
    initializers = [numpy_helper.from_array(values, name) for name, values in (weights or {}).items()]
    graph = helper.make_graph(
        list(nodes),
        "test",
        [helper.make_tensor_value_info("picture", DTYPES[dtype], list(shape))],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, list(sides)) for name, sides in outputs.items()],
        initializers,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    helper.set_model_props(model, dict(metadata or {}))
    onnx.save_model(model, str(path), save_as_external_data=bool(external), location=external or None, size_threshold=0)
    return path


def means(
    path: Path,
    output: str = "embedding",
    *,
    shape: Sequence[int | str] = ("N", 3, 8, 8),
    dtype: str = "float32",
    layout: str = "NCHW",
    metadata: Mapping[str, str] | None = SCALED,
) -> Path:
    """The mean of each channel: (B, 3)."""
    cast = helper.make_node("Cast", ["picture"], ["numbers"], to=TensorProto.FLOAT)
    axes = [2, 3] if layout == "NCHW" else [1, 2]
    mean = helper.make_node("ReduceMean", ["numbers"], [output], axes=axes, keepdims=0)
    return save(path, [cast, mean], {output: (shape[0], 3)}, shape=shape, dtype=dtype, metadata=metadata)


def classifier(
    path: Path, output: str = "logits", *, softmax: bool = False, metadata: Mapping[str, str] | None = SCALED
) -> Path:
    """Twice the mean of each channel is what goes into the last layer; its scores are (red - green, green - red)."""
    weights = {
        "two": np.array(2.0, np.float32),
        "last": np.array([[0.5, -0.5], [-0.5, 0.5], [0, 0]], np.float32),
        "bias": np.zeros(2, np.float32),
    }
    nodes = [
        helper.make_node("ReduceMean", ["picture"], ["mean"], axes=[2, 3], keepdims=0),
        helper.make_node("Mul", ["mean", "two"], ["before_last"]),
        helper.make_node("Gemm", ["before_last", "last", "bias"], ["scores" if softmax else output]),
    ]
    if softmax:
        nodes.append(helper.make_node("Softmax", ["scores"], [output], axis=1))
    return save(path, nodes, {output: ("N", 2)}, weights, metadata=metadata)
