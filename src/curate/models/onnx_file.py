"""Models in ONNX files.

What the input wants is read from the model (layout, size, type, batch), its metadata or the notes beside it (range of
numbers). Where nothing tells the range, the model is refused: a wrong one does not fail, it only makes worse vectors.

The embedding is, in this order: what the notes or the spec name; an output that is called like one; of a classifier
the layer before its scores, whether the file puts it out or not; the only output there is. Feature maps and tokens are
averaged.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from curate.errors import CurateError
from curate.imaging import DecodedImage
from curate.models import LOGITS
from curate.models.labels import known_labels
from curate.models.onnx_graph import Graph, read_graph, with_output
from curate.models.onnx_notes import EXAMPLE, OnnxNotes, notes_file, read_metadata, read_notes
from curate.models.preprocessing import BYTES, Layout, Preprocessing

Floats = NDArray[np.float32]

CODE = 5  # part of the identity: a new number when the same file gives other vectors
TYPES = {"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(uint8)": BYTES}
EMBEDDING_NAMES = ("embed", "feature", "pool")  # in this order, anywhere in an output's name
SCORE_NAMES = ("logit", "prob", "score", "softmax", "class")
IMAGENET_CLASSES = (1000, 1001)  # with "background"; no known embedding has such a length
SHOWN = {"labels", "license", "source"}  # of the metadata, as topics of their own

# Not an ONNX file, but often found in the place of one.
LFS_POINTER = b"version https://git-lfs"


@dataclass(frozen=True)
class OnnxModel:
    """One output of a model in an ONNX file.

    session: onnxruntime's. batch_size: where the model takes no other. output: the tensor's name. map_layout: of the
    output, if it is a feature map. labels: of a classifier, if anything tells them.
    """

    session: Any
    name: str
    identity: str
    dimensions: int
    preprocessing: Preprocessing
    input: str
    output: str
    batch_size: int | None
    map_layout: Layout
    labels: list[str] | None
    about: Mapping[str, str] = field(default_factory=dict)

    @property
    def min_side_px(self) -> int:
        """How large pictures must be to be scaled down to the model's size, not up."""
        return self.preprocessing.min_side_px

    def prepare(self, image: DecodedImage) -> NDArray[np.uint8]:
        """The picture at the model's size, (h, w, 3)."""
        return self.preprocessing.prepare(image)

    def embed(self, batch: NDArray[np.uint8]) -> Floats:
        """(B, h, w, 3) -> (B, D). Raises what onnxruntime raises."""
        size = self.batch_size or len(batch)
        parts = [self._run(batch[start : start + size], size) for start in range(0, len(batch), size)]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _run(self, pictures: NDArray[np.uint8], size: int) -> Floats:
        missing = size - len(pictures)
        padded = np.pad(pictures, ((0, missing), (0, 0), (0, 0), (0, 0))) if missing else pictures
        found = self.session.run([self.output], {self.input: self.preprocessing.batch(padded)})[0]
        return _one_vector_each(found, self.map_layout)[: len(pictures)]


@dataclass(frozen=True)
class _File:
    """An ONNX file, read: its bytes are not kept."""

    path: Path
    sha256: str  # of the file and all that it refers to
    graph: Graph
    notes: OnnxNotes
    session: Any

    @property
    def metadata(self) -> Mapping[str, str]:
        return self.graph.metadata

    @property
    def outputs(self) -> list[str]:
        return [one.name for one in self.session.get_outputs()]

    @property
    def labels(self) -> list[str] | None:
        return known_labels(self.path, self.notes.labels, self.metadata)


def open_onnx(path: Path, wanted: str | None = None) -> OnnxModel:
    """The model in that file. wanted: the output; None = the embedding, LOGITS = the scores of a classifier.

    Raises CurateError that says why the file can't be used, and what to write into the notes beside it.
    """
    file = _read(path)
    taken = _input(file)
    output, why = _scores(file) if wanted == LOGITS else _embedding(file, wanted)
    if output not in file.outputs:
        file = _amended(file, output)
    preprocessing = _preprocessing(file, taken)
    model = OnnxModel(
        session=file.session,
        name=path.name,
        identity=_identity(file, wanted, output, taken.name, preprocessing),
        dimensions=0,
        preprocessing=preprocessing,
        input=taken.name,
        output=output,
        batch_size=taken.shape[0] if isinstance(taken.shape[0], int) else None,
        map_layout=file.graph.map_layout(output, preprocessing.layout),
        labels=file.labels,
    )
    return _tried(model, file, why)


def _read(path: Path) -> _File:
    if not path.is_file():
        raise CurateError(f"There is no model file {str(path)!r}.", "Check the path given with --model.")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CurateError(f"The model {str(path)!r} can't be read: {error.strerror}.") from error
    if not data or data.startswith(LFS_POINTER):
        hint = "Fetch the file itself: git lfs pull" if data else ""
        raise CurateError(f"{str(path)!r} {'is a Git LFS pointer' if data else 'is empty'}, not a model.", hint)
    try:
        graph = read_graph(data)
    except ValueError as error:
        raise CurateError(f"{str(path)!r} is no ONNX file, or damaged: {error}.") from error
    if not graph.nodes:
        raise CurateError(f"{str(path)!r} is no ONNX file: there is no graph in it.")
    digest = hashlib.sha256(data)
    for name in sorted(graph.external):
        digest.update(_external_digest(path, name))
    return _File(path, digest.hexdigest(), graph, read_notes(path) or OnnxNotes.model_construct(), _session(path, path))


def _external_digest(path: Path, name: str) -> bytes:
    file = path.parent / name
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").digest()
    except (OSError, ValueError) as error:  # ValueError: no name of a file
        raise CurateError(
            f"The model {str(path)!r} keeps its weights in {name!r}, which can't be read: {error}.",
            f"Put that file into {str(path.parent)!r}.",
        ) from error


def _session(model: Path | bytes, path: Path) -> Any:
    import onnxruntime

    onnxruntime.set_default_logger_severity(4)  # it prints to stderr what we say better
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    # One thread: all cores are busy with processes of their own, and a session without threads outlives a fork.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    if isinstance(model, bytes):
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(path.parent))
    try:
        source = model if isinstance(model, bytes) else str(model)
        # Without `enable_fallback` it prints to stdout and tries the same again.
        session = onnxruntime.InferenceSession(
            source, options, providers=["CPUExecutionProvider"], enable_fallback=False
        )
        _ = [one.shape for one in (*session.get_inputs(), *session.get_outputs())]  # raises if a name is damaged
        return session
    except Exception as error:  # onnxruntime's errors have no common class
        raise CurateError(
            f"onnxruntime {onnxruntime.__version__} can't load {str(path)!r}: {_last_words(error)}.",
            "The file may be damaged, or made for a newer onnxruntime.",
        ) from error


def _amended(file: _File, tensor: str) -> _File:
    """The file with one more output. Raises CurateError when there is no such tensor."""
    if tensor not in file.graph.nodes:
        near = get_close_matches(tensor, [*file.outputs, *file.graph.nodes], n=1)
        raise CurateError(
            f"The model {str(file.path)!r} has no output or inner tensor {tensor!r}.",
            f"Did you mean {near[0]!r}?" if near else f"Its outputs: {', '.join(file.outputs)}.",
        )
    session = _session(with_output(file.path.read_bytes(), tensor), file.path)
    return replace(file, session=session)


# ---- Input


def _input(file: _File) -> Any:
    """The input that takes the picture, as onnxruntime describes it."""
    inputs = {one.name: one for one in file.session.get_inputs()}
    name = file.notes.input or next(iter(inputs), "")
    if name not in inputs:
        raise CurateError(f"The model {str(file.path)!r} has no input {name!r}. It has: {', '.join(inputs)}.")
    if len(inputs) > 1:
        raise CurateError(
            f"The model {str(file.path)!r} has {len(inputs)} inputs ({', '.join(inputs)}); expected one, the picture.",
            "Export the part of the model that looks at pictures.",
        )
    return inputs[name]


def _preprocessing(file: _File, taken: Any) -> Preprocessing:
    if taken.type not in TYPES:
        raise CurateError(
            f"The model {str(file.path)!r} takes {taken.type}; expected {', '.join(TYPES)}.",
            "Export it with an input of float32 or uint8.",
        )
    notes, dtype = file.notes, TYPES[taken.type]
    layout = _layout(file, taken.shape)
    height, width = _size(file, taken.shape[2:] if layout == "NCHW" else taken.shape[1:3])
    return Preprocessing(
        height=height,
        width=width,
        layout=layout,
        dtype=dtype,
        channels=notes.channels,
        fit=notes.fit,
        crop_share=notes.crop_share,
        interpolation=notes.interpolation,
        **_scaling(file, dtype),
    )


def _layout(file: _File, shape: Sequence[int | str | None]) -> Layout:
    if len(shape) != 4:
        raise CurateError(
            f"The input of {str(file.path)!r} has {len(shape)} dimensions {_shape(shape)}; expected 4: a batch of "
            "pictures with height, width and 3 channels."
        )
    places: dict[Layout, int] = {"NCHW": 1, "NHWC": 3}
    possible = [layout for layout, place in places.items() if shape[place] == 3 or not isinstance(shape[place], int)]
    if len(possible) == 2 and 3 in (shape[1], shape[3]):
        possible = ["NCHW"] if shape[1] == 3 else ["NHWC"]
    if file.notes.layout in possible:
        return file.notes.layout
    if len(possible) == 1 and file.notes.layout is None:
        return possible[0]
    if possible:
        raise _needs(file, "does not tell which dimension holds the colours", '{"layout": "NCHW"}')
    raise CurateError(f"The input of {str(file.path)!r} has the shape {_shape(shape)}; expected 3 colour channels.")


def _size(file: _File, sides: Sequence[int | str | None]) -> tuple[int, int]:
    """Height and width in px: the model's own, where it has one."""
    given = file.notes.size
    if isinstance(sides[0], int) and isinstance(sides[1], int):
        if given and given != (sides[0], sides[1]):
            raise CurateError(
                f"The model {str(file.path)!r} takes {sides[0]} x {sides[1]} px, "
                f"but {str(notes_file(file.path))!r} says {given[0]} x {given[1]}."
            )
        return sides[0], sides[1]
    if given is None:
        raise _needs(file, "takes pictures of any size, and nothing tells which it was trained with", '{"size": 224}')
    return given


def _scaling(file: _File, dtype: str) -> dict[str, Any]:
    """scale, mean and std: from the notes, else from the metadata; nothing for a model that takes bytes."""
    notes = file.notes
    if dtype == BYTES:
        if notes.scale or notes.mean or notes.std:
            raise CurateError(
                f"The model {str(file.path)!r} takes bytes, and scales them itself.",
                f"Remove scale, mean and std from {str(notes_file(file.path))!r}.",
            )
        return {}
    if notes.scale is not None:
        given = {"mean": notes.mean, "std": notes.std}
        return {"scale": notes.scale, **{key: value for key, value in given.items() if value is not None}}
    if notes.mean or notes.std:
        raise _needs(file, 'has a mean or std beside it, but no "scale", which comes first', EXAMPLE)
    found = read_metadata(file.metadata)
    if not found:
        raise _needs(file, "does not tell in which range it takes numbers", EXAMPLE)
    return found


def _needs(file: _File, what: str, example: str) -> CurateError:
    return CurateError(
        f"The model {str(file.path)!r} {what}.",
        f"Write it into {str(notes_file(file.path))!r}, for example\n{example}\n"
        "The keys are listed in docs/models.md. The model gets (byte * scale - mean) / std.",
    )


# ---- Output


def _embedding(file: _File, wanted: str | None) -> tuple[str, str]:
    """The tensor to use as embedding, and why that one."""
    if wanted or file.notes.output:
        return str(wanted or file.notes.output), "as you chose"
    for part in EMBEDDING_NAMES:
        for name in file.outputs:
            if part in name.lower():
                return name, "by its name"
    scores = _find_scores(file)
    inner = file.graph.last_layer_input(scores) if scores else None
    if inner:
        return inner, f"what goes into the last layer, before the scores {scores!r}"
    if len(file.outputs) == 1:
        return file.outputs[
            0
        ], "the scores of a classifier: no layer was found before them" if scores else "the only one"
    if scores:
        return scores, "the scores of a classifier: no layer was found before them"
    raise _needs(
        file,
        f"has {len(file.outputs)} outputs ({', '.join(file.outputs)}), and none is called like an embedding",
        json.dumps({"output": file.outputs[0]}) + "\n(and what else it needs)",
    )


def _scores(file: _File) -> tuple[str, str]:
    found = _find_scores(file)
    if found is None and len(file.outputs) == 1:
        found = file.outputs[0]
    if found is None:
        raise _needs(
            file,
            f"has {len(file.outputs)} outputs ({', '.join(file.outputs)}), and none is called like scores of classes",
            json.dumps({"logits": file.outputs[0]}) + "\n(and what else it needs)",
        )
    return found, "scores of classes"


def _find_scores(file: _File) -> str | None:
    """The output with one score per class, if one looks like it."""
    if file.notes.logits:
        return file.notes.logits
    counts = {*IMAGENET_CLASSES, *([len(file.labels)] if file.labels else [])}
    outputs = [one for one in file.session.get_outputs() if len(one.shape) == 2]
    for one in outputs:
        if any(part in one.name.lower() for part in SCORE_NAMES):
            return str(one.name)
    for one in outputs:
        if one.shape[1] in counts or file.graph.ends_in_softmax(one.name):
            return str(one.name)
    return None


def _one_vector_each(found: NDArray[Any], layout: Layout) -> Floats:
    """(B, D) of vectors, feature maps (B, D, h, w) or, with NHWC, (B, h, w, D), or tokens (B, T, D)."""
    if found.ndim == 4:
        found = found.mean(axis=(2, 3) if layout == "NCHW" else (1, 2), dtype=np.float32)
    elif found.ndim == 3:
        found = found.mean(axis=1, dtype=np.float32)
    return np.ascontiguousarray(found, np.float32)


def _tried(model: OnnxModel, file: _File, why: str) -> OnnxModel:
    """The model after it has seen two grey pictures; only now it is sure what it puts out."""
    pre = model.preprocessing
    try:
        found = model.embed(np.full((2, pre.height, pre.width, 3), 128, np.uint8))
    except Exception as error:  # onnxruntime's errors have no common class
        raise CurateError(f"The model {str(file.path)!r} fails on a grey picture: {_last_words(error)}.") from error
    if found.ndim != 2 or len(found) != 2:
        raise CurateError(
            f"The output {model.output!r} of {str(file.path)!r} has the shape {found.shape} for two pictures; "
            "expected one row of numbers for each."
        )
    return replace(model, dimensions=found.shape[1], about=_about(model, file, why, found.shape[1]))


# ---- What there is to say


def _identity(file: _File, wanted: str | None, output: str, taken: str, preprocessing: Preprocessing) -> str:
    decides = f"{CODE} {file.sha256} {output} {taken} {preprocessing!r}"
    name = re.sub(r"[^A-Za-z0-9._-]+", "_", file.path.stem)[:60] + (f"-{LOGITS}" if wanted == LOGITS else "")
    return f"{name}-{hashlib.sha256(decides.encode()).hexdigest()[:16]}"


def _about(model: OnnxModel, file: _File, why: str, dimensions: int) -> dict[str, str]:
    from_notes = file.notes.scale is not None
    source = f"from {notes_file(file.path).name}" if from_notes else "from the model's metadata"
    batch = f"batches of {model.batch_size}" if model.batch_size else "batches of any size"
    pre = model.preprocessing
    said = {
        "file": str(file.path),
        "sha256": file.sha256,
        "input": f"{model.input!r}: {pre.describe()}, {batch}",
        "scaling": pre.describe_scaling() + ("" if pre.dtype == BYTES else f", {source}"),
        "output": f"{model.output!r}, {dimensions} numbers: {why}",
        "labels": _abridged(model.labels) if model.labels else "",
        "licence": file.notes.licence or file.metadata.get("license", ""),
        "source": file.notes.source or file.metadata.get("source", ""),
        "metadata": "; ".join(f"{key} = {file.metadata[key][:60]}" for key in sorted(file.metadata.keys() - SHOWN)),
    }
    return {topic: text for topic, text in said.items() if text}


def _abridged(labels: Sequence[str]) -> str:
    return f"{len(labels):,}: {'; '.join(labels[:3])}{'; …' if len(labels) > 3 else ''}"


def _shape(shape: Sequence[int | str | None]) -> str:
    return f"({', '.join(str(side) for side in shape)})"


def _last_words(error: Exception) -> str:
    """What a library says, without its prefixes of code and place."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ", "", lines[0]).rstrip(".")[:300]
