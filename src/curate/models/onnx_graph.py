"""Reading and amending an ONNX file without the `onnx` package.

Few words of Protocol Buffers suffice: a message is a row of fields, each a number, a kind and a value. That is
enough to find the layer before a classifier's scores, and to make it an output: of a message that occurs twice, the
parts are merged, so a graph that holds only one more output is simply appended.
Source: onnx.proto (field numbers) and the encoding guide of protobuf.dev.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from curate.models.preprocessing import Layout

# Field numbers of onnx.proto.
_MODEL_GRAPH, _MODEL_METADATA = 7, 14
_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_OUTPUT = 1, 5, 12
_NODE_INPUT, _NODE_OUTPUT, _NODE_OPERATOR = 1, 2, 4
_TENSOR_EXTERNAL_DATA = 13
_PAIR_KEY, _PAIR_VALUE = 1, 2
_VALUE_NAME = 1

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

# A classifier ends in a linear layer, or in a convolution whose map of scores is averaged.
_LAYERS = frozenset({"Gemm", "MatMul", "FusedMatMul", "Conv"})
_AFTER_THE_LAYER = frozenset(
    "Softmax LogSoftmax Sigmoid Relu Add Identity Cast Dropout "
    "Flatten Reshape Squeeze ReduceMean GlobalAveragePool AveragePool".split()
)

# What is done to each number by itself, or to channels in any place: it leaves the order of dimensions as it is.
_KEEPS_ORDER = frozenset(
    "Add Sub Mul Div Concat Identity Cast Clip Relu LeakyRelu PRelu Elu Selu Gelu Sigmoid HardSigmoid HardSwish Swish "
    "Mish Tanh Erf Softplus Dropout Pad Resize ReduceMean QuantizeLinear DequantizeLinear QLinearAdd".split()
)
# For these ONNX knows one order only.
_CHANNELS_FIRST = frozenset(
    "Conv ConvInteger QLinearConv FusedConv ConvTranspose BatchNormalization InstanceNormalization MaxPool AveragePool "
    "GlobalAveragePool GlobalMaxPool QLinearGlobalAveragePool".split()
)


@dataclass(frozen=True)
class Node:
    """One operation: its name ("Gemm", …), the tensors it takes and the first it makes."""

    operator: str
    inputs: tuple[str, ...]


@dataclass(frozen=True)
class Graph:
    """nodes: by the name of a tensor, what makes it. external: names of files that hold weights. metadata: notes."""

    nodes: dict[str, Node]
    external: frozenset[str]
    metadata: dict[str, str]

    def last_layer_input(self, output: str) -> str | None:
        """What goes into the last linear layer before this output; None if that is not how the model ends."""
        node = self.nodes.get(output)
        while node is not None and node.operator in _AFTER_THE_LAYER:
            node = self._before(node)
        return node.inputs[0] if node is not None and node.operator in _LAYERS else None

    def map_layout(self, tensor: str, input_layout: Layout) -> Layout:
        """The order of dimensions of a feature map. input_layout: of the model's input.

        Converters from TensorFlow wrap convolutions, which want channels first, into transpositions: so on the way
        back from the tensor the transpositions are counted, up to an operation that has only one order.
        """
        turned = False
        node = self.nodes.get(tensor)
        while node is not None and node.operator not in _CHANNELS_FIRST:
            if node.operator != "Transpose" and node.operator not in _KEEPS_ORDER:
                return input_layout
            turned ^= node.operator == "Transpose"
            node = self._before(node)
        found = input_layout if node is None else "NCHW"
        return found if not turned else "NHWC" if found == "NCHW" else "NCHW"

    def ends_in_softmax(self, output: str) -> bool:
        """Whether that output is probabilities."""
        node = self.nodes.get(output)
        return node is not None and node.operator == "Softmax"

    def _before(self, node: Node) -> Node | None:
        """What makes the first thing that it takes, other than a constant."""
        before = [self.nodes[name] for name in node.inputs if name in self.nodes]
        return next((one for one in before if one.operator != "Constant"), None)


def read_graph(model: bytes) -> Graph:
    """The graph of an ONNX file. Raises ValueError for bytes that are no such file."""
    nodes: dict[str, Node] = {}
    external: set[str] = set()
    metadata: dict[str, str] = {}
    for number, value in _fields(memoryview(model)):
        if number == _MODEL_GRAPH:
            for inner, part in _fields(value):
                if inner == _GRAPH_NODE:
                    nodes |= _read_node(part)
                elif inner == _GRAPH_INITIALIZER:
                    external.update(_external_files(part))
        elif number == _MODEL_METADATA:
            metadata |= _pair(value)
    return Graph(nodes, frozenset(external), metadata)


def with_output(model: bytes, tensor: str) -> bytes:
    """The model with one of its inner tensors as one more output."""
    value_info = _message(_VALUE_NAME, tensor.encode())
    return model + _message(_MODEL_GRAPH, _message(_GRAPH_OUTPUT, value_info))


def _read_node(node: memoryview) -> dict[str, Node]:
    inputs, outputs, operator = [], [], ""
    for number, value in _fields(node):
        if number == _NODE_INPUT:
            inputs.append(_text(value))
        elif number == _NODE_OUTPUT:
            outputs.append(_text(value))
        elif number == _NODE_OPERATOR:
            operator = _text(value)
    return {output: Node(operator, tuple(inputs)) for output in outputs if output}


def _external_files(tensor: memoryview) -> Iterator[str]:
    for number, pair in _fields(tensor):
        if number == _TENSOR_EXTERNAL_DATA:
            yield from (value for key, value in _pair(pair).items() if key == "location")


def _pair(message: memoryview) -> dict[str, str]:
    entry = {number: _text(value) for number, value in _fields(message)}
    return {entry.get(_PAIR_KEY, ""): entry.get(_PAIR_VALUE, "")}


def _text(value: memoryview) -> str:
    return bytes(value).decode()


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Number and bytes of every field that holds bytes; numbers are skipped."""
    place = 0
    while place < len(message):
        tag, place = _varint(message, place)
        kind = tag & 7
        if kind == _VARINT:
            _, place = _varint(message, place)
        elif kind in (_FIXED32, _FIXED64):
            place += 4 if kind == _FIXED32 else 8
        elif kind == _BYTES:
            size, place = _varint(message, place)
            if place + size > len(message):
                raise ValueError("it ends too early")
            yield tag >> 3, message[place : place + size]
            place += size
        else:
            raise ValueError(f"it has a field of unknown kind {kind}")


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    """A number in groups of seven bits, the lowest first, and the place behind it."""
    number = 0
    for shift in range(0, 70, 7):
        if place >= len(message):
            raise ValueError("it ends too early")
        byte = message[place]
        place += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, place
    raise ValueError("it has a number that does not end")


def _message(number: int, value: bytes) -> bytes:
    size, groups = len(value), []
    while size > 0x7F:
        groups.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes([number << 3 | _BYTES, *groups, size]) + value
